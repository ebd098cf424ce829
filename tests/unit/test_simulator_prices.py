"""The simulator's own price tables against the published ones (2026-11-22)."""

from datetime import date
from fractions import Fraction

import pytest

from packshot.simulator import flux_models, openai_models

SQUARE, UPRIGHT, WIDE = (1024, 1024), (1024, 1536), (1536, 1024)


@pytest.mark.parametrize(
    ("model", "square", "oblong"),
    [
        ("gpt-image-2", "0.006 0.053 0.211", "0.005 0.041 0.165"),
        ("gpt-image-1.5", "0.009 0.034 0.133", "0.013 0.050 0.200"),
        ("gpt-image-1-mini", "0.005 0.011 0.036", "0.006 0.015 0.052"),
    ],
)
def test_tokens_make_the_published_price_of_an_image_to_its_last_digit(model, square, oblong):
    card = openai_models.MODELS[model]
    for sizes, row in (((SQUARE,), square), ((UPRIGHT, WIDE), oblong)):
        for size in sizes:
            for quality, published in zip(("low", "medium", "high"), row.split(), strict=True):
                dollars = card.dollars(text_tokens=0, output_tokens=card.output_tokens(*size, quality))
                assert round(dollars, 3) == Fraction(published)


@pytest.mark.parametrize(
    ("size", "tokens"),
    [((1024, 1024), 7024), ((1536, 1024), 5488), ((1792, 1024), 5063), ((2048, 3584), 12329)],
)
def test_a_free_size_uses_the_tokens_that_openais_calculator_says(size, tokens):
    assert openai_models.MODELS["gpt-image-2"].output_tokens(*size, "high") == tokens


def test_a_prompt_costs_its_text_tokens():
    card = openai_models.MODELS["gpt-image-2"]
    assert openai_models.text_tokens("a" * 400) == 106
    assert card.dollars(text_tokens=100, output_tokens=200) == Fraction("0.0065")


def test_models_are_gone_on_the_day_they_stop():
    mini = openai_models.MODELS["gpt-image-1-mini"]
    assert not mini.is_gone(date(2026, 11, 30))
    assert mini.is_gone(date(2026, 12, 1))
    assert not openai_models.MODELS["gpt-image-2"].is_gone(date(2030, 1, 1))


@pytest.mark.parametrize(
    ("model", "document", "pictures_mp", "dollars"),
    [
        ("flux-2-pro", {"prompt": "p", "width": 1024, "height": 1024}, 0, "0.03"),
        ("flux-2-pro", {"prompt": "p", "width": 2048, "height": 1024}, 0, "0.045"),
        ("flux-2-pro", {"prompt": "p"}, 1, "0.045"),
        ("flux-2-max", {"prompt": "p", "width": 2048, "height": 2048}, 0, "0.16"),
        ("flux-2-flex", {"prompt": "p"}, 0, "0.05"),
        ("flux-2-klein-4b", {"prompt": "p"}, 0, "0.014"),
        ("flux-2-klein-9b", {"prompt": "p", "width": 1440, "height": 1440}, 0, "0.017"),
        ("flux-3-image", {"prompt": "p"}, 0, "0.048"),
        ("flux-3-image", {"prompt": "p", "resolution": "768sq"}, 0, "0.041"),
        ("flux-kontext-pro", {"prompt": "p"}, 0, "0.04"),
        ("flux-pro-1.1-ultra", {"prompt": "p"}, 0, "0.06"),
    ],
)
def test_flux_costs_what_its_pricing_page_says(model, document, pictures_mp, dollars):
    card = flux_models.MODELS[model]
    inputs = card.inputs.model_validate(document)
    width_px, height_px = inputs.size()
    out_mp = flux_models.billed_megapixels(width_px * height_px)
    assert card.credits(inputs, out_mp, pictures_mp) * flux_models.DOLLARS_PER_CREDIT == Fraction(dollars)


@pytest.mark.parametrize("ratio", ["auto", "21:9", "16:9", "1:1", "4:5", "9:21"])
@pytest.mark.parametrize("resolution", ["768sq", "1k", "2k"])
def test_flux_3_sizes_keep_area_and_ratio(ratio: str, resolution: str):
    card = flux_models.MODELS["flux-3-image"]
    inputs = card.inputs.model_validate({"prompt": "p", "aspect_ratio": ratio, "resolution": resolution})
    width_px, height_px = inputs.size()
    across, down = (1, 1) if ratio == "auto" else map(int, ratio.split(":"))
    side = {"768sq": 768, "1k": 1024, "2k": 2048}[resolution]
    assert width_px * height_px == pytest.approx(side * side, rel=0.04)
    assert width_px / height_px == pytest.approx(across / down, rel=0.04)
