"""Budgets: made, moved and taken away while money moves; told when they fill; and what was spent, by whom."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from packshot import events, ledger
from packshot.accounts import Actor
from packshot.flows import admit, spending
from packshot.generations.models import Generation
from packshot.kernel.errors import BadInput, Refused
from packshot.kernel.money import micros
from packshot.ledger import Limit
from packshot.ledger.models import BudgetWindow, Entry
from tests import build
from tests.beside import Beside

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider() -> build.StandIn:
    build.provider_row()
    return build.StandIn(price="0.10")


def charge(provider: build.StandIn, *, cost: str = "0.10", person: str = "ed") -> None:
    """One generation, asked, made and paid for."""
    me = build.process().id
    build.asked(provider, person=person)
    (claim,) = admit.admit(provider, process_id=me, most=1)
    admit.start_sending([claim], process_id=me)
    build.end(build.delivered(claim, cost=cost))


def figures(budget: ledger.BudgetState) -> tuple[int, int]:
    """(spent, reserved) of a budget now."""
    now = next(each for each in ledger.budgets() if each.id == budget.id)
    return now.spent_micros, now.reserved_micros


def test_a_new_budget_counts_what_its_period_has_cost_and_holds_already(provider):
    charge(provider, person="ed")
    charge(provider, person="flo")
    held = build.sent(provider)
    everything = ledger.add_budget(Limit(micros("10"), simulated=True))
    of_flo = ledger.add_budget(Limit(micros("10"), "person", "flo", simulated=True))
    real = ledger.add_budget(Limit(micros("10")))
    assert figures(everything) == (micros("0.20"), micros("0.10"))
    assert figures(of_flo) == (micros("0.10"), 0)
    assert figures(real) == (0, 0)
    build.end(build.delivered(held, cost="0.07"))
    assert figures(everything) == (micros("0.27"), 0)


def test_a_hold_from_before_goes_back_to_a_budget_that_was_made_meanwhile(provider):
    held = build.sent(provider)
    budget = ledger.add_budget(Limit(micros("10"), simulated=True))
    build.end(build.failed(held, Refused("another brand", kind="refused")))
    assert figures(budget) == (0, 0)


def test_a_budget_that_is_moved_to_another_period_counts_that_one_and_can_be_moved_back(provider):
    budget = build.budget("10")
    charge(provider)
    build.sent(provider)
    for period in ("day", "week", "total", "month"):
        moved = ledger.change_budget(budget.id, limit_micros=micros("10"), period=period)
        assert moved.period == period
        assert figures(budget) == (micros("0.10"), micros("0.10"))
    windows = BudgetWindow.objects.filter(budget_id=budget.id)
    assert windows.count() == 4


def test_a_category_covers_those_below_it_and_no_neighbour_of_a_longer_name(provider):
    charge(provider)  # in Food > Oils
    above = ledger.add_budget(Limit(micros("1"), "category", "Food", simulated=True))
    beside = ledger.add_budget(Limit(micros("1"), "category", "Food > Oil", simulated=True))
    assert figures(above)[0] == micros("0.10")
    assert figures(beside)[0] == 0


@pytest.mark.parametrize(
    ("limit", "field"),
    [
        (Limit(-1), "limit"),
        (Limit(10**14), "limit"),
        (Limit(1, scope="planet", scope_value="mars"), "scope"),
        (Limit(1, scope="person"), "scope_value"),
        (Limit(1, scope="everything", scope_value="ed"), "scope_value"),
        (Limit(1, period="fortnight"), "period"),
        (Limit(1, zone="Atlantis/Capital"), "zone"),
    ],
)
def test_what_cannot_be_a_budget_is_said_by_its_field(limit, field):
    with pytest.raises(BadInput) as refused:
        ledger.add_budget(limit)
    assert refused.value.field == field


def test_the_same_budget_twice_is_refused_and_after_archiving_it_may_be_made_again():
    first = ledger.add_budget(Limit(micros("5"), "provider", "openai"))
    with pytest.raises(BadInput, match="change that one"):
        ledger.add_budget(Limit(micros("6"), "provider", "openai"))
    ledger.archive_budget(first.id)
    assert ledger.add_budget(Limit(micros("6"), "provider", "openai")).limit_micros == micros("6")


def test_raising_a_budget_wakes_what_waited_for_it(provider):
    budget = build.budget("0.05")
    build.asked(provider)
    assert admit.admit(provider, process_id=build.process().id, most=5) == []
    waiting = Generation.objects.get()
    assert waiting.wait_reason == "budget"
    assert "$0.05" in waiting.wait_detail or "$0.050" in waiting.wait_detail
    spending.change_budget(budget.id, build.ADMIN, limit_micros=micros("1"))
    assert len(admit.admit(provider, process_id=build.process().id, most=5)) == 1


def test_only_an_administrator_changes_budgets():
    for role in (None, "viewer", "editor", "reviewer", "publisher"):
        with pytest.raises(BadInput):
            spending.add_budget(Limit(1), Actor(None, "somebody", role))


def test_half_four_fifths_and_all_are_each_told_once_in_a_window(provider):
    budget = build.budget("2")

    def told() -> list[int]:
        before = events.newest_id()
        spending.tell_crossings()
        return [each.data["percent"] for each in events.since(before) if each.kind == "crossed"]

    charge(provider, cost="0.99")
    assert told() == []
    charge(provider, cost="0.01")
    assert told() == [50]
    assert told() == []
    charge(provider, cost="0.60")
    assert told() == [80]
    charge(provider, cost="0.40")
    assert told() == [100]
    spending.change_budget(budget.id, build.ADMIN, limit_micros=micros("3"))
    assert told() == [], "half was told before"
    charge(provider, cost="0.40")
    assert told() == [80], "what is no longer crossed can be crossed again"


@pytest.mark.django_db(transaction=True)
def test_budgets_that_are_crossed_are_locked_in_the_order_of_whoever_spends(provider):
    first, second = (
        spending.add_budget(Limit(micros("1"), scope=scope, scope_value=value, simulated=True), build.ADMIN)
        for scope, value in (("everything", ""), ("provider", "openai"))
    )
    assert first.id < second.id
    # The first one's row lies behind the second one's now, where a look at the table comes to it last.
    BudgetWindow.objects.filter(budget_id=second.id).update(spent_micros=micros("0.5"))
    BudgetWindow.objects.filter(budget_id=first.id).update(spent_micros=micros("0.5"))
    with transaction.atomic():
        BudgetWindow.objects.select_for_update().get(budget_id=first.id)
        telling = Beside(spending.tell_crossings)
        telling.wait_until_blocked()
        BudgetWindow.objects.select_for_update(nowait=True).get(budget_id=second.id)
    assert telling.result() == 2


def test_a_statement_adds_up_to_the_ledger_whatever_it_is_by(provider):
    flux = build.StandIn("flux", price="0.04")
    build.provider_row("flux")
    charge(provider, cost="0.10")
    charge(provider, cost="0.03", person="flo")
    charge(flux, cost="0.04")
    now = timezone.now()
    span = {"start": now - timedelta(days=1), "end": now + timedelta(minutes=1)}
    for by in ("provider", "model", "category", "person", "run", "day"):
        lines = ledger.statement(by, **span)
        assert sum(each.amount_micros for each in lines) == micros("0.17"), by
        assert sum(each.charges for each in lines) == 3, by
    assert [(each.key, each.amount_micros) for each in ledger.statement("provider", **span)] == [
        ("openai", micros("0.13")),
        ("flux", micros("0.04")),
    ]
    assert {each.key for each in ledger.statement("person", **span)} == {"ed", "flo"}
    assert ledger.statement("provider", start=now + timedelta(days=1), end=now + timedelta(days=2)) == []
    with pytest.raises(BadInput):
        ledger.statement("moon", **span)
    with pytest.raises(BadInput):
        ledger.statement("day", start=now, end=now)


@pytest.mark.django_db(transaction=True)
def test_budgets_made_in_the_middle_of_admissions_and_closes_lose_no_hold(provider):
    """Writers admit and close as fast as they can while budgets are made: in the end each counts everything
    since its making, and what came before."""
    build.budget("1000")
    stop = threading.Event()
    troubles: list[BaseException] = []

    def work() -> None:
        try:
            me = build.process().id
            while not stop.is_set():
                build.asked(provider, 3)
                claims = admit.admit(provider, process_id=me, most=3)
                admit.start_sending(claims, process_id=me)
                for claim in claims:
                    build.end(build.delivered(claim, cost="0.03"))
        except BaseException as trouble:
            troubles.append(trouble)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for each in workers:
        each.start()
    try:
        for number in range(12):
            with transaction.atomic():
                ledger.add_budget(
                    Limit(micros("500"), "provider", "openai", simulated=True)
                    if number == 0
                    else Limit(micros("500"), "person", "ed", "day", simulated=True)
                    if number == 1
                    else Limit(micros("500"), "category", "Food" + " > Oils" * (number % 2), simulated=True)
                    if number in (2, 3)
                    else Limit(micros("500"), "run", f"none-{number}", simulated=True)
                )
            # Several calls end between one budget and the next.
            ended, deadline = Entry.objects.count(), time.monotonic() + 60
            while Entry.objects.count() < ended + 3 and not troubles:
                assert time.monotonic() < deadline, "the writers stand still"
                time.sleep(0.01)
    finally:
        stop.set()
        for each in workers:
            each.join()
    assert troubles == []
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(amount_micros) FROM packshot_entry")
        charged = cursor.fetchone()[0]
    assert charged > micros("1")
    for budget in ledger.budgets():
        if budget.scope != "run":
            assert (budget.spent_micros, budget.reserved_micros) == (charged, 0), budget


def test_a_day_in_the_future_holds_no_charge(provider):
    charge(provider)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert ledger.statement("day", start=tomorrow, end=tomorrow + timedelta(days=1)) == []
