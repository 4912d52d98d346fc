-- Migration: stamp order changes
-- Author:    Tomasz Zieliński
-- Date:      2024-05-21
-- Description: Every order says when it was last changed.

-- +migrate Up

-- now() is STABLE: PostgreSQL evaluates it once and stores the result as the
-- value of all existing rows, without rewriting the table. clock_timestamp() or
-- random() in its place would rewrite every row while nobody can even read.
ALTER TABLE orders ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();

COMMENT ON COLUMN orders.updated_at IS 'Kept by the trigger orders_touch';

-- The semicolons between $body$ and $body$ end no statement, nor do those in $$.
CREATE FUNCTION touch_updated_at() RETURNS trigger
LANGUAGE plpgsql
AS $body$
BEGIN
    IF NEW IS DISTINCT FROM OLD THEN
        NEW.updated_at := now();
    ELSE
        RAISE DEBUG $$nothing changed in %; updated_at stays$$, TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END
$body$;

COMMENT ON FUNCTION touch_updated_at() IS 'For BEFORE UPDATE triggers: sets updated_at when the row changes';

-- The lock (SHARE ROW EXCLUSIVE) is weaker than the one that ADD COLUMN took.
CREATE TRIGGER orders_touch
    BEFORE UPDATE ON orders
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- +migrate Down

DROP TRIGGER orders_touch ON orders;
DROP FUNCTION touch_updated_at();
ALTER TABLE orders DROP COLUMN updated_at;
