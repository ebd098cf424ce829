"""No key of a provider shows in any page or event, also when the provider itself sends it back."""

import asyncio
import base64
import json
from collections.abc import Iterator
from urllib.parse import quote
from uuid import UUID

import httpx
import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import connection
from django.http import StreamingHttpResponse
from django.test import Client
from django.urls import reverse

from packshot import catalogue, events
from packshot.catalogue.models import PromptTemplate
from packshot.events import Happening
from packshot.flows import desk
from packshot.kernel.errors import ProviderError
from packshot.providers import registry
from packshot.providers.contract import (
    AS_INPUT,
    Account,
    AttemptRef,
    ImageRequest,
    Inspectable,
    default_model,
)
from tests import build
from tests.browser import story
from tests.browser.server import Server
from tests.contract.conftest import Asked, Reply, _serving
from tests.integration.test_rights import ADDRESSES, PAGE
from tests.integration.test_web_products import HX
from tests.integration.test_web_stream import read_until

pytestmark = pytest.mark.django_db(transaction=True)

CANARIES = {
    "openai": "sk-canary-7Qx4Zp81vLw",
    "flux": "bfl-canary-3Tn9Rk55sYd",
    "stability": "canary.without.a.known.shape.8Jm2",
    "midjourney": "mj.canary~6Hc7Wq40xT",
}
VARIABLES = {"openai": "OPENAI", "flux": "FLUX", "stability": "STABILITY", "midjourney": "MIDJOURNEY"}
# Answers that a provider, or a gateway before it, gives when something is wrong with the request or itself.
STATUSES = (400, 401, 403, 404, 422, 429, 500, 503)
TOPICS = "/events?topics=activity,figures,images,providers,queue,queue-waits"
# Not pages: a stream that does not end (it has a test of its own), and the end of the session.
NOT_WALKED = {"events", "account_logout"}


@pytest.fixture
def keys(monkeypatch, settings) -> Iterator[None]:
    """The environment of a site with a key for each provider."""
    for name, variable in VARIABLES.items():
        monkeypatch.setenv(f"{variable}_API_KEY", CANARIES[name])
        monkeypatch.setitem(settings.PROVIDER_KEYS, name, CANARIES[name])
    monkeypatch.setenv("PACKSHOT_SIMULATOR", "off")
    monkeypatch.setenv("OPENAI_ORGANIZATION", "org-1")
    settings.SIMULATOR = "off"
    for cached in (desk.quoting, desk.desk):
        cached.cache_clear()
    yield
    for cached in (desk.quoting, desk.desk):
        cached.cache_clear()


def echo(asked: Asked, status: int) -> Reply:
    """An answer that repeats every header of the request, wherever a message can stand."""
    words = f"Incorrect key: {json.dumps(asked.headers)}"
    error = {"message": words, "code": words, "type": words, "param": words}
    places = ("detail", "message", "description", "name", "id", "status")
    document = {"error": error, "errors": [words], "code": 9, **dict.fromkeys(places, words)}
    return Reply.of(document, status, x_request_id=words[:300])


async def _echoed(name: str, canary: str) -> list[ProviderError]:
    """What the adapter makes of each of these answers."""
    told: list[ProviderError] = []
    status = STATUSES[0]
    async with _serving(lambda asked: echo(asked, status)) as loopback:
        adapter = registry.build(name, Account(canary, loopback.url, simulated=False))
        card = default_model(adapter)
        shape = card.shapes[0] if card.shapes[0] != AS_INPUT else "1:1"
        for status in STATUSES:
            try:
                await adapter.submit(
                    ImageRequest(card.id, "a mug", shape), AttemptRef(UUID(int=1), 1, deadline_s=20)
                )
            except ProviderError as error:
                told.append(error)
            if isinstance(adapter, Inspectable):
                seen = await adapter.inspect()
                assert canary not in seen.detail, (name, status)
        assert any(canary in " ".join(asked.headers.values()) for asked in loopback.asked), "the key was sent"
    assert len(told) == len(STATUSES)
    return told


def fail(name: str, errors: list[ProviderError]) -> list[UUID]:
    """Generations of this provider that ended so, announced as the worker announces them."""
    provider = build.StandIn(name)
    # All are under way before the first of them ends: what a wrong key pauses takes nothing more.
    claims = [build.sent(provider) for _ in errors]
    for claim, error in zip(claims, errors, strict=True):
        build.end(build.failed(claim, error))
    return [claim.generation.id for claim in claims]


def forms(canary: str) -> set[str]:
    """The ways in which a page may hold a key: as it is, quoted, encoded, or a good part of it."""
    return {
        canary,
        quote(canary),
        json.dumps(canary)[1:-1],
        base64.b64encode(canary.encode()).decode().rstrip("="),
        canary[3:-2],
        canary[:-4],
    }


def shows(text: str) -> str:
    """What stands around a canary in this text; nothing, where there is none."""
    for canary in CANARIES.values():
        for form in forms(canary):
            if (at := text.find(form)) >= 0:
                return text[max(0, at - 60) : at + len(form) + 20]
    return ""


def addresses(ended: dict[str, list[UUID]], sku: str, template: UUID, person: UUID) -> Iterator[str]:
    """Every address as a person may open it, with what there is on this site."""
    there: dict[str, list[object]] = {
        "generation": [each for ids in ended.values() for each in ids],
        "provider": list(ended),
        "provider_change": list(ended),
        "provider_price": list(ended),
        "product": [sku],
        "template": [template],
        "person": [person],
    }
    for name, example in ADDRESSES.items():
        if name in NOT_WALKED:
            continue
        for argument in there.get(name, [None]):
            yield reverse(name, args=example if argument is None else [argument])
    queue = reverse("queue")
    yield from (f"{queue}?status={each}" for each in ("failed", "uncertain", "pending", "completed"))
    yield from (f"{queue}?generation={each}" for ids in ended.values() for each in ids)
    yield from (f"{queue}?q={words}" for words in ("Incorrect", "mug"))


def streamed(answer: StreamingHttpResponse) -> bytes:
    """An export, piece by piece."""

    async def whole() -> bytes:
        return b"".join([piece async for piece in answer])

    return async_to_sync(whole)() if answer.is_async else b"".join(answer)


def told_by(client: Client, address: str, headers: dict[str, str]) -> str:
    """Everything that a GET brings: body, headers and cookies."""
    answer = client.get(address, headers=headers)
    body = answer.content if not answer.streaming else streamed(answer)
    return "\n".join(
        [body.decode("utf-8", "replace"), *(f"{name}: {value}" for name, value in answer.items())]
        + [morsel.OutputString() for morsel in answer.cookies.values()]
    )


@pytest.fixture
def site(keys) -> Iterator[tuple[Client, list[str], dict[str, list[UUID]]]]:
    """An administrator, all addresses, and a site on which every provider has sent its key back."""
    catalogue.save_template("General", "A packshot of {{name}}.")
    build.budget("100")
    ended = {}
    for name, canary in CANARIES.items():
        build.provider_row(name)
        ended[name] = fail(name, asyncio.run(_echoed(name, canary)))
    administrator = story.person("administrator", "ada")
    client = Client()
    client.force_login(administrator)
    sku = build.generation(ended["flux"][0]).product.sku
    template = PromptTemplate.objects.values_list("pk", flat=True)[0]
    yield client, list(addresses(ended, sku, template, administrator.pk)), ended
    with connection.cursor() as cursor:
        # What is taken away is read by threads of the site's own, which keep their connections.
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )


def walk(client: Client, pages: list[str]) -> dict[str, str]:
    """The addresses at which a canary shows, and how it does."""
    found = {}
    for address in pages:
        for headers in (PAGE, HX):
            if around := shows(told_by(client, address, headers)):
                found[address] = around
    return found


def test_no_page_shows_a_key_that_a_provider_sent_back(site):
    client, pages, ended = site
    assert walk(client, pages) == {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM packshot_attempt WHERE state <> 'succeeded'")
        assert cursor.fetchone()[0] == len(CANARIES) * len(STATUSES) == sum(map(len, ended.values()))


@pytest.mark.parametrize("name", sorted(CANARIES))
def test_the_walk_finds_a_key_that_was_not_taken_out(site, name):
    client, pages, ended = site
    (leaky,) = ended[name][:1]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE packshot_generation SET error_message = %s WHERE id = %s",
            [f"Incorrect key: {CANARIES[name]}", leaky],
        )
    found = walk(client, [each for each in pages if str(leaky) in each or each == reverse("queue")])
    assert reverse("generation", args=[leaky]) in found


def test_no_event_shows_a_key_that_a_provider_sends_back_while_somebody_watches(keys):
    build.budget("100")
    errors = {}
    for name, canary in CANARIES.items():
        build.provider_row(name)
        errors[name] = asyncio.run(_echoed(name, canary))
    client = Client()
    client.force_login(story.person("administrator", "ada"))
    cookies = {settings.SESSION_COOKIE_NAME: client.cookies[settings.SESSION_COOKIE_NAME].value}
    with (
        Server() as server,
        httpx.Client(base_url=server.url, cookies=cookies, timeout=30, trust_env=False) as visitor,
        visitor.stream("GET", TOPICS) as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines) == ": hello"
        for name, each in errors.items():
            fail(name, each)
        events.tell([Happening("generation", "told", "the last")])
        seen = "\n".join(read_until(lines, f"id: {events.newest_id()}"))
        assert "failed" in seen.lower(), "the failures were told"
        assert not shows(seen)
        assert not shows("\n".join(f"{name}: {value}" for name, value in stream.headers.items()))
        log = server.log.read_text()
    assert not shows(log)
