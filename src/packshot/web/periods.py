"""The stretch of time that a page looks at: the last hours, the last days, or from one day to another."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import urlencode

from packshot import reports
from packshot.reports import Timeline
from packshot.web import words

# Bars of days, as long as they can be told apart; then weeks.
MOST_DAYS_APART = 92
LONGEST_DAYS = 2 * 366


@dataclass(frozen=True, slots=True)
class Period:
    """The last 24 hours (`days` 1), the last calendar days up to today, or the days `first` to `last`."""

    days: int
    first: date | None = None
    last: date | None = None

    @property
    def hourly(self) -> bool:
        return self.days == 1 and self.first is None

    @property
    def step(self) -> int:
        """Days a bar."""
        return 1 if self.days <= MOST_DAYS_APART else 7

    @property
    def argument(self) -> str:
        """As a topic of the stream carries it, and `period_of` reads it."""
        return f"{self.first}..{self.last}" if self.first else str(self.days)

    @property
    def query(self) -> str:
        """As it stands in an address; empty for the last 24 hours."""
        if self.first:
            return urlencode({"from": str(self.first), "to": str(self.last)})
        return "" if self.hourly else urlencode({"days": self.days})

    @property
    def words(self) -> str:
        if self.first and self.last:
            both = f"{words.day(self.first)} to {words.day(self.last)}"
            return words.day(self.first) if self.first == self.last else both
        return "24 hours" if self.hourly else f"{self.days} days"

    @property
    def bars(self) -> int:
        return -(-self.days // self.step)

    def with_before(self, *, simulated: bool) -> tuple[Timeline, int]:
        """As many bars before it and its own, and where its own begin. Not for the last 24 hours."""
        if self.first and self.last:
            earlier = self.first - timedelta(days=self.bars * self.step)
            both = reports.by_range(simulated=simulated, first=earlier, last=self.last, step=self.step)
        else:
            both = reports.by_day(simulated=simulated, days=2 * self.days)
        return both, self.bars


DAY = Period(1)
SHORT = (DAY, Period(7), Period(30))


def period_of(given: Mapping[str, str]) -> Period:
    """What an address asks for; the last 24 hours where it makes no sense. The wrong order is turned."""
    first, last = _date(given.get("from", "")), _date(given.get("to", ""))
    if first and last:
        first, last = min(first, last), max(first, last)
        first = max(first, last - timedelta(days=LONGEST_DAYS - 1))
        return Period((last - first).days + 1, first, last)
    days = given.get("days", "")
    return next((each for each in SHORT if str(each.days) == days), DAY)


def of_argument(argument: str) -> Period:
    """The period that a topic carries."""
    first, dots, last = argument.partition("..")
    return period_of({"from": first, "to": last} if dots else {"days": argument})


def timeline(period: Period, *, simulated: bool) -> Timeline:
    """What happened in it, by hour, by day or by week."""
    if period.hourly:
        return reports.by_hour(simulated=simulated, hours=24)
    if period.first and period.last:
        return reports.by_range(simulated=simulated, first=period.first, last=period.last, step=period.step)
    return reports.by_day(simulated=simulated, days=period.days)


def _date(text: str) -> date | None:
    try:
        found = date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None
    # Far from either end of what a date can be: it is counted back from and forward.
    return found if found and 2000 <= found.year <= 2999 else None
