"""The print on a label: a name set in our own typefaces, as two masks of ink on a flat sheet."""

import functools
import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape

import pyvips

Face = Literal["Geist", "DM Serif Display"]

_FONT_FILES = ("Geist-Medium.ttf", "DMSerifDisplay-Regular.ttf")
_MEASURED_AT = 100  # px: lettering is measured once at this size and scaled
_LONGEST_WORD = 18  # characters
_LEADING = 1.18  # line height, in sizes
_SMALL_PX = 100
_fonts_lock = threading.Lock()
_fonts_ready = False


@dataclass(frozen=True, slots=True)
class Lettering:
    """A name broken into lines and the size, in px, at which they fit."""

    lines: tuple[str, ...]
    size: float


def label(name: str, *, face: Face, layout: int, width: int, height: int) -> pyvips.Image:
    """A sheet of `width` x `height` px with two bands of 0 to 255: lettering, and ornament in the accent.

    The margin is empty on every layout, so whatever the name holds stays on its label.
    """
    ink = pyvips.Image.black(width, height)
    accent = pyvips.Image.black(width, height)
    # A label wider than tall has its ornament at the side lines only, so that the name keeps its room.
    wide = width > 1.7 * height
    line = max(1, round(min(width, height) * 0.011))
    inset = round(min(width, height) * 0.07)
    room_x, room_y, middle = 0.76 * width, 0.62 * height, 0.5 * height
    if height < _SMALL_PX:
        # All of a small label goes to the name: ornament would only take from its size.
        room_x, room_y = 0.86 * width, 0.8 * height
    elif layout == 0 and not wide:
        dot = round(height * 0.075)
        accent = accent.insert(_disc(dot), (width - dot) // 2, round(height * 0.13))
        room_y, middle = 0.5 * height, 0.53 * height
        ink = ink.insert(_bar(round(width * 0.16), line), round(width * 0.42), round(height * 0.87))
    elif layout == 1:
        ink = _frame(ink, inset, line)
        room_x, room_y = min(0.78 * width, width - 4.2 * inset), height - 4.2 * inset
    elif layout == 2 and not wide:
        across, down = round(width * 0.62), round(height * 0.035)
        accent = accent.insert(_bar(across, down), (width - across) // 2, round(height * 0.14))
        accent = accent.insert(_bar(across, down), (width - across) // 2, round(height * 0.825))
        room_y = 0.52 * height
    else:
        across = round(width * 0.72)
        for at in (0.11, 0.89):
            ink = ink.insert(_bar(across, line), (width - across) // 2, round(height * at) - line // 2)
        room_y = 0.6 * height
    largest = 0.36 * height if wide else 0.19 * width
    letters = fit(name, width=room_x, height=room_y, face=face, largest=largest)
    ink = _set(ink, letters, face, middle, room_x, room_y)
    return ink.bandjoin(accent).copy_memory()


def _set(
    sheet: pyvips.Image, letters: Lettering, face: Face, middle: float, room_x: float, room_y: float
) -> pyvips.Image:
    """`letters` printed on `sheet`, their block centred on height `middle`."""
    if not letters.lines or letters.size < 1:
        return sheet
    style = " Medium" if face == "Geist" else ""
    try:
        block = pyvips.Image.text(
            "\n".join(map(escape, letters.lines)),
            font=f"{face}{style} {letters.size:.2f}",
            dpi=72,
            align="centre",
            spacing=round(letters.size * (_LEADING - 1.16)),
        )
    except pyvips.Error:  # nothing to draw: an unassigned or zero-width character
        return sheet
    # Letters of another typeface, for a script that ours do not have, may be larger than measured.
    excess = max(block.width / room_x, block.height / room_y)
    if excess > 1:
        block = block.resize(1 / excess)
    return sheet.insert(block, (sheet.width - block.width) // 2, round(middle - block.height / 2))


def _bar(width: int, height: int) -> pyvips.Image:
    return (pyvips.Image.black(max(1, width), max(1, height)) + 255).cast("uchar")


def _disc(across: int) -> pyvips.Image:
    place = pyvips.Image.xyz(across, across) - (across - 1) / 2
    away = (place[0] * place[0] + place[1] * place[1]) ** 0.5
    return ((across / 2 - away) * 255).cast("uchar")


def _frame(sheet: pyvips.Image, inset: int, line: int) -> pyvips.Image:
    across, down = sheet.width - 2 * inset, sheet.height - 2 * inset
    if min(across, down) <= 2 * line:
        return sheet
    inside = pyvips.Image.black(across - 2 * line, down - 2 * line)
    return sheet.insert(_bar(across, down).insert(inside, line, line), inset, inset)


# -- fitting -----------------------------------------------------------------------------------


def fit(text: str, *, width: float, height: float, face: Face, largest: float, lines: int = 4) -> Lettering:
    """`text` in as few and as large lines as fit into `width` by `height`."""
    # A word that no label could hold is broken where it must be, as Japanese is anyway.
    words = [
        word[at : at + _LONGEST_WORD] for word in text.split() for at in range(0, len(word), _LONGEST_WORD)
    ]
    best = Lettering((), 0.0)
    for count in range(1, min(lines, len(words)) + 1):
        broken = _balanced(words, count, face)
        widest = max(_advance(line, face) for line in broken)
        size = min(largest, width / max(widest, 0.01), height / (_LEADING * len(broken)))
        # One more line must earn its place by clearly larger letters.
        if size > best.size * 1.12:
            best = Lettering(tuple(broken), size)
    return best


def _balanced(words: Sequence[str], count: int, face: Face) -> list[str]:
    """`words` in `count` lines, the widest as narrow as can be (few words, so the search is exact)."""
    widths = [_advance(word, face) for word in words]
    space = 0.26

    @functools.cache
    def best(start: int, left: int) -> tuple[float, tuple[int, ...]]:
        if left == 1:
            return sum(widths[start:]) + space * (len(words) - start - 1), ()
        choices = []
        for stop in range(start + 1, len(words) - left + 2):
            here = sum(widths[start:stop]) + space * (stop - start - 1)
            rest, breaks = best(stop, left - 1)
            choices.append((max(here, rest), (stop, *breaks)))
        return min(choices)

    edges = [0, *best(0, count)[1], len(words)]
    return [" ".join(words[a:b]) for a, b in itertools.pairwise(edges)]


@functools.lru_cache(maxsize=2048)
def _advance(text: str, face: Face) -> float:
    """The width of `text` at size 1."""
    load_fonts()
    style = "Medium" if face == "Geist" else ""
    try:
        drawn = pyvips.Image.text(escape(text), font=f"{face} {style} {_MEASURED_AT}", dpi=72)
    except pyvips.Error:  # nothing to draw: an unassigned or zero-width character
        return 0.5 * len(text)
    return float(drawn.width) / _MEASURED_AT


def load_fonts() -> None:
    """Make our fonts known to this process, so that lettering needs none on the machine."""
    global _fonts_ready
    with _fonts_lock:
        if not _fonts_ready:
            for name in _FONT_FILES:
                path = Path(__file__).parent / "fonts" / name
                pyvips.Image.text("a", fontfile=str(path))
            _fonts_ready = True
