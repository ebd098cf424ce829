"""The child that decodes foreign images: three loaders, hard limits, nothing to steal.

Run by `renditions.Decoder`; speaks length-prefixed messages over stdin and stdout until stdin closes.
"""

import json
import math
import os
import resource
import struct
import sys
import zlib
from collections.abc import Sequence
from typing import IO, Any

import pyvips

from packshot.imaging.header import BadImage, read_header
from packshot.imaging.renditions import LARGEST_SIDE_PX, RenditionType, parse_spec

_LENGTHS = struct.Struct(">III")
_AFTER_IHDR = 33  # bytes: where the second chunk of a PNG begins
_LOADERS = ("VipsForeignLoadPng", "VipsForeignLoadJpeg", "VipsForeignLoadWebp")
_SAVE_OPTIONS: dict[RenditionType, tuple[str, dict[str, Any]]] = {
    # WebP's effort 4 costs three times effort 2 for 2 % fewer bytes, AVIF's seven times for 3 %.
    "image/webp": (".webp", {"Q": 80, "effort": 2}),
    "image/avif": (".avif", {"Q": 60, "effort": 2}),
    "image/jpeg": (".jpg", {"Q": 84, "optimize_coding": True}),
    "image/png": (".png", {"compression": 6}),
}
_FINE_Q = 95


def main() -> None:
    memory_bytes, image_s = int(sys.argv[1]), float(sys.argv[2])
    requests, answers = _private_pipes()
    _restrict(memory_bytes)
    while head := requests.read(_LENGTHS.size):
        order, xmp, content = (_exactly(requests, length) for length in _LENGTHS.unpack(head))
        _grant_cpu(image_s)
        try:
            report, blobs = _make(content, **json.loads(order), xmp=xmp)
        except BadImage as problem:
            report, blobs = {"bad": str(problem)}, []
        except pyvips.Error as problem:
            report, blobs = {"bad": f"The image cannot be decoded: {_reason(problem)}."}, []
        encoded = json.dumps(report).encode()
        for part in (len(encoded).to_bytes(4), encoded, *blobs):
            answers.write(part)
        answers.flush()


def _private_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Our ends of the pipes, out of reach of a library that prints."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return sys.stdin.buffer, answers


def _restrict(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):  # no dump, no file
        resource.setrlimit(kind, (0, 0))
    pyvips.cache_set_max(0)
    # `block_untrusted_set` alone still loads GIF (measured), so everything is blocked, then three allowed.
    pyvips.operation_block_set("VipsForeignLoad", True)
    for loader in _LOADERS:
        pyvips.operation_block_set(loader, False)


def _grant_cpu(image_s: float) -> None:
    """CPU time for one more image, counted from now: a loop in a decoder ends even if the parent is gone."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime + image_s) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (until, hard))


def _make(
    content: bytes, *, specs: Sequence[str], fit: dict[str, Any] | None, across: bool, fine: bool, xmp: bytes
) -> tuple[dict[str, Any], list[bytes]]:
    read_header(content)
    orders = [(spec, *parse_spec(spec)) for spec in specs]
    shown_px = _shown_size(content)
    report: list[dict[str, Any]] = []
    blobs = []
    # The file is decoded once, to the largest side asked for; smaller ones come from that.
    most = max((side for _, _, side in orders), default=1)
    # What is cut off must not make a copy smaller than it was asked for.
    enough = most if fit is None else 2 * most
    if across:
        enough = math.ceil(enough * max(1.0, shown_px[1] / shown_px[0]))
    largest = _decode(content, enough)
    if fit is not None:
        largest = _fitted(largest, **fit)
    for spec, media_type, side in orders:
        height = LARGEST_SIDE_PX if across else side
        picture = largest.thumbnail_image(side, height=height, size="down", no_rotate=True)
        encoded = _encode(picture, media_type, xmp, fine=fine)
        blobs.append(encoded)
        report.append(
            {
                "spec": spec,
                "media_type": media_type,
                "width_px": picture.width,
                "height_px": picture.height,
                "bytes": len(encoded),
            }
        )
    return {"width_px": shown_px[0], "height_px": shown_px[1], "renditions": report}, blobs


def _decode(content: bytes, side: int) -> pyvips.Image:
    """The whole image within `side` px, upright, 8-bit sRGB, without metadata; never enlarged."""
    declared = pyvips.Image.new_from_buffer(content, "", access="sequential")
    # thumbnail_buffer takes a `fail_on` and ignores it (libvips 8.18.7): the loader hears it this way only.
    options = {"height": side, "size": "down", "option_string": "[fail_on=error]"}
    if declared.interpretation == "cmyk" or declared.get_typeof("icc-profile-data"):
        # Ten times the price of decoding, and without effect where no profile says otherwise.
        options["export_profile"] = "srgb"
    picture = pyvips.Image.thumbnail_buffer(content, side, **options)
    if picture.interpretation != "srgb":
        picture = picture.colourspace("srgb")
    return _bare(picture.cast("uchar")).copy_memory()


def _fitted(picture: pyvips.Image, *, width: int, height: int, how: str) -> pyvips.Image:
    """`picture` in the shape width:height, its middle kept: cropped, or padded in the colour of its edge."""
    if how == "crop":
        across, down = min(picture.width, picture.height * width / height), 0.0
        down = across * height / width
    else:
        across = max(picture.width, picture.height * width / height)
        down = across * height / width
    size = max(1, round(across)), max(1, round(down))
    if size == (picture.width, picture.height):
        return picture
    if how == "crop":
        left, top = (picture.width - size[0]) // 2, (picture.height - size[1]) // 2
        return picture.crop(left, top, *size).copy_memory()
    return picture.gravity("centre", *size, extend="background", background=_edge(picture)).copy_memory()


def _edge(picture: pyvips.Image) -> list[float]:
    """The colour along the border: nothing, where the picture is transparent there."""
    strips = [
        picture.crop(0, 0, picture.width, 1),
        picture.crop(0, picture.height - 1, picture.width, 1),
        picture.crop(0, 0, 1, picture.height),
        picture.crop(picture.width - 1, 0, 1, picture.height),
    ]
    return [
        sum(strip[band].avg() * strip.width * strip.height for strip in strips)
        / sum(strip.width * strip.height for strip in strips)
        for band in range(picture.bands)
    ]


def _bare(picture: pyvips.Image) -> pyvips.Image:
    """`picture` without what its file said about itself: EXIF, XMP, ICC, comments."""
    picture = picture.copy()
    for field in picture.get_fields():
        if field.endswith("-data") or field.startswith(("exif-", "png-comment", "orientation")):
            picture.remove(field)
    return picture


def _shown_size(content: bytes) -> tuple[int, int]:
    """Width and height in pixels after the turn that a camera noted in EXIF."""
    declared = pyvips.Image.new_from_buffer(content, "", access="sequential")
    turned = declared.get_typeof("orientation") != 0 and declared.get("orientation") in (5, 6, 7, 8)
    return (declared.height, declared.width) if turned else (declared.width, declared.height)


def _encode(picture: pyvips.Image, media_type: RenditionType, xmp: bytes, *, fine: bool) -> bytes:
    suffix, options = _SAVE_OPTIONS[media_type]
    if fine and "Q" in options:
        options = options | {"Q": _FINE_Q}
    if media_type == "image/jpeg" and picture.hasalpha():
        picture = picture.flatten(background=[255, 255, 255])
    if media_type == "image/png":
        # libvips packs XMP into a zTXt chunk; the standard, and with it readers, ask for an open iTXt.
        encoded = _with_itxt(bytes(picture.write_to_buffer(suffix, keep="none", **options)), xmp)
    else:
        marked = picture.copy()
        marked.set_type(pyvips.GValue.blob_type, "xmp-data", xmp)
        encoded = bytes(marked.write_to_buffer(suffix, keep="xmp", **options))
    if xmp not in encoded:
        raise RuntimeError(f"{media_type} was written without its provenance")
    return encoded


def _with_itxt(png: bytes, xmp: bytes) -> bytes:
    body = b"iTXt" + b"XML:com.adobe.xmp\0\0\0\0\0" + xmp
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:_AFTER_IHDR] + chunk + png[_AFTER_IHDR:]


def _reason(problem: pyvips.Error) -> str:
    """libvips stacks its messages; the first line names the cause."""
    detail = str(problem.detail).strip().splitlines()
    return detail[0][:200] if detail else "unknown"


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    content = pipe.read(length)
    if len(content) != length:
        raise SystemExit(0)  # the parent is gone
    return content


if __name__ == "__main__":
    main()
