"""Every fault point, for every kind of provider: the process dies there, and the process stands still there.

A batch is a handful of pay processes, each armed with one point; they take work together, each meets its
point, and an heir cleans up behind them. Then the checker reads everything there is. A problem names the
attempt, and the attempt its process, and so its point.
"""

import itertools
import os
import random
import signal
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from packshot.kernel.faults import POINTS
from tests.chaos.checker import check, unexplained
from tests.chaos.harness import (
    PATIENCE,
    Fallen,
    Site,
    catalogue,
    is_alive,
    seed,
    stands_still,
    wait_for,
)
from tests.ports import free_port

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]

# The provider that stands for each kind, and who passes its points.
KINDS = {"direct": "openai", "ticket": "flux", "callback": "flux"}
PASSERS = {
    "direct": ("call", "direct"),
    "ticket": ("call", "ticket"),
    "callback": ("call", "ticket", "callback"),
}
BATCH = 8
IN_FLIGHT = 2
PRODUCTS = 1_500
DAY_S = 86_400.0
# Which hits of each point: the first on every run, the first three at night.
HITS = [1, pytest.param(2, marks=pytest.mark.nightly), pytest.param(3, marks=pytest.mark.nightly)]
# Where a transaction is open, so that whoever stands still there holds locks, and stands there alone.
IN_TRANSACTION = {
    "queue.claimed",
    "money.reserved",
    "sending.written",
    "ticket.written",
    "close.images",
    "close.settled",
    "close.counted",
    "close.told",
    "callback.heeded",
}


def passed_by(*passers: str) -> list[str]:
    return [name for name, point in POINTS.items() if point.passed_by in passers]


@dataclass
class Armed:
    """A pay process that will meet one point."""

    pid: int
    process_id: UUID
    point: str


@dataclass
class Sweep:
    """One site for many cases, and what the checker must know of all of them."""

    site: Site
    chance: random.Random
    skus: dict[str, Iterator[str]]
    keys: Iterator[int] = field(default_factory=itertools.count)
    cases: int = 0
    began: float = field(default_factory=time.monotonic)
    fallen: list[Fallen] = field(default_factory=list)
    still: list[Armed] = field(default_factory=list)
    port: int | None = None  # where the site listens, if it does
    owned: set[UUID] = field(default_factory=set)  # attempts of those that fell or stood still

    def ask(self, provider: str, count: int) -> list[str]:
        skus = list(itertools.islice(self.skus[provider], count))
        assert len(skus) == count, "the catalogue is used up"
        key = f"asked-in-the-sweep-{next(self.keys)}"
        (answer,) = self.site.client.call("ask", provider=provider, key=key, skus=skus)
        return list(answer["ids"])

    def arm(self, points: Sequence[str], action: str, hit: int, *, in_flight: int = IN_FLIGHT) -> list[Armed]:
        """A process for each point, ready to claim, under a wall clock that is up to a day off."""
        pids = [
            self.site.bear(
                f"{point}:{action}:{hit}",
                in_flight=in_flight,
                clock_s=self.chance.choice([-DAY_S, 0.0, DAY_S]),
            )
            for point in points
        ]
        for pid, point in zip(pids, points, strict=True):
            # A rescuer may meet its point before anybody has seen its lock.
            wait_for(
                f"the process for {point}",
                lambda pid=pid: self.site.holds_lock(pid) or not is_alive(pid) or stands_still(pid),
                within_s=60,
            )
        self.cases += len(points)
        return [Armed(pid, self.site.process_id(pid), point) for pid, point in zip(pids, points, strict=True)]

    def let_fall(self, armed: Sequence[Armed], feed: str, hit: int) -> None:
        """Give them work until each has died at its point; note what each left, before others touch it."""
        falling = {each.pid: each for each in armed}
        hungry_at = time.monotonic() + 2
        until = time.monotonic() + PATIENCE * 60
        while falling:
            for pid, each in list(falling.items()):
                if not is_alive(pid):
                    self.fallen.append(self.site.left_by(each.process_id, at=time.time()))
                    del falling[pid]
            if falling and time.monotonic() > hungry_at:
                self.ask(feed, 2 * len(falling))
                hungry_at = time.monotonic() + 2
            assert time.monotonic() < until, f"never met: {[each.point for each in falling.values()]}"
            time.sleep(0.01)
        for each in armed:
            code = wait_for("its exit", lambda each=each: self.site.ended(each.pid), within_s=5)
            assert code == 137, f"{each.point}: ended with {code}"
            self._met(each, "crash", hit)

    def stand(self, armed: Sequence[Armed], feed: str, hit: int) -> None:
        """Give them work until each stands still at its point."""
        hungry_at = time.monotonic() + 2

        def all_stand() -> bool:
            nonlocal hungry_at
            moving = [each for each in armed if not stands_still(each.pid)]
            for each in moving:
                assert is_alive(each.pid), f"the process for {each.point} died"
            if moving and time.monotonic() > hungry_at:
                self.ask(feed, 2 * len(moving))
                hungry_at = time.monotonic() + 2
            return not moving

        wait_for("all standing still", all_stand, within_s=60, every_s=0.01)
        for each in armed:
            self._met(each, "stop", hit)
        self.still += armed
        self._note_owned()

    def _met(self, each: Armed, action: str, hit: int) -> None:
        assert (each.point, action, each.pid, hit) in self.site.hits()

    def _note_owned(self) -> None:
        """What whoever fell or stood still owns may be uncertain. Only what was on its way can be: the tables
        let nothing else become it, and the checker nothing that has a ticket."""
        rows = self.site.rows(
            "SELECT id FROM packshot_attempt WHERE process_id = ANY(%s)",
            [each.process_id for each in (*self.still, *self.fallen)],
        )
        self.owned |= {row[0] for row in rows}

    def wake_taken_for_dead(self, standing: Sequence[Armed], heir: int, *, after_s: float = 0) -> None:
        """Cut the locks of those that stand, let the heir rescue what is theirs, and wake them."""
        ids = [each.process_id for each in standing]
        assert self.site.cut_fences(ids) == len(ids)
        if after_s:
            time.sleep(after_s)
        else:
            wait_for("the rescue", lambda: not self.site.rows(UNRESOLVED, ids), within_s=20)
        for each in standing:
            os.kill(each.pid, signal.SIGCONT)
        self._rest()
        self._note_owned()
        self.site.dismiss(*(each.pid for each in standing), heir)
        self._note_owned()

    def inherit(self) -> None:
        """An heir finishes everything, then ends in good order."""
        heir = self.site.bear(in_flight=50)
        self._rest()
        self.site.dismiss(heir)

    def _rest(self) -> None:
        wait_for("all at rest", self.site.at_rest, within_s=60)
        if self.port:  # what the provider says by itself comes when it is ready
            time.sleep(1.0)
            wait_for("all at rest", self.site.at_rest, within_s=60)

    def verify(self) -> None:
        wait_for("all at rest", self.site.at_rest, within_s=30)
        self._note_owned()
        lost = frozenset().union(*(each.sending for each in self.fallen))
        verdict = check(
            self.site.database(), self.site.bill, self.site.blob_url, lost=lost, perhaps=self.owned - lost
        )
        assert verdict.problems == (), unexplained(verdict)
        assert self.site.client.call("check") == []
        print(f"{self.cases} cases in {time.monotonic() - self.began:.0f} s; {verdict}")


UNRESOLVED = """
    SELECT 1 FROM packshot_process AS process
    WHERE process.id = ANY(%s) AND (process.ended_at IS NULL OR EXISTS (
        SELECT 1 FROM packshot_attempt AS attempt
        WHERE attempt.process_id = process.id AND attempt.state IN ('intent', 'sending', 'accepted')))
"""


@contextmanager
def swept(request: pytest.FixtureRequest, port: int | None = None) -> Iterator[Sweep]:
    print(f"PACKSHOT_CHAOS_SEED={seed()}")
    called_at = {"PACKSHOT_CALLBACK_URL": f"http://127.0.0.1:{port}"} if port else {}
    with Site(speed=20.0, timer_scale=10.0, image_bytes=150_000, settings=called_at) as site:
        listed, skus = catalogue(site.folder, PRODUCTS)
        seats = dict.fromkeys(KINDS.values(), 200)
        assert site.client.call("prepare", catalogue=str(listed), seats=seats) == PRODUCTS
        if port:
            site.serve(port)
        failed_before = request.session.testsfailed
        yield Sweep(
            site, random.Random(seed()), {provider: iter(skus) for provider in KINDS.values()}, port=port
        )
        if request.session.testsfailed > failed_before:
            print(site.said())


@pytest.fixture(scope="module")
def without_callbacks(request: pytest.FixtureRequest) -> Iterator[Sweep]:
    with swept(request) as sweep:
        yield sweep


@pytest.fixture(scope="module")
def with_callbacks(request: pytest.FixtureRequest) -> Iterator[Sweep]:
    with swept(request, free_port()) as sweep:
        yield sweep


@pytest.fixture
def sweep(request: pytest.FixtureRequest, kind: str) -> Sweep:
    """The site for a kind of provider: one for all cases."""
    name = "with_callbacks" if kind == "callback" else "without_callbacks"
    found: Sweep = request.getfixturevalue(name)
    return found


def batches(points: Collection[str], size: int = BATCH) -> list[list[str]]:
    points = list(points)
    return [points[first : first + size] for first in range(0, len(points), size)]


@pytest.mark.parametrize("hit", HITS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_process_that_dies_at_any_point_of_a_call_loses_nothing_and_pays_nothing_twice(sweep, kind, hit):
    provider = KINDS[kind]
    for points in batches(passed_by(*PASSERS[kind])):
        armed = sweep.arm(points, "crash", hit)
        sweep.ask(provider, len(points) * IN_FLIGHT * hit)
        sweep.let_fall(armed, provider, hit)
        sweep.inherit()
        sweep.verify()


@pytest.mark.parametrize("hit", HITS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_process_that_stands_still_at_any_point_and_is_taken_for_dead_wakes_up_harmless(sweep, kind, hit):
    provider = KINDS[kind]
    points = passed_by(*PASSERS[kind])
    together = [point for point in points if point not in IN_TRANSACTION]
    for group in batches(together):
        armed = sweep.arm(group, "stop", hit)
        sweep.ask(provider, len(group) * IN_FLIGHT * hit)
        sweep.stand(armed, provider, hit)
        heir = sweep.site.bear(in_flight=50)
        sweep.wake_taken_for_dead(armed, heir)
        sweep.verify()


@pytest.mark.parametrize("hit", HITS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_process_that_stands_still_in_a_transaction_and_is_taken_for_dead_wakes_up_harmless(
    sweep, kind, hit
):
    provider = KINDS[kind]
    for point in (point for point in passed_by(*PASSERS[kind]) if point in IN_TRANSACTION):
        armed = sweep.arm([point], "stop", hit)
        sweep.ask(provider, IN_FLIGHT * hit + 1)
        sweep.stand(armed, provider, hit)
        heir = sweep.site.bear(in_flight=50)
        # It holds locks, so its rescue may have to wait for it; it is given the time it would take.
        sweep.wake_taken_for_dead(armed, heir, after_s=1.5)
    sweep.verify()


# What the rescuers meet: something not sent, something on its way, and a ticket.
VICTIMS = {
    "direct": ("attempt.committed", "sending.committed"),
    "ticket": ("attempt.committed", "sending.committed", "ticket.saved"),
    "callback": ("attempt.committed", "answer.half_read", "ticket.saved"),
}
# In this order each rescuer finds what it needs, though those before it died.
RESCUES = ("rescue.ended", "give_back.released", "rescue.returned", "rescue.unsure", "rescue.adopted")


def leave_wreckage(sweep: Sweep, kind: str) -> None:
    provider = KINDS[kind]
    victims = sweep.arm(VICTIMS[kind], "crash", 1, in_flight=1)
    sweep.cases -= len(victims)
    sweep.ask(provider, len(victims))
    sweep.let_fall(victims, provider, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_rescuers_that_die_one_after_the_other_leave_their_work_to_the_next(sweep, kind):
    assert set(RESCUES) == set(passed_by("rescue"))
    leave_wreckage(sweep, kind)
    for point in RESCUES:
        rescuers = sweep.arm([point], "crash", 1)
        sweep.let_fall(rescuers, KINDS[kind], 1)
    sweep.inherit()
    sweep.verify()


@pytest.mark.parametrize("kind", KINDS)
def test_a_rescuer_that_stands_still_is_overtaken_and_does_no_harm_when_it_goes_on(sweep, kind):
    for point in RESCUES:
        leave_wreckage(sweep, kind)
        rescuers = sweep.arm([point], "stop", 1)
        sweep.stand(rescuers, KINDS[kind], 1)
        heir = sweep.site.bear(in_flight=50)
        sweep.wake_taken_for_dead(rescuers, heir, after_s=1.5)
    sweep.verify()


@pytest.mark.parametrize("action", ["crash", "stop"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_process_that_breaks_off_while_it_ends_in_good_order_leaves_nothing_behind(sweep, kind, action):
    provider = KINDS[kind]
    armed = sweep.arm(passed_by("end"), action, 1)
    sweep.ask(provider, 6)
    wait_for("some of it done", lambda: sweep.site.at_rest() or sweep.site.value(SOME_SENT), within_s=30)
    for each in armed:
        os.kill(each.pid, signal.SIGTERM)
    if action == "crash":
        sweep.let_fall(armed, provider, 1)
        sweep.inherit()
    else:
        sweep.stand(armed, provider, 1)
        heir = sweep.site.bear(in_flight=50)
        sweep.wake_taken_for_dead(armed, heir, after_s=1.5)
    sweep.verify()


@pytest.mark.parametrize("kind", ["callback"])
@pytest.mark.parametrize("action", ["crash", "stop"])
def test_a_site_that_breaks_off_with_a_callback_in_hand_changes_nothing(sweep, kind, action):
    """The provider tries again, or gives up; either way the worker finds out by itself."""
    site = sweep.site
    first = site.workers[-1]
    first.kill()
    first.wait()
    armed = site.serve(sweep.port, f"callback.stored:{action}:1")
    worker = site.bear(in_flight=4)
    sweep.ask(KINDS[kind], 4)
    met = ("callback.stored", action, armed.pid, 1)
    wait_for("its point", lambda: met in site.hits(), within_s=30)
    if action == "stop":
        wait_for("all at rest without it", site.at_rest, within_s=60)
        os.kill(armed.pid, signal.SIGCONT)
        armed.kill()
    assert armed.wait(20) == (137 if action == "crash" else -signal.SIGKILL)
    site.serve(sweep.port)
    sweep.cases += 1
    wait_for("all at rest", site.at_rest, within_s=60)
    site.dismiss(worker)
    sweep.verify()


SOME_SENT = "SELECT EXISTS (SELECT 1 FROM packshot_attempt WHERE state IN ('sending', 'accepted'))"


def test_no_point_is_left_out_of_the_sweep():
    """Each case above fails when its point is not met; so what remains is that each point has its cases."""
    swept = {point for passers in PASSERS.values() for point in passed_by(*passers)}
    assert swept | {*RESCUES, *passed_by("end"), *passed_by("site")} == POINTS.keys()
