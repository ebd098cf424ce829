"""The form that asks for images in a browser: pictures brought, ordered, masked, and earlier settings."""

import base64
import re
from pathlib import Path

import pytest
import pyvips
from playwright.sync_api import Browser, Page, Request, expect

from packshot import catalogue
from packshot.catalogue.models import Image, Product
from packshot.flows import look
from packshot.flows.desk import quoting
from packshot.generations.models import Generation
from tests import build
from tests.browser import story
from tests.browser.conftest import live, same_load
from tests.browser.test_looks import problems

DROP = """({ content, kind }) => {
    const bytes = Uint8Array.from(atob(content), (sign) => sign.charCodeAt(0));
    const files = new DataTransfer();
    files.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
    const event = kind === "paste"
        ? new ClipboardEvent("paste", { clipboardData: files, bubbles: true, cancelable: true })
        : new DragEvent(kind, { dataTransfer: files, bubbles: true, cancelable: true });
    document.querySelector(kind === "paste" ? "body" : "#ask-pictures").dispatchEvent(event);
}"""


@pytest.fixture
def product(server) -> Product:
    for name in ("openai", "flux", "stability"):
        build.provider_row(name)
    build.budget("100")
    catalogue.save_template("General", "A packshot of {{name}}.")
    return build.product("Hemp oil")


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Two pictures of different sizes."""
    made = []
    for name, (width, height) in {"front.png": (600, 400), "back.png": (300, 300)}.items():
        shade = pyvips.Image.xyz(width, height)[0] % 256
        whole = shade.bandjoin([shade, shade]).cast("uchar").copy(interpretation="srgb")
        whole.pngsave(str(tmp_path / name))
        made.append(tmp_path / name)
    return made


def open_form(page: Page, product: Product, sign_in, *, provider: str = "flux") -> Page:
    story.person("publisher", "pat")
    sign_in(page, "pat", at=f"/products/{product.sku}")
    live(page)
    page.evaluate("window.sameLoad = true")
    choose(page, provider)
    return page


def choose(page: Page, provider: str) -> None:
    """This provider and no other."""
    for name in ("openai", "flux", "stability"):
        box = page.locator(f"#ask input[name=provider][value={name}]")
        if box.is_checked() != (name == provider):
            with page.expect_response("**/generate/quote"):
                box.click()


def given(page: Page):
    return page.locator("#ask-pictures ol.given > li")


def sizes() -> list[tuple[str, int, int]]:
    return [(each["role"], each["width_px"], each["height_px"]) for each in Generation.objects.get().inputs]


def test_pictures_are_brought_by_mouse_put_in_order_and_sent(page, product, photos, sign_in):
    open_form(page, product, sign_in)
    with page.expect_file_chooser() as chooser:
        page.get_by_text("Add pictures").click()
    chooser.value.set_files(photos)
    expect(given(page)).to_have_count(2)
    expect(page.locator("#ask-seen .along li")).to_have_count(2)
    page.get_by_role("button", name="Picture 2 earlier").click()
    expect(given(page).first).to_contain_text("back.png")
    expect(given(page).first.locator("img")).to_have_js_property("complete", True)
    assert given(page).first.locator("img").evaluate("each => each.naturalWidth") == 300
    page.get_by_role("button", name="Remove picture 2").click()
    expect(given(page)).to_have_count(1)
    expect(page.locator("#ask-seen .along li")).to_have_count(1)
    page.locator("#ask [data-spends]").click()
    expect(page.locator(".toast").first).to_contain_text("1 image asked for")
    assert sizes() == [("image", 300, 300)]
    expect(given(page)).to_have_count(1)  # for more of the same
    assert same_load(page)


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted(page, product, photos, sign_in, kind):
    open_form(page, product, sign_in)
    content = base64.b64encode(photos[0].read_bytes()).decode()
    page.evaluate(DROP, {"content": content, "kind": kind})
    expect(given(page)).to_have_count(1)
    expect(given(page)).to_contain_text("600 x 400 px")


def test_a_mask_is_painted_as_the_model_reads_it(page, product, photos, sign_in):
    open_form(page, product, sign_in, provider="openai")
    page.set_input_files("#ask-files", photos[0])
    expect(given(page)).to_have_count(1)
    page.locator("#ask-mask summary").click()
    expect(page.locator("#ask-marks")).to_contain_text("transparent")
    page.get_by_role("button", name="Paint it").click()
    board = page.locator("#painter-canvas").bounding_box()
    page.mouse.move(board["x"] + board["width"] * 0.3, board["y"] + board["height"] / 2)
    page.mouse.down()
    page.mouse.move(board["x"] + board["width"] * 0.7, board["y"] + board["height"] / 2, steps=10)
    page.mouse.up()
    page.get_by_role("button", name="Use mask").click()
    expect(page.locator("#ask-pictures p.given")).to_contain_text("600 x 400 px")
    expect(page.locator("#painter")).to_be_hidden()
    expect(page.locator("#ask-seen .along")).to_contain_text("Mask")  # and so the price is that with a mask
    page.locator("#ask [data-spends]").click()
    expect(page.locator(".toast").first).to_contain_text("1 image asked for")
    assert sizes() == [("image", 600, 400), ("mask", 600, 400)]
    blob = Generation.objects.get().inputs[1]["blob"]
    mask = pyvips.Image.new_from_buffer(look.store().get(blob), "")
    assert (mask.bands, mask(300, 200)[3], mask(10, 10)[3]) == (4, 0, 255)


def test_everything_is_done_by_keyboard(page, product, photos, sign_in):
    open_form(page, product, sign_in, provider="stability")
    page.set_input_files("#ask-files", photos)
    expect(given(page)).to_have_count(2)
    last = page.get_by_role("button", name="Remove picture 2")
    last.focus()
    page.keyboard.press("Enter")
    expect(given(page)).to_have_count(1)
    expect(page.locator("#ask-files")).to_be_focused()
    page.get_by_label("Model of Stability").select_option("inpaint")
    summary = page.locator("#ask-mask summary")
    summary.focus()
    page.keyboard.press("Enter")
    page.locator("input[name=mask-left]").focus()
    for number in ("10", "20", "30", "40"):
        page.keyboard.press("Control+A")
        page.keyboard.type(number)
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Use rectangle")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#ask-pictures p.given")).to_contain_text("Rectangle 10, 20, 30 x 40 %")
    expect(page.locator("#ask-mask")).to_have_attribute("open", "")
    expect(page.locator("#ask-seen .along")).to_contain_text("Mask")
    page.locator("#ask-prompt").focus()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".toast").first).to_contain_text("1 image asked for")
    assert sizes() == [("image", 600, 400), ("mask", 600, 400)]


def test_enter_in_a_field_spends_nothing_and_removes_no_picture(page, product, photos, sign_in):
    open_form(page, product, sign_in)
    page.set_input_files("#ask-files", photos[0])
    expect(given(page)).to_have_count(1)
    page.locator("#ask-more summary").click()
    with page.expect_response("**/generate/pictures"):
        page.locator("#ask-seed").fill("7")
        page.locator("#ask-seed").press("Enter")
    expect(given(page)).to_have_count(1)
    expect(page.locator("#ask-seed")).to_have_value("7")
    assert not Generation.objects.exists()


def test_the_settings_of_an_earlier_image_are_taken_up(page, product, photos, sign_in):
    open_form(page, product, sign_in)
    page.set_input_files("#ask-files", photos[0])
    expect(given(page)).to_have_count(1)
    page.locator("#ask-prompt").fill("On slate")
    page.locator("#ask-more summary").click()
    page.locator("#ask-seed").fill("11")
    page.locator("#ask-shapes").get_by_text("Other").click()
    # Not the answer to what was filled in before.
    with page.expect_response(lambda answer: "/generate/quote" in answer.url and has_shape(answer.request)):
        page.get_by_label("Other shape").fill("3:2")
        page.get_by_label("Other shape").press("Tab")
    page.locator("#ask [data-spends]").click()
    expect(page.locator(".toast").first).to_contain_text("1 image asked for")
    asked = Generation.objects.get()
    assert (asked.seed, asked.shape) == (11, "3:2")
    image = story.land(story.begin(quoting()["flux"], build.process().id)[0])
    Image.objects.filter(pk=image.pk).update(product=product)
    page.reload()
    page.get_by_role("link", name=re.compile("^Reuse")).click()
    expect(page.locator("#ask-prompt")).to_have_value("On slate")
    expect(page.locator("#ask-seed")).to_have_value("11")
    expect(page.get_by_label("Other shape")).to_have_value("3:2")
    expect(given(page)).to_have_count(1)


def has_shape(request: Request) -> bool:
    return re.search(rb"3(:|%3A)2", request.post_data_buffer or b"") is not None


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_open_form_has_nothing_that_axe_finds_and_fits(
    browser: Browser, server, product, photos, sign_in, width, theme
):
    # axe brings its own script, which the policy of the page would refuse.
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=theme, bypass_csp=True, reduced_motion="reduce"
    )
    page = context.new_page()
    open_form(page, product, sign_in, provider="openai")
    page.set_input_files("#ask-files", photos)
    expect(given(page)).to_have_count(2)
    for part in ("#ask-mask", "#ask-more"):
        page.locator(part).evaluate("each => (each.open = true)")
    assert problems(page, "form") == []
    page.get_by_role("button", name="Paint it").click()
    expect(page.locator("#painter-canvas")).to_be_in_viewport()
    assert problems(page, "painter") == []
    context.close()
