"""Holding and settling money. Every verb takes a list, runs in the caller's transaction, and locks
budget windows in one order (budget, start), after attempts and before rollups."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.backends.utils import CursorWrapper

from packshot.kernel.ids import uuid7
from packshot.kernel.money import show
from packshot.ledger.budgets import BudgetState, budgets, hold_still


@dataclass(frozen=True, slots=True)
class Wish:
    """Money wanted for one attempt, and what decides which budgets it counts against."""

    attempt_id: UUID
    amount_micros: int
    simulated: bool
    provider: str
    category_path: str
    person_name: str
    run_id: UUID | None


@dataclass(frozen=True, slots=True)
class Room:
    """How many of a list of wishes fit now, and the words for the first that does not."""

    fits: int
    asked: int
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of one attempt's hold: `amount_micros` was charged, and the rest goes back."""

    attempt_id: UUID
    amount_micros: int
    provider: str
    model: str
    category_path: str
    person_name: str
    run_id: UUID | None


@dataclass(frozen=True, slots=True)
class Booked:
    """A settlement that was written: what went back to budgets, and the instant that decides the period."""

    attempt_id: UUID
    amount_micros: int
    freed_micros: int
    charged_at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """Money on hold and why, at rest: `uncertain` attempts, and charges whose amount is not known."""

    attempt_id: UUID
    amount_micros: int
    simulated: bool
    provider: str
    state: str


def room_for(wishes: Sequence[Wish], live: Sequence[BudgetState] | None = None) -> Room:
    """How many of `wishes` fit the budgets now, or the budgets given, greedily in order. Advice only:
    admission decides."""
    live = budgets() if live is None else live
    remaining = {each.id: each.left_micros for each in live}
    fits, refusal = 0, None
    for wish in wishes:
        reason = _take(wish, live, remaining)
        if reason is None:
            fits += 1
        elif refusal is None:
            refusal = reason
    return Room(fits, len(wishes), refusal)


def reserve(wishes: Sequence[Wish]) -> tuple[list[Wish], list[tuple[Wish, str]]]:
    """Hold money for each of `wishes`, in order, where every budget that applies has room.

    Returns the funded ones and the short ones, each with the budget's name and figures in words.
    """
    if not wishes:
        return [], []
    with connection.cursor() as cursor:
        hold_still(cursor)
        cursor.execute(
            """
            INSERT INTO packshot_budgetwindow
                (id, budget_id, starts_at, ends_at, reserved_micros, spent_micros)
            SELECT gen_random_uuid(), budget.id, span.starts_at, span.ends_at, 0, 0
            FROM packshot_budget AS budget
            CROSS JOIN LATERAL packshot_budget_window(budget.period, budget.zone, now()) AS span
            WHERE budget.archived_at IS NULL AND NOT EXISTS (
                SELECT 1 FROM packshot_budgetwindow AS stands
                WHERE stands.budget_id = budget.id AND stands.starts_at = span.starts_at)
            ORDER BY budget.id
            ON CONFLICT DO NOTHING
            """
        )
        cursor.execute(
            """
            SELECT 1 FROM packshot_budgetwindow AS balance
            JOIN packshot_budget AS budget ON budget.id = balance.budget_id
            CROSS JOIN LATERAL packshot_budget_window(budget.period, budget.zone, now()) AS span
            WHERE budget.archived_at IS NULL AND balance.starts_at = span.starts_at
            ORDER BY balance.budget_id, balance.starts_at
            FOR UPDATE OF balance
            """
        )
        # A fresh statement: one that both locks and counts reads a snapshot older than its lock, and
        # overspent in 19 of 20 measured runs.
        live = budgets()
        remaining = {each.id: each.left_micros for each in live}
        taken: dict[UUID, int] = defaultdict(int)
        funded: list[tuple[Wish, list[UUID]]] = []
        short: list[tuple[Wish, str]] = []
        for wish in wishes:
            reason = _take(wish, live, remaining)
            if reason is not None:
                short.append((wish, reason))
                continue
            windows = [each.window_id for each in _applying(wish, live) if each.window_id is not None]
            for window in windows:
                taken[window] += wish.amount_micros
            funded.append((wish, windows))
        _move(cursor, {window: (amount, 0) for window, amount in taken.items()})
        if funded:
            cursor.execute(
                """
                INSERT INTO packshot_reservation
                    (id, attempt_id, amount_micros, simulated, window_ids, opened_at)
                SELECT item.id, item.attempt_id, item.amount, item.simulated,
                    coalesce(string_to_array(nullif(item.windows, ''), ',')::uuid[], '{}'), now()
                FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::boolean[], %s::text[])
                    AS item (id, attempt_id, amount, simulated, windows)
                """,
                [
                    [uuid7() for _ in funded],
                    [wish.attempt_id for wish, _ in funded],
                    [wish.amount_micros for wish, _ in funded],
                    [wish.simulated for wish, _ in funded],
                    # An array of arrays must be rectangular; a joined text need not be.
                    [",".join(str(window) for window in windows) for _, windows in funded],
                ],
            )
    return [wish for wish, _ in funded], short


def settle(settlements: Sequence[Settlement]) -> list[Booked]:
    """End each attempt's hold with its charge. Returns what was written now.

    An attempt whose hold has already ended is passed over: a write repeated after a lost COMMIT changes
    nothing.
    """
    if not settlements:
        return []
    by_attempt = {each.attempt_id: each for each in settlements}
    with connection.cursor() as cursor:
        closed = _close(cursor, list(by_attempt))
        moves: dict[UUID, tuple[int, int]] = defaultdict(lambda: (0, 0))
        booked: list[Booked] = []
        for attempt_id, held_micros, windows, _, opened_at in closed:
            amount = by_attempt[attempt_id].amount_micros
            booked.append(Booked(attempt_id, amount, max(0, held_micros - amount), opened_at))
            for window in windows:
                reserved, spent = moves[window]
                moves[window] = (reserved - held_micros, spent + amount)
        if closed:
            ended = [(by_attempt[row[0]], row) for row in closed]
            cursor.execute(
                """
                INSERT INTO packshot_entry (id, attempt_id, kind, amount_micros, simulated, provider, model,
                    category_path, person_name, run_id, charged_at, created_at)
                SELECT item.id, item.attempt_id, 'charge', item.amount, item.simulated, item.provider,
                    item.model, item.category_path, item.person_name, item.run_id, item.charged_at, now()
                FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::boolean[], %s::text[], %s::text[],
                    %s::text[], %s::text[], %s::uuid[], %s::timestamptz[])
                    AS item (id, attempt_id, amount, simulated, provider, model, category_path,
                        person_name, run_id, charged_at)
                """,
                [
                    [uuid7() for _ in ended],
                    [each.attempt_id for each, _ in ended],
                    [each.amount_micros for each, _ in ended],
                    [row[3] for _, row in ended],
                    [each.provider for each, _ in ended],
                    [each.model for each, _ in ended],
                    [each.category_path for each, _ in ended],
                    [each.person_name for each, _ in ended],
                    [each.run_id for each, _ in ended],
                    [row[4] for _, row in ended],
                ],
            )
        _move(cursor, moves)
    return booked


def release(attempt_ids: Sequence[UUID]) -> int:
    """End each attempt's hold without a charge. Returns the micro-dollars that went back to budgets."""
    if not attempt_ids:
        return 0
    with connection.cursor() as cursor:
        closed = _close(cursor, list(attempt_ids))
        moves: dict[UUID, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for _, held_micros, windows, _, _ in closed:
            for window in windows:
                moves[window] = (moves[window][0] - held_micros, 0)
        _move(cursor, moves)
    return sum(row[1] for row in closed)


def adjust(corrections: Mapping[UUID, int]) -> list[Booked]:
    """Add a correction to attempts that were settled before; each belongs to the first charge's period.

    Windows take it too, down to zero: an overshoot is recorded, never hidden.
    """
    if not corrections:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT 1 FROM packshot_budgetwindow
            WHERE id IN (SELECT unnest(window_ids) FROM packshot_reservation WHERE attempt_id = ANY(%s))
            ORDER BY budget_id, starts_at FOR UPDATE
            """,
            [list(corrections)],
        )
        cursor.execute(
            """
            INSERT INTO packshot_entry (id, attempt_id, kind, amount_micros, simulated, provider, model,
                category_path, person_name, run_id, charged_at, created_at)
            SELECT gen_random_uuid(), attempt.id, 'adjustment', item.amount, attempt.simulated,
                attempt.provider, attempt.model, coalesce(category.path, ''), generation.asked_by_name,
                generation.run_id, hold.opened_at, now()
            FROM unnest(%s::uuid[], %s::bigint[]) AS item (attempt_id, amount)
            JOIN packshot_attempt AS attempt ON attempt.id = item.attempt_id
            JOIN packshot_reservation AS hold ON hold.attempt_id = attempt.id
            JOIN packshot_generation AS generation ON generation.id = attempt.generation_id
            JOIN packshot_product AS product ON product.id = generation.product_id
            LEFT JOIN packshot_category AS category ON category.id = product.category_id
            RETURNING attempt_id, amount_micros, charged_at
            """,
            [list(corrections), list(corrections.values())],
        )
        booked = [Booked(row[0], row[1], 0, row[2]) for row in cursor.fetchall()]
        cursor.execute(
            """
            UPDATE packshot_budgetwindow AS balance
            SET spent_micros = greatest(0, balance.spent_micros + item.amount)
            FROM (
                SELECT window_id, sum(wanted.amount) AS amount
                FROM unnest(%s::uuid[], %s::bigint[]) AS wanted (attempt_id, amount)
                JOIN packshot_reservation AS hold ON hold.attempt_id = wanted.attempt_id
                CROSS JOIN LATERAL unnest(hold.window_ids) AS window_id
                GROUP BY window_id
            ) AS item
            WHERE balance.id = item.window_id
            """,
            [list(corrections), list(corrections.values())],
        )
    return booked


def booked(attempt_ids: Sequence[UUID]) -> dict[UUID, int]:
    """What is booked for each of these attempts, corrections included; one without an entry is not named."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT attempt_id, sum(amount_micros)::bigint FROM packshot_entry
            WHERE attempt_id = ANY(%s) GROUP BY attempt_id
            """,
            [list(attempt_ids)],
        )
        return dict(cursor.fetchall())


def held() -> list[Held]:
    """Every hold that is open, each named by its attempt's state."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT hold.attempt_id, hold.amount_micros, hold.simulated, attempt.provider, attempt.state
            FROM packshot_reservation AS hold JOIN packshot_attempt AS attempt ON attempt.id = hold.attempt_id
            WHERE hold.closed_at IS NULL ORDER BY hold.opened_at
            """
        )
        return [Held(*row) for row in cursor.fetchall()]


def _applying(wish: Wish, live: Sequence[BudgetState]) -> list[BudgetState]:
    return [
        each
        for each in live
        if each.simulated == wish.simulated
        and each.covers(
            provider=wish.provider,
            category_path=wish.category_path,
            person_name=wish.person_name,
            run_id=wish.run_id,
        )
    ]


def _take(wish: Wish, live: Sequence[BudgetState], remaining: dict[UUID, int]) -> str | None:
    """Take `wish` out of `remaining`, or say in words which budget has no room for it."""
    applying = _applying(wish, live)
    if not wish.simulated and wish.amount_micros and not any(each.scope == "everything" for each in applying):
        return "no spending limit is set for real money; an administrator sets one"
    for each in applying:
        if wish.amount_micros > remaining[each.id]:
            return (
                f"budget “{each.name}” ({each.period}): {show(each.limit_micros)} limit, "
                f"{show(each.spent_micros)} spent, {show(each.reserved_micros)} held; "
                f"{show(max(0, remaining[each.id]))} left, {show(wish.amount_micros)} needed"
            )
    for each in applying:
        remaining[each.id] -= wish.amount_micros
    return None


def _close(
    cursor: CursorWrapper, attempt_ids: list[UUID]
) -> list[tuple[UUID, int, list[UUID], bool, datetime]]:
    """End the open holds of `attempt_ids`; their windows are not touched yet."""
    cursor.execute(
        """
        UPDATE packshot_reservation SET closed_at = now()
        WHERE attempt_id = ANY(%s) AND closed_at IS NULL
        RETURNING attempt_id, amount_micros, window_ids, simulated, opened_at
        """,
        [attempt_ids],
    )
    return list(cursor.fetchall())


def _move(cursor: CursorWrapper, moves: dict[UUID, tuple[int, int]]) -> None:
    """Add (reserved, spent) to each window's balances, locked in order: all that is admitted or closed
    meanwhile waits for them, so this comes as late as it can."""
    if moves:
        windows = list(moves)
        cursor.execute(
            """
            SELECT 1 FROM packshot_budgetwindow WHERE id = ANY(%s) ORDER BY budget_id, starts_at FOR UPDATE
            """,
            [windows],
        )
        cursor.execute(
            """
            UPDATE packshot_budgetwindow AS balance
            SET reserved_micros = balance.reserved_micros + item.reserved,
                spent_micros = balance.spent_micros + item.spent
            FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[]) AS item (id, reserved, spent)
            WHERE balance.id = item.id
            """,
            [windows, [moves[each][0] for each in windows], [moves[each][1] for each in windows]],
        )
