//go:build linux

package faults_test

import (
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/faults"
	"github.com/whimbrel-db/whimbrel/migration"
)

func bouncer(t *testing.T, mode faults.PoolMode) *faults.Bouncer {
	t.Helper()
	pool, err := faults.StartBouncer(t.Context(), server, mode, poolSizes[mode])
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Stop()) })
	return pool
}

// A runner in session mode keeps up to three server connections: the one that
// works, and those that renew the lease and watch the queue. Two runners need
// twice as many.
var poolSizes = map[faults.PoolMode]int{faults.TransactionMode: 2, faults.SessionMode: 6}

func TestABouncerSharesServerConnectionsAsItsModeSays(t *testing.T) {
	t.Parallel()
	for mode, shared := range map[faults.PoolMode]bool{faults.TransactionMode: true, faults.SessionMode: false} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			pool := bouncer(t, mode)
			pids := map[int]bool{}
			for range 5 {
				conn, err := pgx.Connect(t.Context(), pool.URL(b.name)+"&default_query_exec_mode=exec")
				require.NoError(t, err, pool.Log())
				defer func() { _ = conn.Close(t.Context()) }()
				var pid int
				require.NoError(t, conn.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid))
				pids[pid] = true
			}
			if shared {
				require.LessOrEqual(t, len(pids), 2)
			} else {
				require.Len(t, pids, 5)
			}
		})
	}
}

// The mark is in the database, so it holds whatever name or way leads there.
func TestAProtectedDatabaseIsProtectedThroughAPoolerToo(t *testing.T) {
	t.Parallel()
	f := files{"1_users.sql": "CREATE TABLE users (id int)\n-- +migrate Down\nDROP TABLE users"}
	for _, mode := range []faults.PoolMode{faults.TransactionMode, faults.SessionMode} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			b, pool := setup(t), bouncer(t, mode)
			pooled := through(pool.URL(b.name))
			require.NoError(t, b.up(f))
			_, err := b.migrator(f).Protect(t.Context(), "production")
			require.NoError(t, err)
			_, err = b.migrator(f, pooled).Down(t.Context(), whimbrel.DownOptions{})
			require.Contains(t, fails(t, err, whimbrel.CodeProtected).Message, "production")

			_, err = b.migrator(f, pooled).Unprotect(t.Context())
			require.NoError(t, err)
			_, err = b.migrator(f, pooled).Protect(t.Context(), "through the pooler")
			require.NoError(t, err)
			_, err = b.migrator(f).Down(t.Context(), whimbrel.DownOptions{})
			require.Contains(t, fails(t, err, whimbrel.CodeProtected).Message, "through the pooler")
		})
	}
}

func TestTheExampleShopGoesThroughAPooler(t *testing.T) {
	t.Parallel()
	direct := setup(t)
	shop, err := migration.Load(migration.Source{FS: os.DirFS("../../examples/shop"), Dir: "migrations",
		Label: "migrations"})
	require.NoError(t, err)
	withShop := func(c *whimbrel.Config) { c.Migrations = shop }
	require.NoError(t, direct.up(nil, withShop))
	for mode := range poolSizes {
		t.Run(string(mode), func(t *testing.T) {
			b := setup(t)
			pool := bouncer(t, mode)
			url := pool.URL(b.name)
			require.NoError(t, b.up(nil, withShop, through(url)), pool.Log())
			require.Equal(t, direct.schema(), b.schema())
			require.Equal(t, direct.applied(), b.applied())
			require.NoError(t, b.up(nil, withShop, through(url)), "with nothing left to do: %s", pool.Log())
			require.Equal(t, "public", b.text("SELECT current_schema()"))
		})
	}
}

func TestTwoRunnersThroughAPoolerNeverOverlap(t *testing.T) {
	t.Parallel()
	for mode := range poolSizes {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			pooled := b.at(bouncer(t, mode).URL(b.name))
			folder := fifty().write(t)
			first, second := pooled.start(folder), pooled.start(folder)
			require.Nil(t, first.end())
			require.Nil(t, second.end())
			b.intact()
			require.Equal(t, "1", b.text("SELECT count(DISTINCT batch_number) FROM schema_migrations"))
			require.Equal(t, "1", b.text("SELECT count(DISTINCT token) FROM schema_migrations_log WHERE outcome = 'done'"))
		})
	}
}

func TestARunnerThatDiesBehindAPoolerIsSucceededWhenItsLeaseEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pooled := b.at(bouncer(t, faults.TransactionMode).URL(b.name))
	r := pooled.start(fifty().write(t), childLease+"=4s")
	r.await(60)
	r.kill()
	began := time.Now()
	require.NoError(t, b.up(fifty(), through(pooled.url)))
	b.intact()
	t.Logf("finished %s after the first runner's death", time.Since(began))
}
