"""Our own programs as children: started, started again when they die, ended in order, never left behind."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

# Names the process that a child must not outlive.
_SUPERVISOR = "PACKSHOT_SUPERVISOR"
_PR_SET_PDEATHSIG = 1
# Whether this process is such a child: then the database is its supervisor's business.
supervised = False

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
# Whoever ran this long was well: what ended it is not what ended it last time.
WELL_AFTER_S = 60.0
_LOOK_EVERY_S = 0.5

Say = Callable[[str], None]


def follow_supervisor() -> None:
    """Ask the kernel for SIGTERM at the death of the process that started this one, if it said so.

    A killed supervisor thereby still drains its workers. Called by the child, not between fork and exec,
    where a thread of the parent could have left a lock behind.
    """
    global supervised
    supervisor = os.environ.pop(_SUPERVISOR, None)
    if supervisor is None:
        return
    supervised = True
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(supervisor):  # it died before we could ask
        sys.exit(1)


@dataclass(slots=True)
class Child:
    """One of our programs, by its command line after `packshot`."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    # Seconds between the request to end and the kill; None: as long as it takes.
    patience_s: float | None = 10.0
    process: "subprocess.Popen[bytes] | None" = None
    began: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    again_at: float = 0.0

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "packshot", *self.command],
            env={**os.environ, **self.environment, _SUPERVISOR: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # what is worth a line goes to the error stream
            # Ctrl-C goes to the terminal's foreground group: children are told by us, in order.
            process_group=0,
        )
        self.began = time.monotonic()

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def tell(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)


class Supervisor:
    """Keeps children running until told to stop; then ends them one after the other, in their order."""

    def __init__(self, *, say: Say) -> None:
        self.children: list[Child] = []
        self.say = say
        self._changed = threading.Event()
        self._signals = 0

    def __enter__(self) -> "Supervisor":
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, self._on_change)
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever happened: no child is left running."""
        for child in self.children:
            child.tell(signal.SIGTERM)
        for child in self.children:
            if child.process is not None:
                try:
                    child.process.wait(5)
                except subprocess.TimeoutExpired:
                    child.process.kill()
                    child.process.wait()

    @property
    def told_to_stop(self) -> bool:
        return self._signals > 0

    def add(self, child: Child) -> Child:
        """Start `child`, and from now on start it again when it dies."""
        self.children.append(child)
        child.start()
        return child

    def watch(self, keep: Callable[[], None] = lambda: None) -> None:
        """Return when told to stop. `keep` is called twice a second."""
        while not self.told_to_stop:
            self.look()
            keep()
            self.wait(_LOOK_EVERY_S)

    def look(self) -> None:
        """Start again what died, each time after a longer pause."""
        now = time.monotonic()
        for child in self.children:
            if child.alive:
                continue
            if child.process is not None:
                if now - child.began > WELL_AFTER_S:
                    child.pause_s = FIRST_PAUSE_S
                self.say(
                    f"{child.name} {_how_it_ended(child.process)}; it starts again in {child.pause_s:g} s"
                )
                child.process = None
                child.again_at = now + child.pause_s
                child.pause_s = min(child.pause_s * 2, LONGEST_PAUSE_S)
            elif now >= child.again_at:
                child.start()

    def wait(self, seconds: float) -> None:
        """Sleep, but not through a signal or the end of a child."""
        self._changed.wait(seconds)
        self._changed.clear()

    def end(self, child: Child, *, while_waiting: Callable[[], None] = lambda: None) -> None:
        """End `child` and return when it is gone. A further signal to us is passed on; a third kills."""
        self.children.remove(child)
        child.tell(signal.SIGTERM)
        told, began = 1, time.monotonic()
        while child.alive:
            while_waiting()
            self.wait(0.2)
            if self._signals > told:
                told = self._signals
                child.tell(signal.SIGTERM if told == 2 else signal.SIGKILL)
            if child.patience_s is not None and time.monotonic() - began > child.patience_s:
                child.tell(signal.SIGKILL)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        self._changed.set()

    def _on_change(self, number: int, frame: FrameType | None) -> None:
        self._changed.set()


def _how_it_ended(process: "subprocess.Popen[bytes]") -> str:
    code = process.returncode
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"
