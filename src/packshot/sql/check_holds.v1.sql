-- Attempts whose money is not held as it must be: invariants I5 and I7. Read by `packshot ledger check`.
SELECT 'attempt ' || attempt.id AS subject, odd.found
FROM packshot_attempt AS attempt
LEFT JOIN packshot_reservation AS hold ON hold.attempt_id = attempt.id
CROSS JOIN LATERAL (
    SELECT attempt.state IN ('intent', 'sending', 'accepted', 'uncertain') OR attempt.cost_micros IS NULL AS must
) AS held
CROSS JOIN LATERAL (
    SELECT format('is %s, and no money was ever held for it', attempt.state) AS found WHERE hold.id IS NULL
    UNION ALL
    SELECT format('is %s, and its money is no longer held', attempt.state)
    WHERE hold.closed_at IS NOT NULL AND held.must
    UNION ALL
    SELECT format('is %s, its cost is known, and its money is still held', attempt.state)
    WHERE hold.id IS NOT NULL AND hold.closed_at IS NULL AND NOT held.must
    UNION ALL
    SELECT format('reserved %s micro-dollars, and its hold says %s', attempt.reserved_micros, hold.amount_micros)
    WHERE (hold.amount_micros, hold.simulated) <> (attempt.reserved_micros, attempt.simulated)
) AS odd
