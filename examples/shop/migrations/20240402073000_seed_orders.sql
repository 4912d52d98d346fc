-- Migration: seed orders
-- Author:    Mireille Okafor
-- Date:      2024-04-02
-- Description: The last two years of orders of the shop that we took over.

-- +migrate Up

-- Two orders for each customer of the old shop, so that there is something to
-- look at. They are told from later orders by their time: before our first day.
INSERT INTO orders (user_id, status, placed_at)
SELECT u.id,
       (ARRAY['placed', 'paid', 'shipped', 'cancelled'])[1 + (u.id + n) % 4]::order_status,
       timestamptz '2022-01-01 00:00:00+00' + (u.id % 700) * interval '1 day' + n * interval '1 hour'
FROM users AS u
CROSS JOIN generate_series(1, 2) AS n
WHERE u.email LIKE 'Customer%@old-shop.example';

INSERT INTO order_items (order_id, product_id, quantity, price_cents)
SELECT o.id, p.id, 1 + o.id % 3, p.price_cents
FROM orders AS o
CROSS JOIN generate_series(0, 1) AS n
JOIN products AS p ON p.sku = 'W-' || to_char(1 + (o.id * 7 + n * 11) % 400, 'FM0000')
WHERE o.placed_at < timestamptz '2024-01-01 00:00:00+00';

-- +migrate Down

-- The lines go with their orders (ON DELETE CASCADE).
DELETE FROM orders WHERE placed_at < timestamptz '2024-01-01 00:00:00+00';
