package schema_test

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/schema"
)

var update = flag.Bool("update", false, "rewrite the expected differences in testdata")

const changesFile = "testdata/changes.txt"

// change is a case of testdata/changes.txt, whose head says what it consists of.
type change struct {
	title       string
	since       int
	do, undo    string
	differences []string
}

func loadChanges(t testing.TB) (head string, changes []change) {
	t.Helper()
	text, err := os.ReadFile(changesFile)
	require.NoError(t, err)
	parts := strings.Split("\n"+string(text), "\n== ")
	for _, part := range parts[1:] {
		title, rest, _ := strings.Cut(part, "\n")
		do, rest, isComplete := strings.Cut(rest, "-- undo\n")
		undo, differences, hasDifferences := strings.Cut(rest, "-- differences\n")
		require.True(t, isComplete && hasDifferences, "%s: %q lacks a section", changesFile, title)
		c := change{title: title, do: do, undo: undo}
		if number, plain, numbered := strings.Cut(title, " "); numbered {
			if since, err := strconv.Atoi(number); err == nil {
				c.since, c.title = since, plain
			}
		}
		if differences = strings.Trim(differences, "\n"); differences != "" {
			c.differences = strings.Split(differences, "\n")
		}
		changes = append(changes, c)
	}
	return strings.TrimPrefix(parts[0], "\n"), changes
}

// write is the case as it is in the file.
func (c change) write() string {
	title := c.title
	if c.since > 0 {
		title = strconv.Itoa(c.since) + " " + title
	}
	return "\n== " + title + "\n" + c.do + "-- undo\n" + c.undo + "-- differences\n" +
		strings.Join(append(c.differences, ""), "\n")
}

// expected are the differences on a major version.
func (c change) expected(major int) []string {
	expected := []string{}
	for _, line := range c.differences {
		if line, applies := forMajor(line, major); applies {
			expected = append(expected, line)
		}
	}
	return expected
}

var restriction = regexp.MustCompile(`^(?:(\d+)\+|<(\d+)) `)

// forMajor takes the restriction off a line, and says whether it holds for a major version.
func forMajor(line string, major int) (plain string, applies bool) {
	found := restriction.FindStringSubmatch(line)
	if found == nil {
		return line, true
	}
	since, _ := strconv.Atoi(found[1])
	before, _ := strconv.Atoi(found[2])
	return line[len(found[0]):], major >= since && (before == 0 || major < before)
}

// updated are the lines to write: restrictions stay, and so do the lines that are for other versions.
func (c change) updated(got []string, major int) []string {
	written := slices.Clone(got)
	for _, line := range c.differences {
		plain, applies := forMajor(line, major)
		if i := slices.Index(written, plain); applies && i >= 0 {
			written[i] = line
		} else if !applies {
			written = append(written, line)
		}
	}
	return written
}

func TestEachSingleChangeIsFoundAndNamedAndUndoingItGivesTheSameFingerprint(t *testing.T) {
	t.Parallel()
	major := server.Version().Major
	head, changes := loadChanges(t)
	require.GreaterOrEqual(t, len(changes), 60)
	var mutex sync.Mutex
	t.Cleanup(func() {
		if !*update {
			return
		}
		for _, c := range changes {
			head += c.write()
		}
		require.NoError(t, os.WriteFile(changesFile, []byte(head), 0o600))
	})
	for i, c := range changes {
		if c.since > major {
			continue
		}
		t.Run(c.title, func(t *testing.T) {
			t.Parallel()
			conn := copied(t)
			before := read(t, conn)
			execute(t, conn, c.do)
			after := read(t, conn)
			got := lines(schema.Diff(before, after))
			if *update {
				mutex.Lock()
				changes[i].differences = c.updated(got, major)
				mutex.Unlock()
			} else {
				require.NotEmpty(t, got)
				require.ElementsMatch(t, c.expected(major), got)
			}
			require.NotEqual(t, before.Fingerprint(), after.Fingerprint())
			require.Len(t, schema.Diff(after, before), len(got))
			if c.undo != "" {
				execute(t, conn, c.undo)
				again := read(t, conn)
				require.Empty(t, lines(schema.Diff(before, again)))
				require.Equal(t, before.Fingerprint(), again.Fingerprint())
			}
		})
	}
}

func lines(differences []schema.Difference) []string {
	lines := []string{}
	for _, d := range differences {
		lines = append(lines, d.String())
	}
	return lines
}
