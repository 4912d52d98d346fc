-- Migration: move_settings
-- Description: The settings of a user become rows, while people are using them

-- +migrate Up
CREATE TABLE preferences (
    user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    key text NOT NULL,
    value jsonb NOT NULL,
    PRIMARY KEY (user_id, key)
);

-- What the application writes from now on goes to both places.
CREATE FUNCTION keep_preferences() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM preferences AS p WHERE p.user_id = NEW.id AND NOT NEW.settings ? p.key;
    INSERT INTO preferences (user_id, key, value)
    SELECT NEW.id, s.key, s.value FROM jsonb_each(NEW.settings) AS s
    ON CONFLICT (user_id, key) DO UPDATE SET value = excluded.value;
    RETURN NULL;
END $$;

CREATE TRIGGER keep_preferences AFTER INSERT OR UPDATE OF settings ON users
    FOR EACH ROW EXECUTE FUNCTION keep_preferences();

-- Once per range of keys, each in a transaction of its own; after a crash it goes
-- on there. FOR NO KEY UPDATE: a document does not change while it is copied, and
-- rows that are being deleted are left out; read without a lock, one of them
-- would break the foreign key. What the trigger wrote already is newer, and stays.
-- +migrate Batch users by id size=500
INSERT INTO preferences (user_id, key, value)
SELECT batch.id, s.key, s.value
FROM (SELECT id, settings FROM users WHERE id > :from AND id <= :to FOR NO KEY UPDATE) AS batch
CROSS JOIN LATERAL jsonb_each(batch.settings) AS s
ON CONFLICT (user_id, key) DO NOTHING;

-- +migrate Assert every setting of every user is there, and nothing else
SELECT NOT EXISTS (
    SELECT FROM users AS u
    WHERE u.settings <> coalesce((SELECT jsonb_object_agg(p.key, p.value) FROM preferences AS p WHERE p.user_id = u.id), '{}')
) AS nothing_differs,
    (SELECT count(*) FROM preferences) = (SELECT count(*) FROM users, jsonb_each(settings)) AS counts_agree;

-- +migrate Down

-- The documents are still there and up to date: nothing has to be carried home.
DROP TRIGGER keep_preferences ON users;
DROP FUNCTION keep_preferences;
DROP TABLE preferences;
