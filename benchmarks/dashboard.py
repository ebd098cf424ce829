"""What people read, at one and at ten million generations of 200,000 products.

Each read of the five views, each page, each filter and search of the Queue and of the products; beside some,
what the same question takes without rollups on the same data; and what rollups cost eight writers.

`dashboard.py --size 1` measures one million; with `--keep FOLDER` the site stays there for the next time.
"""

import argparse
import gc
import json
import multiprocessing
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from large import large_site
from measure import Target, below, describe_machine, exactly, report

ROUNDS = 40
NAIVE_ROUNDS = 3
PAGE_ROUNDS = 25
# At ten million; what is true there is true of less.
READ_MS, PAGE_MS, FACET_MS, SEARCH_MS = 50, 150, 300, 100

WRITERS = 8
BATCH = 50
WRITE_S = 4.0
WRITE_ROUNDS = 3

Figures = dict[str, float]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=float, action="append", help="millions; 1 and 10 if not said")
    parser.add_argument("--keep", type=Path, help="build the site here, or use the one that stands here")
    parser.add_argument("--only", default="", help="proof, views, pages, queue, products, writes; comma")
    parser.add_argument("--answer", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.answer:
        print(json.dumps(PARTS[asked.answer]()))
        return 0
    describe_machine()
    parts = asked.only.split(",") if asked.only else list(PARTS)
    met = []
    for millions in asked.size or (1, 10):
        with large_site(millions, keep=asked.keep) as environment:
            for part in parts:
                command = [sys.executable, __file__, "--answer", part]
                done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
                met += [_report(f"{millions:g} M: ", **line) for line in json.loads(done.stdout)]
    return 0 if all(met) else 1


def _report(
    prefix: str, name: str, value: float, unit: str, target: list[Any] | None, peers: Mapping[str, float]
) -> bool:
    return report(prefix + name, value, unit, Target(*target) if target else None, peers=peers)


def _line(
    name: str,
    value: float,
    unit: str,
    target: Target | None = None,
    peers: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "target": [target.sign, target.figure] if target else None,
        "peers": dict(peers or {}),
    }


def _timed(ask: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median and 95th percentile in milliseconds, after two that do not count."""
    ask(), ask()
    gc.collect()
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        ask()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took), statistics.quantiles(took, n=20)[-1] if rounds > 3 else max(took)


def _both(
    name: str,
    ask: Callable[[], object],
    limit_ms: float | None,
    *,
    rounds: int = ROUNDS,
    naive: Callable[[], object] | None = None,
    held_to: str = "p50",
) -> list[dict[str, Any]]:
    p50, p95 = _timed(ask, rounds)
    peers = {}
    if naive is not None:
        began = time.perf_counter()
        naive()
        first = (time.perf_counter() - began) * 1000
        more = [first] if first > 5000 else [first, *(_timed(naive, NAIVE_ROUNDS)[:1])]
        peers["without rollups or states"] = min(more)
    target = None if limit_ms is None else below(limit_ms)
    return [
        _line(f"{name}, p50", p50, "ms", target if held_to == "p50" else None, peers),
        _line(f"{name}, p95", p95, "ms", target if held_to == "p95" else None),
    ]


def _sql(sql: str, parameters: Sequence[object] | None = None) -> Callable[[], list[tuple[Any, ...]]]:
    from django.db import connection

    def ask() -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())

    return ask


# -- proof ---------------------------------------------------------------------------------------

# What somebody would write who has the tables and nothing else.
_NAIVE_DASHBOARD = """
    SELECT
        (SELECT count(*) FROM packshot_generation WHERE status IN ('pending', 'processing')),
        (SELECT count(*) FROM packshot_generation WHERE status = 'pending'),
        (SELECT count(*) FROM packshot_generation WHERE status = 'processing'),
        (SELECT count(*) FROM packshot_generation WHERE status = 'completed'),
        (SELECT count(*) FROM packshot_generation WHERE status = 'failed'),
        (SELECT count(*) FROM packshot_generation WHERE status = 'cancelled'),
        (SELECT count(*) FROM packshot_generation WHERE status = 'uncertain'),
        (SELECT coalesce(sum(amount_micros), 0) / 1e6 FROM packshot_entry
            WHERE NOT simulated AND charged_at >= date_trunc('day', packshot_now())),
        (SELECT coalesce(sum(amount_micros), 0) / 1e6 FROM packshot_entry
            WHERE NOT simulated AND charged_at >= date_trunc('week', packshot_now())),
        (SELECT coalesce(sum(amount_micros), 0) / 1e6 FROM packshot_entry
            WHERE NOT simulated AND charged_at >= date_trunc('month', packshot_now())),
        (SELECT coalesce(sum(amount_micros), 0) / 1e6 FROM packshot_entry WHERE NOT simulated),
        (SELECT coalesce(sum(amount_micros), 0) / 1e6 FROM packshot_reservation
            WHERE NOT simulated AND closed_at IS NULL),
        (SELECT coalesce(sum(amount_micros), 0) / 1e6 FROM packshot_entry WHERE simulated),
        (SELECT count(*) FROM packshot_generation WHERE cost_unknown AND NOT simulated),
        (SELECT sum(floor(extract(epoch FROM completed_at - started_at) * 1000)) / count(*) / 1000
            FROM packshot_generation WHERE status = 'completed'),
        (SELECT count(*) FILTER (WHERE status = 'completed')::float8
            / count(*) FILTER (WHERE status IN ('completed', 'failed')) FROM packshot_generation),
        (SELECT count(*) FROM packshot_product WHERE archived_at IS NULL AND active_image_id IS NULL
            AND listed_image_url = ''),
        (SELECT count(*) FROM packshot_product WHERE archived_at IS NULL AND active_image_id IS NULL
            AND listed_image_url <> '' AND placeholder)
"""

_NAIVE_PROVIDERS = """
    SELECT provider.name,
        count(*) FILTER (WHERE generation.status IN ('completed', 'failed')),
        count(*) FILTER (WHERE generation.status = 'completed'),
        count(*) FILTER (WHERE generation.status = 'failed'),
        (SELECT coalesce(sum(amount_micros), 0) / 1e6 FROM packshot_entry AS entry
            WHERE entry.provider = provider.name AND entry.simulated = provider.simulated),
        percentile_cont(0.5) WITHIN GROUP (ORDER BY completed_at - started_at)
            FILTER (WHERE generation.status = 'completed'),
        percentile_cont(0.95) WITHIN GROUP (ORDER BY completed_at - started_at)
            FILTER (WHERE generation.status = 'completed'),
        max(generation.started_at)
    FROM packshot_provider AS provider
    LEFT JOIN packshot_generation AS generation
        ON generation.provider_id = provider.name AND generation.simulated = provider.simulated
    GROUP BY provider.name, provider.simulated ORDER BY provider.name
"""

_NAIVE_ATTENTION = """
    WITH newest AS (
        SELECT DISTINCT ON (product_id) product_id, status, created_at FROM packshot_generation
        ORDER BY product_id, id DESC
    ),
    judged AS (
        SELECT product.id, product.name, newest.created_at, CASE
            WHEN newest.status = 'uncertain' THEN 1 WHEN newest.status = 'failed' THEN 2
            WHEN product.active_image_id IS NULL AND product.listed_image_url = '' THEN 3
            WHEN product.active_image_id IS NULL AND product.placeholder THEN 4
            WHEN EXISTS (SELECT 1 FROM packshot_review AS review
                WHERE review.image_id = product.active_image_id AND review.current
                AND review.decision = 'rejected') THEN 5
            WHEN EXISTS (SELECT 1 FROM packshot_score AS score WHERE score.image_id = product.active_image_id
                AND score.value < 30) THEN 6
            WHEN EXISTS (SELECT 1 FROM packshot_image AS image WHERE image.id = product.active_image_id
                AND image.created_at < now() - interval '365 days') THEN 7 END AS severity
        FROM packshot_product AS product LEFT JOIN newest ON newest.product_id = product.id
        WHERE product.archived_at IS NULL
    )
"""

_NAIVE_COMPARISON = """
    SELECT product.id, product.name, jsonb_object_agg(shown.provider, shown.id) FROM (
        SELECT DISTINCT ON (image.product_id, image.provider) image.product_id, image.provider, image.id
        FROM packshot_image AS image
        LEFT JOIN packshot_review AS review ON review.image_id = image.id AND review.current
        ORDER BY image.product_id, image.provider, review.decision = 'approved' DESC NULLS LAST, image.id DESC
    ) AS shown
    JOIN packshot_product AS product ON product.id = shown.product_id
    GROUP BY product.id, product.name ORDER BY product.name LIMIT 50
"""


def proof() -> list[dict[str, Any]]:
    """The views beside naive sums of the same rows, and the rollups beside a count of all of them."""
    from packshot import reports

    view = _sql("SELECT * FROM image_generation_dashboard")()[0][:18]
    naive = _sql(_NAIVE_DASHBOARD)()[0]
    apart = [
        place
        for place, (one, other) in enumerate(zip(view, naive, strict=True))
        if abs(float(one) - float(other)) > 1e-6 * max(1.0, abs(float(other)))
    ]
    stats = _sql(
        "SELECT provider, total_generated, success_count, failed_count, total_cost"
        " FROM provider_performance_stats ORDER BY provider"
    )()
    counted = [(*row[:4], row[4]) for row in _sql(_NAIVE_PROVIDERS)()]
    apart_too = [one[0] for one, other in zip(stats, counted, strict=True) if tuple(one) != tuple(other)]
    issues = dict(_sql("SELECT severity, count(*) FROM products_needing_attention GROUP BY severity")())
    judged = dict(
        _sql(
            f"{_NAIVE_ATTENTION} SELECT severity, count(*) FROM judged WHERE severity IS NOT NULL"
            " GROUP BY severity"
        )()
    )
    began = time.perf_counter()
    wrong = reports.rebuild_rollups()
    took_s = time.perf_counter() - began
    if apart or apart_too or issues != judged:
        print("# apart:", apart, view, naive, apart_too, issues, judged, file=sys.stderr)
    return [
        _line("columns of the dashboard that naive sums have otherwise", len(apart), "", exactly(0)),
        _line("providers whose figures naive sums have otherwise", len(apart_too), "", exactly(0)),
        _line("issues that naive counts have otherwise", float(issues != judged), "", exactly(0)),
        _line("figures of the rollups that counting anew has otherwise", len(wrong), "", exactly(0)),
        _line("rollups counted anew and proved", took_s, "s"),
    ]


# -- the five views ------------------------------------------------------------------------------


def views() -> list[dict[str, Any]]:
    from packshot.catalogue.models import Product

    some = str(Product.objects.exclude(active_image=None).order_by("sku")[1000].pk)
    worst = "ORDER BY severity, id DESC LIMIT 50"
    told = []
    for name, sql, naive in (
        ("image_generation_dashboard", "SELECT * FROM image_generation_dashboard", _NAIVE_DASHBOARD),
        (
            "image_generation_monitor, newest 50",
            "SELECT * FROM image_generation_monitor ORDER BY id DESC LIMIT 50",
            None,
        ),
        (
            "image_generation_monitor, newest 50 failed",
            "SELECT * FROM image_generation_monitor WHERE status = 'failed' ORDER BY id DESC LIMIT 50",
            None,
        ),
        (
            "image_generation_monitor, newest 50 uncertain",
            "SELECT * FROM image_generation_monitor WHERE status = 'uncertain' ORDER BY id DESC LIMIT 50",
            None,
        ),
        ("provider_performance_stats", "SELECT * FROM provider_performance_stats", _NAIVE_PROVIDERS),
        (
            "products_needing_attention, 50 worst",
            f"SELECT * FROM products_needing_attention {worst}",
            f"{_NAIVE_ATTENTION} SELECT * FROM judged WHERE severity IS NOT NULL {worst}",
        ),
        (
            "products_needing_attention, counts",
            "SELECT issue_type, count(*) FROM products_needing_attention GROUP BY issue_type",
            f"{_NAIVE_ATTENTION} SELECT severity, count(*) FROM judged GROUP BY severity",
        ),
        (
            "image_comparison_view, one product",
            f"SELECT * FROM image_comparison_view WHERE product_id = '{some}'",
            None,
        ),
        (
            "image_comparison_view, 50 by name",
            "SELECT * FROM image_comparison_view ORDER BY product_name LIMIT 50",
            _NAIVE_COMPARISON,
        ),
    ):
        told += _both(name, _sql(sql), READ_MS, naive=_sql(naive) if naive else None)
    return told


# -- pages ---------------------------------------------------------------------------------------


def pages() -> list[dict[str, Any]]:
    """The server's time for each page, through the whole of Django, asked as an administrator."""
    from django.db import connection
    from django.test import Client

    from packshot.accounts.models import User
    from pages import urls

    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(User.objects.get(username="ada"))
    told = []
    for name, url in urls().items():
        answer = client.get(url, headers={"accept": "text/html"})
        if answer.status_code != 200:
            raise RuntimeError(f"{url} answered {answer.status_code}")
        slowest: list[tuple[float, str]] = []

        def note(execute: Any, sql: str, *rest: Any, slowest: list[tuple[float, str]] = slowest) -> Any:
            began = time.perf_counter()
            try:
                return execute(sql, *rest)
            finally:
                slowest.append(((time.perf_counter() - began) * 1000, " ".join(sql.split())[:160]))

        with connection.execute_wrapper(note):
            client.get(url, headers={"accept": "text/html"})
        told += _both(
            f"page {name}",
            lambda url=url: client.get(url, headers={"accept": "text/html"}),  # type: ignore[misc]
            PAGE_MS,
            rounds=PAGE_ROUNDS,
        )
        if told[-2]["value"] > PAGE_MS / 2:
            for took_ms, sql in sorted(slowest, reverse=True)[:3]:
                print(f"# {name}: {took_ms:.0f} ms {sql}", file=sys.stderr)
    return told


# -- the Queue -----------------------------------------------------------------------------------


def queue() -> list[dict[str, Any]]:
    """A page of the Queue and its counts, as `monitor.listing` reads both, by each filter."""
    from packshot.catalogue.models import PromptTemplateVersion
    from packshot.generations.models import Attempt, Generation
    from packshot.reports import finding, monitor
    from packshot.reports.finding import FACETS, Filter

    some = Generation.objects.filter(status="failed").order_by("-id")[500]
    call = Attempt.objects.filter(generation_id=some.pk)[0]
    version = PromptTemplateVersion.objects.order_by("id")[0]
    deep = Generation.objects.order_by("-id")[200_000].pk
    told = []
    for name, wanted in {
        "everything": Filter(),
        **{f"status {status}": Filter(status=status) for status in ("pending", "failed", "uncertain")},
        "provider": Filter(provider="comfyui"),
        "provider and status": Filter(provider="sandbox", status="uncertain"),
        "run": Filter(run_id=some.run_id),
        "text, one SKU": Filter(text="KIT-0012346"),
        "text, a rare name": Filter(text="No. 77777"),
        "text, some names": Filter(text="recycled marble candle"),
        "text, many names": Filter(text="linen"),
        "text, many names, failed": Filter(text="linen", status="failed"),
        "text, nothing": Filter(text="qqqzzz"),
        "text, two letters": Filter(text="no"),
        "text, a request id": Filter(text=call.request_id),
        "model": Filter(model="flux-2-flex"),
        "model, nobody's": Filter(model="retired-long-ago"),
        "class of error": Filter(error="no_credit"),
        "class of error, none": Filter(error="expired"),
        "person": Filter(person="grace"),
        "person who asked for nothing": Filter(person="nobody"),
        "person and status": Filter(person="grace", status="uncertain"),
        "template": Filter(template_id=version.template_id),
        "category": Filter(category="Kitchen > Wood"),
        "age, a day": Filter(age="24h"),
        "age, older than a month": Filter(age="older-30d"),
        "cost": Filter(cost="0.05-0.1"),
        "cost, none so dear": Filter(cost="0.5-"),
        "cost, not known": Filter(cost="unknown"),
        "person, model, age": Filter(person="grace", model="flux-2-pro", age="older-30d"),
    }.items():
        told += _both(f"queue by {name}", lambda wanted=wanted: monitor.listing(wanted), FACET_MS)  # type: ignore[misc]
    for facet in FACETS:
        told += _both(
            f"queue, what the facet {facet} offers",
            lambda facet=facet: finding.choices(Filter(), facet),  # type: ignore[misc]
            FACET_MS,
        )
    told += _both("queue, a page deep down", lambda: monitor.listing(Filter(), after=deep), FACET_MS)
    told += _both("queue, one in full", lambda: monitor.detail(some.pk), FACET_MS)
    return told


# -- products ------------------------------------------------------------------------------------


def products() -> list[dict[str, Any]]:
    """A page of products and its counts, as the page reads both, by each filter and search."""
    from packshot.catalogue import finding
    from packshot.catalogue.finding import IMAGE_STATES, Sought

    told = []
    for name, sought, limit in (
        ("everything", Sought(), SEARCH_MS),
        *((f"state {state}", Sought(state=state), SEARCH_MS) for state in IMAGE_STATES),
        ("category", Sought(category="Kitchen"), SEARCH_MS),
        ("text, one SKU", Sought("KIT-0012346"), SEARCH_MS),
        ("text, a word of many names", Sought("linen"), SEARCH_MS),
        ("text, three words", Sought("recycled marble candle"), SEARCH_MS),
        ("text, nothing", Sought("qqqzzz"), SEARCH_MS),
        ("text, two letters", Sought("no"), SEARCH_MS),
        ("text and category", Sought("lamp", "Kitchen > Wood"), SEARCH_MS),
        ("text and state", Sought("lamp", state="to-choose"), SEARCH_MS),
    ):

        def both(sought: Sought = sought) -> None:
            finding.tally(sought)
            finding.find(sought, limit=48)

        told += _both(f"products by {name}", both, limit, held_to="p95")
    return told


# -- what rollups cost those who write -----------------------------------------------------------


def writes() -> list[dict[str, Any]]:
    """Eight writers that close batches of 50: generation, entry and image, with rollups or without."""
    ways = ("none", "a slot each", "one slot for all")
    # In turn, so that a neighbour's load meets them all.
    rounds = ways * WRITE_ROUNDS
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(WRITERS)
    counts = context.Queue()
    writers = [
        context.Process(target=_write, args=(rounds, number, start, counts)) for number in range(WRITERS)
    ]
    for each in writers:
        each.start()
    told = [counts.get(timeout=600) for _ in writers]
    for each in writers:
        each.join()
    _clean()
    totals = [sum(rates) for rates in zip(*told, strict=True)]
    none, own, shared = (statistics.median(totals[place :: len(ways)]) for place in range(len(ways)))
    return [
        _line("eight writers, rollups with a slot each", own, "rows/s", peers={"without rollups": none}),
        _line("of the rate without rollups", own / none * 100, "%", Target(">=", 80)),
        _line("the same with one slot for all", shared / none * 100, "%"),
    ]


def _clean() -> None:
    """Take out what the writers wrote, past the guards of the ledger, so that the site is as it was."""
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for table in ("packshot_entry", "packshot_image", "packshot_rollup"):
            cursor.execute(f"DELETE FROM {table} WHERE model = 'benchmark'")


def _write(rounds: Sequence[str], number: int, start: Any, counts: Any) -> None:
    """One writer: as many batches as WRITE_S allows, each way; tells how many rows a second that was."""
    import django

    django.setup()
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        # Rows of its own, far from what people look at.
        cursor.execute(
            "SELECT id, product_id FROM packshot_generation WHERE status = 'completed'"
            " ORDER BY id OFFSET %s LIMIT %s",
            [number * 20_000, 20_000],
        )
        own = cursor.fetchall()
    rates = []
    for how in rounds:
        start.wait(300)
        rates.append(_rate(how, number, own))
    counts.put(rates)


def _rate(how: str, number: int, own: Sequence[tuple[Any, Any]]) -> float:
    import random

    from django.db import connection, transaction
    from django.utils import timezone

    from packshot import reports
    from packshot.kernel.ids import uuid7

    names = ("openai", "flux", "stability", "midjourney", "comfyui", "sandbox")
    began, written = time.perf_counter(), 0
    while time.perf_counter() - began < WRITE_S:
        batch = [own[(written + place) % len(own)] for place in range(BATCH)]
        attempts = [uuid7() for _ in batch]
        made = [names[random.randrange(6)] for _ in batch]
        now = timezone.now()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "UPDATE packshot_generation SET updated_at = now() WHERE id = ANY(%s)",
                [[row[0] for row in batch]],
            )
            cursor.execute(
                """
                INSERT INTO packshot_entry (id, attempt_id, kind, amount_micros, simulated, provider, model,
                    category_path, person_name, charged_at, created_at)
                SELECT attempt_id, attempt_id, 'charge', 40000, true, provider, 'benchmark', '', '', now(),
                    now()
                FROM unnest(%s::uuid[], %s::text[]) AS item (attempt_id, provider)
                """,
                [attempts, made],
            )
            cursor.execute(
                """
                INSERT INTO packshot_image (id, product_id, attempt_id, position, blob, media_type, width_px,
                    height_px, size_bytes, provider, model, simulated, digital_source_type, state, problem,
                    created_at)
                SELECT attempt_id, product_id, attempt_id, 0, repeat('0', 64), 'image/png', 1024, 1024, 1,
                    provider, 'benchmark', true, '', 'ready', '', now()
                FROM unnest(%s::uuid[], %s::uuid[], %s::text[]) AS item (attempt_id, product_id, provider)
                """,
                [attempts, [row[1] for row in batch], made],
            )
            if how != "none":
                reports.add(
                    [
                        reports.Delta(
                            now,
                            each,
                            "benchmark",
                            True,
                            completed=1,
                            images=1,
                            amount_micros=40000,
                            duration_s=random.random() * 20,
                        )
                        for each in made
                    ],
                    slot=100 + number if how == "a slot each" else 0,
                )
        written += BATCH
    return written / (time.perf_counter() - began)


PARTS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "proof": proof,
    "views": views,
    "pages": pages,
    "queue": queue,
    "products": products,
    "writes": writes,
}


def _answer_only() -> None:
    import django

    django.setup()


if __name__ == "__main__":
    if "--answer" in sys.argv:
        _answer_only()
    sys.exit(main())
