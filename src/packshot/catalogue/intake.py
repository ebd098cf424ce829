"""Products from a file into the table: staged by COPY, compared in SQL, written in a few statements.

An empty cell leaves what is there: files often carry a part of the catalogue's columns, and an import must
not erase the rest. So attributes and other systems' ids are added to those that are known, name by name.

The verbs belong to one transaction, in this order: `stage`, `compare`, or `stage`, `take_turn`, `compare`,
`write`.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.db import connection

from packshot.catalogue.formats import ParsedProduct, RowProblem
from packshot.kernel.ids import uuid7
from packshot.sql import text

PROBLEMS_KEPT = 1_000
EXAMPLES_KEPT = 50
_ONE_AT_A_TIME = 0x696D706F7274  # "import"
_json = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file held beside the products that were staged."""

    rejected: int  # rows whose product was left out
    problem_count: int
    problems: tuple[RowProblem, ...]  # the first PROBLEMS_KEPT


@dataclass(frozen=True, slots=True)
class Example:
    """One product that the file creates or changes; for a change, the fields that differ."""

    row: int
    sku: str
    fields: str  # "name, price"; empty for a new product
    name: str  # as the file has it

    @property
    def created(self) -> bool:
        return not self.fields


@dataclass(frozen=True, slots=True)
class Comparison:
    """What writing the staged products does to the catalogue."""

    created: int
    changed: int
    unchanged: int
    revived: int  # archived products that the file brings back; counted as changed, too
    examples: tuple[Example, ...]  # the first EXAMPLES_KEPT, changes before new products


def stage(items: Iterable[ParsedProduct | RowProblem], is_placeholder: Callable[[str], bool]) -> Reading:
    """Lay the file's products into a table of this transaction's own, and gather what is wrong with it."""
    problems: list[RowProblem] = []
    problem_count = rejected = last_rejected_row = 0
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.import_row, pg_temp.import_pair")
        cursor.execute(text("import_rows", 1))
        with cursor.copy("COPY pg_temp.import_row FROM STDIN") as copy:
            for item in items:
                if isinstance(item, ParsedProduct):
                    copy.write_row(_staged(item, is_placeholder))
                    continue
                problem_count += 1
                if len(problems) < PROBLEMS_KEPT:
                    problems.append(item)
                # A row may be wrong in two ways; it is one product that is left out.
                if item.fatal_for_product and item.row != last_rejected_row:
                    rejected += 1
                    last_rejected_row = item.row
        cursor.execute("ANALYZE pg_temp.import_row")
    return Reading(rejected, problem_count, tuple(problems))


def _staged(product: ParsedProduct, is_placeholder: Callable[[str], bool]) -> tuple[object, ...]:
    urls = product.reference_image_urls
    stand_ins = [is_placeholder(url) for url in urls]
    return (
        product.row,
        uuid7(),
        product.sku,
        product.name,
        product.description,
        " > ".join(product.category_path),
        _json(product.attributes),
        product.price,
        product.currency or "",
        # A stand-in shows nothing of the product, so no provider may be told to go by it.
        _json([url for url, stand_in in zip(urls, stand_ins, strict=True) if not stand_in]),
        _json(product.external_ids),
        urls[0] if urls else "",
        bool(urls) and stand_ins[0],
    )


# When each field of a product differs from what the file says of it.
_DIFFERS = {
    "archived": "product.archived_at IS NOT NULL",
    "name": "product.name <> staged.name",
    "description": "staged.description <> '' AND product.description <> staged.description",
    "category": "staged.category_path <> '' AND category.path IS DISTINCT FROM staged.category_path",
    "attributes": "product.attributes || staged.attributes <> product.attributes",
    "price": "product.price IS DISTINCT FROM coalesce(staged.price, product.price)",
    "currency": "staged.currency <> '' AND product.currency <> staged.currency",
    "images": """staged.listed_image_url <> '' AND (product.listed_image_url <> staged.listed_image_url
        OR product.reference_image_urls <> staged.reference_image_urls)""",
    "external ids": "product.external_ids || staged.external_ids <> product.external_ids",
}

# Each staged row beside the product it means: the unarchived one of its SKU, else the one archived last.
_PAIRED = f"""
    CREATE TEMPORARY TABLE import_pair ON COMMIT DROP AS
    SELECT staged.sku, product.id AS product_id, product.archived_at IS NOT NULL AS revived,
        CASE WHEN product.id IS NULL THEN '' ELSE concat_ws(', ',
            {", ".join(f"CASE WHEN {differs} THEN '{field}' END" for field, differs in _DIFFERS.items())}
        ) END AS fields
    FROM pg_temp.import_row AS staged
    LEFT JOIN LATERAL (
        SELECT * FROM packshot_product AS known WHERE known.sku = staged.sku
        ORDER BY known.archived_at DESC NULLS FIRST LIMIT 1
    ) AS product ON true
    LEFT JOIN packshot_category AS category ON category.id = product.category_id
"""


def take_turn() -> None:
    """Wait until no other import is between comparing and its commit: each must see what the other wrote.

    Reading a file takes the longest and needs no turn.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ONE_AT_A_TIME])


def compare() -> Comparison:
    """Pair the staged products with the catalogue's, and say what writing them would do."""
    with connection.cursor() as cursor:
        cursor.execute(_PAIRED)
        cursor.execute(
            """
            SELECT count(*) FILTER (WHERE product_id IS NULL), count(*) FILTER (WHERE fields <> ''),
                count(*) FILTER (WHERE product_id IS NOT NULL AND fields = ''),
                count(*) FILTER (WHERE revived)
            FROM pg_temp.import_pair
            """
        )
        created, changed, unchanged, revived = cursor.fetchone()
        cursor.execute(
            """
            SELECT staged.row, staged.sku, pair.fields, staged.name
            FROM pg_temp.import_pair AS pair JOIN pg_temp.import_row AS staged USING (sku)
            WHERE pair.product_id IS NULL OR pair.fields <> ''
            ORDER BY pair.product_id IS NULL, staged.row LIMIT %s
            """,
            [EXAMPLES_KEPT],
        )
        examples = tuple(Example(*row) for row in cursor.fetchall())
    return Comparison(created, changed, unchanged, revived, examples)


def write() -> None:
    """Write what `compare` paired: categories, then changed products, then new ones in the file's order."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT category_path FROM pg_temp.import_row WHERE category_path <> ''")
        paths = sorted(
            {
                " > ".join(parts[:depth])
                for (path,) in cursor.fetchall()
                for parts in [path.split(" > ")]
                for depth in range(1, len(parts) + 1)
            }
        )
        cursor.execute(
            """
            INSERT INTO packshot_category (id, path, name)
            SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[]) ON CONFLICT (path) DO NOTHING
            """,
            [[uuid7() for _ in paths], paths, [path.rpartition(" > ")[2] for path in paths]],
        )
        # Products are locked as late as can be, and in the order in which closing attempts lock theirs.
        cursor.execute(
            """
            SELECT 1 FROM packshot_product
            WHERE id IN (SELECT product_id FROM pg_temp.import_pair WHERE fields <> '')
            ORDER BY id FOR NO KEY UPDATE
            """
        )
        cursor.execute(_UPDATE)
        cursor.execute(_INSERT)


# A listed address is a placeholder when the list says so. While the address and the list's verdict stay what
# they were, the word of a person who marked the product otherwise stands; and where an image is active, what
# the shop shows no longer matters.
_UPDATE = """
    UPDATE packshot_product AS product
    SET name = staged.name,
        description = coalesce(nullif(staged.description, ''), product.description),
        category_id = coalesce(category.id, product.category_id),
        attributes = product.attributes || staged.attributes,
        price = coalesce(staged.price, product.price),
        currency = coalesce(nullif(staged.currency, ''), product.currency),
        placeholder = CASE
            WHEN staged.listed_image_url = '' OR product.active_image_id IS NOT NULL THEN product.placeholder
            WHEN staged.listed_image_url = product.listed_image_url
                AND staged.placeholder <> (product.reference_image_urls ? staged.listed_image_url)
                THEN product.placeholder
            ELSE staged.placeholder END,
        reference_image_urls = CASE staged.listed_image_url WHEN '' THEN product.reference_image_urls
            ELSE staged.reference_image_urls END,
        listed_image_url = coalesce(nullif(staged.listed_image_url, ''), product.listed_image_url),
        external_ids = product.external_ids || staged.external_ids,
        archived_at = NULL, updated_at = now()
    FROM pg_temp.import_pair AS pair
    JOIN pg_temp.import_row AS staged USING (sku)
    LEFT JOIN packshot_category AS category ON category.path = staged.category_path
    WHERE product.id = pair.product_id AND pair.fields <> ''
"""

_INSERT = """
    INSERT INTO packshot_product (id, sku, name, description, category_id, attributes, price, currency,
        reference_image_urls, external_ids, listed_image_url, placeholder, last_generation_status,
        failures_in_row, created_at, updated_at)
    SELECT staged.id, staged.sku, staged.name, staged.description, category.id, staged.attributes,
        staged.price, staged.currency, staged.reference_image_urls, staged.external_ids,
        staged.listed_image_url, staged.placeholder, '', 0, now(), now()
    FROM pg_temp.import_pair AS pair
    JOIN pg_temp.import_row AS staged USING (sku)
    LEFT JOIN packshot_category AS category ON category.path = staged.category_path
    WHERE pair.product_id IS NULL ORDER BY staged.row
"""
