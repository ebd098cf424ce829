"""The FLUX adapter against Black Forest Labs' own words: specification, recorded bodies, damaged ones."""

import asyncio
import base64
import copy
import hmac
import json
import random
import struct
import time
import zlib
from collections.abc import Mapping
from dataclasses import replace
from uuid import uuid4

import jsonschema
import pytest
import referencing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from referencing.jsonschema import DRAFT202012

from packshot.kernel.errors import (
    BadAnswer,
    BadInput,
    Misconfigured,
    ProviderError,
    Refused,
    TryLater,
    Unsure,
)
from packshot.providers.conformance import delivery_is_complete, ticket_survives_a_restart
from packshot.providers.contract import (
    RAW_LIMIT,
    Account,
    AttemptRef,
    CallbackAddress,
    CallsBack,
    Delivery,
    ImageRequest,
    InputImage,
    Inspectable,
    ModelCard,
    Pending,
    Ticket,
)
from packshot.providers.flux import CARDS, Flux, wire_request
from packshot.providers.http import Answer, GuardedClient

KEY = "bfl-key-1234567890"
REQUEST = ImageRequest("flux-2-pro", "A linen apron on a wooden table", seed=7)
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def png(width_px: int, height_px: int) -> bytes:
    """A PNG as far as anybody reads it before it is sent."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def picture(width_px: int = 640, height_px: int = 480) -> InputImage:
    content = png(width_px, height_px)
    return InputImage("image", "image/png", width_px, height_px, len(content), content)


def attempt(deadline_s: float = 30.0) -> AttemptRef:
    return AttemptRef(uuid4(), 1, deadline_s)


def adapter_at(url: str) -> Flux:
    return Flux(Account(KEY, url, simulated=True), GuardedClient(url, hosts=Flux.hosts, resolve=nowhere))


async def nowhere(host: str, port: int) -> list[str]:
    """No test reaches the internet: every name but this machine's own address is unknown."""
    raise OSError("no such name")


async def ending(call):
    """What a call comes to: its result, or the error it raises."""
    try:
        return await call
    except ProviderError as error:
        return error


def submitted(serving, answering, request: ImageRequest = REQUEST, *, deadline_s: float = 30.0):
    async def story():
        async with serving(answering) as loopback:
            return await ending(adapter_at(loopback.url).submit(request, attempt(deadline_s))), loopback

    return asyncio.run(story())


def ticket_for(url: str, *, age_s: float = 60.0, cost: int | None = 48_000) -> Ticket:
    state = {"id": "t1", "polling_url": f"{url}/v1/get_result?id=t1", "submitted_at": time.time() - age_s}
    return Ticket(state, request_id="t1", cost=cost)


def collected(serving, answering, *, age_s: float = 60.0, cost: int | None = 48_000, **state: object):
    """What one look at a task comes to; `{base}` in the answers' links is the server's own address."""

    async def story():
        async with serving(answering) as loopback:
            ticket = ticket_for(loopback.url, age_s=age_s, cost=cost)
            ticket = replace(ticket, state={**ticket.state, **state})
            return await ending(adapter_at(loopback.url).collect(ticket, attempt())), loopback

    return asyncio.run(story())


def ready(asked, **result: object) -> dict[str, object]:
    sample = f"http://{asked.headers['host']}/delivery/sample.png?sig=secret"
    return {"id": "t1", "status": "Ready", "result": {"sample": sample, "seed": 42, **result}}


def example(specs, name: str) -> dict:
    return json.loads((specs / "examples" / f"{name}.json").read_text())["response"]


# -- what it sends ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def validators(specs) -> Mapping[str, jsonschema.Draft202012Validator]:
    """Each model's request schema, strict about what it does not name."""
    document = json.loads((specs / "bfl.patched.openapi.json").read_text())
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    registry = referencing.Registry().with_resource("spec", referencing.Resource(document, DRAFT202012))
    paths = {
        path.removeprefix("/v1/"): methods["post"]["requestBody"]["content"]["application/json"]["schema"][
            "$ref"
        ]
        for path, methods in document["paths"].items()
        if "post" in methods
    }
    return {
        model: jsonschema.Draft202012Validator({"$ref": f"spec{ref}"}, registry=registry)
        for model, ref in paths.items()
    }


@st.composite
def requests(draw: st.DrawFn, *, edits: bool = False) -> ImageRequest:
    card: ModelCard = draw(st.sampled_from(CARDS))
    options = {}
    for option in card.options:
        values = {
            "choice": st.sampled_from(option.choices or ("",)),
            "integer": st.integers(option.minimum or 0, option.maximum or 0),
            "boolean": st.booleans(),
        }[option.kind]
        if draw(st.booleans()):
            options[option.name] = draw(values)
    return ImageRequest(
        model=card.id,
        prompt=draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)),
        shape=draw(st.sampled_from(card.shapes)),
        seed=draw(st.none() | st.integers(0, 2**32)),
        options=options,
        inputs=draw(pictures(card.max_inputs)) if edits else (),
    )


@st.composite
def pictures(draw: st.DrawFn, most: int) -> tuple[InputImage, ...]:
    sides = st.integers(256, 4000)
    return tuple(picture(draw(sides), draw(sides)) for _ in range(draw(st.integers(1, most))))


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=requests(edits=True))
def test_every_request_with_pictures_fits_the_specification(validators, request):
    body = wire_request(request)
    validators[request.model].validate(body)
    sent = body.get("images") or [
        body[name]
        for name in ("image_prompt", "input_image", *(f"input_image_{number}" for number in range(2, 9)))
        if name in body
    ]
    # Bare base64 without a prefix, in the order in which the prompt may speak of them.
    assert [base64.b64decode(each, validate=True) for each in sent] == [
        each.content for each in request.inputs
    ]
    without = wire_request(replace(request, inputs=()))
    assert {name: value for name, value in body.items() if name in without} == without


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=requests())
def test_every_request_it_can_send_fits_the_specification(validators, request):
    body = wire_request(request)
    validators[request.model].validate(body)
    if "width" in body:
        across, down = (int(part) for part in request.shape.split(":"))
        assert body["width"] / body["height"] == pytest.approx(across / down, rel=0.01)
    if request.model == "flux-3-image":
        assert not {"seed", "width", "height", "output_format"} & set(body)


def test_every_model_in_every_shape_with_every_choice_fits_the_specification(validators):
    sent = 0
    for card in CARDS:
        for shape in card.shapes:
            for option in card.options:
                ends = (option.minimum, option.maximum) if option.kind == "integer" else (True, False)
                for value in option.choices or ends:
                    body = wire_request(ImageRequest(card.id, "x", shape, options={option.name: value}))
                    validators[card.id].validate(body)
                    sent += 1
    assert sent > 800


def test_what_leaves_is_that_request_with_the_key(serving, reply):
    _, loopback = submitted(serving, lambda asked: reply.of({"id": "t1", "polling_url": ""}))
    (asked,) = loopback.asked
    assert (asked.method, asked.path) == ("POST", "/v1/flux-2-pro")
    assert asked.headers["x-key"] == KEY
    assert json.loads(asked.body) == wire_request(REQUEST)
    assert json.loads(asked.body)["seed"] == 7


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (ImageRequest("flux-3-image", "x", options={"output_format": "png"}), "output_format"),
        (ImageRequest("flux-3-image", "x", options={"safety_tolerance": 5}), "safety_tolerance"),
        (ImageRequest("flux-dev", "x", options={"guidance": "10"}), "guidance"),
        (ImageRequest("flux-2-pro", "x", "21:9"), "shape"),
        (ImageRequest("flux-2-pro", "x", images=2), "images"),
        (ImageRequest("flux-9", "x"), "model"),
        (ImageRequest("../admin", "x"), "model"),
    ],
)
def test_what_no_submission_can_ask_is_refused_at_the_quote_and_never_sent(serving, reply, request_, field):
    with pytest.raises(BadInput) as refused:
        wire_request(request_)
    assert refused.value.field == field
    error, loopback = submitted(serving, lambda asked: reply.of({}), request_)
    assert (type(error), error.charge) == (Refused, "free")
    assert loopback.asked == []


@pytest.mark.parametrize(
    ("model", "given", "why"),
    [
        ("flux-2-klein-4b", (picture(),) * 5, "at most 4"),
        ("flux-2-pro", (picture(),) * 9, "at most 8"),
        ("flux-kontext-max", (picture(),) * 5, "at most 4"),
        ("flux-3-image", (picture(),) * 11, "at most 10"),
        ("flux-dev", (picture(),) * 2, "at most 1"),
        ("flux-2-pro", (picture(5000, 4001),), "at most 20 megapixels"),
        ("flux-3-image", (picture(4000, 4001),), "at most 16 megapixels"),
        ("flux-3-image", (picture(255, 800),), "at least 256 px a side"),
        ("flux-2-pro", (replace(picture(), size_bytes=15_000_001),), "smaller than 15 MB"),
        ("flux-2-pro", (replace(picture(), role="mask"),), "no mask"),
    ],
)
def test_pictures_that_no_submission_takes_are_refused_at_the_quote_and_never_sent(
    serving, reply, model, given, why
):
    request = ImageRequest(model, "The same apron", inputs=given)
    with pytest.raises(BadInput, match=why) as refused:
        adapter_at("http://127.0.0.1:9").quote(request)
    assert refused.value.field == "inputs"
    error, loopback = submitted(serving, lambda asked: reply.of({}), request)
    assert (type(error), error.charge, loopback.asked) == (Refused, "free", [])


def test_a_picture_without_its_bytes_never_leaves(serving, reply):
    request = replace(REQUEST, inputs=(picture(), replace(picture(), content=b"")))
    error, loopback = submitted(serving, lambda asked: reply.of({}), request)
    assert (type(error), error.kind, error.charge) == (Refused, "bad_input_image", "free")
    assert loopback.asked == []


def test_what_leaves_with_pictures_is_that_request(serving, reply):
    request = replace(REQUEST, prompt="Äpfel — 日本", inputs=(picture(), picture(300, 300)))
    _, loopback = submitted(serving, lambda asked: reply.of({"id": "t1", "polling_url": ""}), request)
    (asked,) = loopback.asked
    assert asked.headers["content-type"] == "application/json"
    assert json.loads(asked.body) == wire_request(request)
    assert json.loads(asked.body)["input_image_2"] == base64.b64encode(png(300, 300)).decode()


# -- looking at the account -----------------------------------------------------------------------


def inspected(serving, answering, key: str = KEY):
    async def story():
        async with serving(answering) as loopback:
            client = GuardedClient(loopback.url, hosts=Flux.hosts, resolve=nowhere)
            adapter = Flux(Account(key, loopback.url, simulated=True), client)
            assert isinstance(adapter, Inspectable)
            try:
                return await adapter.inspect(), loopback
            finally:
                await client.aclose()

    return asyncio.run(story())


def test_the_credits_prove_the_key_and_are_the_balance(specs, serving, reply):
    recorded = example(specs, "bfl-credits-200")
    found, loopback = inspected(serving, lambda asked: reply.of(recorded["body"]))
    (asked,) = loopback.asked
    assert (asked.method, asked.path, asked.headers["x-key"]) == ("GET", "/v1/credits", KEY)
    assert (found.key_works, found.balance) == (True, round(recorded["body"]["credits"] * 10_000))


def test_a_key_that_is_refused_does_not_work(specs, serving, reply):
    recorded = example(specs, "bfl-error-403-not-authenticated")
    found, _ = inspected(serving, lambda asked: reply.of(recorded["body"], 403))
    assert (found.key_works, found.balance, found.detail) == (False, None, "Not authenticated")


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, {}), (200, {"credits": "many"}), (200, []), (429, {"detail": "Too many"}), (500, {"detail": "x"}),
     (503, "<html>"), (404, {"detail": "Not Found"})],
)  # fmt: skip
def test_what_the_credits_do_not_prove_is_not_claimed(serving, reply, status, body):
    sent = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    found, _ = inspected(serving, lambda asked: reply(status, sent))
    assert (found.key_works, found.balance) == (None, None)
    assert found.detail


def test_an_account_that_cannot_be_asked_says_nothing_of_the_key(serving, reply):
    found, _ = inspected(serving, lambda asked: reply(raw=b""))
    assert found.key_works is None
    assert "could not be asked" in found.detail
    found, loopback = inspected(serving, lambda asked: reply.of({}), key="")
    assert (found.key_works, loopback.asked) == (False, [])


@settings(max_examples=100)
@given(data=st.data())
def test_trap_10_flux_3_gets_a_ratio_and_a_class_and_no_field_of_the_others(data):
    """An extra field is a 422 there. A shape is never distorted: it is one of its own ratios, or refused."""
    card = next(card for card in CARDS if card.id == "flux-3-image")
    shape = data.draw(st.sampled_from(card.shapes))
    inputs = data.draw(st.just(()) | pictures(10))
    body = wire_request(ImageRequest(card.id, "An apron", shape, seed=7, inputs=inputs), CALLBACK)
    assert body["aspect_ratio"] == shape
    known = {"prompt", "images", "aspect_ratio", "resolution", "safety_tolerance", "grounding", "version"}
    assert set(body) <= known
    for other in CARDS:
        if other is not card:
            assert "images" not in wire_request(ImageRequest(other.id, "An apron", "1:1"))


# -- callbacks ----------------------------------------------------------------------------------

CALLBACK = CallbackAddress(f"https://shop.example/callbacks/{uuid4()}/{'f' * 48}", "5" * 64)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=requests())
def test_with_an_address_to_report_to_every_request_still_fits_the_specification(validators, request):
    body = wire_request(request, CALLBACK)
    validators[request.model].validate(body)
    asked = {"webhook_url": CALLBACK.url, "webhook_secret": CALLBACK.secret}
    # The strict schema of FLUX 3 has no such field.
    assert body == wire_request(request) | ({} if request.model == "flux-3-image" else asked)


def test_the_address_leaves_with_the_one_request(serving, reply):
    async def story():
        async with serving(lambda asked: reply.of({"id": "t1", "status": "Pending"})) as loopback:
            reference = replace(attempt(), callback=CALLBACK)
            return await adapter_at(loopback.url).submit(REQUEST, reference), loopback.asked

    ticket, asked = asyncio.run(story())
    assert [json.loads(each.body) for each in asked] == [wire_request(REQUEST, CALLBACK)]
    assert CALLBACK.secret not in repr(ticket)


def test_an_address_longer_than_they_take_is_left_out():
    url = "https://shop.example/" + "x" * 2083
    assert wire_request(REQUEST, replace(CALLBACK, url=url)) == wire_request(REQUEST)


@pytest.mark.parametrize(
    ("headers", "verdict"),
    [
        ({}, None),
        ({"x-bfl-signature": "{right}"}, True),
        ({"x-bfl-signature": " {right} "}, True),
        ({"x-webhook-secret": "{secret}"}, True),
        ({"x-bfl-signature": "{wrong}"}, False),
        ({"x-bfl-signature": ""}, False),
        ({"x-bfl-signature": "{secret}"}, False),
        ({"x-webhook-secret": ""}, False),
        ({"x-webhook-secret": "{wrong}"}, False),
        ({"x-bfl-signature": "{wrong}", "x-webhook-secret": "{secret}"}, False),
    ],
)
def test_a_signature_is_checked_where_there_is_one(headers, verdict):
    flux = adapter_at("http://127.0.0.1:9")
    assert isinstance(flux, CallsBack)
    body, secret = b'{"id": "t1"}', "a secret"
    right = "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()
    words = {"right": right, "wrong": right[:-1] + ("0" if right[-1] != "0" else "1"), "secret": secret}
    given_headers = {name: value.format(**words) for name, value in headers.items()}
    assert flux.vouches(body, given_headers, secret) is verdict


@pytest.mark.parametrize(
    ("body", "task"),
    [
        (b'{"id": "t1", "status": "Ready", "result": {}, "timestamp": "2026-11-26T12:00:00Z"}', "t1"),
        (b'{"status": "Ready"}', None),
        (b'{"id": ["t1"]}', None),
        (b'{"id": ""}', None),
        (b'{"id": "two words"}', None),
        (b'"t1"', None),
        (b"", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
    ],
)
def test_a_callback_is_read_for_the_tasks_number_and_nothing_else(body, task):
    assert adapter_at("http://127.0.0.1:9").task_of(body) == task


def test_the_task_that_a_callback_names_is_asked_for_like_any_other(serving, reply):
    def answering(asked):
        if asked.path.startswith("/delivery/"):
            return reply(200, PNG)
        return reply.of(ready(asked))

    async def story():
        async with serving(answering) as loopback:
            flux = adapter_at(loopback.url)
            return await flux.collect(flux.ticket_of("t/1?"), attempt()), loopback.asked

    delivery, asked = asyncio.run(story())
    assert asked[0].path == "/v1/get_result?id=t%2F1%3F"
    assert (asked[0].headers["x-key"], delivery.cost, delivery.request_id) == (KEY, None, "t/1?")
    ticket_survives_a_restart(adapter_at("http://127.0.0.1:9").ticket_of("t1"))


@pytest.mark.parametrize("status", [200, 404, 422])
def test_a_task_that_only_a_callback_named_and_nobody_knows_proves_nothing(serving, reply, status):
    body = {"id": "t1", "status": "Task not found"} if status == 200 else {"detail": "no"}
    error, _ = collected(serving, lambda asked: reply.of(body, status), told=True)
    assert (type(error), error.charge) == (Unsure, "unknown")


def test_a_task_without_a_polling_address_is_looked_for_in_each_region(monkeypatch):
    """An order with a webhook names none, and the global host may not know what a region took."""
    asked: list[tuple[str, object]] = []

    class Regions:
        base_url = Flux.default_base_url

        def at_base(self, url: str) -> bool:
            return url.startswith("/")

        async def get(self, url: str, *, headers: Mapping[str, str], **_: object) -> Answer:
            asked.append((url, headers.get("x-key")))
            status = "Pending" if url.startswith("https://api.us.") else "Task not found"
            return Answer(200, {}, json.dumps({"id": "t1", "status": status}).encode())

    flux = Flux(Account(KEY, Flux.default_base_url, simulated=False), Regions())
    old = {**flux.ticket_of("t1").state, "submitted_at": time.time() - 60}
    assert type(asyncio.run(flux.collect(Ticket(old), attempt()))) is Pending
    path = "/v1/get_result?id=t1"
    assert asked == [
        (path, KEY),
        (f"https://api.eu.bfl.ai{path}", KEY),
        (f"https://api.us.bfl.ai{path}", KEY),
    ]
    assert GuardedClient(Flux.default_base_url, hosts=Flux.hosts).allows(asked[2][0])


# -- recorded answers ---------------------------------------------------------------------------

# Answers to a submission. File: error class, kind.
SUBMISSIONS = {
    "bfl-submit-200": (Ticket, None),
    "bfl-submit-200-webhook": (Ticket, None),
    "bfl-error-402-insufficient-credits": (Misconfigured, "no_credit"),
    "bfl-error-403-not-authenticated": (Misconfigured, "bad_key"),
    "bfl-error-422-validation": (Refused, "bad_request"),
    "bfl-error-429": (TryLater, "rate_limited"),
}
# Answers to a poll, a minute after the submission. File: class, kind, charge.
RESULTS = {
    "bfl-result-ready": (Delivery, None, None),
    "bfl-result-pending": (Pending, None, None),
    "bfl-result-request-moderated": (Refused, "refused", "unknown"),
    "bfl-result-content-moderated": (Refused, "refused", "unknown"),
    "bfl-result-error-422": (Refused, "bad_request", "unknown"),
    "bfl-result-task-not-found": (BadAnswer, "expired", "charged"),
}
BALANCES = {"bfl-credits-200": 12_345_000}


def test_every_recorded_body_has_an_expected_outcome(specs):
    recorded = {path.stem for path in (specs / "examples").glob("bfl-*.json")}
    assert recorded == {*SUBMISSIONS, *RESULTS, *BALANCES}


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_a_recorded_answer_to_a_submission_ends_in_its_outcome(specs, serving, reply, name):
    kind_of, kind = SUBMISSIONS[name]
    recorded = example(specs, name)
    result, loopback = submitted(serving, lambda asked: reply.of(recorded["body"], recorded["status"]))
    assert type(result) is kind_of
    assert len(loopback.asked) == 1
    if isinstance(result, Ticket):
        body = recorded["body"]
        assert result.state["id"] == body["id"]
        # An answer that names no polling address (the webhook variant) is asked for below the base URL.
        assert result.state["polling_url"] == body.get("polling_url", f"/v1/get_result?id={body['id']}")
        assert result.cost == round(body["cost"] * 10_000)
        ticket_survives_a_restart(result)
    else:
        assert (result.kind, result.charge) == (kind, "free")
        assert result.reason
        assert len(result.raw) <= RAW_LIMIT


def test_a_validation_error_says_which_field(specs, serving, reply):
    recorded = example(specs, "bfl-error-422-validation")
    result, _ = submitted(serving, lambda asked: reply.of(recorded["body"], 422))
    assert result.reason == "seed: Extra inputs are not permitted"


@pytest.mark.parametrize("name", RESULTS)
def test_a_recorded_answer_to_a_poll_ends_in_its_outcome(specs, serving, reply, name):
    kind_of, kind, charge = RESULTS[name]
    recorded = example(specs, name)

    def answering(asked):
        if not asked.path.startswith("/v1/get_result"):
            return reply(200, PNG)
        # The delivery host cannot be here; everything else of the recorded link stays.
        text = json.dumps(recorded["body"]).replace(
            "https://delivery-us1.bfl.ai", f"http://{asked.headers['host']}"
        )
        return reply(recorded["status"], text.encode())

    result, loopback = collected(serving, answering)
    assert type(result) is kind_of
    if isinstance(result, ProviderError):
        assert (result.kind, result.charge, result.cost) == (kind, charge, 48_000)
        assert result.request_id == "t1"
    if isinstance(result, Delivery):
        delivery_is_complete(result, REQUEST)
        (image,) = result.images
        assert (image.content, image.media_type) == (PNG, "image/png")
        assert (result.cost, result.seed, result.request_id) == (48_000, 1234567890, "t1")
        poll, download = loopback.asked
        assert poll.headers["x-key"] == KEY
        assert download.path.startswith("/results/xx/yy/sample.jpeg?se=")
        assert "x-key" not in download.headers
        assert KEY not in str(download.headers)
        assert "sig=" not in result.raw


@pytest.mark.parametrize("name", BALANCES)
def test_the_balance_is_what_the_credits_are_worth(specs, serving, reply, name):
    recorded = example(specs, name)

    async def story():
        async with serving(lambda asked: reply.of(recorded["body"])) as loopback:
            assert (await adapter_at(loopback.url).inspect()).balance == BALANCES[name]
            assert loopback.asked[0].path == "/v1/credits"

    asyncio.run(story())


def test_moderation_reasons_are_told(specs, serving, reply):
    recorded = example(specs, "bfl-result-request-moderated")
    result, _ = collected(serving, lambda asked: reply.of(recorded["body"]))
    assert result.reason == "Request Moderated: Derivative Works Filter"


# -- submitting ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind_of", "kind"),
    [
        (500, {"detail": "Internal error"}, TryLater, "server_error"),
        (503, {"detail": "Overloaded"}, TryLater, "overloaded"),
        (500, "Internal Server Error", Unsure, "server_error"),
        (502, "<html>", Unsure, "server_error"),
        (408, {"detail": "Timeout"}, Unsure, "server_error"),
        (401, {"error": "Unauthorized", "message": "No key"}, Misconfigured, "bad_key"),
        (404, {"detail": "Not Found"}, Refused, "retired_model"),
        (400, {"detail": [{"loc": "odd", "msg": None}, 3]}, Refused, "bad_request"),
        (200, {"polling_url": "https://api.bfl.ai/x"}, BadAnswer, "bad_answer"),
        (200, {"id": ""}, BadAnswer, "bad_answer"),
        (200, {"id": 12}, BadAnswer, "bad_answer"),
        (200, {"id": "a\x00b"}, BadAnswer, "bad_answer"),
        (200, {"id": "\ud800"}, BadAnswer, "bad_answer"),
        (200, {"id": "x" * 201}, BadAnswer, "bad_answer"),
        (200, "<html>", BadAnswer, "bad_answer"),
    ],
)
def test_other_answers_to_a_submission_are_classed(serving, reply, status, body, kind_of, kind):
    sent = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    result, _ = submitted(serving, lambda asked: reply(status, sent))
    assert (type(result), result.kind) == (kind_of, kind)


def test_an_order_without_a_number_was_paid_for(serving, reply):
    result, _ = submitted(serving, lambda asked: reply.of({"cost": 3.5}))
    assert (type(result), result.charge, result.cost) == (BadAnswer, "charged", 35_000)


@pytest.mark.parametrize("cost", ["NaN", "-1", "null", '"4"', "1e99", "true"])
def test_a_cost_that_is_no_amount_is_unknown_and_the_task_goes_on(serving, reply, cost):
    body = f'{{"id": "t1", "polling_url": "https://api.bfl.ai/v1/get_result?id=t1", "cost": {cost}}}'.encode()
    result, _ = submitted(serving, lambda asked: reply(200, body))
    if cost == "NaN":  # not JSON at all
        assert isinstance(result, BadAnswer)
    else:
        assert isinstance(result, Ticket)
        assert result.cost is None


def test_a_wait_named_in_the_body_is_kept(serving, reply):
    result, _ = submitted(serving, lambda asked: reply.of({"message": "Slow down", "retry_after": 17}, 429))
    assert (result.after_s, result.reason) == (17, "Slow down")


@pytest.mark.parametrize(
    "polling_url",
    [
        "https://evil.example/v1/get_result?id=t1", "http://api.bfl.ai/v1/get_result?id=t1",
        "https://api.bfl.ai.evil.example/x", "https://127.0.0.1/x", "file:///etc/passwd", "",
        "https://api.bfl.ai@evil.example/",
    ],
)  # fmt: skip
def test_trap_8_a_polling_address_elsewhere_is_not_believed_and_the_task_is_asked_for_here(
    serving, reply, polling_url
):
    async def story():
        async with serving(lambda asked: reply.of({"id": "t/1", "polling_url": polling_url})) as loopback:
            adapter = adapter_at(loopback.url)
            ticket = await adapter.submit(REQUEST, attempt())
            assert isinstance(ticket, Ticket)
            loopback.answering = lambda asked: reply.of({"status": "Pending"})
            assert isinstance(await adapter.collect(ticket, attempt()), Pending)
            assert loopback.asked[-1].path == "/v1/get_result?id=t%2F1"
            assert loopback.asked[-1].headers["x-key"] == KEY

    asyncio.run(story())


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"])
def test_a_cut_submission_leaves_the_charge_unknown_and_is_not_repeated(serving, reply, raw):
    result, loopback = submitted(serving, lambda asked: reply(raw=raw))
    assert (type(result), result.kind, result.charge) == (Unsure, "cut_off", "unknown")
    assert len(loopback.asked) == 1


def test_a_late_answer_to_a_submission_leaves_the_charge_unknown(serving, reply):
    async def never(asked):
        await asyncio.sleep(60)
        return reply()

    result, _ = submitted(serving, never, deadline_s=1.0)
    assert (type(result), result.kind) == (Unsure, "timeout")


# -- collecting ---------------------------------------------------------------------------------


def test_any_process_can_collect_with_the_stored_ticket(serving, reply):
    def answering(asked):
        if asked.method == "POST":
            url = f"http://{asked.headers['host']}/v1/get_result?id=t1"
            return reply.of({"id": "t1", "polling_url": url, "cost": 3})
        return reply(200, PNG) if asked.path.startswith("/delivery") else reply.of(ready(asked))

    async def story():
        async with serving(answering) as loopback:
            ticket = await adapter_at(loopback.url).submit(REQUEST, attempt())
            stored = json.loads(json.dumps({"state": ticket.state, "cost": ticket.cost}))
            later = Ticket(stored["state"], ticket.request_id, stored["cost"])
            delivery = await adapter_at(loopback.url).collect(later, attempt())
            assert (delivery.cost, delivery.seed, len(delivery.images)) == (30_000, 42, 1)

    asyncio.run(story())


@pytest.mark.parametrize("status", ["Pending", "Reasoning", "Generating", "Something new", "pending"])
def test_trap_9_a_status_nobody_told_us_of_is_still_working(serving, reply, status):
    result, _ = collected(serving, lambda asked: reply.of({"id": "t1", "status": status}))
    assert isinstance(result, Pending)


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 503, "body": b"{}"}, {"status": 429, "body": b'{"detail":"Too many requests"}'},
        {"status": 500, "body": b"<html>"}, {"status": 200, "body": b"<html>"},
        {"status": 403, "body": b"{}"},
        {"status": 302, "headers": {"location": "https://evil.example"}}, {"raw": b""},
        {"raw": b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"},
    ],
)  # fmt: skip
def test_trouble_while_asking_never_ends_a_paid_task(serving, reply, answer):
    result, _ = collected(serving, lambda asked: reply(**answer))
    assert isinstance(result, Pending)


def test_the_pace_of_asking_slows_with_the_tasks_age(serving, reply):
    paces = [
        collected(serving, lambda asked: reply.of({"status": "Pending"}), age_s=age)[0].after_s
        for age in (-100, 0, 5, 10, 100)
    ]
    assert paces == pytest.approx([0.5, 0.5, 1, 2, 3], abs=0.4)


@pytest.mark.parametrize(("http_status", "status"), [(503, "Error"), (200, "Failed"), (200, "Error")])
def test_trap_9_a_failed_task_is_over_whatever_its_http_status(serving, reply, http_status, status):
    result, _ = collected(serving, lambda asked: reply.of({"status": status}, http_status))
    assert (type(result), result.kind, result.charge) == (BadAnswer, "server_error", "unknown")


@pytest.mark.parametrize("http_status", [422, 503, 500])
def test_trap_9_a_status_in_the_body_counts_whatever_the_http_status(serving, reply, http_status):
    working, _ = collected(serving, lambda asked: reply.of({"status": "Reasoning"}, http_status))
    assert isinstance(working, Pending)
    body = {"status": "Content Moderated", "details": {"Moderation Reasons": ["NSFW"]}}
    refused, _ = collected(serving, lambda asked: reply.of(body, http_status))
    assert (type(refused), refused.kind) == (Refused, "refused")

    def answering(asked):
        return reply(200, PNG) if asked.path.startswith("/delivery/") else reply.of(ready(asked), http_status)

    delivery, _ = collected(serving, answering)
    assert isinstance(delivery, Delivery)


@pytest.mark.parametrize("http_status", [200, 404])
def test_a_task_not_found_right_after_submission_is_given_time(serving, reply, http_status):
    body = {"id": "t1", "status": "Task not found"}
    early, _ = collected(serving, lambda asked: reply.of(body, http_status), age_s=2)
    assert isinstance(early, Pending)
    late, _ = collected(serving, lambda asked: reply.of(body, http_status), age_s=11)
    assert (type(late), late.kind, late.charge, late.cost) == (BadAnswer, "expired", "charged", 48_000)


def test_a_dead_link_is_asked_for_again_and_the_fresh_one_delivers(serving, reply):
    polls = []

    def answering(asked):
        if asked.path.startswith("/v1/get_result"):
            polls.append(asked)
            link = f"http://{asked.headers['host']}/delivery/{len(polls)}"
            return reply.of({"status": "Ready", "result": {"sample": link}})
        return reply(200, PNG) if asked.path == "/delivery/2" else reply(403, b"<Error>expired</Error>")

    result, _ = collected(serving, answering)
    assert isinstance(result, Delivery)
    assert len(polls) == 2


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_link_that_stays_dead_was_paid_for(serving, reply, status):
    def answering(asked):
        return reply.of(ready(asked)) if asked.path.startswith("/v1/") else reply(status, b"gone")

    result, loopback = collected(serving, answering)
    assert (type(result), result.kind, result.charge, result.cost) == (
        BadAnswer,
        "expired",
        "charged",
        48_000,
    )
    assert len(loopback.asked) == 4


@pytest.mark.parametrize("answer", [{"status": 503}, {"status": 429}, {"raw": b""}])
def test_a_download_that_breaks_is_tried_again_later(serving, reply, answer):
    result, _ = collected(
        serving, lambda asked: reply.of(ready(asked)) if asked.path.startswith("/v1/") else reply(**answer)
    )
    assert isinstance(result, Pending)


@pytest.mark.parametrize(
    "sample",
    [
        "https://evil.example/a.png", "http://delivery-us1.bfl.ai/a.png", "https://169.254.169.254/latest",
        "file:///etc/passwd", "", None, 7, "https://user@delivery-us1.bfl.ai/a.png", "gopher://127.0.0.1/",
    ],
)  # fmt: skip
def test_a_link_to_elsewhere_is_never_followed(serving, reply, sample):
    result, loopback = collected(serving, lambda asked: reply.of(ready(asked, sample=sample)))
    assert (type(result), result.kind, result.cost) == (BadAnswer, "bad_answer", 48_000)
    assert len(loopback.asked) == 1


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"<html>", PNG[:20]])
def test_a_picture_that_cannot_be_read_was_paid_for(serving, reply, content):
    result, _ = collected(
        serving,
        lambda asked: reply.of(ready(asked)) if asked.path.startswith("/v1/") else reply(200, content),
    )
    assert (type(result), result.kind, result.charge, result.cost) == (
        BadAnswer,
        "bad_answer",
        "charged",
        48_000,
    )


def test_trap_8_the_polling_address_is_followed_and_the_key_goes_to_the_apis_own_hosts_only():
    """Delivery hosts are on the list of hosts as well, and must never see it."""
    seen = []

    class Watched(GuardedClient):
        async def get(self, url, *, headers=None, deadline_s, max_bytes):
            seen.append((url, dict(headers or {})))
            return await super().get(url, headers=headers, deadline_s=deadline_s, max_bytes=max_bytes)

    async def story():
        client = Watched("https://api.bfl.ai", hosts=Flux.hosts, resolve=nowhere)
        flux = Flux(Account(KEY, "https://api.bfl.ai", simulated=False), client)
        for url in (
            "https://api.bfl.ai/v1/get_result?id=1",
            "https://api.us1.bfl.ai/v1/get_result?id=1",
            "/v1/get_result?id=1",
            "https://delivery-us1.bfl.ai/v1/get_result?id=1",
        ):
            state = {"id": "1", "polling_url": url, "submitted_at": 0}
            assert isinstance(await flux.collect(Ticket(state), attempt()), Pending)

    asyncio.run(story())
    assert [bool(headers) for _, headers in seen] == [True, True, True, False]
    assert seen[1][0] == "https://api.us1.bfl.ai/v1/get_result?id=1", "as given, not as one would build it"


# -- damaged answers ----------------------------------------------------------------------------


def test_three_hundred_damaged_answers_raise_nothing_unexpected(specs, serving, reply):
    """To submissions, polls and downloads alike: a result, or an error that the flow knows."""
    chance = random.Random(20261122)
    bodies = [example(specs, name) for name in (*SUBMISSIONS, *RESULTS, *BALANCES)]

    def answering(asked):
        recorded = copy.deepcopy(chance.choice(bodies))
        text = json.dumps(recorded).replace("https://delivery-us1.bfl.ai", f"http://{asked.headers['host']}")
        return damage(json.loads(text), chance, reply)

    async def story() -> set[str]:
        seen = set()
        async with serving(answering) as loopback:
            adapter = adapter_at(loopback.url)
            for turn in range(300):
                if turn % 3:
                    ticket = ticket_for(loopback.url, age_s=chance.choice([0, 60]))
                    result = await ending(adapter.collect(ticket, attempt()))
                    assert isinstance(result, Delivery | Pending | ProviderError)
                else:
                    result = await ending(adapter.submit(REQUEST, attempt()))
                    assert isinstance(result, Ticket | ProviderError)
                if isinstance(result, Ticket):
                    json.dumps(result.state)
                if isinstance(result, ProviderError):
                    assert result.cost is None or result.cost >= 0
                    (result.raw + result.reason).encode()
                seen.add(type(result).__name__)
        return seen

    assert asyncio.run(story()) >= {"Ticket", "Pending", "BadAnswer", "Refused", "TryLater", "Misconfigured"}


NONSENSE = [None, True, -1, 0, 1.5, 10**25, "", "x" * 3000, "\ud800", "\x00", [], {}, [[[]]], {"a": None}]


def damage(recorded: dict, chance: random.Random, reply):
    """The recorded answer with another status, a value replaced, or its bytes cut or shuffled."""
    status = chance.choice([recorded["status"]] * 4 + [200, 204, 400, 404, 422, 500, 503])
    document = recorded["body"]
    for _ in range(chance.randint(0, 3)):
        _replace_one(document, chance)
    body = json.dumps(document).encode()
    if chance.random() < 0.15:
        body = body[: chance.randrange(len(body) + 1)]
    if chance.random() < 0.1:
        body = bytes(chance.randrange(256) for _ in range(200))
    if chance.random() < 0.05:
        body = b'{"id":' * 50_000
    return reply(status, b"" if status == 204 else body, {"retry-after": chance.choice(["3", "-1", "no"])})


def _replace_one(value: object, chance: random.Random) -> None:
    while True:
        if isinstance(value, dict) and value:
            key = chance.choice(list(value))
        elif isinstance(value, list) and value:
            key = chance.randrange(len(value))
        else:
            return
        if chance.random() < 0.4 or not isinstance(value[key], dict | list):
            value[key] = copy.deepcopy(chance.choice(NONSENSE))
            return
        value = value[key]
