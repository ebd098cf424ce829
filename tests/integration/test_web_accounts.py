"""The pages of accounts are allauth's views and our templates: each of them, whatever it answers."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.sessions.models import Session
from django.http import HttpResponse
from django.template.backends.jinja2 import Template
from django.template.response import TemplateResponse
from django.test import Client
from django.urls import URLPattern, reverse
from django.utils import timezone

from packshot.accounts.models import User
from packshot.urls import urlpatterns
from tests.browser import story
from tests.integration.test_rights import PAGE
from tests.integration.test_web_templates import breaches

pytestmark = pytest.mark.django_db


def of_allauth() -> Iterator[URLPattern]:
    for each in urlpatterns:
        view = getattr(each.callback, "view_class", each.callback)
        if str(getattr(view, "__module__", "")).startswith("allauth"):
            yield each


def is_ours(answer: HttpResponse) -> bool:
    """Whether our engine drew this answer from a template of ours."""
    assert isinstance(answer, TemplateResponse)
    template = answer.resolve_template(answer.template_name)
    return isinstance(template, Template) and "packshot/web/templates" in str(template.template.filename)


@pytest.fixture
def signed_in() -> Client:
    client = Client()
    client.force_login(story.person("editor", "ed"))
    return client


def test_every_page_of_allauth_that_is_mounted_is_drawn_by_jinja2():
    drawn = {}
    ed = story.person("editor", "ed")
    for route in of_allauth():
        address = reverse(str(route.name))
        signed_in = Client()  # anew for each: one of them signs out
        signed_in.force_login(ed)
        for client in (Client(), signed_in):
            for answer in (client.get(address, headers=PAGE), client.post(address, {}, headers=PAGE)):
                if answer.status_code == 200:
                    drawn[route.name] = is_ours(answer)
                    assert breaches(answer.text) == [], address
                else:
                    assert answer.status_code in (302, 405), address
    assert drawn == dict.fromkeys((each.name for each in of_allauth()), True)
    assert len(drawn) == 5


def test_what_is_wrong_is_said_by_our_pages_too(signed_in):
    wrong = {"login": "ed", "password": "wrong", "oldpassword": "wrong", "password1": "x", "password2": "y"}
    for name, client in (
        ("account_login", Client()),
        ("account_change_password", signed_in),
        ("account_reauthenticate", signed_in),
    ):
        answer = client.post(reverse(name), wrong, headers=PAGE)
        assert is_ours(answer)
        assert 'class="error"' in answer.text, name
        assert 'value="wrong"' not in answer.text, "no password comes back in a page"


def test_too_many_tries_are_said_with_how_long_to_wait():
    story.person("editor", "ed")
    client = Client()
    for _ in range(10):
        client.post(reverse("account_login"), {"login": "ed", "password": "wrong"}, headers=PAGE)
    answer = client.post(reverse("account_login"), {"login": "ed", "password": "wrong"}, headers=PAGE)
    assert is_ours(answer)
    assert "Too many tries. Wait five minutes." in answer.text


def test_an_account_that_was_disabled_says_so_and_lets_nobody_in():
    user = story.person("editor", "ed")
    User.objects.filter(pk=user.pk).update(is_active=False)
    client = Client()
    sent = {"login": "ed", "password": story.PASSWORD}
    answer = client.post(reverse("account_login"), sent, headers=PAGE, follow=True)
    assert "This account is closed" in answer.text
    assert client.get(reverse("overview"), headers=PAGE).status_code == 302


def test_a_session_ends_with_its_time_with_its_person_and_with_its_password():
    user = story.person("editor", "ed")
    ends = {
        "its time": lambda: Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1)),
        "its person": lambda: User.objects.filter(pk=user.pk).update(is_active=False),
        "its password": lambda: User.objects.filter(pk=user.pk).update(password=make_password("another")),
    }
    for end in ends.values():
        User.objects.filter(pk=user.pk).update(is_active=True, password=user.password)
        client = Client()
        client.force_login(user)
        assert client.get(reverse("overview"), headers=PAGE).status_code == 200
        end()
        assert client.get(reverse("overview"), headers=PAGE).status_code == 302


def test_every_field_for_a_password_says_when_caps_lock_is_on(signed_in):
    page = signed_in.get(reverse("account_change_password"), headers=PAGE).text
    assert page.count('type="password"') == page.count("data-caps") == 3
