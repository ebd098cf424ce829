"""Statements that travel together do what they would do one by one."""

import threading

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from packshot import ledger
from packshot.flows.transaction import gathered
from packshot.ledger.models import Budget

pytestmark = pytest.mark.django_db(transaction=True)


def run(statement: str, *parameters: object) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def limits() -> list[int]:
    return list(Budget.objects.order_by("name").values_list("limit_micros", flat=True))


@pytest.fixture
def budgets() -> None:
    for name, limit in (("a", 10), ("b", 20)):
        Budget.objects.create(name=name, scope="person", scope_value=name, limit_micros=limit, simulated=True)


def test_each_statement_sees_those_before_it(budgets):
    with gathered():
        run("UPDATE packshot_budget SET limit_micros = limit_micros * 3")
        run("UPDATE packshot_budget SET limit_micros = limit_micros + 1 WHERE limit_micros = 30")
        read = run("SELECT limit_micros FROM packshot_budget ORDER BY name")
        run("UPDATE packshot_budget SET limit_micros = %s WHERE name = %s", 7, "it's; DROP TABLE x; -- %s")
    assert read == [(31,), (60,)]
    assert limits() == [31, 60]


def test_what_nobody_reads_travels_with_the_next_that_is_read(budgets):
    sent = []

    def note(execute, sql, params, many, context):
        sent.append(sql)
        return execute(sql, params, many, context)

    with gathered() as statements, connection.execute_wrapper(note):
        run("SELECT 1 FROM packshot_budget ORDER BY id FOR UPDATE")
        run("UPDATE packshot_budget SET limit_micros = 1 WHERE name = %s", "a")
        assert run("UPDATE packshot_budget SET limit_micros = 2 WHERE name = %s RETURNING name", "b") == [
            ("b",)
        ]
        run("UPDATE packshot_budget SET limit_micros = 3 WHERE name = %s", "b")
        statements.send()
    assert len(sent) == 2
    assert limits() == [1, 3]


def test_what_is_otherwise_planned_once_travels_with_them(budgets):
    sent = []

    def note(execute, sql, params, many, context):
        sent.append(sql)
        return execute(sql, params, many, context)

    with gathered(), connection.execute_wrapper(note):
        run("UPDATE packshot_budget SET limit_micros = limit_micros * 3")
        assert {each.limit_micros for each in ledger.budgets()} == {30, 60}
    assert len(sent) == 1


def test_a_refused_statement_leaves_nothing_behind(budgets):
    with pytest.raises(IntegrityError), gathered():
        run("UPDATE packshot_budget SET limit_micros = 5")
        run("UPDATE packshot_budget SET limit_micros = -1 WHERE name = %s", "b")
    assert limits() == [10, 20]
    with gathered():
        run("UPDATE packshot_budget SET limit_micros = 6")
    assert limits() == [6, 6]


def test_an_exception_sends_nothing_more(budgets):
    with pytest.raises(ZeroDivisionError), gathered():
        run("UPDATE packshot_budget SET limit_micros = 5")
        _ = 1 / 0
    assert limits() == [10, 20]


def test_it_may_stand_inside_a_transaction_and_inside_itself(budgets):
    with transaction.atomic():
        run("UPDATE packshot_budget SET limit_micros = 1")
        with gathered():
            run("UPDATE packshot_budget SET limit_micros = limit_micros + 1")
            with gathered():
                run("UPDATE packshot_budget SET limit_micros = limit_micros * 10")
            run("UPDATE packshot_budget SET limit_micros = limit_micros + 3")
        run("UPDATE packshot_budget SET limit_micros = limit_micros + 100")
    assert limits() == [123, 123]


def test_the_server_takes_it_for_idle_wherever_the_process_is_frozen(budgets):
    """So its locks are let go of after `idle_in_transaction_session_timeout`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (mine,) = cursor.fetchone()
    other = connection.copy()
    try:
        with gathered() as statements:
            run("UPDATE packshot_budget SET limit_micros = 5")
            statements.send()
            run("UPDATE packshot_budget SET limit_micros = 6")
            with other.cursor() as cursor:
                cursor.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", [mine])
                assert cursor.fetchone() == ("idle in transaction",)
    finally:
        other.close()


def test_what_is_read_after_a_lock_is_as_the_lock_found_it(budgets):
    """One message, and yet a fresh look for each statement in it: this is how admission counts balances."""
    other = connection.copy()
    other.inc_thread_sharing()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("UPDATE packshot_budget SET limit_micros = limit_micros + 7")
        soon = threading.Timer(0.3, other.commit)
        soon.start()
        with gathered():
            run("SELECT 1 FROM packshot_budget ORDER BY id FOR UPDATE")
            read = run("SELECT limit_micros FROM packshot_budget ORDER BY name")
        soon.join()
    finally:
        other.close()
    assert read == [(17,), (27,)]


def test_a_lost_connection_is_told_as_such(budgets):
    with pytest.raises(OperationalError), gathered():
        run("UPDATE packshot_budget SET limit_micros = 5")
        other = connection.copy()
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
        other.close()
        run("SELECT 1")
    connection.close()
    assert limits() == [10, 20]
