"""What the benchmarks share: a throwaway site, a process measured by itself, and one JSON line a figure."""

import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packshot.embedded import Cluster

MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure has to be."""

    sign: Literal["<", ">=", "="]
    figure: float

    def met(self, value: float) -> bool:
        if self.sign == "<":
            return value < self.figure
        return value >= self.figure if self.sign == ">=" else value == self.figure

    def __str__(self) -> str:
        return f"{self.sign} {self.figure:g}"


def below(figure: float) -> Target:
    return Target("<", figure)


def at_least(figure: float) -> Target:
    return Target(">=", figure)


def exactly(figure: float) -> Target:
    return Target("=", figure)


def report(
    name: str,
    value: float,
    unit: str,
    target: Target | None = None,
    *,
    peers: Mapping[str, float] | None = None,
) -> bool:
    """Print one figure as a line of JSON; the value says whether its target, if it has one, is met.

    `peers` are other ways to the same end, measured in the same run and the same unit.
    """
    met = target is None or target.met(value)
    line = {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "target": str(target) if target else None,
        "met": met,
        "peers": {peer: round(figure, 3) for peer, figure in (peers or {}).items()},
    }
    print(json.dumps(line), flush=True)
    return met


def describe_machine() -> None:
    """Say on the error stream where this is measured, and whether somebody else is busy there."""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    idle = _idle_share(over_s=2.0)
    print(
        f"# {os.cpu_count()} cores ({_processor()}), {memory_gb:.0f} GB, Python {platform.python_version()}, "
        f"{idle:.0%} idle before the start" + ("" if idle > 0.9 else ": not calm, measure again"),
        file=sys.stderr,
    )


def _idle_share(*, over_s: float) -> float:
    """How much of the processors' time nobody used. The load average remembers too long for this."""

    def ticks() -> tuple[int, int]:
        fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        return fields[3], sum(fields)

    idle, total = ticks()
    time.sleep(over_s)
    idle_after, total_after = ticks()
    return (idle_after - idle) / (total_after - total)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


@contextmanager
def site(settings: Mapping[str, str] | None = None) -> Iterator[dict[str, str]]:
    """A new site on an embedded cluster that keeps what it commits; yields the environment of its processes.

    The cluster is as durable as a user's: a figure that fsync is not part of would be nobody's.
    """
    # Under /var/tmp because it lies on a disk; open because as root the server runs as another user.
    folder = Path(tempfile.mkdtemp(prefix="packshot-benchmark-", dir="/var/tmp"))
    folder.chmod(0o755)
    cluster = Cluster(folder / "data", settings or {})
    environment = environment_of(folder / "data")
    try:
        environment["DATABASE_URL"] = cluster.ensure_running()
        subprocess.run(
            [sys.executable, "-m", "django", "migrate", "--verbosity=0"], env=environment, check=True
        )
        yield environment
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def environment_of(data: Path) -> dict[str, str]:
    """What the processes of a site with this data folder are told, but for its database: nothing of ours."""
    ours = ("PACKSHOT_", "OPENAI_", "MIDJOURNEY_", "STABILITY_", "FLUX_", "DATABASE_", "BLOB_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return environment | {
        "PACKSHOT_DATA": str(data),
        "PACKSHOT_LOG_LEVEL": "WARNING",
        "DJANGO_SETTINGS_MODULE": "packshot.settings",
    }


def in_a_process_of_its_own(script: str, *arguments: str, environment: Mapping[str, str]) -> dict[str, float]:
    """What `script`, run with `arguments`, told by `tell`."""
    command = [sys.executable, script, *arguments]
    answer = subprocess.run(command, env=dict(environment), check=True, stdout=subprocess.PIPE, text=True)
    told: dict[str, float] = json.loads(answer.stdout)
    return told


def tell(**figures: float) -> None:
    """Give these figures, and this process's peak memory as `peak_mb`, to the benchmark that started it."""
    # In kilobytes on Linux. It counts the parent's size at the start, too, so parents are kept small.
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB
    print(json.dumps({**figures, "peak_mb": peak_mb}))
