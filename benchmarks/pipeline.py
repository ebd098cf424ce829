"""The whole path of a generation through the shipped pay process, with only the provider replaced.

Each lifecycle is: claim, attempt, reservations in three budgets, `sending`, call, image row, settlement and
ledger entry, rollup, two events, deferral of the renditions; three durable COMMITs, shared by a batch. After
each part the rows are counted: a figure of a run that lost or paid something twice is not told.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from uuid import uuid4

import psycopg
from psycopg.conninfo import make_conninfo

from measure import MB, at_least, below, describe_machine, report, site

PRODUCTS = 3_000
AT_ONCE = 3_000  # lifecycles of one run of a rate
RUNS = 3
IMAGE_BYTES = 20_000
PICK_UPS = 150
PEER_JOBS = 1_500


def main(parts: Sequence[str]) -> int:
    """Every part, or those named; 1 when a target was missed."""
    describe_machine()
    known: dict[str, Callable[[Bench], list[bool]]] = {
        "lifecycles": lifecycles,
        "peers": peers,
        "http": over_http,
        "waves": waves,
        "pickup": pick_up,
        "memory": memory,
    }
    with site() as environment:
        bench = open_bench(environment)
        met = [each for name, part in known.items() if not parts or name in parts for each in part(bench)]
        bench.close()
    return 0 if all(met) else 1


# -- the parts -------------------------------------------------------------------------------------


def lifecycles(bench: "Bench") -> list[bool]:
    met = []
    for image_bytes, with_images in ((0, "without bytes"), (IMAGE_BYTES, "20 KB images stored")):
        for processes in (1, 2):
            with bench.workers(processes, image_bytes=image_bytes):
                bench.finish("instant", 500)
                figure = median(AT_ONCE / bench.finish("instant", AT_ONCE).seconds for _ in range(RUNS))
            met.append(
                report(
                    f"lifecycles, {with_images}, {processes} pay process{'es' if processes > 1 else ''}",
                    figure,
                    "per second",
                    at_least(1_500) if processes == 1 and not image_bytes else None,
                )
            )
    return met


def peers(bench: "Bench") -> list[bool]:
    """The same rows by others' queues, right after ours, so that all meet the same machine."""
    with bench.workers(1):
        bench.finish("instant", 500)
        ours = median(2_000 / bench.finish("instant", 2_000).seconds for _ in range(RUNS))
    rates: dict[str, float] = {}
    for name, set_ups in PEERS.items():
        found = [rate for set_up in set_ups if (rate := set_up(bench)) is not None]
        if found:
            rates[name] = max(found)
    met = [report("lifecycles beside the peers", ours, "per second", peers=rates)]
    met += [
        report(f"times as many as {name}", ours / rates[name], "times", at_least(factor))
        for name, factor in (("celery and redis", 3), ("procrastinate", 5))
        if name in rates
    ]
    return met


def over_http(bench: "Bench") -> list[bool]:
    with bench.simulator(speed=20) as address, bench.workers(1, PACKSHOT_SIMULATOR_URL=address):
        bench.finish("openai", 300)
        figure = median(1_500 / bench.finish("openai", 1_500).seconds for _ in range(RUNS))
    return [
        report(
            "lifecycles over HTTP to the simulator, 20 KB images stored", figure, "per second", at_least(300)
        )
    ]


def waves(bench: "Bench") -> list[bool]:
    with bench.workers(1, seconds=0.5):
        bench.finish("instant", 500)
        figure = median(bench.finish("instant", 2_000).seconds for _ in range(RUNS))
    return [report("2,000 attempts of 0.5 s, 500 in flight (ideal 2.0)", figure, "s", below(2.3))]


def pick_up(bench: "Bench") -> list[bool]:
    with bench.workers(1):
        bench.finish("instant", 100)
        waited = sorted(bench.pick_up_ms() for _ in range(PICK_UPS))
    return [
        report("pick-up on an idle queue, median", median(waited), "ms"),
        report("pick-up on an idle queue, p95", quantiles(waited, n=20)[-1], "ms", below(10)),
    ]


def memory(bench: "Bench") -> list[bool]:
    met = []
    with bench.workers(1, seconds=6.0, in_flight=1_000) as (worker,):
        bench.finish("instant", 10)
        met += _memory(bench, worker, "instant", "in process")
    with (
        bench.simulator(speed=0.4) as address,
        bench.workers(1, in_flight=1_000, PACKSHOT_SIMULATOR_URL=address) as (worker,),
    ):
        bench.finish("openai", 10)
        met += _memory(bench, worker, "openai", "over HTTP")
    return met


def _memory(bench: "Bench", worker: int, provider: str, how: str) -> list[bool]:
    idle = memory_of(worker)
    key = bench.ask(provider, 1_000)
    bench.wait_until("SELECT count(*) = 1000 FROM packshot_attempt WHERE state = 'sending'")
    busy = memory_of(worker)
    bench.until_done(key, 1_000)
    return [
        report(f"memory of an idle pay process ({how})", idle, "MB"),
        report(f"memory per 1,000 in flight ({how})", busy - idle, "MB"),
    ]


def memory_of(pid: int) -> float:
    """Proportional set size in MB: what is shared with other processes counts in parts."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / MB
    raise AssertionError("every process has a size")


# -- the peers: each in the set-ups that its documentation offers, of which the fastest counts ---------


def by_procrastinate(bench: "Bench", *, concurrency: int) -> float:
    from procrastinate.contrib.django import app

    key = bench.ask("instant", PEER_JOBS)
    jobs = [{"generation": each} for each in bench.generations(key)]
    app.configure_task("generate", queue="pay").batch_defer(*jobs)
    command = [sys.executable, "-m", "peers.procrastinate_peer"]
    return bench.by_others(key, command, PEER_CONCURRENCY=str(concurrency))


def by_celery(bench: "Bench", *, pool: str, concurrency: int) -> float | None:
    with redis() as address:
        if address is None:
            return None
        given = {"PEER_REDIS": address, "PEER_CONNECTIONS": "10" if pool == "gevent" else "1"}
        key = bench.ask("instant", PEER_JOBS)
        subprocess.run(
            [sys.executable, "-m", "peers.celery_peer"],
            env=os.environ | bench.known_to_peers | given,
            input="\n".join(bench.generations(key)),
            text=True,
            check=True,
        )
        command = [
            sys.executable, "-m", "celery", "-A", "peers.celery_peer", "worker", "--pool", pool,
            "--concurrency", str(concurrency), "--queues", "pay", "--without-gossip", "--without-mingle",
            "--without-heartbeat", "--loglevel", "error",
        ]  # fmt: skip
        return bench.by_others(key, command, deferred=False, **given)


@contextmanager
def redis() -> Iterator[str | None]:
    """The address of a Redis that keeps what it is given, or None where there is none to start.

    `appendfsync always`: a message that was taken is on the disk, as a row is after COMMIT. Everything else
    would compare a queue that forgets with one that does not.
    """
    program = shutil.which("redis-server")
    if program is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(
            ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "redis-server"],
            stdout=subprocess.DEVNULL,
        )
        program = shutil.which("redis-server")
    if program is None or importlib.util.find_spec("celery") is None:
        print("# no redis-server or no celery here: that peer is left out", file=sys.stderr)
        yield None
        return
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        socket = f"{folder}/socket"
        running = subprocess.Popen(
            [
                program, "--port", "0", "--unixsocket", socket, "--dir", folder, "--appendonly", "yes",
                "--appendfsync", "always", "--save", "",
            ],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            until = time.monotonic() + 30
            while not os.path.exists(socket) and time.monotonic() < until:
                time.sleep(0.02)
            yield f"redis+socket://{socket}"
        finally:
            running.terminate()
            running.wait(30)


PEERS: dict[str, list[Callable[["Bench"], float | None]]] = {
    "celery and redis": [
        partial(by_celery, pool="prefork", concurrency=2),
        partial(by_celery, pool="prefork", concurrency=8),
        partial(by_celery, pool="gevent", concurrency=50),
    ],
    "procrastinate": [partial(by_procrastinate, concurrency=10), partial(by_procrastinate, concurrency=50)],
}


# -- the site --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finished:
    """A request that was worked through: `seconds` from its COMMIT to the last one of its generations."""

    seconds: float
    worker_us: float  # processor time of the pay processes, and of the database, for each generation
    database_us: float


def open_bench(environment: Mapping[str, str]) -> "Bench":
    """The site with the stand-in provider, a catalogue and three budgets."""
    registered = Path(environment["PACKSHOT_DATA"]).parent / "registered"
    facts = registered / "packshot_instant-1.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: packshot-instant\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[packshot.providers]\ninstant = instant:Instant\n")
    here = [str(registered), str(Path(__file__).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ.update(environment)
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in here if path)
    sys.path.insert(0, str(registered))

    import django

    django.setup()
    from packshot.catalogue.models import Category, Product
    from packshot.flows.desk import enrol_desk
    from packshot.kernel.money import micros
    from packshot.ledger.models import Budget

    enrol_desk()
    category = Category.objects.create(path="Food > Oils", name="Oils")
    Product.objects.bulk_create(
        Product(sku=f"SKU-{number:05}", name=f"Hemp seed oil No. {number}", category=category)
        for number in range(PRODUCTS)
    )
    for scope, value, period in (
        ("everything", "", "month"), ("category", "Food", "week"), ("person", "benchmark", "day")
    ):  # fmt: skip
        Budget.objects.create(
            name=scope, scope=scope, scope_value=value, period=period, limit_micros=micros(9_000_000),
            simulated=True,
        )  # fmt: skip
    return Bench()


class Bench:
    """Asks for generations, and says when they were done."""

    def __init__(self) -> None:
        from packshot.catalogue.products import by_sku
        from packshot.worker.fence import address

        self.known_to_peers = {
            "PEER_DATABASE": make_conninfo("", **address()),  # type: ignore[arg-type]
            "PEER_BLOBS": f"file://{os.environ['PACKSHOT_DATA']}/blobs",
        }
        self._products = by_sku([f"SKU-{number:05}" for number in range(PRODUCTS)])
        self._workers: list[int] = []
        self._watch = psycopg.connect(**address(), autocommit=True)  # type: ignore[arg-type]
        backend = Path(f"/proc/{self._watch.info.backend_pid}/stat").read_text()
        self._postmaster = int(backend.rpartition(")")[2].split()[1])
        self._watch.execute("LISTEN packshot")
        # Limits of the providers' own are not what is measured here.
        self._watch.execute("UPDATE packshot_provider SET per_minute = NULL, max_in_flight = 10000")

    def close(self) -> None:
        from django.db import connections

        self._watch.close()
        connections.close_all()

    @contextmanager
    def workers(
        self, count: int, *, in_flight: int = 500, image_bytes: int = 0, seconds: float = 0.0, **settings: str
    ) -> Iterator[list[int]]:
        """The process ids of `count` pay processes as `packshot work` starts them, ready for work."""
        command = [
            sys.executable, "-m", "packshot", "work", "--only", "pay", "--in-flight", str(in_flight)
        ]  # fmt: skip
        given = {"INSTANT_BYTES": str(image_bytes), "INSTANT_SECONDS": str(seconds)}
        started = [subprocess.Popen(command, env=os.environ | given | settings) for _ in range(count)]
        try:
            self.wait_until(
                f"""
                SELECT count(*) = {count} FROM packshot_process AS process JOIN pg_locks AS held
                    ON held.locktype = 'advisory' AND held.objid::bigint = process.lock_key & 4294967295
                WHERE process.kind = 'pay' AND process.ended_at IS NULL
                """
            )
            self._workers = [each.pid for each in started]
            yield self._workers
        finally:
            self._workers = []
            for each in started:
                each.terminate()
            for each in started:
                each.wait(30)

    @contextmanager
    def simulator(self, *, speed: float) -> Iterator[str]:
        """The address of a simulator that answers with images of 20 KB."""
        state = Path(os.environ["PACKSHOT_DATA"]) / "simulator"
        command = [
            sys.executable, "-m", "packshot.simulator", "--state", str(state), "--image", "small",
            "--small-bytes", str(IMAGE_BYTES), "--openai-images-per-minute", "0", "--speed", str(speed),
        ]  # fmt: skip
        running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert running.stdout is not None, "it was asked for"
        try:
            yield running.stdout.readline().split()[-1]
        finally:
            running.terminate()
            running.wait(30)

    def ask(self, provider: str, count: int) -> str:
        """The key of a request for `count` generations, committed now."""
        from packshot.accounts import Actor
        from packshot.flows import generate

        key = uuid4().hex
        generate.request(
            generate.Ask(self._products[:count], provider, prompt="{{name}} on slate"),
            Actor(None, "benchmark", "administrator"),
            request_key=key,
            agreed_micros=10**12,
        )
        return key

    def finish(self, provider: str, count: int) -> Finished:
        """Ask for `count` generations and wait until they are done, every row of them counted."""
        self._hear(0.0)
        key = self.ask(provider, count)
        committed_at, before = time.time(), self._busy()
        ended_at = self.until_done(key, count)
        worker, database = (
            (after - at) / count * 1e6 for after, at in zip(self._busy(), before, strict=True)
        )
        self._check(key, count)
        # A worker may begin before whoever asked has even heard of the COMMIT.
        first = self._one(
            """
            SELECT extract(epoch FROM min(attempt.created_at))::float8 FROM packshot_attempt AS attempt
            JOIN packshot_generation AS generation ON generation.id = attempt.generation_id
            WHERE generation.request_id = %s
            """,
            key,
        )
        return Finished(ended_at - min(first, committed_at), worker, database)

    def until_done(self, key: str, count: int) -> float:
        """When the last of these generations was done. Each flush tells at its COMMIT, so it is when the last
        notification came."""
        until = time.monotonic() + 120
        ended_at = 0.0
        while True:
            ended_at = self._hear(0.3) or ended_at
            left = self._one(
                """
                SELECT count(*) FROM packshot_generation
                WHERE status IN ('pending', 'processing', 'uncertain') AND request_id = %s
                """,
                key,
            )
            if not left:
                return ended_at
            if time.monotonic() > until:
                raise TimeoutError(f"{left} of {count} generations are not done after two minutes")

    def generations(self, key: str) -> list[str]:
        """The generations of a request, as text."""
        return [
            str(row[0])
            for row in self._watch.execute("SELECT id FROM packshot_generation WHERE request_id = %s", [key])
        ]

    def by_others(self, key: str, command: Sequence[str], *, deferred: bool = True, **given: str) -> float:
        """How many of the generations asked for under `key` a peer's worker finishes per second.

        Counted from its first row to its last, so that its start is not held against it.
        """
        running = subprocess.Popen(command, env=os.environ | self.known_to_peers | given)
        try:
            self.until_done(key, PEER_JOBS)
        finally:
            running.terminate()
            running.wait(30)
        self._check(key, PEER_JOBS, deferred=deferred)
        seconds = self._one(
            """
            SELECT extract(epoch FROM max(attempt.closed_at) - min(attempt.created_at))::float8
            FROM packshot_attempt AS attempt
            JOIN packshot_generation AS generation ON generation.id = attempt.generation_id
            WHERE generation.request_id = %s
            """,
            key,
        )
        return PEER_JOBS / seconds

    def pick_up_ms(self) -> float:
        """From the COMMIT of one request, its own time included, to the call of the provider."""
        from django.db import transaction

        self._hear(0.03)
        with transaction.atomic():
            key = self.ask("instant", 1)
            committing = time.time_ns()
        self.until_done(key, 1)
        called = self._one(
            """
            SELECT attempt.request_id::bigint FROM packshot_attempt AS attempt
            JOIN packshot_generation AS generation ON generation.id = attempt.generation_id
            WHERE generation.request_id = %s
            """,
            key,
        )
        return (called - committing) / 1e6

    def wait_until(self, question: str) -> None:
        until = time.monotonic() + 30
        while not self._one(question):
            if time.monotonic() > until:
                raise TimeoutError(f"never true: {question}")
            time.sleep(0.02)

    def _busy(self) -> tuple[float, float]:
        """Processor seconds so far: of the pay processes, and of the database with all its processes."""
        family = [self._postmaster, *_children(self._postmaster)]
        return sum(_seconds(pid) for pid in self._workers), sum(_seconds(pid) for pid in family)

    def _hear(self, quiet_s: float) -> float:
        """When the last notification came, once none came for `quiet_s`; 0 for none at all."""
        heard = 0.0
        while list(self._watch.notifies(timeout=quiet_s, stop_after=1)):
            heard = time.time()
        return heard

    def _one(self, question: str, *parameters: object) -> float:
        row = self._watch.execute(question, parameters).fetchone()  # type: ignore[call-overload]
        assert row is not None, "the question has one answer"
        return row[0]  # type: ignore[no-any-return]

    def _check(self, key: str, count: int, *, deferred: bool = True) -> None:
        """Refuse a figure whose rows are not all there, exactly once; `deferred`: renditions as jobs here."""
        found = self._watch.execute(
            """
            SELECT count(*), count(*) FILTER (WHERE generation.status = 'completed'),
                count(attempt.id) FILTER (WHERE attempt.state = 'succeeded'),
                count(hold.closed_at) FILTER (WHERE cardinality(hold.window_ids) = 3),
                count(entry.id), count(image.id)
            FROM packshot_generation AS generation
            LEFT JOIN packshot_attempt AS attempt ON attempt.generation_id = generation.id
            LEFT JOIN packshot_reservation AS hold ON hold.attempt_id = attempt.id
            LEFT JOIN packshot_entry AS entry ON entry.attempt_id = attempt.id
            LEFT JOIN packshot_image AS image ON image.attempt_id = attempt.id
            WHERE generation.request_id = %s
            """,
            [key],
        ).fetchone()
        assert found == (count,) * 6, f"of {count} generations: {found}"
        jobs = self._one(
            """
            SELECT count(*) FROM packshot_image AS image
            JOIN packshot_generation AS generation ON generation.id = image.generation_id
            WHERE generation.request_id = %s AND image.id::text IN (
                SELECT jsonb_array_elements_text(job.args -> 'image_ids') FROM procrastinate_jobs AS job)
            """,
            key,
        )
        assert jobs == count * deferred, f"{jobs} renditions deferred for {count} images"
        wrong = self._one(
            """
            SELECT count(*) FROM packshot_budgetwindow
            WHERE reserved_micros <> 0 OR spent_micros <> (SELECT sum(amount_micros) FROM packshot_entry)
            """
        )
        assert not wrong, "a budget differs from the ledger"


def _seconds(pid: int) -> float:
    """Processor time of a process and of those of its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0  # it has just ended, and its parent has its time
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
