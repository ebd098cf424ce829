-- The system now, in one row. Read by the Overview, the CLI and any SQL client. Costs are dollars: real
-- money, and simulated money in the columns that say so. Days, weeks (from Monday) and months are the site's
-- own; success_rate is completed / (completed + failed), avg_processing_time seconds, both over all time.
CREATE VIEW image_generation_dashboard WITH (security_invoker = true) AS
WITH
period AS MATERIALIZED (
    SELECT
        packshot_period_start('day', site.now, site.zone) AS day,
        packshot_period_start('week', site.now, site.zone) AS week,
        packshot_period_start('month', site.now, site.zone) AS month
    FROM (SELECT packshot_now() AS now, packshot_setting('time_zone') AS zone) AS site
),
live AS (
    SELECT
        count(*) FILTER (WHERE generation.status = 'pending') AS pending,
        count(*) FILTER (WHERE generation.status = 'processing') AS processing,
        count(*) FILTER (WHERE generation.status = 'uncertain') AS uncertain
    FROM packshot_generation AS generation
    WHERE generation.status IN ('pending', 'processing', 'uncertain')
),
ever AS (
    SELECT
        coalesce(sum(rollup.completed), 0)::bigint AS completed,
        coalesce(sum(rollup.failed), 0)::bigint AS failed,
        coalesce(sum(rollup.cancelled), 0)::bigint AS cancelled,
        coalesce(sum(rollup.amount_micros) FILTER (WHERE NOT rollup.simulated), 0) AS real_micros,
        coalesce(sum(rollup.amount_micros) FILTER (WHERE rollup.simulated), 0) AS simulated_micros,
        sum(rollup.duration_ms) / nullif(sum(rollup.durations), 0) / 1000 AS duration_s
    FROM packshot_rollup AS rollup
    WHERE rollup.bucket = packshot_all_time()
),
spent AS (
    SELECT
        coalesce(sum(rollup.amount_micros) FILTER (WHERE rollup.bucket >= period.day), 0) AS day_micros,
        coalesce(sum(rollup.amount_micros) FILTER (WHERE rollup.bucket >= period.week), 0) AS week_micros,
        coalesce(sum(rollup.amount_micros) FILTER (WHERE rollup.bucket >= period.month), 0) AS month_micros,
        rollup.simulated
    FROM period
    JOIN packshot_rollup AS rollup ON rollup.bucket >= least(period.week, period.month)
    GROUP BY rollup.simulated
),
held AS (
    SELECT
        coalesce(sum(reservation.amount_micros) FILTER (WHERE NOT reservation.simulated), 0) AS real_micros,
        coalesce(sum(reservation.amount_micros) FILTER (WHERE reservation.simulated), 0) AS simulated_micros
    FROM packshot_reservation AS reservation
    WHERE reservation.closed_at IS NULL
),
unknown AS (
    SELECT
        count(*) FILTER (WHERE NOT generation.simulated) AS real_count,
        count(*) FILTER (WHERE generation.simulated) AS simulated_count
    FROM packshot_generation AS generation
    WHERE generation.cost_unknown
)
SELECT
    live.pending + live.processing AS total_in_queue,
    live.pending AS pending_count,
    live.processing AS processing_count,
    ever.completed AS completed_count,
    ever.failed AS failed_count,
    ever.cancelled AS cancelled_count,
    live.uncertain AS uncertain_count,
    packshot_dollars(coalesce(real_money.day_micros, 0)) AS daily_cost,
    packshot_dollars(coalesce(real_money.week_micros, 0)) AS weekly_cost,
    packshot_dollars(coalesce(real_money.month_micros, 0)) AS monthly_cost,
    packshot_dollars(ever.real_micros) AS total_cost,
    packshot_dollars(held.real_micros) AS held_cost,
    packshot_dollars(ever.simulated_micros) AS simulated_cost,
    unknown.real_count AS unknown_cost_count,
    ever.duration_s::double precision AS avg_processing_time,
    ever.completed::double precision / nullif(ever.completed + ever.failed, 0) AS success_rate,
    -- Nothing to show: no active image, and none in the shop either.
    (
        SELECT count(*) FROM packshot_product AS product
        WHERE product.archived_at IS NULL AND product.active_image_id IS NULL
            AND product.listed_image_url = ''
    ) AS products_without_images,
    -- Only a stand-in to show. An active image always ends it.
    (
        SELECT count(*) FROM packshot_product AS product
        WHERE product.archived_at IS NULL AND product.active_image_id IS NULL
            AND product.listed_image_url <> '' AND product.placeholder
    ) AS products_with_placeholder,
    packshot_dollars(coalesce(simulated_money.day_micros, 0)) AS simulated_daily_cost,
    packshot_dollars(coalesce(simulated_money.week_micros, 0)) AS simulated_weekly_cost,
    packshot_dollars(coalesce(simulated_money.month_micros, 0)) AS simulated_monthly_cost,
    packshot_dollars(held.simulated_micros) AS simulated_held_cost,
    unknown.simulated_count AS simulated_unknown_cost_count
FROM live
CROSS JOIN ever
CROSS JOIN held
CROSS JOIN unknown
LEFT JOIN spent AS real_money ON NOT real_money.simulated
LEFT JOIN spent AS simulated_money ON simulated_money.simulated;
