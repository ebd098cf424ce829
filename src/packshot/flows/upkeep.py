"""What keeps the queue honest when processes die: rescue, wake-ups, and looking at images again."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from uuid import UUID

from django.core.management import call_command
from django.db import transaction

from packshot import catalogue, events, generations, ledger, preferences, reports
from packshot.accounts import Actor
from packshot.events import Happening
from packshot.flows import generate
from packshot.flows.admit import give_back
from packshot.flows.close import Completion, close
from packshot.generations import Claim
from packshot.kernel.errors import BadAnswer, Unsure
from packshot.kernel.faults import fault_point
from packshot.kernel.money import Micros


@dataclass(frozen=True, slots=True)
class Timers:
    """One table of the timers that depend on each other, in seconds (DESIGN.md section 5)."""

    heartbeat_s: float = 5.0
    lock_check_s: float = 2.0
    sweep_s: float = 2.0
    rescue_after_s: float = 10.0
    silent_s: float = 330.0
    let_go_s: float = 30.0  # a transaction in which nothing happens is ended by the server
    poll_s: float = 1.0
    look_again_s: float = 60.0
    gather_s: float = 10.0  # between two orders of what may come by tomorrow: the more of it goes together
    batch_look_s: float = 60.0  # between two looks at a batch
    arrival_s: float = 600.0  # how long an order whose answer got lost may still be on its way
    part_s: float = 60.0  # what two workers died with goes back to the queue at moments this far apart
    # After a call's deadline, before `retry_uncertain` asks again: a rescue takes 12 s, and a provider tries
    # its callback for 36 s.
    unresolved_s: float = 60.0
    patience_s: float = 60.0  # for a provider that is down, before the next one of a route is asked
    stuck_s: float = 60.0  # an event loop that does nothing for so long is stuck, and its process is ended

    @classmethod
    def scaled(cls, by: float) -> "Timers":
        """Every timer divided by `by`: tests run the same proportions in less time. No machine gets faster by
        it, so what measures only the machine keeps some seconds."""
        times = {name: getattr(cls(), name) / by for name in cls.__dataclass_fields__}
        return cls(**times | {"stuck_s": min(max(times["stuck_s"], 5.0), times["silent_s"] * 0.9)})

    def check(self, *, longest_deadline_s: float) -> None:
        """Refuse to start with timers that contradict each other."""
        if not self.lock_check_s < self.rescue_after_s:
            raise ValueError("a lock must be taken again sooner than its holder is declared dead")
        if not self.heartbeat_s < self.silent_s:
            raise ValueError("a process must beat sooner than it is declared silent")
        if not self.stuck_s < self.silent_s:
            raise ValueError("a stuck process must be ended sooner than it is declared silent")
        if not self.let_go_s < self.silent_s:
            raise ValueError("a frozen process must let go of its locks sooner than it is declared silent")
        if longest_deadline_s >= 330.0:
            raise ValueError("a provider's deadline must end before its worker is declared silent (330 s)")


@dataclass(frozen=True, slots=True)
class Rescued:
    """Tickets that were taken over, and whether there are some that only an idle process should take."""

    claims: list[Claim]
    waits_for_quiet: bool = False


# A generation that so many workers died with is set aside: it would kill the next one as well.
MOST_DEATHS = 3
SET_ASIDE = (
    f"{MOST_DEATHS} workers died while they had it in hand, so it was set aside and the others go on. "
    "Find the cause in the workers' log, then retry it."
)
PAID_AND_SET_ASIDE = (
    f"{MOST_DEATHS} workers died while they waited for its image, so it was set aside and the others go on. "
    "It is paid for: its image is looked for again by itself for a day, and by `packshot queue collect`. "
    "Retry it only when that found nothing."
)


def rescue(*, process_id: UUID, timers: Timers, slot: int, idle: bool = True) -> Rescued:
    """Resolve what dead processes left. Nothing is sent again: `intent` goes back to the queue, `sending`
    becomes uncertain, and `accepted` is taken over by this process, which collects it.

    `idle`: this process has nothing else in hand.
    """
    with transaction.atomic():
        generations.watch_locks()
    generations.end_silent(timers.silent_s)
    with transaction.atomic():
        gone = generations.lapsed(timers.rescue_after_s)
    if not gone:
        return Rescued([])
    # What killed three is set aside. What two died with is tried once more, apart from everything else, so
    # that whoever dies next tells which one it was, and nothing else is taken for it.
    # From here each step is a transaction of its own: a process that is marked ended is found again by the
    # next sweep, of any worker, until nothing of it is open.
    fault_point("rescue.ended")
    left = generations.left_behind(gone)
    deaths = generations.deaths([*left.get("intent", []), *left.get("accepted", [])])
    intents = _by_deaths(left.get("intent", []), deaths)
    tickets = _by_deaths(left.get("accepted", []), deaths)
    with transaction.atomic():
        give_back(intents.innocent)
    # Transactions of their own: in lock order one list's generations come before another's budgets.
    with transaction.atomic():
        give_back(intents.suspect, within_s=timers.part_s)
    with transaction.atomic():
        _set_aside(intents.guilty, slot=slot)
    fault_point("rescue.returned")
    close(
        [
            Completion(
                attempt_id,
                error=Unsure(
                    "the worker died while the request was on its way; nobody knows whether it arrived",
                    kind="worker_lost",
                ),
            )
            for attempt_id in left.get("sending", [])
        ]
        + _paid_and_set_aside(tickets.guilty),
        slot=slot,
    )
    fault_point("rescue.unsure")
    with transaction.atomic():
        adopted = generations.adopt(tickets.innocent, of=gone, process_id=process_id)
        if idle and not adopted:
            adopted = [
                replace(claim, alone=True)
                for claim in generations.adopt(tickets.suspect[:1], of=gone, process_id=process_id)
            ]
        events.wake()
        fault_point("rescue.adopted")
    return Rescued(adopted, waits_for_quiet=bool(tickets.suspect) and not any(each.alone for each in adopted))


@dataclass(frozen=True, slots=True)
class _Sorted:
    innocent: list[UUID]
    suspect: list[UUID]
    guilty: list[UUID]


def _by_deaths(attempt_ids: Sequence[UUID], deaths: Mapping[UUID, int]) -> _Sorted:
    return _Sorted(
        [each for each in attempt_ids if deaths.get(each, 0) < MOST_DEATHS - 1],
        [each for each in attempt_ids if deaths.get(each, 0) == MOST_DEATHS - 1],
        [each for each in attempt_ids if deaths.get(each, 0) >= MOST_DEATHS],
    )


def _set_aside(attempt_ids: Sequence[UUID], *, slot: int) -> None:
    """End these generations, of which nothing was sent, so that no further worker dies of them."""
    standing = generations.standing(generations.release_intents(attempt_ids))
    ended_at = generations.step_generations(
        [
            generations.Step(
                at.generation_id, "failed", error_kind="worker_lost", error_message=SET_ASIDE, added_micros=0
            )
            for at in standing.values()
        ]
    )
    catalogue.record_outcomes([catalogue.Outcome(at.product_id, "failed") for at in standing.values()])
    if ledger.release(sorted(standing)):
        generations.wake_waiting_for("budget")
    deltas, news = [], []
    for at in standing.values():
        ended = ended_at[at.generation_id]
        assert ended is not None, "a failed generation has its time"
        deltas.append(reports.Delta(ended, at.provider, at.model, at.simulated, failed=1))
        news.append(
            Happening(
                "generation",
                "failed",
                str(at.generation_id),
                {"sku": at.sku, "provider": at.provider, "run": str(at.run_id) if at.run_id else None},
            )
        )
    reports.add(deltas, slot=slot)
    events.tell(news)


def _paid_and_set_aside(attempt_ids: Sequence[UUID]) -> list[Completion]:
    """The ends of tickets of which three workers died. The order stands at the provider, so it is charged."""
    costs = generations.stated_costs(attempt_ids)
    return [
        Completion(
            attempt_id,
            error=BadAnswer(
                PAID_AND_SET_ASIDE,
                kind="worker_lost",
                charge="charged",
                cost=None if (cost := costs[attempt_id]) is None else Micros(cost),
            ),
        )
        for attempt_id in attempt_ids
    ]


def give_back_unstarted(process_id: UUID, *, running: Set[UUID], older_than_s: float) -> int:
    """Release this process's own intents that it does not run: their admission's COMMIT got lost on the way.

    Returns how many went back to the queue.
    """
    with transaction.atomic():
        mine = generations.intents_of(process_id, older_than_s=older_than_s)
        return give_back([each for each in mine if each not in running])


POLICY = Actor(None, "policy retry_uncertain", "administrator")
ASKED_AGAIN = (
    "nobody knows whether it was charged; the site's policy asked again once, and the money stays held until "
    "the charge is settled"
)


def ask_again_once(*, grace_s: float, slot: int) -> int:
    """By the policy `retry_uncertain`: ask once more for what nobody could resolve. Returns how many.

    The uncertain attempt ends with evidence, its hold stays, and its generation goes back to the queue: a new
    attempt, admitted with a new hold like any other. A generation that was asked again so is not again.
    """
    if preferences.get("retry_uncertain") != "once":
        return 0
    with transaction.atomic(), events.told_last():
        due = generations.unresolved(grace_s)
        if not due:
            return 0
        generations.lock_providers(sorted({provider for provider, _ in due.values()}))
        standing = generations.standing(list(due))
        # Another worker, a person or a late answer may have been quicker.
        left = [each for each in generations.unresolved(grace_s) if each in standing]
        close(
            [
                Completion(
                    each,
                    error=BadAnswer(ASKED_AGAIN, kind="timeout", charge="unknown"),
                    evidence=("policy", POLICY.name),
                    note=ASKED_AGAIN,
                )
                for each in left
            ],
            slot=slot,
        )
        return generate.retry([standing[each].generation_id for each in left], POLICY) if left else 0


def wake_due() -> int:
    """Make parked generations ready whose time has come."""
    with transaction.atomic():
        woken = generations.wake_due()
        if woken:
            events.wake()
    return woken


def look_again(*, older_than_s: float = 300.0) -> int:
    """Defer the decoding of images whose background work got lost. Returns how many."""
    with transaction.atomic():
        images = catalogue.waiting_to_be_decoded(older_than_s=older_than_s)
        events.look_later(images)
    return len(images)


def prune(*, events_days: int = 7) -> int:
    """Forget old news (a page replays minutes, not weeks), sessions that ended, processes that vanished."""
    with transaction.atomic():
        generations.end_vanished(silent_s=600)
        generations.forget_callbacks(older_than_days=30)
        forgotten = events.forget(older_than_days=events_days)
    call_command("clearsessions")
    return forgotten
