package whimbrel_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

func TestAStatementThatFailsTwiceIsNotTakenForDone(t *testing.T) {
	for name, statement := range map[string]string{
		"no such operator class": "CREATE INDEX CONCURRENTLY i ON t (a nosuch_ops)",
		"no such table":          "CREATE INDEX CONCURRENTLY i ON missing (a)",
		"no such index":          "DROP INDEX CONCURRENTLY missing",
		"no such partition":      "ALTER TABLE t DETACH PARTITION missing CONCURRENTLY",
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.exec("CREATE TABLE t (a int)")
			f := files{"1_a.sql": statement}
			for range 3 {
				_, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
				_ = fails(t, err, whimbrel.CodeStatement)
				require.Equal(t, "0", b.text("SELECT count(*) FROM schema_migrations_journal"))
			}
			require.Empty(t, b.applied())
		})
	}
}

// crashed leaves the first step of a migration as a crash would: begun, and
// nobody knows whether it was done.
func crashed(b *bundle, f files) {
	b.Helper()
	b.exec("CREATE TABLE crash_here ()")
	broken := files{}
	for name, text := range f {
		broken[name] = text + ";\nDROP TABLE crash_there;"
	}
	_, err := b.migrator(broken).Up(b.Context(), whimbrel.UpOptions{})
	_ = fails(b, err, whimbrel.CodeStatement)
	b.exec("UPDATE schema_migrations_journal SET state = 'started', finished_at = NULL; DROP TABLE crash_here")
}

func TestWhatWasDoneBeforeACrashIsNotDoneAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ before, statement string }{
		"an index that is gone": {"CREATE TABLE t (a int); CREATE INDEX i ON t (a)", "DROP INDEX CONCURRENTLY i"},
		"a partition that is loose": {"CREATE TABLE p (a int) PARTITION BY RANGE (a); CREATE TABLE p1 PARTITION OF p FOR " +
			"VALUES FROM (1) TO (9)", "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY"},
		"an index that is there": {"CREATE TABLE t (a int)", "CREATE INDEX CONCURRENTLY ON t (a)"},
		"a named index, quoted oddly": {`CREATE TABLE "T x" (a int)`,
			`CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "I ""x" ON ONLY public."T x" USING btree (a) INCLUDE (a)`},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.exec(test.before)
			f := files{"1_a.sql": test.statement}
			crashed(b, f)
			after := b.schema()
			_, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			require.Equal(t, "1", b.applied())
			require.Equal(t, after, b.schema())
		})
	}
}

func TestAHalfDetachedPartitionIsFinished(t *testing.T) {
	b := setup(t)
	b.exec("CREATE TABLE p (a int) PARTITION BY RANGE (a); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (9)")
	reader, err := b.connect().Begin(t.Context())
	require.NoError(t, err)
	_, err = reader.Exec(t.Context(), "SELECT * FROM p")
	require.NoError(t, err)
	other := b.connect()
	cancelled := make(chan error, 1)
	go func() { // ends its first phase, and is cancelled in the second
		_, err := other.Exec(context.Background(), "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY")
		cancelled <- err
	}()
	b.eventually("SELECT count(*) = 1 FROM pg_inherits WHERE inhdetachpending")
	b.exec("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'ALTER TABLE p DETACH%' AND datname = " +
		"current_database()")
	require.Error(t, <-cancelled)
	require.NoError(t, reader.Rollback(t.Context()))
	_, err = b.migrator(files{"1_a.sql": "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY"}).Up(t.Context(),
		whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "0", b.text("SELECT count(*) FROM pg_inherits"))
}

func TestAFailedReindexLeavesNoInvalidCopy(t *testing.T) {
	b := setup(t)
	b.exec("CREATE TABLE t (a int); CREATE INDEX i ON t (a); CREATE TABLE u (a int); CREATE INDEX j_ccnew ON u (a)")
	b.exec("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'j_ccnew'::regclass") // somebody else's business
	writer, err := b.connect().Begin(t.Context())
	require.NoError(t, err)
	_, err = writer.Exec(t.Context(), "INSERT INTO t VALUES (1)")
	require.NoError(t, err)
	failed := make(chan error, 1)
	m := b.migrator(files{"1_a.sql": "REINDEX INDEX CONCURRENTLY i"})
	go func() {
		_, err := m.Up(context.Background(), whimbrel.UpOptions{})
		failed <- err
	}()
	b.eventually("SELECT count(*) = 1 FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE relname = 'i_ccnew'")
	b.exec("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'REINDEX%' AND datname = " +
		"current_database()")
	b.eventually("SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'DROP INDEX CONCURRENTLY%i_ccnew%' AND " +
		"datname = current_database()")
	require.NoError(t, writer.Rollback(t.Context()))
	_ = fails(t, <-failed, whimbrel.CodeStatement)
	const indexes = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'i' AND relname ~ " +
		"'^[ij](_|$)'"
	require.Equal(t, "i j_ccnew", b.text(indexes))
	_, err = m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "i j_ccnew", b.text(indexes))
}

func TestOnlyTheRecordIsRepeatedWhenTheRecordBacksOff(t *testing.T) {
	b := setup(t)
	b.exec("CREATE TABLE calls (id serial); CREATE PROCEDURE p() LANGUAGE sql AS 'INSERT INTO calls DEFAULT VALUES'")
	_, err := b.migrator(files{"0_nothing.sql": "SELECT 1"}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	blocker, err := b.connect().Begin(t.Context())
	require.NoError(t, err)
	retries := 0
	m := b.migrator(files{"0_nothing.sql": "SELECT 1", "1_call.sql": "-- +migrate Up notransaction\nCALL p();"},
		func(c *whimbrel.Config) {
			c.Listener = func(r whimbrel.Record) {
				switch r.Event.(type) {
				case whimbrel.StepStarted: // the history cannot be written to, once the statement is done
					_, err := blocker.Exec(b.Context(), "LOCK TABLE schema_migrations IN SHARE MODE")
					require.NoError(b, err)
				case whimbrel.Retrying:
					if retries++; retries == 3 {
						require.NoError(b, blocker.Rollback(b.Context()))
					}
				}
			}
		})
	_, err = m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, 3, retries)
	require.Equal(t, "1", b.text("SELECT count(*) FROM calls"))
}

func TestApplicationNameBelongsToTheRunner(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(files{"1_a.sql": "-- +migrate Set application_name = backfill\nSELECT 1"}).Up(t.Context(),
		whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeMalformed)
	require.Equal(t, 1, e.Line)
}
