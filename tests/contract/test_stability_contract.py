"""The Stability adapter against Stability's own words: specification, recorded bodies, damaged ones."""

import asyncio
import base64
import copy
import json
import random
import struct
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packshot.kernel.errors import (
    BadAnswer,
    BadInput,
    Misconfigured,
    ProviderError,
    Refused,
    TryLater,
    Unsure,
)
from packshot.kernel.money import micros
from packshot.providers.conformance import (
    an_example,
    delivery_is_complete,
    offline,
    ticket_survives_a_restart,
)
from packshot.providers.contract import (
    AS_INPUT,
    RAW_LIMIT,
    Account,
    AttemptRef,
    Delivery,
    ImageRequest,
    InputImage,
    Inspectable,
    ModelCard,
    Pending,
    Ticket,
)
from packshot.providers.http import GuardedClient
from packshot.providers.multipart import Part, Upload
from packshot.providers.stability import Stability
from packshot.providers.stability_cards import CARDS, wire_request
from tests.forms import read

KEY = "sk-Canary0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
LIVING = {card.id: card for card in CARDS if not card.retired}
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
TLS = httpx.create_ssl_context(trust_env=False)  # made once: each takes 15 ms
TASK = "a6dc6c6e20acda010fe14d71f180658f2896ed9b4ec25aa99a6ff06c796987c4"
DAY_S = 24 * 3600.0


def png(width_px: int, height_px: int, *, alpha: bool = False) -> bytes:
    """A PNG as far as anybody reads it before it is sent."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 6 if alpha else 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def picture(
    width_px: int = 640, height_px: int = 480, *, role: str = "image", alpha: bool = False
) -> InputImage:
    content = png(width_px, height_px, alpha=alpha)
    return InputImage(role, "image/png", width_px, height_px, len(content), content)


def asking(model: str, **changes: Any) -> ImageRequest:
    """The least that can be asked of a model, with real bytes."""
    request = an_example(LIVING[model])
    pictures = tuple(picture(alpha=True) for _ in request.inputs)
    return replace(request, inputs=pictures, **changes)


REQUEST = asking("stable-image-core", seed=343940597)
LATER = asking("upscale-creative")


def attempt(deadline_s: float = 30.0) -> AttemptRef:
    return AttemptRef(uuid4(), 1, deadline_s)


def adapter_at(url: str, key: str = KEY) -> Stability:
    return Stability(Account(key, url, simulated=True), GuardedClient(url, hosts=Stability.hosts, tls=TLS))


async def ending(call):
    """What a call comes to: its result, or the error it raises."""
    try:
        return await call
    except ProviderError as error:
        return error


def told(serving, answering, call, key: str = KEY):
    """What a call comes to when the server answers so, and the server with what it was asked."""

    async def story():
        async with serving(answering) as loopback:
            adapter = adapter_at(loopback.url, key)
            try:
                return await ending(call(adapter)), loopback
            finally:
                await adapter._client.aclose()

    return asyncio.run(story())


def submitted(serving, answering, request: ImageRequest = REQUEST, *, deadline_s: float = 30.0):
    return told(serving, answering, lambda adapter: adapter.submit(request, attempt(deadline_s)))


def ticket(*, age_s: float = 60.0) -> Ticket:
    return Ticket({"id": TASK, "started_at": time.time() - age_s}, request_id=TASK, cost=600_000)


def collected(serving, answering, *, age_s: float = 60.0):
    return told(serving, answering, lambda adapter: adapter.collect(ticket(age_s=age_s), attempt()))


def inspected(serving, answering):
    return told(serving, answering, lambda adapter: adapter.inspect())


def example(specs, reply, name: str):
    """A recorded answer; the pictures' bytes, where the record only names them."""
    recorded = json.loads((specs / "examples" / f"{name}.json").read_text())["response"]
    body = recorded["body"]
    sent = PNG if body == "<image bytes>" else json.dumps(body).encode()
    return reply(recorded["status"], sent, recorded["headers"])


def finished(reply, verdict: str | None = "SUCCESS", content: bytes = PNG, **more: Any):
    said = {} if verdict is None else {"finish_reason": verdict}
    return reply.of({"image": base64.b64encode(content).decode(), "seed": 7, **said, **more})


# -- what it sends ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schemas(specs) -> Mapping[str, jsonschema.Draft202012Validator]:
    """Each operation's form, strict about what it does not name."""
    document = json.loads((specs / "stability-v2beta.derived.openapi.json").read_text())
    forms = {
        path: methods["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
        for path, methods in document["paths"].items()
        if "post" in methods
    }
    return {
        path: jsonschema.Draft202012Validator({**schema, "additionalProperties": False})
        for path, schema in forms.items()
    }


def valid(fields: Sequence[Part], validator: jsonschema.Draft202012Validator) -> dict[str, Any]:
    """The fields of a form that the schema allows, by its types: a form itself knows text and files only."""
    assert len({name for name, _ in fields}) == len(fields), "a field is sent twice"
    values: dict[str, Any] = {}
    for name, value in fields:
        kind = validator.schema["properties"].get(name, {})
        if isinstance(value, Upload):
            assert kind.get("format") == "binary", f"{name} is no file"
            values[name] = "bytes"
        else:
            assert kind.get("format") != "binary", f"{name} is a file"
            values[name] = {"integer": int, "number": float}.get(kind.get("type", ""), str)(value)
    validator.validate(values)
    return values


def check(asked, schemas, request: ImageRequest) -> dict[str, Any]:
    """That a captured request is one that the specification allows; its fields."""
    fields = read(asked.body, asked.headers["content-type"])
    values = valid(fields, schemas[asked.path])
    assert (asked.method, asked.headers["accept"]) == ("POST", "application/json")
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert len(asked.body) <= 10 * 1024 * 1024
    sent = [value.content for _, value in fields if isinstance(value, Upload)]
    assert sorted(sent) == sorted(each.content for each in request.inputs)
    return values


FAMILIES = {
    "generate": [card for card in LIVING.values() if card.kind == "generate"],
    "edit": [card for card in LIVING.values() if card.kind == "edit" and "upscale" not in card.id],
    "upscale": [card for card in LIVING.values() if "upscale" in card.id],
}
WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80).filter(str.strip)


@st.composite
def requests(draw: st.DrawFn, cards: list[ModelCard]) -> ImageRequest:
    """Any request that can be asked: what the cards allow, and what goes with what."""
    card = draw(st.sampled_from(cards))
    options = {}
    for option in card.options:
        values = {
            "choice": st.sampled_from(option.choices or ("",)),
            "integer": st.integers(option.minimum or 0, option.maximum or 0),
            "boolean": st.booleans(),
            "text": WORDS,
        }[option.kind]
        if option.required or draw(st.booleans()):
            options[option.name] = draw(values)
    alpha = draw(st.booleans())
    sides = st.integers(320, 800)  # within 2.5 to 1, and within every operation's limits
    count = draw(st.integers(card.min_inputs, card.max_inputs))
    inputs = [picture(draw(sides), draw(sides), alpha=alpha) for _ in range(count)]
    if card.takes_mask and (not alpha or draw(st.booleans())):
        inputs.append(picture(64, 64, role="mask"))
    if "strength" in [option.name for option in card.options]:
        options.pop("strength", None)
        if inputs:
            options["strength"] = draw(st.sampled_from(["0", "0.35", "0.95", "1"]))
    if "light_source_direction" not in options:
        options.pop("light_source_strength", None)
    if card.id == "outpaint" and {"left", "right", "up", "down"} & options.keys():
        options["left"] = draw(st.integers(1, 2000))
    return ImageRequest(
        model=card.id,
        prompt=draw(WORDS) if card.needs_prompt or (card.prompt_limit and draw(st.booleans())) else "",
        shape=draw(st.sampled_from(card.shapes)),
        seed=draw(st.none() | st.integers(0, 4_294_967_294)),
        options=options,
        negative_prompt=draw(WORDS) if card.takes_negative_prompt and draw(st.booleans()) else "",
        inputs=tuple(inputs),
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_every_request_it_can_send_fits_the_specification(schemas, serving, reply, family):
    """Over real HTTP, the form read by somebody else's parser."""
    seen: set[str] = set()

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(request=requests(FAMILIES[family]))
    def story(request):
        result, loopback = submitted(serving, lambda asked: finished(reply), request)
        assert isinstance(result, Delivery)
        (asked,) = loopback.asked
        values = check(asked, schemas, request)
        seen.add(request.model)
        if asked.path.endswith("generate/sd3"):
            edits = "image" in values
            assert values["model"] == request.model
            assert (values.get("mode") == "image-to-image") == edits == ("strength" in values)
            assert values.get("aspect_ratio") == (None if edits else request.shape)
        if asked.path.endswith("edit/outpaint"):
            assert any(values.get(side) for side in ("left", "right", "up", "down"))
        if request.seed is not None:
            assert values.get("seed") == (request.seed if LIVING[request.model].takes_seed else None)

    story()
    assert seen == {card.id for card in FAMILIES[family]}


def every_choice() -> Iterator[ImageRequest]:
    for card in LIVING.values():
        for shape in card.shapes:
            yield asking(card.id, shape=shape)
            for option in card.options:
                ends = (option.minimum, option.maximum) if option.kind == "integer" else (True, False)
                for value in option.choices or (ends if option.kind != "text" else ("x" * 10_000,)):
                    options = {**asking(card.id).options, option.name: value}
                    changes: dict[str, Any] = {"shape": shape, "options": options}
                    if option.name == "strength":
                        changes["inputs"] = (picture(),)
                    if option.name == "light_source_strength":
                        options["light_source_direction"] = "above"
                    if option.name in ("right", "up", "down", "left") and not value:
                        options["left" if option.name != "left" else "up"] = 1
                    yield replace(asking(card.id), **changes)


def test_every_model_in_every_shape_with_every_choice_fits_the_specification(schemas):
    sent = 0
    for request in every_choice():
        wire = wire_request(request)
        valid(wire.parts, schemas[wire.path])
        sent += 1
    assert sent > 2_500


def test_every_address_it_knows_is_in_the_specification(schemas):
    assert {wire_request(asking(model)).path for model in LIVING} <= schemas.keys()


def test_a_picture_and_its_mask_leave_under_their_own_names():
    inputs = (picture(), picture(role="mask"))
    wire = wire_request(replace(asking("inpaint"), inputs=inputs))
    files = {name: value for name, value in wire.parts if isinstance(value, Upload)}
    assert {name: (each.filename, each.media_type) for name, each in files.items()} == {
        "image": ("image.png", "image/png"),
        "mask": ("mask.png", "image/png"),
    }


def test_room_on_no_side_that_was_named_is_room_on_every_side():
    def sides(**given: int) -> dict[str, str]:
        parts = wire_request(replace(asking("outpaint"), options=given)).parts
        return {name: value for name, value in parts if name in ("left", "right", "up", "down")}

    assert sides() == {"left": "200", "right": "200", "up": "200", "down": "200"}
    assert sides(left=500) == {"left": "500"}


def wide(model: str, width_px: int, height_px: int, **changes: Any) -> ImageRequest:
    return replace(asking(model), inputs=(picture(width_px, height_px, alpha=True),), **changes)


HEAVY = replace(picture(), size_bytes=10 * 1024 * 1024)
ALMOST = replace(picture(), size_bytes=10 * 1024 * 1024 - 500)  # and the form around it
NEVER_ASKED = [
    (asking("stable-image-core", shape="3:4"), "shape"),
    (asking("stable-image-core", images=2), "images"),
    (asking("stable-image-core", seed=4_294_967_295), "seed"),
    (asking("stable-image-core", seed=-1), "seed"),
    (asking("stable-image-core", prompt="x" * 10_001), "prompt"),
    (asking("stable-image-core", negative_prompt="x" * 10_001), "negative_prompt"),
    (asking("stable-image-core", options={"strength": "0.5"}), "strength"),
    (asking("stable-image-core", options={"output_format": "gif"}), "output_format"),
    (replace(asking("stable-image-core"), inputs=(picture(),)), "inputs"),
    (replace(asking("stable-image-ultra"), inputs=(picture(),)), "strength"),
    (asking("stable-image-ultra", options={"strength": "0.5"}), "strength"),
    (wide("stable-image-ultra", 63, 640, options={"strength": "0.5"}), "inputs"),
    (replace(asking("sd3.5-large"), inputs=(picture(),)), "strength"),
    (asking("sd3.5-large", options={"cfg_scale": "11"}), "cfg_scale"),
    (replace(REQUEST, model="sd3-large"), "model"),
    (replace(REQUEST, model="../results"), "model"),
    (asking("remove-background", prompt="on white"), "prompt"),
    (asking("remove-background", options={"output_format": "jpeg"}), "output_format"),
    (asking("remove-background", negative_prompt="dust"), "negative_prompt"),
    (wide("remove-background", 2049, 2048), "inputs"),
    (replace(asking("remove-background"), inputs=()), "inputs"),
    (asking("replace-background-and-relight", prompt=""), "prompt"),
    (
        asking("replace-background-and-relight", options={"light_source_strength": "0.5"}),
        "light_source_strength",
    ),
    (replace(asking("inpaint"), inputs=(picture(),)), "inputs"),
    (replace(asking("erase"), inputs=(picture(role="mask"),)), "inputs"),
    (asking("erase", options={"grow_mask": 21}), "grow_mask"),
    (asking("outpaint", options={"left": 0, "up": 0}), "left"),
    (asking("outpaint", options={"left": 2001}), "left"),
    (wide("outpaint", 1001, 400), "inputs"),
    (asking("search-and-replace", options={}), "search_prompt"),
    (asking("search-and-replace", options={"search_prompt": " "}), "search_prompt"),
    (asking("search-and-recolor", options={"select_prompt": "\ud800"}), "select_prompt"),
    (wide("search-and-recolor", 3073, 3072), "inputs"),
    (wide("upscale-fast", 1537, 600), "inputs"),
    (wide("upscale-fast", 1025, 1024), "inputs"),
    (wide("upscale-fast", 31, 600), "inputs"),
    (wide("upscale-conservative", 64, 63), "inputs"),
    (asking("upscale-conservative", options={"creativity": "0.15"}), "creativity"),
    (wide("upscale-creative", 1025, 1024), "inputs"),
    (asking("upscale-creative", prompt=" "), "prompt"),
    (replace(asking("upscale-conservative"), inputs=(HEAVY,)), "inputs"),
    (replace(asking("upscale-fast"), inputs=(ALMOST,)), "inputs"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "field"), NEVER_ASKED)
def test_what_no_call_can_ask_is_refused_at_the_quote_and_never_sent(serving, reply, request_, field):
    with pytest.raises(BadInput) as refused:
        offline(Stability).quote(request_)
    assert refused.value.field == field
    error, loopback = submitted(serving, lambda asked: finished(reply), request_)
    assert (type(error), error.charge) == (Refused, "free")
    assert error.kind == ("retired_model" if field == "model" else "bad_request")
    assert loopback.asked == []


@pytest.mark.parametrize(
    "request_",
    [
        wide("stable-image-ultra", 64, 6400, options={"strength": "0"}),
        wide("inpaint", 64, 640),
        wide("remove-background", 2048, 2048),
        wide("outpaint", 1000, 400),
        wide("search-and-replace", 3072, 3072, options={"search_prompt": "the mug"}),
        wide("upscale-fast", 32, 1536),
        wide("upscale-fast", 1024, 1024),
        wide("upscale-creative", 1024, 1024),
        replace(asking("inpaint"), inputs=(picture(), picture(role="mask"))),
    ],
)
def test_the_limits_themselves_are_allowed(request_):
    assert wire_request(request_)


def test_a_quote_knows_the_size_of_a_picture_that_is_not_there_yet():
    known = replace(asking("inpaint"), inputs=(replace(picture(), content=b""),))
    assert offline(Stability).quote(known).expected == 50_000, "a PNG may be transparent"
    jpeg = replace(picture(), content=b"", media_type="image/jpeg")
    with pytest.raises(BadInput):
        offline(Stability).quote(replace(known, inputs=(jpeg,)))
    with pytest.raises(BadInput, match="10 MiB"):
        offline(Stability).quote(replace(known, inputs=(replace(HEAVY, content=b""),)))


def test_a_picture_without_bytes_is_not_sent(serving, reply):
    bare = replace(asking("upscale-fast"), inputs=(replace(picture(), content=b""),))
    error, loopback = submitted(serving, lambda asked: finished(reply), bare)
    assert (type(error), error.kind, loopback.asked) == (Refused, "bad_input_image", [])


def test_the_fullest_form_is_just_within_ten_mebibytes(serving, reply):
    content = png(640, 480)
    room = 10 * 1024 * 1024 - 2_000
    content += b"\0" * (room - len(content))
    heavy = InputImage("image", "image/png", 640, 480, len(content), content)
    result, loopback = submitted(
        serving, lambda asked: finished(reply), replace(asking("upscale-fast"), inputs=(heavy,))
    )
    assert isinstance(result, Delivery)
    assert room < len(loopback.asked[0].body) <= 10 * 1024 * 1024


@pytest.mark.parametrize("key", ["", "sk-one two", "sk-\n", "sk-\N{BULLET}"])
def test_a_key_that_cannot_be_one_never_leaves(serving, reply, key):
    async def story():
        async with serving(lambda asked: reply.of({})) as loopback:
            adapter = adapter_at(loopback.url, key)
            for call in (adapter.submit(REQUEST, attempt()), adapter.collect(ticket(), attempt())):
                error = await ending(call)
                assert (type(error), error.kind) == (Misconfigured, "bad_key")
            assert (await adapter.inspect()).key_works is False
            assert loopback.asked == []

    asyncio.run(story())


# -- recorded answers ---------------------------------------------------------------------------

# Answers to a call that waits for its picture. File: class, kind, charge, cost in micro-dollars.
SUBMISSIONS = {
    "stability-generate-json-200": (Delivery, None, None, 30_000),
    "stability-generate-binary-200": (Delivery, None, None, 30_000),
    "stability-content-filtered-200": (Refused, "refused", "unknown", 30_000),
    "stability-error-400": (Refused, "bad_request", "free", None),
    "stability-error-401-v1": (Misconfigured, "bad_key", "free", None),
    "stability-error-401-v2beta": (Misconfigured, "bad_key", "free", None),
    "stability-error-402": (Misconfigured, "no_credit", "free", None),
    "stability-error-403-moderation": (Refused, "refused", "free", None),
    "stability-error-413": (Refused, "bad_input_image", "free", None),
    "stability-error-422": (Refused, "refused", "free", None),
    "stability-error-429": (TryLater, "rate_limited", "free", None),
}
# Answers to a call that is collected later, and to a look.
STARTS = {"stability-async-start-200": 600_000}
LOOKS = {"stability-async-pending-202": Pending}
BALANCES = {"stability-balance-200": 6_337}


def test_every_recorded_body_has_an_expected_outcome(specs):
    recorded = {path.stem for path in (specs / "examples").glob("stability-*.json")}
    assert recorded == {*SUBMISSIONS, *STARTS, *LOOKS, *BALANCES}


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_a_recorded_answer_ends_in_its_outcome(specs, serving, reply, name):
    kind_of, kind, charge, cost = SUBMISSIONS[name]
    result, loopback = submitted(serving, lambda asked: example(specs, reply, name))
    assert (type(result), result.cost) == (kind_of, cost)
    assert len(loopback.asked) == 1
    if isinstance(result, ProviderError):
        assert (result.kind, result.charge) == (kind, charge)
        assert result.reason
    else:
        delivery_is_complete(result, REQUEST)
        (image,) = result.images
        assert (image.content, image.media_type) == (PNG, "image/png")
        assert (result.seed, result.request_id) == (343940597, "a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4")
    assert len(result.raw) <= RAW_LIMIT
    assert base64.b64encode(PNG).decode() not in result.raw
    assert "IHDR" not in result.raw


@pytest.mark.parametrize("name", STARTS)
def test_a_recorded_start_is_a_ticket(specs, serving, reply, name):
    result, _ = submitted(serving, lambda asked: example(specs, reply, name), LATER)
    assert isinstance(result, Ticket)
    assert (result.state["id"], result.request_id, result.cost) == (TASK, TASK, STARTS[name])
    ticket_survives_a_restart(result)


@pytest.mark.parametrize("name", LOOKS)
def test_a_recorded_look_ends_in_its_outcome(specs, serving, reply, name):
    result, loopback = collected(serving, lambda asked: example(specs, reply, name))
    assert type(result) is LOOKS[name]
    assert loopback.asked[0].path == f"/v2beta/results/{TASK}"


@pytest.mark.parametrize("name", ["stability-generate-json-200", "stability-generate-binary-200"])
def test_a_result_comes_in_either_form(specs, serving, reply, name):
    result, _ = collected(serving, lambda asked: example(specs, reply, name))
    delivery_is_complete(result, LATER)
    assert (result.cost, result.seed, result.request_id) == (600_000, 343940597, TASK)


def test_a_result_is_also_read_where_older_answers_have_it(serving, reply):
    body = {"result": base64.b64encode(PNG).decode(), "finish_reason": "SUCCESS", "seed": 1}
    result, _ = collected(serving, lambda asked: reply.of(body))
    assert result.images[0].content == PNG


@pytest.mark.parametrize("name", BALANCES)
def test_the_balance_is_what_the_credits_are_worth(specs, serving, reply, name):
    seen, loopback = inspected(serving, lambda asked: example(specs, reply, name))
    assert isinstance(offline(Stability), Inspectable)
    assert (seen.key_works, seen.balance) == (True, BALANCES[name])
    (asked,) = loopback.asked
    assert (asked.method, asked.path) == ("GET", "/v1/user/balance")
    assert asked.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("status", "body", "works"),
    [
        (401, {"id": "1", "name": "unauthorized", "message": f"Incorrect API key provided: {KEY}."}, False),
        (403, {"id": "1", "name": "permission_denied", "message": "no"}, False),
        (500, {"id": "1", "name": "internal_error", "message": "oh"}, None),
        (429, {}, None),
        (200, {"credits": "many"}, True),
        (200, {}, True),
        (502, "<html>", None),
    ],
)
def test_a_look_at_the_account_never_raises_and_never_tells_the_key(serving, reply, status, body, works):
    sent = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    seen, _ = inspected(serving, lambda asked: reply(status, sent))
    assert (seen.key_works, seen.balance) == (works, None)
    assert seen.detail
    assert KEY not in seen.detail


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"])
def test_a_look_at_the_account_that_breaks_proves_nothing(serving, reply, raw):
    seen, _ = inspected(serving, lambda asked: reply(raw=raw))
    assert seen.key_works is None


# -- the traps: reference/providers.md, section 8 -------------------------------------------------


@pytest.mark.parametrize("request_", [REQUEST, LATER], ids=["at once", "later"])
@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"])
def test_trap_3_a_cut_call_may_have_been_charged_and_is_not_sent_again(serving, reply, raw, request_):
    result, loopback = submitted(serving, lambda asked: reply(raw=raw), request_)
    assert (type(result), result.kind, result.charge) == (Unsure, "cut_off", "unknown")
    (asked,) = loopback.asked
    assert not [name for name in asked.headers if "idempotency" in name], "nobody would read it"


def test_trap_3_a_late_answer_may_have_been_charged_and_is_not_sent_again(serving, reply):
    async def never(asked):
        await asyncio.sleep(60)
        return reply()

    result, loopback = submitted(serving, never, deadline_s=1.0)
    assert (type(result), result.kind, result.charge) == (Unsure, "timeout", "unknown")
    assert len(loopback.asked) == 1


def test_trap_4_a_finished_result_is_fetched_by_the_look_that_finds_it(serving, reply):
    result, loopback = collected(serving, lambda asked: finished(reply))
    assert result.images[0].content == PNG
    assert len(loopback.asked) == 1, "there is no link that could die"


@pytest.mark.parametrize(
    ("age_s", "kind_of", "charge"),
    [(5, TryLater, "free"), (3600, BadAnswer, "unknown"), (DAY_S + 60, BadAnswer, "charged")],
)
def test_trap_4_a_result_is_gone_after_a_day_and_before_that_it_is_another_keys(
    serving, reply, age_s, kind_of, charge
):
    body = {"id": "1", "name": "not_found", "errors": ["id: not found"]}
    result, _ = collected(serving, lambda asked: reply.of(body, 404), age_s=age_s)
    assert (type(result), result.charge) == (kind_of, charge)
    if kind_of is BadAnswer:
        assert (result.kind, result.cost) == ("expired", 600_000)
        assert ("24 hours" in result.reason) == (age_s > DAY_S)


def filtered_answers(reply):
    encoded = base64.b64encode(PNG).decode()
    yield finished(reply, "CONTENT_FILTERED")
    yield finished(reply, "content_filtered")
    yield reply(200, PNG, {"content-type": "image/png", "finish-reason": "CONTENT_FILTERED", "seed": "7"})
    yield reply.of({"image": encoded, "finish_reason": "SUCCESS"}, finish_reason="CONTENT_FILTERED")
    yield reply.of({"finish_reason": "CONTENT_FILTERED"})


@pytest.mark.parametrize("which", range(5))
@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
def test_trap_6_a_filtered_picture_is_a_refusal_and_never_delivered(serving, reply, which, later):
    answer = list(filtered_answers(reply))[which]
    result, _ = (collected if later else submitted)(serving, lambda asked: answer)
    assert (type(result), result.kind, result.charge) == (Refused, "refused", "unknown")
    assert result.cost == (600_000 if later else 30_000), "what is at stake"
    assert "CONTENT_FILTERED" in result.reason


@pytest.mark.parametrize("verdict", [None, "", "ERROR", "SUCCESSFUL", "NULL"])
@pytest.mark.parametrize("form", ["json", "bytes"])
def test_trap_6_a_picture_that_nobody_vouches_for_is_not_delivered(serving, reply, verdict, form):
    if form == "json":
        answer = finished(reply, verdict)
    else:
        headers = {"content-type": "image/png"} | ({} if verdict is None else {"finish-reason": verdict})
        answer = reply(200, PNG, headers)
    result, _ = submitted(serving, lambda asked: answer)
    assert (type(result), result.kind, result.charge) == (BadAnswer, "bad_answer", "unknown")


@pytest.mark.parametrize(
    ("status", "body", "charge"),
    [
        (403, {"id": "1", "name": "content_moderation", "errors": ["denied"]}, "free"),
        (
            403,
            {"id": "1", "name": "forbidden", "errors": ["flagged by our content moderation system"]},
            "free",
        ),
        (200, {"image": "x", "finish_reason": "CONTENT_FILTERED"}, "unknown"),
        (500, {"id": "1", "name": "internal_error", "errors": ["oh"]}, "free"),
        (502, {"message": "Bad gateway"}, "unknown"),
        (200, {"image": "x", "finish_reason": "SUCCESS"}, "charged"),
    ],
)
def test_trap_7_what_a_failure_cost_is_free_charged_or_unknown(serving, reply, status, body, charge):
    result, _ = submitted(serving, lambda asked: reply.of(body, status))
    assert result.charge == charge
    assert charge != "charged" or result.cost == 30_000


def test_trap_12_a_shape_is_a_ratio_and_the_size_is_what_the_picture_itself_says(serving, reply):
    for shape in LIVING["stable-image-core"].shapes:
        content = png(1344, 768)
        result, loopback = submitted(
            serving, lambda asked, content=content: finished(reply, content=content),
            asking("stable-image-core", shape=shape),
        )  # fmt: skip
        fields = dict(read(loopback.asked[0].body, loopback.asked[0].headers["content-type"]))
        assert fields["aspect_ratio"] == shape
        assert not {"width", "height", "size"} & fields.keys()
        (image,) = result.images
        assert (image.width_px, image.height_px, image.media_type) == (1344, 768, "image/png")


def test_trap_12_the_format_is_what_the_bytes_are_whatever_was_asked(serving, reply):
    request = asking("stable-image-core", options={"output_format": "webp"})
    headers = {"content-type": "image/webp", "finish-reason": "SUCCESS"}
    result, _ = submitted(serving, lambda asked: reply(200, PNG, headers), request)
    assert result.images[0].media_type == "image/png"


def test_trap_12_edits_keep_the_shape_of_their_picture():
    assert {card.shapes for card in LIVING.values() if card.kind == "edit"} == {(AS_INPUT,)}


def test_trap_13_a_bare_prompt_is_a_form_as_well(serving, reply):
    _, loopback = submitted(serving, lambda asked: finished(reply))
    (asked,) = loopback.asked
    assert asked.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert dict(read(asked.body, asked.headers["content-type"])) == {
        "prompt": REQUEST.prompt, "aspect_ratio": "1:1", "seed": "343940597", "output_format": "png",
    }  # fmt: skip


def test_trap_13_relighting_calls_its_picture_the_subject(serving, reply):
    two = (picture(alpha=True), picture(320, 320))
    request = replace(asking("replace-background-and-relight", prompt="on slate"), inputs=two)
    result, loopback = submitted(serving, lambda asked: reply.of({"id": TASK}), request)
    assert isinstance(result, Ticket)
    (asked,) = loopback.asked
    fields = dict(read(asked.body, asked.headers["content-type"]))
    assert fields["subject_image"].content == two[0].content
    assert fields["background_reference"].content == two[1].content
    assert fields["background_prompt"] == "on slate"
    assert not {"image", "prompt"} & fields.keys()


@pytest.mark.parametrize("status", [200, 202])
def test_trap_13_a_start_is_a_200_and_a_202_is_understood(serving, reply, status):
    result, _ = submitted(serving, lambda asked: reply.of({"id": TASK}, status), LATER)
    assert isinstance(result, Ticket)


def test_trap_13_the_key_that_started_it_collects_it_and_ten_seconds_lie_between_looks(serving, reply):
    def answering(asked):
        return reply.of({"id": TASK}) if asked.method == "POST" else reply.of({"id": TASK}, 202)

    async def story():
        async with serving(answering) as loopback:
            begun = await adapter_at(loopback.url).submit(LATER, attempt())
            stored = json.loads(json.dumps({"state": begun.state, "cost": begun.cost}))
            later = Ticket(stored["state"], begun.request_id, stored["cost"])
            looks = [await adapter_at(loopback.url).collect(later, attempt()) for _ in range(3)]
            return looks, loopback.asked

    looks, asked = asyncio.run(story())
    assert all(type(look) is Pending and look.after_s >= 10 for look in looks)
    assert {each.headers["authorization"] for each in asked} == {f"Bearer {KEY}"}


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 500, "body": b"{}"}, {"status": 503, "body": b'{"name":"x","errors":["y"]}'},
        {"status": 429, "body": b"", "headers": {"retry-after": "1"}},
        {"status": 401, "body": b'{"name":"unauthorized","errors":["no"]}'},
        {"status": 402, "body": b'{"name":"payment_required","errors":["no"]}'},
        {"status": 200, "body": b"<html>"}, {"status": 200, "body": b'{"status":"in-progress"}'},
        {"status": 302, "headers": {"location": "https://evil.example"}}, {"raw": b""},
        {"raw": b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"},
    ],
)  # fmt: skip
def test_trap_13_no_trouble_with_a_look_ends_what_was_paid_or_looks_again_sooner(serving, reply, answer):
    result, _ = collected(serving, lambda asked: reply(**answer))
    assert isinstance(result, Pending | TryLater)
    assert result.after_s >= 10
    assert not isinstance(result, ProviderError) or result.charge == "free"


def test_trap_13_too_many_requests_are_a_minute_away_unless_they_say_otherwise(specs, serving, reply):
    recorded = example(specs, reply, "stability-error-429")
    named, _ = submitted(serving, lambda asked: recorded)
    assert named.after_s == 60
    silent = reply(429, recorded.body, {"content-type": "application/json"})
    for call in (submitted, collected):
        result, _ = call(serving, lambda asked: silent)
        assert (type(result), result.after_s) == (TryLater, 60)
    limits = Stability.limits
    assert limits.per_minute / 6 + limits.per_minute / 60 + limits.in_flight <= 150, "looks included"


@pytest.mark.parametrize("card", LIVING.values(), ids=lambda card: card.id)
def test_trap_15_the_table_is_the_bill_at_the_specifications_own_credits(specs, serving, reply, card):
    document = json.loads((specs / "stability-v2beta.derived.openapi.json").read_text())
    listed = document["paths"][wire_request(asking(card.id)).path]["post"]["x-credits"]
    if isinstance(listed, str):  # 6.5 large / 4 turbo / 3.5 medium / 2.5 flash
        by_variant = {part.split()[1]: part.split()[0] for part in listed.split(" / ")}
        listed = by_variant[card.id.rsplit("-", 1)[-1]]
    quote = offline(Stability).quote(asking(card.id))
    assert quote.expected == quote.ceiling == micros(str(listed)) // 100
    result, _ = submitted(serving, lambda asked: finished(reply, cost=0, credits=99), asking(card.id))
    assert result.cost == quote.expected, "whatever else an answer says"


def test_trap_15_no_edit_costs_the_tenth_that_a_popular_price_map_lists():
    for card in LIVING.values():
        if card.kind == "edit" and not card.id.startswith("upscale-fast"):
            assert offline(Stability).quote(asking(card.id)).expected >= 40_000


def test_trap_15_the_old_apis_401_repeats_the_key_and_nothing_of_it_is_kept(specs, serving, reply):
    recorded = example(specs, reply, "stability-error-401-v1")
    loud = reply(401, recorded.body.replace(b"sk-XXXX", KEY.encode()), recorded.headers)
    assert KEY.encode() in loud.body
    error, _ = submitted(serving, lambda asked: loud)
    seen, _ = inspected(serving, lambda asked: loud)
    for words in (error.reason, error.raw, seen.detail):
        assert KEY not in words
        assert "Incorrect API key provided" in words


# -- answers nobody recorded --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind_of", "kind"),
    [
        (500, {"id": "1", "name": "internal_error", "errors": ["oh"]}, TryLater, "server_error"),
        (503, {"id": "1", "name": "unavailable", "errors": ["busy"]}, TryLater, "overloaded"),
        (500, "Internal Server Error", Unsure, "server_error"),
        (504, {"message": "Endpoint request timed out"}, Unsure, "server_error"),
        (502, "<html>", Unsure, "server_error"),
        (408, {"id": "1", "name": "timeout", "errors": ["late"]}, Unsure, "server_error"),
        (401, "", Misconfigured, "bad_key"),
        (402, "", Misconfigured, "no_credit"),
        (403, {"id": "1", "name": "permission_denied", "errors": ["no"]}, Misconfigured, "bad_key"),
        (404, {"id": "1", "name": "not_found", "errors": ["path: gone"]}, Refused, "retired_model"),
        (400, {"id": "1", "name": "bad_request", "errors": ["image: too small"]}, Refused, "bad_input_image"),
        (400, {"id": "1", "name": "bad_request", "errors": ["mask: needed"]}, Refused, "bad_input_image"),
        (
            400, {"id": "1", "name": "bad_request", "errors": ["subject_image: unreadable"]},
            Refused, "bad_input_image",
        ),
        (400, {"errors": [None, 7, {"a": 1}]}, Refused, "bad_request"),
        (409, {"errors": "no list"}, Refused, "bad_request"),
        (422, {"id": "1", "name": "unprocessable", "errors": ["public figure"]}, Refused, "bad_request"),
        (413, "<html>", Refused, "bad_input_image"),
        (429, "busy", TryLater, "rate_limited"),
        (200, "<html>", BadAnswer, "bad_answer"),
        (200, {}, BadAnswer, "bad_answer"),
        (200, {"id": TASK}, BadAnswer, "bad_answer"),
        (200, {"image": None, "finish_reason": "SUCCESS"}, BadAnswer, "bad_answer"),
        (200, {"image": "not base64!", "finish_reason": "SUCCESS"}, BadAnswer, "bad_answer"),
        (200, {"image": "R0lGODlh", "finish_reason": "SUCCESS"}, BadAnswer, "bad_answer"),
        (202, {"status": "in-progress"}, BadAnswer, "bad_answer"),
    ],
)  # fmt: skip
def test_other_answers_are_classed_by_what_they_leave_known(serving, reply, status, body, kind_of, kind):
    sent = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    result, _ = submitted(serving, lambda asked: reply(status, sent))
    assert (type(result), result.kind) == (kind_of, kind)
    if kind_of is BadAnswer:
        assert (result.charge, result.cost) == ("charged", 30_000)


@pytest.mark.parametrize(
    "body", [{}, {"id": ""}, {"id": 12}, {"id": "../v1/user"}, {"id": "a b"}, {"id": "x" * 201}, {"id": None}]
)
def test_work_without_a_number_was_paid_for(serving, reply, body):
    result, _ = submitted(serving, lambda asked: reply.of(body), LATER)
    assert (type(result), result.charge, result.cost) == (BadAnswer, "charged", 600_000)


def test_a_picture_that_comes_at_once_instead_of_a_number_is_delivered(serving, reply):
    result, _ = submitted(serving, lambda asked: finished(reply), LATER)
    assert (type(result), result.cost) == (Delivery, 600_000)


@pytest.mark.parametrize(
    ("status", "body", "age_s", "kind_of", "charge"),
    [
        (403, {"name": "content_moderation", "errors": ["you were not charged"]}, 60, Refused, "free"),
        (400, {"name": "bad_request", "errors": ["no"]}, 60, Refused, "unknown"),
        (422, {"name": "unprocessable", "errors": ["no"]}, 60, Refused, "unknown"),
        (400, {"name": "bad_request", "errors": ["no"]}, 1, TryLater, "free"),
        (200, {"image": "!", "finish_reason": "SUCCESS"}, 60, BadAnswer, "charged"),
    ],
)
def test_how_work_that_was_taken_can_end_without_a_picture(
    serving, reply, status, body, age_s, kind_of, charge
):
    result, _ = collected(serving, lambda asked: reply.of(body, status), age_s=age_s)
    assert (type(result), result.charge, result.request_id) == (kind_of, charge, TASK)


def test_an_endless_result_was_paid_for(serving, reply):
    huge = b"HTTP/1.1 200 OK\r\ncontent-length: 900000000\r\n\r\n{"
    for call, cost in ((submitted, None), (collected, 600_000)):
        result, _ = call(serving, lambda asked: reply(raw=huge))
        assert (type(result), result.charge, result.cost) == (BadAnswer, "charged", cost)


def test_an_unreachable_provider_is_asked_again_later_and_cost_nothing():
    async def story():
        error = await ending(adapter_at("http://127.0.0.1:9").submit(REQUEST, attempt()))
        assert (type(error), error.kind, error.charge) == (TryLater, "unreachable", "free")
        assert (await adapter_at("http://127.0.0.1:9").inspect()).key_works is None

    asyncio.run(story())


# -- a canary -------------------------------------------------------------------------------------


def loud_answers(reply) -> list[Any]:
    """Answers that repeat the key wherever something can stand."""
    everywhere = {
        "id": KEY, "name": f"wrong {KEY}", "errors": [f"key: {KEY}", KEY], "message": KEY, KEY: KEY,
        "status": KEY, "finish_reason": KEY, "seed": KEY, "deep": [{"a": [KEY]}],
    }  # fmt: skip
    headers = {"x-request-id": "r1", "finish-reason": KEY, "seed": KEY, "content-type": "image/png"}
    loud = [
        reply.of(everywhere, status) for status in (200, 202, 400, 401, 402, 403, 404, 422, 429, 500, 503)
    ]
    loud += [reply(status, f"<html>{KEY}</html>".encode()) for status in (200, 403, 502)]
    pictured = {**everywhere, "image": base64.b64encode(PNG).decode()}
    loud += [reply.of(pictured), reply.of({**pictured, "finish_reason": "SUCCESS"})]
    return [*loud, reply(200, PNG, headers), reply(200, KEY.encode() + PNG, headers)]


def test_a_canary_key_never_shows(serving, reply, caplog, capsys):
    caplog.set_level(0)
    shown: list[str] = []
    for answer in loud_answers(reply):
        results = [
            submitted(serving, lambda asked, answer=answer: answer, each)[0] for each in (REQUEST, LATER)
        ]
        results += [call(serving, lambda asked, answer=answer: answer)[0] for call in (collected, inspected)]
        # The number of a ticket is the provider's own, and is what it is asked for by.
        shown += [f"{each!r} {vars_of(each)}" for each in results if not isinstance(each, Ticket)]
    assert len(shown) > 60
    everything = "".join(shown) + caplog.text + "".join(capsys.readouterr())
    for secret in (KEY, KEY.upper(), KEY[3:]):
        assert secret not in everything


def vars_of(result: object) -> str:
    return str(vars(result)) if isinstance(result, ProviderError) else ""


# -- damaged answers ----------------------------------------------------------------------------


def test_three_hundred_damaged_answers_raise_nothing_unexpected(specs, serving, reply):
    survive(specs, serving, reply, 300)


@pytest.mark.nightly
def test_two_thousand_damaged_answers_raise_nothing_unexpected(specs, serving, reply):
    survive(specs, serving, reply, 2_000)


def survive(specs, serving, reply, turns: int) -> None:
    """To calls, starts, looks and the balance alike: a result, or an error that the flow knows. Nothing
    hangs, no cost is booked that no table has, nothing filtered is delivered."""
    chance = random.Random(20261122)
    examples = [example(specs, reply, name) for name in (*SUBMISSIONS, *STARTS, *LOOKS, *BALANCES)]
    answers: list[Any] = []

    def answering(asked):
        answers.append(damage(chance.choice(examples), chance, reply))
        return answers[-1]

    async def story() -> set[str]:
        seen = set()
        async with serving(answering) as loopback:
            adapter = adapter_at(loopback.url)
            for turn in range(turns):
                result: Any = None
                answers.clear()
                async with asyncio.timeout(5):
                    match turn % 4:
                        case 0 | 1:
                            result = await ending(adapter.submit(REQUEST, attempt()))
                            assert isinstance(result, Delivery | ProviderError)
                            assert result.cost in (None, 30_000)
                        case 2:
                            result = await ending(adapter.submit(LATER, attempt()))
                            assert isinstance(result, Ticket | Delivery | ProviderError)
                            assert result.cost in (None, 600_000)
                        case 3:
                            begun = ticket(age_s=chance.choice([0, 60, DAY_S + 1]))
                            result = await ending(adapter.collect(begun, attempt()))
                            assert isinstance(result, Delivery | Pending | ProviderError)
                            looked = await adapter.inspect()
                            assert looked.balance is None or looked.balance >= 0
                if isinstance(result, Delivery):
                    assert "CONTENT_FILTERED" not in str(answers[0])
                    assert result.images[0].content == PNG
                    delivery_is_complete(result, REQUEST)
                if isinstance(result, Ticket):
                    ticket_survives_a_restart(result)
                if isinstance(result, ProviderError):
                    (result.raw + result.reason).encode()
                seen.add(type(result).__name__)
        return seen

    assert asyncio.run(story()) >= {
        "Delivery", "Ticket", "Pending", "BadAnswer", "Refused", "TryLater", "Misconfigured", "Unsure",
    }  # fmt: skip


NONSENSE = [None, True, -1, 0, 1.5, 10**25, "", "x" * 3000, "\ud800", "\x00", [], {}, [[[]]], {"a": None}]


def damage(answer, chance: random.Random, reply):
    """The answer with another status, a value replaced, or its bytes cut or shuffled."""
    status = chance.choice([answer.status] * 4 + [200, 204, 400, 403, 404, 422, 429, 500, 503])
    body, headers = answer.body, dict(answer.headers)
    if body.startswith(b"{"):
        document = json.loads(body)
        for _ in range(chance.randint(0, 3)):
            _replace_one(document, chance)
        body = json.dumps(document).encode()
    elif chance.random() < 0.5:
        headers["finish-reason"] = chance.choice(["", "ERROR", "7", "CONTENT_FILTERED"])
    if chance.random() < 0.15:
        body = body[: chance.randrange(len(body) + 1)]
    if chance.random() < 0.1:
        body = bytes(chance.randrange(256) for _ in range(200))
    if chance.random() < 0.05:
        body = b'{"image":' * 50_000
    headers["retry-after"] = chance.choice(["3", "-1", "nonsense", "1e9", "9" * 40, "Mon, 99 Foo"])
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
