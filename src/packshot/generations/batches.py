"""Orders of many requests that come back within a day. Their accepted attempts belong to no process: a batch
is looked at by whoever sweeps, one at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from packshot.generations.attempts import Claim
from packshot.generations.queue import CANDIDATE, candidate, decoded


@dataclass(frozen=True, slots=True)
class Due:
    """A batch that this process may look at now."""

    id: UUID
    provider: str
    model: str
    simulated: bool


@dataclass(frozen=True, slots=True)
class Resting:
    """An open attempt of a batch: accepted, or uncertain because the answer to its order got lost."""

    claim: Claim
    state: str
    age_s: float  # since it was sent
    cancel_requested: bool


def open_batch(
    batch_id: UUID, *, provider: str, model: str, simulated: bool, total: int, look_s: float
) -> None:
    """Write down a batch that is about to be ordered, to be looked at in so many seconds."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO packshot_batch (id, provider, model, simulated, made_at, look_at, due_at, state, done,
                failed, total)
            VALUES (%s, %s, %s, %s, now(), now() + make_interval(secs => %s), now() + interval '1 day', '', 0,
                0, %s)
            """,
            [batch_id, provider, model, simulated, look_s, total],
        )


def due_batches(kinds: Sequence[tuple[str, bool]], *, look_s: float, limit: int = 10) -> list[Due]:
    """Batches whose look is due, of these providers, each given to one process for `look_s` seconds.

    `kinds`: each provider's name, and whether it is simulated here.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_batch SET look_at = clock_timestamp() + make_interval(secs => %s)
            WHERE id IN (
                SELECT batch.id FROM packshot_batch AS batch
                JOIN unnest(%s::text[], %s::boolean[]) AS kind (provider, simulated)
                    ON kind.provider = batch.provider AND kind.simulated = batch.simulated
                WHERE batch.look_at <= clock_timestamp()
                ORDER BY batch.look_at LIMIT %s FOR NO KEY UPDATE OF batch SKIP LOCKED)
            RETURNING id, provider, model, simulated
            """,
            [look_s, [name for name, _ in kinds], [simulated for _, simulated in kinds], limit],
        )
        return [Due(*row) for row in cursor.fetchall()]


def resting(batch_id: UUID) -> list[Resting]:
    """The attempts of a batch that wait for it, and those that somebody or something ended without an image,
    which may have been made all the same."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT attempt.id, attempt.number, attempt.deadline_s, attempt.ticket, attempt.state,
                extract(epoch FROM clock_timestamp() - coalesce(attempt.sending_at, attempt.created_at)),
                generation.cancel_requested_at IS NOT NULL, {CANDIDATE}
            FROM packshot_attempt AS attempt
            JOIN packshot_generation AS generation ON generation.id = attempt.generation_id
            JOIN packshot_product AS product ON product.id = generation.product_id
            LEFT JOIN packshot_category AS category ON category.id = product.category_id
            WHERE attempt.batch_id = %s AND attempt.state IN
                ('accepted', 'uncertain', 'failed_free', 'failed_charged', 'charged_no_image')
            ORDER BY attempt.id
            """,
            [batch_id],
        )
        return [
            Resting(
                Claim(
                    attempt_id=row[0],
                    number=row[1],
                    generation=candidate(row[7:]),
                    deadline_s=row[2],
                    ticket=row[3]["state"] if row[3] else None,
                    batch_id=batch_id,
                ),
                row[4],
                float(row[5]),
                row[6],
            )
            for row in decoded(cursor.fetchall(), 3, 16)
        ]


def note_progress(
    batch_id: UUID, *, state: str, done: int, failed: int, total: int, due_at: datetime | None
) -> None:
    """Keep what a look said."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_batch AS batch
            SET looked_at = clock_timestamp(), state = %s, done = %s, failed = %s,
                total = greatest(%s, total), due_at = coalesce(%s, batch.due_at)
            WHERE id = %s
            """,
            [state, done, failed, total, due_at, batch_id],
        )


def look_again(batch_id: UUID, *, look_s: float) -> None:
    """Look at it again in so many seconds; never, when none of its attempts is open any more."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_batch SET look_at = CASE WHEN EXISTS (
                    SELECT 1 FROM packshot_attempt AS attempt WHERE attempt.batch_id = packshot_batch.id
                        AND attempt.state IN ('intent', 'sending', 'accepted', 'uncertain'))
                THEN clock_timestamp() + make_interval(secs => %s) END
            WHERE id = %s
            """,
            [look_s, batch_id],
        )


def look_soon(generation_ids: Sequence[UUID]) -> None:
    """Look at the batches of these generations as soon as somebody sweeps."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH soon AS (
                SELECT id FROM packshot_batch
                WHERE look_at > clock_timestamp() AND id IN (
                    SELECT attempt.batch_id FROM packshot_attempt AS attempt
                    WHERE attempt.generation_id = ANY(%s) AND attempt.batch_id IS NOT NULL
                        AND attempt.state IN ('accepted', 'uncertain'))
                ORDER BY id FOR NO KEY UPDATE
            )
            UPDATE packshot_batch AS batch SET look_at = clock_timestamp() FROM soon WHERE batch.id = soon.id
            """,
            [list(generation_ids)],
        )
