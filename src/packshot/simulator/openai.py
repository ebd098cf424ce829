"""OpenAI Images: `POST /v1/images/generations` and `/edits`, `GET /v1/models` and `GET /v1/models/{model}`.

Wordings of refusals are recorded ones where a record exists; the others follow the form that the same
API uses for its other endpoints. Edits are taken as forms. Edits as JSON, `markup`, variations and streaming
are not simulated. Batches of generations are, in `openai_batches.py`.
"""

import asyncio
import base64
import hashlib
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from fractions import Fraction
from math import ceil
from typing import Any

import pyvips

from packshot.imaging import MediaType
from packshot.simulator import retouch
from packshot.simulator.book import Charged
from packshot.simulator.faults import BATCHES_PATH, Rule
from packshot.simulator.openai_batches import BadRequest, Batches, refused
from packshot.simulator.openai_forms import Form, Wrong, read_edit, texts_of
from packshot.simulator.openai_models import FIXED_SIZES, MODELS, ImageModel, text_tokens
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
)

_PROMPT_CHARACTERS = 32_000
_MEDIA_TYPES: dict[str, MediaType] = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
_PARAMETERS = frozenset(
    {
        "prompt",
        "model",
        "n",
        "size",
        "quality",
        "background",
        "output_format",
        "output_compression",
        "moderation",
        "stream",
        "partial_images",
        "user",
        "safety_identifier",
        "complexity",
    }
)
# An edit knows no moderation level, and a likeness to its pictures.
_EDIT_PARAMETERS = _PARAMETERS - {"moderation"} | {"input_fidelity"}
_GENERATIONS, _EDITS = "/v1/images/generations", "/v1/images/edits"
# The published schema lets every other parameter be null, which means: not given.
_NEVER_NULL = frozenset({"prompt", "user", "safety_identifier", "complexity"})
_JSON_TYPES: dict[type, str] = {
    bool: "a boolean",
    int: "an integer",
    float: "a decimal number",
    str: "a string",
    list: "an array",
    dict: "an object",
    type(None): "null",
}
# Published rules of a free size: multiples of 16, ratio up to 3:1, edge and pixel limits.
_SIDE_STEP, _SIDE_MOST, _RATIO_MOST = 16, 3840, 3
_PIXELS_LEAST, _PIXELS_MOST = 655_360, 8_294_400


@dataclass(frozen=True, slots=True)
class Order:
    """A valid request, every `auto` decided."""

    model: ImageModel
    prompt: str
    images: int
    width_px: int
    height_px: int
    quality: str
    background: str
    output_format: str
    safety_identifier: str | None
    form: Form | None = None  # of an edit
    fidelity: bool = False

    @property
    def usage(self) -> dict[str, Any]:
        """The `usage` object of the answer: tokens, from which the price follows exactly."""
        # Each image is billed like a call of its own.
        asked = self.images * text_tokens(self.prompt)
        sizes = self.form.sizes if self.form else []
        shown = self.images * sum(self.model.input_tokens(*size, self.fidelity) for size in sizes)
        made = self.images * self.model.output_tokens(self.width_px, self.height_px, self.quality)
        return {
            "input_tokens": asked + shown,
            "input_tokens_details": {"text_tokens": asked, "image_tokens": shown},
            "output_tokens": made,
            "output_tokens_details": {"image_tokens": made, "text_tokens": 0},
            "total_tokens": asked + shown + made,
        }


class OpenAI:
    """One organisation at OpenAI, with its rate limit."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._limit = _ImagesPerMinute(world.config.openai_images_per_minute)
        self._batches = Batches(world, self._line)

    async def answer(self, call: Call) -> Answer:
        if call.method == "POST" and call.path in (_GENERATIONS, _EDITS):
            answer = await self._make(call)
        elif call.method == "POST" and call.path == BATCHES_PATH:
            answer = await self._take(call)
        else:
            fault = self._world.faults.match("openai", call.path, None, paid=False)
            answer = (_recorded(fault, call, None) if fault else None) or await self._read(call)
            answer = replace(answer, fault=fault)
        return replace(answer, headers=(*answer.headers, ("x-request-id", call.id)))

    # -- the paid path ------------------------------------------------------------------------

    async def _make(self, call: Call) -> Answer:
        started = time.monotonic()
        edits = call.path == _EDITS
        kind = call.headers.get("content-type", "")
        body = texts_of(kind, call.body) if edits else parsed(call.body)
        self._world.receive(call, "openai", model=_text_in(body, "model"), prompt=_text_in(body, "prompt"))
        try:
            _check_key(call)
            order = _edit(kind, call.body, self._today()) if edits else _order(body, self._today())
            fault = self._world.faults.match("openai", call.path, order.prompt, paid=True)
            refusal = _recorded(fault, call, order) if fault else None
            if fault and refusal:
                return await self._refuse(call, order, fault, refusal)
            self._limit.take(order)
        except Declined as declined:
            await self._world.book.write(
                self._world.answered(call, declined.answer.status, _code_of(declined.answer))
            )
            return declined.answer
        return await self._work(call, order, fault, started)

    async def _refuse(self, call: Call, order: Order, fault: Rule, refusal: Answer) -> Answer:
        if fault.action == "moderation_output":  # judged only after the image was made
            await asyncio.sleep(self._world.latency_s(self._world.config.openai_latency_s))
        charges = [self._charge(call, order, fault.action)] if self._world.charges(fault) else []
        await self._world.book.write(*charges, self._world.answered(call, refusal.status, fault.action))
        return replace(refusal, fault=fault)

    async def _work(self, call: Call, order: Order, fault: Rule | None, started: float) -> Answer:
        lost = fault is not None and fault.action in ("cut_before_answer", "hang")
        charged = self._world.charges(fault)
        images, _ = await asyncio.gather(
            self._draw(call, order, order.images if charged or not lost else 0),
            asyncio.sleep(self._world.latency_s(self._world.config.openai_latency_s)),
        )
        if fault is not None and fault.action == "no_image":
            images = []
        outcome = fault.action if fault else "delivered"
        times = charged * (2 if outcome == "charge_twice" else 1)
        await self._world.book.write(
            *[self._charge(call, order, outcome)] * times,
            self._world.answered(call, None if lost else 200, outcome, *images),
        )
        headers = (("openai-processing-ms", str(round((time.monotonic() - started) * 1000))),)
        return Answer(200, _images_response(order, images), headers=headers, fault=fault)

    async def _draw(self, call: Call, order: Order, images: int) -> list[bytes]:
        pictures = [
            Picture(
                order.prompt,
                "openai",
                int.from_bytes(hashlib.sha256(f"{call.id}:{number}".encode()).digest()[:4]),
                order.width_px,
                order.height_px,
                _MEDIA_TYPES[order.output_format],
            )
            for number in range(images)
        ]
        return list(await asyncio.gather(*[self._painted(picture, order.form) for picture in pictures]))

    async def _painted(self, picture: Picture, form: Form | None) -> bytes:
        """A picture of its own; of an edit, what it was given, changed so that one sees it."""
        drawn = await self._world.painter.draw(picture)
        if form is None or self._world.config.image == "small":
            return drawn
        given, made = form.pictures[0].content, picture.media_type
        try:
            if form.mask is not None:
                return await asyncio.to_thread(retouch.changed, given, form.mask.content, drawn, made)
            return await asyncio.to_thread(retouch.restaged, given, drawn, made)
        except pyvips.Error:  # a good header before bytes that are no picture
            return drawn

    def _charge(self, call: Call, order: Order, reason: str, share: Fraction = Fraction(1)) -> Charged:
        usage = order.usage
        listed = order.model.dollars(
            text_tokens=usage["input_tokens_details"]["text_tokens"],
            picture_tokens=usage["input_tokens_details"]["image_tokens"],
            output_tokens=usage["output_tokens"],
        )
        # The answer names tokens and no price: a client with an old list notices nothing.
        return Charged(call.id, "openai", self._world.price("openai", listed * share), reason, time.time())

    # -- batches ------------------------------------------------------------------------------

    async def _take(self, call: Call) -> Answer:
        """An order of a batch, which is in the book like a call that costs: its lines do."""
        self._world.receive(call, "openai", model=None, prompt=None)
        fault = None
        try:
            _check_key(call)
            fault = self._world.faults.match("openai", call.path, None, paid=True)
            answer = _recorded(fault, call, None) if fault and "moderation" not in fault.action else None
            if answer is None and fault and fault.action == "cut_before_answer" and fault.charged is False:
                answer = Answer(200, b"")  # cut before it arrived
            answer = answer or self._batches.create(call, fault)
        except Declined as declined:
            answer = declined.answer
        except BadRequest as problem:
            answer = refused(problem)
        lost = fault is not None and fault.action in ("cut_before_answer", "hang")
        outcome = fault.action if fault else "ordered" if answer.status == 200 else "declined"
        await self._world.book.write(self._world.answered(call, None if lost else answer.status, outcome))
        return replace(answer, fault=fault)

    async def _line(self, call: Call) -> Answer:
        """One line of a batch: half the price, no rate limit, and no connection that could break."""
        body = parsed(call.body)
        self._world.receive(call, "openai", model=_text_in(body, "model"), prompt=_text_in(body, "prompt"))
        half = Fraction(1, 2)
        try:
            order = _order(body, self._today())
        except Declined as declined:
            await self._world.book.write(
                self._world.answered(call, declined.answer.status, _code_of(declined.answer))
            )
            return declined.answer
        fault = self._world.faults.match("openai", call.path, order.prompt, paid=True)
        refusal = _recorded(fault, call, order) if fault else None
        if fault and refusal:
            charges = [self._charge(call, order, fault.action, half)] if self._world.charges(fault) else []
            await self._world.book.write(*charges, self._world.answered(call, refusal.status, fault.action))
            return refusal
        images = await self._draw(call, order, order.images)
        if fault is not None and fault.action == "no_image":
            images = []
        times = 2 if fault is not None and fault.action == "charge_twice" else 1
        outcome = fault.action if fault else "delivered"
        await self._world.book.write(
            *[self._charge(call, order, outcome, half)] * times,
            self._world.answered(call, 200, outcome, *images),
        )
        return Answer(200, _images_response(order, images))

    # -- the free paths -----------------------------------------------------------------------

    async def _read(self, call: Call) -> Answer:
        try:
            _check_key(call)
            if self._batches.answers(call):
                return await self._batches.answer(call)
        except Declined as declined:
            return declined.answer
        except BadRequest as problem:
            return refused(problem)
        current = [model for model in MODELS.values() if not model.is_gone(self._today())]
        if (call.method, call.path) == ("GET", "/v1/models"):
            return Answer.of_json(200, {"object": "list", "data": [_model_object(m) for m in current]})
        if call.method == "GET" and call.path.startswith("/v1/models/"):
            asked = call.path.removeprefix("/v1/models/")
            for model in current:
                if model.id == asked:
                    return Answer.of_json(200, _model_object(model))
            return _error(404, f"The model '{asked}' does not exist", param="model", code="model_not_found")
        return _error(404, f"Invalid URL ({call.method} {call.path})")

    def _today(self) -> date:
        return self._world.config.today or datetime.now(UTC).date()


# -- reading a request -----------------------------------------------------------------------------


def _check_key(call: Call) -> None:
    scheme, _, key = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Declined(
            _error(
                401,
                "You didn't provide an API key. You need to provide your API key in an Authorization header "
                "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY). You can obtain an API key from "
                "https://platform.openai.com/account/api-keys.",
            )
        )
    if "invalid" in key:
        raise Declined(_bad_key(key))


def _edit(content_type: str, body: bytes, today: date) -> Order:
    try:
        form = read_edit(content_type, body)
    except Wrong as wrong:
        raise Declined(_error(400, str(wrong), kind=wrong.kind, param=wrong.param, code=wrong.code)) from None
    fields = {"model": "gpt-image-1.5", **form.fields}
    order = _order(fields, today, _EDIT_PARAMETERS)
    if "input_fidelity" in fields and not order.model.fidelity:
        raise Declined(
            _error(
                400,
                f"The model '{order.model.id}' does not support the 'input_fidelity' parameter.",
                kind="image_generation_user_error",
                param="input_fidelity",
                code="invalid_input_fidelity_model",
            )
        )
    fidelity = _choice(fields, "input_fidelity", ("low", "high"), "low")
    return replace(order, form=form, fidelity=fidelity == "high")


def _order(body: Any, today: date, parameters: frozenset[str] = _PARAMETERS) -> Order:
    if not isinstance(body, dict):
        raise Declined(
            _error(400, "We could not parse the JSON body of your request. Expected a JSON object.")
        )
    given = {name: value for name, value in body.items() if value is not None or name in _NEVER_NULL}
    for name in given:
        if name not in parameters:
            raise Declined(_error(400, f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter"))
    prompt = _prompt(given)
    # Without `model` the documented default is dall-e-2, which is gone.
    model = _model(_text(given, "model") or "dall-e-2", today)
    width_px, height_px = _size(_text(given, "size") or "auto", model)
    _not_simulated(given)
    background, output_format = _look(given)
    quality = _choice(given, "quality", (*model.qualities, "auto"), "auto")
    _choice(given, "moderation", ("low", "auto"), "auto")
    if "complexity" in given and not model.complexity:
        raise Declined(
            _error(400, "Unknown parameter: 'complexity'.", param="complexity", code="unknown_parameter")
        )
    _choice(given, "complexity", ("low", "medium", "high"), "medium")
    _text(given, "user")
    return Order(
        model=model,
        prompt=prompt,
        images=_integer(given, "n", least=1, most=10, default=1),
        width_px=width_px,
        height_px=height_px,
        # `auto` is documented as "the best quality for the given model".
        quality="high" if quality == "auto" else quality,
        background="opaque" if background == "auto" else background,
        output_format=output_format,
        safety_identifier=_text(given, "safety_identifier"),
    )


def _prompt(given: dict[str, Any]) -> str:
    prompt = _text(given, "prompt")
    if prompt is None:
        raise Declined(
            _error(
                400,
                "Missing required parameter: 'prompt'.",
                param="prompt",
                code="missing_required_parameter",
            )
        )
    if not prompt:
        raise Declined(
            _error(
                400,
                "Invalid 'prompt': empty string. Expected a string with minimum length 1, "
                "but got an empty string instead.",
                param="prompt",
                code="empty_string",
            )
        )
    if len(prompt) > _PROMPT_CHARACTERS:
        raise Declined(
            _error(
                400,
                f"Invalid 'prompt': string too long. Expected a string with maximum length "
                f"{_PROMPT_CHARACTERS}, but got a string with length {len(prompt)} instead.",
                param="prompt",
                code="string_above_max_length",
            )
        )
    return prompt


def _model(name: str, today: date) -> ImageModel:
    model = MODELS.get(name)
    if model is None or model.is_gone(today):
        # Recorded: a retired model is a 400 here, not the 404 of GET /v1/models/{model}.
        raise Declined(
            _error(
                400,
                f"The model '{name}' does not exist.",
                kind="image_generation_user_error",
                param="model",
                code="invalid_value",
            )
        )
    return model


def _size(size: str, model: ImageModel) -> tuple[int, int]:
    if size == "auto":
        return FIXED_SIZES[0]
    sides = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", size)
    width_px, height_px = (int(sides[1]), int(sides[2])) if sides else (0, 0)
    if (width_px, height_px) in FIXED_SIZES:
        return width_px, height_px
    if not model.any_size or sides is None:
        named = [*(f"{width}x{height}" for width, height in FIXED_SIZES), "auto"]
        raise Declined(_invalid_value("size", size, named))
    wrong = _wrong_with(width_px, height_px)
    if wrong:
        raise Declined(_error(400, f"Invalid size '{size}'. {wrong}", param="size", code="invalid_value"))
    return width_px, height_px


def _wrong_with(width_px: int, height_px: int) -> str | None:
    if width_px % _SIDE_STEP or height_px % _SIDE_STEP:
        return f"Width and height must both be divisible by {_SIDE_STEP}."
    if max(width_px, height_px) > _SIDE_MOST:
        return f"The longest edge must be at most {_SIDE_MOST} pixels."
    if max(width_px, height_px) > _RATIO_MOST * min(width_px, height_px):
        return "The aspect ratio must be between 1:3 and 3:1."
    if not _PIXELS_LEAST <= width_px * height_px <= _PIXELS_MOST:
        return f"The image must have between {_PIXELS_LEAST} and {_PIXELS_MOST} pixels."
    return None


def _not_simulated(given: dict[str, Any]) -> None:
    streamed = given.get("stream", False)
    if not isinstance(streamed, bool):
        raise Declined(_wrong_type("stream", "a boolean", streamed))
    if streamed or _integer(given, "partial_images", least=0, most=3, default=0):
        raise Declined(
            _error(400, "This simulator does not stream images.", param="stream", code="unsupported_value")
        )


def _look(given: dict[str, Any]) -> tuple[str, str]:
    background = _choice(given, "background", ("transparent", "opaque", "auto"), "auto")
    # gif and svg exist on 2.6 with special access, which this organisation does not have.
    output_format = _choice(given, "output_format", tuple(_MEDIA_TYPES), "png")
    if background == "transparent" and output_format == "jpeg":
        raise Declined(
            _error(
                400,
                "Transparent background is not supported with the jpeg output format.",
                param="background",
                code="invalid_value",
            )
        )
    compression = _integer(given, "output_compression", least=0, most=100, default=100)
    if compression < 100 and output_format == "png":
        raise Declined(
            _error(
                400,
                "Compression less than 100 is not supported for PNG output format",
                param="output_compression",
                code="invalid_value",
            )
        )
    return background, output_format


def _text(given: dict[str, Any], name: str) -> str | None:
    if name not in given:
        return None
    value = given[name]
    if not isinstance(value, str):
        raise Declined(_wrong_type(name, "a string", value))
    return value


def _integer(given: dict[str, Any], name: str, *, least: int, most: int, default: int) -> int:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Declined(_wrong_type(name, "an integer", value))
    if value < least:
        message = f"Invalid '{name}': integer below minimum value. "
        message += f"Expected a value >= {least}, but got {value} instead."
        raise Declined(_error(400, message, param=name, code="integer_below_min_value"))
    if value > most:
        message = f"Invalid '{name}': integer above maximum value. "
        message += f"Expected a value <= {most}, but got {value} instead."
        raise Declined(_error(400, message, param=name, code="integer_above_max_value"))
    return value


def _choice(given: dict[str, Any], name: str, choices: Sequence[str], default: str) -> str:
    value = _text(given, name)
    if value is None:
        return default
    if value not in choices:
        raise Declined(_invalid_value(name, value, choices))
    return value


def _text_in(body: Any, name: str) -> str | None:
    value = body.get(name) if isinstance(body, dict) else None
    return value if isinstance(value, str) else None


# -- answers ---------------------------------------------------------------------------------------


def _images_response(order: Order, images: Sequence[bytes]) -> bytes:
    response: dict[str, Any] = {
        "created": int(time.time()),
        "background": order.background,
        "data": [{"b64_json": base64.b64encode(image).decode()} for image in images],
        "output_format": order.output_format,
        "quality": order.quality,
        "size": f"{order.width_px}x{order.height_px}",
        "usage": order.usage,
    }
    if order.safety_identifier is not None:
        response["safety_identifier"] = order.safety_identifier
    return json.dumps(response).encode()


def _model_object(model: ImageModel) -> dict[str, Any]:
    return {
        "id": model.id,
        "object": "model",
        "created": int(
            datetime(model.created.year, model.created.month, model.created.day, tzinfo=UTC).timestamp()
        ),
        "owned_by": "system",
        "shutdown_date": model.shutdown.isoformat() if model.shutdown else None,
    }


def _error(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
    headers: tuple[tuple[str, str], ...] = (),
    **more: Any,
) -> Answer:
    error = {"message": message, "type": kind, "param": param, "code": code, **more}
    return Answer.of_json(status, {"error": error}, headers)


def _invalid_value(name: str, value: str, choices: Sequence[str]) -> Answer:
    *others, last = [f"'{choice}'" for choice in choices]
    message = f"Invalid value: '{value}'. Supported values are: {', '.join(others)}, and {last}."
    return _error(400, message, param=name, code="invalid_value")


def _wrong_type(name: str, expected: str, value: Any) -> Answer:
    message = f"Invalid type for '{name}': expected {expected}, but got {_JSON_TYPES[type(value)]} instead."
    return _error(400, message, param=name, code="invalid_type")


def _bad_key(key: str) -> Answer:
    # The live service repeats a masked key, too: whoever stores this message must redact it.
    masked = f"{key[:3]}{'*' * 8}{key[-4:]}"
    return _error(
        401,
        f"Incorrect API key provided: {masked}. "
        "You can find your API key at https://platform.openai.com/account/api-keys.",
        code="invalid_api_key",
    )


def _code_of(answer: Answer) -> str:
    error = json.loads(answer.body)["error"]
    return f"declined: {error['code'] or error['type']}"


def _recorded(fault: Rule, call: Call, order: Order | None) -> Answer | None:
    """The recorded answer that `fault` puts in place of the work, if it is of that kind."""
    model = order.model.id if order else "gpt-image-2"
    match fault.action:
        case "rate_limited":
            return _rate_limited(model, limit=5, wait_s=fault.retry_after_s, headers=retry_after(fault))
        case "quota":
            message = "You exceeded your current quota, please check your plan and billing details."
            return _error(429, message, kind="insufficient_quota", code="project_spend_limit_exceeded")
        case "bad_key":
            return _bad_key(call.headers.get("authorization", "").removeprefix("Bearer "))
        case "not_verified":
            return _error(
                403,
                f"Your organization must be verified to use the model `{model}`. Please go to: "
                "https://platform.openai.com/settings/organization/general and click on Verify Organization. "
                "If you just verified, it can take up to 15 minutes for access to propagate.",
            )
        case "moderation_input":
            return _moderated(call, "input", "other")
        case "moderation_output":
            return _moderated(call, "output", "sexual")
        case "server_error":
            return _error(
                500,
                "The server had an error while processing your request. Sorry about that! You can retry your "
                "request, or contact us through our help center at help.openai.com if the error persists. "
                f"(Please include the request ID {call.id} in your message.)",
                kind="server_error",
            )
        case "overloaded":
            message = "The server is currently overloaded with other requests. Please try again later."
            return _error(503, message, kind="server_error", code="server_is_overloaded")
        case "html_502":
            return bad_gateway()
        case "answer":
            return scripted(fault)
    return None


def _rate_limited(model: str, *, limit: int, wait_s: float, headers: tuple[tuple[str, str], ...]) -> Answer:
    return _error(
        429,
        f"Rate limit reached for {model} (for limit gpt-image) in organization org-simulated on input-images "
        f"per min: Limit {limit}, Used {limit}, Requested 1. Please try again in {wait_s:g}s.",
        kind="input-images",
        code="rate_limit_exceeded",
        headers=headers,
    )


def _moderated(call: Call, stage: str, category: str) -> Answer:
    return _error(
        400,
        "Your request was rejected by the safety system. If you believe this is an error, contact us at "
        f"help.openai.com and include the request ID {call.id}. safety_violations=[{category}].",
        kind="image_generation_user_error",
        code="moderation_blocked",
        moderation_details={"moderation_stage": stage, "categories": [category]},
    )


class _ImagesPerMinute:
    """OpenAI's image limit: a bucket of `limit` images that fills up evenly over a minute."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._left = float(limit or 0)
        self._at = time.monotonic()

    def take(self, order: Order) -> None:
        """Count the order's images. Raises Declined when the minute has no room for them."""
        if self._limit is None:
            return
        now = time.monotonic()
        per_second = self._limit / 60
        self._left = min(float(self._limit), self._left + (now - self._at) * per_second)
        self._at = now
        if self._left < order.images:
            wait_s = ceil((order.images - self._left) / per_second)
            raise Declined(
                _rate_limited(
                    order.model.id,
                    limit=self._limit,
                    wait_s=wait_s,
                    headers=(("retry-after", str(wait_s)),),
                )
            )
        self._left -= order.images
