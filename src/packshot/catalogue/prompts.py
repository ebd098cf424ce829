"""Prompt templates: `{{name}}` filled from a fixed list of product facts. There is no expression language.

    A {{attribute:colour|natural}} {{attribute:pack}} of {{name}}. {{brand_style|Plain studio background.}}

- `{{name}}`, `{{sku}}`, `{{description}}`, `{{category}}` (the last level), `{{category_path}}`
  (`Food > Oils`), `{{brand_style}}` (the site's own setting).
- `{{attribute:colour}}`: any attribute of the product. Case, spaces, `_` and `-` in its name do not matter.
- `{{...|words}}`: what to write, literally, when the product does not say; `{{...|}}` writes nothing.

A product that lacks a fact without a default is reported, never filled with a blank. A product's words are
data: braces in them stay braces.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Literal

from packshot.catalogue.formats.text import cleaned

FIELDS = ("name", "sku", "description", "category", "category_path", "brand_style")
# What the longest prompt of any provider may have (OpenAI's GPT Image models).
PROMPT_CHARS = 32_000
# A product's text beyond this says nothing about its picture and would crowd out the rest of the prompt.
VALUE_CHARS = 4_000

# The template's own words; a fact of the product; a default in its place; a fact that it lacks.
PieceKind = Literal["words", "filled", "default", "missing"]

_NAMED: tuple[PieceKind, ...] = ("filled", "missing")
_PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")
_ATTRIBUTE_GUESS = re.compile(r"attributes?\s*[.:/ _-]\s*([\w -]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ProductFacts:
    """What a prompt may say about a product."""

    name: str
    sku: str
    description: str
    category_path: tuple[str, ...]
    attributes: Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One `{{...}}` of a template."""

    text: str  # as written, braces included
    name: str  # "name", "attribute:colour"
    attribute: str | None  # "colour"
    default: str | None  # None when there is none, which is not the same as an empty one
    line: int

    @property
    def known(self) -> bool:
        return bool(self.attribute) if self.attribute is not None else self.name in FIELDS


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt. It must not be sent while anything is `missing`; those placeholders still stand in it."""

    prompt: str
    missing: tuple[str, ...]  # facts the product lacks, and names that do not exist
    used: tuple[str, ...]  # facts that were filled in, defaults not counted
    shortened: tuple[str, ...] = ()  # facts too long for a prompt, and "prompt" when the whole was


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a prompt, and how it came there."""

    kind: PieceKind
    text: str  # for a missing one as written in the template, braces included
    name: str = ""  # of the fact: "name", "attribute:colour"; empty for words


def placeholders(text: str) -> list[Placeholder]:
    """Every placeholder of a template, in order."""
    return [part for part in _parts(text) if isinstance(part, Placeholder)]


def problems(text: str) -> list[str]:
    """What keeps `text` from being a template, each with what to write instead. Empty when all is well."""
    found: list[str] = []
    if not text.strip():
        found.append("it is empty")
    if len(text) > PROMPT_CHARS:
        found.append(f"it has {len(text):,} characters; a prompt may have {PROMPT_CHARS:,}")
    line = 1
    for part in _parts(text):
        if isinstance(part, str):
            for number, words in enumerate(part.split("\n"), start=line):
                if "{{" in words:
                    found.append(f"line {number}: a {{{{ is never closed; write it like {{{{name}}}}")
            line += part.count("\n")
        else:
            if not part.known:
                found.append(f"line {line}: {_remedy(part)}")
            line += part.text.count("\n")
    return found


def render(text: str, facts: ProductFacts, brand_style: str) -> Rendered:
    """`text` with the product's facts in place, control characters removed and white space tidied."""
    return shown(text, facts, brand_style)[1]


def shown(text: str, facts: ProductFacts, brand_style: str) -> tuple[tuple[Piece, ...], Rendered]:
    """The prompt of `render` in its pieces, for a page that shows what came from where, and as it is sent.

    White space between the pieces is not tidied yet; a prompt that is too long is not cut in them.
    """
    found, shortened = _filled(text, facts, brand_style)
    prompt = _tidy("".join(piece.text for piece in found))
    if len(prompt) > PROMPT_CHARS:
        shortened["prompt"] = None
        prompt = prompt[:PROMPT_CHARS].rstrip()
    names = {kind: tuple(dict.fromkeys(each.name for each in found if each.kind == kind)) for kind in _NAMED}
    return tuple(found), Rendered(prompt, names["missing"], names["filled"], tuple(shortened))


def pieces(text: str, facts: ProductFacts, brand_style: str) -> tuple[Piece, ...]:
    """The pieces of `shown` alone."""
    return tuple(_filled(text, facts, brand_style)[0])


def _filled(text: str, facts: ProductFacts, brand_style: str) -> tuple[list[Piece], dict[str, None]]:
    """The pieces in order, and the facts that were too long for a prompt and are cut in them."""
    attributes = {_attribute_key(name): value for name, value in facts.attributes.items()}
    found: list[Piece] = []
    shortened: dict[str, None] = {}
    for part in _parts(text):
        if isinstance(part, str):
            if part:
                found.append(Piece("words", part))
            continue
        value = " ".join(cleaned(_fact(part, facts, attributes, brand_style)).split())
        if value:
            if len(value) > VALUE_CHARS:
                shortened[part.name] = None
                value = value[:VALUE_CHARS].rsplit(" ", 1)[0]
            found.append(Piece("filled", value, part.name))
        elif part.default is not None and part.known:
            found.append(Piece("default", part.default, part.name))
        else:
            found.append(Piece("missing", part.text, part.name))
    return found, shortened


@lru_cache(maxsize=256)
def _parts(text: str) -> tuple[str | Placeholder, ...]:
    """A template cut into its words and its placeholders."""
    parts: list[str | Placeholder] = []
    at, line = 0, 1
    for found in _PLACEHOLDER.finditer(text):
        line += text.count("\n", at, found.start())
        parts += [cleaned(text[at : found.start()]), _placeholder(found, line)]
        line += found[0].count("\n")
        at = found.end()
    return (*parts, cleaned(text[at:]))


def _placeholder(found: re.Match[str], line: int) -> Placeholder:
    name, bar, default = found[1].partition("|")
    name = " ".join(name.split())
    attribute: str | None = None
    if name.startswith("attribute:"):
        attribute = name.removeprefix("attribute:").strip()
        name = f"attribute:{attribute}"
    return Placeholder(found[0], name, attribute, " ".join(cleaned(default).split()) if bar else None, line)


def _fact(
    part: Placeholder, facts: ProductFacts, attributes: Mapping[str, str | Sequence[str]], brand_style: str
) -> str:
    if part.attribute is not None:
        value = attributes.get(_attribute_key(part.attribute), "") if part.attribute else ""
        return value if isinstance(value, str) else ", ".join(value)
    match part.name:
        case "name":
            return facts.name
        case "sku":
            return facts.sku
        case "description":
            return facts.description
        case "category":
            return facts.category_path[-1] if facts.category_path else ""
        case "category_path":
            return " > ".join(facts.category_path)
        case "brand_style":
            return brand_style
    return ""


def _attribute_key(name: str) -> str:
    """How attribute names are compared. Shops spell colour both ways; a template should not have to."""
    key = " ".join(name.replace("_", " ").replace("-", " ").split()).casefold()
    return "colour" if key == "color" else key


def _remedy(part: Placeholder) -> str:
    written = part.text if len(part.text) <= 60 else part.text[:57] + "..."
    if part.attribute is not None:
        return f"{written} names no attribute; write it like {{{{attribute:colour}}}}"
    if near := get_close_matches(part.name.lower(), FIELDS, n=1, cutoff=0.6):
        return f"there is no {written}; did you mean {{{{{near[0]}}}}}?"
    if guess := _ATTRIBUTE_GUESS.fullmatch(part.name):
        return f"there is no {written}; did you mean {{{{attribute:{guess[1].strip()}}}}}?"
    if re.fullmatch(r"[\w -]{1,40}", part.name):
        return f"there is no {written}; for an attribute write {{{{attribute:{part.name}}}}}"
    return f"there is no {written}; there are {', '.join(FIELDS)} and attribute:..."


def _tidy(text: str) -> str:
    text = "\n".join(" ".join(line.split()) for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip()
