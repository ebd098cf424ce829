"""The simulator in a browser: faults come and go by mouse and by keyboard, with and without a script."""

import re
from fractions import Fraction

from playwright.sync_api import Browser, Page, expect

HERE = "/admin/settings/simulator"


def test_by_mouse_a_fault_is_added_removed_and_brought_back(page: Page, simulator, admin, sign_in):
    sign_in(page, at=HERE)
    expect(page.locator("#faults")).to_contain_text("Everything goes well")
    page.get_by_label("What happens").select_option(label="Hangs up before the answer")
    page.get_by_label("Provider").select_option(label="FLUX")
    page.get_by_label("Of requests, percent").fill("10")
    page.get_by_text("More conditions").click()
    page.get_by_label("It costs").select_option(label="Nothing")
    page.get_by_role("button", name="Add fault").click()
    expect(page.locator(".toast")).to_contain_text("Fault added")
    row = page.locator("#faults tbody tr")
    expect(row).to_contain_text("Hangs up before the answer, free")
    expect(row).to_contain_text("10%")
    (fault,) = simulator.faults()
    assert (fault.rule.dialect, fault.rule.probability, fault.rule.charged) == ("flux", 0.1, False)
    page.evaluate("window.sameLoad = true")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#faults")).to_contain_text("Everything goes well")
    page.get_by_label("What happens").select_option(label="Never answers")
    page.get_by_role("button", name="Add fault").click()
    page.get_by_role("button", name="Remove: Never answers").click()
    expect(page.locator("#faults")).to_contain_text("Everything goes well")
    assert simulator.faults() == []


def test_by_keyboard_a_fault_is_added_and_a_wrong_one_is_told(page: Page, simulator, admin, sign_in):
    sign_in(page, at=HERE)
    page.get_by_label("What happens").focus()
    page.keyboard.type("Overl")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Of requests, percent")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("0")
    page.keyboard.press("Enter")
    share = page.get_by_label("Of requests, percent")
    expect(share).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#share-wrong")).to_contain_text("more than 0")
    expect(page.get_by_label("What happens")).to_have_value("overloaded")
    share.focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("50")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#faults tbody tr")).to_contain_text("Overloaded: 503")
    assert [(each.rule.action, each.rule.probability) for each in simulator.faults()] == [("overloaded", 0.5)]
    page.get_by_role("button", name="Remove all").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#faults")).to_contain_text("Everything goes well")


def test_without_a_script_everything_can_be_set(browser: Browser, simulator, admin, sign_in):
    context = browser.new_context(java_script_enabled=False)
    page = sign_in(context.new_page(), at=HERE)
    page.get_by_text("More conditions").click()
    page.get_by_label("Where the prompt holds").fill("rope")
    page.get_by_role("button", name="Add fault").click()
    expect(page.locator("#faults tbody tr")).to_contain_text("where the prompt holds “rope”")
    page.locator("#factors").get_by_label("OpenAI").fill("1.5")
    page.get_by_role("button", name="Set prices").click()
    expect(page.locator("#factors").get_by_label("OpenAI")).to_have_value("1.5")
    page.get_by_role("button", name=re.compile("^Remove: Busy")).click()
    expect(page.locator("#faults")).to_contain_text("Everything goes well")
    assert (simulator.faults(), simulator.prices()) == ([], {"openai": Fraction(3, 2)})
    context.close()


def test_the_page_fits_on_a_phone_with_and_without_a_simulator(browser: Browser, admin, sign_in, request):
    context = browser.new_context(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    page = sign_in(context.new_page(), at=HERE)
    expect(page.locator("#trouble")).to_contain_text("No simulator is running")
    expect(page.locator("nav.tabs [aria-current=page]")).to_be_in_viewport()
    assert fits(page)
    request.getfixturevalue("simulator")
    page.reload()
    page.get_by_label("What happens").select_option(label="Garbage: a small file of too many pixels")
    page.get_by_role("button", name="Add fault").click()
    expect(page.locator("#faults tbody tr")).to_be_visible()
    page.get_by_text("More conditions").click()
    assert fits(page)
    context.close()


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
