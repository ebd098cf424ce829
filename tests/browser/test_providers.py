"""The Providers page in a browser: what moves, what is decided by mouse and keys, and a price that is set."""

import re
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from playwright.sync_api import Page, expect

from packshot import events, generations, reports
from packshot.events import Happening
from packshot.generations.models import ProviderRecord
from packshot.ledger.models import PriceEdit
from packshot.reports import Delta
from tests import build
from tests.browser import story
from tests.browser.conftest import live, same_load


@pytest.fixture
def providers(page: Page, admin, sign_in) -> Page:
    """The page, open and live, with two providers that did something."""
    for name, model in (("openai", "gpt-image-2"), ("flux", "flux-2-pro")):
        build.provider_row(name, in_flight=8)
        at = timezone.now() - timedelta(minutes=5)
        done = [Delta(at, name, model, True, completed=1, images=1, amount_micros=40_000, duration_s=9.0)]
        reports.add(done * 12, slot=0)
    sign_in(page, at="/admin/providers")
    live(page)
    page.evaluate("window.sameLoad = true")
    return page


def test_what_moves_is_shown_without_loading_the_page_again(providers):
    page = providers
    card = page.locator("#provider-openai")
    expect(card.locator("#now-openai")).to_contain_text("0 of 8")
    provider = build.StandIn()
    story.ask(provider, 3)
    story.begin(provider, build.process().id, most=2)
    with transaction.atomic():
        events.tell([Happening("generation", "processing", "x")])
    expect(card.locator("#now-openai")).to_contain_text("2 of 8")
    expect(card.locator("#now-openai")).to_contain_text("1 waiting")
    with transaction.atomic():
        generations.pause("openai", kind="no_credit", message="the account is empty")
        events.tell([Happening("provider", "paused", "openai")])
    expect(page.locator("#cell-openai")).to_contain_text("Paused")
    expect(card).to_contain_text("The account is empty. Add credit at the provider, then resume it.")
    expect(card.get_by_role("switch")).to_have_attribute("aria-checked", "false")
    assert same_load(page)


def test_the_switch_pauses_and_undo_resumes(providers):
    page = providers
    switch = page.get_by_role("switch", name="Flux takes requests")
    expect(switch).to_have_attribute("aria-checked", "true")
    switch.click()
    expect(page.locator(".toast")).to_contain_text("Provider paused")
    expect(page.locator("#cell-flux")).to_contain_text("Paused")
    expect(page.locator("#provider-flux")).to_contain_text("Paused by ada.")
    expect(switch).to_have_attribute("aria-checked", "false")
    page.keyboard.press("Control+z")
    expect(page.locator("#cell-flux")).to_contain_text("Healthy")
    assert same_load(page)
    assert ProviderRecord.objects.get(pk="flux").paused_at is None


def test_by_keyboard_alone_a_provider_is_found_paused_and_limited(page, admin, sign_in):
    build.provider_row("openai")
    build.provider_row("flux", in_flight=8)
    sign_in(page)
    page.keyboard.press("g")
    page.keyboard.press("v")
    page.wait_for_url("**/admin/providers")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/providers/flux")
    live(page)
    page.keyboard.press("e")
    expect(page.locator("#state-flux")).to_contain_text("Paused")
    # The second press is no double click any more.
    page.wait_for_function("() => ![...document.forms].some((form) => form._sent)")
    page.keyboard.press("e")
    expect(page.locator("#state-flux")).to_contain_text("Healthy")
    page.get_by_label("At once", exact=True).focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("0")
    page.keyboard.press("Enter")
    expect(page.get_by_label("At once", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#max_in_flight-wrong")).to_contain_text("to send none, pause the provider")
    page.get_by_label("At once", exact=True).fill("3")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".toast")).to_contain_text("Limits saved")
    assert ProviderRecord.objects.get(pk="flux").max_in_flight == 3


def test_a_price_is_set_seen_and_taken_back(page, admin, sign_in):
    build.provider_row("openai")
    sign_in(page, at="/admin/providers/openai")
    cell = page.locator("#prices a", has_text="quality high").first
    cell.click()
    page.wait_for_url(re.compile(r"/price\?model=gpt-image-2&.*quality=high"))
    expect(page.get_by_label("Quality")).to_have_value("high")
    page.get_by_label("Dollars an image").fill("0.0")
    page.get_by_label("Source").fill("Invoice of 22 November")
    page.get_by_role("button", name="Save price").click()
    expect(page.get_by_label("Dollars an image")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Source")).to_have_value("Invoice of 22 November")
    page.get_by_label("Dollars an image").fill("0.16")
    page.get_by_label("Source").press("Enter")
    page.wait_for_url("**/admin/providers/openai#prices")
    expect(page.locator(".toast")).to_contain_text("Price set")
    cell = page.locator("#prices .own")
    expect(cell).to_contain_text("$0.160")
    expect(cell).to_contain_text("Invoice of 22 November")
    cell.click()
    page.get_by_text("Take yours back").click()
    page.get_by_label("Source").fill("The table is right again")
    page.get_by_role("button", name="Save price").click()
    page.wait_for_url("**/admin/providers/openai#prices")
    expect(page.locator("#prices .own")).to_have_count(0)
    assert list(PriceEdit.objects.values_list("kind", flat=True).order_by("id")) == ["price", "withdrawn"]


def test_the_window_is_chosen_and_stays_in_the_address(providers):
    page = providers
    page.get_by_role("link", name="7 days").click()
    page.wait_for_url("**/admin/providers?days=7")
    expect(page.get_by_role("link", name="7 days")).to_have_attribute("aria-current", "true")
    expect(page.locator("h1 + p")).to_contain_text("24 images in 7 days")
    page.get_by_role("link", name="Openai").first.click()
    page.wait_for_url("**/admin/providers/openai")


@pytest.mark.parametrize("path", ["", "?by=category", "/openai", "/openai/price?model=gpt-image-2"])
@pytest.mark.parametrize("width", [320, 390])
def test_it_fits_on_a_phone_and_can_be_hit(browser, server, admin, sign_in, path, width):
    build.provider_row("openai", in_flight=8, per_minute=50)
    build.provider_row("flux", simulated=False, on=False)
    context = browser.new_context(
        viewport={"width": width, "height": 844}, has_touch=True, is_mobile=True, reduced_motion="reduce"
    )
    page = sign_in(context.new_page(), at="/admin/providers" + path.split("?")[0].removesuffix("/price"))
    page.goto(server.url + "/admin/providers" + path)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    small = page.evaluate(
        """() => [...document.querySelectorAll("#page :is(.priced, .button, select, .input, .seg > *)")]
            .filter(each => each.checkVisibility())
            .map(each => [each.outerHTML.slice(0, 80), each.getBoundingClientRect()])
            .filter(([, box]) => box.width < 40 || box.height < 28)"""
    )
    assert small == []
    context.close()


def test_its_figures_are_read_again_once_a_minute_and_keep_the_focus(page, admin, sign_in):
    build.provider_row("openai")
    sign_in(page)
    page.clock.install()
    page.goto(page.url.removesuffix("/admin") + "/admin/providers")
    page.evaluate("window.sameLoad = true")
    page.get_by_role("switch", name="Openai takes requests").focus()
    expect(page.locator("#provider-openai")).to_contain_text("nothing ended")
    at = timezone.now() - timedelta(minutes=1)
    reports.add(
        [Delta(at, "openai", "gpt-image-2", True, completed=1), Delta(at, "openai", "x", True, failed=1)],
        slot=0,
    )
    page.clock.fast_forward(61_000)
    expect(page.locator("#provider-openai")).to_contain_text("50.0%")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Openai takes requests"
    assert same_load(page)


def test_by_keyboard_alone_a_category_is_opened_narrowed_to_a_provider_and_left(page, admin, sign_in):
    for name in ("openai", "flux"):
        build.provider_row(name)
        build.end(build.delivered(build.sent(build.StandIn(name))))
    sign_in(page, at="/admin/providers")
    page.get_by_role("link", name="By category").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Providers by category", level=1)).to_be_visible()
    live(page)
    rows = page.locator("#categories tbody tr")
    expect(rows).to_have_count(3)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"by=category&category=Food$"))
    expect(rows.first).to_contain_text("Oils")
    page.get_by_role("button", name="Provider", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_role("group", name="Provider").get_by_role("link", name="Flux").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("category=Food&provider=flux"))
    expect(rows).to_have_count(2)
    page.get_by_role("link", name="Remove the filter Provider Flux").click()
    expect(rows).to_have_count(3)
