"""From a free prompt to what a studio needs to know: the product's name, its kind, its colours."""

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packshot.imaging.header import MAX_PIXELS, MAX_SIDE_PX

NAME_LENGTH = 60  # characters that a label can still carry
_PROMPT_READ = 2_000  # characters: what matters stands at the front, and hostile prompts are long


@dataclass(frozen=True, slots=True)
class Packshot:
    """One picture to draw. Colours are #rrggbb, the object's own first; none means the studio chooses."""

    name: str
    kind: str
    colours: tuple[str, ...]
    seed: int
    style: str
    width_px: int
    height_px: int

    def __post_init__(self) -> None:
        width, height = self.width_px, self.height_px
        if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX and width * height <= MAX_PIXELS):
            raise ValueError(f"cannot draw {width} x {height} px")
        if not all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in self.colours):
            raise ValueError(f"colours are written #rrggbb: {self.colours}")


def describe(prompt: str, *, style: str, seed: int, width_px: int, height_px: int) -> Packshot:
    """What `prompt` asks for, as far as words tell. Any text works; an empty one gives a plain sample."""
    text = plain(prompt[:_PROMPT_READ])
    name = _name(text)
    kind = _kind(name) or _kind(_without_setting(text)) or "generic"
    return Packshot(name, kind, _colours(name, text), seed, style, width_px, height_px)


def plain(text: str) -> str:
    """`text` on one line, without what cannot be lettered or breaks XML: controls, emoji, surrogates."""
    kept = ""
    for char in unicodedata.normalize("NFC", text):
        category = unicodedata.category(char)
        if category.startswith("Z") or char in "\t\n\r":
            kept += " "
        elif not category.startswith("C") and category not in ("So", "Sk"):
            kept += char
    return re.sub(r"\s+", " ", kept).strip()


# -- name --------------------------------------------------------------------------------------

_QUOTED = re.compile(r"[\"“„«]([^\"“”„«»]{2,80})[\"”“»]")
_OPENING = re.compile(
    r"^(?:.{0,60}?\b(?:packshot|photo|photograph|photography|picture|image|render|rendering|shot|visual|"
    r"still life|close-up|advert|ad|portrait|view)s?\s+(?:of|for|showing)\s*:?\s+)",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"^(?:an?|the|our|one|some|this)\s+", re.IGNORECASE)
_NAME_ENDS = re.compile(
    r"[,;:.!?(\[|]\s|[,;:.!?]$|\s[-–—]\s|\s[(\[]|\s(?:on|against|in front of|standing|isolated)\s",
    re.IGNORECASE,
)


def _name(text: str) -> str:
    subject = _OPENING.sub("", text, count=1)
    quoted = _QUOTED.search(subject[:160])
    if quoted:
        subject = quoted.group(1)
    else:
        subject = _ARTICLE.sub("", subject, count=1)
        end = _NAME_ENDS.search(subject)
        subject = subject[: end.start()] if end and end.start() > 0 else subject
    subject = subject.strip(" ,;:.-–—'\"")
    if len(subject) > NAME_LENGTH:
        whole_words = subject[:NAME_LENGTH].rpartition(" ")[0]
        subject = (whole_words or subject[: NAME_LENGTH - 1]) + "…"
    return subject[:1].upper() + subject[1:]


# -- kind --------------------------------------------------------------------------------------

_WORDS = tomllib.loads((Path(__file__).parent / "words.toml").read_text(encoding="utf-8"))


def _vocabulary() -> dict[tuple[str, ...], str]:
    words: dict[tuple[str, ...], str] = {}
    for kind, listed in _WORDS["kinds"].items():
        for phrase, word in re.findall(r"'([^']+)'|(\S+)", listed):
            words[tuple((phrase or word).split())] = kind
    return words


_VOCABULARY = _vocabulary()
_LONGEST = max(map(len, _VOCABULARY))
# What follows these says what it is made of, goes with or is for: not what it is.
_ASIDE = re.compile(r"\s(?:with|for|from|made|in|without|featuring|by|and comes|containing)\s", re.IGNORECASE)


def _kind(text: str) -> str | None:
    """The kind named by `text`: the last fitting word before an aside, since English puts the noun last."""
    for part in (_ASIDE.split(text)[0], text):
        for clause in re.split(r"[,.;:>/]", part):
            found = _last_kind(re.findall(r"[a-z0-9][a-z0-9-]*", clause.lower()))
            if found:
                return found
    return None


def _without_setting(text: str) -> str:
    """`text` less its opening words and the clauses that describe the room: a soft light is no lamp."""
    clauses = re.split(r"[,.;:]", _OPENING.sub("", text, count=1))
    return ",".join(clause for clause in clauses if not _ROOM.search(clause))


def _last_kind(words: list[str]) -> str | None:
    for end in range(len(words), 0, -1):
        for length in range(min(_LONGEST, end), 0, -1):
            for form in _forms(words[end - length : end]):
                kind = _VOCABULARY.get(form)
                if kind:
                    return kind
    return None


def _forms(words: list[str]) -> Iterator[tuple[str, ...]]:
    yield tuple(words)
    *head, last = words
    for ending, replacement in (("ies", "y"), ("es", ""), ("s", "")):
        if last.endswith(ending) and len(last) > len(ending) + 2:
            yield (*head, last.removesuffix(ending) + replacement)


# -- colours -----------------------------------------------------------------------------------

_COLOURS: dict[str, str] = _WORDS["colours"]
_ROOM_WORDS = (
    r"(?:background|backdrop|seamless|surface|light|lighting|sweep|studio|wall|floor|table|tabletop|setting|room|"
    r"cyclorama|shadows?|tones?|sky|border|camera|lens|style)"
)
_ROOM = re.compile(rf"\b{_ROOM_WORDS}\b", re.IGNORECASE)
_SETTING = re.compile(rf"\s?(?:\S+\s){{0,2}}?{_ROOM_WORDS}\b", re.IGNORECASE)
_COLOUR_WORDS = re.compile(r"#[0-9a-f]{6}\b|#[0-9a-f]{3}\b|[a-z]+", re.IGNORECASE)


def _colours(name: str, text: str) -> tuple[str, ...]:
    """Up to three colours, the name's first; those that describe the room around the product are left out."""
    found: list[str] = []
    for source in (name, text):
        for word in _COLOUR_WORDS.finditer(source):
            colour = _colour(word.group().lower())
            of_the_room = source is text and _SETTING.match(source, word.end())
            if colour and colour not in found and not of_the_room:
                found.append(colour)
    return tuple(found[:3])


def _colour(word: str) -> str | None:
    if word.startswith("#"):
        return word if len(word) == 7 else "#" + "".join(2 * digit for digit in word[1:])
    return _COLOURS.get(word)
