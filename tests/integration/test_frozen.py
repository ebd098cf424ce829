"""A process that is frozen in the middle of a transaction lets go of what it holds, and goes on later."""

import asyncio
import threading

import psycopg
import pytest
from django.db import connection, transaction
from django.db.backends.signals import connection_created

from packshot.generations.models import ProviderRecord
from packshot.worker.database import Database, let_go_after
from packshot.worker.fence import address
from tests import build

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def soon():
    let_go_after(1.0)
    yield
    connection_created.disconnect(dispatch_uid="packshot let go")
    connection.close()


def test_others_get_its_locks_and_its_own_work_is_done_again(soon):
    build.provider_row()
    holds, awake = threading.Event(), threading.Event()
    tries = 0

    def work() -> int:
        nonlocal tries
        with transaction.atomic():
            tries += 1
            ProviderRecord.objects.select_for_update().get(name="openai")
            if tries == 1:
                holds.set()
                assert awake.wait(60), "frozen, and then awake"
            return ProviderRecord.objects.filter(name="openai").update(label="done by the frozen")

    async def story() -> int:
        database = Database(threads=1)
        try:
            mine = asyncio.create_task(database.surely(work))
            assert await asyncio.to_thread(holds.wait, 30)
            async with asyncio.timeout(30), await psycopg.AsyncConnection.connect(**address()) as other:
                await other.execute("UPDATE packshot_provider SET label = 'done by another'")
            awake.set()
            return await mine
        finally:
            awake.set()
            await database.once(lambda: connection.close())  # the one of its thread
            database.close()

    assert asyncio.run(story()) == 1
    assert tries == 2
    assert ProviderRecord.objects.get(name="openai").label == "done by the frozen"
