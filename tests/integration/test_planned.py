"""Statements that the database keeps planned: which pages have, and that none would suffer by it."""

import re

import pytest
from django.db import DataError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from packshot import reports
from packshot.reports.sql import read_together
from tests import build
from tests.browser import story
from tests.integration.test_rights import PAGE

pytestmark = pytest.mark.django_db

PAGES = (
    "overview",
    "queue",
    "attention",
    "review",
    "products",
    "templates",
    "budgets",
    "providers",
    "compare_providers",
    "settings",
)


def kept() -> dict[str, int]:
    """The statements that this connection keeps, and how often each was planned whatever its parameters."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement, generic_plans FROM pg_prepared_statements")
        return dict(cursor.fetchall())


@pytest.fixture
def asked_for() -> None:
    """All pages, so often that PostgreSQL has settled on how it plans what is kept."""
    provider = build.StandIn()
    build.provider_row()
    build.budget("100")
    (asked,) = story.ask(provider)
    (claim,) = story.begin(provider, build.process().id)
    sku = story.land(claim).product.sku
    client = Client()
    client.force_login(story.person())
    pages = [reverse(name) for name in PAGES]
    pages += [reverse("product", args=[sku]), reverse("generation", args=[asked])]
    for url in pages:
        for _ in range(9):
            assert client.get(url, headers=PAGE).status_code == 200


def test_what_every_page_reads_is_planned_once(asked_for):
    plans = kept()
    assert any("AS needing" in each for each in plans), "the edge of every page"
    assert sum(plans.values()) > len(plans)


def test_what_is_kept_is_best_planned_alike_whatever_is_asked_for(asked_for):
    """A condition that only a plan of its own folds away would read a whole table, and a LIMIT that is not
    known is taken for a tenth of it. A `*` ends in an error once an upgrade has added a column."""
    for statement in kept():
        assert not re.search(r"\$\d+(::[a-z\[\]]+)? IS NULL", statement), statement
        assert not re.search(r"LIMIT \$", statement), statement
        assert not re.search(r"SELECT (\w+\.)?\* FROM (packshot_|image_generation_|provider)", statement), (
            statement
        )


def test_several_go_in_one_trip_and_a_fault_in_one_ends_no_connection():
    with CaptureQueriesContext(connection) as captured:
        first, second = read_together("SELECT 1 + %(number)s::int", "SELECT 12 / %(number)s::int", number=4)
    assert (first.fetchall(), second.fetchall()) == ([(5,)], [(3,)])
    assert len(captured) == 1
    with pytest.raises(DataError, match="division by zero"), transaction.atomic():
        read_together("SELECT 1 + %(number)s::int", "SELECT 12 / %(number)s::int", number=0)
    first, second = read_together("SELECT 1 + %(number)s::int", "SELECT 12 / %(number)s::int", number=6)
    assert (first.fetchall(), second.fetchall()) == ([(7,)], [(2,)])


def test_other_statements_are_not_kept():
    for _ in range(9):
        reports.queue(limit=3)
    assert not any("image_generation_monitor" in each for each in kept())


@pytest.mark.django_db(transaction=True)
def test_a_kept_statement_goes_on_after_the_connection_broke():
    for _ in range(3):
        reports.dashboard()
    connection.close()
    assert reports.dashboard().total_in_queue == 0


def test_a_view_that_an_upgrade_made_wider_is_still_read():
    for _ in range(3):
        reports.dashboard()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_viewdef('image_generation_dashboard'::regclass)")
        (view,) = cursor.fetchone()
        wider = f"SELECT seen.*, 7 AS more FROM ({view.rstrip(';')}) AS seen"
        cursor.execute(f"CREATE OR REPLACE VIEW image_generation_dashboard AS {wider}")
    assert reports.dashboard().total_in_queue == 0
