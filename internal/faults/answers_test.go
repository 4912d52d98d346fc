//go:build linux

package faults_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// Each answer of the server is lost once. What is recorded all the same has its true
// number of rows, or says that it is unknown; never another one.
func TestRowsWhoseAnswerWasLostAreUnknownAndNeverWrong(t *testing.T) {
	t.Parallel()
	const update = "UPDATE t SET n = n + 1;"
	for name, f := range map[string]files{
		"one transaction": {"1_a.sql": "CREATE TABLE a ();", "2_fill.sql": update},
		"a chain":         {"2_fill.sql": "CREATE INDEX CONCURRENTLY ON t (n);\n" + update},
		"a script": {"2_fill.js": "exports.transaction = false;\nexports.up = async (client) => {\n" +
			"  await client.batch({ table: 't', key: 'id', size: 40 }, (range, client) =>\n" +
			"    client.query('UPDATE t SET n = n + 1 WHERE id > $1 AND id <= $2', [range.from, range.to]));\n};"},
		"a batch": {
			"2_fill.sql": "-- +migrate Batch t by id size=40\nUPDATE t SET n = n + 1 WHERE id > :from AND id <= :to;"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			known, unknown := 0, 0
			for after, lost := 1, true; lost; after++ {
				b := setup(t)
				b.exec("CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO t SELECT generate_series(1, 100)")
				lost = false
				result, err := b.migrator(f, withScripts, losing(t, after, func() { lost = true })).Up(t.Context(),
					whimbrel.UpOptions{})
				var e *whimbrel.Error
				if errors.As(err, &e) && e.Code == whimbrel.CodeConnection { // before the run had its lease
					result, err = b.migrator(f, withScripts).Up(t.Context(), whimbrel.UpOptions{})
				}
				require.NoError(t, err, "the answer after %d is lost", after)
				require.Equal(t, "100 1 1", b.text("SELECT concat_ws(' ', count(*), min(n), max(n)) FROM t"),
					"the answer after %d is lost", after)
				done := result.Done[len(result.Done)-1]
				if done.RowsUnknown {
					unknown++
					continue
				}
				require.EqualValues(t, 100, done.Rows, "the answer after %d is lost", after)
				known++
			}
			t.Logf("of %d runs, %d did not know the rows", known+unknown, unknown)
			require.NotZero(t, known)
			require.LessOrEqual(t, unknown, 2, "only the answer to what records the migration leaves it open")
		})
	}
}
