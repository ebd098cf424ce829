"""Budgets: limits by scope and period, each with the balances of its current window."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from packshot.kernel.errors import BadInput
from packshot.kernel.ids import uuid7
from packshot.kernel.money import LARGEST
from packshot.ledger.models import PERIODS


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget in its current window. `left_micros` is never negative: an overshoot shows as 0 left."""

    id: UUID
    name: str
    scope: str
    scope_value: str
    period: str
    zone: str
    simulated: bool
    limit_micros: int
    window_id: UUID | None
    starts_at: datetime
    ends_at: datetime | None
    reserved_micros: int
    spent_micros: int

    @property
    def left_micros(self) -> int:
        return max(0, self.limit_micros - self.reserved_micros - self.spent_micros)

    def covers(self, *, provider: str, category_path: str, person_name: str, run_id: UUID | None) -> bool:
        """Whether spending on these counts against this budget. A category covers those below it."""
        match self.scope:
            case "everything":
                return True
            case "provider":
                return self.scope_value == provider
            case "category":
                return category_path == self.scope_value or category_path.startswith(f"{self.scope_value} > ")
            case "person":
                return self.scope_value == person_name
            case "run":
                return run_id is not None and self.scope_value == str(run_id)
        return False


_CURRENT = """
    SELECT budget.id, budget.name, budget.scope, budget.scope_value, budget.period, budget.zone,
        budget.simulated, budget.limit_micros, balance.id, span.starts_at, span.ends_at,
        coalesce(balance.reserved_micros, 0), coalesce(balance.spent_micros, 0)
    FROM packshot_budget AS budget
    CROSS JOIN LATERAL packshot_budget_window(budget.period, budget.zone, now()) AS span
    LEFT JOIN packshot_budgetwindow AS balance
        ON balance.budget_id = budget.id AND balance.starts_at = span.starts_at
    WHERE budget.archived_at IS NULL
    ORDER BY budget.id
"""


def budgets() -> list[BudgetState]:
    """Every live budget with its balances now, in lock order."""
    with connection.cursor() as cursor:
        cursor.execute(_CURRENT)
        return [BudgetState(*row) for row in cursor.fetchall()]


def spending_limit() -> BudgetState | None:
    """The site-wide limit on real money. Without one, nothing real is ever sent."""
    return next((each for each in budgets() if each.scope == "everything" and not each.simulated), None)


def set_limit(
    limit_micros: int, *, period: str = "month", zone: str = "UTC", simulated: bool = False
) -> BudgetState:
    """Set the site-wide limit. One below what is spent only blocks; nothing is taken back."""
    if period not in PERIODS:
        raise BadInput(f"a budget's period is one of {', '.join(PERIODS)}, not {period!r}", field="period")
    if not 0 <= limit_micros <= LARGEST:
        raise BadInput("a spending limit lies between $0 and $10,000,000", field="limit")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_timezone_names WHERE name = %s", [zone])
        if not cursor.fetchone()[0]:
            raise BadInput(f"{zone!r} is not a time zone the database knows", field="zone")
        cursor.execute(
            """
            UPDATE packshot_budget SET limit_micros = %s, period = %s, zone = %s
            WHERE scope = 'everything' AND simulated = %s AND archived_at IS NULL
            """,
            [limit_micros, period, zone, simulated],
        )
        if not cursor.rowcount:
            cursor.execute(
                """
                INSERT INTO packshot_budget
                    (id, name, scope, scope_value, period, zone, limit_micros, simulated, created_at)
                VALUES (%s, %s, 'everything', '', %s, %s, %s, %s, now())
                """,
                [
                    uuid7(),
                    "Everything (simulated)" if simulated else "Everything",
                    period,
                    zone,
                    limit_micros,
                    simulated,
                ],
            )
    return next(each for each in budgets() if each.scope == "everything" and each.simulated == simulated)
