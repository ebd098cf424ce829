"""Connections to the database that die without a word: who waits on one is told, and tries on another."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from urllib.parse import quote

import psycopg
import pytest
from django.db import OperationalError, connection

from packshot import settings
from packshot.worker import database as worker_database
from packshot.worker.database import Database
from packshot.worker.fence import Fence
from tests.chaos.proxy import Proxy

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    known = connection.get_connection_params()
    with Proxy(f"{known['host']}/.s.PGSQL.{known.get('port') or 5432}") as proxy:
        yield proxy


def url(proxy: Proxy) -> str:
    known = connection.get_connection_params()
    return f"postgresql://{quote(known['user'])}@127.0.0.1:{proxy.port}/{known['dbname']}"


def slept(seconds: float) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s), pg_backend_pid()", [seconds])
        return int(cursor.fetchone()[1])


def end_sleepers() -> None:
    """The server does not notice that nobody waits any more, and a database in use cannot be dropped."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        )


async def ended(database: Database) -> None:
    await database.once(lambda: connection.close())  # the thread's own
    database.close()


def test_a_call_that_the_database_never_answers_is_given_up_and_the_next_has_another_connection(monkeypatch):
    monkeypatch.setattr(worker_database, "_HUNG_LEAST_S", 0.0)

    async def story() -> tuple[int, int]:
        database = Database(threads=1, hung_s=2.0)
        first = await database.once(slept, 0.0)
        with pytest.raises(OperationalError):
            await database.once(slept, 250.0)
        second = await database.once(slept, 0.0)
        await database.once(end_sleepers)
        await ended(database)
        return first, second

    first, second = asyncio.run(story())
    assert first != second


def test_a_call_that_waits_for_a_thread_or_is_only_slow_is_not_given_up(monkeypatch):
    monkeypatch.setattr(worker_database, "_HUNG_LEAST_S", 0.0)

    async def story() -> set[int]:
        database = Database(threads=1, hung_s=3.0)
        pids = await asyncio.gather(*(database.once(slept, 0.6) for _ in range(6)))
        await ended(database)
        return set(pids)

    assert len(asyncio.run(story())) == 1, "one connection did it all"


def test_the_lock_comes_back_though_the_server_still_holds_it_for_a_lost_connection(proxy, monkeypatch):
    from packshot.worker import fence as worker_fence

    known = connection.get_connection_params()
    monkeypatch.setattr(
        worker_fence,
        "address",
        lambda: {"host": "127.0.0.1", "port": proxy.port, "user": known["user"], "dbname": known["dbname"]},
    )

    async def story() -> None:
        held = asyncio.Event()
        keeper = asyncio.create_task(Fence(4_711, held=held, check_s=0.2).keep())
        await asyncio.wait_for(held.wait(), 30)
        assert proxy.fall_silent() == 1
        async with asyncio.timeout(30):
            while held.is_set():
                await asyncio.sleep(0.01)
        await asyncio.wait_for(held.wait(), 30)
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)

    asyncio.run(story())


def test_a_lock_that_somebody_else_looks_at_is_waited_for_and_he_is_left_alone(proxy):
    known = connection.get_connection_params()
    place = {name: known[name] for name in ("host", "user", "dbname")}
    with psycopg.connect(**place, autocommit=True) as rescuer:
        rescuer.execute("SELECT pg_advisory_lock(4712)")

        async def story() -> bool:
            held = asyncio.Event()
            keeper = asyncio.create_task(Fence(4_712, held=held, check_s=0.1).keep())
            await asyncio.sleep(0.5)
            early = held.is_set()
            rescuer.execute("SELECT pg_advisory_unlock(4712)")
            await asyncio.wait_for(held.wait(), 30)
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            return early

        assert asyncio.run(story()) is False
        assert rescuer.execute("SELECT 1").fetchone() == (1,)


def test_a_server_that_is_gone_without_a_farewell_is_noticed_in_half_a_minute(proxy, monkeypatch):
    monkeypatch.setattr(settings, "DATABASE_URL", url(proxy))
    made = settings._database()
    options = made["OPTIONS"]
    with contextlib.closing(
        psycopg.connect(
            host=made["HOST"], port=made["PORT"], user=made["USER"], dbname=made["NAME"], **options
        )
    ) as remote:
        end = socket.socket(fileno=os.dup(remote.fileno()))
        with end:
            assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            asks = [
                end.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            ]
            assert asks[0] + asks[1] * asks[2] == 25
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 25_000


def test_keepalives_can_be_set_in_the_address(monkeypatch):
    monkeypatch.setattr(
        settings, "DATABASE_URL", "postgresql://me@db.example:5432/shop?keepalives_idle=60&sslmode=require"
    )
    options = settings._database()["OPTIONS"]
    assert (options["keepalives_idle"], options["sslmode"]) == ("60", "require")
    assert options["keepalives_count"] == 3
