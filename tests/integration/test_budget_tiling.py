"""Budget periods over forty zones and ten years: the database against `zoneinfo`, which knows them by itself.

At each change of clocks and each boundary, and a second before and after: one period, and the right one.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db

# Clocks that change at midnight or back over it, by half an hour, by two hours, four times a year for
# Ramadan, no longer, not at all; both sides of the date line; offsets of quarters of an hour.
ZONES = (
    "UTC", "Africa/Cairo", "Africa/Casablanca", "Africa/El_Aaiun", "Africa/Johannesburg", "Africa/Juba",
    "America/Asuncion", "America/Chicago", "America/Havana", "America/Los_Angeles", "America/Mexico_City",
    "America/Miquelon", "America/New_York", "America/Nuuk", "America/Port-au-Prince", "America/Santiago",
    "America/Sao_Paulo", "America/Scoresbysund", "America/St_Johns", "America/Tijuana", "Antarctica/Troll",
    "Asia/Almaty", "Asia/Amman", "Asia/Beirut", "Asia/Gaza", "Asia/Jerusalem", "Asia/Kathmandu",
    "Asia/Kolkata", "Asia/Tehran", "Asia/Tokyo", "Atlantic/Azores", "Australia/Eucla", "Australia/Lord_Howe",
    "Australia/Sydney", "Europe/Berlin", "Europe/Dublin", "Pacific/Apia", "Pacific/Chatham",
    "Pacific/Easter", "Pacific/Kiritimati",
)  # fmt: skip
assert len(set(ZONES)) == 40
FIRST, LAST = date(2024, 1, 1), date(2034, 1, 1)
SECOND = timedelta(seconds=1)
NEXT: dict[str, Callable[[date], date]] = {
    "day": lambda day: day + timedelta(days=1),
    "week": lambda day: day + timedelta(days=7),
    "month": lambda day: (day.replace(day=28) + timedelta(days=4)).replace(day=1),
}


def begins(day: date, here: ZoneInfo) -> datetime:
    """The first instant of a calendar day: where midnight happens twice, the first of the two; where clocks
    leave it out, the change itself."""
    return datetime.combine(day, time(), tzinfo=here).astimezone(UTC)


def boundaries(period: str, here: ZoneInfo, first: date, last: date) -> list[datetime]:
    day = first - timedelta(days=first.weekday()) if period == "week" else first
    days = [day]
    while days[-1] < last:
        days.append(NEXT[period](days[-1]))
    # A day that a zone skipped, as Samoa did on its way over the date line, has no instant of its own.
    return sorted({begins(each, here) for each in days})


def changes(here: ZoneInfo, first: date, last: date) -> Iterator[datetime]:
    """The instants at which the clocks change."""
    at, end = begins(first, here), begins(last, here)
    while at < end:
        following = at + timedelta(hours=12)
        if at.astimezone(here).utcoffset() != following.astimezone(here).utcoffset():
            before, after = at, following
            while after - before > SECOND:
                middle = before + timedelta(seconds=(after - before) // SECOND // 2)
                same = middle.astimezone(here).utcoffset() == at.astimezone(here).utcoffset()
                before, after = (middle, after) if same else (before, middle)
            yield after
        at = following


def wrong(
    period: str, zone: str, starts: list[datetime], moments: list[datetime]
) -> tuple[int, list[object]]:
    """How many instants were asked for, and those that the database puts into another period than these."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH span AS (
                SELECT starts_at, lead(starts_at) OVER (ORDER BY starts_at) AS ends_at
                FROM unnest(%(starts)s::timestamptz[]) AS starts_at
            ), asked AS (
                SELECT span.*, moment FROM span CROSS JOIN LATERAL (VALUES
                    (starts_at), (starts_at + interval '1 s'), (ends_at - interval '1 s'),
                    (ends_at - interval '1 us')) AS edge (moment)
                WHERE ends_at IS NOT NULL
                UNION ALL
                SELECT span.*, moment FROM unnest(%(moments)s::timestamptz[]) AS moment
                JOIN span ON span.starts_at <= moment AND moment < span.ends_at
            )
            SELECT asked.moment, asked.starts_at, asked.ends_at, found.starts_at, found.ends_at,
                count(*) OVER () AS asked,
                (found.starts_at, found.ends_at) = (asked.starts_at, asked.ends_at) AS right
            FROM asked
            CROSS JOIN LATERAL packshot_budget_window(%(period)s, %(zone)s, asked.moment) AS found
            ORDER BY 7 LIMIT 5
            """,
            {"starts": starts, "moments": moments, "period": period, "zone": zone},
        )
        rows = cursor.fetchall()
    return rows[0][5], [row[:5] for row in rows if not row[6]]


def knows_the_same(zone: str, moments: list[datetime]) -> bool:
    """Whether both have the same release of the time zone database, as far as this zone is concerned."""
    here = ZoneInfo(zone)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT array_agg(at AT TIME ZONE %s ORDER BY at) FROM unnest(%s::timestamptz[]) AS at",
            [zone, sorted(moments)],
        )
        found = cursor.fetchone()[0]
    return (found or []) == [each.astimezone(here).replace(tzinfo=None) for each in sorted(moments)]


def chained(period: str, zone: str, first: date, last: date) -> int:
    """How many instants of this zone lie in the window that the one before it ends at."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE span AS (
                SELECT found.* FROM packshot_budget_window(%(period)s, %(zone)s, %(first)s) AS found
                UNION ALL
                SELECT found.* FROM span
                CROSS JOIN LATERAL packshot_budget_window(%(period)s, %(zone)s, span.ends_at) AS found
                WHERE span.ends_at < %(last)s
            )
            SELECT count(*), bool_and((found.starts_at, found.ends_at) = (span.starts_at, span.ends_at))
            FROM span CROSS JOIN LATERAL (VALUES (span.starts_at), (span.starts_at + interval '1 s'),
                (span.ends_at - interval '1 s')) AS edge (moment)
            CROSS JOIN LATERAL packshot_budget_window(%(period)s, %(zone)s, edge.moment) AS found
            """,
            {"period": period, "zone": zone, "first": first, "last": last},
        )
        count, right = cursor.fetchone()
    assert right, f"{period} in {zone}"
    return int(count)


def tiled(zone: str, first: date, last: date) -> int:
    """How many instants of this zone were held against `zoneinfo`, or against each other where it knows of
    changes of law that the database does not know yet, or no longer."""
    here = ZoneInfo(zone)
    moments = [
        change + shift for change in changes(here, first, last) for shift in (-SECOND, timedelta(), SECOND)
    ]
    if moments and not knows_the_same(zone, moments):
        return sum(chained(period, zone, first, last) for period in NEXT)
    asked = 0
    for period in NEXT:
        starts = boundaries(period, here, first, last)
        for start in starts:
            # What is expected is itself a tiling by calendar dates: the date changes here and nowhere else.
            assert (start - SECOND).astimezone(here).date() < start.astimezone(here).date()
        inside = [moment for moment in moments if starts[0] <= moment < starts[-1]]
        count, found = wrong(period, zone, starts, inside)
        assert found == [], f"{period} in {zone}"
        assert count == 4 * (len(starts) - 1) + len(inside)
        asked += count
    return asked


@pytest.mark.parametrize("zone", ZONES)
def test_each_instant_belongs_to_the_one_period_of_its_calendar_date(zone):
    assert tiled(zone, FIRST, LAST) > 3 * 3_650


def test_most_zones_are_held_against_what_zoneinfo_knows():
    same = [zone for zone in ZONES if knows_the_same(zone, [*changes(ZoneInfo(zone), FIRST, LAST)])]
    assert len(same) >= 36


def test_the_day_that_samoa_left_out_belongs_to_nobody():
    assert tiled("Pacific/Apia", date(2011, 1, 1), date(2013, 1, 1)) > 2_900


def test_these_zones_change_their_clocks_in_every_way_there_is():
    """Else the forty would prove no more than one."""
    kinds = set()
    for zone in ZONES:
        here = ZoneInfo(zone)
        for change in changes(here, FIRST, LAST):
            before, after = ((change + shift).astimezone(here) for shift in (-SECOND, timedelta()))
            kinds.add((after.utcoffset() - before.utcoffset(), after.date() == before.date(), after.hour))
    hour, over = timedelta(hours=1), timedelta(hours=-1)
    assert (hour, False, 1) in kinds, "midnight left out"
    assert (over, True, 0) in kinds, "midnight twice"
    assert (over, True, 23) in kinds, "back before midnight"
    assert {timedelta(minutes=30), timedelta(minutes=-30), timedelta(hours=-2)} <= {kind[0] for kind in kinds}


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_every_zone_there_is_for_ten_years():
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_timezone_names")
        known = {name for (name,) in cursor.fetchall()}
    zones = sorted(zone for zone in available_timezones() & known if "/" in zone)
    asked = sum(tiled(zone, FIRST, LAST) for zone in zones)
    print(f"{asked:,} instants in {len(zones)} zones")
    assert len(zones) > 400


def test_windows_follow_each_other_through_a_century_of_months():
    starts = boundaries("month", ZoneInfo("UTC"), date(2000, 1, 1), date(2100, 1, 1))
    assert all(27 < (after - before).days < 32 for before, after in pairwise(starts))
    count, found = wrong("month", "UTC", starts, [])
    assert (count, found) == (4 * 1200, [])
