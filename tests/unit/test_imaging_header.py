"""The header check takes still PNG, JPEG and WebP within our limits, and nothing else, whatever the bytes."""

import struct
import zlib
from pathlib import Path

import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

from packshot.imaging.header import MAX_BYTES, BadImage, ImageHeader, has_alpha, read_header
from packshot.kernel.errors import PackshotError


def picture(width_px: int = 37, height_px: int = 21) -> pyvips.Image:
    place = pyvips.Image.xyz(width_px, height_px)
    return (place[0].bandjoin([place[1], place[0] + place[1]]) * 3).cast("uchar").copy(interpretation="srgb")


FORMATS = {
    "png": (".png", {}, "image/png"),
    "interlaced png": (".png", {"interlace": True}, "image/png"),
    "palette png": (".png", {"palette": True}, "image/png"),
    "jpeg": (".jpg", {}, "image/jpeg"),
    "progressive jpeg": (".jpg", {"interlace": True}, "image/jpeg"),
    "lossy webp": (".webp", {"keep": "none"}, "image/webp"),
    "lossless webp": (".webp", {"lossless": True, "keep": "none"}, "image/webp"),
    "extended webp": (".webp", {"keep": "all"}, "image/webp"),
}
SAMPLES = {
    name: picture().write_to_buffer(suffix, **options) for name, (suffix, options, _) in FORMATS.items()
}


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width_px: int, height_px: int, *extra: bytes) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + png_chunk(b"IDAT", zlib.compress(b"\0" * 4))


def jpeg(width_px: int, height_px: int, marker: int = 0xC0) -> bytes:
    frame = struct.pack(">BHHB", 8, height_px, width_px, 1) + b"\x01\x11\x00"
    return b"\xff\xd8\xff" + bytes([marker]) + struct.pack(">H", len(frame) + 2) + frame


def webp(kind: bytes, body: bytes) -> bytes:
    chunk = kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


def extended_webp(width_px: int, height_px: int, flags: int = 0) -> bytes:
    sizes = (width_px - 1).to_bytes(3, "little") + (height_px - 1).to_bytes(3, "little")
    return webp(b"VP8X", bytes([flags, 0, 0, 0]) + sizes)


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_tells_its_kind_and_size(name: str) -> None:
    assert read_header(SAMPLES[name]) == ImageHeader(FORMATS[name][2], 37, 21)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["png", "jpeg", "lossy webp", "lossless webp"])
@pytest.mark.parametrize("size", [(1, 1), (1, 900), (4001, 3)])
def test_sizes_agree_with_the_encoder(name: str, size: tuple[int, int]) -> None:
    suffix, options, _ = FORMATS[name]
    header = read_header(picture(*size).write_to_buffer(suffix, **options))
    assert (header.width_px, header.height_px) == size


def test_real_photos_are_read(shared: Path) -> None:
    photos = sorted((shared / "sample-photos").glob("*.png"))
    assert photos
    for photo in photos:
        content = photo.read_bytes()
        expected = pyvips.Image.new_from_buffer(content, "")
        assert read_header(content) == ImageHeader("image/png", expected.width, expected.height)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (png(30_000, 30_000), "longest side"),
        (png(2**31 - 1, 2**31 - 1), "longest side"),
        (png(16_385, 1), "longest side"),
        (png(10_000, 10_000), "64 megapixels"),
        (jpeg(16_000, 16_000), "64 megapixels"),
        (jpeg(65_535, 1), "longest side"),
        (extended_webp(2**24, 2**24), "longest side"),
        (extended_webp(9000, 9000), "64 megapixels"),
        (png(0, 5), "declares a size of 0"),
        (jpeg(5, 0), "5 x 0"),
        (webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a\0\0\0\0"), "0 x 0"),
        (SAMPLES["png"] + b"\0" * MAX_BYTES, "30 MiB"),
        (b"", "empty"),
    ],
)
def test_sizes_that_would_unfold_to_too_much_are_refused(content: bytes, says: str) -> None:
    with pytest.raises(BadImage, match=says):
        read_header(content)


def test_the_largest_allowed_sizes_pass() -> None:
    assert read_header(png(8000, 8000)).width_px == 8000
    assert read_header(png(16_384, 3906)).width_px == 16_384


@pytest.mark.parametrize(
    "content",
    [
        png(8, 8, png_chunk(b"acTL", struct.pack(">II", 2, 0))),
        png(8, 8, png_chunk(b"tEXt", b"a\0b"), png_chunk(b"acTL", struct.pack(">II", 1, 0))),
        extended_webp(8, 8, flags=0x02),
        extended_webp(8, 8, flags=0x12),
    ],
)
def test_moving_pictures_are_refused(content: bytes) -> None:
    with pytest.raises(BadImage, match="animated"):
        read_header(content)


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!doctype html><script>alert(1)</script>"


@pytest.mark.parametrize(
    "content",
    [
        SVG,
        b'<?xml version="1.0"?>' + SVG,
        HTML,
        b"\xef\xbb\xbf" + HTML,
        b"GIF89a/*" + struct.pack("<HH", 8, 8) + b"*/=1;alert(1)//",
        picture().write_to_buffer(".gif"),
        picture().write_to_buffer(".tif"),
        picture().write_to_buffer(".avif"),
        b"BM" + b"\0" * 60,
        b"%PDF-1.7 " + SAMPLES["jpeg"],
        b"PK\x03\x04" + SAMPLES["png"],
        HTML + SAMPLES["png"],
        b" " + SAMPLES["png"],
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"RIFF\x24\0\0\0WEBPANIM",
        b"\x89PNG",
        b"\xff\xd8",
        b"\0" * 5000,
    ],
    ids=range(18),
)
def test_anything_else_is_refused_whatever_it_pretends(content: bytes) -> None:
    with pytest.raises(BadImage):
        read_header(content)


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xC7, 0xCB, 0xCF])
def test_jpegs_that_no_browser_shows_are_refused(marker: int) -> None:
    with pytest.raises(BadImage, match="not supported"):
        read_header(jpeg(8, 8, marker))


@pytest.mark.parametrize("name", FORMATS)
def test_a_header_cut_anywhere_is_refused_or_complete(name: str) -> None:
    content = SAMPLES[name]
    whole = read_header(content)
    for length in range(len(content)):
        try:
            assert read_header(content[:length]) == whole
        except BadImage as refusal:
            assert str(refusal).endswith((".", ";"))


def test_a_refusal_is_an_expected_error() -> None:
    assert issubclass(BadImage, PackshotError)
    assert issubclass(BadImage, ValueError)


@settings(max_examples=2000, deadline=None)
@given(
    content=st.sampled_from(sorted(SAMPLES.values())),
    edits=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=12),
    keep=st.one_of(st.none(), st.integers(0, 400)),
    tail=st.binary(max_size=30),
)
def test_mutated_images_give_a_size_within_limits_or_a_refusal(
    content: bytes, edits: list[tuple[int, int]], keep: int | None, tail: bytes
) -> None:
    mutated = bytearray(content)
    for position, value in edits:
        mutated[position % len(mutated)] = value
    try:
        header = read_header(bytes(mutated[:keep]) + tail)
    except BadImage:
        return
    assert 0 < header.width_px * header.height_px <= 64_000_000
    assert max(header.width_px, header.height_px) <= 16_384


@settings(max_examples=500, deadline=None)
@given(
    start=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\xff\0\0\0WEBPVP8X"]),
    rest=st.binary(max_size=300),
)
def test_random_bytes_never_surprise(start: bytes, rest: bytes) -> None:
    try:
        read_header(start + rest)
    except BadImage:
        return


# -- transparency ---------------------------------------------------------------------------------

SEE_THROUGH = picture().bandjoin(128).copy(interpretation="srgb")


@pytest.mark.parametrize(("suffix", "options"), [(".png", {}), (".webp", {}), (".webp", {"lossless": True})])
def test_transparency_is_seen_in_the_header(suffix, options):
    assert has_alpha(SEE_THROUGH.write_to_buffer(suffix, **options))


def test_a_palette_with_transparent_entries_is_transparent():
    content = SEE_THROUGH.write_to_buffer(".png", palette=True)
    assert b"tRNS" in content
    assert has_alpha(content)


@pytest.mark.parametrize("name", FORMATS)
def test_an_opaque_picture_has_no_transparency(name):
    assert not has_alpha(SAMPLES[name])


@given(st.binary(max_size=200), st.sampled_from([*SAMPLES, None]), st.integers(0, 60))
def test_damaged_pictures_are_asked_without_harm(noise, name, kept):
    has_alpha((SAMPLES[name][:kept] if name else b"") + noise)
