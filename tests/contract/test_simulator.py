"""The simulator against the providers' published schemas and recorded bodies, over real HTTP.

Every answer is checked by the vendor's own OpenAPI document (plus the recorded changes since), every fault
by what a plain client sees, and the bill by reading the book from disk.
"""

import asyncio
import base64
import copy
import hashlib
import itertools
import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jsonschema
import pytest
import pyvips
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from packshot.imaging import read_header
from packshot.kernel.errors import BadInput
from packshot.kernel.money import micros
from packshot.providers.contract import (
    Account,
    AttemptRef,
    Delivery,
    ImageRequest,
    Pending,
    Provider,
    Quote,
    Ticket,
)
from packshot.providers.flux import Flux
from packshot.providers.http import GuardedClient
from packshot.providers.openai import OpenAI
from packshot.simulator import Control, Rule, SimulatorConfig, running, spawn
from packshot.simulator.flux_models import MODELS as FLUX_MODELS

KEY = "sk-canary-Zq81xv"
OPENAI_KEY = {"authorization": f"Bearer {KEY}"}
FLUX_KEY = {"x-key": KEY}
A_MUG = {"model": "gpt-image-2", "prompt": "A stoneware mug", "size": "1024x1024", "quality": "low"}
PIXEL = base64.b64encode(
    pyvips.Image.black(256, 256, bands=3).write_to_buffer(".png")  # the least that FLUX 3 takes
).decode()


# -- a simulator, and plain clients of it -----------------------------------------------------------


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Control]]:
    """Start a quick simulator on a fresh folder, with whatever settings the story needs."""
    number = itertools.count()
    with ExitStack() as stack:

        def started(**changes: Any) -> Control:
            folder = tmp_path / f"simulator-{next(number)}"
            return stack.enter_context(running(quick(folder, **changes)))

        yield started


@pytest.fixture
def simulator(start: Callable[..., Control]) -> Control:
    return start()


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    """One simulator without faults and limits, for tests that only ask."""
    folder = tmp_path_factory.mktemp("steady")
    unlimited = quick(
        folder, openai_images_per_minute=None, flux_concurrent_tasks=None, today=date(2026, 11, 22)
    )
    with running(unlimited) as control:
        yield control


def quick(folder: Path, **changes: Any) -> SimulatorConfig:
    return SimulatorConfig(**{"state_dir": folder, "speed": 1000.0, "image": "small", **changes})


def generate(client: httpx.Client, simulator: Control, **changes: Any) -> httpx.Response:
    asked = {name: value for name, value in {**A_MUG, **changes}.items() if value is not ...}
    return client.post(f"{simulator.openai_url}/v1/images/generations", json=asked, headers=OPENAI_KEY)


def submit(
    client: httpx.Client, simulator: Control, model: str = "flux-2-pro", **inputs: Any
) -> httpx.Response:
    asked = {"prompt": "A stoneware mug", **inputs}
    return client.post(f"{simulator.flux_url}/v1/{model}", json=asked, headers=FLUX_KEY)


def settled(client: httpx.Client, polling_url: str) -> httpx.Response:
    """Poll until the task has ended; the last answer."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        answer = client.get(polling_url)
        if answer.json()["status"] not in ("Pending", "Reasoning", "Generating"):
            return answer
    raise AssertionError("the task did not end")


def until(true: Callable[[], Any], *, within_s: float = 20.0) -> Any:
    deadline = time.monotonic() + within_s
    while not (value := true()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)
    return value


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def spent(simulator: Control) -> Fraction:
    return sum((line.dollars for line in simulator.bill()), Fraction(0))


# -- the vendors' schemas ---------------------------------------------------------------------------


def schema_errors(document: dict[str, Any], schema: str, value: Any) -> list[str]:
    whole = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
    return [error.message for error in jsonschema.Draft202012Validator(whole).iter_errors(value)]


@pytest.fixture(scope="module")
def openai_spec(specs: Path) -> dict[str, Any]:
    """The official document of August with what the client library of November adds."""
    document = json.loads((specs / "openai-images.openapi.json").read_text())
    delta = json.loads((specs / "openai-images.delta-2026-11.json").read_text())
    schemas = nullable_as_type(document)["components"]["schemas"]
    asked, answered = schemas["CreateImageRequest"]["properties"], schemas["ImagesResponse"]["properties"]
    asked["quality"]["enum"] = [*delta["quality_enum"], None]
    asked["complexity"] = {"type": "string", "enum": delta["generate_new_fields"]["complexity"]}
    asked["safety_identifier"] = {"type": "string"}
    answered["quality"]["enum"] = delta["quality_enum"]
    answered["size"] = {"type": "string", "pattern": r"^\d+x\d+$"}
    answered["safety_identifier"] = {"type": "string"}
    return {**document, "components": {"schemas": schemas}}


def nullable_as_type(node: Any) -> Any:
    """OpenAPI 3.0's `nullable`, which the vendor still writes, in the words of JSON Schema."""
    if isinstance(node, list):
        return [nullable_as_type(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {name: nullable_as_type(value) for name, value in node.items() if name != "nullable"}
    if node.get("nullable") is True:
        if "type" in plain:
            plain["type"] = [plain["type"], "null"]
        if "enum" in plain:
            plain["enum"] = [*plain["enum"], None]
        if "anyOf" in plain:
            plain["anyOf"] = [*plain["anyOf"], {"type": "null"}]
    return plain


@pytest.fixture(scope="module")
def bfl_spec(specs: Path) -> dict[str, Any]:
    document = json.loads((specs / "bfl.patched.openapi.json").read_text())
    # FLUX 3 says more while it works than the schema of April knows.
    document["components"]["schemas"]["StatusResponse"]["enum"] += ["Reasoning", "Generating"]
    return document


def input_schema(bfl_spec: dict[str, Any], model: str) -> str:
    body = bfl_spec["paths"][f"/v1/{model}"]["post"]["requestBody"]
    return body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]


@pytest.fixture(scope="module")
def example(specs: Path) -> Callable[[str], tuple[int, Any]]:
    """The status and body of a recorded answer, by the name of its file."""

    def recorded(name: str) -> tuple[int, Any]:
        response = json.loads((specs / "examples" / f"{name}.json").read_text())["response"]
        return response["status"], response["body"]

    return recorded


# -- OpenAI: what it answers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"n": 3},
        {"size": "1536x1024", "quality": "high", "output_format": "jpeg", "output_compression": 80},
        {"size": "auto", "quality": "auto", "background": "auto", "moderation": "low"},
        {"size": "2048x1152", "output_format": "webp", "background": "transparent"},
        {"model": "gpt-image-2.6-flare", "quality": "max", "complexity": "high"},
        {"model": "gpt-image-2.5-sunburst-2026-09-08", "quality": "xhigh"},
        {"safety_identifier": "a-hash", "user": "u"},
        {"size": None, "quality": None, "n": None, "stream": None},
    ],
)
def test_a_generation_validates_against_the_published_schema(client, steady, openai_spec, changes):
    asked = {**A_MUG, **changes}
    assert schema_errors(openai_spec, "CreateImageRequest", asked) == []
    answer = generate(client, steady, **changes)
    body = answer.json()
    assert (answer.status_code, schema_errors(openai_spec, "ImagesResponse", body)) == (200, [])
    assert len(body["data"]) == (changes.get("n") or 1)
    for entry in body["data"]:
        header = read_header(base64.b64decode(entry["b64_json"], validate=True))
        assert f"{header.width_px}x{header.height_px}" == body["size"]
        assert header.media_type == f"image/{body['output_format']}"


def test_every_listed_model_can_be_asked_and_is_described_by_schema(client, steady, openai_spec):
    listed = client.get(f"{steady.openai_url}/v1/models", headers=OPENAI_KEY).json()
    assert schema_errors(openai_spec, "ListModelsResponse", listed) == []
    for model in listed["data"]:
        one = client.get(f"{steady.openai_url}/v1/models/{model['id']}", headers=OPENAI_KEY)
        assert (one.status_code, one.json()) == (200, model)
        assert generate(client, steady, model=model["id"]).status_code == 200
    stopping = {model["id"]: model["shutdown_date"] for model in listed["data"] if model["shutdown_date"]}
    assert stopping == dict.fromkeys(
        ("gpt-image-1-mini", "gpt-image-1.5", "chatgpt-image-latest"), "2026-12-01"
    )


def test_a_model_is_gone_once_its_shutdown_date_has_come(client, start):
    simulator = start(today=date(2026, 12, 1))
    listed = client.get(f"{simulator.openai_url}/v1/models", headers=OPENAI_KEY).json()
    assert "gpt-image-1.5" not in {model["id"] for model in listed["data"]}
    assert generate(client, simulator, model="gpt-image-1.5").status_code == 400
    assert (
        client.get(f"{simulator.openai_url}/v1/models/gpt-image-1.5", headers=OPENAI_KEY).status_code == 404
    )


@pytest.mark.parametrize(
    ("recorded", "changes"),
    [
        ("openai-error-400-model-retired", {"model": "dall-e-3"}),
        ("openai-error-400-unknown-parameter", {"response_format": "b64_json"}),
    ],
)
def test_a_refusal_has_the_recorded_body(client, example, steady, recorded, changes):
    answer = generate(client, steady, **changes)
    assert (answer.status_code, answer.json()) == example(recorded)


@pytest.mark.parametrize(
    ("recorded", "action"),
    [
        ("openai-error-400-moderation-input", "moderation_input"),
        ("openai-error-400-moderation-output", "moderation_output"),
        ("openai-error-403-organization-unverified", "not_verified"),
        ("openai-error-429-images-per-minute", "rate_limited"),
        ("openai-error-429-spend-limit", "quota"),
        ("openai-error-401-invalid-key", "bad_key"),
    ],
)
def test_a_scripted_refusal_has_the_recorded_body(client, example, simulator, openai_spec, recorded, action):
    simulator.set_faults({"action": action, "retry_after_s": 12})
    answer = generate(client, simulator)
    status, body = example(recorded)
    assert (answer.status_code, openai_shape(answer.json())) == (status, openai_shape(body))
    assert schema_errors(openai_spec, "ErrorResponse", answer.json()) == []


def openai_shape(body: dict[str, Any]) -> dict[str, Any]:
    """An error without what differs from call to call: request ids, organisations, masked keys."""
    error = copy.deepcopy(body["error"])
    for pattern in (r"req_\w+", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", r"org-\w+", r"sk-\S+?(?=\.)"):
        error["message"] = re.sub(pattern, "#", error["message"])
    return error


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"prompt": ...}, "prompt", "missing_required_parameter"),
        ({"prompt": ""}, "prompt", "empty_string"),
        ({"prompt": "x" * 32_001}, "prompt", "string_above_max_length"),
        ({"prompt": ["a"]}, "prompt", "invalid_type"),
        ({"prompt": None}, "prompt", "invalid_type"),
        ({"model": ...}, "model", "invalid_value"),
        ({"model": "gpt-image-1"}, "model", "invalid_value"),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"n": 11}, "n", "integer_above_max_value"),
        ({"n": "2"}, "n", "invalid_type"),
        ({"n": True}, "n", "invalid_type"),
        ({"size": "1000x1000"}, "size", "invalid_value"),
        ({"size": "4096x1024"}, "size", "invalid_value"),
        ({"size": "3840x1024"}, "size", "invalid_value"),
        ({"size": "512x512"}, "size", "invalid_value"),
        ({"size": "3840x3840"}, "size", "invalid_value"),
        ({"size": "huge"}, "size", "invalid_value"),
        ({"model": "gpt-image-1.5", "size": "2048x2048"}, "size", "invalid_value"),
        ({"quality": "hd"}, "quality", "invalid_value"),
        ({"quality": "max"}, "quality", "invalid_value"),
        ({"background": "blue"}, "background", "invalid_value"),
        ({"background": "transparent", "output_format": "jpeg"}, "background", "invalid_value"),
        ({"output_format": "svg"}, "output_format", "invalid_value"),
        ({"output_compression": 50}, "output_compression", "invalid_value"),
        ({"moderation": "off"}, "moderation", "invalid_value"),
        ({"complexity": "high"}, "complexity", "unknown_parameter"),
        ({"style": "vivid"}, "style", "unknown_parameter"),
        ({"input_fidelity": "high"}, "input_fidelity", "unknown_parameter"),
        ({"stream": True}, "stream", "unsupported_value"),
    ],
)
def test_a_bad_parameter_is_named_in_a_400_and_costs_nothing(
    client, steady, openai_spec, changes, param, code
):
    charges = len(steady.bill())
    answer = generate(client, steady, **changes)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, code)
    assert schema_errors(openai_spec, "ErrorResponse", answer.json()) == []
    assert len(steady.bill()) == charges
    assert steady.requests()[-1].outcome == f"declined: {code}"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"a"', b'{"prompt": "\\ud800"}', b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_a_400(client, steady, content):
    url = f"{steady.openai_url}/v1/images/generations"
    answer = client.post(url, content=content, headers=OPENAI_KEY)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Basic abc"}, {"authorization": "Bearer sk-invalid"}]
)
def test_openai_wants_a_key_everywhere(client, steady, headers):
    charges = len(steady.bill())
    for method, path in (("POST", "/v1/images/generations"), ("GET", "/v1/models")):
        answer = client.request(method, steady.openai_url + path, json=A_MUG, headers=headers)
        assert answer.status_code == 401
    assert len(steady.bill()) == charges


def test_an_unknown_openai_path_is_a_404_in_its_own_words(client, steady):
    answer = client.post(f"{steady.openai_url}/v1/images/variations", headers=OPENAI_KEY)
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "Invalid URL (POST /v1/images/variations)"


def test_usage_makes_the_bill_to_the_last_fraction(client, simulator):
    usage = generate(client, simulator, prompt="p" * 41, quality="medium", n=2).json()["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    exact = Fraction(usage["input_tokens"] * 5 + usage["output_tokens"] * 30, 1_000_000)
    assert [line.dollars for line in simulator.bill()] == [exact]


def test_the_request_id_joins_an_answer_to_its_bill(client, simulator):
    answers = [generate(client, simulator, prompt=f"mug {n}") for n in range(3)]
    bill = {line.reference: line for line in simulator.bill()}
    for answer in answers:
        line = bill[answer.headers["x-request-id"]]
        content = base64.b64decode(answer.json()["data"][0]["b64_json"])
        assert line.image_sha256 == (sha256(content),)
    assert {line.prompt_sha256 for line in bill.values()} == {sha256(f"mug {n}".encode()) for n in range(3)}


def test_the_images_per_minute_limit_says_how_long_to_wait(client, start):
    simulator = start(openai_images_per_minute=5)
    assert [generate(client, simulator, n=n).status_code for n in (2, 3)] == [200, 200]
    answer = generate(client, simulator)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert answer.headers["retry-after"] == "12"
    assert "Limit 5, Used 5, Requested 1. Please try again in 12s." in answer.json()["error"]["message"]
    assert len(simulator.bill()) == 2


# -- FLUX: what it answers --------------------------------------------------------------------------


@pytest.mark.parametrize("model", sorted(FLUX_MODELS))
def test_a_task_validates_against_the_published_schema_from_submit_to_image(client, steady, bfl_spec, model):
    submitted = submit(client, steady, model)
    assert (submitted.status_code, schema_errors(bfl_spec, "AsyncResponse", submitted.json())) == (200, [])
    polled = settled(client, submitted.json()["polling_url"])
    assert (polled.status_code, schema_errors(bfl_spec, "ResultResponse", polled.json())) == (200, [])
    assert polled.json()["status"] == "Ready"
    delivered = client.get(polled.json()["result"]["sample"])
    header = read_header(delivered.content)
    assert delivered.headers["content-type"] == header.media_type
    made_mp = header.width_px * header.height_px / 1_000_000
    assert submitted.json()["output_mp"] == pytest.approx(made_mp, abs=0.01)


def test_a_pending_task_has_the_recorded_shape(client, example, start, bfl_spec):
    simulator = start(speed=1.0, flux_latency_s=(60.0, 60.0))
    submitted = submit(client, simulator).json()
    pending = client.get(submitted["polling_url"]).json()
    assert pending == {**example("bfl-result-pending")[1], "id": submitted["id"]}
    assert schema_errors(bfl_spec, "ResultResponse", pending) == []


def test_flux_3_thinks_aloud_while_it_works(client, start, clock):
    simulator = start(speed=1.0, flux_latency_s=(6.0, 6.0))
    polling_url = submit(client, simulator, "flux-3-image").json()["polling_url"]
    said = []
    for _ in range(6):
        said.append(client.get(polling_url).json()["status"])
        clock.passes(1.1)
    assert said == ["Pending", "Pending", "Reasoning", "Reasoning", "Generating", "Generating"]
    assert settled(client, polling_url).json()["status"] == "Ready"


@pytest.mark.parametrize(
    ("recorded", "fault"),
    [
        ("bfl-result-request-moderated", {"action": "moderation_input"}),
        ("bfl-result-content-moderated", {"action": "moderation_output"}),
        ("bfl-result-error-422", {"action": "task_error", "status": 422}),
    ],
)
def test_a_failed_task_has_the_recorded_body(client, example, simulator, bfl_spec, recorded, fault):
    simulator.set_faults(fault)
    submitted = submit(client, simulator).json()
    ended = settled(client, submitted["polling_url"])
    status, body = example(recorded)
    assert (ended.status_code, ended.json()) == (
        status,
        {"progress": None, "preview": None, **body, "id": submitted["id"]},
    )
    assert schema_errors(bfl_spec, "ResultResponse", ended.json()) == []


@pytest.mark.parametrize(
    ("recorded", "action"),
    [
        ("bfl-error-402-insufficient-credits", "quota"),
        ("bfl-error-403-not-authenticated", "bad_key"),
        ("bfl-error-429", "rate_limited"),
    ],
)
def test_a_scripted_flux_refusal_has_the_recorded_body(client, example, simulator, recorded, action):
    simulator.set_faults({"action": action})
    answer = submit(client, simulator)
    assert (answer.status_code, answer.json()) == example(recorded)
    assert simulator.bill() == []


def test_flux_3_refuses_a_field_too_many_with_the_recorded_body(client, example, steady):
    answer = submit(client, steady, "flux-3-image", seed=7)
    assert (answer.status_code, answer.json()) == example("bfl-error-422-validation")


def test_an_unknown_task_is_not_found_with_the_recorded_body(client, example, steady):
    answer = client.get(f"{steady.flux_url}/v1/get_result", params={"id": "unknown"})
    assert (answer.status_code, answer.json()) == example("bfl-result-task-not-found")


@pytest.mark.parametrize(
    ("model", "inputs", "loc"),
    [
        ("flux-2-pro", {"prompt": None}, ["body", "prompt"]),
        ("flux-2-pro", {"width": 63}, ["body", "width"]),
        ("flux-2-pro", {"width": "1024"}, ["body", "width"]),
        ("flux-2-pro", {"width": 4096, "height": 2048}, ["body", "width"]),
        ("flux-2-pro", {"safety_tolerance": 6}, ["body", "safety_tolerance"]),
        ("flux-2-pro", {"output_format": "gif"}, ["body", "output_format"]),
        ("flux-2-pro", {"webhook_url": "https://shop.example/hook"}, ["body", "webhook_url"]),
        ("flux-2-flex", {"steps": 51}, ["body", "steps"]),
        ("flux-pro-1.1", {"width": 1000}, ["body", "width"]),
        ("flux-kontext-pro", {"aspect_ratio": "3:1"}, ["body", "aspect_ratio"]),
        ("flux-3-image", {"aspect_ratio": "10:1"}, ["body", "aspect_ratio"]),
        ("flux-3-image", {"prompt": ""}, ["body", "prompt"]),
        ("flux-3-image", {"output_format": "png"}, ["body", "output_format"]),
    ],
)
def test_bad_inputs_are_a_422_that_says_where(client, steady, bfl_spec, model, inputs, loc):
    before = len(steady.bill())
    answer = submit(client, steady, model, **inputs)
    assert answer.status_code == 422
    assert schema_errors(bfl_spec, "HTTPValidationError", answer.json()) == []
    assert answer.json()["detail"][0]["loc"] == loc
    assert len(steady.bill()) == before


@pytest.mark.parametrize("headers", [{}, {"x-key": "an-invalid-key"}, OPENAI_KEY])
def test_flux_wants_its_own_key_for_all_but_polls(client, simulator, headers):
    polling_url = submit(client, simulator).json()["polling_url"]
    for method, path in (("POST", "/v1/flux-2-pro"), ("GET", "/v1/credits")):
        answer = client.request(method, simulator.flux_url + path, json={"prompt": "p"}, headers=headers)
        assert (answer.status_code, answer.json()) == (403, {"detail": "Not authenticated"})
    assert client.get(polling_url, headers=headers).status_code == 200


def test_credits_go_down_by_the_cost_that_the_answer_names(client, start, bfl_spec):
    simulator = start(flux_credits=Fraction(100))
    cost = submit(client, simulator, width=2048, height=1024).json()["cost"]
    left = client.get(f"{simulator.flux_url}/v1/credits", headers=FLUX_KEY).json()
    assert schema_errors(bfl_spec, "CreditsResponse", left) == []
    assert (cost, left) == (4.5, {"credits": 95.5})
    assert spent(simulator) == Fraction("0.045")


def test_without_credits_nothing_is_made(client, start):
    simulator = start(flux_credits=Fraction(5))
    assert [submit(client, simulator).status_code for _ in range(3)] == [200, 402, 402]
    assert spent(simulator) == Fraction("0.03")


def test_the_twenty_fifth_unfinished_task_is_turned_away(client, start, clock):
    simulator = start(speed=1.0, flux_latency_s=(2.0, 2.0))
    accepted = [submit(client, simulator) for _ in range(24)]
    assert {answer.status_code for answer in accepted} == {200}
    assert submit(client, simulator).status_code == 429
    clock.passes(2.1)
    assert submit(client, simulator).status_code == 200
    assert len(simulator.bill()) == 25


def test_reference_images_are_measured_and_billed(client, simulator):
    answer = submit(client, simulator, input_image=PIXEL, input_image_2="https://shop.example/a.png").json()
    assert answer["input_mp"] == pytest.approx((256 * 256 + 1024 * 1024) / 1e6, abs=0.01)
    assert answer["cost"] == 6.0


def test_a_reference_image_that_cannot_be_read_ends_the_task_and_costs_nothing(client, simulator):
    submitted = submit(client, simulator, input_image="bm90IGFuIGltYWdl").json()
    ended = settled(client, submitted["polling_url"])
    assert (ended.status_code, ended.json()["status"]) == (422, "Error")
    assert simulator.bill() == []


def test_a_delivery_link_works_without_a_key_and_dies_on_time(client, start, clock):
    simulator = start(delivery_life_s=600.0)
    submitted = submit(client, simulator).json()
    clock.passes(1)
    link = settled(client, submitted["polling_url"]).json()["result"]["sample"]
    clock.passes(590)
    content = client.get(link)
    assert content.status_code == 200
    (line,) = simulator.bill()
    assert (line.reference, line.image_sha256) == (submitted["id"], (sha256(content.content),))
    clock.passes(10)
    dead = client.get(link)
    assert (dead.status_code, "AuthenticationFailed" in dead.text) == (403, True)


def test_an_aged_simulator_lets_links_and_tasks_die_sooner(client, start, tmp_path):
    real = quick(tmp_path)
    lives = ("delivery_life_s", "task_life_s", "stability_result_life_s", "midjourney_link_life_s")
    assert {name: getattr(real, name) / getattr(real.aged(60), name) for name in lives} == dict.fromkeys(
        lives, 60
    )
    spawned = spawn(tmp_path, arguments=("--image", "small", "--speed", "1000", "--age", "600"))
    try:
        submitted = submit(client, spawned.control).json()
        result = settled(client, submitted["polling_url"]).json()["result"]
        link = result["sample"]
        dies_at = datetime.fromisoformat(httpx.URL(link).params["se"]).timestamp()
        assert dies_at - result["end_time"] == pytest.approx(1.0, abs=0.01)
        assert until(lambda: (answer := client.get(link)).status_code != 200 and answer).status_code == 403
        gone = until(
            lambda: (answer := client.get(submitted["polling_url"]).json())["status"] != "Ready" and answer
        )
        assert gone["status"] == "Task not found"
    finally:
        spawned.stop()


def test_a_forged_delivery_link_opens_nothing(client, simulator):
    link = settled(client, submit(client, simulator).json()["polling_url"]).json()["result"]["sample"]
    url = httpx.URL(link)
    longer = url.copy_set_param("se", "2099-01-01T00:00:00.000+00:00")
    other = link.replace(url.path.split("/")[2], "0" * 36)
    unsigned = url.copy_remove_param("sig")
    assert [client.get(forged).status_code for forged in (longer, other, unsigned)] == [403, 404, 403]


def test_a_seed_makes_the_same_image_again(client, simulator):
    def image(**inputs: Any) -> bytes:
        polling_url = submit(client, simulator, **inputs).json()["polling_url"]
        result = settled(client, polling_url).json()["result"]
        assert result["seed"] == inputs.get("seed", result["seed"])
        return client.get(result["sample"]).content

    assert image(seed=42) == image(seed=42)
    assert image() != image()


# -- two witnesses: the real adapters ----------------------------------------------------------------


@pytest.mark.parametrize("adapter", [OpenAI, Flux])
def test_the_real_adapter_and_the_bill_agree_to_the_micro_dollar(start, adapter):
    simulator = start(flux_concurrent_tasks=None, today=date(2026, 11, 22))
    base_url = simulator.openai_url if adapter is OpenAI else simulator.flux_url

    async def ask_for_everything() -> dict[str, tuple[Quote, Delivery]]:
        provider = adapter(
            Account(KEY, base_url, simulated=True), GuardedClient(base_url, hosts=adapter.hosts)
        )
        cards = [card for card in provider.models() if not card.retired]
        asked = [(card, shape) for card in cards for shape in card.shapes]
        return {
            f"{card.id} in {shape}": await delivered(
                provider, ImageRequest(card.id, f"{card.id} in {shape}", shape)
            )
            for card, shape in asked
        }

    answers = asyncio.run(ask_for_everything())
    bill = {line.prompt_sha256: line for line in simulator.bill()}
    assert len(answers) == len(bill) > 10
    for prompt, (quote, delivery) in answers.items():
        line = bill[sha256(prompt.encode())]
        assert delivery.cost == micros(line.dollars), prompt
        assert quote.ceiling is None or delivery.cost <= quote.ceiling, prompt
        assert line.image_sha256 == tuple(sha256(image.content) for image in delivery.images), prompt
        assert delivery.request_id == line.reference, prompt


async def delivered(provider: Provider, request: ImageRequest) -> tuple[Quote, Delivery]:
    attempt = AttemptRef(uuid4(), number=1, deadline_s=60)
    answer: Ticket | Delivery | Pending = await provider.submit(request, attempt)
    ticket = answer
    while not isinstance(answer, Delivery):
        assert isinstance(ticket, Ticket)
        answer = await provider.collect(ticket, attempt)
        await asyncio.sleep(0.005)
    return provider.quote(request), answer


# -- schema-invalid requests, by the hundred --------------------------------------------------------

junk = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 5000), st.floats(allow_nan=False), st.text(max_size=8)
)


@st.composite
def nearly_right(draw: st.DrawFn, **right: st.SearchStrategy[Any]) -> dict[str, Any]:
    """A few well-chosen fields, and in two of three requests one that is anything at all."""
    asked: dict[str, Any] = {"prompt": draw(st.text(min_size=1, max_size=9))}
    for name in draw(st.lists(st.sampled_from(sorted(right)), max_size=4, unique=True)):
        asked[name] = draw(right[name])
    if draw(st.integers(0, 2)):
        asked[draw(st.sampled_from(["prompt", "surprise", *sorted(right)]))] = draw(junk)
    return asked


asked_of_openai = nearly_right(
    n=st.integers(0, 3),
    size=st.sampled_from(["auto", "1024x1024", "1024x1536", "1536x864", "1x1", "1024x1024\n"]),
    quality=st.sampled_from(["low", "high", "max", "auto"]),
    background=st.sampled_from(["opaque", "transparent", "auto"]),
    output_format=st.sampled_from(["png", "jpeg", "webp", "gif"]),
    output_compression=st.integers(99, 101),
    moderation=st.sampled_from(["auto", "low"]),
    user=st.text(max_size=3),
)
sides = st.sampled_from([32, 64, 256, 1024, 1025, 1440])
asked_of_flux = nearly_right(
    width=sides,
    height=sides,
    seed=st.integers(),
    safety_tolerance=st.integers(0, 6),
    output_format=st.sampled_from(["png", "jpeg", "webp", "gif"]),
    aspect_ratio=st.sampled_from(["1:1", "16:9", "1:16"]),
    input_image=st.just(PIXEL),
    guidance=st.sampled_from([1.5, 3, 5.0, 10, 11]),
    steps=st.integers(1, 51),
    prompt_upsampling=st.booleans(),
    raw=st.booleans(),
)
asked_of_flux_3 = nearly_right(
    images=st.one_of(st.just(PIXEL), st.lists(st.just(PIXEL), max_size=11)),
    aspect_ratio=st.sampled_from(["auto", "1:1", "16:9", "1:16"]),
    resolution=st.sampled_from(["1k", "768sq", "8k"]),
    safety_tolerance=st.integers(0, 5),
    grounding=st.booleans(),
    version=st.just("latest"),
)
many = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@many
@given(model=st.sampled_from(["gpt-image-2", "gpt-image-2.6-flare", "gpt-image-1.5"]), asked=asked_of_openai)
def test_openai_accepts_only_what_its_schema_allows(client, steady, openai_spec, model, asked):
    asked = {**asked, "model": model}
    url = f"{steady.openai_url}/v1/images/generations"
    answer = client.post(url, content=json.dumps(asked), headers=OPENAI_KEY)
    event(f"answered {answer.status_code}")
    if answer.status_code == 200:
        assert schema_errors(openai_spec, "CreateImageRequest", asked) == []
        assert schema_errors(openai_spec, "ImagesResponse", answer.json()) == []
    else:
        assert answer.status_code == 400
        assert schema_errors(openai_spec, "ErrorResponse", answer.json()) == []


@many
@given(model=st.sampled_from(sorted(set(FLUX_MODELS) - {"flux-3-image"})), asked=asked_of_flux)
def test_flux_accepts_only_what_its_schema_allows(client, steady, bfl_spec, model, asked):
    answer = client.post(f"{steady.flux_url}/v1/{model}", content=json.dumps(asked), headers=FLUX_KEY)
    check_submission(bfl_spec, model, asked, answer)


@many
@given(asked=asked_of_flux_3)
def test_flux_3_accepts_only_what_its_schema_allows(client, steady, bfl_spec, asked):
    answer = client.post(f"{steady.flux_url}/v1/flux-3-image", content=json.dumps(asked), headers=FLUX_KEY)
    check_submission(bfl_spec, "flux-3-image", asked, answer)
    if not schema_errors(bfl_spec, input_schema(bfl_spec, "flux-3-image"), asked):
        assert answer.status_code == 200  # nothing but the schema decides at FLUX 3


def check_submission(bfl_spec: dict[str, Any], model: str, asked: Any, answer: httpx.Response) -> None:
    event(f"answered {answer.status_code}")
    if answer.status_code == 200:
        assert schema_errors(bfl_spec, input_schema(bfl_spec, model), asked) == []
        assert schema_errors(bfl_spec, "AsyncResponse", answer.json()) == []
    else:
        assert answer.status_code == 422
        assert schema_errors(bfl_spec, "HTTPValidationError", answer.json()) == []


# -- faults: what a client sees, what the bill says --------------------------------------------------


@pytest.mark.parametrize(
    ("action", "openai_status", "flux_status"), [("server_error", 500, 500), ("overloaded", 503, 503)]
)
def test_an_outage_is_answered_in_the_providers_own_body(
    client, simulator, action, openai_status, flux_status
):
    simulator.set_faults({"action": action})
    answer = generate(client, simulator)
    assert (answer.status_code, set(answer.json()["error"])) == (
        openai_status,
        {"message", "type", "param", "code"},
    )
    answer = submit(client, simulator)
    assert (answer.status_code, list(answer.json())) == (flux_status, ["detail"])
    assert simulator.bill() == []


def test_a_server_error_can_be_charged_all_the_same(client, simulator):
    simulator.set_faults({"action": "server_error", "charged": True})
    assert generate(client, simulator).status_code == 500
    assert submit(client, simulator).status_code == 500
    assert [line.reason for line in simulator.bill()] == ["server_error", "server_error"]


@pytest.mark.parametrize("form", ["seconds", "date", "none"])
def test_retry_after_comes_in_each_form(client, simulator, form):
    simulator.set_faults({"action": "rate_limited", "retry_after_s": 30, "retry_after": form})
    for answer in (generate(client, simulator), submit(client, simulator)):
        said = answer.headers.get("retry-after")
        if form == "seconds":
            assert said == "30"
        elif form == "none":
            assert said is None
        else:
            wait_s = (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds()
            assert 25 < wait_s <= 30


@pytest.mark.parametrize(("charged", "lines"), [(True, 1), (False, 0)])
def test_a_cut_call_gets_no_answer_and_is_found_by_its_prompt(client, simulator, charged, lines):
    simulator.set_faults({"action": "cut_before_answer", "charged": charged})
    for ask in (generate, submit):
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            ask(client, simulator, prompt=f"cut {ask.__name__}")
        hashed = sha256(f"cut {ask.__name__}".encode())
        assert len([line for line in simulator.bill() if line.prompt_sha256 == hashed]) == lines
        (request,) = (line for line in simulator.requests() if line.prompt_sha256 == hashed)
        assert (request.status, request.outcome) == (None, "cut_before_answer")


def test_an_answer_cut_in_its_middle_is_charged_and_its_image_is_known(client, simulator):
    simulator.set_faults({"action": "cut_half_body"})
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        generate(client, simulator)
    (line,) = simulator.bill()
    assert (line.outcome, len(line.image_sha256)) == ("cut_half_body", 1)


def test_a_client_that_leaves_loses_its_image_and_pays(client, start):
    simulator = start(speed=1.0, openai_latency_s=(2.0, 2.0))
    with pytest.raises(httpx.ReadTimeout):
        client.post(
            f"{simulator.openai_url}/v1/images/generations", json=A_MUG, headers=OPENAI_KEY, timeout=0.1
        )
    (line,) = until(simulator.bill)
    assert line.outcome == "delivered"


def test_a_hanging_call_is_charged_and_says_nothing(client, simulator):
    simulator.set_faults({"action": "hang"})
    url = f"{simulator.openai_url}/v1/images/generations"
    with pytest.raises(httpx.ReadTimeout):
        client.post(url, json=A_MUG, headers=OPENAI_KEY, timeout=0.3)
    (line,) = until(simulator.bill)
    assert line.outcome == "hang"


def test_a_slow_answer_comes_late_and_whole(client, simulator):
    simulator.set_faults({"action": "slow", "delay_s": 0.3})
    started = time.monotonic()
    assert generate(client, simulator).status_code == 200
    assert time.monotonic() - started >= 0.3


def test_a_dripping_answer_is_billed_before_its_first_byte(client, simulator):
    simulator.set_faults({"action": "drip", "bytes_per_s": 100_000})
    url = f"{simulator.openai_url}/v1/images/generations"
    with client.stream("POST", url, json=A_MUG, headers=OPENAI_KEY) as answer:
        assert len(simulator.bill()) == 1
        pieces = list(answer.iter_raw())
    assert len(pieces) > 1
    assert len(json.loads(b"".join(pieces))["data"]) == 1


def test_a_double_charge_stands_twice_in_the_bill(client, simulator):
    simulator.set_faults({"action": "charge_twice"})
    assert generate(client, simulator).status_code == 200
    assert submit(client, simulator).status_code == 200
    assert [len(line.charges) for line in simulator.requests()] == [2, 2]


def test_an_answer_without_an_image_is_charged(client, simulator):
    simulator.set_faults({"action": "no_image"})
    assert generate(client, simulator).json()["data"] == []
    ended = settled(client, submit(client, simulator).json()["polling_url"]).json()
    assert (ended["status"], ended["result"]) == ("Ready", None)
    assert [line.image_sha256 for line in simulator.bill()] == [(), ()]


@pytest.mark.parametrize(("moderated_input", "moderated_output"), [(False, True), (True, False)])
def test_whether_moderation_costs_is_a_setting(client, start, moderated_input, moderated_output):
    simulator = start(charge_moderated_input=moderated_input, charge_moderated_output=moderated_output)
    for action, charged in (("moderation_input", moderated_input), ("moderation_output", moderated_output)):
        simulator.set_faults({"action": action})
        before = len(simulator.bill())
        assert generate(client, simulator).status_code == 400
        assert submit(client, simulator).status_code == 200
        assert len(simulator.bill()) - before == 2 * charged


def test_a_task_that_is_never_ready_stays_pending_and_keeps_its_place(client, start):
    simulator = start(flux_concurrent_tasks=1)
    simulator.set_faults({"action": "never_ready"})
    polling_url = submit(client, simulator).json()["polling_url"]
    assert {client.get(polling_url).json()["status"] for _ in range(20)} == {"Pending"}
    assert submit(client, simulator).status_code == 429
    assert len(simulator.bill()) == 1


def test_a_dead_link_is_dead_from_the_start(client, simulator):
    simulator.set_faults({"action": "dead_link"})
    result = settled(client, submit(client, simulator).json()["polling_url"]).json()["result"]
    assert client.get(result["sample"]).status_code == 403
    assert len(simulator.bill()) == 1


def test_polls_and_downloads_can_fail_on_their_own(client, simulator):
    submitted = submit(client, simulator).json()
    simulator.set_faults(
        {"action": "overloaded", "path": "/v1/get_result", "times": 1},
        {"action": "answer", "path": "/delivery/*", "status": 404, "body": "gone", "times": 1},
        {"action": "cut_half_body", "path": "/delivery/*", "times": 1},
    )
    assert client.get(submitted["polling_url"]).status_code == 503
    link = settled(client, submitted["polling_url"]).json()["result"]["sample"]
    assert (gone := client.get(link)).status_code == 404
    assert gone.text == "gone"
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(link)
    assert client.get(link).status_code == 200


def test_an_answer_can_be_spelled_out(client, simulator):
    body = {"error": {"message": "no", "type": "t", "param": None, "code": "c"}}
    simulator.set_faults(
        {"action": "answer", "status": 529, "body": body, "headers": {"X-Should-Retry": "no"}}
    )
    answer = generate(client, simulator)
    assert (answer.status_code, answer.json(), answer.headers["x-should-retry"]) == (529, body, "no")


@pytest.mark.parametrize("variant", ["not_json", "html", "half_json", "deep_json", "two_ids", "missing_id"])
def test_garbage_is_no_answer_that_a_client_could_use(client, simulator, variant):
    simulator.set_faults({"action": "garbage", "variant": variant})
    for ask in (generate, submit):
        answer = ask(client, simulator)
        assert answer.status_code == 200
        if variant == "html":
            assert answer.headers["content-type"] == "text/html"
        elif variant == "two_ids":
            assert len(re.findall(rb'"created"|"id"', answer.content)) >= 2
        elif variant == "missing_id":
            assert not {"id", "data"} & set(answer.json())
        else:
            with pytest.raises((ValueError, RecursionError)):
                answer.json()
    assert len(simulator.bill()) == 2


@pytest.mark.parametrize(
    ("variant", "wrong"),
    [
        ("nan_cost", lambda cost: cost != cost),
        ("negative_cost", lambda cost: cost < 0),
        ("huge_cost", lambda cost: cost > 1e9),
    ],
)
def test_a_cost_can_be_absurd_while_the_bill_stays_right(client, simulator, variant, wrong):
    simulator.set_faults({"action": "garbage", "variant": variant})
    assert wrong(generate(client, simulator).json()["usage"]["output_tokens"])
    assert wrong(submit(client, simulator).json()["cost"])
    openai = Fraction((6 + 4) * 5 + 196 * 30, 1_000_000)  # the prompt's tokens, and those of a small image
    assert spent(simulator) == openai + Fraction("0.03")


@pytest.mark.parametrize("variant", ["bad_base64", "empty_image", "not_an_image", "pixel_bomb"])
def test_an_image_can_be_none(client, simulator, variant):
    submitted = submit(client, simulator).json()
    simulator.set_faults(
        {"action": "garbage", "variant": variant},
        {"action": "garbage", "variant": variant, "path": "/delivery/*"},
    )
    encoded = generate(client, simulator).json()["data"][0]["b64_json"]
    link = settled(client, submitted["polling_url"]).json()["result"]["sample"]
    with pytest.raises(ValueError):  # binascii's or our header reader's
        read_header(base64.b64decode(encoded, validate=True))
    with pytest.raises(ValueError):
        read_header(client.get(link).content)


def test_wrong_types_and_wrong_content_types_keep_the_field_names(client, simulator):
    simulator.set_faults({"action": "garbage", "variant": "wrong_types", "times": 1})
    assert generate(client, simulator).json()["data"] == "seven"
    simulator.set_faults({"action": "garbage", "variant": "wrong_content_type"})
    answer = generate(client, simulator)
    assert (answer.headers["content-type"], "data" in answer.json()) == ("text/plain", True)


@pytest.mark.parametrize("variant", ["huge_json", "gzip_bomb"])
def test_an_answer_can_be_larger_than_anybody_should_read(client, simulator, variant):
    simulator.set_faults({"action": "garbage", "variant": variant, "size_mb": 8})
    url = f"{simulator.openai_url}/v1/images/generations"
    with client.stream("POST", url, json=A_MUG, headers=OPENAI_KEY) as answer:
        assert sum(len(piece) for piece in answer.iter_bytes()) >= 8 * 1024 * 1024
        wire = answer.num_bytes_downloaded
    assert (wire < 100_000) is (variant == "gzip_bomb")


# -- the control door --------------------------------------------------------------------------------


def test_a_price_can_change_between_two_calls_and_only_flux_says_so(client, simulator):
    answers = []
    for prices in ({}, {"openai": "3/2", "flux": 2}, {}):
        simulator.set_prices(**prices)
        answers += [submit(client, simulator).json(), generate(client, simulator).json()]
    flux, openai, *changed = [line.dollars for line in simulator.bill()]
    assert changed == [flux * 2, openai * Fraction(3, 2), flux, openai]
    cost = answers[0]["cost"]
    assert [each["cost"] for each in answers[::2]] == [cost, cost * 2, cost]
    assert len({str(each["usage"]) for each in answers[1::2]}) == 1


@pytest.mark.parametrize(
    "prices",
    [
        {"nobody": "2"},
        {"flux": 2},
        {"flux": "-1"},
        {"flux": "dear"},
        {"flux": "1/0"},
        {"flux": "1e999999999"},
        [1],
    ],
)
def test_a_price_that_is_none_is_refused(client, simulator, prices):
    answer = client.post(
        f"{simulator.address}/_prices", json=prices, headers={"x-packshot-token": simulator.token}
    )
    assert answer.status_code == 400
    submit(client, simulator)
    assert [line.dollars for line in simulator.bill()] == [Fraction("0.03")]


def test_the_script_can_be_read_back_with_what_it_did(client, simulator):
    simulator.set_faults({"action": "server_error", "prompt": "rope"}, {"action": "overloaded", "nth": 1})
    generate(client, simulator, prompt="hemp rope")
    assert simulator.faults_fired() == [1, 0]
    token = {"x-packshot-token": simulator.token}
    read = client.get(f"{simulator.address}/_faults", headers=token).json()
    rope = {"action": "server_error", "prompt": "rope"}
    assert read[0] == {"id": simulator.faults()[0].id, "rule": rope, "met": 1, "fired": 1}
    simulator.set_faults()
    assert generate(client, simulator, prompt="hemp rope").status_code == 200


def test_a_rule_comes_and_goes_while_the_others_go_on_counting(client, simulator):
    simulator.set_faults({"action": "overloaded", "prompt": "rope"})
    generate(client, simulator, prompt="hemp rope")
    added = simulator.add_fault(Rule(action="server_error", prompt="mug"))
    assert [generate(client, simulator, prompt=each).status_code for each in ("rope", "mug")] == [503, 500]
    assert [(each.rule.action, each.fired) for each in simulator.faults()] == [
        ("overloaded", 2),
        ("server_error", 1),
    ]
    removed = simulator.remove_fault(added.id)
    assert removed is not None
    assert (removed.rule, removed.fired) == (added.rule, 1)
    assert simulator.remove_fault(added.id) is None
    assert generate(client, simulator, prompt="mug").status_code == 200
    assert [each.fired for each in simulator.faults()] == [2]


def test_a_price_is_set_without_touching_those_of_others(client, simulator):
    simulator.set_prices(openai="3/2")
    simulator.set_price("flux", 2)
    assert simulator.prices() == {"openai": Fraction(3, 2), "flux": Fraction(2)}
    submit(client, simulator)
    assert [line.dollars for line in simulator.bill()] == [Fraction("0.06")]


def test_who_is_not_there_or_holds_another_folder_is_said_so(simulator, start, tmp_path):
    stranger = replace(simulator, token="guess")
    with pytest.raises(BadInput, match="keeps its state in another folder"):
        stranger.faults()
    gone = replace(simulator, address="http://127.0.0.1:1")
    with pytest.raises(BadInput, match="does not answer"):
        gone.faults()
    with pytest.raises(BadInput, match="No simulator has run in"):
        Control.of(tmp_path / "nobody")


def test_a_wrong_script_is_refused_and_changes_nothing(client, simulator):
    simulator.set_faults({"action": "overloaded"})
    token = {"x-packshot-token": simulator.token}
    answer = client.post(f"{simulator.address}/_faults", json=[{"action": "explode"}], headers=token)
    assert answer.status_code == 400
    assert simulator.faults_fired() == [0]


@pytest.mark.parametrize("path", ["/_bill", "/_requests", "/_faults", "/_prices"])
def test_the_control_door_wants_its_token(client, simulator, path):
    assert client.get(simulator.address + path).status_code == 401
    assert client.get(simulator.address + path, headers={"x-packshot-token": "guess"}).status_code == 401
    assert client.get(f"{simulator.address}/_health").status_code == 200


def test_bill_and_requests_read_over_http_as_from_disk(client, simulator):
    generate(client, simulator)
    submit(client, simulator)
    token = {"x-packshot-token": simulator.token}
    bill = client.get(f"{simulator.address}/_bill", headers=token).json()
    assert [Fraction(line["dollars"]) for line in bill] == [line.dollars for line in simulator.bill()]
    assert all(re.fullmatch(r"\d+/\d+", line["dollars"]) for line in bill)
    requests = client.get(f"{simulator.address}/_requests", headers=token).json()
    assert [line["request_id"] for line in requests] == [line.request_id for line in simulator.requests()]


def test_no_key_and_no_prompt_of_a_refused_call_is_kept_on_disk(client, simulator):
    generate(client, simulator)
    submit(client, simulator)
    generate(client, simulator, prompt="a secret plan", n=99)
    written = b"".join(path.read_bytes() for path in simulator.state_dir.iterdir())
    assert KEY.encode() not in written
    assert b"a secret plan" not in written


def test_secrets_of_the_state_folder_are_for_its_owner_only(simulator):
    for name in ("token", "signing-key"):
        assert (simulator.state_dir / name).stat().st_mode & 0o077 == 0


def test_one_folder_serves_one_simulator_at_a_time(simulator):
    with pytest.raises(BadInput, match="Another simulator"), running(quick(simulator.state_dir)):
        pass


def test_polls_are_answered_while_pictures_are_drawn(client, start):
    simulator = start(image="packshot")
    polling_url = submit(client, simulator).json()["polling_url"]
    with ThreadPoolExecutor(1) as pool, httpx.Client(trust_env=False, timeout=60) as other:
        drawing = pool.submit(generate, other, simulator, n=6)
        answered = sum(client.get(polling_url).status_code for _ in iter(drawing.done, True)) // 200
        assert drawing.result().status_code == 200
    assert answered > 10


def test_a_drawn_packshot_has_the_size_and_format_asked_for(client, start):
    simulator = start(image="packshot")
    answer = generate(client, simulator, size="1024x1536", output_format="webp")
    header = read_header(base64.b64decode(answer.json()["data"][0]["b64_json"]))
    assert (header.media_type, header.width_px, header.height_px) == ("image/webp", 1024, 1536)


# -- kill -9 -----------------------------------------------------------------------------------------


def port_of(simulator: Control) -> int:
    port = httpx.URL(simulator.address).port
    assert port is not None
    return port


@pytest.mark.chaos
def test_a_charge_made_before_kill_9_is_in_the_bill_after_it(client, tmp_path):
    script = tmp_path / "faults.json"
    script.write_text(json.dumps([{"action": "hang", "prompt": "charged"}]))
    quickly = ("--speed", "1000", "--image", "small", "--faults", str(script))
    first = spawn(tmp_path / "state", arguments=quickly)
    url = f"{first.control.openai_url}/v1/images/generations"
    with pytest.raises(httpx.ReadTimeout):
        client.post(url, json={**A_MUG, "prompt": "charged"}, headers=OPENAI_KEY, timeout=2)
    until(first.control.bill)
    first.process.kill()  # SIGKILL, between the charge and the answer
    first.process.wait()
    (before,) = first.control.bill()

    second = spawn(tmp_path / "state", port=port_of(first.control), arguments=quickly)
    try:
        assert generate(client, second.control, prompt="another").status_code == 200
        assert [line.outcome for line in second.control.bill()] == ["hang", "delivered"]
        assert second.control.bill()[0] == before
        assert second.control.token == first.control.token
    finally:
        second.stop()
        first.stop()


@pytest.mark.chaos
def test_tasks_go_on_after_kill_9_and_a_restart(client, tmp_path):
    first = spawn(tmp_path / "state", arguments=("--image", "small"))
    submitted = [submit(client, first.control, seed=number).json() for number in range(5)]
    first.process.kill()
    first.process.wait()
    assert len(first.control.bill()) == 5

    second = spawn(tmp_path / "state", port=port_of(first.control), arguments=("--image", "small"))
    try:
        hashes = {}
        for task in submitted:
            ended = settled(client, task["polling_url"]).json()
            assert ended["status"] == "Ready"
            hashes[task["id"]] = (sha256(client.get(ended["result"]["sample"]).content),)
        assert {line.reference: line.image_sha256 for line in second.control.bill()} == hashes
        left = client.get(f"{second.control.flux_url}/v1/credits", headers=FLUX_KEY).json()
        assert left == {"credits": 1_000_000 - 5 * 3.0}
    finally:
        second.stop()
        first.stop()


@pytest.mark.chaos
def test_a_call_killed_while_it_is_worked_on_is_known_and_not_charged(client, tmp_path):
    simulator = spawn(tmp_path / "state", arguments=("--speed", "0.01"))
    url = f"{simulator.control.openai_url}/v1/images/generations"
    with pytest.raises(httpx.ReadTimeout):
        client.post(url, json=A_MUG, headers=OPENAI_KEY, timeout=0.5)
    until(simulator.control.requests)
    simulator.process.kill()
    simulator.process.wait()
    simulator.stop()
    (request,) = simulator.control.requests()
    assert (request.outcome, request.charges) == (None, ())


@pytest.mark.chaos
def test_fates_survive_a_restart(client, tmp_path):
    with running(quick(tmp_path)) as simulator:
        simulator.set_faults(
            {"action": "task_error", "status": 503, "prompt": "broken"},
            {"action": "dead_link", "prompt": "dead"},
        )
        broken = submit(client, simulator, prompt="broken").json()["id"]
        dead = submit(client, simulator, prompt="dead").json()["id"]
    with running(quick(tmp_path)) as simulator:
        poll = f"{simulator.flux_url}/v1/get_result?id="
        assert settled(client, poll + broken).status_code == 503
        assert client.get(settled(client, poll + dead).json()["result"]["sample"]).status_code == 403


def test_a_task_is_forgotten_after_its_life(client, start):
    simulator = start(task_life_s=0.2)
    polling_url = submit(client, simulator).json()["polling_url"]
    until(lambda: client.get(polling_url).json()["status"] == "Task not found")


def test_a_port_that_is_taken_is_said_in_words(simulator, tmp_path):
    with (
        pytest.raises(BadInput, match="cannot be had"),
        running(quick(tmp_path / "other"), port=port_of(simulator)),
    ):
        pass


def test_a_book_that_cannot_be_written_gives_no_answer_as_if_it_were(client, simulator):
    with closing(sqlite3.connect(simulator.state_dir / "bill.sqlite3")) as other:
        # Stands for a full disk: the charge cannot be written.
        other.execute("CREATE TRIGGER full BEFORE INSERT ON charge BEGIN SELECT raise(ABORT, 'full'); END")
        assert generate(client, simulator).status_code == 500
        assert simulator.bill() == []
        other.execute("DROP TRIGGER full")
    assert generate(client, simulator).status_code == 200
