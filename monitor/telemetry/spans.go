package telemetry

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/monitor"
)

// spans makes spans of events, with the events' times.
type spans struct {
	tracer   trace.Tracer
	parent   context.Context // the trace of the pipeline, no request of ours
	literals bool

	server                  []attribute.KeyValue // of the run's database
	run, migration, step    trace.Span           // nil where there is none
	runTrace, migrationPart context.Context      // spans are parents by their contexts
}

func newSpans(parent context.Context, tracer trace.Tracer, literals bool) *spans {
	return &spans{tracer: tracer, parent: parent, literals: literals}
}

func (s *spans) observe(o monitor.Observation) {
	switch e := o.Event.(type) {
	case whimbrel.RunStarted:
		s.server = server(e.Database)
		s.runTrace, s.run = s.tracer.Start(s.parent, "whimbrel "+e.Command, trace.WithTimestamp(o.Time), trace.WithAttributes(
			append(slices.Clone(s.server), attribute.String("whimbrel.command", e.Command), attribute.Int("whimbrel.planned",
				e.Planned))...))
	case whimbrel.MigrationStarted:
		s.end(&s.migration, o.Time) // one that backed off in the pipeline begins again
		s.migrationPart, s.migration = s.tracer.Start(s.runTraceOr(), title(e.Migration), trace.WithTimestamp(o.Time),
			trace.WithAttributes(
				append(append(memory("before", o.Before), of(e.Migration)...), attribute.Int("whimbrel.steps", e.Steps))...))
	case whimbrel.StepStarted:
		s.end(&s.step, o.Time)
		s.startStep(o.Time, e)
	case whimbrel.StepFinished:
		s.setRows(s.step, e.Rows)
		s.end(&s.step, o.Time)
	case whimbrel.MigrationFinished:
		s.set(s.migration, memory("after", o.After)...)
		s.setRows(s.migration, e.Rows)
		if e.RecordOnly {
			s.set(s.migration, attribute.Bool("whimbrel.record_only", true))
		}
		s.end(&s.step, o.Time)
		s.end(&s.migration, o.Time)
	case whimbrel.Failed:
		s.set(s.migration, memory("after", o.After)...)
		for _, span := range []*trace.Span{&s.step, &s.migration} {
			s.fail(*span, o.Time, e.Error)
			s.end(span, o.Time)
		}
	case whimbrel.RunFinished:
		s.set(s.run, attribute.Int("whimbrel.done", e.Done))
		s.fail(s.run, o.Time, e.Error)
		for _, span := range []*trace.Span{&s.step, &s.migration, &s.run} {
			s.end(span, o.Time)
		}
	default:
		s.note(o)
	}
}

func (s *spans) runTraceOr() context.Context {
	if s.runTrace == nil {
		return s.parent
	}
	return s.runTrace
}

func (s *spans) startStep(at time.Time, e whimbrel.StepStarted) {
	parent := s.migrationPart
	if s.migration == nil {
		parent = s.runTraceOr()
	}
	attributes := append(make([]attribute.KeyValue, 0, len(s.server)+4), s.server...)
	attributes = append(attributes, semconv.DBQuerySummary(e.Summary), attribute.Int("whimbrel.step.number", e.Step),
		attribute.String("whimbrel.step.kind", string(e.StepKind)))
	if operation := operation(e); operation != "" {
		attributes = append(attributes, semconv.DBOperationName(operation))
	}
	_, s.step = s.tracer.Start(parent, e.Summary, trace.WithTimestamp(at), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attributes...))
}

// operation is a step's only command; empty where there are several, or none.
func operation(e whimbrel.StepStarted) string {
	if e.StepKind == whimbrel.StepScript || e.StepKind == whimbrel.StepFunc || strings.Contains(e.Summary, ",") {
		return ""
	}
	return e.Summary
}

func (s *spans) set(span trace.Span, attributes ...attribute.KeyValue) {
	if span != nil {
		span.SetAttributes(attributes...)
	}
}

// setRows is for the few that change any.
func (s *spans) setRows(span trace.Span, rows int64) {
	if rows > 0 {
		s.set(span, attribute.Int64("whimbrel.rows", rows))
	}
}

func (s *spans) end(span *trace.Span, at time.Time) {
	if *span != nil {
		(*span).End(trace.WithTimestamp(at))
		*span = nil
	}
}

// fail records an error: its code, its SQLSTATE, where, and, as far as it holds no
// values, what.
func (s *spans) fail(span trace.Span, at time.Time, e *whimbrel.Error) {
	if span == nil || e == nil {
		return
	}
	message := e.Error()
	if !s.literals {
		message = withoutLiterals(e)
	}
	if e.Code == whimbrel.CodeInterrupted { // somebody wanted that
		span.SetAttributes(attribute.String("whimbrel.code", string(e.Code)))
		return
	}
	span.SetStatus(codes.Error, message)
	span.SetAttributes(semconv.ErrorTypeKey.String(errorType(e)), attribute.String("whimbrel.code", string(e.Code)))
	if e.SQLState != "" {
		span.SetAttributes(semconv.DBResponseStatusCode(e.SQLState))
	}
	if e.Path != "" {
		span.SetAttributes(attribute.String("code.file.path", e.Path), attribute.Int("code.line.number", e.Line),
			attribute.Int("code.column.number", e.Column))
	}
	exception := []attribute.KeyValue{attribute.String("exception.type", errorType(e)),
		attribute.String("exception.message", message)}
	if s.literals {
		exception = append(exception, attribute.String("whimbrel.detail", e.Detail), attribute.String("whimbrel.hint",
			e.Hint))
		if e.Statement != "" {
			exception = append(exception, semconv.DBQueryText(e.Statement))
		}
	}
	span.AddEvent("exception", trace.WithTimestamp(at), trace.WithAttributes(exception...))
}

func errorType(e *whimbrel.Error) string {
	if e.SQLState != "" {
		return e.SQLState
	}
	return string(e.Code)
}

// namingClasses are the classes of SQLSTATE whose messages name tables, columns,
// constraints, sessions and settings, and quote no value. See appendix A of
// PostgreSQL's documentation.
var namingClasses = []string{"08", "0A", "23", "25", "28", "2B", "3D", "3F", "40", "42", "53", "54", "55", "57"}

// syntaxError is of a class that names, but quotes what the text had at its place.
const syntaxError = "42601"

// withoutLiterals is an error's message where it holds no value of a row or of
// a statement, and only its place and code where it may.
func withoutLiterals(e *whimbrel.Error) string {
	quotes := e.Code == whimbrel.CodeScript || e.Code == whimbrel.CodeAssertion || e.Code == whimbrel.CodeInternal
	if e.SQLState != "" {
		quotes = !slices.Contains(namingClasses, e.SQLState[:min(2, len(e.SQLState))]) || e.SQLState == syntaxError
	}
	if !quotes {
		return e.Error()
	}
	bare := *e
	bare.Message = string(e.Code)
	return bare.Error()
}

// note adds an event to the span at work.
func (s *spans) note(o monitor.Observation) {
	span := s.step
	for _, wider := range []trace.Span{s.migration, s.run} {
		if span == nil {
			span = wider
		}
	}
	if span == nil {
		return
	}
	attributes, told := s.noted(o.Event)
	if told {
		span.AddEvent(o.Event.Kind(), trace.WithTimestamp(o.Time), trace.WithAttributes(attributes...))
	}
}

// noted gives what is said of an event; what quotes values only if asked.
func (s *spans) noted(event whimbrel.Event) (attributes []attribute.KeyValue, told bool) {
	switch e := event.(type) {
	case whimbrel.LeaseWaiting:
		return []attribute.KeyValue{attribute.String("whimbrel.holder", e.Holder.By), elapsed("whimbrel.waited", e.Waited)},
			true
	case whimbrel.LeaseTaken:
		return []attribute.KeyValue{attribute.Int64("whimbrel.token", e.Token), elapsed("whimbrel.waited", e.Waited)}, true
	case whimbrel.LockWaiting:
		return append(blockers(e.Blockers), elapsed("whimbrel.waited", e.Waited)), true
	case whimbrel.TrafficWaiting:
		return append(blockers(e.Waiting), elapsed("whimbrel.longest", e.Longest)), true
	case whimbrel.Retrying:
		return []attribute.KeyValue{attribute.Int("whimbrel.attempt", e.Attempt), semconv.DBResponseStatusCode(e.SQLState),
			elapsed("whimbrel.after", e.After)}, true
	case whimbrel.Reconnected:
		return []attribute.KeyValue{elapsed("whimbrel.waited", e.Waited), attribute.Int("whimbrel.recorded", e.Recorded)},
			true
	case whimbrel.ObjectsLost:
		return []attribute.KeyValue{attribute.String("whimbrel.version", string(e.Migration.Version)),
			attribute.StringSlice("whimbrel.objects", e.Objects)}, true
	case whimbrel.IndexRepaired:
		return []attribute.KeyValue{attribute.String("whimbrel.index", e.Index), attribute.String("whimbrel.action",
			e.Action)}, true
	case whimbrel.BatchPaused:
		return []attribute.KeyValue{attribute.String("whimbrel.reason", e.Reason)}, true
	case whimbrel.BatchResumed:
		return []attribute.KeyValue{elapsed("whimbrel.paused", e.Paused)}, true
	case whimbrel.HookStarted:
		return []attribute.KeyValue{attribute.String("whimbrel.hook", e.Hook)}, true
	case whimbrel.HookFinished:
		return []attribute.KeyValue{attribute.String("whimbrel.hook", e.Hook), elapsed("whimbrel.duration", e.Duration)}, true
	case whimbrel.SchemaCreated:
		return []attribute.KeyValue{attribute.String("whimbrel.schema", e.Schema)}, true
	case whimbrel.OtherHistoryFound:
		return []attribute.KeyValue{attribute.String("whimbrel.tool", e.Tool), attribute.String("whimbrel.table", e.Table)},
			true
	case whimbrel.TablesAdopted:
		return []attribute.KeyValue{attribute.String("whimbrel.table", e.Table), attribute.Int("whimbrel.rows", e.Rows)}, true
	case whimbrel.TablesUpgraded:
		return []attribute.KeyValue{attribute.String("whimbrel.table", e.Table), attribute.Int("whimbrel.from", e.From),
			attribute.Int("whimbrel.to", e.To)}, true
	case whimbrel.ProtectionNoted:
		return []attribute.KeyValue{attribute.String("whimbrel.protection", string(e.State))}, true
	case whimbrel.ConnectionLost:
		return nil, true
	case whimbrel.Notice:
		return []attribute.KeyValue{attribute.String("whimbrel.severity", e.Severity), attribute.String("whimbrel.message",
			e.Message)}, s.literals
	case whimbrel.Printed:
		return []attribute.KeyValue{attribute.String("whimbrel.level", e.Level), attribute.String("whimbrel.message",
			e.Text)}, s.literals
	}
	return nil, false
}

// blockers are sessions without their queries.
func blockers(sessions []whimbrel.Blocker) []attribute.KeyValue {
	var pids []int
	var applications []string
	for _, b := range sessions {
		pids = append(pids, b.PID)
		applications = append(applications, b.Application)
	}
	return []attribute.KeyValue{attribute.IntSlice("whimbrel.sessions", pids),
		attribute.StringSlice("whimbrel.applications", applications)}
}

func elapsed(key string, e time.Duration) attribute.KeyValue {
	return attribute.Float64(key+"_seconds", e.Seconds())
}

func title(ref whimbrel.Ref) string {
	return string(ref.Direction) + " " + strings.TrimSuffix(string(ref.Version)+"_"+ref.Name, "_")
}

func of(ref whimbrel.Ref) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("whimbrel.version", string(ref.Version)), attribute.String("whimbrel.name", ref.Name),
		attribute.String("whimbrel.direction", string(ref.Direction)), attribute.String("code.file.path", ref.Path),
	}
}

func memory(when string, m *monitor.Memory) []attribute.KeyValue {
	if m == nil {
		return nil
	}
	return []attribute.KeyValue{
		attribute.Int64("whimbrel.memory."+when+".resident", int64(m.Resident)), attribute.Int64("whimbrel.memory."+when+
			".heap", int64(m.Heap)),
	}
}

// server takes "user@host:port/name" apart, as semantic conventions want it.
func server(database string) []attribute.KeyValue {
	attributes := []attribute.KeyValue{semconv.DBSystemNamePostgreSQL}
	_, address, _ := strings.Cut(database, "@")
	// The host may be a folder of Unix sockets, so the name is behind the last slash.
	slash := strings.LastIndexByte(address, '/')
	if slash < 0 {
		return attributes
	}
	attributes = append(attributes, semconv.DBNamespace(address[slash+1:]))
	colon := strings.LastIndexByte(address[:slash], ':')
	if colon < 0 {
		return attributes
	}
	host, port := address[:colon], address[colon+1:slash]
	if unwrapped, _, err := net.SplitHostPort(address[:slash]); err == nil {
		host = unwrapped
	}
	attributes = append(attributes, semconv.ServerAddress(host))
	if number, err := strconv.Atoi(port); err == nil {
		attributes = append(attributes, semconv.ServerPort(number))
	}
	return attributes
}
