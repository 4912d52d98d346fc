package preflight

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

// Drift are the details of schema_changes.
type Drift struct {
	// Changed are objects whose entries in the catalog were written after the last
	// run: "column public.users.name". What was dropped leaves no trace.
	Changed []string `json:"changed"`
	// More is how many there are beside those.
	More int `json:"more,omitempty"`
}

// Lines gives the objects.
func (d Drift) Lines() []string {
	if d.More == 0 {
		return d.Changed
	}
	return append(d.Changed[:len(d.Changed):len(d.Changed)], fmt.Sprintf("and %d more", d.More))
}

// mostChanges is how many objects are named.
const mostChanges = 20

// ownTables are the history and its companions.
type ownTables struct{ schema, history, journal, log, lock string }

func nameTables(table string) ownTables {
	tables := whimbrel.Tables(table)
	name := func(i int) string { return tables[i][len(tables[i])-1] }
	own := ownTables{history: name(0), journal: name(1), log: name(2), lock: name(3)}
	if len(tables[0]) > 1 {
		own.schema = tables[0][0]
	}
	return own
}

func (t ownTables) all() []string { return []string{t.history, t.journal, t.log, t.lock} }

// find gives those of the tables that exist, in the order of all, by name.
func (t ownTables) find(ctx context.Context, tx pgx.Tx) (map[string]relation, error) {
	var names []pgsql.Touch
	for _, name := range t.all() {
		names = append(names, pgsql.Touch{Schema: t.schema, Name: name})
	}
	relations, err := resolve(ctx, tx, "", names)
	found := map[string]relation{}
	for _, r := range relations {
		found[names[r.Ord-1].Name] = r
	}
	return found, err
}

func lookDrift(ctx context.Context, v *visit) (finding, error) {
	own := nameTables(v.options.Table)
	var changed []string
	var last *int32 // how many transactions ago the last run wrote its record
	restored := false
	err := v.read(ctx, func(tx pgx.Tx) error {
		found, err := own.find(ctx, tx)
		if err != nil {
			return err
		}
		var ages []string
		var oids []uint32
		for _, name := range own.all() {
			r, exists := found[name]
			if !exists {
				continue
			}
			oids = append(oids, r.OID)
			if name == own.history || name == own.log {
				ages = append(ages, "(SELECT pg_catalog.age(xmin) FROM "+r.Table+" ORDER BY id DESC LIMIT 1)")
			}
		}
		if len(ages) == 0 {
			return nil
		}
		if err := tx.QueryRow(ctx, "SELECT least("+strings.Join(ages, ", ")+")").Scan(&last); err != nil || last == nil {
			return err
		}
		// A catalog that was loaded from a dump is younger than what it holds.
		if err := tx.QueryRow(ctx, "SELECT min(pg_catalog.age(xmin)) < $2 FROM pg_catalog.pg_attribute WHERE attrelid = "+
			"ANY ($1) AND attnum > 0",
			oids, *last).Scan(&restored); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, driftQuery, *last, oids)
		if err != nil {
			return err
		}
		changed, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return finding{}, err
	}
	return judgeDrift(changed, last != nil, restored), nil
}

// driftQuery lists what was written to the catalog by younger transactions than
// one that is $1 transactions old. pg_class itself is left out, because VACUUM
// FULL, CLUSTER and TRUNCATE write to it; so are partitions, which programs make
// all the time, and what belongs to extensions.
const driftQuery = `
WITH relations AS (
	SELECT c.oid, c.relkind, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND NOT c.relispartition AND c.oid <> ALL ($2)
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indexrelid = c.oid AND i.indrelid = ANY ($2))
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_catalog.pg_class'::regclass AND (d.deptype = 'e' OR d.refobjid = ANY ($2)))
), schemas AS (
	SELECT oid, nspname FROM pg_catalog.pg_namespace WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'
)
SELECT CASE WHEN r.relkind = 'i' THEN 'index ' || r.name WHEN a.attnum = 1 AND bool_and(pg_catalog.age(a.xmin) < $1) OVER (PARTITION BY a.attrelid) THEN 'relation ' || r.name
	ELSE 'column ' || r.name || '.' || pg_catalog.quote_ident(a.attname) END
FROM relations r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0
WHERE pg_catalog.age(a.xmin) < $1 AND (r.relkind NOT IN ('i', 'I', 'S') OR a.attnum = 1)
UNION SELECT 'constraint ' || pg_catalog.quote_ident(o.conname) || ' on ' || r.name FROM pg_catalog.pg_constraint o JOIN relations r ON r.oid = o.conrelid WHERE pg_catalog.age(o.xmin) < $1
UNION SELECT 'default of ' || r.name FROM pg_catalog.pg_attrdef d JOIN relations r ON r.oid = d.adrelid WHERE pg_catalog.age(d.xmin) < $1
UNION SELECT 'trigger ' || pg_catalog.quote_ident(t.tgname) || ' on ' || r.name FROM pg_catalog.pg_trigger t JOIN relations r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal AND pg_catalog.age(t.xmin) < $1
UNION SELECT 'rule or view ' || r.name FROM pg_catalog.pg_rewrite w JOIN relations r ON r.oid = w.ev_class WHERE pg_catalog.age(w.xmin) < $1
UNION SELECT 'policy ' || pg_catalog.quote_ident(p.polname) || ' on ' || r.name FROM pg_catalog.pg_policy p JOIN relations r ON r.oid = p.polrelid WHERE pg_catalog.age(p.xmin) < $1
UNION SELECT 'function ' || p.oid::regprocedure::text FROM pg_catalog.pg_proc p JOIN schemas s ON s.oid = p.pronamespace WHERE pg_catalog.age(p.xmin) < $1
	AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = p.oid AND d.classid = 'pg_catalog.pg_proc'::regclass AND d.deptype = 'e')
UNION SELECT 'type ' || pg_catalog.format_type(t.oid, NULL) FROM pg_catalog.pg_type t JOIN schemas s ON s.oid = t.typnamespace
	LEFT JOIN pg_catalog.pg_enum e ON e.enumtypid = t.oid
	WHERE t.typtype IN ('d', 'e', 'r') AND (pg_catalog.age(t.xmin) < $1 OR pg_catalog.age(e.xmin) < $1)
ORDER BY 1`

// judgeDrift passes where nothing is younger than the last run.
func judgeDrift(changed []string, ran, restored bool) finding {
	more := max(len(changed)-mostChanges, 0)
	details := Drift{Changed: append([]string{}, changed[:len(changed)-more]...), More: more}
	switch {
	case !ran:
		return finding{passed: true, details: Drift{Changed: []string{}}, message: "nothing has run here yet"}
	case restored:
		return finding{
			unknown: true, details: Drift{Changed: []string{}},
			message: "the database was loaded from a dump, or its tables were altered, after the last run: what changed since " +
				"cannot be told",
			remedy: "the next run sets it right",
		}
	case len(changed) > 0:
		return finding{
			details: details, message: fmt.Sprintf("%s changed by somebody else since the last run",
				were(len(changed), "object")),
			remedy: "find out who it was; write a migration that says the same, or take the change back",
		}
	}
	return finding{passed: true, details: details, message: "nobody has changed the schema since the last run"}
}
