"""What the pages, the stream and the command line show: values ready to be shown, a fixed number of queries."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypeVar
from uuid import UUID

from django.db import connection

ProviderState = Literal["healthy", "waiting", "paused", "off", "unavailable"]


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


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """A provider now and over all time: its state, its queue, and its line of `provider_performance_stats`."""

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


def dashboard() -> Dashboard:
    """The system now."""
    return _rows(Dashboard, "SELECT * FROM image_generation_dashboard", {})[0]


def newest_generations(limit: int = 20, ids: Sequence[UUID] | None = None) -> list[GenerationRow]:
    """The newest generations with their images, newest first; with `ids` only those among them."""
    return _generations("WHERE %(ids)s::uuid[] IS NULL OR id = ANY(%(ids)s)" if ids is None else
                        "WHERE id = ANY(%(ids)s)", {"ids": ids, "limit": limit})


def newest_images(limit: int = 12, ids: Sequence[UUID] | None = None) -> list[ImageTile]:
    return []


_Row = TypeVar("_Row")


def _rows(kind: type[_Row], sql: str, parameters: dict[str, Any]) -> list[_Row]:
    return []
