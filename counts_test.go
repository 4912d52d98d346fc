package whimbrel_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// killedIn runs the folder's migrations in a process of their own and kills it at a
// random moment behind its first batch; false where it was quicker.
func (b *bundle) killedIn(folder string) bool {
	b.Helper()
	cmd, output := b.runner(folder)
	events, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	heard := bufio.NewScanner(events)
	for heard.Scan() && !strings.HasPrefix(heard.Text(), "batch_progress") {
		continue
	}
	time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
	_ = cmd.Process.Kill()
	for heard.Scan() {
		continue
	}
	err = cmd.Wait()
	if err != nil {
		require.Contains(b, err.Error(), "killed", output)
	}
	return err != nil
}

// The rows that the journal has of a backfill, once no transaction of it is left.
const journalled = "SELECT coalesce(sum(rows_done), 0) FROM schema_migrations_journal WHERE step >= 1000000"

func TestCountsOfABackfillAreRightAfterKillsAtAnyBatch(t *testing.T) {
	// Every third row is changed, so that rows are not keys.
	const statement = "UPDATE t SET touched = touched + 1 WHERE id > :from AND id <= :to AND id % 3 = 0;\n"
	for name, file := range map[string]string{
		"one worker":    "-- +migrate Batch t by id size=150\n" + statement,
		"three workers": "-- +migrate Batch t by id size=150 workers=3\n" + statement,
		"in a chain": "CREATE TABLE before ();\n-- +migrate Batch t by id size=150 workers=2\n" + statement +
			"CREATE TABLE behind ();",
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.touched(30_000)
			f := files{"1_fill.sql": file}
			folder := f.write(t)
			kills := 0
			for range 4 {
				if !b.killedIn(folder) {
					break
				}
				kills++
				b.eventually("SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND application_name " +
					"LIKE 'whimbrel%'")
				require.Equal(t, b.text("SELECT sum(touched) FROM t"), b.text(journalled))
			}
			require.Positive(t, kills)
			result, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			require.Equal(t, "10000", b.text("SELECT sum(touched) FROM t"))
			require.Equal(t, int64(10_000), result.Done[0].Rows)
			require.Equal(t, fmt.Sprint(kills), b.text("SELECT count(*) FROM schema_migrations_log WHERE outcome = 'killed' "+
				"AND action = 'up' AND version = '1' AND name = 'fill'"))
		})
	}
}

func TestCountsGoOverAllPasses(t *testing.T) {
	b := setup(t)
	b.touched(3000)
	text := "-- +migrate Batch t by id " +
		"size=500\nUPDATE t SET touched = touched + 1 WHERE id > :from AND id <= :to AND touched < 3;\n" +
		"-- +migrate Assert three times\nSELECT bool_and(touched = 3) FROM t"
	result, err := b.migrator(files{"1_fill.sql": text}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, int64(9000), result.Done[0].Rows)

	b.exec("CREATE TABLE gate (); UPDATE t SET touched = 0")
	text = strings.Replace(text, "bool_and(touched = 3)", "bool_and(touched = 2) AND to_regclass('gate') IS NULL", 1)
	text = strings.Replace(text, "touched < 3", "touched < 2", 1)
	f := files{"2_again.sql": text}
	late := func(c *whimbrel.Config) { c.AllowMissing = true }
	_, err = b.migrator(f, late).Up(t.Context(), whimbrel.UpOptions{})
	_ = fails(t, err, whimbrel.CodeAssertion)
	b.exec("DROP TABLE gate")
	result, err = b.migrator(f, late).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, int64(6000), result.Done[0].Rows, "with what the run that failed had changed")
}

func TestRowsOfStepsThatAnEarlierRunDidAreCounted(t *testing.T) {
	b := setup(t)
	b.touched(1000)
	f := files{"1_a.sql": "UPDATE t SET touched = 1 WHERE id <= 10;\n-- +migrate Batch t by id size=300\n" + touch +
		"VACUUM t;\nSELECT 1/0"}
	_, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.Error(t, err)
	require.Equal(t, "10 1000 0",
		b.text("SELECT string_agg(rows_done::text, ' ' ORDER BY step) FROM schema_migrations_journal WHERE step < 1000000"))
	f["1_a.sql"] = strings.Replace(f["1_a.sql"], "SELECT 1/0", "UPDATE t SET touched = 7 WHERE id <= 5", 1)
	result, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, int64(1015), result.Done[0].Rows)
}

func TestABatchThatFailsNamesItsKeys(t *testing.T) {
	for name, test := range map[string]struct{ columns, by, values, in, from, to string }{
		"a number": {"k int PRIMARY KEY", "k", "n", "('0', '5']", "0", "5"},
		"two columns": {"k int, l text, PRIMARY KEY (k, l)", "k,l", "n, 'O''B' || n", "(('1', ''), ('5', 'O''B5')]", "1 ",
			"5 O'B5"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.exec(fmt.Sprintf("CREATE TABLE t (%s, touched int NOT NULL DEFAULT 0); INSERT INTO t SELECT %s FROM "+
				"generate_series(1, 20) n", test.columns, test.values))
			row := "(" + test.by + ")"
			_, err := b.migrator(files{"1_fill.sql": fmt.Sprintf("-- +migrate Batch t by %s size=5\n"+
				"UPDATE t SET touched = 1 / (k - 3) WHERE %s > (:from) AND %s <= (:to)", test.by, row, row)}).Up(t.Context(),
				whimbrel.UpOptions{})
			e := fails(t, err, whimbrel.CodeStatement)
			require.Equal(t, "division by zero in the batch of keys "+test.in, e.Message)
			require.Equal(t, []string{test.from, test.to}, []string{strings.Join(e.Batch.From, " "), strings.Join(e.Batch.To,
				" ")})
			text, err := json.Marshal(e)
			require.NoError(t, err)
			require.Contains(t, string(text), `"batch":{"from":["`+test.from[:1]+`"`)
			require.Contains(t, b.text("SELECT error FROM schema_migrations_log WHERE outcome = 'failed'"), test.in)
		})
	}
}

func TestABackfillThatRunsAndThatStoppedIsShownToOthers(t *testing.T) {
	b := setup(t)
	b.touched(1000)
	f := files{"1_fill.sql": "-- +migrate Batch t by id size=100\n" + touch}
	watching := b.migrator(f)
	stop := make(chan struct{})
	var once sync.Once
	var seen whimbrel.Unfinished
	_, err := b.migrator(f, func(c *whimbrel.Config) {
		c.Stop = stop
		c.Listener = func(r whimbrel.Record) {
			if p, ok := r.Event.(whimbrel.BatchProgress); ok && p.Keys > 0 {
				once.Do(func() {
					status, err := watching.Status(context.Background())
					if err == nil && len(status.Unfinished) == 1 {
						seen = status.Unfinished[0]
					}
					close(stop)
				})
			}
		}
	}).Up(t.Context(), whimbrel.UpOptions{})
	_ = fails(t, err, whimbrel.CodeInterrupted)
	require.True(t, seen.Running)
	require.Contains(t, seen.By, " pid ")
	require.Equal(t, int64(100), seen.Steps[0].Keys)

	status, err := watching.Status(t.Context())
	require.NoError(t, err)
	stopped := status.Unfinished[0]
	require.False(t, stopped.Running)
	require.Equal(t, "fill", stopped.Name)
	require.WithinDuration(t, time.Now(), stopped.Since, time.Hour)
	require.Equal(t, b.text("SELECT count(*) FROM t WHERE touched = 1"), fmt.Sprint(stopped.Steps[0].Keys))
	require.Equal(t, stopped.Steps[0].Keys, stopped.Steps[0].Rows)
	require.Equal(t, int64(1000), stopped.Steps[0].Total)

	_, err = b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	started := whimbrel.MigrationStarted{}
	for _, r := range b.events {
		if e, ok := r.Event.(whimbrel.MigrationStarted); ok {
			started = e
		}
	}
	require.Equal(t, []int64{stopped.Steps[0].Keys, 1000}, []int64{started.Keys, started.Total})
}

func TestAKilledRunGetsOneLineInTheLogHoweverManyCompete(t *testing.T) {
	const holder = "UPDATE migration_lock SET is_locked = true, token = 40, locked_by = 'eve@far pid 7', host = 'far', " +
		"tool_version = '1.2', locked_at = now() - interval '1 hour', expires_at = now() - interval '1 minute';"
	const row = "INSERT INTO schema_migrations_journal (version, name, direction, step, statement_hash, state, cursor, " +
		"token) VALUES ('3', 'c', 'up', %d, 'x', 'started', '{}', 40);"
	for name, test := range map[string]struct{ state, line string }{
		"in a step": {fmt.Sprintf(row, 2),
			"up 3 c: the run ended without giving its lease back: its time had run out; step 2 was begun"},
		"in a batch": {fmt.Sprintf(row, 2_000_000),
			"up 3 c: the run ended without giving its lease back: its time had run out; step 2 was begun"},
		"between steps": {"UPDATE schema_migrations_journal SET token = 40;",
			"up 3 c: the run ended without giving its lease back: its time had run out; step 1 was done"},
		"behind its record": {"INSERT INTO schema_migrations_log (action, outcome, version, name, token) VALUES ('up', " +
			"'done', '1', 'a', 40);", "run: the run ended without giving its lease back: its time had run out; nothing of it " +
			"is half done"},
		"behind its failure": {"INSERT INTO schema_migrations_log (action, outcome, version, name, token) VALUES ('up', " +
			"'failed', '3', 'c', 40);", ""},
		"with another's rows": {"SELECT 1", "run: the run ended without giving its lease back: its time had run out; " +
			"nothing of it is half done"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			f := files{"1_a.sql": "CREATE TABLE a ()", "3_c.sql": "CREATE TABLE c ();\nVACUUM nosuch"}
			_, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
			require.Error(t, err) // behind the first step of 3, by a runner that said so
			b.exec(holder + test.state)
			f["3_c.sql"] = "CREATE TABLE c ();\nVACUUM c"
			var all sync.WaitGroup
			for range 20 {
				m := b.migrator(f)
				all.Go(func() { _, _ = m.Up(context.Background(), whimbrel.UpOptions{}) })
			}
			all.Wait()
			require.Equal(t, "1 3", b.applied())
			require.Equal(t, test.line, b.text("SELECT coalesce(string_agg(concat_ws(' ', action, version, name) || ': ' || "+
				"error, ','), '') FROM schema_migrations_log WHERE outcome = 'killed'"))
			if test.line != "" {
				require.Equal(t, "eve@far pid 7 far 1.2 40",
					b.text("SELECT concat_ws(' ', run_by, host, tool_version, token) FROM schema_migrations_log WHERE outcome = "+
						"'killed'"))
			}
			require.Equal(t, "0",
				b.text("SELECT count(*) FROM schema_migrations_log WHERE version = '1' AND outcome <> 'done'"),
				"what was recorded did not fail")
		})
	}
}

// Of a script and of a function the rows are those that the server says their
// statements have changed, whatever the way they are sent; of an attempt that backed off, none.
func TestTheRowsOfScriptsAndFunctionsAreCounted(t *testing.T) {
	t.Parallel()
	const apart = "exports.transaction = false;\n"
	tries := 0
	for name, test := range map[string]struct {
		script   string
		function whimbrel.Function
		rows     int64
	}{
		"a script": {script: `exports.up = async (client) => {
  await client.query('INSERT INTO t SELECT generate_series(1, 30)');
  await client.query('UPDATE t SET n = n + $1 WHERE n > 20', [1]);
  await client.query('DELETE FROM t WHERE n = 1; INSERT INTO t VALUES (7), (8); SELECT * FROM t');
};`, rows: 43},
		"a script outside a transaction": {script: apart + `exports.up = async (client) => {
  await client.query('INSERT INTO t SELECT generate_series(1, 30)');
  await client.tx(async (client) => { await client.query('UPDATE t SET n = n + 1'); });
  await client.query('DELETE FROM t WHERE n <= 10');
};`, rows: 69},
		"a script with batches": {script: apart + `exports.up = async (client) => {
  await client.query('INSERT INTO t SELECT generate_series(1, 30)');
  await client.batch({ table: 't', key: 'n', size: 7 }, async ({ from, to }, client) =>
    client.query('UPDATE t SET touched = 1 WHERE n > $1 AND n <= $2', [from ?? 0, to]));
  await client.query('DELETE FROM t WHERE n <= 10');
};`, rows: 70},
		"a function": {function: whimbrel.Function{Up: func(ctx context.Context, tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "INSERT INTO t VALUES (1), (2); UPDATE t SET touched = 1"); err != nil {
				return err
			}
			batch := &pgx.Batch{}
			batch.Queue("INSERT INTO t VALUES ($1)", 3)
			batch.Queue("INSERT INTO t SELECT generate_series(4, $1)", 10)
			if err := tx.SendBatch(ctx, batch).Close(); err != nil {
				return err
			}
			_, err := tx.CopyFrom(ctx, pgx.Identifier{"t"}, []string{"n"}, pgx.CopyFromRows([][]any{{11}, {12}}))
			if err != nil {
				return err
			}
			var n int
			return tx.QueryRow(ctx, "DELETE FROM t WHERE n = 12 RETURNING n").Scan(&n)
		}}, rows: 15},
		"a function outside a transaction": {function: whimbrel.Function{
			UpConn: func(ctx context.Context, conn *pgx.Conn) error {
				_, err := conn.Exec(ctx, "INSERT INTO t SELECT generate_series(1, 30)")
				return err
			},
		}, rows: 30},
		"a function that backed off": {function: whimbrel.Function{Up: func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO t SELECT generate_series(1, 30)")
			if tries++; err == nil && tries < 3 {
				_, err = tx.Exec(ctx, "DO $$ BEGIN RAISE serialization_failure; END $$")
			}
			return err
		}}, rows: 30},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.exec("CREATE TABLE t (n int NOT NULL, touched int); CREATE INDEX ON t (n)")
			f, options := files{}, []func(*whimbrel.Config){withScripts}
			if test.script != "" {
				f["1_code.js"] = test.script
			} else {
				test.function.Version, test.function.Name = "1", "code"
				options = append(options, functions(test.function))
			}
			result, err := b.migrator(f, options...).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			require.Equal(t, test.rows, result.Done[0].Rows)
			require.False(t, result.Done[0].RowsUnknown)
		})
	}
}
