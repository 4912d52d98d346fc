-- Migration: split addresses
-- Author:    Tomasz Zieliński
-- Date:      2025-03-10
-- Description: Addresses get a table of their own. Until the last program that knows
--              only users.street and its kin is gone (see drop_user_addresses), both
--              places hold the same, whichever of them is written.

-- Each statement commits by itself, so that no lock waits for the copy. All of
-- them may be repeated after a crash.

-- +migrate Up notransaction

-- As permissive as the columns it comes from: a split is no time for new rules,
-- they would refuse rows that are there. No address at all is no row.
CREATE TABLE IF NOT EXISTS addresses (
    user_id      bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    street       text,
    postal_code  text,
    city         text,
    country_code text REFERENCES countries,
    CONSTRAINT addresses_not_empty CHECK (num_nonnulls(street, postal_code, city, country_code) > 0)
);

COMMENT ON TABLE addresses IS 'Where a person lives; no row when we do not know';

-- Old programs write to users. IS DISTINCT FROM ends the ping-pong between the
-- two triggers: what is equal already is not written again.
CREATE OR REPLACE FUNCTION copy_user_to_address() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF num_nonnulls(NEW.street, NEW.postal_code, NEW.city, NEW.country_code) = 0 THEN
        DELETE FROM addresses WHERE user_id = NEW.id;
    ELSE
        INSERT INTO addresses AS a (user_id, street, postal_code, city, country_code)
        VALUES (NEW.id, NEW.street, NEW.postal_code, NEW.city, NEW.country_code)
        ON CONFLICT (user_id) DO UPDATE
        SET street = EXCLUDED.street,
            postal_code = EXCLUDED.postal_code,
            city = EXCLUDED.city,
            country_code = EXCLUDED.country_code
        WHERE (a.street, a.postal_code, a.city, a.country_code)
            IS DISTINCT FROM (EXCLUDED.street, EXCLUDED.postal_code, EXCLUDED.city, EXCLUDED.country_code);
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER users_copy_to_address
    AFTER INSERT OR UPDATE OF street, postal_code, city, country_code ON users
    FOR EACH ROW EXECUTE FUNCTION copy_user_to_address();

-- The trigger is there, so what changes from here on is copied; this is for what
-- did not change. FOR SHARE makes a writer of the same row wait for the copy:
-- else an address deleted meanwhile could come back. A few thousand rows take a
-- few milliseconds; millions would go in portions.
INSERT INTO addresses (user_id, street, postal_code, city, country_code)
SELECT id, street, postal_code, city, country_code
FROM users
WHERE num_nonnulls(street, postal_code, city, country_code) > 0
FOR SHARE
ON CONFLICT (user_id) DO NOTHING;

-- New programs write to addresses. (Two writers who change one person's address
-- in both places in the same instant can deadlock; PostgreSQL ends one of them.)
CREATE OR REPLACE FUNCTION copy_address_to_user() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND OLD.user_id <> NEW.user_id) THEN
        UPDATE users
        SET street = NULL, postal_code = NULL, city = NULL, country_code = NULL
        WHERE id = OLD.user_id
          AND num_nonnulls(street, postal_code, city, country_code) > 0;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        UPDATE users
        SET street = NEW.street,
            postal_code = NEW.postal_code,
            city = NEW.city,
            country_code = NEW.country_code
        WHERE id = NEW.user_id
          AND (street, postal_code, city, country_code)
              IS DISTINCT FROM (NEW.street, NEW.postal_code, NEW.city, NEW.country_code);
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER addresses_copy_to_user
    AFTER INSERT OR UPDATE OR DELETE ON addresses
    FOR EACH ROW EXECUTE FUNCTION copy_address_to_user();

-- Nothing was lost and nothing was invented, or this migration fails here.
-- +migrate Assert both places hold the same address for every user
SELECT NOT EXISTS (
    SELECT
    FROM users AS u
    LEFT JOIN addresses AS a ON a.user_id = u.id
    WHERE (u.street, u.postal_code, u.city, u.country_code)
        IS DISTINCT FROM (a.street, a.postal_code, a.city, a.country_code)
);

-- For readers who want the old shape: the columns that users had, from both tables.
CREATE OR REPLACE VIEW users_with_address AS
SELECT u.id, u.email, u.name, u.created_at, a.street, a.postal_code, a.city, a.country_code
FROM users AS u
LEFT JOIN addresses AS a ON a.user_id = u.id;

COMMENT ON VIEW users_with_address IS 'users as it was when it held the address';

-- +migrate Down notransaction

-- What was written to addresses stands in users too: the trigger saw to it.
-- +migrate Assert users holds the address of every row in addresses
SELECT NOT EXISTS (
    SELECT
    FROM addresses AS a
    JOIN users AS u ON u.id = a.user_id
    WHERE (u.street, u.postal_code, u.city, u.country_code)
        IS DISTINCT FROM (a.street, a.postal_code, a.city, a.country_code)
);

DROP VIEW IF EXISTS users_with_address;

-- First the trigger that needs the table, then the table together with its own
-- trigger: what a program writes to addresses until then still reaches users.
DROP TRIGGER IF EXISTS users_copy_to_address ON users;
DROP TABLE IF EXISTS addresses;
DROP FUNCTION IF EXISTS copy_user_to_address();
DROP FUNCTION IF EXISTS copy_address_to_user();
