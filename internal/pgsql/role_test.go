package pgsql_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

func namesOf(t *testing.T, text string, found []pgsql.RoleName) []string {
	t.Helper()
	names := []string{}
	for _, role := range found {
		names = append(names, role.Name)
		if !strings.ContainsAny(role.Name, `"'`) { // else it is written with quotes doubled
			at := strings.TrimLeft(text[role.Offset:], `"'`)
			require.True(t, strings.EqualFold(at[:len(role.Name)], role.Name), "%q is not at %d", role.Name, role.Offset)
		}
	}
	return names
}

func TestARoleIsNeededByWhatNamesIt(t *testing.T) {
	t.Parallel()
	for text, needed := range map[string][]string{
		"GRANT SELECT ON t TO reader":                                                          {"reader"},
		"GRANT SELECT (a, b), UPDATE (c) ON t TO r1, GROUP r2, PUBLIC":                         {"r1", "r2"},
		"GRANT ALL ON FUNCTION f(text, int) TO r WITH GRANT OPTION":                            {"r"},
		"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA s TO r GRANTED BY g":                         {"r", "g"},
		"GRANT a, b TO c, d WITH ADMIN OPTION":                                                 {"a", "b", "c", "d"},
		`GRANT "Read ""Only""" TO "App User"`:                                                  {`Read "Only"`, "App User"},
		"GRANT SELECT ON t TO Reader":                                                          {"reader"},
		"GRANT pg_read_all_data TO app":                                                        {"app"},
		"GRANT SELECT ON t TO CURRENT_USER, session_user, current_role":                        {},
		"REVOKE ALL ON t FROM reader CASCADE":                                                  {"reader"},
		"REVOKE GRANT OPTION FOR SELECT ON t FROM reader":                                      {"reader"},
		"REVOKE ADMIN OPTION FOR a FROM b":                                                     {"a", "b"},
		"REVOKE a FROM b GRANTED BY c":                                                         {"a", "b", "c"},
		"REVOKE ALL ON SCHEMA public FROM PUBLIC":                                              {},
		"ALTER TABLE t OWNER TO app":                                                           {"app"},
		"ALTER FUNCTION f(int) OWNER TO \"App\"":                                               {"App"},
		"ALTER TABLE t OWNER TO CURRENT_USER":                                                  {},
		"ALTER TABLE t RENAME COLUMN owner TO keeper":                                          {},
		"ALTER TABLE t RENAME owner TO keeper":                                                 {},
		"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader":                            {"reader"},
		"ALTER DEFAULT PRIVILEGES FOR ROLE a, b REVOKE ALL ON TABLES FROM c":                   {"a", "b", "c"},
		"ALTER DEFAULT PRIVILEGES FOR USER a IN SCHEMA s GRANT ALL ON TYPES TO b":              {"a", "b"},
		"CREATE POLICY p ON t FOR SELECT TO reader, writer USING (true)":                       {"reader", "writer"},
		"CREATE POLICY p ON t USING (owner = current_user)":                                    {},
		"ALTER POLICY p ON t TO reader":                                                        {"reader"},
		"ALTER POLICY p ON t RENAME TO q":                                                      {},
		"CREATE SCHEMA s AUTHORIZATION app":                                                    {"app"},
		"CREATE SCHEMA AUTHORIZATION app":                                                      {"app"},
		"SET ROLE app":                                                                         {"app"},
		"SET LOCAL ROLE 'it''s'":                                                               {"it's"},
		"SET SESSION ROLE TO app":                                                              {"app"},
		"SET role = 'app'":                                                                     {"app"},
		"SET ROLE NONE":                                                                        {},
		"SET SESSION AUTHORIZATION app":                                                        {"app"},
		"SET LOCAL SESSION AUTHORIZATION DEFAULT":                                              {},
		"SET search_path TO app":                                                               {},
		"UPDATE t SET role = 'admin'":                                                          {},
		"REASSIGN OWNED BY a, b TO c":                                                          {"a", "b", "c"},
		"DROP OWNED BY a CASCADE":                                                              {"a"},
		"COMMENT ON ROLE a IS 'x'":                                                             {"a"},
		"ALTER ROLE app SET search_path = app":                                                 {"app"},
		"ALTER ROLE ALL SET search_path = app":                                                 {},
		"ALTER GROUP g ADD USER a, b":                                                          {"g", "a", "b"},
		"ALTER ROLE old RENAME TO new":                                                         {"old"},
		"DROP ROLE a, b":                                                                       {"a", "b"},
		"DROP ROLE IF EXISTS a":                                                                {},
		"CREATE ROLE app IN ROLE a, b ADMIN c":                                                 {"a", "b", "c"},
		"CREATE USER MAPPING FOR app SERVER s OPTIONS (user 'x')":                              {"app"},
		"CREATE USER MAPPING FOR PUBLIC SERVER s":                                              {},
		"CREATE TABLE grants (role text); INSERT INTO grants VALUES ('GRANT a TO b')":          {},
		"SELECT 1 -- GRANT a TO b\n":                                                           {},
		"DO $$ BEGIN IF true THEN GRANT a TO b; ELSE REVOKE a FROM c; END IF; END $$":          {"a", "b", "a", "c"},
		"DO $$ BEGIN EXECUTE 'GRANT SELECT ON t TO reader'; END $$":                            {"reader"},
		"DO $$ BEGIN EXECUTE format('GRANT SELECT ON %I TO reader', 't'); END $$":              {"reader"},
		"DO $$ BEGIN EXECUTE format('GRANT SELECT ON t TO %I', r); END $$":                     {},
		"DO $$ BEGIN RAISE NOTICE 'GRANT a TO b'; END $$":                                      {},
		"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN GRANT a TO b; END $f$": {"a", "b"},
		"GRANT":                  {},
		"GRANT SELECT ON t":      {},
		"ALTER TABLE t OWNER TO": {},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, needed, namesOf(t, text, pgsql.Roles(text).Needed))
		})
	}
}

func TestARoleIsCreatedWhereTheTextSaysSo(t *testing.T) {
	t.Parallel()
	for text, test := range map[string]struct {
		created  []string
		computed bool
	}{
		"CREATE ROLE app NOLOGIN":              {created: []string{"app"}},
		`CREATE USER "App" WITH PASSWORD 'x'`:  {created: []string{"App"}},
		"CREATE GROUP g":                       {created: []string{"g"}},
		"ALTER ROLE old RENAME TO new":         {created: []string{"new"}},
		"CREATE USER MAPPING FOR app SERVER s": {created: []string{}},
		"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app') THEN CREATE ROLE app; END IF; END $$": {
			created: []string{"app"}},
		"DO $$ BEGIN EXECUTE 'CREATE ROLE app'; END $$":                {created: []string{"app"}},
		"DO $$ BEGIN EXECUTE format('CREATE ROLE %I', 'app'); END $$":  {created: []string{}, computed: true},
		"DO $$ BEGIN EXECUTE 'CREATE ROLE ' || quote_ident(n); END $$": {created: []string{}, computed: true},
		"DO $$ BEGIN EXECUTE $x$CREATE USER $x$ || n; END $$":          {created: []string{}, computed: true},
		"SELECT 'CREATE ROLE app'":                                     {created: []string{}},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			found := pgsql.Roles(text)
			require.Equal(t, test.created, namesOf(t, text, found.Created))
			require.Equal(t, test.computed, found.Computed)
		})
	}
}

func FuzzRoles(f *testing.F) {
	f.Add("DO $a$ BEGIN EXECUTE 'CREATE ROLE ' || $b$ x $b$; END $a$; GRANT a TO b")
	f.Fuzz(func(t *testing.T, text string) {
		for _, role := range append(pgsql.Roles(text).Needed, pgsql.Roles(text).Created...) {
			if role.Name == "" || role.Offset < 0 || role.Offset >= len(text) {
				t.Fatalf("%+v", role)
			}
		}
	})
}
