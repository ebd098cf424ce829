"""Every column of the five views, against figures worked out in Python from the same rows."""

import json
import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from statistics import NormalDist
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from packshot import preferences, reports, sql
from packshot.models import (
    Attempt,
    Entry,
    Generation,
    Image,
    Product,
    ProviderRecord,
    Rendition,
    Reservation,
    Review,
    Score,
    StopSwitch,
)
from packshot.reports.histogram import BOUNDS_MS, PLACES, percentile
from tests.history import History

# Where and when somebody looks: edges of days, weeks, months and summer time.
MOMENTS = [
    ("UTC", "2026-11-22T10:07:03+00:00"),
    ("Europe/Berlin", "2026-03-29T01:20:00+00:00"),  # Sunday, twenty minutes after 2:00 became 3:00
    ("America/Havana", "2026-11-01T04:40:00+00:00"),  # 0:40 on the 1st, for the first time
    ("America/Havana", "2026-11-01T05:10:00+00:00"),  # 0:10 on the 1st, for the second time
    ("Atlantic/Azores", "2026-10-25T01:59:00+00:00"),  # midnight came twice that day
    ("Africa/Cairo", "2026-04-23T22:31:00+00:00"),  # a day that began at 1:00
    ("Asia/Kathmandu", "2026-08-02T18:20:00+00:00"),  # Monday 0:05, 5:45 ahead of UTC
    ("Pacific/Chatham", "2026-12-31T10:30:00+00:00"),  # 0:15 on New Year's Day, 13:45 ahead
]
moments = pytest.mark.parametrize(("zone", "moment"), MOMENTS)
PER_DOLLAR = Decimal(1_000_000)
# In this order, these columns first: what others have built upon.
PROMISED = {
    "image_generation_dashboard": """
        total_in_queue pending_count processing_count completed_count failed_count cancelled_count
        uncertain_count daily_cost weekly_cost monthly_cost total_cost held_cost simulated_cost
        unknown_cost_count avg_processing_time success_rate products_without_images
        products_with_placeholder""",
    "image_generation_monitor": """
        id product_id product_name provider model prompt status attempts error_kind error_message
        wait_reason estimated_cost actual_cost processing_time_seconds created_at updated_at
        completed_at""",
    "provider_performance_stats": """
        provider total_generated success_count failed_count success_rate success_rate_low
        success_rate_high total_cost avg_cost cost_per_approved avg_processing_time p50_processing_time
        p95_processing_time last_used""",
    "products_needing_attention": """
        id sku name category_name issue_type last_attempt failure_count image_url""",
    "image_comparison_view": "product_id product_name images",
}


def past(zone: str, moment: str, **size: int) -> datetime:
    """A random past, looked at from `moment` by a site in `zone`; returns that moment."""
    now = datetime.fromisoformat(moment)
    History(Random(f"{zone} {moment}"), now).happen(**size)
    preferences.set("time_zone", zone, "ada")
    reports.rebuild_rollups()
    return now


def look(view: str) -> list[dict[str, Any]]:
    """The view's rows, by column."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {view}")
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def dollars(micros: Decimal | int) -> Decimal:
    return (Decimal(micros) / PER_DOLLAR).quantize(Decimal("0.000001"), ROUND_HALF_UP)


def took_ms(generation: Generation) -> int:
    assert generation.completed_at is not None
    assert generation.started_at is not None
    return (generation.completed_at - generation.started_at) // timedelta(milliseconds=1)


def thumb_url(image: Image | None) -> str | None:
    thumb = Rendition.objects.filter(image=image, spec="webp-320").first() if image else None
    return f"/media/{thumb.blob}.webp" if thumb else None


def verdict(image: Image) -> str | None:
    review = Review.objects.filter(image=image, current=True).first()
    return review.decision if review else None


def image_cost(image: Image) -> Decimal | None:
    """Dollars; what the attempt's ledger lines say, else the attempt itself, shared by its images. What a
    person brought cost nothing."""
    if image.attempt is None:
        return Decimal(0)
    lines = [entry.amount_micros for entry in Entry.objects.filter(attempt=image.attempt)]
    total = sum(lines) if lines else image.attempt.cost_micros
    if total is None:
        return None
    return dollars(Decimal(total) / Image.objects.filter(attempt=image.attempt).count())


@pytest.mark.django_db
@pytest.mark.parametrize("view", PROMISED)
def test_the_promised_columns_come_first_and_in_order(view: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {view} LIMIT 0")
        names = [column.name for column in cursor.description]
    promised = PROMISED[view].split()
    assert names[: len(promised)] == promised


@pytest.mark.django_db
@moments
def test_the_dashboard_adds_up(zone: str, moment: str) -> None:
    now = past(zone, moment)
    (row,) = look("image_generation_dashboard")
    generations = list(Generation.objects.all())
    entries = list(Entry.objects.all())
    status = {
        name: sum(generation.status == name for generation in generations)
        for name in ("pending", "processing", "completed", "failed", "cancelled", "uncertain")
    }
    durations = [took_ms(each) for each in generations if each.status == "completed"]
    today = now.astimezone(ZoneInfo(zone)).date()

    def spent(simulated: bool, same_period: object = None) -> Decimal:
        def counts(entry: Entry) -> bool:
            day = entry.charged_at.astimezone(ZoneInfo(zone)).date()
            return same_period is None or same_period(day)  # type: ignore[operator,no-any-return]

        lines = [each.amount_micros for each in entries if each.simulated == simulated and counts(each)]
        return dollars(sum(lines))

    def today_(day: date) -> bool:
        return day == today

    def this_week(day: date) -> bool:
        return day.isocalendar()[:2] == today.isocalendar()[:2]

    def this_month(day: date) -> bool:
        return (day.year, day.month) == (today.year, today.month)

    def held(simulated: bool) -> Decimal:
        open_ones = Reservation.objects.filter(closed_at=None, simulated=simulated)
        return dollars(sum(each.amount_micros for each in open_ones))

    bare = [
        product
        for product in Product.objects.all()
        if product.archived_at is None and product.active_image_id is None
    ]
    assert row == {
        "total_in_queue": status["pending"] + status["processing"],
        **{f"{name}_count": count for name, count in status.items()},
        "daily_cost": spent(False, today_),
        "weekly_cost": spent(False, this_week),
        "monthly_cost": spent(False, this_month),
        "total_cost": spent(False),
        "held_cost": held(False),
        "simulated_cost": spent(True),
        "unknown_cost_count": sum(each.cost_unknown and not each.simulated for each in generations),
        "avg_processing_time": pytest.approx(sum(durations) / len(durations) / 1000),
        "success_rate": pytest.approx(status["completed"] / (status["completed"] + status["failed"])),
        "products_without_images": sum(product.listed_image_url == "" for product in bare),
        "products_with_placeholder": sum(
            product.listed_image_url != "" and product.placeholder for product in bare
        ),
        "simulated_daily_cost": spent(True, today_),
        "simulated_weekly_cost": spent(True, this_week),
        "simulated_monthly_cost": spent(True, this_month),
        "simulated_held_cost": held(True),
        "simulated_unknown_cost_count": sum(each.cost_unknown and each.simulated for each in generations),
    }


@pytest.mark.django_db
def test_a_new_site_has_an_empty_dashboard_with_unknown_rates() -> None:
    row = reports.dashboard()
    assert (row.total_in_queue, row.completed_count, row.daily_cost) == (0, 0, 0)
    assert (row.success_rate, row.avg_processing_time) == (None, None)


@pytest.mark.django_db
@moments
def test_the_monitor_shows_every_generation_as_it_stands(zone: str, moment: str) -> None:
    now = past(zone, moment)
    stopped = StopSwitch.objects.get().stopped

    def wait_reason(generation: Generation, provider: ProviderRecord) -> str | None:
        if generation.status != "pending":
            return None
        if generation.wait_reason:
            return generation.wait_reason
        if stopped:
            return "stopped"
        if provider.archived_at or not provider.available:
            return "key"
        if not provider.simulated and not provider.switched_on:
            return "off"
        if provider.paused_at:
            return "paused"
        return "rate" if provider.wait_until and provider.wait_until > now else None

    rows = {row["id"]: row for row in look("image_generation_monitor")}
    generations = list(Generation.objects.select_related("product", "provider"))
    assert len(rows) == len(generations)
    for generation in generations:
        waits = generation.status == "pending"
        provider = generation.provider
        assert rows[generation.id] == {
            "id": generation.id,
            "product_id": generation.product_id,
            "product_name": generation.product.name,
            "provider": provider.name,
            "model": generation.model,
            "prompt": generation.prompt,
            "status": generation.status,
            "attempts": Attempt.objects.filter(generation=generation).count(),
            "error_kind": generation.error_kind,
            "error_message": generation.error_message,
            "wait_reason": wait_reason(generation, provider),
            "estimated_cost": None
            if generation.expected_micros is None
            else dollars(generation.expected_micros),
            "actual_cost": None
            if generation.cost_unknown or generation.actual_micros is None
            else dollars(generation.actual_micros),
            "processing_time_seconds": None
            if generation.completed_at is None or generation.started_at is None
            else pytest.approx((generation.completed_at - generation.started_at).total_seconds()),
            "created_at": generation.created_at,
            "updated_at": generation.updated_at,
            "completed_at": generation.completed_at,
            "sku": generation.product.sku,
            "simulated": generation.simulated,
            "cost_unknown": generation.cost_unknown,
            "wait_detail": generation.wait_detail or (provider.paused_message if waits else ""),
            "not_before": generation.not_before or (provider.wait_until if waits else None),
            "started_at": generation.started_at,
            "cancel_requested_at": generation.cancel_requested_at,
            "run_id": generation.run_id,
            "asked_by_name": generation.asked_by_name,
        }


def wilson(successes: int, total: int) -> tuple[float, float]:
    """Both roots of (p - share)^2 = z^2 p (1 - p) / n: the interval as it is defined."""
    z = NormalDist().inv_cdf(0.975)
    share = successes / total
    a, b, c = 1 + z * z / total, -(2 * share + z * z / total), share * share
    root = math.sqrt(max(0, b * b - 4 * a * c))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


@pytest.mark.django_db
@moments
def test_provider_statistics_are_those_of_its_own_kind_of_money(zone: str, moment: str) -> None:
    past(zone, moment, generations=60)
    rows = {row["provider"]: row for row in look("provider_performance_stats")}
    assert set(rows) == {"openai", "flux", "sandbox", "old-flux"}
    for record in ProviderRecord.objects.all():
        own = Generation.objects.filter(provider=record, simulated=record.simulated)
        completed = [each for each in own if each.status == "completed"]
        failed = sum(each.status == "failed" for each in own)
        done = len(completed) + failed
        images = Image.objects.filter(provider=record.name, simulated=record.simulated)
        approved = sum(verdict(image) == "approved" for image in images)
        micros = sum(
            entry.amount_micros
            for entry in Entry.objects.filter(provider=record.name, simulated=record.simulated)
        )
        durations = sorted(took_ms(each) for each in completed)
        histogram = [0] * PLACES
        for each in durations:
            histogram[bisect_right(BOUNDS_MS, each)] += 1
        sent = [each.sending_at for each in Attempt.objects.filter(provider=record.name) if each.sending_at]
        low, high = wilson(len(completed), done) if done else (None, None)
        row = rows[record.name]
        assert row == {
            "provider": record.name,
            "total_generated": done,
            "success_count": len(completed),
            "failed_count": failed,
            "success_rate": pytest.approx(len(completed) / done) if done else None,
            "success_rate_low": pytest.approx(low, abs=1e-9) if done else None,
            "success_rate_high": pytest.approx(high, abs=1e-9) if done else None,
            "total_cost": dollars(micros),
            "avg_cost": dollars(Decimal(micros) / len(completed)) if completed else None,
            "cost_per_approved": dollars(Decimal(micros) / approved) if approved else None,
            "avg_processing_time": pytest.approx(sum(durations) / len(durations) / 1000)
            if durations
            else None,
            "p50_processing_time": pytest.approx(percentile(histogram, 50)) if durations else None,
            "p95_processing_time": pytest.approx(percentile(histogram, 95)) if durations else None,
            "last_used": max(sent, default=None),
            "label": record.label,
            "simulated": record.simulated,
            "cancelled_count": sum(each.status == "cancelled" for each in own),
            "image_count": images.count(),
            "approved_count": approved,
            "archived_at": record.archived_at,
        }
        for percent, name in ((50, "p50_processing_time"), (95, "p95_processing_time")):
            if durations:
                exact_ms = durations[math.ceil(percent * len(durations) / 100) - 1]
                assert bisect_right(BOUNDS_MS, row[name] * 1000) == bisect_right(BOUNDS_MS, exact_ms)


def worst_issue(product: Product, now: datetime, low_score: int, old_days: int) -> str | None:
    if product.archived_at is not None:
        return None
    if product.last_generation_status in ("uncertain", "failed"):
        return {"failed": "generation_failed"}.get(product.last_generation_status, "uncertain")
    image = product.active_image
    if image is None:
        if product.listed_image_url == "":
            return "no_image"
        return "placeholder" if product.placeholder else None
    if verdict(image) == "rejected":
        return "rejected"
    if any(score.value < low_score for score in Score.objects.filter(image=image)):
        return "low_score"
    return "old_image" if image.created_at < now - timedelta(days=old_days) else None


@pytest.mark.django_db
@moments
@pytest.mark.parametrize("thresholds", [None, (15, 20)])
def test_attention_names_each_products_worst_issue(
    zone: str, moment: str, thresholds: tuple[int, int] | None
) -> None:
    now = past(zone, moment, products=30)
    if thresholds:
        preferences.set("low_score", thresholds[0], "ada")
        preferences.set("old_image_days", thresholds[1], "ada")
    order = [
        "uncertain",
        "generation_failed",
        "no_image",
        "placeholder",
        "rejected",
        "low_score",
        "old_image",
    ]
    expected = []
    for product in Product.objects.select_related("active_image", "category"):
        issue = worst_issue(product, now, *(thresholds or (30, 365)))
        if issue is not None:
            expected.append(
                {
                    "id": product.id,
                    "sku": product.sku,
                    "name": product.name,
                    "category_name": product.category.name if product.category else None,
                    "issue_type": issue,
                    "last_attempt": product.last_generation_at,
                    "failure_count": product.failures_in_row,
                    "image_url": thumb_url(product.active_image) or product.listed_image_url or None,
                    "severity": order.index(issue) + 1,
                }
            )
    assert by(look("products_needing_attention"), "sku") == by(expected, "sku")


@pytest.mark.django_db
def test_a_random_past_knows_every_issue() -> None:
    past(*MOMENTS[0], products=100, generations=60)
    preferences.set("old_image_days", 20, "ada")
    assert {row["severity"] for row in look("products_needing_attention")} == {1, 2, 3, 4, 5, 6, 7}


def by(rows: Iterable[Mapping[str, Any]], key: str) -> dict[Any, Mapping[str, Any]]:
    return {row[key]: row for row in rows}


@pytest.mark.django_db
@moments
def test_the_comparison_shows_one_image_of_each_provider(zone: str, moment: str) -> None:
    past(zone, moment, generations=50)
    rows = by(look("image_comparison_view"), "product_id")
    products = [each for each in Product.objects.all() if each.archived_at is None]
    assert set(rows) == {product.id for product in products}
    for product in products:
        row = rows[product.id]
        assert (row["product_name"], row["sku"]) == (product.name, product.sku)
        assert row["active_image_id"] == product.active_image_id
        made: dict[str, list[Image]] = {}
        for image in sorted(
            Image.objects.filter(product=product).exclude(state="broken"), key=lambda it: it.id
        ):
            made.setdefault(image.provider, []).append(image)
        shown = json.loads(row["images"], parse_float=Decimal)
        assert set(shown) == set(made)
        for provider, images in made.items():
            approved = [image for image in images if verdict(image) == "approved"]
            active = [image for image in images if image.id == product.active_image_id]
            image = (active or approved or images)[-1]
            scores = [score.value for score in Score.objects.filter(image=image)]
            generation = image.generation
            line = shown[provider]
            assert datetime.fromisoformat(line.pop("created_at")) == image.created_at
            assert line == {
                "image_id": str(image.id),
                "image_url": thumb_url(image),
                "model": image.model,
                "cost": image_cost(image),
                "generation_time": None
                if generation is None
                else Decimal((generation.completed_at - generation.started_at) // timedelta(microseconds=1))
                / 1_000_000,
                "score": min(scores, default=None),
                "review": verdict(image),
                "alternatives": len(images) - 1,
                "active": bool(active),
                "simulated": image.simulated,
            }


@pytest.mark.django_db
@pytest.mark.parametrize("unit", ["day", "week", "month"])
@pytest.mark.parametrize(
    "zone",
    [
        "UTC",
        "Europe/Berlin",
        "America/Havana",
        "Atlantic/Azores",
        "Africa/Cairo",
        "Asia/Kathmandu",
        "Asia/Beirut",
    ],
)
def test_a_period_begins_with_the_first_instant_of_its_local_dates(unit: str, zone: str) -> None:
    """For every hour of a year: not after it, not in another period, and nothing missed before it."""
    local = ZoneInfo(zone)

    def period(at: datetime) -> object:
        day = at.astimezone(local).date()
        return {"day": day, "week": day.isocalendar()[:2], "month": (day.year, day.month)}[unit]

    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT at, packshot_period_start(%s, at, %s)
            FROM generate_series('2026-01-01 00:30+00'::timestamptz, '2026-12-31+00', '1 hour') AS at
            """,
            [unit, zone],
        )
        for at, start in cursor.fetchall():
            assert start <= at
            assert period(start) == period(at)
            assert period(start - timedelta(microseconds=1)) != period(at)


@pytest.mark.django_db
def test_settings_nobody_made_read_the_same_in_the_database_and_in_python() -> None:
    with connection.cursor() as cursor:
        for key in ("time_zone", "low_score", "old_image_days"):
            cursor.execute("SELECT packshot_setting(%s)", [key])
            assert cursor.fetchone() == (str(preferences.get(key)),)


@pytest.mark.django_db
def test_any_sql_client_can_read_the_views_whatever_its_search_path() -> None:
    past(*MOMENTS[0])
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL search_path = public")
        for view in sql.VIEWS:
            cursor.execute(f"SELECT count(*) FROM (SELECT * FROM packshot.{view}) AS everything")
            assert cursor.fetchone()[0] > 0
        cursor.execute("SELECT * FROM packshot.packshot_rebuild_rollups('-infinity', 'infinity')")
        assert cursor.fetchall() == []


@pytest.mark.django_db
def test_views_use_the_rights_of_their_reader_and_strangers_have_none() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname, reloptions FROM pg_class WHERE relname = ANY(%s)", [list(sql.VIEWS)])
        assert dict(cursor.fetchall()) == {view: ["security_invoker=true"] for view in sql.VIEWS}
        cursor.execute("SELECT count(*) FROM pg_roles WHERE rolname = 'anon'")
        if cursor.fetchone() == (0,):
            cursor.execute("CREATE ROLE anon")
        cursor.execute("GRANT USAGE ON SCHEMA packshot TO anon, PUBLIC")
        cursor.execute("GRANT ALL ON ALL TABLES IN SCHEMA packshot TO anon, PUBLIC")
        cursor.execute(sql.text("grants", 1))
        cursor.execute("SELECT has_schema_privilege('anon', 'packshot', 'USAGE')")
        assert cursor.fetchone() == (False,)
        for name in (*sql.VIEWS, "packshot_entry"):
            cursor.execute("SELECT has_table_privilege('anon', 'packshot.' || %s, 'SELECT')", [name])
            assert cursor.fetchone() == (False,)


@pytest.mark.django_db
def test_generations_are_read_with_their_images_and_batches_in_two_queries(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    past(*MOMENTS[0], generations=40)
    with django_assert_num_queries(2):
        rows = reports.newest_generations(limit=25)
    ids = sorted((each.id for each in Generation.objects.all()), reverse=True)
    assert [row.id for row in rows] == ids[:25]
    for row in rows:
        images = sorted(Image.objects.filter(generation=row.id), key=lambda image: image.id)
        assert [tile.image_id for tile in row.images] == [image.id for image in images]
    assert [row.id for row in reports.newest_generations(ids=ids[3:9:2])] == ids[3:9:2]
    assert reports.newest_generations(ids=[]) == []


@pytest.mark.django_db
def test_image_tiles_carry_thumbnail_product_and_cost(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    past(*MOMENTS[0], generations=40)
    with django_assert_num_queries(1):
        tiles = reports.newest_images(limit=30)
    images = sorted(Image.objects.select_related("product", "attempt"), key=lambda it: it.id, reverse=True)
    assert [tile.image_id for tile in tiles] == [image.id for image in images[:30]]
    for tile, image in zip(tiles, images, strict=False):
        thumb = Rendition.objects.filter(image=image, spec="webp-320").first()
        cost = image_cost(image)
        assert (tile.sku, tile.product_name) == (image.product.sku, image.product.name)
        assert (tile.state, tile.simulated) == (image.state, image.simulated)
        assert tile.thumb_blob == (thumb.blob if thumb else None)
        if cost is None or tile.cost_micros is None:
            assert cost is tile.cost_micros
        else:
            assert abs(cost * PER_DOLLAR - tile.cost_micros) <= 1
    assert [tile.image_id for tile in reports.newest_images(ids=[images[4].id])] == [images[4].id]


@pytest.mark.django_db
def test_the_queue_is_paged_without_gaps_and_filtered(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    past(*MOMENTS[0], generations=40)
    generations = sorted(Generation.objects.select_related("product"), key=lambda it: it.id, reverse=True)
    seen, after = [], None
    while page := reports.queue(after=after, limit=7):
        seen += [row.id for row in page]
        after = page[-1].id
    assert seen == [each.id for each in generations]
    product = generations[0].product
    with django_assert_num_queries(2):
        found = reports.queue(status="completed", provider="flux", text=product.sku.lower(), limit=100)
    assert [row.id for row in found] == [
        each.id
        for each in generations
        if each.status == "completed" and each.provider_id == "flux" and product.sku in each.product.sku
    ]
    assert {row.product_name for row in reports.queue(text=product.name.upper())} == {product.name}
    for special in ("%", "_", "\\"):
        assert reports.queue(text=special) == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({}, "healthy"),
        ({"simulated": False, "switched_on": True}, "healthy"),
        ({"simulated": False}, "off"),
        ({"available": False, "paused_at": datetime(2026, 1, 1, tzinfo=UTC)}, "unavailable"),
        ({"paused_at": datetime(2026, 1, 1, tzinfo=UTC), "paused_kind": "bad_key"}, "paused"),
        ({"wait_until": datetime(2999, 1, 1, tzinfo=UTC)}, "waiting"),
        ({"wait_until": datetime(2001, 1, 1, tzinfo=UTC)}, "healthy"),
    ],
)
def test_a_providers_state_says_what_keeps_it(facts: dict[str, Any], state: str) -> None:
    ProviderRecord.objects.create(name="flux", label="FLUX", max_in_flight=3, **{"available": True, **facts})
    (row,) = reports.providers()
    assert (row.name, row.state, row.success_rate, row.total_cost) == ("flux", state, None, 0)


@pytest.mark.django_db
def test_providers_come_in_one_query_with_queue_and_statistics(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    past(*MOMENTS[0], generations=60)
    with django_assert_num_queries(1):
        rows = reports.providers()
    assert [row.name for row in rows] == ["flux", "openai", "sandbox"]
    stats = by(look("provider_performance_stats"), "provider")
    for row in rows:
        own = Generation.objects.filter(provider=row.name)
        for name in ("pending", "processing", "uncertain"):
            assert getattr(row, name) == own.filter(status=name).count()
        assert row.p95_s == stats[row.name]["p95_processing_time"]
        assert row.total_cost == stats[row.name]["total_cost"]
