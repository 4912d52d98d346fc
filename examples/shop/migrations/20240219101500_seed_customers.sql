-- Migration: seed customers
-- Author:    Mireille Okafor
-- Date:      2024-02-19
-- Description: Three thousand customers of the shop that we took over.

-- +migrate Up

-- One INSERT … SELECT instead of three thousand INSERTs: one statement, one
-- round trip. New rows make nobody wait, since no one else can hold them.
-- Every seventh has no name and every fifth no address: the old shop did not ask.
INSERT INTO users (email, name, created_at, street, postal_code, city, country_code, preferences)
SELECT 'Customer' || n || '@old-shop.example',
       CASE WHEN n % 7 <> 0 THEN 'Customer ' || n END,
       timestamptz '2019-01-01 00:00:00+00' + n * interval '13 hours',
       CASE WHEN n % 5 <> 0 THEN 'Wattweg ' || n % 200 END,
       CASE WHEN n % 5 <> 0 THEN to_char(10000 + n, 'FM00000') END,
       CASE WHEN n % 5 <> 0 THEN (ARRAY['Wien', 'Århus', 'Münster', 'Malmö', 'Łódź'])[1 + n % 5] END,
       CASE WHEN n % 5 <> 0 THEN (ARRAY['AT', 'DK', 'DE', 'SE', 'PL'])[1 + n % 5] END,
       CASE n % 3
           WHEN 0 THEN '{}'
           WHEN 1 THEN jsonb_build_object('newsletter', n % 2 = 0, 'language', 'de')
           ELSE jsonb_build_object('newsletter', NULL, 'sizes', jsonb_build_array(n % 10, 38.5))
       END
FROM generate_series(1, 3000) AS n;

-- +migrate Down

-- Only what came from the old shop goes; people who signed up since then stay.
DELETE FROM users WHERE email LIKE 'Customer%@old-shop.example';
