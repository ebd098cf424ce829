"""Where a period is likely to end."""

import random

from packshot.ledger.forecast import forecast


def test_steady_days_go_on_as_they_were_without_spread():
    end = forecast(10_000, [1_000] * 10, 5)
    assert end is not None
    assert (end.low_micros, end.expected_micros, end.high_micros) == (15_000, 15_000, 15_000)


def test_too_few_days_tell_nothing():
    assert forecast(10_000, [1_000, 2_000], 5) is None


def test_a_period_that_is_over_ends_where_it_stands():
    end = forecast(10_000, [1_000, 5_000, 3_000], 0)
    assert end is not None
    assert end.low_micros == end.expected_micros == end.high_micros == 10_000


def test_it_never_ends_below_what_is_spent():
    end = forecast(10_000, [0, 0, 0, 90_000], 3)
    assert end is not None
    assert end.low_micros == 10_000
    assert end.expected_micros < end.high_micros


def test_about_four_of_five_periods_end_within_the_range():
    chance = random.Random(4)
    inside = 0
    trials = 2_000
    for _ in range(trials):
        days = [max(0, round(chance.gauss(1_000_000, 300_000))) for _ in range(28)]
        coming = sum(max(0, round(chance.gauss(1_000_000, 300_000))) for _ in range(9))
        end = forecast(5_000_000, days, 9)
        assert end is not None
        inside += end.low_micros <= 5_000_000 + coming <= end.high_micros
    assert 0.75 < inside / trials < 0.85
