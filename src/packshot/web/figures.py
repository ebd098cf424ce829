"""The key figures: what every page's edge and the top of the Overview say of queue, money and products."""

from dataclasses import dataclass
from decimal import Decimal

from packshot import reports
from packshot.flows.desk import uses_simulator


@dataclass(frozen=True, slots=True)
class Money:
    """What the site's own day, week and month cost, in dollars: all real or, if so marked, all simulated."""

    simulated: bool
    today: Decimal
    this_week: Decimal
    this_month: Decimal
    held: Decimal
    unknown_count: int


@dataclass(frozen=True, slots=True)
class KeyFigures:
    """The numbers at the top of the page. Shares are of 0 to 1."""

    pending: int
    processing: int
    uncertain: int
    processing_share: float
    success_rate: float | None
    completed: int
    failed: int
    without_image: int
    with_placeholder: int
    money: Money


def key_figures() -> KeyFigures:
    """The dashboard's line as the page shows it: a site that runs on the simulator shows simulated money."""
    now = reports.dashboard()
    if uses_simulator():
        money = Money(
            True,
            now.simulated_daily_cost,
            now.simulated_weekly_cost,
            now.simulated_monthly_cost,
            now.simulated_held_cost,
            now.simulated_unknown_cost_count,
        )
    else:
        money = Money(
            False,
            now.daily_cost,
            now.weekly_cost,
            now.monthly_cost,
            now.held_cost,
            now.unknown_cost_count,
        )
    return KeyFigures(
        pending=now.pending_count,
        processing=now.processing_count,
        uncertain=now.uncertain_count,
        processing_share=now.processing_count / now.total_in_queue if now.total_in_queue else 0.0,
        success_rate=now.success_rate,
        completed=now.completed_count,
        failed=now.failed_count,
        without_image=now.products_without_images,
        with_placeholder=now.products_with_placeholder,
        money=money,
    )
