"""The rendered layers on disk: what each holds, read once and kept while it is in use.

A product from one angle is four kinds of picture, all grey, made by art/render.py:

- `<kind>-<angle>-<light>`: diffuse light on white (upper half) and reflections (lower half);
- `<kind>-<angle>-parts`: red the part that takes the product's colour, green the accent, blue the label,
  alpha all of it; what alpha has beyond the three keeps a colour of its own;
- `<kind>-<angle>-shadow`: how much light is left on the floor, one below the other in soft, sun and dark;
- `<kind>-<angle>-label`: where on the label each place looks, u above v, as high and low bytes.

Light is stored as (light / largest) ** (1 / 2.2).
"""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyvips

Angle = Literal["level", "high"]
Light = Literal["soft", "sun", "dark"]
Box = tuple[float, float, float, float]  # left, top, right, bottom

_FOLDER = Path(__file__).parent / "layers"
_INDEX: dict[str, Any] = json.loads((_FOLDER / "index.json").read_text(encoding="utf-8"))
_LIGHTS: tuple[Light, ...] = ("soft", "sun", "dark")

_GRAIN = 0.7  # levels of 255

KINDS: tuple[str, ...] = tuple(sorted(_INDEX["products"]))
LARGEST_SHADE: float = _INDEX["largest"]["shade"]
LARGEST_SHINE: float = _INDEX["largest"]["shine"]
LARGEST_SET: float = _INDEX["largest"]["set"]
PRODUCT_FRAME: float = _INDEX["frame"]["product"]  # units across the whole picture, cropped or not
SHADOW_FRAME: float = _INDEX["frame"]["shadow"]
SET_FRAME: float = _INDEX["frame"]["set"]


@dataclass(frozen=True, slots=True)
class Sprite:
    """One product from one angle in one light."""

    shade: pyvips.Image
    shine: pyvips.Image
    parts: pyvips.Image
    shadow: pyvips.Image
    label: pyvips.Image  # two float bands, u and v in 0 to 1 on the label, beyond it outside
    px: int  # the side of the uncropped picture
    box: Box  # where in it the layers lie, px
    shadow_px: int
    shadow_box: Box
    label_box: Box  # where the label map lies, in shares of the uncropped picture
    label_aspect: float  # width to height
    third: str
    printed: bool  # the name stands on the thing itself: its label has the product's colour
    glass: bool


@dataclass(frozen=True, slots=True)
class Backdrop:
    """One empty set from one angle in one light."""

    shade: pyvips.Image
    parts: pyvips.Image
    px: int


def sprite(kind: str, angle: Angle, light: Light) -> Sprite:
    entry = _INDEX["products"][kind][angle]
    stem = f"{kind}-{angle}"
    both = _grey(f"{stem}-{light}")
    half = both.height // 2
    shadows = _grey(f"{stem}-shadow")
    third = shadows.height // len(_LIGHTS)
    return Sprite(
        shade=both.crop(0, 0, both.width, half),
        shine=both.crop(0, half, both.width, half),
        parts=_read(f"{stem}-parts"),
        shadow=shadows.crop(0, third * _LIGHTS.index(light), shadows.width, third),
        label=_map(f"{stem}-label"),
        px=entry["px"],
        box=tuple(entry["box"]),
        shadow_px=entry["shadow_px"],
        shadow_box=tuple(entry["shadow"]),
        label_box=tuple(entry["label"]),
        label_aspect=entry["aspect"],
        third=entry["third"],
        printed=entry["print"],
        glass=entry["glass"],
    )


def angles(kind: str) -> list[Angle]:
    """From where there is a render of `kind`."""
    return sorted(_INDEX["products"][kind], reverse=True)


def backdrop(name: str, angle: Angle, light: Light) -> Backdrop:
    stem = f"set-{name}-{angle}"
    return Backdrop(_grained(f"{stem}-{light}"), _read(f"{stem}-parts"), _INDEX["sets"][name][angle]["px"])


def sets() -> dict[str, dict[str, tuple[str, ...]]]:
    """The lights that each set is there in, by name and angle."""
    return {
        name: {angle: tuple(entry["lights"]) for angle, entry in angles.items()}
        for name, angles in _INDEX["sets"].items()
    }


# Decoded layers weigh 0.2 to 5 MB: 64 of them are some 60 MB, and most pictures need four.
@functools.lru_cache(maxsize=64)
def _read(stem: str) -> pyvips.Image:
    return pyvips.Image.new_from_file(str(_FOLDER / f"{stem}.webp")).copy_memory()


@functools.lru_cache(maxsize=64)
def _grey(stem: str) -> pyvips.Image:
    # WebP has no grey: the three bands are equal.
    return pyvips.Image.new_from_file(str(_FOLDER / f"{stem}.webp")).extract_band(0).copy_memory()


@functools.lru_cache(maxsize=16)
def _grained(stem: str) -> pyvips.Image:
    """A layer with a grain of one step, which hides the steps of its gradients when it is enlarged."""
    layer = _grey.__wrapped__(stem)
    noise = pyvips.Image.gaussnoise(layer.width, layer.height, mean=0, sigma=_GRAIN, seed=1_839)
    return (layer + noise).rint().cast("uchar").copy_memory()


@functools.lru_cache(maxsize=64)
def _map(stem: str) -> pyvips.Image:
    stored = _grey(stem)
    across, down = stored.width // 2, stored.height // 2
    planes = []
    for top in (0, down):
        high, low = (stored.crop(left, top, across, down) for left in (0, across))
        planes.append((high * 256 + low) * (2 / 65535) - 0.5)
    return planes[0].bandjoin(planes[1]).cast("float").copy_memory()
