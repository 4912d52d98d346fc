package trial_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// longHistory is a history as a team writes it: every third migration makes a
// table, the others alter what is there.
func longHistory(count int) files {
	all := files{}
	for n := 1; n <= count; n++ {
		table := fmt.Sprintf("table_%03d", (n-1)/3)
		var up, down string
		switch n % 3 {
		case 1:
			up = fmt.Sprintf("CREATE TABLE %[1]s (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL, "+
				"created_at timestamptz NOT NULL DEFAULT now());\n"+
				"INSERT INTO %[1]s (email) SELECT 'a' || n FROM generate_series(1, 100) n", table)
			down = "DROP TABLE " + table
		case 2:
			up = fmt.Sprintf("ALTER TABLE %[1]s ADD COLUMN status text NOT NULL DEFAULT 'new', ADD CONSTRAINT %[1]s_status "+
				"CHECK (status <> '');\nUPDATE %[1]s SET status = 'old' WHERE id < 50", table)
			down = fmt.Sprintf("ALTER TABLE %s DROP COLUMN status", table)
		default:
			up = fmt.Sprintf("CREATE UNIQUE INDEX %[1]s_email ON %[1]s (email);\nCOMMENT ON TABLE %[1]s IS 'One of many';\n"+
				"CREATE VIEW %[1]s_new AS SELECT id, email FROM %[1]s WHERE status = 'new'", table)
			down = fmt.Sprintf("DROP VIEW %[1]s_new;\nCOMMENT ON TABLE %[1]s IS NULL;\nDROP INDEX %[1]s_email", table)
		}
		all[fmt.Sprintf("%04d_step.sql", n)] = up + ";\n-- +migrate Down\n" + down + ";\n"
	}
	return all
}

// BenchmarkTwoHundredMigrations proves a history of 200 migrations in two databases at once.
func BenchmarkTwoHundredMigrations(b *testing.B) {
	history := longHistory(200)
	for b.Loop() {
		o := history.options(b, nil)
		o.Jobs = 2
		report := run(b, o)
		require.Equal(b, 200, report.Summary.Passed)
		b.ReportMetric(float64(report.Duration)/1e6/200, "ms/migration")
	}
}
