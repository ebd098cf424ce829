"""The moves of attempts and generations are held by the database, whoever writes."""

import itertools

import pytest
from django.db import IntegrityError, connection, transaction

from packshot import generations
from packshot.generations.models import ATTEMPT_STATES, GENERATION_STATUSES, Attempt, Evidence, Generation
from tests import build

pytestmark = pytest.mark.django_db

# DESIGN.md section 5, read by a person and written down again here.
LEGAL = {
    ("intent", "sending"),
    ("intent", "released"),
    ("sending", "accepted"),
    ("sending", "uncertain"),
    *itertools.product(
        ("sending", "accepted", "uncertain"),
        ("succeeded", "failed_free", "failed_charged", "charged_no_image"),
    ),
}
LEGAL_STATUS = {
    ("pending", "processing"),
    ("pending", "cancelled"),
    ("pending", "failed"),
    *itertools.product(("processing",), ("pending", "completed", "failed", "cancelled", "uncertain")),
    *itertools.product(("uncertain",), ("pending", "completed", "failed", "cancelled")),
    ("cancelled", "pending"),  # while nothing of it is on its way or came: a cancel that is taken back
    ("failed", "pending"),
}


@pytest.fixture
def provider():
    build.provider_row()
    return build.StandIn()


def bring_to(attempt: Attempt, state: str) -> None:
    """Along legal moves only."""
    before = {"intent": [], "sending": [], "released": []}.get(state, ["sending"])
    for step in [*before, state] if state != "intent" else []:
        Attempt.objects.filter(pk=attempt.pk).update(state=step)


@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(ATTEMPT_STATES, 2)))
def test_an_attempt_moves_only_along_the_machine(provider, before, after):
    build.asked(provider)
    (claim,) = build.claimed(provider)
    attempt = build.attempt(claim)
    bring_to(attempt, before)
    generations.keep_evidence([(attempt.pk, "person", after, {})])
    if (before, after) in LEGAL:
        Attempt.objects.filter(pk=attempt.pk).update(state=after)
        assert build.attempt(claim).state == after
    else:
        with pytest.raises(IntegrityError), transaction.atomic():
            Attempt.objects.filter(pk=attempt.pk).update(state=after)
        assert build.attempt(claim).state == before


def test_nothing_leaves_uncertain_without_evidence(provider):
    claim = build.sent(provider)
    attempt = build.attempt(claim)
    bring_to(attempt, "uncertain")
    with pytest.raises(IntegrityError, match="evidence"), transaction.atomic():
        Attempt.objects.filter(pk=attempt.pk).update(state="failed_free")
    generations.keep_evidence([(attempt.pk, "person", "failed_free", {"note": "not on the bill"})])
    Attempt.objects.filter(pk=attempt.pk).update(state="failed_free")


@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(GENERATION_STATUSES, 2)))
def test_a_generation_moves_only_along_the_machine(provider, before, after):
    (generation_id,) = build.asked(provider)

    def move(status: str) -> None:
        ended = "now()" if status in ("completed", "failed", "cancelled") else "NULL"
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE packshot_generation SET status = %s, completed_at = {ended} WHERE id = %s",
                [status, generation_id],
            )

    if before != "pending":
        move("processing")
    if before not in ("pending", "processing"):
        move(before)
    if (before, after) in LEGAL_STATUS:
        move(after)
    else:
        with pytest.raises(IntegrityError), transaction.atomic():
            move(after)


def test_a_generation_has_at_most_one_open_attempt(provider):
    build.asked(provider)
    (claim,) = build.claimed(provider)
    standing = build.attempt(claim)
    with pytest.raises(IntegrityError), transaction.atomic():
        Attempt.objects.create(
            generation_id=standing.generation_id, number=2, process_id=standing.process_id,
            provider="openai", model="stand-in", simulated=True, reserved_micros=0, price_version="v",
            deadline_s=30,
        )  # fmt: skip


@pytest.mark.parametrize("table", ["packshot_entry", "packshot_evidence", "packshot_auditentry"])
@pytest.mark.parametrize("verb", ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_what_proves_money_only_grows(table, verb):
    with (
        pytest.raises(IntegrityError, match="only grows"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(verb.format(table))


def test_what_an_attempt_reserved_cannot_be_rewritten(provider):
    build.asked(provider)
    (claim,) = build.claimed(provider)
    with pytest.raises(IntegrityError), transaction.atomic():
        Attempt.objects.filter(pk=claim.attempt_id).update(reserved_micros=1)


def test_a_settled_cost_cannot_be_rewritten(provider):
    claim = build.sent(provider)
    build.end(build.delivered(claim))
    with pytest.raises(IntegrityError), transaction.atomic():
        Attempt.objects.filter(pk=claim.attempt_id).update(cost_micros=1)


def test_only_pending_generations_wait_for_something(provider):
    build.asked(provider)
    (claim,) = build.claimed(provider)
    with pytest.raises(IntegrityError), transaction.atomic():
        Generation.objects.filter(pk=claim.generation.id).update(wait_reason="budget")
    assert Evidence.objects.count() == 0
