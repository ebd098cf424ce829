"""Products that need attention in a browser: one click, putting off, taking back, choosing through news."""

import re

import pytest
from playwright.sync_api import Page, expect

from packshot import catalogue, events
from packshot.catalogue.models import Product, Triage
from packshot.events import Happening
from packshot.generations.models import Generation
from tests import build
from tests.browser import story
from tests.browser.conftest import live


@pytest.fixture
def bare(server) -> list[Product]:
    """Four products without an image, and a provider on simulated money."""
    build.provider_row("flux")
    build.budget("100")
    catalogue.save_template("General", "A packshot of {{name}}.")
    return [build.product(name) for name in ("Ash", "Birch", "Cedar", "Date")]


@pytest.fixture
def needing(page: Page, bare, sign_in) -> Page:
    story.person("publisher", "pat")
    sign_in(page, "pat", at="/admin/attention")
    live(page)
    return page


def tile(page: Page, product: Product):
    return page.locator(f"#needing-{product.pk}")


def test_one_click_asks_for_the_image_at_the_price_on_the_button(needing, bare):
    button = tile(needing, bare[0]).get_by_role("button", name=re.compile(r"Make image \$0\.03"))
    button.click()
    expect(needing.locator(".toast")).to_contain_text("1 image asked for")
    assert Generation.objects.get().product_id == bare[0].pk


def test_all_of_an_issue_are_asked_for_after_the_whole_price_was_shown(needing):
    needing.get_by_role("button", name=re.compile("Fix all 4 about")).click()
    dialog = needing.get_by_role("dialog", name="Generate images")
    expect(dialog).to_contain_text("4 images")
    assert not Generation.objects.exists()
    dialog.get_by_role("button", name=re.compile("Generate 4 images")).click()
    expect(needing.locator(".toast")).to_contain_text("4 images asked for")
    assert Generation.objects.count() == 4


def test_a_choice_outlives_what_the_stream_draws_again(needing, bare):
    for product in bare[:2]:
        tile(needing, product).get_by_role("checkbox").check()
    extra = build.product("Elm")
    events.tell([Happening("product", "imported", str(extra.pk))])
    expect(tile(needing, extra)).to_be_visible()
    for product in bare[:2]:
        expect(tile(needing, product).get_by_role("checkbox")).to_be_checked()
    expect(needing.locator("[data-selected]")).to_have_text("2")


def test_put_off_by_keyboard_alone_and_taken_back(needing, bare):
    needing.keyboard.press("j")
    needing.keyboard.press("x")
    expect(needing.locator("[data-selected]")).to_have_text("1")
    needing.get_by_role("button", name="Put off").focus()
    needing.keyboard.press("Enter")
    week = needing.get_by_role("button", name="For a week")
    expect(week).to_be_visible()
    week.focus()
    needing.keyboard.press("Enter")
    expect(needing.locator(".toast")).to_contain_text("1 product put off")
    off = Triage.objects.get().product
    expect(tile(needing, off)).to_have_count(0)
    needing.locator(".toast").get_by_role("button", name="Undo").click()
    expect(tile(needing, off)).to_be_visible()


def test_on_a_phone_the_chosen_ones_are_given_to_somebody(needing, bare):
    needing.set_viewport_size({"width": 390, "height": 844})
    tile(needing, bare[0]).get_by_role("checkbox").check()
    needing.get_by_role("button", name="Give to").click()
    needing.get_by_role("button", name="pat", exact=True).last.click()
    expect(needing.locator(".toast")).to_contain_text("1 product given to pat")
    needing.get_by_role("link", name="Mine").click()
    expect(needing.locator(".tile")).to_have_count(1)


def test_the_count_beside_its_place_follows_what_happens_on_whichever_page_one_is(page, bare, sign_in):
    story.person("publisher", "pat")
    sign_in(page, "pat", at="/admin/queue")
    live(page)
    place = page.get_by_role("navigation", name="Main").get_by_role("link", name="Needs attention")
    expect(place).to_have_text("Needs attention4")
    extra = build.product("Elm")
    events.tell([Happening("product", "imported", str(extra.pk))])
    expect(place).to_have_text("Needs attention5")
    Product.objects.filter(pk__in=[extra.pk, *(each.pk for each in bare)]).update(
        listed_image_url="https://x.example/y"
    )
    events.tell([Happening("product", "imported", str(extra.pk))])
    expect(place.locator(".count")).to_be_hidden()
    page.set_viewport_size({"width": 390, "height": 844})
    tab = page.get_by_role("navigation", name="Sections").get_by_role("link", name="Attention")
    expect(tab.locator(".count")).to_be_hidden()
    build.product("Fir")
    events.tell([Happening("product", "imported", str(extra.pk))])
    expect(tab).to_contain_text("1")


def test_the_list_of_keys_names_only_what_the_page_can_do(needing, server):
    needing.keyboard.press("?")
    keys = needing.get_by_role("dialog", name="Keyboard shortcuts")
    for works in ("Filter this page", "Next, previous row", "Open product"):
        expect(keys.get_by_text(works)).to_be_visible()
    expect(keys.get_by_text("Send the form")).to_be_hidden()
    needing.goto(server.url + "/admin")
    needing.keyboard.press("?")
    for idle in ("Filter this page", "Next, previous row", "Send the form"):
        expect(keys.get_by_text(idle)).to_be_hidden()
    expect(keys.get_by_text("Light or dark")).to_be_visible()
