//go:build unix

package whimbreltest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/js"
	"github.com/whimbrel-db/whimbrel/migration"
)

func TestEveryDatabaseIsMigratedAndNobodyElseWritesToIt(t *testing.T) {
	t.Parallel()
	first, second := New(t, history(8)), New(t, history(8))
	require.NotEqual(t, first.URL, second.URL)
	change(t, first, "INSERT INTO t0 (name) VALUES ('mine')")
	require.Equal(t, "21", text(t, first, "SELECT count(*) FROM t0"))
	require.Equal(t, "20", text(t, second, "SELECT count(*) FROM t0"))
	require.Equal(t, "8", text(t, second, "SELECT count(*) FROM schema_migrations"))
	require.Equal(t, text(t, first, "SELECT executed_at FROM schema_migrations LIMIT 1"),
		text(t, second, "SELECT executed_at FROM schema_migrations LIMIT 1"),
		"both are copies of one template")
}

func TestTheDatabaseIsGoneWhenItsTestIsOver(t *testing.T) {
	t.Parallel()
	New(t, notes(t)) // keeps the server
	var url string
	t.Run("test", func(t *testing.T) {
		db := New(t, notes(t))
		url = db.URL
		change(t, db, "INSERT INTO notes VALUES ('a')")
	})
	_, err := connect(t, url)
	require.True(t, hasState(err, noSuchDatabase), "%v", err)
}

func TestTwentyTestsAtOnceHaveTwentyDatabases(t *testing.T) {
	t.Parallel()
	watching := New(t, history(40))
	templates := "SELECT count(*) FROM pg_database WHERE datname LIKE 'whimbreltest\\_template%'"
	require.NotEqual(t, "0", text(t, watching, templates))
	var mutex sync.Mutex
	names, made := map[string]bool{}, map[string]bool{}
	migrations := notes(t)
	t.Run("all", func(t *testing.T) {
		for range 20 {
			t.Run("one", func(t *testing.T) {
				t.Parallel()
				db := New(t, migrations)
				change(t, db, "INSERT INTO notes VALUES ('a')")
				name, at := text(t, db, "SELECT current_database()"), text(t, db, "SELECT executed_at FROM schema_migrations")
				require.Equal(t, "1", text(t, db, "SELECT count(*) FROM notes"))
				mutex.Lock()
				defer mutex.Unlock()
				names[name], made[at] = true, true
			})
		}
	})
	require.Len(t, names, 20)
	require.Len(t, made, 1, "the migrations ran once")
}

func TestAChangedMigrationMakesANewTemplate(t *testing.T) {
	t.Parallel()
	migrations := notes(t)
	require.Equal(t, "1", text(t, New(t, migrations), "SELECT count(*) FROM information_schema.columns WHERE table_name "+
		"= 'notes'"))
	migrations["1_notes.sql"].Data = []byte("CREATE TABLE notes (text text NOT NULL, by text); -- for " + t.Name())
	require.Equal(t, "2", text(t, New(t, migrations), "SELECT count(*) FROM information_schema.columns WHERE table_name "+
		"= 'notes'"))
	migrations["2_more.sql"] = &fstest.MapFile{Data: []byte("ALTER TABLE notes ADD COLUMN at date")}
	require.Equal(t, "3", text(t, New(t, migrations), "SELECT count(*) FROM information_schema.columns WHERE table_name "+
		"= 'notes'"))
}

func TestABrokenMigrationFailsTheTestWithTheErrorOfTheEngine(t *testing.T) {
	t.Parallel()
	broken := files("1_notes.sql", "CREATE TABLE notes (text text);", "2_broken.sql",
		"-- for "+t.Name()+"\nALTER TABLE notes\n  ADD COLUMN at dat;\n")
	var key string
	r := rehearse(t, func(t testing.TB) {
		recipe, err := newRecipe(broken, nil)
		require.NoError(t, err)
		key, err = recipe.key("", "")
		require.NoError(t, err)
		New(t, broken)
	})
	require.True(t, r.failed)
	for _, part := range []string{"2_broken.sql:3:17: ", `type "dat" does not exist (SQLSTATE 42704)`,
		"\n      ADD COLUMN at dat;"} {
		require.Contains(t, r.text(), part)
	}
	require.NotContains(t, r.text(), "kept")
	require.Equal(t, "0", text(t, New(t, notes(t)), "SELECT count(*) FROM pg_database WHERE datname = '"+
		unfinishedPrefix+key+"'"))
}

func TestAMalformedFileFailsTheTestWithItsPlaceAndTheWayOut(t *testing.T) {
	t.Parallel()
	r := rehearse(t, func(t testing.TB) {
		New(t, files("db/1_a.sql", "SELECT 'a", "db/1_b.sql", "SELECT 1"), Dir("db"))
	})
	require.True(t, r.failed)
	require.Contains(t, r.text(), "db/1_a.sql:1:8: ")
	require.Contains(t, r.text(), "db/1_b.sql: ")
}

func TestAFailedTestKeepsItsDatabase(t *testing.T) {
	t.Parallel()
	folder := temporaryFolder(t)
	command := binary(t, folder, "fail")
	var output strings.Builder
	command.Stdout, command.Stderr = &output, &output
	var exit interface{ ExitCode() int }
	require.ErrorAs(t, command.Run(), &exit)
	require.Equal(t, 1, exit.ExitCode(), output.String())
	_, rest, found := strings.Cut(output.String(), "psql '")
	require.True(t, found, output.String())
	url, _, _ := strings.Cut(rest, "'")
	conn, err := connect(t, url) // in the half minute, here the seconds, in which the server lives
	require.NoError(t, err)
	var left string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT text FROM notes").Scan(&left))
	require.Equal(t, "what the test wrote", left)
	var comment string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE "+
		"datname = current_database()").Scan(&comment))
	require.Equal(t, "kept for TestOfAUser", comment)
	require.NotContains(t, output.String(), "PASS")
}

func TestAConnectionThatIsNotGivenBackFailsTheTestAndHoldsUpNothing(t *testing.T) {
	t.Parallel()
	var name string
	r := rehearse(t, func(t testing.TB) {
		db := New(t, notes(t))
		name = text(t, db, "SELECT current_database()")
		rows, err := db.Query(t.Context(), "SELECT generate_series(1, 1000000)") // more than fits into the socket
		require.NoError(t, err)
		require.True(t, rows.Next())
	})
	require.True(t, r.failed)
	require.Contains(t, r.text(), "1 connection(s) of its pool in use")
	db := New(t, notes(t))
	require.True(t, holds(func() bool {
		return text(t, db, "SELECT count(*) FROM pg_stat_activity WHERE datname = '"+name+"'") == "0"
	}),
		"a session that takes no note of it holds up every DROP DATABASE of the server")
}

func TestOptionsSayWhatIsApplied(t *testing.T) {
	t.Parallel()
	three := func(folder string) fstest.MapFS {
		return files(folder+"1_a.sql", "CREATE TABLE a ();", folder+"2_b.sql", "CREATE TABLE b ();", folder+"10_c.sql",
			"CREATE TABLE c ();")
	}
	function := func(version, table string) whimbrel.Function {
		up := func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "CREATE TABLE "+table+" ()")
			return err
		}
		return whimbrel.Function{Version: migration.Version(version), Name: table, Up: up}
	}
	script := files("1_a.sql", "CREATE TABLE a ();", "2_b.ts", "import { name } from './names'; export async function "+
		"up(client) { await client.query(`CREATE TABLE ${name} ()`) }", "names.ts", "export const name: string = 'b'")
	tests := map[string]struct {
		files   fstest.MapFS
		options []Option
		tables  string
	}{
		"a folder":               {three("db/migrations/"), []Option{Dir("db/migrations")}, "a b c schema_migrations"},
		"up to a version":        {three(""), []Option{UpTo("002")}, "a b schema_migrations"},
		"a function":             {three(""), []Option{Functions(function("3", "f"))}, "a b c f schema_migrations"},
		"nothing but functions":  {nil, []Option{Functions(function("3", "f"), function("4", "g"))}, "f g schema_migrations"},
		"up to before functions": {three(""), []Option{Functions(function("3", "f")), UpTo("2")}, "a b schema_migrations"},
		"up to a function":       {three(""), []Option{Functions(function("3", "f")), UpTo("3")}, "a b f schema_migrations"},
		"scripts":                {script, []Option{Scripts(js.New(js.Options{}))}, "a b schema_migrations"},
		"sub-folders":            {three("x/"), []Option{Subfolders()}, "a b c schema_migrations"},
		"variables": {files("1_a.sql", "-- +migrate Variables NAME\nCREATE TABLE ${\"NAME\"} ()"),
			[]Option{Variables(map[string]string{"NAME": "v"})}, "schema_migrations v"},
		"another history table": {three(""), []Option{Table("steps"), UpTo("1")}, "a steps"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := New(t, test.files, test.options...)
			require.Equal(t, test.tables, text(t, db, `SELECT string_agg(relname, ' ' ORDER BY relname COLLATE "C") FROM pg_class
				WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname !~ '_(lock|journal|log)$' AND relname <> 'migration_lock'`))
		})
	}
}

func TestAScriptWithAnotherNeighbourMakesANewTemplate(t *testing.T) {
	t.Parallel()
	migrations := files("1_b.js", "import { name } from './names.js'; export async function up(client) { await "+
		"client.query(`CREATE TABLE ${name} ()`) }", "names.js", "export const name = 'b'")
	runtime := Scripts(js.New(js.Options{}))
	require.Equal(t, "b", text(t, New(t, migrations, runtime), "SELECT 'b'::regclass"))
	migrations["names.js"] = &fstest.MapFile{Data: []byte("export const name = 'other'")}
	require.Equal(t, "other", text(t, New(t, migrations, runtime), "SELECT 'other'::regclass"))
}

func TestWhatCannotBeDoneIsSaidWithTheWayOut(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		files   fstest.MapFS
		options []Option
		message []string
	}{
		"no migrations": {files("migrations/1_a.sql", "SELECT 1"), nil, []string{"there are no migrations",
			`whimbreltest.Dir("migrations")`}},
		"no folder": {files("migrations/1_a.sql", "SELECT 1"), []Option{Dir("sql")}, []string{"sql"}},
		"no such version": {files("1_a.sql", "SELECT 1"), []Option{UpTo("2")}, []string{"no migration of version 2",
			"UpTo"}},
		"no such server": {files("1_a.sql", "SELECT 1"), []Option{Major(99)}, []string{"apt-get install postgresql-99",
			"or set WHIMBRELTEST_URL"}},
		"no script runner": {files("1_a.js", "exports.up = () => {}"), nil, []string{"1_a.js: ", "has no runner"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rehearse(t, func(t testing.TB) { New(t, test.files, test.options...) })
			require.True(t, r.failed)
			for _, part := range test.message {
				require.Contains(t, r.text(), part)
			}
		})
	}
}

func TestAnErrorOfTheServerIsShownWithAllItSaid(t *testing.T) {
	t.Parallel()
	failed := fmt.Errorf("outside: %w", &whimbrel.Error{
		Code: whimbrel.CodeStatement, Message: "it is so", Remedy: "do\nthat", Path: "a.sql", Line: 2, Column: 3,
		SQLState:  "42P01",
		Statement: "SELECT x\n       ^", Detail: "a detail", Hint: "a hint", Where: "a place", Err: &pgconn.PgError{},
	})
	require.Equal(t, "outside: a.sql:2:3: it is so (SQLSTATE 42P01)\n    SELECT x\n           ^\n    detail: a detail\n"+
		"    hint: a hint\n    where: a place\n    do\n    that", explain(failed))
	require.Equal(t, "plain", explain(errors.New("plain")))
}
