//go:build !lean

package main

import (
	"context"
	"fmt"

	"github.com/whimbrel-db/whimbrel/monitor/telemetry"
)

// startTelemetry begins what the OTEL_* variables ask for. What is wrong with them
// is said, and no reason not to migrate.
func (o *observers) startTelemetry(ctx context.Context) {
	if !telemetry.Enabled() {
		return
	}
	traced, err := telemetry.Start(ctx, telemetry.Options{
		Version: build().Version, Environment: o.in, Literals: o.file.Telemetry.Literals, Report: o.problem,
	})
	if err != nil {
		o.problem(fmt.Errorf("telemetry: %w", err))
	}
	if observer := traced.Observer(); observer != nil {
		o.all = append(o.all, observer)
	}
	o.endings = append(o.endings, traced.Close)
}
