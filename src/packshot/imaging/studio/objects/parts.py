"""What every drawing is made of: shapes, the light on round and metal things, print on a label.

Things stand on (0, 0), y grows downwards as in SVG, and the key light comes from the left.
"""

# ruff: noqa: E501 - the outline of a thing reads worse when broken across lines

import random
from dataclasses import dataclass
from math import cos, pi, sin

from packshot.imaging.studio.canvas import Canvas, Face, contrast, darker, fit, ink_on, lettering, lighter


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
    light = c.down(
        (0, "#ffffff", 0), (0.1, "#ffffff", strength), (0.8, "#ffffff", strength * 0.8), (1, "#ffffff", 0)
    )
    # Nested strips stand in for a blur, at a tenth of its price.
    return "".join(
        rect(
            x + inset,
            top + inset,
            width - 2 * inset,
            bottom - top - 2 * inset,
            light,
            f'fill-opacity="{share}"',
            r=width / 2,
        )
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
        return f'<circle cx="{x}" cy="{y - r * 0.35}" r="{r * 0.5}" fill="{colour}"/>' + path(
            waves, "none", line
        )
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


def scatter(
    look: Look, salt: str, count: int, x0: float, x1: float, y0: float, y1: float, r0: float, r1: float
) -> list[tuple[float, float, float]]:
    chance = look.chance(salt)
    return [
        (round(chance.uniform(x0, x1), 1), round(chance.uniform(y0, y1), 1), round(chance.uniform(r0, r1), 2))
        for _ in range(count)
    ]


def fill(shapes: str, paint: str) -> str:
    """Unpainted shapes in one paint."""
    return f'<g fill="{paint}">' + shapes.replace('fill="none"', "").replace('fill="#000"', "") + "</g>"
