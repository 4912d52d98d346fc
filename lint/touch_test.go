package lint_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/migration"
)

func touched(t *testing.T, text string) pgsql.Touched {
	t.Helper()
	statements := parse(t, text)[0].Up.Statements
	require.Len(t, statements, 1, text)
	found, err := lint.Touches(statements[0])
	require.NoError(t, err, text)
	return found
}

// What a statement does to a table, as far as its text tells.
func TestStatementsNameTheirTablesAndWhatIsDoneToThem(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"ALTER TABLE users ADD COLUMN note text;":                                  "users: brief lock",
		"ALTER TABLE ONLY app.users ADD COLUMN id2 bigserial;":                     "app.users: rewrite",
		"ALTER TABLE users ADD COLUMN token uuid DEFAULT gen_random_uuid();":       "users: rewrite",
		"ALTER TABLE users ADD COLUMN at timestamptz DEFAULT now();":               "users: brief lock",
		"ALTER TABLE users ALTER COLUMN id TYPE numeric;":                          "users: rewrite",
		"ALTER TABLE users ALTER COLUMN name SET NOT NULL;":                        "users: scan",
		"CREATE INDEX CONCURRENTLY i ON users (name);":                             "users: index",
		"INSERT INTO users SELECT * FROM old;":                                     "users: rows, old: reads",
		"WITH gone AS (DELETE FROM users RETURNING *) INSERT INTO a TABLE gone;":   "users: rows, a: rows",
		"UPDATE users u SET name = o.name FROM old o, older WHERE o.id = u.id;":    "users: rows, old: reads, older: reads",
		"DELETE FROM users USING old WHERE old.id = users.id;":                     "users: rows, old: reads",
		"TRUNCATE users, \"Old\";":                                                 "users: brief lock, Old: brief lock",
		"CREATE TABLE a (id int REFERENCES users);":                                "a: brief lock, users: brief lock",
		"SELECT extract(year FROM at), substring(name FROM 2) FROM users;":         "users: reads",
		"SELECT 1 WHERE a IS DISTINCT FROM b;":                                     "",
		"REFRESH MATERIALIZED VIEW CONCURRENTLY totals;":                           "totals: rewrite",
		"VACUUM FULL users;":                                                       "users: rewrite",
		"ALTER TABLE users ADD CONSTRAINT c CHECK (age > 0) NOT VALID;":            "users: brief lock",
		"ALTER TABLE users ADD CONSTRAINT c CHECK (age > 0);":                      "users: scan",
		"DROP TABLE IF EXISTS users CASCADE;":                                      "users: brief lock",
		"GRANT SELECT ON TABLE users TO reader;":                                   "users: brief lock",
		"COMMENT ON COLUMN users.name IS 'x';":                                     "users: brief lock",
		"SELECT * FROM generate_series(1, 2) g, LATERAL (SELECT * FROM users) u;":  "users: reads",
		"MERGE INTO users u USING old o ON o.id = u.id WHEN MATCHED THEN DELETE;":  "users: rows, old: reads",
		"LOCK TABLE users IN SHARE MODE;":                                          "users: brief lock",
		"CREATE TABLE copy (LIKE users INCLUDING ALL);":                            "copy: brief lock, users: reads",
		"-- FROM nowhere\nSELECT 'FROM somewhere', $$FROM elsewhere$$ FROM users;": "users: reads",
		"SELECT u.id FROM users u FOR UPDATE OF u;":                                "users: reads",
		"CREATE TABLE part PARTITION OF users FOR VALUES IN (1);":                  "part: brief lock, users: brief lock",
		"ALTER TABLE users ATTACH PARTITION part FOR VALUES IN (1);":               "users: brief lock, part: scan",
		"ALTER TABLE users RENAME COLUMN a TO b;":                                  "users: brief lock",
		"CREATE POLICY p ON users USING (id IN (SELECT id FROM old));":             "users: brief lock, old: reads",
		"DROP TRIGGER audit ON app.users;":                                         "app.users: brief lock",
		"CREATE PUBLICATION p FOR TABLE users;":                                    "users: brief lock",
		"COPY users (id) TO '/tmp/users';":                                         "users: reads",
		"CREATE TEMP TABLE mine AS SELECT * FROM users;":                           "users: reads",
		"ALTER TYPE address ADD ATTRIBUTE zip text;":                               "",
	} {
		found := touched(t, text)
		var all []string
		for _, m := range found.Tables {
			all = append(all, strings.TrimPrefix(m.Schema+"."+m.Name, ".")+": "+string(m.Effect))
		}
		require.ElementsMatch(t, strings.Split(want, ", "), strings.Split(strings.Join(all, ", "), ", "), text)
		require.Empty(t, found.Opaque, text)
	}
}

func TestStatementsWhoseTextDoesNotTellAllSaySo(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"DO $$ BEGIN PERFORM 1; END $$;": "what DO … does",
		"CALL app.tidy(1);":              "what CALL app.tidy does",
		"EXECUTE later;":                 "what EXECUTE later does",
		"CREATE TABEL users (id int);": "what the statement does: parsing with PostgreSQL's grammar: syntax error at or " +
			"near \"TABEL\"",
	} {
		require.Equal(t, want, touched(t, text).Opaque, text)
	}
}

func TestARoleNeedsWhatAStatementDoes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"INSERT INTO users VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 2;": {"INSERT", "UPDATE"},
		"INSERT INTO users VALUES (1) ON CONFLICT DO NOTHING;":                {"INSERT"},
		"INSERT INTO users SELECT * FROM users;":                              {"INSERT", "SELECT"},
		"MERGE INTO users u USING (VALUES (1)) v (id) ON v.id = u.id WHEN MATCHED THEN DELETE " +
			"WHEN NOT MATCHED THEN DO NOTHING;": {"SELECT", "DELETE"},
		"ALTER TABLE users ADD COLUMN note text;":                                   {pgsql.NeedsOwner},
		"VACUUM (ANALYZE) users;":                                                   {pgsql.NeedsMaintain},
		"CREATE TRIGGER a AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION f();": {"TRIGGER"},
		"TRUNCATE users;":                    {"TRUNCATE"},
		"GRANT SELECT ON users TO somebody;": nil,
	} {
		found := touched(t, text)
		require.Len(t, found.Tables, 1, text)
		require.ElementsMatch(t, want, found.Tables[0].Needs, text)
	}
}

func TestANewObjectNeedsTheRightToMakeIt(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]*pgsql.Makes{
		"CREATE TABLE app.a (id int);":                                    {Schema: "app"},
		"CREATE TABLE a AS SELECT 1;":                                     {},
		"CREATE TEMPORARY TABLE a (id int);":                              nil,
		"CREATE INDEX ON app.users (id);":                                 {Schema: "app"},
		"CREATE SCHEMA IF NOT EXISTS app;":                                {Schema: "app", Database: true},
		"CREATE EXTENSION citext;":                                        {Database: true},
		"CREATE TYPE app.mood AS ENUM ('well');":                          {Schema: "app"},
		"CREATE TYPE app.pair AS (a int, b int);":                         {Schema: "app"},
		"CREATE DOMAIN app.short AS text CHECK (value <> '');":            {Schema: "app"},
		"CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 1';": {Schema: "app"},
		"ALTER TABLE users ADD COLUMN note text;":                         nil,
	} {
		require.Equal(t, want, touched(t, text).Makes, text)
	}
}

func TestWritersGoOnWhileWhatIsConcurrentRuns(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"CREATE INDEX CONCURRENTLY i ON users (name);": true,
		"CREATE INDEX i ON users (name);":              false,
		"REINDEX (CONCURRENTLY) TABLE users;":          true,
		"REINDEX TABLE users;":                         false,
		"VACUUM users;":                                true,
		"VACUUM (FULL) users;":                         false,
		"UPDATE users SET a = 1;":                      false,
		"-- +migrate Batch users by id\nUPDATE users SET a = 1 WHERE id > :from AND id <= :to;": true,
	} {
		require.Equal(t, want, touched(t, text).Tables[0].Concurrent, text)
	}
}

func FuzzTouches(f *testing.F) {
	f.Add("WITH a (b) AS (SELECT 1) SELECT * FROM a, b AS c (d), LATERAL e(1) JOIN f USING (g)")
	f.Add("ALTER TABLE ONLY a ATTACH PARTITION b DEFAULT")
	f.Add("COMMENT ON CONSTRAINT c ON DOMAIN d IS NULL")
	f.Add("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)")
	f.Fuzz(func(_ *testing.T, text string) {
		_, _ = lint.Touches(migration.Statement{Statement: pgsql.Statement{Text: text}})
	})
}
