package dial_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/faults"
)

var server *devdb.Server

func TestMain(m *testing.M) {
	var err error
	server, err = devdb.Start(context.Background(), devdb.Options{TCP: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, "the tests need a PostgreSQL server:", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// opened is a connection through a proxy that counts the cancel requests.
func opened(t *testing.T) (*faults.Proxy, *pgx.Conn) {
	t.Helper()
	proxy, url, err := faults.InFrontOf(server.URL("postgres"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, proxy.Close()) })
	config, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	conn, err := dial.Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { dial.Close(conn) })
	return proxy, conn
}

// running runs a statement, does something once the server is at it, and gives what
// became of the statement.
func running(ctx context.Context, t *testing.T, conn *pgx.Conn, statement string, then func()) error {
	t.Helper()
	observer, err := pgx.Connect(t.Context(), server.URL("postgres"))
	require.NoError(t, err)
	defer func() { _ = observer.Close(t.Context()) }()
	result := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, statement)
		result <- err
	}()
	require.Eventually(t, func() bool {
		var active bool
		err := observer.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND state = "+
			"'active')", conn.PgConn().PID()).Scan(&active)
		return err == nil && active
	}, 20*time.Second, time.Millisecond)
	then()
	return <-result
}

func usable(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	var one int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT 1").Scan(&one))
}

func TestAStatementThatIsAboutToEndIsNotCancelled(t *testing.T) {
	t.Parallel()
	proxy, conn := opened(t)
	ctx, cancel := context.WithCancel(t.Context())
	// It waits for a lock until the moment before it is given up, however busy the machine is.
	holder, err := pgx.Connect(t.Context(), server.URL("postgres"))
	require.NoError(t, err)
	_, err = holder.Exec(t.Context(), "SELECT pg_advisory_lock(4711)")
	require.NoError(t, err)
	require.NoError(t, running(ctx, t, conn, "SELECT pg_advisory_lock(4711)", func() {
		require.NoError(t, holder.Close(t.Context()))
		cancel()
	}))
	usable(t, conn)
	require.Equal(t, faults.Cancels{}, proxy.Cancels())
}

func TestALongStatementIsCancelledByOneCompleteRequest(t *testing.T) {
	t.Parallel()
	for _, delay := range []time.Duration{0, 150 * time.Millisecond} {
		proxy, conn := opened(t)
		proxy.Delay(delay)
		ctx, cancel := context.WithCancel(t.Context())
		err := running(ctx, t, conn, "SELECT pg_sleep(600)", cancel)
		var refused *pgconn.PgError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, "57014", refused.Code)
		usable(t, conn)
		require.Equal(t, faults.Cancels{Sent: 1}, proxy.Cancels())
	}
}

func TestALongQuestionIsGivenUpWithoutBeingCancelled(t *testing.T) {
	t.Parallel()
	proxy, conn := opened(t)
	ctx, cancel := context.WithCancel(dial.LetFinish(t.Context()))
	require.Error(t, running(ctx, t, conn, "SELECT pg_sleep(5)", cancel))
	dial.Close(conn)
	require.Equal(t, faults.Cancels{}, proxy.Cancels())
}

func TestAQuestionMayFinishWhenItIsNotNeededAnyMore(t *testing.T) {
	t.Parallel()
	proxy, conn := opened(t)
	ctx, cancel := context.WithCancel(dial.LetFinish(t.Context()))
	require.NoError(t, running(ctx, t, conn, "SELECT pg_sleep(0.4)", cancel))
	usable(t, conn)
	require.Equal(t, faults.Cancels{}, proxy.Cancels())
}

func TestAQuestionEndsAtItsDeadline(t *testing.T) {
	t.Parallel()
	proxy, conn := opened(t)
	ctx, cancel := context.WithTimeout(dial.LetFinish(t.Context()), 2*time.Second)
	defer cancel()
	require.Error(t, running(ctx, t, conn, "SELECT pg_sleep(2.5)", func() {}),
		"half a second longer than the deadline is within what a cancelled one may take")
	require.Equal(t, faults.Cancels{}, proxy.Cancels())
}

func TestNothingIsCancelledOverAConnectionThatBroke(t *testing.T) {
	t.Parallel()
	breaks := map[string]func(*faults.Proxy){"closed": (*faults.Proxy).Cut, "reset": (*faults.Proxy).Reset}
	for name, how := range breaks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, conn := opened(t)
			require.Error(t, running(t.Context(), t, conn, "SELECT pg_sleep(1)", func() { how(proxy) }))
			dial.Close(conn)
			require.NoError(t, proxy.WaitForConnections(t.Context(), 0))
			require.Equal(t, faults.Cancels{}, proxy.Cancels())
		})
	}
}

func TestASilentNetworkIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	proxy, conn := opened(t)
	ctx, cancel := context.WithCancel(t.Context())
	require.Error(t, running(ctx, t, conn, "SELECT pg_sleep(1)", func() { proxy.BlackHole(); cancel() }))
	dial.Close(conn)
}

func TestAConnectionsConfigurationOpensAnother(t *testing.T) {
	t.Parallel()
	_, conn := opened(t)
	another, err := pgx.ConnectConfig(t.Context(), conn.Config())
	require.NoError(t, err)
	usable(t, another)
	require.NoError(t, another.Close(t.Context()))
}

func TestTheProxyKnowsARequestThatIsCutOff(t *testing.T) {
	t.Parallel()
	proxy, _ := opened(t)
	proxy.Delay(50 * time.Millisecond)
	conn, err := net.Dial("tcp", proxy.Address())
	require.NoError(t, err)
	request := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 16), 80877102)
	_, err = conn.Write(append(request, make([]byte, 8)...))
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.Eventually(t, func() bool { return proxy.Cancels() == faults.Cancels{Sent: 1, CutOff: 1} }, 10*time.Second,
		time.Millisecond)
}
