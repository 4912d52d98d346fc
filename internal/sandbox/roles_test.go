package sandbox

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
)

func TestARoleThatNothingCreatesIsFoundWhereItIsNamedFirst(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files     map[string]string
		prepare   string
		functions []whimbrel.Function
		needed    []string
	}{
		"in the way up": {files: map[string]string{"1_a.sql": "SELECT 1;\nGRANT SELECT ON t\n  TO reader;"},
			needed: []string{"reader migrations/1_a.sql:3:6"}},
		"in the down migration": {files: map[string]string{
			"1_a.sql": "-- +migrate Up\nSELECT 1;\n-- +migrate Down\nALTER TABLE t OWNER TO keeper;"},
			needed: []string{"keeper migrations/1_a.sql:4:24"}},
		"in a repeatable": {files: map[string]string{"R__grants.sql": "GRANT SELECT ON t TO reader;"},
			needed: []string{"reader migrations/R__grants.sql:1:22"}},
		"by a variable": {files: map[string]string{
			"1_a.sql": "-- +migrate Variables reader\nGRANT SELECT ON t TO ${reader}, other;"},
			needed: []string{"reader_of_here migrations/1_a.sql:2:22", "other migrations/1_a.sql:2:33"}},
		"in a script": {files: map[string]string{
			"1_a.js": "exports.up = async (client) => {\n  await client.query('GRANT SELECT ON t TO reader')\n}"},
			needed: []string{"reader migrations/1_a.js:2:44"}},
		"computed by a script": {files: map[string]string{
			"1_a.js": "exports.up = (client) => client.query(`GRANT SELECT ON t TO ${role}`)"}},
		"once, of several": {files: map[string]string{"1_a.sql": "GRANT a TO b;", "2_b.sql": "GRANT a TO c;"},
			needed: []string{"a migrations/1_a.sql:1:7", "b migrations/1_a.sql:1:12", "c migrations/2_b.sql:1:12"}},
		"but a migration creates it": {files: map[string]string{"1_a.sql": "CREATE ROLE reader;",
			"2_b.sql": "GRANT SELECT ON t TO reader;"}},
		"but one creates it if it is missing": {files: map[string]string{
			"1_a.sql": "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'reader') THEN CREATE ROLE reader; " +
				"END IF; END $$; GRANT SELECT ON t TO reader;"}},
		"but one computes its name": {files: map[string]string{
			"1_a.sql": "DO $$ BEGIN EXECUTE format('CREATE ROLE %I', 'reader'); END $$;",
			"2_b.sql": "GRANT SELECT ON t TO reader;"}},
		"but a script creates it": {files: map[string]string{
			"1_a.js":  "exports.up = (client) => client.query('CREATE ROLE reader')",
			"2_b.sql": "GRANT SELECT ON t TO reader;"}},
		"but a script may create it": {files: map[string]string{
			"1_a.js":  "exports.up = (client) => client.query(`CREATE ROLE ${name}`)",
			"2_b.sql": "GRANT SELECT ON t TO reader;"}},
		"before a script may create it": {files: map[string]string{"1_a.sql": "GRANT SELECT ON t TO reader;",
			"2_b.js": "exports.up = (client) => client.query(`CREATE ROLE ${name}`)"},
			needed: []string{"reader migrations/1_a.sql:1:22"}},
		"but a function of a program may create it": {functions: []whimbrel.Function{{Version: "1"}},
			files: map[string]string{"2_b.sql": "GRANT SELECT ON t TO reader;"}},
		"but the platform creates it": {prepare: "CREATE ROLE reader;",
			files: map[string]string{"1_a.sql": "GRANT SELECT ON t TO reader;"}},
		"only the down migration creates it": {files: map[string]string{
			"1_a.sql": "-- +migrate Up\nDROP ROLE old;\n-- +migrate Down\nCREATE ROLE old;"},
			needed: []string{"old migrations/1_a.sql:2:11"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := castOf(Program{Migrations: load(t, test.files), Functions: test.functions,
				Variables:  map[string]string{"reader": "reader_of_here"},
				Furnishing: devdb.Furnishing{Prepare: []devdb.File{{Text: test.prepare}}}})
			var needed []string
			for _, m := range c.needed {
				needed = append(needed, fmt.Sprintf("%s %s:%d:%d", m.Role, m.Path, m.Line, m.Column))
			}
			require.Equal(t, test.needed, needed)
		})
	}
}
