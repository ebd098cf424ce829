"""Many generations at once: an action with its items, carried out in turns; the verbs only it has."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from django.db import connection

from packshot.generations.queue import _MOVED, OF_ANOTHER_KEY, Given, Moved, decoded, given_of

Kind = Literal["retry", "hand_over", "cancel", "reprioritise", "undo"]
Outcome = Literal["done", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Action:
    """An action on many, locked or as it was read."""

    id: UUID
    kind: Kind
    asked_by_id: UUID | None
    asked_by_name: str
    arguments: Mapping[str, Any]
    undo_of_id: UUID | None
    run_id: UUID | None
    size: int
    next_place: int
    finished: bool


@dataclass(frozen=True, slots=True)
class Item:
    """One generation of an action whose turn it is."""

    place: int
    generation_id: UUID
    quoted_micros: int | None
    before: str


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an item, and why where it needs a word."""

    place: int
    outcome: Outcome
    reason: str = ""
    before: str = ""
    made_id: UUID | None = None


def begin_action(
    action_id: UUID,
    kind: Kind,
    *,
    request_key: str,
    person_id: UUID | None,
    person_name: str,
    filter: Mapping[str, str],  # noqa: A002
    chosen: bool,
    arguments: Mapping[str, Any],
    run_id: UUID | None,
    items: Sequence[tuple[UUID, int | None]],
    quoted: Sequence[Mapping[str, Any]],
    quoted_micros: int | None,
) -> UUID:
    """Store an action with its items, each a generation and its quote. Returns its id: that of the first one
    under this key, where there was one before."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO packshot_bulk_action (id, request_key, kind, asked_by_id, asked_by_name, filter,
                chosen, arguments, run_id, size, quoted, quoted_micros, next_place, done, failed, skipped,
                stopped_by_name)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 0, 0, 0, 0, '')
            ON CONFLICT (request_key) DO NOTHING
            """,
            [
                action_id,
                request_key,
                kind,
                person_id,
                person_name,
                json.dumps(dict(filter)),
                chosen,
                json.dumps(dict(arguments)),
                run_id,
                len(items),
                json.dumps([dict(each) for each in quoted]),
                quoted_micros,
            ],
        )
        if not cursor.rowcount:
            return action_under(request_key) or action_id
        cursor.execute(
            """
            INSERT INTO packshot_bulk_item (action_id, place, generation_id, quoted_micros)
            SELECT %s, item.place - 1, item.id, item.micros
            FROM unnest(%s::uuid[], %s::bigint[]) WITH ORDINALITY AS item (id, micros, place)
            """,
            [action_id, [each[0] for each in items], [each[1] for each in items]],
        )
    return action_id


def begin_undo(
    action_id: UUID, of: UUID, *, request_key: str, person_id: UUID | None, person_name: str
) -> int:
    """Store the action that takes back what `of` did and can be taken back. Returns how many items it has;
    0: there is nothing, or it was taken back before."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO packshot_bulk_action (id, request_key, kind, asked_by_id, asked_by_name, filter,
                chosen, arguments, undo_of_id, size, quoted, next_place, done, failed, skipped,
                stopped_by_name)
            SELECT %(id)s, %(key)s, 'undo', %(person)s, %(name)s, action.filter, action.chosen,
                jsonb_build_object('kind', action.kind, 'priority', action.arguments -> 'priority'),
                action.id, 0, '[]', 0, 0, 0, 0, ''
            FROM packshot_bulk_action AS action
            WHERE action.id = %(of)s AND action.kind IN ('cancel', 'reprioritise')
                AND action.finished_at IS NOT NULL
            ON CONFLICT DO NOTHING
            """,
            {"id": action_id, "of": of, "key": request_key, "person": person_id, "name": person_name},
        )
        if not cursor.rowcount:
            return 0
        cursor.execute(
            """
            WITH taken AS (
                INSERT INTO packshot_bulk_item (action_id, place, generation_id, before)
                SELECT %(id)s, row_number() OVER (ORDER BY item.place) - 1, item.generation_id, item.before
                FROM packshot_bulk_item AS item
                JOIN packshot_bulk_action AS action ON action.id = item.action_id
                WHERE item.action_id = %(of)s AND item.outcome = 'done'
                    AND (action.kind = 'reprioritise' OR item.before = 'pending')
                RETURNING 1)
            UPDATE packshot_bulk_action SET size = (SELECT count(*) FROM taken) WHERE id = %(id)s
            RETURNING size
            """,
            {"id": action_id, "of": of},
        )
        size = int(cursor.fetchone()[0])
        if not size:
            cursor.execute("DELETE FROM packshot_bulk_action WHERE id = %s", [action_id])
        return size


_ACTION = """
    id, kind, asked_by_id, asked_by_name, arguments, undo_of_id, run_id, size, next_place,
    finished_at IS NOT NULL
"""


def action_under(request_key: str) -> UUID | None:
    """The action that was accepted under this key."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM packshot_bulk_action WHERE request_key = %s", [request_key])
        row = cursor.fetchone()
    return row[0] if row else None


def action(action_id: UUID, *, lock: bool = False) -> Action | None:
    """One action; with `lock` its row, before the rows of any generation, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_ACTION} FROM packshot_bulk_action WHERE id = %s {'FOR UPDATE' if lock else ''}",
            [action_id],
        )
        rows = decoded(cursor.fetchall(), 4)
    return Action(*rows[0]) if rows else None


def next_items(action_id: UUID, place: int, limit: int) -> list[Item]:
    """The items of a locked action from `place` on."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT place, generation_id, quoted_micros, before FROM packshot_bulk_item
            WHERE action_id = %s AND place >= %s AND outcome = '' ORDER BY place LIMIT %s
            """,
            [action_id, place, limit],
        )
        return [Item(*row) for row in cursor.fetchall()]


def note_results(action_id: UUID, results: Sequence[Result]) -> bool:
    """Write down what became of these items of a locked action. True: they were its last."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_bulk_item AS item SET outcome = result.outcome, reason = result.reason,
                before = CASE WHEN result.before = '' THEN item.before ELSE result.before END,
                made_id = result.made, at = clock_timestamp()
            FROM unnest(%s::int[], %s::text[], %s::text[], %s::text[], %s::uuid[])
                AS result (place, outcome, reason, before, made)
            WHERE item.action_id = %s AND item.place = result.place AND item.outcome = ''
            """,
            [
                [each.place for each in results],
                [each.outcome for each in results],
                [each.reason for each in results],
                [each.before for each in results],
                [each.made_id for each in results],
                action_id,
            ],
        )
        counts = {
            name: sum(each.outcome == name for each in results) for name in ("done", "failed", "skipped")
        }
        cursor.execute(
            """
            UPDATE packshot_bulk_action SET done = done + %(done)s, failed = failed + %(failed)s,
                skipped = skipped + %(skipped)s, next_place = greatest(next_place, %(next)s),
                updated_at = clock_timestamp(),
                finished_at = CASE WHEN done + failed + skipped + %(all)s >= size THEN clock_timestamp() END
            WHERE id = %(id)s RETURNING finished_at IS NOT NULL
            """,
            {
                **counts,
                "all": len(results),
                "next": max((each.place for each in results), default=-1) + 1,
                "id": action_id,
            },
        )
        return bool(cursor.fetchone()[0])


def stop_action(action_id: UUID, *, reason: str, by_name: str) -> int:
    """End a locked action: what had no turn yet is skipped. Returns how many that are."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_bulk_item SET outcome = 'skipped', reason = %s, at = clock_timestamp()
            WHERE action_id = %s AND outcome = ''
            """,
            [reason, action_id],
        )
        left = int(cursor.rowcount)
        cursor.execute(
            """
            UPDATE packshot_bulk_action SET skipped = skipped + %s, stopped_by_name = %s, next_place = size,
                updated_at = clock_timestamp(), finished_at = clock_timestamp()
            WHERE id = %s AND finished_at IS NULL
            """,
            [left, by_name, action_id],
        )
    return left


def stalled_actions(*, older_than_s: float) -> list[tuple[UUID, int]]:
    """Actions that are not finished and did not move for so long, with the place that is next."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id, next_place FROM packshot_bulk_action
            WHERE finished_at IS NULL AND updated_at < clock_timestamp() - make_interval(secs => %s)
            ORDER BY updated_at LIMIT 100
            """,
            [older_than_s],
        )
        return list(cursor.fetchall())


# -- the verbs that only many have ---------------------------------------------------------------------


def begin_run(*, title: str, size: int, person_id: UUID | None, person_name: str, run_id: UUID) -> None:
    """The run of what an action asks for anew."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO packshot_run (id, title, asked_by_id, asked_by_name, size, created_at)
            VALUES (%s, %s, %s, %s, %s, now())
            """,
            [run_id, title, person_id, person_name, size],
        )


def statuses_of(generation_ids: Sequence[UUID]) -> dict[UUID, str]:
    """How each of these stands."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, status FROM packshot_generation WHERE id = ANY(%s)", [list(generation_ids)]
        )
        return dict(cursor.fetchall())


def reprioritise(priorities: Mapping[UUID, int]) -> dict[UUID, int]:
    """Give what is pending another priority. Returns what each had before; others are left alone."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH before AS (
                SELECT generation.id, generation.priority AS was, item.priority
                FROM packshot_generation AS generation
                JOIN unnest(%s::uuid[], %s::smallint[]) AS item (id, priority) ON item.id = generation.id
                WHERE generation.status = 'pending' ORDER BY generation.id FOR NO KEY UPDATE OF generation
            )
            UPDATE packshot_generation AS generation SET priority = before.priority, updated_at = now()
            FROM before WHERE generation.id = before.id RETURNING generation.id, before.was
            """,
            [list(priorities), list(priorities.values())],
        )
        return dict(cursor.fetchall())


def priorities_of(generation_ids: Sequence[UUID]) -> dict[UUID, int]:
    """The priority of each of these."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, priority FROM packshot_generation WHERE id = ANY(%s)", [list(generation_ids)]
        )
        return dict(cursor.fetchall())


def take_back_cancel(generation_ids: Sequence[UUID]) -> list[Moved]:
    """`cancelled` back to `pending`, where nothing is on its way and nothing came of it."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH before AS (
                SELECT id, completed_at FROM packshot_generation AS generation
                WHERE id = ANY(%s) AND status = 'cancelled' AND NOT EXISTS (
                    SELECT 1 FROM packshot_attempt AS attempt WHERE attempt.generation_id = generation.id
                        AND attempt.state IN ('intent', 'sending', 'accepted', 'uncertain', 'succeeded'))
                ORDER BY id FOR NO KEY UPDATE
            )
            UPDATE packshot_generation AS generation
            SET status = 'pending', completed_at = NULL, error_message = '', cancel_requested_at = NULL,
                not_before = NULL, updated_at = now(), wait_reason = {OF_ANOTHER_KEY}
            FROM before WHERE generation.id = before.id
            RETURNING {", ".join(f"generation.{name}" for name in _MOVED.split(", "))},
                before.completed_at, NULL::timestamptz
            """,
            [list(generation_ids)],
        )
        return [Moved(*row) for row in cursor.fetchall()]


def tried_again(generation_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Those of these for which another one was asked for that may still come or came: with whom."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT generation.id, min(other.provider_id)
            FROM packshot_generation AS generation
            JOIN packshot_generation AS other ON other.product_id = generation.product_id
                AND other.retry_of_id = generation.id
            WHERE generation.id = ANY(%s)
                AND other.status IN ('pending', 'processing', 'completed', 'uncertain')
            GROUP BY generation.id
            """,
            [list(generation_ids)],
        )
        return dict(cursor.fetchall())


@dataclass(frozen=True, slots=True)
class Original:
    """What a generation asked for, to be asked of somebody else."""

    id: UUID
    status: str
    product_id: UUID
    archived: bool  # its product
    template_version_id: UUID | None
    prompt: str
    shape: str
    shape_fit: str
    images: int
    negative_prompt: str
    inputs: tuple[Given, ...]
    priority: int


def originals(generation_ids: Sequence[UUID]) -> list[Original]:
    """What each of these asked for, in the order of their ids."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT generation.id, generation.status, generation.product_id, product.archived_at IS NOT NULL,
                generation.template_version_id, generation.prompt, generation.shape, generation.shape_fit,
                generation.images, generation.negative_prompt, generation.inputs, generation.priority
            FROM packshot_generation AS generation
            JOIN packshot_product AS product ON product.id = generation.product_id
            WHERE generation.id = ANY(%s) ORDER BY generation.id
            """,
            [list(generation_ids)],
        )
        return [Original(*(*row[:10], given_of(row[10]), row[11])) for row in decoded(cursor.fetchall(), 10)]
