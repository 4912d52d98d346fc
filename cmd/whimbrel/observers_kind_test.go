package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is wrong with an observer either ends the command before it begins, or is said
// below a run that it does not change.
type observing struct {
	text    string // whimbrel.yaml, or a protocol for telemetry
	refused bool
	said    string
}

const carrier = "OTEL_EXPORTER_OTLP_PROTOCOL="

var observings = map[string]observing{
	"none":                         {"", false, ""},
	"a textfile":                   {"metrics: {textfile: run.prom}", false, ""},
	"a textfile of another name":   {"metrics: {textfile: migrations}", true, "metrics.textfile"},
	"a textfile in no folder":      {"metrics: {textfile: nowhere/run.prom}", false, "nowhere"},
	"a textfile of no variable":    {"metrics: {textfile: '${UNSET}.prom'}", true, "UNSET is not set"},
	"a gateway that is away":       {"metrics: {pushgateway: 'http://127.0.0.1:1'}", false, "127.0.0.1:1"},
	"a gateway that is no address": {"metrics: {pushgateway: 'http://a b:c'}", false, "http"},
	"a log":                        {"log: {format: json, file: run.log}", false, ""},
	"a log that is a folder":       {"log: {format: json, file: migrations}", true, "log.file: migrations"},
	"a log in no folder":           {"log: {format: text, file: nowhere/run.log}", true, "log.file: nowhere/run.log"},
	"a log of no variable":         {"log: {format: text, file: '${UNSET}'}", true, "UNSET is not set"},
	"a sink that is away":          {"alerts: {grace: 1s, sinks: [{url: 'http://127.0.0.1:1'}]}", false, ""},
	"a sink that is no program":    {"alerts: {grace: 1s, sinks: [{url: 'exec:/no/such/program'}]}", false, ""},
	"a sink that is no address":    {"alerts: {sinks: [{url: 'slack://'}]}", true, "alerts.sinks"},
	"a sink of no variable":        {"alerts: {sinks: [{url: '${UNSET}'}]}", true, "UNSET is not set"},
	"a link of no variable": {"alerts: {link: '${UNSET}', sinks: [{url: 'http://127.0.0.1:1'}]}", true,
		"UNSET is not set"},
	"telemetry that is no protocol": {carrier + "carrier-pigeon", false, "telemetry"},
	"telemetry that is away":        {carrier + "http/protobuf", false, "127.0.0.1:1"},
	"all at once": {
		"metrics: {textfile: run.prom, pushgateway: 'http://127.0.0.1:1'}\nlog: {format: json, file: run.log}\n" +
			"alerts: {grace: 1s, sinks: [{url: 'http://127.0.0.1:1'}]}", false, "127.0.0.1:1",
	},
	"all at once, and the last of them wrong": {
		"metrics: {textfile: run.prom}\nlog: {format: json, file: run.log}\nalerts: {sinks: [{url: 'slack://'}]}", true,
		"alerts.sinks",
	},
}

// Whatever is configured to hear of a run, and whatever is wrong with it or with the
// command: a clear error or a warning, never a panic.
func TestNoObserverMakesACommandPanic(t *testing.T) {
	for name := range observings {
		for _, tried := range []observed{
			{[]string{"up"}, exitDone}, {[]string{"up", "--tag", "zzz"}, exitWrongUse},
			{[]string{"deploy", "--tag", "zzz", "--skip-check", "all"}, exitWrongUse},
		} {
			t.Run(name+"/"+strings.Join(tried.args, " "), func(t *testing.T) { tried.with(t, observings[name]) })
		}
	}
	for _, tried := range []observed{
		{[]string{"up", "--max-stall", "1us"}, exitWrongUse},
		{[]string{"up", "--table", "a.b.c"}, exitWrongUse},
		{[]string{"up", "--database-url", "postgres://nobody@127.0.0.1:1/none"}, exitFailed},
		{[]string{"deploy", "--skip-check", "all"}, exitDone},
		{[]string{"down"}, exitDone},
		{[]string{"redo"}, exitDone},
		{[]string{"to", "999"}, exitWrongUse},
		{[]string{"baseline", "999"}, exitWrongUse},
		{[]string{"verify", "--accept", "999"}, exitWrongUse},
	} {
		t.Run("all at once/"+strings.Join(tried.args, " "), func(t *testing.T) { tried.with(t, observings["all at once"]) })
	}
}

// observed is a command, and how it ends where no observer ends it.
type observed struct {
	args []string
	want int
}

func (o observed) with(t *testing.T, by observing) {
	s := newSession(t, map[string]string{"1_a.sql": "CREATE TABLE a ()\n-- +migrate Down\nDROP TABLE a"})
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	if protocol, ok := strings.CutPrefix(by.text, carrier); ok {
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
		t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
		t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "500")
	} else {
		s.configure(by.text + "\n")
	}
	want := o.want
	if by.refused {
		want = exitWrongUse
	}
	var got int
	require.NotPanics(t, func() { got = s.run(o.args...) })
	require.Equal(t, want, got, s.err.String())
	if want != exitDone {
		require.Contains(t, s.err.String(), "✗ ")
		require.Contains(t, s.err.String(), "remedy:")
	}
	if by.refused && o.want == exitDone || len(o.args) == 1 && o.args[0] == "up" {
		require.Contains(t, s.err.String(), by.said)
	}
}

// What was asked for wrongly is no run: nobody is woken up for it, and no metric counts
// it. A run that somebody interrupts has not failed either.
func TestWrongUseAndAnInterruptionAreNoFailures(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"a version that there is not": {"to", "999"}, "a baseline that there is not": {"baseline", "999"},
		"an edit that there is not": {"verify", "--accept", "999"}, "a tag that there is not": {"up", "--tag", "zzz"},
		"no steps": {"up", "--steps", "0"}, "less than no steps": {"up", "--steps", "-1"}, "no time": {"up", "--max-stall",
			"0s"},
		"a table that cannot be": {"up", "--table", "a.b.c"}, "an interruption": {"up"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSession(t, waiting)
			address, received := hook(t)
			s.configure("alerts: {sinks: [{url: " + address + ", secret: secret}]}\nmetrics: {textfile: run.prom}\n")
			want := exitWrongUse
			if name == "an interruption" {
				want = exitInterrupted
				s.value("SELECT pg_advisory_lock(1)::text")
				done := s.start(args...)
				s.awaitQuery("pg_advisory_xact_lock")
				s.interrupts <- os.Interrupt
				s.interrupts <- os.Interrupt
				require.Equal(t, want, <-done, s.err.String())
			} else {
				require.Equal(t, want, s.run(args...), s.err.String())
			}
			require.Empty(t, received)
			written, err := os.ReadFile(filepath.Join(s.env.folder, "run.prom"))
			if !errors.Is(err, fs.ErrNotExist) {
				require.NoError(t, err)
			}
			require.NotRegexp(t, `(?m)outcome="failed"[^\n]*\} [1-9]`, string(written))
		})
	}
}
