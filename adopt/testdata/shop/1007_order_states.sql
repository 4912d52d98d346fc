-- +migrate Up
CREATE VIEW order_states AS
	SELECT state, count(*) AS orders FROM orders GROUP BY state;

-- +migrate Down
DROP VIEW order_states;
