-- +migrate Up
CREATE TABLE orders (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	user_id bigint NOT NULL REFERENCES users (id),
	state state NOT NULL DEFAULT 'new',
	note text NOT NULL DEFAULT 'a note; with a semicolon
and a second line;'
);

-- +migrate Down
DROP TABLE orders;
