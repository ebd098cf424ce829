"""Worn and carried: bags, garments, shoes, glasses."""

# ruff: noqa: E501 - the outline of a thing reads worse when broken across lines

from dataclasses import replace

from packshot.imaging.studio.canvas import Canvas, contrast, darker, fit, ink_on, lettering, lighter, mix
from packshot.imaging.studio.objects.parts import (
    Drawing,
    Look,
    ellipse,
    mark,
    metal_shade,
    path,
    rect,
    stroke,
)


def tote(c: Canvas, look: Look) -> Drawing:
    colour = look.main
    body = "M-168 -322Q0 -308 168 -322L194 -14Q0 12 -194 -14z"
    ink = ink_on(colour, look.second)
    letters = fit(look.name, width=232, height=112, face=look.face, largest=62)
    strap_back = "M-84 -318C-84 -480 -46 -520 0 -520S84 -480 84 -318"
    strap = "M-98 -306C-98 -500 -54 -542 0 -542S98 -500 98 -306"
    markup = (
        f'<path d="{strap_back}" fill="none" stroke="{darker(colour, 0.38)}" stroke-width="19"/>'
        + path(
            body,
            c.linear(
                (0, darker(colour, 0.2)),
                (0.18, lighter(colour, 0.26)),
                (0.55, colour),
                (1, darker(colour, 0.3)),
            ),
        )
        + path(body, c.texture("weave", size=150), 'fill-opacity="0.8"')
        + path(
            "M-160 -300C-150 -200 -176 -110 -168 -20L-120 -8C-140 -110 -110 -210 -124 -300z",
            "#ffffff",
            'fill-opacity="0.13"',
        )
        + path(
            "M66 -312C84 -220 60 -120 92 -4L130 -8C96 -110 116 -220 100 -312z",
            "#000000",
            'fill-opacity="0.09"',
        )
        + path(
            "M-50 -310C-34 -250 -60 -190 -44 -120C-56 -190 -70 -250 -62 -310z",
            "#000000",
            'fill-opacity="0.10"',
        )
        + stroke("M-167 -296Q0 -282 167 -296", darker(colour, 0.5), 2, 0.55, 'stroke-dasharray="6 5"')
        + f'<path d="{strap}" fill="none" stroke="{darker(colour, 0.14)}" stroke-width="20"/>'
        + f'<path d="{strap}" fill="none" stroke="{lighter(colour, 0.3)}" stroke-width="4" stroke-opacity="0.5" transform="translate(-5 -3)"/>'
        + "".join(
            rect(x - 13, -322, 26, 46, darker(colour, 0.12))
            + stroke(f"M{x - 8} -312l16 28M{x + 8} -312l-16 28", darker(colour, 0.5), 1.6, 0.5)
            for x in (-98, 98)
        )
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
        + path(
            body,
            c.linear(
                (0, darker(colour, 0.42)),
                (0.14, lighter(colour, 0.1)),
                (0.3, lighter(colour, 0.26)),
                (0.55, colour),
                (0.9, darker(colour, 0.4)),
                (1, darker(colour, 0.52)),
            ),
        )
        + path(body, c.texture("weave", size=150), 'fill-opacity="0.8"')
        + stroke("M-140 -330C-130 -420 -80 -452 0 -452S130 -420 140 -330", darker(colour, 0.6), 5, 0.6)
        + stroke("M-140 -336C-130 -426 -80 -458 0 -458S130 -426 140 -336", lighter(colour, 0.5), 2, 0.35)
        + path(
            pocket, c.linear((0, darker(second, 0.1)), (0.3, lighter(second, 0.22)), (1, darker(second, 0.3)))
        )
        + path(pocket, c.texture("weave", size=150), 'fill-opacity="0.7"')
        + stroke("M-112 -196H112", darker(second, 0.6), 4, 0.6)
        + rect(84, -200, 9, 34, metal_shade(c, "#c9a463"), r=4)
        + lettering(letters, x=0, y=-110, ink=ink_on(second, second), face=look.face)
        + path(body, c.down((0.72, "#000000", 0), (1, "#000000", 0.26)))
    )
    return Drawing(markup, path(body), 330, 530, 10, True, 0.1)


def _garment(
    c: Canvas, look: Look, body: str, folds: str, extra: str, *, width: float, height: float, seams: str = ""
) -> Drawing:
    """Cloth hung in the air: volume from the left light, folds, a weave, stitched seams."""
    colour = look.main
    markup = (
        path(
            body,
            c.linear(
                (0, darker(colour, 0.3)),
                (0.22, lighter(colour, 0.16)),
                (0.42, lighter(colour, 0.06)),
                (0.66, darker(colour, 0.06)),
                (1, darker(colour, 0.42)),
            ),
        )
        + path(body, c.texture("weave", size=140), 'fill-opacity="0.55"')
        + folds
        + stroke(seams, darker(colour, 0.5), 2, 0.45)
        + extra
        + path(body, c.down((0.6, "#000000", 0), (1, "#000000", 0.2)))
    )
    return Drawing(markup, path(body), width, height, 6, False, 0.1)


def _folds(*lines: tuple[str, float, float]) -> str:
    """Dark folds, each with its lit neighbour."""
    return "".join(
        stroke(d, "#000000", width, strength)
        + stroke(d, "#ffffff", width * 0.6, strength * 0.7, f'transform="translate({-width * 0.8:.1f} 0)"')
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
        extra = path(
            "M-92 -474C-84 -540 84 -540 92 -474C60 -420 -60 -420 -92 -474z",
            c.down((0, lighter(colour, 0.12)), (1, darker(colour, 0.3))),
        )
        extra += path("M-58 -478C-50 -512 50 -512 58 -478C36 -444 -36 -444 -58 -478z", darker(colour, 0.62))
        extra += stroke(
            "M-34 -446C-40 -410 -30 -390 -36 -360M34 -446C40 -410 32 -396 38 -350",
            lighter(colour, 0.6),
            5,
            0.8,
        )
        extra += stroke("M-92 -150L-70 -70H70L92 -150z", dark, 2.4, 0.5)
    elif knitted:
        extra = neck + stroke("M-80 -484C-52 -446 52 -446 80 -484", darker(colour, 0.3), 18, 0.6)
        extra += "".join(
            stroke(f"M{x} -440V-34", darker(colour, 0.5), 2.2, 0.2) for x in range(-120, 130, 15)
        )
        extra += rect(-146, -42, 292, 46, "#000000", 'fill-opacity="0.12"')
    else:
        collar = "M-78 -486L-22 -440L-46 -398L-104 -456zM78 -486L22 -440L46 -398L104 -456z"
        extra = (
            neck
            + path(collar, c.down((0, lighter(colour, 0.24)), (1, darker(colour, 0.1))))
            + stroke(collar, dark, 1.6, 0.4)
        )
        if any(word in name for word in ("jacket", "zip", "coat", "fleece")):
            extra += rect(-5, -432, 10, 438, metal_shade(c, "#b9bdc1")) + "".join(
                stroke(f"M-4 {y}h8", "#3a3a3a", 1.4, 0.6) for y in range(-428, 4, 8)
            )
            extra += stroke("M-110 -180L-58 -150M110 -180L58 -150", dark, 4, 0.5)
        else:
            extra += stroke("M-16 -436V6M16 -436V6", dark, 1.6, 0.35)
            extra += "".join(
                ellipse(0, y, 6.5, 6.5, lighter(colour, 0.7), f'stroke="{dark}" stroke-width="1.2"')
                for y in range(-404, 0, 62)
            )
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
    drawn = _garment(
        c,
        look,
        body,
        folds,
        extra,
        width=464,
        height=512 if hooded else 492,
        seams="M-228 -98L-180 -78M228 -98L180 -78M-144 -26Q0 -4 144 -26",
    )
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
    extra = rect(
        -119,
        -504,
        238,
        36,
        c.linear((0, darker(look.main, 0.3)), (0.3, lighter(look.main, 0.2)), (1, darker(look.main, 0.36))),
        r=4,
    )
    extra += stroke(
        "M0 -466V-350M-110 -440C-84 -420 -72 -430 -60 -466M110 -440C84 -420 72 -430 60 -466", dark, 2.4, 0.5
    )
    extra += ellipse(0, -486, 9, 9, metal_shade(c, "#c9a463"))
    creases = _folds(
        ("M-16 -330C-60 -310 -90 -316 -120 -300", 9, 0.12), ("M16 -330C60 -310 90 -316 120 -300", 9, 0.12)
    )
    legs = _folds(
        ("M-78 -400C-92 -280 -62 -160 -74 0", 15, 0.10), ("M78 -400C92 -280 62 -160 74 0", 15, 0.12)
    )
    if short:
        legs = _folds(
            ("M-96 -430C-110 -360 -98 -290 -116 -204", 13, 0.09),
            ("M96 -430C110 -360 98 -290 116 -204", 13, 0.11),
        )
    drawn = _garment(c, look, body, creases + legs, extra, width=332 if short else 276, height=504)
    if short:
        # Shorts hang in the air; bring them down to the floor's height.
        move = 'transform="translate(0 206)"'
        return replace(
            drawn,
            markup=f"<g {move}>{drawn.markup}</g>",
            outline=f"<g {move}>{drawn.outline}</g>",
            height=298,
        )
    return drawn


def dress(c: Canvas, look: Look) -> Drawing:
    body = "M-70 -500C-60 -470 -40 -452 0 -452S60 -470 70 -500L92 -494C104 -440 98 -400 84 -372C78 -340 84 -320 92 -296C130 -180 168 -90 186 -24Q0 16 -186 -24C-168 -90 -130 -180 -92 -296C-84 -320 -78 -340 -84 -372C-98 -400 -104 -440 -92 -494z"
    extra = stroke("M-90 -300Q0 -284 90 -300", darker(look.main, 0.5), 9, 0.35) + stroke(
        "M-72 -498C-60 -466 -40 -448 0 -448S60 -466 72 -498", darker(look.main, 0.4), 4, 0.5
    )
    folds = _folds(
        *(
            (f"M{x} -296C{x * 1.3:.0f} -200 {x * 1.7:.0f} -100 {x * 2.05:.0f} 0", 15, 0.11)
            for x in (-72, -40, -8, 26, 58)
        )
    )
    return _garment(c, look, body, folds, extra, width=372, height=500, seams="M-182 -40Q0 0 182 -40")


def sock(c: Canvas, look: Look) -> Drawing:
    one = "M-66 -420H62C60 -300 66 -210 88 -150C110 -96 190 -84 216 -58C240 -32 224 4 186 6H20C-30 4 -58 -30 -62 -90C-66 -190 -70 -300 -66 -420z"
    heel = "M-62 -100C-58 -34 -30 4 20 6C30 -40 -10 -90 -62 -100z"
    toe = "M170 -78C190 -70 206 -64 216 -58C240 -32 224 4 186 6H158C146 -26 150 -56 170 -78z"
    second = look.second if contrast(look.second, look.main) > 0.14 else darker(look.main, 0.4)
    shape = (
        path(
            one,
            c.linear(
                (0, darker(look.main, 0.28)),
                (0.25, lighter(look.main, 0.2)),
                (0.6, look.main),
                (1, darker(look.main, 0.36)),
            ),
        )
        + path(heel, second, 'fill-opacity="0.9"')
        + path(toe, second, 'fill-opacity="0.9"')
        + rect(
            -67,
            -424,
            130,
            62,
            c.linear((0, darker(second, 0.2)), (0.3, lighter(second, 0.2)), (1, darker(second, 0.3))),
            r=6,
        )
        + "".join(stroke(f"M{x} -420v54", darker(second, 0.6), 2, 0.3) for x in range(-58, 60, 9))
        + f"<g {c.clip(path(one))}>"
        + "".join(stroke(f"M-70 {y}Q0 {y + 12} 70 {y}", second, 9, 0.55) for y in (-330, -300))
        + "</g>"
        + path(one, c.texture("weave", size=110), 'fill-opacity="0.7"')
        + path(one, c.down((0.6, "#000000", 0), (1, "#000000", 0.22)))
    )
    markup = f'<g transform="translate(-10 -26)">{shape}</g><g transform="translate(-104 0)">{shape}</g>'
    outline = (
        f'<path d="{one}" transform="translate(-10 -26)"/><path d="{one}" transform="translate(-104 0)"/>'
    )
    return Drawing(markup, outline, 400, 450, 8, False, 0.1)


def hat(c: Canvas, look: Look) -> Drawing:
    """A knitted beanie with a turned-up brim."""
    crown = "M-176 -120C-176 -300 -96 -372 0 -372S176 -300 176 -120z"
    brim = "M-190 -132Q0 -96 190 -132C198 -90 198 -50 188 -10Q0 30 -188 -10C-198 -50 -198 -90 -190 -132z"
    colour, second = (
        look.main,
        look.second if contrast(look.second, look.main) > 0.14 else darker(look.main, 0.2),
    )
    ribs = "".join(
        stroke(f"M{x} -116C{x * 0.92:.0f} -250 {x * 0.5:.0f} -340 {x * 0.1:.0f} -370", "#000000", 5, 0.13)
        for x in range(-168, 176, 21)
    )
    knit = "".join(
        stroke(
            f"M{x} {-124 + 32 * (1 - (x / 190) ** 2):.0f}V{-12 + 34 * (1 - (x / 190) ** 2):.0f}",
            "#000000",
            5,
            0.16,
        )
        for x in range(-180, 190, 15)
    )
    patch = rect(-34, -76, 68, 60, look.paper, r=3) + mark(0, -46, 19, ink_on(look.paper, look.main), look)
    markup = (
        f'<circle cx="0" cy="-384" r="46" fill="{c.radial((0, lighter(second, 0.4)), (0.6, second), (1, darker(second, 0.45)), at=(0.36, 0.32), reach=0.7)}"/>'
        f'<circle cx="0" cy="-384" r="46" fill="{c.texture("felt", size=60)}"/>'
        + path(
            crown,
            c.linear(
                (0, darker(colour, 0.42)),
                (0.25, lighter(colour, 0.24)),
                (0.55, colour),
                (1, darker(colour, 0.5)),
            ),
        )
        + ribs
        + path(crown, c.texture("felt", size=110), 'fill-opacity="0.8"')
        + path(
            brim,
            c.linear(
                (0, darker(colour, 0.4)),
                (0.25, lighter(colour, 0.3)),
                (0.55, lighter(colour, 0.05)),
                (1, darker(colour, 0.46)),
            ),
        )
        + knit
        + path(brim, c.texture("felt", size=110), 'fill-opacity="0.8"')
        + stroke("M-190 -132Q0 -96 190 -132", "#000000", 6, 0.22)
        + patch
    )
    return Drawing(
        markup, path(crown) + path(brim) + '<circle cx="0" cy="-384" r="46"/>', 384, 430, 14, False, 0.1
    )


def scarf(c: Canvas, look: Look) -> Drawing:
    """Folded cloth in a stack of three, fringed, a ribbon around it."""
    markup, outline = "", ""
    second = look.second if contrast(look.second, look.main) > 0.14 else lighter(look.main, 0.5)
    tones = (look.main, mix(look.main, second, 0.5), second)
    for k in range(3):
        y, half, tone = -k * 84, 220 - k * 9, tones[k % 3]
        fold = (
            f"M{-half} {y - 84}C{-half - 26} {y - 70} {-half - 26} {y - 12} {-half} {y}H{half - 6}V{y - 84}z"
        )
        markup += path(
            fold,
            c.down(
                (0, lighter(tone, 0.32)),
                (0.3, tone),
                (0.5, darker(tone, 0.16)),
                (0.55, lighter(tone, 0.12)),
                (1, darker(tone, 0.4)),
            ),
        )
        markup += path(fold, c.texture("weave", size=150), 'fill-opacity="0.9"')
        markup += stroke(f"M{-half + 6} {y - 42}H{half - 6}", "#000000", 3, 0.3)
        markup += stroke(f"M{-half} {y - 2}H{half - 6}", "#000000", 4, 0.34)
        markup += "".join(
            stroke(f"M{half - 6} {y - 6 - j * 8}q12 3 {22 + (j % 3) * 3} 9", lighter(tone, 0.12), 2.4, 0.85)
            for j in range(10)
        )
        outline += path(fold)
    top = "M-202 -252L-164 -286H188L202 -252z"
    markup += path(top, c.linear((0, lighter(second, 0.4)), (1, darker(second, 0.05)))) + path(
        top, c.texture("weave", size=150), 'fill-opacity="0.8"'
    )
    ribbon = look.paper
    markup += rect(
        -64,
        -252,
        128,
        252,
        c.linear((0, darker(ribbon, 0.1)), (0.3, lighter(ribbon, 0.3)), (1, darker(ribbon, 0.16))),
    ) + path("M-64 -252L-46 -286H78L64 -252z", lighter(ribbon, 0.2))
    markup += lettering(
        fit(look.name, width=108, height=170, face=look.face, largest=34),
        x=0,
        y=-124,
        ink=ink_on(ribbon, look.main),
        face=look.face,
    )
    return Drawing(markup, outline + path(top), 480, 288, 8, True, 0.1)


def shoe(c: Canvas, look: Look) -> Drawing:
    colour = look.main
    second = look.second if contrast(look.second, colour) > 0.14 else lighter(colour, 0.5)
    upper = "M-214 -74C-216 -130 -208 -190 -196 -228C-192 -240 -176 -246 -164 -240C-130 -222 -96 -222 -66 -240C-58 -246 -46 -244 -40 -236C4 -172 62 -138 130 -122C190 -108 226 -90 230 -56L228 -44H-210z"
    sole = "M-218 -62C-150 -50 160 -46 234 -62C240 -40 240 -16 226 0C160 14 -150 14 -212 2C-226 -14 -226 -42 -218 -62z"
    toe = "M130 -122C190 -108 226 -90 230 -56L228 -44H120C112 -76 116 -102 130 -122z"
    heel = "M-214 -74C-216 -130 -208 -190 -196 -228C-180 -200 -158 -120 -150 -48H-210z"
    shade = c.linear(
        (0, darker(colour, 0.24)),
        (0.22, lighter(colour, 0.26)),
        (0.5, colour),
        (1, darker(colour, 0.34)),
        along=(0, 0, 1, 0.5),
    )
    tongue = "M-70 -236C-66 -268 -44 -284 -22 -270L22 -196L-30 -190z"
    laces = ""
    for k in range(5):
        t = 0.1 + k * 0.17
        x, y = _cubic(t, -40, 4, 62, 130), _cubic(t, -236, -172, -138, -122)
        laces += stroke(f"M{x + 7:.0f} {y - 9:.0f}l-27 40", darker(colour, 0.5), 12, 0.5)
        laces += stroke(f"M{x + 6:.0f} {y - 11:.0f}l-27 40", lighter(second, 0.75), 9)
    eyestay = "M-62 -236C-52 -246 -44 -242 -40 -236C4 -172 62 -138 130 -122L104 -78C40 -92 -28 -130 -76 -196z"
    inside = path(tongue, c.linear((0, darker(colour, 0.05)), (1, darker(colour, 0.3)))) + path(
        "M-196 -228C-176 -200 -96 -200 -50 -238C-60 -262 -150 -262 -196 -228z", darker(colour, 0.66)
    )
    outside = (
        path(eyestay, lighter(colour, 0.14))
        + stroke("M-76 -196C-28 -130 40 -92 104 -78", darker(colour, 0.5), 2, 0.5, 'stroke-dasharray="6 4"')
        + path(toe, c.linear((0, lighter(second, 0.3)), (1, darker(second, 0.22))))
        + path(heel, c.linear((0, darker(second, 0.16)), (1, lighter(second, 0.1))))
        + stroke(
            "M130 -122C116 -102 112 -76 120 -44M-196 -228C-180 -200 -158 -120 -150 -48",
            darker(colour, 0.5),
            2,
            0.4,
        )
        + laces
        + path(sole, c.down((0, "#fbf8f1"), (0.6, "#e9e3d6"), (1, "#b9b1a2")))
        + stroke("M-221 -34C-150 -22 170 -20 236 -36", second, 5, 0.8)
        + path(upper, c.down((0.6, "#000000", 0), (1, "#000000", 0.22)))
    )
    cloth = path(upper, shade)
    weave = path(upper, c.texture("weave", size=110), 'fill-opacity="0.5"')
    far = f'<g transform="translate(66 -46) scale(0.94)">{inside}{cloth}{outside}</g>'
    outline = path(upper) + path(sole)
    return Drawing(
        far
        + path(upper + sole, "#000000", 'fill-opacity="0.18" transform="translate(10 -6)"')
        + inside
        + cloth
        + weave
        + outside,
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
    rims = "".join(
        path(d, paint, f'stroke="{frame}" stroke-width="17" stroke-linejoin="round"')
        + stroke(d, lighter(frame, 0.6), 3, 0.4, 'transform="translate(-3 -3)"')
        for d in (left, right)
    )
    glints = path("M-180 -166L-132 -176L-166 -60L-186 -92z", "#ffffff", 'fill-opacity="0.3"') + path(
        "M76 -166L124 -176L92 -56L70 -86z", "#ffffff", 'fill-opacity="0.3"'
    )
    bridge = f'<path d="M-46 -140Q-2 -176 44 -140" fill="none" stroke="{frame}" stroke-width="18"/>'
    outline = path(left, "#000", 'stroke="#000" stroke-width="17"') + path(
        right, "#000", 'stroke="#000" stroke-width="17"'
    )
    return Drawing(
        f'<g transform="translate(-12 26)">{arms}{rims}{bridge}{glints}</g>',
        f'<g transform="translate(-12 26)">{outline}</g>',
        470,
        240,
        8,
        False,
        0.5,
    )
