package monitor_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/monitor"
)

func whimbrelVersion(text string) migration.Version { return migration.Version(text) }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// history is a log of n attempts, of which every fourth failed.
func history(n int) []monitor.Attempt {
	var attempts []monitor.Attempt
	for i := 1; i <= n; i++ {
		a := monitor.Attempt{LogEntry: whimbrel.LogEntry{
			ID: int64(i), At: noon.Add(time.Duration(i) * time.Minute), Action: "up", Outcome: "done",
			Version: migration.Version(fmt.Sprint(i)), Name: fmt.Sprintf("m%d", i),
			Duration: time.Duration(i) * time.Second, By: "ann@host pid 7",
		}}
		if i%4 == 0 {
			a.Outcome, a.Error, a.SQLState, a.Version, a.Name = "failed", "1_m1.sql:2:3: syntax error\nat \"x\"", "42601", "4", "m4"
			a.Retries, a.Backoff, a.LeaseWait = 2, 200*time.Millisecond, 3*time.Second
		}
		attempts = append(attempts, a)
	}
	return attempts
}

func TestMetricsAreAboutWhatRan(t *testing.T) {
	t.Parallel()
	attempts := append(history(8), monitor.Attempt{LogEntry: whimbrel.LogEntry{Action: "baseline", Outcome: "done",
		Duration: 1e15}})
	m := monitor.Measure(attempts)
	require.Equal(t, 8, m.Total)
	require.Equal(t, "75.00", m.SuccessRate.String())
	require.Equal(t, 4*time.Second, m.Durations.Average) // of 1, 2, 3, 5, 6 and 7
	require.Equal(t, 4*time.Second, m.Durations.P50)
	require.Equal(t, 7*time.Second, m.Durations.Longest)
	require.Equal(t, 4, m.Retries)
	require.Len(t, m.Errors, 1)
	require.Equal(t, 2, m.Errors[0].Errors)
	require.Equal(t, int64(8), m.Recent[0].ID)
	require.Equal(t, int64(8), m.Slowest[0].ID)
	require.Len(t, monitor.Measure(history(30)).Recent, 10)
}

func TestTheSuccessRateHasTwoDecimals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ failed, total int }{{0, 1}, {1, 3}, {1, 7}, {31, 32}, {1, 20000}, {2, 2}} {
		var attempts []monitor.Attempt
		for i := range test.total {
			a := history(1)[0]
			if i < test.failed {
				a.Outcome = "failed"
			}
			attempts = append(attempts, a)
		}
		expected := map[int]string{1: "100.00", 3: "66.67", 7: "85.71", 32: "3.13", 20000: "100.00", 2: "0.00"}[test.total]
		rate := monitor.Measure(attempts).SuccessRate
		require.Equal(t, expected, rate.String())
		text, err := json.Marshal(rate)
		require.NoError(t, err)
		require.Equal(t, expected, string(text))
	}
	text, err := json.Marshal(monitor.Measure(nil))
	require.NoError(t, err)
	require.Contains(t, string(text), `"success_rate_percent":null`)
}

func TestMetricsAreShownAsTables(t *testing.T) {
	t.Parallel()
	text := monitor.Measure(history(4)).Text()
	require.Equal(t, `  attempts        4 (4 up)
  success rate    75.00 % (3 succeeded, 1 failed)
  average time    2 s
  percentiles     50 %: 2 s   90 %: 2.8 s   95 %: 2.9 s   99 %: 3 s
  longest, total  3 s, 6 s
  retried         2 times, for 200 ms
  waited          for locks 0 ms, for other runners 3 s

Errors
  migration  errors  last                 error
  4 m4       1       2026-03-01 12:04:00  1_m1.sql:2:3: syntax error at "x"

Slowest
  when                 migration      took  outcome  retried          by
  2026-03-01 12:04:00  4 m4       up  4 s   failed   2 times, 200 ms  ann@host pid 7
  2026-03-01 12:03:00  3 m3       up  3 s   done                      ann@host pid 7
  2026-03-01 12:02:00  2 m2       up  2 s   done                      ann@host pid 7
  2026-03-01 12:01:00  1 m1       up  1 s   done                      ann@host pid 7

Last
  when                 migration      took  outcome  retried          by
  2026-03-01 12:04:00  4 m4       up  4 s   failed   2 times, 200 ms  ann@host pid 7
  2026-03-01 12:03:00  3 m3       up  3 s   done                      ann@host pid 7
  2026-03-01 12:02:00  2 m2       up  2 s   done                      ann@host pid 7
  2026-03-01 12:01:00  1 m1       up  1 s   done                      ann@host pid 7
`, text)
}

func TestMetricsAreWrittenAsOpenMetrics(t *testing.T) {
	t.Parallel()
	text := string(monitor.Measure(history(4)).OpenMetrics(present.Label{Name: "database", Value: "shop"}))
	for _, line := range []string{
		"# TYPE whimbrel_history_attempts counter",
		`whimbrel_history_attempts_total{database="shop",direction="up",outcome="done"} 3`,
		`whimbrel_history_errors_total{database="shop",version="4",name="m4"} 1`,
		"# TYPE whimbrel_history_duration_seconds summary",
		`whimbrel_history_duration_seconds{database="shop",quantile="0.9"} 2.8`,
		`whimbrel_history_duration_seconds_sum{database="shop"} 6`,
		`whimbrel_history_lease_wait_seconds_total{database="shop"} 3`,
		`whimbrel_history_success_ratio{database="shop"} 0.75`,
		"# EOF",
	} {
		require.Contains(t, text, line+"\n")
	}
	require.NotContains(t, string(monitor.Measure(nil).OpenMetrics()), "_ratio")
}

func TestTheChartShowsDurationsOverTime(t *testing.T) {
	t.Parallel()
	chart := monitor.Chart(history(8), monitor.ChartOptions{Width: 30, Height: 4})
	require.Equal(t, ""+
		"8 s │      ▄█\n"+
		"    │    ▄███\n"+
		"4 s │  ▄█████\n"+
		"    │▄███████\n"+
		"        x   x\n"+
		"     8 attempts, 2026-03-01 12:01:00 to 2026-03-01 12:08:00; x: 2 failed\n", chart)
	ascii := monitor.Chart(history(8), monitor.ChartOptions{Width: 30, Height: 4, ASCII: true})
	require.Contains(t, ascii, "|:#######")
	for _, r := range ascii {
		require.Less(t, r, rune(128))
	}
	require.Equal(t, "No migration has run yet.\n", monitor.Chart(nil, monitor.ChartOptions{}))
}

func TestTheChartKeepsToItsWidthAndShowsTheNewest(t *testing.T) {
	t.Parallel()
	for _, width := range []int{1, 20, 80, 200} {
		chart := monitor.Chart(history(500), monitor.ChartOptions{Width: width})
		lines := strings.Split(strings.TrimRight(chart, "\n"), "\n")
		for _, line := range lines[:len(lines)-1] {
			require.LessOrEqual(t, utf8.RuneCountInString(line), max(width, 13), chart)
		}
		require.Contains(t, lines[len(lines)-1], noon.Add(500*time.Minute).Format("15:04:05"))
	}
}
