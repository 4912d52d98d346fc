package preflight

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/present"
)

// InvalidIndexes are the details of invalid_indexes.
type InvalidIndexes struct {
	Indexes []InvalidIndex `json:"indexes"`
}

// InvalidIndex is an index that queries do not use, and that may cost writers all
// the same.
type InvalidIndex struct {
	Name  string `json:"name"`
	Table string `json:"table"`
	// Partitioned is set where it is one of a partitioned table to which not every
	// partition's index is attached yet.
	Partitioned bool  `json:"partitioned,omitempty"`
	Size        int64 `json:"bytes"`
	// Pending are statements that would take it for done: CREATE INDEX … IF NOT EXISTS.
	Pending []string `json:"pending,omitempty"`
}

// Lines gives the indexes.
func (i InvalidIndexes) Lines() []string {
	var out []string
	for _, index := range i.Indexes {
		line := fmt.Sprintf("%s on %s (%s)", index.Name, index.Table, present.Bytes(index.Size))
		if index.Partitioned {
			line += ", waiting for indexes of partitions"
		}
		if len(index.Pending) > 0 {
			line += ", which IF NOT EXISTS would take for done: " + present.List(index.Pending, 5)
		}
		out = append(out, line)
	}
	return out
}

func lookIndexes(ctx context.Context, v *visit) (finding, error) {
	type invalid struct {
		Name, Relname, Table string
		Partitioned          bool
		Size                 int64
	}
	var found []invalid
	err := v.read(ctx, func(tx pgx.Tx) (err error) {
		// Those that are being built at this moment are none. Anyone who may not see
		// who builds sees at least that the table is held.
		found, err = ask[invalid](ctx, tx, `
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, c.relname::text AS relname, pg_catalog.format('%I.%I', tn.nspname, t.relname) AS "table",
	c.relkind = 'I' AS partitioned, coalesce(c.relpages, 0)::bigint * pg_catalog.current_setting('block_size')::bigint AS size
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) AND n.nspname !~ '^pg_temp'
	AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.locktype = 'relation' AND l.relation = i.indrelid AND l.mode = 'ShareUpdateExclusiveLock'
		AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
		AND EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.pid = l.pid))
ORDER BY 1`)
		return err
	})
	if err != nil {
		return finding{}, err
	}
	details := InvalidIndexes{Indexes: []InvalidIndex{}}
	for _, i := range found {
		index := InvalidIndex{Name: i.Name, Table: i.Table, Partitioned: i.Partitioned, Size: i.Size}
		for _, s := range v.pending.statements {
			// Concurrent builds are repaired by the engine; others leave the index as it is.
			if b, _ := pgsql.ReadIndexBuild(s.Statement.Statement); b.IfNotExists && !b.Concurrently && b.Index == i.Relname {
				index.Pending = append(index.Pending, s.place())
			}
		}
		details.Indexes = append(details.Indexes, index)
	}
	return judgeIndexes(details), nil
}

func judgeIndexes(details InvalidIndexes) finding {
	f := finding{details: details, passed: len(details.Indexes) == 0, message: "no index is invalid"}
	if !f.passed {
		f.message = fmt.Sprintf("%s invalid: queries do not use it, and writers may pay for it", either(len(details.Indexes),
			"1 index is", "%d indexes are"))
		f.remedy = "REINDEX INDEX CONCURRENTLY it, or DROP INDEX CONCURRENTLY it where its name ends in _ccnew or _ccold"
		if slices.ContainsFunc(details.Indexes, func(i InvalidIndex) bool { return i.Partitioned }) {
			f.remedy += "; attach the missing partitions' indexes by ALTER INDEX … ATTACH PARTITION"
		}
	}
	return f
}
