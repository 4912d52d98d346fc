package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel/internal/millis"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/monitor/alert"
	"github.com/whimbrel-db/whimbrel/project"
)

func newAlert(a *app) *cobra.Command {
	command := &cobra.Command{
		Use:   "alert",
		Short: "Test the alerts for slow, stuck and failed migrations",
		Long: `Alerts go to the sinks below alerts: in whimbrel.yaml, while a migration runs.
docs/monitoring.md has an example of each kind.`,
		Example: `  whimbrel alert test
  whimbrel alert test --env production`,
		Args: arguments(0, 0, ""),
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(newAlertTest(a))
	return command
}

func newAlertTest(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "test",
		Short: "Send a test alert to every configured sink, and show which accepted it",
		Long: `Send a sample alert to every sink of whimbrel.yaml, whatever severity and
environments it wants, and say which of them took it. It needs no database. The
status is 1 if one of them did not take it.`,
		Example: `  whimbrel alert test
  whimbrel alert test --env production --json`,
		Args: arguments(0, 0, ""),
		RunE: func(command *cobra.Command, _ []string) error { return a.tryAlerts(command.Context()) },
	}
}

// A sink is tried for so long, and so often, before it is given up.
const (
	tryPatience = 10 * time.Second
	tries       = 2
)

// deliveryJSON is what alert test prints of a sink with --json.
type deliveryJSON struct {
	Sink      string        `json:"sink"`
	Delivered bool          `json:"delivered"`
	Took      time.Duration `json:"took_ms"`
	Tries     int           `json:"tries"`
	Error     string        `json:"error,omitempty"`
}

// MarshalJSON writes durations in milliseconds.
func (d deliveryJSON) MarshalJSON() ([]byte, error) { return millis.Marshal(&d) }

// deliveriesJSON is what alert test prints with --json.
type deliveriesJSON struct {
	Sinks []deliveryJSON `json:"sinks"`
}

// tryAlerts sends a sample to each sink, and tells of each as soon as it is known.
func (a *app) tryAlerts(ctx context.Context) error {
	p, err := a.project()
	if err != nil {
		return err
	}
	environment := a.flags.env
	routes, err := p.Routes(environment, true)
	if err != nil {
		return err
	}
	if len(routes) == 0 {
		return usage("write alerts: with sinks: into "+project.Name+"; docs/monitoring.md has an example of each kind",
			"no alert sink")
	}
	found, failed := deliveriesJSON{Sinks: []deliveryJSON{}}, false
	for _, route := range routes {
		d := alert.Try(ctx, alert.Options{Environment: environment, Routes: []alert.Route{route}, Timeout: tryPatience,
			Tries: tries}, "")[0]
		if ctx.Err() != nil {
			return ctx.Err()
		}
		found.Sinks = append(found.Sinks, deliveryOf(d))
		failed = failed || d.Err != nil
		a.say("%s", renderDelivery(a.style, d))
	}
	if a.flags.json {
		a.object(found)
	}
	if failed {
		return failedTestError{}
	}
	return nil
}

func deliveryOf(d alert.Delivery) deliveryJSON {
	one := deliveryJSON{Sink: d.Route, Delivered: d.Err == nil, Took: d.Took, Tries: d.Tries}
	if d.Err != nil {
		one.Error = d.Err.Error()
	}
	return one
}

// renderDelivery is a line about a sink.
func renderDelivery(p present.Style, d alert.Delivery) string {
	if d.Err == nil {
		return strings.Join([]string{p.Good("✓"), d.Route, "took it in " + present.Duration(d.Took)}, " ")
	}
	return strings.Join([]string{p.Bad("✗"), d.Route + ":", d.Err.Error()}, " ")
}
