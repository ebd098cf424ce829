"""OpenAI's image models as of 2026-11-22: what they accept, when they stop, what a token costs.

The simulator's own table, on purpose: the adapter has another, and the two witness for each other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from math import ceil

Tokens = Callable[[int, int, str], int]  # of one image: width and height in pixels, quality
# Of one picture that goes in: width and height in pixels, whether it is looked at with high fidelity.
InputTokens = Callable[[int, int, bool], int]

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
    image_in: Fraction
    input_tokens: InputTokens
    shutdown: date | None = None
    any_size: bool = True
    complexity: bool = False
    fidelity: bool = False  # takes input_fidelity

    def is_gone(self, today: date) -> bool:
        return self.shutdown is not None and self.shutdown <= today

    def dollars(self, *, text_tokens: int, output_tokens: int, picture_tokens: int = 0) -> Fraction:
        """The exact price of a call, in dollars."""
        asked = text_tokens * self.text_in + picture_tokens * self.image_in
        return asked + output_tokens * self.image_out


def text_tokens(prompt: str) -> int:
    """The input tokens of a prompt: about four bytes each, and the six that the service was seen to add.

    https://community.openai.com/t/1371851 (2026-06-25)
    """
    return 6 + ceil(len(prompt.encode()) / 4)


def _per_token(dollars_per_million: str) -> Fraction:
    return Fraction(dollars_per_million) / _MILLION


# -- pictures that go in ---------------------------------------------------------------------------


def by_tiles(width_px: int, height_px: int, fidelity: bool) -> int:
    """GPT Image 1: into 2048 x 2048, then down to a shorter side of 512, then 512 px squares.

    https://developers.openai.com/api/docs/guides/images-vision (read 2026-11-26)
    """
    long, short = float(max(width_px, height_px)), float(min(width_px, height_px))
    if long > 2048:
        long, short = 2048.0, short * 2048 / long
    if short > 512:
        long, short = long * 512 / short, 512.0
    tokens = 65 + 129 * ceil(round(long / 512, 6)) * ceil(round(short / 512, 6))
    if fidelity:
        tokens += 4160 if width_px * 4 < height_px * 5 and height_px * 4 < width_px * 5 else 6240
    return tokens


def by_patches(width_px: int, height_px: int, _fidelity: bool = True) -> int:
    """gpt-image-2, as its users measured it: 32 px patches of a canvas of at least 1024 px, at most 1,536.

    https://community.openai.com/t/1382940 (2026-06-12)
    """
    wide, high = float(width_px), float(height_px)
    wide, high = max(wide, high / 3), max(high, wide / 3)
    grow = min(2.0, max(1.0, 1024 / max(width_px, height_px)))
    wide, high = wide * grow, high * grow
    patches = ceil(round(wide / 32, 6)) * ceil(round(high / 32, 6))
    if patches <= 1536:
        return patches
    shrink = (1536 * 32 * 32 / (wide * high)) ** 0.5
    across, down = wide * shrink / 32, high * shrink / 32
    shrink *= min(int(across) / across, int(down) / down)
    return min(1536, ceil(int(wide * shrink) / 32) * ceil(int(high * shrink) / 32))


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
        _per_token("8"),
        by_patches,
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


def _stopping(
    name: str, created: date, prices: str, square: str, oblong: str, *, fidelity: bool = True
) -> ImageModel:
    text_in, image_in, image_out = prices.split()
    per_token = _per_token(image_out)
    return ImageModel(
        name,
        created,
        _per_token(text_in),
        per_token,
        tuple(_AXIS),
        _by_price(per_token, square, oblong),
        _per_token(image_in),
        by_tiles,
        shutdown=_STOPS,
        any_size=False,
        fidelity=fidelity,
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
        _stopping("gpt-image-1.5", date(2025, 12, 16), "5 8 32", _1_5_SQUARE, _1_5_OBLONG),
        _stopping("chatgpt-image-latest", date(2025, 12, 16), "5 8 32", _1_5_SQUARE, _1_5_OBLONG),
        _stopping(
            "gpt-image-1-mini", date(2025, 10, 6), "2 2.50 8", _MINI_SQUARE, _MINI_OBLONG, fidelity=False
        ),
    )
}
