package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// This file lists what is in whose way. A further statement or blocker is a
// further line; trial.go runs them.

// statement is a kind of statement that a migration may have.
type statement struct {
	name  string
	setup string // what must be there before
	sql   string
	// The tables that traffic reads and writes, and that the blocker holds;
	// empty for accounts. All have the same columns.
	reads, writes, held string
}

// schema is what there is before any of the statements.
const schema = `
CREATE TABLE accounts (id bigint PRIMARY KEY, note text, balance bigint NOT NULL DEFAULT 0);
CREATE TABLE orders (LIKE accounts INCLUDING ALL);
CREATE TABLE events (LIKE accounts INCLUDING ALL) PARTITION BY RANGE (id);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (100000);
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (100000) TO (200000);
CREATE TABLE events_3 (LIKE accounts INCLUDING ALL);
INSERT INTO accounts SELECT i, 'note ' || i, 0 FROM generate_series(1, 2000) i;
INSERT INTO orders SELECT * FROM accounts;
INSERT INTO events SELECT * FROM accounts;
`

// keys are the rows that the traffic asks for: 2 and above. Row 1 is the
// blockers', so that no request waits for a row.
const keys = 2000

// statements are of all the lock levels that DDL takes.
var statements = []statement{
	{name: "ALTER TABLE … ADD COLUMN", sql: "ALTER TABLE accounts ADD COLUMN extra text"},
	{name: "ADD FOREIGN KEY … NOT VALID", sql: "ALTER TABLE orders ADD CONSTRAINT account FOREIGN KEY (id) REFERENCES " +
		"accounts NOT VALID"},
	{name: "… of the table that refers", sql: "ALTER TABLE orders ADD CONSTRAINT account FOREIGN KEY (id) REFERENCES " +
		"accounts NOT VALID", reads: "orders", writes: "orders"},
	{
		name: "ALTER of two tables at once", sql: "ALTER TABLE orders ADD COLUMN extra text; ALTER TABLE accounts ADD " +
			"COLUMN extra text",
		reads: "orders", writes: "orders",
	},
	{
		name: "CREATE TRIGGER", setup: "CREATE FUNCTION same() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'",
		sql: "CREATE TRIGGER same BEFORE UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION same()",
	},
	{name: "DROP INDEX", setup: "CREATE INDEX by_note ON accounts (note)", sql: "DROP INDEX by_note"},
	{
		name: "ATTACH PARTITION", sql: "ALTER TABLE events ATTACH PARTITION events_3 FOR VALUES FROM (200000) TO (300000)",
		reads: "events", writes: "events", held: "events",
	},
	{
		name: "VALIDATE CONSTRAINT", setup: "ALTER TABLE accounts ADD CONSTRAINT noted CHECK (note <> '') NOT VALID",
		sql: "ALTER TABLE accounts VALIDATE CONSTRAINT noted",
	},
	{name: "CREATE INDEX CONCURRENTLY", sql: "CREATE INDEX CONCURRENTLY by_note ON accounts (note)"},
	{
		name: "DROP TABLE with foreign keys", setup: "CREATE TABLE invoices (id int PRIMARY KEY, account_id bigint " +
			"REFERENCES accounts)",
		sql: "DROP TABLE invoices",
	},
	{name: "TRUNCATE", sql: "TRUNCATE accounts"},
	{name: "LOCK TABLE", sql: "LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE"},
	{name: "CREATE RULE", sql: "CREATE RULE kept AS ON DELETE TO accounts DO INSTEAD NOTHING"},
	{
		name: "ALTER TYPE … ADD VALUE", setup: "CREATE TYPE mood AS ENUM ('good'); ALTER TABLE accounts ADD COLUMN mood " +
			"mood DEFAULT 'good'",
		sql: "ALTER TYPE mood ADD VALUE 'bad'",
	},
	{name: "ENABLE ROW LEVEL SECURITY", sql: "ALTER TABLE accounts ENABLE ROW LEVEL SECURITY"},
	{name: "COMMENT", sql: "COMMENT ON TABLE accounts IS 'who has what'"},
	{name: "CLUSTER", sql: "CLUSTER accounts USING accounts_pkey"},
	{name: "REINDEX TABLE", sql: "REINDEX TABLE accounts"},
	{name: "VACUUM FULL", sql: "VACUUM FULL accounts"},
	{
		name: "DETACH PARTITION CONCURRENTLY", sql: "ALTER TABLE events DETACH PARTITION events_2 CONCURRENTLY",
		reads: "events", writes: "events", held: "events",
	},
	{
		name: "REFRESH MATERIALIZED VIEW", setup: "CREATE MATERIALIZED VIEW totals AS SELECT id, note, balance FROM " +
			"accounts; CREATE UNIQUE INDEX ON totals (id)",
		sql: "REFRESH MATERIALIZED VIEW totals", reads: "totals",
	},
	{name: "SET STATISTICS", sql: "ALTER TABLE accounts ALTER COLUMN note SET STATISTICS 500"},
}

// blocker is somebody who blocks it. block returns once it does, and
// leave ends it.
type blocker struct {
	name  string
	block func(ctx context.Context, conn *pgx.Conn, s statement) (leave func() error, err error)
}

var blockers = []blocker{
	{"idle reader in a transaction", inTransaction(func(s statement) string {
		return "BEGIN; SELECT note FROM " + s.reads + " WHERE id = 1; SELECT note FROM " + s.held + " WHERE id = 1"
	})},
	{"dump", inTransaction(func(s statement) string {
		return "BEGIN ISOLATION LEVEL REPEATABLE READ; LOCK TABLE accounts, orders, events, events_1, events_2, events_3 " +
			"IN ACCESS SHARE MODE; SELECT count(*) FROM " + s.reads
	})},
	{"long writer", inTransaction(func(s statement) string {
		return "BEGIN; UPDATE " + s.held + " SET balance = balance + 1 WHERE id = 1"
	})},
	{"vacuum that does not yield", vacuum},
}

// inTransaction is a blocker that does something in a transaction and then sits
// in it.
func inTransaction(sql func(statement) string) func(context.Context, *pgx.Conn, statement) (func() error, error) {
	return func(ctx context.Context, conn *pgx.Conn, s statement) (func() error, error) {
		run := func(sql string) error { _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); return err }
		if err := run(sql(s)); err != nil {
			return nil, fmt.Errorf("getting in the way: %w", err)
		}
		return func() error { return run("COMMIT") }, nil
	}
}

// vacuum is what an autovacuum to prevent wraparound is to others: a vacuum that
// keeps its lock, no matter who waits, and takes its time.
func vacuum(ctx context.Context, conn *pgx.Conn, s statement) (func() error, error) {
	if _, err := conn.Exec(ctx, "SELECT set_config('vacuum_cost_delay', '100', false), set_config('vacuum_cost_limit', "+
		"'1', false)"); err != nil {
		return nil, fmt.Errorf("getting in the way: %w", err)
	}
	observer, err := pgx.ConnectConfig(ctx, conn.Config())
	if err != nil {
		return nil, fmt.Errorf("watching the vacuum: %w", err)
	}
	defer func() { _ = observer.Close(ctx) }()
	done := make(chan struct{})
	go func() { // owned by leave, which waits for it
		defer close(done)
		_, _ = conn.PgConn().Exec(ctx, "VACUUM (FREEZE, DISABLE_PAGE_SKIPPING) "+s.held).ReadAll() // cancelled by leave
	}()
	leave := func() error {
		err := conn.PgConn().CancelRequest(ctx)
		<-done
		return err
	}
	for {
		var holds bool
		err := observer.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND granted AND mode = "+
			"'ShareUpdateExclusiveLock')", conn.PgConn().PID()).Scan(&holds)
		if err != nil {
			_ = leave()
			return nil, fmt.Errorf("watching the vacuum: %w", err)
		}
		if holds {
			return leave, nil
		}
		select {
		case <-done:
			return func() error { return nil }, nil // there was nothing to vacuum
		case <-time.After(time.Millisecond):
		}
	}
}
