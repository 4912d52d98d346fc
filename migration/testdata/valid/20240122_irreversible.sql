-- +migrate Up
DROP TABLE legacy;
-- +migrate Down
-- +migrate Irreversible the rows are gone; restore a backup
