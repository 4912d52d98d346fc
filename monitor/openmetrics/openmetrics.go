// Package openmetrics writes metrics in the text formats of Prometheus: the
// classic one, which the push gateway and the node exporter's textfile collector
// take, and OpenMetrics 1.0. It stands in for Prometheus's client library, which
// would be a third of whimbrel's size to write a page of text.
//
// See https://prometheus.io/docs/instrumenting/exposition_formats/ and
// https://prometheus.io/docs/specs/om/open_metrics_spec/.
package openmetrics

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Type is a metric family's type.
type Type string

// The types that are written here.
const (
	Counter   Type = "counter"
	Gauge     Type = "gauge"
	Summary   Type = "summary"
	Histogram Type = "histogram"
)

// Family is a metric with all its samples. A counter's name does not end in
// "_total"; its samples get that ending.
type Family struct {
	Name    string
	Type    Type
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

// Format is one of the two text formats.
type Format int

// The text formats.
const (
	Classic Format = iota // text/plain; version=0.0.4
	Open                  // OpenMetrics 1.0
)

// ContentType is the format's media type.
func (f Format) ContentType() string {
	if f == Open {
		return "application/openmetrics-text; version=1.0.0; charset=utf-8"
	}
	return "text/plain; version=0.0.4; charset=utf-8"
}

// Accepted picks the format for an HTTP request's Accept header.
func Accepted(accept string) Format {
	if strings.Contains(accept, "application/openmetrics-text") {
		return Open
	}
	return Classic
}

// Write gives the families as text, with the labels common to all samples in
// front of their own. Families without a sample are left out.
func Write(format Format, families []Family, common ...Label) []byte {
	var b bytes.Buffer
	for _, family := range families {
		if len(family.Samples) == 0 {
			continue
		}
		head, ending := family.Name, ""
		if family.Type == Counter {
			ending = "_total"
			if format == Classic {
				head += ending
			}
		}
		b.WriteString("# HELP " + head + " " + escape(family.Help, format == Open) + "\n# TYPE " + head + " " +
			string(family.Type) + "\n")
		for _, s := range family.Samples {
			b.WriteString(family.Name + s.Suffix + ending)
			writeLabels(&b, slices.Concat(common, s.Labels))
			b.WriteString(" " + number(s.Value) + "\n")
		}
	}
	if format == Open {
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

func number(value float64) string {
	switch {
	case math.IsInf(value, 1):
		return "+Inf"
	case math.IsInf(value, -1):
		return "-Inf"
	case math.IsNaN(value):
		return "NaN"
	}
	return strconv.FormatFloat(value, 'g', -1, 64)
}
