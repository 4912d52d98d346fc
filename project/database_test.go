package project

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/dial"
)

// variables are a process's environment variables.
type variables map[string]string

func (v variables) lookup(name string) (string, bool) {
	value, ok := v[name]
	return value, ok
}

// choose chooses a database as it is said by options, file and environment.
func choose(o Options, file File, set variables) (Database, error) {
	o.Lookup = set.lookup
	return o.choose(file)
}

func TestTheFirstDatabaseThatIsGivenCounts(t *testing.T) {
	t.Parallel()
	file, err := Parse(Name, []byte(`
environments:
  mine: {embedded: true, pg_version: 17, table: t}
  production: {url: "postgres://${NAME}@file/app"}
`), nil)
	require.NoError(t, err)
	withDefault := file
	withDefault.DefaultEnvironment = "production"
	all := variables{"DATABASE_URL": "postgres://url", "DB_HOST": "db", "PGHOST": "pg", "NAME": "n"}

	for name, test := range map[string]struct {
		options Options
		file    File
		set     variables
		want    Database
	}{
		"the flag before everything": {
			Options{DatabaseURL: "postgres://flag", Environment: "production"}, withDefault, all,
			Database{URL: "postgres://flag", Source: "Options.DatabaseURL"},
		},
		"the development server before everything": {
			Options{Dev: true, Environment: "production"}, withDefault, all, Database{Embedded: true, Source: "Options.Dev"},
		},
		"the development server as its environment says": {
			Options{Dev: true, Environment: "mine"}, file, all, Database{Embedded: true, major: 17, Table: "t",
				Source: "Options.Dev"},
		},
		"the environment by name": {
			Options{Environment: "production"}, file, all, Database{URL: "postgres://n@file/app",
				Source: "environment production", Environment: "production"},
		},
		"an embedded environment": {
			Options{Environment: "mine"}, file, all, Database{Embedded: true, major: 17, Table: "t", Source: "environment mine",
				Environment: "mine"},
		},
		"the default environment before variables": {
			Options{}, withDefault, all, Database{URL: "postgres://n@file/app", Source: "environment production",
				Environment: "production"},
		},
		"DATABASE_URL before DB_HOST": {Options{}, file, all, Database{URL: "postgres://url", Source: "DATABASE_URL"}},
		"DB_HOST before PGHOST": {
			Options{}, file, variables{"DB_HOST": "db", "PGHOST": "pg"},
			Database{URL: "host='db' port='5432' dbname='myapp' user='postgres'", Source: "DB_HOST"},
		},
		"any of DB_* is enough": {
			Options{}, file, variables{"DB_PASSWORD": `it's \ odd`},
			Database{URL: `host='localhost' port='5432' dbname='myapp' user='postgres' password='it\'s \\ odd'`,
				Source: "DB_PASSWORD"},
		},
		"PG* last": {Options{}, file, variables{"PGDATABASE": "pg"},
			Database{viaPG: true, Source: "PGDATABASE"}},
		"an empty value is none": {Options{}, file, variables{"DATABASE_URL": "", "PGSERVICE": "x"},
			Database{viaPG: true, Source: "PGSERVICE"}},
		"without a file, DB_* too": {Options{}, File{}, variables{"DB_NAME": "x"},
			Database{URL: "host='localhost' port='5432' dbname='x' user='postgres'", Source: "DB_NAME"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := choose(test.options, test.file, test.set)
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestWithoutADatabaseAllWaysAreListed(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]variables{
		"nothing":          {},
		"only refinements": {"PGSSLMODE": "require", "PGPASSWORD": "x", "PGAPPNAME": "y"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := choose(Options{}, File{}, set)
			var e *whimbrel.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, CodeUsage, e.Code)
			for _, way := range []string{"Options.DatabaseURL", "Options.Environment", "whimbrel.yaml", "DATABASE_URL",
				"DB_HOST", "PGHOST",
				"Options.Dev"} {
				require.Contains(t, e.Remedy, way)
			}
		})
	}
}

func TestOddValuesOfDBVariablesArriveAsTheyAre(t *testing.T) {
	t.Parallel()
	set := variables{"DB_HOST": "/var/run", "DB_PORT": "6543", "DB_NAME": "my 'app'", "DB_USER": `a\b`,
		"DB_PASSWORD": `p' \=%@/:`}
	parsed, err := dial.Parse(dial.Variables("DB_", "myapp", set.lookup))
	require.NoError(t, err)
	require.Equal(t, []string{"/var/run", "my 'app'", `a\b`, `p' \=%@/:`}, []string{parsed.Host, parsed.Database,
		parsed.User, parsed.Password})
	require.Equal(t, uint16(6543), parsed.Port)
}

func TestExpandReadsTheEnvironment(t *testing.T) {
	t.Parallel()
	set := variables{"HOST": "db:5432", "WORD": "simple", "ENCODED": "a%2Fb", "RAW": "a/b@c", "EMPTY": "", "BAD": "50%"}
	for template, want := range map[string]string{
		"postgres://u@${HOST}/app":                  "postgres://u@db:5432/app",
		"postgres://u:${WORD}@${HOST}/app":          "postgres://u:simple@db:5432/app",
		"postgres://u:${ENCODED}@h/app":             "postgres://u:a%2Fb@h/app",
		"${RAW}":                                    "a/b@c",
		"postgres://h/${RAW}":                       "postgres://h/a/b@c",
		"postgres://${NONE:-u}@h/${EMPTY:-app}":     "postgres://u@h/app",
		"postgres://h/app${NONE:-}":                 "postgres://h/app",
		"postgres://u@h/app?options=$WORD":          "postgres://u@h/app?options=$WORD",
		"host=${HOST} password=${RAW}":              "host=db:5432 password=a/b@c",
		"postgres://u:${NONE:-a/b}@h/app":           "",
		"postgres://u:${RAW}@h/app":                 "",
		"postgres://u:${BAD}@h/app":                 "",
		"postgres://u:${NONE}@h/app":                "",
		"postgres://u:${EMPTY}@h/app":               "",
		"postgres://${WORD}:${ENCODED}@${NONE}/app": "",
	} {
		got, err := expand(template, set.lookup)
		if want != "" {
			require.NoError(t, err, template)
			require.Equal(t, want, got)
			continue
		}
		require.Error(t, err, template)
		require.NotContains(t, err.Error(), "a/b", "the value may be a secret")
		require.NotContains(t, err.Error(), "50%")
		require.Regexp(t, "RAW|BAD|NONE|EMPTY", err.Error())
	}
}

func TestAnUnknownEnvironmentIsAnErrorWhateverElseNamesTheDatabase(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, Name)
	require.NoError(t, os.WriteFile(path, []byte("environments: {prod: {url: 'postgres://x'}}\n"), 0o600))
	for name, o := range map[string]Options{
		"by itself":                        {},
		"beside the development server":    {Dev: true},
		"beside the address of a database": {DatabaseURL: "postgres://nobody@nowhere/x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.Folder, o.Lookup, o.Environment = folder, variables{}.lookup, "prud"
			_, err := Open(path, o)
			var e *whimbrel.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, []string{`unknown environment "prud"`, "did you mean prod?", Name},
				[]string{e.Message, e.Remedy, e.Path})
			require.ErrorIs(t, err, whimbrel.CodeConfiguration)
			o.Environment = "prod"
			_, err = Open(path, o)
			require.NoError(t, err)
		})
	}
}
