"""Time series against figures counted in Python from the same rows, at every edge that clocks have."""

import itertools
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from packshot import preferences, reports
from packshot.models import Entry, Generation, Image
from packshot.reports import Delta, Timeline
from tests.integration.test_views import moments, past

pytestmark = pytest.mark.django_db


def look_from(moment: datetime, zone: str) -> None:
    """A site in `zone` whose reports are read at `moment`."""
    preferences.set("time_zone", zone, "ada")
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('packshot.now', %s, true)", [moment.isoformat()])


def figures(timeline: Timeline) -> Counter[tuple[datetime, str, str]]:
    """What is not zero, by the start of its span, provider and figure."""
    return Counter(
        {
            (span.starts_at, sums.provider, figure): amount
            for sums in timeline.providers
            for figure in ("completed", "failed", "images", "amount_micros")
            for span, amount in zip(timeline.spans, getattr(sums, figure), strict=True)
            if amount
        }
    )


def counted(timeline: Timeline, *, simulated: bool) -> Counter[tuple[datetime, str, str]]:
    """The same, from the rows themselves."""
    found: Counter[tuple[datetime, str, str]] = Counter()

    def count(at: datetime | None, provider: str, figure: str, amount: int = 1) -> None:
        for span in timeline.spans:
            if at is not None and span.starts_at <= at < span.ends_at:
                found[span.starts_at, provider, figure] += amount

    for generation in Generation.objects.filter(simulated=simulated):
        if generation.status in ("completed", "failed"):
            count(generation.completed_at, generation.provider_id, generation.status)
    for image in Image.objects.filter(simulated=simulated).exclude(attempt_id=None):
        count(image.created_at, image.provider, "images")
    for entry in Entry.objects.filter(simulated=simulated):
        count(entry.charged_at, entry.provider, "amount_micros", entry.amount_micros)
    return Counter({key: amount for key, amount in found.items() if amount})


@moments
@pytest.mark.parametrize("simulated", [True, False])
def test_series_hold_what_the_rows_say_and_never_mix_two_kinds_of_money(zone, moment, simulated):
    past(zone, moment, generations=60)
    hours, days = reports.by_hour(simulated=simulated), reports.by_day(simulated=simulated)
    assert figures(hours) == counted(hours, simulated=simulated)
    assert figures(days) == counted(days, simulated=simulated)
    assert figures(days), "a past with nothing in it proves nothing"
    assert (hours.zone, days.zone) == (zone, zone)


@moments
@pytest.mark.parametrize("elsewhere", ["Pacific/Kiritimati", "Asia/Kathmandu", "America/St_Johns"])
def test_days_of_another_zone_hold_what_happened_on_its_own_clock(zone, moment, elsewhere):
    past(zone, moment, generations=60)
    days = reports.by_day(simulated=True, zone=elsewhere)
    assert days.zone == elsewhere
    assert figures(days) == counted(days, simulated=True)
    assert all(span.starts_at.astimezone(ZoneInfo(elsewhere)).hour == 0 for span in days.spans)


@moments
@pytest.mark.parametrize("step", [1, 7])
def test_a_range_holds_its_days_whole_and_nothing_else(zone, moment, step):
    past(zone, moment, generations=60)
    today = datetime.fromisoformat(moment).astimezone(ZoneInfo(zone)).date()
    first, last = today - timedelta(days=17), today - timedelta(days=1)
    shown = reports.by_range(simulated=True, first=first, last=last, step=step)
    assert figures(shown) == counted(shown, simulated=True)
    assert figures(shown), "a past with nothing in it proves nothing"
    edges = [span.starts_at for span in shown.spans] + [shown.spans[-1].ends_at]
    assert [span.ends_at for span in shown.spans] == edges[1:]
    assert edges[0].astimezone(ZoneInfo(zone)).date() == first
    assert (edges[-1] - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date() == last
    assert len(shown.spans) == -(-17 // step)


@moments
def test_days_are_calendar_days_of_the_site_one_after_the_other(zone, moment):
    now = datetime.fromisoformat(moment)
    look_from(now, zone)
    spans = reports.by_day(simulated=True).spans
    today = now.astimezone(ZoneInfo(zone)).date()
    assert len(spans) == 30
    for ago, span in enumerate(reversed(spans)):
        first = span.starts_at.astimezone(ZoneInfo(zone))
        last = (span.ends_at - timedelta(microseconds=1)).astimezone(ZoneInfo(zone))
        before = (span.starts_at - timedelta(microseconds=1)).astimezone(ZoneInfo(zone))
        assert first.date() == last.date() == today - timedelta(days=ago)
        assert before.date() < first.date()
    assert all(a.ends_at == b.starts_at for a, b in itertools.pairwise(spans))
    assert spans[-1].starts_at <= now < spans[-1].ends_at


@moments
def test_hours_are_whole_ones_on_the_sites_own_clock_and_none_is_skipped(zone, moment):
    now = datetime.fromisoformat(moment)
    look_from(now, zone)
    spans = reports.by_hour(simulated=True).spans
    assert len(spans) == 24
    assert {span.starts_at.astimezone(ZoneInfo(zone)).minute for span in spans} == {0}
    assert all(a.ends_at == b.starts_at for a, b in itertools.pairwise(spans))
    assert {span.ends_at - span.starts_at for span in spans} == {timedelta(hours=1)}
    assert spans[-1].starts_at <= now < spans[-1].ends_at


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
def test_the_day_on_which_clocks_change_has_its_own_length(day, hours):
    look_from(datetime(day.year, day.month, day.day, 12, tzinfo=UTC), "Europe/Berlin")
    span = reports.by_day(simulated=True).spans[-1]
    assert span.ends_at - span.starts_at == timedelta(hours=hours)
    reports.add([Delta(span.ends_at - timedelta(minutes=1), "openai", "m", simulated=True, images=7)], 0)
    assert reports.by_day(simulated=True).providers[0].images[-1] == 7


def test_today_is_what_the_dashboard_calls_today():
    now = past("Pacific/Chatham", "2026-12-31T10:30:00+00:00", generations=60)
    reports.add([Delta(now - timedelta(minutes=3), "openai", "m", simulated=True, amount_micros=12_345)], 0)
    dashboard = reports.dashboard()
    assert reports.by_day(simulated=True).amounts()[-1] == dashboard.simulated_daily_cost * 1_000_000 != 0
    assert reports.by_day(simulated=False).amounts()[-1] == dashboard.daily_cost * 1_000_000


def test_rates_are_of_what_ended_and_missing_where_nothing_did():
    now = datetime(2026, 11, 22, 10, 7, tzinfo=UTC)
    look_from(now, "UTC")
    ago = timedelta(hours=1)
    reports.add(
        [
            Delta(now, "openai", "m", simulated=True, completed=3, failed=1),
            Delta(now, "flux", "m", simulated=True, failed=4),
            Delta(now - ago, "flux", "m", simulated=True, completed=1),
            Delta(now - 2 * ago, "flux", "m", simulated=True, completed=1, failed=-1),  # owes a failure
            Delta(now, "openai", "m", simulated=False, completed=50),
        ],
        0,
    )
    hours = reports.by_hour(simulated=True)
    assert hours.success_rates()[-4:] == (None, None, 1.0, 3 / 8)
    assert hours.success_rates("openai")[-2:] == (None, 0.75)
    assert hours.success_rates("nobody") == (None,) * 24


def test_a_new_site_has_its_spans_and_nothing_in_them():
    hours = reports.by_hour(simulated=True, hours=6)
    assert len(hours.spans) == 6
    assert hours.providers == ()
    assert hours.success_rates() == (None,) * 6
    assert hours.amounts() == (0,) * 6


def test_slots_of_busy_processes_are_added_up():
    now = datetime(2026, 11, 22, 10, 7, tzinfo=UTC)
    look_from(now, "UTC")
    for slot in (0, 1, 2):
        reports.add([Delta(now, "openai", "m", simulated=True, images=1, amount_micros=5)], slot)
        reports.add([Delta(now, "openai", "mini", simulated=True, images=1)], slot)
    (sums,) = reports.by_day(simulated=True).providers
    assert (sums.images[-1], sums.amount_micros[-1]) == (6, 15)


def test_each_series_is_one_statement_also_after_a_year(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    now = datetime(2026, 11, 22, 10, 7, tzinfo=UTC)
    look_from(now, "Europe/Berlin")
    with connection.cursor() as cursor:
        # Four providers, busy in every quarter-hour of a year: 140,160 rows.
        cursor.execute(
            """
            INSERT INTO packshot_rollup (bucket, provider, model, simulated, slot, completed, failed,
                cancelled, images, approved, amount_micros, duration_ms, durations, histogram)
            SELECT packshot_quarter_hour(at), provider, 'model', true, 0, 10, 1, 0, 10, 5, 400000, 90000, 10,
                packshot_histogram(12, 10)
            FROM generate_series(%s::timestamptz - interval '1 year', %s, interval '15 minutes') AS at
            CROSS JOIN unnest(ARRAY['flux', 'midjourney', 'openai', 'stability']) AS provider
            """,
            [now, now],
        )
        cursor.execute("ANALYZE packshot_rollup")
    for read in (reports.by_hour, reports.by_day):
        with django_assert_num_queries(1):
            timeline = read(simulated=True)
        assert len(timeline.providers) == 4
    assert sum(timeline.providers[0].images) == sum(
        10
        * int((min(span.ends_at, now + timedelta(seconds=1)) - span.starts_at) / timedelta(minutes=15) + 0.9)
        for span in timeline.spans
    )
