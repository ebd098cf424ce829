"""The fence: a pay process holds one session advisory lock on a connection of its own while it lives."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import AsyncConnection

from packshot.worker.database import hang_up

log = logging.getLogger(__name__)

# A worker whose host is gone says nothing any more, and its lock must not outlive it for hours: the server
# asks after 10 s of silence, and three times more. Ignored on a Unix socket.
_NOTICE_A_DEAD_HOST = """
    SELECT set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
        set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '25s', false)
"""
# Where the network lost our connection without a word to either end, the server keeps the lock for it.
_END_OUR_LAST = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
        AND (classid::bigint << 32) | objid::bigint = %s AND pid = %s
"""


def address() -> Mapping[str, object]:
    """Connection arguments of the default database, for psycopg itself."""
    from django.db import connection

    known = connection.get_connection_params()
    return {
        name: value
        for name, value in known.items()
        if name in ("dbname", "user", "password", "host", "port", "options", "connect_timeout", "service")
        or name.startswith(("ssl", "keepalives", "tcp_", "application_name", "target_session_attrs"))
    }


async def _answered(connection: AsyncConnection[Any], sql: str, *values: object, within_s: float) -> Any:
    """The first row; an OperationalError when it did not come in time.

    Not by a timeout around it: psycopg answers a cancellation by asking the server to cancel, and waits for
    that as long again.
    """
    watch = asyncio.get_running_loop().call_later(within_s, hang_up, connection)
    try:
        return await (await connection.execute(sql, values or None)).fetchone()
    finally:
        watch.cancel()


class Fence:
    """Takes the lock, looks after its connection, takes it again when the database was away.

    `held` is False from the moment a loss is noticed: the worker admits nothing then, finishes what it has
    in flight, and writes only facts about its own attempts. The event is the worker's own: whoever waits for
    it goes on when a worker that was declared dead has a new lock, and so another fence.
    """

    def __init__(self, lock_key: int, *, held: asyncio.Event, check_s: float) -> None:
        self.lock_key = lock_key
        self.held = held
        self._check_s = check_s
        self._patience_s = check_s * 2
        self._connection: AsyncConnection[tuple[object, ...]] | None = None
        self._backend: int | None = None  # the server's process that held the lock for us last

    async def keep(self) -> None:
        """Hold the lock until cancelled."""
        try:
            while True:
                try:
                    if self._connection is None:
                        await self._take()
                    else:
                        await _answered(self._connection, "SELECT 1", within_s=self._patience_s)
                except (psycopg.Error, OSError) as lost:
                    if self.held.is_set():
                        log.warning("the lock's connection is lost: %s", lost)
                    self.held.clear()
                    await self._drop()
                    await asyncio.sleep(min(0.2, self._check_s))
                    continue
                await asyncio.sleep(self._check_s)
        finally:
            self.held.clear()
            await self._drop()

    async def _take(self) -> None:
        connection: AsyncConnection[tuple[object, ...]] = await AsyncConnection.connect(
            **address(),  # type: ignore[arg-type]
            autocommit=True,
            application_name="packshot fence",
        )
        try:
            await _answered(connection, _NOTICE_A_DEAD_HOST, within_s=self._patience_s)
            # Not waiting: if somebody is making sure that we are dead, the next round decides.
            (taken,) = await _answered(
                connection, "SELECT pg_try_advisory_lock(%s)", self.lock_key, within_s=self._patience_s
            )
            if not taken:
                await _answered(
                    connection, _END_OUR_LAST, self.lock_key, self._backend, within_s=self._patience_s
                )
                raise psycopg.OperationalError("the lock is held: by a rescuer, or by our lost connection")
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        self._backend = connection.info.backend_pid
        self.held.set()

    async def _drop(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()


class Waker:
    """LISTENs for work. Its connection may die silently, so whoever waits here also polls."""

    def __init__(self, channel: str, *, check_s: float) -> None:
        self.rung = asyncio.Event()
        self._channel = channel
        self._check_s = check_s

    async def listen(self) -> None:
        while True:
            try:
                async with await AsyncConnection.connect(
                    **address(),  # type: ignore[arg-type]
                    autocommit=True,
                    application_name="packshot waker",
                ) as connection:
                    await connection.execute(f"LISTEN {self._channel}")
                    self.rung.set()  # what was told while nobody listened
                    while True:
                        async for _ in connection.notifies(timeout=self._check_s, stop_after=1):
                            self.rung.set()
                        await _answered(connection, "SELECT 1", within_s=self._check_s)
            except (psycopg.Error, OSError) as lost:
                log.info("the listening connection is lost, polling meanwhile: %s", lost)
                await asyncio.sleep(min(1.0, self._check_s))

    async def wait(self, at_most_s: float) -> None:
        """Return when something was told, or after `at_most_s` seconds."""
        try:
            async with asyncio.timeout(at_most_s):
                await self.rung.wait()
        except TimeoutError:
            pass
        self.rung.clear()
