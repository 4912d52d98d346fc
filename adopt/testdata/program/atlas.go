package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/postgres"
	"ariga.io/atlas/sql/schema"
)

// runAtlas does what `atlas migrate apply N` does, by Atlas' own executor and under
// its own lock. What the module of the library does not have is the program around
// it, and so the table is kept here.
func runAtlas(ctx context.Context, db *sql.DB, folder string, steps int) error {
	driver, err := postgres.Open(db)
	if err != nil {
		return err
	}
	unlock, err := driver.(schema.Locker).Lock(ctx, "atlas_migrate_execute", 10*time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = unlock() }()
	dir, err := migrate.NewLocalDir(folder)
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, revisionsTable); err != nil {
		return err
	}
	executor, err := migrate.NewExecutor(driver, dir, revisions{db}, migrate.WithOperatorVersion("Atlas CLI v1.2.0"),
		migrate.WithAllowDirty(true))
	if err != nil {
		return err
	}
	return executor.ExecuteN(ctx, steps)
}

const revisionsTable = `CREATE SCHEMA IF NOT EXISTS "atlas_schema_revisions";
CREATE TABLE IF NOT EXISTS "atlas_schema_revisions"."atlas_schema_revisions" ("version" character varying NOT NULL, "description" character varying NOT NULL,
	"type" bigint NOT NULL DEFAULT 2, "applied" bigint NOT NULL DEFAULT 0, "total" bigint NOT NULL DEFAULT 0, "executed_at" timestamptz NOT NULL,
	"execution_time" bigint NOT NULL, "error" text NULL, "error_stmt" text NULL, "hash" character varying NOT NULL, "partial_hashes" jsonb NULL,
	"operator_version" character varying NOT NULL, PRIMARY KEY ("version"))`

// revisions is that table.
type revisions struct{ db *sql.DB }

func (revisions) Ident() *migrate.TableIdent {
	return &migrate.TableIdent{Name: "atlas_schema_revisions", Schema: "atlas_schema_revisions"}
}

func (r revisions) ReadRevisions(ctx context.Context) ([]*migrate.Revision, error) {
	return r.read(ctx, "true")
}

func (r revisions) ReadRevision(ctx context.Context, version string) (*migrate.Revision, error) {
	found, err := r.read(ctx, "version = $1", version)
	if err == nil && len(found) == 0 {
		err = migrate.ErrRevisionNotExist
	}
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

func (r revisions) read(ctx context.Context, which string, arguments ...any) (all []*migrate.Revision, err error) {
	rows, err := r.db.QueryContext(ctx,
		`SELECT version, description, type, applied, total, executed_at, execution_time, error, error_stmt, hash, coalesce(partial_hashes, 'null'), operator_version
		FROM atlas_schema_revisions.atlas_schema_revisions WHERE `+which+" ORDER BY version", arguments...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var v migrate.Revision
		var hashes []byte
		if err := rows.Scan(&v.Version, &v.Description, &v.Type, &v.Applied, &v.Total, &v.ExecutedAt, &v.ExecutionTime,
			&v.Error, &v.ErrorStmt, &v.Hash, &hashes, &v.OperatorVersion); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(hashes, &v.PartialHashes); err != nil {
			return nil, err
		}
		all = append(all, &v)
	}
	return all, rows.Err()
}

func (r revisions) WriteRevision(ctx context.Context, v *migrate.Revision) error {
	hashes, err := json.Marshal(v.PartialHashes)
	if err != nil {
		return err
	}
	_, err = r.db.ExecContext(ctx,
		`INSERT INTO atlas_schema_revisions.atlas_schema_revisions VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (version) DO UPDATE SET applied = $4, executed_at = $6, execution_time = $7, error = $8, error_stmt = $9, partial_hashes = $11, operator_version = $12`,
		v.Version, v.Description, int64(v.Type), v.Applied, v.Total, v.ExecutedAt, int64(v.ExecutionTime), v.Error,
		v.ErrorStmt, v.Hash, string(hashes), v.OperatorVersion)
	return err
}

func (revisions) DeleteRevision(context.Context, string) error {
	return errors.New("nothing here takes a revision back")
}
