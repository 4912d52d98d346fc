--+MIGRATE	UP   NoTransaction
CREATE INDEX CONCURRENTLY users_name ON users (name);
  -- +migrate down notransaction
DROP INDEX CONCURRENTLY users_name;
