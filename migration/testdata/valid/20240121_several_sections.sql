-- +migrate Down notransaction
DROP TABLE b -- no semicolon; none is needed
-- +migrate Up
CREATE TABLE a (id int)
-- +migrate Down
-- nothing but a comment
-- +migrate Down
DROP TABLE a;
-- +migrate Up
-- +migrate Set lock_timeout = 1s
CREATE TABLE b (id int);
