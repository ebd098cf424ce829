"""Two who work on the database at the same moment."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from django.db import connection

T = TypeVar("T")


class Beside(Generic[T]):
    """Work on a thread and a database connection of its own, which the test can see waiting."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._pid: Future[int] = Future()
        threads = ThreadPoolExecutor(1)
        self._done = threads.submit(self._run, work)
        threads.shutdown(wait=False)

    def _run(self, work: Callable[[], T]) -> T:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                self._pid.set_result(cursor.fetchone()[0])
            return work()
        finally:
            connection.close()

    def wait_until_blocked(self) -> None:
        """Return when the work waits for a lock."""
        pid, deadline = self._pid.result(30), time.monotonic() + 60
        with connection.cursor() as cursor:
            while time.monotonic() < deadline:
                cursor.execute("SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted", [pid])
                if cursor.fetchone():
                    return
                assert not self._done.done(), self._done.result()
                time.sleep(0.01)
        raise AssertionError("it waits for nothing")

    def result(self) -> T:
        return self._done.result(60)
