package preflight

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Sizes are the details of data_size.
type Sizes struct {
	BigFrom int64 `json:"big_from_bytes"`
	// Big are the tables that are big, the biggest first.
	Big []Table `json:"big"`
	// Tables is how many there are, and Total the bytes of all.
	Tables int   `json:"tables"`
	Total  int64 `json:"total_bytes"`
	// Needed is what rewrites and index builds that are pending are estimated to
	// take while they run; Free is what FreeDisk said, -1 where nobody told.
	Needed int64 `json:"needed_bytes"`
	Free   int64 `json:"free_bytes"`
	// Estimated is set where sizes are those of the last VACUUM or ANALYZE,
	// because somebody held a table that could not be waited for.
	Estimated bool `json:"estimated,omitempty"`
}

// Table is a table with all that belongs to it; a partitioned one with its
// partitions.
type Table struct {
	Name       string  `json:"name"`
	Total      int64   `json:"total_bytes"`
	Heap       int64   `json:"heap_bytes"`
	Indexes    int64   `json:"index_bytes"`
	Toast      int64   `json:"toast_bytes"`
	IndexCount int     `json:"indexes"`
	Partitions int     `json:"partitions,omitempty"`
	Pending    []Touch `json:"pending,omitempty"`
}

// Lines gives the big tables and what is done to them.
func (s Sizes) Lines() []string {
	var out []string
	for _, t := range s.Big {
		line := fmt.Sprintf("%s: %s (heap %s, indexes %s, TOAST %s)", t.Name, present.Bytes(t.Total), present.Bytes(t.Heap),
			present.Bytes(t.Indexes),
			present.Bytes(t.Toast))
		if t.Partitions > 0 {
			line += fmt.Sprintf(" in %s", present.Plural(t.Partitions, "partition"))
		}
		out = append(out, line)
		for _, touch := range t.Pending {
			out = append(out, "  "+touch.String())
		}
	}
	if s.Needed > 0 {
		line := fmt.Sprintf("what is pending may take about %s of disk while it runs, and as much WAL",
			present.Bytes(s.Needed))
		if s.Free >= 0 {
			line += fmt.Sprintf("; %s are free", present.Bytes(s.Free))
		}
		out = append(out, line)
	}
	return out
}

// measured is a table as it was read.
type measured struct {
	Root                        uint32
	Name                        string
	Total, Heap, Indexes, Toast int64
	IndexCount, Partitions      int
}

func lookSize(ctx context.Context, v *visit) (finding, error) {
	var tables []measured
	estimated := false
	err := v.read(ctx, func(tx pgx.Tx) (err error) {
		tables, err = ask[measured](ctx, tx, sizeQuery(
			"pg_catalog.pg_total_relation_size(c.oid)", "pg_catalog.pg_indexes_size(c.oid)",
			"pg_catalog.pg_total_relation_size(nullif(c.reltoastrelid, 0))"))
		return err
	})
	var refused *pgconn.PgError
	if errors.As(err, &refused) && (refused.Code == "55P03" || refused.Code == "57014") {
		estimated = true
		err = v.read(ctx, func(tx pgx.Tx) (err error) {
			indexes := "(SELECT sum(x.relpages) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid " +
				"WHERE i.indrelid = c.oid)"
			toast := "(SELECT t.relpages FROM pg_catalog.pg_class t WHERE t.oid = c.reltoastrelid)"
			scaled := func(expression string) string {
				return "coalesce(" + expression + ", 0)::bigint * pg_catalog.current_setting('block_size')::bigint"
			}
			tables, err = ask[measured](ctx, tx, sizeQuery(
				scaled("greatest(c.relpages, 0) + coalesce("+indexes+", 0) + coalesce("+toast+", 0)"), scaled(indexes),
				scaled(toast)))
			return err
		})
	}
	if err != nil {
		return finding{}, err
	}
	free, why := v.freeDisk(ctx)
	f := judgeSize(tables, v.pending.touches, v.options.Settings, free, estimated)
	if why != "" {
		f.unseen = append(f.unseen, why)
	}
	f.unseen = append(f.unseen, v.pending.unseen...)
	return f, nil
}

// sizeQuery measures every table of the users'. Partitions are added up under
// the table that they belong to.
func sizeQuery(total, indexes, toast string) string {
	return `
SELECT m.root, pg_catalog.format('%I.%I', n.nspname, r.relname) AS name, sum(m.total)::bigint AS total,
	sum(m.total - m.indexes - m.toast)::bigint AS heap, sum(m.indexes)::bigint AS indexes, sum(m.toast)::bigint AS toast,
	max(m.count)::int AS index_count, (count(*) FILTER (WHERE m.leaf))::int AS partitions
FROM (
	SELECT CASE WHEN c.relispartition THEN coalesce(pg_catalog.pg_partition_root(c.oid), c.oid) ELSE c.oid END::oid AS root,
		c.relispartition AND c.relkind = 'r' AS leaf, (SELECT count(*) FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid) AS count,
		coalesce(` + total + `, 0) AS total, coalesce(` + indexes + `, 0) AS indexes, coalesce(` + toast + `, 0) AS toast
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
	WHERE c.relkind IN ('r', 'm', 'p') AND s.nspname <> 'information_schema' AND s.nspname !~ '^pg_'
) m JOIN pg_catalog.pg_class r ON r.oid = m.root JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
GROUP BY m.root, n.nspname, r.relname ORDER BY 3 DESC, 2`
}

// judgeSize passes where there are fewer big tables than the limit, and the disk,
// if anybody told, has room for what is pending.
func judgeSize(tables []measured, touches []Touch, settings Settings, free int64, estimated bool) finding {
	details := Sizes{BigFrom: settings.BigTable, Big: []Table{}, Tables: len(tables), Free: free, Estimated: estimated}
	touched := 0
	for _, m := range tables {
		details.Total += m.Total
		table := Table{
			Name: m.Name, Total: m.Total, Heap: m.Heap, Indexes: m.Indexes, Toast: m.Toast,
			IndexCount: m.IndexCount, Partitions: m.Partitions,
		}
		for _, t := range touches {
			if t.relation.Root == m.Root {
				table.Pending = append(table.Pending, t)
				details.Needed += room(t, table)
			}
		}
		if m.Total > settings.BigTable {
			details.Big = append(details.Big, table)
			touched += min(len(table.Pending), 1)
		}
	}
	f := finding{details: details, passed: len(details.Big) < settings.MaxBigTables}
	f.message = fmt.Sprintf("%s over %s", present.Plural(len(details.Big), "table"), present.Bytes(settings.BigTable))
	if touched > 0 {
		f.message += fmt.Sprintf(", %d of them touched by what is pending", touched)
	}
	if !f.passed {
		f.remedy = "build indexes concurrently, validate constraints apart, change rows in batches"
	}
	if free >= 0 && details.Needed > free {
		f.passed = false
		f.message += fmt.Sprintf("; about %s are needed and %s are free", present.Bytes(details.Needed), present.Bytes(free))
		f.remedy = "free space on the server's disk"
	}
	if estimated {
		f.unseen = append(f.unseen, "the exact sizes: a table was locked; these are those of the last VACUUM or ANALYZE")
	}
	return f
}

// room estimates the bytes that a statement takes while it runs.
func room(t Touch, table Table) int64 {
	switch t.Effect {
	case pgsql.Rewrite:
		return table.Total
	case pgsql.Builds:
		if table.IndexCount > 0 {
			return table.Indexes / int64(table.IndexCount)
		}
		return table.Heap / 4
	}
	return 0
}

// freeDisk asks who was named for it; -1 and a reason where nobody can tell.
func (v *visit) freeDisk(ctx context.Context) (bytes int64, why string) {
	source := v.options.Settings.FreeDisk
	if source == nil {
		return -1, ""
	}
	text, err := v.text(ctx, *source)
	if err != nil {
		return -1, "how much of the disk is free: " + v.reason(err)
	}
	bytes, err = strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return -1, fmt.Sprintf("how much of the disk is free: invalid number of bytes %q", present.OneLine(text, 40))
	}
	return bytes, ""
}
