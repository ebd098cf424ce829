"""What differs between two texts, word by word."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Literal

Kind = Literal["same", "removed", "added"]

# More pairs of words are not compared by their places alone, which takes minutes where words repeat.
MOST_PAIRS = 40_000
# So often is a stretch cut at words that stand once in both; what is left then is taken as a whole.
MOST_CUTS = 20
_WORD = re.compile(r"\n|\S+")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Words of both texts, of the first alone or of the second alone, with the line ends among them."""

    kind: Kind
    text: str


def word_by_word(before: str, after: str) -> tuple[Stretch, ...]:
    """Both texts in one, in the order of their words; what was removed stands before what came for it."""
    aligned = _aligned(_WORD.findall(before), _WORD.findall(after), 0)
    return tuple(
        Stretch(kind, _joined([word for _, words in runs for word in words]))
        for kind, runs in groupby((run for run in aligned if run[1]), lambda run: run[0])
    )


def _aligned(before: Sequence[str], after: Sequence[str], cuts: int) -> Iterator[tuple[Kind, Sequence[str]]]:
    first = _alike(before, after)
    yield "same", before[:first]
    before, after = before[first:], after[first:]
    last = _alike(before[::-1], after[::-1])
    end = before[len(before) - last :]
    before, after = before[: len(before) - last], after[: len(after) - last]
    if len(before) * len(after) <= MOST_PAIRS:
        # A line end is no reason to think that two places are the same.
        matched = SequenceMatcher(lambda word: word == "\n", before, after, autojunk=False)
        for kind, a, b, c, d in matched.get_opcodes():
            if kind == "equal":
                yield "same", before[a:b]
            else:
                yield "removed", before[a:b]
                yield "added", after[c:d]
    elif cuts < MOST_CUTS and (anchors := _anchors(before, after)):
        a = c = 0
        for b, d in (*anchors, (len(before), len(after))):
            yield from _aligned(before[a:b], after[c:d], cuts + 1)
            a, c = b, d
    else:
        yield "removed", before
        yield "added", after
    yield "same", end


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """How many words both begin with."""
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return at
    return min(len(one), len(other))


def _anchors(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int]]:
    """Places of words that stand exactly once in both: the longest row of them in the same order."""
    counts = Counter(before), Counter(after)
    places = {word: at for at, word in enumerate(after) if counts[1][word] == 1}
    pairs = [(at, places[word]) for at, word in enumerate(before) if counts[0][word] == 1 and word in places]
    # The best last pair of a row of each length, and for each pair the one before it.
    ends: list[int] = []
    lasts: list[int] = []
    earlier: list[int] = []
    for index, (_, place) in enumerate(pairs):
        length = bisect_left(ends, place)
        earlier.append(lasts[length - 1] if length else -1)
        ends[length:] = [place, *ends[length + 1 :]]
        lasts[length:] = [index, *lasts[length + 1 :]]
    row, index = list[tuple[int, int]](), lasts[-1] if lasts else -1
    while index >= 0:
        row.append(pairs[index])
        index = earlier[index]
    return row[::-1]


def _joined(words: Sequence[str]) -> str:
    return re.sub(r" ?\n ?", "\n", " ".join(words))
