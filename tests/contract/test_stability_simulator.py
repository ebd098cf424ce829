"""The Stability dialect against the specification, recorded bodies and the real adapter, over real HTTP."""

import asyncio
import base64
import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jsonschema
import pytest
import pyvips
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packshot.imaging import read_header
from packshot.kernel.errors import BadAnswer, Misconfigured, ProviderError, Refused, TryLater
from packshot.kernel.money import micros
from packshot.providers.conformance import an_example, delivery_is_complete
from packshot.providers.contract import (
    Account,
    AttemptRef,
    Delivery,
    ImageRequest,
    InputImage,
    Pending,
    Ticket,
)
from packshot.providers.http import GuardedClient
from packshot.providers.prices import stability_prices
from packshot.providers.stability import Stability
from packshot.providers.stability_cards import CARDS, wire_request
from packshot.simulator import Control, SimulatorConfig, running, spawn
from packshot.simulator.stability_models import DOLLARS_PER_CREDIT, OPERATIONS

KEY = "sk-canary-Zq81xv"
AUTH = {"authorization": f"Bearer {KEY}"}
JSON = {**AUTH, "accept": "application/json"}
LIVING = {card.id: card for card in CARDS if not card.retired}


def drawn(width_px: int, height_px: int, *, alpha: bool = False) -> bytes:
    """A red disc on cream; see-through in its middle where there is `alpha`."""
    middle = (width_px // 2, height_px // 2)
    image = pyvips.Image.black(width_px, height_px, bands=3).linear(1, [240, 238, 232]).cast("uchar")
    image = image.draw_circle([180, 40, 40], *middle, height_px // 3, fill=True)
    if alpha:
        hole = (pyvips.Image.black(width_px, height_px) + 255).cast("uchar")
        image = image.bandjoin(hole.draw_circle(0, *middle, height_px // 6, fill=True))
    content: bytes = image.copy(interpretation="srgb").write_to_buffer(".png")
    return content


PICTURE, CLEAR = drawn(300, 200), drawn(300, 200, alpha=True)
MASK: bytes = pyvips.Image.black(300, 200).draw_circle(255, 150, 100, 30, fill=True).write_to_buffer(".png")


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
            return stack.enter_context(running(quick(tmp_path / f"simulator-{next(number)}", **changes)))

        yield started


@pytest.fixture
def simulator(start: Callable[..., Control]) -> Control:
    return start()


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    """One simulator without faults and limits, for tests that only ask."""
    with running(quick(tmp_path_factory.mktemp("steady"), stability_requests_per_10s=None)) as control:
        yield control


def quick(folder: Path, **changes: Any) -> SimulatorConfig:
    return SimulatorConfig(**{"state_dir": folder, "speed": 1000.0, "image": "small", **changes})


def post(
    client: httpx.Client,
    simulator: Control,
    operation: str = "generate/core",
    headers: dict[str, str] = JSON,
    **fields: str | bytes,
) -> httpx.Response:
    given_ = fields or {"prompt": "A stoneware mug"}
    files = [
        (name, (None, value) if isinstance(value, str) else (f"{name}.png", value, "image/png"))
        for name, value in given_.items()
    ]
    url = f"{simulator.stability_url}/v2beta/stable-image/{operation}"
    return client.post(url, files=files, headers=headers)


def look(
    client: httpx.Client, simulator: Control, task: str, headers: dict[str, str] = JSON
) -> httpx.Response:
    return client.get(f"{simulator.stability_url}/v2beta/results/{task}", headers=headers)


def settled(client: httpx.Client, simulator: Control, task: str) -> httpx.Response:
    """Look until the work has ended; the last answer."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        answer = look(client, simulator, task)
        if answer.status_code not in (202, 429):
            return answer
        time.sleep(0.02)
    raise AssertionError("the work did not end")


def creative(client: httpx.Client, simulator: Control, **fields: str) -> str:
    answer = post(client, simulator, "upscale/creative", image=PICTURE, prompt="A mug", **fields)
    assert answer.status_code == 200
    return str(answer.json()["id"])


def spent(simulator: Control) -> Fraction:
    return sum((line.dollars for line in simulator.bill()), Fraction(0))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# -- the vendor's words -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spec(specs: Path) -> dict[str, Any]:
    return json.loads((specs / "stability-v2beta.derived.openapi.json").read_text())


def errors_of(spec: dict[str, Any], schema: str, value: Any) -> list[str]:
    whole = {"$ref": f"#/components/schemas/{schema}", "components": spec["components"]}
    return [error.message for error in jsonschema.Draft202012Validator(whole).iter_errors(value)]


@pytest.fixture(scope="module")
def example(specs: Path) -> Callable[[str], tuple[int, Any]]:
    def recorded(name: str) -> tuple[int, Any]:
        response = json.loads((specs / "examples" / f"{name}.json").read_text())["response"]
        return response["status"], response["body"]

    return recorded


def test_its_operations_prices_and_limits_are_the_specifications(spec):
    for path, operation in OPERATIONS.items():
        listed = spec["paths"][f"/v2beta/stable-image/{path}"]["post"]
        schema = listed["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert set(operation.fields) == set(schema["properties"]), path
        assert set(operation.required) == set(schema["required"]), path
        assert operation.waits == (listed["x-mode"] == "async"), path
        if path != "generate/sd3":
            assert operation.credits == {"": Fraction(str(listed["x-credits"]))}, path


def test_a_picture_comes_as_json_that_the_schema_allows(client, steady, spec):
    answer = post(client, steady, prompt="A mug", output_format="webp", seed="7")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json; type=image/webp")
    assert errors_of(spec, "ImageResult", answer.json()) == []
    assert (answer.json()["seed"], answer.json()["finish_reason"]) == (7, "SUCCESS")
    assert read_header(base64.b64decode(answer.json()["image"])).media_type == "image/webp"


@pytest.mark.parametrize("accept", ["image/*", "*/*"])
def test_a_picture_comes_as_bytes_with_the_verdict_in_a_header(client, steady, accept):
    answer = post(client, steady, headers={**AUTH, "accept": accept})
    assert (answer.headers["content-type"], answer.headers["finish-reason"]) == ("image/png", "SUCCESS")
    assert answer.headers["seed"].isdigit()
    assert answer.headers["x-request-id"]
    assert read_header(answer.content).media_type == "image/png"


def test_another_form_of_answer_is_not_offered(client, steady):
    assert post(client, steady, headers={**AUTH, "accept": "text/html"}).status_code == 400


@pytest.mark.parametrize("shape", LIVING["stable-image-core"].shapes)
def test_a_picture_has_the_ratio_that_was_asked_for(client, steady, shape):
    across, down = (int(side) for side in shape.split(":"))
    for operation, megapixels in (("generate/core", 1.5), ("generate/sd3", 1.0)):
        answer = post(client, steady, operation, prompt="A mug", aspect_ratio=shape)
        size = read_header(base64.b64decode(answer.json()["image"]))
        assert size.width_px / size.height_px == pytest.approx(across / down, rel=0.04)
        assert size.width_px * size.height_px == pytest.approx(megapixels * 2**20, rel=0.08)


@pytest.mark.parametrize(
    ("recorded", "operation", "fields"),
    [
        ("stability-error-413", "upscale/fast", {"image": PICTURE + b"\0" * 10 * 2**20}),
        ("stability-async-start-200", "upscale/creative", {"image": PICTURE, "prompt": "p"}),
    ],
)
def test_an_answer_has_the_recorded_form(client, example, steady, spec, recorded, operation, fields):
    answer = post(client, steady, operation, **fields)
    status, body = example(recorded)
    assert (answer.status_code, without_id(answer.json())) == (status, without_id(body))
    assert len(answer.json()["id"]) == 64 or answer.status_code != 200


@pytest.mark.parametrize(
    ("recorded", "action"),
    [
        ("stability-error-401-v2beta", "bad_key"),
        ("stability-error-402", "quota"),
        ("stability-error-403-moderation", "moderation_input"),
        ("stability-error-429", "rate_limited"),
    ],
)
def test_a_scripted_refusal_has_the_recorded_body(client, example, simulator, spec, recorded, action):
    simulator.set_faults({"action": action, "retry_after_s": 60})
    answer = post(client, simulator)
    status, body = example(recorded)
    assert (answer.status_code, without_id(answer.json())) == (status, without_id(body))
    assert errors_of(spec, "Error", answer.json()) == []
    assert spent(simulator) == 0


def without_id(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "id"}


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer"}, {"authorization": "Bearer invalid-1"}])
def test_it_wants_a_key_everywhere(client, example, steady, headers):
    status, body = example("stability-error-401-v2beta")
    for answer in (post(client, steady, headers=headers), look(client, steady, "x", headers)):
        assert (answer.status_code, without_id(answer.json())) == (status, without_id(body))
        assert answer.json()["id"] == answer.headers["x-request-id"]


def test_the_balance_repeats_a_wrong_key_as_the_live_one_does(client, example, steady, spec):
    answer = client.get(
        f"{steady.stability_url}/v1/user/balance", headers={"authorization": "Bearer sk-invalid"}
    )
    status, body = example("stability-error-401-v1")
    expected = {**without_id(body), "message": body["message"].replace("sk-XXXX", "sk-invalid")}
    assert (answer.status_code, without_id(answer.json())) == (status, expected)
    assert errors_of(spec, "V1Error", answer.json()) == []


@pytest.mark.parametrize(
    ("operation", "fields", "wrong"),
    [
        ("generate/core", {"seed": "1"}, "prompt"),
        ("generate/core", {"prompt": ""}, "prompt"),
        ("generate/core", {"prompt": "x" * 10_001}, "prompt"),
        ("generate/core", {"prompt": b"a file"}, "prompt"),
        ("generate/core", {"prompt": "p", "aspect_ratio": "4:3"}, "aspect_ratio"),
        ("generate/core", {"prompt": "p", "seed": "4294967295"}, "seed"),
        ("generate/core", {"prompt": "p", "seed": "1.5"}, "seed"),
        ("generate/core", {"prompt": "p", "output_format": "gif"}, "output_format"),
        ("generate/ultra", {"prompt": "p", "image": PICTURE}, "strength"),
        ("generate/ultra", {"prompt": "p", "image": PICTURE, "strength": "1.1"}, "strength"),
        ("generate/sd3", {"prompt": "p", "model": "sd4"}, "model"),
        ("generate/sd3", {"prompt": "p", "mode": "image-to-image", "strength": "1"}, "image"),
        ("generate/sd3", {"prompt": "p", "image": PICTURE}, "image"),
        (
            "generate/sd3",
            {
                "prompt": "p", "mode": "image-to-image", "strength": "1", "image": PICTURE,
                "aspect_ratio": "1:1",
            },
            "aspect_ratio",
        ),
        ("edit/remove-background", {}, "image"),
        ("edit/remove-background", {"image": "no file"}, "image"),
        ("edit/remove-background", {"image": b"GIF89a"}, "image"),
        ("edit/remove-background", {"image": PICTURE, "output_format": "jpeg"}, "output_format"),
        ("edit/replace-background-and-relight", {"image": PICTURE, "prompt": "p"}, "subject_image"),
        ("edit/replace-background-and-relight", {"subject_image": PICTURE}, "background_prompt"),
        (
            "edit/replace-background-and-relight",
            {"subject_image": PICTURE, "background_prompt": "p", "light_source_strength": "1"},
            "light_source_strength",
        ),
        ("edit/inpaint", {"image": PICTURE, "prompt": "p"}, "mask"),
        ("edit/erase", {"image": PICTURE}, "mask"),
        ("edit/outpaint", {"image": PICTURE, "left": "0"}, "outpaint"),
        ("edit/outpaint", {"image": PICTURE, "left": "2001"}, "left"),
        ("edit/outpaint", {"image": drawn(501, 200), "left": "9"}, "image"),
        ("edit/search-and-replace", {"image": PICTURE, "prompt": "p"}, "search_prompt"),
        ("edit/search-and-recolor", {"image": PICTURE, "prompt": "p"}, "select_prompt"),
        ("upscale/fast", {"image": drawn(1537, 100)}, "image"),
        ("upscale/conservative", {"image": PICTURE, "prompt": "p", "creativity": "0.1"}, "creativity"),
        ("upscale/creative", {"image": drawn(1025, 1024), "prompt": "p"}, "image"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_in_a_400_and_costs_nothing(client, steady, spec, operation, fields, wrong):
    before = len(steady.bill())
    answer = post(client, steady, operation, **(fields or {"seed": "1"}))
    assert (answer.status_code, errors_of(spec, "Error", answer.json())) == (400, [])
    assert answer.json()["name"] == "bad_request"
    assert any(each.startswith(f"{wrong}: ") for each in answer.json()["errors"]), answer.text
    assert len(steady.bill()) == before


def test_json_is_not_taken_also_where_no_file_is_sent(client, steady):
    url = f"{steady.stability_url}/v2beta/stable-image/generate/core"
    answer = client.post(url, json={"prompt": "a mug"}, headers=JSON)
    assert (answer.status_code, answer.json()["errors"]) == (
        400,
        ["content-type: must be multipart/form-data"],
    )


def test_an_unknown_path_is_a_404_in_its_own_words(client, steady, spec):
    for answer in (
        post(client, steady, "generate/sd5"),
        client.get(f"{steady.stability_url}/x", headers=JSON),
    ):
        assert (answer.status_code, errors_of(spec, "Error", answer.json())) == (404, [])


NUMBERS = st.one_of(st.integers(-5, 3000), st.floats(-1, 11).map(lambda value: round(value, 3))).map(str)
RIGHT_OR_NOT = {
    "aspect_ratio": st.sampled_from(["1:1", "9:21", "4:3", ""]),
    "seed": NUMBERS | st.sampled_from(["4294967294", "4294967295"]),
    "output_format": st.sampled_from(["png", "jpeg", "webp", "gif"]),
    "style_preset": st.sampled_from(["anime", "photographic", "grim"]),
    "negative_prompt": st.text(max_size=5),
    "cfg_scale": NUMBERS,
    "creativity": NUMBERS,
    "grow_mask": NUMBERS,
    "search_prompt": st.text(max_size=3),
    "select_prompt": st.text(max_size=3),
}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    operation=st.sampled_from(sorted(set(OPERATIONS) - {"edit/outpaint"})),
    fields=st.fixed_dictionaries({}, optional=RIGHT_OR_NOT),
    prompt=st.text(max_size=5),
)
def test_it_accepts_only_what_its_schema_allows(client, steady, spec, operation, fields, prompt):
    post_ = spec["paths"][f"/v2beta/stable-image/{operation}"]["post"]
    schema = post_["requestBody"]["content"]["multipart/form-data"]["schema"]
    form: dict[str, Any] = {"prompt": prompt, **fields}
    picture = next((name for name in ("image", "subject_image") if name in schema["required"]), None)
    if picture:
        form[picture] = CLEAR
    if picture == "subject_image":
        form["background_prompt"] = "slate"
    known = {name: value for name, value in form.items() if name in schema["properties"]}
    values = {name: _typed(schema["properties"][name], value) for name, value in known.items()}
    allowed = jsonschema.Draft202012Validator(schema).is_valid(values)
    assert (post(client, steady, operation, **form).status_code == 200) == allowed


def _typed(rule: dict[str, Any], value: str | bytes) -> Any:
    if isinstance(value, bytes):
        return "bytes"
    if rule.get("type") in ("integer", "number"):
        try:
            return int(value) if rule["type"] == "integer" else float(value)
        except ValueError:
            return value
    return value


# -- what an edit makes of its picture --------------------------------------------------------------


def pixels(answer: httpx.Response) -> pyvips.Image:
    return pyvips.Image.new_from_buffer(base64.b64decode(answer.json()["image"]), "")


def test_a_background_is_removed_and_the_subject_stays(client, start):
    made = pixels(post(client, start(image="packshot"), "edit/remove-background", image=PICTURE))
    assert (made.width, made.height, made.bands) == (300, 200, 4)
    assert made(2, 2)[3] == 0
    assert made(150, 100) == [180, 40, 40, 255]


@pytest.mark.parametrize(
    "fields", [{"image": PICTURE, "mask": MASK}, {"image": CLEAR}], ids=["mask", "alpha"]
)
@pytest.mark.parametrize("operation", ["edit/inpaint", "edit/erase"])
def test_an_edit_changes_what_is_white_in_the_mask_or_transparent_and_nothing_else(
    client, start, operation, fields
):
    words = {"prompt": "A stoneware mug"} if operation == "edit/inpaint" else {}
    made = pixels(post(client, start(image="packshot"), operation, **fields, **words))
    assert made(2, 2)[:3] == [240, 238, 232]
    assert made(150, 45)[:3] == [180, 40, 40]
    assert made(150, 100)[:3] != [180, 40, 40]


def test_room_is_added_where_it_was_asked_for(client, start):
    fields = {"image": PICTURE, "left": "100", "down": "50"}
    made = pixels(post(client, start(image="packshot"), "edit/outpaint", **fields))
    assert (made.width, made.height) == (400, 250)
    assert made(250, 100)[:3] == [180, 40, 40]


@pytest.mark.parametrize(
    ("operation", "pixels_"), [("upscale/fast", 1200 * 800), ("upscale/conservative", 2**22)]
)
def test_an_upscale_is_the_same_picture_larger(client, start, operation, pixels_):
    made = pixels(post(client, start(image="packshot"), operation, image=PICTURE, prompt="p"))
    assert made.width * made.height == pytest.approx(pixels_, rel=0.01)
    assert made.width / made.height == pytest.approx(1.5, rel=0.01)
    assert made(made.width // 2, made.height // 2)[:3] == [180, 40, 40]


# -- limits, credits, moderation --------------------------------------------------------------------


def test_one_request_too_many_locks_everybody_out_and_says_not_how_long(client, start):
    simulator = start(stability_requests_per_10s=5, stability_lock_out_s=1.0)
    balance = f"{simulator.stability_url}/v1/user/balance"
    assert [post(client, simulator).status_code for _ in range(4)] == [200] * 4
    assert client.get(balance, headers=AUTH).status_code == 200, "looks count as well"
    locked = post(client, simulator)
    assert (locked.status_code, locked.json()["name"]) == (429, "rate_limit_exceeded")
    assert "retry-after" not in locked.headers, "it is not documented"
    assert "timed out for 1 seconds" in locked.json()["errors"][0]
    assert client.get(balance, headers=AUTH).status_code == 429
    assert len(simulator.bill()) == 4
    time.sleep(1.05)
    # The ten seconds go on: the next one too many locks out again.
    assert client.get(balance, headers=AUTH).status_code == 429


def test_the_lock_out_ends_and_requests_are_forgotten_after_ten_seconds():
    from packshot.simulator.protocol import Declined
    from packshot.simulator.stability import _Window

    now = 1000.0
    window = _Window(150, 60.0, clock=lambda: now)

    def taken() -> bool:
        try:
            window.take()
        except Declined:
            return False
        return True

    assert all(taken() for _ in range(150))
    now += 9.9
    assert not taken(), "the 151st within ten seconds"
    now += 59.9
    assert not taken(), "locked out for a minute"
    now += 0.2
    assert all(taken() for _ in range(150))
    now += 10.1
    assert taken(), "no lock-out without one too many"


def test_the_adapter_waits_a_minute_after_the_lock_out(start):
    result = asked(start(stability_requests_per_10s=1), CORE, times=2)
    assert (type(result), result.after_s) == (TryLater, 60)


def test_credits_go_down_by_what_is_charged_and_then_it_is_a_402(client, start, example):
    simulator = start(stability_credits=Fraction(7))
    balance = f"{simulator.stability_url}/v1/user/balance"
    assert client.get(balance, headers=AUTH).json() == {"credits": 7.0}
    assert [post(client, simulator).status_code for _ in range(2)] == [200, 200]
    assert client.get(balance, headers=AUTH).json() == {"credits": 1.0}
    answer = post(client, simulator)
    status, body = example("stability-error-402")
    assert (answer.status_code, without_id(answer.json())) == (status, without_id(body))
    assert spent(simulator) == Fraction("0.06")


@pytest.mark.parametrize("charged", [True, False])
@pytest.mark.parametrize("accept", ["application/json", "image/*"])
def test_a_filtered_picture_is_a_200_that_looks_fine_until_the_verdict_is_read(
    client, start, accept, charged
):
    simulator = start(image="packshot", charge_moderated_output=charged)
    sharp = post(client, simulator, headers={**AUTH, "accept": accept}, prompt="A mug", seed="7")
    simulator.set_faults({"action": "moderation_output"})
    answer = post(client, simulator, headers={**AUTH, "accept": accept}, prompt="A mug", seed="7")
    assert answer.status_code == 200
    if accept == "image/*":
        assert answer.headers["finish-reason"] == "CONTENT_FILTERED"
        pictures = [each.content for each in (sharp, answer)]
    else:
        assert answer.json()["finish_reason"] == "CONTENT_FILTERED"
        pictures = [base64.b64decode(each.json()["image"]) for each in (sharp, answer)]
    edges = [pyvips.Image.new_from_buffer(each, "").colourspace("b-w").sobel().avg() for each in pictures]
    assert edges[1] < edges[0] / 3, "blurred"
    assert len(simulator.bill()) == 1 + charged


# -- work that is collected later -------------------------------------------------------------------


def test_work_starts_with_a_200_is_a_202_while_it_lasts_and_then_its_picture(
    client, start, clock, example, spec
):
    simulator = start(speed=1.0, stability_look_every_s=0.0, stability_later_latency_s=(20.0, 20.0))
    task = creative(client, simulator)
    status, body = example("stability-async-pending-202")
    answer = look(client, simulator, task)
    assert (answer.status_code, answer.json()) == (status, {**body, "id": task})
    assert errors_of(spec, "AsyncPending", answer.json()) == []
    clock.passes(20.1)
    done = settled(client, simulator, task)
    assert (done.status_code, errors_of(spec, "ImageResult", done.json())) == (200, [])
    (line,) = simulator.bill()
    assert (line.dollars, line.reference) == (Fraction("0.6"), task)
    assert line.image_sha256 == (sha256(base64.b64decode(done.json()["image"])),)
    again = settled(client, simulator, task)
    assert again.json() == done.json(), "collecting is repeatable"
    assert settled(client, simulator, task).json()["finish_reason"] == "SUCCESS"


def test_a_result_comes_as_bytes_to_who_asks_for_bytes(client, start):
    simulator = start()
    task = creative(client, simulator)
    settled(client, simulator, task)
    time.sleep(0.02)
    answer = look(client, simulator, task, {**AUTH, "accept": "*/*"})
    assert (answer.headers["finish-reason"], read_header(answer.content).media_type) == (
        "SUCCESS",
        "image/png",
    )


def test_another_key_sees_nothing_and_neither_does_a_guess(client, simulator):
    task = creative(client, simulator)
    settled(client, simulator, task)
    other = {**JSON, "authorization": "Bearer sk-another"}
    assert look(client, simulator, task, other).status_code == 404
    assert look(client, simulator, task[:32] + "0" * 32).status_code == 404
    assert look(client, simulator, "0" * 64).status_code == 404


def test_looks_closer_together_than_ten_seconds_are_turned_away(client, start, clock):
    simulator = start(speed=1.0, stability_later_latency_s=(100.0, 100.0))
    task = creative(client, simulator)
    assert [look(client, simulator, task).status_code for _ in range(2)] == [202, 429]
    clock.passes(9)
    assert look(client, simulator, task).status_code == 429
    clock.passes(10)
    assert look(client, simulator, task).status_code == 202


def test_a_result_is_gone_after_its_life(client, start, clock):
    simulator = start(stability_look_every_s=0.0, stability_result_life_s=86_400.0)
    task = creative(client, simulator)
    clock.passes(86_399)
    assert settled(client, simulator, task).status_code == 200
    clock.passes(2)
    assert look(client, simulator, task).status_code == 404


def test_work_goes_on_after_kill_9_and_a_restart_with_its_own_key_only(client, tmp_path):
    arguments = ["--image", "small", "--speed", "1000"]
    first = spawn(tmp_path, arguments=arguments)
    task = creative(client, first.control)
    filtered_rule = {"action": "moderation_output", "prompt": "A mug"}
    first.control.set_faults(filtered_rule)
    filtered = creative(client, first.control)
    first.process.kill()
    first.stop()
    second = spawn(tmp_path, arguments=arguments)
    try:
        assert settled(client, second.control, task).json()["finish_reason"] == "SUCCESS"
        assert settled(client, second.control, filtered).json()["finish_reason"] == "CONTENT_FILTERED"
        other = {**JSON, "authorization": "Bearer sk-another"}
        assert look(client, second.control, task, other).status_code == 404
        assert spent(second.control) == Fraction("1.2")
    finally:
        second.stop()


def test_flux_and_stability_do_not_find_each_others_work_after_a_restart(client, tmp_path):
    folder = tmp_path / "shared"
    with running(quick(folder)) as one:
        task = creative(client, one)
        flux = client.post(
            f"{one.flux_url}/v1/flux-2-pro", json={"prompt": "p"}, headers={"x-key": KEY}
        ).json()
    with running(quick(folder)) as two:
        assert settled(client, two, task).status_code == 200
        assert look(client, two, flux["id"]).status_code == 404
        polled = client.get(f"{two.flux_url}/v1/get_result", params={"id": task}).json()
        assert polled["status"] == "Task not found"


@pytest.mark.parametrize(
    ("rule", "status", "verdict"),
    [
        ({"action": "never_ready"}, 202, None),
        ({"action": "dead_link"}, 404, None),
        ({"action": "moderation_output"}, 200, "CONTENT_FILTERED"),
        ({"action": "no_image"}, 200, "SUCCESS"),
    ],
)
def test_how_work_ends_can_be_scripted(client, simulator, rule, status, verdict):
    simulator.set_faults(rule)
    task = creative(client, simulator)
    if status == 202:
        time.sleep(0.1)  # another one would have ended by now
        answer = look(client, simulator, task)
    else:
        answer = settled(client, simulator, task)
    assert (answer.status_code, answer.json().get("finish_reason")) == (status, verdict)
    assert ("image" in answer.json()) == (rule["action"] == "moderation_output")


# -- faults -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "status", "name"),
    [
        ("server_error", 500, "internal_error"),
        ("overloaded", 503, "service_unavailable"),
        ("html_502", 502, None),
    ],
)
def test_an_outage_is_answered_in_its_own_words(client, simulator, spec, action, status, name):
    simulator.set_faults({"action": action})
    for answer in (
        post(client, simulator),
        post(client, simulator, "upscale/creative", image=PICTURE, prompt="p"),
    ):
        assert answer.status_code == status
        assert name is None or (answer.json()["name"], errors_of(spec, "Error", answer.json())) == (name, [])
    assert spent(simulator) == 0


def test_what_happens_to_work_only_leaves_pictures_made_at_once_alone(client, simulator):
    simulator.set_faults({"action": "never_ready", "dialect": "stability"})
    assert post(client, simulator).json()["finish_reason"] == "SUCCESS"


def test_looks_and_the_balance_can_fail_on_their_own(client, simulator):
    task = creative(client, simulator)
    simulator.set_faults({"action": "server_error", "path": "/v2beta/results/*"})
    assert look(client, simulator, task).status_code == 500
    assert post(client, simulator).status_code == 200


@pytest.mark.parametrize("action", ["cut_before_answer", "cut_half_body"])
@pytest.mark.parametrize("operation", ["generate/core", "upscale/creative"])
def test_a_cut_call_is_charged_before_it_is_cut(client, simulator, action, operation):
    simulator.set_faults({"action": action})
    fields = {"image": PICTURE} if operation.startswith("upscale") else {}
    with pytest.raises(httpx.TransportError):
        post(client, simulator, operation, prompt="a lamp", **fields)
    (line,) = simulator.bill()
    assert line.prompt_sha256 == sha256(b"a lamp")


def test_a_cut_call_that_never_got_through_is_not_charged(client, simulator):
    simulator.set_faults({"action": "cut_before_answer", "charged": False})
    for operation, fields in (("generate/core", {}), ("upscale/creative", {"image": PICTURE})):
        with pytest.raises(httpx.TransportError):
            post(client, simulator, operation, prompt="a lamp", **fields)
    assert simulator.bill() == []


def test_a_double_charge_stands_twice_in_the_bill(client, simulator):
    simulator.set_faults({"action": "charge_twice"})
    post(client, simulator)
    creative(client, simulator)
    assert spent(simulator) == 2 * (Fraction("0.03") + Fraction("0.6"))


@pytest.mark.parametrize(
    ("variant", "kind_of"),
    [
        ("not_json", BadAnswer), ("html", BadAnswer), ("half_json", BadAnswer), ("deep_json", BadAnswer),
        ("huge_json", BadAnswer), ("wrong_types", BadAnswer), ("missing_id", BadAnswer),
        ("bad_base64", BadAnswer), ("empty_image", BadAnswer), ("not_an_image", BadAnswer),
        ("pixel_bomb", BadAnswer), ("gzip_bomb", BadAnswer), ("wrong_content_type", Delivery),
        ("two_ids", Delivery), ("nan_cost", BadAnswer), ("huge_cost", Delivery), ("negative_cost", Delivery),
    ],
)  # fmt: skip
def test_garbage_is_a_bad_answer_that_was_paid_for(start, variant, kind_of):
    simulator = start()
    simulator.set_faults({"action": "garbage", "variant": variant, "size_mb": 64})
    result = asked(simulator, CORE)
    assert type(result) is kind_of
    if variant not in ("huge_json", "gzip_bomb"):  # nothing is read of these, so nothing is known
        assert result.cost == 30_000
    assert spent(simulator) == Fraction("0.03")


def test_a_wrong_script_for_stability_is_refused(simulator):
    for action in ("not_verified", "task_error"):
        with pytest.raises(Exception, match="never happens at stability"):
            simulator.set_faults({"action": action, "dialect": "stability"})


def test_no_key_is_kept_on_disk(client, tmp_path):
    folder = tmp_path / "quiet"
    with running(quick(folder)) as simulator:
        post(client, simulator)
        settled(client, simulator, creative(client, simulator))
        assert len(simulator.requests()) == 2
    assert not [path for path in folder.iterdir() if KEY.encode() in path.read_bytes()]


# -- two witnesses: the real adapter ----------------------------------------------------------------

CORE = ImageRequest("stable-image-core", "A stoneware mug")


def asked(simulator: Control, request: ImageRequest, *, times: int = 1, speed: float = 1000) -> Any:
    """What the adapter's last call comes to, a delivery of what is collected later included."""

    async def story() -> Any:
        provider = adapter(simulator)
        result: Any = None
        try:
            for _ in range(times):
                result = await delivered(provider, request, speed)
        except ProviderError as error:
            return error
        finally:
            await provider._client.aclose()
        return result

    return asyncio.run(story())


def adapter(simulator: Control) -> Stability:
    url = simulator.stability_url
    return Stability(Account(KEY, url, simulated=True), GuardedClient(url))


async def delivered(provider: Stability, request: ImageRequest, speed: float) -> Delivery:
    attempt = AttemptRef(uuid4(), number=1, deadline_s=60)
    answer: Ticket | Delivery | Pending = await provider.submit(request, attempt)
    ticket = answer
    while not isinstance(answer, Delivery):
        assert isinstance(ticket, Ticket)
        answer = await provider.collect(ticket, attempt)
        if isinstance(answer, Pending):
            await asyncio.sleep(answer.after_s / speed)
    return answer


def with_pictures(model: str, **changes: Any) -> ImageRequest:
    card = LIVING[model]
    example_ = an_example(card)
    content = CLEAR if card.takes_mask else PICTURE
    one = InputImage("image", "image/png", 300, 200, len(content), content)
    fields = {"inputs": (one,) * card.min_inputs, "prompt": example_.prompt and f"{model}, a mug", **changes}
    return ImageRequest(model, **{"shape": card.shapes[0], "options": example_.options, **fields})


def everything() -> Iterator[ImageRequest]:
    """Each row of the price table, in each shape, and each with its picture where it may have one."""
    for model, card in LIVING.items():
        for shape in card.shapes:
            yield with_pictures(model, shape=shape)
        if card.max_inputs > card.min_inputs:
            one = InputImage("image", "image/png", 300, 200, len(PICTURE), PICTURE)
            options = {"strength": "0.5"} if card.kind == "generate" else {}
            yield with_pictures(model, inputs=(one,) * card.max_inputs, options=options)


def test_every_price_is_quoted_as_it_is_billed(start):
    simulator = start(stability_requests_per_10s=None)
    seen = set()
    for request in everything():
        before = len(simulator.bill())
        provider = adapter(simulator)
        quote = provider.quote(request)
        delivery = asked(simulator, request)
        assert isinstance(delivery, Delivery), f"{request.model}: {delivery}"
        delivery_is_complete(delivery, request)
        (line,) = simulator.bill()[before:]
        assert quote.expected == quote.ceiling == delivery.cost == micros(line.dollars), request.model
        assert line.image_sha256 == tuple(sha256(image.content) for image in delivery.images)
        assert delivery.request_id == line.reference
        seen.add(request.model)
    assert seen == set(stability_prices().models) == set(LIVING)


def test_the_two_tables_were_written_apart_and_agree():
    for model, price in stability_prices().models.items():
        wire = wire_request(with_pictures(model))
        operation = OPERATIONS[wire.path.removeprefix("/v2beta/stable-image/")]
        named = dict(wire.parts).get("model", "")
        assert price.per_image == operation.credits[str(named)] * DOLLARS_PER_CREDIT


def test_a_price_that_changed_shows_as_a_difference(start):
    simulator = start()
    simulator.set_prices(stability="3/2")
    delivery = asked(simulator, CORE)
    (line,) = simulator.bill()
    assert (delivery.cost, micros(line.dollars)) == (30_000, 45_000)


@pytest.mark.parametrize(
    ("rule", "kind_of", "kind", "charge"),
    [
        ({"action": "moderation_input"}, Refused, "refused", "free"),
        ({"action": "moderation_output"}, Refused, "refused", "unknown"),
        ({"action": "no_image"}, BadAnswer, "bad_answer", "charged"),
        ({"action": "quota"}, Misconfigured, "no_credit", "free"),
        ({"action": "bad_key"}, Misconfigured, "bad_key", "free"),
    ],
)
@pytest.mark.parametrize("model", ["stable-image-core", "upscale-creative"])
def test_the_adapter_understands_what_it_is_told(start, rule, kind_of, kind, charge, model):
    simulator = start()
    simulator.set_faults(rule)
    result = asked(simulator, with_pictures(model))
    assert (type(result), result.kind, result.charge) == (kind_of, kind, charge)


def test_the_adapter_reads_the_balance_and_proves_its_key(start):
    simulator = start(stability_credits=Fraction("1234.56"))
    seen = asyncio.run(adapter(simulator).inspect())
    assert (seen.key_works, seen.balance) == (True, 12_345_600)
    wrong = Stability(
        Account("sk-invalid-Zq81xv", "", simulated=True), GuardedClient(simulator.stability_url)
    )
    refused = asyncio.run(wrong.inspect())
    assert (refused.key_works, refused.balance) == (False, None)
    assert "Zq81xv" not in refused.detail


def test_the_adapters_own_pace_is_never_turned_away(start):
    """A look too soon is a 429, which the adapter tells as TryLater."""
    simulator = start(speed=20.0, stability_later_latency_s=(35.0, 35.0))
    began = time.monotonic()
    delivery = asked(simulator, with_pictures("upscale-creative"), speed=20)
    assert isinstance(delivery, Delivery)
    assert time.monotonic() - began > 35 / 20, "it looked more than once"
