"""What people decide about images. A decision is added and never changed: the newest counts until it is taken
back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from django.db import connection

from packshot.kernel.ids import uuid7

Decision = Literal["approved", "rejected"]


@dataclass(frozen=True, slots=True)
class Turned:
    """An image whose standing changed: what it was before and what it is now; None: not decided."""

    image_id: UUID
    before: Decision | None
    after: Decision | None


def decide(
    image_ids: Sequence[UUID], decision: Decision, reason: str, *, by_id: UUID | None, by_name: str
) -> list[Turned]:
    """Decide about these images. Returns those whose standing changed: the same decision again, for the same
    reason, changes nothing and is not written down."""
    before = _lock(image_ids)
    changed = [each for each in before if before[each] != (decision, reason)]
    _end(changed)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO packshot_review
                (id, image_id, decision, reason, decided_by_id, decided_by_name, current)
            SELECT item.id, item.image_id, %(decision)s, %(reason)s, %(by_id)s, %(by_name)s, true
            FROM unnest(%(ids)s::uuid[], %(images)s::uuid[]) AS item (id, image_id)
            """,
            {
                "ids": [uuid7() for _ in changed],
                "images": changed,
                "decision": decision,
                "reason": reason,
                "by_id": by_id,
                "by_name": by_name,
            },
        )
    return [Turned(each, before[each][0], decision) for each in changed]


def withdraw(image_ids: Sequence[UUID]) -> list[Turned]:
    """Take the decisions about these images back. What was decided stays on record, and counts no more."""
    before = _lock(image_ids)
    decided = [each for each in before if before[each][0] is not None]
    _end(decided)
    return [Turned(each, before[each][0], None) for each in decided]


def approved(image_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these images are approved, and stay so until the caller's transaction ends."""
    return {each for each, (decision, _) in _lock(image_ids).items() if decision == "approved"}


def _lock(image_ids: Sequence[UUID]) -> dict[UUID, tuple[Decision | None, str]]:
    """The images by id, so that of two people who decide at once the later knows what the earlier did."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM packshot_image WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE",
            [list(image_ids)],
        )
        there = [row[0] for row in cursor.fetchall()]
        # What was decided about an active image stands on its product, too (packshot_review_judges): products
        # in the order in which everybody locks them.
        cursor.execute(
            """
            SELECT 1 FROM packshot_product WHERE id IN (
                SELECT product_id FROM packshot_image WHERE id = ANY(%s))
            ORDER BY id FOR NO KEY UPDATE
            """,
            [there],
        )
        # A fresh statement: it sees what was decided while this one waited.
        cursor.execute(
            "SELECT image_id, decision, reason FROM packshot_review WHERE image_id = ANY(%s) AND current",
            [there],
        )
        counts: dict[UUID, tuple[Decision | None, str]] = {
            row[0]: (row[1], row[2]) for row in cursor.fetchall()
        }
    return {each: counts.get(each, (None, "")) for each in there}


def _end(image_ids: Sequence[UUID]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE packshot_review SET current = false WHERE image_id = ANY(%s) AND current",
            [list(image_ids)],
        )
