-- What a product is found by: its name, its SKU and what its attributes say, a line each. Every line begins with
-- a space, so that ' ab' is the beginning of a word wherever it stands.
CREATE FUNCTION packshot_product_words(name text, sku text, attributes jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT left(
        concat(' ', name, E'\n ', sku, (
            SELECT string_agg(concat(E'\n ', value), '' ORDER BY key)
            FROM jsonb_each_text(CASE jsonb_typeof(attributes) WHEN 'object' THEN attributes ELSE '{}' END)
            WHERE value NOT IN ('true', 'false')
        )),
        4000
    )
$$;
