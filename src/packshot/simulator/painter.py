"""The pictures the simulator answers with: drawn packshots, or padded flat colours for load tests."""

import asyncio
import hashlib
import json
import zlib
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Literal

import pyvips

from packshot.imaging import MediaType, studio

_KEPT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Picture:
    """What decides the bytes of one image: the same picture is the same bytes, also after a restart."""

    prompt: str
    style: str  # of the studio: the provider's name
    seed: int
    width_px: int
    height_px: int
    media_type: MediaType

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Picture":
        return cls(**json.loads(text))


class Painter:
    """Draws in a few threads of its own, so that polls are answered while pictures are made."""

    def __init__(self, *, image: Literal["packshot", "small"], small_bytes: int, threads: int) -> None:
        self._small_bytes = small_bytes if image == "small" else None
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="painter")
        self._kept: OrderedDict[Picture | tuple[Picture, ...], bytes] = OrderedDict()
        self._kept_bytes = 0

    async def draw(self, picture: Picture) -> bytes:
        """The bytes of `picture`."""
        if self._small_bytes is not None:
            return padded(picture, self._small_bytes)
        if picture in self._kept:
            self._kept.move_to_end(picture)
            return self._kept[picture]
        content = await asyncio.get_running_loop().run_in_executor(self._pool, _packshot, picture)
        self._keep(picture, content)
        return content

    async def grid(self, four: tuple[Picture, ...]) -> bytes:
        """Four pictures of one size, two by two, as a PNG that loses nothing of them."""
        if self._small_bytes is not None:
            whole = replace(four[0], width_px=2 * four[0].width_px, height_px=2 * four[0].height_px)
            return padded(whole, self._small_bytes)
        if four in self._kept:
            self._kept.move_to_end(four)
            return self._kept[four]
        drawn = [await self.draw(picture) for picture in four]
        content = await asyncio.get_running_loop().run_in_executor(self._pool, _joined, drawn)
        self._keep(four, content)
        return content

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _keep(self, picture: Picture | tuple[Picture, ...], content: bytes) -> None:
        if picture in self._kept:
            return
        self._kept[picture] = content
        self._kept_bytes += len(content)
        while self._kept_bytes > _KEPT_BYTES:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= len(dropped)


def _packshot(picture: Picture) -> bytes:
    scene = studio.describe(
        picture.prompt,
        style=picture.style,
        seed=picture.seed,
        width_px=picture.width_px,
        height_px=picture.height_px,
    )
    return studio.render(scene, media_type=picture.media_type)


def _joined(drawn: list[bytes]) -> bytes:
    parts = [pyvips.Image.new_from_buffer(content, "") for content in drawn]
    content: bytes = pyvips.Image.arrayjoin(parts, across=2).write_to_buffer(".png[compression=3]")
    return content


# -- small: the right size and format, unique bytes, microseconds --------------------------------


def padded(picture: Picture, at_least_bytes: int) -> bytes:
    """A flat image that carries a comment no other picture has, filled up to `at_least_bytes`."""
    plain = _flat(picture.width_px, picture.height_px, picture.media_type)
    mark = hashlib.sha256(picture.to_json().encode()).digest()
    filling = (mark + _noise(at_least_bytes))[: max(len(mark), at_least_bytes - len(plain))]
    return _with_comment(plain, picture.media_type, filling)


@lru_cache(maxsize=256)
def _flat(width_px: int, height_px: int, media_type: MediaType) -> bytes:
    image = pyvips.Image.black(width_px, height_px, bands=3).linear(1, [222, 214, 200]).cast("uchar")
    suffix = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp[lossless]"}[media_type]
    content: bytes = image.copy(interpretation="srgb").write_to_buffer(suffix)
    return content


@lru_cache(maxsize=4)
def _noise(length: int) -> bytes:
    return hashlib.shake_128(b"filling").digest(length)


def _with_comment(content: bytes, media_type: MediaType, comment: bytes) -> bytes:
    if media_type == "image/png":
        # After the header chunk; a private, ancillary, safe-to-copy chunk that decoders skip.
        name = b"paDd"
        chunk = len(comment).to_bytes(4) + name + comment + zlib.crc32(name + comment).to_bytes(4)
        return content[:33] + chunk + content[33:]
    if media_type == "image/jpeg":
        pieces = [comment[start : start + 65_533] for start in range(0, len(comment), 65_533)]
        segments = b"".join(b"\xff\xfe" + (len(piece) + 2).to_bytes(2) + piece for piece in pieces)
        return content[:2] + segments + content[2:]
    # WebP: an unknown chunk at the end, even in length, counted by the RIFF header.
    chunk = b"PADD" + len(comment).to_bytes(4, "little") + comment + b"\0" * (len(comment) % 2)
    return b"RIFF" + (len(content) - 8 + len(chunk)).to_bytes(4, "little") + content[8:] + chunk
