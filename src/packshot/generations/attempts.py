"""Attempts and the moves of their generations. Each verb is a compare-and-set on a list, in lock order
(generation, then attempt), and can be repeated after a COMMIT whose outcome got lost."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from psycopg.types.json import Jsonb

from packshot.generations.queue import CANDIDATE, Candidate, candidate, decoded
from packshot.kernel.ids import uuid7

# What its ticket can still bring to an end, by the process that owns it; lines of a batch rest with nobody.
COLLECTABLE = "(batch_id IS NULL AND (state = 'accepted' OR (state = 'uncertain' AND ticket IS NOT NULL)))"
# What a claim is read from, by `claims_of`.
CLAIMS = f"""
    SELECT attempt.id, attempt.number, attempt.deadline_s, attempt.ticket, {CANDIDATE}
    FROM packshot_attempt AS attempt
    JOIN packshot_generation AS generation ON generation.id = attempt.generation_id
    JOIN packshot_product AS product ON product.id = generation.product_id
    LEFT JOIN packshot_category AS category ON category.id = product.category_id
"""
CLOSED = ("released", "succeeded", "failed_free", "failed_charged", "charged_no_image")


@dataclass(frozen=True, slots=True)
class Claim:
    """A paid call that this process may make once, with all that it needs to make it."""

    attempt_id: UUID
    number: int
    generation: Candidate
    deadline_s: int
    ticket: Mapping[str, Any] | None = None
    cost_micros: int | None = None  # what the provider said when it took the request
    alone: bool = False  # two workers died with it in hand: whoever tries once more does nothing beside it
    batch_id: UUID | None = None  # it is one line of it
    by_callback: bool = False  # its ticket was made from a callback: nobody has the answer to its submission


@dataclass(frozen=True, slots=True)
class Standing:
    """An attempt and its generation as they are, locked."""

    attempt_id: UUID
    state: str
    generation_id: UUID
    status: str
    product_id: UUID
    provider: str
    model: str
    simulated: bool
    reserved_micros: int
    attempts: int
    cancel_requested: bool
    started_at: datetime | None
    completed_at: datetime | None
    actual_micros: int | None
    cost_micros: int | None
    run_id: UUID | None
    person_name: str
    category_path: str
    sku: str
    from_pictures: bool  # it was given some


def open_attempts(funded: Sequence[Claim], *, process_id: UUID) -> None:
    """Write each claim's attempt as `intent` and its generation as processing. Nothing is sent yet."""
    if not funded:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO packshot_attempt (id, generation_id, number, process_id, state, provider, model,
                simulated, reserved_micros, price_version, deadline_s, batch_id, request_id, error_kind,
                error_message, answer, created_at)
            SELECT item.id, item.generation_id, item.number, %s, 'intent', item.provider, item.model,
                item.simulated, item.reserved, item.price_version, item.deadline_s, item.batch_id, '', '', '',
                '', now()
            FROM unnest(%s::uuid[], %s::uuid[], %s::smallint[], %s::text[], %s::text[], %s::boolean[],
                %s::bigint[], %s::text[], %s::int[], %s::uuid[])
                AS item (id, generation_id, number, provider, model, simulated, reserved, price_version,
                    deadline_s, batch_id)
            """,
            [
                process_id,
                [claim.attempt_id for claim in funded],
                [claim.generation.id for claim in funded],
                [claim.number for claim in funded],
                [claim.generation.provider for claim in funded],
                [claim.generation.model for claim in funded],
                [claim.generation.simulated for claim in funded],
                [claim.generation.ceiling_micros or 0 for claim in funded],
                [claim.generation.price_version for claim in funded],
                [claim.deadline_s for claim in funded],
                [claim.batch_id for claim in funded],
            ],
        )
        cursor.execute(
            """
            UPDATE packshot_generation AS generation
            SET status = 'processing', attempts = item.number, not_before = NULL, updated_at = now()
            FROM unnest(%s::uuid[], %s::smallint[]) AS item (id, number)
            WHERE generation.id = item.id
            """,
            [[claim.generation.id for claim in funded], [claim.number for claim in funded]],
        )


def lock_generations(attempt_ids: Sequence[UUID]) -> None:
    """Lock the generations of these attempts in order of id."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT 1 FROM packshot_generation
            WHERE id IN (SELECT generation_id FROM packshot_attempt WHERE id = ANY(%s))
            ORDER BY id FOR NO KEY UPDATE
            """,
            [list(attempt_ids)],
        )


def start_sending(attempt_ids: Sequence[UUID], *, process_id: UUID) -> set[UUID]:
    """Move `intent` to `sending` where this process still owns it. Only those returned may be sent.

    An attempt that is `sending` already is this same call, repeated after a lost COMMIT: nobody else can
    have moved it, and its owner sends only after this returned.
    """
    lock_generations(attempt_ids)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_attempt SET state = 'sending', sending_at = clock_timestamp()
            WHERE id = ANY(%s) AND process_id = %s AND state = 'intent'
            """,
            [list(attempt_ids), process_id],
        )
        cursor.execute(
            """
            SELECT attempt.id FROM packshot_attempt AS attempt
            WHERE attempt.id = ANY(%s) AND attempt.process_id = %s AND attempt.state = 'sending'
            """,
            [list(attempt_ids), process_id],
        )
        mine = {row[0] for row in cursor.fetchall()}
        # How long it takes is measured of calls: a batch has a day, and says nothing of a provider's pace.
        cursor.execute(
            """
            UPDATE packshot_generation SET started_at = clock_timestamp(), updated_at = now()
            WHERE started_at IS NULL AND id IN (
                SELECT generation_id FROM packshot_attempt WHERE id = ANY(%s) AND batch_id IS NULL)
            """,
            [list(mine)],
        )
    return mine


def release_intents(attempt_ids: Sequence[UUID]) -> list[UUID]:
    """`intent` to `released`: nothing left this machine. Returns the attempts that moved."""
    lock_generations(attempt_ids)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_attempt SET state = 'released', closed_at = clock_timestamp(), cost_micros = 0
            WHERE id = ANY(%s) AND state = 'intent' RETURNING id
            """,
            [list(attempt_ids)],
        )
        return [row[0] for row in cursor.fetchall()]


def accept(tickets: Mapping[UUID, tuple[Mapping[str, Any], str, int | None]]) -> None:
    """Store each attempt's ticket, request id and stated cost; `sending` becomes `accepted`.

    An attempt that a rescuer made uncertain meanwhile keeps its state: the ticket is stored all the same,
    and its owner goes on collecting.
    """
    if not tickets:
        return
    ids = list(tickets)
    lock_generations(ids)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_attempt AS attempt
            SET state = CASE attempt.state WHEN 'sending' THEN 'accepted' ELSE attempt.state END,
                accepted_at = coalesce(attempt.accepted_at, clock_timestamp()),
                ticket = item.ticket, request_id = item.request_id
            FROM unnest(%s::uuid[], %s::jsonb[], %s::text[]) AS item (id, ticket, request_id)
            WHERE attempt.id = item.id AND attempt.state IN ('sending', 'uncertain')
            """,
            [
                ids,
                [Jsonb({"state": dict(tickets[each][0]), "cost": tickets[each][2]}) for each in ids],
                [tickets[each][1] for each in ids],
            ],
        )


def standing(attempt_ids: Sequence[UUID]) -> dict[UUID, Standing]:
    """Lock these attempts and their generations, in that order of tables, and read them."""
    ids = list(attempt_ids)
    lock_generations(ids)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM packshot_attempt WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [ids]
        )
        cursor.execute(
            """
            SELECT attempt.id, attempt.state, generation.id, generation.status, generation.product_id,
                attempt.provider, attempt.model, attempt.simulated, attempt.reserved_micros,
                generation.attempts, generation.cancel_requested_at IS NOT NULL, generation.started_at,
                generation.completed_at, generation.actual_micros, attempt.cost_micros, generation.run_id,
                generation.asked_by_name, coalesce(category.path, ''), product.sku,
                generation.inputs <> '[]'::jsonb
            FROM packshot_attempt AS attempt
            JOIN packshot_generation AS generation ON generation.id = attempt.generation_id
            JOIN packshot_product AS product ON product.id = generation.product_id
            LEFT JOIN packshot_category AS category ON category.id = product.category_id
            WHERE attempt.id = ANY(%s)
            """,
            [ids],
        )
        return {row[0]: Standing(*row) for row in cursor.fetchall()}


def failed_before(attempt_ids: Sequence[UUID], kinds: Collection[str]) -> dict[UUID, int]:
    """How often the generation of each attempt failed before for free, for one of these reasons."""
    if not attempt_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT attempt.id, count(*) FROM packshot_attempt AS attempt
            JOIN packshot_attempt AS earlier ON earlier.generation_id = attempt.generation_id
                AND earlier.number < attempt.number AND earlier.state = 'failed_free'
                AND earlier.error_kind = ANY(%s)
            WHERE attempt.id = ANY(%s) GROUP BY attempt.id
            """,
            [sorted(kinds), list(attempt_ids)],
        )
        return dict(cursor.fetchall())


@dataclass(frozen=True, slots=True)
class End:
    """How one attempt is written down at its end."""

    attempt_id: UUID
    state: str
    cost_micros: int | None
    request_id: str = ""
    error_kind: str = ""
    error_message: str = ""
    answer: str = ""


def end_attempts(ends: Sequence[End]) -> None:
    """Write these ends; the rows are locked and the moves are legal, or the database refuses."""
    if not ends:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_attempt AS attempt
            SET state = item.state, cost_micros = item.cost,
                request_id = coalesce(nullif(item.request_id, ''), attempt.request_id),
                error_kind = item.error_kind, error_message = item.error_message, answer = item.answer,
                closed_at = CASE item.state WHEN 'uncertain' THEN NULL ELSE clock_timestamp() END
            FROM unnest(%s::uuid[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[])
                AS item (id, state, cost, request_id, error_kind, error_message, answer)
            WHERE attempt.id = item.id
            """,
            [
                [each.attempt_id for each in ends],
                [each.state for each in ends],
                [each.cost_micros for each in ends],
                # A NUL byte cannot be stored in text.
                [each.request_id.replace("\0", "") for each in ends],
                [each.error_kind for each in ends],
                [each.error_message.replace("\0", "") for each in ends],
                [each.answer.replace("\0", "") for each in ends],
            ],
        )


def keep_evidence(notes: Sequence[tuple[UUID, str, str, Mapping[str, object]]], *, by_name: str = "") -> None:
    """Append evidence: (attempt, kind, the state it argues for, detail)."""
    if not notes:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO packshot_evidence (id, attempt_id, kind, verdict, detail, by_name, at)
            SELECT item.id, item.attempt_id, item.kind, item.verdict, item.detail, %s, now()
            FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::jsonb[])
                AS item (id, attempt_id, kind, verdict, detail)
            """,
            [
                by_name,
                [uuid7() for _ in notes],
                [note[0] for note in notes],
                [note[1] for note in notes],
                [note[2] for note in notes],
                [Jsonb(dict(note[3])) for note in notes],
            ],
        )


def answered_late(attempt_id: UUID) -> bool:
    """Whether the owner's answer was already kept for an attempt that others had closed."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT EXISTS (SELECT 1 FROM packshot_evidence
                WHERE attempt_id = %s AND kind = 'late_answer' AND verdict = 'succeeded')
            """,
            [attempt_id],
        )
        return bool(cursor.fetchone()[0])


@dataclass(frozen=True, slots=True)
class Step:
    """Where one generation goes next."""

    generation_id: UUID
    status: str
    added_micros: int | None = None  # None: nothing is known to add
    cost_unknown: bool = False
    wait_reason: str | None = None
    wait_detail: str = ""
    again_after_s: float | None = None
    error_kind: str = ""
    error_message: str = ""


def step_generations(steps: Sequence[Step]) -> dict[UUID, datetime | None]:
    """Move these generations; gives each one's time of completion, by the database's clock."""
    if not steps:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_generation AS generation
            SET status = item.status,
                actual_micros = CASE WHEN item.added IS NULL THEN generation.actual_micros
                    ELSE coalesce(generation.actual_micros, 0) + item.added END,
                cost_unknown = generation.cost_unknown OR item.cost_unknown,
                wait_reason = item.wait_reason, wait_detail = item.wait_detail,
                not_before = CASE WHEN item.again IS NULL THEN NULL
                    ELSE clock_timestamp() + make_interval(secs => item.again) END,
                error_kind = item.error_kind, error_message = item.error_message,
                completed_at = CASE WHEN item.status IN ('completed', 'failed', 'cancelled')
                    THEN clock_timestamp() END,
                updated_at = clock_timestamp()
            FROM unnest(%s::uuid[], %s::text[], %s::bigint[], %s::boolean[], %s::text[], %s::text[],
                %s::float8[], %s::text[], %s::text[])
                AS item (id, status, added, cost_unknown, wait_reason, wait_detail, again, error_kind,
                    error_message)
            WHERE generation.id = item.id
            RETURNING generation.id, generation.completed_at
            """,
            [
                [each.generation_id for each in steps],
                [each.status for each in steps],
                [each.added_micros for each in steps],
                [each.cost_unknown for each in steps],
                [each.wait_reason for each in steps],
                [each.wait_detail for each in steps],
                [each.again_after_s for each in steps],
                [each.error_kind for each in steps],
                [each.error_message.replace("\0", "") for each in steps],
            ],
        )
        return dict(cursor.fetchall())


def add_cost(generation_id: UUID, *, amount_micros: int, cost_unknown: bool | None) -> None:
    """A charge became known after the attempt had ended. `cost_unknown` None: as it was; False: known, unless
    another of its attempts ended at an unknown one."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_generation SET actual_micros = coalesce(actual_micros, 0) + %s,
                cost_unknown = coalesce(%s, cost_unknown) OR (%s AND EXISTS (
                    SELECT 1 FROM packshot_attempt AS attempt
                    WHERE attempt.generation_id = packshot_generation.id AND attempt.cost_micros IS NULL
                        AND attempt.state IN ('succeeded', 'failed_charged', 'charged_no_image'))),
                updated_at = clock_timestamp()
            WHERE id = %s
            """,
            [amount_micros, cost_unknown, cost_unknown is False, generation_id],
        )


def left_behind(process_ids: Sequence[UUID]) -> dict[str, list[UUID]]:
    """The open attempts of processes that are gone, by state: intent, sending, accepted.

    An uncertain one that has its ticket stands with the accepted ones: its owner was taken for dead, woke up,
    stored the ticket that it held, and went away for good. The ticket says what became of the call.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT CASE state WHEN 'uncertain' THEN 'accepted' ELSE state END AS as_good_as,
                array_agg(id ORDER BY id)
            FROM packshot_attempt
            WHERE process_id = ANY(%s) AND (state IN ('intent', 'sending') OR {COLLECTABLE})
            GROUP BY as_good_as
            """,
            [list(process_ids)],
        )
        return {state: list(ids) for state, ids in cursor.fetchall()}


def adopt(attempt_ids: Sequence[UUID], *, of: Sequence[UUID], process_id: UUID) -> list[Claim]:
    """Take over attempts with tickets of the processes `of`, to be collected without paying again.

    Of two processes that try at once, each attempt goes to one.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE packshot_attempt SET process_id = %s
            WHERE id IN (
                SELECT id FROM packshot_attempt
                WHERE id = ANY(%s) AND {COLLECTABLE} AND process_id = ANY(%s)
                ORDER BY id FOR NO KEY UPDATE)
            """,
            [process_id, list(attempt_ids), list(of)],
        )
    return tickets_of(process_id, attempt_ids)


def tickets_of(process_id: UUID, attempt_ids: Sequence[UUID]) -> list[Claim]:
    """The claims of attempts with tickets that `process_id` owns."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            {CLAIMS} WHERE attempt.id = ANY(%s) AND attempt.process_id = %s AND {COLLECTABLE}
            """,
            [list(attempt_ids), process_id],
        )
        return claims_of(cursor.fetchall())


def deaths(attempt_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many workers died while they had the generation of each attempt in hand."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT attempt.id, generation.worker_deaths FROM packshot_attempt AS attempt
            JOIN packshot_generation AS generation ON generation.id = attempt.generation_id
            WHERE attempt.id = ANY(%s)
            """,
            [list(attempt_ids)],
        )
        return dict(cursor.fetchall())


def stated_costs(attempt_ids: Sequence[UUID]) -> dict[UUID, int | None]:
    """What the provider said that each attempt costs, when it gave its ticket."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, (ticket ->> 'cost')::bigint FROM packshot_attempt WHERE id = ANY(%s)",
            [list(attempt_ids)],
        )
        return dict(cursor.fetchall())


def intents_of(process_id: UUID, *, older_than_s: float) -> list[UUID]:
    """This process's attempts of which nothing was sent, written at least so many seconds ago."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id FROM packshot_attempt
            WHERE process_id = %s AND state = 'intent'
                AND created_at < clock_timestamp() - make_interval(secs => %s)
            """,
            [process_id, older_than_s],
        )
        return [row[0] for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Unsettled:
    """An attempt whose money is held because nobody knows what was charged."""

    id: UUID
    generation_id: UUID
    state: str
    reserved_micros: int
    error_kind: str
    looked_for: bool  # an order whose answer got lost, which is being looked for


# So long an order is looked for, or may be overdue, before a person's word counts.
BATCH_LOOKED_FOR_S = 3600.0


def unsettled(generation_id: UUID, *, attempt_id: UUID | None = None) -> Unsettled | None:
    """The attempt of this generation that is uncertain, or was to come by tomorrow and is long overdue; else
    one that ended at an unknown cost. With `attempt_id` that one or none."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id, generation_id, state, reserved_micros, error_kind,
                state = 'uncertain' AND batch_id IS NOT NULL
                    AND sending_at > clock_timestamp() - make_interval(secs => %(looked_for_s)s)
            FROM packshot_attempt
            WHERE generation_id = %(generation)s AND id = coalesce(%(attempt)s::uuid, id) AND (
                state = 'uncertain'
                OR (state = 'accepted' AND batch_id IS NOT NULL AND clock_timestamp()
                    > sending_at + make_interval(secs => deadline_s + %(looked_for_s)s))
                OR (cost_micros IS NULL AND state IN ('succeeded', 'failed_charged', 'charged_no_image')))
            ORDER BY state IN ('uncertain', 'accepted') DESC, number LIMIT 1
            """,
            {"generation": generation_id, "attempt": attempt_id, "looked_for_s": BATCH_LOOKED_FOR_S},
        )
        row = cursor.fetchone()
    return Unsettled(*row) if row else None


def set_cost(attempt_id: UUID, amount_micros: int) -> None:
    """The cost of an ended attempt became known; the database lets it change once."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE packshot_attempt SET cost_micros = %s WHERE id = %s", [amount_micros, attempt_id]
        )


# How often, and for how long, what was set aside is looked for without being asked to.
LOOKS, LOOKED_FOR_HOURS = 24, 24
_BY_DEATHS = "worker_lost"


def set_aside_tickets(*, generation_id: UUID | None = None, due_only: bool = False) -> list[Claim]:
    """Attempts that were closed because their workers died, and whose tickets may still bring an image."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            {CLAIMS} WHERE attempt.state = 'charged_no_image' AND attempt.error_kind = %s
                AND attempt.ticket IS NOT NULL
                AND (%s::uuid IS NULL OR generation.id = %s)
                AND (NOT %s OR (attempt.closed_at > clock_timestamp() - make_interval(hours => %s)
                    AND coalesce((attempt.ticket ->> 'looks')::int, 0) < %s))
                AND NOT EXISTS (
                    SELECT 1 FROM packshot_image AS image WHERE image.attempt_id = attempt.id)
            ORDER BY attempt.id
            """,
            [_BY_DEATHS, generation_id, generation_id, due_only, LOOKED_FOR_HOURS, LOOKS],
        )
        return claims_of(cursor.fetchall())


def count_look(attempt_id: UUID) -> None:
    """Note with the ticket that it is looked at once more."""
    _set_looks(attempt_id, "coalesce((ticket ->> 'looks')::int, 0) + 1")


def give_up_looking(attempt_id: UUID) -> None:
    """The provider has it no more: it is not looked for any further unless somebody asks."""
    _set_looks(attempt_id, str(LOOKS))


def say_collected(generation_id: UUID) -> None:
    """The words of a failed generation whose image came after all."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_generation SET updated_at = clock_timestamp(), error_message =
                'Its workers died; its image was collected later and stands with the product.'
            WHERE id = %s AND status = 'failed'
            """,
            [generation_id],
        )


def _set_looks(attempt_id: UUID, looks: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE packshot_attempt SET ticket = ticket || jsonb_build_object('looks', {looks}) WHERE id = %s
            """,
            [attempt_id],
        )


def claims_of(rows: Sequence[tuple[Any, ...]]) -> list[Claim]:
    """The claims in rows of CLAIMS, each with the ticket that it has."""
    return [
        Claim(
            attempt_id=row[0],
            number=row[1],
            generation=candidate(row[4:]),
            deadline_s=row[2],
            ticket=row[3]["state"] if row[3] else None,
            cost_micros=row[3]["cost"] if row[3] else None,
            by_callback=row[3].get("by_callback", False) if row[3] else False,
        )
        for row in decoded(rows, 3, 13)
    ]
