"""Transactions of few trips: a statement whose answer nobody reads travels with the next one that is read.

A flush is two dozen statements, of which six are read. Each trip costs the worker two switches of threads,
and whoever waits for the same budgets waits for all of them. psycopg's pipeline would spare the same trips,
but between them the server takes a session for busy and not for idle in a transaction, so a process that is
frozen there would hold its locks for as long as it sleeps. Here the server has a whole message or nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from packshot.sql.reading import Gathers


class Gathered(Gathers):
    """The statements of one transaction that wait to be sent."""

    def __init__(self) -> None:
        self._waiting: list[str] = []

    def send(self) -> None:
        """Have everything carried out that was given until now."""
        if self._waiting:
            with connection.cursor() as cursor:
                # Not one of the silent ones, so that it is not kept back itself.
                cursor.execute("SELECT 1")

    def execute(self, execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        """Django's wrapper of each statement: keep it, or send it with all that were kept."""
        if many:
            self.send()
            return execute(sql, params, many, context)
        cursor = context["cursor"].cursor
        with connection.wrap_database_errors:
            written = cursor.mogrify(sql, params)
        if _is_silent(sql):
            self._waiting.append(written)
            return None
        together, self._waiting = [*self._waiting, written], []
        answer = execute(";\n".join(together), None, False, context)
        for _ in together[1:]:
            cursor.nextset()
        return answer


@contextmanager
def gathered() -> Iterator[Gathered]:
    """One transaction; its statements are carried out in the order given, each after those before it.

    What has an answer that can be read is sent at once, with all that waits. The rest is not known until
    then: not `rowcount`, and not that it failed.
    """
    statements = Gathered()
    with transaction.atomic(), connection.execute_wrapper(statements.execute):
        yield statements
        statements.send()


def _is_silent(sql: str) -> bool:
    """Whether a statement has no answer that anybody reads: a lock, or a change that returns nothing."""
    words = sql.split(None, 3)[:3]
    if words[0] in ("INSERT", "UPDATE", "DELETE"):
        return "RETURNING" not in sql
    return words[0] == "SELECT" and (
        words[1].startswith(("pg_advisory_xact_lock", "pg_notify", "procrastinate_defer_jobs_v1"))
        or (words[1:] == ["1", "FROM"] and " UPDATE" in sql)
    )
