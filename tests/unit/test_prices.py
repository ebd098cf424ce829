"""The price tables: what they say is exact, what they promise is enough, what they do not know is None."""

import re
import tomllib
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from importlib.resources import files
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packshot.kernel.money import micros
from packshot.providers.conformance import offline
from packshot.providers.contract import ImageRequest, InputImage
from packshot.providers.flux import CARDS as FLUX_CARDS
from packshot.providers.flux import Flux
from packshot.providers.openai import CARDS as OPENAI_CARDS
from packshot.providers.openai import OpenAI, wire_request
from packshot.providers.prices import flux_prices, openai_prices, stability_prices
from packshot.providers.stability_cards import CARDS as STABILITY_CARDS
from packshot.simulator import openai_models

OPENAI, FLUX = openai_prices(), flux_prices()
LIVING = [card for card in OPENAI_CARDS if not card.retired]
PRICED = ("low", "medium", "high")


def usage(tokens_in: int, tokens_out: int, *, image_tokens: int = 0) -> dict[str, object]:
    return {
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
        "input_tokens_details": {"text_tokens": tokens_in - image_tokens, "image_tokens": image_tokens},
    }


@pytest.mark.parametrize("name", ["openai", "flux", "stability"])
def test_a_table_names_its_version_its_date_and_its_sources(name):
    table = tomllib.loads(files("packshot.providers").joinpath("prices", f"{name}.toml").read_text())
    assert table["version"] == f"{name}-{table['read_on']}"
    assert all(source["url"].startswith("https://") and source["name"] for source in table["sources"])


def test_every_living_model_has_a_row():
    assert {card.id for card in LIVING} == set(OPENAI.models)
    assert {card.id for card in FLUX_CARDS} == set(FLUX.models)
    assert {card.id for card in STABILITY_CARDS if not card.retired} == set(stability_prices().models)


# -- OpenAI -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "quality", "tokens"),
    [
        ("1024x1024", "low", 196),
        ("1024x1024", "medium", 1756),
        ("1024x1024", "high", 7024),
        ("1536x1024", "high", 5488),
        ("1024x1536", "high", 5488),
        ("1792x1024", "high", 5063),
        ("3584x2048", "high", 12329),
    ],
)
def test_the_calculators_published_results_come_out(size, quality, tokens):
    exact = Fraction(tokens * 30, 1_000_000)
    assert OPENAI.models["gpt-image-2"].output(size, quality)[0] == exact


def test_expected_prices_round_to_the_listed_ones():
    price = OPENAI.models["gpt-image-2"]
    for quality, sizes in price.listed.items():
        for size, listed in sizes.items():
            expected, _ = price.output(size, quality)
            assert round(expected, 3) == listed, (size, quality)


def test_the_documented_usage_costs_what_its_tokens_cost():
    # 10 text tokens at 5, 40 image tokens at 8, 50 output tokens at 30 dollars per million.
    assert OPENAI.bill("gpt-image-2", usage(50, 50, image_tokens=40)) == 10 * 5 + 40 * 8 + 50 * 30


def test_a_bill_is_rounded_up_once():
    # 1 token at 2.50 and 1 at 8 dollars per million, and 1 text token at 2: 12.5 micro-dollars.
    assert OPENAI.bill("gpt-image-1-mini", usage(2, 1, image_tokens=1)) == 13


@pytest.mark.parametrize(
    "damaged",
    [
        None, [], "12", {}, {"input_tokens": 1}, {"input_tokens": -1, "output_tokens": 5},
        {"input_tokens": 1, "output_tokens": "5"}, {"input_tokens": True, "output_tokens": 5},
        {"input_tokens": 1, "output_tokens": Decimal("5.5")}, {"input_tokens": 1, "output_tokens": 10**30},
        {"input_tokens": 1, "output_tokens": 5, "input_tokens_details": {"image_tokens": "x"}},
    ],
)  # fmt: skip
def test_damaged_usage_is_an_unknown_cost_never_zero(damaged):
    assert OPENAI.bill("gpt-image-2", damaged) is None


def test_usage_without_details_is_billed_as_text():
    assert OPENAI.bill("gpt-image-2", {"input_tokens": 10, "output_tokens": 100}) == 10 * 5 + 100 * 30


def test_an_unknown_model_has_no_bill_and_no_quote():
    assert OPENAI.bill("gpt-image-9", usage(1, 1)) is None
    quote = OPENAI.quote("gpt-image-9", prompt="x", size="1024x1024", quality="low", images=1)
    assert (quote.expected, quote.ceiling) == (None, None)
    assert quote.note


@pytest.mark.parametrize("model", ["gpt-image-2.5-flare", "gpt-image-2.6-sunburst"])
@pytest.mark.parametrize("quality", ["xhigh", "max", "auto"])
def test_a_quality_nobody_published_a_price_for_is_unknown(model, quality):
    quote = offline(OpenAI).quote(ImageRequest(model, "An apron", options={"quality": quality}))
    assert (quote.expected, quote.ceiling) == (None, None)


def test_a_derived_price_says_that_it_is_derived():
    quote = offline(OpenAI).quote(ImageRequest("gpt-image-2.6-flare", "An apron"))
    assert quote.ceiling > quote.expected
    assert "No table is published" in quote.note


def test_auto_reserves_the_dearest_quality():
    quote = offline(OpenAI).quote
    auto, high = (
        quote(ImageRequest("gpt-image-2", "An apron", options={"quality": quality}))
        for quality in ("auto", "high")
    )
    assert auto.ceiling == high.ceiling


@given(
    card=st.sampled_from(LIVING),
    quality=st.sampled_from(PRICED),
    images=st.integers(1, 4),
    prompt=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400).filter(str.strip),
    share=st.floats(0, 1),
    data=st.data(),
)
def test_no_bill_at_the_listed_prices_exceeds_what_was_reserved(card, quality, images, prompt, share, data):
    """Whatever the prompt's tokens, and whether a picture's follow the calculator or the price list."""
    shape = data.draw(st.sampled_from(card.shapes))
    request = ImageRequest(card.id, prompt, shape, images, options={"quality": quality})
    ceiling = offline(OpenAI).quote(request).ceiling
    price = OPENAI.models[card.id]
    size = wire_request(request)["size"]
    expected, _ = price.output(size, quality)
    by_calculator = expected / price.out
    listed = price.listed[quality].get(size, Fraction(0))
    times = (price.times or {}).get(quality, (1, 1))[0]
    by_list = round(listed * times / price.out)
    for tokens_out in (by_calculator, by_list):
        # Never more tokens than bytes, and six around them.
        asked = round((len(prompt.encode()) + 6) * share)
        bill = OPENAI.bill(card.id, usage(images * asked, images * int(tokens_out)))
        assert bill <= ceiling


# -- pictures that go into OpenAI's models ---------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "patches"), [((1024, 1024), 1024), ((1800, 2400), 1452), ((2400, 1800), 1452)]
)
def test_the_guides_worked_examples_of_patches_come_out(size, patches):
    assert OPENAI.picture_tokens.by_patches(*size) == patches


@pytest.mark.parametrize(
    ("size", "low", "high"),
    [
        # 512 x 512: one tile. 512 x 768: two. Fitted into 2048 x 512: four.
        ((1024, 1024), 65 + 129, 65 + 129 + 4160),
        ((1024, 1536), 65 + 2 * 129, 65 + 2 * 129 + 6240),
        ((4096, 1024), 65 + 4 * 129, 65 + 4 * 129 + 6240),
    ],
)
def test_the_guides_rule_of_tiles_comes_out(size, low, high):
    count = OPENAI.picture_tokens.by_tiles
    assert (count(*size, finely=False), count(*size, finely=True)) == (low, high)


@given(
    card=st.sampled_from(LIVING),
    sizes=st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), min_size=1, max_size=16),
    finely=st.booleans(),
    images=st.integers(1, 4),
)
def test_no_bill_of_an_edit_exceeds_what_was_reserved(card, sizes, finely, images):
    """The simulator counts by its own table, and each picture once for each image that is made."""
    model = openai_models.MODELS[card.id]
    finely = finely and model.fidelity
    pictures = tuple(InputImage("image", "image/png", *size, 1000) for size in sizes)
    options = {"quality": "low"} | ({"input_fidelity": "high"} if finely else {})
    request = ImageRequest(card.id, "An apron", images=images, options=options, inputs=pictures)
    quote = offline(OpenAI).quote(request)
    shown = images * sum(model.input_tokens(*size, finely) for size in sizes)
    asked = images * openai_models.text_tokens("An apron")
    made = images * model.output_tokens(1024, 1024, "low")
    bill = OPENAI.bill(card.id, usage(asked + shown, made, image_tokens=shown), pictures=True)
    assert bill == ceil(
        model.dollars(text_tokens=asked, picture_tokens=shown, output_tokens=made) * 1_000_000
    )
    assert bill <= quote.ceiling
    # What the pictures are expected to add is what they add, but for the rounding of both quotes.
    without = offline(OpenAI).quote(replace(request, inputs=(), options={"quality": "low"}))
    assert abs(quote.expected - without.expected - shown * model.image_in * 1_000_000) <= 1
    assert ("not published" in quote.note) == (not model.shutdown)


def test_pictures_make_a_call_dearer_and_only_by_what_they_count():
    quote = offline(OpenAI).quote
    plain = ImageRequest("gpt-image-1.5", "An apron")
    shown = replace(plain, inputs=(InputImage("image", "image/png", 1024, 1024, 1000),))
    assert quote(shown).expected - quote(plain).expected == 194 * 8
    finely = replace(shown, options={"input_fidelity": "high"})
    assert quote(finely).expected - quote(plain).expected == 4354 * 8


# -- FLUX ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "pixels", "expected", "ceiling"),
    [
        ("flux-2-pro", 1024 * 1024, "0.03", "0.045"),
        ("flux-2-pro", 1_000_000, "0.03", "0.03"),
        ("flux-2-pro", 4 * 1024 * 1024, "0.075", "0.09"),
        ("flux-2-klein-4b", 1024 * 1024, "0.014", "0.015"),
        ("flux-2-max", 1280 * 720, "0.07", "0.07"),
        ("flux-pro-1.1", 1440 * 960, "0.04", "0.04"),
        ("flux-pro-1.1-ultra", 0, "0.06", "0.06"),
    ],
)
def test_a_flux_price_follows_the_megapixels(model, pixels, expected, ceiling):
    quote = FLUX.quote(model, pixels=pixels)
    assert (quote.expected, quote.ceiling) == (micros(expected), micros(ceiling))


@pytest.mark.parametrize(
    ("resolution", "price"),
    [("768sq", 41_000), ("1k", 48_000), ("1.5k", None), ("2k", 100_000), ("4k", 607_000)],
)
def test_flux_3_is_priced_by_its_class_and_unknown_where_nobody_lists_it(resolution, price):
    request = ImageRequest("flux-3-image", "An apron", options={"resolution": resolution})
    quote = offline(Flux).quote(request)
    assert (quote.expected, quote.ceiling) == (price, price)
    shown = replace(request, inputs=(InputImage("image", "image/png", 4000, 4000, 1000),))
    assert offline(Flux).quote(shown) == quote  # pictures that go in cost nothing more


@pytest.mark.parametrize(
    ("model", "inputs", "expected", "ceiling"),
    [
        # The price page: an edit of one megapixel with FLUX.2 pro is 0.045.
        ("flux-2-pro", [1024 * 1024], "0.045", "0.075"),
        ("flux-2-pro", [1_000_000], "0.045", "0.06"),
        ("flux-2-pro", [1, 1], "0.06", "0.075"),
        ("flux-2-pro", [20_000_000], "0.33", "0.345"),
        ("flux-2-klein-4b", [1024 * 1024], "0.015", "0.017"),
        ("flux-2-max", [1_000_000] * 3, "0.16", "0.19"),
        ("flux-kontext-pro", [1_000_000] * 4, "0.04", "0.04"),
        ("flux-dev", [1_000_000], "0.025", "0.025"),
    ],
)
def test_pictures_that_go_in_are_billed_by_their_megapixels(model, inputs, expected, ceiling):
    quote = FLUX.quote(model, pixels=1024 * 1024, inputs=inputs)
    assert (quote.expected, quote.ceiling) == (micros(expected), micros(ceiling))


@pytest.mark.parametrize(
    ("credits_spent", "amount"),
    [(3, 30_000), (Decimal("4.8"), 48_000), (Decimal("0.00001"), 1), (Decimal("1.05"), 10_500), (0, 0)],
)
def test_credits_are_cents_rounded_up_once(credits_spent, amount):
    assert FLUX.bill(credits_spent) == amount


@pytest.mark.parametrize(
    "damaged",
    [
        None, "3", True, 3.0, -1, Decimal("-0.5"), Decimal("NaN"), Decimal("Infinity"), Decimal("1E+999999"),
        Decimal("1E-999999"), 10**40, [], {},
    ],
)  # fmt: skip
def test_damaged_credits_are_an_unknown_cost_never_zero(damaged):
    assert FLUX.bill(damaged) is None


def test_no_price_in_a_table_is_written_as_a_float():
    for name in ("openai", "flux", "stability"):
        text = files("packshot.providers").joinpath("prices", f"{name}.toml").read_text()
        bare = [
            line for line in text.splitlines() if re.search(r"= *\d+\.\d", line) and not line.startswith("#")
        ]
        assert bare == []
