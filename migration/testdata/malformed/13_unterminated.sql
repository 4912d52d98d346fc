SELECT 'größe', 1;
DO $x$ BEGIN END $y$;
-- +migrate Down
