package telemetry

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/monitor"
)

// numbers makes metrics of events. No version is a label: their number grows
// without end, and traces have them.
type numbers struct {
	migrations metric.Float64Histogram
	operations metric.Float64Histogram
	lease      metric.Float64Histogram
	retries    metric.Int64Counter
	rows       metric.Int64Counter
	memory     metric.Int64Gauge

	server  []attribute.KeyValue
	summary string                                 // of the step at work
	began   time.Time                              // of that step; zero where none is at work
	options map[optionKey]metric.MeasurementOption // attributes that come again and again
}

func newNumbers(meter metric.Meter) (*numbers, error) {
	n := &numbers{}
	var errs [6]error
	n.migrations, errs[0] = meter.Float64Histogram("whimbrel.migration.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of migrations."), buckets)
	n.operations, errs[1] = meter.Float64Histogram("db.client.operation.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of the steps of migrations."), buckets)
	n.lease, errs[2] = meter.Float64Histogram("whimbrel.lease.wait.duration", metric.WithUnit("s"),
		metric.WithDescription("Time spent waiting for another runner."), buckets)
	n.retries, errs[3] = meter.Int64Counter("whimbrel.retries", metric.WithUnit("{retry}"),
		metric.WithDescription("Steps that backed off and were sent again."))
	n.rows, errs[4] = meter.Int64Counter("whimbrel.rows", metric.WithUnit("{row}"),
		metric.WithDescription("Rows that migrations changed."))
	n.memory, errs[5] = meter.Int64Gauge("whimbrel.process.memory", metric.WithUnit("By"),
		metric.WithDescription("Resident memory of the process before and after a migration."))
	return n, errors.Join(errs[:]...)
}

// optionKey is the only thing in which attributes of one kind differ.
type optionKey struct{ kind, value string }

// buckets reach from a millisecond to an hour: migrations do both.
var buckets = metric.WithExplicitBucketBoundaries(.001, .005, .01, .05, .1, .5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600)

func (n *numbers) observe(o monitor.Observation) {
	ctx := context.Background()
	switch e := o.Event.(type) {
	case whimbrel.RunStarted:
		n.server, n.options = server(e.Database), map[optionKey]metric.MeasurementOption{}
	case whimbrel.LeaseTaken:
		n.lease.Record(ctx, e.Waited.Seconds())
	case whimbrel.Retrying:
		n.retries.Add(ctx, 1, metric.WithAttributes(semconv.DBResponseStatusCode(e.SQLState)))
	case whimbrel.StepStarted:
		n.summary, n.began = operation(e), o.Time
	case whimbrel.StepFinished:
		n.operations.Record(ctx, e.Duration.Seconds(), n.operation())
		n.began = time.Time{}
	case whimbrel.MigrationStarted:
		n.remember(ctx, "before", o.Before)
	case whimbrel.MigrationFinished:
		n.remember(ctx, "after", o.After)
		n.migrations.Record(ctx, e.Duration.Seconds(), n.migration(e.Migration.Direction))
		if e.Rows > 0 {
			n.rows.Add(ctx, e.Rows, n.migration(e.Migration.Direction))
		}
	case whimbrel.Failed:
		n.remember(ctx, "after", o.After)
		n.failed(ctx, o.Time, e)
	}
}

// remember records the memory before or after a migration.
func (n *numbers) remember(ctx context.Context, when string, m *monitor.Memory) {
	if m != nil {
		n.memory.Record(ctx, int64(m.Resident), n.option(optionKey{"memory", when}, func() []attribute.KeyValue {
			return []attribute.KeyValue{attribute.String("whimbrel.when", when)}
		}))
	}
}

func (n *numbers) operation() metric.MeasurementOption {
	return n.option(optionKey{"operation", n.summary}, func() []attribute.KeyValue { return n.ofStep() })
}

func (n *numbers) ofStep() []attribute.KeyValue {
	attributes := slices.Clone(n.server)
	if n.summary != "" {
		attributes = append(attributes, semconv.DBOperationName(n.summary))
	}
	return attributes
}

func (n *numbers) migration(direction whimbrel.Direction) metric.MeasurementOption {
	return n.option(optionKey{"migration", string(direction)}, func() []attribute.KeyValue {
		return append(slices.Clone(n.server), attribute.String("whimbrel.direction", string(direction)),
			attribute.String("whimbrel.outcome", "done"))
	})
}

// option keeps the attributes that come again and again.
func (n *numbers) option(key optionKey, attributes func() []attribute.KeyValue) metric.MeasurementOption {
	option, ok := n.options[key]
	if !ok {
		option = metric.WithAttributeSet(attribute.NewSet(attributes()...))
		if n.options != nil {
			n.options[key] = option
		}
	}
	return option
}

func (n *numbers) failed(ctx context.Context, at time.Time, e whimbrel.Failed) {
	var what []attribute.KeyValue
	outcome := "failed"
	if e.Error != nil && e.Error.Code == whimbrel.CodeInterrupted {
		outcome = "stopped"
	} else if e.Error != nil {
		what = append(what, semconv.ErrorTypeKey.String(errorType(e.Error)))
	}
	n.migrations.Record(ctx, e.Duration.Seconds(), metric.WithAttributes(slices.Concat(n.server, what,
		[]attribute.KeyValue{
			attribute.String("whimbrel.direction", string(e.Migration.Direction)), attribute.String("whimbrel.outcome", outcome),
		})...))
	if !n.began.IsZero() {
		n.operations.Record(ctx, max(at.Sub(n.began), 0).Seconds(), metric.WithAttributes(append(n.ofStep(), what...)...))
		n.began = time.Time{}
	}
}
