package monitor

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/millis"
)

// LogFormat says how logs are written.
type LogFormat string

// The formats of logs.
const (
	LogText LogFormat = "text" // key=value
	LogJSON LogFormat = "json" // an object per line
)

// NewLogger makes a logger that writes lines to w.
func NewLogger(w io.Writer, format LogFormat, level slog.Level) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: level}
	switch format {
	case LogText:
		return slog.New(slog.NewTextHandler(w, options)), nil
	case LogJSON:
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, fmt.Errorf("unknown log format %q: it is text or json", format)
}

// Log writes what happens to a logger: migrations as they begin and end, what
// is in the way as warnings, failures as errors, and steps and the progress
// of backfills for who logs at slog.LevelDebug. The logger writes before the run
// goes on, so that nothing is missing after a crash.
func Log(logger *slog.Logger) Observer {
	handler := logger.Handler()
	return func(o Observation) {
		level := levelOf(o.Event)
		if !handler.Enabled(context.Background(), level) {
			return
		}
		kind := o.Event.Kind()
		record := slog.NewRecord(o.Time, level, strings.ReplaceAll(kind, "_", " "), 0)
		record.AddAttrs(slog.String("event", kind))
		if o.Run != "" {
			record.AddAttrs(slog.String("run", o.Run))
		}
		if o.Database != "" {
			record.AddAttrs(slog.String("database", o.Database))
		}
		record.AddAttrs(attributes(o)...)
		// The logger's own failures have nowhere to go.
		_ = handler.Handle(context.Background(), record)
	}
}

// levelOf says how much an event matters.
func levelOf(event whimbrel.Event) slog.Level {
	switch e := event.(type) {
	case whimbrel.Failed:
		return slog.LevelError
	case whimbrel.HookFinished:
		if e.Error != nil {
			return slog.LevelError
		}
	case whimbrel.RunFinished:
		if e.Error != nil {
			return slog.LevelError
		}
	case whimbrel.LeaseWaiting, whimbrel.LockWaiting, whimbrel.TrafficWaiting, whimbrel.Retrying, whimbrel.ConnectionLost,
		whimbrel.IndexRepaired,
		whimbrel.ObjectsLost:
		return slog.LevelWarn
	case whimbrel.LeaseTaken:
		if e.TakenFrom != nil {
			return slog.LevelWarn
		}
		return slog.LevelDebug
	case whimbrel.StepStarted, whimbrel.StepFinished, whimbrel.BatchProgress:
		return slog.LevelDebug
	case whimbrel.Notice:
		if e.Severity == "WARNING" {
			return slog.LevelWarn
		}
	case whimbrel.Printed:
		return printedLevel(e.Level)
	}
	return slog.LevelInfo
}

func printedLevel(level string) slog.Level {
	switch level {
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// attributes are an event's fields.
func attributes(o Observation) []slog.Attr {
	switch e := o.Event.(type) {
	case whimbrel.RunStarted:
		return []slog.Attr{slog.String("command", e.Command), slog.Int("planned", e.Planned)}
	case whimbrel.SchemaCreated:
		return []slog.Attr{slog.String("schema", e.Schema)}
	case whimbrel.OtherHistoryFound:
		return []slog.Attr{slog.String("tool", e.Tool), slog.String("table", e.Table)}
	case whimbrel.TablesAdopted:
		return []slog.Attr{slog.String("table", e.Table), slog.Int("rows", e.Rows)}
	case whimbrel.TablesUpgraded:
		return []slog.Attr{slog.String("table", e.Table), slog.Int("from", e.From), slog.Int("to", e.To)}
	case whimbrel.ProtectionNoted:
		return []slog.Attr{slog.String("state", string(e.State)), slog.String("name", e.Name),
			slog.String("detail", e.Detail)}
	case whimbrel.LeaseWaiting:
		return []slog.Attr{slog.String("holder", e.Holder.By), slog.String("state", e.Holder.State),
			milliseconds("waited_ms", e.Waited)}
	case whimbrel.LeaseTaken:
		attrs := []slog.Attr{slog.Int64("token", e.Token), milliseconds("waited_ms", e.Waited)}
		if e.TakenFrom != nil {
			attrs = append(attrs, slog.String("taken_from", e.TakenFrom.By), slog.Int("recorded", e.Recorded))
		}
		return attrs
	case whimbrel.HookStarted:
		return []slog.Attr{slog.String("hook", e.Hook), slog.String("path", e.Path)}
	case whimbrel.HookFinished:
		return append([]slog.Attr{slog.String("hook", e.Hook), slog.String("path", e.Path), milliseconds("duration_ms",
			e.Duration), slog.Int64("rows", e.Rows)}, failure(e.Error)...)
	case whimbrel.MigrationStarted:
		return append(of(e.Migration), append(used("memory_before", o.Before), slog.Int("steps", e.Steps),
			slog.Int("done", e.Done))...)
	case whimbrel.MigrationFinished:
		attrs := append(of(e.Migration), milliseconds("duration_ms", e.Duration))
		if e.RowsUnknown {
			attrs = append(attrs, slog.Bool("rows_unknown", true))
		} else {
			attrs = append(attrs, slog.Int64("rows", e.Rows))
		}
		if e.RecordOnly {
			attrs = append(attrs, slog.Bool("record_only", true))
		}
		return append(append(attrs, used("memory_before", o.Before)...), used("memory_after", o.After)...)
	case whimbrel.Failed:
		attrs := append(append(of(e.Migration), milliseconds("duration_ms", e.Duration)), failure(e.Error)...)
		return append(append(attrs, used("memory_before", o.Before)...), used("memory_after", o.After)...)
	case whimbrel.RunFinished:
		return append([]slog.Attr{slog.String("command", e.Command), milliseconds("duration_ms", e.Duration),
			slog.Int("done", e.Done)}, failure(e.Error)...)
	}
	return append(attributesOfSteps(o.Event), attributesOfBatches(o.Event)...)
}

// attributesOfSteps are those of events within a migration.
func attributesOfSteps(event whimbrel.Event) []slog.Attr {
	switch e := event.(type) {
	case whimbrel.StepStarted:
		return append(of(e.Migration), slog.Int("step", e.Step), slog.String("step_kind", string(e.StepKind)),
			slog.String("summary", e.Summary))
	case whimbrel.StepFinished:
		return append(of(e.Migration), slog.Int("step", e.Step), milliseconds("duration_ms", e.Duration),
			slog.Int64("rows", e.Rows))
	case whimbrel.LockWaiting:
		return append(of(e.Migration), slog.Int("step", e.Step), milliseconds("waited_ms", e.Waited),
			slog.Any("blockers", sessions(e.Blockers)))
	case whimbrel.TrafficWaiting:
		return append(of(e.Migration), slog.Int("step", e.Step), milliseconds("longest_ms", e.Longest),
			slog.Any("waiting", sessions(e.Waiting)))
	case whimbrel.Retrying:
		return append(of(e.Migration), slog.Int("step", e.Step), slog.Int("attempt", e.Attempt), milliseconds("after_ms",
			e.After),
			slog.String("sqlstate", e.SQLState), slog.String("reason", e.Reason))
	case whimbrel.ConnectionLost:
		return append(of(e.Migration), slog.String("reason", e.Reason))
	case whimbrel.Reconnected:
		return append(of(e.Migration), milliseconds("waited_ms", e.Waited), slog.Int("recorded", e.Recorded))
	case whimbrel.ObjectsLost:
		return append(of(e.Migration), slog.String("objects", strings.Join(e.Objects, ", ")), slog.Bool("repeats", e.Repeats))
	case whimbrel.IndexRepaired:
		return append(of(e.Migration), slog.String("index", e.Index), slog.String("action", e.Action))
	case whimbrel.Notice:
		return append(of(e.Migration), slog.String("severity", e.Severity), slog.String("message", e.Message))
	case whimbrel.Printed:
		return append(of(e.Migration), slog.String("text", e.Text))
	}
	return nil
}

// attributesOfBatches are those of events of a backfill.
func attributesOfBatches(event whimbrel.Event) []slog.Attr {
	switch e := event.(type) {
	case whimbrel.BatchProgress:
		return append(of(e.Migration), slog.Int("step", e.Step), slog.Int64("keys", e.Keys), slog.Int64("total", e.Total),
			slog.Int64("rows", e.Rows), slog.Int64("per_second", e.PerSecond), milliseconds("left_ms", e.Left))
	case whimbrel.BatchPaused:
		return append(of(e.Migration), slog.Int("step", e.Step), slog.String("reason", e.Reason))
	case whimbrel.BatchResumed:
		return append(of(e.Migration), slog.Int("step", e.Step), milliseconds("paused_ms", e.Paused))
	}
	return nil
}

func of(ref whimbrel.Ref) []slog.Attr {
	return []slog.Attr{slog.String("version", string(ref.Version)), slog.String("name", ref.Name),
		slog.String("direction", string(ref.Direction))}
}

func milliseconds(key string, e time.Duration) slog.Attr {
	return slog.Float64(key, millis.Of(e))
}

func used(key string, memory *Memory) []slog.Attr {
	if memory == nil {
		return nil
	}
	return []slog.Attr{slog.Uint64(key+"_resident", memory.Resident), slog.Uint64(key+"_heap", memory.Heap)}
}

func failure(e *whimbrel.Error) []slog.Attr {
	if e == nil {
		return nil
	}
	attrs := []slog.Attr{slog.String("code", string(e.Code)), slog.String("error", e.Error())}
	if e.Remedy != "" {
		attrs = append(attrs, slog.String("remedy", e.Remedy))
	}
	return attrs
}

// sessions describes sessions without their queries, which hold others' data.
func sessions(blockers []whimbrel.Blocker) []string {
	var all []string
	for _, b := range blockers {
		all = append(all, fmt.Sprintf("pid %d %s %s %s", b.PID, b.Application, b.State,
			b.Age.Round(time.Millisecond)))
	}
	return all
}
