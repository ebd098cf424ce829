"""The Overview in a browser: signing in, watching images land, losing the connection and finding it again."""

import re

import pytest
from playwright.sync_api import Page, expect

from packshot import events
from packshot.catalogue.models import Product
from packshot.events import Happening
from packshot.generations.models import Generation
from tests import build
from tests.browser import story
from tests.browser.conftest import live, same_load

ROW = "#generations tr"
TILE = "#images li[id]"


@pytest.fixture
def provider(server) -> build.StandIn:
    build.provider_row()
    build.budget("100")
    return build.StandIn()


@pytest.fixture
def me(provider):
    return build.process().id


def ids(page: Page, selector: str) -> list[str]:
    return page.eval_on_selector_all(selector, "all => all.map(each => each.id)")


def shown(page: Page, status: str) -> int:
    return page.locator(f"{ROW}[data-status={status}]").count()


# -- signing in ------------------------------------------------------------------------------------


def test_a_wrong_password_is_said_and_the_right_one_leads_to_the_overview(page, server, admin):
    page.goto(server.url)
    page.wait_for_url("**/accounts/login/")
    expect(page.locator("h1")).to_have_text("Sign in")
    expect(page.locator("#id_login")).to_be_focused()
    page.keyboard.type("ada")
    page.keyboard.press("Tab")
    page.keyboard.type("not this one")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator("#id_password")).to_be_focused()
    expect(page.locator("#id_login")).to_have_value("ada")
    page.keyboard.type(story.PASSWORD)
    page.get_by_label("Show password").click()
    expect(page.locator("#id_password")).to_have_attribute("type", "text")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/admin")
    expect(page.locator("h1")).to_have_text("Hello, ada")
    live(page)


def test_nothing_that_a_browser_keeps_or_says_makes_anybody_an_administrator(page, context, server, sign_in):
    story.person("viewer", "vera")
    page.goto(server.url + "/accounts/login/")
    page.evaluate(
        "for (const key of ['isAdmin', 'admin', 'role', 'user'])"
        " { localStorage[key] = 'true'; sessionStorage[key] = 'true' }"
    )
    context.add_cookies([{"name": "isAdmin", "value": "true", "url": server.url}])
    page.goto(server.url + "/admin?admin=true&isAdmin=1")
    page.wait_for_url("**/accounts/login/?next=*")
    sign_in(page, "vera")
    live(page)
    honest = page.inner_text("body")
    page.goto(server.url + "/admin?admin=true&role=administrator")
    live(page)
    assert re.sub(r"\s+", " ", page.inner_text("body")) == re.sub(r"\s+", " ", honest)
    page.get_by_role("button", name="vera").click()
    expect(page.locator("#me")).to_contain_text("vera, viewer")


# -- watching --------------------------------------------------------------------------------------


def test_twenty_generations_land_one_after_the_other_without_a_reload(overview, provider, me):
    page = overview
    expect(page.get_by_text("Bring in your products")).to_be_visible()
    asked = story.ask(provider, 20)
    expect(page.locator(ROW)).to_have_count(20)
    assert ids(page, ROW) == [f"generation-{each}" for each in reversed(asked)]
    landed = []
    for number, claim in enumerate(story.begin(provider, me)):
        row = page.locator(f"#generation-{claim.generation.id}")
        expect(row).to_have_attribute("data-status", "processing")
        image = story.land(claim, number=number)
        landed.append(f"image-{image.id}")
        expect(row).to_have_attribute("data-status", "completed")
        expect(page.locator(f"#{landed[-1]} img")).to_be_visible()
        expect(row.locator("img")).to_have_count(1)
    assert ids(page, TILE) == landed[::-1][:10]
    assert shown(page, "completed") == 20
    expect(page.locator("#figures")).to_contain_text("100.0%")
    expect(page.locator("#figures")).to_contain_text("$0.80")
    expect(page.locator("#spent")).to_contain_text("$0.80")
    expect(page.locator("#being-made")).to_have_text("Nothing is waiting")
    assert page.evaluate(
        "Promise.all([...document.querySelectorAll('#images img')].map(i => i.decode())).then(() => true)"
    )
    assert same_load(page)


def test_a_refusal_is_seen_with_its_reason_as_it_happens(overview, provider, me):
    story.ask(provider, 1)
    (claim,) = story.begin(provider, me)
    story.refuse(claim, "the prompt names another brand")
    row = overview.locator(f"#generation-{claim.generation.id}")
    expect(row).to_contain_text("Failed")
    expect(row).to_contain_text("content refused")
    expect(row).to_contain_text("not charged")
    expect(row.get_by_text("content refused")).to_have_attribute("title", "the prompt names another brand")


def test_what_is_asked_for_later_stands_on_top_and_the_lists_keep_their_length(overview, provider, me):
    for _ in range(3):
        story.ask(provider, 12)
    newest = Generation.objects.order_by("-id").values_list("id", flat=True)[:20]
    expect(overview.locator(ROW).first).to_have_id(f"generation-{newest[0]}")
    expect(overview.locator(ROW)).to_have_count(20)
    assert ids(overview, ROW) == [f"generation-{each}" for each in newest]
    assert same_load(overview)


def test_names_from_outside_stay_text_when_they_are_pushed(overview, provider, me):
    story.ask(provider, 1)
    nasty = "<img src=x onerror=alert(1)>\r\n\r\nevent: resync\r\n</hx-partial><script>alert(2)</script>"
    Product.objects.update(name=nasty)
    (claim,) = story.begin(provider, me)
    story.land(claim)
    row = overview.locator(f"#generation-{claim.generation.id}")
    expect(row).to_have_attribute("data-status", "completed")
    expect(row.locator("b")).to_contain_text("<img src=x onerror=alert(1)>")
    expect(overview.locator("[src=x]")).to_have_count(0)


def test_focus_and_scroll_stay_where_they_are_while_rows_change(overview, provider, me):
    page = overview
    story.ask(provider, 20)
    expect(page.locator(ROW)).to_have_count(20)
    claims = story.begin(provider, me)
    expect(page.locator(f"{ROW}[data-status=processing]")).to_have_count(20)
    page.locator("#images").focus()
    page.evaluate("scrollTo(0, 300)")
    for number, claim in enumerate(claims):
        story.land(claim, number=number)
    expect(page.locator(f"{ROW}[data-status=completed]")).to_have_count(20)
    assert page.evaluate("document.activeElement.id") == "images"
    assert page.evaluate("scrollY") == 300


# -- losing the connection -------------------------------------------------------------------------


def test_after_a_restart_of_the_server_the_stream_resumes_with_nothing_missed(overview, server, provider, me):
    page = overview
    story.ask(provider, 6)
    claims = story.begin(provider, me)
    story.land(claims[0])
    expect(page.locator(f"{ROW}[data-status=completed]")).to_have_count(1)
    assert server.stop() < 5, "an open stream does not hold up the end"
    page.wait_for_selector(".live[data-state=lost]")
    expect(page.locator("#lost")).to_be_visible(timeout=8_000)
    expect(page.locator("#lost")).to_contain_text("Connection lost at")
    for number, claim in enumerate(claims[1:4]):
        story.land(claim, number=number + 1)
    assert shown(page, "completed") == 1
    server.start()
    live(page)
    expect(page.locator("#lost")).to_be_hidden()
    expect(page.locator(f"{ROW}[data-status=completed]")).to_have_count(4)
    expect(page.locator(f"{TILE} img")).to_have_count(4)
    for number, claim in enumerate(claims[4:]):
        story.land(claim, number=number + 4)
    expect(page.locator(f"{ROW}[data-status=completed]")).to_have_count(6)
    assert same_load(page)


def test_a_page_that_missed_too_much_fetches_itself_and_goes_on(overview, server, provider, me):
    page = overview
    story.ask(provider, 2)
    expect(page.locator(ROW)).to_have_count(2)
    server.stop()
    events.tell([Happening("run", "noise", str(number)) for number in range(1_200)])
    story.ask(provider, 3)
    server.start()
    live(page)
    expect(page.locator(ROW)).to_have_count(5)
    (claim, *_) = story.begin(provider, me, most=1)
    story.land(claim)
    expect(page.locator(f"{ROW}[data-status=completed]")).to_have_count(1)
    assert same_load(page)


def test_a_stream_that_does_not_open_at_first_opens_later(page, context, admin, sign_in):
    failures = iter(range(2))

    def sometimes(route):
        if next(failures, None) is None:
            route.continue_()
        else:
            route.abort()

    context.route("**/events?*", sometimes)
    sign_in(page)
    page.wait_for_selector(".live[data-state=lost]")
    live(page)


def test_every_load_of_the_page_opens_its_stream(overview):
    for _ in range(10):
        overview.reload()
        live(overview)


def test_signing_out_in_one_tab_ends_the_stream_of_the_other(overview, context, server):
    other = context.new_page()
    other.goto(server.url + "/admin")
    live(other)
    overview.get_by_role("button", name="ada").click()
    overview.get_by_role("button", name="Sign out").click()
    overview.wait_for_url("**/accounts/login/")
    other.wait_for_url("**/accounts/login/?next=%2Fadmin", timeout=15_000)


def test_a_hidden_tab_lets_go_after_a_minute_and_catches_up_when_it_is_seen_again(
    page, admin, sign_in, provider, me
):
    page.clock.install()
    sign_in(page)
    live(page)
    is_open = "document.querySelector('#live')._htmx.sse.reader !== null"

    def turn(hidden: bool) -> None:
        page.evaluate(
            """hidden => {
                Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
                document.dispatchEvent(new Event('visibilitychange'));
            }""",
            hidden,
        )

    turn(hidden=True)
    page.clock.fast_forward(59_000)
    assert page.evaluate(is_open), "a glance at another tab costs no connection"
    page.clock.fast_forward(2_000)
    page.wait_for_function("document.querySelector('#live')._htmx.sse.reader === null")
    story.ask(provider, 2)
    turn(hidden=False)
    page.clock.run_for(3_000)
    live(page)
    expect(page.locator(ROW)).to_have_count(2)


# -- by hand ---------------------------------------------------------------------------------------


def test_the_keyboard_does_what_its_list_says(overview):
    page = overview
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("o")
    page.wait_for_function("!window.sameLoad")
    live(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_the_chosen_theme_is_kept_and_painted_from_the_first_frame(overview):
    page = overview
    canvas = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(canvas)
    page.get_by_role("button", name="Switch between light and dark").click()
    page.wait_for_function(f"light => {canvas}.startsWith('oklch') && {canvas} !== light", arg=light)
    page.reload(wait_until="commit")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    live(page)
    page.keyboard.press("t")
    page.wait_for_function(f"light => {canvas} === light", arg=light)


def test_a_new_password_is_told_in_a_toast_that_goes_by_itself(overview, server):
    page = overview
    page.goto(server.url + "/accounts/password/change/")
    new = "a long way to the harbour"
    page.fill("#id_oldpassword", story.PASSWORD)
    page.fill("#id_password1", new)
    page.fill("#id_password2", new)
    page.get_by_role("button", name="Change password").click()
    expect(page.locator(".toast")).to_have_text("Password changed")
    expect(page.locator(".toast")).to_have_count(0, timeout=8_000)
