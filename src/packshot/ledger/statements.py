"""Statements: what was charged in a span of time, by what it was charged for. And the days of one budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, get_args
from uuid import UUID

from django.db import connection

from packshot.kernel.errors import BadInput
from packshot.ledger.budgets import COVERS

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


@dataclass(frozen=True, slots=True)
class BudgetDay:
    """What counted against a budget on one day of its own zone, in micro-dollars."""

    day: date
    amount_micros: int


def budget_days(budget_id: UUID, *, days: int) -> Sequence[BudgetDay]:
    """The last `days` days up to today, in the budget's zone, with 0 where nothing was charged."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT day.day::date, coalesce(sum(spent.amount_micros), 0)::bigint
            FROM packshot_budget AS budget
            CROSS JOIN LATERAL generate_series(
                (now() AT TIME ZONE budget.zone)::date - (%(days)s - 1),
                (now() AT TIME ZONE budget.zone)::date, interval '1 day') AS day (day)
            LEFT JOIN packshot_entry AS spent
                ON spent.charged_at >= day.day::timestamp AT TIME ZONE budget.zone
                AND spent.charged_at < (day.day + interval '1 day')::timestamp AT TIME ZONE budget.zone
                AND ({COVERS})
            WHERE budget.id = %(budget)s
            GROUP BY day.day ORDER BY day.day
            """,
            {"budget": budget_id, "days": days},
        )
        return [BudgetDay(*row) for row in cursor.fetchall()]
