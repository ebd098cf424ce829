-- Attempts that succeeded and have no image, and images nobody paid for: invariant I12. Read by `packshot ledger
-- check`.
SELECT 'attempt ' || attempt.id AS subject, 'succeeded and has no image' AS found
FROM packshot_attempt AS attempt
WHERE attempt.state = 'succeeded'
    AND NOT EXISTS (SELECT 1 FROM packshot_image AS image WHERE image.attempt_id = attempt.id)
UNION ALL
SELECT 'image ' || image.id, format('belongs to an attempt that is %s', attempt.state)
FROM packshot_image AS image
JOIN packshot_attempt AS attempt ON attempt.id = image.attempt_id
WHERE attempt.state <> 'succeeded'
    -- What came after the attempt was settled otherwise is kept, with evidence.
    AND NOT EXISTS (
        SELECT 1 FROM packshot_evidence AS evidence
        WHERE evidence.attempt_id = attempt.id AND evidence.verdict = 'succeeded'
    )
UNION ALL
SELECT 'image ' || image.id, 'is of another product, provider or kind of money than its generation'
FROM packshot_image AS image
JOIN packshot_attempt AS attempt ON attempt.id = image.attempt_id
JOIN packshot_generation AS generation ON generation.id = attempt.generation_id
WHERE (image.product_id, image.provider, image.simulated)
    <> (generation.product_id, attempt.provider, attempt.simulated)
