"""The queue's verbs: ask, find candidates, park, wake, cancel, retry. Lists in, a few statements each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from psycopg.types.json import Jsonb

from packshot.kernel.errors import BadInput
from packshot.kernel.ids import uuid7
from packshot.providers.contract import InputImage, MediaType, Role, by_tomorrow

# What may take a day stands in lanes of its own, behind all others by name: it is admitted by itself.
BY_TOMORROW = "tomorrow"


@dataclass(frozen=True, slots=True)
class Given:
    """A picture that goes with a generation: what it is for, where its bytes are, what its header says."""

    role: Role
    blob: str
    media_type: MediaType
    width_px: int
    height_px: int
    size_bytes: int
    image_id: UUID | None = None  # the image here that it is; None: somebody brought it
    handle: Mapping[str, Any] | None = None  # that image's own

    def picture(self, content: bytes = b"") -> InputImage:
        """As a provider is given it. Without `content` it is good for a quote."""
        return InputImage(
            self.role,
            self.media_type,
            self.width_px,
            self.height_px,
            self.size_bytes,
            content,
            self.handle,
        )

    def stored(self) -> dict[str, Any]:
        """As JSON in the generation's row."""
        return asdict(self) | {"image_id": str(self.image_id) if self.image_id else None}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One generation to be asked for."""

    id: UUID
    product_id: UUID
    provider: str
    model: str
    simulated: bool
    prompt: str
    template_version_id: UUID | None
    shape: str
    images: int
    seed: int | None
    options: Mapping[str, Any]
    priority: int
    expected_micros: int | None
    ceiling_micros: int | None
    price_version: str
    retry_of: UUID | None = None
    negative_prompt: str = ""
    inputs: tuple[Given, ...] = ()
    shape_fit: str = ""  # crop, pad or keep


@dataclass(frozen=True, slots=True)
class Asked:
    """The answer to one request key: the same whenever it is repeated."""

    key: str
    run_id: UUID | None
    generation_ids: tuple[UUID, ...]
    repeated: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pending generation, locked for admission."""

    id: UUID
    product_id: UUID
    provider: str
    model: str
    simulated: bool
    prompt: str
    shape: str
    images: int
    seed: int | None
    options: Mapping[str, Any]
    attempts: int
    expected_micros: int | None
    ceiling_micros: int | None
    price_version: str
    run_id: UUID | None
    person_name: str
    category_path: str
    sku: str
    negative_prompt: str
    inputs: tuple[Given, ...]


def find_request(key: str, fingerprint: str) -> Asked | None:
    """The first answer to `key`, if it was asked before. Raises BadInput when it asked for something else."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT fingerprint, run_id FROM packshot_request WHERE key = %s", [key])
        row = cursor.fetchone()
        if row is None:
            return None
        if row[0] != fingerprint:
            raise BadInput(
                f"request key {key!r} was used before for a different request; use a fresh key",
                field="request_key",
            )
        cursor.execute("SELECT id FROM packshot_generation WHERE request_id = %s ORDER BY id", [key])
        return Asked(key, row[1], tuple(each[0] for each in cursor.fetchall()), repeated=True)


def request(
    wanted: Sequence[Wanted],
    *,
    key: str,
    fingerprint: str,
    title: str,
    person_id: UUID | None,
    person_name: str,
    quoted_micros: int | None,
    run_id: UUID | None = None,
) -> Asked:
    """Store what is wanted under `key`. A repeat, also one at the same moment, gets the first answer.

    With `run_id` it belongs to a run that stands already, and otherwise to one of its own if it is many.
    """
    with connection.cursor() as cursor:
        own_run = run_id is None and len(wanted) > 1
        if own_run:
            run_id = uuid7()
            cursor.execute(
                """
                INSERT INTO packshot_run (id, title, asked_by_id, asked_by_name, size, created_at)
                SELECT %s, %s, %s, %s, %s, now()
                WHERE NOT EXISTS (SELECT 1 FROM packshot_request WHERE key = %s)
                """,
                [run_id, title, person_id, person_name, len(wanted), key],
            )
        # Waits for a request of the same key that is being stored at this moment.
        cursor.execute(
            """
            INSERT INTO packshot_request
                (key, fingerprint, run_id, quoted_micros, asked_by_name, created_at)
            VALUES (%s, %s, %s, %s, %s, now()) ON CONFLICT (key) DO NOTHING
            """,
            [key, fingerprint, run_id, quoted_micros, person_name],
        )
        if not cursor.rowcount:
            if own_run:
                cursor.execute("DELETE FROM packshot_run WHERE id = %s", [run_id])
            first = find_request(key, fingerprint)
            assert first is not None, "the key conflicted, so its row stands"
            return first
        cursor.execute(
            """
            INSERT INTO packshot_generation (id, request_id, run_id, product_id, provider_id, model,
                simulated, prompt, template_version_id, shape, shape_fit, images, seed, options,
                negative_prompt, inputs, asked_by_id, asked_by_name, retry_of_id, priority, lane, status,
                wait_detail, attempts, worker_deaths, expected_micros, ceiling_micros, price_version,
                cost_unknown, error_kind, error_message, created_at, updated_at)
            SELECT item.id, %(key)s, %(run)s, item.product_id, item.provider, item.model, item.simulated,
                item.prompt, item.template_version_id, item.shape, item.fit, item.images, item.seed,
                item.options, item.negative_prompt, item.inputs, %(person)s, %(name)s, item.retry_of,
                item.priority, item.lane, 'pending', '', 0, 0, item.expected, item.ceiling,
                item.price_version, false, '', '', now(), now()
            FROM unnest(%(ids)s::uuid[], %(lanes)s::text[], %(products)s::uuid[], %(providers)s::text[],
                %(models)s::text[],
                %(simulated)s::boolean[], %(prompts)s::text[], %(templates)s::uuid[], %(shapes)s::text[],
                %(images)s::smallint[], %(seeds)s::bigint[], %(options)s::jsonb[], %(negatives)s::text[],
                %(inputs)s::jsonb[], %(retries)s::uuid[], %(priorities)s::smallint[], %(expected)s::bigint[],
                %(ceilings)s::bigint[], %(versions)s::text[], %(fits)s::text[])
                AS item (id, lane, product_id, provider, model, simulated, prompt, template_version_id, shape,
                    images, seed, options, negative_prompt, inputs, retry_of, priority, expected, ceiling,
                    price_version, fit)
            """,
            {
                "key": key,
                "run": run_id,
                "person": person_id,
                "name": person_name,
                "lanes": [_lane(each, run_id, person_name) for each in wanted],
                "ids": [each.id for each in wanted],
                "products": [each.product_id for each in wanted],
                "providers": [each.provider for each in wanted],
                "models": [each.model for each in wanted],
                "simulated": [each.simulated for each in wanted],
                "prompts": [each.prompt for each in wanted],
                "templates": [each.template_version_id for each in wanted],
                "shapes": [each.shape for each in wanted],
                "fits": [each.shape_fit for each in wanted],
                "images": [each.images for each in wanted],
                "seeds": [each.seed for each in wanted],
                "options": [Jsonb(dict(each.options)) for each in wanted],
                "negatives": [each.negative_prompt for each in wanted],
                "inputs": [Jsonb([given.stored() for given in each.inputs]) for each in wanted],
                "retries": [each.retry_of for each in wanted],
                "priorities": [each.priority for each in wanted],
                "expected": [each.expected_micros for each in wanted],
                "ceilings": [each.ceiling_micros for each in wanted],
                "versions": [each.price_version for each in wanted],
            },
        )
    return Asked(key, run_id, tuple(each.id for each in wanted), repeated=False)


def _lane(wanted: Wanted, run_id: UUID | None, person_name: str) -> str:
    lane = str(run_id) if run_id else f"person:{person_name}"
    return (f"{BY_TOMORROW}:{lane}" if by_tomorrow(wanted.options) else lane)[:64]


CANDIDATE = """
    generation.id, generation.product_id, generation.provider_id, generation.model, generation.simulated,
    generation.prompt, generation.shape, generation.images, generation.seed, generation.options,
    generation.attempts, generation.expected_micros, generation.ceiling_micros, generation.price_version,
    generation.run_id, generation.asked_by_name, coalesce(category.path, ''), product.sku,
    generation.negative_prompt, generation.inputs
"""


def candidates(provider: str, *, simulated: bool, limit: int, tomorrow: bool = False) -> list[Candidate]:
    """Up to `limit` ready generations of `provider`, locked, in turn from each lane, best priority first.

    Either what is wanted now, or what may come by tomorrow.

    A lane is a run, or a person's single requests: ten thousand rows of one run do not make another wait.
    Reads the first rows of each live lane by index: 0.5 ms at 200,000 pending, where a window function
    over the whole queue took 52 ms (measured).
    """
    # Of one kind of money: what was asked for on the simulator must not stand before what is paid for.
    which = f"simulated = %(simulated)s AND lane {'>=' if tomorrow else '<'} %(tomorrow)s"
    of_lane = f"generation.{which}".replace("AND lane", "AND generation.lane")
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH RECURSIVE lane AS (
                (SELECT lane FROM packshot_generation
                WHERE provider_id = %(provider)s AND status = 'pending' AND wait_reason IS NULL
                    AND {which}
                ORDER BY lane LIMIT 1)
                UNION ALL
                SELECT (
                    SELECT generation.lane FROM packshot_generation AS generation
                    WHERE generation.provider_id = %(provider)s AND generation.status = 'pending'
                        AND generation.wait_reason IS NULL AND generation.lane > lane.lane
                        AND {of_lane}
                    ORDER BY generation.lane LIMIT 1)
                FROM lane WHERE lane.lane IS NOT NULL
            ), turn AS (
                SELECT first.id, first.priority,
                    row_number() OVER (PARTITION BY lane.lane ORDER BY first.priority DESC, first.id) AS turn
                FROM lane CROSS JOIN LATERAL (
                    SELECT generation.id, generation.priority FROM packshot_generation AS generation
                    WHERE generation.provider_id = %(provider)s AND generation.status = 'pending'
                        AND generation.wait_reason IS NULL AND generation.lane = lane.lane
                        AND generation.simulated = %(simulated)s
                    ORDER BY generation.priority DESC, generation.id LIMIT %(limit)s
                ) AS first
                WHERE lane.lane IS NOT NULL
            )
            SELECT id FROM turn ORDER BY turn, priority DESC, id LIMIT %(limit)s
            """,
            {"provider": provider, "limit": limit, "tomorrow": BY_TOMORROW, "simulated": simulated},
        )
        order = [row[0] for row in cursor.fetchall()]
        if not order:
            return []
        # Locked in a second statement, by id, and only what is still as it was: a cancel may be under way.
        cursor.execute(
            f"""
            SELECT {CANDIDATE}
            FROM packshot_generation AS generation
            JOIN packshot_product AS product ON product.id = generation.product_id
            LEFT JOIN packshot_category AS category ON category.id = product.category_id
            WHERE generation.id = ANY(%s) AND generation.status = 'pending'
                AND generation.wait_reason IS NULL AND generation.simulated = %s
            ORDER BY generation.id FOR NO KEY UPDATE OF generation SKIP LOCKED
            """,
            [order, simulated],
        )
        found = {row[0]: candidate(row) for row in decoded(cursor.fetchall(), 9)}
    return [found[each] for each in order if each in found]


def candidate(row: Sequence[Any]) -> Candidate:
    """The candidate in a row of the columns CANDIDATE."""
    return Candidate(*(*row[:-1], given_of(row[-1])))


def pending_one(generation_id: UUID) -> Candidate | None:
    """A generation that is pending, whatever it waits for, locked; None where it is not."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT {CANDIDATE}
            FROM packshot_generation AS generation
            JOIN packshot_product AS product ON product.id = generation.product_id
            LEFT JOIN packshot_category AS category ON category.id = product.category_id
            WHERE generation.id = %s AND generation.status = 'pending'
            FOR NO KEY UPDATE OF generation
            """,
            [generation_id],
        )
        rows = decoded(cursor.fetchall(), 9)
    return candidate(rows[0]) if rows else None


def given_of(stored: Any) -> tuple[Given, ...]:
    """The pictures of a generation, from its row."""
    pictures = json.loads(stored) if isinstance(stored, str) else stored
    return tuple(
        Given(**{**each, "image_id": UUID(each["image_id"]) if each["image_id"] else None})
        for each in pictures
    )


def wanted_providers() -> set[str]:
    """The providers that have generations ready to be admitted: one look into the index for each."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT name FROM packshot_provider AS provider
            WHERE EXISTS (
                SELECT 1 FROM packshot_generation AS generation
                WHERE generation.provider_id = provider.name AND generation.status = 'pending'
                    AND generation.wait_reason IS NULL)
            """
        )
        return {row[0] for row in cursor.fetchall()}


def requote(generation_id: UUID, *, expected: int | None, ceiling: int | None, price_version: str) -> None:
    """The price moved since it was asked for; the row is locked by admission."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_generation SET expected_micros = %s, ceiling_micros = %s, price_version = %s
            WHERE id = %s
            """,
            [expected, ceiling, price_version, generation_id],
        )


def park(reasons: Mapping[UUID, tuple[str, str]], *, look_again_s: float | None) -> None:
    """Take pending rows out of the ready index: each with why in one word, and in a sentence.

    `look_again_s`: they are looked at again after so many seconds even if nothing wakes them.
    """
    if not reasons:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_generation AS generation
            SET wait_reason = item.reason, wait_detail = item.detail, updated_at = now(),
                not_before = clock_timestamp() + make_interval(secs => %s)
            FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS item (id, reason, detail)
            WHERE generation.id = item.id AND generation.status = 'pending'
            """,
            [
                look_again_s,
                list(reasons),
                [reason for reason, _ in reasons.values()],
                [detail for _, detail in reasons.values()],
            ],
        )


def wake_due(limit: int = 1000) -> int:
    """Make parked rows ready whose time has come, by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_generation SET wait_reason = NULL, wait_detail = '', not_before = NULL,
                updated_at = now()
            WHERE id IN (
                SELECT id FROM packshot_generation
                WHERE status = 'pending' AND wait_reason IS NOT NULL AND not_before <= clock_timestamp()
                ORDER BY id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED)
            """,
            [limit],
        )
        return int(cursor.rowcount)


def wake_waiting_for(reason: str, *, limit: int = 500) -> int:
    """Make rows ready that wait for `reason`, which the caller has just removed. Never waits for a lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_generation SET wait_reason = NULL, wait_detail = '', not_before = NULL,
                updated_at = now()
            WHERE id IN (
                SELECT id FROM packshot_generation
                WHERE status = 'pending' AND wait_reason = %s
                ORDER BY priority DESC, id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED)
            """,
            [reason, limit],
        )
        return int(cursor.rowcount)


def waiting_for(reason: str) -> int:
    """How many generations wait for `reason`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM packshot_generation WHERE status = 'pending' AND wait_reason = %s", [reason]
        )
        return int(cursor.fetchone()[0])


def next_wake() -> datetime | None:
    """When the first parked row is due."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT min(not_before) FROM packshot_generation
            WHERE status = 'pending' AND wait_reason IS NOT NULL
            """
        )
        row = cursor.fetchone()
    return row[0] if row else None


def decoded(rows: Sequence[tuple[Any, ...]], *columns: int) -> list[tuple[Any, ...]]:
    """`rows` with the jsonb `columns` decoded: a raw cursor gives them as text."""
    return [
        tuple(
            json.loads(value) if place in columns and isinstance(value, str) else value
            for place, value in enumerate(row)
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Moved:
    """A generation that a person's verb moved, and what it was before."""

    id: UUID
    product_id: UUID
    provider: str
    model: str
    simulated: bool
    was_completed_at: datetime | None
    completed_at: datetime | None


_MOVED = "id, product_id, provider_id, model, simulated"


def cancel_pending(generation_ids: Sequence[UUID], *, words: str = "") -> list[Moved]:
    """`pending` to `cancelled`, and why in `words`; others are left alone. The rows are locked in order."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE packshot_generation SET status = 'cancelled', wait_reason = NULL, wait_detail = '',
                error_message = %s, not_before = NULL, completed_at = clock_timestamp(),
                updated_at = clock_timestamp()
            WHERE id = ANY(%s) AND status = 'pending'
            RETURNING {_MOVED}, NULL::timestamptz, completed_at
            """,
            [words, list(generation_ids)],
        )
        return [Moved(*row) for row in cursor.fetchall()]


def request_cancel(generation_ids: Sequence[UUID]) -> tuple[list[UUID], list[UUID]]:
    """Mark running ones: (the attempts that can still be released, the generations whose call is out)."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_generation
            SET cancel_requested_at = coalesce(cancel_requested_at, now()), updated_at = now()
            WHERE id = ANY(%s) AND status IN ('processing', 'uncertain') RETURNING id
            """,
            [list(generation_ids)],
        )
        running = [row[0] for row in cursor.fetchall()]
        cursor.execute(
            """
            SELECT id, generation_id FROM packshot_attempt
            WHERE generation_id = ANY(%s) AND state = 'intent' ORDER BY id
            """,
            [running],
        )
        intents = cursor.fetchall()
    unsent = {generation_id for _, generation_id in intents}
    return [attempt_id for attempt_id, _ in intents], [each for each in running if each not in unsent]


def lock(generation_ids: Sequence[UUID]) -> None:
    """Lock these rows in order of id, before anything else of theirs."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM packshot_generation WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE",
            [list(generation_ids)],
        )


# What was asked for on the simulator is never sent to the real service, nor the other way: it waits.
OF_ANOTHER_KEY = """
    CASE WHEN generation.simulated <> (
        SELECT record.simulated FROM packshot_provider AS record WHERE record.name = generation.provider_id
    ) THEN 'key' END
"""


def retry_failed(generation_ids: Sequence[UUID]) -> list[Moved]:
    """A person's retry: `failed` back to `pending` on the same row, with its cost so far kept."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH before AS (
                SELECT id, completed_at FROM packshot_generation
                WHERE id = ANY(%s) AND status = 'failed' ORDER BY id FOR NO KEY UPDATE
            )
            UPDATE packshot_generation AS generation
            SET status = 'pending', completed_at = NULL, error_kind = '', error_message = '',
                cancel_requested_at = NULL, not_before = NULL, worker_deaths = 0, updated_at = now(),
                wait_reason = {OF_ANOTHER_KEY}
            FROM before WHERE generation.id = before.id
            RETURNING {", ".join(f"generation.{name}" for name in _MOVED.split(", "))},
                before.completed_at, NULL::timestamptz
            """,
            [list(generation_ids)],
        )
        return [Moved(*row) for row in cursor.fetchall()]


def tally(run_id: UUID | None, generation_ids: Sequence[UUID]) -> dict[str, int]:
    """How many of a run, or of these generations, are in each status."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT status, count(*) FROM packshot_generation
            WHERE CASE WHEN %(run)s::uuid IS NULL THEN id = ANY(%(ids)s) ELSE run_id = %(run)s END
            GROUP BY status
            """,
            {"run": run_id, "ids": list(generation_ids)},
        )
        return dict(cursor.fetchall())
