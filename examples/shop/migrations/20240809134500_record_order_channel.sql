-- Migration: record order channel
-- Author:    Tomasz Zieliński
-- Date:      2024-08-09
-- Description: Where an order came from, quick to search, and a view for reports.

-- +migrate Up

-- First transaction: a column with a constant default, which touches no row.
ALTER TABLE orders ADD COLUMN channel text NOT NULL DEFAULT 'web';
COMMENT ON COLUMN orders.channel IS 'web, app or phone';

-- On its own: CONCURRENTLY lets writers go on while it reads the table, and
-- PostgreSQL refuses it inside a transaction. It is recognised; the file needs
-- no annotation for it. Should it fail or the machine die, the same command
-- again goes on from here, and an invalid index left behind is built anew.
-- No IF NOT EXISTS: over an invalid index it would report success.
CREATE INDEX CONCURRENTLY orders_channel_placed_at_idx ON orders (channel, placed_at);

-- Second transaction: what needs both.
CREATE VIEW orders_by_channel AS
SELECT channel, date_trunc('month', placed_at, 'UTC') AS month, count(*) AS orders
FROM orders
WHERE status NOT IN ('cart', 'cancelled')
GROUP BY channel, month;

COMMENT ON VIEW orders_by_channel IS 'For the monthly report';

-- +migrate Down

DROP VIEW orders_by_channel;
DROP INDEX CONCURRENTLY orders_channel_placed_at_idx;
ALTER TABLE orders DROP COLUMN channel;
