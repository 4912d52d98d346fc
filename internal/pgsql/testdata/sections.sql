-- Text before the first mark.
SET lock_timeout = '2s'

-- +migrate Up
CREATE TABLE a (b int)
-- +migrate Assert there is a table
SELECT count(*) = 1 FROM a;
  -- +migrate StatementBegin
CREATE FUNCTION f() RETURNS text AS $$
-- +migrate not a mark
SELECT 'x';
$$ LANGUAGE sql;
-- +migrate StatementEnd
SELECT 1; -- +migrate not the first thing on its line
SELECT '
-- +migrate not a mark either
';
CREATE FUNCTION g() RETURNS int
BEGIN ATOMIC
-- +migrate nor in a body
    SELECT 1;
END;
/* a comment */ -- +migrate nor behind a comment
COPY a FROM stdin;
-- +migrate nor in data
\.
-- +migrate Batch a by b
UPDATE a SET b = 1 WHERE (b > :from
-- +migrate Down
DROP TABLE a;
SELECT 'a'
-- +migrate Down
'b';
