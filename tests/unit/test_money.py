"""Money is integer micro-dollars, rounded up once, and unknown is never zero."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packshot.kernel.money import dollars, micros, parse_dollars, show


@given(st.fractions(min_value=0, max_value=1_000_000))
def test_rounding_up_never_loses_and_never_adds_a_whole_micro(amount):
    rounded = Fraction(micros(amount), 1_000_000)
    assert amount <= rounded < amount + Fraction(1, 1_000_000)


@given(st.integers(min_value=0, max_value=10**13))
def test_micros_and_dollars_are_exact_inverses(amount):
    assert micros(dollars(amount)) == amount


def test_a_float_is_refused():
    with pytest.raises(TypeError, match="float"):
        micros(0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize("amount", [-1, Decimal("-0.000001"), 10_000_001])
def test_negative_and_absurd_amounts_are_refused(amount):
    with pytest.raises(ValueError, match="outside"):
        micros(amount)


@pytest.mark.parametrize(
    ("text", "amount"), [("25", 25_000_000), (" $1,200.50 ", 1_200_500_000), ("0", 0), ("0.0000001", 1)]
)
def test_what_a_person_types_is_read_exactly(text, amount):
    assert parse_dollars(text) == amount


@pytest.mark.parametrize("text", ["", "ten", "-5", "NaN", "Infinity", "1e99", "5 EUR"])
def test_what_is_no_amount_is_refused_in_words(text):
    with pytest.raises(ValueError, match=r"dollars|outside"):
        parse_dollars(text)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (None, "unknown"),
        (0, "$0.00"),
        (63_000, "$0.063"),
        (41_820_000, "$41.82"),
        (1_104_750_000, "$1,104.75"),
        (12, "$0.000012"),
    ],
)
def test_amounts_are_shown_as_people_read_them(amount, shown):
    assert show(amount) == shown
