"""The list of products: what it finds, counts and costs to draw; choosing for many, and taking it back."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.template import engines
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from packshot import events
from packshot.accounts.models import AuditEntry, User
from packshot.catalogue import finding
from packshot.catalogue.finding import IMAGE_STATES, Sought
from packshot.catalogue.models import Image, Product
from packshot.events import Happening
from packshot.web import live
from packshot.web.jinja import drawn
from packshot.web.live import Audience
from packshot.web.pages import products
from tests import build
from tests.browser import story
from tests.integration.test_rights import FETCH, PAGE
from tests.integration.test_web_templates import breaches

# An id that nothing has. Not a random one: both halves of a run must collect the same tests.
NOBODY = "0192f1a4-0000-7000-8000-00000000000f"
pytestmark = pytest.mark.django_db
HX = FETCH | {"hx-request": "true"}


@pytest.fixture
def provider() -> build.StandIn:
    build.provider_row()
    build.budget("100")
    return build.StandIn()


@pytest.fixture
def me() -> User:
    return story.person("publisher", "pat")


@pytest.fixture
def client(me) -> Client:
    client = Client()
    client.force_login(me)
    return client


def image(provider: build.StandIn, *, active: bool = False) -> Image:
    made = story.land(build.sent(provider))
    if active:
        Product.objects.filter(pk=made.product_id).update(active_image=made)
    return made


def names(text: str) -> list[str]:
    """The names of the products in the order they stand on the page."""
    return [unescape(each) for each in re.findall(r'<b class="clip">([^<]*)</b>', text)]


def one_of_each(provider: build.StandIn) -> dict[str, Product]:
    """A product in each image state."""
    found = {
        "no-image": build.product("bare"),
        "to-choose": Product.objects.get(pk=image(provider).product_id),
        "placeholder": build.product("stand-in"),
        "in-progress": build.product("made now"),
        "failed": build.product("refused"),
        "active": Product.objects.get(pk=image(provider, active=True).product_id),
        "shop-image": build.product("photographed"),
    }
    shop = "https://shop.example/x.jpg"
    for state, facts in {
        "placeholder": {"listed_image_url": shop, "placeholder": True},
        "in-progress": {"last_generation_status": "pending"},
        "failed": {"last_generation_status": "failed"},
        "shop-image": {"listed_image_url": shop},
    }.items():
        Product.objects.filter(pk=found[state].pk).update(**facts)
    build.product("archived")
    Product.objects.filter(name__startswith="archived").update(archived_at="2026-01-01T00:00Z")
    return found


# -- finding -----------------------------------------------------------------------------------------


def test_each_state_finds_its_own_and_the_tabs_count_what_they_find(provider):
    by_state = one_of_each(provider)
    shown = {each.id: each.shown for each in finding.find(Sought()).products}
    assert shown == {each.pk: state for state, each in by_state.items()}
    counts = finding.tally(Sought()).of
    # The filtered count goes another way through the database, and must come to the same.
    assert counts == finding.tally(Sought(category="Food")).of
    assert counts[None] == 7
    for state in IMAGE_STATES:
        found = finding.find(Sought(state=state)).products
        assert counts[state] == len(found), state
        assert by_state[state].pk in {each.id for each in found}
    # What nobody has chosen is no image to a shopper, as the dashboard counts it.
    assert {each.id for each in finding.find(Sought(state="no-image")).products} == {
        by_state[state].pk for state in ("no-image", "to-choose", "in-progress", "failed")
    }


def test_a_tile_shows_the_active_image_or_else_the_newest(provider):
    chosen = image(provider, active=True)
    newer = story.land(build.sent(provider), number=1, look=False)
    Image.objects.filter(pk=newer.pk).update(product_id=chosen.product_id)
    story.make_thumbnail(newer, 1)
    (row,) = finding.by_ids([chosen.product_id])
    assert (row.image_id, row.active, row.newest_image_id) == (chosen.pk, True, newer.pk)
    Product.objects.filter(pk=chosen.product_id).update(active_image=None)
    (row,) = finding.by_ids([], generation_ids=[chosen.generation_id])
    assert (row.image_id, row.active) == (newer.pk, False)
    assert row.thumb_blob


def test_words_are_found_in_name_and_sku_as_they_are_written():
    plain, percent = build.product("Hemp oil"), build.product("100% hemp_oil")
    assert {each.id for each in finding.find(Sought("HEMP")).products} == {plain.pk, percent.pk}
    assert [each.id for each in finding.find(Sought("0% hemp_")).products] == [percent.pk]
    assert [each.id for each in finding.find(Sought(plain.sku.upper())).products] == [plain.pk]


def test_each_word_is_found_in_name_sku_or_an_attribute_wherever_it_stands():
    bowl, jug = build.product("Oak bowl"), build.product("Oak jug")
    Product.objects.filter(pk=bowl.pk).update(
        attributes={"colour": "Indigo", "sizes": ["S", "XL"], "vegan": True, "height": 12.5}
    )
    Product.objects.filter(pk=jug.pk).update(attributes={"colour": "moss", "note": ""})

    def found(text: str) -> set[UUID]:
        sought = Sought(text)
        shown = {each.id for each in finding.find(sought).products}
        assert finding.tally(sought).of[None] == len(shown)
        return shown

    assert (
        found("indigo")
        == found("bowl indigo")
        == found("INDIGO oak")
        == found(f"{bowl.sku} 12.5")
        == {bowl.pk}
    )
    assert found("oak") == {bowl.pk, jug.pk}
    assert found("indigo moss") == set()
    # A name of an attribute is no word of the product, nor is yes or no.
    assert found("colour") == found("true") == set()


def test_a_letter_or_two_begin_a_word_and_two_characters_of_another_script_are_found_anywhere():
    bowl, tea = build.product("Oak bowl"), build.product("抹茶碗")
    for text, expected in (
        ("bo", {bowl.pk}),
        ("ow", set()),
        ("o", {bowl.pk}),
        ("茶碗", {tea.pk}),
        ("&", set()),
    ):
        assert {each.id for each in finding.find(Sought(text)).products} == expected, text


def test_words_of_a_product_follow_its_name_and_its_attributes():
    product = build.product("Oak bowl")
    Product.objects.filter(pk=product.pk).update(name="Beech bowl", attributes={"colour": "rust"})
    assert not finding.find(Sought("oak")).products
    assert finding.find(Sought("beech rust")).products


def test_what_a_common_word_finds_is_counted_so_far_and_said_to_be_more(client, monkeypatch):
    monkeypatch.setattr(finding, "MOST_COUNTED", 3)
    for _ in range(4):
        build.product("Oak bowl")
    assert finding.tally(Sought("oak")) == finding.Tally(
        {
            None: 3,
            "no-image": 3,
            "to-choose": 0,
            "placeholder": 0,
            "in-progress": 0,
            "failed": 0,
            "active": 0,
        },
        more=True,
    )
    page = client.get("/products?q=oak", headers=PAGE).text
    assert "3+ products by name" in page
    assert 'data-total="3" data-more="+"' in page
    assert finding.tally(Sought()).of[None] == 4


def test_a_category_holds_what_is_below_it_and_not_what_begins_alike():
    oil = build.product("oil", category="Food > Oils")
    below = build.product("olive", category="Food > Oils > Olive")
    build.product("oilcloth", category="Food > Oilskins")
    build.product("nowhere", category="")
    assert {each.id for each in finding.find(Sought(category="Food > Oils")).products} == {oil.pk, below.pk}
    assert [each.path for each in finding.places_below("")] == ["Food"]
    assert [each.path for each in finding.places_below("Food")] == ["Food > Oils", "Food > Oilskins"]
    assert [each.name for each in finding.places_below("Food > Oils")] == ["Olive"]
    assert finding.places_below("Foo") == finding.places_below("Food > Oils > Olive") == []
    assert [each.path for each in finding.places_above("Food > Oils")] == ["Food", "Food > Oils"]


def test_pages_follow_each_other_both_ways_without_a_gap_also_among_equal_names():
    for _ in range(3):
        build.product("a")
    Product.objects.update(name="same")
    for letter in "zyx":
        build.product(letter)
    whole = [each.id for each in finding.find(Sought()).products]
    first = finding.find(Sought(), limit=2)
    assert (first.has_before, first.has_after) == (False, True)
    second = finding.find(Sought(), after=first.products[-1].id, limit=2)
    third = finding.find(Sought(), after=second.products[-1].id, limit=2)
    assert [each.id for page in (first, second, third) for each in page.products] == whole
    assert (third.has_before, third.has_after) == (True, False)
    back = finding.find(Sought(), before=third.products[0].id, limit=2)
    assert back.products == second.products
    assert (back.has_before, back.has_after) == (True, True)


def test_the_neighbours_of_a_product_are_those_of_the_list_it_was_found_in():
    a, b, c = build.product("a"), build.product("b"), build.product("c")
    Product.objects.filter(pk=b.pk).update(last_generation_status="failed")
    before, after = finding.neighbours(b.pk, Sought())
    assert (before and before.id, after and after.id) == (a.pk, c.pk)
    assert finding.neighbours(b.pk, Sought(state="failed")) == (None, None)
    assert finding.neighbours(a.pk, Sought(state="failed"))[1].id == b.pk


# -- the page ------------------------------------------------------------------------------------------


def test_the_state_of_the_list_stands_in_its_address(client, provider):
    by_state = one_of_each(provider)
    page = client.get("/products?state=failed&q=ref&category=Food", headers=PAGE)
    assert names(page.text) == [by_state["failed"].name]
    for part in ('value="ref"', 'name="category" value="Food"', 'name="state" value="failed"'):
        assert part in page.text
    tabs = re.findall(r'<a href="(/products[^"]*)"[^>]*>([A-Z][a-z ]+)<span class="count">(\d+)', page.text)
    assert {label: count for _, label, count in tabs} == {
        "All": "1", "No image": "1", "To choose": "0", "Placeholder": "0", "In progress": "0", "Failed": "1",
        "Active": "0",
    }  # fmt: skip
    for url, *_ in tabs:
        kept = parse_qs(urlsplit(unescape(url)).query)
        assert (kept["q"], kept["category"]) == (["ref"], ["Food"])


def test_the_tree_of_categories_leads_down_and_up_and_keeps_the_rest_of_the_filter(client, monkeypatch):
    monkeypatch.setattr(products, "PLACES_SHOWN", 1)
    for path in ("Food > Oils > Olive", "Food > Tea", "Food", "Care & more"):
        build.product("ref", category=path)

    def places(query: str) -> dict[str, str]:
        page = client.get(f"/products?{query}", headers=PAGE).text
        tree = page.partition('<nav class="places"')[2].partition("</nav>")[0]
        links = re.findall(r'<a class="[^"]+" href="([^"]+)"[^>]*>([^<]+)</a>', tree)
        return {unescape(label): unescape(url) for url, label in links}

    top = places("q=ref&state=no-image")
    assert list(top) == ["All categories", "Care & more", "Food"]
    assert parse_qs(urlsplit(top["Food"]).query) == {
        "q": ["ref"], "state": ["no-image"], "category": ["Food"],
    }  # fmt: skip
    assert list(places("category=Food")) == ["All categories", "Food", "Oils", "Tea"]
    assert list(places("category=Food+>+Oils+>+Olive")) == ["All categories", "Food", "Oils", "Olive"]
    assert parse_qs(urlsplit(places("category=Food+>+Oils")["Food"]).query) == {"category": ["Food"]}
    assert len(re.findall("<li", client.get(top["Care & more"], headers=PAGE).text)) >= 1


@pytest.mark.parametrize(
    "query",
    ["state=nonsense", "after=nonsense", "before=" + NOBODY, "after=" + NOBODY, "q=%00", "view=x",
     "category=%27%3B--", "q=" + "x" * 5000],
)  # fmt: skip
def test_an_address_that_means_nothing_is_no_error(client, query):
    build.product()
    assert client.get(f"/products?{query}", headers=PAGE).status_code == 200


def test_tiles_or_rows_are_remembered_in_this_browser(client):
    build.product()
    assert 'class="tiles"' in client.get("/products", headers=PAGE).text
    assert 'class="tiles"' not in client.get("/products?view=list", headers=PAGE).text
    assert 'class="tiles"' not in client.get("/products", headers=PAGE).text
    assert client.cookies["products"]["httponly"]
    client.cookies["products"] = "nonsense"
    assert 'class="tiles"' in client.get("/products", headers=PAGE).text


def test_a_long_list_leads_on_and_back(client, monkeypatch):
    monkeypatch.setattr(products, "SHOWN_AT_ONCE", 2)
    for name in "abc":
        build.product(name)
    first = client.get("/products?q=sku", headers=PAGE).text
    onward = unescape(re.search(r'rel="next" href="([^"]+)"', first)[1])
    second = client.get(onward, headers=PAGE).text
    assert [name[0] for name in names(first) + names(second)] == ["a", "b", "c"]
    assert "q=sku" in onward
    assert 'rel="next"' not in second
    backward = unescape(re.search(r'rel="prev" href="([^"]+)"', second)[1])
    assert names(client.get(backward, headers=PAGE).text) == names(first)


def test_an_empty_list_says_what_to_do(client):
    assert "Import products" in client.get("/products", headers=PAGE).text
    build.product()
    page = client.get("/products?q=nothing-like-it", headers=PAGE).text
    assert "No product fits" in page
    assert "Show all products" in page


def test_what_a_product_is_called_is_text(client, provider):
    made = image(provider)
    Product.objects.filter(pk=made.product_id).update(name='<img src=//evil.example onerror="x()">')
    for view in ("grid", "list"):
        page = client.get(f"/products?view={view}", headers=PAGE).text
        assert breaches(page) == []
        assert "&lt;img src=//evil.example" in page


def test_a_viewer_is_shown_nothing_to_press(provider):
    image(provider)
    viewer = Client()
    viewer.force_login(story.person("viewer"))
    for view in ("grid", "list"):
        page = viewer.get(f"/products?view={view}", headers=PAGE).text
        for word in ("Set active", "Generate images", 'type="checkbox"', "data-take-all"):
            assert word not in page, word


def test_what_is_kept_of_a_product_looks_as_it_would_be_drawn_tomorrow(provider, monkeypatch):
    image(provider)
    image(provider, active=True)
    build.product("bare")
    tiles = [products.tile(each) for each in finding.find(Sought()).products]
    assert {each.product.shown for each in tiles} == {"to-choose", "active", "no-image"}
    macros = engines["jinja2"].env.get_template("components/product.html").module
    for macro, more in ((macros.product_tile, True), (macros.product_row, "4m")):
        asked = [(each, may, may, more) for each in tiles for may in (True, False)]
        kept = [(given, drawn(macro, *given)) for given in asked]
        with monkeypatch.context() as later:
            later.setattr(timezone, "now", lambda: datetime.now(UTC) + timedelta(days=1))
            assert all(html == macro(*given) for given, html in kept), "nothing but its values decides"
        found, *rest = asked[0]
        renamed = replace(found, product=replace(found.product, name="Another"))
        assert len({drawn(macro, *each) for each in (*asked, (renamed, *rest))}) == 7


@pytest.mark.parametrize("count", [1, 40])
@pytest.mark.parametrize("view", ["grid", "list"])
def test_the_list_costs_the_same_few_queries_however_long_it_is(client, provider, view, count):
    made = image(provider)
    for number in range(count):
        product = build.product(f"p{number}")
        Product.objects.filter(pk=product.pk).update(newest_image=made)
    url = f"/products?view={view}&q=s&category=Food"
    client.get(url, headers=PAGE)
    with CaptureQueriesContext(connection) as queries:
        client.get(url, headers=PAGE)
    # Session, person, newest event, figures; counts, page, categories.
    assert len(queries) == 7, [each["sql"][:100] for each in queries]


def test_a_sku_may_hold_anything_and_still_has_an_address(client):
    odd = ["a/b c", "ü%2F?#&=", "..", "x/../y", "tab'\"<>", "a//b", "-", "/lead"]
    for sku in odd:
        product = build.product()
        Product.objects.filter(pk=product.pk).update(sku=sku, name=f"Named {sku}")
    page = client.get("/products", headers=PAGE).text
    urls = [unescape(each) for each in re.findall(r'href="([^"]+)" data-page', page)]
    assert len(urls) == len(odd)
    opened = set()
    for url in urls:
        # No browser may take part of it for a way up, a query or a place in the page.
        assert not re.search(r"/\.\.?(/|$)", url)
        assert urlsplit(url).query == urlsplit(url).fragment == ""
        answer = client.get(url, headers=PAGE)
        assert answer.status_code == 200, url
        opened.add(unescape(re.search(r"<h1[^>]*>([^<]*)</h1>", answer.text)[1]))
    assert opened == {f"Named {sku}" for sku in odd}


# -- choosing what shoppers see ---------------------------------------------------------------------


def undo_of(text: str) -> dict[str, str]:
    return json.loads(unescape(re.search(r'data-undo hx-post="/images/restore" hx-vals="([^"]+)"', text)[1]))


def active(product_id: object) -> object:
    return Product.objects.get(pk=product_id).active_image_id


def test_one_click_sets_an_image_active_and_one_more_takes_it_back(client, provider):
    made = image(provider)
    answer = client.post(f"/images/{made.pk}/activate", {"shows": "grid"}, headers=HX)
    assert "Image set active" in answer.text
    assert f'hx-target="#product-{made.product_id}"' in answer.text
    assert active(made.product_id) == made.pk
    back = client.post("/images/restore", undo_of(answer.text), headers=HX)
    assert "Taken back: no image is active now" in back.text
    assert f'hx-target="#product-{made.product_id}"' in back.text
    assert active(made.product_id) is None


def test_the_newest_of_all_chosen_become_active_with_one_undo_for_all(client, provider):
    made = [image(provider) for _ in range(3)]
    bare = build.product()
    ids = [str(each.product_id) for each in made] + [str(bare.pk), "nonsense"]
    answer = client.post("/images/activate-newest", {"product": ids}, headers=HX)
    assert "3 images set active, 1 left as they were" in answer.text
    assert [active(each.product_id) for each in made] == [each.pk for each in made]
    Product.objects.filter(pk=made[0].product_id).update(active_image=None)
    back = client.post("/images/restore", undo_of(answer.text), headers=HX)
    assert "2 choices taken back, 1 set anew since" in back.text
    again = client.post("/images/restore", undo_of(answer.text), headers=HX)
    assert "Nothing was changed" in again.text
    actions = ["activate newest images", "restore active images"]
    assert list(AuditEntry.objects.order_by("at").values_list("action", flat=True)) == actions
    assert set(AuditEntry.objects.values_list("actor_name", flat=True)) == {"pat"}


def test_all_that_match_means_those_of_the_filter_and_no_others(client, provider):
    wanted, other = image(provider), image(provider)
    Product.objects.filter(pk=wanted.product_id).update(name="Wanted")
    client.post(
        "/images/activate-newest", {"all": "1", "q": "wanted", "product": str(other.product_id)}, headers=HX
    )
    assert (active(wanted.product_id), active(other.product_id)) == (wanted.pk, None)


def test_without_our_script_a_choice_leads_back_with_its_words(client, provider):
    made = image(provider)
    answer = client.post(
        "/images/activate-newest",
        {"product": str(made.product_id), "then": "/products?state=to-choose"},
        headers=PAGE,
        follow=True,
    )
    assert answer.redirect_chain == [("/products?state=to-choose", 303)]
    assert "1 image set active" in answer.text
    away = client.post(
        "/images/activate-newest",
        {"product": str(made.product_id), "then": "https://evil.example"},
        headers=PAGE,
    )
    assert away.headers["Location"] == "/"


@pytest.mark.parametrize("token", ["", "nonsense", "eyJ9:1:abc"])
def test_an_undo_that_we_did_not_hand_out_changes_nothing(client, provider, token):
    made = image(provider, active=True)
    answer = client.post("/images/restore", {"undo": token}, headers=HX)
    assert "can no longer be taken back" in answer.text
    assert active(made.product_id) == made.pk


def test_choosing_nothing_or_a_broken_image_is_refused_in_words(client, provider):
    assert "No product was chosen" in client.post("/images/activate-newest", headers=HX).text
    made = image(provider)
    Image.objects.filter(pk=made.pk).update(state="broken", problem="cut short")
    answer = client.post(f"/images/{made.pk}/activate", headers=HX)
    assert "could not be decoded" in answer.text
    assert active(made.product_id) is None
    assert "There is no image" in client.post(f"/images/{uuid4()}/activate", headers=HX).text


# -- what the stream shows ------------------------------------------------------------------------------


def frame(
    *happenings: Happening, role: str = "publisher", topics: tuple[str, ...] = ("product-grid",)
) -> str:
    audience = Audience(topics, role, "en")
    before = events.newest_id()
    events.tell(happenings)
    told = events.since(before)
    return live.make_frames([audience], told, told[-1].id, replay=True)[audience].decode()


def test_whatever_happens_to_a_product_draws_its_tile_again(provider):
    made = image(provider)
    product = str(made.product_id)
    for happening in (
        Happening("generation", "completed", str(made.generation_id)),
        Happening("image", "landed", str(made.pk), {"product": product}),
        Happening("product", "activated", product, {"image": str(made.pk)}),
    ):
        assert f'id="product-{product}"' in frame(happening)
        assert f'<tr id="product-{product}"' in frame(happening, topics=("product-list",))
    assert "product-" not in frame(Happening("provider", "paused", "openai"))


def test_a_pushed_tile_has_buttons_only_for_those_who_may_press_them(provider):
    made = image(provider)
    happening = Happening("product", "activated", str(made.product_id))
    assert "Set active" in frame(happening)
    assert "Set active" not in frame(happening, role="editor")
    assert 'type="checkbox"' in frame(happening, role="editor")
    assert 'type="checkbox"' not in frame(happening, role="viewer")


def test_too_much_at_once_is_not_sent_but_fetched(monkeypatch, provider):
    monkeypatch.setattr(products, "PUSHED_AT_ONCE", 1)
    made = [image(provider), image(provider)]
    sent = frame(*(Happening("product", "activated", str(each.product_id)) for each in made))
    assert 'data-list="products-behind"' in sent
    assert 'id="product-' not in sent
