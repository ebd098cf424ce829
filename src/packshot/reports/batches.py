"""Where a generation stands that may come by tomorrow: with its provider's batch."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class InBatch:
    """The batch that a generation waits for, as the last look found it."""

    state: str  # in the provider's own word; empty before the first look
    done: int
    total: int
    ordered_at: datetime
    looked_at: datetime | None
    due_at: datetime | None


BATCHES_OF = """
    SELECT attempt.generation_id, batch.state, batch.done, batch.total, batch.made_at, batch.looked_at,
        batch.due_at
    FROM packshot_attempt AS attempt JOIN packshot_batch AS batch ON batch.id = attempt.batch_id
    WHERE attempt.generation_id = ANY(%(generations)s)
        AND attempt.state IN ('intent', 'sending', 'accepted', 'uncertain')
"""


def by_generation(found: Any) -> dict[UUID, InBatch]:
    """The batch of each generation that waits for one, from a cursor at what `BATCHES_OF` found."""
    return {row[0]: InBatch(*row[1:]) for row in found.fetchall()}
