"""Budget periods tile the time line: each instant belongs to exactly one, through every change of clocks."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db

ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia",
    "America/Havana", "Atlantic/Azores", "America/Sao_Paulo", "Africa/Cairo", "Asia/Kathmandu",
)  # fmt: skip
START = datetime(2025, 12, 20, tzinfo=UTC)


def windows(period: str, zone: str, moments: list[datetime]) -> list[tuple[datetime, datetime]]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT span.starts_at, span.ends_at
            FROM unnest(%s::timestamptz[]) WITH ORDINALITY AS item (at, place)
            CROSS JOIN LATERAL packshot_budget_window(%s, %s, item.at) AS span ORDER BY item.place
            """,
            [moments, period, zone],
        )
        return cursor.fetchall()


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("period", ["day", "week", "month"])
def test_periods_follow_each_other_without_gap_or_overlap(period, zone):
    moments = [START + timedelta(minutes=30 * step) for step in range(48 * 400)]
    found = windows(period, zone, moments)
    for moment, (starts, ends) in zip(moments, found, strict=True):
        assert starts <= moment < ends
    distinct = sorted(set(found))
    for (_, ends), (starts, _) in pairwise(distinct):
        assert ends == starts


@pytest.mark.parametrize("zone", ZONES)
def test_a_day_holds_one_calendar_date_of_its_zone(zone):
    here = ZoneInfo(zone)
    moments = [START + timedelta(hours=step) for step in range(24 * 400)]
    for moment, (starts, _) in zip(moments, windows("day", zone, moments), strict=True):
        assert starts.astimezone(here).date() == moment.astimezone(here).date()


def test_a_total_has_no_end():
    ((starts, ends),) = windows("total", "UTC", [START])
    assert starts < START
    assert ends is None
