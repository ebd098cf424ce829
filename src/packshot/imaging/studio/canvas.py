"""A sheet of SVG that grows while a packshot is drawn: gradients, soft light, textures, fitted lettering.

Everything blurred is drawn small, blurred by vips and laid in as a picture: a Gaussian blur inside
librsvg costs 20 to 60 ms at 1024 px, this costs 2.
"""

import base64
import functools
import itertools
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape

import pyvips

Face = Literal["Geist", "DM Serif Display"]
Texture = Literal["grain", "weave", "wood", "stone", "felt"]
Stop = tuple[float, str] | tuple[float, str, float]  # offset, colour, opacity
Box = tuple[float, float, float, float]  # left, top, width, height

_FONT_FILES = ("Geist-Medium.ttf", "DMSerifDisplay-Regular.ttf")
_TILE = 160  # px
_MEASURED_AT = 100  # px: lettering is measured once at this size and scaled
_LONGEST_WORD = 18  # characters
_SOFT_DETAIL = 2.6  # px of blur that the small picture keeps; less shows the bilinear stretching
_fonts_lock = threading.Lock()
_fonts_ready = False


# -- colours -----------------------------------------------------------------------------------


def mix(one: str, other: str, share: float) -> str:
    """`one` with `share` (0 to 1) of `other` in it, as #rrggbb."""
    pairs = zip(_channels(one), _channels(other), strict=True)
    return "#{:02x}{:02x}{:02x}".format(*(round(a + (b - a) * share) for a, b in pairs))


def darker(colour: str, share: float) -> str:
    # A shadow is never neutral in a photo: it keeps a little warmth.
    return mix(colour, "#0d0906", share)


def lighter(colour: str, share: float) -> str:
    return mix(colour, "#fffdf9", share)


def lightness(colour: str) -> float:
    """How light a colour looks, 0 to 1 (gamma-encoded luma)."""
    red, green, blue = _channels(colour)
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


def contrast(one: str, other: str) -> float:
    """How well two colours tell apart, 0 to about 1: luma first, hue as a help."""
    pairs = list(zip(_channels(one), _channels(other), strict=True))
    distance = math.hypot(*(a - b for a, b in pairs)) / 441.7
    return max(abs(lightness(one) - lightness(other)), distance)


def ink_on(paper: str, tint: str) -> str:
    """A lettering colour that reads on `paper` and keeps some of `tint`."""
    return darker(tint, 0.72) if lightness(paper) > 0.52 else lighter(tint, 0.82)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


# -- lettering ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lettering:
    """A name broken into lines and the size, in canvas units, at which they fit."""

    lines: tuple[str, ...]
    size: float


def fit(text: str, *, width: float, height: float, face: Face, largest: float, lines: int = 4) -> Lettering:
    """`text` in as few and as large lines as fit into `width` by `height`."""
    # A word that no label could hold is broken where it must be, as Japanese is anyway.
    words = [
        word[at : at + _LONGEST_WORD] for word in text.split() for at in range(0, len(word), _LONGEST_WORD)
    ]
    best = Lettering((), 0.0)
    for count in range(1, min(lines, len(words)) + 1):
        broken = _balanced(words, count, face)
        widest = max(_advance(line, face) for line in broken)
        size = min(largest, width / max(widest, 0.01), height / (1.16 * len(broken)))
        # One more line must earn its place by clearly larger letters.
        if size > best.size * 1.12:
            best = Lettering(tuple(broken), size)
    return best


def _balanced(words: Sequence[str], count: int, face: Face) -> list[str]:
    """`words` in `count` lines, the widest as narrow as can be (few words, so the search is exact)."""
    widths = [_advance(word, face) for word in words]
    space = 0.26

    @functools.cache
    def best(start: int, left: int) -> tuple[float, tuple[int, ...]]:
        if left == 1:
            return sum(widths[start:]) + space * (len(words) - start - 1), ()
        choices = []
        for stop in range(start + 1, len(words) - left + 2):
            here = sum(widths[start:stop]) + space * (stop - start - 1)
            rest, breaks = best(stop, left - 1)
            choices.append((max(here, rest), (stop, *breaks)))
        return min(choices)

    edges = [0, *best(0, count)[1], len(words)]
    return [" ".join(words[a:b]) for a, b in itertools.pairwise(edges)]


@functools.lru_cache(maxsize=2048)
def _advance(text: str, face: Face) -> float:
    """The width of `text` at size 1."""
    load_fonts()
    style = "Medium" if face == "Geist" else ""
    try:
        drawn = pyvips.Image.text(escape(text), font=f"{face} {style} {_MEASURED_AT}", dpi=72)
    except pyvips.Error:  # nothing to draw: an unassigned or zero-width character
        return 0.5 * len(text)
    return float(drawn.width) / _MEASURED_AT


def load_fonts() -> None:
    """Make our fonts known to this process, so that lettering needs none on the machine."""
    global _fonts_ready
    with _fonts_lock:
        if not _fonts_ready:
            for name in _FONT_FILES:
                path = Path(__file__).parent / "fonts" / name
                pyvips.Image.text("a", fontfile=str(path))
            _fonts_ready = True


# -- the sheet ---------------------------------------------------------------------------------


@dataclass(slots=True)
class Canvas:
    """One SVG document in the making; drawing methods return markup or a paint, and the caller places it."""

    width: float
    height: float
    scale: float  # px per unit
    definitions: list[str] = field(default_factory=list)
    _unsettled: list[tuple[int, Texture, float]] = field(default_factory=list)

    def linear(self, *stops: Stop, along: Box = (0, 0, 1, 0)) -> str:
        """A paint that runs along `along` (from x1, y1 to x2, y2, in shares of the painted shape)."""
        x1, y1, x2, y2 = along
        axis = f'x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"'
        return self._paint("linearGradient", axis, "".join(map(_stop, stops)))

    def down(self, *stops: Stop) -> str:
        """A paint that runs from top to bottom."""
        return self.linear(*stops, along=(0, 0, 0, 1))

    def radial(self, *stops: Stop, at: tuple[float, float] = (0.5, 0.5), reach: float = 0.5) -> str:
        """A paint that spreads from `at`, in shares of the painted shape."""
        circle = f'cx="{at[0]:g}" cy="{at[1]:g}" r="{reach:g}"'
        return self._paint("radialGradient", circle, "".join(map(_stop, stops)))

    def clip(self, shapes: str) -> str:
        """An attribute that confines an element to `shapes`."""
        return f'clip-path="{self._paint("clipPath", "", shapes)}"'

    def texture(self, kind: Texture, *, size: float = 240) -> str:
        """A paint of translucent specks of `kind` to lay over a colour; `settle` must follow."""
        self._unsettled.append((len(self.definitions), kind, size))
        return self._paint("pattern", "", "")

    def settle(self, *, x: float, y: float, size: float) -> None:
        """Fix the textures laid since the last call, for shapes shown at x, y and `size` times as large.

        cairo repeats a picture at 10 ms a sheet when its tiles fall on whole pixels, else at 50.
        """
        step = 1 / (self.scale * size)
        grid = f"matrix({step:.8f} 0 0 {step:.8f} {-x / size:.6f} {-y / size:.6f})"
        for index, kind, wanted in self._unsettled:
            side = min(max(round(wanted / step), 24), 200)
            self.definitions[index] = (
                f'<pattern id="d{index}" width="{side}" height="{side}" patternUnits="userSpaceOnUse" '
                f'patternTransform="{grid}"><image width="{side}" height="{side}" '
                f'href="{_texture_tile(kind, side)}"/></pattern>'
            )
        self._unsettled.clear()

    def plaster(self, kind: Texture, *, box: Box, strength: float) -> str:
        """One stretched picture of `kind` over `box`: coarser than a texture, for walls and floors."""
        left, top, width, height = box
        return (
            f'<image x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'preserveAspectRatio="xMidYMid slice" href="{_plaster(kind, round(strength, 2))}"/>'
        )

    def mirrored(self, markup: str, *, box: Box, at: float, strength: float) -> str:
        """The lower part of `markup` (what lies in `box`) upside down below `at`, softened and fading."""
        left, top, width, height = box
        foot = top + height
        fade = self.down((0, "#ffffff"), (0.5, "#4d4d4d"), (1, "#000000"))
        area = f'x="{left:.1f}" y="{foot:.1f}" width="{width:.1f}" height="{height:.1f}"'
        mask = self._paint("mask", f'maskUnits="userSpaceOnUse" {area}', f'<rect {area} fill="{fade}"/>')
        flipped = (
            f'<g mask="{mask}" opacity="{strength:.3f}">'
            f'<g transform="matrix(1 0 0 -1 0 {2 * foot:.2f})">{markup}</g></g>'
        )
        # A quarter of the size, stretched back: as soft as polished stone, and far cheaper than a blur.
        across, down = (max(8, round(side * self.scale * 0.25)) for side in (width, height))
        view = (left, foot, width, height)
        picture = pyvips.Image.svgload_buffer(_excerpt(flipped, view, across, down, self.definitions))
        return (
            f'<image x="{left:.2f}" y="{at:.2f}" width="{width:.2f}" height="{height:.2f}" '
            f'preserveAspectRatio="none" href="{_inline(picture)}"/>'
        )

    def soft(self, shapes: str, *, box: Box, blur: float, colour: str, opacity: float) -> str:
        """`shapes` (drawn within `box`) as one blurred layer of `colour`; `blur` in canvas units."""
        left, top, width, height = box
        margin = 2.6 * blur
        left, top, width, height = left - margin, top - margin, width + 2 * margin, height + 2 * margin
        # The cheapest picture that still holds the blur, never larger than it will be shown.
        scale = min(0.5, _SOFT_DETAIL / blur)
        across, down = max(8, round(width * scale)), max(8, round(height * scale))
        drawn = pyvips.Image.svgload_buffer(_excerpt(shapes, (left, top, width, height), across, down, ()))
        # The opacity is baked in: as an attribute it would cost a whole extra layer.
        red, green, blue = _channels(colour)
        picture = drawn.gaussblur(blur * scale).linear([0, 0, 0, opacity], [red, green, blue, 0], uchar=True)
        return (
            f'<image x="{left:.2f}" y="{top:.2f}" width="{width:.2f}" height="{height:.2f}" '
            f'preserveAspectRatio="none" href="{_inline(picture)}"/>'
        )

    def document(self, body: str, *, width_px: int, height_px: int) -> bytes:
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width_px}" height="{height_px}" '
            f'viewBox="0 0 {self.width:g} {self.height:g}" preserveAspectRatio="none">'
            f"<defs>{''.join(self.definitions)}</defs>{body}</svg>"
        ).encode()

    def _paint(self, element: str, attributes: str, inside: str) -> str:
        name = f"d{len(self.definitions)}"
        self.definitions.append(f'<{element} id="{name}" {attributes}>{inside}</{element}>')
        return f"url(#{name})"


def lettering(
    letters: Lettering,
    *,
    x: float,
    y: float,
    ink: str,
    face: Face,
    opacity: float = 1,
) -> str:
    """`letters` with the middle of their block at `y`."""
    if not letters.lines:
        return ""
    leading = letters.size * 1.14
    first = y - leading * (len(letters.lines) - 1) / 2 + letters.size * 0.34
    weight = ' font-weight="500"' if face == "Geist" else ""
    return "".join(
        f'<text x="{x:.1f}" y="{first + leading * row:.1f}" font-family="{face}"{weight} '
        f'font-size="{letters.size:.2f}" fill="{ink}" text-anchor="middle" fill-opacity="{opacity:g}">'
        f"{escape(line)}</text>"
        for row, line in enumerate(letters.lines)
    )


def _excerpt(markup: str, box: Box, across: int, down: int, definitions: Sequence[str]) -> bytes:
    """What lies in `box` as a document of its own, `across` by `down` px."""
    view = " ".join(f"{value:.2f}" for value in box)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{across}" height="{down}" viewBox="{view}" '
        f'preserveAspectRatio="none"><defs>{"".join(definitions)}</defs>{markup}</svg>'
    ).encode()


def _stop(stop: Stop) -> str:
    opacity = f' stop-opacity="{stop[2]:g}"' if len(stop) == 3 else ""
    return f'<stop offset="{stop[0]:g}" stop-color="{stop[1]}"{opacity}/>'


def _inline(picture: pyvips.Image) -> str:
    encoded = picture.write_to_buffer(".png", compression=1, filter="sub", keep="none")
    return "data:image/png;base64," + base64.b64encode(encoded).decode()


@functools.lru_cache(maxsize=64)
def _texture_tile(kind: Texture, side: int) -> str:
    """A seamless tile of `side` px; the same in every process, so that pictures stay reproducible."""
    tile = _texture(kind)
    if side != tile.width:
        # Resized among its neighbours, so that the seams stay closed.
        around = tile.replicate(3, 3).resize(side / tile.width, kernel="linear")
        tile = around.crop(side, side, side, side)
    return _inline(tile)


@functools.lru_cache(maxsize=16)
def _plaster(kind: Texture, strength: float) -> str:
    patch = _texture(kind).replicate(2, 2)
    return _inline((patch * [1, 1, 1, strength]).cast("uchar").copy(interpretation="srgb"))


@functools.lru_cache(maxsize=8)
def _texture(kind: Texture) -> pyvips.Image:
    side = _TILE
    noise = pyvips.Image.gaussnoise(side, side, mean=0, sigma=1, seed=20_260)
    wide = noise.replicate(3, 3)
    if kind == "grain":
        field_, strength = wide, 15.0
    elif kind == "felt":
        field_, strength = wide.gaussblur(1.2) * 3.2, 26.0
    elif kind == "stone":
        field_, strength = wide.gaussblur(1.0) * 1.6 + wide.gaussblur(7) * 9, 22.0
    elif kind == "wood":
        # Fibres: the noise dragged along the grain, fine over coarse.
        fine = wide.conv(pyvips.Image.new_from_array([[1] * 91], scale=91)) * 6
        coarse = wide.gaussblur(2).conv(pyvips.Image.new_from_array([[1] * 141], scale=141)) * 22
        field_, strength = fine + coarse, 22.0
    else:
        across = wide.conv(pyvips.Image.new_from_array([[1] * 15], scale=15)) * 2.6
        upright = wide.conv(pyvips.Image.new_from_array([[1]] * 15, scale=15)) * 2.6
        place = pyvips.Image.xyz(side * 3, side * 3)
        checks = (((place[0] / 2).floor() + (place[1] / 2).floor()) % 2) * 2 - 1
        field_, strength = checks * 0.8 + across + upright, 20.0
    middle = field_.extract_area(side, side, side, side)
    alpha = middle.abs() * strength
    tone = (middle > 0).ifthenelse(255, 0)
    return tone.bandjoin([tone, tone, alpha]).cast("uchar").copy(interpretation="srgb").copy_memory()
