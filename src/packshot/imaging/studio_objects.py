"""The things a studio photographs, drawn: each stands on (0, 0) with its key light from the left.

A drawing takes a sheet to put its paints on and a look (name, colours, lettering) and gives back its
markup, its outline (for shadow, reflection and rim light) and its extent in canvas units.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import cos, pi, sin

from packshot.imaging.studio_canvas import (
    Canvas,
    Face,
    Texture,
    contrast,
    darker,
    fit,
    ink_on,
    lettering,
    lighter,
    lightness,
    mix,
)


@dataclass(frozen=True, slots=True)
class Look:
    """What is the same in every picture of one product, whoever takes it."""

    name: str
    main: str
    second: str
    paper: str
    face: Face
    variant: int  # 0 to 3: the layout of its label, the shape of its cap
    seed: int

    def chance(self, salt: str) -> random.Random:
        """Repeatable randomness for one detail."""
        return random.Random(f"{self.seed}/{salt}")  # noqa: S311 - drawing, not secrets


@dataclass(frozen=True, slots=True)
class Drawing:
    """One object on the sheet. `named`: its name can be read on it, so it needs no card beside it."""

    markup: str
    outline: str  # shapes without paint
    width: float
    height: float
    depth: float  # how far its foot reaches towards the viewer
    named: bool
    sheen: float = 0.5  # how clearly a glossy floor mirrors it
    foot: str = ""  # shapes of the ground it covers, where an ellipse would be wrong


# -- shared parts ------------------------------------------------------------------------------


def round_shade(c: Canvas, colour: str, *, gloss: float = 0.35, depth: float = 0.42) -> str:
    """The paint of a standing cylinder under a softbox at the left and a weak reflector at the right."""
    return c.linear(
        (0, darker(colour, depth)),
        (0.05, darker(colour, depth * 0.55)),
        (0.17, lighter(colour, gloss * 0.45)),
        (0.27, lighter(colour, gloss)),
        (0.42, lighter(colour, gloss * 0.12)),
        (0.68, darker(colour, depth * 0.34)),
        (0.90, darker(colour, depth)),
        (0.965, darker(colour, depth * 0.82)),
        (1, darker(colour, depth * 0.55)),
    )


def metal_shade(c: Canvas, colour: str) -> str:
    return c.linear(
        (0, darker(colour, 0.5)),
        (0.1, lighter(colour, 0.25)),
        (0.2, lighter(colour, 0.75)),
        (0.28, lighter(colour, 0.2)),
        (0.5, darker(colour, 0.28)),
        (0.66, darker(colour, 0.1)),
        (0.78, lighter(colour, 0.42)),
        (0.88, darker(colour, 0.3)),
        (1, darker(colour, 0.55)),
    )


def ellipse(x: float, y: float, rx: float, ry: float, paint: str, extra: str = "") -> str:
    return f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{rx:.1f}" ry="{ry:.1f}" fill="{paint}" {extra}/>'


def rect(x: float, y: float, w: float, h: float, paint: str, extra: str = "", *, r: float = 0) -> str:
    corner = f' rx="{r:g}"' if r else ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"{corner} fill="{paint}" {extra}/>'


def path(d: str, paint: str = "#000", extra: str = "") -> str:
    return f'<path d="{d}" fill="{paint}" {extra}/>'


def stroke(d: str, colour: str, width: float, opacity: float = 1, extra: str = "") -> str:
    return (
        f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="{width:g}" stroke-opacity="{opacity:g}" '
        f'stroke-linecap="round" {extra}/>'
    )


def drum(half: float, top: float, bottom: float, *, tilt: float = 0.13, corner: float = 0) -> str:
    """The outline of an upright cylinder seen from slightly above; its top edge is the near one."""
    ry = half * tilt
    if corner:
        r = corner
        foot = (
            f"V{bottom - r:.1f}C{-half:.1f} {bottom + ry * 0.2:.1f} {-half + r * 0.5:.1f} {bottom + ry * 0.5:.1f} "
            f"{-half + r:.1f} {bottom + ry * 0.68:.1f}Q0 {bottom + ry * 1.25:.1f} {half - r:.1f} "
            f"{bottom + ry * 0.68:.1f}C{half - r * 0.5:.1f} {bottom + ry * 0.5:.1f} {half:.1f} "
            f"{bottom + ry * 0.2:.1f} {half:.1f} {bottom - r:.1f}"
        )
    else:
        foot = f"V{bottom:.1f}A{half:.1f} {ry:.1f} 0 0 0 {half:.1f} {bottom:.1f}"
    return f"M{-half:.1f} {top:.1f}{foot}V{top:.1f}A{half:.1f} {ry:.1f} 0 0 1 {-half:.1f} {top:.1f}z"


def band(half: float, top: float, bottom: float, *, tilt: float = 0.13) -> str:
    """A strip wrapped around a cylinder: both edges bow towards the viewer."""
    ry = half * tilt
    return (
        f"M{-half:.1f} {top:.1f}A{half:.1f} {ry:.1f} 0 0 0 {half:.1f} {top:.1f}V{bottom:.1f}"
        f"A{half:.1f} {ry:.1f} 0 0 1 {-half:.1f} {bottom:.1f}z"
    )


def streak(c: Canvas, x: float, top: float, bottom: float, width: float, strength: float) -> str:
    """The softbox mirrored in a glossy side: a bright core in a soft flank, fading at both ends."""
    light = c.down((0, "#ffffff", 0), (0.1, "#ffffff", strength), (0.8, "#ffffff", strength * 0.8), (1, "#ffffff", 0))
    # Nested strips stand in for a blur, at a tenth of its price.
    return "".join(
        rect(x + inset, top + inset, width - 2 * inset, bottom - top - 2 * inset, light, f'fill-opacity="{share}"', r=width / 2)
        for inset, share in ((0, 0.22), (width * 0.09, 0.26), (width * 0.18, 0.34), (width * 0.27, 0.5))
    )


def printed(c: Canvas, look: Look, *, x: float, y: float, w: float, h: float, paper: str, tint: str) -> str:
    """The label's print inside `w` by `h`: the name, set one of four ways, with the mark of the house."""
    ink = ink_on(paper, tint)
    accent = tint if contrast(tint, paper) > 0.22 else ink
    cx, size = x + w / 2, min(w, h)
    inner_w = w * 0.84
    if look.variant == 0:  # rules above and below
        letters = fit(look.name, width=inner_w, height=h * 0.5, face=look.face, largest=size * 0.26)
        lines = "".join(
            rect(cx - inner_w * 0.3, y + h * at, inner_w * 0.6, max(1.4, size * 0.008), accent)
            for at in (0.16, 0.84)
        )
        return lines + lettering(letters, x=cx, y=y + h * 0.5, ink=ink, face=look.face)
    if look.variant == 1:  # mark above
        letters = fit(look.name, width=inner_w, height=h * 0.44, face=look.face, largest=size * 0.24)
        return mark(cx, y + h * 0.24, size * 0.13, accent, look) + lettering(
            letters, x=cx, y=y + h * 0.64, ink=ink, face=look.face
        )
    if look.variant == 2:  # frame
        inset = size * 0.055
        letters = fit(look.name, width=inner_w * 0.92, height=h * 0.6, face=look.face, largest=size * 0.25)
        frame = rect(
            x + inset,
            y + inset,
            w - 2 * inset,
            h - 2 * inset,
            "none",
            f'stroke="{accent}" stroke-width="{max(1.4, size * 0.009):.1f}"',
            r=size * 0.02,
        )
        return frame + lettering(letters, x=cx, y=y + h * 0.5, ink=ink, face=look.face)
    letters = fit(look.name, width=inner_w, height=h * 0.5, face=look.face, largest=size * 0.26)
    foot = rect(x, y + h * 0.8, w, h * 0.2, accent)
    foot += mark(cx, y + h * 0.9, size * 0.05, ink_on(accent, accent), look)
    return foot + lettering(letters, x=cx, y=y + h * 0.41, ink=ink, face=look.face)


def mark(x: float, y: float, r: float, colour: str, look: Look) -> str:
    """A small emblem, one of four, always the same for one product."""
    kind = look.seed % 4
    line = f'stroke="{colour}" stroke-width="{max(1.2, r * 0.11):.1f}" stroke-linecap="round"'
    if kind == 0:  # leaf
        return path(
            f"M{x} {y + r}C{x - r * 1.1} {y + r * 0.2} {x - r * 0.7} {y - r * 0.8} {x} {y - r}"
            f"C{x + r * 0.7} {y - r * 0.8} {x + r * 1.1} {y + r * 0.2} {x} {y + r}M{x} {y + r * 1.2}V{y - r * 0.4}",
            "none",
            line,
        )
    if kind == 1:  # sun over water
        waves = "".join(f"M{x - r} {y + r * k}q{r / 2} {-r * 0.3} {r} 0t{r} 0" for k in (0.45, 0.85))
        return f'<circle cx="{x}" cy="{y - r * 0.35}" r="{r * 0.5}" fill="{colour}"/>' + path(waves, "none", line)
    if kind == 2:  # seven-fingered leaf
        rays = ""
        for turn, long in ((-78, 0.6), (-50, 0.85), (-24, 1.05), (0, 1.2), (24, 1.05), (50, 0.85), (78, 0.6)):
            a = turn * pi / 180
            tx, ty = x + sin(a) * r * long, y + r * 0.5 - cos(a) * r * long
            nx, ny = cos(a) * r * 0.13, sin(a) * r * 0.13
            mx, my = (x * 0.45 + tx * 0.55), ((y + r * 0.5) * 0.45 + ty * 0.55)
            rays += f"M{x} {y + r * 0.5}Q{mx - nx} {my - ny} {tx} {ty}Q{mx + nx} {my + ny} {x} {y + r * 0.5}z"
        return path(rays, colour) + path(f"M{x} {y + r * 0.5}V{y + r}", "none", line)
    return path(f"M{x} {y - r}L{x + r * 0.8} {y}L{x} {y + r}L{x - r * 0.8} {y}z", "none", line) + (
        f'<circle cx="{x}" cy="{y}" r="{r * 0.22}" fill="{colour}"/>'
    )


def curved_label(
    c: Canvas, look: Look, *, half: float, top: float, bottom: float, tilt: float, share: float, paper: str
) -> str:
    """A paper label around a cylinder: the sheet takes the cylinder's light, the print sits in its middle."""
    sheet = band(half, top, bottom, tilt=tilt)
    w = 2 * half * share
    shade = c.linear(
        (0, "#1a120b", 0.42),
        (0.1, "#1a120b", 0.12),
        (0.26, "#ffffff", 0.30),
        (0.45, "#ffffff", 0.0),
        (0.72, "#1a120b", 0.10),
        (1, "#1a120b", 0.46),
    )
    bow = half * tilt
    return (
        path(sheet, paper)
        + f"<g {c.clip(path(sheet))}>"
        + printed(c, look, x=-w / 2, y=top + bow * 0.8, w=w, h=bottom - top, paper=paper, tint=look.second)
        + "</g>"
        + path(sheet, shade)
        + stroke(f"M{-half} {top}A{half} {bow:.1f} 0 0 0 {half} {top}", "#ffffff", 1.2, 0.35)
        + stroke(f"M{-half} {bottom}A{half} {bow:.1f} 0 0 0 {half} {bottom}", "#000000", 1.6, 0.18)
    )


def cap_colour(look: Look) -> str:
    return ("#1d1b1a", "#b98a52", "#f3efe8", "#c9a463")[look.chance("cap").randrange(4)]


# -- packed goods ------------------------------------------------------------------------------


def dropper(c: Canvas, look: Look) -> Drawing:
    half, shoulder, cap = 112, -300, cap_colour(look)
    body = (
        f"M{-half} {shoulder + 26}C{-half} {shoulder - 40} -46 {shoulder - 22} -42 {shoulder - 66}H42"
        f"C46 {shoulder - 22} {half} {shoulder - 40} {half} {shoulder + 26}V-24"
        f"C{half} 2 {half - 10} 8 {half - 28} 11Q0 24 {-half + 28} 11C{-half + 10} 8 {-half} 2 {-half} -24z"
    )
    glass = look.main
    rubber = (
        f"M-30 {shoulder - 112}C-30 {shoulder - 150} -26 {shoulder - 170} -25 {shoulder - 186}"
        f"C-24 {shoulder - 226} 24 {shoulder - 226} 25 {shoulder - 186}C26 {shoulder - 170} 30 {shoulder - 150} 30 {shoulder - 112}z"
    )
    collar = (
        f"M-54 {shoulder - 116}Q0 {shoulder - 106} 54 {shoulder - 116}V{shoulder - 62}"
        f"Q0 {shoulder - 50} -54 {shoulder - 62}z"
    )
    ribs = "".join(
        stroke(f"M{x} {shoulder - 112}v46", "#000000", 1.6, 0.22) for x in range(-48, 50, 7)
    )
    markup = (
        path(body, round_shade(c, glass, gloss=0.3, depth=0.62))
        # Liquid behind the glass: light gathers low in the bottle.
        + path(body, c.radial((0, lighter(glass, 0.55), 0.5), (1, glass, 0), at=(0.6, 0.86), reach=0.42))
        + path(body, c.down((0, "#000000", 0.0), (0.86, "#000000", 0), (1, "#000000", 0.34)))
        + path(rubber, round_shade(c, darker(cap, 0.12), gloss=0.4, depth=0.6))
        + path(collar, metal_shade(c, cap) if lightness(cap) < 0.9 else round_shade(c, cap))
        + ribs
        + curved_label(c, look, half=half, top=shoulder + 62, bottom=-62, tilt=0.11, share=0.8, paper=look.paper)
        + streak(c, -half + 15, shoulder + 6, -18, 26, 0.55)
        + streak(c, half - 22, shoulder + 40, -30, 10, 0.3)
    )
    return Drawing(markup, path(body) + path(collar) + path(rubber), 2 * half, 528, 16, True, 0.8)


def flask(c: Canvas, look: Look) -> Drawing:
    """A tall bottle for drinks and kitchen oils."""
    half, cap = 98, cap_colour(look)
    body = (
        f"M-34 -520V-452C-34 -404 {-half} -392 {-half} -318V-26C{-half} 2 {-half + 12} 8 {-half + 26} 11"
        f"Q0 22 {half - 26} 11C{half - 12} 8 {half} 2 {half} -26V-318C{half} -392 34 -404 34 -452V-520z"
    )
    lid = "M-40 -568Q0 -576 40 -568V-512Q0 -502 -40 -512z"
    markup = (
        path(body, round_shade(c, look.main, gloss=0.34, depth=0.55))
        + path(body, c.radial((0, lighter(look.main, 0.5), 0.45), (1, look.main, 0), at=(0.62, 0.8), reach=0.45))
        + path(lid, metal_shade(c, cap))
        + ellipse(0, -568, 40, 6, lighter(cap, 0.35))
        + rect(-34, -500, 68, 5, darker(look.main, 0.3), 'fill-opacity="0.4"')
        + curved_label(c, look, half=half, top=-300, bottom=-66, tilt=0.11, share=0.8, paper=look.paper)
        + streak(c, -half + 12, -350, -20, 24, 0.6)
        + streak(c, -24, -512, -400, 12, 0.5)
        + streak(c, half - 20, -330, -30, 9, 0.32)
    )
    return Drawing(markup, path(body) + path(lid), 2 * half, 576, 16, True, 0.8)


def pump(c: Canvas, look: Look) -> Drawing:
    half, cap = 108, ("#1d1b1a", "#f3efe8", "#c9a463", "#8f9499")[look.variant]
    body = (
        f"M-46 -412H46C54 -396 {half} -394 {half} -338V-30C{half} 2 {half - 12} 8 {half - 30} 11"
        f"Q0 22 {-half + 30} 11C{-half + 12} 8 {-half} 2 {-half} -30V-338C{-half} -394 -54 -396 -46 -412z"
    )
    collar = "M-48 -452Q0 -442 48 -452V-408Q0 -396 -48 -408z"
    spout = "M-14 -502H-84C-96 -502 -100 -494 -100 -474H-84C-84 -484 -80 -486 -70 -486H-14z"
    markup = (
        path(body, round_shade(c, look.main, gloss=0.45))
        + rect(-9, -490, 18, 50, metal_shade(c, cap))
        + path(collar, round_shade(c, cap, gloss=0.4, depth=0.5))
        + rect(-22, -510, 44, 34, round_shade(c, cap, gloss=0.4, depth=0.5), r=7)
        + path(spout, c.down((0, lighter(cap, 0.3)), (1, darker(cap, 0.35))))
        + _front_print(c, look, half=half, top=-318, bottom=-44)
        + streak(c, -half + 12, -366, -18, 28, 0.6)
        + streak(c, half - 22, -340, -28, 10, 0.3)
    )
    outline = path(body) + path(collar) + path(spout) + rect(-22, -510, 44, 60, "#000")
    return Drawing(markup, outline, 2 * half, 510, 18, True, 0.6)


def _front_print(c: Canvas, look: Look, *, half: float, top: float, bottom: float) -> str:
    """Lettering straight on a container of the main colour."""
    w = 2 * half * 0.74
    return printed(c, look, x=-w / 2, y=top, w=w, h=bottom - top, paper=look.main, tint=look.second)


def jar(c: Canvas, look: Look) -> Drawing:
    half, tilt = 158, 0.15
    lid = cap_colour(look)
    if contrast(lid, look.main) < 0.15:
        lid = "#b98a52" if lightness(look.main) > 0.5 else "#f3efe8"
    body = drum(half, -222, 0, tilt=tilt, corner=36)
    cover = drum(half + 8, -286, -206, tilt=tilt)
    top = ellipse(0, -286, half + 8, (half + 8) * tilt, c.linear((0, lighter(lid, 0.5)), (1, lighter(lid, 0.08))))
    ribs = "".join(
        stroke(f"M{(half + 8) * sin(a):.1f} {-280 + (half + 8) * tilt * cos(a):.1f}v70", "#000000", 1.3, 0.16)
        for a in [(-86 + 6 * i) * pi / 180 for i in range(30)]
    )
    wooden = lid in ("#b98a52",)
    markup = (
        path(body, round_shade(c, look.main, gloss=0.45, depth=0.42))
        + path(body, c.down((0, "#000000", 0.28), (0.1, "#000000", 0), (0.85, "#000000", 0), (1, "#000000", 0.2)))
        + curved_label(c, look, half=half, top=-168, bottom=-34, tilt=tilt, share=0.74, paper=look.paper)
        + path(cover, round_shade(c, lid, gloss=0.36, depth=0.48))
        + (path(cover, c.texture("wood")) if wooden else ribs)
        + top
        + (ellipse(0, -286, half + 8, (half + 8) * tilt, c.texture("wood")) if wooden else "")
        + ellipse(0, -286, half + 4, (half + 4) * tilt, "none", 'stroke="#ffffff" stroke-opacity="0.4" stroke-width="2"')
        + streak(c, -half + 16, -186, -14, 30, 0.5)
    )
    return Drawing(markup, path(body) + path(cover) + ellipse(0, -286, half + 8, (half + 8) * tilt, "#000"), 2 * half + 16, 312, 26, True, 0.6)


def tin(c: Canvas, look: Look) -> Drawing:
    half, tilt = 124, 0.15
    lid = look.second if contrast(look.second, look.main) > 0.18 else "#c9a463"
    body = drum(half, -330, 0, tilt=tilt)
    cover = drum(half + 5, -392, -326, tilt=tilt)
    w = half * 1.5
    ring = "".join(
        f'<circle cx="{(half - 6) * sin(a):.1f}" cy="{at + half * tilt * cos(a):.1f}" r="{5.5 * cos(a):.1f}" fill="{lid}"/>'
        for at in (-304, -24)
        for a in [(-72 + 12 * i) * pi / 180 for i in range(13)]
    )
    markup = (
        path(body, look.main)
        + printed(c, look, x=-w / 2, y=-272, w=w, h=232, paper=look.main, tint=lid)
        + ring
        + path(body, c.linear((0, "#0d0906", 0.6), (0.12, "#0d0906", 0.1), (0.26, "#ffffff", 0.4), (0.42, "#ffffff", 0), (0.7, "#0d0906", 0.2), (0.92, "#0d0906", 0.56), (1, "#0d0906", 0.34)))
        + path(cover, metal_shade(c, lid))
        + ellipse(0, -392, half + 5, (half + 5) * tilt, c.linear((0, lighter(lid, 0.6)), (1, lid)))
        + ellipse(0, -392, half - 14, (half - 14) * tilt, "none", f'stroke="{darker(lid, 0.3)}" stroke-width="2" stroke-opacity="0.5"')
        + streak(c, -half + 12, -318, -6, 22, 0.35)
    )
    return Drawing(markup, path(body) + path(cover) + ellipse(0, -392, half + 5, (half + 5) * tilt, "#000"), 2 * half + 10, 412, 20, True, 0.6)


def pouch(c: Canvas, look: Look) -> Drawing:
    kraft = look.variant == 0
    bag = look.main
    body = (
        "M-150 -470Q0 -462 150 -470L152 -428C146 -330 142 -180 160 -30C164 4 150 12 128 16Q0 34 -128 16"
        "C-150 12 -164 4 -160 -30C-142 -180 -146 -330 -152 -428z"
    )
    seal = "M-150 -470Q0 -462 150 -470L152 -424Q0 -414 -152 -424z"
    shade = c.linear(
        (0, "#0d0906", 0.52),
        (0.07, "#ffffff", 0.06),
        (0.2, "#ffffff", 0.30),
        (0.3, "#ffffff", 0.10),
        (0.5, "#ffffff", 0),
        (0.8, "#0d0906", 0.26),
        (0.93, "#ffffff", 0.05),
        (1, "#0d0906", 0.46),
    )
    folds = (
        stroke("M-118 -414C-96 -330 -104 -200 -132 -40", "#ffffff", 7, 0.16)
        + stroke("M122 -414C104 -300 112 -180 136 -40", "#000000", 8, 0.16)
        + stroke("M-128 -60Q0 -18 128 -60", "#000000", 5, 0.14)
        + stroke("M-132 -52Q0 -8 132 -52", "#ffffff", 3, 0.16)
    )
    w, h = 208.0, 250.0
    label = rect(-w / 2, -352, w, h, look.paper, r=8) + printed(
        c, look, x=-w / 2, y=-352, w=w, h=h, paper=look.paper, tint=look.second
    )
    label += rect(-w / 2, -352, w, h, c.linear((0, "#ffffff", 0.14), (0.5, "#ffffff", 0), (1, "#0d0906", 0.2)), r=8)
    markup = (
        path(body, bag)
        + (path(body, c.texture("felt")) if kraft else "")
        + path(body, shade)
        + path(body, c.down((0, "#000000", 0), (0.75, "#000000", 0), (1, "#000000", 0.34)))
        + folds
        + path(seal, "#000000", 'fill-opacity="0.2"')
        + "".join(stroke(f"M-149 {y}Q0 {y + 8} 149 {y}", "#000000", 1, 0.2) for y in range(-464, -428, 6))
        + stroke("M-152 -424Q0 -414 152 -424", "#ffffff", 2, 0.3)
        + f'<circle cx="0" cy="-394" r="9" fill="{darker(bag, 0.6)}"/>'
        + stroke("M-7 -389a9 9 0 0 0 14 0", "#ffffff", 1.6, 0.4)
        + label
    )
    return Drawing(markup, path(body), 324, 472, 24, True, 0.4)


def tube(c: Canvas, look: Look) -> Drawing:
    cap = "#f3efe8" if lightness(look.main) < 0.75 else look.second
    body = "M-108 -486L108 -486C104 -330 92 -170 86 -76H-86C-92 -170 -104 -330 -108 -486z"
    crimp = "M-110 -506H110V-480Q0 -474 -110 -480z"
    foot = drum(84, -84, 0, tilt=0.13)
    shoulder = "M-86 -84Q0 -72 86 -84L84 -62Q0 -50 -84 -62z"
    w = 158.0
    markup = (
        path(foot, round_shade(c, cap, gloss=0.45, depth=0.4))
        + "".join(
            stroke(f"M{84 * sin(a):.1f} {-72 + 11 * cos(a):.1f}v64", "#000000", 1.4, 0.12)
            for a in [(-80 + 8 * i) * pi / 180 for i in range(21)]
        )
        + path(shoulder, darker(look.main, 0.35))
        + path(body, round_shade(c, look.main, gloss=0.5, depth=0.34))
        + path(body, c.down((0, "#000000", 0.16), (0.14, "#000000", 0), (1, "#000000", 0)))
        + path(crimp, c.down((0, lighter(look.main, 0.3)), (1, darker(look.main, 0.2))))
        + "".join(stroke(f"M{x} -503v20", "#000000", 1.3, 0.16) for x in range(-104, 106, 8))
        + printed(c, look, x=-w / 2, y=-430, w=w, h=290, paper=look.main, tint=look.second)
        + path("M-82 -470h30L-46 -100h-24z", c.down((0, "#ffffff", 0.1), (0.3, "#ffffff", 0.5), (1, "#ffffff", 0.1)))
    )
    return Drawing(markup, path(body) + path(crimp) + path(foot), 220, 508, 12, True, 0.5)


def box(c: Canvas, look: Look) -> Drawing:
    """A carton seen over its near corner; the name reads on the broad left face."""
    left = "M-196 -330L70 -292V30L-196 -34z"
    right = "M70 -292L196 -336V-46L70 30z"
    top = "M-196 -330L-66 -366L196 -336L70 -292z"
    colour, stripe = look.main, look.second
    kraft = path(left + right + top, c.texture("felt", size=120), 'fill-opacity="0.6"') if lightness(colour) < 0.8 else ""
    # The left face is a shear: 266 wide, dropping 38 at the top and 64 at the foot.
    face_print = (
        f'<g transform="matrix(1 0.19 0 1 -196 -330)">'
        f"{printed(c, look, x=16, y=26, w=234, h=238, paper=colour, tint=stripe)}</g>"
    )
    markup = (
        path(top, c.linear((0, lighter(colour, 0.34)), (1, lighter(colour, 0.16))))
        + path(left, c.linear((0, lighter(colour, 0.16)), (0.5, colour), (1, darker(colour, 0.07)), along=(0, 0, 1, 0.6)))
        + path(right, c.linear((0, darker(colour, 0.34)), (1, darker(colour, 0.5)), along=(0, 0, 1, 0.8)))
        + kraft
        + path("M-2 -358.8L40 -354L-88 -314.6L-130 -320.6z", lighter(stripe, 0.2), 'fill-opacity="0.7"')
        + face_print
        + stroke("M70 -292V30", lighter(colour, 0.5), 2.2, 0.6)
        + stroke("M-196 -330L70 -292L196 -336", lighter(colour, 0.6), 1.8, 0.55)
        + path("M-196 -70L70 -14V30L-196 -34z", c.down((0, "#000000", 0), (1, "#000000", 0.16)))
    )
    return Drawing(
        markup,
        path("M-196 -330L-66 -366L196 -336V-46L70 30L-196 -34z"),
        392,
        366,
        30,
        True,
        0.3,
        foot=path("M-200 -40L70 34L206 -48L-60 -76z"),
    )


def soap(c: Canvas, look: Look) -> Drawing:
    """A bar wrapped in a paper sleeve, seen from above its front edge."""
    colour = look.main
    top = "M-176 -150C-170 -166 -150 -172 -130 -172H130C150 -172 170 -166 176 -150L210 -74C214 -62 206 -54 192 -54H-192C-206 -54 -214 -62 -210 -74z"
    front = "M-211 -70C-210 -58 -204 -54 -192 -54H192C204 -54 210 -58 211 -70V-14C211 4 202 14 186 14H-186C-202 14 -211 4 -211 -14z"
    sleeve_top = "M-92 -172H92L108 -54H-108z"
    sleeve_front = "M-108 -54H108V14H-108z"
    specks = "".join(
        ellipse(x, y, r, r * 0.6, darker(colour, 0.5), 'fill-opacity="0.35"')
        for x, y, r in _scatter(look, "specks", 60, -190, 190, -160, 4, 1.1, 3.0)
        if abs(x) > 112
    )
    paper = look.paper
    markup = (
        path(top, c.linear((0, lighter(colour, 0.5)), (0.5, lighter(colour, 0.2)), (1, colour), along=(0, 0, 1, 1)))
        + path(front, c.linear((0, lighter(colour, 0.1)), (0.35, colour), (1, darker(colour, 0.34))))
        + path(front, c.down((0, "#000000", 0.0), (0.5, "#000000", 0.06), (1, "#000000", 0.32)))
        + specks
        + path(sleeve_top, c.linear((0, lighter(paper, 0.2)), (1, darker(paper, 0.1))))
        + path(sleeve_front, c.linear((0, darker(paper, 0.08)), (1, darker(paper, 0.24))))
        + f'<g transform="translate(0 -54) scale(1 .66)">{printed(c, look, x=-92, y=-168, w=184, h=160, paper=paper, tint=look.second)}</g>'
        + stroke("M-211 -68Q0 -60 211 -68", "#ffffff", 2.4, 0.4)
        + rect(-108, -54, 216, 2, "#ffffff", 'fill-opacity="0.4"')
    )
    return Drawing(markup, path(top) + path(front), 422, 186, 16, True, 0.2)


def candle(c: Canvas, look: Look) -> Drawing:
    half, tilt = 122, 0.15
    wax, glass = lighter(look.main, 0.25), look.main
    body = drum(half, -262, 0, tilt=tilt, corner=22)
    inner = half - 10
    flame = "M0 -318C20 -288 15 -262 0 -256C-15 -262 -20 -288 0 -318z"
    markup = (
        path(body, round_shade(c, glass, gloss=0.5, depth=0.4), 'fill-opacity="0.96"')
        + ellipse(0, -262, half, half * tilt, darker(glass, 0.25))
        + ellipse(0, -240, inner, inner * tilt, c.radial((0, "#fff1cd"), (0.5, wax), (1, darker(wax, 0.22)), at=(0.5, 0.45), reach=0.62))
        + path(f"M{-half} -262A{half} {half * tilt:.1f} 0 0 0 {half} -262L{half} -240A{inner + 10} {inner * tilt:.1f} 0 0 1 {-half} -240z", round_shade(c, glass, gloss=0.55, depth=0.3), 'fill-opacity="0.72"')
        + stroke("M0 -240V-262", "#2a211a", 4)
        + ellipse(0, -286, 150, 150, c.radial((0, "#ffd98a", 0.62), (0.4, "#ffc76a", 0.2), (1, "#ffc76a", 0)))
        + path(flame, c.down((0, "#fff6d0"), (0.55, "#ffd56e"), (1, "#f08a24")))
        + path(body, c.radial((0, "#ffd48a", 0.5), (1, "#ffd48a", 0), at=(0.5, 0.08), reach=0.5))
        + curved_label(c, look, half=half, top=-200, bottom=-48, tilt=tilt, share=0.74, paper=look.paper)
        + ellipse(0, -262, half, half * tilt, "none", 'stroke="#ffffff" stroke-opacity="0.65" stroke-width="3"')
        + streak(c, -half + 12, -250, -12, 22, 0.6)
    )
    return Drawing(markup, path(body), 2 * half, 318, 20, True, 0.6)


# -- tableware, paper, home --------------------------------------------------------------------


def mug(c: Canvas, look: Look) -> Drawing:
    half, tilt = 136, 0.19
    body = (
        f"M{-half} -250L{-half + 14} -44C{-half + 18} -6 {-half + 44} 14 {-half + 70} 18Q0 30 {half - 70} 18"
        f"C{half - 44} 14 {half - 18} -6 {half - 14} -44L{half} -250A{half} {half * tilt:.1f} 0 0 1 {-half} -250z"
    )
    handle = f"M{half - 6} -206C{half + 92} -232 {half + 92} -70 {half - 12} -66"
    dip = f"M{-half + 9} -108Q0 -70 {half - 9} -108L{half - 14} -44C{half - 18} -6 {half - 44} 14 {half - 70} 18Q0 30 {-half + 70} 18C{-half + 44} 14 {-half + 18} -6 {-half + 14} -44z"
    second = look.second if contrast(look.second, look.main) > 0.2 else "#f3efe6"
    specks = "".join(
        ellipse(x, y, r, r, darker(look.main, 0.6), 'fill-opacity="0.4"')
        for x, y, r in _scatter(look, "specks", 60, -half + 14, half - 14, -222, -10, 0.8, 2.3)
    )
    letters = fit(look.name, width=half * 1.34, height=84, face=look.face, largest=46)
    markup = (
        stroke(handle, darker(look.main, 0.3), 31)
        + stroke(handle, look.main, 24)
        + stroke(f"M{half - 4} -212C{half + 84} -236 {half + 88} -90 {half - 8} -72", lighter(look.main, 0.5), 6, 0.5)
        + path(body, round_shade(c, look.main, gloss=0.36))
        + path(dip, round_shade(c, second, gloss=0.3, depth=0.36))
        + specks
        + lettering(letters, x=0, y=-166, ink=ink_on(look.main, look.main), face=look.face, opacity=0.92)
        + ellipse(0, -250, half, half * tilt, lighter(second, 0.25))
        + ellipse(0, -248, half - 9, (half - 9) * tilt, darker(second, 0.3))
        + ellipse(0, -240, half - 18, (half - 22) * tilt, c.linear((0, "#6d4424"), (0.4, "#3a2314"), (1, "#29180d")))
        + ellipse(-30, -244, 52, 8, "#a97748", 'fill-opacity="0.55"')
        + streak(c, -half + 22, -226, -20, 26, 0.5)
    )
    outline = path(body) + f'<path d="{handle}" fill="none" stroke="#000" stroke-width="30"/>'
    return Drawing(markup, outline, 2 * half + 60, 276, 26, True, 0.5)


def bowl(c: Canvas, look: Look) -> Drawing:
    """A stack of two bowls on a plate."""
    markup, outline = "", ""
    for half, top, foot, tone in ((226, -34, 0, lighter(look.main, 0.1)), (176, -128, -30, look.main), (176, -186, -88, lighter(look.second, 0.1))):
        ry = half * 0.17
        body = f"M{-half} {top}C{-half + 8} {top + (foot - top) * 0.8} {-half * 0.5} {foot + 12} {-half * 0.4} {foot + 16}Q0 {foot + 24} {half * 0.4} {foot + 16}C{half * 0.5} {foot + 12} {half - 8} {top + (foot - top) * 0.8} {half} {top}A{half} {ry} 0 0 1 {-half} {top}z"
        markup += path(body, round_shade(c, tone, gloss=0.34, depth=0.44))
        markup += ellipse(0, top, half, ry, lighter(tone, 0.36))
        markup += ellipse(0, top + 3, half - 8, ry - 4, c.linear((0, darker(tone, 0.36)), (0.6, darker(tone, 0.06)), (1, lighter(tone, 0.2))))
        outline += path(body) + ellipse(0, top, half, ry, "#000")
    specks = "".join(
        ellipse(x, y, r, r, darker(look.main, 0.6), 'fill-opacity="0.3"') for x, y, r in _scatter(look, "specks", 46, -140, 140, -110, -60, 0.8, 2.2)
    )
    return Drawing(markup + specks, outline, 452, 216, 22, False, 0.5)


def notebook(c: Canvas, look: Look) -> Drawing:
    cover = "M-160 -452L128 -478C138 -479 146 -472 147 -462L184 -34C185 -24 178 -16 168 -15L-120 10C-130 11 -138 4 -139 -6L-176 -434C-177 -444 -170 -451 -160 -452z"
    pages = "M-136 4C-136 14 -128 20 -118 19L172 -6C182 -7 190 -16 190 -26L184 -40C184 -24 178 -16 168 -15L-120 10z"
    band_colour = look.second if contrast(look.second, look.main) > 0.16 else darker(look.main, 0.6)
    w, h = 216.0, 190.0
    print_ = f'<g transform="translate(-2 -262) rotate(-5)">{rect(-w / 2, -h / 2, w, h, look.paper, r=4)}{printed(c, look, x=-w / 2, y=-h / 2, w=w, h=h, paper=look.paper, tint=look.second)}</g>'
    markup = (
        path(pages, c.linear((0, "#f6f0e2"), (1, "#d9cfba")))
        + "".join(stroke(f"M-132 {8 + k * 3}L186 {-18 + k * 3}", "#8b7d64", 0.8, 0.35) for k in range(3))
        + path(cover, c.linear((0, lighter(look.main, 0.24)), (0.5, look.main), (1, darker(look.main, 0.26)), along=(0, 0, 1, 1)))
        + path(cover, c.texture("felt"), 'fill-opacity="0.7"')
        + path("M-160 -452L-130 -455L-92 7.6L-120 10C-130 11 -138 4 -139 -6L-176 -434C-177 -444 -170 -451 -160 -452z", "#000000", 'fill-opacity="0.16"')
        + stroke("M-129 -452L-91 4", "#ffffff", 1.6, 0.22)
        + print_
        + f'<path d="M92 -475L131 -12" stroke="{band_colour}" stroke-width="15" fill="none"/>'
        + stroke("M86 -474L125 -12", "#ffffff", 1.4, 0.2)
        + stroke("M-158 -449L130 -475", "#ffffff", 2, 0.3)
    )
    return Drawing(markup, path(cover) + path(pages), 366, 486, 16, True, 0.2)


def gift_card(c: Canvas, look: Look) -> Drawing:
    """Two cards leaning into each other, the near one lettered."""
    back = "M-150 -318L206 -372L244 -118L-112 -64z"
    front = "M-226 -262L150 -226L124 36L-252 0z"
    tint = look.main
    markup = (
        path(back, c.linear((0, lighter(look.second, 0.1)), (1, darker(look.second, 0.3))))
        + path(front, "#000000", 'fill-opacity="0.25" transform="translate(7 6)"')
        + path(front, c.linear((0, lighter(tint, 0.2)), (0.6, tint), (1, darker(tint, 0.22)), along=(0, 0, 1, 1)))
        + f"<g {c.clip(path(front))}>"
        + path("M-260 -60Q-90 -150 160 -60V60H-260z", look.second, 'fill-opacity="0.5"')
        + path("M-260 -10Q-60 -90 160 10V60H-260z", lighter(look.second, 0.3), 'fill-opacity="0.35"')
        + f'<g transform="translate(-52 -132) rotate(5.5)">{lettering(fit(look.name, width=300, height=150, face=look.face, largest=64), x=0, y=-14, ink=ink_on(tint, tint), face=look.face)}</g>'
        + "</g>"
        + stroke("M-226 -262L150 -226", "#ffffff", 2, 0.5)
    )
    return Drawing(markup, path(back) + path(front), 496, 372, 18, True, 0.4)


def pot(c: Canvas, look: Look) -> Drawing:
    half, tilt = 132, 0.16
    body = f"M{-half + 4} -214L{-half + 34} -6A{half - 34} {(half - 34) * tilt:.1f} 0 0 0 {half - 34} -6L{half - 4} -214z"
    rim = drum(half + 6, -258, -206, tilt=tilt)
    chance = look.chance("leaves")
    leaves = ""
    leaf_outline = ""
    greens = ("#4f7a45", "#3d6a45", "#6b8f4e", "#2f5a3f")
    for k in range(13):
        turn = -76 + k * 12.7 + chance.uniform(-5, 5)
        long = 236 - abs(turn) * 1.1 + chance.uniform(-18, 18)
        wide = long * chance.uniform(0.13, 0.19)
        d = f"M0 0C{-wide:.0f} {-long * 0.35:.0f} {-wide:.0f} {-long * 0.75:.0f} 0 {-long:.0f}C{wide:.0f} {-long * 0.75:.0f} {wide:.0f} {-long * 0.35:.0f} 0 0z"
        green = greens[chance.randrange(4)]
        move = f'transform="translate({turn * 0.5:.0f} -256) rotate({turn:.0f})"'
        leaves += path(d, c.linear((0, lighter(green, 0.34)), (0.48, green), (0.52, darker(green, 0.3)), (1, darker(green, 0.12))), move)
        leaf_outline += f'<path d="{d}" {move}/>'
    letters = fit(look.name, width=half * 1.2, height=92, face=look.face, largest=40)
    markup = (
        ellipse(0, -258, half + 6, (half + 6) * tilt, "#2c2119")
        + leaves
        + path(body, round_shade(c, look.main, gloss=0.26, depth=0.46))
        + path(body, c.texture("stone", size=180), 'fill-opacity="0.5"')
        + path(body, c.down((0, "#000000", 0.4), (0.16, "#000000", 0), (1, "#000000", 0.1)))
        + lettering(letters, x=0, y=-104, ink=ink_on(look.main, look.main), face=look.face, opacity=0.86)
        + path(rim, round_shade(c, lighter(look.main, 0.05), gloss=0.32, depth=0.44))
        + path(rim, c.texture("stone", size=180), 'fill-opacity="0.5"')
    )
    return Drawing(markup, path(body) + path(rim) + leaf_outline, 320, 470, 18, True, 0.2)


def lamp(c: Canvas, look: Look) -> Drawing:
    shade = "M-104 -470H104L166 -268Q0 -240 -166 -268z"
    foot = drum(92, -16, 0, tilt=0.16)
    metal = look.second if contrast(look.second, look.main) > 0.15 else "#b8693d"
    glow = "#ffe2ad"
    markup = (
        rect(-8, -270, 16, 256, metal_shade(c, metal))
        + path(foot, metal_shade(c, metal))
        + ellipse(0, -16, 92, 14.7, lighter(metal, 0.3))
        + rect(-8, -60, 16, 46, metal_shade(c, metal))
        + ellipse(0, -236, 230, 130, c.radial((0, glow, 0.55), (1, glow, 0)))
        + path(shade, round_shade(c, look.main, gloss=0.3, depth=0.3))
        + path(shade, c.radial((0, glow, 0.85), (0.5, glow, 0.4), (1, glow, 0), at=(0.5, 0.75), reach=0.6))
        + path(shade, c.texture("weave", size=150), 'fill-opacity="0.5"')
        + stroke("M-166 -268Q0 -240 166 -268", darker(look.main, 0.4), 4, 0.5)
        + stroke("M-104 -470H104", lighter(look.main, 0.5), 3, 0.7)
    )
    return Drawing(markup, path(shade) + path(foot) + rect(-8, -270, 16, 256, "#000"), 332, 470, 14, False, 0.5)


def cushion(c: Canvas, look: Look) -> Drawing:
    body = (
        "M-206 -360C-140 -338 140 -338 206 -360C226 -366 238 -352 232 -332C208 -250 208 -112 232 -34"
        "C238 -12 224 2 204 -4C138 -26 -138 -26 -204 -4C-224 2 -238 -12 -232 -34C-208 -112 -208 -250 -232 -332"
        "C-238 -352 -226 -366 -206 -360z"
    )
    second = look.second if contrast(look.second, look.main) > 0.12 else lighter(look.main, 0.6)
    pattern = ""
    if look.variant in (0, 1):
        pattern = "".join(stroke(f"M{x} -352Q{x * 0.86:.0f} -182 {x} -12", second, 7 if look.variant else 3.4, 0.75) for x in range(-180, 200, 40 if look.variant else 20))
    elif look.variant == 2:
        pattern = "".join(
            path(f"M{x} {y - 22}L{x + 18} {y}L{x} {y + 22}L{x - 18} {y}z", second, 'fill-opacity="0.7"') for x in range(-168, 200, 56) for y in range(-308, -30, 62)
        )
    markup = (
        path(body, look.main)
        + f"<g {c.clip(path(body))}>{pattern}</g>"
        + path(body, c.texture("weave", size=170), 'fill-opacity="0.6"')
        + path(body, c.radial((0, "#ffffff", 0.30), (0.5, "#ffffff", 0.02), (0.78, "#0d0906", 0.2), (1, "#0d0906", 0.62), at=(0.4, 0.34), reach=0.68))
        + stroke("M-222 -350C-190 -322 -150 -300 -112 -290M222 -350C190 -322 160 -304 126 -296M-222 -16C-186 -46 -150 -62 -116 -70M222 -16C186 -46 156 -58 122 -66", "#000000", 9, 0.1)
        + stroke("M-204 -2C-138 -24 138 -24 204 -2", "#000000", 3, 0.25)
        + stroke("M-206 -358C-140 -336 140 -336 206 -358", "#ffffff", 2, 0.35)
    )
    return Drawing(markup, path(body), 468, 366, 10, False, 0.1)


def sofa(c: Canvas, look: Look) -> Drawing:
    colour = look.main
    wide = 190 if "chair" in look.name.lower() or "stool" in look.name.lower() else 300
    seats = 2 if wide == 300 else 1
    back = f"M{-wide + 20} -300C{-wide + 20} -322 {-wide + 34} -334 {-wide + 56} -334H{wide - 56}C{wide - 34} -334 {wide - 20} -322 {wide - 20} -300V-120H{-wide + 20}z"
    base = rect(-wide + 10, -120, 2 * wide - 20, 74, c.down((0, darker(colour, 0.12)), (1, darker(colour, 0.42))), r=10)
    parts = path(back, c.down((0, lighter(colour, 0.16)), (1, darker(colour, 0.24))))
    parts += base
    room = (2 * wide - 110) / seats
    for k in range(seats):
        x = -wide + 55 + k * room
        parts += rect(x + 3, -292, room - 6, 148, c.radial((0, lighter(colour, 0.24)), (0.7, colour), (1, darker(colour, 0.32)), at=(0.4, 0.3), reach=0.8), r=26)
        parts += rect(x + 1, -166, room - 2, 66, c.down((0, lighter(colour, 0.3)), (0.4, lighter(colour, 0.04)), (1, darker(colour, 0.34))), r=20)
    for side in (-1, 1):
        x = side * (wide - 34)
        parts += rect(x - 38, -216, 76, 172, c.linear((0, lighter(colour, 0.2)), (0.4, colour), (1, darker(colour, 0.4))), r=32)
        parts += rect(x - 20, -46, 15, 46, darker("#8a5a36", 0.1), r=3) + rect(x + 6, -46, 15, 46, darker("#8a5a36", 0.4), r=3)
    pillow = look.second if contrast(look.second, colour) > 0.15 else lighter(colour, 0.6)
    parts += f'<g transform="translate({-wide + 118} -206) rotate(-9)">{rect(-52, -52, 104, 100, c.radial((0, lighter(pillow, 0.3)), (0.7, pillow), (1, darker(pillow, 0.4)), at=(0.4, 0.35), reach=0.75), r=20)}</g>'
    solid = path(back) + rect(-wide + 10, -140, 2 * wide - 20, 94, "#000") + rect(-wide - 4, -216, 76, 216, "#000", r=32) + rect(wide - 72, -216, 76, 216, "#000", r=32)
    return Drawing(parts + f'<g fill-opacity="0.5">{_fill(solid, c.texture("weave", size=150))}</g>', solid, 2 * wide + 8, 334, 14, False, 0.1)


def table(c: Canvas, look: Look) -> Drawing:
    """A small chest with two drawers on tapered legs."""
    wood = look.main
    top = "M-226 -318L-186 -352H186L226 -318z"
    drawers = ""
    for y in (-294, -196):
        drawers += rect(-204, y, 408, 88, c.linear((0, lighter(wood, 0.14)), (1, darker(wood, 0.16)), along=(0, 0, 1, 0.5)), r=4)
        drawers += rect(-204, y + 85, 408, 4, "#000000", 'fill-opacity="0.3"')
        drawers += rect(-46, y + 36, 92, 12, metal_shade(c, "#c9a463"), r=6)
    carcass = rect(-222, -318, 444, 224, c.linear((0, darker(wood, 0.04)), (1, darker(wood, 0.34))), r=6)
    legs = "".join(path(f"M{x} -96h34l{-12 * s} 96h-14z", c.linear((0, lighter(wood, 0.1)), (1, darker(wood, 0.5)))) for x, s in ((-206, 0.4), (172, 1.2)))
    grain = path("M-222 -318H222V-94H-222z", c.texture("wood", size=300)) + path(top, c.texture("wood", size=300))
    markup = legs + carcass + drawers + path(top, c.linear((0, lighter(wood, 0.42)), (1, lighter(wood, 0.12)))) + grain
    markup += rect(-226, -320, 452, 5, lighter(wood, 0.4), 'fill-opacity="0.6"')
    outline = rect(-222, -318, 444, 224, "#000") + path(top) + path("M-206 -96h34l-6 96h-14zM172 -96h34l-14 96h-14z")
    return Drawing(markup, outline, 452, 352, 10, False, 0.1)


# -- materials ---------------------------------------------------------------------------------


def fabric(c: Canvas, look: Look) -> Drawing:
    """Three bolts, stacked, their rolled ends towards the viewer at the right."""
    second = look.second if contrast(look.second, look.main) > 0.12 else lighter(look.main, 0.5)
    markup, outline = "", ""
    r = 66
    for x, y, colour, long in ((-216, -r, look.main, 400), (-180, -r, second, 0), (-196, -r * 2.86, second, 372), (-170, -r * 4.7, mix(look.main, second, 0.5), 330)):
        if not long:
            continue
        end = x + long
        shade = c.down((0, darker(colour, 0.3)), (0.1, lighter(colour, 0.06)), (0.28, lighter(colour, 0.34)), (0.5, colour), (0.82, darker(colour, 0.34)), (1, darker(colour, 0.56)))
        roll = f"M{x} {y - r}H{end}V{y + r}H{x}A26 {r} 0 0 1 {x} {y - r}z"
        markup += path(roll, shade) + path(roll, c.texture("weave", size=130), 'fill-opacity="0.75"')
        markup += ellipse(end, y, 30, r, c.linear((0, darker(colour, 0.1)), (1, lighter(colour, 0.2))))
        spiral = "".join(ellipse(end, y, 30 - k * 3.2, r - k * 7.2, "none", f'stroke="{darker(colour, 0.5)}" stroke-width="1.5" stroke-opacity="0.5"') for k in range(1, 7))
        markup += spiral + ellipse(end, y, 10, 21, "#c8a878") + ellipse(end + 1, y, 6, 14, "#3a2a1c")
        markup += path(f"M{x + 40} {y - r}h{long * 0.16:.0f}v{r * 1.2:.0f}q{-long * 0.08:.0f} 8 {-long * 0.16:.0f} 0z", "#ffffff", 'fill-opacity="0.06"')
        outline += path(roll) + ellipse(end, y, 30, r, "#000")
    loose = f"M-216 {-r * 0.2}C-190 {r * 0.6} -150 {r - 2} -60 {r + 2}C40 {r + 6} 120 {r} 196 {r - 6}L184 {r - 30}H-200z"
    markup += path(loose, c.down((0, darker(look.main, 0.4)), (1, darker(look.main, 0.1)))) + path(loose, c.texture("weave", size=130), 'fill-opacity="0.75"')
    w, h = 168.0, 96.0
    tag = rect(-96, -r * 2.86 - h / 2, w, h, look.paper, r=3) + printed(c, replace(look, variant=2), x=-96, y=-r * 2.86 - h / 2, w=w, h=h, paper=look.paper, tint=darker(look.main, 0.3))
    tag += rect(-96, -r * 2.86 - h / 2, w, h, c.down((0, "#0d0906", 0.14), (0.3, "#ffffff", 0.16), (1, "#0d0906", 0.2)), r=3)
    return Drawing(f'<g transform="translate(0 {-8})">{markup}{tag}</g>', f'<g transform="translate(0 -8)">{outline}</g>', 460, 384, 8, True, 0.1)


def board(c: Canvas, look: Look) -> Drawing:
    """Three panels leaning in a fan, their thick edges showing."""
    kind: Texture = "wood" if look.variant % 2 else "felt"
    markup, outline = "", ""
    for k, (x, lean, tone) in enumerate(((64, 58, darker(look.main, 0.16)), (0, 30, lighter(look.second if contrast(look.second, look.main) < 0.3 else look.main, 0.12)), (-72, 0, look.main))):
        face = f"M{x - 150} -430L{x + 122 + lean * 0.2:.0f} {-404 + lean * 0.1:.0f}L{x + 122 + lean * 0.2:.0f} 16L{x - 150} -8z"
        edge = f"M{x + 122 + lean * 0.2:.0f} {-404 + lean * 0.1:.0f}l42 -16V-4L{x + 122 + lean * 0.2:.0f} 16z"
        top = f"M{x - 150} -430l42 -16L{x + 164 + lean * 0.2:.0f} {-420 + lean * 0.1:.0f}l-42 16z"
        markup += path(face, c.linear((0, lighter(tone, 0.22)), (0.6, tone), (1, darker(tone, 0.16)), along=(0, 0, 1, 0.8)))
        markup += path(face, c.texture(kind, size=260 + k * 30))
        markup += path(edge, darker(tone, 0.42)) + path(edge, c.texture("felt", size=110))
        markup += path(top, lighter(tone, 0.42)) + path(top, c.texture("felt", size=110), 'fill-opacity="0.6"')
        markup += stroke(f"M{x + 122 + lean * 0.2:.0f} {-404 + lean * 0.1:.0f}V16", lighter(tone, 0.5), 1.6, 0.5)
        outline += path(face) + path(edge) + path(top)
    w, h = 196.0, 132.0
    tag = f'<g transform="matrix(1 0.09 0 1 -196 -300)">{rect(0, 0, w, h, look.paper, r=3)}{printed(c, replace(look, variant=look.variant if look.variant != 1 else 2), x=0, y=0, w=w, h=h, paper=look.paper, tint=darker(look.main, 0.35))}</g>'
    return Drawing(markup + tag, outline, 470, 446, 16, True, 0.1)


def block(c: Canvas, look: Look) -> Drawing:
    """Building blocks, two and one on top, open-pored."""
    markup, outline = "", ""
    for x, y, w, tone in ((-236, 0, 228, darker(look.main, 0.05)), (8, 0, 210, look.main), (-136, -148, 228, lighter(look.main, 0.06))):
        front = f"M{x} {y - 140}h{w}v148h{-w}z"
        side = f"M{x + w} {y - 140}l58 -34v140l-58 42z"
        top = f"M{x} {y - 140}l58 -34h{w}l-58 34z"
        markup += path(front, c.linear((0, lighter(tone, 0.2)), (1, darker(tone, 0.08)), along=(0, 0, 1, 1))) + path(front, c.texture("felt", size=150))
        markup += path(side, c.linear((0, darker(tone, 0.36)), (1, darker(tone, 0.5)))) + path(side, c.texture("felt", size=150))
        markup += path(top, lighter(tone, 0.4)) + path(top, c.texture("felt", size=150))
        pores = "".join(
            ellipse(px, py, r * 1.5, r, darker(tone, 0.62), 'fill-opacity="0.4"')
            for px, py, r in _scatter(look, f"pores{x}", 52, x + 8, x + w - 8, y - 132, y, 0.9, 3.2)
        )
        straws = "".join(stroke(f"M{px:.0f} {py:.0f}l{r * 7:.0f} {r * 3 - 5:.0f}", lighter(tone, 0.6), 2.2, 0.5) for px, py, r in _scatter(look, f"straw{x}", 22, x + 8, x + w - 30, y - 130, y - 8, 0.9, 3))
        markup += pores + straws + stroke(f"M{x} {y - 140}h{w}l58 -34", lighter(tone, 0.6), 1.6, 0.4)
        outline += path(front) + path(side) + path(top)
    w, h = 176.0, 108.0
    tag = rect(-110, -272, w, h, look.paper, r=3) + printed(c, replace(look, variant=2), x=-110, y=-272, w=w, h=h, paper=look.paper, tint=darker(look.main, 0.4))
    return Drawing(markup + tag, outline, 520, 322, 14, True, 0.1)


def rope(c: Canvas, look: Look) -> Drawing:
    """A coil of twisted rope with a paper band, its end running out over the floor."""
    colour = look.main
    markup = path(drum(170, -216, -10, tilt=0.15), round_shade(c, darker(colour, 0.55), gloss=0.1))
    outline = path(drum(170, -216, 0, tilt=0.15))
    for k in range(5):
        y, half = -k * 46, 176 - (k % 2) * 7
        turn = f"M{-half} {y - 40}C{-half - 16} {y - 12} {-half + 30} {y + 22} 0 {y + 26}C{half - 30} {y + 22} {half + 16} {y - 12} {half} {y - 40}C{half - 30} {y - 14} {half * 0.4:.0f} {y - 8} 0 {y - 8}C{-half * 0.4:.0f} {y - 8} {-half + 30} {y - 14} {-half} {y - 40}z"
        shade = c.down((0, darker(colour, 0.3)), (0.35, lighter(colour, 0.24)), (0.6, colour), (1, darker(colour, 0.52)))
        strands = "".join(stroke(f"M{x} {y - 36}q14 34 22 60", darker(colour, 0.5), 3, 0.42) for x in range(-half - 20, half + 10, 17))
        markup_turn = path(turn, shade) + f"<g {c.clip(path(turn))}>{strands}</g>" + path(turn, c.linear((0, "#000000", 0.42), (0.25, "#ffffff", 0.14), (0.6, "#000000", 0), (1, "#000000", 0.5)))
        markup += markup_turn
        outline += path(turn)
    top_y = -4 * 46 - 40
    markup += ellipse(0, top_y + 4, 172, 30, darker(colour, 0.2))
    for ring, at in ((160, 0.1), (128, 0.28), (96, 0.42)):
        markup += ellipse(0, top_y + 2, ring, ring * 0.17, "none", f'stroke="{lighter(colour, 0.22 - at * 0.3)}" stroke-width="22"')
        markup += ellipse(0, top_y + 2, ring, ring * 0.17, "none", f'stroke="{darker(colour, 0.5)}" stroke-width="21" stroke-dasharray="3 11" stroke-opacity="0.4"')
    markup += ellipse(0, top_y + 3, 70, 11, darker(colour, 0.75))
    outline += ellipse(0, top_y + 4, 176, 34, "#000")
    tail = "M150 4C210 26 250 18 292 30"
    rope_end = f'<path d="{tail}" fill="none" stroke="{darker(colour, 0.35)}" stroke-width="26" stroke-linecap="round"/><path d="{tail}" fill="none" stroke="{lighter(colour, 0.1)}" stroke-width="19" stroke-linecap="round"/><path d="{tail}" fill="none" stroke="{darker(colour, 0.5)}" stroke-width="19" stroke-dasharray="3 10" stroke-opacity="0.45"/>'
    paper_band = f"M-70 {top_y + 28}Q0 {top_y + 36} 70 {top_y + 28}V22Q0 30 -70 22z"
    markup = rope_end + markup + path(paper_band, look.paper) + path(paper_band, c.linear((0, "#0d0906", 0.12), (0.3, "#ffffff", 0.2), (1, "#0d0906", 0.16)))
    letters = fit(look.name, width=124, height=150, face=look.face, largest=34)
    markup += lettering(letters, x=0, y=-92, ink=ink_on(look.paper, darker(colour, 0.3)), face=look.face)
    return Drawing(markup, outline, 420, 260, 22, True, 0.1)


def spool(c: Canvas, look: Look) -> Drawing:
    """A reel standing on its rim, wound full, its hub towards the viewer."""
    r = 196
    dark = "#24262a"
    thread = "".join(
        f'<circle cx="34" cy="{-r}" r="{q}" fill="none" stroke="{darker(look.main, 0.35)}" stroke-width="1.2" stroke-opacity="0.3"/>' for q in range(100, 178, 5)
    )
    markup = (
        f'<circle cx="62" cy="{-r}" r="{r}" fill="{c.linear((0, lighter(dark, 0.2)), (1, darker(dark, 0.4)))}"/>'
        + path(f"M0 {-r - 178}H58V{-r + 178}H0z", look.main)
        + f'<circle cx="48" cy="{-r}" r="178" fill="{c.down((0, lighter(look.main, 0.5)), (0.3, look.main), (0.7, darker(look.main, 0.3)), (1, darker(look.main, 0.6)))}"/>'
        + thread
        + f'<circle cx="0" cy="{-r}" r="{r}" fill="{c.linear((0, lighter(dark, 0.28)), (0.4, dark), (1, darker(dark, 0.35)), along=(0, 0, 1, 1))}"/>'
        + f'<circle cx="0" cy="{-r}" r="{r - 2}" fill="none" stroke="#ffffff" stroke-opacity="0.25" stroke-width="2"/>'
    )
    for k in range(6):
        a = (k * 60 + 12) * pi / 180
        markup += f'<circle cx="{cos(a) * 132:.1f}" cy="{-r + sin(a) * 132:.1f}" r="36" fill="{c.linear((0, lighter(look.main, 0.2)), (1, darker(look.main, 0.3)))}"/>'
    letters = fit(look.name, width=118, height=76, face=look.face, largest=30)
    markup += f'<circle cx="0" cy="{-r}" r="78" fill="{c.linear((0, lighter(look.paper, 0.2)), (1, darker(look.paper, 0.12)))}"/>'
    markup += lettering(letters, x=0, y=-r, ink=ink_on(look.paper, look.main), face=look.face)
    outline = f'<circle cx="0" cy="{-r}" r="{r}"/><circle cx="62" cy="{-r}" r="{r}"/>'
    return Drawing(markup, outline, 456, 2 * r, 6, True, 0.4)


# -- worn and carried --------------------------------------------------------------------------


def tote(c: Canvas, look: Look) -> Drawing:
    colour = look.main
    body = "M-168 -322Q0 -308 168 -322L194 -14Q0 12 -194 -14z"
    ink = ink_on(colour, look.second)
    letters = fit(look.name, width=232, height=112, face=look.face, largest=62)
    strap_back = "M-84 -318C-84 -480 -46 -520 0 -520S84 -480 84 -318"
    strap = "M-98 -306C-98 -500 -54 -542 0 -542S98 -500 98 -306"
    markup = (
        f'<path d="{strap_back}" fill="none" stroke="{darker(colour, 0.38)}" stroke-width="19"/>'
        + path(body, c.linear((0, darker(colour, 0.2)), (0.18, lighter(colour, 0.26)), (0.55, colour), (1, darker(colour, 0.3))))
        + path(body, c.texture("weave", size=150), 'fill-opacity="0.8"')
        + path("M-160 -300C-150 -200 -176 -110 -168 -20L-120 -8C-140 -110 -110 -210 -124 -300z", "#ffffff", 'fill-opacity="0.13"')
        + path("M66 -312C84 -220 60 -120 92 -4L130 -8C96 -110 116 -220 100 -312z", "#000000", 'fill-opacity="0.09"')
        + path("M-50 -310C-34 -250 -60 -190 -44 -120C-56 -190 -70 -250 -62 -310z", "#000000", 'fill-opacity="0.10"')
        + stroke("M-167 -296Q0 -282 167 -296", darker(colour, 0.5), 2, 0.55, 'stroke-dasharray="6 5"')
        + f'<path d="{strap}" fill="none" stroke="{darker(colour, 0.14)}" stroke-width="20"/>'
        + f'<path d="{strap}" fill="none" stroke="{lighter(colour, 0.3)}" stroke-width="4" stroke-opacity="0.5" transform="translate(-5 -3)"/>'
        + "".join(rect(x - 13, -322, 26, 46, darker(colour, 0.12)) + stroke(f"M{x - 8} -312l16 28M{x + 8} -312l-16 28", darker(colour, 0.5), 1.6, 0.5) for x in (-98, 98))
        + mark(0, -208, 44, ink, look)
        + lettering(letters, x=0, y=-92, ink=ink, face=look.face)
        + path(body, c.down((0.7, "#000000", 0), (1, "#000000", 0.2)))
    )
    outline = path(body) + f'<path d="{strap}" fill="none" stroke="#000" stroke-width="20"/>'
    return Drawing(markup, outline, 388, 552, 10, True, 0.1)


def backpack(c: Canvas, look: Look) -> Drawing:
    colour = look.main
    second = look.second if contrast(look.second, colour) > 0.14 else darker(colour, 0.4)
    body = "M-150 -330C-150 -440 -90 -486 0 -486S150 -440 150 -330L164 -50C166 -14 146 6 116 8H-116C-146 6 -166 -14 -164 -50z"
    pocket = "M-118 -214C-118 -226 -108 -232 -96 -232H96C108 -232 118 -226 118 -214L124 -50C124 -32 114 -24 98 -24H-98C-114 -24 -124 -32 -124 -50z"
    letters = fit(look.name, width=176, height=92, face=look.face, largest=40)
    markup = (
        f'<path d="M-40 -480C-40 -530 40 -530 40 -480" fill="none" stroke="{darker(colour, 0.4)}" stroke-width="17"/>'
        + path(body, c.linear((0, darker(colour, 0.42)), (0.14, lighter(colour, 0.1)), (0.3, lighter(colour, 0.26)), (0.55, colour), (0.9, darker(colour, 0.4)), (1, darker(colour, 0.52))))
        + path(body, c.texture("weave", size=150), 'fill-opacity="0.8"')
        + stroke("M-140 -330C-130 -420 -80 -452 0 -452S130 -420 140 -330", darker(colour, 0.6), 5, 0.6)
        + stroke("M-140 -336C-130 -426 -80 -458 0 -458S130 -426 140 -336", lighter(colour, 0.5), 2, 0.35)
        + path(pocket, c.linear((0, darker(second, 0.1)), (0.3, lighter(second, 0.22)), (1, darker(second, 0.3))))
        + path(pocket, c.texture("weave", size=150), 'fill-opacity="0.7"')
        + stroke("M-112 -196H112", darker(second, 0.6), 4, 0.6)
        + rect(84, -200, 9, 34, metal_shade(c, "#c9a463"), r=4)
        + lettering(letters, x=0, y=-110, ink=ink_on(second, second), face=look.face)
        + path(body, c.down((0.72, "#000000", 0), (1, "#000000", 0.26)))
    )
    return Drawing(markup, path(body), 330, 530, 10, True, 0.1)


def _garment(c: Canvas, look: Look, body: str, folds: str, extra: str, *, width: float, height: float, seams: str = "") -> Drawing:
    """Cloth hung in the air: volume from the left light, folds, a weave, stitched seams."""
    colour = look.main
    markup = (
        path(body, c.linear((0, darker(colour, 0.3)), (0.22, lighter(colour, 0.16)), (0.42, lighter(colour, 0.06)), (0.66, darker(colour, 0.06)), (1, darker(colour, 0.42))))
        + path(body, c.texture("weave", size=140), 'fill-opacity="0.55"')
        + f"<g {c.clip(path(body))}>{folds}</g>"
        + stroke(seams, darker(colour, 0.5), 2, 0.45)
        + extra
        + path(body, c.down((0.6, "#000000", 0), (1, "#000000", 0.2)))
    )
    return Drawing(markup, path(body), width, height, 6, False, 0.1)


def _folds(*lines: tuple[str, float, float]) -> str:
    """Dark folds, each with its lit neighbour."""
    return "".join(
        stroke(d, "#000000", width, strength) + stroke(d, "#ffffff", width * 0.6, strength * 0.7, f'transform="translate({-width * 0.8:.1f} 0)"')
        for d, width, strength in lines
    )


def tee(c: Canvas, look: Look) -> Drawing:
    colour = look.main
    body = (
        "M-76 -470C-50 -440 50 -440 76 -470L128 -450C176 -428 214 -360 236 -292L164 -252L136 -300"
        "C140 -190 142 -90 146 -16Q0 6 -146 -16C-142 -90 -140 -190 -136 -300L-164 -252L-236 -292C-214 -360 -176 -428 -128 -450z"
    )
    second = look.second if contrast(look.second, colour) > 0.2 else ink_on(colour, colour)
    extra = (
        path("M-76 -470C-50 -440 50 -440 76 -470L62 -476C40 -456 -40 -456 -62 -476z", darker(colour, 0.46))
        + stroke("M-78 -468C-52 -432 52 -432 78 -468", darker(colour, 0.36), 9, 0.5)
        + stroke("M-78 -468C-52 -434 52 -434 78 -468", lighter(colour, 0.3), 2, 0.5)
        + mark(0, -300, 58, second, look)
    )
    folds = _folds(
        ("M-132 -296C-100 -220 -120 -120 -92 -20", 13, 0.10),
        ("M132 -296C104 -230 118 -130 84 -14", 14, 0.12),
        ("M30 -190C20 -130 44 -60 30 0", 10, 0.07),
        ("M-30 -170C-40 -110 -20 -60 -34 0", 9, 0.06),
        ("M-128 -440C-110 -380 -126 -340 -136 -300", 8, 0.14),
        ("M128 -440C110 -380 126 -340 136 -300", 8, 0.16),
    )
    seams = "M-144 -30Q0 -8 144 -30M-228 -304L-170 -268M228 -304L170 -268"
    return _garment(c, look, body, folds, extra, width=472, height=476, seams=seams)


def shirt(c: Canvas, look: Look) -> Drawing:
    """Long sleeves; a collar and buttons, a zip or a hood, by the product's variant."""
    colour = look.main
    body = (
        "M-78 -486C-50 -460 50 -460 78 -486L132 -462C176 -440 196 -330 232 -80L176 -58C160 -160 148 -240 134 -304"
        "C138 -190 142 -90 146 -8Q0 14 -146 -8C-142 -90 -138 -190 -134 -304C-148 -240 -160 -160 -176 -58L-232 -80"
        "C-196 -330 -176 -440 -132 -462z"
    )
    name = look.name.lower()
    hooded = "hood" in name or "parka" in name or "sweatshirt" in name
    knitted = any(word in name for word in ("jumper", "sweater", "knit", "cardigan", "pullover"))
    dark = darker(colour, 0.55)
    neck = path("M-78 -486C-50 -456 50 -456 78 -486L60 -492C40 -474 -40 -474 -60 -492z", darker(colour, 0.5))
    if hooded:
        extra = path("M-92 -474C-84 -540 84 -540 92 -474C60 -420 -60 -420 -92 -474z", c.down((0, lighter(colour, 0.12)), (1, darker(colour, 0.3))))
        extra += path("M-58 -478C-50 -512 50 -512 58 -478C36 -444 -36 -444 -58 -478z", darker(colour, 0.62))
        extra += stroke("M-34 -446C-40 -410 -30 -390 -36 -360M34 -446C40 -410 32 -396 38 -350", lighter(colour, 0.6), 5, 0.8)
        extra += stroke("M-92 -150L-70 -70H70L92 -150z", dark, 2.4, 0.5)
    elif knitted:
        extra = neck + stroke("M-80 -484C-52 -446 52 -446 80 -484", darker(colour, 0.3), 18, 0.6)
        extra += "".join(stroke(f"M{x} -440V-34", darker(colour, 0.5), 2.2, 0.2) for x in range(-120, 130, 15))
        extra += rect(-146, -42, 292, 46, "#000000", 'fill-opacity="0.12"')
    else:
        collar = "M-78 -486L-22 -440L-46 -398L-104 -456zM78 -486L22 -440L46 -398L104 -456z"
        extra = neck + path(collar, c.down((0, lighter(colour, 0.24)), (1, darker(colour, 0.1)))) + stroke(collar, dark, 1.6, 0.4)
        if any(word in name for word in ("jacket", "zip", "coat", "fleece")):
            extra += rect(-5, -432, 10, 438, metal_shade(c, "#b9bdc1")) + "".join(stroke(f"M-4 {y}h8", "#3a3a3a", 1.4, 0.6) for y in range(-428, 4, 8))
            extra += stroke("M-110 -180L-58 -150M110 -180L58 -150", dark, 4, 0.5)
        else:
            extra += stroke("M-16 -436V6M16 -436V6", dark, 1.6, 0.35)
            extra += "".join(ellipse(0, y, 6.5, 6.5, lighter(colour, 0.7), f'stroke="{dark}" stroke-width="1.2"') for y in range(-404, 0, 62))
            extra += stroke("M44 -330h66v62q-33 16 -66 0z", dark, 1.8, 0.4)
    folds = _folds(
        ("M-134 -300C-106 -220 -124 -120 -98 -10", 14, 0.11),
        ("M134 -300C108 -230 120 -120 90 -4", 15, 0.13),
        ("M-184 -360C-176 -280 -200 -180 -196 -84", 12, 0.12),
        ("M184 -360C176 -280 204 -180 200 -84", 12, 0.14),
        ("M52 -240C40 -160 64 -70 50 6", 10, 0.07),
        ("M-132 -456C-112 -390 -128 -350 -134 -304", 8, 0.16),
        ("M132 -456C112 -390 128 -350 134 -304", 8, 0.18),
    )
    drawn = _garment(c, look, body, folds, extra, width=464, height=512 if hooded else 492, seams="M-228 -98L-180 -78M228 -98L180 -78M-144 -26Q0 -4 144 -26")
    if hooded:
        hood = path("M-92 -474C-84 -540 84 -540 92 -474z")
        drawn = replace(drawn, outline=drawn.outline + hood)
    return drawn


def trousers(c: Canvas, look: Look) -> Drawing:
    name = look.name.lower()
    short = any(word in name for word in ("short", "boxer", "brief", "trunk"))
    if short:
        body = (
            "M-118 -500H118C128 -420 150 -330 166 -214Q92 -196 26 -210L0 -330L-26 -210Q-92 -196 -166 -214"
            "C-150 -330 -128 -420 -118 -500z"
        )
    else:
        body = (
            "M-118 -500H118C126 -420 138 -330 136 -250C134 -160 128 -90 112 -6Q72 6 30 -2C32 -110 20 -230 0 -338"
            "C-20 -230 -32 -110 -30 -2Q-72 6 -112 -6C-128 -90 -134 -160 -136 -250C-138 -330 -126 -420 -118 -500z"
        )
    dark = darker(look.main, 0.55)
    extra = rect(-119, -504, 238, 36, c.linear((0, darker(look.main, 0.3)), (0.3, lighter(look.main, 0.2)), (1, darker(look.main, 0.36))), r=4)
    extra += stroke("M0 -466V-350M-110 -440C-84 -420 -72 -430 -60 -466M110 -440C84 -420 72 -430 60 -466", dark, 2.4, 0.5)
    extra += ellipse(0, -486, 9, 9, metal_shade(c, "#c9a463"))
    creases = _folds(
        ("M-16 -330C-60 -310 -90 -316 -120 -300", 9, 0.12), ("M16 -330C60 -310 90 -316 120 -300", 9, 0.12)
    )
    legs = _folds(("M-78 -400C-92 -280 -62 -160 -74 0", 15, 0.10), ("M78 -400C92 -280 62 -160 74 0", 15, 0.12))
    if short:
        legs = _folds(("M-96 -430C-110 -360 -98 -290 -116 -204", 13, 0.09), ("M96 -430C110 -360 98 -290 116 -204", 13, 0.11))
    drawn = _garment(c, look, body, creases + legs, extra, width=332 if short else 276, height=504)
    if short:
        # Shorts hang in the air; bring them down to the floor's height.
        move = 'transform="translate(0 206)"'
        return replace(drawn, markup=f"<g {move}>{drawn.markup}</g>", outline=f"<g {move}>{drawn.outline}</g>", height=298)
    return drawn


def dress(c: Canvas, look: Look) -> Drawing:
    body = "M-70 -500C-60 -470 -40 -452 0 -452S60 -470 70 -500L92 -494C104 -440 98 -400 84 -372C78 -340 84 -320 92 -296C130 -180 168 -90 186 -24Q0 16 -186 -24C-168 -90 -130 -180 -92 -296C-84 -320 -78 -340 -84 -372C-98 -400 -104 -440 -92 -494z"
    extra = stroke("M-90 -300Q0 -284 90 -300", darker(look.main, 0.5), 9, 0.35) + stroke("M-72 -498C-60 -466 -40 -448 0 -448S60 -466 72 -498", darker(look.main, 0.4), 4, 0.5)
    folds = _folds(*((f"M{x} -296C{x * 1.3:.0f} -200 {x * 1.7:.0f} -100 {x * 2.05:.0f} 0", 15, 0.11) for x in (-72, -40, -8, 26, 58)))
    return _garment(c, look, body, folds, extra, width=372, height=500, seams="M-182 -40Q0 0 182 -40")


def sock(c: Canvas, look: Look) -> Drawing:
    one = "M-66 -420H62C60 -300 66 -210 88 -150C110 -96 190 -84 216 -58C240 -32 224 4 186 6H20C-30 4 -58 -30 -62 -90C-66 -190 -70 -300 -66 -420z"
    heel = "M-62 -100C-58 -34 -30 4 20 6C30 -40 -10 -90 -62 -100z"
    toe = "M170 -78C190 -70 206 -64 216 -58C240 -32 224 4 186 6H158C146 -26 150 -56 170 -78z"
    second = look.second if contrast(look.second, look.main) > 0.14 else darker(look.main, 0.4)
    shape = (
        path(one, c.linear((0, darker(look.main, 0.28)), (0.25, lighter(look.main, 0.2)), (0.6, look.main), (1, darker(look.main, 0.36))))
        + path(heel, second, 'fill-opacity="0.9"')
        + path(toe, second, 'fill-opacity="0.9"')
        + rect(-67, -424, 130, 62, c.linear((0, darker(second, 0.2)), (0.3, lighter(second, 0.2)), (1, darker(second, 0.3))), r=6)
        + "".join(stroke(f"M{x} -420v54", darker(second, 0.6), 2, 0.3) for x in range(-58, 60, 9))
        + f"<g {c.clip(path(one))}>" + "".join(stroke(f"M-70 {y}Q0 {y + 12} 70 {y}", second, 9, 0.55) for y in (-330, -300)) + "</g>"
        + path(one, c.texture("weave", size=110), 'fill-opacity="0.7"')
        + path(one, c.down((0.6, "#000000", 0), (1, "#000000", 0.22)))
    )
    markup = f'<g transform="translate(-10 -26)">{shape}</g><g transform="translate(-104 0)">{shape}</g>'
    outline = f'<path d="{one}" transform="translate(-10 -26)"/><path d="{one}" transform="translate(-104 0)"/>'
    return Drawing(markup, outline, 400, 450, 8, False, 0.1)


def hat(c: Canvas, look: Look) -> Drawing:
    """A knitted beanie with a turned-up brim."""
    crown = "M-176 -120C-176 -300 -96 -372 0 -372S176 -300 176 -120z"
    brim = "M-190 -132Q0 -96 190 -132C198 -90 198 -50 188 -10Q0 30 -188 -10C-198 -50 -198 -90 -190 -132z"
    colour, second = look.main, look.second if contrast(look.second, look.main) > 0.14 else darker(look.main, 0.2)
    ribs = "".join(stroke(f"M{x} -116C{x * 0.92:.0f} -250 {x * 0.5:.0f} -340 {x * 0.1:.0f} -370", "#000000", 5, 0.13) for x in range(-168, 176, 21))
    knit = "".join(stroke(f"M{x} {-124 + 32 * (1 - (x / 190) ** 2):.0f}V{-12 + 34 * (1 - (x / 190) ** 2):.0f}", "#000000", 5, 0.16) for x in range(-180, 190, 15))
    patch = rect(-34, -76, 68, 60, look.paper, r=3) + mark(0, -46, 19, ink_on(look.paper, look.main), look)
    markup = (
        f'<circle cx="0" cy="-384" r="46" fill="{c.radial((0, lighter(second, 0.4)), (0.6, second), (1, darker(second, 0.45)), at=(0.36, 0.32), reach=0.7)}"/>'
        f'<circle cx="0" cy="-384" r="46" fill="{c.texture("felt", size=60)}"/>'
        + path(crown, c.linear((0, darker(colour, 0.42)), (0.25, lighter(colour, 0.24)), (0.55, colour), (1, darker(colour, 0.5))))
        + ribs
        + path(crown, c.texture("felt", size=110), 'fill-opacity="0.8"')
        + path(brim, c.linear((0, darker(colour, 0.4)), (0.25, lighter(colour, 0.3)), (0.55, lighter(colour, 0.05)), (1, darker(colour, 0.46))))
        + knit
        + path(brim, c.texture("felt", size=110), 'fill-opacity="0.8"')
        + stroke("M-190 -132Q0 -96 190 -132", "#000000", 6, 0.22)
        + patch
    )
    return Drawing(markup, path(crown) + path(brim) + '<circle cx="0" cy="-384" r="46"/>', 384, 430, 14, False, 0.1)


def scarf(c: Canvas, look: Look) -> Drawing:
    """Folded cloth in a stack of three, fringed, a ribbon around it."""
    markup, outline = "", ""
    second = look.second if contrast(look.second, look.main) > 0.14 else lighter(look.main, 0.5)
    tones = (look.main, mix(look.main, second, 0.5), second)
    for k in range(3):
        y, half, tone = -k * 84, 220 - k * 9, tones[k % 3]
        fold = f"M{-half} {y - 84}C{-half - 26} {y - 70} {-half - 26} {y - 12} {-half} {y}H{half - 6}V{y - 84}z"
        markup += path(fold, c.down((0, lighter(tone, 0.32)), (0.3, tone), (0.5, darker(tone, 0.16)), (0.55, lighter(tone, 0.12)), (1, darker(tone, 0.4))))
        markup += path(fold, c.texture("weave", size=150), 'fill-opacity="0.9"')
        markup += stroke(f"M{-half + 6} {y - 42}H{half - 6}", "#000000", 3, 0.3)
        markup += stroke(f"M{-half} {y - 2}H{half - 6}", "#000000", 4, 0.34)
        markup += "".join(stroke(f"M{half - 6} {y - 6 - j * 8}q12 3 {22 + (j % 3) * 3} 9", lighter(tone, 0.12), 2.4, 0.85) for j in range(10))
        outline += path(fold)
    top = "M-202 -252L-164 -286H188L202 -252z"
    markup += path(top, c.linear((0, lighter(second, 0.4)), (1, darker(second, 0.05)))) + path(top, c.texture("weave", size=150), 'fill-opacity="0.8"')
    ribbon = look.paper
    markup += rect(-64, -252, 128, 252, c.linear((0, darker(ribbon, 0.1)), (0.3, lighter(ribbon, 0.3)), (1, darker(ribbon, 0.16)))) + path("M-64 -252L-46 -286H78L64 -252z", lighter(ribbon, 0.2))
    markup += lettering(fit(look.name, width=108, height=170, face=look.face, largest=34), x=0, y=-124, ink=ink_on(ribbon, look.main), face=look.face)
    return Drawing(markup, outline + path(top), 480, 288, 8, True, 0.1)


def shoe(c: Canvas, look: Look) -> Drawing:
    colour = look.main
    second = look.second if contrast(look.second, colour) > 0.14 else lighter(colour, 0.5)
    upper = "M-214 -74C-216 -130 -208 -190 -196 -228C-192 -240 -176 -246 -164 -240C-130 -222 -96 -222 -66 -240C-58 -246 -46 -244 -40 -236C4 -172 62 -138 130 -122C190 -108 226 -90 230 -56L228 -44H-210z"
    sole = "M-218 -62C-150 -50 160 -46 234 -62C240 -40 240 -16 226 0C160 14 -150 14 -212 2C-226 -14 -226 -42 -218 -62z"
    toe = "M130 -122C190 -108 226 -90 230 -56L228 -44H120C112 -76 116 -102 130 -122z"
    heel = "M-214 -74C-216 -130 -208 -190 -196 -228C-180 -200 -158 -120 -150 -48H-210z"
    shade = c.linear((0, darker(colour, 0.24)), (0.22, lighter(colour, 0.26)), (0.5, colour), (1, darker(colour, 0.34)), along=(0, 0, 1, 0.5))
    tongue = "M-70 -236C-66 -268 -44 -284 -22 -270L22 -196L-30 -190z"
    laces = ""
    for k in range(5):
        t = 0.1 + k * 0.17
        x, y = _cubic(t, -40, 4, 62, 130), _cubic(t, -236, -172, -138, -122)
        laces += stroke(f"M{x + 7:.0f} {y - 9:.0f}l-27 40", darker(colour, 0.5), 12, 0.5)
        laces += stroke(f"M{x + 6:.0f} {y - 11:.0f}l-27 40", lighter(second, 0.75), 9)
    eyestay = "M-62 -236C-52 -246 -44 -242 -40 -236C4 -172 62 -138 130 -122L104 -78C40 -92 -28 -130 -76 -196z"
    markup = (
        path(tongue, c.linear((0, darker(colour, 0.05)), (1, darker(colour, 0.3))))
        + path("M-196 -228C-176 -200 -96 -200 -50 -238C-60 -262 -150 -262 -196 -228z", darker(colour, 0.66))
        + path(upper, shade)
        + path(upper, c.texture("weave", size=110), 'fill-opacity="0.5"')
        + path(eyestay, lighter(colour, 0.14))
        + stroke("M-76 -196C-28 -130 40 -92 104 -78", darker(colour, 0.5), 2, 0.5, 'stroke-dasharray="6 4"')
        + path(toe, c.linear((0, lighter(second, 0.3)), (1, darker(second, 0.22))))
        + path(heel, c.linear((0, darker(second, 0.16)), (1, lighter(second, 0.1))))
        + stroke("M130 -122C116 -102 112 -76 120 -44M-196 -228C-180 -200 -158 -120 -150 -48", darker(colour, 0.5), 2, 0.4)
        + laces
        + path(sole, c.down((0, "#fbf8f1"), (0.6, "#e9e3d6"), (1, "#b9b1a2")))
        + stroke("M-221 -34C-150 -22 170 -20 236 -36", second, 5, 0.8)
        + path(upper, c.down((0.6, "#000000", 0), (1, "#000000", 0.22)))
    )
    far = f'<g transform="translate(66 -46) scale(0.94)">{markup}</g>'
    outline = path(upper) + path(sole)
    return Drawing(
        far + path(upper + sole, "#000000", 'fill-opacity="0.18" transform="translate(10 -6)"') + markup,
        outline + f'<g transform="translate(66 -46) scale(0.94)">{outline}</g>',
        520,
        290,
        8,
        False,
        0.2,
    )


def _cubic(t: float, a: float, b: float, c: float, d: float) -> float:
    u = 1 - t
    return u * u * u * a + 3 * u * u * t * b + 3 * u * t * t * c + t * t * t * d


def sunglasses(c: Canvas, look: Look) -> Drawing:
    frame, glass = look.main, darker(look.second, 0.62)
    lens = "C{0} -190 {1} -196 {2} -190C{3} -184 {4} -40 {5} -34C{6} -18 {7} -24 {8} -60z"
    left = "M-214 -150" + lens.format(-212, -190, -120, -40, -40, -66, -110, -190, -206)
    right = "M40 -150" + lens.format(42, 60, 130, 214, 212, 190, 130, 60, 46)
    paint = c.down((0, glass), (1, lighter(glass, 0.42)))
    arms = f'<path d="M-208 -168L-150 -232L120 -262M214 -168L262 -236L200 -252" fill="none" stroke="{darker(frame, 0.3)}" stroke-width="15" stroke-linejoin="round"/>'
    rims = "".join(path(d, paint, f'stroke="{frame}" stroke-width="17" stroke-linejoin="round"') + stroke(d, lighter(frame, 0.6), 3, 0.4, 'transform="translate(-3 -3)"') for d in (left, right))
    glints = path("M-180 -166L-132 -176L-166 -60L-186 -92z", "#ffffff", 'fill-opacity="0.3"') + path("M76 -166L124 -176L92 -56L70 -86z", "#ffffff", 'fill-opacity="0.3"')
    bridge = f'<path d="M-46 -140Q-2 -176 44 -140" fill="none" stroke="{frame}" stroke-width="18"/>'
    outline = path(left, "#000", 'stroke="#000" stroke-width="17"') + path(right, "#000", 'stroke="#000" stroke-width="17"')
    return Drawing(f'<g transform="translate(-12 26)">{arms}{rims}{bridge}{glints}</g>', f'<g transform="translate(-12 26)">{outline}</g>', 470, 240, 8, False, 0.5)


# -- odds and ends -----------------------------------------------------------------------------


def watering_can(c: Canvas, look: Look) -> Drawing:
    half, colour = 128, look.main
    body = drum(half, -250, 0, tilt=0.15, corner=18)
    spout = "M110 -96L250 -286L274 -270L120 -22z"
    rose = "M236 -296L292 -262L300 -276L246 -310z"
    handle = "M-96 -250C-150 -380 70 -400 92 -262M-120 -212C-230 -210 -216 -50 -116 -56"
    letters = fit(look.name, width=half * 1.3, height=100, face=look.face, largest=38)
    markup = (
        f'<path d="{handle}" fill="none" stroke="{darker(colour, 0.36)}" stroke-width="20" stroke-linecap="round"/><path d="{handle}" fill="none" stroke="{lighter(colour, 0.12)}" stroke-width="10" stroke-linecap="round" transform="translate(-2 -2)"/>'
        + path(spout, c.linear((0, lighter(colour, 0.24)), (1, darker(colour, 0.36))))
        + path(rose, metal_shade(c, darker(colour, 0.2)))
        + path(body, round_shade(c, colour, gloss=0.45))
        + ellipse(0, -250, half, half * 0.15, darker(colour, 0.4))
        + ellipse(0, -250, half, half * 0.15, "none", f'stroke="{lighter(colour, 0.5)}" stroke-width="5"')
        + stroke(f"M{-half} -206A{half} 19 0 0 0 {half} -206M{-half} -30A{half} 19 0 0 0 {half} -30", darker(colour, 0.4), 3, 0.5)
        + lettering(letters, x=0, y=-110, ink=ink_on(colour, colour), face=look.face)
        + streak(c, -half + 14, -236, -12, 26, 0.5)
    )
    outline = path(body) + path(spout) + path(rose) + f'<path d="{handle}" fill="none" stroke="#000" stroke-width="20"/>'
    return Drawing(f'<g transform="translate(-40 0)">{markup}</g>', f'<g transform="translate(-40 0)">{outline}</g>', 500, 366, 18, True, 0.5)


def tool(c: Canvas, look: Look) -> Drawing:
    """Three wooden-handled utensils standing in a beaker."""
    half = 104
    cup = drum(half, -210, 0, tilt=0.16, corner=20)
    wood = look.main if 0.3 < lightness(look.main) < 0.85 else "#b98a52"
    vessel = look.second
    sticks, outline = "", ""
    for x, turn, head in ((-44, -11, "M-26 0C-40 -60 -34 -110 0 -116C34 -110 40 -60 26 0z"), (6, 3, "M-24 0L-30 -112H30L24 0z"), (52, 13, "M-20 0C-28 -30 -30 -100 -22 -124L22 -124C30 -100 28 -30 20 0z")):
        move = f'transform="translate({x} -190) rotate({turn})"'
        shaft = rect(-11, -210, 22, 230, c.linear((0, lighter(wood, 0.3)), (0.5, wood), (1, darker(wood, 0.4))), r=8)
        blade = f'<g transform="translate(0 -200)">{path(head, c.linear((0, lighter(wood, 0.4)), (0.6, lighter(wood, 0.06)), (1, darker(wood, 0.3))))}{path(head, c.texture("wood", size=140, turn=90))}</g>'
        sticks += f"<g {move}>{shaft}{blade}</g>"
        outline += f'<g {move}><rect x="-11" y="-210" width="22" height="230"/><path d="{head}" transform="translate(0 -200)"/></g>'
    letters = fit(look.name, width=half * 1.36, height=104, face=look.face, largest=38)
    markup = (
        ellipse(0, -210, half, half * 0.16, darker(vessel, 0.6))
        + sticks
        + path(cup, round_shade(c, vessel, gloss=0.4))
        + lettering(letters, x=0, y=-92, ink=ink_on(vessel, vessel), face=look.face)
        + streak(c, -half + 14, -186, -14, 22, 0.45)
    )
    return Drawing(markup, outline + path(cup), 300, 500, 16, True, 0.4)


def bone(c: Canvas, look: Look) -> Drawing:
    """A chew toy: a bone of knotted material."""
    d = "M-128 -86C-150 -150 -236 -140 -232 -82C-262 -50 -236 8 -190 -6C-170 14 -132 6 -124 -30H124C132 6 170 14 190 -6C236 8 262 -50 232 -82C236 -140 150 -150 128 -86z"
    colour = look.main
    letters = fit(look.name, width=230, height=50, face=look.face, largest=34)
    markup = (
        path(d, c.radial((0, lighter(colour, 0.5)), (0.45, lighter(colour, 0.08)), (0.8, darker(colour, 0.2)), (1, darker(colour, 0.5)), at=(0.4, 0.24), reach=0.75))
        + path(d, c.texture("felt", size=150), 'fill-opacity="0.8"')
        + path(d, c.down((0.4, "#000000", 0), (1, "#000000", 0.36)))
        + stroke("M-208 -122C-196 -132 -170 -130 -158 -112M158 -112C170 -130 196 -132 208 -122M-110 -78H100", "#ffffff", 7, 0.4)
        + lettering(letters, x=0, y=-50, ink=ink_on(colour, colour), face=look.face, opacity=0.85)
    )
    return Drawing(markup, path(d), 496, 144, 6, True, 0.2)


def phone(c: Canvas, look: Look) -> Drawing:
    """A case seen from behind, another one turned beside it."""
    def case(x: float, y: float, colour: str) -> str:
        return (
            rect(x - 118, y - 470, 236, 470, c.linear((0, lighter(colour, 0.2)), (0.5, colour), (1, darker(colour, 0.28)), along=(0, 0, 1, 1)), r=40)
            + rect(x - 118, y - 470, 236, 470, c.texture("felt", size=150), 'fill-opacity="0.55"', r=40)
            + rect(x - 116, y - 468, 232, 466, "none", 'stroke="#ffffff" stroke-opacity="0.35" stroke-width="2.4"', r=38)
            + rect(x - 98, y - 450, 92, 96, "#1b1c1f", r=26)
            + "".join(f'<circle cx="{x + dx}" cy="{y + dy}" r="17" fill="{c.radial((0, "#55606e"), (0.5, "#16181c"), (1, "#000000"), at=(0.4, 0.35))}"/>' for dx, dy in ((-74, -424), (-30, -380), (-74, -380), (-30, -424)))
        )

    second = look.second if contrast(look.second, look.main) > 0.12 else lighter(look.main, 0.4)
    letters = fit(look.name, width=180, height=150, face=look.face, largest=40)
    markup = f'<g transform="rotate(9 60 0)">{case(76, -8, second)}</g>' + rect(-176, -462, 236, 470, "#000000", 'fill-opacity="0.2"', r=40)
    markup += case(-66, 6, look.main) + lettering(letters, x=-66, y=-170, ink=ink_on(look.main, look.main), face=look.face, opacity=0.9)
    outline = rect(-184, -464, 236, 470, "#000", r=40) + rect(-42, -478, 236, 470, "#000", 'transform="rotate(9 60 0)"', r=40)
    return Drawing(markup, outline, 420, 486, 6, True, 0.5)


def card(c: Canvas, look: Look) -> Drawing:
    """A folded name card that stands beside things one cannot letter."""
    letters = fit(look.name, width=236, height=104, face=look.face, largest=52, lines=3)
    face = "M-134 -140H134L140 0H-140z"
    back = "M-134 -140H134L150 -12L140 0z"
    paper = "#fbf8f2"
    markup = (
        path(back, darker(paper, 0.3))
        + path(face, c.linear((0, paper), (1, darker(paper, 0.1)), along=(0, 0, 1, 1)))
        + path("M-134 -140H134L134.6 -134H-134.6z", "#ffffff")
        + rect(-40, -28, 80, 3, look.main if lightness(look.main) < 0.8 else darker(look.main, 0.4))
        + lettering(letters, x=0, y=-84, ink="#26221d", face=look.face)
    )
    return Drawing(markup, path(face), 280, 140, 4, True, 0.2)


def _scatter(look: Look, salt: str, count: int, x0: float, x1: float, y0: float, y1: float, r0: float, r1: float) -> list[tuple[float, float, float]]:
    chance = look.chance(salt)
    return [(round(chance.uniform(x0, x1), 1), round(chance.uniform(y0, y1), 1), round(chance.uniform(r0, r1), 2)) for _ in range(count)]


def _fill(shapes: str, paint: str) -> str:
    """Unpainted shapes in one paint."""
    return f'<g fill="{paint}">' + shapes.replace('fill="none"', "").replace('fill="#000"', "") + "</g>"


OBJECTS: dict[str, Callable[[Canvas, Look], Drawing]] = {
    "dropper": dropper,
    "flask": flask,
    "pump": pump,
    "jar": jar,
    "tin": tin,
    "pouch": pouch,
    "tube": tube,
    "box": box,
    "soap": soap,
    "candle": candle,
    "mug": mug,
    "bowl": bowl,
    "notebook": notebook,
    "card": gift_card,
    "pot": pot,
    "lamp": lamp,
    "cushion": cushion,
    "sofa": sofa,
    "table": table,
    "fabric": fabric,
    "board": board,
    "block": block,
    "rope": rope,
    "spool": spool,
    "tote": tote,
    "backpack": backpack,
    "tee": tee,
    "shirt": shirt,
    "trousers": trousers,
    "dress": dress,
    "sock": sock,
    "hat": hat,
    "scarf": scarf,
    "shoe": shoe,
    "sunglasses": sunglasses,
    "can": watering_can,
    "tool": tool,
    "bone": bone,
    "phone": phone,
    "generic": box,
}
