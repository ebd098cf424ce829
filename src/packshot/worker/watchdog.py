"""Ends a process whose event loop is stuck, so that its supervisor starts a sound one and others resolve
what it had in hand. The beat comes from the loop itself: a process that only looks alive is not."""

import asyncio
import faulthandler
import logging
import os
import threading
import time

log = logging.getLogger(__name__)

# EX_SOFTWARE of sysexits.h.
STUCK_CODE = 70
_STDERR = 2  # by its number: what ends a stuck process must not need Python's objects


class Watchdog:
    """Looks from a thread of its own whether the loop still turns. Use it as a context, inside the loop.

    The thread meets a loop that is stuck in Python code for `limit_s`. Code that keeps the interpreter's lock
    keeps it from the thread, too; after `hard_limit_s` that meets a timer which needs no Python.
    """

    def __init__(self, limit_s: float, hard_limit_s: float) -> None:
        self._limit_s = limit_s
        self._hard_limit_s = hard_limit_s
        self._look_every_s = limit_s / 20
        self._turned_at = time.monotonic()
        self._done = threading.Event()
        self._beating: asyncio.Task[None]

    def __enter__(self) -> "Watchdog":
        self._turned_at = time.monotonic()
        self._beating = asyncio.get_running_loop().create_task(self._beat(), name="watchdog's beat")
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._beating.cancel()
        faulthandler.cancel_dump_traceback_later()

    async def _beat(self) -> None:
        while True:
            self._turned_at = time.monotonic()
            faulthandler.dump_traceback_later(self._hard_limit_s, exit=True, file=_STDERR)
            await asyncio.sleep(self._look_every_s)

    def _watch(self) -> None:
        looked_at = time.monotonic()
        while not self._done.wait(self._look_every_s):
            now = time.monotonic()
            if now - looked_at > self._limit_s / 2:
                # The whole process stood still, not its loop alone: it has the time to show that it turns.
                self._turned_at = now
            looked_at = now
            if now - self._turned_at > self._limit_s:
                self._end(now - self._turned_at)

    def _end(self, stuck_s: float) -> None:
        log.critical(
            "the event loop did nothing for %.0f s, so this process ends itself; what it had in hand is "
            "resolved by others. Report what follows: it shows where it was stuck",
            stuck_s,
        )
        faulthandler.dump_traceback(file=_STDERR, all_threads=True)
        os._exit(STUCK_CODE)
