-- +migrate Up
INSERT INTO users (email) VALUES ('Ada@example.org'), ('grace@example.org');

-- +migrate Down
DELETE FROM users;
