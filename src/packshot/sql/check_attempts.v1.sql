-- Generations that do not agree with their attempts: invariants I4 and I17. Read by `packshot ledger check`.
WITH counted AS (
    SELECT
        generation_id,
        count(*) AS attempts,
        max(number) AS last_number,
        count(*) FILTER (WHERE state IN ('intent', 'sending', 'accepted', 'uncertain')) AS open,
        (array_agg(state ORDER BY number DESC))[1] AS last_state,
        count(*) FILTER (WHERE state = 'succeeded') AS succeeded
    FROM packshot_attempt
    GROUP BY generation_id
)
SELECT 'generation ' || generation.id AS subject, odd.found
FROM packshot_generation AS generation
LEFT JOIN counted ON counted.generation_id = generation.id
CROSS JOIN LATERAL (
    SELECT
        coalesce(counted.attempts, 0) AS attempts,
        coalesce(counted.last_number, 0) AS last_number,
        coalesce(counted.last_state, 'none') AS last_state
) AS its
CROSS JOIN LATERAL (
    SELECT format('counts %s attempts and has %s', generation.attempts, its.attempts) AS found
    WHERE (generation.attempts, generation.attempts) <> (its.attempts, its.last_number)
    UNION ALL
    SELECT format('has %s open attempts at once', counted.open) WHERE counted.open > 1
    UNION ALL
    SELECT 'went on after an attempt that succeeded'
    WHERE counted.succeeded > 1 OR (counted.succeeded = 1 AND its.last_state <> 'succeeded')
    UNION ALL
    SELECT format('is %s, and its last attempt is %s', generation.status, its.last_state)
    WHERE NOT CASE generation.status
        WHEN 'pending' THEN its.last_state IN
            ('none', 'released', 'failed_free', 'failed_charged', 'charged_no_image')
        WHEN 'cancelled' THEN its.last_state IN
            ('none', 'released', 'failed_free', 'failed_charged', 'charged_no_image')
        WHEN 'processing' THEN its.last_state IN ('intent', 'sending', 'accepted')
        WHEN 'completed' THEN its.last_state = 'succeeded'
        -- Quarantined ones end with an attempt that was given back, and so do those whose picture was not there.
        WHEN 'failed' THEN its.last_state IN ('failed_free', 'failed_charged', 'charged_no_image')
            OR (its.last_state = 'released' AND generation.error_kind IN ('worker_lost', 'bad_input_image'))
            -- Its model went while it waited, before anything was ever sent.
            OR (its.last_state IN ('none', 'released') AND generation.error_kind = 'retired_model')
        WHEN 'uncertain' THEN its.last_state = 'uncertain'
        ELSE false
    END
) AS odd
