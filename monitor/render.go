package monitor

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Text shows the metrics as tables for a terminal, without colours. Times are
// shown in their own zone.
func (m Metrics) Text() string {
	if m.Total == 0 {
		return "No migration has run yet.\n"
	}
	d := m.Durations
	var b strings.Builder
	b.WriteString(present.Table(present.Style{}, nil, [][]string{
		{"attempts", fmt.Sprintf("%d (%s)", m.Total, m.directions())},
		{"success rate", fmt.Sprintf("%s %% (%d succeeded, %d failed)", m.SuccessRate, m.Succeeded, m.Failed)},
		{"average time", present.Duration(d.Average)},
		{"percentiles", fmt.Sprintf("50 %%: %s   90 %%: %s   95 %%: %s   99 %%: %s", present.Duration(d.P50),
			present.Duration(d.P90),
			present.Duration(d.P95), present.Duration(d.P99))},
		{"longest, total", present.Duration(d.Longest) + ", " + present.Duration(d.Total)},
		{"retried", fmt.Sprintf("%d times, for %s", m.Retries, present.Duration(m.Backoff))},
		{"waited", fmt.Sprintf("for locks %s, for other runners %s", present.Duration(m.LockWait),
			present.Duration(m.LeaseWait))},
	}))
	if len(m.Errors) > 0 {
		b.WriteString("\nErrors\n")
		var rows [][]string
		for _, e := range m.Errors {
			rows = append(rows, []string{string(e.Version) + " " + e.Name, strconv.Itoa(e.Errors), stamp(e.At),
				present.OneLine(e.Error, 80)})
		}
		b.WriteString(present.Table(present.Style{}, []string{"migration", "errors", "last", "error"}, rows))
	}
	b.WriteString("\nSlowest\n")
	b.WriteString(attemptTable(m.Slowest))
	b.WriteString("\nLast\n")
	b.WriteString(attemptTable(m.Recent))
	return b.String()
}

func (m Metrics) directions() string {
	var parts []string
	for _, d := range m.Directions {
		parts = append(parts, fmt.Sprintf("%d %s", d.Succeeded+d.Failed, d.Direction))
	}
	return strings.Join(parts, ", ")
}

func attemptTable(attempts []Attempt) string {
	var rows [][]string
	for _, a := range attempts {
		backoff := ""
		if a.Retries > 0 {
			backoff = fmt.Sprintf("%d times, %s", a.Retries, present.Duration(a.Backoff))
		}
		rows = append(rows, []string{stamp(a.At), string(a.Version) + " " + a.Name, a.Action, present.Duration(a.Duration),
			a.Outcome, backoff, a.By})
	}
	return present.Table(present.Style{}, []string{"when", "migration", "", "took", "outcome", "retried", "by"}, rows)
}

func stamp(at time.Time) string { return at.Format("2006-01-02 15:04:05") }

// OpenMetrics gives the metrics as the text of OpenMetrics 1.0, with labels that
// are put to every sample.
func (m Metrics) OpenMetrics(labels ...present.Label) []byte {
	return present.Metrics(present.OpenMetrics, m.Families(), labels...)
}

// Families are the metrics for anyone who writes or serves them. Their names begin
// with "whimbrel_history_".
func (m Metrics) Families() []present.Family {
	const prefix = "whimbrel_history_"
	attempts := present.Family{Name: prefix + "attempts", Type: present.Counter,
		Help: "Attempts to run a migration, as the log of the database has them."}
	for _, d := range m.Directions {
		for _, outcome := range []struct {
			name  string
			count int
		}{{"done", d.Succeeded}, {"failed", d.Failed}} {
			attempts.Samples = append(attempts.Samples, present.Sample{
				Labels: []present.Label{{Name: "direction", Value: string(d.Direction)},
					{Name: "outcome", Value: outcome.name}}, Value: float64(outcome.count),
			})
		}
	}
	failures := present.Family{Name: prefix + "errors", Type: present.Counter, Help: "Failures by migration."}
	for _, e := range m.Errors {
		failures.Samples = append(failures.Samples, present.Sample{
			Labels: []present.Label{{Name: "version", Value: string(e.Version)}, {Name: "name", Value: e.Name}},
			Value:  float64(e.Errors),
		})
	}
	families := []present.Family{attempts, failures, m.Durations.family(prefix, m.Succeeded),
		single(prefix+"retries", present.Counter, "How often steps backed off and were sent again.", float64(m.Retries)),
		single(prefix+"backoff_seconds", present.Counter, "Time in which steps backed off.",
			m.Backoff.Seconds()),
		single(prefix+"lock_wait_seconds", present.Counter, "Time that steps waited for locks that they then got.",
			m.LockWait.Seconds()),
		single(prefix+"lease_wait_seconds", present.Counter, "Time that runs waited for other runners.",
			m.LeaseWait.Seconds()),
	}
	if m.SuccessRate != Unknown {
		families = append(families, single(prefix+"success_ratio", present.Gauge, "Share of attempts that succeeded.",
			float64(m.Succeeded)/float64(m.Total)))
	}
	if len(m.Recent) > 0 {
		families = append(families, single(prefix+"last_attempt_timestamp_seconds", present.Gauge,
			"When the newest attempt ended.", float64(m.Recent[0].At.UnixMilli())/1000))
	}
	return families
}

func single(name string, kind present.MetricType, help string, value float64) present.Family {
	return present.Family{Name: name, Type: kind, Help: help, Samples: []present.Sample{{Value: value}}}
}

func (d Durations) family(prefix string, count int) present.Family {
	var samples []present.Sample
	quantiles := []struct {
		name  string
		value time.Duration
	}{{"0.5", d.P50}, {"0.9", d.P90}, {"0.95", d.P95}, {"0.99", d.P99}, {"1", d.Longest}}
	for _, q := range quantiles {
		if count > 0 {
			samples = append(samples, present.Sample{Labels: []present.Label{{Name: "quantile", Value: q.name}},
				Value: q.value.Seconds()})
		}
	}
	return present.Family{Name: prefix + "duration_seconds", Type: present.Summary,
		Help: "Duration of the attempts that succeeded.", Samples: append(samples,
			present.Sample{Suffix: "_sum", Value: d.Total.Seconds()},
			present.Sample{Suffix: "_count", Value: float64(count)})}
}
