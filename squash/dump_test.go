package squash

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/migration"
)

// programs makes a folder with a pg_dump that says it is of a version; "" for none.
func programs(t *testing.T, version string) string {
	t.Helper()
	folder := t.TempDir()
	if version != "" {
		script := "#!/bin/sh\necho 'pg_dump (PostgreSQL) " + version + "'\n"
		require.NoError(t, os.WriteFile(filepath.Join(folder, "pg_dump"), []byte(script), 0o755))
	}
	return folder
}

func TestPgDumpIsTheServersOwnOrANewerOne(t *testing.T) {
	for name, test := range map[string]struct {
		beside, onPath string
		want           bool
	}{
		"beside the server": {beside: "17.2", want: true}, "on PATH": {onPath: "18.1 (Debian)", want: true},
		"too old": {beside: "16.9", onPath: "15.18"}, "none": {},
	} {
		t.Run(name, func(t *testing.T) {
			server := devdb.Binaries{Dir: programs(t, test.beside), Version: "17.2", Major: 17}
			t.Setenv("PATH", programs(t, test.onPath))
			found, err := dumpFor(t.Context(), server)
			if test.want {
				require.NoError(t, err)
				require.NotEmpty(t, found.path)
				require.Equal(t, 17, found.major)
				return
			}
			var e *whimbrel.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, whimbrel.CodeUnsupported, e.Code)
			require.Contains(t, e.Message, "needs the program pg_dump of PostgreSQL 17 or newer")
			require.Contains(t, e.Remedy, "postgresql-client-17")
		})
	}
}

func TestTheGuardOfNewerDumpsIsNoSQL(t *testing.T) {
	t.Parallel()
	const inside = "SELECT '\n\\restrict me\n';\n"
	require.Equal(t, "--\n-- a dump\n\n\n"+inside+"\n\n", withoutGuard("--\n-- a dump\n\n\\restrict aB3\n"+inside+
		"\n\\unrestrict aB3\n"))
	require.Equal(t, inside, withoutGuard(inside))
}

func TestStatementsThatConcernTheServerAreTold(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"CREATE ROLE a": true, "ALTER USER a SET x = 1": true, "DROP GROUP a": true, "GRANT a TO b": true,
		"REVOKE a FROM b":                   true,
		"DO $$ BEGIN CREATE ROLE a; END $$": true, "DO $$ BEGIN PERFORM 'role'; END $$": false,
		"GRANT SELECT ON t TO a": false, "CREATE USER MAPPING FOR a SERVER s": false, "CREATE TABLE role (id int)": false,
	} {
		m, err := migration.Parse("1_a.sql", text)
		require.NoError(t, err)
		require.Equal(t, want, isServerWide(m.Up.Statements[0]), text)
	}
}
