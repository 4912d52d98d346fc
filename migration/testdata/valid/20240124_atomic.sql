CREATE FUNCTION add(a int, b int) RETURNS int
BEGIN ATOMIC
  SELECT a + b;
  -- +migrate Down
END;
DO $$ BEGIN PERFORM 1; END $$;
/* a block
-- +migrate Down
/* of comments */ */
SELECT E'it\'s; -- +migrate Down', "a;b" FROM c; SELECT $1; -- +migrate Down
-- - + migrated users come later
