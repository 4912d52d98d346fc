package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/redact"
)

// variables are a process's environment variables.
type variables map[string]string

func (v variables) lookup(name string) (string, bool) {
	value, ok := v[name]
	return value, ok
}

func TestTheFirstDatabaseThatIsGivenCounts(t *testing.T) {
	t.Parallel()
	file, err := parseConfig(configName, []byte(`
environments:
  mine: {embedded: true, pg_version: 17, table: t}
  production: {url: "postgres://${NAME}@file/app"}
`))
	require.NoError(t, err)
	withDefault := file
	withDefault.DefaultEnvironment = "production"
	all := variables{"DATABASE_URL": "postgres://url", "DB_HOST": "db", "PGHOST": "pg", "NAME": "n"}

	for name, test := range map[string]struct {
		flags globalFlags
		file  config
		set   variables
		want  target
	}{
		"the flag before everything": {
			globalFlags{databaseURL: "postgres://flag", env: "production"}, withDefault, all,
			target{conninfo: "postgres://flag", source: "--database-url"},
		},
		"the development server before everything": {
			globalFlags{dev: true, env: "production"}, withDefault, all, target{embedded: true, source: "--dev"},
		},
		"the development server as its environment says": {
			globalFlags{dev: true, env: "mine"}, file, all, target{embedded: true, major: 17, table: "t", source: "--dev"},
		},
		"the environment by name": {
			globalFlags{env: "production"}, file, all, target{conninfo: "postgres://n@file/app",
				source: "environment production", environment: "production"},
		},
		"an embedded environment": {
			globalFlags{env: "mine"}, file, all, target{embedded: true, major: 17, table: "t", source: "environment mine",
				environment: "mine"},
		},
		"the default environment before variables": {
			globalFlags{}, withDefault, all, target{conninfo: "postgres://n@file/app", source: "environment production",
				environment: "production"},
		},
		"DATABASE_URL before DB_HOST": {globalFlags{}, file, all, target{conninfo: "postgres://url", source: "DATABASE_URL"}},
		"DB_HOST before PGHOST": {
			globalFlags{}, file, variables{"DB_HOST": "db", "PGHOST": "pg"},
			target{conninfo: "host='db' port='5432' dbname='myapp' user='postgres'", source: "DB_HOST"},
		},
		"any of DB_* is enough": {
			globalFlags{}, file, variables{"DB_PASSWORD": `it's \ odd`},
			target{conninfo: `host='localhost' port='5432' dbname='myapp' user='postgres' password='it\'s \\ odd'`,
				source: "DB_PASSWORD"},
		},
		"PG* last": {globalFlags{}, file, variables{"PGDATABASE": "pg"},
			target{viaPG: true, source: "PGDATABASE"}},
		"an empty value is none": {globalFlags{}, file, variables{"DATABASE_URL": "", "PGSERVICE": "x"},
			target{viaPG: true, source: "PGSERVICE"}},
		"without a file, DB_* too": {globalFlags{}, config{}, variables{"DB_NAME": "x"},
			target{conninfo: "host='localhost' port='5432' dbname='x' user='postgres'", source: "DB_NAME"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := resolveTarget(test.flags, test.file, test.set.lookup)
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
			_, err := resolveTarget(globalFlags{}, config{}, set.lookup)
			var e *whimbrel.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, exitWrongUse, exitStatus(err))
			for _, way := range []string{"--database-url", "--env", "whimbrel.yaml", "DATABASE_URL", "DB_HOST", "PGHOST",
				"--dev"} {
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
