"""The Overview over any stretch of time: its cards, its charts and their sheets."""

import csv
import io
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from packshot.reports import ALL_TIME, Span, Sums, Timeline, rebuild_rollups
from packshot.web import live, words
from packshot.web.figures import Limit
from packshot.web.live import Audience
from packshot.web.pages import overview
from tests import build
from tests.browser import story
from tests.integration.test_rights import PAGE

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider() -> build.StandIn:
    build.provider_row()
    build.budget("100")
    return build.StandIn()


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(story.person("administrator", "ada"))
    return client


def moved(days: int) -> None:
    """Everything that happened did so that many days earlier."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE packshot_rollup SET bucket = bucket - make_interval(days => %s) WHERE bucket <> %s",
            [days, ALL_TIME],
        )


def test_success_is_that_of_the_period_beside_as_much_before_it(provider, admin):
    story.land(build.sent(provider))
    story.refuse(build.sent(provider))
    moved(9)
    story.land(build.sent(provider))
    page = admin.get("/admin?days=7", headers=PAGE).text
    card = page[page.index("Success rate") :][:900]
    assert "7 days" in card
    assert "100.0%" in card
    assert "+50.0 pt" in card
    ago = (timezone.now() - timedelta(days=9)).date()
    ranged = admin.get(
        f"/admin?from={ago - timedelta(days=1)}&to={ago + timedelta(days=1)}", headers=PAGE
    ).text
    assert "50.0%" in ranged[ranged.index("Success rate") :][:900]


@pytest.mark.parametrize("query", ["days=7", "days=30", "from=2026-01-01&to=2026-11-26", "from=x&to=y"])
def test_the_page_follows_the_stream_for_its_own_period(provider, admin, query):
    story.land(build.sent(provider))
    page = admin.get(f"/admin?{query}", headers=PAGE).text
    assert ("figures-over:" in page) == ("x" not in query)
    charts = admin.get(f"/admin/charts?{query}").text
    assert "No image" in charts or "images in" in charts


def test_the_stream_brings_the_figures_of_the_period(provider):
    story.land(build.sent(provider))
    audience = Audience(("figures-over:7",), "administrator", "en")
    (topic, argument) = live._find(audience.topics[0])
    assert topic.data([], argument).success.of == "7 days"


def test_a_chart_is_had_as_a_sheet_that_adds_up_to_the_page(provider, admin):
    for _ in range(3):
        story.land(build.sent(provider), cost="0.04")
    made = list(csv.DictReader(io.StringIO(admin.get("/admin/charts/made.csv?days=7").text)))
    assert len(made) == 7
    assert [int(row[provider.name]) for row in made] == [0] * 6 + [3]
    cost = admin.get("/admin/charts/cost.csv?days=7")
    assert "simulated-cost-7.csv" in cost["Content-Disposition"]
    assert sum(float(row[provider.name]) for row in csv.DictReader(io.StringIO(cost.text))) == pytest.approx(
        0.12
    )
    assert admin.get("/admin/charts/other.csv").status_code == 404


def spent_on(days: dict[int, int], of: int = 30, until: date = date(2026, 11, 20)) -> Timeline:
    """So many cents on each of these days before `until`, which is the last of `of` days."""
    starts = [datetime(until.year, until.month, until.day, tzinfo=UTC) - timedelta(days=n) for n in range(of)]
    spans = tuple(Span(start, start + timedelta(days=1)) for start in reversed(starts))
    amounts = tuple(days.get(n, 0) * 10_000 for n in reversed(range(of)))
    nothing = (0,) * of
    return Timeline("UTC", spans, (Sums("openai", nothing, nothing, nothing, amounts),))


def a_limit(period: str) -> Limit:
    return Limit(period, Decimal(40), 0.5, "plain", None, None, None)


def test_where_the_month_ends_is_told_from_its_days():
    # A dollar on each of twenty days, and ten to come.
    steady = spent_on(dict.fromkeys(range(20), 100))
    assert overview._month_ahead(steady, None) == "November is likely to end between $30.00 and $30.00."
    assert overview._month_ahead(steady, a_limit("monthly")).endswith("$30.00, of $40.00 allowed.")
    assert overview._month_ahead(steady, a_limit("daily")).endswith("$30.00.")
    # What was spent in October is no part of November, but tells of its days.
    assert overview._month_ahead(spent_on(dict.fromkeys(range(30), 100)), None) == (
        "November is likely to end between $30.00 and $30.00."
    )
    uneven = overview._month_ahead(spent_on({n: 200 * (n % 2) for n in range(20)}), None)
    low, high = (float(each) for each in re.findall(r"\$([\d.]+\d)", uneven))
    assert 20 < low < 30 < high < 40


def test_where_the_month_ends_is_not_told_from_too_little():
    assert overview._month_ahead(spent_on({0: 100, 1: 100, 2: 100}), None) == "", "two whole days"
    assert overview._month_ahead(spent_on(dict.fromkeys(range(7), 100), of=7), None) == "", "not all its days"
    assert (
        overview._month_ahead(spent_on(dict.fromkeys(range(30), 100), until=date(2026, 11, 30)), None) == ""
    )


def test_a_limit_of_a_day_says_when_it_begins_anew(provider, admin):
    page = admin.get("/admin", headers=PAGE).text
    assert "resets in" not in page, "the fixture's is of a month"
    soon = replace(a_limit("daily"), ends_at=timezone.now() + timedelta(hours=9, minutes=38, seconds=20))
    assert words.duration(soon.resets_in_s) == "9 h 38 min"
    assert replace(soon, period="monthly").resets_in_s is None
    assert replace(soon, ends_at=timezone.now() - timedelta(seconds=5)).resets_in_s == 0


def test_any_period_costs_as_many_queries(provider, admin):
    story.land(build.sent(provider))
    asked = {}
    for query in ("", "?days=7", "?from=2025-01-01&to=2026-11-26"):
        admin.get(f"/admin{query}", headers=PAGE)
        with CaptureQueriesContext(connection) as queries:
            admin.get(f"/admin{query}", headers=PAGE)
        asked[query] = len(queries)
    assert max(asked.values()) <= 12, asked
    assert rebuild_rollups() == []
