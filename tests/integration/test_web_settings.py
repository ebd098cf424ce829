"""Settings in the browser: people and their passwords, providers and money, the site, one's own desk."""

import html
import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from packshot import ledger, preferences
from packshot.accounts.models import AuditEntry, User
from packshot.kernel.money import micros
from tests import build
from tests.browser import story
from tests.integration.test_rights import PAGE
from tests.integration.test_web_templates import breaches

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
SETTINGS = "/admin/settings"


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(story.person("administrator", "ada"))
    return client


@pytest.fixture
def bo() -> User:
    return story.person("editor", "bo")


def words(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def password_in(page: str) -> str:
    found = re.search(r'<code id="password">([^<]+)</code>', page)
    assert found is not None
    return html.unescape(found[1])


def do(client: Client, address: str, what: str, *, htmx: bool = False, **more: str) -> object:
    return client.post(address, {"do": what} | more, headers=HTMX if htmx else PAGE)


# -- people --------------------------------------------------------------------------------------------


def test_a_person_is_added_and_signs_in_with_the_password_that_is_shown_once(admin, client):
    answer = admin.post(f"{SETTINGS}/people", {"name": "cy", "role": "reviewer"}, headers=PAGE)
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    password = password_in(answer.text)
    assert password not in admin.get(f"{SETTINGS}/people").text
    assert client.login(username="cy", password=password)
    assert User.objects.get(username="cy").role == "reviewer"
    assert AuditEntry.objects.filter(action="create person", subject="cy", actor_name="ada").exists()


@pytest.mark.parametrize(
    ("name", "role", "said"),
    [
        ("ada", "editor", "there is a person"),
        ("a b", "editor", "cannot be a name"),
        ("", "editor", "cannot be a name"),
        ("cy", "emperor", "a role is one of"),
    ],
)
def test_what_cannot_be_added_is_told_in_the_form(admin, name, role, said):
    answer = admin.post(f"{SETTINGS}/people", {"name": name, "role": role}, headers=PAGE)
    assert answer.status_code == 422
    assert said in words(answer.text)
    assert User.objects.count() == 1


def test_a_role_is_changed_and_changed_back(admin, bo):
    address = f"{SETTINGS}/people/{bo.id}"
    answer = do(admin, address, "role", htmx=True, role="publisher")
    assert "Role changed" in answer.text
    assert '<hx-partial hx-target="#page" hx-swap="outerMorph">' in answer.text
    assert User.objects.get(pk=bo.pk).role == "publisher"
    undo = re.search(r'data-undo hx-post="([^"]+)" hx-vals="([^"]+)"', answer.text)
    assert undo is not None
    assert html.unescape(undo[2]) == '{"do": "role", "role": "editor"}'
    do(admin, undo[1], "role", htmx=True, role="editor")
    assert User.objects.get(pk=bo.pk).role == "editor"


def test_somebody_shut_out_is_out_at_once_and_can_come_back(admin, bo):
    theirs = Client()
    theirs.force_login(bo)
    address = f"{SETTINGS}/people/{bo.id}"
    answer = do(admin, address, "disable")
    assert answer.status_code == 303
    assert "Account disabled" in admin.get(address).text
    assert theirs.get("/admin", headers=PAGE).status_code == 302
    do(admin, address, "enable")
    assert theirs.get("/admin", headers=PAGE).status_code == 200


def test_a_new_password_is_shown_once_and_ends_the_old_sessions(admin, bo, client):
    theirs = Client()
    theirs.force_login(bo)
    password = password_in(do(admin, f"{SETTINGS}/people/{bo.id}", "password").text)
    assert theirs.get("/admin", headers=PAGE).status_code == 302
    assert client.login(username="bo", password=password)
    assert not client.login(username="bo", password=story.PASSWORD)


def test_nobody_changes_their_own_row_and_the_last_administrator_stays(admin):
    ada = User.objects.get(username="ada")
    address = f"{SETTINGS}/people/{ada.id}"
    page = admin.get(address).text
    assert "This is you." in page
    for button in ("Disable account", "Make new password", "Change role"):
        assert button not in page
    for what, more in (("disable", {}), ("password", {}), ("role", {"role": "viewer"})):
        answer = do(admin, address, what, htmx=True, **more)
        assert 'class="toast bad"' in answer.text, what
    ada.refresh_from_db()
    assert (ada.role, ada.is_active) == ("administrator", True)
    assert ada.check_password(story.PASSWORD)


def test_a_name_is_shown_as_text(admin):
    story.person("viewer", "<b>mallory</b>")
    assert breaches(admin.get(f"{SETTINGS}/people").text) == []
    assert "<b>mallory" not in admin.get(f"{SETTINGS}/people").text


# -- spending ------------------------------------------------------------------------------------------


def test_spending_is_stopped_by_an_editor_and_resumed_by_an_administrator(admin, bo):
    editor = Client()
    editor.force_login(bo)
    assert "Spending stopped" in do(editor, f"{SETTINGS}/spending", "stop", htmx=True).text
    assert ledger.stop_state().stopped
    page = words(editor.get(f"{SETTINGS}/providers").text)
    assert "Spending is stopped. Nothing is sent. Stopped by bo" in page
    assert "An administrator resumes it" in page
    assert "only an administrator" in do(editor, f"{SETTINGS}/spending", "resume", htmx=True).text.lower()
    assert ledger.stop_state().stopped
    assert "Spending goes on." in do(admin, f"{SETTINGS}/spending", "resume", htmx=True).text


def test_who_may_not_manage_sees_how_things_stand_and_no_buttons(admin):
    build.provider_row("flux")
    build.budget("50")
    viewer = Client()
    viewer.force_login(story.person("viewer"))
    page = viewer.get(f"{SETTINGS}/providers").text
    assert "$50.00 a month of simulated money" in words(page)
    assert "Stop spending" not in words(page)
    assert do(viewer, f"{SETTINGS}/spending", "stop").status_code == 403


def test_each_provider_leads_to_its_own_page(admin):
    build.provider_row("flux")
    page = admin.get(f"{SETTINGS}/providers").text
    assert 'href="/admin/providers/flux"' in page
    assert "simulated Healthy" in words(page)


def test_a_limit_that_is_nearly_spent_says_so(admin):
    build.provider_row()
    build.budget("0.10")
    claim = build.sent(build.StandIn())
    build.end(build.delivered(claim, cost="0.08"))
    page = admin.get(f"{SETTINGS}/providers").text
    assert "$0.08 spent, $0.00 held, $0.02 left" in words(page)
    assert "80.0 percent of the limit" in page
    assert '<rect class="warn"' in page


# -- the site ------------------------------------------------------------------------------------------


def as_form(**changes: str) -> dict[str, str]:
    given = {
        key: "\n".join(value) if isinstance(value, list) else "" if value is False else str(value)
        for key, value in preferences.everything().items()
    }
    return given | changes


def test_what_the_site_is_set_to_is_saved_and_audited(admin):
    answer = admin.post(
        f"{SETTINGS}/site",
        as_form(
            time_zone="Europe/Berlin", brand_style="Soft light", placeholder_list="coming-soon\r\nno-pic"
        ),
        headers=PAGE,
    )
    assert answer.status_code == 303
    assert preferences.get("time_zone") == "Europe/Berlin"
    assert preferences.get("placeholder_list") == ["coming-soon", "no-pic"]
    assert AuditEntry.objects.filter(action="change setting", actor_name="ada").count() == 3
    page = admin.get(f"{SETTINGS}/site").text
    assert "Settings saved" in page
    assert ">coming-soon\nno-pic</textarea>" in page


def test_what_cannot_be_is_told_beside_each_field_and_nothing_is_saved(admin):
    answer = admin.post(
        f"{SETTINGS}/site",
        as_form(time_zone="Mars/Base", low_score="101", currency="EUR", brand_style="Kept"),
        headers=PAGE,
    )
    assert answer.status_code == 422
    for key in ("time_zone", "low_score"):
        assert re.search(rf'id="{key}"[^>]*aria-invalid="true"', answer.text), key
        assert f'id="{key}-wrong"' in answer.text
    assert 'id="currency-wrong"' not in answer.text
    assert 'value="Mars/Base"' in answer.text
    assert ">Kept</textarea>" in answer.text
    assert preferences.everything() == dict(preferences.DEFAULTS)


def test_a_form_that_changes_nothing_writes_nothing(admin):
    admin.post(f"{SETTINGS}/site", as_form(), headers=PAGE)
    assert not AuditEntry.objects.filter(action="change setting").exists()


# -- one's own desk ------------------------------------------------------------------------------------


def test_the_desk_is_remembered_by_this_browser_and_by_no_other(bo):
    mine, other = Client(), Client()
    for client in (mine, other):
        client.force_login(bo)
    answer = mine.post(SETTINGS, {"theme": "dark", "density": "compact", "keys": "off"}, headers=PAGE)
    assert answer.status_code == 303
    cookie = answer.cookies["theme"]
    assert (cookie.value, cookie["path"], cookie["samesite"], cookie["max-age"]) == (
        "dark",
        "/",
        "Lax",
        31_536_000,
    )
    assert not cookie["httponly"], "the switch in the top bar writes it, too"
    page = mine.get(SETTINGS).text
    assert '<html lang="en" data-theme="dark" data-density="compact" data-keys="off">' in page
    assert re.search(r'name="theme" value="dark" checked', page)
    assert '<html lang="en">' in other.get(SETTINGS).text
    mine.post(SETTINGS, {"theme": "", "density": "nonsense", "keys": ""}, headers=PAGE)
    assert '<html lang="en">' in mine.get(SETTINGS).text


def test_everybody_sees_the_tabs_that_are_theirs(admin, bo):
    editor = Client()
    editor.force_login(bo)

    def tabs(client: Client) -> list[str]:
        bar = re.search(
            r'<nav class="tabs" aria-label="Settings">(.*?)</nav>', client.get(SETTINGS).text, re.DOTALL
        )
        return words(bar[1]).split("  ") if bar else []

    assert tabs(admin) == ["Your desk People Spending Simulator Site About"]
    assert tabs(editor) == ["Your desk Spending About"]


# -- about ---------------------------------------------------------------------------------------------


def test_what_it_runs_on_is_said_without_any_secret(admin, bo, settings):
    settings.DATABASE_URL = "postgresql://packshot:hunter2@db.example/packshot"
    settings.BLOB_URL = "s3://bucket/prefix?endpoint=https://keys.example&secret=hunter3"
    page = admin.get(f"{SETTINGS}/about").text
    assert re.search(r"PostgreSQL \d\d[.\d]*, your own, [\d.]+ (MB|GB)", words(page))
    assert "Images are kept in S3" in words(page)
    assert str(settings.DATA) in page
    for secret in ("hunter", "bucket", "example"):
        assert secret not in page
    editor = Client()
    editor.force_login(bo)
    assert str(settings.DATA) not in editor.get(f"{SETTINGS}/about").text


def test_the_pages_ask_a_fixed_number_of_questions(admin, bo):
    for number in range(20):
        story.person("viewer", f"vic{number}")
    for name in ("openai", "flux", "sandbox"):
        build.provider_row(name)
    build.budget("10")
    ledger.set_limit(micros("10"))
    for path in ("", "/people", f"/people/{bo.id}", "/providers", "/simulator", "/site", "/about"):
        with CaptureQueriesContext(connection) as captured:
            assert admin.get(SETTINGS + path).status_code == 200
        assert len(captured) <= 12, (path, [each["sql"][:80] for each in captured])
