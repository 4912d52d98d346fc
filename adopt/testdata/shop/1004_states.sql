-- +migrate Up
CREATE TYPE state AS ENUM ('new', 'paid', 'sent; not received');

-- +migrate Down
DROP TYPE state;
