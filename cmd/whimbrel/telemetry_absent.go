//go:build notelemetry

package main

import (
	"context"
	"fmt"

	"github.com/whimbrel-db/whimbrel/monitor/telemetry/wanted"
)

const hasTelemetry = false

// startTelemetry says to whoever asks for telemetry that there is none. It is no
// reason not to migrate.
func (o *observers) startTelemetry(context.Context) {
	if wanted.Any() {
		e := telemetryPart.lacking("the OTEL_* variables have no effect")
		o.problem(fmt.Errorf("%w; %s", e, e.Remedy))
	}
}
