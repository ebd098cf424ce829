"""Comparing blind and across products in a browser: by mouse, by keyboard alone, and on a phone."""

import re

import pytest
from playwright.sync_api import Page, expect

from packshot.catalogue.models import Image, Product
from packshot.quality.models import Vote
from tests.browser import story
from tests.browser.test_looks import problems
from tests.integration.test_votes import lamp

PHONE = {"width": 390, "height": 844}


@pytest.fixture
def products(server) -> list[Product]:
    """Two products with images of three providers, and one with images of two of them."""
    three = ("flux", "openai", "stability")
    return [lamp(*three, name="A lamp"), lamp(*three, name="B lamp"), lamp("flux", "openai", name="C lamp")]


@pytest.fixture
def blind(page: Page, products, sign_in) -> Page:
    story.person("reviewer", "rita")
    sign_in(page, "rita", at="/products")
    page.goto(re.sub(r"/products.*", f"/compare?product={products[0].pk}&view=4", page.url))
    return page


def buttons(page: Page) -> list[str]:
    return [each.inner_text().replace("\n", " ") for each in page.locator(".voting button").all()]


def test_by_mouse_the_best_is_chosen_shown_taken_back_and_chosen_again(blind, products):
    blind.get_by_role("link", name="Blind").click()
    blind.wait_for_url("**/compare/blind?*view=4")
    expect(blind.locator(".compare-pane")).to_have_count(3)
    blind.get_by_role("button", name="B is best").click()
    blind.wait_for_url("**/compare?*round=*")
    expect(blind.locator("#answered")).to_contain_text("You found B best")
    winner = Image.objects.get(pk=Vote.objects.all()[0].image_id)
    shown = blind.locator('.compare-pane[data-letter="B"] img').get_attribute("alt")
    assert {"flux": "FLUX", "openai": "OpenAI", "stability": "Stability"}[winner.provider] in (shown or "")
    blind.get_by_role("button", name="Take back").click()
    blind.wait_for_url("**/compare/blind?*")
    expect(blind.locator(".toast")).to_contain_text("Vote taken back")
    blind.get_by_role("button", name="None is good").click()
    blind.wait_for_url("**/compare?*round=*")
    assert set(Vote.objects.filter(withdrawn_at=None).values_list("verdict", flat=True)) == {"neither"}
    blind.get_by_role("link", name="Next product").click()
    blind.wait_for_url(f"**/compare/blind?product={products[1].pk}*")


def test_by_keyboard_alone_one_goes_through_all_there_is(blind, products):
    blind.keyboard.press("h")
    blind.wait_for_url("**/compare/blind?*")
    blind.keyboard.press("?")
    expect(blind.locator("#keys")).to_contain_text("None is good")
    blind.keyboard.press("Escape")
    for number, key in enumerate("c=0"):
        blind.keyboard.press(key)
        blind.wait_for_url("**/compare?*round=*")
        if number == 0:
            expect(blind.locator(".toast [data-undo]")).to_be_visible()
            blind.wait_for_load_state("load")  # keys are heard from then on
            blind.keyboard.press("Control+z")
            expect(blind.locator("#answered")).to_contain_text("Vote taken back")
            blind.keyboard.press("n")
            blind.wait_for_url("**/compare/blind?*")
            blind.keyboard.press(key)
            blind.wait_for_url("**/compare?*round=*")
        blind.keyboard.press("n")
        blind.wait_for_url(re.compile(r"/compare/blind(\?|/next)"))
    expect(blind.get_by_text("You have voted on everything")).to_be_visible()
    counted = Vote.objects.filter(withdrawn_at=None)
    assert sorted(counted.values_list("verdict", flat=True)) == sorted(
        ["better"] * 2 + ["equal"] * 3 + ["neither"]
    )


def test_a_sign_that_needs_shift_on_this_keyboard_is_heard(blind):
    blind.keyboard.press("h")
    blind.wait_for_url("**/compare/blind?*")
    blind.keyboard.press("+")
    expect(blind.locator("[data-level]")).to_have_text("150%")
    # As a German keyboard sends it; a capital letter is another key.
    for key in ("A", "="):
        blind.evaluate(
            "key => document.body.dispatchEvent("
            "new KeyboardEvent('keydown', { key, shiftKey: true, bubbles: true, cancelable: true }))",
            key,
        )
    blind.wait_for_url("**/compare?*round=*")
    assert set(Vote.objects.values_list("verdict", flat=True)) == {"equal"}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("screen", [PHONE, {"width": 1440, "height": 900}], ids=["phone", "desk"])
def test_everybody_can_read_a_round_its_answer_and_the_table(
    browser, server, products, sign_in, theme, screen
):
    story.person("publisher", "pat")
    context = browser.new_context(
        viewport=screen, color_scheme=theme, reduced_motion="reduce", bypass_csp=True
    )
    page = sign_in(context.new_page(), "pat", at="/products")
    found = []
    page.goto(f"{server.url}/compare/blind?product={products[0].pk}&view=4")
    found += problems(page, "a round")
    page.get_by_role("button", name=re.compile("A is best")).click()
    page.wait_for_url("**/compare?*round=*")
    found += problems(page, "its answer")
    page.goto(f"{server.url}/compare/blind?product={products[0].pk}")
    found += problems(page, "nothing left")
    for number in range(12):
        person = story.person("reviewer", f"p{number}")
        vote_of(person, products[0])
    for query in ("", "?q=nothing-is-called-this", "?provider=flux&provider=stability&all=1"):
        page.goto(f"{server.url}/compare/providers{query}")
        found += problems(page, f"across {query}")
    context.close()
    assert found == [], "\n".join(found)


def vote_of(person: story.User, product: Product) -> None:
    from packshot.accounts.people import of_user
    from tests.integration.test_votes import choose

    choose(product, of_user(person), "openai")


def test_across_products_a_tick_takes_a_column_and_a_word_narrows_the_lines(page, server, products, sign_in):
    story.person("reviewer", "rita")
    sign_in(page, "rita", at="/admin/providers")
    page.get_by_role("link", name="Across products").click()
    page.wait_for_url("**/compare/providers")
    heads = page.locator(".across thead th")
    expect(heads).to_have_text(["Product", "Openai", "Stability", "Flux"])
    page.get_by_role("checkbox", name="Flux").uncheck()
    expect(heads).to_have_text(["Product", "Openai", "Stability"])
    page.get_by_role("checkbox", name="Only products with all of them").check()
    expect(page.locator(".across tbody tr")).to_have_count(2)
    page.keyboard.press("/")
    page.keyboard.type("B lamp")
    expect(page.locator(".across tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"q=B\+lamp&provider=openai&provider=stability&all=1$"))
    page.reload()
    expect(page.locator(".across tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Compare", exact=False).filter(has_text="the images of").click()
    page.wait_for_url("**/compare?product=*")
    expect(page.locator(".compare-pane")).to_have_count(2)


def test_on_a_phone_the_buttons_are_in_reach_and_the_table_is_cards(blind, server, products):
    blind.set_viewport_size(PHONE)
    blind.goto(f"{server.url}/compare/blind?product={products[0].pk}&view=2")
    for name in ("A is best", "None is good", "Next product"):
        control = blind.locator(".voting").get_by_text(name.removesuffix(" is best"), exact=False).first
        box = control.bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390
        assert box["y"] + box["height"] <= 844 - 56, "above the bar of sections"
    blind.get_by_role("button", name="A is best").click()
    blind.wait_for_url("**/compare?*round=*")
    blind.goto(f"{server.url}/compare/providers")
    expect(blind.locator(".across-image").first).to_be_visible()
    assert blind.evaluate("document.documentElement.scrollWidth") <= 390
