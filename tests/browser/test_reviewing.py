"""Review in a browser: one image after the other by keys alone, and many at once."""

import pytest
from playwright.sync_api import Page, expect

from packshot.quality.models import Review
from tests import build
from tests.browser import story
from tests.browser.conftest import live


@pytest.fixture
def images(server) -> list:
    build.provider_row()
    build.budget("100")
    provider = build.StandIn()
    return [story.land(build.sent(provider), number=number) for number in range(4)][::-1]


@pytest.fixture
def reviewing(page: Page, images, sign_in) -> Page:
    story.person("publisher", "pat")
    sign_in(page, "pat", at="/review")
    live(page)
    return page


def shown(page: Page, image) -> None:
    expect(page.locator(f'.deciding input[name=image][value="{image.pk}"]')).to_be_attached()


def test_four_images_are_decided_about_by_keys_alone_and_the_last_is_taken_back(reviewing, images):
    shown(reviewing, images[0])
    reviewing.keyboard.press("a")
    shown(reviewing, images[1])
    reviewing.keyboard.press("3")
    shown(reviewing, images[2])
    reviewing.keyboard.press("s")
    shown(reviewing, images[3])
    reviewing.keyboard.press("a")
    # Who was passed over comes again at the end.
    shown(reviewing, images[2])
    reviewing.keyboard.press("Control+z")
    shown(reviewing, images[3])
    assert dict(Review.objects.filter(current=True).values_list("image_id", "reason")) == {
        images[0].pk: "",
        images[1].pk: "wrong colour",
    }
    reviewing.keyboard.press("a")
    shown(reviewing, images[2])
    reviewing.keyboard.press("a")
    expect(reviewing.get_by_text("Nothing waits for a decision")).to_be_visible()


def test_on_a_phone_a_reason_of_ones_own_rejects_the_image(reviewing, images):
    reviewing.set_viewport_size({"width": 390, "height": 844})
    reviewing.get_by_label("Another reason").fill("the lid is missing")
    reviewing.get_by_role("button", name="Reject", exact=True).click()
    shown(reviewing, images[1])
    assert Review.objects.get(current=True).reason == "the lid is missing"


def test_many_are_rejected_at_once_for_one_reason(reviewing, images):
    reviewing.get_by_role("link", name="Tiles").click()
    reviewing.wait_for_url("**/review?view=grid")
    live(reviewing)
    for image in images[:2]:
        reviewing.locator(f"#review-{image.pk}").get_by_role("checkbox").check()
    reviewing.get_by_role("button", name="Reject").click()
    reviewing.get_by_role("button", name="Bad background").click()
    expect(reviewing.locator(".toast")).to_contain_text("2 images rejected")
    expect(reviewing.locator(".tile")).to_have_count(2)
    assert Review.objects.filter(current=True, reason="bad background").count() == 2


def test_a_refused_press_is_told_in_the_words_of_the_site(reviewing):
    toast = reviewing.locator(".toast.bad").last
    # Whoever signed in again in another tab has another token; the role is as it was.
    reviewing.context.clear_cookies(name="packshot-csrf")
    reviewing.keyboard.press("a")
    expect(toast).to_contain_text("This form is too old. Nothing was changed. Load the page again")
    # A proxy that gave up does not know what was done.
    reviewing.route(
        "**/review/decide",
        lambda route: route.fulfill(status=502, content_type="text/html", body="<h1>Bad gateway</h1>"),
    )
    reviewing.keyboard.press("a")
    expect(toast).to_contain_text("Load the page again to see whether it was done")
    assert not Review.objects.exists()
