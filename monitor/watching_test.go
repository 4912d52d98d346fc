package monitor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/monitor"
	"github.com/whimbrel-db/whimbrel/monitor/alert"
	"github.com/whimbrel-db/whimbrel/monitor/prometheus"
	"github.com/whimbrel-db/whimbrel/monitor/telemetry"
)

// gated is a migration that runs until the test opens its gate.
const gated = `DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM gate) LOOP PERFORM pg_sleep(0.005); END LOOP; END $$`

// webhook is a receiver of alerts, and the route to it.
func webhook(t *testing.T) (alert.Route, chan alert.Alert) {
	t.Helper()
	received := make(chan alert.Alert, 100)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var a alert.Alert
		if alert.Verify("secret", r.Header, body, time.Now(), time.Minute) == nil && json.Unmarshal(body, &a) == nil {
			received <- a
		}
	}))
	t.Cleanup(s.Close)
	route, err := alert.Open(alert.Target{URL: s.URL, Secret: "secret"})
	require.NoError(t, err)
	return route, received
}

func TestASlowMigrationAlertsOnceWhileItRunsAndIsResolvedWhenItEnds(t *testing.T) {
	b := setup(t)
	_, err := b.conn.Exec(t.Context(), "CREATE TABLE gate ()")
	require.NoError(t, err)
	route, received := webhook(t)
	watch := alert.Start(alert.Options{Limits: alert.Limits{SlowMedium: time.Millisecond, SlowHigh: -1},
		Routes: []alert.Route{route}, Environment: "production"})
	var seen diary
	m := b.migrator(files{"1_slow.sql": gated}, watch.Observe, seen.observe)
	ended := make(chan error, 1)
	go func() { _, err := m.Up(context.Background(), whimbrel.UpOptions{}); ended <- err }()

	slow := <-received // the gate is shut: it still runs
	require.Equal(t, alert.Slow, slow.Reason)
	require.Equal(t, alert.Firing, slow.Status)
	require.Equal(t, alert.Medium, slow.Severity)
	require.Equal(t, alert.Warning, slow.Type)
	require.Equal(t, "slow", slow.Migration.Name)
	_, err = b.conn.Exec(t.Context(), "INSERT INTO gate DEFAULT VALUES")
	require.NoError(t, err)
	require.NoError(t, <-ended)
	require.True(t, slow.Time.Before(seen.of("migration_finished")[0].Time))
	require.NoError(t, watch.Close(t.Context()))

	resolved := <-received
	require.Equal(t, alert.Resolved, resolved.Status)
	require.Equal(t, slow.Key, resolved.Key)
	require.Contains(t, resolved.Message, "It finished after all")
	require.Empty(t, received)
}

func TestAFailureAlertsAndIsResolvedByTheNextProcessThatSucceeds(t *testing.T) {
	b := setup(t)
	run := func(f files) alert.Alert {
		attempts, err := monitor.ReadAttempts(t.Context(), b.migrator(files{}), time.Time{})
		require.NoError(t, err)
		route, received := webhook(t)
		watch := alert.Start(alert.Options{Routes: []alert.Route{route}, Outstanding: monitor.Outstanding(attempts)})
		_, _ = b.migrator(f, watch.Observe).Up(t.Context(), whimbrel.UpOptions{}) // the alert says how it went
		require.NoError(t, watch.Close(t.Context()))
		require.Len(t, received, 1)
		return <-received
	}
	broken := run(files{"1_a.sql": "SELECT\n1/0"})
	require.Equal(t, alert.Critical, broken.Severity)
	require.Equal(t, alert.Error, broken.Type)
	require.Equal(t, "migrations/1_a.sql", broken.Error.Path)
	require.Equal(t, "22012", broken.Error.SQLState)
	mended := run(files{"1_a.sql": "SELECT 1"})
	require.Equal(t, alert.Resolved, mended.Status)
	require.Equal(t, broken.Key, mended.Key)
}

func TestAStepThatWaitsForItsLockSaysWhoStandsInTheWay(t *testing.T) {
	b := setup(t)
	_, err := b.conn.Exec(t.Context(), "CREATE TABLE busy ()")
	require.NoError(t, err)
	holder := b.connect()
	begun, err := holder.Begin(t.Context())
	require.NoError(t, err)
	_, err = begun.Exec(t.Context(), "LOCK TABLE busy")
	require.NoError(t, err)
	route, received := webhook(t)
	watch := alert.Start(alert.Options{Limits: alert.Limits{Lock: 300 * time.Millisecond}, Routes: []alert.Route{route}})
	m := b.migrator(files{"1_a.sql": "ALTER TABLE busy ADD COLUMN a int"}, watch.Observe)
	ended := make(chan error, 1)
	go func() { _, err := m.Up(context.Background(), whimbrel.UpOptions{}); ended <- err }()
	waiting := <-received
	require.Equal(t, alert.Lock, waiting.Reason)
	require.Equal(t, int(holder.PgConn().PID()), waiting.Blockers[0].PID)
	require.NoError(t, begun.Rollback(t.Context()))
	require.NoError(t, <-ended)
	require.NoError(t, watch.Close(t.Context()))
	require.Equal(t, alert.Resolved, (<-received).Status)
	require.Empty(t, received)
}

// The sink has begun to send before the run is half through, and has not ended
// when the run has: the run did not wait for it.
func TestASinkThatNeverAnswersDoesNotDelayARun(t *testing.T) {
	b := setup(t)
	f := files{}
	for n := 1; n <= 40; n++ {
		f[fmt.Sprintf("%d_m.sql", n)] = fmt.Sprintf("CREATE TABLE t%d ()", n)
	}
	_, err := b.conn.Exec(t.Context(), "CREATE TABLE gate ()")
	require.NoError(t, err)
	f["1_m.sql"] = gated
	release, began, returned := make(chan struct{}), make(chan time.Time, 100), make(chan time.Time, 100)
	hangs := alert.SinkFunc(func(context.Context, alert.Alert) error {
		began <- time.Now()
		<-release
		returned <- time.Now()
		return nil
	})
	var said []alert.Delivery
	watch := alert.Start(alert.Options{
		Limits: alert.Limits{SlowMedium: time.Nanosecond, SlowHigh: -1}, Routes: []alert.Route{{Name: "hangs", Sink: hangs}},
		Report: func(d alert.Delivery) { said = append(said, d) },
	})
	var seen diary
	m := b.migrator(f, watch.Observe, seen.observe)
	ended := make(chan error, 1)
	go func() { _, err := m.Up(context.Background(), whimbrel.UpOptions{}); ended <- err }()
	sent := <-began
	_, err = b.conn.Exec(t.Context(), "INSERT INTO gate DEFAULT VALUES")
	require.NoError(t, err)
	require.NoError(t, <-ended)
	require.Empty(t, returned)

	finished := seen.of("migration_finished")
	require.Len(t, finished, 40)
	require.True(t, sent.Before(finished[0].Time))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorContains(t, watch.Close(ctx), "were not delivered in time")
	require.NotEmpty(t, said)
	for _, d := range said {
		require.Error(t, d.Err)
	}
	close(release)
	require.True(t, (<-returned).After(seen.of("run_finished")[0].Time))
}

// BenchmarkListeners runs a thousand small migrations with every listener on and
// with none, in turns, and reports how much the listeners add.
func BenchmarkListeners(b *testing.B) {
	f := fstest.MapFS{}
	for n := 1; n <= 1000; n++ {
		f[fmt.Sprintf("m/%05d_m.sql", n)] = &fstest.MapFile{Data: fmt.Appendf(nil,
			"CREATE TABLE t%d (id bigint PRIMARY KEY, name text)", n)}
	}
	migrations, err := migration.Load(migration.Source{FS: f, Dir: "m", Label: "m"})
	require.NoError(b, err)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter,
		r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	b.Cleanup(collector.Close)
	b.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)

	up := func(listener whimbrel.Listener) time.Duration {
		url, drop, err := server.FreshDatabase(context.Background())
		require.NoError(b, err)
		defer drop()
		m, err := whimbrel.New(whimbrel.Config{Target: whimbrel.Target{DatabaseURL: url},
			Project: whimbrel.Project{Migrations: migrations}, Listener: listener})
		require.NoError(b, err)
		began := time.Now()
		result, err := m.Up(context.Background(), whimbrel.UpOptions{})
		took := time.Since(began)
		require.NoError(b, err)
		require.Len(b, result.Done, 1000)
		return took
	}
	var none, all, closing []time.Duration
	up(nil) // warms the server up
	for range b.N {
		none = append(none, up(nil))
		listener, closeAll := everyListener(b, collector.URL)
		all = append(all, up(listener))
		began := time.Now()
		closeAll()
		closing = append(closing, time.Since(began))
	}
	// The least of each is what the machine's other work disturbed least.
	least := func(d []time.Duration) float64 { return slices.Min(d).Seconds() }
	b.ReportMetric(least(none), "none-s")
	b.ReportMetric(least(all), "all-s")
	b.ReportMetric(least(closing), "close-s")
	b.ReportMetric(100*(least(all)/least(none)-1), "added-%")
	b.ReportMetric(100*((least(all)+least(closing))/least(none)-1), "added-with-close-%")
}

// everyListener starts all there is, and says how to end it.
func everyListener(b *testing.B, address string) (listener whimbrel.Listener, closeAll func()) {
	b.Helper()
	folder := b.TempDir()
	file, err := os.Create(filepath.Join(folder, "log"))
	require.NoError(b, err)
	logger, err := monitor.NewLogger(file, monitor.LogJSON, slog.LevelInfo)
	require.NoError(b, err)
	traced, err := telemetry.Start(context.Background(), telemetry.Options{})
	require.NoError(b, err)
	require.NotNil(b, traced)
	route, err := alert.Open(alert.Target{URL: address, Secret: "secret"})
	require.NoError(b, err)
	watch := alert.Start(alert.Options{Routes: []alert.Route{route}})
	counted := prometheus.New("production")
	return monitor.Listen(monitor.Log(logger), traced.Observer(), watch.Observe, counted.Observe), func() {
		require.NoError(b, traced.Close(context.Background()))
		require.NoError(b, watch.Close(context.Background()))
		require.NoError(b, counted.WriteFile(filepath.Join(folder, "a.prom")))
		require.NoError(b, counted.Push(context.Background(), prometheus.Gateway{URL: address}))
		require.NoError(b, file.Close())
	}
}

// BenchmarkObserving is what all listeners together spend on one small migration.
func BenchmarkObserving(b *testing.B) {
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter,
		r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	b.Cleanup(receiver.Close)
	b.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.URL)
	listener, closeAll := everyListener(b, receiver.URL)
	defer closeAll()
	tell := func(event whimbrel.Event) { listener(whimbrel.Record{Time: time.Now(), Event: event}) }
	tell(whimbrel.RunStarted{Command: "up", Database: "ann@db:5432/shop"})
	ref := whimbrel.Ref{Version: "20240115120000", Name: "add_users", Path: "migrations/20240115120000_add_users.sql",
		Direction: whimbrel.Up}
	b.ReportAllocs()
	for b.Loop() {
		tell(whimbrel.MigrationStarted{Migration: ref, Steps: 1})
		tell(whimbrel.StepStarted{Migration: ref, Step: 1, StepKind: whimbrel.StepSQL, Summary: "CREATE TABLE"})
		tell(whimbrel.StepFinished{Migration: ref, Step: 1})
		tell(whimbrel.MigrationFinished{Migration: ref})
	}
}
