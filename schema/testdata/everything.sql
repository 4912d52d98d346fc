-- One of everything that PostgreSQL 13 knows, to be changed piece by piece.
CREATE SCHEMA shop;
CREATE SCHEMA "Odd ""names""";
COMMENT ON SCHEMA shop IS 'what is sold';
GRANT USAGE ON SCHEMA shop TO clerk;

CREATE TYPE shop.mood AS ENUM ('sad', 'it''s fine', 'happy');
ALTER TYPE shop.mood ADD VALUE 'so-so' BEFORE 'happy';
CREATE TYPE shop.address AS (street text, city varchar(40), zip text COLLATE "C");
CREATE DOMAIN shop.email AS text DEFAULT 'nobody@example.com' CONSTRAINT looks_right CHECK (VALUE LIKE '%@%');
CREATE TYPE shop.span AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE TYPE shop.unfinished;
CREATE COLLATION shop.plain (lc_collate = 'C', lc_ctype = 'C');
CREATE CONVERSION shop.to_latin FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1;

CREATE SEQUENCE shop.numbers AS integer START 10 INCREMENT 5 MAXVALUE 1000 CACHE 3;
CREATE TABLE shop.users (
	gone integer,
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	email shop.email NOT NULL,
	name varchar(100) NOT NULL DEFAULT 'x',
	feels shop.mood,
	born timestamptz DEFAULT '2000-01-01 00:00:00+00',
	length integer GENERATED ALWAYS AS (char_length(name)) STORED,
	note text,
	CONSTRAINT users_email_key UNIQUE (email) DEFERRABLE
) WITH (fillfactor = 90, autovacuum_enabled = false, toast.autovacuum_enabled = false);
ALTER TABLE shop.users DROP COLUMN gone;
ALTER TABLE shop.users ALTER note SET STORAGE external, ALTER note SET STATISTICS 500, ALTER name SET (n_distinct = 100);
CREATE INDEX users_name_idx ON shop.users (lower(name) text_pattern_ops DESC) INCLUDE (id) WHERE feels IS NOT NULL;
ALTER INDEX shop.users_name_idx ALTER COLUMN 1 SET STATISTICS 300;
COMMENT ON INDEX shop.users_name_idx IS 'for the search';
CREATE UNIQUE INDEX users_note_idx ON shop.users (id, name);
ALTER TABLE shop.users CLUSTER ON users_pkey;
COMMENT ON TABLE shop.users IS 'people';
COMMENT ON COLUMN shop.users.name IS 'as they are called';
COMMENT ON CONSTRAINT users_email_key ON shop.users IS 'one each';
GRANT SELECT, INSERT ON shop.users TO clerk WITH GRANT OPTION;
GRANT UPDATE (name, note) ON shop.users TO "the boss";
ALTER TABLE shop.users ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON shop.users FOR UPDATE TO clerk, auditor USING (name = current_user) WITH CHECK (name <> '');
CREATE STATISTICS shop.users_stat (ndistinct, dependencies) ON name, born FROM shop.users;

CREATE TABLE shop.orders (
	id serial PRIMARY KEY,
	user_id bigint REFERENCES shop.users ON DELETE CASCADE,
	price numeric(10, 2) CONSTRAINT positive CHECK (price > 0),
	during tstzrange,
	state varchar(10) NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'it''s paid', E'a\\b')),
	EXCLUDE USING gist (during WITH &&)
);
CREATE TABLE shop.archive () INHERITS (shop.orders);
ALTER TABLE shop.orders ADD CONSTRAINT cheap CHECK (price < 1000) NOT VALID;
CREATE UNLOGGED TABLE shop.scratch (k int, v text);
CREATE TABLE shop.typed OF shop.address;
CREATE TABLE "Odd ""names"""."Table; --" ("Col""umn" int PRIMARY KEY, "select" text);

CREATE TABLE shop.events (id int NOT NULL, at date NOT NULL, user_id bigint REFERENCES shop.users, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE shop.events_2024 PARTITION OF shop.events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE shop.events_2025 PARTITION OF shop.events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE shop.events_rest PARTITION OF shop.events DEFAULT;
CREATE INDEX events_user_idx ON shop.events (user_id);
CREATE TABLE shop.seen (event int, at date, FOREIGN KEY (event, at) REFERENCES shop.events);

CREATE FUNCTION shop.stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.note := 'stamped';
	RETURN NEW;
END
$$;
CREATE FUNCTION shop.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION shop.area(width integer, height integer DEFAULT 1) RETURNS integer LANGUAGE sql IMMUTABLE STRICT COST 7 SET work_mem = '8MB' AS 'SELECT width * height';
CREATE FUNCTION shop.area(side integer) RETURNS integer LANGUAGE sql STABLE AS 'SELECT side * side';
COMMENT ON FUNCTION shop.area(integer) IS 'of a square';
REVOKE EXECUTE ON FUNCTION shop.area(integer) FROM PUBLIC;
CREATE FUNCTION shop.pairs(OUT a int, OUT b text) RETURNS SETOF record LANGUAGE sql ROWS 3 AS 'VALUES (1, ''x'')';
CREATE PROCEDURE shop.tidy(how text) LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM shop.scratch WHERE v = how';
CREATE FUNCTION shop.greatest_of(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT greatest($1, $2)';
CREATE AGGREGATE shop.biggest(int) (SFUNC = shop.greatest_of, STYPE = int, INITCOND = '0');
CREATE FUNCTION shop.same(shop.address, shop.address) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1.zip = $2.zip';
CREATE OPERATOR shop.=== (LEFTARG = shop.address, RIGHTARG = shop.address, FUNCTION = shop.same, COMMUTATOR = OPERATOR(shop.===));
CREATE OPERATOR FAMILY shop.by_size USING btree;
ALTER OPERATOR FAMILY shop.by_size USING btree ADD OPERATOR 1 <(int4, int8), FUNCTION 1 btint48cmp(int4, int8);
CREATE OPERATOR CLASS shop.reverse_ops FOR TYPE int4 USING btree AS OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 btint4cmp(int4, int4);
CREATE FUNCTION shop.to_text(shop.address) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1.street';
CREATE CAST (shop.address AS text) WITH FUNCTION shop.to_text(shop.address) AS ASSIGNMENT;

CREATE TRIGGER stamp_note BEFORE UPDATE OF name ON shop.users FOR EACH ROW WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION shop.stamp();
CREATE CONSTRAINT TRIGGER check_later AFTER INSERT ON shop.users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shop.nothing();
CREATE TRIGGER watch AFTER INSERT ON shop.events FOR EACH ROW EXECUTE FUNCTION shop.nothing();
COMMENT ON TRIGGER stamp_note ON shop.users IS 'marks';

CREATE VIEW shop.names WITH (security_barrier = true) AS SELECT id, name FROM shop.users WHERE name <> '';
CREATE VIEW shop.cheap_orders AS SELECT id, price FROM shop.orders WHERE price < 10 WITH LOCAL CHECK OPTION;
ALTER VIEW shop.names ALTER COLUMN name SET DEFAULT 'y';
CREATE TABLE shop.ruled (k int);
CREATE RULE keep AS ON DELETE TO shop.ruled WHERE OLD.k < 0 DO INSTEAD NOTHING;
CREATE RULE no_delete AS ON DELETE TO shop.names DO INSTEAD NOTHING;
CREATE MATERIALIZED VIEW shop.totals AS SELECT user_id, sum(price) AS total FROM shop.orders GROUP BY user_id;
CREATE UNIQUE INDEX totals_user ON shop.totals (user_id);

CREATE TEXT SEARCH DICTIONARY shop.dict (TEMPLATE = simple, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION shop.conf (PARSER = "default");
ALTER TEXT SEARCH CONFIGURATION shop.conf ADD MAPPING FOR word, asciiword WITH shop.dict, simple;

CREATE FUNCTION shop.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER watch_ddl ON ddl_command_end WHEN tag IN ('CREATE TABLE', 'DROP TABLE') EXECUTE FUNCTION shop.on_ddl();
ALTER EVENT TRIGGER watch_ddl DISABLE;

CREATE FOREIGN DATA WRAPPER nothing OPTIONS (debug 'true');
CREATE SERVER elsewhere TYPE 'x' VERSION '1' FOREIGN DATA WRAPPER nothing OPTIONS (host 'elsewhere.example', password 'hush');
CREATE USER MAPPING FOR clerk SERVER elsewhere OPTIONS (user 'c', password 'hush');
CREATE FOREIGN TABLE shop.far (id int OPTIONS (column_name 'nr')) SERVER elsewhere OPTIONS (table_name 'near');

CREATE PUBLICATION changes FOR TABLE shop.users, shop.orders WITH (publish = 'insert, update');
CREATE SUBSCRIPTION incoming CONNECTION 'host=elsewhere.example password=hush' PUBLICATION theirs WITH (connect = false, slot_name = NONE);

ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO auditor;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
