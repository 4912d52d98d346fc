package main

import (
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tiny is everything once, as small as it goes: what it measures means nothing.
var tiny = sizes{
	counts: []int{1, 3},
	links:  []link{{2 * time.Millisecond, 2}},
	many:   3, files: 5,
	warmUp: 10 * time.Millisecond,
	reader: 20 * time.Millisecond, readerRuns: 1,
	hold: 20 * time.Millisecond, statements: statements, blockers: blockers[2:3],
}

func TestTheWholeBenchmarkGivesARowForEverything(t *testing.T) {
	t.Parallel()
	r, err := measure(t.Context(), settings{sizes: tiny, rounds: 2, stallRuns: 1, only: regexp.MustCompile(""), progress: io.Discard})
	require.NoError(t, err)
	require.NotEmpty(t, r.PostgreSQL)
	names := map[string]bool{}
	for _, row := range r.Rows {
		require.False(t, names[row.Name+row.Against], "%s stands twice", row.Name)
		names[row.Name+row.Against] = true
		require.Positive(t, row.Ours, row.Name)
		require.Equal(t, 2, row.Rounds, row.Name)
		require.LessOrEqual(t, row.Least, row.Most, row.Name)
		if row.Against != "" {
			require.Positive(t, row.Comparator, row.Name)
			require.Positive(t, row.Ratio, row.Name)
		}
	}
	require.Len(t, r.Rows, 2*4+3+2+1+2+4+4)
	require.Len(t, r.Stalls, 2+len(statements))
	for _, s := range r.Stalls {
		require.Positive(t, s.Worst, s.Statement)
		require.Zero(t, s.Failed, s.Statement)
	}
	require.NoError(t, r.print(io.Discard))
}

func TestEveryBlockerStandsInTheWayAndLeaves(t *testing.T) {
	t.Parallel()
	s := settings{sizes: sizes{reader: 20 * time.Millisecond, readerRuns: 1, hold: 20 * time.Millisecond, statements: statements[:1], blockers: blockers}}
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
	require.NoError(t, run(t.Context(), []string{"-rounds", "1", "-stall-runs", "0", "-only", "trips.*up of 1,", "--json"}, &out, io.Discard))
	var r report
	require.NoError(t, json.Unmarshal([]byte(out.String()), &r))
	require.Len(t, r.Rows, 1)
	require.Equal(t, "round trips after connecting: up of 1, empty database", r.Rows[0].Name)
	require.Equal(t, 1, r.Rows[0].Rounds)
	require.Empty(t, r.Stalls)
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
	row := pair{"up", ours, theirs, 1.15}.row("ms", figures)
	require.Equal(t, Row{
		Name: "up", Against: "bare", Unit: "ms", Ours: 12, Comparator: 10, Ratio: 1.2, Least: 1, Most: 1.5, Rounds: 3, Limit: 1.15,
	}, row)
	require.False(t, row.Kept())
	require.Contains(t, row.cells(), "MISSED")

	alone := pair{"memory", ours, nil, 25}.row("MB", figures)
	require.Equal(t, Row{Name: "memory", Unit: "MB", Ours: 12, Least: 10, Most: 30, Rounds: 3, Limit: 25}, alone)
	require.True(t, alone.Kept())
	require.NotContains(t, alone.cells(), "MISSED")
}

func TestTheMedianOfAnEvenNumberOfFiguresLiesBetweenTheTwoInTheMiddle(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 2.5, median([]float64{4, 1, 3, 2}), 0)
	require.InDelta(t, 3, median([]float64{3}), 0)
}
