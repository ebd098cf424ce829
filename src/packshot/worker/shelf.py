"""The worker's way to the blob store: several images at a time, on a few threads."""

import asyncio
import hashlib
import threading
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from packshot.blobs import BlobStore, MissingBlob

# Each waits for a disk or a network most of its time, and disks put the fsyncs of several together.
THREADS = 8
# More in one go would let the first wait for the last; fewer wake the loop more often than it needs.
AT_ONCE = 16
# Pictures that go out with requests, of all calls together. An adapter makes a body of them, so at its worst
# moment a call holds two or three times as much.
PICTURE_BYTES = 256 * 1024 * 1024


class Shelf:
    """Puts images into the store. A thread takes what waits, several at once, and answers for all in one go.

    A thread and a wake-up of the loop for each image cost the worker a sixth of its time, measured.
    """

    def __init__(self, store: BlobStore) -> None:
        self._store = store
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="store")
        self._lock = threading.Lock()
        self._waiting: deque[tuple[bytes, asyncio.Future[str]]] = deque()
        self._at_work = 0
        self._pictures = Room(PICTURE_BYTES)

    async def put(self, content: bytes) -> str:
        """The name of `content` once it is stored durably; what the store raises is raised here."""
        loop = asyncio.get_running_loop()
        kept: asyncio.Future[str] = loop.create_future()
        with self._lock:
            self._waiting.append((content, kept))
            free = self._at_work < THREADS
            self._at_work += free
        if free:
            self._threads.submit(self._work, loop)
        return await kept

    async def get(self, blob: str) -> bytes:
        """The bytes of that name; what the store raises is raised here, and MissingBlob for other bytes."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, blob)

    def room(self, size_bytes: int) -> AbstractAsyncContextManager[None]:
        """Hold so many bytes of pictures; who is too much beside the others waits for them."""
        return self._pictures.hold(size_bytes) if size_bytes else nullcontext()

    def _read(self, blob: str) -> bytes:
        content = self._store.get(blob)
        if hashlib.sha256(content).hexdigest() != blob:
            raise MissingBlob(f"other bytes are stored under {blob[:64]}")
        return content

    def close(self) -> None:
        """Return when the threads have ended what they had in hand."""
        self._threads.shutdown(wait=True)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while taken := self._take():
            done = [(kept, self._stored(content)) for content, kept in taken]
            loop.call_soon_threadsafe(_answer, done)

    def _take(self) -> list[tuple[bytes, asyncio.Future[str]]]:
        """A fair share of what waits; nothing, and this thread is done."""
        with self._lock:
            share = min(AT_ONCE, -(-len(self._waiting) // THREADS))
            if not share:
                self._at_work -= 1
            return [self._waiting.popleft() for _ in range(share)]

    def _stored(self, content: bytes) -> str | Exception:
        try:
            return self._store.put(content)
        except Exception as problem:  # noqa: BLE001 - whoever waits for it decides
            return problem


class Room:
    """Only so much may be held at a time. First come, first served: a large one is not kept waiting for ever
    by small ones that still fit."""

    def __init__(self, most: int) -> None:
        self._most = self._left = most
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Hold `size` of it, once there is room. More than there is at all has it alone."""
        size = min(size, self._most)
        async with self._turn:
            while self._left < size:
                self._freed.clear()
                await self._freed.wait()
            self._left -= size
        try:
            yield
        finally:
            self._left += size
            self._freed.set()


def _answer(done: list[tuple[asyncio.Future[str], str | Exception]]) -> None:
    for kept, stored in done:
        if kept.done():  # whoever waited was cancelled
            continue
        if isinstance(stored, str):
            kept.set_result(stored)
        else:
            kept.set_exception(stored)
