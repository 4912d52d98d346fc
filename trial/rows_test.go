package trial_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/trial"
)

var shopkeeper = files{
	"1_base.sql": `CREATE TABLE customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email varchar(40) NOT NULL UNIQUE, tags text[], settings jsonb, raw json, price numeric(10,2), ok boolean, born date);
CREATE TABLE orders (id int PRIMARY KEY, customer varchar(40) NOT NULL REFERENCES customers (email), total numeric);
-- +migrate Down
DROP TABLE orders, customers;`,
	"2_types.sql": `ALTER TABLE customers ALTER price TYPE numeric(12,4), ALTER raw TYPE jsonb USING raw::jsonb, ALTER email TYPE text, ALTER ok TYPE int USING ok::int, ALTER born TYPE timestamp;
-- +migrate Down
ALTER TABLE customers ALTER price TYPE numeric(10,2), ALTER raw TYPE json USING raw::json, ALTER email TYPE varchar(40), ALTER ok TYPE boolean USING ok::boolean, ALTER born TYPE date;`,
	"3_split.sql": `CREATE TABLE people (email text PRIMARY KEY, born timestamp);
INSERT INTO people SELECT email, born FROM customers;
ALTER TABLE customers DROP born;
-- +migrate Down
DROP TABLE people;
ALTER TABLE customers ADD born timestamp;`,
	"4_after.sql": `CREATE INDEX ON orders (customer);
-- +migrate Down
DROP INDEX orders_customer_idx;`,
}

func TestRowsKeepTheirValuesThroughChangesOfType(t *testing.T) {
	t.Parallel()
	report := run(t, only(shopkeeper, "1_base.sql", "2_types.sql").shared(t, files{"a.yaml": `
rows:
  - table: orders          # before the rows that they refer to
    at: 1
    rows:
      - {id: 1, customer: ada@example.com, total: 12345678901234567890.5}
  - table: customers
    at: 1
    rows:
      - email: ada@example.com
        tags: [a, 'b"c', null]
        settings: {theme: dark, sizes: [1, 2]}
        raw: {b: 1, a: [true]}
        price: 1.50
        born: 1815-12-10
        ok: true
      - {email: bob@example.com, tags: null, settings: null}
`}))
	require.Equal(t, "1 passed, 2 passed", statuses(report), messages(report.Migrations[1].Findings))
	require.Equal(t, 3, report.Migrations[1].Rows)
}

func TestEachRowThatCannotBeInsertedIsReported(t *testing.T) {
	t.Parallel()
	tests := files{"a.yaml": `rows:
  - table: orders
    before: 2
    rows:
      - {id: 1, customer: nobody}
      - {id: 2, customer: ada}
      - {id: 2, customer: ada}
      - {id: 3, owner: ada}
      - {id: many, customer: ada}
  - table: customers
    before: 2
    rows:
      - {email: ada}
      - {email: null}
  - {table: nothing, before: 2, rows: [{a: 1}]}
`, "2_more.sql": "INSERT INTO customers (email)\n  VALUES ('x'), (nothing);"}
	want := []string{
		"tests/2_more.sql:2:18: the rows could not be inserted: column \"nothing\" does not exist",
		"tests/a.yaml:5:9: a row of orders could not be inserted: insert or update on table \"orders\" violates foreign " +
			"key constraint \"orders_customer_fkey\" (Key (customer)=(nobody) is not present in table \"customers\")",
		"tests/a.yaml:7:9: a row of orders could not be inserted: duplicate key value violates unique constraint " +
			"\"orders_pkey\" (Key (id)=(2) already exists)",
		"tests/a.yaml:8:9: a row of orders could not be inserted: no column \"owner\" at that time",
		"tests/a.yaml:9:9: a row of orders could not be inserted: invalid input syntax for type integer: \"many\"",
		"tests/a.yaml:14:9: a row of customers could not be inserted: null value in column \"email\" of relation " +
			"\"customers\" violates not-null constraint",
		"tests/a.yaml:15:40: a row of nothing could not be inserted: no such table at that time",
	}
	report := run(t, only(shopkeeper, "1_base.sql", "2_types.sql").shared(t, tests))
	require.Equal(t, "1 passed, 2 failed", statuses(report))
	requireEach(t, want, messages(report.Migrations[1].Findings))
	require.Equal(t, 2, report.Migrations[1].Rows, "the others were inserted and looked for")

	o := shopkeeper.shared(t, tests)
	o.Only = []string{"4"}
	report = run(t, o)
	require.Equal(t, "4 passed", statuses(report))
	requireEach(t, want, messages(report.Findings))
	require.False(t, report.OK(), "rows for a migration that is only applied")
}

// requireEach compares beginnings: PostgreSQL says more in some versions.
func requireEach(t *testing.T, want, got []string) {
	t.Helper()
	require.Len(t, got, len(want), strings.Join(got, "\n"))
	for i := range want {
		require.Truef(t, strings.HasPrefix(got[i], want[i]), "want %s\ngot  %s", want[i], got[i])
	}
}

func TestWhatMigrationsChangeOnPurposeCanBeSaid(t *testing.T) {
	t.Parallel()
	const rows = `
rows:
  - table: customers
    before: 2
    key: email
    rows:
      - {email: ada, born: 1815-12-10}
`
	report := run(t, shopkeeper.shared(t, files{"a.yaml": rows}))
	require.Equal(t, "1 passed, 2 passed, 3 failed, 4 passed", statuses(report))
	require.Equal(t, []string{
		"tests/a.yaml:7:9: after up the row customers (email='ada') has no born any more, which was '1815-12-10'",
		"tests/a.yaml:7:9: after down the row customers (email='ada') is changed: born was '1815-12-10' and is NULL",
	}, messages(report.Migrations[2].Findings))

	history := only(shopkeeper, "1_base.sql", "2_types.sql", "3_split.sql", "4_after.sql")
	history["3_split.sql"] += ";UPDATE customers c SET born = '1815-12-10' WHERE email = 'ada'"
	report = run(t, history.shared(t, files{"a.yaml": rows + `
    then:
      - after: 3
        table: people
        rows:
          - {email: ada, born: 1815-12-10}
      - {after: 4, rows: []}
`}))
	require.Equal(t, "1 passed, 2 passed, 3 passed, 4 passed", statuses(report), messages(report.Migrations[2].Findings))
	require.Equal(t, []int{0, 1, 1, 1}, []int{report.Migrations[0].Rows, report.Migrations[1].Rows,
		report.Migrations[2].Rows, report.Migrations[3].Rows})
}

func TestRowsOfAnSQLFileAreLookedForWithAllTheirValues(t *testing.T) {
	t.Parallel()
	history := only(shopkeeper, "1_base.sql")
	history["2_fault.sql"] = "DELETE FROM orders WHERE id = 2; UPDATE customers SET price = round(price);\n" +
		"-- +migrate Down\nSELECT 1;"
	report := run(t, history.shared(t, files{"2_customers.sql": `
INSERT INTO customers (email, price) VALUES ('ada', 1.75), ('bob', 2);
INSERT INTO orders VALUES (1, 'ada', 1), (2, 'bob', 2);`}))
	require.Equal(t, "1 passed, 2 failed", statuses(report))
	require.Equal(t, []string{
		"tests/2_customers.sql:1:1: after up the row public.customers (id='1') is changed: price was '1.75' and is '2.00'",
		"tests/2_customers.sql:1:1: after up the row public.orders (id='2') is lost",
	}, messages(report.Migrations[1].Findings))
	require.Equal(t, 4, report.Migrations[1].Rows)
}

func only(f files, names ...string) files {
	some := files{}
	for _, name := range names {
		some[name] = f[name]
	}
	return some
}

func TestQueriesAreTimedAndTheirRowsCompared(t *testing.T) {
	t.Parallel()
	history := files{
		"1_base.sql": "CREATE TABLE t (id int, word text, day date);\n" +
			"INSERT INTO t SELECT n, 'w' || n, date '2024-01-01' + n FROM generate_series(1, 3) n;\n-- +migrate Down\n" +
			"DROP TABLE t;",
		"2_more.sql":  "ALTER TABLE t ADD x int DEFAULT 7;\n-- +migrate Down\nALTER TABLE t DROP x;",
		"3_break.sql": "ALTER TABLE t RENAME word TO words;\n-- +migrate Down\nALTER TABLE t RENAME words TO word;",
	}
	report := run(t, history.shared(t, files{"q.yaml": `queries:
  - name: fine
    sql: SELECT id, day FROM t WHERE id > $1 ORDER BY id
    parameters: [1]
    rows:
      - [2, 2024-01-03]
      - {id: 3, day: "2024-01-04"}
    row_count: 2
  - {name: slow, sql: SELECT pg_sleep(0.02), max_duration: 5, runs: 3}
  - {name: too slow, sql: SELECT pg_sleep(0.02), max_duration: 5ms, runs: 2, fail: true, after: 2, until: 2}
  - {name: count, sql: SELECT FROM t, row_count: 4, after: 2, until: 2}
  - {name: value, sql: "SELECT word, id FROM t WHERE id = 1", rows: [{word: w2, size: 1}], until: 1}
  - {name: width, sql: "SELECT 1", rows: [[1, 2]], until: 1}
  - {name: word, sql: SELECT word FROM t WHERE id = ANY ($1), parameters: [[1, 2]], row_count: 2}
  - {name: later, sql: SELECT x FROM t, rows: [7, 7, 7]}
  - {name: never, sql: SELECT nothing}
  - {name: writes, sql: DELETE FROM t RETURNING id, row_count: 3}
`}))
	require.Equal(t, "1 failed, 2 failed, 3 failed", statuses(report))
	first, second, third := report.Migrations[0], report.Migrations[1], report.Migrations[2]
	requireEach(t, []string{
		`tests/q.yaml:9:5: the query "slow" takes `,
		`tests/q.yaml:12:5: the query "value" gives in row 1 as word 'w1', and 'w2' is expected`,
		`tests/q.yaml:12:5: the query "value" gives no column size`,
		`tests/q.yaml:13:5: the query "width" gives rows of 1 value, and row 1 of the file has 2`,
	}, messages(first.Findings))
	require.Equal(t, trial.Warning, first.Findings[0].Severity)
	require.Contains(t, first.Findings[0].Message, "in the median of 3 runs, over its limit of 5 ms")
	requireEach(t, []string{
		`tests/q.yaml:9:5: the query "slow" takes `,
		`tests/q.yaml:10:5: the query "too slow" takes `,
		`tests/q.yaml:11:5: the query "count" gives 3 rows, and 4 expected`,
	}, messages(second.Findings))
	require.Equal(t, trial.Failure, second.Findings[1].Severity)
	requireEach(t, []string{
		`tests/q.yaml:9:5: the query "slow" takes `,
		`tests/q.yaml:14:5: the query "word" cannot run: column "word" does not exist`,
		`tests/q.yaml:16:5: the query "never" cannot run: column "nothing" does not exist`,
	}, messages(third.Findings))
	require.Equal(t, "fine", first.Queries[0].Name)
	require.Equal(t, 2, first.Queries[0].Rows)
	require.Positive(t, first.Queries[0].Median)
}
