package drift_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/drift"
	"github.com/whimbrel-db/whimbrel/migration"
)

// server is the PostgreSQL that the tests share, for live databases and for replays.
var server *devdb.Server

func TestMain(m *testing.M) {
	var err error
	if server, err = devdb.Start(context.Background(), devdb.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, "the tests need a PostgreSQL server:", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

var files = []string{
	"CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL);\nCREATE INDEX users_email ON users (email);",
	"CREATE FUNCTION greet(name text) RETURNS text LANGUAGE sql AS $$ SELECT 'hello ' || name $$;",
	"ALTER TABLE users ADD COLUMN note text;",
}

// base is a live database in which some migrations have run.
type base struct {
	t       *testing.T
	options drift.Options
	conn    *pgx.Conn
}

func newBase(t *testing.T, steps int, texts ...string) *base {
	t.Helper()
	url, drop, err := server.FreshDatabase(t.Context())
	require.NoError(t, err)
	t.Cleanup(drop)
	tree := fstest.MapFS{}
	for i, text := range texts {
		tree[fmt.Sprintf("%d_example.sql", i+1)] = &fstest.MapFile{Data: []byte(text)}
	}
	migrations, err := migration.Load(migration.Source{FS: tree, Dir: ".", Label: "migrations"})
	require.NoError(t, err)
	b := &base{t: t, options: drift.Options{Target: whimbrel.Target{DatabaseURL: url},
		Project: whimbrel.Project{Migrations: migrations}, Server: server}}
	m, err := whimbrel.New(whimbrel.Config{Project: b.options.Project, Target: b.options.Target})
	require.NoError(t, err)
	if steps > 0 {
		_, err = m.Up(t.Context(), whimbrel.UpOptions{Steps: steps})
		require.NoError(t, err)
	}
	b.conn, err = pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.conn.Close(context.Background()) })
	return b
}

// up applies what is pending.
func (b *base) up() {
	b.t.Helper()
	m, err := whimbrel.New(whimbrel.Config{Project: b.options.Project, Target: b.options.Target})
	require.NoError(b.t, err)
	_, err = m.Up(b.t.Context(), whimbrel.UpOptions{})
	require.NoError(b.t, err)
}

func (b *base) exec(sql string) {
	b.t.Helper()
	_, err := b.conn.Exec(b.t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	require.NoError(b.t, err)
}

// differences are those of a comparison, in words.
func (b *base) differences() []string {
	b.t.Helper()
	report, err := drift.Compare(b.t.Context(), b.options)
	require.NoError(b.t, err)
	all := []string{}
	for _, d := range report.Differences {
		all = append(all, d.String())
	}
	return all
}

func TestADatabaseThatOnlyItsMigrationsHaveChangedShowsNothing(t *testing.T) {
	t.Parallel()
	for steps := range len(files) + 1 {
		b := newBase(t, steps, files...)
		require.Empty(t, b.differences(), "%d migrations are applied, the others pending", steps)
	}
}

func TestADatabaseThatHasWhatABaselineStandsForShowsNothing(t *testing.T) {
	t.Parallel()
	b := newBase(t, len(files), files...)
	baseline, err := migration.Parse("2_baseline.sql", "-- +migrate Squashes 1 2\n"+files[0]+"\n"+files[1])
	require.NoError(t, err)
	b.options.Migrations = []migration.Migration{baseline, b.options.Migrations[2]}
	require.Empty(t, b.differences())
}

func TestWhatWasDoneByHandShows(t *testing.T) {
	t.Parallel()
	for by, want := range map[string]string{
		"ALTER TABLE users ADD COLUMN by_hand int": "column public.users.by_hand is new",
		"DROP INDEX users_email":                   "index public.users_email is missing",
		"CREATE OR REPLACE FUNCTION greet(name text) RETURNS text LANGUAGE sql AS $$ SELECT 'bye ' || name $$": "function " +
			"public.greet(text): body",
		"CREATE TABLE another (id int)":                                   "table public.another is new",
		"ALTER TABLE users ALTER COLUMN email DROP NOT NULL":              "column public.users.email: not null",
		"CREATE VIEW names AS SELECT email FROM users":                    "view public.names is new",
		"CREATE SCHEMA apart; CREATE TYPE apart.mood AS ENUM ('good')":    "schema apart is new",
		"ALTER TABLE users ADD CONSTRAINT some_email CHECK (email <> '')": "constraint some_email on public.users is new",
		"CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER t BEFORE INSERT " +
			"ON users EXECUTE FUNCTION t()": "trigger t on public.users is new",
	} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			b := newBase(t, len(files), files...)
			b.exec(by)
			all := b.differences()
			require.True(t, slices.ContainsFunc(all, func(d string) bool {
				return len(d) >= len(want) &&
					d[:len(want)] == want
			}), "%q is not in %q", want, all)
		})
	}
}

func TestOwnersAndPrivilegesAreComparedWhereThatIsAsked(t *testing.T) {
	t.Parallel()
	b := newBase(t, len(files), files...)
	b.exec("GRANT SELECT ON users TO pg_monitor")
	require.Empty(t, b.differences())
	b.options.Privileges = true
	require.Len(t, b.differences(), 1)
}

func TestRolesThatAMigrationNamesOrMakesAreThereForIt(t *testing.T) {
	t.Parallel()
	role := fmt.Sprintf("reader_%d", os.Getpid())
	made := fmt.Sprintf(`"Writer ""%d"""`, os.Getpid())
	b := newBase(t, 0, "CREATE TABLE users (id int);\nGRANT SELECT ON users TO "+role+";",
		"CREATE ROLE "+made+"; GRANT INSERT ON users TO "+made+"; CREATE ROLE second_"+role)
	b.exec("CREATE ROLE " + role)
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), b.options.DatabaseURL)
		require.NoError(t, err)
		_, err = conn.Exec(context.Background(), "DROP OWNED BY "+role+", "+made+"; DROP ROLE "+role+", "+made+", second_"+
			role, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
		require.NoError(t, conn.Close(context.Background()))
	})
	m, err := whimbrel.New(whimbrel.Config{Project: b.options.Project, Target: b.options.Target})
	require.NoError(t, err)
	_, err = m.Up(t.Context(), whimbrel.UpOptions{Steps: 1})
	require.NoError(t, err)
	b.options.Privileges = true
	require.Empty(t, b.differences())
	_, err = m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	b.options.Server = nil // a server of its own, on which the one role is to be made first, and the others are not
	require.Empty(t, b.differences())
}

func TestAnExpectedSchemaStandsForARun(t *testing.T) {
	t.Parallel()
	b := newBase(t, len(files), files...)
	expected, err := drift.Expect(t.Context(), b.options, 0)
	require.NoError(t, err)
	text, err := json.Marshal(expected)
	require.NoError(t, err)
	var read drift.Expected
	require.NoError(t, json.Unmarshal(text, &read))
	b.options.Expected = &read
	require.Empty(t, b.differences())
	b.exec("ALTER TABLE users ADD COLUMN by_hand int")
	require.Equal(t, []string{"column public.users.by_hand is new"}, b.differences())
}

func TestWhatCannotBeRunAgainIsSaid(t *testing.T) {
	t.Parallel()
	b := newBase(t, len(files), files...)
	all := b.options.Migrations
	b.options.Migrations = all[1:]
	_, err := drift.Compare(t.Context(), b.options)
	var own *whimbrel.Error
	require.ErrorAs(t, err, &own)
	require.Equal(t, whimbrel.CodeMissingFile, own.Code)
	require.Contains(t, own.Message, "no file here: 1")

	// Migrations that want rows fail where there are none, and not in the live database.
	b = newBase(t, 0, "CREATE TABLE plan (id int);",
		"DO $$ BEGIN IF NOT EXISTS (SELECT FROM plan) THEN RAISE 'no plan'; END IF; END $$;")
	m, err := whimbrel.New(whimbrel.Config{Project: b.options.Project, Target: b.options.Target})
	require.NoError(t, err)
	_, err = m.Up(t.Context(), whimbrel.UpOptions{Steps: 1})
	require.NoError(t, err)
	b.exec("INSERT INTO plan VALUES (1)")
	_, err = m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	_, err = drift.Compare(t.Context(), b.options)
	require.ErrorAs(t, err, &own)
	require.Contains(t, own.Message, "on a throw-away server")
	require.Contains(t, own.Message, "no plan")
	require.Contains(t, own.Remedy, "Migrator.Verify")
}
