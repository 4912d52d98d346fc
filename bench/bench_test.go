package main

import (
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tiny is everything once, as small as it goes: what it measures means nothing.
var tiny = sizes{
	counts: []int{1, 3},
	links:  []link{{2 * time.Millisecond, 2}},
	many:   3, files: 5, proved: 2, linted: 2, judged: 40, rows: 50,
	warmUp: 10 * time.Millisecond,
	reader: 20 * time.Millisecond, readerRuns: 1,
	hold: 20 * time.Millisecond, statements: statements, blockers: blockers[2:3],
	users: 2000, sample: 100, quiet: 100 * time.Millisecond,
}

func TestTheWholeBenchmarkGivesARowForEverything(t *testing.T) {
	t.Parallel()
	r, err := measure(t.Context(), settings{sizes: tiny, rounds: 2, stallRuns: 1, only: regexp.MustCompile(""),
		progress: io.Discard})
	require.NoError(t, err)
	require.NotEmpty(t, r.PostgreSQL)
	names := map[string]bool{}
	for _, row := range slices.Concat(r.Rows, r.Backfills) {
		require.False(t, names[row.Name+row.Against], "%s appears twice", row.Name)
		names[row.Name+row.Against] = true
		require.Equal(t, 2, row.Rounds, row.Name)
		require.LessOrEqual(t, row.Least, row.Most, row.Name)
		if row.Unit == "failed" {
			require.Zero(t, row.Ours, row.Name)
			require.True(t, row.Kept(), row.Name)
			continue
		}
		if row.Unit == "%" || row.Unit == "cases" { // of which there may be none
			require.True(t, row.Kept(), row.Name)
			continue
		}
		require.Positive(t, row.Ours, row.Name)
		if row.Against != "" {
			require.Positive(t, row.Comparator, row.Name)
			require.Positive(t, row.Ratio, row.Name)
		}
	}
	require.Len(t, r.Rows, 2*4+3+2+2+2+8+2+4+9)
	require.Len(t, r.Backfills, 2*(6+1+3+1))
	require.Len(t, r.Servers, 2)
	require.Contains(t, r.Servers[0], "fast server: fsync off")
	require.Contains(t, r.Servers[1], "durable server: fsync on")
	require.Len(t, r.Stalls, 2+len(statements))
	for _, s := range r.Stalls {
		require.Positive(t, s.Worst, s.Statement)
		require.Zero(t, s.Failed, s.Statement)
	}
	require.NoError(t, r.print(io.Discard))
}

func TestEveryBlockerStandsInTheWayAndLeaves(t *testing.T) {
	t.Parallel()
	s := settings{sizes: sizes{reader: 20 * time.Millisecond, readerRuns: 1, hold: 20 * time.Millisecond,
		statements: statements[:1], blockers: blockers}}
	s.stallRuns, s.only, s.progress = 2, regexp.MustCompile("^stall: ALTER TABLE"), io.Discard
	l, err := open(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, l.close()) }()
	stalls, err := l.stalls(t.Context(), s)
	require.NoError(t, err)
	require.Len(t, stalls, 2+len(blockers))
	require.Equal(t, "bare connection", stalls[1].By)
	for _, row := range stalls[2:] {
		require.Equal(t, 2, row.Runs)
		require.Equal(t, "whimbrel", row.By)
	}
}

func TestOnlyTheRowsThatAreAskedForAreMeasured(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), []string{"-rounds", "1", "-stall-runs", "0", "-only", "trips.*up of 1,",
		"--json"}, &out, io.Discard))
	var r report
	require.NoError(t, json.Unmarshal([]byte(out.String()), &r))
	require.Len(t, r.Rows, 1)
	require.Equal(t, "round trips after connecting: up of 1, empty database", r.Rows[0].Name)
	require.Equal(t, 1, r.Rows[0].Rounds)
	require.Empty(t, r.Stalls)
	require.Empty(t, r.Backfills)
	require.Empty(t, r.Servers)
}

func TestWrongFlagsAreRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-rounds", "0"}, {"-stall-runs", "-1"}, {"-only", "("}, {"more"}, {"-unknown"}} {
		require.Error(t, run(t.Context(), args, io.Discard, io.Discard), args)
	}
}

func TestARowIsTheMedianOfTheRoundsAndTellsWhetherItsPromiseWasKept(t *testing.T) {
	t.Parallel()
	ours, theirs := &side{name: "whimbrel"}, &side{name: "bare"}
	figures := map[*side][]float64{ours: {10, 30, 12}, theirs: {10, 20, 10}}
	row := pair{"up", ours, theirs, atMost(1.15)}.row("ms", figures)
	require.Equal(t, Row{
		Name: "up", Against: "bare", Unit: "ms", Ours: 12, Comparator: 10, Ratio: 1.2, Least: 1, Most: 1.5, Rounds: 3,
		Bound: "≤", Limit: 1.15,
	}, row)
	require.False(t, row.Kept())
	require.Contains(t, row.cells(), "≤ 1.15 MISSED")

	row = pair{"fill", ours, theirs, atLeast(1.15)}.row("k rows/s", figures)
	require.True(t, row.Kept())
	require.Contains(t, row.cells(), "≥ 1.15 KEPT")

	row = pair{"fill", ours, theirs, nothing}.row("k rows/s", figures)
	require.True(t, row.Kept())
	require.NotContains(t, row.cells(), "KEPT")

	alone := pair{"memory", ours, nil, atMost(25)}.row("MB", figures)
	require.Equal(t, Row{Name: "memory", Unit: "MB", Ours: 12, Least: 10, Most: 30, Rounds: 3, Bound: "≤", Limit: 25},
		alone)
	require.True(t, alone.Kept())
	require.NotContains(t, alone.cells(), "MISSED")
}

func TestNothingIsNoPartOfAnythingAndACountStandsBesideNothingByItself(t *testing.T) {
	t.Parallel()
	ours, theirs := &side{name: "whimbrel"}, &side{name: "bare"}
	promise := pair{"failures", ours, theirs, atMost(0)}
	require.True(t, promise.row("failed", map[*side][]float64{ours: {0, 0}, theirs: {1, 0}}).Kept())
	row := promise.row("failed", map[*side][]float64{ours: {1, 1}, theirs: {0, 0}})
	require.InDelta(t, 1, row.Ratio, 0)
	require.False(t, row.Kept())
}

func TestAPercentileIsATimeThatSoManyRequestsDidNotExceed(t *testing.T) {
	t.Parallel()
	live := &traffic{}
	require.Zero(t, live.percentile(0.99))
	for i := range 200 {
		live.since = append(live.since, time.Duration(200-i))
	}
	require.Equal(t, time.Duration(198), live.percentile(0.99))
	require.Equal(t, time.Duration(200), live.percentile(1))
}

func TestTheMedianOfAnEvenNumberOfFiguresLiesBetweenTheTwoInTheMiddle(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 2.5, median([]float64{4, 1, 3, 2}), 0)
	require.InDelta(t, 3, median([]float64{3}), 0)
}
