-- Generations that say another cost than their entries add up to: invariant I3. Micro-dollars. Read by
-- `packshot ledger check`.
WITH booked AS (
    SELECT attempt.generation_id, sum(entry.amount_micros) AS amount
    FROM packshot_entry AS entry JOIN packshot_attempt AS attempt ON attempt.id = entry.attempt_id
    GROUP BY attempt.generation_id
),
unknown AS (
    SELECT DISTINCT generation_id FROM packshot_attempt
    WHERE cost_micros IS NULL AND state IN ('succeeded', 'failed_charged', 'charged_no_image')
)
SELECT 'generation ' || generation.id AS subject, odd.found
FROM packshot_generation AS generation
LEFT JOIN booked ON booked.generation_id = generation.id
LEFT JOIN unknown ON unknown.generation_id = generation.id
CROSS JOIN LATERAL (
    SELECT format('says that it cost %s, and %s is booked', generation.actual_micros, booked.amount) AS found
    WHERE coalesce(generation.actual_micros, 0) <> coalesce(booked.amount, 0)
    UNION ALL
    SELECT CASE WHEN generation.cost_unknown THEN 'says that a cost is not known, and all are'
        ELSE 'says that all its costs are known, and one is not' END
    WHERE generation.cost_unknown <> (unknown.generation_id IS NOT NULL)
) AS odd
