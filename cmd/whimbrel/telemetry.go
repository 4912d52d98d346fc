//go:build !lean

package main

import (
	"context"
	"fmt"

	"github.com/whimbrel-db/whimbrel/monitor/telemetry"
	"github.com/whimbrel-db/whimbrel/project"
)

// startTelemetry begins what the OTEL_* variables ask for. What is wrong with them
// is said, and no reason not to migrate.
func startTelemetry(ctx context.Context, o *project.Observers, p *project.Project) {
	if !telemetry.Enabled() {
		return
	}
	traced, err := telemetry.Start(ctx, telemetry.Options{
		Version: build().Version, Environment: p.Database.Environment, Literals: p.File.Telemetry.Literals,
		Report: o.Problem,
	})
	if err != nil {
		o.Problem(fmt.Errorf("telemetry: %w", err))
	}
	o.Add(traced.Observer(), traced.Close)
}
