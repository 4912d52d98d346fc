package whimbrel_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

// sample makes a Migrator of two migrations for an empty database of its own.
func sample(listener whimbrel.Listener) (migrator *whimbrel.Migrator, drop func()) {
	url, drop, err := server.FreshDatabase(context.Background()) // yours: os.Getenv("DATABASE_URL")
	if err != nil {
		panic(err)
	}
	files := fstest.MapFS{ // yours: an embed.FS
		"migrations/20240115120000_add_users.sql": &fstest.MapFile{Data: []byte("CREATE TABLE users (id bigint PRIMARY " +
			"KEY);\n-- +migrate Down\nDROP TABLE users;\n")},
		"migrations/20240116090000_add_names.sql": &fstest.MapFile{Data: []byte("ALTER TABLE users ADD COLUMN name text;\n" +
			"-- +migrate Down\nALTER TABLE users DROP COLUMN name;\n")},
	}
	migrations, err := migration.Load(migration.Source{FS: files, Dir: "migrations"})
	if err != nil {
		panic(err)
	}
	migrator, err = whimbrel.New(whimbrel.Config{Target: whimbrel.Target{DatabaseURL: url},
		Project: whimbrel.Project{Migrations: migrations}, Listener: listener})
	if err != nil {
		panic(err)
	}
	return migrator, drop
}

func ExampleNew() {
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
	migrator, err := whimbrel.New(whimbrel.Config{Target: whimbrel.Target{DatabaseURL: url},
		Project: whimbrel.Project{Migrations: migrations}})
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

func ExampleMigrator_Up() {
	migrator, drop := sample(nil)
	defer drop()
	result, err := migrator.Up(context.Background(), whimbrel.UpOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	again, err := migrator.Up(context.Background(), whimbrel.UpOptions{})
	fmt.Println(len(result.Done), "done, then", len(again.Done), err)
	// Output: 2 done, then 0 <nil>
}

func ExampleMigrator_Plan() {
	migrator, drop := sample(nil)
	defer drop()
	plan, err := migrator.Plan(context.Background(), whimbrel.Latest())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range plan.Migrations {
		fmt.Println(m.Direction, m.Migration.Name, m.Steps[0].Summary())
	}
	// Output:
	// up add_users CREATE TABLE
	// up add_names ALTER TABLE
}

func ExampleMigrator_Run() {
	migrator, drop := sample(nil)
	defer drop()
	ctx := context.Background()
	if _, err := migrator.Up(ctx, whimbrel.UpOptions{}); err != nil {
		fmt.Println(err)
		return
	}
	plan, err := migrator.Plan(ctx, whimbrel.Back(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := migrator.Run(ctx, plan)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Done[0].Direction, result.Done[0].Name)
	_, err = migrator.Run(ctx, plan)
	fmt.Println(errors.Is(err, whimbrel.CodePlanStale), err)
	// Output:
	// down add_names
	// true the plan is stale, so nothing was run
}

func ExamplePlan_Basis() {
	migrator, drop := sample(nil)
	defer drop()
	ctx := context.Background()
	plan, err := migrator.Plan(ctx, whimbrel.Next(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := json.Marshal(plan.Basis()) // to keep it in a file
	if err != nil {
		fmt.Println(err)
		return
	}
	approved, err := whimbrel.ParsePlan("plan.json", string(text))
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := migrator.Run(ctx, approved)
	fmt.Println(len(result.Done), result.Done[0].Name, err)
	// Output: 1 add_users <nil>
}

func ExampleMigrator_Migrate() {
	migrator, drop := sample(nil)
	defer drop()
	for _, goal := range []whimbrel.Goal{
		whimbrel.Latest(), whimbrel.Redo(1), whimbrel.Version("20240115120000"), whimbrel.Back(1, whimbrel.ForceNoDown),
	} {
		result, err := migrator.Migrate(context.Background(), goal)
		fmt.Println(result.Command, len(result.Done), err)
	}
	// Output:
	// up 2 <nil>
	// redo 2 <nil>
	// to 1 <nil>
	// down 1 <nil>
}

func ExampleMigrator_Down() {
	migrator, drop := sample(nil)
	defer drop()
	ctx := context.Background()
	if _, err := migrator.Up(ctx, whimbrel.UpOptions{}); err != nil {
		fmt.Println(err)
		return
	}
	result, err := migrator.Down(ctx, whimbrel.DownOptions{Steps: 2})
	for _, done := range result.Done {
		fmt.Println(done.Name)
	}
	fmt.Println(err)
	// Output:
	// add_names
	// add_users
	// <nil>
}

func ExampleMigrator_Status() {
	migrator, drop := sample(nil)
	defer drop()
	ctx := context.Background()
	if _, err := migrator.Up(ctx, whimbrel.UpOptions{Steps: 1}); err != nil {
		fmt.Println(err)
		return
	}
	status, err := migrator.Status(ctx)
	fmt.Println(status.Applied[0].Name, "is applied,", status.Pending[0].Name, "is pending", err)
	// Output: add_users is applied, add_names is pending <nil>
}

func ExampleMigrator_Baseline() {
	migrator, drop := sample(nil)
	defer drop()
	ctx := context.Background()
	result, err := migrator.Baseline(ctx, "20240115120000", whimbrel.BaselineOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Done[0].Name, "is recorded and was not run:", result.Done[0].RecordOnly)
	// Output: add_users is recorded and was not run: true
}

func ExampleListener() {
	migrator, drop := sample(func(r whimbrel.Record) {
		switch e := r.Event.(type) {
		case whimbrel.RunStarted:
			fmt.Println(e.Planned, "to run")
		case whimbrel.MigrationFinished:
			fmt.Println(e.Migration.Name, "is done")
		}
	})
	defer drop()
	_, err := migrator.Up(context.Background(), whimbrel.UpOptions{})
	fmt.Println(err)
	// Output:
	// 2 to run
	// add_users is done
	// add_names is done
	// <nil>
}

func ExampleError() {
	migrator, drop := sample(nil)
	defer drop()
	_, err := migrator.To(context.Background(), "20990101000000", whimbrel.ToOptions{})
	var e *whimbrel.Error
	if errors.As(err, &e) {
		fmt.Println(e.Code, errors.Is(err, whimbrel.CodeUnknownVersion))
		fmt.Println(e.Remedy)
	}
	// Output:
	// unknown_version true
	// see the versions with Migrator.Status
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
