package pgsql

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStatementsTellWhichSettingsTheyChange(t *testing.T) {
	t.Parallel()
	session := func(name string) []SettingChange { return []SettingChange{{Name: name}} }
	local := func(name string) []SettingChange { return []SettingChange{{Name: name, Local: true}} }
	reset := func(name string) []SettingChange { return []SettingChange{{Name: name, Reset: true}} }
	for text, want := range map[string][]SettingChange{
		"SET search_path = a, b":                   session("search_path"),
		"set Search_Path to a":                     session("search_path"),
		`SET "search_path" TO a`:                   session("search_path"),
		"SET SESSION search_path = a":              session("search_path"),
		"SET /* x */ app.Tenant = 'a'":             session("app.tenant"),
		"SET ROLE a":                               session("role"),
		"SET role = 'a'":                           session("role"),
		"SET SESSION ROLE a":                       session("role"),
		"SET SESSION AUTHORIZATION a":              session("session_authorization"),
		"SET SESSION SESSION AUTHORIZATION a":      session("session_authorization"),
		"SET TIME ZONE 'UTC'":                      session("timezone"),
		"SET SESSION TIME ZONE LOCAL":              session("timezone"),
		"SET NAMES 'UTF8'":                         session("client_encoding"),
		"SET SCHEMA 'a'":                           session("search_path"),
		"SET XML OPTION DOCUMENT":                  session("xmloption"),
		"SET LOCAL search_path = a":                local("search_path"),
		"SET LOCAL ROLE a":                         local("role"),
		"SET LOCAL SESSION AUTHORIZATION a":        local("session_authorization"),
		"SET transaction_isolation = serializable": local("transaction_isolation"),
		"SET search_path TO DEFAULT":               reset("search_path"),
		"SET SESSION AUTHORIZATION DEFAULT":        reset("session_authorization"),
		"RESET search_path":                        reset("search_path"),
		"RESET app.tenant":                         reset("app.tenant"),
		"RESET ROLE":                               reset("role"),
		"RESET SESSION AUTHORIZATION":              reset("session_authorization"),
		"RESET TIME ZONE":                          reset("timezone"),
		"RESET ALL":                                reset(""),
		"DISCARD TEMP":                             nil,
		"DISCARD ALL": {{Reset: true}, {Name: "role", Reset: true},
			{Name: "session_authorization", Reset: true}},
		"SELECT set_config('a.b', 'c', false)":                         session("a.b"),
		"SELECT pg_catalog.set_config('a', $$b$$, 'f') AS \"x\"":       session("a"),
		"SELECT set_config('a', 'b, ' || current_setting('a'), false)": session("a"),
		"SELECT set_config('search_path', '', true)": local(
			"search_path"),
		"SELECT set_config('a', NULL, false)": reset("a"),
		"SELECT set_config('a', 'b', false), set_config('c', coalesce(current_setting('d', true), 'e'), true)": {{Name: "a"},
			{Name: "c", Local: true}},
	} {
		changes, only := SettingChanges(statement(t, text))
		require.True(t, only, text)
		require.Equal(t, want, changes, text)
	}
}

func TestStatementsThatDoMoreThanChangeSettingsAreNoSettings(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"SELECT 1", "SELECT set_config('a', b, false) FROM t", "SELECT set_config('a', 'b', false) FROM t",
		"SELECT set_config('a', 'b', c)",
		"SELECT set_config(f(), 'b', false)", "SELECT set_config('a', random()::text, false)",
		"SELECT set_config('a', (SELECT 'b'), false)",
		"SELECT set_config('a', 'b', false), f()", "SELECT set_config('a', 'b', false) + 1",
		"SELECT app.set_config('a', 'b', false)", "SELECT set_config('a'",
		"SELECT set_config('a', 'b'", "SELECT set_config", "SELECT current_setting('a')", "SET CONSTRAINTS ALL DEFERRED",
		"DO $$ BEGIN PERFORM set_config('a', 'b', false); END $$",
		"CREATE TABLE t ()", "BEGIN", "SHOW ALL", "DEALLOCATE ALL", "VACUUM",
	} {
		changes, only := SettingChanges(statement(t, text))
		require.False(t, only, text)
		require.Empty(t, changes, text)
	}
}

func statement(t *testing.T, text string) Statement {
	t.Helper()
	statements, err := Split(text, Options{})
	require.NoError(t, err, text)
	require.Len(t, statements, 1, text)
	return statements[0]
}
