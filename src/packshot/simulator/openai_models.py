"""OpenAI's image models as of 2026-11-22: what they accept, when they stop, what a token costs.

The simulator's own table, on purpose: the adapter has another, and the two witness for each other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from math import ceil

Tokens = Callable[[int, int, str], int]  # of one image: width and height in pixels, quality

FIXED_SIZES = ((1024, 1024), (1024, 1536), (1536, 1024))
_MILLION = 1_000_000
_STOPS = date(2026, 12, 1)


@dataclass(frozen=True, slots=True)
class ImageModel:
    """One model: what it accepts, its output tokens, its prices in dollars per token."""

    id: str
    created: date
    text_in: Fraction
    image_out: Fraction
    qualities: tuple[str, ...]
    output_tokens: Tokens
    shutdown: date | None = None
    any_size: bool = True
    complexity: bool = False

    def is_gone(self, today: date) -> bool:
        return self.shutdown is not None and self.shutdown <= today

    def dollars(self, *, text_tokens: int, output_tokens: int) -> Fraction:
        """The exact price of a call, in dollars."""
        return text_tokens * self.text_in + output_tokens * self.image_out


def text_tokens(prompt: str) -> int:
    """The input tokens of a prompt: about four bytes each, and the six that the service was seen to add.

    https://community.openai.com/t/1371851 (2026-06-25)
    """
    return 6 + ceil(len(prompt.encode()) / 4)


def _per_token(dollars_per_million: str) -> Fraction:
    return Fraction(dollars_per_million) / _MILLION


# -- models of any size: tokens by the formula behind OpenAI's own calculator ------------------------
# https://community.openai.com/t/1382699 (2026-06-05). Its figures for gpt-image-2 in high: 7,024 tokens for
# 1024x1024, 5,488 for 1536x1024, 12,329 for 3584x2048. Yes, the wider image is the cheaper one.


def _by_area(axis: Mapping[str, int], times: Mapping[str, Fraction] | None = None) -> Tokens:
    def tokens(width_px: int, height_px: int, quality: str) -> int:
        long, short = max(width_px, height_px), min(width_px, height_px)
        steps_along = axis[quality]
        steps_across = (2 * steps_along * short + long) // (2 * long)  # rounded, halves up
        exact = Fraction(steps_along * steps_across * (2_000_000 + width_px * height_px), 4_000_000)
        return ceil(ceil(exact) * (times or {}).get(quality, 1))

    return tokens


_AXIS = {"low": 16, "medium": 48, "high": 96}
# No table is published for 2.5 and 2.6. Up to high, 2.5 is taken to cost what 2 costs, and low and medium of
# 2.6 the 3.5-fold (3 to 4 is reported). xhigh and max are this simulator's own guess.
_AXIS_2_5 = {**_AXIS, "xhigh": 112, "max": 128}
_TIMES_2_6 = {"low": Fraction("3.5"), "medium": Fraction("3.5")}


def _current(
    name: str,
    created: date,
    axis: Mapping[str, int],
    times: Mapping[str, Fraction] | None = None,
    *,
    complexity: bool = False,
) -> ImageModel:
    return ImageModel(
        name,
        created,
        _per_token("5"),
        _per_token("30"),
        tuple(axis),
        _by_area(axis, times),
        complexity=complexity,
    )


# -- models of three sizes: as many tokens as make the published price of an image -------------------


def _by_price(per_token: Fraction, square: str, oblong: str) -> Tokens:
    def row(prices: str) -> dict[str, Fraction]:
        return {name: Fraction(price) for name, price in zip(_AXIS, prices.split(), strict=True)}

    by_shape = {True: row(square), False: row(oblong)}

    def tokens(width_px: int, height_px: int, quality: str) -> int:
        return round(by_shape[width_px == height_px][quality] / per_token)

    return tokens


def _stopping(name: str, created: date, text_in: str, image_out: str, square: str, oblong: str) -> ImageModel:
    per_token = _per_token(image_out)
    return ImageModel(
        name,
        created,
        _per_token(text_in),
        per_token,
        tuple(_AXIS),
        _by_price(per_token, square, oblong),
        shutdown=_STOPS,
        any_size=False,
    )


_1_5_SQUARE, _1_5_OBLONG = "0.009 0.034 0.133", "0.013 0.050 0.200"
_MINI_SQUARE, _MINI_OBLONG = "0.005 0.011 0.036", "0.006 0.015 0.052"

MODELS: dict[str, ImageModel] = {
    model.id: model
    for model in (
        _current("gpt-image-2.6-flare", date(2026, 11, 4), _AXIS_2_5, _TIMES_2_6, complexity=True),
        _current("gpt-image-2.6-sunburst", date(2026, 11, 4), _AXIS_2_5, _TIMES_2_6, complexity=True),
        _current("gpt-image-2.5-flare", date(2026, 9, 8), _AXIS_2_5),
        _current("gpt-image-2.5-flare-2026-09-08", date(2026, 9, 8), _AXIS_2_5),
        _current("gpt-image-2.5-sunburst", date(2026, 9, 8), _AXIS_2_5),
        _current("gpt-image-2.5-sunburst-2026-09-08", date(2026, 9, 8), _AXIS_2_5),
        _current("gpt-image-2", date(2026, 4, 21), _AXIS),
        _current("gpt-image-2-2026-04-21", date(2026, 4, 21), _AXIS),
        _stopping("gpt-image-1.5", date(2025, 12, 16), "5", "32", _1_5_SQUARE, _1_5_OBLONG),
        _stopping("chatgpt-image-latest", date(2025, 12, 16), "5", "32", _1_5_SQUARE, _1_5_OBLONG),
        _stopping("gpt-image-1-mini", date(2025, 10, 6), "2", "8", _MINI_SQUARE, _MINI_OBLONG),
    )
}
