"""Site settings that people change while it runs, and the views that they save."""

from packshot.preferences.site import (
    DEFAULTS,
    Value,
    everything,
    get,
    is_placeholder,
    set,  # noqa: A004 - reads as preferences.set(...)
    understand,
)
from packshot.preferences.views import open_first, remove_view, save_view

__all__ = [
    "DEFAULTS",
    "Value",
    "everything",
    "get",
    "is_placeholder",
    "open_first",
    "remove_view",
    "save_view",
    "set",
    "understand",
]
