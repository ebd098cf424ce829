-- One product and its worst issue a row; a product without an issue, or archived, has none. Read by the
-- attention page, its counts and any SQL client. From the worst (severity 1) to the least:
--   uncertain          its newest generation may have been paid for and nobody knows
--   generation_failed  its newest generation failed
--   no_image           nothing to show: no active image, and none in the shop
--   placeholder        no active image, and the shop's own is only a stand-in
--   rejected           its active image was rejected by a person
--   low_score          a scorer gave its active image less than the site's low_score (0 to 100)
--   old_image          its active image is older than the site's old_image_days
-- failure_count is its failures in a row. image_url is what it shows now, NULL when that is nothing.
CREATE VIEW products_needing_attention WITH (security_invoker = true) AS
SELECT
    needing.id,
    product.sku,
    product.name,
    (SELECT category.name FROM packshot_category AS category WHERE category.id = product.category_id)
        AS category_name,
    needing.issue_type,
    product.last_generation_at AS last_attempt,
    product.failures_in_row AS failure_count,
    coalesce(
        (
            SELECT '/media/' || rendition.blob || '.webp' FROM packshot_rendition AS rendition
            WHERE rendition.image_id = product.active_image_id AND rendition.spec = 'webp-320'
        ),
        nullif(product.listed_image_url, '')
    ) AS image_url,
    needing.severity
FROM (
    -- Which products, by indexes alone: 60,000 in 10 ms. Disjoint sets, so that a reader who wants one kind pays
    -- for no other. The first five stand in the product's severity; the others depend on settings and the day.
    SELECT product.id, product.severity, 'uncertain' AS issue_type
    FROM packshot_product AS product WHERE product.severity = 1
    UNION ALL
    SELECT product.id, product.severity, 'generation_failed' AS issue_type
    FROM packshot_product AS product WHERE product.severity = 2
    UNION ALL
    SELECT product.id, product.severity, 'no_image' AS issue_type
    FROM packshot_product AS product WHERE product.severity = 3
    UNION ALL
    SELECT product.id, product.severity, 'placeholder' AS issue_type
    FROM packshot_product AS product WHERE product.severity = 4
    UNION ALL
    SELECT product.id, product.severity, 'rejected' AS issue_type
    FROM packshot_product AS product WHERE product.severity = 5
    UNION ALL
    SELECT product.id, 6::smallint, 'low_score'
    FROM packshot_product AS product
    WHERE product.archived_at IS NULL AND product.severity IS NULL
        AND product.active_score < (SELECT packshot_setting('low_score')::double precision)
    UNION ALL
    SELECT product.id, 7::smallint, 'old_image'
    FROM packshot_product AS product
    WHERE product.archived_at IS NULL AND product.severity IS NULL
        AND product.active_image_at < (
            SELECT packshot_now() - make_interval(days => packshot_setting('old_image_days')::integer)
        )
        AND coalesce(
            product.active_score >= (SELECT packshot_setting('low_score')::double precision), true
        )
) AS needing
-- LEFT, because a join that no column is wanted from is left out: counts never touch the products.
LEFT JOIN packshot_product AS product ON product.id = needing.id;
