package schema_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/schema"
)

func TestEveryObjectIsThereOnceAndSoAreItsParents(t *testing.T) {
	t.Parallel()
	s := read(t, copied(t))
	there := map[schema.Reference]bool{}
	for _, object := range s.Objects {
		require.False(t, there[object.Reference()], "%s occurs twice", object.Reference())
		there[object.Reference()] = true
		for name, value := range object.Properties {
			require.NotEmpty(t, value, "%s: %s", object.Reference(), name)
		}
	}
	for _, object := range s.Objects {
		for _, parent := range object.Parents {
			require.True(t, there[parent], "%s, a parent of %s, is not there", parent, object.Reference())
		}
	}
}

func TestASchemaOfEverythingHasAllKindsOfObjects(t *testing.T) {
	t.Parallel()
	conn := copied(t)
	// what cannot be had without a library of one's own, made of what the server has
	execute(t, conn, `CREATE ACCESS METHOD another TYPE TABLE HANDLER heap_tableam_handler;
CREATE TEXT SEARCH PARSER shop.parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype);
CREATE TEXT SEARCH TEMPLATE shop.template (LEXIZE = dsimple_lexize, INIT = dsimple_init);
CREATE TRANSFORM FOR shop.mood LANGUAGE plpgsql (FROM SQL WITH FUNCTION pg_catalog.array_unnest_support(internal));
CREATE SUBSCRIPTION more CONNECTION 'host=x' PUBLICATION p WITH (connect = false, slot_name = NONE);
REVOKE EXECUTE ON FUNCTION pg_catalog.pg_sleep(double precision) FROM PUBLIC;`)
	t.Cleanup(func() { execute(t, connect(t, conn.Config().ConnString()), "DROP SUBSCRIPTION more") })
	found := map[string]bool{}
	for _, object := range read(t, conn).Objects {
		found[object.Kind] = true
	}
	for _, kind := range []string{
		"database", "schema", "extension", "language", "access method", "type", "attribute", "domain", "collation",
		"conversion",
		"sequence", "table", "foreign table", "column", "constraint", "index", "statistics object", "view",
		"materialized view", "rule",
		"function", "procedure", "aggregate", "cast", "transform", "operator", "operator family", "operator class",
		"text search parser", "text search template", "text search dictionary", "text search configuration", "trigger",
		"policy", "event trigger",
		"foreign-data wrapper", "foreign server", "user mapping", "publication", "publication table", "subscription",
		"default privileges", "privileges",
	} {
		require.True(t, found[kind], "%s", kind)
		delete(found, kind)
	}
	delete(found, "publication schema") // since 15
	require.Empty(t, found)
}

func TestASchemaSurvivesJSON(t *testing.T) {
	t.Parallel()
	s := read(t, copied(t))
	text, err := json.Marshal(s)
	require.NoError(t, err)
	var again schema.Schema
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, s, again)
	require.Equal(t, s.Fingerprint(), again.Fingerprint())

	slices.Reverse(again.Objects)
	require.Equal(t, s.Fingerprint(), again.Fingerprint(), "the order of the objects has no meaning")

	object := again.Objects[0]
	again.Objects = append(again.Objects, object)
	text, err = json.Marshal(again)
	require.NoError(t, err)
	err = json.Unmarshal(text, &again)
	require.ErrorContains(t, err, object.Reference().String()+" occurs twice")
}

func TestNoSecretIsInASchema(t *testing.T) {
	t.Parallel()
	conn := copied(t)
	execute(t, conn, `CREATE FUNCTION shop.keyed() RETURNS int LANGUAGE sql SET app.api_key = 'hush' AS 'SELECT 1';
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET app.jwt_secret = ''hush''', current_database()); END $$;
DO $$ BEGIN EXECUTE format('ALTER ROLE clerk IN DATABASE %I SET app.token = ''hush''', current_database()); END $$;`)
	text, err := json.Marshal(read(t, conn))
	require.NoError(t, err)
	require.NotContains(t, string(text), "hush")
	require.Contains(t, string(text), "setting app.jwt_secret")
	require.Contains(t, string(text), "setting for role clerk app.token")
	require.Contains(t, string(text), "setting app.api_key")
}

func TestTablesAreLeftOutWithAllThatHangsOnThem(t *testing.T) {
	t.Parallel()
	conn := copied(t)
	execute(t, conn, `SET search_path = "Odd ""names""", shop;`)
	s, err := schema.Read(t.Context(), conn, schema.Options{Exclude: []pgx.Identifier{
		{"shop", "orders"}, {"shop", "archive"}, {"Table; --"}, {"no such table"}, {"no", "such table's"}, {"shop", "events"},
	}})
	require.NoError(t, err)
	for _, object := range s.Objects {
		require.NotRegexp(t, `shop\.(orders|archive|events)\b`, strings.TrimPrefix(object.Name, "shop.orders_cheap"))
		require.NotContains(t, object.Name, "Table; --")
	}
	_, there := s.Find("table", "shop.users")
	require.True(t, there)
	_, there = s.Find("sequence", "shop.orders_id_seq")
	require.False(t, there)
	_, there = s.Find("index", "shop.orders_pkey")
	require.False(t, there)
	_, there = s.Find("sequence", "shop.numbers")
	require.True(t, there)
}

func TestOnlyWhatIsInTheWantedSchemasIsRead(t *testing.T) {
	t.Parallel()
	conn := copied(t)
	s, err := schema.Read(t.Context(), conn, schema.Options{Schemas: []string{`Odd "names"`}})
	require.NoError(t, err)
	var names []string
	for _, object := range s.Objects {
		if !strings.HasSuffix(object.Name, `_not_null" on "Odd ""names"""."Table; --"`) { // since 18
			names = append(names, object.Reference().String())
		}
	}
	require.Equal(t, []string{
		`schema "Odd ""names"""`, `table "Odd ""names"""."Table; --"`, `column "Odd ""names"""."Table; --"."Col""umn"`,
		`column "Odd ""names"""."Table; --"."select"`,
		`constraint "Table; --_pkey" on "Odd ""names"""."Table; --"`, `index "Odd ""names"""."Table; --_pkey"`,
	}, names)
}

func TestTheSessionsSettingsMakeNoDifferenceAndStayAsTheyWere(t *testing.T) {
	t.Parallel()
	conn := copied(t)
	want := read(t, conn)
	execute(t, conn, `SET search_path = shop, public;
SET TimeZone = 'Asia/Tokyo';
SET DateStyle = 'German';
SET IntervalStyle = 'iso_8601';
SET quote_all_identifiers = on;
CREATE TEMPORARY TABLE pg_class (x int);
CREATE TEMPORARY TABLE users (x int);`)
	for _, begin := range []string{"", "BEGIN"} {
		execute(t, conn, begin)
		require.Empty(t, lines(schema.Diff(want, read(t, conn))))
		var path, zone string
		require.NoError(t, conn.QueryRow(t.Context(),
			"SELECT current_setting('search_path'), current_setting('TimeZone')").Scan(&path, &zone))
		require.Equal(t, []string{"shop, public", "Asia/Tokyo"}, []string{path, zone})
	}
}

func TestInATransactionItsOwnChangesAreSeenAndItGoesOn(t *testing.T) {
	t.Parallel()
	conn := copied(t)
	before := read(t, conn)
	execute(t, conn, "BEGIN")
	execute(t, conn, "DROP TABLE shop.seen")
	require.Equal(t, []string{"table shop.seen is missing"}, lines(schema.Diff(before, read(t, conn))))
	require.Equal(t, byte('T'), conn.PgConn().TxStatus())
	execute(t, conn, "ROLLBACK")
	require.Equal(t, before.Fingerprint(), read(t, conn).Fingerprint())
	require.Equal(t, byte('I'), conn.PgConn().TxStatus())
}

func TestAFailureLeavesTheConnectionAsItWas(t *testing.T) {
	t.Parallel()
	conn := copied(t)
	other := connect(t, conn.Config().ConnString())
	execute(t, other, "BEGIN")
	execute(t, other, "LOCK TABLE shop.users IN ACCESS EXCLUSIVE MODE")
	execute(t, conn, "SET lock_timeout = '10ms'")
	var failure *pgconn.PgError
	for _, begin := range []string{"", "BEGIN"} {
		execute(t, conn, begin)
		status := conn.PgConn().TxStatus()
		_, err := schema.Read(t.Context(), conn, schema.Options{})
		require.ErrorAs(t, err, &failure)
		require.Equal(t, "55P03", failure.Code)
		require.ErrorContains(t, err, "reading the schema of the database")
		require.Equal(t, status, conn.PgConn().TxStatus())
	}
	execute(t, other, "COMMIT")
	read(t, conn)

	_, err := conn.Exec(t.Context(), "SELECT 1/0")
	require.Error(t, err)
	_, err = schema.Read(t.Context(), conn, schema.Options{})
	require.ErrorIs(t, err, schema.ErrFailedTransaction)

	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = schema.Read(canceled, connect(t, conn.Config().ConnString()), schema.Options{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestARoleWithoutPrivilegesReadsTheSame(t *testing.T) {
	t.Parallel()
	conn := copied(t)
	want := read(t, conn)
	execute(t, conn, "SET ROLE auditor")
	differences := slices.DeleteFunc(schema.Diff(want, read(t, conn)),
		func(d schema.Difference) bool { return d.Kind == "user mapping" })
	require.Empty(t, lines(differences), "all but the options of user mappings may be seen by everybody")
}

func TestTheShopsDownMigrationsRestoreTheSchemaAtEveryStep(t *testing.T) {
	t.Parallel()
	url, drop, err := modern(t).FreshDatabase(t.Context())
	require.NoError(t, err)
	t.Cleanup(drop)
	conn := connect(t, url)
	loaded, err := migration.Load(migration.Source{FS: os.DirFS("../examples/shop"), Dir: "migrations",
		Label: "examples/shop"})
	require.NoError(t, err)
	m, err := whimbrel.New(whimbrel.Config{Target: whimbrel.Target{DatabaseURL: url},
		Project: whimbrel.Project{Migrations: loaded}})
	require.NoError(t, err)
	options := schema.Options{Exclude: []pgx.Identifier{
		{"schema_migrations"}, {"schema_migrations_journal"}, {"schema_migrations_log"}, {"migration_lock"},
	}}
	look := func() schema.Schema {
		s, err := schema.Read(t.Context(), conn, options)
		require.NoError(t, err)
		return s
	}
	states := []schema.Schema{}
	for range loaded {
		states = append(states, look())
		_, err := m.Up(t.Context(), whimbrel.UpOptions{Steps: 1})
		require.NoError(t, err)
	}
	for i := len(states) - 1; i >= 0; i-- {
		_, err := m.Down(t.Context(), whimbrel.DownOptions{})
		require.NoError(t, err)
		require.Empty(t, lines(schema.Diff(states[i], look())), "after the down migration of %s", loaded[i].Path)
	}
}

func TestAnExtensionIsOneObjectHoweverMuchItBrings(t *testing.T) {
	t.Parallel()
	conn := fresh(t)
	before := read(t, conn)
	execute(t, conn, "DROP EXTENSION plpgsql")
	require.Equal(t, []string{"extension plpgsql is missing"}, lines(schema.Diff(before, read(t, conn))))
	execute(t, conn, "CREATE EXTENSION plpgsql")
	require.Equal(t, before.Fingerprint(), read(t, conn).Fingerprint())
	execute(t, conn, "REVOKE EXECUTE ON FUNCTION pg_catalog.plpgsql_call_handler() FROM PUBLIC")
	require.Equal(t, []string{"privileges on function plpgsql_call_handler() are not those it came with"},
		lines(schema.Diff(before, read(t, conn))))
}

func TestWhatAnExtensionOwnsIsLeftOutWithWhatHangsOnIt(t *testing.T) {
	t.Parallel()
	conn := fresh(t)
	before := read(t, conn)
	execute(t, conn, `CREATE TABLE kept (id serial PRIMARY KEY, name text CHECK (name <> ''), EXCLUDE USING btree (name WITH =));
COMMENT ON COLUMN kept.name IS 'theirs';
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER watch AFTER INSERT ON kept FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE POLICY mine ON kept USING (true);
CREATE RULE quiet AS ON DELETE TO kept WHERE OLD.id < 0 DO INSTEAD NOTHING;
CREATE TYPE pair AS (a int, b int);
CREATE DOMAIN short AS text CONSTRAINT is_short CHECK (length(VALUE) < 9);
CREATE VIEW seen AS SELECT id FROM kept;
CREATE SEQUENCE numbers;
ALTER EXTENSION plpgsql ADD TABLE kept;
ALTER EXTENSION plpgsql ADD SEQUENCE kept_id_seq;
ALTER EXTENSION plpgsql ADD FUNCTION nothing();
ALTER EXTENSION plpgsql ADD TYPE pair;
ALTER EXTENSION plpgsql ADD DOMAIN short;
ALTER EXTENSION plpgsql ADD VIEW seen;
ALTER EXTENSION plpgsql ADD SEQUENCE numbers;`)
	require.Empty(t, lines(schema.Diff(before, read(t, conn))))
	execute(t, conn, "GRANT SELECT ON kept TO clerk")
	require.Equal(t, []string{"privileges on table public.kept are not those it came with"},
		lines(schema.Diff(before, read(t, conn))))
}

func FuzzSchemaFromJSON(f *testing.F) {
	f.Add([]byte(
		`{"objects":[{"kind":"table","name":"public.t"},{"kind":"column","name":"public.t.a","parents":[{"kind":"table","name":"public.t"}],"properties":{"position":"1"}}]}`))
	f.Add([]byte(`{"objects":[{"kind":"x","name":"a"},{"kind":"x","name":"a"}]}`))
	f.Add([]byte(
		`{"objects":[{"kind":"column","name":"","parents":[{}],"properties":{"position":"-99999999999999999999"}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var s, again schema.Schema
		if json.Unmarshal(text, &s) != nil {
			return
		}
		require.Empty(t, schema.Diff(s, s))
		written, err := json.Marshal(s)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(written, &again))
		require.Equal(t, s.Fingerprint(), again.Fingerprint())
		require.Empty(t, lines(schema.Diff(s, again)))
	})
}

func BenchmarkReadOf200Tables(b *testing.B) {
	conn := fresh(b)
	for i := range 200 {
		execute(b, conn, fmt.Sprintf(
			`CREATE TABLE table_%[1]d (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL DEFAULT 'x', email varchar(100) UNIQUE,
	amount numeric(10,2) CHECK (amount > 0), at timestamptz DEFAULT now(), state text, note text, other_id bigint REFERENCES table_%[2]d, a int, b int);
CREATE INDEX ON table_%[1]d (other_id);
CREATE INDEX ON table_%[1]d (lower(name)) WHERE state <> 'gone';
COMMENT ON TABLE table_%[1]d IS 'number %[1]d';`, i, max(i-1, 0)))
	}
	objects := 0
	for b.Loop() {
		objects = len(read(b, conn).Objects)
	}
	b.ReportMetric(float64(objects), "objects")
}

func BenchmarkFingerprint(b *testing.B) {
	s := read(b, copied(b))
	for b.Loop() {
		s.Fingerprint()
	}
}
