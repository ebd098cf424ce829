"""The OpenAI adapter against OpenAI's own words: its specification, its recorded bodies, and damaged ones."""

import asyncio
import base64
import copy
import json
import random
import struct
import zlib
from dataclasses import replace
from datetime import date
from uuid import uuid4

import jsonschema
import pytest
import referencing
from hypothesis import HealthCheck, assume, given, settings
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
from packshot.providers.conformance import delivery_is_complete
from packshot.providers.contract import (
    RAW_LIMIT,
    Account,
    AttemptRef,
    Delivery,
    ImageRequest,
    InputImage,
    Inspectable,
    Inspection,
    ModelCard,
    Role,
)
from packshot.providers.http import GuardedClient
from packshot.providers.multipart import Upload, form
from packshot.providers.openai import CARDS, OpenAI, wire_edit, wire_request
from tests.forms import read

KEY = "sk-proj-1234567890abcdef"
LIVING = [card for card in CARDS if not card.retired]
REQUEST = ImageRequest("gpt-image-2", "A linen apron on a wooden table")
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def png(width_px: int, height_px: int, *, alpha: bool = False) -> bytes:
    """A PNG as far as anybody reads it before it is sent."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 6 if alpha else 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def picture(
    width_px: int = 640, height_px: int = 480, role: Role = "image", *, alpha: bool = False
) -> InputImage:
    content = png(width_px, height_px, alpha=alpha)
    return InputImage(role, "image/png", width_px, height_px, len(content), content)


EDIT = replace(REQUEST, inputs=(picture(),))


def attempt(deadline_s: float = 30.0) -> AttemptRef:
    return AttemptRef(uuid4(), 1, deadline_s)


def outcome(serving, answering, request: ImageRequest = REQUEST, *, deadline_s: float = 30.0):
    """What the adapter makes of the server's answer, and the server with what it was asked."""

    async def story():
        async with serving(answering) as loopback:
            client = GuardedClient(loopback.url)
            adapter = OpenAI(Account(KEY, loopback.url, simulated=True), client)
            try:
                return await adapter.submit(request, attempt(deadline_s)), loopback
            except ProviderError as error:
                return error, loopback
            finally:
                await client.aclose()

    return asyncio.run(story())


def example(specs, reply, name: str):
    recorded = json.loads((specs / "examples" / f"{name}.json").read_text())["response"]
    return reply(recorded["status"], json.dumps(recorded["body"]).encode(), recorded["headers"])


# -- what it sends ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema(specs):
    """OpenAI's request schema of August 2026 with November's changes, strict about what it does not name."""
    document = json.loads((specs / "openai-images.openapi.json").read_text())
    delta = json.loads((specs / "openai-images.delta-2026-11.json").read_text())
    wanted = document["components"]["schemas"]["CreateImageRequest"]
    properties = wanted["properties"]
    properties["model"] = {"enum": delta["model_enum"]}
    properties["quality"] = {"enum": delta["quality_enum"]}
    properties["output_format"] = {"enum": delta["output_format_enum"]}
    properties["complexity"] = {"enum": delta["generate_new_fields"]["complexity"]}
    properties["output_compression"] |= {"minimum": 0, "maximum": 100}
    for field in delta["deprecated_values"]["fields"]:
        del properties[field]
    wanted["additionalProperties"] = False
    resource = referencing.Resource(document, DRAFT202012)
    registry = referencing.Registry().with_resource("spec", resource)
    return jsonschema.Draft202012Validator(
        {"$ref": "spec#/components/schemas/CreateImageRequest"}, registry=registry
    )


@pytest.fixture(scope="module")
def edit_schema(specs):
    """The same for the form of an edit; a file is text to a schema."""
    document = json.loads((specs / "openai-images.openapi.json").read_text())
    delta = json.loads((specs / "openai-images.delta-2026-11.json").read_text())
    wanted = document["components"]["schemas"]["CreateImageEditRequest"]
    properties = wanted["properties"]
    properties["model"] = {"enum": delta["model_enum"]}
    properties["quality"] = {"enum": delta["quality_enum"]}
    properties["complexity"] = {"enum": delta["edit_new_fields"]["complexity"]}
    properties["output_compression"] |= {"minimum": 0, "maximum": 100}
    properties["image"] = properties["image"]["anyOf"][1]  # we always send a list
    for field in {"response_format", "user"}:
        del properties[field]
    wanted["additionalProperties"] = False
    registry = referencing.Registry().with_resource("spec", referencing.Resource(document, DRAFT202012))
    return jsonschema.Draft202012Validator(
        {"$ref": "spec#/components/schemas/CreateImageEditRequest"}, registry=registry
    )


@st.composite
def requests(draw: st.DrawFn, *, edits: bool = False) -> ImageRequest:
    card: ModelCard = draw(st.sampled_from(LIVING))
    options = {}
    for option in card.options:
        if option.name == ("moderation" if edits else "input_fidelity"):
            continue  # of the other kind of call
        values = {
            "choice": st.sampled_from(option.choices or ("",)),
            "integer": st.integers(option.minimum or 0, option.maximum or 0),
            "boolean": st.booleans(),
        }[option.kind]
        if draw(st.booleans()):
            options[option.name] = draw(values)
    return ImageRequest(
        model=card.id,
        prompt=draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)),
        shape=draw(st.sampled_from(card.shapes)),
        images=draw(st.integers(1, card.max_images)),
        seed=draw(st.none() | st.integers(0, 2**32)),
        options=options,
        inputs=draw(pictures()) if edits else (),
    )


@st.composite
def pictures(draw: st.DrawFn) -> tuple[InputImage, ...]:
    """One to sixteen of any size, and perhaps a mask for the first."""
    sides = st.integers(1, 5000)
    given = [picture(draw(sides), draw(sides)) for _ in range(draw(st.integers(1, 16)))]
    if draw(st.booleans()):
        mask = picture(given[0].width_px, given[0].height_px, "mask", alpha=True)
        given.insert(draw(st.integers(0, len(given))), mask)
    return tuple(given)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=requests())
def test_every_request_it_can_send_fits_the_specification(schema, request):
    try:
        body = wire_request(request)
    except BadInput:
        assume(False)
    schema.validate(body)
    width, height = (int(side) for side in body["size"].split("x"))
    assert width % 16 == height % 16 == 0
    assert 1 / 3 <= width / height <= 3
    assert 655_360 <= width * height <= 8_294_400
    if request.model in ("gpt-image-1.5", "gpt-image-1-mini", "chatgpt-image-latest"):
        assert body["size"] in ("1024x1024", "1536x1024", "1024x1536")
    if body["background"] == "transparent":
        assert body["output_format"] in ("png", "webp")
    if "output_compression" in body:
        assert body["output_format"] in ("jpeg", "webp")


def as_document(parts: list[tuple[str, str | Upload]]) -> dict[str, object]:
    """A form's parts as the JSON that its schema describes."""
    document: dict[str, object] = {}
    for name, value in parts:
        if name.endswith("[]"):
            assert isinstance(value, Upload)
            document.setdefault(name[:-2], []).append(value.content.decode("latin-1"))
        elif isinstance(value, Upload):
            document[name] = value.content.decode("latin-1")
        else:
            assert name not in document, f"{name} twice"
            document[name] = int(value) if name in ("n", "output_compression") else value
    return document


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=requests(edits=True))
def test_every_edit_it_can_send_fits_the_specification(edit_schema, request):
    try:
        parts = read(*form(wire_edit(request)))
    except BadInput:
        assume(False)
    document = as_document(parts)
    edit_schema.validate(document)
    sent = [value for _, value in parts if isinstance(value, Upload)]
    mask = request.input("mask")
    given = [each for each in request.inputs if each.role == "image"]
    # In the order in which the prompt may speak of them, the mask at the end, and nothing lost on the way.
    assert [each.content for each in sent] == [each.content for each in [*given, *([mask] if mask else [])]]
    assert {each.media_type for each in sent} == {"image/png"}
    assert ("mask" in document) == (mask is not None)
    if "input_fidelity" in document:
        assert request.model in ("gpt-image-1.5", "chatgpt-image-latest")
    if document["background"] == "transparent":
        assert document["output_format"] in ("png", "webp")


def test_every_model_in_every_shape_with_every_choice_fits_the_specification(schema):
    sent = 0
    for card in LIVING:
        for shape in card.shapes:
            for option in card.options:
                for choice in option.choices:
                    if option.name == "input_fidelity":
                        continue  # of an edit
                    companions = {"output_format": "webp"} if option.name != "output_format" else {}
                    request = ImageRequest(card.id, "x", shape, options={**companions, option.name: choice})
                    schema.validate(wire_request(request))
                    sent += 1
    assert sent > 1000


def test_what_leaves_is_that_request_with_the_key(serving, reply):
    request = ImageRequest("gpt-image-2", "Äpfel — 日本", "4:5", 2, options={"quality": "high"})
    _, loopback = outcome(serving, lambda asked: reply.of({}), request)
    (asked,) = loopback.asked
    assert (asked.method, asked.path) == ("POST", "/v1/images/generations")
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert json.loads(asked.body) == wire_request(request)


def test_what_leaves_for_an_edit_is_its_form_with_the_key(serving, reply):
    request = replace(
        EDIT, prompt="Äpfel — 日本", inputs=(picture(), picture(64, 64), picture(role="mask", alpha=True))
    )
    _, loopback = outcome(serving, lambda asked: reply.of({}), request)
    (asked,) = loopback.asked
    assert (asked.method, asked.path) == ("POST", "/v1/images/edits")
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    parts = read(asked.body, asked.headers["content-type"])
    assert parts == list(wire_edit(request))
    assert dict(parts)["prompt"] == "Äpfel — 日本"
    assert [name for name, _ in parts][-3:] == ["image[]", "image[]", "mask"]
    assert "moderation" not in dict(parts)


def with_mask(mask: InputImage, **options: object) -> ImageRequest:
    return replace(EDIT, inputs=(picture(), mask), options=options)


@pytest.mark.parametrize(
    "request_",
    [
        with_mask(picture(641, 480, "mask", alpha=True)),
        with_mask(replace(picture(role="mask", alpha=True), media_type="image/webp")),
        with_mask(replace(picture(role="mask", alpha=True), size_bytes=4_000_000)),
        replace(EDIT, inputs=(replace(picture(), size_bytes=50_000_000),)),
        replace(EDIT, inputs=(picture(),) * 17),
        replace(EDIT, inputs=(picture(role="mask", alpha=True),)),
        replace(EDIT, inputs=(picture(), picture(role="style"))),
        replace(EDIT, inputs=(picture(), *[picture(role="mask", alpha=True)] * 2)),
    ],
    ids=["mask of another size", "mask that is no PNG", "mask too heavy", "picture too heavy", "too many",
         "a mask alone", "a style", "two masks"],
)  # fmt: skip
def test_pictures_that_no_edit_takes_are_refused_at_the_quote_and_never_sent(serving, reply, request_):
    with pytest.raises(BadInput) as refused:
        OpenAI(Account("", "https://api.openai.com", simulated=True), None).quote(request_)
    assert refused.value.field == "inputs"
    error, loopback = outcome(serving, lambda asked: reply.of({}), request_)
    assert (type(error), error.charge, loopback.asked) == (Refused, "free", [])


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (with_mask(picture(role="mask")), "no transparency"),
        (replace(EDIT, inputs=(replace(picture(), content=b""),)), "no bytes"),
    ],
)
def test_bytes_that_no_edit_takes_never_leave(serving, reply, request_, why):
    error, loopback = outcome(serving, lambda asked: reply.of({}), request_)
    assert (type(error), error.kind, error.charge) == (Refused, "bad_input_image", "free")
    assert why in error.reason
    assert loopback.asked == []


def test_an_edit_whose_usage_does_not_tell_pictures_from_words_has_no_cost(serving, reply):
    """Pictures cost more than words, so reading their tokens as words would book too little."""
    data = [{"b64_json": base64.b64encode(PNG).decode()}]
    usage = {"input_tokens": 300, "output_tokens": 100, "total_tokens": 400}
    result, _ = outcome(serving, lambda asked: reply.of({"data": data, "usage": usage}), EDIT)
    assert result.cost is None
    usage["input_tokens_details"] = {"text_tokens": 10, "image_tokens": 290}
    result, _ = outcome(serving, lambda asked: reply.of({"data": data, "usage": usage}), EDIT)
    assert result.cost == 10 * 5 + 290 * 8 + 100 * 30


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (ImageRequest("gpt-image-1.5", "x", options={"input_fidelity": "high"}), "input_fidelity"),
        (replace(EDIT, options={"input_fidelity": "high"}), "input_fidelity"),
        (replace(EDIT, model="gpt-image-1-mini", options={"input_fidelity": "low"}), "input_fidelity"),
        (replace(EDIT, options={"moderation": "low"}), "moderation"),
        (ImageRequest("gpt-image-2", "x", options={"quality": "xhigh"}), "quality"),
        (ImageRequest("gpt-image-2", "x", options={"complexity": "low"}), "complexity"),
        (ImageRequest("gpt-image-2.5-flare", "x", options={"complexity": "low"}), "complexity"),
        (ImageRequest("gpt-image-2", "x", options={"response_format": "url"}), "response_format"),
        (ImageRequest("gpt-image-2", "x", options={"style": "vivid"}), "style"),
        (
            ImageRequest("gpt-image-2", "x", options={"background": "transparent", "output_format": "jpeg"}),
            "background",
        ),
        (ImageRequest("gpt-image-2", "x", options={"output_compression": 50}), "output_compression"),
        (ImageRequest("gpt-image-1.5", "x", "16:9"), "shape"),
        (ImageRequest("gpt-image-2", "x" * 32_001), "prompt"),
        (ImageRequest("gpt-image-2", "\ud800"), "prompt"),
        (ImageRequest("dall-e-3", "x"), "model"),
        (ImageRequest("gpt-image-1", "x"), "model"),
    ],
)
def test_what_no_call_can_ask_is_refused_at_the_quote_and_never_sent(serving, reply, request_, field):
    with pytest.raises(BadInput) as refused:
        (wire_edit if request_.inputs else wire_request)(request_)
    assert refused.value.field == field
    error, loopback = outcome(serving, lambda asked: reply.of({}), request_)
    assert isinstance(error, Refused)
    assert error.kind == ("retired_model" if field == "model" else "bad_request")
    assert error.charge == "free"
    assert loopback.asked == []


@pytest.mark.parametrize("key", ["", "sk-one two", "sk-\n", "sk-\N{BULLET}"])
def test_a_key_that_cannot_be_one_never_leaves(serving, reply, key):
    async def story():
        async with serving(lambda asked: reply.of({})) as loopback:
            adapter = OpenAI(Account(key, loopback.url, simulated=True), GuardedClient(loopback.url))
            with pytest.raises(Misconfigured) as refused:
                await adapter.submit(REQUEST, attempt())
            assert refused.value.kind == "bad_key"
            assert loopback.asked == []

    asyncio.run(story())


# -- recorded answers ---------------------------------------------------------------------------

# File: error class, kind, charge, cost in micro-dollars.
RECORDED = {
    # An edit's answer has the shape of a generation's; this one carries no usage, so its cost is unknown.
    "openai-edit-200": (Delivery, None, None, None),
    "openai-generate-200": (Delivery, None, None, 10 * 5 + 40 * 8 + 50 * 30),
    # Not the answer to a generation: a 200 without a picture, as a misrouted base URL would give.
    "openai-model-object-shutdown-date": (BadAnswer, "bad_answer", "charged", None),
    "openai-error-400-input-fidelity": (Refused, "bad_request", "free", None),
    "openai-error-400-invalid-image-file": (Refused, "bad_input_image", "free", None),
    "openai-error-400-model-retired": (Refused, "retired_model", "free", None),
    "openai-error-400-moderation-input": (Refused, "refused", "free", None),
    "openai-error-400-moderation-output": (Refused, "refused", "unknown", None),
    "openai-error-400-unknown-parameter": (Refused, "bad_request", "free", None),
    "openai-error-401-invalid-key": (Misconfigured, "bad_key", "free", None),
    "openai-error-403-organization-unverified": (Misconfigured, "not_verified", "free", None),
    "openai-error-429-images-per-minute": (TryLater, "rate_limited", "free", None),
    "openai-error-429-spend-limit": (Misconfigured, "no_credit", "free", None),
}


def test_every_recorded_body_has_an_expected_outcome(specs):
    assert {path.stem for path in (specs / "examples").glob("openai-*.json")} == set(RECORDED)


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_answer_ends_in_its_outcome(specs, serving, reply, name):
    kind_of, kind, charge, cost = RECORDED[name]
    result, loopback = outcome(serving, lambda asked: example(specs, reply, name))
    assert type(result) is kind_of
    assert result.cost == cost
    assert len(loopback.asked) == 1
    if isinstance(result, ProviderError):
        assert (result.kind, result.charge) == (kind, charge)
        assert result.reason
    else:
        delivery_is_complete(result, REQUEST)
        (image,) = result.images
        assert (image.content, image.media_type) == (PNG, "image/png")
        assert (image.width_px, image.height_px) == (1, 1)
    assert len(result.raw) <= RAW_LIMIT
    assert base64.b64encode(PNG).decode() not in result.raw


def test_the_wait_of_a_rate_limit_is_the_providers(specs, serving, reply):
    result, _ = outcome(serving, lambda asked: example(specs, reply, "openai-error-429-images-per-minute"))
    assert result.after_s == 12


@pytest.mark.parametrize(
    ("headers", "message", "after_s"),
    [
        ({"retry-after-ms": "2500", "retry-after": "9"}, "", 2.5),
        ({"retry-after": "7"}, "Please try again in 12s.", 7),
        ({"retry-after": "99999"}, "", 900),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, "", 0),
        ({}, "Please try again in 1m26.4s.", 86.4),
        ({}, "Please try again in 20ms.", 0.02),
        ({"retry-after": "soon"}, "", 20),
        ({"retry-after": "-5"}, "", 20),
    ],
)
def test_a_wait_is_read_wherever_it_stands(serving, reply, headers, message, after_s):
    body = {"error": {"message": message, "type": "rate_limit_exceeded", "code": "rate_limit_exceeded"}}
    result, _ = outcome(serving, lambda asked: reply.of(body, 429, **headers))
    assert isinstance(result, TryLater)
    assert result.after_s == pytest.approx(after_s)


def test_the_shutdown_date_on_the_model_object_is_the_cards(specs):
    body = json.loads((specs / "examples" / "openai-model-object-shutdown-date.json").read_text())["response"]
    document = body["body"]
    card = next(card for card in CARDS if card.id == document["id"])
    assert card.retires_on == date.fromisoformat(document["shutdown_date"])
    assert card.retired


def test_retirements_are_those_of_the_november_delta(specs):
    delta = json.loads((specs / "openai-images.delta-2026-11.json").read_text())
    cards = {card.id: card for card in CARDS}
    assert set(cards) == set(delta["model_enum"])
    for model, on in (delta["retired"] | delta["scheduled"]).items():
        assert cards[model].retires_on == date.fromisoformat(on)
        assert cards[model].retired == (model in delta["retired"])


def test_a_model_is_retired_on_the_day_it_stops(monkeypatch):
    adapter = OpenAI(Account("", "https://api.openai.com", simulated=True), None)

    def standing(day: date) -> dict[str, bool]:
        monkeypatch.setattr("packshot.providers.openai.today", lambda: day)
        return {card.id: card.retired for card in adapter.models()}

    before, after = standing(date(2026, 11, 30)), standing(date(2026, 12, 1))
    assert {model for model in after if after[model] and not before[model]} == {
        "gpt-image-1.5", "chatgpt-image-latest", "gpt-image-1-mini",
    }  # fmt: skip
    with pytest.raises(BadInput, match="retired by its provider; use gpt-image-2"):
        adapter.quote(ImageRequest("gpt-image-1-mini", "An apron"))


# -- looking at the account -----------------------------------------------------------------------


def inspected(serving, answering, key: str = KEY) -> tuple[Inspection, object]:
    async def story():
        async with serving(answering) as loopback:
            client = GuardedClient(loopback.url)
            adapter = OpenAI(Account(key, loopback.url, simulated=True), client)
            assert isinstance(adapter, Inspectable)
            try:
                return await adapter.inspect(), loopback
            finally:
                await client.aclose()

    return asyncio.run(story())


def models(*entries: object) -> dict[str, object]:
    return {"object": "list", "data": list(entries)}


def test_the_list_of_models_proves_the_key_and_says_what_stops(specs, serving, reply):
    recorded = json.loads((specs / "examples" / "openai-model-object-shutdown-date.json").read_text())
    listed = models(
        recorded["response"]["body"],
        {"id": "gpt-image-1.5", "object": "model", "shutdown_date": "2026-12-01"},
        {"id": "gpt-image-2", "object": "model", "shutdown_date": None},
        {"id": "gpt-4o", "object": "model", "shutdown_date": "2026-12-24"},
    )
    found, loopback = inspected(serving, lambda asked: reply.of(listed))
    (asked,) = loopback.asked
    assert (asked.method, asked.path) == ("GET", "/v1/models")
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert found.key_works is True
    # Only what is known by name here: the account's other models are none of Packshot's business.
    assert found.stops == {"gpt-image-1": date(2026, 10, 23), "gpt-image-1.5": date(2026, 12, 1)}


@pytest.mark.parametrize(
    ("status", "body", "works"),
    [
        (
            401,
            {"error": {"message": f"Incorrect API key provided: {KEY}.", "code": "invalid_api_key"}},
            False,
        ),
        (403, {"error": {"message": "Missing scopes: api.model.read"}}, None),
        (429, {"error": {"message": "Slow down", "code": "rate_limit_exceeded"}}, None),
        (500, "<html>", None),
        (200, "<html>", None),
        (200, {"data": None}, None),
        (200, [], None),
    ],
)
def test_what_the_list_does_not_prove_is_not_claimed(serving, reply, status, body, works):
    sent = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    found, _ = inspected(serving, lambda asked: reply(status, sent))
    assert found.key_works is works
    assert found.detail
    assert KEY not in found.detail
    assert found.stops == {}


def test_a_list_with_nonsense_in_it_says_what_can_be_read(serving, reply):
    listed = models(
        None, 7, {}, {"id": 5}, {"id": "gpt-image-2", "shutdown_date": "soon"},
        {"id": "gpt-image-1-mini", "shutdown_date": "2026-12-01T00:00:00Z"}, {"id": "gpt-image-1.5"},
    )  # fmt: skip
    found, _ = inspected(serving, lambda asked: reply.of(listed))
    assert (found.key_works, found.stops) == (True, {"gpt-image-1-mini": date(2026, 12, 1)})
    assert found.detail == "The key works."
    elsewhere, _ = inspected(serving, lambda asked: reply.of(models({"id": "llama-4"})))
    assert (elsewhere.key_works, elsewhere.stops) == (True, {})
    assert "no image model" in elsewhere.detail


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 90000000\r\n\r\n{"])
def test_a_provider_that_cannot_be_asked_says_nothing_of_the_key(serving, reply, raw):
    found, _ = inspected(serving, lambda asked: reply(raw=raw))
    assert found.key_works is None
    assert "could not be asked" in found.detail


def test_a_key_that_is_not_set_is_known_not_to_work(serving, reply):
    found, loopback = inspected(serving, lambda asked: reply.of(models()), key="")
    assert (found.key_works, loopback.asked) == (False, [])
    assert "OPENAI_API_KEY is not set" in found.detail


# -- the traps: reference/providers.md, section 8 -------------------------------------------------


def test_trap_1_a_retired_model_is_a_400_and_not_asked_for_here(specs, serving, reply):
    """OpenAI answers 400, not 404; what it stops later is known from its list of models."""
    answering = lambda asked: example(specs, reply, "openai-error-400-model-retired")  # noqa: E731
    result, _ = outcome(serving, answering)
    assert (type(result), result.kind, result.charge) == (Refused, "retired_model", "free")
    for model in ("dall-e-3", "dall-e-2", "gpt-image-1"):
        refused, loopback = outcome(serving, answering, replace(REQUEST, model=model))
        assert (type(refused), refused.kind, loopback.asked) == (Refused, "retired_model", [])
        assert "use gpt-image-2" in refused.reason
    found, _ = inspected(
        serving, lambda asked: reply.of(models({"id": "gpt-image-2", "shutdown_date": "2027-04-21"}))
    )
    assert found.stops == {"gpt-image-2": date(2027, 4, 21)}


def test_trap_2_pictures_are_base64_alone_and_none_of_it_is_kept_with_the_answer(serving, reply):
    picture = base64.b64encode(PNG).decode()
    data = [{"b64_json": picture}, {"url": "https://oaidalle.example/a.png"}]
    result, loopback = outcome(serving, lambda asked: reply.of({"data": data}), replace(REQUEST, images=2))
    assert [image.content for image in result.images] == [PNG]
    assert picture[:40] not in result.raw
    assert len(loopback.asked) == 1, "a link is never followed"
    for request in (REQUEST, EDIT):
        _, loopback = outcome(serving, lambda asked: reply.of({}), request)
        assert b"response_format" not in loopback.asked[0].body
        assert b"style" not in loopback.asked[0].body


@pytest.mark.parametrize("images", [1, 4])
def test_trap_2_an_answer_larger_than_its_images_can_be_is_not_read(serving, reply, images):
    """What is read of an answer is bounded by the images asked for, so that no answer fills the memory."""
    length = images * 12 * 1024 * 1024 + 1
    huge = f"HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n".encode()
    result, _ = outcome(serving, lambda asked: reply(raw=huge), replace(REQUEST, images=images))
    assert (type(result), result.charge) == (BadAnswer, "charged")


@pytest.mark.parametrize(
    ("code", "kind_of"),
    [
        ("rate_limit_exceeded", TryLater), ("", TryLater), ("something_new", TryLater),
        ("insufficient_quota", Misconfigured), ("credit_balance_exhausted", Misconfigured),
        ("organization_spend_limit_exceeded", Misconfigured),
        ("project_spend_limit_exceeded", Misconfigured),
        ("organization_usage_limit_exceeded", Misconfigured),
        ("billing_hard_limit_reached", Misconfigured),
    ],
)  # fmt: skip
@pytest.mark.parametrize("request_", [REQUEST, EDIT], ids=["generation", "edit"])
def test_trap_5_a_429_means_wait_or_stop_by_its_code(serving, reply, code, kind_of, request_):
    body = {"error": {"message": "Too much.", "type": "requests", "code": code}}
    result, _ = outcome(serving, lambda asked: reply.of(body, 429), request_)
    assert (type(result), result.charge) == (kind_of, "free")


# -- answers nobody recorded --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind_of", "kind"),
    [
        (
            500,
            {"error": {"message": "The server had an error", "type": "server_error"}},
            TryLater,
            "server_error",
        ),
        (503, {"error": {"message": "Slow down", "code": "slow_down"}}, TryLater, "overloaded"),
        (503, {"error": {"message": "Busy", "type": "server_is_overloaded"}}, TryLater, "overloaded"),
        (502, "<html>Bad gateway</html>", Unsure, "server_error"),
        (504, {"error": "upstream timed out"}, Unsure, "server_error"),
        (408, {"error": {"message": "Timeout"}}, Unsure, "server_error"),
        (403, {"error": {"message": "Country not supported"}}, Misconfigured, "bad_key"),
        (
            400,
            {"error": {"message": "Your organization must be verified to use it"}},
            Misconfigured,
            "not_verified",
        ),
        (404, {"error": {"message": "no", "code": "model_not_found"}}, Refused, "retired_model"),
        (429, {"error": {"message": "", "type": "insufficient_quota"}}, Misconfigured, "no_credit"),
        (429, "busy", TryLater, "rate_limited"),
        (413, "<html>", Refused, "bad_request"),
        (200, "<html>", BadAnswer, "bad_answer"),
        (200, {"data": []}, BadAnswer, "bad_answer"),
        (200, {"data": [{"url": "https://x"}]}, BadAnswer, "bad_answer"),
        (200, {"data": [{"b64_json": "not base64!"}]}, BadAnswer, "bad_answer"),
        (200, {"data": [{"b64_json": base64.b64encode(b"GIF89a").decode()}]}, BadAnswer, "bad_answer"),
        (202, {"data": None}, BadAnswer, "bad_answer"),
    ],
)
def test_other_answers_are_classed_by_what_they_leave_known(serving, reply, status, body, kind_of, kind):
    sent = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    result, _ = outcome(serving, lambda asked: reply(status, sent))
    assert (type(result), result.kind) == (kind_of, kind)
    if isinstance(result, Unsure):
        assert result.charge == "unknown"


def test_a_picture_that_cannot_be_read_is_still_paid_for(serving, reply):
    usage = {"input_tokens": 10, "output_tokens": 100, "total_tokens": 110}
    result, _ = outcome(serving, lambda asked: reply.of({"data": [{"b64_json": "!"}], "usage": usage}))
    assert (type(result), result.charge, result.cost) == (BadAnswer, "charged", 10 * 5 + 100 * 30)


def test_one_readable_picture_among_several_is_delivered(serving, reply):
    data = [{"b64_json": "!"}, {"b64_json": base64.b64encode(PNG).decode()}, None]
    result, _ = outcome(
        serving, lambda asked: reply.of({"data": data}), ImageRequest("gpt-image-2", "x", images=3)
    )
    assert len(result.images) == 1
    assert result.cost is None


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"", "cut_off"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", "cut_off"),
        (b"garbage\r\n\r\n", "cut_off"),
    ],
)
def test_a_cut_answer_leaves_the_charge_unknown(serving, reply, raw, kind):
    result, loopback = outcome(serving, lambda asked: reply(raw=raw))
    assert (type(result), result.kind, result.charge) == (Unsure, kind, "unknown")
    assert len(loopback.asked) == 1


def test_a_late_answer_leaves_the_charge_unknown(serving, reply):
    async def never(asked):
        await asyncio.sleep(60)
        return reply()

    result, loopback = outcome(serving, never, deadline_s=1.0)
    assert (type(result), result.kind, result.charge) == (Unsure, "timeout", "unknown")
    assert len(loopback.asked) == 1


def test_an_unreachable_provider_is_asked_again_later_and_cost_nothing():
    async def story():
        adapter = OpenAI(
            Account(KEY, "http://127.0.0.1:9", simulated=True), GuardedClient("http://127.0.0.1:9")
        )
        with pytest.raises(TryLater) as refused:
            await adapter.submit(REQUEST, attempt())
        assert (refused.value.kind, refused.value.charge) == ("unreachable", "free")

    asyncio.run(story())


def test_a_moved_base_url_is_not_followed(serving, reply):
    result, loopback = outcome(serving, lambda asked: reply(301, headers={"location": f"{KEY}.example"}))
    assert (type(result), result.kind) == (TryLater, "unreachable")
    assert len(loopback.asked) == 1


def test_an_endless_answer_is_a_bad_one(serving, reply):
    huge = b"HTTP/1.1 200 OK\r\ncontent-length: 900000000\r\n\r\n{"
    result, _ = outcome(serving, lambda asked: reply(raw=huge))
    assert (type(result), result.charge, result.cost) == (BadAnswer, "charged", None)


def test_the_key_is_never_kept_even_when_the_answer_repeats_it(serving, reply):
    body = {
        "error": {"message": f"Incorrect API key provided: {KEY}.", "key": KEY, "code": "invalid_api_key"}
    }
    result, _ = outcome(serving, lambda asked: reply.of(body, 401))
    assert isinstance(result, Misconfigured)
    assert KEY not in result.raw + result.reason
    assert "Incorrect API key" in result.reason


def test_three_hundred_damaged_answers_raise_nothing_unexpected(specs, serving, reply):
    """Whatever comes back, it is a delivery or an error that the flow knows."""
    chance = random.Random(20261122)
    examples = [example(specs, reply, name) for name in RECORDED]
    damaged = [damage(chance.choice(examples), chance, reply) for _ in range(300)]

    async def story() -> set[str]:
        answers = iter(damaged)
        async with serving(lambda asked: next(answers)) as loopback:
            client = GuardedClient(loopback.url)
            adapter = OpenAI(Account(KEY, loopback.url, simulated=True), client)
            seen = set()
            for _ in damaged:
                try:
                    result = await adapter.submit(REQUEST, attempt())
                    assert isinstance(result, Delivery)
                    assert result.images
                except ProviderError as error:
                    result = error
                assert result.cost is None or result.cost >= 0
                result.raw.encode()
                seen.add(type(result).__name__)
            await client.aclose()
            return seen

    assert asyncio.run(story()) >= {"Delivery", "BadAnswer", "Refused", "TryLater", "Misconfigured", "Unsure"}


NONSENSE = [None, True, -1, 0, 1.5, 10**25, "", "x" * 3000, "\ud800", "\x00", [], {}, [[[]]], {"a": None}]


def damage(answer, chance: random.Random, reply):
    """The answer with another status, a value replaced, or its bytes cut or shuffled."""
    status = chance.choice([answer.status, answer.status, 200, 204, 400, 403, 429, 500, 503, 599])
    document = json.loads(answer.body)
    for _ in range(chance.randint(0, 4)):
        _replace_one(document, chance)
    body = json.dumps(document).encode()
    if chance.random() < 0.2:
        body = body[: chance.randrange(len(body) + 1)]
    if chance.random() < 0.1:
        body = bytes(chance.randrange(256) for _ in range(200))
    if chance.random() < 0.05:
        body = b"[" * 200_000
    headers = {"retry-after": chance.choice(["3", "-1", "nonsense", "1e9", "9" * 40, "Mon, 99 Foo"])}
    return reply(status, b"" if status == 204 else body, headers)


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
