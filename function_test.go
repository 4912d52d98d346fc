package whimbrel_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

func functions(list ...whimbrel.Function) func(*whimbrel.Config) {
	return func(c *whimbrel.Config) { c.Functions = list }
}

// execs is a function that sends one text.
func execs(sql string) func(context.Context, pgx.Tx) error {
	return func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sql)
		return err
	}
}

func TestFunctionsTakeTheirPlaceAmongTheFiles(t *testing.T) {
	b := setup(t)
	f := files{"1_a.sql": "CREATE TABLE a (n int);\n-- +migrate Down\nDROP TABLE a;",
		"3_c.sql": "CREATE TABLE c AS SELECT n FROM a;\n-- +migrate Down\nDROP TABLE c;"}
	fill := functions(whimbrel.Function{Version: "2", Name: "fill", Up: execs("INSERT INTO a VALUES (7)"),
		Down: execs("DELETE FROM a")})
	_, err := b.migrator(f, fill).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "1 2 3", b.applied())
	require.Equal(t, "7", b.text("SELECT n FROM c"))
	require.Equal(t, "func", b.text("SELECT kind FROM schema_migrations WHERE version = '2'"))
	_, err = b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	_ = fails(t, err, whimbrel.CodeMissingFile) // a program without the function
	_, err = b.migrator(f, fill).Down(t.Context(), whimbrel.DownOptions{Steps: 2})
	require.NoError(t, err)
	require.Equal(t, "0", b.text("SELECT count(*) FROM a"))
	require.Equal(t, "1", b.applied())
}

func TestAFunctionThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		up            func(context.Context, pgx.Tx) error
		message, code string
	}{
		"an error":           {func(context.Context, pgx.Tx) error { return errors.New("no, thanks") }, "no, thanks", ""},
		"the server's error": {execs("INSERT INTO a VALUES ('x')"), "invalid input syntax", "22P02"},
		"a panic":            {func(context.Context, pgx.Tx) error { panic("oh") }, "panicked: oh", ""},
		"a swallowed error": {func(ctx context.Context, tx pgx.Tx) error { _, _ = tx.Exec(ctx, "SELECT 1/0"); return nil },
			"its error was caught", ""},
		"it ends our tx": {func(ctx context.Context, tx pgx.Tx) error { return tx.Rollback(ctx) },
			"ended the transaction", ""},
		"it commits by SQL": {execs("ROLLBACK"), "ended the transaction", ""},
		"its own transaction": {func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Begin(ctx)
			return errors.Join(err, errors.New("stop"))
		}, "stop", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.exec("CREATE TABLE a (n int)")
			up := func(ctx context.Context, tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, "INSERT INTO a VALUES (1)"); err != nil {
					return err
				}
				return test.up(ctx, tx)
			}
			_, err := b.migrator(files{"0_z.sql": "SELECT 1", "3_never.sql": "SELECT 1"},
				functions(whimbrel.Function{Version: "2", Name: "broken", Up: up})).Up(t.Context(), whimbrel.UpOptions{})
			e := fails(t, err, whimbrel.CodeScript)
			require.Contains(t, e.Message, test.message)
			require.Equal(t, test.code, e.SQLState)
			require.Equal(t, "broken", e.Name)
			require.NotEmpty(t, e.Remedy)
			require.Equal(t, "0", b.text("SELECT count(*) FROM a"))
			require.Equal(t, "0", b.applied())
		})
	}
}

func TestAFunctionMayCommitItsTransaction(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(files{}, functions(whimbrel.Function{Version: "1", Name: "commits", Up: func(ctx context.Context,
		tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "CREATE TABLE a ()"); err != nil {
			return err
		}
		return tx.Commit(ctx)
	}})).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "1", b.applied())
}

func TestAFunctionOutsideATransactionRunsAgainAfterAFailure(t *testing.T) {
	b := setup(t)
	calls := 0
	build := whimbrel.Function{
		Version: "1", Name: "build",
		UpConn: func(ctx context.Context, conn *pgx.Conn) error {
			calls++
			if _, err := conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS a (n int); SET search_path = pg_catalog"); err != nil {
				return err
			}
			if calls == 1 {
				return errors.New("the first time fails")
			}
			_, err := conn.Exec(ctx, "CREATE INDEX CONCURRENTLY i ON public.a (n)")
			return err
		},
		DownConn: func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "DROP TABLE a")
			return err
		},
	}
	m := b.migrator(files{"2_after.sql": "CREATE TABLE b ();\n-- +migrate Down\nDROP TABLE b"}, functions(build))
	_, err := m.Up(t.Context(), whimbrel.UpOptions{})
	require.Contains(t, fails(t, err, whimbrel.CodeScript).Message, "the first time fails")
	require.Empty(t, b.applied())
	_, err = m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "1 2", b.applied())
	require.Equal(t, "public", b.text("SELECT schemaname FROM pg_tables WHERE tablename = 'b'"))
	_, err = m.Down(t.Context(), whimbrel.DownOptions{Steps: 2})
	require.NoError(t, err)
	require.Equal(t, "0", b.text("SELECT count(*) FROM pg_tables WHERE tablename IN ('a', 'b')"))
}

func TestAFunctionBacksOffForALockAndIsCalledAgain(t *testing.T) {
	b := setup(t)
	b.exec("CREATE TABLE a (n int)")
	reader, err := b.connect().Begin(t.Context())
	require.NoError(t, err)
	_, err = reader.Exec(t.Context(), "SELECT * FROM a")
	require.NoError(t, err)
	calls := 0
	_, err = b.migrator(files{}, functions(whimbrel.Function{Version: "1", Name: "alters", Up: func(ctx context.Context,
		tx pgx.Tx) error {
		if calls++; calls == 3 {
			require.NoError(t, reader.Rollback(context.Background()))
		}
		_, err := tx.Exec(ctx, "ALTER TABLE a ADD m int")
		return err
	}})).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.GreaterOrEqual(t, calls, 3)
	require.Equal(t, "true", b.text("SELECT retries >= 2 AND backoff_ms > 100 FROM schema_migrations_log"))
}

func TestAFunctionIsCheckedBeforeAnythingRuns(t *testing.T) {
	t.Parallel()
	nothing := execs("SELECT 1")
	for name, f := range map[string]whimbrel.Function{
		"no version":     {Name: "a", Up: nothing},
		"an odd version": {Version: "v1", Name: "a", Up: nothing},
		"no up":          {Version: "1", Name: "a", Down: nothing},
		"in and out": {Version: "1", Name: "a", Up: nothing, DownConn: func(context.Context,
			*pgx.Conn) error {
			return nil
		}},
		"a version twice": {Version: "7", Name: "a", Up: nothing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := whimbrel.New(whimbrel.Config{
				Target:  whimbrel.Target{DatabaseURL: "postgres://x"},
				Project: whimbrel.Project{Migrations: files{"7_a.sql": "SELECT 1"}.load(t), Functions: []whimbrel.Function{f}},
			})
			e := fails(t, err, whimbrel.CodeConfiguration)
			require.NotEmpty(t, e.Remedy)
		})
	}
}

func TestWithoutARuntimeAScriptIsRefusedOnceItIsToRun(t *testing.T) {
	b := setup(t)
	f := files{"1_a.sql": "SELECT 1", "2_b.js": "exports.up = async () => {}"}
	status, err := b.migrator(f).Status(t.Context())
	require.NoError(t, err)
	require.Len(t, status.Pending, 2)
	_, err = b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeUnsupported)
	require.Equal(t, "migrations/2_b.js", e.Path)
	_, err = b.migrator(f).Up(t.Context(), whimbrel.UpOptions{Steps: 1})
	require.NoError(t, err)
}

func TestWhatAFunctionSetsEndsWithIt(t *testing.T) {
	b := setup(t)
	functions := func(c *whimbrel.Config) {
		c.Functions = []whimbrel.Function{{Version: "2", Name: "set", Up: func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "SET search_path = pg_catalog")
			return err
		}}}
	}
	_, err := b.migrator(files{"1_first.sql": "CREATE TABLE first (id int);"}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	_, err = b.migrator(files{"1_first.sql": "CREATE TABLE first (id int);",
		"3_next.sql": "CREATE TABLE public.seen AS SELECT current_setting('search_path') AS path;"},
		functions).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, `"$user", public`, b.text("SELECT path FROM seen"))
}

// A transaction may be idle for as long as a lease holds.
func TestAFunctionThatTakesItsTimeInATransactionSaysSo(t *testing.T) {
	const lease = 5 * time.Second
	b := setup(t)
	up := func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = '10min'"); err != nil {
			return err
		}
		time.Sleep(lease * 5 / 4)
		_, err := tx.Exec(ctx, "CREATE TABLE a ()")
		return err
	}
	_, err := b.migrator(files{}, functions(whimbrel.Function{Version: "1", Name: "slow", Up: up}),
		func(c *whimbrel.Config) {
			c.LeaseDuration = lease
		}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "1", b.applied())
}

func TestAFunctionThatTakesItsTimeInATransactionUnsaidLosesItsSession(t *testing.T) {
	b := setup(t)
	again := errors.New("it is called again")
	calls := 0
	up := func(ctx context.Context, tx pgx.Tx) error {
		if calls++; calls > 1 {
			return again
		}
		pid := tx.Conn().PgConn().PID()
		b.eventually(fmt.Sprintf("SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = %d", pid))
		_, err := tx.Exec(ctx, "CREATE TABLE a ()")
		return err
	}
	_, err := b.migrator(files{}, functions(whimbrel.Function{Version: "1", Name: "slow", Up: up}),
		func(c *whimbrel.Config) {
			c.LeaseDuration = 5 * time.Second
		}).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeScript)
	if calls == 1 { // the server's last words have arrived; else it is a connection that is lost
		require.Contains(t, e.Remedy, "SET LOCAL idle_in_transaction_session_timeout")
	} else {
		require.ErrorIs(t, err, again)
		require.Contains(t, b.heard(), "reconnected")
	}
	require.Empty(t, b.applied())
}

func TestAFunctionThatLosesItsConnectionIsCalledAgain(t *testing.T) {
	const fatal = "SELECT pg_terminate_backend(pg_backend_pid())"
	calls := func(first, then string) func(context.Context, execer) error {
		called := false
		return func(ctx context.Context, on execer) error {
			if !called {
				called = true
				_, err := on.Exec(ctx, first)
				return err
			}
			_, err := on.Exec(ctx, then)
			return err
		}
	}
	inside, outside := calls("CREATE TABLE a (); "+fatal, "CREATE TABLE a ()"), calls(fatal, "CREATE TABLE b ()")
	b := setup(t)
	_, err := b.migrator(files{}, functions(
		whimbrel.Function{Version: "1", Name: "a", Up: func(ctx context.Context, tx pgx.Tx) error { return inside(ctx, tx) }},
		whimbrel.Function{Version: "2", Name: "b", UpConn: func(ctx context.Context,
			conn *pgx.Conn) error {
			return outside(ctx, conn)
		}},
	)).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "1 2", b.applied())
	require.Equal(t, "2", b.text("SELECT count(*) FROM pg_class WHERE relname IN ('a', 'b')"))
}

// execer is what a transaction and a connection have in common.
type execer interface {
	Exec(ctx context.Context, sql string, arguments ...any) (pgconn.CommandTag, error)
}
