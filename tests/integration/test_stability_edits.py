"""Stability's edits through the real flow, on the simulator: a picture in, one kept, a bill that agrees."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pyvips
from asgiref.sync import async_to_sync, sync_to_async

from packshot import blobs, catalogue
from packshot.catalogue.models import Image
from packshot.flows import admit, generate, inputs, look
from packshot.flows.close import Completion
from packshot.flows.generate import Ask
from packshot.flows.run import Surroundings, run
from packshot.generations import Claim
from packshot.kernel.money import micros
from packshot.providers import registry
from packshot.providers.contract import AS_INPUT, Account, Provider, Ticket
from packshot.simulator import Control, SimulatorConfig, running
from packshot.worker.shelf import Shelf
from tests import build

pytestmark = pytest.mark.django_db

SPEED = 50.0


class Lines:
    """The worker's lines, one row a transaction."""

    def __init__(self, process_id: Any) -> None:
        self.process_id = process_id
        self.waited: list[float] = []

    async def sending(self, claim: Claim) -> bool:
        sent = await sync_to_async(admit.start_sending)([claim], process_id=self.process_id)
        return claim.attempt_id in sent

    async def accepted(self, claim: Claim, ticket: Ticket) -> None:
        tickets = {claim.attempt_id: (ticket.state, ticket.request_id or "", ticket.cost)}
        await sync_to_async(admit.accept)(tickets)

    async def closing(self, completion: Completion) -> None:
        await sync_to_async(build.end)(completion)

    async def came_to_nothing(self, claim: Claim) -> None:
        raise AssertionError("no ticket here is from a callback")

    async def until_next_look(self, attempt_id: object, at_most_s: float) -> None:
        self.waited.append(at_most_s)
        await asyncio.sleep(at_most_s)

    def store_trouble(self, problem: str | None) -> None:
        assert problem is None


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    config = SimulatorConfig(tmp_path_factory.mktemp("simulator"), speed=SPEED)
    with running(config) as control:
        yield control


@pytest.fixture
def provider(simulator: Control, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Provider:
    build.provider_row("stability")
    build.budget("100")
    store = blobs.open_store(f"file://{tmp_path / 'blobs'}")
    monkeypatch.setattr(look, "store", lambda: store)
    return registry.build("stability", Account("sk-simulated", simulator.stability_url, simulated=True))


def picture(*, alpha: bool = False) -> bytes:
    image = pyvips.Image.black(320, 240, bands=3).linear(1, [240, 238, 232]).cast("uchar")
    image = image.draw_circle([180, 40, 40], 160, 120, 80, fill=True)
    if alpha:
        hole = pyvips.Image.black(320, 240).linear(1, 255).cast("uchar")
        image = image.bandjoin(hole.draw_circle(0, 160, 120, 30, fill=True))
    content: bytes = image.copy(interpretation="srgb").write_to_buffer(".png")
    return content


@pytest.mark.parametrize(
    ("model", "prompt", "options", "size", "dollars"),
    [
        ("remove-background", "", {}, (320, 240), "0.05"),
        ("inpaint", "{{name}} on slate", {"grow_mask": 9}, (320, 240), "0.05"),
        ("outpaint", "", {"left": 80}, (400, 240), "0.04"),
        ("search-and-replace", "{{name}}", {"search_prompt": "the disc"}, (320, 240), "0.05"),
        ("replace-background-and-relight", "slate", {}, (320, 240), "0.08"),
        ("upscale-creative", "{{name}}", {"creativity": "0.2"}, (2365, 1774), "0.6"),
    ],
)
def test_an_edit_is_asked_for_paid_and_kept(simulator, provider, model, prompt, options, size, dollars):
    billed_before = len(simulator.bill())
    given = inputs.of_file(picture(alpha=True), build.EDITOR)
    ask = Ask(
        catalogue.by_sku([build.product().sku]), "stability", model, prompt=prompt, shape=AS_INPUT,
        options=options, inputs=(given,),
    )  # fmt: skip
    price = micros(dollars)
    generate.request(ask, build.EDITOR, request_key=uuid4().hex, agreed_micros=price)
    process = build.process()
    (claim,) = admit.admit(provider, process_id=process.id, most=10)
    lines = Lines(process.id)
    around = Surroundings(lines, Shelf(look.store()), timer_scale=SPEED)

    async def story() -> None:
        await run(claim, provider, around)
        await provider._client.aclose()

    async_to_sync(story)()
    attempt, generation = build.attempt(claim), build.generation(claim)
    assert (attempt.state, generation.status) == ("succeeded", "completed"), attempt.error_message
    image = Image.objects.get(generation_id=generation.pk)
    assert (image.width_px, image.height_px) == size
    assert build.balances() == (price, 0)
    (line,) = simulator.bill()[billed_before:]
    assert (micros(line.dollars), line.reference) == (price, attempt.request_id)
    assert all(each >= 10 / SPEED for each in lines.waited), "ten seconds lie between looks"
