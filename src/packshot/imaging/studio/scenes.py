"""Where a picture is taken: each provider's stand-in has sets, a light and a way of developing of its own."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from packshot.imaging.studio import layers
from packshot.imaging.studio.colours import contrast
from packshot.imaging.studio.layers import Angle, Light
from packshot.imaging.studio.looks import Look

Tint = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Development:
    """From light to picture: how the light and the shade are tinted, and the curve."""

    light: Tint = (1, 1, 1)
    shade: Tint = (1, 1, 1)
    exposure: float = 1.0
    contrast: float = 1.0
    lift: float = 0.0  # how far black is from black
    vignette: float = 0.0


@dataclass(frozen=True, slots=True)
class Spot:
    """A set as one provider uses it. A shadow of strength 1 is as dark as it was rendered."""

    name: str
    light: Light
    angles: tuple[Angle, ...]
    shadow: float = 1.0
    product: float = 1.0  # exposure of the product against the set
    material: tuple[str, ...] = ()  # of floor or slab, where paper would be wrong


@dataclass(frozen=True, slots=True)
class Style:
    spots: tuple[Spot, ...]
    papers: tuple[tuple[str, str], ...]  # wall, floor
    development: Development
    mirrored: bool = False  # the light comes from the right


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture's set: what stands where, from where it is seen, and what colour everything is."""

    spot: Spot
    angle: Angle
    mirrored: bool
    wall: str
    floor: str
    slab: str
    development: Development
    fill: float  # how much of the frame the product fills
    aside: float  # how far from the middle it stands, in frames
    rise: float


_WOODS = ("#a9764a", "#8a5a36", "#c69a6a", "#6e4a30")
_STONES = ("#cfc8bc", "#b9b1a6", "#d9cdbb", "#a9a49c")
_LINENS = ("#d9cdb8", "#cfc6b6", "#c9bfae", "#bcc0b2")

STYLES: Mapping[str, Style] = {
    "openai": Style(
        (
            Spot("sweep", "soft", ("level", "high"), shadow=1.5),
            Spot("sweep", "soft", ("high", "level"), shadow=1.5),
            Spot("corner", "soft", ("level", "high"), shadow=1.5),
        ),
        (
            ("#ffffff", "#ffffff"),
            ("#f7f6f3", "#ffffff"),
            ("#eef0f1", "#f6f7f7"),
            ("#f1ece4", "#f7f3ec"),
            ("#e6ebe7", "#eff2ee"),
            ("#f3e7e1", "#f8f0eb"),
        ),
        Development(shade=(0.97, 0.99, 1.04), exposure=1.06, contrast=1.04),
    ),
    "flux": Style(
        (
            Spot("window", "sun", ("level", "high")),
            Spot("leaves", "sun", ("level", "high")),
            Spot("corner", "sun", ("level",)),
        ),
        (
            ("#e8c9ac", "#d9ab85"),
            ("#e3bfae", "#cf9c84"),
            ("#ead9bd", "#d8bd94"),
            ("#d7b59a", "#bf8f6e"),
            ("#d9cfc0", "#c4b39c"),
        ),
        Development(light=(1.06, 1.0, 0.9), shade=(0.93, 0.94, 1.08), exposure=1.05, contrast=1.08),
    ),
    "stability": Style(
        (
            Spot("podium", "soft", ("high", "level"), shadow=1.5),
            Spot("arch", "soft", ("level", "high"), shadow=1.5),
            Spot("podium", "soft", ("level", "high"), shadow=1.5),
        ),
        (
            ("#cfdccb", "#bccdb6"),
            ("#f0d3cc", "#e8bfb5"),
            ("#f3e2ae", "#ecd48c"),
            ("#c6d9e6", "#abc7da"),
            ("#d8cde8", "#c3b4dc"),
            ("#f2d0ae", "#e9b98b"),
        ),
        Development(
            light=(1.02, 1.0, 0.99), shade=(1.0, 0.97, 1.05), exposure=1.02, contrast=0.98, lift=0.012
        ),
    ),
    "midjourney": Style(
        (
            Spot("night", "dark", ("level", "high"), product=0.85),
            Spot(
                "stone", "dark", ("level", "high"), product=0.85, material=("#6f6a66", "#8a8178", "#5c6266")
            ),
            Spot("wood", "dark", ("level", "high"), product=0.85, material=("#8a5a36", "#6e4a30", "#7a5a44")),
        ),
        (
            ("#5b7f86", "#3f5b62"),
            ("#8f6a55", "#6a4c3c"),
            ("#6f7f6a", "#4e5c4a"),
            ("#7a6a8c", "#564a66"),
            ("#8a8a8c", "#5f6062"),
            ("#a0674c", "#74462f"),
        ),
        Development(
            light=(1.06, 1.0, 0.9), shade=(0.84, 0.98, 1.14), exposure=1.5, contrast=1.1, vignette=0.12
        ),
    ),
    "sandbox": Style(
        (
            Spot("linen", "sun", ("high", "level"), material=_LINENS),
            Spot("wood", "sun", ("level", "high"), material=_WOODS),
            Spot("stone", "sun", ("high", "level"), material=_STONES),
        ),
        (
            ("#e9e4da", "#e3dccf"),
            ("#dfe2dd", "#d9dcd5"),
            ("#e6dcd0", "#ddd0c0"),
            ("#d8dde0", "#d0d5d8"),
        ),
        Development(
            light=(1.02, 1.0, 0.96), shade=(0.98, 0.99, 1.03), exposure=1.12, contrast=1.02, lift=0.008
        ),
        mirrored=True,
    ),
}


def choose(style: str, look: Look, chance: random.Random) -> Scene:
    """A scene of `style` in which `look` shows well. An unknown style borrows one of the others."""
    known = STYLES.get(style) or list(STYLES.values())[len(style) % len(STYLES)]
    spot = chance.choice(known.spots)
    # A product on paper of its own colour disappears: of three take the one that sets it off most.
    wall, floor = max(
        chance.sample(known.papers, k=min(3, len(known.papers))),
        key=lambda paper: min(contrast(paper[0], look.main), 0.3),
    )
    material = chance.choice(spot.material) if spot.material else floor
    angles = [angle for angle in spot.angles if angle in layers.angles(look.kind)] or layers.angles(look.kind)
    return Scene(
        spot=spot,
        angle=angles[0] if chance.random() < 0.6 else angles[-1],
        mirrored=known.mirrored,
        wall=wall,
        floor=floor if spot.name == "stone" else material,
        slab=material if spot.name == "stone" else floor,
        development=known.development,
        fill=chance.uniform(0.6, 0.66),
        aside=chance.uniform(-0.02, 0.02),
        rise=chance.uniform(0.02, 0.045),
    )
