"""Twelve bugs that cost money, planted one by one: each must turn the tests named with it red.

`python -m tests.seeded_bugs [WORD ...]` (all, or those whose names hold a word). Each is planted in a copy of
the tree, so that nothing of it can stay behind. A test that is red without the bug proves nothing, so the same
tests run first in the copy as it is.
"""

# ruff: noqa: E501 - the lines that are planted are those of other files
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUN_S = 600


@dataclass(frozen=True, slots=True)
class Change:
    """`old` stands once in the file and becomes `new`."""

    path: str  # under src/packshot
    old: str
    new: str

    @property
    def file(self) -> Path:
        return Path("src/packshot") / self.path

    def planted(self, text: str) -> str:
        if text.count(self.old) != 1:
            raise LookupError(
                f"{self.file}: the code of this bug stands {text.count(self.old)} times, not once"
            )
        return text.replace(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Bug:
    """A mistake that somebody could make, what it breaks, and the tests that must notice."""

    name: str
    breaks: str
    changes: tuple[Change, ...]
    tests: tuple[str, ...]


BUGS = (
    Bug(
        "re-send on rescue",
        "I1: a request that was on its way goes back to the queue and is paid again",
        (
            Change(
                "flows/upkeep.py",
                "        give_back(intents.innocent)\n",
                '        give_back([*intents.innocent, *left.pop("sending", [])])\n',
            ),
            Change(
                "generations/attempts.py",
                "WHERE id = ANY(%s) AND state = 'intent' RETURNING id",
                "WHERE id = ANY(%s) AND state IN ('intent', 'sending') RETURNING id",
            ),
            Change(
                "sql/guards.v1.sql",
                "WHEN 'sending' THEN new.state IN\n            (",
                "WHEN 'sending' THEN new.state IN\n            ('released', ",
            ),
        ),
        (
            "tests/integration/test_rescue.py::test_what_was_on_its_way_becomes_uncertain_and_is_not_sent_again",
        ),
    ),
    Bug(
        "call first, write afterwards",
        "I2: a crash after the request leaves no trace of it, so it is made again",
        (
            Change(
                "flows/run.py",
                "        if not await around.lines.sending(claim):\n            return None\n"
                "        return await _submit(claim, request, provider, around)\n",
                "        answer = await _submit(claim, request, provider, around)\n"
                "        return answer if await around.lines.sending(claim) else None\n",
            ),
        ),
        ("tests/chaos/test_sweep.py", "-m", "not nightly", "-k", "dies_at_any_point and direct"),
    ),
    Bug(
        "a client that tries again by itself",
        "I1: a paid request that was cut off leaves twice within one attempt",
        (
            Change(
                "providers/http.py",
                '        return await self._call("POST", url, given, content, deadline_s, max_bytes, _answer_half_read)\n',
                "        try:\n"
                '            return await self._call("POST", url, given, content, deadline_s, max_bytes, _answer_half_read)\n'
                "        except Cut:\n"
                '            return await self._call("POST", url, given, content, deadline_s, max_bytes, _answer_half_read)\n',
            ),
        ),
        (
            "tests/unit/test_guarded_client.py::test_an_answer_that_breaks_off_is_cut_and_the_request_left_once",
            "tests/unit/test_guarded_client.py::test_a_kept_connection_that_breaks_under_the_next_request_is_cut_and_not_sent_again",
        ),
    ),
    Bug(
        "a budget that is read, and not locked",
        "I5: admissions at the same moment all find the same room, and spend it each",
        (
            Change(
                "ledger/balances.py",
                '            FOR UPDATE OF balance\n            """\n        )\n        # A fresh statement',
                '            """\n        )\n        # A fresh statement',
            ),
        ),
        ("tests/integration/test_budget_race.py", "-k", "affordable"),
    ),
    Bug(
        "months of UTC in every zone",
        "I6: what was charged in the first hours of a month counts in the one before",
        (
            Change(
                "sql/budget_window.v1.sql",
                "ELSE packshot_period_start(period, moment, zone) END,",
                "ELSE packshot_period_start(period, moment, 'UTC') END,",
            ),
        ),
        ("tests/integration/test_budget_tiling.py", "-k", "calendar_date and (Kolkata or Apia or New_York)"),
    ),
    Bug(
        "the worker's own clock decides",
        "I17: a machine whose clock is wrong wakes what must wait, and asks again too soon",
        (
            Change(
                "generations/queue.py",
                "                WHERE status = 'pending' AND wait_reason IS NOT NULL AND not_before <= clock_timestamp()\n"
                '                ORDER BY id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED)\n            """,\n            [limit],\n',
                "                WHERE status = 'pending' AND wait_reason IS NOT NULL AND not_before <= %s\n"
                '                ORDER BY id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED)\n            """,\n'
                '            [datetime.fromtimestamp(__import__("time").time(), __import__("datetime").UTC), limit],\n',
            ),
        ),
        ("tests/integration/test_rescue.py", "-k", "by_the_databases_clock"),
    ),
    Bug(
        "no fence in the write",
        "I3: a worker that was declared dead wakes up and sends what another has in hand",
        (
            Change(
                "generations/attempts.py",
                '            WHERE id = ANY(%s) AND process_id = %s AND state = \'intent\'\n            """,\n'
                "            [list(attempt_ids), process_id],\n",
                '            WHERE id = ANY(%s) AND state = \'intent\'\n            """,\n'
                "            [list(attempt_ids)],\n",
            ),
            Change(
                "generations/attempts.py",
                "            WHERE attempt.id = ANY(%s) AND attempt.process_id = %s AND attempt.state = 'sending'\n"
                '            """,\n            [list(attempt_ids), process_id],\n',
                "            WHERE attempt.id = ANY(%s) AND attempt.state = 'sending'\n"
                '            """,\n            [list(attempt_ids)],\n',
            ),
        ),
        ("tests/integration/test_admission.py::test_only_the_owner_may_send_its_attempt",),
    ),
    Bug(
        "a callback that is believed",
        "I12: whoever can reach the site says that a task is done, and is taken at his word",
        (
            Change(
                "flows/callbacks.py",
                '    if not constant_time_compare(given_token, token(attempt_id)):\n        return "token"\n',
                "",
            ),
        ),
        ("tests/integration/test_callbacks.py", "-k", "forgeries"),
    ),
    Bug(
        "a deadline for each byte, none for the call",
        "I11: a provider that drips a byte a second holds an attempt, its seat and its money for hours",
        (
            Change(
                "providers/http.py",
                "            async with asyncio.timeout(deadline_s):\n",
                "            async with asyncio.timeout(20 * deadline_s):\n",
            ),
        ),
        ("tests/unit/test_guarded_client.py::test_a_slow_drip_ends_at_the_deadline_of_the_whole_call",),
    ),
    Bug(
        "the row before the bytes",
        "I13: an image is written down whose bytes never reached the store",
        (
            Change(
                "flows/run.py",
                "                blob = await around.shelf.put(image.content)\n",
                '                blob = __import__("hashlib").sha256(image.content).hexdigest()\n'
                "                _later = asyncio.ensure_future(around.shelf.put(image.content))\n",
            ),
        ),
        ("tests/chaos/test_trouble.py", "-k", "object_store"),
    ),
    Bug(
        "settled twice",
        "I4: an end that is written again after a lost COMMIT is booked again",
        (
            Change(
                "flows/close.py",
                "        if at.state in generations.CLOSED:\n            self._judge_late(completion, at)\n            return\n",
                "",
            ),
            Change(
                "ledger/balances.py",
                "        WHERE attempt_id = ANY(%s) AND closed_at IS NULL\n        RETURNING",
                "        WHERE attempt_id = ANY(%s)\n        RETURNING",
            ),
            Change(
                "sql/guards.v1.sql",
                "    IF old.closed_at IS NOT NULL OR (old.attempt_id",
                "    IF (old.attempt_id",
            ),
        ),
        ("tests/integration/test_close.py::test_writing_the_same_end_twice_changes_nothing",),
    ),
    Bug(
        "a heartbeat from a thread of its own",
        "I18: a worker whose loop is stuck for ever looks alive, and what it has in hand waits for ever",
        (
            Change(
                "worker/watchdog.py",
                '        self._beating = asyncio.get_running_loop().create_task(self._beat(), name="watchdog\'s beat")\n',
                "        self._beating = asyncio.get_running_loop().create_task(asyncio.sleep(0))\n"
                "        threading.Thread(target=lambda: asyncio.run(self._beat()), daemon=True).start()\n",
            ),
        ),
        ("tests/chaos/test_poison.py", "-k", "never_made_again and spin"),
    ),
)


def main(words: Sequence[str]) -> int:
    """0 when each bug was caught."""
    chosen = [bug for bug in BUGS if not words or any(word in bug.name for word in words)]
    missed = []
    with copy() as tree:
        for bug in chosen:
            began = time.monotonic()
            verdict = try_one(bug, tree)
            print(f"{verdict:9} {bug.name} ({time.monotonic() - began:.0f} s): {bug.breaks}", flush=True)
            if verdict != "caught":
                missed.append(bug.name)
    print(f"{len(chosen) - len(missed)} of {len(chosen)} seeded bugs were caught")
    return 1 if missed else 0


def try_one(bug: Bug, tree: Path) -> str:
    """caught, missed, or red without it (and so nothing is proved)."""
    if run(bug.tests, tree) != 0:
        return "red before"
    before = {change.file: (tree / change.file).read_text() for change in bug.changes}
    try:
        for change in bug.changes:
            file = tree / change.file
            file.write_text(change.planted(file.read_text()))
        # 1: tests failed. Anything else is a broken tree, which any test would notice.
        return "caught" if run(bug.tests, tree) == 1 else "missed"
    finally:
        for path, text in before.items():
            (tree / path).write_text(text)


@contextmanager
def copy() -> Iterator[Path]:
    """A copy of the tree, in the place where tests find ../shared as here."""
    with tempfile.TemporaryDirectory(prefix="packshot-seeded-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(
            ROOT,
            tree,
            ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", ".mypy_cache", ".*_cache", "art"),
        )
        if (ROOT.parent / "shared").is_dir():
            (Path(folder) / "shared").symlink_to(ROOT.parent / "shared")
        yield tree


def run(tests: Sequence[str], tree: Path) -> int:
    """pytest's exit code: 0 green, 1 red, else it could not run."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(tree / "src"), str(tree)]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=RUN_S)
    if done.returncode not in (0, 1):
        print(done.stdout[-2000:], done.stderr[-2000:], file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
