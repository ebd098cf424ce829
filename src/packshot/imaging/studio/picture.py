"""The photograph: a product's render takes its colours and its name, stands on a set, and is developed.

Everything is put together in linear light, as float, and encoded once at the end: that is what makes a
shadow on coloured paper, and a reflection on a dark bottle, look like one.
"""

import array
import functools
import math
import random
from dataclasses import dataclass

import pyvips

from packshot.imaging.header import MediaType
from packshot.imaging.studio import layers
from packshot.imaging.studio.brief import Packshot
from packshot.imaging.studio.colours import Linear, ink_on, linear
from packshot.imaging.studio.lettering import label, load_fonts
from packshot.imaging.studio.looks import Look, look_of
from packshot.imaging.studio.scenes import Development, Scene, choose

_LABEL_PX = 900  # the widest sheet a label is lettered on
_STEPS = 1 / 16_384  # of light, when it is developed: 16 bits hold up to 4 times white


def render(packshot: Packshot, *, media_type: MediaType = "image/png") -> bytes:
    """The picture of `packshot`, encoded as `media_type`; the same bytes for the same packshot."""
    load_fonts()
    look = look_of(packshot)
    chance = random.Random(f"{packshot.style}/{packshot.seed}/{packshot.name}")  # noqa: S311 - no secrets
    scene = choose(packshot.style, look, chance)
    sprite = layers.sprite(look.kind, scene.angle, scene.spot.light)
    view = _frame(sprite, scene, packshot.width_px, packshot.height_px)
    picture = _shaded(_floor(scene, view), sprite, scene, view)
    picture = _stand(picture, sprite, look, scene, view)
    return _encode(_develop(picture, scene.development), media_type)


@dataclass(frozen=True, slots=True)
class View:
    """Where the camera's target lies in the picture, and how large a unit is there, in px."""

    width: int
    height: int
    x: float
    y: float
    unit: float
    mirrored: bool


def _frame(sprite: layers.Sprite, scene: Scene, width: int, height: int) -> View:
    """The product fills its share of the shorter side and stands near the middle."""
    left, top, right, bottom = ((edge / sprite.px - 0.5) * layers.PRODUCT_FRAME for edge in sprite.box)
    across, down = right - left, bottom - top
    # A compact thing that reached its limits would look like a close-up beside a slim one.
    seen = max(across / scene.fill, down / (scene.fill * 1.04), 1.12)
    unit = min(width, height) / seen
    side = -1 if scene.mirrored else 1
    return View(
        width,
        height,
        width * (0.5 + scene.aside) - side * (left + right) / 2 * unit,
        height * (0.5 + scene.rise) - (top + bottom) / 2 * unit,
        unit,
        scene.mirrored,
    )


class _Place:
    """Where a layer lies in the view: it is the `box` of a picture `px` wide that shows `frame` units."""

    def __init__(self, view: View, *, px: float, frame: float, box: layers.Box) -> None:
        left, top, right, bottom = box
        if view.mirrored:
            left, right = px - right, px - left
        self._view = view
        self._scale = view.unit * frame / px
        self._x = view.x + (left - px / 2) * self._scale
        self._y = view.y + (top - px / 2) * self._scale
        x1, y1 = self._x + (right - left) * self._scale, self._y + (bottom - top) * self._scale
        # Whole pixels inside the view; at least one, however small the picture.
        self.left = max(0, min(int(self._x), view.width - 1))
        self.top = max(0, min(int(self._y), view.height - 1))
        width = max(1, min(view.width, int(x1) + 1) - self.left)
        height = max(1, min(view.height, int(y1) + 1) - self.top)
        self._area = (self.left, self.top, width, height)

    def lay(
        self,
        layer: pyvips.Image,
        *,
        area: tuple[int, int, int, int] | None = None,
        cell: tuple[float, float] = (1, 1),
        beyond: str = "black",
        fine: bool = False,
    ) -> pyvips.Image:
        """`layer` at the size it has in the view: what lies in `area`, else all that is inside the view.

        `cell` is how many px of its picture one px of the layer stands for.
        """
        if self._view.mirrored:
            layer = layer.fliphor()
        across, down = cell[0] * self._scale, cell[1] * self._scale
        if max(across, down) < 0.5:
            shrink = min(int(1 / max(across, down)), layer.width, layer.height)
            layer = layer.shrink(shrink, shrink)
            across, down = across * shrink, down * shrink
        return layer.affine(
            [across, 0, 0, down],
            # `affine` maps the middles of pixels, not their corners.
            odx=self._x + (across - 1) / 2,
            ody=self._y + (down - 1) / 2,
            oarea=list(area or self._area),
            interpolate=_interpolator("bicubic" if fine else "bilinear"),
            extend=beyond,
            premultiplied=True,  # else libvips divides by what it takes for alpha
        )


@functools.lru_cache(maxsize=2)
def _interpolator(name: str) -> pyvips.Interpolate:
    return pyvips.Interpolate.new(name)


# -- the set -----------------------------------------------------------------------------------


def _floor(scene: Scene, view: View) -> pyvips.Image:
    """The empty set in linear light."""
    backdrop = layers.backdrop(scene.spot.name, scene.angle, scene.spot.light)
    floor, wall, slab = linear(scene.floor), linear(scene.wall), linear(scene.slab)
    rest = linear(scene.wall)
    development = scene.development
    light = _light_curve(development.light, development.shade, layers.LARGEST_SET, 1.0)
    lit = _coloured(backdrop.parts, (floor, wall, slab), rest) * backdrop.shade.maplut(light)
    # A long picture sees beyond the set, which goes on as in a mirror.
    scale = view.unit * layers.SET_FRAME / backdrop.px
    seen = max(view.x, view.width - view.x, view.y, view.height - view.y) / scale
    margin = max(0, math.ceil(seen - backdrop.px / 2) + 1)
    if margin:
        side = backdrop.px + 2 * margin
        lit = lit.copy_memory().embed(margin, margin, side, side, extend="mirror")
    box = (-margin, -margin, backdrop.px + margin, backdrop.px + margin)
    return _Place(view, px=backdrop.px, frame=layers.SET_FRAME, box=box).lay(lit)


def _shaded(picture: pyvips.Image, sprite: layers.Sprite, scene: Scene, view: View) -> pyvips.Image:
    """`picture` without the light that the product takes from the set and the lens loses to the corners."""
    left = sprite.shadow.maplut(_shadow_curve(scene.spot.shadow)) - 1
    place = _Place(view, px=sprite.shadow_px, frame=layers.SHADOW_FRAME, box=sprite.shadow_box)
    made = place.lay(left)
    under = picture.crop(place.left, place.top, made.width, made.height)
    picture = picture.insert(under * (made + 1), place.left, place.top)
    if scene.development.vignette:
        corners = _corners(scene.development.vignette)
        across, down = view.width / corners.width, view.height / corners.height
        picture *= corners.resize(across, vscale=down, kernel="linear")
    return picture


# -- the product -------------------------------------------------------------------------------


def _stand(
    picture: pyvips.Image, sprite: layers.Sprite, look: Look, scene: Scene, view: View
) -> pyvips.Image:
    """`picture` with the product in it."""
    shade, parts = sprite.shade, sprite.parts
    paper = look.main if sprite.printed else look.paper
    colours = (linear(look.main), linear(look.second), linear(paper))
    exposure = scene.spot.product
    light = shade.maplut(
        _light_curve(scene.development.light, scene.development.shade, layers.LARGEST_SHADE, exposure)
    )
    if sprite.glass:
        # Glass is not painted: light goes through it, and through its walls further than its middle.
        lit = _coloured(parts, ((0.0, 0.0, 0.0), *colours[1:]), linear(sprite.third)) * light
        lit += parts[0] * (1 / 255) * shade.maplut(_through(colours[0], scene.development, exposure))
    else:
        lit = _coloured(parts, colours, linear(sprite.third)) * light
    cover = parts[3] * (1 / 255)
    lit += cover * sprite.shine.maplut(_gloss(exposure))
    # The light that ink takes away is laid in at the picture's own size: letters stay sharp.
    place = _Place(view, px=sprite.px, frame=layers.PRODUCT_FRAME, box=sprite.box)
    made = place.lay(lit.bandjoin(cover), fine=True)
    print_, x, y = _printed(sprite, look, paper, view)
    label_light = place.lay(light * (parts[2] * (1 / 255)), area=(x, y, print_.width, print_.height))
    ground = picture.crop(place.left, place.top, made.width, made.height)
    picture = picture.insert(ground * (made[3] * -1 + 1) + made.extract_band(0, n=3), place.left, place.top)
    under = picture.crop(x, y, print_.width, print_.height)
    return picture.insert(under + print_ * label_light, x, y)


def _printed(sprite: layers.Sprite, look: Look, paper: str, view: View) -> tuple[pyvips.Image, int, int]:
    """What the print changes in the colour of the label, bent as the label is bent, and where that lies."""
    left, top, right, bottom = (edge * sprite.px for edge in sprite.label_box)
    scale = view.unit * layers.PRODUCT_FRAME / sprite.px
    width = min(_LABEL_PX, max(16, round((right - left) * scale * 1.15)))
    height = max(8, round(width / sprite.label_aspect))
    sheet = label(look.name, face=look.face, layout=look.layout, width=width, height=height)
    places = sprite.label
    across, down = (right - left) / places.width, (bottom - top) / places.height
    if view.mirrored:
        # The label turns with its product, the writing does not.
        places = places * [-1, 1] + [1, 0]
    places = places * [width, height] - 0.5
    place = _Place(view, px=sprite.px, frame=layers.PRODUCT_FRAME, box=(left, top, right, bottom))
    where = place.lay(places, cell=(across, down), beyond="copy")
    print_ = sheet.mapim(where, interpolate=_interpolator("bilinear"))
    ground = linear(paper)
    ink = linear(ink_on(paper, look.main if sprite.printed else look.second))
    accent = linear(look.second if sprite.printed else look.main)
    change = [[(ink[k] - ground[k]) / 255, (accent[k] - ground[k]) / 255] for k in range(3)]
    return print_.cast("float").recomb(pyvips.Image.new_from_array(change)), place.left, place.top


# -- light -------------------------------------------------------------------------------------


def _coloured(parts: pyvips.Image, colours: tuple[Linear, ...], rest: Linear) -> pyvips.Image:
    """What each place gives back of white light: `parts` in their colours, and `rest` where none is."""
    rows = []
    whole = parts.bands == 4
    for band in range(3):
        row = [(colour[band] - rest[band]) / 255 for colour in colours]
        rows.append([*row, rest[band] / 255] if whole else row)
    made = parts.cast("float").recomb(pyvips.Image.new_from_array(rows))
    return made if whole else made + list(rest)


@functools.lru_cache(maxsize=64)
def _light_curve(light: Linear, shade: Linear, largest: float, exposure: float) -> pyvips.Image:
    """From a stored value to tinted light: what lies in the shade is lit by the sky, not by the lamp."""
    values = []
    for step in range(256):
        amount = (step / 255) ** 2.2 * largest
        share = min(1.0, amount / 0.9)
        values += [amount * exposure * (shade[k] + (light[k] - shade[k]) * share) for k in range(3)]
    return _curve(values, 3)


@functools.lru_cache(maxsize=256)
def _through(colour: Linear, development: Development, exposure: float) -> pyvips.Image:
    """From a stored value to light that went through glass of `colour`."""
    values = []
    for step in range(256):
        amount = (step / 255) ** 2.2 * layers.LARGEST_SHADE
        depth = 1.25 - 0.6 * min(1.0, amount)
        values += [
            exposure
            * (0.05 + 0.95 * min(amount, 1.3))
            * max(colour[k], 0.004) ** depth
            * development.light[k]
            for k in range(3)
        ]
    return _curve(values, 3)


@functools.lru_cache(maxsize=16)
def _gloss(exposure: float) -> pyvips.Image:
    return _curve([(step / 255) ** 2.2 * layers.LARGEST_SHINE * exposure for step in range(256)], 1)


@functools.lru_cache(maxsize=16)
def _shadow_curve(strength: float) -> pyvips.Image:
    return _curve([((step / 255) ** 2.2) ** strength for step in range(256)], 1)


def _curve(values: list[float], bands: int) -> pyvips.Image:
    data = array.array("f", values).tobytes()
    return pyvips.Image.new_from_memory(data, 256, 1, bands, "float")


@functools.lru_cache(maxsize=8)
def _corners(strength: float) -> pyvips.Image:
    """How much light reaches each part of a picture: 1 in the middle, less in the corners."""
    place = pyvips.Image.xyz(64, 64) / 63 * 2 - 1
    away = place[0] * place[0] + place[1] * place[1]
    return (away * away * (-strength) + 1).cast("float").copy_memory()


# -- the darkroom ------------------------------------------------------------------------------


def _develop(picture: pyvips.Image, development: Development) -> pyvips.Image:
    """Linear light as an 8-bit picture."""
    exposed = (picture * (1 / _STEPS)).cast("ushort")
    return exposed.maplut(_paper(development)).copy(interpretation="srgb")


@functools.lru_cache(maxsize=8)
def _paper(development: Development) -> pyvips.Image:
    """From 16 bits of light to 0 to 255: exposure, a shoulder for the highlights, contrast, sRGB."""
    light = pyvips.Image.identity(ushort=True) * (_STEPS * development.exposure)
    # Straight up to 0.75, then bending towards 1, which it reaches softly.
    knee = 0.75
    over = ((light - knee) * (-1 / (1 - knee))).exp() * -(1 - knee) + 1
    light = (light < knee).ifthenelse(light, over * (1 / 0.985))
    value = (light > 1).ifthenelse(1, light)
    encoded = (value < 0.0031308).ifthenelse(value * 12.92, value ** (1 / 2.4) * 1.055 - 0.055)
    middle = 0.5
    bent = (encoded < middle).ifthenelse(
        (encoded * (1 / middle)) ** development.contrast * middle,
        ((encoded * -1 + 1) * (1 / middle)) ** development.contrast * -middle + 1,
    )
    lifted = bent * (1 - development.lift) + development.lift
    return (lifted * 255).rint().cast("uchar").copy_memory()


def _encode(picture: pyvips.Image, media_type: MediaType) -> bytes:
    if media_type == "image/png":
        encoded = picture.write_to_buffer(".png", compression=1, filter="sub", keep="none")
    elif media_type == "image/jpeg":
        encoded = picture.write_to_buffer(".jpg", Q=90, keep="none")
    else:
        encoded = picture.write_to_buffer(".webp", Q=88, effort=1, keep="none")
    return bytes(encoded)
