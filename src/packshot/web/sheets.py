"""Rows for a spreadsheet, which must not take what somebody wrote for a formula."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from packshot.kernel.spreadsheet import harmless


def lines(rows: Iterable[Sequence[object]]) -> str:
    """These rows as CSV. Text that would be a formula is quoted, so that it stays text."""
    stream = io.StringIO()
    csv.writer(stream).writerows([cell(each) for each in row] for row in rows)
    return stream.getvalue()


def cell(value: object) -> str:
    """One value: numbers and times as they are, text harmless."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int | float):
        return str(value)
    return harmless(str(value).replace("\0", ""))
