"""Fault points: declared once and placed in the code, free of cost when off, and doing as they are told."""

import ast
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

import packshot
from packshot.kernel import faults
from packshot.kernel.errors import BadInput
from packshot.kernel.faults import POINTS, FaultInjected, arm, fault_point

SOURCE = Path(packshot.__file__).parent


@pytest.fixture(autouse=True)
def disarmed():
    yield
    arm("")


def placed() -> dict[str, list[str]]:
    """Where each name is passed to `fault_point` in our code."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        if "fault_point" not in text or path.name == "faults.py":
            continue
        for node in ast.walk(ast.parse(text)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "fault_point"
            ):
                (name,) = node.args
                assert isinstance(name, ast.Constant), f"{path}:{node.lineno} names no point a reader can see"
                found[name.value].append(f"{path.relative_to(SOURCE)}:{node.lineno}")
    return found


def test_each_point_that_is_declared_stands_in_the_code_and_each_in_the_code_is_declared():
    assert placed().keys() == POINTS.keys()


def test_what_a_point_means_is_said_in_a_sentence():
    for name, point in POINTS.items():
        assert point.what.endswith("."), name


def test_a_point_does_nothing_while_nobody_armed_the_process():
    began = time.process_time()
    for _ in range(100_000):
        fault_point("attempt.committed")
    assert time.process_time() - began < 1, "10 µs each would be felt"


@pytest.mark.parametrize(
    "rules",
    ["nowhere:crash", "attempt.committed:explode", "attempt.committed", "attempt.committed:pause",
     "attempt.committed:crash:0", "attempt.committed:crash:x", "attempt.committed:crash:1:2",
     "attempt.committed:pause:inf"],
)  # fmt: skip
def test_rules_that_mean_nothing_are_refused(rules):
    with pytest.raises(BadInput):
        arm(rules)


def test_a_name_that_nobody_declared_is_an_error_once_the_process_is_armed():
    arm("attempt.committed:note")
    with pytest.raises(BadInput, match="no fault point"):
        fault_point("nowhere")


def test_the_nth_hit_is_met_once_and_written_down(tmp_path):
    file = tmp_path / "hits"
    arm("close.told:raise:2, ticket.saved:note", str(file))
    fault_point("close.told")
    fault_point("ticket.saved")
    with pytest.raises(FaultInjected):
        fault_point("close.told")
    fault_point("close.told")
    assert file.read_text() == f"ticket.saved note {os.getpid()} 1\nclose.told raise {os.getpid()} 2\n"


def child(rules: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from packshot.kernel.faults import fault_point\n"
            "import time; began = time.monotonic()\n"
            "fault_point('close.told')\n"
            "print(time.monotonic() - began)",
        ],
        env={**os.environ, "PACKSHOT_FAULTS": rules},
        stdout=subprocess.PIPE,
    )


def test_a_crash_leaves_no_time_for_anything():
    process = child("close.told:crash")
    assert process.communicate() == (b"", None)
    assert process.returncode == 137


def test_a_pause_stops_the_whole_process_and_lets_it_go_on():
    process = child("close.told:pause:0.4")
    said, _ = process.communicate()
    assert process.returncode == 0
    assert float(said) >= 0.4


def test_a_stop_lasts_until_somebody_continues_it():
    process = child("close.told:stop")
    stopped, status = os.waitpid(process.pid, os.WUNTRACED)
    assert stopped == process.pid
    assert os.WIFSTOPPED(status)
    os.kill(process.pid, signal.SIGCONT)
    process.communicate()
    assert process.returncode == 0


def test_no_rule_is_in_force_in_an_ordinary_process():
    assert not faults.armed()
