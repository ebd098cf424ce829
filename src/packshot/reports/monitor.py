"""What the Queue reads: a page of generations by any filter, how many there are of each, and one in full."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from packshot.reports import finding
from packshot.reports.finding import Filter, Scope, Sort
from packshot.reports.health import is_off
from packshot.reports.reads import AROUND, COLUMNS, GenerationRow, finished, rows_of
from packshot.reports.sql import read, read_together, rows
from packshot.sql.reading import planned

__all__ = [
    "AttemptLine",
    "Detail",
    "Filter",
    "GivenPicture",
    "Listing",
    "Match",
    "Proof",
    "Tally",
    "detail",
    "listing",
    "matching",
    "rows_of",
    "tally",
    "those",
    "waiting",
]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many generations there are by provider and status, whatever the filter says of these two."""

    counted: Mapping[tuple[str, str], int] | None  # None: too many to count while somebody waits
    at_least: bool = False  # there are more: they were counted among the newest only

    def of(self, status: str | None = None, provider: str | None = None) -> int | None:
        """How many of one status or all, of one provider or all; None: not counted."""
        if self.counted is None:
            return None
        return sum(
            number
            for (of_provider, of_status), number in self.counted.items()
            if status in (None, of_status) and provider in (None, of_provider)
        )


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of the Queue, in its order."""

    rows: list[GenerationRow]
    newer: bool  # there is a page before this one
    older: bool  # and one after it
    tally: Tally
    run_title: str | None = None  # of the run it is narrowed to; None also when there is no such run
    template_name: str | None = None  # of the template, as above


@dataclass(frozen=True, slots=True)
class Match:
    """A generation that an action is meant for."""

    id: UUID
    status: str
    expected_micros: int | None  # of one attempt; None: no price is known
    simulated: bool
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """Why an attempt left `uncertain`, or what was learned of it later."""

    kind: str
    verdict: str
    note: str
    by_name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AttemptLine:
    """One paid call, from its row and its money. Amounts are dollars."""

    id: UUID
    number: int
    state: str
    provider: str
    model: str
    error_kind: str
    error_message: str
    request_id: str
    answer: str
    reserved: Decimal  # when it was opened
    held: Decimal | None  # None: nothing is held any more
    charged: Decimal | None  # None while it is open, and when nobody knows
    created_at: datetime
    sending_at: datetime | None
    accepted_at: datetime | None
    closed_at: datetime | None
    proofs: tuple[Proof, ...] = ()

    @property
    def seconds(self) -> float | None:
        """From the first byte sent to the end; None while it runs and when nothing was sent."""
        if self.sending_at is None or self.closed_at is None:
            return None
        return max(0.0, (self.closed_at - self.sending_at).total_seconds())


@dataclass(frozen=True, slots=True)
class GivenPicture:
    """A picture that went with a request. `image_id` and `sku` are those of the image here that it was."""

    role: str
    width_px: int
    height_px: int
    image_id: UUID | None
    sku: str | None
    generation_id: UUID | None  # that made it


@dataclass(frozen=True, slots=True)
class Detail:
    """One generation in full. Amounts are dollars."""

    row: GenerationRow
    shape: str
    images_wanted: int
    seed: int | None
    options: Mapping[str, object]
    template: str
    template_version: int | None
    run_title: str
    run_size: int | None
    retry_of: UUID | None
    negative_prompt: str
    because: str  # how its provider was chosen, where there were several
    priority: int
    instead_of: UUID | None  # the generation whose place it took
    handed_to: UUID | None  # the one that took its place
    pictures: tuple[GivenPicture, ...]  # that it was made from
    attempts: tuple[AttemptLine, ...] = field(default=())

    @property
    def held(self) -> Decimal:
        """What is held for its attempts, in dollars."""
        return sum((each.held for each in self.attempts if each.held is not None), Decimal(0))

    @property
    def charged(self) -> Decimal:
        """What is known to have been charged for its attempts, in dollars."""
        return sum((each.charged for each in self.attempts if each.charged is not None), Decimal(0))

    @property
    def made_for(self) -> Decimal | None:
        """What the attempt that made its images was charged; None: there is none, or nobody knows."""
        return next((each.charged for each in self.attempts if each.state == "succeeded"), None)

    @property
    def is_off(self) -> bool:
        """Whether that is not what was expected of it."""
        return is_off(self.row.estimated_cost, self.made_for)


# What has ended is read where it was added up as it ended; what has not, by an index as small as the queue.
_COUNTS = """
    SELECT provider_id, status, count(*) FROM packshot_generation
    WHERE status IN ('pending', 'processing', 'uncertain')
    GROUP BY provider_id, status
    UNION ALL
    SELECT ended.provider, each.status, each.number::bigint
    FROM (
        SELECT provider, sum(completed) AS completed, sum(failed) AS failed, sum(cancelled) AS cancelled
        FROM packshot_rollup WHERE bucket = packshot_all_time() GROUP BY provider
    ) AS ended
    CROSS JOIN LATERAL (
        VALUES ('completed', ended.completed), ('failed', ended.failed), ('cancelled', ended.cancelled)
    ) AS each (status, number)
"""

_COUNTS_OF = """
    SELECT generation.provider_id, generation.status, count(*) FROM packshot_generation AS generation
    WHERE {conditions} GROUP BY generation.provider_id, generation.status
"""

_DETAIL = f"""
    SELECT {COLUMNS}, generation.shape, generation.images AS images_wanted, generation.seed,
        generation.options::text AS options, coalesce(template.name, '') AS template,
        version.number AS template_version, coalesce(run.title, '') AS run_title, run.size AS run_size,
        generation.retry_of_id AS retry_of, generation.negative_prompt,
        coalesce(route.because, '') AS because, generation.priority,
        route.instead_of_id AS instead_of, next.generation_id AS handed_to,
        (SELECT json_agg(json_build_array(given.item -> 'role', given.item -> 'width_px',
            given.item -> 'height_px', image.id, product.sku, image.generation_id) ORDER BY given.place)::text
        FROM jsonb_array_elements(generation.inputs) WITH ORDINALITY AS given (item, place)
        LEFT JOIN packshot_image AS image ON image.id = (given.item ->> 'image_id')::uuid
        LEFT JOIN packshot_product AS product ON product.id = image.product_id) AS pictures
    FROM image_generation_monitor AS monitor
    JOIN packshot_generation AS generation ON generation.id = monitor.id
    LEFT JOIN packshot_prompttemplateversion AS version ON version.id = generation.template_version_id
    LEFT JOIN packshot_prompttemplate AS template ON template.id = version.template_id
    LEFT JOIN packshot_run AS run ON run.id = generation.run_id
    LEFT JOIN packshot_route AS route ON route.generation_id = generation.id
    LEFT JOIN packshot_route AS next ON next.instead_of_id = generation.id
    WHERE monitor.id = %(id)s
"""

_ATTEMPTS = """
    SELECT attempt.id, attempt.number, attempt.state, attempt.provider, attempt.model, attempt.error_kind,
        attempt.error_message, attempt.request_id, attempt.answer,
        packshot_dollars(attempt.reserved_micros) AS reserved,
        packshot_dollars((
            SELECT reservation.amount_micros FROM packshot_reservation AS reservation
            WHERE reservation.attempt_id = attempt.id AND reservation.closed_at IS NULL)) AS held,
        packshot_dollars(coalesce(
            (SELECT sum(entry.amount_micros) FROM packshot_entry AS entry
            WHERE entry.attempt_id = attempt.id),
            attempt.cost_micros)) AS charged,
        attempt.created_at, attempt.sending_at, attempt.accepted_at, attempt.closed_at,
        (SELECT json_agg(json_build_array(evidence.kind, evidence.verdict,
            coalesce(evidence.detail ->> 'note', ''), evidence.by_name, evidence.at)
            ORDER BY evidence.at)::text
        FROM packshot_evidence AS evidence WHERE evidence.attempt_id = attempt.id) AS proofs
    FROM packshot_attempt AS attempt
    WHERE attempt.generation_id = %(id)s
    ORDER BY attempt.number
"""


def listing(
    wanted: Filter,
    *,
    after: UUID | None = None,
    before: UUID | None = None,
    limit: int = 50,
    sort: Sort = "newest",
) -> Listing:
    """One page: the first, the next `after` an id, or the one `before` it, in the order of `sort`."""
    scope = Scope(wanted)
    tally = _tally(scope)
    if before is not None:
        ids = _page(scope, limit + 1, sort, before=before)[::-1]
        if len(ids) > limit:
            return Listing(_in_order(ids[1:]), True, True, tally, scope.run_title, scope.template_name)
        # Nothing would be before it, so it is the first page, and a whole one.
    ids = _page(scope, limit + 1, sort, after=after if before is None else None)
    return Listing(
        _in_order(ids[:limit]),
        after is not None and before is None,
        len(ids) > limit,
        tally,
        scope.run_title,
        scope.template_name,
    )


def _page(
    scope: Scope, limit: int, sort: Sort = "newest", *, after: UUID | None = None, before: UUID | None = None
) -> list[UUID]:
    """Ids first, by index alone; then the view for a page of them. The other way round PostgreSQL joins
    before it limits as soon as a filter has more hits than it expected. And which index is best is another
    thing for each filter, where the rows of ids are always found alike."""
    with connection.cursor() as cursor:
        cursor.execute(
            scope.ids(limit, sort, after=after, before=before),
            {**scope.parameters, "edge": after or before, "limit": limit},
        )
        return [row[0] for row in cursor.fetchall()]


def _in_order(ids: Sequence[UUID]) -> list[GenerationRow]:
    found = {row.id: row for row in rows_of(ids)}
    return [found[each] for each in ids if each in found]


def waiting(limit: int = 50) -> list[GenerationRow]:
    """The newest that wait: those whose reason changes with a provider, a budget or the stop switch."""
    return rows_of(_page(Scope(Filter(status="pending")), limit))


def tally(wanted: Filter) -> Tally:
    """How many there are by provider and status, of what else `wanted` says."""
    return _tally(Scope(wanted))


def _tally(scope: Scope) -> Tally:
    wanted = scope.wanted
    if not wanted.indexed:
        counted, more = scope.count_recent()
        return Tally(counted, more)
    if not scope.few or scope.run_size > finding.RUN_COUNTED:
        return Tally(None)
    narrowed = wanted.text or wanted.run_id
    sums: Counter[tuple[str, str]] = Counter()
    with connection.cursor() if narrowed else planned() as cursor:
        if narrowed:
            conditions = scope.conditions(narrowing_only=True)
            cursor.execute(_COUNTS_OF.format(conditions=conditions), scope.parameters)
        else:
            cursor.execute(_COUNTS)
        for provider, status, number in cursor.fetchall():
            sums[provider, status] += number
    return Tally(dict(sums))


def matching(wanted: Filter, statuses: Sequence[str], *, limit: int) -> list[Match]:
    """The oldest of what `wanted` says that have one of `statuses`."""
    scope = Scope(wanted)
    return read(
        Match,
        f"""
        SELECT generation.id, generation.status, generation.expected_micros, generation.simulated,
            generation.provider_id AS provider
        FROM packshot_generation AS generation
        WHERE {scope.conditions()} AND generation.status = ANY(%(statuses)s)
        ORDER BY generation.id LIMIT %(limit)s
        """,
        **scope.parameters,
        statuses=list(statuses),
        limit=limit,
    )


def those(generation_ids: Sequence[UUID]) -> list[Match]:
    """What an action on these ids would meet; an id that does not exist is left out."""
    return read(
        Match,
        """
        SELECT id, status, expected_micros, simulated, provider_id AS provider FROM packshot_generation
        WHERE id = ANY(%(ids)s) ORDER BY id
        """,
        ids=list(generation_ids),
    )


def detail(generation_id: UUID) -> Detail | None:
    """One generation in full, None when there is none. In one trip to the database, however many attempts it
    took."""
    found, attempts, *around = read_together(
        _DETAIL, _ATTEMPTS, *AROUND, id=generation_id, generations=[generation_id]
    )
    row = found.fetchone()
    if row is None:
        return None
    facts = dict(zip((column.name for column in found.description), row, strict=True))
    shown = GenerationRow(
        **{each.name: facts.pop(each.name) for each in fields(GenerationRow) if each.name in facts}
    )
    facts["options"] = json.loads(facts["options"])
    facts["pictures"] = tuple(_given(each) for each in json.loads(facts["pictures"] or "[]"))
    lines = tuple(_with_proofs(line) for line in rows(AttemptLine, attempts))
    return Detail(finished([shown], around)[0], **facts, attempts=lines)


def _given(told: Sequence[Any]) -> GivenPicture:
    role, width_px, height_px, image_id, sku, made_by = told
    return GivenPicture(role, width_px, height_px, _id(image_id), sku, _id(made_by))


def _id(text: str | None) -> UUID | None:
    return UUID(text) if text else None


def _with_proofs(line: AttemptLine) -> AttemptLine:
    told = json.loads(str(line.proofs)) if line.proofs else []
    return replace(
        line,
        proofs=tuple(
            Proof(kind, verdict, note, by_name, datetime.fromisoformat(at))
            for kind, verdict, note, by_name, at in told
        ),
    )
