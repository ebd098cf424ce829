"""What providers say of an account for nothing: its key, its balance, which models stop."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection

from packshot.generations.queue import decoded
from packshot.providers.contract import Inspection


@dataclass(frozen=True, slots=True)
class Inspected:
    """The newest look at one account."""

    provider: str
    simulated: bool
    key_works: bool | None  # None: it could not be told
    detail: str
    balance_micros: int | None
    stops: Mapping[str, date]  # by model
    told: Mapping[str, date]  # of which people were told, and for which day
    checked_at: datetime


_COLUMNS = "provider_id, simulated, key_works, detail, balance_micros, stops, told, checked_at"


def inspections() -> dict[str, Inspected]:
    """The newest look at each account that was ever looked at, by provider."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM packshot_inspection")
        rows = decoded(cursor.fetchall(), 5, 6)
    return {row[0]: Inspected(*(*row[:5], _days(row[5]), _days(row[6]), row[7])) for row in rows}


def keep_inspection(provider: str, found: Inspection, *, simulated: bool, told: Mapping[str, date]) -> None:
    """Store a look. What it could not see is kept from the look before, as long as that was at the same
    account: a network that is away for an hour takes back no balance and no stop."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO packshot_inspection AS before
                (provider_id, simulated, key_works, detail, balance_micros, stops, told, checked_at)
            VALUES (%(provider)s, %(simulated)s, %(works)s, %(detail)s, %(balance)s,
                %(stops)s::jsonb, %(told)s::jsonb, clock_timestamp())
            ON CONFLICT (provider_id) DO UPDATE SET
                simulated = excluded.simulated, key_works = excluded.key_works, detail = excluded.detail,
                balance_micros = CASE WHEN excluded.key_works IS NULL
                        AND before.simulated = excluded.simulated
                    THEN coalesce(excluded.balance_micros, before.balance_micros)
                    ELSE excluded.balance_micros END,
                stops = CASE WHEN excluded.key_works IS NOT TRUE AND before.simulated = excluded.simulated
                    THEN before.stops || excluded.stops ELSE excluded.stops END,
                told = excluded.told, checked_at = excluded.checked_at
            """,
            {
                "provider": provider,
                "simulated": simulated,
                "works": found.key_works,
                "detail": found.detail.replace("\0", "")[:1000],
                "balance": found.balance,
                "stops": json.dumps(_words(found.stops)),
                "told": json.dumps(_words(told)),
            },
        )


def _days(words: Mapping[str, Any]) -> dict[str, date]:
    return {model: date.fromisoformat(day) for model, day in words.items()}


def _words(days: Mapping[str, date]) -> dict[str, str]:
    return {model: day.isoformat() for model, day in days.items()}
