"""Providers: how each of them does, what it costs, how much of it is in use; and what an administrator
decides about it: on or off, paused, how much at once, at what price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from packshot import ledger, preferences, reports
from packshot.catalogue.finding import places_above
from packshot.events import Happening
from packshot.flows import administer, inspecting, prices
from packshot.flows.desk import is_set_up, quoting
from packshot.flows.prices import Range
from packshot.kernel.errors import BadInput
from packshot.kernel.money import dollars, parse_dollars
from packshot.ledger import Price, PriceKind
from packshot.providers import registry
from packshot.providers.contract import AS_INPUT, ModelCard, Provider, model_card
from packshot.providers.price_lists import price_list
from packshot.reports import ProviderRow
from packshot.reports import health as reads
from packshot.reports.categories import ASKED_AT_MOST, ByCategory, by_category
from packshot.reports.health import NOTHING, Figures, Work
from packshot.web import by_category as categories
from packshot.web import health, live, sheets
from packshot.web.addresses import address_of
from packshot.web.answers import Toast, Undo, answer, refuse
from packshot.web.health import Now, Off, in_order
from packshot.web.live import Topic
from packshot.web.security import actor_of, needs

WINDOWS = {1: "24 hours", 7: "7 days", 30: "30 days"}
PERIODS = {"day": "a day", "week": "a week", "month": "a month", "total": "in all"}
EDITS_SHOWN = 10
# An option with more choices than this is none that people price by.
MOST_CHOICES = 12
LONGEST = 500
COLUMNS = (
    "provider",
    "model",
    "money",
    "images",
    "completed",
    "failed",
    "success_rate",
    "success_low",
    "success_high",
    "median_s",
    "p95_s",
    "dollars",
    "dollars_each",
    "approved",
    "dollars_each_approved",
    "compared",
    "off",
)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several addresses side by side."""

    label: str
    url: str
    current: bool
    icon: str = ""


@dataclass(frozen=True, slots=True)
class Facet:
    """A filter that may be chosen."""

    label: str
    url: str
    count: int | None = None
    mark: str = ""


# -- all of them ---------------------------------------------------------------------------------------


@needs("read")
@require_safe
def providers(request: HttpRequest) -> HttpResponse:
    """Every provider beside the others. The page fetches its figures again once a minute."""
    if request.GET.get("by") == "category":
        return _by_category(request)
    stream = live.address("providers-now")
    return render(request, "pages/providers.html", _side_by_side(request) | {"stream": stream})


def _side_by_side(request: HttpRequest) -> dict[str, object]:
    days = _days(request)
    address = reverse("providers_export") + (f"?{urlencode({'days': days})}" if days > 1 else "")
    rows, window = in_order(reports.providers()), reads.window(days=days)
    done, spans = window.work, window.spans
    troubles, in_use, bills = reads.troubles(spans), reads.use(), reads.billed()
    accounts = inspecting.accounts({row.name: row.simulated for row in rows})
    cards = [
        health.card_of(row, in_use.get(row.name), done.get(row.name), spans, accounts[row.name])
        for row in rows
    ]
    return {
        "window": WINDOWS[days],
        "windows": _windows(reverse("providers"), days),
        "views": _views(days, by_category=False),
        "export": address,
        "images": sum(each.whole.images for each in done.values()),
        "lines": health.lines_of(rows, done, troubles, bills),
        "plot": health.plot(rows, done, WINDOWS[days]),
        "errors": [health.errors_of(row, troubles[row.name]) for row in rows if row.name in troubles],
        "failed": health.errors_chart(health.together(troubles.values()), spans, window.zone, WINDOWS[days]),
        "kinds": health.kinds_of(troubles.values()),
        "cards": cards,
        "nows": {card.now.row.name: card.now for card in cards},
        "stops": [each for row in rows for each in health.stopping(row, accounts[row.name])],
        "here": request.get_full_path(),
        "compared_days": reads.COMPARED_DAYS,
        "off_percent": reads.OFF_PERCENT,
    }


@needs("read_costs")
@require_safe
def export(request: HttpRequest) -> HttpResponse:
    """The comparison as CSV: a line for each provider and model, or for each category and provider."""
    if request.GET.get("by") == "category":
        return _export_by_category(request)
    days = _days(request)
    rows, done, bills = in_order(reports.providers()), reads.window(days=days).work, reads.billed()
    table: list[Sequence[object]] = [COLUMNS]
    for line in health.lines_of(rows, done, {}, bills):
        figures, (low, high) = line.figures, line.figures.interval or (None, None)
        table.append(
            [
                line.row.name,
                line.model,
                "simulated" if line.row.simulated else "real",
                figures.images,
                figures.completed,
                figures.failed,
                *map(_cell, (figures.success_rate, low, high, figures.p50_s, figures.p95_s)),
                dollars(figures.amount_micros),
                line.each,
                figures.approved,
                line.each_approved,
                line.off.compared if line.off else "",
                line.off.off if line.off else "",
            ]
        )
    response = HttpResponse(sheets.lines(table), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="packshot-providers-{days}d.csv"'
    return response


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _days(request: HttpRequest) -> int:
    given = request.GET.get("days", "1")
    return int(given) if given in map(str, WINDOWS) else 1


def _windows(address: str, days: int) -> list[Choice]:
    return [
        Choice(label, address + (f"?{urlencode({'days': each})}" if each > 1 else ""), each == days)
        for each, label in WINDOWS.items()
    ]


# -- by category ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a page of categories is asked to show."""

    days: int
    under: str
    provider: str | None

    def address(self, under: str, *, export: bool = False) -> str:
        given = {
            "by": "category",
            "days": str(self.days) if self.days > 1 else "",
            "category": under,
            "provider": self.provider or "",
        }
        query = urlencode({name: value for name, value in given.items() if value})
        return f"{reverse('providers_export' if export else 'providers')}?{query}"

    def read(self) -> ByCategory:
        return by_category(days=self.days, under=self.under, provider=self.provider)


def _asked(request: HttpRequest) -> _Asked:
    under = request.GET.get("category", "").replace("\0", "").strip()[:LONGEST]
    provider = request.GET.get("provider", "").replace("\0", "")[:LONGEST]
    return _Asked(_days(request), under, provider or None)


def _by_category(request: HttpRequest) -> HttpResponse:
    """How each provider does for each category, from the newest generations of each."""
    stream = live.address()
    asked, rows = _asked(request), in_order(reports.providers())
    found = asked.read()
    labels = {row.name: row.label for row in rows}
    way = [("All categories", ""), *((each.name, each.path) for each in places_above(asked.under))]
    return render(
        request,
        "pages/provider_categories.html",
        {
            "window": WINDOWS[asked.days],
            "views": _views(asked.days, by_category=True),
            "windows": [
                Choice(label, replace(asked, days=days).address(asked.under), days == asked.days)
                for days, label in WINDOWS.items()
            ],
            "above": [Choice(name, asked.address(path), path == asked.under) for name, path in way],
            "provider": next((row for row in rows if row.name == asked.provider), None),
            "without_provider": replace(asked, provider=None).address(asked.under),
            "provider_choices": [
                Facet(row.label, replace(asked, provider=row.name).address(asked.under), mark=row.name)
                for row in rows
                if row.state != "unavailable"
            ],
            "lines": categories.lines_of(found, rows, asked.under),
            "most": ASKED_AT_MOST,
            "cut": sorted(labels[name] for name in found.cut if name in labels),
            "address": asked.address,
            "all": replace(asked, provider=None).address(""),
            "export": asked.address(asked.under, export=True),
            "here": request.get_full_path(),
            "stream": stream,
        },
    )


def _export_by_category(request: HttpRequest) -> HttpResponse:
    asked = _asked(request)
    text = sheets.lines(categories.sheet_of(asked.read(), in_order(reports.providers())))
    response = HttpResponse(text, content_type="text/csv; charset=utf-8")
    name = f"packshot-providers-by-category-{asked.days}d.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _views(days: int, *, by_category: bool) -> list[Choice]:
    more = {"days": str(days)} if days > 1 else {}
    return [
        Choice("By model", f"{reverse('providers')}?{urlencode(more)}".rstrip("?"), not by_category),
        Choice("By category", f"{reverse('providers')}?{urlencode({'by': 'category'} | more)}", by_category),
    ]


# -- one of them ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelLine:
    """A model of a provider: what it is, what it costs, how it does."""

    id: str
    label: str
    kind: str
    retired: bool
    retires_on: date | None
    successor: str
    shapes: str
    price: Range | None
    figures: Figures
    off: Off | None


@dataclass(frozen=True, slots=True)
class PriceCell:
    """What a model costs with some choices; `address` edits it."""

    choices: str
    now: Range
    published: Range
    own: Price | None
    since: date | None  # on the site's own calendar
    address: str


@dataclass(frozen=True, slots=True)
class PriceRow:
    """A model of the price table."""

    id: str
    label: str
    note: str
    cells: Sequence[PriceCell]


@dataclass(frozen=True, slots=True)
class Edit:
    """A price that somebody wrote down."""

    price: Price
    label: str
    on: date
    later: date | None  # it holds from that day


@dataclass(frozen=True, slots=True)
class Wiring:
    """How the provider is reached: nothing of its key but whether there is one."""

    variable: str | None
    needs_url: bool
    is_set: bool


@needs("read")
@require_safe
def provider(request: HttpRequest, name: str) -> HttpResponse:
    """One provider in full."""
    stream = live.address("providers-now")
    return render(request, "pages/provider.html", _in_full(request, name) | {"stream": stream})


def _in_full(
    request: HttpRequest,
    name: str,
    *,
    given: Mapping[str, str] | None = None,
    problems: Mapping[str, str] | None = None,
) -> dict[str, object]:
    row = next((each for each in reports.providers() if each.name == name), None)
    if row is None:
        raise Http404
    days = _days(request)
    window = reads.window(days=days, provider=name)
    spans, work, in_use = window.spans, window.work.get(name), reads.use(name).get(name)
    troubles, bills = reads.troubles(spans, name).get(name, {}), reads.billed(name)
    adapter = quoting().get(name)
    lines = prices.price_lines(name, row.price_edition) if adapter else []
    account = inspecting.accounts({name: row.simulated})[name]
    spends = not row.simulated and row.state != "unavailable"
    per_minute = in_use.per_minute if in_use else None
    standing = {
        "max_in_flight": str(row.max_in_flight),
        "per_minute": "" if per_minute is None else str(per_minute),
    }
    return {
        "row": row,
        "now": health.now_of(row, in_use),
        "window": WINDOWS[days],
        "windows": _windows(reverse("provider", args=[name]), days),
        "figures": work.whole if work else NOTHING,
        "cost": dollars(work.whole.amount_micros if work else 0),
        "each": dollars(work.whole.micros_each) if work and work.whole.micros_each is not None else None,
        "spark": health.success_line(work, spans, f"{row.label}: success over time"),
        "seen": health.seen_of(account),
        "looks": account.can_be_looked_at and row.state != "unavailable",
        "stops": health.stopping(row, account),
        "here": request.get_full_path(),
        "wiring": _wiring(name),
        "failed": health.errors_chart(troubles, spans, window.zone, WINDOWS[days]),
        "kinds": health.kinds_of([troubles]),
        "models": _models(
            adapter,
            name,
            {stop.model: stop.on for stop in account.stops},
            lines,
            work,
            {each.model: health.off_of([each]) for each in bills},
        ),
        "off": health.off_of(bills),
        "prices": _price_rows(name, lines, ZoneInfo(window.zone)),
        "list": price_list(name),
        "edits": [
            _edit(each, ZoneInfo(window.zone)) for each in ledger.price_history(name, limit=EDITS_SHOWN)
        ],
        "spends": spends,
        "free": administer.is_free(name),
        "priceable": adapter is not None and prices.can_be_priced(adapter),
        "on": spends and row.state != "off",
        "limit": ledger.spending_limit() if row.state == "off" else None,
        "periods": PERIODS,
        "given": {"limit": "", "period": "month"} | standing | dict(given or {}),
        "problems": dict.fromkeys(("limit", *standing), "") | dict(problems or {}),
        "compared_days": reads.COMPARED_DAYS,
        "off_percent": reads.OFF_PERCENT,
    }


def _wiring(name: str) -> Wiring:
    adapter = registry.adapters().get(name)
    if adapter is None:
        return Wiring(None, needs_url=False, is_set=False)
    return Wiring(
        registry.needed_variable(adapter), registry.url_variable(adapter) is not None, is_set_up(adapter)
    )


_KINDS = {"generate": "", "edit": "edits a picture", "follow_up": "goes on from an image"}


def _models(
    adapter: Provider | None,
    name: str,
    stops: Mapping[str, date],
    lines: Sequence[prices.Line],
    work: Work | None,
    offs: Mapping[str, Off | None],
) -> list[ModelLine]:
    """Every model that has a card, and after them those that are gone and did something."""
    cards = adapter.models() if adapter else ()
    found = []
    for card in sorted(cards, key=lambda each: each.retired):
        successor = model_card(adapter, card.successor) if adapter and card.successor else None
        found.append(
            ModelLine(
                card.id,
                card.label,
                _KINDS[card.kind],
                card.retired,
                stops.get(card.id) or card.retires_on,
                successor.label if successor else "",
                _shapes(card),
                _over([each.now for each in lines if each.model == card.id]),
                work.models.get(card.id, NOTHING) if work else NOTHING,
                offs.get(card.id),
            )
        )
    gone = [model for model, _ in health.busiest(work) if all(model != card.id for card in cards)]
    return found + [
        ModelLine(
            model,
            health.model_label(name, model),
            "",
            True,
            None,
            "",
            "",
            None,
            work.models[model] if work else NOTHING,
            offs.get(model),
        )
        for model in gone
    ]


def _shapes(card: ModelCard) -> str:
    """`1:1, 2:3, 3:2`; of many, `9:16 to 16:9, 9 in all`."""
    ratios = [each for each in card.shapes if each != AS_INPUT]
    if len(ratios) > 3:
        narrow, *_, wide = sorted(ratios, key=_ratio)
        said = [f"{narrow} to {wide}, {len(ratios)} in all"]
    else:
        said = ratios
    return ", ".join(said + ["as its picture"] * (AS_INPUT in card.shapes))


def _ratio(shape: str) -> float:
    across, down = shape.split(":")
    return int(across) / int(down)


def _over(ranges: Sequence[Range]) -> Range | None:
    """From the cheapest to the dearest of these; None: there is no line."""
    if not ranges:
        return None
    return Range(
        min((each.low for each in ranges if each.low is not None), default=None),
        max((each.high for each in ranges if each.high is not None), default=None),
        max((each.most for each in ranges if each.most is not None), default=None),
        any(each.gaps for each in ranges),
    )


def _price_rows(name: str, lines: Sequence[prices.Line], zone: ZoneInfo) -> list[PriceRow]:
    return [
        PriceRow(
            model,
            health.model_label(name, model),
            next((each.note for each in lines if each.model == model and each.note), ""),
            [_price_cell(name, each, zone) for each in lines if each.model == model],
        )
        for model in dict.fromkeys(each.model for each in lines)
    ]


def _price_cell(name: str, line: prices.Line, zone: ZoneInfo) -> PriceCell:
    choices = prices.choices_of(line.key)
    query = urlencode({"model": line.model} | choices)
    return PriceCell(
        ", ".join(f"{each} {value}" for each, value in choices.items()),
        line.now,
        line.published,
        line.own,
        line.own.valid_from.astimezone(zone).date() if line.own else None,
        f"{address_of('provider_price', name)}?{query}",
    )


def _edit(price: Price, zone: ZoneInfo) -> Edit:
    later = price.valid_from.astimezone(zone).date() if price.valid_from > timezone.now() else None
    label = health.model_label(price.provider, price.model)
    return Edit(price, label, price.created_at.astimezone(zone).date(), later)


# -- what an administrator decides ---------------------------------------------------------------------


@needs("manage_providers")
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, name: str) -> HttpResponse:
    """Switch a provider on or off, pause, drain or resume it, set its limits."""
    here = reverse("provider", args=[name])
    if request.method != "POST":
        return HttpResponseRedirect(here)
    what = request.POST.get("do", "")
    try:
        toast = _decide(request, name, what)
    except BadInput as problem:
        if what in ("on", "limits") and "HX-Request" not in request.headers:
            problems = {problem.field or "limit": str(problem)}
            context = _in_full(request, name, given=_given(request), problems=problems)
            return render(request, "pages/provider.html", context, status=422)
        return refuse(request, problem, then=here)
    if request.POST.get("shows") == "list":
        drawn = ("live/providers_now.html", _drawn(_now(), actor_of(request).may))
        return answer(request, toast, [drawn], then=reverse("providers"))
    return answer(request, toast, [("live/provider_page.html", _in_full(request, name))], then=here)


def _given(request: HttpRequest) -> dict[str, str]:
    return {
        field: request.POST[field][:LONGEST]
        for field in ("limit", "period", "max_in_flight", "per_minute")
        if field in request.POST
    }


def _decide(request: HttpRequest, name: str, what: str) -> Toast:
    actor = actor_of(request)
    if what == "on":
        return _switch_on(request, name)
    if what == "off":
        administer.switch_off(name, actor)
        return Toast("Provider switched off")
    if what == "check":
        return _checked(name)
    if what == "limits":
        changed = administer.set_limits(
            name,
            actor,
            max_in_flight=_number(request, "max_in_flight") or 0,
            per_minute=_number(request, "per_minute"),
        )
        return Toast("Limits saved" if changed else "Nothing changed")
    acts = {
        "pause": (administer.pause, "Provider paused", "resume"),
        "drain": (administer.drain, "Provider takes no new requests", "resume"),
        "resume": (administer.resume, "Provider resumed", "pause"),
    }
    if what not in acts:
        raise BadInput("say what to do")
    act, said, back = acts[what]
    changed = act(name, actor)
    values = {"do": back, "shows": request.POST.get("shows", "")}
    undo = Undo(reverse("provider_change", args=[name]), values)
    return Toast(said, undo=undo if changed else None)


def _checked(name: str) -> Toast:
    """Look at the account now, and say what it said."""
    (looked,) = inspecting.look_now(name)
    found, word = looked.found, health.KEYS[looked.found.key_works]
    said = word.label if found.key_works else f"{word.label}: {found.detail.rstrip('.')}"
    return Toast(said, tone="ok" if found.key_works else "warn")


def _number(request: HttpRequest, field: str) -> int | None:
    """A whole number that somebody typed; None: the field is empty."""
    typed = request.POST.get(field, "").replace(",", "").strip()
    if not typed:
        return None
    if not (typed.isascii() and typed.isdigit() and len(typed) < 10):
        raise BadInput(f"{typed[:20]!r} is no whole number", field=field)
    return int(typed)


def _switch_on(request: HttpRequest, name: str) -> Toast:
    typed, period = request.POST.get("limit", "").strip(), request.POST.get("period", "month")
    try:
        limit = parse_dollars(typed) if typed else None
    except ValueError as problem:
        raise BadInput(str(problem), field="limit") from None
    if limit is None and ledger.spending_limit() is None and not administer.is_free(name):
        raise BadInput("Real money needs a limit: write how many dollars may be spent.", field="limit")
    administer.switch_on(name, actor_of(request), limit_micros=limit, period=period)
    return Toast("Provider switched on")


# -- a price -------------------------------------------------------------------------------------------


@needs("manage_providers")
@require_http_methods(["GET", "HEAD", "POST"])
def price(request: HttpRequest, name: str) -> HttpResponse:
    """Say what an image of a model costs: from what source, from when on, and for which choices."""
    adapter = quoting().get(name)
    given = request.POST if request.method == "POST" else request.GET
    card = model_card(adapter, given.get("model", "")) if adapter else None
    row = next((each for each in reports.providers() if each.name == name), None)
    if row is None or adapter is None or card is None or card.retired or not prices.can_be_priced(adapter):
        raise Http404
    lines = [each for each in prices.price_lines(name, row.price_edition) if each.model == card.id]
    form = PriceForm(row, card, lines, _typed(given), _chosen(given, card, lines))
    if request.method != "POST":
        return _price_form(request, form, {})
    typed = form.typed
    try:
        prices.set_price(
            name,
            card.id,
            actor_of(request),
            kind=_kind(typed["kind"]),
            amount_micros=_amount(typed, "amount"),
            most_micros=_amount(typed, "most"),
            choices={each.name: each.value for each in form.choices if each.value},
            source=typed["source"],
            valid_from=_from(typed["from"]),
        )
    except BadInput as problem:
        return _price_form(request, form, {problem.field or "amount": str(problem)}, status=422)
    said = {"price": "Price set", "unknown": "Price set to unknown", "withdrawn": "Price taken back"}
    return answer(request, Toast(said[typed["kind"]]), then=f"{reverse('provider', args=[name])}#prices")


@dataclass(frozen=True, slots=True)
class Binding:
    """A choice that a price may be bound to, and what it is bound to; empty: to none."""

    name: str
    label: str
    values: tuple[str, ...]
    value: str


@dataclass(frozen=True, slots=True)
class PriceForm:
    """What is being priced, and what was typed."""

    row: ProviderRow
    card: ModelCard
    lines: Sequence[prices.Line]
    typed: Mapping[str, str]
    choices: Sequence[Binding]


def _typed(given: Mapping[str, str]) -> dict[str, str]:
    found = {each: given.get(each, "").strip()[:LONGEST] for each in ("amount", "most", "source", "from")}
    return found | {"kind": _kind(given.get("kind", ""))}


def _chosen(given: Mapping[str, str], card: ModelCard, lines: Sequence[prices.Line]) -> list[Binding]:
    """The shape, and the options that make a difference now; where none does, each that is a short list."""
    matter = {name for line in lines for name in prices.choices_of(line.key)}
    labels = {option.name: option.label for option in card.options} | {"shape": "Shape"}
    return [
        # An address names a choice by itself, the form as `choice-...`: an option may be called `source`.
        Binding(each, labels[each], values, given.get(f"choice-{each}", given.get(each, ""))[:100])
        for each, values in prices.priced_by(card).items()
        if len(values) > 1
        and (each == "shape" or each in matter or (matter <= {"shape"} and len(values) <= MOST_CHOICES))
    ]


def _kind(word: str) -> PriceKind:
    return "unknown" if word == "unknown" else "withdrawn" if word == "withdrawn" else "price"


def _amount(typed: Mapping[str, str], field: str) -> int | None:
    if typed["kind"] != "price" or not typed[field]:
        return None
    try:
        return parse_dollars(typed[field])
    except ValueError as problem:
        raise BadInput(str(problem), field=field) from None


def _from(typed: str) -> datetime | None:
    """The beginning of that day on the site's own clock; today, and none, is now."""
    if not typed:
        return None
    zone = ZoneInfo(str(preferences.get("time_zone")))
    try:
        day = date.fromisoformat(typed)
    except ValueError:
        raise BadInput(f"{typed[:20]!r} is no day; write it like 2026-12-01", field="from") from None
    if day == timezone.now().astimezone(zone).date():
        return None
    return datetime.combine(day, datetime.min.time(), zone)


def _price_form(
    request: HttpRequest, form: PriceForm, problems: Mapping[str, str], *, status: int = 200
) -> HttpResponse:
    key = prices.key_of({each.name: each.value for each in form.choices if each.value})
    own = prices.own_prices(form.row.name, form.row.price_edition)
    return render(
        request,
        "pages/provider_price.html",
        {
            "form": form,
            "problems": dict.fromkeys(("amount", "most", "source", "from", "key", "provider", "model"), "")
            | dict(problems),
            "stands": next((each for each in own if (each.model, each.key) == (form.card.id, key)), None),
            "list": price_list(form.row.name),
        },
        status=status,
    )


# -- what the stream shows -----------------------------------------------------------------------------


def _now() -> list[Now]:
    in_use = reads.use()
    return [health.now_of(row, in_use.get(row.name)) for row in reports.providers()]


def _drawn(data: Sequence[Now], may: object) -> dict[str, object]:
    return {"data": data, "may": may}


def _moved(happenings: Sequence[Happening]) -> list[Now] | None:
    if not any(each.topic in ("generation", "provider", "budget", "spending") for each in happenings):
        return None
    return _now()


live.offer(Topic("providers-now", "read", "live/providers_now.html", _moved, every_s=2.0))
