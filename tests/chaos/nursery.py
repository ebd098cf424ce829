"""Bears pay processes of one installation: forked from one that has read all the code, so each costs little.

One JSON order a line in, one JSON answer a line out. Each child is armed with fault rules of its own and may
live under another wall clock; everything else about it is `packshot work --only pay`.
"""

import ctypes
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

import django

_PR_SET_PDEATHSIG = 1


def bear(*, rules: str, file: str, in_flight: int, clock_s: float, tricks: str, log: str) -> int:
    """A new pay process's number."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        _live(rules, file, in_flight, clock_s, tricks, log)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _live(rules: str, file: str, in_flight: int, clock_s: float, tricks: str, log: str) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    from packshot.cli import children, processes
    from packshot.kernel import faults

    children.supervised = True  # the database is the tests' business
    if tricks:
        from tests.chaos import tricks as known

        getattr(known, tricks)()
    faults.arm(rules, file)
    if clock_s:
        import time_machine

        with time_machine.travel(_now() + clock_s, tick=True):
            processes._pay(in_flight)
    else:
        processes._pay(in_flight)


def _now() -> float:
    import time

    return time.time()


def ended(*, pid: int) -> int | None:
    """How a child ended (negative: by that signal); None while it lives, standing still or not."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


VERBS: dict[str, Callable[..., Any]] = {"bear": bear, "ended": ended}


def main() -> None:
    django.setup()
    # Read once, here: what `_pay` imports, and what its first steps import lazily.
    import time_machine  # noqa: F401 - what is read here need not be read by each child
    from django.db import connection

    import packshot.blobs
    import packshot.flows.desk
    import packshot.worker.pay
    from packshot.cli.preparing import waiting_migrations

    waiting_migrations()
    connection.close()  # a child must not share it
    packshot.flows.desk.quoting()
    for line in sys.stdin:
        order = json.loads(line)
        answer = VERBS[order.pop("verb")](**order)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
