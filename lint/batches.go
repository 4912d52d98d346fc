package lint

import (
	"slices"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

// unlikeInBatches says why a statement might do something else in batches than at once:
// in the end all rows must be as if each had been changed at the same moment. The batches
// go through r: the table that is changed, or the one that is copied.
func (j *judge) unlikeInBatches(r *relation, b batch, n *ast.Node) string {
	columns := targets(n.GetUpdateStmt().GetTargetList())
	switch {
	case common(b.key, columns):
		return "it changes the key by which the batches go, so that a row could be changed twice"
	case n.GetDeleteStmt() != nil && len(j.references(r)[r]) > 0:
		return "rows of the table refer to each other by " + quoted(j.references(r)[r][0].name)
	case withOf(n) != nil:
		return "its WITH would be computed for each batch"
	case strings.Contains(strings.ToUpper(j.out.Text), "RETURNING"):
		return "what it returns would be that of the last batch"
	}
	if name := j.unitedBy(r, columns); name != "" {
		return "a row may need a value of " + name + " that another row has until its batch comes"
	}
	return j.seesItself(n)
}

// unitedBy names what keeps rows apart by columns, if something does.
func (j *judge) unitedBy(r *relation, columns []string) string {
	for _, part := range r.tree() {
		for _, i := range j.indexesOf(part) {
			alone := i.unique || i.constraint != nil // the rest are exclusion constraints
			if alone && slices.ContainsFunc(columns, i.mentions) {
				return i.name.String()
			}
		}
	}
	return ""
}

// seesItself says why a statement might see in one batch what another has changed.
func (j *judge) seesItself(n *ast.Node) (why string) {
	target := changedBy(n)
	changed := j.changedWith(j.find(nameOfRange(target)), n)
	acts, once := j.acting(changed, n)
	if once != "" {
		return once
	}
	walk(n, func(n *ast.Node) bool {
		switch found := n.GetRangeVar(); {
		case why != "":
		case n.GetFuncCall() != nil && j.readsRows(n.GetFuncCall()):
			why = "the function " + nameOf(texts(n.GetFuncCall().Funcname)).String() +
				"() may see what other batches have changed"
		case n.GetSelectStmt().GetLimitCount() != nil || n.GetSelectStmt().GetLimitOffset() != nil:
			why = "its LIMIT would hold for each batch"
		case found == nil || found.Location == target.Location:
		case j.meets(found, changed):
			why = "it reads the rows that it changes"
		default:
			why = acts
		}
		return why == ""
	})
	return why
}

// meets reports whether what is named in a statement has rows of some tables.
func (j *judge) meets(named *ast.RangeVar, tables []*relation) bool {
	return slices.ContainsFunc(j.behind(j.find(nameOfRange(named)), nil), func(r *relation) bool {
		return slices.ContainsFunc(tables, func(t *relation) bool {
			return slices.Contains(r.tree(), t) || slices.Contains(t.tree(), r)
		})
	})
}

// behind gives the tables that a view shows, or the table itself.
func (j *judge) behind(r *relation, seen []*relation) (all []*relation) {
	if r == nil || slices.Contains(seen, r) {
		return nil
	}
	if r.kind != view {
		return []*relation{r}
	}
	for _, u := range r.reads {
		all = append(all, j.behind(u.of, append(seen, r))...)
	}
	return all
}

// changedWith gives the tables whose rows a statement changes: first its own, then those
// from which foreign keys take rows and values along.
func (j *judge) changedWith(r *relation, n *ast.Node) []*relation {
	all := j.behind(r, nil)
	if r != nil && r.kind == view {
		all = append(all, r) // for what is attached to it
	}
	if n.GetDeleteStmt() == nil {
		return all
	}
	for i := 0; i < len(all); i++ {
		for other, keys := range j.references(all[i]) {
			along := slices.ContainsFunc(keys, func(c *constraint) bool {
				return slices.Contains([]string{"c", "n", "d"},
					c.onDelete)
			})
			if along && !slices.Contains(all, other) {
				all = append(all, other)
			}
		}
	}
	return all
}

// event is a kind of change that triggers wait for, as the parser writes it; see
// pg_trigger.h of PostgreSQL's sources.
type event int32

const (
	onInsert event = 1 << 2
	onDelete event = 1 << 3
	onUpdate event = 1 << 4
)

func eventOf(n *ast.Node) event {
	switch {
	case n.GetInsertStmt() != nil:
		return onInsert
	case n.GetDeleteStmt() != nil:
		return onDelete
	}
	return onUpdate
}

// eventsOf are the changes that a statement may make of rows, whichever it turns out to
// make.
func eventsOf(n *ast.Node) event {
	switch {
	case n.GetMergeStmt() != nil:
		return onInsert | onUpdate | onDelete
	case n.GetInsertStmt().GetOnConflictClause().GetAction() == ast.OnConflictAction_ONCONFLICT_UPDATE:
		return onInsert | onUpdate
	}
	return eventOf(n)
}

// triggersOn gives the triggers of a table that an event fires; of one about which
// nothing is known, nil stands among them.
func (r *relation) triggersOn(e event, columns ...string) (all []*ast.CreateTrigStmt) {
	for _, part := range r.tree() {
		for _, name := range part.attached[ast.ObjectType_OBJECT_TRIGGER] {
			s := part.triggers[name]
			about := texts(s.GetColumns())
			if s == nil || event(s.Events)&e != 0 && (len(about) == 0 || len(columns) == 0 || common(about, columns)) {
				all = append(all, s)
			}
		}
	}
	return all
}

// acting names a trigger that may change other tables when a statement runs, and what
// would run once for each batch.
func (j *judge) acting(changed []*relation, n *ast.Node) (acts, once string) {
	for i, r := range changed {
		e := eventOf(n)
		if i > 0 && e == onDelete {
			e = onDelete | onUpdate // as foreign keys do
		}
		for _, name := range r.attached[ast.ObjectType_OBJECT_RULE] {
			return "", "the rule " + quoted(name) + " runs once for a statement"
		}
		for _, s := range r.triggersOn(e) {
			functions := lookup(j.model, j.functions, nameOf(texts(s.GetFuncname())))
			switch {
			case !s.GetRow() || len(s.GetTransitionRels()) > 0:
				return "", "the trigger " + quoted(s.GetTrigname()) + " runs once for a statement"
			case len(functions) == 0 || slices.ContainsFunc(functions, j.touchesRows):
				acts = "the trigger " + quoted(s.GetTrigname()) + " may change what it reads"
			}
		}
	}
	return acts, ""
}

// readsRows reports whether a call may read tables, or is of a function of which nothing
// is known.
func (j *judge) readsRows(call *ast.FuncCall) bool {
	name := nameOf(texts(call.Funcname))
	if name.Schema != catalogSchema {
		if found := j.overloads(name, call); len(found) > 0 {
			return slices.ContainsFunc(found, func(f *function) bool { return f.volatility != "immutable" && j.touchesRows(f) })
		}
	}
	_, builtin := catalogFunctions()[name.Object]
	_, known := fromExtensions[name.Object]
	return !builtin && !known
}

// touching are the words without which no function in SQL or PL/pgSQL gets at rows.
var touching = []string{"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "EXECUTE", "PERFORM", "CALL", "COPY",
	"TRUNCATE", "TABLE"}

// touchesRows reports whether a function may read or change rows of tables.
func (j *judge) touchesRows(f *function) bool {
	if f.expr != nil {
		found := false
		walk(f.expr, func(n *ast.Node) bool {
			found = found || n.GetSubLink() != nil || n.GetFuncCall() != nil && j.readsRows(n.GetFuncCall())
			return !found
		})
		return found
	}
	if f.language != "plpgsql" {
		return true
	}
	for token := range pgsql.Tokens(f.body) {
		if token.Kind != pgsql.Word {
			continue
		}
		own := lookup(j.model, j.functions, Name{Object: strings.ToLower(token.Text)})
		if len(own) > 0 || slices.Contains(touching, strings.ToUpper(token.Text)) {
			return true
		}
	}
	return false
}

// deferred reports whether something about a table's rows is looked at only when the
// transaction ends.
func (j *judge) deferred(r *relation) bool {
	if r.deferred {
		return true
	}
	for other := range j.references(r) {
		if other.deferred {
			return true
		}
	}
	return false
}

// togetherUntilCommit reports whether the section has several changes of rows that may
// be right only together, as constraints are deferred to the end of the transaction.
func (j *judge) togetherUntilCommit() bool {
	changes, deferred := 0, false
	for _, s := range j.parsed {
		target := changedBy(s.node)
		if r := j.find(nameOfRange(target)); target != nil {
			changes++
			deferred = deferred || r != nil && j.deferred(r)
		}
		walk(s.node, func(n *ast.Node) bool {
			c := n.GetConstraint()
			deferred = deferred || c.GetInitdeferred() || c.GetContype() == ast.ConstrType_CONSTR_ATTR_DEFERRED
			return !deferred
		})
	}
	return deferred && changes > 1
}

// holdsRows reports whether a statement locks rows until the transaction ends.
func holdsRows(n *ast.Node) bool {
	return len(n.GetSelectStmt().GetLockingClause()) > 0
}
