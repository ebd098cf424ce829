"""Everything a result link may lead to: the picture, nothing, a lie, a bomb, or a machine of ours.

The task is paid for by then. So each case says whether it is looked at again for free, or is over and charged
without an image, and that nobody else was called meanwhile.
"""

import asyncio
import gzip
import struct
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from uuid import uuid4

import pytest
import time_machine

from packshot.kernel.errors import BadAnswer, ProviderError
from packshot.providers import flux
from packshot.providers.contract import Account, AttemptRef, Delivery, ImageRequest, Pending, Ticket
from packshot.providers.flux import Flux
from packshot.providers.http import GuardedClient

COST = 48_000
MB = 1024 * 1024


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width_px: int, height_px: int) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width_px, height_px, 8, 0, 0, 0, 0))
    lines = zlib.compress(b"\0" * (1 + min(width_px, 64)) * min(height_px, 64))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


PNG = png(8, 8)
HTML = b"<!doctype html><html><body><script>alert(1)</script></body></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>'


async def nowhere(host: str, port: int) -> list[str]:
    raise OSError("no such name")


@pytest.fixture
def look(serving: Any, reply: Any) -> Callable[..., Any]:
    """One look at a finished task whose link answers so; `sample` is the link, else one at the same server.

    Returns what it comes to, and the server, which saw every call there was.
    """

    def looked(
        *pictures: Any, sample: str = "", resolve: Any = nowhere, deadline_s: float = 5.0
    ) -> tuple[Any, Any]:
        left = list(pictures)

        def answer(asked: Any) -> Any:
            if asked.path.startswith("/v1/get_result"):
                link = sample or f"http://{asked.headers['host']}/delivery/sample.png?sig=secret"
                return reply.of({"id": "t1", "status": "Ready", "result": {"sample": link}})
            assert "x-key" not in asked.headers
            picture = left.pop(0) if len(left) > 1 else left[0]
            return picture(asked) if callable(picture) else picture

        async def story() -> tuple[Any, Any]:
            async with serving(answer) as loopback:
                client = GuardedClient(loopback.url, hosts=Flux.hosts, resolve=resolve)
                adapter = Flux(Account("bfl-key-1", loopback.url, simulated=True), client)
                state = {
                    "id": "t1",
                    "polling_url": f"{loopback.url}/v1/get_result?id=t1",
                    "submitted_at": time.time() - 60,
                }
                try:
                    seen: Any = await adapter.collect(
                        Ticket(state, request_id="t1", cost=COST), AttemptRef(uuid4(), 1, deadline_s)
                    )
                except ProviderError as error:
                    seen = error
                await client.aclose()
                return seen, loopback

        return asyncio.run(story())

    return looked


def is_over(seen: object, kind: str) -> None:
    """Charged, and there is no image: the money is booked, not forgotten."""
    assert isinstance(seen, BadAnswer), seen
    assert (seen.kind, seen.charge, seen.cost, seen.request_id) == (kind, "charged", COST, "t1")


def is_looked_at_again(seen: object) -> None:
    assert isinstance(seen, Pending), seen


def test_the_picture_itself_is_delivered_byte_for_byte(look, reply):
    seen, loopback = look(reply(200, PNG))
    assert isinstance(seen, Delivery)
    assert [image.content for image in seen.images] == [PNG]
    assert seen.cost == COST
    assert [asked.path.partition("?")[0] for asked in loopback.asked] == [
        "/v1/get_result",
        "/delivery/sample.png",
    ]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_link_that_is_dead_twice_is_over_and_one_that_is_dead_once_is_not(look, reply, status):
    seen, loopback = look(reply(status, b"expired"))
    is_over(seen, "expired")
    assert len(loopback.asked) == 4, "asked twice for a link, and each tried once"
    seen, _ = look(reply(status, b"expired"), reply(200, PNG))
    assert isinstance(seen, Delivery)


@pytest.mark.parametrize("status", [400, 408, 416, 429, 500, 502, 503, 504, 529])
def test_a_store_in_trouble_is_looked_at_again(look, reply, status):
    seen, _ = look(reply(status, b"trouble", {"retry-after": "1"}))
    is_looked_at_again(seen)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}/inside",
        "http://[::1]:{port}/inside",
        "http://localhost:{port}/inside",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "https://example.com/elsewhere",
        "file:///etc/passwd",
        "gopher://127.0.0.1:{port}/_x",
        "/delivery/sample.png?again",
        "//127.0.0.1:{port}/inside",
        "",
    ],
)
def test_no_redirect_is_followed_wherever_it_leads_also_not_in_a_circle(look, reply, status, target):
    def redirect(asked: Any) -> Any:
        port = asked.headers["host"].partition(":")[2]
        return reply(status, b"", {"location": target.format(port=port)})

    seen, loopback = look(redirect)
    is_over(seen, "bad_answer")
    assert len(loopback.asked) == 2


@pytest.mark.parametrize(
    "sample",
    [
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
        "http://delivery.bfl.ai/x.png",
        "https://delivery.bfl.ai:8443/x.png",
        "https://delivery.bfl.ai.example.com/x.png",
        "https://bfl.ai/x.png",
        "https://someone@delivery.bfl.ai/x.png",
        "https://delivery.bfl.ai\\@127.0.0.1/x.png",
        "https://127.0.0.1/x.png",
        "https://2130706433/x.png",
        "https://[::ffff:127.0.0.1]/x.png",
        "data:image/png;base64,AAAA",
        "x.png",
        "",
    ],
)
def test_a_link_to_elsewhere_calls_nobody(look, reply, sample):
    asked = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    seen, loopback = look(reply(200, PNG), sample=sample or "none", resolve=resolve)
    is_over(seen, "bad_answer")
    assert (asked, len(loopback.asked)) == ([], 1)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::1"],
        ["169.254.169.254"],
        ["10.1.2.3"],
        ["100.64.0.1"],
        ["64:ff9b::7f00:1"],
        ["93.184.216.34", "127.0.0.1"],
        ["2002:7f00:1::"],
        ["::ffff:192.168.0.1"],
    ],
)
def test_a_delivery_host_that_leads_inside_is_not_called_however_often_it_is_looked_up(
    look, reply, addresses
):
    looked_up = []

    async def resolve(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return addresses

    seen, loopback = look(reply(200, PNG), sample="https://delivery-us1.bfl.ai/x.png?sig=1", resolve=resolve)
    is_over(seen, "bad_answer")
    assert looked_up == ["delivery-us1.bfl.ai"], "one look-up, whose answer is what is connected to"
    assert len(loopback.asked) == 1


def test_a_name_that_cannot_be_looked_up_just_now_is_looked_at_again(look, reply):
    seen, _ = look(reply(200, PNG), sample="https://delivery-us1.bfl.ai/x.png?sig=1")
    is_looked_at_again(seen)


# -- what is no picture ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        HTML,
        SVG,
        b"\xef\xbb\xbf" + SVG,
        b"GIF89a\x01\x00\x01\x00\x80\x00\x00",
        b"%PDF-1.7\n",
        b"BM" + bytes(60),
        b"PK\x03\x04",
        b"\x00\x00\x00\x1cftypavif",
        PNG[:8],
        PNG[:20],
        b"\xff\xd8\xff",
        b"RIFF\x10\x00\x00\x00WEBP",
        png(60_000, 60_000),
        png(0, 8),
    ],
    ids=[
        "nothing", "html", "svg", "svg behind a mark", "gif", "pdf", "bmp", "zip", "avif", "half a signature",
        "half a header", "a jpeg's first bytes", "half a webp", "pixel bomb", "no width",
    ],
)  # fmt: skip
@pytest.mark.parametrize("media_type", ["image/png", "text/html"])
def test_bytes_that_are_no_picture_of_ours_are_over_whatever_they_are_called(
    look, reply, content, media_type
):
    seen, _ = look(reply(200, content, {"content-type": media_type}))
    is_over(seen, "bad_answer")


def test_a_picture_that_is_something_else_as_well_is_kept_as_a_picture_only(look, reply):
    both = PNG + HTML
    seen, _ = look(reply(200, both, {"content-type": "text/html"}))
    assert isinstance(seen, Delivery)
    (image,) = seen.images
    assert (image.content, image.media_type) == (both, "image/png")


# -- too much, too little, too slow ---------------------------------------------------------------------


def test_two_gigabytes_that_are_announced_are_not_read(look, reply):
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {2 * 1024 * MB}\r\n\r\n".encode()
    seen, _ = look(reply(raw=head + PNG))
    is_over(seen, "bad_answer")


def test_an_endless_picture_ends_at_the_cap(look, reply, monkeypatch):
    monkeypatch.setattr(flux, "_IMAGE_BYTES", MB)
    piece = b"10000\r\n" + bytes(65_536) + b"\r\n"
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    seen, _ = look(reply(raw=head + piece * 40))
    is_over(seen, "bad_answer")


def test_a_squeezed_bomb_ends_at_the_cap(look, reply, monkeypatch):
    monkeypatch.setattr(flux, "_IMAGE_BYTES", MB)
    seen, _ = look(reply(200, gzip.compress(PNG + bytes(64 * MB), 1), {"content-encoding": "gzip"}))
    is_over(seen, "bad_answer")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n" + PNG,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\n" + PNG[:16],
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 20\r\n\r\n" + gzip.compress(PNG)[:20],
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nabcde",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
    ids=["hung up", "cut", "cut between chunks", "half squeezed", "not squeezed at all", "another protocol"],
)
def test_a_picture_that_does_not_come_whole_is_looked_at_again(look, reply, raw):
    seen, _ = look(reply(raw=raw))
    is_looked_at_again(seen)


def test_a_picture_that_does_not_come_in_time_gives_its_seat_back_and_is_looked_at_again(look, reply):
    async def late(asked: Any) -> Any:
        await asyncio.sleep(30)
        return reply(200, PNG)

    seen, _ = look(late, deadline_s=0.5)
    is_looked_at_again(seen)


def test_a_picture_that_falls_silent_is_tried_again_while_there_is_time(look, reply, monkeypatch):
    monkeypatch.setattr(flux, "_DOWNLOAD_DEADLINE_S", 0.3)

    async def silent(asked: Any) -> Any:
        await asyncio.sleep(30)
        return reply(200, PNG)

    seen, _ = look(silent, deadline_s=20.0)
    is_looked_at_again(seen)


def test_several_tries_fit_into_the_time_of_an_attempt():
    assert flux._DOWNLOAD_DEADLINE_S * 4 <= flux._DEADLINE_S


# -- the age of a task -------------------------------------------------------------------------------


@pytest.mark.parametrize("days_off", [-1, 0, 1])
@pytest.mark.parametrize(("age_s", "over"), [(2, False), (60, True)])
def test_whether_a_task_is_lost_is_told_by_the_providers_clock_however_wrong_ours_is(
    serving, reply, days_off, age_s, over
):
    taken_at = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def answer(asked: Any) -> Any:
        if asked.method == "POST":
            url = f"http://{asked.headers['host']}/v1/get_result?id=t1"
            taken = {"id": "t1", "polling_url": url, "cost": 3}
            return reply.of(taken, date=format_datetime(taken_at, usegmt=True))
        now = taken_at + timedelta(seconds=age_s)
        return reply.of({"status": "Task not found"}, 404, date=format_datetime(now, usegmt=True))

    async def story() -> Any:
        async with serving(answer) as loopback:
            adapter = Flux(Account("bfl-key-1", loopback.url, simulated=True), GuardedClient(loopback.url))
            request = ImageRequest("flux-2-pro", "A linen apron on a wooden table")
            ticket = await adapter.submit(request, AttemptRef(uuid4(), 1, 5.0))
            try:
                return await adapter.collect(ticket, AttemptRef(uuid4(), 1, 5.0))
            except ProviderError as error:
                return error

    with time_machine.travel(taken_at + timedelta(days=days_off), tick=True):
        seen = asyncio.run(story())
    assert isinstance(seen, BadAnswer if over else Pending), seen
