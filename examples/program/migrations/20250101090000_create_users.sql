CREATE TABLE users (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	email text NOT NULL
);

INSERT INTO users (email) VALUES ('Ada@Example.org'), ('alan@example.org');

-- +migrate Down
DROP TABLE users;
