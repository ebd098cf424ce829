"""The simulator reports finished FLUX tasks as Black Forest Labs does, and badly where it is told to."""

import hmac
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import jsonschema
import pytest
from pydantic import ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from packshot.simulator import Control, Rule, SimulatorConfig, running

KEY = {"x-key": "bfl-key-1234567890"}
SECRET = "5" * 64


@dataclass
class Told:
    at: float
    headers: dict[str, str]
    body: bytes


@dataclass
class Listener:
    """Where reports go. Answers with `statuses` in turn, the last one again and again."""

    url: str = ""
    statuses: list[int] = field(default_factory=lambda: [204])
    told: list[Told] = field(default_factory=list)


@pytest.fixture
def listener() -> Iterator[Listener]:
    heard = Listener()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            named = {name.lower(): value for name, value in self.headers.items()}
            heard.told.append(Told(time.monotonic(), named, body))
            status = heard.statuses.pop(0) if len(heard.statuses) > 1 else heard.statuses[0]
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Hall(ThreadingHTTPServer):
        request_queue_size = 128  # fifty may knock before the first is let in

    with Hall(("127.0.0.1", 0), Door) as server:
        heard.url = f"http://127.0.0.1:{server.server_port}/callbacks/an-attempt/its-token"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield heard
        server.shutdown()
        thread.join()


@contextmanager
def simulator(folder: Path, *rules: Rule, speed: float = 1000.0) -> Iterator[Control]:
    with running(SimulatorConfig(state_dir=folder, speed=speed, image="small", faults=rules)) as control:
        yield control


def order(control: Control, listener: Listener, **inputs: object) -> httpx.Response:
    asked = {"prompt": "A stoneware mug", "webhook_url": listener.url, "webhook_secret": SECRET, **inputs}
    asked = {name: value for name, value in asked.items() if value is not None}
    with httpx.Client(trust_env=False, timeout=30) as client:
        return client.post(f"{control.flux_url}/v1/flux-2-pro", json=asked, headers=KEY)


def until(true: Callable[[], object], *, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def webhook(action: str, **more: object) -> Rule:
    return Rule.model_validate({"action": action, "dialect": "flux", "path": "/webhook", **more})


def test_a_finished_task_is_reported_once_signed_over_the_raw_body(tmp_path, listener, specs):
    with simulator(tmp_path) as control:
        answer = order(control, listener)
        until(lambda: listener.told)
        time.sleep(0.1)
        with httpx.Client(trust_env=False) as client:
            polled = client.get(f"{control.flux_url}/v1/get_result", params={"id": answer.json()["id"]})
        charges = len(control.bill())
    document = json.loads((specs / "bfl.openapi.json").read_text())
    registry = Registry().with_resource("spec", Resource(document, DRAFT202012))
    schema = {"$ref": "spec#/components/schemas/AsyncWebhookResponse"}
    jsonschema.Draft202012Validator(schema, registry=registry).validate(answer.json())
    assert "polling_url" not in answer.json()
    (told,) = listener.told
    report = json.loads(told.body)
    assert report.keys() == {"id", "status", "result", "timestamp"}
    assert (report["id"], report["status"]) == (answer.json()["id"], "Ready")
    assert report["result"] == polled.json()["result"]
    right = hmac.new(SECRET.encode(), told.body, "sha256").hexdigest()
    assert told.headers["x-bfl-signature"] == f"sha256={right}"
    assert (told.headers["content-type"], charges) == ("application/json", 1)


def test_without_a_secret_nothing_is_signed(tmp_path, listener):
    with simulator(tmp_path) as control:
        order(control, listener, webhook_secret=None)
        until(lambda: listener.told)
    assert "x-bfl-signature" not in listener.told[0].headers


def test_a_report_that_nobody_takes_is_tried_three_times_more_and_then_given_up(tmp_path, listener):
    listener.statuses = [500, 404, 301, 503, 204]
    with simulator(tmp_path, speed=100.0) as control:
        order(control, listener)
        until(lambda: len(listener.told) == 4)
        time.sleep(0.5)
    assert len({each.body for each in listener.told}) == 1
    at = [each.at for each in listener.told]
    pauses = [later - earlier for earlier, later in itertools.pairwise(at)]
    for pause, least in zip(pauses, (0.01, 0.05, 0.3), strict=True):
        assert pause >= least


def test_a_report_that_was_taken_is_not_repeated(tmp_path, listener):
    listener.statuses = [500, 204]
    with simulator(tmp_path) as control:
        order(control, listener)
        until(lambda: len(listener.told) == 2)
        time.sleep(0.2)
    assert len(listener.told) == 2


def test_a_report_may_get_lost_come_late_or_many_times(tmp_path, listener):
    rules = (
        webhook("drop", nth=1),
        webhook("duplicate", nth=1, copies=50),
        webhook("slow", nth=1, delay_s=0.5),
    )
    with simulator(tmp_path, *rules) as control:
        order(control, listener)
        time.sleep(0.3)
        assert listener.told == []
        order(control, listener)
        until(lambda: len(listener.told) == 50)
        assert len({each.body for each in listener.told}) == 1
        began = time.monotonic()
        order(control, listener)
        until(lambda: len(listener.told) == 51)
        assert listener.told[-1].at - began >= 0.5
        assert control.faults_fired() == [1, 1, 1]


def test_an_early_report_is_there_before_the_answer_to_the_submission(tmp_path, listener):
    with simulator(tmp_path, webhook("early"), speed=0.1) as control:  # else ready after 15 s and more
        answer = order(control, listener)
        answered_at = time.monotonic()
    (told,) = listener.told
    assert told.at < answered_at
    assert json.loads(told.body)["id"] == answer.json()["id"]


def test_a_submission_whose_answer_is_cut_is_reported_all_the_same(tmp_path, listener):
    with simulator(tmp_path, Rule(action="cut_before_answer")) as control:
        with pytest.raises(httpx.RemoteProtocolError):
            order(control, listener)
        until(lambda: listener.told)
        assert len(control.bill()) == 1
    assert json.loads(listener.told[0].body)["status"] == "Ready"


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ("moderation_input", "Request Moderated"),
        ("moderation_output", "Content Moderated"),
        ("task_error", "Error"),
        ("no_image", "Ready"),
    ],
)
def test_a_task_that_ends_badly_is_reported_as_what_it_is(tmp_path, listener, action, status):
    with simulator(tmp_path, Rule(action=action)) as control:
        order(control, listener)
        until(lambda: listener.told)
    report = json.loads(listener.told[0].body)
    assert (report["status"], report["result"]) == (status, None)


def test_a_task_that_never_ends_is_never_reported(tmp_path, listener):
    with simulator(tmp_path, Rule(action="never_ready")) as control:
        order(control, listener)
        time.sleep(0.3)
    assert listener.told == []


@pytest.mark.parametrize("url", ["https://shop.example/hook", "http://10.0.0.1/hook", "ftp://127.0.0.1/hook"])
def test_it_calls_nobody_but_this_machine(tmp_path, listener, url):
    with simulator(tmp_path) as control:
        answer = order(control, listener, webhook_url=url)
        assert (answer.status_code, control.bill()) == (422, [])
    assert answer.json()["detail"][0]["loc"] == ["body", "webhook_url"]


@pytest.mark.parametrize(
    "rule",
    [
        {"action": "drop"},
        {"action": "early", "path": "/v1/get_result"},
        {"action": "hang", "path": "/webhook"},
        {"action": "duplicate", "path": "/webhook", "dialect": "openai"},
        {"action": "duplicate", "path": "/webhook", "copies": 1},
    ],
)
def test_a_rule_for_reports_says_so(rule):
    with pytest.raises(ValidationError):
        Rule.model_validate(rule)
