"""The photograph: a product gets its look, stands on a set, is lit, developed and encoded."""

import functools
import hashlib
import math
import random

import pyvips

from packshot.imaging.header import MediaType
from packshot.imaging.studio.brief import NAME_LENGTH, Packshot, plain
from packshot.imaging.studio.canvas import Canvas, Face, contrast, darker, lighter, lightness, load_fonts
from packshot.imaging.studio.objects import OBJECTS, Drawing, Look, card
from packshot.imaging.studio.sets import STYLES, Light, Set, Stage

_UNITS = 1000.0  # the shorter side of every sheet
_CARD_SIZE = 0.84

# Colours that products of no stated colour come in: container, its accent, its paper.
_HOUSES: tuple[tuple[str, str, str], ...] = (
    ("#6f3a14", "#b4552f", "#f4ebdc"),
    ("#2f4a3a", "#c9963f", "#f1e7d0"),
    ("#ece6da", "#46583f", "#ffffff"),
    ("#c98a5e", "#5a2c1f", "#fbf3e6"),
    ("#30414f", "#e0a94a", "#f3eee4"),
    ("#8fa089", "#2f3b33", "#f5f1e6"),
    ("#b5533a", "#f0d9b8", "#fff6ea"),
    ("#d9c49a", "#4c5a34", "#fbf6ea"),
    ("#4b3a5c", "#d9a6a0", "#f4ecf0"),
    ("#1f5a5c", "#e8c58c", "#f2efe4"),
)
# What some things are made of, unless the prompt says otherwise.
_MATERIALS: dict[str, tuple[str, ...]] = {
    "dropper": ("#6f3a14", "#7c4318", "#2f4a3a", "#26313b"),
    "flask": ("#3c4f2a", "#6f3a14", "#5d6b3a", "#ece6da"),
    "pouch": ("#b98f62", "#2f4a3a", "#c9a878", "#3a3d36", "#a4502c"),
    "box": ("#b98f62", "#c98a5e", "#2f4a3a", "#d9c49a"),
    "soap": ("#cdbf94", "#b7c09a", "#e6d5b8", "#9c8a6a"),
    "fabric": ("#c9ba92", "#8f9b7a", "#a8876a", "#5f6f7a"),
    "board": ("#c7b184", "#b79a6c", "#cfc2a2"),
    "block": ("#c9c1ab", "#bdb49b", "#d2c9b2"),
    "rope": ("#c7ab78", "#b8955e"),
    "pot": ("#b9684a", "#d9d2c6", "#56616b"),
    "table": ("#b07d4f", "#8a5a36"),
    "tool": ("#b98a52",),
    "tote": ("#dfd2b4", "#cdbf98", "#3a463f"),
    "bone": ("#d0b283", "#b98a52"),
    "candle": ("#e9dfd0", "#c7b8a4", "#58655a"),
    "bowl": ("#cfc4ad", "#a8b09a", "#b9684a"),
}


def render(packshot: Packshot, *, media_type: MediaType = "image/png") -> bytes:
    """The picture of `packshot`, encoded as `media_type`; the same bytes for the same packshot."""
    load_fonts()
    document, light = _compose(packshot)
    drawn = pyvips.Image.svgload_buffer(document)
    return _encode(_develop(drawn, grain=light.grain), media_type)


def _compose(packshot: Packshot) -> tuple[bytes, Light]:
    """The sheet as SVG, and the light it was built for."""
    width, height = packshot.width_px, packshot.height_px
    scale = min(width, height) / _UNITS
    canvas = Canvas(width / scale, height / scale, scale)
    salt = f"{packshot.style}/{packshot.seed}/{packshot.name}"
    chance = random.Random(salt)  # noqa: S311 - drawing, not secrets
    look = _look(packshot)
    drawing = OBJECTS.get(packshot.kind, OBJECTS["generic"])(canvas, look)
    # Sets differ in how much room they leave, and need the object's width to be built: measure first.
    size = _size(drawing, canvas, chance)
    built = _build(packshot.style, canvas, look, drawing.width * size / 2, chance)
    size *= built.room
    x = canvas.width / 2 + canvas.width * chance.uniform(-0.025, 0.025)
    tag = None if drawing.named else card(canvas, look)
    body = built.markup
    if tag:
        x -= canvas.width * 0.055
    body += _stand(canvas, drawing, built.light, x=x, y=built.ground_y, size=size)
    if tag:
        beside = x + drawing.width * size / 2 + 60
        inside = canvas.width - tag.width * _CARD_SIZE / 2 - 26
        body += _stand(
            canvas, tag, built.light, x=min(beside, inside), y=built.ground_y + 62, size=_CARD_SIZE
        )
    body += _veil(canvas, built.light)
    return canvas.document(body, width_px=width, height_px=height), built.light


def _look(packshot: Packshot) -> Look:
    """What belongs to the product, not to the picture: one name gives one look at every provider."""
    identity = int.from_bytes(hashlib.sha256(f"{packshot.name}|{packshot.kind}".encode()).digest()[:6])
    main, second, paper = _HOUSES[identity % len(_HOUSES)]
    materials = _MATERIALS.get(packshot.kind)
    if materials:
        main = materials[identity // 64 % len(materials)]
    if packshot.colours:
        main = packshot.colours[0]
    if len(packshot.colours) > 1:
        second = packshot.colours[1]
    if contrast(second, main) < 0.2:
        second = lighter(main, 0.75) if lightness(main) < 0.5 else darker(main, 0.62)
    if contrast(paper, main) < 0.12:
        paper = "#ffffff" if lightness(main) < 0.85 else "#e9e1d2"
    face: Face = "DM Serif Display" if identity // 512 % 2 else "Geist"
    name = plain(packshot.name)[: NAME_LENGTH + 1] or "Sample"
    return Look(name, main, second, paper, face, identity // 4096 % 4, identity)


def _size(drawing: Drawing, canvas: Canvas, chance: random.Random) -> float:
    """How large the object stands: it fills the frame as a shop wants it, without touching an edge."""
    room_up, room_across = 0.62 * min(canvas.height, canvas.width * 1.2), 0.58 * canvas.width
    # A compact thing that reached both limits would look like a close-up beside a slim one.
    bulk = 0.5 * _UNITS / math.sqrt(drawing.width * drawing.height)
    return min(room_up / drawing.height, room_across / drawing.width, bulk) * chance.uniform(0.95, 1.05)


def _build(style: str, canvas: Canvas, look: Look, reach: float, chance: random.Random) -> Set:
    builders, papers = STYLES.get(style) or list(STYLES.values())[len(style) % len(STYLES)]
    builder = chance.choice(builders)
    # An object on paper of its own colour disappears: take the next paper that sets it off.
    wall, floor = max(
        chance.sample(papers, k=min(3, len(papers))),
        key=lambda paper: min(contrast(paper[0], look.main), 0.3),
    )
    return builder(Stage(canvas, wall, floor, chance, reach))


def _stand(canvas: Canvas, drawing: Drawing, light: Light, *, x: float, y: float, size: float) -> str:
    """`drawing` with its foot at x, y: mirrored in the floor, shaded where it touches, lit from behind."""
    half, depth = drawing.width * size / 2, max(drawing.depth * size, 6)
    place = f"translate({x:.1f} {y:.1f}) scale({size:.4f})"
    outline = f'<g transform="{place}">{drawing.outline}</g>'
    canvas.settle(x=x, y=y, size=size)
    body = ""
    if light.mirror:
        shown = drawing.height * size * 0.36
        body += canvas.mirrored(
            f'<g transform="{place}">{drawing.markup}</g>',
            box=(x - half * 1.3, y + depth * 0.4 - shown, half * 2.6, shown),
            at=y + depth * 0.4,
            strength=light.mirror * (0.6 + drawing.sheen),
        )
    slant = f"matrix({size:.4f} 0 {-light.lean * size:.4f} {light.back * size:.4f} 0 0)"
    lean = f"translate({x:.1f} {y:.1f}) {slant}"
    high = drawing.height * size
    shift = light.lean * high
    body += canvas.soft(
        f'<g transform="{lean}">{drawing.outline}</g>',
        box=(
            x - half + min(shift, 0),
            y - max(light.back, 0) * high,
            2 * half + abs(shift),
            abs(light.back) * high + depth * 2,
        ),
        blur=light.soft,
        colour="#140d08",
        opacity=light.strength,
    )
    ground = (
        f'<ellipse cx="{x + 5:.1f}" cy="{y + depth * 0.35:.1f}" rx="{half:.1f}" ry="{depth * 0.9 + 3:.1f}"/>'
    )
    if drawing.foot:
        ground = f'<g transform="translate({x + 5:.1f} {y + 4:.1f}) scale({size:.4f})">{drawing.foot}</g>'
    body += canvas.soft(
        ground,
        box=(x - half * 1.1, y - depth * 1.5, half * 2.2, depth * 4),
        blur=6 + depth * 0.25,
        colour="#0d0805",
        opacity=min(0.9, light.strength * 1.5),
    )
    body += f'<g transform="{place}">{drawing.markup}</g>'
    if light.grade:
        sink = canvas.linear((0.35, "#0a0604", 0), (1, "#0a0604", light.grade))
        area = f'x="{x - half * 1.2:.1f}" y="{y - high * 1.1:.1f}"'
        area += f' width="{half * 2.4:.1f}" height="{high * 1.3:.1f}"'
        body += f'<g {canvas.clip(outline)}><rect {area} fill="{sink}"/></g>'
    if light.rim:
        bare = drawing.outline.replace('fill="#000"', "")
        edge = f'<g transform="{place}" stroke="#000" stroke-width="{7 / size:.1f}" fill="none">{bare}</g>'
        glow = canvas.soft(
            edge,
            box=(x - half * 1.15, y - high * 1.05, half * 2.3, high * 1.12),
            blur=5,
            colour=light.rim,
            opacity=0.6,
        )
        body += f"<g {canvas.clip(outline)}>{glow}</g>"
    return body


def _veil(canvas: Canvas, light: Light) -> str:
    """Light spilling over the lens."""
    if not light.haze:
        return ""
    veil = canvas.radial((0, "#ffe7c2", light.haze * 1.6), (1, "#ffe7c2", 0), at=(0.36, 0.3), reach=0.7)
    return f'<rect width="{canvas.width}" height="{canvas.height}" fill="{veil}"/>'


def _develop(drawn: pyvips.Image, *, grain: bool) -> pyvips.Image:
    """What a camera adds: a slight falling off to the corners and, in the dark, a little grain."""
    light = _corners().resize(drawn.width / 64, vscale=drawn.height / 64, kernel="linear")
    # The sheet is opaque, so its alpha can be dropped.
    picture = drawn.extract_band(0, n=3) * light
    if grain:
        tile = _grain()
        across, down = -(-drawn.width // tile.width), -(-drawn.height // tile.height)
        picture += tile.replicate(across, down).crop(0, 0, drawn.width, drawn.height)
    return picture.rint().cast("uchar").copy(interpretation="srgb")


@functools.lru_cache(maxsize=1)
def _grain() -> pyvips.Image:
    """One tile of film grain. It hides the steps of 8-bit gradients; every picture shares it."""
    return pyvips.Image.gaussnoise(256, 256, mean=0, sigma=0.6, seed=1_839).cast("float").copy_memory()


@functools.lru_cache(maxsize=1)
def _corners() -> pyvips.Image:
    """How much light reaches each part of a picture: 1 in the middle, 0.86 in the corners."""
    place = pyvips.Image.xyz(64, 64) / 63 * 2 - 1
    away = place[0] * place[0] + place[1] * place[1]
    return (1 - 0.035 * away * away).cast("float").copy_memory()


def _encode(picture: pyvips.Image, media_type: MediaType) -> bytes:
    if media_type == "image/png":
        encoded = picture.write_to_buffer(".png", compression=1, filter="sub", keep="none")
    elif media_type == "image/jpeg":
        encoded = picture.write_to_buffer(".jpg", Q=90, keep="none")
    else:
        encoded = picture.write_to_buffer(".webp", Q=88, effort=1, keep="none")
    return bytes(encoded)
