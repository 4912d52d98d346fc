-- Migration: create users
-- Author:    Ada Brandt
-- Date:      2024-01-15
-- Description: The people who buy from us, and all that we know of them.

-- +migrate Up

-- A new table has no readers yet, so whatever is done to it in the transaction
-- that creates it is safe: constraints, plain indexes, comments.
CREATE TABLE users (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email        text        NOT NULL,
    name         text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    street       text,
    postal_code  text,
    city         text,
    country_code text,
    preferences  jsonb       NOT NULL DEFAULT '{}',
    CONSTRAINT users_email_has_at CHECK (email LIKE '%_@_%'),
    CONSTRAINT users_preferences_is_object CHECK (jsonb_typeof(preferences) = 'object')
);

-- Ada@Example.com and ada@example.com are one person. An index on the
-- expression says so without an extension; queries ask for lower(email) too.
CREATE UNIQUE INDEX users_email_lower_key ON users (lower(email));

COMMENT ON TABLE users IS 'People with an account';
COMMENT ON COLUMN users.email IS 'As the person wrote it; unique regardless of case';
COMMENT ON COLUMN users.country_code IS 'ISO 3166-1 alpha-2';
COMMENT ON COLUMN users.preferences IS 'One object; a key per preference';

-- +migrate Down

DROP TABLE users;
