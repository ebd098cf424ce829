"""What is left by processes that die: resolved, never sent again."""

from datetime import timedelta

import psycopg
import pytest
import time_machine
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from packshot import generations, ledger
from packshot.blobs import open_store
from packshot.catalogue.models import Image
from packshot.flows import admit, generate, upkeep
from packshot.flows.check import check
from packshot.flows.collect import collect, collect_due
from packshot.flows.desk import Desk
from packshot.flows.upkeep import Timers
from packshot.generations.models import Attempt, Evidence, Generation, Process
from packshot.kernel.errors import BadAnswer, BadInput, ProviderError, TryLater, Unsure
from packshot.kernel.money import micros
from packshot.providers.contract import AttemptRef, Delivery, GeneratedImage, Pending, Ticket
from packshot.worker.fence import address
from tests import build

pytestmark = pytest.mark.django_db(transaction=True)

TIMERS = Timers.scaled(20)  # rescue after half a second


@pytest.fixture
def provider():
    build.provider_row()
    build.budget("10")
    return build.StandIn()


@pytest.fixture
def other_session():
    """A connection that can hold a process's lock."""
    with psycopg.connect(**address(), autocommit=True) as session:
        yield session


def lock_free_for(seconds: float) -> None:
    Process.objects.filter(ended_at=None).update(lock_free_since=timezone.now() - timedelta(seconds=seconds))


def left_in(state: str, provider: build.StandIn) -> tuple[generations.Enrolled, generations.Claim]:
    """A claim of a process that is gone, left in `state`."""
    gone = build.process()
    build.asked(provider)
    (claim,) = build.claimed(provider, process_id=gone.id)
    if state != "intent":
        admit.start_sending([claim], process_id=gone.id)
    if state == "accepted":
        admit.accept({claim.attempt_id: ({"id": "task-1"}, "task-1", 40_000)})
    lock_free_for(5)
    return gone, claim


def rescue_by(me: generations.Enrolled, other_session: psycopg.Connection) -> list[generations.Claim]:
    other_session.execute("SELECT pg_advisory_lock(%s)", [me.lock_key])
    return upkeep.rescue(process_id=me.id, timers=TIMERS, slot=me.slot).claims


def test_what_was_not_sent_goes_back_to_the_queue_with_its_money(provider, other_session):
    _, claim = left_in("intent", provider)
    assert rescue_by(build.process(), other_session) == []
    assert build.attempt(claim).state == "released"
    row = build.generation(claim)
    assert (row.status, row.worker_deaths) == ("pending", 1)
    assert build.balances() == (0, 0)
    assert len(build.claimed(provider)) == 1


def test_what_was_on_its_way_becomes_uncertain_and_is_not_sent_again(provider, other_session):
    _, claim = left_in("sending", provider)
    assert rescue_by(build.process(), other_session) == []
    assert build.attempt(claim).state == "uncertain"
    assert build.attempt(claim).error_kind == "worker_lost"
    assert build.generation(claim).status == "uncertain"
    assert build.claimed(provider) == []
    assert build.balances() == (0, 40_000)
    assert [each.state for each in ledger.held()] == ["uncertain"]


def test_a_ticket_is_taken_over_and_collected_without_paying_again(provider, other_session):
    _, claim = left_in("accepted", provider)
    me = build.process()
    (adopted,) = rescue_by(me, other_session)
    assert (adopted.attempt_id, adopted.ticket, adopted.cost_micros) == (
        claim.attempt_id,
        {"id": "task-1"},
        40_000,
    )
    assert build.attempt(claim).process_id == me.id
    assert Attempt.objects.count() == 1


def test_a_process_whose_lock_is_held_is_left_alone_however_long_it_pauses(provider, other_session):
    paused, claim = left_in("sending", provider)
    other_session.execute("SELECT pg_advisory_lock(%s)", [paused.lock_key])
    assert upkeep.rescue(process_id=build.process().id, timers=TIMERS, slot=2).claims == []
    assert build.attempt(claim).state == "sending"
    assert Process.objects.get(pk=paused.id).lock_free_since is None


def test_a_lock_that_was_free_for_a_moment_only_is_no_death(provider, other_session):
    _, claim = left_in("sending", provider)
    Process.objects.update(lock_free_since=None)
    rescue_by(build.process(), other_session)
    assert build.attempt(claim).state == "sending"
    assert Process.objects.filter(lock_free_since=None).count() == 1  # the rescuer itself


def test_a_process_that_retired_leaves_its_tickets_at_once(provider, other_session):
    gone, _ = left_in("accepted", provider)
    Process.objects.update(lock_free_since=None)
    generations.retire(gone.id)
    assert len(rescue_by(build.process(), other_session)) == 1


def test_a_silent_holder_is_cut_off(provider, other_session):
    paused = build.process()
    other_session.execute("SELECT pg_advisory_lock(%s)", [paused.lock_key])
    Process.objects.filter(pk=paused.id).update(seen_at=timezone.now() - timedelta(seconds=400))
    assert generations.end_silent(330) == 1
    with pytest.raises(psycopg.OperationalError):
        other_session.execute("SELECT 1")


def test_the_overtaken_owner_cannot_send_but_its_late_answer_counts(provider, other_session):
    gone, claim = left_in("sending", provider)
    rescue_by(build.process(), other_session)
    assert generations.beat(gone.id) is False
    assert admit.start_sending([claim], process_id=gone.id) == set()
    build.end(build.delivered(claim))
    assert build.generation(claim).status == "completed"
    assert Evidence.objects.get().kind == "late_answer"
    assert build.balances() == (40_000, 0)


def test_an_overtaken_owner_that_still_stores_its_ticket_loses_nothing(provider, other_session):
    _, claim = left_in("sending", provider)
    rescue_by(build.process(), other_session)
    admit.accept({claim.attempt_id: ({"id": "task-9"}, "task-9", 40_000)})
    row = build.attempt(claim)
    assert (row.state, row.request_id, row.ticket["state"]) == ("uncertain", "task-9", {"id": "task-9"})


def test_two_rescuers_at_once_share_nothing(provider, other_session):
    left_in("accepted", provider)
    first, second = build.process(), build.process()
    other_session.execute(
        "SELECT pg_advisory_lock(%s), pg_advisory_lock(%s)", [first.lock_key, second.lock_key]
    )
    taken = [
        upkeep.rescue(process_id=each.id, timers=TIMERS, slot=each.slot).claims for each in (first, second)
    ]
    assert sorted(len(claims) for claims in taken) == [0, 1]


def test_an_admission_whose_commit_got_lost_is_given_back(provider):
    me = build.process()
    build.asked(provider, 2)
    known, lost = build.claimed(provider, process_id=me.id)
    Attempt.objects.update(created_at=timezone.now() - timedelta(seconds=60))
    returned = upkeep.give_back_unstarted(me.id, running={known.attempt_id}, older_than_s=4)
    assert returned == 1
    assert build.attempt(lost).state == "released"
    assert build.attempt(known).state == "intent"


@pytest.mark.parametrize("wrong_by", [timedelta(days=1), timedelta(days=-1)])
def test_what_waits_wakes_when_its_time_has_come_by_the_databases_clock(provider, wrong_by):
    (waiting,) = build.asked(provider)
    with transaction.atomic():
        generations.park({waiting: ("retry", "later")}, look_again_s=3600)
    with time_machine.travel(timezone.now() + wrong_by, tick=True):  # this machine's own
        assert upkeep.wake_due() == 0
        an_hour_passes = F("not_before") - timedelta(seconds=3601)
        Generation.objects.filter(pk=waiting).update(not_before=an_hour_passes)
        assert upkeep.wake_due() == 1
    assert Generation.objects.get(pk=waiting).wait_reason is None


def test_timers_that_contradict_each_other_are_refused_at_start():
    Timers().check(longest_deadline_s=300)
    with pytest.raises(ValueError, match="deadline"):
        Timers().check(longest_deadline_s=331)
    with pytest.raises(ValueError, match="lock"):
        Timers(lock_check_s=11).check(longest_deadline_s=300)


def test_a_ticket_that_is_stored_before_the_rescue_is_written_stands_and_holds_up_no_other(
    provider, other_session
):
    gone, awake = left_in("sending", provider)
    build.asked(provider)
    (silent,) = build.claimed(provider, process_id=gone.id)
    admit.start_sending([silent], process_id=gone.id)
    admit.accept({awake.attempt_id: ({"id": "task-1"}, "task-1", 40_000)})
    lost = Unsure("the worker died", kind="worker_lost")
    build.end(build.failed(awake, lost), build.failed(silent, lost))
    assert build.attempt(awake).state == "accepted"
    assert build.attempt(silent).state == "uncertain"


def test_a_ticket_that_came_after_its_owner_was_taken_for_dead_is_collected_by_whoever_is_left(
    provider, other_session
):
    gone, claim = left_in("sending", provider)
    assert rescue_by(build.process(), other_session) == []
    assert build.attempt(claim).state == "uncertain"
    # It woke up with the ticket in its hands, stored it, and then went away for good.
    admit.accept({claim.attempt_id: ({"id": "task-1"}, "task-1", 40_000)})
    heir = build.process()
    (adopted,) = rescue_by(heir, other_session)
    assert (adopted.attempt_id, adopted.ticket) == (claim.attempt_id, {"id": "task-1"})
    build.end(build.delivered(adopted))
    assert build.attempt(claim).state == "succeeded"
    assert Evidence.objects.get().attempt_id == claim.attempt_id
    assert gone.id != heir.id


def died_with(claim: generations.Claim, times: int) -> None:
    Generation.objects.filter(pk=claim.generation.id).update(worker_deaths=times)


def test_a_death_is_counted_once_and_a_good_end_is_none(provider, other_session):
    gone, ticket = left_in("accepted", provider)
    Process.objects.update(lock_free_since=None)
    generations.retire(gone.id)
    rescue_by(build.process(), other_session)
    assert build.generation(ticket).worker_deaths == 0
    _, intent = left_in("intent", provider)
    for _ in range(2):
        rescue_by(build.process(), other_session)
    assert build.generation(intent).worker_deaths == 1


def test_what_two_workers_died_with_goes_back_at_a_moment_of_its_own(provider, other_session):
    _, claim = left_in("intent", provider)
    died_with(claim, 1)
    rescue_by(build.process(), other_session)
    row = build.generation(claim)
    assert (row.status, row.wait_reason, row.worker_deaths) == ("pending", "retry", 2)
    assert row.not_before <= timezone.now() + timedelta(seconds=TIMERS.part_s)


def test_what_three_workers_died_with_before_it_was_sent_is_set_aside_for_nothing(provider, other_session):
    _, claim = left_in("intent", provider)
    died_with(claim, 2)
    assert rescue_by(build.process(), other_session) == []
    row = build.generation(claim)
    assert (row.status, row.error_kind, row.actual_micros) == ("failed", "worker_lost", 0)
    assert "retry it" in row.error_message
    assert build.attempt(claim).state == "released"
    assert build.balances() == (0, 0)
    assert check().problems == ()
    # A person has looked for the cause: it has all its chances again.
    generate.retry([row.id], build.ADMIN)
    assert build.generation(claim).worker_deaths == 0


def test_a_ticket_that_two_workers_died_with_waits_for_a_worker_with_nothing_else_in_hand(
    provider, other_session
):
    gone, suspect = left_in("accepted", provider)
    died_with(suspect, 1)
    build.asked(provider)
    (innocent,) = build.claimed(provider, process_id=gone.id)
    admit.start_sending([innocent], process_id=gone.id)
    admit.accept({innocent.attempt_id: ({"id": "task-2"}, "task-2", 40_000)})
    me = build.process()
    other_session.execute("SELECT pg_advisory_lock(%s)", [me.lock_key])

    def rescued(*, idle: bool) -> upkeep.Rescued:
        return upkeep.rescue(process_id=me.id, timers=TIMERS, slot=me.slot, idle=idle)

    first = rescued(idle=True)
    assert ([each.attempt_id for each in first.claims], first.waits_for_quiet) == (
        [innocent.attempt_id],
        True,
    )
    busy = rescued(idle=False)
    assert (busy.claims, busy.waits_for_quiet) == ([], True)
    alone = rescued(idle=True)
    assert [(each.attempt_id, each.alone) for each in alone.claims] == [(suspect.attempt_id, True)]
    assert not alone.waits_for_quiet


@pytest.mark.parametrize("cost", [40_000, None])
def test_a_ticket_that_three_workers_died_with_is_set_aside_and_paid_for(provider, other_session, cost):
    gone = build.process()
    build.asked(provider)
    (claim,) = build.claimed(provider, process_id=gone.id)
    admit.start_sending([claim], process_id=gone.id)
    admit.accept({claim.attempt_id: ({"id": "task-1"}, "task-1", cost)})
    lock_free_for(5)
    died_with(claim, 2)
    assert rescue_by(build.process(), other_session) == []
    assert build.attempt(claim).state == "charged_no_image"
    assert build.generation(claim).status == "failed"
    assert build.generation(claim).error_kind == "worker_lost"
    # Where nobody said what it costs, the hold stays until a person settles it.
    assert build.balances() == ((40_000, 0) if cost else (0, 40_000))
    assert check().problems == ()


# -- what was set aside with a ticket --------------------------------------------------------------------


class Keeper(build.StandIn):
    """It has what was ordered, and answers looks in the order given."""

    def __init__(self, *answers: Delivery | Pending | ProviderError) -> None:
        super().__init__()
        self.answers = list(answers)

    async def collect(self, ticket: Ticket, attempt: AttemptRef) -> Delivery | Pending:
        assert ticket.state == {"id": "task-1"}
        answer = self.answers.pop(0)
        if isinstance(answer, ProviderError):
            raise answer
        return answer


@pytest.fixture
def set_aside(provider, other_session, monkeypatch, tmp_path):
    """A generation that was set aside with a ticket of 0.04 dollars; the provider then answers as given."""
    monkeypatch.setattr("packshot.flows.look.store", lambda: open_store(f"file://{tmp_path}"))

    def make(*answers: Delivery | Pending | ProviderError, cost: int | None = 40_000) -> generations.Claim:
        keeper = Keeper(*answers)
        here = Desk({"openai": keeper}, {"openai": True}, {})
        monkeypatch.setattr("packshot.flows.collect.desk", lambda: here)
        gone = build.process()
        build.asked(provider)
        (claim,) = build.claimed(provider, process_id=gone.id)
        admit.start_sending([claim], process_id=gone.id)
        admit.accept({claim.attempt_id: ({"id": "task-1"}, "task-1", cost)})
        lock_free_for(5)
        died_with(claim, 2)
        rescue_by(build.process(), other_session)
        return claim

    return make


PICTURE = Delivery([GeneratedImage(build.PNG, "image/png", 1, 1)], micros("0.04"))


def test_the_image_of_what_was_set_aside_is_collected_later_at_no_further_cost(set_aside):
    claim = set_aside(Pending(1.0), TryLater("busy", after_s=1.0), PICTURE)
    assert [collect_due() for _ in range(4)] == [0, 0, 1, 0]
    (image,) = Image.objects.all()
    assert (image.attempt_id, image.generation_id) == (claim.attempt_id, claim.generation.id)
    assert Evidence.objects.get().kind == "late_answer"
    assert (build.balances(), build.attempt(claim).cost_micros) == ((40_000, 0), 40_000)
    assert "was collected" in build.generation(claim).error_message
    assert check().problems == ()


def test_a_cost_that_nobody_knew_becomes_known_with_the_image_that_is_collected(set_aside):
    claim = set_aside(PICTURE, cost=None)
    assert build.balances() == (0, 40_000)
    assert collect_due() == 1
    assert (build.balances(), build.attempt(claim).cost_micros) == ((40_000, 0), 40_000)
    assert check().problems == ()


def test_what_the_provider_no_longer_has_is_not_looked_for_again_unless_somebody_asks(set_aside):
    gone = BadAnswer("The task is no longer known.", kind="expired", charge="charged")
    claim = set_aside(gone, gone)
    assert [collect_due(), collect_due()] == [0, 0]
    assert collect(claim.generation.id).final
    assert not Image.objects.exists()


def test_looking_ends_after_a_day_or_two_dozen_looks(set_aside):
    claim = set_aside(*[Pending(1.0)] * 30)
    for _ in range(30):
        collect_due()
    assert build.attempt(claim).ticket["looks"] == 24


def test_there_is_nothing_to_collect_where_nothing_was_set_aside(provider):
    _, claim = left_in("accepted", provider)
    with pytest.raises(BadInput, match="no ticket to collect with"):
        collect(claim.generation.id)
