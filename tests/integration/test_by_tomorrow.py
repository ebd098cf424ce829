"""What may come by tomorrow, through the shipped worker against the simulator: one order for many, half the
price, and no second order whatever happens to the first."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from packshot import blobs, generations, reports
from packshot.accounts import Actor
from packshot.catalogue.models import Image
from packshot.flows import admit, generate
from packshot.flows.check import check
from packshot.flows.close import Completion, close
from packshot.flows.desk import Desk
from packshot.flows.upkeep import Timers
from packshot.generations.models import Attempt, Batch, Evidence, Generation, Process
from packshot.kernel.errors import Refused
from packshot.kernel.ids import uuid7
from packshot.providers.contract import (
    BY_TOMORROW,
    DELIVERY,
    Account,
    AttemptRef,
    ImageRequest,
    Line,
    default_model,
)
from packshot.providers.http import GuardedClient
from packshot.providers.openai import OpenAI
from packshot.simulator import Control, Rule, SimulatorConfig, running
from packshot.simulator.faults import BATCHES_PATH
from packshot.worker.pay import PayWorker, Settings
from tests import build

pytestmark = pytest.mark.django_db(transaction=True)

SCALE = 60.0
TOMORROW = {DELIVERY: BY_TOMORROW}


def of_orders(action: str, **more: object) -> Rule:
    return Rule.model_validate({"action": action, "dialect": "openai", "path": BATCHES_PATH, **more})


@pytest.fixture
def window_s() -> float:
    """A day, which no test sees the end of."""
    return 86_400.0


@pytest.fixture
def batch_s() -> float:
    """How long an order takes."""
    return 0.3


# As long as somebody needs on a busy machine to see an order at rest, and to end whoever made it.
LONG_S = 6.0


@pytest.fixture
def config(tmp_path: Path, window_s: float, batch_s: float) -> SimulatorConfig:
    return SimulatorConfig(
        state_dir=tmp_path / "simulator",
        image="small",
        openai_latency_s=(0.05, 0.1),
        openai_batch_latency_s=(batch_s, batch_s),
        openai_batch_window_s=window_s,
    )


@pytest.fixture
def simulator(config: SimulatorConfig) -> Iterator[Control]:
    with running(config) as control:
        yield control


@pytest.fixture
def desk(simulator: Control, settings, tmp_path: Path) -> Desk:
    settings.BLOB_URL = f"file://{tmp_path / 'blobs'}"
    build.provider_row("openai")
    build.budget("10")
    client = GuardedClient(simulator.openai_url)
    openai = OpenAI(Account("sk-simulated", simulator.openai_url, simulated=True), client)
    return Desk({"openai": openai}, {"openai": True}, {})


def ask(desk: Desk, count: int = 1, *, prompt: str = "A stoneware mug on slate", tomorrow: bool = True):
    (provider,) = desk.providers.values()
    options = TOMORROW if tomorrow else {}
    request = ImageRequest(default_model(provider).id, prompt, options=options)
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
            options=options,
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


def work(desk: Desk, settings, until: Callable[[], bool], *, within_s: float = 90.0) -> None:
    """Let a worker work until that is so, then drain it."""

    def looked() -> bool:
        try:
            return until()
        finally:
            connections.close_all()

    async def story() -> None:
        store = blobs.open_store(settings.BLOB_URL)
        worker = PayWorker(desk, store, Settings(timers=Timers.scaled(SCALE), timer_scale=SCALE))
        serving = asyncio.create_task(worker.serve())
        began = time.monotonic()
        try:
            while not await asyncio.to_thread(looked):
                assert time.monotonic() - began < within_s, "it did not come true in time"
                assert not serving.done(), serving.result()
                await asyncio.sleep(0.02)
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


def all_done() -> bool:
    return not Generation.objects.exclude(status__in=["completed", "failed", "cancelled"]).exists()


def all_rest() -> bool:
    return set(Attempt.objects.values_list("state", flat=True)) == {"accepted"}


def states() -> list[str]:
    return sorted(Attempt.objects.values_list("state", flat=True))


def statuses() -> list[str]:
    return sorted(Generation.objects.values_list("status", flat=True))


def orders(control: Control) -> int:
    return sum(each.path == BATCHES_PATH for each in control.requests())


def billed_micros(control: Control) -> int:
    """Each charge rounded up once, as a charge of ours is."""
    return sum(-(-line.dollars * 1_000_000 // 1) for line in control.bill())


def dead(desk: Desk, *, ordered: bool) -> None:
    """A worker that wrote `sending`, ordered or did not, and was killed before it heard the answer."""
    (provider,) = desk.providers.values()
    assert isinstance(provider, OpenAI)
    me = generations.enrol("pay")
    claims = admit.admit(provider, process_id=me.id, most=100, tomorrow=True)
    assert claims
    assert len(admit.start_sending(claims, process_id=me.id)) == len(claims)
    if ordered:
        lines = [
            Line(admit.image_request(each.generation, provider), AttemptRef(each.attempt_id, 1, 60.0))
            for each in claims
        ]
        batch_id = claims[0].batch_id
        assert batch_id is not None

        async def send() -> None:
            await provider.order(lines, batch_id)
            await provider._client.aclose()

        asyncio.run(send())
    assert Process.objects.get(pk=me.id).ended_at is None


def test_many_go_as_one_order_at_half_the_price_and_bill_equals_ledger(desk, simulator, settings):
    ask(desk, 5)
    work(desk, settings, all_done)
    assert (states(), statuses()) == (["succeeded"] * 5, ["completed"] * 5)
    assert (orders(simulator), len(simulator.bill()), Batch.objects.count()) == (1, 5, 1)
    assert build.balances() == (billed_micros(simulator), 0)
    (provider,) = desk.providers.values()
    now = provider.quote(ImageRequest("gpt-image-2", "A stoneware mug on slate"))
    assert {each.cost_micros for each in Attempt.objects.all()} == {simulator.bill()[0].dollars * 1_000_000}
    assert all(each.cost_micros < now.expected * Fraction(51, 100) for each in Attempt.objects.all())
    assert Batch.objects.get().look_at is None, "nothing of it is open, so nobody looks any more"
    assert reports.providers()[0].p50_s is None, "a day in a batch says nothing of how fast a call is"
    bill = {line.request_id for line in simulator.bill()}
    assert set(Attempt.objects.values_list("request_id", flat=True)) == bill
    assert check(strict=True).problems == ()


def test_it_rests_with_nobody_while_what_is_wanted_now_has_every_seat(desk, simulator, settings):
    with transaction.atomic():
        generations.set_limits("openai", max_in_flight=1, per_minute=None)
    simulator.set_faults(of_orders("never_ready"))
    ask(desk, 3)
    work(desk, settings, all_rest)
    assert generations.open_gate("openai").room == 1, "what rests takes no seat"
    assert list(Process.objects.filter(ended_at=None)) == [], "the drain left it to a successor at once"
    now = ask(desk, tomorrow=False)
    work(desk, settings, lambda: Generation.objects.get(pk=now[0]).status == "completed")
    assert states() == ["accepted"] * 3 + ["succeeded"]
    assert orders(simulator) == 1, "no successor orders again"
    assert check(strict=True).problems == ()


@pytest.mark.parametrize("batch_s", [LONG_S])
def test_a_successor_collects_what_a_drained_worker_ordered(desk, simulator, settings):
    ask(desk, 3)
    work(desk, settings, all_rest)
    work(desk, settings, all_done)
    assert (states(), orders(simulator), len(simulator.bill())) == (["succeeded"] * 3, 1, 3)
    assert set(Generation.objects.values_list("worker_deaths", flat=True)) == {0}


@pytest.mark.parametrize("batch_s", [LONG_S])
def test_what_was_ended_by_somebodys_word_is_kept_and_booked_when_it_comes_all_the_same(
    desk, simulator, settings
):
    ask(desk, 3)
    work(desk, settings, all_rest)
    given_up = Attempt.objects.order_by("id")[0]
    error = Refused("not charged: so it seemed", kind="worker_lost", charge="free")
    with transaction.atomic():
        close([Completion(given_up.pk, error=error, note="so it seemed")], slot=0)
    assert Attempt.objects.get(pk=given_up.pk).state == "failed_free"
    work(desk, settings, lambda: Image.objects.count() == 3)
    assert Image.objects.filter(attempt_id=given_up.pk).exists()
    assert build.balances() == (billed_micros(simulator), 0)
    assert orders(simulator) == 1


def test_what_is_long_overdue_can_be_settled_by_a_person_and_what_is_looked_for_cannot(
    desk, simulator, settings
):
    simulator.set_faults(of_orders("never_ready"))
    ids = ask(desk, 1)
    work(desk, settings, all_rest)
    assert generations.unsettled(ids[0]) is None
    Attempt.objects.update(sending_at=timezone.now() - timedelta(hours=30))
    overdue = generations.unsettled(ids[0])
    assert overdue is not None and not overdue.looked_for
    ada = Actor(None, "ada", "administrator")
    generate.resolve(ids[0], "free", ada, note="their page shows no such batch")
    assert states() == ["failed_free"]
    assert build.balances() == (0, 0)


def test_an_order_cut_at_its_creation_is_found_by_its_name(desk, simulator, settings):
    simulator.set_faults(of_orders("cut_before_answer", times=1))
    ask(desk, 3)
    work(desk, settings, all_done)
    assert (states(), orders(simulator), len(simulator.bill())) == (["succeeded"] * 3, 1, 3)
    assert list(Evidence.objects.values_list("kind", flat=True)) == ["lookup"] * 3
    assert build.balances() == (billed_micros(simulator), 0)
    assert check(strict=True).problems == ()


def test_one_that_never_arrived_ends_at_no_cost_and_is_ordered_anew(desk, simulator, settings):
    simulator.set_faults(of_orders("cut_before_answer", charged=False, times=1))
    ask(desk, 2)
    work(desk, settings, all_done)
    assert states() == ["failed_free"] * 2 + ["succeeded"] * 2
    # Each goes back to the queue at a moment of its own, so they may go out together again or not.
    assert orders(simulator) == Batch.objects.count() > 1
    assert len(simulator.bill()) == 2
    assert list(Evidence.objects.values_list("kind", flat=True)) == ["lookup"] * 2
    assert build.balances() == (billed_micros(simulator), 0)


@pytest.mark.parametrize("ordered", [True, False], ids=["after the order", "before the order"])
def test_a_worker_killed_around_its_order_leaves_a_look_up_and_no_second_order(
    desk, simulator, settings, ordered
):
    ask(desk, 3)
    dead(desk, ordered=ordered)
    work(desk, settings, all_done)
    assert statuses() == ["completed"] * 3
    assert len(simulator.bill()) == 3
    assert orders(simulator) == (1 if ordered else Batch.objects.count() - 1)
    first = ["succeeded"] * 3 if ordered else ["failed_free"] * 3 + ["succeeded"] * 3
    assert states() == first
    assert list(Evidence.objects.values_list("kind", flat=True)) == ["lookup"] * 3
    assert build.balances() == (billed_micros(simulator), 0)
    assert check(strict=True).problems == ()


@pytest.mark.parametrize("window_s", [2.0])
def test_a_batch_that_expires_pays_for_what_it_made_and_for_nothing_else(desk, simulator, settings):
    simulator.set_faults(of_orders("never_ready"))
    ask(desk, 4)
    work(desk, settings, all_done)
    assert statuses() == ["completed"] * 2 + ["failed"] * 2
    assert states() == ["failed_free"] * 2 + ["succeeded"] * 2
    assert set(Generation.objects.filter(status="failed").values_list("error_kind", flat=True)) == {"expired"}
    assert len(simulator.bill()) == 2
    assert build.balances() == (billed_micros(simulator), 0)


def test_lines_that_fail_are_free_and_the_others_are_delivered(desk, simulator, settings):
    simulator.set_faults(Rule(action="moderation_input", prompt="forbidden"))
    ask(desk, 2)
    ask(desk, 1, prompt="A forbidden logo")
    work(desk, settings, all_done)
    assert states() == ["failed_free", "succeeded", "succeeded"]
    assert Generation.objects.get(status="failed").error_kind == "refused"
    assert build.balances() == (billed_micros(simulator), 0)


def test_a_batch_that_is_not_begun_is_free(desk, simulator, settings):
    simulator.set_faults(of_orders("task_error"))
    ask(desk, 2)
    work(desk, settings, all_done)
    assert (states(), statuses()) == (["failed_free"] * 2, ["failed"] * 2)
    assert (simulator.bill(), build.balances()) == ([], (0, 0))


def test_results_that_are_gone_stay_held_because_they_were_charged(desk, simulator, settings):
    simulator.set_faults(of_orders("dead_link"))
    ask(desk, 2)
    work(desk, settings, all_done)
    assert (states(), statuses()) == (["charged_no_image"] * 2, ["failed"] * 2)
    spent, held = build.balances()
    assert spent == 0
    assert held >= billed_micros(simulator) > 0
    assert all(each.cost_micros is None for each in Attempt.objects.all())


def test_a_cancel_calls_the_batch_off_and_what_was_not_made_costs_nothing(desk, simulator, settings):
    simulator.set_faults(of_orders("never_ready"))
    ids = ask(desk, 2)
    work(desk, settings, all_rest)
    made = len(simulator.bill())
    assert generate.cancel(ids, build.EDITOR).on_their_way == 2
    work(desk, settings, all_done)
    assert "cancelled" in statuses()
    assert len(simulator.bill()) == max(made, states().count("succeeded"))
    assert Batch.objects.get().state == "cancelled"
    assert build.balances() == (billed_micros(simulator), 0)


@pytest.mark.parametrize("batch_s", [LONG_S])
def test_one_cancelled_line_does_not_take_the_others_with_it(desk, simulator, settings):
    ids = ask(desk, 3)
    work(desk, settings, all_rest)
    generate.cancel(ids[:1], build.EDITOR)
    work(desk, settings, all_done)
    # It was made with the others: what is paid for is kept.
    assert (states(), Batch.objects.get().state) == (["succeeded"] * 3, "completed")


def test_what_has_no_room_at_the_service_waits_and_leaves_the_direct_lane_alone(desk, simulator, settings):
    simulator.set_faults(of_orders("rate_limited", times=1, retry_after_s=1.0))
    ask(desk, 2)
    work(desk, settings, all_done)
    assert states() == ["failed_free"] * 2 + ["succeeded"] * 2
    assert generations.open_gate("openai").closed is None
