DROP TABLE a;
  -- +migrate Irreversible it is gone
-- +migrate Down
CREATE TABLE a (id int);
