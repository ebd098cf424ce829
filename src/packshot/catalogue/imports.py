"""The imports so far, for the pages that list and show them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from packshot.catalogue.formats import RowProblem
from packshot.catalogue.models import ImportRecord


@dataclass(frozen=True, slots=True)
class ImportRow:
    """One applied file. `by_name` is None for one that came in on the machine itself."""

    id: UUID
    file_name: str
    file_sha256: str
    format: str
    created: int
    changed: int
    unchanged: int
    rejected: int
    problem_count: int  # of those kept: the first thousand
    by_name: str | None
    at: datetime


_ROWS = """
    SELECT record.id, record.file_name, record.file_sha256, record.format, record.created, record.changed,
        record.unchanged, record.rejected, jsonb_array_length(record.problems), person.username,
        record.applied_at
    FROM packshot_importrecord AS record
    LEFT JOIN packshot_user AS person ON person.id = record.applied_by_id
    WHERE (%(id)s::uuid IS NULL OR record.id = %(id)s)
        -- By the time of applying: an id is made when a file is uploaded, which may be hours before.
        AND (%(before)s::uuid IS NULL OR (record.applied_at, record.id) < (
            SELECT last.applied_at, last.id FROM packshot_importrecord AS last WHERE last.id = %(before)s))
    ORDER BY record.applied_at DESC, record.id DESC LIMIT %(limit)s
"""


def newest(limit: int = 25, before: UUID | None = None) -> list[ImportRow]:
    """Applied files, newest first; the next page is `before` the id of this one's last row."""
    return _read(id=None, before=before, limit=limit)


def by_id(record_id: UUID) -> ImportRow | None:
    """One applied file."""
    return next(iter(_read(id=record_id, before=None, limit=1)), None)


def problems(record_id: UUID) -> list[RowProblem]:
    """What was wrong with its rows: the first thousand, in the file's order."""
    stored = ImportRecord.objects.filter(pk=record_id).values_list("problems", flat=True).first()
    return [RowProblem(**each) for each in stored or ()]


def _read(**parameters: UUID | int | None) -> list[ImportRow]:
    with connection.cursor() as cursor:
        cursor.execute(_ROWS, parameters)
        return [ImportRow(*row) for row in cursor.fetchall()]
