"""Checks that any adapter's author can run: no network, no key, plain assertions with a clear message.

from packshot.providers.conformance import CHECKS, offline
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_my_adapter_keeps_the_contract(check):
    check(offline(MyAdapter))
"""

import inspect
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from packshot.kernel.errors import BadInput
from packshot.kernel.money import LARGEST
from packshot.providers.answers import read_image
from packshot.providers.contract import (
    AS_INPUT,
    RAW_LIMIT,
    Account,
    Delivery,
    ImageRequest,
    InputImage,
    JsonValue,
    ModelCard,
    Option,
    Provider,
    Ticket,
    default_model,
)
from packshot.providers.http import GuardedClient

_NAME = re.compile(r"[a-z][a-z0-9-]{1,31}")
_SHAPE = re.compile(r"[1-9]\d{0,2}:[1-9]\d{0,2}")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_HOST = re.compile(r"(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
# The header of a PNG of 1024 x 1024 px with transparency; nobody looks further before it is sent.
_PIXELS = bytes.fromhex("89504e470d0a1a0a0000000d49484452000004000000040008060000007f1d2b83")
_PROMPT = "A linen apron on a wooden table, soft daylight"


def offline(adapter: type[Provider]) -> Provider:
    """The adapter built as the registry builds it, with an empty key; nothing is sent."""
    account = Account(key="", base_url=adapter.default_base_url, simulated=True)
    return adapter(account, GuardedClient(account.base_url, hosts=adapter.hosts))


def names_fit_tables_and_addresses(provider: Provider) -> None:
    assert _NAME.fullmatch(provider.name), f"name {provider.name!r}: lower case, digits and -, at most 32"
    assert provider.label.strip(), "label is empty"
    assert provider.free or provider.key_variable, "a provider that charges needs a key_variable"


def hosts_are_few_and_exact(provider: Provider) -> None:
    for host in provider.hosts:
        assert _HOST.fullmatch(host), f"host {host!r}: write api.example.com or *.example.com"
    client = GuardedClient(provider.default_base_url, hosts=provider.hosts)
    assert client.allows(provider.default_base_url), "default_base_url is not a base URL"


def variables_are_those_of_an_environment(provider: Provider) -> None:
    names = [*getattr(provider, "variables", ()), *filter(None, [provider.key_variable])]
    for name in names:
        assert _VARIABLE.fullmatch(name), f"variable {name!r}: write ACME_URL"
    assert len(set(names)) == len(names), "a variable is named twice"
    if getattr(provider, "needs_url", False):
        assert names[:1] and names[0].endswith("_URL"), "needs_url: the first of variables is its address"


def limits_let_something_run(provider: Provider) -> None:
    assert provider.limits.in_flight >= 1, "limits.in_flight must be at least 1"
    assert provider.limits.per_minute is None or provider.limits.per_minute >= 1, "limits.per_minute below 1"


def calls_are_coroutines(provider: Provider) -> None:
    for name in ("submit", "collect"):
        method = getattr(provider, name)
        assert inspect.iscoroutinefunction(method), f"{name} must be `async def`: many run at once"
    for name in ("models", "quote"):
        assert not inspect.iscoroutinefunction(getattr(provider, name)), (
            f"{name} must not be async: it is local"
        )


def cards_are_complete(provider: Provider) -> None:
    cards = provider.models()
    assert cards, "there is no model"
    assert len({card.id for card in cards}) == len(cards), "two models have the same id"
    for card in cards:
        assert card.provider == provider.name, f"{card.id}: provider is {card.provider!r}"
        assert card.id and len(card.id) <= 100 and card.label, f"{card.id!r}: id (at most 100) and label"
        longest = 300 if card.delivery == "direct" else 3600
        assert 1 <= card.deadline_s <= longest, (
            f"{card.id}: deadline_s {card.deadline_s} is not 1 to {longest}"
        )
        assert 1 <= card.max_images <= 10, f"{card.id}: max_images {card.max_images} is not 1 to 10"
        assert card.shapes, f"{card.id}: no shape"
        for shape in card.shapes:
            assert shape == AS_INPUT or _SHAPE.fullmatch(shape), f"{card.id}: shape {shape!r} is not like 4:5"
        assert 0 <= card.min_inputs <= card.max_inputs, f"{card.id}: min_inputs is above max_inputs"
        assert card.kind == "generate" or card.min_inputs, f"{card.id}: an {card.kind} needs a picture"


def the_default_model_is_alive(provider: Provider) -> None:
    assert not default_model(provider).retired, "every model is retired"


def retired_models_name_a_living_successor(provider: Provider) -> None:
    living = {card.id for card in provider.models() if not card.retired}
    for card in provider.models():
        if card.retired or card.retires_on:
            assert card.successor in living, f"{card.id}: successor {card.successor!r} is not a living model"


def options_describe_themselves(provider: Provider) -> None:
    for card in provider.models():
        names = [option.name for option in card.options]
        assert len(set(names)) == len(names), f"{card.id}: an option appears twice"
        for option in card.options:
            _check_option(card, option)


def _check_option(card: ModelCard, option: Option) -> None:
    where = f"{card.id}, option {option.name}"
    assert option.label, f"{where}: no label"
    if option.kind == "choice":
        assert option.choices, f"{where}: no choices"
        assert option.default is None or option.default in option.choices, f"{where}: default is not a choice"
    if option.kind == "integer" and option.default is not None:
        assert type(option.default) is int, f"{where}: default is not a whole number"
        assert option.minimum is None or option.default >= option.minimum, f"{where}: default below minimum"
        assert option.maximum is None or option.default <= option.maximum, f"{where}: default above maximum"
    if option.kind == "text":
        assert option.maximum, f"{where}: maximum says how many characters"
    if option.kind == "boolean":
        assert option.default in (None, True, False), f"{where}: default is not yes or no"


def every_living_model_can_be_quoted(provider: Provider) -> None:
    for request in _requests(provider):
        quote = provider.quote(request)
        where = f"{request.model}, {request.shape}, {request.images} images"
        assert (quote.expected is None) == (quote.ceiling is None), (
            f"{where}: one side of the quote is unknown"
        )
        assert 0 < len(quote.price_version) <= 40, f"{where}: price_version must be 1 to 40 characters"
        if quote.expected is None or quote.ceiling is None:
            assert quote.note, f"{where}: an unknown price needs a note that says so"
            continue
        assert type(quote.expected) is int and type(quote.ceiling) is int, (
            f"{where}: money is whole micro-dollars"
        )
        assert 0 <= quote.expected <= quote.ceiling <= LARGEST, f"{where}: ceiling is below expected"
        assert provider.free or quote.ceiling > 0, f"{where}: a price of 0 is unknown, not free"


def more_images_never_cost_less(provider: Provider) -> None:
    for request in _requests(provider):
        one, many = provider.quote(replace(request, images=1)), provider.quote(request)
        if one.ceiling is not None and many.ceiling is not None:
            assert many.ceiling >= one.ceiling, f"{request.model}: {request.images} images cost less than 1"


def nonsense_is_refused_before_it_costs(provider: Provider) -> None:
    good = an_example(default_model(provider))
    nonsense = {
        "an unknown model": replace(good, model="no-such-model"),
        "an endless prompt": replace(good, prompt="x" * (default_model(provider).prompt_limit + 1)),
        "an unknown shape": replace(good, shape="1:999"),
        "no image": replace(good, images=0),
        "too many images": replace(good, images=default_model(provider).max_images + 1),
        "an unknown option": replace(good, options={"no_such_option": 1}),
    }
    nonsense |= {
        f"the retired model {card.id}": replace(good, model=card.id)
        for card in provider.models()
        if card.retired
    }
    nonsense |= {
        f"an empty prompt for {card.id}": replace(an_example(card), prompt="  ")
        for card in provider.models()
        if card.needs_prompt and not card.retired
    }
    nonsense |= {
        f"one picture too many for {card.id}": replace(
            an_example(card), inputs=(_picture(),) * (card.max_inputs + 1)
        )
        for card in provider.models()
        if not card.retired
    }
    for what, request in nonsense.items():
        try:
            provider.quote(request)
        except BadInput:
            continue
        raise AssertionError(f"quote accepted {what}; it must raise BadInput")


def quotes_are_the_same_twice(provider: Provider) -> None:
    for request in _requests(provider):
        assert provider.quote(request) == provider.quote(request), f"{request.model}: two quotes differ"


def cards_can_be_shown_as_json(provider: Provider) -> None:
    for card in provider.models():
        for option in card.options:
            json.dumps([option.default, option.choices, option.minimum, option.maximum])


def ticket_survives_a_restart(ticket: Ticket) -> None:
    """For a ticket that the adapter's submit returned: another process reads it back from the database."""
    stored = json.loads(json.dumps(ticket.state))
    assert stored == ticket.state, "the ticket's state changes when it is stored as JSON"
    assert ticket.cost is None or 0 <= ticket.cost <= LARGEST, f"the ticket's cost is {ticket.cost}"


def delivery_is_complete(delivery: Delivery, request: ImageRequest) -> None:
    """For a delivery that the adapter returned: images that are what they say, a cost that can be booked."""
    assert 1 <= len(delivery.images) <= request.images, f"{len(delivery.images)} images for {request.images}"
    for image in delivery.images:
        bare = replace(image, handle=None)
        assert read_image(image.content) == bare, "an image's size or type is not what its header says"
    assert delivery.cost is None or 0 <= delivery.cost <= LARGEST, f"the cost is {delivery.cost}"
    assert len(delivery.raw) <= RAW_LIMIT, f"raw has {len(delivery.raw):,} characters; keep {RAW_LIMIT:,}"


def _requests(provider: Provider) -> Iterator[ImageRequest]:
    for card in provider.models():
        if not card.retired:
            for shape in card.shapes:
                yield replace(an_example(card), shape=shape, images=card.max_images)


def an_example(card: ModelCard) -> ImageRequest:
    """The least that can be asked of a model: its prompt, its pictures, and the options it needs."""
    options: dict[str, JsonValue] = {}
    for option in card.options:
        if option.required and option.default is None:
            of_kind = {"text": "the apron", "integer": option.minimum or 0, "boolean": True}
            options[option.name] = option.choices[0] if option.choices else of_kind[option.kind]
    return ImageRequest(
        card.id,
        _PROMPT if card.needs_prompt else "",
        card.shapes[0],
        options=options,
        inputs=(_picture(),) * card.min_inputs,
    )


def _picture() -> InputImage:
    return InputImage("image", "image/png", 1024, 1024, len(_PIXELS), _PIXELS)


CHECKS: tuple[Callable[[Provider], None], ...] = (
    names_fit_tables_and_addresses,
    hosts_are_few_and_exact,
    variables_are_those_of_an_environment,
    limits_let_something_run,
    calls_are_coroutines,
    cards_are_complete,
    the_default_model_is_alive,
    retired_models_name_a_living_successor,
    options_describe_themselves,
    every_living_model_can_be_quoted,
    more_images_never_cost_less,
    nonsense_is_refused_before_it_costs,
    quotes_are_the_same_twice,
    cards_can_be_shown_as_json,
)
