package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/migration"
)

// pending is what is about to run, set against the catalog.
type pending struct {
	statements []statement
	// touches are the relations that the statements name and that exist.
	touches []Touch
	// unseen are parts of the plan whose doings their text does not tell.
	unseen []string
	// unread is why nothing is known of what the statements touch, if so.
	unread error
	// unplanned is why nothing is known of what is pending, if so.
	unplanned error
}

// tell makes of a finding about what is pending, and of nothing else, one that
// cannot tell, where it is not known what is pending.
func (p pending) tell(f finding) finding {
	return f.unless(p.unplanned, "what is pending is not known")
}

// tellTouched is tell for a finding about what the statements touch. Where this program
// can never tell that, the finding stops nobody.
func (p pending) tellTouched(f finding) finding {
	f.advisory = f.passed && p.unread != nil
	return p.tell(f.unless(p.unread, "what the pending statements touch is not known"))
}

// unless makes of a finding that passed one that cannot tell, for a reason.
func (f finding) unless(why error, message string) finding {
	if why == nil || !f.passed {
		return f
	}
	f.passed, f.unknown, f.message, f.remedy = false, true, message, ""
	var own *whimbrel.Error
	if errors.As(why, &own) {
		f.remedy = own.Remedy
	}
	return f
}

// statement is one of a plan's, with its place.
type statement struct {
	migration.Statement
	planned whimbrel.Planned
	step    whimbrel.Step
	// path is the migration's own search_path, if it sets one.
	path string
	// asOther is set behind a SET ROLE or a SET search_path, where neither names
	// nor rights can be told any more.
	asOther bool
	touched pgsql.Touched
}

func (s statement) place() string {
	return fmt.Sprintf("%s:%d", s.planned.Migration.Path, s.Start.Line)
}

// Touch is a table that a pending statement names.
type Touch struct {
	Table  string       `json:"table"` // with its schema, quoted where needed
	Place  string       `json:"place"` // path:line
	Effect pgsql.Effect `json:"effect"`
	// AtWorst is set where less may happen than Effect says.
	AtWorst bool `json:"at_worst,omitempty"`
	// Concurrent is set where writers go on meanwhile.
	Concurrent bool   `json:"concurrent,omitempty"`
	Statement  string `json:"statement"` // shortened

	relation  relation
	statement *statement
	needs     []string
}

// String says what happens where.
func (t Touch) String() string {
	what := string(t.Effect)
	switch {
	case t.Effect == pgsql.Rewrite && t.AtWorst:
		what = "rewrite at worst"
	case t.Effect == pgsql.Scan && t.AtWorst:
		what = "scan at worst"
	case t.Effect == pgsql.Builds:
		what = "index build"
	case t.Effect == pgsql.Rows:
		what = "changes rows"
	}
	if t.Concurrent {
		what += ", beside writers"
	}
	return fmt.Sprintf("%s  %s: %s", t.Place, what, t.Statement)
}

// relation is a table as the catalog knows it.
type relation struct {
	Ord    int
	OID    uint32
	Root   uint32 // of the table that it is a partition of, or its own
	Table  string // name with schema, quoted where needed
	Schema string
	Kind   string // pg_class.relkind
	// Members are the oids of the table and of its partitions and children.
	Members []uint32
}

// readPending lists a plan's statements and finds in the catalog what they name.
func readPending(ctx context.Context, tx pgx.Tx, plan whimbrel.Plan, touches Toucher) (pending, error) {
	p := listPending(plan)
	var wanted []pgsql.Touch
	var of []*statement
	path := ""
	flush := func() error {
		if len(wanted) == 0 {
			return nil
		}
		relations, err := resolve(ctx, tx, path, wanted)
		if err != nil {
			return err
		}
		for _, r := range relations {
			m, s := wanted[r.Ord-1], of[r.Ord-1]
			p.touches = append(p.touches, Touch{
				Table: r.Table, Place: s.place(), Effect: m.Effect, AtWorst: m.AtWorst, Concurrent: m.Concurrent,
				Statement: present.OneLine(s.Written(), 80), relation: r, statement: s, needs: m.Needs,
			})
		}
		wanted, of = nil, nil
		return nil
	}
	for i := range p.statements {
		s := &p.statements[i]
		if s.path != path {
			if err := flush(); err != nil {
				return p, err
			}
			path = s.path
		}
		if s.touched, p.unread = touches(s.Statement); p.unread != nil {
			break
		}
		if s.touched.Opaque != "" {
			p.unseen = append(p.unseen, s.place()+": "+s.touched.Opaque)
		}
		for _, m := range s.touched.Tables {
			if s.asOther && m.Schema == "" {
				p.unseen = append(p.unseen, s.place()+": which table "+m.Name+" is, after SET")
				continue
			}
			wanted, of = append(wanted, m), append(of, s)
		}
	}
	return p, flush()
}

// listPending lists a plan's statements that are still to run, without the
// catalog. It is a function of the plan.
func listPending(plan whimbrel.Plan) pending {
	var p pending
	for _, planned := range plan.Migrations {
		if planned.RecordOnly() {
			continue
		}
		path, asOther := "", false
		for _, setting := range planned.Migration.Settings {
			switch strings.ToLower(setting.Name) {
			case "search_path":
				path = setting.Value
			case "role", "session_authorization":
				asOther = true
			}
		}
		for _, step := range planned.Steps {
			if step.Kind == whimbrel.StepScript || step.Kind == whimbrel.StepFunc {
				p.unseen = append(p.unseen, fmt.Sprintf("%s: what the %s does", planned.Migration.Path, step.Summary()))
			}
			for _, s := range step.Statements {
				asOther = asOther || leavesSelf(s)
				if !step.Done {
					p.statements = append(p.statements, statement{Statement: s, planned: planned, step: step, path: path,
						asOther: asOther})
				}
			}
		}
	}
	return p
}

// leavesSelf reports whether names or rights mean something else after a
// statement: SET ROLE, SET SESSION AUTHORIZATION, SET search_path.
func leavesSelf(s migration.Statement) bool {
	changes, only := pgsql.SettingChanges(s.Statement)
	text := strings.ToLower(s.Text)
	return !only && strings.Contains(text, "set_config") && strings.Contains(text, "search_path") ||
		slices.ContainsFunc(changes, func(c pgsql.SettingChange) bool {
			return slices.Contains([]string{"role", "session_authorization", "search_path"}, c.Name)
		})
}

// resolve finds relations by name as the server would, under a search_path. What
// does not exist is left out; so is what belongs to the system. Of an index it
// gives the table. It takes no lock on what it finds, as regclass would not either.
func resolve(ctx context.Context, tx pgx.Tx, path string, names []pgsql.Touch) ([]relation, error) {
	set, arguments := "SET LOCAL search_path TO DEFAULT", []any{}
	if path != "" {
		set, arguments = "SELECT pg_catalog.set_config('search_path', $1, true)", []any{path}
	}
	if _, err := tx.Exec(ctx, set, arguments...); err != nil {
		return nil, err
	}
	var schemas, tables []string
	for _, m := range names {
		schemas, tables = append(schemas, m.Schema), append(tables, m.Name)
	}
	return ask[relation](ctx, tx, `
WITH RECURSIVE named AS (
	SELECT w.ord, coalesce(x.indrelid, c.oid) AS oid
	FROM ROWS FROM (unnest($1::text[]), unnest($2::text[])) WITH ORDINALITY AS w(schema, name, ord)
	CROSS JOIN LATERAL (
		SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relname = w.name AND n.nspname = ANY (CASE WHEN w.schema = '' THEN pg_catalog.current_schemas(true) ELSE ARRAY[w.schema::name] END)
		ORDER BY pg_catalog.array_position(pg_catalog.current_schemas(true), n.nspname) LIMIT 1) c
	LEFT JOIN pg_catalog.pg_index x ON x.indexrelid = c.oid
), tree AS (
	SELECT DISTINCT oid AS root, oid FROM named
	UNION SELECT t.root, i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
), above AS (
	SELECT DISTINCT oid AS leaf, oid, false AS root FROM named
	UNION SELECT a.leaf, i.inhparent, NOT p.relispartition FROM above a JOIN pg_catalog.pg_class c ON c.oid = a.oid AND c.relispartition
		JOIN pg_catalog.pg_inherits i ON i.inhrelid = a.oid JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
)
SELECT d.ord::int AS ord, d.oid, coalesce((SELECT max(a.oid) FROM above a WHERE a.leaf = d.oid AND a.root), d.oid) AS root, pg_catalog.format('%I.%I', n.nspname, c.relname) AS table, n.nspname::text AS schema, c.relkind::text AS kind,
	ARRAY(SELECT t.oid FROM tree t WHERE t.root = d.oid) AS members
FROM named d JOIN pg_catalog.pg_class c ON c.oid = d.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname <> 'information_schema' AND n.nspname NOT IN ('pg_catalog', 'pg_toast') ORDER BY d.ord`, schemas,
		tables)
}

// tables gives the oids of all touched tables with their partitions.
func (p pending) tables() []uint32 {
	var all []uint32
	for _, t := range p.touches {
		all = append(all, t.relation.Members...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// names gives the touched tables' names by the oids of their members.
func (p pending) names() map[uint32]string {
	names := map[uint32]string{}
	for _, t := range p.touches {
		for _, member := range t.relation.Members {
			if names[member] == "" || member == t.relation.OID {
				names[member] = t.Table
			}
		}
	}
	return names
}
