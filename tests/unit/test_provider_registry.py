"""Adapters: how they are found, the contract that ours keep, and what is kept of an answer."""

import asyncio
import json
from dataclasses import replace
from datetime import date
from importlib.metadata import EntryPoint
from uuid import uuid4

import pytest

from packshot.kernel.errors import BadInput, Refused
from packshot.providers import conformance
from packshot.providers.conformance import CHECKS, offline
from packshot.providers.contract import (
    RAW_LIMIT,
    Account,
    AttemptRef,
    Delivery,
    ImageRequest,
    ModelCard,
    Option,
    Provider,
    Quote,
    default_model,
)
from packshot.providers.http import Answer
from packshot.providers.redact import redacted, scrubbed
from packshot.providers.registry import GROUP, adapters, build, found, load
from packshot.providers.sandbox import Sandbox

# -- finding ------------------------------------------------------------------------------------


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name=name, value=value, group=GROUP)


def test_the_built_in_adapters_are_found_by_their_entry_points():
    assert {"openai", "flux", "stability", "sandbox"} <= set(adapters())
    assert not {"openai", "flux", "stability", "sandbox"} & set(found().broken)


def test_a_broken_adapter_is_reported_and_harms_nobody():
    result = load(
        [
            point("gone", "no_such_module:Adapter"),
            point("missing", "json:NoSuchClass"),
            point("function", "json:loads"),
            point("unfit", "json:JSONDecoder"),
            point("misnamed", "packshot.providers.sandbox:Sandbox"),
            point("sandbox", "packshot.providers.sandbox:Sandbox"),
        ]
    )
    assert result.adapters == {"sandbox": Sandbox}
    assert set(result.broken) == {"gone", "missing", "function", "unfit", "misnamed"}
    assert "lacks" in result.broken["unfit"]
    assert "'sandbox'" in result.broken["misnamed"]


def test_a_stranger_cannot_take_a_built_in_name_and_its_key():
    stranger = point("sandbox", "stranger:Sandbox")
    ours = point("sandbox", "packshot.providers.sandbox:Sandbox")
    for order in ([stranger, ours], [ours, stranger]):
        assert load(order).adapters["sandbox"] is Sandbox


def test_building_an_unknown_provider_says_why():
    with pytest.raises(BadInput, match="no such adapter"):
        build("dall-e-9000", Account("", "", simulated=True))


def test_a_provider_is_built_at_its_default_address_or_the_given_one():
    assert build("openai", Account("k", "", simulated=False)).name == "openai"
    assert build("flux", Account("k", "http://127.0.0.1:8000/flux", simulated=True)).name == "flux"


# -- the contract -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(adapters()))
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_our_adapters_keep_the_contract(check, name):
    check(offline(adapters()[name]))


def test_our_adapters_are_providers():
    assert all(isinstance(offline(adapter), Provider) for adapter in adapters().values())


CARD = ModelCard("m", "M", "careless", "direct", 60)


class Careless(Sandbox):
    """An adapter with one mistake at a time."""

    name = "careless"
    cards: tuple[ModelCard, ...] = (CARD,)
    price = Quote(1, 1, "careless-1")

    def models(self):
        return self.cards

    def quote(self, request):
        return self.price


@pytest.mark.parametrize(
    ("check", "mistake"),
    [
        (conformance.names_fit_tables_and_addresses, {"name": "My Adapter"}),
        (conformance.names_fit_tables_and_addresses, {"free": False, "key_variable": None}),
        (conformance.hosts_are_few_and_exact, {"hosts": ("*",)}),
        (conformance.variables_are_those_of_an_environment, {"variables": ("price",)}),
        (
            conformance.variables_are_those_of_an_environment,
            {"variables": ("ACME_PRICE",), "needs_url": True},
        ),
        (conformance.variables_are_those_of_an_environment, {"variables": (), "needs_url": True}),
        (conformance.cards_are_complete, {"cards": ()}),
        (conformance.cards_are_complete, {"cards": (CARD, CARD)}),
        (conformance.cards_are_complete, {"cards": (replace(CARD, provider="openai"),)}),
        (conformance.cards_are_complete, {"cards": (replace(CARD, shapes=("square",)),)}),
        (
            conformance.retired_models_name_a_living_successor,
            {"cards": (CARD, replace(CARD, id="old", retires_on=date(2026, 1, 1)))},
        ),
        (
            conformance.options_describe_themselves,
            {"cards": (replace(CARD, options=(Option("o", "O", "choice", "z", ("a", "b")),)),)},
        ),
        (conformance.every_living_model_can_be_quoted, {"price": Quote(2, 1, "v")}),
        (conformance.every_living_model_can_be_quoted, {"price": Quote(None, 1, "v")}),
        (conformance.every_living_model_can_be_quoted, {"price": Quote(None, None, "v")}),
        (conformance.every_living_model_can_be_quoted, {"free": False, "price": Quote(0, 0, "v")}),
        (conformance.nonsense_is_refused_before_it_costs, {}),
    ],
)
def test_a_careless_adapter_is_told_what_is_wrong(check, mistake):
    careless = offline(type("Mistaken", (Careless,), mistake))
    with pytest.raises(AssertionError, match=r"\w{3}"):
        check(careless)


# -- the sandbox --------------------------------------------------------------------------------


def draw(request: ImageRequest) -> Delivery:
    delivery = asyncio.run(offline(Sandbox).submit(request, AttemptRef(uuid4(), 1, 60)))
    assert isinstance(delivery, Delivery)
    return delivery


@pytest.mark.parametrize(
    ("shape", "format_", "size"),
    [("1:1", "png", (512, 512)), ("4:5", "jpeg", (410, 512)), ("16:9", "webp", (512, 288))],
)
def test_the_sandbox_draws_what_was_asked_for_and_charges_nothing(shape, format_, size):
    options = {"long_side": "512", "output_format": format_}
    delivery = draw(
        ImageRequest("studio", "Hemp seed oil, 250 ml amber bottle", shape, seed=1, options=options)
    )
    (image,) = delivery.images
    assert (image.width_px, image.height_px, image.media_type) == (*size, f"image/{format_}")
    assert (delivery.cost, delivery.seed) == (0, 1)


def test_the_sandbox_repeats_a_seed_and_varies_without_one():
    request = ImageRequest("studio", "Linen apron", seed=5, options={"long_side": "512"})
    assert draw(request).images[0].content == draw(request).images[0].content
    free = replace(request, seed=None)
    assert draw(free).images[0].content != draw(free).images[0].content
    assert len({image.content for image in draw(replace(request, images=3)).images}) == 3


def test_the_sandbox_refuses_what_its_card_does_not_offer():
    with pytest.raises(Refused):
        draw(ImageRequest("studio", "Linen apron", "21:9"))


def test_the_default_model_of_openai_has_a_published_price():
    assert default_model(offline(adapters()["openai"])).id == "gpt-image-2"


# -- what is kept of an answer ------------------------------------------------------------------

KEY = "abcdef-the-key-123456"


def kept(document: object) -> str:
    return redacted(Answer(200, {}, json.dumps(document).encode()), secrets=[KEY])


@pytest.mark.parametrize(
    "document",
    [
        {"key": KEY}, {"x-key": KEY}, {"api_key": "other"}, {"Authorization": f"Bearer {KEY}"},
        {"message": f"your key {KEY} is wrong"}, {f"{KEY}": 1}, [[{"a": [KEY]}]],
        {"message": "Authorization: Bearer sk-something-else"}, {"headers": {"Set-Cookie": "session=1"}},
        {"message": "Incorrect API key provided: sk-proj-abc***xyz."}, {"webhook_secret": "whsec"},
    ],
)  # fmt: skip
def test_no_key_is_kept(document):
    text = kept(document)
    for secret in (KEY, "sk-something", "sk-proj", "session=1", "whsec", "other"):
        assert secret not in text


def test_links_lose_their_signature_and_keep_their_place():
    text = kept({"sample": "https://delivery-us1.bfl.ai/a/b.jpeg?se=2026&sig=abc%2F#x"})
    assert "https://delivery-us1.bfl.ai/a/b.jpeg?[removed]" in text
    assert "sig" not in text
    assert "secret" not in scrubbed("see https://user:secret@host.example/path")


def test_image_bytes_are_counted_not_kept():
    text = kept(
        {
            "data": [{"b64_json": "iVBORw0KGgo" * 100_000}],
            "preview": "QUJD" * 100,
            "usage": {"input_tokens": 5},
        }
    )
    assert json.loads(text) == {
        "data": [{"b64_json": "[1,100,000 characters of base64]"}],
        "preview": "[400 characters]",
        "usage": {"input_tokens": 5},
    }


def test_what_is_kept_fits_and_can_be_stored():
    assert len(kept({"words": ["some words " * 300] * 50})) == RAW_LIMIT
    assert len(redacted(Answer(500, {}, b"plain words " * 100_000))) == RAW_LIMIT
    odd = kept({"half": "\ud800", "nul": "a\x00b"}) + redacted(Answer(500, {}, b"\x00\xff\xfe"))
    assert "\x00" not in odd
    assert odd.encode()


def test_a_deep_answer_is_cut_not_followed():
    deep: object = "end"
    for _ in range(300):
        deep = [deep]
    assert "[deeper]" in kept(deep)
