"""A site with a past: products, generations of the last 90 days with all that hangs on them, their rollups.

Written by the database itself, past the guards, because a million rows through the product's own verbs would
take hours. What stands there afterwards is what the verbs would have left; `rebuild_rollups` counts it.
"""

from importlib.resources import files
from typing import Any

# By status, in per mille of all generations. The rest has completed.
PER_MILLE = {"failed": 40, "cancelled": 15, "pending": 20, "processing": 2, "uncertain": 3}


def fill(*, products: int, generations: int) -> None:
    """Fill a new, migrated site. Needs django.setup() and a superuser's connection."""
    from django.db import connection, transaction

    from packshot import reports
    from packshot.flows.desk import enrol_desk

    enrol_desk()
    # The newest sixteenth of the rows stays within an hour: pages show those.
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for statement in _statements(products, generations, _pictures()):
            cursor.execute(*statement)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    reports.rebuild_rollups()
    # Counted anew they lie as they came out of a sum; a site writes them as time goes by.
    with connection.cursor() as cursor:
        cursor.execute("CLUSTER packshot_rollup USING packshot_rollup_pkey")
        cursor.execute("VACUUM ANALYZE")


def _pictures() -> list[str]:
    """Real pictures in the blob store, to be every image's."""
    from django.conf import settings

    from packshot import web
    from packshot.blobs import open_store

    store = open_store(settings.BLOB_URL)
    wall = files(web).joinpath("static", "wall")
    return [store.put(each.read_bytes()) for each in sorted(wall.iterdir(), key=lambda file: file.name)]


def _statements(products: int, generations: int, blobs: list[str]) -> list[tuple[str, dict[str, Any]]]:
    given: dict[str, Any] = {"products": products, "generations": generations, "blobs": blobs}
    edges, total = [], 0
    for status, share in PER_MILLE.items():
        total += share
        edges.append(f"WHEN place < {total} THEN '{status}'")
    return [
        (each, given)
        for each in (
            """
            INSERT INTO packshot_category (id, path, name)
            SELECT uuidv7(), 'Home > Range ' || n, 'Range ' || n FROM generate_series(1, 40) AS n
            """,
            """
            CREATE TEMPORARY TABLE some_product ON COMMIT DROP AS
            SELECT uuidv7() AS id, n, (SELECT array_agg(id)
                FROM packshot_category) [1 + n %% 40] AS category_id
            FROM generate_series(1, %(products)s) AS n
            """,
            """
            INSERT INTO packshot_product (id, sku, name, description, category_id, attributes, currency,
                reference_image_urls, external_ids, listed_image_url, placeholder, last_generation_status,
                failures_in_row, created_at, updated_at)
            SELECT id, 'SKU-' || lpad(n::text, 6, '0'),
                (ARRAY['Linen', 'Hemp', 'Clay', 'Oak', 'Wool', 'Glass'])[1 + n %% 6] || ' ' ||
                (ARRAY['bowl', 'blanket', 'lamp', 'oil', 'soap', 'tote', 'mug'])[1 + n %% 7] || ' No. ' || n,
                'Made to be used every day.', category_id, '{"colour": "sand"}', 'USD', '[]', '{}', '',
                n %% 50 = 0, '', 0, now() - interval '100 days', now()
            FROM some_product
            """,
            """
            INSERT INTO packshot_process (id, kind, host, pid, slot, started_at, seen_at, stop_acknowledged,
                ended_at)
            VALUES (uuidv7(), 'pay', 'benchmark', 1, 1, now(), now(), 0, now())
            """,
            f"""
            CREATE TEMPORARY TABLE some_generation ON COMMIT DROP AS
            SELECT uuidv7(-age) AS id, uuidv7(-age) AS attempt_id, uuidv7(-age) AS image_id,
                now() - age AS asked_at,
                1 + floor(random() * 60)::int AS took_s, product.id AS product_id, provider, run,
                (ARRAY['gpt-image-2', 'flux-2-pro', 'studio'])[provider] AS model,
                (ARRAY['openai', 'flux', 'sandbox'])[provider] AS provider_id,
                (ARRAY[53000, 40000, 0])[provider] AS micros, mine.status, place
            FROM (
                SELECT n, n / 200 AS run, 1 + (random() * 2.2)::int AS provider,
                    floor(random() * 1000) AS place,
                    1 + floor(random() * %(products)s)::int AS product_n,
                    CASE WHEN n > %(generations)s * 15 / 16 THEN interval '1 hour' * random()
                        ELSE interval '90 days' * random() + interval '1 hour' END AS age
                FROM generate_series(1, %(generations)s) AS n
            ) AS drawn
            JOIN some_product AS product ON product.n = drawn.product_n
            CROSS JOIN LATERAL (SELECT CASE
                -- Work in progress is recent.
                WHEN age > interval '1 hour' AND place BETWEEN 55 AND 79 THEN 'completed'
                {" ".join(edges)} ELSE 'completed' END AS status) AS mine
            """,
            """
            INSERT INTO packshot_run (id, title, asked_by_name, size, created_at)
            SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(run), 12, '0'))::uuid, 'Run ' || run, 'ada',
                count(*),
                min(asked_at)
            FROM some_generation GROUP BY run
            """,
            """
            INSERT INTO packshot_request (key, fingerprint, run_id, asked_by_name, created_at)
            SELECT 'benchmark-' || run, '', ('00000000-0000-7000-8000-' || lpad(to_hex(run), 12,
                '0'))::uuid, 'ada',
                min(asked_at)
            FROM some_generation GROUP BY run
            """,
            """
            INSERT INTO packshot_generation (id, request_id, run_id, product_id, provider_id, model,
                simulated,
                prompt, shape, images, options, asked_by_name, priority, lane, status, wait_detail, attempts,
                worker_deaths, expected_micros, ceiling_micros, price_version, actual_micros, cost_unknown,
                error_kind, error_message, created_at, updated_at, started_at, completed_at)
            SELECT id, 'benchmark-' || run, ('00000000-0000-7000-8000-' || lpad(to_hex(run), 12, '0'))::uuid,
                product_id, provider_id, model, true,
                'A packshot on a pale ground, window light from the left, long soft shadow, true colours.',
                    '1:1', 1,
                '{}', 'ada', 0, run::text, status, '', CASE status WHEN 'pending' THEN 0 ELSE 1 END, 0,
                    micros,
                micros, 'benchmark', CASE status WHEN 'completed' THEN micros WHEN 'failed' THEN 0 END, false,
                CASE status WHEN 'failed' THEN (ARRAY['refused', 'timeout',
                    'server_error'])[1 + place::int %% 3]
                    ELSE '' END,
                CASE status WHEN 'failed' THEN 'The provider did not make it.' ELSE '' END,
                asked_at, asked_at + make_interval(secs => took_s),
                CASE WHEN status NOT IN ('pending', 'cancelled') THEN asked_at + interval '1 second' END,
                CASE WHEN status IN ('completed', 'failed', 'cancelled')
                    THEN asked_at + make_interval(secs => took_s) END
            FROM some_generation
            """,
            """
            INSERT INTO packshot_attempt (id, generation_id, number, process_id, state, provider, model,
                simulated,
                reserved_micros, price_version, deadline_s, request_id, cost_micros, error_kind,
                    error_message,
                answer, created_at, sending_at, closed_at)
            SELECT attempt_id, id, 1, (SELECT id FROM packshot_process LIMIT 1),
                CASE status WHEN 'completed' THEN 'succeeded' WHEN 'failed' THEN 'failed_free'
                    WHEN 'processing' THEN 'sending' ELSE 'uncertain' END,
                provider_id, model, true, micros, 'benchmark', 300, 'req-' || left(id::text, 13),
                CASE status WHEN 'completed' THEN micros WHEN 'failed' THEN 0 END,
                CASE status WHEN 'failed' THEN 'refused' WHEN 'uncertain' THEN 'worker_lost' ELSE '' END,
                    '', '{}',
                asked_at, asked_at + interval '1 second',
                CASE WHEN status IN ('completed', 'failed') THEN asked_at + make_interval(secs => took_s) END
            FROM some_generation WHERE status NOT IN ('pending', 'cancelled')
            """,
            """
            INSERT INTO packshot_reservation (id, attempt_id, amount_micros, simulated, window_ids, opened_at,
                closed_at)
            SELECT uuidv7(), attempt_id, micros, true, '{}', asked_at,
                CASE WHEN status IN ('completed', 'failed') THEN asked_at + make_interval(secs => took_s) END
            FROM some_generation WHERE status NOT IN ('pending', 'cancelled')
            """,
            """
            INSERT INTO packshot_entry (id, attempt_id, kind, amount_micros, simulated, provider, model,
                category_path, person_name, run_id, charged_at, created_at)
            SELECT uuidv7(), attempt_id, 'charge', micros, true, provider_id, model, '', 'ada', NULL,
                asked_at, asked_at
            FROM some_generation WHERE status = 'completed' AND micros > 0
            """,
            """
            INSERT INTO packshot_image (id, product_id, generation_id, attempt_id, position, blob, media_type,
                width_px, height_px, size_bytes, provider, model, simulated, digital_source_type, state,
                    problem,
                created_at)
            SELECT image_id, product_id, id, attempt_id, 0, encode(sha256(id::text::bytea), 'hex'),
                'image/png', 1024,
                1024, 1500000, provider_id, model, true, 'algorithmicMedia', 'ready', '',
                asked_at + make_interval(secs => took_s)
            FROM some_generation WHERE status = 'completed'
            """,
            """
            INSERT INTO packshot_rendition (id, image_id, spec, blob, media_type, width_px, height_px,
                size_bytes,
                created_at)
            SELECT uuidv7(), image_id, spec, (%(blobs)s::text[])[1 + place::int %% 20], 'image/webp', 320,
                320, 9000,
                asked_at
            FROM some_generation CROSS JOIN (VALUES ('webp-320'), ('webp-96'), ('webp-1200')) AS made (spec)
            WHERE status = 'completed'
            """,
            """
            UPDATE packshot_product AS product
            SET last_generation_status = newest.status, last_generation_at = newest.asked_at
            FROM (
                SELECT DISTINCT ON (product_id) product_id, status, asked_at FROM some_generation
                ORDER BY product_id, id DESC
            ) AS newest
            WHERE newest.product_id = product.id
            """,
            """
            UPDATE packshot_product AS product
            SET newest_image_id = newest.image_id, placeholder = false,
                active_image_id = CASE WHEN newest.place::int %% 5 > 1 THEN newest.image_id END
            FROM (
                SELECT DISTINCT ON (product_id) product_id, image_id, place FROM some_generation
                WHERE status = 'completed' ORDER BY product_id, id DESC
            ) AS newest
            WHERE newest.product_id = product.id
            """,
        )
    ]
