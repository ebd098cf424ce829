"""Bombs, polyglots and mutated files: each is refused or comes out clean, and nobody is hurt."""

import io
import os
import random
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import pyvips

from packshot.blobs import open_store
from packshot.imaging import signing
from packshot.imaging.header import MAX_BYTES, BadImage, read_header
from packshot.imaging.provenance import Provenance, read_xmp, write_xmp
from packshot.imaging.renditions import Decoder, DecoderDied
from packshot.imaging.sealing import NotSealed, Sealer, has_manifest
from packshot.imaging.signing import Identity

MADE = Provenance("trainedAlgorithmicMedia", "a model")
XMP = write_xmp(MADE)
MARK = b"PACKSHOT-MUST-NOT-SURVIVE"  # what the attacker wants to be served
SIGNATURE = b"\x89PNG\r\n\x1a\n"
MEMORY_MIB = 900  # that a child may have used at its peak
PARENT_MIB = 150  # that we may grow by


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return signing.local(tmp_path_factory.mktemp("signing") / "signing.pem")


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(image_s=15) as one:
        yield one


@pytest.fixture(scope="module")
def sealer() -> Iterator[Sealer]:
    with Sealer(image_s=15) as one:
        yield one


def picture(width_px: int = 40, height_px: int = 30) -> pyvips.Image:
    place = pyvips.Image.xyz(width_px, height_px)
    return (place[0] % 256).bandjoin([place[1] % 256, 128]).cast("uchar").copy(interpretation="srgb")


def encoded(suffix: str, image: pyvips.Image | None = None, **options: object) -> bytes:
    return bytes((picture() if image is None else image).write_to_buffer(suffix, **options))


# -- by hand: PNG ------------------------------------------------------------------------------------


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width_px: int,
    height_px: int,
    *extra: bytes,
    rows: int | None = None,
    depth: int = 8,
    colour: int = 2,
    interlaced: bool = False,
) -> bytes:
    """Black pixels, a few KB for any number of them; fewer `rows` than declared end in an error."""
    bytes_a_pixel = {2: 3, 6: 4}[colour] * depth // 8
    packer, row = zlib.compressobj(9), bytes(1 + width_px * bytes_a_pixel)
    pixels = b"".join(packer.compress(row) for _ in range(height_px if rows is None else rows))
    header = struct.pack(">IIBBBBB", width_px, height_px, depth, colour, 0, 0, int(interlaced))
    body = b"".join(extra) + chunk(b"IDAT", pixels + packer.flush()) + chunk(b"IEND", b"")
    return SIGNATURE + chunk(b"IHDR", header) + body


def with_chunks(*extra: bytes) -> bytes:
    plain = encoded(".png")
    return plain[:33] + b"".join(extra) + plain[33:]


def unfolding(megabytes: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes)) + packer.flush()


def in_small_pieces() -> bytes:
    """A PNG whose pixels come in chunks of one byte."""
    plain = encoded(".png")
    start = plain.index(b"IDAT") - 4
    (length,) = struct.unpack_from(">I", plain, start)
    pixels = plain[start + 8 : start + 8 + length]
    pieces = b"".join(chunk(b"IDAT", pixels[at : at + 1]) for at in range(len(pixels)))
    return plain[:start] + pieces + plain[start + 12 + length :]


# -- by hand: JPEG and WebP --------------------------------------------------------------------------


def segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def jpeg_frame(width_px: int, height_px: int, marker: int = 0xC0) -> bytes:
    frame = struct.pack(">BHHB", 8, height_px, width_px, 1) + b"\x01\x11\x00"
    return b"\xff\xd8\xff\xe0\x00\x04ab" + segment(marker, frame)


def jpeg_with(*segments: bytes) -> bytes:
    plain = encoded(".jpg")
    return plain[:2] + b"".join(segments) + plain[2:]


def many_scans() -> bytes:
    """A progressive JPEG whose last scan comes four thousand times: each is a pass over the whole picture."""
    plain = encoded(".jpg", picture(2000, 2000), interlace=True)
    last = plain.rindex(b"\xff\xda")
    return plain[:last] + plain[last:-2] * 4000 + b"\xff\xd9"


def looping_exif() -> bytes:
    """EXIF whose directory points at itself."""
    tiff = b"MM\x00*\x00\x00\x00\x08" + struct.pack(">H", 1)
    tiff += struct.pack(">HHII", 0x8769, 4, 1, 8) + struct.pack(">I", 8)
    return segment(0xE1, b"Exif\0\0" + tiff)


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(
        kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
        for kind, content in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def extended(width_px: int, height_px: int, flags: int = 0) -> tuple[bytes, bytes]:
    sizes = (width_px - 1).to_bytes(3, "little") + (height_px - 1).to_bytes(3, "little")
    return b"VP8X", bytes([flags, 0, 0, 0]) + sizes


def frame_of(content: bytes) -> tuple[bytes, bytes]:
    (length,) = struct.unpack_from("<I", content, 16)
    return content[12:16], content[20 : 20 + length]


# -- by hand: two things at once ---------------------------------------------------------------------


def zipped() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("shell.php", MARK)
    return held.getvalue()


def nested_boxes(depth: int) -> bytes:
    box = b""
    for _ in range(depth):
        box = struct.pack(">I", len(box) + 8) + b"jumb" + box
    return box + b"c2pa"


SCRIPT = b"<script>/*" + MARK + b"*/alert(1)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">' + SCRIPT + b"</svg>"
PLAIN_WEBP = encoded(".webp", keep="none")

# By name: the bytes, and whether they must be refused; else they may become a clean copy.
HOSTILE: dict[str, tuple[Callable[[], bytes], bool]] = {
    "png, 900 megapixels": (lambda: png(30_000, 30_000, rows=50), True),
    "png, 268 megapixels": (lambda: png(16_384, 16_384, rows=50), True),
    "png, the largest size there is": (
        lambda: SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)),
        True,
    ),
    "png of no size": (lambda: png(0, 0, rows=0), True),
    "png, most rows missing": (lambda: png(8000, 8000, rows=4), True),
    "png, 16 bits and alpha": (lambda: png(7900, 8000, depth=16, colour=6, rows=8000), False),
    "png, interlaced": (
        lambda: encoded(
            ".png", pyvips.Image.black(6000, 6000, bands=3).copy(interpretation="srgb"), interlace=True
        ),
        False,
    ),
    "png, 300 MB of text": (lambda: with_chunks(chunk(b"zTXt", b"a\0\0" + unfolding(300))), False),
    "png, 300 MB of profile": (lambda: with_chunks(chunk(b"iCCP", b"a\0\0" + unfolding(300))), False),
    "png, 300 MB of XMP": (
        lambda: with_chunks(chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + unfolding(300))),
        False,
    ),
    "png, 200,000 chunks": (lambda: with_chunks(*[chunk(b"tEXt", b"a\0b")] * 200_000), False),
    "png, pixels byte by byte": (lambda: in_small_pieces(), False),
    "png, animated": (lambda: with_chunks(chunk(b"acTL", struct.pack(">II", 9**9, 0))), True),
    "png, a chunk of 4 GB": (lambda: encoded(".png")[:33] + b"\xff\xff\xff\xfftEXtab", True),
    "png, a chunk before its header": (
        lambda: SIGNATURE + chunk(b"tEXt", b"a\0b") + encoded(".png")[8:],
        True,
    ),
    "png and 30 MiB more": (lambda: encoded(".png") + bytes(MAX_BYTES), True),
    "jpeg, 256 megapixels": (lambda: jpeg_frame(16_000, 16_000), True),
    "jpeg, a line of 65,535": (lambda: jpeg_frame(65_535, 1), True),
    "jpeg, lossless": (lambda: jpeg_frame(100, 100, 0xC3), True),
    "jpeg, its height told later": (lambda: jpeg_frame(100, 0), True),
    "jpeg, 4,000 scans": (lambda: many_scans(), False),
    "jpeg, 16 MB of notes": (lambda: jpeg_with(*[segment(0xE1, MARK + bytes(65_000))] * 250), False),
    "jpeg, EXIF in a circle": (lambda: jpeg_with(looping_exif()), False),
    "webp, 281 terapixels": (lambda: webp(extended(2**24, 2**24), frame_of(PLAIN_WEBP)), True),
    "webp, animated": (lambda: webp(extended(9, 9, 0x02), (b"ANIM", bytes(6))), True),
    "webp, a frame larger than its canvas": (
        lambda: webp(extended(16, 16), frame_of(encoded(".webp", picture(3000, 3000), keep="none"))),
        False,
    ),
    "webp, longer than it is": (lambda: b"RIFF\xff\xff\xff\x7f" + PLAIN_WEBP[8:], True),
    "webp of nothing": (lambda: webp(extended(9, 9)), True),
    "a manifest of 20,000 boxes": (lambda: with_chunks(chunk(b"caBX", nested_boxes(20_000))), False),
    "a manifest of noise": (
        lambda: with_chunks(chunk(b"caBX", b"jumbc2pa" + random.Random(1).randbytes(2**20))),
        False,
    ),
    "svg": (lambda: SVG, True),
    "svg behind a mark": (lambda: b"\xef\xbb\xbf<?xml version='1.0'?>" + SVG, True),
    "svg behind a png's signature": (lambda: SIGNATURE + SVG, True),
    "svg with entities": (lambda: b'<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>' + SVG, True),
    "html": (lambda: b"<!doctype html>" + SCRIPT, True),
    "gif and a script": (lambda: b"GIF89a/*" + encoded(".gif")[8:] + b"*/=1;" + MARK, True),
    "gif": (lambda: encoded(".gif"), True),
    "tiff": (lambda: encoded(".tif"), True),
    "avif": (lambda: encoded(".avif"), True),
    "bmp": (
        lambda: b"BM" + struct.pack("<IIIIIIHHIIIIII", 66, 0, 54, 40, 2, 2, 1, 24, 0, 12, 0, 0, 0, 0),
        True,
    ),
    "pdf around a jpeg": (lambda: b"%PDF-1.7\n1 0 obj<<>>stream\n" + encoded(".jpg") + b"\nendstream", True),
    "postscript": (lambda: b"%!PS\n(" + MARK + b") run", True),
    "what ImageMagick would run": (lambda: b"push graphic-context\nimage over 0,0 0,0 'https://x'", True),
    "zip before a png": (lambda: zipped() + encoded(".png"), True),
    "zip behind a png": (lambda: encoded(".png") + zipped(), False),
    "html behind a webp": (lambda: PLAIN_WEBP + b"<!doctype html>" + SCRIPT, False),
    "html behind a jpeg": (lambda: encoded(".jpg") + SCRIPT, False),
    "a script in a png's text": (lambda: with_chunks(chunk(b"tEXt", b"Comment\0" + SCRIPT)), False),
    "php in a jpeg's comment": (lambda: jpeg_with(segment(0xFE, b"<?php /*" + MARK + b"*/ ?>")), False),
    "a script as a webp's profile": (
        lambda: webp(extended(40, 30, 0x20), (b"ICCP", SCRIPT), frame_of(PLAIN_WEBP)),
        False,
    ),
}


def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) >= 30
    assert sum(refused for _, refused in HOSTILE.values()) >= 25


@pytest.mark.parametrize("name", HOSTILE)
def test_what_was_made_to_hurt_is_refused_or_comes_out_clean(
    decoder: Decoder,
    sealer: Sealer,
    identity: Identity,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    make, must_be_refused = HOSTILE[name]
    content = make()
    store = open_store(f"file://{tmp_path}/store")
    monkeypatch.chdir(tmp_path)
    before = set(os.listdir(tempfile.gettempdir()))
    was_refused = False
    try:
        for copy in decoder.make(content, ["webp-96", "png-96"], xmp=XMP).renditions:
            sealed = sealer.seal(copy.content, copy.media_type, MADE, identity, original=content)
            assert MARK not in sealed and b"<script" not in sealed and b"PK\x03\x04" not in sealed
            assert read_xmp(sealed) == MADE
            assert read_header(sealed).media_type == copy.media_type
            store.put(sealed)
    except BadImage as problem:
        was_refused = True
        assert 10 < len(str(problem)) < 400
    except DecoderDied:
        assert not must_be_refused  # it met a decoder, which is what the header check is there to prevent
    if must_be_refused:
        assert was_refused
    for child in (decoder.pid, sealer.pid):
        if child is not None and psutil.pid_exists(child):
            assert peak_mib(child) < MEMORY_MIB
    # Nothing was written but blobs under their hashes.
    assert set(os.listdir(tmp_path)) <= {"store"}
    strange = {each for each in set(os.listdir(tempfile.gettempdir())) - before if "vips" in each}
    assert strange == set()
    assert decoder.make(encoded(".png"), ["webp-96"], xmp=XMP).width_px == 40


def peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def test_a_place_and_a_camera_in_a_photo_do_not_reach_the_public(
    decoder: Decoder, sealer: Sealer, identity: Identity
) -> None:
    gps = struct.pack(">HHI4s", 1, 2, 2, b"N\0\0\0") + struct.pack(">HHII", 2, 5, 3, 80)
    tiff = b"MM\x00*\x00\x00\x00\x08" + struct.pack(">H", 2)
    tiff += struct.pack(">HHII", 0x010F, 2, len(MARK) + 1, 120) + struct.pack(">HHII", 0x8825, 4, 1, 40)
    tiff = tiff.ljust(40, b"\0") + struct.pack(">H", 2) + gps + bytes(4)
    tiff = tiff.ljust(120, b"\0") + MARK + b"\0"
    photo = jpeg_with(segment(0xE1, b"Exif\0\0" + tiff), segment(0xED, b"Photoshop 3.0\0" + MARK))
    assert "exif-ifd0-Make" in pyvips.Image.new_from_buffer(photo, "").get_fields()
    specs = ["webp-96", "avif-96", "jpeg-96", "png-96"]
    for copy in decoder.make(photo, specs, xmp=XMP).renditions:
        for source in (MADE, Provenance(None, "upload")):
            sealed = sealer.seal(copy.content, copy.media_type, source, identity, original=photo)
            assert MARK not in sealed and b"Exif\0\0" not in sealed
            fields = pyvips.Image.new_from_buffer(sealed, "").get_fields()
            assert not [each for each in fields if each.startswith(("exif-", "iptc-", "icc-"))]


# -- by chance ---------------------------------------------------------------------------------------


def seeds(sealer: Sealer, identity: Identity) -> list[bytes]:
    """Small files with something in every corner: metadata, profiles, alpha, scans, manifests."""
    plain = picture()
    marked = plain.copy()
    marked.set_type(pyvips.GValue.blob_type, "xmp-data", XMP)
    alpha = plain.bandjoin(plain[0])
    found = [
        encoded(".png"), encoded(".png", interlace=True), encoded(".png", alpha),
        encoded(".png", palette=True),
        encoded(".png", plain.cast("ushort") * 256), encoded(".png", marked, keep="all"),
        encoded(".jpg"), encoded(".jpg", interlace=True), encoded(".jpg", marked, keep="all"),
        encoded(".jpg", plain.colourspace("cmyk")), jpeg_with(looping_exif()),
        encoded(".webp"), encoded(".webp", alpha), encoded(".webp", lossless=True),
        encoded(".webp", marked, keep="all"),
    ]  # fmt: skip
    signed = [
        sealer.seal(each, read_header(each).media_type, MADE, identity) for each in (found[0], found[6])
    ]
    return [*found, *signed, *signed]


def mutated(chance: random.Random, among: list[bytes]) -> bytes:
    content = bytearray(chance.choice(among))
    for _ in range(chance.choice([1, 1, 2, 3, 8, 30])):
        at = chance.randrange(len(content))
        match chance.randrange(7):
            case 0:
                content[at] ^= 1 << chance.randrange(8)
            case 1:
                content[at] = chance.choice([0, 1, 0x7F, 0x80, 0xFE, 0xFF])
            case 2:  # a length, a size, an offset
                content[at : at + 4] = struct.pack(">I", chance.choice([0, 1, 2**16, 2**31 - 1, 2**32 - 1]))
            case 3:
                del content[at : at + chance.randrange(1, 64)]
            case 4:
                content[at:at] = chance.randbytes(chance.randrange(1, 64))
            case 5:
                content[at:at] = content[at : at + chance.randrange(1, 256)]
            case 6:
                other = chance.choice(among)
                content[at:] = other[chance.randrange(len(other)) :]
        if not content:
            return b""
    return bytes(content)


def throw(count: int, decoder: Decoder, sealer: Sealer, identity: Identity, folder: Path) -> dict[str, int]:
    """What became of `count` mutated files; a failure names the number that makes its file again."""
    store = open_store(f"file://{folder}/store")
    outcomes = {"refused by the header": 0, "refused": 0, "clean": 0, "died": 0, "not signed": 0}
    grown = psutil.Process().memory_info().rss
    among = seeds(sealer, identity)
    for number in range(count):
        content = mutated(random.Random(number), among)
        try:
            read_header(content)
        except BadImage:
            outcomes["refused by the header"] += 1
            continue
        try:
            (copy,) = decoder.make(content, ["webp-96"], xmp=XMP).renditions
            if has_manifest(content) or number % 50 == 0:
                store.put(sealer.seal(copy.content, copy.media_type, MADE, identity, original=content))
            assert read_xmp(copy.content) == MADE, number
            outcomes["clean"] += 1
        except BadImage:
            outcomes["refused"] += 1
        except DecoderDied:
            outcomes["died"] += 1
        except NotSealed:
            outcomes["not signed"] += 1
        for child in (decoder.pid, sealer.pid):
            assert child is None or peak_mib(child) < MEMORY_MIB, number
    assert (psutil.Process().memory_info().rss - grown) / 2**20 < PARENT_MIB
    assert set(os.listdir(folder)) <= {"store"}
    # Whatever was thrown at them, both still do their work.
    (copy,) = decoder.make(encoded(".png"), ["webp-96"], xmp=XMP).renditions
    assert sealer.seal(copy.content, copy.media_type, MADE, identity)
    return outcomes


def test_files_changed_by_chance_hurt_nobody(
    decoder: Decoder, sealer: Sealer, identity: Identity, tmp_path: Path
) -> None:
    outcomes = throw(600, decoder, sealer, identity, tmp_path)
    assert min(outcomes["refused by the header"], outcomes["refused"], outcomes["clean"]) > 20, outcomes
    assert outcomes["died"] == outcomes["not signed"] == 0, outcomes


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_twenty_thousand_files_changed_by_chance_hurt_nobody(
    decoder: Decoder, sealer: Sealer, identity: Identity, tmp_path: Path
) -> None:
    outcomes = throw(20_000, decoder, sealer, identity, tmp_path)
    print(outcomes)
    assert outcomes["clean"] > 1_000, outcomes
    assert outcomes["died"] + outcomes["not signed"] <= 5, outcomes  # a child each, and nobody noticed
