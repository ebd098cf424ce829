"""The things a studio can draw, by kind."""

from collections.abc import Callable

from packshot.imaging.studio.canvas import Canvas
from packshot.imaging.studio.objects import home, materials, packed, small, worn
from packshot.imaging.studio.objects.parts import Drawing, Look
from packshot.imaging.studio.objects.small import card

__all__ = ["OBJECTS", "Drawing", "Look", "card"]

OBJECTS: dict[str, Callable[[Canvas, Look], Drawing]] = {
    "dropper": packed.dropper,
    "flask": packed.flask,
    "pump": packed.pump,
    "jar": packed.jar,
    "tin": packed.tin,
    "pouch": packed.pouch,
    "tube": packed.tube,
    "box": packed.box,
    "soap": packed.soap,
    "candle": packed.candle,
    "mug": home.mug,
    "bowl": home.bowl,
    "notebook": home.notebook,
    "card": home.gift_card,
    "pot": home.pot,
    "lamp": home.lamp,
    "cushion": home.cushion,
    "sofa": home.sofa,
    "table": home.table,
    "fabric": materials.fabric,
    "board": materials.board,
    "block": materials.block,
    "rope": materials.rope,
    "spool": materials.spool,
    "tote": worn.tote,
    "backpack": worn.backpack,
    "tee": worn.tee,
    "shirt": worn.shirt,
    "trousers": worn.trousers,
    "dress": worn.dress,
    "sock": worn.sock,
    "hat": worn.hat,
    "scarf": worn.scarf,
    "shoe": worn.shoe,
    "sunglasses": worn.sunglasses,
    "can": small.watering_can,
    "tool": small.tool,
    "bone": small.bone,
    "phone": small.phone,
    "generic": packed.box,
}
