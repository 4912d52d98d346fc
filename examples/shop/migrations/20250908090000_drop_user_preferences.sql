-- Migration: drop user preferences
-- Author:    Mireille Okafor
-- Date:      2025-09-08
-- Description: No program reads or writes users.preferences any more (the last one
--              that did went in August). The rows in preferences are all there is now.

-- DROP COLUMN is quick, but nobody may look at the table meanwhile.
-- +migrate Set lock_timeout = 50ms

-- +migrate Up

-- Nothing goes that does not stand in the other place.
-- +migrate Assert every preference stands in the table preferences
SELECT NOT EXISTS (
    SELECT
    FROM users AS u
    CROSS JOIN LATERAL jsonb_each(u.preferences) AS e
    LEFT JOIN preferences AS p ON p.user_id = u.id AND p.key = e.key
    WHERE p.value IS DISTINCT FROM e.value
);

-- The tables in the order in which today's programs lock them, so that we and
-- they don't wait for each other crosswise.
DROP TRIGGER preferences_copy_to_user ON preferences;
DROP TRIGGER users_copy_to_preferences ON users;
ALTER TABLE users DROP COLUMN preferences;
DROP FUNCTION copy_preference_to_user();
DROP FUNCTION copy_user_to_preferences();

-- +migrate Down notransaction

-- The column was the last one of users, so it comes back to its place. Existing
-- rows get the default without being rewritten; the CHECK is validated below.
ALTER TABLE users
    ADD COLUMN IF NOT EXISTS preferences jsonb NOT NULL DEFAULT '{}',
    DROP CONSTRAINT IF EXISTS users_preferences_is_object,
    ADD CONSTRAINT users_preferences_is_object CHECK (jsonb_typeof(preferences) = 'object') NOT VALID;

COMMENT ON COLUMN users.preferences IS 'One object; a key per preference';

-- What changes from here on is copied by the trigger, …
CREATE OR REPLACE FUNCTION copy_preference_to_user() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND (OLD.user_id, OLD.key) <> (NEW.user_id, NEW.key)) THEN
        UPDATE users SET preferences = preferences - OLD.key WHERE id = OLD.user_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        UPDATE users
        SET preferences = preferences || jsonb_build_object(NEW.key, NEW.value)
        WHERE id = NEW.user_id;
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER preferences_copy_to_user
    AFTER INSERT OR UPDATE OR DELETE ON preferences
    FOR EACH ROW WHEN (pg_trigger_depth() = 0)
    EXECUTE FUNCTION copy_preference_to_user();

-- … and this is for what does not. FOR SHARE makes writers of the same rows wait,
-- and what the trigger has put into the object already wins over what was read here.
WITH kept AS (
    SELECT user_id, key, value FROM preferences FOR SHARE
), objects AS (
    SELECT user_id, jsonb_object_agg(key, value) AS object FROM kept GROUP BY user_id
)
UPDATE users AS u
SET preferences = o.object || u.preferences
FROM objects AS o
WHERE o.user_id = u.id AND u.preferences <> o.object || u.preferences;

CREATE OR REPLACE FUNCTION copy_user_to_preferences() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM preferences
    WHERE user_id = NEW.id AND NOT NEW.preferences ? key;

    INSERT INTO preferences AS p (user_id, key, value)
    SELECT NEW.id, e.key, e.value
    FROM jsonb_each(NEW.preferences) AS e
    ON CONFLICT (user_id, key) DO UPDATE
    SET value = EXCLUDED.value
    WHERE p.value IS DISTINCT FROM EXCLUDED.value;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER users_copy_to_preferences
    AFTER INSERT OR UPDATE OF preferences ON users
    FOR EACH ROW WHEN (pg_trigger_depth() = 0)
    EXECUTE FUNCTION copy_user_to_preferences();

ALTER TABLE users VALIDATE CONSTRAINT users_preferences_is_object;

-- +migrate Assert the rows of every user add up to the object again
SELECT NOT EXISTS (
    SELECT
    FROM users AS u
    LEFT JOIN (
        SELECT user_id, jsonb_object_agg(key, value) AS object FROM preferences GROUP BY user_id
    ) AS p ON p.user_id = u.id
    WHERE u.preferences <> coalesce(p.object, '{}')
);
