"""What stands on a page fits into its place: nothing over something else, no row half empty."""

import pytest
from playwright.sync_api import Page

from tests import build
from tests.browser import story
from tests.browser.conftest import live


@pytest.fixture
def six(server) -> None:
    """As many providers as a new site shows, something made, and somebody who may see all of it."""
    story.person("administrator", "ada")
    for name in ("openai", "midjourney", "stability", "flux", "sandbox", "by-hand"):
        build.provider_row(name)
    build.budget("100", simulated=True)
    story.land(build.sent(build.StandIn("flux")))


def tops(page: Page, selector: str) -> list[float]:
    return page.eval_on_selector_all(selector, "all => all.map(each => each.getBoundingClientRect().top)")


def test_six_providers_stand_in_rows_that_are_full(page: Page, six, sign_in):
    sign_in(page, "ada")
    page.set_viewport_size({"width": 1440, "height": 900})
    live(page)
    rows = tops(page, ".board .health > li")
    assert sorted(rows.count(each) for each in set(rows)) in ([6], [3, 3])


def test_nothing_lies_over_the_name_of_a_budget_on_a_phone(page: Page, six, sign_in):
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, "ada", at="/admin/budgets")
    parts = page.locator(".money > .card:first-child > header > *")
    assert parts.count() == 3
    squeezed = (
        "all => all.filter(each => each.scrollWidth > each.clientWidth + 1).map(each => each.textContent)"
    )
    assert parts.evaluate_all(squeezed) == []


@pytest.mark.parametrize("address", ["/admin", "/style/charts"])
def test_no_two_labels_under_a_chart_touch_on_a_phone(page: Page, six, sign_in, address):
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, "ada", at=address)
    axes = page.locator(".chart .ticks")
    assert axes.count() >= 2
    gaps = """all => all.flatMap(axis => {
        const all = [...axis.querySelectorAll("text")].map(each => each.getBoundingClientRect());
        const boxes = all.filter(box => box.width);
        return boxes.slice(1).map((box, place) => box.left - boxes[place].right);
    })"""
    assert min(axes.evaluate_all(gaps)) >= 4


def test_nothing_moves_while_the_sign_in_page_comes(page: Page, server):
    shifts = """
        window.moved = 0;
        new PerformanceObserver((list) => list.getEntries().forEach((each) => (window.moved += each.value)))
            .observe({type: "layout-shift", buffered: true});
    """
    page.add_init_script(shifts)
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 4})
    for _ in range(5):
        page.goto(server.url + "/accounts/login/", wait_until="load")
        page.wait_for_timeout(300)
        assert page.evaluate("window.moved") < 0.02
