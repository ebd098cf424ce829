"""The checker's side of a simulator: its addresses, its bill, its fault script."""

import json
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from packshot.kernel.errors import BadInput
from packshot.simulator.book import BillLine, RequestLine, read_bill, read_requests
from packshot.simulator.faults import RULES, InForce, Rule
from packshot.simulator.state import read_address, read_token

_STARTS_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Control:
    """One simulator, known by its state folder. The bill is read from disk, also when nobody serves it."""

    state_dir: Path
    address: str
    token: str
    patience_s: float = 30.0

    @classmethod
    def of(cls, state_dir: Path) -> "Control":
        """The simulator that was last served from `state_dir`. BadInput when none ever was."""
        try:
            return cls(state_dir, read_address(state_dir), read_token(state_dir))
        except FileNotFoundError:
            raise BadInput(f"No simulator has run in {state_dir}.") from None

    @property
    def openai_url(self) -> str:
        return f"{self.address}/openai"

    @property
    def flux_url(self) -> str:
        return f"{self.address}/flux"

    @property
    def stability_url(self) -> str:
        return f"{self.address}/stability"

    @property
    def midjourney_url(self) -> str:
        return f"{self.address}/midjourney"

    def set_faults(self, *rules: Rule | Mapping[str, Any]) -> None:
        """Put these rules in force, in place of all others; none: everything goes well."""
        checked = RULES.validate_python(tuple(rules))
        self._ask("POST", "/_faults", RULES.dump_json(checked, exclude_defaults=True))

    def add_fault(self, rule: Rule) -> InForce:
        """Put one more rule in force, after the others, which go on counting."""
        return _read(self._ask("POST", "/_faults/add", rule.model_dump_json(exclude_defaults=True)).json())

    def remove_fault(self, rule_id: str) -> InForce | None:
        """Take one rule away; gives it back as it stood, or None when it is gone already."""
        removed = self._ask("DELETE", f"/_faults/{quote(rule_id, safe='')}").json()
        return _read(removed) if removed else None

    def faults(self) -> list[InForce]:
        """The rules in force, in order, with what each has counted."""
        return [_read(line) for line in self._ask("GET", "/_faults").json()]

    def faults_fired(self) -> list[int]:
        """How often each rule in force was met, in order."""
        return [each.fired for each in self.faults()]

    def set_prices(self, **times: Fraction | int | str) -> None:
        """From the next request on, these providers charge so many times their published prices, by name; the
        others charge what is published."""
        self._ask("POST", "/_prices", _as_prices(times))

    def set_price(self, name: str, times: Fraction | int | str) -> None:
        """From the next request on, this provider charges so many times its published prices."""
        self._ask("PATCH", "/_prices", _as_prices({name: times}))

    def prices(self) -> dict[str, Fraction]:
        """How many times its published prices a provider charges, by name; the others charge what is
        published."""
        return {name: Fraction(times) for name, times in self._ask("GET", "/_prices").json().items()}

    def bill(self) -> list[BillLine]:
        """Every charge so far, oldest first."""
        return read_bill(self.state_dir)

    def requests(self) -> list[RequestLine]:
        """Every request to a paid path so far, oldest first."""
        return read_requests(self.state_dir)

    def _ask(self, method: str, path: str, body: bytes | str = b"") -> httpx.Response:
        # The environment's proxies have no business on loopback.
        with httpx.Client(trust_env=False, timeout=self.patience_s) as client:
            try:
                answer = client.request(
                    method, self.address + path, content=body, headers={"x-packshot-token": self.token}
                )
            except httpx.TransportError as problem:
                raise BadInput(
                    f"The simulator on {self.address} does not answer ({problem}). It is started by "
                    "`packshot up` or `packshot simulate`."
                ) from None
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise BadInput(
                f"The simulator on {self.address} keeps its state in another folder than {self.state_dir}."
            )
        if answer.status_code != httpx.codes.OK:
            raise BadInput(f"The simulator refused {method} {path}: {answer.text}")
        return answer


def _read(line: Mapping[str, Any]) -> InForce:
    return InForce(line["id"], Rule.model_validate(line["rule"]), line["met"], line["fired"])


def _as_prices(times: Mapping[str, Fraction | int | str]) -> bytes:
    return json.dumps({name: str(each) for name, each in times.items()}).encode()


@dataclass(frozen=True, slots=True)
class Spawned:
    """A simulator in a process of its own, and the way to it."""

    process: subprocess.Popen[str]
    control: Control

    def stop(self) -> None:
        """End it in good order, in seconds; what does not end is killed."""
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def spawn(state_dir: Path, *, port: int = 0, arguments: Sequence[str] = ()) -> Spawned:
    """A simulator in a new process, answering by now. Raises BadInput when it does not start."""
    command = [sys.executable, "-m", "packshot.simulator", "--state", str(state_dir), "--port", str(port)]
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True)
    line = _first_line(process, within_s=_STARTS_WITHIN_S)
    if not line:
        process.kill()
        process.wait()
        raise BadInput(f"The simulator did not start on {state_dir}; what it said stands above.")
    return Spawned(process, Control.of(state_dir))


def _first_line(process: subprocess.Popen[str], *, within_s: float) -> str:
    """What the process says first: its address; nothing when it ended or took too long."""
    assert process.stdout is not None
    said, _, _ = select.select([process.stdout], [], [], within_s)
    return process.stdout.readline().strip() if said else ""
