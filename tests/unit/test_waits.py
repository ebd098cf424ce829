"""How long a provider asks us to wait, read from its answer."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import time_machine

from packshot.providers.answers import LONGEST_WAIT_S, wait_s
from packshot.providers.http import Answer

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def asked(**headers: str) -> float:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return wait_s(Answer(429, named, b""), default=5.0)


@pytest.mark.parametrize("days_off", [-1, 0, 1])
def test_a_date_is_read_by_the_providers_clock_however_wrong_ours_is(days_off):
    with time_machine.travel(NOW + timedelta(days=days_off), tick=False):
        until = format_datetime(NOW + timedelta(seconds=40), usegmt=True)
        assert asked(date=format_datetime(NOW, usegmt=True), retry_after=until) == 40.0


@pytest.mark.parametrize("date", [None, "", "yesterday", "Mon, 23 Nov 2026 12:00:00 GMT, Mon, 23 Nov 2026"])
def test_without_a_date_of_the_answer_our_clock_must_do(date):
    with time_machine.travel(NOW, tick=False):
        until = format_datetime(NOW + timedelta(seconds=40), usegmt=True)
        assert asked(retry_after=until, **({} if date is None else {"date": date})) == 40.0


@pytest.mark.parametrize("text", ["1000000000", "9" * 400, "900.5"])
def test_no_wait_is_longer_than_a_quarter_of_an_hour(text):
    assert asked(retry_after=text) == LONGEST_WAIT_S


@pytest.mark.parametrize(
    "text", ["", "soon", "-5", "1e9", "\u0663", "0x10", "nan", "inf", "Thu, 99 Foo 2026"]
)
def test_what_is_no_wait_is_not_one(text):
    assert asked(retry_after=text) == 5.0
