"""1,000 pages that follow the Queue on one web process: how soon each sees what happened, what a page costs,
and what is lost when that process is killed under all of them.

Every page is a connection of its own to `/events`, as a browser's tab is, in one process of its own. Each
event is of another generation and is drawn as its row, so a row that a page never got is lost, and one that
it got in two frames came double.
"""

import argparse
import asyncio
import json
import multiprocessing
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measure import at_least, below, describe_machine, exactly, report, site

CLIENTS = 1_000
EVENTS = 40  # one by one, to see how soon each arrives
APART_S = 0.7
# While the process is killed, and all come back.
STORM_EVENTS = 120
STORM_APART_S = 0.1
KILLED_AFTER_S = 3.0
COMES_BACK_WITHIN_S = 2.0  # a page waits a random while, so that not all knock at once
SETTLE_S = 60.0
TOPICS = "nav,ended,queue,queue-waits"
ROW = re.compile(rb'hx-target="#generation-([0-9a-f-]{36})"')


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--prepare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--tell", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.prepare:
        prepare()
        return 0
    if asked.tell:
        first, number, apart_s = asked.tell
        tell(int(first), int(number), float(apart_s))
        return 0
    describe_machine()
    with site() as environment:
        command = [sys.executable, __file__, "--prepare"]
        told = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        cookie = json.loads(told.stdout)["cookie"]
        return 0 if all(measure(environment, cookie, asked.clients)) else 1


def measure(environment: dict[str, str], cookie: str, clients: int) -> list[bool]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    web = _web(environment, port)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    pages = context.Process(target=_follow_all, args=(theirs, port, cookie, clients))
    try:
        pages.start()
        assert ours.recv() == "ready"
        bare_kb = _private_kb(web.pid)
        ours.send("connect")
        took_s = ours.recv()
        full_kb = _private_kb(web.pid)
        sent = _tell(environment, 0, EVENTS, APART_S)
        ours.send("seen")
        seen = ours.recv()
        waits = sorted((at - sent[row]) * 1000 for page in seen for row, at in page.items() if row in sent)
        busy_kb = _private_kb(web.pid)

        storm = _telling(environment, EVENTS, STORM_EVENTS, STORM_APART_S)
        time.sleep(KILLED_AFTER_S)
        web.send_signal(signal.SIGKILL)
        web.wait()
        killed_at = time.monotonic()
        web = _web(environment, port)
        up_s = time.monotonic() - killed_at
        sent |= json.loads(storm.communicate(timeout=120)[0])
        ours.send(["settle", sorted(sent)])
        end = ours.recv()
        pages.join(30)
        return [
            report(f"{clients} pages, connected within", took_s, "s"),
            report(
                "memory of the process, per page connected", (full_kb - bare_kb) / clients, "KiB", below(100)
            ),
            report("the same after the first events", (busy_kb - bare_kb) / clients, "KiB"),
            report(
                "events one by one, from commit to receipt, p50", statistics.median(waits), "ms", below(100)
            ),
            report(
                "events one by one, from commit to receipt, p99",
                waits[len(waits) * 99 // 100],
                "ms",
                below(500),
            ),
            report("rows that came, of all", len(waits) / (clients * EVENTS) * 100, "%", exactly(100)),
            report("killed: until it answered again", up_s, "s"),
            report("killed: until the last page was back", end["back_s"], "s"),
            report("killed: pages that came back", end["reconnected"], "pages", at_least(clients)),
            report("killed: rows lost", end["lost"], "rows", exactly(0)),
            report("killed: rows that came double", end["doubled"], "rows", exactly(0)),
            report("killed: pages told to load afresh", end["resyncs"], "pages"),
        ]
    finally:
        web.kill()
        pages.kill()


def _web(environment: Mapping[str, str], port: int) -> subprocess.Popen[bytes]:
    """The site's web process, as `packshot serve` starts it; returns when it answers."""
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "uvicorn", "packshot.asgi:application", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--log-level", "warning", "--no-access-log"], env={**environment, "PACKSHOT_URL": url}
    )
    for _ in range(600):
        with socket.socket() as knock:
            if knock.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.05)
    raise RuntimeError("the web process does not answer")


def _private_kb(pid: int) -> float:
    """What only this process holds in memory."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("Private_"))


# -- what happens --------------------------------------------------------------------------------


def prepare() -> None:
    """Somebody who is signed in, and generations to tell of. Runs in a process of its own."""
    import django

    django.setup()
    from django.conf import settings
    from django.test import Client

    from history import fill
    from packshot import accounts
    from packshot.accounts.models import User
    from packshot.flows import import_catalogue

    person = User(username="ada", role="administrator")
    person.set_unusable_password()
    person.save()
    import_catalogue.load_templates(accounts.this_shell())
    fill(products=500, generations=2_000)
    client = Client()
    client.force_login(person)
    name = settings.SESSION_COOKIE_NAME
    print(json.dumps({"cookie": f"{name}={client.cookies[name].value}"}))


def tell(first: int, number: int, apart_s: float) -> None:
    """Tell of `number` generations, one commit each; print when each was committed."""
    import django

    django.setup()
    from django.db import transaction

    from packshot import events
    from packshot.events import Happening
    from packshot.generations.models import Generation

    rows = list(Generation.objects.order_by("id").values_list("id", flat=True)[first : first + number])
    committed = {}
    for row in rows:
        with transaction.atomic():
            events.tell([Happening("generation", "completed", str(row), {"provider": "flux"})])
            # Before the commit: what is measured holds the commit itself.
            committed[str(row)] = time.monotonic()
        time.sleep(apart_s)
    print(json.dumps(committed))


def _telling(
    environment: Mapping[str, str], first: int, number: int, apart_s: float
) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--tell", str(first), str(number), str(apart_s)]
    return subprocess.Popen(command, env=dict(environment), stdout=subprocess.PIPE, text=True)


def _tell(environment: Mapping[str, str], first: int, number: int, apart_s: float) -> dict[str, float]:
    done: dict[str, float] = json.loads(_telling(environment, first, number, apart_s).communicate()[0])
    time.sleep(2)  # the last of them is on its way
    return done


# -- the pages that follow -----------------------------------------------------------------------


@dataclass(slots=True)
class Page:
    """One page: what it has seen, and where it would go on."""

    seen: dict[str, float] = field(default_factory=dict)
    doubled: Counter[str] = field(default_factory=Counter)
    last_id: str = ""
    resyncs: int = 0
    connects: int = 0
    connected: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self, port: int, cookie: str) -> None:
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._once(port, cookie)
            self.connected.clear()
            await asyncio.sleep(random.uniform(0.2, COMES_BACK_WITHIN_S))

    async def _once(self, port: int, cookie: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
        try:
            again = f"Last-Event-ID: {self.last_id}\r\n" if self.last_id else ""
            writer.write(
                f"GET /events?topics={TOPICS} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
                f"Accept: text/event-stream\r\nCookie: {cookie}\r\n{again}\r\n".encode()
            )
            status = await reader.readline()
            if b" 200 " not in status:
                raise OSError(f"refused: {status!r}")
            await reader.readuntil(b": hello\n\n")
            self.connects += 1
            self.connected.set()
            while True:
                self._take(await reader.readuntil(b"\n\n"), time.monotonic())
        finally:
            writer.close()

    def _take(self, message: bytes, at: float) -> None:
        for row in set(ROW.findall(message)):
            name = row.decode()
            if name in self.seen:
                self.doubled[name] += 1
            self.seen.setdefault(name, at)
        if found := re.search(rb"^id: (\d+)$", message, re.MULTILINE):
            self.last_id = found[1].decode()
        if b"\nevent: resync" in message:
            self.resyncs += 1


def _follow_all(pipe: Any, port: int, cookie: str, clients: int) -> None:
    asyncio.run(_follow_until_told(pipe, port, cookie, clients))


async def _follow_until_told(pipe: Any, port: int, cookie: str, clients: int) -> None:
    told = asyncio.get_running_loop().run_in_executor
    # The first request of a process loads what all of them need: it is no part of what a page costs.
    first = Page()
    warm = asyncio.create_task(first.follow(port, cookie))
    await asyncio.wait_for(first.connected.wait(), 60)
    warm.cancel()
    pipe.send("ready")
    assert await told(None, pipe.recv) == "connect"
    began = time.monotonic()
    pages = [Page() for _ in range(clients)]
    tasks = []
    for number, page in enumerate(pages):
        tasks.append(asyncio.create_task(page.follow(port, cookie)))
        if number % 50 == 49:
            await asyncio.wait_for(page.connected.wait(), 120)
    for page in pages:
        await asyncio.wait_for(page.connected.wait(), 120)
    pipe.send(time.monotonic() - began)
    assert await told(None, pipe.recv) == "seen"
    pipe.send([page.seen for page in pages])
    back_s, gone_at = 0.0, 0.0
    asked = asyncio.ensure_future(told(None, pipe.recv))
    while not asked.done():
        await asyncio.sleep(0.05)
        away = sum(not page.connected.is_set() for page in pages)
        if away and not gone_at:
            gone_at = time.monotonic()
        if gone_at and not away and not back_s:
            back_s = time.monotonic() - gone_at
    _, wanted = asked.result()
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        if not back_s and all(page.connected.is_set() for page in pages):
            back_s = time.monotonic() - gone_at
        if all(len(page.seen) >= len(wanted) for page in pages):
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(2)  # what comes double comes now
    pipe.send(
        {
            "back_s": back_s,
            "reconnected": sum(page.connects > 1 for page in pages),
            "lost": sum(len(set(wanted) - set(page.seen)) for page in pages),
            "doubled": sum(page.doubled.total() for page in pages),
            "resyncs": sum(page.resyncs > 0 for page in pages),
        }
    )
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    sys.exit(main())
