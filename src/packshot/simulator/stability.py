"""Stability's API: `POST /v2beta/stable-image/{operation}`, `GET /v2beta/results/{id}`, and the balance.

Bodies of refusals are recorded ones where a record exists; what is wrong with a field follows their form.
Work that is collected later is charged when it is taken; it and its fate are on disk before the answer that
names it, so that looks go on after a restart. Control, style transfer, 3D and video are not simulated.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from packshot.imaging import MediaType, read_header
from packshot.imaging.header import has_alpha
from packshot.simulator import retouch
from packshot.simulator.book import Charged, ResultRow, TaskRow, read_charged, read_tasks
from packshot.simulator.faults import Rule
from packshot.simulator.forms import File, NotAForm, read_form
from packshot.simulator.painter import Picture
from packshot.simulator.protocol import (
    Answer,
    Call,
    Declined,
    World,
    bad_gateway,
    retry_after,
    scripted,
)
from packshot.simulator.stability_models import (
    BODY_BYTES_MOST,
    DOLLARS_PER_CREDIT,
    OPERATIONS,
    ROUTED,
    SEED_MOST,
    Operation,
    Size,
    Wrong,
    sized,
)

_PREFIX = "/v2beta/stable-image/"
_RESULTS = "/v2beta/results/"
_MEDIA_TYPES: dict[str, MediaType] = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
# These decide how work that is collected later ends; what is answered at once does not know them.
_FATES = frozenset({"moderation_output", "never_ready", "dead_link", "no_image"})
_WAITING_FATES = frozenset({"never_ready", "dead_link"})
# A look that comes just as the picture is being finished waits this long for it, in seconds.
_PATIENCE_S = 0.25
_WINDOW_S = 10.0


@dataclass(frozen=True, slots=True)
class Order:
    """A valid request, sized and priced."""

    operation: Operation
    model: str
    texts: Mapping[str, str]
    files: Mapping[str, File]
    width_px: int
    height_px: int
    media_type: MediaType
    seed: int
    credits: Fraction
    as_json: bool

    @property
    def prompt(self) -> str:
        return self.texts.get("prompt") or self.texts.get("background_prompt") or ""

    @property
    def picture(self) -> Picture:
        return Picture(self.prompt, "stability", self.seed, self.width_px, self.height_px, self.media_type)

    @property
    def given(self) -> File | None:
        """The picture it works on."""
        return self.files.get(self.operation.picture or "")


@dataclass(slots=True)
class Task:
    """Work that was taken, on its way to a picture."""

    row: TaskRow
    picture: Picture
    fate: str | None
    image_sha256: str | None = None
    drawing: asyncio.Task[None] | None = field(default=None, repr=False)
    looked_at: float | None = None

    def is_running(self, now: float) -> bool:
        return self.fate == "never_ready" or now < self.row.ready_at


class Stability:
    """One account at Stability, with its credits, its limit and its results."""

    def __init__(self, world: World) -> None:
        self._world = world
        config = world.config
        self._window = _Window(config.stability_requests_per_10s, config.stability_lock_out_s)
        self._charged = read_charged(config.state_dir, "stability")
        self._tasks: OrderedDict[str, Task] = OrderedDict()  # oldest first
        since = time.time() - config.stability_result_life_s
        for row, image_sha256 in read_tasks(config.state_dir, "stability", created_after=since):
            fate = Rule.model_validate_json(row.fate).action if row.fate else None
            self._tasks[row.task_id] = Task(row, Picture.from_json(row.picture), fate, image_sha256)

    async def answer(self, call: Call) -> Answer:
        operation = OPERATIONS.get(call.path.removeprefix(_PREFIX)) if call.method == "POST" else None
        if operation is not None:
            answer = await self._make(call, operation)
        else:
            fault = self._world.faults.match("stability", call.path, self._prompt_behind(call), paid=False)
            recorded = _recorded(fault, call) if fault else None
            answer = replace(recorded or await self._read(call), fault=fault)
        return replace(answer, headers=(*answer.headers, ("x-request-id", call.id)))

    # -- the paid paths -----------------------------------------------------------------------

    async def _make(self, call: Call, operation: Operation) -> Answer:
        form, problem = _form_of(call)
        texts = {name: value for name, value in form.items() if isinstance(value, str)}
        prompt = texts.get("prompt") or texts.get("background_prompt")
        self._world.receive(call, "stability", model=texts.get("model", operation.path), prompt=prompt)
        try:
            _check_key(call)
            self._window.take()
            if problem is not None:
                raise Declined(problem)
            order = _order(operation, form, call)
            order = replace(order, credits=self._world.price("stability", order.credits))
            fault = self._world.faults.match("stability", call.path, order.prompt, paid=True)
            refusal = _recorded(fault, call) if fault else None
            if fault and refusal:
                return await self._refuse(call, order, fault, refusal)
            if self._credits_left() < order.credits:
                raise Declined(_no_credit(call))
        except Declined as declined:
            outcome = f"declined: {declined.answer.status}"
            await self._world.book.write(self._world.answered(call, declined.answer.status, outcome))
            return declined.answer
        if operation.waits:
            return await self._accept(call, order, fault)
        return await self._work(call, order, fault if fault and fault.action not in _WAITING_FATES else None)

    async def _refuse(self, call: Call, order: Order, fault: Rule, refusal: Answer) -> Answer:
        charges = [self._charge(call, order, fault.action)] if self._world.charges(fault) else []
        await self._world.book.write(*charges, self._world.answered(call, refusal.status, fault.action))
        return replace(refusal, fault=fault)

    async def _work(self, call: Call, order: Order, fault: Rule | None) -> Answer:
        lost = fault is not None and fault.action in ("cut_before_answer", "hang")
        charged = self._world.charges(fault)
        content, _ = await asyncio.gather(
            self._draw(order) if charged or not lost else _nothing(),
            asyncio.sleep(self._world.latency_s(self._world.config.stability_latency_s)),
        )
        outcome = fault.action if fault else "delivered"
        filtered = outcome == "moderation_output"
        if filtered:
            content = await asyncio.to_thread(retouch.blurred, content, order.media_type)
        if outcome == "no_image":
            content = b""
        times = charged * (2 if outcome == "charge_twice" else 1)
        images = [content] if content and not filtered else []
        await self._world.book.write(
            *[self._charge(call, order, outcome) for _ in range(times)],
            self._world.answered(call, None if lost else 200, outcome, *images),
        )
        answer = _picture_answer(
            content, order.media_type, order.seed, filtered=filtered, as_json=order.as_json
        )
        return replace(answer, fault=fault)

    async def _draw(self, order: Order) -> bytes:
        given, made = order.given, order.media_type
        if given is None or self._world.config.image == "small":
            return await self._world.painter.draw(order.picture)
        match order.operation.path:
            case "edit/remove-background":
                return await asyncio.to_thread(retouch.cut_out, given.content, made)
            case "upscale/fast" | "upscale/conservative":
                size = order.width_px, order.height_px
                return await asyncio.to_thread(retouch.resized, given.content, *size, made)
            case "edit/outpaint":
                sides = {side: int(order.texts.get(side, 0)) for side in ("left", "right", "up", "down")}
                return await asyncio.to_thread(retouch.extended, given.content, sides, made)
            case "edit/inpaint" | "edit/erase":
                mask = order.files.get("mask")
                drawn = await self._world.painter.draw(order.picture) if order.prompt else None
                return await asyncio.to_thread(
                    retouch.filled, given.content, mask.content if mask else None, drawn, made
                )
        return await self._world.painter.draw(order.picture)

    def _charge(self, call: Call, order: Order, reason: str) -> Charged:
        dollars = order.credits * DOLLARS_PER_CREDIT
        self._charged += dollars
        return Charged(call.id, "stability", dollars, reason, time.time())

    def _credits_left(self) -> Fraction:
        return self._world.config.stability_credits - self._charged / DOLLARS_PER_CREDIT

    # -- work that is collected later ---------------------------------------------------------

    async def _accept(self, call: Call, order: Order, fault: Rule | None) -> Answer:
        lost = fault is not None and fault.action in ("cut_before_answer", "hang")
        charged = self._world.charges(fault)
        outcome = fault.action if fault else "accepted"
        answered = self._world.answered(call, None if lost else 200, outcome)
        if lost and not charged:  # the request never got through
            await self._world.book.write(answered)
            return Answer(200, b"", fault=fault)
        task = self._new_task(call, order, fault)
        self._tasks[task.row.task_id] = task
        times = charged * (2 if outcome == "charge_twice" else 1)
        await self._world.book.write(
            *[self._charge(call, order, outcome) for _ in range(times)], task.row, answered
        )
        self._start_drawing(task)
        # 200, not 202.
        return replace(Answer.of_json(200, {"id": task.row.task_id}), fault=fault)

    def _new_task(self, call: Call, order: Order, fault: Rule | None) -> Task:
        now = time.time()
        fate = fault if fault and fault.action in _FATES else None
        row = TaskRow(
            task_id=self._task_id(secrets.token_hex(16), _key_of(call)),
            request_id=call.id,
            model=order.model,
            picture=order.picture.to_json(),
            fate=fate.model_dump_json() if fate else None,
            created_at=now,
            ready_at=now + self._world.latency_s(self._world.config.stability_later_latency_s),
        )
        return Task(row, order.picture, fate.action if fate else None)

    def _task_id(self, number: str, key: str) -> str:
        """64 characters, of which the second half shows which key started it; the key itself is not kept."""
        mark = hmac.new(self._world.signing_key, f"{number} {key}".encode(), "sha256").hexdigest()
        return number + mark[:32]

    def _start_drawing(self, task: Task) -> None:
        if task.fate not in _WAITING_FATES and task.image_sha256 is None and task.drawing is None:
            task.drawing = asyncio.get_running_loop().create_task(self._draw_later(task))

    async def _draw_later(self, task: Task) -> None:
        content = await self._world.painter.draw(task.picture)
        image_sha256 = hashlib.sha256(content).hexdigest()
        if task.fate is None:
            # In the book before the first look that shows it.
            await self._world.book.write(ResultRow(task.row.task_id, image_sha256, time.time()))
        task.image_sha256 = image_sha256

    # -- the free paths -----------------------------------------------------------------------

    async def _read(self, call: Call) -> Answer:
        try:
            _check_key(call)
            self._window.take()
        except Declined as declined:
            return declined.answer
        if (call.method, call.path) == ("GET", "/v1/user/balance"):
            return Answer.of_json(200, {"credits": float(self._credits_left())})
        if call.method == "GET" and call.path.startswith(_RESULTS):
            return await self._result(call)
        return _error(404, call, "not_found", "path: there is nothing here")

    async def _result(self, call: Call) -> Answer:
        self._forget_old()
        task = self._tasks.get(call.path.removeprefix(_RESULTS))
        if task is None or not hmac.compare_digest(
            task.row.task_id, self._task_id(task.row.task_id[:32], _key_of(call))
        ):
            return _error(404, call, "not_found", "id: no such result, or it has expired")
        if self._looked_too_soon(task):
            return _rate_limited("Results may be looked for once every 10 seconds.")
        now = time.time()
        if not task.is_running(now):
            if task.fate == "dead_link":
                return _error(404, call, "not_found", "id: no such result, or it has expired")
            self._start_drawing(task)
            if task.drawing is not None:
                await asyncio.wait({task.drawing}, timeout=_PATIENCE_S)
                if task.drawing.done():
                    task.drawing.result()  # a drawing that failed is our bug: let it fly
            if task.image_sha256 is not None:
                return await self._shown(call, task)
        return Answer.of_json(202, {"id": task.row.task_id, "status": "in-progress"})

    async def _shown(self, call: Call, task: Task) -> Answer:
        picture = task.picture
        content = await self._world.painter.draw(picture)
        filtered = task.fate == "moderation_output"
        if filtered:
            content = await asyncio.to_thread(retouch.blurred, content, picture.media_type)
        if task.fate == "no_image":
            content = b""
        try:
            as_json = _wants_json(call)
        except Declined as declined:
            return declined.answer
        return _picture_answer(content, picture.media_type, picture.seed, filtered=filtered, as_json=as_json)

    def _looked_too_soon(self, task: Task) -> bool:
        now, before = time.monotonic(), task.looked_at
        task.looked_at = now
        # A twentieth less: whoever waits exactly as long may be a little early here.
        pause_s = 0.95 * self._world.config.stability_look_every_s / self._world.config.speed
        return before is not None and now - before < pause_s

    def _forget_old(self) -> None:
        oldest = time.time() - self._world.config.stability_result_life_s
        while self._tasks and next(iter(self._tasks.values())).row.created_at < oldest:
            self._tasks.popitem(last=False)

    def _prompt_behind(self, call: Call) -> str | None:
        task = self._tasks.get(call.path.removeprefix(_RESULTS))
        return task.picture.prompt if task else None


class _Window:
    """So many requests in any ten seconds; one more, and nothing is answered for a minute. In real time."""

    def __init__(
        self, most: int | None, lock_out_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._lock_out_s = lock_out_s
        self._clock = clock
        self._taken: deque[float] = deque()
        self._locked_until = 0.0

    def take(self) -> None:
        """Count one request. Raises Declined, without saying how long it lasts."""
        if self._most is None:
            return
        now = self._clock()
        while self._taken and self._taken[0] <= now - _WINDOW_S:
            self._taken.popleft()
        if now >= self._locked_until and len(self._taken) >= self._most:
            self._locked_until = now + self._lock_out_s
        if now < self._locked_until:
            raise Declined(_locked_out(self._most, self._lock_out_s))
        self._taken.append(now)


# -- reading a request -----------------------------------------------------------------------------


async def _nothing() -> bytes:
    return b""


def _key_of(call: Call) -> str:
    scheme, _, key = call.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _check_key(call: Call) -> None:
    key = _key_of(call)
    if key and "invalid" not in key:
        return
    if call.path.startswith("/v1/"):
        # The live service repeats the whole key: whoever stores this message must redact it.
        message = f"Incorrect API key provided: {key}. You can find your API key at https://stability.ai."
        raise Declined(Answer.of_json(401, {"id": call.id, "message": message, "name": "unauthorized"}))
    raise Declined(_bad_key(call))


def _form_of(call: Call) -> tuple[Mapping[str, str | File], Answer | None]:
    """The fields of the form, or the answer to what is none."""
    if len(call.body) > BODY_BYTES_MOST:
        message = "body: payloads cannot be larger than 10MiB in size"
        return {}, _error(413, call, "payload_too_large", message)
    try:
        return read_form(call.headers.get("content-type", ""), call.body), None
    except NotAForm:
        return {}, _error(400, call, "bad_request", "content-type: must be multipart/form-data")


def _order(operation: Operation, form: Mapping[str, str | File], call: Call) -> Order:
    as_json = _wants_json(call)
    problems = [f"{name}: is required" for name in operation.required if name not in form]
    texts: dict[str, str] = {}
    files: dict[str, File] = {}
    for name, rule in operation.fields.items():
        if name not in form:
            continue
        try:
            value = rule.read(name, form[name])
        except Wrong as wrong:
            problems.append(str(wrong))
            continue
        if isinstance(value, str):
            texts[name] = value
        else:
            files[name] = value
    problems = problems or list(_rules(operation, texts, files))
    if problems:
        raise Declined(_error(400, call, "bad_request", *problems))
    model = texts.get("model", "sd3.5-large") if "model" in operation.fields else ""
    model = ROUTED.get(model, model)
    width_px, height_px = sized(operation.path, texts, _size(files.get(operation.picture or "")))
    wanted = int(texts.get("seed", 0))
    return Order(
        operation=operation,
        model=model or operation.path,
        texts=texts,
        files=files,
        width_px=width_px,
        height_px=height_px,
        media_type=_MEDIA_TYPES[texts.get("output_format", "png")],
        seed=wanted or 1 + secrets.randbelow(SEED_MOST),
        credits=operation.credits[model],
        as_json=as_json,
    )


def _rules(operation: Operation, texts: Mapping[str, str], files: Mapping[str, File]) -> list[str]:
    """What the fields ask of each other."""
    path = operation.path
    wrong: list[str] = []
    if path == "generate/ultra" and "image" in files and "strength" not in texts:
        wrong.append("strength: is required when an image is given")
    if path == "generate/sd3":
        if texts.get("mode") == "image-to-image":
            wrong += [
                f"{name}: is required for image-to-image"
                for name, given in (("image", files), ("strength", texts))
                if name not in given
            ]
            wrong += ["aspect_ratio: is only valid for text-to-image"] if "aspect_ratio" in texts else []
        elif "image" in files or "strength" in texts:
            wrong.append("image: is only valid for image-to-image")
    if path == "edit/outpaint" and not any(
        int(texts.get(side, 0)) for side in ("left", "right", "up", "down")
    ):
        wrong.append("outpaint: at least one of left, right, up and down must be more than 0")
    if (
        path in ("edit/inpaint", "edit/erase")
        and "mask" not in files
        and not has_alpha(files["image"].content)
    ):
        wrong.append("mask: is required where the image has no alpha channel")
    if path == "edit/replace-background-and-relight":
        if "background_prompt" not in texts and "background_reference" not in files:
            wrong.append("background_prompt: is required without a background_reference")
        lit = "light_source_direction" in texts or "light_reference" in files
        if "light_source_strength" in texts and not lit:
            wrong.append("light_source_strength: needs a light_source_direction or a light_reference")
    return wrong


def _size(file: File | None) -> Size | None:
    if file is None:
        return None
    header = read_header(file.content)
    return header.width_px, header.height_px


def _wants_json(call: Call) -> bool:
    accepted = call.headers.get("accept", "image/*")
    if "application/json" in accepted:
        return True
    if "image/*" in accepted or "*/*" in accepted:
        return False
    raise Declined(_error(400, call, "bad_request", "accept: must be one of image/*, application/json"))


# -- answers ---------------------------------------------------------------------------------------


def _picture_answer(
    content: bytes, media_type: MediaType, seed: int, *, filtered: bool, as_json: bool
) -> Answer:
    """The finished work in the form that was asked for; filtered or not, it is a 200."""
    verdict = "CONTENT_FILTERED" if filtered else "SUCCESS"
    if not as_json:
        headers = (("finish-reason", verdict), ("seed", str(seed)))
        return Answer(200, content, media_type=media_type, headers=headers)
    picture = {"image": base64.b64encode(content).decode()} if content else {}
    answer = Answer.of_json(200, {**picture, "seed": seed, "finish_reason": verdict})
    return replace(answer, media_type=f"application/json; type={media_type}")


def _error(status: int, call: Call, name: str, *errors: str) -> Answer:
    return Answer.of_json(status, {"id": call.id, "name": name, "errors": list(errors)})


def _bad_key(call: Call) -> Answer:
    return _error(401, call, "unauthorized", "authorization: invalid or missing header value")


def _no_credit(call: Call) -> Answer:
    return _error(
        402,
        call,
        "payment_required",
        "You lack sufficient credits to make this request. Please purchase more credits at "
        "https://platform.stability.ai/account/credits and try again.",
    )


def _rate_limited(message: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    body = {"id": "rate_limit_exceeded", "name": "rate_limit_exceeded", "errors": [message]}
    return Answer.of_json(429, body, headers)


def _locked_out(most: int, lock_out_s: float, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return _rate_limited(
        f"You have exceeded the rate limit of {most} requests within a 10 second period, and have been timed "
        f"out for {lock_out_s:g} seconds.",
        headers,
    )


def _recorded(fault: Rule, call: Call) -> Answer | None:
    """The recorded answer that `fault` puts in place of the work, if it is of that kind."""
    match fault.action:
        case "rate_limited":
            return _locked_out(150, 60, retry_after(fault))
        case "quota":
            return _no_credit(call)
        case "bad_key":
            return _bad_key(call)
        case "moderation_input":
            return _error(
                403,
                call,
                "content_moderation",
                "Your request was flagged by our content moderation system, as a result your request was "
                "denied and you were not charged.",
            )
        case "server_error":
            return _error(500, call, "internal_error", "An unexpected server error has occurred.")
        case "overloaded":
            return _error(503, call, "service_unavailable", "The service is temporarily unavailable.")
        case "html_502":
            return bad_gateway()
        case "answer":
            return scripted(fault)
    return None
