"""From the queue to calls that may be made: order, limits, budgets, the stop switch."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from packshot import generations, ledger
from packshot.events.models import Event
from packshot.flows import admit, generate
from packshot.flows.check import check
from packshot.generations.models import Attempt, Generation, ProviderRecord
from packshot.kernel.errors import BadInput
from packshot.kernel.money import micros
from packshot.ledger.models import Reservation
from tests import build

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider():
    build.provider_row()
    return build.StandIn()


def test_a_claim_holds_its_ceiling_before_anything_is_sent(provider):
    build.budget("10")
    build.asked(provider)
    (claim,) = build.claimed(provider)
    assert build.attempt(claim).state == "intent"
    assert build.generation(claim).status == "processing"
    assert Reservation.objects.get().amount_micros == 40_000
    assert build.balances() == (0, 40_000)


def test_exactly_the_affordable_number_is_claimed_and_the_rest_says_why_it_waits(provider):
    build.budget("0.10")
    build.asked(provider, 5)
    assert len(build.claimed(provider)) == 2
    waiting = Generation.objects.filter(wait_reason="budget")
    assert waiting.count() == 3
    detail = waiting.first().wait_detail
    assert "Everything (simulated)" in detail
    assert "$0.10 limit" in detail
    assert "$0.020 left, $0.040 needed" in detail
    assert waiting.first().not_before - timezone.now() < timedelta(seconds=61)


def test_money_that_comes_back_wakes_what_waited_for_it(provider):
    build.budget("0.04")
    build.asked(provider, 2)
    (first,) = build.claimed(provider)
    assert build.claimed(provider) == []
    admit.start_sending([first], process_id=build.attempt(first).process_id)
    build.end(build.delivered(first, cost="0"))
    assert len(build.claimed(provider)) == 1


def test_an_unknown_price_is_not_spent(provider):
    provider.price = provider.expected = None
    build.asked(provider)
    assert build.claimed(provider) == []
    assert Generation.objects.get().wait_reason == "price"


def test_what_waited_for_a_model_until_it_was_retired_fails_for_nothing_and_names_the_next(provider):
    build.budget("10")
    (waiting,) = build.asked(provider)
    provider.retired = "stand-in-2"
    assert build.claimed(provider) == []
    ended = Generation.objects.get(pk=waiting)
    assert (ended.status, ended.error_kind, ended.actual_micros) == ("failed", "retired_model", 0)
    assert ended.error_message.endswith("was retired by Stand-in while this waited; use stand-in-2")
    assert build.balances() == (0, 0)
    assert check().problems == ()


def test_a_price_that_moved_is_quoted_again_before_it_is_held(provider):
    build.asked(provider)
    provider.price, provider.price_version = micros("0.09"), "stand-in-2"
    (claim,) = build.claimed(provider)
    assert Reservation.objects.get().amount_micros == 90_000
    assert build.generation(claim).price_version == "stand-in-2"


def test_real_money_is_never_sent_without_a_spending_limit():
    build.provider_row(simulated=False)
    build.budget("10", simulated=True)
    provider = build.StandIn()
    build.asked(provider, simulated=False)
    assert build.claimed(provider) == []
    assert "no spending limit" in Generation.objects.get().wait_detail


def test_simulated_spend_never_counts_against_the_real_limit(provider):
    build.budget("1", simulated=False)
    build.budget("1", simulated=True)
    claim = build.sent(provider)
    build.end(build.delivered(claim))
    assert build.balances(simulated=True) == (40_000, 0)
    assert build.balances(simulated=False) == (0, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"available": False},
        {"simulated": False, "switched_on": False},
        {"paused_at": timezone.now()},
        {"wait_until": timezone.now() + timedelta(days=1)},
        {"archived_at": timezone.now()},
        {"max_in_flight": 0},
    ],
    ids=lambda change: ", ".join(change),
)
def test_a_provider_that_is_off_paused_waiting_or_full_takes_nothing(provider, change):
    build.asked(provider)
    ProviderRecord.objects.update(**change)
    assert build.claimed(provider) == []
    assert Generation.objects.get().status == "pending"


def test_no_more_run_at_once_than_the_provider_allows():
    build.provider_row(in_flight=3)
    provider = build.StandIn()
    build.asked(provider, 5)
    claims = build.claimed(provider)
    assert len(claims) == 3
    assert build.claimed(provider) == []
    admit.start_sending(claims[:1], process_id=build.attempt(claims[0]).process_id)
    build.end(build.delivered(claims[0]))
    assert len(build.claimed(provider)) == 1


def test_no_more_start_in_a_minute_than_the_provider_allows():
    build.provider_row(per_minute=120)
    provider = build.StandIn()
    build.asked(provider, 10)
    ProviderRecord.objects.update(tokens=2, refilled_at=timezone.now())
    assert len(build.claimed(provider)) == 2
    assert build.claimed(provider) == []
    ProviderRecord.objects.update(refilled_at=timezone.now() - timedelta(seconds=30))
    # Half a minute was worth 60, and the bucket holds a second's worth: no burst after a quiet time.
    assert len(build.claimed(provider)) == 2


def test_ten_thousand_of_one_person_do_not_make_another_wait(provider):
    build.asked(provider, 50, person="bulk")
    build.asked(provider, 1, person="ed")
    first = build.claimed(provider, most=2)
    assert {claim.generation.person_name for claim in first} == {"bulk", "ed"}


def test_priority_goes_first_within_a_lane(provider):
    with transaction.atomic():
        low, high = build.wanted(provider), build.wanted(provider, priority=5)
        generations.request(
            [low, high], key="k" * 8, fingerprint="f" * 64, title="", person_id=None, person_name="ed",
            quoted_micros=None,
        )  # fmt: skip
    (claim,) = build.claimed(provider, most=1)
    assert claim.generation.id == high.id


def test_a_stopped_site_sends_nothing_and_gives_the_money_back(provider):
    build.budget("1")
    build.asked(provider)
    me = build.process()
    (claim,) = build.claimed(provider, process_id=me.id)
    with transaction.atomic():
        ledger.stop_spending("ada")
    assert admit.start_sending([claim], process_id=me.id) == set()
    assert build.attempt(claim).state == "released"
    assert build.generation(claim).status == "pending"
    assert build.balances() == (0, 0)
    assert build.claimed(provider) == []
    with transaction.atomic():
        ledger.resume_spending("ada")
    assert len(build.claimed(provider)) == 1


def test_only_the_owner_may_send_its_attempt(provider):
    build.asked(provider)
    (claim,) = build.claimed(provider)
    assert admit.start_sending([claim], process_id=build.process().id) == set()
    assert build.attempt(claim).state == "intent"


def test_sending_repeated_after_a_lost_commit_answers_the_same(provider):
    claim = build.sent(provider)
    owner = build.attempt(claim).process_id
    assert admit.start_sending([claim], process_id=owner) == {claim.attempt_id}
    assert Attempt.objects.count() == 1


def test_a_repeated_request_key_makes_one_generation(provider):
    first = build.asked(provider, key="the-same-key")
    second = build.asked(provider, key="the-same-key")
    assert first == second
    assert Generation.objects.count() == 1


def test_a_request_key_used_for_something_else_is_refused(provider):
    build.asked(provider, key="the-same-key")
    with pytest.raises(BadInput, match="used before"):
        generations.find_request("the-same-key", "another fingerprint")


def test_cancelling_before_sending_ends_it_and_frees_the_money(provider):
    build.budget("1")
    waiting, claimed_id = build.asked(provider, 2)
    (claim,) = build.claimed(provider, most=1)
    done = generate.cancel([waiting, claimed_id], build.EDITOR)
    assert done == generate.Cancelled(ended=2, on_their_way=0, final_already=0)
    assert set(Generation.objects.values_list("status", flat=True)) == {"cancelled"}
    assert build.balances() == (0, 0)
    assert admit.start_sending([claim], process_id=build.attempt(claim).process_id) == set()


def test_cancelling_after_sending_keeps_the_charge_and_the_image(provider):
    build.budget("1")
    claim = build.sent(provider)
    done = generate.cancel([claim.generation.id], build.EDITOR)
    assert done == generate.Cancelled(ended=0, on_their_way=1, final_already=0)
    build.end(build.delivered(claim))
    assert build.generation(claim).status == "completed"
    assert build.balances() == (40_000, 0)


def test_viewers_cannot_cancel(provider):
    from packshot.accounts import Actor

    (waiting,) = build.asked(provider)
    with pytest.raises(BadInput, match="role"):
        generate.cancel([waiting], Actor(None, "vic", "viewer"))


def test_events_follow_the_order_of_commits_and_tell_each_move(provider):
    claim = build.sent(provider)
    build.end(build.delivered(claim))
    kinds = list(
        Event.objects.filter(subject=str(claim.generation.id)).order_by("id").values_list("kind", flat=True)
    )
    assert kinds == ["processing", "completed"]


@pytest.mark.django_db(transaction=True)
def test_many_workers_at_once_never_hold_more_than_a_budget_has():
    build.provider_row()
    build.provider_row("flux")
    build.budget("1")
    providers = [build.StandIn("openai"), build.StandIn("flux", price="0.03")]
    for provider in providers:
        build.asked(provider, 40)
    workers = [build.process() for _ in range(8)]

    def claim(number: int) -> int:
        try:
            return sum(
                len(admit.admit(providers[(number + turn) % 2], process_id=workers[number].id, most=3))
                for turn in range(10)
            )
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        taken = sum(threads.map(claim, range(8)))
    spent, reserved = build.balances()
    assert spent == 0
    assert reserved <= micros("1")
    # Less room than the cheapest price: exactly the affordable number was taken.
    assert micros("1") - reserved < micros("0.03")
    assert Attempt.objects.count() == taken


@pytest.mark.django_db(transaction=True)
def test_one_request_key_from_many_clients_at_once_makes_one_generation():
    build.provider_row()
    provider = build.StandIn()

    def ask(_: int) -> object:
        try:
            return build.asked(provider, 3, key="pressed-twice")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert Generation.objects.count() == 3
