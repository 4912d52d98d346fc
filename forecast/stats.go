package forecast

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/lint"
)

// Facts are what is known of the database on which a plan is to run.
type Facts struct {
	Database string // user@host:port/name
	Server   string // PostgreSQL's version
	Major    int
	At       time.Time
	// Tables are all of the users', partitions and the tables that they make up.
	Tables []Table
	// Complete is set where Tables are all there are: one that is not among them is
	// not there yet.
	Complete bool
	// Oldest is how long the oldest transaction has been open, of those that can be
	// seen; concurrent builds wait for it.
	Oldest time.Duration
	// Unseen lists what could not be seen, and why.
	Unseen []string
}

// Table is a table as it is now. One that is partitioned has the sum of its partitions.
type Table struct {
	Name string `json:"name"` // as package lint writes it
	// Partitioned is the table that it is a partition of, at the top; Parts is how
	// many partitions with rows it has itself.
	Partitioned string `json:"partition_of,omitempty"`
	Parts       int    `json:"partitions,omitempty"`
	// Rows is the planner's estimate; -1 where the table was never analyzed.
	Rows       int64 `json:"rows"`
	Heap       int64 `json:"heap_bytes"`
	Indexes    int64 `json:"index_bytes"`
	Toast      int64 `json:"toast_bytes"`
	IndexCount int   `json:"indexes"`
	// Writes is how many rows a second were inserted, updated or deleted on average
	// since the statistics begin; 0 as well where they are younger than an hour.
	Writes float64 `json:"writes_per_second"`
	// Estimated is set where the sizes are those of the last VACUUM or ANALYZE,
	// because somebody held a table that could not be waited for.
	Estimated bool `json:"estimated,omitempty"`

	leaf bool   // it holds rows itself
	key  string // its name with the schema and without quotes
}

// Total is the size of the table with all that belongs to it.
func (t Table) Total() int64 { return t.Heap + t.Indexes + t.Toast }

// table finds a table by its name.
func (f Facts) table(name string) (Table, bool) {
	for _, t := range f.Tables {
		if t.Name == name {
			return t, true
		}
	}
	return Table{}, false
}

// leaves are a table, or the partitions of it that hold the rows.
func (f Facts) leaves(name string) []string {
	var all []string
	for _, t := range f.Tables {
		if t.Partitioned == name && t.leaf {
			all = append(all, t.Name)
		}
	}
	if all == nil {
		return []string{name}
	}
	return all
}

// size adds up tables; rows is -1 where those of one are not known.
func (f Facts) size(names []string) (rows, bytes int64) {
	for _, name := range names {
		t, _ := f.table(name)
		bytes += t.Total()
		if t.Rows < 0 || rows < 0 {
			rows = -1
		} else {
			rows += t.Rows
		}
	}
	return rows, bytes
}

// ReadFacts reads the facts from a database, in a transaction that only reads and
// waits for nobody longer than a moment. It needs no privilege; without
// pg_read_all_stats (or pg_monitor) the age of other roles' transactions is not seen,
// and Unseen says so. The connection must not be in a transaction.
func ReadFacts(ctx context.Context, conn *pgx.Conn) (Facts, error) {
	c := conn.Config()
	f := Facts{Database: fmt.Sprintf("%s@%s:%d/%s", c.User, c.Host, c.Port, c.Database), Complete: true}
	err := reading(ctx, conn, func(tx pgx.Tx) error { return f.read(ctx, tx, exactSizes) })
	var refused *pgconn.PgError
	if errors.As(err, &refused) && (refused.Code == "55P03" || refused.Code == "57014") {
		f.Tables = nil
		f.Unseen = append(f.Unseen, "the exact sizes: a table was locked; these are those of the last VACUUM or ANALYZE")
		err = reading(ctx, conn, func(tx pgx.Tx) error { return f.read(ctx, tx, storedSizes) })
	}
	if err != nil {
		return Facts{}, fmt.Errorf("reading the sizes of tables: %w", err)
	}
	f.addUp()
	return f, nil
}

func reading(ctx context.Context, conn *pgx.Conn, read func(pgx.Tx) error) error {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '200ms'"); err != nil {
		return err
	}
	return read(tx)
}

// sizes are the expressions by which a table is measured.
type sizes struct{ total, indexes, toast string }

var exactSizes = sizes{
	"pg_catalog.pg_total_relation_size(c.oid)", "pg_catalog.pg_indexes_size(c.oid)",
	"CASE WHEN c.reltoastrelid = 0 THEN 0 ELSE pg_catalog.pg_total_relation_size(c.reltoastrelid) END",
}

// storedSizes lock nothing.
var storedSizes = func() sizes {
	indexes := "(SELECT sum(x.relpages) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid " +
		"WHERE i.indrelid = c.oid)"
	toast := "(SELECT t.relpages FROM pg_catalog.pg_class t WHERE t.oid = c.reltoastrelid)"
	scaled := func(pages string) string {
		return "(coalesce(" + pages + ", 0)::bigint * pg_catalog.current_setting('block_size')::bigint)"
	}
	return sizes{scaled("greatest(c.relpages, 0) + coalesce(" + indexes + ", 0) + coalesce(" + toast + ", 0)"),
		scaled(indexes), scaled(toast)}
}()

const factsQuery = `SELECT pg_catalog.current_setting('server_version'), pg_catalog.current_setting('server_version_num')::int / 10000, pg_catalog.now(),
	coalesce((SELECT extract(epoch FROM pg_catalog.now() - min(a.xact_start)) FROM pg_catalog.pg_stat_activity a
		WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid()), 0)::float8,
	pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')`

const tablesQuery = `
SELECT n.nspname, c.relname, coalesce(rn.nspname, ''), coalesce(r.relname, ''),
	CASE WHEN c.reltuples > 0 THEN c.reltuples::bigint WHEN pg_catalog.pg_stat_get_live_tuples(c.oid) > 0 THEN pg_catalog.pg_stat_get_live_tuples(c.oid)
		WHEN c.reltuples = 0 THEN 0 ELSE -1 END, c.relkind <> 'p',
	%s, %s, %s, (SELECT count(*) FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid)::int,
	(CASE WHEN since.seconds > 3600 THEN (pg_catalog.pg_stat_get_tuples_inserted(c.oid) + pg_catalog.pg_stat_get_tuples_updated(c.oid)
		+ pg_catalog.pg_stat_get_tuples_deleted(c.oid)) / since.seconds ELSE 0 END)::float8
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_class r ON c.relispartition AND r.oid = pg_catalog.pg_partition_root(c.oid)
LEFT JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
CROSS JOIN (SELECT extract(epoch FROM pg_catalog.now() - coalesce(max(d.stats_reset), pg_catalog.pg_postmaster_start_time())) AS seconds
	FROM pg_catalog.pg_stat_database d WHERE d.datname = pg_catalog.current_database()) since
WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY n.nspname, c.relname`

func (f *Facts) read(ctx context.Context, tx pgx.Tx, by sizes) error {
	var oldest float64
	var sees bool
	if err := tx.QueryRow(ctx, factsQuery).Scan(&f.Server, &f.Major, &f.At, &oldest, &sees); err != nil {
		return err
	}
	f.Server, _, _ = strings.Cut(f.Server, " ")
	f.Oldest = time.Duration(oldest * float64(time.Second))
	if !sees && len(f.Unseen) < 2 {
		f.Unseen = append(f.Unseen, "how long transactions of other roles have been open: that needs pg_read_all_stats (or "+
			"pg_monitor)")
	}
	rows, err := tx.Query(ctx, fmt.Sprintf(tablesQuery, by.total, by.indexes, by.toast))
	if err != nil {
		return err
	}
	var t Table
	var name, root lint.Name
	var total int64
	_, err = pgx.ForEachRow(rows, []any{&name.Schema, &name.Object, &root.Schema, &root.Object, &t.Rows, &t.leaf, &total,
		&t.Indexes, &t.Toast, &t.IndexCount, &t.Writes}, func() error {
		found := t
		found.key = name.Schema + "." + name.Object
		found.Name, found.Heap = name.String(), max(total-t.Indexes-t.Toast, 0)
		if found.Heap == 0 {
			found.Rows = 0
		}
		if root.Object != "" {
			found.Partitioned = root.String()
		}
		found.Estimated = by == storedSizes
		f.Tables = append(f.Tables, found)
		return nil
	})
	return err
}

// addUp gives partitioned tables what their partitions have.
func (f *Facts) addUp() {
	at := map[string]int{}
	for i, t := range f.Tables {
		at[t.Name] = i
	}
	for _, part := range f.Tables {
		i, ok := at[part.Partitioned]
		if part.Partitioned == "" || !part.leaf || !ok {
			continue
		}
		whole := &f.Tables[i]
		whole.Parts++
		whole.Heap, whole.Indexes, whole.Toast = whole.Heap+part.Heap, whole.Indexes+part.Indexes, whole.Toast+part.Toast
		whole.Writes += part.Writes
		whole.IndexCount = max(whole.IndexCount, part.IndexCount)
		if part.Rows < 0 || whole.Rows < 0 {
			whole.Rows = -1
		} else {
			whole.Rows += part.Rows
		}
	}
}
