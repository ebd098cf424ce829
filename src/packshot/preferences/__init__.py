"""Site settings that people change while it runs."""

from packshot.preferences.site import (
    DEFAULTS,
    Value,
    everything,
    get,
    is_placeholder,
    set,  # noqa: A004 - reads as preferences.set(...)
    understand,
)

__all__ = ["DEFAULTS", "Value", "everything", "get", "is_placeholder", "set", "understand"]
