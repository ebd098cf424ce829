"""Ids are made by the client, before the insert, so that a write whose COMMIT got lost can be looked up."""

import os
import threading
import time
from uuid import UUID

_lock = threading.Lock()
_last = 0


def uuid7() -> UUID:
    """A time-ordered UUID (RFC 9562, version 7). Ids of one process sort in the order they were made."""
    global _last
    with _lock:
        # Milliseconds in the high 48 bits; 12 bits below them count within the millisecond.
        stamp = time.time_ns() // 1_000_000 << 12
        _last = max(stamp, _last + 1)
        ordered = _last
    millis, counter = ordered >> 12, ordered & 0xFFF
    tail = int.from_bytes(os.urandom(8)) & ((1 << 62) - 1)
    return UUID(int=(millis & ((1 << 48) - 1)) << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | tail)
