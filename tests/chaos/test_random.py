"""Harm at moments that nobody chose: processes killed and stopped, PostgreSQL killed, connections cut."""

import itertools
import os
import random
import signal
import statistics
import time
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from packshot.simulator import faults
from tests.chaos.checker import check
from tests.chaos.harness import Fallen, Site, asked, seed, stands_still, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600)]

PROVIDERS = ("openai", "flux")
TIMER_SCALE = 20.0
RESCUE_S = 10.0 / TIMER_SCALE
# How many generations are asked for with each stroke: there is always something to hit.
A_STROKE = 3
# A night's worth uses its products several times, once for each provider and prompt.
AT_NIGHT = 10


@dataclass
class Storm:
    """A site under blows, with a few pay processes that are replaced as they fall."""

    site: Site
    chance: random.Random
    skus: list[str]
    workers: dict[int, UUID] = field(default_factory=dict)
    fallen: list[Fallen] = field(default_factory=list)
    strokes: int = 0
    asked: int = 0
    database_kills: int = 0
    cuts: int = 0
    began: float = field(default_factory=time.monotonic)

    def keep(self, count: int) -> None:
        """So many workers that are ready to claim."""
        born = [self.site.bear(in_flight=4) for _ in range(count - len(self.workers))]
        for pid in born:
            wait_for("a worker", lambda pid=pid: self.site.holds_lock(pid), within_s=60, every_s=0.01)
            self.workers[pid] = self.site.process_id(pid)

    def feed(self, count: int) -> None:
        """Ask for `count` more generations, half of each provider."""
        if not count:
            return
        for provider in PROVIDERS:
            first = self.asked // len(PROVIDERS)
            skus = self.skus[first : first + count // len(PROVIDERS)]
            key = f"{provider} in the storm, from {first}"
            self.site.client.call("ask", provider=provider, key=key, skus=skus)
        self.asked += count

    def kill(self) -> None:
        """kill -9 of one worker, after a moment; what it left is noted before others touch it."""
        time.sleep(self.chance.uniform(0.01, 0.25))
        pid = self.chance.choice(list(self.workers))
        process_id = self.workers.pop(pid)
        at = self.site.kill(pid)
        self.fallen.append(self.site.left_by(process_id, at=at))
        wait_for("its exit", lambda: self.site.ended(pid) is not None, within_s=5, every_s=0.005)
        self.strokes += 1

    def kill_the_database(self) -> None:
        self.site.kill_postgres()
        self.site.cluster.ensure_running()
        self.database_kills += 1

    def cut_connections(self) -> None:
        """Some connections of whoever it hits: fences, listeners, writers, clients."""
        self.cuts += self.site.value(
            """
            SELECT count(pg_terminate_backend(pid)) FROM (
                SELECT pid FROM pg_stat_activity
                WHERE backend_type = 'client backend' AND application_name <> 'packshot trial'
                ORDER BY md5(pid::text || %s) LIMIT 3
            ) AS chosen
            """,
            str(self.chance.random()),
        )

    def pause(self, count: int, *, database_too: bool) -> None:
        """Stop `count` workers at moments of their own, have them taken for dead, and wake them."""
        victims = self.chance.sample(list(self.workers), count)
        for pid in victims:
            time.sleep(self.chance.uniform(0.005, 0.1))
            os.kill(pid, signal.SIGSTOP)
            wait_for("its stand", lambda pid=pid: stands_still(pid), within_s=5, every_s=0.001)
        if database_too:
            self.kill_the_database()
        else:
            ids = [
                row[0]
                for row in self.site.rows("SELECT id FROM packshot_process WHERE pid = ANY(%s)", victims)
            ]
            self.site.cut_fences(ids)
        time.sleep(RESCUE_S + self.chance.uniform(0.2, 0.8))
        for pid in victims:
            os.kill(pid, signal.SIGCONT)
        self.strokes += count

    def calm_down(self) -> None:
        """No more blows: everything comes to rest, and the workers end in good order."""
        self.keep(max(1, len(self.workers)))
        wait_for("all at rest", self.site.at_rest, within_s=120, every_s=0.1)
        self.site.dismiss(*self.workers)
        if not self.site.at_rest():  # a stopped one woke up with an answer and had to leave a ticket
            self.workers.clear()
            self.keep(1)
            wait_for("all at rest", self.site.at_rest, within_s=60)
            self.site.dismiss(*self.workers)

    def verdict(self) -> None:
        lost = frozenset().union(*(each.sending for each in self.fallen))
        taken_for_dead = {
            row[0]
            for row in self.site.rows(
                """
                SELECT attempt.id FROM packshot_attempt AS attempt
                JOIN packshot_process AS process ON process.id = attempt.process_id
                WHERE process.ended_at IS NOT NULL AND process.lock_free_since IS NOT NULL
                """
            )
        }
        # Nothing in nature kills like this: a ticket may meet three deaths that it did not cause. It is set
        # aside like any other, and its image is collected afterwards.
        unlucky = self.set_aside()
        collected = sum(self.site.client.call("collect") for _ in range(3)) if unlucky else 0
        verdict = check(
            self.site.database(), self.site.bill, self.site.blob_url, lost=lost, perhaps=taken_for_dead - lost
        )
        print(
            f"{self.strokes} strokes over {self.asked} generations, {self.database_kills} kills of the "
            f"database, {self.cuts} connections cut, in {time.monotonic() - self.began:.0f} s"
        )
        print(verdict)
        print(f"{len(unlucky)} met three deaths by chance and were set aside, {collected} collected later")
        assert verdict.problems == (), "\n".join(verdict.problems[:20])
        assert collected == len(unlucky) <= self.asked // 50, "that is more than chance"
        assert self.site.client.call("check") == []
        assert sum(verdict.statuses.values()) == self.asked

    def set_aside(self) -> list[UUID]:
        return [
            row[0]
            for row in self.site.rows(
                """
                SELECT attempt.id FROM packshot_attempt AS attempt
                JOIN packshot_generation AS generation ON generation.id = attempt.generation_id
                WHERE generation.worker_deaths >= 3 AND generation.error_kind = 'worker_lost'
                    AND attempt.state = 'charged_no_image'
                """
            )
        ]

    def recovery(self) -> str:
        """Seconds from each kill until all that the dead had in hand was given back, uncertain, or ended."""
        moments = dict(
            self.site.rows(
                """
                SELECT attempt.id,
                    extract(epoch FROM coalesce(attempt.closed_at, generation.updated_at))::float8
                FROM packshot_attempt AS attempt
                JOIN packshot_generation AS generation ON generation.id = attempt.generation_id
                """
            )
        )
        took = [
            max(moments[attempt] - each.at for attempt in itertools.chain(*each.left.values()))
            for each in self.fallen
            if each.left
        ]
        return (
            f"recovery of {len(took)} kills that met work, timers divided by {TIMER_SCALE:g}: "
            f"median {statistics.median(took):.1f} s, worst {max(took):.1f} s"
        )


def storm(site: Site, strokes: int) -> Storm:
    print(f"PACKSHOT_CHAOS_SEED={seed()}")
    products = strokes * A_STROKE // len(PROVIDERS) + A_STROKE
    # Few, so that there is always something on its way and something that waits.
    seats = dict.fromkeys(PROVIDERS, 3)
    return Storm(site, random.Random(seed()), asked(site, products, seats=seats))


@pytest.mark.parametrize("kills", [200, pytest.param(200 * AT_NIGHT, marks=pytest.mark.nightly)])
def test_kills_at_random_lose_nothing_and_pay_nothing_twice(kills):
    script = faults.mix(0.02, seed=seed(), slow_s=1.0, retry_after_s=0.5)
    with Site(speed=3.0, timer_scale=TIMER_SCALE, faults=script) as site:
        blows = storm(site, kills)
        blows.feed(20)
        while blows.strokes < kills:
            blows.keep(3)
            blows.kill()
            if blows.strokes % 10 == 0:
                blows.feed(min(10 * A_STROKE, kills * A_STROKE - blows.asked))
            if blows.strokes % 40 == 20:
                blows.kill_the_database()
            elif blows.strokes % 10 == 5:
                blows.cut_connections()
        blows.feed(kills * A_STROKE - blows.asked)
        blows.calm_down()
        blows.verdict()
        print(blows.recovery())


@pytest.mark.parametrize("pauses", [100, pytest.param(100 * AT_NIGHT, marks=pytest.mark.nightly)])
def test_workers_that_stand_still_at_random_and_are_taken_for_dead_wake_up_harmless(pauses):
    script = faults.mix(0.02, seed=seed(), slow_s=1.0, retry_after_s=0.5)
    with Site(speed=10.0, timer_scale=TIMER_SCALE, faults=script) as site:
        blows = storm(site, pauses)
        while blows.strokes < pauses:
            blows.feed(4 * A_STROKE)
            blows.keep(5)
            blows.pause(4, database_too=blows.strokes % 40 == 20)
            if blows.strokes % 20 == 12:
                blows.cut_connections()
        blows.calm_down()
        blows.verdict()
