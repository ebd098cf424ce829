"""Workers whose wall clocks are a day off and jump while they work: no decision depends on them."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from packshot.simulator import Rule
from packshot.simulator.faults import share_out
from tests.chaos.checker import check, unexplained
from tests.chaos.harness import Site, asked, seed, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

DAY_S = 86_400.0
PRODUCTS = 60
PROVIDERS = ("openai", "flux")
LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
MEANS = [
    # Python's own clock: every process of ours reads its time through it.
    "python",
    # All of the process, C libraries and all; only where Debian's libfaketime is installed.
    pytest.param("system", marks=pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed")),
]


@dataclass
class Clock:
    """The wall clock of some workers: so far from the truth as its file says."""

    file: Path
    means: str

    def set(self, seconds_off: float) -> None:
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{seconds_off:+.0f}")
        fresh.replace(self.file)

    @contextmanager
    def ruling(self, site: Site) -> Iterator[None]:
        """Workers that start in here live by this clock."""
        before = site.settings
        site.settings = {**before, "PACKSHOT_TEST_CLOCK": str(self.file)}
        if self.means == "system":
            site.settings |= {
                "LD_PRELOAD": str(LIBRARY),
                "FAKETIME_TIMESTAMP_FILE": str(self.file),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        try:
            yield
        finally:
            site.settings = before

    def leap(self, chance: random.Random, until: threading.Event) -> None:
        """Jump a day to either side, again and again."""
        while not until.wait(chance.uniform(0.1, 0.4)):
            self.set(chance.choice([-DAY_S, 0, DAY_S]))


def command(means: str) -> list[str]:
    """`packshot work --only pay`, by the clock of these means."""
    if means == "system":
        return [sys.executable, "-m", "packshot"]
    return [sys.executable, "-m", "tests.chaos.wrong_clock"]


def noon() -> tuple[str, datetime]:
    """A time zone in which it is about noon, and its last midnight: a day off is another day there."""
    now = datetime.now(UTC)
    ahead = 12 - now.hour
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return f"Etc/GMT{-ahead:+d}", midnight - timedelta(hours=ahead)


@pytest.mark.parametrize("means", MEANS)
def test_clocks_that_are_a_day_off_and_jump_decide_nothing(means):
    print(f"PACKSHOT_CHAOS_SEED={seed()}")
    zone, midnight = noon()
    busy = share_out(
        0.06,
        (
            Rule(action="rate_limited", retry_after="date", retry_after_s=1),
            Rule(action="rate_limited", retry_after="seconds", retry_after_s=1),
            Rule(action="server_error"),
        ),
        seed=seed(),
    )
    with Site(faults=busy, speed=10.0, timer_scale=5.0) as site:
        skus = asked(site, PRODUCTS, seats=dict.fromkeys(PROVIDERS, 20))
        subprocess.run(
            [sys.executable, "-m", "packshot", "spending", "limit", "1000", "--period", "day", "--zone", zone,
             "--simulated"],
            cwd=site.folder, env=site.environment(), check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        began_at = datetime.now(UTC)
        clocks = [Clock(site.folder / f"clock-{number}", means) for number in range(2)]
        pids = []
        for clock, off in zip(clocks, (DAY_S, -DAY_S), strict=True):
            clock.set(off)
            with clock.ruling(site):
                pids.append(start(site, means))
        for pid in pids:
            wait_for("a worker", lambda pid=pid: site.holds_lock(pid), within_s=60)
        over = threading.Event()
        leaping = [
            threading.Thread(target=clock.leap, args=(random.Random(f"{seed()} {number}"), over))
            for number, clock in enumerate(clocks)
        ]
        for each in leaping:
            each.start()
        try:
            for provider in PROVIDERS:
                site.client.call("ask", provider=provider, key=f"by-wrong-clocks-{provider}", skus=skus)
            began = time.monotonic()
            wait_for("all at rest", site.at_rest, within_s=90, every_s=0.1)
            took_s = time.monotonic() - began
            for pid in pids:
                wait_for("its lock", lambda pid=pid: site.holds_lock(pid), within_s=10)
            # Nobody was taken for dead meanwhile: that enrols anew.
            alive = site.rows("SELECT pid FROM packshot_process WHERE kind = 'pay' AND ended_at IS NULL")
            assert sorted(row[0] for row in alive) == sorted(pids)
            assert site.value("SELECT count(*) FROM packshot_process WHERE kind = 'pay'") == 2
        finally:
            over.set()
            for each in leaping:
                each.join()
        verdict = check(site.database(), site.bill, site.blob_url)
        print(f"{means}: {took_s:.1f} s; {verdict}")
        # Two budgets count here, by day and by month; the checker knows of one.
        twice = f"{verdict.attempts} rows are uncounted"
        assert verdict.problems == (twice,), unexplained(verdict)
        assert verdict.statuses == {"completed": PRODUCTS * len(PROVIDERS)}
        assert site.client.call("check") == []
        assert moments(site, began_at) == []
        days = site.rows(
            """
            SELECT balance.starts_at, balance.ends_at, balance.spent_micros
            FROM packshot_budgetwindow AS balance
            JOIN packshot_budget AS budget ON budget.id = balance.budget_id WHERE budget.period = 'day'
            """
        )
        assert days == [(midnight, midnight + timedelta(days=1), verdict.billed)], "one day, the true one"
        both = site.value("SELECT count(DISTINCT process_id) FROM packshot_attempt WHERE state = 'succeeded'")
        assert both == 2, "each of the clocks was worked by"


def start(site: Site, means: str) -> int:
    with site._log("work").open("ab") as log:
        worker = subprocess.Popen(
            [*command(means), "work", "--only", "pay"],
            cwd=Path(__file__).parents[2], env=site.environment(), stdin=subprocess.DEVNULL, stdout=log,
            stderr=log, process_group=0,
        )  # fmt: skip
    site.workers.append(worker)
    return worker.pid


def moments(site: Site, began_at: datetime) -> list[str]:
    """Moments in the tables outside the true time of the test, and a minute of waiting after it.

    All there are, but those that begin or end a period.
    """
    columns = site.rows(
        """
        SELECT table_name, column_name FROM information_schema.columns
        JOIN information_schema.tables USING (table_schema, table_name)
        WHERE table_schema = 'packshot' AND table_name LIKE 'packshot%%' AND table_type = 'BASE TABLE'
            AND data_type = 'timestamp with time zone'
            AND column_name NOT IN ('starts_at', 'ends_at', 'bucket_at', 'bucket')
        """
    )
    assert len(columns) > 30
    found = []
    for table, column in columns:
        count = site.value(
            f"SELECT count(*) FROM {table} WHERE {column} NOT BETWEEN %s - interval '5 min'"
            " AND clock_timestamp() + interval '1 min'",
            began_at,
        )
        if count:
            found.append(f"{table}.{column}: {count}")
    return found
