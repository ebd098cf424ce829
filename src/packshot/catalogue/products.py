"""Finding products, and the facts about them that a prompt may use."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction

from packshot.catalogue.models import Product
from packshot.kernel.errors import BadInput
from packshot.sql.reading import planned


@dataclass(frozen=True, slots=True)
class ProductRow:
    """A product as prompts and requests see it."""

    id: UUID
    sku: str
    name: str
    description: str
    category_path: str
    attributes: Mapping[str, Any]


_FIELDS = ("id", "sku", "name", "description", "category__path", "attributes")


def by_sku(skus: Sequence[str]) -> list[ProductRow]:
    """These products in the order asked for. Raises BadInput naming every SKU that is not there."""
    found = {
        row[1]: ProductRow(row[0], row[1], row[2], row[3], row[4] or "", row[5])
        for row in Product.objects.filter(sku__in=skus, archived_at=None).values_list(*_FIELDS)
    }
    missing = [sku for sku in skus if sku not in found]
    if missing:
        shown = ", ".join(missing[:10]) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
        raise BadInput(f"no product with SKU {shown}; `packshot products list` shows them", field="sku")
    return [found[sku] for sku in dict.fromkeys(skus)]


def by_id(ids: Sequence[UUID]) -> list[ProductRow]:
    """These unarchived products, in order of SKU."""
    with planned() as cursor:
        cursor.execute(
            """
            SELECT product.id, product.sku, product.name, product.description, coalesce(category.path, ''),
                product.attributes
            FROM packshot_product AS product
            LEFT JOIN packshot_category AS category ON category.id = product.category_id
            WHERE product.id = ANY(%s::uuid[]) AND product.archived_at IS NULL
            ORDER BY product.sku
            """,
            [list(ids)],
        )
        return [
            ProductRow(key, sku, name, description, path, json.loads(attributes))
            for key, sku, name, description, path, attributes in cursor.fetchall()
        ]


def archive(ids: Sequence[UUID]) -> dict[UUID, str]:
    """Take these out of the catalogue. Returns the SKU of each that was still in it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM packshot_product WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [list(ids)]
        )
        cursor.execute(
            """
            UPDATE packshot_product SET archived_at = clock_timestamp(), updated_at = clock_timestamp()
            WHERE id = ANY(%s) AND archived_at IS NULL RETURNING id, sku
            """,
            [list(ids)],
        )
        return dict(cursor.fetchall())


def unarchive(ids: Sequence[UUID]) -> dict[UUID, str]:
    """Take these back into the catalogue. Returns the SKU of each that was not in it. Raises BadInput where
    another product has the SKU by now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM packshot_product WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [list(ids)]
        )
        try:
            with transaction.atomic():
                cursor.execute(
                    """
                    UPDATE packshot_product SET archived_at = NULL, updated_at = clock_timestamp()
                    WHERE id = ANY(%s) AND archived_at IS NOT NULL RETURNING id, sku
                    """,
                    [list(ids)],
                )
                return dict(cursor.fetchall())
        except IntegrityError:
            raise BadInput(
                "another product of the catalogue has this SKU by now; give that one another first",
                field="sku",
            ) from None


def without_image(provider: str, *, category_path: str | None = None) -> list[ProductRow]:
    """Products without an active image that are not already waiting for one from `provider`."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT product.id FROM packshot_product AS product
            LEFT JOIN packshot_category AS category ON category.id = product.category_id
            WHERE product.archived_at IS NULL AND product.active_image_id IS NULL
                AND (%(path)s::text IS NULL OR category.path = %(path)s
                    OR starts_with(category.path, %(path)s || ' > '))
                AND NOT EXISTS (
                    SELECT 1 FROM packshot_generation AS generation
                    WHERE generation.product_id = product.id AND generation.provider_id = %(provider)s
                        AND generation.status IN ('pending', 'processing', 'uncertain'))
            """,
            {"path": category_path, "provider": provider},
        )
        return by_id([row[0] for row in cursor.fetchall()])
