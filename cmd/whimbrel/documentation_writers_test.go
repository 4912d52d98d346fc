//go:build !noparser

package main

import (
	"context"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// whileWritten is what programs of both releases write between the files of a recipe.
// Each query must answer true afterwards.
var whileWritten = map[string]struct {
	after map[int][]string // by how many files have run
	holds map[int][]string
}{
	"Rename a column": {
		after: map[int][]string{
			0: {"ALTER TABLE users ALTER COLUMN name SET DEFAULT 'nobody'"},
			1: {"UPDATE users SET fax = '1'", "UPDATE users SET name = 'old' WHERE id = 1", "INSERT INTO users (email, name) VALUES ('a', 'old')",
				"INSERT INTO users (email, full_name) VALUES ('b', 'new')", "INSERT INTO users (email) VALUES ('c')"},
			2: {"UPDATE users SET name = 'old' WHERE id = 2", "UPDATE users SET full_name = 'new' WHERE id = 3", "UPDATE users SET fax = '2'"},
		},
		holds: map[int][]string{
			1: {"SELECT count(*) = 49 FROM users WHERE name LIKE 'user %' AND id > 1", "SELECT name = 'old' AND full_name = 'old' FROM users WHERE email = 'a'",
				"SELECT name = 'new' AND full_name = 'new' FROM users WHERE email = 'b'", "SELECT name = 'nobody' AND full_name = 'nobody' FROM users WHERE email = 'c'"},
			2: {"SELECT bool_and(name = full_name) FROM users", "SELECT full_name = 'old' FROM users WHERE id = 2", "SELECT name = 'new' FROM users WHERE id = 3"},
			3: {"SELECT count(*) = 53 AND count(full_name) = 53 FROM users", "SELECT full_name = 'user 9' FROM users WHERE id = 9"},
		},
	},
	"Change a column's type where rows must change": {
		after: map[int][]string{
			1: {"UPDATE orders SET status = 'x'", "UPDATE orders SET quantity = 5 WHERE id = 1", "INSERT INTO orders (id, user_id, quantity) VALUES (101, 1, 6)",
				"INSERT INTO orders (id, user_id, quantity_new) VALUES (102, 1, 7)", "INSERT INTO orders (id, user_id) VALUES (103, 1)"},
			2: {"UPDATE orders SET quantity = 8 WHERE id = 2", "UPDATE orders SET quantity_new = 9 WHERE id = 3"},
			4: {"INSERT INTO orders (id, user_id) VALUES (104, 1)", "INSERT INTO orders (id, user_id, quantity) VALUES (105, 1, 5000000000)"},
		},
		holds: map[int][]string{
			1: {"SELECT bool_and(quantity IS NOT NULL) FROM orders", "SELECT quantity = 7 FROM orders WHERE id = 102", "SELECT quantity_new = 1 FROM orders WHERE id = 103"},
			2: {"SELECT bool_and(quantity = quantity_new) FROM orders", "SELECT quantity_new = 8 FROM orders WHERE id = 2", "SELECT quantity = 9 FROM orders WHERE id = 3"},
			4: {"SELECT quantity = 1 FROM orders WHERE id = 104", "SELECT array_agg(quantity ORDER BY id) = '{5,8,9,1}' FROM orders WHERE id <= 4",
				"SELECT attnotnull AND atttypid = 'int8'::regtype FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'quantity'"},
		},
	},
	"Split a table": {
		after: map[int][]string{
			1: {"UPDATE users SET fax = '1'", "UPDATE users SET city = 'old' WHERE id = 1", "INSERT INTO users (id, email, city) VALUES (101, 'a', 'old')"},
			2: {"UPDATE users SET city = 'old' WHERE id = 2", "UPDATE addresses SET city = 'new' WHERE user_id = 3", "UPDATE users SET fax = '2', city = city",
				"INSERT INTO users (id, email) VALUES (102, 'b')", "INSERT INTO addresses AS a VALUES (102, 'new', 's') ON CONFLICT (user_id) DO UPDATE SET city = excluded.city, street = excluded.street",
				"DELETE FROM addresses WHERE user_id = 4", "DELETE FROM users WHERE id = 5"},
		},
		holds: map[int][]string{
			1: {"SELECT bool_and(city IS NOT NULL) FROM users", "SELECT city = 'old' FROM addresses WHERE user_id = 1"},
			2: {"SELECT NOT EXISTS (SELECT FROM users u LEFT JOIN addresses a ON a.user_id = u.id WHERE (u.city, u.street) IS DISTINCT FROM (a.city, a.street))",
				"SELECT city = 'new' FROM users WHERE id = 3", "SELECT city = 'new' AND street = 's' FROM users WHERE id = 102", "SELECT count(*) = 51 FROM addresses",
				"SELECT city = 'old' FROM addresses WHERE user_id = 2"},
		},
	},
	"Rename a table": {
		after: map[int][]string{
			0: {"INSERT INTO old_log VALUES (1, 'before')"},
			1: {"INSERT INTO old_log VALUES (2, 'old')", "INSERT INTO audit_log VALUES (3, 'new')", "UPDATE old_log SET line = 'changed' WHERE id = 1"},
		},
		holds: map[int][]string{1: {"SELECT array_agg(line ORDER BY id) = '{changed,old,new}' FROM audit_log", "SELECT count(*) = 3 FROM old_log"}},
	},
	"Add a column with a default that differs per row": {
		after: map[int][]string{1: {"UPDATE users SET fax = '1'", "INSERT INTO users (email) VALUES ('a')"}},
		holds: map[int][]string{2: {"SELECT count(DISTINCT token) = 51 FROM users"}},
	},
	"Require a column (NOT NULL)": {
		after: map[int][]string{1: {"UPDATE users SET fax = '1'", "INSERT INTO users (email, name) VALUES ('a', 'b')"}, 3: {"INSERT INTO users (email, name) VALUES ('c', 'd')"}},
		holds: map[int][]string{3: {"SELECT count(name) = 52 FROM users"}},
	},
}

// TestRecipesKeepWhatIsWrittenMeanwhile runs recipes file by file, and writes in between
// as the old and the new program would.
func TestRecipesKeepWhatIsWrittenMeanwhile(t *testing.T) {
	t.Parallel()
	_, examples := examplesOf(t, "recipes.md")
	found := 0
	for _, e := range examples {
		w, ok := whileWritten[e.section]
		if !ok {
			continue
		}
		found++
		t.Run(e.section, func(t *testing.T) {
			t.Parallel()
			url, drop, err := server.FreshDatabase(t.Context())
			require.NoError(t, err)
			t.Cleanup(drop)
			conn, err := pgx.Connect(t.Context(), url)
			require.NoError(t, err)
			t.Cleanup(func() { _ = conn.Close(context.Background()) })
			all := e.load(t)
			for n := range all { // the first is the schema
				m, err := whimbrel.New(whimbrel.Config{DatabaseURL: url, Migrations: slices.Clone(all[:n+1])})
				require.NoError(t, err)
				_, err = m.Up(t.Context(), whimbrel.UpOptions{})
				require.NoError(t, err)
				for _, statement := range w.after[n] {
					_, err := conn.Exec(t.Context(), statement)
					require.NoError(t, err, statement)
				}
				for _, query := range w.holds[n] {
					var holds bool
					require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&holds), query)
					require.True(t, holds, "after %d files: %s", n, query)
				}
			}
		})
	}
	require.Equal(t, len(whileWritten), found)
}
