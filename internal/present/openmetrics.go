package present

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// Metrics are written in the text formats of Prometheus: the classic one, which the
// push gateway and the node exporter's textfile collector take, and OpenMetrics 1.0.
// Prometheus's client library would be a third of whimbrel's size to write a page of text.
//
// See https://prometheus.io/docs/instrumenting/exposition_formats/ and
// https://prometheus.io/docs/specs/om/open_metrics_spec/.

// MetricType is a metric family's type.
type MetricType string

// The types that are written here.
const (
	Counter   MetricType = "counter"
	Gauge     MetricType = "gauge"
	Summary   MetricType = "summary"
	Histogram MetricType = "histogram"
)

// Family is a metric with all its samples. A counter's name does not end in
// "_total"; its samples get that ending.
type Family struct {
	Name    string
	Type    MetricType
	Help    string
	Samples []Sample
}

// Sample is one value. Suffix is "_sum", "_count" or "_bucket" in summaries and
// histograms, and empty otherwise.
type Sample struct {
	Suffix string
	Labels []Label
	Value  float64
}

// Label is a label of a sample.
type Label struct{ Name, Value string }

// MetricFormat is one of the two text formats.
type MetricFormat int

// The text formats.
const (
	PrometheusText MetricFormat = iota // text/plain; version=0.0.4
	OpenMetrics                        // OpenMetrics 1.0
)

// ContentType is the format's media type.
func (f MetricFormat) ContentType() string {
	if f == OpenMetrics {
		return "application/openmetrics-text; version=1.0.0; charset=utf-8"
	}
	return "text/plain; version=0.0.4; charset=utf-8"
}

// AcceptedFormat picks the format for an HTTP request's Accept header.
func AcceptedFormat(accept string) MetricFormat {
	if strings.Contains(accept, "application/openmetrics-text") {
		return OpenMetrics
	}
	return PrometheusText
}

// Metrics gives the families as text, with the labels common to all samples in
// front of their own. Families without a sample are left out.
func Metrics(format MetricFormat, families []Family, common ...Label) []byte {
	var b bytes.Buffer
	for _, family := range families {
		if len(family.Samples) == 0 {
			continue
		}
		head, ending := family.Name, ""
		if family.Type == Counter {
			ending = "_total"
			if format == PrometheusText {
				head += ending
			}
		}
		b.WriteString("# HELP " + head + " " + escape(family.Help, format == OpenMetrics) + "\n# TYPE " + head + " " +
			string(family.Type) + "\n")
		for _, s := range family.Samples {
			b.WriteString(family.Name + s.Suffix + ending)
			writeLabels(&b, slices.Concat(common, s.Labels))
			b.WriteString(" " + strconv.FormatFloat(s.Value, 'g', -1, 64) + "\n")
		}
	}
	if format == OpenMetrics {
		b.WriteString("# EOF\n")
	}
	return b.Bytes()
}

func writeLabels(b *bytes.Buffer, labels []Label) {
	if len(labels) == 0 {
		return
	}
	for i, label := range labels {
		if i == 0 {
			b.WriteByte('{')
		} else {
			b.WriteByte(',')
		}
		b.WriteString(label.Name + `="` + escape(label.Value, true) + `"`)
	}
	b.WriteByte('}')
}

// escape writes text within a line; a quote is escaped in labels, and by
// OpenMetrics in help texts too.
func escape(text string, quotes bool) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	replacements := []string{`\`, `\\`, "\n", `\n`}
	if quotes {
		replacements = append(replacements, `"`, `\"`)
	}
	return strings.NewReplacer(replacements...).Replace(text)
}
