"""A new administrator finds out why a provider fails, and lets another make what it did not, at a price."""

import re
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from packshot import catalogue
from packshot.generations.models import Generation
from packshot.kernel.errors import BadAnswer
from tests import build
from tests.browser import story
from tests.browser.conftest import live


@pytest.fixture
def refused(server) -> set[UUID]:
    """OpenAI does well. FLUX refused three, and gave no usable answer for two. Returns the refused ones."""
    catalogue.save_template("General", "A packshot of {{name}}.")
    build.budget("100")
    me = build.process().id
    for name in ("openai", "flux"):
        build.provider_row(name)
    story.ask(build.StandIn("openai"), 4)
    for number, claim in enumerate(story.begin(build.StandIn("openai"), me)):
        story.land(claim, number=number)
    story.ask(build.StandIn("flux"), 5)
    claims = story.begin(build.StandIn("flux"), me)
    for claim in claims[:3]:
        story.refuse(claim)
    for claim in claims[3:]:
        build.end(build.failed(claim, BadAnswer("no image in the answer", kind="bad_answer")))
    return {claim.generation.id for claim in claims[:3]}


def test_from_the_overview_to_the_price_and_only_the_right_ones(page: Page, admin, sign_in, refused):
    sign_in(page)
    live(page)
    # Why: the provider that does badly, and what it says.
    page.locator("#providers").get_by_role("link", name="FLUX").click()
    page.wait_for_url("**/admin/providers/flux")
    errors = page.locator("#errors")
    expect(errors).to_contain_text("Change the prompt")
    errors.get_by_role("link", name="Content refused").click()
    # Which: those, and no others.
    page.wait_for_url(re.compile(r"/admin/queue\?.*error=refused"))
    live(page)
    expect(page.locator("[data-row]")).to_have_count(3)
    page.locator("#check-all").check()
    page.locator(".bulk").get_by_role("button", name="Elsewhere").click()
    # Whom, and for how much: nothing is bought before both are known.
    whom = page.get_by_role("dialog", name="Retry 3 generations with another provider")
    whom.get_by_label("Provider and model").select_option("openai/gpt-image-2")
    whom.get_by_role("button", name="See the price").click()
    ask = page.get_by_role("dialog").get_by_role("button", name=re.compile(r"Ask for 3 images \$0\.\d+"))
    expect(ask).to_be_visible()
    assert Generation.objects.count() == 9
    page.wait_for_function("() => ![...document.forms].some((form) => form._sent)")
    ask.click()
    expect(page.locator("#toasts [data-words]").last).to_have_text(re.compile("3 images asked of"))
    made = Generation.objects.exclude(retry_of=None)
    assert {each.retry_of_id for each in made} == refused
    assert {each.provider_id for each in made} == {"openai"}
