"""What is done to many generations of the Queue: asked about with its number and price, accepted, followed,
aborted, taken back; and every action there was, with what became of each of its items."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from packshot import generations
from packshot.events import Happening
from packshot.flows import bulk, prices
from packshot.flows.bulk import Grew, Line, Order, Preview
from packshot.flows.desk import quoting
from packshot.flows.generate import PriceRose
from packshot.kernel.errors import BadInput, OverBudget
from packshot.kernel.money import dollars
from packshot.providers.cards import fitting
from packshot.providers.contract import ImageRequest
from packshot.reports import actions as reads
from packshot.reports import monitor
from packshot.reports.actions import ActionRow, ItemRow
from packshot.web import live, sheets, words
from packshot.web.answers import Link, Toast, Undo, answer, refuse
from packshot.web.asked import Asked, asked_of, uuid_of
from packshot.web.bulk_words import ICONS, Said, priority_words, say
from packshot.web.jinja import model_name, provider_name
from packshot.web.live import Topic
from packshot.web.pages import queue as page
from packshot.web.security import actor_of, needs

ROWS = 50
ITEMS = 100
_VERBS = {
    "retry": "retried",
    "hand_over": "asked for",
    "cancel": "cancelled",
    "reprioritise": "reprioritised",
}
_DOING = {
    "retry": "Retrying",
    "hand_over": "Asking again for",
    "cancel": "Cancelling",
    "reprioritise": "Reprioritising",
    "undo": "Taking back",
}


@dataclass(frozen=True, slots=True)
class Way:
    """Another provider's model, and what the first of the chosen ones would cost there."""

    value: str
    label: str
    each: str


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
    lines: tuple[Line, ...] = ()
    whole: bool = False  # no filter is set: it has to be said
    ways: list[Way] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What an action is meant for, and how far its person has agreed to it."""

    asked: Asked
    everything: bool
    ids: list[UUID]
    agreed_micros: int
    agreed_count: int | None
    whole: bool
    key: str
    then: str
    fields: list[tuple[str, str]]

    def confirmed(self, seen: Preview) -> bool:
        """Whether the question was answered for as many as there are now, at the price that holds now."""
        price = seen.expected_micros
        return (
            self.agreed_count is not None
            and seen.count <= self.agreed_count
            and (price is None or price <= self.agreed_micros)
            and (self.whole or not seen.whole_queue)
        )


@needs("generate")
def retry(request: HttpRequest) -> HttpResponse:
    """Put what failed back into the queue: one, the chosen ones, or all that match."""
    return _act(request, Order("retry"))


@needs("generate")
def cancel(request: HttpRequest) -> HttpResponse:
    """Cancel what has not ended: one, the chosen ones, or all that match."""
    return _act(request, Order("cancel"))


@needs("generate")
def reprioritise(request: HttpRequest) -> HttpResponse:
    """Have what waits taken earlier or later."""
    text = request.POST.get("priority", "0")
    priority = int(text) if re.fullmatch(r"-?\d{1,3}", text, re.ASCII) else 0
    return _act(request, Order("reprioritise", priority=priority))


@needs("generate")
def hand_over(request: HttpRequest) -> HttpResponse:
    """Ask another provider for what failed: first which one, then at its price."""
    provider, _, model = request.POST.get("with", "").partition("/")
    return _act(request, Order("hand_over", provider=provider[:32], model=model[:100]))


def _act(request: HttpRequest, order: Order) -> HttpResponse:
    if request.method != "POST":
        return HttpResponseRedirect(reverse("queue"))
    chosen = _chosen(request)
    if order.kind == "hand_over" and not order.provider:
        return _ask_whom(request, chosen)
    try:
        seen = bulk.preview(order, wanted=chosen.asked.wanted if chosen.everything else None, ids=chosen.ids)
        if not seen.items:
            return refuse(request, _nothing_to_do(seen, chosen), then=chosen.then)
        if not _agreed(seen, chosen):
            return _ask(request, _question(seen, chosen))
        action_id = bulk.accept(
            seen,
            actor_of(request),
            request_key=chosen.key or uuid4().hex,
            agreed_count=seen.count if chosen.agreed_count is None else chosen.agreed_count,
            agreed_micros=chosen.agreed_micros,
            whole_queue=chosen.whole,
        )
    except (BadInput, OverBudget, PriceRose, Grew) as problem:
        return refuse(request, problem, then=chosen.then)
    if seen.count > bulk.AT_HAND:
        said = f"{_DOING[order.kind]} {words.many(seen.count, 'generation')}"
        shown = Toast(said, link=Link(reverse("bulk_action", args=[action_id]), "Show"))
        accepted = answer(request, shown, then=chosen.then)
        accepted["HX-Trigger"] = "queue:done"
        return accepted
    bulk.carry_out_all(action_id)
    return _told(request, action_id, seen, chosen)


def _agreed(seen: Preview, chosen: Chosen) -> bool:
    """Whether nothing has to be asked first: it was, or the price was on the button, or it costs nothing and
    concerns one, or what was chosen row by row and can be taken back."""
    if chosen.confirmed(seen):
        return True
    if chosen.everything:
        return False
    match seen.order.kind:
        case "retry":
            price = seen.expected_micros
            return price is not None and price <= chosen.agreed_micros
        case "cancel":
            return seen.count == 1
        case "reprioritise":
            return True
        case "hand_over":
            return False


def _told(request: HttpRequest, action_id: UUID, seen: Preview, chosen: Chosen) -> HttpResponse:
    """The rows that were touched, drawn again; what was done, in words; the way back where there is one."""
    row, items = reads.action(action_id), reads.items(action_id, limit=bulk.AT_HAND)
    assert row is not None, "it was accepted a moment ago"
    away = sum(item.reason == bulk.ON_ITS_WAY for item in items)
    ended, rest = row.done - away, row.skipped + seen.passed_over
    said = (
        [f"{words.many(ended, 'generation')} {_VERBS[row.kind]}"] if ended or not (away or row.failed) else []
    )
    if row.kind == "hand_over" and ended:
        said = [f"{words.many(ended, 'image')} asked of {provider_name(seen.order.provider)}"]
    if away:
        said.append(f"{words.count(away)} on the way and paid for, the image is kept if it comes")
    if row.failed:
        said.append(f"{words.count(row.failed)} failed")
    if rest:
        why = {"retry": "had not failed", "cancel": "had ended already", "reprioritise": "did not wait"}
        said.append(f"{words.count(rest)} {why.get(row.kind, 'passed over')}")
    touched = monitor.those([each.made_id or each.generation_id for each in items])
    undo = None
    if row.can_be_undone and ended:
        undo = Undo(reverse("bulk_undo", args=[action_id]), {"then": chosen.then})
    return page.done(request, ", ".join(said), touched, chosen.then, undo)


def _chosen(request: HttpRequest) -> Chosen:
    given = request.POST
    actor = actor_of(request)
    asked = asked_of({name: value for name, value in given.dict().items() if name != "generation"}, actor)
    everything = given.get("all") == "1"
    ids: list[UUID] = []
    if everything:
        fields = [("all", "1"), *asked.filter_values.items()]
    else:
        ids = [key for key in map(uuid_of, given.getlist("generation")[: bulk.MOST]) if key is not None]
        fields = [("generation", str(key)) for key in ids]
    for name in ("priority", "with"):
        if given.get(name):
            fields.append((name, given[name][:140]))
    count = given.get("count", "")
    agreed = given.get("agreed", "")
    return Chosen(
        asked,
        everything,
        ids,
        agreed_micros=int(agreed) if agreed.isascii() and agreed.isdigit() and len(agreed) < 18 else 0,
        agreed_count=int(count) if count.isascii() and count.isdigit() and len(count) < 9 else None,
        whole=given.get("whole") == "1",
        key=given.get("key", "")[:64],
        then=given.get("then") or asked.url(),
        fields=fields,
    )


# -- what is asked first ---------------------------------------------------------------------------------


def _called(provider: str, model: str) -> str:
    """A model with its provider, whose name some models carry in front of their own."""
    house, name = provider_name(provider), model_name(model, provider)
    return name if name.startswith(house) else f"{house} {name}"


def _question(seen: Preview, chosen: Chosen) -> Question:
    number, price = seen.count, seen.expected_micros
    cost = "" if price is None or not seen.lines else f" {words.money(dollars(price))}"
    title = words.many(number, "generation")
    sentences, button = [_those(seen)], f"{title}{cost}"
    match seen.order.kind:
        case "retry":
            sentences[0] += " back into the queue and pay for another attempt each."
            title, button = f"Retry {title}?", f"Retry {button}"
        case "hand_over":
            whom = _called(seen.order.provider, seen.order.model)
            them = "it" if number == 1 else f"all {words.count(number)}"
            sentences[0] = f"{whom} is asked anew for {them}; what failed stays as it is."
            title, button = f"Retry {title} with {whom}?", f"Ask for {words.many(number, 'image')}{cost}"
        case "reprioritise":
            sentences[0] += f" to the priority {priority_words(seen.order.priority)}, within its own run."
            title, button = f"Change the priority of {title}?", f"Change {words.many(number, 'generation')}"
        case "cancel":
            sentences[0] += " out of the queue. What waits can be taken back afterwards."
            title, button = f"Cancel {title}?", f"Cancel {button}"
    if away := seen.by_status.get("processing", 0):
        sentences.append(
            f"{words.count(away)} may be on the way: that is paid for, and the image is kept if it comes."
        )
    if unknown := sum(line.unknown for line in seen.lines):
        sentences.append(
            f"For {words.count(unknown)} of them no price is known; they wait until there is one."
        )
    if seen.impossible:
        sentences.append(f"{words.count(seen.impossible)} cannot be asked for there: {seen.why_impossible}.")
    if seen.passed_over:
        sentences.append(f"{words.count(seen.passed_over)} of those chosen are passed over.")
    if number > bulk.AT_HAND:
        sentences.append("It is done in the background; you can follow and abort it.")
    agreed = [("count", str(number)), ("agreed", str(price or 0)), ("key", uuid4().hex)]
    return Question(
        title,
        " ".join(sentences),
        f"queue_{seen.order.kind}",
        button,
        ICONS[seen.order.kind],
        seen.order.kind == "cancel",
        [*chosen.fields, *agreed, ("then", chosen.then)],
        chosen.then,
        seen.lines if len(seen.lines) > 1 or any(line.unknown for line in seen.lines) else (),
        seen.whole_queue,
    )


def _those(seen: Preview) -> str:
    if seen.more:
        return f"More than {words.count(bulk.MOST)} match. The oldest {words.count(seen.count)} go"
    if seen.count == 1:
        return "It goes"
    return f"All {words.count(seen.count)} go"


def _ask_whom(request: HttpRequest, chosen: Chosen) -> HttpResponse:
    """Which provider is to take over: each model that can be asked now, and what the first costs there."""
    try:
        seen = bulk.preview(
            Order("retry"), wanted=chosen.asked.wanted if chosen.everything else None, ids=chosen.ids
        )
    except BadInput as problem:
        return refuse(request, problem, then=chosen.then)
    if not seen.items:
        return refuse(request, _nothing_to_do(seen, chosen), then=chosen.then)
    (first,) = generations.bulk.originals([seen.items[0][0]])
    ways = []
    for name, provider in sorted(quoting().items(), key=lambda item: item[1].label.casefold()):
        switch = generations.provider_switch(name)
        if switch is None or not switch.available or switch.draining:
            continue
        if not switch.simulated and not switch.switched_on:
            continue
        for card in provider.models():
            if card.retired or card.kind != "generate":
                continue
            request_there = ImageRequest(card.id, first.prompt, first.shape, first.images)
            try:
                quote = prices.quote(provider, fitting(request_there, card), switch.price_edition)
            except BadInput:
                continue
            micros = quote.expected
            each = "price unknown" if micros is None else words.price(dollars(micros)) if micros else "free"
            ways.append(Way(f"{name}/{card.id}", f"{provider.label}, {card.label}", each))
    if not ways:
        return refuse(request, "No other provider can be asked now", then=chosen.then)
    return _ask(
        request,
        Question(
            f"Retry {words.many(seen.count, 'generation')} with another provider",
            "Each is asked for anew with its own prompt; what failed stays as it is. The price comes next.",
            "queue_hand_over",
            "See the price",
            "plug-zap",
            False,
            [*chosen.fields, ("then", chosen.then)],
            chosen.then,
            ways=ways,
        ),
    )


def _ask(request: HttpRequest, question: Question) -> HttpResponse:
    """Nothing is done yet: the person is asked, in a dialog or on a page."""
    template = "live/question.html" if "HX-Request" in request.headers else "pages/question.html"
    return render(request, template, {"question": question})


def _nothing_to_do(seen: Preview, chosen: Chosen) -> str:
    kind = seen.order.kind
    if seen.impossible:
        return f"Nothing was changed: none can be asked for there: {seen.why_impossible}"
    verb = {"retry": "retry", "hand_over": "retry", "cancel": "cancel"}.get(kind, "reprioritise")
    if not seen.passed_over:
        return f"Nothing to {verb} here"
    if seen.passed_over > 1:
        stands = "failed" if kind in ("retry", "hand_over") else "is in the queue"
        return f"Nothing was changed: none of them {stands} any more"
    match = monitor.those(chosen.ids)[0]
    return f"Nothing was changed: it is {words.STATUSES[match.status].label.lower()} by now"


# -- every action there was ------------------------------------------------------------------------------


@needs("read")
@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """Every action on many, newest first."""
    after = uuid_of(request.GET.get("after"))
    stream = live.address("bulk")
    rows = reads.actions(limit=ROWS + 1, after=after)
    more = len(rows) > ROWS
    return render(
        request,
        "pages/bulk_actions.html",
        {
            "stream": stream,
            "actions": [say(row) for row in rows[:ROWS]],
            "older": f"{reverse('bulk_actions')}?after={rows[ROWS - 1].id}" if more else "",
            "newest": reverse("bulk_actions") if after else "",
        },
    )


@dataclass(frozen=True, slots=True)
class Share:
    """The items of one outcome."""

    label: str
    url: str
    count: int
    current: bool
    tone: str


OUTCOMES = {"done": ("Done", ""), "failed": ("Failed", "bad"), "skipped": ("Passed over", "")}


@needs("read")
@require_safe
def action(request: HttpRequest, action_id: UUID) -> HttpResponse:
    """One action: how far it is, and what became of each item."""
    stream = live.address(f"bulk-action:{action_id.hex}")
    row = reads.action(action_id)
    if row is None:
        raise Http404
    given = request.GET
    outcome = given.get("outcome") if given.get("outcome") in OUTCOMES else None
    text = given.get("after", "")
    after = int(text) if text.isdecimal() and len(text) < 9 else -1
    items = reads.items(action_id, outcome=outcome, after=after, limit=ITEMS + 1)
    address = reverse("bulk_action", args=[action_id])
    filtered = f"?outcome={outcome}" if outcome else "?"
    numbers = {"done": row.done, "failed": row.failed, "skipped": row.skipped}
    shares = [Share("All", address, row.size, outcome is None, "")]
    for name, (label, tone) in OUTCOMES.items():
        count = numbers[name]
        shares.append(
            Share(label, f"{address}?outcome={name}", count, outcome == name, tone if count else "")
        )
    more = len(items) > ITEMS
    return render(
        request,
        "pages/bulk_action.html",
        {
            "stream": stream,
            "said": say(row),
            "items": items[:ITEMS],
            "shares": shares,
            "older": f"{address}{filtered}&after={items[ITEMS - 1].place}" if more else "",
            "first": f"{address}{filtered}" if after >= 0 else "",
            "on_list": asked_of(_as_values(row), actor_of(request)).url() if not row.chosen else "",
        },
    )


def _as_values(row: ActionRow) -> dict[str, str]:
    names = {"run_id": "run", "template_id": "template", "text": "q"}
    return {names.get(key, key): value for key, value in row.filter.items()}


@needs("generate")
def abort(request: HttpRequest, action_id: UUID) -> HttpResponse:
    """Do no more of it."""
    then = request.POST.get("then") or reverse("bulk_action", args=[action_id])
    if request.method != "POST":
        return HttpResponseRedirect(then)
    try:
        left = bulk.abort(action_id, actor_of(request))
    except BadInput as problem:
        return refuse(request, problem, then=then)
    said = (
        f"Aborted, {words.many(left, 'generation')} left as they were" if left else "It was finished already"
    )
    return _again(request, action_id, Toast(said), then)


@needs("generate")
def undo(request: HttpRequest, action_id: UUID) -> HttpResponse:
    """Take back what can be taken back of it."""
    then = request.POST.get("then") or reverse("bulk_action", args=[action_id])
    if request.method != "POST":
        return HttpResponseRedirect(then)
    try:
        new = bulk.undo(action_id, actor_of(request))
    except BadInput as problem:
        return refuse(request, problem, then=then)
    if new is None:
        return refuse(request, "Nothing of it can be taken back", then=then)
    row = reads.action(new)
    assert row is not None, "it was accepted a moment ago"
    link = Link(reverse("bulk_action", args=[new]), "Show")
    if row.size > bulk.AT_HAND:
        return _again(
            request, action_id, Toast(f"Taking back {words.many(row.size, 'generation')}", link=link), then
        )
    bulk.carry_out_all(new)
    items = reads.items(new, limit=bulk.AT_HAND)
    number = sum(item.outcome == "done" for item in items)
    told = f"{words.many(number, 'generation')} taken back"
    if number < row.size:
        told += f", {words.count(row.size - number)} changed since"
    touched = monitor.those([each.generation_id for each in items])
    if request.POST.get("then"):
        return page.done(request, told, touched, then)
    return _again(request, action_id, Toast(told, link=link), then)


def _again(request: HttpRequest, action_id: UUID, toast: Toast, then: str) -> HttpResponse:
    row = reads.action(action_id)
    if row is None:
        return answer(request, toast, then=then)
    data = {"data": say(row), "may": actor_of(request).may("generate")}
    return answer(request, toast, [("live/bulk_acted.html", data)], then=then)


@needs("read")
@require_safe
def results(request: HttpRequest, action_id: UUID) -> StreamingHttpResponse:
    """Every item of an action as CSV: what became of it, and why."""
    row = reads.action(action_id)
    if row is None:
        raise Http404
    return streamed(f"packshot-action-{str(action_id)[-8:]}.csv", _Results(action_id))


class _Results:
    columns = (
        "place", "generation_id", "sku", "product_name", "provider", "outcome", "reason", "before",
        "quoted_dollars", "made_id", "at",
    )  # fmt: skip

    def __init__(self, action_id: UUID) -> None:
        self._id = action_id
        self._after = -1

    def next(self) -> Sequence[Sequence[object]]:
        items: list[ItemRow] = reads.items(self._id, after=self._after, limit=reads.EXPORTED_AT_ONCE)
        if items:
            self._after = items[-1].place
        return [
            (
                each.place, each.generation_id, each.sku, each.product_name, each.provider,
                each.outcome or "waiting", each.reason, each.before, each.quoted, each.made_id, each.at,
            )
            for each in items
        ]  # fmt: skip


@needs("read")
@require_safe
def export(request: HttpRequest) -> StreamingHttpResponse:
    """Every generation of the filter as CSV, with all columns, however many there are."""
    actor = actor_of(request)
    asked = asked_of(request.GET.dict(), actor)
    hidden = () if actor.may("read_costs") else ("estimated_cost", "actual_cost")
    return streamed(f"packshot-queue-{timezone.now():%Y-%m-%d}.csv", _Generations(asked, hidden))


class _Generations:
    def __init__(self, asked: Asked, hidden: Sequence[str]) -> None:
        self._export = reads.Export(asked.wanted)
        self._hidden = hidden
        self.columns: Sequence[str] = ()

    def next(self) -> Sequence[Sequence[object]]:
        rows = self._export.next()
        kept = [place for place, name in enumerate(self._export.columns) if name not in self._hidden]
        self.columns = [self._export.columns[place] for place in kept]
        return [[row[place] for place in kept] for row in rows]


def streamed(name: str, source: "_Results | _Generations") -> StreamingHttpResponse:
    """A file that is sent while it is written: never more of it in memory than one reading."""

    async def parts() -> AsyncIterator[str]:
        rows = await sync_to_async(source.next)()
        yield sheets.lines([source.columns])
        while rows:
            yield sheets.lines(rows)
            rows = await sync_to_async(source.next)()

    response = StreamingHttpResponse(parts(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


# -- what the stream shows -------------------------------------------------------------------------------


def _moved(happenings: Sequence[Happening]) -> list[Said] | None:
    """The actions that something happened to."""
    keys = [key for each in happenings if each.topic == "bulk" and (key := uuid_of(each.subject))]
    return [say(row) for row in reads.actions(ids=keys)] or None if keys else None


def _moved_one(happenings: Sequence[Happening], argument: str) -> Said | None:
    key = uuid_of(argument)
    if key is None or not any(each.topic == "bulk" and uuid_of(each.subject) == key for each in happenings):
        return None
    row = reads.action(key)
    return say(row) if row else None


live.offer(
    Topic("bulk", "read", "live/bulk_actions.html", _moved, every_s=1.0),
    Topic("bulk-action", "read", "live/bulk_action.html", _moved_one, every_s=0.5, takes_argument=True),
)
