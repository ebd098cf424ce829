"""Ids in order, secrets out of sight."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from packshot.kernel.errors import REMEDIES
from packshot.kernel.ids import uuid7
from packshot.kernel.redaction import Redact, redact
from packshot.kernel.spreadsheet import harmless


def test_ids_of_one_process_sort_in_the_order_they_were_made_and_never_repeat():
    made = [uuid7() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {each.version for each in made} == {7}


def test_ids_made_on_many_threads_never_repeat():
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: uuid7(), range(20_000)))
    assert len(set(made)) == len(made)


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer canary-9f8e7d6c",
        "{'x-key': 'canary-9f8e7d6c'}",
        "Incorrect API key provided: sk-canary-9f8e7d6c",
        "https://delivery.bfl.ai/a.jpg?sig=canary-9f8e7d6c&se=1",
        "postgresql://shop:canary-9f8e7d6c@db.example.com/shop",
        "Cookie: session=canary-9f8e7d6c",
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text):
    assert "canary-9f8e7d6c" not in redact(text)


def test_the_keys_of_this_process_are_taken_out_by_value(monkeypatch):
    monkeypatch.setenv("FLUX_API_KEY", "no-known-shape-at-all")
    assert redact("it said no-known-shape-at-all is wrong") == "it said <FLUX_API_KEY> is wrong"


def test_a_traceback_is_redacted_before_any_handler_writes_it(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "canary-in-a-traceback")
    try:
        raise ValueError("canary-in-a-traceback")
    except ValueError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, __file__, 1, "failed with %s", ("canary-in-a-traceback",),
            (ValueError, error, error.__traceback__),
        )  # fmt: skip
    assert Redact().filter(record)
    assert "canary" not in logging.Formatter().format(record)


def test_every_class_of_failure_has_a_remedy_in_words():
    from typing import get_args

    from packshot.kernel.errors import ErrorKind

    assert set(REMEDIES) == set(get_args(ErrorKind))
    assert all(text.endswith(".") for text in REMEDIES.values())


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_words_that_a_spreadsheet_would_calculate_stay_words(sign: str) -> None:
    assert harmless(f"{sign}1+1") == f"'{sign}1+1"
    assert harmless(f"1{sign}1") == f"1{sign}1"
