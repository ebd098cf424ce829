"""Facets, orders, saved views and actions on many in a browser: by mouse, by keyboard, on a phone."""

import re
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from packshot.flows import bulk
from packshot.generations.bulk_models import BulkAction
from packshot.generations.models import Generation
from packshot.preferences.models import SavedView
from tests import build
from tests.browser import story
from tests.browser.conftest import live, same_load

ROW = "[data-row]"


@pytest.fixture
def provider(server) -> build.StandIn:
    build.provider_row()
    build.budget("100")
    return build.StandIn()


@pytest.fixture
def me(provider) -> UUID:
    return build.process().id


@pytest.fixture
def queue(page: Page, admin, sign_in):
    """Opens the Queue at an address, signed in and live."""
    sign_in(page)

    def open_at(query: str = "") -> Page:
        page.goto(re.sub(r"(https?://[^/]+)/.*", r"\1/admin/queue", page.url) + query)
        live(page)
        page.evaluate("window.sameLoad = true")
        return page

    return open_at


def failed(provider: build.StandIn, me: UUID, count: int) -> list[UUID]:
    story.ask(provider, count)
    claims = story.begin(provider, me, most=count)
    for claim in claims:
        story.refuse(claim)
    return [claim.generation.id for claim in claims]


def toast(page: Page, words: str | re.Pattern[str]) -> None:
    expect(page.locator("#toasts [data-words]").last).to_have_text(words)


def no_double_click(page: Page) -> None:
    """Wait until the next press is none."""
    page.wait_for_function("() => ![...document.forms].some((form) => form._sent)")


def statuses() -> set[str]:
    return set(Generation.objects.values_list("status", flat=True))


def test_a_facet_is_chosen_from_its_counts_and_taken_off_as_a_chip(queue, provider, me):
    failed(provider, me, 2)
    story.ask(provider, 3)
    page = queue()
    page.get_by_role("button", name="Error", exact=True).click()
    menu = page.get_by_role("group", name="Error")
    expect(menu.get_by_role("link", name=re.compile(r"Content refused\s*2"))).to_be_visible()
    menu.get_by_role("link", name=re.compile("Content refused")).click()
    expect(page.locator(ROW)).to_have_count(2)
    expect(page).to_have_url(re.compile(r"\?error=refused$"))
    page.get_by_role("link", name="Remove the filter Error Content refused").click()
    expect(page.locator(ROW)).to_have_count(5)


def test_a_facet_and_an_order_are_chosen_by_keyboard(queue, provider, me):
    keys = failed(provider, me, 2)
    page = queue()
    page.get_by_role("button", name="Age", exact=True).focus()
    page.keyboard.press("Enter")
    expect(
        page.get_by_role("group", name="Age").get_by_role("link", name=re.compile("last hour"))
    ).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"\?age=1h$"))
    page.get_by_role("button", name="Newest first").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"age=1h&sort=oldest$"))
    expect(page.locator(ROW).first).to_have_id(f"generation-{keys[0]}")


def test_a_view_is_saved_opens_first_and_is_deleted(queue, provider, me):
    failed(provider, me, 2)
    story.ask(provider, 1)
    page = queue("?status=failed")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("button", name="Save this view").click()
    page.get_by_label("Name").fill("What failed")
    page.get_by_label("Open the Queue with it").check()
    page.get_by_role("button", name="Save view").click()
    page.wait_for_url(re.compile(r"\?view="))
    expect(page.locator(ROW)).to_have_count(2)
    page.locator(".nav").get_by_role("link", name="Queue").click()
    page.wait_for_url(re.compile(rf"\?view={SavedView.objects.get().id}$"))
    expect(page.locator(ROW)).to_have_count(2)
    page.get_by_role("button", name="What failed").click()
    page.get_by_role("button", name="Delete the view What failed").click()
    page.wait_for_url(re.compile(r"view=none$"))
    expect(page.locator(ROW)).to_have_count(3)
    assert not SavedView.objects.exists()


def test_many_are_cancelled_in_the_background_followed_aborted_and_taken_back(
    queue, provider, me, monkeypatch
):
    monkeypatch.setattr(bulk, "PER_TURN", 60)
    story.ask(provider, 130)
    page = queue("?status=pending")
    page.locator("#check-all").check()
    page.get_by_role("button", name="Select all 130 pending").click()
    page.locator(".bulk").get_by_role("button", name="Cancel").click()
    dialog = page.get_by_role("dialog", name="Cancel 130 generations?")
    expect(dialog).to_contain_text("It is done in the background")
    dialog.get_by_role("button", name="Cancel 130 generations").click()
    toast(page, "Cancelling 130 generations")
    assert statuses() == {"pending"}
    page.locator("#toasts").get_by_role("link", name="Show").click()
    page.wait_for_url(re.compile("/actions/"))
    live(page)
    page.evaluate("window.sameLoad = true")
    expect(page.locator("#action-now")).to_contain_text("0 of 130")
    action = BulkAction.objects.get()
    bulk.carry_out(action.id, 0)
    expect(page.locator("#action-now")).to_contain_text("60 of 130")
    page.get_by_role("button", name="Abort").click()
    toast(page, "Aborted, 70 generations left as they were")
    expect(page.locator("#action-now")).to_contain_text("Aborted")
    assert same_load(page)
    no_double_click(page)
    page.get_by_role("button", name="Take back").click()
    toast(page, "60 generations taken back")
    assert statuses() == {"pending"}


def test_a_cancel_is_taken_back_from_its_toast_by_keyboard(queue, provider, me):
    story.ask(provider, 2)
    page = queue()
    for key in ("j", "x", "c"):
        page.keyboard.press(key)
    toast(page, "1 generation cancelled")
    page.keyboard.press("Control+z")
    toast(page, "1 generation taken back")
    assert statuses() == {"pending"}


def test_a_priority_is_given_from_the_bar(queue, provider, me):
    keys = story.ask(provider, 3)
    page = queue()
    page.locator(f"#check-{keys[2]}").check()
    page.locator(".bulk").get_by_role("button", name="Priority").click()
    page.get_by_role("group", name="Priority").get_by_role("button", name="High").click()
    toast(page, "1 generation reprioritised")
    assert Generation.objects.get(pk=keys[2]).priority == 10


def test_why_it_fails_is_found_and_retried_elsewhere_after_its_price(queue, provider, me, simulator):
    """From the failed ones to another provider, with the cost before the click."""
    build.provider_row("flux")
    failed(provider, me, 3)
    page = queue("?status=failed")
    page.locator(f"{ROW} .c-provider").first.click()
    expect(page.locator("#panel .note")).to_contain_text("OpenAI refused the prompt.")
    expect(page.locator("#panel").get_by_role("button", name="Retry with another provider")).to_be_visible()
    page.get_by_role("link", name="Close panel").click()
    page.locator("#check-all").check()
    page.locator(".bulk").get_by_role("button", name="Elsewhere").click()
    whom = page.get_by_role("dialog", name="Retry 3 generations with another provider")
    whom.get_by_label("Provider and model").select_option(index=0)
    taker = whom.get_by_label("Provider and model").input_value()
    whom.get_by_role("button", name="See the price").click()
    button = page.get_by_role("dialog").get_by_role("button", name=re.compile(r"Ask for 3 images( \$\d|$)"))
    expect(button).to_be_visible()
    assert Generation.objects.count() == 3
    # The button that asks lies where the other was: a double click on that one must not buy anything.
    no_double_click(page)
    button.click()
    toast(page, re.compile("3 images asked of"))
    made = Generation.objects.exclude(retry_of=None)
    assert {f"{each.provider_id}/{each.model}" for each in made} == {taker}
    assert len(made) == 3


def test_on_a_phone_the_menus_stay_on_the_screen(queue, provider, me):
    failed(provider, me, 2)
    page = queue()
    page.set_viewport_size({"width": 390, "height": 844})
    for name, group in (("Newest first", "Order"), ("Views", "Saved views"), ("Model", "Model")):
        page.get_by_role("button", name=name, exact=True).click()
        menu = page.get_by_role("group", name=group, exact=True)
        expect(menu).to_be_visible()
        box = menu.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390, name
        page.keyboard.press("Escape")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
