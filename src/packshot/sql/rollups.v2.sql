-- Rebuilds as version 1 did, and adds histograms up place by place: the aggregate calls a function for each row
-- (300,000 in 6.7 s, where the sums take 0.3), and writers wait for it.

-- Recomputes the quarter-hours from `starts` up to `ends`, and all time with them, from the rows they were
-- counted from; leaves one row per key, in slot 0; returns each figure that was wrong.
CREATE OR REPLACE FUNCTION packshot_rebuild_rollups(starts timestamptz, ends timestamptz)
RETURNS TABLE (
    bucket timestamptz, provider varchar, model varchar, simulated boolean,
    figure text, stored bigint, exact bigint
)
LANGUAGE plpgsql
SET search_path FROM CURRENT
-- Nobody knows how many rows a CTE will have; guessed at one, it was joined row by row for ten minutes.
SET enable_nestloop = off
SET jit = off
SET work_mem = '128MB'
AS $$
#variable_conflict use_column
DECLARE
    first timestamptz := packshot_quarter_hour(starts);
    after timestamptz := packshot_quarter_hour(ends);
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'rebuild in READ COMMITTED: an older snapshot would miss what was closed meanwhile';
    END IF;
    IF after < ends THEN
        after := after + interval '15 minutes';
    END IF;
    -- Whoever has counted and not yet committed is waited for; whoever comes later counts on top of the
    -- result. Only the rollup is locked, the last lock but one of every writer, so this cannot deadlock.
    LOCK TABLE packshot_rollup IN SHARE ROW EXCLUSIVE MODE;
    RETURN QUERY
    WITH ended AS (
        SELECT
            packshot_quarter_hour(generation.completed_at) AS bucket,
            generation.provider_id AS provider,
            generation.model,
            generation.simulated,
            generation.status,
            CASE WHEN generation.status = 'completed'
                THEN packshot_duration_ms(generation.started_at, generation.completed_at) END AS duration_ms
        FROM packshot_generation AS generation
        WHERE generation.completed_at >= first AND generation.completed_at < after
    ),
    counted AS (
        SELECT
            bucket, provider, model, simulated,
            count(*) FILTER (WHERE status = 'completed') AS completed,
            count(*) FILTER (WHERE status = 'failed') AS failed,
            count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
            0 AS images, 0 AS approved, 0 AS amount_micros,
            coalesce(sum(duration_ms), 0) AS duration_ms,
            count(duration_ms) AS durations,
            place
        FROM ended
        CROSS JOIN LATERAL (
            SELECT coalesce(width_bucket(duration_ms, packshot_histogram_bounds_ms()), 0) AS place
        ) AS bar
        GROUP BY bucket, provider, model, simulated, place
        UNION ALL
        SELECT
            packshot_quarter_hour(image.created_at), image.provider, image.model, image.simulated,
            0, 0, 0, count(*), count(review.id), 0, 0, 0, -1
        FROM packshot_image AS image
        LEFT JOIN packshot_review AS review
            ON review.image_id = image.id AND review.current AND review.decision = 'approved'
        WHERE image.attempt_id IS NOT NULL AND image.created_at >= first AND image.created_at < after
        GROUP BY 1, 2, 3, 4
        UNION ALL
        SELECT
            packshot_quarter_hour(entry.charged_at), entry.provider, entry.model, entry.simulated,
            0, 0, 0, 0, 0, sum(entry.amount_micros), 0, 0, -1
        FROM packshot_entry AS entry
        WHERE entry.charged_at >= first AND entry.charged_at < after
        GROUP BY 1, 2, 3, 4
    ),
    quarter_hour AS (
        SELECT
            bucket, provider, model, simulated,
            sum(completed)::bigint AS completed, sum(failed)::bigint AS failed,
            sum(cancelled)::bigint AS cancelled, sum(images)::bigint AS images,
            sum(approved)::bigint AS approved, sum(amount_micros)::bigint AS amount_micros,
            sum(duration_ms)::bigint AS duration_ms, sum(durations)::bigint AS durations,
            ARRAY[
                sum(durations * (place = 0)::integer), sum(durations * (place = 1)::integer),
                sum(durations * (place = 2)::integer), sum(durations * (place = 3)::integer),
                sum(durations * (place = 4)::integer), sum(durations * (place = 5)::integer),
                sum(durations * (place = 6)::integer), sum(durations * (place = 7)::integer),
                sum(durations * (place = 8)::integer), sum(durations * (place = 9)::integer),
                sum(durations * (place = 10)::integer), sum(durations * (place = 11)::integer),
                sum(durations * (place = 12)::integer), sum(durations * (place = 13)::integer),
                sum(durations * (place = 14)::integer), sum(durations * (place = 15)::integer),
                sum(durations * (place = 16)::integer), sum(durations * (place = 17)::integer),
                sum(durations * (place = 18)::integer), sum(durations * (place = 19)::integer),
                sum(durations * (place = 20)::integer), sum(durations * (place = 21)::integer),
                sum(durations * (place = 22)::integer), sum(durations * (place = 23)::integer),
                sum(durations * (place = 24)::integer), sum(durations * (place = 25)::integer),
                sum(durations * (place = 26)::integer), sum(durations * (place = 27)::integer),
                sum(durations * (place = 28)::integer), sum(durations * (place = 29)::integer),
                sum(durations * (place = 30)::integer), sum(durations * (place = 31)::integer)
            ]::bigint[] AS histogram
        FROM counted
        GROUP BY bucket, provider, model, simulated
    ),
    exact AS (
        SELECT * FROM quarter_hour
        UNION ALL
        SELECT
            packshot_all_time(), provider, model, simulated,
            sum(completed)::bigint, sum(failed)::bigint, sum(cancelled)::bigint, sum(images)::bigint,
            sum(approved)::bigint, sum(amount_micros)::bigint, sum(duration_ms)::bigint,
            sum(durations)::bigint,
            ARRAY[
                sum(histogram[1]), sum(histogram[2]), sum(histogram[3]), sum(histogram[4]), sum(histogram[5]),
                sum(histogram[6]), sum(histogram[7]), sum(histogram[8]), sum(histogram[9]),
                sum(histogram[10]), sum(histogram[11]), sum(histogram[12]), sum(histogram[13]),
                sum(histogram[14]), sum(histogram[15]), sum(histogram[16]), sum(histogram[17]),
                sum(histogram[18]), sum(histogram[19]), sum(histogram[20]), sum(histogram[21]),
                sum(histogram[22]), sum(histogram[23]), sum(histogram[24]), sum(histogram[25]),
                sum(histogram[26]), sum(histogram[27]), sum(histogram[28]), sum(histogram[29]),
                sum(histogram[30]), sum(histogram[31]), sum(histogram[32])
            ]::bigint[]
        FROM (
            SELECT * FROM quarter_hour
            UNION ALL
            SELECT
                bucket, provider, model, simulated, completed, failed, cancelled, images, approved,
                amount_micros, duration_ms, durations, histogram
            FROM packshot_rollup
            WHERE bucket > packshot_all_time() AND (bucket < first OR bucket >= after)
        ) AS everything
        GROUP BY provider, model, simulated
    ),
    stored AS (
        SELECT
            bucket, provider, model, simulated,
            sum(completed)::bigint AS completed, sum(failed)::bigint AS failed,
            sum(cancelled)::bigint AS cancelled, sum(images)::bigint AS images,
            sum(approved)::bigint AS approved, sum(amount_micros)::bigint AS amount_micros,
            sum(duration_ms)::bigint AS duration_ms, sum(durations)::bigint AS durations,
            ARRAY[
                sum(histogram[1]), sum(histogram[2]), sum(histogram[3]), sum(histogram[4]), sum(histogram[5]),
                sum(histogram[6]), sum(histogram[7]), sum(histogram[8]), sum(histogram[9]),
                sum(histogram[10]), sum(histogram[11]), sum(histogram[12]), sum(histogram[13]),
                sum(histogram[14]), sum(histogram[15]), sum(histogram[16]), sum(histogram[17]),
                sum(histogram[18]), sum(histogram[19]), sum(histogram[20]), sum(histogram[21]),
                sum(histogram[22]), sum(histogram[23]), sum(histogram[24]), sum(histogram[25]),
                sum(histogram[26]), sum(histogram[27]), sum(histogram[28]), sum(histogram[29]),
                sum(histogram[30]), sum(histogram[31]), sum(histogram[32])
            ]::bigint[] AS histogram
        FROM packshot_rollup
        WHERE bucket = packshot_all_time() OR (bucket >= first AND bucket < after)
        GROUP BY bucket, provider, model, simulated
    ),
    kept AS (
        INSERT INTO packshot_rollup AS old (
            bucket, provider, model, simulated, slot, completed, failed, cancelled, images, approved,
            amount_micros, duration_ms, durations, histogram
        )
        SELECT
            bucket, provider, model, simulated, 0, completed, failed, cancelled, images, approved,
            amount_micros, duration_ms, durations, histogram
        FROM exact
        ON CONFLICT (bucket, provider, model, simulated, slot) DO UPDATE SET
            completed = excluded.completed, failed = excluded.failed, cancelled = excluded.cancelled,
            images = excluded.images, approved = excluded.approved, amount_micros = excluded.amount_micros,
            duration_ms = excluded.duration_ms, durations = excluded.durations, histogram = excluded.histogram
        WHERE old IS DISTINCT FROM excluded
    ),
    -- In one statement all see the rows as they were, so these leave the ones that `kept` touches alone.
    folded AS (
        DELETE FROM packshot_rollup AS old
        WHERE old.slot <> 0
            AND (old.bucket = packshot_all_time() OR (old.bucket >= first AND old.bucket < after))
    ),
    gone AS (
        DELETE FROM packshot_rollup AS old
        WHERE old.slot = 0
            AND (old.bucket = packshot_all_time() OR (old.bucket >= first AND old.bucket < after))
            AND NOT EXISTS (
                SELECT 1 FROM exact
                WHERE (exact.bucket, exact.provider, exact.model, exact.simulated)
                    = (old.bucket, old.provider, old.model, old.simulated)
            )
    )
    SELECT bucket, provider, model, simulated, line.figure, coalesce(line.stored, 0), coalesce(line.exact, 0)
    FROM stored
    FULL JOIN exact USING (bucket, provider, model, simulated)
    CROSS JOIN LATERAL (
        VALUES
            (1, 'completed', stored.completed, exact.completed),
            (2, 'failed', stored.failed, exact.failed),
            (3, 'cancelled', stored.cancelled, exact.cancelled),
            (4, 'images', stored.images, exact.images),
            (5, 'approved', stored.approved, exact.approved),
            (6, 'amount_micros', stored.amount_micros, exact.amount_micros),
            (7, 'duration_ms', stored.duration_ms, exact.duration_ms),
            (8, 'durations', stored.durations, exact.durations)
        UNION ALL
        SELECT 8 + bar.place, 'histogram ' || bar.place, bar.stored, bar.exact
        FROM unnest(stored.histogram, exact.histogram) WITH ORDINALITY AS bar (stored, exact, place)
    ) AS line (place, figure, stored, exact)
    WHERE coalesce(line.stored, 0) <> coalesce(line.exact, 0)
    ORDER BY bucket, provider, model, simulated, line.place;
END $$;
