"""Ports for servers that a test starts, stops and starts again."""

import random
import socket
from contextlib import suppress
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """A port that nobody has, and that nobody is given who only wants any.

    The system hands out those of its own range: before the server's start, and while it is down.
    """
    least = int(_RANGE.read_text().split()[0]) if _RANGE.is_file() else 32_768
    # Not of the shared chance, which is sown anew, and alike in each worker, before every test.
    for port in random.SystemRandom().sample(range(10_000, max(least, 10_200)), 200):
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")
