"""The bill book on disk: durable before it answers, only ever added to, readable by others meanwhile."""

import asyncio
import sqlite3
from fractions import Fraction
from pathlib import Path

import pytest

from packshot.simulator.book import (
    FILE_NAME,
    Answered,
    BillBook,
    Charged,
    Received,
    ResultRow,
    TaskRow,
    read_bill,
    read_charged,
    read_requests,
    read_tasks,
)


def received(request_id: str, dialect: str = "openai") -> Received:
    return Received(
        request_id, dialect, "/v1/images/generations", "gpt-image-2", "hash", {"accept": "*/*"}, 1.0
    )


def charged(request_id: str, dollars: str, dialect: str = "openai") -> Charged:
    return Charged(request_id, dialect, Fraction(dollars), "delivered", 2.0)


@pytest.fixture
def book(tmp_path: Path):
    book = BillBook(tmp_path / FILE_NAME)
    yield book
    book.close()


def test_a_written_charge_can_be_read_while_the_book_is_open(book: BillBook, tmp_path: Path):
    asyncio.run(
        book.write(received("r1"), charged("r1", "1/3"), Answered("r1", 200, "delivered", ["a"], 3.0))
    )
    (line,) = read_bill(tmp_path)
    assert (line.dollars, line.outcome, line.image_sha256) == (Fraction(1, 3), "delivered", ("a",))
    (request,) = read_requests(tmp_path)
    assert (request.charges, request.status, request.headers) == ((Fraction(1, 3),), 200, {"accept": "*/*"})


def test_a_request_being_worked_on_has_no_outcome_yet(book: BillBook, tmp_path: Path):
    asyncio.run(book.write(received("r1")))
    (request,) = read_requests(tmp_path)
    assert (request.outcome, request.status, request.charges) == (None, None, ())


def test_noted_rows_come_before_rows_written_later(book: BillBook, tmp_path: Path):
    book.note(received("r1"))
    asyncio.run(book.write(charged("r1", "1/2")))
    assert len(read_bill(tmp_path)) == 1


def test_many_writers_at_once_lose_nothing(book: BillBook, tmp_path: Path):
    async def all_at_once() -> None:
        await asyncio.gather(
            *[book.write(received(f"r{n}"), charged(f"r{n}", f"1/{n + 1}")) for n in range(500)]
        )

    asyncio.run(all_at_once())
    assert sum(line.dollars for line in read_bill(tmp_path)) == sum(Fraction(1, n + 1) for n in range(500))
    assert read_charged(tmp_path, "openai") == sum(Fraction(1, n + 1) for n in range(500))


def test_a_charge_without_its_request_is_refused_and_the_book_goes_on(book: BillBook, tmp_path: Path):
    with pytest.raises(sqlite3.IntegrityError):
        asyncio.run(book.write(charged("never-received", "1/2")))
    asyncio.run(book.write(received("r1"), charged("r1", "1/2")))
    assert len(read_bill(tmp_path)) == 1


@pytest.mark.parametrize("statement", ["DELETE FROM charge", "UPDATE charge SET dollars = '0/1'"])
def test_nothing_is_ever_taken_out_of_the_book(book: BillBook, tmp_path: Path, statement: str):
    asyncio.run(book.write(received("r1"), charged("r1", "1/2")))
    other = sqlite3.connect(tmp_path / FILE_NAME)
    with pytest.raises(sqlite3.IntegrityError, match="only added to"):
        other.execute(statement)
    other.close()


def test_closing_writes_what_was_only_noted(tmp_path: Path):
    book = BillBook(tmp_path / FILE_NAME)
    book.note(received("r1"), charged("r1", "1/2"))
    book.close()
    assert len(read_bill(tmp_path)) == 1


def test_tasks_come_back_with_the_hash_of_their_image(book: BillBook, tmp_path: Path):
    old = TaskRow("t1", "r1", "flux-2-pro", "{}", None, created_at=10.0, ready_at=12.0)
    new = TaskRow("t2", "r2", "flux-2-pro", "{}", '{"action": "never_ready"}', created_at=20.0, ready_at=22.0)
    rows = (received("r1", "flux"), received("r2", "flux"), old, new, ResultRow("t1", "hash-1", 13.0))
    asyncio.run(book.write(*rows))
    assert read_tasks(tmp_path, "flux", created_after=0) == [(old, "hash-1"), (new, None)]
    assert read_tasks(tmp_path, "flux", created_after=15) == [(new, None)]
    assert read_tasks(tmp_path, "stability", created_after=0) == []
