-- The label "production": which version of a template generations use, and who moved it when.

-- Until now each saved version was in use at once, so that is what the history says of those that are there.
UPDATE packshot_prompttemplate AS template SET production_number = newest.number
FROM (
    SELECT template_id, max(number) AS number FROM packshot_prompttemplateversion GROUP BY template_id
) AS newest
WHERE newest.template_id = template.id;

INSERT INTO packshot_promptmove (template_id, number, from_number, to_number, moved_by_name, at)
SELECT version.template_id,
    row_number() OVER earlier,
    lag(version.number) OVER earlier,
    version.number,
    coalesce(person.username, ''),
    version.created_at
FROM packshot_prompttemplateversion AS version
LEFT JOIN packshot_user AS person ON person.id = version.created_by_id
WINDOW earlier AS (PARTITION BY version.template_id ORDER BY version.number);

-- The label stands on a version of its own template. Looked at when the transaction ends: a template is there
-- before its first version.
ALTER TABLE packshot_prompttemplate ADD CONSTRAINT packshot_template_production_is_its_own
    FOREIGN KEY (id, production_number) REFERENCES packshot_prompttemplateversion (template_id, number)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE packshot_promptmove ADD CONSTRAINT packshot_promptmove_from_its_own
    FOREIGN KEY (template_id, from_number) REFERENCES packshot_prompttemplateversion (template_id, number)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE packshot_promptmove ADD CONSTRAINT packshot_promptmove_to_its_own
    FOREIGN KEY (template_id, to_number) REFERENCES packshot_prompttemplateversion (template_id, number)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE packshot_promptmove ADD CONSTRAINT packshot_promptmove_moves CHECK (
    from_number IS DISTINCT FROM to_number AND (from_number IS NOT NULL OR number = 1)
);

-- Whoever moves the label, psql included, says so in its history first.
CREATE FUNCTION packshot_guard_label() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM packshot_promptmove AS move
        WHERE move.template_id = new.id AND move.to_number = new.production_number
            AND move.from_number = old.production_number
            AND move.number = (
                SELECT max(every.number) FROM packshot_promptmove AS every WHERE every.template_id = new.id
            )
    ) THEN
        RAISE EXCEPTION 'the label of template % moves only with a line of its history', new.id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN new;
END $$;

CREATE TRIGGER packshot_guard_label BEFORE UPDATE OF production_number ON packshot_prompttemplate
    FOR EACH ROW WHEN (old.production_number IS DISTINCT FROM new.production_number)
    EXECUTE FUNCTION packshot_guard_label();

CREATE TRIGGER packshot_promptmove_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON packshot_promptmove
    FOR EACH STATEMENT EXECUTE FUNCTION packshot_refuse_change();
