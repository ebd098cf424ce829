"""Settings in a browser: somebody is added and signs in, providers pause, the desk turns dark."""

import pytest
from playwright.sync_api import Page, expect

from packshot import preferences
from packshot.accounts.models import User
from tests import build
from tests.browser import story


@pytest.fixture
def people(page: Page, admin, sign_in) -> Page:
    return sign_in(page, at="/admin/settings/people")


def test_somebody_is_added_and_signs_in_with_the_password_that_is_shown(people, browser, server):
    page = people
    page.get_by_label("User name").fill("bo")
    page.get_by_label("Reviewer").check()
    page.get_by_role("button", name="Add person").click()
    expect(page.locator("#told")).to_contain_text("bo signs in with this password")
    password = page.locator("#password").inner_text()
    theirs = browser.new_context()
    other = theirs.new_page()
    other.goto(server.url)
    other.fill("#id_login", "bo")
    other.fill("#id_password", password)
    other.keyboard.press("Enter")
    other.wait_for_url("**/admin")
    # Shut out, and in again: at once, in both directions.
    page.get_by_role("link", name="bo", exact=True).click()
    expect(page.locator("#told")).to_have_count(0)
    page.get_by_role("button", name="Disable account").click()
    expect(page.locator(".toast")).to_contain_text("Account disabled")
    other.goto(server.url + "/admin/settings")
    other.wait_for_url("**/accounts/login/?next=*")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Disable account")).to_be_visible()
    assert User.objects.get(username="bo").is_active
    theirs.close()


def test_by_keyboard_a_role_is_changed_and_changed_back(people):
    page = people
    story.person("editor", "bo")
    page.reload()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/settings/people/*-*")
    page.get_by_label("Editor").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Change role")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("Role changed")
    assert User.objects.get(username="bo").role == "reviewer"
    page.keyboard.press("Control+z")
    expect(page.get_by_label("Editor")).to_be_checked()
    assert User.objects.get(username="bo").role == "editor"


def test_spending_is_stopped_and_resumed_without_leaving_the_page(page, admin, sign_in):
    sign_in(page, at="/admin/settings/providers")
    page.evaluate("window.sameLoad = true")
    page.get_by_role("button", name="Stop spending").click()
    expect(page.locator("#spending")).to_contain_text("Spending is stopped. Nothing is sent.")
    page.get_by_role("button", name="Resume spending").click()
    expect(page.locator("#spending")).to_contain_text("Spending goes on.")
    assert page.evaluate("window.sameLoad")


def test_the_desk_turns_dark_dense_and_silent_and_stays_so(page, admin, sign_in):
    sign_in(page, at="/admin/settings")
    canvas = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(canvas)
    page.get_by_text("Dark", exact=True).click()
    page.get_by_text("Compact", exact=True).click()
    page.get_by_text("Off", exact=True).click()
    page.get_by_role("button", name="Save desk").click()
    expect(page.locator(".toast")).to_contain_text("Desk saved")
    assert page.evaluate("({...document.documentElement.dataset})") == {
        "theme": "dark",
        "density": "compact",
        "keys": "off",
    }
    assert page.evaluate(canvas) != light
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_hidden()
    page.get_by_text("On", exact=True).click()
    page.get_by_text("As the system", exact=True).click()
    page.keyboard.press("Enter")
    page.wait_for_function(f"light => {canvas} === light", arg=light)
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()


def test_what_the_site_is_set_to_is_told_beside_each_field(page, admin, sign_in):
    sign_in(page, at="/admin/settings/site")
    page.get_by_label("Time zone").fill("Mars/Base")
    page.get_by_label("Brand style").fill("Soft light")
    page.get_by_role("button", name="Save settings").click()
    expect(page.get_by_label("Time zone")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#time_zone-wrong")).to_contain_text("is not a time zone")
    expect(page.get_by_label("Brand style")).to_have_value("Soft light")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".toast")).to_contain_text("Settings saved")
    assert preferences.get("time_zone") == "Europe/Berlin"
    assert preferences.get("brand_style") == "Soft light"


def test_caps_lock_is_said_where_a_password_is_typed(page, server):
    page.goto(server.url + "/accounts/login/")
    page.focus("#id_password")
    # Playwright presses keys but has no light on its keyboard.
    page.evaluate(
        """() => document.querySelector("#id_password").dispatchEvent(
            new KeyboardEvent("keydown", { key: "A", bubbles: true, modifierCapsLock: true }))"""
    )
    expect(page.get_by_text("Caps Lock is on.")).to_be_visible()
    page.keyboard.press("a")
    expect(page.get_by_text("Caps Lock is on.")).to_be_hidden()


@pytest.mark.parametrize("path", ["", "/people", "/providers", "/simulator", "/site", "/about"])
def test_every_tab_fits_on_a_phone(browser, server, admin, sign_in, path):
    build.provider_row("openai", simulated=False, on=False)
    context = browser.new_context(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    page = sign_in(context.new_page(), at=f"/admin/settings{path}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page.locator("nav.tabs [aria-current=page]")).to_be_in_viewport()
    context.close()
