-- What the Queue asks of the database besides its tables.

-- The lowest id that a row made at this time can have: ids begin with their millisecond (kernel/ids.py), so a
-- span of time is a span of the primary key, and of every index that ends in it.
CREATE FUNCTION packshot_id_at(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (lpad(to_hex(greatest(0, extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- As before, and one move more: a cancel can be taken back while nothing is on its way and nothing came.
CREATE OR REPLACE FUNCTION packshot_guard_generation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF new.status <> 'pending' THEN
            RAISE EXCEPTION 'a generation begins as pending, not as %', new.status
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN new;
    END IF;
    IF old.status = new.status THEN
        RETURN new;
    END IF;
    IF NOT (CASE old.status
        WHEN 'pending' THEN new.status IN ('processing', 'cancelled', 'failed')
        WHEN 'processing' THEN new.status IN ('pending', 'completed', 'failed', 'cancelled', 'uncertain')
        WHEN 'uncertain' THEN new.status IN ('pending', 'completed', 'failed', 'cancelled')
        WHEN 'failed' THEN new.status = 'pending'
        WHEN 'cancelled' THEN new.status = 'pending' AND NOT EXISTS (
            SELECT 1 FROM packshot_attempt AS attempt WHERE attempt.generation_id = old.id
                AND attempt.state NOT IN ('released', 'failed_free', 'failed_charged', 'charged_no_image'))
        ELSE false
    END) THEN
        RAISE EXCEPTION 'generation % cannot move from % to %', old.id, old.status, new.status
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN new;
END $$;
