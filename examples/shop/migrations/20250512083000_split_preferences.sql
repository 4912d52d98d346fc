-- Migration: split preferences
-- Author:    Mireille Okafor
-- Date:      2025-05-12
-- Description: A row per preference in place of one JSON object per person, so that
--              two programs that change different preferences don't collide.

-- As in split_addresses: every statement commits by itself and may be repeated.

-- +migrate Up notransaction

CREATE TABLE IF NOT EXISTS preferences (
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    key     text   NOT NULL,
    value   jsonb  NOT NULL,
    PRIMARY KEY (user_id, key)
);

COMMENT ON TABLE preferences IS 'What a person chose; no row means the default';
COMMENT ON COLUMN preferences.value IS 'JSON null is a value too: asked, and left open';

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

-- One object becomes several rows, so that a half-way state of one side must not
-- travel back to the other: only what a program writes is copied (depth 0), not
-- what the opposite trigger has just copied.
CREATE OR REPLACE TRIGGER users_copy_to_preferences
    AFTER INSERT OR UPDATE OF preferences ON users
    FOR EACH ROW WHEN (pg_trigger_depth() = 0)
    EXECUTE FUNCTION copy_user_to_preferences();

INSERT INTO preferences (user_id, key, value)
SELECT u.id, e.key, e.value
FROM users AS u
CROSS JOIN LATERAL jsonb_each(u.preferences) AS e
FOR SHARE OF u
ON CONFLICT (user_id, key) DO NOTHING;

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

-- +migrate Assert the rows of every user add up to the object again
SELECT NOT EXISTS (
    SELECT
    FROM users AS u
    LEFT JOIN (
        SELECT user_id, jsonb_object_agg(key, value) AS object FROM preferences GROUP BY user_id
    ) AS p ON p.user_id = u.id
    WHERE u.preferences <> coalesce(p.object, '{}')
);

-- +migrate Down notransaction

-- +migrate Assert the object of every user holds all of the rows
SELECT NOT EXISTS (
    SELECT
    FROM preferences AS p
    JOIN users AS u ON u.id = p.user_id
    WHERE u.preferences -> p.key IS DISTINCT FROM p.value
);

DROP TRIGGER IF EXISTS users_copy_to_preferences ON users;
DROP TABLE IF EXISTS preferences;
DROP FUNCTION IF EXISTS copy_user_to_preferences();
DROP FUNCTION IF EXISTS copy_preference_to_user();
