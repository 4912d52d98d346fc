-- Migration: require names
-- Author:    Ada Brandt
-- Date:      2025-01-13
-- Description: The parcel service wants a name. The sign-up form has asked for one
--              since last year; rows of the old shop get the front of their address.

-- Each statement commits by itself (notransaction), so that no lock of one is
-- held during the scan of another. That asks for statements which may be repeated
-- after a crash: IF [NOT] EXISTS, ON CONFLICT, DROP and ADD in one ALTER TABLE.

-- +migrate Up notransaction

-- What is about to change is written down first, for the way back.
CREATE TABLE IF NOT EXISTS users_named_by_migration (
    user_id    bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    given_name text   NOT NULL
);

-- Change and record in one statement: there is no moment with only one of them.
WITH named AS (
    UPDATE users
    SET name = split_part(email, '@', 1)
    WHERE name IS NULL
    RETURNING id, name
)
INSERT INTO users_named_by_migration (user_id, given_name)
SELECT id, name FROM named
ON CONFLICT (user_id) DO UPDATE SET given_name = EXCLUDED.given_name;

-- +migrate Assert every user has a name
SELECT NOT EXISTS (SELECT FROM users WHERE name IS NULL);

-- SET NOT NULL by itself reads the whole table while nobody else may. With a
-- validated CHECK that says the same, it believes that and reads nothing.
ALTER TABLE users
    DROP CONSTRAINT IF EXISTS users_name_given,
    ADD CONSTRAINT users_name_given CHECK (name IS NOT NULL) NOT VALID;
ALTER TABLE users VALIDATE CONSTRAINT users_name_given;
ALTER TABLE users ALTER COLUMN name SET NOT NULL;
ALTER TABLE users DROP CONSTRAINT IF EXISTS users_name_given;

-- +migrate Down notransaction

ALTER TABLE users ALTER COLUMN name DROP NOT NULL;

-- Names that somebody has corrected since are theirs and stay.
UPDATE users AS u
SET name = NULL
FROM users_named_by_migration AS m
WHERE m.user_id = u.id AND m.given_name = u.name;

DROP TABLE IF EXISTS users_named_by_migration;
