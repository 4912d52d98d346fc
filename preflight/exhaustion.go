package preflight

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Keys are the details of key_exhaustion.
type Keys struct {
	MaxUse float64 `json:"max_use_percent"`
	// Near are those over the limit, the fullest first.
	Near []Key `json:"near"`
	// Looked is how many sequences could be looked at.
	Looked int `json:"looked_at"`
}

// Key is a sequence with what it numbers.
type Key struct {
	Sequence string `json:"sequence"`
	// Column is the column that takes its values from it, if that is known, and
	// Type its type; Reference is a narrower column that refers to it.
	Column    string  `json:"column,omitempty"`
	Type      string  `json:"type,omitempty"`
	Reference string  `json:"reference,omitempty"`
	Last      int64   `json:"last"`
	Limit     int64   `json:"limit"`
	Used      float64 `json:"used_percent"`
}

// Lines gives the keys near their end.
func (k Keys) Lines() []string {
	var out []string
	for _, key := range k.Near {
		line := fmt.Sprintf("%s: %.1f %% used, at %d of %d", key.Sequence, key.Used, key.Last, key.Limit)
		if key.Column != "" {
			line += fmt.Sprintf(", for %s (%s)", key.Column, key.Type)
		}
		if key.Reference != "" {
			line += ", to which the narrower " + key.Reference + " refers"
		}
		out = append(out, line)
	}
	return out
}

// sequence is one as it was read, with a column that takes values from it.
type sequence struct {
	Name      string
	Last      *int64
	Visible   bool
	Max       int64
	Column    string
	Type      string
	Reference string
	Narrowest string // the narrowest type among the columns that refer to it
}

func lookKeys(ctx context.Context, v *visit) (finding, error) {
	var sequences []sequence
	err := v.read(ctx, func(tx pgx.Tx) (err error) {
		sequences, err = ask[sequence](ctx, tx, keysQuery)
		return err
	})
	if err != nil {
		return finding{}, err
	}
	return judgeKeys(sequences, v.options.Settings.MaxKeyUse), nil
}

// keysQuery reads the sequences that count upwards and stop at their end, the
// columns that they belong to or are the default of, and the narrowest column
// that refers to each.
const keysQuery = `
WITH users AS (
	SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS attribute FROM pg_catalog.pg_depend d
	WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
	UNION SELECT d.refobjid, f.adrelid, f.adnum FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attrdef f ON f.oid = d.objid
	WHERE d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
)
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, s.seqmax AS max,
	pg_catalog.has_sequence_privilege(c.oid, 'USAGE, SELECT') AS visible,
	CASE WHEN pg_catalog.has_sequence_privilege(c.oid, 'USAGE, SELECT') THEN pg_catalog.pg_sequence_last_value(c.oid) END AS last,
	CASE WHEN a.attname IS NULL THEN '' ELSE pg_catalog.format('%I.%I.%I', tn.nspname, t.relname, a.attname) END AS "column", coalesce(a.atttypid::regtype::text, '') AS type,
	coalesce(r.name, '') AS reference, coalesce(r.type, '') AS narrowest
FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN users u ON u.sequence = c.oid
LEFT JOIN pg_catalog.pg_class t ON t.oid = u.relation LEFT JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = u.relation AND a.attnum = u.attribute
LEFT JOIN LATERAL (
	SELECT pg_catalog.format('%I.%I.%I', fn.nspname, fc.relname, fa.attname) AS name, fa.atttypid::regtype::text AS type
	FROM pg_catalog.pg_constraint f JOIN pg_catalog.pg_class fc ON fc.oid = f.conrelid JOIN pg_catalog.pg_namespace fn ON fn.oid = fc.relnamespace
	JOIN pg_catalog.pg_attribute fa ON fa.attrelid = f.conrelid AND fa.attnum = f.conkey[1] JOIN pg_catalog.pg_type ft ON ft.oid = fa.atttypid
	WHERE f.contype = 'f' AND f.confrelid = u.relation AND f.confkey = ARRAY[u.attribute]::smallint[] AND fa.atttypid IN (20, 21, 23)
	ORDER BY ft.typlen, 1 LIMIT 1) r ON true
WHERE s.seqincrement > 0 AND NOT s.seqcycle AND n.nspname !~ '^pg_temp'
ORDER BY 1, 5`

// judgeKeys passes where no sequence has used up more than the limit of what its
// own end, its column's type and the columns that refer to it allow.
func judgeKeys(sequences []sequence, limit float64) finding {
	details := Keys{MaxUse: limit, Near: []Key{}}
	var hidden []string
	for _, s := range sequences {
		if !s.Visible {
			hidden = append(hidden, s.Name)
			continue
		}
		details.Looked++
		if s.Last == nil {
			continue // never used
		}
		key := Key{Sequence: s.Name, Column: s.Column, Type: s.Type, Last: *s.Last, Limit: min(s.Max, largest(s.Type))}
		if narrow := largest(s.Narrowest); narrow < key.Limit {
			key.Limit, key.Reference = narrow, s.Reference
		}
		key.Used = math.Round(float64(key.Last)/float64(key.Limit)*1000) / 10
		if float64(key.Last)/float64(key.Limit)*100 >= limit {
			details.Near = append(details.Near, key)
		}
	}
	slices.SortStableFunc(details.Near, func(a, b Key) int { return int(math.Copysign(1, b.Used-a.Used)) })
	f := finding{details: details, passed: len(details.Near) == 0}
	f.message = fmt.Sprintf("no sequence and no key has used %g %% of its numbers", limit)
	if !f.passed {
		f.message = fmt.Sprintf("%s near the end: %s is at %.1f %%", present.Plural(len(details.Near), "sequence"),
			details.Near[0].Sequence, details.Near[0].Used)
		f.remedy = "change the column and those that refer to it to bigint, in a backfill to a new column, before the " +
			"numbers run out"
	}
	hidden = slices.Compact(hidden)
	if len(hidden) > 0 {
		f.unseen = append(f.unseen, fmt.Sprintf("%s: %s", present.Plural(len(hidden), "sequence"), present.List(hidden, 5)))
		if f.passed {
			f.passed, f.unknown = false, true
			f.message = fmt.Sprintf("of %s the role may not read %d", present.Plural(details.Looked+len(hidden), "sequence"),
				len(hidden))
			f.remedy = "grant the role SELECT on them, or pg_read_all_data"
		}
	}
	return f
}

// largest is the largest number of a type; that of bigint for all that hold more,
// or are no numbers.
func largest(name string) int64 {
	switch name {
	case "smallint":
		return math.MaxInt16
	case "integer":
		return math.MaxInt32
	}
	return math.MaxInt64
}
