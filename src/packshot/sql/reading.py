"""How pages read the database: by statements that it keeps planned."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from django.db import connection
from django.db.backends.postgresql.base import ServerBindingCursor

# psycopg's own reader of times, which is the compiled one where that is installed. Django's is always the one
# in Python: 4.3 µs instead of 0.5, measured, and a page of the Queue reads 250 of them.
_TIMES = psycopg.adapters.get_loader(psycopg.adapters.types["timestamptz"].oid, psycopg.pq.Format.TEXT)


class Gathers:
    """Who wraps statements in order to send several as one text: none of those has a plan that is kept."""


class PlannedCursor(ServerBindingCursor):
    """As Django's own, with times as the driver reads them: in UTC, which is what our connections speak."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        cast(Any, self).adapters.register_loader("timestamptz", _TIMES)


@contextmanager
def planned(kind: type[PlannedCursor] = PlannedCursor) -> Iterator[Any]:
    """A cursor whose statements are parsed and planned once for each connection, not each time: for most of
    what a page asks, that takes longer than running it.

    For a statement whose text is always the same, and whose best plan too, whatever its parameters are. So
    nothing like `%(ids)s IS NULL OR ...`, which only a plan of its own folds away, and no LIMIT that is a
    parameter, which PostgreSQL takes for a tenth of all rows. Columns are named, since a kept plan of
    `SELECT *` fails once an upgrade has changed the view. A parameter has no type of its own here: where none
    follows from what it is compared with, it needs a cast.
    """
    if any(isinstance(getattr(each, "__self__", None), Gathers) for each in connection.execute_wrappers):
        with connection.cursor() as cursor:
            yield cursor
        return
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    link = cast(Any, connection.connection)
    # Of cursors like this one: Django's own bind in the client and prepare nothing.
    link.prepare_threshold = 1
    counted = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    with counted(cast(Any, kind)(link)) as cursor:
        yield cursor
