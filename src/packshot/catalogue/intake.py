"""Products from a file into the table: staged by COPY, compared in SQL, written in three statements.

An empty cell leaves what is there: files often carry a part of the catalogue's columns, and an import must
not erase the rest. Other systems' ids are added to those that are known.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from django.db import connection

from packshot.catalogue.formats import ParsedProduct, RowProblem
from packshot.kernel.ids import uuid7
from packshot.sql import text

# One import at a time: two would compare against each other's half.
_ONE_AT_A_TIME = 0x696D706F7274  # "import"
PROBLEMS_KEPT = 1_000


@dataclass(slots=True)
class Intake:
    """What an import found and, once applied, did."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0
    revived: int = 0  # archived products that the file brings back; counted as changed, too
    problem_count: int = 0
    problems: list[RowProblem] = field(default_factory=list)  # the first PROBLEMS_KEPT
    examples: list[tuple[int, str, str]] = field(default_factory=list)  # row, SKU, created or changed


def stage(items: Iterable[ParsedProduct | RowProblem], is_placeholder: Callable[[str], bool]) -> Intake:
    """Lay the file's products into the staging table of this transaction, and gather what is wrong."""
    intake = Intake()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ONE_AT_A_TIME])
        cursor.execute("DROP TABLE IF EXISTS import_row")
        cursor.execute(text("import_rows", 1))
        with cursor.copy("COPY import_row FROM STDIN") as copy:
            for item in items:
                if isinstance(item, RowProblem):
                    intake.problem_count += 1
                    intake.rejected += item.fatal_for_product
                    if len(intake.problems) < PROBLEMS_KEPT:
                        intake.problems.append(item)
                    continue
                listed = item.reference_image_urls[0] if item.reference_image_urls else ""
                copy.write_row(
                    (
                        item.row,
                        item.sku,
                        item.name,
                        item.description,
                        " > ".join(item.category_path),
                        json.dumps(item.attributes, ensure_ascii=False),
                        item.price,
                        item.currency or "",
                        json.dumps([url for url in item.reference_image_urls if not is_placeholder(url)]),
                        json.dumps(item.external_ids, ensure_ascii=False),
                        listed,
                        bool(listed) and is_placeholder(listed),
                    )
                )
        cursor.execute("ANALYZE import_row")
    return intake


# Each staged row beside the product it means: the unarchived one of its SKU, else the newest archived one.
_PAIRED = """
    CREATE TEMPORARY TABLE import_pair ON COMMIT DROP AS
    SELECT staged.*, product.id AS product_id, product.archived_at IS NOT NULL AS archived,
        product.id IS NOT NULL AND (
            product.archived_at IS NOT NULL
            OR product.name <> staged.name
            OR (staged.description <> '' AND product.description <> staged.description)
            OR (staged.category_path <> '' AND category.path IS DISTINCT FROM staged.category_path)
            OR (staged.attributes <> '{}' AND product.attributes <> staged.attributes)
            OR (staged.price IS NOT NULL AND product.price IS DISTINCT FROM staged.price)
            OR (staged.currency <> '' AND product.currency <> staged.currency)
            OR (staged.listed_image_url <> '' AND (product.listed_image_url <> staged.listed_image_url
                OR product.reference_image_urls <> staged.reference_image_urls))
            OR NOT product.external_ids @> staged.external_ids
        ) AS differs
    FROM import_row AS staged
    LEFT JOIN LATERAL (
        SELECT * FROM packshot_product AS known WHERE known.sku = staged.sku
        ORDER BY known.archived_at DESC NULLS FIRST LIMIT 1
    ) AS product ON true
    LEFT JOIN packshot_category AS category ON category.id = product.category_id
"""


def compare(intake: Intake) -> None:
    """Count what applying the staged rows would create and change."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS import_pair")
        cursor.execute(_PAIRED)
        cursor.execute(
            """
            SELECT count(*) FILTER (WHERE product_id IS NULL), count(*) FILTER (WHERE differs),
                count(*) FILTER (WHERE product_id IS NOT NULL AND NOT differs),
                count(*) FILTER (WHERE archived)
            FROM import_pair
            """
        )
        intake.created, intake.changed, intake.unchanged, intake.revived = cursor.fetchone()
        cursor.execute(
            """
            SELECT row, sku, CASE WHEN product_id IS NULL THEN 'created' ELSE 'changed' END
            FROM import_pair WHERE product_id IS NULL OR differs ORDER BY row LIMIT 50
            """
        )
        intake.examples = cursor.fetchall()


def write() -> None:
    """Write what `compare` paired: categories, changed products in order of id, new products."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT category_path FROM import_pair WHERE category_path <> ''")
        paths = {
            " > ".join(parts[:depth])
            for (path,) in cursor.fetchall()
            for parts in [path.split(" > ")]
            for depth in range(1, len(parts) + 1)
        }
        cursor.execute(
            """
            INSERT INTO packshot_category (id, path, name)
            SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[]) ON CONFLICT (path) DO NOTHING
            """,
            [
                [uuid7() for _ in paths],
                sorted(paths),
                [path.rpartition(" > ")[2] for path in sorted(paths)],
            ],
        )
        # Only now are products locked, in the order in which closing attempts lock theirs.
        cursor.execute(
            """
            SELECT 1 FROM packshot_product WHERE id IN (SELECT product_id FROM import_pair WHERE differs)
            ORDER BY id FOR NO KEY UPDATE
            """
        )
        cursor.execute(
            """
            UPDATE packshot_product AS product
            SET name = pair.name,
                description = coalesce(nullif(pair.description, ''), product.description),
                category_id = coalesce(category.id, product.category_id),
                attributes = CASE pair.attributes WHEN '{}' THEN product.attributes ELSE pair.attributes END,
                price = coalesce(pair.price, product.price),
                currency = coalesce(nullif(pair.currency, ''), product.currency),
                reference_image_urls = CASE pair.listed_image_url WHEN '' THEN product.reference_image_urls
                    ELSE pair.reference_image_urls END,
                placeholder = CASE
                    WHEN pair.listed_image_url IN ('', product.listed_image_url) THEN product.placeholder
                    ELSE pair.placeholder AND product.active_image_id IS NULL END,
                listed_image_url = coalesce(nullif(pair.listed_image_url, ''), product.listed_image_url),
                external_ids = product.external_ids || pair.external_ids,
                archived_at = NULL, updated_at = now()
            FROM import_pair AS pair
            LEFT JOIN packshot_category AS category ON category.path = pair.category_path
            WHERE product.id = pair.product_id AND pair.differs
            """
        )
        cursor.execute(
            """
            INSERT INTO packshot_product (id, sku, name, description, category_id, attributes, price,
                currency, reference_image_urls, external_ids, listed_image_url, placeholder,
                last_generation_status,
                failures_in_row, created_at, updated_at)
            SELECT gen_random_uuid(), pair.sku, pair.name, pair.description, category.id, pair.attributes,
                pair.price, pair.currency, pair.reference_image_urls, pair.external_ids,
                pair.listed_image_url, pair.placeholder, '', 0, now(), now()
            FROM import_pair AS pair
            LEFT JOIN packshot_category AS category ON category.path = pair.category_path
            WHERE pair.product_id IS NULL ORDER BY pair.row
            """
        )
