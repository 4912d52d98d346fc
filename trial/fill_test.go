package trial_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/trial"
)

// rowsOf are how many rows a migration that rewrites them all has changed in each table.
const everyType = `CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN code AS varchar(8) NOT NULL CHECK (VALUE ~ '^[A-Z]{2}$');
CREATE TYPE pair AS (a int, b text);
CREATE TABLE everything (
	a smallint NOT NULL, b int NOT NULL, c bigint NOT NULL, d numeric NOT NULL, e numeric(5,2) NOT NULL, f real NOT NULL, g double precision NOT NULL, h money NOT NULL,
	i text NOT NULL, j varchar(3) NOT NULL, k char(2) NOT NULL, l bytea NOT NULL, m boolean NOT NULL, n date NOT NULL, o timestamp NOT NULL, p timestamptz NOT NULL, q time NOT NULL,
	r timetz NOT NULL, s interval NOT NULL, t uuid NOT NULL, u json NOT NULL, v jsonb NOT NULL, w inet NOT NULL, x cidr NOT NULL, y macaddr NOT NULL, z bit(4) NOT NULL,
	aa varbit NOT NULL, ab xml, ac tsvector NOT NULL, ad point NOT NULL, ae box NOT NULL, af int[] NOT NULL, ag text[] NOT NULL, ah int4range NOT NULL, ai tstzrange NOT NULL, aj daterange NOT NULL,
	ak mood NOT NULL, al positive NOT NULL, am code, an pair, ao mood[] NOT NULL, ap name NOT NULL, aq numeric(3,3) NOT NULL
)`

func TestTablesAreFilledWithRowsThatRespectTypesAndConstraints(t *testing.T) {
	t.Parallel()
	o := files{
		"1_base.sql": everyType + `;
CREATE TABLE countries (code char(2) PRIMARY KEY CHECK (code = upper(code) AND length(btrim(code)) = 2), name text NOT NULL UNIQUE);
CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE CHECK (email LIKE '%_@_%'), country char(2) NOT NULL REFERENCES countries,
	age int CHECK (age BETWEEN 18 AND 120), state text NOT NULL CHECK (state IN ('new', 'active', 'gone')), referrer bigint REFERENCES customers,
	CONSTRAINT gone_without_age CHECK (state <> 'gone' OR age IS NOT NULL));
CREATE TABLE groups (id serial PRIMARY KEY, parent int REFERENCES groups);
CREATE TABLE members (customer bigint REFERENCES customers, grp int REFERENCES groups, PRIMARY KEY (customer, grp));
CREATE TABLE profiles (customer bigint PRIMARY KEY REFERENCES customers, total numeric GENERATED ALWAYS AS (customer * 2) STORED);
CREATE TABLE bookings (room int, during tstzrange, EXCLUDE USING gist (during WITH &&));
CREATE TABLE events (at timestamptz NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE events_2031 PARTITION OF events FOR VALUES FROM ('2031-01-01') TO ('2032-01-01');
CREATE TABLE only_defaults (id int GENERATED ALWAYS AS IDENTITY);
-- +migrate Irreversible base`,
		"2_count.sql": `DO $$ DECLARE t text; n int; BEGIN
	FOR t IN SELECT unnest(ARRAY['everything', 'customers', 'groups', 'members', 'profiles', 'bookings', 'events', 'only_defaults', 'countries']) LOOP
		EXECUTE 'SELECT count(*) FROM ' || t INTO n;
		IF n <> 200 THEN RAISE EXCEPTION '% has % rows', t, n; END IF;
	END LOOP;
END $$;
-- +migrate Assert customers are spread over countries
SELECT count(DISTINCT country) > 50, count(DISTINCT state) > 1 FROM customers;
-- +migrate Down
SELECT 1;`,
	}.shared(t, nil)
	o.AtScale, o.Only = 200, []string{"count"}
	report := run(t, o)
	require.Equal(t, "2 passed", statuses(report), append(messages(report.Migrations[0].Findings),
		messages(report.Findings)...))
	require.Empty(t, report.Findings)
}

func TestATableThatCannotBeFilledIsNamedWithTheReason(t *testing.T) {
	t.Parallel()
	o := files{
		"1_base.sql": `CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE moods (m mood PRIMARY KEY);
CREATE TABLE riddles (answer text NOT NULL CHECK (md5(answer) = '7b0b4f6a'));
CREATE TABLE about (riddle text NOT NULL, UNIQUE (riddle));
ALTER TABLE riddles ADD PRIMARY KEY (answer);
ALTER TABLE about ADD FOREIGN KEY (riddle) REFERENCES riddles;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not here'; END $$;
CREATE TABLE guarded (id int);
CREATE TRIGGER no BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TYPE pair AS (a int, b int);
CREATE TABLE pairs (p pair NOT NULL);
-- +migrate Irreversible base`,
		"2_next.sql": "SELECT 1;\n-- +migrate Down\nSELECT 1;",
	}.shared(t, nil)
	o.AtScale, o.Only = 10, []string{"2"}
	report := run(t, o)
	require.Equal(t, "2 passed", statuses(report))
	require.True(t, report.OK(), "it is a warning")
	require.Equal(t, 5, report.Summary.Warnings)
	found := messages(report.Findings)
	for i := range found {
		found[i], _, _ = strings.Cut(found[i], " (Failing") // the last that was tried
	}
	require.ElementsMatch(t, []string{
		"the table public.moods could not be filled with 10 rows: only 2 rows fit its unique and exclusion constraints",
		"the table public.riddles could not be filled with 10 rows: no values were found that fit: new row for relation " +
			"\"riddles\" violates check constraint \"riddles_answer_check\"",
		"the table public.about could not be filled with 10 rows: its foreign key about_riddle_fkey needs rows of " +
			"public.riddles, which has none",
		"the table public.guarded could not be filled with 10 rows: not here",
		"the table public.pairs could not be filled with 10 rows: no value of type pair is known for its column p",
	}, found)
}

func TestAtScaleASlowQueryShows(t *testing.T) {
	t.Parallel()
	o := files{
		"1_base.sql": "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int NOT NULL);\n" +
			"CREATE INDEX orders_customer ON orders (customer);\n-- +migrate Irreversible base",
		"2_fine.sql":  "COMMENT ON TABLE orders IS 'x';\n-- +migrate Down\nCOMMENT ON TABLE orders IS NULL;",
		"3_fault.sql": "DROP INDEX orders_customer;\n-- +migrate Down\nCREATE INDEX orders_customer ON orders (customer);",
	}.shared(t, files{"q.yaml": "queries: [{name: orders of a customer, sql: 'SELECT (SELECT count(*) FROM orders WHERE " +
		"customer = $1 + n) FROM generate_series(1, 40) n', parameters: [42], max_duration: 60ms, runs: 3, fail: true}]"})
	o.AtScale, o.From = 100_000, "2"
	report := run(t, o)
	require.Equal(t, "2 passed, 3 failed", statuses(report), messages(report.Migrations[0].Findings))
	message := messages(report.Migrations[1].Findings)[0]
	require.Contains(t, message, `the query "orders of a customer" takes `)
	require.Contains(t, message, "; before this migration it took ")
	require.Contains(t, message, "; it reads the whole of orders")
	require.Empty(t, report.Migrations[1].Up.Rewritten)
	require.Equal(t, "public.orders", report.Migrations[1].Down.Scanned[0].Table)
	require.GreaterOrEqual(t, report.Migrations[1].Down.Scanned[0].Rows, int64(100_000),
		"those that parallel workers have read among them")
}

func TestTheExampleShopPassesAtScale(t *testing.T) {
	t.Parallel()
	shop, err := migration.Load(migration.Source{FS: os.DirFS("../examples/shop/migrations"), Label: "migrations"})
	require.NoError(t, err)
	report := run(t, trial.Options{Project: whimbrel.Project{Migrations: shop}, AtScale: 1000, Major: major,
		Only: []string{"split_addresses", "drop_user_addresses"}})
	require.True(t, report.OK(), statuses(report))
	require.Equal(t, []string{"the table public.countries could not be filled with 1,000 rows: only 676 rows fit its " +
		"unique and exclusion constraints"},
		messages(report.Findings), "there are no more codes of two letters")
}
