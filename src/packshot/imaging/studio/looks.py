"""What belongs to a product and not to a picture of it: one name has one look at every provider."""

import hashlib
from dataclasses import dataclass

from packshot.imaging.studio import layers
from packshot.imaging.studio.brief import NAME_LENGTH, Packshot, plain
from packshot.imaging.studio.colours import contrast, darker, lighter, lightness
from packshot.imaging.studio.lettering import Face


@dataclass(frozen=True, slots=True)
class Look:
    """What is the same in every picture of one product, whoever takes it."""

    name: str
    kind: str  # one that there is a render of
    main: str
    second: str
    paper: str
    face: Face
    layout: int  # 0 to 3: of its label


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
    "dropper": ("#8a4a17", "#7c4318", "#2f5a40", "#33506b"),
    "flask": ("#5a7030", "#8a4a17", "#6d7a40", "#ece6da"),
    "pouch": ("#b98f62", "#2f4a3a", "#c9a878", "#3a3d36", "#a4502c"),
    "box": ("#b98f62", "#c98a5e", "#2f4a3a", "#d9c49a"),
    "soap": ("#cdbf94", "#b7c09a", "#e6d5b8", "#9c8a6a"),
    "fabric": ("#c9ba92", "#8f9b7a", "#a8876a", "#5f6f7a"),
    "board": ("#c7b184", "#b79a6c", "#cfc2a2"),
    "block": ("#c9c1ab", "#bdb49b", "#d2c9b2"),
    "rope": ("#c7ab78", "#b8955e"),
    "pot": ("#b9684a", "#d9d2c6", "#56616b"),
    "table": ("#b07d4f", "#8a5a36"),
    "brush": ("#b98a52",),
    "tote": ("#dfd2b4", "#cdbf98", "#3a463f"),
    "bone": ("#d0b283", "#b98a52"),
    "candle": ("#e9dfd0", "#c7b8a4", "#58655a"),
    "bowl": ("#cfc4ad", "#a8b09a", "#b9684a"),
}
# What the accent is, where a thing's own nature says so.
_ACCENTS: dict[str, tuple[str, ...]] = {
    "dropper": ("#221f1d", "#2b2724", "#c9a15e"),
    "flask": ("#2b2724", "#c29a62", "#8f6a3f"),
    "pump": ("#26231f", "#f1ede4", "#d9d3c6"),
    "candle": ("#3a332b",),
    "spool": ("#2b2a29", "#3a3937"),
}


def look_of(packshot: Packshot) -> Look:
    """The look of what `packshot` shows."""
    kind = packshot.kind if packshot.kind in layers.KINDS else "box"
    identity = int.from_bytes(hashlib.sha256(f"{packshot.name}|{packshot.kind}".encode()).digest()[:6])
    main, second, paper = _HOUSES[identity % len(_HOUSES)]
    if materials := _MATERIALS.get(kind):
        main = materials[identity // 64 % len(materials)]
    if packshot.colours:
        main = packshot.colours[0]
    if accents := _ACCENTS.get(kind):
        second = accents[identity // 16 % len(accents)]
    elif len(packshot.colours) > 1:
        second = packshot.colours[1]
    if contrast(second, main) < 0.2:
        second = lighter(main, 0.75) if lightness(main) < 0.5 else darker(main, 0.62)
    if contrast(paper, main) < 0.12:
        paper = "#ffffff" if lightness(main) < 0.85 else "#e9e1d2"
    face: Face = "DM Serif Display" if identity // 512 % 2 else "Geist"
    name = plain(packshot.name)[: NAME_LENGTH + 1] or "Sample"
    return Look(name, kind, main, second, paper, face, identity // 4096 % 4)
