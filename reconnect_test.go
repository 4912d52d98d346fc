package whimbrel_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

func TestATerminatedBackendIsReplacedAndTheRunGoesOn(t *testing.T) {
	undisturbed, b := setupTwo(t)
	f := fifty()
	f["051_chain.sql"] = chain["1_chain.sql"]
	_, err := undisturbed.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)

	terminate := b.connect()
	times := 0
	m := b.migrator(f, func(c *whimbrel.Config) {
		c.Listener = func(r whimbrel.Record) {
			b.listen(r)
			e, ok := r.Event.(whimbrel.StepStarted)
			if !ok || times >= 5 || e.Migration.Version < "047" {
				return
			}
			times++
			_, err := terminate.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "+
				"current_database() AND application_name LIKE 'whimbrel/%'")
			require.NoError(t, err)
		}
	})
	_, err = m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Contains(t, b.heard(), "reconnected")
	require.Equal(t, undisturbed.schema(), b.schema())
	require.Equal(t, undisturbed.applied(), b.applied())
	require.Equal(t, "false", b.text("SELECT is_locked FROM migration_lock"))
}

// A statement that the server crashes of would crash it again.
func TestWhatEndsItsOwnSessionIsNotSentForEver(t *testing.T) {
	b := setup(t)
	m := b.migrator(files{"1_fine.sql": "CREATE TABLE fine ()",
		"2_fatal.sql": "CREATE TABLE fatal (); SELECT pg_terminate_backend(pg_backend_pid())"})
	_, err := m.Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeConnection)
	require.Contains(t, e.Message, "the connection was lost 6 times in a row at the same place: ")
	require.Contains(t, e.Remedy, "the server's log")
	require.Equal(t, "1", b.applied())
	require.Equal(t, 6, strings.Count(strings.Join(b.heard(), " "), "reconnected"),
		"the last time to ask what became of it")
	require.Equal(t, "false", b.text("SELECT is_locked FROM migration_lock"))
	require.Equal(t, "1 done, 2 failed", b.text("SELECT string_agg(version || ' ' || outcome, ', ' ORDER BY id) FROM "+
		"schema_migrations_log"))
}

func TestWhatGetsFurtherEachTimeMayLoseItsConnectionAnyNumberOfTimes(t *testing.T) {
	b := setup(t)
	b.exec("CREATE SEQUENCE tries")
	const everySecond = "SELECT CASE WHEN nextval('tries') % 2 = 1 THEN pg_terminate_backend(pg_backend_pid()) END;\n"
	f := files{"9_rows.sql": "CREATE TABLE rows AS SELECT g AS id FROM generate_series(1, 700) g; ALTER TABLE rows ADD " +
		"PRIMARY KEY (id);" +
		"\n-- +migrate Batch rows by id size=100\nUPDATE rows SET id = id WHERE id > :from AND id <= :to AND (nextval('tries') % 101 > 0 OR pg_terminate_backend(pg_backend_pid()));"}
	for version := 1; version <= 7; version++ {
		f[fmt.Sprintf("%d_once.sql", version)] = everySecond
	}
	_, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "1 2 3 4 5 6 7 9", b.applied())
	require.Greater(t, strings.Count(strings.Join(b.heard(), " "), "reconnected"), 7+5)
}
