package project

import (
	"log/slog"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel/monitor"
	"github.com/whimbrel-db/whimbrel/monitor/alert"
)

// Alerts say who is told of what, while a migration runs and when it fails.
type Alerts struct {
	Sinks       []Sink        `yaml:"sinks"`
	SlowMedium  time.Duration `yaml:"slow_medium"`
	SlowHigh    time.Duration `yaml:"slow_high"`
	LockWait    time.Duration `yaml:"lock_wait"`
	LeaseWait   time.Duration `yaml:"lease_wait"`
	TrafficWait time.Duration `yaml:"traffic_wait"`
	Stalled     time.Duration `yaml:"stalled"`
	Link        string        `yaml:"link"`
	Grace       time.Duration `yaml:"grace"`
}

// Sink is where alerts go.
type Sink struct {
	Name         string   `yaml:"name"`
	URL          string   `yaml:"url"`
	Secret       string   `yaml:"secret"`
	Severity     string   `yaml:"severity"`
	Environments []string `yaml:"environments"`
}

// Log are about structured logs; without a format there are none.
type Log struct {
	Format monitor.LogFormat `yaml:"format"`
	Level  string            `yaml:"level"`
	File   string            `yaml:"file"`
}

// Metrics say where Prometheus finds what a run counted.
type Metrics struct {
	Pushgateway string `yaml:"pushgateway"`
	Job         string `yaml:"job"`
	Textfile    string `yaml:"textfile"`
}

// Telemetry refine OpenTelemetry, which the OTEL_* variables switch on.
type Telemetry struct {
	Literals bool `yaml:"literals"`
}

// limits are the file's; where it says 0s, that alert is switched off.
func (c File) limits() alert.Limits {
	off := func(key string, value time.Duration) time.Duration {
		if value == 0 && c.at("alerts", key) != nil {
			return -1
		}
		return value
	}
	s := c.Alerts
	return alert.Limits{
		SlowMedium: off("slow_medium", s.SlowMedium), SlowHigh: off("slow_high", s.SlowHigh), Lock: off("lock_wait",
			s.LockWait),
		Lease: off("lease_wait", s.LeaseWait), Traffic: off("traffic_wait", s.TrafficWait), Still: off("stalled", s.Stalled),
	}
}

// level is the least that is logged; slog.LevelInfo unless the file says more.
func (s Log) level() (slog.Level, error) {
	var level slog.Level
	if s.Level == "" {
		return slog.LevelInfo, nil
	}
	return level, level.UnmarshalText([]byte(s.Level))
}

// checkMonitor refuses what can be read of alerts, logs and metrics and makes no
// sense, at its place.
func (c File) checkMonitor() error {
	durations := reflect.ValueOf(c.Alerts)
	for i := range durations.NumField() {
		key := durations.Type().Field(i).Tag.Get("yaml")
		if value, ok := durations.Field(i).Interface().(time.Duration); ok && value < 0 {
			return c.wrong(c.at("alerts", key), "write a positive duration, as in 5m, or 0s to switch it off",
				"alerts.%s: must not be negative", key)
		}
	}
	for i, sink := range c.Alerts.Sinks {
		if err := c.checkSink(strconv.Itoa(i), sink); err != nil {
			return err
		}
	}
	switch {
	case !slices.Contains([]monitor.LogFormat{"", monitor.LogText, monitor.LogJSON}, c.Log.Format):
		return c.wrong(c.at("log", "format"), "write text or json", "log.format: unknown format %q", c.Log.Format)
	case c.Log.Format == "" && (c.Log.Level != "" || c.Log.File != ""):
		return c.wrong(c.at("log"), "write format: text or format: json",
			"log: it says no format, so nothing would be logged")
	case c.Metrics.Job != "" && c.Metrics.Pushgateway == "":
		return c.wrong(c.at("metrics", "job"), "write pushgateway: http://…, or remove it",
			"metrics.job: a job is for a push gateway")
	case c.Metrics.Textfile != "" && !strings.HasSuffix(c.Metrics.Textfile, ".prom"):
		return c.wrong(c.at("metrics", "textfile"), "let its name end in .prom",
			"metrics.textfile: the node exporter does not read %q", c.Metrics.Textfile)
	}
	if _, err := c.Log.level(); err != nil {
		return c.wrong(c.at("log", "level"), "write debug, info, warn or error", "log.level: unknown level %q",
			c.Log.Level)
	}
	return nil
}

func (c File) checkSink(number string, sink Sink) error {
	at := func(key ...string) []string { return append([]string{"alerts", "sinks", number}, key...) }
	if sink.URL == "" {
		return c.wrong(c.at(at()...), "write url: https://…, exec:/path/to/program or slack://…; docs/monitoring.md has "+
			"an example of each",
			"alerts.sinks: a sink without a url")
	}
	if _, err := alert.ParseSeverity(sink.Severity); err != nil {
		return c.wrong(c.at(at("severity")...), "write low, medium, high or critical",
			"alerts.sinks: unknown severity %q", sink.Severity)
	}
	for i, name := range sink.Environments {
		if _, ok := c.Environments[name]; !ok {
			return c.wrong(c.at(at("environments", strconv.Itoa(i))...), c.environmentsRemedy(name),
				"alerts.sinks: unknown environment %q", name)
		}
	}
	return nil
}

// expanded is a value of the file with its ${NAME}s replaced.
func (c File) expanded(value string, lookup func(string) (string, bool), path ...string) (string, error) {
	text, err := expand(value, lookup)
	if err != nil {
		return "", c.wrong(c.at(path...), "set it, or give a default as in ${NAME:-default}; ${NAME:-} leaves it away",
			"%s: %v", path[0], err)
	}
	return text, nil
}

// targets are the sinks that hear of an environment, with what the environment's
// variables say; all of them with everywhere. One whose url comes out empty is
// left away. places has where each is in the file.
func (c File) targets(environment string, everywhere bool,
	lookup func(string) (string, bool)) (targets []alert.Target, places []string, err error) {
	for i, sink := range c.Alerts.Sinks {
		number := strconv.Itoa(i)
		if !everywhere && len(sink.Environments) > 0 && !slices.Contains(sink.Environments, environment) {
			continue
		}
		severity, _ := alert.ParseSeverity(sink.Severity) // checked before
		t := alert.Target{Name: sink.Name, Severity: severity, Environments: sink.Environments}
		if t.URL, err = c.expanded(sink.URL, lookup, "alerts", "sinks", number, "url"); err != nil {
			return nil, nil, err
		}
		if t.Secret, err = c.expanded(sink.Secret, lookup, "alerts", "sinks", number, "secret"); err != nil {
			return nil, nil, err
		}
		if t.URL != "" {
			targets, places = append(targets, t), append(places, number)
		}
	}
	return targets, places, nil
}
