-- What is wrong with the image that shoppers see, kept on the product by whoever changes it: its review, its
-- lowest score, when it was made, or which image it is. Read by products_needing_attention; scores 0 to 100. By triggers, because
-- reviews, scores and active images come through many doors, and the view must be right whichever it was.

-- The product's row is locked by its own update when this runs, and below before a review or a score is looked
-- at, so that of two who change both at once the later sees what the earlier did.
CREATE FUNCTION packshot_judge_active_image() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    NEW.active_rejected := NEW.active_image_id IS NOT NULL AND EXISTS (
        SELECT 1 FROM packshot_review AS review
        WHERE review.image_id = NEW.active_image_id AND review.current AND review.decision = 'rejected'
    );
    NEW.active_score := (
        SELECT min(score.value) FROM packshot_score AS score WHERE score.image_id = NEW.active_image_id
    );
    NEW.active_image_at := (
        SELECT image.created_at FROM packshot_image AS image WHERE image.id = NEW.active_image_id
    );
    RETURN NEW;
END $$;

CREATE FUNCTION packshot_judge_product_of_image() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
    judged uuid := CASE TG_OP WHEN 'DELETE' THEN OLD.image_id ELSE NEW.image_id END;
    its uuid;
BEGIN
    SELECT image.product_id INTO its FROM packshot_image AS image WHERE image.id = judged;
    PERFORM 1 FROM packshot_product AS product WHERE product.id = its FOR NO KEY UPDATE;
    UPDATE packshot_product AS product
    SET active_rejected = found.rejected, active_score = found.score
    FROM (
        SELECT
            EXISTS (
                SELECT 1 FROM packshot_review AS review
                WHERE review.image_id = judged AND review.current AND review.decision = 'rejected'
            ) AS rejected,
            (SELECT min(score.value) FROM packshot_score AS score WHERE score.image_id = judged) AS score
    ) AS found
    WHERE product.id = its AND product.active_image_id = judged
        AND (product.active_rejected, product.active_score)
            IS DISTINCT FROM (found.rejected, found.score);
    RETURN NULL;
END $$;

CREATE TRIGGER packshot_product_new_is_judged BEFORE INSERT ON packshot_product
    FOR EACH ROW WHEN (NEW.active_image_id IS NOT NULL) EXECUTE FUNCTION packshot_judge_active_image();
CREATE TRIGGER packshot_product_is_judged BEFORE UPDATE OF active_image_id ON packshot_product
    FOR EACH ROW WHEN (NEW.active_image_id IS DISTINCT FROM OLD.active_image_id)
    EXECUTE FUNCTION packshot_judge_active_image();
CREATE TRIGGER packshot_review_judges AFTER INSERT OR UPDATE OR DELETE ON packshot_review
    FOR EACH ROW EXECUTE FUNCTION packshot_judge_product_of_image();
CREATE TRIGGER packshot_score_judges AFTER INSERT OR UPDATE OR DELETE ON packshot_score
    FOR EACH ROW EXECUTE FUNCTION packshot_judge_product_of_image();

-- What was decided and measured before there were these columns.
UPDATE packshot_product AS product
SET active_rejected = found.rejected, active_score = found.score, active_image_at = found.created_at
FROM (
    SELECT
        other.id,
        image.created_at,
        EXISTS (
            SELECT 1 FROM packshot_review AS review
            WHERE review.image_id = other.active_image_id AND review.current AND review.decision = 'rejected'
        ) AS rejected,
        (SELECT min(score.value) FROM packshot_score AS score WHERE score.image_id = other.active_image_id)
            AS score
    FROM packshot_product AS other
    JOIN packshot_image AS image ON image.id = other.active_image_id
) AS found
WHERE found.id = product.id;

-- The rows were written anew by this transaction's new columns, so their foreign keys wait to be looked at, and
-- no index is made before that.
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;

-- Only the first version of the view asked which reviews reject.
DROP INDEX packshot_review_rejected;
