"""The stop switch: after "stop spending" commits, no attempt can become `sending`."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection


@dataclass(frozen=True, slots=True)
class StopState:
    stopped: bool
    version: int
    changed_at: datetime
    changed_by_name: str


def may_send() -> bool:
    """Whether spending is allowed, held so to the end of the caller's transaction.

    The share lock makes `stop_spending` wait for every `sending` that is about to commit, and makes every
    later one see the switch.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT NOT stopped FROM packshot_stop_switch WHERE id = 1 FOR SHARE")
        row = cursor.fetchone()
    return bool(row and row[0])


def stop_state() -> StopState:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT stopped, version, changed_at, changed_by_name FROM packshot_stop_switch WHERE id = 1"
        )
        return StopState(*cursor.fetchone())


def stop_spending(by_name: str) -> StopState:
    """Stop: from this transaction's commit on, nothing more is sent. Stopping twice changes nothing."""
    return _turn(stopped=True, by_name=by_name)


def resume_spending(by_name: str) -> StopState:
    return _turn(stopped=False, by_name=by_name)


def _turn(*, stopped: bool, by_name: str) -> StopState:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_stop_switch
            SET stopped = %s, version = version + 1, changed_at = now(), changed_by_name = %s
            WHERE id = 1 AND stopped <> %s
            """,
            [stopped, by_name, stopped],
        )
    return stop_state()
