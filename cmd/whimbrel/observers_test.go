package main

import (
	"encoding/json"
	"fmt"
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

	"github.com/whimbrel-db/whimbrel/monitor/alert"
	"github.com/whimbrel-db/whimbrel/monitor/alert/service"
	"github.com/whimbrel-db/whimbrel/project"
)

// gated is a migration that runs until the test opens its gate.
const gated = `DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM gate) LOOP PERFORM pg_sleep(0.005); END LOOP; END $$`

// configure writes the session's whimbrel.yaml.
func (s *session) configure(text string) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(filepath.Join(s.env.folder, project.Name), []byte(text), 0o644))
}

// exec runs a statement on the session's database.
func (s *session) exec(sql string) {
	s.t.Helper()
	_, err := s.conn.Exec(s.t.Context(), sql)
	require.NoError(s.t, err)
}

// write puts a migration into the session's folder.
func (s *session) write(name, text string) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(filepath.Join(s.env.folder, "migrations", name), []byte(text), 0o644))
}

// hook is a receiver of webhooks that takes only what is signed with "secret".
func hook(t *testing.T) (address string, received chan alert.Alert) {
	t.Helper()
	received = make(chan alert.Alert, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var a alert.Alert
		if alert.Verify("secret", r.Header, body, time.Now(), time.Minute) != nil || json.Unmarshal(body, &a) != nil {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		received <- a
	}))
	t.Cleanup(s.Close)
	return s.URL, received
}

func TestASleepingMigrationAlertsWhileItRunsOnceAndIsResolved(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{"1_slow.sql": gated})
	s.exec("CREATE TABLE gate ()")
	address, received := hook(t)
	s.configure("alerts:\n  slow_medium: 1ms\n  slow_high: 0s\n  link: https://ci.example.com/7\n  sinks:\n    - url: " +
		address + "\n      secret: secret\n")
	done := s.start("up")
	slow := <-received // the gate is shut: it still runs
	require.Equal(t, alert.Slow, slow.Reason)
	require.Equal(t, alert.Firing, slow.Status)
	require.Equal(t, alert.Medium, slow.Severity)
	require.Equal(t, "https://ci.example.com/7", slow.Link)
	s.exec("INSERT INTO gate DEFAULT VALUES")
	require.Equal(t, exitDone, <-done)
	resolved := <-received
	require.Equal(t, alert.Resolved, resolved.Status)
	require.Equal(t, slow.Key, resolved.Key)
	require.Empty(t, received)
	require.Empty(t, s.err.String())
}

func TestAFailureIsResolvedByTheRunThatSucceeds(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{"1_a.sql": "SELECT 1/0"})
	address, received := hook(t)
	s.configure("alerts: {sinks: [{url: " + address + ", secret: secret, severity: critical}]}\n")
	require.Equal(t, exitFailed, s.run("up"))
	broken := <-received
	require.Equal(t, alert.Critical, broken.Severity)
	require.Equal(t, "22012", broken.Error.SQLState)
	s.write("1_a.sql", "SELECT 1")
	require.Equal(t, exitDone, s.run("up"))
	mended := <-received
	require.Equal(t, alert.Resolved, mended.Status)
	require.Equal(t, broken.Key, mended.Key)
	require.Empty(t, received)
}

// The sink has been asked before the migration ends, and lets go only when the
// test is over: the run did not wait for its answer.
func TestASinkThatNeverAnswersDoesNotKeepTheRunAndIsTold(t *testing.T) {
	t.Parallel()
	asked, over := make(chan struct{}, 10), make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-over
	}))
	t.Cleanup(silent.Close)
	t.Cleanup(func() { close(over) })
	s := newSession(t, map[string]string{"1_slow.sql": gated, "2_b.sql": "CREATE TABLE b ()"})
	s.exec("CREATE TABLE gate ()")
	s.configure("alerts:\n  grace: 1ms\n  slow_medium: 1ms\n  slow_high: 0s\n  sinks:\n    - url: " + silent.URL +
		"/hooks/T0KEN1234\n" +
		"metrics: {pushgateway: " + silent.URL + "}\n")
	done := s.start("up")
	<-asked
	s.exec("INSERT INTO gate DEFAULT VALUES")
	require.Equal(t, exitDone, <-done)
	require.Equal(t, "2", s.value("SELECT count(*)::text FROM schema_migrations"))
	require.Contains(t, s.out.String(), "✓ 2 b")
	require.Contains(t, s.err.String(), "did not reach "+silent.URL+": given up: the run ended and the sink has not "+
		"answered")
	require.Contains(t, s.err.String(), "pushing metrics")
	require.NotContains(t, s.err.String()+s.out.String(), "T0KEN1234")
}

func TestWhatIsRecordedAndNotRunIsHeardOfToo(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{"1_a.sql": "CREATE TABLE a ()\n-- +migrate Down\nDROP TABLE IF EXISTS a"})
	s.configure("log: {format: json, level: debug, file: events.log}\n")
	require.Equal(t, exitDone, s.run("up"))
	require.Equal(t, exitDone, s.run("redo"))
	require.Equal(t, exitDone, s.run("to", "0"))
	require.Equal(t, exitDone, s.run("baseline", "1"))
	require.Equal(t, exitDone, s.run("down"), s.err.String())
	s.write("1_a.sql", "CREATE TABLE a (); SELECT 1")
	require.Equal(t, exitDone, s.run("up", "--json"))
	s.write("1_a.sql", "CREATE TABLE a (); SELECT 2")
	require.Equal(t, exitDone, s.run("verify", "--accept", "1"))
	text, err := os.ReadFile(filepath.Join(s.env.folder, "events.log"))
	require.NoError(t, err)
	var commands []string
	for line := range strings.Lines(string(text)) {
		var event struct {
			Event, Command string
			Heap           float64 `json:"memory_after_heap"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &event), line)
		if event.Event == "run_started" {
			commands = append(commands, event.Command)
		}
		if event.Event == "migration_finished" {
			require.Positive(t, event.Heap)
		}
	}
	require.Equal(t, []string{"up", "redo", "to", "baseline", "down", "up", "accept"}, commands)
	require.Contains(t, s.out.String(), `"memory_after":{"resident_bytes":`)
}

func TestPrometheusGetsTheRunAndTheHistory(t *testing.T) {
	t.Parallel()
	pushed := make(chan string, 10)
	gateway := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		pushed <- fmt.Sprintf("%s %s %s:%s\n%s", r.Method, r.URL.EscapedPath(), user, password, body)
	}))
	t.Cleanup(gateway.Close)
	s := newSession(t, map[string]string{"1_a.sql": "CREATE TABLE a ()", "2_b.sql": "SELECT 1/0"})
	s.env.lookup = variables{"DATABASE_URL": s.env.variable("DATABASE_URL"), "HOME": s.env.folder,
		"PUSH": strings.Replace(gateway.URL, "://", "://ann:s3cret!pass@", 1)}.lookup
	s.configure("metrics:\n  pushgateway: ${PUSH}\n  job: shop\n  textfile: run.prom\n")
	require.Equal(t, exitFailed, s.run("up"))
	text := <-pushed
	require.True(t, strings.HasPrefix(text, "PUT /metrics/job/shop/database@base64/"), text)
	require.Contains(t, text, " ann:s3cret!pass\n")
	for _, metric := range []string{`whimbrel_history_attempts_total`, `direction="up",outcome="failed"} 1`} {
		require.Contains(t, text, metric)
	}
	written, err := os.ReadFile(filepath.Join(s.env.folder, "run.prom"))
	require.NoError(t, err)
	require.Contains(t, text, string(written)[:200])
	require.NotContains(t, s.err.String(), "s3cret")
}

func TestChecksThatStopARunAreToldToSinks(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{"1_a.sql": "CREATE TABLE a ()"})
	address, received := hook(t)
	another := time.Now().Add(72 * time.Hour).Weekday().String()[:3]
	s.configure("environments:\n  production: {url: '${DATABASE_URL}', protected: true}\nchecks:\n" +
		"  block: [maintenance_window]\n  windows: [" + another + " 10:00-11:00]\n" +
		"alerts: {sinks: [{url: " + address + ", secret: secret, environments: [production]}]}\n")
	require.Equal(t, exitRefused, s.run("up", "--env", "production", "--yes"), s.err.String())
	refused := <-received
	require.Equal(t, alert.Refused, refused.Reason)
	require.Equal(t, "production", refused.Environment)
	require.Equal(t, "up", refused.Command)
}

func TestASinkOfAnotherEnvironmentIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{"1_a.sql": "SELECT 1/0"})
	address, received := hook(t)
	s.configure(
		"environments:\n  production: {url: 'postgres://nobody@nowhere/x'}\n  staging: {url: '${DATABASE_URL}'}\n" +
			"alerts:\n  sinks:\n    - {url: '${UNSET_TOKEN}', environments: [production]}\n    - {url: '${ALSO_UNSET:-}'}\n" +
			"    - {url: " + address + ", secret: secret, environments: [staging]}\n")
	require.Equal(t, exitFailed, s.run("up", "--env", "staging"))
	require.Equal(t, "staging", (<-received).Environment)
	require.Equal(t, exitFailed, s.run("up"), "DATABASE_URL is of no environment")
	require.Empty(t, received)
	require.Equal(t, exitWrongUse, s.run("up", "--env", "production"))
	require.Contains(t, s.err.String(), "whimbrel.yaml:6:13: alerts: the environment variable UNSET_TOKEN is not set")
}

// Every kind of sink in the documentation is opened as it is there.
func TestTheSinksInTheDocumentationCanBeOpened(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "monitoring.md"))
	require.NoError(t, err)
	found := regexp.MustCompile("(?m)^\\| [^|]+ \\| `([a-z]+:[^`]+)` \\|$").FindAllStringSubmatch(string(text), -1)
	require.GreaterOrEqual(t, len(found), 10)
	for _, match := range found {
		_, err := service.Open(alert.Target{URL: match[1]})
		require.NoError(t, err, match[1])
	}
	_, config, _ := strings.Cut(string(text), "```yaml\n")
	config, _, _ = strings.Cut(config, "```")
	_, err = parseConfig([]byte("environments: {production: {embedded: true}}\n" + config))
	require.NoError(t, err)
}

func TestTelemetryIsSentWhereTheEnvironmentAsksForIt(t *testing.T) {
	asked := make(chan string, 100)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	t.Cleanup(collector.Close)
	s := newSession(t, map[string]string{"1_a.sql": "CREATE TABLE a ()"})
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	require.Equal(t, exitDone, s.run("up"))
	require.Empty(t, asked)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	require.Equal(t, exitDone, s.run("status"), "who only reads tells nobody")
	require.Empty(t, asked)
	s.write("2_b.sql", "CREATE TABLE b ()")
	require.Equal(t, exitDone, s.run("up"))
	paths := []string{<-asked, <-asked}
	require.ElementsMatch(t, []string{"/v1/traces", "/v1/metrics"}, paths)
	require.Empty(t, s.err.String())
}
