"""A child process for work on hostile bytes: limits, no environment, one task at a time, replaced after."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self, TypeVar

import packshot
from packshot.imaging.header import BadImage

IMAGE_S = 20.0  # seconds that one image may take, on the wall and in CPU
MEMORY_BYTES = 1536 * 2**20  # address space of the child
RECYCLE_AFTER = 200  # images: whatever a library leaks goes back to the system

T = TypeVar("T")


class ChildDied(Exception):
    """The child was killed or ran out of time or memory; the message is how it ended, as a verb."""


class BoundedChild:
    """The parent's end of a child that runs `module`. Starts it when first needed; threads may share it."""

    def __init__(
        self,
        module: str,
        *,
        image_s: float = IMAGE_S,
        memory_bytes: int = MEMORY_BYTES,
        recycle_after: int = RECYCLE_AFTER,
    ) -> None:
        self._module = module
        self._image_s = image_s
        self._memory_bytes = memory_bytes
        self._recycle_after = recycle_after
        self._made = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def talk(self, conversation: Callable[[IO[bytes], IO[bytes]], T]) -> T:
        """What `conversation` makes of the child's ends, one caller at a time. Raises ChildDied."""
        with self._lock:
            if self._made >= self._recycle_after:
                self._stop()
            child = self._running()
            self._made += 1
            watch = threading.Timer(self._image_s, child.kill)
            watch.daemon = True
            watch.start()
            assert child.stdin is not None and child.stdout is not None
            try:
                return conversation(child.stdin, child.stdout)
            except (EOFError, OSError):
                how = self._how_it_ended(child)
                self._stop()
                raise ChildDied(how) from None
            except BaseException as problem:
                if not isinstance(problem, BadImage):
                    self._stop()  # an answer may be half read: this child is of no more use
                raise
            finally:
                watch.cancel()

    def close(self) -> None:
        """End the child. This can be used again; it starts another."""
        with self._lock:
            self._stop()

    @property
    def pid(self) -> int | None:
        """The child's process id while there is one."""
        child = self._child
        return None if child is None else child.pid

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is not None:
            self._stop()  # it ended while idle
        if self._child is None:
            limits = [str(self._memory_bytes), str(self._image_s)]
            self._child = subprocess.Popen(
                [sys.executable, "-m", self._module, *limits],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,  # a Ctrl-C meant for the worker lets it finish its image
            )
            self._made = 0
        return self._child

    def _how_it_ended(self, child: subprocess.Popen[bytes]) -> str:
        try:
            code = child.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return "stopped answering"
        if code in (-signal.SIGKILL, -signal.SIGXCPU):
            return f"was killed (longer than {self._image_s:g} s, or out of memory)"
        if code < 0:
            return f"crashed ({signal.Signals(-code).name})"
        return f"ended early (exit code {code})"

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def read_exactly(pipe: IO[bytes], length: int) -> bytes:
    content = pipe.read(length)
    if len(content) != length:
        raise EOFError
    return content


def _environment() -> dict[str, str]:
    """What the child may know. It reads hostile bytes, so it gets no key and no address."""
    return {
        "PYTHONPATH": str(Path(packshot.__path__[0]).parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "VIPS_CONCURRENCY": "1",
        # Each allocator arena reserves 64 MB of the address space that is all the child has.
        "MALLOC_ARENA_MAX": "2",
    }
