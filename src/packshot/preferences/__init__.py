"""Site settings that people change while it runs."""

from packshot.preferences.site import DEFAULTS, everything, get, is_placeholder, set  # noqa: A004 - preferences.set(...)

__all__ = ["DEFAULTS", "everything", "get", "is_placeholder", "set"]
