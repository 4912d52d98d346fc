package whimbrel_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// dialled counts the connections that are opened with a configuration.
func dialled(t *testing.T, url string) (*pgx.ConnConfig, *atomic.Int32) {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	var count atomic.Int32
	config.DialFunc = func(dial pgconn.DialFunc) pgconn.DialFunc {
		return func(ctx context.Context, network, address string) (net.Conn, error) {
			count.Add(1)
			return dial(ctx, network, address)
		}
	}(config.DialFunc)
	return config, &count
}

// looked says that a connection which was opened ahead has read the history, or
// has found that there is none.
const looked = "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = " +
	"'whimbrel' AND state = 'idle' AND query LIKE '%\"migration_lock\"%'"

func TestAConnectionThatIsOpenedAheadIsTakenOverOnce(t *testing.T) {
	b := setup(t)
	connection, count := dialled(t, b.url)
	opening, err := whimbrel.Open(t.Context(), whimbrel.Target{Connection: connection})
	require.NoError(t, err)
	m := b.migrator(files{"1_a.sql": "CREATE TABLE a ()"}, func(c *whimbrel.Config) {
		c.DatabaseURL, c.Connection, c.Opening = "", connection, opening
	})
	plan, err := m.Plan(t.Context(), whimbrel.Latest())
	require.NoError(t, err)
	require.Len(t, plan.Migrations, 1)
	require.EqualValues(t, 1, count.Load())

	_, err = m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Greater(t, count.Load(), int32(1), "the connection was used twice")
	require.Equal(t, "1", b.applied())
	opening.Close()
}

func TestARunOnAConnectionThatWasOpenedAheadSeesWhatHappenedMeanwhile(t *testing.T) {
	b := setup(t)
	opening, err := whimbrel.Open(t.Context(), whimbrel.Target{DatabaseURL: b.url})
	require.NoError(t, err)
	defer opening.Close()
	all := files{"1_a.sql": "CREATE TABLE a ()", "2_b.sql": "CREATE TABLE b ()"}
	b.eventually(looked)
	_, err = b.migrator(all).Up(t.Context(), whimbrel.UpOptions{Steps: 1})
	require.NoError(t, err)

	result, err := b.migrator(all, func(c *whimbrel.Config) { c.Opening = opening }).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Len(t, result.Done, 1, "the first was run again")
	require.Equal(t, "1 2", b.applied())
}

func TestAConnectionToAnotherDatabaseIsNotTakenOver(t *testing.T) {
	b := setup(t)
	other, drop, err := server.FreshDatabase(t.Context())
	require.NoError(t, err)
	t.Cleanup(drop)
	for _, target := range []whimbrel.Target{{DatabaseURL: other}, {DatabaseURL: b.url, Table: "elsewhere"}} {
		opening, err := whimbrel.Open(t.Context(), target)
		require.NoError(t, err)
		status, err := b.migrator(files{}, func(c *whimbrel.Config) { c.Opening = opening }).Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, "public.schema_migrations", status.Table)
		_, database, _ := strings.Cut(status.Database, "/")
		require.NotContains(t, other, "/"+database)
		opening.Close()
	}
}

func TestAConnectionThatNobodyTakesIsClosed(t *testing.T) {
	b := setup(t)
	opening, err := whimbrel.Open(t.Context(), whimbrel.Target{DatabaseURL: b.url})
	require.NoError(t, err)
	b.eventually(looked)
	opening.Close()
	opening.Close()
	b.eventually("SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND application_name = " +
		"'whimbrel'")
	(*whimbrel.Opening)(nil).Close()

	_, err = b.migrator(files{}, func(c *whimbrel.Config) { c.Opening = opening }).Status(t.Context())
	require.NoError(t, err, "a Migrator must connect by itself then")
}

func TestWhyAConnectionCouldNotBeOpenedAheadIsToldByTheMethod(t *testing.T) {
	t.Parallel()
	target := whimbrel.Target{DatabaseURL: "postgres://nobody@127.0.0.1:1/none?sslmode=disable"}
	opening, err := whimbrel.Open(t.Context(), target)
	require.NoError(t, err)
	defer opening.Close()
	target.Opening = opening
	m, err := whimbrel.New(whimbrel.Config{Target: target})
	require.NoError(t, err)
	_, err = m.Status(t.Context())
	var failure *whimbrel.Error
	require.ErrorAs(t, err, &failure)
	require.Equal(t, whimbrel.CodeConnection, failure.Code)
	require.Contains(t, failure.Message, "cannot connect to nobody@127.0.0.1:1/none")

	_, err = whimbrel.Open(t.Context(), whimbrel.Target{})
	require.ErrorContains(t, err, "no database is given")
}

func TestWaitingForAConnectionEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = silent.Close() }()
	target := whimbrel.Target{DatabaseURL: "postgres://nobody@" + silent.Addr().String() + "/none?sslmode=disable"}
	opening, err := whimbrel.Open(t.Context(), target)
	require.NoError(t, err)
	target.Opening = opening
	m, err := whimbrel.New(whimbrel.Config{Target: target})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = m.Status(ctx)
	var failure *whimbrel.Error
	require.ErrorAs(t, err, &failure)
	require.Equal(t, whimbrel.CodeInterrupted, failure.Code)
	opening.Close() // which does not wait for the server either
}

func TestAStopEndsWaitingForAServerThatIsSilent(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]bool{"opened by the method": false, "opened ahead": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			silent, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer func() { _ = silent.Close() }()
			stop := make(chan struct{})
			config := whimbrel.Config{
				Target: whimbrel.Target{DatabaseURL: "postgres://nobody@" + silent.Addr().String() + "/none?sslmode=disable"},
				Stop:   stop,
			}
			if ahead {
				config.Opening, err = whimbrel.Open(t.Context(), config.Target)
				require.NoError(t, err)
				defer config.Opening.Close()
			}
			m, err := whimbrel.New(config)
			require.NoError(t, err)
			ended := make(chan error)
			go func() {
				_, err := m.Up(t.Context(), whimbrel.UpOptions{})
				ended <- err
			}()
			client, err := silent.Accept()
			require.NoError(t, err)
			defer func() { _ = client.Close() }()
			close(stop)
			var failure *whimbrel.Error
			require.ErrorAs(t, <-ended, &failure)
			require.Equal(t, whimbrel.CodeInterrupted, failure.Code)
			require.Contains(t, failure.Message, "interrupted before the next step")
		})
	}
}

// The cause may be known to others whom it ends too, as the workers of a backfill.
func TestConnectingLeavesTheErrorThatEndedItAsItIs(t *testing.T) {
	t.Parallel()
	m, err := whimbrel.New(whimbrel.Config{
		Target: whimbrel.Target{DatabaseURL: "postgres://nobody@127.0.0.1:1/none?sslmode=disable"}})
	require.NoError(t, err)
	cause := &whimbrel.Error{Code: whimbrel.CodeLeaseLost, Message: "the lease was lost", Err: errors.New("it was taken")}
	as := *cause
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	_, err = m.Status(ctx)
	require.ErrorIs(t, err, cause)
	require.Equal(t, as, *cause)
}
