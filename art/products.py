"""The products a shop may sell, as stand-ins: each function builds one kind out of parts.

`main` takes the product's colour, `second` its accent, `label` its paper; `third` has a colour of its own,
named in `KINDS`. Sizes are relative: the render script scales every product to the same frame.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import bpy
from cloth import curve, patch, sewn
from scene import (
    CERAMIC,
    CLOTH,
    GLASS,
    KNIT,
    KRAFT,
    MATT,
    METAL,
    PAPER,
    PLASTIC,
    ROPE,
    RUBBER,
    SATIN,
    STONE,
    WOOD,
    Finish,
    Model,
    Point,
    around,
    fillet,
    flat,
)  # fmt: skip

SOFT = Finish(0.92, 0.1)
WAX = Finish(0.55, 0.4)


def dropper(m: Model) -> None:
    m.lathe(
        [(0, 0), (0.3, 0), (0.3, 0.60), (0.115, 0.76), (0.115, 0.84), (0, 0.84)], "main", GLASS, round_by=0.07
    )
    m.lathe(
        [(0, 0.80), (0.15, 0.80), (0.15, 0.97), (0, 0.97)],
        "second",
        PLASTIC,
        round_by=0.018,
        ribs=44,
        turn=352,
    )
    m.lathe(
        [(0, 0.96), (0.082, 0.96), (0.088, 1.06), (0.078, 1.2), (0.05, 1.27), (0, 1.275)],
        "second",
        RUBBER,
        round_by=0.04,
    )
    m.named(around(0.3025, 0.11, 0.5, 52), (0.545, 0.39), across=(-0.5, 1.5))


def flask(m: Model) -> None:
    m.lathe(
        [
            (0, 0),
            (0.235, 0),
            (0.235, 0.70),
            (0.085, 0.93),
            (0.078, 1.17),
            (0.094, 1.18),
            (0.094, 1.215),
            (0, 1.215),
        ],
        "main",
        GLASS,
        round_by=0.07,
    )
    m.lathe([(0, 1.19), (0.1, 1.19), (0.1, 1.34), (0, 1.34)], "second", MATT, round_by=0.02)
    m.named(around(0.2375, 0.13, 0.62, 54), (0.448, 0.49), across=(-0.5, 1.5))


def pump(m: Model) -> None:
    m.lathe([(0, 0), (0.25, 0), (0.25, 0.8), (0.1, 0.87), (0.1, 0.9), (0, 0.9)], "main", SATIN, round_by=0.05)
    m.lathe(
        [(0, 0.87), (0.125, 0.87), (0.125, 0.98), (0, 0.98)],
        "second",
        PLASTIC,
        round_by=0.015,
        ribs=40,
        turn=320,
    )
    m.lathe([(0, 0.97), (0.035, 0.97), (0.035, 1.1), (0, 1.1)], "second", PLASTIC)
    m.lathe([(0, 1.08), (0.095, 1.08), (0.1, 1.15), (0, 1.165)], "second", PLASTIC, round_by=0.025)
    m.tube(
        [
            (0, 0, 1.125),
            (-0.12, -0.03, 1.13),
            (-0.24, -0.06, 1.135),
            (-0.29, -0.075, 1.12),
            (-0.3, -0.08, 1.08),
        ],
        0.028,
        "second",
        PLASTIC,
    )
    m.named(around(0.2525, 0.16, 0.64, 54), (0.476, 0.48), across=(-0.3, 1.3))


def jar(m: Model) -> None:
    m.lathe([(0, 0), (0.45, 0), (0.45, 0.47), (0.4, 0.5), (0, 0.5)], "main", Finish(0.14, 0.5), round_by=0.05)
    m.lathe([(0, 0.49), (0.455, 0.49), (0.455, 0.70), (0, 0.70)], "second", SATIN, round_by=0.03)
    m.named(around(0.4525, 0.09, 0.4, 46), (0.727, 0.31), across=(-0.55, 1.55))


def tin(m: Model) -> None:
    m.lathe(
        [(0, 0), (0.34, 0), (0.345, 0.015), (0.34, 0.03), (0.34, 0.78), (0, 0.78)],
        "main",
        Finish(0.36, 0.6),
        round_by=0.012,
    )
    m.lathe(
        [
            (0, 0.74),
            (0.352, 0.74),
            (0.358, 0.755),
            (0.352, 0.77),
            (0.352, 0.91),
            (0.33, 0.925),
            (0.32, 0.915),
            (0, 0.915),
        ],
        "second",
        Finish(0.3, 0.8),
        round_by=0.015,
    )
    m.named(around(0.342, 0.12, 0.64, 50), (0.597, 0.52), across=(-0.6, 1.6))


def pouch(m: Model) -> None:
    def side(sign: float):
        def surface(u: float, v: float) -> Point:
            x = (u - 0.5) * 2
            up = 1 - v
            belly = 0.2 * (1 - abs(x) ** 2.0) ** 0.8 if abs(x) < 1 else 0.0
            rise = max(0.0, 1 - max(0.0, (up - 0.05) / 0.83)) ** 0.62
            swell = belly * rise * (0.86 + 0.14 * math.sin(math.pi * min(1, up * 2.2)))
            crease = 0.010 * math.sin(9 * x + 3 * up) * up * (1 - abs(x)) * (1 if up < 0.86 else 0)
            half = 0.39 * (1 - 0.035 * math.sin(math.pi * min(1, up / 0.9)) * rise)
            arch = 0.035 * abs(x) ** 2 * max(0.0, 1 - up * 5)
            return x * half, sign * (swell + crease + 0.004), up * 1.0 + arch

        return surface

    for sign in (-1, 1):
        m.sheet(side(sign), "main", replace(KRAFT, rough=0.5), cells=(64, 96))
    m.tube([(x * 0.02, -0.0085, 0.905) for x in range(-19, 20)], 0.006, "main", PAPER)
    front = side(-1)

    def label(u: float, v: float) -> Point:
        x, y, z = front(0.19 + 0.62 * u, 0.27 + 0.46 * v)
        return x, y - 0.004, z

    m.named(label, (0.484, 0.469), cells=(64, 64))


def tube(m: Model) -> None:
    rings = []
    for step in range(41):
        t = step / 40
        z = 0.16 + 0.86 * t
        flatten = t**1.25
        a, b = 0.205 + 0.045 * flatten, 0.2 * (1 - flatten) + 0.006
        rings.append(
            [(a * math.cos(w), b * math.sin(w), z) for w in (2 * math.pi * k / 96 for k in range(96))]
        )
    m.loft(rings, "main", SATIN)
    m.box((0.502, 0.014, 0.09), "main", SATIN, at=(0, 0, 1.015), bevel=0.004)
    m.lathe([(0, 0), (0.17, 0), (0.178, 0.02), (0.172, 0.15), (0, 0.16)], "second", PLASTIC, round_by=0.02)

    def label(u: float, v: float) -> Point:
        z = 0.9 - 0.6 * v
        t = (z - 0.16) / 0.86
        flatten = t**1.25
        a, b = 0.205 + 0.045 * flatten, 0.2 * (1 - flatten) + 0.006
        w = -math.pi / 2 + (u - 0.5) * 1.9
        return a * 1.004 * math.cos(w), b * 1.004 * math.sin(w) - 0.002, z

    m.named(label, (0.37, 0.6), cells=(48, 48))


def box(m: Model) -> None:
    m.box((0.56, 0.3, 0.86), "main", KRAFT, bevel=0.008)
    m.box((0.566, 0.306, 0.1), "second", PAPER, bevel=0.008, at=(0, 0, 0.765))
    m.named(flat(0.42, 0.44, (0, -0.1515, 0.40)), (0.42, 0.44), thick=0.001)


def soap(m: Model) -> None:
    m.box((0.92, 0.3, 0.56), "main", replace(WAX, bump="stone", bump_depth=0.1, mottle=0.08), bevel=0.085)
    band = fillet([(-0.157, 0.0), (-0.157, 0.567), (0.157, 0.567), (0.157, 0.0)], 0.088)
    points, faces = [], []
    for y, z in band:
        points += [(-0.27, y, max(z, 0.001)), (0.27, y, max(z, 0.001))]
    faces = [(2 * k, 2 * k + 1, 2 * k + 3, 2 * k + 2) for k in range(len(band) - 1)]
    m.mesh(points, faces, "label", PAPER)
    m.named(flat(0.5, 0.36, (0, -0.1585, 0.275)), (0.5, 0.36))


def candle(m: Model) -> None:
    m.lathe(
        [(0, 0), (0.34, 0), (0.34, 0.78), (0.315, 0.78), (0.315, 0.68), (0, 0.67)],
        "main",
        Finish(0.2, 0.5),
        round_by=0.02,
    )
    m.lathe([(0, 0.675), (0.314, 0.682), (0.314, 0.60)], "third", WAX)
    m.tube(
        [(0, 0, 0.67), (0.004, 0, 0.72), (0.012, -0.004, 0.76), (0.02, -0.004, 0.79)], 0.009, "second", MATT
    )
    m.named(around(0.3425, 0.17, 0.58, 44), (0.526, 0.41))


def mug(m: Model) -> None:
    m.lathe(
        [
            (0, 0.0),
            (0.33, 0.0),
            (0.36, 0.03),
            (0.36, 0.72),
            (0.335, 0.735),
            (0.325, 0.72),
            (0.325, 0.08),
            (0, 0.06),
        ],
        "main",
        CERAMIC,
        round_by=0.03,
    )
    m.tube(
        [
            (0.34, 0, 0.6),
            (0.44, 0, 0.63),
            (0.57, 0, 0.6),
            (0.6, 0, 0.4),
            (0.56, 0, 0.2),
            (0.45, 0, 0.13),
            (0.34, 0, 0.14),
        ],
        0.045,
        "main",
        CERAMIC,
    )
    m.named(around(0.3612, 0.16, 0.56, 46), (0.58, 0.4), CERAMIC)


def bowl(m: Model) -> None:
    for step, (part, size) in enumerate((("main", 1.0), ("second", 0.86), ("main", 0.72))):
        up = 0.08 * step
        m.lathe(
            [(0, up), (0.22 * size, up), (0.24 * size, up + 0.02), (0.4 * size, 0.16 + up), (0.5 * size, up + 0.36), (0.482 * size, up + 0.37), (0.38 * size, up + 0.19), (0.2 * size, up + 0.05), (0, up + 0.05)],
            part, replace(CERAMIC, rough=0.3, mottle=0.05, bump="stone", bump_depth=0.02), round_by=0.05,
        )  # fmt: skip

    def label(u: float, v: float) -> Point:
        angle = math.radians((u - 0.5) * 62)
        radius, height = 0.474 - 0.075 * v, 0.30 - 0.135 * v
        return radius * 1.004 * math.sin(angle), -radius * 1.004 * math.cos(angle), height

    m.named(label, (0.48, 0.155), CERAMIC)


def notebook(m: Model) -> None:
    from mathutils import Matrix

    m.box(
        (0.70, 0.018, 0.98),
        "main",
        replace(CLOTH, bump_scale=1.6, bump_depth=0.15, mottle=0.05),
        bevel=0.008,
        at=(0, -0.05, 0),
    )
    m.box((0.70, 0.018, 0.98), "main", CLOTH, bevel=0.008, at=(0, 0.05, 0))
    m.box(
        (0.68, 0.085, 0.95),
        "third",
        replace(PAPER, bump="wood", bump_scale=2.0),
        bevel=0.004,
        at=(-0.005, 0, 0.015),
    )
    m.box((0.03, 0.118, 0.98), "main", CLOTH, bevel=0.014, at=(-0.345, 0, 0))
    m.box((0.024, 0.124, 0.984), "second", CLOTH, bevel=0.003, at=(0.27, 0, -0.002))
    m.named(flat(0.40, 0.26, (-0.04, -0.0605, 0.62)), (0.4, 0.26), thick=0.001)
    m.place(Matrix.Rotation(math.radians(-9), 4, "X"))


def card(m: Model) -> None:
    from mathutils import Matrix

    m.box((0.98, 0.012, 0.62), "third", PAPER, bevel=0.003, at=(0.06, 0.1, 0.0), turn=(-0.16, 0, 0.0))
    m.box((0.98, 0.012, 0.62), "main", PAPER, bevel=0.004, at=(-0.05, 0.0, 0.0), turn=(-0.14, 0, 0))
    m.box((0.98, 0.0125, 0.07), "second", PAPER, bevel=0.001, at=(-0.05, 0.0005, 0.0), turn=(-0.14, 0, 0))
    m.named(flat(0.6, 0.32, (-0.05, 0.0405, 0.34), lean=math.degrees(0.14)), (0.6, 0.32), thick=0.001)
    m.place(Matrix.Identity(4))


def pot(m: Model) -> None:
    rng = random.Random(4)
    m.lathe(
        [
            (0, 0.03),
            (0.25, 0.03),
            (0.34, 0.46),
            (0.37, 0.46),
            (0.375, 0.58),
            (0.34, 0.58),
            (0.33, 0.5),
            (0, 0.5),
        ],
        "main",
        replace(MATT, bump="stone", bump_depth=0.08, mottle=0.08),
        round_by=0.02,
    )
    m.lathe(
        [(0, 0), (0.31, 0), (0.35, 0.05), (0.335, 0.05), (0.3, 0.02), (0, 0.02)], "main", MATT, round_by=0.012
    )
    for leaf in range(22):
        angle, reach, high = leaf * 2.4, 0.2 + 0.3 * rng.random(), 0.5 + 0.42 * rng.random()
        reach *= 0.15 + 0.85 * ((leaf % 6) / 5)
        width = 0.075 + 0.03 * rng.random()

        def blade(u: float, v: float, angle=angle, reach=reach, high=high, width=width) -> Point:
            out = reach * v**1.6
            up = 0.5 + high * (v - 0.22 * v**3)
            wide = width * math.sin(math.pi * (0.06 + 0.94 * v) ** 1.3) * (u - 0.5) * 2
            fold = 0.35 * abs(wide)
            return (
                out * math.cos(angle) - wide * math.sin(angle),
                out * math.sin(angle) + wide * math.cos(angle),
                up + fold,
            )

        m.sheet(blade, "third", Finish(0.4, 0.4), cells=(6, 20))

    def label(u: float, v: float) -> Point:
        angle = math.radians((u - 0.5) * 74)
        height = 0.40 - 0.26 * v
        radius = 0.25 + 0.09 * (height - 0.03) / 0.43
        return radius * 1.006 * math.sin(angle), -radius * 1.006 * math.cos(angle), height

    m.named(label, (0.4, 0.26))


def fabric(m: Model) -> None:
    radius = 0.2

    def roll(x: float, z: float, part: str, tip: float) -> None:
        rings, turns = [], 128
        for y in (-0.56, 0.56):
            rings.append(
                [
                    (y + tip, x + radius * math.cos(w), z + radius * math.sin(w))
                    for w in (2 * math.pi * k / turns for k in range(turns))
                ]
            )
        m.loft(rings, part, replace(CLOTH, bump_scale=1.3), caps=False)
        for end in (-0.56, 0.56):
            spiral = [
                (
                    end + tip,
                    x + (0.035 + (radius - 0.035) * t) * math.cos(t * 2 * math.pi * 9),
                    z + (0.035 + (radius - 0.035) * t) * math.sin(t * 2 * math.pi * 9),
                )
                for t in (k / 260 for k in range(261))
            ]
            m.tube(spiral, 0.0088, part, SOFT)
        m.lathe([(0.034, 0), (0.036, 1.13), (0.028, 1.13), (0.028, 0)], "third", KRAFT)
        core = m.things[-1]
        core.rotation_euler = (0, math.pi / 2, 0)
        core.location = (-0.565 + tip, x, z)

    roll(-0.01, 0.2, "main", 0.0)
    roll(0.4, 0.2, "second", 0.03)
    roll(0.195, 0.545, "main", -0.02)

    def flap(u: float, v: float) -> Point:
        y = -0.58 + 1.12 * u
        if v < 0.35:
            w = math.radians(100 + 80 * v / 0.35)
            return y + 0.02, -0.01 + 0.206 * math.cos(w), 0.2 + 0.206 * math.sin(w)
        t = (v - 0.35) / 0.65
        return (
            y + 0.02,
            -0.216 - 0.02 * math.sin(3 * t) - 0.20 * max(0, t - 0.42) / 0.58,
            max(0.006, 0.2 - 0.34 * t + 0.006 * math.sin(14 * u)),
        )

    m.sheet(flap, "main", replace(CLOTH, bump_scale=1.3), cells=(60, 50), thick=0.008)

    def label(u: float, v: float) -> Point:
        w = math.radians(118 + 82 * v)
        return -0.02 + (u - 0.5) * 0.5, 0.195 + 0.2035 * math.cos(w), 0.545 + 0.2035 * math.sin(w)

    m.named(label, (0.5, 0.286), down=(-1.45, 1.63), cells=(16, 64))


def board(m: Model) -> None:
    lean = -0.11
    grain = Finish(0.7, 0.25, bump="fibre", bump_depth=0.5, bump_scale=0.9, mottle=0.25)
    m.box((0.86, 0.06, 1.0), "main", grain, at=(0.07, 0.1, 0), bevel=0.005, turn=(lean, 0, 0))
    m.box((0.86, 0.06, 1.0), "main", grain, at=(0.0, 0.0, 0), bevel=0.005, turn=(lean, 0, 0))
    m.named(flat(0.36, 0.24, (-0.2, -0.0175, 0.21), lean=math.degrees(-lean)), (0.36, 0.24), thick=0.001)


def block(m: Model) -> None:
    m.box((1.0, 0.44, 0.5), "main", replace(STONE, bump_depth=0.9, mottle=0.3), bevel=0.018)
    m.named(flat(0.42, 0.26, (0.0, -0.2225, 0.25)), (0.42, 0.26), thick=0.001)


def rope(m: Model) -> None:
    thick, turns = 0.052, 5
    line = []
    for k in range(turns * 48 + 1):
        w = 2 * math.pi * k / 48 - math.pi / 2
        z = thick + 2.02 * thick * k / 48
        r = 0.44 + 0.012 * math.sin(k * 0.7) * math.sin(w * 2)
        line.append((r * math.cos(w), r * math.sin(w), z))
    for strand in range(3):
        # Three strands laid about one another, as a ropewalk does.
        cord = []
        total = len(line) * 6
        for k in range(total - 6):
            t = k / 6
            i, part = int(t), t - int(t)
            a, b = line[i], line[i + 1]
            x, y, z = (a[q] + (b[q] - a[q]) * part for q in range(3))
            r = math.hypot(x, y)
            w = t * 1.35 + strand * 2 * math.pi / 3
            out = 0.026 * math.cos(w)
            cord.append((x * (1 + out / r), y * (1 + out / r), z + 0.026 * math.sin(w)))
        m.tube(cord, 0.031, "main", replace(ROPE, bump="fibre", bump_depth=0.6, bump_scale=1.4, mottle=0.3))
    top = 2 * thick * (turns + 1.1)
    m.named(around(0.512, 0.1, 0.46, 26), (0.464, 0.36), across=(0, 1), down=(-0.35, 1.25), thick=0.004)
    m.sheet(
        lambda u, v: (
            math.sin(math.radians((u - 0.5) * 52)) * (0.512 - 0.12 * v),
            -math.cos(math.radians((u - 0.5) * 52)) * (0.512 - 0.12 * v),
            top - 0.005,
        ),
        "label",
        PAPER,
        cells=(24, 4),
        thick=0.003,
    )


def spool(m: Model) -> None:
    from mathutils import Matrix

    for y in (-0.2, 0.2):
        m.lathe(
            [(0.14, -0.014), (0.5, -0.014), (0.5, 0.014), (0.14, 0.014), (0.14, -0.014)],
            "second",
            PLASTIC,
            round_by=0.008,
            at=(0, 0, y),
        )
    m.lathe([(0.14, -0.2), (0.15, -0.2), (0.15, 0.2), (0.14, 0.2)], "second", PLASTIC)
    rows = 26
    profile = [(0.16, -0.184)]
    for row in range(rows):
        z = -0.184 + 0.368 * row / rows
        for step in range(6):
            profile.append((0.425 + 0.009 * math.sin(math.pi * step / 6), z + 0.368 / rows * step / 6))
    profile.append((0.16, 0.184))
    m.lathe(profile, "main", Finish(0.3, 0.5), turn=160)
    m.place(Matrix.Translation((0, 0, 0.5)) @ Matrix.Rotation(math.pi / 2, 4, "X"))

    def label(u: float, v: float) -> Point:
        angle = math.radians((u - 0.5) * 150)
        radius = 0.465 - 0.26 * v
        return radius * math.sin(angle) * 0.95, 0, radius * math.cos(angle)

    m.named(flat(0.42, 0.2, (0, -0.2165, 0.235)), (0.42, 0.2), thick=0.001)


def tote(m: Model) -> None:
    def side(sign: float):
        def surface(u: float, v: float) -> Point:
            x, up = (u - 0.5) * 2, 1 - v
            swell = (
                0.12
                * (1 - abs(x) ** 2.4) ** 0.8
                * (0.35 + 0.65 * (1 - up) ** 0.7)
                * (1 - max(0, 0.06 - up) * 9)
            )
            crease = 0.012 * math.sin(5 * x + 7 * up) * math.sin(math.pi * up) + 0.008 * math.sin(
                11 * x - 4 * up
            ) * (1 - up)
            half = 0.42 + 0.012 * math.sin(5 * up)
            return x * half, sign * (swell + 0.012) + crease, up * 0.84

        return surface

    for sign in (-1, 1):
        m.sheet(side(sign), "main", CLOTH, cells=(64, 72), thick=0.008)
        m.sheet(
            lambda u, v, s=side(sign), g=sign: (lambda p: (p[0] * 1.002, p[1] + g * 0.006, p[2]))(
                s(u, v * 0.06)
            ),
            "main",
            CLOTH,
            cells=(64, 4),
            thick=0.004,
        )
        y = sign * 0.04
        m.tube(
            [
                (-0.2, y * 1.1, 0.68),
                (-0.2, y * 1.1, 0.84),
                (-0.19, y * 0.9, 1.02),
                (-0.13, y, 1.22),
                (0, y * 1.3, 1.29),
                (0.13, y, 1.22),
                (0.19, y * 0.9, 1.02),
                (0.2, y * 1.1, 0.84),
                (0.2, y * 1.1, 0.68),
            ],
            0.006,
            "second",
            CLOTH,
            flat=4.4,
        )
    front = side(-1)

    def label(u: float, v: float) -> Point:
        x, y, z = front(0.2 + 0.6 * u, 0.3 + 0.42 * v)
        return x, y - 0.006, z

    m.named(label, (0.5, 0.353), CLOTH, cells=(64, 64))


def cushion(m: Model) -> None:
    from mathutils import Matrix

    side = 0.5
    outline = curve(
        [
            (-side, -side),
            (-side, -side),
            (0, -side * 1.06),
            (side, -side),
            (side, -side),
            (side * 1.06, 0),
            (side, side),
            (side, side),
            (0, side * 1.06),
            (-side, side),
            (-side, side),
            (-side * 1.06, 0),
        ],
        10,
    )
    where = sewn(
        m,
        outline,
        "main",
        replace(CLOTH, bump_scale=1.2),
        cell=0.028,
        pressure=9,
        shrink=0.02,
        frames=40,
        stiff=15,
    )
    m.named(patch(where, (-0.13, -0.08, 0.13, 0.08), 0.01), (0.26, 0.16), CLOTH, cells=(24, 16), thick=0.004)
    m.place(Matrix.Rotation(math.radians(-10), 4, "X"))


def tee(m: Model) -> None:
    _top(m, sleeve=0.42, cut=0.30)


def shirt(m: Model) -> None:
    _top(m, sleeve=0.47, cut=-0.22, hood=True)


def _top(m: Model, *, sleeve: float, cut: float, hood: bool = False) -> None:
    """A garment for the upper body as on an invisible bust; its sleeves end at height `cut`."""
    half = [
        (0.0, 0.455), (0.07, 0.468), (0.125, 0.52), (0.135, 0.535), (0.135, 0.535), (0.27, 0.49), (0.34, 0.44),
    ]  # fmt: skip
    if cut > 0:
        half += [
            (sleeve + 0.07, 0.22),
            (sleeve + 0.07, 0.22),
            (sleeve - 0.07, 0.13),
            (sleeve - 0.07, 0.13),
            (0.32, 0.24),
            (0.32, 0.24),
        ]
    else:
        half += [
            (0.43, 0.25),
            (sleeve + 0.09, cut),
            (sleeve + 0.09, cut),
            (sleeve - 0.04, cut - 0.02),
            (sleeve - 0.04, cut - 0.02),
            (0.375, 0.1),
            (0.325, 0.235),
            (0.325, 0.235),
        ]
    half += [(0.315, 0.0), (0.32, -0.30), (0.32, -0.30), (0.0, -0.31)]
    outline = curve(half + [(-x, z) for x, z in reversed(half[1:-1])], 8)

    def hem(x: float, z: float) -> bool:
        neck = abs(x) < 0.13 and z > 0.44
        foot = abs(x) < 0.315 and z < -0.28
        if cut > 0:
            cuff = sleeve - 0.06 < abs(x) < sleeve + 0.06 and z < 0.217 - (sleeve + 0.065 - abs(x)) * 0.5
        else:
            cuff = sleeve - 0.03 < abs(x) < sleeve + 0.08 and z < cut + 0.004
        return neck or foot or cuff

    where = sewn(
        m,
        outline,
        "main",
        replace(SOFT, bump="weave", bump_scale=2.0, bump_depth=0.12, mottle=0.04),
        open_edges=hem,
        cell=0.022,
        pressure=1.4,
        shrink=-0.03,
        frames=26,
        stiff=9,
        gravity=0.05,
    )
    _trims(m, where, hood, cut)
    m.named(patch(where, (-0.15, 0.05, 0.15, 0.25), 0.007), (0.3, 0.2), SOFT, cells=(40, 24))


def _trims(m: Model, where, hood: bool, cut: float) -> None:
    """What is knitted onto a top: its neck band, and a hoodie's hood and pocket."""
    neck = [where(x, 0.455 + 0.9 * x * x * (1 + 14 * x * x)) for x in (k * 0.012 for k in range(-10, 11))]
    m.tube([(x, y - 0.004, z) for x, y, z in neck], 0.011, "main", KNIT)
    if hood:
        pocket = [
            (-0.17, -0.33),
            (0.17, -0.33),
            (0.17, -0.24),
            (0.11, -0.13),
            (-0.11, -0.13),
            (-0.17, -0.24),
            (-0.17, -0.33),
        ]
        line = []
        for (x0, z0), (x1, z1) in zip(pocket, pocket[1:], strict=False):
            line += [where(x0 + (x1 - x0) * k / 8, z0 + (z1 - z0) * k / 8) for k in range(8)]
        m.tube([(x, y - 0.003, z) for x, y, z in line], 0.0055, "main", KNIT)
        for side in (-1, 1):
            cord = [where(side * (0.05 - 0.012 * k / 6), 0.44 - 0.05 * k) for k in range(7)]
            m.tube([(x, y - 0.014, z) for x, y, z in cord], 0.0075, "second", ROPE)


def sock(m: Model) -> None:
    """A pair of socks, one behind the other, in a band of paper."""
    outline = curve(
        [
            (-0.13, 0.5),
            (-0.13, 0.5),
            (0.1, 0.5),
            (0.1, 0.5),
            (0.095, 0.0),
            (0.16, -0.13),
            (0.36, -0.2),
            (0.43, -0.3),
            (0.36, -0.38),
            (0.1, -0.38),
            (-0.06, -0.36),
            (-0.15, -0.24),
            (-0.125, 0.0),
        ],
        8,
    )
    knit = replace(KNIT, bump_scale=2.4, bump_depth=0.35)
    for away in (0.11, 0.0):
        where = sewn(
            m,
            outline,
            "main",
            knit,
            open_edges=lambda x, z: z > 0.49,
            cell=0.022,
            pressure=4,
            shrink=-0.02,
            frames=26,
            stiff=10,
        )
        thing = m.things[-1]
        thing.location = (away * 0.9, away, 0)
        for z in (0.42, 0.45):
            m.tube(
                [(lambda p: (p[0], p[1] - 0.003, p[2]))(where(-0.128 + k * 0.0112, z)) for k in range(21)],
                0.0085,
                "second",
                KNIT,
            )
            m.things[-1].location = (away * 0.9, away, 0)
    m.named(
        patch(where, (-0.122, 0.08, 0.094, 0.3), 0.008),
        (0.216, 0.22),
        PAPER,
        cells=(20, 20),
        across=(-0.05, 1.06),
        thick=0.004,
    )


def hat(m: Model) -> None:
    ribs = replace(KNIT, bump_scale=1.5, bump_depth=0.6)
    m.lathe(
        [(0.37, 0.06), (0.385, 0.3), (0.37, 0.5), (0.27, 0.72), (0.1, 0.82), (0, 0.83)],
        "main",
        ribs,
        round_by=0.12,
        ribs=40,
        turn=320,
    )
    m.lathe(
        [(0.36, 0.0), (0.4, 0.0), (0.415, 0.12), (0.41, 0.27), (0.385, 0.29), (0.37, 0.27)],
        "main",
        ribs,
        round_by=0.03,
        ribs=40,
        turn=320,
    )
    m.named(around(0.422, 0.07, 0.22, 22), (0.324, 0.15), CLOTH, thick=0.004)


def pile(m: Model) -> None:
    """Folded cloths in a pile, the folds to the front, held by a band."""
    rng = random.Random(2)
    weave = replace(CLOTH, bump="waffle", bump_scale=3.0, bump_depth=0.5, mottle=0.05)
    z = 0.0
    for row, part in enumerate(("main", "second", "main")):
        thick, width = 0.155, 1.0 - 0.02 * row
        layers = 3
        for layer in range(layers):
            t = thick / layers
            front = -0.36 + 0.012 * rng.uniform(-1, 1)
            ring = fillet(
                [(front, 0.0), (front, t * 0.97), (0.36, t * 0.97), (0.36, 0.0), (front, 0.0)], t * 0.45, 6
            )
            rings = []
            for k in range(25):
                x = (k / 24 - 0.5) * width
                sag = 0.006 * math.sin(9 * x + row) + 0.004 * math.sin(23 * x + layer)
                rings.append([(x, y, z + q + sag * (q / t)) for y, q in ring])
            m.loft(rings, part, weave)
            z += t
    band = fillet([(-0.378, 0.005), (-0.378, z + 0.006), (0.378, z + 0.006), (0.378, 0.005)], 0.03)
    points = [(x, y, q) for y, q in band for x in (-0.2, 0.2)]
    m.mesh(points, [(2 * k, 2 * k + 1, 2 * k + 3, 2 * k + 2) for k in range(len(band) - 1)], "label", PAPER)
    m.named(flat(0.38, 0.36, (0, -0.380, z / 2)), (0.38, 0.36))


def backpack(m: Model) -> None:
    def body(
        width: float, depth: float, low: float, high: float, middle: float, part: str, finish: Finish
    ) -> None:
        rings = []
        for k in range(25):
            t = k / 24
            swell = max(0.05, math.sin(math.pi * (0.06 + 0.88 * t))) ** 0.34
            w, d = width / 2 * swell * (1 - 0.10 * t), depth / 2 * swell
            rings.append(
                [
                    (
                        w * _square(math.cos(q), 0.55),
                        middle + d * _square(math.sin(q), 0.6),
                        low + (high - low) * t,
                    )
                    for q in (2 * math.pi * j / 64 for j in range(64))
                ]
            )
        m.loft(rings, part, finish)

    canvas = replace(CLOTH, bump_scale=1.5, bump_depth=0.25)
    body(0.72, 0.42, 0.0, 0.98, 0.0, "main", canvas)
    body(0.52, 0.16, 0.05, 0.46, -0.2, "main", canvas)
    m.tube(
        [(-0.25, -0.285, 0.40), (-0.1, -0.29, 0.405), (0.1, -0.29, 0.405), (0.25, -0.285, 0.40)],
        0.012,
        "second",
        RUBBER,
    )
    m.tube(
        [
            (-0.34, -0.09, 0.66),
            (-0.26, -0.19, 0.76),
            (0, -0.225, 0.79),
            (0.26, -0.19, 0.76),
            (0.34, -0.09, 0.66),
        ],
        0.011,
        "second",
        RUBBER,
    )
    m.tube(
        [(-0.1, 0.02, 0.94), (-0.09, 0.0, 1.05), (0, -0.005, 1.09), (0.09, 0.0, 1.05), (0.1, 0.02, 0.94)],
        0.016,
        "second",
        CLOTH,
    )
    for side in (-1, 1):
        m.tube(
            [
                (side * 0.2, 0.2, 0.9),
                (side * 0.3, 0.3, 0.8),
                (side * 0.36, 0.32, 0.5),
                (side * 0.34, 0.2, 0.08),
            ],
            0.012,
            "second",
            CLOTH,
            flat=3.6,
        )
    m.named(flat(0.28, 0.17, (0, -0.288, 0.22)), (0.28, 0.17), CLOTH, thick=0.006)


def _square(value: float, power: float) -> float:
    return math.copysign(abs(value) ** power, value)


def _stand_card(m: Model, x: float, y: float, *, width: float = 0.36, height: float = 0.22) -> None:
    """A folded card beside a thing that carries no print."""
    m.box((width, 0.006, height), "label", PAPER, at=(x, y + 0.004, 0), bevel=0.001, turn=(-0.2, 0, 0))
    m.box((width, 0.006, height), "label", PAPER, at=(x, y + 0.095, 0), bevel=0.001, turn=(0.2, 0, 0))
    m.named(
        flat(width * 0.97, height * 0.95, (x, y + 0.021, height * 0.49), lean=math.degrees(0.2)),
        (width, height),
    )


def lamp(m: Model) -> None:
    m.lathe(
        [(0, 0), (0.2, 0), (0.21, 0.025), (0.2, 0.05), (0.04, 0.07), (0, 0.07)],
        "second",
        CERAMIC,
        round_by=0.02,
    )
    m.lathe([(0, 0.05), (0.022, 0.05), (0.022, 0.62), (0, 0.62)], "second", METAL)
    m.lathe(
        [(0.34, 0.52), (0.345, 0.52), (0.2, 0.98), (0.195, 0.98), (0.34, 0.52)],
        "main",
        replace(CLOTH, bump_scale=1.4, bump_depth=0.15, mottle=0.04),
    )
    m.lathe([(0, 0.6), (0.06, 0.62), (0.075, 0.7), (0.05, 0.78), (0, 0.8)], "third", WAX, round_by=0.03)
    _stand_card(m, 0.36, -0.18, width=0.34, height=0.2)


def sofa(m: Model) -> None:
    cloth = replace(CLOTH, bump_scale=2.2, bump_depth=0.25)
    m.box((1.5, 0.7, 0.2), "main", cloth, at=(0, 0, 0.14), bevel=0.05)
    for x in (-0.345, 0.345):
        m.box((0.68, 0.62, 0.17), "main", cloth, at=(x, -0.06, 0.33), bevel=0.07)
        m.box((0.68, 0.2, 0.4), "main", cloth, at=(x, 0.25, 0.42), bevel=0.085, turn=(-0.16, 0, 0))
    for x in (-0.82, 0.82):
        m.box((0.22, 0.76, 0.46), "main", cloth, at=(x, 0, 0.12), bevel=0.085)
        for y in (-0.26, 0.26):
            m.lathe([(0, 0), (0.022, 0), (0.036, 0.14), (0, 0.14)], "second", WOOD, at=(x * 0.95, y, 0))
    m.box((1.7, 0.2, 0.56), "main", cloth, at=(0, 0.38, 0.14), bevel=0.08, turn=(-0.1, 0, 0))
    _stand_card(m, 0.62, -0.72, width=0.46, height=0.26)


def table(m: Model) -> None:
    m.box((1.2, 0.62, 0.05), "main", WOOD, at=(0, 0, 0.72), bevel=0.012)
    m.box((1.06, 0.5, 0.11), "main", WOOD, at=(0, 0, 0.61), bevel=0.006)
    m.lathe([(0, 0), (0.024, 0), (0.026, 0.02), (0, 0.03)], "second", METAL, at=(0, 0, 0))
    m.things[-1].rotation_euler, m.things[-1].location = (math.pi / 2, 0, 0), (0, -0.25, 0.665)
    for x in (-0.5, 0.5):
        for y in (-0.22, 0.22):
            m.lathe([(0, 0), (0.024, 0), (0.038, 0.62), (0, 0.62)], "main", WOOD, at=(x, y, 0))
    _stand_card(m, 0.0, -0.5, width=0.42, height=0.24)


def shoe(m: Model) -> None:
    from mathutils import Matrix

    def pair(dx: float, dy: float, turn: float) -> None:
        start = len(m.things)
        # Cross-sections from heel to toe: position, half width, height of the instep, how far the opening cuts in.
        stations = [
            (-0.50, 0.06, 0.30),
            (-0.47, 0.125, 0.40),
            (-0.38, 0.15, 0.44),
            (-0.25, 0.15, 0.43),
            (-0.1, 0.145, 0.40),
            (0.05, 0.152, 0.33),
            (0.2, 0.172, 0.25),
            (0.33, 0.175, 0.20),
            (0.44, 0.145, 0.165),
            (0.51, 0.09, 0.13),
            (0.535, 0.03, 0.10),
        ]
        rings = []
        for x, half, high in stations:
            rings.append(
                [
                    (
                        x,
                        half * _square(math.cos(q), 0.8) * (1 - 0.30 * max(0, math.sin(q)) * (high > 0.3)),
                        0.075
                        + (high - 0.075) * (max(0.0, math.sin(q)) ** 0.75)
                        - 0.03 * max(0.0, -math.sin(q)),
                    )
                    for q in (2 * math.pi * j / 40 for j in range(40))
                ]
            )
        m.loft(rings, "main", replace(CLOTH, bump_scale=2.4, bump_depth=0.12, mottle=0.04), subdivide=2)
        sole = []
        for z, grow in ((0.0, 0.97), (0.012, 1.03), (0.06, 1.05), (0.085, 1.02), (0.09, 0.98)):
            edge = curve(
                [
                    (-0.52, 0.0),
                    (-0.48, 0.11),
                    (-0.3, 0.145),
                    (0.0, 0.14),
                    (0.25, 0.178),
                    (0.42, 0.155),
                    (0.53, 0.07),
                    (0.55, 0.0),
                    (0.53, -0.07),
                    (0.42, -0.155),
                    (0.25, -0.178),
                    (0.0, -0.14),
                    (-0.3, -0.145),
                    (-0.48, -0.11),
                ],
                6,
            )
            sole.append([(x * (1 + (grow - 1) * 0.5), y * grow, z) for x, y in edge])
        m.loft(sole, "third", Finish(0.5, 0.4))
        opening = [
            (-0.28 + 0.15 * math.cos(q), 0.088 * math.sin(q), 0.418 - 0.012 * math.cos(q))
            for q in (2 * math.pi * j / 24 for j in range(24))
        ]
        m.tube(opening, 0.017, "second", SOFT, closed=True)
        inner = [
            (-0.28 + 0.145 * math.cos(q), 0.084 * math.sin(q), 0.421 - 0.012 * math.cos(q))
            for q in (2 * math.pi * j / 24 for j in range(24))
        ]
        m.mesh(inner, [tuple(range(24))], "second", SOFT)
        for k in range(5):
            x, z = -0.085 + 0.062 * k, 0.415 - 0.034 * k - 0.004 * k
            m.tube(
                [
                    (x, -0.075, z - 0.035),
                    (x + 0.004, -0.03, z + 0.008),
                    (x + 0.004, 0.03, z + 0.008),
                    (x, 0.075, z - 0.035),
                ],
                0.012,
                "third",
                CLOTH,
            )
        move = Matrix.Translation((dx, dy, 0)) @ Matrix.Rotation(math.radians(turn), 4, "Z")
        bpy.context.view_layer.update()
        for thing in m.things[start:]:
            thing.matrix_world = move @ thing.matrix_world

    pair(0.0, 0.2, 4)
    pair(-0.08, -0.2, 0)
    _stand_card(m, 0.36, -0.56, width=0.34, height=0.2)


def sunglasses(m: Model) -> None:
    frame = Finish(0.15, 0.6)
    for side in (-1, 1):
        rim = [
            (
                side * (0.27 + 0.225 * _square(math.cos(q), 0.82)),
                0.0 + 0.02 * math.cos(q) * side,
                0.2 + 0.16 * _square(math.sin(q), 0.85) - 0.015 * math.cos(q) * side,
            )
            for q in (2 * math.pi * j / 40 for j in range(40))
        ]
        m.tube(rim, 0.024, "main", frame, closed=True)
        m.mesh(
            [(x, y + 0.004, z) for x, y, z in rim] + [(side * 0.27, -0.02, 0.2)],
            [(k, (k + 1) % 40, 40) for k in range(40)],
            "third",
            Finish(0.06, 0.9),
        )
        m.tube(
            [
                (side * 0.495, 0.0, 0.28),
                (side * 0.51, 0.2, 0.275),
                (side * 0.5, 0.5, 0.255),
                (side * 0.485, 0.66, 0.2),
                (side * 0.475, 0.76, 0.09),
            ],
            0.02,
            "main",
            frame,
        )
    m.tube(
        [(-0.06, 0.0, 0.24), (-0.03, -0.012, 0.275), (0.03, -0.012, 0.275), (0.06, 0.0, 0.24)],
        0.021,
        "main",
        frame,
    )
    _stand_card(m, 0.0, -0.62, width=0.4, height=0.22)


def can(m: Model) -> None:
    paint = Finish(0.3, 0.5)
    m.lathe(
        [
            (0, 0),
            (0.3, 0),
            (0.31, 0.015),
            (0.27, 0.55),
            (0.262, 0.56),
            (0.255, 0.55),
            (0.29, 0.02),
            (0, 0.02),
        ],
        "main",
        paint,
        round_by=0.02,
    )
    m.tube([(-0.26, 0, 0.12), (-0.42, 0, 0.2), (-0.56, 0, 0.5), (-0.66, 0, 0.62)], 0.035, "main", paint)
    m.lathe([(0, 0), (0.035, 0), (0.1, 0.13), (0.095, 0.145), (0, 0.165)], "second", METAL)
    m.things[-1].rotation_euler, m.things[-1].location = (0, math.radians(-48), 0), (-0.64, 0, 0.6)
    m.tube(
        [(0.27, 0, 0.5), (0.44, 0, 0.52), (0.5, 0, 0.34), (0.42, 0, 0.16), (0.29, 0, 0.12)],
        0.026,
        "main",
        paint,
    )
    m.tube(
        [(-0.2, 0, 0.5), (-0.16, 0, 0.76), (0.06, 0, 0.83), (0.22, 0, 0.72), (0.24, 0, 0.5)],
        0.024,
        "main",
        paint,
    )

    def label(u: float, v: float) -> Point:
        angle = math.radians((u - 0.5) * 84)
        height = 0.43 - 0.3 * v
        radius = (0.31 - 0.04 * (height - 0.015) / 0.535) * 1.006
        return radius * math.sin(angle), -radius * math.cos(angle), height

    m.named(label, (0.42, 0.3))


def brush(m: Model) -> None:
    """A brush with a wooden back, bristles to the front, leaning on its card box."""
    rng = random.Random(8)
    edge = curve(
        [
            (-0.13, 0.0),
            (-0.165, 0.14),
            (-0.15, 0.3),
            (-0.06, 0.42),
            (-0.042, 0.6),
            (-0.052, 0.86),
            (0.0, 0.93),
            (0.052, 0.86),
            (0.042, 0.6),
            (0.06, 0.42),
            (0.15, 0.3),
            (0.165, 0.14),
            (0.13, 0.0),
            (0.0, -0.03),
        ],
        8,
    )
    slices = []
    for y, grow in ((-0.03, 0.93), (-0.024, 0.985), (0.0, 1.0), (0.024, 0.985), (0.03, 0.93)):
        slices.append([(x * grow, y, 0.06 + z * (1 + (grow - 1) * 0.3)) for x, z in edge])
    m.loft(slices, "main", replace(WOOD, rough=0.4))
    points, faces = [], []
    for row in range(15):
        for column in range(11):
            x, z = (column - 5) * 0.024, 0.09 + row * 0.022
            if (x / 0.135) ** 2 + ((z - 0.25) / 0.185) ** 2 > 1:
                continue
            for _ in range(16):
                px, pz = x + rng.gauss(0, 0.006), z + rng.gauss(0, 0.006)
                tx, tz = px + rng.gauss(0, 0.012), pz + rng.gauss(0, 0.012)
                k = len(points)
                points += [
                    (px - 0.0016, -0.028, pz),
                    (px + 0.0016, -0.028, pz),
                    (tx, -0.175 - rng.random() * 0.012, tz),
                ]
                faces.append((k, k + 1, k + 2))
    m.mesh(points, faces, "second", SOFT, smooth=False)
    m.tube(
        [(0.0, 0.0, 0.94), (0.03, 0.0, 1.02), (0.0, 0.0, 1.07), (-0.03, 0.0, 1.02), (0.0, 0.0, 0.94)],
        0.008,
        "third",
        ROPE,
    )
    m.place(_lean(-8))
    _stand_card(m, 0.36, -0.2, width=0.34, height=0.2)


def _lean(degrees: float):
    from mathutils import Matrix

    return Matrix.Rotation(math.radians(degrees), 4, "X")


def bone(m: Model) -> None:
    chew = Finish(0.55, 0.3, bump="stone", bump_depth=0.12, mottle=0.12)
    edge = curve(
        [
            (-0.34, 0.07),
            (-0.4, 0.15),
            (-0.5, 0.16),
            (-0.55, 0.08),
            (-0.51, 0.0),
            (-0.55, -0.08),
            (-0.5, -0.16),
            (-0.4, -0.15),
            (-0.34, -0.07),
            (0.0, -0.06),
            (0.34, -0.07),
            (0.4, -0.15),
            (0.5, -0.16),
            (0.55, -0.08),
            (0.51, 0.0),
            (0.55, 0.08),
            (0.5, 0.16),
            (0.4, 0.15),
            (0.34, 0.07),
            (0.0, 0.06),
        ],
        10,
    )
    slices = []
    for k in range(13):
        t = -1 + 2 * k / 12
        grow = max(0.0, 1 - t * t) ** 0.5
        inset = 0.055 * (1 - grow)
        slices.append(
            [
                (
                    x - math.copysign(min(abs(x), inset), x) * 0.8,
                    0.085 * t,
                    (z - math.copysign(min(abs(z) * 0.8, inset), z)) + 0.17,
                )
                for x, z in edge
            ]
        )
    m.loft(slices, "main", chew)
    _stand_card(m, 0.22, -0.52, width=0.36, height=0.2)


def phone(m: Model) -> None:
    """The back of a case, its corners round, with the opening for the lenses."""
    m.box((0.5, 0.06, 1.0), "main", Finish(0.5, 0.4, bump="stone", bump_depth=0.03, mottle=0.06), bevel=0.028)
    m.box((0.2, 0.066, 0.22), "third", Finish(0.15, 0.6), at=(-0.12, 0.0, 0.73), bevel=0.03)
    for x, z in ((-0.165, 0.895), (-0.165, 0.79), (-0.075, 0.842)):
        m.lathe(
            [(0, 0), (0.036, 0), (0.036, 0.02), (0.026, 0.024), (0, 0.018)],
            "second",
            Finish(0.08, 0.8),
            round_by=0.004,
        )
        m.things[-1].rotation_euler, m.things[-1].location = (math.pi / 2, 0, 0), (x, -0.028, z)
    m.named(flat(0.34, 0.2, (0, -0.0305, 0.3)), (0.34, 0.2), Finish(0.5, 0.4))
    m.place(_lean(-9))


@dataclass(frozen=True)
class Kind:
    """How a product is made and turned. `print`: the name stands on the thing itself, without paper."""

    build: Callable[[Model], None]
    turn: tuple[float, float] = (0, 0)  # degrees about the upright axis: level, high
    third: str = "#2b2622"
    print: bool = False
    glass: bool = False
    largest: float = 1.0


KINDS: dict[str, Kind] = {
    "dropper": Kind(dropper, glass=True),
    "flask": Kind(flask, glass=True),
    "pump": Kind(pump),
    "jar": Kind(jar),
    "tin": Kind(tin),
    "pouch": Kind(pouch, (0, 0)),
    "tube": Kind(tube),
    "box": Kind(box, (-20, -32)),
    "soap": Kind(soap, (-12, -20)),
    "candle": Kind(candle, third="#f3ead9"),
    "mug": Kind(mug, (-18, -24), print=True),
    "bowl": Kind(bowl, print=True),
    "notebook": Kind(notebook, (-14, -24), third="#f1eadc"),
    "card": Kind(card, (-10, -16), third="#efe6d4"),
    "pot": Kind(pot, third="#5d7a4a"),
    "fabric": Kind(fabric, (24, 26), third="#c8a878"),
    "board": Kind(board, (-16, -28)),
    "block": Kind(block, (-20, -30)),
    "rope": Kind(rope),
    "spool": Kind(spool, (-22, -28)),
    "tote": Kind(tote, (8, -10), print=True),
    "cushion": Kind(cushion, (-14, -20)),
    "tee": Kind(tee, (-8, -12), print=True),
    "shirt": Kind(shirt, (-8, -12), print=True),
    "sock": Kind(sock, (0, -8)),
    "hat": Kind(hat),
    "pile": Kind(pile, (-16, -24)),
    "backpack": Kind(backpack, (-16, -22)),
    "lamp": Kind(lamp, third="#fff3d6"),
    "sofa": Kind(sofa, (-14, -20)),
    "table": Kind(table, (-16, -22)),
    "shoe": Kind(shoe, (-16, -24), third="#f2efe8"),
    "sunglasses": Kind(sunglasses, (-16, -22), third="#2a2d30"),
    "can": Kind(can),
    "brush": Kind(brush, (-10, -14), third="#c7ab78"),
    "bone": Kind(bone, (-12, -18)),
    "phone": Kind(phone, (-18, -24), third="#1f2124", print=True),
}
