-- +migrate Up
-- +migrate StatementBegin
CREATE OR REPLACE FUNCTION touch() RETURNS trigger AS $body$
BEGIN
  NEW.updated_at := now();
  -- +migrate Down
  RETURN NEW;
END;
$body$ LANGUAGE plpgsql
-- +migrate StatementEnd

-- +migrate Allow no-owner the function belongs to the migrator
CREATE TRIGGER touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();

-- +migrate Down
DROP TRIGGER touch ON users;
-- +migrate StatementBegin
DROP FUNCTION touch();
-- +migrate StatementEnd
