"""Copies of an image that are safe to serve, made in a bounded child process.

A provider's bytes are hostile until they are decoded and encoded again, and a decoder that meets them may
crash, hang or eat the memory. So they are decoded in one child (`child.py`) with limits, no environment and
three loaders; what comes back is our own encoding: at most the size asked for, sRGB, without any metadata
but our provenance.

    with Decoder() as decoder:
        first = decoder.make(content, ["webp-320"], xmp=write_xmp(provenance))
"""

import json
import re
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import IO, Literal, cast

from packshot.imaging.bounded import (
    IMAGE_S,
    MEMORY_BYTES,
    RECYCLE_AFTER,
    BoundedChild,
    ChildDied,
    read_exactly,
)
from packshot.imaging.header import BadImage, read_header
from packshot.kernel.errors import PackshotError

RenditionType = Literal["image/webp", "image/avif", "image/jpeg", "image/png"]

FIRST = ("webp-320",)  # what a list shows the moment an image lands
NEXT = ("webp-96", "webp-1200")
LAZY = ("avif-1200",)  # a third smaller than WebP for several times the CPU: made when somebody asks

MEDIA_TYPES: dict[str, RenditionType] = {
    "webp": "image/webp",
    "avif": "image/avif",
    "jpeg": "image/jpeg",
    "png": "image/png",
}
LARGEST_SIDE_PX = 4096

_SPEC = re.compile(r"(webp|avif|jpeg|png)-([1-9]\d{0,3})")
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


class Decoder(BoundedChild):
    """The parent's end. Starts its child when first needed; threads may share it, one image at a time."""

    def __init__(
        self,
        *,
        image_s: float = IMAGE_S,
        memory_bytes: int = MEMORY_BYTES,
        recycle_after: int = RECYCLE_AFTER,
    ) -> None:
        super().__init__(
            "packshot.imaging.child", image_s=image_s, memory_bytes=memory_bytes, recycle_after=recycle_after
        )

    def make(
        self,
        content: bytes,
        specs: Sequence[str],
        *,
        xmp: bytes,
        fit: Fit | None = None,
        across: bool = False,
        fine: bool = False,
    ) -> Decoded:
        """The renditions of `content` named by `specs`, in their order, each carrying `xmp`, in the shape of
        `fit`. A spec's number is the longest side; `across`, the width. Nothing is distorted or enlarged.
        `fine`: for copies that others are made from, whose loss nobody is to see twice.

        Raises BadImage when these bytes are no image we take, DecoderDied when the child did not survive.
        """
        read_header(content)
        for spec in specs:
            parse_spec(spec)
        order: dict[str, object] = {
            "specs": list(specs),
            "fit": None if fit is None else asdict(fit),
            "across": across,
            "fine": fine,
        }
        try:
            return self.talk(lambda asks, answers: _ask(asks, answers, order, xmp, content))
        except ChildDied as how:
            raise DecoderDied(f"The image decoder {how}; the image is not shown.") from None


def _ask(
    asks: IO[bytes], answers: IO[bytes], order: dict[str, object], xmp: bytes, content: bytes
) -> Decoded:
    encoded = json.dumps(order).encode()
    asks.write(_LENGTHS.pack(len(encoded), len(xmp), len(content)))
    for part in (encoded, xmp, content):
        asks.write(part)
    asks.flush()
    report = json.loads(read_exactly(answers, int.from_bytes(read_exactly(answers, 4))))
    if "bad" in report:
        raise BadImage(report["bad"])
    renditions = [
        Rendition(
            spec=made["spec"],
            media_type=cast(RenditionType, made["media_type"]),
            width_px=made["width_px"],
            height_px=made["height_px"],
            content=read_exactly(answers, made["bytes"]),
        )
        for made in report["renditions"]
    ]
    return Decoded(report["width_px"], report["height_px"], renditions)
