-- Finds products by their words, whatever the case, without reading all of them: one of 200,000 in 2 ms instead
-- of 200. Read by every search that says ILIKE of `words`.

-- Whether searches go by trigrams; makes the index where it is missing and can be made. Where pg_trgm cannot be
-- had, searches are as right and read every product, and `packshot doctor` says what to do.
CREATE OR REPLACE FUNCTION packshot_search_by_trigrams() RETURNS boolean LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
    place name;
BEGIN
    IF to_regclass('packshot_product_by_all_words') IS NOT NULL THEN
        RETURN true;
    END IF;
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    -- A hosted database may keep it in a schema of its own, which our search_path does not name.
    SELECT nspname INTO STRICT place
    FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'pg_trgm';
    EXECUTE format(
        'CREATE INDEX packshot_product_by_all_words ON packshot_product USING gin (words %1$I.gin_trgm_ops)',
        place
    );
    RETURN true;
EXCEPTION
    -- Not allowed to us, not allowed at all, or not installed on the server.
    WHEN insufficient_privilege OR feature_not_supported OR undefined_file OR undefined_object THEN
        RETURN false;
END $$;

DROP INDEX IF EXISTS packshot_product_by_words;
SELECT packshot_search_by_trigrams();
