"""Work that takes its worker down with it, and loops that are stuck: others go on, money is resolved."""

import time
from dataclasses import dataclass, field

import pytest

from tests.chaos.checker import check
from tests.chaos.harness import PATIENCE, Fallen, Site, asked, is_alive, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

PRODUCTS = 50
BAD = "trial-0007"  # the product of tests.chaos.tricks.BAD
SIGABRT, STUCK, TIMED_OUT = -6, 70, 1


@dataclass
class Supervised:
    """One pay process at a time that plays `tricks`, started again whenever it ends."""

    site: Site
    tricks: str
    fallen: list[Fallen] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)

    def work_until_done(self, provider: str, *, in_flight: int = PRODUCTS, within_s: float = 120) -> None:
        self._ask(provider)
        pid = self.site.bear(tricks=self.tricks, in_flight=in_flight)
        until = time.monotonic() + PATIENCE * within_s
        while not self.site.at_rest():
            if not is_alive(pid):
                last = self.site.process_id(pid)
                self.fallen.append(self.site.left_by(last, at=time.time()))
                code = wait_for("its exit", lambda pid=pid: self.site.ended(pid), within_s=5)
                self.codes.append(code)
                pid = self.site.bear(tricks=self.tricks, in_flight=in_flight)
            assert time.monotonic() < until, f"not at rest; so far {self.codes}"
            time.sleep(0.02)
        self.site.dismiss(pid)

    def _ask(self, provider: str) -> None:
        skus = asked(self.site, PRODUCTS, seats={provider: PRODUCTS})
        self.site.client.call("ask", provider=provider, key=f"one of {PRODUCTS} is bad", skus=skus)

    def problems_besides(self, attempt_id: object) -> list[str]:
        lost = frozenset().union(*(each.sending for each in self.fallen))
        verdict = check(self.site.database(), self.site.bill, self.site.blob_url, lost=lost)
        print(self.codes, verdict)
        return [each for each in verdict.problems if str(attempt_id) not in each]

    def bad(self) -> tuple[object, ...]:
        """Of the bad one: attempt, its state, cost, status of the generation, class of error, deaths."""
        (row,) = self.site.rows(
            """
            SELECT attempt.id, attempt.state, attempt.cost_micros, generation.status, generation.error_kind,
                generation.worker_deaths
            FROM packshot_generation AS generation
            JOIN packshot_attempt AS attempt ON attempt.generation_id = generation.id
            JOIN packshot_product AS product ON product.id = generation.product_id
            WHERE product.sku = %s
            """,
            BAD,
        )
        return row

    def others_completed_or_lost(self) -> bool:
        """Every other one is completed, but for those that were on the wire at a death."""
        statuses = dict(
            self.site.rows(
                """
                SELECT generation.status, count(*) FROM packshot_generation AS generation
                JOIN packshot_product AS product ON product.id = generation.product_id
                WHERE product.sku <> %s GROUP BY generation.status
                """,
                BAD,
            )
        )
        print(statuses)
        return statuses.keys() <= {"completed", "uncertain"} and statuses["completed"] >= PRODUCTS / 2


@pytest.mark.parametrize(
    ("tricks", "code"), [("abort_while_collecting", SIGABRT), ("spin_while_collecting", STUCK)]
)
def test_a_ticket_that_three_workers_died_of_is_set_aside_and_paid_for_while_the_others_go_on(tricks, code):
    with Site(speed=8.0, timer_scale=15.0) as site:
        workers = Supervised(site, tricks)
        workers.work_until_done("flux", in_flight=12)
        attempt_id, state, cost, status, kind, deaths = workers.bad()
        assert (state, status, kind, deaths) == ("charged_no_image", "failed", "worker_lost", 3)
        assert cost > 0
        assert workers.codes == [code] * 3
        assert workers.problems_besides(attempt_id) == []
        # A process that does not choke on it brings the image that was paid for.
        assert site.client.call("collect") == 1
        assert site.client.call("collect") == 0
        assert workers.problems_besides(None) == []
        assert workers.others_completed_or_lost()
        assert site.client.call("check") == []


@pytest.mark.parametrize(
    ("tricks", "code"),
    [
        ("abort_while_submitting", SIGABRT),
        ("spin_while_submitting", STUCK),
        ("hold_the_interpreter_while_submitting", TIMED_OUT),
    ],
)
def test_a_call_that_takes_its_worker_down_is_never_made_again(tricks, code):
    with Site(speed=8.0, timer_scale=15.0) as site:
        workers = Supervised(site, tricks)
        workers.work_until_done("openai", in_flight=5)
        attempt_id, state, cost, status, kind, deaths = workers.bad()
        assert (state, cost, status, kind, deaths) == ("uncertain", None, "uncertain", "worker_lost", 1)
        assert workers.codes == [code]
        assert workers.problems_besides(attempt_id) == []
        assert workers.others_completed_or_lost()
        assert site.client.call("check") == []
