package lint_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/lint"
)

func TestRowsAreFewOnlyWhereSomethingKeepsThemSo(t *testing.T) {
	t.Parallel()
	few, many := lint.Safe, lint.Dangerous
	for text, want := range map[string]lint.Verdict{
		"DELETE FROM orders WHERE id = 3":                                                                                   few,
		"DELETE FROM orders WHERE id = 3 OR id IN (4, 5)":                                                                   few,
		"DELETE FROM orders WHERE id = 3 OR total > 1":                                                                      many,
		"DELETE FROM orders WHERE id BETWEEN 1 AND 100":                                                                     few,
		"DELETE FROM orders WHERE id BETWEEN 1 AND 100000":                                                                  many,
		"DELETE FROM orders WHERE id IN (SELECT id FROM orders LIMIT 100)":                                                  few,
		"DELETE FROM orders WHERE id IN (SELECT id FROM orders LIMIT ALL)":                                                  many,
		"DELETE FROM orders WHERE id IN (SELECT id FROM orders LIMIT 1000000)":                                              many,
		"DELETE FROM orders WHERE EXISTS (SELECT FROM users LIMIT 1)":                                                       many,
		"DELETE FROM orders WHERE id NOT IN (SELECT id FROM orders LIMIT 100)":                                              many,
		"DELETE FROM orders USING users WHERE users.id = 7":                                                                 many,
		"DELETE FROM orders USING users u WHERE orders.id = u.id AND u.id = 7":                                              few,
		"WITH b AS (SELECT id FROM orders LIMIT 10) DELETE FROM orders o USING b WHERE o.id = b.id":                         few,
		"WITH b AS (SELECT id FROM orders) DELETE FROM orders o USING b WHERE o.id = b.id":                                  many,
		"WITH orders AS (SELECT 1) DELETE FROM orders":                                                                      many,
		"WITH RECURSIVE b(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM b) DELETE FROM orders o USING b WHERE o.id = b.id":  many,
		"UPDATE orders o SET total = 0 FROM users u JOIN events e ON e.id = u.id WHERE o.id = u.id AND u.id = 1":            few,
		"INSERT INTO users (email) SELECT status FROM orders o JOIN users u ON u.id = o.user_id WHERE o.id = 3":             few,
		"INSERT INTO users (email) SELECT u.email FROM users u, orders o WHERE o.id = 3":                                    many,
		"INSERT INTO users (email) SELECT max(status) FROM orders":                                                          few,
		"INSERT INTO users (email) SELECT max(status) FROM orders GROUP BY user_id":                                         many,
		"WITH x AS (SELECT status FROM orders) INSERT INTO users (email) SELECT status FROM x":                              many,
		"INSERT INTO users (email) SELECT 'a' UNION ALL SELECT status FROM orders":                                          many,
		"MERGE INTO orders o USING (VALUES (1), (2)) v (id) ON o.id = v.id WHEN MATCHED THEN DELETE":                        few,
		"MERGE INTO orders o USING users u ON o.id = u.id WHEN MATCHED THEN DELETE":                                         many,
		"SELECT id FROM orders FOR SHARE":                                                                                   many,
		"SELECT id FROM orders LIMIT 5 FOR UPDATE SKIP LOCKED":                                                              few,
		"WITH gone AS (DELETE FROM orders WHERE id = 1 RETURNING status) INSERT INTO users (email) SELECT status FROM gone": few,
		"WITH gone AS (DELETE FROM orders RETURNING status) INSERT INTO users (email) SELECT status FROM gone WHERE false":  many,
		"INSERT INTO users (email) SELECT s.status FROM (SELECT status FROM orders LIMIT 3) s":                              few,
		"INSERT INTO users (email) SELECT s.status FROM (SELECT status FROM orders) s":                                      many,
		"UPDATE orders SET total = 0 FROM generate_series(1, 10) n WHERE orders.id = n.n":                                   few,
		"UPDATE orders SET total = 0 WHERE ctid = ANY (ARRAY(SELECT ctid FROM orders WHERE total IS NULL LIMIT 100))":       few,
		"UPDATE orders SET total = 0 WHERE ctid = ANY (ARRAY(SELECT ctid FROM orders WHERE total IS NULL))":                 many,
		"UPDATE orders o SET total = 0 FROM orders p LEFT JOIN users u ON u.id = p.user_id WHERE o.id = p.id AND p.id = 9":  few,
		"UPDATE orders o SET total = 0 FROM users u LEFT JOIN orders p ON p.id = 9 WHERE o.user_id = u.id":                  many,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			report := check(t, lint.Options{}, []string{lint.ExampleSchema}, []string{text + ";"})
			require.Equal(t, want, report.Files[0].Verdict(), ids(report))
		})
	}
}

func TestFunctionsAreToldApartByTheirArguments(t *testing.T) {
	t.Parallel()
	before := []string{lint.ExampleSchema,
		`CREATE FUNCTION tag(a text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN a; END $$;
CREATE FUNCTION tag(a text, b int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN random(); END $$;`}
	for text, want := range map[string]lint.Verdict{
		"ALTER TABLE users ADD COLUMN t text DEFAULT tag('a');":                                                                  lint.Safe,
		"ALTER TABLE users ADD COLUMN t text DEFAULT tag('a', 1);":                                                               lint.Dangerous,
		"ALTER FUNCTION tag(text) VOLATILE; ALTER TABLE users ADD COLUMN t text DEFAULT tag('a');":                               lint.Dangerous,
		"ALTER FUNCTION tag(text, int) RENAME TO label;":                                                                         lint.Dangerous,
		"DROP FUNCTION tag(text); CREATE FUNCTION tag(a text, b bool DEFAULT true) RETURNS text LANGUAGE sql AS $$ SELECT a $$;": lint.Safe,
		"DROP FUNCTION tag(text); CREATE FUNCTION tag(a int) RETURNS text LANGUAGE sql AS $$ SELECT 'a' $$;":                     lint.Dangerous,
		"CREATE OR REPLACE FUNCTION tag(a text) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;":                                     lint.Dangerous,
		"CREATE OR REPLACE FUNCTION tag(word text) RETURNS text LANGUAGE sql AS $$ SELECT 'a' $$;":                               lint.Dangerous,
		"CREATE OR REPLACE FUNCTION tag(a text) RETURNS text LANGUAGE sql AS $$ SELECT 'a' $$;":                                  lint.Safe,
		"CREATE OR REPLACE FUNCTION tag(a int) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;":                                      lint.Safe,
		"CREATE FUNCTION tag(a text) RETURNS text LANGUAGE sql AS $$ SELECT 'a' $$;":                                             lint.Dangerous,
		"CREATE INDEX CONCURRENTLY i ON users (tag(email, 1));":                                                                  lint.Dangerous,
		"CREATE INDEX CONCURRENTLY i ON users (tag(email));":                                                                     lint.Safe,
		"CREATE INDEX CONCURRENTLY i ON users (id) WHERE CURRENT_DATE > '2025-01-01';":                                           lint.Dangerous,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			report := check(t, lint.Options{}, before, []string{text})
			require.Equal(t, want, report.Files[0].Verdict(), ids(report))
		})
	}
}

func TestWhatIsNotThereIsNotLocked(t *testing.T) {
	t.Parallel()
	before := []string{lint.ExampleSchema, "CREATE POLICY p ON users USING (true); CREATE POLICY q ON users USING " +
		"(true); CREATE RULE r AS ON DELETE TO users DO INSTEAD NOTHING;"}
	for text, locked := range map[string]bool{
		"DROP POLICY IF EXISTS p ON users;":                                      true,
		"DROP POLICY IF EXISTS x ON users;":                                      false,
		"DROP TRIGGER IF EXISTS x ON users;":                                     false,
		"DROP RULE IF EXISTS x ON users;":                                        false,
		"DROP RULE r ON users;":                                                  true,
		"ALTER POLICY p ON users RENAME TO x; DROP POLICY IF EXISTS p ON users;": true,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			statements := check(t, lint.Options{}, before, []string{text}).Files[0].Statements
			require.Equal(t, locked, len(statements[0].Effect.Locks) > 0)
			if len(statements) > 1 {
				require.Empty(t, statements[1].Effect.Locks, "it has another name now")
			}
		})
	}
}
