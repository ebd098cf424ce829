"""Time as an argument, so that a test can hold it. Nothing here decides about money or ownership:
those decisions read the database's clock inside the transaction that makes them."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Wall time in UTC, for display and logs only."""

    def monotonic(self) -> float:
        """Seconds that never run backwards, for deadlines within one process."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()
