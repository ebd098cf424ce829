-- One unarchived product a row, with one image of each provider that made one: the active image, or else the
-- newest that a person approved, or else the newest. Read by the compare page and any SQL client. `images`
-- is keyed by provider: image_id, image_url, model, cost (dollars), generation_time (seconds), score (its
-- lowest, 0 to 100), review (approved, rejected or null), created_at, alternatives (how many others that
-- provider made), active, simulated. What could not be decoded is left out.
CREATE VIEW image_comparison_view WITH (security_invoker = true) AS
SELECT
    product.id AS product_id,
    product.name AS product_name,
    side_by_side.images,
    product.sku,
    product.active_image_id
FROM packshot_product AS product
-- One look per product, never a GROUP BY over all: 50 products by name cost what 50 products cost.
CROSS JOIN LATERAL (
    SELECT coalesce(
        jsonb_object_agg(
            shown.provider,
            jsonb_build_object(
                'image_id', shown.id,
                'image_url', (
                    SELECT '/media/' || rendition.blob || '.webp' FROM packshot_rendition AS rendition
                    WHERE rendition.image_id = shown.id AND rendition.spec = 'webp-320'
                ),
                'model', shown.model,
                'cost', packshot_dollars(packshot_image_cost_micros(shown.attempt_id)),
                'generation_time', (
                    SELECT extract(epoch FROM generation.completed_at - generation.started_at)
                    FROM packshot_generation AS generation WHERE generation.id = shown.generation_id
                ),
                'score', (
                    SELECT min(score.value) FROM packshot_score AS score WHERE score.image_id = shown.id
                ),
                'review', shown.decision,
                'created_at', shown.created_at,
                'alternatives', shown.alternatives,
                'active', shown.active,
                'simulated', shown.simulated
            )
        ),
        '{}'::jsonb
    ) AS images
    FROM (
        SELECT DISTINCT ON (image.provider)
            image.id, image.provider, image.model, image.attempt_id, image.generation_id, image.created_at,
            image.simulated, review.decision, image.id IS NOT DISTINCT FROM product.active_image_id AS active,
            count(*) OVER (PARTITION BY image.provider) - 1 AS alternatives
        FROM packshot_image AS image
        LEFT JOIN packshot_review AS review ON review.image_id = image.id AND review.current
        WHERE image.product_id = product.id AND image.state <> 'broken'
        ORDER BY
            image.provider,
            image.id IS NOT DISTINCT FROM product.active_image_id DESC,
            review.decision IS NOT DISTINCT FROM 'approved' DESC,
            image.id DESC
    ) AS shown
) AS side_by_side
WHERE product.archived_at IS NULL;
