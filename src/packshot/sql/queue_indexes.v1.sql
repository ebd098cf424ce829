-- What the Queue shows as a generation's cost, in micro-dollars: nothing where it ended and nothing was charged,
-- the estimate until then, NULL where it is not known. The words are those of reports/finding.py COST, or the
-- index is not found.
CREATE INDEX packshot_generation_by_cost ON packshot_generation ((
    CASE WHEN cost_unknown THEN NULL
        WHEN actual_micros IS NOT NULL THEN actual_micros
        WHEN status IN ('failed', 'cancelled') THEN 0
        ELSE expected_micros END
));

-- How often each cost stands there is counted for this index alone, and autovacuum does not come for that.
ANALYZE packshot_generation;
