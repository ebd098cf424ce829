"""How reports read: one statement in, finished values out."""

import json
from collections.abc import Hashable
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar, cast

from django.db import connection

from packshot.sql.reading import PlannedCursor, planned

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


def read_planned(kind: type[_Row], sql: str, **parameters: Any) -> list[_Row]:
    """As `read`, by a plan that the database keeps (`planned`)."""
    with planned() as cursor:
        cursor.execute(sql, parameters or None)
        return rows(kind, cursor)


def read_together(*statements: str, **parameters: Any) -> list[Any]:
    """A cursor at the result of each of the statements, which are `planned` and sent in one trip. Not for a
    transaction whose own statements travel together (`Gathers`)."""
    with planned(_InOneTrip) as cursor:
        cursor.execute(_NEXT.join(statements), parameters)
        return list(cursor.results)


_NEXT = ";\n"


class _InOneTrip(PlannedCursor):
    """Sends statements one after the other without waiting in between: `results` has a cursor for each."""

    results: tuple[Any, ...] = ()

    def execute(self, query: str, params: Any = None) -> None:
        link = cast(Any, self).connection
        statements = query.split(_NEXT)
        self.results = tuple(cast(Any, PlannedCursor)(link) for _ in statements)
        with link.pipeline():
            for cursor, statement in zip(self.results, statements, strict=True):
                cursor.execute(statement, params)


def rows(kind: type[_Row], cursor: Any) -> list[_Row]:
    """One `kind` per row of the result that `cursor` stands at."""
    names = tuple(column.name for column in cursor.description)
    if names == _fields(cast(Hashable, kind))[: len(names)]:
        return [kind(*row) for row in cursor.fetchall()]
    return [kind(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


@cache
def _fields(kind: Hashable) -> tuple[str, ...]:
    return tuple(each.name for each in fields(cast(Any, kind)))


def document(value: Any) -> Any:
    """What a jsonb column holds: a raw cursor gives it as text."""
    return json.loads(value) if isinstance(value, str) else value
