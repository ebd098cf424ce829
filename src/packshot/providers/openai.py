"""OpenAI Images: one POST answers with the picture itself, in base64, and with the tokens it used.

A request without pictures is a JSON document for `generations`; one with pictures is a form for `edits`.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import date
from functools import lru_cache
from uuid import UUID

from packshot.imaging.header import BadImage, has_alpha
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
from packshot.providers.cards import accept, as_of, refusal, today
from packshot.providers.contract import (
    BY_TOMORROW,
    DELIVERY,
    NOW,
    Account,
    AttemptRef,
    Delivery,
    GeneratedImage,
    ImageRequest,
    InputImage,
    Inspection,
    JsonValue,
    Limits,
    Line,
    ModelCard,
    Option,
    Pending,
    Progress,
    Quote,
    Ticket,
    by_tomorrow,
)
from packshot.providers.http import Answer, CallFailed, GuardedClient, NotJson
from packshot.providers.multipart import Part, Upload, form
from packshot.providers.openai_batches import (
    MOST_LINES,
    BatchApi,
    Result,
    line_of,
    progress_of,
    stops_too_soon,
    unmade_of,
)
from packshot.providers.prices import openai_prices
from packshot.providers.redact import redacted, scrubbed

_DEADLINE_S = 300  # pictures take up to two minutes, more at the highest qualities
# One uncompressed picture of our largest size is 8 MB in base64. More per call fills the worker's memory.
_BYTES_PER_IMAGE = 12 * 1024 * 1024
_MAX_IMAGES = 4
# Of an edit: the first is the one that a mask applies to.
_MAX_INPUTS = 16
_INPUT_BYTES = 50_000_000
_MASK_BYTES = 4_000_000
_INSPECT_DEADLINE_S = 30
_MODEL_LIST_BYTES = 4 * 1024 * 1024

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
# Of those models whose batch price is published (prices/openai.toml).
_DELIVERED = Option(
    DELIVERY,
    "Delivery",
    "choice",
    NOW,
    (NOW, BY_TOMORROW),
    help="By tomorrow costs half: OpenAI makes it within 24 hours. Not with pictures.",
)
_OPTIONS_2 = (_quality(), *_COMMON, _DELIVERED)
# GPT Image 2 and later answer 400 to it (invalid_input_fidelity_model), and always look finely. So does mini,
# which never does.
_FIDELITY = Option(
    "input_fidelity",
    "Likeness to the pictures given",
    "choice",
    None,
    ("low", "high"),
    help="High keeps faces and details, and costs more. For requests with pictures.",
)
_OPTIONS_15 = (*_OPTIONS_2, _FIDELITY)
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
        max_inputs=_MAX_INPUTS,
        takes_mask=True,
        mask_marks="transparent",
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
    _card("gpt-image-2", "GPT Image 2", _OPTIONS_2, note="Transparent backgrounds are a preview."),
    _card("gpt-image-2.6-flare", "GPT Image 2.6 Flare", _OPTIONS_26, typical_s=20),
    _card("gpt-image-2.6-sunburst", "GPT Image 2.6 Sunburst", _OPTIONS_26, typical_s=40),
    _card("gpt-image-2.5-flare", "GPT Image 2.5 Flare", _OPTIONS_25, typical_s=20),
    _card("gpt-image-2.5-sunburst", "GPT Image 2.5 Sunburst", _OPTIONS_25, typical_s=40),
    _card("gpt-image-2.5-flare-2026-09-08", "GPT Image 2.5 Flare (2026-09-08)", _OPTIONS_25),
    _card("gpt-image-2.5-sunburst-2026-09-08", "GPT Image 2.5 Sunburst (2026-09-08)", _OPTIONS_25),
    _card("gpt-image-2-2026-04-21", "GPT Image 2 (2026-04-21)", _OPTIONS_2),
    _card("gpt-image-1.5", "GPT Image 1.5", _OPTIONS_15, _THREE_SHAPES, retires_on=_STOPS),
    _card("chatgpt-image-latest", "ChatGPT Image", _OPTIONS_15, _THREE_SHAPES, retires_on=_STOPS),
    _card("gpt-image-1-mini", "GPT Image 1 mini", _OPTIONS_2, _THREE_SHAPES, retires_on=_STOPS, typical_s=15),
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
_LOOK_S = 60.0  # at a batch
_ERROR_WAIT_S = 10.0


class OpenAI:
    """GPT Image over the Images API: pictures from words, and from words and pictures."""

    name = "openai"
    label = "OpenAI"
    key_variable = "OPENAI_API_KEY"
    default_base_url = "https://api.openai.com"
    hosts = ("api.openai.com",)
    # Images a minute depend on the account's tier, 5 to 250 for GPT Image 2. This is the highest; a smaller
    # account is told its own limit by a 429, which costs nothing.
    limits = Limits(in_flight=100, per_minute=250)
    free = False

    most_lines = MOST_LINES

    def __init__(self, account: Account, client: GuardedClient) -> None:
        self._key = account.key
        self._client = client
        self._batches = BatchApi(
            client,
            self._headers,
            lambda answer: told_by(answer, _trouble(answer, account.key), key=account.key),
            _MAX_IMAGES * _BYTES_PER_IMAGE,
        )

    def models(self) -> tuple[ModelCard, ...]:
        return cards()

    def quote(self, request: ImageRequest) -> Quote:
        fields = _fields(request)
        return openai_prices().quote(
            request.model,
            prompt=request.prompt,
            size=fields["size"],
            quality=fields["quality"],
            images=request.images,
            pictures=[(each.width_px, each.height_px) for each in request.inputs],
            finely=fields.get("input_fidelity") == "high",
            batch=by_tomorrow(request.options),
        )

    def size(self, request: ImageRequest) -> tuple[int, int] | None:
        accept(request, self.models())
        width, _, height = _SIZES[request.shape].partition("x")
        return int(width), int(height)

    async def submit(self, request: ImageRequest, attempt: AttemptRef) -> Ticket | Delivery:
        if by_tomorrow(request.options):
            return await self.order([Line(request, attempt)], attempt.id)
        answer = await (self._edit if request.inputs else self._generate)(request, attempt)
        if not 200 <= answer.status < 300:
            raise told_by(answer, _trouble(answer, self._key), key=self._key)
        return self._read(answer, request.model, pictures=bool(request.inputs))

    async def collect(self, ticket: Ticket, attempt: AttemptRef) -> Delivery | Pending:
        # The one call that pays is the one that delivers, except in a batch: the only tickets there are.
        order = await self._batches.read(ticket)
        if not progress_of(order).ended:
            return Pending(_LOOK_S)
        async with aclosing(self.results(ticket)) as results:
            async for attempt_id, outcome in results:
                if attempt_id == attempt.id:
                    if isinstance(outcome, ProviderError):
                        raise outcome
                    return outcome
        raise await self.unmade(ticket)

    async def order(self, lines: Sequence[Line], batch: UUID) -> Ticket:
        """One order of all these lines, each of them a request by tomorrow."""
        try:
            bodies = [line_of(each.attempt.id, wire_request(each.request)) for each in lines]
        except BadInput as error:
            raise refusal(error) from error
        (model,) = {each.request.model for each in lines}  # OpenAI takes no order of several
        return await self._batches.order(bodies, batch, model)

    async def find(self, batch: UUID) -> Ticket | None:
        return await self._batches.find(batch)

    async def revoke(self, batch: UUID) -> None:
        await self._batches.revoke(batch)

    async def progress(self, ticket: Ticket) -> Progress:
        return progress_of(await self._batches.read(ticket))

    async def results(self, ticket: Ticket) -> AsyncGenerator[tuple[UUID, Delivery | ProviderError], None]:
        model = words(ticket.state.get("model"))
        async with aclosing(self._batches.results(ticket)) as results:
            async for result in results:
                yield result.attempt_id, self._of_line(result, model)

    async def unmade(self, ticket: Ticket) -> ProviderError:
        return unmade_of(await self._batches.read(ticket), _refused_whole)

    async def call_off(self, ticket: Ticket) -> None:
        await self._batches.call_off(ticket)

    def _of_line(self, result: Result, model: str) -> Delivery | ProviderError:
        """What came of one line. Failed lines are free: a batch is charged for what it completes."""
        if result.answer is None:
            code, message = words(result.error.get("code")), words(result.error.get("message"))
            said = scrubbed(message, secrets=[self._key])[:400] or "it did not say why"
            expired = code == "batch_expired"
            return Refused(
                f"OpenAI's batch did not make it, which cost nothing: {said}",
                kind="expired" if expired else "server_error",
            )
        if 200 <= result.answer.status < 300:
            try:
                return self._read(result.answer, model, batch=True)
            except ProviderError as error:
                return error
        trouble = told_by(result.answer, _trouble(result.answer, self._key), key=self._key)
        if isinstance(trouble, TryLater | Unsure | Misconfigured):
            # It was so hours ago: no reason to leave the provider alone now.
            return BadAnswer(
                trouble.reason,
                kind="server_error",
                charge="free",
                request_id=trouble.request_id,
                raw=trouble.raw,
            )
        return trouble

    async def inspect(self) -> Inspection:
        """The list of models, which proves the key and says which of them stop, and when."""
        try:
            answer = await self._client.get(
                "/v1/models",
                headers=self._headers(),
                deadline_s=_INSPECT_DEADLINE_S,
                max_bytes=_MODEL_LIST_BYTES,
            )
        except Misconfigured as error:
            return Inspection(False, error.reason)
        except CallFailed as error:
            told = scrubbed(str(error), secrets=[self._key])
            return Inspection(None, f"OpenAI could not be asked: {told}")
        if answer.status == 200:
            listed = _listed(answer)
            if listed is None:
                return _UNREADABLE
            stops = {model: day for model, day in listed.items() if day is not None}
            told = (
                "The key works." if listed else "The key works, and lists no image model that is known here."
            )
            return Inspection(True, told, stops=stops)
        trouble = _trouble(answer, self._key)
        # A key may be good and still not be let at the list: a restricted one, or one of an unpaid account.
        return Inspection(False if answer.status == 401 else None, trouble.reason)

    async def _generate(self, request: ImageRequest, attempt: AttemptRef) -> Answer:
        try:
            body = wire_request(request)
        except BadInput as error:
            raise refusal(error) from error
        return await paid(
            self._client.post(
                "/v1/images/generations",
                json_body=body,
                headers=self._headers(),
                deadline_s=min(attempt.deadline_s, _DEADLINE_S),
                max_bytes=request.images * _BYTES_PER_IMAGE,
            )
        )

    async def _edit(self, request: ImageRequest, attempt: AttemptRef) -> Answer:
        try:
            parts = wire_edit(request)
        except BadInput as error:
            raise refusal(error) from error
        _check_bytes(request)
        # Long, with pictures in it: written on a thread, while other calls go on.
        content, media_type = await asyncio.to_thread(form, parts)
        return await paid(
            self._client.post_bytes(
                "/v1/images/edits",
                content=content,
                media_type=media_type,
                headers=self._headers(),
                deadline_s=min(attempt.deadline_s, _DEADLINE_S),
                max_bytes=request.images * _BYTES_PER_IMAGE,
            )
        )

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {usable_key(self._key, self.key_variable)}"}

    def _read(self, answer: Answer, model: str, *, pictures: bool = False, batch: bool = False) -> Delivery:
        try:
            document = members(answer.json())
        except NotJson as error:
            raise told_by(answer, BadAnswer(str(error), kind="bad_answer"), key=self._key) from error
        cost = openai_prices().bill(model, document.get("usage"), pictures=pictures, batch=batch)
        images, problem = _images(document.get("data"))
        if not images:
            raise told_by(answer, BadAnswer(problem, kind="bad_answer", cost=cost), key=self._key)
        raw = redacted(answer, secrets=[self._key])
        return Delivery(images, cost, request_id(answer, key=self._key), raw)


def cards() -> tuple[ModelCard, ...]:
    """The models as of today."""
    return _cards(today())


@lru_cache(maxsize=2)
def _cards(day: date) -> tuple[ModelCard, ...]:
    return as_of(CARDS, day)


def wire_request(request: ImageRequest) -> dict[str, JsonValue]:
    """The body of one generation call. Raises BadInput for what no call could ask."""
    assert not request.inputs, "with pictures it is an edit"
    return _fields(request)


def wire_edit(request: ImageRequest) -> tuple[Part, ...]:
    """The form of one edit call, pictures last. Raises BadInput for what no call could ask."""
    fields = _fields(request)
    # The official client knows no moderation level for edits, nor does the form's schema.
    del fields["moderation"]
    texts = [(name, str(value)) for name, value in fields.items()]
    pictures = [each for each in request.inputs if each.role == "image"]
    files = [("image[]", _upload(f"image-{number}", each)) for number, each in enumerate(pictures, 1)]
    mask = request.input("mask")
    if mask is not None:
        files.append(("mask", _upload("mask", mask)))
    return (*texts, *files)


def _fields(request: ImageRequest) -> dict[str, JsonValue]:
    """What both calls say, by name. Raises BadInput."""
    card, options = accept(request, cards())
    if options["background"] == "transparent" and options["output_format"] == "jpeg":
        raise BadInput("A transparent background needs PNG or WebP.", field="background")
    if options["output_compression"] is not None and options["output_format"] == "png":
        raise BadInput("Compression can be set for JPEG and WebP only.", field="output_compression")
    if request.inputs:
        _check_pictures(request)
        if options["moderation"] != "auto":
            raise BadInput("Moderation cannot be chosen for a request with pictures.", field="moderation")
    elif options.get("input_fidelity") is not None:
        raise BadInput("Likeness needs a picture to be like.", field="input_fidelity")
    if by_tomorrow(options):
        if request.inputs:
            raise BadInput("By tomorrow nothing is made from pictures; ask for them now.", field=DELIVERY)
        if stops_too_soon(card, today()):
            raise BadInput(f"{card.label} stops before tomorrow is over; ask for it now.", field=DELIVERY)
    chosen = {name: value for name, value in options.items() if value is not None and name != DELIVERY}
    # Never `response_format` or `style`: these models answer 400 unknown_parameter.
    return {
        "model": card.id,
        "prompt": request.prompt,
        "n": request.images,
        "size": _SIZES[request.shape],
        **chosen,
    }


def _check_pictures(request: ImageRequest) -> None:
    for each in request.inputs:
        if each.size_bytes >= _INPUT_BYTES:
            raise BadInput(f"A picture must be smaller than {_INPUT_BYTES // 1_000_000} MB.", field="inputs")
    first, mask = request.input("image"), request.input("mask")
    if mask is None or first is None:
        return
    if mask.media_type != "image/png":
        raise BadInput("The mask must be a PNG: what is transparent in it is changed.", field="inputs")
    if mask.size_bytes >= _MASK_BYTES:
        raise BadInput(f"The mask must be smaller than {_MASK_BYTES // 1_000_000} MB.", field="inputs")
    if (mask.width_px, mask.height_px) != (first.width_px, first.height_px):
        raise BadInput(
            f"The mask must be as large as the first picture, {first.width_px} x {first.height_px} px; it is "
            f"{mask.width_px} x {mask.height_px} px.",
            field="inputs",
        )


def _check_bytes(request: ImageRequest) -> None:
    """What only the bytes can tell, before they leave. Raises Refused."""
    if not all(each.content for each in request.inputs):
        raise Refused("A picture of the request has no bytes.", kind="bad_input_image")
    mask = request.input("mask")
    if mask is not None and not has_alpha(mask.content):
        reason = "The mask has no transparency: make transparent what is to be changed."
        raise Refused(reason, kind="bad_input_image")


def _upload(name: str, picture: InputImage) -> Upload:
    ending = picture.media_type.removeprefix("image/")
    return Upload(f"{name}.{ending}", picture.media_type, picture.content)


_UNREADABLE = Inspection(
    None, "OpenAI's list of models cannot be read; the base URL may be another service's."
)


def _listed(answer: Answer) -> dict[str, date | None] | None:
    """The models known here, each with its last day where it has one; None where it is no list of models."""
    try:
        listed = members(answer.json()).get("data")
    except NotJson:
        return None
    if not isinstance(listed, list):
        return None
    known = {card.id for card in CARDS}
    found: dict[str, date | None] = {}
    for entry in map(members, listed):
        model, day = words(entry.get("id")), words(entry.get("shutdown_date"))
        if model in known:
            try:
                found[model] = date.fromisoformat(day[:10]) if day else None
            except ValueError:
                found[model] = None  # a date that is none says nothing
    return found


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


def _refused_whole(code: str, message: str) -> ProviderError | None:
    """What became of an order that OpenAI did not begin, where that says what to do next."""
    if code in _NO_CREDIT:
        return Misconfigured(message[:400] or "OpenAI took no batch for want of credit.", kind="no_credit")
    if code == "token_limit_exceeded":
        # So much may be ordered at once; what is ordered already has to be made first.
        return TryLater(message[:400] or "OpenAI has no room for more batches now.", after_s=900.0)
    if code == "model_not_found" or _MODEL_GONE.search(message):
        return Refused(message[:400] or "The model is gone.", kind="retired_model")
    return None


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
