package openmetrics_test

import (
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/monitor/openmetrics"
)

func TestTheFormatsDifferInCountersHelpAndEnd(t *testing.T) {
	t.Parallel()
	families := []openmetrics.Family{
		{Name: "runs", Type: openmetrics.Counter, Help: `All "runs" of a\b.` + "\n2",
			Samples: []openmetrics.Sample{{Value: 1e6}}},
		{Name: "left", Type: openmetrics.Gauge, Help: "Left.",
			Samples: []openmetrics.Sample{{Labels: []openmetrics.Label{{Name: "of", Value: "a\"\\\n"}}, Value: math.Inf(1)}}},
		{Name: "empty", Type: openmetrics.Gauge, Help: "None."},
	}
	label := openmetrics.Label{Name: "db", Value: "shop"}
	require.Equal(t, `# HELP runs_total All "runs" of a\\b.\n2
# TYPE runs_total counter
runs_total{db="shop"} 1e+06
# HELP left Left.
# TYPE left gauge
left{db="shop",of="a\"\\\n"} +Inf
`, string(openmetrics.Write(openmetrics.Classic, families, label)))
	require.Equal(t, `# HELP runs All \"runs\" of a\\b.\n2
# TYPE runs counter
runs_total 1e+06
# HELP left Left.
# TYPE left gauge
left{of="a\"\\\n"} +Inf
# EOF
`, string(openmetrics.Write(openmetrics.Open, families)))
}

func FuzzAnyLabelStaysOnItsLine(f *testing.F) {
	f.Add("a\"b", "c\\\n")
	f.Add("\xff", "}")
	f.Fuzz(func(t *testing.T, value, help string) {
		text := string(openmetrics.Write(openmetrics.Classic, []openmetrics.Family{{Name: "x", Type: openmetrics.Gauge,
			Help: help, Samples: []openmetrics.Sample{
				{Labels: []openmetrics.Label{{Name: "l", Value: value}}, Value: 1},
			}}}))
		require.Equal(t, 3, strings.Count(text, "\n"))
		require.True(t, utf8.ValidString(text))
		inside := strings.TrimSuffix(strings.SplitN(text, `x{l="`, 2)[1], "\"} 1\n")
		unescaped := strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\"`, `"`).Replace(inside)
		require.Equal(t, strings.ToValidUTF8(value, "\uFFFD"), unescaped)
	})
}
