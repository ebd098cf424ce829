"""Who may open what: every address, every role, every method, against rights.toml and nothing else."""

import json
from collections.abc import Iterator
from itertools import product
from types import ModuleType
from unittest.mock import ANY
from urllib.parse import quote

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, path, reverse

from packshot.accounts import allows, matrix
from packshot.accounts.models import Role, User
from packshot.web.assets import assets
from packshot.web.security import needs, right_of
from tests.browser import story

pytestmark = pytest.mark.django_db

# One example of every address. An address that is missing here fails the walk: whoever adds a page adds it.
ADDRESSES: dict[str, list[object]] = {
    "home": [],
    "healthz": [],
    "callback": ["00000000-0000-7000-8000-000000000000", "not-its-token"],
    "overview": [],
    "overview_charts": [],
    "overview_sheet": ["made"],
    "queue": [],
    "queue_retry": [],
    "queue_cancel": [],
    "queue_hand_over": [],
    "queue_reprioritise": [],
    "queue_facet": ["model"],
    "queue_views": [],
    "queue_view": ["00000000-0000-7000-8000-000000000000"],
    "queue_export": [],
    "bulk_actions": [],
    "bulk_action": ["00000000-0000-7000-8000-000000000000"],
    "bulk_abort": ["00000000-0000-7000-8000-000000000000"],
    "bulk_undo": ["00000000-0000-7000-8000-000000000000"],
    "bulk_results": ["00000000-0000-7000-8000-000000000000"],
    "queue_bring": [],
    "queue_follow": [],
    "queue_resolve": [],
    "generation": ["00000000-0000-7000-8000-000000000000"],
    "budgets": [],
    "statement": [],
    "budget_new": [],
    "budget": ["00000000-0000-7000-8000-000000000000"],
    "budget_archive": ["00000000-0000-7000-8000-000000000000"],
    "providers": [],
    "providers_export": [],
    "provider": ["openai"],
    "provider_change": ["openai"],
    "provider_price": ["openai"],
    "attention": [],
    "attention_snooze": [],
    "attention_assign": [],
    "compare": [],
    "blind": [],
    "blind_next": [],
    "blind_vote": [],
    "blind_undo": [],
    "compare_providers": [],
    "compare_providers_csv": [],
    "review": [],
    "review_decide": [],
    "review_reasons": [],
    "search": [],
    "events": [],
    "style": [],
    "style_charts": [],
    "settings": [],
    "people": [],
    "person": ["00000000-0000-7000-8000-000000000000"],
    "settings_providers": [],
    "settings_spending": [],
    "settings_simulator": [],
    "settings_site": [],
    "settings_about": [],
    "templates": [],
    "template_new": [],
    "template_preview": [],
    "template": ["00000000-0000-7000-8000-000000000000"],
    "template_save": ["00000000-0000-7000-8000-000000000000"],
    "template_use": ["00000000-0000-7000-8000-000000000000"],
    "template_archive": ["00000000-0000-7000-8000-000000000000"],
    "template_fit": ["00000000-0000-7000-8000-000000000000"],
    "imports": [],
    "import_plan": [],
    "import_apply": [],
    "import_record": ["00000000-0000-7000-8000-000000000000"],
    "media": ["0" * 64, "webp"],
    "products": [],
    "products_csv": [],
    "products_zip": [],
    "product": ["a sku/with slashes"],
    "product_photos": ["00000000-0000-7000-8000-000000000000"],
    "product_archive": ["00000000-0000-7000-8000-000000000000"],
    "product_unarchive": ["00000000-0000-7000-8000-000000000000"],
    "image_link": ["00000000-0000-7000-8000-000000000000"],
    "activate": ["00000000-0000-7000-8000-000000000000"],
    "activate_newest": [],
    "restore": [],
    "ask": [],
    "quote": [],
    "ask_pictures": [],
    "ask_picture": ["not-sealed"],
    "generate": [],
    "picture": ["00000000-0000-7000-8000-000000000000", "webp-320"],
    "static": ["any", "packshot.css"],
    "account_login": [],
    "account_logout": [],
    "account_inactive": [],
    "account_change_password": [],
    "account_reauthenticate": [],
}
# Called by machines without a page to take a form's token from: their address is the right.
WITHOUT_FORM = {"callback"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
PAGE = {"accept": "text/html", "sec-fetch-mode": "navigate"}
FETCH = {"accept": "*/*", "sec-fetch-mode": "cors"}
# Everything that a page might wrongly believe.
LIES = "?admin=true&isAdmin=1&role=administrator&is_staff=1&is_superuser=1&_method=GET"
LYING_HEADERS = {
    "x-admin": "true",
    "x-forwarded-user": "administrator",
    "x-remote-user": "administrator",
    "x-original-url": "/healthz",
    "x-http-method-override": "GET",
    "authorization": "Bearer administrator",
}
LYING_BODIES = {
    "application/json": json.dumps({"is_staff": True, "role": "administrator", "admin": True}),
    "application/x-www-form-urlencoded": "is_staff=true&role=administrator&admin=true",
}
LYING_COOKIES = {"isAdmin": "true", "admin": "1", "role": "administrator", "is_staff": "True"}


def routes(patterns: list[URLPattern | URLResolver] | None = None) -> Iterator[URLPattern]:
    for each in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(each, URLResolver):
            yield from routes(each.url_patterns)
        else:
            yield each


def address(route: URLPattern) -> str:
    assert route.name in ADDRESSES, f"{route.pattern} is not in ADDRESSES: add an example of it"
    return reverse(str(route.name), args=ADDRESSES[route.name])


def ask(client: Client, method: str, url: str, headers: dict[str, str]) -> tuple[int, str]:
    """The status, and where it leads."""
    response = client.generic(method, url, headers=headers)
    return response.status_code, response.headers.get("Location", "")


def to_sign_in(url: str) -> str:
    return f"{reverse('account_login')}?next={quote(url, safe='')}"


@pytest.fixture
def people() -> dict[str, Client]:
    """A signed-in client for each role."""
    clients = {}
    for role in Role.values:
        clients[role] = Client()
        clients[role].force_login(story.person(role))
    return clients


def test_every_address_declares_a_right_that_exists():
    names = set()
    for route in routes():
        right = right_of(route.callback)
        assert right in matrix(), f"{route.pattern} declares {right!r}"
        names.add(route.name)
    assert names == ADDRESSES.keys()


@pytest.mark.parametrize("method", METHODS)
def test_nobody_gets_past_the_door_without_the_right(method, people):
    for route in routes():
        right = right_of(route.callback)
        url = address(route)
        if not allows(None, right):
            assert ask(Client(), method, url, FETCH) == (401, ""), url
            door = to_sign_in(url) if method in ("GET", "HEAD") else reverse("account_login")
            assert ask(Client(), method, url, PAGE) == (302, door), url
        for role, client in people.items():
            if allows(role, right) or allows(None, right):
                continue
            assert ask(client, method, url, PAGE) == (403, ""), (url, role)
            assert ask(client, method, url, FETCH) == (403, ""), (url, role)


def test_whoever_holds_the_right_is_let_in(people):
    for route in routes():
        url = address(route)
        for role, client in people.items():
            if not allows(role, right_of(route.callback)):
                continue
            status, way = ask(client, "POST" if route.name in WITHOUT_FORM else "GET", url, PAGE)
            assert status not in (401, 403, 405, 500), (url, role)
            assert not way.startswith(reverse("account_login")), (url, role)


@pytest.mark.parametrize("method", METHODS)
def test_no_query_header_cookie_or_body_gives_a_right(method, people, settings):
    settings.ACCOUNT_RATE_LIMITS = False  # the walk asks more often than any person
    asked = {None: Client(), "viewer": people["viewer"]}
    for role, client in asked.items():
        liar = Client()
        liar.cookies.load(LYING_COOKIES)
        if role:
            liar.cookies.update(client.cookies)
        for route in routes():
            url = address(route)
            for headers, (kind, body) in product((PAGE, FETCH), LYING_BODIES.items()):
                honest = client.generic(method, url, content_type=kind, headers=headers)
                lying = liar.generic(
                    method, url + LIES, body, content_type=kind, headers=headers | LYING_HEADERS
                )
                assert lying.status_code == honest.status_code, (role, method, url, kind)
                assert leads_to(lying) == leads_to(honest), (role, method, url, kind)


def leads_to(response: HttpResponse) -> str:
    """Where it leads, without the query that names the way back."""
    return str(response.headers.get("Location", "")).partition("?")[0]


def test_a_change_without_the_forms_token_is_refused(people):
    for role, person in people.items():
        strict = Client(enforce_csrf_checks=True)
        strict.cookies.update(person.cookies)
        for route in routes():
            assert getattr(route.callback, "csrf_exempt", False) == (route.name in WITHOUT_FORM), route.name
            if route.name in WITHOUT_FORM:
                continue
            for method in ("POST", "PUT", "PATCH", "DELETE"):
                response = strict.generic(method, address(route), headers=PAGE)
                assert response.status_code == 403, (role, method, route.name)
                assert b"This form is too old" in response.content


def test_looking_changes_nothing(people):
    before = digest()
    for client in (Client(), *people.values()):
        for route in routes():
            for method in ("GET", "HEAD"):
                client.generic(method, address(route) + LIES, headers=PAGE)
    assert digest() == before


def digest() -> dict[str, object]:
    """Every table's number of rows and a sum over their text, without what counts sign-ins and sessions."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'packshot'"
            " AND table_type = 'BASE TABLE' AND table_name NOT IN ('packshot_cache', 'django_session')"
        )
        found = {}
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT count(*), sum(hashtext(row::text)::bigint) FROM "{table}" AS row')
            found[table] = cursor.fetchone()
    return found


# -- views as somebody might write them -------------------------------------------------------------


def forgotten(request: HttpRequest) -> HttpResponse:
    return HttpResponse("secret")


@needs("manage_people")
def for_administrators(request: HttpRequest) -> HttpResponse:
    return HttpResponse("people")


@needs("read")
def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("the-password-is-hunter2")


@pytest.fixture
def with_more_views(settings) -> ModuleType:
    """The site's own addresses and three more."""
    from packshot import urls

    more = ModuleType("more_urls")
    more.__dict__.update({name: value for name, value in vars(urls).items() if not name.startswith("__")})
    more.urlpatterns = [
        *urls.urlpatterns,
        path("forgotten", forgotten),
        path("people", for_administrators),
        path("broken", broken),
    ]
    settings.ROOT_URLCONF = more
    return more


@pytest.mark.usefixtures("with_more_views")
def test_a_view_without_a_right_is_shut_for_everybody(people, caplog):
    for client in (Client(), *people.values()):
        response = client.get("/forgotten", headers=PAGE)
        assert response.status_code == 403
        assert b"secret" not in response.content
    assert "/forgotten has no declared right" in caplog.text


@pytest.mark.usefixtures("with_more_views")
def test_a_role_without_the_right_gets_a_page_that_says_so(people):
    for role, client in people.items():
        response = client.get("/people" + LIES, headers=PAGE | LYING_HEADERS)
        if role == Role.ADMINISTRATOR:
            assert response.content == b"people"
        else:
            assert response.status_code == 403
            assert "This page is not for your role" in response.text
    assert Client().get("/people", headers=PAGE).status_code == 302


@pytest.mark.usefixtures("with_more_views")
def test_somebody_shut_out_holds_nothing_from_the_next_request_on(people):
    administrator = people["administrator"]
    assert administrator.get("/people", headers=PAGE).status_code == 200
    User.objects.filter(username="administrator").update(is_active=False)
    assert administrator.get("/people", headers=PAGE).status_code == 302
    User.objects.filter(username="administrator").update(is_active=True, role="viewer")
    assert administrator.get("/people", headers=PAGE).status_code == 403


@pytest.mark.usefixtures("with_more_views")
def test_what_broke_is_said_with_a_reference_and_nothing_else(people, caplog):
    client = people["viewer"]
    client.raise_request_exception = False
    response = client.get("/broken", headers=PAGE)
    assert response.status_code == 500
    assert "hunter2" not in response.text
    assert "RuntimeError" not in response.text
    reference = response.text.partition("<code>")[2].partition("</code>")[0]
    assert len(reference) == 8
    assert any(reference in record.message and record.exc_info for record in caplog.records)


def test_a_right_that_does_not_exist_cannot_be_declared():
    with pytest.raises(LookupError, match="no right 'rule_the_world'"):
        needs("rule_the_world")


def test_the_static_example_is_a_file_of_ours():
    assert "packshot.css" in assets().by_path
    assert ADDRESSES["static"] == [ANY, "packshot.css"]
