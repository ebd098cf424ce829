"""The worker's way to the database: plain transactions on a few threads, batched, and repeated when the
connection breaks. Each flow called here is safe to repeat, which is what makes that right."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, ParamSpec, TypeVar

import psycopg
from django.db import (
    DEFAULT_DB_ALIAS,
    InterfaceError,
    InternalError,
    OperationalError,
    connection,
    connections,
)
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from psycopg.errors import IdleInTransactionSessionTimeout

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")
Answer = TypeVar("Answer")

# The database may be restarting: the first retry is soon, later ones do not hammer it.
_PAUSES_S = (0.05, 0.1, 0.25, 0.5, 1.0)


def let_go_after(seconds: float) -> None:
    """Have the server end each of this process's transactions in which nothing happened for so long.

    A process that is frozen in the middle of one (SIGSTOP, Ctrl-Z, a machine being moved) keeps its locks and
    its connections: the provider, the budgets and the outbox of the whole site would wait for it.
    """

    def limit(connection: BaseDatabaseWrapper, **_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('idle_in_transaction_session_timeout', %s, false)",
                [f"{round(seconds * 1000)}ms"],
            )

    connection_created.connect(limit, weak=False, dispatch_uid="packshot let go")


# Longer than any call may wait for the locks of a frozen process, which are let go of before (`let_go_s`).
HUNG_S = 60.0
_HUNG_LEAST_S = 10.0  # however short a test's other timers are: a busy machine is no lost connection


def hang_up(connection: "psycopg.Connection[Any] | psycopg.AsyncConnection[Any]") -> None:
    """Break a connection whose server says nothing any more: whoever waits on it is told so at once.

    A network that loses a connection without a word (a firewall, a failover, a dead host) tells nobody, and
    libpq waits for an answer for as long as there is none.
    """
    with (
        contextlib.suppress(psycopg.Error, OSError),
        socket.socket(fileno=os.dup(connection.fileno())) as end,
    ):
        end.shutdown(socket.SHUT_RDWR)


class Database:
    """Runs plain functions on `threads` threads, each with its own connection."""

    def __init__(self, threads: int = 3, *, hung_s: float = HUNG_S) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="database")
        self._hung_s = max(hung_s, _HUNG_LEAST_S)

    async def once(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `work`; a broken connection is dropped, and the error raised.

        A connection on which nothing came for too long counts as broken.
        """
        call = _Call(asyncio.get_running_loop(), self._hung_s)
        try:
            return await call.loop.run_in_executor(
                self._threads, lambda: _cleanly(call, work, *args, **kwargs)
            )
        finally:
            call.watch.cancel()

    async def surely(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `work`, called again for as long as the database cannot be reached."""
        tries = 0
        while True:
            try:
                return await self.once(work, *args, **kwargs)
            except (OperationalError, InterfaceError) as lost:
                if tries % 20 == 0:
                    log.warning("the database cannot be reached, trying on: %s", str(lost).splitlines()[:1])
                await asyncio.sleep(_PAUSES_S[min(tries, len(_PAUSES_S) - 1)])
                tries += 1

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=False)


class _Call:
    """One call under way, watched from the loop.

    In turns: a process that stood still finds all its timers due, and its answers waiting.
    """

    TURNS = 4

    def __init__(self, loop: asyncio.AbstractEventLoop, hung_s: float) -> None:
        self.loop = loop
        self.on: BaseDatabaseWrapper | None = None  # the connection, while a thread is at it
        self._every_s = hung_s / self.TURNS
        self._turns = 0
        self.watch = loop.call_later(self._every_s, self._look)

    def _look(self) -> None:
        self._turns = self._turns + 1 if self.on is not None else 0
        if self._turns >= self.TURNS and self.on is not None and self.on.connection is not None:
            log.warning(
                "the database has not answered for %.0f s; connecting anew", self._every_s * self.TURNS
            )
            hang_up(self.on.connection)
            self._turns = 0
        self.watch = self.loop.call_later(self._every_s, self._look)


def _cleanly(call: _Call, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    call.on = connections[DEFAULT_DB_ALIAS]
    try:
        return work(*args, **kwargs)
    except (OperationalError, InterfaceError):
        # Also after a deadlock or a cancelled statement: a fresh connection costs less than a doubt.
        connection.close()
        raise
    except InternalError as problem:
        if not isinstance(problem.__cause__, IdleInTransactionSessionTimeout):
            raise
        # We stood still, and the server rolled back what we had begun: as after any lost connection.
        connection.close()
        raise OperationalError(str(problem)) from problem
    finally:
        call.on = None


class Batch(Generic[Item, Answer]):
    """Writes items in one transaction each time: what came while the last was under way goes with the next.

    So an item alone is written at once, and the busier it gets, the more of them share a COMMIT. A failed
    write is split until the bad item stands alone, so that one bad row never holds up the others.
    """

    def __init__(
        self,
        database: Database,
        write: Callable[[Sequence[Item]], Sequence[Answer]],
        *,
        most: int = 200,
        turn: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`turn` is awaited before each write: it returns when this is a good moment for one."""
        self._database = database
        self._write = write
        self._most = most
        self._turn = turn
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def put(self, item: Item) -> Answer:
        """What `write` answered for `item`, after its COMMIT."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._drain())
        # If the caller is cancelled, so is this future, and not the write: it may be committing already.
        return await answer

    async def settled(self) -> None:
        """Return once everything that was put is written."""
        while self._waiting or (self._writer is not None and not self._writer.done()):
            if self._writer is not None and not self._writer.done():
                await asyncio.shield(self._writer)
            else:
                await asyncio.sleep(0)

    async def _drain(self) -> None:
        while self._waiting:
            # Whoever was woken together with the first one puts its item within this round of the loop.
            await asyncio.sleep(0)
            if self._turn is not None:
                await self._turn()
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            await self._flush(batch)

    async def _flush(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._database.surely(self._write, [item for item, _ in batch])
        except Exception as problem:  # whatever it is: whoever put the row waits for an answer
            if len(batch) == 1:
                log.error("a row could not be written", exc_info=problem)
                if not batch[0][1].done():
                    batch[0][1].set_exception(problem)
                return
            middle = len(batch) // 2
            await self._flush(batch[:middle])
            await self._flush(batch[middle:])
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)
