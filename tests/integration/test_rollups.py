"""Rollups hold exactly what the rows behind them say, however they came to it."""

import threading
from bisect import bisect_right
from collections import defaultdict
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from django.db import DatabaseError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from packshot import reports
from packshot.models import (
    Entry,
    Generation,
    Image,
    Product,
    ProviderRecord,
    RequestRecord,
    Review,
)
from packshot.reports import ALL_TIME, Delta
from packshot.reports.histogram import BOUNDS_MS, PLACES, percentile
from tests.history import History, quarter_hour

NOW = datetime(2026, 3, 29, 1, 37, tzinfo=UTC)
FIGURES = (
    "completed", "failed", "cancelled", "images", "approved", "amount_micros", "duration_ms", "durations",
)  # fmt: skip
Key = tuple[datetime, str, str, bool]
Sums = dict[Key, dict[str, int | list[int]]]

histories = pytest.mark.parametrize("seed", range(8))


def stored() -> Sums:
    """What the rollups say, slots added up, without the keys where everything is zero."""
    sums: Sums = {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT bucket, provider, model, simulated,
                {", ".join(f"sum({name})::bigint" for name in FIGURES)}, packshot_sum_histograms(histogram)
            FROM packshot_rollup GROUP BY 1, 2, 3, 4
            """
        )
        for row in cursor.fetchall():
            if any(row[4:-1]) or any(row[-1]):
                sums[row[:4]] = dict(zip((*FIGURES, "histogram"), row[4:], strict=True))
    return sums


def counted() -> Sums:
    """The same, counted one by one from the rows that the rollups stand for."""
    sums: Sums = defaultdict(lambda: dict.fromkeys(FIGURES, 0) | {"histogram": [0] * PLACES})

    def count(at: datetime, provider: str, model: str, simulated: bool, figure: str, amount: int = 1) -> None:
        for bucket in (quarter_hour(at), ALL_TIME):
            sums[bucket, provider, model, simulated][figure] += amount  # type: ignore[operator]

    for generation in Generation.objects.exclude(completed_at=None):
        place = (generation.completed_at, generation.provider_id, generation.model, generation.simulated)
        count(*place, generation.status)
        if generation.status == "completed":
            took_ms = (generation.completed_at - generation.started_at) // timedelta(milliseconds=1)
            count(*place, "duration_ms", took_ms)
            count(*place, "durations")
            for bucket in (quarter_hour(generation.completed_at), ALL_TIME):
                sums[bucket, *place[1:]]["histogram"][bisect_right(BOUNDS_MS, took_ms)] += 1  # type: ignore[index]
    for image in Image.objects.exclude(attempt=None):
        place = (image.created_at, image.provider, image.model, image.simulated)
        count(*place, "images")
        count(
            *place, "approved", Review.objects.filter(image=image, current=True, decision="approved").count()
        )
    for entry in Entry.objects.all():
        count(
            entry.charged_at,
            entry.provider,
            entry.model,
            entry.simulated,
            "amount_micros",
            entry.amount_micros,
        )
    return {
        key: figures
        for key, figures in sums.items()
        if any(figures[name] for name in FIGURES) or any(figures["histogram"])  # type: ignore[arg-type]
    }


def flat(figures: dict[str, int | list[int]]) -> dict[str, int]:
    """Each place of the histogram as a figure of its own, named as a rebuild names it."""
    places = figures["histogram"]
    assert isinstance(places, list)
    return {name: figures[name] for name in FIGURES} | {  # type: ignore[dict-item,return-value]
        f"histogram {place}": size for place, size in enumerate(places, 1)
    }


def tell_in_batches(random: Random, deltas: list[Delta]) -> None:
    """As several processes would: each batch in one of three slots, of any size."""
    rest = list(deltas)
    while rest:
        size = random.randrange(1, 40)
        reports.add(rest[:size], slot=random.randrange(1, 4))
        rest = rest[size:]


@pytest.mark.django_db
@histories
def test_what_flows_added_bit_by_bit_is_what_a_rebuild_counts_and_what_the_rows_say(seed: int) -> None:
    random = Random(seed)
    history = History(random, NOW).happen()
    tell_in_batches(random, history.deltas)
    assert stored() == counted()
    assert reports.rebuild_rollups() == []
    assert stored() == counted()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM packshot_rollup WHERE slot <> 0")
        assert cursor.fetchone() == (0,)


@pytest.mark.django_db
@histories
def test_a_rebuild_names_and_mends_exactly_what_was_wrong(seed: int) -> None:
    random = Random(seed)
    history = History(random, NOW).happen(generations=15)
    lost = random.sample(range(len(history.deltas)), len(history.deltas) // 3)
    tell_in_batches(random, [each for number, each in enumerate(history.deltas) if number not in lost])
    ghost = Delta(NOW - timedelta(days=3), "ghost", "never-was", simulated=False, completed=2, duration_s=4)
    reports.add([ghost], slot=1)
    wrong, right = stored(), counted()
    nothing = dict.fromkeys(FIGURES, 0) | {"histogram": [0] * PLACES}
    expected = set()
    for key in wrong.keys() | right.keys():
        before, after = (flat(sums.get(key, nothing)) for sums in (wrong, right))
        expected |= {
            (*key, name, before[name], after[name]) for name in before if before[name] != after[name]
        }
    assert set(map(astuple, reports.rebuild_rollups())) == expected
    assert stored() == right
    assert reports.rebuild_rollups() == []


@pytest.mark.django_db
def test_a_rebuild_leaves_quarter_hours_outside_its_range_alone() -> None:
    inside, outside = NOW, NOW - timedelta(days=2)
    for at in (inside, outside):
        reports.add([Delta(at, "ghost", "never-was", simulated=True, failed=1)], slot=4)
    found = reports.rebuild_rollups(inside - timedelta(minutes=30), inside)
    assert {(each.bucket, each.figure, each.stored, each.exact) for each in found} == {
        (quarter_hour(inside), "failed", 1, 0),
        (ALL_TIME, "failed", 2, 1),
    }
    assert set(stored()) == {
        (quarter_hour(outside), "ghost", "never-was", True),
        (ALL_TIME, "ghost", "never-was", True),
    }


@pytest.mark.django_db
def test_a_range_covers_the_whole_quarter_hours_that_it_touches() -> None:
    at = datetime(2026, 5, 1, 12, 7, tzinfo=UTC)
    reports.add([Delta(at, "ghost", "never-was", simulated=True, failed=1)], slot=4)
    assert reports.rebuild_rollups(at + timedelta(minutes=1), at + timedelta(minutes=2))
    assert stored() == {}


@pytest.mark.django_db
def test_a_batch_is_one_statement(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    deltas = [
        Delta(
            NOW + timedelta(hours=hour),
            f"provider-{hour % 5}",
            "m",
            simulated=False,
            completed=1,
            duration_s=2,
        )
        for hour in range(50)
    ]
    with django_assert_num_queries(1):
        reports.add(deltas, slot=1)
    with django_assert_num_queries(0):
        reports.add([], slot=1)


@pytest.mark.django_db
def test_a_retry_takes_its_failure_back_even_from_a_slot_that_never_saw_it() -> None:
    failed = Delta(NOW, "openai", "gpt-image-1", simulated=False, failed=1)
    reports.add([failed], slot=1)
    reports.add([Delta(NOW, "openai", "gpt-image-1", simulated=False, failed=-1)], slot=2)
    assert stored() == {}


@pytest.mark.django_db
def test_an_instant_in_any_zone_lands_in_its_utc_quarter_hour() -> None:
    kathmandu = datetime.fromisoformat("2026-05-01T00:14:59.999999+05:45")
    reports.add([Delta(kathmandu, "openai", "gpt-image-1", simulated=False, failed=1)], slot=1)
    assert datetime(2026, 4, 30, 18, 15, tzinfo=UTC) in {key[0] for key in stored()}


@pytest.mark.django_db
def test_the_database_and_python_share_bounds_and_the_bucket_of_all_time() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT packshot_histogram_bounds_ms(), packshot_all_time()")
        assert cursor.fetchone() == (list(BOUNDS_MS), ALL_TIME)


@pytest.mark.django_db
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, 5) | st.integers(0, 10**9), min_size=PLACES, max_size=PLACES),
    st.integers(min_value=1, max_value=100),
)
def test_percentiles_are_the_same_in_the_database_and_in_python(histogram: list[int], percent: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT packshot_percentile(%s::bigint[], %s)", [histogram, percent])
        (estimate,) = cursor.fetchone()
    assert estimate == pytest.approx(percentile(histogram, percent))


@pytest.fixture
def committed(transactional_db: None) -> list[Generation]:
    """Sixty pending generations that other connections can see."""
    record = ProviderRecord.objects.create(name="race", label="Race", max_in_flight=1)
    product = Product.objects.create(sku="RACE", name="Race")
    request = RequestRecord.objects.create(key="race", asked_by_name="ada")
    return Generation.objects.bulk_create(
        Generation(
            request=request, product=product, provider=record, model="m", simulated=True, prompt="p",
            asked_by_name="ada", lane="ada", price_version="1",
        )
        for _ in range(60)
    )  # fmt: skip


def test_a_rebuild_among_busy_writers_finds_nothing_wrong_and_loses_nothing(
    committed: list[Generation],
) -> None:
    problems: list[BaseException] = []

    def cancel(generations: list[Generation], slot: int) -> None:
        try:
            for number, generation in enumerate(generations):
                at = NOW + timedelta(minutes=number)
                with transaction.atomic():
                    Generation.objects.filter(pk=generation.pk).update(status="cancelled", completed_at=at)
                    reports.add([Delta(at, "race", "m", simulated=True, cancelled=1)], slot=slot)
        except BaseException as problem:
            problems.append(problem)
        finally:
            connection.close()

    writers = [threading.Thread(target=cancel, args=(committed[slot::3], slot + 1)) for slot in range(3)]
    for writer in writers:
        writer.start()
    found = []
    while any(writer.is_alive() for writer in writers):
        found += reports.rebuild_rollups()
    for writer in writers:
        writer.join()
    found += reports.rebuild_rollups()
    assert not problems
    assert found == []
    assert stored()[ALL_TIME, "race", "m", True]["cancelled"] == len(committed)


@pytest.mark.django_db(transaction=True)
def test_a_rebuild_refuses_a_snapshot_that_is_older_than_its_lock() -> None:
    with pytest.raises(DatabaseError, match="READ COMMITTED"), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reports.rebuild_rollups()
