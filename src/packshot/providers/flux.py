"""Black Forest Labs (FLUX): submit, poll the address that the answer names, fetch the link at once."""

import asyncio
import base64
import hmac
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote as url_quote
from urllib.parse import urlsplit

from packshot.imaging.header import BadImage
from packshot.kernel.errors import (
    BadAnswer,
    BadInput,
    Misconfigured,
    ProviderError,
    Refused,
    TryLater,
    Unsure,
)
from packshot.kernel.faults import fault_point
from packshot.providers.answers import (
    members,
    paid,
    read_image,
    told_at,
    told_by,
    usable_key,
    wait_s,
    words,
)
from packshot.providers.cards import accept, refusal
from packshot.providers.contract import (
    Account,
    AttemptRef,
    CallbackAddress,
    Delivery,
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
from packshot.providers.http import Answer, Blocked, CallFailed, GuardedClient, NotJson, Redirected, TooLarge
from packshot.providers.prices import flux_prices
from packshot.providers.redact import redacted, scrubbed

_DEADLINE_S = 300
_SUBMIT_DEADLINE_S = 60  # a submission only takes the order
_POLL_DEADLINE_S = 30
# Of one try. Links live ten minutes and are given out anew at each look: a connection that fell silent must
# not take all the time there is, and with it a picture that was paid for.
_DOWNLOAD_DEADLINE_S = 60
_JSON_BYTES = 1024 * 1024
_IMAGE_BYTES = 32 * 1024 * 1024
# Some clients see "Task not found" for a moment after a submission that worked.
_GRACE_S = 10.0
# A number of a task: what a URL and a database can hold.
_TASK = re.compile(r"[!-~]{1,200}")
# An order with a webhook is answered without a polling address, and the global host may not know a task of
# a region: then the regions are asked, too. Not documented; asking is free.
_GLOBAL = "https://api.bfl.ai"
_REGIONS = ("https://api.eu.bfl.ai", "https://api.us.bfl.ai")
_WEBHOOK_URL_MOST = 2083
_BUSY_WAIT_S = 5.0
_ERROR_WAIT_S = 10.0
# Of one picture that goes in, by the adapter's reading of "20 MB": of its base64.
_INPUT_CHARS = 20_000_000
_INPUT_PIXELS = 20_000_000
_INPUT_PIXELS_3 = 16_000_000
_INPUT_SIDE_3 = 256

# FLUX.2: about one megapixel, which is where its price steps up; multiples of 16.
_SIZES_2 = {
    "1:1": (1024, 1024),
    "4:5": (896, 1120),
    "3:4": (864, 1152),
    "2:3": (832, 1248),
    "9:16": (720, 1280),
    "5:4": (1120, 896),
    "4:3": (1152, 864),
    "3:2": (1248, 832),
    "16:9": (1280, 720),
}
# FLUX.1: multiples of 32 from 256 to 1440. 16:9 has no exact fit; cropping evens it out later.
_SIZES_1 = {
    "1:1": (1024, 1024),
    "4:5": (1024, 1280),
    "3:4": (1056, 1408),
    "2:3": (960, 1440),
    "9:16": (736, 1312),
    "5:4": (1280, 1024),
    "4:3": (1408, 1056),
    "3:2": (1440, 960),
    "16:9": (1312, 736),
}
_RATIOS = (*_SIZES_2, "21:9", "9:21")
_RATIOS_3 = (*_RATIOS, "2:1", "7:5", "5:7", "1:2")

_FORMAT = Option("output_format", "File format", "choice", "png", ("png", "jpeg", "webp"))
_UPSAMPLING = Option("prompt_upsampling", "Rewrite the prompt", "boolean", None)
_STEPS = Option("steps", "Steps", "integer", None, minimum=1, maximum=50)
_RESOLUTION = Option("resolution", "Resolution", "choice", "1k", ("768sq", "1k", "1.5k", "2k", "4k"))
_GROUNDING = Option("grounding", "Look facts up", "boolean", None)
_RAW = Option("raw", "Less processed", "boolean", None)


def _tolerance(most: int) -> Option:
    return Option(
        "safety_tolerance", "Safety tolerance", "integer", 2, minimum=0, maximum=most, help="0 is strictest."
    )


def _guidance(most: int) -> Option:
    halves = (f"{half / 2:g}" for half in range(3, 2 * most + 1))
    return Option("guidance", "Guidance", "choice", None, tuple(halves))


_COMMON_2 = (_FORMAT, _tolerance(5))
_COMMON_1 = (_FORMAT, _tolerance(6), _UPSAMPLING)


def _card(
    model: str,
    label: str,
    options: tuple[Option, ...] = _COMMON_2,
    shapes: tuple[str, ...] = tuple(_SIZES_2),
    *,
    takes_seed: bool = True,
    typical_s: float = 10,
    note: str = "",
    pictures: int = 8,
) -> ModelCard:
    return ModelCard(
        id=model,
        label=label,
        provider="flux",
        delivery="ticket",
        deadline_s=_DEADLINE_S,
        shapes=shapes,
        takes_seed=takes_seed,
        options=options,
        typical_s=typical_s,
        note=note,
        max_inputs=pictures,
    )


_CARDS_2 = (
    _card("flux-2-pro", "FLUX.2 pro"),
    _card("flux-2-max", "FLUX.2 max", typical_s=20),
    _card("flux-2-flex", "FLUX.2 flex", (*_COMMON_2, _UPSAMPLING, _STEPS, _guidance(10)), typical_s=20),
    _card("flux-2-klein-9b", "FLUX.2 klein 9B", typical_s=3, pictures=4),
    _card("flux-2-klein-4b", "FLUX.2 klein 4B", typical_s=2, pictures=4),
    _card("flux-2-pro-preview", "FLUX.2 pro preview", note="Its behaviour changes without notice."),
)
_CARDS_3 = (
    _card(
        "flux-3-image",
        "FLUX 3 Image",
        (_RESOLUTION, _tolerance(4), _GROUNDING),
        _RATIOS_3,
        takes_seed=False,
        typical_s=20,
        note="The price of 1.5k is not known.",
        pictures=10,
    ),
)
_CARDS_1 = (
    _card("flux-pro-1.1", "FLUX1.1 pro", _COMMON_1, tuple(_SIZES_1), pictures=1),
    _card("flux-dev", "FLUX.1 dev", (*_COMMON_1, _STEPS, _guidance(5)), tuple(_SIZES_1), pictures=1),
)
_CARD_ULTRA = _card("flux-pro-1.1-ultra", "FLUX1.1 pro ultra", (*_COMMON_1, _RAW), _RATIOS, pictures=1)
_CARDS_RATIO = (
    _CARD_ULTRA,
    _card("flux-kontext-pro", "FLUX.1 Kontext pro", _COMMON_1, _RATIOS, note="An older model.", pictures=4),
    _card("flux-kontext-max", "FLUX.1 Kontext max", _COMMON_1, _RATIOS, note="An older model.", pictures=4),
)
CARDS = (*_CARDS_2, *_CARDS_3, *_CARDS_1, *_CARDS_RATIO)


class Flux:
    """FLUX over the Black Forest Labs API."""

    name = "flux"
    label = "FLUX"
    key_variable = "FLUX_API_KEY"
    default_base_url = "https://api.bfl.ai"
    # Polling hosts vary by region (api.eu.bfl.ai, api.us1.bfl.ai), delivery hosts too (delivery-us1.bfl.ai).
    hosts = ("*.bfl.ai",)
    limits = Limits(in_flight=24)  # submitted and unfinished tasks; the next one is a 429
    free = False

    def __init__(self, account: Account, client: GuardedClient) -> None:
        self._key = account.key
        self._client = client

    def models(self) -> tuple[ModelCard, ...]:
        return CARDS

    def quote(self, request: ImageRequest) -> Quote:
        _, body = _body(request)
        return flux_prices().quote(
            request.model,
            pixels=body.get("width", 0) * body.get("height", 0),
            resolution=body.get("resolution", ""),
            inputs=[each.width_px * each.height_px for each in request.inputs],
        )

    def size(self, request: ImageRequest) -> tuple[int, int] | None:
        _, body = _body(request)
        return (body["width"], body["height"]) if "width" in body else None

    async def submit(self, request: ImageRequest, attempt: AttemptRef) -> Ticket | Delivery:
        try:
            body = wire_request(request, attempt.callback)
        except BadInput as error:
            raise refusal(error) from error
        if not all(picture.content for picture in request.inputs):
            raise Refused("A picture of the request has no bytes.", kind="bad_input_image")
        # Pictures make it long: written on a thread, while other calls go on.
        content = await asyncio.to_thread(_written, body) if request.inputs else _written(body)
        answer = await paid(
            self._client.post_bytes(
                f"/v1/{request.model}",
                content=content,
                media_type="application/json",
                headers=self._with_key(),
                deadline_s=min(attempt.deadline_s, _SUBMIT_DEADLINE_S),
                max_bytes=_JSON_BYTES,
            )
        )
        if not 200 <= answer.status < 300:
            raise told_by(answer, _trouble(answer, self._key), key=self._key)
        return self._ticket(answer)

    async def collect(self, ticket: Ticket, attempt: AttemptRef) -> Delivery | Pending:
        """Look once. Ready is fetched in the same breath; for a link that died we ask once more."""
        found = await self._look(ticket, attempt)
        if isinstance(found, _DeadLink):
            found = await self._look(ticket, attempt)
        if isinstance(found, _DeadLink):
            raise BadAnswer(found.why, kind="expired", cost=ticket.cost, request_id=ticket.request_id)
        return found

    async def inspect(self) -> Inspection:
        """The credits that are left, which also proves the key."""
        try:
            answer = await self._client.get(
                "/v1/credits",
                headers=self._with_key(),
                deadline_s=_POLL_DEADLINE_S,
                max_bytes=_JSON_BYTES,
            )
        except Misconfigured as error:
            return Inspection(False, error.reason)
        except CallFailed as error:
            told = scrubbed(str(error), secrets=[self._key])
            return Inspection(None, f"Black Forest Labs could not be asked: {told}")
        if answer.status == 200:
            balance = flux_prices().bill(_document(answer).get("credits"))
            if balance is None:
                # Nothing says that it is theirs: a base URL may lead anywhere.
                return Inspection(None, "The answer names no credits; the base URL may be another service's.")
            return Inspection(True, "The key works.", balance)
        trouble = _trouble(answer, self._key)
        return Inspection(False if answer.status in (401, 403) else None, trouble.reason)

    def _ticket(self, answer: Answer) -> Ticket:
        document = _document(answer)
        cost = flux_prices().bill(document.get("cost"))
        task = words(document.get("id"))
        if not _TASK.fullmatch(task):
            trouble = BadAnswer("The order was taken and has no number.", kind="bad_answer", cost=cost)
            raise told_by(answer, trouble, key=self._key)
        polling_url = words(document.get("polling_url"))
        if not self._client.allows(polling_url):
            # As with a webhook, where the answer names none. The order is paid; this is how to ask for it.
            polling_url = _asking_for(task)
        state = {"id": task, "polling_url": polling_url, "submitted_at": told_at(answer)}
        return Ticket(state, request_id=task, cost=cost)

    # -- callbacks ------------------------------------------------------------------------------

    def vouches(self, body: bytes, headers: Mapping[str, str], secret: str) -> bool | None:
        """By `X-BFL-Signature: sha256=<hex>` over the raw body, as Black Forest Labs' guide has it.

        A widespread client knows the secret itself in `X-Webhook-Secret` instead, and the published
        specification only says "signature verification": both are taken, and neither is required.
        """
        signature = headers.get("x-bfl-signature")
        if signature is not None:
            right = "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()
            return hmac.compare_digest(right.encode(), signature.strip().encode("utf-8", "replace"))
        repeated = headers.get("x-webhook-secret")
        if repeated is not None:
            return hmac.compare_digest(secret.encode(), repeated.strip().encode("utf-8", "replace"))
        return None

    def task_of(self, body: bytes) -> str | None:
        try:
            document = members(json.loads(body))
        except (ValueError, RecursionError):
            return None
        task = words(document.get("id"))
        return task if _TASK.fullmatch(task) else None

    def ticket_of(self, task: str) -> Ticket:
        state = {"id": task, "polling_url": _asking_for(task), "submitted_at": time.time(), "told": True}
        return Ticket(state, request_id=task)

    # -- looking --------------------------------------------------------------------------------

    async def _look(self, ticket: Ticket, attempt: AttemptRef) -> "Delivery | Pending | _DeadLink":
        url = words(ticket.state.get("polling_url"))
        seen = await self._look_at(url, ticket, attempt)
        if isinstance(seen, _NotFound) and url.startswith("/") and self._client.base_url == _GLOBAL:
            for region in _REGIONS:
                elsewhere = await self._look_at(region + url, ticket, attempt)
                if not isinstance(elsewhere, _NotFound):
                    return elsewhere
        if isinstance(seen, _NotFound):
            raise seen.trouble
        return seen

    async def _look_at(
        self, url: str, ticket: Ticket, attempt: AttemptRef
    ) -> "Delivery | Pending | _DeadLink | _NotFound":
        # The key goes to the API's own hosts, never to a delivery host, whatever an answer names. Without
        # one we ask all the same: the number of a task is enough to see it.
        known = self._client.at_base(url) or words(urlsplit(url).hostname).startswith("api.")
        headers = {"x-key": self._key} if known and self._key else {}
        try:
            answer = await self._client.get(
                url,
                headers=headers,
                deadline_s=min(attempt.deadline_s, _POLL_DEADLINE_S),
                max_bytes=_JSON_BYTES,
            )
        except CallFailed:
            return Pending(after_s=1.0)  # asking is free and the order stands
        # Both by the provider's clock: ours may be wrong, or have jumped since.
        age_s = told_at(answer) - ticket.state.get("submitted_at", 0)
        not_yet = Pending(after_s=min(max(age_s / 5, 0.5), 3.0))
        document = _document(answer)
        if document.get("status") == "Ready":
            fault_point("ticket.ready")
            return await self._fetch(ticket, answer, document, attempt)
        trouble = _end_of_task(answer, document, ticket, lost=age_s > _GRACE_S)
        if trouble is None:
            return not_yet
        trouble.request_id = ticket.request_id
        told_by(answer, trouble, key=self._key)
        if words(document.get("status")) in ("", "Task not found"):
            if ticket.state.get("told"):
                # Only a callback named it. That nobody here knows it says nothing about what was charged.
                trouble = Unsure(trouble.reason, kind="expired", request_id=ticket.request_id)
            return _NotFound(trouble)
        raise trouble

    async def _fetch(
        self, ticket: Ticket, answer: Answer, document: Mapping[str, object], attempt: AttemptRef
    ) -> "Delivery | Pending | _DeadLink":
        result = members(document.get("result"))
        raw = redacted(answer, secrets=[self._key])
        try:
            picture = await self._client.download(
                words(result.get("sample")),
                deadline_s=min(attempt.deadline_s, _DOWNLOAD_DEADLINE_S),
                max_bytes=_IMAGE_BYTES,
            )
            if picture.status in (401, 403, 404, 410):
                return _DeadLink(f"The link to the picture answered {picture.status}.")
            if picture.status != 200:
                return Pending(after_s=1.0)
            image = read_image(picture.body)
        except (Blocked, TooLarge, Redirected, BadImage) as error:
            raise BadAnswer(
                f"The picture cannot be used: {error}",
                kind="bad_answer",
                cost=ticket.cost,
                request_id=ticket.request_id,
                raw=raw,
            ) from error
        except CallFailed:
            return Pending(after_s=1.0)  # the next look brings a fresh link
        return Delivery([image], ticket.cost, ticket.request_id, raw, _seed(result.get("seed")))

    def _with_key(self) -> dict[str, str]:
        return {"x-key": usable_key(self._key, self.key_variable)}


@dataclass(frozen=True, slots=True)
class _DeadLink:
    why: str


@dataclass(frozen=True, slots=True)
class _NotFound:
    trouble: ProviderError


def _asking_for(task: str) -> str:
    return f"/v1/get_result?id={url_quote(task, safe='')}"


def _written(body: Mapping[str, JsonValue]) -> bytes:
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()


def wire_request(request: ImageRequest, callback: CallbackAddress | None = None) -> dict[str, JsonValue]:
    """The body of one submission. Raises BadInput for what no submission could ask."""
    card, body = _body(request)
    body |= _pictures(card, request)
    # FLUX 3 takes no webhook, as it takes no field that it does not know.
    if callback is not None and card not in _CARDS_3 and len(callback.url) <= _WEBHOOK_URL_MOST:
        body["webhook_url"], body["webhook_secret"] = callback.url, callback.secret
    return body


def _pictures(card: ModelCard, request: ImageRequest) -> dict[str, JsonValue]:
    """The fields that hold the pictures, each bare base64."""
    encoded = [base64.b64encode(each.content).decode() for each in request.inputs]
    if not encoded:
        return {}
    if card in _CARDS_3:
        return {"images": encoded}
    if card in _CARDS_1 or card is _CARD_ULTRA:
        return {"image_prompt": encoded[0]}
    names = ["input_image", *(f"input_image_{number}" for number in range(2, len(encoded) + 1))]
    return dict(zip(names, encoded, strict=True))


def _check_pictures(card: ModelCard, request: ImageRequest) -> None:
    most = _INPUT_PIXELS_3 if card in _CARDS_3 else _INPUT_PIXELS
    for each in request.inputs:
        size = f"{each.width_px} x {each.height_px} px"
        if -(-each.size_bytes // 3) * 4 > _INPUT_CHARS:
            raise BadInput(
                f"A picture must be smaller than {_INPUT_CHARS * 3 // 4_000_000} MB.", field="inputs"
            )
        if each.width_px * each.height_px > most:
            raise BadInput(
                f"{card.label} takes pictures of at most {most // 1_000_000} megapixels; one is {size}.",
                field="inputs",
            )
        if card in _CARDS_3 and min(each.width_px, each.height_px) < _INPUT_SIDE_3:
            raise BadInput(
                f"{card.label} takes pictures of at least {_INPUT_SIDE_3} px a side; one is {size}.",
                field="inputs",
            )


def _body(request: ImageRequest) -> tuple[ModelCard, dict[str, JsonValue]]:
    """The model's card, and the body of one submission but for its pictures. Raises BadInput."""
    card, options = accept(request, CARDS)
    _check_pictures(card, request)
    body: dict[str, JsonValue] = {"prompt": request.prompt}
    if card in _CARDS_2 or card in _CARDS_1:
        sizes = _SIZES_2 if card in _CARDS_2 else _SIZES_1
        body["width"], body["height"] = sizes[request.shape]
    else:
        body["aspect_ratio"] = request.shape
    # FLUX 3 answers 422 to a seed, as to any field that it does not know.
    if card.takes_seed and request.seed is not None:
        body["seed"] = request.seed
    body |= {name: value for name, value in options.items() if value is not None}
    if "guidance" in body:
        body["guidance"] = float(body["guidance"])
    return card, body


def _end_of_task(
    answer: Answer, document: Mapping[str, object], ticket: Ticket, *, lost: bool
) -> ProviderError | None:
    """How the task ended without a picture; None while it may still make one.

    The status in the body counts, whatever the HTTP status: a failed FLUX 3 task answers 422 or 503 with
    one. Charge table, 2026-11-22: the cost is fixed when the order is taken, and Black Forest Labs does
    not say what becomes of it when the task is moderated or fails: unknown.
    """
    status = words(document.get("status"))
    reason = f"{status}{_details(document)}"
    if status in ("Request Moderated", "Content Moderated"):
        return Refused(reason, kind="refused", charge="unknown", cost=ticket.cost)
    if status in ("Error", "Failed") and answer.status == 422:
        return Refused(reason, kind="bad_request", charge="unknown", cost=ticket.cost)
    if status in ("Error", "Failed"):
        return BadAnswer(reason, kind="server_error", charge="unknown", cost=ticket.cost)
    if status == "Task not found" and lost:
        return BadAnswer("The task is no longer known.", kind="expired", cost=ticket.cost)
    if not status and answer.status in (400, 404, 422) and lost:
        return BadAnswer(
            f"The task cannot be asked for ({answer.status}).", kind="bad_answer", cost=ticket.cost
        )
    return None


def _trouble(answer: Answer, key: str) -> ProviderError:
    """What a submission's complete answer without a task means.

    No task, no cost: refusals and the API's own 5xx bodies are free. A 5xx that is not its own may hide a
    task that was made: unsure.
    """
    document = _document(answer)
    told = scrubbed(_told(document), secrets=[key])[:500]
    status = answer.status
    reason = told or f"Black Forest Labs answered {status} without saying why."
    if status == 429:
        asked = document.get("retry_after")
        return TryLater(reason, after_s=wait_s(answer, default=_BUSY_WAIT_S, asked=asked))
    if status == 503 and told:
        return TryLater(reason, after_s=wait_s(answer, default=_ERROR_WAIT_S), kind="overloaded")
    if status >= 500 and told:
        return TryLater(reason, after_s=wait_s(answer, default=_ERROR_WAIT_S), kind="server_error")
    if status >= 500 or status == 408 or status < 400:
        return Unsure(reason, kind="server_error")
    if status == 402:
        return Misconfigured(reason, kind="no_credit")
    if status in (401, 403):
        return Misconfigured(reason, kind="bad_key")
    if status == 404:
        return Refused(reason, kind="retired_model")
    return Refused(reason, kind="bad_request")


def _document(answer: Answer) -> Mapping[str, object]:
    try:
        return members(answer.json())
    except NotJson:
        return {}


def _told(document: Mapping[str, object]) -> str:
    """The message in an error body: text, or FastAPI's list of what is wrong where."""
    detail = document.get("detail")
    if isinstance(detail, list):
        faults = [members(fault) for fault in detail[:5]]
        return "; ".join(f"{_place(fault)}: {words(fault.get('msg'))}" for fault in faults)
    return words(detail) or words(document.get("message")) or words(document.get("error"))


def _place(fault: Mapping[str, object]) -> str:
    place = fault.get("loc")
    return ".".join(str(part) for part in place[1:5]) if isinstance(place, list) else "request"


def _details(document: Mapping[str, object]) -> str:
    details = members(document.get("details"))
    reasons = details.get("Moderation Reasons")
    why = ", ".join(map(words, reasons[:5])) if isinstance(reasons, list) else words(details.get("error"))
    return f": {scrubbed(why)[:500]}" if why else ""


def _seed(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 2**63 else None
