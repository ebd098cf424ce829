"""The style page in a browser: every part in both themes, readable by everybody, with its picture taken."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import story
from tests.browser.conftest import WATCH
from tests.browser.test_looks import problems

SCREENS = {"desk": (1440, 900), "phone": (390, 844)}
PARTS = {
    "type", "colours", "buttons", "chips", "providers", "figures", "bars", "rows", "compact", "filters",
    "bulk", "thumbs", "film", "stage", "timeline", "told", "dialog", "palette-part", "controls", "states",
    "feed",
}  # fmt: skip
PAGES = {"/style": PARTS, "/style/charts": {"charts"}}


def open_page(
    browser: Browser, sign_in, address: str, screen: str, theme: str, *, bypass_csp: bool = False
) -> Page:
    width, height = SCREENS[screen]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=theme,
        reduced_motion="reduce",
        bypass_csp=bypass_csp,
    )
    context.add_init_script(WATCH)
    return sign_in(context.new_page(), at=address)


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_part_is_there_in_both_themes_and_has_its_picture_taken(
    browser: Browser, server, admin, sign_in, theme: str, screen: str, address: str, tmp_path: Path
):
    page = open_page(browser, sign_in, address, screen, theme)
    assert {each.get_attribute("id") for each in page.locator(".sample").all()} == PAGES[address]
    for part in PAGES[address]:
        for each in ("light", "dark"):
            box = page.locator(f"#{part} [data-theme={each}]").bounding_box()
            assert box is not None, (part, each)
            assert box["width"] > 200, (part, each)
            assert box["height"] > 40, (part, each)
    # The same token in both containers, whatever the theme of the page.
    ground = "each => getComputedStyle(each).backgroundColor"
    light = page.locator(".themed[data-theme=light]").first.evaluate(ground)
    dark = page.locator(".themed[data-theme=dark]").first.evaluate(ground)
    assert light != dark
    assert page.locator("body").evaluate(ground) == (light if theme == "light" else dark)
    page.evaluate("for (const each of document.images) each.loading = 'eager'")
    page.wait_for_function("[...document.images].every(each => each.complete && each.naturalWidth)")
    picture = tmp_path / f"style-{screen}-{theme}.png"
    page.screenshot(path=picture, full_page=True)
    assert picture.stat().st_size > 100_000
    assert page.evaluate("document.documentElement.scrollWidth") <= SCREENS[screen][0]
    assert page.evaluate("window.refused") == []
    page.context.close()


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_part_can_be_read_by_everybody(
    browser: Browser, server, admin, sign_in, theme: str, screen: str, address: str
):
    # axe brings its own script, which the policy of the page would refuse.
    page = open_page(browser, sign_in, address, screen, theme, bypass_csp=True)
    for table in page.locator(".chart-table").all():
        table.evaluate("each => each.open = true")
    assert problems(page, address) == []
    page.context.close()


def test_a_table_stands_behind_every_chart_that_shows_something(page, server, admin, sign_in):
    sign_in(page, at="/style/charts")
    figures = page.locator("#charts .themed[data-theme=light] .figure")
    assert figures.count() == 12
    for figure in figures.all():
        svg = figure.locator("svg[role=img]")
        assert svg.get_attribute("aria-label")
        if "none" in (svg.get_attribute("class") or "").split():
            expect(figure.locator("table")).to_have_count(0)
            continue
        figure.locator("summary").focus()
        page.keyboard.press("Enter")
        expect(figure.get_by_role("table")).to_be_visible()
        assert figure.get_by_role("rowheader").count() >= 1


def test_every_part_that_can_be_reached_shows_its_focus(page, server, admin, sign_in):
    sign_in(page, at="/style")
    page.evaluate("document.querySelector('#buttons .themed button').focus()")
    focus = """(() => {
        const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
        return [outlineStyle, parseFloat(outlineWidth), document.activeElement.outerHTML.slice(0, 80)];
    })()"""
    for _ in range(40):
        page.keyboard.press("Tab")
        kind, width, element = page.evaluate(focus)
        assert kind != "none", element
        assert width >= 2, element


def test_only_who_manages_the_site_sees_it(page, server, sign_in):
    story.person("viewer", "vera")
    sign_in(page, "vera")
    assert page.goto(server.url + "/style").status == 403
    page.goto(server.url + "/admin")
    assert page.locator("#palette-style").count() == 0
