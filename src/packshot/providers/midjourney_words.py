"""Midjourney's prompt: words for the picture, then parameters. Only this module writes parameters.

What a shape, an option or a seed decides is part of the request, shown and stored, and some parameters cost:
`--repeat 10` is ten jobs, `--turbo` twice the price, `{red, blue}` one job each. So words never become one. A
parameter that somebody typed is refused before anything is sent, since dropping it would make another picture
than was asked for. Dashes and braces that are only typography stay, in a form that Midjourney reads as text.
"""

import re
import unicodedata

from packshot.kernel.errors import BadInput

_DASHES = "".join(each for each in map(chr, range(0x1_0000)) if unicodedata.category(each) == "Pd")
_MINUS = "\N{MINUS SIGN}"
_EM = "\N{EM DASH}\N{HORIZONTAL BAR}\N{TWO-EM DASH}\N{THREE-EM DASH}"
_RUN = re.compile(f"[{re.escape(_DASHES)}{_MINUS}]+")
_TYPED = re.compile(rf"(?:^|\s)[{re.escape(_DASHES)}{_MINUS}]{{2,}}([A-Za-z]+)")
# Word processors make a long dash of two short ones, which Midjourney takes as well. Before other words it is
# punctuation; a parameter is told by its value.
_CORRECTED = re.compile(
    rf"(?:^|\s)[{_EM}]"
    r"(ar|aspect|v|version|s|stylize|c|chaos|q|quality|seed|iw|w|weird|r|repeat|exp|sref|oref|niji)\s+\d",
    re.IGNORECASE,
)
_BRACES = str.maketrans("{}", "()")
# Where the wish belongs that a parameter stands for.
_INSTEAD = {
    "ar": "choose a shape",
    "aspect": "choose a shape",
    "no": "use the negative prompt",
    "seed": "set the seed",
    "v": "choose a model",
    "version": "choose a model",
}


def plain(text: str, *, field: str) -> str:
    """`text` as words that hold no parameter, on one line. Raises BadInput for one that was typed."""
    # Invisible characters could part two dashes here and not there.
    visible = "".join(
        " " if unicodedata.category(character) == "Cc" else character
        for character in text
        if unicodedata.category(character) != "Cf"
    )
    typed = _TYPED.search(visible) or _CORRECTED.search(visible)
    if typed:
        name = typed[1].lower()
        instead = _INSTEAD.get(name, "use the model's options")
        raise BadInput(f"The prompt holds Midjourney's parameter --{name}; {instead} instead.", field=field)
    quiet = _RUN.sub(_quiet, visible.translate(_BRACES))
    return " ".join(quiet.split()).strip("- ")


def _quiet(run: re.Match[str]) -> str:
    """One dash where there may be several: an em dash parts words, all others may join them."""
    return " - " if len(run[0]) > 1 or run[0] in _EM else "-"


def written(words: str, parameters: list[tuple[str, object]]) -> str:
    """The prompt with its parameters; one without a value is a switch, one of None is left out."""
    said = [
        f"--{name}" if value is True else f"--{name} {value}"
        for name, value in parameters
        if value is not None and value is not False
    ]
    return " ".join([words, *said])
