"""The pay process: admits, calls, closes. It decodes no image, so no decoder can take a paid call down."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import InterfaceError, OperationalError

from packshot import generations, ledger
from packshot.blobs import BlobStore
from packshot.events import CHANNEL
from packshot.flows import admit, batches, callbacks, routing, spending, upkeep
from packshot.flows.close import Completion, close
from packshot.flows.desk import Desk
from packshot.flows.run import Surroundings, resume, run
from packshot.flows.upkeep import Timers
from packshot.generations import Claim, Due, Enrolled
from packshot.kernel.errors import ProviderError, Unsure
from packshot.kernel.faults import fault_point
from packshot.providers.contract import Batches, Progress, Provider, Ticket
from packshot.worker.database import HUNG_S, Batch, Database
from packshot.worker.fence import Fence, Waker
from packshot.worker.shelf import Shelf
from packshot.worker.watchdog import Watchdog

log = logging.getLogger(__name__)

# Claims per admission: enough to make its four round trips cheap, few enough to share the queue fairly
# with other workers.
ADMIT_AT_ONCE = 100
# The shortest time between two looks at what providers said by themselves. Where none can reach this site
# there is only what came while one could.
HEED_S = 0.05
# How long ends wait for an admission. Both lock the same budgets and the outbox, so side by side each waits
# for the other's COMMIT; and a free seat is worth more than an end that is written a moment sooner.
SEATS_FIRST_S = 0.1
HEED_RARELY_S = 10.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator may choose about a pay process."""

    most_in_flight: int = 500
    timers: Timers = Timers()  # noqa: RUF009 - frozen
    timer_scale: float = 1.0


class PayWorker:
    """One process's loop: wake, admit, run, beat, rescue, drain. Also the `Lines` that attempts write by."""

    def __init__(self, desk: Desk, store: BlobStore, settings: Settings) -> None:
        self._desk = desk
        self._settings = settings
        self._timers = settings.timers
        self._database = Database(hung_s=HUNG_S / settings.timer_scale)
        self._store, self._shelf = store, Shelf(store)
        self._around = Surroundings(self, self._shelf, settings.timer_scale, callbacks.addresses(desk))
        self._sending: Batch[Claim, bool] = Batch(self._database, self._write_sending)
        self._accepting: Batch[tuple[Claim, Ticket], None] = Batch(self._database, self._write_accepted)
        self._closings: Batch[Completion, None] = Batch(
            self._database, self._write_closing, turn=self._until_seated
        )
        self._seated = asyncio.Event()  # not set: an admission is under way
        self._seated.set()
        self._waker = Waker(CHANNEL, check_s=10.0 / settings.timer_scale)
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        # Attempts whose request may be on its way: from before `sending` is committed to ticket or end.
        self._leaving: set[UUID] = set()
        self._ticketed: set[UUID] = set()
        # Called and kept, their ends being written: they hold a row in memory and no seat.
        self._ending: set[UUID] = set()
        # Attempts of orders that are being sent: one task for many, so none of them is dropped by itself.
        self._ordering: set[UUID] = set()
        self._looks: dict[UUID, asyncio.Task[None]] = {}  # at batches, by batch
        self._ordered_at = float("-inf")
        self._sellers: dict[str, batches.Sells] = {
            name: provider for name, provider in desk.providers.items() if isinstance(provider, Batches)
        }
        self._news_of: dict[UUID, asyncio.Event] = {}  # rung when a provider says that there is some
        self._heed_every_s = HEED_S if callbacks.come(desk) else HEED_RARELY_S / settings.timer_scale
        self._heeded_at = float("-inf")
        self._store_trouble: str | None = None
        # A ticket that two workers died with: while it is in hand, or waited for, nothing else is begun.
        self._alone: UUID | None = None
        self._quiet_wanted = False
        self._draining = asyncio.Event()
        self._stop_now = asyncio.Event()
        self._me: Enrolled
        self._holding = asyncio.Event()  # the lock
        self._fence_task: asyncio.Task[None]

    async def serve(self) -> None:
        """Work until told to drain (SIGTERM or SIGINT once) or to stop (twice)."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        with Watchdog(self._timers.stuck_s, self._timers.silent_s):
            await self._serve()

    async def _serve(self) -> None:
        await self._enrol()
        log.info("pay process ready as %s, slot %s", self._me.id, self._me.slot)
        keepers = [
            asyncio.create_task(keeper, name=name)
            for name, keeper in {
                "waker": self._waker.listen(),
                "beat": self._keep(self._beat, self._timers.heartbeat_s),
                "sweep": self._keep(self._sweep, self._timers.sweep_s),
                "admit": self._admit_for_ever(),
            }.items()
        ]
        draining = asyncio.create_task(self._draining.wait())
        try:
            done, _ = await asyncio.wait([draining, *keepers], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {draining}:
                task.result()  # a keeper ends only by a bug: let it fly, the supervisor starts us again
            await self._drain()
        finally:
            for task in (*keepers, draining):
                task.cancel()
            await asyncio.gather(*keepers, draining, return_exceptions=True)
            await self._leave()

    # -- the lines that attempts write by ------------------------------------------------------

    async def sending(self, claim: Claim) -> bool:
        self._leaving.add(claim.attempt_id)
        allowed = False
        try:
            allowed = await self._sending.put(claim)
        finally:
            if not allowed:
                self._leaving.discard(claim.attempt_id)
        return allowed

    async def accepted(self, claim: Claim, ticket: Ticket) -> None:
        await self._accepting.put((claim, ticket))
        self._leaving.discard(claim.attempt_id)
        self._ticketed.add(claim.attempt_id)

    async def closing(self, completion: Completion) -> None:
        if completion.attempt_id in self._tasks:
            self._ending.add(completion.attempt_id)
        self._waker.rung.set()  # a seat is free
        try:
            await self._closings.put(completion)
        except Exception as problem:  # noqa: BLE001 - whatever refuses the row, its bare facts must stand
            # The bytes are in the store and named in the message: nothing that was paid for is lost.
            blobs = ", ".join(image.blob for image in completion.images)
            bare = Completion(
                completion.attempt_id,
                error=Unsure(
                    f"it could not be written ({type(problem).__name__}); bytes kept: {blobs or 'none'}",
                    kind="bug",
                ),
            )
            await self._closings.put(bare)
        finally:
            self._leaving.discard(completion.attempt_id)

    async def found(self, claims: Sequence[Claim], ticket: Ticket) -> None:
        receipt = (ticket.state, ticket.request_id or "", ticket.cost)
        await self._database.surely(admit.accept, {claim.attempt_id: receipt for claim in claims})

    async def stands(self, batch_id: UUID, progress: Progress) -> None:
        await self._database.surely(admit.note_progress, batch_id, progress)

    async def came_to_nothing(self, claim: Claim) -> None:
        await self._database.surely(callbacks.drop_ticket, claim.attempt_id)

    async def until_next_look(self, attempt_id: UUID, at_most_s: float) -> None:
        news = self._news_of.setdefault(attempt_id, asyncio.Event())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await news.wait()
        news.clear()

    def store_trouble(self, problem: str | None) -> None:
        self._store_trouble = problem

    def _write_sending(self, claims: Sequence[Claim]) -> list[bool]:
        mine = admit.start_sending(claims, process_id=self._me.id)
        return [claim.attempt_id in mine for claim in claims]

    def _write_accepted(self, accepted: Sequence[tuple[Claim, Ticket]]) -> list[None]:
        admit.accept(
            {
                claim.attempt_id: (ticket.state, ticket.request_id or "", ticket.cost)
                for claim, ticket in accepted
            }
        )
        return [None] * len(accepted)

    def _write_closing(self, completions: Sequence[Completion]) -> list[None]:
        close(completions, slot=self._me.slot)
        return [None] * len(completions)

    # -- the loop ------------------------------------------------------------------------------

    async def _admit_for_ever(self) -> None:
        while True:
            await self._holding.wait()
            if self._store_trouble is None:
                for provider in await self._asked_for():
                    await self._admit_from(provider)
            if not self._waker.rung.is_set():
                self._seated.set()
            await self._heed_callbacks()
            await self._waker.wait(self._timers.poll_s)

    async def _until_seated(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SEATS_FIRST_S):
                await self._seated.wait()

    async def _asked_for(self) -> list[Provider]:
        """The providers from which something is wanted: most wake-ups concern one, or none."""
        try:
            wanted = await self._database.once(generations.wanted_providers)
        except Exception as problem:  # noqa: BLE001 - the loop comes again
            _note("the queue", problem)
            return []
        return [provider for name, provider in self._desk.providers.items() if name in wanted]

    async def _heed_callbacks(self) -> None:
        """What providers said by themselves: look now at what is ours, collect what has no answer yet."""
        now = time.monotonic()
        if not self._may_admit() or now - self._heeded_at < self._heed_every_s:
            return
        self._heeded_at = now
        try:
            heard = await self._database.once(
                callbacks.heed, self._desk, process_id=self._me.id, running=set(self._tasks)
            )
        except Exception as problem:  # noqa: BLE001 - what was not taken note of is found again
            _note("callbacks", problem)
            return
        for attempt_id in heard.look_at & self._tasks.keys():
            self._news_of.setdefault(attempt_id, asyncio.Event()).set()
        self._collect(heard.claims)

    async def _admit_from(self, provider: Provider) -> None:
        """Claim and start until the provider, its budgets or this process have no more room."""
        while self._may_admit():
            room = self._room()
            if room <= 0:
                return
            most = min(room, ADMIT_AT_ONCE)
            self._seated.clear()
            try:
                claims = await self._database.once(
                    admit.admit,
                    provider,
                    process_id=self._me.id,
                    most=most,
                    look_again_s=self._timers.look_again_s,
                )
            except Exception as problem:  # noqa: BLE001 - one provider's trouble must not stop the others
                # Also a COMMIT whose outcome got lost: the sweep gives back what nobody here runs.
                _note(f"admission for {provider.name}", problem)
                return
            for claim in claims:
                self._start(claim, run(claim, provider, self._around))
            if len(claims) < most:
                return

    async def _order_batches(self) -> None:
        """Send what may come by tomorrow, as many together as there are by now."""
        now = time.monotonic()
        if not self._may_admit() or now - self._ordered_at < self._timers.gather_s:
            return
        self._ordered_at = now
        for provider in self._sellers.values():
            while self._may_admit() and (room := min(self._room(), provider.most_lines)) > 0:
                claims = await self._database.once(
                    admit.admit,
                    provider,
                    process_id=self._me.id,
                    most=room,
                    look_again_s=self._timers.look_again_s,
                    tomorrow=True,
                    first_look_s=self._timers.batch_look_s,
                )
                by_batch: dict[UUID | None, list[Claim]] = {}
                for claim in claims:
                    by_batch.setdefault(claim.batch_id, []).append(claim)
                for those in by_batch.values():
                    self._start_order(those, provider)
                if len(claims) < room:
                    break

    def _start_order(self, claims: Sequence[Claim], provider: batches.Sells) -> None:
        ids = {claim.attempt_id for claim in claims}
        task = asyncio.create_task(
            self._watched(claims[0], batches.order(claims, provider, self._around)),
            name=f"batch {claims[0].batch_id}",
        )
        self._ordering |= ids
        self._tasks |= dict.fromkeys(ids, task)

        def ended(_: asyncio.Task[None]) -> None:
            self._ordering -= ids
            for each in ids:
                self._forget(each)

        task.add_done_callback(ended)

    async def _look_at_batches(self) -> None:
        """Those that are due, each by one process at a time."""
        if self._draining.is_set() or not self._sellers or self._store_trouble is not None:
            return
        kinds = [(name, self._desk.simulated[name]) for name in self._sellers]
        due = await self._database.once(admit.due_batches, kinds, look_s=self._timers.batch_look_s)
        for batch in due:
            if batch.id not in self._looks:
                task = asyncio.create_task(self._look_at(batch), name=f"look at batch {batch.id}")
                self._looks[batch.id] = task

    async def _look_at(self, batch: Due) -> None:
        provider = self._sellers[batch.provider]
        patience = batches.Patience(self._timers.arrival_s, self._settings.timer_scale)
        renewing = asyncio.create_task(self._keep_looking(batch))
        try:
            resting = await self._database.once(admit.resting, batch.id)
            await batches.look(batch, resting, provider, self._around, self, patience)
        except ProviderError as problem:
            log.info("batch %s: %s", batch.id, problem.reason)
        except Exception as problem:  # noqa: BLE001 - there is another look
            _note(f"batch {batch.id}", problem)
        finally:
            renewing.cancel()
            self._looks.pop(batch.id, None)
        with contextlib.suppress(OperationalError, InterfaceError):
            await self._database.once(admit.look_again, batch.id, look_s=self._timers.batch_look_s)

    async def _keep_looking(self, batch: Due) -> None:
        """A large file takes its time: nobody else begins with it meanwhile."""
        while True:
            await asyncio.sleep(self._timers.batch_look_s / 3)
            with contextlib.suppress(OperationalError, InterfaceError):
                await self._database.once(admit.look_again, batch.id, look_s=self._timers.batch_look_s)

    def _room(self) -> int:
        """Free seats. What only waits to be written has given its own back, up to as many again."""
        most = self._settings.most_in_flight
        return min(most - len(self._tasks) + len(self._ending), 2 * most - len(self._tasks))

    def _may_admit(self) -> bool:
        """Also: what may kill this process is neither in hand nor waiting for a process that is free."""
        return (
            self._holding.is_set()
            and not self._draining.is_set()
            and not self._quiet_wanted
            and self._alone not in self._tasks
        )

    def _start(self, claim: Claim, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(self._watched(claim, work), name=f"attempt {claim.attempt_id}")
        self._tasks[claim.attempt_id] = task
        task.add_done_callback(lambda _: self._forget(claim.attempt_id))

    async def _watched(self, claim: Claim, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except Exception:
            # The attempt keeps its state; the rescue of this process resolves it.
            log.exception("attempt %s was dropped by a bug", claim.attempt_id)

    def _forget(self, attempt_id: UUID) -> None:
        self._tasks.pop(attempt_id, None)
        self._news_of.pop(attempt_id, None)
        self._ticketed.discard(attempt_id)
        self._leaving.discard(attempt_id)
        self._ending.discard(attempt_id)
        self._waker.rung.set()  # a seat of its provider is free

    async def _keep(self, keeper: Callable[[], Awaitable[None]], every_s: float) -> None:
        while True:
            try:
                await keeper()
            except Exception as problem:  # noqa: BLE001 - the database may be away; the keeper comes again
                _note(getattr(keeper, "__name__", "a keeper").strip("_"), problem)
            await asyncio.sleep(every_s)

    async def _beat(self) -> None:
        stop = await self._database.once(ledger.stop_state)
        # Read after the switch: whatever was sent before it is either still in this set or answered.
        quiet = stop.stopped and not self._leaving
        alive = await self._database.once(
            generations.beat, self._me.id, stop_acknowledged=stop.version if quiet else None
        )
        if not alive:
            log.warning("this process was declared dead while it slept; enrolling anew")
            self._fence_task.cancel()
            await asyncio.gather(self._fence_task, return_exceptions=True)
            await self._enrol()

    async def _sweep(self) -> None:
        await self._database.once(upkeep.wake_due)
        await self._database.once(spending.tell_crossings)
        if not self._holding.is_set():
            return
        rescued = await self._database.once(
            upkeep.rescue,
            process_id=self._me.id,
            timers=self._timers,
            slot=self._me.slot,
            idle=not self._tasks,
        )
        self._quiet_wanted = rescued.waits_for_quiet
        self._collect(rescued.claims)
        await self._order_batches()
        await self._look_at_batches()
        await self._database.once(
            upkeep.give_back_unstarted,
            self._me.id,
            running=set(self._tasks),
            older_than_s=self._timers.sweep_s * 2,
        )
        if not self._draining.is_set():  # which leaves tickets on purpose
            await self._find_dropped()
        if self._store_trouble is not None:
            await self._try_store()
        await self._database.once(routing.follow, patience_s=self._timers.patience_s)
        await self._database.once(
            upkeep.ask_again_once, grace_s=self._timers.unresolved_s, slot=self._me.slot
        )

    def _collect(self, tickets: Sequence[Claim]) -> None:
        for claim in tickets:
            provider = self._desk.providers.get(claim.generation.provider)
            if provider is not None and claim.attempt_id not in self._tasks:
                self._ticketed.add(claim.attempt_id)
                if claim.alone:
                    self._alone = claim.attempt_id
                self._start(claim, resume(claim, provider, self._around))

    async def _find_dropped(self) -> None:
        """Attempts of this process that no task runs: the COMMIT of their adoption got lost on the way, or a
        bug dropped them. Nobody else resolves them while we live."""
        left = await self._database.once(generations.left_behind, [self._me.id])
        missing = {state: [each for each in ids if each not in self._tasks] for state, ids in left.items()}
        if not any(missing.values()):
            return
        # Most of these ended between the answer and the look at the tasks. What is still open in a second
        # answer, and had no task before it was asked for, has none at all.
        left = await self._database.once(generations.left_behind, [self._me.id])
        dropped = {
            state: sorted(set(ids).intersection(left.get(state, ()))) for state, ids in missing.items()
        }
        for attempt_id in dropped.get("sending", []):
            log.error("attempt %s was on its way and nobody waits for it", attempt_id)
            error = Unsure("the worker lost sight of the call; nobody knows whether it arrived", kind="bug")
            await self.closing(Completion(attempt_id, error=error))
        if tickets := dropped.get("accepted"):
            self._collect(await self._database.once(generations.tickets_of, self._me.id, tickets))

    async def _try_store(self) -> None:
        """Nothing is in flight that would notice that the store is back: ask it."""
        try:
            await asyncio.to_thread(self._store.check)
        except Exception as problem:  # noqa: BLE001 - any refusal means: not yet
            self._store_trouble = str(problem)
        else:
            self._store_trouble = None

    async def _enrol(self) -> None:
        self._me = await self._database.surely(generations.enrol, "pay")
        fence = Fence(self._me.lock_key, held=self._holding, check_s=self._timers.lock_check_s)
        self._fence_task = asyncio.create_task(fence.keep(), name="fence")

    # -- the end -------------------------------------------------------------------------------

    def _on_signal(self) -> None:
        if self._draining.is_set():
            self._stop_now.set()
        self._draining.set()

    async def _drain(self) -> None:
        """Let calls on their way end; leave tickets to a successor, who collects them without paying."""
        for look in list(self._looks.values()):
            look.cancel()  # a successor looks
        log.info(
            "draining: %s calls on their way, %s tickets left to a successor",
            len(self._tasks) - len(self._ticketed),
            len(self._ticketed),
        )
        with contextlib.suppress(Exception):
            await self._database.once(generations.say_draining, self._me.id)
        stop = asyncio.create_task(self._stop_now.wait())
        try:
            while self._tasks and not stop.done():
                idle = (self._ticketed | self._unsent()) - self._ordering
                for attempt_id in self._tasks.keys() & idle:
                    self._tasks[attempt_id].cancel()
                await asyncio.wait([stop, *self._tasks.values()], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
        await asyncio.gather(*list(self._looks.values()), return_exceptions=True)
        with contextlib.suppress(Exception):  # else a successor gives them back
            await self._database.once(
                upkeep.give_back_unstarted, self._me.id, running=set(self._tasks), older_than_s=0.0
            )
        if self._tasks:
            log.warning("stopping with %s calls on their way: they become uncertain", len(self._tasks))
            for task in list(self._tasks.values()):
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _unsent(self) -> set[UUID]:
        """Attempts of which nothing was sent, nor is about to be: they wait for their pictures."""
        return self._tasks.keys() - self._leaving - self._ticketed - self._ending

    async def _leave(self) -> None:
        for batch in (self._sending, self._accepting, self._closings):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5.0):
                    await batch.settled()
        fault_point("worker.leaving")
        with contextlib.suppress(Exception):
            async with asyncio.timeout(5.0):
                await self._database.once(generations.retire, self._me.id)
        fault_point("worker.retired")
        self._fence_task.cancel()
        await asyncio.gather(self._fence_task, return_exceptions=True)
        self._shelf.close()
        self._database.close()


def _note(what: str, problem: Exception) -> None:
    """One line while the database is away, the whole story for anything else; both come again."""
    if isinstance(problem, OperationalError | InterfaceError):
        log.warning("%s waits for the database: %s", what, str(problem).partition("\n")[0])
    else:
        log.warning("%s failed, trying again", what, exc_info=problem)
