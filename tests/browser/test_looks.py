"""Every page in both themes and three widths: readable by everybody, and never wider than the screen."""

from uuid import UUID

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from packshot import ledger
from packshot.accounts import Actor
from packshot.catalogue.models import Image, Product, PromptTemplateVersion
from packshot.flows import wording
from packshot.generations.models import Generation
from packshot.quality.models import Review
from packshot.simulator import Control, Rule
from tests import build
from tests.browser import story
from tests.browser.conftest import live

WIDTHS = {"desk": (1440, 900), "tablet": (1024, 768), "phone": (390, 844)}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
OUTSIDE = ["/accounts/login/", "/accounts/inactive/", "/nowhere"]
INSIDE = [
    "/admin",
    "/admin/queue",
    "/admin/queue?status=failed",
    "/admin/queue?q=nothing-is-called-this",
    "/admin/queue?age=24h&sort=dearest",
    "/admin/queue/actions",
    "/admin/attention",
    "/admin/attention?issue=no_image",
    "/admin/attention?of=snoozed",
    "/review",
    "/review?view=grid",
    "/review?shelf=rejected",
    "/review/reasons",
    "/products",
    "/products?view=list",
    "/products?q=nothing-is-called-this",
    "/admin/budgets",
    "/admin/budgets/new",
    "/imports",
    "/templates",
    "/templates/new",
    "/admin/settings",
    "/admin/settings/people",
    "/admin/providers",
    "/admin/providers?days=7",
    "/compare/providers",
    "/compare/blind/next",
    "/admin/providers?by=category",
    "/admin/settings/providers",
    "/admin/settings/simulator",
    "/admin/settings/site",
    "/admin/settings/about",
    "/accounts/password/change/",
    "/accounts/logout/",
    "/accounts/reauthenticate/",
    "/nowhere",
]


def a_full_desk() -> list[str]:
    """One of everything that pages can show. Returns the addresses of what was made."""
    build.provider_row("openai")
    build.provider_row("flux", simulated=False, on=False)
    build.budget("100")
    provider, me = build.StandIn(), build.process().id
    story.ask(provider, 12)
    claims = story.begin(provider, me, most=10)
    for number, claim in enumerate(claims[:6]):
        story.land(claim, number=number, look=number < 5)
    story.refuse(claims[6], "the prompt names another brand")
    product = Product.objects.get(pk=claims[0].generation.product_id)
    template = a_template_with_a_past([each.generation.id for each in claims[:6]])
    failed = claims[6].generation.id
    (limit,) = ledger.budgets()
    return [
        f"/products/{product.sku}",
        f"/compare?product={product.id}&view=1",
        f"/compare/blind?product={product.id}",
        f"/admin/queue?generation={failed}",
        f"/admin/queue/{failed}",
        f"/admin/budgets/{limit.id}",
        f"/templates/{template}",
        f"/templates/{template}?on=ten&from=1&to=3",
        "/admin/providers/openai",
        "/admin/providers/flux",
        "/admin/providers/openai/price?model=gpt-image-2&quality=high",
    ]


def a_template_with_a_past(generation_ids: list[UUID]) -> UUID:
    """Two versions that were in use, one put back, a draft that some products cannot have; images of one."""
    writer = Actor(None, "ada", "editor")
    made = wording.create("Oils", "A bottle of {{name}}.", writer, category_path="Food > Oils")
    wording.rewrite(made, "A tall bottle of {{name}}.", writer, based_on=1)
    wording.use(made, 1, writer)
    draft = "A jar of {{name}} from {{attribute:farm}}, {{attribute:colour|green}}."
    wording.rewrite(made, draft, writer, based_on=2, use=False)
    first = PromptTemplateVersion.objects.get(template_id=made, number=1)
    Generation.objects.filter(pk__in=generation_ids).update(template_version=first)
    for at, image in enumerate(Image.objects.filter(generation_id__in=generation_ids)[:2]):
        Review.objects.create(image=image, decision="approved" if at else "rejected", decided_by_name="rev")
    return made


def trouble_at(simulator: Control) -> None:
    """Faults of both sorts, over and not, and a charge that nobody knows of."""
    for rule in (
        Rule(action="charge_twice", dialect="flux", times=1),
        Rule(action="cut_before_answer", probability=0.1, prompt="a hemp rope of ten metres, on slate"),
    ):
        simulator.add_fault(rule)
    order = {"prompt": "a mug"}
    httpx.post(f"{simulator.flux_url}/v1/flux-2-pro", json=order, headers={"x-key": "sk"}, trust_env=False)


def problems(page: Page, url: str) -> list[str]:
    """What axe finds on this page, and whether it can be scrolled sideways."""
    found = [
        f"{url}: {violation['id']} at {node['target']}: {node['failureSummary']}"
        for violation in Axe().run(page, options=RULES).response["violations"]
        for node in violation["nodes"]
    ]
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        found.append(f"{url}: wider than the screen")
    # A class that another page lays out otherwise: its columns fall on one line.
    broken = page.evaluate(
        """() => innerWidth <= 720 ? [] : [...document.querySelectorAll("table")]
            .filter((each) => each.checkVisibility() && getComputedStyle(each).display !== "table")
            .map((each) => each.className)"""
    )
    found += [f"{url}: the table .{each} is no table" for each in broken]
    return found


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_can_be_read_by_everybody(
    browser: Browser, server, admin, sign_in, simulator, theme, width
):
    trouble_at(simulator)
    screen = dict(zip(("width", "height"), WIDTHS[width], strict=True))
    # axe brings its own script, which the policy of the page would refuse.
    context = browser.new_context(
        viewport=screen, color_scheme=theme, reduced_motion="reduce", bypass_csp=True
    )
    page = context.new_page()
    found = []
    for url in OUTSIDE:
        page.goto(server.url + url)
        found += problems(page, url)
    page.goto(server.url + "/accounts/login/")
    page.fill("#id_login", "ada")
    page.fill("#id_password", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    found += problems(page, "sign-in with a wrong password")
    sign_in(page)
    found += problems(page, "Overview of a new site")
    for url in [*INSIDE, *a_full_desk()]:
        page.goto(server.url + url)
        if url == "/admin":
            live(page)
        found += problems(page, url)
    page.goto(server.url + "/admin")
    live(page)
    page.keyboard.press("?")
    found += problems(page, "Keyboard shortcuts")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    found += problems(page, "Palette")
    page.keyboard.press("Escape")
    page.evaluate("document.querySelector('#lost').hidden = false")
    page.locator("button[popovertarget=me]:visible, button[popovertarget=more]:visible").click()
    page.evaluate("scrollTo(0, 0)")
    found += problems(page, "Menu and banner")
    context.close()
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("width", [320, 390, 720, 721, 1180, 1181, 2560])
def test_no_width_cuts_anything_off(browser: Browser, server, admin, sign_in, width):
    a_full_desk()
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = sign_in(context.new_page())
    live(page)
    assert problems_sideways(page) == []
    context.close()


def problems_sideways(page: Page) -> list[str]:
    """What reaches out of the window: things in a list that scrolls by itself do not count."""
    return page.evaluate(
        """() => [...document.querySelectorAll("body *")]
            .filter(each => !each.closest("#images, .hidden-text, svg, .skip, dialog, [popover], thead"))
            .filter(each => each.checkVisibility() && each.getBoundingClientRect().right > innerWidth + 0.5)
            .map(each => `${each.tagName}.${each.className} ${each.getBoundingClientRect().right}`)"""
    )
