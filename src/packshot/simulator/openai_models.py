"""OpenAI's image models as of 2026-11-22: what they accept, when they stop, what a token costs.

The simulator's own table, on purpose: the adapter has another, and the two witness for each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from math import ceil
from typing import Literal

Shape = Literal["square", "oblong"]

_MILLION = 1_000_000
_REFERENCE_PIXELS: dict[Shape, int] = {"square": 1024 * 1024, "oblong": 1536 * 1024}
FIXED_SIZES = ((1024, 1024), (1024, 1536), (1536, 1024))
BYTES_PER_TEXT_TOKEN = 4


@dataclass(frozen=True, slots=True)
class ImageModel:
    """One model: token prices in dollars, and an image's published price, from which its tokens follow."""

    id: str
    created: date
    text_in: Fraction
    image_out: Fraction
    per_image: Mapping[Shape, Mapping[str, Fraction]]
    shutdown: date | None = None
    any_size: bool = True
    complexity: bool = False

    @property
    def qualities(self) -> tuple[str, ...]:
        return tuple(self.per_image["square"])

    def is_gone(self, today: date) -> bool:
        return self.shutdown is not None and self.shutdown <= today

    def output_tokens(self, width_px: int, height_px: int, quality: str) -> int:
        """Image tokens of one image: as many as make the published price, in proportion to its pixels."""
        shape: Shape = "square" if width_px == height_px else "oblong"
        tokens = self.per_image[shape][quality] / self.image_out
        return round(tokens * width_px * height_px / _REFERENCE_PIXELS[shape])

    def dollars(self, *, text_tokens: int, output_tokens: int) -> Fraction:
        """The exact price of a call, in dollars."""
        return text_tokens * self.text_in + output_tokens * self.image_out


def text_tokens(prompt: str) -> int:
    """The input tokens of a prompt. The real tokenizer differs; this is the usual four bytes a token."""
    return max(1, ceil(len(prompt.encode()) / BYTES_PER_TEXT_TOKEN))


def _per_token(dollars_per_million: str) -> Fraction:
    return Fraction(dollars_per_million) / _MILLION


def _prices(
    square: str, oblong: str, *, names: str = "low medium high"
) -> Mapping[Shape, Mapping[str, Fraction]]:
    def by_quality(row: str) -> dict[str, Fraction]:
        return {name: Fraction(price) for name, price in zip(names.split(), row.split(), strict=True)}

    return {"square": by_quality(square), "oblong": by_quality(oblong)}


_GPT_IMAGE_2 = _prices("0.006 0.053 0.211", "0.005 0.041 0.165")
_GPT_IMAGE_1_5 = _prices("0.009 0.034 0.133", "0.013 0.050 0.200")
_GPT_IMAGE_1_MINI = _prices("0.005 0.011 0.036", "0.006 0.015 0.052")
# OpenAI publishes no table for 2.5 and 2.6. Up to high, 2.5 is taken to cost what 2 costs, and low and
# medium of 2.6 the 3.5-fold (3 to 4 is reported). xhigh and max are this simulator's own guess.
_FIVE = "low medium high xhigh max"
_GPT_IMAGE_2_5 = _prices("0.006 0.053 0.211 0.317 0.422", "0.005 0.041 0.165 0.248 0.330", names=_FIVE)
_GPT_IMAGE_2_6 = _prices("0.021 0.1855 0.211 0.317 0.422", "0.0175 0.1435 0.165 0.248 0.330", names=_FIVE)

_STOPS = date(2026, 12, 1)


def _current(
    name: str, created: date, prices: Mapping[Shape, Mapping[str, Fraction]], *, complexity: bool = False
) -> ImageModel:
    return ImageModel(name, created, _per_token("5"), _per_token("30"), prices, complexity=complexity)


def _stopping(
    name: str, created: date, text_in: str, image_out: str, prices: Mapping[Shape, Mapping[str, Fraction]]
) -> ImageModel:
    return ImageModel(
        name, created, _per_token(text_in), _per_token(image_out), prices, shutdown=_STOPS, any_size=False
    )


MODELS: dict[str, ImageModel] = {
    model.id: model
    for model in (
        _current("gpt-image-2.6-flare", date(2026, 11, 4), _GPT_IMAGE_2_6, complexity=True),
        _current("gpt-image-2.6-sunburst", date(2026, 11, 4), _GPT_IMAGE_2_6, complexity=True),
        _current("gpt-image-2.5-flare", date(2026, 9, 8), _GPT_IMAGE_2_5),
        _current("gpt-image-2.5-flare-2026-09-08", date(2026, 9, 8), _GPT_IMAGE_2_5),
        _current("gpt-image-2.5-sunburst", date(2026, 9, 8), _GPT_IMAGE_2_5),
        _current("gpt-image-2.5-sunburst-2026-09-08", date(2026, 9, 8), _GPT_IMAGE_2_5),
        _current("gpt-image-2", date(2026, 4, 21), _GPT_IMAGE_2),
        _current("gpt-image-2-2026-04-21", date(2026, 4, 21), _GPT_IMAGE_2),
        _stopping("gpt-image-1.5", date(2025, 12, 16), "5", "32", _GPT_IMAGE_1_5),
        _stopping("chatgpt-image-latest", date(2025, 12, 16), "5", "32", _GPT_IMAGE_1_5),
        _stopping("gpt-image-1-mini", date(2025, 10, 6), "2", "8", _GPT_IMAGE_1_MINI),
    )
}
