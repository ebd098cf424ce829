"""The outbox. `tell` comes last in a transaction; readers replay by id and miss nothing."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection

from packshot.sql.reading import planned

# Web processes and workers LISTEN here. The payload is only a hint; readers look at the tables.
CHANNEL = "packshot"
# Held from the first insert to the commit, so that ids follow commit order: without it a reader that
# replays by `id > last` missed 359 of 1,200 events, measured.
_ORDER_LOCK = 0x7061636B73686F74  # "packshot"


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened to `subject`. `data` holds small facts: no secret, no prompt."""

    topic: str
    kind: str
    subject: str
    data: Mapping[str, object] = field(default_factory=dict)
    id: int = 0
    at: datetime | None = None


_kept_back: ContextVar[list[Happening] | None] = ContextVar("kept_back", default=None)


@contextmanager
def told_last() -> Iterator[None]:
    """What is told within is stored where this ends, or never when it fails.

    For a transaction of several steps of which each tells by itself: after the first one's news, the next one
    would wait for a row whose holder waits to tell.
    """
    news: list[Happening] = []
    before = _kept_back.set(news)
    try:
        yield
    finally:
        _kept_back.reset(before)
    tell(news)


def tell(happenings: Sequence[Happening]) -> None:
    """Store `happenings` and announce them at commit. Call it last: it holds a lock until then."""
    if not happenings:
        return
    if (kept_back := _kept_back.get()) is not None:
        kept_back += happenings
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ORDER_LOCK])
        cursor.execute(
            """
            INSERT INTO packshot_event (topic, kind, subject, data, at)
            SELECT item.topic, item.kind, item.subject, item.data, now()
            FROM unnest(%s::text[], %s::text[], %s::text[], %s::jsonb[])
                WITH ORDINALITY AS item (topic, kind, subject, data, place)
            ORDER BY item.place
            """,
            [
                [happening.topic for happening in happenings],
                [happening.kind for happening in happenings],
                [happening.subject for happening in happenings],
                [json.dumps(dict(happening.data)) for happening in happenings],
            ],
        )
        cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])


def wake() -> None:
    """Announce at commit that there is something to look at, without an event of its own."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])


def since(last_id: int, *, limit: int = 1000) -> list[Happening]:
    """Events after `last_id`, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT topic, kind, subject, data, id, at FROM packshot_event
            WHERE id > %s ORDER BY id LIMIT %s
            """,
            [last_id, limit],
        )
        return [
            Happening(topic, kind, subject, _document(data), number, at)
            for topic, kind, subject, data, number, at in cursor.fetchall()
        ]


def forget(*, older_than_days: int) -> int:
    """Delete old events; a reader whose place is gone is told to read afresh. Returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM packshot_event WHERE at < now() - make_interval(days => %s)", [older_than_days]
        )
        return int(cursor.rowcount)


def newest_id() -> int:
    """The id of the newest event, 0 when nothing has happened yet."""
    with planned() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM packshot_event")
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def _document(data: object) -> Mapping[str, object]:
    # Django's psycopg adapter leaves jsonb as text outside model fields.
    return json.loads(data) if isinstance(data, str) else data  # type: ignore[return-value]
