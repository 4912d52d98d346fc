-- Migration: add order total
-- Author:    Ada Brandt
-- Date:      2024-06-17
-- Description: One place that knows what an order costs.

-- +migrate Up

-- The SQL-standard body (PostgreSQL 14 and later) is parsed when the function is
-- created. PostgreSQL therefore knows which columns it needs and refuses to drop
-- them from under it. Functions lock no table.
CREATE FUNCTION order_total_cents(wanted_order bigint) RETURNS bigint
LANGUAGE sql
STABLE
BEGIN ATOMIC
    SELECT coalesce(sum(CASE WHEN i.quantity > 0 THEN i.quantity::bigint * i.price_cents END), 0)::bigint
    FROM order_items AS i
    WHERE i.order_id = wanted_order;
END;

COMMENT ON FUNCTION order_total_cents(bigint) IS 'What an order costs, without shipping';

-- +migrate Down

DROP FUNCTION order_total_cents(bigint);
