"""`packshot up` as it is met: started, looked at, hurt, stopped and started again."""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from packshot.embedded import Cluster
from tests.ports import free_port

WITHIN_S = 90.0


def wait_until(what: str, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not done():
        assert time.monotonic() < deadline, f"not within {WITHIN_S:.0f} s: {what}"
        time.sleep(0.05)


class Installation:
    """A data folder, a port, and what runs on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self.cluster = Cluster(self.data)
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.environment = kept | {"COLUMNS": "100", "PACKSHOT_SIMULATOR": "on"}
        self.runs = 0

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "packshot", "--data", str(self.data), *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )

    @contextmanager
    def up(self) -> Iterator["Running"]:
        self.runs += 1
        said = self.folder / f"said-{self.runs}"
        with said.open("w") as output:
            process = subprocess.Popen(
                self.command("up", "--port", str(self.port)),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        running = Running(self, process, said)
        try:
            wait_until("ready", lambda: "Ready." in running.said() or process.poll() is not None)
            assert process.poll() is None, running.said()
            yield running
        finally:
            process.kill()
            process.wait()

    def healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class Running:
    """One `packshot up`."""

    def __init__(self, installation: Installation, process: "subprocess.Popen[bytes]", said: Path) -> None:
        self.installation = installation
        self.process = process
        self._said = said

    def said(self) -> str:
        return self._said.read_text()

    def descendants(self) -> dict[int, str]:
        """Every process below this one with its command line."""
        found: dict[int, str] = {}
        waiting = [self.process.pid]
        while waiting:
            for child in _children(waiting.pop()):
                found[child] = _command_line(child)
                waiting.append(child)
        return found

    def pid_of(self, words: str) -> int | None:
        return next((pid for pid, line in self.descendants().items() if f" {words}" in line), None)


def _children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _command_line(pid: int) -> str:
    try:
        return " ".join(Path(f"/proc/{pid}/cmdline").read_text().split("\0")).strip()
    except OSError:
        return ""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def installation() -> Iterator[Installation]:
    # As root the database runs as another user, who cannot pass pytest's own folders.
    folder = Path(tempfile.mkdtemp(prefix="packshot-up-", dir="/var/tmp"))
    folder.chmod(0o755)
    made = Installation(folder)
    try:
        yield made
    finally:
        made.cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(300)
def test_one_command_runs_everything_keeps_it_running_and_leaves_nothing_behind(
    installation: Installation,
) -> None:
    with installation.up() as first:
        password = re.search(r"Password +(\S+)", first.said())
        assert password is not None
        assert f"http://127.0.0.1:{installation.port}" in first.said()
        assert re.search(r"First page after \d+\.\d s", first.said())
        assert installation.healthy()

        again = installation.run("up", "--port", str(free_port()))
        assert again.returncode == 2
        assert f"process {first.process.pid}" in again.stderr

        web = first.pid_of("serve")
        assert web is not None
        os.kill(web, signal.SIGKILL)
        wait_until("a new site", lambda: first.pid_of("serve") not in (None, web) and installation.healthy())
        assert "The site was ended by SIGKILL" in first.said()

        server = installation.cluster.status().pid
        assert server is not None
        os.kill(server, signal.SIGKILL)
        wait_until("a new server", lambda: installation.cluster.status().pid not in (None, server))
        wait_until("a site on it", installation.healthy)

        below = first.descendants()
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(WITHIN_S) == 0
        assert not [words for pid, words in below.items() if alive(pid)]
        assert not installation.cluster.is_running()

    with installation.up() as second:
        assert "Password" not in second.said()
        assert password[1] not in second.said()
        assert "people password NAME" in second.said()
        listed = installation.run("products", "list", "--json")
        assert '"sku"' in listed.stdout, listed.stderr
        wait_until("workers", lambda: second.pid_of("work --only pay") is not None)

        below = second.descendants()
        second.process.kill()
        wait_until("nobody left", lambda: not any(map(alive, below)))
        assert not installation.healthy()
        # The database may be in use by others: it outlives whoever started it, and the next start adopts it.
        assert installation.cluster.is_running()


def test_a_port_that_is_taken_is_refused_with_the_option_that_helps(installation: Installation) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", installation.port))
        taken.listen()
        ran = installation.run("up", "--port", str(installation.port))
    assert ran.returncode == 2
    assert f"--port {installation.port + 1}" in ran.stderr
    assert not installation.cluster.is_running()


def test_a_command_before_the_first_start_says_how_to_start(installation: Installation) -> None:
    ran = installation.run("queue", "list")
    assert ran.returncode == 2
    assert "packshot up" in ran.stderr
    assert "Traceback" not in ran.stderr
