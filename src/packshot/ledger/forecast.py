"""Where a budget's period is likely to end. Pure: daily sums in, a range out."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

# Fewer whole days than this tell nothing about the next ones.
LEAST_DAYS = 3
# Four of five periods end within the range, if days are like those before.
_Z80 = 1.2816


@dataclass(frozen=True, slots=True)
class Forecast:
    """What will have been spent at the period's end, in micro-dollars: likely between `low` and `high`."""

    expected_micros: int
    low_micros: int
    high_micros: int


def forecast(spent_micros: int, whole_days: Sequence[int], days_left: float) -> Forecast | None:
    """The end of a period with `days_left` to go, by what was spent on the `whole_days` before today.

    Days without spending belong in `whole_days` as 0. None: too few days to say.
    """
    if len(whole_days) < LEAST_DAYS:
        return None
    left = max(0.0, days_left)
    mean = sum(whole_days) / len(whole_days)
    variance = sum((day - mean) ** 2 for day in whole_days) / (len(whole_days) - 1)
    # The mean itself is only known from so many days, which adds to the spread of the days to come.
    spread = _Z80 * sqrt(variance * (left + left**2 / len(whole_days)))
    expected = spent_micros + mean * left
    return Forecast(
        round(expected),
        max(spent_micros, round(expected - spread)),
        round(expected + spread),
    )
