"""Images that wait for a decision, what was decided, and what was found wrong, by template and provider."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from packshot.kernel import search
from packshot.kernel.money import dollars
from packshot.reports.sql import read, read_planned
from packshot.sql.reading import planned

# More than these are not counted: nobody looks through them one by one.
COUNTED_AT_MOST = 1_000
# For the Overview, whose link leads to where they are counted on.
WAITING_AT_MOST = 200
# Where nearly all is decided, those that wait are far between, and it takes long to find as many.
LOOKED_AT_MOST = 5_000


@dataclass(frozen=True, slots=True)
class Shelf:
    """Which images: those not decided about, approved or rejected, of a provider, by words."""

    decision: str = ""  # approved, rejected; empty: waiting
    provider: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An image with everything that a decision rests on. `cost_micros`: None, when nobody knows."""

    image_id: UUID
    product_id: UUID
    sku: str
    name: str
    category_path: str
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
    asked_by_name: str
    asked_by_id: UUID | None
    cost_micros: int | None
    seconds: float | None
    decision: str
    reason: str
    decided_by_name: str
    decided_at: datetime | None

    @property
    def cost(self) -> Decimal | None:
        return None if self.cost_micros is None else dollars(self.cost_micros)


@dataclass(frozen=True, slots=True)
class Reason:
    """How often a reason was given for images of a provider and a template."""

    reason: str
    provider: str
    template: str
    count: int


@dataclass(frozen=True, slots=True)
class Approval:
    """How many images of a provider and template were decided about, and approved."""

    provider: str
    model: str
    template: str
    approved: int
    decided: int


@dataclass(frozen=True, slots=True)
class Fact:
    """An image as figures and rights see it."""

    image_id: UUID
    provider: str
    model: str
    simulated: bool
    created_at: datetime
    product_id: UUID
    asked_by_id: UUID | None  # who asked for it, or brought it
    made: bool  # by a provider, whose figures it counts in


_CANDIDATE = """
    SELECT image.id AS image_id, product.id AS product_id, product.sku, product.name,
        coalesce(category.path, '') AS category_path, image.provider, image.model, image.simulated,
        image.width_px, image.height_px, image.created_at,
        product.active_image_id IS NOT DISTINCT FROM image.id AS active,
        thumb.blob AS thumb_blob, stage.blob AS stage_blob, coalesce(generation.prompt, '') AS prompt,
        coalesce(template.name, '') AS template,
        coalesce(generation.asked_by_name, photo.brought_by_name, '') AS asked_by_name,
        coalesce(generation.asked_by_id, photo.brought_by_id) AS asked_by_id,
        floor(packshot_image_cost_micros(image.attempt_id))::bigint AS cost_micros,
        extract(epoch FROM generation.completed_at - generation.started_at)::float8 AS seconds,
        coalesce(review.decision, '') AS decision, coalesce(review.reason, '') AS reason,
        coalesce(review.decided_by_name, '') AS decided_by_name, review.at AS decided_at
    FROM (
        SELECT image.id AS image_id FROM {source} WHERE {condition}
        ORDER BY {order} DESC LIMIT {limit:d}
    ) AS found
    JOIN packshot_image AS image ON image.id = found.image_id
    JOIN packshot_product AS product ON product.id = image.product_id
    LEFT JOIN packshot_category AS category ON category.id = product.category_id
    LEFT JOIN packshot_generation AS generation ON generation.id = image.generation_id
    LEFT JOIN packshot_photo AS photo ON photo.image_id = image.id
    LEFT JOIN packshot_prompttemplateversion AS version ON version.id = generation.template_version_id
    LEFT JOIN packshot_prompttemplate AS template ON template.id = version.template_id
    LEFT JOIN packshot_rendition AS thumb ON thumb.image_id = image.id AND thumb.spec = 'webp-320'
    LEFT JOIN packshot_rendition AS stage ON stage.image_id = image.id AND stage.spec = 'webp-1200'
    LEFT JOIN packshot_review AS review ON review.image_id = image.id AND review.current
    ORDER BY image.id DESC
"""


def candidates(shelf: Shelf, *, limit: int, after: UUID | None = None) -> list[Candidate]:
    """The newest images of `shelf`; `after` goes on behind one of them."""
    source, order, condition, parameters = _source(shelf)
    if after:
        condition += f" AND {order} < %(after)s"
    sql = _CANDIDATE.format(source=source, condition=condition, order=order, limit=limit)
    # Which index finds the images of a provider, or of words, depends on which.
    ask = read if shelf.provider or shelf.text else read_planned
    return ask(Candidate, sql, **parameters, after=after)


def candidate(image_id: UUID) -> Candidate | None:
    """One image, whatever was decided."""
    sql = _CANDIDATE.format(
        source="packshot_image AS image", condition="image.id = %(image)s", order="image.id", limit=1
    )
    found = read_planned(Candidate, sql, image=image_id)
    return found[0] if found else None


def count(shelf: Shelf) -> int:
    """How many images `shelf` holds, at most COUNTED_AT_MOST."""
    source, _, condition, parameters = _source(shelf)
    sql = (
        f"SELECT count(*) FROM (SELECT 1 FROM {source} WHERE {condition} LIMIT {COUNTED_AT_MOST}) AS counted"
    )
    with connection.cursor() if shelf.provider or shelf.text else planned() as cursor:
        cursor.execute(sql, parameters or None)
        row = cursor.fetchone()
    return int(row[0])


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many images wait for a decision; `more`: there may be more than were looked for."""

    count: int
    more: bool


def waiting() -> Waiting:
    """How many wait, at most WAITING_AT_MOST among the newest LOOKED_AT_MOST images."""
    sql, parameters = counting_waiting()
    return read(Waiting, sql, **parameters)[0]


def counting_waiting() -> tuple[str, dict[str, Any]]:
    """What reads a Waiting, and its parameters. Cheap however many images there are and whatever was decided
    about them: the Overview asks while people look at it."""
    _, _, condition, parameters = _source(Shelf())
    sql = f"""
        WITH newest AS MATERIALIZED (
            SELECT image.id, image.product_id, image.state FROM packshot_image AS image
            ORDER BY image.id DESC LIMIT {LOOKED_AT_MOST}
        )
        SELECT found.count,
            found.count = {WAITING_AT_MOST} OR (SELECT count(*) FROM newest) = {LOOKED_AT_MOST} AS more
        FROM (
            SELECT count(*) FROM (
                SELECT 1 FROM newest AS image WHERE {condition} LIMIT {WAITING_AT_MOST}
            ) AS counted
        ) AS found
    """
    return sql, parameters


def ids(shelf: Shelf, *, limit: int) -> list[UUID]:
    """The newest images of `shelf`, by id."""
    source, order, condition, parameters = _source(shelf)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT image.id FROM {source} WHERE {condition} ORDER BY {order} DESC LIMIT %(limit)s",
            {**parameters, "limit": limit},
        )
        return [row[0] for row in cursor.fetchall()]


def reasons(days: int) -> list[Reason]:
    """Why images were rejected in the last days, the most frequent first."""
    return read(
        Reason,
        """
        SELECT review.reason, image.provider, coalesce(template.name, '') AS template, count(*)::int AS count
        FROM packshot_review AS review
        JOIN packshot_image AS image ON image.id = review.image_id
        LEFT JOIN packshot_generation AS generation ON generation.id = image.generation_id
        LEFT JOIN packshot_prompttemplateversion AS version ON version.id = generation.template_version_id
        LEFT JOIN packshot_prompttemplate AS template ON template.id = version.template_id
        WHERE review.current AND review.decision = 'rejected' AND image.attempt_id IS NOT NULL
            AND review.at >= packshot_now() - make_interval(days => %(days)s)
        GROUP BY 1, 2, 3 ORDER BY count(*) DESC, 1, 2, 3 LIMIT 200
        """,
        days=days,
    )


def approvals(days: int) -> list[Approval]:
    """How much of what was decided in the last days was approved, by provider, model and template."""
    return read(
        Approval,
        """
        SELECT image.provider, image.model, coalesce(template.name, '') AS template,
            count(*) FILTER (WHERE review.decision = 'approved')::int AS approved, count(*)::int AS decided
        FROM packshot_review AS review
        JOIN packshot_image AS image ON image.id = review.image_id
        LEFT JOIN packshot_generation AS generation ON generation.id = image.generation_id
        LEFT JOIN packshot_prompttemplateversion AS version ON version.id = generation.template_version_id
        LEFT JOIN packshot_prompttemplate AS template ON template.id = version.template_id
        WHERE review.current AND image.attempt_id IS NOT NULL
            AND review.at >= packshot_now() - make_interval(days => %(days)s)
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT 500
        """,
        days=days,
    )


def facts(image_ids: Sequence[UUID]) -> list[Fact]:
    """What a decision about these images changes in the figures, and who may not make it."""
    return read(
        Fact,
        """
        SELECT image.id AS image_id, image.provider, image.model, image.simulated, image.created_at,
            image.product_id, coalesce(generation.asked_by_id, photo.brought_by_id) AS asked_by_id,
            image.attempt_id IS NOT NULL AS made
        FROM packshot_image AS image
        LEFT JOIN packshot_generation AS generation ON generation.id = image.generation_id
        LEFT JOIN packshot_photo AS photo ON photo.image_id = image.id
        WHERE image.id = ANY(%(images)s)
        """,
        images=list(image_ids),
    )


# By either its own index serves, so each has a plan of its own.
_DECIDED = {each: f"review.current AND review.decision = '{each}'" for each in ("approved", "rejected")}


def _source(shelf: Shelf) -> tuple[str, str, str, dict[str, Any]]:
    """Where the images of `shelf` are read from, by which id in order, what they fit, and its parameters.
    What was decided is found by the decisions, which are fewer than the images."""
    parts, parameters = ["image.state = 'ready'"], dict[str, Any]()
    source, order = "packshot_image AS image", "image.id"
    if shelf.decision:
        source = "packshot_review AS review JOIN packshot_image AS image ON image.id = review.image_id"
        order = "review.image_id"
        parts.append(_DECIDED[shelf.decision])
    else:
        parts.append(
            "NOT EXISTS (SELECT 1 FROM packshot_review AS review"
            " WHERE review.image_id = image.id AND review.current)"
        )
    if shelf.provider:
        parts.append("image.provider = %(provider)s")
        parameters["provider"] = shelf.provider
    sought = ""
    if shelf.text:
        sought = f" AND {search.all_of('product.words', shelf.text, parameters)}"
    parts.append(
        "EXISTS (SELECT 1 FROM packshot_product AS product"
        f" WHERE product.id = image.product_id AND product.archived_at IS NULL{sought})"
    )
    return source, order, " AND ".join(parts), parameters
