-- As people write it for psql.
BEGIN;
ALTER TABLE users ADD COLUMN age int;
UPDATE users SET age = 0;
COMMIT;

-- +migrate Down
start /* the */ transaction; -- really
ALTER TABLE users DROP COLUMN age;
end and no chain
