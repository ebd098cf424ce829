"""Fans the outbox out to live readers: one LISTEN connection a process, a poll beneath, each frame made once.

A reader is a browser tab, or anything else that follows events. Readers that would be shown the same thing
share a key, and a frame is made once per key, however many follow. How a frame looks is not known here.

Three promises: a reader that names the last event it saw misses nothing, or is told to look again from the
start (`resync`); a reader that does not read costs a bounded amount of memory; no reader holds a connection.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, TypeVarTuple

import psycopg
from django.db import InterfaceError, OperationalError, close_old_connections, connection, connections

from packshot.events.outbox import CHANNEL, Happening, newest_id, since

log = logging.getLogger(__name__)

# The database is away or busy: worth another try. Anything else is a mistake, and trying again repeats it.
_TROUBLE = (OperationalError, InterfaceError, OSError)

Key = TypeVar("Key", bound=Hashable)
Pass = TypeVar("Pass")
_T = TypeVar("_T")
_Given = TypeVarTuple("_Given")


class Maker(Protocol[Key]):
    """Makes the frames for what happened. Runs on the hub's own thread and may query."""

    def __call__(
        self, keys: Collection[Key], happenings: Sequence[Happening], last_id: int, /, *, replay: bool
    ) -> Mapping[Key, bytes]:
        """One frame per key that has something to be shown; with `replay`, everything at once."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often things happen, in seconds, and how much of each is kept."""

    poll_s: float = 1.0  # a LISTEN connection can die without a word; this finds out what it missed
    frame_s: float = 0.25  # events closer together than this share a frame
    rows: int = 200  # things in one frame
    gap: int = 1000  # events; whoever is further behind looks again from the start
    resync_s: float = 2.0  # the shortest time between two times that everybody is told to
    frames_waiting: int = 64  # for one reader; whoever is further behind looks again from the start
    check_s: float = 60.0  # between two looks at whether the readers may still read
    settle_s: float = 0.5  # a sign-out is announced just before its session is gone
    listen_check_s: float = 15.0
    timeout_s: float = 5.0
    backoff_s: float = 0.5
    longest_backoff_s: float = 15.0


@dataclass(eq=False, slots=True)
class Reader(Generic[Key, Pass]):
    """One follower: what it follows, what lets it read, and the frames it has not taken yet."""

    key: Key
    admission: Pass
    since: int  # the newest event that was already fanned out when it joined
    frames: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)


class Hub(Generic[Key, Pass]):
    """The fan-out of one process. Its methods belong to the event loop, but for those that say otherwise."""

    def __init__(
        self,
        make: Maker[Key],
        *,
        resync: Callable[[int], bytes],
        may_stay: Callable[[Sequence[Pass]], Sequence[bool]],
        pace: Pace | None = None,
    ) -> None:
        self._make = make
        self._resync = resync
        self._may_stay = may_stay
        self.pace = pace or Pace()
        self._readers: set[Reader[Key, Pass]] = set()
        self._position = 0
        self._known = asyncio.Event()  # the position has been read
        self._wake = asyncio.Event()
        self._recheck = asyncio.Event()
        self._closed = False
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        # One thread, so that the hub holds one database connection beside the one that listens.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hub")
        self._replays: dict[tuple[Key, int, int], asyncio.Future[bytes]] = {}

    # -- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to follow the outbox. A second call does nothing."""
        if self._tasks or self._closed:
            return
        self._loop = asyncio.get_running_loop()
        self._tasks = [
            asyncio.create_task(each(), name=f"hub {each.__name__}")
            for each in (self._listen, self._follow, self._check)
        ]

    def close(self) -> None:
        """End every reader's stream now, and each one that still comes. The server is going away."""
        self._closed = True
        for reader in list(self._readers):
            self._end(reader)

    async def stop(self) -> None:
        """Close, and give the connections back."""
        self.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        with suppress(RuntimeError):  # the thread is already gone when stopped twice
            await self._on_thread(connections.close_all)
        self._thread.shutdown(wait=False)

    def check_soon(self) -> None:
        """Look now at who may still read: somebody signed out. Callable from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._recheck.set)

    # -- readers ---------------------------------------------------------------------------------

    @asynccontextmanager
    async def reader(self, key: Key, admission: Pass, *, after: int) -> AsyncIterator[Reader[Key, Pass]]:
        """Join: what happened since event `after` comes first, then what happens from now on."""
        self.start()
        if not self._closed:
            await asyncio.wait_for(self._known.wait(), self.pace.timeout_s)
        reader = Reader(key, admission, self._position)
        self._readers.add(reader)
        try:
            if self._closed:
                self._end(reader)
            elif missed := await self._replay(key, after, reader.since):
                # Frames may have come in meanwhile; the replay is older than all of them.
                waiting = [reader.frames.get_nowait() for _ in range(reader.frames.qsize())]
                for frame in (missed, *waiting):
                    reader.frames.put_nowait(frame)
            yield reader
        finally:
            self._readers.discard(reader)

    async def next(self, reader: Reader[Key, Pass], *, timeout_s: float) -> bytes | None:
        """The reader's next frame, or None when its stream is over. TimeoutError when none came in time."""
        return await asyncio.wait_for(reader.frames.get(), timeout_s)

    def _end(self, reader: Reader[Key, Pass]) -> None:
        _drain(reader.frames)
        reader.frames.put_nowait(None)

    async def _replay(self, key: Key, after: int, upto: int) -> bytes:
        """What a reader missed from `after` to `upto` as one frame; empty when it missed nothing.

        After a restart every tab comes back asking for the same thing: it is made once.
        """
        if after == upto:
            return b""
        place = (key, after, upto)
        made = self._replays.get(place)
        if made is None:
            made = self._on_thread(self._make_replay, key, after, upto)
            self._replays[place] = made
        try:
            return await asyncio.shield(made)
        except _TROUBLE:
            self._replays.pop(place, None)
            raise

    def _make_replay(self, key: Key, after: int, upto: int) -> bytes:
        close_old_connections()
        if after > upto:
            # Its page is newer than our last look, and the next frame begins before it. If it is newer than
            # anything there is, it speaks of another database, or of one restored from a backup.
            return b"" if after <= newest_id() else self._resync(upto)
        happenings = since(after, limit=self.pace.gap + 1)
        missed = [each for each in happenings if each.id <= upto]
        if (
            not missed
            or len(missed) > self.pace.gap
            or len(_first_rows(missed, self.pace.rows)) < len(missed)
            or _pruned(after)
        ):
            return self._resync(upto)
        return self._frames([key], missed, upto, True).get(key, b"")

    # -- following -------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Look at the outbox when woken and once a second, and send each reader its frame."""
        backoff = self.pace.backoff_s
        last_frame = last_resync = float("-inf")
        while True:
            try:
                if not self._known.is_set():
                    self._position = await self._on_thread(_read_newest)
                    self._known.set()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self.pace.poll_s)
                await asyncio.sleep(last_frame + self.pace.frame_s - time.monotonic())
                self._wake.clear()
                if not self._readers:
                    newest = await self._on_thread(_read_newest)
                    if not self._readers:  # one that joined meanwhile counts on the old position
                        self._move_to(newest)
                    continue
                happenings = await self._on_thread(self._read_next)
                if happenings:
                    last_frame = time.monotonic()
                if len(happenings) <= self.pace.gap:
                    await self._publish(_first_rows(happenings, self.pace.rows))
                elif last_resync + self.pace.resync_s <= time.monotonic():
                    # More than anybody could follow: look at the result instead of every step.
                    self._move_to(await self._on_thread(_read_newest))
                    self._send_all(self._resync(self._position))
                    last_resync = time.monotonic()
                if happenings and self._position < happenings[-1].id:
                    self._wake.set()  # there is more
                backoff = self.pace.backoff_s
            except Exception as trouble:
                # Whatever it is, the streams go on when it is over; a mistake of ours is told in full.
                log.warning(
                    "events cannot be read, trying again in %.1f s: %s",
                    backoff,
                    trouble,
                    exc_info=not isinstance(trouble, _TROUBLE),
                )
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, self.pace.longest_backoff_s)

    def _read_next(self) -> list[Happening]:
        close_old_connections()
        return since(self._position, limit=self.pace.gap + 1)

    async def _publish(self, happenings: Sequence[Happening]) -> None:
        last_id = happenings[-1].id if happenings else self._position
        frames: dict[Key, bytes] = {}
        asked: set[Key] = set()
        # A reader with a new key may join while frames are made; it gets its own before the position moves.
        while fresh := {reader.key for reader in self._readers} - asked:
            asked |= fresh
            frames |= await self._on_thread(self._frames, fresh, happenings, last_id, False)
        for reader in self._readers:
            if (frame := frames.get(reader.key)) is not None:
                self._send(reader, frame, last_id)
        self._move_to(last_id)

    def _frames(
        self, keys: Collection[Key], happenings: Sequence[Happening], last_id: int, replay: bool
    ) -> Mapping[Key, bytes]:
        try:
            return self._make(keys, happenings, last_id, replay=replay)
        except _TROUBLE:
            raise
        except Exception:
            # One thing that cannot be shown must not end the stream of all the others for ever.
            log.exception("a live frame could not be made; its readers look again from the start")
            return dict.fromkeys(keys, self._resync(last_id)) if happenings else {}

    def _move_to(self, position: int) -> None:
        if position != self._position:
            self._position = position
            self._replays.clear()

    def _send_all(self, frame: bytes) -> None:
        for reader in self._readers:
            self._send(reader, frame, self._position)

    def _send(self, reader: Reader[Key, Pass], frame: bytes, last_id: int) -> None:
        if reader.frames.qsize() >= self.pace.frames_waiting:
            _drain(reader.frames)
            frame = self._resync(last_id)
        reader.frames.put_nowait(frame)

    # -- who may stay ----------------------------------------------------------------------------

    async def _check(self) -> None:
        """End the streams of those who signed out, were shut out or hold another right by now."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._recheck.wait(), self.pace.check_s)
                await asyncio.sleep(self.pace.settle_s)
            self._recheck.clear()
            readers = list(self._readers)
            if not readers:
                continue
            try:
                verdicts = await self._on_thread(self._ask_who_may_stay, [each.admission for each in readers])
            except Exception:
                # Shut rather than guess: they come back, and the door asks again.
                log.exception("rights cannot be read: ending %d live streams", len(readers))
                verdicts = [False] * len(readers)
            for reader, stays in zip(readers, verdicts, strict=True):
                if not stays:
                    self._end(reader)

    def _ask_who_may_stay(self, admissions: Sequence[Pass]) -> Sequence[bool]:
        close_old_connections()
        return self._may_stay(admissions)

    # -- connections -----------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Be woken by NOTIFY. While this is down the poll goes on: slower, and nothing is missed."""
        backoff = self.pace.backoff_s
        while True:
            try:
                async with asyncio.timeout(self.pace.timeout_s):
                    listening = await psycopg.AsyncConnection.connect(**_place(), autocommit=True)
                async with listening:
                    await listening.execute(f"LISTEN {CHANNEL}")
                    backoff = self.pace.backoff_s
                    while True:
                        self._wake.set()
                        heard = False
                        async for _ in listening.notifies(timeout=self.pace.listen_check_s, stop_after=1):
                            heard = True
                        if not heard:
                            async with asyncio.timeout(self.pace.timeout_s):
                                await listening.execute("SELECT 1")
            except (psycopg.Error, OSError) as trouble:  # a TimeoutError is an OSError
                log.warning("not woken by the database, polling instead: %s", trouble)
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, self.pace.longest_backoff_s)

    def _on_thread(self, work: Callable[[*_Given], _T], *given: *_Given) -> asyncio.Future[_T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work, *given)


def _place() -> dict[str, Any]:
    """Where Django's own connections go, in psycopg's words."""
    parameters = dict(connection.get_connection_params())
    for django_only in ("cursor_factory", "context", "prepare_threshold"):
        parameters.pop(django_only, None)
    return parameters


def _read_newest() -> int:
    close_old_connections()
    return newest_id()


def _pruned(after: int) -> bool:
    """Whether the event that follows `after` is no longer kept.

    A number that was never used looks the same: that is rare, and costs no more than a look from the start.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(id) FROM packshot_event")
        row = cursor.fetchone()
    return row is not None and row[0] is not None and row[0] > after + 1


def _first_rows(happenings: Sequence[Happening], rows: int) -> Sequence[Happening]:
    """The longest beginning that touches at most `rows` things."""
    seen: set[tuple[str, str]] = set()
    for place, each in enumerate(happenings):
        seen.add((each.topic, each.subject))
        if len(seen) > rows:
            return happenings[:place]
    return happenings


def _drain(frames: asyncio.Queue[bytes | None]) -> None:
    with suppress(asyncio.QueueEmpty):
        while True:
            frames.get_nowait()
