"""A worker, the simulator and the site's own door: what a callback brings home, and what it never does."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.db import connection, connections, transaction

from packshot import blobs, generations
from packshot.flows.check import check
from packshot.flows.desk import Desk
from packshot.flows.upkeep import Timers
from packshot.generations.models import Attempt, Callback, Evidence, Generation
from packshot.kernel.ids import uuid7
from packshot.providers.contract import Account, ImageRequest, Pending, default_model
from packshot.providers.flux import Flux
from packshot.providers.http import GuardedClient
from packshot.providers.midjourney import Midjourney
from packshot.simulator import Control, Rule, SimulatorConfig, running
from packshot.worker.pay import PayWorker, Settings
from tests import build

pytestmark = pytest.mark.django_db(transaction=True)

SCALE = 20.0
CUT = Rule(action="cut_before_answer", charged=True)


def webhook(action: str, **more: object) -> Rule:
    return Rule.model_validate({"action": action, "path": "/webhook", **more})


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Control]:
    with running(SimulatorConfig(state_dir=tmp_path / "simulator", speed=20.0, image="small")) as control:
        yield control


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    """The site's own doors on a port of this machine."""
    server = ThreadedWSGIServer(("127.0.0.1", 0), Quiet)
    server.set_app(WSGIHandler())
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def desk(simulator: Control, site: str, settings, tmp_path: Path) -> Desk:
    settings.CALLBACK_URL = site
    settings.BLOB_URL = f"file://{tmp_path / 'blobs'}"
    build.provider_row("flux")
    build.budget("10")
    client = GuardedClient(simulator.flux_url, hosts=Flux.hosts)
    flux = Flux(Account("sk-simulated", simulator.flux_url, simulated=True), client)
    return Desk({"flux": flux}, {"flux": True}, {})


@pytest.fixture
def grids(desk: Desk, simulator: Control) -> Desk:
    """The same desk with Midjourney instead."""
    build.provider_row("midjourney")
    url = simulator.midjourney_url
    midjourney = Midjourney(
        Account("simulated", url, simulated=True), GuardedClient(url, hosts=Midjourney.hosts)
    )
    return Desk({"midjourney": midjourney}, {"midjourney": True}, {})


def ask(desk: Desk, count: int = 1) -> list[UUID]:
    (provider,) = desk.providers.values()
    request = ImageRequest(default_model(provider).id, "A stoneware mug on slate")
    quote = provider.quote(request)
    wanted = [
        generations.Wanted(
            id=uuid7(),
            product_id=build.product().id,
            provider=provider.name,
            model=request.model,
            simulated=True,
            prompt=request.prompt,
            template_version_id=None,
            shape=request.shape,
            images=1,
            seed=None,
            options={},
            priority=0,
            expected_micros=quote.expected,
            ceiling_micros=quote.ceiling,
            price_version=quote.price_version,
        )
        for _ in range(count)
    ]
    with transaction.atomic():
        asked = generations.request(
            wanted,
            key=uuid4().hex,
            fingerprint="f" * 64,
            title="a story",
            person_id=None,
            person_name="ed",
            quoted_micros=None,
        )
    return list(asked.generation_ids)


def work(desk: Desk, settings, until: Callable[[], bool], *, within_s: float = 60.0) -> float:
    """Let a worker work until that is so, then drain it. Returns how long it took."""
    took = 0.0

    def looked() -> bool:
        try:
            return until()
        finally:
            connections.close_all()

    async def story() -> None:
        nonlocal took
        store = blobs.open_store(settings.BLOB_URL)
        worker = PayWorker(desk, store, Settings(timers=Timers.scaled(SCALE), timer_scale=SCALE))
        serving = asyncio.create_task(worker.serve())
        began = time.monotonic()
        try:
            while not await asyncio.to_thread(looked):
                assert time.monotonic() - began < within_s, "it did not come true in time"
                assert not serving.done(), serving.result()
                await asyncio.sleep(0.02)
            took = time.monotonic() - began
        finally:
            worker._on_signal()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(serving, 30)

    asyncio.run(story())
    with connection.cursor() as cursor:  # the connections of its threads, which ended with it
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
    return took


def all_done() -> bool:
    return not Generation.objects.exclude(status__in=["completed", "failed", "cancelled"]).exists()


def nothing_moves() -> bool:
    return (
        not Generation.objects.filter(status__in=["pending", "processing"]).exists()
        and not Callback.objects.filter(handled_at=None).exists()
    )


def dollars(control: Control) -> Fraction:
    return sum((line.dollars for line in control.bill()), Fraction(0))


def kinds() -> list[str]:
    return sorted(Evidence.objects.values_list("kind", flat=True))


def test_a_submission_whose_answer_was_cut_ends_with_its_image_by_a_callback(desk, simulator, settings):
    simulator.set_faults(CUT)
    ask(desk, 4)
    work(desk, settings, all_done)
    assert {each.state for each in Attempt.objects.all()} == {"succeeded"}
    assert kinds() == ["callback"] * 4
    assert (len(simulator.requests()), len(simulator.bill()), Attempt.objects.count()) == (4, 4, 4)
    # Only the lost answer and the bill name the cost: until it is known the money stays held.
    assert {each.cost_micros for each in Attempt.objects.all()} == {None}
    held = sum(each.reserved_micros for each in Attempt.objects.all())
    assert build.balances() == (0, held)
    assert held >= dollars(simulator) * 1_000_000
    assert check(strict=True).problems == ()


def test_without_a_callback_it_stays_uncertain_and_is_not_sent_again(desk, simulator, settings):
    simulator.set_faults(CUT, webhook("drop"))
    ask(desk)
    work(desk, settings, lambda: Generation.objects.filter(status="uncertain").exists())
    work(desk, settings, nothing_moves)
    assert (len(simulator.requests()), Attempt.objects.get().state) == (1, "uncertain")
    assert not Evidence.objects.exists()


def test_an_early_one_does_no_harm(desk, simulator, settings):
    simulator.set_faults(webhook("early"))
    ask(desk, 3)
    work(desk, settings, lambda: all_done() and nothing_moves())
    assert {(each.state, each.cost_micros is None) for each in Attempt.objects.all()} == {
        ("succeeded", False)
    }
    assert (kinds(), len(simulator.requests()), Callback.objects.count()) == ([], 3, 3)
    assert build.balances() == (int(dollars(simulator) * 1_000_000), 0)
    assert check(strict=True).problems == ()


def test_an_early_one_of_a_lost_answer_is_not_lost_with_it(desk, simulator, settings):
    simulator.set_faults(CUT, webhook("early"))
    ask(desk)
    work(desk, settings, all_done)
    assert (Attempt.objects.get().state, kinds()) == ("succeeded", ["callback"])
    assert len(simulator.bill()) == 1


def test_fifty_copies_and_one_that_comes_after_the_end_change_nothing(desk, simulator, settings):
    simulator.set_faults(webhook("duplicate", copies=50, nth=1), webhook("slow", delay_s=2.0))
    ask(desk, 2)
    work(desk, settings, lambda: all_done() and Callback.objects.count() == 2 and nothing_moves())
    assert {each.state for each in Attempt.objects.all()} == {"succeeded"}
    assert (kinds(), len(simulator.requests())) == ([], 2)
    assert build.balances() == (int(dollars(simulator) * 1_000_000), 0)
    assert check(strict=True).problems == ()


def test_a_refusal_that_is_reported_is_fetched_and_believed(desk, simulator, settings):
    simulator.set_faults(Rule(action="moderation_output"))
    ask(desk)
    work(desk, settings, lambda: all_done() and nothing_moves())
    assert Attempt.objects.get().state == "failed_charged"
    assert len(simulator.requests()) == 1


def test_a_callback_saves_the_wait_until_the_next_look(desk, simulator, settings, monkeypatch):
    """Polls that would come a minute apart: the image is here when it is reported, not a minute later."""
    monkeypatch.setattr("packshot.providers.flux.Pending", lambda after_s: Pending(60.0 * SCALE))
    ask(desk)
    took = work(desk, settings, all_done)
    assert Attempt.objects.get().state == "succeeded"
    assert took < 30


def test_a_grid_is_made_reported_at_every_step_and_booked_at_what_was_billed(grids, simulator, settings):
    ask(grids, 4)
    work(grids, settings, lambda: all_done() and nothing_moves())
    assert {each.state for each in Attempt.objects.all()} == {"succeeded"}
    assert Callback.objects.count() > 4, "every step is reported"
    assert (kinds(), len(simulator.requests())) == ([], 4)
    assert build.balances() == (int(dollars(simulator) * 1_000_000), 0)
    assert check(strict=True).problems == ()


def test_a_grid_whose_order_was_cut_is_found_by_an_unsigned_report_and_its_price_is_known(
    grids, simulator, settings
):
    simulator.set_faults(CUT)
    ask(grids, 3)
    work(grids, settings, lambda: all_done() and nothing_moves())
    assert {each.state for each in Attempt.objects.all()} == {"succeeded"}
    assert kinds() == ["callback"] * 3
    assert (len(simulator.requests()), len(simulator.bill())) == (3, 3), "nothing was sent twice"
    # The price is the team's own, so the report of the task is enough to book it.
    assert build.balances() == (int(dollars(simulator) * 1_000_000), 0)
    assert check(strict=True).problems == ()


def test_a_grid_whose_order_was_cut_stays_uncertain_without_a_report(grids, simulator, settings):
    simulator.set_faults(CUT, webhook("drop"))
    ask(grids)
    work(grids, settings, lambda: Generation.objects.filter(status="uncertain").exists())
    work(grids, settings, nothing_moves)
    assert (len(simulator.requests()), Attempt.objects.get().state) == (1, "uncertain")
