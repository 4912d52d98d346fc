package lint

import (
	"fmt"
	"slices"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
)

// reads locks what a query reads, and notes tables of which it goes through more
// than a key's worth of rows.
func (j *judge) reads(query *ast.Node) {
	for _, u := range j.uses(query) {
		j.lockRead(u.of)
	}
}

func (j *judge) lockRead(r *relation) {
	if r.kind == view {
		for _, u := range r.reads {
			j.lockRead(u.of)
		}
		return
	}
	j.lockTree(r, AccessShare)
}

func (j *judge) read(n *ast.Node, s *ast.SelectStmt) {
	j.out.kind = reading
	j.reads(n)
	j.changesIn(n)
	j.calls(n)
	j.effects(n)
	few, _ := j.pickSelect(s, j.ctes)
	if len(s.LockingClause) > 0 {
		j.lockRows(n, few)
	}
	if j.current.statement.Assert == nil {
		j.scansOf(n, s)
	}
	if len(j.out.Findings) == 0 && !j.out.Opaque {
		j.because("it reads, which stops nobody")
	}
}

// scansOf notes the tables of a query that may be gone through whole.
func (j *judge) scansOf(n *ast.Node, s *ast.SelectStmt) {
	for _, target := range s.TargetList { // of a query without FROM, as a condition is
		walk(target, func(n *ast.Node) bool {
			if inner := n.GetSubLink().GetSubselect(); inner.GetSelectStmt() != nil && len(s.FromClause) == 0 {
				j.scansOf(inner, inner.GetSelectStmt())
			}
			return true
		})
	}
	few, _ := j.pickSelect(s, j.ctes)
	if few != "" && !aggregates(s) || len(s.FromClause) == 0 {
		return
	}
	for _, u := range j.uses(n) {
		if !j.few(u.of) && !u.of.ofCatalog() {
			j.scan(u.of)
		}
	}
}

// lockRows judges FOR UPDATE and the other locking clauses.
func (j *judge) lockRows(n *ast.Node, few string) {
	for _, u := range j.uses(n) {
		j.lockTree(u.of, RowShare)
		if few == "" && !j.isNew(u.of) && !j.small(u.of) {
			j.report(Finding{Hazard: unbatchedDataChange, Evidence: j.wasThere(u.of),
				Message: fmt.Sprintf("any number of rows of %s stay locked until the transaction ends: writers of those rows wait",
					u.of.name)})
		}
	}
}

// changesIn finds the data-changing tables of WITH.
func (j *judge) changesIn(n *ast.Node) {
	walk(n, func(inner *ast.Node) bool {
		if inner == n {
			return true
		}
		switch s := inner.GetNode().(type) {
		case *ast.Node_UpdateStmt:
			j.update(inner, s.UpdateStmt)
			return false
		case *ast.Node_DeleteStmt:
			j.delete(inner, s.DeleteStmt)
			return false
		case *ast.Node_InsertStmt:
			j.insert(inner, s.InsertStmt)
			return false
		case *ast.Node_MergeStmt:
			j.merge(inner, s.MergeStmt)
			return false
		}
		return true
	})
}

// calls looks into the functions that a statement calls, as far as migrations made
// them, and says so where they may do anything.
func (j *judge) calls(n *ast.Node) { j.callsBut(n, nil) }

// callsBut is calls, without what has been looked into.
func (j *judge) callsBut(n *ast.Node, seen []*function) {
	walk(n, func(n *ast.Node) bool {
		call := n.GetFuncCall()
		if call == nil {
			return true
		}
		name := nameOf(texts(call.Funcname))
		if j.inner {
			if places := j.placesOf(name, call, nil); len(places) > 0 {
				j.doubt("what the function "+name.String()+"() does, which is called within another, was not looked at", places...)
			}
			return true
		}
		for _, f := range lookup(j.model, j.functions, name) {
			if f.volatility != "volatile" || slices.Contains(seen, f) {
				continue
			}
			if f.expr != nil { // which the planner writes in place of the call
				j.callsBut(f.expr, append(seen, f))
				continue
			}
			j.body(f.text, f.language, "the function "+name.String()+"()", name.Object)
		}
		if _, isBuiltin := catalogFunctions()[name.Object]; !isBuiltin && len(lookup(j.model, j.functions, name)) == 0 {
			if _, known := fromExtensions[name.Object]; !known {
				j.opaque("what the function " + name.String() + "() does is not known")
			}
		}
		return true
	})
}

// placesOf gives the places that must have run for a run to tell what a call does: those
// of the function's body, and of the bodies of functions that it calls in turn.
func (j *judge) placesOf(name Name, call *ast.FuncCall, seen []*function) (places []Place) {
	for _, f := range j.overloads(name, call) {
		if f.volatility != "volatile" || slices.Contains(seen, f) {
			continue
		}
		within := func(n *ast.Node) {
			walk(n, func(n *ast.Node) bool {
				if inner := n.GetFuncCall(); inner != nil {
					places = append(places, j.placesOf(nameOf(texts(inner.Funcname)), inner, append(seen, f))...)
				}
				return true
			})
		}
		if f.expr != nil { // which the planner writes in place of the call
			within(f.expr)
			continue
		}
		places = append(places, Place{Function: name.Object})
		statements := []string{f.body}
		if f.language == "plpgsql" {
			body, err := j.parser.Body(f.text)
			if err != nil {
				continue
			}
			places, statements = append(places, placesIn(name.Object, body.Places)...), nil
			for _, s := range body.Statements {
				places = append(places, placesIn(name.Object, []Place{s.Place})...)
				statements = append(statements, s.Text)
			}
		}
		for _, text := range statements {
			nodes, _ := j.parser.Parse(text) // what is no SQL calls nothing
			for _, n := range nodes {
				within(n)
			}
		}
	}
	return places
}

// body judges what the text of a function would run.
func (j *judge) body(statement, language, what, function string) {
	if language == "sql" {
		j.sqlBody(statement, what, function)
		return
	}
	if language != "plpgsql" {
		j.opaqueBody(what + " is not in a language that can be read")
		return
	}
	body, err := j.parser.Body(statement)
	if err != nil {
		j.opaqueBody(what + " cannot be read: " + err.Error())
		return
	}
	if body.Dynamic {
		j.opaqueBody(what+" puts statements together while it runs", placesIn(function, body.Places)...)
	}
	outer := j.bodyPlace
	j.inner, j.bodyPlace = true, bodyPlace{variables: body.Variables, commits: body.Commits}
	defer func() { j.inner, j.bodyPlace = false, outer }()
	for _, s := range body.Statements {
		nodes, err := j.parser.Parse(s.Text)
		if err != nil || len(nodes) != 1 {
			j.opaqueBody(what+" holds a statement that was not understood", placesIn(function, []Place{s.Place})...)
			continue
		}
		s.Place.Function = function
		j.conditional, j.places = s.Conditional, []Place{s.Place}
		j.out.places = append(j.out.places, s.Place)
		j.repeats = slices.ContainsFunc(s.Loops, func(l Loop) bool { return !j.short(l) })
		if s.Guessed {
			j.guess(nodes[0])
			continue
		}
		j.statement(nodes[0])()
	}
}

// bodyPlace is where in a body a statement is.
type bodyPlace struct {
	variables   []string
	repeats     bool // in a loop that may run any number of times in one transaction
	conditional bool // it may not run
	commits     bool // the body ends transactions
	guessed     bool // parts of it are not known
	places      []Place
}

// short reports whether a loop is done a few times.
func (j *judge) short(l Loop) bool {
	if l.Query == "" {
		return l.Few
	}
	nodes, err := j.parser.Parse(l.Query)
	if err != nil || len(nodes) != 1 {
		return false
	}
	why, _ := j.pickSelect(nodes[0].GetSelectStmt(), nil)
	return why != ""
}

// guess judges a statement of which parts are not known: what it does to tables
// that have no names yet is no effect that could be foretold.
func (j *judge) guess(n *ast.Node) {
	effect, known := j.out.Effect, map[*relation]bool{}
	for _, r := range j.relations {
		known[r] = true
	}
	j.guessed = true
	j.statement(n)
	j.guessed = false
	j.out.Effect = effect
	for name, r := range j.relations {
		if !known[r] {
			delete(j.relations, name)
		}
	}
}

// sqlBody judges the statements of a function in SQL.
func (j *judge) sqlBody(statement, what, function string) {
	trees, err := j.parser.Parse(statement)
	if err != nil || len(trees) != 1 {
		j.opaqueBody(what + " cannot be read")
		return
	}
	inside, err := j.insideOf(trees[0].GetCreateFunctionStmt())
	if err != nil {
		j.opaqueBody(what + " holds a statement that was not understood")
		return
	}
	outer := j.places
	j.inner, j.places = true, []Place{{Function: function}}
	j.out.places = append(j.out.places, j.places...)
	defer func() { j.inner, j.places = false, outer }()
	for _, n := range inside {
		j.statement(n)()
	}
}

// insideOf gives the statements of a function in SQL.
func (j *judge) insideOf(s *ast.CreateFunctionStmt) (inside []*ast.Node, err error) {
	if list := s.GetSqlBody().GetList(); list != nil {
		for _, n := range list.Items {
			inside = append(inside, n.GetList().GetItems()...)
		}
	}
	for _, o := range s.GetOptions() {
		if d := o.GetDefElem(); d.GetDefname() == "as" && len(d.Arg.GetList().GetItems()) > 0 {
			if inside, err = j.parser.Parse(text(d.Arg.GetList().Items[0])); err != nil {
				return nil, err
			}
		}
	}
	return inside, nil
}

// analysed locks what a function in SQL names: the server looks at its body when it is
// made, and keeps the locks that it takes for that.
func (j *judge) analysed(s *ast.CreateFunctionStmt) {
	if languageOf(s) != "sql" {
		return
	}
	inside, err := j.insideOf(s)
	if err != nil {
		return // the server refuses it
	}
	for _, n := range inside {
		target := changedBy(n)
		walk(n, func(n *ast.Node) bool {
			if r := j.find(nameOfRange(n.GetRangeVar())); n.GetRangeVar() != nil && r != nil {
				j.lockNamed(r)
			}
			return true
		})
		if r := j.find(nameOfRange(target)); target != nil && r != nil {
			j.lock(r, RowExclusive)
		}
	}
}

// languageOf gives the language of a function.
func languageOf(s *ast.CreateFunctionStmt) string {
	for _, o := range s.Options {
		if d := o.GetDefElem(); d.GetDefname() == "language" {
			return strings.ToLower(text(d.Arg))
		}
	}
	return "sql"
}

// lockNamed locks a table as who only looks at a statement does, and those of a view.
func (j *judge) lockNamed(r *relation) {
	if r.kind == view {
		for _, u := range r.reads {
			j.lockNamed(u.of)
		}
		return
	}
	j.lock(r, AccessShare)
}

// changedBy is the table that a statement changes the rows of.
func changedBy(n *ast.Node) *ast.RangeVar {
	switch s := n.GetNode().(type) {
	case *ast.Node_InsertStmt:
		return s.InsertStmt.Relation
	case *ast.Node_UpdateStmt:
		return s.UpdateStmt.Relation
	case *ast.Node_DeleteStmt:
		return s.DeleteStmt.Relation
	}
	return nil
}

// opaqueBody reports what cannot be known without running it.
// opaqueBody says that what a body does cannot be read from its text; places are where
// that is, nil if nowhere in particular: then a run does not tell whether all of it ran.
func (j *judge) opaqueBody(reason string, places ...Place) {
	j.out.Opaque = true
	j.out.doubts = append(j.out.doubts, doubt{reason: reason, places: places, lasting: len(places) == 0})
	outer := j.places
	j.places = places
	defer func() { j.places = outer }()
	j.report(Finding{Hazard: opaqueDynamicDdl, Verdict: Unknown,
		Message: reason + "; only a rehearsal can tell what it does"})
}

// fires looks for triggers whose functions put statements together, or run others than
// those that read and change rows: what they do is known where they ran, and there alone.
func (j *judge) fires(r *relation, e event, columns ...string) {
	for _, trigger := range r.triggersOn(e, columns...) {
		name := nameOf(texts(trigger.GetFuncname()))
		for _, f := range lookup(j.model, j.functions, name) {
			if f.language != "plpgsql" {
				continue
			}
			body, err := j.parser.Body(f.text)
			if err != nil {
				continue
			}
			places := body.Places
			for _, s := range body.Statements {
				if !j.onRows(s.Text) {
					places = append(places, s.Place)
				}
			}
			if len(places) > 0 {
				j.doubt("what the trigger "+quoted(trigger.GetTrigname())+" does is known where it has run",
					placesIn(name.Object, places)...)
			}
		}
	}
}

// onRows reports whether a statement of a body reads or changes rows, and nothing else.
func (j *judge) onRows(text string) bool {
	nodes, err := j.parser.Parse(text)
	return err != nil || !slices.ContainsFunc(nodes, func(n *ast.Node) bool {
		return n.GetSelectStmt() == nil && n.GetInsertStmt() == nil && n.GetUpdateStmt() == nil &&
			n.GetDeleteStmt() == nil && n.GetMergeStmt() == nil
	})
}

func (j *judge) update(n *ast.Node, s *ast.UpdateStmt) {
	ctes := j.pickWith(s.WithClause, j.ctes)
	j.change(n, s.Relation, "UPDATE", j.pickTarget(s.Relation, s.WhereClause, s.FromClause, ctes))
}

func (j *judge) delete(n *ast.Node, s *ast.DeleteStmt) {
	ctes := j.pickWith(s.WithClause, j.ctes)
	j.change(n, s.Relation, "DELETE", j.pickTarget(s.Relation, s.WhereClause, s.UsingClause, ctes))
}

func (j *judge) merge(n *ast.Node, s *ast.MergeStmt) {
	source := []*ast.Node{s.SourceRelation}
	ctes := j.pickWith(s.WithClause, j.ctes)
	few := j.pickTarget(s.Relation, s.JoinCondition, source, ctes)
	if why, _ := j.pickAll(newSelection(source, nil, ctes)); why == "" {
		few = ""
	}
	j.change(n, s.Relation, "MERGE", few)
}

// change judges UPDATE, DELETE and MERGE. few says why the rows of the table that are
// changed are few, if they are.
func (j *judge) change(n *ast.Node, target *ast.RangeVar, verb, few string) {
	j.out.kind = dataChange
	r := j.relation(target)
	j.lockTree(r, RowExclusive)
	if j.before14() {
		j.lock(r.parent, AccessShare)
	}
	columns := targets(n.GetUpdateStmt().GetTargetList())
	j.fires(r, eventsOf(n), columns...)
	if n.GetUpdateStmt() != nil {
		if len(columns) > 0 {
			j.lockReferenced(r, columns)
			j.lockReferencing(r, columns)
		}
	} else {
		j.lockReferencing(r, nil)
	}
	for _, u := range j.uses(n) {
		if u.of != r {
			j.lockRead(u.of)
		}
	}
	j.changesIn(n)
	j.changed(r)
	if j.harmless(r) || j.catalogChange(r, verb) {
		return
	}
	if j.current.statement.Batch != nil {
		j.because("it runs in batches, each a short transaction")
		return
	}
	for r.kind == view && len(r.reads) == 1 { // whose rows are those of a table
		r = r.reads[0].of
		j.lockTree(r, RowExclusive)
	}
	if r.kind == view || r.kind == foreignTable {
		j.because(r.name.String() + " is no table of this database")
		return
	}
	if few != "" && !j.repeats {
		j.because(few)
		return
	}
	j.scan(r)
	rewrite, why := j.batched(r, n, target)
	j.report(Finding{Hazard: unbatchedDataChange, Evidence: j.wasThere(r), Message: fmt.Sprintf("%s of any number "+
		"of rows of %s in one transaction: each stays locked until it ends, and replicas and vacuum fall behind", verb,
		r.name),
		Rewrite: rewrite, NotFixed: why})
}

// catalogChange finds that rows of the system's catalog are changed by hand, where
// the server checks nothing and tells no session.
func (j *judge) catalogChange(r *relation, verb string) bool {
	if r.name.Schema != catalogSchema {
		return false
	}
	j.report(Finding{Hazard: catalogChange, Message: fmt.Sprintf("%s of %s goes behind the server's back: it checks "+
		"nothing, and what depends on the rows is not told", verb, r.name)})
	return true
}

// changed notes that the transaction has changed rows.
func (j *judge) changed(r *relation) {
	if j.isNew(r) {
		return
	}
	if _, ok := j.tx.changed[r]; !ok {
		j.tx.changed[r] = j.at
	}
}

// batched writes a change of rows so that it runs in ranges of the table's key, and says
// why that might not come to the same.
func (j *judge) batched(r *relation, n *ast.Node, target *ast.RangeVar) (rewrite, why string) {
	b, ok := j.batchOf(r)
	switch {
	case j.inner || n != j.current.node || n.GetMergeStmt() != nil:
		return "", "it is part of another statement, or a MERGE"
	case !ok:
		return "", r.name.String() + " has no key by which it can be gone through in batches"
	case j.find(nameOfRange(target)) != r:
		return "", "it goes through a view"
	}
	alias := ""
	if len(n.GetUpdateStmt().GetFromClause())+len(n.GetDeleteStmt().GetUsingClause()) > 0 {
		alias = target.Relname
		if target.Alias != nil {
			alias = target.Alias.Aliasname
		}
	}
	rewrite = b.mark() + "\n" + spotsOf(j.out.Text).restrict(b.where(alias), "RETURNING") + ";"
	return rewrite, j.unlikeInBatches(r, b, n)
}

func (j *judge) insert(n *ast.Node, s *ast.InsertStmt) {
	j.out.kind = dataChange
	r := j.relation(s.Relation)
	j.lockParts(r, RowExclusive)
	j.lockReferenced(r, targets(s.Cols))
	j.fires(r, eventsOf(n))
	j.changesIn(n)
	if j.catalogChange(r, "INSERT") {
		return
	}
	j.conflict(r, s.OnConflictClause)
	source := s.SelectStmt.GetSelectStmt()
	if source == nil || len(source.ValuesLists) > 0 || len(source.FromClause) == 0 && source.WithClause == nil &&
		source.Larg == nil {
		j.changed(r)
		if j.repeats && !j.harmless(r) {
			j.report(Finding{Hazard: unbatchedDataChange, Evidence: j.wasThere(r),
				Message: fmt.Sprintf("the loop adds any number of rows to %s in one transaction: vacuum waits for its end, and "+
					"so does anyone who writes the same rows", r.name)})
			return
		}
		j.because("the rows are in the statement")
		return
	}
	j.changed(r)
	for _, with := range s.WithClause.GetCtes() {
		for _, u := range j.usesWithin(with, n) {
			j.lockRead(u.of)
		}
	}
	for _, u := range j.usesWithin(s.SelectStmt, n) {
		j.lockRead(u.of)
	}
	if j.current.statement.Batch != nil {
		j.because("it runs in batches, each a short transaction")
		return
	}
	why, many := j.pickSelect(source, j.pickWith(s.WithClause, j.ctes))
	if why != "" {
		j.because(why)
		return
	}
	if many == nil {
		many = r
	}
	j.scan(many)
	rewrite, unlike := j.copySlowly(n, many, source)
	j.report(Finding{Hazard: unbatchedDataChange, Evidence: j.wasThere(many),
		Message: fmt.Sprintf("any number of rows of %s are copied to %s in one transaction: vacuum waits for its end, and "+
			"so does anyone who writes the same rows", many.name, r.name),
		Rewrite: rewrite, NotFixed: unlike})
}

// conflict finds ON CONFLICT of columns that no unique index has.
func (j *judge) conflict(r *relation, s *ast.OnConflictClause) {
	if s.GetInfer() == nil || s.Infer.Conname != "" || s.Infer.WhereClause != nil || r.assumed || r.kind != table {
		return
	}
	var columns []string
	for _, n := range s.Infer.IndexElems {
		if n.GetIndexElem().GetName() == "" {
			return
		}
		columns = append(columns, n.GetIndexElem().Name)
	}
	slices.Sort(columns)
	if !slices.ContainsFunc(j.indexesOf(r), func(i *index) bool {
		return i.unique && len(i.columns) > 0 && slices.Equal(slices.Sorted(slices.Values(i.columns)), columns)
	}) {
		j.report(Finding{Hazard: statementFails, claim: claim{kind: claimsError}, Evidence: Evidence{j.source(r),
			"its indexes are known"},
			Message: fmt.Sprintf("%s has no unique index on %s, which ON CONFLICT needs: the statement fails", r.name,
				strings.Join(columns, ", "))})
	}
}

// copySlowly is the copy in batches, where the query is a plain one.
func (j *judge) copySlowly(n *ast.Node, of *relation, source *ast.SelectStmt) (rewrite, why string) {
	plain := n == j.current.node && !j.inner && len(source.FromClause) == 1 &&
		source.FromClause[0].GetRangeVar() != nil && source.WithClause == nil &&
		len(source.GroupClause)+len(source.SortClause)+len(source.DistinctClause)+len(source.WindowClause)+
			len(source.LockingClause) == 0 &&
		n.GetInsertStmt().WithClause == nil && source.LimitCount == nil && source.LimitOffset == nil &&
		source.HavingClause == nil
	walk(n, func(n *ast.Node) bool {
		plain = plain && n.GetFuncCall().GetOver() == nil
		return plain
	})
	plain = plain && !aggregates(source)
	b, ok := j.batchOf(of)
	target := n.GetInsertStmt().GetRelation()
	switch {
	case !plain:
		return "", "its query is not a plain one of a single table"
	case !ok:
		return "", of.name.String() + " has no key by which it can be gone through in batches"
	case j.find(nameOfRange(source.FromClause[0].GetRangeVar())) != of:
		return "", "it reads a view"
	case j.find(nameOfRange(target)) == of:
		return "", "it reads the rows that it adds"
	}
	rewrite = b.mark() + "\n" + spotsOf(j.out.Text).restrict(b.where(""), "ON", "RETURNING") + ";"
	return rewrite, j.unlikeInBatches(of, b, n)
}

// lockParts locks a table and its partitions, in any of which a row may belong.
func (j *judge) lockParts(r *relation, mode Mode) {
	for _, part := range r.parts() {
		j.lock(part, mode)
	}
}

// lockReferenced locks what foreign keys make a statement look up that writes the
// columns of a table, or all of them: if it writes a row, and not NULL.
func (j *judge) lockReferenced(r *relation, columns []string) {
	for _, c := range r.constraints {
		if c.kind == ast.ConstrType_CONSTR_FOREIGN && c.to != nil && (len(columns) == 0 || common(c.columns, columns)) {
			j.lock(c.to, RowShare)
		}
	}
}

// lockReferencing locks what refers to rows that a statement deletes, or of which it
// changes the columns: if there is such a row.
func (j *judge) lockReferencing(r *relation, columns []string) {
	for other, keys := range j.references(r) {
		for _, c := range keys {
			action := c.onDelete
			if columns != nil {
				if !common(c.toColumns, columns) {
					continue
				}
				action = c.onUpdate
			}
			mode := RowShare
			if action == "c" || action == "n" || action == "d" { // cascade, set null, set default
				mode = RowExclusive
			}
			j.lock(other, mode)
		}
	}
}

func common(a, b []string) bool {
	return slices.ContainsFunc(a, func(name string) bool { return slices.Contains(b, name) })
}

// targets are the columns that a statement writes, by their names.
func targets(list []*ast.Node) []string {
	var all []string
	for _, n := range list {
		if name := n.GetResTarget().GetName(); name != "" {
			all = append(all, name)
		}
	}
	return all
}

func (j *judge) copyStatement(s *ast.CopyStmt) {
	if s.Relation != nil && s.IsFrom {
		j.out.kind = dataChange
		r := j.relation(s.Relation)
		j.lockParts(r, RowExclusive)
		j.lockReferenced(r, texts(s.Attlist))
		j.fires(r, onInsert)
		j.changed(r)
		j.because("the rows are added; none that is there is touched")
		return
	}
	j.out.kind = reading
	if s.Relation != nil {
		j.lockRead(j.relation(s.Relation))
	} else {
		j.reads(s.Query)
	}
	j.because("it reads, which stops nobody")
}

func (j *judge) truncateStatement(s *ast.TruncateStmt) {
	for _, n := range s.Relations {
		r := j.relation(n.GetRangeVar())
		j.lockTree(r, AccessExclusive)
		if s.Behavior == ast.DropBehavior_DROP_CASCADE {
			var others, emptied []string
			for other := range j.references(r) {
				if other != r {
					j.lockTree(other, AccessExclusive)
					emptied = append(emptied, leaves(other)...)
					others = append(others, other.name.String())
				}
			}
			slices.Sort(others)
			message := "every table that references it is emptied as well"
			if len(others) > 0 {
				message = join(others) + " are emptied as well, since they reference it"
			}
			if !j.isNew(r) && (r.assumed || len(others) > 0) {
				j.report(Finding{Hazard: truncateCascade, claim: claim{claimsRewrite, emptied}, Message: message,
					Evidence: j.wasThere(r), Rewrite: j.truncateByName(s)})
			}
		}
		if j.harmless(r) {
			continue
		}
		j.report(Finding{Hazard: truncate, claim: claim{claimsRewrite, leaves(r)}, Evidence: j.wasThere(r),
			Message: fmt.Sprintf("all rows of %s are lost, and nobody can read or write it until the transaction ends", r.name),
			Rewrite: j.deleteSlowly(r)})
	}
}

// truncateByName names the tables that CASCADE would empty.
func (j *judge) truncateByName(s *ast.TruncateStmt) string {
	var all []*relation
	for _, n := range s.Relations {
		r := j.relation(n.GetRangeVar())
		if r.assumed {
			return ""
		}
		all = append(all, r)
	}
	for i := 0; i < len(all); i++ {
		for other := range j.references(all[i]) {
			if !slices.Contains(all, other) {
				all = append(all, other)
			}
		}
	}
	var written []string
	for _, r := range all {
		written = append(written, j.written(r))
	}
	slices.Sort(written)
	return "TRUNCATE " + strings.Join(written, ", ") + ";"
}

func (j *judge) deleteSlowly(r *relation) string {
	b, ok := j.batchOf(r)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s\nDELETE FROM %s WHERE %s;", b.mark(), b.table, b.where(""))
}
