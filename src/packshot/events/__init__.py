"""What happened, told with the change itself: an outbox row, one NOTIFY a flush, background work by name."""

from packshot.events.chores import defer, defer_once, due, look_later
from packshot.events.outbox import CHANNEL, Happening, forget, newest_id, since, tell, told_last, wake

__all__ = [
    "CHANNEL",
    "Happening",
    "defer",
    "defer_once",
    "due",
    "forget",
    "look_later",
    "newest_id",
    "since",
    "tell",
    "told_last",
    "wake",
]
