"""A team's own endpoints, OpenAI-compatible, AUTOMATIC1111, ComfyUI: real HTTP to small, strict machines."""

import asyncio
import base64
import json
import logging
import random
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

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
from packshot.providers.automatic1111 import Automatic1111, wire_request
from packshot.providers.comfyui import ComfyUI
from packshot.providers.comfyui_workflow import PLAIN, Workflow
from packshot.providers.compatible import Compatible
from packshot.providers.conformance import (
    CHECKS,
    an_example,
    delivery_is_complete,
    offline,
    ticket_survives_a_restart,
)
from packshot.providers.contract import (
    AS_INPUT,
    Account,
    AttemptRef,
    Delivery,
    ImageRequest,
    InputImage,
    Inspectable,
    Pending,
    Provider,
    Ticket,
)
from packshot.providers.http import GuardedClient
from packshot.providers.own import size_of
from tests.machines import Comfy, Machine, OpenAIEndpoint, WebUI, picture, running

KEY = "own-canary-9Zx27q"
TLS = ssl.create_default_context()
OWN = {"compatible": Compatible, "automatic1111": Automatic1111, "comfyui": ComfyUI}
OFFLINE = {name: offline(adapter) for name, adapter in OWN.items()}
PROMPT = "A linen apron on a wooden table"
CHECKPOINT = {"COMFYUI_CHECKPOINT": "sd_xl_base_1.0.safetensors"}


def attempt(deadline_s: float = 30.0, id_: UUID | None = None) -> AttemptRef:
    return AttemptRef(id_ or uuid4(), 1, deadline_s)


def adapter_at(adapter: type, url: str, key: str = "", **values: str) -> Any:
    told = {adapter.variables[0]: url, **(CHECKPOINT if adapter is ComfyUI and not values else {}), **values}
    client = GuardedClient(url, hosts=adapter.hosts, own=True, tls=TLS)
    return adapter(Account(key, url, simulated=False, values=told), client)


def given_picture(width_px: int = 320, height_px: int = 400) -> InputImage:
    content = picture(width_px, height_px)
    return InputImage("image", "image/png", width_px, height_px, len(content), content)


async def ending(call):
    """What a call comes to: its result, or the error it raises."""
    try:
        return await call
    except ProviderError as error:
        return error


@pytest.fixture
def start() -> Iterator[Callable[[Machine], Machine]]:
    with ExitStack() as stack:
        yield lambda machine: stack.enter_context(running(machine))


def asked(adapter: Any, request: ImageRequest, reference: AttemptRef | None = None) -> Any:
    """One submission, to its end."""
    return asyncio.run(ending(adapter.submit(request, reference or attempt())))


def made(adapter: Any, request: ImageRequest, reference: AttemptRef | None = None) -> Any:
    """Submission and as many looks as it takes."""

    async def story():
        ticket = seen = await ending(adapter.submit(request, reference or attempt()))
        for _ in range(200):
            if not isinstance(seen, Ticket | Pending):
                return seen
            seen = await ending(adapter.collect(ticket, attempt()))
            if isinstance(seen, Pending):
                await asyncio.sleep(0.01)
        raise AssertionError("it never ended")

    return asyncio.run(story())


# -- all three ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_they_keep_the_contract(check, name):
    check(OFFLINE[name])


@pytest.mark.parametrize("name", OWN)
def test_they_cost_nothing_and_say_why(name):
    provider: Provider = OFFLINE[name]
    assert provider.free
    for card in provider.models():
        quote = provider.quote(an_example(card))
        assert (quote.expected, quote.ceiling) == (0, 0)
        assert "Your own machine" in quote.note


def machine_of(name: str, **facts: Any) -> Machine:
    return {"compatible": OpenAIEndpoint, "automatic1111": WebUI, "comfyui": Comfy}[name](**facts)


@pytest.mark.parametrize("name", OWN)
def test_a_picture_is_made_at_the_size_that_its_shape_calls_for(start, name):
    machine = start(machine_of(name))
    adapter = adapter_at(OWN[name], machine.url)
    card = adapter.models()[0]
    for shape in card.shapes:
        request = replace(an_example(card), shape=shape, options={"resolution": "512"})
        done = made(adapter, request)
        assert isinstance(done, Delivery), done
        delivery_is_complete(done, request)
        assert done.cost == 0
        (image,) = done.images
        across, down = (int(part) for part in shape.split(":"))
        assert image.width_px * down == image.height_px * across, "never distorted"
        assert image.width_px % 16 == image.height_px % 16 == 0
        assert 0.6 < image.width_px * image.height_px / 512**2 < 1.6


@pytest.mark.parametrize("name", OWN)
def test_several_pictures_come_in_one_call(start, name):
    adapter = adapter_at(OWN[name], start(machine_of(name)).url)
    card = adapter.models()[0]
    request = replace(an_example(card), images=4, options={"resolution": "512"})
    done = made(adapter, request)
    assert len({image.content for image in done.images}) == 4
    assert done.cost == 0


@pytest.mark.parametrize("name", ["automatic1111", "comfyui"])
def test_a_seed_is_sent_and_comes_back(start, name):
    adapter = adapter_at(OWN[name], start(machine_of(name)).url)
    request = replace(an_example(adapter.models()[0]), seed=7, options={"resolution": "512"})
    first, second = made(adapter, request), made(adapter, request)
    assert (first.seed, first.images[0].content) == (7, second.images[0].content)
    other = made(adapter, replace(request, seed=8))
    assert other.images[0].content != first.images[0].content
    free = made(adapter, replace(request, seed=None))
    assert free.seed is not None
    for wrong in (-1, 2**32):
        with pytest.raises(BadInput) as refused:
            adapter.quote(replace(request, seed=wrong))
        assert refused.value.field == "seed"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_the_cards_allow_can_be_asked(data):
    """Three hundred combinations, each a body of the types and sizes that the machines take."""
    provider = OFFLINE[data.draw(st.sampled_from(list(OWN)))]
    card = data.draw(st.sampled_from(provider.models()))
    options = {}
    for option in card.options:
        if data.draw(st.booleans()):
            options[option.name] = data.draw(
                {
                    "choice": st.sampled_from(option.choices or ("",)),
                    "integer": st.integers(option.minimum or 0, option.maximum or 0),
                    "text": st.text(st.characters(exclude_categories=["Cs"]), max_size=option.maximum or 1),
                    "boolean": st.booleans(),
                }[option.kind]
            )
    words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300).filter(str.strip)
    size = st.integers(1, 16_000)
    request = ImageRequest(
        card.id,
        data.draw(words),
        data.draw(st.sampled_from(card.shapes)),
        images=data.draw(st.integers(1, card.max_images)),
        seed=data.draw(st.none() | st.integers(0, 2**32 - 1)) if card.takes_seed else None,
        options=options,
        negative_prompt=data.draw(st.just("") | words) if card.takes_negative_prompt else "",
        inputs=tuple(
            InputImage("image", "image/png", data.draw(size), data.draw(size), 1)
            for _ in range(card.min_inputs)
        ),
    )
    assert provider.quote(request).ceiling == 0
    width, height = size_of(request, options.get("resolution", "1024"))
    assert width % 16 == height % 16 == 0
    if isinstance(provider, Compatible):
        body = provider._body(request)
        assert body == {"prompt": request.prompt, "n": request.images, "size": f"{width}x{height}"}
    elif isinstance(provider, Automatic1111):
        body = wire_request(request)
        assert (body["width"], body["height"], body["n_iter"]) == (width, height, request.images)
        assert isinstance(body["cfg_scale"], float)
        assert type(body["steps"]) is int
    else:
        graph = Workflow.of(PLAIN).filled({**provider._accept(request), "seed": 1})
        assert graph["words"]["inputs"]["text"] == request.prompt, "word for word"
        assert (graph["size"]["inputs"]["width"], graph["size"]["inputs"]["height"]) == (width, height)
        body = graph
    assert json.loads(json.dumps(body)) == body


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"])
def test_a_machine_that_goes_away_is_asked_again_since_nothing_is_paid(serving, reply, name, raw):
    async def story():
        async with serving(lambda asked: reply(raw=raw)) as loopback:
            adapter = adapter_at(OWN[name], loopback.url)
            request = an_example(adapter.models()[0])
            return await ending(adapter.submit(request, attempt())), loopback.asked

    seen, calls = asyncio.run(story())
    assert len(calls) == 1, "not by the adapter itself"
    if name == "comfyui":
        assert isinstance(seen, Ticket), "its number is known: it is looked for"
    else:
        assert (type(seen), seen.kind, seen.charge) == (TryLater, "server_error", "free")


@pytest.mark.parametrize("name", OWN)
def test_nobody_there_is_waited_for(name):
    adapter = adapter_at(OWN[name], "http://127.0.0.1:9")
    seen = asked(adapter, an_example(adapter.models()[0]))
    assert (type(seen), seen.kind, seen.charge) == (TryLater, "unreachable", "free")


@pytest.mark.parametrize("name", OWN)
def test_a_redirect_is_not_followed(serving, reply, name):
    async def story():
        async with serving(
            lambda asked: reply(302, b"", {"location": "http://169.254.169.254/"})
        ) as loopback:
            adapter = adapter_at(OWN[name], loopback.url)
            return await ending(adapter.submit(an_example(adapter.models()[0]), attempt())), loopback.asked

    seen, calls = asyncio.run(story())
    assert (type(seen), seen.kind, len(calls)) == (TryLater, "unreachable", 1)


@pytest.mark.parametrize("name", ["compatible", "automatic1111"])
def test_a_machine_that_is_too_slow_is_not_given_the_same_again(serving, reply, name):
    async def never(asked):
        await asyncio.sleep(60)
        return reply()

    async def story():
        async with serving(never) as loopback:
            adapter = adapter_at(OWN[name], loopback.url)
            return await ending(adapter.submit(an_example(adapter.models()[0]), attempt(1.0)))

    seen = asyncio.run(story())
    assert (type(seen), seen.kind, seen.charge) == (BadAnswer, "timeout", "free")


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(
    ("status", "body", "kind_of", "kind"),
    [
        (401, b"{}", Misconfigured, "bad_key"),
        (403, b"no", Misconfigured, "bad_key"),
        (404, b"404 page not found", Misconfigured, "unreachable"),
        (400, b'{"detail": "odd"}', Refused, "bad_request"),
        (422, b'{"detail": [{"loc": ["body", "width"], "msg": "odd"}]}', Refused, "bad_request"),
        (429, b"{}", TryLater, None),
        (500, b"Internal Server Error", TryLater, "server_error"),
        (500, b'{"error": "boom"}', TryLater, "server_error"),
        (502, b"<html>", TryLater, "server_error"),
        (503, b"{}", TryLater, "overloaded"),
    ],
)
def test_other_answers_are_classed_and_cost_nothing(serving, reply, name, status, body, kind_of, kind):
    async def story():
        async with serving(lambda asked: reply(status, body)) as loopback:
            adapter = adapter_at(OWN[name], loopback.url)
            return await ending(adapter.submit(an_example(adapter.models()[0]), attempt())), loopback.asked

    seen, calls = asyncio.run(story())
    assert (type(seen), seen.charge, len(calls)) == (kind_of, "free", 1)
    assert kind is None or seen.kind == kind
    assert seen.reason


@pytest.mark.parametrize("name", OWN)
def test_no_key_leaks_through_an_error_or_a_log(serving, reply, name, caplog):
    caplog.set_level(logging.DEBUG)
    key = f"{KEY}:{KEY}" if name == "automatic1111" else KEY
    basic = base64.b64encode(key.encode()).decode()
    said = {"error": {"message": f"key {KEY} {basic} is wrong", "code": KEY}, "detail": KEY, KEY: [KEY]}
    sent = []

    def answering(asked):
        sent.append(asked.headers.get("authorization", ""))
        return reply.of(said, answering.status)

    async def story():
        async with serving(answering) as loopback:
            adapter = adapter_at(OWN[name], loopback.url, key)
            for answering.status in (200, 400, 401, 404, 422, 429, 500, 502):
                seen = await ending(adapter.submit(an_example(adapter.models()[0]), attempt()))
                if isinstance(seen, ProviderError):
                    assert KEY not in f"{seen} {seen.reason} {seen.raw}"
                inspected = await adapter.inspect()
                assert KEY not in inspected.detail

    asyncio.run(story())
    assert set(sent) == {f"Basic {basic}" if name == "automatic1111" else f"Bearer {KEY}"}
    assert KEY not in caplog.text


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(
    ("key", "answer", "works"),
    [
        ("", {"status": 200, "body": b"{}"}, None),
        (KEY, {"status": 200, "body": b"{}"}, True),
        (KEY, {"status": 401}, False),
        (KEY, {"status": 404}, None),
        (KEY, {"status": 500}, None),
        (KEY, {"raw": b""}, None),
    ],
)
def test_a_look_at_the_machine_is_free(serving, reply, name, key, answer, works):
    key = f"user:{key}" if key and name == "automatic1111" else key

    async def story():
        async with serving(lambda asked: reply(**answer)) as loopback:
            adapter = adapter_at(OWN[name], loopback.url, key)
            assert isinstance(adapter, Inspectable)
            return await adapter.inspect(), loopback.asked

    seen, calls = asyncio.run(story())
    assert (seen.key_works, [each.method for each in calls]) == (works, ["GET"])
    assert seen.detail.endswith(".") or "--api" in seen.detail or "(" in seen.detail


NONSENSE = [None, True, -1, 0, 1.5, 10**25, "", "x" * 3000, "\ud800", "\x00", [], {}, [[[]]], {"a": None}]


@pytest.mark.parametrize("name", OWN)
def test_two_thousand_damaged_answers_raise_nothing_unexpected_and_cost_nothing(serving, reply, name):
    chance = random.Random(20261126)
    pixel = base64.b64encode(picture(16, 16)).decode()
    job = str(uuid4())
    good: dict[str, Any] = {
        "/v1/images/generations": {"created": 1, "data": [{"b64_json": pixel}, {"url": "/generated/x"}]},
        "/sdapi/v1/txt2img": {"images": [pixel], "info": '{"seed": 4}', "parameters": {}},
        "/prompt": {"prompt_id": job, "number": 1, "node_errors": {}},
        f"/history/{job}": {
            job: {
                "outputs": {"9": {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]}},
                "status": {
                    "status_str": "success",
                    "messages": [["execution_error", {"exception_message": "odd", "node_type": "KSampler"}]],
                },
            }
        },
        "/queue": {"queue_running": [[0, job, {}]], "queue_pending": []},
    }

    def answering(asked):
        path = asked.path.partition("?")[0]
        if path in ("/view", "/generated/x"):
            return reply(
                chance.choice([200, 200, 404, 500]), chance.choice([picture(16, 16), b"", b"<html>"])
            )
        document = json.loads(json.dumps(good.get(path, {})))
        for _ in range(chance.randint(0, 3)):
            _replace_one(document, chance)
        body = json.dumps(document).encode()
        if chance.random() < 0.1:
            body = body[: chance.randrange(len(body) + 1)]
        if chance.random() < 0.05:
            body = bytes(chance.randrange(256) for _ in range(100))
        if chance.random() < 0.02:
            body = b'{"a":' * 50_000
        return reply(chance.choice([200] * 8 + [400, 404, 422, 500, 503]), body)

    async def story() -> set[str]:
        seen = set()
        async with serving(answering) as loopback:
            adapter = adapter_at(OWN[name], loopback.url)
            request = replace(an_example(adapter.models()[0]), images=2)
            for turn in range(2000):
                if name == "comfyui" and turn % 4:
                    state = {
                        "prompt_id": job,
                        "images": 2,
                        "seed": 1,
                        "submitted_at": chance.choice([0, 9e9]),
                    }
                    result = await ending(adapter.collect(Ticket(state, job, 0), attempt()))
                    assert isinstance(result, Delivery | Pending | ProviderError)
                else:
                    result = await ending(adapter.submit(request, attempt()))
                    assert isinstance(result, Ticket | Delivery | ProviderError)
                if isinstance(result, ProviderError):
                    assert result.charge == "free"
                    (result.raw + result.reason).encode()
                if isinstance(result, Delivery | Ticket):
                    assert result.cost == 0
                if isinstance(result, Ticket):
                    ticket_survives_a_restart(result)
                seen.add(type(result).__name__)
        return seen

    assert asyncio.run(story()) >= {"Delivery", "BadAnswer", "TryLater", "Refused"}


def _replace_one(value: object, chance: random.Random) -> None:
    while True:
        if isinstance(value, dict) and value:
            key = chance.choice(list(value))
        elif isinstance(value, list) and value:
            key = chance.randrange(len(value))
        else:
            return
        if chance.random() < 0.4 or not isinstance(value[key], dict | list):
            value[key] = json.loads(json.dumps(chance.choice(NONSENSE)))
            return
        value = value[key]


# -- an OpenAI-compatible endpoint -------------------------------------------------------------------


def ask(model: str = "default", **more: Any) -> ImageRequest:
    return ImageRequest(model, PROMPT, **{"options": {"resolution": "512"}, **more})


def test_only_what_every_endpoint_takes_is_sent(start):
    machine = start(OpenAIEndpoint())
    adapter = adapter_at(Compatible, machine.url, OWN_OPENAI_MODELS="sdxl, flux-schnell ,sdxl")
    assert [card.id for card in adapter.models()] == ["sdxl", "flux-schnell"]
    done = asked(adapter, ask("flux-schnell", shape="16:9", images=2))
    assert len(done.images) == 2
    (call,) = machine.asked("/v1/images/generations")
    assert call.json() == {"model": "flux-schnell", "prompt": PROMPT, "n": 2, "size": "768x432"}
    assert "authorization" not in call.headers


def test_an_endpoint_that_was_told_of_no_model_is_sent_no_name(start):
    machine = start(OpenAIEndpoint())
    assert isinstance(asked(adapter_at(Compatible, machine.url), ask()), Delivery)
    assert machine.seen[-1].json().keys() == {"prompt", "n", "size"}


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
def test_the_address_may_end_in_v1_or_not(start, path):
    machine = start(OpenAIEndpoint())
    assert isinstance(asked(adapter_at(Compatible, machine.url + path), ask()), Delivery)


def test_the_answers_form_is_asked_for_only_where_it_is_set(start):
    machine = start(OpenAIEndpoint(links=True, response_format=True))
    assert isinstance(asked(adapter_at(Compatible, machine.url), ask()), Delivery)
    assert machine.asked("/generated/512-512-0"), "a link at the endpoint itself is followed"
    before = len(machine.seen)
    adapter = adapter_at(Compatible, machine.url, OWN_OPENAI_RESPONSE_FORMAT="b64_json")
    assert isinstance(asked(adapter, ask()), Delivery)
    assert machine.seen[-1].json()["response_format"] == "b64_json"
    assert len(machine.seen) == before + 1


def test_a_key_goes_to_the_endpoint_and_not_with_a_link(start):
    machine = start(OpenAIEndpoint(key=KEY))
    assert isinstance(asked(adapter_at(Compatible, machine.url, KEY), ask()), Delivery)
    seen = asked(adapter_at(Compatible, machine.url, "wrong"), ask())
    assert (type(seen), seen.kind) == (Misconfigured, "bad_key")


@pytest.mark.parametrize(
    "link",
    [
        "http://169.254.169.254/latest/meta-data", "http://10.0.0.1/a.png", "https://example.com/a.png",
        "file:///etc/passwd", "//evil.example/a.png", "http://127.0.0.1:1/a.png", "http://localhost/a.png",
    ],
)  # fmt: skip
def test_a_link_to_elsewhere_is_not_followed(serving, reply, link):
    async def story():
        async with serving(lambda asked: reply.of({"data": [{"url": link}]})) as loopback:
            adapter = adapter_at(Compatible, loopback.url)
            return await ending(adapter.submit(ask(), attempt())), loopback.asked

    seen, calls = asyncio.run(story())
    assert (type(seen), seen.kind, seen.charge, len(calls)) == (BadAnswer, "bad_answer", "free", 1)


def test_a_link_may_be_a_path(serving, reply):
    def answering(asked):
        if asked.method == "GET":
            return reply(200, picture(16, 16))
        return reply.of({"data": [{"url": "/files/a.png"}, {"url": "b.png"}]})

    async def story():
        async with serving(answering) as loopback:
            adapter = adapter_at(Compatible, f"{loopback.url}/v1/")
            return await adapter.submit(replace(ask(), images=2), attempt()), loopback.asked

    done, calls = asyncio.run(story())
    assert len(done.images) == 2
    assert [each.path for each in calls[1:]] == ["/files/a.png", "/b.png"]


def test_a_model_that_is_not_there_says_so(start):
    machine = start(OpenAIEndpoint())
    seen = asked(adapter_at(Compatible, machine.url, OWN_OPENAI_MODELS="dall-e-9"), ask("dall-e-9"))
    assert (type(seen), seen.kind) == (Refused, "retired_model")
    assert "dall-e-9" in seen.reason


def test_where_a_price_is_set_failures_are_as_uncertain_as_elsewhere(serving, reply):
    price = {"OWN_PRICE": "0.003"}
    adapter = adapter_at(Compatible, "http://127.0.0.1:9", **price)
    quote = adapter.quote(replace(ask(), images=4))
    assert (quote.expected, quote.ceiling, quote.price_version, adapter.free) == (
        12_000, 12_000, "own-0.003", False,
    )  # fmt: skip

    async def story(**answer):
        async with serving(lambda asked: reply(**answer)) as loopback:
            return await ending(adapter_at(Compatible, loopback.url, **price).submit(ask(), attempt()))

    cut = asyncio.run(story(raw=b""))
    assert (type(cut), cut.charge) == (Unsure, "unknown")
    page = asyncio.run(story(status=502, body=b"<html>"))
    assert (type(page), page.charge) == (Unsure, "unknown")
    nothing = asyncio.run(story(body=b'{"data": []}'))
    assert (type(nothing), nothing.charge, nothing.cost) == (BadAnswer, "charged", 3_000)
    refused = asyncio.run(story(status=400, body=b'{"error": {"message": "no"}}'))
    assert (type(refused), refused.charge) == (Refused, "free")
    content = base64.b64encode(picture(16, 16)).decode()
    done = asyncio.run(story(body=json.dumps({"data": [{"b64_json": content}]}).encode()))
    assert done.cost == 3_000


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OWN_OPENAI_MODELS", "two words"), ("OWN_OPENAI_MODELS", ",".join(f"m{n}" for n in range(51))),
        ("OWN_OPENAI_MODELS", "x" * 101), ("OWN_OPENAI_RESPONSE_FORMAT", "png"), ("OWN_PRICE", "much"),
        ("OWN_PRICE", "-1"), ("OWN_PRICE", "9999999"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_used_is_refused_when_it_is_built(variable, value):
    with pytest.raises(BadInput, match=variable) as refused:
        adapter_at(Compatible, "http://gpu:8000", **{variable: value})
    assert refused.value.field == variable


# -- AUTOMATIC1111 ---------------------------------------------------------------------------------


def test_words_steps_guidance_and_sampler_are_sent(start):
    machine = start(WebUI())
    request = ImageRequest(
        "txt2img",
        PROMPT,
        "4:5",
        negative_prompt="text, people",
        options={"resolution": "768", "steps": 30, "cfg_scale": "3.5", "sampler": " Euler a "},
    )
    assert isinstance(asked(adapter_at(Automatic1111, machine.url), request), Delivery)
    (call,) = machine.asked("/sdapi/v1/txt2img")
    sent = call.json()
    assert (sent["prompt"], sent["negative_prompt"]) == (PROMPT, "text, people")
    assert (sent["width"], sent["height"]) == (704, 880)
    assert (sent["steps"], sent["cfg_scale"], sent["sampler_name"], sent["seed"]) == (30, 3.5, "Euler a", -1)
    assert sent["save_images"] is False


@pytest.mark.parametrize(
    ("shape", "size"), [(AS_INPUT, (464, 576)), ("1:1", (512, 512)), ("16:9", (768, 432))]
)
def test_a_picture_is_gone_by_and_never_stretched(start, shape, size):
    machine = start(WebUI())
    given_ = given_picture(400, 500)
    request = ImageRequest(
        "img2img",
        PROMPT,
        shape,
        options={"resolution": "512", "denoising_strength": "0.35"},
        inputs=(given_,),
    )
    done = asked(adapter_at(Automatic1111, machine.url), request)
    assert (done.images[0].width_px, done.images[0].height_px) == size
    sent = machine.asked("/sdapi/v1/img2img")[0].json()
    assert base64.b64decode(sent["init_images"][0]) == given_.content
    assert (sent["denoising_strength"], sent["resize_mode"]) == (0.35, 1)


def test_a_contact_sheet_of_an_old_version_is_not_taken_for_a_picture(start):
    machine = start(WebUI(contact_sheet=True))
    request = ImageRequest("txt2img", PROMPT, images=3, options={"resolution": "512"})
    done = asked(adapter_at(Automatic1111, machine.url), request)
    assert {(each.width_px, each.height_px) for each in done.images} == {(512, 512)}
    assert len({each.content for each in done.images}) == 3


def test_what_the_machine_refuses_is_said_in_its_words(start):
    machine = start(WebUI())
    adapter = adapter_at(Automatic1111, machine.url)
    sampler = ImageRequest("txt2img", PROMPT, options={"sampler": "No such"})
    seen = asked(adapter, sampler)
    assert (type(seen), seen.kind, seen.reason) == (Refused, "bad_request", "Sampler not found")
    large = asked(adapter, ImageRequest("txt2img", PROMPT, options={"resolution": "1536"}))
    assert (type(large), large.kind) == (Refused, "bad_request")
    assert "smaller resolution" in large.reason
    machine.api = False
    off = asked(adapter, ImageRequest("txt2img", PROMPT))
    assert (type(off), off.kind) == (Misconfigured, "unreachable")
    assert "--api" in off.reason


def test_a_sign_in_is_sent_and_has_to_be_one(start):
    machine = start(WebUI(auth="ada:secret word"))
    request = ImageRequest("txt2img", PROMPT, options={"resolution": "512"})
    assert isinstance(asked(adapter_at(Automatic1111, machine.url, "ada:secret word"), request), Delivery)
    seen = asked(adapter_at(Automatic1111, machine.url), request)
    assert (type(seen), seen.kind) == (Misconfigured, "bad_key")
    before = len(machine.seen)
    for odd in ("no-colon", ":x", "a:\n"):
        seen = asked(adapter_at(Automatic1111, machine.url, odd), request)
        assert (type(seen), seen.kind) == (Misconfigured, "bad_key")
    assert len(machine.seen) == before


def test_pictures_fill_nothing_of_what_is_kept(start):
    done = asked(
        adapter_at(Automatic1111, start(WebUI()).url),
        ImageRequest("txt2img", PROMPT, images=2, options={"resolution": "512"}),
    )
    assert json.loads(done.raw)["images"] == "2 pictures"
    assert len(done.raw) < 2000


def test_one_at_a_time():
    assert Automatic1111.limits.in_flight == 1


# -- ComfyUI -----------------------------------------------------------------------------------------


def plain(**more: Any) -> ImageRequest:
    return ImageRequest("text-to-image", PROMPT, **{"options": {"resolution": "512"}, **more})


def test_the_job_carries_the_attempts_own_number(start):
    machine = start(Comfy())
    adapter, reference = adapter_at(ComfyUI, machine.url), attempt()
    ticket = asked(adapter, plain(), reference)
    ticket_survives_a_restart(ticket)
    assert ticket.state["prompt_id"] == ticket.request_id == str(reference.id) == next(iter(machine.queue))
    sent = machine.asked("/prompt")[0].json()
    assert sent["prompt_id"] == str(reference.id)
    assert sent["prompt"]["words"]["inputs"]["text"] == PROMPT
    assert sent["prompt"]["checkpoint"]["inputs"]["ckpt_name"] == CHECKPOINT["COMFYUI_CHECKPOINT"]


def test_any_process_collects_with_the_stored_ticket(start):
    machine = start(Comfy())
    ticket = asked(adapter_at(ComfyUI, machine.url), plain())
    stored = json.loads(json.dumps(ticket.state))
    later = adapter_at(ComfyUI, machine.url)
    done = asyncio.run(later.collect(Ticket(stored, ticket.request_id, ticket.cost), attempt()))
    assert isinstance(done, Delivery)
    assert "prompt" not in json.loads(done.raw), "the workflow is not kept with every picture"


def test_an_answer_that_gets_lost_is_never_a_second_job(start):
    machine = start(Comfy())
    machine.cut_next = 1
    adapter, reference = adapter_at(ComfyUI, machine.url), attempt()
    ticket = asked(adapter, plain(), reference)
    assert isinstance(ticket, Ticket), ticket
    assert ticket.request_id == str(reference.id)
    done = asyncio.run(adapter.collect(ticket, attempt()))
    assert isinstance(done, Delivery)
    assert len(machine.asked("/prompt")) == 1
    assert len(machine.history) == 1


def test_a_late_answer_is_a_ticket_too(serving, reply):
    async def never(asked):
        await asyncio.sleep(60)
        return reply()

    async def story():
        async with serving(never) as loopback:
            return await ending(adapter_at(ComfyUI, loopback.url).submit(plain(), attempt(1.0)))

    assert isinstance(asyncio.run(story()), Ticket)


def test_a_queued_job_is_waited_for_and_a_forgotten_one_is_free_to_be_asked_anew(start):
    machine = start(Comfy(works=False))
    adapter = adapter_at(ComfyUI, machine.url)
    ticket = asked(adapter, plain())
    other = asked(adapter, plain())
    for state in (ticket.state, other.state):
        old = Ticket({**state, "submitted_at": state["submitted_at"] - 500}, "x", 0)
        assert isinstance(asyncio.run(adapter.collect(old, attempt())), Pending)
    machine.restart()
    young = asyncio.run(ending(adapter.collect(ticket, attempt())))
    assert isinstance(young, Pending)
    old = Ticket({**ticket.state, "submitted_at": ticket.state["submitted_at"] - 500}, "x", 0)
    gone = asyncio.run(ending(adapter.collect(old, attempt())))
    assert (type(gone), gone.kind, gone.charge) == (BadAnswer, "server_error", "free")


def test_a_job_that_ends_between_two_looks_is_not_lost(serving, reply):
    looks = []

    def answering(asked):
        if asked.path.startswith("/view"):
            return reply(200, picture(16, 16))
        if asked.path == "/queue":
            return reply.of({"queue_running": [], "queue_pending": []})
        looks.append(asked)
        images = [{"filename": "a.png", "subfolder": "", "type": "output"}]
        done = {"j": {"outputs": {"9": {"images": images}}, "status": {"status_str": "success"}}}
        return reply.of(done if len(looks) > 1 else {})

    async def story():
        async with serving(answering) as loopback:
            state = {"prompt_id": "j", "images": 1, "seed": 1, "submitted_at": 0}
            return await adapter_at(ComfyUI, loopback.url).collect(Ticket(state, "j", 0), attempt())

    assert isinstance(asyncio.run(story()), Delivery)


def test_an_old_version_that_gives_numbers_itself_is_followed(start):
    machine = start(Comfy(own_numbers=True))
    adapter, reference = adapter_at(ComfyUI, machine.url), attempt()
    ticket = asked(adapter, plain(), reference)
    assert ticket.request_id != str(reference.id)
    assert isinstance(asyncio.run(adapter.collect(ticket, attempt())), Delivery)


@pytest.mark.parametrize(
    ("messages", "kind_of", "kind", "words"),
    [
        (
            [["execution_error", {"node_type": "KSampler", "exception_type": "RuntimeError",
              "exception_message": "shapes do not match"}]],
            BadAnswer, "server_error", "KSampler: RuntimeError shapes do not match",
        ),
        (
            [["execution_error", {"node_type": "VAEDecode", "exception_type": "torch.OutOfMemoryError",
              "exception_message": "Allocation on device"}]],
            Refused, "bad_request", "smaller resolution",
        ),
        ([["execution_interrupted", {}]], Refused, "bad_request", "interrupted"),
        ([["odd"], None, 7, [1, 2, 3]], BadAnswer, "server_error", "failed"),
    ],
)  # fmt: skip
def test_a_job_that_failed_is_free_and_says_where(start, messages, kind_of, kind, words):
    machine = start(Comfy(fails=messages))
    seen = made(adapter_at(ComfyUI, machine.url), plain())
    assert (type(seen), seen.kind, seen.charge) == (kind_of, kind, "free")
    assert words in seen.reason
    assert seen.request_id


def test_a_workflow_that_is_refused_says_which_node(start):
    machine = start(Comfy())
    seen = asked(adapter_at(ComfyUI, machine.url, COMFYUI_CHECKPOINT="gone.safetensors"), plain())
    assert (type(seen), seen.kind) == (Refused, "bad_request")
    assert "CheckpointLoaderSimple" in seen.reason
    assert "gone.safetensors" in seen.reason
    odd = plain(options={"resolution": "512", "sampler": "no such"})
    assert "KSampler" in asked(adapter_at(ComfyUI, machine.url), odd).reason


def test_a_key_for_what_stands_before_it_goes_with_every_call(start):
    machine = start(Comfy(key=KEY))
    assert isinstance(made(adapter_at(ComfyUI, machine.url, KEY), plain()), Delivery)
    assert all(each.headers["authorization"] == f"Bearer {KEY}" for each in machine.seen)


# -- workflows of the team's ---------------------------------------------------------------------------


def of_pictures(*names: str) -> dict[str, Any]:
    """A workflow that goes by pictures and by words."""
    graph = {
        "1": {
            "class_type": "CLIPTextEncode",
            "inputs": {"text": "packshot, {{prompt}}, studio", "clip": ["4", 1]},
        },
        "2": {"class_type": "SaveImage", "inputs": {"filename_prefix": "out", "images": ["10", 0]}},
    }
    for number, name in enumerate(names):
        graph[str(10 + number)] = {"class_type": "LoadImage", "inputs": {"image": "{{" + name + "}}"}}
    return graph


def workflow_at(tmp_path: Path, document: Any) -> str:
    path = tmp_path / "workflow.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


def test_a_workflow_of_the_teams_is_a_model_that_takes_what_it_names(start, tmp_path):
    machine = start(Comfy())
    adapter = adapter_at(
        ComfyUI, machine.url, COMFYUI_WORKFLOW=workflow_at(tmp_path, of_pictures("image")), **CHECKPOINT
    )
    card, simple = adapter.models()
    assert (card.id, card.kind, card.shapes, card.min_inputs, card.max_images) == (
        "workflow", "edit", (AS_INPUT,), 1, 1,
    )  # fmt: skip
    assert (card.options, card.takes_seed, card.takes_negative_prompt) == ((), False, False)
    assert simple.id == "text-to-image"
    given_ = given_picture(96, 64)
    request = ImageRequest("workflow", PROMPT, AS_INPUT, inputs=(given_,))
    done = made(adapter, request)
    assert (done.images[0].width_px, done.images[0].height_px) == (96, 64)
    sent = machine.asked("/prompt")[0].json()["prompt"]
    assert sent["1"]["inputs"] == {"text": f"packshot, {PROMPT}, studio", "clip": ["4", 1]}
    (name,) = machine.uploads
    assert (sent["10"]["inputs"]["image"], machine.uploads[name]) == (name, given_.content)
    made(adapter, request)
    assert len(machine.uploads) == 1, "the same picture has the same name"


def test_words_that_look_like_placeholders_stay_words(start, tmp_path):
    machine = start(Comfy())
    adapter = adapter_at(ComfyUI, machine.url)
    prompt = 'a "{{seed}}" and {{checkpoint}} \\ "}, {'
    assert isinstance(made(adapter, replace(plain(), prompt=prompt)), Delivery)
    assert machine.asked("/prompt")[0].json()["prompt"]["words"]["inputs"]["text"] == prompt


def test_a_value_alone_is_a_number_and_within_words_it_is_words():
    graph = {
        "1": {"class_type": "X", "inputs": {"a": " {{ seed }} ", "b": "seed {{seed}}", "c": [1, "{{width}}"]}}
    }
    assert Workflow.of(graph).filled({"seed": 7, "width": 64})["1"]["inputs"] == {
        "a": 7,
        "b": "seed 7",
        "c": [1, 64],
    }


def test_an_upload_that_fails_asks_for_no_job(start, tmp_path):
    machine = start(Comfy())
    machine.cut_next = 1
    adapter = adapter_at(ComfyUI, machine.url, COMFYUI_WORKFLOW=workflow_at(tmp_path, of_pictures("image")))
    seen = asked(adapter, ImageRequest("workflow", PROMPT, AS_INPUT, inputs=(given_picture(),)))
    assert (type(seen), seen.kind, machine.asked("/prompt")) == (TryLater, "server_error", [])


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("not JSON", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ([], "holds no workflow"),
        ({}, "holds no workflow"),
        ({"nodes": [], "links": []}, "API format"),
        ({"1": {"inputs": {}}}, "has no class_type"),
        ({"1": {"class_type": "X", "inputs": []}}, "inputs of node"),
        ({"1": {"class_type": "X", "inputs": {"a": "{{promt}}"}}}, "not known: promt"),
        ({"1": {"class_type": "X", "inputs": {"a": 1}}}, "neither {{prompt}} nor {{image}}"),
        ({"1": {"class_type": "X", "inputs": {"a": "{{prompt}}"}}}, "fixes its size"),
        ({"1": {"class_type": "X", "inputs": {"a": "{{prompt}}{{width}}"}}}, "fixes its size"),
        ({"1": {"class_type": "X", "inputs": {"a": "{{image}}{{image_3}}"}}}, "with a gap"),
        ({"1": {"class_type": "X", "inputs": {"a": "{{image_2}}{{prompt}}"}}}, "with a gap"),
        ('{"1": "' + "x" * (1024 * 1024) + '"}', "larger than 1 MB"),
    ],
)
def test_a_file_that_is_no_workflow_says_why(tmp_path, document, says):
    with pytest.raises(BadInput) as refused:
        adapter_at(ComfyUI, "http://gpu:8188", COMFYUI_WORKFLOW=workflow_at(tmp_path, document))
    assert says in str(refused.value)
    assert refused.value.field == "COMFYUI_WORKFLOW"


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        adapter_at(ComfyUI, "http://gpu:8188", COMFYUI_WORKFLOW=str(tmp_path / "gone.json"))
    with pytest.raises(BadInput, match="COMFYUI_CHECKPOINT"):
        ComfyUI(
            Account("", "http://gpu:8188", simulated=False, values={"COMFYUI_URL": "http://gpu:8188"}),
            GuardedClient("http://gpu:8188", own=True, tls=TLS),
        )
    with pytest.raises(BadInput, match="set COMFYUI_CHECKPOINT"):
        adapter_at(ComfyUI, "http://gpu:8188", COMFYUI_WORKFLOW=workflow_at(tmp_path, dict(PLAIN)))


def test_a_workflow_that_names_everything_offers_everything(tmp_path):
    path = workflow_at(tmp_path, dict(PLAIN))
    adapter = adapter_at(ComfyUI, "http://gpu:8188", COMFYUI_WORKFLOW=path, **CHECKPOINT)
    own, simple = adapter.models()
    assert replace(own, id=simple.id, label=simple.label) == simple
    assert [option.name for option in simple.options] == ["resolution", "steps", "cfg_scale", "sampler"]
    for check in CHECKS:
        check(adapter)
