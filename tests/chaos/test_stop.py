"""A person stops spending, or cancels, while a call stands at each step: what has not left never leaves."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from tests.chaos.checker import check, unexplained
from tests.chaos.harness import Site, asked, stands_still, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

# Where a call may stand, and whether its request may still reach the provider from there.
STEPS = {
    "attempt.committed": False,
    "sending.written": False,
    "sending.committed": True,
    "request.half_sent": True,
    "ticket.saved": True,
}
PRODUCTS = 40
CALLS = 2


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site(speed=20.0, timer_scale=10.0) as site:
        yield site


@pytest.fixture(scope="module")
def skus(site: Site) -> Iterator[str]:
    return iter(asked(site, PRODUCTS, seats={"flux": 50}))


def stood(site: Site, skus: Iterator[str], point: str) -> tuple[int, list[str]]:
    """A worker that stands still at `point` with a call, and the generations that were asked for."""
    worker = site.bear(f"{point}:stop:1", in_flight=CALLS)
    wait_for("the worker", lambda: site.holds_lock(worker), within_s=30)
    chosen = [next(skus) for _ in range(CALLS)]
    (answer,) = site.client.call("ask", provider="flux", key=f"asked for {chosen[0]}", skus=chosen)
    wait_for("its stand", lambda: stands_still(worker), within_s=30)
    return worker, answer["ids"]


def requests_of(site: Site, ids: list[str]) -> int:
    return int(
        site.value(
            """
            SELECT count(*) FROM packshot_attempt
            WHERE generation_id = ANY(%s::uuid[]) AND sending_at IS NOT NULL
            """,
            ids,
        )
    )


def statuses(site: Site, ids: list[str]) -> set[str]:
    return {
        row[0] for row in site.rows("SELECT status FROM packshot_generation WHERE id = ANY(%s::uuid[])", ids)
    }


def assert_right(site: Site) -> None:
    wait_for("all at rest", site.at_rest, within_s=60)
    verdict = check(site.database(), site.bill, site.blob_url)
    print(verdict)
    assert verdict.problems == (), unexplained(verdict)
    assert site.client.call("check") == []


@pytest.mark.parametrize("point", STEPS)
def test_after_spending_is_stopped_nothing_leaves_that_had_not_begun_to(site, skus, point):
    worker, ids = stood(site, skus, point)
    # Who stands in the transaction that says "sending" holds the switch until the server ends it.
    stop = threading.Thread(target=site.client.call, args=["stop"])
    stop.start()
    stop.join(20)
    assert not stop.is_alive(), "the switch waits for a worker that stands still"
    begun = requests_of(site, ids)
    assert bool(begun) == STEPS[point]
    os.kill(worker, signal.SIGCONT)
    wait_for(
        "the word that nothing is on its way",
        lambda: site.rows(
            """
            SELECT 1 FROM packshot_process AS process, packshot_stop_switch AS switch
            WHERE process.pid = %s AND process.ended_at IS NULL AND process.stop_acknowledged = switch.version
            """,
            worker,
        ),
        within_s=30,
    )
    assert requests_of(site, ids) == begun
    site.client.call("resume")
    wait_for("all done", lambda: statuses(site, ids) == {"completed"}, within_s=30)
    site.dismiss(worker)
    assert_right(site)


@pytest.mark.parametrize("point", [each for each in STEPS if each != "sending.written"])
def test_what_is_cancelled_before_it_left_costs_nothing_and_what_is_cancelled_later_is_kept(
    site, skus, point
):
    worker, ids = stood(site, skus, point)
    site.client.call("cancel", ids=ids)
    os.kill(worker, signal.SIGCONT)
    wait_for("all at rest", site.at_rest, within_s=30)
    sent = requests_of(site, ids)
    if STEPS[point]:
        assert sent
        assert "completed" in statuses(site, ids)
    else:
        assert (sent, statuses(site, ids)) == (0, {"cancelled"})
    site.dismiss(worker)
    assert_right(site)
