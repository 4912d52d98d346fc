-- +migrate Up
ALTER TABLE orders ADD COLUMN total numeric(10, 2) NOT NULL DEFAULT 0;
ALTER TABLE orders ADD CONSTRAINT positive CHECK (total >= 0);

-- +migrate Down
ALTER TABLE orders DROP COLUMN total;
