"""Where a generation stands that may come by tomorrow: with its provider's batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from packshot.reports.sql import planned


@dataclass(frozen=True, slots=True)
class InBatch:
    """The batch that a generation waits for, as the last look found it."""

    state: str  # in the provider's own word; empty before the first look
    done: int
    total: int
    ordered_at: datetime
    looked_at: datetime | None
    due_at: datetime | None


def batches_of(generation_ids: Sequence[UUID]) -> dict[UUID, InBatch]:
    """The batch of each of these generations that waits for one. No query where there is none to ask for."""
    if not generation_ids:
        return {}
    with planned() as cursor:
        cursor.execute(
            """
            SELECT attempt.generation_id, batch.state, batch.done, batch.total, batch.made_at,
                batch.looked_at, batch.due_at
            FROM packshot_attempt AS attempt JOIN packshot_batch AS batch ON batch.id = attempt.batch_id
            WHERE attempt.generation_id = ANY(%s)
                AND attempt.state IN ('intent', 'sending', 'accepted', 'uncertain')
            """,
            [list(generation_ids)],
        )
        return {row[0]: InBatch(*row[1:]) for row in cursor.fetchall()}
