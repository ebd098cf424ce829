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
    product.id,
    product.sku,
    product.name,
    (SELECT category.name FROM packshot_category AS category WHERE category.id = product.category_id)
        AS category_name,
    product.issue_type,
    product.last_generation_at AS last_attempt,
    product.failures_in_row AS failure_count,
    coalesce(
        (
            SELECT '/media/' || rendition.blob || '.webp' FROM packshot_rendition AS rendition
            WHERE rendition.image_id = product.active_image_id AND rendition.spec = 'webp-320'
        ),
        nullif(product.listed_image_url, '')
    ) AS image_url,
    product.severity
FROM (
    -- Disjoint sets, so that a reader who wants one kind, or counts, pays for no other.
    SELECT
        product.id, product.sku, product.name, product.category_id, product.active_image_id,
        product.listed_image_url, product.last_generation_at, product.failures_in_row,
        CASE product.last_generation_status WHEN 'uncertain' THEN 1 ELSE 2 END AS severity,
        CASE product.last_generation_status WHEN 'uncertain' THEN 'uncertain' ELSE 'generation_failed' END
            AS issue_type
    FROM packshot_product AS product
    WHERE product.archived_at IS NULL AND product.last_generation_status IN ('failed', 'uncertain')
    UNION ALL
    SELECT
        product.id, product.sku, product.name, product.category_id, product.active_image_id,
        product.listed_image_url, product.last_generation_at, product.failures_in_row,
        3, 'no_image'
    FROM packshot_product AS product
    WHERE product.archived_at IS NULL AND product.last_generation_status NOT IN ('failed', 'uncertain')
        AND product.active_image_id IS NULL AND product.listed_image_url = ''
    UNION ALL
    SELECT
        product.id, product.sku, product.name, product.category_id, product.active_image_id,
        product.listed_image_url, product.last_generation_at, product.failures_in_row,
        4, 'placeholder'
    FROM packshot_product AS product
    WHERE product.archived_at IS NULL AND product.last_generation_status NOT IN ('failed', 'uncertain')
        AND product.active_image_id IS NULL AND product.listed_image_url <> '' AND product.placeholder
    UNION ALL
    SELECT
        product.id, product.sku, product.name, product.category_id, product.active_image_id,
        product.listed_image_url, product.last_generation_at, product.failures_in_row,
        5, 'rejected'
    FROM packshot_product AS product
    WHERE product.archived_at IS NULL AND product.last_generation_status NOT IN ('failed', 'uncertain')
        AND product.active_image_id IS NOT NULL
        AND EXISTS (
            SELECT 1 FROM packshot_review AS review
            WHERE review.image_id = product.active_image_id
                AND review.current AND review.decision = 'rejected'
        )
    UNION ALL
    SELECT
        product.id, product.sku, product.name, product.category_id, product.active_image_id,
        product.listed_image_url, product.last_generation_at, product.failures_in_row,
        6, 'low_score'
    FROM packshot_product AS product
    WHERE product.archived_at IS NULL AND product.last_generation_status NOT IN ('failed', 'uncertain')
        AND product.active_image_id IS NOT NULL
        AND EXISTS (
            SELECT 1 FROM packshot_score AS score
            WHERE score.image_id = product.active_image_id
                AND score.value < (SELECT packshot_setting('low_score')::double precision)
        )
        AND NOT EXISTS (
            SELECT 1 FROM packshot_review AS review
            WHERE review.image_id = product.active_image_id
                AND review.current AND review.decision = 'rejected'
        )
    UNION ALL
    SELECT
        product.id, product.sku, product.name, product.category_id, product.active_image_id,
        product.listed_image_url, product.last_generation_at, product.failures_in_row,
        7, 'old_image'
    FROM packshot_product AS product
    JOIN packshot_image AS image ON image.id = product.active_image_id
    WHERE product.archived_at IS NULL AND product.last_generation_status NOT IN ('failed', 'uncertain')
        AND image.created_at < (
            SELECT packshot_now() - make_interval(days => packshot_setting('old_image_days')::integer)
        )
        -- Ids carry their time, so a range of ids leaves only the old ones to be looked at. Two days more
        -- than asked for, because a client's clock made the id and the database's clock made created_at.
        AND product.active_image_id < packshot_first_id(
            packshot_now() - make_interval(days => packshot_setting('old_image_days')::integer - 2)
        )
        AND NOT EXISTS (
            SELECT 1 FROM packshot_review AS review
            WHERE review.image_id = product.active_image_id
                AND review.current AND review.decision = 'rejected'
        )
        AND NOT EXISTS (
            SELECT 1 FROM packshot_score AS score
            WHERE score.image_id = product.active_image_id
                AND score.value < (SELECT packshot_setting('low_score')::double precision)
        )
) AS product;
