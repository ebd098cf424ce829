"""The chores process as it runs: what it holds of the database, and that it says that it lives."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection, transaction

from packshot import events, generations
from packshot.generations import bulk
from packshot.generations.models import Process
from packshot.kernel.ids import uuid7
from packshot.worker.chores import SLOTS
from tests.beside import Beside
from tests.browser.server import database_url

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "chores under test"


def until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not so():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def counted(condition: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # which a transaction keeps
        cursor.execute(
            f"SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND {condition}", [NAME]
        )
        return int(cursor.fetchone()[0])


def told() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT left(query, 80) FROM pg_stat_activity WHERE application_name = %s", [NAME])
        return [row[0] for row in cursor.fetchall()]


@pytest.fixture
def chores():
    process = subprocess.Popen(
        [sys.executable, "-m", "packshot", "work", "--only", "chores"],
        env=os.environ
        | {"DATABASE_URL": database_url(), "PACKSHOT_DATA": str(settings.DATA), "PGAPPNAME": NAME},
        stderr=subprocess.DEVNULL,
    )
    yield process
    process.terminate()
    assert process.wait(60) == 0


def an_action() -> str:
    """One whose turn takes its row, and so as long as somebody holds it."""
    action_id = uuid7()
    bulk.begin_action(
        action_id,
        "cancel",
        request_key=uuid4().hex,
        person_id=None,
        person_name="cli:test",
        filter={},
        chosen=True,
        arguments={},
        run_id=None,
        items=[],
        quoted=[],
        quoted_micros=None,
    )
    return str(action_id)


def test_with_a_job_in_every_hand_it_holds_seven_connections_and_says_that_it_lives(chores):
    actions = [an_action() for _ in range(SLOTS["chores"])]
    image_id, spec = uuid7(), "sealed-webp-320"
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM packshot_bulk_action WHERE id = ANY(%s) FOR UPDATE", [actions])
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
                [f"packshot sealed {image_id} {spec}"],
            )
        jobs = [("bulk", {"action_id": each, "place": 0}, "chores") for each in actions]
        jobs += [("seal", {"image_id": str(image_id), "spec": spec}, "seals")]
        deferred(jobs)
        until(lambda: counted("wait_event_type = 'Lock'") == sum(SLOTS.values()))
        before = Process.objects.get(kind="chores").seen_at
        until(lambda: Process.objects.get(kind="chores").seen_at > before)
        assert counted("true") <= 7, "\n".join(told())
    with transaction.atomic():
        assert generations.lives(Process.objects.get(kind="chores").id)


def deferred(jobs: list[tuple[str, dict[str, object], str]]) -> None:
    """By another connection: this one's transaction has an end only when they are in hand."""

    def defer() -> None:
        for task, arguments, queue in jobs:
            events.defer(task, [arguments], queue=queue)

    Beside(defer).result()
