"""What no form of ours sends: every address answers it in words, and nothing fails."""

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.http import HttpRequest, HttpResponse, QueryDict
from django.test import Client, RequestFactory
from django.urls import reverse

from packshot import web
from packshot.preferences.models import SavedView
from packshot.web import security
from tests import build
from tests.browser import story
from tests.integration.test_rights import address, routes

pytestmark = pytest.mark.django_db

# What the pages read of a query or a form, and fields that are named after a provider.
NAMES = {
    name
    for source in Path(web.__path__[0]).rglob("*.py")
    for name in re.findall(r'[.]get(?:list)?[(]"([a-z_-]+)"', source.read_text())
} | {"picture", "agreed-openai", "model-openai", "option-openai-quality", "mask-left"}
STRANGE = ("\0", "a\0b", "9" * 5_000, "--5", "\ud7ff\uffff", "[", "https://[1]/")
# Streams that never end, and what takes no form.
APART = {"events", "callback", "static", "media"}


@pytest.fixture
def client() -> Client:
    build.provider_row("openai")
    client = Client()
    client.force_login(story.person("administrator"))
    return client


@pytest.mark.parametrize("value", STRANGE)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_address_answers_strange_values_without_failing(client, method, value):
    given = urlencode(dict.fromkeys(sorted(NAMES), value))
    for route in routes():
        if route.name in APART or route.name == "account_logout":
            continue
        url = address(route)
        if method == "GET":
            answer = client.get(f"{url}?{given}", headers={"referer": "http://[1]/"})
        else:
            answer = client.post(url, given, content_type="application/x-www-form-urlencoded")
        assert answer.status_code < 500, (url, answer.status_code)


def test_no_view_sees_a_nul_in_what_it_is_given():
    seen: list[QueryDict] = []

    @security.needs("public")
    def view(request: HttpRequest) -> HttpResponse:
        seen.extend((request.GET, request.POST))
        return HttpResponse("")

    door = security.DenyByDefault(view)
    for request in (
        RequestFactory().post("/?a%00=b%00c&a=d", {"e\0": ["\0f", "g"]}),
        RequestFactory().get("/"),
    ):
        door.process_view(request, view, (), {})
        view(request)
    assert [dict(each.lists()) for each in seen] == [{"a": ["bc", "d"]}, {"e": ["f", "g"]}, {}, {}]


def test_a_name_with_a_nul_is_kept_without_it(client):
    client.post(reverse("queue_views"), {"name": "Mi\0ne", "query": "status=failed", "place": "queue"})
    assert [each.name for each in SavedView.objects.all()] == ["Mine"]
