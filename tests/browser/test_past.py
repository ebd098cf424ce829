"""What a product's page takes in and remembers, in a browser: photos, history, choices, links, going."""

import base64
import re
import time
import zlib
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from packshot.accounts import Actor
from packshot.catalogue.models import Image, Product
from packshot.flows import look, photos, publish, review
from packshot.generations.models import Generation
from tests import build
from tests.browser import story
from tests.browser.conftest import live, same_load
from tests.browser.test_looks import problems
from tests.browser.test_product import active, frame, image_of, open_page, stage
from tests.integration.test_history import given
from tests.integration.test_photos import photo, with_archive

INES = Actor(None, "Ines", "editor")


@pytest.fixture
def product(server) -> Product:
    for name in ("flux", "sandbox"):
        build.provider_row(name)
    build.budget("100")
    return build.product("Hemp oil")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Three photos."""
    made = []
    for number in range(3):
        made.append(tmp_path / f"photo {number}.jpg")
        made[-1].write_bytes(photo(number))
    return made


def bomb() -> bytes:
    """A few bytes that declare 3,600 megapixels."""
    content = bytearray(photo(suffix=".png"))
    content[16:24] = (60_000).to_bytes(4) * 2
    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4)
    return bytes(content)


def drop(page: Page, place: Locator, given: dict[str, bytes]) -> None:
    """As if these files had been dragged from a folder."""
    packed = [[name, base64.b64encode(content).decode()] for name, content in given.items()]
    place.evaluate(
        """(place, packed) => {
            const dataTransfer = new DataTransfer();
            for (const [name, text] of packed)
                dataTransfer.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name));
            for (const kind of ["dragover", "drop"])
                place.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer }));
        }""",
        packed,
    )


def rows(page: Page) -> Locator:
    return page.locator("#product-history tbody tr")


def failed(product: Product) -> Generation:
    claim = build.sent(build.StandIn("flux"))
    Generation.objects.filter(pk=claim.generation.id).update(product=product)
    story.refuse(claim, "the prompt names another brand")
    return build.generation(claim)


# -- photos -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_photos_are_added_by_the_button_and_the_page_stays(page, product, sign_in, files, by):
    open_page(page, product, sign_in, "editor", "ed")
    with page.expect_file_chooser() as chooser:
        if by == "mouse":
            page.get_by_text("Add photo").click()
        else:
            page.get_by_label("Add photo").press("Enter")
    assert chooser.value.is_multiple()
    chooser.value.set_files(files)
    expect(page.locator(".toast")).to_contain_text("3 photos added")
    expect(page.locator("#film .framed")).to_have_count(3)
    expect(rows(page)).to_have_count(3)
    expect(rows(page).first).to_contain_text("Photo by ed")
    expect(page.locator("[data-stage] .pills")).to_contain_text("Photo by ed")
    for image in Image.objects.filter(product=product):
        look.look_at(image.pk)
    expect(page.locator("#film img")).to_have_count(3)
    assert same_load(page)


def test_photos_are_dropped_on_the_stage_and_the_same_one_is_known_again(page, product, sign_in):
    open_page(page, product, sign_in, "editor", "ed")
    drop(page, page.locator("[data-stage]"), {"a.jpg": photo()})
    expect(page.locator(".toast")).to_contain_text("Photo added")
    expect(page.locator("#film .framed")).to_have_count(1)
    drop(page, page.locator(".strip"), {"once more.jpg": photo()})
    expect(page.locator(".toast", has_text="This photo is here already")).to_be_visible()
    assert Image.objects.filter(product=product).count() == 1
    assert not page.locator("[data-drops]").count()


def test_what_is_dropped_and_is_no_photo_is_refused_by_name(page, product, sign_in):
    open_page(page, product, sign_in, "editor", "ed")
    drop(
        page,
        page.locator(".strip"),
        {
            "logo.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>',
            "both.jpg": with_archive(photo()),
            "bomb.png": bomb(),
            "good.jpg": photo(),
        },
    )
    toast = page.locator(".toast")
    expect(toast).to_contain_text("Photo added")
    expect(toast).to_contain_text("logo.svg: Not a PNG, JPEG or WebP image")
    expect(toast).to_contain_text("both.jpg: It is a ZIP archive, too")
    expect(toast).to_contain_text("bomb.png: The image is 60,000 x 60,000 px")
    expect(page.locator("#film .framed")).to_have_count(1)
    assert Image.objects.filter(product=product).count() == 1


def test_a_photo_of_somebody_else_turns_up_in_strip_and_history(page, product, sign_in):
    image_of(product)
    open_page(page, product, sign_in)
    expect(rows(page)).to_have_count(1)
    added = photos.add(product.pk, photo(), "a.jpg", INES)
    expect(page.locator(f"#image-{added.image_id}")).to_be_visible()
    expect(rows(page)).to_have_count(2)
    expect(rows(page).first).to_contain_text("Photo by Ines")
    assert same_load(page)


def test_a_viewer_drops_in_vain(page, product, sign_in):
    image_of(product)
    open_page(page, product, sign_in, "viewer", "vic")
    expect(page.get_by_text("Add photo")).to_have_count(0)
    drop(page, page.locator("[data-stage]"), {"a.jpg": photo()})
    page.wait_for_timeout(200)
    assert Image.objects.filter(product=product).count() == 1


# -- history ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1440, 390])
def test_the_history_is_narrowed_and_the_address_holds_it(page, product, sign_in, width):
    page.set_viewport_size({"width": width, "height": 844})
    chosen, _ = image_of(product), image_of(product, 1)
    review.decide([chosen.pk], "approved", "", build.ADMIN)
    wrong = failed(product)
    open_page(page, product, sign_in)
    expect(rows(page)).to_have_count(3)
    page.get_by_label("State").select_option("approved")
    expect(rows(page)).to_have_count(1)
    expect(page.locator(f"#made-{chosen.pk}")).to_be_visible()
    expect(page).to_have_url(re.compile(r"review=approved"))
    page.reload()
    live(page)
    expect(rows(page)).to_have_count(1)
    page.get_by_role("link", name="Show everything").click()
    expect(rows(page)).to_have_count(3)
    expect(page).not_to_have_url(re.compile(r"review="))
    page.get_by_label("State").select_option("failed")
    expect(rows(page)).to_have_count(1)
    expect(page.locator(f"#made-{wrong.pk}")).to_contain_text("content refused")
    # News is read by the filter of this page.
    image_of(product, 2)
    expect(page.locator("#film .framed")).to_have_count(3)
    page.wait_for_timeout(600)
    expect(rows(page)).to_have_count(1)
    page.locator(f"#made-{wrong.pk}").get_by_role("link", name="Show this try in the Queue").click()
    page.wait_for_url(f"**/admin/queue/{wrong.pk}")


def test_older_pages_are_turned_by_keyboard_and_nothing_is_lost(page, product, sign_in):
    made = [image_of(product, number) for number in range(27)]
    open_page(page, product, sign_in)
    expect(rows(page)).to_have_count(25)
    page.get_by_role("link", name="Older").press("Enter")
    expect(rows(page)).to_have_count(2)
    expect(page.locator(f"#made-{made[0].pk}")).to_be_visible()
    expect(page.locator("#history")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Provider", exact=True)).to_be_focused()
    page.get_by_role("link", name="Newest").press("Enter")
    expect(rows(page)).to_have_count(25)
    assert same_load(page)


def test_lineage_leads_from_image_to_image(page, product, sign_in):
    source, edit = image_of(product), image_of(product, 1)
    given(edit, source)
    open_page(page, product, sign_in)
    expect(stage(page, edit)).to_be_visible()
    stage(page, edit).get_by_role("link", name="Edited from image 1").click()
    expect(stage(page, source)).to_be_visible()
    expect(frame(page, source)).to_have_attribute("aria-current", "true")
    row = page.locator(f"#made-{source.pk}")
    row.get_by_role("link", name="image 2", exact=True).press("Enter")
    expect(stage(page, edit)).to_be_visible()
    assert same_load(page)


# -- choosing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_an_earlier_image_is_restored_from_the_history_and_taken_back(page, product, sign_in, by):
    old, new = image_of(product), image_of(product, 1)
    publish.activate(new.pk, build.ADMIN)
    open_page(page, product, sign_in)
    button = page.locator(f"#made-{old.pk}").get_by_role("button", name="Set active")
    if by == "mouse":
        button.click()
    else:
        button.press("Enter")
    expect(page.locator(".toast")).to_contain_text("Image set active")
    expect(page.locator(f"#made-{old.pk} .chip")).to_contain_text("Active")
    assert active(product) == old.pk
    page.locator("#turns summary").click()
    expect(page.locator("#turns li").first).to_contain_text("Image 1")
    expect(page.locator("#turns li").first).to_contain_text("by pat")
    if by == "mouse":
        page.locator(".toast").get_by_role("button", name="Undo").click()
    else:
        page.keyboard.press("Control+z")
    expect(page.locator("#turns li").first).to_contain_text("taken back by pat")
    expect(page.locator(f"#made-{new.pk} .chip")).to_contain_text("Active")
    assert active(product) == new.pk
    assert same_load(page)


def test_a_frame_of_the_strip_is_chosen_at_one_press_by_mouse_and_by_key(page, product, sign_in):
    first, second, third = (image_of(product, number) for number in range(3))
    open_page(page, product, sign_in)
    expect(stage(page, third)).to_be_visible()
    box = page.locator(f"#image-{first.pk}")
    box.hover()
    box.get_by_role("button", name="Set active: image 1").click()
    expect(frame(page, first).locator(".star")).to_be_visible()
    assert active(product) == first.pk
    expect(stage(page, third)).to_be_visible()
    frame(page, second).focus()
    page.keyboard.press("s")
    expect(frame(page, second).locator(".star")).to_be_visible()
    assert active(product) == second.pk
    expect(frame(page, third)).to_have_attribute("aria-current", "true")
    assert same_load(page)


@pytest.mark.parametrize("place", ["film", "history"])
def test_news_of_a_choice_that_overtakes_its_own_answer_takes_no_words_away(page, product, sign_in, place):
    old, new = image_of(product), image_of(product, 1)
    publish.activate(new.pk, build.ADMIN)
    open_page(page, product, sign_in)

    def answer_late(route: Route) -> None:
        answer = route.fetch()
        time.sleep(2)
        route.fulfill(response=answer)

    page.route("**/activate", answer_late)
    if place == "film":
        page.locator(f"#image-{old.pk}").hover()
        page.locator(f"#image-{old.pk}").get_by_role("button", name="Set active: image 1").click()
    else:
        page.locator(f"#made-{old.pk}").get_by_role("button", name="Set active").click()
    expect(frame(page, old).locator(".star")).to_be_visible()
    expect(page.locator(".toast")).to_contain_text("Image set active")
    assert same_load(page)


# -- links ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clipboard", [True, False])
def test_a_link_for_a_colleague_is_made_copied_and_opens_for_a_stranger(
    page, product, sign_in, browser, clipboard, server
):
    if clipboard:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    else:
        page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    made = image_of(product)
    open_page(page, product, sign_in, "reviewer", "rita")
    page.get_by_role("button", name="Share").press("Enter")
    page.get_by_label("Holds for").select_option("week")
    page.get_by_role("button", name="Copy link for a colleague").press("Enter")
    field = page.locator(f"#address-{made.pk}")
    expect(field).to_have_value(re.compile(rf"/s/{made.pk}/1200\.webp\?until=\d+&key=\w+"))
    expect(page.locator(".toast")).to_contain_text("Link copied")
    if clipboard:
        assert page.evaluate("navigator.clipboard.readText()") == field.input_value()
    else:
        assert page.evaluate("getSelection().toString()") == field.input_value()
    stranger = browser.new_context()
    answer = stranger.request.get(field.input_value())
    assert answer.status in (200, 503), "it is being made, or made already"
    forged = stranger.request.get(field.input_value()[:-1] + "x")
    assert forged.status in (403, 404)
    stranger.close()
    page.keyboard.press("Escape")
    publish.activate(made.pk, build.ADMIN)
    expect(page.get_by_role("button", name="Share")).to_be_hidden()


# -- going ------------------------------------------------------------------------------------------


def test_a_product_is_archived_and_brought_back(page, product, sign_in):
    image_of(product)
    open_page(page, product, sign_in)
    page.get_by_role("button", name="Archive product").press("Enter")
    expect(page.locator(".toast")).to_contain_text("Product archived")
    expect(page.locator("#ask")).to_have_count(0)
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator(".toast")).to_contain_text("Product is back in the catalogue")
    expect(page.get_by_role("button", name="Archive product")).to_be_visible()
    page.get_by_role("button", name="Archive product").click()
    page.get_by_role("button", name="Bring back").click()
    expect(page.locator(".toast")).to_contain_text("Product is back in the catalogue")


# -- for everybody ----------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    browser: Browser, server, product, sign_in, theme, width
):
    source, edit = image_of(product), image_of(product, 1)
    given(edit, source)
    failed(product)
    for image_id, what in ((source.pk, "approved"), (edit.pk, "rejected")):
        review.decide([image_id], what, "wrong colour" if what == "rejected" else "", build.ADMIN)
    added = photos.add(product.pk, photo(), "a.jpg", INES)
    look.look_at(added.image_id)
    publish.activate(source.pk, build.ADMIN)
    story.person("publisher", "pat")
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=theme, reduced_motion="reduce", bypass_csp=True
    )
    page = sign_in(context.new_page(), "pat", at=f"/products/{product.sku}")
    live(page)
    page.goto(f"{server.url}/products/{product.sku}?image={edit.pk}")
    live(page)
    page.locator("#turns summary").click()
    page.get_by_role("button", name="Share").click()
    page.get_by_role("button", name="Copy link for a colleague").click()
    expect(page.locator(f"#address-{edit.pk}")).to_be_visible()
    found = problems(page, "the page of a product with its past")
    page.keyboard.press("Escape")
    page.goto(f"{server.url}/products/{product.sku}?review=rejected&person=nobody")
    found += problems(page, "nothing fits")
    Product.objects.filter(pk=product.pk).update(archived_at="2026-01-01T00:00Z")
    page.goto(f"{server.url}/products/{product.sku}")
    found += problems(page, "archived")
    context.close()
    assert found == [], "\n".join(found)
