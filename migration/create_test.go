package migration

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var noon = time.Date(2024, 1, 15, 13, 0, 0, 0, time.FixedZone("CET", 3600))

func TestTemplateOfSQLHasHeaderAndMarks(t *testing.T) {
	t.Parallel()
	file, content, err := Template(Draft{Extension: "sql", Title: "Add users", Author: "Jo Doe <jo@example.com>",
		Date: noon})
	require.NoError(t, err)
	require.Equal(t, "20240115120000_add_users.sql", file)
	require.Equal(t, `-- Migration: add_users
-- Author: Jo Doe <jo@example.com>
-- Date: 2024-01-15 12:00:00 UTC
-- Description: Add users

-- +migrate Up


-- +migrate Down

`, content)

	m := parse(t, file, content)
	require.True(t, m.Empty(), "a fresh migration does nothing yet")
	require.False(t, m.Reversible())
}

func TestTemplateOfScriptsFailsUntilItIsWritten(t *testing.T) {
	t.Parallel()
	for extension, export := range map[string]string{
		"js": "module.exports = {", ".cjs": "module.exports = {", "mjs": "export default {", "TS": "export default {",
	} {
		file, content, err := Template(Draft{Extension: extension, Version: "0007", Title: `Say "hi"`, Date: noon})
		require.NoError(t, err)
		require.Equal(t, "0007_say_hi."+strings.ToLower(strings.TrimPrefix(extension, ".")), file)
		require.Contains(t, content, "// Author:\n")
		require.Contains(t, content, export)
		require.Contains(t, content, `description: "Say \"hi\"",`)
		require.Contains(t, content, "throw new Error('up is not written yet')")
		require.Contains(t, content, "throw new Error('down is not written yet')")
		require.Equal(t, Script, parse(t, file, content).Kind)
	}
}

func TestTitlesBecomeNames(t *testing.T) {
	t.Parallel()
	for title, want := range map[string]string{
		"add_users":                "add_users",
		"Add users!":               "add_users",
		"AddUsersTable":            "add_users_table",
		"AddHTTPHeaders, please":   "add_http_headers_please",
		"step2Of3":                 "step2_of3",
		"  --a--b--  ":             "a_b",
		"add_users.sql":            "add_users",
		"größe":                    "gr_e",
		"../../etc/passwd":         "etc_passwd",
		strings.Repeat("a", 200):   strings.Repeat("a", 100),
		strings.Repeat("abcd ", 9): strings.Repeat("abcd_", 8) + "abcd",
		strings.Repeat("abc ", 99): strings.Repeat("abc_", 24) + "abc",
	} {
		file, _, err := Template(Draft{Extension: "sql", Version: "1", Title: title, Date: noon})
		require.NoError(t, err, title)
		require.Equal(t, "1_"+want+".sql", file, title)
	}
}

func TestTemplateRefusesWhatMakesNoFile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ extension, version, title string }{
		{"sql", "1", ""}, {"sql", "1", "?!"}, {"sql", "1", "äöü"},
		{"txt", "1", "a"}, {"d.ts", "1", "a"}, {"sql", "x", "a"}, {"sql", "12345678901234567890", "a"},
	} {
		_, _, err := Template(Draft{Extension: test.extension, Version: Version(test.version), Title: test.title, Date: noon})
		require.Len(t, Problems(err), 1, "%v", test)
		require.Equal(t, CodeBadName, Problems(err)[0].Code)
		require.NotEmpty(t, Problems(err)[0].Remedy)
	}
}

func TestTemplateIsAlwaysAValidFileWithNothingInIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		title := "a" + rapid.String().Draw(t, "title")
		author := rapid.OneOf(rapid.String(), rapid.Just("x\n-- +migrate Up\nDROP TABLE t;")).Draw(t, "author")
		file, content, err := Template(Draft{Extension: "sql", Title: title, Author: author, Date: noon})
		require.NoError(t, err)
		require.LessOrEqual(t, len(file), 15+100+4)
		m := parse(t, file, content)
		require.True(t, m.Empty())
		require.Empty(t, m.Down.Statements)
	})
}

func TestNextVersionComesAfterAllOthers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		existing []Version
		want     Version
	}{
		{"the first is the time in UTC", nil, "20240115120000"},
		{"after older ones as well", []Version{"20230101000000", "20240115115959"}, "20240115120000"},
		{"at the same second, the next one", []Version{"20240115120000"}, "20240115120001"},
		{"after a later one", []Version{"20240115120059", "20240115120000"}, "20240115120100"},
		{"over the end of a year", []Version{"20241231235959"}, "20250101000000"},
		{"a sequence goes on in its width", []Version{"0001", "0009"}, "0010"},
		{"a sequence without zeros", []Version{"1", "9"}, "10"},
		{"a full sequence gets wider", []Version{"998", "999"}, "1000"},
		{"a timestamp ends a sequence", []Version{"0001", "20230101000000"}, "20240115120000"},
		{"fourteen digits that are no time", []Version{"20249999999999"}, "20250000000000"},
		{"longer ones", []Version{"20240115120000123"}, "20240115120000124"},
		{"versions that are no numbers do not count", []Version{"abc"}, "20240115120000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var existing []Migration
			for _, version := range test.existing {
				existing = append(existing, Migration{Version: version})
			}
			require.Equal(t, test.want, NextVersion(existing, noon))
		})
	}
}

func TestNextVersionIsNewWhateverExists(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var existing []Migration
		for range rapid.IntRange(0, 5).Draw(t, "existing") {
			version := rapid.StringMatching(`[0-9]{1,18}`).Draw(t, "version")
			existing = append(existing, Migration{Version: Version(version)})
		}
		for range 3 {
			next := NextVersion(existing, noon)
			for _, m := range existing {
				require.Positive(t, next.Compare(m.Version))
			}
			_, _, _, err := ParseName(string(next) + "_a.sql")
			require.NoError(t, err)
			existing = append(existing, Migration{Version: next})
		}
	})
}
