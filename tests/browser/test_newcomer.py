"""A newcomer's run: `packshot up`, then pages only, until twenty products show an image that somebody chose.

How long it takes is measured by benchmarks/newcomer.py.
"""

import pytest
from playwright.sync_api import Browser

from tests.browser import newcomer
from tests.browser.test_end_to_end import Site, site  # noqa: F401 - the fixture

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def test_from_the_first_sign_in_to_twenty_active_images_by_pages_only(
    site: Site,  # noqa: F811
    browser: Browser,
) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    newcomer.sign_in(page, site.url, "admin", site.password())
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Products").click()
    page.wait_for_url("**/products*")
    price = newcomer.make_images(page, site.url)
    assert "$" in price
    newcomer.watch_them_land(page, site.url)
    newcomer.set_them_active(page, site.url)
    assert trouble == []
    context.close()
    told = site.run("queue", "list", "--json")
    assert told.count('"completed"') >= newcomer.WANTED
