"""Whom to ask next. Written with the request; followed when who was asked refused, or is down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection
from psycopg.types.json import Jsonb

from packshot.generations.policy import OUTAGE_AFTER
from packshot.generations.queue import Given, decoded, given_of

# What another provider may well do. A picture that cannot be used, or a bug of ours, stays what it is.
SWITCHES = ("refused", "retired_model", "bad_request", "server_error", "bad_answer")


@dataclass(frozen=True, slots=True)
class Hop:
    """A provider and a model of it."""

    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class Routed:
    """Why a generation goes to whom it goes, and to whom next. `most_micros`: agreed to, for any of them."""

    generation_id: UUID
    by: str
    because: str
    then: tuple[Hop, ...]
    most_micros: int | None
    instead_of: UUID | None = None


@dataclass(frozen=True, slots=True)
class Stranded:
    """A generation whose provider refused, or is down, with others to ask; its rows are locked."""

    id: UUID
    status: str  # failed, or pending: nothing of it was sent
    provider: str
    model: str
    product_id: UUID
    simulated: bool
    prompt: str
    template_version_id: UUID | None
    shape: str
    images: int
    seed: int | None
    priority: int
    person_id: UUID | None
    person_name: str
    negative_prompt: str
    inputs: tuple[Given, ...]
    error_kind: str
    by: str
    then: tuple[Hop, ...]
    most_micros: int | None
    sku: str
    spent_micros: int  # what it has cost, and what it may have
    shape_fit: str


def write_routes(routes: Sequence[Routed]) -> None:
    """Keep these with their generations, in the caller's transaction."""
    if not routes:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO packshot_route
                (generation_id, by, because, "then", most_micros, instead_of_id, settled_at)
            SELECT item.id, item.by, item.because, item.hops, item.most, item.instead_of,
                CASE WHEN item.hops = '[]'::jsonb THEN now() END
            FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::jsonb[], %s::bigint[], %s::uuid[])
                AS item (id, by, because, hops, most, instead_of)
            """,
            [
                [each.generation_id for each in routes],
                [each.by for each in routes],
                [each.because for each in routes],
                [Jsonb([[hop.provider, hop.model] for hop in each.then]) for each in routes],
                [each.most_micros for each in routes],
                [each.instead_of for each in routes],
            ],
        )


def settle_routes(generation_ids: Sequence[UUID] | None = None) -> None:
    """Nothing follows after these; None: after all that ended otherwise than by a failure."""
    with connection.cursor() as cursor:
        if generation_ids is None:
            cursor.execute(
                # What another worker settles at this moment is settled.
                """
                WITH ended AS (
                    SELECT route.generation_id FROM packshot_route AS route
                    JOIN packshot_generation AS generation ON generation.id = route.generation_id
                    WHERE route.settled_at IS NULL AND (generation.status IN ('completed', 'cancelled')
                        OR (generation.status = 'failed' AND NOT generation.error_kind = ANY(%s)))
                    ORDER BY route.generation_id FOR NO KEY UPDATE OF route SKIP LOCKED
                )
                UPDATE packshot_route SET settled_at = clock_timestamp()
                WHERE generation_id IN (SELECT generation_id FROM ended)
                """,
                [list(SWITCHES)],
            )
        else:
            cursor.execute(
                "UPDATE packshot_route SET settled_at = clock_timestamp() WHERE generation_id = ANY(%s)",
                [list(generation_ids)],
            )


def stranded(*, patience_s: float, limit: int) -> list[Stranded]:
    """Generations with an open route that failed in a way another provider may not, or that have waited so
    long for a provider which is paused, off, gone, or does not answer. Locked; others' are passed over."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT generation.id, generation.status, generation.provider_id, generation.model,
                generation.product_id, generation.simulated, generation.prompt,
                generation.template_version_id, generation.shape, generation.images, generation.seed,
                generation.priority, generation.asked_by_id, generation.asked_by_name,
                generation.negative_prompt, generation.inputs, generation.error_kind, route.by, route."then",
                route.most_micros, product.sku, coalesce(generation.actual_micros, 0)
                    + CASE WHEN generation.cost_unknown THEN coalesce(generation.ceiling_micros, 0)
                        ELSE 0 END, generation.shape_fit
            FROM packshot_route AS route
            JOIN packshot_generation AS generation ON generation.id = route.generation_id
            JOIN packshot_provider AS provider ON provider.name = generation.provider_id
            JOIN packshot_product AS product ON product.id = generation.product_id
            WHERE route.settled_at IS NULL
                AND ((generation.status = 'failed' AND generation.error_kind = ANY(%s))
                    OR (generation.status = 'pending'
                        AND generation.updated_at < clock_timestamp() - make_interval(secs => %s)
                        AND (provider.paused_at IS NOT NULL OR NOT provider.available
                            OR provider.archived_at IS NOT NULL OR provider.busy_in_row >= %s
                            OR NOT (provider.simulated OR provider.switched_on))))
            ORDER BY generation.id LIMIT %s
            FOR NO KEY UPDATE OF generation SKIP LOCKED
            """,
            [list(SWITCHES), patience_s, OUTAGE_AFTER, limit],
        )
        return [_stranded(row) for row in decoded(cursor.fetchall(), 15, 18)]


def _stranded(row: tuple[Any, ...]) -> Stranded:
    values = list(row)
    values[15] = given_of(row[15])
    values[18] = tuple(Hop(*each) for each in row[18])
    return Stranded(*values)


def route_of(generation_id: UUID) -> Mapping[str, Any] | None:
    """Why it went where it went: by, because, instead_of, and the generation that was made in its place."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT route.by, route.because, route.instead_of_id, next.generation_id
            FROM packshot_generation AS generation
            LEFT JOIN packshot_route AS route ON route.generation_id = generation.id
            LEFT JOIN packshot_route AS next ON next.instead_of_id = generation.id
            WHERE generation.id = %s AND (route.by IS NOT NULL OR next.generation_id IS NOT NULL)
            """,
            [generation_id],
        )
        row = cursor.fetchone()
    return dict(zip(("by", "because", "instead_of", "then"), row, strict=True)) if row else None
