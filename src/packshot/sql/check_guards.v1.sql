-- What holds the rules against every client, and is missing or switched off: invariants I4, I5, I7, I8 and I17.
-- Read by `packshot ledger check`.
SELECT format('trigger %s on %s', wanted.name, wanted.place) AS subject,
    CASE WHEN stands.oid IS NULL THEN 'is missing' ELSE 'is switched off' END AS found
FROM (VALUES
    ('packshot_attempt', 'packshot_guard_attempt'),
    ('packshot_attempt', 'packshot_attempt_is_kept'),
    ('packshot_generation', 'packshot_guard_generation'),
    ('packshot_reservation', 'packshot_guard_reservation'),
    ('packshot_reservation', 'packshot_reservation_is_kept'),
    ('packshot_entry', 'packshot_entry_only_grows'),
    ('packshot_evidence', 'packshot_evidence_only_grows'),
    ('packshot_auditentry', 'packshot_audit_only_grows'),
    ('packshot_price', 'packshot_price_only_grows')
) AS wanted (place, name)
LEFT JOIN pg_trigger AS stands ON stands.tgrelid = to_regclass(wanted.place) AND stands.tgname = wanted.name
WHERE stands.oid IS NULL OR stands.tgenabled NOT IN ('O', 'A')
UNION ALL
SELECT format('index %s', wanted.name),
    CASE WHEN stands.indexrelid IS NULL THEN 'is missing' ELSE 'is not valid' END
FROM (VALUES
    ('packshot_attempt_number_once'),
    ('packshot_attempt_one_open'),
    ('packshot_entry_one_charge'),
    ('packshot_window_once'),
    ('packshot_image_once_per_attempt')
) AS wanted (name)
LEFT JOIN pg_index AS stands ON stands.indexrelid = to_regclass(wanted.name)
WHERE stands.indexrelid IS NULL OR NOT (stands.indisvalid AND stands.indisunique)
UNION ALL
SELECT format('constraint %s', wanted.name),
    CASE WHEN stands.oid IS NULL THEN 'is missing' ELSE 'was never validated' END
FROM (VALUES
    ('packshot_attempt_money_not_negative'),
    ('packshot_entry_charge_not_negative'),
    ('packshot_reservation_not_negative'),
    ('packshot_window_not_negative')
) AS wanted (name)
LEFT JOIN pg_constraint AS stands ON stands.conname = wanted.name AND stands.contype = 'c'
    AND stands.connamespace = current_schema()::regnamespace
WHERE stands.oid IS NULL OR NOT stands.convalidated
