"""OpenAI Images: one POST answers with the picture itself, in base64, and with the tokens it used."""

import base64
import binascii
import re
from datetime import date

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
from packshot.providers.answers import (
    members,
    paid,
    read_image,
    request_id,
    told_by,
    usable_key,
    wait_s,
    words,
)
from packshot.providers.cards import accept, refusal
from packshot.providers.contract import (
    Account,
    AttemptRef,
    Delivery,
    GeneratedImage,
    ImageRequest,
    JsonValue,
    Limits,
    ModelCard,
    Option,
    Pending,
    Quote,
    Ticket,
)
from packshot.providers.http import Answer, GuardedClient, NotJson
from packshot.providers.prices import openai_prices
from packshot.providers.redact import redacted, scrubbed

_DEADLINE_S = 300  # pictures take up to two minutes, more at the highest qualities
# One uncompressed picture of our largest size is 8 MB in base64. More per call fills the worker's memory.
_BYTES_PER_IMAGE = 12 * 1024 * 1024
_MAX_IMAGES = 4

# Sides are multiples of 16 between 655,360 and 8,294,400 pixels; above 2560x1440 is experimental.
_SIZES = {
    "1:1": "1024x1024",
    "4:5": "1088x1360",
    "3:4": "1056x1408",
    "2:3": "1024x1536",
    "9:16": "864x1536",
    "5:4": "1360x1088",
    "4:3": "1408x1056",
    "3:2": "1536x1024",
    "16:9": "1536x864",
}
_ANY_SHAPE = tuple(_SIZES)
_THREE_SHAPES = ("1:1", "2:3", "3:2")

_FORMAT = Option("output_format", "File format", "choice", "png", ("png", "jpeg", "webp"))
_COMPRESSION = Option(
    "output_compression", "Compression", "integer", None, minimum=0, maximum=100, help="JPEG and WebP only."
)
_BACKGROUND = Option(
    "background",
    "Background",
    "choice",
    "auto",
    ("auto", "opaque", "transparent"),
    help="Transparent needs PNG or WebP.",
)
_MODERATION = Option("moderation", "Moderation", "choice", "auto", ("auto", "low"))
_COMPLEXITY = Option("complexity", "Complexity", "choice", None, ("low", "medium", "high"))


def _quality(*levels: str) -> Option:
    return Option("quality", "Quality", "choice", "medium", ("low", "medium", "high", *levels, "auto"))


_COMMON = (_BACKGROUND, _FORMAT, _COMPRESSION, _MODERATION)
_OPTIONS_1 = (_quality(), *_COMMON)
_OPTIONS_25 = (_quality("xhigh", "max"), *_COMMON)
_OPTIONS_26 = (*_OPTIONS_25, _COMPLEXITY)


def _card(
    model: str,
    label: str,
    options: tuple[Option, ...],
    shapes: tuple[str, ...] = _ANY_SHAPE,
    *,
    retires_on: date | None = None,
    typical_s: float = 25,
    note: str = "",
) -> ModelCard:
    return ModelCard(
        id=model,
        label=label,
        provider="openai",
        delivery="direct",
        deadline_s=_DEADLINE_S,
        shapes=shapes,
        max_images=_MAX_IMAGES,
        options=options,
        retires_on=retires_on,
        successor="gpt-image-2" if retires_on else None,
        typical_s=typical_s,
        note=note,
    )


def _gone(model: str, label: str, on: date) -> ModelCard:
    return ModelCard(
        id=model,
        label=label,
        provider="openai",
        delivery="direct",
        deadline_s=_DEADLINE_S,
        retires_on=on,
        retired=True,
        successor="gpt-image-2",
    )


# Dates: OpenAI's deprecations page, read 2026-11-22. GPT Image 2 comes first, and so is the default, because
# its prices are published; those of 2.5 and 2.6 are derived.
_STOPS = date(2026, 12, 1)
CARDS = (
    _card("gpt-image-2", "GPT Image 2", _OPTIONS_1, note="Transparent backgrounds are a preview."),
    _card("gpt-image-2.6-flare", "GPT Image 2.6 Flare", _OPTIONS_26, typical_s=20),
    _card("gpt-image-2.6-sunburst", "GPT Image 2.6 Sunburst", _OPTIONS_26, typical_s=40),
    _card("gpt-image-2.5-flare", "GPT Image 2.5 Flare", _OPTIONS_25, typical_s=20),
    _card("gpt-image-2.5-sunburst", "GPT Image 2.5 Sunburst", _OPTIONS_25, typical_s=40),
    _card("gpt-image-2.5-flare-2026-09-08", "GPT Image 2.5 Flare (2026-09-08)", _OPTIONS_25),
    _card("gpt-image-2.5-sunburst-2026-09-08", "GPT Image 2.5 Sunburst (2026-09-08)", _OPTIONS_25),
    _card("gpt-image-2-2026-04-21", "GPT Image 2 (2026-04-21)", _OPTIONS_1),
    _card("gpt-image-1.5", "GPT Image 1.5", _OPTIONS_1, _THREE_SHAPES, retires_on=_STOPS),
    _card("chatgpt-image-latest", "ChatGPT Image", _OPTIONS_1, _THREE_SHAPES, retires_on=_STOPS),
    _card("gpt-image-1-mini", "GPT Image 1 mini", _OPTIONS_1, _THREE_SHAPES, retires_on=_STOPS, typical_s=15),
    _gone("gpt-image-1", "GPT Image 1", date(2026, 10, 23)),
    _gone("dall-e-3", "DALL·E 3", date(2026, 5, 12)),
    _gone("dall-e-2", "DALL·E 2", date(2026, 5, 12)),
)

_NO_CREDIT = {
    "insufficient_quota",
    "credit_balance_exhausted",
    "billing_hard_limit_reached",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
}
_MODERATED = {"moderation_blocked", "content_policy_violation"}
_OVERLOADED = {"slow_down", "server_is_overloaded"}
_MODEL_GONE = re.compile(r"\bmodel\b.{0,200}\bdoes not exist\b", re.IGNORECASE | re.DOTALL)
_BUSY_WAIT_S = 20.0
_ERROR_WAIT_S = 10.0


class OpenAI:
    """GPT Image over the Images API. Makes pictures from words; it never edits here."""

    name = "openai"
    label = "OpenAI"
    key_variable = "OPENAI_API_KEY"
    default_base_url = "https://api.openai.com"
    hosts = ("api.openai.com",)
    # Images a minute depend on the account's tier, 5 to 250 for GPT Image 2. This is the highest; a smaller
    # account is told its own limit by a 429, which costs nothing.
    limits = Limits(in_flight=100, per_minute=250)
    free = False

    def __init__(self, account: Account, client: GuardedClient) -> None:
        self._key = account.key
        self._client = client

    def models(self) -> tuple[ModelCard, ...]:
        return CARDS

    def quote(self, request: ImageRequest) -> Quote:
        body = wire_request(request)
        return openai_prices().quote(
            request.model,
            prompt=request.prompt,
            size=body["size"],
            quality=body["quality"],
            images=request.images,
        )

    async def submit(self, request: ImageRequest, attempt: AttemptRef) -> Ticket | Delivery:
        try:
            body = wire_request(request)
        except BadInput as error:
            raise refusal(error) from error
        key = usable_key(self._key, self.key_variable)
        answer = await paid(
            self._client.post(
                "/v1/images/generations",
                json_body=body,
                headers={"authorization": f"Bearer {key}"},
                deadline_s=min(attempt.deadline_s, _DEADLINE_S),
                max_bytes=request.images * _BYTES_PER_IMAGE,
            )
        )
        if not 200 <= answer.status < 300:
            raise told_by(answer, _trouble(answer, self._key), key=self._key)
        return self._delivery(answer, request.model)

    async def collect(self, ticket: Ticket, attempt: AttemptRef) -> Delivery | Pending:
        # No ticket of ours exists: the one call that pays is the one that delivers.
        raise BadAnswer("OpenAI keeps no result to collect.", kind="bad_answer", charge="unknown")

    def _delivery(self, answer: Answer, model: str) -> Delivery:
        try:
            document = members(answer.json())
        except NotJson as error:
            raise told_by(answer, BadAnswer(str(error), kind="bad_answer"), key=self._key) from error
        cost = openai_prices().bill(model, document.get("usage"))
        images, problem = _images(document.get("data"))
        if not images:
            raise told_by(answer, BadAnswer(problem, kind="bad_answer", cost=cost), key=self._key)
        raw = redacted(answer, secrets=[self._key])
        return Delivery(images, cost, request_id(answer), raw)


def wire_request(request: ImageRequest) -> dict[str, JsonValue]:
    """The body of one generation call. Raises BadInput for what no call could ask."""
    card, options = accept(request, CARDS)
    if options["background"] == "transparent" and options["output_format"] == "jpeg":
        raise BadInput("A transparent background needs PNG or WebP.", field="background")
    if options["output_compression"] is not None and options["output_format"] == "png":
        raise BadInput("Compression can be set for JPEG and WebP only.", field="output_compression")
    chosen = {name: value for name, value in options.items() if value is not None}
    # Never `response_format` or `style`: these models answer 400 unknown_parameter.
    return {
        "model": card.id,
        "prompt": request.prompt,
        "n": request.images,
        "size": _SIZES[request.shape],
        **chosen,
    }


def _trouble(answer: Answer, key: str) -> ProviderError:
    """What a complete answer without a picture means.

    Charge table, 2026-11-22. OpenAI does not say what failed calls cost. Refusals before work (4xx, 429)
    cost nothing; so does its own 5xx body, which carries no usage. A picture that was made and then
    moderated may be billed: unknown. A 5xx that is not OpenAI's own came from something in between, and
    the call behind it may have gone through: unsure.
    """
    try:
        error = members(members(answer.json()).get("error"))
    except NotJson:
        error = {}
    message = scrubbed(words(error.get("message")), secrets=[key])[:500]
    reason = message or f"OpenAI answered {answer.status} without saying why."
    codes = {words(error.get("code")), words(error.get("type"))}
    status = answer.status
    if status == 402 or (status == 429 and codes & _NO_CREDIT):
        return Misconfigured(reason, kind="no_credit")
    if status == 429:
        return TryLater(reason, after_s=wait_s(answer, default=_BUSY_WAIT_S, message=message))
    if codes & _OVERLOADED:
        return TryLater(reason, after_s=wait_s(answer, default=_BUSY_WAIT_S), kind="overloaded")
    if status >= 500 and error:
        return TryLater(reason, after_s=wait_s(answer, default=_ERROR_WAIT_S), kind="server_error")
    # 408: whoever gave up waiting may not be the one who does the work.
    if status >= 500 or status == 408 or status < 400:
        return Unsure(reason, kind="server_error")
    if "must be verified" in message:
        return Misconfigured(reason, kind="not_verified")
    if status in (401, 403):
        return Misconfigured(reason, kind="bad_key")
    if codes & _MODERATED:
        stage = members(error.get("moderation_details")).get("moderation_stage")
        return Refused(reason, kind="refused", charge="free" if stage == "input" else "unknown")
    if "model_not_found" in codes or _MODEL_GONE.search(message):
        return Refused(reason, kind="retired_model")
    if "invalid_image_file" in codes:
        return Refused(reason, kind="bad_input_image")
    return Refused(reason, kind="bad_request")


def _images(data: object) -> tuple[list[GeneratedImage], str]:
    """The readable images, and what is wrong when there is none."""
    images: list[GeneratedImage] = []
    problem = "The answer holds no image."
    for entry in data if isinstance(data, list) else ():
        encoded = members(entry).get("b64_json")
        if not isinstance(encoded, str) or not encoded:
            continue
        try:
            images.append(read_image(base64.b64decode(encoded, validate=True)))
        except (binascii.Error, ValueError) as error:
            problem = str(error) if isinstance(error, BadImage) else "The image is not valid base64."
    return images, problem
