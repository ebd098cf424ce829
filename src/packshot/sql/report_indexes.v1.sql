-- What the views read besides the indexes of the models: each as small as the set it is asked for.

-- Dashboard and attention view count these without touching the products themselves.
CREATE INDEX packshot_product_without_image ON packshot_product (last_generation_status)
    WHERE archived_at IS NULL AND active_image_id IS NULL AND listed_image_url = '';
CREATE INDEX packshot_product_with_placeholder ON packshot_product (last_generation_status)
    WHERE archived_at IS NULL AND active_image_id IS NULL AND listed_image_url <> '' AND placeholder;

-- What is wrong with active images, without reading products as wide as their descriptions.
CREATE INDEX packshot_product_active ON packshot_product (active_image_id, last_generation_status)
    WHERE archived_at IS NULL AND active_image_id IS NOT NULL;
CREATE INDEX packshot_review_rejected ON packshot_review (image_id) WHERE current AND decision = 'rejected';
CREATE INDEX packshot_score_of_image ON packshot_score (image_id, value);

CREATE INDEX packshot_generation_unknown_cost ON packshot_generation (simulated) WHERE cost_unknown;

-- When a provider was last used; also which calls fell into an hour of its usage page.
CREATE INDEX packshot_attempt_sent ON packshot_attempt (provider, sending_at DESC)
    WHERE sending_at IS NOT NULL;

-- What rebuild_rollups ranges over. Rows are written roughly in the order of these times, which is what BRIN
-- asks for: a few pages instead of the 220 MB that a B-tree takes at ten million.
CREATE INDEX packshot_generation_completed_at ON packshot_generation
    USING brin (completed_at timestamptz_minmax_multi_ops) WITH (autosummarize = on);
CREATE INDEX packshot_image_created_at ON packshot_image
    USING brin (created_at timestamptz_minmax_multi_ops) WITH (autosummarize = on);
