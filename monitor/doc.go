// Package monitor sees what whimbrel does: it listens to the engine's events and
// reads its log. The engine knows nothing about it.
//
//	listener := monitor.Listen(monitor.Log(logger), watch.Observe, telemetry.Observe)
//	migrator, err := whimbrel.New(whimbrel.Config{Listener: listener, …})
//
// Listen gives every observer the engine's events, with the process's memory
// before and after each migration. Observers are:
//
//   - Log, here: structured logs by log/slog
//   - monitor/alert: tells somebody while a migration is slow, stuck or failed;
//     webhooks and commands
//   - monitor/alert/service: sinks for Slack, e-mail, PagerDuty and the many others
//     that shoutrrr speaks
//   - monitor/telemetry: OpenTelemetry traces and metrics
//   - monitor/prometheus: a push gateway, a textfile for the node exporter, an
//     http.Handler
//
// What a database's whole history says, not a single run, is in Metrics, which
// Measure makes of the log that ReadAttempts reads. monitor/openmetrics writes
// it, and what monitor/prometheus counts, in the text formats of Prometheus.
//
// This package, monitor/alert, monitor/openmetrics and monitor/prometheus need
// the standard library, the engine and nothing else; what is heavy is linked only
// by who imports monitor/alert/service or monitor/telemetry.
package monitor
