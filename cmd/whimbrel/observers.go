package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/monitor"
	"github.com/whimbrel-db/whimbrel/monitor/alert"
	"github.com/whimbrel-db/whimbrel/monitor/alert/service"
	"github.com/whimbrel-db/whimbrel/monitor/prometheus"
	"github.com/whimbrel-db/whimbrel/preflight"
)

// defaultGrace is how long the end of a run waits for anyone who is still to be told
// of it, unless the file says otherwise.
const defaultGrace = 5 * time.Second

// patience is how long reading the history for alerts and metrics may take.
const patience = 5 * time.Second

// observers are those who hear of a run beside anyone who sits before it: alerts,
// logs, OpenTelemetry, Prometheus. Where nothing is configured there are none, and
// nothing starts.
type observers struct {
	app   *app
	file  config
	in    string // the environment's name
	grace time.Duration
	// command is the name of the one that runs.
	command string

	all   []monitor.Observer
	watch *alert.Watch // nil without sinks
	// onTerminal is set where logs go to the terminal: no live line fits between.
	onTerminal bool
	// endings tell what is left to tell, side by side. They end with the context.
	endings []func(context.Context) error
	closers []io.Closer

	mutex    sync.Mutex
	problems []string
}

// observe starts anyone who is configured to hear of runs of a project. They must be
// closed.
func (a *app) observe(ctx context.Context, p *project) (*observers, error) {
	o := &observers{app: a, file: p.file, in: p.target.environment, grace: cmp.Or(p.file.Alerts.Grace,
		defaultGrace)}
	if err := o.start(ctx, p.config); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// start starts those who are configured, until one of them cannot be.
func (o *observers) start(ctx context.Context, config whimbrel.Config) error {
	if err := o.startLog(); err != nil {
		return err
	}
	o.startTelemetry(ctx)
	var log monitor.Historian
	if len(o.file.Alerts.Sinks) > 0 || o.file.Metrics != (metricSettings{}) {
		migrator, err := whimbrel.New(config)
		if err != nil {
			return err
		}
		log = migrator
	}
	if err := o.startCounting(log); err != nil {
		return err
	}
	return o.startAlerts(ctx, log)
}

// before are the observers with another one in front.
func (o *observers) before(first monitor.Observer) []monitor.Observer {
	return append([]monitor.Observer{first}, o.all...)
}

// refused tells that checks stopped a run before it began. It may be called on
// none.
func (o *observers) refused(database string, blocked []preflight.Result) {
	if o == nil || o.watch == nil {
		return
	}
	for _, result := range blocked {
		o.watch.Refused(alert.Refusal{Command: o.command, Database: database, Check: result.Name, Message: result.Message,
			Remedy: result.Remedy})
	}
}

// close tells what is left to tell, waits for that no longer than the grace, and
// says what could not be told.
func (o *observers) close() {
	ctx, cancel := context.WithTimeout(context.Background(), o.grace)
	defer cancel()
	var ending sync.WaitGroup
	for _, end := range o.endings {
		ending.Go(func() { o.problem(end(ctx)) })
	}
	ending.Wait()
	for _, closer := range o.closers {
		o.problem(closer.Close())
	}
	o.endings, o.closers = nil, nil
	o.mutex.Lock()
	defer o.mutex.Unlock()
	for _, problem := range slices.Compact(o.problems) { // --quiet does not silence it: it is a failure, of another thing
		_, _ = fmt.Fprintln(o.app.err, o.app.errStyle.Warning("! "+problem))
	}
	o.problems = nil
}

// problem keeps what is to be said at the end, below the run.
func (o *observers) problem(err error) {
	if err == nil {
		return
	}
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.problems = append(o.problems, err.Error())
}

// startLog begins the structured log.
func (o *observers) startLog() error {
	s := o.file.Log
	if s.Format == "" {
		return nil
	}
	path, err := o.file.expanded(s.File, o.app.lookup, "log", "file")
	if err != nil {
		return err
	}
	to := o.app.err
	o.onTerminal = path == "" && o.app.errTerminal
	if path != "" {
		file, err := os.OpenFile(o.place(path), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return o.file.wrong(o.file.at("log", "file"), "name a file that can be written", "log.file: %s: %v", path,
				reasonOf(err))
		}
		to, o.closers = o.app.redactor.Writer(file), append(o.closers, file)
	}
	level, err := s.level()
	if err != nil {
		return err
	}
	logger, err := monitor.NewLogger(to, s.Format, level)
	if err != nil {
		return err
	}
	o.all = append(o.all, monitor.Log(logger))
	return nil
}

// place is a path of the file, which is relative to the file's folder.
func (o *observers) place(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(o.file.place, path)
}

// startCounting begins to count for Prometheus. At the end the history's metrics
// are added, and all of them pushed and written.
func (o *observers) startCounting(log monitor.Historian) error {
	s := o.file.Metrics
	gateway, err := o.file.expanded(s.Pushgateway, o.app.lookup, "metrics", "pushgateway")
	if err != nil {
		return err
	}
	path, err := o.file.expanded(s.Textfile, o.app.lookup, "metrics", "textfile")
	if err != nil {
		return err
	}
	if gateway == "" && path == "" {
		return nil
	}
	o.app.redactor.Connection(gateway)
	counted, database := prometheus.New(o.in), ""
	o.all = append(o.all, counted.Observe, func(seen monitor.Observation) {
		if e, ok := seen.Event.(whimbrel.RunStarted); ok {
			database = e.Database
		}
	})
	o.endings = append(o.endings, func(ctx context.Context) error {
		if database == "" {
			return nil // nothing began
		}
		if attempts, err := monitor.ReadAttempts(ctx, log, time.Time{}); err == nil {
			counted.SetHistory(monitor.Measure(attempts))
		}
		if path != "" {
			o.problem(counted.WriteFile(o.place(path)))
		}
		if gateway == "" {
			return nil
		}
		return counted.Push(ctx, prometheus.Gateway{URL: gateway, Job: s.Job,
			Grouping: []present.Label{{Name: "database", Value: database}}})
	})
	return nil
}

// startAlerts begins to watch for what somebody is to be told of.
func (o *observers) startAlerts(ctx context.Context, log monitor.Historian) error {
	routes, err := o.app.routes(o.file, o.in, false)
	if err != nil || len(routes) == 0 {
		return err
	}
	options := alert.Options{Limits: o.file.limits(), Environment: o.in, Routes: routes, Report: o.delivered}
	if options.Link, err = o.file.expanded(o.file.Alerts.Link, o.app.lookup, "alerts", "link"); err != nil {
		return err
	}
	// What failed in earlier processes is resolved when it succeeds now. If the
	// history cannot be read, the run will say why.
	reading, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if attempts, err := monitor.ReadAttempts(reading, log, time.Time{}); err == nil {
		options.Outstanding = monitor.Outstanding(attempts)
	}
	o.watch = alert.Start(options)
	o.all = append(o.all, o.watch.Observe)
	o.endings = append(o.endings, func(ctx context.Context) error {
		_ = o.watch.Close(ctx) // delivered has heard of each
		return nil
	})
	return nil
}

// delivered hears what became of an alert.
func (o *observers) delivered(d alert.Delivery) {
	if d.Err != nil {
		o.problem(fmt.Errorf("the alert %q did not reach %s: %w", d.Alert.Title, d.Route, d.Err))
	}
}

// routes opens the sinks of an environment, or all of them with everywhere. It
// connects to none. From here on nothing that is printed shows their secrets.
func (a *app) routes(file config, environment string, everywhere bool) ([]alert.Route, error) {
	targets, places, err := file.targets(environment, everywhere, a.lookup)
	if err != nil {
		return nil, err
	}
	var routes []alert.Route
	for i, target := range targets {
		a.redactor.Tokens(slices.DeleteFunc(target.Secrets(), func(s string) bool { return s == target.Label() })...)
		route, err := service.Open(target)
		if err != nil {
			return nil, file.wrong(file.at("alerts", "sinks", places[i], "url"),
				"docs/monitoring.md has an example of each kind", "alerts.sinks: %v", err)
		}
		routes = append(routes, route)
	}
	return routes, nil
}
