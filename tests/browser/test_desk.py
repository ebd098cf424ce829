"""The frame around every page: palette, keys, toasts, a lost connection, and the traps of what carries it."""

import time

import pytest
from django.db import transaction
from playwright.sync_api import Page, expect

from packshot import events
from packshot.events import Happening
from tests import build
from tests.browser import story
from tests.browser.conftest import live


@pytest.fixture
def provider(admin) -> build.StandIn:
    build.provider_row()
    build.budget("100")
    return build.StandIn()


@pytest.fixture
def me() -> object:
    return build.process().id


def until(page: Page, holds: str, *, within_s: float = 30) -> None:
    """Wait for a condition of the page. (Playwright's own way to needs eval, which the policy refuses.)"""
    deadline = time.monotonic() + within_s
    while not page.evaluate(holds):
        assert time.monotonic() < deadline, holds
        page.wait_for_timeout(50)


# -- the palette ---------------------------------------------------------------------------------


def test_the_palette_finds_pages_and_products_by_keyboard_alone(overview: Page, server):
    wanted = build.product("Amber lamp")
    build.product("Birch bowl")
    page = overview
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox")
    expect(field).to_be_focused()
    page.keyboard.type("queue")
    options = page.locator("#palette [role=option]:visible")
    expect(options).to_have_count(1)
    expect(options).to_have_attribute("aria-selected", "true")
    assert field.get_attribute("aria-activedescendant") == options.get_attribute("id")
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/queue")
    page.keyboard.press("Control+k")
    page.keyboard.type("amber")
    expect(options).to_have_count(1)
    expect(options).to_contain_text("Amber lamp")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/products/{wanted.sku}")
    page.keyboard.press("Control+k")
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).to_be_hidden()


def test_the_palette_does_with_the_mouse_what_it_does_with_keys(overview: Page):
    page = overview
    page.get_by_role("button", name="Search or jump to").click()
    page.locator("#palette-theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("#palette")).to_be_hidden()


def test_the_focus_stays_in_the_palette_and_a_click_beside_it_does_nothing_else(overview: Page):
    page = overview
    page.locator(".nav a[data-go=q]").focus()
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox")
    for key in ("Tab", "Shift+Tab"):
        page.keyboard.press(key)
        expect(field).to_be_focused()
    page.locator("#palette-places").click()
    expect(field).to_be_focused()
    under = page.locator(".nav a[data-go=p]").bounding_box()
    page.mouse.click(under["x"] + 5, under["y"] + 5)
    expect(page.locator("#palette")).to_be_hidden()
    assert page.url.endswith("/admin"), "the link under the scrim was not followed"
    expect(page.locator(".nav a[data-go=q]")).to_be_focused()


def test_the_palette_waits_while_a_question_is_asked(overview: Page):
    page = overview
    page.keyboard.press("?")
    page.keyboard.press("Control+k")
    expect(page.locator("#keys")).to_be_visible()
    expect(page.locator("#palette")).to_be_hidden()


def test_the_switch_answers_before_the_page_turns_light_or_dark(overview: Page):
    page = overview
    page.evaluate(
        """
        () => {
            const root = document.documentElement, button = document.querySelector("[data-theme-switch]");
            const look = () => [root.dataset.theme ?? "", getComputedStyle(button).backgroundColor];
            window.looks = [look()];
            addEventListener("keydown", () => requestAnimationFrame(() => window.looks.push(look())));
        }
        """
    )
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    before, first = page.evaluate("window.looks")
    assert first[0] == before[0] == ""
    assert first[1] != before[1]
    expect(page.locator("html")).not_to_have_attribute("data-turning", "")


def test_between_light_and_dark_nothing_fades_in_its_own_time(overview: Page):
    page = overview
    page.emulate_media(reduced_motion="no-preference")
    page.evaluate("window.faded = 0; addEventListener('transitionrun', () => window.faded++, true)")
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("window.faded") == 0


def test_what_is_looked_for_is_text_and_never_a_pattern_or_markup(overview: Page):
    build.product("100% hemp <b>oil</b>")
    build.product("1000 hemp oils")
    page = overview
    page.keyboard.press("Control+k")
    page.keyboard.type("100% hemp <b>")
    options = page.locator("#palette [role=option]:visible")
    expect(options).to_have_count(1)
    expect(options).to_contain_text("100% hemp <b>oil</b>")


# -- keys ----------------------------------------------------------------------------------------


def test_g_and_a_letter_go_to_each_place(overview: Page):
    page = overview
    for key, address in {
        "q": "/admin/queue",
        "p": "/products",
        "i": "/imports",
        "m": "/templates",
        "s": "/admin/settings",
        "o": "/admin",
    }.items():
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.wait_for_url(f"**{address}*")
        live_or_still(page)


def live_or_still(page: Page) -> None:
    page.wait_for_load_state("load")


def test_single_keys_can_be_switched_off_and_commands_still_work(overview: Page, context, server):
    context.add_cookies([{"name": "keys", "value": "off", "url": server.url}])
    page = overview
    page.reload()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_hidden()
    page.keyboard.press("t")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette")).to_be_visible()
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
    assert page.evaluate("document.documentElement.dataset.theme") is None


def test_keys_are_dead_in_a_field(overview: Page):
    page = overview
    page.keyboard.press("Control+k")
    page.keyboard.type("t?gq")
    assert page.get_by_role("combobox").input_value() == "t?gq"
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
    assert page.evaluate("document.documentElement.dataset.theme") is None


def test_the_first_tab_leads_past_the_navigation(overview: Page):
    page = overview
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_focus_is_never_hidden_under_the_bars(overview: Page, provider, me):
    story.ask(provider, 12)
    for number, claim in enumerate(story.begin(provider, me)):
        story.land(claim, number=number)
    page = overview
    page.reload()
    live(page)
    hidden = []
    for _ in range(80):
        page.keyboard.press("Tab")
        spot = page.evaluate(
            """() => {
                const each = document.activeElement;
                if (each === document.body) return null;
                const box = each.getBoundingClientRect();
                const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
                const on = top === null || each.contains(top) || top.contains(each);
                return {on, name: `${each.outerHTML.slice(0, 60)} under ${top?.outerHTML.slice(0, 60)}`};
            }"""
        )
        if spot is None:
            break
        if not spot["on"]:
            hidden.append(spot["name"])
    assert hidden == []


# -- toasts --------------------------------------------------------------------------------------


def test_a_toast_waits_while_it_is_looked_at_and_goes_when_dismissed(overview: Page):
    page = overview
    # From here on time passes when it is told to, and not while a busy browser is at something else.
    page.clock.install()
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 60)
    page.evaluate(
        """() => {
            const toast = document.getElementById("toast-ok").content.firstElementChild.cloneNode(true);
            toast.querySelector("[data-words]").textContent = "3 generations cancelled";
            document.getElementById("toasts").append(toast);
        }"""
    )
    toast = page.locator(".toast")
    expect(toast).to_have_text("3 generations cancelled")
    page.clock.run_for(3000)
    toast.hover()
    page.clock.run_for(60_000)
    expect(toast).to_be_visible()
    page.mouse.move(5, 5)
    page.clock.run_for(3900)
    expect(toast).to_be_visible()
    page.clock.run_for(200)
    expect(toast).to_have_count(0)


def test_what_i_asked_for_is_told_when_it_has_ended_and_what_others_asked_for_is_not(
    overview: Page, provider, me
):
    page = overview
    mine = build.asked(provider, 2, key="key-of-mine")
    build.asked(provider, 1, key="key-of-others")
    page.evaluate("sessionStorage.setItem('packshot:asked', JSON.stringify(['key-of-mine']))")
    claims = story.begin(provider, me)
    first, second = (claim for claim in claims if claim.generation.id in mine)
    (others,) = (claim for claim in claims if claim.generation.id not in mine)
    story.land(others)
    story.land(first)
    page.wait_for_timeout(1500)
    expect(page.locator(".toast")).to_have_count(0)
    story.refuse(second)
    expect(page.locator(".toast")).to_have_text("1 image made, 1 failed")
    assert page.evaluate("JSON.parse(sessionStorage.getItem('packshot:asked'))") == []


# -- the live dot --------------------------------------------------------------------------------


def test_the_live_dot_pulses_for_what_arrives_and_rests_otherwise(overview: Page, provider, me):
    page = overview
    live(page)
    page.emulate_media(reduced_motion="no-preference")
    states = "document.querySelector('.live').getAnimations({subtree: true}).map((each) => each.playState)"
    until(page, f"{states}.join() === 'finished'")
    build.asked(provider, 1)
    story.begin(provider, me)
    until(page, f"{states}.join() === 'running'")
    until(page, f"{states}.join() === 'finished'")


# -- a lost connection ---------------------------------------------------------------------------


def test_without_the_connection_nothing_can_be_bought_and_with_it_again_it_can(overview: Page, server):
    page = overview
    build.product()
    page.goto(server.url + "/products")
    live(page)
    page.evaluate("window.sent = 0")
    page.evaluate(
        """() => {
            const button = document.createElement("button");
            button.id = "buy"; button.dataset.spends = ""; button.textContent = "Generate";
            button.addEventListener("click", () => window.sent++);
            document.getElementById("main").append(button);
        }"""
    )
    server.stop()
    page.wait_for_selector(".live[data-state=lost]")
    buy = page.locator("#buy")
    expect(buy).to_have_attribute("aria-disabled", "true")
    buy.click(force=True)
    expect(page.locator(".toast")).to_have_text("Connection lost. Nothing was sent.")
    assert page.evaluate("window.sent") == 0
    expect(page.locator("#lost")).to_be_visible()
    server.start()
    live(page)
    expect(page.locator("#lost")).to_be_hidden()
    expect(buy).not_to_have_attribute("aria-disabled", "true")
    buy.click()
    assert page.evaluate("window.sent") == 1


# -- the traps of reference/ui.md, one by one ----------------------------------------------------


def test_trap_1_every_load_opens_its_stream(overview: Page):
    for _ in range(8):
        overview.reload()
        live(overview)


def test_trap_2_morphing_an_element_by_its_own_id_works(overview: Page, provider, me):
    page = overview
    story.ask(provider, 1)
    expect(page.locator("#queue-count")).to_have_text("1")
    (claim,) = story.begin(provider, me)
    story.land(claim)
    expect(page.locator("#queue-count")).to_have_text("")


def test_trap_3_a_refused_answer_is_told_and_not_swapped_and_the_token_goes_along(overview: Page, server):
    page = overview
    before = page.locator("#page").inner_text()
    page.evaluate(
        "htmx.ajax('GET', '/products/no-such-sku', {source: '#page', target: '#page', swap: 'outerMorph'})"
    )
    expect(page.locator(".toast.bad")).to_contain_text("not there any more")
    assert page.locator("#page").inner_text() == before
    # Inheritance is explicit in htmx 4: without `:inherited` on the body the token is silently missing.
    with page.expect_request("**/nowhere") as asked:
        page.evaluate("htmx.ajax('POST', '/nowhere', {source: '#page', swap: 'none'})")
    assert len(asked.value.headers["x-csrftoken"]) > 30


def test_trap_5_nothing_is_written_into_the_page_as_a_style_sheet(overview: Page):
    assert overview.locator("style").count() == 0


def test_trap_6_named_messages_are_events_and_swap_nothing(overview: Page, provider, me):
    page = overview
    page.evaluate(
        "document.getElementById('live').addEventListener('ended', (e) => (window.told = e.detail.data))"
    )
    story.ask(provider, 1)
    (claim,) = story.begin(provider, me)
    story.land(claim)
    until(page, "window.told !== undefined")
    assert page.evaluate("JSON.parse(told)[0].words") == "1 image made"
    assert "1 image made" not in page.locator("body").inner_text()


def test_trap_7_what_is_pushed_has_no_style_and_does_what_it_says_under_the_policy(
    overview: Page, provider, me
):
    page = overview
    story.ask(provider, 3)
    for number, claim in enumerate(story.begin(provider, me)):
        story.land(claim, number=number)
    page.wait_for_selector(".frame img")
    styled = page.evaluate(
        "[...document.querySelectorAll('#page [style]')].map((each) => each.outerHTML.slice(0, 80))"
    )
    assert styled == []


def test_a_fragment_for_what_this_page_does_not_show_is_passed_over(overview: Page, server):
    page = overview
    page.goto(server.url + "/admin/settings")
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    with transaction.atomic():
        events.tell(
            [
                Happening("provider", "paused", "openai"),
                Happening("generation", "pending", str(build.product().id)),
            ]
        )
    page.wait_for_timeout(1500)
    assert errors == []
