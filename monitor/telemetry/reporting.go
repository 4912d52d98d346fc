package telemetry

import (
	"context"
	"errors"
	"fmt"
	"sync"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// The SDK hands failures of exporters to a handler that the whole program
// shares. These wrappers tell them to anyone who started the telemetry instead.

// reporting tells the first of the failures.
type reporting struct {
	what   string
	report func(error)
	once   sync.Once
}

func (r *reporting) tell(err error) {
	if r.report != nil {
		r.once.Do(func() { r.report(fmt.Errorf("%s cannot be delivered: %w", r.what, withoutSecrets(err))) })
	}
}

type reportingSpans struct {
	sdktrace.SpanExporter
	reporting
}

// ExportSpans implements sdktrace.SpanExporter.
func (r *reportingSpans) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := r.SpanExporter.ExportSpans(ctx, spans); err != nil {
		r.tell(err)
	}
	return nil
}

type reportingMetrics struct {
	sdkmetric.Exporter
	reporting
}

// Export implements sdkmetric.Exporter.
func (r *reportingMetrics) Export(ctx context.Context, metrics *metricdata.ResourceMetrics) error {
	if err := r.Exporter.Export(ctx, metrics); err != nil {
		r.tell(err)
	}
	return nil
}

// userAndQuery are the parts of a URL that hold tokens.
var userAndQuery = plaintext.Pattern(`(://)[^\s"'/@]*@|\?[^\s"']*`)

// withoutSecrets takes what may be tokens out of URLs in an error.
func withoutSecrets(err error) error {
	text := userAndQuery().ReplaceAllString(err.Error(), "${1}")
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}
