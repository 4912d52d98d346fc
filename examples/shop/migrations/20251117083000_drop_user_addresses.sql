-- Migration: drop user addresses
-- Author:    Tomasz Zieliński
-- Date:      2025-11-17
-- Description: The end of split_addresses. No program writes the address columns of
--              users any more; who still wants to read that shape has the view
--              users_with_address.

-- +migrate Set lock_timeout = 50ms

-- +migrate Up

-- Nothing goes that does not stand in the other place.
-- +migrate Assert every address in users stands in addresses
SELECT NOT EXISTS (
    SELECT
    FROM users AS u
    LEFT JOIN addresses AS a ON a.user_id = u.id
    WHERE (u.street, u.postal_code, u.city, u.country_code)
        IS DISTINCT FROM (a.street, a.postal_code, a.city, a.country_code)
);

DROP TRIGGER addresses_copy_to_user ON addresses;
DROP TRIGGER users_copy_to_address ON users;
ALTER TABLE users
    DROP COLUMN street,
    DROP COLUMN postal_code,
    DROP COLUMN city,
    DROP COLUMN country_code;
DROP FUNCTION copy_address_to_user();
DROP FUNCTION copy_user_to_address();

-- +migrate Down notransaction

-- They were the last columns of users by now, so they come back to their place.
ALTER TABLE users
    ADD COLUMN IF NOT EXISTS street text,
    ADD COLUMN IF NOT EXISTS postal_code text,
    ADD COLUMN IF NOT EXISTS city text,
    ADD COLUMN IF NOT EXISTS country_code text;

ALTER TABLE users
    DROP CONSTRAINT IF EXISTS users_country_code_fkey,
    ADD CONSTRAINT users_country_code_fkey
    FOREIGN KEY (country_code) REFERENCES countries NOT VALID;

COMMENT ON COLUMN users.country_code IS 'ISO 3166-1 alpha-2';

-- What changes from here on is copied by the trigger, …
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

-- … and this is for what does not. FOR SHARE makes writers of the same rows wait.
WITH kept AS (
    SELECT user_id, street, postal_code, city, country_code FROM addresses FOR SHARE
)
UPDATE users AS u
SET street = k.street,
    postal_code = k.postal_code,
    city = k.city,
    country_code = k.country_code
FROM kept AS k
WHERE k.user_id = u.id
  AND (u.street, u.postal_code, u.city, u.country_code)
      IS DISTINCT FROM (k.street, k.postal_code, k.city, k.country_code);

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

ALTER TABLE users VALIDATE CONSTRAINT users_country_code_fkey;

-- +migrate Assert both places hold the same address for every user
SELECT NOT EXISTS (
    SELECT
    FROM users AS u
    LEFT JOIN addresses AS a ON a.user_id = u.id
    WHERE (u.street, u.postal_code, u.city, u.country_code)
        IS DISTINCT FROM (a.street, a.postal_code, a.city, a.country_code)
);
