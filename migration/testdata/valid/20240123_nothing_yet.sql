-- +migrate Up

-- +migrate Down

