"""Copies of an image that are safe to serve, made in a bounded child process.

A provider's bytes are hostile until they are decoded and encoded again, and a decoder that meets them may
crash, hang or eat the memory. So they are decoded in one child (`child.py`) with limits, no environment and
three loaders; what comes back is our own encoding: at most the size asked for, sRGB, without any metadata
but our provenance.

    with Decoder() as decoder:
        first = decoder.make(content, ["webp-320"], xmp=write_xmp(provenance))
"""

import json
import os
import re
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self, cast

import packshot
from packshot.imaging.header import BadImage, read_header
from packshot.kernel.errors import PackshotError

RenditionType = Literal["image/webp", "image/avif", "image/jpeg"]

FIRST = ("webp-320",)  # what a list shows the moment an image lands
NEXT = ("webp-96", "webp-1200")
LAZY = ("avif-1200",)  # a third smaller than WebP for several times the CPU: made when somebody asks

MEDIA_TYPES: dict[str, RenditionType] = {"webp": "image/webp", "avif": "image/avif", "jpeg": "image/jpeg"}
LARGEST_SIDE_PX = 4096

IMAGE_S = 20.0  # seconds that one image may take, on the wall and in CPU
MEMORY_BYTES = 1536 * 2**20  # address space of the child
RECYCLE_AFTER = 200  # images: whatever a decoder leaks goes back to the system

_SPEC = re.compile(r"(webp|avif|jpeg)-([1-9]\d{0,3})")
_LENGTHS = struct.Struct(">III")


class DecoderDied(PackshotError):
    """The child was killed or ran out of time or memory over this image. The next image gets a new child."""


@dataclass(frozen=True, slots=True)
class Rendition:
    """One encoded copy; sizes in pixels."""

    spec: str
    media_type: RenditionType
    width_px: int
    height_px: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Fit:
    """A shape for the copies, as width to height: what is too much is cropped, or what lacks is padded."""

    width: int
    height: int
    how: Literal["crop", "pad"]


@dataclass(frozen=True, slots=True)
class Decoded:
    """An image that decoded to its last row, its size in pixels as it is shown, and the copies asked for."""

    width_px: int
    height_px: int
    renditions: list[Rendition]


def parse_spec(spec: str) -> tuple[RenditionType, int]:
    """The media type and the longest side in pixels of a spec such as `webp-320`. Raises ValueError."""
    found = _SPEC.fullmatch(spec)
    if found is None or int(found[2]) > LARGEST_SIDE_PX:
        raise ValueError(f"{spec!r} is no rendition; write it like webp-320, up to {LARGEST_SIDE_PX}")
    return MEDIA_TYPES[found[1]], int(found[2])


class Decoder:
    """The parent's end. Starts its child when first needed; threads may share it, one image at a time."""

    def __init__(
        self,
        *,
        image_s: float = IMAGE_S,
        memory_bytes: int = MEMORY_BYTES,
        recycle_after: int = RECYCLE_AFTER,
    ) -> None:
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

    def make(self, content: bytes, specs: Sequence[str], *, xmp: bytes, fit: Fit | None = None) -> Decoded:
        """The renditions of `content` named by `specs`, in their order, each carrying `xmp`, in the shape of
        `fit`. Nothing is ever distorted.

        Raises BadImage when these bytes are no image we take, DecoderDied when the child did not survive.
        """
        read_header(content)
        for spec in specs:
            parse_spec(spec)
        with self._lock:
            if self._made >= self._recycle_after:
                self._stop()
            child = self._running()
            self._made += 1
            watch = threading.Timer(self._image_s, child.kill)
            watch.daemon = True
            watch.start()
            try:
                return self._ask(child, content, specs, xmp, fit)
            except (EOFError, OSError):
                how = self._how_it_ended(child)
                self._stop()
                raise DecoderDied(f"The image decoder {how}; the image is not shown.") from None
            except BaseException as problem:
                if not isinstance(problem, BadImage):
                    self._stop()  # an answer may be half read: this child is of no more use
                raise
            finally:
                watch.cancel()

    def close(self) -> None:
        """End the child. The decoder can be used again; it starts another."""
        with self._lock:
            self._stop()

    @property
    def pid(self) -> int | None:
        """The child's process id while there is one."""
        child = self._child
        return None if child is None else child.pid

    def _ask(
        self,
        child: subprocess.Popen[bytes],
        content: bytes,
        specs: Sequence[str],
        xmp: bytes,
        fit: Fit | None,
    ) -> Decoded:
        assert child.stdin is not None and child.stdout is not None
        order = json.dumps({"specs": list(specs), "fit": None if fit is None else asdict(fit)}).encode()
        child.stdin.write(_LENGTHS.pack(len(order), len(xmp), len(content)))
        for part in (order, xmp, content):
            child.stdin.write(part)
        child.stdin.flush()
        report = json.loads(_read(child.stdout, int.from_bytes(_read(child.stdout, 4))))
        if "bad" in report:
            raise BadImage(report["bad"])
        renditions = [
            Rendition(
                spec=made["spec"],
                media_type=cast(RenditionType, made["media_type"]),
                width_px=made["width_px"],
                height_px=made["height_px"],
                content=_read(child.stdout, made["bytes"]),
            )
            for made in report["renditions"]
        ]
        return Decoded(report["width_px"], report["height_px"], renditions)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is not None:
            self._stop()  # it ended while idle
        if self._child is None:
            limits = [str(self._memory_bytes), str(self._image_s)]
            self._child = subprocess.Popen(
                [sys.executable, "-m", "packshot.imaging.child", *limits],
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


def _read(pipe: IO[bytes], length: int) -> bytes:
    content = pipe.read(length)
    if len(content) != length:
        raise EOFError
    return content


def _environment() -> dict[str, str]:
    """What the child may know. It decodes hostile bytes, so it gets no key and no address."""
    return {
        "PYTHONPATH": str(Path(packshot.__path__[0]).parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "VIPS_CONCURRENCY": "1",
        # Each allocator arena reserves 64 MB of the address space that is all the child has.
        "MALLOC_ARENA_MAX": "2",
    }
