package rehearsal_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/lint/rehearsal"
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
	options := devdb.Options{Settings: map[string]string{"max_locks_per_transaction": "256"}}
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

// run rehearses the last migrations on those before them.
func run(t testing.TB, severities lint.Severities, history, judged []string) rehearsal.Result {
	t.Helper()
	all := parse(t, append(append([]string{}, history...), judged...)...)
	first := all[len(history)].Version
	result, err := rehearsal.Run(t.Context(), all, rehearsal.Options{Server: server, Lint: lint.Options{
		Severities: severities, Judge: func(m migration.Migration) bool { return m.Version.Compare(first) >= 0 },
	}})
	require.NoError(t, err)
	return result
}

// ids gives the hazards that were found and not allowed.
func ids(r lint.Report) []string {
	var all []string
	for _, f := range r.Findings() {
		all = append(all, f.Hazard.String())
	}
	return all
}

// last judges what comes behind a history.
func last(history []string) func(migration.Migration) bool {
	return func(m migration.Migration) bool {
		return m.Version == migration.Version(fmt.Sprintf("%03d", len(history)+1))
	}
}
