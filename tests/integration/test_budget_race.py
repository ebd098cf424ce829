"""Thirty-two admissions at once against three budgets that overlap: no commit holds more than a limit.

A trigger of the test's own looks at each window as its transaction commits, with the limit that stands then.
PACKSHOT_CHAOS_SEED shifts the ten seeds.
"""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from django.db import connection, transaction

from packshot import generations, ledger
from packshot.catalogue.models import Category, Product
from packshot.flows import admit, spending
from packshot.flows.close import Completion
from packshot.generations import Claim
from packshot.generations.models import Generation
from packshot.kernel.errors import Refused, Unsure
from packshot.kernel.ids import uuid7
from packshot.kernel.money import Micros, micros
from packshot.ledger import Limit
from tests import build

pytestmark = pytest.mark.django_db(transaction=True)

FIRST_SEED = int(os.environ.get("PACKSHOT_CHAOS_SEED", "0"))
SEEDS = range(FIRST_SEED, FIRST_SEED + 10)
THREADS = 32
PRICE = micros("0.01")
OF_EACH = 70  # generations of each pair of provider and person
# In prices: everything; one provider; one person. The pair that only the first limits wants more than all
# of it, so whatever order the threads run in, exactly sixty are affordable.
AFFORDABLE, OF_OPENAI, OF_BULK = 60, 25, 30
EVERYTHING = Limit(Micros(AFFORDABLE * PRICE), simulated=True)
BUDGETS = (
    EVERYTHING,
    Limit(Micros(OF_OPENAI * PRICE), "provider", "openai", "day", "Asia/Kolkata", True),
    Limit(Micros(OF_BULK * PRICE), "person", "bulk", "week", "America/New_York", True),
)

GUARD = """
CREATE FUNCTION test_no_overspend() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    over record;
BEGIN
    SELECT budget.name, budget.limit_micros, balance.reserved_micros, balance.spent_micros INTO over
    FROM packshot_budgetwindow AS balance JOIN packshot_budget AS budget ON budget.id = balance.budget_id
    WHERE balance.id = NEW.id AND (balance.reserved_micros < 0 OR balance.spent_micros < 0
        OR balance.reserved_micros + balance.spent_micros > budget.limit_micros);
    -- Below a limit that was lowered nothing more may be held; what was held before may end.
    IF FOUND AND (TG_OP = 'INSERT' OR NEW.reserved_micros > OLD.reserved_micros) THEN
        RAISE EXCEPTION 'overspent: % has % of %', over.name,
            over.reserved_micros + over.spent_micros, over.limit_micros;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER test_no_overspend AFTER INSERT OR UPDATE ON packshot_budgetwindow
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION test_no_overspend();
"""


@pytest.fixture(autouse=True)
def guard() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(GUARD)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION test_no_overspend CASCADE")


@dataclass
class Race:
    """What the threads do until nobody gets anything more, and how they end what they got."""

    seed: int
    ends: Callable[[random.Random, Claim], Completion | None]  # None: it stays on its way
    providers: dict[str, build.StandIn] = field(default_factory=dict)
    problems: list[BaseException] = field(default_factory=list)
    counts: dict[int, int] = field(default_factory=dict)  # admissions by thread

    def prepare(self) -> None:
        for name in ("openai", "flux"):
            build.provider_row(name, in_flight=10_000)
            self.providers[name] = build.StandIn(name, price="0.01")
        self.budgets = [ledger.add_budget(limit) for limit in BUDGETS]
        place = Category.objects.create(path="Food", name="Food")
        pairs = [(provider, person) for provider in self.providers for person in ("bulk", "ed")]
        products = Product.objects.bulk_create(
            [
                Product(sku=f"race-{number}", name=f"Race {number}", category=place)
                for number in range(OF_EACH * len(pairs))
            ]
        )
        for number, (provider, person) in enumerate(pairs):
            mine = products[number * OF_EACH : (number + 1) * OF_EACH]
            with transaction.atomic():
                generations.request(
                    [self._wanted(provider, product.id) for product in mine],
                    key=f"race-{number}", fingerprint="f" * 64, title="", person_id=None, person_name=person,
                    quoted_micros=None,
                )  # fmt: skip
        self.workers = [build.process().id for _ in range(THREADS)]

    def _wanted(self, provider: str, product_id: UUID) -> generations.Wanted:
        return generations.Wanted(
            id=uuid7(), product_id=product_id, provider=provider, model="stand-in", simulated=True,
            prompt="a race", template_version_id=None, shape="1:1", images=1, seed=None, options={},
            priority=0, expected_micros=PRICE, ceiling_micros=PRICE, price_version="stand-in-1",
        )  # fmt: skip

    def run(self, *beside: Callable[[random.Random], None]) -> float:
        """Seconds until all threads found nothing more."""
        began = time.monotonic()
        self.line = threading.Barrier(THREADS)
        with ThreadPoolExecutor(THREADS + len(beside)) as threads:
            others = [threads.submit(self._beside, each, number) for number, each in enumerate(beside)]
            for done in [threads.submit(self._race, number) for number in range(THREADS)] + others:
                done.result()
        assert self.problems == []
        return time.monotonic() - began

    def _beside(self, work: Callable[[random.Random], None], number: int) -> None:
        try:
            work(random.Random(f"{self.seed} beside {number}"))
        finally:
            connection.close()

    def _race(self, number: int) -> None:
        chance = random.Random(f"{self.seed} thread {number}")
        me = self.workers[number]
        empty = 0
        try:
            self.line.wait(60)
            while empty < 6:
                name = chance.choice(sorted(self.providers))
                claims = admit.admit(self.providers[name], process_id=me, most=chance.randint(1, 4))
                self.counts[number] = self.counts.get(number, 0) + 1
                empty = 0 if claims else empty + 1
                if claims:
                    assert admit.start_sending(claims, process_id=me) == {each.attempt_id for each in claims}
                    ended = [end for claim in claims if (end := self.ends(chance, claim)) is not None]
                    build.end(*ended)
        except BaseException as problem:
            self.problems.append(problem)
        finally:
            connection.close()

    def drain(self) -> None:
        """What was parked on figures that moved under it is looked at once more, until nothing fits."""
        while True:
            with transaction.atomic():
                generations.wake_waiting_for("budget")
                generations.wake_due()
            taken = [build.claimed(each, process_id=self.workers[0]) for each in self.providers.values()]
            if not any(taken):
                return

    def verify(self) -> dict[str, int]:
        """Balances are what their rows add up to, within limits; whoever still waits has no room."""
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT budget.id, balance.reserved_micros, balance.spent_micros,
                    coalesce(sum(hold.amount_micros) FILTER (WHERE hold.closed_at IS NULL), 0),
                    coalesce((SELECT sum(entry.amount_micros) FROM packshot_entry AS entry
                        JOIN packshot_reservation AS was ON was.attempt_id = entry.attempt_id
                        WHERE balance.id = ANY(was.window_ids)), 0)
                FROM packshot_budgetwindow AS balance
                JOIN packshot_budget AS budget ON budget.id = balance.budget_id
                LEFT JOIN packshot_reservation AS hold ON balance.id = ANY(hold.window_ids)
                GROUP BY balance.id, budget.id
                """
            )
            rows = cursor.fetchall()
        assert len(rows) == len(BUDGETS)
        for _, reserved, spent, held, charged in rows:
            assert (reserved, spent) == (held, charged)
        live = ledger.budgets()
        for waiting in Generation.objects.filter(status="pending"):
            assert any(
                each.left_micros < PRICE
                for each in live
                if each.covers(
                    provider=waiting.provider_id,
                    category_path="Food",
                    person_name=waiting.asked_by_name,
                    run_id=None,
                )
            ), f"{waiting.provider_id}/{waiting.asked_by_name} waits and has room"
        return {each.scope: each.reserved_micros + each.spent_micros for each in live}


def stays(chance: random.Random, claim: Claim) -> Completion | None:
    return None


def settles(chance: random.Random, claim: Claim) -> Completion | None:
    """Charged in full, charged less, refused for free, uncertain, or still on its way."""
    match chance.randrange(5):
        case 0:
            return build.delivered(claim, cost="0.01")
        case 1:
            return build.delivered(claim, cost=f"0.00{chance.randint(1, 9)}")
        case 2:
            return build.failed(claim, Refused("no", kind="refused"))
        case 3:
            return build.failed(claim, Unsure("cut", kind="cut_off"))
    return None


def raced(seed: int, ends: Callable[[random.Random, Claim], Completion | None]) -> Race:
    print(f"PACKSHOT_CHAOS_SEED={seed}")
    race = Race(seed, ends)
    race.prepare()
    return race


@pytest.mark.parametrize("seed", SEEDS)
def test_exactly_the_affordable_number_runs_whatever_the_order(seed):
    race = raced(seed, stays)
    took_s = race.run()
    race.drain()
    used = race.verify()
    print(f"{sum(race.counts.values())} admissions in {took_s:.1f} s; {used}")
    assert used["everything"] == AFFORDABLE * PRICE
    assert Generation.objects.filter(status="processing").count() == AFFORDABLE
    assert len(race.counts) == THREADS


@pytest.mark.parametrize("seed", SEEDS)
def test_no_limit_is_passed_while_money_comes_back_and_limits_move(seed):
    race = raced(seed, settles)

    def move(chance: random.Random) -> None:
        """An administrator who cannot decide."""
        for _ in range(30):
            place = chance.randrange(len(BUDGETS))
            share = chance.uniform(0.2, 1)
            spending.change_budget(
                race.budgets[place].id,
                build.ADMIN,
                limit_micros=int(BUDGETS[place].limit_micros * share),
            )
            time.sleep(chance.uniform(0, 0.01))

    took_s = race.run(*([move] if seed % 2 else []))
    for budget, limit in zip(race.budgets, BUDGETS, strict=True):
        spending.change_budget(budget.id, build.ADMIN, limit_micros=limit.limit_micros)
    race.drain()
    print(f"{sum(race.counts.values())} admissions in {took_s:.1f} s; {race.verify()}")
    ended = set(Generation.objects.values_list("status", flat=True))
    assert {"completed", "failed", "uncertain", "processing"} <= ended


def test_the_guard_of_these_tests_sees_what_is_overspent():
    budget = ledger.add_budget(EVERYTHING)
    with pytest.raises(Exception, match="overspent"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE packshot_budgetwindow SET reserved_micros = %s WHERE budget_id = %s",
            [EVERYTHING.limit_micros + 1, budget.id],
        )
