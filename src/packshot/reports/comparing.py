"""The images of a product with everything by which they can be held against each other."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from packshot.kernel.money import dollars
from packshot.reports.sql import document, read


@dataclass(frozen=True, slots=True)
class Compared:
    """An image that can be shown, and how it came about. `cost_micros`: None, when nobody knows."""

    image_id: UUID
    provider: str
    model: str
    simulated: bool
    width_px: int
    height_px: int
    created_at: datetime
    active: bool
    thumb_blob: str | None
    stage_blob: str | None
    prompt: str
    template: str
    seed: int | None
    options: Any  # a mapping, by name
    shape: str
    asked_by_name: str
    cost_micros: int | None
    seconds: float | None
    score: float | None  # the lowest, 0 to 100
    review: str  # approved, rejected; empty: not decided

    @property
    def cost(self) -> Decimal | None:
        return None if self.cost_micros is None else dollars(self.cost_micros)


def compared(product_id: UUID, *, limit: int) -> list[Compared]:
    """The product's newest images that can be shown and its active one, newest first."""
    rows = read(
        Compared,
        """
        SELECT image.id AS image_id, image.provider, image.model, image.simulated, image.width_px,
            image.height_px, image.created_at,
            image.id IS NOT DISTINCT FROM product.active_image_id AS active,
            thumb.blob AS thumb_blob, stage.blob AS stage_blob, coalesce(generation.prompt, '') AS prompt,
            coalesce(template.name, '') AS template, generation.seed,
            coalesce(generation.options, '{}'::jsonb) AS options, coalesce(generation.shape, '') AS shape,
            coalesce(generation.asked_by_name, photo.brought_by_name, '') AS asked_by_name,
            floor(packshot_image_cost_micros(image.attempt_id))::bigint AS cost_micros,
            extract(epoch FROM generation.completed_at - generation.started_at)::float8 AS seconds,
            (SELECT min(score.value) FROM packshot_score AS score WHERE score.image_id = image.id) AS score,
            coalesce(review.decision, '') AS review
        FROM packshot_product AS product
        CROSS JOIN LATERAL (
            SELECT newest.id FROM (
                SELECT id FROM packshot_image WHERE product_id = product.id AND state = 'ready'
                ORDER BY id DESC LIMIT %(limit)s
            ) AS newest
            UNION SELECT product.active_image_id WHERE product.active_image_id IS NOT NULL
        ) AS chosen
        JOIN packshot_image AS image ON image.id = chosen.id AND image.state = 'ready'
        LEFT JOIN packshot_generation AS generation ON generation.id = image.generation_id
        LEFT JOIN packshot_photo AS photo ON photo.image_id = image.id
        LEFT JOIN packshot_prompttemplateversion AS version ON version.id = generation.template_version_id
        LEFT JOIN packshot_prompttemplate AS template ON template.id = version.template_id
        LEFT JOIN packshot_rendition AS thumb ON thumb.image_id = image.id AND thumb.spec = 'webp-320'
        LEFT JOIN packshot_rendition AS stage ON stage.image_id = image.id AND stage.spec = 'webp-1200'
        LEFT JOIN packshot_review AS review ON review.image_id = image.id AND review.current
        WHERE product.id = %(product)s
        ORDER BY image.id DESC
        """,
        product=product_id,
        limit=limit,
    )
    return [replace(row, options=document(row.options)) for row in rows]
