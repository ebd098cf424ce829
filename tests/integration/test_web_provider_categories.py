"""Providers by category: the newest generations of each, counted where their products stand."""

import csv
import html
import io
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client

from packshot import reports
from packshot.catalogue.models import Category, Image, Product
from packshot.generations.models import Generation
from packshot.kernel.errors import Refused
from packshot.quality.models import Review
from packshot.reports import categories
from packshot.reports.categories import ByCategory, InCategory, by_category
from packshot.web.by_category import WITHOUT, lines_of
from tests import build
from tests.browser import story

pytestmark = pytest.mark.django_db

PAGE = "/admin/providers?by=category"


@pytest.fixture
def providers() -> dict[str, build.StandIn]:
    build.budget("100")
    for name in ("openai", "flux"):
        build.provider_row(name)
    return {name: build.StandIn(name) for name in ("openai", "flux")}


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(story.person("administrator", "ada"))
    return client


def stands_in(product_id: object, path: str) -> None:
    place = None
    if path:
        place, _ = Category.objects.get_or_create(path=path, defaults={"name": path.rpartition(" > ")[2]})
    Product.objects.filter(pk=product_id).update(category=place)


def made(provider: build.StandIn, path: str, *, cost: str = "0.04", took_s: float = 4) -> object:
    claim = build.sent(provider)
    stands_in(claim.generation.product_id, path)
    build.end(build.delivered(claim, cost=cost))
    row = Generation.objects.get(pk=claim.generation.id)
    Generation.objects.filter(pk=row.pk).update(started_at=row.completed_at - timedelta(seconds=took_s))
    return row.pk


def refused(provider: build.StandIn, path: str) -> None:
    claim = build.sent(provider)
    stands_in(claim.generation.product_id, path)
    build.end(build.failed(claim, Refused("a brand", kind="refused")))


def told(row: InCategory) -> tuple[str, str, int, int, int, int]:
    return row.path, row.provider, row.completed, row.failed, row.images, row.amount_micros


def words(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def lines(page: str) -> list[str]:
    body = page[page.index("<tbody>") : page.index("</tbody>")]
    return [words(each) for each in re.findall(r"<tr.*?</tr>", body, re.DOTALL)]


def test_each_place_adds_up_what_lies_below_it_and_says_who_made_it(providers):
    for path in ("Food > Oils", "Food > Seeds", "Food > Seeds"):
        made(providers["openai"], path)
    refused(providers["flux"], "Food > Oils")
    made(providers["flux"], "Garden", cost="0.03")
    made(providers["flux"], "")
    assert [told(row) for row in by_category(days=1).rows] == [
        ("Food", "", 3, 1, 3, 120_000),
        ("Food", "openai", 3, 0, 3, 120_000),
        ("Food", "flux", 0, 1, 0, 0),
        ("Garden", "", 1, 0, 1, 30_000),
        ("Garden", "flux", 1, 0, 1, 30_000),
        ("", "", 1, 0, 1, 40_000),
        ("", "flux", 1, 0, 1, 40_000),
    ]
    assert [told(row)[:4] for row in by_category(days=7, under="Food").rows if not row.provider] == [
        ("Food > Oils", "", 1, 1),
        ("Food > Seeds", "", 2, 0),
    ]
    # What only begins with the same letters lies elsewhere.
    made(providers["openai"], "Food and drink")
    assert "Food and drink" not in {row.path for row in by_category(days=1, under="Food").rows}


def test_what_lies_directly_in_a_place_is_told_beside_what_lies_below_it(providers, admin):
    made(providers["openai"], "Food")
    made(providers["openai"], "Food > Oils > Nut oils")
    assert {row.path for row in by_category(days=1, under="Food").rows} == {"Food", "Food > Oils"}
    page = admin.get(f"{PAGE}&category=Food").text
    assert [each.split(" 1 ")[0] for each in lines(page)] == [
        "In Food itself",
        "Openai simulated",
        "Oils",
        "Openai simulated",
    ]
    assert 'href="/admin/providers?by=category&amp;category=Food+%3E+Oils"' in page


def test_the_median_and_the_approval_are_those_of_the_generations(providers):
    ids = [made(providers["openai"], "Food", took_s=took_s) for took_s in (2, 3, 10)]
    for generation_id, decision in zip(ids, ("approved", "rejected", "approved"), strict=True):
        Review.objects.create(
            image=Image.objects.get(generation_id=generation_id), decision=decision, decided_by_name="mia"
        )
    (whole, _) = by_category(days=1).rows
    assert whole.p50_s == pytest.approx(3)
    assert (whole.approved, whole.rejected, whole.approval) == (2, 1, pytest.approx(2 / 3))
    assert whole.micros_each == 40_000


def test_simulated_work_of_a_real_provider_and_what_has_not_ended_are_left_out(providers):
    build.asked(providers["openai"])
    uncounted = made(providers["openai"], "Food")
    Generation.objects.filter(pk=uncounted).update(simulated=False)
    made(providers["openai"], "Food")
    assert [told(row)[2:4] for row in by_category(days=1).rows] == [(1, 0), (1, 0)]


def test_of_each_provider_only_the_newest_are_read_and_the_page_says_so(providers, admin, monkeypatch):
    monkeypatch.setattr(categories, "ASKED_AT_MOST", 2)
    for _ in range(3):
        made(providers["openai"], "Food")
    made(providers["flux"], "Food")
    found = by_category(days=1)
    assert {row.provider: row.ended for row in found.rows} == {"": 3, "openai": 2, "flux": 1}
    assert found.cut == {"openai"}
    assert "Openai was asked for more." in words(admin.get(PAGE).text)


def test_what_was_asked_for_before_the_window_is_not_counted(providers):
    made(providers["openai"], "Food")
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('packshot.now', (now() + interval '3 days')::text, true)")
    assert by_category(days=1).rows == ()
    assert {told(row)[2] for row in by_category(days=7).rows} == {1}


def test_the_most_successful_is_marked_only_where_the_others_cannot_be_as_good(providers, admin):
    rows = [
        InCategory("Food", "", 60, 20, 60, 1, 1.0, 0, 0),
        InCategory("Food", "openai", 40, 0, 40, 1, 1.0, 0, 0),
        InCategory("Food", "flux", 20, 20, 20, 1, 1.0, 0, 0),
    ]
    assert marked(rows) == ["Openai"]
    close = [*rows[:2], InCategory("Food", "flux", 36, 4, 36, 1, 1.0, 0, 0)]
    assert marked(close) == []
    few = [*rows[:2], InCategory("Food", "flux", 0, 19, 0, 1, 1.0, 0, 0)]
    assert marked(few) == []


def marked(rows: list[InCategory]) -> list[str]:
    found = ByCategory(tuple(rows), frozenset())
    return [line.label for line in lines_of(found, reports.providers(), "") if line.best]


def test_simulated_and_real_money_are_never_added_up(providers, admin):
    build.provider_row("stability", simulated=False)
    made(providers["openai"], "Food", cost="0.04")
    real = made(providers["flux"], "Food", cost="0.06")
    Generation.objects.filter(pk=real).update(simulated=False, provider_id="stability")
    whole, *parts = lines(admin.get(PAGE).text)
    assert "$" not in whole, (whole, parts)
    assert sorted(re.findall(r"\$[\d.]+", " ".join(parts))) == ["$0.040", "$0.060"]


def test_the_address_says_which_provider_category_and_window(providers, admin):
    made(providers["openai"], "Food > Oils")
    made(providers["flux"], "")
    page = admin.get(f"{PAGE}&provider=openai&days=7").text
    figures = "1 100.0% 20.6% to 100.0%, 1 4.0 s $0.040 –"
    assert lines(page) == [f"Food {figures}", f"Openai simulated {figures}"]
    assert 'href="/admin/providers?by=category&amp;days=7"' in page, "the way to take the filter off"
    assert WITHOUT not in page
    assert WITHOUT in admin.get(PAGE).text
    empty = words(admin.get(f"{PAGE}&category=Nowhere").text)
    assert "Nothing has ended here" in empty


@pytest.mark.parametrize(
    "query", ["category=%00%ff", "provider=%27%3B--", "days=9999", f"category={'x' * 9000}"]
)
def test_nonsense_in_the_address_is_no_mistake(providers, admin, query):
    assert admin.get(f"{PAGE}&{query}").status_code == 200


def test_names_of_categories_are_shown_as_text_and_are_no_formula(providers, admin):
    made(providers["openai"], "<b>=1+1</b>")
    assert "&lt;b&gt;=1+1&lt;/b&gt;" in admin.get(PAGE).text
    made(providers["openai"], "=1+1")
    answer = admin.get("/admin/providers.csv?by=category&days=7")
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="packshot-providers-by-category-7d.csv"'
    )
    sheet = list(csv.DictReader(io.StringIO(answer.text)))
    assert {row["category"] for row in sheet} == {"<b>=1+1</b>", "'=1+1"}
    assert (sheet[0]["provider"], sheet[0]["money"], sheet[0]["completed"]) == ("openai", "simulated", "1")
    assert (sheet[0]["success_rate"], sheet[0]["dollars_each"], sheet[0]["newest_only"]) == (
        "1.0000",
        "0.04",
        "no",
    )
