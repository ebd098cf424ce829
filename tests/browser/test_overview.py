"""The Overview in a browser: signing in, watching images land, losing the connection and finding it again."""

import re

import pytest
import pyvips
from playwright.sync_api import Page, expect

from packshot import events
from packshot.catalogue.models import Product
from packshot.events import Happening
from tests import build
from tests.browser import story
from tests.browser.conftest import live, same_load

LINE = "#activity li"
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
    expect(page.locator("h1")).to_have_text(re.compile(r"^Good (morning|afternoon|evening), ada$"))
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
    story.ask(provider, 20)
    expect(page.locator("#being-made")).to_have_text("20 waiting, none being made")
    expect(page.locator("#images")).to_be_visible()
    expect(page.get_by_text("Bring in your products")).to_have_count(0)
    landed = []
    for number, claim in enumerate(story.begin(provider, me)):
        image = story.land(claim, number=number)
        landed.append(f"image-{image.id}")
        expect(page.locator(f"#{landed[-1]} img")).to_be_visible()
    assert ids(page, TILE) == landed[::-1][:10]
    expect(page.locator("#figures")).to_contain_text("100.0%")
    expect(page.locator("#figures")).to_contain_text("$0.80")
    expect(page.locator("#spent")).to_contain_text("$0.80")
    expect(page.locator("#being-made")).to_have_text("Nothing is waiting")
    expect(page.locator(LINE)).to_have_count(1)
    expect(page.locator(LINE)).to_contain_text("20 images made")
    assert page.evaluate(
        "Promise.all([...document.querySelectorAll('#images img')].map(i => i.decode())).then(() => true)"
    )
    assert same_load(page)


def test_a_refusal_is_seen_with_its_reason_as_it_happens(overview, provider, me):
    story.ask(provider, 2)
    first, second = story.begin(provider, me)
    story.land(first)
    story.refuse(second, "the prompt names another brand")
    line = overview.locator(LINE).first
    expect(line).to_contain_text("failed")
    expect(line).to_contain_text("content refused")
    expect(overview.locator(LINE).nth(1)).to_contain_text("made")


def test_the_newest_image_stands_first_and_the_strip_keeps_its_length(overview, provider, me):
    story.ask(provider, 13)
    landed = [story.land(claim, number=n) for n, claim in enumerate(story.begin(provider, me))]
    newest = [f"image-{image.id}" for image in reversed(landed)]
    expect(overview.locator(TILE).first).to_have_id(newest[0])
    expect(overview.locator(TILE)).to_have_count(10)
    assert ids(overview, TILE) == newest[:10]
    assert same_load(overview)


def test_names_from_outside_stay_text_when_they_are_pushed(overview, provider, me):
    story.ask(provider, 1)
    nasty = "<img src=x onerror=alert(1)>\r\n\r\nevent: resync\r\n</hx-partial><script>alert(2)</script>"
    Product.objects.update(name=nasty)
    (claim,) = story.begin(provider, me)
    image = story.land(claim)
    expect(overview.locator(f"#image-{image.id} b")).to_contain_text("<img src=x onerror=alert(1)>")
    expect(overview.locator(LINE)).to_contain_text("<img src=x onerror=alert(1)>")
    expect(overview.locator("[src=x]")).to_have_count(0)


def test_focus_and_scroll_stay_where_they_are_while_images_land(overview, provider, me):
    page = overview
    page.set_viewport_size({"width": 1440, "height": 500})
    story.ask(provider, 20)
    expect(page.locator("#images")).to_be_visible()
    claims = story.begin(provider, me)
    page.locator("#images").focus()
    page.evaluate("scrollTo(0, 300)")
    for number, claim in enumerate(claims):
        story.land(claim, number=number)
    expect(page.locator(LINE)).to_contain_text("20 images made")
    expect(page.locator(f"{TILE} img")).to_have_count(10)
    assert page.evaluate("document.activeElement.id") == "images"
    assert page.evaluate("scrollY") == 300


def test_the_activity_holds_still_while_somebody_reads_it(overview, provider, me):
    page = overview
    story.ask(provider, 3)
    first, second, third = story.begin(provider, me)
    story.land(first)
    expect(page.locator(LINE)).to_contain_text("made")
    still = page.inner_text("#activity b")
    pause = page.get_by_role("button", name="Pause updates of the activity")
    pause.focus()
    page.keyboard.press("Enter")
    expect(pause).to_have_attribute("aria-pressed", "true")
    story.land(second)
    image = story.land(third)
    expect(page.locator(f"#image-{image.id} img")).to_be_visible()
    expect(page.locator("#figures")).to_contain_text("3 completed")
    assert page.inner_text("#activity b") == still
    page.keyboard.press("Enter")
    expect(page.locator(LINE)).to_contain_text("3 images made")
    expect(pause).to_have_attribute("aria-pressed", "false")


def test_charts_are_fetched_again_each_minute_and_an_open_table_stays_open(
    page, context, admin, sign_in, provider, me
):
    story.ask(provider, 3)
    first, *more = story.begin(provider, me)
    story.land(first)
    page.clock.install()
    sign_in(page)
    live(page)
    table = page.locator("#made-table")
    table.locator("summary").focus()
    page.keyboard.press("Enter")
    last = table.locator("tbody tr").last.locator("td").last
    expect(last).to_have_text("1")
    for claim in more:
        story.land(claim)
    with page.expect_response("**/admin/charts") as answered:
        page.clock.run_for(61_000)
    assert answered.value.status == 200
    expect(last).to_have_text("3")
    expect(table).to_have_attribute("open", "")
    assert "3 images in 24 hours" in page.locator("#made svg[role=img]").get_attribute("aria-label")
    assert page.evaluate("document.activeElement.matches('#made-table summary')")


def test_a_chart_says_its_values_in_a_tip_and_in_a_table(overview, provider, me):
    page = overview
    story.ask(provider, 2)
    for claim in story.begin(provider, me):
        story.land(claim)
    page.reload()
    page.locator("#made .hit").last.hover()
    expect(page.locator("#tip")).to_have_text(
        re.compile(r"^\d+ \w+, \d\d:00 to \d\d:00.*OpenAI  2", re.DOTALL)
    )
    assert "2 images in 24 hours" in page.locator("#made svg[role=img]").get_attribute("aria-label")
    expect(page.locator("#made .chart-rows")).to_be_hidden()
    page.locator("#made summary").click()
    expect(page.get_by_role("table", name="Images by hour and provider")).to_be_visible()


# -- losing the connection -------------------------------------------------------------------------


def test_after_a_restart_of_the_server_the_stream_resumes_with_nothing_missed(overview, server, provider, me):
    page = overview
    story.ask(provider, 6)
    claims = story.begin(provider, me)
    story.land(claims[0])
    expect(page.locator(f"{TILE} img")).to_have_count(1)
    assert server.stop() < 15, "an open stream does not hold up the end"
    page.wait_for_selector(".live[data-state=lost]")
    expect(page.locator("#lost")).to_be_visible()
    expect(page.locator("#lost")).to_contain_text("Connection lost at")
    for number, claim in enumerate(claims[1:4]):
        story.land(claim, number=number + 1)
    assert page.locator(f"{TILE} img").count() == 1
    server.start()
    live(page)
    expect(page.locator("#lost")).to_be_hidden()
    expect(page.locator(f"{TILE} img")).to_have_count(4)
    for number, claim in enumerate(claims[4:]):
        story.land(claim, number=number + 4)
    expect(page.locator(f"{TILE} img")).to_have_count(6)
    assert same_load(page)


def test_a_page_that_missed_too_much_fetches_itself_and_goes_on(overview, server, provider, me):
    page = overview
    story.ask(provider, 2)
    expect(page.locator("#being-made")).to_have_text("2 waiting, none being made")
    server.stop()
    events.tell([Happening("run", "noise", str(number)) for number in range(1_200)])
    story.ask(provider, 3)
    server.start()
    live(page)
    expect(page.locator("#being-made")).to_have_text("5 waiting, none being made")
    (claim, *_) = story.begin(provider, me, most=1)
    story.land(claim)
    expect(page.locator(f"{TILE} img")).to_have_count(1)
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
    other.wait_for_url("**/accounts/login/?next=%2Fadmin")


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
    page.clock.fast_forward(45_000)
    assert page.evaluate(is_open), "a glance at another tab costs no connection"
    page.clock.fast_forward(16_000)
    page.wait_for_function("document.querySelector('#live')._htmx.sse.reader === null")
    story.ask(provider, 2)
    turn(hidden=False)
    page.clock.run_for(3_000)
    live(page)
    expect(page.locator("#being-made")).to_have_text("2 waiting, none being made")


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
    page.add_init_script(
        "requestAnimationFrame(() => (window.first = document.documentElement.dataset.theme))"
    )
    page.reload()
    page.wait_for_function("'first' in window")
    assert page.evaluate("window.first") == "dark"
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
    expect(page.locator(".toast")).to_have_count(0)


def test_a_chart_is_saved_as_a_picture_and_as_a_sheet(page, admin, sign_in, provider, me):
    story.ask(provider, 2)
    for number, claim in enumerate(story.begin(provider, me)):
        story.land(claim, number=number)
    sign_in(page)
    live(page)
    page.locator("#made summary").click()
    with page.expect_download() as saved:
        page.locator("#made").get_by_role("button", name="PNG").click()
    assert saved.value.suggested_filename == "packshot-made.png"
    picture = pyvips.Image.new_from_file(str(saved.value.path()))
    box = page.locator("#made svg.chart").bounding_box()
    assert (picture.width, picture.height) == (round(box["width"] * 2), round(box["height"] * 2))
    # Bars in the provider's colour, and not one grey field.
    assert picture.colourspace("b-w").deviate() > 5
    with page.expect_download() as saved:
        page.locator("#made").get_by_role("button", name="CSV").click()
    rows = saved.value.path().read_text().splitlines()
    assert rows[0].startswith("Hour,")
    assert sum(int(row.split(",")[-1]) for row in rows[1:] if row.split(",")[-1].isdigit()) >= 2
