"""Ten thousand failed generations retried by filter, beside as many neighbours: how long it takes to see the
price, to accept and to finish, whether an abort ends it within a turn, and whether anybody else was touched.

`bulk.py --items N` measures another number. The actions are carried out by the flow that the chores process
calls, one turn after the other, in a process of its own.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from uuid import uuid4

from measure import at_least, below, describe_machine, exactly, in_a_process_of_its_own, report, site, tell


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        tell(**measure(asked.items))
        return 0
    describe_machine()
    with site() as environment:
        told = in_a_process_of_its_own(
            str(Path(__file__)), "--measure", "--items", str(asked.items), environment=environment
        )
    number = f"{asked.items:,}"
    met = [
        report(f"preview of {number}, with price", told["preview_s"], "s", below(2)),
        report(f"accept {number} by filter", told["accept_s"], "s", below(10)),
        report(f"retry of {number}, from accept to the last", told["finish_s"], "s"),
        report("items a second", told["per_s"], "items/s", at_least(500)),
        report("longest turn", told["longest_turn_s"], "s", below(5)),
        report("abort, until nothing of it happens any more", told["abort_s"], "s", below(5)),
        report("left as they were by the abort", told["left"], "items", exactly(told["expected_left"])),
        report(f"cancel of {number} taken back", told["undo_s"], "s"),
        report("not as they should be after all", told["wrong"], "items", exactly(0)),
        report("neighbours touched", told["touched"], "generations", exactly(0)),
        report("peak memory", told["peak_mb"], "MB"),
    ]
    return 0 if all(met) else 1


def measure(items: int) -> dict[str, float]:
    """Fill the site, then act on it."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "packshot.settings")
    django.setup()
    from packshot.accounts import Actor
    from packshot.flows import bulk
    from packshot.flows.bulk import Order
    from packshot.generations.bulk_models import BulkAction
    from packshot.generations.models import Generation
    from packshot.reports.finding import Filter

    fill(items)
    actor = Actor(None, "cli:benchmark", "administrator")
    neighbours = Generation.objects.exclude(provider="flux").order_by("id")
    before = hash(tuple(neighbours.values_list("id", "status", "priority", "updated_at")))
    ours = Generation.objects.filter(provider="flux")
    figures: dict[str, float] = {"wrong": 0}

    def begin(order: Order, wanted: Filter) -> tuple[object, float, float]:
        started = time.perf_counter()
        seen = bulk.preview(order, wanted=wanted)
        previewed = time.perf_counter()
        action_id = bulk.accept(
            seen,
            actor,
            request_key=uuid4().hex,
            agreed_count=seen.count,
            agreed_micros=seen.expected_micros,
        )
        return action_id, previewed - started, time.perf_counter() - previewed

    # Retry, to its end.
    action_id, figures["preview_s"], figures["accept_s"] = begin(
        Order("retry"), Filter(status="failed", provider="flux")
    )
    started, turns, place = time.perf_counter(), [], 0
    while True:
        turn = time.perf_counter()
        then = bulk.carry_out(action_id, place)
        turns.append(time.perf_counter() - turn)
        if then is None:
            break
        place = then
    figures["finish_s"] = time.perf_counter() - started + figures["accept_s"]
    figures["per_s"] = items / (figures["finish_s"] - figures["accept_s"])
    figures["longest_turn_s"] = max(turns)
    figures["wrong"] += ours.exclude(status="pending").count()

    # Cancel, aborted after two turns; the rest stays.
    action_id, _, _ = begin(Order("cancel"), Filter(status="pending", provider="flux"))
    place = bulk.carry_out(action_id, 0) or 0
    place = bulk.carry_out(action_id, place) or 0
    started = time.perf_counter()
    figures["left"] = bulk.abort(action_id, actor)
    assert bulk.carry_out(action_id, place) is None, "nothing happens after an abort"
    figures["abort_s"] = time.perf_counter() - started
    figures["expected_left"] = max(0, items - 2 * bulk.PER_TURN)
    figures["wrong"] += abs(ours.filter(status="pending").count() - figures["expected_left"])

    # Taken back: everything waits again.
    started = time.perf_counter()
    undone = bulk.undo(action_id, actor)
    assert undone is not None, "it cancelled a thousand"
    bulk.carry_out_all(undone)
    action_id, _, _ = begin(Order("cancel"), Filter(status="pending", provider="flux"))
    bulk.carry_out_all(action_id)
    started = time.perf_counter()
    undone = bulk.undo(action_id, actor)
    assert undone is not None, "it cancelled them all"
    bulk.carry_out_all(undone)
    figures["undo_s"] = time.perf_counter() - started
    figures["wrong"] += ours.exclude(status="pending").count()
    figures["wrong"] += sum(
        abs(row.size - row.done - row.failed - row.skipped) for row in BulkAction.objects.all()
    )
    after = hash(tuple(neighbours.values_list("id", "status", "priority", "updated_at")))
    figures["touched"] = 0 if before == after else 1
    return figures


def fill(items: int) -> None:
    """Failed ones of FLUX, each of a product of its own, and as many of OpenAI that failed and that wait."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO packshot_product (id, sku, name, description, attributes, reference_image_urls,
                external_ids, currency, listed_image_url, placeholder, last_generation_status,
                failures_in_row)
            SELECT gen_random_uuid(), 'SKU-' || number, 'Product ' || number, '', '{}', '[]', '{}', '', '',
                false, 'failed', 1
            FROM generate_series(1, %(items)s) AS number
            """,
            {"items": items},
        )
        cursor.execute(
            """
            INSERT INTO packshot_provider (name, label, simulated, available, switched_on, paused_kind,
                paused_message, max_in_flight, tokens, busy_in_row)
            VALUES ('flux', 'FLUX', true, true, true, '', '', 10, 0, 0),
                ('openai', 'OpenAI', true, true, true, '', '', 10, 0, 0)
            ON CONFLICT (name) DO NOTHING
            """
        )
        cursor.execute(
            "INSERT INTO packshot_request (key, fingerprint, asked_by_name) "
            "VALUES ('benchmark', '', 'nobody')"
        )
        for provider, offset in (("flux", 0), ("openai", 1)):
            cursor.execute(
                """
                INSERT INTO packshot_generation (id, request_id, product_id, provider_id, model,
                    simulated, prompt, asked_by_name, priority, lane, status, wait_detail, attempts,
                    worker_deaths, expected_micros, ceiling_micros, price_version, error_kind,
                    error_message, options, images, shape, cost_unknown)
                SELECT packshot_id_at(now() - make_interval(secs => 2 * row_number() OVER () + %(offset)s)),
                    'benchmark', id, %(provider)s, 'a-model', true, repeat('a packshot on slate, ', 20),
                    'nobody', 0, 'benchmark', 'pending', '', 1, 0, 40000, 40000, '1', '', '', '{}', 1, '1:1',
                    false
                FROM packshot_product
                """,
                {"provider": provider, "offset": offset},
            )
        cursor.execute(
            """
            UPDATE packshot_generation SET status = 'failed', error_kind = 'refused', completed_at = now()
            WHERE provider_id = 'flux' OR right(product_id::text, 1) < '8'
            """
        )
        cursor.execute("ANALYZE")


if __name__ == "__main__":
    sys.exit(main())
