"""Ids as people type them: whole, or the last characters that a table shows."""

import re
from collections.abc import Sequence
from uuid import UUID

from django.db import connection

from packshot.kernel.errors import BadInput

# The end of an id is random; its beginning is the time, alike for all that were made together.
SHOWN = 8
_SHORTEST = 6


def short(key: UUID) -> str:
    """What a table shows of an id."""
    return str(key)[-SHOWN:]


def find(words: Sequence[str], *, table: str, what: str) -> list[UUID]:
    """The ids in `table` that people meant. Raises BadInput for what is unknown or ambiguous."""
    return list(dict.fromkeys(_find(word.strip().lower(), table, what) for word in words))


def _find(word: str, table: str, what: str) -> UUID:
    if not re.fullmatch(r"[0-9a-f-]{6,36}", word):
        raise BadInput(
            f"{word!r} is not an id; type a whole one, or at least its last {_SHORTEST} characters"
        )
    with connection.cursor() as cursor:
        if len(word) == 36:
            cursor.execute(f"SELECT id FROM {table} WHERE id::text = %s", [word])
        else:
            cursor.execute(
                f"SELECT id FROM {table} WHERE right(id::text, %s) = %s ORDER BY id DESC LIMIT 3",
                [len(word), word],
            )
        found = [row[0] for row in cursor.fetchall()]
    if not found:
        raise BadInput(f"there is no {what} {word}")
    if len(found) > 1:
        raise BadInput(f"{word} is the end of several: {', '.join(map(str, found))}; type more of it")
    return UUID(str(found[0]))
