"""The key figures: what every page's edge and the top of the Overview say of queue, money and products."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.formats import date_format
from markupsafe import Markup

from packshot import ledger, reports
from packshot.flows.desk import uses_simulator
from packshot.kernel.money import dollars
from packshot.ledger import BudgetState
from packshot.reports import ProviderRow, Timeline
from packshot.web import charts, words
from packshot.web.charts import Bucket, Scale
from packshot.web.periods import DAY, Period

# A day to show and the day before it to compare with.
HOURS_SHOWN, HOURS_READ = 24, 48
# The same for every sparkline of success, so that calm looks calm.
CALM = (0.4, 1.0)
COUNTS = Scale(lambda number: words.count(int(number)), words.axis_count, whole=True)
# Before a tenth of a period is over, its pace says nothing.
_PACE_FROM = 0.1
_BUDGET_WORDS = {"day": "daily", "week": "weekly", "month": "monthly", "total": "total"}


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
    """The numbers at the edge of every page and at the top of the Overview. Shares are of 0 to 1."""

    pending: int
    processing: int
    uncertain: int
    success_rate: float | None
    completed: int
    failed: int
    without_image: int
    with_placeholder: int
    money: Money

    @property
    def nothing_yet(self) -> bool:
        """Nothing has ever been asked for."""
        return not (self.pending or self.processing or self.uncertain or self.completed or self.failed)


@dataclass(frozen=True, slots=True)
class Limit:
    """The site-wide limit of the kind of money that is shown, in the period that is now."""

    period: str  # daily, weekly, monthly, total
    limit: Decimal
    used: float  # share of 1, what is held included; more than 1 after an overshoot
    tone: str
    pace: float | None  # share of the limit that will be used at the end of the period if it goes on so
    on_pace_for: Decimal | None
    ends_at: datetime | None

    @property
    def resets_in_s(self) -> float | None:
        """Until a day's limit begins anew; of a longer period nobody counts the hours."""
        if self.period != "daily" or self.ends_at is None:
            return None
        return max(0.0, (self.ends_at - timezone.now()).total_seconds())


@dataclass(frozen=True, slots=True)
class Success:
    """How much of what ended was completed, in the last 24 hours or, where nothing ended in them, ever."""

    rate: float | None
    of: str
    completed: int
    failed: int
    change: float | None  # in points of 1, to the 24 hours before
    spark: Markup


@dataclass(frozen=True, slots=True)
class OverviewFigures:
    """The four cards."""

    now: KeyFigures
    limit: Limit | None
    success: Success
    made: Markup  # images an hour, as a sparkline
    clear_in_s: float | None  # until the queue is empty, where that can be said within a factor of two


@dataclass(frozen=True, slots=True)
class Health:
    """A provider's card: its state now, and how its last 24 hours went."""

    row: ProviderRow
    spark: Markup


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
        success_rate=now.success_rate,
        completed=now.completed_count,
        failed=now.failed_count,
        without_image=now.products_without_images,
        with_placeholder=now.products_with_placeholder,
        money=money,
    )


def overview_figures(
    now: KeyFigures, hours: Timeline, limit: Limit | None, period: Period = DAY
) -> OverviewFigures:
    """The cards, from what was read: `hours` holds the last two days. Success is that of `period`."""
    made = [sum(column) for column in zip(*(each.images for each in hours.providers), strict=True)]
    recent = made[-HOURS_SHOWN:] or [0] * HOURS_SHOWN
    return OverviewFigures(
        now=now,
        limit=limit,
        success=_success(now, hours) if period.hourly else _success_in(period),
        made=charts.spark(
            recent, f"{words.count(sum(recent))} images made in 24 hours", low=0, high=max(*recent, 1)
        ),
        clear_in_s=_clear_in_s(now, hours),
    )


def read_hours() -> Timeline:
    """The last two days by hour, of the kind of work that this site shows."""
    return reports.by_hour(simulated=uses_simulator(), hours=HOURS_READ)


def read_limit() -> Limit | None:
    """The site-wide limit on the kind of money that this site shows."""
    simulated = uses_simulator()
    budgets = ledger.budgets()
    state = next(
        (each for each in budgets if each.scope == "everything" and each.simulated == simulated), None
    )
    return _limit(state, timezone.now()) if state else None


def health(rows: Sequence[ProviderRow], hours: Timeline) -> list[Health]:
    """Every provider that is set up, with its line of success."""
    return [
        Health(row, _success_line(hours, row.name, f"{row.label}: success by hour"))
        for row in sorted(rows, key=lambda row: words.place_of(row.name))
        if row.state != "unavailable"
    ]


@words.said_once
def hour_bucket(starts_at: datetime, ends_at: datetime, zone: str) -> Bucket:
    """`15:00` and `22 Nov, 15:00 to 16:00`; with its zone in the night when an hour comes twice."""
    start, end = starts_at.astimezone(ZoneInfo(zone)), ends_at.astimezone(ZoneInfo(zone))
    twice = start.replace(fold=1 - start.fold).utcoffset() != start.utcoffset()
    tick = date_format(start, "H:i")
    name = f"{date_format(start, 'j M, H:i')} to {date_format(end, 'H:i')}"
    return Bucket(tick, f"{name} {start.tzname()}" if twice else name)


@words.said_once
def day_bucket(starts_at: datetime, zone: str, days: int = 1) -> Bucket:
    """`22 Nov` and `Sun 22 Nov`; of several days the first and the last."""
    start = starts_at.astimezone(ZoneInfo(zone))
    if days > 1:
        last = start.date() + timedelta(days=days - 1)
        return Bucket(
            date_format(start, "j M"), f"{date_format(start, 'j M')} to {date_format(last, 'j M Y')}"
        )
    return Bucket(date_format(start, "j M"), date_format(start, "D j M"))


def _limit(state: BudgetState, now: datetime) -> Limit:
    taken = state.spent_micros + state.reserved_micros
    used = taken / state.limit_micros if state.limit_micros else 1.0
    elapsed = (now - state.starts_at) / (state.ends_at - state.starts_at) if state.ends_at else 0.0
    pace = state.spent_micros / elapsed if elapsed >= _PACE_FROM and state.spent_micros else None
    return Limit(
        period=_BUDGET_WORDS[state.period],
        limit=dollars(state.limit_micros),
        used=used,
        tone="bad" if used >= 1 else "warn" if used >= 0.75 else "plain",
        pace=pace / state.limit_micros if pace and state.limit_micros else None,
        on_pace_for=dollars(round(pace)) if pace else None,
        ends_at=state.ends_at,
    )


def _success(now: KeyFigures, hours: Timeline) -> Success:
    before, recent = _ended(hours, slice(0, HOURS_SHOWN)), _ended(hours, slice(HOURS_SHOWN, None))
    spark = _success_line(hours, None, "Success by hour over 24 hours")
    rate, rate_before = _rate(*recent), _rate(*before)
    if rate is None:
        return Success(now.success_rate, "all time", now.completed, now.failed, None, spark)
    change = None if rate_before is None else rate - rate_before
    return Success(rate, "24 hours", *recent, change, spark)


def _success_in(period: Period) -> Success:
    """Of a stretch of days, beside as many before it."""
    both, begins = period.with_before(simulated=uses_simulator())
    before, recent = _ended(both, slice(0, begins)), _ended(both, slice(begins, None))
    rates = both.success_rates()[begins:]
    rate, rate_before = _rate(*recent), _rate(*before)
    change = None if rate is None or rate_before is None else rate - rate_before
    known = [each for each in rates if each is not None]
    label = f"Success over {period.words}"
    told = f"{label}, lowest {words.percent(min(known))}" if known else f"{label}: nothing has ended"
    spark = charts.spark(rates, told, low=CALM[0], high=CALM[1])
    return Success(rate, "this range" if period.first else period.words, *recent, change, spark)


def _success_line(hours: Timeline, provider: str | None, label: str) -> Markup:
    rates = hours.success_rates(provider)[-HOURS_SHOWN:]
    low, high = CALM
    known = [rate for rate in rates if rate is not None]
    tone = "bad" if known and known[-1] < 0.8 else ""
    told = f"{label}, lowest {words.percent(min(known))}" if known else f"{label}: nothing has ended"
    return charts.spark(rates, told, low=low, high=high, tone=tone)


def _ended(hours: Timeline, part: slice) -> tuple[int, int]:
    """Completed and failed in these hours."""
    return (
        max(0, sum(sum(each.completed[part]) for each in hours.providers)),
        max(0, sum(sum(each.failed[part]) for each in hours.providers)),
    )


def _rate(completed: int, failed: int) -> float | None:
    return completed / (completed + failed) if completed + failed else None


def _clear_in_s(now: KeyFigures, hours: Timeline) -> float | None:
    """From the pace of this hour, if the hour before went at about the same."""
    waiting = now.pending + now.processing
    span = hours.spans[-1]
    passed_s = (timezone.now() - span.starts_at).total_seconds()
    this_hour, last_hour = _ended(hours, slice(-1, None)), _ended(hours, slice(-2, -1))
    if not waiting or passed_s < 300 or not sum(this_hour) or not sum(last_hour):
        return None
    pace, pace_before = sum(this_hour) / passed_s, sum(last_hour) / 3600
    if not 0.5 <= pace / pace_before <= 2:
        return None
    return waiting / pace
