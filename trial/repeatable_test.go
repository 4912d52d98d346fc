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
