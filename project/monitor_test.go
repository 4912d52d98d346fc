package project

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/redact"
	"github.com/whimbrel-db/whimbrel/monitor"
	"github.com/whimbrel-db/whimbrel/monitor/alert"
)

func TestConfigReadsAlertsLogsAndMetrics(t *testing.T) {
	t.Parallel()
	c, err := Parse(Name, []byte(`
environments:
  production: {url: postgres://db/app}
alerts:
  slow_medium: 2m
  slow_high: 0s
  lock_wait: 30s
  lease_wait: 1m
  traffic_wait: 2s
  stalled: 3m
  link: ${CI_JOB_URL:-}
  grace: 10s
  sinks:
    - url: slack://${TOKEN}
      name: on-call
      severity: high
      environments: [production]
    - url: https://hooks.example.com/x
      secret: ${SECRET}
    - url: ${NONE:-}
log: {format: json, level: warn, file: events.log}
metrics: {pushgateway: http://push:9091, job: shop, textfile: /x/whimbrel.prom}
telemetry: {literals: true}
`), nil)
	require.NoError(t, err)
	require.Equal(t, alert.Limits{SlowMedium: 2 * time.Minute, SlowHigh: -1, Lock: 30 * time.Second, Lease: time.Minute,
		Traffic: 2 * time.Second, Still: 3 * time.Minute}, c.limits())
	require.Equal(t, alert.Limits{}, File{}.limits(), "what is not said has its default")
	require.Equal(t, 10*time.Second, c.Alerts.Grace)
	require.Equal(t, Log{Format: monitor.LogJSON, Level: "warn", File: "events.log"}, c.Log)
	level, err := c.Log.level()
	require.NoError(t, err)
	require.Equal(t, slog.LevelWarn, level)
	require.Equal(t, Metrics{Pushgateway: "http://push:9091", Job: "shop", Textfile: "/x/whimbrel.prom"}, c.Metrics)
	require.True(t, c.Telemetry.Literals)

	lookup := variables{"TOKEN": "a/b/c", "SECRET": "whsec_x"}.lookup
	targets, places, err := c.targets("production", false, lookup)
	require.NoError(t, err)
	require.Equal(t, []alert.Target{
		{Name: "on-call", URL: "slack://a/b/c", Severity: alert.High, Environments: []string{"production"}},
		{URL: "https://hooks.example.com/x", Secret: "whsec_x", Severity: alert.Low},
	}, targets)
	require.Equal(t, []string{"0", "1"}, places)
	targets, places, err = c.targets("", false, lookup)
	require.NoError(t, err)
	require.Len(t, targets, 1)
	require.Equal(t, []string{"1"}, places)
	targets, _, err = c.targets("", true, lookup)
	require.NoError(t, err)
	require.Len(t, targets, 2)
	_, _, err = c.targets("", false, variables{}.lookup)
	var e *whimbrel.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, [2]int{19, 15}, [2]int{e.Line, e.Column})
	require.Contains(t, e.Message, "SECRET is not set")
}

func TestErrorsAboutAlertsLogsAndMetricsNameTheirPlace(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text         string
		line, column int
		message      string
		remedy       string
	}{
		"an unknown key of alerts": {"alerts:\n  slow: 1m\n", 2, 3, `unknown key "slow"`, ""},
		"an unknown key of a sink": {"alerts:\n  sinks:\n    - ulr: x\n", 3, 7, `unknown key "ulr"`,
			"did you mean url?"},
		"a sink that is a text":  {"alerts:\n  sinks:\n    - slack://x\n", 3, 7, "", ""},
		"sinks that are no list": {"alerts:\n  sinks:\n    url: x\n", 3, 5, "", ""},
		"a sink without a url": {"alerts:\n  sinks:\n    - url: a:b\n    - name: x\n", 4, 7, "a sink without a url",
			"slack://"},
		"an unknown severity": {"alerts:\n  sinks:\n    - url: a:b\n      severity: hihg\n", 4, 17,
			`unknown severity "hihg"`, "low, medium, high or critical"},
		"an unknown environment": {"environments: {prod: {embedded: true}}\nalerts:\n  sinks:\n    - url: a:b\n" +
			"      environments: [prod, prud]\n", 5, 28, `unknown environment "prud"`, "did you mean prod?"},
		"a negative duration": {"alerts:\n  stalled: -1s\n", 2, 12, "alerts.stalled: must not be negative",
			"0s to switch it off"},
		"a duration without a unit":   {"alerts:\n  grace: 5\n", 2, 10, `invalid duration "5"`, ""},
		"an unknown format":           {"log: {format: xml}\n", 1, 15, `unknown format "xml"`, "text or json"},
		"an unknown level":            {"log: {format: json, level: loud}\n", 1, 28, `unknown level "loud"`, "debug, info"},
		"a log without a format":      {"log:\n  file: x\n", 2, 3, "says no format", "format: json"},
		"a textfile nobody reads":     {"metrics: {textfile: a.txt}\n", 1, 21, `does not read "a.txt"`, ".prom"},
		"a job without a gateway":     {"metrics: {job: x}\n", 1, 16, "a job is for a push gateway", ""},
		"an unknown key of telemetry": {"telemetry: {endpoint: x}\n", 1, 13, `unknown key "endpoint"`, ""},
		"a text for a yes or no":      {"telemetry: {literals: maybe}\n", 1, 23, "", ""},
		"an unknown key of metrics": {"metrics: {push_gateway: x}\n", 1, 11, `unknown key "push_gateway"`,
			"did you mean pushgateway?"},
		"a list of environments needed": {"alerts:\n  sinks:\n    - url: a:b\n      environments: prod\n", 4, 21, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse(Name, []byte(test.text), nil)
			var e *whimbrel.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, [2]int{test.line, test.column}, [2]int{e.Line, e.Column}, e.Error())
			require.Contains(t, e.Message, test.message)
			require.Contains(t, e.Remedy, test.remedy)
		})
	}
}

func TestTokensAreNotPrinted(t *testing.T) {
	t.Parallel()
	r := &redact.Redactor{}
	r.Tokens(alert.Target{URL: `slack://xoxb:123456789012-1234567890123-4mt0t4lyK3n@C001CHANNEL`,
		Secret: "whsec_abcdef"}.Secrets()...)
	for _, text := range []string{"4mt0t4lyK3n", "whsec_abcdef", "123456789012"} {
		require.NotContains(t, r.Clean("x "+text+" y"), text)
	}
	require.Equal(t, "a channel of services", r.Clean("a channel of services"))
}
