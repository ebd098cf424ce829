"""Goods in their containers: bottles, jars, tins, pouches, tubes, cartons, soap, candles."""

# ruff: noqa: E501 - the outline of a thing reads worse when broken across lines

from math import cos, pi, sin

from packshot.imaging.studio.canvas import Canvas, contrast, darker, lighter, lightness
from packshot.imaging.studio.objects.parts import (
    Drawing,
    Look,
    cap_colour,
    curved_label,
    drum,
    ellipse,
    metal_shade,
    path,
    printed,
    rect,
    round_shade,
    scatter,
    streak,
    stroke,
)


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
    ribs = "".join(stroke(f"M{x} {shoulder - 112}v46", "#000000", 1.6, 0.22) for x in range(-48, 50, 7))
    markup = (
        path(body, round_shade(c, glass, gloss=0.3, depth=0.62))
        # Liquid behind the glass: light gathers low in the bottle.
        + path(body, c.radial((0, lighter(glass, 0.55), 0.5), (1, glass, 0), at=(0.6, 0.86), reach=0.42))
        + path(body, c.down((0, "#000000", 0.0), (0.86, "#000000", 0), (1, "#000000", 0.34)))
        + path(rubber, round_shade(c, darker(cap, 0.12), gloss=0.4, depth=0.6))
        + path(collar, metal_shade(c, cap) if lightness(cap) < 0.9 else round_shade(c, cap))
        + ribs
        + curved_label(
            c, look, half=half, top=shoulder + 62, bottom=-62, tilt=0.11, share=0.8, paper=look.paper
        )
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
        + path(
            body, c.radial((0, lighter(look.main, 0.5), 0.45), (1, look.main, 0), at=(0.62, 0.8), reach=0.45)
        )
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
    top = ellipse(
        0, -286, half + 8, (half + 8) * tilt, c.linear((0, lighter(lid, 0.5)), (1, lighter(lid, 0.08)))
    )
    ribs = "".join(
        stroke(f"M{(half + 8) * sin(a):.1f} {-280 + (half + 8) * tilt * cos(a):.1f}v70", "#000000", 1.3, 0.16)
        for a in [(-86 + 6 * i) * pi / 180 for i in range(30)]
    )
    wooden = lid in ("#b98a52",)
    markup = (
        path(body, round_shade(c, look.main, gloss=0.45, depth=0.42))
        + path(
            body, c.down((0, "#000000", 0.28), (0.1, "#000000", 0), (0.85, "#000000", 0), (1, "#000000", 0.2))
        )
        + curved_label(c, look, half=half, top=-168, bottom=-34, tilt=tilt, share=0.74, paper=look.paper)
        + path(cover, round_shade(c, lid, gloss=0.36, depth=0.48))
        + (path(cover, c.texture("wood")) if wooden else ribs)
        + top
        + (ellipse(0, -286, half + 8, (half + 8) * tilt, c.texture("wood")) if wooden else "")
        + ellipse(
            0,
            -286,
            half + 4,
            (half + 4) * tilt,
            "none",
            'stroke="#ffffff" stroke-opacity="0.4" stroke-width="2"',
        )
        + streak(c, -half + 16, -186, -14, 30, 0.5)
    )
    return Drawing(
        markup,
        path(body) + path(cover) + ellipse(0, -286, half + 8, (half + 8) * tilt, "#000"),
        2 * half + 16,
        312,
        26,
        True,
        0.6,
    )


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
        + path(
            body,
            c.linear(
                (0, "#0d0906", 0.6),
                (0.12, "#0d0906", 0.1),
                (0.26, "#ffffff", 0.4),
                (0.42, "#ffffff", 0),
                (0.7, "#0d0906", 0.2),
                (0.92, "#0d0906", 0.56),
                (1, "#0d0906", 0.34),
            ),
        )
        + path(cover, metal_shade(c, lid))
        + ellipse(0, -392, half + 5, (half + 5) * tilt, c.linear((0, lighter(lid, 0.6)), (1, lid)))
        + ellipse(
            0,
            -392,
            half - 14,
            (half - 14) * tilt,
            "none",
            f'stroke="{darker(lid, 0.3)}" stroke-width="2" stroke-opacity="0.5"',
        )
        + streak(c, -half + 12, -318, -6, 22, 0.35)
    )
    return Drawing(
        markup,
        path(body) + path(cover) + ellipse(0, -392, half + 5, (half + 5) * tilt, "#000"),
        2 * half + 10,
        412,
        20,
        True,
        0.6,
    )


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
    label += rect(
        -w / 2, -352, w, h, c.linear((0, "#ffffff", 0.14), (0.5, "#ffffff", 0), (1, "#0d0906", 0.2)), r=8
    )
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
        + path(
            "M-82 -470h30L-46 -100h-24z",
            c.down((0, "#ffffff", 0.1), (0.3, "#ffffff", 0.5), (1, "#ffffff", 0.1)),
        )
    )
    return Drawing(markup, path(body) + path(crimp) + path(foot), 220, 508, 12, True, 0.5)


def box(c: Canvas, look: Look) -> Drawing:
    """A carton seen over its near corner; the name reads on the broad left face."""
    left = "M-196 -330L70 -292V30L-196 -34z"
    right = "M70 -292L196 -336V-46L70 30z"
    top = "M-196 -330L-66 -366L196 -336L70 -292z"
    colour, stripe = look.main, look.second
    kraft = (
        path(left + right + top, c.texture("felt", size=120), 'fill-opacity="0.6"')
        if lightness(colour) < 0.8
        else ""
    )
    # The left face is a shear: 266 wide, dropping 38 at the top and 64 at the foot.
    face_print = (
        f'<g transform="matrix(1 0.19 0 1 -196 -330)">'
        f"{printed(c, look, x=16, y=26, w=234, h=238, paper=colour, tint=stripe)}</g>"
    )
    markup = (
        path(top, c.linear((0, lighter(colour, 0.34)), (1, lighter(colour, 0.16))))
        + path(
            left,
            c.linear(
                (0, lighter(colour, 0.16)), (0.5, colour), (1, darker(colour, 0.07)), along=(0, 0, 1, 0.6)
            ),
        )
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
        for x, y, r in scatter(look, "specks", 60, -190, 190, -160, 4, 1.1, 3.0)
        if abs(x) > 112
    )
    paper = look.paper
    markup = (
        path(
            top,
            c.linear((0, lighter(colour, 0.5)), (0.5, lighter(colour, 0.2)), (1, colour), along=(0, 0, 1, 1)),
        )
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
        + ellipse(
            0,
            -240,
            inner,
            inner * tilt,
            c.radial((0, "#fff1cd"), (0.5, wax), (1, darker(wax, 0.22)), at=(0.5, 0.45), reach=0.62),
        )
        + path(
            f"M{-half} -262A{half} {half * tilt:.1f} 0 0 0 {half} -262L{half} -240A{inner + 10} {inner * tilt:.1f} 0 0 1 {-half} -240z",
            round_shade(c, glass, gloss=0.55, depth=0.3),
            'fill-opacity="0.72"',
        )
        + stroke("M0 -240V-262", "#2a211a", 4)
        + ellipse(0, -286, 150, 150, c.radial((0, "#ffd98a", 0.62), (0.4, "#ffc76a", 0.2), (1, "#ffc76a", 0)))
        + path(flame, c.down((0, "#fff6d0"), (0.55, "#ffd56e"), (1, "#f08a24")))
        + path(body, c.radial((0, "#ffd48a", 0.5), (1, "#ffd48a", 0), at=(0.5, 0.08), reach=0.5))
        + curved_label(c, look, half=half, top=-200, bottom=-48, tilt=tilt, share=0.74, paper=look.paper)
        + ellipse(
            0, -262, half, half * tilt, "none", 'stroke="#ffffff" stroke-opacity="0.65" stroke-width="3"'
        )
        + streak(c, -half + 12, -250, -12, 22, 0.6)
    )
    return Drawing(markup, path(body), 2 * half, 318, 20, True, 0.6)
