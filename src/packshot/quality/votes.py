"""What people say of images that stand beside each other without their providers. A vote is added and never
changed; taken back, it stays on record and counts no more."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from django.db import connection

from packshot.kernel.ids import uuid7

Verdict = Literal["better", "equal", "neither"]


def cast(pairs: Sequence[tuple[UUID, UUID]], verdict: Verdict, *, round_id: UUID, person_id: UUID) -> int:
    """Say of each of these pairs that its first image is better than its second, that both are equal, or that
    neither is good. Returns how many of them this person had not voted on yet: the others are left."""
    with connection.cursor() as cursor:
        # Who decided about an image had its provider in sight (the review page shows it).
        cursor.execute(
            """
            INSERT INTO packshot_vote (id, round, product_id, category_path, image_id, other_id, provider,
                model, other_provider, other_model, simulated, verdict, blind, person_id)
            SELECT pair.id, %(round)s, image.product_id, coalesce(category.path, ''), image.id, other.id,
                image.provider, image.model, other.provider, other.model, image.simulated OR other.simulated,
                %(verdict)s,
                NOT EXISTS (
                    SELECT 1 FROM packshot_review AS review
                    WHERE review.image_id = ANY(%(images)s::uuid[] || %(others)s::uuid[])
                        AND review.decided_by_id = %(person)s),
                %(person)s
            FROM unnest(%(ids)s::uuid[], %(images)s::uuid[], %(others)s::uuid[])
                AS pair (id, image_id, other_id)
            JOIN packshot_image AS image ON image.id = pair.image_id
            JOIN packshot_image AS other ON other.id = pair.other_id
            JOIN packshot_product AS product ON product.id = image.product_id
            LEFT JOIN packshot_category AS category ON category.id = product.category_id
            ON CONFLICT DO NOTHING
            """,
            {
                "round": round_id,
                "verdict": verdict,
                "person": person_id,
                "ids": [uuid7() for _ in pairs],
                "images": [image for image, _ in pairs],
                "others": [other for _, other in pairs],
            },
        )
        return int(cursor.rowcount)


def withdraw(round_id: UUID, *, person_id: UUID) -> int:
    """Take back what this person said in a round. Returns how many votes that were."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_vote SET withdrawn_at = now()
            WHERE person_id = %s AND round = %s AND withdrawn_at IS NULL
            """,
            [person_id, round_id],
        )
        return int(cursor.rowcount)
