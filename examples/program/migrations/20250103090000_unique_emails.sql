CREATE UNIQUE INDEX CONCURRENTLY users_email ON users (email);

-- +migrate Down
DROP INDEX CONCURRENTLY users_email;
