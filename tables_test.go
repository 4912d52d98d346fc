package whimbrel_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

func withTable(name string) func(*whimbrel.Config) {
	return func(c *whimbrel.Config) { c.Table = name }
}

func TestAHistoryThatWouldEndWithTheSessionIsRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"pg_temp.history", "PG_TEMP.history", `"pg_temp".history`, "pg_temp_3.history", "pg_toast.history",
		"pg_toast_temp_1.history",
		"pg_catalog.history", "pg_anything.history", "information_schema.history", "Information_Schema.history",
	} {
		_, err := whimbrel.New(whimbrel.Config{
			Target: whimbrel.Target{DatabaseURL: "postgres://nobody@localhost/none", Table: name}})
		e := fails(t, err, whimbrel.CodeConfiguration)
		require.Contains(t, e.Message, "the history cannot be kept in the schema", name)
		require.Contains(t, e.Remedy, "public.schema_migrations", name)
	}
}

func TestASearchPathThatBeginsWithASystemSchemaKeepsNoHistory(t *testing.T) {
	for name, path := range map[string]string{"temporary": "pg_temp, public", "catalog": "pg_catalog, public"} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			at := func(c *whimbrel.Config) {
				config, err := pgx.ParseConfig(b.url)
				require.NoError(t, err)
				config.RuntimeParams["search_path"] = path
				c.Connection = config
			}
			_, err := b.migrator(simple, at).Up(t.Context(), whimbrel.UpOptions{})
			require.Contains(t, fails(t, err, whimbrel.CodeConfiguration).Message,
				"the history cannot be kept in the schema pg_")
			_, err = b.migrator(simple, at).Status(t.Context())
			require.NotEmpty(t, fails(t, err, whimbrel.CodeConfiguration))
			_, err = b.migrator(files{"1_a.sql": "SELECT 1"}, at, withTable("public.schema_migrations")).Up(t.Context(),
				whimbrel.UpOptions{})
			require.NoError(t, err, "a table with its schema needs no search_path")
			require.Equal(t, "1", b.applied())
		})
	}
}

func TestTheSchemaOfTheHistoryIsCreatedByTheFirstThatWrites(t *testing.T) {
	b := setup(t)
	m := b.migrator(simple, withTable(`Odd one.My history`))
	status, err := m.Status(t.Context())
	require.NoError(t, err)
	require.False(t, status.Initialised)
	_, err = m.Plan(t.Context(), whimbrel.Latest())
	require.NoError(t, err)
	_, err = m.Verify(t.Context())
	require.NoError(t, err)
	require.Equal(t, "NULL", b.text(`SELECT to_regnamespace('"Odd one"')`), "reading creates nothing")

	_, err = m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "1",
		b.text(`SELECT count(*) FROM "Odd one"."My history_log" WHERE action = 'create_schema' AND name = 'Odd one'`))
	require.True(t, slices.ContainsFunc(b.events, func(r whimbrel.Record) bool {
		return r.Event == whimbrel.SchemaCreated{Schema: "Odd one"}
	}))
	b.events = nil
	_, err = b.migrator(files{"9_z.sql": "SELECT 1"}, withTable(`Odd one.other`)).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.NotContains(t, b.heard(), "schema_created", "it was there")
}

func TestTwentyRunnersCreateTheSchemaOfTheHistoryOnce(t *testing.T) {
	b := setup(t)
	errs := make([]error, 20)
	var runners sync.WaitGroup
	for i := range errs {
		m := b.migrator(simple, withTable("app.history"))
		runners.Go(func() { _, errs[i] = m.Up(t.Context(), whimbrel.UpOptions{}) })
	}
	runners.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Equal(t, "1", b.text("SELECT count(*) FROM app.history_log WHERE action = 'create_schema'"))
	created := 0
	for _, kind := range b.heard() {
		if kind == "schema_created" {
			created++
		}
	}
	require.Equal(t, 1, created)
}

func TestWhoMayNotCreateTheSchemaIsToldWhatToDo(t *testing.T) {
	b := setup(t)
	role := "weak_" + b.text("SELECT current_database()")
	b.exec(`CREATE ROLE "` + role + `" LOGIN`)
	t.Cleanup(func() {
		_, err := b.conn.PgConn().Exec(context.Background(), `DROP OWNED BY "`+role+`"; DROP ROLE "`+role+`"`).ReadAll()
		require.NoError(t, err)
	})
	as := func(c *whimbrel.Config) {
		config, err := pgx.ParseConfig(b.url)
		require.NoError(t, err)
		config.User = role
		c.Connection, c.Table = config, "app.history"
	}
	_, err := b.migrator(simple, as).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodePermission)
	require.Contains(t, e.Remedy, `let an administrator run CREATE SCHEMA "app" AUTHORIZATION "`+role+`"`)
	require.Equal(t, "NULL", b.text("SELECT to_regnamespace('app')"))

	b.exec(`CREATE SCHEMA "app" AUTHORIZATION "` + role + `"`) // as it says
	_, err = b.migrator(files{"1_a.sql": "SELECT 1"}, as).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err, "a schema that is there asks for no right to create one")

	_, err = b.migrator(simple, withTable(`"app".other`)).Up(t.Context(), whimbrel.UpOptions{})
	require.Contains(t, fails(t, err, whimbrel.CodeConfiguration).Remedy, "without quotes")
}
