-- +migrate Up
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, status text);
INSERT INTO orders (status) SELECT 'new' FROM generate_series(1, 1000);

-- +migrate Down
DROP TABLE orders;
