package project

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestADatabaseIsRecognisedByWhateverNameLeadsThere(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	link := filepath.Join(t.TempDir(), "sockets")
	require.NoError(t, os.Symlink(folder, link))
	for _, test := range []struct {
		one, other string
		same       bool
	}{
		{"postgres://a@localhost/shop", "postgres://b:secret@127.0.0.1:5432/shop?sslmode=disable", true},
		{"postgres://a@127.0.0.1/shop", "postgres://a@[::1]/shop", true},
		{"postgres://a@[::1]:5433/shop", "host=LOCALHOST port=5433 dbname=shop", true},
		{"postgres://a@" + ownAddress(t) + "/shop", "postgres://a@localhost/shop", true},
		{"postgres:///shop?host=" + folder, "postgres://a@localhost/shop", true},
		{"postgres:///shop?host=" + folder, "postgres:///shop?host=" + link, true},
		{"postgres://a@192.0.2.1,localhost/shop", "postgres://a@127.0.0.1/shop", true},
		{"postgres://a@localhost/shop", "postgres://a@localhost/shop2", false},
		{"postgres://a@localhost/shop", "postgres://a@localhost:5433/shop", false},
		{"postgres://a@192.0.2.1/shop", "postgres://a@localhost/shop", false},
		{"postgres://a@192.0.2.1/shop", "postgres://a@192.0.2.2/shop", false},
		{"postgres:///shop?host=" + folder, "postgres:///shop?host=" + t.TempDir(), false},
	} {
		t.Run(test.one+" "+test.other, func(t *testing.T) {
			t.Parallel()
			one, err := pgx.ParseConfig(test.one)
			require.NoError(t, err)
			other, err := pgx.ParseConfig(test.other)
			require.NoError(t, err)
			require.Equal(t, test.same, sameDatabase(t.Context(), one, other))
			require.Equal(t, test.same, sameDatabase(t.Context(), other, one))
		})
	}
}

// ownAddress is an address of this machine that is not its loopback, if it has one.
func ownAddress(t *testing.T) string {
	t.Helper()
	networks, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, n := range networks {
		if ip, ok := n.(*net.IPNet); ok && !ip.IP.IsLoopback() && ip.IP.To4() != nil {
			return ip.IP.String()
		}
	}
	return "127.0.0.1"
}
