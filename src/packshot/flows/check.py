"""Proves on a live site what can be proved there: rows, sums, guards and bytes tell one story.

Each check is one statement, so it sees the tables as they were at one COMMIT, and each COMMIT leaves them
right; nobody has to stop working. What only the provider knows is laid beside the ledger by `reconcile`.
"""

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import connection, transaction

from packshot import blobs, catalogue, events, reports
from packshot.events import Happening
from packshot.flows import look
from packshot.sql import text

log = logging.getLogger(__name__)

# Without `strict`: how much is looked at of what would take hours to read whole.
NEWEST_BLOBS = 100
RANDOM_BLOBS = 100
NEWEST_ROLLUPS = timedelta(days=2)
# Words in a log and in an event; the command line shows all.
TOLD = 20


@dataclass(frozen=True, slots=True)
class Check:
    """One file of SQL, the invariants it proves (see reference in docs/operate.md), and what to do."""

    name: str
    invariants: str
    remedy: str


_REPORT = "Report it with this line; until then press “Stop spending” if money is concerned."
CHECKS = (
    Check(
        "guards",
        "I4 I5 I7 I8 I17",
        "Somebody changed the database's own rules: restore them from a backup's schema, or with "
        "`packshot db migrate` into a new database.",
    ),
    Check("attempts", "I4 I17", _REPORT),
    Check("holds", "I5 I7", _REPORT),
    Check("entries", "I3 I8", _REPORT),
    Check("costs", "I3", _REPORT),
    Check("periods", "I9", _REPORT),
    Check(
        "balances",
        "I1 I7",
        "Press “Stop spending”, and report it with this line: the budget allows more or less than it says.",
    ),
    Check(
        "stuck",
        "I11",
        "Restart the workers: `packshot work`, or the whole site. If the line stays, report it.",
    ),
    Check("images", "I12", _REPORT),
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and what to do about it."""

    invariants: str
    subject: str
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.subject} {self.found}. {self.remedy}"


@dataclass(frozen=True, slots=True)
class Proof:
    """What was looked at, and what was found wrong."""

    problems: tuple[Problem, ...]
    attempts: int
    entries: int
    blobs: int  # read and hashed
    of_blobs: int
    took_s: float


def check(*, strict: bool = False) -> Proof:
    """Look at everything; with `strict` read every image and count every quarter-hour anew.

    Changes nothing.
    """
    began = time.monotonic()
    problems = [problem for each in CHECKS for problem in _run(each)]
    problems += _rollups(strict)
    blobs_read, of_blobs, damaged = _blobs(strict)
    attempts, entries = _counts()
    return Proof(tuple(problems + damaged), attempts, entries, blobs_read, of_blobs, time.monotonic() - began)


def watch() -> Proof:
    """The hourly look: what is found is logged, and told to whoever follows the site."""
    proof = check()
    for problem in proof.problems[:TOLD]:
        log.error("the ledger is not right (%s): %s", problem.invariants, problem)
    if proof.problems:
        with transaction.atomic():
            events.tell(
                [
                    Happening(
                        "ledger",
                        "broken",
                        "site",
                        {"problems": len(proof.problems), "first": str(proof.problems[0])},
                    )
                ]
            )
    else:
        log.info("the ledger is right: %s attempts, %s entries", proof.attempts, proof.entries)
    return proof


def _run(each: Check) -> list[Problem]:
    with connection.cursor() as cursor:
        # Without parameters: a `%` in the text is its own.
        cursor.execute(text(f"check_{each.name}", 1))
        return [Problem(each.invariants, subject, found, each.remedy) for subject, found in cursor.fetchall()]


def _rollups(strict: bool) -> list[Problem]:
    """What counting anew would mend. Writers wait meanwhile, so a day at a time; nothing is mended."""
    now = datetime.now(UTC)
    first = _oldest() if strict else None
    start = now - NEWEST_ROLLUPS if first is None else first
    problems: dict[tuple[object, ...], Problem] = {}
    while start < now:
        end = start + timedelta(days=1)
        with transaction.atomic():
            wrong = reports.rebuild_rollups(start, end)
            transaction.set_rollback(True)
        for each in wrong:
            key = (each.bucket, each.provider, each.model, each.simulated, each.figure)
            when = "all time" if each.bucket == reports.ALL_TIME else f"{each.bucket:%Y-%m-%d %H:%M} UTC"
            problems.setdefault(
                key,
                Problem(
                    "I3",
                    f"the figure “{each.figure}” of {each.provider} {each.model}, {when},",
                    f"is {each.stored} and should be {each.exact}",
                    "Put it right with `packshot rollups rebuild`.",
                ),
            )
        start = end
    return list(problems.values())


def _oldest() -> datetime | None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT least(
                (SELECT min(completed_at) FROM packshot_generation),
                (SELECT min(created_at) FROM packshot_image),
                (SELECT min(charged_at) FROM packshot_entry),
                (SELECT min(bucket) FROM packshot_rollup WHERE bucket > packshot_all_time()))
            """
        )
        found: datetime | None = cursor.fetchone()[0]
    return found


def _blobs(strict: bool) -> tuple[int, int, list[Problem]]:
    """How many blobs were read, of how many, and those of which the bytes are gone or others."""
    total, kept = catalogue.kept_blobs(newest=None if strict else NEWEST_BLOBS, at_random=RANDOM_BLOBS)
    store = look.store()
    problems = []
    read = 0
    for image_id, blob in kept:
        try:
            whole = store.verify(blob)
        except blobs.MissingBlob:
            problems.append(_missing(image_id, blob, "is not in the store"))
        except blobs.StoreDown as trouble:
            problems.append(
                Problem(
                    "I13",
                    "the image store",
                    f"cannot be read: {trouble}",
                    "Mend it, then check again.",
                )
            )
            break
        else:
            if not whole:
                problems.append(_missing(image_id, blob, "holds other bytes than were paid for"))
        read += 1
    return read, total, problems


def _missing(image_id: UUID, blob: str, found: str) -> Problem:
    return Problem(
        "I13",
        f"image {image_id}, blob {blob},",
        found,
        "Put the file back from a backup of the image store.",
    )


def _counts() -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM packshot_attempt), (SELECT count(*) FROM packshot_entry)"
        )
        row: tuple[int, int] = cursor.fetchone()
        return row
