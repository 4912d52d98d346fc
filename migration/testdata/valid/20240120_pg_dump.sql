SET client_encoding = 'UTF8';
COPY public.colours (id, name) FROM stdin;
1	red; green
2	-- +migrate Down
\.

COPY public.empty (id) FROM stdin;
\.
-- +migrate Down
TRUNCATE public.colours;
COPY public.colours (id, name) FROM stdin;
1	white
\.
