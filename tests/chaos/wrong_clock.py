"""`packshot`, in a process whose Python reads a wall clock that is as wrong as a file says."""

import os
import threading
import time
from pathlib import Path

import time_machine

from packshot.cli import main

_LOOK_EVERY_S = 0.05


def jump_with(file: Path) -> None:
    """The wall clock follows the file for as long as the process lives; the monotonic one stays true."""
    truth = time.time() - time.monotonic()

    def now() -> float:
        return truth + time.monotonic() + float(file.read_text())

    clock = time_machine.travel(now(), tick=True).start()

    def follow() -> None:
        known = file.read_text()
        while True:
            time.sleep(_LOOK_EVERY_S)
            if file.read_text() != known:
                known = file.read_text()
                clock.move_to(now(), tick=True)

    threading.Thread(target=follow, name="wrong clock", daemon=True).start()


if __name__ == "__main__":
    jump_with(Path(os.environ["PACKSHOT_TEST_CLOCK"]))
    main()
