"""Named moments on a paid call's way, at which a test lets the process die, stand still or stumble.

Off unless PACKSHOT_FAULTS is set: rules `name:action`, parted by commas.

    attempt.committed:crash        the process is gone at the first hit, as by kill -9
    attempt.committed:crash:2      at the second
    sending.committed:pause:1.5:2  it stands still for 1.5 s at the second, as by SIGSTOP, and goes on
    sending.committed:stop         it stands still until somebody sends SIGCONT
    close.settled:raise            FaultInjected is raised
    ticket.saved:note              nothing happens

What is about to happen is appended to the file PACKSHOT_FAULTS_FILE, a line `name action pid hit` each.
"""

import os
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from packshot.kernel.errors import BadInput

Action = Literal["crash", "pause", "stop", "raise", "note"]
# Who passes a point: every paid call, only one answered at once or by a ticket, a worker heeding callbacks,
# the site that receives them, a process that resolves what the dead left, or one that ends in good order.
Passer = Literal["call", "direct", "ticket", "callback", "site", "rescue", "end"]


@dataclass(frozen=True, slots=True)
class Point:
    """One moment: who passes it, and what stands when it is reached."""

    passed_by: Passer
    what: str


POINTS: Mapping[str, Point] = {
    "queue.claimed": Point("call", "Candidates and their provider are locked; nothing is written."),
    "money.reserved": Point("call", "Holds are written in the admission's transaction, before its COMMIT."),
    "attempt.committed": Point("call", "The attempt is `intent`, its money held; nothing was sent."),
    "pictures.read": Point("call", "The pictures that go with it are in memory; it is still `intent`."),
    "sending.written": Point("call", "`sending` is written and not committed."),
    "sending.committed": Point("call", "`sending` is committed; no byte has left."),
    "call.connecting": Point("call", "The call is put together; no connection is open for it."),
    "request.headers_sent": Point("call", "The headers of the paid request have left, its body has not."),
    "request.half_sent": Point("call", "Half of the body has left."),
    "answer.half_read": Point("call", "A part of the answer to the paid request is here."),
    "answer.read": Point("direct", "The whole answer is in memory, with its images; nothing of it is saved."),
    "ticket.received": Point("ticket", "The ticket is in memory and not saved."),
    "ticket.written": Point("ticket", "The ticket is written and not committed."),
    "ticket.saved": Point("ticket", "The attempt is `accepted`, with its ticket."),
    "ticket.pending": Point("ticket", "A look at the ticket said: not yet."),
    "ticket.ready": Point("ticket", "A look at the ticket said: done; the image is still at the provider's."),
    "download.half_read": Point("ticket", "A part of the image is here."),
    "image.read": Point("call", "The image's bytes are in memory and nowhere else."),
    "blob.written": Point("call", "The bytes are on the disk under a passing name."),
    "blob.placed": Point("call", "The bytes have their name in the store."),
    "images.kept": Point("call", "All bytes of the attempt are stored; no row names them."),
    "close.images": Point("call", "Attempt, generation and images are written, not the money; no COMMIT."),
    "close.settled": Point("call", "The hold has ended and the charge is an entry; no COMMIT."),
    "close.counted": Point("call", "The rollups have it; no COMMIT."),
    "close.told": Point("call", "The news is written, and all that is missing is COMMIT."),
    "close.committed": Point("call", "The end is committed, and nobody in this process knows it."),
    "callback.stored": Point("site", "What a provider said by itself is stored; it has no answer yet."),
    "callback.heeded": Point("callback", "Callbacks are taken note of, tickets made from them; no COMMIT."),
    "give_back.released": Point("rescue", "Attempts that never left are released; no COMMIT."),
    "rescue.ended": Point("rescue", "A dead process is marked ended; what it left is untouched."),
    "rescue.returned": Point("rescue", "What it had not sent is back in the queue."),
    "rescue.unsure": Point("rescue", "What it was sending is uncertain."),
    "rescue.adopted": Point("rescue", "Its tickets have a new owner; no COMMIT."),
    "worker.leaving": Point("end", "All its calls have ended or were left; it still holds its lock."),
    "worker.retired": Point("end", "The process has said goodbye and still holds its lock."),
}


class FaultInjected(RuntimeError):
    """A test wanted it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens at which hit of a point; hits are counted from 1."""

    point: str
    action: Action
    seconds: float = 0.0
    hit: int = 1


def fault_point(name: str) -> None:
    """Nothing, in less than 0.1 µs, unless a test has armed this process."""
    if _rules:
        _reach(name)


def armed() -> bool:
    """Whether any rule is in force here."""
    return bool(_rules)


def arm(rules: str, file: str | None = None) -> None:
    """Put `rules` in force in this process, counting anew; the empty text puts none. Raises BadInput."""
    global _rules, _file
    parsed = tuple(_parsed(each.strip()) for each in rules.split(",") if each.strip())
    with _lock:
        _rules, _file = parsed, file
        _hits.clear()


def _parsed(text: str) -> Rule:
    name, _, rest = text.partition(":")
    action, *figures = rest.split(":")
    if name not in POINTS:
        raise BadInput(f"there is no fault point {name!r}", field="PACKSHOT_FAULTS")
    if action not in get_args(Action):
        raise BadInput(f"{text!r} names none of {', '.join(get_args(Action))}", field="PACKSHOT_FAULTS")
    try:
        seconds = float(figures.pop(0)) if action == "pause" else 0.0
        hit = int(figures.pop(0)) if figures else 1
    except (IndexError, ValueError):
        raise BadInput(f"the figures of {text!r} cannot be read", field="PACKSHOT_FAULTS") from None
    if figures or hit < 1 or not 0 <= seconds < float("inf"):
        raise BadInput(f"the figures of {text!r} cannot be read", field="PACKSHOT_FAULTS")
    return Rule(name, cast(Action, action), seconds, hit)


def _reach(name: str) -> None:
    if name not in POINTS:
        raise BadInput(f"there is no fault point {name!r}", field="PACKSHOT_FAULTS")
    with _lock:
        _hits[name] += 1
        due = [rule for rule in _rules if rule.point == name and rule.hit == _hits[name]]
        for rule in due:
            _write_down(rule)
    for rule in due:
        _do(rule)


def _write_down(rule: Rule) -> None:
    if _file is not None:
        descriptor = os.open(_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, f"{rule.point} {rule.action} {os.getpid()} {rule.hit}\n".encode())
        finally:
            os.close(descriptor)


def _do(rule: Rule) -> None:
    if rule.action == "crash":
        os._exit(137)
    elif rule.action == "raise":
        raise FaultInjected(rule.point)
    elif rule.action == "pause":
        # Whoever stands still cannot wake itself.
        waker = subprocess.Popen(
            ["/bin/sh", "-c", f"sleep {rule.seconds}; kill -CONT {os.getpid()}"],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        _stand_still()
        waker.wait()
    elif rule.action == "stop":
        _stand_still()


def _stand_still() -> None:
    # To this thread, so that not one instruction of its own comes after; the others stop with it.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


_lock = threading.Lock()
_hits: Counter[str] = Counter()
_rules: tuple[Rule, ...] = ()
_file: str | None = None
arm(os.environ.get("PACKSHOT_FAULTS", ""), os.environ.get("PACKSHOT_FAULTS_FILE"))
