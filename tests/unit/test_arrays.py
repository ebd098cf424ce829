"""Lists on their way into a statement: the quick writer writes what psycopg's own does."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as some
from psycopg.adapt import AdaptersMap, PyFormat, Transformer
from psycopg.types.array import ListDumper

from packshot.events.arrays import PlainListDumper

LISTS = some.one_of(
    *(
        some.lists(some.none() | each, min_size=1)
        for each in (
            some.text(some.characters(codec="utf-8", exclude_characters="\0")),
            some.uuids(),
            some.integers(-(2**63), 2**63 - 1),
            some.booleans(),
            some.datetimes(min_value=datetime(1900, 1, 1), timezones=some.just(UTC)),
        )
    )
)


@dataclass
class Context:
    """What psycopg asks of a connection before there is one."""

    adapters: AdaptersMap
    connection: None = None


def written(dumper: type[ListDumper], values: list[object]) -> bytes:
    context = Context(AdaptersMap(psycopg.adapters))
    context.adapters.register_dumper(list, dumper)
    return bytes(Transformer(context).get_dumper(values, PyFormat.TEXT).dump(values) or b"")


def read(text: bytes) -> list[str | None]:
    """A one-dimensional array as PostgreSQL reads it: its elements as text."""
    elements: list[str | None] = []
    inside = text.decode()[1:-1]
    place = 0
    while place < len(inside):
        if inside[place] == '"':
            place += 1
            word = ""
            while inside[place] != '"':
                place += inside[place] == "\\"
                word += inside[place]
                place += 1
            elements.append(word)
            place += 2
        else:
            end = inside.find(",", place)
            end = len(inside) if end < 0 else end
            word = inside[place:end]
            elements.append(None if word == "NULL" else word)
            place = end + 1
    return elements


@given(LISTS)
def test_it_says_what_psycopg_says(values):
    assert read(written(PlainListDumper, values)) == read(written(ListDumper, values))


def test_words_that_look_like_syntax_stay_words():
    words = ["", "NULL", "null", "{a,b}", 'say "so"', "back\\slash", " a ", "it's", None]
    assert read(written(PlainListDumper, words)) == words


def test_what_it_does_not_know_goes_the_usual_way():
    fractions = [Decimal("1.5"), None]
    assert written(PlainListDumper, fractions) == written(ListDumper, fractions)
    assert written(PlainListDumper, []) == b"{}"
    nested = [[UUID(int=1)], [UUID(int=2)]]
    assert written(PlainListDumper, nested) == written(ListDumper, nested)


def test_a_character_that_text_cannot_hold_is_refused():
    with pytest.raises(psycopg.DataError, match="NUL"):
        written(PlainListDumper, ["a\0b"])
