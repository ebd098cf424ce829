"""Lists of products: found by words, category and image state, by name, a page at a time."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

from django.db import connection
from django.db.models import BooleanField, Func, Q, Value

from packshot.kernel import search
from packshot.sql.reading import planned

ImageState = Literal["no-image", "to-choose", "placeholder", "in-progress", "failed", "active"]
IMAGE_STATES: tuple[ImageState, ...] = get_args(ImageState)
# What a product is shown as: the first of its states that says what there is to do, or `shop-image` when the
# shop has an image of its own.
Shown = Literal["no-image", "to-choose", "placeholder", "in-progress", "failed", "active", "shop-image"]


@dataclass(frozen=True, slots=True)
class Sought:
    """Which products a list holds: all of them, or those that fit everything that is given."""

    text: str = ""  # words, each in SKU, name or an attribute, whatever their case
    category: str = ""  # a path; what is below it counts
    state: ImageState | None = None


@dataclass(frozen=True, slots=True)
class ListedProduct:
    """A product as lists show it. The image is the active one, or else the newest that can be shown."""

    id: UUID
    sku: str
    name: str
    category_path: str
    shown: Shown
    active: bool  # the image is what shoppers see
    image_id: UUID | None
    thumb_blob: str | None  # the image's 320 px WebP
    provider: str
    model: str
    simulated: bool
    image_at: datetime | None
    newest_image_id: UUID | None


@dataclass(frozen=True, slots=True)
class Found:
    """One page of a list, and whether there is more on either side."""

    products: tuple[ListedProduct, ...]
    has_before: bool
    has_after: bool


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The product before or after another in a list."""

    id: UUID
    sku: str
    name: str


# Nobody reads how many products a word finds that is in every other one.
MOST_COUNTED = 10_000

# As the dashboard and the attention view have it: to a shopper, an image that nobody has chosen is no image.
_STATES: Mapping[ImageState, str] = {
    "no-image": "product.active_image_id IS NULL AND product.listed_image_url = ''",
    "to-choose": "product.active_image_id IS NULL AND product.newest_image_id IS NOT NULL",
    "placeholder": "product.active_image_id IS NULL AND product.listed_image_url <> ''"
    " AND product.placeholder",
    "in-progress": "product.last_generation_status = 'pending'",
    "failed": "product.last_generation_status IN ('failed', 'uncertain')",
    "active": "product.active_image_id IS NOT NULL",
}

_SHOWN = f"""
    CASE
        WHEN {_STATES["in-progress"]} THEN 'in-progress'
        WHEN {_STATES["failed"]} THEN 'failed'
        WHEN {_STATES["active"]} THEN 'active'
        WHEN {_STATES["to-choose"]} THEN 'to-choose'
        WHEN {_STATES["placeholder"]} THEN 'placeholder'
        WHEN product.listed_image_url <> '' THEN 'shop-image'
        ELSE 'no-image'
    END
"""

_PRODUCT = f"""
    SELECT product.id, product.sku, product.name, coalesce(category.path, '') AS category_path,
        {_SHOWN} AS shown, product.active_image_id IS NOT NULL AS active, image.id AS image_id,
        thumb.blob AS thumb_blob, coalesce(image.provider, '') AS provider,
        coalesce(image.model, '') AS model, coalesce(image.simulated, false) AS simulated,
        image.created_at AS image_at, product.newest_image_id
"""

# Joined to the few products of a page, never to all of them.
_AROUND = """
    LEFT JOIN packshot_category AS category ON category.id = product.category_id
    LEFT JOIN packshot_image AS image
        ON image.id = coalesce(product.active_image_id, product.newest_image_id)
    LEFT JOIN packshot_rendition AS thumb ON thumb.image_id = image.id AND thumb.spec = 'webp-320'
"""


def find(sought: Sought, *, after: UUID | None = None, before: UUID | None = None, limit: int = 60) -> Found:
    """The products of `sought` by name: the first, or those that follow or lead up to one of them."""
    backwards = before is not None
    way, order = ("<", "DESC") if backwards else (">", "ASC")
    mark = before or after
    condition, parameters = _condition(sought)
    rows = _read(
        # One more than is shown says whether there is more.
        f"""
        {_PRODUCT}
        FROM (
            SELECT id, sku, name, category_id, active_image_id, newest_image_id, listed_image_url,
                placeholder, last_generation_status
            FROM packshot_product AS product
            WHERE {condition} {_beyond(way) if mark else ""}
            ORDER BY product.name {order}, product.id {order} LIMIT {limit + 1}
        ) AS product
        {_AROUND}
        ORDER BY product.name, product.id
        """,
        {**parameters, "mark": mark},
        _cursor(sought),
    )
    more = len(rows) > limit
    if backwards:
        return Found(tuple(rows[-limit:]), has_before=more, has_after=True)
    return Found(tuple(rows[:limit]), has_before=mark is not None, has_after=more)


def by_ids(product_ids: Sequence[UUID], *, generation_ids: Sequence[UUID] = ()) -> list[ListedProduct]:
    """These unarchived products, and those that these generations are of, by name."""
    return _read(
        f"""
        {_PRODUCT}
        FROM packshot_product AS product
        {_AROUND}
        WHERE product.archived_at IS NULL AND product.id = ANY(%(products)s::uuid[] || ARRAY(
            SELECT generation.product_id FROM packshot_generation AS generation
            WHERE generation.id = ANY(%(generations)s::uuid[])))
        ORDER BY product.name, product.id
        """,
        {"products": list(product_ids), "generations": list(generation_ids)},
        connection.cursor(),
    )


@dataclass(frozen=True, slots=True)
class Tally:
    """How many products there are in each image state; under None, in all."""

    of: Mapping[ImageState | None, int]
    more: bool  # there are more than were counted: each number is the least that it can be


def tally(sought: Sought) -> Tally:
    """How many products fit the text and the category of `sought` in each image state. What a text finds is
    counted up to MOST_COUNTED."""
    condition, parameters = _condition(Sought(sought.text, sought.category))
    if sought.text or sought.category:
        counts = [f"count(*) FILTER (WHERE {each})" for each in _STATES.values()]
        parameters["most"] = MOST_COUNTED if sought.text else None
        sql = f"""
            SELECT count(*), {", ".join(counts)}
            FROM (SELECT * FROM packshot_product AS product WHERE {condition} LIMIT %(most)s) AS product
        """
    else:
        # Each state has an index of its own, much smaller than the products: 3 ms for 10,000, where one look
        # at all of them takes 8.
        counts = [
            f"(SELECT count(*) FROM packshot_product AS product WHERE {each})"
            for each in (condition, *(f"{condition} AND {state}" for state in _STATES.values()))
        ]
        sql = f"SELECT {', '.join(counts)}"
    with _cursor(sought) as cursor:
        cursor.execute(sql, parameters)
        row = cursor.fetchone()
    return Tally(
        dict(zip((None, *_STATES), row, strict=True)), more=bool(sought.text) and row[0] == MOST_COUNTED
    )


def ids(sought: Sought, *, limit: int) -> list[UUID]:
    """The products of `sought` by name, at most `limit` of them."""
    condition, parameters = _condition(sought)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT product.id FROM packshot_product AS product WHERE {condition}
            ORDER BY product.name, product.id LIMIT %(limit)s
            """,
            {**parameters, "limit": limit},
        )
        return [row[0] for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class ActiveImage:
    """A product's active image, for those who take many of them away."""

    product_id: UUID
    sku: str
    name: str
    category_path: str
    image_id: UUID
    original: str  # blob
    broken: bool
    provider: str
    model: str
    simulated: bool
    digital_source_type: str
    width_px: int
    height_px: int
    generation_id: UUID | None
    made_at: datetime


def active_images(sought: Sought, *, after: UUID | None, limit: int) -> list[ActiveImage]:
    """The active images of the products of `sought`, by the products' names, beginning behind `after`."""
    condition, parameters = _condition(sought)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT product.id, product.sku, product.name, coalesce(category.path, ''), image.id, image.blob,
                image.state = 'broken', image.provider, image.model, image.simulated,
                image.digital_source_type, image.width_px, image.height_px, image.generation_id,
                image.created_at
            FROM (
                SELECT * FROM packshot_product AS product
                WHERE {condition} AND product.active_image_id IS NOT NULL {_beyond(">") if after else ""}
                ORDER BY product.name, product.id LIMIT %(limit)s
            ) AS product
            JOIN packshot_image AS image ON image.id = product.active_image_id
            LEFT JOIN packshot_category AS category ON category.id = product.category_id
            ORDER BY product.name, product.id
            """,
            {**parameters, "mark": after, "limit": limit},
        )
        return [ActiveImage(*row) for row in cursor.fetchall()]


def holding(text: str) -> Q:
    """That a product holds the words of `text`, as lists have it, for Django's own queries."""
    return Q(
        *(
            Func(
                "words",
                Value(each),
                template="(%(expressions)s)",
                arg_joiner=" ILIKE ",
                output_field=BooleanField(),
            )
            for each in search.patterns(text)
        )
    )


def neighbours(product_id: UUID, sought: Sought) -> tuple[Neighbour | None, Neighbour | None]:
    """The products before and after this one in the list of `sought`, by name."""
    condition, parameters = _condition(sought)
    found: dict[bool, Neighbour] = {}
    with _cursor(sought) as cursor:
        cursor.execute(
            " UNION ALL ".join(
                f"""
                (SELECT {is_after}, product.id, product.sku, product.name FROM packshot_product AS product
                WHERE {condition} {_beyond(way)}
                ORDER BY product.name {order}, product.id {order} LIMIT 1)
                """
                for is_after, way, order in ((False, "<", "DESC"), (True, ">", "ASC"))
            ),
            {**parameters, "mark": product_id},
        )
        for is_after, *facts in cursor.fetchall():
            found[is_after] = Neighbour(*facts)
    return found.get(False), found.get(True)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the catalogue's tree."""

    name: str
    path: str


def places_below(path: str) -> list[Place]:
    """What stands next below `path` in the catalogue's tree, or at its top for an empty one, by name."""
    with planned() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT split_part(substr(category.path, length(beginning) + 1), ' > ', 1)
            FROM packshot_category AS category,
                (SELECT CASE %(path)s::text WHEN '' THEN '' ELSE %(path)s::text || ' > ' END AS beginning)
                    AS above
            WHERE starts_with(category.path, beginning)
            """,
            {"path": path},
        )
        names = sorted((row[0] for row in cursor.fetchall()), key=str.casefold)
    return [Place(name, f"{path} > {name}" if path else name) for name in names]


def places_above(path: str) -> list[Place]:
    """The way from the top of the tree down to `path`, which is the last of it."""
    parts = path.split(" > ") if path else []
    return [Place(part, " > ".join(parts[:depth])) for depth, part in enumerate(parts, 1)]


def _condition(sought: Sought) -> tuple[str, dict[str, Any]]:
    """What a product must fit, as SQL on `product`, and its parameters."""
    parts, parameters = ["product.archived_at IS NULL"], dict[str, Any]()
    if sought.text:
        parts.append(search.all_of("product.words", sought.text, parameters))
    if sought.category:
        parts.append(
            """product.category_id = ANY (ARRAY(
                SELECT place.id FROM packshot_category AS place
                WHERE place.path = %(category)s OR starts_with(place.path, %(category)s || ' > ')))"""
        )
        parameters["category"] = sought.category
    if sought.state:
        parts.append(_STATES[sought.state])
    return " AND ".join(parts), parameters


def _beyond(way: str) -> str:
    """Beyond the product `mark`, wherever its name stands now."""
    return f"""AND (product.name, product.id) {way} (
        SELECT place.name, place.id FROM packshot_product AS place WHERE place.id = %(mark)s)"""


def _cursor(sought: Sought) -> AbstractContextManager[Any]:
    """What a statement about `sought` is asked by. How words and places are best looked for is another thing
    for each of them; all else has a plan that the database keeps."""
    return connection.cursor() if sought.text or sought.category else planned()


def _read(sql: str, parameters: Mapping[str, Any], by: AbstractContextManager[Any]) -> list[ListedProduct]:
    with by as cursor:
        cursor.execute(sql, parameters)
        return [ListedProduct(*row) for row in cursor.fetchall()]
