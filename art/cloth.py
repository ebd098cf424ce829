"""Sewn things: two sheets of cloth, joined along their seams and blown up a little by Blender's cloth."""

from collections.abc import Callable, Sequence

import bpy
import numpy as np
from mathutils.geometry import delaunay_2d_cdt
from scene import Finish, Model, Point, Surface

Outline = Sequence[tuple[float, float]]


def sewn(
    m: Model,
    outline: Outline,
    part: str,
    finish: Finish,
    *,
    open_edges: Callable[[float, float], bool] = lambda x, z: False,
    cell: float = 0.024,
    pressure: float = 4.0,
    shrink: float = 0.0,
    frames: int = 36,
    stiff: float = 12.0,
    gravity: float = 0.0,
    depth: float = 0.004,
) -> Callable[[float, float], Point]:
    """Sew `outline` front to back and return where a point of the flat front ends up.

    Edges for which `open_edges` holds are hems: they stay apart, as necks and sleeves do.
    """
    edge = _evenly(outline, cell)
    inner = _inside(edge, cell)
    points = [*edge, *inner]
    n = len(edge)
    ring = [(k, (k + 1) % n) for k in range(n)]
    flat, _, faces, *_ = delaunay_2d_cdt([(x, z) for x, z in points], ring, [list(range(n))], 1, 1e-5)
    flat = [(p[0], p[1]) for p in flat]
    on_seam = _near_edge(flat, edge)
    seam = [k for k in range(len(flat)) if on_seam[k] and not open_edges(*flat[k])]
    shared = set(seam)
    spots: list[Point] = [(x, -depth, z) for x, z in flat]
    back: dict[int, int] = {}
    for k, (x, z) in enumerate(flat):
        if k in shared:
            back[k] = k
            spots[k] = (x, 0.0, z)
        else:
            back[k] = len(spots)
            spots.append((x, depth, z))
    both = [tuple(face) for face in faces] + [tuple(back[k] for k in reversed(face)) for face in faces]
    thing = m.mesh(spots, both, part, finish)
    cloth = thing.modifiers.new("cloth", "CLOTH")
    settings = cloth.settings
    settings.quality = 6
    settings.mass = 0.25
    settings.tension_stiffness = settings.compression_stiffness = stiff
    settings.shear_stiffness = stiff * 0.7
    settings.bending_stiffness = 0.35
    settings.tension_damping = settings.compression_damping = 12
    settings.bending_damping = 1.0
    settings.air_damping = 3.0
    settings.use_pressure = True
    settings.uniform_pressure_force = pressure
    settings.shrink_min = shrink
    settings.effector_weights.gravity = gravity
    cloth.collision_settings.use_collision = False
    cloth.point_cache.frame_start, cloth.point_cache.frame_end = 1, frames
    scene = bpy.context.scene
    for frame in range(1, frames + 1):
        scene.frame_set(frame)
    graph = bpy.context.evaluated_depsgraph_get()
    solid = thing.evaluated_get(graph).to_mesh()
    moved = np.empty(len(solid.vertices) * 3, dtype=np.float32)
    solid.vertices.foreach_get("co", moved)
    thing.evaluated_get(graph).to_mesh_clear()
    thing.modifiers.remove(cloth)
    thing.data.vertices.foreach_set("co", moved)
    thing.data.update()
    smooth = thing.modifiers.new("smooth", "SUBSURF")
    smooth.levels = smooth.render_levels = 1
    scene.frame_set(1)
    front = moved.reshape(-1, 3)[: len(flat)]
    rest = np.array(flat)

    def where(x: float, z: float) -> Point:
        away = ((rest - (x, z)) ** 2).sum(axis=1)
        weight = np.exp(-away / (2 * (1.3 * cell) ** 2))
        spot = (front * weight[:, None]).sum(axis=0) / weight.sum()
        return float(spot[0]), float(spot[1]), float(spot[2])

    return where


def patch(
    where: Callable[[float, float], Point], box: tuple[float, float, float, float], off: float = 0.006
) -> Surface:
    """A label sewn on the front at `box`: left, bottom, right, top of the flat cloth."""
    left, bottom, right, top = box

    def surface(u: float, v: float) -> Point:
        x, y, z = where(left + (right - left) * u, top + (bottom - top) * v)
        return x, y - off, z

    return surface


def curve(points: Outline, steps: int = 10) -> list[tuple[float, float]]:
    """A closed smooth line through `points`; doubled points make a corner."""
    made = []
    n = len(points)
    for k in range(n):
        p0, p1, p2, p3 = (np.array(points[(k + q) % n], float) for q in (-1, 0, 1, 2))
        if np.allclose(p1, p2):
            continue
        for step in range(steps):
            t = step / steps
            spot = 0.5 * (
                (2 * p1)
                + (p2 - p0) * t
                + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t * t
                + (3 * p1 - p0 - 3 * p2 + p3) * t**3
            )
            made.append((float(spot[0]), float(spot[1])))
    return made


def _evenly(outline: Outline, cell: float) -> list[tuple[float, float]]:
    line = np.array([*outline, outline[0]], float)
    steps = np.hypot(*np.diff(line, axis=0).T)
    along = np.concatenate([[0], np.cumsum(steps)])
    count = max(12, round(along[-1] / cell))
    at = np.linspace(0, along[-1], count, endpoint=False)
    return list(
        zip(np.interp(at, along, line[:, 0]).tolist(), np.interp(at, along, line[:, 1]).tolist(), strict=True)
    )


def _inside(edge: Outline, cell: float) -> list[tuple[float, float]]:
    line = np.array(edge)
    rng = np.random.default_rng(5)
    found = []
    for row, z in enumerate(np.arange(line[:, 1].min(), line[:, 1].max(), cell * 0.87)):
        for x in np.arange(line[:, 0].min() + (row % 2) * cell / 2, line[:, 0].max(), cell):
            px, pz = x + rng.normal(0, cell * 0.06), z + rng.normal(0, cell * 0.06)
            if _contains(line, px, pz) and np.hypot(line[:, 0] - px, line[:, 1] - pz).min() > cell * 0.6:
                found.append((float(px), float(pz)))
    return found


def _contains(line: np.ndarray, x: float, z: float) -> bool:
    a, b = line, np.roll(line, -1, axis=0)
    crosses = (a[:, 1] > z) != (b[:, 1] > z)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = a[:, 0] + (z - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0])
    return bool((crosses & (x < at)).sum() % 2)


def _near_edge(flat: Outline, edge: Outline) -> list[bool]:
    line = np.array(edge)
    return [bool(np.hypot(line[:, 0] - x, line[:, 1] - z).min() < 1e-4) for x, z in flat]
