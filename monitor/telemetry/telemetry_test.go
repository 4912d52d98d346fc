package telemetry_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/monitor"
	"github.com/whimbrel-db/whimbrel/monitor/telemetry"
)

var server *devdb.Server

// The variables of the environment are the process's own, so these tests run one
// after the other, and begin without any of them.
func TestMain(m *testing.M) {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "OTEL_") || name == "TRACEPARENT" ||
			name == "TRACESTATE" {
			_ = os.Unsetenv(name)
		}
	}
	var err error
	if server, err = devdb.Start(context.Background(), devdb.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, "the tests need a PostgreSQL server:", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// collector is a receiver of OpenTelemetry's protocol, over HTTP and gRPC.
type collector struct {
	collectortrace.UnimplementedTraceServiceServer
	url     string
	mutex   sync.Mutex
	headers []http.Header
	traces  []*tracepb.ResourceSpans
	metrics []*metrics.ResourceMetrics
}

func newCollector(t *testing.T) *collector {
	c := &collector{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			body, _ = gzip.NewReader(r.Body)
		}
		text, err := io.ReadAll(body)
		c.mutex.Lock()
		defer c.mutex.Unlock()
		c.headers = append(c.headers, r.Header)
		switch {
		case err != nil || r.Header.Get("Content-Type") != "application/x-protobuf":
			w.WriteHeader(http.StatusBadRequest)
		case r.URL.Path == "/v1/traces":
			var request collectortrace.ExportTraceServiceRequest
			if proto.Unmarshal(text, &request) == nil {
				c.traces = append(c.traces, request.GetResourceSpans()...)
			}
		case r.URL.Path == "/v1/metrics":
			var request collectormetrics.ExportMetricsServiceRequest
			if proto.Unmarshal(text, &request) == nil {
				c.metrics = append(c.metrics, request.GetResourceMetrics()...)
			}
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	c.url = s.URL
	return c
}

// Export implements the trace service over gRPC.
func (c *collector) Export(_ context.Context,
	request *collectortrace.ExportTraceServiceRequest) (*collectortrace.ExportTraceServiceResponse, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.traces = append(c.traces, request.GetResourceSpans()...)
	return &collectortrace.ExportTraceServiceResponse{}, nil
}

// meter is the metrics service over gRPC.
type meter struct {
	collectormetrics.UnimplementedMetricsServiceServer
	to *collector
}

// Export implements the metrics service.
func (m *meter) Export(_ context.Context,
	request *collectormetrics.ExportMetricsServiceRequest) (*collectormetrics.ExportMetricsServiceResponse, error) {
	m.to.mutex.Lock()
	defer m.to.mutex.Unlock()
	m.to.metrics = append(m.to.metrics, request.GetResourceMetrics()...)
	return &collectormetrics.ExportMetricsServiceResponse{}, nil
}

// spans gives all spans by name; of those with one name, the last.
func (c *collector) spans() map[string]*tracepb.Span {
	found := map[string]*tracepb.Span{}
	for _, resource := range c.traces {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				found[span.GetName()] = span
			}
		}
	}
	return found
}

// values gives attributes as text.
func values(attributes []*common.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range attributes {
		switch v := a.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			all[a.GetKey()] = v.StringValue
		default:
			all[a.GetKey()] = strings.TrimLeft(fmt.Sprint(a.GetValue()), "abcdefghijklmnopqrstuvwxyz_: ")
		}
	}
	return all
}

// run migrates a fresh database up, with telemetry as the environment has it.
func run(t *testing.T, options telemetry.Options, files map[string]string) {
	t.Helper()
	url, drop, err := server.FreshDatabase(t.Context())
	require.NoError(t, err)
	t.Cleanup(drop)
	folder := fstest.MapFS{}
	for name, text := range files {
		folder["m/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	migrations, err := migration.Load(migration.Source{FS: folder, Dir: "m", Label: "m"})
	require.NoError(t, err)
	observed, err := telemetry.Start(t.Context(), options)
	require.NoError(t, err)
	m, err := whimbrel.New(whimbrel.Config{
		Target:   whimbrel.Target{DatabaseURL: url},
		Project:  whimbrel.Project{Migrations: migrations},
		Listener: monitor.Listen(observed.Observer()),
	})
	require.NoError(t, err)
	_, _ = m.Up(t.Context(), whimbrel.UpOptions{}) // some are to fail
	require.NoError(t, observed.Close(t.Context()))
}

// secretive fails with a message and a detail that hold a value.
var secretive = map[string]string{
	"1_users.sql": "CREATE TABLE users (email text PRIMARY KEY);\nINSERT INTO users VALUES ('ann@example.com')",
	"2_twice.sql": "DO $$ BEGIN RAISE NOTICE 'ann@example.com'; END $$;\nSELECT 'ann@example.com'::int",
}

func TestARunIsATraceThatContinuesThePipelines(t *testing.T) {
	c := newCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.url)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer S3cret")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "team=shop")
	t.Setenv("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	t.Setenv("TRACESTATE", "vendor=x")
	run(t, telemetry.Options{Version: "1.2.3", Environment: "production"}, secretive)

	require.Equal(t, "Bearer S3cret", c.headers[0].Get("Authorization"))
	resource := values(c.traces[0].GetResource().GetAttributes())
	require.Equal(t, "whimbrel", resource["service.name"])
	require.Equal(t, "1.2.3", resource["service.version"])
	require.Equal(t, "production", resource["deployment.environment.name"])
	require.Equal(t, "shop", resource["team"])

	spans := c.spans()
	up, first, second, step := spans["whimbrel up"], spans["up 1_users"], spans["up 2_twice"], spans["CREATE TABLE, "+
		"INSERT"]
	for _, span := range []*tracepb.Span{up, first, second, step} {
		require.NotNil(t, span, "%v", spans)
		require.Equal(t, "0af7651916cd43dd8448eb211c80319c", fmt.Sprintf("%x", span.GetTraceId()))
		require.GreaterOrEqual(t, span.GetEndTimeUnixNano(), span.GetStartTimeUnixNano())
	}
	require.Equal(t, "b7ad6b7169203331", fmt.Sprintf("%x", up.GetParentSpanId()))
	require.Equal(t, "vendor=x", up.GetTraceState())
	require.Equal(t, up.GetSpanId(), first.GetParentSpanId())
	require.Equal(t, up.GetSpanId(), second.GetParentSpanId())
	require.Equal(t, first.GetSpanId(), step.GetParentSpanId())
	require.Equal(t, tracepb.Span_SPAN_KIND_CLIENT, step.GetKind())

	attributes := values(step.GetAttributes())
	require.Equal(t, "postgresql", attributes["db.system.name"])
	require.Equal(t, "CREATE TABLE, INSERT", attributes["db.query.summary"])
	require.NotEmpty(t, attributes["db.namespace"])
	require.NotEmpty(t, attributes["server.address"])
	require.NotContains(t, attributes, "db.operation.name") // there are two
	attributes = values(first.GetAttributes())
	require.Equal(t, "1", attributes["whimbrel.version"])
	require.Equal(t, "m/1_users.sql", attributes["code.file.path"])
	require.NotEmpty(t, attributes["whimbrel.memory.before.resident"])
	require.NotEmpty(t, attributes["whimbrel.memory.after.heap"])
	require.Equal(t, tracepb.Status_STATUS_CODE_UNSET, first.GetStatus().GetCode())
}

func TestErrorsAreRecordedWithoutLiterals(t *testing.T) {
	c := newCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.url)
	run(t, telemetry.Options{}, secretive)
	failed := c.spans()["up 2_twice"]
	require.Equal(t, tracepb.Status_STATUS_CODE_ERROR, failed.GetStatus().GetCode())
	attributes := values(failed.GetAttributes())
	require.Equal(t, "22P02", attributes["error.type"])
	require.Equal(t, "22P02", attributes["db.response.status_code"])
	require.Equal(t, "2", attributes["code.line.number"])
	require.Contains(t, failed.GetStatus().GetMessage(), "m/2_twice.sql:2:")
	require.NotContains(t, fmt.Sprint(c.traces), "ann@example.com")
	require.Equal(t, tracepb.Status_STATUS_CODE_ERROR, c.spans()["whimbrel up"].GetStatus().GetCode())

	asked := newCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", asked.url)
	run(t, telemetry.Options{Literals: true}, secretive)
	var event *tracepb.Span_Event
	for _, e := range asked.spans()["up 2_twice"].GetEvents() {
		if e.GetName() == "exception" {
			event = e
		}
	}
	require.Contains(t, values(event.GetAttributes())["exception.message"], `"ann@example.com"`)
	require.Contains(t, values(event.GetAttributes())["db.query.text"], "SELECT 'ann@example.com'::int")
}

func TestMessagesThatNameThingsAreRecorded(t *testing.T) {
	c := newCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.url)
	run(t, telemetry.Options{}, map[string]string{"1_a.sql": "DROP TABLE nowhere"})
	require.Contains(t, c.spans()["up 1_a"].GetStatus().GetMessage(), `table "nowhere" does not exist`)
	require.Equal(t, "DROP TABLE", values(c.spans()["DROP TABLE"].GetAttributes())["db.operation.name"])
}

func TestMetricsAreSent(t *testing.T) {
	c := newCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", c.url+"/v1/metrics")
	run(t, telemetry.Options{}, secretive)
	require.Empty(t, c.traces)
	found := map[string]*metrics.Metric{}
	for _, m := range c.metrics[len(c.metrics)-1].GetScopeMetrics()[0].GetMetrics() {
		found[m.GetName()] = m
	}
	counts := map[string]uint64{}
	for _, point := range found["whimbrel.migration.duration"].GetHistogram().GetDataPoints() {
		attributes := values(point.GetAttributes())
		counts[attributes["whimbrel.direction"]+" "+attributes["whimbrel.outcome"]+" "+
			attributes["error.type"]] = point.GetCount()
		require.NotContains(t, attributes, "whimbrel.version")
	}
	require.Equal(t, map[string]uint64{"up done ": 1, "up failed 22P02": 1}, counts)
	require.Equal(t, "s", found["db.client.operation.duration"].GetUnit())
	require.Len(t, found["db.client.operation.duration"].GetHistogram().GetDataPoints(), 2)
	require.Len(t, found["whimbrel.process.memory"].GetGauge().GetDataPoints(), 2)
	require.Equal(t, int64(1), found["whimbrel.rows"].GetSum().GetDataPoints()[0].GetAsInt())
}

func TestTracesAndMetricsGoByGRPCToo(t *testing.T) {
	c := &collector{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := grpc.NewServer()
	collectortrace.RegisterTraceServiceServer(s, c)
	collectormetrics.RegisterMetricsServiceServer(s, &meter{to: c})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(listener) // it ends when it is stopped
	}()
	t.Cleanup(func() { s.Stop(); <-done })
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+listener.Addr().String())
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	run(t, telemetry.Options{}, secretive)
	require.NotNil(t, c.spans()["up 1_users"])
	var names []string
	for _, m := range c.metrics[len(c.metrics)-1].GetScopeMetrics()[0].GetMetrics() {
		names = append(names, m.GetName())
	}
	require.Contains(t, names, "whimbrel.migration.duration")
}

func TestNothingStartsUnlessTheEnvironmentAsksForIt(t *testing.T) {
	for name, environment := range map[string]map[string]string{
		"nothing":            {},
		"only a trace":       {"TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		"only an exporter":   {"OTEL_TRACES_EXPORTER": "otlp"},
		"it is switched off": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1", "OTEL_SDK_DISABLED": "true"},
		"both are none": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1", "OTEL_TRACES_EXPORTER": "none",
			"OTEL_METRICS_EXPORTER": "none"},
	} {
		t.Run(name, func(t *testing.T) {
			for key, value := range environment {
				t.Setenv(key, value)
			}
			require.False(t, telemetry.Enabled())
			started, err := telemetry.Start(t.Context(), telemetry.Options{})
			require.NoError(t, err)
			require.Nil(t, started)
			require.Nil(t, started.Observer())
			require.Nil(t, monitor.Listen(started.Observer()))
			require.NoError(t, started.Close(t.Context()))
		})
	}
}

func TestWhatCannotBeDeliveredIsSaidOnceAndWithoutTokens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close()) // nobody is there now
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://ann:S3cret@"+address)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=S3cret")
	var said bytes.Buffer
	var mutex sync.Mutex
	run(t, telemetry.Options{Report: func(err error) {
		mutex.Lock()
		defer mutex.Unlock()
		fmt.Fprintln(&said, err)
	}}, secretive)
	require.Equal(t, 1, strings.Count(said.String(), "traces cannot be delivered"))
	require.Equal(t, 1, strings.Count(said.String(), "metrics cannot be delivered"))
	require.NotContains(t, said.String(), "S3cret")
}

func TestWhatIsNotSupportedIsSaidAndTheRestStarts(t *testing.T) {
	c := newCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.url)
	t.Setenv("OTEL_METRICS_EXPORTER", "prometheus")
	started, err := telemetry.Start(t.Context(), telemetry.Options{})
	require.ErrorContains(t, err, "metrics are not sent: OTEL_METRICS_EXPORTER=prometheus is not supported")
	require.NotNil(t, started.Observer())
	require.NoError(t, started.Close(t.Context()))
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
	started, err = telemetry.Start(t.Context(), telemetry.Options{})
	require.ErrorContains(t, err, `the protocol "http/json" is not supported`)
	require.Nil(t, started.Observer())
	require.NoError(t, started.Close(t.Context()))
}
