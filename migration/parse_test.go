package migration

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestParseAgreesWithTheCorpus(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*/*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			m, err := Parse(filepath.Base(file), string(text))
			got := describe(m, err)
			golden := strings.TrimSuffix(file, ".sql") + ".golden"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
}

func TestParseOfTheCorpusDoesNotDependOnLineEnds(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*/*.sql")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		m, err := Parse(filepath.Base(file), string(text))
		want := describe(m, err)
		m, err = Parse(filepath.Base(file), "\uFEFF"+strings.ReplaceAll(string(text), "\n", "\r\n"))
		require.Equal(t, want, strings.ReplaceAll(describe(m, err), "\r\n", "\n"), file)
	}
}

// describe writes down all that is known of a migration.
func describe(m Migration, err error) string {
	var text strings.Builder
	for _, problem := range Problems(err) {
		fmt.Fprintf(&text, "%s\n  %s\n  remedy: %s\n", problem, problem.Code, problem.Remedy)
	}
	if err != nil {
		return text.String()
	}
	fmt.Fprintf(&text, "version %s\nname %s\nkind %s\n", m.Version, m.Name, m.Kind)
	fmt.Fprintf(&text, "empty %t\ndown migration %t\n", m.Empty(), m.Reversible())
	if m.Irreversible {
		fmt.Fprintf(&text, "irreversible %q\n", m.Reason)
	}
	for _, s := range m.Settings {
		fmt.Fprintf(&text, "%d:%d set %s to %q\n", s.Position.Line, s.Position.Column, s.Name, s.Value)
	}
	for _, a := range m.Allows {
		fmt.Fprintf(&text, "%d:%d allow %s, because %q\n", a.Position.Line, a.Position.Column, a.Hazard, a.Reason)
	}
	describeSection(&text, "up", m.Up)
	describeSection(&text, "down", m.Down)
	fmt.Fprintf(&text, "\nstored down migration:\n%s", m.StoredDown())
	return text.String()
}

func describeSection(text *strings.Builder, direction string, section Section) {
	fmt.Fprintf(text, "\n%s, %d statements, without transaction %t\n", direction, len(section.Statements),
		section.NoTransaction)
	for _, s := range section.Statements {
		if b := s.Batch; b != nil {
			fmt.Fprintf(text, "%d:%d batch of %s = %q by %q, size %d, pause %s, workers %d\n",
				b.Position.Line, b.Position.Column, b.Table, b.TableName(), b.Key, b.Size, b.Pause, b.Workers)
		}
		if a := s.Assert; a != nil {
			fmt.Fprintf(text, "%d:%d assert %q\n", a.Position.Line, a.Position.Column, a.Message)
		}
		fmt.Fprintf(text, "%d:%d to %d:%d\n%s\n", s.Start.Line, s.Start.Column, s.End().Line, s.End().Column, s.Text)
		if s.Data != nil {
			fmt.Fprintf(text, "data:\n%s\n", *s.Data)
		}
	}
}

func TestPositionsInAnnotationsCountCharacters(t *testing.T) {
	t.Parallel()
	_, err := Parse("1_a.sql", "SELECT 'ü';\n\t-- +migrate Batch größe by id size=x\nSELECT 1")
	problem := Problems(err)[0]
	require.Equal(t, Position{Offset: 13 + len("\t-- +migrate Batch größe by id "), Line: 2, Column: 32}, problem.Position)
}

func TestParseRefusesWhatIsNoText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                          "empty: 1_a.sql: the file is empty",
		"\uFEFF \r\n":               "empty: 1_a.sql: the file is empty",
		"\uFEFF\uFEFFSELECT 1":      "encoding: 1_a.sql: the file begins with two byte-order marks",
		"\xfe\xff\x00S":             "encoding: 1_a.sql: the file is UTF-16, not UTF-8",
		"SELECT 1;\n\x00":           "lexical: 1_a.sql:2:1: a NUL byte",
		"SELECT 1;\nSELECT '\xe9'":  "lexical: 1_a.sql:2:9: the byte 0xe9 is not valid UTF-8 here",
		"-- +migrate Batch \xff by": "lexical: 1_a.sql:1:19: the byte 0xff is not valid UTF-8 here",
	} {
		m, err := Parse("1_a.sql", text)
		require.Zero(t, m)
		requireProblems(t, err, want)
	}
}

func TestParseTakesVersionAndNameFromThePath(t *testing.T) {
	t.Parallel()
	m := parse(t, "a/b/0007_x.sql", "\uFEFFSELECT 1")
	require.Equal(t, Version("0007"), m.Version)
	require.Equal(t, "x", m.Name)
	require.Equal(t, "a/b/0007_x.sql", m.Path)
	require.Equal(t, "SELECT 1", m.Text)

	_, err := Parse("a/b/x.sql", "SELECT 1")
	requireProblems(t, err, "bad_name: a/b/x.sql: is not the name of a migration: it must begin with a version number")
}

func TestParseDoesNotLookIntoScripts(t *testing.T) {
	t.Parallel()
	m := parse(t, "1_a.ts", "'\n-- +migrate Nonsense")
	require.Equal(t, Script, m.Kind)
	require.False(t, m.Empty())
	require.True(t, m.Reversible(), "only the script knows")
	require.Empty(t, m.StoredDown())
}

func TestSettingsComeThroughTheirQuotes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringOf(rapid.RuneFrom([]rune(`a'";-$ \=ü`))).Draw(t, "value")
		setting := Setting{Name: "a.b", Value: value}
		m := parse(t, "1_a.sql", setting.annotation()+"SELECT 1")
		require.Equal(t, value, m.Settings[0].Value)
	})
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.sql")
	require.NoError(f, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(string(text))
	}
	f.Add("\uFEFF-- +migrate Up\r\nSELECT 1\r\n-- +migrate Down\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse("1_a.sql", text)
		if err != nil {
			for _, problem := range Problems(err) {
				require.NotEmpty(t, problem.Code)
				require.NotEmpty(t, problem.Message)
				require.LessOrEqual(t, problem.Position.Offset, len(text))
			}
			require.NotEmpty(t, Problems(err))
			return
		}
		require.True(t, m.AcceptsChecksum(sha(text)))
		again, err := Parse("1_a.sql", m.Text)
		require.NoError(t, err)
		require.Equal(t, m, again)

		stored, err := ParseStored(m.Version, m.Name, m.StoredDown())
		require.NoError(t, err, "stored: %q", m.StoredDown())
		requireSameDown(t, m, stored)
	})
}
