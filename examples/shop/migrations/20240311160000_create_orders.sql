-- Migration: create orders
-- Author:    Jonas Weber
-- Date:      2024-03-11
-- Description: Orders, their lines and the states that an order passes through.

-- +migrate Up

CREATE TYPE order_status AS ENUM ('cart', 'placed', 'paid', 'shipped', 'cancelled');

-- A foreign key from a table that is being created has nothing to scan: it needs
-- a lock on users (SHARE ROW EXCLUSIVE, which lets readers pass) for a moment.
CREATE TABLE orders (
    id         bigint       GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    bigint       NOT NULL REFERENCES users,
    status     order_status NOT NULL DEFAULT 'cart',
    placed_at  timestamptz,
    CONSTRAINT orders_placed_at_known CHECK (status IN ('cart', 'cancelled') OR placed_at IS NOT NULL)
);

-- PostgreSQL does not index the referring side of a foreign key by itself.
CREATE INDEX orders_user_id_idx ON orders (user_id);

-- A rule about some of the rows: one open cart per person, any number of orders.
CREATE UNIQUE INDEX orders_one_cart_per_user_key ON orders (user_id) WHERE status = 'cart';

CREATE TABLE order_items (
    order_id    bigint  NOT NULL REFERENCES orders ON DELETE CASCADE,
    product_id  bigint  NOT NULL REFERENCES products,
    quantity    integer NOT NULL,
    price_cents integer NOT NULL,
    PRIMARY KEY (order_id, product_id),
    CONSTRAINT order_items_quantity_positive CHECK (quantity > 0)
);

CREATE INDEX order_items_product_id_idx ON order_items (product_id);

COMMENT ON TYPE order_status IS 'In the order in which an order passes through them';
COMMENT ON TABLE orders IS 'Carts and orders; a cart becomes an order by its status';
COMMENT ON COLUMN orders.placed_at IS 'NULL as long as it is a cart';
COMMENT ON TABLE order_items IS 'The lines of an order';
COMMENT ON COLUMN order_items.price_cents IS 'Per piece, on the day of the order';

-- +migrate Down

-- In the opposite order: what refers goes before what it refers to.
DROP TABLE order_items;
DROP TABLE orders;
DROP TYPE order_status;
