"""Real kills in the middle of real work: nothing is lost, nothing is sent twice, every cent is explained."""

import os
import random
import signal
import statistics
import time
from dataclasses import dataclass, field

import pytest

from packshot.simulator import faults
from tests.chaos.checker import check, unexplained
from tests.chaos.harness import Fallen, Site, children_of, seed, wait_for
from tests.chaos.harness import asked as prepared

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

PRODUCTS = 250
ROUNDS = 3
SEATS = {"openai": 12, "flux": 12}
NAMES = ("pay", "chores", "postgres")
LEFT = ("intent", "sending", "accepted")


def asked(site: Site, products: int, *, seats: dict[str, int] | None = None) -> list[str]:
    return prepared(site, products, seats=seats or SEATS)


@dataclass
class Nemesis:
    """Does harm at seeded moments, and remembers what stood when it did."""

    site: Site
    chance: random.Random
    fallen: list[Fallen] = field(default_factory=list)
    outages: list[tuple[str, float]] = field(default_factory=list)

    def wait_until_done(self, generations: int) -> None:
        """The middle of the work is where so many have ended; then a moment that nobody chose."""
        wait_for(f"{generations} at rest", lambda: self.site.done() >= generations, within_s=60)
        time.sleep(self.chance.uniform(0, 0.3))

    def kill(self, *names: str) -> None:
        """kill -9 of these at one moment: pay, chores, postgres. The database comes back as with `up`."""
        pids = {name: self.site.child(name) for name in names if name != "postgres"}
        pay = self.site.process_id(pids["pay"]) if "pay" in pids else None
        at = time.time()
        for name in names:
            at = self.site.kill_postgres() if name == "postgres" else self.site.kill(pids[name])
            self.outages.append((name, at))
        if "postgres" in names:
            self.site.cluster.ensure_running()
        if pay is not None:
            self.fallen.append(self.site.left_by(pay, at=at))

    def resumed(self, name: str) -> list[float | None]:
        """Seconds from each kill of this one to the first work of its kind after it; None: not yet."""
        first = {
            "pay": """
                SELECT min(attempt.sending_at) FROM packshot_attempt AS attempt
                JOIN packshot_process AS process ON process.id = attempt.process_id
                WHERE least(process.started_at, attempt.sending_at) > to_timestamp(%s)
            """,
            "postgres": """
                SELECT min(sending_at) FROM packshot_attempt WHERE sending_at > to_timestamp(%s + 0.1)
            """,
            "chores": """
                SELECT min(rendition.created_at) FROM packshot_rendition AS rendition
                WHERE rendition.created_at > (
                    SELECT min(started_at) FROM packshot_process
                    WHERE kind = 'chores' AND started_at > to_timestamp(%s))
            """,
        }[name]
        moments = [(at, self.site.value(first, at)) for which, at in self.outages if which == name]
        return [None if moment is None else moment.timestamp() - at for at, moment in moments]

    @property
    def lost(self) -> frozenset[object]:
        """The attempts whose request was on its way when their process fell."""
        return frozenset().union(*(each.sending for each in self.fallen))


def test_kills_in_the_middle_of_500_generations_lose_nothing_and_send_nothing_twice():
    print(f"PACKSHOT_CHAOS_SEED={seed()}")
    chance = random.Random(seed())
    with Site(faults=faults.mix(0.05, seed=seed(), slow_s=2.0)) as site:
        skus = asked(site, PRODUCTS)
        for provider in ("openai", "flux"):
            site.client.call("ask", provider=provider, key=f"kills-{provider}", skus=skus)
        nemesis = Nemesis(site, chance)
        site.work()
        second = site.work("--only", "pay")
        nemesis.wait_until_done(10)
        pause_through_a_restart(nemesis, second.pid)
        second.terminate()
        blows = [[name] for _ in range(ROUNDS - 1) for name in chance.sample(NAMES, len(NAMES))] + [NAMES]
        moments = sorted(chance.sample(range(40, int(2 * PRODUCTS * 0.85)), len(blows)))
        for moment, names in zip(moments, blows, strict=True):
            nemesis.wait_until_done(moment)
            nemesis.kill(*names)
        wait_for("all at rest", site.at_rest, within_s=60, every_s=0.25)
        wait_for("chores at work again", lambda: nemesis.resumed("chores")[-1], within_s=30)
        verdict = check(site.database(), site.bill, site.blob_url, lost=nemesis.lost)
        print(verdict)
        print(recovery(nemesis))
        print({was: sum(len(each.left.get(was, ())) for each in nemesis.fallen) for was in LEFT})
        assert verdict.problems == (), unexplained(verdict)
        assert outcomes_of_the_fallen(site, nemesis) == []
        assert nemesis.lost, "no kill met a call on its way: this proved nothing"
        assert second.wait(10) == 0


def pause_through_a_restart(nemesis: Nemesis, watcher: int) -> None:
    """SIGSTOP of pay for longer than the rescue time, just when it was about to send; a second one watches.

    As long as the paused one holds its lock, nobody touches what is its. Then the database restarts, which
    frees the lock, and it is rescued; then it wakes up and goes on where it was.
    """
    site = nemesis.site
    wait_for("the second pay process", lambda: site.rows(ENROLLED, watcher), within_s=30)
    pid = site.child("pay")
    paused = site.process_id(pid)

    def about_to_send() -> bool:
        os.kill(pid, signal.SIGSTOP)
        if site.rows("SELECT 1 FROM packshot_attempt WHERE process_id = %s AND state = 'intent'", paused):
            return True
        os.kill(pid, signal.SIGCONT)
        time.sleep(nemesis.chance.uniform(0.002, 0.02))
        return False

    wait_for("a pause between the attempt's row and its request", about_to_send, within_s=20, every_s=0)
    try:
        time.sleep(10.0 / site.timer_scale * 1.5)
        assert site.rows(ENROLLED, pid), "it holds its lock, so it lives"
        at = site.kill_postgres()
        nemesis.outages.append(("postgres", at))
        site.cluster.ensure_running()
        nemesis.fallen.append(site.left_by(paused, at=at))
        wait_for("the rescue of the paused", lambda: not site.rows(OPEN, paused), within_s=20)
    finally:
        os.kill(pid, signal.SIGCONT)


ENROLLED = "SELECT 1 FROM packshot_process WHERE pid = %s AND ended_at IS NULL"
OPEN = """
    SELECT 1 FROM packshot_attempt WHERE process_id = %s AND state IN ('intent', 'sending', 'accepted')
"""


def outcomes_of_the_fallen(site: Site, nemesis: Nemesis) -> list[str]:
    """What became of each attempt that a dead process left, where that is not what the plan says."""
    allowed = {
        "intent": ("released",),
        # With a late answer of its own, if the process was only paused.
        "sending": ("uncertain", "succeeded", "failed_free", "failed_charged"),
        # A successor collected it.
        "accepted": ("succeeded", "failed_charged", "charged_no_image"),
    }
    odd = []
    for each in nemesis.fallen:
        for was, attempts in each.left.items():
            rows = site.rows("SELECT id, state FROM packshot_attempt WHERE id = ANY(%s)", list(attempts))
            odd += [f"{name} was {was} and is {state}" for name, state in rows if state not in allowed[was]]
    return odd


def recovery(nemesis: Nemesis) -> str:
    """Seconds from the kills to the first work after each, and until what was on its way is uncertain."""
    took = {f"{name} at work": [each for each in nemesis.resumed(name) if each is not None] for name in NAMES}
    fell = {each.process_id: each.at for each in nemesis.fallen}
    took["shown uncertain"] = [
        shown.timestamp() - fell[process]
        for shown, process in nemesis.site.rows(
            """
            SELECT generation.updated_at, attempt.process_id FROM packshot_attempt AS attempt
            JOIN packshot_generation AS generation ON generation.id = attempt.generation_id
            WHERE attempt.state = 'uncertain' AND attempt.error_kind = 'worker_lost'
            """
        )
    ]
    return "; ".join(
        f"{what}: median {statistics.median(all_s):.1f} s, worst {max(all_s):.1f} s of {len(all_s)}"
        for what, all_s in took.items()
        if all_s
    )


def test_a_request_repeated_with_one_key_through_a_kill_makes_one_set_of_generations():
    chance = random.Random(seed())
    with Site() as site:
        victims = [site.driver() for _ in range(ROUNDS)]
        skus = asked(site, 40)
        for client in (site.client, *victims):  # the modules are read before the race begins
            began = time.monotonic()
            client.call("ask", provider="flux", key="warming-up", skus=skus)
        takes_s = time.monotonic() - began
        for number, victim in enumerate(victims):
            key = f"asked-eight-times-{number}"
            for client in (victim, site.client):
                client.order("ask", provider="flux", key=key, skus=skus, times=4)
            time.sleep(chance.uniform(0.1, 2) * takes_s)
            victim.process.kill()
            answers = site.client.answer() + site.client.call("ask", provider="flux", key=key, skus=skus)
            stored = site.rows("SELECT id::text FROM packshot_generation WHERE request_id = %s", key)
            assert len(stored) == 40
            assert {frozenset(each["ids"]) for each in answers} == {frozenset(row[0] for row in stored)}
        assert site.value("SELECT count(*) FROM packshot_run") == 1 + ROUNDS


def test_a_pay_process_that_is_asked_to_end_leaves_its_tickets_to_the_next_and_nothing_uncertain():
    with Site(speed=0.2) as site:
        skus = asked(site, 40, seats={"flux": 40})
        site.client.call("ask", provider="flux", key="forty-tickets", skus=skus)
        worker = site.work()
        wait_for(
            "tickets",
            lambda: site.value("SELECT count(*) FROM packshot_attempt WHERE state = 'accepted'") >= 20,
            within_s=30,
            every_s=0.01,
        )
        first = site.child("pay")
        os.kill(first, signal.SIGTERM)
        wait_for("its end", lambda: first not in children_of(worker.pid), within_s=15)
        waiting = site.value("SELECT count(*) FROM packshot_attempt WHERE state = 'accepted'")
        wait_for("all at rest", site.at_rest, within_s=60, every_s=0.1)
        verdict = check(site.database(), site.bill, site.blob_url)
        print(verdict, f"{waiting} tickets were left")
        assert waiting >= 20
        assert verdict.problems == (), unexplained(verdict)
        assert dict(verdict.statuses) == {"completed": 40}
        assert verdict.requests == 40
