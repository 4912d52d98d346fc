package faults_test

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/faults"
)

// echo is a server that sends back what it gets.
func echo(t *testing.T, network, address string) net.Listener {
	t.Helper()
	listener, err := net.Listen(network, address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return listener
}

func proxied(t *testing.T) (*faults.Proxy, net.Conn) {
	t.Helper()
	t.Parallel()
	proxy, err := faults.Listen("tcp", echo(t, "tcp", "127.0.0.1:0").Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, proxy.Close()) })
	return proxy, dial(t, proxy)
}

func dial(t *testing.T, proxy *faults.Proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", proxy.Address())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// roundTrip sends a word and waits until it is back.
func roundTrip(conn net.Conn) error {
	const word = "hello"
	if _, err := conn.Write([]byte(word)); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, len(word)))
	return err
}

func TestAProxyPassesEverythingOnInOrder(t *testing.T) {
	_, conn := proxied(t)
	sent := strings.Repeat("0123456789abcdef", 1<<16)
	go func() {
		_, _ = conn.Write([]byte(sent))
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(conn) // ends, because the end is passed on both ways
	require.NoError(t, err)
	require.Len(t, got, len(sent))
	require.Equal(t, sent, string(got))
}

func TestAProxyReachesAUnixSocket(t *testing.T) {
	t.Parallel()
	folder, err := os.MkdirTemp("", "p")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	echo(t, "unix", filepath.Join(folder, ".s.PGSQL.5432"))
	proxy, through, err := faults.InFrontOf("postgres://me@/database?host=" + folder + "&port=5432")
	require.NoError(t, err)
	t.Cleanup(func() { _ = proxy.Close() })
	require.Equal(t, "postgres://me@"+proxy.Address()+"/database?sslmode=disable", through)
	require.NoError(t, roundTrip(dial(t, proxy)))
}

func TestADelayIsPaidOncePerDirectionAndNotPerByte(t *testing.T) {
	proxy, conn := proxied(t)
	const oneWay = 100 * time.Millisecond
	proxy.Delay(oneWay)
	began := time.Now()
	require.NoError(t, roundTrip(conn))
	require.GreaterOrEqual(t, time.Since(began), 2*oneWay)

	began = time.Now()
	const words = 200
	for range words {
		_, err := conn.Write([]byte("hello"))
		require.NoError(t, err)
	}
	_, err := io.ReadFull(conn, make([]byte, words*len("hello")))
	require.NoError(t, err)
	require.Less(t, time.Since(began), words*oneWay, "they are under way at the same time")
}

func TestACutIsAnOrderlyEndAndTheNextConnectionWorks(t *testing.T) {
	proxy, conn := proxied(t)
	require.NoError(t, roundTrip(conn))
	proxy.Cut()
	_, err := conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, roundTrip(dial(t, proxy)))
}

func TestAResetIsSeenAsOne(t *testing.T) {
	proxy, conn := proxied(t)
	require.NoError(t, roundTrip(conn))
	proxy.Reset()
	_, err := conn.Read(make([]byte, 1))
	require.True(t, errors.Is(err, syscall.ECONNRESET) || strings.Contains(err.Error(), "reset"), "%v", err)
	require.NoError(t, roundTrip(dial(t, proxy)))
}

func TestABlackHoleHoldsEverythingBackUntilItIsHealed(t *testing.T) {
	proxy, conn := proxied(t)
	require.NoError(t, roundTrip(conn))
	proxy.BlackHole()
	late := dial(t, proxy) // is accepted all the same
	for _, c := range []net.Conn{conn, late} {
		_, err := c.Write([]byte("world"))
		require.NoError(t, err, "the socket is open")
		require.NoError(t, c.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, c.SetReadDeadline(time.Time{}))
	}
	proxy.Heal()
	for _, c := range []net.Conn{conn, late} {
		got := make([]byte, len("world"))
		_, err := io.ReadFull(c, got)
		require.NoError(t, err)
		require.Equal(t, "world", string(got), "nothing is lost")
	}
}

func TestABlackHoleSwallowsThatAClientHasGone(t *testing.T) {
	proxy, conn := proxied(t)
	require.NoError(t, roundTrip(conn))
	proxy.BlackHole()
	require.NoError(t, conn.Close())
	require.Equal(t, 1, proxy.Connections())
	proxy.Heal()
	require.NoError(t, proxy.WaitForConnections(t.Context(), 0))
}

func TestClosingAProxyEndsItInTheMiddleOfEverything(t *testing.T) {
	proxy, err := faults.Listen("tcp", echo(t, "tcp", "127.0.0.1:0").Addr().String())
	require.NoError(t, err)
	slow, silent := dial(t, proxy), dial(t, proxy)
	require.NoError(t, roundTrip(slow))
	proxy.Delay(time.Hour)
	_, err = slow.Write([]byte("never to arrive"))
	require.NoError(t, err)
	proxy.BlackHole()
	_, err = silent.Write([]byte("nor this"))
	require.NoError(t, err)
	require.NoError(t, proxy.Close())
	_, err = net.Dial("tcp", proxy.Address())
	require.Error(t, err)
}

func TestAServerThatIsNotThereIsAClosedConnection(t *testing.T) {
	t.Parallel()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	proxy, err := faults.Listen("tcp", gone.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = proxy.Close() })
	_, err = dial(t, proxy).Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}
