"""The Midjourney adapter against the protocol's derived specification, recorded bodies, and damaged ones."""

import asyncio
import base64
import copy
import json
import logging
import random
import ssl
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

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
from packshot.providers.conformance import CHECKS, delivery_is_complete, offline, ticket_survives_a_restart
from packshot.providers.contract import (
    AS_INPUT,
    Account,
    AttemptRef,
    CallbackAddress,
    CallsBack,
    Delivery,
    ImageRequest,
    InputImage,
    Inspectable,
    Pending,
    Ticket,
)
from packshot.providers.http import Answer, GuardedClient
from packshot.providers.midjourney import Midjourney
from packshot.providers.midjourney_words import plain
from packshot.simulator import SimulatorConfig, running
from packshot.simulator.midjourney_prompt import understood

KEY = "mj-canary-7f3Qx91"
PRICES = {"MIDJOURNEY_PRICE": "0.04", "MIDJOURNEY_FOLLOW_UP_PRICE": "0.02"}
REQUEST = ImageRequest("midjourney-8.1", "A linen apron on a wooden table", "4:5", seed=7)
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
JOB = "3dbbd469-36af-4a0f-8f02-df6c579e7011"
BUTTONS = {
    f"{letter}{n}": f"MJ::JOB::{job}::{n}::{JOB}"
    for letter, job in (("U", "upsample"), ("V", "variation"))
    for n in range(1, 5)
}
GRID = {"task": "14001929738841620", "buttons": BUTTONS, "grid": True}
CALLBACK = CallbackAddress(f"https://shop.example/callbacks/{uuid4()}/{'f' * 48}", "5" * 64)
TLS = ssl.create_default_context()  # one for all: each takes longer to make than a test to run
ATTEMPT = UUID("018f4e6e-0000-7000-8000-00000000beef")


def attempt(deadline_s: float = 30.0, callback: CallbackAddress | None = None) -> AttemptRef:
    return AttemptRef(ATTEMPT, 1, deadline_s, callback)


async def nowhere(host: str, port: int) -> list[str]:
    """No test reaches the internet: every name but this machine's own address is unknown."""
    raise OSError("no such name")


def adapter_at(url: str, key: str = KEY, **values: str) -> Midjourney:
    account = Account(key, url, simulated=False, values={"MIDJOURNEY_PROXY_URL": url, **PRICES, **values})
    client = GuardedClient(url, hosts=Midjourney.hosts, resolve=nowhere, own=True, tls=TLS)
    return Midjourney(account, client)


def picture(handle: Mapping[str, object] | None = None, content: bytes = PNG) -> InputImage:
    return InputImage("image", "image/png", 1, 1, len(content), content, handle)


def follow_up(model: str = "midjourney-upscale", quadrant: int = 2, handle: object = GRID) -> ImageRequest:
    return ImageRequest(model, "", AS_INPUT, options={"quadrant": quadrant}, inputs=(picture(handle),))


async def ending(call):
    """What a call comes to: its result, or the error it raises."""
    try:
        return await call
    except ProviderError as error:
        return error


def submitted(
    serving, answering, request: ImageRequest = REQUEST, *, key: str = KEY, reference=None, **values
):
    async def story():
        async with serving(answering) as loopback:
            adapter = adapter_at(loopback.url, key, **values)
            return await ending(adapter.submit(request, reference or attempt())), loopback

    return asyncio.run(story())


def collected(
    serving, answering, *, age_s: float = 300.0, cost: int | None = 40_000, key: str = KEY, **state
):
    """What one look at a task comes to. A key of `values` is the environment's."""
    values = state.pop("values", {})

    async def story():
        async with serving(answering) as loopback:
            kept = {"task": "t1", "model": "midjourney-8.1", "submitted_at": time.time() - age_s, **state}
            ticket = Ticket({name: value for name, value in kept.items() if value is not None}, "t1", cost)
            return await ending(adapter_at(loopback.url, key, **values).collect(ticket, attempt())), loopback

    return asyncio.run(story())


def task(asked, status: str = "SUCCESS", **more: object) -> dict[str, object]:
    link = f"http://{asked.headers['host']}/attachments/1/2/grid.png?ex=a&is=b&hm=secret"
    buttons = [{"customId": each, "label": label} for label, each in BUTTONS.items()]
    known = {"id": "t1", "action": "IMAGINE", "status": status, "imageUrl": link, "buttons": buttons}
    return {**known, **more}


def shown(reply, status: str = "SUCCESS", content: bytes = PNG, **more: object):
    """A proxy whose task is so, and whose links lead to `content`."""

    def answering(asked):
        if asked.path.startswith("/attachments/"):
            return reply(200, content)
        return reply.of(task(asked, status, **more))

    return answering


def example(specs: Path, name: str) -> dict:
    return json.loads((specs / "examples" / f"{name}.json").read_text())["response"]


# -- what it sends ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def validators(specs) -> Mapping[str, jsonschema.Draft202012Validator]:
    """Each submission's request schema by its path, strict about what it does not name."""
    document = json.loads((specs / "midjourney-proxy.derived.openapi.json").read_text())
    found = {}
    for path, methods in document["paths"].items():
        if "/submit/" in path:
            schema = methods["post"]["requestBody"]["content"]["application/json"]["schema"]
            found[path] = jsonschema.Draft202012Validator({**schema, "additionalProperties": False})
    return found


# What a prompt may hold by accident or with intent, between words.
_CRUMBS = st.sampled_from(
    [
        "apron", "—", "–", "--", "---", "-", "−", "\u2010", "\uff0d", "\u200b", "\u00ad", "\u2060", " ", "\n",
        "\t", "{", "}", ",", "{red, blue}", "ar 1:1", "v 5", "repeat 4", "turbo", "no", "::2", "\x00", "é",
        "🧵",
        "https://example.com/a.png", '"', "\\", "(", "10–20", "well--known", " — washed", "-\u200b-ar 1:1",
    ]
)  # fmt: skip
_WORDS = st.lists(_CRUMBS | st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=14).map(
    "".join
)


@st.composite
def orders(draw: st.DrawFn) -> tuple[dict[str, str], ImageRequest, AttemptRef]:
    """An environment, a request that its cards allow, and an attempt."""
    values = {
        "MIDJOURNEY_PROXY_SPEED": draw(st.sampled_from(["default", "fast", "turbo", "relax"])),
        "MIDJOURNEY_PROXY_AUTH": draw(st.sampled_from(["secret", "bearer"])),
    }
    callback = draw(st.none() | st.just(CALLBACK))
    card = draw(st.sampled_from(offline(Midjourney).models()))
    if card.kind == "follow_up":
        pressed = draw(st.sampled_from(["", "action", "change"]))
        buttons = BUTTONS if pressed == "action" else draw(st.sampled_from([BUTTONS, {}]))
        if pressed:
            values["MIDJOURNEY_PROXY_FOLLOW_UP"] = pressed
        request = follow_up(card.id, draw(st.integers(1, 4)), {**GRID, "buttons": buttons})
        return values, request, attempt(callback=callback)
    options = {}
    for option in card.options:
        if draw(st.booleans()):
            options[option.name] = draw(
                st.booleans()
                if option.kind == "boolean"
                else st.integers(option.minimum or 0, option.maximum or 0)
            )
    request = ImageRequest(
        card.id,
        "Linen " + draw(_WORDS),
        draw(st.sampled_from(card.shapes)),
        seed=draw(st.none() | st.integers(0, 2**32 - 1)),
        options=options,
        negative_prompt=draw(_WORDS),
        inputs=(picture(),) * draw(st.integers(0, card.max_inputs)),
    )
    return values, request, attempt(callback=callback)


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(order=orders())
def test_every_request_it_can_send_fits_the_specification(validators, order):
    values, request, reference = order
    adapter = adapter_at("http://127.0.0.1:9", **values)
    try:
        sent = adapter._order(request, reference)
    except BadInput as refused:
        assert "--" in str(refused), refused
        return
    validators[sent.path].validate(sent.body)
    assert sent.body["state"] == str(ATTEMPT)
    assert sent.body.get("notifyHook") == (reference.callback and reference.callback.url)
    json.dumps(sent.body)
    if request.prompt:
        read = understood(sent.body["prompt"])
        across, down = (int(part) for part in request.shape.split(":"))
        assert (read.jobs, read.speed, read.seed) == (1, None, request.seed)
        assert read.cell[0] / read.cell[1] == pytest.approx(across / down, rel=0.03)
        assert "--v 8.1" in sent.body["prompt"]
        assert sent.body["prompt"].count("--") == len(adapter_parameters(request))
        assert len(sent.body.get("base64Array", [])) == len(request.inputs)
    else:
        assert sent.body["taskId"] == GRID["task"]


def adapter_parameters(request: ImageRequest) -> list[str]:
    """The parameters that the request itself calls for."""
    negative = plain(request.negative_prompt, field="negative_prompt")
    return [
        "ar",
        "v",
        *(name for name, value in request.options.items() if value is not False),
        *(["seed"] if request.seed is not None else []),
        *(["no"] if negative else []),
    ]


def test_every_model_in_every_shape_with_every_end_of_an_option_fits_the_specification(validators):
    adapter, sent = adapter_at("http://127.0.0.1:9"), 0
    card = adapter.models()[0]
    for shape in card.shapes:
        for option in card.options:
            for value in (True, False) if option.kind == "boolean" else (option.minimum, option.maximum):
                request = ImageRequest(card.id, "x", shape, options={option.name: value})
                order = adapter._order(request, attempt())
                validators[order.path].validate(order.body)
                sent += 1
    for model in ("midjourney-upscale", "midjourney-variation"):
        for quadrant in range(1, 5):
            order = adapter._order(follow_up(model, quadrant), attempt())
            validators[order.path].validate(order.body)
            sent += 1
    assert sent > 100


@pytest.mark.parametrize(
    ("request_", "prompt"),
    [
        (REQUEST, "A linen apron on a wooden table --ar 4:5 --v 8.1 --seed 7"),
        (
            ImageRequest(
                "midjourney-8.1", " Linen\n apron ", "16:9", negative_prompt="people, text",
                options={"stylize": 0, "chaos": 10, "exp": 5, "raw": True},
            ),
            "Linen apron --ar 16:9 --v 8.1 --stylize 0 --chaos 10 --exp 5 --raw --no people, text",
        ),
        (ImageRequest("midjourney-8.1", "x", options={"raw": False}), "x --ar 1:1 --v 8.1"),
        (ImageRequest("midjourney-8.1", "x", negative_prompt=" -- "), "x --ar 1:1 --v 8.1"),
    ],
)  # fmt: skip
def test_parameters_are_written_behind_the_words(request_, prompt):
    assert adapter_at("http://127.0.0.1:9")._order(request_).body["prompt"] == prompt


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("apron --ar 1:1", "ar"), ("--v 5 apron", "v"), ("apron --repeat 10", "repeat"),
        ("apron --turbo", "turbo"), ("apron\n--no sleeves", "no"), ("apron \N{EM DASH}ar 1:1", "ar"),
        ("apron \N{EM DASH}STYLIZE 50", "stylize"), ("apron ---hd", "hd"), ("apron -\u200b-q 4", "q"),
        ("apron \uff0d\uff0dseed 3", "seed"), ("apron \u2013\u2013ar 3:2", "ar"),
        ("apron -\u00ad-ar 3:2", "ar"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_a_parameter_that_somebody_typed_is_refused_before_anything_is_sent(
    serving, reply, typed, name, field
):
    request = replace(REQUEST, **{field: typed})
    with pytest.raises(BadInput, match=f"--{name};") as refused:
        adapter_at("http://127.0.0.1:9").quote(request)
    assert refused.value.field == field
    error, loopback = submitted(serving, lambda asked: reply.of({}), request)
    assert (type(error), error.kind, error.charge) == (Refused, "bad_request", "free")
    assert loopback.asked == []


@pytest.mark.parametrize(
    ("text", "as_sent"),
    [
        ("Apron \N{EM DASH} washed, 10\N{EN DASH}20 cm", "Apron - washed, 10-20 cm"),
        ("Apron\N{EM DASH}washed", "Apron - washed"),
        ("Apron \N{EM DASH}no iron needed", "Apron - no iron needed"),
        ("well--known", "well - known"),
        ("an {oak, walnut} board", "an (oak, walnut) board"),
        ("-5 °C, half-linen", "5 °C, half-linen"),
        ("a\u200bb\x00c", "ab c"),
    ],
)
def test_punctuation_stays_in_a_form_that_is_no_parameter(text, as_sent):
    assert plain(text, field="prompt") == as_sent


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({}, "/mj/submit/imagine"),
        ({"MIDJOURNEY_PROXY_SPEED": "default"}, "/mj/submit/imagine"),
        ({"MIDJOURNEY_PROXY_SPEED": "FAST"}, "/mj-fast/mj/submit/imagine"),
        ({"MIDJOURNEY_PROXY_SPEED": "turbo"}, "/mj-turbo/mj/submit/imagine"),
        ({"MIDJOURNEY_PROXY_SPEED": "relax"}, "/mj-relax/mj/submit/imagine"),
    ],
)
def test_the_speed_is_part_of_the_path(serving, reply, values, path):
    _, loopback = submitted(serving, lambda asked: reply.of({"code": 1, "result": "t"}), **values)
    (asked,) = loopback.asked
    assert (asked.method, asked.path) == ("POST", path)


@pytest.mark.parametrize(
    ("key", "values", "headers"),
    [
        (KEY, {}, {"mj-api-secret": KEY}),
        (KEY, {"MIDJOURNEY_PROXY_AUTH": "bearer"}, {"authorization": f"Bearer {KEY}"}),
        ("", {}, {}),
    ],
)
def test_the_secret_goes_in_one_header_or_in_none(serving, reply, key, values, headers):
    for _, loopback in (
        submitted(serving, lambda asked: reply.of({"code": 1, "result": "t"}), key=key, **values),
        collected(serving, shown(reply, "IN_PROGRESS"), key=key, values=values),
    ):
        (asked,) = loopback.asked
        sent = {
            name: asked.headers[name] for name in ("mj-api-secret", "authorization") if name in asked.headers
        }
        assert sent == headers


def test_a_base_address_may_have_a_path_of_its_own(serving, reply):
    async def story():
        async with serving(lambda asked: reply.of({"code": 1, "result": "t"})) as loopback:
            await adapter_at(f"{loopback.url}/relay/").submit(REQUEST, attempt())
            return loopback.asked[0].path

    assert asyncio.run(story()) == "/relay/mj/submit/imagine"


def test_pictures_to_go_by_travel_as_data_urls(serving, reply):
    request = replace(REQUEST, inputs=(picture(), picture(content=PNG + b"x")))
    _, loopback = submitted(serving, lambda asked: reply.of({"code": 1, "result": "t"}), request)
    sent = json.loads(loopback.asked[0].body)["base64Array"]
    assert [base64.b64decode(each.removeprefix("data:image/png;base64,")) for each in sent] == [
        PNG,
        PNG + b"x",
    ]


# -- going on from a grid -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "buttons", "body"),
    [
        ("", BUTTONS, {"customId": BUTTONS["U2"]}),
        ("action", BUTTONS, {"customId": BUTTONS["U2"]}),
        ("change", BUTTONS, {"action": "UPSCALE", "index": 2}),
        ("", {}, {"action": "UPSCALE", "index": 2}),
        ("change", {}, {"action": "UPSCALE", "index": 2}),
    ],
)
def test_either_way_of_asking_presses_the_same_button(serving, reply, mode, buttons, body):
    values = {"MIDJOURNEY_PROXY_FOLLOW_UP": mode} if mode else {}
    request = follow_up(handle={**GRID, "buttons": buttons})
    _, loopback = submitted(serving, lambda asked: reply.of({"code": 1, "result": "t"}), request, **values)
    (asked,) = loopback.asked
    assert asked.path == f"/mj/submit/{'action' if 'customId' in body else 'change'}"
    assert json.loads(asked.body) == {"taskId": GRID["task"], "state": str(ATTEMPT), **body}


def test_a_variation_presses_the_other_button():
    order = adapter_at("http://127.0.0.1:9")._order(follow_up("midjourney-variation", 4))
    assert order.body["customId"] == BUTTONS["V4"]


@pytest.mark.parametrize(
    ("handle", "values"),
    [
        ({}, {}),
        ({"task": "t"}, {}),
        ({"task": "t", "grid": "yes"}, {}),
        ({"task": "", "grid": True}, {}),
        ({"task": 7, "grid": True}, {}),
        ({"task": "a b", "grid": True}, {}),
        ({"task": "t", "grid": False, "buttons": BUTTONS}, {}),
        ({"task": "t", "grid": True, "buttons": {}}, {"MIDJOURNEY_PROXY_FOLLOW_UP": "action"}),
        ({"task": "t", "grid": True, "buttons": {"U1": "x"}}, {"MIDJOURNEY_PROXY_FOLLOW_UP": "action"}),
    ],
)
def test_what_cannot_be_gone_on_from_is_refused_at_the_quote(handle, values):
    with pytest.raises(BadInput) as refused:
        adapter_at("http://127.0.0.1:9", **values).quote(follow_up(handle=handle))
    assert refused.value.field == "inputs"


def test_without_a_handle_a_follow_up_has_a_price_and_is_never_sent(serving, reply):
    request = follow_up(handle=None)
    assert adapter_at("http://127.0.0.1:9").quote(request).ceiling == 20_000
    error, loopback = submitted(serving, lambda asked: reply.of({}), request)
    assert (type(error), error.charge, loopback.asked) == (Refused, "free", [])


@pytest.mark.parametrize("quadrant", [0, 5, "2", None])
def test_a_follow_up_says_which_of_the_four(quadrant):
    with pytest.raises(BadInput) as refused:
        adapter_at("http://127.0.0.1:9").quote(follow_up(quadrant=quadrant))
    assert refused.value.field == "quadrant"


# -- recorded answers -------------------------------------------------------------------------------

TAKEN = {
    "mj-submit-code-1": "8498455807619990",
    "mj-submit-code-21": "0741798445574458",
    "mj-submit-code-22": "0741798445574458",
}
REFUSED = {
    "mj-submit-code-23": (TryLater, "rate_limited"),
    "mj-submit-code-24": (Refused, "refused"),
    "mj-submit-code-4": (Refused, "bad_request"),
    "mj-error-401": (Misconfigured, "bad_key"),
}
TASKS = ("mj-task-in-progress", "mj-task-success", "mj-task-failure")


def replayed(recorded: dict, asked, reply):
    """The recorded answer, its links at the server that answers."""
    if isinstance(recorded["body"], str):
        return reply(recorded["status"], recorded["body"].encode(), recorded["headers"])
    text = json.dumps(recorded["body"]).replace(
        "https://cdn.discordapp.com", f"http://{asked.headers['host']}"
    )
    return reply(recorded["status"], text.encode(), recorded["headers"])


def test_every_recorded_answer_is_replayed(specs):
    found = {path.stem for path in (specs / "examples").glob("mj-*.json")}
    assert found == {*TAKEN, *REFUSED, *TASKS}


@pytest.mark.parametrize("name", TAKEN)
def test_a_recorded_order_that_was_taken_is_a_ticket(specs, serving, reply, name):
    recorded = example(specs, name)
    ticket, _ = submitted(serving, lambda asked: replayed(recorded, asked, reply))
    assert isinstance(ticket, Ticket), ticket
    assert (ticket.request_id, ticket.state["task"], ticket.cost) == (TAKEN[name], TAKEN[name], 40_000)
    ticket_survives_a_restart(ticket)


@pytest.mark.parametrize("name", REFUSED)
def test_a_recorded_refusal_ends_in_its_class_and_costs_nothing(specs, serving, reply, name):
    recorded = example(specs, name)
    error, loopback = submitted(serving, lambda asked: replayed(recorded, asked, reply))
    assert (type(error), error.kind) == REFUSED[name]
    assert (error.charge, error.cost, len(loopback.asked)) == ("free", None, 1)
    assert error.reason


def test_the_recorded_refusal_names_the_word(specs, serving, reply):
    recorded = example(specs, "mj-submit-code-24")
    error, _ = submitted(serving, lambda asked: replayed(recorded, asked, reply))
    assert error.reason == "May contain sensitive words: nude"


def test_the_recorded_tasks_end_as_documented(specs, serving, reply):
    def answering(name):
        def answer(asked):
            if asked.path.startswith("/attachments/"):
                return reply(200, PNG)
            return replayed(example(specs, name), asked, reply)

        return answer

    running_, loopback = collected(serving, answering("mj-task-in-progress"))
    assert (running_.progress, len(loopback.asked)) == (0.31, 1)
    done, loopback = collected(serving, answering("mj-task-success"), task="14001929738841620")
    delivery_is_complete(done, REQUEST)
    assert (done.cost, done.request_id) == (40_000, "t1")
    (image,) = done.images
    assert image.handle == GRID
    assert [asked.path.partition("?")[0] for asked in loopback.asked] == [
        "/mj/task/14001929738841620/fetch",
        "/attachments/xxx/xxx/xxxx.png",
    ]
    failed, _ = collected(serving, answering("mj-task-failure"))
    assert (type(failed), failed.kind, failed.charge, failed.cost) == (
        Refused, "bad_request", "unknown", 40_000,
    )  # fmt: skip
    assert failed.reason == "[Invalid parameter] Invalid value"


# -- traps --------------------------------------------------------------------------------------------


def test_trap_4_links_die_so_a_finished_task_is_downloaded_in_the_same_look(serving, reply):
    done, loopback = collected(serving, shown(reply))
    assert isinstance(done, Delivery)
    assert len(loopback.asked) == 2
    polls = []

    def renewing(asked):
        if asked.path.startswith("/attachments/"):
            return reply(200, PNG) if "fresh" in asked.path else reply(404, b"no longer available")
        polls.append(asked)
        link = f"http://{asked.headers['host']}/attachments/{'fresh' if len(polls) > 1 else 'old'}.png"
        return reply.of(task(asked, imageUrl=link))

    done, _ = collected(serving, renewing)
    assert isinstance(done, Delivery)
    assert len(polls) == 2, "a dead link is asked for once more"

    def dead(asked):
        return reply(404, b"") if asked.path.startswith("/attachments/") else reply.of(task(asked))

    over, loopback = collected(serving, dead)
    assert (type(over), over.kind, over.charge, over.cost) == (BadAnswer, "expired", "charged", 40_000)
    assert len(loopback.asked) == 4


def test_trap_11_refusals_are_200_previews_are_no_result_and_one_picture_costs_two_jobs(serving, reply):
    for code, error_class in ((23, TryLater), (24, Refused), (4, Refused)):
        # The result of a refusal is a number that no task has.
        body = {"code": code, "description": "no", "result": "14001929738841620"}
        error, _ = submitted(serving, lambda asked, body=body: reply.of(body))
        assert (type(error), error.charge) == (error_class, "free")
    for status in ("NOT_START", "SUBMITTED", "IN_PROGRESS", "FAILURE", "MODAL", "CANCEL", "", "NEW", None, 7):
        seen, loopback = collected(serving, shown(reply, status))
        assert not isinstance(seen, Delivery), status
        assert len(loopback.asked) == 1, f"{status}: the preview is not fetched"
    adapter = adapter_at("http://127.0.0.1:9")
    grid, one = adapter.quote(REQUEST), adapter.quote(follow_up())
    assert grid.ceiling + one.ceiling == 60_000
    assert isinstance(adapter, CallsBack)
    assert adapter.vouches(b"{}", {"x-signature": "sha256=anything"}, "secret") is None


def test_trap_15_a_price_is_the_teams_own_or_unknown_and_no_secret_leaks_through_an_error(
    serving, reply, caplog
):
    account = Account(KEY, "http://127.0.0.1:9", simulated=False)
    unset = Midjourney(account, GuardedClient("http://127.0.0.1:9"))
    for request in (REQUEST, follow_up()):
        quote = unset.quote(request)
        assert (quote.expected, quote.ceiling) == (None, None)
        assert "PRICE" in quote.note
    caplog.set_level(logging.DEBUG)
    leaks = {
        "description": f"the secret {KEY} is wrong, Authorization: Bearer {KEY}",
        "mj-api-secret": KEY,
        "properties": {KEY: KEY, "bannedWord": KEY},
    }
    for status in (200, 400, 401, 403, 404, 429, 500, 502):
        for code in (3, 4, 9, 23, 24, 99):
            body = {"code": code, **leaks}
            error, _ = submitted(serving, lambda asked, s=status, b=body: reply.of(b, s))
            assert isinstance(error, ProviderError)
            assert KEY not in f"{error} {error!r} {error.reason} {error.raw}"
    seen, _ = collected(serving, shown(reply, "FAILURE", failReason=f"banned {KEY}", prompt=KEY))
    assert KEY not in f"{seen.reason} {seen.raw}"
    done, _ = collected(serving, shown(reply, prompt=KEY))
    assert KEY not in done.raw
    assert KEY not in caplog.text


# -- other answers to a submission --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind_of", "kind", "charge"),
    [
        # No account of the proxy is online: it comes back by itself.
        (200, {"code": 3, "description": "No available account instance"}, TryLater, "overloaded", "free"),
        (200, {"code": 3, "description": "无可用的账号实例"}, TryLater, "overloaded", "free"),
        (200, {"code": 9, "description": "Submit failed, system error"}, TryLater, "server_error", "free"),
        (200, {"code": 9}, Unsure, "bad_answer", "unknown"),
        (200, {"code": 99, "description": "?"}, Unsure, "bad_answer", "unknown"),
        (200, {"code": "1", "result": "t"}, Unsure, "bad_answer", "unknown"),
        (200, {"code": 1}, Unsure, "bad_answer", "unknown"),
        (200, {"code": 1, "result": ""}, Unsure, "bad_answer", "unknown"),
        (200, {"code": 22, "result": 12}, Unsure, "bad_answer", "unknown"),
        (200, {"code": 1, "result": "a\x00b"}, Unsure, "bad_answer", "unknown"),
        (200, {"code": 1, "result": "x" * 201}, Unsure, "bad_answer", "unknown"),
        (200, "<html>", Unsure, "bad_answer", "unknown"),
        (200, [], Unsure, "bad_answer", "unknown"),
        (201, {"code": 1, "result": "t"}, Unsure, "server_error", "unknown"),
        # What relays say for themselves, with a status (new-api).
        (400, {"code": 4, "description": "quota_not_enough "}, Misconfigured, "no_credit", "free"),
        (402, "", Misconfigured, "no_credit", "free"),
        (400, {"code": 4, "description": "unknown_relay_action"}, Refused, "bad_request", "free"),
        (400, {"code": 5, "description": "do_request_failed "}, Unsure, "server_error", "unknown"),
        (429, {"code": 30, "description": "saturated"}, TryLater, "rate_limited", "free"),
        (404, {"code": 3, "description": "关联任务不存在或已失效"}, TryLater, "overloaded", "free"),
        (404, "Not Found", Refused, "bad_request", "free"),
        (401, "未登录", Misconfigured, "bad_key", "free"),
        (403, "账号不可用", Misconfigured, "bad_key", "free"),
        (500, {"code": 4, "description": "error"}, TryLater, "server_error", "free"),
        (503, {"code": 4, "description": "error"}, TryLater, "overloaded", "free"),
        (500, "Internal Server Error", Unsure, "server_error", "unknown"),
        (502, "<html>", Unsure, "server_error", "unknown"),
        (408, {"code": 4, "description": "error"}, Unsure, "server_error", "unknown"),
    ],
)
def test_other_answers_to_a_submission_are_classed(serving, reply, status, body, kind_of, kind, charge):
    sent = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    error, loopback = submitted(serving, lambda asked: reply(status, sent))
    assert (type(error), error.kind, error.charge) == (kind_of, kind, charge)
    assert len(loopback.asked) == 1, "nothing is sent twice"


@pytest.mark.parametrize(
    ("status", "description", "kind_of"),
    [
        (200, "The related task does not exist or has expired", Refused),
        (404, "关联任务不存在或已失效", Refused),
        (200, "账号不可用: 1118138338562560102", TryLater),
    ],
)
def test_a_follow_up_whose_grid_is_gone_is_final(serving, reply, status, description, kind_of):
    body = {"code": 3, "description": description}
    error, _ = submitted(serving, lambda asked: reply.of(body, status), follow_up())
    assert (type(error), error.charge) == (kind_of, "free")


def test_a_wait_that_is_named_is_kept(serving, reply):
    body = {"code": 23, "description": "Queue is full"}
    error, _ = submitted(serving, lambda asked: reply.of(body, retry_after="17"))
    assert error.after_s == 17


@pytest.mark.parametrize("raw", [b"", b'HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"code"'])
def test_a_cut_submission_leaves_the_charge_unknown_and_is_not_repeated(serving, reply, raw):
    error, loopback = submitted(serving, lambda asked: reply(raw=raw))
    assert (type(error), error.kind, error.charge) == (Unsure, "cut_off", "unknown")
    assert len(loopback.asked) == 1


def test_a_late_answer_to_a_submission_leaves_the_charge_unknown(serving, reply):
    async def never(asked):
        await asyncio.sleep(60)
        return reply()

    error, _ = submitted(serving, never, reference=attempt(1.0))
    assert (type(error), error.kind) == (Unsure, "timeout")


def test_nobody_there_costs_nothing():
    error = asyncio.run(ending(adapter_at("http://127.0.0.1:9").submit(REQUEST, attempt())))
    assert (type(error), error.kind, error.charge) == (TryLater, "unreachable", "free")


# -- looking ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("progress", "share"),
    [
        ("62%", 0.62), ("0%", 0.0), ("100%", 1.0), ("999%", 1.0), (" 5% ", 0.05), ("", None),
        ("paused", None), (None, None), (62, None), ("-1%", None), ("1.5%", None), ("²%", None),
        ("9999%", None),
    ],
)  # fmt: skip
def test_progress_is_read_where_it_is_one(serving, reply, progress, share):
    seen, _ = collected(serving, shown(reply, "IN_PROGRESS", progress=progress))
    assert isinstance(seen, Pending)
    assert seen.progress == share


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 503, "body": b"{}"}, {"status": 429, "body": b"{}"}, {"status": 500, "body": b"<html>"},
        {"status": 200, "body": b"<html>"}, {"status": 200, "body": b"[]"}, {"status": 400, "body": b"bad"},
        {"status": 302, "headers": {"location": "https://evil.example"}}, {"raw": b""},
        {"raw": b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"},
    ],
)  # fmt: skip
def test_trouble_while_asking_never_ends_a_paid_task(serving, reply, answer):
    seen, _ = collected(serving, lambda asked: reply(**answer))
    assert isinstance(seen, Pending)


@pytest.mark.parametrize("status", [401, 403])
def test_a_secret_that_is_refused_while_asking_says_so_and_ends_nothing(serving, reply, status):
    seen, _ = collected(serving, lambda asked: reply(status, b"no"))
    assert isinstance(seen, Misconfigured), "the flow looks again, and names the reason at the end"


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 200, "body": b""}, {"status": 200, "body": b"null"}, {"status": 200, "body": b" {} "},
        {"status": 204}, {"status": 404, "body": b"Not Found"},
        {"status": 400, "body": b'{"code":4,"description":"task_no_found"}'},
    ],
)  # fmt: skip
def test_a_task_nobody_knows_is_given_time_and_then_was_paid_for(serving, reply, answer):
    early, _ = collected(serving, lambda asked: reply(**answer), age_s=30)
    assert isinstance(early, Pending)
    late, _ = collected(serving, lambda asked: reply(**answer), age_s=90)
    assert (type(late), late.kind, late.charge, late.cost) == (BadAnswer, "expired", "charged", 40_000)
    told, _ = collected(serving, lambda asked: reply(**answer), age_s=90, told=True, cost=None)
    assert (type(told), told.kind) == (Unsure, "expired"), "only a report named it"


def test_the_pace_of_asking_slows_with_the_tasks_age(serving, reply):
    paces = [
        collected(serving, shown(reply, "IN_PROGRESS"), age_s=age)[0].after_s
        for age in (-100, 0, 25, 50, 500)
    ]
    assert paces == pytest.approx([1, 1, 2.5, 5, 5], abs=0.4)


@pytest.mark.parametrize(
    ("reason", "kind_of", "kind"),
    [
        ("Banned prompt detected", Refused, "refused"),
        ("[Action needed to continue] Your image was blocked", Refused, "refused"),
        ("[Request cancelled due to image filters]", Refused, "refused"),
        ("可能包含敏感词", Refused, "refused"),
        ("[Invalid parameter] Unrecognized parameter(s)", Refused, "bad_request"),
        ("[Invalid link] Could not fetch image", Refused, "bad_request"),
        ("任务超时", BadAnswer, "server_error"),
        ("", BadAnswer, "server_error"),
        (None, BadAnswer, "server_error"),
    ],
)
@pytest.mark.parametrize(
    ("values", "cost", "charge"),
    [
        ({}, 40_000, "unknown"),
        ({"MIDJOURNEY_FAILED_TASKS": "free"}, 40_000, "free"),
        ({"MIDJOURNEY_FAILED_TASKS": "charged"}, 40_000, "charged"),
        ({}, 0, "free"),
        ({"MIDJOURNEY_FAILED_TASKS": "charged"}, 0, "free"),
    ],
)
def test_a_task_that_failed_is_classed_by_its_reason_and_charged_as_the_team_says(
    serving, reply, reason, kind_of, kind, values, cost, charge
):
    seen, _ = collected(serving, shown(reply, "FAILURE", failReason=reason), cost=cost, values=values)
    assert (type(seen), seen.kind, seen.charge, seen.cost) == (kind_of, kind, charge, cost)
    assert seen.reason
    assert seen.request_id == "t1"


def test_a_cancelled_task_is_over(serving, reply):
    seen, _ = collected(serving, shown(reply, "CANCEL"))
    assert (type(seen), seen.charge) == (BadAnswer, "unknown")


def test_a_task_that_waits_for_words_is_over_after_a_moment(serving, reply):
    early, _ = collected(serving, shown(reply, "MODAL"), age_s=30)
    assert isinstance(early, Pending)
    late, _ = collected(serving, shown(reply, "MODAL"), age_s=90)
    assert (type(late), late.kind) == (Refused, "bad_request")
    assert "remix" in late.reason


def test_a_proxy_that_names_a_path_or_a_list_is_understood(serving, reply):
    for more in (
        {"imageUrl": "/attachments/own/grid.png"},
        {"imageUrl": None, "imageUrls": [{"url": "/attachments/own/1.png"}, {"url": "/attachments/2.png"}]},
        {"imageUrl": "", "imageUrls": [{"url": "/attachments/own/1.png"}]},
    ):
        seen, loopback = collected(serving, shown(reply, **more))
        assert isinstance(seen, Delivery), seen
        assert loopback.asked[-1].path.startswith("/attachments/own/")


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/a.png", "http://cdn.discordapp.com/a.png", "https://169.254.169.254/latest",
        "http://10.0.0.1/a.png", "https://cdn.discordapp.com.evil.example/a.png", "file:///etc/passwd", "",
        None, 7, "https://user@cdn.discordapp.com/a.png", "//evil.example/a.png", "gopher://127.0.0.1/",
    ],
)  # fmt: skip
def test_a_link_to_elsewhere_is_never_followed(serving, reply, address):
    seen, loopback = collected(serving, shown(reply, imageUrl=address))
    assert (type(seen), seen.kind, seen.cost) == (BadAnswer, "bad_answer", 40_000)
    assert len(loopback.asked) == 1


@pytest.mark.parametrize("host", ["cdn.discordapp.com", "media.discordapp.net"])
def test_discords_own_hosts_are_called_without_the_secret(host):
    called = []

    class Watched(GuardedClient):
        async def get(self, url, *, headers=None, deadline_s, max_bytes):
            document = task(
                type("Asked", (), {"headers": {"host": "x"}}), imageUrl=f"https://{host}/a.png?ex=1"
            )
            return Answer(200, {}, json.dumps(document).encode())

        async def download(self, url, *, deadline_s, max_bytes):
            called.append(url)
            assert self.allows(url)
            return Answer(200, {}, PNG)

    client = Watched("http://gpu:8080", hosts=Midjourney.hosts, own=True)
    adapter = Midjourney(Account(KEY, "http://gpu:8080", simulated=False, values=PRICES), client)
    done = asyncio.run(adapter.collect(Ticket({"task": "t1", "submitted_at": 0}, "t1", 1), attempt()))
    assert isinstance(done, Delivery)
    assert called == [f"https://{host}/a.png?ex=1"]


def test_the_picture_is_asked_for_without_the_secret(serving, reply):
    _, loopback = collected(serving, shown(reply))
    assert "mj-api-secret" in loopback.asked[0].headers
    assert KEY not in str(loopback.asked[1].headers)


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_picture_that_moved_is_not_followed(serving, reply, status):
    def answering(asked):
        if asked.path.startswith("/attachments/"):
            return reply(status, b"", {"location": "http://169.254.169.254/latest/meta-data/"})
        return reply.of(task(asked))

    seen, loopback = collected(serving, answering)
    assert (type(seen), len(loopback.asked)) == (BadAnswer, 2)


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"<html>", PNG[:20]])
def test_a_picture_that_cannot_be_read_was_paid_for(serving, reply, content):
    seen, _ = collected(serving, shown(reply, content=content))
    assert (type(seen), seen.kind, seen.charge, seen.cost) == (BadAnswer, "bad_answer", "charged", 40_000)


@pytest.mark.parametrize("answer", [{"status": 503}, {"status": 429}, {"raw": b""}])
def test_a_download_that_breaks_is_tried_again_later(serving, reply, answer):
    def answering(asked):
        return reply(**answer) if asked.path.startswith("/attachments/") else reply.of(task(asked))

    assert isinstance(collected(serving, answering)[0], Pending)


def test_the_handle_of_a_grid_is_what_a_follow_up_needs_and_one_alone_has_none(serving, reply):
    done, _ = collected(serving, shown(reply))
    handle = json.loads(json.dumps(done.images[0].handle))
    assert handle == {"task": "t1", "buttons": BUTTONS, "grid": True}
    adapter_at("http://127.0.0.1:9").quote(follow_up(handle=handle))
    varied, _ = collected(serving, shown(reply, action="VARIATION"), model="midjourney-variation")
    assert varied.images[0].handle["grid"] is True
    alone, _ = collected(serving, shown(reply, action="UPSCALE"), model="midjourney-upscale")
    assert alone.images[0].handle is None


@pytest.mark.parametrize(
    "buttons",
    [
        None, 7, "x", [None], [{"customId": 7}], [{"customId": "MJ::JOB::upsample::5::x"}],
        [{"customId": "MJ::JOB::reroll::0::x::SOLO"}], [{"customId": f"MJ::JOB::upsample::1::{'x' * 999}"}],
        [{"customId": "MJ::JOB::upsample::1::two words"}],
    ],
)  # fmt: skip
def test_buttons_that_are_none_of_the_eight_are_left_out(serving, reply, buttons):
    done, _ = collected(serving, shown(reply, buttons=buttons))
    assert done.images[0].handle == {"task": "t1", "buttons": {}, "grid": True}


# -- reports ------------------------------------------------------------------------------------------


def test_the_address_leaves_with_the_one_request_and_is_kept_nowhere(serving, reply):
    def answering(asked):
        if asked.path.startswith("/attachments/"):
            return reply(200, PNG)
        if asked.method == "GET":
            # Some proxies repeat it.
            return reply.of(task(asked, properties={"notifyHook": CALLBACK.url}, notifyHook=CALLBACK.url))
        return reply.of({"code": 1, "result": "t1"})

    reference = attempt(callback=CALLBACK)
    ticket, loopback = submitted(serving, answering, reference=reference)
    assert json.loads(loopback.asked[0].body)["notifyHook"] == CALLBACK.url
    done, _ = collected(serving, answering)
    token = CALLBACK.url.rpartition("/")[2]
    assert token not in f"{ticket!r} {done.raw}"
    assert CALLBACK.secret not in loopback.asked[0].body.decode()


def test_an_address_longer_than_they_take_is_left_out():
    long = replace(CALLBACK, url="https://shop.example/" + "x" * 2000)
    order = adapter_at("http://127.0.0.1:9")._order(REQUEST, attempt(callback=long))
    assert "notifyHook" not in order.body


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"id": "14001929738841620", "status": "SUCCESS"}', "14001929738841620"),
        (b'{"status": "SUCCESS"}', None), (b'{"id": 12}', None), (b'{"id": ""}', None),
        (b'{"id": "two words"}', None), (b'"t1"', None), (b"", None), (b"\xff", None), (b"[" * 100_000, None),
    ],
)  # fmt: skip
def test_a_report_is_read_for_the_tasks_number_and_nothing_else(body, named):
    assert adapter_at("http://127.0.0.1:9").task_of(body) == named


@pytest.mark.parametrize(
    ("action", "cost"), [("IMAGINE", 40_000), ("UPSCALE", 20_000), ("VARIATION", 20_000), ("BLEND", None)]
)
def test_the_task_that_a_report_names_is_collected_at_its_price(serving, reply, action, cost):
    ticket = adapter_at("http://127.0.0.1:9").ticket_of("t/1?")
    ticket_survives_a_restart(ticket)
    assert ticket.cost is None
    state = {**ticket.state, "model": None}
    answering = shown(reply, action=action, state=str(ATTEMPT))
    done, loopback = collected(serving, answering, cost=None, **state)
    assert isinstance(done, Delivery), done
    assert loopback.asked[0].path == "/mj/task/t%2F1%3F/fetch"
    assert done.cost == cost


def test_a_report_that_names_another_attempts_task_brings_nothing(serving, reply):
    """Nothing is signed, so whoever knows the address could name any task of the proxy."""
    answering = shown(reply, state=str(uuid4()))
    seen, loopback = collected(serving, answering, cost=None, told=True)
    assert (type(seen), len(loopback.asked)) == (Unsure, 1)
    own, _ = collected(serving, answering, told=None)
    assert isinstance(own, Delivery), "of an own ticket nobody has to vouch"


# -- the environment -----------------------------------------------------------------------------------


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("values", [{}, PRICES, {"MIDJOURNEY_PRICE": "0", "MIDJOURNEY_FOLLOW_UP_PRICE": "0"}])
def test_it_keeps_the_contract_with_and_without_prices(check, values):
    account = Account("", "http://127.0.0.1:9", simulated=False, values=values)
    check(Midjourney(account, GuardedClient("http://127.0.0.1:9", hosts=Midjourney.hosts)))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MIDJOURNEY_PRICE", "cheap"), ("MIDJOURNEY_PRICE", "-1"), ("MIDJOURNEY_PRICE", "NaN"),
        ("MIDJOURNEY_PRICE", "99999999"), ("MIDJOURNEY_FOLLOW_UP_PRICE", "0,0x"),
        ("MIDJOURNEY_PROXY_SPEED", "warp"), ("MIDJOURNEY_PROXY_AUTH", "basic"),
        ("MIDJOURNEY_PROXY_FOLLOW_UP", "click"), ("MIDJOURNEY_FAILED_TASKS", "sometimes"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_used_is_refused_when_it_is_built(variable, value):
    with pytest.raises(BadInput, match=variable) as refused:
        adapter_at("http://127.0.0.1:9", **{variable: value})
    assert refused.value.field == variable


def test_a_price_names_its_version_so_that_a_change_is_quoted_again():
    cheap, dear = adapter_at("http://x.lan"), adapter_at("http://x.lan", MIDJOURNEY_PRICE="$0.050")
    assert (cheap.quote(REQUEST).ceiling, dear.quote(REQUEST).ceiling) == (40_000, 50_000)
    versions = {each.quote(REQUEST).price_version for each in (cheap, dear)}
    assert versions == {"per-call-0.04-0.02", "per-call-0.05-0.02"}
    assert not cheap.free
    assert adapter_at("http://x.lan", MIDJOURNEY_PRICE="0", MIDJOURNEY_FOLLOW_UP_PRICE="0").free


def test_relaxed_jobs_are_given_more_time():
    fast, relaxed = adapter_at("http://x.lan"), adapter_at("http://x.lan", MIDJOURNEY_PROXY_SPEED="relax")
    assert {card.deadline_s for card in fast.models()} == {900}
    assert {card.deadline_s for card in relaxed.models()} == {1800}


def test_every_card_states_the_risk():
    assert all("terms forbid" in card.note for card in offline(Midjourney).models())


@pytest.mark.parametrize(
    ("key", "answer", "works"),
    [
        (KEY, {"status": 200}, True), (KEY, {"status": 204}, True), (KEY, {"status": 404}, True),
        (KEY, {"status": 401}, False), (KEY, {"status": 403}, False), (KEY, {"status": 502}, None),
        (KEY, {"raw": b""}, None), ("", {"status": 200}, None), (KEY + "\n", {"status": 200}, None),
    ],
)  # fmt: skip
def test_a_look_at_the_account_is_free_and_says_whether_the_secret_works(serving, reply, key, answer, works):
    async def story():
        async with serving(lambda asked: reply(**answer)) as loopback:
            adapter = adapter_at(loopback.url, key)
            assert isinstance(adapter, Inspectable)
            return await adapter.inspect(), loopback.asked

    seen, asked = asyncio.run(story())
    assert (seen.key_works, seen.balance) == (works, None)
    assert KEY not in seen.detail
    assert {each.method for each in asked} <= {"GET"}


# -- against the simulator ----------------------------------------------------------------------------


@pytest.mark.parametrize("speed", ["default", "fast", "turbo", "relax"])
def test_what_is_quoted_is_what_the_simulator_bills(tmp_path, speed):
    """From grid to one of the four and to four like it, by the examples' own table and by the simulator's."""
    with running(SimulatorConfig(tmp_path, speed=200.0, image="small")) as control:
        url = control.midjourney_url
        account = Account(KEY, url, simulated=True, values={"MIDJOURNEY_PROXY_SPEED": speed})
        adapter = Midjourney(account, GuardedClient(url, hosts=Midjourney.hosts))

        async def made(request):
            reference = AttemptRef(uuid4(), 1, 20.0)
            ticket = await adapter.submit(request, reference)
            while not isinstance(seen := await adapter.collect(ticket, reference), Delivery):
                await asyncio.sleep(0.01)
            delivery_is_complete(seen, request)
            return seen

        async def story():
            grid = await made(replace(REQUEST, negative_prompt="people", options={"stylize": 200}))
            handle = json.loads(json.dumps(grid.images[0].handle))
            rest = [
                await made(follow_up(model, 3, handle))
                for model in ("midjourney-upscale", "midjourney-variation")
            ]
            return [grid, *rest]

        deliveries = asyncio.run(story())
        quoted = [adapter.quote(each).expected for each in (REQUEST, follow_up(), follow_up())]
        billed = [micros(line.dollars) for line in control.bill()]
        assert [each.cost for each in deliveries] == quoted == billed
        sizes = [(each.images[0].width_px, each.images[0].height_px) for each in deliveries]
        assert sizes[0] == sizes[2] == (2 * sizes[1][0], 2 * sizes[1][1])


@pytest.fixture(scope="module")
def steady(tmp_path_factory):
    """One simulator without a queue, for tests that only order."""
    config = SimulatorConfig(
        tmp_path_factory.mktemp("steady"), speed=1000.0, image="small", midjourney_concurrent_tasks=None
    )
    with running(config) as control:
        yield control


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(prompt=_WORDS, negative=_WORDS)
def test_no_prompt_multiplies_the_price(steady, prompt, negative):
    url = steady.midjourney_url
    adapter = Midjourney(Account(KEY, url, simulated=True), GuardedClient(url))
    request = replace(REQUEST, prompt=prompt, negative_prompt=negative)
    before = len(steady.bill())
    made = asyncio.run(ending(adapter.submit(request, attempt())))
    lines = steady.bill()[before:]
    if isinstance(made, Ticket):
        assert [micros(line.dollars) for line in lines] == [adapter.quote(request).ceiling]
    else:
        assert (made.charge, lines) == ("free", [])


# -- damaged answers ----------------------------------------------------------------------------------


def test_two_thousand_damaged_answers_raise_nothing_unexpected(specs, serving, reply):
    """To submissions, looks and downloads alike: a result, or an error that the flow knows; no wrong cost."""
    chance = random.Random(20261122)
    bodies = [example(specs, name) for name in (*TAKEN, *REFUSED, *TASKS, "mj-task-success")]

    def answering(asked):
        if asked.path.startswith("/attachments/"):
            return reply(
                chance.choice([200, 200, 404, 500]), chance.choice([PNG, PNG, b"", b"<html>", PNG[:30]])
            )
        recorded = copy.deepcopy(chance.choice(bodies))
        text = json.dumps(recorded).replace("https://cdn.discordapp.com", f"http://{asked.headers['host']}")
        return damage(json.loads(text), chance, reply)

    async def story() -> set[str]:
        seen = set()
        async with serving(answering) as loopback:
            adapter = adapter_at(loopback.url)
            for turn in range(2000):
                if turn % 3:
                    told = chance.random() < 0.2
                    state = {"task": "t1", "submitted_at": time.time() - chance.choice([0, 300])}
                    state |= {"told": True} if told else {"model": "midjourney-8.1"}
                    ticket = Ticket(state, "t1", None if told else 40_000)
                    result = await ending(adapter.collect(ticket, attempt()))
                    assert isinstance(result, Delivery | Pending | ProviderError)
                else:
                    request = chance.choice([REQUEST, follow_up()])
                    result = await ending(adapter.submit(request, attempt()))
                    assert isinstance(result, Ticket | ProviderError)
                    json.dumps(result.state if isinstance(result, Ticket) else "")
                if not isinstance(result, Pending):
                    assert result.cost in (None, 20_000, 40_000)
                if isinstance(result, ProviderError):
                    (result.raw + result.reason).encode()
                if isinstance(result, Delivery):
                    json.dumps(result.images[0].handle)
                seen.add(type(result).__name__)
        return seen

    assert asyncio.run(story()) >= {
        "Ticket", "Delivery", "Pending", "BadAnswer", "Refused", "TryLater", "Misconfigured", "Unsure",
    }  # fmt: skip


NONSENSE = [None, True, -1, 0, 1.5, 10**25, "", "x" * 3000, "\ud800", "\x00", [], {}, [[[]]], {"a": None}]


def damage(recorded: dict, chance: random.Random, reply):
    """The recorded answer with another status, a value replaced, or its bytes cut or shuffled."""
    status = chance.choice([recorded["status"]] * 6 + [200, 204, 400, 404, 422, 500, 503])
    document = recorded["body"]
    for _ in range(chance.randint(0, 3)):
        _replace_one(document, chance)
    body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
    if chance.random() < 0.15:
        body = body[: chance.randrange(len(body) + 1)]
    if chance.random() < 0.1:
        body = bytes(chance.randrange(256) for _ in range(200))
    if chance.random() < 0.02:
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
