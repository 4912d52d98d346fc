-- +migrate Up
ALTER TABLE users ADD COLUMN name text;
UPDATE users SET name = split_part(email, '@', 1);
ALTER TABLE users ALTER COLUMN name SET NOT NULL;

-- +migrate Down
ALTER TABLE users DROP COLUMN name;
