"""Odds and ends, and the name card that stands beside what cannot be lettered."""

# ruff: noqa: E501 - the outline of a thing reads worse when broken across lines

from packshot.imaging.studio.canvas import (
    Canvas,
    contrast,
    darker,
    fit,
    ink_on,
    lettering,
    lighter,
    lightness,
)
from packshot.imaging.studio.objects.parts import (
    Drawing,
    Look,
    drum,
    ellipse,
    metal_shade,
    path,
    rect,
    round_shade,
    streak,
    stroke,
)


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
        + stroke(
            f"M{-half} -206A{half} 19 0 0 0 {half} -206M{-half} -30A{half} 19 0 0 0 {half} -30",
            darker(colour, 0.4),
            3,
            0.5,
        )
        + lettering(letters, x=0, y=-110, ink=ink_on(colour, colour), face=look.face)
        + streak(c, -half + 14, -236, -12, 26, 0.5)
    )
    outline = (
        path(body)
        + path(spout)
        + path(rose)
        + f'<path d="{handle}" fill="none" stroke="#000" stroke-width="20"/>'
    )
    return Drawing(
        f'<g transform="translate(-40 0)">{markup}</g>',
        f'<g transform="translate(-40 0)">{outline}</g>',
        500,
        366,
        18,
        True,
        0.5,
    )


def tool(c: Canvas, look: Look) -> Drawing:
    """Three wooden-handled utensils standing in a beaker."""
    half = 104
    cup = drum(half, -210, 0, tilt=0.16, corner=20)
    wood = look.main if 0.3 < lightness(look.main) < 0.85 else "#b98a52"
    vessel = look.second
    sticks, outline = "", ""
    for x, turn, head in (
        (-44, -11, "M-26 0C-40 -60 -34 -110 0 -116C34 -110 40 -60 26 0z"),
        (6, 3, "M-24 0L-30 -112H30L24 0z"),
        (52, 13, "M-20 0C-28 -30 -30 -100 -22 -124L22 -124C30 -100 28 -30 20 0z"),
    ):
        move = f'transform="translate({x} -190) rotate({turn})"'
        shaft = rect(
            -11, -210, 22, 230, c.linear((0, lighter(wood, 0.3)), (0.5, wood), (1, darker(wood, 0.4))), r=8
        )
        blade = f'<g transform="translate(0 -200)">{path(head, c.linear((0, lighter(wood, 0.4)), (0.6, lighter(wood, 0.06)), (1, darker(wood, 0.3))))}{path(head, c.texture("wood", size=140))}</g>'
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
        path(
            d,
            c.radial(
                (0, lighter(colour, 0.5)),
                (0.45, lighter(colour, 0.08)),
                (0.8, darker(colour, 0.2)),
                (1, darker(colour, 0.5)),
                at=(0.4, 0.24),
                reach=0.75,
            ),
        )
        + path(d, c.texture("felt", size=150), 'fill-opacity="0.8"')
        + path(d, c.down((0.4, "#000000", 0), (1, "#000000", 0.36)))
        + stroke(
            "M-208 -122C-196 -132 -170 -130 -158 -112M158 -112C170 -130 196 -132 208 -122M-110 -78H100",
            "#ffffff",
            7,
            0.4,
        )
        + lettering(letters, x=0, y=-50, ink=ink_on(colour, colour), face=look.face, opacity=0.85)
    )
    return Drawing(markup, path(d), 496, 144, 6, True, 0.2)


def phone(c: Canvas, look: Look) -> Drawing:
    """A case seen from behind, another one turned beside it."""

    def case(x: float, y: float, colour: str) -> str:
        return (
            rect(
                x - 118,
                y - 470,
                236,
                470,
                c.linear(
                    (0, lighter(colour, 0.2)), (0.5, colour), (1, darker(colour, 0.28)), along=(0, 0, 1, 1)
                ),
                r=40,
            )
            + rect(x - 118, y - 470, 236, 470, c.texture("felt", size=150), 'fill-opacity="0.55"', r=40)
            + rect(
                x - 116,
                y - 468,
                232,
                466,
                "none",
                'stroke="#ffffff" stroke-opacity="0.35" stroke-width="2.4"',
                r=38,
            )
            + rect(x - 98, y - 450, 92, 96, "#1b1c1f", r=26)
            + "".join(
                f'<circle cx="{x + dx}" cy="{y + dy}" r="17" fill="{c.radial((0, "#55606e"), (0.5, "#16181c"), (1, "#000000"), at=(0.4, 0.35))}"/>'
                for dx, dy in ((-74, -424), (-30, -380), (-74, -380), (-30, -424))
            )
        )

    second = look.second if contrast(look.second, look.main) > 0.12 else lighter(look.main, 0.4)
    letters = fit(look.name, width=180, height=150, face=look.face, largest=40)
    markup = f'<g transform="rotate(9 60 0)">{case(76, -8, second)}</g>' + rect(
        -176, -462, 236, 470, "#000000", 'fill-opacity="0.2"', r=40
    )
    markup += case(-66, 6, look.main) + lettering(
        letters, x=-66, y=-170, ink=ink_on(look.main, look.main), face=look.face, opacity=0.9
    )
    outline = rect(-184, -464, 236, 470, "#000", r=40) + rect(
        -42, -478, 236, 470, "#000", 'transform="rotate(9 60 0)"', r=40
    )
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
