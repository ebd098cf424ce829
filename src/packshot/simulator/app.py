"""The simulator as an ASGI application: addresses, the control door, and what faults do to an answer."""

import asyncio
import hmac
import ipaddress
import json
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import asdict, is_dataclass, replace
from fractions import Fraction
from typing import Annotated, Any
from urllib.parse import parse_qsl
from uuid import uuid4

from pydantic import PlainValidator, TypeAdapter, ValidationError

from packshot.simulator.book import BillBook, read_bill, read_requests
from packshot.simulator.config import SimulatorConfig
from packshot.simulator.faults import RULES, DialectName, FaultScript, InForce, Rule
from packshot.simulator.flux import Flux
from packshot.simulator.garbage import spoiled
from packshot.simulator.midjourney import Midjourney
from packshot.simulator.openai import OpenAI
from packshot.simulator.painter import Painter
from packshot.simulator.protocol import Answer, Call, Dialect, World
from packshot.simulator.stability import Stability
from packshot.simulator.state import State

TOKEN_HEADER = "x-packshot-token"  # noqa: S105 # its name, not the token
HANG_UP = "packshot.hang_up"  # the ASGI extension by which an answer is cut; see server.py
_BODY_BYTES_MOST = 256 * 1024 * 1024  # BFL takes eight base64 images of 20 MB
_DRIPS_PER_S = 10


def _times(text: object) -> Fraction:
    # A long exponent would keep the simulator busy for minutes.
    written = isinstance(text, str) and len(text) <= 40 and "e" not in text.lower()
    try:
        times = Fraction(str(text)) if written else Fraction(-1)
    except ZeroDivisionError:
        times = Fraction(-1)
    if times < 0:
        raise ValueError("what prices are multiplied with is a string such as 3/2 or 1.5")
    return times


# By dialect, what its published prices are multiplied with.
_PRICES = TypeAdapter(dict[DialectName, Annotated[Fraction, PlainValidator(_times)]])

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]


def create_app(config: SimulatorConfig) -> ASGIApplication:
    """The application for one state folder, which it holds until its lifespan ends.

    Raises BadInput when another simulator holds the folder. Cutting connections needs `serve`'s server.
    """
    return _App(config)


class _App:
    def __init__(self, config: SimulatorConfig) -> None:
        self._state = State.open(config.state_dir)
        self._world = World(
            config=config,
            book=BillBook(self._state.bill_path),
            faults=FaultScript(config.faults),
            painter=Painter(
                image=config.image, small_bytes=config.small_bytes, threads=config.drawing_threads
            ),
            signing_key=self._state.signing_key,
        )
        # The first part of the path picks the dialect, which sees the rest.
        self._dialects: dict[DialectName, Dialect] = {
            "openai": OpenAI(self._world),
            "flux": Flux(self._world),
            "stability": Stability(self._world),
            "midjourney": Midjourney(self._world),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        try:
            call = _call(scope, await _body(receive))
        except _Gone:
            return  # half a request is none: no provider would know of it
        except _TooLarge:
            await _send(send, Answer(413, b"Content Too Large", media_type="text/plain"))
            return
        if call.path.startswith("/_") and _is_local(scope):
            answer = await self._control(call)
        else:
            answer = await self._dialect(call)
        await _deliver(answer, scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.close()
        await send({"type": "lifespan.shutdown.complete"})

    def close(self) -> None:
        """Write what the book still has to write, and let go of the folder."""
        self._world.painter.close()
        self._world.book.close()
        self._state.release()

    # -- doors --------------------------------------------------------------------------------

    async def _dialect(self, call: Call) -> Answer:
        if call.path.startswith("/delivery/"):  # BFL's own delivery host
            return await self._dialects["flux"].answer(call)
        _, first, *rest = call.path.split("/", 2)
        for name, dialect in self._dialects.items():
            if first == name:
                return await dialect.answer(replace(call, path="/" + "/".join(rest)))
        return Answer.of_json(404, {"error": f"There is nothing here; the dialects are {[*self._dialects]}."})

    async def _control(self, call: Call) -> Answer:
        """The checker's door: what was asked and billed, and the fault script."""
        if call.path == "/_health":
            return Answer.of_json(200, {"status": "ok", "dialects": list(self._dialects)})
        if not hmac.compare_digest(call.headers.get(TOKEN_HEADER, "").encode(), self._state.token.encode()):
            return Answer.of_json(401, {"error": f"{TOKEN_HEADER} must carry the token of the state folder."})
        match call.method, call.path:
            case "GET", "/_bill":
                return _listing(await asyncio.to_thread(read_bill, self._state.folder))
            case "GET", "/_requests":
                return _listing(await asyncio.to_thread(read_requests, self._state.folder))
            case "GET", "/_faults":
                return self._script()
            case "POST", "/_faults":
                try:
                    rules = RULES.validate_json(call.body)
                except ValidationError as error:
                    return Answer(400, str(error).encode(), media_type="text/plain")
                self._world.faults.replace(rules)
                return self._script()
            case "POST", "/_faults/add":
                try:
                    rule = Rule.model_validate_json(call.body)
                except ValidationError as error:
                    return Answer(400, str(error).encode(), media_type="text/plain")
                return Answer.of_json(200, _written(self._world.faults.add(rule)))
            case "DELETE", path if path.startswith("/_faults/"):
                removed = self._world.faults.remove(path.removeprefix("/_faults/"))
                return Answer.of_json(200, _written(removed) if removed else None)
            case "GET", "/_prices":
                return self._prices()
            case "POST" | "PATCH", "/_prices":
                others = self._world.prices if call.method == "PATCH" else {}
                try:
                    self._world.prices = others | _PRICES.validate_json(call.body)
                except ValidationError as error:
                    return Answer(400, str(error).encode(), media_type="text/plain")
                return self._prices()
        return Answer.of_json(404, {"error": "There is no such control."})

    def _prices(self) -> Answer:
        return Answer.of_json(200, {name: str(times) for name, times in self._world.prices.items()})

    def _script(self) -> Answer:
        return Answer.of_json(200, [_written(each) for each in self._world.faults.in_force])


def _written(each: InForce) -> dict[str, Any]:
    rule = each.rule.model_dump(mode="json", exclude_defaults=True)
    return {"id": each.id, "rule": rule, "met": each.met, "fired": each.fired}


def _listing(lines: list[Any]) -> Answer:
    def plain(value: Any) -> Any:
        if isinstance(value, Fraction):
            return f"{value.numerator}/{value.denominator}"
        if is_dataclass(value) and not isinstance(value, type):
            return asdict(value)
        raise TypeError(f"no JSON for {type(value).__name__}")

    return Answer(200, json.dumps(lines, default=plain).encode())


# -- in ----------------------------------------------------------------------------------------


class _Gone(Exception):
    """The client left before its request was complete."""


class _TooLarge(Exception):
    """More than any provider takes."""


def _is_local(scope: Scope) -> bool:
    client = scope.get("client")
    return client is None or ipaddress.ip_address(client[0]).is_loopback


async def _body(receive: Receive) -> bytes:
    """The whole body of a request. Raises _Gone or _TooLarge."""
    parts: list[bytes] = []
    length = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        parts.append(message.get("body", b""))
        length += len(parts[-1])
        if length > _BODY_BYTES_MOST:
            raise _TooLarge
        more = message.get("more_body", False)
    return b"".join(parts)


def _call(scope: Scope, body: bytes) -> Call:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    host, port = scope["server"][:2]
    return Call(
        id=f"req_{uuid4().hex}",
        method=scope["method"],
        path=scope["path"],
        query=dict(parse_qsl(scope["query_string"].decode("latin-1"))),
        headers=headers,
        body=body,
        origin=f"http://{headers.get('host') or f'{host}:{port}'}",
        received_at=time.time(),
    )


# -- out ---------------------------------------------------------------------------------------


async def _deliver(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    """Send `answer`, or what its fault leaves of it. The book is written by now, whatever happens here."""
    fault = answer.fault
    if fault is None:
        await _send(send, answer)
        return
    if fault.action == "garbage":
        answer = await asyncio.to_thread(spoiled, answer, fault)
    await asyncio.sleep(fault.delay_s)
    match fault.action:
        case "cut_before_answer":
            await _hang_up(scope, receive)
        case "hang":
            await _gone(receive)
        case "cut_half_body":
            await _send(send, answer, only_bytes=len(answer.body) // 2)
            await _hang_up(scope, receive)
        case "drip":
            await _send(send, answer, bytes_per_s=fault.bytes_per_s)
        case _:
            await _send(send, answer)


async def _send(
    send: Send, answer: Answer, *, only_bytes: int | None = None, bytes_per_s: int | None = None
) -> None:
    headers = [("content-type", answer.media_type), *answer.headers]
    if answer.stream is None:
        headers.append(("content-length", str(len(answer.body))))
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [(name.encode(), value.encode()) for name, value in headers],
        }
    )
    if answer.stream is not None:
        await _send_pieces(send, answer.stream)
    elif only_bytes is not None:
        await send({"type": "http.response.body", "body": answer.body[:only_bytes], "more_body": True})
    elif bytes_per_s is not None:
        await _send_pieces(send, _drops(answer.body, bytes_per_s), pause_s=1 / _DRIPS_PER_S)
    else:
        await send({"type": "http.response.body", "body": answer.body})


def _drops(body: bytes, bytes_per_s: int) -> Iterator[bytes]:
    size = max(1, bytes_per_s // _DRIPS_PER_S)
    return (body[start : start + size] for start in range(0, len(body), size))


async def _send_pieces(send: Send, pieces: Iterator[bytes], *, pause_s: float = 0.0) -> None:
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(pause_s)
    await send({"type": "http.response.body", "body": b""})


async def _hang_up(scope: Scope, receive: Receive) -> None:
    scope["extensions"][HANG_UP]()
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
