-- Rollups: sums by quarter-hour and, under the bucket packshot_all_time(), by everything there ever was.
-- Read by the views and by packshot.reports; money in micro-dollars, durations in whole milliseconds.
-- Functions have bodies that bind at creation, so a view works whatever search_path its reader has.

-- How many of `images` a person approved, by the quarter-hour of the image's own created_at.
ALTER TABLE packshot_rollup ADD COLUMN IF NOT EXISTS approved bigint NOT NULL DEFAULT 0;

-- The bucket that holds the sums of all quarter-hours. Ten million generations over 400 days leave 230,000
-- quarter-hours (measured: 1.6 s to add their histograms up) and a few dozen rows of this one.
CREATE FUNCTION packshot_all_time() RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN timestamptz '1900-01-01 00:00:00+00';

-- Every zone in use today is a whole number of quarter-hours away from UTC, so days, weeks and months of all
-- of them begin on one.
CREATE FUNCTION packshot_quarter_hour(at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN date_bin('15 minutes', at, timestamptz '2000-01-01 00:00:00+00');

CREATE FUNCTION packshot_duration_ms(started_at timestamptz, ended_at timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN greatest(0, floor(extract(epoch FROM ended_at - started_at) * 1000))::bigint;

-- Upper bounds of the first 31 places of a histogram, each 1.4 times the one before; the 32nd has none.
-- The same list stands in reports/histogram.py, and a test holds the two together.
CREATE FUNCTION packshot_histogram_bounds_ms() RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY[
    50, 70, 98, 137, 192, 269, 376, 527, 738, 1033, 1446, 2025, 2835, 3969, 5556, 7778, 10890, 15246, 21344,
    29882, 41834, 58568, 81995, 114793, 160710, 224994, 314992, 440988, 617383, 864337, 1210072
]::bigint[];

-- A histogram with `size` durations, all in one place. Places count from 0 here, as width_bucket() does.
CREATE FUNCTION packshot_histogram(place integer, size bigint) RETURNS bigint[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN array_fill(0::bigint, ARRAY[place]) || size || array_fill(0::bigint, ARRAY[31 - place]);

CREATE FUNCTION packshot_add_histograms(one bigint[], other bigint[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT array_agg(pair.one + pair.other ORDER BY pair.place)
    FROM unnest(one, other) WITH ORDINALITY AS pair (one, other, place);
END;

CREATE AGGREGATE packshot_sum_histograms (bigint[]) (
    SFUNC = packshot_add_histograms, STYPE = bigint[], COMBINEFUNC = packshot_add_histograms, PARALLEL = SAFE
);

-- The duration in seconds that `percent` of a histogram's durations do not exceed, estimated by its rank
-- within its place; NULL when there is none. In the last place, which has no upper bound: its lower bound.
CREATE FUNCTION packshot_percentile(histogram bigint[], percent integer) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    WITH counted AS (
        SELECT
            bar.place,
            bar.size,
            sum(bar.size) OVER (ORDER BY bar.place) - bar.size AS below,
            -- Whole-number arithmetic: 0.95 * n in floating point can round up to the next rank.
            (percent * sum(bar.size) OVER () + 99)::bigint / 100 AS rank
        FROM unnest(histogram) WITH ORDINALITY AS bar (size, place)
    ),
    found AS (
        SELECT
            coalesce((packshot_histogram_bounds_ms())[counted.place - 1], 0) AS lower_ms,
            (packshot_histogram_bounds_ms())[counted.place] AS upper_ms,
            (counted.rank - counted.below - 0.5)::double precision / counted.size AS share
        FROM counted
        WHERE counted.size > 0 AND counted.rank > counted.below
        ORDER BY counted.place DESC
        LIMIT 1
    )
    SELECT (found.lower_ms + coalesce(found.upper_ms - found.lower_ms, 0) * found.share) / 1000 FROM found;
END;

-- Recomputes the quarter-hours from `starts` up to `ends`, and all time with them, from the rows they were
-- counted from; leaves one row per key, in slot 0; returns each figure that was wrong.
CREATE FUNCTION packshot_rebuild_rollups(starts timestamptz, ends timestamptz)
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
            packshot_histogram(place, count(duration_ms)) AS histogram
        FROM ended
        CROSS JOIN LATERAL (
            SELECT coalesce(width_bucket(duration_ms, packshot_histogram_bounds_ms()), 0) AS place
        ) AS bar
        GROUP BY bucket, provider, model, simulated, place
        UNION ALL
        SELECT
            packshot_quarter_hour(image.created_at), image.provider, image.model, image.simulated,
            0, 0, 0, count(*), count(review.id), 0, 0, 0, packshot_histogram(0, 0)
        FROM packshot_image AS image
        LEFT JOIN packshot_review AS review
            ON review.image_id = image.id AND review.current AND review.decision = 'approved'
        WHERE image.attempt_id IS NOT NULL AND image.created_at >= first AND image.created_at < after
        GROUP BY 1, 2, 3, 4
        UNION ALL
        SELECT
            packshot_quarter_hour(entry.charged_at), entry.provider, entry.model, entry.simulated,
            0, 0, 0, 0, 0, sum(entry.amount_micros), 0, 0, packshot_histogram(0, 0)
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
            packshot_sum_histograms(histogram) AS histogram
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
            sum(durations)::bigint, packshot_sum_histograms(histogram)
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
            packshot_sum_histograms(histogram) AS histogram
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
