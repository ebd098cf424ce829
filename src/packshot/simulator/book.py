"""The bill book: what was asked, charged and answered, on disk before anybody hears of it.

SQLite with a write-ahead log and a sync at each commit, so that it survives `kill -9` and can be read
while the simulator runs. Rows are only ever added. One thread writes; all rows that arrive while one
commit is on its way to the disk share the next, so that durability costs one sync per batch, not per row.
"""

import asyncio
import json
import queue
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

FILE_NAME = "bill.sqlite3"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS request (
    id TEXT PRIMARY KEY, dialect TEXT NOT NULL, path TEXT NOT NULL, model TEXT, prompt_sha256 TEXT,
    headers TEXT NOT NULL, received_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS charge (
    id INTEGER PRIMARY KEY, request_id TEXT NOT NULL REFERENCES request (id), dialect TEXT NOT NULL,
    dollars TEXT NOT NULL, reason TEXT NOT NULL, charged_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS charge_request ON charge (request_id);
CREATE TABLE IF NOT EXISTS answer (
    request_id TEXT PRIMARY KEY REFERENCES request (id), status INTEGER, outcome TEXT NOT NULL,
    image_sha256 TEXT NOT NULL, answered_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS task (
    id TEXT PRIMARY KEY, request_id TEXT NOT NULL REFERENCES request (id), model TEXT NOT NULL,
    picture TEXT NOT NULL, fate TEXT, created_at REAL NOT NULL, ready_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS task_created ON task (created_at);
CREATE INDEX IF NOT EXISTS task_request ON task (request_id);
CREATE TABLE IF NOT EXISTS result (
    task_id TEXT PRIMARY KEY REFERENCES task (id), image_sha256 TEXT NOT NULL, made_at REAL NOT NULL);
"""
_TABLES = ("request", "charge", "answer", "task", "result")


@dataclass(frozen=True, slots=True)
class Received:
    """A request to a paid path, as it came in. Its key is not kept."""

    request_id: str
    dialect: str
    path: str
    model: str | None
    prompt_sha256: str | None
    headers: Mapping[str, str]
    received_at: float  # Unix seconds, like every time here

    def insert(self) -> tuple[str, Sequence[Any]]:
        return "INSERT INTO request VALUES (?, ?, ?, ?, ?, ?, ?)", (
            self.request_id,
            self.dialect,
            self.path,
            self.model,
            self.prompt_sha256,
            json.dumps(dict(self.headers)),
            self.received_at,
        )


@dataclass(frozen=True, slots=True)
class Charged:
    """Money taken for a request, exactly: tokens and megapixels rarely make whole micro-dollars."""

    request_id: str
    dialect: str
    dollars: Fraction
    reason: str
    charged_at: float

    def insert(self) -> tuple[str, Sequence[Any]]:
        exact = f"{self.dollars.numerator}/{self.dollars.denominator}"
        return (
            "INSERT INTO charge (request_id, dialect, dollars, reason, charged_at) VALUES (?, ?, ?, ?, ?)",
            (self.request_id, self.dialect, exact, self.reason, self.charged_at),
        )


@dataclass(frozen=True, slots=True)
class Answered:
    """What is about to be sent back; `status` None when the connection is cut or left hanging instead."""

    request_id: str
    status: int | None
    outcome: str
    image_sha256: Sequence[str]
    answered_at: float

    def insert(self) -> tuple[str, Sequence[Any]]:
        return "INSERT INTO answer VALUES (?, ?, ?, ?, ?)", (
            self.request_id,
            self.status,
            self.outcome,
            json.dumps(list(self.image_sha256)),
            self.answered_at,
        )


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task as accepted: all that is needed to go on with it after a restart."""

    task_id: str
    request_id: str
    model: str
    picture: str  # JSON of a painter's Picture
    fate: str | None  # JSON of the fault rule that decides its end; None: it ends well
    created_at: float
    ready_at: float

    def insert(self) -> tuple[str, Sequence[Any]]:
        return "INSERT INTO task VALUES (?, ?, ?, ?, ?, ?, ?)", (
            self.task_id,
            self.request_id,
            self.model,
            self.picture,
            self.fate,
            self.created_at,
            self.ready_at,
        )


@dataclass(frozen=True, slots=True)
class ResultRow:
    """The image of a task, by the hash of its bytes, before its link is given out."""

    task_id: str
    image_sha256: str
    made_at: float

    def insert(self) -> tuple[str, Sequence[Any]]:
        return "INSERT INTO result VALUES (?, ?, ?)", (self.task_id, self.image_sha256, self.made_at)


Row = Received | Charged | Answered | TaskRow | ResultRow


class BillBook:
    """The writing side, owned by one running simulator."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.executescript(_SCHEMA)
        for table in _TABLES:
            for verb in ("UPDATE", "DELETE"):
                self._connection.execute(
                    f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb} BEFORE {verb} ON {table} "
                    "BEGIN SELECT raise(ABORT, 'the bill book is only added to'); END"
                )
        self._writer = threading.Thread(target=self._write_batches, name="bill-book", daemon=True)
        self._writer.start()

    def note(self, *rows: Row) -> None:
        """Add rows without waiting; they are on disk before any row that is added later."""
        self._orders.put(_Order(rows, None, None))

    async def write(self, *rows: Row) -> None:
        """Add rows; returns once they, and all before them, are on disk."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        self._orders.put(_Order(rows, loop, done))
        await done

    def close(self) -> None:
        """Write what is still waiting, and let go of the file."""
        self._orders.put(None)
        self._writer.join()
        self._connection.close()

    def _write_batches(self) -> None:
        going_on = True
        while going_on:
            batch = [self._orders.get()]
            while not self._orders.empty():
                batch.append(self._orders.get())
            going_on = None not in batch
            orders = [order for order in batch if order is not None]
            error = self._commit(orders)
            _tell(orders, error)

    def _commit(self, orders: Iterable["_Order"]) -> Exception | None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for order in orders:
                for row in order.rows:
                    self._connection.execute(*row.insert())
            self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 # whoever waits for these rows is told; others must go on
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            return error
        return None


@dataclass(frozen=True, slots=True)
class _Order:
    rows: Sequence[Row]
    loop: asyncio.AbstractEventLoop | None
    done: asyncio.Future[None] | None


def _tell(orders: Sequence[_Order], error: Exception | None) -> None:
    waiting = [(order.loop, order.done) for order in orders if order.loop and order.done]
    for loop in {loop for loop, _ in waiting}:
        futures = [done for owner, done in waiting if owner is loop]
        # A closed loop has nobody left to tell; the rows are on disk all the same.
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, futures, error)


def _resolve(futures: Iterable[asyncio.Future[None]], error: Exception | None) -> None:
    for done in futures:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)


# -- reading: from any process, while the simulator runs or after it died -------------------------


@dataclass(frozen=True, slots=True)
class RequestLine:
    """One request to a paid path with all that came of it; `outcome` None while it is being worked on."""

    request_id: str
    dialect: str
    path: str
    model: str | None
    prompt_sha256: str | None
    headers: Mapping[str, str]
    received_at: float
    status: int | None
    outcome: str | None
    image_sha256: tuple[str, ...]
    task_id: str | None
    charges: tuple[Fraction, ...]  # dollars


@dataclass(frozen=True, slots=True)
class BillLine:
    """One charge, with what is needed to find the attempt it belongs to."""

    request_id: str
    task_id: str | None
    dialect: str
    model: str | None
    dollars: Fraction
    reason: str
    charged_at: float
    prompt_sha256: str | None
    image_sha256: tuple[str, ...]
    outcome: str | None

    @property
    def reference(self) -> str:
        """What the client was told to know it by: BFL's task id, OpenAI's x-request-id."""
        return self.task_id or self.request_id


def read_requests(state_dir: Path) -> list[RequestLine]:
    """Every request to a paid path, oldest first."""
    with closing(_reader(state_dir)) as connection:
        charges: dict[str, list[Fraction]] = {}
        for request_id, dollars in connection.execute("SELECT request_id, dollars FROM charge ORDER BY id"):
            charges.setdefault(request_id, []).append(Fraction(dollars))
        return [
            RequestLine(
                request_id=row["id"],
                dialect=row["dialect"],
                path=row["path"],
                model=row["model"],
                prompt_sha256=row["prompt_sha256"],
                headers=json.loads(row["headers"]),
                received_at=row["received_at"],
                status=row["status"],
                outcome=row["outcome"],
                image_sha256=_hashes(row),
                task_id=row["task_id"],
                charges=tuple(charges.get(row["id"], ())),
            )
            for row in connection.execute(
                """
                SELECT request.*, answer.status, answer.outcome, answer.image_sha256 AS sent,
                    task.id AS task_id, result.image_sha256 AS made
                FROM request
                LEFT JOIN answer ON answer.request_id = request.id
                LEFT JOIN task ON task.request_id = request.id
                LEFT JOIN result ON result.task_id = task.id
                ORDER BY request.rowid
                """
            )
        ]


def read_bill(state_dir: Path) -> list[BillLine]:
    """Every charge, oldest first."""
    with closing(_reader(state_dir)) as connection:
        return [
            BillLine(
                request_id=row["request_id"],
                task_id=row["task_id"],
                dialect=row["dialect"],
                model=row["model"],
                dollars=Fraction(row["dollars"]),
                reason=row["reason"],
                charged_at=row["charged_at"],
                prompt_sha256=row["prompt_sha256"],
                image_sha256=_hashes(row),
                outcome=row["outcome"],
            )
            for row in connection.execute(
                """
                SELECT charge.*, request.model, request.prompt_sha256, answer.outcome,
                    answer.image_sha256 AS sent, task.id AS task_id, result.image_sha256 AS made
                FROM charge
                JOIN request ON request.id = charge.request_id
                LEFT JOIN answer ON answer.request_id = charge.request_id
                LEFT JOIN task ON task.request_id = charge.request_id
                LEFT JOIN result ON result.task_id = task.id
                ORDER BY charge.id
                """
            )
        ]


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge as a provider's bill has it: by whom, what the client was told to know it by, how much."""

    dialect: str
    reference: str
    dollars: Fraction


def read_charges(state_dir: Path) -> list[Charge]:
    """Every charge, oldest first, without the requests behind them: seven times as quick as `read_bill`."""
    exact = cache(Fraction)  # few distinct prices
    with closing(_reader(state_dir)) as connection:
        return [
            Charge(dialect, reference, exact(written))
            for dialect, reference, written in connection.execute(
                """
                SELECT charge.dialect, coalesce(task.id, charge.request_id), charge.dollars
                FROM charge LEFT JOIN task ON task.request_id = charge.request_id
                ORDER BY charge.id
                """
            )
        ]


def count_charges(state_dir: Path) -> int:
    """How many lines the bill has; 0 where there is no bill."""
    if not (state_dir / FILE_NAME).is_file():
        return 0
    with closing(_reader(state_dir)) as connection:
        return int(connection.execute("SELECT count(*) FROM charge").fetchone()[0])


def read_charged(state_dir: Path, dialect: str) -> Fraction:
    """All the dollars charged by one dialect so far."""
    with closing(_reader(state_dir)) as connection:
        # Few distinct prices: adding them up this way stays quick when the book is long.
        priced = connection.execute(
            "SELECT dollars, count(*) FROM charge WHERE dialect = ? GROUP BY dollars", (dialect,)
        )
        return sum((Fraction(dollars) * count for dollars, count in priced), Fraction(0))


def read_tasks(state_dir: Path, dialect: str, *, created_after: float) -> list[tuple[TaskRow, str | None]]:
    """One dialect's tasks accepted since a moment, each with the hash of its image when that was made."""
    with closing(_reader(state_dir)) as connection:
        return [
            (
                TaskRow(
                    task_id=row["id"],
                    request_id=row["request_id"],
                    model=row["model"],
                    picture=row["picture"],
                    fate=row["fate"],
                    created_at=row["created_at"],
                    ready_at=row["ready_at"],
                ),
                row["image_sha256"],
            )
            for row in connection.execute(
                "SELECT task.*, result.image_sha256 FROM task "
                "JOIN request ON request.id = task.request_id "
                "LEFT JOIN result ON result.task_id = task.id "
                "WHERE task.created_at > ? AND request.dialect = ?",
                (created_after, dialect),
            )
        ]


def _reader(state_dir: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{state_dir / FILE_NAME}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    return connection


def _hashes(row: sqlite3.Row) -> tuple[str, ...]:
    if row["made"] is not None:
        return (row["made"],)
    return tuple(json.loads(row["sent"])) if row["sent"] is not None else ()
