package present_test

import (
	"encoding/xml"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/present"
)

func TestADurationIsAsPreciseAsItIsInteresting(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"0 ms":        0,
		"0.4 ms":      420 * time.Microsecond,
		"8.5 ms":      8500 * time.Microsecond,
		"9 ms":        9 * time.Millisecond,
		"850 ms":      850 * time.Millisecond,
		"999 ms":      999_900 * time.Microsecond,
		"1 s":         time.Second,
		"1.2 s":       1234 * time.Millisecond,
		"12 s":        12_900 * time.Millisecond,
		"1 min":       time.Minute,
		"1 min 5 s":   65 * time.Second,
		"59 min 59 s": time.Hour - time.Millisecond,
		"1 h":         time.Hour,
		"2 h 3 min":   123*time.Minute + 4*time.Second,
		"47 h":        47 * time.Hour,
		"2 days":      48 * time.Hour,
		"3 days 4 h":  76*time.Hour + 5*time.Minute,
	} {
		require.Equal(t, want, present.Duration(d))
	}
	require.Equal(t, "0 ms", present.Duration(-time.Second), "a clock that was set back")
}

func TestAnAgeIsRough(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for want, d := range map[string]time.Duration{
		"just now": time.Second, "30 seconds ago": 30 * time.Second, "1 minute ago": 119 * time.Second,
		"3 hours ago": 3 * time.Hour, "2 days ago": 49 * time.Hour,
	} {
		require.Equal(t, want, present.Ago(now.Add(-d), now))
	}
	require.Equal(t, "just now", present.Ago(now.Add(time.Minute), now))
}

func TestNumbersHaveTheirDigitsInGroups(t *testing.T) {
	t.Parallel()
	for want, n := range map[string]int64{"0": 0, "999": 999, "1,000": 1000, "1,234,567": 1234567, "-1,000": -1000,
		"-100": -100} {
		require.Equal(t, want, present.Count(n))
	}
}

func TestNounsFollowTheirNumber(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"1 migration":      present.Plural(1, "migration"),
		"0 migrations":     present.Plural(0, "migration"),
		"1,000 migrations": present.Plural(1000, "migration"),
		"2 indexes":        present.Plural(2, "index"),
		"2 batches":        present.Plural(2, "batch"),
		"2 retries":        present.Plural(2, "retry"),
		"2 foreign keys":   present.Plural(2, "foreign key"),
	} {
		require.Equal(t, want, got)
	}
}

func TestSizesAreInTheUnitsOfPostgreSQL(t *testing.T) {
	t.Parallel()
	for want, n := range map[string]int64{
		"1 byte": 1, "1,023 bytes": 1023, "1 kB": 1024, "8 kB": 8192, "1.5 kB": 1536, "15.6 GB": 16_750_372_455,
		"120 GB": 120 << 30, "2 TB": 2 << 40,
	} {
		require.Equal(t, want, present.Bytes(n))
	}
}

func TestTextsAreShortened(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a b", present.OneLine(" a\n\t b ", 3))
	require.Equal(t, "a…", present.OneLine("a b c", 2))
	require.Equal(t, "a, b", present.List([]string{"a", "b"}, 2))
	require.Equal(t, "a and 2 more", present.List([]string{"a", "b", "c"}, 1))
	require.Equal(t, "a [31m b", present.Printable("a\x1b[31m\nb"))
}

func TestAStyleWithoutColourChangesNothing(t *testing.T) {
	t.Parallel()
	plain, colours := present.Style{}, present.Style{Colour: true}
	require.Equal(t, "x", plain.Good("x"))
	require.Equal(t, "\x1b[32mx\x1b[m", colours.Good("x"))
	require.Equal(t, "\x1b[31mx\x1b[m", colours.Bad("x"))
	require.Empty(t, colours.Strong(""))
}

func TestTablesAlignByWhatIsSeen(t *testing.T) {
	t.Parallel()
	colours := present.Style{Colour: true}
	require.Equal(t, "  日本  x\n  ab    y\n",
		present.Table(present.Style{}, nil, [][]string{{"日本", "x"}, {"ab", "y"}}))
	require.Equal(t, "  a    b\n  1    2\n  333\n",
		present.Table(present.Style{}, []string{"a", "b"}, [][]string{{"1", "2"}, {"333"}}))
	require.Equal(t, "  \x1b[32m1\x1b[m    2\n  333  4\n",
		present.Table(present.Style{}, nil, [][]string{{colours.Good("1"), "2"}, {"333", "4"}}))
	require.Empty(t, present.Table(present.Style{}, []string{"a"}, nil))
}

func TestTheLastColumnIsWrappedAtWords(t *testing.T) {
	t.Parallel()
	words := strings.TrimSpace(strings.Repeat("word ", 20))
	text := present.Table(present.Style{}, nil, [][]string{{"first", words}, {"second", "short"}})
	require.Equal(t, "  first   "+strings.Repeat("word ", 13)+"word\n"+strings.Repeat(" ", 10)+
		strings.TrimSpace(strings.Repeat("word ", 6))+"\n  second  short\n", text)
	narrow := present.Table(present.Style{}, nil, [][]string{{strings.Repeat("x", 70), words}})
	require.Equal(t, 1, strings.Count(narrow, "\n"), "there is no room to wrap it in")
	require.Equal(t, []string{"https://example.org/a-long-address", "a b"},
		present.Wrap("https://example.org/a-long-address a b", 10))
}

func TestNothingIsMarkupInMarkdown(t *testing.T) {
	t.Parallel()
	require.Equal(t,
		`a\_b \|\*c\* &lt;i&gt; d \\ \[x] \`+"`y\\` @\u200ball", present.Markdown("a_b |*c*\n<i> d \\ [x] `y` @all"))
	require.Equal(t, "`a_'b' \\| c`", present.MarkdownCode("a_`b` |\nc"))
	require.Equal(t, "```sql\nSELECT 1\n```\n", present.MarkdownBlock("sql", "SELECT 1\n"))
	require.Equal(t, "`````\n````\n`````\n", present.MarkdownBlock("", "````"))
	require.Equal(t, "| a |  |\n|---|---|\n| 1 | 2 |\n", present.MarkdownHead("a", "")+present.MarkdownRow("1", "2"))
}

func TestJUnitCountsWhatItHas(t *testing.T) {
	t.Parallel()
	text, err := present.JUnit{Name: "s", Took: present.Seconds(time.Second), Timestamp: "2026-01-02T03:04:05",
		Cases: []present.JUnitCase{
			{Name: "a", Class: "c", File: "f", Took: present.Seconds(50 * time.Millisecond), Output: "out"},
			{Name: "b", Class: "c", Failure: &present.JUnitMessage{Message: "<no>", Text: "]]> \x00"}},
			{Name: "d", Class: "c", Skipped: &present.JUnitMessage{Message: "later"}},
		}}.XML()
	require.NoError(t, err)
	require.NoError(t, xml.Unmarshal(text, new(struct{})))
	require.Equal(t, `<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="s" tests="3" failures="1" skipped="1" time="1.000" timestamp="2026-01-02T03:04:05">
    <testcase name="a" classname="c" file="f" time="0.050">
      <system-out>out</system-out>
    </testcase>
    <testcase name="b" classname="c" time="0.000">
      <failure message="&lt;no&gt;">]]&gt; `+"\ufffd"+`</failure>
    </testcase>
    <testcase name="d" classname="c" time="0.000">
      <skipped message="later"></skipped>
    </testcase>
  </testsuite>
</testsuites>
`, string(text))
}
