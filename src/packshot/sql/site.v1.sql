-- What every view needs of the site: its clock, its zone and its thresholds.

-- The reports' clock. A reader may hold it for a session (SET packshot.now = '2026-03-29 01:30+00'), as tests
-- do at the edges of summer time. Nothing that decides about money or ownership reads it.
CREATE FUNCTION packshot_now() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(nullif(current_setting('packshot.now', true), '')::timestamptz, now());

-- A site setting as text. The defaults here are those of preferences.DEFAULTS; a test holds them together.
CREATE FUNCTION packshot_setting(wanted text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(
    (SELECT preference.value #>> '{}' FROM packshot_preference AS preference WHERE preference.key = wanted),
    CASE wanted WHEN 'time_zone' THEN 'UTC' WHEN 'low_score' THEN '30' WHEN 'old_image_days' THEN '365' END
);

-- The first instant of the day, week (from Monday) or month of `at` in `zone`. Where clocks go back over
-- midnight (the Azores, Havana) midnight happens twice: PostgreSQL takes the second, the period began with
-- the first.
CREATE FUNCTION packshot_period_start(unit text, at timestamptz, zone text) RETURNS timestamptz
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN (
    SELECT CASE
        WHEN date_trunc(unit, (midnight.second - interval '1 hour') AT TIME ZONE zone) = midnight.local
        THEN midnight.second - interval '1 hour' ELSE midnight.second END
    FROM (
        SELECT local.local, local.local AT TIME ZONE zone AS second
        FROM (SELECT date_trunc(unit, at AT TIME ZONE zone)) AS local (local)
    ) AS midnight
);

-- Micro-dollars as dollars, exact: six places, not the sixteen that a division would carry.
CREATE FUNCTION packshot_dollars(micros numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN round(micros * 0.000001, 6);

-- What an attempt cost, shared evenly by its images, in micro-dollars: what the ledger holds for it, or the
-- attempt's own cost where the ledger holds no line (it was free). NULL: not known.
CREATE FUNCTION packshot_image_cost_micros(made_by uuid) RETURNS numeric
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN (
    SELECT coalesce(
        (SELECT sum(entry.amount_micros) FROM packshot_entry AS entry WHERE entry.attempt_id = attempt.id),
        attempt.cost_micros
    ) / (SELECT count(*) FROM packshot_image AS image WHERE image.attempt_id = attempt.id)
    FROM packshot_attempt AS attempt
    WHERE attempt.id = made_by
);

-- No id (RFC 9562, version 7) that was made at `at` or later is less than this.
CREATE FUNCTION packshot_first_id(at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (
    lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008000000000000000'
)::uuid;
