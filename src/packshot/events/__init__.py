"""What happened, told with the change itself: an outbox row, one NOTIFY per flush, background work by name."""

from packshot.events.chores import defer
from packshot.events.outbox import CHANNEL, Happening, newest_id, since, tell, wake

__all__ = ["CHANNEL", "Happening", "defer", "newest_id", "since", "tell", "wake"]
