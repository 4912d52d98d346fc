package whimbrel_test

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

func TestOneListenerTellsTheRunsAndDatabasesOfItsEventsApart(t *testing.T) {
	one, other := setupTwo(t)
	var all []whimbrel.Record
	var mutex sync.Mutex
	together := func(c *whimbrel.Config) {
		c.Listener = func(r whimbrel.Record) {
			mutex.Lock()
			defer mutex.Unlock()
			all = append(all, r)
		}
	}
	var running sync.WaitGroup
	for _, b := range []*bundle{one, other} {
		m := b.migrator(chain, together)
		running.Go(func() {
			for range 2 {
				if _, err := m.Up(t.Context(), whimbrel.UpOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	databases, kinds := map[string]string{}, map[string][]string{} // by run
	for _, r := range all {
		require.NotEmpty(t, r.Run)
		require.Contains(t, []string{"", r.Database}, databases[r.Run], "a run is of one database")
		databases[r.Run] = r.Database
		kinds[r.Run] = append(kinds[r.Run], r.Event.Kind())
	}
	require.Len(t, databases, 4)
	runs := map[string]int{}
	for run, database := range databases {
		runs[database]++
		require.Equal(t, "run_started", kinds[run][0])
		require.Equal(t, "run_finished", kinds[run][len(kinds[run])-1])
	}
	require.Len(t, runs, 2)
	for _, n := range runs {
		require.Equal(t, 2, n)
	}
}

func TestARecordIsOneFlatObject(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]whimbrel.Record{
		`{"time":"0001-01-01T00:00:00Z","event":"run_started","run":"0a","database":"ann@db:5432/shop","command":"up",` +
			`"planned":2}`: {Run: "0a", Database: "ann@db:5432/shop", Event: whimbrel.RunStarted{Command: "up", Planned: 2}},
		`{"time":"0001-01-01T00:00:00Z","event":"schema_created","schema":"app"}`: {
			Event: whimbrel.SchemaCreated{Schema: "app"}},
	} {
		text, err := json.Marshal(r)
		require.NoError(t, err)
		require.Equal(t, want, string(text))
	}
}
