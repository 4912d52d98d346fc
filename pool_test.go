package whimbrel_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/pool"
)

func TestAPoolOfOneConnectionThatIsInUseCanBeHandedIn(t *testing.T) {
	b := setup(t)
	config, err := pgxpool.ParseConfig(b.url)
	require.NoError(t, err)
	var prepared atomic.Int64
	config.MaxConns = 1
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		prepared.Add(1)
		c.RuntimeParams["search_path"] = "app" // as the pool's users have it
		return nil
	}
	b.exec("CREATE SCHEMA app")
	db, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	inUse, err := db.Acquire(t.Context())
	require.NoError(t, err)
	t.Cleanup(inUse.Release)
	before := prepared.Load()

	c := whimbrel.Config{Target: pool.Target(db)}
	c.Migrations, c.Listener = simple.load(t), b.listen
	m, err := whimbrel.New(c)
	require.NoError(t, err)
	_, err = m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Greater(t, prepared.Load(), before)
	require.Equal(t, "app", b.text("SELECT schemaname FROM pg_tables WHERE tablename = 'schema_migrations'"))
	require.Equal(t, int64(1), db.Stat().NewConnsCount(), "the engine opens its own")
}

func TestAHookThatFailsFailsToConnect(t *testing.T) {
	b := setup(t)
	down := errors.New("the token service is down")
	m := b.migrator(simple, func(c *whimbrel.Config) {
		c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { return down }
	})
	_, err := m.Up(t.Context(), whimbrel.UpOptions{})
	require.Contains(t, fails(t, err, whimbrel.CodeConnection).Message, "BeforeConnect failed: the token service is down")
	require.ErrorIs(t, err, down)

	ctx, cancel := context.WithCancel(t.Context())
	m = b.migrator(simple, func(c *whimbrel.Config) {
		c.BeforeConnect = func(ctx context.Context, _ *pgx.ConnConfig) error { cancel(); return ctx.Err() }
	})
	_, err = m.Up(ctx, whimbrel.UpOptions{})
	_ = fails(t, err, whimbrel.CodeInterrupted)
}
