package whimbrel_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

var perTenant = files{"1_tenant.sql": `-- +migrate Variables TENANT GREETING
-- +migrate Set search_path = "${TENANT}"
CREATE SCHEMA ${"TENANT"};
CREATE TABLE greetings AS SELECT ${'GREETING'}::text AS text;
-- +migrate Down
DROP SCHEMA ${"TENANT"} CASCADE;
`}

func withValues(values map[string]string) func(*whimbrel.Config) {
	return func(c *whimbrel.Config) { c.Variables = values }
}

func TestVariablesHaveTheirValuesOnBothWays(t *testing.T) {
	b := setup(t)
	values := withValues(map[string]string{"TENANT": "Acme & Co", "GREETING": `it's "hello"; \o/`})
	_, err := b.migrator(perTenant, values).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, `it's "hello"; \o/`, b.text(`SELECT text FROM "Acme & Co".greetings`))

	// The down migration comes from the history, where no value is.
	require.NotContains(t, b.text("SELECT string_agg(h::text, '') FROM schema_migrations h"), "Acme")
	missing := func(c *whimbrel.Config) { c.AllowMissing = true }
	_, err = b.migrator(files{}, missing).Down(t.Context(), whimbrel.DownOptions{})
	e := fails(t, err, "variable")
	require.Contains(t, e.Message, "variable TENANT has no value")
	_, err = b.migrator(files{}, missing, values).Down(t.Context(), whimbrel.DownOptions{})
	require.NoError(t, err)
	require.Equal(t, "NULL", b.text(`SELECT to_regnamespace('"Acme & Co"')`))
}

func TestAVariableWithoutAValueStopsTheRunBeforeItBegins(t *testing.T) {
	b := setup(t)
	all := files{"0_first.sql": "CREATE TABLE first (id int);", "1_tenant.sql": perTenant["1_tenant.sql"]}
	_, err := b.migrator(all, withValues(map[string]string{"TENANT": "acme"})).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, "variable")
	require.Equal(t, "migrations/1_tenant.sql", e.Path)
	require.Equal(t, [2]int{4, 34}, [2]int{e.Line, e.Column})
	require.Equal(t, "NULL", b.text("SELECT to_regclass('schema_migrations')"), "nothing was done")

	_, err = b.migrator(all).Up(t.Context(), whimbrel.UpOptions{Steps: 1})
	require.NoError(t, err, "only what is to run needs its values")
}

func TestValuesStandInNoErrorPlanEventOrTable(t *testing.T) {
	const secret = "hunter'2"
	b := setup(t)
	broken := files{"1_role.sql": `-- +migrate Variables SECRET
SELECT 1;
DO $$ BEGIN RAISE NOTICE 'with %', ${'SECRET'}; END $$;
SELECT '${SECRET}', nowhere FROM pg_class;
`, "2_cast.sql": `-- +migrate Variables SECRET
SELECT ${'SECRET'}::int;`}
	m := b.migrator(broken, withValues(map[string]string{"SECRET": secret}))
	plan, err := m.Plan(t.Context(), whimbrel.Latest())
	require.NoError(t, err)
	shown, err := json.Marshal(plan)
	require.NoError(t, err)
	require.NotContains(t, string(shown), "hunter")
	require.Contains(t, string(shown), "${'SECRET'}")

	_, err = m.Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeStatement)
	require.Equal(t, [2]int{4, 21}, [2]int{e.Line, e.Column}, "the place is that in the file")
	require.Equal(t, "SELECT '${SECRET}', nowhere FROM pg_class;\n                    ^", e.Statement)
	delete(broken, "1_role.sql")
	_, err = b.migrator(broken, withValues(map[string]string{"SECRET": secret})).Up(t.Context(), whimbrel.UpOptions{})
	e = fails(t, err, whimbrel.CodeStatement)
	require.Contains(t, e.Message, `"${SECRET}"`, "the server quotes the value")
	for _, r := range b.events {
		text, err := json.Marshal(r)
		require.NoError(t, err)
		require.NotContains(t, string(text), "hunter")
	}
	require.Contains(t, fmt.Sprint(b.heard()), "notice")
	require.NotContains(t, b.text("SELECT string_agg(l::text, '') FROM schema_migrations_log l"), "hunter")
}

func TestAReferenceWithoutItsAnnotationIsExplained(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(files{"1_a.sql": "SELECT 'é', ${NAME};"},
		withValues(map[string]string{"NAME": "1"})).Up(t.Context(), whimbrel.UpOptions{})
	require.Contains(t, fails(t, err, whimbrel.CodeStatement).Remedy, "-- +migrate Variables NAME")
}
