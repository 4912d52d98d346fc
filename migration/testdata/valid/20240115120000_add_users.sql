-- Migration: add_users
-- Author: Jo
-- Date: 2024-01-15
-- Description: Users; and who they are

-- +migrate Up
CREATE TABLE users (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email      text NOT NULL, -- unique, see below
    deleted_at timestamptz
);
CREATE UNIQUE INDEX users_email ON users (email) WHERE deleted_at IS NULL;
COMMENT ON TABLE users IS 'People; not machines
-- +migrate Down
that is still the comment';

-- +migrate Down
DROP TABLE users;
