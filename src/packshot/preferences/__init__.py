"""Site settings that people change while it runs."""

from packshot.preferences.site import (  # noqa: A004 - preferences.set(...)
    DEFAULTS,
    Value,
    everything,
    get,
    is_placeholder,
    set,
)

__all__ = ["DEFAULTS", "Value", "everything", "get", "is_placeholder", "set"]
