"""Rollups and the read models behind the pages: the five views, and the lists that the Overview shows."""

from packshot.reports.activity import Happened, activity
from packshot.reports.batches import InBatch
from packshot.reports.reads import (
    Dashboard,
    Edge,
    EndedRequest,
    GenerationRow,
    ImageTile,
    NamedProduct,
    ProviderRow,
    ProviderState,
    dashboard,
    edge,
    ended_requests,
    find_products,
    just_made,
    newest_generations,
    newest_images,
    providers,
    queue,
)
from packshot.reports.rollups import ALL_TIME, Delta, Difference, add, rebuild_rollups
from packshot.reports.series import Span, Sums, Timeline, by_day, by_hour, by_range

__all__ = [
    "ALL_TIME",
    "Dashboard",
    "Delta",
    "Difference",
    "Edge",
    "EndedRequest",
    "GenerationRow",
    "Happened",
    "ImageTile",
    "InBatch",
    "NamedProduct",
    "ProviderRow",
    "ProviderState",
    "Span",
    "Sums",
    "Timeline",
    "activity",
    "add",
    "by_day",
    "by_hour",
    "by_range",
    "dashboard",
    "edge",
    "ended_requests",
    "find_products",
    "just_made",
    "newest_generations",
    "newest_images",
    "providers",
    "queue",
    "rebuild_rollups",
]
