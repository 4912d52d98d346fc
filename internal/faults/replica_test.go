//go:build linux

package faults_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/faults"
)

func TestAReplicaCanBeAskedEverythingAndChangedNothing(t *testing.T) {
	t.Parallel()
	primary := lonely(t, map[string]string{"wal_level": "replica", "max_wal_senders": "10", "wal_keep_size": "64MB"})
	b := setupOn(t, primary)
	f := files{"1_users.sql": "CREATE TABLE users (id int)\n-- +migrate Down\nDROP TABLE users"}
	require.NoError(t, b.up(f))
	replica, err := faults.StartReplica(t.Context(), primary)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, replica.Stop()) })
	require.NoError(t, replica.CatchUp(t.Context()))
	there := through(replica.URL(b.name))

	require.NoError(t, b.up(f, there), "there is nothing to do")
	f["2_orders.sql"] = "CREATE TABLE orders (id int)\n-- +migrate Down\nDROP TABLE orders"
	m := b.migrator(f, there)
	status, err := m.Status(t.Context())
	require.NoError(t, err)
	require.Len(t, status.Applied, 1)
	require.Len(t, status.Pending, 1)
	plan, err := m.Plan(t.Context(), whimbrel.Latest())
	require.NoError(t, err)
	require.Len(t, plan.Migrations, 1)
	verification, err := m.Verify(t.Context())
	require.NoError(t, err)
	require.Len(t, verification.Differences, 1)
	require.Equal(t, "pending", verification.Differences[0].Kind)
	_, err = m.History(t.Context(), whimbrel.HistoryOptions{})
	require.NoError(t, err)
	holder, err := m.Lock(t.Context())
	require.NoError(t, err)
	require.Nil(t, holder)

	for name, change := range map[string]func() error{
		"up":   func() error { return b.up(f, there) },
		"down": func() error { _, err := m.Down(t.Context(), whimbrel.DownOptions{}); return err },
	} {
		e := fails(t, change(), whimbrel.CodeReadOnly)
		require.Contains(t, e.Message, "replica", name)
		require.Contains(t, e.Remedy, "connect to the primary", name)
	}

	require.NoError(t, b.up(f), "on the primary")
	require.NoError(t, replica.CatchUp(t.Context()))
	require.NoError(t, b.up(f, there), "there is nothing to do any more")

	_, err = b.migrator(f).Protect(t.Context(), "production")
	require.NoError(t, err)
	require.NoError(t, replica.CatchUp(t.Context()))
	promoted, err := pgx.Connect(t.Context(), replica.URL(b.name))
	require.NoError(t, err)
	defer func() { _ = promoted.Close(context.Background()) }()
	_, err = promoted.Exec(t.Context(), "SELECT pg_promote()")
	require.NoError(t, err)
	_, err = m.Down(t.Context(), whimbrel.DownOptions{})
	_ = fails(t, err, whimbrel.CodeProtected)
	require.NoError(t, b.up(files{
		"1_users.sql": f["1_users.sql"], "2_orders.sql": f["2_orders.sql"], "3_more.sql": "CREATE TABLE more ()",
	}, there), "what takes nothing away goes on there")
}

func TestAServerWithoutSendersCannotHaveAReplica(t *testing.T) {
	t.Parallel()
	_, err := faults.StartReplica(t.Context(), lonely(t, nil))
	require.ErrorContains(t, err, "starting a replica")
	require.ErrorContains(t, err, "pg_basebackup")
}
