// Package trial tests migrations before production does: on a throw-away
// database it takes every migration up, down and up again, and compares what is
// there before and after.
//
// Run does it all and gives a Report, which can be shown as text, Markdown,
// JUnit XML and JSON. For every migration, in order:
//
//   - up: it is recorded with its batch and checksum; up once more changes nothing;
//   - down: it is taken off the record, and the schema is what it was before up;
//   - up again: the schema is what it was after the first up;
//   - rows that are given stand there after each of these, value by value;
//   - queries that are given answer in time and with the rows that are expected;
//   - measured are times, rows changed, locks on tables that existed before,
//     tables rewritten and tables read as a whole.
//
// Repeatable migrations run twice, behind all others, on a database of their own.
//
// A migration without a down migration is reported as irreversible, never as passed.
//
// # Where it works
//
// In databases of its own and nowhere else: on a server that it starts with
// package devdb, or on the one of a connection, where it creates databases
// beside the one that is named and drops them at the end. If the named one has
// tables in it, the tester refuses to go near it.
//
// # Files of tests
//
// Rows and queries come from files *.yaml, *.yml and *.sql in a folder. Unknown
// keys are errors, as is everything else that could be a slip, with file, line
// and column.
//
//	rows:
//	  - table: users                # with or without its schema
//	    before: 20240301120000      # inserted right before this migration …
//	    # at: 20240215090000        # … or as soon as this one is applied
//	    key: [email]                # finds a row again; the primary key if not given
//	    rows:
//	      - {email: ada@example.com, name: Ada, tags: [a, b], settings: {theme: dark}}
//	      - {email: bob@example.com, name: null}
//	    then:                       # migrations that change the rows on purpose
//	      - after: 20240301120000
//	        table: people           # the same table if not given
//	        key: [email]            # likewise
//	        rows:
//	          - {email: ada@example.com, full_name: Ada}
//	      - after: 20240501120000
//	        rows: []                # none is expected any more
//	queries:
//	  - name: a customer's orders
//	    sql: SELECT id FROM orders WHERE customer_id = $1
//	    parameters: [42]
//	    after: 20240301120000       # from this migration on; if not given, as soon as the query can run
//	    until: 20250101000000       # up to and with this one
//	    max_duration: 50ms          # 1s if not given
//	    runs: 5                     # of which the median counts
//	    fail: true                  # over the limit is a failure; a warning if not given
//	    row_count: 3
//	    rows: [[1], [2], [3]]       # or as mappings by column; in this order
//
// Rows are looked for after every later migration, up and down, and of each the
// values that were given are compared as PostgreSQL wrote them when they were
// inserted. A column that has another type by then has kept its value if that,
// read as the old type, is still the same. Lists and mappings are arrays or
// JSON, as the column wants.
//
// An SQL file is named like a migration, 20240301120000_customers.sql, and runs
// as one transaction right before the migration of that version. The rows that
// it made or changed in tables with a primary key are looked for with all their values.
package trial
