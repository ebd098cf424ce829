"""The sets a product stands on, all grey: the studio gives wall and floor their colours at request time.

`main` marks the floor or table, `second` the wall, `label` a podium or slab, `third` what keeps its grey.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from scene import CLOTH, STONE, WOOD, Finish, Model, Point

PLAIN = Finish(0.9, 0.1)
PLASTER = Finish(0.95, 0.05, bump="stone", bump_scale=0.35, bump_depth=0.35, mottle=0.10)


def _plane(m: Model, part: str, finish: Finish, y: float, *, low: float = -6, z: float = 0.0) -> None:
    m.mesh([(-30, -14, z), (30, -14, z), (30, y, z), (-30, y, z)], [(0, 1, 2, 3)], part, finish, smooth=False)


def _wall(m: Model, part: str, finish: Finish, y: float) -> None:
    m.mesh([(-30, y, -6), (30, y, -6), (30, y, 20), (-30, y, 20)], [(0, 1, 2, 3)], part, finish, smooth=False)


def sweep(m: Model) -> None:
    """Seamless paper: the floor runs up into the wall."""
    line: list[tuple[float, float]] = [(-14, 0), (1.0, 0)]
    line += [
        (1.0 + 2.2 * math.sin(w), 2.2 - 2.2 * math.cos(w))
        for w in (math.radians(3 * k) for k in range(1, 31))
    ]
    line.append((3.2, 20))
    points = [(x, y, z) for y, z in line for x in (-30, 30)]
    faces = [(2 * k, 2 * k + 1, 2 * k + 3, 2 * k + 2) for k in range(len(line) - 1)]
    m.mesh(points, faces, "main", PLAIN)


def corner(m: Model) -> None:
    """A plaster wall behind a plain table."""
    _plane(m, "main", PLAIN, 1.5)
    _wall(m, "second", PLASTER, 1.5)


def window(m: Model) -> None:
    """A plaster wall on which the sun draws a window."""
    corner(m)
    gobo(m, [(x * 0.74, z * 1.36) for x in range(-5, 6) for z in (-1, 0, 1)], (0.46, 1.2))


def leaves(m: Model) -> None:
    """The same wall behind a tree: a shade of leaves."""
    corner(m)
    import random

    rng = random.Random(11)
    towards = _sun()
    side = _cross((0, 0, 1), towards)
    up = _cross(towards, side)
    for _ in range(7):
        start = (rng.uniform(-2.6, 1.0), rng.uniform(0.15, 1.5))
        way = rng.uniform(-0.2, 0.5)
        for leaf in range(15):
            along = leaf * 0.14
            for hand in (-1, 1):
                cx = start[0] + along * math.cos(way)
                cy = start[1] + along * math.sin(way) - 0.05 * leaf * leaf * 0.11
                turn = way + hand * 1.0
                points = []
                for k in range(12):
                    w = 2 * math.pi * k / 12
                    a, b = 0.16 * math.cos(w) + 0.16, 0.042 * math.sin(w)
                    x, y = (
                        cx + a * math.cos(turn) - b * math.sin(turn),
                        cy + a * math.sin(turn) + b * math.cos(turn),
                    )
                    # Between the sun and the wall, out of the camera's sight.
                    points.append(
                        tuple(towards[q] * 1.5 + side[q] * x + up[q] * y + (0, 1.5, 0.5)[q] for q in range(3))
                    )
                m.mesh(points, [tuple(range(12))], "third", PLAIN)
                m.things[-1].visible_camera = m.things[-1].visible_diffuse = False


def _sun() -> Point:
    x, y, z = -3.0, -1.7, 2.3
    long = math.sqrt(x * x + y * y + z * z)
    return x / long, y / long, z / long


def _cross(a: Point, b: Point) -> Point:
    c = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    long = math.sqrt(sum(q * q for q in c))
    return c[0] / long, c[1] / long, c[2] / long


def gobo(m: Model, panes: list[tuple[float, float]], size: tuple[float, float]) -> None:
    """A board with holes between the sun and the wall; the light of the holes lands around the product."""
    towards = _sun()
    side = _cross((0, 0, 1), towards)
    up = _cross(towards, side)
    xs = sorted({edge for x, _ in panes for edge in (x - size[0] / 2, x + size[0] / 2)} | {-9.0, 9.0})
    zs = sorted({edge for _, z in panes for edge in (z - size[1] / 2, z + size[1] / 2)} | {-9.0, 9.0})
    middle = (-0.15, 0.3, 0.45)
    for x0, x1 in zip(xs, xs[1:]):
        for z0, z1 in zip(zs, zs[1:]):
            if any(abs((x0 + x1) / 2 - x) < 0.01 and abs((z0 + z1) / 2 - z) < 0.01 for x, z in panes):
                continue
            points = [
                tuple(middle[q] + towards[q] * 5 + side[q] * x + up[q] * z for q in range(3))
                for x, z in ((x0, z0), (x1, z0), (x1, z1), (x0, z1))
            ]
            m.mesh(points, [(0, 1, 2, 3)], "third", PLAIN, smooth=False)
            thing = m.things[-1]
            thing.visible_camera = thing.visible_diffuse = thing.visible_glossy = False


def podium(m: Model) -> None:
    """A low round podium before a disc on the wall."""
    _plane(m, "main", PLAIN, 1.3, z=-0.22)
    _wall(m, "second", PLAIN, 1.3)
    m.lathe([(0, -0.22), (0.66, -0.22), (0.66, 0), (0, 0)], "label", PLAIN, round_by=0.02, turn=256)
    m.lathe([(0, 0), (0.80, 0), (0.80, 0.10), (0, 0.10)], "third", PLAIN, round_by=0.02, turn=256)
    disc = m.things[-1]
    disc.rotation_euler, disc.location = (math.pi / 2, 0, 0), (0.1, 1.3, 0.62)


def arch(m: Model) -> None:
    """A niche with a round top in a thick wall, and two steps."""
    _plane(m, "main", PLAIN, 1.4, z=-0.14)
    m.box((1.7, 1.5, 0.14), "label", PLAIN, bevel=0.012, at=(0.0, 0.15, -0.14))
    # The wall, with an opening: a ring of quads between arch and frame.
    outline = (
        [(-0.78, -0.14)]
        + [(-0.78 * math.cos(w), 0.66 + 0.78 * math.sin(w)) for w in (math.pi * k / 48 for k in range(49))]
        + [(0.78, -0.14)]
    )
    frame = [(-12, -0.14)] + [(-12 + 24 * k / 48, 14.0) for k in range(49)] + [(12, -0.14)]
    n = len(outline)
    points = (
        [(x, 1.0, z) for x, z in outline]
        + [(x, 1.0, z) for x, z in frame]
        + [(x, 1.45, z) for x, z in outline]
    )
    faces = [(k, k + 1, n + k + 1, n + k) for k in range(n - 1)] + [
        (k, 2 * n + k, 2 * n + k + 1, k + 1) for k in range(n - 1)
    ]
    m.mesh(points, faces, "second", PLASTER, smooth=False)
    m.mesh(
        [(-12, 1.45, -1), (12, 1.45, -1), (12, 1.45, 14), (-12, 1.45, 14)],
        [(0, 1, 2, 3)],
        "third",
        PLAIN,
        smooth=False,
    )


def linen(m: Model) -> None:
    """A linen cloth on a table, a wall far behind."""

    def cloth(u: float, v: float) -> Point:
        x, y = (u - 0.5) * 16, -5 + v * 7.2
        fold = 0.02 * math.sin(1.7 * x + 0.6 * math.sin(1.3 * y)) + 0.012 * math.sin(3.9 * y + 1.1 * x)
        near = math.exp(-((x / 1.0) ** 2 + (y / 0.8) ** 2))
        return x, y, fold * (1 - near) - 0.004

    m.sheet(cloth, "main", replace(CLOTH, bump_scale=1.6, bump_depth=0.5, mottle=0.14), cells=(300, 180))
    _wall(m, "second", PLASTER, 3.4)


def wood(m: Model) -> None:
    """A table of planks, a wall out of focus."""
    for row in range(-6, 5):
        m.box(
            (40, 0.58, 0.1),
            "main",
            replace(WOOD, bump_scale=0.8, mottle=0.42),
            bevel=0.006,
            at=(row * 3.7, row * 0.59 - 0.05, -0.1),
        )
    _wall(m, "second", PLASTER, 3.6)


def stone(m: Model) -> None:
    """A slab of rough stone on a plain floor."""
    _plane(m, "main", PLAIN, 1.9, z=-0.16)
    _wall(m, "second", PLASTER, 1.9)
    m.box(
        (1.62, 1.15, 0.16),
        "label",
        replace(STONE, bump_scale=0.9, bump_depth=0.6, mottle=0.16),
        bevel=0.02,
        at=(0, 0.06, -0.16),
    )


def night(m: Model) -> None:
    """A dark table under a pool of light."""
    _plane(m, "main", PLAIN, 2.6)
    _wall(m, "second", PLAIN, 2.6)


@dataclass(frozen=True)
class Place:
    """A set, the rigs it is shown in (0 soft, 1 sun, 2 dark), and how far open the lens is."""

    build: Callable[[Model], None]
    rigs: tuple[int, ...]
    aperture: float = 0.0
    glow: float = 0.0  # where the wall stands that a hidden lamp lights in the dark


SETS: dict[str, Place] = {
    "sweep": Place(sweep, (0, 1)),
    "corner": Place(corner, (0, 1)),
    "window": Place(window, (1,)),
    "leaves": Place(leaves, (1,)),
    "podium": Place(podium, (0, 1)),
    "arch": Place(arch, (0, 1)),
    "linen": Place(linen, (0, 1), 2.0),
    "wood": Place(wood, (0, 1, 2), 2.0, glow=3.6),
    "stone": Place(stone, (0, 1, 2), 3.0, glow=1.9),
    "night": Place(night, (2,), glow=2.6),
}
