// Package prometheus counts what runs do, for Prometheus: served to its scrapes
// by programs that embed whimbrel, pushed to a push gateway by runs that are over
// before anybody scrapes them, or written to a file for the node exporter's
// textfile collector.
package prometheus

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/monitor"
)

// Collector counts what one Migrator does. Its methods may be called
// concurrently.
type Collector struct {
	environment string

	mutex     sync.Mutex
	database  string
	durations map[outcome]*histogram
	retries   map[string]float64 // by SQLSTATE
	rows      map[whimbrel.Direction]float64
	lease     float64 // seconds
	running   *running
	memory    map[string]monitor.Memory // before and after the newest migration
	last      *last
	succeeded time.Time // when the last run that succeeded ended
	backfill  *whimbrel.BatchProgress
	history   *monitor.Metrics
}

// outcome is how a migration ended, and in which direction.
type outcome struct {
	direction whimbrel.Direction
	name      string
}

type running struct {
	migration whimbrel.Ref
	since     time.Time
}

// last is the newest run that ended.
type last struct {
	command string
	at      time.Time
	took    time.Duration
	done    int
	failed  bool
}

// New makes a Collector. The environment, which may be empty, is a label of all
// its metrics.
func New(environment string) *Collector {
	return &Collector{
		environment: environment, durations: map[outcome]*histogram{}, retries: map[string]float64{},
		rows: map[whimbrel.Direction]float64{}, memory: map[string]monitor.Memory{},
	}
}

// Observe is a monitor.Observer.
func (c *Collector) Observe(o monitor.Observation) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	switch e := o.Event.(type) {
	case whimbrel.RunStarted:
		c.database = e.Database
	case whimbrel.LeaseTaken:
		c.lease += e.Waited.Seconds()
	case whimbrel.MigrationStarted:
		c.running = &running{e.Migration, o.Time}
		c.remember("before", o.Before)
	case whimbrel.Retrying:
		c.retries[e.SQLState]++
	case whimbrel.BatchProgress:
		c.backfill = &e
	case whimbrel.MigrationFinished:
		c.rows[e.Migration.Direction] += float64(e.Rows)
		c.ended(o, outcome{e.Migration.Direction, "done"}, e.Duration)
	case whimbrel.Failed:
		how := "failed"
		if stopped(e.Error) {
			how = "stopped"
		}
		c.ended(o, outcome{e.Migration.Direction, how}, e.Duration)
	case whimbrel.RunFinished:
		c.running = nil
		c.last = &last{e.Command, o.Time, e.Duration, e.Done, e.Error != nil && !stopped(e.Error)}
		if e.Error == nil {
			c.succeeded = o.Time
		}
	}
}

// stopped reports whether somebody stopped a run, which is no failure.
func stopped(e *whimbrel.Error) bool { return e != nil && e.Code == whimbrel.CodeInterrupted }

func (c *Collector) ended(o monitor.Observation, how outcome, took time.Duration) {
	c.running, c.backfill = nil, nil
	c.remember("after", o.After)
	h, ok := c.durations[how]
	if !ok {
		h = newHistogram()
		c.durations[how] = h
	}
	h.add(took)
}

func (c *Collector) remember(when string, m *monitor.Memory) {
	if m != nil {
		c.memory[when] = *m
	}
}

// SetHistory adds the metrics of the database's whole history to what is shown.
func (c *Collector) SetHistory(m monitor.Metrics) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.history = &m
}

// ServeHTTP implements http.Handler: it answers a scrape, in OpenMetrics where
// that is accepted.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	format := present.AcceptedFormat(r.Header.Get("Accept"))
	w.Header().Set("Content-Type", format.ContentType())
	_, _ = w.Write(c.Text(format)) // who scrapes has gone away: nobody is left to be told
}

// Text gives all metrics.
func (c *Collector) Text(format present.MetricFormat) []byte {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	families := slices.Concat(c.migrations(), c.now(), c.lastRun())
	if c.history != nil {
		families = append(families, c.history.Families()...)
	}
	var common []present.Label
	if c.database != "" {
		common = append(common, label("database", c.database))
	}
	if c.environment != "" {
		common = append(common, label("environment", c.environment))
	}
	return present.Metrics(format, families, common...)
}

// migrations are what has been counted since the program began.
func (c *Collector) migrations() []present.Family {
	durations := present.Family{Name: "whimbrel_migration_duration_seconds", Type: present.Histogram,
		Help: "Duration of migrations."}
	for _, how := range sorted(c.durations, func(o outcome) string { return string(o.direction) + " " + o.name }) {
		durations.Samples = append(durations.Samples, c.durations[how].samples(label("direction", string(how.direction)),
			label("outcome", how.name))...)
	}
	retries := present.Family{Name: "whimbrel_retries", Type: present.Counter,
		Help: "Steps that backed off and were sent again."}
	for _, state := range sorted(c.retries, func(s string) string { return s }) {
		retries.Samples = append(retries.Samples, present.Sample{Labels: []present.Label{label("sqlstate", state)},
			Value: c.retries[state]})
	}
	rows := present.Family{Name: "whimbrel_rows", Type: present.Counter, Help: "Rows that migrations changed."}
	for _, direction := range sorted(c.rows, func(d whimbrel.Direction) string { return string(d) }) {
		rows.Samples = append(rows.Samples,
			present.Sample{Labels: []present.Label{label("direction", string(direction))}, Value: c.rows[direction]})
	}
	lease := present.Family{
		Name: "whimbrel_lease_wait_seconds", Type: present.Counter, Help: "Time spent waiting for another runner.",
		Samples: []present.Sample{{Value: c.lease}},
	}
	return []present.Family{durations, retries, rows, lease}
}

// now is what is so at this moment.
func (c *Collector) now() []present.Family {
	var families []present.Family
	if c.running != nil {
		ref := c.running.migration
		families = append(families, gauge("whimbrel_migration_started_timestamp_seconds",
			"When the migration that runs now began.", seconds(c.running.since),
			label("version", string(ref.Version)), label("name", ref.Name), label("direction", string(ref.Direction))))
	}
	if c.backfill != nil {
		families = append(families,
			gauge("whimbrel_backfill_keys", "Rows that the backfill at work has gone through.", float64(c.backfill.Keys),
				label("version", string(c.backfill.Migration.Version))),
			gauge("whimbrel_backfill_total_keys", "Rows of the backfill's table, as estimated.", float64(c.backfill.Total),
				label("version", string(c.backfill.Migration.Version))))
	}
	resident := present.Family{Name: "whimbrel_process_resident_memory_bytes", Type: present.Gauge,
		Help: "Memory of the process before and after the newest migration."}
	heap := present.Family{Name: "whimbrel_process_heap_bytes", Type: present.Gauge,
		Help: "Heap of the process before and after the newest migration."}
	for _, when := range sorted(c.memory, func(s string) string { return s }) {
		labels := []present.Label{label("when", when)}
		resident.Samples = append(resident.Samples, present.Sample{Labels: labels,
			Value: float64(c.memory[when].Resident)})
		heap.Samples = append(heap.Samples, present.Sample{Labels: labels, Value: float64(c.memory[when].Heap)})
	}
	return append(families, resident, heap)
}

func (c *Collector) lastRun() []present.Family {
	if c.last == nil {
		return nil
	}
	command := label("command", c.last.command)
	failed := 0.0
	if c.last.failed {
		failed = 1
	}
	families := []present.Family{
		gauge("whimbrel_last_run_timestamp_seconds", "When the newest run ended.", seconds(c.last.at), command),
		gauge("whimbrel_last_run_duration_seconds", "How long the newest run took.", c.last.took.Seconds(), command),
		gauge("whimbrel_last_run_migrations", "Migrations that the newest run did.", float64(c.last.done), command),
		gauge("whimbrel_last_run_failed", "1 where the newest run failed.", failed, command),
	}
	if !c.succeeded.IsZero() {
		families = append(families, gauge("whimbrel_last_success_timestamp_seconds",
			"When the newest run that succeeded ended.", seconds(c.succeeded)))
	}
	return families
}

func gauge(name, help string, value float64, labels ...present.Label) present.Family {
	return present.Family{Name: name, Type: present.Gauge, Help: help,
		Samples: []present.Sample{{Labels: labels, Value: value}}}
}

func label(name, value string) present.Label {
	return present.Label{Name: name, Value: value}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// sorted gives a map's keys in the order of their names, so that the text does
// not change where nothing changed.
func sorted[K comparable, V any](m map[K]V, name func(K) string) []K {
	var keys []K
	for key := range m {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b K) int {
		if name(a) < name(b) {
			return -1
		}
		return 1
	})
	return keys
}

// bounds are the upper bounds of the histogram's buckets, in seconds.
var bounds = []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600}

type histogram struct {
	counts []float64 // of each bucket alone; the last is beyond all bounds
	sum    float64
}

func newHistogram() *histogram { return &histogram{counts: make([]float64, len(bounds)+1)} }

func (h *histogram) add(d time.Duration) {
	i, _ := slices.BinarySearch(bounds, d.Seconds())
	h.counts[i]++
	h.sum += d.Seconds()
}

func (h *histogram) samples(labels ...present.Label) []present.Sample {
	var samples []present.Sample
	below := 0.0
	for i, count := range h.counts {
		below += count
		bound := "+Inf"
		if i < len(bounds) {
			bound = strconv.FormatFloat(bounds[i], 'g', -1, 64)
		}
		samples = append(samples, present.Sample{Suffix: "_bucket", Labels: append(slices.Clone(labels),
			label("le", bound)), Value: below})
	}
	return append(samples, present.Sample{Suffix: "_sum", Labels: labels, Value: h.sum},
		present.Sample{Suffix: "_count", Labels: labels, Value: below})
}
