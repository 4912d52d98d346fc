package whimbrel_test

import (
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
			_, err := terminate.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'whimbrel/%'")
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
