-- +migrate Set lock_timeout = 500ms
-- +migrate Set search_path TO '"$user", it''s'

-- +migrate Up
-- +migrate Set app.tenant=none
-- +migrate Allow unsafe-NULL the backfill below fills it
ALTER TABLE orders ADD COLUMN total numeric;

-- +migrate Batch public."Order Items" by Tenant, "Id" size=5000 pause=50ms workers=2
-- The whole table, but slowly.
UPDATE public."Order Items" SET total = price * quantity WHERE "Id" > :from AND "Id" <= :to;

-- +migrate Batch orders by id
WITH part AS (SELECT id FROM orders WHERE id > :from AND id <= :to)
DELETE FROM orders USING part WHERE orders.id = part.id;

-- +migrate Assert no order is without a total
SELECT count(*) = 0 FROM orders WHERE total IS NULL;
-- +migrate assert
SELECT true;

-- +migrate Down
-- +migrate Set statement_timeout = 1min
ALTER TABLE orders DROP COLUMN total;
