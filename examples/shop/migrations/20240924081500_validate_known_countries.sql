-- Migration: validate known countries
-- Author:    Mireille Okafor
-- Date:      2024-09-24
-- Description: The existing rows keep to the rule of yesterday as well.

-- +migrate Up

-- In a migration of its own, since it reads the whole table: in the transaction
-- that added the constraint, that one's lock would be held all the while.
-- Alone, it takes SHARE UPDATE EXCLUSIVE and disturbs neither readers nor writers.
ALTER TABLE users VALIDATE CONSTRAINT users_country_code_fkey;

-- +migrate Down

-- Nothing makes a constraint "not valid" again, so it is dropped and added anew:
-- in one statement, so that there is no moment without it.
ALTER TABLE users
    DROP CONSTRAINT users_country_code_fkey,
    ADD CONSTRAINT users_country_code_fkey
    FOREIGN KEY (country_code) REFERENCES countries NOT VALID;
