package forecast_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/forecast"
	"github.com/whimbrel-db/whimbrel/migration"
)

// server is the PostgreSQL that all tests of this package share; each test has a
// database of its own in it.
var server *devdb.Server

// majorEnvironment picks the major version of PostgreSQL that the tests run on; the
// machine's own where it is not set.
const majorEnvironment = "WHIMBREL_TEST_PG_MAJOR"

func TestMain(m *testing.M) {
	var err error
	options := devdb.Options{Settings: map[string]string{"max_locks_per_transaction": "256",
		"max_prepared_transactions": "4"}}
	if text := os.Getenv(majorEnvironment); text != "" {
		if options.Major, err = strconv.Atoi(text); err != nil {
			fmt.Fprintln(os.Stderr, majorEnvironment+":", err)
			os.Exit(1)
		}
	}
	server, err = devdb.Start(context.Background(), options)
	if err != nil {
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

// fresh gives the URL of a database of the test's own.
func fresh(t testing.TB) string {
	t.Helper()
	url, drop, err := server.FreshDatabase(t.Context())
	require.NoError(t, err)
	t.Cleanup(drop)
	return url
}

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// exec runs SQL that a test is on.
func exec(t testing.TB, conn *pgx.Conn, sql string) {
	t.Helper()
	_, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
	require.NoError(t, err, sql)
}

// parse makes migrations of texts.
func parse(t testing.TB, texts ...string) []migration.Migration {
	t.Helper()
	var all []migration.Migration
	for i, text := range texts {
		m, err := migration.Parse(fmt.Sprintf("migrations/%03d_example.sql", i+1), text)
		require.NoError(t, err, text)
		all = append(all, m)
	}
	return all
}

func migrator(t testing.TB, url string, migrations []migration.Migration,
	change ...func(*whimbrel.Config)) *whimbrel.Migrator {
	t.Helper()
	config := whimbrel.Config{Project: whimbrel.Project{AcceptMarks: true, Migrations: migrations},
		Target: whimbrel.Target{DatabaseURL: url}, Policy: whimbrel.Policy{AllowMissing: true}}
	for _, c := range change {
		c(&config)
	}
	m, err := whimbrel.New(config)
	require.NoError(t, err)
	return m
}

// study makes the forecast of a plan.
func study(t testing.TB, url string, plan whimbrel.Plan, change ...func(*forecast.Options)) forecast.Forecast {
	t.Helper()
	connection, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	options := forecast.Options{Connection: connection, Server: server, Rows: 100}
	for _, c := range change {
		c(&options)
	}
	f, err := forecast.Study(t.Context(), plan, options)
	require.NoError(t, err)
	return f
}

// foretell makes the forecast of going up with texts on a database.
func foretell(t testing.TB, url string, texts ...string) forecast.Forecast {
	t.Helper()
	plan, err := migrator(t, url, parse(t, texts...)).Plan(t.Context(), whimbrel.Latest())
	require.NoError(t, err)
	return study(t, url, plan)
}
