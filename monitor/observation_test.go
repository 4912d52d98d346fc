package monitor_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/monitor"
)

func TestMemoryIsSeenBeforeAndAfterEveryMigration(t *testing.T) {
	b := setup(t)
	var seen diary
	_, err := b.migrator(files{"1_a.sql": "CREATE TABLE a ()", "2_b.sql": "SELECT 1/0"}, seen.observe,
		nil).Up(t.Context(), whimbrel.UpOptions{})
	require.Error(t, err)
	require.Len(t, seen.of("migration_started"), 2)
	for _, o := range seen.of("migration_started") {
		require.NotNil(t, o.Before)
		require.Nil(t, o.After)
	}
	for _, o := range append(seen.of("migration_finished"), seen.of("failed")...) {
		require.Positive(t, o.Before.Resident)
		require.Positive(t, o.After.Heap)
		require.Greater(t, o.After.Resident, o.After.Heap/2)
	}
	require.Nil(t, seen.of("run_finished")[0].After)

	text, err := json.Marshal(seen.of("migration_finished")[0])
	require.NoError(t, err)
	var object map[string]any
	require.NoError(t, json.Unmarshal(text, &object))
	require.Equal(t, "migration_finished", object["event"])
	require.Positive(t, object["memory_after"].(map[string]any)["resident_bytes"])
}

func TestWithoutObserversThereIsNoListener(t *testing.T) {
	t.Parallel()
	require.Nil(t, monitor.Listen())
	require.Nil(t, monitor.Listen(nil, nil))
}

func TestLogsAreTextOrJSON(t *testing.T) {
	b := setup(t)
	var text, lines bytes.Buffer
	readable, err := monitor.NewLogger(&text, monitor.LogText, slog.LevelInfo)
	require.NoError(t, err)
	structured, err := monitor.NewLogger(&lines, monitor.LogJSON, slog.LevelDebug)
	require.NoError(t, err)
	_, err = b.migrator(files{"1_a.sql": "CREATE TABLE a ()", "2_b.sql": "CREATE TABLE b ();\nSELECT 1/0;"},
		monitor.Log(readable), monitor.Log(structured)).Up(t.Context(), whimbrel.UpOptions{})
	require.Error(t, err)

	require.Regexp(
		t, `level=INFO msg="migration finished" event=migration_finished run=[0-9a-f]{16} database=\S+ version=1 `+
			`name=a direction=up duration_ms=[0-9.]+ rows=0 `+
			`memory_before_resident=\d+ .*memory_after_heap=\d+`, text.String())
	require.Regexp(
		t, `level=ERROR msg=failed event=failed run=[0-9a-f]{16} database=\S+ version=2 `+
			`.*code=statement_failed error="migrations/2_b.sql:2:1: division by zero`,
		text.String())
	require.NotContains(t, text.String(), "step started")

	levels := map[string]string{}
	for line := range strings.Lines(lines.String()) {
		var object map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &object))
		levels[object["event"].(string)] = object["level"].(string)
	}
	require.Equal(t, "DEBUG", levels["step_started"])
	require.Equal(t, "INFO", levels["run_started"])
	require.Equal(t, "ERROR", levels["run_finished"])

	_, err = monitor.NewLogger(&text, "xml", slog.LevelInfo)
	require.ErrorContains(t, err, "text or json")
}

// Who wants logs, metrics, webhooks and a page for Prometheus links neither
// OpenTelemetry nor shoutrrr.
func TestWhatIsHeavyIsLinkedByWhoAsksForIt(t *testing.T) {
	t.Parallel()
	const module = "github.com/whimbrel-db/whimbrel/"
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", module+"monitor", module+"monitor/alert",
		module+"monitor/prometheus").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), module+"monitor/alert\n")
	for _, heavy := range []string{"opentelemetry", "shoutrrr", "google.golang.org", "github.com/prometheus"} {
		require.NotContains(t, string(out), heavy)
	}
}
