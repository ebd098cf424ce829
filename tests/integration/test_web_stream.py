"""The live stream over the wire, from the real web process."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from packshot import events
from packshot.asgi import THREADS
from packshot.events import Happening
from tests.browser import story
from tests.browser.server import Server

pytestmark = pytest.mark.django_db(transaction=True)

TOPICS = "/events?topics=activity,figures,images,providers"


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def visitor(server: Server) -> Iterator[httpx.Client]:
    """Somebody signed in, as a browser is."""
    if server.process is None:
        server.start()
    client = Client()
    client.force_login(story.person())
    cookies = {settings.SESSION_COOKIE_NAME: client.cookies[settings.SESSION_COOKIE_NAME].value}
    with httpx.Client(base_url=server.url, cookies=cookies, timeout=20) as visitor:
        yield visitor


def tell(*subjects: str) -> int:
    events.tell([Happening("generation", "told", subject) for subject in subjects])
    return events.newest_id()


def read_until(lines: Iterator[str], wanted: str, *, within_s: float = 15) -> list[str]:
    """The lines up to the one that begins with `wanted`."""
    deadline = time.monotonic() + within_s
    seen = []
    for line in lines:
        seen.append(line)
        if line.startswith(wanted):
            return seen
        assert time.monotonic() < deadline, f"{wanted} did not come, but {seen}"
    raise AssertionError(f"the stream ended before {wanted}, after {seen}")


def connections() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


def test_a_stream_begins_at_once_with_its_headers_and_tells_what_happens(visitor):
    with visitor.stream("GET", TOPICS) as stream:
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.headers["cache-control"] == "no-cache"
        assert stream.headers["x-accel-buffering"] == "no"
        assert "content-security-policy" in stream.headers
        assert "server" not in stream.headers
        lines = stream.iter_lines()
        assert next(lines) == ": hello"
        last = tell("one")
        read_until(lines, f"id: {last}")


def test_the_last_event_seen_is_where_it_goes_on(visitor):
    seen = tell("seen")
    last = tell("missed-1", "missed-2")
    with visitor.stream("GET", TOPICS, headers={"Last-Event-ID": str(seen)}) as stream:
        read_until(stream.iter_lines(), f"id: {last}")
    with visitor.stream("GET", f"{TOPICS}&after={seen}") as stream:
        read_until(stream.iter_lines(), f"id: {last}")
    for nonsense in ("", "-1", "1e9", "x" * 50, "9" * 40, "٣"):
        header = {"Last-Event-ID": nonsense.encode()}
        with visitor.stream("GET", f"{TOPICS}&after={last}", headers=header) as stream:
            assert next(stream.iter_lines()) == ": hello"


def test_many_open_streams_hold_neither_connections_nor_threads(visitor, server):
    process = psutil.Process(server.process.pid)
    visitor.get("/admin")
    with ExitStack() as open_streams:
        streams = [open_streams.enter_context(visitor.stream("GET", TOPICS)) for _ in range(60)]
        lines = [stream.iter_lines() for stream in streams]
        for each in lines:
            assert next(each) == ": hello"
        last = tell("one")
        for each in lines:
            read_until(each, f"id: {last}")
        assert connections() <= THREADS + 2
        # The pages' threads, the hub's, the loop's own and a few of the runtime's.
        assert process.num_threads() <= THREADS + 12
        with ThreadPoolExecutor(8) as pool:
            pages = list(pool.map(lambda _: visitor.get("/admin").status_code, range(24)))
        assert set(pages) == {200}
        assert connections() <= THREADS + 2


def test_whoever_does_not_read_keeps_nobody_waiting(visitor, server):
    place = urlsplit(server.url)
    cookie = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    with socket.create_connection((place.hostname, place.port)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(f"GET {TOPICS} HTTP/1.1\r\nHost: {place.netloc}\r\nCookie: {cookie}\r\n\r\n".encode())
        with visitor.stream("GET", TOPICS) as stream:
            lines = stream.iter_lines()
            next(lines)
            for number in range(12):
                last = tell(f"s{number}")
                read_until(lines, f"id: {last}")


def test_signing_out_ends_the_stream(visitor):
    with visitor.stream("GET", TOPICS) as stream:
        lines = stream.iter_lines()
        next(lines)
        page = visitor.get("/accounts/logout/").text
        token = page.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        out = visitor.post(
            "/accounts/logout/",
            data={"csrfmiddlewaretoken": token},
            headers={"Origin": str(visitor.base_url).rstrip("/")},
        )
        assert out.status_code == 302
        list(lines)
    assert visitor.get(TOPICS).status_code == 401


def test_a_stream_ends_promptly_when_the_server_is_told_to(visitor, server):
    with ExitStack() as open_streams:
        streams = [open_streams.enter_context(visitor.stream("GET", TOPICS)) for _ in range(5)]
        lines = [stream.iter_lines() for stream in streams]
        for each in lines:
            next(each)
        took = server.stop()
        for each in lines:
            list(each)  # it ends like any other answer, and not with a broken connection
    assert took < 15, "it waited for the streams"
    assert "Traceback" not in server.log.read_text()
