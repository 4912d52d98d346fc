-- +migrate Batch
-- +migrate Batch users
-- +migrate Batch users at id
-- +migrate Batch users by
-- +migrate Batch users by id,
-- +migrate Batch users by id, größe, ID size=1
-- +migrate Batch users; by id
-- +migrate Batch a.b.c by id
-- +migrate Batch "users by id
-- +migrate Batch "" by id
-- +migrate Batch users by 1
-- +migrate Batch users by a.b
-- +migrate Batch users by id size=0
-- +migrate Batch users by id size=1e3
-- +migrate Batch users by id pause=5
-- +migrate Batch users by id pause=-5s
-- +migrate Batch users by id workers=65
-- +migrate Batch users by id size = 5
-- +migrate Batch users by id sise=5
-- +migrate Batch users by id verbosely
-- +migrate Batch ünïcode by id  size=5 size=6
SELECT 1;
-- +migrate Batch users by id
UPDATE users SET a = 1;
-- +migrate Batch users by id
UPDATE users SET a = ':from :to'::text WHERE id > :from;
-- +migrate Batch users by id
ALTER TABLE users ADD COLUMN a int;
-- +migrate Batch users by id
VACUUM users;
-- +migrate Batch users by id
COPY users FROM stdin;
\.
