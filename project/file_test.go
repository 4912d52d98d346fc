package project

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

func TestConfigReadsEveryKey(t *testing.T) {
	t.Parallel()
	c, err := Parse("whimbrel.yaml", []byte(`
migrations: [db/one, db/two]
table: ops.history
out_of_order: apply
max_stall: 50ms
retry_budget: 1h
lock_wait: 30s
max_replica_lag: 5s
scripts:
  environment: [REGION, _tenant2]
  memory: 1GB
  compute: 90s
default_environment: here
environments:
  here:
    embedded: true
    pg_version: 16
  there:
    url: postgres://app@db/app
    table: there_migrations
`), nil)
	require.NoError(t, err)
	require.Equal(t, folders{"db/one", "db/two"}, c.Migrations)
	require.Equal(t, "ops.history", c.Table)
	require.Equal(t, whimbrel.ApplyOutOfOrder, c.OutOfOrder)
	require.Equal(t, 50*time.Millisecond, c.MaxStall)
	require.Equal(t, time.Hour, c.RetryBudget)
	require.Equal(t, 30*time.Second, c.LockWait)
	require.Equal(t, 5*time.Second, c.MaxReplicaLag)
	require.Equal(t, ScriptLimits{Environment: variableNames{"REGION", "_tenant2"}, Memory: 1 << 30,
		Compute: 90 * time.Second}, c.Scripts)
	require.Equal(t, "here", c.DefaultEnvironment)
	require.Equal(t, map[string]Environment{
		"here":  {Embedded: true, PGVersion: 16},
		"there": {URL: "postgres://app@db/app", Table: "there_migrations"},
	}, c.Environments)
}

// What a command keeps beside its configuration must not come to lie among devices.
func TestAConfigurationThatIsNoFileBelongsToTheWorkingFolder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	c, err := Options{Folder: folder, Lookup: variables{}.lookup}.readFile(os.DevNull)
	require.NoError(t, err)
	require.Equal(t, folder, c.Place)
}

func TestConfigMayBeEmptyOrOneFolder(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "# nothing\n", "---\n"} {
		c, err := Parse("whimbrel.yaml", []byte(text), nil)
		require.NoError(t, err, "%q", text)
		require.Empty(t, c.Migrations)
	}
	c, err := Parse("whimbrel.yaml", []byte("migrations: db\n"), nil)
	require.NoError(t, err)
	require.Equal(t, folders{"db"}, c.Migrations)
}

func TestConfigErrorsNameTheirPlace(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text         string
		line, column int
		message      string
		remedy       string
	}{
		"an unknown key":              {"tabel: x\n", 1, 1, `unknown key "tabel"`, "did you mean table?"},
		"an unknown key far from all": {"something_else: x\n", 1, 1, `unknown key`, "the keys are alerts, "},
		"an unknown key of an environment": {"environments:\n  a:\n    ulr: x\n", 3, 5, `unknown key "ulr"`,
			"did you mean url?"},
		"a key that another level has": {"embedded: true\n", 1, 1, `unknown key "embedded"`, "the keys are alerts, "},
		"a key twice":                  {"table: a\ntable: b\n", 2, 1, `"table"`, ""},
		"a duration without a unit":    {"lock_wait: 30\n", 1, 12, `invalid duration "30"`, ""},
		"a negative duration": {"max_stall: -1s\n", 1, 12, "max_stall: a stall budget of -1s cannot be kept",
			"at least 1ms"},
		"a negative budget": {"retry_budget: -1s\n", 1, 15, "retry_budget: must not be negative",
			"positive"},
		"an unknown policy": {"out_of_order: no\n", 1, 15, "unknown policy", "refuse, apply or skip"},
		"a folder that is a mapping": {"migrations:\n  a: b\n", 2, 3, "migrations: a text is expected",
			"list of paths"},
		"an empty folder":        {"migrations: [a, '']\n", 1, 17, "migrations: a text is expected", ""},
		"a list for a text":      {"table: [a]\n", 1, 8, "", ""},
		"a text for a mapping":   {"environments: a\n", 1, 15, "", ""},
		"a text for a yes or no": {"environments:\n  a:\n    embedded: maybe\n", 3, 15, "", ""},
		"a default that is not there": {"default_environment: a\n", 1, 22, `unknown environment "a"`,
			"add it below environments:"},
		"a default that is nearly there": {"default_environment: prud\nenvironments:\n  prod:\n    embedded: true\n", 1,
			22, `"prud"`, "did you mean prod?"},
		"an environment with two databases": {"environments:\n  a:\n    url: x\n    embedded: true\n", 4, 15,
			"has a url and is embedded", "use only one"},
		"an environment with no database": {"environments:\n  a:\n    table: x\n", 3, 5, "says no database",
			"embedded: true"},
		"a version for somebody else's": {"environments:\n  a:\n    url: x\n    pg_version: 16\n", 4, 17,
			"pg_version is for embedded servers", ""},
		"a version that is not there": {"environments:\n  a:\n    embedded: true\n    pg_version: 9\n", 4, 17,
			"no embedded PostgreSQL 9", "14, 15, 16, 17, 18"},
		"a replica that must be ahead": {"max_replica_lag: -1s\n", 1, 18, "max_replica_lag: must not be negative",
			"Config.MaxReplicaLag"},
		"an unknown key of scripts": {"scripts:\n  envronment: [A]\n", 2, 3, `unknown key "envronment"`,
			"did you mean environment?"},
		"variables that are no list": {"scripts:\n  environment: A\n", 2, 16, "scripts.environment: a list is expected",
			""},
		"a variable that is none": {"scripts:\n  environment: [A, B-C]\n", 2, 20,
			`"B-C" is not the name of a variable`, ""},
		"a variable that is a number":        {"scripts:\n  environment: [1]\n", 2, 17, `"1" is not the name`, ""},
		"a memory without a unit":            {"scripts:\n  memory: 256\n", 2, 11, `invalid size "256"`, ""},
		"a memory with a strange unit":       {"scripts:\n  memory: 256m\n", 2, 11, `invalid size "256m"`, ""},
		"a memory of next to nothing":        {"scripts:\n  memory: 1kB\n", 2, 11, "scripts.memory: ", "at least 16MB"},
		"no time to compute":                 {"scripts:\n  compute: 0s\n", 2, 12, "scripts.compute: ", "positive"},
		"brackets that are not closed":       {"migrations: [a\n", 1, 13, "", ""},
		"several documents":                  {"table: a\n---\ntable: b\n", 0, 0, "more than one document", "use only one"},
		"a text in place of a configuration": {"hello\n", 1, 1, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("whimbrel.yaml", []byte(test.text), nil)
			require.Error(t, err)
			var e *whimbrel.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, whimbrel.CodeConfiguration, e.Code)
			require.Equal(t, "whimbrel.yaml", e.Path)
			require.Contains(t, e.Message, test.message)
			require.Contains(t, e.Remedy, test.remedy)
			if test.line > 0 {
				require.Equal(t, [2]int{test.line, test.column}, [2]int{e.Line, e.Column}, e.Error())
			}
		})
	}
}

// FuzzConfig checks that no text makes the reader of configurations panic, and
// that every error is one of ours.
func FuzzConfig(f *testing.F) {
	f.Add([]byte("migrations: [a, b]\nenvironments:\n  x:\n    url: ${A:-b}\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("? {}\n: - -\n"))
	f.Add([]byte("environments: {a: {embedded: true, pg_version: 99}}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, err := Parse("whimbrel.yaml", text, nil)
		var own *whimbrel.Error
		if err != nil && !errors.As(err, &own) {
			t.Fatalf("a foreign error: %v", err)
		}
	})
}

func TestConfigIsFoundUpToTheRootOfTheRepository(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	deep := filepath.Join(root, "repository", "a", "b")
	require.NoError(t, os.MkdirAll(deep, 0o755))
	outside := filepath.Join(root, Name)
	require.NoError(t, os.WriteFile(outside, nil, 0o644))
	require.Equal(t, outside, findFile(deep, ""))

	require.Empty(t, findFile(deep, filepath.Join(root, "repository")), "the home folder is the last one")
	require.NoError(t, os.Mkdir(filepath.Join(root, "repository", ".git"), 0o755))
	require.Empty(t, findFile(deep, ""), "so is the root of the repository")

	inside := filepath.Join(root, "repository", Name)
	require.NoError(t, os.WriteFile(inside, nil, 0o644))
	require.Equal(t, inside, findFile(deep, ""))
	near := filepath.Join(deep, Name)
	require.NoError(t, os.WriteFile(near, nil, 0o644))
	require.Equal(t, near, findFile(deep, ""))
}

func TestZeroInTheFileMeansNothing(t *testing.T) {
	t.Parallel()
	c, err := Parse(Name, []byte("lock_wait: 0s\nretry_budget: 0s\n"), nil)
	require.NoError(t, err)
	require.Equal(t, time.Duration(-1), c.orNothing("lock_wait", c.LockWait, -1))
	require.Equal(t, time.Nanosecond, c.orNothing("retry_budget", c.RetryBudget, time.Nanosecond))
	require.Zero(t, File{}.orNothing("lock_wait", 0, -1))
}
