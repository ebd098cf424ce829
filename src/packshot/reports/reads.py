"""What pages, stream and command line show: finished values, in a fixed number of queries."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, Literal
from uuid import UUID

from packshot.kernel import search
from packshot.reports.attention import BOUNDED_COUNT
from packshot.reports.batches import BATCHES_OF, InBatch, by_generation
from packshot.reports.reviewing import Waiting, counting_waiting
from packshot.reports.sql import IMAGE_COST, read_planned, read_together, rows
from packshot.reports.sql import read as _read
from packshot.sql.reading import planned

# `stopped` and `testing` are the circuit: busy so often in a row that it is left alone for a while, and then
# asked once whether that is over. `waiting` is a wait that it asked for.
# `draining` takes no new request.
ProviderState = Literal[
    "healthy", "waiting", "testing", "stopped", "draining", "paused", "off", "unavailable"
]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The system now: the columns of `image_generation_dashboard`. Costs in dollars, times in seconds."""

    total_in_queue: int
    pending_count: int
    processing_count: int
    completed_count: int
    failed_count: int
    cancelled_count: int
    uncertain_count: int
    daily_cost: Decimal
    weekly_cost: Decimal
    monthly_cost: Decimal
    total_cost: Decimal
    held_cost: Decimal
    simulated_cost: Decimal
    unknown_cost_count: int
    avg_processing_time: float | None
    success_rate: float | None
    products_without_images: int
    products_with_placeholder: int
    simulated_daily_cost: Decimal
    simulated_weekly_cost: Decimal
    simulated_monthly_cost: Decimal
    simulated_held_cost: Decimal
    simulated_unknown_cost_count: int


@dataclass(frozen=True, slots=True)
class ImageTile:
    """An image as it is shown in a list. `thumb_blob` is its 320 px WebP, None until that is made."""

    image_id: UUID
    product_id: UUID
    sku: str
    product_name: str
    provider: str
    model: str
    simulated: bool
    state: str
    thumb_blob: str | None
    width_px: int
    height_px: int
    created_at: datetime
    cost_micros: int | None  # its share of its attempt; None: not known
    generation_id: UUID | None


@dataclass(frozen=True, slots=True)
class GenerationRow:
    """A generation as lists show it: the columns of `image_generation_monitor` and its images so far."""

    id: UUID
    product_id: UUID
    product_name: str
    provider: str
    model: str
    prompt: str
    status: str
    attempts: int
    error_kind: str
    error_message: str
    wait_reason: str | None
    estimated_cost: Decimal | None
    actual_cost: Decimal | None
    processing_time_seconds: float | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    sku: str
    simulated: bool
    cost_unknown: bool
    wait_detail: str
    not_before: datetime | None
    started_at: datetime | None
    cancel_requested_at: datetime | None
    run_id: UUID | None
    asked_by_name: str
    images: tuple[ImageTile, ...] = ()
    batch: InBatch | None = None  # that it waits for


# All but the last two. `dataclasses.replace` takes four times as long, for every row of a page.
_AS_READ = attrgetter(*(each.name for each in fields(GenerationRow)[:-2]))


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """A provider: its state and queue now, and its line of `provider_performance_stats`."""

    name: str
    label: str
    state: ProviderState
    simulated: bool
    paused_kind: str
    paused_message: str
    wait_until: datetime | None
    pending: int
    processing: int
    uncertain: int
    max_in_flight: int
    total_generated: int
    success_count: int
    failed_count: int
    success_rate: float | None
    success_rate_low: float | None
    success_rate_high: float | None
    total_cost: Decimal
    avg_cost: Decimal | None
    avg_processing_time: float | None
    p50_s: float | None
    p95_s: float | None
    last_used: datetime | None
    price_edition: int = 0  # of the prices that the site edited (ledger/prices.py)


_DASHBOARD = f"SELECT {', '.join(each.name for each in fields(Dashboard))} FROM image_generation_dashboard"

_TILES = f"""
    SELECT image.id AS image_id, image.product_id, product.sku, product.name AS product_name, image.provider,
        image.model, image.simulated, image.state, thumb.blob AS thumb_blob, image.width_px, image.height_px,
        image.created_at, {IMAGE_COST} AS cost_micros,
        image.generation_id
    FROM packshot_image AS image
    JOIN packshot_product AS product ON product.id = image.product_id
    LEFT JOIN packshot_rendition AS thumb ON thumb.image_id = image.id AND thumb.spec = 'webp-320'
"""
_NEWEST_TILES = f"{_TILES} WHERE %(ids)s::uuid[] IS NULL OR image.id = ANY(%(ids)s) ORDER BY image.id DESC"

COLUMNS = ", ".join(f"monitor.{each.name}" for each in fields(GenerationRow)[:-2])
_ROWS_OF = f"""
    SELECT {COLUMNS} FROM image_generation_monitor AS monitor
    WHERE monitor.id = ANY(%(generations)s) ORDER BY monitor.id DESC
"""

# A condition on a parameter that is NULL is folded away before the query is planned, so this reads the one
# index that fits what was asked for. ARRAY, because an IN beside an OR is never made a join.
_GENERATIONS = """
    SELECT * FROM image_generation_monitor
    WHERE (%(ids)s::uuid[] IS NULL OR id = ANY(%(ids)s))
        AND (%(status)s::text IS NULL OR status = %(status)s)
        AND (%(provider)s::text IS NULL OR provider = %(provider)s)
        {of_products}
        AND (%(after)s::uuid IS NULL OR id < %(after)s)
    ORDER BY id DESC
    LIMIT %(limit)s
"""

_PROVIDERS = """
    SELECT record.name, record.label,
        CASE
            WHEN NOT record.available THEN 'unavailable'
            WHEN NOT record.simulated AND NOT record.switched_on THEN 'off'
            WHEN record.paused_at IS NOT NULL THEN 'paused'
            WHEN record.draining THEN 'draining'
            WHEN record.wait_until > packshot_now() AND record.busy_in_row >= 3 THEN 'stopped'
            WHEN record.wait_until > packshot_now() THEN 'waiting'
            WHEN record.busy_in_row >= 3 THEN 'testing'
            ELSE 'healthy'
        END AS state,
        record.simulated, record.paused_kind, record.paused_message,
        CASE WHEN record.wait_until > packshot_now() THEN record.wait_until END AS wait_until,
        coalesce(live.pending, 0) AS pending, coalesce(live.processing, 0) AS processing,
        coalesce(live.uncertain, 0) AS uncertain, record.max_in_flight,
        stats.total_generated, stats.success_count, stats.failed_count, stats.success_rate,
        stats.success_rate_low, stats.success_rate_high, stats.total_cost, stats.avg_cost,
        stats.avg_processing_time, stats.p50_processing_time AS p50_s, stats.p95_processing_time AS p95_s,
        stats.last_used, packshot_price_edition(record.name) AS price_edition
    FROM packshot_provider AS record
    JOIN provider_performance_stats AS stats ON stats.provider = record.name
    LEFT JOIN (
        SELECT provider_id, count(*) FILTER (WHERE status = 'pending') AS pending,
            count(*) FILTER (WHERE status = 'processing') AS processing,
            count(*) FILTER (WHERE status = 'uncertain') AS uncertain
        FROM packshot_generation WHERE status IN ('pending', 'processing', 'uncertain') GROUP BY provider_id
    ) AS live ON live.provider_id = record.name
    WHERE record.archived_at IS NULL
    ORDER BY record.label, record.name
"""


def dashboard() -> Dashboard:
    """The system now."""
    return read_planned(Dashboard, _DASHBOARD)[0]


def newest_generations(limit: int = 20, ids: Sequence[UUID] | None = None) -> list[GenerationRow]:
    """The newest generations with their images, newest first; with `ids` only those among them."""
    return _generations(limit, ids=ids)


def queue(
    status: str | None = None,
    provider: str | None = None,
    text: str | None = None,
    after: UUID | None = None,
    limit: int = 50,
) -> list[GenerationRow]:
    """One page of generations, newest first; the next page is `after` the id of this one's last row.

    The words of `text` are looked for in the product's SKU, name and attributes, whatever their case.
    """
    return _generations(limit, status=status, provider=provider, text=text, after=after)


def newest_images(limit: int = 12, ids: Sequence[UUID] | None = None) -> list[ImageTile]:
    """The newest images, newest first; with `ids` only those among them."""
    return _read(ImageTile, f"{_NEWEST_TILES} LIMIT %(limit)s", ids=_list(ids), limit=limit)


def just_made(limit: int) -> tuple[list[ImageTile], Waiting]:
    """The newest images, newest first, and how many wait for a decision; in one query, which is all that the
    Overview has left for them."""
    waiting, parameters = counting_waiting()
    with planned() as cursor:
        cursor.execute(
            f"""
            SELECT made.*, waiting.count, waiting.more
            FROM ({_TILES} ORDER BY image.id DESC LIMIT {limit:d}) AS made CROSS JOIN ({waiting}) AS waiting
            ORDER BY made.image_id DESC
            """,
            parameters,
        )
        found = cursor.fetchall()
    tiles = [ImageTile(*row[:-2]) for row in found]
    return tiles, Waiting(*found[0][-2:]) if found else Waiting(0, more=False)


@dataclass(frozen=True, slots=True)
class Edge:
    """What the edge of every page says: the queue now, what today cost, how many products need attention.

    Figures of the pages that they lead to, but the last is counted to `attention.COUNTED_AT_MOST` only."""

    pending: int
    processing: int
    needing: int
    today: Decimal


def edge(*, simulated: bool) -> Edge:
    """The edge, with today's cost in dollars of simulated or of real money. Cheap: every page asks for it."""
    (found,) = read_planned(
        Edge,
        f"""
        SELECT
            {BOUNDED_COUNT} AS needing,
            (SELECT count(*) FROM packshot_generation WHERE status = 'pending') AS pending,
            (SELECT count(*) FROM packshot_generation WHERE status = 'processing') AS processing,
            packshot_dollars((
                SELECT coalesce(sum(rollup.amount_micros), 0) FROM packshot_rollup AS rollup
                WHERE rollup.simulated = %(simulated)s AND rollup.bucket
                    >= packshot_period_start('day', packshot_now(), packshot_setting('time_zone')))) AS today
        """,
        simulated=simulated,
    )
    return found


@dataclass(frozen=True, slots=True)
class NamedProduct:
    """A product by the names that people know it by."""

    id: UUID
    sku: str
    name: str


def find_products(text: str, *, limit: int) -> list[NamedProduct]:
    """Unarchived products that hold the words of `text`; those whose SKU or name begins with it first."""
    parameters: dict[str, Any] = {"first": search.containing(text)[1:], "limit": limit}
    return _read(
        NamedProduct,
        f"""
        SELECT id, sku, name FROM packshot_product
        WHERE archived_at IS NULL AND {search.all_of("words", text, parameters)}
        ORDER BY NOT (sku ILIKE %(first)s OR name ILIKE %(first)s), name, id LIMIT %(limit)s
        """,
        **parameters,
    )


@dataclass(frozen=True, slots=True)
class EndedRequest:
    """Everything that was asked for under one key has ended."""

    key: str
    completed: int
    failed: int
    cancelled: int
    uncertain: int


def ended_requests(generation_ids: Sequence[UUID]) -> list[EndedRequest]:
    """The requests of these generations of which nothing is pending or being made any more."""
    return _read(
        EndedRequest,
        """
        SELECT generation.request_id AS key,
            count(*) FILTER (WHERE status = 'completed') AS completed,
            count(*) FILTER (WHERE status = 'failed') AS failed,
            count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
            count(*) FILTER (WHERE status = 'uncertain') AS uncertain
        FROM packshot_generation AS generation
        WHERE generation.request_id IN (
            SELECT DISTINCT touched.request_id FROM packshot_generation AS touched
            WHERE touched.id = ANY(%(ids)s) AND NOT EXISTS (
                SELECT 1 FROM packshot_generation AS other
                WHERE other.request_id = touched.request_id AND other.status IN ('pending', 'processing')))
        GROUP BY generation.request_id
        """,
        ids=list(generation_ids),
    )


def providers() -> list[ProviderRow]:
    """Every provider that is not archived, by its label."""
    return read_planned(ProviderRow, _PROVIDERS)


def _generations(
    limit: int,
    *,
    ids: Sequence[UUID] | None = None,
    status: str | None = None,
    provider: str | None = None,
    text: str | None = None,
    after: UUID | None = None,
) -> list[GenerationRow]:
    parameters = {
        "ids": _list(ids),
        "status": status,
        "provider": provider,
        "after": after,
        "limit": limit,
    }
    of_products = ""
    if text:
        fits = search.all_of("product.words", text, parameters)
        of_products = f"""
            AND product_id = ANY (ARRAY(SELECT product.id FROM packshot_product AS product WHERE {fits}))"""
    found = _read(GenerationRow, _GENERATIONS.replace("{of_products}", of_products), **parameters)
    return finished(found, read_together(*AROUND, generations=[row.id for row in found]))


def rows_of(ids: Sequence[UUID]) -> list[GenerationRow]:
    """These generations with their images, newest first. In one trip to the database."""
    if not ids:
        return []
    found, *around = read_together(_ROWS_OF, *AROUND, generations=list(ids))
    return finished(rows(GenerationRow, found), around)


# What a row shows of other tables, for `finished`.
AROUND = (f"{_TILES} WHERE image.generation_id = ANY(%(generations)s) ORDER BY image.id", BATCHES_OF)


def finished(read: Sequence[GenerationRow], around: Sequence[Any]) -> list[GenerationRow]:
    """The rows with their images, oldest first, and with the batches that some wait for. `around`: a cursor
    at the result of each statement of AROUND."""
    tiles, batches = around
    images: dict[UUID | None, list[ImageTile]] = defaultdict(list)
    for tile in rows(ImageTile, tiles):
        images[tile.generation_id].append(tile)
    batch_of = by_generation(batches)
    whole = ((*_AS_READ(row), tuple(images.get(row.id, ())), batch_of.get(row.id)) for row in read)
    return [GenerationRow(*each) for each in whole]


def _list(ids: Sequence[UUID] | None) -> list[UUID] | None:
    return None if ids is None else list(ids)
