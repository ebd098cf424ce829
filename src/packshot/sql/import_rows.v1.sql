-- Where an import lays its rows before it compares and writes. Read by catalogue.intake only; one
-- transaction's own table, gone at its end. `id` is the product's if it turns out to be new.
CREATE TEMPORARY TABLE import_row (
    row integer NOT NULL,
    id uuid NOT NULL,
    sku text PRIMARY KEY,
    name text NOT NULL,
    description text NOT NULL,
    category_path text NOT NULL,
    attributes jsonb NOT NULL,
    price numeric(14, 2),
    currency text NOT NULL,
    reference_image_urls jsonb NOT NULL,
    external_ids jsonb NOT NULL,
    listed_image_url text NOT NULL,
    placeholder boolean NOT NULL
) ON COMMIT DROP
