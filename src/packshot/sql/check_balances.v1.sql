-- Budgets whose balances are not what their holds and entries add up to, and budgets over their limit that
-- nobody lowered: invariants I1 and I7. Micro-dollars. Read by `packshot ledger check`.
WITH listed AS (
    SELECT
        counted.window_id,
        sum(hold.amount_micros) FILTER (WHERE hold.closed_at IS NULL) AS held,
        sum(booked.amount) AS charged,
        sum(greatest(0, booked.amount - hold.amount_micros)) AS overshot
    FROM packshot_reservation AS hold
    CROSS JOIN LATERAL unnest(hold.window_ids) AS counted (window_id)
    LEFT JOIN (
        SELECT attempt_id, sum(amount_micros) AS amount FROM packshot_entry GROUP BY attempt_id
    ) AS booked ON booked.attempt_id = hold.attempt_id
    GROUP BY counted.window_id
),
balance AS (
    SELECT
        stands.id, stands.budget_id, stands.starts_at, stands.ends_at, stands.reserved_micros,
        stands.spent_micros, budget.name, budget.limit_micros, budget.scope, budget.created_at,
        coalesce(listed.held, 0) AS held,
        greatest(0, coalesce(listed.charged, 0)) AS charged,
        coalesce(listed.overshot, 0) AS overshot,
        -- A budget made or moved in the middle of its period counts what was charged before it, too.
        greatest(0, coalesce(listed.charged, 0) + (
            SELECT coalesce(sum(entry.amount_micros), 0)
            FROM packshot_entry AS entry
            JOIN packshot_reservation AS hold ON hold.attempt_id = entry.attempt_id
            WHERE entry.charged_at >= stands.starts_at
                AND (stands.ends_at IS NULL OR entry.charged_at < stands.ends_at)
                AND NOT hold.window_ids @> ARRAY[stands.id]
                AND entry.simulated = budget.simulated AND CASE budget.scope
                    WHEN 'everything' THEN true
                    WHEN 'provider' THEN entry.provider = budget.scope_value
                    WHEN 'category' THEN entry.category_path = budget.scope_value
                        OR starts_with(entry.category_path, budget.scope_value || ' > ')
                    WHEN 'person' THEN entry.person_name = budget.scope_value
                    WHEN 'run' THEN entry.run_id::text = budget.scope_value
                END
        )) AS charged_in_all,
        -- The largest limit that stood in this period: a limit may be lowered below what is spent.
        greatest(budget.limit_micros, (
            SELECT max((entry.detail ->> 'limit_micros')::bigint) FROM packshot_auditentry AS entry
            WHERE entry.subject = budget.name AND entry.detail ? 'limit_micros'
        )) AS highest_limit
    FROM packshot_budgetwindow AS stands
    JOIN packshot_budget AS budget ON budget.id = stands.budget_id
    LEFT JOIN listed ON listed.window_id = stands.id
)
SELECT format('budget “%s” from %s', balance.name, balance.starts_at) AS subject, odd.found
FROM balance
CROSS JOIN LATERAL (
    SELECT format('says that %s is held, and its holds add up to %s', reserved_micros, held) AS found
    WHERE reserved_micros <> held
    UNION ALL
    SELECT format('says that %s is spent, and its entries add up to %s', spent_micros, charged_in_all)
    -- A product that moved to another category meanwhile is counted where it was.
    WHERE spent_micros <> charged_in_all AND NOT (scope = 'category' AND spent_micros = charged)
    UNION ALL
    SELECT format('is over its limit of %s: %s spent and %s held, and charges above their holds explain %s',
        highest_limit, spent_micros, reserved_micros, overshot)
    WHERE spent_micros + reserved_micros > highest_limit + overshot AND created_at <= starts_at
) AS odd
