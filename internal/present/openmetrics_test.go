package present_test

import (
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/present"
)

func TestTheFormatsDifferInCountersHelpAndEnd(t *testing.T) {
	t.Parallel()
	families := []present.Family{
		{Name: "runs", Type: present.Counter, Help: `All "runs" of a\b.` + "\n2",
			Samples: []present.Sample{{Value: 1e6}}},
		{Name: "left", Type: present.Gauge, Help: "Left.",
			Samples: []present.Sample{{Labels: []present.Label{{Name: "of", Value: "a\"\\\n"}}, Value: math.Inf(1)}}},
		{Name: "empty", Type: present.Gauge, Help: "None."},
	}
	label := present.Label{Name: "db", Value: "shop"}
	require.Equal(t, `# HELP runs_total All "runs" of a\\b.\n2
# TYPE runs_total counter
runs_total{db="shop"} 1e+06
# HELP left Left.
# TYPE left gauge
left{db="shop",of="a\"\\\n"} +Inf
`, string(present.Metrics(present.PrometheusText, families, label)))
	require.Equal(t, `# HELP runs All \"runs\" of a\\b.\n2
# TYPE runs counter
runs_total 1e+06
# HELP left Left.
# TYPE left gauge
left{of="a\"\\\n"} +Inf
# EOF
`, string(present.Metrics(present.OpenMetrics, families)))
}

func FuzzAnyLabelStaysOnItsLine(f *testing.F) {
	f.Add("a\"b", "c\\\n")
	f.Add("\xff", "}")
	f.Fuzz(func(t *testing.T, value, help string) {
		text := string(present.Metrics(present.PrometheusText, []present.Family{{Name: "x", Type: present.Gauge,
			Help: help, Samples: []present.Sample{
				{Labels: []present.Label{{Name: "l", Value: value}}, Value: 1},
			}}}))
		require.Equal(t, 3, strings.Count(text, "\n"))
		require.True(t, utf8.ValidString(text))
		inside := strings.TrimSuffix(strings.SplitN(text, `x{l="`, 2)[1], "\"} 1\n")
		unescaped := strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\"`, `"`).Replace(inside)
		require.Equal(t, strings.ToValidUTF8(value, "\uFFFD"), unescaped)
	})
}
