-- +migrate Up
CREATE TABLE users (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	email text NOT NULL, -- as it was typed; see 1003
	created_at timestamptz NOT NULL DEFAULT now()
);

-- +migrate Down
DROP TABLE users;
