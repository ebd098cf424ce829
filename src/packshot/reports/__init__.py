"""Rollups and the read models behind the pages: the five views, and the lists that the Overview shows."""

from packshot.reports.reads import (
    Dashboard,
    GenerationRow,
    ImageTile,
    ProviderRow,
    ProviderState,
    dashboard,
    newest_generations,
    newest_images,
    providers,
    queue,
)
from packshot.reports.rollups import ALL_TIME, Delta, Difference, add, rebuild_rollups

__all__ = [
    "ALL_TIME",
    "Dashboard",
    "Delta",
    "Difference",
    "GenerationRow",
    "ImageTile",
    "ProviderRow",
    "ProviderState",
    "add",
    "dashboard",
    "newest_generations",
    "newest_images",
    "providers",
    "queue",
    "rebuild_rollups",
]
