"""Templates in a browser: written with the buttons, tried as one types, saved as drafts or for use."""

import re

import pytest
from playwright.sync_api import Page, expect

from packshot.accounts import Actor
from packshot.catalogue import templates
from packshot.catalogue.models import Product
from packshot.flows import wording
from tests import build

EVE = Actor(None, "eve", "editor")


@pytest.fixture
def oils(server):
    made = build.product()
    Product.objects.filter(pk=made.pk).update(name="Hemp seed oil", attributes={"colour": "green"})
    return wording.create("Oils", "A bottle of {{name}}.", EVE, category_path="Food > Oils")


@pytest.fixture
def editor(page: Page, admin, sign_in, oils) -> Page:
    sign_in(page, at=f"/templates/{oils}")
    page.evaluate("window.sameLoad = true")
    return page


def marked(page: Page, kind: str) -> list[str]:
    return page.locator(f".prompt mark.{kind}").all_inner_texts()


def test_by_mouse_a_wording_is_put_together_tried_used_and_taken_back(editor, oils):
    page = editor
    text = page.get_by_label("Wording", exact=True)
    assert marked(page, "filled") == ["Hemp seed oil"]
    text.click()
    page.keyboard.press("Control+End")
    page.keyboard.type(" Its colour is ")
    page.get_by_role("button", name="colour", exact=True).click()
    expect(text).to_have_value("A bottle of {{name}}. Its colour is {{attribute:colour}}")
    expect(text).to_be_focused()
    expect(page.locator("#preview .prompt")).to_have_text("A bottle of Hemp seed oil. Its colour is green")
    page.get_by_role("button", name="Save and use").click()
    expect(page.locator(".toast")).to_contain_text("Version 2 in use")
    assert templates.template_by_id(oils).number == 2
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".toast").filter(has_text="Version 1 in use")).to_be_visible()
    expect(text).to_have_value("A bottle of {{name}}.")
    expect(page.locator(".versions .move")).to_contain_text("Version 1 put in use instead of version 2")
    assert [each.number for each in templates.versions(oils)] == [2, 1]
    page.locator("#version-2 summary").click()
    page.locator("#version-2").get_by_role("button", name="Use version 2").click()
    expect(page.locator("#version-2 .chip")).to_have_text("In use")
    expect(text).to_have_value(re.compile("Its colour is"))
    expect(page.locator("#wording-2")).to_have_attribute("open", "")


def test_by_mouse_a_draft_is_compared_tried_on_ten_products_and_used(editor, oils):
    page = editor
    for number in range(12):
        made = build.product(f"Oil {number}")
        Product.objects.filter(pk=made.pk).update(attributes={"farm": "Home"} if number else {})
    text = page.get_by_label("Wording", exact=True)
    text.fill("A tall bottle of {{name}} from {{attribute:farm}}.")
    page.get_by_role("button", name="Save draft").click()
    expect(page.locator("#draft")).to_contain_text("Images are made with version 1 until you use it.")
    assert templates.template_by_id(oils).number == 1
    difference = page.locator("#difference")
    added = ["added: tall", "added: {{name}} from {{attribute:farm}}."]
    assert difference.locator(".prompt ins").all_text_contents() == added
    page.evaluate("window.sameLoad = true")
    page.get_by_label("Ten different ones").check()
    tried = page.locator(".survey > li")
    expect(tried).to_have_count(10)
    expect(page.locator("#preview [role=status]")).to_contain_text(
        "2 of 13 products looked at lack something"
    )
    expect(tried.nth(0)).to_contain_text("Lacks attribute:farm")
    expect(tried.nth(2)).to_contain_text("from Home.")
    text.fill("A tall bottle of {{name}}.")
    expect(page.locator("#preview [role=status]")).to_contain_text(
        "None of 13 products looked at lacks anything"
    )
    # What is being written stays when the page around it is drawn again.
    page.locator("#draft").get_by_role("button", name="Use version 2").click()
    expect(page.locator("#draft")).to_have_count(0)
    expect(text).to_have_value("A tall bottle of {{name}}.")
    assert page.evaluate("window.sameLoad")
    page.get_by_label("From").select_option("2")
    page.get_by_label("to", exact=True).select_option("1")
    expect(difference.locator(".legend")).to_contain_text("removed")
    expect(difference.locator(".prompt del").first).to_contain_text("tall")
    expect(text).to_have_value("A tall bottle of {{name}}.")
    page.get_by_role("button", name="Save and use").click()
    expect(page.locator("#overtaken")).to_contain_text("ada put version 2 in use while you wrote.")
    page.get_by_role("button", name="Save and use").click()
    expect(page.locator(".toast")).to_contain_text("Version 3 in use")


def test_by_keyboard_a_draft_is_saved_used_and_taken_back(editor, oils):
    page = editor
    page.get_by_label("Wording", exact=True).fill("A draft of {{name}}.")
    page.get_by_role("button", name="Save draft").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#draft")).to_be_visible()
    page.get_by_label("One product").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".survey > li")).to_have_count(1)
    page.locator("#version-2 summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("#version-2").get_by_role("button", name="Use version 2")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#draft")).to_have_count(0)
    assert templates.template_by_id(oils).number == 2
    page.locator("body").click(position={"x": 5, "y": 500})
    page.keyboard.press("Control+z")
    expect(page.locator(".toast").filter(has_text="Version 1 in use")).to_be_visible()
    assert templates.template_by_id(oils).number == 1
    page.get_by_label("to", exact=True).focus()
    page.keyboard.press("ArrowUp")
    expect(page.locator("#difference .legend")).to_contain_text("No word differs")


def test_by_keyboard_mistakes_are_named_as_one_types_and_saving_is_one_stroke(editor, oils):
    page = editor
    text = page.get_by_label("Wording", exact=True)
    text.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("A tall bottle\nof {{nmae}}")
    expect(page.locator("#preview")).to_contain_text("Line 2: there is no {{nmae}}; did you mean {{name}}?")
    for _ in "nmae}}":
        page.keyboard.press("Backspace")
    page.keyboard.type("name}} from {{attribute:farm}}")
    expect(page.locator("#preview")).to_contain_text("This product lacks attribute:farm.")
    assert marked(page, "missing") == ["{{attribute:farm}}"]
    for _ in "}}":
        page.keyboard.press("Backspace")
    page.keyboard.type("|a small farm}}")
    expect(page.locator(".prompt mark.default")).to_have_text("a small farm")
    assert page.evaluate("window.sameLoad")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".toast")).to_contain_text("Version 2 in use")
    page.locator("body").click(position={"x": 5, "y": 500})
    page.keyboard.press("Control+z")
    expect(text).to_have_value("A bottle of {{name}}.")
    assert templates.template_by_id(oils).number == 1


def test_the_preview_follows_the_product_that_is_looked_for_and_leaves_the_wording_alone(editor):
    page = editor
    build.product("Balm", category="Care")
    page.get_by_label("Wording", exact=True).fill("Only {{name}}")
    page.keyboard.press("Tab")
    search = page.get_by_label("Find a product to try it on")
    search.fill("balm")
    expect(page.locator("#preview .prompt")).to_contain_text("Only Balm")
    expect(search).to_be_focused()
    expect(search).to_have_value("balm")
    expect(page.get_by_label("Wording", exact=True)).to_have_value("Only {{name}}")
    search.press("Enter")
    assert "/templates/" in page.url
    assert page.evaluate("window.sameLoad"), "Enter looks again and does not leave"


def test_two_who_write_at_once_see_both_and_lose_nothing(editor, oils):
    page = editor
    text = page.get_by_label("Wording", exact=True)
    text.fill("Mine: {{name}}")
    wording.rewrite(oils, "Eve's: {{name}}", EVE, based_on=1)
    page.get_by_role("button", name="Save and use").click()
    expect(page.locator("#overtaken")).to_contain_text("saved version 2 while you wrote")
    expect(page.locator("#overtaken")).to_contain_text("Eve's: {{name}}")
    expect(text).to_have_value("Mine: {{name}}")
    page.get_by_role("button", name="Save draft").click()
    expect(page.locator(".toast")).to_contain_text("Draft saved")
    assert [each.text for each in templates.versions(oils)][:2] == ["Mine: {{name}}", "Eve's: {{name}}"]


def test_a_new_template_from_the_list_on_a_phone(browser, server, admin, sign_in, oils):
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, reduced_motion="reduce"
    )
    page = sign_in(context.new_page(), at="/templates")
    page.get_by_role("link", name="New template").tap()
    page.get_by_label("Name", exact=True).fill("Gifts")
    page.get_by_label("Wording", exact=True).fill("A gift box with ")
    page.get_by_role("button", name="name", exact=True).tap()
    expect(page.locator("#preview .prompt")).to_have_text("A gift box with Hemp seed oil")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Create template").tap()
    expect(page.locator(".toast")).to_contain_text("Template created")
    assert [row.name for row in templates.templates()] == ["Gifts", "Oils"]
    page.get_by_role("button", name="Archive template").tap()
    expect(page.get_by_role("button", name="Restore template")).to_be_visible()
    assert [row.name for row in templates.templates()] == ["Oils"]
    context.close()


def test_drafts_and_versions_on_a_phone(browser, server, admin, sign_in, oils):
    wording.rewrite(oils, "A tall bottle of {{name}} on dark slate.", EVE, based_on=1)
    wording.rewrite(oils, "A tall bottle of {{name}}, " * 40, EVE, based_on=2, use=False)
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, reduced_motion="reduce"
    )
    page = sign_in(context.new_page(), at=f"/templates/{oils}")
    page.get_by_label("Ten different ones").tap()
    expect(page.locator(".survey > li")).to_have_count(1)
    page.get_by_label("From").select_option("1")
    expect(page.locator("#difference .prompt ins").first).to_be_visible()
    page.locator("#version-1 summary").tap()
    page.get_by_role("button", name="Use version 1").tap()
    expect(page.locator("#version-1 .chip")).to_have_text("In use")
    for target in page.locator("#version-1 .acts > *, .compared select").all():
        assert target.bounding_box()["height"] >= 24
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Undo").tap()
    expect(page.locator("#version-2 .chip")).to_have_text("In use")
    context.close()
