"""How Midjourney reads a prompt: words, then parameters, which size the picture, multiply the jobs, or fail.

Written from what users of Midjourney are told, and from nothing of the adapter: what an adapter lets slip
through shows here as another size, another price, or a failed task.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import prod, sqrt

_PARAMETER = re.compile(r"(?:^|\s)--+([A-Za-z]+)")
# Discord's clients write a long dash for two short ones, and Midjourney takes it back.
_LONG_DASHES = re.compile("[\N{EM DASH}\N{HORIZONTAL BAR}]")
_BRACES = re.compile(r"(?<!\\)\{([^{}]*)\}")
_RATIO = re.compile(r"([1-9]\d{0,2}):([1-9]\d{0,2})")
_VERSIONS = {"8.1", "8", "7", "6.1", "6", "5.2"}
# By name: the longer name that it is short for.
_SHORT = {"ar": "aspect", "v": "version", "s": "stylize", "c": "chaos", "q": "quality", "r": "repeat"}
_NUMBERS = {
    "stylize": (0, 1000),
    "chaos": (0, 100),
    "exp": (0, 100),
    "seed": (0, 4_294_967_295),
    "repeat": (2, 40),
    "iw": (0, 3),
    "sw": (0, 1000),
    "ow": (1, 1000),
}
_SWITCHES = {"raw", "tile", "draft", "hd", "sd"}
_SPEEDS = {"fast", "turbo", "relax"}
_TEXTS = {"no", "aspect", "version", "quality", "sref", "oref", "profile", "p", "style"}
# Dollars for one job by its speed, at a relay that bills per call; examples read 2026-11-22.
PER_CALL: Mapping[str, Fraction] = {
    "default": Fraction(4, 100),
    "fast": Fraction(4, 100),
    "turbo": Fraction(108, 1000),
    "relax": Fraction(15, 1000),
}
_CELL = 1024  # each of the four has as many pixels as a square of this side
_STEP = 16


class InvalidParameter(ValueError):
    """What a task fails with."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt that was understood."""

    words: str
    cell: tuple[int, int]  # pixels of each of the four
    seed: int | None
    speed: str | None  # as asked for among the parameters
    jobs: int  # a repeated prompt, and one with choices in braces, is as many jobs


def understood(text: str) -> Prompt:
    """Raises InvalidParameter, in Midjourney's words."""
    text = _LONG_DASHES.sub("--", text)
    pieces = _PARAMETER.split(text)
    words, given = pieces[0].strip(), {}
    for name, value in zip(pieces[1::2], pieces[2::2], strict=True):
        name = _SHORT.get(name.lower(), name.lower())
        if name in given:
            raise InvalidParameter(f"Duplicate parameter: `--{name}`")
        given[name] = value.strip()
    speed: str | None = None
    for name, value in given.items():
        if name in _SPEEDS:
            speed = name
        elif name in _NUMBERS:
            low, high = _NUMBERS[name]
            if not re.fullmatch(r"\d{1,10}", value) or not low <= int(value) <= high:
                raise InvalidParameter(f"Invalid value provided for argument `--{name}`: {value}")
        elif name not in _SWITCHES | _TEXTS:
            raise InvalidParameter(f"Unrecognized parameter(s): `--{name}`")
    if given.get("version", "8.1") not in _VERSIONS:
        raise InvalidParameter(f"Invalid value provided for argument `--version`: {given['version']}")
    choices = prod(len(found.split(",")) for found in _BRACES.findall(text))
    return Prompt(
        words=words,
        cell=_cell(given.get("aspect", "1:1")),
        seed=int(given["seed"]) if "seed" in given else None,
        speed=speed,
        jobs=choices * int(given.get("repeat", 1)),
    )


def _cell(aspect: str) -> tuple[int, int]:
    ratio = _RATIO.fullmatch(aspect)
    if ratio is None:
        raise InvalidParameter(f"Invalid value provided for argument `--aspect`: {aspect}")
    root = sqrt(int(ratio[1]) / int(ratio[2]))
    return _stepped(_CELL * root), _stepped(_CELL / root)


def _stepped(side: float) -> int:
    return max(_STEP, round(side / _STEP) * _STEP)
