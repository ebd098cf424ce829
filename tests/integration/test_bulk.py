"""Bulk actions: the frozen ids, each once, at the price that was seen, whatever dies in the middle."""

import os
import signal
import subprocess
import sys
from collections import Counter
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from packshot import events, generations
from packshot.accounts import Actor
from packshot.catalogue.models import Product
from packshot.events import Happening
from packshot.flows import bulk, generate
from packshot.flows.bulk import Grew, Order
from packshot.flows.generate import PriceRose
from packshot.generations.bulk_models import BulkAction, BulkItem
from packshot.generations.models import Generation, Run
from packshot.kernel.errors import BadInput, Refused
from packshot.reports import monitor
from packshot.reports.finding import Filter
from tests import build
from tests.beside import Beside
from tests.browser import story
from tests.browser.server import database_url

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider() -> build.StandIn:
    build.provider_row()
    build.budget("100")
    return build.StandIn()


@pytest.fixture
def flux(monkeypatch) -> build.StandIn:
    """Another provider that can be asked, at another price."""
    build.provider_row("flux")
    other = build.StandIn("flux", price="0.05")
    known = {"openai": build.StandIn(), "flux": other}
    monkeypatch.setattr(bulk, "quoting", lambda: known)
    monkeypatch.setattr(generate, "quoting", lambda: known)
    return other


@pytest.fixture
def me() -> UUID:
    return build.process().id


@pytest.fixture
def by_turns(monkeypatch) -> None:
    monkeypatch.setattr(bulk, "PER_TURN", 3)


def failed(provider: build.StandIn, me: UUID, count: int) -> list[UUID]:
    build.asked(provider, count)
    claims = story.begin(provider, me, most=count)
    build.end(*(build.failed(claim, Refused("names a brand", kind="refused")) for claim in claims))
    return [claim.generation.id for claim in claims]


def accepted(order: Order, actor: Actor = build.EDITOR, **of: object) -> UUID:
    """Accepted as somebody does who agrees with all that the preview says."""
    seen = bulk.preview(order, **of)
    return bulk.accept(
        seen,
        actor,
        request_key=uuid4().hex,
        agreed_count=seen.count,
        agreed_micros=seen.expected_micros,
        whole_queue=True,
    )


def carried_out(order: Order, **of: object) -> BulkAction:
    action_id = accepted(order, **of)
    bulk.carry_out_all(action_id)
    return BulkAction.objects.get(pk=action_id)


def counts(action: BulkAction | UUID) -> tuple[int, int, int]:
    row = BulkAction.objects.get(pk=action if isinstance(action, UUID) else action.pk)
    return row.done, row.failed, row.skipped


def outcomes(action: BulkAction) -> dict[UUID, tuple[str, str]]:
    return {
        row.generation_id: (row.outcome, row.reason) for row in BulkItem.objects.filter(action_id=action.pk)
    }


def statuses(keys: list[UUID]) -> list[str]:
    found = dict(Generation.objects.filter(pk__in=keys).values_list("id", "status"))
    return [found[each] for each in keys]


def jobs() -> list[tuple[str, int]]:
    """The turns that are asked for, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT args ->> 'action_id', (args ->> 'place')::int FROM procrastinate_jobs "
            "WHERE task_name = 'bulk' ORDER BY id"
        )
        return cursor.fetchall()


# -- what it would do --------------------------------------------------------------------------------


def test_a_preview_counts_and_prices_by_provider_and_changes_nothing(provider, me):
    build.provider_row("flux")
    failed(provider, me, 3)
    failed(build.StandIn("flux", price="0.05"), me, 2)
    build.asked(provider, 4)
    seen = bulk.preview(Order("retry"), wanted=Filter())
    assert [(line.provider, line.count, line.expected_micros) for line in seen.lines] == [
        ("flux", 2, 100_000),
        ("openai", 3, 120_000),
    ]
    assert (seen.count, seen.expected_micros, seen.whole_queue) == (5, 220_000, True)
    assert bulk.preview(Order("cancel"), wanted=Filter(provider="openai")).count == 4
    assert BulkAction.objects.count() == 0
    assert Counter(Generation.objects.values_list("status", flat=True)) == {"failed": 5, "pending": 4}


def test_one_unknown_price_makes_the_whole_unknown_and_is_counted(provider, me):
    keys = failed(provider, me, 3)
    Generation.objects.filter(pk=keys[0]).update(expected_micros=None)
    seen = bulk.preview(Order("retry"), wanted=Filter(status="failed"))
    assert seen.expected_micros is None
    assert [(line.unknown, line.expected_micros) for line in seen.lines] == [(1, 80_000)]


def test_what_was_chosen_and_is_not_meant_is_passed_over_and_counted(provider, me):
    keys = failed(provider, me, 2)
    waiting = build.asked(provider, 3)
    seen = bulk.preview(Order("retry"), ids=[*keys, *waiting])
    assert (seen.count, seen.passed_over) == (2, 3)


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        (Order("delete"), "none of retry"),
        (Order("reprioritise", priority=101), "from -100 to 100"),
        (Order("hand_over", provider="nobody"), "no provider 'nobody'"),
    ],
)
def test_what_can_never_be_done_is_said(order, problem, provider):
    with pytest.raises(BadInput, match=problem):
        bulk.preview(order, wanted=Filter())


# -- accepting ---------------------------------------------------------------------------------------


def test_accepting_freezes_the_ids_and_does_nothing_yet(provider, me):
    keys = failed(provider, me, 4)
    action_id = accepted(Order("retry"), wanted=Filter(status="failed"))
    assert statuses(keys) == ["failed"] * 4
    assert jobs() == [(str(action_id), 0)]
    late = failed(provider, me, 2)
    bulk.carry_out_all(action_id)
    assert statuses(keys) == ["pending"] * 4
    assert statuses(late) == ["failed"] * 2, "they match the filter, and came after it was frozen"


def test_what_the_quote_said_is_kept(provider, me):
    keys = failed(provider, me, 2)
    action = carried_out(Order("retry"), wanted=Filter(status="failed", provider="openai"))
    assert action.quoted_micros == 80_000
    assert action.quoted == [
        {"provider": "openai", "simulated": True, "count": 2, "unknown": 0, "micros": 80_000}
    ]
    assert action.filter == {"status": "failed", "provider": "openai"}
    assert dict(BulkItem.objects.values_list("generation_id", "quoted_micros")) == dict.fromkeys(keys, 40_000)


def test_the_same_key_gets_the_first_answer(provider, me):
    failed(provider, me, 2)
    seen = bulk.preview(Order("retry"), wanted=Filter(status="failed"))
    agreed = {"request_key": "a-key-of-mine", "agreed_count": 2, "agreed_micros": 80_000}
    first = bulk.accept(seen, build.EDITOR, **agreed)
    assert bulk.accept(seen, build.EDITOR, **agreed) == first
    assert BulkAction.objects.count() == 1


def test_without_a_filter_the_whole_queue_has_to_be_meant(provider):
    build.asked(provider, 2)
    seen = bulk.preview(Order("cancel"), wanted=Filter())
    agreed = {"request_key": uuid4().hex, "agreed_count": 2, "agreed_micros": None}
    with pytest.raises(BadInput, match="no filter is set"):
        bulk.accept(seen, build.EDITOR, **agreed)
    assert BulkAction.objects.count() == 0
    bulk.accept(seen, build.EDITOR, **agreed, whole_queue=True)


def test_more_of_them_or_a_higher_price_than_agreed_is_refused(provider, me):
    failed(provider, me, 2)
    seen = bulk.preview(Order("retry"), wanted=Filter(status="failed"))
    with pytest.raises(Grew, match="1 matched and 2 do now"):
        bulk.accept(seen, build.EDITOR, request_key=uuid4().hex, agreed_count=1, agreed_micros=80_000)
    with pytest.raises(PriceRose):
        bulk.accept(seen, build.EDITOR, request_key=uuid4().hex, agreed_count=2, agreed_micros=79_999)


@pytest.mark.parametrize("verb", ["accept", "abort", "undo"])
def test_a_viewer_may_do_none_of_it(verb, provider):
    build.asked(provider, 2)
    viewer = Actor(None, "vi", "viewer")
    seen = bulk.preview(Order("cancel"), wanted=Filter(status="pending"))
    action_id = accepted(Order("cancel"), wanted=Filter(status="pending"))
    with pytest.raises(BadInput, match="your role may not"):
        if verb == "accept":
            bulk.accept(seen, viewer, request_key=uuid4().hex, agreed_count=2, agreed_micros=None)
        elif verb == "abort":
            bulk.abort(action_id, viewer)
        else:
            bulk.undo(action_id, viewer)


def test_accepting_takes_as_many_statements_however_many_it_is_for(provider, me):
    def asked_for(count: int) -> int:
        failed(provider, me, count)
        with CaptureQueriesContext(connection) as captured:
            accepted(Order("retry"), wanted=Filter(status="failed"))
        return len(captured)

    assert asked_for(2) == asked_for(60)


# -- carrying out ------------------------------------------------------------------------------------


def test_neighbours_of_the_filter_are_left_as_they_are(provider, me, by_turns):
    build.provider_row("flux")
    keys = failed(provider, me, 7)
    others = failed(build.StandIn("flux"), me, 3)
    waiting = build.asked(provider, 2)
    before = list(Generation.objects.filter(pk__in=[*others, *waiting]).order_by("id").values())
    action = carried_out(Order("retry"), wanted=Filter(status="failed", provider="openai"))
    assert statuses(keys) == ["pending"] * 7
    assert list(Generation.objects.filter(pk__in=[*others, *waiting]).order_by("id").values()) == before
    assert counts(action) == (7, 0, 0)
    assert action.finished_at is not None


def test_each_turn_asks_for_the_next_and_a_repeated_one_does_nothing(provider, me, by_turns):
    keys = failed(provider, me, 7)
    action_id = accepted(Order("retry"), wanted=Filter(status="failed"))
    assert bulk.carry_out(action_id, 0) == 3
    assert Counter(statuses(keys)) == {"pending": 3, "failed": 4}
    # The job was done and its process killed before the queue knew: it is given out again.
    assert bulk.carry_out(action_id, 0) is None
    assert counts(action_id) == (3, 0, 0)
    assert bulk.carry_out(action_id, 3) == 6
    assert bulk.carry_out(action_id, 6) is None
    assert jobs() == [(str(action_id), place) for place in (0, 3, 6)]
    assert counts(action_id) == (7, 0, 0)
    assert Generation.objects.filter(pk__in=keys, status="pending").count() == 7


def test_a_turn_that_is_cut_in_the_middle_leaves_nothing_behind_and_is_done_again(
    provider, me, by_turns, monkeypatch
):
    keys = build.asked(provider, 5)
    action_id = accepted(Order("cancel"), wanted=Filter(status="pending"))
    bulk.carry_out(action_id, 0)

    class Killed(BaseException):
        """The process is gone: nobody catches it."""

    def gone(*args: object, **kwargs: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(generations.bulk, "note_results", gone)
        with pytest.raises(Killed):
            bulk.carry_out(action_id, 3)
    assert Counter(statuses(keys)) == {"cancelled": 3, "pending": 2}
    BulkAction.objects.update(updated_at="2026-01-01T00:00Z")
    assert bulk.go_on() == 1
    bulk.carry_out(action_id, 3)
    assert statuses(keys) == ["cancelled"] * 5
    assert counts(action_id) == (5, 0, 0)
    cancelled = connection.cursor().execute(
        "SELECT sum(cancelled) FROM packshot_rollup WHERE bucket = packshot_all_time()"
    )
    assert cancelled.fetchone()[0] == 5, "the report counts each once"
    assert bulk.go_on() == 0


DIES = """
import os, signal, django
django.setup()
from uuid import UUID
from packshot.flows import bulk
from packshot.generations import bulk as tables

bulk.PER_TURN = 3
bulk.carry_out(UUID(os.environ["ACTION"]), 0)
tables.note_results = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
bulk.carry_out(UUID(os.environ["ACTION"]), 3)
"""


@pytest.mark.django_db(transaction=True)
def test_a_process_that_is_killed_between_the_verbs_and_their_results_did_neither(me, by_turns):
    """As by kill -9 in the second turn, from another process; then the turn is done once, to its end."""
    build.provider_row()
    build.budget("100")
    keys = build.asked(build.StandIn(), 7)
    action_id = accepted(Order("cancel"), wanted=Filter(status="pending"))
    died = subprocess.run(
        [sys.executable, "-c", DIES],
        env={
            **os.environ,
            "DATABASE_URL": database_url(),
            "DJANGO_SETTINGS_MODULE": "packshot.settings",
            "ACTION": str(action_id),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    # The server may need a moment to see that nobody is there any more; the lock is waited for.
    assert bulk.carry_out(action_id, 0) is None
    assert Counter(statuses(keys)) == {"cancelled": 3, "pending": 4}
    assert counts(action_id) == (3, 0, 0)
    assert jobs() == [(str(action_id), 0), (str(action_id), 3)]
    assert bulk.carry_out(action_id, 3) == 6
    bulk.carry_out_all(action_id)
    assert statuses(keys) == ["cancelled"] * 7
    assert counts(action_id) == (7, 0, 0)


def test_what_changed_meanwhile_is_skipped_and_told(provider, me):
    keys = failed(provider, me, 3)
    action_id = accepted(Order("retry"), wanted=Filter(status="failed"))
    generate.retry(keys[:1], build.EDITOR)
    bulk.carry_out_all(action_id)
    assert counts(action_id) == (2, 0, 1)
    assert outcomes(BulkAction.objects.get())[keys[0]] == ("skipped", "it is pending by now")


def test_what_is_on_its_way_is_paid_for_and_told(provider, me):
    build.asked(provider, 3)
    (claim,) = story.begin(provider, me, most=1)
    action = carried_out(Order("cancel"), wanted=Filter(provider="openai"))
    assert counts(action) == (3, 0, 0)
    assert outcomes(action)[claim.generation.id] == ("done", bulk.ON_ITS_WAY)
    assert build.generation(claim).status == "processing"


def test_an_item_that_breaks_stands_alone(provider, me, monkeypatch):
    keys = failed(provider, me, 5)
    action_id = accepted(Order("retry"), wanted=Filter(status="failed"))
    real = generate.retry

    def stumbles(ids: list[UUID], actor: Actor) -> int:
        if keys[2] in ids:
            raise ZeroDivisionError
        return real(ids, actor)

    monkeypatch.setattr(generate, "retry", stumbles)
    bulk.carry_out_all(action_id)
    assert counts(action_id) == (4, 1, 0)
    assert statuses(keys) == ["pending", "pending", "failed", "pending", "pending"]
    assert outcomes(BulkAction.objects.get())[keys[2]] == ("failed", "a bug: ZeroDivisionError")


@pytest.mark.django_db(transaction=True)
def test_a_turn_that_breaks_waits_for_nobody_who_waits_for_it(provider, me, monkeypatch):
    """Somebody holds the generation of the second half and waits to tell, which the first half did."""
    keys = sorted(failed(provider, me, 2))
    action_id = accepted(Order("retry"), wanted=Filter(status="failed"))
    real, others = generate.retry, []

    def their_work() -> None:
        with transaction.atomic():
            generations.lock(keys[1:])
            events.tell([Happening("generation", "seen", str(keys[1]))])

    def stumbles(ids: list[UUID], actor: Actor) -> int:
        if len(ids) > 1:
            raise ZeroDivisionError
        done = real(ids, actor)
        if not others:
            others.append(Beside(their_work))
            others[0].wait_until_blocked()
        return done

    monkeypatch.setattr(generate, "retry", stumbles)
    bulk.carry_out_all(action_id)
    others[0].result()
    assert counts(action_id) == (2, 0, 0)
    assert statuses(keys) == ["pending", "pending"]


def test_whoever_lost_the_right_meanwhile_acts_no_more(provider, me):
    keys = failed(provider, me, 2)
    person = story.person("editor", "eve")
    action_id = accepted(Order("retry"), Actor(person.id, "eve", "editor"), wanted=Filter(status="failed"))
    person.role = "viewer"
    person.save()
    bulk.carry_out_all(action_id)
    assert statuses(keys) == ["failed", "failed"]
    assert counts(action_id) == (0, 0, 2)


def test_a_retry_is_admitted_only_where_a_budget_has_room(me):
    build.provider_row()
    build.budget("0.10")
    provider = build.StandIn()
    failed(provider, me, 5)
    carried_out(Order("retry"), wanted=Filter(status="failed"))
    claims = build.claimed(provider, process_id=me)
    assert len(claims) == 2
    assert Generation.objects.filter(wait_reason="budget").count() == 3


# -- another provider --------------------------------------------------------------------------------


def test_a_retry_elsewhere_asks_anew_at_the_other_price_and_leaves_the_first_as_it_failed(
    provider, flux, me, by_turns
):
    keys = failed(provider, me, 5)
    seen = bulk.preview(Order("hand_over", provider="flux"), wanted=Filter(status="failed"))
    assert [(line.provider, line.count, line.expected_micros) for line in seen.lines] == [
        ("flux", 5, 250_000)
    ]
    action = carried_out(Order("hand_over", provider="flux"), wanted=Filter(status="failed"))
    made = Generation.objects.filter(provider="flux")
    assert {each.retry_of_id for each in made} == set(keys)
    assert {(each.status, each.model, each.expected_micros, each.prompt) for each in made} == {
        ("pending", "stand-in", 50_000, "a bottle of hemp seed oil on slate")
    }
    assert statuses(keys) == ["failed"] * 5
    run = Run.objects.get(pk=action.run_id)
    assert {each.run_id for each in made} == {run.id} and run.size == 5
    assert dict(BulkItem.objects.values_list("generation_id", "made_id")) == {
        each.retry_of_id: each.id for each in made
    }


def test_what_was_asked_elsewhere_already_is_not_asked_twice(provider, flux, me):
    keys = failed(provider, me, 2)
    carried_out(Order("hand_over", provider="flux"), ids=keys[:1])
    action = carried_out(Order("hand_over", provider="flux"), wanted=Filter(status="failed"))
    assert outcomes(action) == {
        keys[0]: ("skipped", "it was asked of flux already"),
        keys[1]: ("done", ""),
    }
    assert Generation.objects.filter(provider="flux").count() == 2


def test_a_price_that_rose_after_it_was_agreed_to_is_not_paid(provider, flux, me):
    keys = failed(provider, me, 2)
    action_id = accepted(Order("hand_over", provider="flux"), wanted=Filter(status="failed"))
    flux.price = flux.expected = flux.price * 2
    bulk.carry_out_all(action_id)
    assert counts(action_id) == (0, 2, 0)
    assert outcomes(BulkAction.objects.get())[keys[0]] == (
        "failed",
        "costs $0.10 now; $0.050 was agreed to",
    )
    assert not Generation.objects.filter(provider="flux").exists()


def test_an_archived_product_is_left_out(provider, flux, me):
    keys = failed(provider, me, 2)
    Product.objects.filter(pk=Generation.objects.get(pk=keys[0]).product_id).update(
        archived_at="2026-01-01T00:00Z"
    )
    action = carried_out(Order("hand_over", provider="flux"), wanted=Filter(status="failed"))
    assert outcomes(action)[keys[0]] == ("skipped", "its product is archived")
    assert counts(action) == (1, 0, 1)


# -- priority ----------------------------------------------------------------------------------------


def test_a_higher_priority_is_taken_first_and_can_be_taken_back(provider, me):
    keys = build.asked(provider, 4)
    action = carried_out(Order("reprioritise", priority=10), ids=keys[2:])
    assert counts(action) == (2, 0, 0)
    first = generations.candidates("openai", simulated=True, limit=2)
    assert [each.id for each in first] == keys[2:]
    Generation.objects.filter(pk=keys[3]).update(priority=50)
    undone = bulk.undo(action.pk, build.EDITOR)
    bulk.carry_out_all(undone)
    assert list(Generation.objects.order_by("id").values_list("priority", flat=True)) == [0, 0, 0, 50]
    assert outcomes(BulkAction.objects.get(pk=undone))[keys[3]] == (
        "skipped",
        "its priority was changed since",
    )


# -- abort and undo ----------------------------------------------------------------------------------


def test_an_abort_leaves_the_rest_as_it_was_and_says_so(provider, me, by_turns):
    keys = failed(provider, me, 7)
    action_id = accepted(Order("retry"), wanted=Filter(status="failed"))
    bulk.carry_out(action_id, 0)
    assert bulk.abort(action_id, build.ADMIN) == 4
    assert bulk.carry_out(action_id, 3) is None
    assert Counter(statuses(keys)) == {"pending": 3, "failed": 4}
    action = BulkAction.objects.get()
    assert (counts(action), action.stopped_by_name) == ((3, 0, 4), "ada")
    assert list(outcomes(action).values()).count(("skipped", "aborted by ada")) == 4
    assert bulk.abort(action_id, build.ADMIN) == 0


def test_a_cancel_is_taken_back_for_what_waited_and_for_nothing_else(provider, me):
    build.asked(provider, 5)
    (claim,) = story.begin(provider, me, most=1)
    tally = monitor.tally(Filter()).counted
    action = carried_out(Order("cancel"), wanted=Filter(provider="openai"))
    undone = bulk.undo(action.pk, build.EDITOR)
    bulk.carry_out_all(undone)
    assert counts(undone) == (4, 0, 0)
    assert Counter(Generation.objects.values_list("status", flat=True)) == {"pending": 4, "processing": 1}
    kept = {pair: number for pair, number in monitor.tally(Filter()).counted.items() if number}
    assert kept == {pair: number for pair, number in tally.items() if number}
    assert build.generation(claim).cancel_requested_at is not None, "what was on its way stays cancelled"
    assert bulk.undo(action.pk, build.EDITOR) == undone, "a second press is the same undo"
    assert len(build.claimed(provider, process_id=me)) == 4


def test_a_retry_cannot_be_taken_back(provider, me):
    failed(provider, me, 1)
    action = carried_out(Order("retry"), wanted=Filter(status="failed"))
    assert bulk.undo(action.pk, build.EDITOR) is None
    assert BulkAction.objects.count() == 1


def test_a_generation_that_has_its_image_is_never_brought_back_from_cancelled(provider, me):
    (key,) = build.asked(provider)
    generate.cancel([key], build.EDITOR)
    (claim,) = [build.sent(provider, process_id=me)]
    build.end(build.delivered(claim))
    assert generations.bulk.take_back_cancel([claim.generation.id]) == []
    assert [each.id for each in generations.bulk.take_back_cancel([key])] == [key]
