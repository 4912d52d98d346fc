-- +migrate Up notransaction
ALTER TYPE state ADD VALUE 'lost';
