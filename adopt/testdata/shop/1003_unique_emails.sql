-- +migrate Up notransaction
CREATE UNIQUE INDEX CONCURRENTLY users_email ON users (email);

-- +migrate Down notransaction
DROP INDEX CONCURRENTLY users_email;
