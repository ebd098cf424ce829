"""A catalogue through the browser: sent, looked at, imported, by mouse and by keyboard."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import FileChooser, Page, expect
from playwright.sync_api import TimeoutError as NotInTime

from packshot.catalogue.models import ImportRecord, Product
from tests.browser.conftest import live

MIXED = """sku,name,price,category
OIL,Hemp oil,9.90,Food > Oils
,Without a SKU,3,Food
SOAP,Hemp soap,cheap,Care
"""
# Not the dry run's address, whose seal has hyphens too.
RECORD = re.compile(r"/imports/[0-9a-f]{8}-[^/?]+$")
SAMPLES = ("shopify-apparel.csv", "shopify-home-and-garden.csv")


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    path = tmp_path / "autumn range.csv"
    path.write_text(MIXED)
    return path


@pytest.fixture
def imports(page: Page, admin, sign_in) -> Page:
    sign_in(page, at="/imports")
    live(page)
    return page


def chooser_by_space(page: Page) -> FileChooser:
    """What the focused file field opens. A browser that is busy may show none for a press; who sees that
    presses again, and must find the focus where it was."""
    field = page.get_by_label("Catalogue file")
    for _ in range(2):
        expect(field).to_be_focused()
        with suppress(NotInTime), page.expect_file_chooser(timeout=8_000) as choosing:
            page.keyboard.press("Space")
            return choosing.value
    expect(field).to_be_focused()
    with page.expect_file_chooser() as choosing:
        page.keyboard.press("Space")
    return choosing.value


def figures(page: Page) -> list[str]:
    return page.locator(".stats .big").all_inner_texts()


def test_by_mouse_a_rejected_row_is_shown_the_rest_is_imported_and_stands_in_the_history(
    imports, mixed, context
):
    page = imports
    other = context.new_page()
    other.goto(page.url)
    live(other)
    page.get_by_label("Catalogue file").set_input_files(mixed)
    page.get_by_role("button", name="Check file").click()
    expect(page.locator("h1")).to_have_text("autumn range.csv")
    assert figures(page) == ["2", "0", "0", "1"]
    row = page.locator("tr[data-fate=rejected]")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("3")
    expect(row).to_contain_text("sku")
    page.get_by_role("link", name="Rejected 1").click()
    expect(page.locator("tr[data-fate]")).to_have_count(1)
    assert not Product.objects.exists()
    page.get_by_role("button", name="Import 2 products").dblclick()
    page.wait_for_url(RECORD)
    expect(page.locator(".toast")).to_contain_text("2 products imported")
    assert figures(page) == ["2", "0", "0", "1"]
    assert set(Product.objects.values_list("sku", flat=True)) == {"OIL", "SOAP"}
    assert ImportRecord.objects.count() == 1
    # The page that somebody else has open shows it without a reload.
    expect(other.locator("#imports tr, tr[id^=import-]")).to_have_count(1)
    page.get_by_role("link", name="Imports", exact=True).first.click()
    page.get_by_role("link", name="autumn range.csv").click()
    expect(page.locator("tr[data-fate]")).to_have_count(2)


def test_by_keyboard_alone_and_back_with_sending_again_imports_once(imports, mixed):
    page = imports
    page.get_by_label("Catalogue file").focus()
    chooser_by_space(page).set_files(mixed)
    for _ in range(2):  # past the options to the button
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Check file")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/imports/plan?*")
    page.keyboard.press("Control+Enter")
    page.wait_for_url(RECORD)
    first = page.url
    page.go_back()
    page.wait_for_url("**/imports/plan?*")
    # As the browser kept it, or made anew: it says so, or it does nothing.
    if page.get_by_role("button", name="Import 2 products").count():
        page.keyboard.press("Control+Enter")
        page.wait_for_url(first)
    else:
        expect(page.get_by_text("This file was imported already")).to_be_visible()
    page.goto(first)
    assert ImportRecord.objects.count() == 1
    page.keyboard.press("g")
    page.keyboard.press("i")
    page.wait_for_url("**/imports")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(first)


def test_a_dry_run_outlives_a_restart_of_the_site(imports, server, mixed):
    page = imports
    page.get_by_label("Catalogue file").set_input_files(mixed)
    page.get_by_role("button", name="Check file").click()
    page.wait_for_url("**/imports/plan?*")
    server.stop()
    server.start()
    page.get_by_role("button", name="Import 2 products").click()
    page.wait_for_url(RECORD)
    assert figures(page) == ["2", "0", "0", "1"]


def test_what_is_no_catalogue_is_told_beside_the_field_and_another_can_be_chosen(imports, tmp_path, mixed):
    page = imports
    photo = tmp_path / "photo.csv"
    photo.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(4_000))
    page.get_by_label("Catalogue file").set_input_files(photo)
    page.get_by_role("button", name="Check file").click()
    expect(page.get_by_role("alert").filter(has_text="photo.csv is a PNG picture")).to_be_visible()
    expect(page.get_by_label("Catalogue file")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Catalogue file").set_input_files(mixed)
    page.get_by_role("button", name="Check file").click()
    page.get_by_role("link", name="Choose another file").click()
    page.wait_for_url("**/imports")


@pytest.mark.parametrize("name", SAMPLES)
def test_a_shops_own_export_comes_in_whole(imports, shared, name):
    page = imports
    page.get_by_label("Catalogue file").set_input_files(shared / "sample-catalogues" / name)
    page.get_by_role("button", name="Check file").click()
    expect(page.get_by_text("Shopify product CSV")).to_be_visible()
    page.get_by_role("button", name="Import 20 products").click()
    page.wait_for_url(RECORD)
    assert Product.objects.count() == 20
    assert figures(page) == ["20", "0", "0", "0"]


def test_on_a_phone_a_file_is_checked_and_imported(browser, server, admin, sign_in, mixed):
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, reduced_motion="reduce"
    )
    page = sign_in(context.new_page(), at="/imports")
    page.get_by_label("Catalogue file").set_input_files(mixed)
    page.get_by_role("button", name="Check file").tap()
    page.wait_for_url("**/imports/plan?*")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Import 2 products").tap()
    page.wait_for_url(RECORD)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()
