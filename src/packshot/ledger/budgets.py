"""Budgets: limits by scope and period, each with the balances of its current window.

A budget counts everything that was charged or held in its current period, also what was before the budget
was made or moved to another period: its first window is counted from the entries and the open holds.
Meanwhile no admission runs (an advisory lock) and no hold ends (a lock on their table), so nothing is counted
twice or missed.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from packshot.kernel.errors import BadInput
from packshot.kernel.ids import uuid7
from packshot.kernel.money import LARGEST
from packshot.ledger.models import PERIODS, SCOPES
from packshot.sql.reading import planned

# Shares of the limit, in percent, that are told when they have been spent, once in each window.
ALERTS_AT = (50, 80, 100)
# Admission holds it shared while it decides, and who makes or changes a budget holds it alone: "budget".
_ADMISSIONS = 0x627564676574


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
    alerted: int  # the highest of ALERTS_AT that was told in this window, in percent

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
        coalesce(balance.reserved_micros, 0), coalesce(balance.spent_micros, 0), coalesce(balance.alerted, 0)
    FROM packshot_budget AS budget
    CROSS JOIN LATERAL packshot_budget_window(budget.period, budget.zone, now()) AS span
    LEFT JOIN packshot_budgetwindow AS balance
        ON balance.budget_id = budget.id AND balance.starts_at = span.starts_at
    WHERE budget.archived_at IS NULL
    ORDER BY budget.id
"""


def budgets() -> list[BudgetState]:
    """Every live budget with its balances now, in lock order."""
    with planned() as cursor:
        cursor.execute(_CURRENT)
        return [BudgetState(*row) for row in cursor.fetchall()]


def hold_still(cursor: CursorWrapper) -> None:
    """To the end of the caller's transaction no budget is made or changed: the first word of admission."""
    cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [_ADMISSIONS])


def spending_limit() -> BudgetState | None:
    """The site-wide limit on real money. Without one, nothing real is ever sent."""
    return next((each for each in budgets() if each.scope == "everything" and not each.simulated), None)


@dataclass(frozen=True, slots=True)
class Limit:
    """What a budget is to be: so much for this scope in each of these periods."""

    limit_micros: int
    scope: str = "everything"
    scope_value: str = ""
    period: str = "month"
    zone: str = "UTC"
    simulated: bool = False
    name: str = ""  # empty: named after what it covers


def add_budget(limit: Limit) -> BudgetState:
    """Make a budget. Raises BadInput for what cannot be one, and where the same one stands already."""
    with transaction.atomic(), connection.cursor() as cursor:
        _check(cursor, limit)
        _alone(cursor)
        cursor.execute(
            """
            INSERT INTO packshot_budget
                (id, name, scope, scope_value, period, zone, limit_micros, simulated, created_at)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, now())
            ON CONFLICT DO NOTHING RETURNING id
            """,
            [
                uuid7(),
                limit.name.strip() or _named(limit),
                limit.scope,
                limit.scope_value,
                limit.period,
                limit.zone,
                limit.limit_micros,
                limit.simulated,
            ],
        )
        row = cursor.fetchone()
        if row is None:
            raise BadInput(
                f"there is a budget for that already, per {limit.period}; change that one", field="scope"
            )
        _count(cursor, row[0])
    return _one(row[0])


def change_budget(
    budget_id: UUID,
    *,
    limit_micros: int,
    name: str | None = None,
    period: str | None = None,
    zone: str | None = None,
) -> BudgetState:
    """Change a budget. A limit below what is spent only blocks; nothing is taken back."""
    before = _one(budget_id)
    after = Limit(
        limit_micros,
        before.scope,
        before.scope_value,
        period or before.period,
        zone or before.zone,
        before.simulated,
        before.name if name is None else name,
    )
    moved = (after.period, after.zone) != (before.period, before.zone)
    with transaction.atomic(), connection.cursor() as cursor:
        _check(cursor, after)
        # Who is deciding by the old limit commits first: once a lower one stands, nothing goes past it.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ADMISSIONS])
        if moved:
            _alone(cursor)
            cursor.execute(
                """
                SELECT 1 FROM packshot_budget
                WHERE id <> %s AND archived_at IS NULL
                    AND (scope, scope_value, period, simulated) = (%s, %s, %s, %s)
                """,
                [budget_id, after.scope, after.scope_value, after.period, after.simulated],
            )
            if cursor.fetchone():
                raise BadInput(f"there is a budget for that already, per {after.period}", field="period")
        cursor.execute(
            "UPDATE packshot_budget SET name = %s, limit_micros = %s, period = %s, zone = %s WHERE id = %s",
            [after.name.strip() or _named(after), after.limit_micros, after.period, after.zone, budget_id],
        )
        if moved:
            _count(cursor, budget_id)
        # What is no longer crossed can be crossed again.
        cursor.execute(
            """
            SELECT 1 FROM packshot_budgetwindow WHERE budget_id = %s AND alerted > 0
            ORDER BY starts_at FOR NO KEY UPDATE
            """,
            [budget_id],
        )
        cursor.execute(
            f"""
            UPDATE packshot_budgetwindow AS balance SET alerted = {_LEVEL}
            FROM packshot_budget AS budget
            WHERE budget.id = %s AND balance.budget_id = budget.id AND balance.alerted > {_LEVEL}
            """,
            [budget_id],
        )
    return _one(budget_id)


def archive_budget(budget_id: UUID) -> BudgetState:
    """Let a budget no longer count. Its past stays. Returns it as it stood."""
    before = _one(budget_id)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE packshot_budget SET archived_at = now() WHERE id = %s AND archived_at IS NULL",
            [budget_id],
        )
    return before


def set_limit(
    limit_micros: int, *, period: str = "month", zone: str = "UTC", simulated: bool = False
) -> BudgetState:
    """Set the site-wide limit: change the one that stands, or make it."""
    standing = [each for each in budgets() if each.scope == "everything" and each.simulated == simulated]
    chosen = next((each for each in standing if each.period == period), next(iter(standing), None))
    if chosen is None:
        return add_budget(Limit(limit_micros, period=period, zone=zone, simulated=simulated))
    return change_budget(chosen.id, limit_micros=limit_micros, period=period, zone=zone)


@dataclass(frozen=True, slots=True)
class Crossed:
    """So many percent of a budget's limit have been spent."""

    budget_id: UUID
    name: str
    period: str
    percent: int
    spent_micros: int
    limit_micros: int
    simulated: bool


def cross() -> list[Crossed]:
    """The shares of ALERTS_AT that were crossed since the last look, each told once in its window."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH crossed AS (
                SELECT balance.id FROM packshot_budgetwindow AS balance
                JOIN packshot_budget AS budget ON budget.id = balance.budget_id
                CROSS JOIN LATERAL packshot_budget_window(budget.period, budget.zone, now()) AS span
                WHERE balance.starts_at = span.starts_at AND budget.archived_at IS NULL
                    AND balance.alerted < {_LEVEL}
                -- In the order of whoever admits or closes, who may be after the same ones.
                ORDER BY balance.budget_id, balance.starts_at FOR NO KEY UPDATE OF balance
            )
            UPDATE packshot_budgetwindow AS balance SET alerted = {_LEVEL}
            FROM packshot_budget AS budget
            WHERE balance.id IN (SELECT id FROM crossed) AND budget.id = balance.budget_id
                AND balance.alerted < {_LEVEL}
            RETURNING budget.id, budget.name, budget.period, balance.alerted, balance.spent_micros,
                budget.limit_micros, budget.simulated
            """
        )
        return [Crossed(*row) for row in cursor.fetchall()]


# The highest of ALERTS_AT that `balance` has reached. A limit of nothing is reached by spending something.
_LEVEL = (
    "CASE WHEN balance.spent_micros <= 0 THEN 0 "
    + " ".join(
        f"WHEN balance.spent_micros * 100 >= budget.limit_micros * {share} THEN {share}"
        for share in sorted(ALERTS_AT, reverse=True)
    )
    + " ELSE 0 END"
)


def _one(budget_id: UUID) -> BudgetState:
    found = next((each for each in budgets() if each.id == budget_id), None)
    if found is None:
        raise BadInput(f"there is no budget {budget_id}", field="budget")
    return found


def _check(cursor: CursorWrapper, limit: Limit) -> None:
    if limit.scope not in SCOPES:
        raise BadInput(f"a budget counts one of {', '.join(SCOPES)}, not {limit.scope!r}", field="scope")
    if (limit.scope == "everything") != (not limit.scope_value.strip()):
        raise BadInput(
            f"say which {limit.scope} the budget is for"
            if limit.scope != "everything"
            else "a budget for everything has no name of one thing beside it",
            field="scope_value",
        )
    if limit.period not in PERIODS:
        raise BadInput(
            f"a budget's period is one of {', '.join(PERIODS)}, not {limit.period!r}", field="period"
        )
    if not 0 <= limit.limit_micros <= LARGEST:
        raise BadInput("a spending limit lies between $0 and $10,000,000", field="limit")
    cursor.execute("SELECT count(*) FROM pg_timezone_names WHERE name = %s", [limit.zone])
    if not cursor.fetchone()[0]:
        raise BadInput(f"{limit.zone!r} is not a time zone the database knows", field="zone")


def _named(limit: Limit) -> str:
    subject = "Everything" if limit.scope == "everything" else limit.scope_value
    return f"{subject} (simulated)" if limit.simulated else subject


def _alone(cursor: CursorWrapper) -> None:
    """Until the caller's transaction ends nothing is admitted and no hold ends. In this order: whoever admits
    holds the advisory lock before it touches a hold, and whoever ends a hold never asks for it."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ADMISSIONS])
    cursor.execute("LOCK TABLE packshot_reservation IN SHARE ROW EXCLUSIVE MODE")


# What a row of entries, or of holds with their attempts, counts against. Aliases: budget, spent.
COVERS = """
    spent.simulated = budget.simulated AND CASE budget.scope
        WHEN 'everything' THEN true
        WHEN 'provider' THEN spent.provider = budget.scope_value
        WHEN 'category' THEN spent.category_path = budget.scope_value
            OR starts_with(spent.category_path, budget.scope_value || ' > ')
        WHEN 'person' THEN spent.person_name = budget.scope_value
        WHEN 'run' THEN spent.run_id::text = budget.scope_value
    END
"""


def _count(cursor: CursorWrapper, budget_id: UUID) -> None:
    """Give a budget its current window, with what was charged and what is held in it."""
    cursor.execute(
        """
        INSERT INTO packshot_budgetwindow
            (id, budget_id, starts_at, ends_at, reserved_micros, spent_micros, alerted)
        SELECT gen_random_uuid(), budget.id, span.starts_at, span.ends_at, 0, 0, 0
        FROM packshot_budget AS budget
        CROSS JOIN LATERAL packshot_budget_window(budget.period, budget.zone, now()) AS span
        WHERE budget.id = %s
        ON CONFLICT (budget_id, starts_at) DO UPDATE SET ends_at = excluded.ends_at
        RETURNING id
        """,
        [budget_id],
    )
    window_id = cursor.fetchone()[0]
    cursor.execute(
        f"""
        UPDATE packshot_reservation AS hold SET window_ids = array_append(hold.window_ids, balance.id)
        FROM packshot_budgetwindow AS balance
        JOIN packshot_budget AS budget ON budget.id = balance.budget_id
        CROSS JOIN LATERAL (
            SELECT attempt.id AS attempt_id, attempt.simulated, attempt.provider,
                coalesce(category.path, '') AS category_path, generation.asked_by_name AS person_name,
                generation.run_id
            FROM packshot_reservation AS held
            JOIN packshot_attempt AS attempt ON attempt.id = held.attempt_id
            JOIN packshot_generation AS generation ON generation.id = attempt.generation_id
            JOIN packshot_product AS product ON product.id = generation.product_id
            LEFT JOIN packshot_category AS category ON category.id = product.category_id
            WHERE held.closed_at IS NULL AND held.opened_at >= balance.starts_at
        ) AS spent
        WHERE balance.id = %s AND hold.attempt_id = spent.attempt_id AND hold.closed_at IS NULL
            AND NOT hold.window_ids @> ARRAY[balance.id] AND {COVERS}
        """,
        [window_id],
    )
    cursor.execute(
        f"""
        UPDATE packshot_budgetwindow AS balance
        SET reserved_micros = (
                SELECT coalesce(sum(hold.amount_micros), 0) FROM packshot_reservation AS hold
                WHERE hold.closed_at IS NULL AND hold.window_ids @> ARRAY[balance.id]),
            spent_micros = (
                SELECT greatest(0, coalesce(sum(spent.amount_micros), 0)) FROM packshot_entry AS spent
                WHERE spent.charged_at >= balance.starts_at
                    AND (balance.ends_at IS NULL OR spent.charged_at < balance.ends_at) AND {COVERS})
        FROM packshot_budget AS budget
        WHERE balance.id = %s AND budget.id = balance.budget_id
        """,
        [window_id],
    )
