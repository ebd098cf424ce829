"""Hostile bytes are decoded in a child that may die; what comes back is our own encoding and nothing else."""

import contextlib
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import pyvips
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packshot.imaging.header import BadImage
from packshot.imaging.provenance import Provenance, read_xmp, write_xmp
from packshot.imaging.renditions import Decoded, Decoder, DecoderDied, Fit, parse_spec

MADE_BY = Provenance("trainedAlgorithmicMedia", 'openai gpt-image-1 <"&">')
XMP = write_xmp(MADE_BY)


def picture(width_px: int = 300, height_px: int = 200) -> pyvips.Image:
    place = pyvips.Image.xyz(width_px, height_px)
    bands = (place[0] % 256).bandjoin([place[1] % 256, 128])
    return bands.cast("uchar").copy(interpretation="srgb")


def noise(side_px: int) -> bytes:
    """A picture that takes a while to decode and to encode."""
    grain = pyvips.Image.gaussnoise(side_px, side_px, mean=128, sigma=60, seed=1).cast("uchar")
    return bytes(
        grain.bandjoin([grain, grain]).copy(interpretation="srgb").write_to_buffer(".png", compression=1)
    )


def opened(content: bytes) -> pyvips.Image:
    return pyvips.Image.new_from_buffer(content, "")


def wait_until(true: Callable[[], bool], *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.005)


def cpu_s(pid: int) -> float:
    """CPU seconds that a process used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder() as one:
        yield one


def still_works(decoder: Decoder) -> bool:
    return decoder.make(picture().write_to_buffer(".png"), ["webp-96"], xmp=XMP).width_px == 300


# -- what is made ------------------------------------------------------------------------------


def test_renditions_come_in_the_order_and_sizes_asked_for(decoder: Decoder) -> None:
    content = picture(1600, 800).write_to_buffer(".png")
    made = decoder.make(content, ["webp-320", "avif-1200", "jpeg-96"], xmp=XMP)
    assert (made.width_px, made.height_px) == (1600, 800)
    assert [(one.spec, one.media_type, one.width_px, one.height_px) for one in made.renditions] == [
        ("webp-320", "image/webp", 320, 160),
        ("avif-1200", "image/avif", 1200, 600),
        ("jpeg-96", "image/jpeg", 96, 48),
    ]
    for one in made.renditions:
        shown = opened(one.content)
        assert (shown.width, shown.height) == (one.width_px, one.height_px)


def test_nothing_is_enlarged(decoder: Decoder) -> None:
    made = decoder.make(picture(50, 20).write_to_buffer(".png"), ["webp-96", "webp-1200"], xmp=XMP)
    assert {(one.width_px, one.height_px) for one in made.renditions} == {(50, 20)}


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_each_format_keeps_its_colours(decoder: Decoder, suffix: str) -> None:
    (one,) = decoder.make(picture().write_to_buffer(suffix, Q=95), ["webp-320"], xmp=XMP).renditions
    assert float((opened(one.content) - picture()).abs().avg()) < 4


def test_other_colour_spaces_become_srgb(decoder: Decoder) -> None:
    wanted = picture()
    variants = {
        "16 bit": (wanted.cast("ushort") * 257)
        .cast("ushort")
        .copy(interpretation="rgb16")
        .write_to_buffer(".png"),
        "Display P3": wanted.icc_transform("p3", input_profile="srgb").write_to_buffer(".png", profile="p3"),
        "CMYK": wanted.icc_transform("cmyk", input_profile="srgb").write_to_buffer(
            ".jpg", profile="cmyk", Q=95
        ),
    }
    for name, content in variants.items():
        (one,) = decoder.make(content, ["webp-320"], xmp=XMP).renditions
        shown = opened(one.content)
        assert (shown.interpretation, shown.bands) == ("srgb", 3), name
        # CMYK cannot hold every colour of the sample; a wrong conversion is off by far more.
        assert float((shown - wanted).abs().avg()) < 20, name


def test_transparency_stays_where_the_format_has_it(decoder: Decoder) -> None:
    content = picture().bandjoin(0).write_to_buffer(".png")
    webp, jpeg = decoder.make(content, ["webp-96", "jpeg-96"], xmp=XMP).renditions
    assert opened(webp.content).hasalpha()
    assert opened(jpeg.content).avg() == pytest.approx(255, abs=1)


def test_a_camera_s_turn_is_applied_and_its_notes_are_dropped(decoder: Decoder) -> None:
    turned = picture().copy()
    turned.set_type(pyvips.GValue.gint_type, "orientation", 6)
    turned.set_type(
        pyvips.GValue.gstr_type, "exif-ifd0-Artist", "Somebody (Somebody, ASCII, 9 components, 9 bytes)"
    )
    turned.set_type(pyvips.GValue.blob_type, "xmp-data", b"<x:xmpmeta>their words</x:xmpmeta>")
    turned.set_type(pyvips.GValue.blob_type, "iptc-data", b"\x1c\x02\x50\0\x08Somebody")
    made = decoder.make(
        turned.write_to_buffer(".jpg", keep="all"), ["webp-320", "avif-320", "jpeg-320"], xmp=XMP
    )
    assert (made.width_px, made.height_px) == (200, 300)
    for one in made.renditions:
        assert (one.width_px, one.height_px) == (200, 300)
        assert b"Somebody" not in one.content
        assert b"their words" not in one.content
        left = [field for field in opened(one.content).get_fields() if field.endswith("-data")]
        assert left in (["xmp-data"], ["exif-data", "xmp-data"], ["xmp-data", "exif-data"])


def test_what_hides_behind_an_image_is_gone(decoder: Decoder) -> None:
    for suffix in (".png", ".jpg", ".webp"):
        content = picture().write_to_buffer(suffix) + b"PK\x03\x04<script>alert(1)</script>"
        (one,) = decoder.make(content, ["webp-96"], xmp=XMP).renditions
        assert b"alert(1)" not in one.content


def test_real_photos_decode(decoder: Decoder, shared: Path) -> None:
    for photo in sorted((shared / "sample-photos").glob("*.png")):
        made = decoder.make(photo.read_bytes(), ["webp-320"], xmp=XMP)
        assert max(made.renditions[0].width_px, made.renditions[0].height_px) == 320


@pytest.mark.parametrize(
    "spec", ["", "webp", "webp-0", "webp-99999", "webp-8000", "gif-96", "svg-320", "webp-320\n"]
)
def test_a_rendition_nobody_knows_is_a_mistake_of_ours(decoder: Decoder, spec: str) -> None:
    with pytest.raises(ValueError, match="no rendition"):
        parse_spec(spec)
    with pytest.raises(ValueError, match="no rendition"):
        decoder.make(picture().write_to_buffer(".png"), [spec], xmp=XMP)


# -- provenance --------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["webp-320", "avif-320", "jpeg-320"])
def test_every_rendition_says_where_it_came_from(decoder: Decoder, spec: str, tmp_path: Path) -> None:
    (one,) = decoder.make(picture().write_to_buffer(".png"), [spec], xmp=XMP).renditions
    assert read_xmp(one.content) == MADE_BY
    assert opened(one.content).get("xmp-data") == XMP
    if shutil.which("exiftool"):
        path = tmp_path / f"image.{spec.partition('-')[0]}"
        path.write_bytes(one.content)
        told = subprocess.run(
            ["exiftool", "-n", "-s3", "-DigitalSourceType", "-CreatorTool", str(path)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split("\n")
        assert told[0] == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
        assert told[1] == MADE_BY.tool


@given(st.text(max_size=300), st.sampled_from(["algorithmicMedia", "compositeWithTrainedAlgorithmicMedia"]))
def test_any_tool_s_name_can_be_written_and_read(tool: str, source: str) -> None:
    read = read_xmp(b"...." + write_xmp(Provenance(source, tool)) + b"....")  # type: ignore[arg-type]
    assert read is not None
    assert read.source == source
    if tool.isprintable() and len(tool) <= 200:
        assert read.tool == tool


def test_an_image_without_our_words_tells_nothing() -> None:
    assert read_xmp(picture().write_to_buffer(".png")) is None
    assert read_xmp(b"<x:xmpmeta>") is None


# -- hostile bytes -----------------------------------------------------------------------------


def bomb(width_px: int, height_px: int, *, rows: int | None = None) -> bytes:
    """A small PNG that unfolds to black pixels; with fewer `rows` than it declares, to an error."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(9)
    row = bytes(1 + width_px * 3)
    pixels = b"".join(packer.compress(row) for _ in range(rows or height_px)) + packer.flush()
    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_a_bomb_is_refused_before_any_child_sees_it() -> None:
    with Decoder() as idle:
        content = bomb(30_000, 30_000, rows=100)
        with pytest.raises(BadImage, match="longest side"):
            idle.make(content, ["webp-320"], xmp=XMP)
        assert idle.pid is None


def test_the_largest_image_we_take_stays_within_bounds() -> None:
    content = bomb(8000, 8000)
    with Decoder() as fresh:
        made = fresh.make(content, ["webp-320"], xmp=XMP)
        assert (made.width_px, made.height_px) == (8000, 8000)
        assert fresh.pid is not None
        assert peak_mib(fresh.pid) < 700


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.99])
def test_an_image_cut_off_is_no_image(decoder: Decoder, suffix: str, share: float) -> None:
    content = noise(64) if suffix == ".png" else opened(noise(64)).write_to_buffer(suffix)
    with pytest.raises(BadImage):
        decoder.make(content[: int(len(content) * share)], ["webp-96"], xmp=XMP)
    assert still_works(decoder)


def test_other_formats_never_reach_a_loader(decoder: Decoder) -> None:
    for content in (
        picture().write_to_buffer(".gif"),
        picture().write_to_buffer(".tif"),
        picture().write_to_buffer(".avif"),
        b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        b"<!doctype html>",
    ):
        with pytest.raises(BadImage, match="Not a PNG"):
            decoder.make(content, ["webp-96"], xmp=XMP)


def test_the_child_itself_knows_three_loaders() -> None:
    program = """
import sys
sys.argv = ["child", str(2**30), "20"]
from packshot.imaging import child
import pyvips
suffixes = (".gif", ".tif", ".avif", ".png", ".jpg", ".webp")
samples = {suffix: pyvips.Image.black(9, 9).write_to_buffer(suffix) for suffix in suffixes}
samples[".svg"] = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
child._restrict(2**30)
for suffix, content in samples.items():
    try:
        pyvips.Image.new_from_buffer(content, "").avg()
        print(suffix)
    except pyvips.Error:
        pass
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(done.stdout.split()) == [".jpg", ".png", ".webp"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from([".png", ".jpg", ".webp"]),
    edits=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=10),
    keep=st.one_of(st.none(), st.integers(0, 2000)),
)
def test_mutated_images_decode_or_are_refused(
    decoder: Decoder, suffix: str, edits: list[tuple[int, int]], keep: int | None
) -> None:
    mutated = bytearray(picture(40, 30).write_to_buffer(suffix))
    for position, value in edits:
        mutated[position % len(mutated)] = value
    with contextlib.suppress(BadImage):
        assert isinstance(decoder.make(bytes(mutated[:keep]), ["webp-96"], xmp=XMP), Decoded)


# -- a child that dies -------------------------------------------------------------------------


@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV])
def test_a_crash_over_one_image_spares_the_next(with_signal: signal.Signals) -> None:
    content = noise(1500)
    with Decoder() as decoder:
        assert still_works(decoder)
        victim = decoder.pid
        assert victim is not None
        before = cpu_s(victim)
        outcome: list[object] = []

        def make() -> None:
            try:
                outcome.append(decoder.make(content, ["avif-1200", "avif-1199", "avif-1198"], xmp=XMP))
            except DecoderDied as problem:
                outcome.append(problem)

        thread = threading.Thread(target=make)
        thread.start()
        wait_until(lambda: cpu_s(victim) > before + 0.05)
        os.kill(victim, with_signal)
        thread.join()
        assert isinstance(outcome[0], DecoderDied), outcome
        assert ("killed" if with_signal == signal.SIGKILL else with_signal.name) in str(outcome[0])
        assert still_works(decoder)
        assert decoder.pid != victim


def test_a_child_that_died_while_idle_is_replaced_unseen() -> None:
    with Decoder() as decoder:
        assert still_works(decoder)
        idle = decoder.pid
        assert idle is not None
        os.kill(idle, signal.SIGKILL)
        wait_until(
            lambda: not Path(f"/proc/{idle}/maps").read_text() and len(os.listdir(f"/proc/{idle}/task")) == 1
        )
        assert still_works(decoder)


def test_an_image_that_takes_too_long_is_given_up() -> None:
    with Decoder(image_s=6) as decoder:
        assert still_works(decoder)
        assert decoder.pid is not None
        os.kill(decoder.pid, signal.SIGSTOP)
        with pytest.raises(DecoderDied, match="longer than 6 s"):
            decoder.make(picture().write_to_buffer(".png"), ["webp-96"], xmp=XMP)
        assert still_works(decoder)


def test_an_image_that_needs_too_much_memory_costs_only_itself() -> None:
    # Interlaced, so that the decoder needs all 147 MB of pixels at once.
    content = opened(bomb(7000, 7000)).write_to_buffer(".png", interlace=True, compression=1)
    with Decoder(memory_bytes=260 * 2**20) as decoder:
        assert still_works(decoder)
        with pytest.raises((BadImage, DecoderDied)):
            decoder.make(content, ["webp-320"], xmp=XMP)
        assert still_works(decoder)
    with Decoder() as decoder:
        assert decoder.make(content, ["webp-320"], xmp=XMP).width_px == 7000


def test_a_child_is_replaced_after_its_share_of_images() -> None:
    with Decoder(recycle_after=3) as decoder:
        seen = []
        for _ in range(7):
            assert still_works(decoder)
            seen.append(decoder.pid)
        assert [seen.count(pid) for pid in dict.fromkeys(seen)] == [3, 3, 1]


def test_threads_share_one_child() -> None:
    with Decoder() as decoder:
        results: list[bool] = []
        threads = [threading.Thread(target=lambda: results.append(still_works(decoder))) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [True] * 6


def test_a_closed_decoder_leaves_no_process() -> None:
    decoder = Decoder()
    assert still_works(decoder)
    pid = decoder.pid
    decoder.close()
    assert decoder.pid is None
    assert not Path(f"/proc/{pid}").exists()


def test_the_child_inherits_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a-secret")
    with Decoder() as decoder:
        assert still_works(decoder)
        assert b"sk-a-secret" not in Path(f"/proc/{decoder.pid}/environ").read_bytes()


# -- into the shape that was asked for -------------------------------------------------------------


def disc(width_px: int, height_px: int, *, alpha: bool = False) -> bytes:
    """A red disc in the middle of grey, or of nothing: distorted, it would be no disc."""
    place = pyvips.Image.xyz(width_px, height_px)
    away = ((place[0] - width_px / 2) ** 2 + (place[1] - height_px / 2) ** 2) ** 0.5
    inside = away < min(width_px, height_px) / 4
    bands = inside.ifthenelse([220, 30, 30], [200, 200, 200]).cast("uchar")
    if alpha:
        bands = bands.bandjoin(inside.ifthenelse(255, 0).cast("uchar"))
    return bytes(bands.copy(interpretation="srgb").write_to_buffer(".png"))


def extent(copy: pyvips.Image) -> tuple[int, int]:
    """Width and height of what is red in a copy."""
    red = (copy[0] > 180) & (copy[1] < 110)
    _, _, width, height = red.find_trim(threshold=0.5, background=[0])
    return width, height


@pytest.mark.parametrize("how", ["crop", "pad"])
@pytest.mark.parametrize("shape", [(1, 1), (4, 5), (16, 9), (3, 4), (1, 4), (4, 1), (1234, 1000)])
@pytest.mark.parametrize("size", [(600, 600), (640, 400), (400, 640)])
def test_copies_have_the_shape_that_was_asked_for_and_nothing_is_distorted(decoder, how, shape, size):
    made = decoder.make(disc(*size), ["webp-320"], xmp=XMP, fit=Fit(*shape, how)).renditions[0]
    assert max(made.width_px, made.height_px) <= 320
    wanted = shape[0] / shape[1]
    assert abs(made.width_px / made.height_px / wanted - 1) <= 1.2 / min(made.width_px, made.height_px)
    width, height = extent(opened(made.content))
    if how == "pad" or min(made.width_px, made.height_px) > 2 * min(width, height):
        assert abs(width - height) <= 3, f"the disc is {width} x {height}"


def test_what_is_padded_has_the_colour_of_its_edge_and_is_clear_where_that_is_clear(decoder):
    made = decoder.make(disc(400, 400), ["webp-320"], xmp=XMP, fit=Fit(2, 1, "pad")).renditions[0]
    assert [round(value) for value in opened(made.content)(2, 80)][:3] == pytest.approx([200] * 3, abs=4)
    clear = decoder.make(disc(400, 400, alpha=True), ["webp-320"], xmp=XMP, fit=Fit(2, 1, "pad")).renditions[
        0
    ]
    assert opened(clear.content)(2, 80)[3] == 0


def test_a_crop_loses_no_size_where_the_image_has_enough(decoder):
    made = decoder.make(disc(1600, 800), ["webp-320"], xmp=XMP, fit=Fit(1, 1, "crop")).renditions[0]
    assert (made.width_px, made.height_px) == (320, 320)


def test_without_a_wish_the_shape_stays(decoder):
    made = decoder.make(disc(640, 400), ["webp-320"], xmp=XMP).renditions[0]
    assert (made.width_px, made.height_px) == (320, 200)
