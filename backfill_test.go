package whimbrel_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// touched is a table in which every update of a row leaves a mark, so that a
// row that was done twice shows.
func (b *bundle) touched(rows int) {
	b.Helper()
	b.exec(fmt.Sprintf(`CREATE TABLE t (id int PRIMARY KEY, touched int NOT NULL DEFAULT 0);
INSERT INTO t SELECT n FROM generate_series(1, %d) n; ANALYZE t`, rows))
}

const touch = "UPDATE t SET touched = touched + 1 WHERE id > :from AND id <= :to;\n"

func TestABackfillDoesEveryRowOnce(t *testing.T) {
	for name, options := range map[string]string{"one worker": "", "three workers": " workers=3",
		"tiny batches": " size=7", "with pauses": " size=2500 pause=1ms"} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.touched(10_000)
			result, err := b.migrator(files{"1_fill.sql": "CREATE TABLE before ();\n-- +migrate Batch t by id" + options +
				"\n" + touch + "CREATE TABLE behind ();"}).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			require.Equal(t, int64(10_000), result.Done[0].Rows)
			require.Equal(t, "1", b.text("SELECT string_agg(DISTINCT touched::text, ' ') FROM t"))
			require.Equal(t, "0", b.text("SELECT count(*) FROM schema_migrations_journal"))
			require.Equal(t, "2", b.text("SELECT count(*) FROM pg_class WHERE relname IN ('before', 'behind')"))
			last := whimbrel.BatchProgress{}
			for _, r := range b.events {
				if p, ok := r.Event.(whimbrel.BatchProgress); ok {
					require.GreaterOrEqual(t, p.Keys, last.Keys)
					last = p
				}
			}
			require.Equal(t, int64(10_000), last.Keys)
			require.Equal(t, int64(10_000), last.Total)
		})
	}
}

func TestABackfillGoesByKeysOfManyTypes(t *testing.T) {
	for name, test := range map[string]struct{ columns, by, values string }{
		"bigint, negative": {"k bigint PRIMARY KEY", "k", "n * 1000 - 5000000"},
		"smallest integer": {"k int, l int, PRIMARY KEY (k, l)", "k,l", "-2147483648, n"},
		"numeric":          {"k numeric(20, 3) PRIMARY KEY", "k", "n / 7.0 - 50"},
		"double":           {"k float8 PRIMARY KEY", "k", "n / 7.0"},
		"uuid":             {"k uuid PRIMARY KEY", "k", "md5(n::text)::uuid"},
		"text":             {"k text PRIMARY KEY", "k", "'O''Brien \\' || md5(n::text)"},
		"text, collation C": {`k text COLLATE "C" PRIMARY KEY`, "k",
			"CASE WHEN n % 2 = 0 THEN upper(md5(n::text)) ELSE md5(n::text) END"},
		"timestamptz": {"k timestamptz PRIMARY KEY", "k", "now() + n * interval '1.000001 second'"},
		"date and bytea": {"k date, l bytea, PRIMARY KEY (k, l)", "k,l",
			"current_date + n % 10, decode(md5(n::text), 'hex')"},
		"a varying length": {"k varchar(40) PRIMARY KEY", "k", "md5(n::text)"},
		"not unique":       {"k int NOT NULL", "k", "n % 5"},
		"three columns": {"a int, b text, c uuid, PRIMARY KEY (a, b, c)", "a,b,c",
			"n % 3, (n % 11)::text, md5(n::text)::uuid"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.exec(fmt.Sprintf(
				`CREATE TABLE "T t" (%s, touched int NOT NULL DEFAULT 0); INSERT INTO "T t" SELECT %s FROM generate_series(1, 3000) n`, test.columns, test.values))
			if name == "not unique" {
				b.exec(`CREATE INDEX ON "T t" (k)`)
			}
			row := "(" + test.by + ")"
			_, err := b.migrator(files{"1_fill.sql": fmt.Sprintf("-- +migrate Batch \"T t\" by %s size=200 workers=2\n"+
				"UPDATE \"T t\" SET touched = touched + 1 WHERE %s > (:from) AND %s <= (:to)",
				test.by, row, row)}).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			require.Equal(t, "1", b.text(`SELECT string_agg(DISTINCT touched::text, ' ') FROM "T t"`))
		})
	}
}

func TestABackfillThatCannotBeGoneThroughIsRefused(t *testing.T) {
	for name, test := range map[string]struct{ table, annotation, message string }{
		"no table":       {"", "u by id", "the table of the batch, u, does not exist"},
		"no column":      {"id int PRIMARY KEY", "t by ident", `has no column "ident"`},
		"may be null":    {"id int UNIQUE", "t by id", "may be NULL"},
		"no index":       {"id int NOT NULL, a int NOT NULL, UNIQUE (a, id)", "t by id", "no valid btree index"},
		"partial index":  {"id int NOT NULL, EXCLUDE (id WITH =) WHERE (id > 5)", "t by id", "no valid btree index"},
		"type inet":      {"id inet PRIMARY KEY", "t by id", "type inet cannot be gone through"},
		"nothing before": {"id text PRIMARY KEY", "t by id", "no value lies below it"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			if test.table != "" {
				b.exec("CREATE TABLE t (" + test.table + ")")
			}
			if name == "nothing before" {
				b.exec("INSERT INTO t VALUES (''), ('a')")
			}
			_, err := b.migrator(files{"1_fill.sql": "SELECT 1;\n-- +migrate Batch " + test.annotation +
				"\nDELETE FROM t WHERE id > :from AND id <= :to"}).Up(t.Context(), whimbrel.UpOptions{})
			e := fails(t, err, whimbrel.CodeMalformed)
			require.Contains(t, e.Message, test.message)
			require.NotEmpty(t, e.Remedy)
			require.Equal(t, 2, e.Line)
		})
	}
}

func TestAFailureInABackfillPointsAtTheStatement(t *testing.T) {
	b := setup(t)
	b.touched(3000)
	f := files{"1_fill.sql": "-- +migrate Batch t by id size=500\nUPDATE t SET touched = touched + 1\n" +
		"WHERE id > :from AND id <= :to AND nosuch = 1"}
	_, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeStatement)
	require.Equal(t, []int{3, 36}, []int{e.Line, e.Column})
	require.Equal(t, "42703", e.SQLState)

	f["1_fill.sql"] = "-- +migrate Batch t by id size=500\nUPDATE t SET touched = touched + 1 / (2500 - id) * 0 + 1\n" +
		"WHERE id > :from AND id <= :to"
	_, err = b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	e = fails(t, err, whimbrel.CodeStatement)
	require.Equal(t, "22012", e.SQLState)
	require.NotEqual(t, "0", b.text("SELECT count(*) FROM t WHERE touched = 1"))
	f["1_fill.sql"] = "-- +migrate Batch t by id size=500\n" + touch
	_, err = b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.Equal(t, 2, fails(t, err, whimbrel.CodeJournal).Line, "two texts are not mixed")
}

func TestAnEmptyTableIsDoneAtOnce(t *testing.T) {
	b := setup(t)
	b.touched(0)
	_, err := b.migrator(files{"1_fill.sql": "-- +migrate Batch t by id workers=4\n" + touch}).Up(t.Context(),
		whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "1", b.applied())
}

func TestAnInterruptedBackfillGoesOnWhereItStopped(t *testing.T) {
	for _, workers := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			b := setup(t)
			b.touched(20_000)
			f := files{"1_fill.sql": fmt.Sprintf("-- +migrate Batch t by id size=150 workers=%d\n", workers) + touch}
			chance := rand.New(rand.NewPCG(1, uint64(workers)))
			interruptions := 0
			for ; ; interruptions++ {
				require.Less(t, interruptions, 200)
				ctx, cancel := context.WithCancel(t.Context())
				stop := make(chan struct{})
				var once sync.Once
				left, gently := chance.IntN(3), chance.IntN(2) == 0
				_, err := b.migrator(f, func(c *whimbrel.Config) {
					c.Stop = stop
					c.Listener = func(r whimbrel.Record) {
						if p, ok := r.Event.(whimbrel.BatchProgress); !ok || p.Size == 0 {
							return
						}
						if left--; left >= 0 {
							return
						}
						if gently {
							once.Do(func() { close(stop) })
						} else {
							cancel()
						}
					}
				}).Up(ctx, whimbrel.UpOptions{})
				cancel()
				if err == nil {
					break
				}
				_ = fails(t, err, whimbrel.CodeInterrupted)
			}
			require.Equal(t, "1", b.text("SELECT string_agg(DISTINCT touched::text, ' ') FROM t"))
			require.Equal(t, "1", b.applied())
			t.Logf("%d interruptions", interruptions)
		})
	}
}

func TestABackfillEndsWhenItsAssertionHoldsAlthoughOthersWriteBelowTheCursor(t *testing.T) {
	b := setup(t)
	b.exec("CREATE TABLE t (id int PRIMARY KEY, name text, lower_name text); INSERT INTO t SELECT n, 'N' || n FROM " +
		"generate_series(1, 6000, 2) n")
	writer := b.connect()
	writing, cancel := context.WithCancel(t.Context())
	written := make(chan int)
	go func() { // even keys, below the cursor most of the time
		n := 0
		for ; n < 2900 && writing.Err() == nil; n++ {
			if _, err := writer.Exec(context.Background(), "INSERT INTO t VALUES ($1, 'late')", 2*n); err != nil {
				break
			}
		}
		written <- n
	}()
	passes := 0
	var late int
	_, err := b.migrator(files{"1_fill.sql": `-- +migrate Batch t by id size=100 workers=2
UPDATE t SET lower_name = lower(name) WHERE id > :from AND id <= :to AND lower_name IS NULL;
-- +migrate Assert every row has a lower_name
SELECT NOT EXISTS (SELECT FROM t WHERE lower_name IS NULL);
ALTER TABLE t ALTER lower_name SET NOT NULL;`}, func(c *whimbrel.Config) {
		c.Listener = func(r whimbrel.Record) {
			if p, ok := r.Event.(whimbrel.BatchProgress); ok {
				if p.Pass == 2 && passes < 2 {
					cancel()
					late = <-written
				}
				passes = max(passes, p.Pass)
			}
		}
	}).Up(t.Context(), whimbrel.UpOptions{})
	if err != nil { // written to between the assertion and what relies on it: the file's fault, and undone
		require.Equal(t, "23502", fails(t, err, whimbrel.CodeStatement).SQLState)
	}
	cancel()
	if late == 0 {
		late = <-written
	}
	require.Positive(t, late)
	t.Logf("%d passes, %d late rows", passes, late)
}

func TestAnAssertionThatNothingCanFulfilFailsTheBackfill(t *testing.T) {
	b := setup(t)
	b.touched(500)
	f := files{"1_fill.sql": "-- +migrate Batch t by id\n" +
		"UPDATE t SET touched = 1 WHERE id > :from AND id <= :to AND touched = 0;\n-- +migrate Assert all are two\n" +
		"SELECT bool_and(touched = 2) FROM t"}
	_, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeAssertion)
	require.Contains(t, e.Message, "all are two")
	require.Equal(t, 4, e.Line)
	f["1_fill.sql"] = strings.NewReplacer("SET touched = 1", "SET touched = 2", "touched = 0",
		"touched = 1").Replace(f["1_fill.sql"])
	_, err = b.migrator(f).Up(t.Context(), whimbrel.UpOptions{}) // the corrected statement gets a pass
	require.NoError(t, err)
	require.Equal(t, "2", b.text("SELECT string_agg(DISTINCT touched::text, ' ') FROM t"))
}

func TestABackfillBacksOffForRowLocksAndTellsOfThem(t *testing.T) {
	b := setup(t)
	b.touched(2000)
	blocker, err := b.connect().Begin(t.Context())
	require.NoError(t, err)
	_, err = blocker.Exec(t.Context(), "UPDATE t SET touched = 0 WHERE id = 1500")
	require.NoError(t, err)
	waits := 0
	_, err = b.migrator(files{"1_fill.sql": "-- +migrate Batch t by id\n" + touch}, func(c *whimbrel.Config) {
		c.Listener = func(r whimbrel.Record) {
			if _, ok := r.Event.(whimbrel.Retrying); ok {
				if waits++; waits == 3 {
					require.NoError(t, blocker.Rollback(context.Background()))
				}
			}
		}
	}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, 3, waits)
	require.Equal(t, "1", b.text("SELECT string_agg(DISTINCT touched::text, ' ') FROM t"))
}

func TestABackfillSurvivesKillsOfItsProcess(t *testing.T) {
	b := setup(t)
	b.touched(60_000)
	folder := files{"1_fill.sql": "-- +migrate Batch t by id size=200 workers=2\n" + touch +
		"CREATE TABLE done ();"}.write(t)
	kills := 0
	for ; ; kills++ {
		cmd, output := b.runner(folder)
		events, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		heard := bufio.NewScanner(events)
		for heard.Scan() && !strings.HasPrefix(heard.Text(), "batch_progress") {
			continue
		}
		if kills < 5 { // in the middle of what comes after the first range
			time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
			require.NoError(t, cmd.Process.Kill())
		}
		for heard.Scan() {
			continue
		}
		if err := cmd.Wait(); err == nil || kills == 5 {
			require.NoError(t, err, output)
			break
		}
	}
	require.Positive(t, kills)
	require.Equal(t, "1", b.text("SELECT string_agg(DISTINCT touched::text, ' ') FROM t"))
	require.Equal(t, "1", b.applied())
}
