"""Products that need attention: what is listed and why, the one click, putting off and giving away."""

import re
from datetime import timedelta
from html import unescape
from json import loads
from pathlib import Path
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from packshot import catalogue, events, reports
from packshot.accounts.models import AuditEntry, User
from packshot.catalogue.models import Image, Product, Triage
from packshot.generations.models import Generation
from packshot.quality.models import Review, Score
from packshot.reports import attention
from packshot.reports.attention import ISSUES, Wanted
from packshot.web import jinja
from packshot.web.live import Audience, make_frames
from tests import build
from tests.browser import story
from tests.integration.test_rights import FETCH, PAGE

pytestmark = pytest.mark.django_db
HX = FETCH | {"hx-request": "true"}
TEMPLATES = Path(jinja.__file__).parent / "templates"


@pytest.fixture
def provider() -> build.StandIn:
    build.provider_row("flux")
    build.budget("100")
    catalogue.save_template("General", "A packshot of {{name}}.")
    return build.StandIn("flux")


@pytest.fixture
def me() -> User:
    return story.person("publisher", "pat")


@pytest.fixture
def client(me) -> Client:
    client = Client()
    client.force_login(me)
    return client


def active(provider: build.StandIn) -> Image:
    made = story.land(build.sent(provider))
    Product.objects.filter(pk=made.product_id).update(active_image=made)
    return made


def one_of_each(provider: build.StandIn) -> dict[str, Product]:
    """A product with each issue, and one without any."""
    rejected, low, old = active(provider), active(provider), active(provider)
    active(provider)
    Review.objects.create(image=rejected, decision="rejected", reason="too dark", decided_by_name="mia")
    Score.objects.create(image=low, scorer="sharpness", value=12)
    # Ids carry their time, and the view looks for old images by them.
    age = timezone.now() - timedelta(days=800)
    aged = UUID(int=(int(age.timestamp() * 1000) << 80) | 7 << 76 | 2 << 62 | 5)
    Image.objects.filter(pk=old.pk).update(created_at=age)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        cursor.execute(
            "UPDATE packshot_product SET active_image_id = NULL, newest_image_id = NULL WHERE id = %s",
            [old.product_id],
        )
        cursor.execute("UPDATE packshot_rendition SET image_id = %s WHERE image_id = %s", [aged, old.pk])
        cursor.execute("UPDATE packshot_image SET id = %s WHERE id = %s", [aged, old.pk])
        cursor.execute(
            "UPDATE packshot_product SET active_image_id = %s WHERE id = %s", [aged, old.product_id]
        )
    failed = build.sent(provider)
    story.refuse(failed)
    unknown = build.sent(provider)
    Product.objects.filter(pk=unknown.generation.product_id).update(last_generation_status="uncertain")
    stand_in = build.product("stand-in")
    Product.objects.filter(pk=stand_in.pk).update(
        listed_image_url="https://x.example/y.jpg", placeholder=True
    )
    found = {
        "uncertain": unknown.generation.product_id,
        "generation_failed": failed.generation.product_id,
        "no_image": build.product("bare").pk,
        "placeholder": stand_in.pk,
        "rejected": rejected.product_id,
        "low_score": low.product_id,
        "old_image": old.product_id,
    }
    return {issue: Product.objects.get(pk=key) for issue, key in found.items()}


def tile_of(page: str, product: Product) -> str:
    found = re.search(rf'<li class="tile" id="needing-{product.pk}".*?</li>', page, re.DOTALL)
    assert found, product.name
    return unescape(found[0])


def test_every_issue_is_counted_as_the_view_counts_it_and_says_why(provider, client):
    by_issue = one_of_each(provider)
    tally = attention.tally(Wanted())
    with connection.cursor() as cursor:
        cursor.execute("SELECT issue_type, count(*) FROM products_needing_attention GROUP BY 1")
        assert {issue: count for issue, count in tally.by_issue.items() if count} == dict(cursor.fetchall())
    assert {each.issue: each.id for each in attention.needing(Wanted(), each=5)} == {
        issue: product.pk for issue, product in by_issue.items()
    }
    page = client.get("/admin/attention", headers=PAGE).text
    for issue, words in {
        "generation_failed": "content refused",
        "no_image": "Nothing was made yet",
        "placeholder": "The shop shows a stand-in",
        "rejected": "By mia: too dark",
        "low_score": "sharpness gave 12 of 100",
        "old_image": "Made ",
    }.items():
        assert words in tile_of(page, by_issue[issue]), issue
    # Another call could be a second charge: the way leads to the Queue.
    assert "Settle the charge" in tile_of(page, by_issue["uncertain"])
    assert "hx-post" not in tile_of(page, by_issue["uncertain"])


def counts_beside_the_place(page: str) -> list[str]:
    """What the navigation and a phone's bar say beside Needs attention; empty where nothing is shown."""
    found = re.findall(r'<span class="count hot" id="(needing-\w+)"( hidden)?>([^<]*)</span>', page)
    assert [name for name, _, _ in found] == ["needing-count", "needing-tab"]
    return ["" if hidden else number for _, hidden, number in found]


def test_the_navigation_of_every_page_counts_what_the_page_lists(provider, client, me):
    assert counts_beside_the_place(client.get("/admin/queue", headers=PAGE).text) == ["", ""]
    by_issue = one_of_each(provider)
    assert counts_beside_the_place(client.get("/admin/queue", headers=PAGE).text) == ["7", "7"]
    Triage.objects.create(
        product=by_issue["no_image"],
        snoozed_issue="no_image",
        snoozed_until=timezone.now() + timedelta(days=1),
        snoozed_by_name="pat",
    )
    page = client.get("/admin/attention", headers=PAGE).text
    assert counts_beside_the_place(page) == ["6", "6"]
    assert ">6 products</p>" in page


def test_the_navigation_counts_to_nine_hundred_and_ninety_nine(provider, client):
    Product.objects.bulk_create(Product(sku=f"bare-{number}", name="Bare") for number in range(1_201))
    assert reports.edge(simulated=True).needing == attention.COUNTED_AT_MOST == 1_000
    assert counts_beside_the_place(client.get("/admin/queue", headers=PAGE).text) == ["999+", "999+"]
    assert attention.tally(Wanted()).total == 1_201


def test_the_stream_says_how_many_need_attention_where_the_navigation_does(provider, client):
    before = events.newest_id()
    story.refuse(build.sent(provider))
    audience = Audience(("nav",), "viewer", "en")
    happenings, last = events.since(before), events.newest_id()
    frame = make_frames([audience], happenings, last, replay=True)[audience].decode()
    for place in ("needing-count", "needing-tab"):
        assert f'<hx-partial hx-target="#{place}" hx-swap="outerMorph">' in frame
    assert counts_beside_the_place(frame) == ["1", "1"]


def test_the_page_asks_as_often_for_one_product_as_for_many(provider, client):
    one_of_each(provider)
    with CaptureQueriesContext(connection) as few:
        client.get("/admin/attention", headers=PAGE)
    for number in range(9):
        build.product(f"bare {number}")
        story.refuse(build.sent(provider))
    with CaptureQueriesContext(connection) as many:
        client.get("/admin/attention", headers=PAGE)
    assert len(few) == len(many) <= 12, [each["sql"][:90] for each in many]


def test_the_one_click_asks_once_at_the_price_that_stands_on_it(provider, client):
    product = build.product("bare")
    tile = tile_of(client.get("/admin/attention", headers=PAGE).text, product)
    values = loads(re.search(r"hx-vals='([^']+)'", tile)[1])
    price = int(values["agreed-flux"])
    assert f"${price / 1e6:.3f}" in tile
    for _ in range(2):
        assert "1 image asked for" in client.post("/generate", values, headers=HX).text
    (generation,) = Generation.objects.filter(product=product)
    assert generation.expected_micros == price


def test_what_failed_is_tried_again_by_one_click(provider, client):
    claim = build.sent(provider)
    story.refuse(claim)
    tile = tile_of(
        client.get("/admin/attention", headers=PAGE).text, Product.objects.get(pk=claim.generation.product_id)
    )
    values = loads(re.search(r"hx-vals='([^']+)'", tile)[1])
    assert "1 generation retried" in client.post("/admin/queue/retry", values, headers=HX).text
    assert Generation.objects.get(product_id=claim.generation.product_id).status == "pending"


def test_who_only_lacks_a_choice_is_not_paid_for_again(provider, client):
    made, bare = story.land(build.sent(provider)), build.product("bare")
    tally = attention.tally(Wanted())
    assert (tally.by_issue["no_image"], tally.to_choose["no_image"]) == (2, 1)
    form = client.post("/generate/new", {"needing": "no_image"}, headers=HX).text
    assert "Generate 1 image" in unescape(re.sub(r"<[^>]+>", "", form))
    assert attention.ids(Wanted(issue="no_image", made=False), limit=9) == [bare.pk]
    told = client.post("/images/activate-newest", {"choosing": "no_image"}, headers=HX).text
    assert "1 image set active" in told
    assert Product.objects.get(pk=made.product_id).active_image_id == made.pk


def test_put_off_is_one_issue_for_a_while_and_a_worse_one_is_shown_at_once(provider, client):
    bare = build.product("bare")
    told = client.post("/admin/attention/snooze", {"product": str(bare.pk), "days": "7"}, headers=HX).text
    assert "1 product put off" in told
    assert f"#needing-{bare.pk}" in told
    assert attention.needing(Wanted(), each=5) == []
    (off,) = attention.needing(Wanted(snoozed=True), each=5)
    assert off.snoozed_until - timezone.now() > timedelta(days=6)
    assert attention.tally(Wanted()).snoozed == 1
    Product.objects.filter(pk=bare.pk).update(last_generation_status="failed")
    assert [each.issue for each in attention.needing(Wanted(), each=5)] == ["generation_failed"]
    Product.objects.filter(pk=bare.pk).update(last_generation_status="")
    Triage.objects.update(snoozed_until=timezone.now() - timedelta(seconds=1))
    assert [each.id for each in attention.needing(Wanted(), each=5)] == [bare.pk]


def test_put_off_is_undone_and_both_are_written_down(provider, client):
    bare = build.product("bare")
    client.post("/admin/attention/snooze", {"product": str(bare.pk), "days": "7"}, headers=HX)
    told = client.post("/admin/attention/snooze", {"ids": str(bare.pk), "days": "0"}, headers=HX).text
    assert "1 product shown again" in told
    assert [each.id for each in attention.needing(Wanted(), each=5)] == [bare.pk]
    actions = AuditEntry.objects.filter(action__endswith="products").values_list("action", flat=True)
    assert sorted(actions) == ["snoozed products", "woken products"]


@pytest.mark.parametrize("days", ["", "-1", "366", "seven", "1e3"])
def test_for_how_long_is_said_in_days_or_nothing_is_put_off(provider, client, days):
    bare = build.product("bare")
    told = client.post("/admin/attention/snooze", {"product": str(bare.pk), "days": days}, headers=HX).text
    assert "days" in told
    assert not Triage.objects.exists()


def test_a_product_is_given_to_somebody_who_can_see_to_it_and_found_as_theirs(provider, client, me):
    bare, other = build.product("bare"), build.product("other")
    viewer = story.person("viewer", "vic")
    refused = client.post(
        "/admin/attention/assign", {"product": str(bare.pk), "person": str(viewer.pk)}, headers=HX
    ).text
    assert "choose another person" in refused
    client.post("/admin/attention/assign", {"product": str(bare.pk), "person": str(me.pk)}, headers=HX)
    page = client.get("/admin/attention?of=mine", headers=PAGE).text
    assert "pat" in tile_of(page, bare)
    assert f"needing-{other.pk}" not in page
    client.post("/admin/attention/assign", {"product": str(bare.pk), "person": ""}, headers=HX)
    assert attention.needing(Wanted(assignee_id=me.pk), each=5) == []


def test_a_viewer_sees_what_is_wrong_and_can_do_nothing(provider):
    build.product("bare")
    client = Client()
    client.force_login(story.person("viewer", "vic"))
    page = client.get("/admin/attention", headers=PAGE).text
    assert "Nothing was made yet" in page
    main = page[page.index('id="page"') : page.index('id="keys"')]
    assert "hx-post" not in main
    assert 'type="checkbox"' not in main


def test_one_issue_is_read_a_page_at_a_time_without_gap_or_repeat(provider, client):
    expected = {build.product(f"bare {number}").pk for number in range(7)}
    seen: list[UUID] = []
    after = None
    while part := attention.needing(Wanted(issue="no_image"), each=3, after=after):
        seen += [each.id for each in part]
        after = part[-1].id
    assert len(seen) == 7
    assert set(seen) == expected
    assert seen == sorted(seen, reverse=True)


def test_words_narrow_the_list_the_counts_and_what_is_asked_for(provider, client):
    ash = build.product("Ash 100%")
    build.product("Birch")
    wanted = Wanted(text="100%")
    assert attention.tally(wanted).total == 1
    assert attention.ids(wanted, limit=9) == [ash.pk]
    assert set(attention.tally(wanted).by_issue) == set(ISSUES)


def test_no_field_of_a_form_is_named_like_what_a_morph_asks_of_an_element():
    """A field called `id` hides its form's own id, and the form is replaced where it should be kept."""
    hidden = re.compile(r'name="(id|tagName|parentNode|attributes|children|firstChild|nextSibling)"')
    for path in TEMPLATES.rglob("*.html"):
        assert not hidden.search(path.read_text()), path.name
