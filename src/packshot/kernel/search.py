"""What people look for in words, as conditions of SQL that the index of trigrams can answer."""

from typing import Any

# More words than anybody types; the last of them holds whatever follows it, as it stands.
MOST_WORDS = 8


def containing(text: str) -> str:
    """An ILIKE pattern, whose hits the planner can estimate, in which no character is special."""
    for special in "\\%_":
        text = text.replace(special, f"\\{special}")
    return f"%{text}%"


def patterns(text: str) -> list[str]:
    """A pattern for each word, all of which must fit. A word holds its letters anywhere; one of a letter or
    two, which is in nearly everything and has no trigram, must begin one. In scripts without spaces nothing
    says where a word begins, and two characters say much: these are found anywhere."""
    words = text.split(maxsplit=MOST_WORDS - 1)
    return [
        containing(f" {word}" if len(word) < 3 and word.isascii() and word.isalnum() else word)
        for word in words
    ]


def all_of(column: str, text: str, parameters: dict[str, Any]) -> str:
    """That `column`, made as `packshot_product_words` makes it, holds every word of `text`. Adds what it
    names to `parameters`, which may hold what only one text names."""
    found = patterns(text)
    parameters |= {f"word_{number}": pattern for number, pattern in enumerate(found)}
    return " AND ".join(f"{column} ILIKE %(word_{number})s" for number in range(len(found))) or "true"
