"""The list of products in a browser: asking for many images at a price, watching them land, choosing them."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from packshot import catalogue, events
from packshot.catalogue.models import Image, Product
from packshot.events import Happening
from packshot.flows.desk import quoting
from packshot.generations import Claim
from packshot.generations.models import Generation
from tests import build
from tests.browser import story
from tests.browser.conftest import live, same_load


@pytest.fixture
def shop(server) -> list[Product]:
    """Six products, two providers on simulated money, a template."""
    for name in ("flux", "sandbox"):
        build.provider_row(name)
    build.budget("100")
    catalogue.save_template("General", "A packshot of {{name}}.")
    return [build.product(name) for name in ("Ash", "Birch", "Cedar", "Date", "Elm", "Fir")]


@pytest.fixture
def listing(page: Page, shop, sign_in) -> Page:
    """The list as somebody sees it who may do everything with products."""
    story.person("publisher", "pat")
    sign_in(page, "pat", at="/products")
    live(page)
    page.evaluate("window.sameLoad = true")
    return page


def tile(page: Page, product: Product):
    return page.locator(f"#product-{product.pk}")


def begin(provider: str) -> list[Claim]:
    """The worker takes everything that was asked for."""
    return story.begin(quoting()[provider], build.process().id)


def made(product: Product, number: int = 0):
    """An image of this product that landed before anybody looked."""
    image = story.land(build.sent(build.StandIn("flux")), number=number, look=False)
    Product.objects.filter(pk=image.product_id).update(archived_at=timezone.now())
    Image.objects.filter(pk=image.pk).update(product=product)
    story.make_thumbnail(image, number)
    events.tell([Happening("image", "landed", str(image.pk), {"product": str(product.pk)})])
    return image


def wait_for_active(product: Product, image_id: object) -> None:
    """Until the database says so: the toast comes with the answer, so this is at most a moment."""
    assert Product.objects.get(pk=product.pk).active_image_id == image_id


# -- asking for many ---------------------------------------------------------------------------------


def test_several_are_asked_for_at_a_price_and_land_while_one_watches(listing, shop):
    tile(listing, shop[0]).get_by_role("checkbox").click()
    tile(listing, shop[2]).get_by_role("checkbox").click(modifiers=["Shift"])
    expect(listing.locator("[data-selected]")).to_have_text("3")
    listing.get_by_role("button", name="Generate images").click()
    dialog = listing.get_by_role("dialog", name="Generate images")
    spend = dialog.locator("[data-spends]")
    expect(spend).to_contain_text(re.compile(r"Generate 3 images\s+\$0\.\d{3}"))
    expect(dialog.get_by_text("Simulated money")).to_be_visible()
    dialog.locator(".provider-card", has_text="FLUX").get_by_role("checkbox").uncheck()
    expect(dialog.get_by_text("Choose a provider.")).to_be_visible()
    expect(spend).to_be_disabled()
    dialog.locator(".provider-card", has_text="Sandbox").get_by_role("checkbox").check()
    dialog.get_by_role("button", name="More").click()
    expect(spend).to_contain_text(re.compile(r"Generate 6 images\s+free"))
    spend.click()
    expect(listing.locator(".toast")).to_contain_text("6 images asked for")
    expect(dialog).to_be_hidden()
    expect(listing.locator(".bulk")).to_be_hidden()
    expect(listing.locator(".check:checked")).to_have_count(0)
    for product in shop[:3]:
        expect(tile(listing, product)).to_contain_text("In progress")
    for number, claim in enumerate(begin("sandbox")):
        story.land(claim, cost="0", number=number)
    for product in shop[:3]:
        expect(tile(listing, product)).to_contain_text("To choose")
        expect(tile(listing, product).locator("img")).to_be_visible()
    expect(listing.locator("#product-tabs")).to_contain_text(re.compile(r"To choose\s*3"))
    expect(tile(listing, shop[3])).to_contain_text("No image")
    assert same_load(listing)


def test_several_are_asked_for_by_keyboard_alone(listing, shop):
    for key in "jxjx":
        listing.keyboard.press(key)
    expect(listing.locator("[data-selected]")).to_have_text("2")
    listing.get_by_role("button", name="Generate images").focus()
    listing.keyboard.press("Enter")
    dialog = listing.get_by_role("dialog", name="Generate images")
    expect(dialog).to_be_visible()
    listing.keyboard.press("Control+Enter")
    expect(listing.locator(".toast")).to_contain_text("2 images asked for")
    assert {each.product_id for each in Generation.objects.all()} == {shop[0].pk, shop[1].pk}
    expect(tile(listing, shop[1])).to_have_class(re.compile("current"))
    listing.keyboard.press("Enter")
    listing.wait_for_url(f"**/products/{shop[1].sku}")


def test_all_that_match_can_be_taken_and_a_double_click_makes_one_set(listing, shop):
    matching = shop[1:4]
    Product.objects.filter(pk__in=[each.pk for each in matching]).update(attributes={"leaf": "serrated"})
    listing.locator("#filter").fill("serrated")
    expect(listing).to_have_url(re.compile(r"[?&]q=serrated"))
    expect(listing.locator(".tile")).to_have_count(len(matching))
    # One is enough to be offered all of them: tiles have no box that takes the page.
    tile(listing, matching[1]).get_by_role("checkbox").check()
    listing.get_by_role("button", name=f"Select all {len(matching)}").click()
    expect(listing.locator("[data-selected]")).to_have_text(str(len(matching)))
    for each in matching:
        expect(tile(listing, each).get_by_role("checkbox")).to_be_checked()
    listing.get_by_role("button", name="Generate images").click()
    listing.locator("#ask [data-spends]").dblclick()
    expect(listing.locator(".toast").first).to_contain_text(f"{len(matching)} images asked for")
    listing.wait_for_timeout(1000)  # a second set would be on its way by now
    assert sorted(each.product_id for each in Generation.objects.all()) == sorted(
        each.pk for each in matching
    )


# -- finding ---------------------------------------------------------------------------------------------


def test_typing_finds_at_once_and_the_address_says_what_is_shown(listing, shop):
    listing.keyboard.press("/")
    listing.keyboard.type("ced")
    expect(listing.locator(".tile")).to_have_count(1)
    expect(listing.locator("#filter")).to_be_focused()
    expect(listing).to_have_url(re.compile("q=ced"))
    listing.reload()
    expect(listing.locator(".tile")).to_have_count(1)
    listing.locator("#filter").fill("nothing like it")
    expect(listing.get_by_text("No product fits")).to_be_visible()
    listing.get_by_role("link", name="Show all products").click()
    expect(listing.locator(".tile")).to_have_count(6)
    listing.get_by_role("link", name="Rows").click()
    expect(listing.locator("tbody tr")).to_have_count(6)
    assert same_load(listing) is False


# -- choosing ---------------------------------------------------------------------------------------------


def test_the_newest_of_each_are_set_active_and_taken_back(listing, shop):
    images = [made(each, number) for number, each in enumerate(shop[:2])]
    for product in shop[:2]:
        expect(tile(listing, product)).to_contain_text("To choose")
        tile(listing, product).get_by_role("checkbox").check()
    listing.get_by_role("button", name="Set newest active").click()
    toast = listing.locator(".toast")
    expect(toast).to_contain_text("2 images set active")
    for product, image in zip(shop, images, strict=False):
        expect(tile(listing, product).locator(".tag")).to_have_text("Active")
        wait_for_active(product, image.pk)
    toast.get_by_role("button", name="Undo").click()
    expect(listing.locator(".toast")).to_contain_text("2 choices taken back")
    for product in shop[:2]:
        expect(tile(listing, product)).to_contain_text("To choose")
        wait_for_active(product, None)
    assert same_load(listing)


def test_one_is_set_active_on_its_tile_and_taken_back_by_key(listing, shop):
    image = made(shop[4])
    tile(listing, shop[4]).get_by_role("button", name="Set active").click()
    expect(listing.locator(".toast")).to_contain_text("Image set active")
    expect(tile(listing, shop[4]).locator(".tag")).to_have_text("Active")
    wait_for_active(shop[4], image.pk)
    listing.locator("h1").click()
    listing.keyboard.press("Control+z")
    expect(listing.locator(".toast")).to_contain_text("Taken back: no image is active now")
    wait_for_active(shop[4], None)


def test_a_viewer_has_nothing_to_press(page, shop, sign_in):
    made(shop[0])
    story.person("viewer", "vic")
    sign_in(page, "vic", at="/products")
    live(page)
    expect(page.locator(".tile")).to_have_count(6)
    expect(page.locator("#chosen button, #chosen .check")).to_have_count(0)
    made(shop[1])
    expect(tile(page, shop[1]).locator("img")).to_be_visible()
    expect(page.locator("#chosen button, #chosen .check")).to_have_count(0)


@pytest.mark.parametrize("view", ["grid", "list"])
def test_a_phone_shows_all_of_it_without_scrolling_sideways(listing, shop, view):
    made(shop[0])
    listing.set_viewport_size({"width": 390, "height": 844})
    listing.goto(listing.url.split("?")[0] + f"?view={view}")
    live(listing)
    assert listing.evaluate("document.documentElement.scrollWidth") == 390
    tile(listing, shop[0]).get_by_role("checkbox").check()
    bar = listing.locator(".bulk")
    expect(bar).to_be_in_viewport(ratio=1)
    listing.get_by_role("button", name="Generate images").click()
    spend = listing.locator("#ask [data-spends]")
    expect(spend).to_be_in_viewport(ratio=1)
    assert listing.evaluate("document.documentElement.scrollWidth") == 390
