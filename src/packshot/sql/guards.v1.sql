-- The moves of attempts and generations, and the tables that only grow. DESIGN.md section 5 is the law;
-- these triggers hold it against every client, psql included.

CREATE FUNCTION packshot_guard_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF new.state <> 'intent' THEN
            RAISE EXCEPTION 'an attempt begins as intent, not as %', new.state USING ERRCODE = 'check_violation';
        END IF;
        RETURN new;
    END IF;
    IF (old.id, old.generation_id, old.number, old.provider, old.model, old.simulated, old.reserved_micros)
        IS DISTINCT FROM
       (new.id, new.generation_id, new.number, new.provider, new.model, new.simulated, new.reserved_micros) THEN
        RAISE EXCEPTION 'what attempt % reserved and called cannot change', old.id USING ERRCODE = 'check_violation';
    END IF;
    IF old.state = new.state THEN
        -- Closed: only a cost that was unknown may become known, and only once.
        IF old.state IN ('released', 'succeeded', 'failed_free', 'failed_charged', 'charged_no_image')
            AND old.cost_micros IS NOT NULL AND new.cost_micros IS DISTINCT FROM old.cost_micros THEN
            RAISE EXCEPTION 'the cost of attempt % is settled', old.id USING ERRCODE = 'check_violation';
        END IF;
        RETURN new;
    END IF;
    IF NOT (CASE old.state
        WHEN 'intent' THEN new.state IN ('sending', 'released')
        WHEN 'sending' THEN new.state IN
            ('accepted', 'uncertain', 'succeeded', 'failed_free', 'failed_charged', 'charged_no_image')
        WHEN 'accepted' THEN new.state IN ('succeeded', 'failed_free', 'failed_charged', 'charged_no_image')
        WHEN 'uncertain' THEN new.state IN ('succeeded', 'failed_free', 'failed_charged', 'charged_no_image')
        ELSE false
    END) THEN
        RAISE EXCEPTION 'attempt % cannot move from % to %', old.id, old.state, new.state
            USING ERRCODE = 'check_violation';
    END IF;
    IF old.state = 'uncertain'
        AND NOT EXISTS (SELECT 1 FROM packshot_evidence AS evidence WHERE evidence.attempt_id = old.id) THEN
        RAISE EXCEPTION 'attempt % cannot leave uncertain without evidence', old.id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN new;
END $$;

CREATE TRIGGER packshot_guard_attempt BEFORE INSERT OR UPDATE ON packshot_attempt
    FOR EACH ROW EXECUTE FUNCTION packshot_guard_attempt();

CREATE FUNCTION packshot_guard_generation() RETURNS trigger LANGUAGE plpgsql AS $$
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
        ELSE false
    END) THEN
        RAISE EXCEPTION 'generation % cannot move from % to %', old.id, old.status, new.status
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN new;
END $$;

CREATE TRIGGER packshot_guard_generation BEFORE INSERT OR UPDATE OF status ON packshot_generation
    FOR EACH ROW EXECUTE FUNCTION packshot_guard_generation();

CREATE FUNCTION packshot_guard_reservation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF old.closed_at IS NOT NULL OR (old.attempt_id, old.amount_micros, old.simulated, old.opened_at)
        IS DISTINCT FROM (new.attempt_id, new.amount_micros, new.simulated, new.opened_at) THEN
        RAISE EXCEPTION 'reservation % ends exactly once and never changes', old.id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN new;
END $$;

CREATE TRIGGER packshot_guard_reservation BEFORE UPDATE ON packshot_reservation
    FOR EACH ROW EXECUTE FUNCTION packshot_guard_reservation();

CREATE FUNCTION packshot_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% only grows: % is refused', TG_TABLE_NAME, lower(TG_OP) USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER packshot_entry_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON packshot_entry
    FOR EACH STATEMENT EXECUTE FUNCTION packshot_refuse_change();
CREATE TRIGGER packshot_evidence_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON packshot_evidence
    FOR EACH STATEMENT EXECUTE FUNCTION packshot_refuse_change();
CREATE TRIGGER packshot_audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON packshot_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION packshot_refuse_change();
CREATE TRIGGER packshot_attempt_is_kept BEFORE DELETE OR TRUNCATE ON packshot_attempt
    FOR EACH STATEMENT EXECUTE FUNCTION packshot_refuse_change();
CREATE TRIGGER packshot_reservation_is_kept BEFORE DELETE OR TRUNCATE ON packshot_reservation
    FOR EACH STATEMENT EXECUTE FUNCTION packshot_refuse_change();

-- Hot rows are updated in place where the page has room.
ALTER TABLE packshot_generation SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE packshot_attempt SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE packshot_reservation SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE packshot_rollup SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE packshot_budgetwindow SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE packshot_provider SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

INSERT INTO packshot_stop_switch (id, stopped, version, changed_at, changed_by_name)
    VALUES (1, false, 1, now(), '');
