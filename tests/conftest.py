"""What every test may use. Stories are built with `tests.build`."""

import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import settings

# An example may take as long as it takes: how fast a busy machine is, is nobody's mistake. What else
# Hypothesis holds for right, such as its own settings where CI is set, stays.
settings.register_profile("steady", settings.default, deadline=None)
settings.load_profile("steady")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of sample files and provider specifications, which a user's clone does not have."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared with sample files is not here")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def the_day_of_the_facts() -> Iterator[None]:
    """The day on which the tables were read: what has stopped since would fail the tests that name it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("packshot.providers.openai.today", lambda: date(2026, 11, 22))
        yield


@pytest.fixture(autouse=True)
def only_loopback(socket_enabled: None) -> None:
    """Tests reach nothing but this machine."""


# What a process keeps of rows for a while. They are gone after each test, and their numbers may come again.
KEPT = (
    ("packshot.web.pages.overview", "_drawn"),
    ("packshot.web.live", "_backlogs"),
    ("packshot.flows.prices", "_kept"),
)


@pytest.fixture(autouse=True)
def nothing_kept_of_another_test() -> None:
    for module, name in KEPT:
        if loaded := sys.modules.get(module):
            getattr(loaded, name).clear()


def pytest_runtest_setup(item: pytest.Item) -> None:
    from pytest_socket import socket_allow_hosts

    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


@pytest.fixture(scope="session", autouse=True)
def flush_past_the_guards() -> None:
    """A `transaction=True` test ends by emptying every table, which the guards of the ledger refuse."""
    from django.db import OperationalError, transaction
    from django.db.backends.postgresql.operations import DatabaseOperations
    from psycopg.errors import DeadlockDetected

    def empty(self: DatabaseOperations, sql_list: list[str]) -> None:
        with transaction.atomic(using=self.connection.alias), self.connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            for sql in sql_list:
                cursor.execute(sql)
            # No model of ours, so no part of Django's own list: jobs of one test must not meet the next.
            cursor.execute("TRUNCATE procrastinate_jobs CASCADE")
            cursor.execute(
                "INSERT INTO packshot_stop_switch (id, stopped, version, changed_at, changed_by_name)"
                " VALUES (1, false, 1, now(), '')"
            )

    def execute_sql_flush(self: DatabaseOperations, sql_list: list[str]) -> None:
        # A page that is still open may ask meanwhile, and lock the tables in another order.
        for last in (False, False, False, True):
            try:
                empty(self, sql_list)
                return
            except OperationalError as problem:
                if last or not isinstance(problem.__cause__, DeadlockDetected):
                    raise

    DatabaseOperations.execute_sql_flush = execute_sql_flush
