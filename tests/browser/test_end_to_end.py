"""The main job as a newcomer does it: `packshot up`, sign in, import, ask by the command line, watch it land.

Nothing is stood in for: the program's own database, workers, simulator and web process run as users run them.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


class Site:
    """`packshot up` in a folder of its own, and its command line."""

    def __init__(self, *, timer_scale: int = 5) -> None:
        self.data = Path(tempfile.mkdtemp(prefix="packshot-story-", dir="/var/tmp"))
        self.data.chmod(0o755)  # as root the database runs as another user, who must be able to pass
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "BLOB_URL")},
            "PACKSHOT_DATA": str(self.data),
            "PACKSHOT_PORT": str(self.port),
            "PACKSHOT_TIMER_SCALE": str(timer_scale),
            "COLUMNS": "120",
        }
        self.log = self.data / "up.log"
        with self.log.open("wb") as log:
            self.up = subprocess.Popen(
                [sys.executable, "-m", "packshot", "up"],
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def wait_until_up(self, within_s: float = 120) -> None:
        until = time.monotonic() + within_s
        while True:
            try:
                httpx.get(f"{self.url}/healthz", timeout=5).raise_for_status()
                return
            except httpx.HTTPError:
                assert self.up.poll() is None, self.log.read_text()
                assert time.monotonic() < until, self.log.read_text()
                time.sleep(0.2)

    def password(self) -> str:
        until = time.monotonic() + 30
        while True:
            found = re.search(r"Password\s+(\S+)", self.log.read_text())
            if found:
                return found[1]
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.1)

    def run(self, *arguments: str) -> str:
        """What the command line prints; it must end well."""
        done = subprocess.run(
            [sys.executable, "-m", "packshot", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, f"packshot {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def web_process(self) -> int:
        """The process that listens on the site's port, a child of `up`."""
        children = Path(f"/proc/{self.up.pid}/task/{self.up.pid}/children").read_text().split()
        for child in children:
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            if b"serve" in words or any(b"uvicorn" in word for word in words):
                return int(child)
        raise AssertionError(f"no web process among {children}")

    def end(self) -> None:
        self.up.send_signal(signal.SIGTERM)
        try:
            self.up.wait(60)
        finally:
            self.up.kill()
            shutil.rmtree(self.data, ignore_errors=True)


@pytest.fixture
def site() -> Iterator[Site]:
    running = Site()
    try:
        running.wait_until_up()
        yield running
    finally:
        running.end()


# How many the page showed as completed, noted at every change of the page.
COUNT_WHAT_LANDS = """
    window.landed = [];
    new MutationObserver(() => window.landed.push(
        document.querySelectorAll('tr[data-list="queue"][data-status="completed"]').length))
        .observe(document, {subtree: true, childList: true, attributes: true});
"""


def landed(page: Page) -> list[str]:
    """The generations that the page shows as completed, newest first."""
    rows = page.locator('tr[data-list="queue"][data-status="completed"]')
    return rows.evaluate_all("rows => rows.map(row => row.id)")


def test_a_newcomer_imports_asks_and_watches_every_image_land(site: Site, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(f"script: {error}"))
    page.on(
        "console",
        lambda message: trouble.append(message.text) if "Content Security Policy" in message.text else None,
    )
    page.add_init_script(
        "document.addEventListener('securitypolicyviolation',"
        " e => console.error('Content Security Policy: ' + e.violatedDirective))"
    )

    page.goto(site.url)
    page.get_by_label(re.compile("name", re.I)).first.fill("admin")
    page.locator("input[type=password]").fill(site.password())
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin")
    page.goto(site.url + "/admin/queue")
    page.evaluate("window.neverReloaded = true")
    expect(page.locator(".live[data-state=live]")).to_be_visible()
    page.evaluate(COUNT_WHAT_LANDS)

    skus = [product["sku"] for product in json.loads(site.run("products", "list", "--limit", "20", "--json"))]
    site.run("generate", "--sku", ",".join(skus[:10]), "--provider", "openai", "--yes")
    site.run("generate", "--sku", ",".join(skus[10:20]), "--provider", "flux", "--yes")
    until = time.monotonic() + 240
    while len(landed(page)) < 20:
        assert time.monotonic() < until, f"only {len(landed(page))} of 20 landed; {site.log.read_text()}"
        page.wait_for_timeout(100)
    # One after the other, not all at the end.
    counted = page.evaluate("window.landed")
    assert len(set(counted)) >= 3, counted
    overview = context.new_page()
    overview.goto(site.url + "/admin")
    tiles = overview.locator('li[data-list="images"] img')
    expect(tiles.first).to_be_visible()
    assert tiles.first.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    overview.close()
    assert page.evaluate("window.neverReloaded") is True

    # The web process is killed; what happens meanwhile is shown after the stream resumed, without a reload.
    before = set(landed(page))
    os.kill(site.web_process(), signal.SIGKILL)
    site.run("generate", "--sku", ",".join(skus[:5]), "--provider", "sandbox", "--yes", "--wait")
    site.wait_until_up()
    finished = json.loads(site.run("queue", "list", "--provider", "sandbox", "--limit", "50", "--json"))
    expected = {f"generation-{row['id']}" for row in finished if row["status"] == "completed"}
    assert len(expected) == 5
    for row in expected:
        expect(page.locator(f"#{row}[data-status=completed]")).to_be_attached(timeout=60_000)
    assert expected.isdisjoint(before)
    assert page.evaluate("window.neverReloaded") is True
    assert trouble == []
    context.close()
