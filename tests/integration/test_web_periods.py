"""The Overview over any stretch of time: its cards, its charts and their sheets."""

import csv
import io
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from packshot.reports import ALL_TIME, rebuild_rollups
from packshot.web import live
from packshot.web.live import Audience
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
