-- Migration: log order events
-- Author:    Jonas Weber
-- Date:      2024-11-07
-- Description: Who asks "when was it paid?" gets an answer. One partition per month.

-- +migrate Up

CREATE TABLE order_events (
    order_id    bigint       NOT NULL,
    happened_at timestamptz  NOT NULL DEFAULT now(),
    status      order_status NOT NULL
) PARTITION BY RANGE (happened_at);

CREATE INDEX order_events_order_id_idx ON order_events (order_id, happened_at);

COMMENT ON TABLE order_events IS 'Every status that an order took, by month; the last partition takes the rest';

-- A DO block, where SQL alone would be fourteen times the same statement. The
-- names and bounds are constants of this file, not of the day it is run on.
DO $$
DECLARE
    first_day date := DATE '2024-11-01';
BEGIN
    FOR i IN 0..13 LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF order_events FOR VALUES FROM (%L) TO (%L)',
            'order_events_' || to_char(first_day + make_interval(months => i), 'YYYY_MM'),
            to_char(first_day + make_interval(months => i), 'YYYY-MM-DD 00:00:00+00'),
            to_char(first_day + make_interval(months => i + 1), 'YYYY-MM-DD 00:00:00+00'));
    END LOOP;
END
$$;

-- Without it, the first order after the last month would fail.
CREATE TABLE order_events_default PARTITION OF order_events DEFAULT;

CREATE FUNCTION log_order_event() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO order_events (order_id, status) VALUES (NEW.id, NEW.status);
    RETURN NULL;
END
$$;

-- Last, because it is the only statement here that locks a table in use.
CREATE TRIGGER orders_log_event
    AFTER INSERT OR UPDATE OF status ON orders
    FOR EACH ROW EXECUTE FUNCTION log_order_event();

-- +migrate Down

DROP TRIGGER orders_log_event ON orders;
DROP FUNCTION log_order_event();
DROP TABLE order_events;
