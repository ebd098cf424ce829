"""Prices that the site edited: what it says itself a model costs, where the published table is not right."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.db import connection

# `unknown`: not spent automatically. `withdrawn`: what was said before for this choice holds no more.
PriceKind = Literal["price", "unknown", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Price:
    """One word of the site on what an image costs, from `valid_from` on. Amounts are micro-dollars."""

    id: int
    provider: str
    model: str
    key: str  # which choices it is for, such as `quality=high, shape=1:1`; empty: all
    kind: PriceKind
    amount_micros: int | None
    most_micros: int | None
    source: str
    valid_from: datetime
    by_name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Edition:
    """The prices of one provider that hold now. `number` changes with them; 0: none was ever edited."""

    number: int
    prices: tuple[Price, ...]


_COLUMNS = """id, provider, model, key, kind, amount_micros, most_micros, source, valid_from, by_name,
    created_at"""


def add_price(
    provider: str,
    model: str,
    *,
    key: str,
    kind: PriceKind,
    amount_micros: int | None,
    most_micros: int | None,
    source: str,
    valid_from: datetime | None,
    by_name: str,
) -> Price:
    """Write a price down; the provider's row is locked by the caller. `valid_from` None: from now on."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO packshot_price (provider, model, key, kind, amount_micros, most_micros, source,
                valid_from, by_name, created_at)
            VALUES (%s, %s, %s, %s, %s, %s, %s, coalesce(%s, clock_timestamp()), %s, clock_timestamp())
            RETURNING {_COLUMNS}
            """,
            [provider, model, key, kind, amount_micros, most_micros, source, valid_from, by_name],
        )
        return Price(*cursor.fetchone())


def edition(provider: str) -> Edition:
    """What holds now: of each model and choice the newest that is valid, those taken back included."""
    with connection.cursor() as cursor:
        # In one statement, so that the number is that of these prices.
        cursor.execute(
            f"""
            WITH valid AS MATERIALIZED (
                SELECT * FROM packshot_price WHERE provider = %s AND valid_from <= clock_timestamp()
            )
            SELECT (SELECT (count(*) << 40) + sum(id)::bigint FROM valid), {_COLUMNS}
            FROM (SELECT DISTINCT ON (model, key) * FROM valid ORDER BY model, key, id DESC) AS newest
            ORDER BY model, key
            """,
            [provider],
        )
        rows = cursor.fetchall()
    return Edition(rows[0][0] if rows else 0, tuple(Price(*row[1:]) for row in rows))


def price_history(provider: str, *, limit: int = 50) -> Sequence[Price]:
    """Every price that was written down for a provider, the newest first; some may hold from a later day."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM packshot_price WHERE provider = %s ORDER BY id DESC LIMIT %s",
            [provider, limit],
        )
        return [Price(*row) for row in cursor.fetchall()]
