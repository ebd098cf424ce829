-- The period of a budget that holds the instant `moment`: calendar days, ISO weeks and months in the
-- budget's own zone, so that each instant belongs to exactly one period also where clocks change.
-- Read by ledger.reserve; both ends are instants, the end is exclusive and null for a total.
CREATE FUNCTION packshot_budget_window(period text, zone text, moment timestamptz)
    RETURNS TABLE (starts_at timestamptz, ends_at timestamptz) LANGUAGE sql STABLE AS $$
    SELECT
        CASE WHEN period = 'total' THEN '2000-01-01 00:00:00+00'::timestamptz
            ELSE packshot_period_start(period, moment, zone) END,
        CASE WHEN period = 'total' THEN NULL
            ELSE packshot_period_start(
                period,
                (date_trunc(period, moment AT TIME ZONE zone) + ('1 ' || period)::interval) AT TIME ZONE zone,
                zone
            ) END
$$;
