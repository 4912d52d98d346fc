-- Migration: require known countries
-- Author:    Mireille Okafor
-- Date:      2024-09-23
-- Description: From now on a country that we do not know is refused.

-- The lock below is needed on two busy tables at once. Give way after 50 ms and
-- try again, rather than let everybody queue behind us.
-- +migrate Set lock_timeout = 50ms

-- +migrate Up

-- NOT VALID: new and changed rows are checked, existing rows are not looked at,
-- so the lock (SHARE ROW EXCLUSIVE on both tables) is held for a moment only.
ALTER TABLE users
    ADD CONSTRAINT users_country_code_fkey
    FOREIGN KEY (country_code) REFERENCES countries NOT VALID;

-- +migrate Down

ALTER TABLE users DROP CONSTRAINT users_country_code_fkey;
