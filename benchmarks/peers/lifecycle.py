"""What the peers of benchmarks/pipeline.py do for each job: the rows that our worker writes, one by one.

Two transactions around the call of the provider, because the promises are the same: money is held in every
budget, and the attempt is on the disk, before a byte leaves; image, charge, sums, news and status are written
together. The statements are as lean as we could make them, are prepared, and a transaction is one trip from
BEGIN to COMMIT, with the rows that others wait for locked last; on our side the same rows go through the
product's own verbs.
"""

import os
from dataclasses import dataclass
from uuid import UUID, uuid4

import psycopg

from instant import PRICE

# Claim: the attempt exists and is committed as `sending` before the call. Our worker writes `intent` first,
# since it admits many at once; a task that is alone need not, which spares the peers a transaction.
CLAIM = (
    """
    UPDATE packshot_generation SET status = 'processing', attempts = 1, started_at = clock_timestamp(),
        updated_at = now()
    WHERE id = %(generation)s AND status = 'pending'
    """,
    """
    INSERT INTO packshot_attempt (id, generation_id, number, process_id, state, provider, model, simulated,
        reserved_micros, price_version, deadline_s, request_id, error_kind, error_message, answer, created_at)
    VALUES (%(attempt)s, %(generation)s, 1, %(process)s, 'intent', 'instant', 'instant', true, %(price)s,
        'instant-1', 60, '', '', '', '', now())
    """,
    "UPDATE packshot_attempt SET state = 'sending', sending_at = clock_timestamp() WHERE id = %(attempt)s",
    "SELECT 1 FROM packshot_budgetwindow ORDER BY budget_id, starts_at FOR UPDATE",
    # A fresh statement after the lock: all three have room, or nothing is held.
    """
    WITH taken AS (
        UPDATE packshot_budgetwindow AS balance SET reserved_micros = balance.reserved_micros + %(price)s
        FROM packshot_budget AS budget
        WHERE budget.id = balance.budget_id
            AND balance.reserved_micros + balance.spent_micros + %(price)s <= budget.limit_micros
        RETURNING balance.id
    )
    INSERT INTO packshot_reservation (id, attempt_id, amount_micros, simulated, window_ids, opened_at)
    SELECT gen_random_uuid(), %(attempt)s, %(price)s, true, array_agg(id), now() FROM taken
    HAVING count(*) = 3
    """,
    # What did not hold is refused here, so that BEGIN to COMMIT is one trip.
    """
    SELECT 1 / count(*) FROM packshot_reservation AS hold, packshot_generation AS generation
    WHERE hold.attempt_id = %(attempt)s AND generation.id = %(generation)s
        AND generation.status = 'processing'
    """,
    # As in our outbox: ids of news follow the order of COMMITs.
    "SELECT pg_advisory_xact_lock(x'7061636B73686F74'::bigint)",
    """
    INSERT INTO packshot_event (topic, kind, subject, data, at)
    VALUES ('generation', 'processing', %(generation)s::text, '{"provider": "instant"}', now())
    """,
)

CLOSE = (
    """
    UPDATE packshot_attempt SET state = 'succeeded', cost_micros = %(price)s, request_id = %(request)s,
        closed_at = clock_timestamp()
    WHERE id = %(attempt)s
    """,
    """
    UPDATE packshot_generation SET status = 'completed', actual_micros = %(price)s,
        completed_at = clock_timestamp(), updated_at = clock_timestamp()
    WHERE id = %(generation)s
    """,
    """
    INSERT INTO packshot_image (id, product_id, generation_id, attempt_id, position, blob, media_type,
        width_px, height_px, size_bytes, provider, model, simulated, digital_source_type, state, problem,
        created_at)
    SELECT %(image)s, product_id, id, %(attempt)s, 0, %(blob)s, 'image/png', 1, 1, 68, 'instant', 'instant',
        true, 'algorithmicMedia', 'stored', '', clock_timestamp()
    FROM packshot_generation WHERE id = %(generation)s
    """,
    """
    UPDATE packshot_product AS product SET last_generation_status = 'completed',
        last_generation_at = clock_timestamp(), failures_in_row = 0
    FROM packshot_generation AS generation
    WHERE generation.id = %(generation)s AND product.id = generation.product_id
    """,
    "UPDATE packshot_reservation SET closed_at = now() WHERE attempt_id = %(attempt)s AND closed_at IS NULL",
    """
    INSERT INTO packshot_entry (id, attempt_id, kind, amount_micros, simulated, provider, model,
        category_path, person_name, run_id, charged_at, created_at)
    SELECT gen_random_uuid(), %(attempt)s, 'charge', %(price)s, true, 'instant', 'instant', 'Food > Oils',
        generation.asked_by_name, generation.run_id, hold.opened_at, now()
    FROM packshot_reservation AS hold, packshot_generation AS generation
    WHERE hold.attempt_id = %(attempt)s AND generation.id = %(generation)s
    """,
    "SELECT 1 FROM packshot_budgetwindow ORDER BY budget_id, starts_at FOR UPDATE",
    """
    UPDATE packshot_budgetwindow
    SET reserved_micros = reserved_micros - %(price)s, spent_micros = spent_micros + %(price)s
    """,
    # A row of this process's own, as ours: the quarter-hour, and all time.
    """
    INSERT INTO packshot_rollup AS kept (bucket, provider, model, simulated, slot, completed, failed,
        cancelled, images, approved, amount_micros, duration_ms, durations, histogram)
    SELECT bucket, 'instant', 'instant', true, %(slot)s, 1, 0, 0, 1, 0, %(price)s, 1, 1,
        packshot_histogram(0, 1)
    FROM unnest(ARRAY[packshot_all_time(), packshot_quarter_hour(now())]) AS bucket
    ON CONFLICT (bucket, provider, model, simulated, slot) DO UPDATE SET
        completed = kept.completed + 1, images = kept.images + 1,
        amount_micros = kept.amount_micros + excluded.amount_micros,
        duration_ms = kept.duration_ms + 1, durations = kept.durations + 1,
        histogram = packshot_add_histograms(kept.histogram, excluded.histogram)
    """,
)

TELL = (
    "SELECT pg_advisory_xact_lock(x'7061636B73686F74'::bigint)",
    """
    INSERT INTO packshot_event (topic, kind, subject, data, at)
    VALUES ('generation', 'completed', %(generation)s::text, '{"provider": "instant"}', now())
    """,
    "SELECT pg_notify('packshot', '')",
)

# Procrastinate's own way to put a job into the transaction, without a trip for it.
DEFER = """
    SELECT procrastinate_defer_jobs_v1(ARRAY[ROW('chores', 'look', 10, NULL, NULL,
        jsonb_build_object('image_ids', jsonb_build_array(%(image)s::text)), NULL
    )::procrastinate_job_to_defer_v1])
"""

ENROL = """
    INSERT INTO packshot_process (id, kind, host, pid, slot, started_at, seen_at, stop_acknowledged)
    VALUES (%(process)s, 'chores', 'peer', %(pid)s, %(slot)s, now(), now(), 0)
"""


@dataclass(frozen=True, slots=True)
class Me:
    """This process as attempts and rollups name it."""

    process: UUID
    slot: int


def enrol() -> Me:
    """Write this process down, with a slot of the rollups of its own."""
    me = Me(uuid4(), 1_000 + os.getpid() % 30_000)
    with psycopg.connect(os.environ["PEER_DATABASE"]) as connection:
        connection.execute(ENROL, {"process": me.process, "pid": os.getpid(), "slot": me.slot})
    return me


def facts(generation: str, me: Me) -> dict[str, object]:
    """What the statements of one job are filled with."""
    return {
        "generation": UUID(generation),
        "attempt": uuid4(),
        "image": uuid4(),
        "process": me.process,
        "slot": me.slot,
        "price": PRICE,
        "request": "1",
    }
