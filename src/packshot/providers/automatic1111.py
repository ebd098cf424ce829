"""AUTOMATIC1111's web UI, and Forge: one POST answers with the pictures in base64. One at a time."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence

from packshot.imaging.header import BadImage
from packshot.kernel.errors import BadAnswer, BadInput, Misconfigured, ProviderError, Refused, TryLater
from packshot.kernel.money import Micros
from packshot.providers.answers import members, read_image, wait_s, words
from packshot.providers.cards import accept, refusal
from packshot.providers.contract import (
    AS_INPUT,
    Account,
    AttemptRef,
    Delivery,
    GeneratedImage,
    ImageRequest,
    Inspection,
    JsonValue,
    Limits,
    ModelCard,
    Option,
    Pending,
    Quote,
    Ticket,
)
from packshot.providers.http import Answer, CallFailed, GuardedClient, NotJson
from packshot.providers.own import (
    CFG_SCALE,
    FREE_QUOTE,
    RESOLUTION,
    SHAPES,
    STEPS,
    TOO_SMALL,
    answered,
    check_seed,
    is_out_of_memory,
    pictures,
    size_of,
)
from packshot.providers.redact import redacted, scrubbed

_DEADLINE_S = 300  # the longest that a worker waits for one answer
_LOOK_DEADLINE_S = 20
_BYTES_PER_IMAGE = 40 * 1024 * 1024
_JSON_BYTES = 4 * 1024 * 1024
_ERROR_WAIT_S = 10.0
_MOST_IMAGES = 4

_SAMPLER = Option(
    "sampler",
    "Sampler",
    "text",
    "",
    maximum=60,
    help="By its name there, such as DPM++ 2M; empty: the usual one.",
)
_STRENGTH = Option(
    "denoising_strength",
    "How much changes",
    "choice",
    "0.6",
    tuple(f"{twentieth / 20:g}" for twentieth in range(1, 21)),
    help="Near 0 the picture stays as it is, 1 does as if there were none.",
)
_COMMON = (RESOLUTION, STEPS, CFG_SCALE, _SAMPLER)
_NOTE = "Made by the checkpoint that is loaded on your own machine."
CARDS = (
    ModelCard(
        id="txt2img",
        label="Stable Diffusion",
        provider="automatic1111",
        delivery="direct",
        deadline_s=_DEADLINE_S,
        shapes=SHAPES,
        max_images=_MOST_IMAGES,
        takes_seed=True,
        takes_negative_prompt=True,
        options=_COMMON,
        typical_s=15,
        note=_NOTE,
    ),
    ModelCard(
        id="img2img",
        label="Stable Diffusion, from a picture",
        provider="automatic1111",
        delivery="direct",
        deadline_s=_DEADLINE_S,
        shapes=(AS_INPUT, *SHAPES),
        max_images=_MOST_IMAGES,
        takes_seed=True,
        takes_negative_prompt=True,
        options=(_STRENGTH, *_COMMON),
        typical_s=15,
        note=_NOTE,
        kind="edit",
        min_inputs=1,
        max_inputs=1,
    ),
)


class Automatic1111:
    """Stable Diffusion on a machine of the team's, behind AUTOMATIC1111's API."""

    name = "automatic1111"
    label = "AUTOMATIC1111"
    key_variable = "AUTOMATIC1111_AUTH"  # user:password, as its --api-auth has it
    variables = ("AUTOMATIC1111_URL",)
    needs_url = True
    on_simulator = False
    default_base_url = "http://localhost:7860"
    hosts = ()
    limits = Limits(in_flight=1)  # a second call waits in the machine, where our deadline runs
    free = True
    billed_by_list = True

    def __init__(self, account: Account, client: GuardedClient) -> None:
        self._key = account.key
        self._client = client
        # Its parts, too: whoever repeats a sign-in in a message may repeat any of them.
        _, _, password = self._key.partition(":")
        self._secrets = [self._key, password, base64.b64encode(self._key.encode()).decode()]

    def models(self) -> tuple[ModelCard, ...]:
        return CARDS

    def quote(self, request: ImageRequest) -> Quote:
        wire_request(request)
        return FREE_QUOTE

    def size(self, request: ImageRequest) -> tuple[int, int] | None:
        _, options = accept(request, CARDS)
        return size_of(request, options["resolution"])

    async def submit(self, request: ImageRequest, attempt: AttemptRef) -> Ticket | Delivery:
        try:
            body = wire_request(request)
        except BadInput as error:
            raise refusal(error) from error
        if request.model == "img2img":
            body["init_images"] = [base64.b64encode(each.content).decode() for each in pictures(request)]
        answer = await answered(
            self._client.post(
                f"/sdapi/v1/{request.model}",
                json_body=body,
                headers=self._with_key(),
                deadline_s=min(attempt.deadline_s, _DEADLINE_S),
                max_bytes=request.images * _BYTES_PER_IMAGE,
            )
        )
        if answer.status != 200:
            raise self._told(answer, _trouble(answer, self._secrets))
        return self._delivery(answer, request)

    async def collect(self, ticket: Ticket, attempt: AttemptRef) -> Delivery | Pending:
        # No ticket of ours exists: the call that asks is the one that delivers.
        raise BadAnswer("AUTOMATIC1111 keeps no result to collect.", kind="bad_answer", charge="free")

    async def inspect(self) -> Inspection:
        """Ask which checkpoints there are."""
        try:
            answer = await self._client.get(
                "/sdapi/v1/sd-models",
                headers=self._with_key(),
                deadline_s=_LOOK_DEADLINE_S,
                max_bytes=_JSON_BYTES,
            )
        except (CallFailed, Misconfigured) as trouble:
            return Inspection(
                None, f"AUTOMATIC1111 cannot be asked: {scrubbed(str(trouble), secrets=self._secrets)}"
            )
        if answer.status in (401, 403):
            return Inspection(False, f"AUTOMATIC1111 refuses the sign-in ({self.key_variable}).")
        if answer.status == 404:
            return Inspection(None, _NO_API)
        if answer.status != 200:
            return Inspection(None, f"AUTOMATIC1111 answers {answer.status}.")
        return Inspection(True if self._key else None, "AUTOMATIC1111 answers.")

    def _delivery(self, answer: Answer, request: ImageRequest) -> Delivery:
        try:
            document = members(answer.json())
        except NotJson as error:
            trouble = BadAnswer(str(error), kind="bad_answer", charge="free")
            raise self._told(answer, trouble) from error
        images, problem = _images(document.get("images"), request.images)
        if not images:
            raise self._told(answer, BadAnswer(problem, kind="bad_answer", charge="free"))
        raw = redacted(_kept(answer, document), secrets=self._secrets)
        return Delivery(images, Micros(0), None, raw, _seed(document))

    def _told(self, answer: Answer, trouble: ProviderError) -> ProviderError:
        trouble.raw = redacted(answer, secrets=self._secrets)
        return trouble

    def _with_key(self) -> dict[str, str]:
        if not self._key:
            return {}
        user, colon, _ = self._key.partition(":")
        if not user or not colon or not self._key.isprintable():
            raise Misconfigured(f"{self.key_variable} must be user:password.", kind="bad_key")
        return {"authorization": f"Basic {self._secrets[-1]}"}


def wire_request(request: ImageRequest) -> dict[str, JsonValue]:
    """The body of one call, without its picture. Raises BadInput for what no call could ask."""
    card, options = accept(request, CARDS)
    check_seed(request)
    width_px, height_px = size_of(request, options["resolution"])
    body: dict[str, JsonValue] = {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "width": width_px,
        "height": height_px,
        "steps": options["steps"],
        "cfg_scale": float(options["cfg_scale"]),
        "seed": -1 if request.seed is None else request.seed,
        # One after the other: as many at once may not fit into the GPU's memory.
        "batch_size": 1,
        "n_iter": request.images,
        "send_images": True,
        "save_images": False,
        # Otherwise a contact sheet of all of them comes first.
        "do_not_save_grid": True,
    }
    if options["sampler"].strip():
        body["sampler_name"] = options["sampler"].strip()
    if card.id == "img2img":
        body["denoising_strength"] = float(options["denoising_strength"])
        body["resize_mode"] = 1  # crop and resize; the usual one stretches
    return body


_NO_API = "AUTOMATIC1111 does not serve its API: start it with --api."


def _trouble(answer: Answer, secrets: Sequence[str]) -> ProviderError:
    """What a complete answer without a picture means. Nothing costs anything here."""
    try:
        document = members(answer.json())
    except NotJson:
        document = {}
    told = _told(document)
    message = scrubbed(told, secrets=secrets)[:500]
    reason = message or f"AUTOMATIC1111 answered {answer.status} without saying why."
    status = answer.status
    if is_out_of_memory(told):
        return Refused(f"{TOO_SMALL} ({message})"[:500], kind="bad_request")
    if status in (401, 403):
        return Misconfigured(reason, kind="bad_key")
    if status == 404 and message in ("", "Not Found"):
        return Misconfigured(_NO_API, kind="unreachable")
    if status >= 500 or status in (408, 429) or status < 400:
        kind_wait = wait_s(answer, default=_ERROR_WAIT_S)
        busy = status in (429, 503)
        return TryLater(reason, after_s=kind_wait, kind="overloaded" if busy else "server_error")
    return Refused(reason, kind="bad_request")


def _told(document: Mapping[str, object]) -> str:
    """The words of an error: FastAPI's list of what is wrong where, or what went wrong inside."""
    detail = document.get("detail")
    if isinstance(detail, list):
        faults = [members(fault) for fault in detail[:5]]
        return "; ".join(f"{_place(fault)}: {words(fault.get('msg'))}" for fault in faults)
    inside = f"{words(document.get('error'))}: {words(document.get('errors'))}".strip(": ")
    return words(detail) or inside


def _place(fault: Mapping[str, object]) -> str:
    place = fault.get("loc")
    return ".".join(str(part) for part in place[1:5]) if isinstance(place, list) else "request"


def _images(sent: object, wanted: int) -> tuple[list[GeneratedImage], str]:
    """The readable pictures, the last `wanted` of them: a contact sheet would stand before them."""
    images: list[GeneratedImage] = []
    problem = "The answer holds no image."
    for encoded in sent if isinstance(sent, list) else ():
        text = words(encoded)
        if not text:
            continue
        try:
            images.append(read_image(base64.b64decode(text.partition("base64,")[2] or text, validate=True)))
        except (binascii.Error, ValueError) as error:
            problem = str(error) if isinstance(error, BadImage) else "The image is not valid base64."
    return images[-wanted:], problem


def _seed(document: Mapping[str, object]) -> int | None:
    """The first picture's seed, which stands in a text that holds JSON."""
    try:
        seed = members(json.loads(words(document.get("info")))).get("seed")
    except (ValueError, RecursionError):
        return None
    return seed if type(seed) is int and 0 <= seed < 2**63 else None


def _kept(answer: Answer, document: Mapping[str, object]) -> Answer:
    """The answer without its pictures, which would fill what is kept of it."""
    pictures_ = document.get("images")
    count = len(pictures_) if isinstance(pictures_, list) else 0
    facts = {name: value for name, value in document.items() if name != "images"}
    return Answer(
        answer.status,
        answer.headers,
        json.dumps({**facts, "images": f"{count} pictures"}, default=str).encode(),
    )
