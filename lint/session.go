package lint

import (
	"fmt"
	"slices"
	"strings"
	"time"

	ast "github.com/pganalyze/pg_query_go/v6"
)

func (j *judge) setting(s *ast.VariableSetStmt) {
	j.set(s) // for what follows in a body as well
	name := lower(s.Name)
	if s.Kind == ast.VariableSetKind_VAR_SET_MULTI {
		return
	}
	if s.Kind != ast.VariableSetKind_VAR_SET_VALUE {
		delete(j.tx.settings, name)
		if name == "lock_timeout" {
			j.tx.settings[name] = "0"
		}
	} else {
		j.tx.settings[name] = strings.Join(texts(s.Args), ",")
	}
	j.triggersOff(name, j.tx.settings[name])
	j.because("it is a setting of the session")
}

// triggersOff finds the setting with which no trigger runs, and with them no
// foreign key is checked.
func (j *judge) triggersOff(name, value string) {
	if name == "session_replication_role" && lower(value) == "replica" {
		j.report(Finding{Hazard: disableTrigger, Message: "no trigger runs until it is set back, and no foreign key is " +
			"checked: rows may come to refer to nothing"})
	}
}

// effects finds functions that a query calls for what they do.
func (j *judge) effects(n *ast.Node) {
	walk(n, func(n *ast.Node) bool {
		call := n.GetFuncCall()
		if call == nil || len(call.Args) == 0 {
			return true
		}
		switch name := nameOf(texts(call.Funcname)).Object; name {
		case "pg_terminate_backend", "pg_cancel_backend":
			j.report(Finding{Hazard: endsOtherSessions, Message: fmt.Sprintf("%s() ends what others are doing", name)})
			return true
		case "pg_drop_replication_slot":
			j.report(Finding{Hazard: dropReplicationSlot,
				Message: "anyone who reads from the slot must begin with a new copy"})
			return true
		case "pg_sleep", "pg_sleep_for", "pg_sleep_until":
			j.sleep()
			return true
		}
		if len(call.Args) < 2 {
			return true
		}
		switch nameOf(texts(call.Funcname)).Object {
		case "set_config":
			name := lower(text(call.Args[0]))
			j.tx.settings[name] = text(call.Args[1])
			j.triggersOff(name, text(call.Args[1]))
			if name == "search_path" && isConstant(call.Args[1]) {
				j.setPath(strings.Split(text(call.Args[1]), ","))
			}
		case "setval":
			sequence := j.find(nameOf(strings.Split(text(call.Args[0]), ".")))
			if isConstant(call.Args[1]) && (sequence == nil || !j.isNew(sequence)) {
				j.report(Finding{Hazard: sequenceRestart, Message: fmt.Sprintf("%s goes on at a number that rows may have "+
					"already", text(call.Args[0])),
					Rewrite: j.behindNumbers(nameOf(strings.Split(text(call.Args[0]), ".")))})
			}
		}
		return true
	})
}

// sleep finds that the transaction waits while it holds a lock that others wait for.
func (j *judge) sleep() {
	if r := j.worstHeld(); r != nil && !j.current.alone {
		h := j.tx.locks[r]
		j.report(Finding{Hazard: scanWhileHoldingStrongLock,
			Message: fmt.Sprintf("the transaction sleeps while it holds %s on %s, which line %d took: %s wait until it ends",
				h.mode, r.name, j.parsed[h.by].statement.Start.Line, h.mode.Stops())})
	}
}

// sessionDefault finds settings with which the same statements mean something else,
// or may not do what they did.
func (j *judge) sessionDefault(s *ast.VariableSetStmt) {
	name := lower(s.GetName())
	if slices.Contains(telling, name) {
		j.report(Finding{Hazard: sessionDefaultChange, Message: fmt.Sprintf("%s is another for connections to come: "+
			"the same statements of code that runs mean something else, or fail", name)})
		return
	}
	j.because("it holds for sessions to come, and changes what no statement means")
}

// telling are settings on which it depends what a statement means or may do.
var telling = []string{
	"search_path", "default_transaction_read_only", "default_transaction_isolation", "timezone", "datestyle",
	"intervalstyle", "client_encoding",
	"standard_conforming_strings", "backslash_quote", "bytea_output", "array_nulls", "session_replication_role", "role",
	"row_security", "transform_null_equals",
	"default_table_access_method", "default_tablespace", "session_preload_libraries", "local_preload_libraries",
	"check_function_bodies", "lc_monetary", "lc_numeric", "lc_time",
}

func (j *judge) lockStatement(s *ast.LockStmt) {
	mode := Mode(s.Mode)
	for _, n := range s.Relations {
		r := j.relation(n.GetRangeVar())
		j.lockTree(r, mode)
		if j.harmless(r) || mode < Share {
			continue
		}
		j.report(Finding{Hazard: explicitLockTable, Evidence: j.wasThere(r),
			Message: fmt.Sprintf("%s to %s wait until the transaction ends", mode.Stops(), r.name)})
	}
}

func (j *judge) do(s *ast.DoStmt) {
	language := "plpgsql"
	for _, a := range s.Args {
		if d := a.GetDefElem(); d.GetDefname() == "language" {
			language = text(d.Arg)
		}
	}
	j.body(j.out.Text, language, "the block", block)
	if body, err := j.parser.Body(j.out.Text); err != nil || !j.converges(body) {
		j.repeated("DO")
	}
	if len(j.out.Findings) == 0 && !j.out.Opaque {
		j.because("every statement of the block was judged")
	}
}

func (j *judge) call(s *ast.CallStmt) {
	name := nameOf(texts(s.Funccall.GetFuncname()))
	procedures := lookup(j.model, j.functions, name)
	for _, p := range procedures {
		j.body(p.text, p.language, "the procedure "+name.String(), name.Object)
	}
	if len(procedures) == 0 {
		j.opaqueBody("what the procedure " + name.String() + " does is not known: it")
	}
	j.repeated("CALL")
}

// converges reports whether a block that was cut off comes to the same when it is
// run again: it commits what it has done, and deletes rows, or gives them values
// that do not depend on what they were.
func (j *judge) converges(body Body) bool {
	if !body.Commits || body.Dynamic {
		return false
	}
	for _, s := range body.Statements {
		nodes, err := j.parser.Parse(s.Text)
		if err != nil || len(nodes) != 1 {
			return false
		}
		update := nodes[0].GetUpdateStmt()
		if update == nil && nodes[0].GetDeleteStmt() == nil && nodes[0].GetSelectStmt() == nil {
			return false
		}
		for _, target := range update.GetTargetList() {
			if computesFromItself(target.GetResTarget().GetVal()) {
				return false
			}
		}
	}
	return true
}

// computesFromItself reports whether a new value is computed from columns by an
// operator, as a counter is; what functions make of a value, as trim() does, mostly
// stays the same the second time.
func computesFromItself(value *ast.Node) bool {
	found := false
	walk(value, func(n *ast.Node) bool {
		if e := n.GetAExpr(); e != nil && e.Kind == ast.A_Expr_Kind_AEXPR_OP && (e.Lexpr.GetColumnRef() != nil ||
			e.Rexpr.GetColumnRef() != nil) {
			found = found || !slices.Contains([]string{"=", "<>", "<", ">", "<=", ">="}, text(e.Name[len(e.Name)-1]))
		}
		return !found
	})
	return found
}

// repeated finds what may be done twice: outside a transaction, nobody can tell
// after a crash whether it was done.
func (j *judge) repeated(command string) {
	if j.current.alone {
		j.report(Finding{Hazard: nonIdempotentRerun,
			Message: fmt.Sprintf("after a crash nobody can tell whether this %s was done: it runs outside a transaction, and "+
				"a second time with the next run", command)})
	}
}

// context finds what is wrong with a statement because of those before it in the
// same transaction.
func (j *judge) context() {
	if j.current.alone {
		return
	}
	j.newValues()
	j.underLocks()
	j.severalTables()
	j.timeouts()
}

// strongest gives the strongest lock that the statement takes on a table.
func (j *judge) strongest() (Lock, *relation) {
	var lock Lock
	for _, l := range j.out.Effect.Locks {
		if l.Mode > lock.Mode {
			lock = l
		}
	}
	for _, r := range j.relations {
		if j.lockedAs(r) == lock.Table {
			return lock, r
		}
	}
	return lock, nil
}

// underLocks finds that rows are read, written or rewritten while the transaction
// holds a lock that others wait for.
func (j *judge) underLocks() {
	long := len(j.out.Effect.Scans)+len(j.out.Effect.Rewrites) > 0
	if !long {
		return
	}
	if slices.ContainsFunc(j.out.Findings,
		func(f Finding) bool { return f.Hazard == notValidThenValidateSameTransaction }) {
		return
	}
	worst := j.worstHeld()
	if worst == nil {
		return
	}
	h := j.tx.locks[worst]
	where := fmt.Sprintf("%s on %s, which line %d took", h.mode, worst.name, j.parsed[h.by].statement.Start.Line)
	if j.out.kind == dataChange {
		j.report(Finding{Hazard: backfillInDdlTransaction, Message: fmt.Sprintf("rows are changed under %s: %s wait "+
			"until that is done", where, h.mode.Stops()),
			Evidence: Evidence{FromText, where}, Rewrite: "-- in a migration of its own\n" + j.out.Text})
		return
	}
	table := append(slices.Clone(j.out.Effect.Scans), j.out.Effect.Rewrites...)[0]
	j.report(Finding{Hazard: scanWhileHoldingStrongLock,
		Message:  fmt.Sprintf("rows of %s are read under %s: %s wait until that is done", table, where, h.mode.Stops()),
		Evidence: Evidence{FromText, where}, Rewrite: "-- in a migration of its own\n" + j.out.Text, claim: claim{claimsScan,
			[]string{table}}})
}

// worstHeld is the table that statements before this one locked most strongly, so
// that somebody waits for it; nil where there is none.
func (j *judge) worstHeld() *relation {
	var worst *relation
	for r, h := range j.tx.locks {
		if h.mode < Share || h.by == j.at {
			continue
		}
		if worst == nil || h.mode > j.tx.locks[worst].mode || h.mode == j.tx.locks[worst].mode && compareNames(r.name,
			worst.name) < 0 {
			worst = r
		}
	}
	return worst
}

// severalTables finds that the transaction waits for a strong lock while it holds
// another, or that it makes a weak one strong.
func (j *judge) severalTables() {
	for _, l := range j.out.Effect.Locks {
		if l.Mode < ShareRowExclusive {
			continue
		}
		for r, by := range j.tx.changed {
			if j.lockedAs(r) == l.Table && by < j.at && l.Mode > j.tx.locks[r].mode {
				j.report(Finding{Hazard: lockUpgradeInTransaction,
					Message: fmt.Sprintf("line %d changed rows of %s, and now the transaction wants %s on it: with a writer that "+
						"waits for one of those rows it is a deadlock", j.parsed[by].statement.Start.Line, r.name, l.Mode),
					Rewrite: fmt.Sprintf("-- in a migration of its own, before the change of rows\n%s", j.out.Text)})
			}
		}
	}
	lock, r := j.strongest()
	if lock.Mode < ShareRowExclusive || r == nil {
		return
	}
	var other *relation
	for o, h := range j.tx.locks {
		if h.mode >= ShareRowExclusive && h.by != j.at && o != r && !together(o, r) && (other == nil || compareNames(o.name,
			other.name) < 0) {
			other = o
		}
	}
	if other == nil || j.tx.locks[r].mode >= lock.Mode {
		return
	}
	h := j.tx.locks[other]
	// whether code uses both tables the other way round, no file tells
	j.report(Finding{Hazard: multiTableLocksInOneTransaction, Verdict: Unknown,
		Message: fmt.Sprintf("the transaction waits for %s while it holds %s on %s since line %d: %s of %s wait as well, "+
			"and with code that uses both the other way round it is a deadlock",
			lock.Table, h.mode, other.name, j.parsed[h.by].statement.Start.Line, h.mode.Stops(), other.name),
		Rewrite: "-- in a migration of its own\n" + j.out.Text})
}

// together reports whether two tables are one partitioned table's.
func together(a, b *relation) bool { return root(a) == root(b) }

func root(r *relation) *relation {
	for r.parent != nil {
		r = r.parent
	}
	return r
}

// timeouts finds that the file lifts the limit on waiting for a lock that makes
// others wait.
func (j *judge) timeouts() {
	lock, r := j.strongest()
	if lock.Mode < Share || r == nil {
		return
	}
	value, set := j.tx.settings["lock_timeout"]
	if set {
		limit, ok := milliseconds(value)
		switch {
		case ok && limit == 0 || lower(value) == "default":
			j.report(Finding{Hazard: lockTimeoutDisabled,
				Message: fmt.Sprintf("the file lifts lock_timeout: while the statement waits for %s, everybody behind it waits "+
					"too, without end", lock.Table),
				Rewrite: "-- without the setting of lock_timeout: whimbrel backs off and tries again\n" + j.out.Text})
		case ok && limit > longTimeout:
			j.report(Finding{Hazard: timeoutTooLong,
				Message: fmt.Sprintf("for up to %s %s of %s wait behind the statement while it waits", limit, lock.Mode.Stops(),
					lock.Table),
				Rewrite: "-- without the setting of lock_timeout: whimbrel backs off and tries again\n" + j.out.Text})
		}
	}
}

// longTimeout is a wait that people notice.
const longTimeout = 5 * time.Second

// set follows search_path, the one setting that changes what names mean.
func (m *model) set(s *ast.VariableSetStmt) {
	if s.Name != "search_path" {
		return
	}
	if s.Kind == ast.VariableSetKind_VAR_SET_VALUE {
		m.setPath(texts(s.Args))
		return
	}
	m.path = []string{public}
}

func (m *model) setPath(schemas []string) {
	m.path = nil
	for _, s := range schemas {
		s = strings.Trim(strings.TrimSpace(s), `"`)
		if s != "" && s != "$user" {
			m.path = append(m.path, s)
		}
	}
	if len(m.path) == 0 {
		m.path = []string{public}
	}
}
