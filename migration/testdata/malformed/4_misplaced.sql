CREATE TABLE a (
  -- +migrate Allow x because
  id int
);
SELECT 1
-- +migrate Set lock_timeout = 1s
;
-- +migrate StatementEnd
-- +migrate StatementBegin
-- +migrate StatementBegin
SELECT 2;
-- +migrate Batch users by id
-- +migrate Assert x
-- +migrate Up
-- +migrate Assert y
INSERT INTO a VALUES (1);
-- +migrate Irreversible
-- +migrate Irreversible twice
-- +migrate Down
-- +migrate StatementBegin
SELECT 3;
-- +migrate Assert z
