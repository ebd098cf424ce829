"""Sums by quarter-hour: added to by whoever closes something, proved and repaired from the rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.db import connection, transaction

from packshot.reports.histogram import PLACES, bucket, whole_ms

# The bucket that holds the sums of all quarter-hours (packshot_all_time in the database).
ALL_TIME = datetime(1900, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Delta:
    """What one thing that happened adds to its quarter-hour.

    Ends of generations belong to their `completed_at`, images and approvals to the image's `created_at`,
    money to the entry's `charged_at`. What is taken back is negative, with the instant it was added under:
    a retried generation takes its `failed` away from the end it no longer has.
    """

    bucket_at: datetime
    provider: str
    model: str
    simulated: bool
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    images: int = 0
    approved: int = 0
    amount_micros: int = 0
    duration_s: float | None = None  # of a completed one, from the first `sending` to its end


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure that the rollups had wrong: `stored` where `exact` was counted."""

    bucket: datetime
    provider: str
    model: str
    simulated: bool
    figure: str  # a column of the rollup, or `histogram` and the place from 1
    stored: int
    exact: int


@dataclass(slots=True)
class _Sums:
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    images: int = 0
    approved: int = 0
    amount_micros: int = 0
    duration_ms: int = 0
    durations: int = 0
    histogram: list[int] = field(default_factory=lambda: [0] * PLACES)

    def add(self, delta: Delta) -> None:
        self.completed += delta.completed
        self.failed += delta.failed
        self.cancelled += delta.cancelled
        self.images += delta.images
        self.approved += delta.approved
        self.amount_micros += delta.amount_micros
        if delta.duration_s is not None:
            self.duration_ms += whole_ms(delta.duration_s)
            self.durations += 1
            self.histogram[bucket(delta.duration_s)] += 1


# Ordered by key, so that two writers that share a row lock their rows in the same order.
_ADD = """
    INSERT INTO packshot_rollup AS kept (bucket, provider, model, simulated, slot, completed, failed,
        cancelled, images, approved, amount_micros, duration_ms, durations, histogram)
    SELECT item.bucket, item.provider, item.model, item.simulated, %(slot)s, item.completed, item.failed,
        item.cancelled, item.images, item.approved, item.amount_micros, item.duration_ms, item.durations,
        item.histogram::bigint[]
    FROM unnest(%(bucket)s::timestamptz[], %(provider)s::text[], %(model)s::text[], %(simulated)s::boolean[],
        %(completed)s::bigint[], %(failed)s::bigint[], %(cancelled)s::bigint[], %(images)s::bigint[],
        %(approved)s::bigint[], %(amount_micros)s::bigint[], %(duration_ms)s::bigint[],
        %(durations)s::bigint[], %(histogram)s::text[])
        AS item (bucket, provider, model, simulated, completed, failed, cancelled, images, approved,
            amount_micros, duration_ms, durations, histogram)
    ORDER BY item.bucket, item.provider, item.model, item.simulated
    ON CONFLICT (bucket, provider, model, simulated, slot) DO UPDATE SET
        completed = kept.completed + excluded.completed,
        failed = kept.failed + excluded.failed,
        cancelled = kept.cancelled + excluded.cancelled,
        images = kept.images + excluded.images,
        approved = kept.approved + excluded.approved,
        amount_micros = kept.amount_micros + excluded.amount_micros,
        duration_ms = kept.duration_ms + excluded.duration_ms,
        durations = kept.durations + excluded.durations,
        histogram = CASE WHEN excluded.durations = 0 THEN kept.histogram
            ELSE packshot_add_histograms(kept.histogram, excluded.histogram) END
"""


def add(deltas: Sequence[Delta], slot: int) -> None:
    """Add `deltas` to the rollups, in the caller's transaction and in one statement.

    `slot` is the writing process's own, so that busy processes never wait for each other's rows, or 0,
    which the others share. Sums over slots are right; a single slot may well be negative.
    """
    if not deltas:
        return
    sums: dict[tuple[datetime, str, str, bool], _Sums] = {}
    for delta in deltas:
        for at in (_quarter_hour(delta.bucket_at), ALL_TIME):
            key = (at, delta.provider, delta.model, delta.simulated)
            if key not in sums:
                sums[key] = _Sums()
            sums[key].add(delta)
    with connection.cursor() as cursor:
        cursor.execute(
            _ADD,
            {
                "slot": slot,
                "bucket": [key[0] for key in sums],
                "provider": [key[1] for key in sums],
                "model": [key[2] for key in sums],
                "simulated": [key[3] for key in sums],
                "completed": [each.completed for each in sums.values()],
                "failed": [each.failed for each in sums.values()],
                "cancelled": [each.cancelled for each in sums.values()],
                "images": [each.images for each in sums.values()],
                "approved": [each.approved for each in sums.values()],
                "amount_micros": [each.amount_micros for each in sums.values()],
                "duration_ms": [each.duration_ms for each in sums.values()],
                "durations": [each.durations for each in sums.values()],
                # As text: a list of lists would be unnested to the single numbers.
                "histogram": [_array(each.histogram) for each in sums.values()],
            },
        )


def rebuild_rollups(start: datetime | None = None, end: datetime | None = None) -> list[Difference]:
    """Count the quarter-hours from `start` up to `end` anew (None: all), and give what they had wrong.

    Also folds their slots into one. Writers wait until it is done, so ranges of a day or so are kind to a
    busy site. Runs in the caller's transaction when there is one.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT bucket, provider, model, simulated, figure, stored, exact
            FROM packshot_rebuild_rollups(
                coalesce(%s::timestamptz, '-infinity'), coalesce(%s::timestamptz, 'infinity'))
            """,
            [start, end],
        )
        return [Difference(*row) for row in cursor.fetchall()]


def _quarter_hour(at: datetime) -> datetime:
    at = at.astimezone(UTC)
    return at.replace(minute=at.minute - at.minute % 15, second=0, microsecond=0)


def _array(numbers: Iterable[int]) -> str:
    return "{" + ",".join(map(str, numbers)) + "}"
