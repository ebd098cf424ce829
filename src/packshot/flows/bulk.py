"""One action on many generations: seen beforehand with its price, accepted in one short transaction that
freezes their ids, carried out in turns by the chores process, aborted, taken back.

Each turn is a transaction that holds its verbs and what became of each item: a process that is killed leaves
the turn undone or done, and the next begins where it stands. A retry spends nothing here: admission and the
budgets decide, as for every other generation.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction

from packshot import accounts, catalogue, events, generations, ledger, reports
from packshot.accounts import Actor, audit
from packshot.accounts.models import Role, User
from packshot.events import Happening
from packshot.flows import generate, prices
from packshot.flows.desk import quoting
from packshot.flows.generate import PriceRose
from packshot.generations import SHARED_SLOT, Switch, Wanted, bulk
from packshot.generations.bulk import Action, Item, Original, Result
from packshot.kernel.errors import BadInput, OverBudget, PackshotError
from packshot.kernel.ids import uuid7
from packshot.kernel.money import show
from packshot.providers.cards import fitting
from packshot.providers.contract import ImageRequest, ModelCard, Provider, Quote, default_model, model_card
from packshot.reports import monitor
from packshot.reports.finding import Filter

Kind = Literal["retry", "hand_over", "cancel", "reprioritise"]

MOST = 10_000  # generations in one action
PER_TURN = 500  # in one transaction
# So few are carried out at once by whoever asked, without waiting for the chores process.
AT_HAND = 100
STALLED_S = 60.0
LOWEST_PRIORITY, HIGHEST_PRIORITY = -100, 100

# What each kind is meant for; the rest is passed over.
MEANT_FOR: Mapping[Kind, tuple[str, ...]] = {
    "retry": ("failed",),
    "hand_over": ("failed",),
    "cancel": ("pending", "processing"),
    "reprioritise": ("pending",),
}
ON_ITS_WAY = "on its way and paid for; its image is kept if it comes"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done. `provider` and `model` belong to `hand_over`, `priority` to `reprioritise`."""

    kind: Kind
    provider: str = ""
    model: str = ""
    priority: int = 0

    def arguments(self) -> dict[str, Any]:
        """As they are kept with the action."""
        if self.kind == "hand_over":
            return {"provider": self.provider, "model": self.model}
        return {"priority": self.priority} if self.kind == "reprioritise" else {}


@dataclass(frozen=True, slots=True)
class Line:
    """What an action means for one provider: how many, and what they are expected to cost there."""

    provider: str
    simulated: bool
    count: int
    unknown: int  # of these no price is known
    expected_micros: int  # of those whose price is known


@dataclass(frozen=True, slots=True)
class Preview:
    """What an action would do, before anything is done. Its items are what it is accepted with."""

    order: Order
    wanted: Filter | None  # None: chosen one by one
    items: tuple[tuple[UUID, int | None], ...]
    lines: tuple[Line, ...]  # empty where it costs nothing
    by_status: Mapping[str, int]
    passed_over: int  # chosen, and not what it is meant for
    impossible: int = 0  # the other provider cannot make them
    why_impossible: str = ""
    more: bool = False  # more match than one action takes; these are the oldest

    @property
    def count(self) -> int:
        return len(self.items)

    @property
    def expected_micros(self) -> int | None:
        """What one attempt of each is expected to cost; None: one price is not known."""
        if any(line.unknown for line in self.lines):
            return None
        return sum(line.expected_micros for line in self.lines)

    @property
    def whole_queue(self) -> bool:
        """Whether no filter holds anything back."""
        return self.wanted is not None and self.wanted.everything


def preview(order: Order, *, wanted: Filter | None = None, ids: Sequence[UUID] = ()) -> Preview:
    """What `order` would do to all that match `wanted`, or else to `ids`. Raises BadInput if it cannot be."""
    _check(order)
    statuses = MEANT_FOR[order.kind]
    if wanted is not None:
        found = monitor.matching(wanted, statuses, limit=MOST + 1)
        more, found = len(found) > MOST, found[:MOST]
    else:
        found, more = monitor.those(list(ids)[:MOST]), False
    meant = [each for each in found if each.status in statuses]
    by_status: dict[str, int] = defaultdict(int)
    for each in meant:
        by_status[each.status] += 1
    plain = Preview(order, wanted, (), (), dict(by_status), len(found) - len(meant), more=more)
    if order.kind == "hand_over":
        return _priced_elsewhere(plain, [each.id for each in meant])
    if order.kind != "retry":
        return replace(plain, items=tuple((each.id, None) for each in meant))
    lines = _lines([(each.provider, each.simulated, each.expected_micros) for each in meant])
    return replace(plain, items=tuple((each.id, each.expected_micros) for each in meant), lines=lines)


def _check(order: Order) -> None:
    if order.kind not in MEANT_FOR:
        raise BadInput(f"{order.kind!r} is none of {', '.join(MEANT_FOR)}", field="action")
    if not LOWEST_PRIORITY <= order.priority <= HIGHEST_PRIORITY:
        raise BadInput(
            f"a priority is a whole number from {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}", field="priority"
        )


def _lines(priced: Sequence[tuple[str, bool, int | None]]) -> tuple[Line, ...]:
    found: dict[tuple[str, bool], list[int | None]] = defaultdict(list)
    for provider, simulated, micros in priced:
        found[provider, simulated].append(micros)
    return tuple(
        Line(provider, simulated, len(each), each.count(None), sum(micros or 0 for micros in each))
        for (provider, simulated), each in sorted(found.items())
    )


def _priced_elsewhere(plain: Preview, ids: Sequence[UUID]) -> Preview:
    provider, switch, card = _taker(plain.order)
    order = replace(plain.order, model=card.id)
    priced: list[tuple[UUID, int | None]] = []
    reasons: list[str] = []
    for original in bulk.originals(ids):
        try:
            priced.append((original.id, _quote(original, provider, switch, card).expected))
        except BadInput as problem:
            reasons.append(str(problem))
    return replace(
        plain,
        order=order,
        items=tuple(priced),
        lines=_lines([(provider.name, switch.simulated, micros) for _, micros in priced]),
        impossible=len(reasons),
        why_impossible=reasons[0] if reasons else "",
    )


def _taker(order: Order) -> tuple[Provider, Switch, ModelCard]:
    """Who takes over. Raises BadInput where nobody can be asked now."""
    provider, switch = generate.provider_to_ask(order.provider)
    card = model_card(provider, order.model) if order.model else default_model(provider)
    if card is None or card.kind != "generate" or card.retired:
        models = ", ".join(
            each.id for each in provider.models() if each.kind == "generate" and not each.retired
        )
        raise BadInput(f"{provider.label} takes over with one of its models: {models}", field="model")
    return provider, switch, card


def _quote(original: Original, provider: Provider, switch: Switch, card: ModelCard) -> Quote:
    """What it costs there; another model's seed means nothing, and neither do its options."""
    request = ImageRequest(
        card.id,
        original.prompt,
        original.shape,
        original.images,
        negative_prompt=original.negative_prompt,
        inputs=tuple(each.picture() for each in original.inputs),
    )
    return prices.quote(provider, fitting(request, card), switch.price_edition)


class Grew(PackshotError):
    """More match now than were agreed to. Look again."""


def accept(
    seen: Preview,
    actor: Actor,
    *,
    request_key: str,
    agreed_count: int,
    agreed_micros: int | None,
    whole_queue: bool = False,
) -> UUID:
    """Take the action on, with exactly the ids of `seen`, and return its id. A repeat under the same key gets
    the first one's. Nothing is done yet: `carry_out` does, in the background or at once.

    `agreed_count` and `agreed_micros` are what the person saw; more of either is asked about again.
    """
    if not actor.may("generate"):
        raise BadInput("your role may not act on generations")
    if not 8 <= len(request_key) <= 100:
        raise BadInput("a request key has 8 to 100 characters", field="request_key")
    before = bulk.action_under(request_key)
    if before is not None:
        return before
    if not seen.items:
        raise BadInput("nothing that matches can be acted on")
    if seen.whole_queue and not whole_queue:
        raise BadInput("no filter is set: say that the whole queue is meant, or narrow it", field="whole")
    if seen.count > agreed_count:
        raise Grew(f"{agreed_count:,} matched and {seen.count:,} do now; look again")
    price = seen.expected_micros
    if price is not None and price > (agreed_micros or 0):
        raise PriceRose(agreed_micros, price)
    order = seen.order
    if order.kind == "hand_over":
        _, switch, _ = _taker(order)
        free = price == 0 and quoting()[order.provider].free
        if not switch.simulated and not free and ledger.spending_limit() is None:
            raise OverBudget("no spending limit is set for real money; an administrator sets one first")
    action_id, run_id = uuid7(), None
    with transaction.atomic():
        if order.kind == "hand_over":
            run_id = uuid7()
            bulk.begin_run(
                title=f"{seen.count:,} again from {order.provider}",
                size=seen.count,
                person_id=actor.id,
                person_name=actor.name,
                run_id=run_id,
            )
        stored = bulk.begin_action(
            action_id,
            order.kind,
            request_key=request_key,
            person_id=actor.id,
            person_name=actor.name,
            filter=seen.wanted.stored() if seen.wanted else {},
            chosen=seen.wanted is None,
            arguments=order.arguments(),
            run_id=run_id,
            items=seen.items,
            quoted=[
                {
                    "provider": line.provider,
                    "simulated": line.simulated,
                    "count": line.count,
                    "unknown": line.unknown,
                    "micros": line.expected_micros,
                }
                for line in seen.lines
            ],
            quoted_micros=price,
        )
        if stored != action_id:  # the same key, at the same moment
            transaction.set_rollback(True)
            return stored
        audit(actor, f"{order.kind} in bulk", str(action_id), count=seen.count, **order.arguments())
        _begin(action_id, seen.count)
    return action_id


def _begin(action_id: UUID, count: int) -> None:
    _later(action_id, 0)
    events.tell([Happening("bulk", "accepted", str(action_id), {"count": count})])


def _later(action_id: UUID, place: int) -> None:
    events.defer_once("bulk", {"action_id": str(action_id), "place": place}, key=f"bulk {action_id} {place}")


# -- carrying out --------------------------------------------------------------------------------------


def carry_out(action_id: UUID, place: int) -> int | None:
    """One turn, from `place` on. Returns where the next begins; None: there is none, or this one is not due.

    The next turn is asked for in this one's transaction, and a turn that was done already does nothing: a job
    that is repeated does no item twice.
    """
    return _turn(action_id, place, PER_TURN)


def _turn(action_id: UUID, place: int, most: int) -> int | None:
    """A turn of at most so many items. The one that breaks it is found by halving, each half in a transaction
    of its own: within one, the second half would lock generations after the first half's figures and news,
    which is the other way round than everybody does (DESIGN: generation, attempt, budget, rollup, event)."""
    try:
        with transaction.atomic():
            return _one_transaction(action_id, place, most)
    except _BrokeOff as broke_off:
        problem, count = broke_off.problem, broke_off.count
    if count == 1:  # it must not hold up the others, whatever is wrong with it
        words = str(problem) if isinstance(problem, PackshotError) else f"a bug: {type(problem).__name__}"
        with transaction.atomic():
            return _one_transaction(action_id, place, 1, failed=words[:500])
    half = count // 2
    then = _turn(action_id, place, half)
    return None if then is None else _turn(action_id, then, count - half)


class _BrokeOff(Exception):
    """What was to be done to so many items at once could not be done, and nothing of it was."""

    def __init__(self, problem: Exception, count: int) -> None:
        super().__init__(f"{count} items: {type(problem).__name__}")
        self.problem, self.count = problem, count


def _one_transaction(action_id: UUID, place: int, most: int, *, failed: str = "") -> int | None:
    """`failed`: why nothing is to be done to the one item of this turn."""
    action = bulk.action(action_id, lock=True)
    if action is None or action.finished or action.next_place != place:
        return None
    actor = _actor(action)
    if not actor.may("generate"):
        bulk.stop_action(
            action_id, reason=f"{action.asked_by_name} may not act on generations any more", by_name=""
        )
        events.tell([Happening("bulk", "stopped", str(action_id))])
        return None
    items = bulk.next_items(action_id, place, most)
    results = (
        [Result(each.place, "failed", failed) for each in items] if failed else _results(action, items, actor)
    )
    last = bulk.note_results(action_id, results)
    then = None if last or not items else items[-1].place + 1
    if then is not None:
        _later(action_id, then)
    events.tell([Happening("bulk", "finished" if last else "moved", str(action_id))])
    return then


def carry_out_all(action_id: UUID) -> None:
    """Every turn of it, one after the other, beside whoever else works on it."""
    while True:
        action = bulk.action(action_id)
        if action is None or action.finished:
            return
        carry_out(action_id, action.next_place)


def go_on(*, older_than_s: float = STALLED_S) -> int:
    """Ask for the next turn of each action that stands still: its job got lost. Returns how many do."""
    found = bulk.stalled_actions(older_than_s=older_than_s)
    for action_id, place in found:
        _later(action_id, place)
    return len(found)


def _actor(action: Action) -> Actor:
    """Who asked, with the rights they hold now."""
    if action.asked_by_id is None:
        return Actor(None, action.asked_by_name, Role.ADMINISTRATOR)  # the command line
    return accounts.of_user(User.objects.get(pk=action.asked_by_id))


def _results(action: Action, items: Sequence[Item], actor: Actor) -> list[Result]:
    try:
        return _do(action, items, actor)
    except (OperationalError, InterfaceError):
        raise  # the database is away, or a lock was not to be had: the turn is done again
    except Exception as problem:
        raise _BrokeOff(problem, len(items)) from problem


def _do(action: Action, items: Sequence[Item], actor: Actor) -> list[Result]:
    ids = sorted(each.generation_id for each in items)
    generations.lock(ids)
    match action.kind:
        case "retry":
            return _retry(items, bulk.statuses_of(ids), actor)
        case "hand_over":
            return _hand_over(action, items, actor)
        case "cancel":
            return _cancel(items, bulk.statuses_of(ids), actor)
        case "reprioritise":
            priority = int(action.arguments["priority"])
            return _reprioritise({each.generation_id: priority for each in items}, items, actor)
        case "undo":
            return _undo(action, items, actor)


def _by_now(status: str) -> str:
    return f"it is {status} by now"


def _retry(items: Sequence[Item], statuses: Mapping[UUID, str], actor: Actor) -> list[Result]:
    failed = [each.generation_id for each in items if statuses[each.generation_id] == "failed"]
    generate.retry(failed, actor)
    return [
        Result(each.place, "done", before="failed")
        if statuses[each.generation_id] == "failed"
        else Result(each.place, "skipped", _by_now(statuses[each.generation_id]))
        for each in items
    ]


def _cancel(items: Sequence[Item], statuses: Mapping[UUID, str], actor: Actor) -> list[Result]:
    open_ones = [each for each, status in statuses.items() if status in MEANT_FOR["cancel"]]
    if open_ones:
        generate.cancel(open_ones, actor)
    after = bulk.statuses_of(open_ones)
    results = []
    for each in items:
        was = statuses[each.generation_id]
        if each.generation_id not in after:
            results.append(Result(each.place, "skipped", _by_now(was)))
        else:
            ended = after[each.generation_id] == "cancelled"
            results.append(Result(each.place, "done", "" if ended else ON_ITS_WAY, before=was))
    return results


def _reprioritise(priorities: Mapping[UUID, int], items: Sequence[Item], actor: Actor) -> list[Result]:
    was = bulk.reprioritise(priorities)
    audit(actor, "reprioritise generations", str(len(was)))
    events.tell([Happening("generation", "reprioritised", str(each)) for each in was])
    left = bulk.statuses_of([each for each in priorities if each not in was])
    return [
        Result(each.place, "done", before=str(was[each.generation_id]))
        if each.generation_id in was
        else Result(each.place, "skipped", _by_now(left.get(each.generation_id, "gone")))
        for each in items
    ]


def _hand_over(action: Action, items: Sequence[Item], actor: Actor) -> list[Result]:
    order = Order("hand_over", str(action.arguments["provider"]), str(action.arguments["model"]))
    provider, switch, card = _taker(order)
    by_id = {each.generation_id: each for each in items}
    again = bulk.tried_again(list(by_id))
    results: list[Result] = []
    wanted: list[Wanted] = []
    for original in bulk.originals(list(by_id)):
        item = by_id[original.id]
        reason = _why_not(original, again)
        if reason:
            results.append(Result(item.place, "skipped", reason))
            continue
        try:
            quote = _quote(original, provider, switch, card)
        except BadInput as problem:
            results.append(Result(item.place, "failed", str(problem)))
            continue
        if quote.expected is not None and (item.quoted_micros is None or quote.expected > item.quoted_micros):
            was = show(item.quoted_micros)
            results.append(
                Result(item.place, "failed", f"costs {show(quote.expected)} now; {was} was agreed to")
            )
            continue
        new = _wanted(original, provider, switch, card, quote)
        wanted.append(new)
        results.append(Result(item.place, "done", before="failed", made_id=new.id))
    if wanted:
        generations.request(
            wanted,
            key=f"bulk:{action.id}:{items[0].place}",
            fingerprint=str(action.id),
            title="",
            person_id=actor.id,
            person_name=actor.name,
            quoted_micros=_sum([each.expected_micros for each in wanted]),
            run_id=action.run_id,
        )
        catalogue.record_outcomes([catalogue.Outcome(each.product_id, "pending") for each in wanted])
        events.tell(
            [
                Happening(
                    "generation",
                    "pending",
                    str(each.id),
                    {"provider": each.provider, "run": str(action.run_id), "retry_of": str(each.retry_of)},
                )
                for each in wanted
            ]
        )
    return results


def _why_not(original: Original, again: Mapping[UUID, str]) -> str:
    if original.status != "failed":
        return _by_now(original.status)
    if original.archived:
        return "its product is archived"
    if original.id in again:
        return f"it was asked of {again[original.id]} already"
    return ""


def _wanted(original: Original, provider: Provider, switch: Switch, card: ModelCard, quote: Quote) -> Wanted:
    return Wanted(
        id=uuid7(),
        product_id=original.product_id,
        provider=provider.name,
        model=card.id,
        simulated=switch.simulated,
        prompt=original.prompt,
        template_version_id=original.template_version_id,
        shape=original.shape,
        shape_fit=original.shape_fit,
        images=original.images,
        seed=None,
        options={},
        priority=original.priority,
        expected_micros=quote.expected,
        ceiling_micros=quote.ceiling,
        price_version=quote.price_version,
        retry_of=original.id,
        negative_prompt=original.negative_prompt,
        inputs=original.inputs,
    )


def _sum(amounts: Sequence[int | None]) -> int | None:
    known = [each for each in amounts if each is not None]
    return sum(known) if len(known) == len(amounts) else None


# -- aborting and taking back --------------------------------------------------------------------------


def abort(action_id: UUID, actor: Actor) -> int:
    """End an action after the turn that is under way. Returns how many items had no turn."""
    if not actor.may("generate"):
        raise BadInput("your role may not act on generations")
    with transaction.atomic():
        action = bulk.action(action_id, lock=True)
        if action is None:
            raise BadInput(f"there is no action {action_id}", field="action")
        if action.finished:
            return 0
        left = bulk.stop_action(action_id, reason=f"aborted by {actor.name}", by_name=actor.name)
        audit(actor, "abort a bulk action", str(action_id), left=left)
        events.tell([Happening("bulk", "stopped", str(action_id))])
    return left


def undo(action_id: UUID, actor: Actor) -> UUID | None:
    """Take back what can be: cancels of what was pending, and priorities. The id of the action that does it;
    None: there is nothing to take back. A second time gives the first one's id."""
    if not actor.may("generate"):
        raise BadInput("your role may not act on generations")
    key = f"undo:{action_id}"
    before = bulk.action_under(key)
    if before is not None:
        return before
    new = uuid7()
    with transaction.atomic():
        size = bulk.begin_undo(new, action_id, request_key=key, person_id=actor.id, person_name=actor.name)
        if not size:
            return bulk.action_under(key)
        audit(actor, "undo a bulk action", str(action_id), count=size)
        _begin(new, size)
    return new


def _undo(action: Action, items: Sequence[Item], actor: Actor) -> list[Result]:
    if action.arguments["kind"] == "reprioritise":
        # Somebody may have given it yet another priority since: that one stands.
        given, now = (
            int(action.arguments["priority"]),
            bulk.priorities_of([each.generation_id for each in items]),
        )
        ours = [each for each in items if now.get(each.generation_id) == given]
        others = [each for each in items if now.get(each.generation_id) != given]
        back = _reprioritise({each.generation_id: int(each.before) for each in ours}, ours, actor)
        return back + [Result(each.place, "skipped", "its priority was changed since") for each in others]
    moved = {each.id: each for each in bulk.take_back_cancel([each.generation_id for each in items])}
    catalogue.record_outcomes([catalogue.Outcome(each.product_id, "pending") for each in moved.values()])
    reports.add(
        [
            reports.Delta(each.was_completed_at, each.provider, each.model, each.simulated, cancelled=-1)
            for each in moved.values()
            if each.was_completed_at is not None
        ],
        slot=SHARED_SLOT,
    )
    if moved:
        audit(actor, "take back a cancel", str(len(moved)))
    events.tell([Happening("generation", "pending", str(each), {"restored": True}) for each in moved])
    left = bulk.statuses_of([each.generation_id for each in items if each.generation_id not in moved])
    return [
        Result(each.place, "done")
        if each.generation_id in moved
        else Result(each.place, "skipped", _by_now(left[each.generation_id]))
        for each in items
    ]
