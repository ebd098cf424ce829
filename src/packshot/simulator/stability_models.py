"""Stability's operations: what each takes, how large its pictures are, what it costs in credits.

The simulator's own table, on purpose: the adapter has another, and the two witness for each other.
Fields and limits: the vendor's v2beta document as transcribed 2026-07-09; credits: effective 2025-08-01.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt

from packshot.imaging import BadImage, read_header
from packshot.simulator.forms import File

DOLLARS_PER_CREDIT = Fraction(1, 100)
BODY_BYTES_MOST = 10 * 1024 * 1024
MEGAPIXEL = 1024 * 1024
SEED_MOST = 4_294_967_294

RATIOS = ("16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21")
STYLES = (
    "3d-model", "analog-film", "anime", "cinematic", "comic-book", "digital-art", "enhance", "fantasy-art",
    "isometric", "line-art", "low-poly", "modeling-compound", "neon-punk", "origami", "photographic",
    "pixel-art", "tile-texture",
)  # fmt: skip
# The sizes of about one megapixel that these models were trained on.
_ONE_MEGAPIXEL = {
    "1:1": (1024, 1024), "16:9": (1344, 768), "21:9": (1536, 640), "3:2": (1216, 832), "5:4": (1088, 896),
    "4:5": (896, 1088), "2:3": (832, 1216), "9:16": (768, 1344), "9:21": (640, 1536),
}  # fmt: skip

Size = tuple[int, int]


class Wrong(ValueError):
    """A field that is not what it may be; the message begins with its name."""


@dataclass(frozen=True, slots=True)
class Text:
    least: int = 0
    most: int = 10_000

    def read(self, name: str, value: str | File) -> str:
        if not isinstance(value, str):
            raise Wrong(f"{name}: must be a string")
        if len(value) < self.least:
            raise Wrong(f"{name}: cannot be empty")
        if len(value) > self.most:
            raise Wrong(f"{name}: cannot be longer than {self.most} characters")
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    values: Sequence[str]

    def read(self, name: str, value: str | File) -> str:
        if value not in self.values:
            raise Wrong(f"{name}: must be one of {', '.join(self.values)}")
        return str(value)


@dataclass(frozen=True, slots=True)
class Number:
    least: float
    most: float
    whole: bool = False

    def read(self, name: str, value: str | File) -> str:
        pattern = r"-?\d{1,12}" if self.whole else r"-?\d{1,12}(\.\d{1,12})?"
        if not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII):
            raise Wrong(f"{name}: must be {'an integer' if self.whole else 'a number'}")
        if not self.least <= float(value) <= self.most:
            raise Wrong(f"{name}: must be between {self.least:g} and {self.most:g}")
        return value


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that is sent along, with the limits of its size in pixels."""

    side_least: int = 64
    side_most: int = 16_384
    least: int = 4_096
    most: int = 9_437_184
    ratio_most: Fraction | None = None

    def read(self, name: str, value: str | File) -> File:
        if not isinstance(value, File):
            raise Wrong(f"{name}: must be a file")
        try:
            header = read_header(value.content)
        except BadImage:
            raise Wrong(f"{name}: must be a readable image/jpeg, image/png or image/webp") from None
        short, long = sorted((header.width_px, header.height_px))
        if short < self.side_least or long > self.side_most:
            raise Wrong(f"{name}: sides must be between {self.side_least} and {self.side_most} pixels")
        if not self.least <= short * long <= self.most:
            raise Wrong(f"{name}: total pixel count must be between {self.least} and {self.most}")
        if self.ratio_most is not None and Fraction(long, short) > self.ratio_most:
            raise Wrong(f"{name}: aspect ratio must be between 1:2.5 and 2.5:1")
        return value


Field = Text | Choice | Number | Image


@dataclass(frozen=True, slots=True)
class Operation:
    """One address below `/v2beta/stable-image/`."""

    path: str
    fields: Mapping[str, Field]
    required: tuple[str, ...]
    credits: Mapping[str, Fraction]  # by the `model` field; under "" where there is none
    waits: bool = False

    @property
    def picture(self) -> str | None:
        """The field of the picture it works on."""
        return next((name for name in ("image", "subject_image") if name in self.fields), None)


_PROMPT = Text(least=1)
_SHARE = Number(0, 1)
_OUT = {"output_format": Choice(("jpeg", "png", "webp"))}
_SEED = {"seed": Number(0, SEED_MOST, whole=True)}
_STYLE = {"style_preset": Choice(STYLES)}
_NEGATIVE = {"negative_prompt": Text()}
_RATIO = {"aspect_ratio": Choice(RATIOS)}
_OBLONG = Image()
_USUAL = Image(ratio_most=Fraction(5, 2))
_ANY = Image(most=64_000_000)
_SIDE = Number(0, 2000, whole=True)


def _costs(credits_each: str) -> dict[str, Fraction]:
    return {"": Fraction(credits_each)}


OPERATIONS: dict[str, Operation] = {
    each.path: each
    for each in (
        Operation(
            "generate/ultra",
            {
                "prompt": _PROMPT, "image": _ANY, "strength": _SHARE,
                **_NEGATIVE, **_RATIO, **_SEED, **_OUT, **_STYLE,
            },
            ("prompt",),
            _costs("8"),
        ),
        Operation(
            "generate/core",
            {"prompt": _PROMPT, **_NEGATIVE, **_RATIO, **_SEED, **_OUT, **_STYLE},
            ("prompt",),
            _costs("3"),
        ),
        Operation(
            "generate/sd3",
            {
                "prompt": _PROMPT,
                "mode": Choice(("text-to-image", "image-to-image")),
                "model": Choice(
                    (
                        "sd3.5-large", "sd3.5-large-turbo", "sd3.5-medium", "sd3.5-flash",
                        "sd3-large", "sd3-large-turbo", "sd3-medium",
                    )
                ),
                "image": _ANY,
                "strength": _SHARE,
                "cfg_scale": Number(1, 10),
                **_NEGATIVE, **_RATIO, **_SEED, **_OUT, **_STYLE,
            },
            ("prompt",),
            {
                "sd3.5-large": Fraction("6.5"),
                "sd3.5-large-turbo": Fraction(4),
                "sd3.5-medium": Fraction("3.5"),
                "sd3.5-flash": Fraction("2.5"),
            },
        ),
        Operation(
            "edit/erase",
            {"image": _OBLONG, "mask": _ANY, "grow_mask": Number(0, 20, whole=True), **_SEED, **_OUT},
            ("image",),
            _costs("5"),
        ),
        Operation(
            "edit/inpaint",
            {
                "image": _OBLONG, "prompt": _PROMPT, "mask": _ANY, "grow_mask": Number(0, 100, whole=True),
                **_NEGATIVE, **_SEED, **_OUT, **_STYLE,
            },
            ("image", "prompt"),
            _costs("5"),
        ),
        Operation(
            "edit/outpaint",
            {
                "image": _USUAL, "left": _SIDE, "right": _SIDE, "up": _SIDE, "down": _SIDE,
                "creativity": _SHARE, "prompt": Text(), **_SEED, **_OUT, **_STYLE,
            },
            ("image",),
            _costs("4"),
        ),
        Operation(
            "edit/search-and-replace",
            {
                "image": _USUAL, "prompt": _PROMPT, "search_prompt": _PROMPT,
                "grow_mask": Number(0, 20, whole=True), **_NEGATIVE, **_SEED, **_OUT, **_STYLE,
            },
            ("image", "prompt", "search_prompt"),
            _costs("5"),
        ),
        Operation(
            "edit/search-and-recolor",
            {
                "image": _USUAL, "prompt": _PROMPT, "select_prompt": _PROMPT,
                "grow_mask": Number(0, 20, whole=True), **_NEGATIVE, **_SEED, **_OUT, **_STYLE,
            },
            ("image", "prompt", "select_prompt"),
            _costs("5"),
        ),
        Operation(
            "edit/remove-background",
            {"image": Image(most=4_194_304), "output_format": Choice(("png", "webp"))},
            ("image",),
            _costs("5"),
        ),
        Operation(
            "edit/replace-background-and-relight",
            {
                "subject_image": _USUAL, "background_prompt": _PROMPT, "background_reference": _USUAL,
                "foreground_prompt": Text(), **_NEGATIVE, "preserve_original_subject": _SHARE,
                "original_background_depth": _SHARE, "keep_original_background": Choice(("true", "false")),
                "light_source_direction": Choice(("left", "right", "above", "below")),
                "light_reference": _USUAL, "light_source_strength": _SHARE, **_SEED, **_OUT,
            },
            ("subject_image",),
            _costs("8"),
            waits=True,
        ),
        Operation(
            "upscale/fast",
            {"image": Image(32, 1_536, 1_024, 1_048_576), **_OUT},
            ("image",),
            _costs("2"),
        ),
        Operation(
            "upscale/conservative",
            {
                "image": _USUAL, "prompt": _PROMPT, "creativity": Number(0.2, 0.5),
                **_NEGATIVE, **_SEED, **_OUT,
            },
            ("image", "prompt"),
            _costs("40"),
        ),
        Operation(
            "upscale/creative",
            {
                "image": Image(most=1_048_576), "prompt": _PROMPT, "creativity": Number(0.1, 0.5),
                **_NEGATIVE, **_SEED, **_OUT, **_STYLE,
            },
            ("image", "prompt"),
            _costs("60"),
            waits=True,
        ),
    )
}  # fmt: skip
# Since 2025-04-17 the old names of SD 3 are answered by what followed them, and nobody is told.
ROUTED = {
    "sd3-large": "sd3.5-large",
    "sd3-large-turbo": "sd3.5-large-turbo",
    "sd3-medium": "sd3.5-medium",
}


def sized(path: str, fields: Mapping[str, str], given: Size | None) -> Size:
    """Width and height in pixels of what the operation makes of a picture of the size `given`."""
    if given is None or path == "generate/ultra":
        ratio = fields.get("aspect_ratio", "1:1")
        return _fitted(ratio, 1.5) if path == "generate/core" else _ONE_MEGAPIXEL[ratio]
    width, height = given
    if path == "generate/sd3":
        return _fitted(f"{width}:{height}", 1.0)
    if path == "edit/outpaint":
        left, right, up, down = (int(fields.get(side, 0)) for side in ("left", "right", "up", "down"))
        return width + left + right, height + up + down
    if path == "upscale/fast":
        return 4 * width, 4 * height
    if path.startswith("upscale/"):
        grown = max(1.0, sqrt(4 * MEGAPIXEL / (width * height)))
        return round(width * grown), round(height * grown)
    return width, height


def _fitted(ratio: str, megapixels: float) -> Size:
    across, down = (int(side) for side in ratio.split(":"))
    scale = sqrt(megapixels * MEGAPIXEL / (across * down))
    return max(64, round(across * scale / 16) * 16), max(64, round(down * scale / 16) * 16)
