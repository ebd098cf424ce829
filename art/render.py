"""Render the layers that src/packshot/imaging/studio puts together: see README.md beside this file.

python art/render.py products [kind ...]     python art/render.py sets [name ...]
"""

import argparse
import math
import sys
import tempfile
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

sys.path.insert(0, str(Path(__file__).parent))

import scene
from products import KINDS, Kind
from scene import Model
from sets import SETS

PRODUCT_FRAME = 1.3  # units across a product's picture
WIDE_FRAME = 2.6  # units across the picture of a shadow
SET_FRAME = 3.0  # units across the picture of a set
SHADOW_PX = 320
GRID = 48  # cells of the map from picture to label
# What a white wall turned to the light gives back in each rig; makes 1.0 of it.
GAIN = np.array([1.0, 1.0, 1.0], dtype=np.float32)
HEADROOM = {"shade": 1.5, "shine": 2.0, "set": 1.5}


def encode(light: np.ndarray, headroom: float) -> np.ndarray:
    """Linear light as 8 bits, even to the eye. The studio's LUTs undo it."""
    return (255 * np.clip(light / headroom, 0, 1) ** (1 / 2.2)).round().astype(np.uint8)


def product(kind: str, angle: str, out: Path, *, px: int, samples: int) -> None:
    spec = KINDS[kind]
    model = build(spec, angle)
    with tempfile.TemporaryDirectory() as folder:
        shot = f"{folder}/shot.exr"
        scene.camera(angle, PRODUCT_FRAME)
        scene.rigs()
        floor = ground()
        floor.visible_camera = False
        back = backdrop() if spec.glass else None
        glass(model, shadow=False)
        scene.dress("shade")
        shade = scene.shoot(px, samples=samples, transparent=True, path=shot)
        if back:
            bpy.data.objects.remove(back)
        glass(model, shadow=True)
        scene.dress("shine")
        shine = scene.shoot(px, samples=samples, transparent=True, path=shot)
        scene.dress("parts")
        parts = scene.shoot(px, samples=12, transparent=True, denoise=False, path=shot)
        scene.dress("shade")
        for thing in model.things:
            thing.visible_camera = False
        floor.visible_camera = True
        scene.camera(angle, WIDE_FRAME)
        lit = scene.shoot(SHADOW_PX, samples=20, transparent=True, path=shot)
        for thing in model.things:
            thing.hide_render = True
        kept = out / f"floor-{angle}.npy"
        if not kept.exists():
            np.save(kept, scene.shoot(SHADOW_PX, samples=48, transparent=True, path=shot))
        bare = np.load(kept)
    shadow = lit[..., :3] / np.maximum(bare[..., :3], 1e-3)
    shadow[bare[..., 3] < 0.5] = 1
    np.savez_compressed(
        out / f"{kind}-{angle}.npz",
        shade=shade.astype(np.float16), shine=shine.astype(np.float16), parts=(parts.clip(0, 1) * 255).astype(np.uint8),
        shadow=shadow.astype(np.float16), label=label_map(model, angle), label_size=model.label_size, glass=spec.glass,
        label_scale=model.placed.to_scale()[0],
        third=spec.third, print=spec.print,
    )  # fmt: skip


def place(name: str, angle: str, out: Path, *, px: int, samples: int) -> None:
    """One set from one angle: its light in all rigs, and which part is where."""
    spec = SETS[name]
    scene.reset(samples)
    scene.forget()
    spec.build(Model())
    scene.camera(angle, SET_FRAME, aperture=spec.aperture)
    scene.rigs(room=True)
    if spec.glow:
        scene.area((0, 0, 1), 9, at=(0.2, spec.glow - 1.1, 2.4), size=(0.3, 0.3), to=(0.15, spec.glow, 0.75))
    with tempfile.TemporaryDirectory() as folder:
        scene.dress("shade")
        shade = scene.shoot(px, samples=samples, transparent=False, path=f"{folder}/shot.exr")
        scene.dress("parts")
        parts = scene.shoot(px, samples=24, transparent=False, denoise=False, path=f"{folder}/shot.exr")
    np.savez_compressed(
        out / f"set-{name}-{angle}.npz",
        shade=shade.astype(np.float16), parts=(parts.clip(0, 1) * 255).astype(np.uint8), rigs=spec.rigs,
    )  # fmt: skip


def build(spec: Kind, angle: str) -> Model:
    """The product turned for `angle`, scaled to the common frame, standing on the floor in the middle."""
    scene.reset(8)
    scene.forget()
    model = Model()
    spec.build(model)
    bpy.context.view_layer.update()
    model.place(Matrix.Rotation(math.radians(spec.turn[angle == "high"]), 4, "Z"))
    spots = model.corners()
    low, high = spots.min(axis=0), spots.max(axis=0)
    width, height = high[0] - low[0], high[2] - low[2]
    size = min(0.98 / height, 1.04 / width, 0.76 / math.sqrt(width * height)) * spec.largest
    middle = (low + high) / 2
    model.place(Matrix.Scale(size, 4) @ Matrix.Translation((-middle[0], -middle[1], -low[2])))
    return model


def glass(model: Model, *, shadow: bool) -> None:
    """Without caustics glass would stand in a black shadow of its own and show it."""
    for thing in model.things:
        if any(finish.glass for made, _, finish in scene.finishes() if made == thing.data.materials[0]):
            thing.visible_shadow = shadow


def ground() -> "bpy.types.Object":
    model = Model()
    model.mesh(
        [(-40, -40, 0), (40, -40, 0), (40, 40, 0), (-40, 40, 0)],
        [(0, 1, 2, 3)],
        "main",
        scene.Finish(0.8, 0.2),
    )
    return model.things[0]


def backdrop() -> "bpy.types.Object":
    """A bright sheet that only glass sees."""
    model = Model()
    model.mesh(
        [(-3, 2.5, -1), (3, 2.5, -1), (3, 2.5, 3), (-3, 2.5, 3)], [(0, 1, 2, 3)], "main", scene.Finish()
    )
    sheet = model.things[0]
    made = bpy.data.materials.new("glow")
    made.use_nodes = True
    made.node_tree.nodes.clear()
    glow, out = (
        made.node_tree.nodes.new("ShaderNodeEmission"),
        made.node_tree.nodes.new("ShaderNodeOutputMaterial"),
    )
    glow.inputs["Color"].default_value = (1, 1, 0.12, 1)
    made.node_tree.links.new(glow.outputs[0], out.inputs["Surface"])
    sheet.data.materials.clear()
    sheet.data.materials.append(made)
    sheet.visible_camera = sheet.visible_diffuse = sheet.visible_glossy = sheet.visible_shadow = False
    return sheet


def label_map(model: Model, angle: str) -> np.ndarray:
    """For a grid over the picture, where on the label it looks: u and v by a polynomial through the surface.

    A polynomial also says what lies beyond the label's edge, where lettering is clipped but interpolation
    still reaches. `box` is the part of the picture that the grid covers.
    """
    steps = np.linspace(-0.04, 1.04, 41)
    rows = []
    for v in steps:
        for u in steps:
            spot = model.placed @ scene.Vector(model.label(float(u), float(v)))
            rows.append((*scene.project(spot, angle, PRODUCT_FRAME), u, v))
    x, y, u, v = np.array(rows).T
    pad = 0.01
    left, right, top, bottom = x.min() - pad, x.max() + pad, y.min() - pad, y.max() + pad
    basis = terms((x - left) / (right - left) * 2 - 1, (y - top) / (bottom - top) * 2 - 1)
    fit_u, *_ = np.linalg.lstsq(basis, u, rcond=None)
    fit_v, *_ = np.linalg.lstsq(basis, v, rcond=None)
    worst = max(np.abs(basis @ fit_u - u).max(), np.abs(basis @ fit_v - v).max())
    if worst > 0.02:
        print(f"label of {angle}: off by {worst:.3f}")
    px, py = np.meshgrid(np.linspace(-1, 1, GRID), np.linspace(-1, 1, GRID))
    grid = terms(px.ravel(), py.ravel())
    found = np.stack([(grid @ fit_u).reshape(GRID, GRID), (grid @ fit_v).reshape(GRID, GRID)])
    return np.concatenate([found.ravel(), [left, top, right, bottom]]).astype(np.float32)


def terms(x: np.ndarray, y: np.ndarray, degree: int = 7) -> np.ndarray:
    return np.stack([x**i * y**j for i in range(degree + 1) for j in range(degree + 1 - i)], axis=1)


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("what", choices=["products", "sets"])
    asked.add_argument("names", nargs="*")
    asked.add_argument(
        "--out", type=Path, required=True, help="where the raw layers go (pack.py makes WebP of them)"
    )
    asked.add_argument("--px", type=int, default=672)
    asked.add_argument("--samples", type=int, default=12)
    asked.add_argument("--angles", nargs="*", default=["level", "high"])
    options = asked.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    render, known = (product, KINDS) if options.what == "products" else (place, SETS)
    for name in options.names or list(known):
        for angle in options.angles:
            render(name, angle, options.out, px=options.px, samples=options.samples)
            print("made", name, angle, flush=True)


if __name__ == "__main__":
    main()
