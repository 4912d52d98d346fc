package trial_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/trial"
)

var simple = files{"1_base.sql": "CREATE TABLE a (id int);\n-- +migrate Down\nDROP TABLE a;"}

// databases lists what is on the shared server.
func databases(t *testing.T, conn *pgx.Conn, like string) []string {
	t.Helper()
	rows, err := conn.Query(context.Background(), "SELECT datname FROM pg_database WHERE datname LIKE $1 ORDER BY 1", like)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return names
}

func TestADatabaseWithTablesIsRefusedAndNotTouched(t *testing.T) {
	t.Parallel()
	config, conn := fresh(t)
	_, err := conn.Exec(t.Context(),
		"CREATE SCHEMA app; CREATE TABLE app.users (id int); INSERT INTO app.users VALUES (1)")
	require.NoError(t, err)
	o := simple.options(t, nil)
	o.Connection = config
	_, err = trial.Run(t.Context(), o)
	require.ErrorContains(t, err, "has 1 table in it: app.users; nothing was touched")
	var rows int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM app.users").Scan(&rows))
	require.Equal(t, 1, rows)
	require.Equal(t, []string{config.Database}, databases(t, conn, config.Database+"%"))
}

func TestBesideAnEmptyDatabaseOthersAreMadeAndDropped(t *testing.T) {
	t.Parallel()
	config, conn := fresh(t)
	o := simple.options(t, nil)
	o.Connection = config
	o.Listener = func(trial.Event) { require.LessOrEqual(t, len(databases(t, conn, config.Database+"_trial%")), 1) }
	require.Equal(t, "1 passed", statuses(run(t, o)))
	require.Empty(t, databases(t, conn, config.Database+"_trial%"))
	var tables int
	require.NoError(t, conn.QueryRow(t.Context(),
		"SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").Scan(&tables))
	require.Zero(t, tables, "the named database stays as it was")
}

func TestDatabasesAreDroppedAlsoWhenATrialIsBrokenOff(t *testing.T) {
	t.Parallel()
	config, conn := fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	o := longHistory(9).options(t, nil)
	o.Connection, o.Jobs = config, 2
	o.Listener = func(e trial.Event) {
		if _, ok := e.(trial.Tested); ok {
			cancel()
		}
	}
	_, err := trial.Run(ctx, o)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, databases(t, conn, config.Database+"_trial%"))
}

func TestKeptDatabasesAreThereToBeLookedAt(t *testing.T) {
	t.Parallel()
	config, conn := fresh(t)
	o := files{
		"1_base.sql": "CREATE TABLE a (id int);\n-- +migrate Down\nSELECT 1;",
		"2_more.sql": "ALTER TABLE a ADD x int;\n-- +migrate Down\nALTER TABLE a DROP x;",
	}.options(t, nil)
	o.Connection, o.Keep = config, true
	report := run(t, o)
	require.Len(t, report.Kept, 2)
	require.Equal(t, "as the test of 1 left it", report.Kept[0].State)
	require.Equal(t, "all migrations up to 2 are applied", report.Kept[1].State)
	for _, kept := range report.Kept {
		look, err := pgx.Connect(t.Context(), kept.URL)
		require.NoError(t, err)
		_, err = look.Exec(t.Context(), "SELECT * FROM a")
		require.NoError(t, err)
		require.NoError(t, look.Close(t.Context()))
		_, err = conn.Exec(t.Context(), "DROP DATABASE "+pgx.Identifier{kept.Database}.Sanitize())
		require.NoError(t, err)
	}
}

func TestWithoutAServerGivenKeptDatabasesAreOnTheDevelopmentServer(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), ".whimbrel")
	t.Cleanup(func() { _ = devdb.OpenProject(folder, devdb.ProjectOptions{}).Stop(context.Background()) })
	o := simple.options(t, nil)
	o.Keep, o.KeepIn = true, folder
	report := run(t, o)
	require.Len(t, report.Kept, 1)
	require.NotContains(t, report.Kept[0].URL, "password")
	look, err := pgx.Connect(t.Context(), report.Kept[0].URL)
	require.NoError(t, err)
	require.NoError(t, look.Close(t.Context()))
}

func TestRolesOfMigrationsDoNotCollideBetweenDatabases(t *testing.T) {
	t.Parallel()
	history := longHistory(8)
	history["0000_role.sql"] = "CREATE ROLE clerk;\n-- +migrate Down\nDROP ROLE clerk;"
	o := history.options(t, nil)
	o.Jobs = 2
	require.Equal(t, 9, run(t, o).Summary.Passed)
}

func TestTheVariablesThatNameAServer(t *testing.T) {
	t.Parallel()
	lookup := func(pairs ...string) func(string) (string, bool) {
		return func(name string) (string, bool) {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1], true
				}
			}
			return "", false
		}
	}
	none, err := trial.FromEnvironment(lookup("DB_HOST", "production"))
	require.NoError(t, err)
	require.Nil(t, none)

	config, err := trial.FromEnvironment(lookup("TEST_DB_PASSWORD", `it's a \ secret`))
	require.NoError(t, err)
	require.Equal(t, []any{"localhost", uint16(5432), "test", "postgres", `it's a \ secret`},
		[]any{config.Host, config.Port, config.Database, config.User, config.Password})

	_, err = trial.FromEnvironment(lookup("TEST_DB_PORT", "many"))
	require.ErrorContains(t, err, `TEST_DB_PORT is "many"`)

	o := simple.options(t, nil)
	o.Connection, err = trial.FromEnvironment(lookup("TEST_DB_HOST", filepath.Join(t.TempDir(), "nowhere"),
		"TEST_DB_PASSWORD", "hunter2"))
	require.NoError(t, err)
	_, err = trial.Run(t.Context(), o)
	require.ErrorContains(t, err, "cannot connect to the server for tests")
	require.NotContains(t, err.Error(), "hunter2")
}

func TestOnlyFromAndChangedSinceChooseMigrations(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	git(t, folder, "init", "-q")
	history := longHistory(6)
	for name, text := range history {
		write(t, filepath.Join(folder, "db", name), text)
	}
	git(t, folder, "add", "db")
	git(t, folder, "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-q", "-m", "all")
	write(t, filepath.Join(folder, "db", "0002_step.sql"), history["0002_step.sql"]+"\n-- edited\n")
	history["0007_new one.sql"] = "SELECT 1"
	history["0007_new.sql"] = "CREATE TABLE new ();\n-- +migrate Down\nDROP TABLE new;"
	delete(history, "0007_new one.sql")
	write(t, filepath.Join(folder, "db", "0007_new.sql"), history["0007_new.sql"])

	for _, c := range []struct {
		name   string
		choose func(*trial.Options)
		tested string
	}{
		{"a version and a name", func(o *trial.Options) { o.Only = []string{"4", "new"} }, "0004 passed, 0007 passed"},
		{"from", func(o *trial.Options) { o.From = "0006" }, "0006 passed, 0007 passed"},
		{"changed and new files", func(o *trial.Options) {
			o.ChangedSince, o.Repository = "HEAD", filepath.Join(folder,
				"db")
		}, "0002 passed, 0007 passed"},
		{"both", func(o *trial.Options) { o.ChangedSince, o.Repository, o.From = "HEAD", folder, "3" }, "0007 passed"},
		{"nothing", func(o *trial.Options) { o.ChangedSince, o.Repository, o.Only = "HEAD", folder, []string{"1"} }, ""},
	} {
		o := history.shared(t, nil)
		c.choose(&o)
		require.Equal(t, c.tested, statuses(run(t, o)), c.name)
	}
	for _, c := range []struct {
		choose func(*trial.Options)
		fails  string
	}{
		{func(o *trial.Options) { o.Only = []string{"99"} }, `no migration "99"`},
		{func(o *trial.Options) { o.From = "nobody" }, `no migration "nobody"`},
		{func(o *trial.Options) { o.ChangedSince, o.Repository = "nowhere", folder }, "git cannot say what has changed"},
		{func(o *trial.Options) { o.ChangedSince, o.Repository = "--output=x", folder }, `invalid revision "--output=x"`},
		{func(o *trial.Options) { o.ChangedSince, o.Repository = "HEAD", t.TempDir() }, "git cannot say what has changed"},
		{func(o *trial.Options) { o.Jobs = -1 }, "Jobs: -1 is a negative number"},
		{func(o *trial.Options) { o.Migrations = nil }, "no migration to test"},
	} {
		o := history.options(t, nil)
		c.choose(&o)
		_, err := trial.Run(t.Context(), o)
		require.ErrorContains(t, err, c.fails)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(strings.TrimPrefix(text, "\n")), 0o600))
}
