"""What the Queue reads: each page by any filter, counts that agree with the rows, one generation in full."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product as combinations
from random import Random
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from packshot import generations, reports
from packshot.catalogue.models import Image, Product
from packshot.flows import generate
from packshot.generations import Given
from packshot.generations.models import GENERATION_STATUSES, Generation, ProviderRecord, Run
from packshot.kernel.errors import Refused, TryLater, Unsure
from packshot.kernel.ids import uuid7
from packshot.reports import finding, monitor
from packshot.reports.monitor import Filter
from packshot.reports.sql import IMAGE_COST
from tests import build
from tests.browser import story
from tests.history import History

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def provider() -> build.StandIn:
    build.provider_row()
    build.budget("100")
    return build.StandIn()


def ids(listing: monitor.Listing) -> list[UUID]:
    return [row.id for row in listing.rows]


def at_once() -> None:
    """Nothing waits for its time any more."""
    Generation.objects.update(not_before=None, wait_reason=None)
    ProviderRecord.objects.update(wait_until=None)


def all_pages(wanted: Filter, limit: int) -> list[UUID]:
    """Every id of a filter, read page after page."""
    found: list[UUID] = []
    after = None
    while True:
        page = monitor.listing(wanted, after=after, limit=limit)
        assert page.newer == (after is not None)
        found += ids(page)
        if not page.older:
            return found
        after = page.rows[-1].id


# -- pages -----------------------------------------------------------------------------------------


def test_pages_by_any_filter_hold_each_generation_once_newest_first():
    History(Random(3), NOW).happen(products=12, generations=90)
    providers = {row.provider_id for row in Generation.objects.all()}
    for status, provider, text in combinations(
        (None, *GENERATION_STATUSES), (None, *providers), ("", "sku-1", "Product A", "nothing like it")
    ):
        expected = Generation.objects.order_by("-id")
        if status:
            expected = expected.filter(status=status)
        if provider:
            expected = expected.filter(provider=provider)
        if text:
            expected = expected.filter(product__sku__icontains=text) | expected.filter(
                product__name__icontains=text
            )
        wanted = Filter(status, provider, text)
        assert all_pages(wanted, 7) == list(expected.values_list("id", flat=True)), wanted


def test_going_back_shows_the_same_pages_and_the_first_one_whole(provider):
    newest_first = build.asked(provider, 23)[::-1]
    first = monitor.listing(Filter(), limit=10)
    second = monitor.listing(Filter(), after=first.rows[-1].id, limit=10)
    third = monitor.listing(Filter(), after=second.rows[-1].id, limit=10)
    assert ids(third) == newest_first[20:]
    assert (third.newer, third.older) == (True, False)
    back = monitor.listing(Filter(), before=third.rows[0].id, limit=10)
    assert ids(back) == newest_first[10:20]
    assert (back.newer, back.older) == (True, True)
    top = monitor.listing(Filter(), before=back.rows[0].id, limit=10)
    assert ids(top) == newest_first[:10]
    assert (top.newer, top.older) == (False, True)
    # Only three are newer than the fourth: the page before it is the first page, and that one is full.
    assert ids(monitor.listing(Filter(), before=newest_first[3], limit=10)) == newest_first[:10]


def test_no_character_of_a_search_is_special(provider):
    (odd,) = build.asked(provider)
    build.asked(provider, 3)
    Product.objects.filter(pk=Generation.objects.get(pk=odd).product_id).update(name="100% hemp_seed \\ 'x'")
    for text in ("100%", "p_s", "seed \\", "'X'"):
        assert ids(monitor.listing(Filter(text=text))) == [odd], text


def test_a_text_that_most_products_contain_is_listed_and_not_counted(provider, monkeypatch):
    newest_first = build.asked(provider, 8)[::-1]
    monkeypatch.setattr(finding, "PRODUCTS_LOOKED_UP", 5)
    listing = monitor.listing(Filter(text="hemp seed"), limit=5)
    assert ids(listing) == newest_first[:5]
    assert listing.tally.of() is None
    assert monitor.listing(Filter(text="no such thing")).tally.of() == 0
    matched = monitor.matching(Filter(text="hemp seed"), ["pending"], limit=100)
    assert [each.id for each in matched] == newest_first[::-1]


def test_prompts_are_not_looked_through_where_each_row_is_asked_anyway_and_still_found(provider, monkeypatch):
    by_name = build.asked(provider, 8)
    (by_prompt,) = build.asked(provider)
    Generation.objects.filter(id=by_prompt).update(prompt="Hemp seed beside a lamp")
    Product.objects.filter(id=Generation.objects.get(id=by_prompt).product_id).update(name="Lamp")
    monkeypatch.setattr(finding, "PRODUCTS_LOOKED_UP", 20)
    assert "never executed" not in plan_of_the_look_up("hemp seed")
    assert ids(monitor.listing(Filter(text="hemp seed"))) == [by_prompt, *by_name[::-1]]
    monkeypatch.setattr(finding, "PRODUCTS_LOOKED_UP", 5)
    assert "never executed" in plan_of_the_look_up("hemp seed")
    assert ids(monitor.listing(Filter(text="hemp seed"))) == [by_prompt, *by_name[::-1]]


def plan_of_the_look_up(text: str) -> str:
    """How the database reads what holds a text."""
    with CaptureQueriesContext(connection) as asked:
        finding.Scope(Filter(text=text))
    (look_up,) = asked.captured_queries
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE) " + look_up["sql"].replace("%", "%%"), [])
        return "\n".join(row[0] for row in cursor.fetchall() if "packshot_generation" in row[0])


def test_a_cost_that_a_statement_works_out_is_the_one_that_the_database_says():
    History(Random(5), NOW).happen(products=8, generations=120)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT {IMAGE_COST}, floor(packshot_image_cost_micros(image.attempt_id))::bigint
            FROM packshot_image AS image
            """
        )
        both = cursor.fetchall()
    assert [ours for ours, _ in both] == [theirs for _, theirs in both]
    said = {ours for ours, _ in both}
    assert None in said, "of some nobody knows"
    assert len(said) > 10


def test_a_run_is_listed_under_its_title_and_one_that_does_not_exist_is_empty(provider):
    together = build.asked(provider, 3)
    build.asked(provider)
    run = Run.objects.get()
    listing = monitor.listing(Filter(run_id=run.id))
    assert ids(listing) == together[::-1]
    assert listing.run_title == "a story"
    assert listing.tally.of("pending") == 3
    nowhere = monitor.listing(Filter(run_id=uuid7()))
    assert (nowhere.rows, nowhere.run_title, nowhere.tally.of()) == ([], None, 0)


# -- counts ----------------------------------------------------------------------------------------


def test_counts_by_provider_and_status_agree_with_the_rows_whatever_happened():
    reports.add(History(Random(5), NOW).happen(products=12, generations=120).deltas, slot=1)
    rows = Generation.objects.values_list("provider", "status", "product__sku", "run")
    counted = monitor.tally(Filter())
    exact = Counter((provider, status) for provider, status, _, _ in rows)
    assert {pair: number for pair, number in counted.counted.items() if number} == dict(exact)
    assert counted.of() == len(rows)
    for status in GENERATION_STATUSES:
        assert counted.of(status) == sum(each[1] == status for each in rows)
    assert counted.of(provider="flux") == sum(each[0] == "flux" for each in rows)
    by_text = monitor.tally(Filter(status="failed", provider="flux", text="sku-1"))
    assert by_text.counted == Counter(
        (provider, status) for provider, status, sku, _ in rows if "SKU-1" in sku
    ), "a status or provider in the filter does not narrow the counts by status and provider"


def test_counts_follow_the_verbs_at_once(provider):
    asked = build.asked(provider, 4)
    claims = story.begin(provider, build.process().id, most=2)
    build.end(build.delivered(claims[0]), build.failed(claims[1], Refused("no", kind="refused")))
    generate.cancel([asked[3]], build.EDITOR)
    assert statuses() == {"pending": 1, "completed": 1, "failed": 1, "cancelled": 1}
    generate.retry([claims[1].generation.id], build.EDITOR)
    assert statuses() == {"pending": 2, "completed": 1, "cancelled": 1}


def statuses() -> dict[str, int]:
    tally = monitor.tally(Filter())
    return {status: number for status in GENERATION_STATUSES if (number := tally.of(status))}


# -- what an action meets ----------------------------------------------------------------------------


def test_an_action_on_all_that_match_meets_exactly_those_oldest_first(provider):
    asked = build.asked(provider, 6)
    generate.cancel(asked[4:], build.EDITOR)
    found = monitor.matching(Filter(), ["pending", "processing"], limit=3)
    assert [(each.id, each.status, each.expected_micros) for each in found] == [
        (each, "pending", 40_000) for each in asked[:3]
    ]
    assert monitor.matching(Filter(status="failed"), ["pending"], limit=9) == []
    assert [each.status for each in monitor.those([asked[0], asked[5], uuid7()])] == ["pending", "cancelled"]


# -- one in full -------------------------------------------------------------------------------------


def test_a_generation_in_full_tells_each_attempt_with_its_money(provider):
    me = build.process().id
    build.asked(provider, 1)
    (first,) = story.begin(provider, me)
    build.end(build.failed(first, TryLater("busy", after_s=0, request_id="req-9", raw='{"busy": true}')))
    at_once()
    (second,) = story.begin(provider, me)
    build.end(build.failed(second, Unsure("cut off", kind="cut_off")))
    found = monitor.detail(first.generation.id)
    assert found is not None
    assert (found.row.status, found.row.attempts, len(found.attempts)) == ("uncertain", 2, 2)
    busy, cut = found.attempts
    assert (busy.number, busy.error_kind, busy.request_id) == (1, "rate_limited", "req-9")
    assert '"busy": true' in busy.answer
    assert (busy.held, busy.charged) == (None, Decimal(0))
    assert (cut.state, cut.held, cut.charged) == ("uncertain", Decimal("0.04"), None)
    assert found.held == Decimal("0.04")
    generate.resolve(first.generation.id, "charged", build.ADMIN, note="line 7 of the bill")
    settled = monitor.detail(first.generation.id)
    assert settled is not None
    assert settled.row.status == "failed"
    last = settled.attempts[-1]
    assert (last.charged, last.held) == (Decimal("0.04"), None)
    assert [(each.kind, each.by_name, each.note) for each in last.proofs] == [
        ("person", "ada", "line 7 of the bill")
    ]


def test_what_it_was_made_from_is_told_with_where_that_came_from(provider):
    """A generation tells its pictures in their order, and of an image here whose it was and what made it."""
    first = build.sent(provider)
    build.end(build.delivered(first))
    image = Image.objects.get()
    edited = replace(
        build.wanted(provider),
        inputs=(
            Given("image", image.blob, "image/png", 640, 480, 9_000, image.id),
            Given("mask", "b" * 64, "image/png", 640, 480, 100),
        ),
    )
    with transaction.atomic():
        generations.request(
            [edited], key=uuid4().hex, fingerprint="f" * 64, title="", person_id=None, person_name="ed",
            quoted_micros=None,
        )  # fmt: skip
    found = monitor.detail(edited.id)
    assert found is not None
    sku = Product.objects.get(pk=image.product_id).sku
    assert found.pictures == (
        monitor.GivenPicture("image", 640, 480, image.id, sku, first.generation.id),
        monitor.GivenPicture("mask", 640, 480, None, None, None),
    )
    assert monitor.detail(first.generation.id).pictures == ()


def test_a_generation_that_is_not_there_is_none():
    assert monitor.detail(uuid7()) is None


def test_one_in_full_takes_one_query_however_many_attempts_it_took(provider):
    me = build.process().id
    (asked,) = build.asked(provider)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            monitor.detail(asked)
        return len(captured)

    before = queries()
    for _ in range(3):
        (claim,) = story.begin(provider, me)
        build.end(build.failed(claim, TryLater("busy", after_s=0)))
        at_once()
    assert before == queries() == 1
