"""The wires between a worker and PostgreSQL, and between a worker and its providers, harmed in every way.

After each kind of harm the wires are whole again, everything comes to rest, and the checker finds nothing:
what a provider's wire took is uncertain and held, what the database's wire took is written once.
"""

import itertools
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from tests.chaos.checker import check, unexplained
from tests.chaos.harness import Site, catalogue, seed, wait_for
from tests.chaos.proxy import Cut, Proxy

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

PROVIDERS = ("openai", "flux")
TIMER_SCALE = 5.0
LOCK_CHECK_S = 2.0 / TIMER_SCALE
HUNG_S = 30.0 / TIMER_SCALE
PRODUCTS = 2_500
# Each kind of harm once on every run, and with other seeds and more of it at night.
ROUNDS = [0, *(pytest.param(number, marks=pytest.mark.nightly) for number in range(1, 10))]
FENCE, WAKER = b"packshot fence", b"packshot waker"
COMMIT = b"COMMIT\0"
PAY = {"openai": b"POST /openai/v1/images/", "flux": b"POST /flux/v1/"}


@dataclass
class Wires:
    """One site whose workers reach everything through two proxies."""

    site: Site
    database: Proxy
    provider: Proxy
    chance: random.Random
    skus: Iterator[str]
    keys: Iterator[int] = field(default_factory=itertools.count)
    workers: list[int] = field(default_factory=list)
    told: int = 0  # of the connections that were harmed, how many were looked at
    taken: set[UUID] = field(default_factory=set)  # uncertain attempts that these account for

    def ask(self, count: int, *providers: str) -> None:
        skus = list(itertools.islice(self.skus, count))
        assert len(skus) == count, "the catalogue is used up"
        for provider in providers or PROVIDERS:
            key = f"asked-over-bad-wires-{next(self.keys)}"
            self.site.client.call("ask", provider=provider, key=key, skus=skus)

    def work(self, *, in_flight: int = 20) -> int:
        pid = self.site.bear(in_flight=in_flight)
        wait_for("a worker", lambda: self.site.holds_lock(pid), within_s=30)
        self.workers.append(pid)
        return pid

    def in_the_middle(self, count: int) -> None:
        """Return when `count` more have ended."""
        until = self.site.done() + count
        wait_for(f"{until} at rest", lambda: self.site.done() >= until, within_s=60, every_s=0.02)

    def recover(self, *, within_s: float = 60.0) -> float:
        """Seconds until everything is at rest over whole wires; then the workers end in good order."""
        began = time.monotonic()
        self.database.calm()
        self.provider.calm()
        wait_for("all at rest", self.site.at_rest, within_s=within_s)
        took_s = time.monotonic() - began
        self.site.dismiss(*self.workers)
        self.workers.clear()
        return took_s

    def verify(self, what: str, *, took_s: float, uncertain: bool = False) -> None:
        """Nothing is wrong but what the wire to a provider took, and that is held."""
        taken = self._taken_now()
        assert bool(taken) == uncertain
        self.taken |= taken
        verdict = check(self.site.database(), self.site.bill, self.site.blob_url, perhaps=self._lapsed())
        wrong = [each for each in verdict.problems if not _is_taken(each, self.taken)]
        print(f"{what}: at rest after {took_s:.1f} s, {len(taken)} uncertain; {verdict.statuses}")
        assert wrong == [], "\n".join([*wrong[:20], unexplained(verdict)])
        assert self.site.client.call("check") == []

    def _taken_now(self) -> set[UUID]:
        """The attempts that became uncertain, each explained by one harmed connection to a provider.

        By the request that was on it; or by one that was not read yet: what lay in the socket when it broke.
        """
        harmed = self.provider.severed[self.told :]
        self.told += len(harmed)
        named = set()
        for said in harmed:
            if paid := re.search(rb"^POST /(\w+)/.*article (trial-\d{4})", said, re.DOTALL):
                named.add((paid[1].decode(), paid[2].decode()))
        rows = self.site.rows(
            """
            SELECT attempt.id, attempt.provider, product.sku FROM packshot_attempt AS attempt
            JOIN packshot_generation AS generation ON generation.id = attempt.generation_id
            JOIN packshot_product AS product ON product.id = generation.product_id
            WHERE attempt.state = 'uncertain' AND attempt.error_kind IN ('cut_off', 'timeout')
            """
        )
        fresh = {attempt: (provider, sku) for attempt, provider, sku in rows if attempt not in self.taken}
        unread = sum(what not in named for what in fresh.values())
        assert unread <= len(harmed) - (len(fresh) - unread), f"{len(fresh)} uncertain, {len(harmed)} harmed"
        return set(fresh)

    def _lapsed(self) -> frozenset[UUID]:
        """Attempts of processes that were taken for dead, as one may be that cannot reach the database."""
        rows = self.site.rows(
            """
            SELECT attempt.id FROM packshot_attempt AS attempt
            JOIN packshot_process AS process ON process.id = attempt.process_id
            WHERE process.lock_free_since IS NOT NULL
            """
        )
        return frozenset(row[0] for row in rows)

    def backends(self, name: bytes) -> set[int]:
        """The database's ends of the connections of this name."""
        rows = self.site.rows("SELECT pid FROM pg_stat_activity WHERE application_name = %s", name.decode())
        return {row[0] for row in rows}


def _is_taken(problem: str, taken: set[UUID]) -> bool:
    """What the checker must say of a call that was good and whose wire was cut."""
    phrases = (
        ": the simulator never saw it",
        "met delivered, so it must be succeeded",
        "met accepted, so it must be succeeded",
        "was delivered, and its image is missing",
    )
    return any(str(each) in problem for each in taken) and any(phrase in problem for phrase in phrases)


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Iterator[tuple[Site, Iterator[str]]]:
    print(f"PACKSHOT_CHAOS_SEED={seed()}")
    with Site(speed=10.0, timer_scale=TIMER_SCALE) as site:
        listed, skus = catalogue(site.folder, PRODUCTS)
        seats = dict.fromkeys(PROVIDERS, 200)
        assert site.client.call("prepare", catalogue=str(listed), seats=seats) == PRODUCTS
        failed_before = request.session.testsfailed
        yield site, iter(skus)
        if request.session.testsfailed > failed_before:
            print(site.said())


@pytest.fixture(scope="module")
def proxied(site: tuple[Site, Iterator[str]]) -> Iterator[Wires]:
    here, skus = site
    place = here.cluster.connection()
    simulator = here.simulator.control.address.rpartition(":")[2]
    with (
        Proxy(f"{place.host}/.s.PGSQL.{place.port}", seed()) as database,
        Proxy(("127.0.0.1", int(simulator)), seed()) as provider,
    ):
        here.settings = {
            "DATABASE_URL": f"postgresql://{place.user}@127.0.0.1:{database.port}/{place.dbname}",
            "PACKSHOT_SIMULATOR_URL": f"http://127.0.0.1:{provider.port}",
        }
        yield Wires(here, database, provider, random.Random(seed()), skus)


@pytest.fixture
def wires(proxied: Wires, request: pytest.FixtureRequest) -> Iterator[Wires]:
    proxied.chance.seed(f"{seed()} {request.node.name}")
    yield proxied
    # After a failure only: no test leaves its trouble to the next.
    proxied.database.calm()
    proxied.provider.calm()
    for pid in proxied.workers:
        proxied.site.kill(pid)
    proxied.workers.clear()


# -- the database's wire -----------------------------------------------------------------------------


@pytest.mark.parametrize("round_", ROUNDS)
def test_connections_to_the_database_that_are_reset_at_any_moment_lose_nothing(wires, round_):
    wires.ask(30)
    wires.work()
    wires.work()
    reset, blows, until = 0, 0, time.monotonic() + 20
    while blows < 12 or (reset <= 12 and time.monotonic() < until):  # a busy machine is slow to connect
        time.sleep(wires.chance.uniform(0.02, 0.2))
        reset += wires.database.reset(most=wires.chance.choice([1, 2, None]))
        blows += 1
    assert reset > 12
    wires.verify(f"{reset} resets", took_s=wires.recover())


@pytest.mark.parametrize("side", ["answer", "request"])
@pytest.mark.parametrize("round_", ROUNDS)
def test_a_commit_that_is_lost_or_whose_answer_is_lost_is_written_once(wires, side, round_):
    requests = wires.site.value("SELECT count(*) FROM packshot_attempt WHERE state = 'succeeded'")
    cut = Cut(side, COMMIT, times=15, chance=0.3)
    wires.work()
    wires.database.cuts = [cut]
    wires.ask(30)
    wait_for("fifteen lost", lambda: cut.made == 15 or wires.site.at_rest(), within_s=60)
    took_s = wires.recover()
    assert cut.made >= 8, "too few COMMITs were lost to prove anything"
    wires.verify(f"{cut.made} lost COMMITs ({side})", took_s=took_s)
    succeeded = wires.site.value("SELECT count(*) FROM packshot_attempt WHERE state = 'succeeded'")
    assert succeeded - requests == 60, "each was paid once, and each came to an image"


def test_a_lock_whose_connection_falls_silent_is_held_again_soon(wires):
    wires.work()
    before = wires.backends(FENCE)
    assert len(before) == 1
    assert wires.database.fall_silent(says=FENCE) == 1
    silent_at = time.monotonic()
    # The server has not noticed and keeps the lock for the connection that nobody hears.
    wait_for(
        "a new connection with the lock",
        lambda: wires.backends(FENCE) and not wires.backends(FENCE) & before and _holds(wires),
        within_s=20,
    )
    again_s = time.monotonic() - silent_at
    wires.ask(10)
    took_s = wires.recover()
    wires.verify(f"silent lock, held again after {again_s:.1f} s", took_s=took_s)


def _holds(wires: Wires) -> bool:
    return wires.site.holds_lock(wires.workers[-1])


def test_a_listener_whose_connection_falls_silent_is_overtaken_by_polling_and_listens_again(wires):
    wires.work()
    wait_for("its listener", lambda: wires.database.open(WAKER), within_s=10)
    before = wires.backends(WAKER)
    assert wires.database.fall_silent(says=WAKER) == 1
    wires.ask(1)
    began = time.monotonic()
    wait_for("the one", wires.site.at_rest, within_s=10, every_s=0.01)
    polled_s = time.monotonic() - began
    wait_for("another listener", lambda: wires.backends(WAKER) - before, within_s=30)
    wires.verify(f"silent listener, polled in {polled_s:.1f} s", took_s=wires.recover())


@pytest.mark.parametrize("round_", ROUNDS)
def test_all_connections_to_the_database_may_fall_silent_in_the_middle_of_work(wires, round_):
    wires.ask(30)
    wires.work()
    wires.in_the_middle(10)
    silent = wires.database.fall_silent()
    assert silent >= 3
    took_s = wires.recover(within_s=HUNG_S + 45)
    wires.verify(f"{silent} silent connections", took_s=took_s)


def test_a_database_behind_a_black_hole_for_a_while_is_waited_for(wires):
    wires.ask(30)
    wires.work()
    wires.in_the_middle(10)
    wires.database.accepts_in_silence = True
    wires.database.fall_silent()
    time.sleep(3)
    wires.verify("three seconds of nothing", took_s=wires.recover(within_s=HUNG_S + 60))


def test_a_database_that_answers_slowly_and_in_pieces_is_only_slow(wires):
    wires.database.latency_s, wires.database.slice_bytes = 0.001, 700
    wires.ask(10)
    wires.work()
    wait_for("all at rest", wires.site.at_rest, within_s=60)
    wires.verify("latency and slices", took_s=wires.recover())


# -- the wire to the providers ---------------------------------------------------------------------


@pytest.mark.parametrize("round_", ROUNDS)
def test_connections_to_providers_that_are_reset_leave_what_was_on_its_way_uncertain(wires, round_):
    wires.ask(40)
    wires.work()
    reset, until = 0, time.monotonic() + 20
    while reset <= 8 and time.monotonic() < until:  # a busy machine is slow to connect
        time.sleep(wires.chance.uniform(0.02, 0.15))
        reset += wires.provider.reset(most=2)
    assert reset > 4
    # At least one of them carried a call, or this proved nothing.
    cut = Cut("answer", PAY["openai"], times=1)
    wires.provider.cuts = [cut]
    wires.ask(1, "openai")
    wait_for("the last", lambda: cut.made, within_s=20)
    wires.verify(f"{reset} resets", took_s=wires.recover(), uncertain=True)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("side", "after_bytes"), [("request", 0), ("request", 150), ("answer", 0), ("answer", 90)]
)
def test_a_paid_call_that_is_cut_is_held_and_never_sent_again(wires, provider, side, after_bytes):
    cut = Cut(side, PAY[provider], after_bytes, times=5)
    wires.provider.cuts = [cut]
    wires.ask(12, provider)
    wires.work()
    wait_for("the cuts", lambda: cut.made == 5, within_s=30)
    took_s = wires.recover()
    wires.verify(f"{provider}, {side} cut after {after_bytes}", took_s=took_s, uncertain=True)


@pytest.mark.parametrize(
    ("path", "after_bytes"),
    [(b"GET /flux/v1/get_result", 0), (b"GET /flux/v1/get_result", 120), (b"GET /delivery/", 5_000)],
)
def test_a_look_or_a_download_that_is_cut_is_only_done_again(wires, path, after_bytes):
    cut = Cut("answer", path, after_bytes, times=12)
    wires.provider.cuts = [cut]
    wires.ask(15, "flux")
    wires.work()
    wait_for("the cuts", lambda: cut.made == 12, within_s=30)
    wires.verify(f"12 cuts of {path.decode()} after {after_bytes}", took_s=wires.recover())


def test_a_provider_that_drips_delivers_late_and_whole(wires):
    wires.provider.bytes_per_s, wires.provider.slice_bytes, wires.provider.latency_s = 60_000, 500, 0.001
    wires.ask(8)
    wires.work()
    wait_for("all at rest", wires.site.at_rest, within_s=90)
    wires.verify("a drip", took_s=wires.recover())


@pytest.mark.nightly  # a look is given half a minute and a download a whole one, whatever the test's timers
def test_a_look_that_nobody_answers_is_given_up_and_done_again_on_another_connection(wires):
    wires.ask(40, "flux")
    wires.work(in_flight=40)
    accepted = "SELECT count(*) FROM packshot_attempt WHERE state = 'accepted'"
    wait_for("tickets alone", lambda: wires.site.value(accepted) == 40, within_s=30, every_s=0.005)
    assert wires.provider.fall_silent()
    wires.verify("silent looks", took_s=wires.recover(within_s=100))
