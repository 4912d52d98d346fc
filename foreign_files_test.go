package whimbrel_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

func TestAFileThatKeepsAnotherRunnersHistoryInOursIsRefusedBeforeAnythingRuns(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		statement string
		refused   bool
	}{
		"a version recorded": {
			"INSERT INTO schema_migrations (version) VALUES ('2_b') ON CONFLICT DO NOTHING;", true},
		"with the schema, and in capitals": {
			`insert into Public."schema_migrations" (VERSION, applied_at) values ('2', now());`, true},
		"a table of that name": {"CREATE TABLE schema_migrations (version text);", true},
		"all that ours needs":  {"INSERT INTO schema_migrations (version, name) VALUES ('0', 'by hand');", false},
		"another table": {
			"CREATE TABLE schema_migrations_old (version text); INSERT INTO schema_migrations_old (version) VALUES ('1');",
			false,
		},
		"in another schema": {
			"CREATE SCHEMA o; CREATE TABLE o.schema_migrations (version text); " +
				"INSERT INTO o.schema_migrations (version) VALUES ('1');", false,
		},
		"in a schema that was chosen": {"CREATE SCHEMA o; SET search_path = o; CREATE TABLE schema_migrations (version " +
			"text);", false},
		"a table, if it does not exist": {"CREATE TABLE IF NOT EXISTS schema_migrations (version text);", false},
		"in a text": {
			"CREATE TABLE n (t text); INSERT INTO n (t) VALUES ('INSERT INTO schema_migrations (version)');", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			all := files{"1_a.sql": "CREATE TABLE a (id int);", "2_b.sql": test.statement}
			_, err := b.migrator(all).Up(t.Context(), whimbrel.UpOptions{})
			if !test.refused {
				require.NoError(t, err)
				return
			}
			e := fails(t, err, whimbrel.CodeForeignTable)
			require.Equal(t, 1, e.Line)
			require.Contains(t, e.Remedy, "Config.Table: whimbrel_migrations")
			require.Equal(t, "true", b.text("SELECT (to_regclass('a') IS NULL)::text"))
			_, err = b.migrator(files{
				"1_a.sql": "CREATE TABLE a (id int);",
				"2_b.sql": "CREATE TABLE IF NOT EXISTS schema_migrations (version text, applied_at timestamp);",
				"3_c.sql": "INSERT INTO schema_migrations (version) VALUES ('2_b');",
			}, func(c *whimbrel.Config) { c.Table = "whimbrel_migrations" }).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
		})
	}
}
