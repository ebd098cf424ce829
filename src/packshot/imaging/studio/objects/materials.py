"""What other things are made from: cloth on the bolt, boards, blocks, rope, filament."""

# ruff: noqa: E501 - the outline of a thing reads worse when broken across lines

from dataclasses import replace
from math import cos, pi, sin

from packshot.imaging.studio.canvas import (
    Canvas,
    Texture,
    contrast,
    darker,
    fit,
    ink_on,
    lettering,
    lighter,
    mix,
)
from packshot.imaging.studio.objects.parts import (
    Drawing,
    Look,
    drum,
    ellipse,
    path,
    printed,
    rect,
    round_shade,
    scatter,
    stroke,
)


def fabric(c: Canvas, look: Look) -> Drawing:
    """Three bolts, stacked, their rolled ends towards the viewer at the right."""
    second = look.second if contrast(look.second, look.main) > 0.12 else lighter(look.main, 0.5)
    markup, outline = "", ""
    r = 66
    for x, y, colour, long in (
        (-216, -r, look.main, 400),
        (-180, -r, second, 0),
        (-196, -r * 2.86, second, 372),
        (-170, -r * 4.7, mix(look.main, second, 0.5), 330),
    ):
        if not long:
            continue
        end = x + long
        shade = c.down(
            (0, darker(colour, 0.3)),
            (0.1, lighter(colour, 0.06)),
            (0.28, lighter(colour, 0.34)),
            (0.5, colour),
            (0.82, darker(colour, 0.34)),
            (1, darker(colour, 0.56)),
        )
        roll = f"M{x} {y - r}H{end}V{y + r}H{x}A26 {r} 0 0 1 {x} {y - r}z"
        markup += path(roll, shade) + path(roll, c.texture("weave", size=130), 'fill-opacity="0.75"')
        markup += ellipse(end, y, 30, r, c.linear((0, darker(colour, 0.1)), (1, lighter(colour, 0.2))))
        spiral = "".join(
            ellipse(
                end,
                y,
                30 - k * 3.2,
                r - k * 7.2,
                "none",
                f'stroke="{darker(colour, 0.5)}" stroke-width="1.5" stroke-opacity="0.5"',
            )
            for k in range(1, 7)
        )
        markup += spiral + ellipse(end, y, 10, 21, "#c8a878") + ellipse(end + 1, y, 6, 14, "#3a2a1c")
        markup += path(
            f"M{x + 40} {y - r}h{long * 0.16:.0f}v{r * 1.2:.0f}q{-long * 0.08:.0f} 8 {-long * 0.16:.0f} 0z",
            "#ffffff",
            'fill-opacity="0.06"',
        )
        outline += path(roll) + ellipse(end, y, 30, r, "#000")
    loose = f"M-216 {-r * 0.2}C-190 {r * 0.6} -150 {r - 2} -60 {r + 2}C40 {r + 6} 120 {r} 196 {r - 6}L184 {r - 30}H-200z"
    markup += path(loose, c.down((0, darker(look.main, 0.4)), (1, darker(look.main, 0.1)))) + path(
        loose, c.texture("weave", size=130), 'fill-opacity="0.75"'
    )
    w, h = 168.0, 96.0
    tag = rect(-96, -r * 2.86 - h / 2, w, h, look.paper, r=3) + printed(
        c,
        replace(look, variant=2),
        x=-96,
        y=-r * 2.86 - h / 2,
        w=w,
        h=h,
        paper=look.paper,
        tint=darker(look.main, 0.3),
    )
    tag += rect(
        -96,
        -r * 2.86 - h / 2,
        w,
        h,
        c.down((0, "#0d0906", 0.14), (0.3, "#ffffff", 0.16), (1, "#0d0906", 0.2)),
        r=3,
    )
    return Drawing(
        f'<g transform="translate(0 {-8})">{markup}{tag}</g>',
        f'<g transform="translate(0 -8)">{outline}</g>',
        460,
        384,
        8,
        True,
        0.1,
    )


def board(c: Canvas, look: Look) -> Drawing:
    """Three panels leaning in a fan, their thick edges showing."""
    kind: Texture = "wood" if look.variant % 2 else "felt"
    markup, outline = "", ""
    for k, (x, lean, tone) in enumerate(
        (
            (64, 58, darker(look.main, 0.16)),
            (0, 30, lighter(look.second if contrast(look.second, look.main) < 0.3 else look.main, 0.12)),
            (-72, 0, look.main),
        )
    ):
        face = f"M{x - 150} -430L{x + 122 + lean * 0.2:.0f} {-404 + lean * 0.1:.0f}L{x + 122 + lean * 0.2:.0f} 16L{x - 150} -8z"
        edge = f"M{x + 122 + lean * 0.2:.0f} {-404 + lean * 0.1:.0f}l42 -16V-4L{x + 122 + lean * 0.2:.0f} 16z"
        top = f"M{x - 150} -430l42 -16L{x + 164 + lean * 0.2:.0f} {-420 + lean * 0.1:.0f}l-42 16z"
        markup += path(
            face,
            c.linear((0, lighter(tone, 0.22)), (0.6, tone), (1, darker(tone, 0.16)), along=(0, 0, 1, 0.8)),
        )
        markup += path(face, c.texture(kind, size=260 + k * 30))
        markup += path(edge, darker(tone, 0.42)) + path(edge, c.texture("felt", size=110))
        markup += path(top, lighter(tone, 0.42)) + path(
            top, c.texture("felt", size=110), 'fill-opacity="0.6"'
        )
        markup += stroke(
            f"M{x + 122 + lean * 0.2:.0f} {-404 + lean * 0.1:.0f}V16", lighter(tone, 0.5), 1.6, 0.5
        )
        outline += path(face) + path(edge) + path(top)
    w, h = 196.0, 132.0
    tag = f'<g transform="matrix(1 0.09 0 1 -196 -300)">{rect(0, 0, w, h, look.paper, r=3)}{printed(c, replace(look, variant=look.variant if look.variant != 1 else 2), x=0, y=0, w=w, h=h, paper=look.paper, tint=darker(look.main, 0.35))}</g>'
    return Drawing(markup + tag, outline, 470, 446, 16, True, 0.1)


def block(c: Canvas, look: Look) -> Drawing:
    """Building blocks, two and one on top, open-pored."""
    markup, outline = "", ""
    for x, y, w, tone in (
        (-236, 0, 228, darker(look.main, 0.05)),
        (8, 0, 210, look.main),
        (-136, -148, 228, lighter(look.main, 0.06)),
    ):
        front = f"M{x} {y - 140}h{w}v148h{-w}z"
        side = f"M{x + w} {y - 140}l58 -34v140l-58 42z"
        top = f"M{x} {y - 140}l58 -34h{w}l-58 34z"
        markup += path(
            front, c.linear((0, lighter(tone, 0.2)), (1, darker(tone, 0.08)), along=(0, 0, 1, 1))
        ) + path(front, c.texture("felt", size=150))
        markup += path(side, c.linear((0, darker(tone, 0.36)), (1, darker(tone, 0.5)))) + path(
            side, c.texture("felt", size=150)
        )
        markup += path(top, lighter(tone, 0.4)) + path(top, c.texture("felt", size=150))
        pores = "".join(
            ellipse(px, py, r * 1.5, r, darker(tone, 0.62), 'fill-opacity="0.4"')
            for px, py, r in scatter(look, f"pores{x}", 52, x + 8, x + w - 8, y - 132, y, 0.9, 3.2)
        )
        straws = "".join(
            stroke(f"M{px:.0f} {py:.0f}l{r * 7:.0f} {r * 3 - 5:.0f}", lighter(tone, 0.6), 2.2, 0.5)
            for px, py, r in scatter(look, f"straw{x}", 22, x + 8, x + w - 30, y - 130, y - 8, 0.9, 3)
        )
        markup += pores + straws + stroke(f"M{x} {y - 140}h{w}l58 -34", lighter(tone, 0.6), 1.6, 0.4)
        outline += path(front) + path(side) + path(top)
    tag = rect(-110, -272, 176, 108, look.paper, r=3) + printed(
        c,
        replace(look, variant=2),
        x=-110,
        y=-272,
        w=176,
        h=108,
        paper=look.paper,
        tint=darker(look.main, 0.4),
    )
    return Drawing(markup + tag, outline, 520, 322, 14, True, 0.1)


def rope(c: Canvas, look: Look) -> Drawing:
    """A coil of twisted rope with a paper band, its end running out over the floor."""
    colour = look.main
    markup = path(drum(170, -216, -10, tilt=0.15), round_shade(c, darker(colour, 0.55), gloss=0.1))
    outline = path(drum(170, -216, 0, tilt=0.15))
    for k in range(5):
        y, half = -k * 46, 176 - (k % 2) * 7
        turn = f"M{-half} {y - 40}C{-half - 16} {y - 12} {-half + 30} {y + 22} 0 {y + 26}C{half - 30} {y + 22} {half + 16} {y - 12} {half} {y - 40}C{half - 30} {y - 14} {half * 0.4:.0f} {y - 8} 0 {y - 8}C{-half * 0.4:.0f} {y - 8} {-half + 30} {y - 14} {-half} {y - 40}z"
        shade = c.down(
            (0, darker(colour, 0.3)), (0.35, lighter(colour, 0.24)), (0.6, colour), (1, darker(colour, 0.52))
        )
        strands = "".join(
            stroke(f"M{x} {y - 36}q14 34 22 60", darker(colour, 0.5), 3, 0.42)
            for x in range(-half - 20, half + 10, 17)
        )
        markup_turn = (
            path(turn, shade)
            + f"<g {c.clip(path(turn))}>{strands}</g>"
            + path(
                turn,
                c.linear(
                    (0, "#000000", 0.42), (0.25, "#ffffff", 0.14), (0.6, "#000000", 0), (1, "#000000", 0.5)
                ),
            )
        )
        markup += markup_turn
        outline += path(turn)
    top_y = -4 * 46 - 40
    markup += ellipse(0, top_y + 4, 172, 30, darker(colour, 0.2))
    for ring, at in ((160, 0.1), (128, 0.28), (96, 0.42)):
        markup += ellipse(
            0,
            top_y + 2,
            ring,
            ring * 0.17,
            "none",
            f'stroke="{lighter(colour, 0.22 - at * 0.3)}" stroke-width="22"',
        )
        markup += ellipse(
            0,
            top_y + 2,
            ring,
            ring * 0.17,
            "none",
            f'stroke="{darker(colour, 0.5)}" stroke-width="21" stroke-dasharray="3 11" stroke-opacity="0.4"',
        )
    markup += ellipse(0, top_y + 3, 70, 11, darker(colour, 0.75))
    outline += ellipse(0, top_y + 4, 176, 34, "#000")
    tail = "M150 4C210 26 250 18 292 30"
    rope_end = f'<path d="{tail}" fill="none" stroke="{darker(colour, 0.35)}" stroke-width="26" stroke-linecap="round"/><path d="{tail}" fill="none" stroke="{lighter(colour, 0.1)}" stroke-width="19" stroke-linecap="round"/><path d="{tail}" fill="none" stroke="{darker(colour, 0.5)}" stroke-width="19" stroke-dasharray="3 10" stroke-opacity="0.45"/>'
    paper_band = f"M-70 {top_y + 28}Q0 {top_y + 36} 70 {top_y + 28}V22Q0 30 -70 22z"
    markup = (
        rope_end
        + markup
        + path(paper_band, look.paper)
        + path(paper_band, c.linear((0, "#0d0906", 0.12), (0.3, "#ffffff", 0.2), (1, "#0d0906", 0.16)))
    )
    letters = fit(look.name, width=124, height=150, face=look.face, largest=34)
    markup += lettering(letters, x=0, y=-92, ink=ink_on(look.paper, darker(colour, 0.3)), face=look.face)
    return Drawing(markup, outline, 420, 260, 22, True, 0.1)


def spool(c: Canvas, look: Look) -> Drawing:
    """A reel standing on its rim, wound full, its hub towards the viewer."""
    r = 196
    dark = "#24262a"
    thread = "".join(
        f'<circle cx="34" cy="{-r}" r="{q}" fill="none" stroke="{darker(look.main, 0.35)}" stroke-width="1.2" stroke-opacity="0.3"/>'
        for q in range(100, 178, 5)
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
