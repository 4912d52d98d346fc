package lint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
)

// dataStatement judges what reads and changes rows, and tells whether it knew the
// statement.
func (j *judge) dataStatement(n *ast.Node) bool {
	switch s := n.GetNode().(type) {
	case *ast.Node_UpdateStmt:
		j.change(n, s.UpdateStmt.Relation, "UPDATE", s.UpdateStmt.WhereClause, s.UpdateStmt.FromClause)
	case *ast.Node_DeleteStmt:
		j.change(n, s.DeleteStmt.Relation, "DELETE", s.DeleteStmt.WhereClause, s.DeleteStmt.UsingClause)
	case *ast.Node_InsertStmt:
		j.insert(n, s.InsertStmt)
	case *ast.Node_MergeStmt:
		j.change(n, s.MergeStmt.Relation, "MERGE", nil, []*ast.Node{s.MergeStmt.SourceRelation})
	case *ast.Node_SelectStmt:
		j.read(n, s.SelectStmt)
	case *ast.Node_CreateTableAsStmt:
		j.out.kind = reading
		if s.CreateTableAsStmt.GetInto().GetSkipData() {
			j.because("it holds no rows until it is refreshed")
		}
		j.reads(s.CreateTableAsStmt.Query)
		j.because("rows are read beside reads and writes, and what is made is new")
	case *ast.Node_CopyStmt:
		j.copyStatement(s.CopyStmt)
	case *ast.Node_ExplainStmt:
		return j.dataStatement(s.ExplainStmt.Query)
	default:
		return false
	}
	return true
}

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
	for _, clause := range s.LockingClause {
		for _, u := range j.uses(n) {
			_ = clause
			j.lockTree(u.of, RowShare)
		}
	}
	j.changesIn(n)
	j.calls(n)
	if s.IntoClause == nil && j.current.statement.Assert == nil && len(s.FromClause) > 0 {
		for _, u := range j.uses(n) {
			if s.LimitCount == nil && !j.bounded(u.of, s.WhereClause) && !j.few(u.of) {
				j.scan(u.of)
			}
		}
	}
	if len(j.out.Findings) == 0 && !j.out.Opaque {
		j.because("it reads, which stops nobody")
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
			j.change(inner, s.UpdateStmt.Relation, "UPDATE", s.UpdateStmt.WhereClause, s.UpdateStmt.FromClause)
			return false
		case *ast.Node_DeleteStmt:
			j.change(inner, s.DeleteStmt.Relation, "DELETE", s.DeleteStmt.WhereClause, s.DeleteStmt.UsingClause)
			return false
		case *ast.Node_InsertStmt:
			j.insert(inner, s.InsertStmt)
			return false
		}
		return true
	})
}

// calls looks into the functions that a statement calls, as far as migrations made
// them, and says so where they may do anything.
func (j *judge) calls(n *ast.Node) {
	if j.inner {
		return
	}
	walk(n, func(n *ast.Node) bool {
		call := n.GetFuncCall()
		if call == nil {
			return true
		}
		name := nameOf(texts(call.Funcname))
		for _, f := range lookup(j.model, j.functions, name) {
			if f.volatility != "volatile" || f.expr != nil {
				continue
			}
			j.body(f.text, f.language, "the function "+name.String()+"()")
		}
		if _, isBuiltin := catalogFunctions()[name.Object]; !isBuiltin && len(lookup(j.model, j.functions, name)) == 0 {
			if _, known := fromExtensions[name.Object]; !known {
				j.opaque("what the function " + name.String() + "() does is not known")
			}
		}
		return true
	})
}

// body judges what the text of a function would run.
func (j *judge) body(statement, language, what string) {
	if language != "plpgsql" {
		if language != "sql" {
			j.opaqueBody(what + " is not in a language that can be read")
		}
		return
	}
	body, err := j.parser.Body(statement)
	if err != nil {
		j.opaqueBody(what + " cannot be read: " + err.Error())
		return
	}
	if body.Dynamic {
		j.opaqueBody(what + " puts statements together while it runs")
	}
	j.inner = true
	defer func() { j.inner = false }()
	for _, text := range body.Statements {
		nodes, err := j.parser.Parse(text)
		if err != nil || len(nodes) != 1 {
			j.opaqueBody(what + " holds a statement that was not understood")
			continue
		}
		j.statement(nodes[0])
		if nodes[0].GetAlterTableStmt() == nil {
			j.apply(nodes[0])
		}
	}
}

// opaqueBody reports what cannot be known without running it.
func (j *judge) opaqueBody(reason string) {
	j.out.Opaque = true
	j.report(Finding{Hazard: "opaque-dynamic-ddl", Verdict: Unknown, Message: reason + "; only a rehearsal can tell what it does"})
}

// change judges UPDATE, DELETE and MERGE.
func (j *judge) change(n *ast.Node, target *ast.RangeVar, verb string, where *ast.Node, from []*ast.Node) {
	j.out.kind = dataChange
	r := j.relation(target)
	j.lockTree(r, RowExclusive)
	if update := n.GetUpdateStmt(); update != nil {
		if columns := targets(update.TargetList); len(columns) > 0 {
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
	if j.harmless(r) {
		return
	}
	if j.current.statement.Batch != nil {
		j.because("it runs in batches, each a short transaction")
		return
	}
	if r.kind == view || r.kind == foreignTable {
		j.because(r.name.String() + " is no table of this database")
		return
	}
	if why := j.boundedBy(r, where); why != "" {
		j.because(why)
		return
	}
	if limited(from) {
		j.because("the rows come from a subquery with LIMIT")
		return
	}
	j.scan(r)
	if j.small(r) {
		return
	}
	j.report(Finding{Hazard: "unbatched-data-change", Evidence: j.wasThere(r), Message: fmt.Sprintf("%s of any number of rows of %s in one transaction: each stays locked until it ends, and replicas and vacuum fall behind", verb, r.name),
		Rewrite: j.batched(r, n, verb, where)})
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

func (j *judge) batched(r *relation, n *ast.Node, verb string, where *ast.Node) string {
	key := j.keyOf(r)
	range_ := fmt.Sprintf("%s > :from AND %[1]s <= :to", key)
	text := j.out.Text
	switch {
	case verb == "MERGE" || j.inner || n != j.current.node:
		return fmt.Sprintf("-- +migrate Batch %s by %s\n-- the change, for rows with %s;", r.name, key, range_)
	case where == nil:
		if u := n.GetUpdateStmt(); u != nil && len(u.ReturningList) == 0 || n.GetDeleteStmt() != nil {
			text += " WHERE " + range_
		}
	default:
		text = insertBehind(text, "WHERE", " "+range_+" AND (")
		text += ")"
	}
	return fmt.Sprintf("-- +migrate Batch %s by %s\n%s;", r.name, key, text)
}

func (j *judge) insert(n *ast.Node, s *ast.InsertStmt) {
	j.out.kind = dataChange
	r := j.relation(s.Relation)
	j.lockParts(r, RowExclusive)
	j.lockReferenced(r, targets(s.Cols))
	j.changesIn(n)
	source := s.SelectStmt.GetSelectStmt()
	if source == nil || len(source.ValuesLists) > 0 || len(source.FromClause) == 0 && source.WithClause == nil && source.Larg == nil {
		j.changed(r)
		j.because("the rows stand in the statement")
		return
	}
	j.changed(r)
	var from []*relation
	for _, with := range s.WithClause.GetCtes() {
		for _, u := range j.usesWithin(with, n) {
			j.lockRead(u.of)
		}
	}
	for _, u := range j.usesWithin(s.SelectStmt, n) {
		j.lockRead(u.of)
		from = append(from, u.of)
	}
	switch {
	case j.current.statement.Batch != nil:
		j.because("it runs in batches, each a short transaction")
		return
	case source.LimitCount != nil:
		j.because("LIMIT bounds the number of rows")
		return
	}
	for _, of := range from {
		if j.isNew(of) || of.kind == view && len(of.reads) == 0 && !of.assumed {
			continue
		}
		if of.name.Schema == catalogSchema || of.name.Schema == "information_schema" {
			continue
		}
		if why := j.boundedBy(of, source.WhereClause); why != "" {
			j.because(why)
			continue
		}
		j.scan(of)
		if j.small(of) {
			continue
		}
		j.report(Finding{Hazard: "unbatched-data-change", Evidence: j.wasThere(of),
			Message: fmt.Sprintf("any number of rows of %s are copied to %s in one transaction: vacuum waits for its end, and so does whoever writes the same rows", of.name, r.name),
			Rewrite: fmt.Sprintf("-- +migrate Batch %s by %s\n%s;", of.name, j.keyOf(of), j.boundSource(of, source.WhereClause))})
		return
	}
	if len(j.out.Findings) == 0 {
		j.because("the rows come from what this migration made, or are few")
	}
}

func (j *judge) boundSource(of *relation, where *ast.Node) string {
	range_ := fmt.Sprintf("%s > :from AND %[1]s <= :to", j.keyOf(of))
	if where == nil {
		return j.out.Text + " WHERE " + range_
	}
	return insertBehind(j.out.Text, "WHERE", " "+range_+" AND (") + ")"
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

func (j *judge) bounded(r *relation, where *ast.Node) bool { return j.boundedBy(r, where) != "" }

// boundedBy says what keeps the number of rows that a condition picks small: a key
// that equals a constant, or lies in a short range. It is empty where nothing does.
func (j *judge) boundedBy(r *relation, where *ast.Node) string {
	var equal []string
	low, high := map[string]float64{}, map[string]float64{}
	for _, n := range conjuncts(where) {
		if c := n.GetAConst(); c != nil && c.GetBoolval() != nil && !c.GetBoolval().Boolval {
			return "its condition is never true"
		}
		if s := n.GetSubLink(); s != nil && limited([]*ast.Node{s.Subselect}) {
			return "a subquery with LIMIT picks the rows"
		}
		if n.GetCurrentOfExpr() != nil {
			return "it changes the row of a cursor"
		}
		column, values := equalTo(n)
		if column != "" && values <= manyRows {
			equal = append(equal, column)
		}
		if name, from, to, ok := between(n); ok {
			low[name], high[name] = from, to
		}
		bound(n, low, high)
	}
	if len(equal) > 0 {
		if r.assumed && slices.ContainsFunc(equal, func(c string) bool { return c == "id" || c == "uuid" }) || j.unique(r, equal) {
			return "its key picks the rows"
		}
		if slices.Contains(equal, "ctid") {
			return "the rows' places pick them"
		}
	}
	for column, from := range low {
		to, ok := high[column]
		if ok && to-from <= manyRows && (j.unique(r, []string{column}) || r.assumed && column == "id") {
			return "a short range of its key picks the rows"
		}
	}
	return ""
}

// manyRows is how many rows one transaction may change.
const manyRows = 10_000

// limited reports whether a query ends after a number of rows.
func limited(from []*ast.Node) bool {
	found := false
	for _, n := range from {
		walk(n, func(n *ast.Node) bool {
			if s := n.GetSelectStmt(); s != nil && s.LimitCount != nil {
				found = true
			}
			return !found
		})
	}
	return found
}

// equalTo reads a condition that a column equals one of some constants, and gives
// the column and how many there are.
func equalTo(n *ast.Node) (string, int) {
	e := n.GetAExpr()
	if e == nil || len(e.Name) != 1 || text(e.Name[0]) != "=" {
		return "", 0
	}
	ref := e.Lexpr.GetColumnRef()
	other := e.Rexpr
	if ref == nil {
		ref, other = e.Rexpr.GetColumnRef(), e.Lexpr
	}
	if ref == nil {
		return "", 0
	}
	column := text(ref.Fields[len(ref.Fields)-1])
	switch {
	case e.Kind == ast.A_Expr_Kind_AEXPR_OP && isConstant(other):
		return column, 1
	case e.Kind == ast.A_Expr_Kind_AEXPR_OP && other.GetSubLink() != nil && other.GetSubLink().SubLinkType == ast.SubLinkType_EXPR_SUBLINK:
		return column, 1
	case e.Kind == ast.A_Expr_Kind_AEXPR_IN && other.GetList() != nil:
		for _, item := range other.GetList().Items {
			if !isConstant(item) {
				return "", 0
			}
		}
		return column, len(other.GetList().Items)
	case e.Kind == ast.A_Expr_Kind_AEXPR_OP_ANY:
		if a := other.GetAArrayExpr(); a != nil {
			return column, len(a.Elements)
		}
		if isConstant(other) {
			return column, strings.Count(text(other), ",") + 1
		}
	}
	return "", 0
}

// between reads column BETWEEN constant AND constant.
func between(n *ast.Node) (column string, from, to float64, ok bool) {
	e := n.GetAExpr()
	if e == nil || e.Kind != ast.A_Expr_Kind_AEXPR_BETWEEN || e.Lexpr.GetColumnRef() == nil {
		return "", 0, 0, false
	}
	bounds := e.Rexpr.GetList().GetItems()
	if len(bounds) != 2 {
		return "", 0, 0, false
	}
	from, err := strconv.ParseFloat(text(bounds[0]), 64)
	if err != nil {
		return "", 0, 0, false
	}
	to, err = strconv.ParseFloat(text(bounds[1]), 64)
	return columnsIn(e.Lexpr)[0], from, to, err == nil
}

// bound notes the bounds that a comparison sets.
func bound(n *ast.Node, low, high map[string]float64) {
	e := n.GetAExpr()
	if e == nil || e.Lexpr.GetColumnRef() == nil || len(e.Name) != 1 {
		return
	}
	column := columnsIn(e.Lexpr)[0]
	value, err := strconv.ParseFloat(text(e.Rexpr), 64)
	if err != nil {
		return
	}
	switch text(e.Name[0]) {
	case ">", ">=":
		low[column] = value
	case "<", "<=":
		high[column] = value
	}
}
