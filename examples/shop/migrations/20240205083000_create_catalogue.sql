-- Migration: create catalogue
-- Author:    Ada Brandt
-- Date:      2024-02-05
-- Description: What we sell. The first range of goods comes with it.

-- +migrate Up

CREATE TABLE products (
    id          bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku         text    NOT NULL UNIQUE,
    name        text    NOT NULL,
    price_cents integer NOT NULL,
    discontinued_at timestamptz,
    CONSTRAINT products_price_not_negative CHECK (price_cents >= 0)
);

COMMENT ON TABLE products IS 'What we sell or sold; never deleted, see discontinued_at';
COMMENT ON COLUMN products.price_cents IS 'Today''s price; an order keeps the price it was placed at';

-- Seed data without random(): every database that runs this file holds the same
-- rows, so that tests and colleagues can talk about "product 17".
INSERT INTO products (sku, name, price_cents)
SELECT 'W-' || to_char(n, 'FM0000'),
       (ARRAY['Field glass', 'Rubber boots', 'Tide table', 'Bird book'])[1 + n % 4] || ' no. ' || n,
       500 + (n * 37) % 9500
FROM generate_series(1, 400) AS n;

-- +migrate Down

DROP TABLE products;
