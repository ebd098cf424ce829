"""What a model card allows: one check for the form, the API and the adapter alike."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime

from packshot.kernel.errors import BadInput, Refused
from packshot.providers.contract import AS_INPUT, ImageRequest, JsonValue, ModelCard, Option

_SHAPE = re.compile(r"([1-9]\d{0,3}):([1-9]\d{0,3})")


def accept(request: ImageRequest, cards: tuple[ModelCard, ...]) -> tuple[ModelCard, dict[str, JsonValue]]:
    """The card of the request's model and its options with defaults filled in. Raises BadInput."""
    card = next((card for card in cards if card.id == request.model), None)
    if card is None:
        raise BadInput(f"There is no model {request.model!r}.", field="model")
    if card.retired:
        instead = f"; use {card.successor}" if card.successor else ""
        raise BadInput(f"{card.label} was retired by its provider{instead}.", field="model")
    if request.prompt and not card.prompt_limit:
        raise BadInput(f"{card.label} takes no prompt.", field="prompt")
    if card.needs_prompt and not request.prompt.strip():
        raise BadInput("The prompt is empty.", field="prompt")
    if len(request.prompt) > card.prompt_limit:
        raise BadInput(f"The prompt is longer than {card.prompt_limit:,} characters.", field="prompt")
    if request.negative_prompt and not card.takes_negative_prompt:
        raise BadInput(f"{card.label} takes no negative prompt.", field="negative_prompt")
    if len(request.negative_prompt) > card.prompt_limit:
        raise BadInput(
            f"The negative prompt is longer than {card.prompt_limit:,} characters.", field="negative_prompt"
        )
    if not _is_whole(request.prompt + request.negative_prompt):
        raise BadInput("The prompt holds half a character; type it again.", field="prompt")
    if request.shape not in card.shapes:
        raise BadInput(f"{card.label} makes {', '.join(card.shapes)}, not {request.shape!r}.", field="shape")
    if not 1 <= request.images <= card.max_images:
        raise BadInput(f"{card.label} makes 1 to {card.max_images} images per call.", field="images")
    _check_inputs(request, card)
    known = {option.name: option for option in card.options}
    for name in request.options:
        if name not in known:
            raise BadInput(f"{card.label} has no option {name!r}.", field=name)
    return card, {name: _value(option, request.options) for name, option in known.items()}


def _check_inputs(request: ImageRequest, card: ModelCard) -> None:
    roles = [each.role for each in request.inputs]
    given = roles.count("image")
    if not card.min_inputs <= given <= card.max_inputs:
        most = "no picture" if not card.max_inputs else f"at most {card.max_inputs}"
        least = f"at least {card.min_inputs}, " if card.min_inputs else ""
        raise BadInput(f"{card.label} takes {least}{most}; {given} were given.", field="inputs")
    for role, taken in (("mask", card.takes_mask), ("style", card.takes_style)):
        if roles.count(role) > (1 if taken else 0):  # type: ignore[arg-type]  # the roles of the contract
            raise BadInput(f"{card.label} takes {'one' if taken else 'no'} {role} picture.", field="inputs")
    if "mask" in roles and not given:
        raise BadInput("A mask says what to change of a picture, and there is none.", field="inputs")


def today() -> date:
    """The day in UTC. Providers name the day on which a model stops, and no hour."""
    return datetime.now(UTC).date()


def as_of(cards: tuple[ModelCard, ...], day: date) -> tuple[ModelCard, ...]:
    """The cards, retired where that day has come: nobody edits a table in the night when a model stops."""
    return tuple(
        replace(card, retired=True) if card.retires_on and card.retires_on <= day else card for card in cards
    )


# Beyond it no model makes anything, and no shop shows anything.
WIDEST = 4


def nearest(card: ModelCard, shape: str) -> str:
    """The shape of the model's own that comes nearest to `shape`, any W:H: what is left over is cropped or
    padded afterwards (imaging/renditions.py), never distorted. Raises BadInput for what is no shape."""
    if shape in card.shapes or card.shapes == (AS_INPUT,):
        return shape if shape in card.shapes else AS_INPUT
    wanted = ratio(shape)
    own = [each for each in card.shapes if each != AS_INPUT]
    return min(own, key=lambda each: abs(math.log(ratio(each) / wanted)))


def fitting(request: ImageRequest, card: ModelCard | None) -> ImageRequest:
    """`request` in a shape that the model makes; what it is asked for in the end."""
    if card is None or request.shape in card.shapes:
        return request
    return replace(request, shape=nearest(card, request.shape))


def ratio(shape: str) -> float:
    """Width divided by height. Raises BadInput."""
    found = _SHAPE.fullmatch(shape)
    if found is None or not 1 / WIDEST <= int(found[1]) / int(found[2]) <= WIDEST:
        raise BadInput(
            f"{shape!r} is no shape: write width:height, such as 4:5, from 1:{WIDEST} to {WIDEST}:1",
            field="shape",
        )
    return int(found[1]) / int(found[2])


def refusal(error: BadInput) -> Refused:
    """The same verdict for a request that was admitted once and can no longer be made; nothing was sent."""
    return Refused(str(error), kind="retired_model" if error.field == "model" else "bad_request")


def _value(option: Option, given: Mapping[str, JsonValue]) -> JsonValue:
    value = given.get(option.name, option.default)
    if option.required and (value is None or (isinstance(value, str) and not value.strip())):
        raise BadInput(f"{option.label} is missing.", field=option.name)
    if value is None:
        return None
    if option.kind == "boolean":
        allowed = isinstance(value, bool)
        expected = "yes or no"
    elif option.kind == "integer":
        low, high = option.minimum, option.maximum
        allowed = type(value) is int and (low is None or value >= low) and (high is None or value <= high)
        expected = f"a whole number from {low} to {high}"
    elif option.kind == "text":
        most = option.maximum or 10_000
        allowed = isinstance(value, str) and len(value) <= most and _is_whole(value)
        expected = f"a text of at most {most:,} characters"
    else:
        allowed = isinstance(value, str) and value in option.choices
        expected = f"one of {', '.join(option.choices)}"
    if not allowed:
        raise BadInput(f"{option.label} must be {expected}, not {repr(value)[:100]}.", field=option.name)
    return value


def _is_whole(text: str) -> bool:
    """Whether the text can be sent: no half of a surrogate pair, which JSON may bring along."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
