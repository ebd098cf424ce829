"""The handlers of background work, by name. Each calls one flow."""

from procrastinate import App


def register(app: App) -> None:
    """Give Procrastinate the handlers."""
