"""The stretch of time that a page looks at, from an address that anybody may have written."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packshot.web.periods import DAY, LONGEST_DAYS, Period, of_argument, period_of


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"days": "31"},
        {"days": "-7"},
        {"days": "٧"},
        {"from": "2026-11-01"},
        {"from": "2026-02-30", "to": "2026-03-01"},
        {"from": "0001-01-01", "to": "9999-12-31"},
        {"from": "20261101", "to": "2026-11-02"},
    ],
)
def test_what_makes_no_sense_is_the_last_24_hours(asked):
    assert period_of(asked) == DAY


def test_days_and_dates_are_taken_as_they_are_written():
    assert period_of({"days": "7"}) == Period(7)
    assert period_of({"from": "2026-11-01", "to": "2026-11-01"}) == Period(
        1, date(2026, 11, 1), date(2026, 11, 1)
    )
    assert not period_of({"from": "2026-11-01", "to": "2026-11-01"}).hourly
    assert period_of({"from": "2026-11-20", "to": "2026-11-01"}).first == date(2026, 11, 1)


dates = st.dates(date(2000, 1, 1), date(2999, 12, 31))


@given(dates, dates)
def test_a_range_survives_every_way_it_is_written_and_is_bounded(one, other):
    period = period_of({"from": str(one), "to": str(other)})
    assert of_argument(period.argument) == period
    assert len(period.argument) <= 64
    assert 1 <= period.days <= LONGEST_DAYS
    assert period.last == max(one, other)


def test_a_long_range_is_drawn_by_weeks():
    assert period_of({"from": "2026-01-01", "to": "2026-03-01"}).step == 1
    long = period_of({"from": "2026-01-01", "to": "2026-11-01"})
    assert (long.step, long.bars) == (7, 44)
