"""The Queue: every generation by status, provider, run and text; one of them in full beside the list; retry,
cancel and settle, for one, for several, or for all that match."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode
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
from packshot.kernel.money import dollars, parse_dollars
from packshot.providers.by_hand import to_copy as as_midjourney_takes_it
from packshot.providers.cards import fitting
from packshot.providers.contract import ImageRequest, model_card
from packshot.reports import GenerationRow, ImageTile, monitor
from packshot.reports.monitor import Detail, Filter, Listing, Match, Tally
from packshot.web import live, remedies, words
from packshot.web.answers import Link, Toast, answer, refuse
from packshot.web.live import Topic
from packshot.web.remedies import Note, Turn
from packshot.web.security import actor_of, needs
from packshot.web.uploads import was_cut

ROWS = 50
MOST_AT_ONCE = 10_000  # generations in one action
AT_ONCE = 1_000  # generations in one transaction
DRAWN_AGAIN = 100  # rows in an answer; the stream brings the others
LONGEST_TEXT = 100
# What can change why a pending generation waits, whichever it is.
TOUCHES_WHAT_WAITS = {"provider", "budget", "spending"}
RETRYABLE = ("failed",)
CANCELLABLE = ("pending", "processing")


# -- what the address asks for -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """The state of the page, as it stands in its address."""

    wanted: Filter
    after: UUID | None = None
    before: UUID | None = None
    generation: UUID | None = None

    def url(self, **changes: object) -> str:
        """The address with another filter; page and panel belong to this one, and are left behind."""
        values = {
            "status": self.wanted.status,
            "provider": self.wanted.provider,
            "q": self.wanted.text,
            "run": self.wanted.run_id,
        } | changes
        query = urlencode({name: value for name, value in values.items() if value})
        return reverse("queue") + (f"?{query}" if query else "")

    @property
    def first_page(self) -> bool:
        return self.after is None and self.before is None

    @property
    def narrowed(self) -> bool:
        """By more than a status."""
        return bool(self.wanted.provider or self.wanted.text or self.wanted.run_id)

    @property
    def match(self) -> dict[str, str]:
        """What a row's own data must say to belong to this list."""
        values = {
            "status": self.wanted.status,
            "provider": self.wanted.provider,
            "run": self.wanted.run_id,
        }
        return {name: str(value) for name, value in values.items() if value}

    @property
    def counted_as(self) -> str:
        """Under which name the stream counts for this filter; empty: it does not."""
        return "" if self.wanted.text else _counted_as(self.wanted.provider, self.wanted.run_id)


def _asked(values: dict[str, str]) -> Asked:
    """Anything that cannot be understood is left out: an address that was cut short still leads somewhere."""
    status = values.get("status", "")
    return Asked(
        Filter(
            status=status if status in GENERATION_STATUSES else None,
            provider=values.get("provider", "")[:32] or None,
            text=values.get("q", "").replace("\0", "").strip()[:LONGEST_TEXT],
            run_id=_uuid(values.get("run")),
        ),
        after=_uuid(values.get("after")),
        before=_uuid(values.get("before")),
        generation=_uuid(values.get("generation")),
    )


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


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


@needs("read")
@require_safe
def queue(request: HttpRequest) -> HttpResponse:
    """The list, and the panel beside it when the address names a generation."""
    asked = _asked(request.GET.dict())
    if _wants_panel(request) and asked.generation is not None:
        return _only_panel(request, asked.generation)
    counts = f"queue-counts:{_counted_as(asked.wanted.provider, asked.wanted.run_id)}"
    stream = live.address("queue", "queue-waits", counts)
    listing = monitor.listing(asked.wanted, after=asked.after, before=asked.before, limit=ROWS)
    rows = listing.rows
    detail = monitor.detail(asked.generation) if asked.generation is not None else None
    return render(
        request,
        "pages/queue.html",
        {
            "stream": stream,
            "asked": asked,
            "tabs": _tabs(asked, listing.tally),
            "providers": _providers(asked, listing.tally),
            "without": {name: asked.url(**{name: None}) for name in ("provider", "q", "run")},
            "run_title": listing.run_title,
            "rows": rows,
            "rows_shown": ROWS,
            "first_page": not listing.newer,
            "pages": _pages(asked, listing),
            "previous": asked.url(before=rows[0].id) if rows and listing.newer else "",
            "next": asked.url(after=rows[-1].id) if rows and listing.older else "",
            "everything": _everything(asked, listing.tally),
            "nothing": _nothing(asked, listing),
            "panel": _panel(detail, actor_of(request)) if detail is not None else None,
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
    )


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
    provider = asked.wanted.provider
    tones = {"failed": "bad", "uncertain": "warn"}
    found = [
        Tab("all", "All", asked.url(status=None), tally.of(None, provider), asked.wanted.status is None, "")
    ]
    for status in ("pending", "processing", "completed", "failed", "uncertain", "cancelled"):
        count = tally.of(status, provider)
        tone = tones.get(status, "") if count else ""
        label = words.STATUSES[status].label
        found.append(Tab(status, label, asked.url(status=status), count, asked.wanted.status == status, tone))
    return found


def _providers(asked: Asked, tally: Tally) -> list[Choice]:
    """Those that are installed and those that something was asked of, by their labels."""
    names = set(quoting()) | {provider for provider, _ in tally.counted or ()}
    choices = [
        Choice(_provider_label(name), asked.url(provider=name), tally.of(asked.wanted.status, name), name)
        for name in names
    ]
    return sorted(choices, key=lambda choice: choice.label.casefold())


def _provider_label(name: str) -> str:
    adapter = quoting().get(name)
    return adapter.label if adapter else name


def _everything(asked: Asked, tally: Tally) -> Everything:
    status, provider = asked.wanted.status, asked.wanted.provider
    total = tally.of(status, provider)
    number = "" if total is None else f" {words.count(total)}"
    said = f" {status}" if status else ""
    return Everything(total, f"Select all{number}{said}" if number or said else "Select all that match")


def _pages(asked: Asked, listing: Listing) -> str:
    total = listing.tally.of(asked.wanted.status, asked.wanted.provider)
    shown = len(listing.rows)
    if total is None:
        return f"{words.count(shown)} shown"
    return f"{words.count(shown)} of {words.count(max(total, shown))}"


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
        "Look for a part of a product's name or its SKU, or take a filter off.",
        reverse("queue"),
        "Clear filters",
    )


# -- actions -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked before an action on many, with the number on the button."""

    title: str
    text: str
    action: str  # the name of the address that does it
    button: str
    icon: str
    danger: bool
    fields: list[tuple[str, str]]
    then: str


@needs("generate")
def retry(request: HttpRequest) -> HttpResponse:
    """Put what failed back into the queue: one, the chosen ones, or all that match."""
    if request.method != "POST":
        return HttpResponseRedirect(reverse("queue"))
    chosen = _chosen(request, RETRYABLE)
    failed = [each for each in chosen.matches if each.status in RETRYABLE]
    if not failed:
        return refuse(request, _nothing_to_do("retry", chosen), then=chosen.then)
    price = _price(failed)
    # The price is agreed to before it is spent: one that was not on the button is asked about.
    seen = price is not None and price <= chosen.agreed_micros and not chosen.everything
    if not seen and not chosen.confirmed(len(failed), price):
        return _ask(request, _retry_question(chosen, failed, price))
    moved = sum(generate.retry([each.id for each in part], actor_of(request)) for part in _parts(failed))
    told = f"{_generations(moved)} retried"
    if rest := len(chosen.matches) - moved:
        told += f", {words.count(rest)} had not failed"
    return _done(request, told, failed, chosen.then)


@needs("generate")
def cancel(request: HttpRequest) -> HttpResponse:
    """Cancel what has not ended: one, the chosen ones, or all that match."""
    if request.method != "POST":
        return HttpResponseRedirect(reverse("queue"))
    chosen = _chosen(request, CANCELLABLE)
    open_ones = [each for each in chosen.matches if each.status in CANCELLABLE]
    if not open_ones:
        return refuse(request, _nothing_to_do("cancel", chosen), then=chosen.then)
    if len(open_ones) > 1 and not chosen.confirmed(len(open_ones)):
        return _ask(request, _cancel_question(chosen, open_ones))
    done = [generate.cancel([each.id for each in part], actor_of(request)) for part in _parts(open_ones)]
    ended, away = sum(each.ended for each in done), sum(each.on_their_way for each in done)
    rest = len(chosen.matches) - len(open_ones) + sum(each.final_already for each in done)
    told = [f"{_generations(ended)} cancelled"] if ended or not away else []
    if away:
        told.append(f"{words.count(away)} on the way and paid for, the image is kept if it comes")
    if rest:
        told.append(f"{words.count(rest)} had ended already")
    return _done(request, ", ".join(told), open_ones, chosen.then)


@needs("generate")
def follow(request: HttpRequest) -> HttpResponse:
    """Go on from one of the four of a grid, at the price that was on the button."""
    if request.method != "POST":
        return HttpResponseRedirect(reverse("queue"))
    key, image = _uuid(request.POST.get("generation")), _uuid(request.POST.get("image"))
    if key is None or image is None:
        raise Http404
    then, model = reverse("generation", args=[key]), request.POST.get("model", "")
    agreed, chosen = request.POST.get(f"agreed-{model}", ""), request.POST.get("quadrant", "")
    try:
        asked = generate.request(
            follow_up.of(image, model, int(chosen) if chosen.isdecimal() else 0),
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
    key = _uuid(request.POST.get("generation"))
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
    noun = "image" if kept == 1 else "images"
    return _done(request, f"{words.count(kept)} {noun} kept", monitor.those([key]), then)


@needs("resolve_uncertain")
def resolve(request: HttpRequest) -> HttpResponse:
    """Settle a charge that nobody knew, by what the provider's own pages say."""
    if request.method != "POST":
        return HttpResponseRedirect(reverse("queue"))
    key = _uuid(request.POST.get("generation"))
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
    return _done(request, "Charge settled", monitor.those([key]), reverse("generation", args=[key]))


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


@dataclass(frozen=True, slots=True)
class Chosen:
    """What an action is meant for, and how far its person has agreed to it."""

    matches: list[Match]
    everything: bool
    more: bool  # more match than one action takes
    agreed_micros: int
    agreed_count: int | None
    then: str
    fields: list[tuple[str, str]]

    def confirmed(self, count: int, price: int | None = None) -> bool:
        """Whether the question was answered for as many as there are now, at the price that holds now."""
        return (
            self.agreed_count is not None
            and count <= self.agreed_count
            and (price is None or price <= self.agreed_micros)
        )


def _chosen(request: HttpRequest, statuses: Sequence[str]) -> Chosen:
    given = request.POST
    asked = _asked(given.dict())
    everything = given.get("all") == "1"
    if everything:
        matches = monitor.matching(asked.wanted, statuses, limit=MOST_AT_ONCE + 1)
        fields = [("all", "1")] + [
            (name, given.get(name, "")) for name in ("status", "provider", "q", "run") if given.get(name)
        ]
    else:
        ids = [key for key in map(_uuid, given.getlist("generation")[:MOST_AT_ONCE]) if key is not None]
        matches = monitor.those(ids)
        fields = [("generation", str(key)) for key in ids]
    count = given.get("count", "")
    agreed = given.get("agreed", "")
    return Chosen(
        matches[:MOST_AT_ONCE],
        everything,
        more=len(matches) > MOST_AT_ONCE,
        agreed_micros=int(agreed) if agreed.isascii() and agreed.isdigit() and len(agreed) < 18 else 0,
        agreed_count=int(count) if count.isascii() and count.isdigit() and len(count) < 9 else None,
        then=given.get("then") or asked.url(),
        fields=fields,
    )


def _retry_question(chosen: Chosen, failed: Sequence[Match], price: int | None) -> Question:
    number = len(failed)
    cost = "" if price is None else f" {words.money(dollars(price))}"
    sentences = [f"{_those(chosen, number)} back into the queue and pay for another attempt each."]
    if price is None:
        unknown = sum(each.expected_micros is None for each in failed)
        sentences.append(
            f"For {words.count(unknown)} of them no price is known; they wait until there is one."
        )
    return _question(
        chosen,
        f"Retry {_generations(number)}?",
        sentences,
        "queue_retry",
        f"Retry {_generations(number)}{cost}",
        "rotate-ccw",
        [("count", str(number)), ("agreed", str(price or 0))],
    )


def _cancel_question(chosen: Chosen, open_ones: Sequence[Match]) -> Question:
    number = len(open_ones)
    away = sum(each.status == "processing" for each in open_ones)
    sentences = [f"{_those(chosen, number)} out of the queue. This cannot be taken back."]
    if away:
        sentences.append(
            f"{words.count(away)} may be on the way: that is paid for, and the image is kept if it comes."
        )
    return _question(
        chosen,
        f"Cancel {_generations(number)}?",
        sentences,
        "queue_cancel",
        f"Cancel {_generations(number)}",
        "ban",
        [("count", str(number))],
    )


def _question(
    chosen: Chosen,
    title: str,
    sentences: list[str],
    action: str,
    button: str,
    icon: str,
    agreed: list[tuple[str, str]],
) -> Question:
    fields = [*chosen.fields, *agreed, ("then", chosen.then)]
    return Question(
        title, " ".join(sentences), action, button, icon, action == "queue_cancel", fields, chosen.then
    )


def _those(chosen: Chosen, number: int) -> str:
    if chosen.more:
        return f"More than {words.count(MOST_AT_ONCE)} match. The oldest {words.count(number)} go"
    if number == 1:
        return "It goes"
    return f"All {words.count(number)} go"


def _ask(request: HttpRequest, question: Question) -> HttpResponse:
    """Nothing is done yet: the person is asked, in a dialog or on a page."""
    page = "live/question.html" if "HX-Request" in request.headers else "pages/question.html"
    return render(request, page, {"question": question})


def _done(request: HttpRequest, told: str, touched: Sequence[Match], then: str) -> HttpResponse:
    """The rows that were touched, drawn again, and what was done in words."""
    rows = monitor.rows_of([each.id for each in touched[-DRAWN_AGAIN:]])
    costs = actor_of(request).may("read_costs")
    done = answer(request, Toast(told), [("live/queue.html", {"data": rows, "costs": costs})], then=then)
    done["HX-Trigger"] = "queue:done"
    return done


def _nothing_to_do(verb: str, chosen: Chosen) -> str:
    if not chosen.matches:
        return f"Nothing to {verb} here"
    if len(chosen.matches) > 1:
        return (
            f"Nothing was changed: none of them {'failed' if verb == 'retry' else 'is in the queue'} any more"
        )
    status = words.STATUSES[chosen.matches[0].status].label.lower()
    return f"Nothing was changed: it is {status} by now"


def _price(matches: Sequence[Match]) -> int | None:
    """What one more attempt of each is expected to cost, in micro-dollars; None: one price is not known."""
    known = [each.expected_micros for each in matches if each.expected_micros is not None]
    return sum(known) if len(known) == len(matches) else None


def _generations(number: int) -> str:
    return f"{words.count(number)} generation{'' if number == 1 else 's'}"


def _parts(matches: Sequence[Match]) -> Iterator[Sequence[Match]]:
    for start in range(0, len(matches), AT_ONCE):
        yield matches[start : start + AT_ONCE]


# -- what the stream shows -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers on the tabs, under the name of the filter they belong to."""

    counted_as: str
    by_status: list[tuple[str, int]]


def _rows(happenings: Sequence[Happening]) -> list[GenerationRow] | None:
    """The rows that something happened to, oldest first: they are put on top one by one."""
    touched = {each.subject for each in happenings if each.topic == "generation"}
    keys = [key for key in map(_uuid, touched) if key is not None]
    landed = [key for each in happenings if each.topic == "image" and (key := _uuid(each.subject))]
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
    wanted = Filter(provider=provider or None, run_id=_uuid(run))
    tally = monitor.tally(wanted)
    if tally.counted is None:
        return None
    by_status = [
        ("all", tally.of(None, wanted.provider)),
        *((each, tally.of(each, wanted.provider)) for each in GENERATION_STATUSES),
    ]
    return Counts(counted_as, [(name, number or 0) for name, number in by_status])


def _counted_as(provider: str | None, run_id: UUID | None) -> str:
    """The argument of the topic of counts. It becomes part of an element's id and of an address."""
    name = provider or ""
    safe = name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else ""
    return f"{safe}.{run_id.hex if run_id else ''}"


live.offer(
    Topic("queue", "read", "live/queue.html", _rows),
    Topic("queue-waits", "read", "live/queue.html", _waits, every_s=2.0),
    Topic("queue-counts", "read", "live/queue_counts.html", _counts, every_s=2.0, takes_argument=True),
)
