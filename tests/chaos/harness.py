"""One installation of real processes, and what may happen to them: kills, pauses, a database that is gone."""

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import UUID

import psycopg

from packshot.embedded import Cluster
from packshot.simulator import Rule, Spawned, spawn
from tests.database import KEYS

ROOT = Path(__file__).resolve().parents[2]
# What would lead a process of ours to another installation than its own.
_FOREIGN = (*KEYS, "DATABASE_URL", "BLOB_URL", "PYTEST_XDIST_WORKER", "PYTEST_CURRENT_TEST")


def seed() -> int:
    """Of everything random here: PACKSHOT_CHAOS_SEED, or always the same."""
    return int(os.environ.get("PACKSHOT_CHAOS_SEED", "0"))


# How many times as long as it should take a machine may need that has only two cores and other work as well.
PATIENCE = 3


def wait_for(what: str, ready: Callable[[], Any], *, within_s: float, every_s: float = 0.05) -> Any:
    """The first true answer of `ready`, which should come within `within_s` seconds. Fails, saying what never
    came, when it does not come in three times as many."""
    until = time.monotonic() + PATIENCE * within_s
    while True:
        if answer := ready():
            return answer
        if time.monotonic() > until:
            raise AssertionError(f"not within {PATIENCE} times {within_s:g} s: {what}")
        time.sleep(every_s)


@dataclass(frozen=True, slots=True)
class Fallen:
    """A pay process at the moment of its fall: which attempts it left in which state, as committed."""

    process_id: UUID
    at: float  # Unix seconds
    left: dict[str, frozenset[UUID]]

    @property
    def sending(self) -> frozenset[UUID]:
        return self.left.get("sending", frozenset())


@dataclass(slots=True)
class Driver:
    """The client process of `tests.chaos.driver`."""

    process: "subprocess.Popen[str]"
    lock: threading.Lock = field(default_factory=threading.Lock)

    def order(self, verb: str, **words: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"verb": verb, **words}) + "\n")
        self.process.stdin.flush()

    def answer(self, *, within_s: float = 60.0) -> Any:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE * within_s)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            raise AssertionError("the driver did not answer; what it said stands in its log")
        return json.loads(line)

    def call(self, verb: str, **words: Any) -> Any:
        with self.lock:
            self.order(verb, **words)
            return self.answer()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


# Keys that must never be seen anywhere but in the environment and on the wire.
CANARIES = ("sk-canary-5c1e7f-of-the-chaos-suite", "sk-simulated")


@dataclass(slots=True)
class Site:
    """A durable database, the simulator and workers, in a folder of their own. Use it as a context."""

    faults: Sequence[Rule] = ()
    speed: float = 4.0  # of the simulator
    timer_scale: float = 5.0
    image_bytes: int = 20_000
    folder: Path = field(init=False)
    cluster: Cluster = field(init=False)
    simulator: Spawned = field(init=False)
    client: Driver = field(init=False)
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    drivers: list[Driver] = field(default_factory=list)
    settings: Mapping[str, str] = field(default_factory=dict)  # further words of the environment
    _nursery: Driver | None = None
    _connection: "psycopg.Connection[tuple[Any, ...]] | None" = None

    def __enter__(self) -> "Site":
        # As root the server runs as another user, who must be able to pass: not pytest's own folder.
        self.folder = Path(tempfile.mkdtemp(prefix="packshot-chaos-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self.cluster = Cluster(self.data, {"shared_buffers": "64MB"})
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                leaked = self.leaked()
                assert leaked == [], f"a key is written down: {leaked}"
            else:
                sys.stdout.write(self.said())
        finally:
            self._end()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def bill(self) -> Path:
        """The simulator's folder."""
        return self.data / "simulator"

    @property
    def blob_url(self) -> str:
        return self.settings.get("BLOB_URL", f"file://{self.data / 'blobs'}")

    # -- start and end -------------------------------------------------------------------------

    def _start(self) -> None:
        (self.folder / "logs").mkdir()
        self.data.mkdir(mode=0o755)
        script = self.folder / "faults.json"
        script.write_text(
            json.dumps([rule.model_dump(mode="json", exclude_defaults=True) for rule in self.faults])
        )
        simulator = [
            f"--faults={script}",
            f"--speed={self.speed}",
            "--image=small",
            "--openai-images-per-minute=0",
            "--flux-concurrent-tasks=0",
            f"--small-bytes={self.image_bytes}",
        ]
        with ThreadPoolExecutor(1) as beside:
            made = beside.submit(self.cluster.ensure_running)
            self.simulator = spawn(self.bill, arguments=simulator)
            self.client = self.driver()
            made.result()

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()
        for driver in self.drivers:
            driver.end()
        for worker in self.workers:
            for pid in (worker.pid, *children_of(worker.pid)):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            worker.wait()
        with suppress(AttributeError):  # it never started
            self.simulator.stop()
        self.cluster.stop(patience_s=5)
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        own = {
            "DJANGO_SETTINGS_MODULE": "packshot.settings",
            "PACKSHOT_DATA": str(self.data),
            "PACKSHOT_SIMULATOR": "on",
            "PACKSHOT_SIMULATOR_URL": self.simulator.control.address,
            "PACKSHOT_TIMER_SCALE": str(self.timer_scale),
            "PACKSHOT_LOG_LEVEL": "INFO",
            # Keys that are real ones to the product. The simulator is sent the last of the canaries instead.
            "OPENAI_API_KEY": CANARIES[0],
            "FLUX_API_KEY": CANARIES[0],
            "STABILITY_API_KEY": CANARIES[0],
            # Whatever becomes of the tests, their workers end.
            "PACKSHOT_SUPERVISOR": str(os.getpid()),
        }
        inherited = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
        return inherited | own | dict(self.settings)

    def driver(self, module: str = "driver") -> Driver:
        """A client, ready for orders."""
        with self._log(module).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"tests.chaos.{module}"],
                cwd=ROOT,
                env=self.environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.drivers.append(Driver(process))
        return self.drivers[-1]

    def work(self, *words: str) -> "subprocess.Popen[bytes]":
        """`packshot work`, with these words after it; ready when it has enrolled."""
        with self._log("work").open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "packshot", "work", *words],
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        self.workers.append(worker)
        return worker

    def serve(self, port: int, rules: str = "") -> "subprocess.Popen[bytes]":
        """`packshot serve` on this port, armed with fault rules; ready when it answers."""
        with self._log("serve").open("ab") as log:
            site = subprocess.Popen(
                [sys.executable, "-m", "packshot", "serve", "--port", str(port)],
                cwd=self.folder,
                env=self.environment()
                | {"PACKSHOT_FAULTS": rules, "PACKSHOT_FAULTS_FILE": str(self.hits_file)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        self.workers.append(site)
        wait_for("the site", lambda: _answers(port), within_s=60)
        return site

    def bear(self, rules: str = "", *, in_flight: int = 2, clock_s: float = 0.0, tricks: str = "") -> int:
        """A pay process of its own, without a supervisor, armed with fault rules. Returns its number.

        `clock_s`: so far its wall clock goes wrong. `tricks`: a function of tests.chaos.tricks, called in it.
        """
        if self._nursery is None:
            self._nursery = self.driver("nursery")
        return int(
            self._nursery.call(
                "bear",
                rules=rules,
                file=str(self.hits_file),
                in_flight=in_flight,
                clock_s=clock_s,
                tricks=tricks,
                log=str(self._log("pay")),
            )
        )

    def ended(self, pid: int) -> int | None:
        """How a process that was born here ended, told once; None while it lives."""
        assert self._nursery is not None
        code: int | None = self._nursery.call("ended", pid=pid)
        return code

    def dismiss(self, *pids: int, within_s: float = 30.0) -> None:
        """SIGTERM to each; returns when all have drained and ended well."""
        for pid in pids:
            # One that was born a moment ago hears nothing yet, and would be killed.
            wait_for(f"pay process {pid} to hear signals", lambda pid=pid: _hears(pid), within_s=within_s)
            os.kill(pid, signal.SIGTERM)
        for pid in pids:
            code = wait_for(
                f"the end of pay process {pid}", lambda pid=pid: _told(self.ended(pid)), within_s=within_s
            )
            assert code == ("ended", 0), f"pay process {pid} {code}"

    @property
    def hits_file(self) -> Path:
        return self.folder / "fault-points"

    def hits(self) -> list[tuple[str, str, int, int]]:
        """What happened at fault points so far: point, action, process number, which hit."""
        lines = self.hits_file.read_text().splitlines() if self.hits_file.exists() else []
        return [
            (point, action, int(pid), int(hit))
            for point, action, pid, hit in (line.split() for line in lines)
        ]

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def said(self) -> str:
        """The ends of all logs."""
        logs = sorted((self.folder / "logs").glob("*.log"))
        return "\n".join(f"== {log.name}\n{log.read_text(errors='replace')[-6000:]}" for log in logs)

    # -- looking -------------------------------------------------------------------------------

    def database(self) -> "psycopg.Connection[tuple[Any, ...]]":
        """A connection of the tests' own, made anew when the server was away."""
        if self._connection is None or self._connection.closed:
            place = self.cluster.connection()
            self._connection = psycopg.connect(
                host=place.host,
                port=place.port,
                user=place.user,
                dbname=place.dbname,
                autocommit=True,
                options="-c search_path=packshot",
                application_name="packshot trial",
            )
        return self._connection

    def leaked(self) -> list[str]:
        """Where a key of a provider stands: in any column of any table, any log, any file of the site."""
        found = []
        with suppress(psycopg.OperationalError):  # a test may end with its database gone
            for (table,) in self.rows(
                "SELECT table_name FROM information_schema.tables"
                " WHERE table_schema = 'packshot' AND table_type = 'BASE TABLE'"
            ):
                lines = f'SELECT count(*) FROM "{table}" AS line WHERE line::text LIKE %s'
                found += [f"table {table}" for key in CANARIES if self.value(lines, f"%{key}%")]
        for file in self.folder.rglob("*"):
            place = file.relative_to(self.folder)
            # Not the server's own files: what it holds was just asked for.
            if file.is_file() and place.parts[:2] != ("data", "postgres"):
                content = file.read_bytes()
                found += [str(place) for key in CANARIES if key.encode() in content]
        return found

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.database().execute(sql, values or None).fetchall()

    def value(self, sql: str, *values: Any) -> Any:
        return self.rows(sql, *values)[0][0]

    def done(self) -> int:
        """How many generations are at rest."""
        return int(
            self.value(
                "SELECT count(*) FROM packshot_generation WHERE status NOT IN ('pending', 'processing')"
            )
        )

    def at_rest(self) -> bool:
        """Nothing waits, nothing is on its way."""
        return not self.value(
            """
            SELECT EXISTS (SELECT 1 FROM packshot_generation WHERE status IN ('pending', 'processing'))
                OR EXISTS (SELECT 1 FROM packshot_attempt WHERE state IN ('intent', 'sending', 'accepted')
                    OR (state = 'uncertain' AND ticket IS NOT NULL))
                OR EXISTS (SELECT 1 FROM packshot_callback AS callback
                    JOIN packshot_attempt AS attempt ON attempt.id = callback.attempt_id
                    WHERE callback.handled_at IS NULL AND attempt.state = 'uncertain')
            """
        )

    def process_id(self, pid: int) -> UUID:
        """The newest enrolment of the process with this number."""
        return UUID(
            str(self.value("SELECT id FROM packshot_process WHERE pid = %s ORDER BY id DESC LIMIT 1", pid))
        )

    def child(self, kind: str) -> int:
        """The number of the `pay` or `chores` process that `packshot work` supervises, ready for it."""

        def ready() -> int | None:
            for worker in self.workers:
                for pid in children_of(worker.pid):
                    if f"--only\0{kind}" in command_of(pid) and self.rows(
                        "SELECT 1 FROM packshot_process WHERE pid = %s AND ended_at IS NULL", pid
                    ):
                        return pid
            return None

        return int(wait_for(f"a {kind} process", ready, within_s=30))

    # -- harm ----------------------------------------------------------------------------------

    def kill(self, pid: int) -> float:
        """kill -9; returns when it is gone, with the moment in Unix seconds."""
        at = time.time()
        os.kill(pid, signal.SIGKILL)
        wait_for(f"the end of process {pid}", lambda: not is_alive(pid), within_s=10, every_s=0.002)
        return at

    def left_by(self, process_id: UUID, *, at: float) -> Fallen:
        """What a process that fell at `at` left behind, once its last transaction has ended either way."""
        wait_for(
            "the end of what the dead had begun",
            lambda: (
                not self.value(
                    """
                SELECT count(*) FROM pg_stat_activity
                WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
                    AND xact_start < to_timestamp(%s)
                """,
                    at,
                )
            ),
            within_s=5,
            every_s=0.01,
        )
        left = self.rows(
            """
            SELECT state, array_agg(id) FROM packshot_attempt
            WHERE process_id = %s AND state IN ('intent', 'sending', 'accepted') GROUP BY state
            """,
            process_id,
        )
        return Fallen(process_id, at, {state: frozenset(ids) for state, ids in left})

    def cut_fences(self, process_ids: Collection[UUID]) -> int:
        """Break the connections that hold these processes' locks. Returns how many."""
        return int(
            self.value(
                """
                SELECT count(pg_terminate_backend(lock.pid))
                FROM packshot_process AS process JOIN pg_locks AS lock
                    ON lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 1
                    AND (lock.classid::bigint << 32) | lock.objid::bigint = process.lock_key
                WHERE process.id = ANY(%s)
                """,
                list(process_ids),
            )
        )

    def holds_lock(self, pid: int) -> bool:
        """Whether the process with this number has enrolled and holds its lock: it may claim work."""
        return bool(
            self.rows(
                """
                SELECT 1 FROM packshot_process AS process JOIN pg_locks AS lock
                    ON lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 1
                    AND (lock.classid::bigint << 32) | lock.objid::bigint = process.lock_key
                WHERE process.pid = %s AND process.ended_at IS NULL
                """,
                pid,
            )
        )

    def kill_postgres(self) -> float:
        """kill -9 of the postmaster: its children follow it, and what was not committed is gone."""
        server = self.cluster.status().pid
        assert server is not None
        if self._connection is not None:
            self._connection.close()
        return self.kill(server)


# -- processes, as the kernel sees them --------------------------------------------------------


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def stands_still(pid: int) -> bool:
    """Whether all of it was stopped, as by SIGSTOP."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def _hears(pid: int) -> bool:
    """Whether a process has a handler of its own for SIGTERM, or has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    caught = int(re.findall(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1) or "State:\tZ" in status


def _told(code: int | None) -> tuple[str, int] | None:
    return None if code is None else ("ended", code)


def command_of(pid: int) -> str:
    """Its command line, words parted by NUL."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def children_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.append(int(entry.name))
    return found


def catalogue(folder: Path, products: int) -> tuple[Path, list[str]]:
    """A catalogue file of so many products of distinct names, and their SKUs."""
    skus = [f"trial-{number:04}" for number in range(products)]
    path = folder / "catalogue.csv"
    lines = [f"{sku},Hemp rope no. {number},Paper > Trial" for number, sku in enumerate(skus)]
    path.write_text("\n".join(["sku,name,category", *lines]) + "\n")
    return path, skus


def asked(site: Site, products: int, *, seats: dict[str, int]) -> list[str]:
    """A site with products, and room at the providers. Returns the SKUs."""
    listed, skus = catalogue(site.folder, products)
    assert site.client.call("prepare", catalogue=str(listed), seats=seats) == products
    return skus
