package whimbrel_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

func ExampleMigrator_Up() {
	ctx := context.Background()
	url, drop, err := server.FreshDatabase(ctx) // yours: os.Getenv("DATABASE_URL")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer drop()

	files := fstest.MapFS{ // yours: an embed.FS
		"migrations/20240115120000_add_users.sql": &fstest.MapFile{Data: []byte("CREATE TABLE users (id bigint PRIMARY " +
			"KEY);\n-- +migrate Down\nDROP TABLE users;\n")},
		"migrations/20240116090000_add_names.sql": &fstest.MapFile{Data: []byte("ALTER TABLE users ADD COLUMN name text;\n" +
			"-- +migrate Down\nALTER TABLE users DROP COLUMN name;\n")},
	}
	migrations, err := migration.Load(migration.Source{FS: files, Dir: "migrations"})
	if err != nil {
		fmt.Println(err)
		return
	}
	migrator, err := whimbrel.New(whimbrel.Config{DatabaseURL: url, Migrations: migrations})
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := migrator.Up(ctx, whimbrel.UpOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, done := range result.Done {
		fmt.Println(done.Version, done.Name)
	}
	// Output:
	// 20240115120000 add_users
	// 20240116090000 add_names
}

func TestTheShopGoesUpAndDownAndUpAndIsTheSameEachTime(t *testing.T) {
	b := setup(t)
	shop, err := migration.Load(migration.Source{FS: os.DirFS("examples/shop/migrations"),
		Label: "examples/shop/migrations"})
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(shop), 12)
	m := b.migrator(simple, func(c *whimbrel.Config) { c.Migrations = shop })
	empty := b.schema()
	states := []string{}
	for range shop {
		states = append(states, b.schema())
		_, err := m.Up(t.Context(), whimbrel.UpOptions{Steps: 1})
		require.NoError(t, err)
	}
	full := b.schema()
	for i := len(states) - 1; i >= 0; i-- {
		_, err := m.Down(t.Context(), whimbrel.DownOptions{})
		require.NoError(t, err)
		require.Equal(t, states[i], b.schema(), "after the down migration of %s", shop[i].Path)
	}
	require.Equal(t, empty, b.schema())
	_, err = m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, full, b.schema())
	_, err = m.Redo(t.Context(), whimbrel.RedoOptions{Steps: len(shop)})
	require.NoError(t, err)
	require.Equal(t, full, b.schema())
}
