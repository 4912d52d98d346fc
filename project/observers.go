package project

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/files"
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

// Observers are those who hear of a run beside anyone who sits before it: alerts, logs,
// Prometheus, and what is added. Where nothing is configured there are none, and nothing
// starts.
type Observers struct {
	// OnTerminal is set where the log goes where Observe was told, and not to a file.
	OnTerminal bool

	project *Project
	all     []monitor.Observer
	watch   *alert.Watch // nil without sinks
	// endings tell what is left to tell, side by side. They end with the context.
	endings []func(context.Context) error
	closers []io.Closer

	mutex    sync.Mutex
	problems []error
}

// Observe starts anyone who is configured to hear of runs of a project. They must be
// closed, also where not all could be started. A log that goes to no file goes to log.
func (p *Project) Observe(ctx context.Context, log io.Writer) (*Observers, error) {
	o := &Observers{project: p}
	return o, o.start(ctx, log)
}

// start starts those who are configured, until one of them cannot be.
func (o *Observers) start(ctx context.Context, to io.Writer) error {
	if err := o.startLog(to); err != nil {
		return err
	}
	var log monitor.Historian
	if len(o.project.File.Alerts.Sinks) > 0 || o.project.File.Metrics != (Metrics{}) {
		migrator, err := whimbrel.New(o.project.Config)
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

// Add has another one hear of runs; nil: nobody. end, where it is not nil, is called by Close.
func (o *Observers) Add(observer monitor.Observer, end func(context.Context) error) {
	if observer != nil {
		o.all = append(o.all, observer)
	}
	if end != nil {
		o.endings = append(o.endings, end)
	}
}

// All are the observers, behind those that are given.
func (o *Observers) All(first ...monitor.Observer) []monitor.Observer { return append(first, o.all...) }

// Refused tells that checks stopped a run of a command before it began. It may be called on
// none.
func (o *Observers) Refused(command string, report preflight.Report) {
	if o == nil || o.watch == nil {
		return
	}
	for _, result := range report.Blocked() {
		o.watch.Refused(alert.Refusal{Command: command, Database: report.Database, Check: result.Name,
			Message: result.Message, Remedy: result.Remedy})
	}
}

// Close tells what is left to tell, and waits for that no longer than the grace of the
// alerts. Its error joins what could not be told, which is no failure of a run.
func (o *Observers) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(o.project.File.Alerts.Grace, defaultGrace))
	defer cancel()
	var ending sync.WaitGroup
	for _, end := range o.endings {
		ending.Go(func() { o.Problem(end(ctx)) })
	}
	ending.Wait()
	for _, closer := range o.closers {
		o.Problem(closer.Close())
	}
	o.endings, o.closers = nil, nil
	o.mutex.Lock()
	defer o.mutex.Unlock()
	problems := slices.CompactFunc(o.problems, func(a, b error) bool { return a.Error() == b.Error() })
	o.problems = nil
	return errors.Join(problems...)
}

// Problem keeps what is to be said at the end, below the run.
func (o *Observers) Problem(err error) {
	if err == nil {
		return
	}
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.problems = append(o.problems, err)
}

// startLog begins the structured log.
func (o *Observers) startLog(to io.Writer) error {
	s, f, options := o.project.File.Log, o.project.File, o.project.options
	if s.Format == "" {
		return nil
	}
	path, err := f.expanded(s.File, options.Lookup, "log", "file")
	if err != nil {
		return err
	}
	o.OnTerminal = path == ""
	if path != "" {
		file, err := os.OpenFile(o.place(path), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return f.wrong(f.at("log", "file"), "name a file that can be written", "log.file: %s: %v", path,
				files.Reason(err))
		}
		to, o.closers = options.Redactor.Writer(file), append(o.closers, file)
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
func (o *Observers) place(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(o.project.File.Place, path)
}

// startCounting begins to count for Prometheus. At the end the history's metrics
// are added, and all of them pushed and written.
func (o *Observers) startCounting(log monitor.Historian) error {
	s, f, lookup := o.project.File.Metrics, o.project.File, o.project.options.Lookup
	gateway, err := f.expanded(s.Pushgateway, lookup, "metrics", "pushgateway")
	if err != nil {
		return err
	}
	path, err := f.expanded(s.Textfile, lookup, "metrics", "textfile")
	if err != nil {
		return err
	}
	if gateway == "" && path == "" {
		return nil
	}
	o.project.options.secret(gateway)
	counted, database := prometheus.New(o.project.Database.Environment), ""
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
			o.Problem(counted.WriteFile(o.place(path)))
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
func (o *Observers) startAlerts(ctx context.Context, log monitor.Historian) error {
	f, environment := o.project.File, o.project.Database.Environment
	routes, err := o.project.Routes(environment, false)
	if err != nil || len(routes) == 0 {
		return err
	}
	options := alert.Options{Limits: f.limits(), Environment: environment, Routes: routes, Report: o.delivered}
	if options.Link, err = f.expanded(f.Alerts.Link, o.project.options.Lookup, "alerts", "link"); err != nil {
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
func (o *Observers) delivered(d alert.Delivery) {
	if d.Err != nil {
		o.Problem(fmt.Errorf("the alert %q did not reach %s: %w", d.Alert.Title, d.Route, d.Err))
	}
}

// Routes opens the sinks of an environment, or all of them with everywhere. It
// connects to none. From here on nothing that is redacted shows their secrets.
func (p *Project) Routes(environment string, everywhere bool) ([]alert.Route, error) {
	targets, places, err := p.File.targets(environment, everywhere, p.options.Lookup)
	if err != nil {
		return nil, err
	}
	var routes []alert.Route
	for i, target := range targets {
		p.options.Redactor.Tokens(slices.DeleteFunc(target.Secrets(), func(s string) bool { return s == target.Label() })...)
		route, err := service.Open(target)
		if err != nil {
			return nil, p.File.wrong(p.File.at("alerts", "sinks", places[i], "url"),
				"docs/monitoring.md has an example of each kind", "alerts.sinks: %v", err)
		}
		routes = append(routes, route)
	}
	return routes, nil
}
