"""Providers held against each other across products: a line for each product, an image for each provider.

The image is the provider's active one, or else its newest. `image_comparison_view` shows its newest approved
one before that, for which it looks at every image of a product and at its review: 191 ms for fifty products
of fifty images. Here it is two probes of an index for each cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from packshot.kernel import search
from packshot.kernel.money import dollars
from packshot.reports.health import wilson
from packshot.reports.sql import IMAGE_COST, read, read_planned

# So many products with images are looked through for a page: providers that few have are found by looking on.
LOOKED_THROUGH = 20_000
# Figures are of the first so many products of a filter.
SAMPLE = 200


@dataclass(frozen=True, slots=True)
class Sought:
    """Which products, and which providers' images of them."""

    providers: tuple[str, ...]
    text: str = ""  # words, each in SKU, name or an attribute
    category: str = ""  # a path; what is below it counts
    complete: bool = False  # only products that have an image of each of the providers


@dataclass(frozen=True, slots=True)
class Product:
    """A product that has an image of one of the providers at least."""

    id: UUID
    sku: str
    name: str
    category_path: str


@dataclass(frozen=True, slots=True)
class Cell:
    """An image that stands for its provider. `cost_micros`: None, when nobody knows."""

    product_id: UUID
    provider: str
    image_id: UUID
    model: str
    simulated: bool
    thumb_blob: str | None
    created_at: datetime
    active: bool
    review: str  # approved, rejected; empty: not decided
    cost_micros: int | None
    seconds: float | None
    score: float | None  # the lowest, 0 to 100

    @property
    def cost(self) -> Decimal | None:
        return None if self.cost_micros is None else dollars(self.cost_micros)


@dataclass(frozen=True, slots=True)
class Total:
    """A provider's images of the sample, together."""

    provider: str
    products: int
    approved: int
    decided: int
    known: int  # whose cost is
    micros_each: int | None
    p50_s: float | None

    @property
    def each(self) -> Decimal | None:
        return None if self.micros_each is None else dollars(self.micros_each)

    @property
    def approval_rate(self) -> float | None:
        return self.approved / self.decided if self.decided else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where that rate plausibly lies."""
        return wilson(self.approved, self.decided) if self.decided else None


@dataclass(frozen=True, slots=True)
class Page:
    """Products by name, and whether there are more. `looked_until`: the look ended early, at that one."""

    products: tuple[Product, ...]
    has_before: bool
    has_after: bool
    looked_until: UUID | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """The figures of each provider, over `products` products; `more`: there are others after these."""

    of: Mapping[str, Total]
    products: int
    more: bool


_EDGE = """
    (product.name, product.id) {way} (
        SELECT mark.name, mark.id FROM packshot_product AS mark WHERE mark.id = %(mark)s)
"""

_CELLS = f"""
    SELECT product.id AS product_id, wanted.name AS provider, image.id AS image_id, image.model,
        image.simulated, thumb.blob AS thumb_blob, image.created_at,
        image.id IS NOT DISTINCT FROM product.active_image_id AS active,
        coalesce(review.decision, '') AS review,
        {IMAGE_COST} AS cost_micros,
        extract(epoch FROM generation.completed_at - generation.started_at)::float8 AS seconds,
        (SELECT min(score.value) FROM packshot_score AS score WHERE score.image_id = image.id) AS score
    FROM packshot_product AS product
    CROSS JOIN unnest(%(providers)s::text[]) AS wanted (name)
    CROSS JOIN LATERAL (
        SELECT coalesce(
            (SELECT active.id FROM packshot_image AS active
            WHERE active.id = product.active_image_id AND active.provider = wanted.name
                AND active.state = 'ready'),
            (SELECT newest.id FROM packshot_image AS newest
            WHERE newest.product_id = product.id AND newest.provider = wanted.name AND newest.state = 'ready'
            ORDER BY newest.id DESC LIMIT 1)
        ) AS id
    ) AS shown
    -- Each by its id, whatever the planner expects: else every image there is would be read for some hundred.
    CROSS JOIN LATERAL (
        SELECT found.id, found.model, found.simulated, found.created_at, found.attempt_id, found.generation_id
        FROM packshot_image AS found WHERE found.id = shown.id OFFSET 0
    ) AS image
    LEFT JOIN packshot_generation AS generation ON generation.id = image.generation_id
    LEFT JOIN packshot_rendition AS thumb ON thumb.image_id = image.id AND thumb.spec = 'webp-320'
    LEFT JOIN packshot_review AS review ON review.image_id = image.id AND review.current
    WHERE product.id = ANY(%(products)s)
"""


def page(sought: Sought, *, after: UUID | None = None, before: UUID | None = None, limit: int = 50) -> Page:
    """The first products by name, those after one of them, or those that lead up to one."""
    sql, parameters = _products(sought, after=after, before=before)
    # One more than is shown says whether there is more.
    found = read(Product, sql, **parameters, limit=limit + 1)
    more = len(found) > limit
    if before is not None:
        return Page(tuple(reversed(found[:limit])), has_before=more, has_after=True)
    until = None
    if not more:
        condition, parameters = _condition(sought, after=after, before=None)
        ended = read(
            _Id,
            f"""
            SELECT product.id FROM packshot_product AS product WHERE {condition}
            ORDER BY product.name, product.id LIMIT 1 OFFSET %(most)s - 1
            """,
            **parameters,
            most=LOOKED_THROUGH,
        )
        until = ended[0].id if ended else None
    return Page(tuple(found[:limit]), has_before=after is not None, has_after=more, looked_until=until)


def cells(product_ids: Sequence[UUID], providers: Sequence[str]) -> dict[tuple[UUID, str], Cell]:
    """By product and provider, what stands for it, where there is something."""
    found = read_planned(Cell, _CELLS, products=list(product_ids), providers=list(providers))
    return {(each.product_id, each.provider): each for each in found}


def totals(sought: Sought) -> Totals:
    """The figures of the first SAMPLE products of `sought`."""
    sql, parameters = _products(sought)
    sample = read(Product, sql, **parameters, limit=SAMPLE + 1)
    found = read_planned(
        Total,
        f"""
        WITH cell AS MATERIALIZED (
            SELECT provider, review, cost_micros, seconds FROM ({_CELLS}) AS every
        )
        SELECT provider, count(*)::int AS products,
            (count(*) FILTER (WHERE review = 'approved'))::int AS approved,
            (count(*) FILTER (WHERE review <> ''))::int AS decided,
            count(cost_micros)::int AS known, round(avg(cost_micros))::bigint AS micros_each,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS p50_s
        FROM cell GROUP BY provider
        """,
        products=[each.id for each in sample[:SAMPLE]],
        providers=list(sought.providers),
    )
    return Totals(
        {each.provider: each for each in found}, min(len(sample), SAMPLE), more=len(sample) > SAMPLE
    )


@dataclass(frozen=True, slots=True)
class _Id:
    id: UUID


def _products(
    sought: Sought, *, after: UUID | None = None, before: UUID | None = None
) -> tuple[str, dict[str, Any]]:
    """The products of `sought` on one side of an edge, those nearest to it first. `limit` is the caller's."""
    condition, parameters = _condition(sought, after=after, before=before)
    order = "DESC" if before is not None else "ASC"
    # What has to be counted is asked of each product in turn: as a join it would be every image there is.
    sql = f"""
        SELECT looked.id, looked.sku, looked.name, coalesce((
            SELECT category.path FROM packshot_category AS category WHERE category.id = looked.category_id
        ), '') AS category_path
        FROM (
            SELECT product.id, product.sku, product.name, product.category_id
            FROM packshot_product AS product WHERE {condition}
            ORDER BY product.name {order}, product.id {order} LIMIT %(most)s
        ) AS looked
        WHERE (
            SELECT count(*) FROM unnest(%(providers)s::text[]) AS wanted (name)
            WHERE EXISTS (
                SELECT 1 FROM packshot_image AS image
                WHERE image.product_id = looked.id AND image.provider = wanted.name AND image.state = 'ready')
        ) >= %(least)s
        ORDER BY looked.name {order}, looked.id {order} LIMIT %(limit)s
    """
    parameters |= {
        "providers": list(sought.providers),
        "least": max(1, len(sought.providers)) if sought.complete else 1,
        "most": LOOKED_THROUGH,
    }
    return sql, parameters


def _condition(sought: Sought, *, after: UUID | None, before: UUID | None) -> tuple[str, dict[str, Any]]:
    parameters: dict[str, Any] = {}
    said = ["product.archived_at IS NULL AND product.newest_image_id IS NOT NULL"]
    if sought.text:
        said.append(search.all_of("product.words", sought.text, parameters))
    if sought.category:
        said.append(
            "product.category_id = ANY (ARRAY(SELECT place.id FROM packshot_category AS place "
            "WHERE place.path = %(category)s OR starts_with(place.path, %(category)s || ' > ')))"
        )
        parameters["category"] = sought.category
    if mark := before or after:
        said.append(_EDGE.format(way="<" if before is not None else ">"))
        parameters["mark"] = mark
    return " AND ".join(said), parameters
