"""The Queue in a browser: open, retry, cancel, choose many, by mouse and by keyboard, while it is alive."""

import re
from uuid import UUID

import pytest
from django.db import transaction
from playwright.sync_api import Page, expect

from packshot import events
from packshot.accounts import Actor
from packshot.catalogue.models import Product
from packshot.catalogue.products import by_id
from packshot.events import Happening
from packshot.flows import generate
from packshot.generations.models import Attempt, Generation
from packshot.kernel.errors import Unsure
from tests import build
from tests.browser import story
from tests.browser.conftest import live, same_load

ROW = "[data-row]"
PANEL = "#panel"


@pytest.fixture
def provider(server) -> build.StandIn:
    build.provider_row()
    build.budget("100")
    return build.StandIn()


@pytest.fixture
def me(provider) -> UUID:
    return build.process().id


@pytest.fixture
def queue(page: Page, admin, sign_in):
    """Opens the Queue at an address, signed in, live, in a load that is told from the next."""
    sign_in(page)

    def open_at(query: str = "") -> Page:
        page.goto(re.sub(r"(https?://[^/]+)/.*", r"\1/admin/queue", page.url) + query)
        live(page)
        page.evaluate("window.sameLoad = true")
        return page

    return open_at


def failed(provider: build.StandIn, me: UUID, count: int = 1) -> list[UUID]:
    story.ask(provider, count)
    claims = story.begin(provider, me, most=count)
    for claim in claims:
        story.refuse(claim)
    return [claim.generation.id for claim in claims]


def row(page: Page, key: object):
    return page.locator(f"#generation-{key}")


def box(page: Page, key: object):
    return page.locator(f"#check-{key}")


def ids(page: Page) -> list[str]:
    return page.eval_on_selector_all(ROW, "all => all.map(each => each.id.slice(11))")


def toast(page: Page, words: str | re.Pattern[str]) -> None:
    expect(page.locator("#toasts [data-words]").last).to_have_text(words)


def statuses() -> list[str]:
    return list(Generation.objects.order_by("id").values_list("status", flat=True))


# -- one: open, retry, cancel ------------------------------------------------------------------------


def test_a_failed_one_is_opened_and_retried_by_mouse(queue, provider, me):
    keys = failed(provider, me, 3)
    page = queue("?status=failed")
    expect(page.locator(ROW)).to_have_count(3)
    row(page, keys[1]).locator(".c-provider").click()  # anywhere in the row
    panel = page.locator(PANEL)
    expect(panel).to_be_visible()
    expect(panel.locator("#panel-title")).to_contain_text("Hemp seed oil")
    expect(panel.locator(".note")).to_contain_text("OpenAI refused the prompt.")
    expect(panel.locator(".note")).to_contain_text("Not charged. Change the prompt, or use another provider.")
    expect(page).to_have_url(re.compile(rf"status=failed&generation={keys[1]}$"))
    expect(row(page, keys[1])).to_have_class(re.compile("open"))
    panel.get_by_role("button", name="Retry $0.040").dblclick()
    toast(page, "1 generation retried")
    expect(row(page, keys[1])).to_have_attribute("data-status", "pending")
    expect(panel.locator(".what .chip")).to_have_text("Pending")
    expect(panel.get_by_role("button", name="Cancel generation")).to_be_visible()
    assert statuses() == ["failed", "pending", "failed"]
    assert same_load(page)


def test_a_failed_one_is_opened_and_retried_by_keyboard(queue, provider, me):
    keys = failed(provider, me, 3)
    page = queue("?status=failed")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(row(page, keys[1])).to_have_class(re.compile("current"))
    page.keyboard.press("Space")
    expect(page.locator("#panel-title")).to_be_focused()
    page.keyboard.press("r")
    toast(page, "1 generation retried")
    expect(page.locator(f"{PANEL} .what .chip")).to_have_text("Pending")
    page.keyboard.press("Escape")
    expect(page.locator(PANEL)).to_be_hidden()
    expect(page).to_have_url(re.compile(r"\?status=failed$"))
    assert page.evaluate("document.activeElement.dataset.panel") == str(keys[1])
    assert statuses() == ["failed", "pending", "failed"]


def test_back_closes_the_panel_and_forward_opens_it_again(queue, provider, me):
    first, second = failed(provider, me, 2)
    page = queue()
    row(page, first).locator(".c-provider").click()
    expect(page.locator(PANEL)).to_have_attribute("data-generation", str(first))
    row(page, second).locator(".c-provider").click()
    expect(page.locator(PANEL)).to_have_attribute("data-generation", str(second))
    page.get_by_role("button", name="Next generation").click()
    expect(page.locator(PANEL)).to_have_attribute("data-generation", str(first))
    page.go_back()
    expect(page.locator(PANEL)).to_be_hidden()
    expect(page).to_have_url(re.compile(r"/admin/queue$"))
    page.go_forward()
    expect(page.locator(PANEL)).to_have_attribute("data-generation", str(first))
    page.get_by_role("link", name="Close panel").click()
    expect(page.locator(PANEL)).to_be_hidden()
    assert same_load(page)
    page.goto(page.url + f"?generation={second}")
    live(page)
    expect(page.locator(PANEL)).to_have_attribute("data-generation", str(second))
    page.get_by_role("link", name="Close panel").click()
    expect(page.locator(PANEL)).to_be_hidden()
    expect(page).to_have_url(re.compile(r"/admin/queue$"))


def test_one_is_cancelled_by_keyboard_and_what_runs_is_told_apart(queue, provider, me):
    story.ask(provider, 2)
    (claim,) = story.begin(provider, me, most=1)
    page = queue()
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("c")
    toast(page, "1 generation cancelled")
    expect(page.locator(".bulk")).to_be_hidden()
    assert statuses() == ["processing", "cancelled"]
    row(page, claim.generation.id).locator(".c-status a").click()
    page.get_by_role("button", name="Cancel generation").click()
    toast(page, "1 on the way and paid for, the image is kept if it comes")
    expect(page.locator(f"{PANEL} .note")).to_contain_text("Cancelling, but the call is on its way.")
    story.land(claim)
    expect(page.locator(f"{PANEL} .what .chip")).to_have_text("Completed")
    expect(page.locator(f"{PANEL} .what img")).to_be_visible()


# -- many ----------------------------------------------------------------------------------------------


def test_a_range_is_chosen_with_shift_and_cancelled_after_a_question(queue, provider, me):
    keys = story.ask(provider, 6)[::-1]
    page = queue()
    box(page, keys[1]).click()
    box(page, keys[4]).click(modifiers=["Shift"])
    bar = page.locator(".bulk")
    expect(bar.locator("[data-selected]")).to_have_text("4")
    expect(bar.get_by_role("button", name="Retry")).to_be_hidden()
    bar.get_by_role("button", name="Cancel").click()
    dialog = page.get_by_role("dialog", name="Cancel 4 generations?")
    expect(dialog).to_be_visible()
    assert set(statuses()) == {"pending"}
    dialog.get_by_role("button", name="Cancel 4 generations").click()
    toast(page, "4 generations cancelled")
    expect(dialog).to_be_hidden()
    expect(bar).to_be_hidden()
    expect(page.locator(f"{ROW}[data-status=cancelled]")).to_have_count(4)
    assert statuses() == ["pending", "cancelled", "cancelled", "cancelled", "cancelled", "pending"]


def test_several_are_chosen_and_cancelled_by_keyboard(queue, provider, me):
    story.ask(provider, 3)
    page = queue()
    for key in ("j", "x", "j", "x", "c"):
        page.keyboard.press(key)
    dialog = page.get_by_role("dialog", name="Cancel 2 generations?")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert set(statuses()) == {"pending"}
    expect(page.locator(".bulk [data-selected]")).to_have_text("2")
    page.keyboard.press("c")
    page.get_by_role("button", name="Cancel 2 generations").focus()
    page.keyboard.press("Enter")
    toast(page, "2 generations cancelled")
    assert statuses() == ["pending", "cancelled", "cancelled"]


def test_the_price_of_what_is_chosen_stands_on_the_button_that_spends(queue, provider, me):
    keys = failed(provider, me, 3)
    Generation.objects.filter(pk=keys[2]).update(expected_micros=None)
    story.ask(provider, 1)
    page = queue()
    retry = page.locator(".bulk [data-key=r]")
    box(page, keys[0]).click()
    expect(retry).to_contain_text("Retry$0.040")
    box(page, keys[1]).click()
    expect(retry).to_contain_text("Retry$0.08")
    box(page, keys[2]).click()
    expect(retry).to_contain_text("price unknown")
    box(page, keys[2]).click()
    retry.click()
    toast(page, "2 generations retried")
    assert sorted(statuses()) == ["failed", "pending", "pending", "pending"]


def test_all_that_match_are_named_with_their_number_and_retried_for_their_price(queue, provider, me):
    failed(provider, me, 53)
    story.ask(provider, 2)
    page = queue("?status=failed")
    expect(page.locator(ROW)).to_have_count(50)
    page.get_by_label("Select all on this page").click()
    bar = page.locator(".bulk")
    expect(bar.locator("[data-selected]")).to_have_text("50")
    bar.get_by_role("button", name="Select all 53 failed").click()
    expect(bar.locator("[data-selected]")).to_have_text("53")
    bar.get_by_role("button", name="Retry").click()
    page.get_by_role("button", name="Retry 53 generations $2.12").click()
    toast(page, "53 generations retried")
    assert set(statuses()) == {"pending"}


# -- filter --------------------------------------------------------------------------------------------


def test_a_text_filters_while_it_is_typed_and_stands_in_the_address(queue, provider, me):
    keys = story.ask(provider, 4)
    Product.objects.filter(pk=Generation.objects.get(pk=keys[2]).product_id).update(name="Walnut board")
    page = queue("?status=pending")
    page.keyboard.press("/")
    expect(page.locator("[data-filter]")).to_be_focused()
    page.keyboard.type("walnut", delay=30)
    expect(page.locator(ROW)).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?q=walnut&status=pending$"))
    expect(page.locator("[data-filter]")).to_be_focused()
    page.keyboard.type(" boat")
    expect(page.get_by_text("No generation fits")).to_be_visible()
    for _ in "walnut boat":
        page.keyboard.press("Backspace")
    expect(page.locator(ROW)).to_have_count(4)
    expect(page).to_have_url(re.compile(r"\?status=pending$"))
    assert same_load(page)
    page.get_by_role("button", name="Provider").click()
    page.get_by_role("link", name=re.compile("OpenAI")).click()
    expect(page).to_have_url(re.compile(r"provider=openai"))
    page.get_by_role("link", name=re.compile("Remove the filter Provider")).click()
    expect(page).to_have_url(re.compile(r"\?status=pending$"))


def test_a_page_leads_to_the_next_and_back(queue, provider, me):
    keys = [str(each) for each in story.ask(provider, 60)[::-1]]
    page = queue()
    assert ids(page) == keys[:50]
    page.get_by_role("link", name="Next").click()
    expect(page.locator(ROW)).to_have_count(10)
    assert ids(page) == keys[50:]
    page.get_by_role("link", name="Previous").click()
    expect(page.locator(ROW)).to_have_count(50)
    assert ids(page) == keys[:50]


# -- alive ---------------------------------------------------------------------------------------------


def test_focus_choice_scroll_and_what_is_open_stay_while_rows_change(queue, provider, me):
    story.ask(provider, 40)
    page = queue()
    claims = story.begin(provider, me, most=20)
    expect(page.locator(f"{ROW}[data-status=processing]")).to_have_count(20)
    seen = claims[3].generation.id
    story.refuse(claims[3])
    row(page, seen).locator(".c-provider").click()
    expect(page.locator(PANEL)).to_have_attribute("data-generation", str(seen))
    for claim in claims[:3]:
        box(page, claim.generation.id).click()
    focused = claims[7].generation.id
    row(page, focused).locator("[data-panel]").focus()
    page.evaluate("scrollTo(0, 400)")
    for number, claim in enumerate(claims[4:] + claims[:3]):
        story.land(claim, number=number)
    expect(page.locator(f"{ROW}[data-status=completed]")).to_have_count(19)
    assert page.evaluate("document.activeElement.dataset.panel") == str(focused)
    assert page.evaluate("scrollY") == 400
    for claim in claims[:3]:
        expect(box(page, claim.generation.id)).to_be_checked()
    expect(page.locator(".bulk [data-selected]")).to_have_text("3")
    expect(row(page, seen)).to_have_class(re.compile("open"))
    expect(page.locator(PANEL)).to_have_attribute("data-generation", str(seen))
    assert same_load(page)


def test_the_panel_follows_its_generation_and_keeps_what_was_opened_in_it(queue, provider, me):
    story.ask(provider, 1)
    (claim,) = story.begin(provider, me)
    story.refuse(claim)
    key = claim.generation.id
    Attempt.objects.update(answer="the whole answer")
    page = queue(f"?generation={key}")
    page.get_by_text("Provider's answer").click()
    expect(page.locator(".timeline .raw")).to_have_text("the whole answer")
    page.locator("[data-copy]").first.focus()
    page.get_by_role("button", name="Retry $0.040").click()
    expect(page.locator(f"{PANEL} .what .chip")).to_have_text("Pending")
    (again,) = story.begin(provider, me)
    expect(page.locator(f"{PANEL} .what .chip")).to_have_text("Processing")
    expect(page.locator(".timeline")).to_contain_text("On its way")
    story.land(again)
    expect(page.locator(f"{PANEL} .what .chip")).to_have_text("Completed")
    expect(page.locator(".timeline .raw")).to_be_visible()
    expect(page.locator(".timeline li")).to_have_count(3)
    assert same_load(page)


def test_new_rows_wait_while_somebody_reads_and_counts_go_on(queue, provider, me):
    story.ask(provider, 3)
    page = queue()
    page.mouse.move(5, 5)
    story.ask(provider, 1)
    expect(page.locator(ROW)).to_have_count(4)  # nobody reads: they slide in
    box(page, ids(page)[1]).click()
    before = ids(page)
    story.ask(provider, 1)
    expect(page.locator("#newer")).to_contain_text(re.compile(r"1 newer generation$"))
    story.ask(provider, 1)
    expect(page.locator("#newer")).to_contain_text("2 newer generations")
    assert ids(page) == before
    expect(page.get_by_role("link", name=re.compile(r"Pending\s*6"))).to_be_visible()
    page.locator("#newer").click()
    expect(page.locator(ROW)).to_have_count(6)
    expect(box(page, before[1])).to_be_checked()
    assert same_load(page)


def test_only_what_fits_the_filter_comes_in_and_what_stops_fitting_goes(queue, provider, me):
    build.provider_row("flux")
    failed(provider, me, 1)
    page = queue("?status=failed&provider=openai")
    page.mouse.move(5, 5)
    story.ask(build.StandIn("flux"), 1)
    fresh = failed(provider, me, 1)
    expect(page.locator(ROW)).to_have_count(2)
    assert ids(page)[0] == str(fresh[0])
    generate.retry(fresh, build.EDITOR)
    expect(row(page, fresh[0])).to_have_attribute("data-status", "pending")
    expect(page.locator(ROW)).to_have_count(1)


def test_an_empty_list_fills_by_itself(queue, provider, me):
    page = queue()
    expect(page.get_by_text("Nothing was asked for yet")).to_be_visible()
    page.mouse.move(5, 5)
    story.ask(provider, 2)
    expect(page.locator(ROW)).to_have_count(2)
    expect(page.get_by_text("Nothing was asked for yet")).to_be_hidden()
    assert same_load(page)


# -- others ----------------------------------------------------------------------------------------------


def test_an_uncertain_charge_is_settled_and_a_mistake_in_the_form_is_told_beside_it(queue, provider, me):
    story.ask(provider, 1)
    (claim,) = story.begin(provider, me)
    build.end(build.failed(claim, Unsure("the answer broke off", kind="cut_off")))
    page = queue(f"?generation={claim.generation.id}")
    page.get_by_label("It was charged", exact=True).check()
    page.get_by_label("Amount in dollars").fill("four cents")
    page.get_by_label("Evidence").fill("line 7 of the bill")
    page.get_by_role("button", name="Settle charge").click()
    expect(page.locator("#settle-wrong")).to_contain_text("is not an amount of dollars")
    page.get_by_label("Amount in dollars").fill("0.03")
    # Meanwhile there is news of it: what was typed stays, and what is wrong.
    with transaction.atomic():
        events.tell([Happening("generation", "uncertain", str(claim.generation.id))])
    page.wait_for_timeout(1_000)
    expect(page.locator("#settle-wrong")).to_be_visible()
    expect(page.get_by_label("Evidence")).to_have_value("line 7 of the bill")
    expect(page.get_by_label("Amount in dollars")).to_have_value("0.03")
    # The second press is no double click any more.
    page.wait_for_function("() => !document.querySelector('.settle form')._sent")
    page.get_by_label("Amount in dollars").press("Control+Enter")
    toast(page, "Charge settled")
    expect(page.locator(f"{PANEL} .note")).to_contain_text("Charged $0.030.")
    expect(page.locator(".timeline")).to_contain_text("Settled by hand by ada: line 7 of the bill")


def test_a_viewer_looks_and_changes_nothing(page, server, sign_in, provider, me):
    (key,) = failed(provider, me)
    story.person("viewer", "vera")
    sign_in(page, "vera")
    page.goto(server.url + "/admin/queue")
    live(page)
    expect(page.locator(".check").first).to_be_hidden()
    row(page, key).locator(".c-provider").click()
    expect(page.locator(f"{PANEL} .note")).to_contain_text("refused the prompt")
    for name in ("Retry", "Cancel"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)


def test_on_a_phone_a_row_is_a_card_and_opens_over_the_list_with_a_way_back(queue, provider, me):
    keys = failed(provider, me, 12)
    page = queue()
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    wide = page.locator(f"{ROW} .product a").first.bounding_box()["width"]
    assert wide > 100, "the name has room"
    page.evaluate("scrollTo(0, 300)")
    row(page, keys[6]).locator(".c-provider").click()
    expect(page.locator("#panel-title")).to_be_in_viewport()
    expect(row(page, keys[6])).to_be_hidden()
    panel = page.locator(PANEL).bounding_box()
    assert (panel["x"], panel["width"]) == (0, 390)
    page.get_by_role("link", name="Queue", exact=True).first.click()
    expect(page.locator(PANEL)).to_be_hidden()
    assert page.evaluate("scrollY") == 300
    expect(row(page, keys[6])).to_be_in_viewport()
    box(page, keys[5]).click()
    expect(page.locator(".bulk")).to_be_in_viewport()
    page.locator(".bulk [data-key=r]").click()
    toast(page, "1 generation retried")


def test_a_generation_has_a_page_of_its_own_that_stays_true(queue, provider, me):
    (key,) = failed(provider, me)
    page = queue()
    page.goto(page.url + f"/{key}")
    live(page)
    page.evaluate("window.sameLoad = true")
    expect(page.locator("h1")).to_contain_text("Hemp seed oil")
    page.keyboard.press("r")
    toast(page, "1 generation retried")
    expect(page.locator(f"{PANEL} .what .chip")).to_have_text("Pending")
    (claim,) = story.begin(provider, me)
    expect(page.locator(f"{PANEL} .what .chip")).to_have_text("Processing")
    story.land(claim)
    expect(page.locator(f"{PANEL} .what .chip")).to_have_text("Completed")
    assert same_load(page)


def by_hand_waits(product) -> Generation:
    """A generation that waits for somebody to bring its image."""
    build.provider_row("by-hand", simulated=False)
    wanted = generate.Ask(by_id([product.id]), "by-hand", prompt="{{name}} on slate", shape="4:5")
    asked = generate.request(wanted, Actor(None, "ed", "editor"), request_key="by-hand-1", agreed_micros=0)
    return Generation.objects.get(pk=asked.generation_ids[0])


def bring(page: Page, how: str) -> None:
    """The picture into the form: chosen, dropped on it, or pasted."""
    field = page.get_by_label("Images, up to four")
    if how == "chosen":
        field.set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": build.PNG})
        return
    page.evaluate(
        """([bytes, how]) => {
            const taken = new DataTransfer();
            taken.items.add(new File([new Uint8Array(bytes)], "a.png", { type: "image/png" }));
            const event = how === "pasted"
                ? new ClipboardEvent("paste", { clipboardData: taken, bubbles: true, cancelable: true })
                : new DragEvent("drop", { dataTransfer: taken, bubbles: true, cancelable: true });
            document.querySelector(how === "pasted" ? "body" : ".bring").dispatchEvent(event);
        }""",
        [list(build.PNG), how],
    )
    # Where the picture is, the next key is Enter.
    expect(page.get_by_role("button", name="Keep images")).to_be_focused()


@pytest.mark.parametrize("how", ["chosen", "dropped", "pasted"])
def test_an_image_made_by_hand_is_brought_back(queue, provider, how):
    made = by_hand_waits(build.product())
    page = queue(f"?generation={made.pk}")
    expect(page.locator(".bring .wording")).to_contain_text("on slate --ar 4:5 --v 8.1")
    bring(page, how)
    page.get_by_role("button", name="Keep images").press("Enter")
    toast(page, "1 image kept")
    expect(page.locator(".bring")).to_have_count(0)
    expect(row(page, made.pk)).to_have_attribute("data-status", "completed")
    assert same_load(page)


def test_a_file_that_is_no_picture_is_told_and_the_generation_waits_on(queue, provider):
    made = by_hand_waits(build.product())
    page = queue(f"?generation={made.pk}")
    page.get_by_label("Images, up to four").set_input_files(
        {"name": "a.png", "mimeType": "image/png", "buffer": b"<svg/>"}
    )
    page.get_by_role("button", name="Keep images").click()
    toast(page, "Picture 1 cannot be used: Not a PNG, JPEG or WebP image.")
    made.refresh_from_db()
    assert made.status == "pending"
