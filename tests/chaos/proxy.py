"""A TCP proxy that does harm: it stands between a worker and PostgreSQL, or between a worker and a provider.

It delays, slices and drips what it forwards, resets connections, falls silent on them without closing them,
and breaks them at a chosen byte of a request or an answer. It runs on a thread of its own; every method here
may be called from the test's.
"""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

Upstream = tuple[str, int] | str  # host and port, or the path of a Unix socket
_READ = 65_536
_REMEMBERED = 65_536
_HELLO = 4_096
# Closing with this option set sends a reset instead of a farewell.
_RESET = struct.pack("ii", 1, 0)


@dataclass
class Cut:
    """Break a connection whose client says `says`, `after_bytes` into that request or into its answer.

    A request that is cut after 0 bytes never leaves; an answer that is cut after 0 bytes was given, and lost.
    """

    side: Literal["request", "answer"]
    says: bytes
    after_bytes: int = 0
    times: int = 1
    chance: float = 1.0
    made: int = 0


@dataclass(eq=False)
class _Link:
    """One client's connection and ours to the server."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    hello: bytes = b""  # the first that the client said: who it is, to PostgreSQL
    said: bytes = b""  # since the last answer began
    answered: bool = False
    dark: bool = False
    cut: Cut | None = None
    left: int = 0  # bytes until the cut


@dataclass
class Proxy:
    """Use it as a context; clients connect to `port` on 127.0.0.1."""

    upstream: Upstream
    seed: int = 0
    latency_s: float = 0.0  # before each piece
    bytes_per_s: float | None = None
    slice_bytes: int | None = None  # pieces are no longer than this
    port: int = 0
    cuts: list[Cut] = field(default_factory=list)
    severed: list[bytes] = field(default_factory=list)  # what was last said on connections that were harmed
    accepts_in_silence: bool = False  # new connections are taken, and nobody answers
    _links: set[_Link] = field(default_factory=set)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __enter__(self) -> "Proxy":
        self._chance = random.Random(self.seed)
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -- harm ----------------------------------------------------------------------------------

    def reset(self, *, most: int | None = None, says: bytes = b"") -> int:
        """Reset connections, all or `most` by chance, whose client said `says` first. Returns how many."""
        return self._do(lambda: [self._sever(link) for link in self._some(most, says)])

    def fall_silent(self, *, most: int | None = None, says: bytes = b"") -> int:
        """Forward nothing more on connections, and keep both their ends open. Returns how many."""

        def silence(link: _Link) -> None:
            link.dark = True
            self.severed.append(link.said)

        return self._do(lambda: [silence(link) for link in self._some(most, says)])

    def open(self, says: bytes = b"") -> int:
        """How many connections forward."""
        return self._do(lambda: self._some(None, says))

    def calm(self) -> None:
        """No harm from now on; what has fallen silent stays so."""
        self.latency_s, self.bytes_per_s, self.slice_bytes = 0.0, None, None
        self.accepts_in_silence = False
        self.cuts = []

    # -- inside the loop -----------------------------------------------------------------------

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def _do(self, work: Callable[[], list[Any]]) -> int:
        async def done() -> int:
            return len(work())

        return int(self._call(done()))

    def _some(self, most: int | None, says: bytes) -> list[_Link]:
        found = [link for link in self._links if not link.dark and link.server and says in link.hello]
        return found if most is None else self._chance.sample(found, min(most, len(found)))

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        link = _Link(client, dark=self.accepts_in_silence)
        self._links.add(link)
        try:
            if link.dark:
                while await reader.read(_READ):
                    pass
                return
            from_server, link.server = await self._connect()
            pumps = [
                asyncio.ensure_future(self._pump(link, reader, self._ask)),
                asyncio.ensure_future(self._pump(link, from_server, self._answer)),
            ]
            self._tasks.update(pumps)
            for pump in pumps:
                pump.add_done_callback(self._tasks.discard)
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if link.dark:
                # Whoever went away, the other one is not told.
                await asyncio.wait(pumps)
            for pump in pumps:
                pump.cancel()
        except OSError:
            self._sever(link)  # nobody is there: the client is told by a reset
        finally:
            self._links.discard(link)
            for writer in (link.client, link.server):
                if writer is not None:
                    writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.upstream, str):
            return await asyncio.open_unix_connection(self.upstream)
        return await asyncio.open_connection(*self.upstream)

    async def _pump(
        self, link: _Link, reader: asyncio.StreamReader, handle: Callable[[_Link, bytes], bytes | None]
    ) -> None:
        towards = link.server if handle == self._ask else link.client
        assert towards is not None
        with contextlib.suppress(OSError):
            while data := await reader.read(_READ):
                if link.dark:
                    continue
                whole = handle(link, data)
                breaks = whole is None or len(whole) < len(data)
                for piece in self._pieces(whole or b""):
                    if self.latency_s:
                        await asyncio.sleep(self.latency_s)
                    if self.bytes_per_s:
                        await asyncio.sleep(len(piece) / self.bytes_per_s)
                    towards.write(piece)
                    await towards.drain()
                if breaks:
                    self._sever(link)
                    return

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        size = self.slice_bytes or max(1, len(data))
        return (data[start : start + size] for start in range(0, len(data), size))

    def _ask(self, link: _Link, data: bytes) -> bytes | None:
        """What of it goes to the server; less than all of it, or None, breaks the connection there."""
        if len(link.hello) < _HELLO:
            link.hello += data[:_HELLO]
        link.said = ((b"" if link.answered else link.said) + data)[-_REMEMBERED:]
        link.answered = False
        if link.cut is None:
            for cut in self.cuts:
                if cut.made < cut.times and cut.says in data and self._chance.random() < cut.chance:
                    cut.made += 1
                    link.cut, link.left = cut, cut.after_bytes
                    if cut.side == "request":
                        link.left += data.index(cut.says)
                    break
        return self._up_to_the_cut(link, data, "request")

    def _answer(self, link: _Link, data: bytes) -> bytes | None:
        link.answered = True
        return self._up_to_the_cut(link, data, "answer")

    @staticmethod
    def _up_to_the_cut(link: _Link, data: bytes, side: str) -> bytes | None:
        if link.cut is None or link.cut.side != side:
            return data
        kept = data[: link.left]
        link.left -= len(kept)
        return kept or None

    def _sever(self, link: _Link) -> None:
        self.severed.append(link.said)
        for writer in (link.client, link.server):
            if writer is not None:
                end = writer.get_extra_info("socket")
                if end is not None and end.family != socket.AF_UNIX:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.transport.abort()

    async def _end(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        for link in list(self._links):
            self._sever(link)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.01)
