"""How reports read: one statement in, finished values out."""

import json
from typing import Any, TypeVar

from django.db import connection

_Row = TypeVar("_Row")

# What `packshot_image_cost_micros` says of an `image` that a statement reads, rounded down. Written out for
# statements of many rows: the database calls such a function for each, which takes four times as long.
IMAGE_COST = """
    floor(CASE WHEN image.attempt_id IS NULL THEN 0 ELSE (
        SELECT coalesce(
            (SELECT sum(entry.amount_micros) FROM packshot_entry AS entry
            WHERE entry.attempt_id = attempt.id),
            attempt.cost_micros
        ) / (SELECT count(*) FROM packshot_image AS sibling WHERE sibling.attempt_id = attempt.id)
        FROM packshot_attempt AS attempt WHERE attempt.id = image.attempt_id
    ) END)::bigint"""


def read(kind: type[_Row], sql: str, **parameters: Any) -> list[_Row]:
    """One `kind` per row, its fields named as the columns are."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return rows(kind, cursor)


def rows(kind: type[_Row], cursor: Any) -> list[_Row]:
    """One `kind` per row of the result that `cursor` stands at."""
    names = [column.name for column in cursor.description]
    return [kind(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def document(value: Any) -> Any:
    """What a jsonb column holds: a raw cursor gives it as text."""
    return json.loads(value) if isinstance(value, str) else value
