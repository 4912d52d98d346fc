// Package otelenv reads from OpenTelemetry's variables of the environment
// whether telemetry is wanted, without any of what sends it: a program that has no
// telemetry can say so to anyone who asks for some.
package otelenv

import (
	"os"
	"strings"
)

// Any reports whether the environment asks for telemetry of any kind.
func Any() bool { return Signal("TRACES") || Signal("METRICS") }

// Signal reports whether the environment asks for one, "TRACES" or "METRICS".
func Signal(signal string) bool {
	if strings.EqualFold(strings.TrimSpace(os.Getenv("OTEL_SDK_DISABLED")), "true") || Exporter(signal) == "none" {
		return false
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") != ""
}

// Exporter is the exporter that is named for a signal; "" for none.
func Exporter(signal string) string {
	return strings.TrimSpace(os.Getenv("OTEL_" + signal + "_EXPORTER"))
}
