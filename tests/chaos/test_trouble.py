"""No room on the disk, no object store, no patience: admission stops, and nothing paid for is lost."""

import http.server
import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.chaos.checker import check, unexplained
from tests.chaos.harness import Site, asked, is_alive, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

PRODUCTS = 12
IN_FLIGHT = 3
IMAGE_BYTES = 400_000


def ask(site: Site, provider: str) -> None:
    skus = asked(site, PRODUCTS, seats={provider: PRODUCTS})
    site.client.call("ask", provider=provider, key=f"in trouble, of {provider}", skus=skus)


def at_the_provider(site: Site) -> int:
    return int(site.value("SELECT count(*) FROM packshot_attempt WHERE sending_at IS NOT NULL"))


def assert_admission_stands(site: Site) -> None:
    """What was begun waits with its bytes in memory, and nothing is begun beside it."""
    wait_for(
        "images that wait for room",
        lambda: "wait in memory" in (site.folder / "logs" / "pay.log").read_text(),
        within_s=30,
    )

    def stands() -> bool:
        begun = at_the_provider(site)
        time.sleep(1.5)
        return at_the_provider(site) == begun

    wait_for("admission to stand", stands, within_s=10)
    assert at_the_provider(site) <= 2 * IN_FLIGHT, "it goes on paying for what it cannot keep"
    assert site.value("SELECT count(*) FROM packshot_generation WHERE status = 'failed'") == 0


def assert_all_kept(site: Site, **known: frozenset[object]) -> None:
    verdict = check(site.database(), site.bill, site.blob_url, **known)
    print(verdict)
    assert verdict.problems == (), unexplained(verdict)
    assert verdict.requests == PRODUCTS
    assert verdict.images == PRODUCTS - len(known.get("lost", ()))
    assert site.client.call("check") == []


@pytest.mark.parametrize("provider", ["openai", "flux"])
def test_a_full_disk_stops_admission_and_loses_nothing(provider):
    with Site(speed=8.0, timer_scale=10.0, image_bytes=IMAGE_BYTES) as site:
        worker = site.bear(in_flight=IN_FLIGHT)
        # As a quota or a full disk: the kernel refuses to let a file grow, in the middle of a write.
        _, hard = resource.prlimit(worker, resource.RLIMIT_FSIZE)
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (IMAGE_BYTES // 2, hard))
        ask(site, provider)
        assert_admission_stands(site)
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (hard, hard))
        wait_for("all at rest", site.at_rest, within_s=60)
        site.dismiss(worker)
        assert_all_kept(site)
        assert list((site.data / "blobs" / ".incoming").iterdir()) == [], "half-written files are left"


class Bucket:
    """An S3 endpoint of one bucket in memory, which can be down: 503 SlowDown to everything."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.down = True
        self.refused = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self._up():
                    outer.objects[self.path] = body
                    self._answer(200, b"", etag=str(len(body)))

            def do_GET(self) -> None:
                if self._up():
                    body = outer.objects.get(self.path)
                    self._answer(200 if body is not None else 404, body or b"", etag=str(len(body or b"")))

            do_HEAD = do_GET  # noqa: N815

            def do_DELETE(self) -> None:
                if self._up():
                    outer.objects.pop(self.path, None)
                    self._answer(204, b"", etag="0")

            def _up(self) -> bool:
                if outer.down:
                    outer.refused += 1
                    self._answer(503, b"<Error><Code>SlowDown</Code></Error>", etag="0")
                return not outer.down

            def _answer(self, status: int, body: bytes, *, etag: str) -> None:
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.send_header("etag", f'"{etag}"')
                self.send_header("last-modified", "Mon, 23 Nov 2026 10:00:00 GMT")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"s3://images?region=here&endpoint=http://127.0.0.1:{self.server.server_port}"

    @contextmanager
    def open(self) -> Iterator["Bucket"]:
        thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.server.shutdown()
            self.server.server_close()
            thread.join()


def test_an_object_store_that_is_down_stops_admission_and_loses_nothing_even_through_a_kill(monkeypatch):
    keys = {"AWS_ACCESS_KEY_ID": "here", "AWS_SECRET_ACCESS_KEY": "only"}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    with (
        Bucket().open() as bucket,
        Site(speed=8.0, timer_scale=10.0, settings={"BLOB_URL": bucket.url}) as site,
    ):
        worker = site.bear(in_flight=IN_FLIGHT)
        ask(site, "flux")
        assert_admission_stands(site)
        assert bucket.refused
        site.kill(worker)
        heir = site.bear(in_flight=IN_FLIGHT)
        time.sleep(2)  # it takes the tickets over, and finds the store down as well
        bucket.down = False
        wait_for("all at rest", site.at_rest, within_s=90)
        site.dismiss(heir)
        assert_all_kept(site)
        kept = bucket.objects.keys() - {"/images/probe"}
        assert len(kept) == PRODUCTS


def test_a_second_request_to_end_stops_at_once_and_what_was_on_its_way_is_uncertain():
    with Site(speed=0.1, timer_scale=10.0) as site:  # an image takes twenty seconds and more
        worker = site.bear(in_flight=IN_FLIGHT)
        ask(site, "openai")
        wait_for("calls on their way", lambda: at_the_provider(site) == IN_FLIGHT, within_s=30)
        process_id = site.process_id(worker)
        os.kill(worker, signal.SIGTERM)
        time.sleep(1.0)
        assert is_alive(worker), "it lets calls on their way end"
        began = time.monotonic()
        os.kill(worker, signal.SIGTERM)
        wait_for("its end", lambda: site.ended(worker) is not None, within_s=8)
        print(f"ended {time.monotonic() - began:.1f} s after the second request")
        fallen = site.left_by(process_id, at=time.time())
        assert len(fallen.sending) == IN_FLIGHT
        heir = site.bear(in_flight=PRODUCTS)
        wait_for("all at rest", site.at_rest, within_s=120)
        site.dismiss(heir)
        assert_all_kept(site, lost=fallen.sending)
        assert site.value("SELECT max(worker_deaths) FROM packshot_generation") == 0, (
            "nobody died of anything"
        )
