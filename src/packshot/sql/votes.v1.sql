-- A vote is about two images of its product, and once given only ever withdrawn. Held against every client.

CREATE FUNCTION packshot_guard_vote() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF (SELECT count(*) FROM packshot_image AS image
            WHERE image.id IN (new.image_id, new.other_id) AND image.product_id = new.product_id) <> 2 THEN
            RAISE EXCEPTION 'a vote is about two images of one product' USING ERRCODE = 'check_violation';
        END IF;
        RETURN new;
    END IF;
    IF old.withdrawn_at IS NOT NULL OR new.withdrawn_at IS NULL
        OR (to_jsonb(old) - 'withdrawn_at') IS DISTINCT FROM (to_jsonb(new) - 'withdrawn_at') THEN
        RAISE EXCEPTION 'vote % is withdrawn once and never changes', old.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN new;
END $$;

CREATE TRIGGER packshot_guard_vote BEFORE INSERT OR UPDATE ON packshot_vote
    FOR EACH ROW EXECUTE FUNCTION packshot_guard_vote();
CREATE TRIGGER packshot_vote_is_kept BEFORE DELETE OR TRUNCATE ON packshot_vote
    FOR EACH STATEMENT EXECUTE FUNCTION packshot_refuse_change();
