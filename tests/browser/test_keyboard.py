"""Every page by keyboard alone: one gets there, reaches everything, sees where one is, and comes back."""

import pytest
from playwright.sync_api import Page, expect

from packshot.web.jinja import PLACES
from tests.browser.conftest import live
from tests.browser.test_looks import a_full_desk

# What a person can act on, but for what is closed and all but the chosen one of a group of radio buttons.
ACTIONABLE = """
    () => {
        const kinds = "a[href], button, input, select, textarea, summary, [tabindex]";
        window.actionable = [...document.querySelectorAll(kinds)].filter((each) =>
            each.tabIndex >= 0 && !each.disabled && each.type !== "hidden" &&
            each.checkVisibility({ visibilityProperty: true }) && !each.closest("[inert]") &&
            !(each.type === "radio" && !each.checked &&
              document.querySelector(`input[type=radio][name="${CSS.escape(each.name)}"]:checked`)));
        window.reached = new Set();
        document.activeElement?.blur();
        return window.actionable.length;
    }
"""
# Where the focus is now: whether it is new, and whether one can see it.
HERE = """
    () => {
        const at = document.activeElement;
        if (!at || at === document.body) return "out";
        if (window.last === at) return "within"; // a date has a stop for each of its parts
        if (window.reached.has(at)) return "again";
        window.last = at;
        window.reached.add(at);
        // Its own ring, or that of the label or card around a field that is drawn invisible.
        const seen = [at, at.parentElement, at.parentElement?.parentElement].some((each) => {
            const style = each && getComputedStyle(each);
            return style && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
        });
        return seen ? "seen" : `unseen ${at.outerHTML.slice(0, 120)}`;
    }
"""
MISSED = "() => window.actionable.filter((e) => !window.reached.has(e)).map((e) => e.outerHTML.slice(0, 160))"


def walk(page: Page) -> tuple[list[str], list[str]]:
    """Tab through the page: what cannot be reached, and what is reached without a sign of it."""
    number = page.evaluate(ACTIONABLE)
    unseen: list[str] = []
    for _ in range(number + 40):
        page.keyboard.press("Tab")
        here = page.evaluate(HERE)
        if here in ("out", "again"):
            break
        if here not in ("seen", "within"):
            unseen.append(here)
    return page.evaluate(MISSED), unseen


@pytest.mark.parametrize("group", ["places", "things"])
def test_everything_on_every_page_is_reached_and_seen_by_tab_alone(page, admin, sign_in, server, group):
    things = a_full_desk()
    sign_in(page)
    urls = (
        [page.locator(f'.nav [data-go="{place.key}"]').get_attribute("href") for place in PLACES]
        if group == "places"
        else things
    )
    for url in urls:
        page.goto(server.url + str(url))
        missed, unseen = walk(page)
        assert (missed, unseen) == ([], []), url


def test_one_goes_through_the_whole_desk_without_a_mouse(page, admin, sign_in, server):
    a_full_desk()
    sign_in(page)
    live(page)
    for place in (*PLACES[1:], PLACES[0]):
        href = page.locator(f'.nav [data-go="{place.key}"]').get_attribute("href")
        page.keyboard.press("g")
        page.keyboard.press(place.key)
        page.wait_for_url(f"**{href}")
        expect(page.locator(f'.nav [data-go="{place.key}"]')).to_have_attribute("aria-current", "page")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type("review")
    page.keyboard.press("Enter")
    page.wait_for_url("**/review")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
