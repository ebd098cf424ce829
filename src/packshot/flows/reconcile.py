"""The provider's bill beside our ledger: every difference by its name, and what may be booked from it.

A bill names requests by what the provider called them (OpenAI's x-request-id, BFL's task id); the ledger
keeps the same in each attempt. Lines of one request are added up exactly and rounded up once, as a charge of
ours is.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Literal
from uuid import UUID

from django.db import connection, transaction

from packshot import events, generations, ledger, reports
from packshot.accounts import Actor, audit
from packshot.events import Happening
from packshot.flows import generate
from packshot.generations import SHARED_SLOT
from packshot.kernel.errors import BadInput
from packshot.kernel.money import PER_DOLLAR, show

Kind = Literal["unknown_request", "billed_twice", "amount", "held_billed", "not_billed", "held_unnamed"]

# The columns of a bill by the names that providers and people give them.
_REFERENCES = ("request_id", "request id", "reference", "task_id", "task id", "id")
_AMOUNTS = ("amount", "cost", "amount_usd", "cost_usd", "usd", "amount (usd)", "cost (usd)")


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line of a provider's bill: what it calls the request, and dollars exactly."""

    reference: str
    dollars: Fraction


@dataclass(frozen=True, slots=True)
class Difference:
    """Where bill and ledger say something else. Amounts in micro-dollars; None: nothing is said there."""

    kind: Kind
    reference: str
    attempt_id: UUID | None
    generation_id: UUID | None
    billed_micros: int | None
    booked_micros: int | None
    held_micros: int | None
    words: str
    bookable: bool  # `book` can put the ledger right from this line


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What was compared, the sums in micro-dollars, and every difference."""

    provider: str
    requests: int
    billed_micros: int
    booked_micros: int
    held_micros: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class _Ours:
    attempt_id: UUID
    generation_id: UUID
    reference: str
    state: str
    booked_micros: int | None
    held_micros: int | None


def read_bill(path: Path) -> list[BillLine]:
    """The lines of a CSV with a column for the request and one for dollars. BadInput names the row."""
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = csv.DictReader(stream)
        names = {(name or "").strip().lower(): name for name in rows.fieldnames or ()}
        reference = next((names[each] for each in _REFERENCES if each in names), None)
        amount = next((names[each] for each in _AMOUNTS if each in names), None)
        if reference is None or amount is None:
            raise BadInput(
                f"{path.name} needs a column for the request ({', '.join(_REFERENCES[:3])}) and one for "
                f"dollars ({', '.join(_AMOUNTS[:3])}); it has {', '.join(rows.fieldnames or ()) or 'none'}",
                field="bill",
            )
        lines = []
        for number, row in enumerate(rows, start=2):
            text = (row[amount] or "").strip().removeprefix("$").replace(",", "")
            try:
                lines.append(BillLine((row[reference] or "").strip(), Fraction(text)))
            except (ValueError, ZeroDivisionError):
                raise BadInput(
                    f"row {number}: {row[amount]!r} is not an amount of dollars; write it like 0.063",
                    field="bill",
                ) from None
    return lines


def compare(
    provider: str, bill: Iterable[BillLine], *, start: datetime, end: datetime, simulated: bool
) -> Reconciliation:
    """The bill of `start` up to `end` beside the attempts that were sent in that time, or that it names."""
    lines: dict[str, list[Fraction]] = {}
    for line in bill:
        lines.setdefault(line.reference, []).append(line.dollars)
    billed = {reference: ceil(sum(dollars) * PER_DOLLAR) for reference, dollars in lines.items()}
    ours = _attempts(provider, list(billed), start=start, end=end, simulated=simulated)
    by_reference: dict[str, list[_Ours]] = {}
    for each in ours:
        by_reference.setdefault(each.reference, []).append(each)
    found: list[Difference] = []
    for reference, amount in billed.items():
        named = by_reference.get(reference, [])
        if len(named) != 1 or not reference:
            found.append(
                Difference(
                    "unknown_request", reference, None, None, amount, None, None,
                    f"the bill has {show(amount)} for request {reference or '(unnamed)'}, which "
                    + ("no attempt of ours names" if not named else f"{len(named)} attempts name")
                    + "; look among the uncertain ones of that time",
                    bookable=False,
                )
            )  # fmt: skip
            continue
        found += _compared(named[0], amount, len(lines[reference]))
    found += [_unbilled(each) for each in ours if each.reference not in billed and _counts(each)]
    return Reconciliation(
        provider,
        requests=len(billed),
        billed_micros=sum(billed.values()),
        booked_micros=sum(each.booked_micros or 0 for each in ours),
        held_micros=sum(each.held_micros or 0 for each in ours),
        differences=tuple(sorted(found, key=lambda each: (each.kind, each.reference, str(each.attempt_id)))),
    )


def book(differences: Sequence[Difference], actor: Actor, *, note: str) -> int:
    """Put the ledger right where the bill names an attempt of ours: settle holds, correct charges.

    Each writes evidence that names the bill. What the bill does not name is left to a person. Returns how
    many were booked; one that was put right meanwhile is passed over.
    """
    if not actor.may("resolve_uncertain"):
        raise BadInput("only an administrator books from a bill")
    if not note.strip():
        raise BadInput("name the bill, such as its file or number", field="note")
    booked = 0
    for each in differences:
        if not each.bookable or each.attempt_id is None or each.generation_id is None:
            continue
        assert each.billed_micros is not None
        if each.held_micros is not None:
            try:
                generate.resolve(
                    each.generation_id,
                    "charged" if each.billed_micros else "free",
                    actor,
                    note=note,
                    amount_micros=each.billed_micros,
                    # A generation may have several charges open, and the bill names one.
                    attempt_id=each.attempt_id,
                )
            except BadInput:
                continue  # somebody settled it since the comparison
            booked += 1
        else:
            booked += _correct(each.attempt_id, each.generation_id, each.billed_micros, actor, note)
    return booked


def _compared(ours: _Ours, billed: int, lines: int) -> list[Difference]:
    booked, held = ours.booked_micros, ours.held_micros
    if held is None and booked == billed:
        return []
    if held is not None:
        kind: Kind = "held_billed"
        words = f"{show(held)} is held and the bill says {show(billed)}"
    elif lines > 1:
        kind = "billed_twice"
        words = f"the bill has {lines} lines, {show(billed)} in all, and {show(booked or 0)} is booked"
    else:
        kind = "amount"
        words = f"the bill says {show(billed)} and {show(booked or 0)} is booked"
    return [
        Difference(
            kind, ours.reference, ours.attempt_id, ours.generation_id, billed, booked, held, words, True
        )
    ]


def _counts(ours: _Ours) -> bool:
    return bool(ours.booked_micros) or ours.held_micros is not None


def _unbilled(ours: _Ours) -> Difference:
    if ours.held_micros is not None:
        kind: Kind = "held_unnamed"
        words = f"{show(ours.held_micros)} is held and the bill does not name its request"
    else:
        kind = "not_billed"
        words = f"{show(ours.booked_micros)} is booked and not on the bill; it may still come"
    return Difference(
        kind,
        ours.reference,
        ours.attempt_id,
        ours.generation_id,
        None,
        ours.booked_micros,
        ours.held_micros,
        words,
        bookable=False,
    )


def _attempts(
    provider: str, references: list[str], *, start: datetime, end: datetime, simulated: bool
) -> list[_Ours]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT attempt.id, attempt.generation_id, attempt.request_id, attempt.state, booked.amount,
                CASE WHEN hold.closed_at IS NULL THEN hold.amount_micros END
            FROM packshot_attempt AS attempt
            LEFT JOIN packshot_reservation AS hold ON hold.attempt_id = attempt.id
            LEFT JOIN LATERAL (
                SELECT sum(entry.amount_micros)::bigint AS amount FROM packshot_entry AS entry
                WHERE entry.attempt_id = attempt.id) AS booked ON true
            WHERE attempt.provider = %(provider)s AND attempt.simulated = %(simulated)s
                AND attempt.state NOT IN ('intent', 'released')
                AND ((attempt.sending_at >= %(start)s AND attempt.sending_at < %(end)s)
                    OR (attempt.request_id <> '' AND attempt.request_id = ANY(%(references)s)))
            """,
            {
                "provider": provider,
                "simulated": simulated,
                "start": start,
                "end": end,
                "references": references,
            },
        )
        return [_Ours(*row) for row in cursor.fetchall()]


def _correct(attempt_id: UUID, generation_id: UUID, billed: int, actor: Actor, note: str) -> int:
    """Add what the bill has more, or less, to an attempt that was settled. Returns 1 when there was any."""
    with transaction.atomic():
        at = generations.standing([attempt_id])[attempt_id]
        already = ledger.booked([attempt_id]).get(attempt_id, 0)
        missing = billed - already
        if not missing:
            return 0
        detail: Mapping[str, object] = {"billed_micros": billed, "booked_micros": already, "note": note}
        generations.keep_evidence([(attempt_id, "reconciliation", at.state, detail)], by_name=actor.name)
        generations.add_cost(generation_id, amount_micros=missing, cost_unknown=False)
        booked = ledger.adjust({attempt_id: missing})
        reports.add(
            [
                reports.Delta(
                    each.charged_at, at.provider, at.model, at.simulated, amount_micros=each.amount_micros
                )
                for each in booked
            ],
            slot=SHARED_SLOT,
        )
        if missing < 0:
            generations.wake_waiting_for("budget")
        audit(actor, "reconcile", str(attempt_id), billed_micros=billed, booked_micros=already, note=note)
        events.tell([Happening("generation", "settled", str(generation_id), {"by": actor.name})])
    return 1
