"""Who is running. A pay process holds one session advisory lock for as long as it lives: the fence."""

import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg.errors import UniqueViolation

from packshot.kernel.ids import uuid7

# The slot of writers that are no long-lived process: the command line, web requests.
SHARED_SLOT = 0


@dataclass(frozen=True, slots=True)
class Enrolled:
    """This process as the others see it."""

    id: UUID
    kind: str
    lock_key: int
    slot: int


def enrol(kind: str) -> Enrolled:
    """Write this process down with a lock key and a rollup slot of its own."""
    while True:
        # 63 random bits: two processes never guard different work with one key.
        me = (uuid7(), kind, secrets.randbits(63))
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(
                    """
                    INSERT INTO packshot_process
                        (id, kind, host, pid, lock_key, slot, started_at, seen_at, stop_acknowledged)
                    SELECT %s, %s, %s, %s, %s, (
                        SELECT min(free.slot) FROM generate_series(1, 32767) AS free (slot)
                        WHERE NOT EXISTS (
                            SELECT 1 FROM packshot_process AS other
                            WHERE other.slot = free.slot AND other.ended_at IS NULL)
                    ), clock_timestamp(), clock_timestamp(), 0
                    RETURNING slot
                    """,
                    [me[0], me[1], socket.gethostname(), os.getpid(), me[2]],
                )
                return Enrolled(*me, slot=cursor.fetchone()[0])
        except IntegrityError as taken:
            # Another process took the slot between the look and the insert; anything else is a bug.
            if not isinstance(taken.__cause__, UniqueViolation):
                raise


# `beat`, for a process that says so by a connection that is not Django's.
BEAT: LiteralString = """
    UPDATE packshot_process
    SET seen_at = clock_timestamp(), stop_acknowledged = coalesce(%(acknowledged)s, stop_acknowledged)
    WHERE id = %(process)s AND ended_at IS NULL
"""


def beat(process_id: UUID, *, stop_acknowledged: int | None = None) -> bool:
    """Say that the process lives. False: it was declared dead and must enrol anew before it admits."""
    with connection.cursor() as cursor:
        cursor.execute(BEAT, {"process": process_id, "acknowledged": stop_acknowledged})
        return bool(cursor.rowcount)


def lives(process_id: UUID) -> bool:
    """Whether the process may claim work: one that slept and was declared dead does not know it yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM packshot_process WHERE id = %s AND ended_at IS NULL", [process_id])
        return cursor.fetchone() is not None


def say_draining(process_id: UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE packshot_process SET draining_at = clock_timestamp() WHERE id = %s", [process_id]
        )


def retire(process_id: UUID) -> None:
    """The process ends by itself; what it left accepted may be taken over at once."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_process SET ended_at = clock_timestamp(), seen_at = clock_timestamp()
            WHERE id = %s AND ended_at IS NULL
            """,
            [process_id],
        )


def watch_locks() -> None:
    """Note, by the database's clock, since when each pay process's lock is free; forget it when held.

    One look is not proof: a restart of the database frees every lock at once, and the living take theirs
    again within seconds.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH seen AS (
                SELECT process.id, EXISTS (
                    SELECT 1 FROM pg_locks AS lock
                    WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 1
                        AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                        AND (lock.classid::bigint << 32) | lock.objid::bigint = process.lock_key
                ) AS held
                FROM packshot_process AS process
                WHERE process.kind = 'pay' AND process.ended_at IS NULL
            )
            UPDATE packshot_process AS process
            SET lock_free_since = CASE WHEN seen.held THEN NULL ELSE clock_timestamp() END
            FROM seen
            WHERE process.id = seen.id AND seen.held = (process.lock_free_since IS NOT NULL)
            """
        )


def end_silent(silent_s: float) -> int:
    """Cut the lock connections of pay processes that hold their lock and have been silent too long."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(pg_terminate_backend(lock.pid))
            FROM packshot_process AS process JOIN pg_locks AS lock
                ON lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 1
                AND (lock.classid::bigint << 32) | lock.objid::bigint = process.lock_key
            WHERE process.kind = 'pay' AND process.ended_at IS NULL
                AND process.seen_at < clock_timestamp() - make_interval(secs => %s)
            """,
            [silent_s],
        )
        return int(cursor.fetchone()[0])


def lapsed(grace_s: float) -> list[UUID]:
    """Pay processes whose open attempts may be resolved by others: lock free for `grace_s`, or retired.

    Each is claimed: its row is locked to the end of the transaction, its lock is taken to make sure that
    the owner does not hold it, and it is marked ended.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT process.id, process.lock_key FROM packshot_process AS process
            WHERE process.kind = 'pay' AND (
                (process.ended_at IS NULL
                    AND process.lock_free_since < clock_timestamp() - make_interval(secs => %s))
                OR (process.ended_at IS NOT NULL AND EXISTS (
                    SELECT 1 FROM packshot_attempt AS attempt
                    WHERE attempt.process_id = process.id
                        AND (attempt.state IN ('intent', 'sending') OR (attempt.batch_id IS NULL
                            AND (attempt.state = 'accepted'
                                OR (attempt.state = 'uncertain' AND attempt.ticket IS NOT NULL))))))
            )
            ORDER BY process.id FOR NO KEY UPDATE SKIP LOCKED
            """,
            [grace_s],
        )
        ended: list[UUID] = []
        for process_id, lock_key in cursor.fetchall():
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [lock_key])
            if cursor.fetchone()[0]:
                ended.append(process_id)
        cursor.execute(
            """
            UPDATE packshot_process SET ended_at = clock_timestamp()
            WHERE id = ANY(%s) AND ended_at IS NULL RETURNING id
            """,
            [ended],
        )
        _count_deaths(cursor, [row[0] for row in cursor.fetchall()])
    return ended


def _count_deaths(cursor: CursorWrapper, process_ids: list[UUID]) -> None:
    """Note with each generation that these processes had in hand that a worker died. Once for each death:
    whoever retired in good order was marked ended by itself, and is not among them."""
    if not process_ids:
        return
    cursor.execute(
        """
        SELECT id FROM packshot_generation
        WHERE id IN (
            SELECT generation_id FROM packshot_attempt
            WHERE process_id = ANY(%s) AND (state IN ('intent', 'sending') OR (batch_id IS NULL
                AND (state = 'accepted' OR (state = 'uncertain' AND ticket IS NOT NULL)))))
        ORDER BY id FOR NO KEY UPDATE
        """,
        [process_ids],
    )
    cursor.execute(
        "UPDATE packshot_generation SET worker_deaths = worker_deaths + 1 WHERE id = ANY(%s)",
        [[row[0] for row in cursor.fetchall()]],
    )


def end_vanished(silent_s: float) -> int:
    """Close the books on web and chores processes that no longer beat. Pay processes have the lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_process SET ended_at = clock_timestamp()
            WHERE kind <> 'pay' AND ended_at IS NULL
                AND seen_at < clock_timestamp() - make_interval(secs => %s)
            """,
            [silent_s],
        )
        return int(cursor.rowcount)


def unacknowledged(version: int) -> Sequence[UUID]:
    """Living pay processes that have not yet said that they saw stop-switch version `version`."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id FROM packshot_process
            WHERE kind = 'pay' AND ended_at IS NULL AND stop_acknowledged < %s
            """,
            [version],
        )
        return [row[0] for row in cursor.fetchall()]
