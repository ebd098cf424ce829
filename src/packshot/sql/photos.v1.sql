-- An image's share of what its attempt cost, in micro-dollars: what the ledger holds for it, or the attempt's own cost
-- where the ledger holds no line (it was free). NULL: not known. An image without an attempt was made by no
-- provider: somebody brought it, and it cost nothing.
CREATE OR REPLACE FUNCTION packshot_image_cost_micros(made_by uuid) RETURNS numeric
LANGUAGE sql STABLE CALLED ON NULL INPUT PARALLEL SAFE
RETURN CASE WHEN made_by IS NULL THEN 0 ELSE (
    SELECT coalesce(
        (SELECT sum(entry.amount_micros) FROM packshot_entry AS entry WHERE entry.attempt_id = attempt.id),
        attempt.cost_micros
    ) / (SELECT count(*) FROM packshot_image AS image WHERE image.attempt_id = attempt.id)
    FROM packshot_attempt AS attempt
    WHERE attempt.id = made_by
) END;

-- What was made from an image: of ten million generations few were given a picture, and only these stand here.
CREATE INDEX packshot_generation_inputs ON packshot_generation USING gin (inputs jsonb_path_ops)
    WHERE inputs <> '[]'::jsonb;

-- Which images were active, and by whose choice: of one product by its SKU, or of many by the SKUs of their changes.
CREATE INDEX packshot_audit_activated ON packshot_auditentry (subject, id DESC) WHERE action = 'activate image';
CREATE INDEX packshot_audit_activations ON packshot_auditentry USING gin ((detail -> 'changes') jsonb_path_ops)
    WHERE action IN ('activate newest images', 'restore active images');
