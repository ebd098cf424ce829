"""Statements: what was charged in a span of time, by what it was charged for."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from django.db import connection

from packshot.kernel.errors import BadInput

By = Literal["provider", "model", "category", "person", "run", "day"]

_KEYS: dict[str, str] = {
    "provider": "entry.provider",
    "model": "entry.provider || ' ' || entry.model",
    "category": "entry.category_path",
    "person": "entry.person_name",
    "run": "coalesce(entry.run_id::text, '')",
    "day": "(entry.charged_at AT TIME ZONE %(zone)s)::date::text",
}


@dataclass(frozen=True, slots=True)
class StatementLine:
    """What was charged for one provider, model, category, person, run or day. Amounts in micro-dollars."""

    key: str  # empty: without a category, or outside any run
    simulated: bool
    charges: int
    corrections: int
    amount_micros: int


def statement(by: By, *, start: datetime, end: datetime, zone: str = "UTC") -> list[StatementLine]:
    """The charges that belong to `start` up to, not including, `end`; the dearest first, days in order.

    A charge belongs to the instant at which its money was held (invariant I9). Real and simulated money
    stand on lines of their own.
    """
    if by not in get_args(By):
        raise BadInput(f"a statement is by one of {', '.join(get_args(By))}, not {by!r}", field="by")
    if end <= start:
        raise BadInput("a statement ends after it begins", field="end")
    order = "1" if by == "day" else "sum(entry.amount_micros) DESC, 1"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT {_KEYS[by]}, entry.simulated, count(*) FILTER (WHERE entry.kind = 'charge'),
                count(*) FILTER (WHERE entry.kind = 'adjustment'), sum(entry.amount_micros)::bigint
            FROM packshot_entry AS entry
            WHERE entry.charged_at >= %(start)s AND entry.charged_at < %(end)s
            GROUP BY 1, 2 ORDER BY entry.simulated, {order}
            """,
            {"start": start, "end": end, "zone": zone},
        )
        return [StatementLine(*row) for row in cursor.fetchall()]
