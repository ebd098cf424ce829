-- Prices that the site edited: a table that only grows, and the number by which everybody sees that it grew.

CREATE TRIGGER packshot_price_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON packshot_price
    FOR EACH STATEMENT EXECUTE FUNCTION packshot_refuse_change();

-- Another number whenever a price of this provider begins to hold, 0 while there is none: whoever has read
-- them at this number need not read them again. Rows only come and ids only grow, so no two sets that ever
-- held have both the same size and the same sum. The clock is that of this moment: a transaction that waited
-- for the provider's row began before the price did.
CREATE FUNCTION packshot_price_edition(wanted varchar) RETURNS bigint
LANGUAGE sql VOLATILE STRICT
RETURN (
    SELECT (count(*) << 40) + coalesce(sum(price.id), 0)::bigint FROM packshot_price AS price
    WHERE price.provider = wanted AND price.valid_from <= clock_timestamp()
);
