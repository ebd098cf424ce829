"""What the dialects share: one request in, one answer out, and the world they work in."""

import asyncio
import hashlib
import json
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from fractions import Fraction
from math import ceil
from typing import Any, Protocol

from packshot.simulator.book import Answered, BillBook, Received
from packshot.simulator.config import Seconds, SimulatorConfig
from packshot.simulator.faults import DialectName, FaultScript, Rule
from packshot.simulator.painter import Painter

# What we keep of a request's headers: enough to see who asked and how, never a key.
_HEADERS_OF_INTEREST = ("user-agent", "content-type", "content-length", "accept", "idempotency-key")


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request as a dialect sees it: its own prefix is gone from the path."""

    id: str  # as in OpenAI's x-request-id
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    origin: str  # http://host:port as the client wrote it
    received_at: float


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer. `stream` replaces the body when that is too large to hold."""

    status: int
    body: bytes
    media_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    stream: Iterator[bytes] | None = None
    fault: Rule | None = None  # what is done to it on its way out

    @classmethod
    def of_json(cls, status: int, document: Any, headers: tuple[tuple[str, str], ...] = ()) -> "Answer":
        return cls(status, json.dumps(document).encode(), headers=headers)


class Declined(Exception):
    """The provider refuses the request before any work; carries the answer that says so."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(slots=True)
class World:
    """One simulator's book, script and painter, with the few questions that every dialect asks them."""

    config: SimulatorConfig
    book: BillBook
    faults: FaultScript
    painter: Painter
    signing_key: bytes
    # What a price is multiplied with since it was changed over the control door; absent: as published.
    prices: dict[DialectName, Fraction] = field(default_factory=dict)
    _chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.config.seed)  # noqa: S311 # repeatable on purpose

    def latency_s(self, span: Seconds) -> float:
        """How long this piece of work takes, in seconds."""
        return self._chance.uniform(*span) / self.config.speed

    def price(self, dialect: DialectName, published: Fraction) -> Fraction:
        """What costs `published` by the price list costs now, in the same unit."""
        return published * self.prices.get(dialect, Fraction(1))

    def charges(self, fault: Rule | None) -> bool:
        """Whether a request that meets `fault` is charged."""
        return fault is None or fault.charges(
            moderated_input=self.config.charge_moderated_input,
            moderated_output=self.config.charge_moderated_output,
        )

    def receive(self, call: Call, dialect: DialectName, *, model: str | None, prompt: str | None) -> None:
        """Enter a request to a paid path in the book."""
        kept = {name: call.headers[name] for name in _HEADERS_OF_INTEREST if name in call.headers}
        hashed = hashlib.sha256(prompt.encode()).hexdigest() if prompt is not None else None
        self.book.note(Received(call.id, dialect, call.path, model, hashed, kept, call.received_at))

    @staticmethod
    def answered(call: Call, status: int | None, outcome: str, *images: bytes) -> Answered:
        """The book's line for an answer about to be sent."""
        hashes = [hashlib.sha256(image).hexdigest() for image in images]
        return Answered(call.id, status, outcome, hashes, time.time())


class Dialect(Protocol):
    """One provider's HTTP API."""

    async def answer(self, call: Call) -> Answer:
        """What the provider would answer. Whatever it charges is in the book before this returns."""
        ...


def parsed(body: bytes) -> Any:
    """The JSON document in `body`, or None when there is none."""
    try:
        document = json.loads(body)
        if b"\\u" in body:
            # Half a surrogate pair, escaped, makes a string that nothing can store or hash.
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return document


def scripted(fault: Rule) -> Answer:
    """The answer that an `answer` rule spells out."""
    status = fault.status or 500
    headers = tuple((name.lower(), value) for name, value in fault.headers.items())
    if isinstance(fault.body, str):
        return Answer(status, fault.body.encode(), media_type="text/plain", headers=headers)
    return Answer.of_json(status, fault.body, headers)


def retry_after(fault: Rule) -> tuple[tuple[str, str], ...]:
    """The Retry-After header as the rule wants it: whole seconds, a date, or none."""
    if fault.retry_after == "none":
        return ()
    if fault.retry_after == "date":
        return (("retry-after", formatdate(time.time() + fault.retry_after_s, usegmt=True)),)
    return (("retry-after", str(ceil(fault.retry_after_s))),)


async def until(moment: float) -> None:
    """Sleep until the clock that tasks are told by has come to `moment`."""
    # One sleep may end before it: sleeps are measured by another clock.
    while (left_s := moment - time.time()) > 0:  # noqa: ASYNC110 # no event to wait for
        await asyncio.sleep(left_s)


def bad_gateway() -> Answer:
    """What a proxy in front of a provider says when nobody behind it answers."""
    page = (
        b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1>"
        b"</center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
    )
    return Answer(502, page, media_type="text/html")
