"""The simulated relay of Midjourney against the derived specification, over real HTTP, by a plain client."""

import base64
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import pyvips

from packshot.simulator import Control, SimulatorConfig, running

SECRET = {"mj-api-secret": "canary-Mj8x21"}
CALL = Fraction(4, 100)
PIXEL = base64.b64encode(pyvips.Image.black(8, 8, bands=3).write_to_buffer(".png")).decode()


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=30, headers=SECRET) as client:
        yield client


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Control]]:
    number = itertools.count()
    with ExitStack() as stack:

        def started(**changes: Any) -> Control:
            folder = changes.pop("folder", tmp_path / f"simulator-{next(number)}")
            settings = {"state_dir": folder, "speed": 1000.0, "image": "small", **changes}
            return stack.enter_context(running(SimulatorConfig(**settings)))

        yield started


@pytest.fixture
def simulator(start: Callable[..., Control]) -> Control:
    return start()


@pytest.fixture(scope="module")
def validates(specs: Path) -> Callable[[str, Any], None]:
    """Checks a document against a named schema of the derived specification, as JSON Schema has it."""
    document = json.loads((specs / "midjourney-proxy.derived.openapi.json").read_text())

    def plain(schema: Any) -> Any:
        if isinstance(schema, list):
            return [plain(each) for each in schema]
        if not isinstance(schema, dict):
            return schema
        made = {name: plain(value) for name, value in schema.items() if name != "nullable"}
        if schema.get("nullable"):
            made["type"] = [made["type"], "null"]
        return made

    schemas = plain(document["components"]["schemas"])

    def validate(name: str, value: Any) -> None:
        jsonschema.Draft202012Validator({**schemas[name], "components": {"schemas": schemas}}).validate(value)

    return validate


def submit(client: httpx.Client, control: Control, kind: str = "imagine", speed: str = "", **body: Any):
    asked = {"prompt": "A stoneware mug", **body} if kind == "imagine" else body
    return client.post(f"{control.midjourney_url}{speed}/mj/submit/{kind}", json=asked)


def looked(client: httpx.Client, control: Control, task: str) -> httpx.Response:
    return client.get(f"{control.midjourney_url}/mj/task/{task}/fetch")


def settled(client: httpx.Client, control: Control, task: str) -> dict[str, Any]:
    """Look until the task has ended; what it was then."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        seen = looked(client, control, task).json()
        if seen["status"] in ("SUCCESS", "FAILURE", "CANCEL"):
            return seen
        time.sleep(0.01)
    raise AssertionError(seen)


def grid(client: httpx.Client, control: Control, **body: Any) -> dict[str, Any]:
    answer = submit(client, control, **body).json()
    assert answer["code"] in (1, 22), answer
    return settled(client, control, answer["result"])


def charges(control: Control) -> list[Fraction]:
    return [line.dollars for line in control.bill()]


def pixels(client: httpx.Client, task: dict[str, Any]) -> Any:
    answer = client.get(task["imageUrl"])
    assert answer.status_code == 200
    return pyvips.Image.new_from_buffer(answer.content, "")


# -- from prompt to grid to one of the four ---------------------------------------------------------


def test_a_task_validates_from_submission_to_picture(client, simulator, validates):
    answer = submit(client, simulator, state="job-42")
    validates("SubmitResult", answer.json())
    done = settled(client, simulator, answer.json()["result"])
    validates("Task", done)
    assert (done["status"], done["progress"], done["state"]) == ("SUCCESS", "100%", "job-42")
    assert [each["label"] for each in done["buttons"]] == ["U1", "U2", "U3", "U4", "V1", "V2", "V3", "V4"]
    assert client.get(done["imageUrl"]).headers["content-type"] == "image/png"
    assert charges(simulator) == [CALL]


def test_a_running_task_shows_a_preview_and_its_progress(client, start, clock, validates):
    simulator = start(speed=1.0, midjourney_latency_s=(10.0, 10.0))
    task = submit(client, simulator).json()["result"]
    seen: dict[str, tuple[str, bool]] = {}
    for pause_s in (1.0, 3.0, 3.0, 2.5, 0.0):
        shown = looked(client, simulator, task).json()
        validates("Task", shown)
        seen[shown["progress"]] = (shown["status"], bool(shown["imageUrl"]))
        if shown["progress"] == "62%":
            preview = pixels(client, shown)
            assert preview.width < 200
            assert shown["buttons"] == []
        clock.passes(pause_s)
    clock.passes(1.0)
    done = settled(client, simulator, task)
    seen[done["progress"]] = (done["status"], bool(done["imageUrl"]))
    assert seen == {
        "0%": ("SUBMITTED", False),
        "31%": ("IN_PROGRESS", True),
        "62%": ("IN_PROGRESS", True),
        "93%": ("IN_PROGRESS", True),
        "100%": ("SUCCESS", True),
    }


def test_the_grid_is_four_packshots_and_a_follow_up_is_one_of_them_to_the_pixel(client, start):
    simulator = start(image="packshot")
    whole = grid(client, simulator, prompt="A stoneware mug --ar 4:5 --seed 7")
    picture = pixels(client, whole)
    width, height = picture.width // 2, picture.height // 2
    assert (width, height) == (912, 1152)
    corners = [picture.crop(x, y, width, height) for y in (0, height) for x in (0, width)]
    differ = [(one - other).abs().max() for one, other in itertools.combinations(corners, 2)]
    assert len(differ) == 6
    assert min(differ) > 20
    for index in (1, 4):
        asked = {"taskId": whole["id"], "customId": whole["buttons"][index - 1]["customId"]}
        alone = settled(client, simulator, submit(client, simulator, "action", **asked).json()["result"])
        assert alone["action"] == "UPSCALE"
        assert (pixels(client, alone) - corners[index - 1]).abs().max() == 0
    assert charges(simulator) == [CALL] * 3


def test_a_variation_is_another_grid_and_one_of_its_four_another_picture(client, simulator):
    whole = grid(client, simulator)
    asked = {"taskId": whole["id"], "action": "VARIATION", "index": 2}
    varied = settled(client, simulator, submit(client, simulator, "change", **asked).json()["result"])
    assert (varied["action"], len(varied["buttons"])) == ("VARIATION", 8)
    assert client.get(varied["imageUrl"]).content != client.get(whole["imageUrl"]).content
    again = submit(client, simulator, "change", **asked).json()
    assert (again["code"], again["result"] != varied["id"]) == (1, True)
    assert len(charges(simulator)) == 3


def test_the_same_picture_alone_exists_already_and_a_relay_charges_for_saying_so(
    client, simulator, validates
):
    whole = grid(client, simulator)
    asked = {"taskId": whole["id"], "action": "UPSCALE", "index": 2}
    first = submit(client, simulator, "change", **asked).json()
    done = settled(client, simulator, first["result"])
    again = submit(client, simulator, "action", taskId=whole["id"], customId=whole["buttons"][1]["customId"])
    validates("SubmitResult", again.json())
    assert (again.json()["code"], again.json()["result"]) == (21, first["result"])
    assert again.json()["properties"]["status"] == done["status"] == "SUCCESS"
    assert len(charges(simulator)) == 3


def test_the_same_seed_makes_the_same_grid(client, simulator):
    same = [grid(client, simulator, prompt="A mug --seed 7")["imageUrl"] for _ in range(2)]
    other = grid(client, simulator, prompt="A mug --seed 8")["imageUrl"]
    first, second, third = (client.get(url).content for url in (*same, other))
    assert first == second != third


# -- prices -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("speed", "price"),
    [("", "0.04"), ("/mj-fast", "0.04"), ("/mj-turbo", "0.108"), ("/mj-relax", "0.015")],
)
def test_a_call_costs_what_its_speed_costs(client, simulator, speed, price):
    submit(client, simulator, speed=speed)
    assert charges(simulator) == [Fraction(price)]


@pytest.mark.parametrize(
    ("prompt", "jobs"),
    [
        ("A mug --repeat 4", 4),
        ("A mug --r 10", 10),
        ("A mug \N{EM DASH}repeat 4", 4),
        ("A {red, green, blue} mug", 3),
        ("A {red, green} mug on {wood, slate}", 4),
        ("A {red} mug", 1),
    ],
)
def test_parameters_and_braces_multiply_the_price(client, simulator, prompt, jobs):
    """What a prompt that smuggles them in would cost."""
    submit(client, simulator, prompt=prompt)
    assert charges(simulator) == [CALL * jobs]


def test_a_speed_among_the_parameters_is_charged(client, simulator):
    submit(client, simulator, prompt="A mug --turbo")
    assert charges(simulator) == [Fraction("0.108")]


def test_a_price_that_changed_is_charged(client, simulator):
    simulator.set_prices(midjourney="3/2")
    submit(client, simulator)
    assert charges(simulator) == [CALL * Fraction(3, 2)]


# -- refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        ("imagine", {"prompt": " "}, 4),
        ("imagine", {"prompt": "A nude mug"}, 24),
        ("imagine", {"base64Array": ["not a data URL"]}, 4),
        ("imagine", {"base64Array": ["data:image/png;base64,AAAA"]}, 4),
        ("imagine", {"state": 7}, 4),
        ("imagine", {"notifyHook": "https://shop.example/hook"}, 4),
        ("imagine", {"notifyHook": "http://10.0.0.1/hook"}, 4),
        ("change", {}, 4),
        ("change", {"taskId": "unknown", "action": "UPSCALE", "index": 1}, 3),
        ("action", {"taskId": "unknown", "customId": "MJ::JOB::upsample::1::" + "a" * 36}, 3),
        ("change", {"taskId": "unknown", "action": "UPSCALE", "index": 5}, 4),
        ("change", {"taskId": "unknown", "action": "ZOOM", "index": 1}, 4),
    ],
)
def test_a_refusal_is_a_200_with_a_code_and_costs_nothing(client, simulator, validates, kind, body, code):
    answer = submit(client, simulator, kind, **body)
    assert (answer.status_code, answer.json()["code"]) == (200, code)
    validates("SubmitResult", answer.json())
    assert charges(simulator) == []


@pytest.mark.parametrize(
    ("recorded", "action"),
    [
        ("mj-submit-code-23", "rate_limited"),
        ("mj-submit-code-24", "moderation_input"),
        ("mj-error-401", "bad_key"),
    ],
)
def test_a_scripted_refusal_has_the_recorded_shape(client, simulator, specs, recorded, action):
    simulator.set_faults({"action": action, "dialect": "midjourney"})
    answer = submit(client, simulator)
    told = json.loads((specs / "examples" / f"{recorded}.json").read_text())["response"]
    assert answer.status_code == told["status"]
    if isinstance(told["body"], str):
        assert answer.text == told["body"]
    else:
        assert answer.json().keys() == told["body"].keys()
        assert answer.json()["code"] == told["body"]["code"]
        assert answer.json()["description"] == told["body"]["description"]
    assert charges(simulator) == []


def test_a_picture_to_go_by_is_taken(client, simulator):
    assert submit(client, simulator, base64Array=[f"data:image/png;base64,{PIXEL}"]).json()["code"] == 1


@pytest.mark.parametrize("headers", [{}, {"mj-api-secret": "invalid"}, {"authorization": "Bearer invalid"}])
def test_it_wants_a_secret_in_plain_text(simulator, headers):
    with httpx.Client(trust_env=False) as stranger:
        for call in (
            lambda: stranger.post(f"{simulator.midjourney_url}/mj/submit/imagine", headers=headers, json={}),
            lambda: stranger.get(f"{simulator.midjourney_url}/mj/task/1/fetch", headers=headers),
        ):
            answer = call()
            assert (answer.status_code, answer.text) == (401, "Authorization header missing.")
        bearer = {"authorization": "Bearer fine"}
        url = f"{simulator.midjourney_url}/mj/submit/imagine"
        assert stranger.post(url, headers=bearer, json={"prompt": "A mug"}).json()["code"] == 1


@pytest.mark.parametrize(
    "prompt",
    ["A mug --ar wide", "A mug --v 12", "A mug --stylize 2000", "A mug --frobnicate", "A mug --seed x"],
)
def test_what_midjourney_does_not_understand_fails_as_a_task_and_is_given_back(client, simulator, prompt):
    done = grid(client, simulator, prompt=prompt)
    assert done["status"] == "FAILURE"
    assert done["failReason"].startswith("[Invalid parameter]")
    assert (done["imageUrl"], done["buttons"]) == (None, [])
    assert charges(simulator) == []


def test_a_follow_up_goes_on_from_a_finished_grid_only(client, start, clock):
    simulator = start(speed=1.0, midjourney_latency_s=(5.0, 5.0))
    task = submit(client, simulator).json()["result"]
    asked = {"taskId": task, "action": "UPSCALE", "index": 1}
    assert submit(client, simulator, "change", **asked).json()["code"] == 4
    clock.passes(5.1)
    settled(client, simulator, task)
    alone = submit(client, simulator, "change", **asked).json()
    assert alone["code"] == 1
    clock.passes(5.1)
    settled(client, simulator, alone["result"])
    of_one = {**asked, "taskId": alone["result"]}
    assert submit(client, simulator, "change", **of_one).json()["code"] == 4
    foreign = "MJ::JOB::upsample::1::00000000-0000-4000-8000-000000000000"
    assert submit(client, simulator, "action", taskId=task, customId=foreign).json()["code"] == 4


# -- queue ------------------------------------------------------------------------------------------


def test_three_run_more_wait_their_turn_and_then_the_queue_is_full(client, start, clock, validates):
    simulator = start(
        speed=1.0, midjourney_latency_s=(4.0, 4.0), midjourney_concurrent_tasks=2, midjourney_queue=2
    )
    answers = [submit(client, simulator).json() for _ in range(5)]
    assert [each["code"] for each in answers] == [1, 1, 22, 22, 23]
    assert [each["properties"].get("numberOfQueues") for each in answers[:4]] == [None, None, 1, 2]
    for answer in answers:
        validates("SubmitResult", answer)
    assert looked(client, simulator, answers[2]["result"]).json()["status"] == "NOT_START"
    assert looked(client, simulator, answers[4]["result"]).content == b"", "its number means nothing"
    clock.passes(4.1)
    assert settled(client, simulator, answers[0]["result"])["status"] == "SUCCESS"
    last = looked(client, simulator, answers[3]["result"]).json()
    assert last["status"] == "SUBMITTED", "it runs after the first two"
    clock.passes(4.1)
    assert settled(client, simulator, answers[3]["result"])["status"] == "SUCCESS"
    assert len(charges(simulator)) == 4
    assert submit(client, simulator).json()["code"] == 1


# -- fates ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "status", "billed"),
    [("moderation_output", "FAILURE", 1), ("task_error", "FAILURE", 0), ("no_image", "SUCCESS", 1)],
)
def test_a_task_may_end_without_a_picture(client, simulator, validates, action, status, billed):
    simulator.set_faults({"action": action, "dialect": "midjourney"})
    done = grid(client, simulator)
    validates("Task", done)
    assert (done["status"], done["imageUrl"]) == (status, None)
    assert bool(done["failReason"]) == (status == "FAILURE")
    assert charges(simulator) == [CALL] * billed


def test_a_task_may_never_end_and_can_be_cancelled(client, simulator):
    simulator.set_faults({"action": "never_ready", "dialect": "midjourney"})
    task = submit(client, simulator).json()["result"]
    time.sleep(0.1)
    assert looked(client, simulator, task).json()["status"] == "IN_PROGRESS"
    client.post(f"{simulator.midjourney_url}/mj/task/{task}/cancel")
    assert looked(client, simulator, task).json()["status"] == "CANCEL"


def test_links_are_sealed_and_die_at_their_age(client, start, clock):
    simulator = start(midjourney_link_life_s=86_400.0)
    task = submit(client, simulator).json()["result"]
    clock.passes(1)
    done = settled(client, simulator, task)
    with httpx.Client(trust_env=False) as stranger:
        assert stranger.get(done["imageUrl"]).status_code == 200, "no secret is wanted"
        forged = done["imageUrl"].replace("hm=", "hm=0")
        assert stranger.get(forged).status_code == 404
        later = done["imageUrl"].replace("ex=", "ex=f")
        assert stranger.get(later).status_code == 404
        clock.passes(86_400)
        assert stranger.get(done["imageUrl"]).status_code == 404


def test_a_dead_link_is_dead_from_the_start(client, simulator):
    simulator.set_faults({"action": "dead_link", "dialect": "midjourney"})
    assert client.get(grid(client, simulator)["imageUrl"]).status_code == 404


@pytest.mark.parametrize("charged", [True, False])
def test_a_cut_submission_is_charged_or_never_came_through(client, simulator, charged):
    simulator.set_faults({"action": "cut_before_answer", "dialect": "midjourney", "charged": charged})
    with pytest.raises(httpx.RemoteProtocolError):
        submit(client, simulator)
    assert charges(simulator) == [CALL] * charged


def test_an_unknown_task_is_answered_with_nothing(client, simulator):
    answer = looked(client, simulator, "0741798445574458")
    assert (answer.status_code, answer.content) == (200, b"")
    url = f"{simulator.midjourney_url}/mj/task/list-by-condition"
    task = submit(client, simulator).json()["result"]
    assert [each["id"] for each in client.post(url, json={"ids": [task, "1"]}).json()] == [task]
    assert client.post(url, json=[]).json() == []


# -- reports ----------------------------------------------------------------------------------------


@pytest.fixture
def told() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address, and the reports that came there."""
    heard: list[dict[str, Any]] = []

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            heard.append({**body, "headers": {name.lower() for name in self.headers}})
            self.send_response(500)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/callbacks/x/y", heard
        server.shutdown()
        thread.join()


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def test_every_step_is_reported_once_unsigned_and_not_again_when_nobody_takes_it(
    client, start, clock, told, validates
):
    url, heard = told
    simulator = start(speed=1.0, midjourney_latency_s=(1.0, 1.0))
    task = submit(client, simulator, notifyHook=url, state="mine").json()["result"]
    for count in range(1, 5):
        until(lambda: len(heard) == count)  # noqa: B023 # asked in this turn only
        clock.passes(0.305)
    until(lambda: heard[-1]["status"] == "SUCCESS")
    time.sleep(0.2)
    steps = [(each["status"], each["progress"]) for each in heard]
    assert steps == [
        ("SUBMITTED", "0%"),
        ("IN_PROGRESS", "31%"),
        ("IN_PROGRESS", "62%"),
        ("IN_PROGRESS", "93%"),
        ("SUCCESS", "100%"),
    ]
    assert {(each["id"], each["state"]) for each in heard} == {(task, "mine")}
    assert not any("sign" in name or "secret" in name for each in heard for name in each.pop("headers"))
    validates("Task", heard[-1])


@pytest.mark.parametrize(
    ("rule", "count"),
    [({"action": "drop"}, 0), ({"action": "duplicate", "copies": 3}, 3), ({"action": "early"}, 1)],
)
def test_a_report_may_get_lost_come_early_or_many_times(client, simulator, told, rule, count):
    url, heard = told
    simulator.set_faults({"dialect": "midjourney", "path": "/webhook", **rule})
    task = submit(client, simulator, notifyHook=url).json()["result"]
    if rule["action"] == "early":
        assert [each["status"] for each in heard] == ["SUCCESS"], "before the answer to the submission"
    settled(client, simulator, task)
    until(lambda: [each["status"] for each in heard].count("SUCCESS") >= count)
    time.sleep(0.3)
    assert [each["status"] for each in heard].count("SUCCESS") == count


def test_a_submission_whose_answer_is_cut_is_reported_all_the_same(client, simulator, told):
    url, heard = told
    simulator.set_faults({"action": "cut_before_answer", "dialect": "midjourney", "charged": True})
    with pytest.raises(httpx.RemoteProtocolError):
        submit(client, simulator, notifyHook=url, state="lost")
    until(lambda: heard and heard[-1]["status"] == "SUCCESS")
    assert looked(client, simulator, heard[-1]["id"]).json()["state"] == "lost"


# -- restarts -----------------------------------------------------------------------------------------


def test_tasks_fates_and_pictures_survive_a_restart(client, tmp_path):
    settings = {"state_dir": tmp_path / "kept", "speed": 1000.0, "image": "small"}
    with running(SimulatorConfig(**settings)) as control:
        done = grid(client, control)
        before = client.get(done["imageUrl"]).content
        control.set_faults({"action": "task_error", "dialect": "midjourney"})
        failed = submit(client, control).json()["result"]
    with running(SimulatorConfig(**settings)) as control:
        again = settled(client, control, done["id"])
        assert again["buttons"] == done["buttons"]
        assert client.get(again["imageUrl"]).content == before
        assert settled(client, control, failed)["status"] == "FAILURE"
        asked = {"taskId": done["id"], "action": "UPSCALE", "index": 3}
        assert submit(client, control, "change", **asked).json()["code"] == 1
