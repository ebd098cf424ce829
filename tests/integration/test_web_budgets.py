"""The Budgets page: what is spent of what, changed by plain forms, told to everybody else."""

import csv
import io

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from packshot import ledger
from packshot.kernel.money import micros
from packshot.ledger import Limit
from packshot.web.live import _find
from packshot.web.pages import budgets  # noqa: F401 - offers its topic
from tests import build
from tests.browser import story
from tests.integration.test_budgets import charge
from tests.integration.test_rights import PAGE
from tests.integration.test_web_templates import breaches

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider() -> build.StandIn:
    build.provider_row()
    return build.StandIn(price="0.10")


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(story.person())
    return client


def form(**changes: str) -> dict[str, str]:
    return {
        "scope": "everything",
        "scope_value": "",
        "money": "simulated",
        "limit": "25",
        "period": "month",
        "zone": "UTC",
        "name": "",
    } | changes


def test_the_page_says_of_each_budget_what_is_spent_held_and_left(admin, provider):
    ledger.add_budget(Limit(micros("0.20"), simulated=True))
    ledger.add_budget(Limit(micros("0.12"), "person", "ed", "week", simulated=True))
    charge(provider)
    page = admin.get(reverse("budgets"), headers=PAGE)
    assert page.status_code == 200
    assert breaches(page.text) == []
    assert '$0.10</b> <span class="muted">of $0.20' in page.text
    assert "ed (simulated) is at 83%." in page.text
    assert "50%" in page.text and "per week" in page.text
    charge(build.StandIn(price="0.02"), cost="0.03")
    assert "ed (simulated) is at its limit." in admin.get(reverse("budgets"), headers=PAGE).text


def test_what_waits_for_money_is_said(admin, provider):
    ledger.add_budget(Limit(micros("0.05"), simulated=True))
    build.asked(provider, 2)
    build.claimed(provider)
    assert "2 generations wait for money." in admin.get(reverse("budgets"), headers=PAGE).text


def test_a_budget_is_added_changed_and_removed_by_forms(admin):
    added = admin.post(reverse("budget_new"), form(scope="provider", scope_value="flux", limit="$1,200.50"))
    assert added.status_code == 303
    (made,) = ledger.budgets()
    assert (made.scope, made.scope_value, made.limit_micros) == ("provider", "flux", micros("1200.50"))
    page = admin.get(reverse("budget", args=[made.id]), headers=PAGE)
    assert 'value="1200.50"' in page.text and breaches(page.text) == []
    admin.post(reverse("budget", args=[made.id]), form(limit="30", period="day", name="Flux a day"))
    (changed,) = ledger.budgets()
    assert (changed.limit_micros, changed.period, changed.name) == (micros("30"), "day", "Flux a day")
    assert admin.post(reverse("budget_archive", args=[made.id])).status_code == 303
    assert ledger.budgets() == []
    assert admin.get(reverse("budget", args=[made.id]), headers=PAGE).status_code == 404


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"limit": "lots"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"scope": "person"}, "scope_value"),
        ({"zone": "Atlantis"}, "zone"),
        ({"period": "fortnight"}, "period"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_what_was_typed_stays(admin, changes, field):
    answer = admin.post(reverse("budget_new"), form(**changes), headers=PAGE)
    assert answer.status_code == 422
    assert f'id="{field}-wrong"' in answer.text
    assert all(
        f'value="{value}"' in answer.text for name, value in changes.items() if name in ("limit", "zone")
    )
    assert ledger.budgets() == []


def test_the_same_budget_twice_is_refused_in_words(admin):
    admin.post(reverse("budget_new"), form())
    answer = admin.post(reverse("budget_new"), form(limit="99"), headers=PAGE)
    assert answer.status_code == 422
    assert "change that one" in answer.text


def test_those_who_may_look_see_no_buttons_and_change_nothing(provider):
    ledger.add_budget(Limit(micros("1"), simulated=True))
    for role in ("viewer", "editor", "publisher"):
        client = Client()
        client.force_login(story.person(role))
        page = client.get(reverse("budgets"), headers=PAGE)
        assert page.status_code == 200
        assert "Add budget" not in page.text and reverse("budget_new") not in page.text
        assert client.post(reverse("budget_new"), form()).status_code == 403
    assert len(ledger.budgets()) == 1


def test_the_stream_draws_the_list_by_the_pages_own_rows_and_changes_only_for_administrators(provider):
    from packshot.events import Happening
    from packshot.web import live
    from packshot.web.live import Audience

    made = ledger.add_budget(Limit(micros("1"), simulated=True))
    topic, _ = _find("budgets")
    assert topic.data([Happening("catalogue", "imported", "x", id=1)], "") is None
    moved = [Happening("generation", "completed", "x", id=2)]
    frames = {
        role: live.make_frames([Audience(("budgets",), role, "en")], moved, 2, replay=True)[
            Audience(("budgets",), role, "en")
        ].decode()
        for role in ("viewer", "administrator")
    }
    for frame in frames.values():
        assert 'hx-target="#budget-list"' in frame and f"budget-{made.id}" in frame
    assert reverse("budget", args=[made.id]) in frames["administrator"]
    assert reverse("budget", args=[made.id]) not in frames["viewer"]


def test_the_statement_is_a_file_that_no_spreadsheet_runs(admin, provider):
    charge(provider, person="=HYPERLINK(1)")
    charge(provider, person="\uff1dHYPERLINK(1)")
    answer = admin.get(reverse("statement") + "?by=person")
    assert answer.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert rows == [
        {
            "person": f"'{sign}HYPERLINK(1)",
            "money": "simulated",
            "charges": "1",
            "corrections": "0",
            "dollars": "0.1",
        }
        for sign in ("=", "\uff1d")
    ]
    for query in ("by=moon", "month=nonsense", "month=2026-13", "month=9999-12"):
        assert admin.get(reverse("statement") + f"?{query}").status_code == 404
    assert admin.get(reverse("statement") + "?month=2020-01").text.count("\n") == 1


def test_the_page_asks_the_same_few_queries_however_many_budgets_there_are(admin, provider):
    ledger.add_budget(Limit(micros("1"), simulated=True))
    charge(provider)

    def queries() -> int:
        admin.get(reverse("budgets"), headers=PAGE)
        with CaptureQueriesContext(connection) as captured:
            admin.get(reverse("budgets"), headers=PAGE)
        return len(captured)

    few = queries()
    for number in range(12):
        ledger.add_budget(Limit(micros("1"), "person", f"person {number}", simulated=True))
    assert queries() == few <= 12
