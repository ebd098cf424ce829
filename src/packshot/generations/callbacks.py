"""What providers said by themselves: stored once, and read by the workers as a hint of where to look.

A callback row is the outermost lock: whoever takes note of one locks it, then generation, then attempt.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.db import connection
from psycopg.types.json import Jsonb

from packshot.generations.attempts import CLAIMS, CLOSED, Claim, claims_of, lock_generations
from packshot.kernel.ids import uuid7

# Different ones for one attempt. A provider that reports progress sends dozens; the rest is answered and
# forgotten, since the workers look for themselves.
MOST_PER_ATTEMPT = 100


def called(attempt_id: UUID) -> tuple[str, bool] | None:
    """The provider that an attempt called, and whether with simulated money; None for no attempt."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT provider, simulated FROM packshot_attempt WHERE id = %s", [attempt_id])
        row: tuple[str, bool] | None = cursor.fetchone()
    return row


def store_callback(attempt_id: UUID, *, sha256: str, task: str, body: str) -> bool:
    """Keep what the provider said about this attempt. False: it is kept already, or more than enough is."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO packshot_callback (id, attempt_id, sha256, task, body, received_at)
            SELECT %s, %s, %s, %s, %s, clock_timestamp()
            WHERE (SELECT count(*) FROM packshot_callback WHERE attempt_id = %s) < %s
            ON CONFLICT (attempt_id, sha256) DO NOTHING
            """,
            [uuid7(), attempt_id, sha256, task, body, attempt_id, MOST_PER_ATTEMPT],
        )
        return bool(cursor.rowcount)


@dataclass(frozen=True, slots=True)
class Told:
    """A callback that nobody took note of yet, and where its attempt stands."""

    id: UUID
    attempt_id: UUID
    provider: str
    state: str
    has_ticket: bool
    task: str
    astray: bool  # the task is another attempt's


def unheeded(process_id: UUID, called_by: Collection[tuple[str, bool]], *, limit: int = 200) -> list[Told]:
    """Callbacks that this process can do something with, oldest first and locked; others pass over them.

    Those are: of its own tickets; of attempts whose outcome nobody knows and that have no ticket; and of
    attempts that are closed. What is not sent yet, or whose answer its owner still waits for, comes later. So
    does what names another task than the callback by which an attempt is just being looked into.
    `called_by`: the providers that this process can ask, each with whether it is simulated here.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT callback.id, callback.attempt_id, attempt.provider, attempt.state,
                attempt.ticket IS NOT NULL, callback.task,
                EXISTS (SELECT 1 FROM packshot_attempt AS other
                    WHERE callback.task <> '' AND other.request_id = callback.task
                        AND other.provider = attempt.provider AND other.id <> attempt.id)
            FROM packshot_callback AS callback
            JOIN packshot_attempt AS attempt ON attempt.id = callback.attempt_id
            WHERE callback.handled_at IS NULL
                AND (attempt.provider, attempt.simulated) IN (
                    SELECT * FROM unnest(%s::text[], %s::boolean[]))
                AND (attempt.state = ANY(%s)
                    OR (attempt.state = 'uncertain' AND attempt.ticket IS NULL)
                    OR (attempt.state IN ('accepted', 'uncertain') AND attempt.ticket IS NOT NULL
                        AND attempt.process_id = %s
                        AND (callback.task IN ('', attempt.request_id)
                            OR (attempt.ticket ->> 'by_callback')::boolean IS NOT TRUE)))
            ORDER BY callback.id LIMIT %s FOR UPDATE OF callback SKIP LOCKED
            """,
            [
                [name for name, _ in called_by],
                [simulated for _, simulated in called_by],
                list(CLOSED),
                process_id,
                limit,
            ],
        )
        return [Told(*row) for row in cursor.fetchall()]


def heeded(callback_ids: Sequence[UUID]) -> None:
    """These need not be looked at again."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE packshot_callback SET handled_at = clock_timestamp() WHERE id = ANY(%s)",
            [list(callback_ids)],
        )


def take_up(tickets: Mapping[UUID, tuple[Mapping[str, Any], str]], *, process_id: UUID) -> list[Claim]:
    """Give uncertain attempts the ticket that a callback made possible, and this process as their owner.

    `tickets`: state and task by attempt. An attempt that has a ticket or an end by now is passed over, and
    so is one whose task belongs to another attempt: a callback that went astray must not fetch twice.
    """
    lock_generations(list(tickets))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_attempt AS attempt
            SET ticket = item.ticket, request_id = item.task, process_id = %s
            FROM unnest(%s::uuid[], %s::jsonb[], %s::text[]) AS item (id, ticket, task)
            WHERE attempt.id = item.id AND attempt.state = 'uncertain' AND attempt.ticket IS NULL
                AND NOT EXISTS (
                    SELECT 1 FROM packshot_attempt AS other
                    WHERE other.request_id = item.task AND other.provider = attempt.provider
                        AND other.id <> attempt.id)
            RETURNING attempt.id
            """,
            [
                process_id,
                list(tickets),
                [
                    Jsonb({"state": dict(state), "cost": None, "by_callback": True})
                    for state, _ in tickets.values()
                ],
                [task for _, task in tickets.values()],
            ],
        )
        taken = [row[0] for row in cursor.fetchall()]
    return claims(taken)


def drop_ticket(attempt_id: UUID) -> None:
    """Forget the ticket that a callback made possible: looking with it told nothing. One that the attempt's
    owner stored meanwhile stays."""
    lock_generations([attempt_id])
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_attempt SET ticket = NULL, request_id = ''
            WHERE id = %s AND state = 'uncertain' AND (ticket ->> 'by_callback')::boolean
            """,
            [attempt_id],
        )


def late(tasks: Mapping[UUID, str]) -> list[Claim]:
    """The claims of attempts that were closed without an image although one may have been made.

    `tasks`: the task that a callback named, by attempt; one that belongs to another attempt went astray. A
    refusal is final, and of what succeeded all is known.
    """
    if not tasks:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT attempt.id FROM packshot_attempt AS attempt
            JOIN unnest(%s::uuid[], %s::text[]) AS item (id, task) ON item.id = attempt.id
            WHERE attempt.state IN ('charged_no_image', 'failed_free')
                AND NOT EXISTS (
                    SELECT 1 FROM packshot_image AS image WHERE image.attempt_id = attempt.id)
                AND NOT EXISTS (
                    SELECT 1 FROM packshot_attempt AS other
                    WHERE other.request_id = item.task AND other.provider = attempt.provider
                        AND other.id <> attempt.id)
            """,
            [list(tasks), list(tasks.values())],
        )
        return claims([row[0] for row in cursor.fetchall()])


def claims(attempt_ids: Sequence[UUID]) -> list[Claim]:
    """The claims of these attempts, whoever owns them, with the tickets that they have."""
    if not attempt_ids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            {CLAIMS} WHERE attempt.id = ANY(%s)
            """,
            [list(attempt_ids)],
        )
        return [replace(claim, by_callback=True) for claim in claims_of(cursor.fetchall())]


def with_ticket(claim: Claim, state: Mapping[str, Any]) -> Claim:
    """`claim` with its own ticket, else with this one."""
    return claim if claim.ticket is not None else replace(claim, ticket=state)


def forget_callbacks(*, older_than_days: int) -> int:
    """Delete callbacks that were handled so long ago. Returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM packshot_callback WHERE handled_at < now() - make_interval(days => %s)",
            [older_than_days],
        )
        return int(cursor.rowcount)


# -- the policy `retry_uncertain` ----------------------------------------------------------------


def unresolved(grace_s: float) -> dict[UUID, tuple[str, UUID]]:
    """Uncertain attempts that may be asked again once by the site's policy: provider and generation of each.

    The provider had its whole deadline and `grace_s` seconds for a callback; nobody collects a ticket, no
    callback waits to be read, nobody wants to cancel, and no attempt of the generation was asked again so.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT attempt.id, attempt.provider, attempt.generation_id
            FROM packshot_attempt AS attempt
            JOIN packshot_generation AS generation ON generation.id = attempt.generation_id
            WHERE attempt.state = 'uncertain' AND attempt.ticket IS NULL
                AND generation.status = 'uncertain' AND generation.cancel_requested_at IS NULL
                AND greatest(attempt.sending_at + make_interval(secs => attempt.deadline_s),
                    generation.updated_at) < clock_timestamp() - make_interval(secs => %s)
                AND NOT EXISTS (
                    SELECT 1 FROM packshot_callback AS callback
                    WHERE callback.attempt_id = attempt.id AND callback.handled_at IS NULL)
                AND NOT EXISTS (
                    SELECT 1 FROM packshot_attempt AS earlier
                    JOIN packshot_evidence AS evidence ON evidence.attempt_id = earlier.id
                    WHERE earlier.generation_id = generation.id AND evidence.kind = 'policy')
            ORDER BY attempt.id LIMIT 200
            """,
            [grace_s],
        )
        return {row[0]: (row[1], row[2]) for row in cursor.fetchall()}
