package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/redact"
	"github.com/whimbrel-db/whimbrel/project"
)

// variables are a process's environment variables.
type variables map[string]string

func (v variables) lookup(name string) (string, bool) {
	value, ok := v[name]
	return value, ok
}

// parseConfig reads a whimbrel.yaml as the program does.
func parseConfig(text []byte) (project.File, error) {
	return project.Parse(project.Name, text, problemOfHazard)
}

func TestTheConfigThatInitWritesCanBeRead(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"migrations", "db: #1", "- x"} {
		c, err := parseConfig([]byte(configTemplate([]string{dir})))
		require.NoError(t, err)
		require.EqualValues(t, []string{dir}, c.Migrations)
		require.Equal(t, []string{"development", "production"}, c.Names())
	}
}

func TestIgnoreAddsOneLine(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ before, after string }{
		"an empty file":              {"", ".whimbrel/\n"},
		"a file with other lines":    {"/bin/\n", "/bin/\n.whimbrel/\n"},
		"a file without a last line": {"/bin/", "/bin/\n.whimbrel/\n"},
		"a file that has it":         {"/.whimbrel/\n", "/.whimbrel/\n"},
		"a file with CRLF":           {".whimbrel\r\n", ".whimbrel\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), ".gitignore")
			require.NoError(t, os.WriteFile(path, []byte(test.before), 0o644))
			added, err := ignore(path)
			require.NoError(t, err)
			require.Equal(t, test.before != test.after, added)
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, test.after, string(text))
		})
	}
}

func TestRedactorKnowsJSON(t *testing.T) {
	t.Parallel()
	r := &redact.Redactor{}
	r.Connection(`host=h password='a<b&"c\\d'`)
	a := &app{redactor: r}
	var out strings.Builder
	a.out = r.Writer(&out)
	a.object(map[string]string{"error": `the password a<b&"c\d is wrong`})
	require.JSONEq(t, `{"error":"the password xxxxx is wrong"}`, out.String())
}
