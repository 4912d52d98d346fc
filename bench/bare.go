package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/migration"
)

// This file has the programs that whimbrel is compared with. They do nothing
// but the SQL: no files, no lease, no events, no retry.

// awaited sends one simple-protocol message per migration, each its own
// transaction, and waits for each. It records nothing.
func awaited(part func(migration.Migration) migration.Section) work {
	return connected(func(ctx context.Context, conn *pgx.Conn, h history) error {
		for _, m := range h.migrations {
			if _, err := conn.PgConn().Exec(ctx, part(m).Statements[0].Text).ReadAll(); err != nil {
				return err
			}
		}
		return nil
	})
}

// pipelined sends BEGIN, the SQL, a history row and COMMIT for each migration in
// one pipeline with a single Sync at its end.
func pipelined(prepare, record string, part func(migration.Migration) migration.Section) work {
	return connected(func(ctx context.Context, conn *pgx.Conn, h history) error {
		return sendPipeline(ctx, conn, h, prepare, record, part)
	})
}

func sendPipeline(ctx context.Context, conn *pgx.Conn, h history, prepare, record string,
	part func(migration.Migration) migration.Section) error {
	wire := conn.PgConn().StartPipeline(ctx)
	wire.SendQueryParams(prepare, nil, nil, nil, nil)
	wire.SendPrepare("record", record, nil)
	for _, m := range h.migrations {
		wire.SendQueryParams("BEGIN", nil, nil, nil, nil)
		wire.SendQueryParams(part(m).Statements[0].Text, nil, nil, nil, nil)
		wire.SendQueryPrepared("record", [][]byte{[]byte(m.Version), []byte(m.Name), []byte(m.Checksum)}, nil, nil)
		wire.SendQueryParams("COMMIT", nil, nil, nil, nil)
	}
	if err := wire.Sync(); err != nil {
		return err
	}
	if err := drain(wire); err != nil {
		return err
	}
	return wire.Close()
}

// guarded is the same by a program that also does what makes a runner safe: it
// takes a lock, makes sure of its table, looks at what is applied, and gives the
// lock back, each awaited.
var guarded = connected(func(ctx context.Context, conn *pgx.Conn, h history) error {
	for _, sql := range []string{
		"SELECT pg_advisory_lock(1)", strings.Replace(bareHistory, "TABLE", "TABLE IF NOT EXISTS", 1),
		"SELECT version, checksum FROM schema_migrations ORDER BY id",
	} {
		if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			return err
		}
	}
	if err := sendPipeline(ctx, conn, h, "SELECT 1", insertRow, upPart); err != nil {
		return err
	}
	_, err := conn.PgConn().Exec(ctx, "SELECT pg_advisory_unlock(1)").ReadAll()
	return err
})

// drain reads the answers of a pipeline up to its Sync.
func drain(wire *pgconn.Pipeline) error {
	for {
		results, err := wire.GetResults()
		if err != nil {
			return err
		}
		switch r := results.(type) {
		case *pgconn.ResultReader:
			if _, err := r.Close(); err != nil {
				return err
			}
		case *pgconn.PipelineSync:
			return nil
		}
	}
}

func upPart(m migration.Migration) migration.Section   { return m.Up }
func downPart(m migration.Migration) migration.Section { return m.Down }

// The bare programs of an up and of a down.
var (
	awaitedUp    = awaited(upPart)
	awaitedDown  = awaited(downPart)
	pipelinedUp  = pipelined(bareHistory, insertRow, upPart)
	pipelineDown = pipelined("SELECT 1", "DELETE FROM schema_migrations WHERE version = $1 AND $2 <> '' AND $3 <> ''",
		downPart)
)

const insertRow = "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)"

// bareHistory is a history table without anything that is only whimbrel's.
const bareHistory = `CREATE TABLE schema_migrations (
	id serial PRIMARY KEY, version varchar(255) NOT NULL UNIQUE, name varchar(255) NOT NULL,
	executed_at timestamptz NOT NULL DEFAULT now(), checksum varchar(64))`

// readTable connects and reads the history.
var readTable = connected(func(ctx context.Context, conn *pgx.Conn, _ history) error {
	rows, err := conn.Query(ctx, "SELECT version, name, executed_at, checksum FROM schema_migrations ORDER BY id",
		pgx.QueryExecModeExec)
	if err != nil {
		return err
	}
	for rows.Next() {
		if _, err := rows.Values(); err != nil {
			return err
		}
	}
	return rows.Err()
})

// connected is the time of connecting, of the work, and of closing.
func connected(do func(context.Context, *pgx.Conn, history) error) work {
	return func(ctx context.Context, url string, h history) (float64, error) {
		return timed(func() error {
			conn, err := pgx.Connect(ctx, url)
			if err != nil {
				return err
			}
			err = do(ctx, conn, h)
			if closing := conn.Close(ctx); err == nil && closing != nil {
				return fmt.Errorf("closing the connection: %w", closing)
			}
			return err
		})
	}
}
