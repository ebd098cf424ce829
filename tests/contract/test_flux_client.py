"""The simulated FLUX, asked by a client that somebody else wrote for Black Forest Labs.

`black-forest-labs` (MIT, on httpx) is that client. BFL's own, `blackforest`, is Apache-2.0 and takes a base
URL too, but pins a Pillow of 2024; of `celeste-bfl` pip finds no release.
"""

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from packshot.imaging import read_header
from packshot.simulator import Control, Rule, SimulatorConfig, running

PROMPT = "A ceramic mug on slate"


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Control]:
    with running(SimulatorConfig(tmp_path / "simulator", speed=1000.0, image="small")) as control:
        yield control


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The package. It makes a client when it is imported, and refuses to without a key."""
    monkeypatch.setenv("BFL_API_KEY", "bfl-test-0123456789")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return importlib.import_module("black_forest_labs.client")


def ended(client: Any, task: Any) -> Any:
    for _ in range(200):
        task = client.get_result(task)
        if task.is_done:
            return task
    raise AssertionError(f"the task never ended: {task}")


@pytest.mark.parametrize("model", ["flux-pro-1.1", "flux-dev"])
def test_a_client_of_others_generates_an_image_and_fetches_it(simulator, theirs, model):
    client = theirs.Client("bfl-test-0123456789", simulator.flux_url)
    task = client.generate(model, prompt=PROMPT, width=512, height=768, seed=7)
    assert task.status is None and task.result is None
    done = ended(client, task)
    assert (done.status, done.id) == (theirs.Status.READY, task.id)
    assert done.result.prompt == PROMPT
    content = httpx.get(done.result.sample, trust_env=False).content
    assert min(read_header(content).width_px, read_header(content).height_px) > 0
    (asked,) = simulator.requests()
    assert asked.model == model
    (line,) = simulator.bill()
    assert (line.request_id, line.dollars > 0) == (asked.request_id, True)


def test_a_client_of_others_reads_a_refusal_as_its_own_status(simulator, theirs):
    simulator.add_fault(Rule(action="moderation_input", dialect="flux"))
    client = theirs.Client("bfl-test-0123456789", simulator.flux_url)
    done = ended(client, client.generate("flux-pro-1.1", prompt=PROMPT))
    assert done.status is theirs.Status.REQUEST_MODERATED
    assert done.result is None
