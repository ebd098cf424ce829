"""What the contract tests share: the vendors' files, and a loopback server that answers what it is told."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def specs(shared: Path) -> Path:
    """The folder of provider specifications and recorded bodies."""
    return shared / "provider-specs"


class Clock:
    """Time that passes when the test says so, and not while a slow machine is at something else."""

    def __init__(self) -> None:
        self._began = time.time()
        self._passed = 0.0

    def passes(self, seconds: float) -> None:
        self._passed += seconds

    def time(self) -> float:
        return self._began + self._passed

    def time_ns(self) -> int:
        return int(self.time() * 1e9)

    def monotonic(self) -> float:
        return self._passed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that the simulators of this test tell tasks, links and limits by."""
    hands = Clock()
    for module in ("flux", "midjourney", "stability", "protocol"):
        monkeypatch.setattr(f"packshot.simulator.{module}.time", hands)
    return hands


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; `raw` replaces it byte for byte, and an empty one hangs up."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None

    @classmethod
    def of(cls, document: Any, status: int = 200, **headers: str) -> "Reply":
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, json.dumps(document).encode(), {"content-type": "application/json", **named})

    def on_the_wire(self) -> bytes:
        if self.raw is not None:
            return self.raw
        lines = [f"HTTP/1.1 {self.status} Status", f"content-length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items() if name != "content-length"]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


Answering = Callable[[Asked], Reply | Awaitable[Reply]]


class Loopback:
    """A server on this machine whose answers are a function of the requests."""

    def __init__(self, answering: Answering) -> None:
        self.answering = answering
        self.asked: list[Asked] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                asked = await self._read(reader)
                self.asked.append(asked)
                reply = self.answering(asked)
                reply = await reply if not isinstance(reply, Reply) else reply
                writer.write(reply.on_the_wire())
                await writer.drain()
                if reply.raw is not None:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Asked:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Asked(method, path, headers, body)


@asynccontextmanager
async def _serving(answering: Answering) -> AsyncIterator[Loopback]:
    loopback = Loopback(answering)
    server = await asyncio.start_server(loopback.serve, "127.0.0.1", 0)
    loopback.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield loopback
    finally:
        server.close()


@pytest.fixture
def serving() -> Callable[[Answering], AbstractAsyncContextManager[Loopback]]:
    """Start a server: `async with serving(lambda asked: reply.of({})) as loopback`."""
    return _serving


@pytest.fixture
def reply() -> type[Reply]:
    """The server's answers."""
    return Reply
