"""The fence: a pay process holds one session advisory lock on a connection of its own while it lives."""

import asyncio
import logging
from collections.abc import Mapping

import psycopg
from psycopg import AsyncConnection

log = logging.getLogger(__name__)


def address() -> Mapping[str, object]:
    """Connection arguments of the default database, for psycopg itself."""
    from django.db import connection

    known = connection.get_connection_params()
    return {
        name: value
        for name, value in known.items()
        if name in ("dbname", "user", "password", "host", "port", "options", "connect_timeout", "service")
        or name.startswith(("ssl", "keepalives", "application_name", "target_session_attrs"))
    }


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
        self._connection: AsyncConnection[tuple[object, ...]] | None = None

    async def keep(self) -> None:
        """Hold the lock until cancelled."""
        try:
            while True:
                try:
                    if self._connection is None:
                        await self._take()
                    else:
                        async with asyncio.timeout(self._check_s * 2):
                            await self._connection.execute("SELECT 1")
                except (psycopg.Error, OSError, TimeoutError) as lost:
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
        # Not waiting: if somebody is making sure that we are dead, the next round decides.
        cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", [self.lock_key])
        row = await cursor.fetchone()
        if not row or not row[0]:
            await connection.close()
            raise psycopg.OperationalError("the lock is being looked at by a rescuer")
        self._connection = connection
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
                        await connection.execute("SELECT 1")
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
