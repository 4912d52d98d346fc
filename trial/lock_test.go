package trial

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestALockIsHeldSinceTheLastSampleWithoutIt(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	weak, strong := heldLock{1, "RowShareLock"}, heldLock{1, "AccessExclusiveLock"}
	other, created, alone := heldLock{2, "ShareLock"}, heldLock{9, "AccessExclusiveLock"}, heldLock{3,
		"ShareUpdateExclusiveLock"}
	holds := func(ms int, locks ...sessionLock) sample {
		s := sample{at: at(ms), locks: map[sessionLock]bool{}}
		for _, l := range locks {
			s.locks[l] = true
		}
		return s
	}
	before := relations{1: {name: "a"}, 2: {name: "b"}, 3: {name: "c"}}
	observed := []observation{{PID: 7, Began: at(10), At: at(100), Locks: []heldLock{weak, strong, other, created}}}
	samples := []sample{
		holds(5), holds(20, sessionLock{7, weak}), holds(60, sessionLock{7, weak}), holds(65, sessionLock{7, weak},
			sessionLock{7, strong}),
		holds(150, sessionLock{8, alone}), holds(180, sessionLock{8, alone}), holds(190),
	}
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	require.Equal(t, []Lock{
		{Table: "a", Mode: "ACCESS EXCLUSIVE", Held: ms(40), Blocks: "readers and writers"},
		{Table: "b", Mode: "SHARE", Held: ms(35), Blocks: "writers"}, // never sampled: taken after the last sample
		{Table: "c", Mode: "SHARE UPDATE EXCLUSIVE", Held: ms(115)},
	}, locksOf(before, observed, samples))
	require.Equal(t, ms(90), locksOf(before, observed, nil)[0].Held, "without a sample, since the transaction began")
	require.Empty(t, locksOf(relations{}, observed, samples))
}

func TestScansOfASessionAreCountedOnce(t *testing.T) {
	t.Parallel()
	before := relations{1: {name: "a", scans: 10, rows: 1000}, 2: {name: "b"}}
	observed := []observation{
		{PID: 7, Scans: []scanned{{1, 1, 100}}},
		{PID: 7, Scans: []scanned{{1, 3, 300}, {9, 1, 1}}}, // grown by two
		{PID: 7, Scans: []scanned{{1, 1, 100}}},            // handed in, and begun again
		{PID: 8, Scans: []scanned{{1, 1, 50}}},
	}
	require.Equal(t, []Scan{{"a", 5, 450}}, scansOf(before, observed, nil))
	require.Equal(t, []Scan{{"a", 6, 600}, {"b", 1, 0}}, scansOf(before, observed, relations{1: {scans: 16, rows: 1600},
		2: {scans: 1}}))
}

func TestTablesWithOtherFilesAreRewritten(t *testing.T) {
	t.Parallel()
	before := relations{1: {name: "b", file: 5}, 2: {name: "a", file: 6}, 3: {name: "gone", file: 7},
		4: {name: "same", file: 8}}
	require.Equal(t, []string{"a", "b"}, rewritten(before, relations{1: {file: 15}, 2: {file: 16}, 4: {file: 8},
		5: {file: 9}}))
}
