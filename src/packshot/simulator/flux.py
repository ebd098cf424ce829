"""Black Forest Labs' API: `POST /v1/{model}`, `GET /v1/get_result`, `GET /v1/credits`, and its delivery host.

Charged at submission. A task and its fate are on disk before the answer that names it, so that polls go on
after a restart. An order with a webhook is reported when it ends, and three times more while nobody takes the
report; a restart of the simulator forgets those under way. Fill, expand and finetunes are not simulated.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
from pydantic import ValidationError

from packshot.imaging import BadImage, MediaType, read_header
from packshot.simulator.book import Charged, ResultRow, TaskRow, read_charged, read_tasks
from packshot.simulator.faults import WEBHOOK_PATH, Rule
from packshot.simulator.flux_models import (
    DOLLARS_PER_CREDIT,
    MEGAPIXEL,
    MODELS,
    FluxModel,
    Inputs,
    billed_megapixels,
)
from packshot.simulator.painter import Picture
from packshot.simulator.protocol import (
    Answer,
    Call,
    Declined,
    World,
    bad_gateway,
    parsed,
    retry_after,
    scripted,
    until,
)

_MEDIA_TYPES: dict[str, MediaType] = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
_EXTENSIONS: dict[MediaType, str] = {"image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp"}
# These decide how an accepted task ends; all other faults spoil the answer to the submission.
_FATES = frozenset(
    {"moderation_input", "moderation_output", "task_error", "never_ready", "dead_link", "no_image"}
)
# A poll that comes just as the picture is being finished waits this long for it, in seconds.
_PATIENCE_S = 0.25
# BFL tries a report again after so many seconds, and then gives up.
_REPORT_AGAIN_S = (1.0, 5.0, 30.0)
_REPORT_DEADLINE_S = 10.0
_PICTURE_CHARS_MOST = 20 * 1024 * 1024  # of its base64


@dataclass(frozen=True, slots=True)
class Order:
    """A valid submission, sized and priced."""

    model: FluxModel
    inputs: Inputs
    width_px: int
    height_px: int
    input_pixels: int
    readable: bool  # whether all reference images could be decoded
    credits: Fraction

    @property
    def prompt(self) -> str:
        return self.inputs.prompt or ""

    @property
    def dollars(self) -> Fraction:
        return self.credits * DOLLARS_PER_CREDIT


@dataclass(slots=True)
class Task:
    """An accepted order on its way to an image."""

    row: TaskRow
    picture: Picture
    fate: Rule | None
    image_sha256: str | None = None
    drawing: asyncio.Task[None] | None = None

    @property
    def never_ends(self) -> bool:
        return self.fate is not None and self.fate.action == "never_ready"

    @property
    def makes_an_image(self) -> bool:
        return self.fate is None or self.fate.action == "dead_link"

    def is_running(self, now: float) -> bool:
        return self.never_ends or now < self.row.ready_at


class Flux:
    """One organisation at Black Forest Labs, with its credits and its tasks."""

    def __init__(self, world: World) -> None:
        self._world = world
        state_dir = world.config.state_dir
        self._charged = read_charged(state_dir, "flux")
        self._tasks: OrderedDict[str, Task] = OrderedDict()  # oldest first
        self._running: dict[str, Task] = {}
        self._reports: set[asyncio.Task[None]] = set()
        since = time.time() - world.config.task_life_s
        for row, image_sha256 in read_tasks(state_dir, "flux", created_after=since):
            fate = Rule.model_validate_json(row.fate) if row.fate else None
            self._remember(Task(row, Picture.from_json(row.picture), fate, image_sha256))

    async def answer(self, call: Call) -> Answer:
        if call.method == "POST" and call.path.removeprefix("/v1/") in MODELS:
            return await self._submit(call)
        fault = self._world.faults.match("flux", call.path, self._prompt_behind(call), paid=False)
        answer = (_recorded(fault) if fault else None) or await self._read(call)
        return replace(answer, fault=fault)

    # -- submit -------------------------------------------------------------------------------

    async def _submit(self, call: Call) -> Answer:
        model = MODELS[call.path.removeprefix("/v1/")]
        document = parsed(call.body)
        self._world.receive(call, "flux", model=model.id, prompt=_prompt_in(document))
        try:
            _check_key(call)
            order = _order(model, document)
            order = replace(order, credits=self._world.price("flux", order.credits))
            fault = self._world.faults.match("flux", call.path, order.prompt, paid=True)
            if fault is None and not order.readable:
                fault = Rule(action="task_error", status=422)
            refusal = _recorded(fault) if fault else None
            if fault and refusal:
                return await self._refuse(call, order, fault, refusal)
            self._check_limits(order)
        except Declined as declined:
            outcome = f"declined: {declined.answer.status}"
            await self._world.book.write(self._world.answered(call, declined.answer.status, outcome))
            return declined.answer
        return await self._accept(call, order, fault)

    async def _refuse(self, call: Call, order: Order, fault: Rule, refusal: Answer) -> Answer:
        charges = [self._charge(call, order, fault.action)] if self._world.charges(fault) else []
        await self._world.book.write(*charges, self._world.answered(call, refusal.status, fault.action))
        return replace(refusal, fault=fault)

    async def _accept(self, call: Call, order: Order, fault: Rule | None) -> Answer:
        lost = fault is not None and fault.action in ("cut_before_answer", "hang")
        charged = self._world.charges(fault)
        outcome = fault.action if fault else "accepted"
        answered = self._world.answered(call, None if lost else 200, outcome)
        if lost and not charged:  # the request never got through
            await self._world.book.write(answered)
            return Answer(200, b"", fault=fault)
        task = self._new_task(call, order, fault)
        self._remember(task)
        times = charged * (2 if outcome == "charge_twice" else 1)
        await self._world.book.write(
            *[self._charge(call, order, outcome) for _ in range(times)], task.row, answered
        )
        self._start_drawing(task)
        await self._start_reporting(call, task, order)
        return replace(Answer.of_json(200, _accepted(call, task, order)), fault=fault)

    def _new_task(self, call: Call, order: Order, fault: Rule | None) -> Task:
        task_id = str(uuid4())
        now = time.time()
        fate = fault if fault and fault.action in _FATES else None
        # A refused prompt never gets as far as being worked on.
        refused = fate is not None and fate.action == "moderation_input"
        latency_s = 0.0 if refused else self._world.latency_s(self._world.config.flux_latency_s)
        seed = order.inputs.seed_wanted
        picture = Picture(
            prompt=order.prompt,
            style="flux",
            seed=seed if seed is not None else int.from_bytes(hashlib.sha256(task_id.encode()).digest()[:4]),
            width_px=order.width_px,
            height_px=order.height_px,
            media_type=_MEDIA_TYPES[order.inputs.format_wanted],
        )
        row = TaskRow(
            task_id=task_id,
            request_id=call.id,
            model=order.model.id,
            picture=picture.to_json(),
            fate=fate.model_dump_json() if fate else None,
            created_at=now,
            ready_at=now + latency_s,
        )
        return Task(row, picture, fate)

    def _charge(self, call: Call, order: Order, reason: str) -> Charged:
        self._charged += order.dollars
        return Charged(call.id, "flux", order.dollars, reason, time.time())

    def _check_limits(self, order: Order) -> None:
        now = time.time()
        self._forget_old(now)
        most = self._world.config.flux_concurrent_tasks
        self._running = {task_id: task for task_id, task in self._running.items() if task.is_running(now)}
        if most is not None and len(self._running) >= most:
            raise Declined(_detail(429, "Too many requests"))
        if self._credits_left() < order.credits:
            raise Declined(_detail(402, "Insufficient credits"))

    def _credits_left(self) -> Fraction:
        return self._world.config.flux_credits - self._charged / DOLLARS_PER_CREDIT

    def _remember(self, task: Task) -> None:
        self._tasks[task.row.task_id] = task
        self._running[task.row.task_id] = task

    def _forget_old(self, now: float) -> None:
        oldest = now - self._world.config.task_life_s
        while self._tasks and next(iter(self._tasks.values())).row.created_at < oldest:
            task_id, _ = self._tasks.popitem(last=False)
            self._running.pop(task_id, None)

    # -- work ---------------------------------------------------------------------------------

    def _start_drawing(self, task: Task) -> None:
        if task.makes_an_image and task.image_sha256 is None and task.drawing is None:
            task.drawing = asyncio.get_running_loop().create_task(self._draw(task))

    async def _draw(self, task: Task) -> None:
        content = await self._world.painter.draw(task.picture)
        image_sha256 = hashlib.sha256(content).hexdigest()
        # In the book before the first poll that says Ready.
        await self._world.book.write(ResultRow(task.row.task_id, image_sha256, time.time()))
        task.image_sha256 = image_sha256

    # -- reports ------------------------------------------------------------------------------

    async def _start_reporting(self, call: Call, task: Task, order: Order) -> None:
        """Report the task's end when it comes. An early report arrives before this returns, and so before the
        answer to the submission."""
        if order.inputs.reports_to is None or task.never_ends:
            return
        url, secret = order.inputs.reports_to
        fault = self._world.faults.match("flux", WEBHOOK_PATH, order.prompt, paid=False)
        action = fault.action if fault else None
        if action == "drop":
            return
        if action == "early":
            task.row = replace(task.row, ready_at=time.time())
        report = asyncio.get_running_loop().create_task(
            self._report(
                url,
                secret,
                call.origin,
                task,
                late_s=fault.delay_s if fault and action == "slow" else 0.0,
                copies=fault.copies if fault and action == "duplicate" else 1,
            )
        )
        self._reports.add(report)
        report.add_done_callback(self._reports.discard)
        if action == "early":
            await asyncio.wait({report}, timeout=_REPORT_DEADLINE_S)

    async def _report(
        self, url: str, secret: str | None, origin: str, task: Task, *, late_s: float, copies: int
    ) -> None:
        await until(task.row.ready_at)
        if task.drawing is not None:
            await asyncio.wait({task.drawing})
        await asyncio.sleep(late_s)
        body = json.dumps(
            {
                "id": task.row.task_id,
                "status": _ending(task),
                "result": self._ready(origin, task) if task.makes_an_image else None,
                "timestamp": datetime.now(UTC).isoformat(),
            }
        ).encode()
        headers = {"content-type": "application/json"}
        if secret:
            headers["x-bfl-signature"] = "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()
        async with httpx.AsyncClient(trust_env=False, timeout=_REPORT_DEADLINE_S) as client:
            await asyncio.gather(*(self._tell(client, url, body, headers) for _ in range(copies)))

    async def _tell(self, client: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str]) -> None:
        for pause_s in (*_REPORT_AGAIN_S, None):
            try:
                answer = await client.post(url, content=body, headers=headers)
                if answer.is_success:
                    return
            except httpx.HTTPError:
                pass  # nobody listens, or not yet
            if pause_s is not None:
                await asyncio.sleep(pause_s / self._world.config.speed)

    # -- poll, credits, delivery --------------------------------------------------------------

    async def _read(self, call: Call) -> Answer:
        if call.path.startswith("/delivery/"):
            return await self._deliver(call)
        if call.path == "/v1/get_result":
            return await self._result(call)
        if call.path == "/v1/credits":
            try:
                _check_key(call)
            except Declined as declined:
                return declined.answer
            return Answer.of_json(200, {"credits": float(self._credits_left())})
        if call.path.removeprefix("/v1/") in MODELS:
            return _detail(405, "Method Not Allowed")
        return _detail(404, "Not Found")

    async def _result(self, call: Call) -> Answer:
        if "id" not in call.query:
            missing = {"loc": ["query", "id"], "msg": "Field required", "type": "missing"}
            return Answer.of_json(422, {"detail": [missing]})
        self._forget_old(time.time())
        task = self._tasks.get(call.query["id"])
        if task is None:
            return _status(call.query["id"], "Task not found")
        now = time.time()
        if task.is_running(now):
            return _status(task.row.task_id, _how_far(task, now))
        if task.fate is not None and not task.makes_an_image:
            return _end(task, task.fate)
        self._start_drawing(task)
        if task.drawing is not None:
            await asyncio.wait({task.drawing}, timeout=_PATIENCE_S)
            if task.drawing.done():
                task.drawing.result()  # a drawing that failed is our bug: let it fly
        if task.image_sha256 is None:
            return _status(task.row.task_id, _how_far(task, now))
        return _status(task.row.task_id, "Ready", result=self._ready(call.origin, task))

    def _ready(self, origin: str, task: Task) -> dict[str, Any]:
        created_at, ready_at = task.row.created_at, task.row.ready_at
        return {
            "sample": self._link(origin, task),
            "prompt": task.picture.prompt,
            "seed": task.picture.seed,
            "start_time": round(created_at, 3),
            "end_time": round(ready_at, 3),
            "duration": round(ready_at - created_at, 3),
        }

    def _link(self, origin: str, task: Task) -> str:
        dead = task.fate is not None and task.fate.action == "dead_link"
        life_s = 0.0 if dead else self._world.config.delivery_life_s
        expires = datetime.fromtimestamp(task.row.ready_at + life_s, UTC).isoformat(timespec="milliseconds")
        query = urlencode({"se": expires, "sig": self._signature(task.row.task_id, expires)})
        name = f"sample.{_EXTENSIONS[task.picture.media_type]}"
        return f"{origin}/delivery/{task.row.task_id}/{name}?{query}"

    async def _deliver(self, call: Call) -> Answer:
        task = self._tasks.get(call.path.split("/")[2])
        expires = call.query.get("se", "")
        if task is None:
            return _blob_error(404, "BlobNotFound", "The specified blob does not exist.")
        signature = self._signature(task.row.task_id, expires)
        if not hmac.compare_digest(signature.encode(), call.query.get("sig", "").encode()):
            return _blob_error(403, "AuthenticationFailed", "Signature did not match.")
        if time.time() > datetime.fromisoformat(expires).timestamp():
            return _blob_error(
                403, "AuthenticationFailed", "Signature not valid in the specified time frame."
            )
        content = await self._world.painter.draw(task.picture)
        return Answer(200, content, media_type=task.picture.media_type)

    def _signature(self, task_id: str, expires: str) -> str:
        return hmac.new(self._world.signing_key, f"{task_id} {expires}".encode(), "sha256").hexdigest()

    def _prompt_behind(self, call: Call) -> str | None:
        task_id = call.path.split("/")[2] if call.path.startswith("/delivery/") else call.query.get("id", "")
        task = self._tasks.get(task_id)
        return task.picture.prompt if task else None


# -- reading a request -----------------------------------------------------------------------------


def _check_key(call: Call) -> None:
    key = call.headers.get("x-key", "")
    if not key or "invalid" in key:
        raise Declined(_detail(403, "Not authenticated"))


def _prompt_in(document: Any) -> str | None:
    prompt = document.get("prompt") if isinstance(document, dict) else None
    return prompt if isinstance(prompt, str) else None


def _order(model: FluxModel, document: Any) -> Order:
    if not isinstance(document, dict):
        raise Declined(_invalid([{"loc": [], "msg": "JSON decode error", "type": "json_invalid"}]))
    try:
        inputs = model.inputs.model_validate(document)
    except ValidationError as error:
        raise Declined(
            _invalid(error.errors(include_url=False, include_context=False, include_input=False))
        ) from None
    width_px, height_px = inputs.size()
    if model.pixels_most is not None and width_px * height_px > model.pixels_most:
        message = f"Value error, width x height must be at most {model.pixels_most // MEGAPIXEL} MP"
        raise Declined(_invalid([{"loc": ["width"], "msg": message, "type": "value_error"}]))
    measured = [_measured(picture, model, number) for number, picture in enumerate(inputs.pictures)]
    in_mp = sum(billed_megapixels(pixels) for pixels in measured if pixels)
    return Order(
        model=model,
        inputs=inputs,
        width_px=width_px,
        height_px=height_px,
        input_pixels=sum(pixels or 0 for pixels in measured),
        readable=None not in measured,
        credits=model.credits(inputs, billed_megapixels(width_px * height_px), in_mp),
    )


def _measured(picture: str, model: FluxModel, number: int) -> int | None:
    """Pixels of a reference image, None when unreadable. Addresses are not fetched: they count as 1 MP."""
    if picture.startswith(("http://", "https://")):
        return MEGAPIXEL
    encoded = picture.partition("base64,")[2] or picture
    if len(encoded) > _PICTURE_CHARS_MOST:
        raise Declined(_unfit(number, "Value error, the image must be at most 20 MB"))
    try:
        header = read_header(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError, BadImage):
        return None
    pixels = header.width_px * header.height_px
    if pixels > model.picture_pixels_most:
        most = model.picture_pixels_most // 1_000_000
        raise Declined(_unfit(number, f"Value error, the image must have at most {most} megapixels"))
    if min(header.width_px, header.height_px) < model.picture_side_least:
        side = model.picture_side_least
        raise Declined(_unfit(number, f"Value error, the image must be at least {side}x{side} pixels"))
    return pixels


def _unfit(number: int, message: str) -> Answer:
    return _invalid([{"loc": ["images", number], "msg": message, "type": "value_error"}])


# -- answers ---------------------------------------------------------------------------------------


def _accepted(call: Call, task: Task, order: Order) -> dict[str, Any]:
    hook = order.inputs.reports_to
    # With a webhook the answer names no polling address.
    way = (
        {"status": "Pending", "webhook_url": hook[0]}
        if hook
        else {"polling_url": f"{call.origin}/flux/v1/get_result?id={task.row.task_id}"}
    )
    return {
        "id": task.row.task_id,
        **way,
        "cost": float(order.credits),
        "input_mp": round(order.input_pixels / 1_000_000, 2),
        "output_mp": round(order.width_px * order.height_px / 1_000_000, 2),
    }


def _status(
    task_id: str, status: str, *, result: Any = None, details: Any = None, http_status: int = 200
) -> Answer:
    body = {"id": task_id, "status": status, "result": result, "progress": None, "details": details}
    return Answer.of_json(http_status, {**body, "preview": None})


def _how_far(task: Task, now: float) -> str:
    if not MODELS[task.row.model].thinks_aloud:
        return "Pending"
    lasts_s = max(task.row.ready_at - task.row.created_at, 1e-9)
    done = (now - task.row.created_at) / lasts_s
    return "Pending" if done < 1 / 3 else "Reasoning" if done < 2 / 3 else "Generating"


def _ending(task: Task) -> str:
    """The status that a finished task has."""
    if task.fate is None or task.makes_an_image:
        return "Ready"
    return str(json.loads(_end(task, task.fate).body)["status"])


def _end(task: Task, fate: Rule) -> Answer:
    task_id = task.row.task_id
    match fate.action:
        case "moderation_input":
            reasons = {"Moderation Reasons": ["Derivative Works Filter"]}
            return _status(task_id, "Request Moderated", details=reasons)
        case "moderation_output":
            return _status(task_id, "Content Moderated", details={"Moderation Reasons": ["NSFW"]})
        case "no_image":
            return _status(task_id, "Ready")
        case _:
            # A failed FLUX 3 task answers the poll itself with 422 or 503, and the status in the body.
            details = {"error": "the image could not be decoded"}
            return _status(task_id, "Error", details=details, http_status=fate.status or 200)


def _detail(status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer.of_json(status, {"detail": message}, headers)


def _invalid(errors: Sequence[Any]) -> Answer:
    detail = [
        {"loc": ["body", *error["loc"]], "msg": error["msg"], "type": error["type"]} for error in errors
    ]
    return Answer.of_json(422, {"detail": detail})


def _blob_error(status: int, code: str, message: str) -> Answer:
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    body = f'<?xml version="1.0" encoding="utf-8"?>{error}'
    return Answer(status, body.encode(), media_type="application/xml")


def _recorded(fault: Rule) -> Answer | None:
    """The answer that `fault` puts in place of the work, if it is of that kind."""
    match fault.action:
        case "rate_limited":
            return _detail(429, "Too many requests", retry_after(fault))
        case "quota":
            return _detail(402, "Insufficient credits")
        case "bad_key":
            return _detail(403, "Not authenticated")
        case "server_error":
            return _detail(500, "Internal Server Error")
        case "overloaded":
            return _detail(503, "Service Unavailable")
        case "html_502":
            return bad_gateway()
        case "answer":
            return scripted(fault)
    return None
