"""Things for a home or a desk: tableware, paper, pots, lamps, furniture."""

# ruff: noqa: E501 - the outline of a thing reads worse when broken across lines

from packshot.imaging.studio.canvas import Canvas, contrast, darker, fit, ink_on, lettering, lighter
from packshot.imaging.studio.objects.parts import (
    Drawing,
    Look,
    drum,
    ellipse,
    fill,
    metal_shade,
    path,
    printed,
    rect,
    round_shade,
    scatter,
    streak,
    stroke,
)


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
        for x, y, r in scatter(look, "specks", 60, -half + 14, half - 14, -222, -10, 0.8, 2.3)
    )
    letters = fit(look.name, width=half * 1.34, height=84, face=look.face, largest=46)
    markup = (
        stroke(handle, darker(look.main, 0.3), 31)
        + stroke(handle, look.main, 24)
        + stroke(
            f"M{half - 4} -212C{half + 84} -236 {half + 88} -90 {half - 8} -72",
            lighter(look.main, 0.5),
            6,
            0.5,
        )
        + path(body, round_shade(c, look.main, gloss=0.36))
        + path(dip, round_shade(c, second, gloss=0.3, depth=0.36))
        + specks
        + lettering(letters, x=0, y=-166, ink=ink_on(look.main, look.main), face=look.face, opacity=0.92)
        + ellipse(0, -250, half, half * tilt, lighter(second, 0.25))
        + ellipse(0, -248, half - 9, (half - 9) * tilt, darker(second, 0.3))
        + ellipse(
            0, -240, half - 18, (half - 22) * tilt, c.linear((0, "#6d4424"), (0.4, "#3a2314"), (1, "#29180d"))
        )
        + ellipse(-30, -244, 52, 8, "#a97748", 'fill-opacity="0.55"')
        + streak(c, -half + 22, -226, -20, 26, 0.5)
    )
    outline = path(body) + f'<path d="{handle}" fill="none" stroke="#000" stroke-width="30"/>'
    return Drawing(markup, outline, 2 * half + 60, 276, 26, True, 0.5)


def bowl(c: Canvas, look: Look) -> Drawing:
    """A stack of two bowls on a plate."""
    markup, outline = "", ""
    for half, top, foot, tone in (
        (226, -34, 0, lighter(look.main, 0.1)),
        (176, -128, -30, look.main),
        (176, -186, -88, lighter(look.second, 0.1)),
    ):
        ry = half * 0.17
        body = f"M{-half} {top}C{-half + 8} {top + (foot - top) * 0.8} {-half * 0.5} {foot + 12} {-half * 0.4} {foot + 16}Q0 {foot + 24} {half * 0.4} {foot + 16}C{half * 0.5} {foot + 12} {half - 8} {top + (foot - top) * 0.8} {half} {top}A{half} {ry} 0 0 1 {-half} {top}z"
        markup += path(body, round_shade(c, tone, gloss=0.34, depth=0.44))
        markup += ellipse(0, top, half, ry, lighter(tone, 0.36))
        markup += ellipse(
            0,
            top + 3,
            half - 8,
            ry - 4,
            c.linear((0, darker(tone, 0.36)), (0.6, darker(tone, 0.06)), (1, lighter(tone, 0.2))),
        )
        outline += path(body) + ellipse(0, top, half, ry, "#000")
    specks = "".join(
        ellipse(x, y, r, r, darker(look.main, 0.6), 'fill-opacity="0.3"')
        for x, y, r in scatter(look, "specks", 46, -140, 140, -110, -60, 0.8, 2.2)
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
        + path(
            cover,
            c.linear(
                (0, lighter(look.main, 0.24)),
                (0.5, look.main),
                (1, darker(look.main, 0.26)),
                along=(0, 0, 1, 1),
            ),
        )
        + path(cover, c.texture("felt"), 'fill-opacity="0.7"')
        + path(
            "M-160 -452L-130 -455L-92 7.6L-120 10C-130 11 -138 4 -139 -6L-176 -434C-177 -444 -170 -451 -160 -452z",
            "#000000",
            'fill-opacity="0.16"',
        )
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
        + path(
            front, c.linear((0, lighter(tint, 0.2)), (0.6, tint), (1, darker(tint, 0.22)), along=(0, 0, 1, 1))
        )
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
        leaves += path(
            d,
            c.linear(
                (0, lighter(green, 0.34)), (0.48, green), (0.52, darker(green, 0.3)), (1, darker(green, 0.12))
            ),
            move,
        )
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
    return Drawing(
        markup, path(shade) + path(foot) + rect(-8, -270, 16, 256, "#000"), 332, 470, 14, False, 0.5
    )


def cushion(c: Canvas, look: Look) -> Drawing:
    body = (
        "M-206 -360C-140 -338 140 -338 206 -360C226 -366 238 -352 232 -332C208 -250 208 -112 232 -34"
        "C238 -12 224 2 204 -4C138 -26 -138 -26 -204 -4C-224 2 -238 -12 -232 -34C-208 -112 -208 -250 -232 -332"
        "C-238 -352 -226 -366 -206 -360z"
    )
    second = look.second if contrast(look.second, look.main) > 0.12 else lighter(look.main, 0.6)
    pattern = ""
    if look.variant in (0, 1):
        pattern = "".join(
            stroke(f"M{x} -352Q{x * 0.86:.0f} -182 {x} -12", second, 7 if look.variant else 3.4, 0.75)
            for x in range(-180, 200, 40 if look.variant else 20)
        )
    elif look.variant == 2:
        pattern = "".join(
            path(f"M{x} {y - 22}L{x + 18} {y}L{x} {y + 22}L{x - 18} {y}z", second, 'fill-opacity="0.7"')
            for x in range(-168, 200, 56)
            for y in range(-308, -30, 62)
        )
    markup = (
        path(body, look.main)
        + f"<g {c.clip(path(body))}>{pattern}</g>"
        + path(body, c.texture("weave", size=170), 'fill-opacity="0.6"')
        + path(
            body,
            c.radial(
                (0, "#ffffff", 0.30),
                (0.5, "#ffffff", 0.02),
                (0.78, "#0d0906", 0.2),
                (1, "#0d0906", 0.62),
                at=(0.4, 0.34),
                reach=0.68,
            ),
        )
        + stroke(
            "M-222 -350C-190 -322 -150 -300 -112 -290M222 -350C190 -322 160 -304 126 -296M-222 -16C-186 -46 -150 -62 -116 -70M222 -16C186 -46 156 -58 122 -66",
            "#000000",
            9,
            0.1,
        )
        + stroke("M-204 -2C-138 -24 138 -24 204 -2", "#000000", 3, 0.25)
        + stroke("M-206 -358C-140 -336 140 -336 206 -358", "#ffffff", 2, 0.35)
    )
    return Drawing(markup, path(body), 468, 366, 10, False, 0.1)


def sofa(c: Canvas, look: Look) -> Drawing:
    colour = look.main
    wide = 190 if "chair" in look.name.lower() or "stool" in look.name.lower() else 300
    seats = 2 if wide == 300 else 1
    back = f"M{-wide + 20} -300C{-wide + 20} -322 {-wide + 34} -334 {-wide + 56} -334H{wide - 56}C{wide - 34} -334 {wide - 20} -322 {wide - 20} -300V-120H{-wide + 20}z"
    base = rect(
        -wide + 10,
        -120,
        2 * wide - 20,
        74,
        c.down((0, darker(colour, 0.12)), (1, darker(colour, 0.42))),
        r=10,
    )
    parts = path(back, c.down((0, lighter(colour, 0.16)), (1, darker(colour, 0.24))))
    parts += base
    room = (2 * wide - 110) / seats
    for k in range(seats):
        x = -wide + 55 + k * room
        parts += rect(
            x + 3,
            -292,
            room - 6,
            148,
            c.radial(
                (0, lighter(colour, 0.24)), (0.7, colour), (1, darker(colour, 0.32)), at=(0.4, 0.3), reach=0.8
            ),
            r=26,
        )
        parts += rect(
            x + 1,
            -166,
            room - 2,
            66,
            c.down((0, lighter(colour, 0.3)), (0.4, lighter(colour, 0.04)), (1, darker(colour, 0.34))),
            r=20,
        )
    for side in (-1, 1):
        x = side * (wide - 34)
        parts += rect(
            x - 38,
            -216,
            76,
            172,
            c.linear((0, lighter(colour, 0.2)), (0.4, colour), (1, darker(colour, 0.4))),
            r=32,
        )
        parts += rect(x - 20, -46, 15, 46, darker("#8a5a36", 0.1), r=3) + rect(
            x + 6, -46, 15, 46, darker("#8a5a36", 0.4), r=3
        )
    pillow = look.second if contrast(look.second, colour) > 0.15 else lighter(colour, 0.6)
    parts += f'<g transform="translate({-wide + 118} -206) rotate(-9)">{rect(-52, -52, 104, 100, c.radial((0, lighter(pillow, 0.3)), (0.7, pillow), (1, darker(pillow, 0.4)), at=(0.4, 0.35), reach=0.75), r=20)}</g>'
    solid = (
        path(back)
        + rect(-wide + 10, -140, 2 * wide - 20, 94, "#000")
        + rect(-wide - 4, -216, 76, 216, "#000", r=32)
        + rect(wide - 72, -216, 76, 216, "#000", r=32)
    )
    return Drawing(
        parts + f'<g fill-opacity="0.5">{fill(solid, c.texture("weave", size=150))}</g>',
        solid,
        2 * wide + 8,
        334,
        14,
        False,
        0.1,
    )


def table(c: Canvas, look: Look) -> Drawing:
    """A small chest with two drawers on tapered legs."""
    wood = look.main
    top = "M-226 -318L-186 -352H186L226 -318z"
    drawers = ""
    for y in (-294, -196):
        drawers += rect(
            -204,
            y,
            408,
            88,
            c.linear((0, lighter(wood, 0.14)), (1, darker(wood, 0.16)), along=(0, 0, 1, 0.5)),
            r=4,
        )
        drawers += rect(-204, y + 85, 408, 4, "#000000", 'fill-opacity="0.3"')
        drawers += rect(-46, y + 36, 92, 12, metal_shade(c, "#c9a463"), r=6)
    carcass = rect(-222, -318, 444, 224, c.linear((0, darker(wood, 0.04)), (1, darker(wood, 0.34))), r=6)
    legs = "".join(
        path(f"M{x} -96h34l{-12 * s} 96h-14z", c.linear((0, lighter(wood, 0.1)), (1, darker(wood, 0.5))))
        for x, s in ((-206, 0.4), (172, 1.2))
    )
    grain = path("M-222 -318H222V-94H-222z", c.texture("wood", size=300)) + path(
        top, c.texture("wood", size=300)
    )
    markup = (
        legs
        + carcass
        + drawers
        + path(top, c.linear((0, lighter(wood, 0.42)), (1, lighter(wood, 0.12))))
        + grain
    )
    markup += rect(-226, -320, 452, 5, lighter(wood, 0.4), 'fill-opacity="0.6"')
    outline = (
        rect(-222, -318, 444, 224, "#000")
        + path(top)
        + path("M-206 -96h34l-6 96h-14zM172 -96h34l-14 96h-14z")
    )
    return Drawing(markup, outline, 452, 352, 10, False, 0.1)
