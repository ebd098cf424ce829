"""Masks that are drawn here: a PNG that says where a picture is to be changed, as a model reads it."""

import struct
import zlib
from dataclasses import dataclass
from typing import Literal

# How a mask marks what is to be changed: by white, the rest black; or by transparency, the rest opaque.
Marks = Literal["white", "transparent"]

_PIXELS: dict[Marks, tuple[bytes, bytes]] = {  # to be changed, to be kept; RGBA
    "white": (b"\xff\xff\xff\xff", b"\x00\x00\x00\xff"),
    "transparent": (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff"),
}


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, from the upper left corner."""

    left: int
    top: int
    width: int
    height: int


def rectangle(width_px: int, height_px: int, box: Box, marks: Marks) -> bytes:
    """A PNG of this size in which `box` is to be changed, and everything else is kept."""
    change, keep = _PIXELS[marks]
    inside = (
        keep * box.left + change * box.width + keep * (width_px - box.left - box.width)
        if box.height
        else keep * width_px
    )
    outside = keep * width_px
    packer = zlib.compressobj(6)
    # Row by row: the pixels of a large mask never stand in memory all at once.
    pixels = b"".join(
        packer.compress(b"\x00" + (inside if box.top <= row < box.top + box.height else outside))
        for row in range(height_px)
    )
    head = struct.pack(">IIBBBBB", width_px, height_px, 8, 6, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", pixels + packer.flush()), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
