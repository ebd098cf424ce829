"""What an image says it is, read from its first bytes alone: before any decoder meets it.

A 2.6 MB PNG can unfold to 2.7 GB of pixels. Its size stands in the header, so that refusing it costs
microseconds. Names and declared media types are the sender's claims and are never looked at.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from packshot.kernel.errors import PackshotError

MediaType = Literal["image/png", "image/webp", "image/jpeg"]

MAX_BYTES = 30 * 1024 * 1024
MAX_PIXELS = 64_000_000
MAX_SIDE_PX = 16_384

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Start-of-frame markers that libjpeg-turbo decodes: baseline, extended, progressive, and the two
# arithmetic ones. Lossless and hierarchical JPEGs are not images that a shop ever receives.
_JPEG_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_JPEG_OTHER_FRAMES = frozenset(range(0xC0, 0xD0)) - _JPEG_FRAMES - {0xC4, 0xC8, 0xCC}
_JPEG_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_WEBP_ANIMATION_FLAG = 0x02
_WEBP_ALPHA_FLAG = 0x10


class BadImage(PackshotError, ValueError):
    """These bytes are not one still PNG, JPEG or WebP image within our limits; the message says why."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What the bytes declare themselves to be; sizes in pixels, before any rotation by EXIF."""

    media_type: MediaType
    width_px: int
    height_px: int


def read_header(content: bytes) -> ImageHeader:
    """The format and size in pixels that `content` declares. Raises BadImage for anything we never decode."""
    if len(content) > MAX_BYTES:
        raise BadImage(f"The image has {len(content) / 2**20:.1f} MiB; the most is {MAX_BYTES // 2**20} MiB.")
    if not content:
        raise BadImage("The image is empty.")
    try:
        header = _sniff(content)
    except (struct.error, IndexError):
        raise BadImage("The image is cut off inside its header.") from None
    _refuse_sizes(header.width_px, header.height_px)
    return header


def has_alpha(content: bytes) -> bool:
    """Whether a picture that `read_header` takes declares transparency. Pixels are not looked at."""
    try:
        if content.startswith(_PNG_SIGNATURE):
            return content[25] in (4, 6) or b"tRNS" in _png_chunks_before_pixels(content)
        if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
            return _webp_has_alpha(content)
    except (struct.error, IndexError, BadImage):
        return False
    return False


def _sniff(content: bytes) -> ImageHeader:
    if content.startswith(_PNG_SIGNATURE):
        return ImageHeader("image/png", *_png_size(content))
    if content.startswith(b"\xff\xd8\xff"):
        return ImageHeader("image/jpeg", *_jpeg_size(content))
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return ImageHeader("image/webp", *_webp_size(content))
    raise BadImage("Not a PNG, JPEG or WebP image.")


def _refuse_sizes(width_px: int, height_px: int) -> None:
    size = f"{width_px:,} x {height_px:,} px"
    if not (width_px and height_px):
        raise BadImage(f"The image declares a size of {size}.")
    if max(width_px, height_px) > MAX_SIDE_PX:
        raise BadImage(f"The image is {size}; the longest side allowed is {MAX_SIDE_PX:,} px.")
    if width_px * height_px > MAX_PIXELS:
        raise BadImage(f"The image is {size}; the most is {MAX_PIXELS // 1_000_000} megapixels.")


def _png_size(content: bytes) -> tuple[int, int]:
    length, kind = struct.unpack_from(">I4s", content, 8)
    if (length, kind) != (13, b"IHDR"):
        raise BadImage("The PNG does not start with its header chunk.")
    (checksum,) = struct.unpack_from(">I", content, 29)
    if zlib.crc32(content[12:29]) != checksum:
        raise BadImage("The PNG's header does not match its checksum.")
    width_px, height_px = struct.unpack_from(">II", content, 16)
    for kind in _png_chunks_before_pixels(content):
        if kind == b"acTL":
            raise BadImage("The PNG is animated; one still image is needed.")
    return width_px, height_px


def _png_chunks_before_pixels(content: bytes) -> Iterator[bytes]:
    offset = 33
    while True:
        length, kind = struct.unpack_from(">I4s", content, offset)
        if kind == b"IDAT":
            return
        if kind == b"IEND":
            raise BadImage("The PNG holds no pixels.")
        yield kind
        offset += 12 + length


def _jpeg_size(content: bytes) -> tuple[int, int]:
    offset = 2
    while True:
        if content[offset] != 0xFF:
            raise BadImage("The JPEG's header is damaged.")
        while content[offset] == 0xFF:  # any number of fill bytes may stand before a marker
            offset += 1
        marker = content[offset]
        offset += 1
        if marker in _JPEG_STANDALONE:
            continue
        if marker in _JPEG_OTHER_FRAMES:
            raise BadImage("The JPEG is lossless or hierarchical, which is not supported.")
        if marker in (0x00, 0xD8, 0xD9, 0xDA):
            raise BadImage("The JPEG declares no size before its pixels.")
        (length,) = struct.unpack_from(">H", content, offset)
        if length < 2:
            raise BadImage("The JPEG's header is damaged.")
        if marker in _JPEG_FRAMES:
            # A height of 0 would be told by a later DNL marker, which decoders do not support.
            height_px, width_px = struct.unpack_from(">HH", content, offset + 3)
            return width_px, height_px
        offset += length


def _webp_has_alpha(content: bytes) -> bool:
    if content[12:16] == b"VP8X":
        return bool(content[20] & _WEBP_ALPHA_FLAG)
    if content[12:16] == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return bool(bits >> 28 & 1)
    return False


def _webp_size(content: bytes) -> tuple[int, int]:
    (riff_length,) = struct.unpack_from("<I", content, 4)
    if riff_length + 8 > len(content):
        raise BadImage("The WebP is cut off.")
    kind = content[12:16]
    if kind == b"VP8X":
        flags = content[20]
        if flags & _WEBP_ANIMATION_FLAG:
            raise BadImage("The WebP is animated; one still image is needed.")
        width_less_1, height_less_1 = content[24:27], content[27:30]
        if len(height_less_1) < 3:
            raise IndexError
        return int.from_bytes(width_less_1, "little") + 1, int.from_bytes(height_less_1, "little") + 1
    if kind == b"VP8L":
        signature, bits = struct.unpack_from("<BI", content, 20)
        if signature != 0x2F:
            raise BadImage("The WebP's header is damaged.")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        first, start_code, width, height = struct.unpack_from("<B2x3sHH", content, 20)
        if first & 1 or start_code != b"\x9d\x01\x2a":
            raise BadImage("The WebP's header is damaged.")
        # The two high bits of each are an upscaling hint, not part of the size.
        return width & 0x3FFF, height & 0x3FFF
    raise BadImage("The WebP holds no still image.")
