"""How providers do: what came of their work in a window of time, what went wrong, what they charge against
what was expected, and how much of them is in use now. Each read is one statement, whatever there is to read.

A provider that spends real money shows real work only, one that runs on the simulator simulated work only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import sqrt
from typing import TypeVar

from packshot.reports.histogram import PLACES, percentile
from packshot.reports.series import DAYS, HOURS, Span
from packshot.reports.sql import read_planned
from packshot.sql.reading import planned

# A charge that differs from what was expected by more than this share, in percent, is worth a look.
OFF_PERCENT = 10
COMPARED_DAYS = 7
# Of a busy provider the newest of those days: enough to see a wrong price, few enough to be read at once.
COMPARED_AT_MOST = 200


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of a provider's work, or of one model's. Money in micro-dollars, times in seconds."""

    completed: int
    failed: int
    images: int
    amount_micros: int
    p50_s: float | None
    p95_s: float | None
    approved: int = 0  # of `images`, by a person

    @property
    def ended(self) -> int:
        return self.completed + self.failed

    @property
    def success_rate(self) -> float | None:
        return self.completed / self.ended if self.ended > 0 else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the rate plausibly lies."""
        return wilson(self.completed, self.ended) if self.ended > 0 else None

    @property
    def micros_each(self) -> int | None:
        """What an image cost on the average, failures included."""
        return round(self.amount_micros / self.images) if self.images > 0 else None

    @property
    def micros_each_approved(self) -> int | None:
        """What an approved image cost on the average, everything else included."""
        return round(self.amount_micros / self.approved) if self.approved > 0 else None


NOTHING = Figures(0, 0, 0, 0, None, None)


@dataclass(frozen=True, slots=True)
class Work:
    """A provider in a window: all of it, each model that did something, and the rate of each span."""

    whole: Figures
    models: Mapping[str, Figures]
    rates: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time up to now, in its parts on the site's own clock, and what providers did within it."""

    zone: str
    spans: tuple[Span, ...]
    work: Mapping[str, Work]


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a provider is in use, and what today cost in its kind of money."""

    name: str
    in_flight: int
    per_minute: int | None
    last_minute: int | None  # requests sent in it; None: there is no limit to hold them against
    busy_in_row: int
    today_micros: int
    last_trouble: datetime | None


@dataclass(frozen=True, slots=True)
class Billed:
    """What a model charged against what was expected of it, over the newest calls of the last days."""

    provider: str
    model: str
    compared: int
    off: int  # of these, by more than OFF_PERCENT
    ratio: float | None  # the mean of charged by expected; None: nothing was expected to cost anything


def wilson(successes: int, of: int) -> tuple[float, float]:
    """The interval at 95 % in which a share plausibly lies: honest for 3 of 3, where the plain one is not."""
    zz = 1.959963984540054**2
    share = successes / of
    middle = (share + zz / (2 * of)) / (1 + zz / of)
    margin = sqrt(zz * (share * (1 - share) / of + zz / (4 * of * of))) / (1 + zz / of)
    # At its ends the interval ends, too; computed, that is 0.9999999999999999, which is not shown as a whole.
    return (max(0.0, middle - margin) if successes else 0.0), (middle + margin if successes < of else 1.0)


_Name = TypeVar("_Name")


def ranks(intervals: Mapping[_Name, tuple[float, float]]) -> dict[_Name, int]:
    """The places, from 1, of those whose place is plain: everybody else's interval lies wholly above or below
    theirs. Who overlaps with anybody has none, and so has who stands alone."""
    found = {}
    for name, (low, high) in intervals.items():
        others = [each for other, each in intervals.items() if other != name]
        above = sum(other_low > high for other_low, _ in others)
        below = sum(other_high < low for _, other_high in others)
        if others and above + below == len(others):
            found[name] = above + 1
    return found


def is_off(expected: Decimal | None, charged: Decimal | None) -> bool:
    """Whether a charge differs from what was expected by more than OFF_PERCENT. Unknown ones never do."""
    if expected is None or charged is None:
        return False
    return abs(charged - expected) * 100 > OFF_PERCENT * expected


# First the spans themselves, then what each model did in each of them. Histograms are added up by place: the
# aggregate of the views calls a function for each row, which took 370 ms for 30 days and not 16.
_WORK = """
    WITH site AS MATERIALIZED (
        SELECT packshot_now() AS now, packshot_setting('time_zone') AS zone
    ),
    span AS MATERIALIZED ({spans}),
    edges AS MATERIALIZED (
        SELECT array_agg(span.starts_at ORDER BY span.starts_at) AS starts, max(span.ends_at) AS until
        FROM span
    )
    SELECT span.zone, span.starts_at, span.ends_at, NULL AS model, NULL AS place, NULL, NULL, NULL, NULL,
        NULL, NULL
    FROM span
    UNION ALL
    SELECT part.provider, NULL, NULL, part.model, part.place, sum(part.completed)::bigint,
        sum(part.failed)::bigint, sum(part.images)::bigint, sum(part.amount_micros)::bigint,
        sum(part.approved)::bigint, ARRAY[{places}]
    FROM (
        SELECT rollup.*, width_bucket(rollup.bucket, (SELECT starts FROM edges)) AS place
        FROM packshot_rollup AS rollup
        JOIN packshot_provider AS record
            ON record.name = rollup.provider AND record.simulated = rollup.simulated
        WHERE rollup.bucket >= (SELECT starts[1] FROM edges) AND rollup.bucket < (SELECT until FROM edges)
            AND record.archived_at IS NULL AND {of}
    ) AS part
    GROUP BY part.provider, part.model, part.place
"""

_TROUBLE = """
    SELECT record.name, trouble.error_kind, trouble.place, trouble.calls
    FROM packshot_provider AS record
    CROSS JOIN LATERAL (
        SELECT attempt.error_kind, count(*)::int AS calls,
            -- An id is of the clock of whoever made it: what it says may lie a moment before the row.
            greatest(width_bucket(attempt.created_at, %(starts)s::timestamptz[]), 1) AS place
        FROM packshot_attempt AS attempt
        WHERE attempt.provider = record.name AND attempt.simulated = record.simulated
            AND attempt.error_kind <> '' AND attempt.id >= packshot_first_id(%(since)s)
        GROUP BY 1, 3
    ) AS trouble
    WHERE record.archived_at IS NULL AND {of}
"""

_USE = """
    SELECT record.name,
        (SELECT count(*) FROM packshot_attempt AS attempt
        WHERE attempt.provider = record.name AND attempt.batch_id IS NULL
            AND attempt.state IN ('intent', 'sending', 'accepted'))::int AS in_flight,
        record.per_minute,
        CASE WHEN record.per_minute IS NOT NULL THEN
            (SELECT count(*) FROM packshot_attempt AS attempt
            WHERE attempt.provider = record.name AND attempt.batch_id IS NULL
                AND attempt.sending_at > packshot_now() - interval '1 minute')::int END AS last_minute,
        record.busy_in_row,
        coalesce((
            SELECT sum(rollup.amount_micros) FROM packshot_rollup AS rollup
            WHERE rollup.provider = record.name AND rollup.simulated = record.simulated AND rollup.bucket
                >= packshot_period_start('day', packshot_now(), packshot_setting('time_zone'))
        ), 0)::bigint AS today_micros,
        (SELECT attempt.created_at FROM packshot_attempt AS attempt
        WHERE attempt.provider = record.name AND attempt.error_kind <> ''
        ORDER BY attempt.id DESC LIMIT 1) AS last_trouble
    FROM packshot_provider AS record
    WHERE record.archived_at IS NULL AND {of}
"""

# Expected is what stood at the admission of the call: a generation is priced anew before each of them. They
# are read as one list of ids, in the order of their index: one by one takes longer.
_BILLED = """
    WITH call AS MATERIALIZED (
        SELECT record.name AS provider, newest.*
        FROM packshot_provider AS record
        CROSS JOIN LATERAL (
            SELECT attempt.generation_id, attempt.model, attempt.cost_micros
            FROM packshot_attempt AS attempt
            WHERE attempt.provider = record.name AND attempt.simulated = record.simulated
                AND attempt.state = 'succeeded'
                AND attempt.sending_at > packshot_now() - interval '{days} days'
            ORDER BY attempt.sending_at DESC LIMIT {most}
        ) AS newest
        WHERE record.archived_at IS NULL AND {of}
    ),
    asked AS MATERIALIZED (
        SELECT generation.id, generation.expected_micros FROM packshot_generation AS generation
        WHERE generation.id = ANY (ARRAY(SELECT call.generation_id FROM call))
    )
    SELECT call.provider, call.model, count(*)::int AS compared,
        (count(*) FILTER (WHERE abs(call.cost_micros - asked.expected_micros) * 100
            > {off} * asked.expected_micros))::int AS off,
        (avg(call.cost_micros::numeric / nullif(asked.expected_micros, 0)))::double precision AS ratio
    FROM call
    JOIN asked ON asked.id = call.generation_id
    WHERE call.cost_micros IS NOT NULL AND asked.expected_micros IS NOT NULL
    GROUP BY call.provider, call.model
"""


def window(*, days: int, provider: str | None = None) -> Window:
    """The last 24 hours (`days` 1) or so many calendar days: what each provider, or one, did in them."""
    spans, count = (HOURS, 24) if days == 1 else (DAYS, days)
    places = ", ".join(f"sum(part.histogram[{place}]::integer)" for place in range(1, PLACES + 1))
    sql = _WORK.format(spans=spans, places=places, of=_of(provider))
    with planned() as cursor:
        cursor.execute(sql, {"count": count, "provider": provider})
        rows = cursor.fetchall()
    parts = sorted((Span(row[1], row[2]) for row in rows if row[1]), key=lambda span: span.starts_at)
    counted = [_Counted(row[0], *row[3:]) for row in rows if not row[1]]
    work = {
        name: _work([each for each in counted if each.provider == name], len(parts))
        for name in dict.fromkeys(each.provider for each in counted)
    }
    return Window(next(row[0] for row in rows if row[1]), tuple(parts), work)


@dataclass(frozen=True, slots=True)
class _Counted:
    """What one model did in one span."""

    provider: str
    model: str
    place: int
    completed: int
    failed: int
    images: int
    amount_micros: int
    approved: int
    histogram: Sequence[int]


def _work(counted: Sequence[_Counted], spans: int) -> Work:
    models: dict[str, list[_Counted]] = {}
    ended = [[0, 0] for _ in range(spans)]
    for each in counted:
        models.setdefault(each.model, []).append(each)
        ended[each.place - 1][0] += each.completed
        ended[each.place - 1][1] += each.failed
    rates = tuple(good / (good + bad) if good + bad > 0 else None for good, bad in ended)
    return Work(_added(counted), {model: _added(parts) for model, parts in models.items()}, rates)


def _added(counted: Sequence[_Counted]) -> Figures:
    histogram = [sum(column) for column in zip(*(each.histogram for each in counted), strict=True)]
    return Figures(
        sum(each.completed for each in counted),
        sum(each.failed for each in counted),
        sum(each.images for each in counted),
        sum(each.amount_micros for each in counted),
        percentile(histogram, 50),
        percentile(histogram, 95),
        sum(each.approved for each in counted),
    )


def troubles(spans: Sequence[Span], provider: str | None = None) -> dict[str, dict[str, tuple[int, ...]]]:
    """By provider and class of error, the most frequent first: the calls that failed so, a number a span."""
    counts: dict[str, dict[str, list[int]]] = {}
    with planned() as cursor:
        cursor.execute(
            _TROUBLE.format(of=_of(provider)),
            {
                "starts": [span.starts_at for span in spans],
                "since": spans[0].starts_at,
                "provider": provider,
            },
        )
        for name, kind, place, calls in cursor.fetchall():
            counts.setdefault(name, {}).setdefault(kind, [0] * len(spans))[place - 1] += calls
    return {
        name: {
            kind: tuple(numbers)
            for kind, numbers in sorted(kinds.items(), key=lambda each: (-sum(each[1]), each[0]))
        }
        for name, kinds in counts.items()
    }


def use(provider: str | None = None) -> dict[str, Use]:
    """How much of each provider, or of one, is in use now."""
    return {each.name: each for each in read_planned(Use, _USE.format(of=_of(provider)), provider=provider)}


def billed(provider: str | None = None) -> list[Billed]:
    """By model: how often the charge was not what was expected, over the last COMPARED_DAYS days."""
    sql = _BILLED.format(of=_of(provider), off=OFF_PERCENT, days=COMPARED_DAYS, most=COMPARED_AT_MOST)
    return read_planned(Billed, sql, provider=provider)


def _of(provider: str | None) -> str:
    return "true" if provider is None else "record.name = %(provider)s"
