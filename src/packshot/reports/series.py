"""Time series from the rollups: what each provider made, failed and cost, by the site's own hours or days.

One statement each. Days begin where the dashboard's own do, so the last one is what it calls today.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from packshot.sql.reading import planned


@dataclass(frozen=True, slots=True)
class Span:
    """A bucket of time; the last one of a timeline is not over yet."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Sums:
    """What one provider did, one number a span. Money in micro-dollars."""

    provider: str
    completed: tuple[int, ...]
    failed: tuple[int, ...]
    images: tuple[int, ...]
    amount_micros: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Spans from the oldest to the newest, often the one that is now, and who did something in them."""

    zone: str
    spans: tuple[Span, ...]
    providers: tuple[Sums, ...]

    def success_rates(self, provider: str | None = None) -> tuple[float | None, ...]:
        """Of each span: completed of what ended, by all or by one provider; None where nothing ended."""
        chosen = [each for each in self.providers if provider in (None, each.provider)]
        ended = zip(
            _added(each.completed for each in chosen), _added(each.failed for each in chosen), strict=True
        )
        rates = tuple(_rate(completed, failed) for completed, failed in ended)
        return rates or (None,) * len(self.spans)

    def amounts(self) -> tuple[int, ...]:
        """Of each span: what all providers cost, in micro-dollars."""
        return _added(each.amount_micros for each in self.providers) or (0,) * len(self.spans)


# An hour of the site is a whole one on its own clock, which in Nepal begins at a quarter past UTC's. Counted
# back in real hours: the night that clocks change has all of its 23 or 25.
HOURS = """
    SELECT site.zone, hour.starts_at, hour.starts_at + interval '1 hour' AS ends_at
    FROM site
    CROSS JOIN LATERAL (
        SELECT site.now - (site.now AT TIME ZONE site.zone
            - date_trunc('hour', site.now AT TIME ZONE site.zone)) AS starts_at
    ) AS this
    CROSS JOIN LATERAL generate_series(
        this.starts_at - (%(count)s - 1) * interval '1 hour', this.starts_at, interval '1 hour'
    ) AS hour (starts_at)
"""

# By way of noon, which every day has once.
DAYS = """
    SELECT site.zone,
        packshot_period_start('day', day.noon AT TIME ZONE site.zone, site.zone) AS starts_at,
        packshot_period_start('day', (day.noon + interval '1 day') AT TIME ZONE site.zone, site.zone)
            AS ends_at
    FROM site
    CROSS JOIN LATERAL (SELECT date_trunc('day', site.now AT TIME ZONE site.zone)) AS today (starts_at)
    CROSS JOIN LATERAL generate_series(
        today.starts_at - (%(count)s - 1) * interval '1 day' + interval '12 hours',
        today.starts_at + interval '12 hours', interval '1 day'
    ) AS day (noon)
"""

# Days of the site from one date to another, or so many of them together; the last may hold fewer.
RANGE = """
    SELECT site.zone,
        packshot_period_start('day', part.noon AT TIME ZONE site.zone, site.zone) AS starts_at,
        packshot_period_start('day', (least(
            part.noon + %(step)s * interval '1 day', %(last)s::date + interval '36 hours'
        )) AT TIME ZONE site.zone, site.zone) AS ends_at
    FROM site
    CROSS JOIN LATERAL generate_series(
        %(first)s::date + interval '12 hours', %(last)s::date + interval '12 hours',
        %(step)s * interval '1 day'
    ) AS part (noon)
"""

# First the spans themselves, then what each provider did in each of them: an instant takes longer to read
# than all other figures of a line.
_TIMELINE = """
    WITH site AS MATERIALIZED (
        SELECT packshot_now() AS now, coalesce(%(zone)s::text, packshot_setting('time_zone')) AS zone
    ),
    span AS MATERIALIZED ({spans}),
    edges AS MATERIALIZED (
        SELECT array_agg(span.starts_at ORDER BY span.starts_at) AS starts, max(span.ends_at) AS until
        FROM span
    ),
    sums AS (
        SELECT width_bucket(rollup.bucket, (SELECT starts FROM edges)) AS place, rollup.provider,
            sum(rollup.completed)::bigint AS completed, sum(rollup.failed)::bigint AS failed,
            sum(rollup.images)::bigint AS images, sum(rollup.amount_micros)::bigint AS amount_micros
        FROM packshot_rollup AS rollup
        WHERE rollup.bucket >= (SELECT starts[1] FROM edges) AND rollup.bucket < (SELECT until FROM edges)
            AND rollup.simulated = %(simulated)s
        GROUP BY 1, 2
    )
    SELECT span.zone, span.starts_at, span.ends_at, NULL AS provider, NULL AS place, NULL, NULL, NULL, NULL
    FROM span
    UNION ALL
    SELECT NULL, NULL, NULL, sums.provider, sums.place,
        sums.completed, sums.failed, sums.images, sums.amount_micros
    FROM sums
"""


def by_hour(*, simulated: bool, hours: int = 24) -> Timeline:
    """The last `hours` hours up to the one that is now, of simulated work or of real work."""
    return _timeline(HOURS, simulated=simulated, count=hours)


def by_day(*, simulated: bool, days: int = 30, zone: str | None = None) -> Timeline:
    """The last `days` calendar days up to today, of simulated work or of real work; the site's own days, or
    those of another zone. Every zone's days begin where a quarter-hour does."""
    return _timeline(DAYS, simulated=simulated, count=days, zone=zone)


def by_range(*, simulated: bool, first: date, last: date, step: int = 1) -> Timeline:
    """From one of the site's days to another, both included, `step` days a span."""
    return _timeline(RANGE, simulated=simulated, first=first, last=last, step=step)


def _timeline(spans: str, *, zone: str | None = None, **parameters: bool | int | date) -> Timeline:
    with planned() as cursor:
        cursor.execute(_TIMELINE.format(spans=spans), {**parameters, "zone": zone})
        rows = cursor.fetchall()
    spans_read = sorted((Span(row[1], row[2]) for row in rows if row[1]), key=lambda span: span.starts_at)
    by_provider: dict[str, list[tuple[int, int, int, int]]] = {}
    for _, _, _, provider, place, *figures in rows:
        if provider is not None:
            mine = by_provider.setdefault(provider, [(0, 0, 0, 0)] * len(spans_read))
            mine[place - 1] = (figures[0], figures[1], figures[2], figures[3])
    return Timeline(
        next(row[0] for row in rows if row[1]),
        tuple(spans_read),
        tuple(
            Sums(provider, *(tuple(each[column] for each in figures) for column in range(4)))
            for provider, figures in sorted(by_provider.items())
        ),
    )


def _added(rows: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*rows, strict=True)))


def _rate(completed: int, failed: int) -> float | None:
    # A retry takes its failure away from the span that it was counted in, which for a moment may owe one.
    return completed / (completed + failed) if completed >= 0 and failed >= 0 and completed + failed else None
