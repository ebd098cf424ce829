"""A browser (PACKSHOT_CHROMIUM, or one on the PATH), the real web process, a page that tells on itself."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

from packshot.accounts.models import User
from packshot.simulator import Control, SimulatorConfig, running
from tests.browser import story
from tests.browser.server import Server

ARGUMENTS = [
    "--no-sandbox",  # as root, as containers often are
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
]
# A page of a busy machine may take its time; who waits for what comes, waits no longer than that.
expect.set_options(timeout=20_000)
# Everything the policy refuses, from the first moment of each page of the tab.
WATCH = """
    window.refused = [];
    document.addEventListener("securitypolicyviolation", (e) =>
        refused.push(`${e.effectiveDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`));
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


def chromium() -> str:
    """Where Chromium is. Without one these tests are skipped, but not where everything has to run."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = os.environ.get("PACKSHOT_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found:
        return found
    reason = "no Chromium here: install one, or say where it is in PACKSHOT_CHROMIUM"
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(reason)
    pytest.skip(reason)


# One module long and not one session: Playwright keeps an event loop running in this thread meanwhile.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    where = chromium()
    allowed = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    with sync_playwright() as playwright:
        # The loop is Playwright's own; our calls to the database are as synchronous as ever.
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
        launched = playwright.chromium.launch(executable_path=where, headless=True, args=ARGUMENTS)
        yield launched
        launched.close()
    if allowed is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="module")
def running_server(django_db_setup: None) -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def server(running_server: Server, transactional_db: None) -> Server:
    """The web process on this test's data."""
    if running_server.process is None:
        running_server.start()
    return running_server


@dataclass
class Told:
    """What pages said that they should not have."""

    errors: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)


@pytest.fixture
def told() -> Told:
    return Told()


def refused_by(page: Page) -> list[str]:
    """What the policy refused on this page, also when the test left it in the middle of going elsewhere."""
    for _ in range(3):
        page.wait_for_load_state()
        with suppress(Error):
            return list(page.evaluate("window.refused ?? []"))
    raise AssertionError(f"{page.url} cannot be asked what it was refused")


@pytest.fixture
def context(browser: Browser, told: Told) -> Iterator[BrowserContext]:
    """A browser without history. At the end no page may have been refused anything or have complained."""
    made = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    made.add_init_script(WATCH)
    made.on("weberror", lambda error: told.errors.append(str(error.error)))
    made.on("dialog", lambda dialog: (told.dialogs.append(dialog.message), dialog.dismiss()))
    yield made
    refused = [each for page in made.pages for each in refused_by(page)]
    made.close()
    assert (refused, told.errors, told.dialogs) == ([], [], [])


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def admin(server: Server) -> User:
    return story.person("administrator", "ada")


@pytest.fixture
def sign_in(server: Server) -> Callable[..., Page]:
    def sign_in(page: Page, name: str = "ada", *, at: str = "/admin") -> Page:
        page.goto(server.url + at)
        page.fill("#id_login", name)
        page.fill("#id_password", story.PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url("**" + at)
        return page

    return sign_in


@pytest.fixture
def simulator() -> Iterator[Control]:
    """The simulator of the installation that the web process serves."""
    folder = Path(settings.DATA) / "simulator"
    with running(SimulatorConfig(folder, speed=1000.0, image="small")) as control:
        (folder / "url").write_text(control.address)
        yield control
    (folder / "url").unlink()


@pytest.fixture
def overview(page: Page, admin: User, sign_in: Callable[..., Page]) -> Page:
    """The Overview, open and live, in a tab that has not been loaded again since."""
    sign_in(page)
    live(page)
    page.evaluate("window.sameLoad = true")
    return page


def live(page: Page) -> None:
    """Wait until the stream is open."""
    page.wait_for_selector(".live[data-state=live]")


def same_load(page: Page) -> bool:
    return bool(page.evaluate("window.sameLoad === true"))
