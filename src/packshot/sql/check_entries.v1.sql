-- Attempts whose entries are not what they cost: invariants I3 and I8. Micro-dollars. Read by `packshot ledger
-- check`.
WITH booked AS (
    SELECT
        attempt_id,
        count(*) FILTER (WHERE kind = 'charge') AS charges,
        sum(amount_micros) FILTER (WHERE kind = 'charge') AS charged,
        count(*) FILTER (WHERE kind = 'adjustment') AS adjustments,
        sum(amount_micros) AS amount,
        bool_or(simulated) AS any_simulated,
        bool_and(simulated) AS all_simulated
    FROM packshot_entry
    GROUP BY attempt_id
)
SELECT 'attempt ' || attempt.id AS subject, odd.found
FROM packshot_attempt AS attempt
LEFT JOIN booked ON booked.attempt_id = attempt.id
CROSS JOIN LATERAL (
    SELECT attempt.state IN ('succeeded', 'failed_charged', 'charged_no_image')
        AND attempt.cost_micros IS NOT NULL AS must
) AS charge
CROSS JOIN LATERAL (
    SELECT format('is %s at a cost of %s, and nothing is booked', attempt.state, attempt.cost_micros) AS found
    WHERE charge.must AND coalesce(booked.charges, 0) = 0
    UNION ALL
    SELECT format('cost %s, and %s is booked', attempt.cost_micros, booked.charged)
    WHERE charge.must AND booked.charged <> attempt.cost_micros
    UNION ALL
    SELECT format('is %s, and %s is booked as its charge', attempt.state, booked.charged)
    WHERE NOT charge.must AND booked.charges > 0
    UNION ALL
    SELECT format('was corrected %s times, and nobody wrote down why', booked.adjustments)
    WHERE booked.adjustments > 0
        AND NOT EXISTS (SELECT 1 FROM packshot_evidence AS evidence WHERE evidence.attempt_id = attempt.id)
    UNION ALL
    SELECT format('is %s, and booked as the other kind of money',
        CASE WHEN attempt.simulated THEN 'simulated' ELSE 'real' END)
    WHERE (booked.any_simulated, booked.all_simulated) <> (attempt.simulated, attempt.simulated)
    UNION ALL
    SELECT format('cost less than nothing: %s', booked.amount) WHERE booked.amount < 0
) AS odd
