"""The wall of pictures beside the sign-in: twenty products of the demo catalogue, as the studio takes them.

python art/wall.py src/packshot/web/static/wall     (with the environment of the package, not Blender's)
"""

import sys
from pathlib import Path

import pyvips

from packshot.imaging.studio import describe, render

SIDE_PX = 320
PICTURES = (
    ("flux", 4, "Night Hemp Face Oil, amber dropper bottle"),
    ("stability", 2, "Field Mint Hemp Soap, mint soap bar"),
    ("openai", 1, "Market Day Tote Bag, natural tote with navy handles"),
    ("midjourney", 3, "Hay Loft Candle, cream candle"),
    ("sandbox", 0, "Orchard Hemp Granola, honey pouch"),
    ("stability", 5, "Everyday Hemp Shampoo, sage pump bottle"),
    ("flux", 7, "Windowsill Plant Pot, clay plant pot"),
    ("openai", 6, "All-Weather Hemp Balm, navy jar"),
    ("sandbox", 2, "Twelve-Millimetre Hemp Rope, natural rope"),
    ("flux", 9, "Speckle Picnic Mug, terracotta mug"),
    ("midjourney", 5, "Hemp Leaf and Mint Tea, forest tea tin"),
    ("openai", 3, "Stubble Field Cushion, mustard cushion"),
    ("stability", 8, "Hemp and Honey Cream, blush jar"),
    ("flux", 12, "Harbour Crew-Neck Tee, indigo t-shirt"),
    ("sandbox", 5, "Nesting Bowls, sage bowls with cream"),
    ("openai", 9, "Field Notes Hemp Notebook A5, olive notebook"),
    ("midjourney", 8, "Loden Hemp Canvas, forest fabric roll with sand"),
    ("flux", 3, "Cold-Pressed Hemp Seed Oil, moss bottle"),
    ("stability", 1, "Hemp Hand Cream, peach tube"),
    ("openai", 12, "Wool Beanie, teal beanie"),
)


def main() -> None:
    out = Path(sys.argv[1])
    for number, (style, seed, words) in enumerate(PICTURES, 1):
        shot = describe(words, style=style, seed=seed, width_px=960, height_px=960)
        small = pyvips.Image.thumbnail_buffer(render(shot), SIDE_PX)
        small.write_to_file(str(out / f"{number:02}.webp"), Q=60, effort=6, smart_subsample=True, keep="none")


if __name__ == "__main__":
    main()
