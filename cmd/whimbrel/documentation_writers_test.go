//go:build !lean

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
			1: {"UPDATE users SET fax = '1'", "UPDATE users SET name = 'old' WHERE id = 1",
				"INSERT INTO users (email, name) VALUES ('a', 'old')",
				"INSERT INTO users (email, full_name) VALUES ('b', 'new')", "INSERT INTO users (email) VALUES ('c')"},
			2: {"UPDATE users SET name = 'old' WHERE id = 2", "UPDATE users SET full_name = 'new' WHERE id = 3",
				"UPDATE users SET fax = '2'",
				"INSERT INTO users (id, email, name) VALUES (4, 'd', 'old') ON CONFLICT (id) DO UPDATE SET name = excluded.name",
				"INSERT INTO users (id, email, full_name) VALUES (5, 'e', 'new') ON CONFLICT (id) DO UPDATE SET full_name = " +
					"excluded.full_name",
				"INSERT INTO users (email, name, full_name) VALUES ('f', 'old', 'new')"},
		},
		holds: map[int][]string{
			1: {"SELECT count(*) = 49 FROM users WHERE name LIKE 'user %' AND id > 1",
				"SELECT name = 'old' AND full_name = 'old' FROM users WHERE email = 'a'",
				"SELECT name = 'new' AND full_name = 'new' FROM users WHERE email = 'b'",
				"SELECT name = 'nobody' AND full_name = 'nobody' FROM users WHERE email = 'c'"},
			2: {"SELECT bool_and(name = full_name) FROM users", "SELECT full_name = 'old' FROM users WHERE id = 2",
				"SELECT name = 'new' FROM users WHERE id = 3",
				"SELECT array_agg(name ORDER BY id) = '{old,new}' FROM users WHERE id IN (4, 5)",
				"SELECT name = 'new' FROM users WHERE email = 'f'"},
			3: {"SELECT count(*) = 54 AND count(full_name) = 54 FROM users",
				"SELECT full_name = 'user 9' FROM users WHERE id = 9"},
		},
	},
	"Change a column's type where rows must change": {
		after: map[int][]string{
			1: {"UPDATE orders SET status = 'x'", "UPDATE orders SET quantity = 5 WHERE id = 1",
				"INSERT INTO orders (id, user_id, quantity) VALUES (101, 1, 6)",
				"INSERT INTO orders (id, user_id, quantity_new) VALUES (102, 1, 7)",
				"INSERT INTO orders (id, user_id) VALUES (103, 1)"},
			2: {"UPDATE orders SET quantity = 8 WHERE id = 2", "UPDATE orders SET quantity_new = 9 WHERE id = 3"},
			4: {"INSERT INTO orders (id, user_id) VALUES (104, 1)",
				"INSERT INTO orders (id, user_id, quantity) VALUES (105, 1, 5000000000)"},
		},
		holds: map[int][]string{
			1: {"SELECT bool_and(quantity IS NOT NULL) FROM orders", "SELECT quantity = 7 FROM orders WHERE id = 102",
				"SELECT quantity_new = 1 FROM orders WHERE id = 103"},
			2: {"SELECT bool_and(quantity = quantity_new) FROM orders", "SELECT quantity_new = 8 FROM orders WHERE id = 2",
				"SELECT quantity = 9 FROM orders WHERE id = 3"},
			4: {"SELECT quantity = 1 FROM orders WHERE id = 104",
				"SELECT array_agg(quantity ORDER BY id) = '{5,8,9,1}' FROM orders WHERE id <= 4",
				"SELECT attnotnull AND atttypid = 'int8'::regtype FROM pg_attribute WHERE attrelid = 'orders'::regclass AND " +
					"attname = 'quantity'"},
		},
	},
	"Split a table": {
		after: map[int][]string{
			1: {"UPDATE users SET fax = '1'", "UPDATE users SET city = 'old' WHERE id = 1",
				"INSERT INTO users (id, email, city) VALUES (101, 'a', 'old')"},
			2: {"UPDATE users SET city = 'old' WHERE id = 2", "UPDATE addresses SET city = 'new' WHERE user_id = 3",
				"UPDATE users SET fax = '2', city = city",
				"INSERT INTO users (id, email) VALUES (102, 'b')", "INSERT INTO addresses AS a VALUES (102, 'new', 's') ON " +
					"CONFLICT (user_id) DO UPDATE SET city = excluded.city, street = excluded.street",
				"DELETE FROM addresses WHERE user_id = 4", "DELETE FROM users WHERE id = 5"},
		},
		holds: map[int][]string{
			1: {"SELECT bool_and(city IS NOT NULL) FROM users", "SELECT city = 'old' FROM addresses WHERE user_id = 1"},
			2: {"SELECT NOT EXISTS (SELECT FROM users u LEFT JOIN addresses a ON a.user_id = u.id WHERE (u.city, u.street) IS " +
				"DISTINCT FROM (a.city, a.street))",
				"SELECT city = 'new' FROM users WHERE id = 3", "SELECT city = 'new' AND street = 's' FROM users WHERE id = 102",
				"SELECT count(*) = 51 FROM addresses",
				"SELECT city = 'old' FROM addresses WHERE user_id = 2"},
		},
	},
	"Rename a table": {
		after: map[int][]string{
			0: {"INSERT INTO old_log VALUES (1, 'before')"},
			1: {"INSERT INTO old_log VALUES (2, 'old')", "INSERT INTO audit_log VALUES (3, 'new')",
				"UPDATE old_log SET line = 'changed' WHERE id = 1"},
		},
		holds: map[int][]string{1: {"SELECT array_agg(line ORDER BY id) = '{changed,old,new}' FROM audit_log",
			"SELECT count(*) = 3 FROM old_log"}},
	},
	"Add a column with a default that differs per row": {
		after: map[int][]string{1: {"UPDATE users SET fax = '1'", "INSERT INTO users (email) VALUES ('a')"}},
		holds: map[int][]string{2: {"SELECT count(DISTINCT token) = 51 FROM users"}},
	},
	"Add a column": {
		after: map[int][]string{1: {"UPDATE users SET fax = '1'", "INSERT INTO users (email) VALUES ('a')",
			"INSERT INTO users (email, language) VALUES ('b', 'de')"}},
		holds: map[int][]string{1: {"SELECT count(*) = 52 AND count(language) = 1 AND count(name) = 50 FROM users"}},
	},
	"Add a column with a default": {
		after: map[int][]string{1: {"UPDATE users SET fax = '1'", "INSERT INTO users (email) VALUES ('a')",
			"UPDATE users SET active = false WHERE id = 1"}},
		holds: map[int][]string{1: {"SELECT count(*) FILTER (WHERE active) = 50 AND count(*) = 51 FROM users"}},
	},
	"Allow a column to be empty": {
		after: map[int][]string{1: {"INSERT INTO orders (user_id) VALUES (1)",
			"INSERT INTO orders (user_id, status) VALUES (1, NULL)"}},
		holds: map[int][]string{1: {"SELECT count(*) = 52 AND count(status) = 51 FROM orders"}},
	},
	"Change a default": {
		after: map[int][]string{1: {"UPDATE orders SET quantity = 2", "INSERT INTO orders (user_id) VALUES (1)",
			"INSERT INTO orders (user_id, status) VALUES (1, 'new')"}},
		holds: map[int][]string{1: {"SELECT count(*) FILTER (WHERE status = 'new') = 51 AND count(*) FILTER (WHERE status " +
			"= 'open') = 1 FROM orders"}},
	},
	"Drop a column": {
		after: map[int][]string{1: {"UPDATE users SET city = city", "INSERT INTO users (email, name) VALUES ('a', 'b')"}},
		holds: map[int][]string{1: {"SELECT count(*) = 51 AND count(name) = 51 AND count(street) = 50 FROM users"}},
	},
	"Drop a table": {
		after: map[int][]string{0: {"INSERT INTO old_log VALUES (1, 'before')"},
			1: {"UPDATE old_log_unused SET line = 'after'"}},
		holds: map[int][]string{1: {"SELECT bool_and(line = 'after') FROM old_log_unused"},
			2: {"SELECT to_regclass('old_log') IS NULL AND to_regclass('old_log_unused') IS NULL"}},
	},
	"Change a column's type": {
		after: map[int][]string{0: {"UPDATE users SET level = 'ten' || id"},
			1: {"UPDATE users SET level = repeat('x', 40) WHERE id = 1", "UPDATE users SET fax = '1'"}},
		holds: map[int][]string{1: {"SELECT count(*) = 49 FROM users WHERE level = 'ten' || id",
			"SELECT length(level) = 40 FROM users WHERE id = 1"}},
	},
	"Add an index": {
		after: map[int][]string{0: {"UPDATE users SET country = 'CH' WHERE id < 20"},
			1: {"INSERT INTO users (email, country) VALUES ('a', 'CH')", "UPDATE users SET country = 'DE' WHERE id = 1"}},
		holds: map[int][]string{1: {"SELECT count(*) = 19 FROM users WHERE country = 'CH'",
			"SELECT indisvalid FROM pg_index WHERE indexrelid = 'users_country'::regclass"}},
	},
	"Drop an index": {
		after: map[int][]string{1: {"INSERT INTO orders (user_id) VALUES (1)",
			"UPDATE orders SET status = 'x' WHERE id = 1"}},
		holds: map[int][]string{1: {"SELECT count(*) = 50 FROM orders WHERE status = 'new'",
			"SELECT to_regclass('orders_status') IS NULL"}},
	},
	"Make a column unique": {
		after: map[int][]string{1: {"INSERT INTO users (email) VALUES ('a') ON CONFLICT (email) DO UPDATE SET fax = '1'"},
			2: {"INSERT INTO users (email) VALUES ('a') ON CONFLICT (email) DO UPDATE SET fax = '2'"}},
		holds: map[int][]string{2: {"SELECT count(*) = 51 FROM users", "SELECT fax = '2' FROM users WHERE email = 'a'",
			"SELECT contype = 'u' FROM pg_constraint WHERE conname = 'users_email_key'"}},
	},
	"Add a foreign key": {
		after: map[int][]string{1: {"INSERT INTO orders (user_id) VALUES (1)", "UPDATE orders SET quantity = 3"},
			2: {"UPDATE orders SET user_id = 2 WHERE id = 3", "DELETE FROM users WHERE id = 3"}},
		holds: map[int][]string{2: {"SELECT count(*) = 51 AND bool_and(quantity = 3) FROM orders",
			"SELECT convalidated FROM pg_constraint WHERE conname = 'orders_user_exists'"}},
	},
	"Add a check": {
		after: map[int][]string{1: {"INSERT INTO orders (user_id, total) VALUES (1, 0)",
			"INSERT INTO orders (user_id) VALUES (1)", "UPDATE orders SET quantity = 3"},
			2: {"UPDATE orders SET total = total + 1"}},
		holds: map[int][]string{2: {"SELECT count(*) = 52 AND count(total) = 51 FROM orders",
			"SELECT convalidated FROM pg_constraint WHERE conname = 'orders_total_positive'"}},
	},
	"Add a value to an enum": {
		after: map[int][]string{0: {"CREATE TABLE visits (by channel)", "INSERT INTO visits VALUES ('web')"},
			1: {"INSERT INTO visits VALUES ('app'), ('shop')"}},
		holds: map[int][]string{1: {"SELECT array_agg(by ORDER BY by) = '{web,app,shop}' FROM visits"}},
	},
	"Change many rows": {
		after: map[int][]string{0: {"UPDATE users SET fax = '1'", "INSERT INTO users (email) VALUES ('UPPER')"},
			1: {"UPDATE users SET name = 'changed' WHERE id = 1"}},
		holds: map[int][]string{1: {"SELECT count(*) = 51 AND bool_and(email = lower(email)) AND bool_and(fax = '1') " +
			"FILTER (WHERE email <> 'upper') FROM users", "SELECT name = 'user 2' FROM users WHERE id = 2"}},
	},
	"Delete many rows": {
		after: map[int][]string{0: {"UPDATE orders SET status = 'cancelled' WHERE id % 2 = 0"},
			1: {"INSERT INTO orders (user_id, status) VALUES (1, 'cancelled')"}},
		holds: map[int][]string{1: {"SELECT count(*) = 26 AND count(*) FILTER (WHERE status = 'cancelled') = 1 FROM orders"}},
	},
	"Add a partition": {
		after: map[int][]string{0: {"INSERT INTO readings VALUES ('2025-03-01', 1)"},
			1: {"INSERT INTO readings VALUES ('2026-03-01', 2)", "UPDATE readings SET at = '2026-04-01' WHERE value = 1"}},
		holds: map[int][]string{1: {"SELECT count(*) = 2 FROM readings_2026", "SELECT count(*) = 2 FROM readings"}},
	},
	"Change a view": {
		after: map[int][]string{1: {"UPDATE recent_users SET email = 'old' WHERE id = 1",
			"INSERT INTO recent_users (email, name) VALUES ('b', 'new')"}},
		holds: map[int][]string{1: {"SELECT count(*) = 51 FROM users",
			"SELECT email = 'old' AND name = 'user 1' FROM users WHERE id = 1",
			"SELECT name = 'new' FROM users WHERE email = 'b'"}},
	},
	"Change a function": {
		after: map[int][]string{0: {"UPDATE orders SET total = price(total) WHERE id = 1"},
			1: {"UPDATE orders SET total = price(0.333) WHERE id = 2"}},
		holds: map[int][]string{1: {"SELECT array_agg(total ORDER BY id) = '{1.19,0.40,3}' FROM orders WHERE id < 4"}},
	},
	"Add a trigger": {
		after: map[int][]string{0: {"UPDATE orders SET status = 'Before' WHERE id = 1"},
			1: {"UPDATE orders SET quantity = 2", "UPDATE orders SET status = 'After' WHERE id = 2",
				"INSERT INTO orders (user_id, status) VALUES (1, 'NEW')"}},
		holds: map[int][]string{1: {"SELECT array_agg(status ORDER BY id) = '{Before,after,new}' FROM orders WHERE id < 4",
			"SELECT count(*) FILTER (WHERE status = 'new') = 49 FROM orders"}},
	},
	"Grant a right": {
		after: map[int][]string{1: {"INSERT INTO users (email) VALUES ('a')"}},
		holds: map[int][]string{
			1: {"SELECT has_table_privilege('pg_monitor', 'users', 'SELECT') AND count(*) = 51 FROM users"}},
	},
	"Add an extension": {
		after: map[int][]string{1: {"INSERT INTO users (email) VALUES ('a')"}},
		holds: map[int][]string{1: {"SELECT count(*) = 51 FROM users",
			"SELECT count(*) = 1 FROM pg_extension WHERE extname = 'plpgsql'"}},
	},
	"Require a column (NOT NULL)": {
		after: map[int][]string{1: {"UPDATE users SET fax = '1'", "INSERT INTO users (email, name) VALUES ('a', 'b')"},
			3: {"INSERT INTO users (email, name) VALUES ('c', 'd')"}},
		holds: map[int][]string{3: {"SELECT count(name) = 52 FROM users"}},
	},
}

// TestRecipesKeepWhatIsWrittenMeanwhile runs recipes file by file, and writes in between
// as the old and the new program would.
func TestRecipesKeepWhatIsWrittenMeanwhile(t *testing.T) {
	t.Parallel()
	_, examples := examplesOf(t, "recipes.md")
	require.Len(t, examples, len(whileWritten))
	for _, e := range examples {
		w, found := whileWritten[e.section]
		require.True(t, found, "nobody writes beside the recipe %q", e.section)
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
				m, err := whimbrel.New(whimbrel.Config{Target: whimbrel.Target{DatabaseURL: url},
					Project: whimbrel.Project{Migrations: slices.Clone(all[:n+1])}})
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
}
