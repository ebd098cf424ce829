"""Batched writes: one bad row stands alone, and a lost connection is only a delay."""

import asyncio
from collections.abc import Sequence

import pytest
from django.db import DataError, OperationalError

from packshot.worker.database import Batch, Database


class Table:
    """Counts what is written; refuses `bad`, and is away for the first `away` calls."""

    def __init__(self, *, bad: frozenset[int] = frozenset(), away: int = 0) -> None:
        self.bad, self.away = bad, away
        self.batches: list[list[int]] = []

    def write(self, items: Sequence[int]) -> list[int]:
        if self.away:
            self.away -= 1
            raise OperationalError("the server closed the connection")
        if self.bad & set(items):
            raise DataError("bad row")
        self.batches.append(list(items))
        return [item * 10 for item in items]


def put_all(table: Table, count: int) -> list[object]:
    async def story() -> list[object]:
        database = Database(threads=1)
        batch: Batch[int, int] = Batch(database, table.write, most=50)
        try:
            return await asyncio.gather(*(batch.put(item) for item in range(count)), return_exceptions=True)
        finally:
            await batch.settled()
            database.close()

    return asyncio.run(story())


def test_each_item_gets_its_own_answer_from_few_writes():
    table = Table()
    assert put_all(table, 120) == [item * 10 for item in range(120)]
    assert len(table.batches) == 3


def test_one_bad_row_is_told_and_every_other_is_written():
    table = Table(bad=frozenset({7, 33}))
    answers = put_all(table, 50)
    refused = [place for place, answer in enumerate(answers) if isinstance(answer, DataError)]
    assert refused == [7, 33]
    assert sorted(item for batch in table.batches for item in batch) == [
        item for item in range(50) if item not in (7, 33)
    ]


@pytest.mark.parametrize("away", [1, 4])
def test_a_database_that_is_away_is_waited_for(away):
    table = Table(away=away)
    assert put_all(table, 10) == [item * 10 for item in range(10)]
