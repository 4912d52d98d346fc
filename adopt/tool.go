package adopt

import (
	"context"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/migration"
)

// tool is how another tool keeps its history.
type tool struct {
	name string // of its format
	// table is what the table is called unless somebody chose otherwise.
	table string
	// columns are those that tell the table from others; types those of some of
	// them. Where they are exact there are no others.
	columns []string
	types   map[string]string
	exact   bool
	// highWater is set where there is a single row with the newest version.
	highWater bool
	// key makes keys comparable; the same as a version's where it is nil.
	keyed func(string) string
	read  func(context.Context, *pgx.Conn, Table) ([]Record, error)
	// lockTable is what the name of a second table ends in, in which the tool notes
	// that it is at work.
	lockTable string
	// locks are the advisory locks by which the tool keeps others out.
	locks func(Table) []int64
}

func (t tool) key(key string) string {
	if t.keyed != nil {
		return t.keyed(key)
	}
	return string(migration.Version(key).Canonical())
}

func sameKey(key string) string { return key }

// stem is a file's name without its extension, where it has one.
func stem(key string) string {
	for _, extension := range []string{".js", ".cjs", ".mjs", ".ts", ".cts", ".mts"} {
		if before, found := strings.CutSuffix(key, extension); found {
			return before
		}
	}
	return key
}

// fixed is the key of a lock that is the same everywhere.
func fixed(key int64) func(Table) []int64 { return func(Table) []int64 { return []int64{key} } }

// atlasLock is the hash of the name of Atlas' lock.
func atlasLock() uint32 {
	sum := fnv.New32()
	_, _ = sum.Write([]byte("atlas_migrate_execute"))
	return sum.Sum32()
}

func tools() []tool {
	return []tool{
		{name: "goose", table: "goose_db_version", columns: []string{"id", "version_id", "is_applied", "tstamp"}, read: readGoose,
			locks: func(Table) []int64 { return []int64{4097083626} }},
		{name: "golang-migrate", table: "schema_migrations", columns: []string{"version", "dirty"}, exact: true, highWater: true, read: readGolangMigrate,
			locks: golangMigrateLocks},
		{name: "dbmate", table: "schema_migrations", columns: []string{"version"}, types: map[string]string{"version": "character varying"}, exact: true, read: readDbmate},
		{name: "sql-migrate", table: "gorp_migrations", columns: []string{"id", "applied_at"}, exact: true, keyed: sameKey, read: readSQLMigrate},
		{name: "flyway", table: "flyway_schema_history", columns: []string{"installed_rank", "version", "description", "type", "script", "checksum", "success"}, keyed: flywayKey, read: readFlyway,
			locks: func(t Table) []int64 { return []int64{flywayLock(t)} }},
		{name: "tern", table: "schema_version", columns: []string{"version"}, types: map[string]string{"version": "integer"}, exact: true, highWater: true, read: readTern,
			locks: fixed(9628173550095224)},
		{name: "atlas", table: "atlas_schema_revisions", columns: []string{"version", "description", "type", "applied", "total", "executed_at", "execution_time", "error", "hash"}, read: readAtlas,
			locks: fixed(int64(atlasLock()))},
		{name: "node-pg-migrate", table: "pgmigrations", columns: []string{"id", "name", "run_on"}, exact: true, keyed: stem, read: readNames, locks: fixed(7241865325823964)},
		{name: "db-migrate", table: "migrations", columns: []string{"id", "name", "run_on"}, exact: true, keyed: path.Base, read: readNames},
		{name: "knex", table: "knex_migrations", columns: []string{"id", "name", "batch", "migration_time"}, exact: true, keyed: stem, lockTable: "_lock", read: readKnex},
		{name: "prisma", table: "_prisma_migrations", columns: []string{"checksum", "finished_at", "migration_name", "rolled_back_at", "started_at", "applied_steps_count"}, keyed: sameKey, read: readPrisma,
			locks: fixed(72707369)},
		{name: "drizzle", table: "__drizzle_migrations", columns: []string{"id", "hash", "created_at"}, keyed: sameKey, read: readDrizzle},
	}
}

// golangMigrateLocks are the keys of golang-migrate's lock: a checksum of what is
// migrated, times a number, in 32 bits. As a program it takes the path of the URL
// for the database's name, with its slash; as a library it asks the database.
func golangMigrateLocks(t Table) (keys []int64) {
	for _, database := range []string{"/" + t.database, t.database} {
		keys = append(keys, int64(crc32.ChecksumIEEE([]byte(t.Schema+"\x00"+t.Name+"\x00"+database))*1486364155))
	}
	return keys
}

// flywayLock is the key of Flyway's lock: the letters of its name, plus what
// Java's String.hashCode gives for the table.
func flywayLock(t Table) int64 {
	var magic int64
	for _, letter := range []byte("Flyway") {
		magic = magic<<8 | int64(letter)
	}
	var hash int32
	for _, unit := range utf16.Encode([]rune(`"` + t.Schema + `"."` + t.Name + `"`)) {
		hash = 31*hash + int32(unit)
	}
	return magic + int64(hash)
}

// flywayKey makes versions comparable, and leaves descriptions alone.
func flywayKey(key string) string { return string(migration.Version(key).Canonical()) }

// readGoose takes the newest row of each version, since old releases wrote
// another one for the way back. Version 0 is there from the beginning.
func readGoose(ctx context.Context, conn *pgx.Conn, t Table) ([]Record, error) {
	return collect(ctx, conn, `SELECT version_id::text, '', '', tstamp::timestamptz, 0::bigint, 'applied', ''
		FROM (SELECT DISTINCT ON (version_id) * FROM `+t.quoted()+` WHERE version_id <> 0 ORDER BY version_id, id DESC) newest
		WHERE is_applied ORDER BY id`)
}

// readGolangMigrate reads the one row. It may say that a way back to before the
// first migration failed.
func readGolangMigrate(ctx context.Context, conn *pgx.Conn, t Table) ([]Record, error) {
	return collect(ctx, conn, `SELECT version::text, '', '', NULL::timestamptz, 0::bigint, CASE WHEN dirty THEN 'unfinished' ELSE 'applied' END,
		CASE WHEN dirty THEN 'marked as dirty' ELSE '' END FROM `+t.quoted()+` WHERE version >= 0 OR dirty`)
}

func readDbmate(ctx context.Context, conn *pgx.Conn, t Table) ([]Record, error) {
	return collect(ctx, conn, `SELECT version, '', '', NULL::timestamptz, 0::bigint, 'applied', '' FROM `+t.quoted()+` ORDER BY length(version), version`)
}

func readSQLMigrate(ctx context.Context, conn *pgx.Conn, t Table) ([]Record, error) {
	return collect(ctx, conn, `SELECT id, '', '', applied_at::timestamptz, 0::bigint, 'applied', '' FROM `+t.quoted()+` ORDER BY applied_at, id`)
}

// readFlyway walks through the rows: what comes later about a version decides.
func readFlyway(ctx context.Context, conn *pgx.Conn, t Table) ([]Record, error) {
	rows, err := conn.Query(ctx, `SELECT coalesce(version, ''), description, type, coalesce(checksum::text, ''), installed_on::timestamptz,
		coalesce(execution_time, 0)::bigint, success FROM `+t.quoted()+` ORDER BY installed_rank`)
	if err != nil {
		return nil, err
	}
	return walkFlyway(pgx.CollectRows(rows, func(row pgx.CollectableRow) (r flywayRow, err error) {
		err = row.Scan(&r.version, &r.description, &r.kind, &r.checksum, &r.at, &r.took, &r.success)
		return r, err
	}))
}

type flywayRow struct {
	version, description, kind, checksum string
	at                                   time.Time
	took                                 int64
	success                              bool
}

func walkFlyway(rows []flywayRow, err error) ([]Record, error) {
	var records []Record
	for _, row := range rows {
		r := Record{
			Key: row.version, Name: strings.ReplaceAll(row.description, " ", "_"), Checksum: row.checksum, At: row.at,
			Took: time.Duration(row.took) * time.Millisecond, State: Applied,
		}
		if row.version == "" {
			r.Key = row.description
		}
		earlier := slices.IndexFunc(records, func(other Record) bool { return flywayKey(other.Key) == flywayKey(r.Key) })
		if earlier >= 0 {
			records = slices.Delete(records, earlier, earlier+1)
		}
		switch {
		case row.kind == "SCHEMA", row.kind == "DELETE", strings.HasPrefix(row.kind, "UNDO") && row.success:
			continue
		case !row.success:
			r.State, r.Note = Unfinished, "Flyway says that it failed"
		case row.kind == "BASELINE":
			r.State, r.Checksum = Baseline, ""
		}
		records = append(records, r)
	}
	return records, err
}

// readTern reads the one row, in which 0 is nothing.
func readTern(ctx context.Context, conn *pgx.Conn, t Table) ([]Record, error) {
	return collect(ctx, conn, `SELECT version::text, '', '', NULL::timestamptz, 0::bigint, 'applied', '' FROM `+t.quoted()+` WHERE version > 0`)
}

// readAtlas reads revisions. Of their types the bit 1 is a baseline.
func readAtlas(ctx context.Context, conn *pgx.Conn, t Table) ([]Record, error) {
	return collect(ctx, conn, `SELECT version, description, coalesce(hash, ''), executed_at::timestamptz, coalesce(execution_time, 0)::bigint,
		CASE WHEN coalesce(error, '') <> '' OR applied < total THEN 'unfinished' WHEN type & 1 = 1 THEN 'baseline' ELSE 'applied' END,
		'Atlas has ' || applied || ' of its ' || total || ' statements as applied' FROM `+t.quoted()+`
		WHERE version <> '.atlas_cloud_identifier' ORDER BY executed_at, version`)
}

func readNames(ctx context.Context, conn *pgx.Conn, t Table) ([]Record, error) {
	return collect(ctx, conn, `SELECT name, '', '', run_on::timestamptz, 0::bigint, 'applied', '' FROM `+t.quoted()+` ORDER BY run_on, id`)
}

func readKnex(ctx context.Context, conn *pgx.Conn, t Table) ([]Record, error) {
	return collect(ctx, conn, `SELECT name, '', '', migration_time::timestamptz, 0::bigint, 'applied', '' FROM `+t.quoted()+` ORDER BY id`)
}

// readPrisma takes what is neither finished nor rolled back for unfinished.
func readPrisma(ctx context.Context, conn *pgx.Conn, t Table) ([]Record, error) {
	return collect(ctx, conn, `SELECT migration_name, '', checksum, started_at,
		coalesce(extract(epoch FROM finished_at - started_at) * 1e9, 0)::bigint, CASE WHEN finished_at IS NULL THEN 'unfinished' ELSE 'applied' END,
		'Prisma says that it began and did not end' FROM `+t.quoted()+` WHERE rolled_back_at IS NULL ORDER BY started_at, migration_name`)
}

func readDrizzle(ctx context.Context, conn *pgx.Conn, t Table) ([]Record, error) {
	return collect(ctx, conn, `SELECT created_at::text, '', hash, NULL::timestamptz, 0::bigint, 'applied', '' FROM `+t.quoted()+` ORDER BY created_at, id`)
}

// collect runs a query that gives records.
func collect(ctx context.Context, conn *pgx.Conn, query string) ([]Record, error) {
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Record, error) {
		var r Record
		var at *time.Time
		err := row.Scan(&r.Key, &r.Name, &r.Checksum, &at, &r.Took, &r.State, &r.Note)
		if at != nil {
			r.At = *at
		}
		return r, err
	})
}

// failed wraps what the server said.
func failed(doing string, err error) error { return fmt.Errorf("%s: %w", doing, err) }
