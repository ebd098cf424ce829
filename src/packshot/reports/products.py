"""What the page of one product shows: its facts, every image with how it came about, what is being made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from packshot.kernel.money import dollars
from packshot.reports.history import MADE_FROM, NUMBERED, Kin, kin
from packshot.reports.sql import document, read_planned, read_together, rows

_UNDER_WAY_SHOWN = 30


@dataclass(frozen=True, slots=True)
class ProductFacts:
    """A product with everything the catalogue says of it."""

    id: UUID
    sku: str
    name: str
    description: str
    category_path: str
    attributes: Mapping[str, Any]
    price: Decimal | None
    currency: str
    reference_image_urls: Sequence[str]
    listed_image_url: str
    placeholder: bool
    active_image_id: UUID | None
    archived_at: datetime | None


@dataclass(frozen=True, slots=True)
class ProductImage:
    """An image of a product and how it came about. `cost_micros`: its share of its call; None: not known."""

    image_id: UUID
    provider: str
    model: str
    simulated: bool
    state: str
    problem: str
    width_px: int
    height_px: int
    created_at: datetime
    active: bool
    thumb_blob: str | None  # 320 px
    stage_blob: str | None  # 1200 px
    cost_micros: int | None
    seconds: float | None
    asked_by_name: str
    prompt: str
    of_all: int  # how many images the product has
    number: int  # among them, from the first
    made_from: Sequence[Kin]  # images that it was given

    @property
    def cost(self) -> Decimal | None:
        return None if self.cost_micros is None else dollars(self.cost_micros)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that an image was asked for with."""

    provider: str
    model: str
    prompt: str
    template: str | None
    template_text: str | None  # the wording of that time, with its placeholders
    shape: str
    images: int
    seed: int | None
    options: Mapping[str, Any]
    negative_prompt: str
    inputs: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Making:
    """A generation of a product that has not ended well: it waits, is being made, or failed."""

    generation_id: UUID
    provider: str
    model: str
    status: str
    images: int
    wait_reason: str | None
    error_kind: str
    created_at: datetime


_FACTS = """
    SELECT product.id, product.sku, product.name, product.description,
        coalesce(category.path, '') AS category_path, product.attributes, product.price, product.currency,
        product.reference_image_urls, product.listed_image_url, product.placeholder,
        product.active_image_id, product.archived_at
    FROM packshot_product AS product
    LEFT JOIN packshot_category AS category ON category.id = product.category_id
"""

_IMAGES = f"""
    WITH numbered AS MATERIALIZED ({NUMBERED})
    SELECT image.id AS image_id, image.provider, image.model, image.simulated, image.state, image.problem,
        image.width_px, image.height_px, image.created_at,
        image.id IS NOT DISTINCT FROM product.active_image_id AS active,
        thumb.blob AS thumb_blob, stage.blob AS stage_blob,
        floor(packshot_image_cost_micros(image.attempt_id))::bigint AS cost_micros,
        extract(epoch FROM generation.completed_at - generation.started_at)::float8 AS seconds,
        coalesce(generation.asked_by_name, photo.brought_by_name, '') AS asked_by_name,
        coalesce(generation.prompt, '') AS prompt,
        (SELECT count(*) FROM numbered) AS of_all, numbered.number,
        CASE WHEN generation.inputs <> '[]'::jsonb THEN ({MADE_FROM}) END AS made_from
    FROM packshot_product AS product
    -- The newest, and the active one and the one that is looked at however old they are.
    CROSS JOIN LATERAL (
        SELECT newest.id FROM (
            SELECT id FROM packshot_image WHERE product_id = product.id ORDER BY id DESC LIMIT {{limit}}
        ) AS newest
        UNION SELECT product.active_image_id WHERE product.active_image_id IS NOT NULL
        UNION SELECT id FROM packshot_image WHERE id = %(also)s AND product_id = product.id
    ) AS chosen
    JOIN packshot_image AS image ON image.id = chosen.id
    JOIN numbered ON numbered.id = image.id
    LEFT JOIN packshot_generation AS generation ON generation.id = image.generation_id
    LEFT JOIN packshot_photo AS photo ON photo.image_id = image.id
    LEFT JOIN packshot_rendition AS thumb ON thumb.image_id = image.id AND thumb.spec = 'webp-320'
    LEFT JOIN packshot_rendition AS stage ON stage.image_id = image.id AND stage.spec = 'webp-1200'
    WHERE product.id = %(product)s
    ORDER BY image.id DESC
"""

_MAKING = f"""
    SELECT id AS generation_id, provider_id AS provider, model, status, images, wait_reason, error_kind,
        created_at
    FROM packshot_generation
    WHERE product_id = %(product)s AND status NOT IN ('completed', 'cancelled')
    ORDER BY id DESC LIMIT {_UNDER_WAY_SHOWN}
"""


_SETTINGS = """
    SELECT generation.provider_id AS provider, generation.model, generation.prompt,
        template.name AS template, version.text AS template_text, generation.shape, generation.images,
        generation.seed, generation.options, generation.negative_prompt, generation.inputs
    FROM packshot_image AS image
    JOIN packshot_generation AS generation ON generation.id = image.generation_id
    LEFT JOIN packshot_prompttemplateversion AS version ON version.id = generation.template_version_id
    LEFT JOIN packshot_prompttemplate AS template ON template.id = version.template_id
    WHERE image.id = %(image)s AND image.product_id = %(product)s
"""


def product_by_sku(sku: str) -> ProductFacts | None:
    """The product with this SKU: the one that is not archived, or else the one archived last."""
    return _facts("product.sku = %(sku)s ORDER BY product.archived_at DESC NULLS FIRST LIMIT 1", sku=sku)


def product_by_id(product_id: UUID) -> ProductFacts | None:
    return _facts("product.id = %(id)s", id=product_id)


def _facts(condition: str, **parameters: object) -> ProductFacts | None:
    found = read_planned(ProductFacts, f"{_FACTS} WHERE {condition}", **parameters)
    return next(
        (
            replace(
                row,
                attributes=document(row.attributes),
                reference_image_urls=document(row.reference_image_urls),
            )
            for row in found
        ),
        None,
    )


def images_of(product_id: UUID, limit: int, *, also: UUID | None = None) -> list[ProductImage]:
    """The product's newest images, its active one and `also`, if that is its own; newest first."""
    return _with_kin(read_planned(ProductImage, _IMAGES.format(limit=limit), product=product_id, also=also))


def settings_of(image_id: UUID, product_id: UUID) -> Settings | None:
    """What this image of this product was asked for with; None for one that nobody asked for."""
    found = read_planned(Settings, _SETTINGS, image=image_id, product=product_id)
    return next(
        (replace(row, options=document(row.options), inputs=document(row.inputs)) for row in found), None
    )


def strip_of(
    product_id: UUID, limit: int, *, also: UUID | None = None
) -> tuple[list[ProductImage], list[Making]]:
    """The product's images as `images_of` has them, and its newest generations that wait, are being made,
    failed or nobody knows, newest first. In one trip to the database."""
    images, under_way = read_together(_IMAGES.format(limit=limit), _MAKING, product=product_id, also=also)
    return _with_kin(rows(ProductImage, images)), rows(Making, under_way)


def _with_kin(images: Sequence[ProductImage]) -> list[ProductImage]:
    return [replace(each, made_from=kin(each.made_from)) for each in images]
