"""A relay that speaks the /mj protocol of midjourney-proxy, and Midjourney behind it.

Charged per call when an order is taken, as relays do. Refusals are 200 with a code. A task and its fate are
on disk before the answer that names it, so that looks go on after a restart. It is reported at every change
of its progress, unsigned and once; a restart of the simulator forgets the reports under way. One of a grid's
four alone is that picture, to the pixel. Blend, describe, shorten, modal and zoom are not simulated.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import re
import secrets
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal
from urllib.parse import urlencode
from uuid import uuid4

import httpx

from packshot.imaging import BadImage, MediaType, read_header
from packshot.simulator.book import Charged, ResultRow, TaskRow, read_tasks
from packshot.simulator.faults import WEBHOOK_PATH, Rule
from packshot.simulator.midjourney_prompt import PER_CALL, InvalidParameter, understood
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

Action = Literal["IMAGINE", "UPSCALE", "VARIATION"]
_SUBMIT = re.compile(r"(?:/mj-(fast|turbo|relax))?/mj/submit/(imagine|action|change)")
_TASK = re.compile(r"(?:/mj-(?:fast|turbo|relax))?/mj/task/([^/]+)/(fetch|cancel)")
_LIST = re.compile(r"(?:/mj-(?:fast|turbo|relax))?/mj/task/list-by-condition")
_BUTTON = re.compile(r"MJ::JOB::(upsample|variation)::([1-4])::([0-9a-f-]{36})")
_DATA_URL = re.compile(r"data:image/(?:png|jpeg|webp);base64,([A-Za-z0-9+/=]+)")
# Whom the simulator may call.
_HERE = re.compile(r"https?://(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?/")
# What no prompt may hold.
_BANNED = re.compile(r"\b(nude|naked|gore)\b", re.IGNORECASE)
# These decide how an accepted task ends; all other faults spoil the answer to the submission.
_FATES = frozenset({"moderation_output", "task_error", "never_ready", "dead_link", "no_image"})
_MAKES_NOTHING = frozenset({"moderation_output", "task_error"})
_MADE_OF: MediaType = "image/png"
# How far a running task has come when somebody is told: after which part of its time, and what is told then.
_STEPS = ((0.0, "0%"), (0.3, "31%"), (0.6, "62%"), (0.9, "93%"))
_PATIENCE_S = 0.25
_REPORT_DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class Work:
    """What a task makes, as it is kept: enough to go on after a restart."""

    action: Action
    prompt: str  # as it was sent; of a follow-up its grid's
    pictures: tuple[Picture, ...]  # four make a grid, one stands alone
    job: str  # in the ids of its buttons
    state: str | None
    started_at: float  # later than its row where it waits for its turn
    reason: str  # why it failed, where its prompt decides that
    ordered: str  # the same order again is told of this task

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Work":
        kept = json.loads(text)
        pictures = tuple(Picture(**each) for each in kept.pop("pictures"))
        return cls(**kept, pictures=pictures)


@dataclass(slots=True)
class Task:
    """An order that was taken."""

    row: TaskRow
    work: Work
    fate: str | None
    image_sha256: str | None = None
    cancelled: bool = False
    drawing: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        return self.row.task_id

    @property
    def makes_an_image(self) -> bool:
        return not self.work.reason and self.fate not in _MAKES_NOTHING

    def is_running(self, now: float) -> bool:
        return not self.cancelled and (self.fate == "never_ready" or now < self.row.ready_at)


@dataclass(frozen=True, slots=True)
class Order:
    """A valid submission, priced."""

    action: Action
    prompt: str
    pictures: tuple[Picture, ...]
    reason: str
    dollars: Fraction
    ordered: str
    state: str | None
    hook: str | None


class Midjourney:
    """One account at a relay, with its queue and its tasks."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tasks: OrderedDict[str, Task] = OrderedDict()  # oldest first
        self._ordered: dict[str, Task] = {}
        self._reports: set[asyncio.Task[None]] = set()
        since = time.time() - world.config.task_life_s
        for row, image_sha256 in read_tasks(world.config.state_dir, "midjourney", created_after=since):
            fate = Rule.model_validate_json(row.fate).action if row.fate else None
            self._remember(Task(row, Work.from_json(row.picture), fate, image_sha256))

    async def answer(self, call: Call) -> Answer:
        submission = _SUBMIT.fullmatch(call.path) if call.method == "POST" else None
        if submission:
            return await self._submit(call, submission[1] or "default", submission[2])
        fault = self._world.faults.match("midjourney", call.path, self._prompt_behind(call), paid=False)
        answer = (_recorded(fault) if fault else None) or await self._read(call)
        return replace(answer, fault=fault)

    # -- submit -------------------------------------------------------------------------------

    async def _submit(self, call: Call, speed: str, kind: str) -> Answer:
        document = parsed(call.body)
        prompt = self._prompt_in(document)
        self._world.receive(call, "midjourney", model=f"{kind} {speed}", prompt=prompt)
        try:
            _check_secret(call)
            if not isinstance(document, dict):
                raise Declined(Answer(400, b"The request body is not JSON.", media_type="text/plain"))
            order = self._imagine(document, speed) if kind == "imagine" else self._follow(document, speed)
            fault = self._world.faults.match("midjourney", call.path, order.prompt, paid=True)
            refusal = _recorded(fault) if fault else None
            if fault and refusal:
                return await self._refuse(call, order, fault, refusal)
            self._check_queue()
        except Declined as declined:
            outcome = f"declined: {_code_of(declined.answer)}"
            await self._world.book.write(self._world.answered(call, declined.answer.status, outcome))
            return declined.answer
        known = self._ordered.get(order.ordered)
        if known is not None:
            return replace(await self._exists(call, order, known), fault=fault)
        return await self._accept(call, order, fault)

    def _imagine(self, document: dict[str, Any], speed: str) -> Order:
        prompt = document.get("prompt")
        if not isinstance(prompt, str) or not prompt.strip():
            raise Declined(_said(4, "prompt must not be empty"))
        banned = _BANNED.search(prompt)
        if banned:
            properties = {"promptEn": prompt, "bannedWord": banned[1]}
            raise Declined(_said(24, "May contain sensitive words", properties=properties))
        pictures = document.get("base64Array") or []
        if not isinstance(pictures, list) or not all(_is_picture(each) for each in pictures):
            raise Declined(_said(4, "base64Array is malformed"))
        reason, jobs = "", 1
        size, seed, words = (64, 64), None, prompt
        try:
            read = understood(prompt)
            size, seed, words, jobs = read.cell, read.seed, read.words, read.jobs
            speed = read.speed or speed
        except InvalidParameter as wrong:
            reason = f"[Invalid parameter] {wrong}"
        if seed is None:
            seed = secrets.randbelow(2**32)
        return Order(
            action="IMAGINE",
            prompt=prompt,
            pictures=_four(words, seed, *size),
            reason=reason,
            dollars=self._world.price("midjourney", PER_CALL[speed] * jobs),
            ordered=f"imagine {uuid4()}",  # the same words twice are two grids
            **_notice(document),
        )

    def _follow(self, document: dict[str, Any], speed: str) -> Order:
        grid = self._tasks.get(str(document.get("taskId") or ""))
        action, quadrant = _pressed(document, grid)
        if grid is None:
            raise Declined(_said(3, "The related task does not exist or has expired"))
        if grid.is_running(time.time()) or not grid.makes_an_image or grid.cancelled:
            raise Declined(_said(4, "The related task has the wrong status"))
        if len(grid.work.pictures) != 4:
            raise Declined(_said(4, "The related task is not a grid"))
        chosen = grid.work.pictures[quadrant - 1]
        pictures: tuple[Picture, ...] = (chosen,)
        if action == "VARIATION":
            near = int.from_bytes(hashlib.sha256(chosen.to_json().encode()).digest()[:4])
            pictures = _four(chosen.prompt, near, chosen.width_px, chosen.height_px)
        return Order(
            action=action,
            prompt=grid.work.prompt,
            pictures=pictures,
            reason="",
            dollars=self._world.price("midjourney", PER_CALL[speed]),
            # One of the four alone is made once; every variation is another.
            ordered=f"{action} {grid.id} {quadrant if action == 'UPSCALE' else uuid4()}",
            **_notice(document),
        )

    def _check_queue(self) -> None:
        config = self._world.config
        self._forget_old(time.time())
        if config.midjourney_concurrent_tasks is None:
            return
        waiting = len(self._running()) - config.midjourney_concurrent_tasks
        if config.midjourney_queue is not None and waiting >= config.midjourney_queue:
            raise Declined(_said(23, "Queue is full, please try again later", result=_task_id()))

    async def _refuse(self, call: Call, order: Order, fault: Rule, refusal: Answer) -> Answer:
        charges = [_charge(call, order, fault.action)] if self._world.charges(fault) else []
        await self._world.book.write(*charges, self._world.answered(call, refusal.status, fault.action))
        return replace(refusal, fault=fault)

    async def _exists(self, call: Call, order: Order, known: Task) -> Answer:
        await self._world.book.write(
            _charge(call, order, "exists"), self._world.answered(call, 200, "exists")
        )
        status, _ = self._standing(known, time.time())
        properties = {"status": status, "imageUrl": self._link(call.origin, known)}
        return _said(21, "Task already exists", result=known.id, properties=properties)

    async def _accept(self, call: Call, order: Order, fault: Rule | None) -> Answer:
        lost = fault is not None and fault.action in ("cut_before_answer", "hang")
        # What Midjourney does not understand fails without a job, and relays give its price back.
        charged = self._world.charges(fault) and not order.reason
        outcome = fault.action if fault else "accepted"
        answered = self._world.answered(call, None if lost else 200, outcome)
        if lost and not charged:  # the request never got through
            await self._world.book.write(answered)
            return Answer(200, b"", fault=fault)
        task, ahead = self._new_task(call, order, fault)
        self._remember(task)
        times = charged * (2 if outcome == "charge_twice" else 1)
        await self._world.book.write(
            *[_charge(call, order, outcome) for _ in range(times)], task.row, answered
        )
        self._start_drawing(task)
        await self._start_reporting(call, task, order)
        if ahead:
            queued = f"In queue, there are {ahead} tasks ahead"
            return replace(
                _said(22, queued, result=task.id, properties={"numberOfQueues": ahead}), fault=fault
            )
        return replace(_said(1, "Success", result=task.id, properties={}), fault=fault)

    def _new_task(self, call: Call, order: Order, fault: Rule | None) -> tuple[Task, int]:
        """The task, and how many wait before it."""
        now = time.time()
        starts_at, ahead = self._turn(now)
        fate = fault.action if fault and fault.action in _FATES else None
        work = Work(
            action=order.action,
            prompt=order.prompt,
            pictures=order.pictures,
            job=str(uuid4()),
            state=order.state,
            started_at=starts_at,
            reason=order.reason,
            ordered=order.ordered,
        )
        row = TaskRow(
            task_id=_task_id(),
            request_id=call.id,
            model=order.action,
            picture=work.to_json(),
            fate=fault.model_dump_json() if fault and fate else None,
            created_at=now,
            ready_at=starts_at + self._world.latency_s(self._world.config.midjourney_latency_s),
        )
        return Task(row, work, fate), ahead

    def _turn(self, now: float) -> tuple[float, int]:
        at_once = self._world.config.midjourney_concurrent_tasks
        ends = sorted(task.row.ready_at for task in self._running())
        if at_once is None or len(ends) < at_once:
            return now, 0
        return max(now, ends[len(ends) - at_once]), len(ends) - at_once + 1

    def _running(self) -> list[Task]:
        now = time.time()
        return [task for task in self._tasks.values() if task.is_running(now)]

    def _remember(self, task: Task) -> None:
        self._tasks[task.id] = task
        if task.makes_an_image:
            self._ordered[task.work.ordered] = task

    def _forget_old(self, now: float) -> None:
        oldest = now - self._world.config.task_life_s
        while self._tasks and next(iter(self._tasks.values())).row.created_at < oldest:
            _, task = self._tasks.popitem(last=False)
            self._ordered.pop(task.work.ordered, None)

    # -- work ---------------------------------------------------------------------------------

    def _start_drawing(self, task: Task) -> None:
        if task.makes_an_image and task.image_sha256 is None and task.drawing is None:
            task.drawing = asyncio.get_running_loop().create_task(self._draw(task))

    async def _draw(self, task: Task) -> None:
        content = await self._paint(task)
        image_sha256 = hashlib.sha256(content).hexdigest()
        # In the book before the first look that says SUCCESS.
        await self._world.book.write(ResultRow(task.id, image_sha256, time.time()))
        task.image_sha256 = image_sha256

    async def _paint(self, task: Task) -> bytes:
        if len(task.work.pictures) == 1:
            return await self._world.painter.draw(task.work.pictures[0])
        return await self._world.painter.grid(task.work.pictures)

    # -- reports ------------------------------------------------------------------------------

    async def _start_reporting(self, call: Call, task: Task, order: Order) -> None:
        """Report each step when it comes. An early report of the end arrives before this returns, and so
        before the answer to the submission."""
        if order.hook is None:
            return
        fault = self._world.faults.match("midjourney", WEBHOOK_PATH, order.prompt, paid=False)
        action = fault.action if fault else None
        if action == "drop":
            return
        if action == "early":
            task.row = replace(task.row, ready_at=time.time())
            task.work = replace(task.work, started_at=time.time())
        report = asyncio.get_running_loop().create_task(
            self._report(
                order.hook,
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

    async def _report(self, url: str, origin: str, task: Task, *, late_s: float, copies: int) -> None:
        begins, ends = task.work.started_at, task.row.ready_at
        async with httpx.AsyncClient(trust_env=False, timeout=_REPORT_DEADLINE_S) as client:
            for part, _ in _STEPS if ends > begins else ():
                await until(begins + part * (ends - begins))
                if task.is_running(time.time()):
                    await _tell(client, url, self._shown(origin, task))
            if task.fate == "never_ready":
                return
            await until(ends)
            if task.drawing is not None:
                await asyncio.wait({task.drawing})
            await asyncio.sleep(late_s)
            shown = self._shown(origin, task)
            await asyncio.gather(*(_tell(client, url, shown) for _ in range(copies)))

    # -- looking, cancelling, delivering ---------------------------------------------------------

    async def _read(self, call: Call) -> Answer:
        if call.path.startswith("/attachments/"):
            return await self._deliver(call)
        try:
            _check_secret(call)
        except Declined as declined:
            return declined.answer
        self._forget_old(time.time())
        found = _TASK.fullmatch(call.path)
        if found and (call.method, found[2]) in (("GET", "fetch"), ("POST", "cancel")):
            return await self._look(call, self._tasks.get(found[1]), cancel=found[2] == "cancel")
        if _LIST.fullmatch(call.path) and call.method == "POST":
            document = parsed(call.body)
            ids = document.get("ids") if isinstance(document, dict) else None
            known = [self._tasks[each] for each in ids or () if each in self._tasks]
            return Answer.of_json(200, [self._shown(call.origin, task) for task in known])
        return Answer.of_json(404, {"status": 404, "error": "Not Found", "path": call.path})

    async def _look(self, call: Call, task: Task | None, *, cancel: bool) -> Answer:
        if task is None:
            return Answer(200, b"")
        if cancel:
            task.cancelled = task.is_running(time.time())
        elif not task.is_running(time.time()) and task.makes_an_image and task.fate != "no_image":
            self._start_drawing(task)
            if task.drawing is not None:
                await asyncio.wait({task.drawing}, timeout=_PATIENCE_S)
                if task.drawing.done():
                    task.drawing.result()  # a drawing that failed is our bug: let it fly
        return Answer.of_json(200, self._shown(call.origin, task))

    def _standing(self, task: Task, now: float) -> tuple[str, str]:
        """The status of a task and its progress."""
        if task.cancelled:
            return "CANCEL", ""
        if not task.is_running(now):
            if not task.makes_an_image:
                return "FAILURE", ""
            if task.image_sha256 is None and task.fate != "no_image":
                return "IN_PROGRESS", _STEPS[-1][1]  # being drawn
            return "SUCCESS", "100%"
        if now < task.work.started_at:
            return "NOT_START", "0%"
        lasts_s = max(task.row.ready_at - task.work.started_at, 1e-9)
        done = (now - task.work.started_at) / lasts_s
        progress = next(told for part, told in reversed(_STEPS) if done >= part)
        return ("SUBMITTED" if progress == "0%" else "IN_PROGRESS"), progress

    def _shown(self, origin: str, task: Task) -> dict[str, Any]:
        """The task as the proxy tells it. A preview is there before the picture."""
        now = time.time()
        status, progress = self._standing(task, now)
        reason = task.work.reason or _REASONS.get(task.fate or "", "")
        address = None
        if status == "IN_PROGRESS":
            address = self._link(origin, task, name="preview.png")
        elif status == "SUCCESS" and task.fate != "no_image":
            address = self._link(origin, task)
        done = status in ("SUCCESS", "FAILURE", "CANCEL")
        return {
            "id": task.id,
            "action": task.work.action,
            "status": status,
            "prompt": task.work.prompt,
            "promptEn": task.work.prompt,
            "description": f"/{task.work.action.lower()} {task.work.prompt}",
            "state": task.work.state,
            "submitTime": int(task.row.created_at * 1000),
            "startTime": int(task.work.started_at * 1000) if now >= task.work.started_at else None,
            "finishTime": int(task.row.ready_at * 1000) if done else None,
            "progress": progress,
            "imageUrl": address,
            "failReason": reason if status == "FAILURE" else None,
            "properties": {"finalPrompt": task.work.prompt},
            "buttons": _buttons(task) if status == "SUCCESS" else [],
        }

    def _link(self, origin: str, task: Task, *, name: str = "grid.png") -> str:
        """A link as Discord's CDN signs them: when it was made, when it dies, and a seal over both."""
        made_at = max(task.row.ready_at, task.work.started_at)
        life_s = 0.0 if task.fate == "dead_link" else self._world.config.midjourney_link_life_s
        path = f"/attachments/{task.id}/{name}"
        times = {"ex": f"{int(made_at + life_s):x}", "is": f"{int(made_at):x}"}
        query = urlencode({**times, "hm": self._seal(path, times["ex"])})
        return f"{origin}/midjourney{path}?{query}"

    def _seal(self, path: str, dies_at: str) -> str:
        return hmac.new(self._world.signing_key, f"{path} {dies_at}".encode(), "sha256").hexdigest()

    async def _deliver(self, call: Call) -> Answer:
        task = self._tasks.get(call.path.split("/")[2])
        dies_at, seal = call.query.get("ex", ""), call.query.get("hm", "")
        sealed = hmac.compare_digest(self._seal(call.path, dies_at).encode(), seal.encode())
        if task is None or not sealed or int(dies_at, 16) <= time.time():
            return Answer(404, b"This content is no longer available.", media_type="text/plain")
        if call.path.endswith("/preview.png"):
            first = task.work.pictures[0]
            small = replace(first, width_px=first.width_px // 16, height_px=first.height_px // 16)
            return Answer(200, await self._world.painter.draw(small), media_type=_MADE_OF)
        return Answer(200, await self._paint(task), media_type=_MADE_OF)

    def _prompt_in(self, document: Any) -> str | None:
        if not isinstance(document, dict):
            return None
        grid = self._tasks.get(str(document.get("taskId") or ""))
        prompt = grid.work.prompt if grid else document.get("prompt")
        return prompt if isinstance(prompt, str) else None

    def _prompt_behind(self, call: Call) -> str | None:
        found = _TASK.fullmatch(call.path)
        is_link = call.path.startswith("/attachments/")
        task = self._tasks.get(found[1] if found else call.path.split("/")[2] if is_link else "")
        return task.work.prompt if task else None


# -- reading a request -----------------------------------------------------------------------------


def _check_secret(call: Call) -> None:
    secret = call.headers.get("mj-api-secret") or call.headers.get("authorization", "").removeprefix(
        "Bearer "
    )
    if not secret or "invalid" in secret:
        raise Declined(_unauthorized())


def _notice(document: dict[str, Any]) -> dict[str, Any]:
    """Whom to tell, and what to repeat to them."""
    state, hook = document.get("state"), document.get("notifyHook")
    if state is not None and not isinstance(state, str):
        raise Declined(_said(4, "state must be a string"))
    if hook is not None and not (isinstance(hook, str) and _HERE.match(hook)):
        raise Declined(_said(4, "notifyHook must be an address on this machine"))
    return {"state": state, "hook": hook}


def _pressed(document: dict[str, Any], grid: Task | None) -> tuple[Action, int]:
    """Which of the four, and what becomes of it; either way of asking."""
    if not document.get("taskId"):
        raise Declined(_said(4, "taskId must not be empty"))
    if "customId" in document:
        button = _BUTTON.fullmatch(str(document["customId"]))
        if button is None or (grid is not None and button[3] != grid.work.job):
            raise Declined(_said(4, "The task has no such button"))
        return ("UPSCALE" if button[1] == "upsample" else "VARIATION"), int(button[2])
    action, index = document.get("action"), document.get("index")
    if action not in ("UPSCALE", "VARIATION") or type(index) is not int or not 1 <= index <= 4:
        raise Declined(_said(4, "action and index do not fit"))
    return action, index


def _is_picture(value: object) -> bool:
    told = _DATA_URL.fullmatch(value) if isinstance(value, str) else None
    if told is None:
        return False
    try:
        read_header(base64.b64decode(told[1], validate=True))
    except (ValueError, BadImage):
        return False
    return True


def _four(words: str, seed: int, width_px: int, height_px: int) -> tuple[Picture, ...]:
    return tuple(
        Picture(words, "midjourney", (seed + place) % 2**32, width_px, height_px, _MADE_OF)
        for place in range(4)
    )


def _task_id() -> str:
    return f"{time.time_ns() // 1_000_000}{secrets.randbelow(10**6):06d}"


# -- answers ---------------------------------------------------------------------------------------

_REASONS = {
    "moderation_output": "[Action needed to continue] Your image was blocked by our content filters",
    "task_error": "[Invalid parameter] Invalid value",
}


def _charge(call: Call, order: Order, reason: str) -> Charged:
    return Charged(call.id, "midjourney", order.dollars, reason, time.time())


def _said(code: int, description: str, *, result: str | None = None, properties: Any = None) -> Answer:
    body: dict[str, Any] = {"code": code, "description": description}
    if result is not None:
        body["result"] = result
    if properties is not None:
        body["properties"] = properties
    return Answer.of_json(200, body)


def _code_of(answer: Answer) -> object:
    document = parsed(answer.body)
    return document.get("code") if isinstance(document, dict) else answer.status


def _unauthorized() -> Answer:
    return Answer(401, b"Authorization header missing.", media_type="text/plain; charset=utf-8")


def _buttons(task: Task) -> list[dict[str, Any]]:
    """Of a grid: four to take alone, four to vary. One alone offers others, which are not simulated."""
    if len(task.work.pictures) != 4:
        ids = {"Vary (Subtle)": f"MJ::JOB::low_variation::1::{task.work.job}::SOLO"}
    else:
        ids = {
            f"{letter}{index}": f"MJ::JOB::{job}::{index}::{task.work.job}"
            for letter, job in (("U", "upsample"), ("V", "variation"))
            for index in range(1, 5)
        }
    return [
        {"customId": custom_id, "emoji": "", "label": label, "style": 2, "type": 2}
        for label, custom_id in ids.items()
    ]


async def _tell(client: httpx.AsyncClient, url: str, shown: dict[str, Any]) -> None:
    # Where nobody listens it is not told again.
    with contextlib.suppress(httpx.HTTPError):
        await client.post(url, json=shown)


def _recorded(fault: Rule) -> Answer | None:
    """The answer that `fault` puts in place of the work, if it is of that kind."""
    match fault.action:
        case "rate_limited":
            full = _said(23, "Queue is full, please try again later", result=_task_id(), properties={})
            return replace(full, headers=retry_after(fault))
        case "quota":
            refused = {"code": 4, "description": "quota_not_enough ", "type": "upstream_error"}
            return Answer.of_json(400, refused)
        case "bad_key":
            return _unauthorized()
        case "server_error":
            return _said(9, "Submit failed, system error")
        case "overloaded":
            busy = {
                "code": 30,
                "description": "The load of this group is saturated",
                "type": "upstream_error",
            }
            return Answer.of_json(429, busy, retry_after(fault))
        case "html_502":
            return bad_gateway()
        case "moderation_input":
            properties = {"promptEn": fault.prompt or "", "bannedWord": "word"}
            return _said(24, "May contain sensitive words", properties=properties)
        case "answer":
            return scripted(fault)
    return None
