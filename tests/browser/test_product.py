"""A product's own page in a browser: looking, choosing, asking for more, while others do the same."""

import re

import pytest
from playwright.sync_api import Page, expect

from packshot import catalogue, events
from packshot.accounts import Actor
from packshot.catalogue.models import Image, Product
from packshot.events import Happening
from packshot.flows import publish
from packshot.flows.desk import quoting
from packshot.generations.models import Generation, Route
from tests import build
from tests.browser import story
from tests.browser.conftest import live, same_load


@pytest.fixture
def product(server) -> Product:
    """A product, two providers on simulated money, a template."""
    for name in ("flux", "sandbox"):
        build.provider_row(name)
    build.budget("100")
    catalogue.save_template("General", "A packshot of {{name}}, {{attribute:colour|natural}}.")
    made = build.product("Hemp oil")
    Product.objects.filter(pk=made.pk).update(attributes={"colour": "moss green"})
    return made


def image_of(product: Product, number: int = 0) -> Image:
    made = story.land(build.sent(build.StandIn("flux")), number=number, look=False)
    Image.objects.filter(pk=made.pk).update(product=product)
    made.refresh_from_db()
    story.make_thumbnail(made, number)
    landed(made)
    return made


def landed(image: Image) -> None:
    """As looking at it tells."""
    events.tell([Happening("image", "landed", str(image.pk), {"product": str(image.product_id)})])


def open_page(page: Page, product: Product, sign_in, role: str = "publisher", name: str = "pat") -> Page:
    story.person(role, name)
    sign_in(page, name, at=f"/products/{product.sku}")
    live(page)
    page.wait_for_function("!document.querySelector('.zoom[hidden]')")  # the page's own script has run
    page.evaluate("window.sameLoad = true")
    return page


def stage(page: Page, image: Image):
    return page.locator(f"#stage-{image.pk}")


def frame(page: Page, image: Image):
    return page.locator(f"#image-{image.pk} .frame")


def active(product: Product) -> object:
    return Product.objects.get(pk=product.pk).active_image_id


# -- looking and choosing --------------------------------------------------------------------------------


def test_an_image_is_chosen_by_mouse_and_taken_back(page, product, sign_in):
    old, new = image_of(product), image_of(product, 1)
    publish.activate(old.pk, build.ADMIN)
    open_page(page, product, sign_in)
    expect(stage(page, old).locator(".pills")).to_contain_text("Active")
    frame(page, new).click()
    expect(stage(page, new)).to_be_visible()
    expect(page).to_have_url(re.compile(f"image={new.pk}"))
    expect(frame(page, new)).to_have_attribute("aria-current", "true")
    stage(page, new).get_by_role("button", name="Set active").click()
    expect(page.locator(".toast")).to_contain_text("Image set active")
    expect(stage(page, new).locator(".pills")).to_contain_text("Active")
    expect(frame(page, new).locator(".star")).to_be_visible()
    expect(frame(page, old).locator(".star")).to_have_count(0)
    assert active(product) == new.pk
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator(".toast")).to_contain_text("Image restored")
    expect(frame(page, old).locator(".star")).to_be_visible()
    expect(frame(page, new)).to_have_attribute("aria-current", "true")
    assert active(product) == old.pk
    assert same_load(page)
    assert page.locator(".toast", has_text="changed the active image").count() == 0, "it was my own doing"


def test_an_image_is_chosen_by_keyboard_and_taken_back(page, product, sign_in):
    first, second, third = (image_of(product, number) for number in range(3))
    open_page(page, product, sign_in)
    expect(stage(page, third)).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(stage(page, second)).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(stage(page, first)).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(stage(page, second)).to_be_visible()
    page.keyboard.press("s")
    expect(page.locator(".toast")).to_contain_text("Image set active")
    assert active(product) == second.pk
    page.keyboard.press("Control+z")
    expect(page.locator(".toast")).to_contain_text("Taken back: no image is active now")
    assert active(product) is None
    frame(page, first).focus()
    page.keyboard.press("Enter")
    expect(stage(page, first)).to_be_visible()
    page.keyboard.press("Enter")
    expect(frame(page, first).locator(".star")).to_be_visible()
    assert active(product) == first.pk


def test_one_looks_closer_by_key_and_by_pointer(page, product, sign_in):
    made = image_of(product)
    open_page(page, product, sign_in)
    picture = stage(page, made).locator("img")

    def stands(scale: str, left: str = "") -> None:
        expect(picture).to_have_attribute("style", re.compile(rf"translate\({left}.*scale\({scale}\)"))

    page.keyboard.press("+")
    stands("2.4", "0px")
    page.keyboard.press("0")
    expect(picture).to_have_attribute("style", "")
    box = stage(page, made).bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.click(*middle)
    stands("2.4", "0px")
    page.mouse.down()
    page.mouse.move(middle[0] - 80, middle[1], steps=4)
    page.mouse.up()
    stands("2.4", "-80px")
    page.get_by_role("button", name="Zoom out").click()
    expect(picture).to_have_attribute("style", "")


# -- while others do the same -----------------------------------------------------------------------------


def test_what_lands_waits_in_the_strip_and_typing_goes_on(page, product, sign_in):
    first = image_of(product)
    open_page(page, product, sign_in)
    prompt = page.locator("#ask-prompt")
    prompt.click()
    page.keyboard.press("Control+End")
    page.keyboard.type(" On the moon")
    second = image_of(product, 1)
    expect(frame(page, second)).to_be_visible()
    page.keyboard.type(", at night.")
    expect(prompt).to_have_value(re.compile(r"On the moon, at night\.$"))
    expect(prompt).to_be_focused()
    expect(stage(page, first)).to_be_visible()
    expect(frame(page, first)).to_have_attribute("aria-current", "true")
    assert page.locator("#film .framed").first.get_attribute("id") == f"image-{second.pk}"
    # Too much was missed, and the page fetches itself: what was typed stays.
    with page.expect_response(re.compile(rf"/products/{product.sku}")):
        page.evaluate("document.getElementById('live').dispatchEvent(new Event('resync'))")
    page.wait_for_timeout(200)
    expect(prompt).to_have_value(re.compile(r"On the moon, at night\.$"))
    assert same_load(page)


def test_the_first_image_of_a_product_takes_the_empty_stage_and_the_second_does_not(page, product, sign_in):
    open_page(page, product, sign_in)
    expect(page.get_by_text("The first one lands here")).to_be_visible()
    first = image_of(product)
    expect(stage(page, first).locator("img")).to_be_visible()
    expect(frame(page, first)).to_have_attribute("aria-current", "true")
    second = image_of(product, 1)
    expect(frame(page, second)).to_be_visible()
    expect(stage(page, first)).to_be_visible()
    expect(stage(page, second)).to_have_count(0)


def test_somebody_elses_choice_is_told_by_name(page, product, sign_in):
    made = image_of(product)
    open_page(page, product, sign_in)
    publish.activate(made.pk, Actor(None, "ada", "administrator"))
    expect(page.locator(".toast")).to_contain_text("ada changed the active image")
    expect(stage(page, made).locator(".pills")).to_contain_text("Active")
    expect(page.get_by_role("button", name="Set active")).to_have_count(0)


# -- asking for more ----------------------------------------------------------------------------------------


def test_images_are_asked_for_at_the_price_on_the_button_and_land(page, product, sign_in):
    open_page(page, product, sign_in)
    spend = page.locator("#ask [data-spends]")
    expect(spend).to_contain_text(re.compile(r"Generate 1 image\s+\$0\.\d{3}"))
    page.locator(".provider-card", has_text="FLUX").get_by_role("checkbox").uncheck()
    page.locator(".provider-card", has_text="Sandbox").get_by_role("checkbox").check()
    page.locator("#ask").get_by_role("button", name="More").click()
    expect(spend).to_contain_text(re.compile(r"Generate 2 images\s+free"))
    expect(page.locator("#ask-seen mark").first).to_have_text(product.name)
    page.locator("#ask-prompt").fill("{{name}} in ")
    page.get_by_role("button", name="colour", exact=True).click()
    expect(page.locator("#ask-prompt")).to_have_value("{{name}} in {{attribute:colour}}")
    expect(page.locator("#ask-seen p")).to_have_text(f"{product.name} in moss green")
    spend.dblclick()
    expect(page.locator(".toast").first).to_contain_text("2 images asked for")
    expect(page.locator("#product-standing")).to_contain_text("1 waiting")
    (claim,) = story.begin(quoting()["sandbox"], build.process().id)
    expect(page.locator("#product-standing")).to_contain_text("1 of 1 being made")
    assert Generation.objects.get().prompt == f"{product.name} in moss green", "a double click is one wish"
    image = story.land(claim, cost="0")
    landed(image)
    expect(stage(page, image).locator("img")).to_be_visible()
    expect(page.locator("#making .frame")).to_have_count(0)
    assert same_load(page)


def test_images_are_asked_for_by_keyboard_from_the_prompt(page, product, sign_in):
    open_page(page, product, sign_in)
    page.locator("#ask-prompt").focus()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".toast")).to_contain_text("1 image asked for")
    assert Generation.objects.count() == 1


def test_back_and_sending_again_gets_the_first_answer(page, product, sign_in, server):
    open_page(page, product, sign_in)
    # The request arrives, its answer does not: somebody was faster to leave.
    lost = []
    page.route("**/generate", lambda route: (route.fetch(), route.abort(), lost.append(route)))
    page.locator("#ask [data-spends]").click()
    while not lost:
        page.wait_for_timeout(50)
    page.unroute("**/generate")
    page.goto(server.url + "/products")
    page.go_back()
    live(page)
    page.locator("#ask [data-spends]").click()
    expect(page.locator(".toast").first).to_contain_text("1 image asked for already")
    assert Generation.objects.count() == 1


def test_a_viewer_looks_and_presses_nothing(page, product, sign_in):
    made = image_of(product)
    open_page(page, product, sign_in, "viewer", "vic")
    expect(stage(page, made)).to_be_visible()
    expect(page.locator("#ask")).to_have_count(0)
    expect(page.get_by_role("button", name="Set active")).to_have_count(0)
    image_of(product, 1)
    expect(page.locator("#film .frame")).to_have_count(2)
    expect(page.get_by_role("button", name="Set active")).to_have_count(0)


def test_a_phone_keeps_the_price_at_hand_and_scrolls_only_down(page, product, sign_in):
    made = image_of(product)
    page.set_viewport_size({"width": 390, "height": 844})
    open_page(page, product, sign_in)
    expect(page.locator("#ask [data-spends]")).to_be_in_viewport(ratio=1)
    expect(stage(page, made).get_by_role("button", name="Set active")).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_one_of_several_providers_is_asked_and_the_form_says_which_and_why(page, product, sign_in, by):
    open_page(page, product, sign_in)
    how = page.get_by_label("Of these providers")
    expect(how).to_be_hidden()
    for name in ("flux", "sandbox"):
        box = page.locator(f"#ask input[name=provider][value={name}]")
        if not box.is_checked():
            box.press("Space") if by == "keyboard" else box.check()
    expect(how).to_be_visible()
    if by == "keyboard":
        how.focus()
        for _ in range(2):
            page.keyboard.press("ArrowDown")
        expect(how).to_have_value("cheapest")
    else:
        how.select_option("cheapest")
    expect(page.locator("#ask-route")).to_contain_text("Sandbox first, cheapest: free")
    button = page.get_by_role("button", name="Generate 1 image")
    expect(button).to_contain_text("free")
    expect(page.locator("#ask-total")).to_contain_text("At most")
    button.press("Enter") if by == "keyboard" else button.click()
    expect(page.locator(".toast").first).to_contain_text("1 image asked for")
    made = Generation.objects.get()
    assert made.provider_id == "sandbox"
    row = Route.objects.get(pk=made.pk)
    assert (row.by, [hop[0] for hop in row.then]) == ("cheapest", ["flux"])
    page.goto(page.url.partition("/products")[0] + f"/admin/queue/{made.pk}")
    expect(page.get_by_text("cheapest: free")).to_be_visible()
