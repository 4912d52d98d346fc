-- +migrate Up
CREATE SCHEMA archive;
CREATE TABLE archive.orders (LIKE public.orders INCLUDING ALL);
DO $do$ BEGIN PERFORM 1; END $do$;

-- +migrate Down
DROP SCHEMA archive CASCADE;
