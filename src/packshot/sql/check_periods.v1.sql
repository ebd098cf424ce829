-- Money that counts in another period than the one it was reserved in: invariant I9. Read by `packshot ledger
-- check`.
SELECT 'entry ' || entry.id AS subject,
    format('was charged at %s, and its money was reserved at %s', entry.charged_at, hold.opened_at) AS found
FROM packshot_entry AS entry
JOIN packshot_reservation AS hold ON hold.attempt_id = entry.attempt_id
WHERE entry.charged_at <> hold.opened_at
UNION ALL
SELECT 'hold ' || hold.id,
    CASE WHEN stands.id IS NULL THEN 'counts against a period that does not exist'
        ELSE format('was opened at %s, and counts in the period from %s to %s', hold.opened_at,
            stands.starts_at, coalesce(stands.ends_at::text, 'ever')) END
FROM packshot_reservation AS hold
CROSS JOIN LATERAL unnest(hold.window_ids) AS counted (window_id)
LEFT JOIN packshot_budgetwindow AS stands ON stands.id = counted.window_id
WHERE stands.id IS NULL OR hold.opened_at < stands.starts_at OR hold.opened_at >= stands.ends_at
UNION ALL
SELECT 'hold ' || twice.id, format('counts %s times against one budget', twice.times)
FROM (
    SELECT hold.id, count(*) AS times
    FROM packshot_reservation AS hold
    CROSS JOIN LATERAL unnest(hold.window_ids) AS counted (window_id)
    JOIN packshot_budgetwindow AS stands ON stands.id = counted.window_id
    GROUP BY hold.id, stands.budget_id, stands.starts_at
    HAVING count(*) > 1
) AS twice
