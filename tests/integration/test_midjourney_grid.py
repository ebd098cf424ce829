"""Midjourney from a grid to one of its four, the whole way: asked, queued, made, kept, gone on from, paid."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from packshot.accounts import Actor
from packshot.catalogue import products
from packshot.catalogue.models import Image
from packshot.flows import desk as desks
from packshot.flows import generate, inputs, look
from packshot.flows.check import check
from packshot.flows.desk import Desk
from packshot.flows.generate import Ask
from packshot.generations.models import Attempt, Generation
from packshot.imaging.header import read_header
from packshot.kernel.errors import BadInput
from packshot.providers.contract import AS_INPUT, Account
from packshot.providers.http import GuardedClient
from packshot.providers.midjourney import Midjourney
from packshot.simulator import Control, SimulatorConfig, running
from tests import build
from tests.browser import story
from tests.integration.test_callbacks_worker import all_done, dollars, work

pytestmark = pytest.mark.django_db(transaction=True)

ADA = Actor(None, "ada", "administrator")


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Control]:
    with running(SimulatorConfig(state_dir=tmp_path / "simulator", speed=50.0, image="small")) as control:
        yield control


@pytest.fixture
def desk(simulator: Control, settings, tmp_path: Path) -> Iterator[Desk]:
    settings.BLOB_URL = f"file://{tmp_path / 'blobs'}"
    settings.SIMULATOR = "on"
    desks.quoting.cache_clear()
    build.provider_row("midjourney")
    build.budget("10")
    url = simulator.midjourney_url
    client = GuardedClient(url, hosts=Midjourney.hosts)
    yield Desk(
        {"midjourney": Midjourney(Account("s", url, simulated=True), client)}, {"midjourney": True}, {}
    )
    desks.quoting.cache_clear()


def made(desk: Desk, settings, ask: Ask, key: str) -> Image:
    """The one image that comes of it."""
    agreed = generate.offer(ask, ADA).expected_micros
    asked = generate.request(ask, ADA, request_key=key, agreed_micros=agreed)
    work(desk, settings, all_done)
    generation = Generation.objects.get(pk=asked.generation_ids[0])
    assert generation.status == "completed", generation.error_message
    return Image.objects.get(generation=generation)


def grid_of(desk: Desk, settings) -> tuple[Image, Ask]:
    rows = products.by_sku([build.product().sku])
    ask = Ask(
        rows, "midjourney", prompt="{{name}} on slate", shape="4:5", negative_prompt="people",
        options={"stylize": 50},
    )  # fmt: skip
    return made(desk, settings, ask, "a grid of four"), ask


def going_on(ask: Ask, image: Image, model: str, quadrant: int) -> Ask:
    return Ask(
        ask.products, "midjourney", model=model, prompt="", shape=AS_INPUT,
        options={"quadrant": quadrant}, inputs=(inputs.of_image(image.id),),
    )  # fmt: skip


def test_one_of_the_four_is_a_second_paid_step_that_goes_on_from_the_first(desk, simulator, settings):
    grid, ask = grid_of(desk, settings)
    assert grid.handle["grid"] is True
    assert set(grid.handle["buttons"]) == {"U1", "U2", "U3", "U4", "V1", "V2", "V3", "V4"}
    one = made(desk, settings, going_on(ask, grid, "midjourney-upscale", 2), "the second of it")
    assert (one.width_px * 2, one.height_px * 2) == (grid.width_px, grid.height_px)
    assert one.handle is None
    varied = made(desk, settings, going_on(ask, grid, "midjourney-variation", 3), "four like it")
    again = made(desk, settings, going_on(ask, varied, "midjourney-upscale", 4), "one of those")
    assert (again.width_px, again.height_px) == (one.width_px, one.height_px)
    assert {read_header(look.store().get(each.blob)).media_type for each in (grid, one, varied)} == {
        "image/png"
    }
    assert [line.model for line in simulator.bill()] == ["imagine default", *["action default"] * 3]
    assert Attempt.objects.count() == 4
    assert build.balances() == (int(dollars(simulator) * 1_000_000), 0)
    assert check(strict=True).problems == ()


def test_what_is_no_grid_cannot_be_gone_on_from_and_is_never_queued(desk, simulator, settings):
    grid, ask = grid_of(desk, settings)
    one = made(desk, settings, going_on(ask, grid, "midjourney-upscale", 1), "the first of it")
    with pytest.raises(BadInput, match="this one has none") as refused:
        generate.offer(going_on(ask, one, "midjourney-upscale", 1), ADA)
    assert refused.value.field == "inputs"
    Image.objects.filter(pk=one.pk).update(handle={"task": "x", "grid": False})
    with pytest.raises(BadInput, match="not a grid"):
        generate.offer(going_on(ask, one, "midjourney-upscale", 1), ADA)
    assert len(simulator.requests()) == Generation.objects.count() == 2


def test_a_parameter_in_a_prompt_is_refused_before_anything_is_queued(desk, settings):
    rows = products.by_sku([build.product("Apron --repeat 10").sku])
    with pytest.raises(BadInput, match="--repeat"):
        generate.offer(Ask(rows, "midjourney", prompt="{{name}} on slate"), ADA)
    assert not Generation.objects.exists()


# -- the same by the page ----------------------------------------------------------------------------


@pytest.fixture
def admin(client):
    client.force_login(story.person())
    return client


def fields(html: str, model: str) -> dict[str, str]:
    """What the page's form would send for this way on."""
    form = html[html.index('action="/admin/queue/follow"') :].partition("</form>")[0]
    hidden = dict(re.findall(r'<input type="hidden" name="([\w.-]+)" value="([^"]*)"', form))
    return {**hidden, "model": model, "quadrant": "2"}


def test_the_page_offers_the_four_and_asks_once_at_the_price_on_the_button(desk, simulator, settings, admin):
    grid, _ = grid_of(desk, settings)
    html = admin.get(f"/admin/queue/{grid.generation_id}").text
    assert "Make it alone $0." in html
    assert "Make four like it $0." in html
    sent = fields(html, "midjourney-upscale")
    for _ in range(2):  # a double click
        assert admin.post("/admin/queue/follow", sent).status_code == 303
    made_by_page = Generation.objects.exclude(pk=grid.generation_id).get()
    assert (made_by_page.model, made_by_page.options) == ("midjourney-upscale", {"quadrant": 2})
    assert made_by_page.inputs[0]["image_id"] == str(grid.id)
    assert made_by_page.product_id == grid.product_id


@pytest.mark.parametrize(
    "wrong",
    [
        {"quadrant": "5"},
        {"quadrant": ""},
        {"quadrant": "9" * 5_000},
        {"model": "midjourney-8.1"},
        {"model": "x"},
    ],
)
def test_the_page_refuses_what_is_no_way_on(desk, simulator, settings, admin, wrong):
    grid, _ = grid_of(desk, settings)
    sent = fields(admin.get(f"/admin/queue/{grid.generation_id}").text, "midjourney-upscale")
    admin.post("/admin/queue/follow", sent | wrong)
    assert Generation.objects.count() == 1


def test_one_alone_offers_nothing_more(desk, simulator, settings, admin):
    grid, ask = grid_of(desk, settings)
    one = made(desk, settings, going_on(ask, grid, "midjourney-upscale", 1), "the first of it")
    assert "/admin/queue/follow" not in admin.get(f"/admin/queue/{one.generation_id}").text
