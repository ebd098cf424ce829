"""The Queue: every generation by status, facets and text, in any order; one of them in full beside the list,
and what can be done about it. What is done to many stands in `bulk`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from packshot import reports
from packshot.accounts import Actor
from packshot.events import Happening
from packshot.flows import by_hand, follow_up, generate
from packshot.flows.desk import quoting
from packshot.flows.follow_up import Grid
from packshot.flows.generate import PriceRose, Resolution
from packshot.generations.models import GENERATION_STATUSES
from packshot.imaging.header import MAX_BYTES
from packshot.kernel.errors import BadInput, OverBudget
from packshot.kernel.money import parse_dollars
from packshot.providers.by_hand import to_copy as as_midjourney_takes_it
from packshot.providers.cards import fitting
from packshot.providers.contract import ImageRequest, model_card
from packshot.reports import GenerationRow, ImageTile, actions, finding, monitor
from packshot.reports.finding import SORTS, Facet
from packshot.reports.monitor import Detail, Filter, Listing, Match, Tally
from packshot.web import live, remedies, words
from packshot.web.answers import Link, Toast, Undo, answer, refuse
from packshot.web.asked import FACETS, ORDERS, Asked, asked_of, counted_as, said_of, uuid_of
from packshot.web.bulk_words import say
from packshot.web.live import Topic
from packshot.web.remedies import Note, Remedy, Turn
from packshot.web.security import actor_of, needs
from packshot.web.uploads import was_cut

ROWS = 50
DRAWN_AGAIN = 100  # rows in an answer; the stream brings the others
# What can change why a pending generation waits, whichever it is.
TOUCHES_WHAT_WAITS = {"provider", "budget", "spending"}
RETRYABLE = ("failed",)
CANCELLABLE = ("pending", "processing")


# -- what the page shows -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tab:
    """A status with its count, by which the stream finds it."""

    name: str
    label: str
    url: str
    count: int | None
    current: bool
    tone: str
    more: bool = False  # there are more than were counted


@dataclass(frozen=True, slots=True)
class On:
    """A facet that says something, with the way to take it off."""

    label: str
    value: str
    without: str


@dataclass(frozen=True, slots=True)
class Off:
    """A facet that can be chosen from: what it can say is asked for when its menu opens."""

    name: str
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Order:
    """A way to sort the list."""

    name: str
    label: str
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """A provider that the list can be narrowed to."""

    label: str
    url: str
    count: int | None
    mark: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """What stands where rows would, in one of three voices: first use, no match, all done."""

    icon: str
    title: str
    text: str
    url: str = ""
    action: str = ""
    images: tuple[ImageTile, ...] = ()


@dataclass(frozen=True, slots=True)
class Everything:
    """All that match the filter, as the bar offers them."""

    total: int | None
    words: str


@dataclass(frozen=True, slots=True)
class Settling:
    """The form that settles an uncertain charge, with what was typed and what is wrong with it."""

    how: str = ""
    amount: str = ""
    note: str = ""
    problem: str = ""
    field: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One generation in full, with what this person may do about it."""

    detail: Detail
    note: Note | None
    turns: list[Turn]
    options: list[tuple[str, object]]
    may_retry: bool
    may_cancel: bool
    settling: Settling | None
    settled_by_others: bool
    grid: Grid | None = None  # of four, of which one can be taken
    key: str = ""  # of the request that goes on from it
    to_copy: str | None = None  # what to paste where the image is made by hand, for who may bring it
    remedies: tuple[Remedy, ...] = ()  # what mends what is wrong with it, where this person may
    sent: str = ""  # the request as JSON
    sees_costs: bool = True


@needs("read")
@require_safe
def queue(request: HttpRequest) -> HttpResponse:
    """The list, and the panel beside it when the address names a generation."""
    actor, given = actor_of(request), request.GET.dict()
    if _wants_panel(request) and (key := uuid_of(given.get("generation"))) is not None:
        return _only_panel(request, key)
    shelf = actions.shelf(actor.id, "queue")
    if not given and shelf.opens is not None:
        return HttpResponseRedirect(f"{reverse('queue')}?view={shelf.opens.id}")
    view = next((each for each in shelf.views if str(each.id) == given.get("view")), None)
    asked = asked_of(given, actor, view=view, has_default=shelf.opens is not None)
    counts = f"queue-counts:{counted_as(asked.wanted.provider, asked.wanted.run_id)}"
    stream = live.address("queue", "queue-waits", "bulk", counts)
    listing = monitor.listing(
        asked.wanted, after=asked.after, before=asked.before, limit=ROWS, sort=asked.sort
    )
    rows = listing.rows
    detail = monitor.detail(asked.generation) if asked.generation is not None else None
    return render(
        request,
        "pages/queue.html",
        {
            "stream": stream,
            "asked": asked,
            "tabs": _tabs(asked, listing.tally),
            "providers": _providers(asked, listing.tally) if not asked.wanted.provider else [],
            "on": _on(asked, listing),
            "off": _off(asked, actor),
            "orders": _orders(asked, actor),
            "order": ORDERS[asked.sort],
            "views": shelf.views,
            "unknown_view": given.get("view", "none") != "none" and view is None,
            "running": [say(row) for row in shelf.running],
            "rows": rows,
            "rows_shown": ROWS,
            "first_page": not listing.newer and asked.sort == "newest",
            "pages": _pages(asked, listing),
            "previous": asked.url(before=rows[0].id) if rows and listing.newer else "",
            "next": asked.url(after=rows[-1].id) if rows and listing.older else "",
            "everything": _everything(asked, listing.tally),
            "nothing": _nothing(asked, listing),
            "panel": _panel(detail, actor) if detail is not None else None,
            "gone": asked.generation is not None and detail is None,
        },
    )


@needs("read")
@require_safe
def generation(request: HttpRequest, generation_id: UUID) -> HttpResponse:
    """One generation in full, as a page of its own."""
    if _wants_panel(request):
        return _only_panel(request, generation_id)
    stream = live.address("queue", "queue-waits")
    return _page(request, generation_id, Settling(), stream=stream)


def _page(
    request: HttpRequest, generation_id: UUID, settling: Settling, *, stream: str, status: int = 200
) -> HttpResponse:
    detail = monitor.detail(generation_id)
    if detail is None:
        raise Http404
    panel = _panel(detail, actor_of(request), settling)
    return render(request, "pages/generation.html", {"stream": stream, "panel": panel}, status=status)


def _only_panel(request: HttpRequest, generation_id: UUID) -> HttpResponse:
    detail = monitor.detail(generation_id)
    if detail is None:
        raise Http404
    return render(request, "live/panel.html", {"panel": _panel(detail, actor_of(request)), "partial": False})


def _wants_panel(request: HttpRequest) -> bool:
    return request.headers.get("HX-Target", "").endswith("#panel")


def _panel(detail: Detail, actor: Actor, settling: Settling | None = None) -> Panel:
    row = detail.row
    may = actor.may("generate")
    unsettled = row.status == "uncertain" or row.cost_unknown
    return Panel(
        detail,
        remedies.note_of(detail, _provider_label(row.provider)),
        remedies.turns_of(detail),
        sorted((str(name).replace("_", " "), value) for name, value in detail.options.items()),
        may_retry=may and row.status in RETRYABLE,
        may_cancel=may and row.status in CANCELLABLE and row.cancel_requested_at is None,
        settling=(settling or Settling()) if unsettled and actor.may("resolve_uncertain") else None,
        settled_by_others=unsettled and not actor.may("resolve_uncertain"),
        grid=follow_up.grid_of(row.id, row.provider) if may and row.status == "completed" else None,
        key=uuid4().hex,
        to_copy=_to_copy(detail) if may else None,
        remedies=tuple(each for each in remedies.actions_of(detail) if actor.may(each.right)),
        sent=_sent(detail),
        sees_costs=actor.may("read_costs"),
    )


def _sent(detail: Detail) -> str:
    """What was asked for, as JSON: what an adapter makes its request of, with pictures by what they are."""
    row = detail.row
    said = {
        "provider": row.provider,
        "model": row.model,
        "prompt": row.prompt,
        "negative_prompt": detail.negative_prompt or None,
        "shape": detail.shape,
        "images": detail.images_wanted,
        "seed": detail.seed,
        "options": dict(detail.options),
        "pictures": [
            {"role": each.role, "width_px": each.width_px, "height_px": each.height_px, "sku": each.sku}
            for each in detail.pictures
        ],
    }
    kept = {name: value for name, value in said.items() if value not in (None, {}, [])}
    return json.dumps(kept, indent=2, ensure_ascii=False)


def _to_copy(detail: Detail) -> str | None:
    """What to paste where this image is made by hand; None where nobody is waited for."""
    row = detail.row
    if row.status != "pending" or not by_hand.waits_for_a_person(row.provider):
        return None
    request = ImageRequest(
        row.model,
        row.prompt,
        detail.shape,
        detail.images_wanted,
        options=detail.options,
        negative_prompt=detail.negative_prompt,
    )
    return as_midjourney_takes_it(fitting(request, model_card(quoting()[row.provider], row.model)))


def _tabs(asked: Asked, tally: Tally) -> list[Tab]:
    provider, more = asked.wanted.provider, tally.at_least
    tones = {"failed": "bad", "uncertain": "warn"}
    status, total = asked.wanted.status, tally.of(None, provider)
    found = [Tab("all", "All", asked.url(status=None), total, status is None, "", more)]
    for status in ("pending", "processing", "completed", "failed", "uncertain", "cancelled"):
        count = tally.of(status, provider)
        tone = tones.get(status, "") if count else ""
        label = words.STATUSES[status].label
        found.append(
            Tab(status, label, asked.url(status=status), count, asked.wanted.status == status, tone, more)
        )
    return found


def _providers(asked: Asked, tally: Tally) -> list[Choice]:
    """Those that are installed and those that something was asked of, by their labels."""
    names = set(quoting()) | {provider for provider, _ in tally.counted or ()}
    choices = [
        Choice(_provider_label(name), asked.url(provider=name), tally.of(asked.wanted.status, name), name)
        for name in names
    ]
    return sorted(choices, key=lambda choice: choice.label.casefold())


def _on(asked: Asked, listing: Listing) -> list[On]:
    names = {"run": listing.run_title, "template": listing.template_name}
    return [
        On(
            label,
            said_of(facet, asked.values[facet], name=names.get(facet), provider=asked.wanted.provider or ""),
            asked.url(**{facet: None}),
        )
        for facet, label in FACETS.items()
        if facet in asked.values
    ]


def _off(asked: Asked, actor: Actor) -> list[Off]:
    return [
        Off(facet, label, asked.at("queue_facet", facet))
        for facet, label in FACETS.items()
        if facet not in asked.values and (facet != "cost" or actor.may("read_costs"))
    ]


def _orders(asked: Asked, actor: Actor) -> list[Order]:
    """What waits has a priority; what is sorted by it is narrowed to that."""
    return [
        Order(
            sort,
            ORDERS[sort],
            asked.url(
                sort=sort if sort != "newest" else None,
                **({"status": "pending"} if sort == "priority" else {}),
            ),
            asked.sort == sort,
        )
        for sort in SORTS
        if sort != "dearest" or actor.may("read_costs")
    ]


@needs("read")
@require_safe
def facet(request: HttpRequest, name: Facet) -> HttpResponse:
    """What one facet can say in the rest of the filter: in its menu, or without our script on a page."""
    actor = actor_of(request)
    asked = asked_of(request.GET.dict(), actor)
    if name not in FACETS or (name == "cost" and not actor.may("read_costs")):
        raise Http404
    found = finding.choices(asked.wanted, name)
    choices = [
        Choice(
            said_of(name, each.value, name=each.label, provider=each.provider),
            asked.url(**{name: each.value}),
            each.number,
            each.provider,
        )
        for each in found.values
        if each.number or name not in ("age", "cost")
    ]
    template = "live/queue_facet.html" if "HX-Request" in request.headers else "pages/queue_facet.html"
    return render(
        request,
        template,
        {"label": FACETS[name], "offered": choices, "more": found.at_least, "back": asked.url()},
    )


def _provider_label(name: str) -> str:
    adapter = quoting().get(name)
    return adapter.label if adapter else name


def _everything(asked: Asked, tally: Tally) -> Everything:
    status, provider = asked.wanted.status, asked.wanted.provider
    total = None if tally.at_least else tally.of(status, provider)
    number = "" if total is None else f" {words.count(total)}"
    said = f" {status}" if status else ""
    return Everything(total, f"Select all{number}{said}" if number or said else "Select all that match")


def _pages(asked: Asked, listing: Listing) -> str:
    total = listing.tally.of(asked.wanted.status, asked.wanted.provider)
    shown = len(listing.rows)
    if total is None:
        return f"{words.count(shown)} shown"
    more = "+" if listing.tally.at_least else ""
    said = f"{words.count(shown)} of {words.count(max(total, shown))}{more}"
    if asked.sort in ("dearest", "slowest") and total > finding.SORTED:
        said += f", sorted among the newest {words.count(finding.SORTED)}"
    return said


def _nothing(asked: Asked, listing: Listing) -> Nothing:
    status, provider = asked.wanted.status, asked.wanted.provider
    everything = listing.tally.of()
    if not asked.narrowed and not everything:
        return Nothing(
            "image",
            "Nothing was asked for yet",
            "Choose products and a provider. Each image that is asked for stands here from then on.",
            reverse("products"),
            "Choose products",
        )
    if not asked.narrowed and status in ("pending", "processing", "failed", "uncertain"):
        titles = {
            "pending": "Nothing is waiting",
            "processing": "Nothing is being made",
            "failed": "Nothing has failed",
            "uncertain": "Every charge is known",
        }
        made = listing.tally.of("completed") or 0
        images = () if listing.rows else tuple(reports.newest_images(5))
        return Nothing("check-check", titles[status], f"{words.count(made)} completed so far.", images=images)
    others = listing.tally.of(None, provider)
    if status and others:
        fits = "fits" if others == 1 else "fit"
        return Nothing(
            "search-x",
            f"No generation here is {status}",
            f"{words.count(others)} of another status {fits} the rest of the filter.",
            asked.url(status=None),
            "Show every status",
        )
    return Nothing(
        "search-x",
        "No generation fits",
        "Look for a part of a product's name, its SKU or a prompt, for a whole request id, or take a filter "
        "off.",
        reverse("queue") + ("?view=none" if asked.has_default else ""),
        "Clear filters",
    )


# -- on one --------------------------------------------------------------------------------------------


@needs("generate")
def follow(request: HttpRequest) -> HttpResponse:
    """Go on from one of the four of a grid, at the price that was on the button."""
    if request.method != "POST":
        return HttpResponseRedirect(reverse("queue"))
    key, image = uuid_of(request.POST.get("generation")), uuid_of(request.POST.get("image"))
    if key is None or image is None:
        raise Http404
    then, model = reverse("generation", args=[key]), request.POST.get("model", "")
    agreed, chosen = request.POST.get(f"agreed-{model}", ""), request.POST.get("quadrant", "")
    try:
        asked = generate.request(
            follow_up.of(image, model, int(chosen) if chosen.isdecimal() and len(chosen) == 1 else 0),
            actor_of(request),
            request_key=request.POST.get("request_key", "")[:64],
            agreed_micros=int(agreed) if agreed.isdecimal() and len(agreed) < 16 else None,
        )
    except (BadInput, OverBudget, PriceRose) as problem:
        return refuse(request, problem, then=then)
    said = "asked for already" if asked.repeated else "asked for"
    link = Link(reverse("generation", args=[asked.generation_ids[0]]), "Show")
    return answer(request, Toast(f"1 image {said}", link=link, asked=asked.key), then=then)


@needs("generate")
def bring(request: HttpRequest) -> HttpResponse:
    """Keep images that somebody made by hand for a generation that waits for them."""
    if request.method != "POST":
        return HttpResponseRedirect(reverse("queue"))
    key = uuid_of(request.POST.get("generation"))
    if key is None:
        raise Http404
    then = reverse("generation", args=[key])
    try:
        sent = request.FILES.getlist("pictures")
        if was_cut(request):
            raise BadInput(f"a picture is larger than {MAX_BYTES // 1024**2} MB", field="pictures")
        kept = by_hand.bring(key, [each.read(MAX_BYTES + 1) for each in sent], actor_of(request))
    except (BadInput, OverBudget) as problem:
        return refuse(request, problem, then=then)
    return done(request, f"{words.many(kept, 'image')} kept", monitor.those([key]), then)


@needs("resolve_uncertain")
def resolve(request: HttpRequest) -> HttpResponse:
    """Settle a charge that nobody knew, by what the provider's own pages say."""
    if request.method != "POST":
        return HttpResponseRedirect(reverse("queue"))
    key = uuid_of(request.POST.get("generation"))
    if key is None:
        raise Http404
    typed = Settling(
        how=request.POST.get("how", ""),
        amount=request.POST.get("amount", "").strip()[:20],
        note=request.POST.get("note", "").strip()[:2_000],
    )
    try:
        generate.resolve(
            key, _resolution(typed), actor_of(request), note=typed.note, amount_micros=_amount(typed)
        )
    except BadInput as problem:
        text = str(problem)
        wrong = replace(typed, problem=text[:1].upper() + text[1:] + ".", field=problem.field or "")
        if "HX-Request" not in request.headers:
            return _page(request, key, wrong, stream=live.address("queue"), status=422)
        detail = monitor.detail(key)
        if detail is None:
            raise Http404 from None
        panel = _panel(detail, actor_of(request), wrong)
        return render(request, "live/panel.html", {"panel": panel, "partial": True}, status=422)
    return done(request, "Charge settled", monitor.those([key]), reverse("generation", args=[key]))


def _resolution(typed: Settling) -> Resolution:
    if typed.how == "charged":
        return "charged"
    if typed.how == "free":
        return "free"
    if typed.how == "again":
        return "again"
    raise BadInput("say what the provider did", field="how")


def _amount(typed: Settling) -> int | None:
    if typed.how != "charged" or not typed.amount:
        return None
    try:
        return parse_dollars(typed.amount)
    except ValueError as problem:
        raise BadInput(str(problem), field="amount") from None


def done(
    request: HttpRequest, told: str, touched: Sequence[Match], then: str, undo: Undo | None = None
) -> HttpResponse:
    """The rows that were touched, drawn again, and what was done in words."""
    rows = monitor.rows_of([each.id for each in touched[-DRAWN_AGAIN:]])
    costs = actor_of(request).may("read_costs")
    done = answer(
        request, Toast(told, undo=undo), [("live/queue.html", {"data": rows, "costs": costs})], then=then
    )
    done["HX-Trigger"] = "queue:done"
    return done


# -- what the stream shows -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers on the tabs, under the name of the filter they belong to."""

    counted_as: str
    by_status: list[tuple[str, int]]


def _rows(happenings: Sequence[Happening]) -> list[GenerationRow] | None:
    """The rows that something happened to, oldest first: they are put on top one by one."""
    touched = {each.subject for each in happenings if each.topic == "generation"}
    keys = [key for key in map(uuid_of, touched) if key is not None]
    landed = [key for each in happenings if each.topic == "image" and (key := uuid_of(each.subject))]
    if landed:
        made = reports.newest_images(len(landed), ids=landed)
        keys += [tile.generation_id for tile in made if tile.generation_id is not None]
    return monitor.rows_of(keys)[::-1] or None if keys else None


def _waits(happenings: Sequence[Happening]) -> list[GenerationRow] | None:
    """The newest that wait, when what they wait for has changed."""
    if not any(each.topic in TOUCHES_WHAT_WAITS for each in happenings):
        return None
    return monitor.waiting(ROWS)[::-1] or None


def _counts(happenings: Sequence[Happening], counted_as: str) -> Counts | None:
    if not any(each.topic == "generation" for each in happenings):
        return None
    provider, _, run = counted_as.partition(".")
    wanted = Filter(provider=provider or None, run_id=uuid_of(run))
    tally = monitor.tally(wanted)
    if tally.counted is None:
        return None
    by_status = [
        ("all", tally.of(None, wanted.provider)),
        *((each, tally.of(each, wanted.provider)) for each in GENERATION_STATUSES),
    ]
    return Counts(counted_as, [(name, number or 0) for name, number in by_status])


live.offer(
    Topic("queue", "read", "live/queue.html", _rows),
    Topic("queue-waits", "read", "live/queue.html", _waits, every_s=2.0),
    Topic("queue-counts", "read", "live/queue_counts.html", _counts, every_s=2.0, takes_argument=True),
)
