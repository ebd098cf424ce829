"""What the public may see: the active image of an unarchived product, in sealed copies and no other."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection

from packshot.catalogue.images import MadeRendition
from packshot.kernel.ids import uuid7

# Copies of this kind carry the signed mark. The other renditions are for the desk alone.
SEALED = "sealed-"


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image, the copy of it that somebody asks for, and where that is, if it is made."""

    image_id: UUID
    original: str  # the blob it is made from
    broken: bool
    spec: str
    sealed: str | None  # the blob of the copy


def active(asked: Sequence[tuple[str, str]]) -> tuple[int, Wanted | None] | None:
    """Of the first product that has one of these SKUs: the place in `asked`, and the copy of its active image
    that is named beside the SKU. None: there is no such product."""
    row = _row(
        f"""
        SELECT item.place, {_WANTED}
        FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS item (sku, spec, place)
        JOIN packshot_product AS product ON product.sku = item.sku AND product.archived_at IS NULL
        LEFT JOIN packshot_image AS image ON image.id = product.active_image_id
        {_COPY}
        ORDER BY item.place LIMIT 1
        """,
        [[sku for sku, _ in asked], [spec for _, spec in asked]],
    )
    return None if row is None else (row[0] - 1, _wanted(row[1:]))


def active_of(product_id: UUID, spec: str) -> tuple[int, Wanted | None] | None:
    """As `active`, of a product by its id."""
    row = _row(
        f"""
        SELECT {_WANTED}
        FROM packshot_product AS product
        CROSS JOIN (SELECT %s::text AS spec) AS item
        LEFT JOIN packshot_image AS image ON image.id = product.active_image_id
        {_COPY}
        WHERE product.id = %s AND product.archived_at IS NULL
        """,
        [spec, product_id],
    )
    return None if row is None else (0, _wanted(row))


def any_image(image_id: UUID, spec: str) -> Wanted | None:
    """A copy of any image, active or not: who asks must be allowed to see it."""
    row = _row(
        f"""
        SELECT {_WANTED}
        FROM packshot_image AS image CROSS JOIN (SELECT %s::text AS spec) AS item
        {_COPY}
        WHERE image.id = %s
        """,
        [spec, image_id],
    )
    return None if row is None else _wanted(row)


def sealed(asked: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], str]:
    """Where those of these copies are that are made, by image and spec."""
    if not asked:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT image_id, rendition.spec, blob
            FROM unnest(%s::uuid[], %s::text[]) AS item (image_id, spec)
            JOIN packshot_rendition AS rendition USING (image_id, spec)
            """,
            [[image for image, _ in asked], [spec for _, spec in asked]],
        )
        return {(image, spec): blob for image, spec, blob in cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class Published:
    """A sealed copy by the hash of its bytes."""

    media_type: str
    public: bool  # its image is active now
    archived: bool  # of a product that was taken out of the catalogue


def published(blob: str) -> Published | None:
    """Of a blob that is a sealed copy: what it is, and whether the public may have it."""
    row = _row(
        """
        SELECT rendition.media_type, EXISTS (
            SELECT 1 FROM packshot_product AS product
            WHERE product.active_image_id = rendition.image_id AND product.archived_at IS NULL) AS public,
            EXISTS (
                SELECT 1 FROM packshot_image AS image JOIN packshot_product AS product
                ON product.id = image.product_id
                WHERE image.id = rendition.image_id AND product.archived_at IS NOT NULL)
        FROM packshot_rendition AS rendition
        WHERE rendition.blob = %s AND starts_with(rendition.spec, %s)
        ORDER BY public DESC LIMIT 1
        """,
        [blob, SEALED],
    )
    return None if row is None else Published(*row)


def keep_sealed(image_id: UUID, made: MadeRendition) -> None:
    """Store the row of a sealed copy; one that stands already is left as it is."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO packshot_rendition
                (id, image_id, spec, blob, media_type, width_px, height_px, size_bytes, created_at)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, now()) ON CONFLICT (image_id, spec) DO NOTHING
            """,
            [
                uuid7(), image_id, made.spec, made.blob, made.media_type, made.width_px, made.height_px,
                made.size_bytes,
            ],
        )  # fmt: skip


@contextmanager
def alone_at(image_id: UUID, spec: str) -> Iterator[None]:
    """Held by one at a time, of all processes and machines. It ends with the connection, whoever dies."""
    name = [f"packshot sealed {image_id} {spec}"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", name)
    try:
        yield
    finally:
        with suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", name)


_WANTED = "image.id, image.blob, image.state = 'broken', item.spec, copy.blob"
_COPY = "LEFT JOIN packshot_rendition AS copy ON copy.image_id = image.id AND copy.spec = item.spec"


def _wanted(row: Sequence[Any]) -> Wanted | None:
    return None if row[0] is None else Wanted(*row)


def _row(sql: str, parameters: list[Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row
