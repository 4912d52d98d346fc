package prometheus_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/monitor"
	"github.com/whimbrel-db/whimbrel/monitor/prometheus"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// observed is a collector that has seen events, a second apart from noon on.
func observed(events ...whimbrel.Event) *prometheus.Collector {
	c := prometheus.New("production")
	for i, event := range events {
		o := monitor.Observation{Record: whimbrel.Record{Time: noon.Add(time.Duration(i) * time.Second), Event: event}}
		switch event.(type) {
		case whimbrel.MigrationStarted:
			o.Before = &monitor.Memory{Resident: 1000, Heap: 100}
		case whimbrel.MigrationFinished, whimbrel.Failed:
			o.After = &monitor.Memory{Resident: 2000, Heap: 200}
		}
		c.Observe(o)
	}
	return c
}

var (
	users = whimbrel.Ref{Version: "1", Name: "users", Direction: whimbrel.Up}
	begin = whimbrel.RunStarted{Command: "up", Database: `ann@db:5432/"shop"`}
	aRun  = []whimbrel.Event{begin, whimbrel.LeaseTaken{Waited: 2 * time.Second},
		whimbrel.MigrationStarted{Migration: users}, whimbrel.Retrying{SQLState: "55P03"},
		whimbrel.Retrying{SQLState: "55P03"}, whimbrel.MigrationFinished{Migration: users,
			Duration: 20 * time.Millisecond, Rows: 3}, whimbrel.MigrationStarted{Migration: users},
		whimbrel.Failed{Migration: users, Duration: 2 * time.Hour}, whimbrel.RunFinished{Command: "up",
			Duration: 7 * time.Second, Done: 1, Error: &whimbrel.Error{Code: whimbrel.CodeStatement}}}
	common = `database="ann@db:5432/\"shop\"",environment="production"`
)

func TestWhatRunsDoIsCounted(t *testing.T) {
	t.Parallel()
	text := string(observed(aRun...).Text(present.PrometheusText))
	for _, line := range []string{
		"# TYPE whimbrel_migration_duration_seconds histogram",
		`whimbrel_migration_duration_seconds_bucket{` + common + `,direction="up",outcome="done",le="0.01"} 0`,
		`whimbrel_migration_duration_seconds_bucket{` + common + `,direction="up",outcome="done",le="0.05"} 1`,
		`whimbrel_migration_duration_seconds_bucket{` + common + `,direction="up",outcome="failed",le="3600"} 0`,
		`whimbrel_migration_duration_seconds_bucket{` + common + `,direction="up",outcome="failed",le="+Inf"} 1`,
		`whimbrel_migration_duration_seconds_sum{` + common + `,direction="up",outcome="failed"} 7200`,
		`whimbrel_migration_duration_seconds_count{` + common + `,direction="up",outcome="failed"} 1`,
		"# TYPE whimbrel_retries_total counter",
		`whimbrel_retries_total{` + common + `,sqlstate="55P03"} 2`,
		`whimbrel_rows_total{` + common + `,direction="up"} 3`,
		`whimbrel_lease_wait_seconds_total{` + common + `} 2`,
		`whimbrel_last_run_failed{` + common + `,command="up"} 1`,
		`whimbrel_last_run_timestamp_seconds{` + common + `,command="up"} 1.772366408e+09`,
		`whimbrel_process_resident_memory_bytes{` + common + `,when="after"} 2000`,
		`whimbrel_process_heap_bytes{` + common + `,when="before"} 100`,
	} {
		require.Contains(t, text, line+"\n")
	}
	require.NotContains(t, text, "last_success")
	require.NotContains(t, text, "# EOF")
	require.NotContains(t, text, "migration_started")
}

func TestWhatRunsNowIsShown(t *testing.T) {
	t.Parallel()
	c := observed(begin, whimbrel.MigrationStarted{Migration: users}, whimbrel.BatchProgress{Migration: users, Keys: 5,
		Total: 10})
	text := string(c.Text(present.OpenMetrics))
	require.Contains(t, text, `whimbrel_migration_started_timestamp_seconds{`+common+
		`,version="1",name="users",direction="up"} 1.772366401e+09`)
	require.Contains(t, text, `whimbrel_backfill_keys{`+common+`,version="1"} 5`)
	require.True(t, strings.HasSuffix(text, "# EOF\n"))
	c.Observe(monitor.Observation{Record: whimbrel.Record{Time: noon,
		Event: whimbrel.MigrationFinished{Migration: users}}})
	c.Observe(monitor.Observation{Record: whimbrel.Record{Time: noon, Event: whimbrel.RunFinished{Command: "up"}}})
	text = string(c.Text(present.OpenMetrics))
	require.NotContains(t, text, "backfill")
	require.Contains(t, text, "whimbrel_last_success_timestamp_seconds")
}

func TestAScrapeIsAnsweredInTheFormatThatItAccepts(t *testing.T) {
	t.Parallel()
	c := observed(aRun...)
	c.SetHistory(monitor.Measure([]monitor.Attempt{{LogEntry: whimbrel.LogEntry{Action: "up", Outcome: "done",
		At: noon}}}))
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	for accept, expected := range map[string]string{
		"": "text/plain; version=0.0.4; charset=utf-8",
		"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3": "application/openmetrics-text; version=1.0.0; " +
			"charset=utf-8",
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, http.NoBody)
		require.NoError(t, err)
		request.Header.Set("Accept", accept)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, expected, response.Header.Get("Content-Type"))
		require.Contains(t, string(body), "whimbrel_history_attempts_total{")
		wellFormed(t, string(body))
	}
}

var sampleLine = regexp.MustCompile(
	`^[a-z_]+(_bucket|_sum|_count)?(\{[a-z_]+="(\\["\\n]|[^"\\\n])*"(,[a-z_]+="(\\["\\n]|[^"\\\n])*")*\})? [-+0-9.eINFinfa]+$`)

// wellFormed requires that every line is a sample or a comment, and that a family
// is in one piece.
func wellFormed(t *testing.T, text string) {
	t.Helper()
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if name, isType := strings.CutPrefix(line, "# TYPE "); isType {
			require.False(t, seen[name], line)
			seen[name] = true
		}
		if !strings.HasPrefix(line, "# ") {
			require.Regexp(t, sampleLine, line)
		}
	}
}

func TestAPushGatewayGetsTheMetricsOfItsGroup(t *testing.T) {
	t.Parallel()
	requests, bodies := make(chan *http.Request, 1), make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- r
		bodies <- string(body)
		w.WriteHeader(http.StatusOK)
	}))
	t.Cleanup(s.Close)
	c := observed(aRun...)
	for _, test := range []struct {
		gateway prometheus.Gateway
		path    string
	}{
		{prometheus.Gateway{URL: s.URL}, "/metrics/job/whimbrel"},
		{prometheus.Gateway{URL: s.URL + "/base/", Job: "nightly run", Grouping: []present.Label{{Name: "instance",
			Value: "db:5432/shop"}, {Name: "zone", Value: ""}}},
			"/base/metrics/job/nightly%20run/instance@base64/ZGI6NTQzMi9zaG9w/zone@base64/="},
	} {
		require.NoError(t, c.Push(t.Context(), test.gateway))
		r := <-requests
		require.Equal(t, http.MethodPut, r.Method)
		require.Equal(t, test.path, r.URL.EscapedPath())
		require.Equal(t, "text/plain; version=0.0.4; charset=utf-8", r.Header.Get("Content-Type"))
		body := <-bodies
		require.Equal(t, string(c.Text(present.PrometheusText)), body)
		wellFormed(t, body)
	}
}

func TestAPushThatFailsIsSaidWithoutThePassword(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ann" || password != "S3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.Error(w, "pushed metrics are inconsistent", http.StatusBadRequest)
	}))
	address := strings.Replace(s.URL, "://", "://ann:S3cret@", 1)
	c := prometheus.New("")
	err := c.Push(t.Context(), prometheus.Gateway{URL: address})
	require.EqualError(t, err, "pushing metrics: the gateway answered 400 Bad Request: pushed metrics are inconsistent")
	s.Close()
	for _, wrong := range []string{address, "ann:S3cret@host", "http://S3cret@%z", ""} {
		err := c.Push(t.Context(), prometheus.Gateway{URL: wrong})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "S3cret")
	}
}

func TestTheTextfileAppearsWholeAndReplacesTheOneBefore(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "whimbrel.prom")
	require.NoError(t, observed(begin).WriteFile(path))
	before, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = before.Close() })
	old, err := os.ReadFile(path)
	require.NoError(t, err)

	c := observed(aRun...)
	require.NoError(t, c.WriteFile(path))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(c.Text(present.PrometheusText)), string(text))
	open, err := io.ReadAll(before) // anyone who reads at this moment reads the old one to its end
	require.NoError(t, err)
	require.Equal(t, old, open)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode().Perm())
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func TestATextfileThatCannotBeWrittenLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	c := prometheus.New("")
	require.ErrorContains(t, c.WriteFile("metrics.txt"), "must end in .prom")
	require.ErrorIs(t, c.WriteFile(filepath.Join(t.TempDir(), "nowhere", "a.prom")), os.ErrNotExist)
	folder := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "taken.prom", "x"), 0o700))
	err := c.WriteFile(filepath.Join(folder, "taken.prom"))
	var link *os.LinkError
	require.ErrorAs(t, err, &link)
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}
