"""Make the small WebP layers and their index out of what render.py left.

python art/pack.py RAW src/packshot/imaging/studio/layers
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

LIGHTS = ("soft", "sun", "dark")
# What a white card turned to the light gives back in each rig; this makes 1.0 of it.
GAIN = np.array([1.15, 1.2, 1.1], dtype=np.float32)
# The largest light that a layer keeps. Layers hold (light / largest) ** (1 / 2.2), which is even to the eye.
LARGEST = {"shade": 1.5, "shine": 2.0, "set": 1.6}
FRAME = {"product": 1.3, "shadow": 2.6, "set": 3.0}
GRID = 24
QUALITY = 84


def main() -> None:
    raw, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(exist_ok=True)
    index: dict[str, dict] = {"largest": LARGEST, "frame": FRAME, "products": {}, "sets": {}}
    for file in sorted(raw.glob("*.npz")):
        name, angle = file.stem.removeprefix("set-").rsplit("-", 1)
        data = np.load(file)
        if file.stem.startswith("set-"):
            index["sets"].setdefault(name, {})[angle] = place(file.stem, data, out)
        else:
            index["products"].setdefault(name, {})[angle] = product(file.stem, data, out)
    (out / "index.json").write_text(
        json.dumps(index, separators=(",", ":"), sort_keys=True).replace('},"', '},\n"') + "\n"
    )
    total = sum(file.stat().st_size for file in out.iterdir())
    print(f"{len(list(out.iterdir()))} files, {total / 1e6:.2f} MB")


def product(stem: str, data: "np.lib.npyio.NpzFile", out: Path) -> dict:
    parts = data["parts"]
    px = parts.shape[0]
    left, top, right, bottom = bounds(parts[..., 3] > 2, px)
    inside = np.s_[top:bottom, left:right]
    alpha = parts[inside][..., 3].astype(np.float32) / 255
    third = parts[inside][..., 3].astype(int) - parts[inside][..., :3].astype(int).sum(axis=-1)
    Image.fromarray(np.ascontiguousarray(parts[inside])).save(
        out / f"{stem}-parts.webp", lossless=True, exact=True, quality=100, method=4
    )
    for channel, light in enumerate(LIGHTS):
        shade = filled(data["shade"][inside][..., channel].astype(np.float32), alpha) * GAIN[channel]
        shine = filled(data["shine"][inside][..., channel].astype(np.float32), alpha) * GAIN[channel]
        save(np.concatenate([encode(shade, "shade"), encode(shine, "shine")]), out / f"{stem}-{light}.webp")
    shadow = data["shadow"].astype(np.float32)
    touched = (shadow < 0.96).any(axis=-1)
    box = bounds(touched, shadow.shape[0], pad=8)
    cut = np.clip(shadow[box[1] : box[3], box[0] : box[2]], 0, 1)
    cut = edges_to_one(smooth(cut, 1))
    save(
        np.concatenate([(255 * cut[..., channel] ** (1 / 2.2)).astype(np.uint8) for channel in range(3)]),
        out / f"{stem}-shadow.webp",
        quality=80,
    )
    grid, label = label_grid(data["label"])
    Image.fromarray(grid).save(out / f"{stem}-label.webp", lossless=True, quality=100, method=4)
    return {
        "px": px,
        "box": [left, top, right, bottom],
        "shadow_px": shadow.shape[0],
        "shadow": list(box),
        "label": [round(float(edge), 5) for edge in label],
        "aspect": round(float(data["label_size"][0] / data["label_size"][1]), 4),
        "used": [bool(parts[..., k].any()) for k in range(3)] + [bool((third > 60).sum() > 40)],
        "third": str(data["third"]),
        "print": bool(data["print"]),
        "glass": bool(data["glass"]),
    }


def place(stem: str, data: "np.lib.npyio.NpzFile", out: Path) -> dict:
    parts = data["parts"][..., :3]
    Image.fromarray(np.ascontiguousarray(parts)).save(
        out / f"{stem}-parts.webp", lossless=True, quality=100, method=4
    )
    for channel in data["rigs"]:
        light = data["shade"][..., channel].astype(np.float32) * GAIN[channel]
        if stem.startswith("set-sweep"):
            light = smooth(light, 9)  # paper has no texture: what is left there is noise of the render
        save(encode(light, "set"), out / f"{stem}-{LIGHTS[channel]}.webp", quality=86)
    return {"px": parts.shape[0], "lights": [LIGHTS[channel] for channel in data["rigs"]]}


def smooth(light: np.ndarray, radius: int) -> np.ndarray:
    for _ in range(3):
        for axis in (0, 1):
            wide = np.concatenate(
                [
                    np.repeat(light.take([0], axis), radius, axis),
                    light,
                    np.repeat(light.take([-1], axis), radius, axis),
                ],
                axis,
            )
            total = np.cumsum(wide, axis=axis, dtype=np.float64)
            first = np.zeros_like(total.take([0], axis))
            total = np.concatenate([first, total], axis)
            n = light.shape[axis]
            span = 2 * radius + 1
            light = (total.take(range(span, span + n), axis) - total.take(range(n), axis)) / span
    return light.astype(np.float32)


def bounds(mask: np.ndarray, size: int, *, pad: int = 3) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0, 0, 8, 8
    return (
        max(0, int(columns[0]) - pad), max(0, int(rows[0]) - pad),
        min(size, int(columns[-1]) + 1 + pad), min(size, int(rows[-1]) + 1 + pad),
    )  # fmt: skip


def filled(light: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Light without its alpha, carried outwards so that edges neither darken nor cost bytes."""
    known = alpha > 0.5
    value = np.where(known, light / np.maximum(alpha, 1e-3), 0)
    for _ in range(10):
        weight, total = np.zeros_like(value), np.zeros_like(value)
        for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1)):
            moved = np.roll(known, (dy, dx), (0, 1))
            weight += moved
            total += np.where(moved, np.roll(value, (dy, dx), (0, 1)), 0)
        grown = ~known & (weight > 0)
        value = np.where(grown, total / np.maximum(weight, 1), value)
        known |= grown
    return np.where(known, value, float(value[known].mean()) if known.any() else 0)


def edges_to_one(shadow: np.ndarray) -> np.ndarray:
    """The shadow faded out towards the borders of its picture, so that no line shows where it ends."""
    h, w = shadow.shape[:2]
    y = np.minimum(np.arange(h), np.arange(h)[::-1])[:, None] / 8
    x = np.minimum(np.arange(w), np.arange(w)[::-1])[None, :] / 8
    fade = np.clip(np.minimum(x, y), 0, 1)[..., None]
    return 1 - (1 - shadow) * fade


def label_grid(stored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """u and v at the middle of GRID x GRID cells, 16 bits each as high and low bytes; -0.5 to 1.5."""
    side = round(((len(stored) - 4) / 2) ** 0.5)
    coarse = stored[:-4].reshape(2, side, side)
    # The stored grid is a polynomial, so fitting it again is exact.
    ax = np.linspace(-1, 1, side)
    x, y = np.meshgrid(ax, ax)
    cells = (np.arange(GRID) + 0.5) / GRID * 2 - 1
    cx, cy = np.meshgrid(cells, cells)
    rows = []
    for plane in coarse:
        fit, *_ = np.linalg.lstsq(terms(x.ravel(), y.ravel()), plane.ravel(), rcond=None)
        value = (terms(cx.ravel(), cy.ravel()) @ fit).reshape(GRID, GRID)
        whole = np.clip((value + 0.5) / 2 * 65535, 0, 65535).round().astype(np.uint16)
        rows.append(np.concatenate([whole >> 8, whole & 255], axis=1))
    return np.concatenate(rows).astype(np.uint8), stored[-4:]


def terms(x: np.ndarray, y: np.ndarray, degree: int = 7) -> np.ndarray:
    return np.stack([x**i * y**j for i in range(degree + 1) for j in range(degree + 1 - i)], axis=1)


def encode(light: np.ndarray, kind: str) -> np.ndarray:
    return (255 * np.clip(light / LARGEST[kind], 0, 1) ** (1 / 2.2)).round().astype(np.uint8)


def save(grey: np.ndarray, path: Path, *, quality: int = QUALITY) -> None:
    Image.fromarray(grey).save(path, quality=quality, method=4)


if __name__ == "__main__":
    main()
