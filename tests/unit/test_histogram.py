"""Durations by place, and the percentiles that are read back from them."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packshot.reports.histogram import BOUNDS_MS, PLACES, bucket, percentile, whole_ms

durations = st.floats(min_value=0, max_value=5_000, allow_nan=False) | st.sampled_from(
    [bound / 1000 for bound in BOUNDS_MS]
)


def counted(seconds: list[float]) -> list[int]:
    histogram = [0] * PLACES
    for each in seconds:
        histogram[bucket(each)] += 1
    return histogram


def test_bounds_grow_by_the_same_factor_from_50_ms_to_over_ten_minutes() -> None:
    assert BOUNDS_MS[0] == 50
    assert BOUNDS_MS[-1] > 600_000
    assert len(BOUNDS_MS) + 1 == PLACES == 32
    for lower, upper in pairwise(BOUNDS_MS):
        assert upper / lower == pytest.approx(1.4, rel=0.01)


@given(durations)
def test_a_duration_lies_below_its_places_upper_bound_and_not_below_its_lower_one(seconds: float) -> None:
    place = bucket(seconds)
    if place > 0:
        assert whole_ms(seconds) >= BOUNDS_MS[place - 1]
    if place < len(BOUNDS_MS):
        assert whole_ms(seconds) < BOUNDS_MS[place]


@pytest.mark.parametrize("bound", BOUNDS_MS)
def test_a_bound_itself_belongs_to_the_place_above(bound: int) -> None:
    assert bucket(bound / 1000) == bucket((bound - 1) / 1000) + 1


@pytest.mark.parametrize(("seconds", "expected"), [(0.07, 70), (1.446999, 1446), (0.1 + 0.2, 300), (-3, 0)])
def test_whole_milliseconds_are_those_the_database_would_count(seconds: float, expected: int) -> None:
    assert whole_ms(seconds) == expected


@given(st.lists(durations, min_size=1, max_size=300), st.integers(min_value=1, max_value=100))
def test_a_percentile_lies_in_the_place_of_the_exact_one(seconds: list[float], percent: int) -> None:
    exact = sorted(seconds)[math.ceil(percent * len(seconds) / 100) - 1]
    estimate = percentile(counted(seconds), percent)
    assert estimate is not None
    assert bucket(estimate) == bucket(exact)


@given(st.lists(durations, max_size=50), st.lists(durations, max_size=50))
def test_the_histogram_of_everything_is_the_sum_of_the_histograms(
    one: list[float], other: list[float]
) -> None:
    summed = [a + b for a, b in zip(counted(one), counted(other), strict=True)]
    assert summed == counted(one + other)


def test_nothing_counted_has_no_percentile() -> None:
    assert percentile([0] * PLACES, 95) is None


def test_beyond_the_last_bound_the_estimate_is_that_bound() -> None:
    assert percentile(counted([3_000.0]), 50) == BOUNDS_MS[-1] / 1000
