"""What follows from how a paid call ended."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packshot.generations.policy import LONGEST_WAIT_S, cost_is_open, verdict
from packshot.kernel.errors import BadAnswer, Misconfigured, ProviderError, Refused, TryLater, Unsure
from packshot.kernel.money import Micros


def judged(error: ProviderError, *, tries: int = 1, busy_in_row: int = 0):
    return verdict(error, tries=tries, busy_in_row=busy_in_row, jitter=random.Random(1))


@given(st.floats(min_value=0, max_value=1e12), st.integers(min_value=0, max_value=1_000))
def test_a_wait_is_never_longer_than_a_quarter_of_an_hour_whatever_the_provider_says(after_s, busy_in_row):
    outcome = judged(TryLater("busy", after_s=after_s), tries=500, busy_in_row=busy_in_row)
    assert (outcome.end, outcome.then) == ("failed_free", "pending")
    assert outcome.provider_waits_s <= LONGEST_WAIT_S
    assert outcome.provider_waits_s <= outcome.again_after_s <= LONGEST_WAIT_S * 1.1


def test_a_provider_that_cannot_be_reached_is_asked_less_and_less_often():
    waits = [
        judged(TryLater("down", after_s=2, kind="unreachable"), busy_in_row=row).provider_waits_s
        for row in range(12)
    ]
    assert waits[:4] == [2, 4, 8, 16]
    assert waits == sorted(waits)
    assert waits[-1] <= LONGEST_WAIT_S


def test_a_wait_that_the_provider_named_is_not_made_longer_by_others_before_it():
    assert judged(TryLater("429", after_s=12), busy_in_row=9).provider_waits_s == 12


@pytest.mark.parametrize("kind", ["timeout", "cut_off", "bug", "worker_lost"])
def test_an_unknown_outcome_is_never_tried_again_by_itself(kind):
    outcome = judged(Unsure("cut", kind=kind))
    assert (outcome.end, outcome.then, outcome.again_after_s) == ("uncertain", "uncertain", None)


@pytest.mark.parametrize("kind", ["bad_key", "no_credit", "not_verified"])
def test_what_only_an_administrator_can_mend_pauses_the_provider_and_fails_nothing(kind):
    outcome = judged(Misconfigured("no", kind=kind))
    assert (outcome.end, outcome.then, outcome.pause_provider) == ("failed_free", "pending", True)


def test_free_trouble_is_tried_three_times():
    error = BadAnswer("500", kind="server_error", charge="free")
    assert [judged(error, tries=tries).then for tries in (1, 2, 3)] == ["pending", "pending", "failed"]


@pytest.mark.parametrize("kind", ["refused", "bad_request", "retired_model"])
def test_a_refusal_is_final_at_once(kind):
    assert judged(Refused("no", kind=kind)).then == "failed"


@pytest.mark.parametrize("charge", ["charged", "unknown"])
def test_what_may_have_cost_money_is_never_repeated_by_itself(charge):
    outcome = judged(BadAnswer("broken", kind="server_error", charge=charge))
    assert (outcome.end, outcome.then) == ("charged_no_image", "failed")
    outcome = judged(Refused("moderated", kind="refused", charge=charge))
    assert (outcome.end, outcome.then) == ("failed_charged", "failed")


@pytest.mark.parametrize(
    ("charge", "cost", "is_open"),
    [("free", None, False), ("charged", Micros(5), False), ("charged", None, True), ("unknown", None, True)],
)
def test_a_charge_of_unknown_amount_keeps_its_hold(charge, cost, is_open):
    assert cost_is_open(charge, cost) is is_open


def test_what_waits_alone_is_no_reason_to_leave_its_provider_alone():
    full = TryLater("no room for more batches", after_s=30.0)
    full.alone = True
    found = verdict(full, tries=9, busy_in_row=9, jitter=random.Random(0))
    assert (found.end, found.then, found.wait_reason) == ("failed_free", "pending", "retry")
    assert found.provider_waits_s is None
    assert found.again_after_s is not None
    assert 30.0 <= found.again_after_s <= 33.0
