package trial_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRepeatableMigrationsRunTwiceBehindTheOthers(t *testing.T) {
	t.Parallel()
	all := files{
		"1_t.sql":     "CREATE TABLE t (id int);\n-- +migrate Down\nDROP TABLE t;",
		"R__v.sql":    "CREATE OR REPLACE VIEW v AS SELECT id FROM t;",
		"R__once.sql": "CREATE VIEW once AS SELECT id FROM v;",
	}
	report := run(t, all.shared(t, nil))
	require.False(t, report.OK())
	require.Equal(t, "1 passed", statuses(report))
	require.Equal(t, []string{`migrations/R__once.sql:1:1: relation "once" already exists (SQLSTATE 42P07)`},
		messages(report.Findings))

	all["R__once.sql"] = "DROP VIEW IF EXISTS once; CREATE VIEW once AS SELECT id FROM v;"
	require.True(t, run(t, all.shared(t, nil)).OK())
}

func TestRepeatableMigrationsCanBeChosenAndCanBeAll(t *testing.T) {
	t.Parallel()
	table := "CREATE TABLE t (id int);\n-- +migrate Down\nDROP TABLE t;"
	for name, test := range map[string]struct {
		files  files
		only   []string
		ok     bool
		tested string
	}{
		"chosen by version": {files{"1_t.sql": table, "R__v.sql": "CREATE OR REPLACE VIEW v AS SELECT id FROM t"},
			[]string{"R__v"}, true, ""},
		"chosen by name": {files{"1_t.sql": table, "R__v.sql": "CREATE VIEW v AS SELECT id FROM t"}, []string{"v"},
			false, ""},
		"chosen with another": {files{"1_t.sql": table, "R__v.sql": "CREATE OR REPLACE VIEW v AS SELECT id FROM t"},
			[]string{"R__v", "1"}, true, "1 passed"},
		"nothing else":            {files{"R__v.sql": "CREATE OR REPLACE VIEW v AS SELECT 1 AS id"}, nil, true, ""},
		"nothing else, and wrong": {files{"R__v.sql": "CREATE VIEW v AS SELECT 1 AS id"}, nil, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := test.files.shared(t, nil)
			options.Only = test.only
			report := run(t, options)
			require.Equal(t, test.ok, report.OK(), messages(report.Findings))
			require.Equal(t, test.tested, statuses(report))
		})
	}
}
