"""ComfyUI on a machine of the team's: queue a workflow, look for its end, fetch its pictures.

We choose the number of the job ourselves, the attempt's own, so that an answer that gets lost loses nothing:
the same number is looked for all the same, and no second job is ever queued.
"""

import hashlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote as url_quote
from urllib.parse import urlencode

from packshot.imaging.header import BadImage
from packshot.kernel.errors import (
    BadAnswer,
    BadInput,
    Misconfigured,
    ProviderError,
    Refused,
    TryLater,
)
from packshot.kernel.faults import fault_point
from packshot.kernel.money import Micros
from packshot.providers.answers import members, read_image, told_at, told_by, usable_key, wait_s, words
from packshot.providers.cards import accept, refusal
from packshot.providers.comfyui_workflow import IMAGES, PLAIN, Workflow
from packshot.providers.contract import (
    AS_INPUT,
    Account,
    AttemptRef,
    Delivery,
    GeneratedImage,
    ImageRequest,
    InputImage,
    Inspection,
    JsonValue,
    Limits,
    ModelCard,
    Option,
    Pending,
    Quote,
    Ticket,
)
from packshot.providers.http import (
    Answer,
    CallFailed,
    Cut,
    Deadline,
    GuardedClient,
    NotJson,
    NotSent,
    Redirected,
    TooLarge,
)
from packshot.providers.multipart import Upload, form
from packshot.providers.own import (
    CFG_SCALE,
    FREE_QUOTE,
    RESOLUTION,
    SEEDS,
    SHAPES,
    STEPS,
    TOO_SMALL,
    answered,
    check_seed,
    is_out_of_memory,
    pictures,
    size_of,
    unreachable,
)
from packshot.providers.redact import redacted, scrubbed

_DEADLINE_S = 900
_ASK_DEADLINE_S = 30
_UPLOAD_DEADLINE_S = 120
_DOWNLOAD_DEADLINE_S = 60
_JSON_BYTES = 16 * 1024 * 1024  # a queue repeats every workflow that waits in it
_IMAGE_BYTES = 32 * 1024 * 1024
_ERROR_WAIT_S = 10.0
_MOST_IMAGES = 4
# A job that is neither queued nor done right after it was sent may be on its way between the two.
_LOST_AFTER_S = 20.0
_LOOK_INTO_QUEUE_AFTER_S = 5.0

_SAMPLER = Option("sampler", "Sampler", "text", "euler", maximum=60, help="By its name in ComfyUI.")
_OPTIONS = {"steps": STEPS, "cfg": CFG_SCALE, "sampler": _SAMPLER}
_JOB = re.compile(r"[!-~]{1,200}")
_MEDIA_ENDINGS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


class ComfyUI:
    """A workflow of the team's, or the plain one with a checkpoint of theirs."""

    name = "comfyui"
    label = "ComfyUI"
    key_variable = "COMFYUI_KEY"  # of what stands before it: ComfyUI itself asks for none
    variables = ("COMFYUI_URL", "COMFYUI_WORKFLOW", "COMFYUI_CHECKPOINT")
    needs_url = True
    on_simulator = False
    default_base_url = "http://localhost:8188"
    hosts = ()
    limits = Limits(in_flight=2)  # one at work, and one that waits behind it
    free = True
    billed_by_list = True

    def __init__(self, account: Account, client: GuardedClient) -> None:
        self._key = account.key
        self._client = client
        self._checkpoint = account.values.get("COMFYUI_CHECKPOINT", "")
        path = account.values.get("COMFYUI_WORKFLOW", "")
        self._workflows: dict[str, Workflow] = {}
        if path:
            self._workflows["workflow"] = Workflow.read(path)
            if "checkpoint" in self._workflows["workflow"].wants and not self._checkpoint:
                raise BadInput(
                    "COMFYUI_WORKFLOW wants a {{checkpoint}}: set COMFYUI_CHECKPOINT.",
                    field="COMFYUI_CHECKPOINT",
                )
        elif not self._checkpoint and account.values:
            raise BadInput(
                "Set COMFYUI_CHECKPOINT to the file name of a checkpoint, or COMFYUI_WORKFLOW to a workflow.",
                field="COMFYUI_CHECKPOINT",
            )
        if self._checkpoint or not path:
            self._workflows["text-to-image"] = Workflow.of(PLAIN)
        self._models = tuple(_card(name, workflow) for name, workflow in self._workflows.items())

    def models(self) -> tuple[ModelCard, ...]:
        return self._models

    def quote(self, request: ImageRequest) -> Quote:
        self._accept(request)
        return FREE_QUOTE

    async def submit(self, request: ImageRequest, attempt: AttemptRef) -> Ticket | Delivery:
        try:
            values = self._accept(request)
        except BadInput as error:
            raise refusal(error) from error
        headers = self._with_key()
        for name, picture in zip(IMAGES, pictures(request), strict=False):
            values[name] = await self._uploaded(picture, headers, attempt)
        # Without a wish, each attempt draws its own picture.
        values["seed"] = request.seed if request.seed is not None else attempt.id.int % SEEDS
        job = str(attempt.id)
        body = {"prompt": self._workflows[request.model].filled(values), "prompt_id": job, "client_id": job}
        state: dict[str, JsonValue] = {
            "prompt_id": job,
            "images": request.images,
            "seed": values["seed"],
            "submitted_at": time.time(),
        }
        call = self._client.post(
            "/prompt",
            json_body=body,
            headers=headers,
            deadline_s=min(attempt.deadline_s, _ASK_DEADLINE_S),
            max_bytes=_JSON_BYTES,
        )
        try:
            answer = await call
        except (Cut, Deadline, TooLarge):
            # It may have been queued, under the number that we gave it.
            return Ticket(state, request_id=job, cost=Micros(0))
        except (NotSent, Redirected) as error:
            raise unreachable(error) from error
        return self._ticket(answer, state)

    async def collect(self, ticket: Ticket, attempt: AttemptRef) -> Delivery | Pending:
        """Look once. What is neither done nor queued is gone, and free: the flow may ask anew."""
        job = words(ticket.state.get("prompt_id"))
        seen = await self._look(job, ticket, attempt)
        if not isinstance(seen, _NotDone) or seen.age_s < _LOOK_INTO_QUEUE_AFTER_S:
            return Pending(after_s=1.0) if isinstance(seen, _NotDone) else seen
        if await self._is_queued(job, attempt) is not False:
            return Pending(after_s=min(max(seen.age_s / 10, 1.0), 5.0))
        # It may have ended between the two looks.
        seen = await self._look(job, ticket, attempt)
        if not isinstance(seen, _NotDone):
            return seen
        if seen.age_s < _LOST_AFTER_S:
            return Pending(after_s=2.0)
        raise BadAnswer(
            "ComfyUI does not know the job: it was restarted, or the job never came through.",
            kind="server_error",
            charge="free",
            request_id=job,
        )

    async def inspect(self) -> Inspection:
        """Ask how the machine is."""
        try:
            answer = await self._client.get(
                "/system_stats",
                headers=self._with_key(),
                deadline_s=_ASK_DEADLINE_S,
                max_bytes=_JSON_BYTES,
            )
        except (CallFailed, Misconfigured) as trouble:
            return Inspection(None, f"ComfyUI cannot be asked: {scrubbed(str(trouble), secrets=[self._key])}")
        if answer.status in (401, 403):
            return Inspection(False, f"What stands before ComfyUI refuses the key ({self.key_variable}).")
        if answer.status != 200:
            return Inspection(None, f"ComfyUI answers {answer.status}.")
        version = words(members(_document(answer).get("system")).get("comfyui_version"))[:40]
        return Inspection(True if self._key else None, f"ComfyUI {version} answers.".replace("  ", " "))

    # -- asking ---------------------------------------------------------------------------------

    def _accept(self, request: ImageRequest) -> dict[str, JsonValue]:
        """What fills the placeholders, but for pictures and the seed. Raises BadInput."""
        _, options = accept(request, self._models)
        check_seed(request)
        width_px, height_px = size_of(request, options.get("resolution") or "1024")
        return {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt,
            "width": width_px,
            "height": height_px,
            "images": request.images,
            "steps": options.get("steps"),
            "cfg": float(options["cfg_scale"]) if "cfg_scale" in options else None,
            "sampler": options.get("sampler"),
            "checkpoint": self._checkpoint,
        }

    async def _uploaded(self, picture: InputImage, headers: Mapping[str, str], attempt: AttemptRef) -> str:
        """The name under which ComfyUI has the picture now; the same picture has the same."""
        name = f"{hashlib.sha256(picture.content).hexdigest()[:32]}.{_MEDIA_ENDINGS[picture.media_type]}"
        content, media_type = form(
            [
                ("image", Upload(name, picture.media_type, picture.content)),
                ("type", "input"),
                ("subfolder", "packshot"),
                ("overwrite", "true"),
            ]
        )
        answer = await answered(
            self._client.post_bytes(
                "/upload/image",
                content=content,
                media_type=media_type,
                headers=headers,
                deadline_s=min(attempt.deadline_s, _UPLOAD_DEADLINE_S),
                max_bytes=_JSON_BYTES,
            )
        )
        document = _document(answer)
        kept, folder = words(document.get("name")), words(document.get("subfolder"))
        if answer.status != 200 or not kept:
            raise told_by(answer, _trouble(answer, self._key), key=self._key)
        return f"{folder}/{kept}" if folder else kept

    def _ticket(self, answer: Answer, state: dict[str, JsonValue]) -> Ticket:
        if answer.status != 200:
            raise told_by(answer, _trouble(answer, self._key), key=self._key)
        # Older versions give numbers themselves.
        told = words(_document(answer).get("prompt_id"))
        job = told if _JOB.fullmatch(told) else state["prompt_id"]
        state = {**state, "prompt_id": job, "submitted_at": told_at(answer)}
        return Ticket(state, request_id=job, cost=Micros(0))

    # -- looking --------------------------------------------------------------------------------

    async def _look(self, job: str, ticket: Ticket, attempt: AttemptRef) -> "Delivery | Pending | _NotDone":
        answer = await self._asked(f"/history/{url_quote(job, safe='')}", attempt)
        if answer is None:
            return Pending(after_s=2.0)
        entry = members(_document(answer).get(job))
        if not entry:
            # Both by the machine's clock where it tells one: ours may be wrong, or have jumped since.
            return _NotDone(told_at(answer) - ticket.state.get("submitted_at", 0))
        fault_point("ticket.ready")
        raw = _kept(answer, job, entry)
        failure = _failure(members(entry.get("status")), self._key)
        if failure is not None:
            failure.request_id = job
            raise told_by(raw, failure, key=self._key)
        return await self._fetch(job, entry, ticket, attempt, redacted(raw, secrets=[self._key]))

    async def _is_queued(self, job: str, attempt: AttemptRef) -> bool | None:
        """Whether the job runs or waits; None when nobody says."""
        answer = await self._asked("/queue", attempt)
        if answer is None:
            return None
        document = _document(answer)
        queues = (document.get("queue_running"), document.get("queue_pending"))
        if not all(isinstance(each, list) for each in queues):
            return None
        entries = [entry for queue in queues if isinstance(queue, list) for entry in queue]
        return any(isinstance(entry, list) and job in entry[1:2] for entry in entries)

    async def _asked(self, path: str, attempt: AttemptRef) -> Answer | None:
        """A complete 200, or None: asking is free, and a machine that is busy answers later."""
        try:
            answer = await self._client.get(
                path,
                headers=self._with_key(),
                deadline_s=min(attempt.deadline_s, _ASK_DEADLINE_S),
                max_bytes=_JSON_BYTES,
            )
        except CallFailed:
            return None
        if answer.status in (401, 403):
            raise told_by(answer, Misconfigured("ComfyUI refuses the key.", kind="bad_key"), key=self._key)
        return answer if answer.status == 200 else None

    async def _fetch(
        self, job: str, entry: Mapping[str, object], ticket: Ticket, attempt: AttemptRef, raw: str
    ) -> "Delivery | Pending":
        images: list[GeneratedImage] = []
        problem = "The workflow ended without a picture: it needs a node such as SaveImage."
        for picture in _outputs(entry)[: int(ticket.state.get("images", 1))]:
            try:
                # Not a download: what stands before ComfyUI wants the key for this, too.
                answer = await self._client.get(
                    f"/view?{urlencode(picture)}",
                    headers=self._with_key(),
                    deadline_s=min(attempt.deadline_s, _DOWNLOAD_DEADLINE_S),
                    max_bytes=_IMAGE_BYTES,
                )
                if answer.status >= 500 or answer.status == 429:
                    return Pending(after_s=2.0)
                if answer.status != 200:
                    problem = f"The picture cannot be fetched: {answer.status}."
                    continue
                images.append(read_image(answer.body))
            except (BadImage, TooLarge, Redirected) as error:
                problem = f"The picture cannot be used: {error}"
            except CallFailed:
                return Pending(after_s=2.0)  # the machine keeps it
        if not images:
            raise BadAnswer(problem, kind="bad_answer", charge="free", request_id=job, raw=raw)
        seed = ticket.state.get("seed")
        return Delivery(images, Micros(0), job, raw, seed if type(seed) is int else None)

    def _with_key(self) -> dict[str, str]:
        if not self._key:
            return {}
        return {"authorization": f"Bearer {usable_key(self._key, self.key_variable)}"}


@dataclass(frozen=True, slots=True)
class _NotDone:
    age_s: float


def _card(name: str, workflow: Workflow) -> ModelCard:
    wants, given = workflow.wants, workflow.pictures
    sized = {"width", "height"} <= wants
    shapes = (*([AS_INPUT] if given else []), *(SHAPES if sized else []))
    return ModelCard(
        id=name,
        label="Plain text to picture" if name == "text-to-image" else "Your workflow",
        provider="comfyui",
        delivery="ticket",
        deadline_s=_DEADLINE_S,
        shapes=shapes,
        max_images=_MOST_IMAGES if "images" in wants else 1,
        takes_seed="seed" in wants,
        options=(
            *([RESOLUTION] if sized else []),
            *(option for placeholder, option in _OPTIONS.items() if placeholder in wants),
        ),
        typical_s=20,
        note="Made by ComfyUI on your own machine.",
        kind="edit" if given else "generate",
        needs_prompt="prompt" in wants,
        prompt_limit=32_000 if "prompt" in wants else 0,
        takes_negative_prompt="negative_prompt" in wants,
        min_inputs=given,
        max_inputs=given,
    )


# -- answers -----------------------------------------------------------------------------------------


def _trouble(answer: Answer, key: str) -> ProviderError:
    """What a complete answer without a job means. Nothing costs anything here."""
    told = scrubbed(_told(_document(answer)), secrets=[key])[:500]
    reason = told or f"ComfyUI answered {answer.status} without saying why."
    status = answer.status
    if status in (401, 403):
        return Misconfigured(reason, kind="bad_key")
    if status in (404, 405):
        return Misconfigured(f"{reason} Check COMFYUI_URL: no ComfyUI answers there.", kind="unreachable")
    if status >= 500 or status in (200, 408, 429):
        wait = wait_s(answer, default=_ERROR_WAIT_S)
        busy = status in (429, 503)
        return TryLater(reason, after_s=wait, kind="overloaded" if busy else "server_error")
    return Refused(reason, kind="bad_request")


def _told(document: Mapping[str, object]) -> str:
    """What ComfyUI found wrong with a workflow, and in which node."""
    error = document.get("error")
    said = [words(error) or words(members(error).get("message"))]
    for number, node in list(members(document.get("node_errors")).items())[:3]:
        faults = members(node).get("errors")
        for fault in faults[:2] if isinstance(faults, list) else ():
            detail = words(members(fault).get("details"))[:200] or words(members(fault).get("message"))
            said.append(f"{words(members(node).get('class_type'))} ({number[:40]}): {detail}")
    return "; ".join(filter(None, said))


def _failure(status: Mapping[str, object], key: str) -> ProviderError | None:
    """How a job ended that ended badly."""
    if status.get("status_str") != "error":
        return None
    messages = status.get("messages")
    told: dict[str, Mapping[str, object]] = {}
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, list) and len(message) == 2 and isinstance(message[0], str):
            told[message[0]] = members(message[1])
    if "execution_interrupted" in told:
        return Refused("The job was interrupted at ComfyUI.", kind="bad_request")
    error = told.get("execution_error", {})
    what = f"{words(error.get('exception_type'))} {words(error.get('exception_message'))}"
    reason = scrubbed(f"{words(error.get('node_type'))}: {what}", secrets=[key]).strip(": ")[:500]
    if is_out_of_memory(what):
        return Refused(f"{TOO_SMALL} ({reason})"[:500], kind="bad_request")
    return BadAnswer(reason or "The job failed at ComfyUI.", kind="server_error", charge="free")


def _outputs(entry: Mapping[str, object]) -> list[dict[str, str]]:
    """Where the pictures of a finished job are: those that were saved, else those that were only shown."""
    found: list[dict[str, str]] = []
    for _, output in sorted(members(entry.get("outputs")).items()):
        images = members(output).get("images")
        for image in images if isinstance(images, list) else ():
            told = members(image)
            place = {name: words(told.get(name)) for name in ("filename", "subfolder", "type")}
            # A name that cannot be printed cannot be asked for either: half characters, line ends.
            if place["filename"] and all(each.isprintable() and len(each) < 1000 for each in place.values()):
                found.append(place)
    saved = [place for place in found if place["type"] == "output"]
    return saved or found


def _kept(answer: Answer, job: str, entry: Mapping[str, object]) -> Answer:
    """What is kept of a finished job: its end, not the workflow that it repeats."""
    facts = {"prompt_id": job, "status": entry.get("status"), "outputs": entry.get("outputs")}
    return Answer(answer.status, answer.headers, json.dumps(facts, default=str).encode())


def _document(answer: Answer) -> Mapping[str, object]:
    try:
        return members(answer.json())
    except NotJson:
        return {}
