"""OpenAI's batches, from both ends: what the adapter sends against OpenAI's specification, what it makes of
good and of damaged answers, and the simulator against the official client."""

import asyncio
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import jsonschema
import openai
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
from packshot.providers.conformance import delivery_is_complete, offline, ticket_survives_a_restart
from packshot.providers.contract import (
    BY_TOMORROW,
    DELIVERY,
    Account,
    AttemptRef,
    Batches,
    Delivery,
    ImageRequest,
    InputImage,
    Line,
    Ticket,
)
from packshot.providers.http import GuardedClient
from packshot.providers.openai import CARDS, OpenAI, wire_request
from packshot.providers.openai_batches import body_of, line_of
from packshot.simulator import Control, Rule, SimulatorConfig, running

KEY = "sk-proj-1234567890abcdef"
TOMORROW = {DELIVERY: BY_TOMORROW}
SOLD = [card for card in CARDS if any(each.name == DELIVERY for each in card.options)]
REQUEST = ImageRequest("gpt-image-2", "A linen apron on a wooden table", options=TOMORROW)
TICKET = Ticket({"batch": "batch_1", "model": "gpt-image-2"})
USAGE = {
    "input_tokens": 50,
    "input_tokens_details": {"text_tokens": 50, "image_tokens": 0},
    "output_tokens": 1000,
    "total_tokens": 1050,
}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


@pytest.fixture(scope="module")
def specification(specs):
    """A validator of one of OpenAI's schemas, by name."""
    document = json.loads((specs / "openai-images.openapi.json").read_text())
    delta = json.loads((specs / "openai-images.delta-2026-11.json").read_text())
    wanted = document["components"]["schemas"]["CreateImageRequest"]
    wanted["properties"]["model"] = {"enum": delta["model_enum"]}
    wanted["properties"]["quality"] = {"enum": delta["quality_enum"]}
    wanted["additionalProperties"] = False
    # What the published objects leave out while it is not known is null in every recorded one.
    for schema in document["components"]["schemas"]["Batch"]["properties"].values():
        if "type" in schema:
            schema["type"] = [schema["type"], "null"]
    for name in ("expires_at", "status_details"):
        schema = document["components"]["schemas"]["OpenAIFile"]["properties"][name]
        schema["type"] = [schema["type"], "null"]
    for name in ("first_id", "last_id"):
        schema = document["components"]["schemas"]["ListBatchesResponse"]["properties"][name]
        schema["type"] = [schema["type"], "null"]
    registry = referencing.Registry().with_resource("spec", referencing.Resource(document, DRAFT202012))
    return lambda name: jsonschema.Draft202012Validator(
        {"$ref": f"spec#/components/schemas/{name}"}, registry=registry
    )


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Control]:
    config = SimulatorConfig(tmp_path / "simulator", image="small", openai_batch_latency_s=(0.1, 0.2))
    with running(config) as control:
        yield control


def told(url: str, story):
    """What `story` makes of an adapter that talks to `url`."""

    async def play():
        client = GuardedClient(url)
        try:
            return await story(OpenAI(Account(KEY, url, simulated=True), client))
        finally:
            await client.aclose()

    return asyncio.run(play())


def served(serving, answering, story):
    async def play():
        async with serving(answering) as loopback:
            client = GuardedClient(loopback.url)
            try:
                adapter = OpenAI(Account(KEY, loopback.url, simulated=True), client)
                return await story(adapter), loopback.asked
            except ProviderError as error:
                return error, loopback.asked
            finally:
                await client.aclose()

    return asyncio.run(play())


def lines(count: int, request: ImageRequest = REQUEST) -> list[Line]:
    return [Line(request, AttemptRef(uuid4(), 1, 60.0)) for _ in range(count)]


# -- what it sends ------------------------------------------------------------------------------


@st.composite
def requests(draw: st.DrawFn) -> ImageRequest:
    card = draw(st.sampled_from(SOLD))
    options: dict[str, object] = dict(TOMORROW)
    for option in card.options:
        if option.name in (DELIVERY, "input_fidelity", "output_compression") or not draw(st.booleans()):
            continue
        options[option.name] = draw(st.sampled_from(option.choices))
    return ImageRequest(
        card.id,
        draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)),
        draw(st.sampled_from(card.shapes)),
        draw(st.integers(1, card.max_images)),
        options=options,
    )


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=requests(), attempt_id=st.uuids(), batch=st.uuids())
def test_every_line_and_order_fits_the_specification(specification, request, attempt_id, batch):
    try:
        body = wire_request(request)
    except BadInput:
        return  # such as a transparent JPEG: no call could ask for it
    line = json.loads(json.dumps(line_of(attempt_id, body)))
    assert line.keys() == {"custom_id", "method", "url", "body"}
    assert (UUID(line["custom_id"]), line["method"]) == (attempt_id, "POST")
    assert DELIVERY not in line["body"], "an option of ours is none of OpenAI's"
    specification("CreateImageRequest").validate(line["body"])
    order = body_of("file-1", batch, request.model)
    specification("CreateBatchRequest").validate(order)
    assert line["url"] == order["endpoint"]
    assert all(len(name) <= 64 and len(value) <= 512 for name, value in order["metadata"].items())


def test_it_is_sold_only_where_a_price_of_it_is_published():
    adapter = offline(OpenAI)
    assert isinstance(adapter, Batches)
    for card in adapter.models():
        if card.retired:
            continue
        request = ImageRequest(card.id, "A mug")
        if card not in SOLD:
            with pytest.raises(BadInput, match="no option"):
                adapter.quote(ImageRequest(card.id, "A mug", options=TOMORROW))
            continue
        now, then = adapter.quote(request), adapter.quote(ImageRequest(card.id, "A mug", options=TOMORROW))
        assert now.expected / 2 <= then.expected <= now.expected / 2 + 1, card.id
        assert now.ceiling / 2 <= then.ceiling <= now.ceiling / 2 + 1, card.id


def test_neither_pictures_nor_a_model_that_stops_wait_for_tomorrow(monkeypatch):
    adapter = offline(OpenAI)
    picture = InputImage("image", "image/png", 64, 64, 100, b"x")
    with pytest.raises(BadInput, match="pictures"):
        adapter.quote(ImageRequest("gpt-image-2", "A mug", options=TOMORROW, inputs=(picture,)))
    stops = next(card for card in SOLD if card.retires_on)
    monkeypatch.setattr("packshot.providers.openai.today", lambda: stops.retires_on.replace(month=11, day=30))
    with pytest.raises(BadInput, match="stops"):
        adapter.quote(ImageRequest(stops.id, "A mug", options=TOMORROW))


def test_an_order_is_one_upload_and_one_creation_in_its_name(serving, reply):
    batch, sent = uuid4(), lines(3)

    def answering(asked):
        return reply.of({"id": "file-1"} if asked.path == "/v1/files" else {"id": "batch_9"})

    ticket, asked = served(serving, answering, lambda adapter: adapter.order(sent, batch))
    ticket_survives_a_restart(ticket)
    assert [(each.method, each.path) for each in asked] == [("POST", "/v1/files"), ("POST", "/v1/batches")]
    assert {each.headers["authorization"] for each in asked} == {f"Bearer {KEY}"}
    assert json.loads(asked[1].body) == body_of("file-1", batch, "gpt-image-2")
    uploaded = [json.loads(each) for each in asked[0].body.splitlines() if each.startswith(b"{")]
    assert [each["custom_id"] for each in uploaded] == [str(each.attempt.id) for each in sent]


# -- what it makes of answers -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind"), [("/v1/files", TryLater), ("/v1/batches", Unsure)], ids=["upload", "creation"]
)
def test_a_cut_upload_is_free_and_a_cut_creation_is_not_known(serving, reply, path, kind):
    def answering(asked):
        return reply(raw=b"") if asked.path == path else reply.of({"id": "file-1"})

    error, asked = served(serving, answering, lambda adapter: adapter.order(lines(1), uuid4()))
    assert isinstance(error, kind)
    assert error.charge == ("free" if kind is TryLater else "unknown")
    assert [each.path for each in asked].count(path) == 1, "nothing is sent twice"


@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize("code", ["server_error", "overloaded"])
def test_an_order_that_the_service_failed_at_may_have_been_taken(serving, reply, status, code):
    def answering(asked):
        if asked.path == "/v1/files":
            return reply.of({"id": "file-1"})
        return reply.of({"error": {"message": "The server had an error", "code": code, "type": code}}, status)

    error, _ = served(serving, answering, lambda adapter: adapter.order(lines(1), uuid4()))
    assert isinstance(error, Unsure), "it can be looked for, so nothing is ordered anew before"


@pytest.mark.parametrize("answer", [{}, [], {"id": "../files"}, {"id": 7}, {"object": "batch"}])
def test_an_order_whose_number_cannot_be_read_is_not_known(serving, reply, answer):
    def answering(asked):
        return reply.of({"id": "file-1"} if asked.path == "/v1/files" else answer)

    error, _ = served(serving, answering, lambda adapter: adapter.order(lines(1), uuid4()))
    assert isinstance(error, Unsure)


def test_a_name_is_found_on_a_later_page(serving, reply):
    batch = uuid4()
    named = {"id": "batch_7", "metadata": body_of("f", batch, "gpt-image-2")["metadata"]}

    def answering(asked):
        if "after=batch_1" in asked.path:
            return reply.of({"data": [{"id": "batch_2", "metadata": None}, named], "has_more": False})
        return reply.of({"data": [{"id": "batch_1", "metadata": {"other": "x"}}], "has_more": True})

    ticket, _ = served(serving, answering, lambda adapter: adapter.find(batch))
    assert ticket == Ticket({"batch": "batch_7", "model": "gpt-image-2"})


@pytest.mark.parametrize("answer", [{}, {"data": "none"}, [], {"data": None}])
def test_a_list_that_cannot_be_read_proves_nothing(serving, reply, answer):
    error, _ = served(serving, lambda asked: reply.of(answer), lambda adapter: adapter.find(uuid4()))
    assert isinstance(error, Unsure)


@pytest.mark.parametrize("status", [401, 429, 500, 502])
def test_trouble_with_a_look_is_a_reason_to_look_again(serving, reply, status):
    def answering(asked):
        return reply.of({"error": {"message": "no"}}, status)

    error, _ = served(serving, answering, lambda adapter: adapter.progress(TICKET))
    assert isinstance(error, TryLater)


def test_an_order_that_is_not_there_is_looked_for_again_because_a_key_of_another_project_sees_none(
    serving, reply
):
    def answering(asked):
        return reply.of({"error": {"message": "No batch found"}}, 404)

    error, _ = served(serving, answering, lambda adapter: adapter.progress(TICKET))
    assert isinstance(error, TryLater)


def result_line(name: object, status: object = 200, body: object = None, **more: object) -> dict[str, object]:
    good = {"data": [{"b64_json": PNG}], "usage": USAGE}
    response = {"status_code": status, "request_id": "req_1", "body": good if body is None else body}
    return {"id": "batch_req_1", "custom_id": name, "response": response, "error": None, **more}


def collected(serving, reply, content: bytes, order: dict[str, object] | None = None):
    known = {"id": "batch_1", "status": "completed", "output_file_id": "file-9", **(order or {})}

    def answering(asked):
        return reply(200, content) if asked.path.endswith("/content") else reply.of(known)

    async def story(adapter):
        return {name: outcome async for name, outcome in adapter.results(TICKET)}

    return served(serving, answering, story)[0]


def test_a_line_costs_half_of_what_its_tokens_cost(serving, reply):
    name = uuid4()
    found = collected(serving, reply, json.dumps(result_line(str(name))).encode())
    delivery = found[name]
    assert isinstance(delivery, Delivery)
    delivery_is_complete(delivery, REQUEST)
    # 50 text tokens at 2.50 and 1,000 output tokens at 15 dollars per million.
    assert (delivery.cost, delivery.request_id) == (15_125, "req_1")


@pytest.mark.parametrize(
    ("line", "kind", "charge"),
    [
        (result_line("", 400, {"error": {"code": "moderation_blocked", "message": "no",
            "moderation_details": {"moderation_stage": "input"}}}), Refused, "free"),
        (result_line("", 400, {"error": {"code": "moderation_blocked", "message": "no",
            "moderation_details": {"moderation_stage": "output"}}}), Refused, "unknown"),
        (result_line("", 429, {"error": {"message": "busy"}}), BadAnswer, "free"),
        (result_line("", 500, {"error": {"message": "oops"}}), BadAnswer, "free"),
        (result_line("", 401, {"error": {"message": "key"}}), BadAnswer, "free"),
        (result_line("", 200, {"data": [], "usage": USAGE}), BadAnswer, "charged"),
        (result_line("", response=None, error={"code": "batch_expired", "message": "late"}), Refused, "free"),
    ],
    ids=["moderated before", "moderated after", "busy", "broken", "key", "no image", "expired"],
)  # fmt: skip
def test_a_line_without_an_image_says_what_it_cost(serving, reply, line, kind, charge):
    name = uuid4()
    found = collected(serving, reply, json.dumps({**line, "custom_id": str(name)}).encode())
    assert isinstance(found[name], kind)
    assert found[name].charge == charge
    assert not isinstance(found[name], TryLater | Misconfigured), "it was so hours ago"


@pytest.mark.parametrize(
    ("status", "error", "kind", "charge"),
    [
        ("expired", None, Refused, "free"),
        ("cancelled", None, BadAnswer, "free"),
        ("failed", {"code": "invalid_json_line", "message": "line 1"}, Refused, "free"),
        ("failed", {"code": "token_limit_exceeded", "message": "too much"}, TryLater, "free"),
        ("failed", {"code": "billing_hard_limit_reached", "message": "pay"}, Misconfigured, "free"),
        ("failed", None, Refused, "free"),
        ("completed", None, BadAnswer, "unknown"),
    ],
)
def test_a_line_that_is_not_among_the_results_says_why(serving, reply, status, error, kind, charge):
    order = {"id": "batch_1", "status": status, "errors": {"data": [error]} if error else None}
    why, _ = served(serving, lambda asked: reply.of(order), lambda adapter: adapter.unmade(TICKET))
    assert isinstance(why, kind)
    assert why.charge == charge


def test_damaged_results_never_crash_it_nor_book_a_wrong_cost(serving, reply):
    chance = random.Random(7)  # repeatable on purpose
    names = [uuid4() for _ in range(3)]
    good = "\n".join(json.dumps(result_line(str(name))) for name in names).encode()
    for _ in range(150):
        content = bytearray(good)
        for _ in range(chance.randint(1, 12)):
            at = chance.randrange(len(content))
            match chance.randrange(3):
                case 0:
                    content[at] = chance.randrange(256)
                case 1:
                    del content[at : at + chance.randint(1, 40)]
                case _:
                    content[at:at] = chance.choice([b"\n", b"null", b"{", b'"', b"\x00", b"NaN"])
        found = collected(serving, reply, bytes(content))
        if isinstance(found, ProviderError):
            continue
        for name, outcome in found.items():
            if isinstance(outcome, Delivery) and name in names:
                assert outcome.cost is None or outcome.cost >= 0


# -- the simulator ----------------------------------------------------------------------------


def test_the_official_client_orders_a_batch_and_reads_its_results(simulator, specification):
    client = openai.OpenAI(api_key="sk-simulated", base_url=f"{simulator.openai_url}/v1", max_retries=0)
    name = uuid4()
    body = {"model": "gpt-image-2", "prompt": "A mug", "size": "1024x1024", "quality": "low"}
    content = json.dumps(line_of(name, body)).encode()
    file = client.files.create(file=("lines.jsonl", content), purpose="batch")
    specification("OpenAIFile").validate(json.loads(file.model_dump_json(exclude_unset=True)))
    batch = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/images/generations",
        completion_window="24h",
        metadata={"name": "x"},
    )
    until = time.monotonic() + 20
    while batch.status != "completed" and time.monotonic() < until:
        specification("Batch").validate(json.loads(batch.model_dump_json(exclude_unset=True)))
        batch = client.batches.retrieve(batch.id)
    assert (batch.status, batch.request_counts.completed) == ("completed", 1)
    (line,) = [json.loads(each) for each in client.files.content(batch.output_file_id).text.splitlines()]
    assert (UUID(line["custom_id"]), line["response"]["status_code"]) == (name, 200)
    assert len(simulator.bill()) == 1
    assert line["response"]["request_id"] == simulator.bill()[0].request_id
    usage = line["response"]["body"]["usage"]
    full = usage["input_tokens"] * 5 + usage["output_tokens"] * 30
    assert simulator.bill()[0].dollars * 1_000_000 * 2 == full
    assert [each.id for each in client.batches.list()] == [batch.id]
    with pytest.raises(openai.APIStatusError, match="Cannot cancel"):
        client.batches.cancel(batch.id)


def test_a_batch_of_one_is_an_ordinary_ticket_too(simulator):
    async def story(adapter):
        attempt = AttemptRef(uuid4(), 1, 60.0)
        ticket = await adapter.submit(REQUEST, attempt)
        ticket_survives_a_restart(ticket)
        while not isinstance(found := await adapter.collect(ticket, attempt), Delivery):
            await asyncio.sleep(0.05)
        return found

    delivery_is_complete(told(simulator.openai_url, story), REQUEST)


def test_what_was_revoked_cannot_be_ordered_any_more(simulator):
    async def story(adapter):
        batch = uuid4()
        bodies = [line_of(uuid4(), wire_request(REQUEST))]
        file_id = await adapter._batches._upload(bodies, batch)
        assert await adapter.find(batch) is None
        await adapter.revoke(batch)
        late = adapter._client.post(
            "/v1/batches",
            json_body=body_of(file_id, batch, "gpt-image-2"),
            headers=adapter._headers(),
            deadline_s=10.0,
            max_bytes=100_000,
        )
        return (await late).status

    assert told(simulator.openai_url, story) == 404
    assert simulator.bill() == []


def test_a_simulator_that_is_started_again_goes_on_with_its_batches(tmp_path):
    config = SimulatorConfig(tmp_path / "simulator", image="small", openai_batch_latency_s=(1.0, 1.1))
    with running(config) as control:
        ticket = told(control.openai_url, lambda adapter: adapter.order(lines(2), uuid4()))

    async def story(adapter):
        while not (seen := await adapter.progress(ticket)).ended:
            await asyncio.sleep(0.05)
        return seen

    with running(config) as control:
        assert told(control.openai_url, story).done == 2
        assert len(control.bill()) == 2


def test_a_fate_of_a_batch_never_decides_a_direct_call(simulator):
    simulator.set_faults(Rule(action="never_ready"))

    async def story(adapter):
        return await adapter.submit(ImageRequest("gpt-image-2", "A mug"), AttemptRef(uuid4(), 1, 30.0))

    assert isinstance(told(simulator.openai_url, story), Delivery)
    assert simulator.faults_fired() == [0]
