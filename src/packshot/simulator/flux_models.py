"""Black Forest Labs' models: what each accepts, how large its images are, what they cost.

The simulator's own table, on purpose: the adapter has another, and the two witness for each other.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, sqrt
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MEGAPIXEL = 1024 * 1024
DOLLARS_PER_CREDIT = Fraction(1, 100)
Pixels = tuple[int, int]

_FLUX_2_PIXELS_MOST = 4 * MEGAPIXEL
_RATIO_LEAST = Fraction(9, 21)
_OutputFormat = Literal["jpeg", "png", "webp"]


def _only_here(url: str | None) -> str | None:
    if url is not None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError("this simulator reports to http addresses of this machine only")
    return url


def _is_ratio(ratio: str | None) -> str | None:
    if ratio is None:
        return None
    sides = re.fullmatch(r"([1-9]\d{0,2}):([1-9]\d{0,2})", ratio)
    if not sides or not _RATIO_LEAST <= Fraction(int(sides[1]), int(sides[2])) <= 1 / _RATIO_LEAST:
        raise ValueError("aspect ratio must be between 21:9 and 9:21")
    return ratio


_Side2 = Annotated[int, Field(ge=64)]
_Side1 = Annotated[int, Field(ge=256, le=1440, multiple_of=32)]


class Inputs(BaseModel):
    """What all models take. Unknown fields are ignored, as everywhere but at FLUX 3."""

    # Strict: the published schema has no strings for numbers.
    model_config = ConfigDict(strict=True, frozen=True)

    prompt: str | None = ""

    @property
    def pictures(self) -> tuple[str, ...]:
        """The reference images, as base64 or as addresses."""
        return ()

    def size(self) -> Pixels:
        """Width and height of the answer, in pixels."""
        return 1024, 1024

    @property
    def seed_wanted(self) -> int | None:
        return None

    @property
    def format_wanted(self) -> _OutputFormat:
        return "jpeg"

    @property
    def reports_to(self) -> tuple[str, str | None] | None:
        """Where the end of the task is reported, and the secret that the report is signed with."""
        return None


class _Classic(Inputs):
    """What all but FLUX 3 take."""

    seed: int | None = None
    output_format: _OutputFormat | None = "jpeg"
    webhook_url: Annotated[str | None, Field(min_length=1, max_length=2083), AfterValidator(_only_here)] = (
        None
    )
    webhook_secret: str | None = None

    @property
    def seed_wanted(self) -> int | None:
        return self.seed

    @property
    def format_wanted(self) -> _OutputFormat:
        return self.output_format or "jpeg"

    @property
    def reports_to(self) -> tuple[str, str | None] | None:
        return (self.webhook_url, self.webhook_secret) if self.webhook_url else None


class Flux2Klein(_Classic):
    prompt: str
    input_image: str | None = None
    input_image_2: str | None = None
    input_image_3: str | None = None
    input_image_4: str | None = None
    width: _Side2 | None = None
    height: _Side2 | None = None
    safety_tolerance: int = Field(default=2, ge=0, le=5)

    @property
    def pictures(self) -> tuple[str, ...]:
        named = (getattr(self, name) for name in type(self).model_fields if name.startswith("input_image"))
        return tuple(picture for picture in named if picture)

    def size(self) -> Pixels:
        return self.width or 1024, self.height or 1024


class Flux2(Flux2Klein):
    input_image_5: str | None = None
    input_image_6: str | None = None
    input_image_7: str | None = None
    input_image_8: str | None = None


class Flux2Flex(Flux2):
    prompt_upsampling: bool | None = True
    input_image_blob_path: str | None = None
    guidance: float | None = Field(default=5.0, ge=1.5, le=10)
    steps: int | None = Field(default=50, ge=1, le=50)


class Kontext(_Classic):
    prompt: str
    input_image: str | None = None
    input_image_2: str | None = None
    input_image_3: str | None = None
    input_image_4: str | None = None
    aspect_ratio: Annotated[str | None, AfterValidator(_is_ratio)] = None
    output_format: _OutputFormat | None = "png"
    prompt_upsampling: bool = False
    safety_tolerance: int = Field(default=2, ge=0, le=6)

    @property
    def pictures(self) -> tuple[str, ...]:
        named = (self.input_image, self.input_image_2, self.input_image_3, self.input_image_4)
        return tuple(picture for picture in named if picture)

    def size(self) -> Pixels:
        return fitted(self.aspect_ratio or "1:1", MEGAPIXEL, step=32)


class Flux11(_Classic):
    image_prompt: str | None = None
    width: _Side1 = 1024
    height: _Side1 = 768
    prompt_upsampling: bool = False
    safety_tolerance: int = Field(default=2, ge=0, le=6)

    @property
    def pictures(self) -> tuple[str, ...]:
        return (self.image_prompt,) if self.image_prompt else ()

    def size(self) -> Pixels:
        return self.width, self.height


class FluxDev(Flux11):
    prompt: str = ""
    steps: int | None = Field(default=28, ge=1, le=50)
    guidance: float | None = Field(default=3.0, ge=1.5, le=5)


class Flux11Ultra(_Classic):
    image_prompt: str | None = None
    image_prompt_strength: float = Field(default=0.1, ge=0, le=1)
    aspect_ratio: Annotated[str, AfterValidator(_is_ratio)] = "16:9"
    raw: bool = False
    prompt_upsampling: bool = False
    safety_tolerance: int = Field(default=2, ge=0, le=6)

    @property
    def pictures(self) -> tuple[str, ...]:
        return (self.image_prompt,) if self.image_prompt else ()

    def size(self) -> Pixels:
        return fitted(self.aspect_ratio, 4 * MEGAPIXEL, step=32)


_Resolution = Literal["768sq", "1k", "1.5k", "2k", "4k"]
_SQUARE_SIDE: dict[_Resolution, int] = {"768sq": 768, "1k": 1024, "1.5k": 1536, "2k": 2048, "4k": 4096}
_Flux3Ratio = Literal[
    "auto", "21:9", "2:1", "16:9", "3:2", "7:5", "4:3", "5:4", "1:1",
    "4:5", "3:4", "5:7", "2:3", "9:16", "1:2", "9:21",
]  # fmt: skip


class Flux3(Inputs):
    """FLUX 3 is another schema, and a strict one: a field too many is a 422."""

    model_config = ConfigDict(extra="forbid")

    prompt: str = Field(min_length=1)
    images: str | Annotated[list[str], Field(min_length=1, max_length=10)] = Field(default_factory=list)
    aspect_ratio: _Flux3Ratio = "auto"
    resolution: _Resolution = "1k"
    safety_tolerance: int = Field(default=2, ge=0, le=4)
    grounding: bool = True
    version: str = "latest"

    @property
    def pictures(self) -> tuple[str, ...]:
        return (self.images,) if isinstance(self.images, str) else tuple(self.images)

    def size(self) -> Pixels:
        ratio = "1:1" if self.aspect_ratio == "auto" else self.aspect_ratio
        return fitted(ratio, _SQUARE_SIDE[self.resolution] ** 2, step=16)


@dataclass(frozen=True, slots=True)
class FluxModel:
    """One model: its inputs, and the price in credits of an order with so many megapixels in and out."""

    id: str
    inputs: type[Inputs]
    credits: Callable[[Inputs, int, int], Fraction]
    pixels_most: int | None = None
    thinks_aloud: bool = False  # FLUX 3 says Reasoning and Generating while it works
    picture_pixels_most: int = 20_000_000  # of one that goes in
    picture_side_least: int = 1


def billed_megapixels(pixels: int) -> int:
    """Megapixels of 1024 x 1024, begun ones counted whole: how BFL's formula is read here."""
    return max(1, ceil(pixels / MEGAPIXEL))


def fitted(ratio: str, pixels: int, *, step: int) -> Pixels:
    """The size in pixels of about that area with that ratio, in multiples of `step`."""
    across, down = (int(side) for side in ratio.split(":"))
    scale = sqrt(pixels / (across * down))
    return max(step, round(across * scale / step) * step), max(step, round(down * scale / step) * step)


def _by_megapixel(first: str, further: str) -> Callable[[Inputs, int, int], Fraction]:
    def priced(_: Inputs, out_mp: int, in_mp: int) -> Fraction:
        return (Fraction(first) + (out_mp - 1 + in_mp) * Fraction(further)) / DOLLARS_PER_CREDIT

    return priced


def _fixed(dollars: str) -> Callable[[Inputs, int, int], Fraction]:
    return lambda _inputs, _out_mp, _in_mp: Fraction(dollars) / DOLLARS_PER_CREDIT


# As resellers list them; 1.5k, which only one of them does, is this simulator's own guess.
_FLUX_3_DOLLARS: Mapping[str, str] = {
    "768sq": "0.041", "1k": "0.048", "1.5k": "0.07", "2k": "0.10", "4k": "0.607",
}  # fmt: skip


def _flux_3(inputs: Inputs, _out_mp: int, _in_mp: int) -> Fraction:
    assert isinstance(inputs, Flux3)
    return Fraction(_FLUX_3_DOLLARS[inputs.resolution]) / DOLLARS_PER_CREDIT


def _flux_2(name: str, inputs: type[Inputs], first: str, further: str) -> FluxModel:
    return FluxModel(name, inputs, _by_megapixel(first, further), pixels_most=_FLUX_2_PIXELS_MOST)


MODELS: dict[str, FluxModel] = {
    model.id: model
    for model in (
        FluxModel(
            "flux-3-image",
            Flux3,
            _flux_3,
            thinks_aloud=True,
            picture_pixels_most=16_000_000,
            picture_side_least=256,
        ),
        _flux_2("flux-2-klein-4b", Flux2Klein, "0.014", "0.001"),
        _flux_2("flux-2-klein-9b", Flux2Klein, "0.015", "0.002"),
        _flux_2("flux-2-klein-9b-preview", Flux2Klein, "0.015", "0.002"),
        _flux_2("flux-2-pro", Flux2, "0.03", "0.015"),
        _flux_2("flux-2-pro-preview", Flux2, "0.03", "0.015"),
        _flux_2("flux-2-max", Flux2, "0.07", "0.03"),
        _flux_2("flux-2-flex", Flux2Flex, "0.05", "0.05"),
        FluxModel("flux-kontext-pro", Kontext, _fixed("0.04")),
        FluxModel("flux-kontext-max", Kontext, _fixed("0.08")),
        FluxModel("flux-pro-1.1", Flux11, _fixed("0.04")),
        FluxModel("flux-pro-1.1-ultra", Flux11Ultra, _fixed("0.06")),
        FluxModel("flux-dev", FluxDev, _fixed("0.025")),
    )
}
