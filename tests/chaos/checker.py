"""Proves a site at rest from outside: its tables, its blobs and the simulator's bill tell one story.

Reads with plain SQL and recomputes with own arithmetic, so that a mistake of the product is not made twice.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from packshot.blobs import MissingBlob, open_store
from packshot.simulator import RequestLine, read_bill, read_requests

CLOSED = ("released", "succeeded", "failed_free", "failed_charged", "charged_no_image")
OPEN = ("intent", "sending", "accepted", "uncertain")
FINAL = ("completed", "failed", "cancelled")

# How an attempt must end by what the simulator did to its one request (DESIGN.md section 5): the outcome as
# its book has it, the attempt's state, and whether its charge stays open until somebody says what it was.
_ENDS: Mapping[tuple[str, str], tuple[str, bool]] = {
    ("openai", "delivered"): ("succeeded", False),
    ("openai", "slow"): ("succeeded", False),
    ("openai", "moderation_input"): ("failed_free", False),
    ("openai", "moderation_output"): ("failed_charged", True),
    ("flux", "accepted"): ("succeeded", False),
    ("flux", "slow"): ("succeeded", False),
    # A task that ends moderated was taken, at a price; nobody says whether that price stays.
    ("flux", "moderation_input"): ("failed_charged", True),
    ("flux", "moderation_output"): ("failed_charged", True),
} | {
    (dialect, outcome): end
    for dialect in ("openai", "flux")
    for outcome, end in {
        "server_error": ("failed_free", False),
        "rate_limited": ("failed_free", False),
        "cut_before_answer": ("uncertain", True),
        "cut_half_body": ("uncertain", True),
    }.items()
}


@dataclass(slots=True)
class Attempt:
    """One attempt with what both sides know of it. Amounts in micro-dollars."""

    id: UUID
    generation_id: UUID
    number: int
    state: str
    provider: str
    prompt_sha256: str
    error_kind: str
    request_id: str
    cost: int | None
    reserved: int
    created_at: float
    sending_at: float | None
    accepted_at: float | None
    closed_at: float | None
    held: int | None  # None: its hold has ended
    entries: tuple[int, ...]
    images: tuple[str, ...]
    evidence: tuple[str, ...]
    requests: list[RequestLine] = field(default_factory=list)

    @property
    def billed(self) -> int:
        """What the simulator charged for it, rounded up once."""
        return ceil(
            sum((charge for line in self.requests for charge in line.charges), Fraction(0)) * 1_000_000
        )

    @property
    def kept_late(self) -> bool:
        """Three workers died with its ticket in hand; its image was collected afterwards, and is told so."""
        return (
            self.error_kind == "worker_lost"
            and self.state == "charged_no_image"
            and "late_answer" in self.evidence
            and bool(self.images)
        )

    @property
    def named(self) -> str:
        return f"{self.provider} attempt {self.id} (no. {self.number}, {self.state} {self.error_kind})"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found wrong, in words, and the sums. Amounts in micro-dollars."""

    problems: tuple[str, ...]
    statuses: Mapping[str, int]
    attempts: int
    requests: int
    images: int
    entries: int
    held: int
    billed: int
    held_not_billed: int

    def __str__(self) -> str:
        statuses = ", ".join(f"{count} {status}" for status, count in sorted(self.statuses.items()))
        sums = (
            f"entries {self.entries} + held {self.held} = bill {self.billed} "
            f"+ held-not-billed {self.held_not_billed}"
        )
        counts = f"{self.attempts} attempts, {self.requests} requests, {self.images} images"
        found = "".join(f"\n- {problem}" for problem in self.problems)
        return f"{statuses}; {counts}; {sums} micro-dollars{found}"


def check(
    database: "psycopg.Connection[Any]",
    simulator: Path,
    blob_url: str,
    *,
    lost: AbstractSet[UUID] = frozenset(),
    perhaps: AbstractSet[UUID] = frozenset(),
) -> Verdict:
    """Everything that must hold once nothing waits and nothing is on its way.

    `lost`: the attempts that were seen in `sending` when their process fell. `perhaps`: those whose process
    stood still and was taken for dead. Only these may be uncertain without a fault of the simulator's; of
    the lost, each must be, or have left by evidence.
    """
    table = _Tables(database)
    attempts = table.attempts()
    requests = read_requests(simulator)
    problems = [
        *_match(attempts, requests),
        *_ends(attempts, lost, perhaps),
        *_money(attempts),
        *_bill(attempts, simulator),
        *_generations(table, attempts),
        *_images(table, attempts, blob_url, lost | perhaps),
        *_balances(table),
        *_reports(table),
        *_news(table),
    ]
    held = sum(each.held or 0 for each in attempts)
    entries = sum(sum(each.entries) for each in attempts)
    held_not_billed = sum(each.held - each.billed for each in attempts if each.held is not None)
    billed = sum(each.billed for each in attempts)
    if entries + held != billed + held_not_billed:
        problems.append(
            f"entries {entries} + held {held} is not bill {billed} + held-not-billed {held_not_billed}"
        )
    return Verdict(
        tuple(problems),
        table.statuses(),
        len(attempts),
        len(requests),
        int(table.one("SELECT count(*) AS n FROM packshot_image")["n"]),
        entries,
        held,
        billed,
        held_not_billed,
    )


# -- both sides, joined --------------------------------------------------------------------------


def _match(attempts: Sequence[Attempt], requests: Sequence[RequestLine]) -> Iterator[str]:
    """Give each request to the attempt that sent it: by product and time, confirmed by its reference.

    The attempts of a generation never overlap, and each prompt belongs to one generation of its provider. So
    a request came from the attempt that was open when it arrived, also when its answer never did.
    """
    by_prompt: dict[tuple[str, str], list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        by_prompt[attempt.provider, attempt.prompt_sha256].append(attempt)
    for line in requests:
        senders = [
            each
            for each in by_prompt[line.dialect, line.prompt_sha256 or ""]
            if each.sending_at is not None
            and each.sending_at <= line.received_at
            and (each.closed_at is None or line.received_at <= each.closed_at)
        ]
        if len(senders) != 1:
            yield f"request {line.request_id} ({line.outcome}) belongs to {len(senders)} attempts"
            continue
        senders[0].requests.append(line)
    for attempt in attempts:
        if len(attempt.requests) > 1:
            yield f"{attempt.named} was sent {len(attempt.requests)} times"
        if attempt.sending_at is None and attempt.state != "released":
            yield f"{attempt.named} ended without being sent"
        known = {name for line in attempt.requests for name in (line.request_id, line.task_id) if name}
        if attempt.request_id and attempt.request_id not in known:
            yield f"{attempt.named} says it is {attempt.request_id}, its request says {sorted(known)}"


def _ends(attempts: Sequence[Attempt], lost: AbstractSet[UUID], perhaps: AbstractSet[UUID]) -> Iterator[str]:
    """Each attempt ended as what happened to its request demands, and `uncertain` only where it must."""
    for each in attempts:
        if each.state in ("intent", "sending", "accepted"):
            yield f"{each.named} is not at rest"
        elif each.state == "released":
            if each.requests:
                yield f"{each.named} was given back, and sent"
        elif each.state == "uncertain" and each.error_kind == "worker_lost":
            if each.id not in lost | perhaps:
                yield f"{each.named}: no process fell while it was on its way"
            if each.accepted_at is not None:
                yield f"{each.named} had its ticket, and need not be uncertain"
        elif not each.requests:
            yield f"{each.named}: the simulator never saw it"
        else:
            line = each.requests[0]
            must, cost_open = _ENDS.get((line.dialect, line.outcome or ""), ("?", False))
            if each.state != must and not (each.kept_late and must == "succeeded"):
                yield f"{each.named} met {line.outcome}, so it must be {must}"
            elif must == "uncertain" and each.error_kind != "cut_off":
                yield f"{each.named} met {line.outcome}"
            # A callback brings the image of a call whose answer got lost, and not the price that it named.
            elif (
                must != "uncertain"
                and (each.cost is None) != cost_open
                and not (each.cost is None and "callback" in each.evidence)
            ):
                yield f"{each.named} met {line.outcome}, and its cost is {each.cost}"
        if each.id in lost and each.state != "uncertain" and not each.evidence:
            yield f"{each.named} was on its way when its process fell, and left without evidence"


def _money(attempts: Sequence[Attempt]) -> Iterator[str]:
    """Per attempt: what was charged is booked, what is not known is held, nothing else is either."""
    for each in attempts:
        held = each.held is not None
        if each.state in CLOSED and each.cost is not None:
            expected = () if each.state in ("released", "failed_free") else (each.cost,)
            if each.entries != expected:
                yield f"{each.named} cost {each.cost}, its entries are {each.entries}"
            if each.cost != each.billed:
                yield f"{each.named} cost {each.cost}, the bill says {each.billed}"
            if held:
                yield f"{each.named} is settled, and {each.held} is still held"
        else:
            if each.entries:
                yield f"{each.named}: nobody knows its cost, and {each.entries} is booked"
            if not held:
                yield f"{each.named}: nobody knows its cost, and nothing is held"
            elif each.billed > (each.held or 0):
                yield f"{each.named} holds {each.held}, the bill says {each.billed}"
        if held and each.held != each.reserved:
            yield f"{each.named} holds {each.held} of {each.reserved}"


def _bill(attempts: Sequence[Attempt], simulator: Path) -> Iterator[str]:
    """Every line of the bill belongs to an attempt."""
    known = {line.request_id for each in attempts for line in each.requests}
    for charge in read_bill(simulator):
        if charge.request_id not in known:
            yield f"charge {charge.reference} of ${float(charge.dollars):.6f} belongs to no attempt"


# -- our own tables --------------------------------------------------------------------------------


def _generations(table: "_Tables", attempts: Sequence[Attempt]) -> Iterator[str]:
    of: dict[UUID, list[Attempt]] = defaultdict(list)
    for each in attempts:
        of[each.generation_id].append(each)
    for row in table.all(
        "SELECT id, status, attempts, coalesce(actual_micros, 0) AS actual, cost_unknown"
        " FROM packshot_generation"
    ):
        mine, name = of[row["id"]], f"generation {row['id']} ({row['status']})"
        if [each.number for each in mine] != list(range(1, row["attempts"] + 1)):
            yield f"{name} counts {row['attempts']} attempts and has {[each.number for each in mine]}"
        if sum(each.state in OPEN for each in mine) > 1:
            yield f"{name} has several open attempts"
        # A further attempt is explained by what the one before it came to: nothing sent, or nothing charged.
        for each in mine[:-1]:
            if each.state not in ("released", "failed_free"):
                yield f"{name} went on after {each.named}"
        last = mine[-1].state if mine else "none"
        ends = {
            "completed": ("succeeded",),
            "failed": ("failed_free", "failed_charged", "charged_no_image"),
            "uncertain": ("uncertain",),
            "cancelled": ("none", "released", "failed_free"),
        }
        if last not in ends.get(row["status"], ()):
            yield f"{name} ended with an attempt that is {last}"
        if row["actual"] != sum(sum(each.entries) for each in mine):
            yield f"{name} says it cost {row['actual']}"
        if row["cost_unknown"] != any(each.state in CLOSED and each.cost is None for each in mine):
            yield f"{name} says that its cost is {'un' if row['cost_unknown'] else ''}known"


def _images(
    table: "_Tables", attempts: Sequence[Attempt], blob_url: str, lost: AbstractSet[UUID]
) -> Iterator[str]:
    """What was delivered is kept, byte for byte, and nothing else; what is not looked at yet will be."""
    store = open_store(blob_url)
    for each in attempts:
        sent = [sha for line in each.requests for sha in line.image_sha256]
        kept = each.state == "succeeded" or each.kept_late
        if kept and sorted(sent) != sorted(each.images):
            yield f"{each.named} was sent {sent}, and keeps {each.images}"
        if not kept and each.images:
            yield f"{each.named} keeps {each.images}"
        delivered = any((line.dialect, line.outcome or "") in _DELIVERED for line in each.requests)
        if delivered and not kept and each.id not in lost:
            yield f"{each.named} was delivered, and its image is missing"
        for blob in each.images:
            try:
                if not store.verify(blob):
                    yield f"{each.named}: blob {blob} is damaged"
            except MissingBlob:
                yield f"{each.named}: blob {blob} is not in the store"
    for row in table.all(
        """
        SELECT image.id, image.state FROM packshot_image AS image
        WHERE image.state <> 'ready' AND NOT (image.state = 'stored' AND EXISTS (
            SELECT 1 FROM procrastinate_jobs AS job
            WHERE job.task_name = 'look' AND job.status IN ('todo', 'doing')
                AND job.args -> 'image_ids' ? image.id::text))
        """
    ):
        yield f"image {row['id']} is {row['state']}, and no work on it is planned"


_DELIVERED = frozenset(key for key, (state, _) in _ENDS.items() if state == "succeeded")


def _balances(table: "_Tables") -> Iterator[str]:
    """Windows hold what their reservations and entries add up to; every hold has ended once, or stands."""
    for row in table.all(
        """
        SELECT balance.id, budget.name, budget.limit_micros, balance.reserved_micros, balance.spent_micros,
            coalesce(sum(hold.amount_micros) FILTER (WHERE hold.closed_at IS NULL), 0)::bigint AS held,
            coalesce(sum(charged.amount), 0)::bigint AS charged
        FROM packshot_budgetwindow AS balance
        JOIN packshot_budget AS budget ON budget.id = balance.budget_id
        LEFT JOIN packshot_reservation AS hold ON balance.id = ANY(hold.window_ids)
        LEFT JOIN LATERAL (
            SELECT sum(entry.amount_micros) AS amount FROM packshot_entry AS entry
            WHERE entry.attempt_id = hold.attempt_id
        ) AS charged ON true
        GROUP BY balance.id, budget.id
        """
    ):
        if (row["reserved_micros"], row["spent_micros"]) != (row["held"], row["charged"]):
            yield (
                f"budget {row['name']} says {row['reserved_micros']} held, {row['spent_micros']} spent; "
                f"its rows say {row['held']}, {row['charged']}"
            )
        if row["reserved_micros"] + row["spent_micros"] > row["limit_micros"]:
            yield f"budget {row['name']} is overspent"
    odd = table.one(
        """
        SELECT
            (SELECT count(*) FROM packshot_reservation WHERE cardinality(window_ids) <> 1) AS uncounted,
            (SELECT count(*) FROM packshot_attempt AS attempt WHERE NOT EXISTS (
                SELECT 1 FROM packshot_reservation AS hold WHERE hold.attempt_id = attempt.id)) AS unheld,
            (SELECT count(*) FROM packshot_entry WHERE NOT simulated)
                + (SELECT count(*) FROM packshot_image WHERE NOT simulated) AS taken_for_real
        """
    )
    for what, count in odd.items():
        if count:
            yield f"{count} rows are {what}"


def _reports(table: "_Tables") -> Iterator[str]:
    """Rollups and views say what the rows say."""
    for row in table.rebuilt_rollups():
        yield f"rollup {row['bucket']} {row['provider']} {row['figure']}: {row['stored']} is {row['exact']}"
    counted = table.one(
        """
        SELECT count(*) FILTER (WHERE status IN ('pending', 'processing')) AS total_in_queue,
            count(*) FILTER (WHERE status = 'completed') AS completed_count,
            count(*) FILTER (WHERE status = 'failed') AS failed_count,
            count(*) FILTER (WHERE status = 'uncertain') AS uncertain_count,
            count(*) FILTER (WHERE cost_unknown) AS simulated_unknown_cost_count,
            (SELECT coalesce(sum(amount_micros), 0) FROM packshot_entry) / 1e6 AS simulated_cost,
            (SELECT coalesce(sum(amount_micros), 0) FROM packshot_reservation WHERE closed_at IS NULL) / 1e6
                AS simulated_held_cost,
            0 AS total_cost, 0 AS held_cost
        FROM packshot_generation
        """
    )
    shown = table.one("SELECT * FROM image_generation_dashboard")
    yield from _differing("the dashboard", counted, shown)
    monitored = table.one(
        "SELECT count(*) AS n, coalesce(sum(actual_cost), 0) AS cost FROM image_generation_monitor"
    )
    exact = table.one(
        """
        SELECT count(*) AS n, coalesce(sum(actual_micros) FILTER (WHERE NOT cost_unknown), 0) / 1e6 AS cost
        FROM packshot_generation
        """
    )
    yield from _differing("the monitor", exact, monitored)
    for row in table.all(
        """
        SELECT provider.name, count(*) FILTER (WHERE generation.status = 'completed') AS success_count,
            count(*) FILTER (WHERE generation.status = 'failed') AS failed_count,
            (SELECT coalesce(sum(amount_micros), 0) FROM packshot_entry WHERE provider = provider.name) / 1e6
                AS total_cost,
            (SELECT count(*) FROM packshot_image WHERE provider = provider.name) AS image_count
        FROM packshot_provider AS provider
        LEFT JOIN packshot_generation AS generation ON generation.provider_id = provider.name
        GROUP BY provider.name
        """
    ):
        name = row.pop("name")
        stats = table.one("SELECT * FROM provider_performance_stats WHERE provider = %s", name)
        yield from _differing(f"the statistics of {name}", row, stats)


def _differing(where: str, exact: Mapping[str, Any], shown: Mapping[str, Any]) -> Iterator[str]:
    for name, value in exact.items():
        if shown[name] != value:
            yield f"{where} says {name} = {shown[name]}; it is {value}"


def _news(table: "_Tables") -> Iterator[str]:
    """The last that was told of each generation is how it ended: whoever follows the events is right."""
    for row in table.all(
        """
        SELECT generation.id, generation.status, newest.kind
        FROM packshot_generation AS generation
        LEFT JOIN LATERAL (
            SELECT kind FROM packshot_event
            WHERE topic = 'generation' AND subject = generation.id::text ORDER BY id DESC LIMIT 1
        ) AS newest ON true
        WHERE newest.kind IS DISTINCT FROM generation.status
        """
    ):
        yield f"generation {row['id']} is {row['status']}, and the last news of it is {row['kind']}"


class _Tables:
    """What the checker reads."""

    def __init__(self, database: "psycopg.Connection[Any]") -> None:
        self._database = database

    def all(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        with self._database.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(sql, values or None).fetchall()

    def one(self, sql: str, *values: Any) -> dict[str, Any]:
        return self.all(sql, *values)[0]

    def statuses(self) -> dict[str, int]:
        rows = self.all("SELECT status, count(*) AS n FROM packshot_generation GROUP BY status")
        return {row["status"]: row["n"] for row in rows}

    def rebuilt_rollups(self) -> list[dict[str, Any]]:
        """What counting anew would mend; nothing is mended."""
        with self._database.transaction(force_rollback=True):
            return self.all("SELECT * FROM packshot_rebuild_rollups('-infinity', 'infinity')")

    def attempts(self) -> list[Attempt]:
        """All of them, those of a generation in order."""
        rows = self.all(
            """
            SELECT attempt.id, attempt.generation_id, attempt.number, attempt.state, attempt.provider,
                encode(sha256(convert_to(generation.prompt, 'UTF8')), 'hex') AS prompt_sha256,
                attempt.error_kind, attempt.request_id, attempt.cost_micros AS cost,
                attempt.reserved_micros AS reserved, attempt.created_at, attempt.sending_at,
                attempt.accepted_at, attempt.closed_at,
                (SELECT amount_micros FROM packshot_reservation AS hold
                    WHERE hold.attempt_id = attempt.id AND hold.closed_at IS NULL) AS held,
                ARRAY(SELECT amount_micros FROM packshot_entry AS entry
                    WHERE entry.attempt_id = attempt.id ORDER BY entry.id) AS entries,
                ARRAY(SELECT blob::text FROM packshot_image AS image
                    WHERE image.attempt_id = attempt.id ORDER BY image.position) AS images,
                ARRAY(SELECT kind::text FROM packshot_evidence AS evidence
                    WHERE evidence.attempt_id = attempt.id ORDER BY evidence.id) AS evidence
            FROM packshot_attempt AS attempt
            JOIN packshot_generation AS generation ON generation.id = attempt.generation_id
            ORDER BY attempt.generation_id, attempt.number
            """
        )
        return [Attempt(**{name: _plain(value) for name, value in row.items()}) for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    return tuple(value) if isinstance(value, list) else value


def unexplained(verdict: Verdict, *, most: int = 20) -> str:
    """The problems of a verdict for a failure message, the first of them."""
    return "\n".join(_first(verdict.problems, most))


def _first(problems: Iterable[str], most: int) -> list[str]:
    found = list(problems)
    return found[:most] + ([f"... and {len(found) - most} more"] if len(found) > most else [])
