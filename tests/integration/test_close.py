"""How attempts end: what is kept, what is charged, what is told, and what a repeated write changes."""

import pytest
from django.db import transaction
from django.db.models import Sum

from packshot import ledger
from packshot.catalogue.models import Image, Product
from packshot.flows import generate
from packshot.flows.check import check
from packshot.flows.close import Completion
from packshot.generations.models import Evidence, Generation, ProviderRecord
from packshot.kernel.errors import BadAnswer, BadInput, Misconfigured, Refused, TryLater, Unsure
from packshot.kernel.money import Micros
from packshot.ledger.models import Entry, Reservation
from packshot.reports.models import Rollup
from tests import build
from tests.beside import Beside

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider():
    build.provider_row()
    build.budget("10")
    return build.StandIn()


def charged() -> int:
    return Entry.objects.aggregate(total=Sum("amount_micros"))["total"] or 0


def held() -> list[tuple[str, int]]:
    return [(each.state, each.amount_micros) for each in ledger.held()]


def test_an_image_that_cost_less_than_was_held_gives_the_rest_back(provider):
    claim = build.sent(provider)
    build.end(build.delivered(claim, cost="0.031"))
    assert build.attempt(claim).state == "succeeded"
    assert build.generation(claim).status == "completed"
    assert build.generation(claim).actual_micros == 31_000
    assert build.balances() == (31_000, 0)
    assert charged() == 31_000
    image = Image.objects.get()
    assert (image.attempt_id, image.blob, image.state) == (claim.attempt_id, "a" * 64, "stored")
    assert image.digital_source_type == "algorithmicMedia"
    assert Product.objects.get(pk=claim.generation.product_id).last_generation_status == "completed"


def test_writing_the_same_end_twice_changes_nothing(provider):
    claim = build.sent(provider)
    for _ in range(3):
        build.end(build.delivered(claim))
    assert charged() == 40_000
    assert Image.objects.count() == 1
    assert build.generation(claim).actual_micros == 40_000
    assert sum(Rollup.objects.exclude(bucket__year=1900).values_list("completed", flat=True)) == 1


def test_a_refused_prompt_gives_the_money_back(provider):
    claim = build.sent(provider)
    build.end(build.failed(claim, Refused("another brand's logo", kind="refused")))
    assert build.generation(claim).status == "failed"
    assert build.generation(claim).error_kind == "refused"
    assert build.balances() == (0, 0)
    assert not Entry.objects.exists()


def test_a_refusal_after_drawing_keeps_the_hold_until_somebody_knows_the_charge(provider):
    claim = build.sent(provider)
    build.end(build.failed(claim, Refused("moderated", kind="refused", charge="unknown")))
    assert build.attempt(claim).state == "failed_charged"
    assert build.attempt(claim).cost_micros is None
    assert build.generation(claim).cost_unknown is True
    assert build.balances() == (0, 40_000)
    assert held() == [("failed_charged", 40_000)]
    generate.resolve(claim.generation.id, "charged", build.ADMIN, note="line 7", amount_micros=12_000)
    assert build.balances() == (12_000, 0)
    assert build.attempt(claim).cost_micros == 12_000
    assert build.generation(claim).actual_micros == 12_000
    assert build.generation(claim).cost_unknown is False


def test_an_image_of_unknown_cost_is_kept_and_its_money_stays_held(provider):
    claim = build.sent(provider)
    build.end(build.delivered(claim, cost=None))
    assert build.generation(claim).status == "completed"
    assert build.generation(claim).cost_unknown is True
    assert held() == [("succeeded", 40_000)]
    assert not Entry.objects.exists()


def test_a_busy_provider_is_waited_for_and_that_is_no_failure(provider):
    claim = build.sent(provider)
    build.end(build.failed(claim, TryLater("Limit 5, Used 5", after_s=12)))
    waiting = build.generation(claim)
    assert (waiting.status, waiting.wait_reason) == ("pending", "rate")
    assert waiting.not_before is not None
    assert ProviderRecord.objects.get().wait_until is not None
    assert build.balances() == (0, 0)
    assert build.claimed(provider) == []


def test_a_bad_key_pauses_the_provider_once_and_generations_wait(provider):
    claims = [build.sent(provider) for _ in range(2)]
    for claim in claims:
        build.end(build.failed(claim, Misconfigured("Incorrect API key", kind="bad_key")))
    record = ProviderRecord.objects.get()
    assert record.paused_kind == "bad_key"
    assert {build.generation(claim).status for claim in claims} == {"pending"}
    assert build.claimed(provider) == []
    from packshot.events.models import Event

    assert Event.objects.filter(topic="provider", kind="paused").count() == 1


def test_a_free_server_error_is_tried_three_times_then_failed(provider):
    claim = build.sent(provider)
    for number in (1, 2, 3):
        build.end(build.failed(claim, BadAnswer("oops", kind="server_error", charge="free")))
        row = build.generation(claim)
        if number < 3:
            assert (row.status, row.wait_reason) == ("pending", "retry")
            Generation.objects.update(wait_reason=None, not_before=None)
            me = build.process()
            (claim,) = build.claimed(provider, process_id=me.id)
            from packshot.flows import admit

            admit.start_sending([claim], process_id=me.id)
    assert build.generation(claim).status == "failed"
    assert build.generation(claim).attempts == 3


def test_a_paid_answer_without_an_image_is_charged_and_failed(provider):
    claim = build.sent(provider)
    build.end(build.failed(claim, BadAnswer("no image", kind="bad_answer", cost=Micros(40_000))))
    assert build.attempt(claim).state == "charged_no_image"
    assert charged() == 40_000
    assert build.generation(claim).status == "failed"


def test_a_cut_call_is_uncertain_and_its_money_counts_as_spent(provider):
    claim = build.sent(provider)
    build.end(build.failed(claim, Unsure("connection reset", kind="cut_off")))
    assert build.generation(claim).status == "uncertain"
    assert held() == [("uncertain", 40_000)]
    assert build.balances() == (0, 40_000)


def test_the_owners_late_answer_settles_an_uncertain_attempt_with_evidence(provider):
    claim = build.sent(provider)
    build.end(build.failed(claim, Unsure("declared dead", kind="worker_lost")))
    build.end(build.delivered(claim))
    assert build.attempt(claim).state == "succeeded"
    assert build.generation(claim).status == "completed"
    assert Evidence.objects.get().kind == "late_answer"
    assert build.balances() == (40_000, 0)


def test_what_a_late_answer_cost_beyond_what_was_settled_counts_for_the_generation_too(provider):
    claim = build.sent(provider)
    build.end(build.failed(claim, Unsure("declared dead", kind="worker_lost")))
    generate.resolve(claim.generation.id, "charged", build.ADMIN, note="a guess", amount_micros=30_000)
    for _ in range(2):
        build.end(build.delivered(claim))
    assert build.generation(claim).actual_micros == charged() == 40_000
    assert build.balances() == (40_000, 0)


@pytest.mark.parametrize(
    ("how", "amount", "state", "status", "spent"),
    [
        ("charged", None, "charged_no_image", "failed", 40_000),
        ("charged", 25_000, "charged_no_image", "failed", 25_000),
        ("free", None, "failed_free", "failed", 0),
        ("again", None, "failed_free", "pending", 0),
    ],
)
def test_a_person_settles_an_uncertain_charge_by_evidence(provider, how, amount, state, status, spent):
    claim = build.sent(provider)
    build.end(build.failed(claim, Unsure("cut", kind="cut_off")))
    generate.resolve(claim.generation.id, how, build.ADMIN, note="bill of 22 Nov", amount_micros=amount)
    assert build.attempt(claim).state == state
    assert build.generation(claim).status == status
    assert build.balances() == (spent, 0)
    evidence = Evidence.objects.get()
    assert (evidence.kind, evidence.by_name) == ("person", "ada")


def test_settling_needs_the_right_and_a_reason(provider):
    claim = build.sent(provider)
    build.end(build.failed(claim, Unsure("cut", kind="cut_off")))
    with pytest.raises(BadInput, match="administrator"):
        generate.resolve(claim.generation.id, "free", build.EDITOR, note="I think so")
    with pytest.raises(BadInput, match="evidence"):
        generate.resolve(claim.generation.id, "free", build.ADMIN, note=" ")
    assert build.generation(claim).status == "uncertain"


def test_an_image_that_arrives_after_a_person_said_free_is_kept_and_booked(provider):
    claim = build.sent(provider)
    build.end(build.failed(claim, Unsure("cut", kind="cut_off")))
    generate.resolve(claim.generation.id, "free", build.ADMIN, note="nothing on the bill yet")
    build.end(build.delivered(claim))
    assert Image.objects.count() == 1
    assert list(Entry.objects.values_list("kind", "amount_micros")) == [("adjustment", 40_000)]
    assert build.balances() == (40_000, 0)
    assert build.generation(claim).status == "failed"
    build.end(build.delivered(claim))
    assert Entry.objects.count() == 1


@pytest.mark.parametrize(
    ("late", "booked"),
    [
        (Refused("names a brand", kind="refused"), 0),
        (BadAnswer("no image", kind="bad_answer", cost=Micros(30_000)), 30_000),
    ],
)
def test_a_late_answer_without_an_image_settles_a_charge_that_nobody_knew(provider, late, booked):
    claim = build.sent(provider)
    build.end(build.failed(claim, Refused("nobody says what it cost", kind="refused", charge="unknown")))
    assert held() == [("failed_charged", 40_000)]
    for _ in range(2):
        build.end(build.failed(claim, late))
    assert held() == []
    assert build.balances() == (booked, 0)
    assert build.attempt(claim).cost_micros == booked
    assert (build.generation(claim).actual_micros, build.generation(claim).cost_unknown) == (booked, False)
    assert Evidence.objects.get().detail["cost"] == booked
    assert check().problems == ()


@pytest.mark.parametrize("late", [Unsure("cut", kind="cut_off"), BadAnswer("no image", kind="bad_answer")])
def test_a_late_answer_that_knows_no_cost_leaves_the_hold(provider, late):
    claim = build.sent(provider)
    build.end(build.failed(claim, Refused("nobody says what it cost", kind="refused", charge="unknown")))
    build.end(build.failed(claim, late))
    assert held() == [("failed_charged", 40_000)]
    assert build.generation(claim).cost_unknown


def test_a_charge_that_is_told_after_a_person_said_free_is_booked_once(provider):
    claim = build.sent(provider)
    build.end(build.failed(claim, Unsure("cut", kind="cut_off")))
    generate.resolve(claim.generation.id, "free", build.ADMIN, note="nothing on the bill yet")
    for _ in range(2):
        build.end(build.failed(claim, BadAnswer("no image", kind="bad_answer", cost=Micros(40_000))))
    assert list(Entry.objects.values_list("kind", "amount_micros")) == [("adjustment", 40_000)]
    assert build.balances() == (40_000, 0)
    assert build.generation(claim).actual_micros == 40_000
    assert check().problems == ()


@pytest.mark.django_db(transaction=True)
def test_of_two_who_settle_one_charge_at_the_same_moment_the_later_finds_none(provider):
    claim = build.sent(provider)
    build.end(build.failed(claim, Refused("nobody says what it cost", kind="refused", charge="unknown")))

    def settle() -> None:
        generate.resolve(claim.generation.id, "charged", build.ADMIN, note="the bill", amount_micros=30_000)

    with transaction.atomic():
        settle()
        later = Beside(settle)
        later.wait_until_blocked()
    with pytest.raises(BadInput, match="no charge that is open"):
        later.result()
    assert build.generation(claim).actual_micros == charged() == 30_000
    assert build.balances() == (30_000, 0)


def test_a_retry_keeps_what_was_spent_and_takes_the_failure_back_from_the_figures(provider):
    claim = build.sent(provider)
    build.end(build.failed(claim, BadAnswer("no image", kind="bad_answer", cost=Micros(40_000))))
    assert generate.retry([claim.generation.id], build.EDITOR) == 1
    again = build.generation(claim)
    assert (again.status, again.actual_micros, again.completed_at) == ("pending", 40_000, None)
    assert sum(Rollup.objects.exclude(bucket__year=1900).values_list("failed", flat=True)) == 0
    assert generate.retry([claim.generation.id], build.EDITOR) == 0


def test_a_charge_above_the_hold_is_recorded_never_hidden(provider):
    claim = build.sent(provider)
    build.end(build.delivered(claim, cost="0.09"))
    assert build.balances() == (90_000, 0)
    from packshot.events.models import Event

    assert Event.objects.get(topic="budget", kind="overshot").data["charged"] == "$0.090"


def test_many_ends_of_every_kind_are_written_in_one_transaction(provider):
    claims = [build.sent(provider) for _ in range(4)]
    errors = [
        None,
        Refused("no", kind="refused"),
        Unsure("cut", kind="cut_off"),
        TryLater("busy", after_s=1),
    ]
    build.end(
        *(
            build.delivered(claim) if error is None else Completion(claim.attempt_id, error=error)
            for claim, error in zip(claims, errors, strict=True)
        )
    )
    assert [build.generation(claim).status for claim in claims] == [
        "completed", "failed", "uncertain", "pending",
    ]  # fmt: skip
    assert Reservation.objects.filter(closed_at=None).count() == 1
