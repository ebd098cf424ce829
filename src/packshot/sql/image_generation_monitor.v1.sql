-- One generation a row, any status. Read by the queue, the Overview, the CLI and any SQL client. Costs are
-- dollars of one attempt as quoted (estimated) and of all its attempts so far (actual; NULL while nothing is
-- settled and when it is not known); seconds run from the first byte sent to the end, NULL while it runs.
CREATE VIEW image_generation_monitor WITH (security_invoker = true) AS
SELECT
    generation.id,
    generation.product_id,
    product.name AS product_name,
    generation.provider_id AS provider,
    generation.model,
    generation.prompt,
    generation.status,
    generation.attempts,
    generation.error_kind,
    generation.error_message,
    -- Why a pending one does not start: its own reason, or else what holds all of its provider's.
    CASE WHEN generation.status = 'pending' THEN coalesce(
        generation.wait_reason,
        CASE
            WHEN (SELECT switch.stopped FROM packshot_stop_switch AS switch) THEN 'stopped'
            WHEN provider.archived_at IS NOT NULL OR NOT provider.available THEN 'key'
            WHEN NOT provider.simulated AND NOT provider.switched_on THEN 'off'
            WHEN provider.paused_at IS NOT NULL THEN 'paused'
            WHEN provider.wait_until > packshot_now() THEN 'rate'
        END
    ) END AS wait_reason,
    packshot_dollars(generation.expected_micros) AS estimated_cost,
    CASE WHEN NOT generation.cost_unknown THEN packshot_dollars(generation.actual_micros) END AS actual_cost,
    extract(epoch FROM generation.completed_at - generation.started_at)::double precision
        AS processing_time_seconds,
    generation.created_at,
    generation.updated_at,
    generation.completed_at,
    product.sku,
    generation.simulated,
    generation.cost_unknown,
    CASE WHEN generation.wait_reason IS NULL AND generation.status = 'pending'
        THEN coalesce(nullif(generation.wait_detail, ''), provider.paused_message)
        ELSE generation.wait_detail END AS wait_detail,
    coalesce(generation.not_before, CASE WHEN generation.status = 'pending' THEN provider.wait_until END)
        AS not_before,
    generation.started_at,
    generation.cancel_requested_at,
    generation.run_id,
    generation.asked_by_name
FROM packshot_generation AS generation
JOIN packshot_product AS product ON product.id = generation.product_id
JOIN packshot_provider AS provider ON provider.name = generation.provider_id;
