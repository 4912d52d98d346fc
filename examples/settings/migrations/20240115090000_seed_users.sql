-- Migration: seed_users
-- Description: Some people whose settings three versions of the application wrote

-- +migrate Up
INSERT INTO users (email, settings)
SELECT format('%s.%s+%s@example.com', (ARRAY['Ada', 'Ben', 'Zoë', 'José', 'Mia'])[n % 5 + 1], n / 10, n),
    CASE n % 4
        WHEN 0 THEN jsonb_build_object('theme', 'dark', 'newsletter', n % 3 = 0)
        WHEN 1 THEN jsonb_build_object('colour', 'light', 'newsletter', 'yes')
        WHEN 2 THEN jsonb_build_object('language', 'de', 'newsletter', 'no', 'page_size', 10 + n % 50)
        ELSE '{}'
    END
FROM generate_series(1, 2500) AS n;

-- +migrate Down
DELETE FROM users WHERE email LIKE '%@example.com';
