//go:build linux

package faults_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

func TestAKilledRunIsFinishedByTheNextOneWithoutRepairAndWithoutWaiting(t *testing.T) {
	t.Parallel()
	const trials = 100
	folder := fifty().write(t)
	var mutex sync.Mutex
	var waits []time.Duration
	var outcomes tally
	t.Run("trials", func(t *testing.T) {
		for trial := range trials {
			t.Run(fmt.Sprint(trial), func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				m := randomMoment(t, trial)
				r := b.start(folder)
				r.await(m.event)
				time.Sleep(m.after)
				r.kill()
				require.NoError(t, b.up(fifty()))
				b.intact()
				taken, found := last[whimbrel.LeaseTaken](b)
				if !found {
					outcomes.add("nothing was left to do")
					return
				}
				require.Less(t, taken.Waited, 10*time.Second, "the lease holds for 30 s, but its holder is gone")
				outcomes.add("continued")
				mutex.Lock()
				defer mutex.Unlock()
				waits = append(waits, taken.Waited)
			})
		}
	})
	require.Greater(t, outcomes.count("continued"), trials/4, "the runs were killed too late to show anything")
	slices.Sort(waits)
	t.Logf("%v; waited for the lease: median %s, 90%% %s, longest %s", outcomes.counts, waits[len(waits)/2],
		waits[len(waits)*9/10], waits[len(waits)-1])
}
