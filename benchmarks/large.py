"""A large site with a long past: millions of generations over 400 days, with all that hangs on them.

Written by the database itself, past the guards and before the indexes, because ten million rows through the
product's own verbs would take hours. What stands there afterwards is what the verbs would have left:
`packshot ledger check` finds nothing to say about it, and `rebuild_rollups` counts it.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measure import environment_of
from packshot.embedded import Cluster

PRODUCTS = 200_000
PASSWORD = "sunlit meadow under glass"
DAYS = 400
AT_ONCE = 1_000_000  # generations in one round of inserts
WAITING = 20_000  # the queue is as long as it is, however long the past

# What the server is built with: nothing that is lost here cannot be built again. With this `wal_level`
# nothing is logged either, because every table is emptied in the transaction that fills it.
WHILE_BUILT = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "16GB",
    "maintenance_work_mem": "1GB",
    "autovacuum": "off",
}

# Provider, model, its share in per cent, its price in micro-dollars, its usual seconds.
MODELS = (
    ("openai", "gpt-image-2", 22, 53_000, 24.0),
    ("openai", "gpt-image-2-mini", 8, 11_000, 12.0),
    ("flux", "flux-2-pro", 24, 40_000, 7.0),
    ("flux", "flux-2-flex", 6, 60_000, 11.0),
    ("stability", "stable-image-core", 12, 30_000, 5.0),
    ("stability", "stable-image-ultra", 3, 80_000, 9.0),
    ("midjourney", "v7", 10, 80_000, 45.0),
    ("comfyui", "workflow", 5, 0, 18.0),
    ("sandbox", "studio", 10, 0, 1.0),
)
ERRORS = ("refused", "timeout", "server_error", "rate_limited", "bad_request", "bad_answer", "no_credit")
PEOPLE = (
    "ada",
    "grace",
    "edsger",
    "barbara",
    "donald",
    "frances",
    "tony",
    "radia",
    "ken",
    "lynn",
    "alan",
    "mary",
)

_TABLES = (
    "packshot_generation", "packshot_attempt", "packshot_reservation", "packshot_entry", "packshot_image",
    "packshot_rendition", "packshot_review", "packshot_score", "packshot_request", "packshot_run",
    "packshot_event", "packshot_product", "packshot_rollup",
)  # fmt: skip


def fill(*, products: int, generations: int) -> None:
    """Fill a new, migrated site, in one transaction. Needs django.setup() and a superuser's connection."""
    from django.db import connection, transaction

    from packshot.flows.desk import enrol_desk

    enrol_desk()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("SET LOCAL work_mem = '512MB'")
        cursor.execute("SELECT setseed(0.42)")
        cursor.execute(f"TRUNCATE {', '.join(_TABLES)} CASCADE")
        cursor.execute(
            "SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = ANY(%s)"
            " AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = (indexname::regclass))",
            [list(_TABLES)],
        )
        indexes = [row[0] for row in cursor.fetchall()]
        cursor.execute(
            "SELECT string_agg(indexname, ', ') FROM pg_indexes"
            " WHERE schemaname = current_schema() AND tablename = ANY(%s)"
            " AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = (indexname::regclass))",
            [list(_TABLES)],
        )
        cursor.execute(f"DROP INDEX {cursor.fetchone()[0]}")
        given = {
            "products": products,
            "generations": generations,
            "waiting": min(WAITING, generations // 50),
            "people": list(PEOPLE),
            "errors": list(ERRORS),
            "days": DAYS,
        }
        for statement in (_CATEGORIES, _MODELS_TABLE, _PRODUCTS, _PROCESS):
            cursor.execute(statement, given)
        for first in range(1, generations + 1, AT_ONCE):
            last = min(first + AT_ONCE - 1, generations)
            _say(f"generations {first:,} to {last:,}")
            for statement in _ROUND:
                cursor.execute(statement, {**given, "first": first, "last": last})
        for definition in indexes:
            _say(definition.partition(" ON ")[0].lower())
            cursor.execute(definition)
        _say("products as their generations left them")
        cursor.execute("SET LOCAL session_replication_role = origin")  # their own triggers judge their images
        for statement in _PRODUCT_STATE:
            cursor.execute(statement, given)


def count_and_analyze() -> None:
    """Count the rollups from the rows, and let the planner look at everything."""
    from django.db import connection

    # Counted there: what was wrong with rollups that are empty is a list of millions.
    for what in (
        "VACUUM (ANALYZE, FREEZE)",
        "SELECT count(*) FROM packshot_rebuild_rollups('-infinity', 'infinity')",
        "CLUSTER packshot_rollup USING packshot_rollup_pkey",  # as a site writes them, as time goes by
        "VACUUM (ANALYZE) packshot_rollup",
    ):
        _say(what.lower())
        with connection.cursor() as cursor:
            cursor.execute(what)


def _say(what: str) -> None:
    print(f"# {time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


_CATEGORIES = """
    INSERT INTO packshot_category (id, path, name)
    SELECT uuidv7(), format('%%s > %%s > Range %%s', big, small, n), 'Range ' || n
    FROM unnest(ARRAY['Home', 'Kitchen', 'Garden', 'Food', 'Beauty']) AS big,
        unnest(ARRAY['Linen', 'Ceramics', 'Wood', 'Glass', 'Seasonal']) AS small, generate_series(1, 20) AS n
"""

_MODELS_TABLE = """
    CREATE TEMPORARY TABLE some_model ON COMMIT DROP AS
    SELECT *, sum(share) OVER (ORDER BY place) AS below FROM (VALUES {models})
        AS each (place, provider, model, share, micros, usual_s)
""".format(
    models=", ".join(
        f"({place}, '{provider}', '{model}', {share}, {micros}, {seconds})"
        for place, (provider, model, share, micros, seconds) in enumerate(MODELS)
    )
)

_PRODUCTS = """
    CREATE TEMPORARY TABLE some_product ON COMMIT DROP AS
    SELECT uuidv7() AS id, n, places.id AS category_id, places.path AS category_path
    FROM generate_series(1, %(products)s) AS n
    JOIN (SELECT id, path, row_number() OVER (ORDER BY path) AS place FROM packshot_category) AS places
        ON places.place = 1 + n %% (SELECT count(*) FROM packshot_category);
    ALTER TABLE some_product ADD PRIMARY KEY (n);
    ANALYZE some_product;
    INSERT INTO packshot_product (id, sku, name, description, category_id, attributes, price, currency,
        reference_image_urls, external_ids, listed_image_url, placeholder, last_generation_status,
        failures_in_row, created_at, updated_at)
    SELECT id, (ARRAY['HOM', 'KIT', 'GAR', 'FOO', 'BEA'])[1 + n %% 5] || '-' || lpad(n::text, 7, '0'),
        concat_ws(' ',
            (ARRAY['Washed', 'Raw', 'Small', 'Large', 'Glazed', 'Smoked', 'Woven', 'Hand-thrown', 'Organic',
                'Recycled', 'Tall']) [1 + n %% 11],
            (ARRAY['linen', 'hemp', 'clay', 'oak', 'wool', 'glass', 'brass', 'cork', 'marble', 'cotton',
                'olive', 'beech', 'stoneware']) [1 + n %% 13],
            (ARRAY['bowl', 'blanket', 'lamp', 'oil', 'soap', 'tote', 'mug', 'tray', 'vase', 'candle', 'apron',
                'board', 'jug', 'planter', 'cushion', 'stool', 'basket']) [1 + n %% 17],
            'No. ' || n),
        'Made by hand in small batches, to be used every day and to be kept for years. ' || repeat(
            'No two pieces are alike: colour and grain differ with the season and the maker. ', 4),
        category_id,
        jsonb_build_object('colour', (ARRAY['sand', 'indigo', 'moss', 'rust', 'chalk'])[1 + n %% 5],
            'material', (ARRAY['linen', 'hemp', 'clay', 'oak'])[1 + n %% 4]),
        9 + n %% 90, 'USD', '[]', '{}',
        CASE WHEN n %% 3 = 0 THEN 'https://shop.example/pictures/' || n || '.jpg' ELSE '' END, n %% 12 = 0,
        '', 0, now() - make_interval(days => %(days)s + 5), now()
    FROM some_product
"""

_PROCESS = """
    INSERT INTO packshot_process (id, kind, host, pid, slot, started_at, seen_at, stop_acknowledged, ended_at)
    VALUES (uuidv7(), 'pay', 'benchmark', 1, 1, now(), now(), 0, now())
"""

# In the order of their times, as rows are written: what PostgreSQL and its BRIN indexes meet on a real site.
_DRAWN = """
    DROP TABLE IF EXISTS some_generation;
    CREATE TEMPORARY TABLE some_generation ON COMMIT DROP AS
    SELECT drawn.n, uuidv7(asked_at - clock_timestamp()) AS id,
        uuidv7(asked_at - clock_timestamp()) AS attempt_id,
        uuidv7(asked_at + make_interval(secs => took_s) - clock_timestamp()) AS image_id,
        asked_at, took_s, drawn.run,
        ('00000000-0000-7000-8000-' || lpad(to_hex(drawn.run), 12, '0'))::uuid AS run_id,
        product.id AS product_id, product.category_path, mine.provider, mine.model, mine.micros::bigint,
        drawn.status, drawn.images,
        (%(people)s::text[])[1 + drawn.run %% 12] AS person,
        CASE WHEN drawn.status = 'failed' THEN (%(errors)s::text[])[1 + floor(7 * drawn.luck ^ 2)::int]
            ELSE '' END AS error_kind,
        drawn.simulated, drawn.luck,
        CASE WHEN drawn.status IN ('pending', 'cancelled') THEN 0
            WHEN drawn.luck < 0.04 AND drawn.status IN ('completed', 'failed') THEN 2 ELSE 1 END AS attempts,
        drawn.status = 'completed' AND drawn.luck > 0.9997 AND mine.micros > 0 AS cost_unknown
    FROM (
        SELECT n, n / 150 AS run, random() AS luck, asked_at,
            asked_at < now() - interval '250 days' AS simulated,
            1 + floor(%(products)s * random() ^ 1.4)::int AS product_n,
            floor(random() * 100)::int AS model_place,
            CASE WHEN n > %(generations)s - %(waiting)s THEN 'pending'
                WHEN n > %(generations)s - %(waiting)s - 300 THEN 'processing'
                WHEN random() < 0.06 THEN 'failed' WHEN random() < 0.015 THEN 'cancelled'
                WHEN random() < 0.0002 THEN 'uncertain' ELSE 'completed' END AS status,
            exp(random_normal() * 0.5) AS pace, CASE WHEN random() < 0.03 THEN 2 ELSE 1 END AS images
        FROM generate_series(%(first)s, %(last)s) AS n
        CROSS JOIN LATERAL (
            SELECT now() - interval '10 minutes'
                - make_interval(secs => %(days)s * 86400.0 * (1 - n::float8 / %(generations)s)) AS asked_at
        ) AS clock
    ) AS drawn
    JOIN some_product AS product ON product.n = drawn.product_n
    JOIN some_model AS mine ON drawn.model_place < mine.below AND drawn.model_place >= mine.below - mine.share
    CROSS JOIN LATERAL (SELECT mine.usual_s * drawn.pace + 0.4 AS took_s) AS duration
    ORDER BY n
"""

_ROUND = (
    _DRAWN,
    """
    INSERT INTO packshot_run (id, title, asked_by_name, size, created_at)
    SELECT run_id, 'Run ' || run, person, count(*), min(asked_at)
    FROM some_generation GROUP BY run, run_id, person
    ON CONFLICT (id) DO UPDATE SET size = packshot_run.size + excluded.size
    """,
    """
    INSERT INTO packshot_request (key, fingerprint, run_id, asked_by_name, created_at)
    SELECT 'request-' || run, '', run_id, person, min(asked_at)
    FROM some_generation GROUP BY run, run_id, person
    ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO packshot_generation (id, request_id, run_id, product_id, provider_id, model, simulated,
        prompt, template_version_id, shape, images, options, asked_by_name, priority, lane, status,
        wait_detail, attempts, worker_deaths, expected_micros, ceiling_micros, price_version, actual_micros,
        cost_unknown, error_kind, error_message, created_at, updated_at, started_at, completed_at)
    SELECT id, 'request-' || run, run_id, product_id, provider, model, simulated,
        'Studio packshot of the product on a pale ground, window light from the left, long soft shadow, true '
            || (ARRAY['colours', 'grain', 'scale', 'weave'])[1 + n %% 4] || ', nothing else in the picture.',
        versions.ids[1 + n %% cardinality(versions.ids)], '1:1', images, '{}', person, 0, run::text, status,
        '', attempts, 0, micros, micros, 'benchmark',
        CASE WHEN status = 'completed' AND NOT cost_unknown THEN micros WHEN status = 'failed' THEN 0 END,
        cost_unknown, error_kind,
        CASE WHEN error_kind <> '' THEN 'The provider did not make it.' ELSE '' END,
        asked_at, asked_at + make_interval(secs => took_s),
        CASE WHEN status NOT IN ('pending', 'cancelled') THEN asked_at + interval '0.4 seconds' END,
        CASE WHEN status IN ('completed', 'failed', 'cancelled')
            THEN asked_at + make_interval(secs => took_s) END
    FROM some_generation
    CROSS JOIN (SELECT array_agg(id ORDER BY id) AS ids FROM packshot_prompttemplateversion) AS versions
    ORDER BY n
    """,
    # The call before the one that counted, where there was one; and what was held for each.
    """
    WITH called AS (
        INSERT INTO packshot_attempt (id, generation_id, number, process_id, state, provider, model,
            simulated, reserved_micros, price_version, deadline_s, request_id, cost_micros, error_kind,
            error_message, answer, created_at, sending_at, closed_at)
        SELECT CASE number WHEN attempts THEN attempt_id
                ELSE uuidv7(asked_at - interval '1 second' - clock_timestamp()) END,
            id, number, process_id,
            CASE WHEN number < attempts THEN 'failed_free'
                ELSE CASE status WHEN 'completed' THEN 'succeeded' WHEN 'failed' THEN 'failed_free'
                    WHEN 'processing' THEN 'sending' ELSE 'uncertain' END END,
            provider, model, simulated, micros, 'benchmark', 300, 'req_' || md5(id::text || number),
            CASE WHEN number < attempts OR status = 'failed' THEN 0
                WHEN status = 'completed' AND NOT cost_unknown THEN micros END,
            CASE WHEN number < attempts THEN 'rate_limited' WHEN status = 'failed' THEN error_kind
                WHEN status = 'uncertain' THEN 'worker_lost' ELSE '' END,
            '', '{}', asked_at, asked_at + interval '0.4 seconds',
            CASE WHEN number < attempts THEN asked_at + interval '0.6 seconds'
                WHEN status IN ('completed', 'failed') THEN asked_at + make_interval(secs => took_s) END
        FROM some_generation
        CROSS JOIN (SELECT id FROM packshot_process LIMIT 1) AS process (process_id)
        CROSS JOIN LATERAL generate_series(1, attempts) AS number
        RETURNING id, reserved_micros, simulated, created_at, closed_at, cost_micros
    )
    INSERT INTO packshot_reservation (id, attempt_id, amount_micros, simulated, window_ids, opened_at,
        closed_at)
    SELECT uuidv7(created_at - clock_timestamp()), id, reserved_micros, simulated, '{}', created_at,
        CASE WHEN cost_micros IS NOT NULL THEN closed_at END
    FROM called
    """,
    """
    INSERT INTO packshot_entry (id, attempt_id, kind, amount_micros, simulated, provider, model,
        category_path, person_name, run_id, charged_at, created_at)
    SELECT uuidv7(asked_at + make_interval(secs => took_s) - clock_timestamp()), attempt_id, 'charge', micros,
        simulated, provider, model, category_path, person, run_id, asked_at,
        asked_at + make_interval(secs => took_s)
    FROM some_generation WHERE status = 'completed' AND NOT cost_unknown ORDER BY n
    """,
    """
    DROP TABLE IF EXISTS some_image;
    CREATE TEMPORARY TABLE some_image ON COMMIT DROP AS
    SELECT CASE position WHEN 0 THEN image_id
            ELSE uuidv7(asked_at + make_interval(secs => took_s) - clock_timestamp()) END AS id,
        position, asked_at + make_interval(secs => took_s) AS at, product_id, generation.id AS generation_id,
        attempt_id, provider, model, simulated, random() AS luck, n, person
    FROM some_generation AS generation CROSS JOIN LATERAL generate_series(0, images - 1) AS position
    WHERE status = 'completed' ORDER BY n
    """,
    """
    INSERT INTO packshot_image (id, product_id, generation_id, attempt_id, position, blob, media_type,
        width_px, height_px, size_bytes, provider, model, simulated, digital_source_type, state, problem,
        created_at)
    SELECT id, product_id, generation_id, attempt_id, position, md5(id::text) || md5(generation_id::text),
        'image/png', 1024, 1024, 1500000, provider, model, simulated, 'trainedAlgorithmicMedia', 'ready', '',
        at
    FROM some_image ORDER BY n
    """,
    """
    INSERT INTO packshot_rendition (id, image_id, spec, blob, media_type, width_px, height_px, size_bytes,
        created_at)
    SELECT uuidv7(at + interval '1 second' - clock_timestamp()), image.id, made.spec,
        md5(made.spec || image.id::text) || md5(image.id::text), 'image/webp', made.px, made.px,
        made.px * 40, at
    FROM some_image AS image
    CROSS JOIN (VALUES ('webp-320', 320), ('webp-96', 96), ('webp-1200', 1200)) AS made (spec, px)
    ORDER BY n
    """,
    """
    INSERT INTO packshot_review (id, image_id, decision, reason, decided_by_name, at, current)
    SELECT uuidv7(at + interval '1 hour' - clock_timestamp()), id,
        CASE WHEN luck < 0.16 THEN 'approved' ELSE 'rejected' END, '', person, at + interval '1 hour', true
    FROM some_image WHERE luck < 0.2 AND at < now() - interval '1 hour'
    """,
    """
    INSERT INTO packshot_score (id, image_id, scorer, value, detail, at)
    SELECT uuidv7(at + interval '1 minute' - clock_timestamp()), id, 'sharpness',
        least(100, greatest(0, 65 + 14 * random_normal())), '{}', at + interval '1 minute'
    FROM some_image WHERE luck BETWEEN 0.1 AND 0.4
    """,
    """
    INSERT INTO packshot_event (topic, kind, subject, data, at)
    SELECT 'generation', told.kind, generation.id::text,
        jsonb_build_object('sku', '', 'provider', provider, 'run', run_id), told.at
    FROM some_generation AS generation
    CROSS JOIN LATERAL (VALUES ('asked', asked_at),
        (CASE WHEN status NOT IN ('pending', 'processing') THEN status END,
            asked_at + make_interval(secs => took_s))) AS told (kind, at)
    WHERE asked_at > now() - interval '7 days' AND told.kind IS NOT NULL ORDER BY told.at
    """,
)

# One look per product by the indexes that now stand, never a sort of all generations.
_PRODUCT_STATE = (
    "ANALYZE packshot_generation, packshot_image",
    """
    UPDATE packshot_product AS product
    SET last_generation_status = CASE newest.status WHEN 'processing' THEN 'pending' ELSE newest.status END,
        last_generation_at = newest.updated_at,
        failures_in_row = CASE newest.status WHEN 'failed' THEN 1 + abs(hashtext(product.sku)) %% 3
            ELSE 0 END,
        newest_image_id = shown.id,
        active_image_id = CASE WHEN abs(hashtext(product.sku)) %% 100 < 82 THEN chosen.id END,
        placeholder = product.placeholder AND NOT abs(hashtext(product.sku)) %% 100 < 82
    FROM packshot_product AS same
    LEFT JOIN LATERAL (
        SELECT status, updated_at FROM packshot_generation WHERE product_id = same.id ORDER BY id DESC LIMIT 1
    ) AS newest ON true
    LEFT JOIN LATERAL (
        SELECT image.id FROM packshot_image AS image WHERE image.product_id = same.id
        ORDER BY image.id DESC LIMIT 1
    ) AS shown ON true
    -- Somebody chose the newest, or an older one and left it at that.
    LEFT JOIN LATERAL (
        SELECT image.id FROM packshot_image AS image WHERE image.product_id = same.id
        ORDER BY image.id DESC OFFSET abs(hashtext(same.sku)) %% 4 LIMIT 1
    ) AS chosen ON true
    WHERE same.id = product.id AND newest.status IS NOT NULL
    """,
    # What was generated lately is often not looked at yet.
    """
    UPDATE packshot_product SET active_image_id = NULL
    WHERE active_image_id >= packshot_first_id(now() - interval '12 hours')
    """,
)


def described() -> dict[str, Any]:
    """How large it became, by table in megabytes."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, pg_total_relation_size(oid) / 1048576 FROM pg_class"
            " WHERE relname = ANY(%s) AND relnamespace = current_schema()::regnamespace",
            [list(_TABLES)],
        )
        return {name: int(size) for name, size in cursor.fetchall()}


@contextmanager
def large_site(millions: float, *, keep: Path | None) -> Iterator[dict[str, str]]:
    """A site with so many million generations; yields the environment of its processes.

    Built in `keep`, where one that was built before is used again, or else in a folder that goes afterwards.
    """
    folder = (
        keep / f"{millions:g}m" if keep else Path(tempfile.mkdtemp(prefix="packshot-large-", dir="/var/tmp"))
    )
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # as root the server runs as another user
    built = folder / "built"
    environment = environment_of(folder / "data")
    try:
        if not built.exists():
            _build(Cluster(folder / "data", WHILE_BUILT), environment, millions)
            built.touch()
        cluster = Cluster(folder / "data")
        try:
            environment["DATABASE_URL"] = cluster.ensure_running()
            if not _is_migrated(environment):
                _django("migrate", "--verbosity=0", environment=environment)
                # Tables were written anew, and index-only reads ask which pages everybody sees.
                with cluster.connection().connect() as connection:
                    connection.execute("VACUUM (ANALYZE)")
            yield environment
        finally:
            cluster.stop()
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def _build(cluster: Cluster, environment: dict[str, str], millions: float) -> None:
    try:
        environment["DATABASE_URL"] = cluster.ensure_running()
        _django("migrate", "--verbosity=0", environment=environment)
        command = [sys.executable, __file__, str(millions)]
        subprocess.run(command, env=environment, check=True)
    finally:
        cluster.stop(patience_s=600)  # what was written is written to the disk now


def _django(*arguments: str, environment: dict[str, str]) -> None:
    subprocess.run([sys.executable, "-m", "django", *arguments], env=environment, check=True)


def _is_migrated(environment: dict[str, str]) -> bool:
    command = [sys.executable, "-m", "django", "migrate", "--check", "--verbosity=0"]
    return subprocess.run(command, env=environment, check=False, capture_output=True).returncode == 0


def main(millions: float) -> None:
    import django

    django.setup()
    from packshot import accounts
    from packshot.accounts.models import User
    from packshot.flows import import_catalogue

    person = User(username="ada", role="administrator")
    person.set_password(PASSWORD)
    person.save()
    import_catalogue.load_templates(accounts.this_shell())
    fill(products=PRODUCTS, generations=round(millions * 1_000_000))
    count_and_analyze()
    _say(f"megabytes: {described()}")


if __name__ == "__main__":
    main(float(sys.argv[1]))
