"""What keeps the queue honest when processes die: rescue, wake-ups, and looking at images again."""

from collections.abc import Set
from dataclasses import dataclass
from uuid import UUID

from django.core.management import call_command
from django.db import transaction

from packshot import catalogue, events, generations
from packshot.flows.admit import give_back
from packshot.flows.close import Completion, close
from packshot.generations import Claim
from packshot.kernel.errors import Unsure
from packshot.kernel.faults import fault_point


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
    drain_s: float = 30.0

    @classmethod
    def scaled(cls, by: float) -> "Timers":
        """Every timer divided by `by`: tests run the same proportions in less time."""
        return cls(**{name: getattr(cls(), name) / by for name in cls.__dataclass_fields__})

    def check(self, *, longest_deadline_s: float) -> None:
        """Refuse to start with timers that contradict each other."""
        if not self.lock_check_s < self.rescue_after_s:
            raise ValueError("a lock must be taken again sooner than its holder is declared dead")
        if not self.heartbeat_s < self.silent_s:
            raise ValueError("a process must beat sooner than it is declared silent")
        if not self.let_go_s < self.silent_s:
            raise ValueError("a frozen process must let go of its locks sooner than it is declared silent")
        if longest_deadline_s >= 330.0:
            raise ValueError("a provider's deadline must end before its worker is declared silent (330 s)")


def rescue(*, process_id: UUID, timers: Timers, slot: int) -> list[Claim]:
    """Resolve what dead processes left. Nothing is sent again: `intent` goes back to the queue, `sending`
    becomes uncertain, and `accepted` is taken over by this process, which collects it."""
    with transaction.atomic():
        generations.watch_locks()
    generations.end_silent(timers.silent_s)
    with transaction.atomic():
        gone = generations.lapsed(timers.rescue_after_s)
    if not gone:
        return []
    # From here each step is a transaction of its own: a process that is marked ended is found again by the
    # next sweep, of any worker, until nothing of it is open.
    fault_point("rescue.ended")
    left = generations.left_behind(gone)
    with transaction.atomic():
        give_back(left.get("intent", []), died=True)
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
        ],
        slot=slot,
    )
    fault_point("rescue.unsure")
    with transaction.atomic():
        adopted = generations.adopt(left.get("accepted", []), of=gone, process_id=process_id)
        events.wake()
        fault_point("rescue.adopted")
    return adopted


def give_back_unstarted(process_id: UUID, *, running: Set[UUID], older_than_s: float) -> int:
    """Release this process's own intents that it does not run: their admission's COMMIT got lost on the way.

    Returns how many went back to the queue.
    """
    with transaction.atomic():
        mine = generations.intents_of(process_id, older_than_s=older_than_s)
        return give_back([each for each in mine if each not in running])


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
        events.defer("look", [{"image_id": str(each)} for each in images])
    return len(images)


def prune(*, events_days: int = 7) -> int:
    """Forget old news (a page replays minutes, not weeks), sessions that ended, processes that vanished."""
    with transaction.atomic():
        generations.end_vanished(silent_s=600)
        forgotten = events.forget(older_than_days=events_days)
    call_command("clearsessions")
    return forgotten
