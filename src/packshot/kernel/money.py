"""Money is integer micro-dollars. Fractions exist only between a price table and one rounding up."""

from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import ceil
from typing import NewType

Micros = NewType("Micros", int)

PER_DOLLAR = 1_000_000
# The database column is a bigint; a single amount above ten million dollars is a mistake, not a price.
LARGEST = 10_000_000 * PER_DOLLAR


def micros(dollars: Fraction | Decimal | int | str) -> Micros:
    """`dollars` in micro-dollars, rounded up once. A float is refused: it already lost the cent."""
    if isinstance(dollars, float):
        raise TypeError("money is never a float; pass a string, Decimal or Fraction")
    amount = ceil(Fraction(dollars) * PER_DOLLAR)
    if not 0 <= amount <= LARGEST:
        raise ValueError(f"{dollars} dollars is outside 0 to {LARGEST // PER_DOLLAR:,}")
    return Micros(amount)


def parse_dollars(text: str) -> Micros:
    """What a person typed, such as `25`, `$1,200.50`, in micro-dollars. Raises ValueError in words."""
    cleaned = text.strip().removeprefix("$").replace(",", "").strip()
    try:
        value = Decimal(cleaned)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not an amount of dollars; write it like 25 or 25.50") from None
    if not value.is_finite() or value < 0:
        raise ValueError(f"{text!r} is not an amount of dollars; it must be zero or more")
    return micros(value)


def dollars(amount: int) -> Decimal:
    """`amount` micro-dollars as an exact Decimal of dollars."""
    return Decimal(amount) / PER_DOLLAR


def show(amount: int | None) -> str:
    """For people: `$41.82` from ten cents up, `$0.063` below that, `unknown` for an unknown price."""
    if amount is None:
        return "unknown"
    if amount == 0:
        return "$0.00"
    places = 2 if abs(amount) >= PER_DOLLAR // 10 else 3
    if abs(amount) < 500:
        places = 6
    return f"${dollars(amount):,.{places}f}"
