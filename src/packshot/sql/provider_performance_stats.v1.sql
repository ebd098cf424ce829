-- One provider a row, archived ones kept, over all time. Read by the Overview, the provider pages and any SQL
-- client. A provider that spends real money shows real figures only, one on the simulator simulated ones only
-- (see `simulated`). Costs are dollars, times seconds, rates 0 to 1; total_generated is success_count plus
-- failed_count, avg_cost and cost_per_approved spread the whole cost, failures included. p50 and p95 are
-- estimated within the place of a histogram, whose bounds lie a factor of 1.4 apart.
CREATE VIEW provider_performance_stats WITH (security_invoker = true) AS
SELECT
    provider.name AS provider,
    ever.completed + ever.failed AS total_generated,
    ever.completed AS success_count,
    ever.failed AS failed_count,
    rate.share AS success_rate,
    greatest(0, rate.middle - rate.margin) AS success_rate_low,
    least(1, rate.middle + rate.margin) AS success_rate_high,
    packshot_dollars(ever.amount_micros) AS total_cost,
    packshot_dollars(ever.amount_micros / nullif(ever.completed, 0)) AS avg_cost,
    packshot_dollars(ever.amount_micros / nullif(ever.approved, 0)) AS cost_per_approved,
    (ever.duration_ms / nullif(ever.durations, 0) / 1000)::double precision AS avg_processing_time,
    packshot_percentile(ever.histogram, 50) AS p50_processing_time,
    packshot_percentile(ever.histogram, 95) AS p95_processing_time,
    (
        SELECT attempt.sending_at FROM packshot_attempt AS attempt
        WHERE attempt.provider = provider.name AND attempt.sending_at IS NOT NULL
        ORDER BY attempt.sending_at DESC
        LIMIT 1
    ) AS last_used,
    provider.label,
    provider.simulated,
    ever.cancelled AS cancelled_count,
    ever.images AS image_count,
    ever.approved AS approved_count,
    provider.archived_at
FROM packshot_provider AS provider
CROSS JOIN LATERAL (
    SELECT
        coalesce(sum(rollup.completed), 0)::bigint AS completed,
        coalesce(sum(rollup.failed), 0)::bigint AS failed,
        coalesce(sum(rollup.cancelled), 0)::bigint AS cancelled,
        coalesce(sum(rollup.images), 0)::bigint AS images,
        coalesce(sum(rollup.approved), 0)::bigint AS approved,
        coalesce(sum(rollup.amount_micros), 0) AS amount_micros,
        sum(rollup.duration_ms) AS duration_ms,
        sum(rollup.durations) AS durations,
        packshot_sum_histograms(rollup.histogram) AS histogram
    FROM packshot_rollup AS rollup
    WHERE rollup.bucket = packshot_all_time()
        AND rollup.provider = provider.name AND rollup.simulated = provider.simulated
) AS ever
-- Wilson's interval at 95 % (z = 1.96): honest for 3 of 3 too, where the plain one says exactly 100 %.
CROSS JOIN LATERAL (
    SELECT
        count.share,
        (count.share + count.zz / (2 * count.n)) / (1 + count.zz / count.n) AS middle,
        sqrt(count.zz * (count.share * (1 - count.share) / count.n + count.zz / (4 * count.n * count.n)))
            / (1 + count.zz / count.n) AS margin
    FROM (
        SELECT
            nullif(ever.completed + ever.failed, 0)::double precision AS n,
            ever.completed / nullif(ever.completed + ever.failed, 0)::double precision AS share,
            3.841458820694124::double precision AS zz
    ) AS count
) AS rate;
