"""What each provider may do now: switch, pause, seats, rate, waits. Its row is an admission's first lock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from packshot.generations.policy import OUTAGE_AFTER


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """What this installation knows of a provider at start."""

    name: str
    label: str
    simulated: bool
    available: bool
    max_in_flight: int
    per_minute: int | None


@dataclass(frozen=True, slots=True)
class Gate:
    """A provider's row, locked: how many requests it may take now, or why none."""

    name: str
    simulated: bool
    room: int
    closed: str | None  # off, unavailable, paused, waiting, full
    price_edition: int = 0  # of the prices that the site edited (ledger/prices.py)


def enrol_providers(facts: Sequence[ProviderFacts]) -> None:
    """Bring the table in line with what is installed. Limits that an administrator edited stay."""
    with connection.cursor() as cursor:
        for each in sorted(facts, key=lambda fact: fact.name):
            cursor.execute(
                """
                INSERT INTO packshot_provider (name, label, simulated, available, switched_on, paused_kind,
                    paused_message, max_in_flight, per_minute, tokens, refilled_at, busy_in_row)
                VALUES (%(name)s, %(label)s, %(simulated)s, %(available)s, false, '', '',
                    %(max_in_flight)s, %(per_minute)s, 1, now(), 0)
                ON CONFLICT (name) DO UPDATE SET label = excluded.label, simulated = excluded.simulated,
                    available = excluded.available
                WHERE (packshot_provider.label, packshot_provider.simulated, packshot_provider.available)
                    IS DISTINCT FROM (excluded.label, excluded.simulated, excluded.available)
                """,
                {
                    "name": each.name,
                    "label": each.label,
                    "simulated": each.simulated,
                    "available": each.available,
                    "max_in_flight": each.max_in_flight,
                    "per_minute": each.per_minute,
                },
            )
            # What was asked for on the simulator is never sent to the real service, nor the other way.
            cursor.execute(
                """
                UPDATE packshot_generation SET wait_reason = 'key', not_before = NULL, updated_at = now(),
                    wait_detail = CASE WHEN simulated
                        THEN 'asked for on the simulator, which is off now: cancel it and ask again'
                        ELSE 'asked for with a real key, which is gone: set the key, or cancel it' END
                WHERE provider_id = %s AND status = 'pending' AND simulated <> %s
                    AND wait_reason IS DISTINCT FROM 'key'
                """,
                [each.name, each.simulated],
            )
            cursor.execute(
                """
                UPDATE packshot_generation SET wait_reason = NULL, wait_detail = '', updated_at = now()
                WHERE provider_id = %s AND status = 'pending' AND simulated = %s AND wait_reason = 'key'
                """,
                [each.name, each.simulated],
            )


def open_gate(provider: str) -> Gate:
    """Lock the provider's row and count how many requests it may take now, by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM packshot_provider WHERE name = %s FOR NO KEY UPDATE", [provider])
        # A fresh statement, for the reason given at ledger.reserve.
        cursor.execute(
            """
            SELECT simulated, available, switched_on, paused_at IS NOT NULL, archived_at IS NOT NULL,
                coalesce(wait_until > clock_timestamp(), false), per_minute,
                least(
                    -- A bucket of a second's worth, at least one request.
                    greatest(per_minute / 60.0, 1),
                    tokens + extract(epoch FROM clock_timestamp() - refilled_at) * per_minute / 60.0
                ),
                -- The circuit: after so many busy answers in a row one request tries whether it is over.
                CASE WHEN busy_in_row >= %s THEN least(max_in_flight, 1) ELSE max_in_flight END - (
                    SELECT count(*) FROM packshot_attempt AS attempt
                    WHERE attempt.provider = %s AND attempt.batch_id IS NULL
                        AND attempt.state IN ('intent', 'sending', 'accepted')),
                packshot_price_edition(name)
            FROM packshot_provider WHERE name = %s
            """,
            [OUTAGE_AFTER, provider, provider],
        )
        row = cursor.fetchone()
    if row is None:
        return Gate(provider, simulated=True, room=0, closed="unavailable")
    simulated, available, switched_on, paused, archived, waiting, per_minute, tokens, seats, edition = row
    closed = None
    if archived or not available:
        closed = "unavailable"
    elif not simulated and not switched_on:
        closed = "off"
    elif paused:
        closed = "paused"
    elif waiting:
        closed = "waiting"
    room = max(0, seats) if per_minute is None else min(max(0, seats), int(tokens))
    if closed is None and room == 0:
        closed = "full"
    return Gate(provider, simulated, 0 if closed else room, closed, edition)


def take(provider: str, requests: int) -> None:
    """Note that `requests` are about to leave; the row is locked by `open_gate`."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_provider SET refilled_at = clock_timestamp(), tokens = greatest(0, least(
                    greatest(per_minute / 60.0, 1),
                    tokens + extract(epoch FROM clock_timestamp() - refilled_at) * per_minute / 60.0
                ) - %s)
            WHERE name = %s AND per_minute IS NOT NULL
            """,
            [requests, provider],
        )


def make_wait(waits: Mapping[str, float]) -> None:
    """Each provider takes nothing for so many seconds; a longer wait that stands already stays."""
    with connection.cursor() as cursor:
        for provider, seconds in sorted(waits.items()):
            cursor.execute(
                """
                UPDATE packshot_provider SET busy_in_row = busy_in_row + 1,
                    wait_until = greatest(wait_until, clock_timestamp() + make_interval(secs => %s))
                WHERE name = %s
                """,
                [seconds, provider],
            )


def calm(providers: Sequence[str]) -> None:
    """These answered: the next busy answer starts from the shortest wait again."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE packshot_provider SET busy_in_row = 0 WHERE name = ANY(%s) AND busy_in_row > 0",
            [sorted(providers)],
        )


@dataclass(frozen=True, slots=True)
class Called:
    """Which provider an attempt called, and how often in a row that provider has been busy."""

    provider: str
    busy_in_row: int


def providers_of(attempt_ids: Sequence[UUID]) -> dict[UUID, Called]:
    """The provider each attempt called. Locks nothing."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT attempt.id, attempt.provider, coalesce(provider.busy_in_row, 0)
            FROM packshot_attempt AS attempt
            LEFT JOIN packshot_provider AS provider ON provider.name = attempt.provider
            WHERE attempt.id = ANY(%s)
            """,
            [list(attempt_ids)],
        )
        return {row[0]: Called(row[1], row[2]) for row in cursor.fetchall()}


def lock_providers(names: Sequence[str]) -> dict[str, int]:
    """Lock these providers' rows in order; gives each one's `busy_in_row`."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT name, busy_in_row FROM packshot_provider WHERE name = ANY(%s)
            ORDER BY name FOR NO KEY UPDATE
            """,
            [sorted(names)],
        )
        return dict(cursor.fetchall())


def pause(provider: str, *, kind: str, message: str) -> bool:
    """Take nothing more from the queue for `provider` until it is resumed. False: it was paused already."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_provider SET paused_at = now(), paused_kind = %s, paused_message = %s
            WHERE name = %s AND paused_at IS NULL RETURNING name
            """,
            [kind, message, provider],
        )
        return cursor.fetchone() is not None


def resume(provider: str) -> bool:
    """Take requests again. False: it was not paused."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_provider SET paused_at = NULL, paused_kind = '', paused_message = '',
                wait_until = NULL, busy_in_row = 0, draining = false
            WHERE name = %s AND (paused_at IS NOT NULL OR wait_until IS NOT NULL OR draining)
            """,
            [provider],
        )
        return bool(cursor.rowcount)


def drain(provider: str) -> bool:
    """Take no new request, and make what is queued. False: it drains already."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE packshot_provider SET draining = true WHERE name = %s AND NOT draining", [provider]
        )
        return bool(cursor.rowcount)


def set_limits(provider: str, *, max_in_flight: int, per_minute: int | None) -> bool:
    """How much may run at once, and begin in a minute (None: any number). False: nothing changed."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE packshot_provider SET max_in_flight = %(most)s, per_minute = %(rate)s,
                -- What was saved up at a higher rate is not spent at the lower one.
                tokens = least(tokens, greatest(%(rate)s / 60.0, 1)), refilled_at = clock_timestamp()
            WHERE name = %(provider)s AND (max_in_flight, per_minute) IS DISTINCT FROM (%(most)s, %(rate)s)
            """,
            {"provider": provider, "most": max_in_flight, "rate": per_minute},
        )
        return bool(cursor.rowcount)


def switch(provider: str, *, on: bool) -> bool:
    """Let a provider with a key spend real money, or stop it. False: nothing changed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE packshot_provider SET switched_on = %s WHERE name = %s AND switched_on <> %s",
            [on, provider, on],
        )
        return bool(cursor.rowcount)


def next_opening() -> datetime | None:
    """When the first waiting provider opens again."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(wait_until) FROM packshot_provider WHERE wait_until > clock_timestamp()")
        row = cursor.fetchone()
    return row[0] if row else None


@dataclass(frozen=True, slots=True)
class Switch:
    """Whether a provider can be asked, and with whose money."""

    simulated: bool
    available: bool
    switched_on: bool
    draining: bool = False
    price_edition: int = 0  # of the prices that the site edited (ledger/prices.py)


def provider_switch(provider: str) -> Switch | None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT simulated, available AND archived_at IS NULL, switched_on, draining,
                packshot_price_edition(name)
            FROM packshot_provider WHERE name = %s
            """,
            [provider],
        )
        row = cursor.fetchone()
    return Switch(*row) if row else None
