package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/monitor"
)

func newMetrics(a *app) *cobra.Command {
	shown := metricsFlags{}
	command := &cobra.Command{
		Use:   "metrics",
		Short: "Show migration metrics: counts, durations, failures",
		Long: `Show figures about the history of this database, by whatever process it was
made: how many attempts there were and how many succeeded, how long they took,
which migrations failed and how often, what was retried and what waited, the
slowest and the last ten. What was only recorded (baseline, accepted edits)
does not count.`,
		Example: `  whimbrel metrics
  whimbrel metrics --since 30d
  whimbrel metrics --chart
  whimbrel metrics --json
  whimbrel metrics --openmetrics > whimbrel.txt`,
		Args: arguments(0, 0, ""),
		RunE: func(command *cobra.Command, _ []string) error { return a.metrics(command, shown) },
	}
	command.Flags().StringVar(&shown.since, "since", "",
		"only what happened since then: `30d`, 12h, 2026-01-31 or a time as RFC 3339 has it")
	command.Flags().BoolVar(&shown.chart, "chart", false, "draw how long the attempts took, over time")
	command.Flags().BoolVar(&shown.open, "openmetrics", false, "print the text format of OpenMetrics, for Prometheus")
	return command
}

// metricsFlags say what metrics shows, and how.
type metricsFlags struct {
	since       string
	chart, open bool
}

func (f metricsFlags) check(json bool) error {
	ways := 0
	for _, asked := range []bool{f.chart, f.open, json} {
		if asked {
			ways++
		}
	}
	if ways > 1 {
		return usage("use only one of them", "--chart, --openmetrics and --json are three ways to show the same")
	}
	return nil
}

func (a *app) metrics(command *cobra.Command, shown metricsFlags) error {
	if err := shown.check(a.flags.json); err != nil {
		return err
	}
	since, err := readSince(shown.since, time.Now())
	if err != nil {
		return err
	}
	p, migrator, err := a.openRecords(command.Context())
	if err != nil {
		return err
	}
	attempts, err := monitor.ReadAttempts(command.Context(), migrator, since)
	if err != nil {
		return err
	}
	for i := range attempts { // times are shown in the zone of this machine
		attempts[i].At = attempts[i].At.Local()
	}
	measured := monitor.Measure(attempts)
	switch {
	case a.flags.json:
		a.object(measured)
	case shown.open:
		a.print(string(measured.OpenMetrics(labels(p.Database.Environment)...)))
	case shown.chart:
		ascii := a.variable("TERM") == "dumb" || a.variable("LC_ALL") == "C"
		a.print(monitor.Chart(attempts, monitor.ChartOptions{Width: a.outWidth, ASCII: ascii}))
	default:
		a.print(measured.Text())
	}
	return nil
}

// labels are what all samples of a database's metrics carry.
func labels(environment string) []present.Label {
	if environment == "" {
		return nil
	}
	return []present.Label{{Name: "environment", Value: environment}}
}

// print writes a text that is what the command was asked for, even with --quiet.
func (a *app) print(text string) {
	_, _ = a.out.Write([]byte(strings.TrimRight(text, "\n") + "\n"))
}
