"""The real web process: uvicorn in a process of its own, on the test's own database."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, urlencode

import httpx
from django.conf import settings
from django.db import connection

from tests.ports import free_port


def database_url() -> str:
    """The address of the database that this test is connected to."""
    place = connection.settings_dict
    who = quote(place["USER"], safe="")
    if place["PASSWORD"]:
        who += ":" + quote(place["PASSWORD"], safe="")
    query = urlencode({"host": place["HOST"]} if place["HOST"].startswith("/") else {})
    host = "" if query else f"{place['HOST']}:{place['PORT'] or 5432}"
    return f"postgresql://{who}@{host}/{quote(place['NAME'], safe='')}" + (f"?{query}" if query else "")


class Server:
    """`with Server() as server: httpx.get(server.url)`. It can be stopped and started on the same address."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.log = Path(tempfile.mkstemp(prefix="packshot-web-", suffix=".log")[1])

    def start(self) -> None:
        command = [sys.executable, "-m", "uvicorn", "packshot.asgi:application", "--port", str(self.port)]
        environment = os.environ | {
            "DATABASE_URL": database_url(),
            "PACKSHOT_DATA": str(settings.DATA),
            "PACKSHOT_URL": self.url,
            "DJANGO_SETTINGS_MODULE": "packshot.settings",
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--no-server-header", "--no-access-log"],
                env=environment,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"{self.url}/healthz", timeout=2).raise_for_status()
                return
            except httpx.HTTPError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"the server did not start:\n{self.log.read_text()}") from None
                time.sleep(0.05)

    def stop(self, *, within_s: float = 40) -> float:
        """Ask it to end as a service manager does. Returns how many seconds that took."""
        assert self.process is not None
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not stop:\n{self.log.read_text()}") from None
        self.process = None
        return time.monotonic() - begun

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            self.stop()
        self.log.unlink(missing_ok=True)
