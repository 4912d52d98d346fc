// Package telemetry sends traces and metrics of runs by OpenTelemetry's protocol.
//
// It is configured by the standard variables of the environment: nothing starts
// unless OTEL_EXPORTER_OTLP_ENDPOINT, or the one for traces or metrics alone, is
// set. TRACEPARENT and TRACESTATE, by which a pipeline hands its trace on, are
// continued.
//
// A run is a span with a span for each migration, which has one for each step;
// attributes follow the semantic conventions for databases. No literal of SQL and
// no message that may quote one is sent unless Options asks for it.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/whimbrel-db/whimbrel/internal/otelenv"
	"github.com/whimbrel-db/whimbrel/monitor"
)

// scope is the name under which spans and metrics are sent.
const scope = "github.com/whimbrel-db/whimbrel"

// Options refine what the environment's variables say.
type Options struct {
	Version     string // of whimbrel
	Environment string // "production"; deployment.environment.name
	// Literals sends what may hold values: messages, details and notices of the
	// server, and the lines of SQL that failed.
	Literals bool
	// Report hears, once for traces and once for metrics, that they cannot be
	// delivered. It may be called by any goroutine; nil to hear nothing.
	Report func(error)
}

// Telemetry observes one Migrator. A nil *Telemetry observes nothing.
type Telemetry struct {
	options Options
	traces  *sdktrace.TracerProvider // nil where they are not wanted
	metrics *sdkmetric.MeterProvider // nil likewise
	spans   *spans
	numbers *numbers
}

// Enabled reports whether the environment asks for telemetry.
func Enabled() bool { return otelenv.Any() }

// protocol is the one for a signal; "http/protobuf" unless set.
func protocol(signal string) string {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_" + signal + "_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if value := strings.TrimSpace(os.Getenv(name)); value != "" {
			return value
		}
	}
	return "http/protobuf"
}

// Start begins telemetry if the environment asks for it, and gives nil otherwise.
// It does not connect. What can be started is started even if an error says
// that something cannot.
func Start(ctx context.Context, options Options) (*Telemetry, error) {
	if !Enabled() {
		return nil, nil // a nil *Telemetry works, and observes nothing
	}
	described, err := describe(ctx, options)
	if err != nil {
		return nil, err
	}
	t := &Telemetry{options: options}
	var problems []error
	if otelenv.Signal("TRACES") {
		if t.traces, err = startTraces(ctx, described, options); err != nil {
			problems = append(problems, fmt.Errorf("traces are not sent: %w", err))
		} else {
			t.spans = newSpans(parent(), t.traces.Tracer(scope), options.Literals)
		}
	}
	if otelenv.Signal("METRICS") {
		if t.metrics, err = startMetrics(ctx, described, options); err == nil {
			t.numbers, err = newNumbers(t.metrics.Meter(scope))
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("metrics are not sent: %w", err))
		}
	}
	return t, errors.Join(problems...)
}

// describe says of what the telemetry is. OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES have the last word.
func describe(ctx context.Context, options Options) (*resource.Resource, error) {
	attributes := []attribute.KeyValue{semconv.ServiceName("whimbrel")}
	if options.Version != "" {
		attributes = append(attributes, semconv.ServiceVersion(options.Version))
	}
	if options.Environment != "" {
		attributes = append(attributes, attribute.String("deployment.environment.name", options.Environment))
	}
	described, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(), resource.WithProcessPID(),
		resource.WithAttributes(attributes...), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return described, nil
}

// Spans wait in a queue until they are sent. The SDK's default of 2048 would lose
// some where thousands of small migrations run in a second.
const spanQueue = 1 << 16

func startTraces(ctx context.Context, described *resource.Resource, options Options) (*sdktrace.TracerProvider, error) {
	if name := otelenv.Exporter("TRACES"); name != "" && name != "otlp" {
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER=%s is not supported: it is otlp or none", name)
	}
	var sender sdktrace.SpanExporter
	var err error
	switch name := protocol("TRACES"); name {
	case "http/protobuf":
		sender, err = otlptracehttp.New(ctx)
	case "grpc":
		sender, err = otlptracegrpc.New(ctx)
	default:
		err = fmt.Errorf("the protocol %q is not supported: it is http/protobuf or grpc", name)
	}
	if err != nil {
		return nil, withoutSecrets(err)
	}
	var batching []sdktrace.BatchSpanProcessorOption
	if os.Getenv("OTEL_BSP_MAX_QUEUE_SIZE") == "" {
		batching = append(batching, sdktrace.WithMaxQueueSize(spanQueue))
	}
	return sdktrace.NewTracerProvider(sdktrace.WithResource(described),
		sdktrace.WithBatcher(&reportingSpans{SpanExporter: sender, reporting: reporting{what: "traces",
			report: options.Report}}, batching...)), nil
}

func startMetrics(ctx context.Context, described *resource.Resource,
	options Options) (*sdkmetric.MeterProvider, error) {
	if name := otelenv.Exporter("METRICS"); name != "" && name != "otlp" {
		return nil, fmt.Errorf("OTEL_METRICS_EXPORTER=%s is not supported: it is otlp or none", name)
	}
	var sender sdkmetric.Exporter
	var err error
	switch name := protocol("METRICS"); name {
	case "http/protobuf":
		sender, err = otlpmetrichttp.New(ctx)
	case "grpc":
		sender, err = otlpmetricgrpc.New(ctx)
	default:
		err = fmt.Errorf("the protocol %q is not supported: it is http/protobuf or grpc", name)
	}
	if err != nil {
		return nil, withoutSecrets(err)
	}
	reader := sdkmetric.NewPeriodicReader(&reportingMetrics{Exporter: sender, reporting: reporting{what: "metrics",
		report: options.Report}})
	return sdkmetric.NewMeterProvider(sdkmetric.WithResource(described), sdkmetric.WithReader(reader)), nil
}

// parent is the trace that the pipeline hands on.
func parent() context.Context {
	carrier := propagation.MapCarrier{"traceparent": os.Getenv("TRACEPARENT"), "tracestate": os.Getenv("TRACESTATE")}
	return propagation.TraceContext{}.Extract(context.Background(), carrier)
}

// Observer is what monitor.Listen takes; nil where there is no telemetry.
func (t *Telemetry) Observer() monitor.Observer {
	if t == nil || t.spans == nil && t.numbers == nil {
		return nil
	}
	return t.observe
}

func (t *Telemetry) observe(o monitor.Observation) {
	if t.spans != nil {
		t.spans.observe(o)
	}
	if t.numbers != nil {
		t.numbers.observe(o)
	}
}

// Close sends what has not been sent yet, and ends telemetry. It waits for that
// until the context ends: give it a deadline. What could not be delivered is an
// error, and lost.
func (t *Telemetry) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	var closing sync.WaitGroup
	var problems [2]error
	if t.traces != nil {
		closing.Go(func() { problems[0] = t.traces.Shutdown(ctx) })
	}
	if t.metrics != nil {
		closing.Go(func() { problems[1] = t.metrics.Shutdown(ctx) })
	}
	closing.Wait()
	if err := errors.Join(problems[:]...); err != nil {
		return fmt.Errorf("sending telemetry: %w", withoutSecrets(err))
	}
	return nil
}
