"""The rooms a studio builds around an object: wall, floor, light. Each provider's stand-in has its own."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from packshot.imaging.studio.canvas import Canvas, darker, lighter, lightness, mix
from packshot.imaging.studio.objects.parts import ellipse, path, rect, round_shade, stroke


@dataclass(frozen=True, slots=True)
class Light:
    """How light falls on a set. Per height, a shadow runs `lean` to the right and `back` into the room."""

    lean: float = 0.5
    back: float = 0.22
    soft: float = 22
    strength: float = 0.34
    mirror: float = 0.0  # how much of the object the floor gives back
    grade: float = 0.0  # how far the side away from the light sinks
    rim: str = ""  # colour of a light from behind
    haze: float = 0.0  # light spilling over the lens
    grain: bool = False  # dark gradients need some, or their 8-bit steps show; it triples a PNG


@dataclass(frozen=True, slots=True)
class Set:
    """A built set: what stands behind, where the object's foot goes, and the light."""

    markup: str
    ground_y: float
    light: Light
    room: float = 1.0  # share of the usual object size that fits this set


@dataclass(slots=True)
class Stage:
    """The sheet a set is built on; `across` is its middle, `low` a height that suits the object's foot."""

    canvas: Canvas
    wall: str
    floor: str
    chance: random.Random
    reach: float  # half the width of the object as it will stand
    width: float = field(init=False)
    height: float = field(init=False)

    def __post_init__(self) -> None:
        self.width, self.height = self.canvas.width, self.canvas.height

    @property
    def across(self) -> float:
        return self.width / 2

    @property
    def low(self) -> float:
        return self.height * (0.79 if self.height <= self.width * 1.2 else 0.70)

    def fill(self, paint: str, *, top: float = 0, extra: str = "") -> str:
        return rect(0, top, self.width, self.height - top, paint, extra)


def sweep(s: Stage) -> Set:
    """Seamless paper: no line between wall and floor, a pool of light behind the object."""
    c = s.canvas
    y = s.low
    base = s.fill(
        c.down(
            (0, darker(s.wall, 0.07)),
            (0.5, s.wall),
            (0.66, lighter(s.wall, 0.3)),
            (0.8, lighter(s.floor, 0.24)),
            (1, darker(s.floor, 0.06)),
        )
    )
    pool = s.fill(
        c.radial((0, "#ffffff", 0.72), (0.5, "#ffffff", 0.2), (1, "#ffffff", 0), at=(0.46, 0.46), reach=0.52)
    )
    return Set(base + pool, y, Light(lean=0.42, back=0.16, soft=26, strength=0.30, mirror=0.16), room=1.08)


def daylight(s: Stage) -> Set:
    """A table by a window: panes of sun on the wall, a front edge, a long soft shadow."""
    c, y = s.canvas, s.low
    horizon = y - s.height * 0.115
    wall = s.fill(c.linear((0, lighter(s.wall, 0.24)), (1, darker(s.wall, 0.09)), along=(0, 0, 1, 0.8)))
    wall += c.plaster("grain", box=(0, 0, s.width, horizon), strength=0.25)
    table = rect(
        0,
        horizon,
        s.width,
        s.height - horizon,
        c.down((0, darker(s.floor, 0.07)), (0.25, s.floor), (1, lighter(s.floor, 0.22))),
    )
    table += rect(0, horizon, s.width, 2.2, lighter(s.floor, 0.55), 'fill-opacity="0.55"')
    slant, start = s.chance.uniform(0.16, 0.34), s.chance.uniform(-0.06, 0.2) * s.width
    pane, gap = s.width * 0.15, s.width * 0.035
    panes = ""
    for column in range(3):
        x = start + column * (pane + gap)
        for top, bottom in ((-0.1, 0.26), (0.285, horizon / s.height)):
            t, b = top * s.height, bottom * s.height
            panes += path(f"M{x + slant * t} {t}h{pane}L{x + pane + slant * b} {b}h{-pane}z", "#000")
    x = start + slant * horizon
    spill = "".join(
        path(
            f"M{left} {horizon}h{pane}L{left + pane + 150} {s.height}h{-pane}z",
        )
        for left in (x, x + pane + gap, x + 2 * (pane + gap))
    )
    sun = c.soft(panes, box=(0, 0, s.width, horizon - 6), blur=9, colour="#fff4d8", opacity=0.5)
    sun += (
        f"<g {c.clip(rect(0, horizon, s.width, s.height, '#000'))}>"
        + c.soft(
            spill, box=(0, horizon, s.width, s.height - horizon), blur=14, colour="#fff1d0", opacity=0.34
        )
        + "</g>"
    )
    return Set(wall + table + sun, y, Light(lean=0.75, back=0.13, soft=13, strength=0.42, grade=0.1))


def podium(s: Stage) -> Set:
    """A round plinth before a disc on the wall."""
    c = s.canvas
    y = s.low - s.height * 0.035
    top, half = y - 8, min(s.width * 0.40, max(s.reach * 1.42, 240))
    ry, tall = half * 0.15, s.height * 0.105
    horizon = y - s.height * 0.09
    wall = s.fill(c.linear((0, lighter(s.wall, 0.22)), (1, darker(s.wall, 0.08)), along=(0, 0, 1, 1)))
    r = min(s.width, s.height) * 0.345
    paint = c.linear((0, lighter(s.wall, 0.5)), (1, lighter(s.wall, 0.12)), along=(0, 0, 0.7, 1))
    disc = ellipse(s.across, s.height * 0.4, r, r, paint)
    floor = s.fill(c.down((0, darker(s.floor, 0.06)), (1, lighter(s.floor, 0.2))), top=horizon)
    shade = c.soft(
        ellipse(s.across + 40, y + tall + 6, half * 1.1, ry * 1.1, "#000"),
        box=(s.across - half * 1.2, y + tall - ry * 1.5, half * 2.6, ry * 3),
        blur=24,
        colour="#1a100a",
        opacity=0.34,
    )
    side = f"M{s.across - half} {top}V{top + tall}A{half} {ry} 0 0 0 {s.across + half} {top + tall}V{top}z"
    lid = c.linear((0, lighter(s.floor, 0.6)), (0.5, lighter(s.floor, 0.36)), (1, lighter(s.floor, 0.14)))
    drum_ = path(side, round_shade(c, s.floor, gloss=0.32, depth=0.3)) + ellipse(s.across, top, half, ry, lid)
    drum_ += ellipse(
        s.across,
        top + 1.5,
        half - 1,
        ry - 1,
        "none",
        f'stroke="{lighter(s.floor, 0.75)}" stroke-width="2" stroke-opacity="0.5"',
    )
    return Set(
        wall + disc + floor + shade + drum_,
        y,
        Light(lean=0.34, back=0.07, soft=12, strength=0.34, grade=0.06),
        room=0.9,
    )


def arch(s: Stage) -> Set:
    """A niche in plaster, the object on its step."""
    c, y = s.canvas, s.low
    dark = lightness(s.wall) < 0.4
    half = min(s.width * 0.36, max(s.reach * 1.35, 270))
    crown = max(y - s.height * 0.72 + half, half + 30)
    x0, x1 = s.across - half, s.across + half
    step = y - 20
    wall = s.fill(c.linear((0, lighter(s.wall, 0.18)), (1, darker(s.wall, 0.12)), along=(0, 0, 1, 1)))
    wall += c.plaster("stone", box=(0, 0, s.width, s.height), strength=0.3)
    niche = f"M{x0} {step + 14}V{crown}A{half} {half} 0 0 1 {x1} {crown}V{step + 14}z"
    inner = c.linear(
        (0, darker(s.wall, 0.42)),
        (0.16, darker(s.wall, 0.26)),
        (0.75, darker(s.wall, 0.1)),
        (1, lighter(s.wall, 0.06)),
    )
    hole = path(niche, inner)
    hole += (
        f"<g {c.clip(path(niche))}>"
        + c.soft(
            path(f"M{x0 - 60} {crown - half - 60}h{half * 0.9}V{step}h{-half * 0.9}z", "#000"),
            box=(x0 - 60, crown - half - 60, half, step - crown + half + 60),
            blur=46,
            colour="#0d0906",
            opacity=0.32,
        )
        + "</g>"
    )
    rim = stroke(
        f"M{x0} {step}V{crown}A{half} {half} 0 0 1 {x1} {crown}V{step}", lighter(s.wall, 0.6), 2.4, 0.4
    )
    floor = s.fill(
        c.down((0, lighter(s.floor, 0.3 if not dark else 0.1)), (0.3, s.floor), (1, darker(s.floor, 0.2))),
        top=step - 30,
    )
    floor += rect(0, step - 30, s.width, 2.4, lighter(s.floor, 0.6), 'fill-opacity="0.4"')
    floor += c.plaster("stone", box=(0, step - 30, s.width, s.height - step + 30), strength=0.34)
    return Set(
        wall + hole + rim + floor,
        y,
        Light(lean=0.5, back=0.08, soft=16, strength=0.42, grade=0.16 if dark else 0.08, grain=dark),
        room=0.92,
    )


def dapple(s: Stage) -> Set:
    """Sun through leaves on a limewashed wall."""
    c, y = s.canvas, s.low
    horizon = y - s.height * 0.10
    wall = s.fill(c.linear((0, lighter(s.wall, 0.36)), (1, darker(s.wall, 0.05)), along=(0, 0, 1, 1)))
    wall += c.plaster("stone", box=(0, 0, s.width, horizon), strength=0.24)
    floor = s.fill(
        c.down((0, darker(s.floor, 0.08)), (0.2, s.floor), (1, lighter(s.floor, 0.25))), top=horizon
    )
    leaves = ""
    for frond in range(3):
        x, yy = s.width * s.chance.uniform(-0.08, 0.5), s.height * s.chance.uniform(-0.06, 0.12)
        aim = s.chance.uniform(20, 70) - frond * 8
        long = min(s.width, s.height) * s.chance.uniform(0.55, 0.8)
        leaves += f'<g transform="translate({x:.0f} {yy:.0f}) rotate({aim:.0f})">'
        leaves += rect(0, -3, long, 6, "#000")
        for k in range(13):
            at, size = long * (0.12 + k * 0.068), long * (0.34 - abs(k - 5) * 0.026)
            for side in (-1, 1):
                move = f'transform="translate({at:.0f} 0) rotate({side * (62 - k * 2.4):.0f})"'
                belly, bow = size * 0.45, size * 0.13
                blade = f"M0 0Q{belly:.0f} {-bow:.0f} {size:.0f} 0Q{belly:.0f} {bow:.0f} 0 0z"
                leaves += path(blade, "#000", move)
        leaves += "</g>"
    shade = c.soft(
        leaves,
        box=(0, 0, s.width, s.height),
        blur=7,
        colour=darker(mix(s.wall, "#2c3a22", 0.6), 0.3),
        opacity=0.30,
    )
    return Set(wall + floor + shade, y, Light(lean=0.66, back=0.12, soft=12, strength=0.4, grade=0.1))


def stone(s: Stage) -> Set:
    """A rough slab and two rounded stones."""
    c, y = s.canvas, s.low
    edge = y + s.height * 0.075
    back = y - s.height * 0.075
    wall = s.fill(c.linear((0, lighter(s.wall, 0.3)), (1, darker(s.wall, 0.12)), along=(0, 0, 1, 1)))
    wobble = [s.chance.uniform(-5, 5) for _ in range(9)]
    ridge = "".join(f"L{s.width * k / 8:.0f} {back + wobble[k]:.1f}" for k in range(9))
    lip = "".join(f"L{s.width * (8 - k) / 8:.0f} {edge + wobble[k] * 1.4:.1f}" for k in range(9))
    top_face = "M0 " + f"{back:.0f}" + ridge + lip + "z"
    front = (
        f"M0 {edge + wobble[8] * 1.4:.1f}"
        + "".join(f"L{s.width * k / 8:.0f} {edge + wobble[8 - k] * 1.4:.1f}" for k in range(9))
        + f"V{s.height}H0z"
    )
    slab = path(top_face, c.down((0, darker(s.floor, 0.06)), (1, lighter(s.floor, 0.34))))
    slab += path(front, c.down((0, darker(s.floor, 0.2)), (1, darker(s.floor, 0.46)))) + c.plaster(
        "stone", box=(0, back, s.width, s.height - back), strength=0.9
    )
    slab += stroke("M" + lip[1:].replace("L", "L", 1), lighter(s.floor, 0.7), 2.4, 0.6)
    side = s.chance.choice((-1, 1))
    x = s.across + side * min(s.reach + 130, s.width * 0.42)
    pebbles = ""
    for px, rx, ry, tint in ((x, 92, 50, 0.02), (x - side * 34, 58, 36, 0.16)):
        py = back + s.height * 0.045 - (0 if rx > 80 else 78)
        pebbles += ellipse(
            px,
            py - ry * 0.5,
            rx,
            ry,
            c.radial(
                (0, lighter(s.floor, 0.4)),
                (0.6, darker(s.floor, tint)),
                (1, darker(s.floor, 0.45)),
                at=(0.34, 0.26),
                reach=0.8,
            ),
        )
    ground = c.soft(
        ellipse(x + 12, back + s.height * 0.045 + 18, 108, 15, "#000"),
        box=(x - 130, back, 280, 90),
        blur=9,
        colour="#120b06",
        opacity=0.5,
    )
    return Set(
        wall + slab + ground + pebbles, y, Light(lean=0.55, back=0.13, soft=13, strength=0.46, grade=0.1)
    )


def timber(s: Stage) -> Set:
    """A wooden table before a wall out of focus."""
    c, y = s.canvas, s.low
    horizon = y - s.height * 0.12
    wood = ("#b07d4f", "#8a5a36", "#caa06e", "#6d4a30")[s.chance.randrange(4)]
    wall = s.fill(c.linear((0, lighter(s.wall, 0.28)), (1, darker(s.wall, 0.16)), along=(0, 0, 1, 0.6)))
    spots = "".join(
        ellipse(
            s.chance.uniform(0, s.width),
            s.chance.uniform(0, horizon),
            s.chance.uniform(50, 120),
            s.chance.uniform(50, 120),
            "#000",
        )
        for _ in range(6)
    )
    wall += c.soft(spots, box=(0, 0, s.width, horizon), blur=34, colour=lighter(s.wall, 0.75), opacity=0.5)
    table = rect(
        0,
        horizon,
        s.width,
        s.height - horizon,
        c.down((0, darker(wood, 0.28)), (0.3, wood), (1, lighter(wood, 0.16))),
    )
    table += c.plaster("wood", box=(0, horizon, s.width, s.height - horizon), strength=1)
    for share in (0.16, 0.42, 0.74):
        yy = horizon + (s.height - horizon) * share
        table += rect(0, yy, s.width, 1.4 + 2.6 * share, darker(wood, 0.72), 'fill-opacity="0.5"') + rect(
            0, yy + 3, s.width, 1.4, lighter(wood, 0.4), 'fill-opacity="0.4"'
        )
    glow = c.soft(
        ellipse(s.width * 0.3, y + 40, s.width * 0.3, 46, "#000"),
        box=(0, horizon, s.width * 0.7, s.height - horizon),
        blur=40,
        colour="#fff0d2",
        opacity=0.3,
    )
    return Set(wall + table + glow, y, Light(lean=0.5, back=0.1, soft=12, strength=0.5, grade=0.12))


def spotlight(s: Stage) -> Set:
    """Black glass under one hard light: mirror, rim, falling off into the dark."""
    c, y = s.canvas, s.low
    horizon = y - s.height * 0.10
    wall = s.fill(
        c.radial(
            (0, lighter(s.wall, 0.34)), (0.35, s.wall), (1, darker(s.wall, 0.86)), at=(0.42, 0.4), reach=0.68
        )
    )
    floor = s.fill(
        c.down((0, darker(s.wall, 0.78)), (0.35, darker(s.wall, 0.5)), (1, darker(s.wall, 0.88))), top=horizon
    )
    pool = c.soft(
        ellipse(s.across, y + 14, s.reach * 1.7, 42, "#000"),
        box=(s.across - s.reach * 1.8, y - 40, s.reach * 3.6, 110),
        blur=34,
        colour=lighter(s.wall, 0.45),
        opacity=0.42,
    )
    line = rect(0, horizon, s.width, 1.6, lighter(s.wall, 0.5), 'fill-opacity="0.22"')
    return Set(
        wall + floor + line + pool,
        y,
        Light(
            lean=0.3,
            back=0.05,
            soft=12,
            strength=0.7,
            mirror=0.34,
            grade=0.34,
            rim=lighter(s.wall, 0.75),
            grain=True,
        ),
        room=1.04,
    )


def blocks(s: Stage) -> Set:
    """Painted solids in one colour family, like a magazine still life."""
    c, y = s.canvas, s.low
    horizon = y - s.height * 0.10
    wall = s.fill(c.linear((0, lighter(s.wall, 0.12)), (1, darker(s.wall, 0.14)), along=(0, 0, 1, 0.7)))
    floor = s.fill(
        c.down((0, darker(s.floor, 0.12)), (0.3, s.floor), (1, lighter(s.floor, 0.16))), top=horizon
    )
    solids = ""
    shades = ""
    foot = y - s.height * 0.045
    left, right = s.across - s.reach, s.across + s.reach
    tall = s.chance.uniform(0.26, 0.42) * s.height
    for x, w, h in (
        (left - 190, 170, tall),
        (left - 40, 150, tall * 0.5),
        (right + 10, 190, s.chance.uniform(0.16, 0.5) * s.height),
    ):
        tone = mix(s.wall, s.floor, s.chance.uniform(0.2, 0.9))
        shades += path(f"M{x + 20} {foot}h{w}l150 -18v30l-150 12z", "#000")
        if s.chance.random() < 0.45:
            ry = w * 0.13
            solids += path(
                f"M{x} {foot - h}V{foot}A{w / 2} {ry} 0 0 0 {x + w} {foot}V{foot - h}z",
                round_shade(c, tone, gloss=0.2, depth=0.34),
            )
            solids += ellipse(x + w / 2, foot - h, w / 2, ry, lighter(tone, 0.3))
        else:
            solids += rect(
                x,
                foot - h,
                w,
                h + 8,
                c.linear((0, lighter(tone, 0.2)), (1, darker(tone, 0.06)), along=(0, 0, 1, 1)),
            )
            solids += path(f"M{x + w} {foot - h}l34 -16V{foot - 8}l-34 16z", darker(tone, 0.34))
            solids += path(f"M{x} {foot - h}l34 -16h{w}l-34 16z", lighter(tone, 0.38))
    shade = c.soft(
        shades, box=(left - 220, foot - 30, s.reach * 2 + 620, 60), blur=14, colour="#140c08", opacity=0.36
    )
    ball_x = min(right + 120, s.width - 110)
    ball = c.soft(
        ellipse(ball_x + 30, y + 44, 74, 14, "#000"),
        box=(ball_x - 60, y + 20, 190, 50),
        blur=12,
        colour="#140c08",
        opacity=0.4,
    )
    tint = lighter(s.floor, 0.2)
    gloss = (0, lighter(tint, 0.7)), (0.4, tint), (0.85, darker(tint, 0.4)), (1, darker(tint, 0.25))
    ball += ellipse(ball_x, y - 10, 56, 56, c.radial(*gloss, at=(0.34, 0.3), reach=0.75))
    return Set(
        wall + floor + shade + solids + ball,
        y,
        Light(lean=0.8, back=0.1, soft=9, strength=0.46, mirror=0.1, grade=0.1),
    )


def sunset(s: Stage) -> Set:
    """A burning disc low behind the object, haze, and still water for a floor."""
    c, y = s.canvas, s.low
    horizon = y - s.height * 0.13
    glow = lighter(mix(s.wall, "#ffb566", 0.55), 0.2)
    sky = rect(
        0,
        0,
        s.width,
        horizon + 2,
        c.down((0, darker(s.wall, 0.62)), (0.5, s.wall), (1, mix(s.wall, glow, 0.75))),
    )
    r = min(s.width, s.height) * s.chance.uniform(0.27, 0.34)
    x = s.across + s.chance.uniform(-0.12, 0.12) * s.width
    cy = horizon - r * s.chance.uniform(0.62, 1.0)
    fire = c.down((0, lighter(glow, 0.55)), (0.7, glow), (1, mix(glow, s.wall, 0.5)))
    disc = ellipse(x, cy, r, r, fire)
    halo = c.soft(
        ellipse(x, cy, r, r, "#000"),
        box=(x - r, cy - r, 2 * r, 2 * r),
        blur=70,
        colour=glow,
        opacity=0.6,
    )
    water = s.fill(
        c.down((0, mix(s.wall, glow, 0.6)), (0.25, darker(s.floor, 0.18)), (1, darker(s.floor, 0.66))),
        top=horizon,
    )
    ripples = "".join(
        rect(
            x + s.chance.uniform(-1, 1) * r * (0.5 + k / 26),
            horizon + 6 + k * k * 0.42,
            s.chance.uniform(40, 190) * (0.6 + k / 14),
            1.4 + k * 0.16,
            lighter(glow, 0.35),
            f'fill-opacity="{0.5 - k * 0.018:.2f}"',
            r=1.2,
        )
        for k in range(22)
    )
    mist = c.soft(
        rect(0, horizon - 24, s.width, 40, "#000"),
        box=(0, horizon - 24, s.width, 40),
        blur=26,
        colour=lighter(glow, 0.4),
        opacity=0.36,
    )
    return Set(
        sky + halo + disc + water + ripples + mist,
        y,
        Light(
            lean=-0.1,
            back=-0.16,
            soft=18,
            strength=0.5,
            mirror=0.3,
            grade=0.28,
            rim=lighter(glow, 0.6),
            haze=0.14,
            grain=True,
        ),
    )


def drape(s: Stage) -> Set:
    """Heavy cloth falling behind, one warm lamp."""
    c, y = s.canvas, s.low
    horizon = y - s.height * 0.085
    stops: list[tuple[float, str]] = []
    at = 0.0
    while at < 1:
        deep, wide = s.chance.uniform(0.22, 0.55), s.chance.uniform(0.035, 0.085)
        stops += [
            (round(at, 3), darker(s.wall, deep)),
            (round(at + wide * 0.45, 3), lighter(s.wall, s.chance.uniform(0.06, 0.2))),
        ]
        at += wide
    cloth = rect(0, 0, s.width, horizon + 4, c.linear(*stops[: 2 * (len(stops) // 2)]))
    cloth += c.plaster("felt", box=(0, 0, s.width, horizon + 4), strength=0.16)
    cloth += rect(
        0,
        0,
        s.width,
        horizon + 4,
        c.down((0, "#000000", 0.5), (0.4, "#000000", 0.08), (0.9, "#000000", 0.05), (1, "#000000", 0.5)),
    )
    lamp = c.soft(
        ellipse(s.width * 0.34, s.height * 0.36, s.width * 0.22, s.height * 0.24, "#000"),
        box=(0, 0, s.width * 0.8, s.height * 0.7),
        blur=90,
        colour="#ffdca6",
        opacity=0.3,
    )
    floor = s.fill(
        c.linear(
            (0, lighter(s.floor, 0.12)), (0.45, s.floor), (1, darker(s.floor, 0.5)), along=(0, 0, 1, 0.4)
        ),
        top=horizon,
    )
    floor += c.plaster("wood", box=(0, horizon, s.width, s.height - horizon), strength=0.35)
    floor += rect(0, horizon, s.width, 14, c.down((0, "#000000", 0.5), (1, "#000000", 0)))
    return Set(
        cloth + lamp + floor,
        y,
        Light(
            lean=0.55,
            back=0.07,
            soft=14,
            strength=0.6,
            mirror=0.12,
            grade=0.3,
            rim="#ffd9a0",
            haze=0.05,
            grain=True,
        ),
    )


Builder = Callable[[Stage], Set]

# What each stand-in likes to build, and its papers: (wall, floor). A picture's seed picks from both.
STYLES: Mapping[str, tuple[tuple[Builder, ...], tuple[tuple[str, str], ...]]] = {
    "openai": (
        (daylight, podium, arch, sweep),
        (
            ("#f0e6d8", "#e2d3bf"),
            ("#e9c9b0", "#d6a888"),
            ("#efd5cd", "#dfb8ac"),
            ("#f2e4b9", "#e3cb8e"),
            ("#cfdce4", "#b4c9d6"),
            ("#dcd5e6", "#c2b7d4"),
        ),
    ),
    "flux": (
        (spotlight, blocks, sweep, spotlight),
        (
            ("#1f3a4d", "#1a2f3e"),
            ("#e4572e", "#f3b08f"),
            ("#27313a", "#1b2329"),
            ("#2f6f73", "#8fc0b5"),
            ("#3b2f63", "#8d7fc0"),
            ("#f2b632", "#f6d58a"),
        ),
    ),
    "stability": (
        (dapple, stone, timber, dapple),
        (
            ("#d6dcc8", "#bcc6a8"),
            ("#e6e1d6", "#c9c2b4"),
            ("#c6d3cf", "#a9bab4"),
            ("#eadfc9", "#d4c3a2"),
            ("#d9cbbd", "#b7a595"),
        ),
    ),
    "midjourney": (
        (sunset, drape, arch, drape),
        (
            ("#5a2733", "#3a1a23"),
            ("#1f4a4c", "#173536"),
            ("#8a4b22", "#5b2f17"),
            ("#2d3561", "#1f2444"),
            ("#46512f", "#2d3520"),
        ),
    ),
    "sandbox": (
        (sweep, podium, sweep),
        (
            ("#f1f1f0", "#e9e9e7"),
            ("#e4e8ec", "#d5dbe1"),
            ("#efece7", "#e2ddd5"),
        ),
    ),
}
