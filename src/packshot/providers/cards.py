"""What a model card allows: one check for the form, the API and the adapter alike."""

from collections.abc import Mapping

from packshot.kernel.errors import BadInput, Refused
from packshot.providers.contract import ImageRequest, JsonValue, ModelCard, Option

PROMPT_LIMIT = 32_000  # characters: OpenAI's limit; nobody else states a smaller one


def accept(request: ImageRequest, cards: tuple[ModelCard, ...]) -> tuple[ModelCard, dict[str, JsonValue]]:
    """The card of the request's model and its options with defaults filled in. Raises BadInput."""
    card = next((card for card in cards if card.id == request.model), None)
    if card is None:
        raise BadInput(f"There is no model {request.model!r}.", field="model")
    if card.retired:
        instead = f"; use {card.successor}" if card.successor else ""
        raise BadInput(f"{card.label} was retired by its provider{instead}.", field="model")
    if not request.prompt.strip():
        raise BadInput("The prompt is empty.", field="prompt")
    if len(request.prompt) > PROMPT_LIMIT:
        raise BadInput(f"The prompt is longer than {PROMPT_LIMIT:,} characters.", field="prompt")
    try:
        request.prompt.encode()
    except UnicodeEncodeError:
        raise BadInput("The prompt holds half a character; type it again.", field="prompt") from None
    if request.shape not in card.shapes:
        raise BadInput(f"{card.label} makes {', '.join(card.shapes)}, not {request.shape!r}.", field="shape")
    if not 1 <= request.images <= card.max_images:
        raise BadInput(f"{card.label} makes 1 to {card.max_images} images per call.", field="images")
    known = {option.name: option for option in card.options}
    for name in request.options:
        if name not in known:
            raise BadInput(f"{card.label} has no option {name!r}.", field=name)
    return card, {name: _value(option, request.options) for name, option in known.items()}


def refusal(error: BadInput) -> Refused:
    """The same verdict for a request that was admitted once and can no longer be made; nothing was sent."""
    return Refused(str(error), kind="retired_model" if error.field == "model" else "bad_request")


def _value(option: Option, given: Mapping[str, JsonValue]) -> JsonValue:
    value = given.get(option.name, option.default)
    if value is None:
        return None
    if option.kind == "boolean":
        allowed = isinstance(value, bool)
        expected = "yes or no"
    elif option.kind == "integer":
        low, high = option.minimum, option.maximum
        allowed = type(value) is int and (low is None or value >= low) and (high is None or value <= high)
        expected = f"a whole number from {low} to {high}"
    else:
        allowed = isinstance(value, str) and value in option.choices
        expected = f"one of {', '.join(option.choices)}"
    if not allowed:
        raise BadInput(f"{option.label} must be {expected}, not {value!r}.", field=option.name)
    return value
