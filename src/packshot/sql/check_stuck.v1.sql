-- Rows that nobody moves although workers live: invariant I11. Read by `packshot ledger check`.
WITH living AS (
    SELECT
        bool_or(kind = 'pay') AS pay,
        bool_or(kind = 'chores') AS chores
    FROM packshot_process
    WHERE ended_at IS NULL AND draining_at IS NULL AND seen_at > now() - interval '1 minute'
        AND started_at < now() - interval '15 minutes'
)
SELECT 'generation ' || generation.id AS subject,
    CASE WHEN generation.not_before IS NULL
        THEN format('waits (%s) and nothing will wake it', generation.wait_reason)
        ELSE format('waits (%s) and should have been woken at %s', generation.wait_reason,
            generation.not_before) END AS found
FROM packshot_generation AS generation CROSS JOIN living
WHERE living.pay AND generation.status = 'pending' AND generation.wait_reason IS NOT NULL
    -- What was asked for with a key that is gone waits for the key, or for somebody to cancel it.
    AND generation.wait_reason <> 'key'
    AND coalesce(generation.not_before, generation.updated_at) < now() - interval '5 minutes'
UNION ALL
SELECT 'attempt ' || attempt.id,
    format('is %s since %s, and the process that made it ended at %s', attempt.state,
        coalesce(attempt.accepted_at, attempt.sending_at, attempt.created_at), process.ended_at)
FROM packshot_attempt AS attempt
JOIN packshot_process AS process ON process.id = attempt.process_id
CROSS JOIN living
WHERE living.pay AND attempt.state IN ('intent', 'sending', 'accepted')
    AND (attempt.batch_id IS NULL OR attempt.state <> 'accepted') AND process.ended_at < now() - interval '5 minutes'
UNION ALL
-- Its process lives and has forgotten it. A ticket that was taken over is looked at for a whole deadline anew.
SELECT 'attempt ' || attempt.id,
    format('is %s since %s, longer than its deadline of %s s allows', attempt.state,
        coalesce(attempt.accepted_at, attempt.sending_at, attempt.created_at), attempt.deadline_s)
FROM packshot_attempt AS attempt
JOIN packshot_process AS process ON process.id = attempt.process_id
CROSS JOIN living
WHERE living.pay AND attempt.state IN ('intent', 'sending', 'accepted') AND process.ended_at IS NULL
    AND (attempt.batch_id IS NULL OR attempt.state <> 'accepted')
    AND greatest(process.started_at, coalesce(attempt.accepted_at, attempt.sending_at, attempt.created_at))
        < now() - interval '20 minutes' - make_interval(secs => attempt.deadline_s)
UNION ALL
-- Its accepted attempts belong to nobody: whoever sweeps looks at it.
SELECT 'batch ' || batch.id, format('should have been looked at %s', batch.look_at)
FROM packshot_batch AS batch CROSS JOIN living
WHERE living.pay AND batch.look_at < now() - interval '15 minutes'
UNION ALL
SELECT 'batch ' || batch.id,
    format('should have ended at %s; settle its charges by hand with `packshot queue resolve`', batch.due_at)
FROM packshot_batch AS batch CROSS JOIN living
WHERE living.pay AND batch.look_at IS NOT NULL AND batch.due_at < now() - interval '3 hours'
UNION ALL
SELECT 'image ' || image.id, format('was stored at %s and nothing will decode it', image.created_at)
FROM packshot_image AS image CROSS JOIN living
WHERE living.chores AND image.state = 'stored' AND image.created_at < now() - interval '30 minutes'
    AND NOT EXISTS (
        SELECT 1 FROM procrastinate_jobs AS job
        WHERE job.task_name = 'look' AND job.status IN ('todo', 'doing')
            AND (job.args -> 'image_ids' ? image.id::text)
    )
