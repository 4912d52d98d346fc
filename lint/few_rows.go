package lint

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
)

// manyRows is how many rows one transaction may change.
const manyRows = 10_000

// selection is one level of a query: what is in FROM, and the conditions that
// pick its rows.
type selection struct {
	items      []item
	conditions []*ast.Node
	few        map[string]string // names in FROM whose rows are few, and why
	ctes       map[string]string // those of WITH likewise; "" for many
}

// item is something in FROM.
type item struct {
	name   string // by which the level's expressions mean it
	table  *ast.RangeVar
	target bool // it is the table that is changed, which no WITH can mean
	query  *ast.SelectStmt
	others bool // a function, or what else makes rows of no table
}

// pickSelect says what keeps the number of a query's rows small; where nothing does,
// why is empty, and many is a table of which there may be any number.
func (j *judge) pickSelect(s *ast.SelectStmt, outer map[string]string) (why string, many *relation) {
	switch {
	case s == nil:
		return "", nil
	case len(s.ValuesLists) > 0 || len(s.FromClause) == 0 && s.Larg == nil:
		return "the rows are in the statement", nil
	case limits(s.LimitCount):
		return "LIMIT bounds the number of rows", nil
	}
	ctes := j.pickWith(s.WithClause, outer)
	if s.Larg != nil {
		why, many = j.pickSelect(s.Larg, ctes)
		if why == "" {
			return "", many
		}
		return j.pickSelect(s.Rarg, ctes)
	}
	if aggregates(s) {
		return "an aggregate is a single row", nil
	}
	return j.pickAll(newSelection(s.FromClause, s.WhereClause, ctes))
}

// pickTarget is pickSelect for the rows of the table that UPDATE or DELETE changes.
func (j *judge) pickTarget(target *ast.RangeVar, where *ast.Node, from []*ast.Node,
	ctes map[string]string) (why string) {
	s := newSelection(append([]*ast.Node{{Node: &ast.Node_RangeVar{RangeVar: target}}}, from...), where, ctes)
	for _, n := range s.conditions {
		if c := n.GetAConst(); c != nil && c.GetBoolval() != nil && !c.GetBoolval().Boolval {
			return "its condition is never true"
		}
		if n.GetCurrentOfExpr() != nil {
			return "it changes the row of a cursor"
		}
	}
	s.items[0].target = true
	j.settleFew(&s)
	return s.few[s.items[0].name]
}

// pickWith says of the queries of WITH whether their rows are few.
func (j *judge) pickWith(with *ast.WithClause, outer map[string]string) map[string]string {
	all := map[string]string{}
	for name, why := range outer {
		all[name] = why
	}
	for _, n := range with.GetCtes() {
		c := n.GetCommonTableExpr()
		if with.Recursive {
			all[c.Ctename] = ""
		}
		switch q := c.GetCtequery().GetNode().(type) {
		case *ast.Node_SelectStmt:
			all[c.Ctename], _ = j.pickSelect(q.SelectStmt, all)
		case *ast.Node_UpdateStmt:
			all[c.Ctename] = j.pickTarget(q.UpdateStmt.Relation, q.UpdateStmt.WhereClause, q.UpdateStmt.FromClause, all)
		case *ast.Node_DeleteStmt:
			all[c.Ctename] = j.pickTarget(q.DeleteStmt.Relation, q.DeleteStmt.WhereClause, q.DeleteStmt.UsingClause, all)
		case *ast.Node_InsertStmt:
			all[c.Ctename], _ = j.pickSelect(q.InsertStmt.SelectStmt.GetSelectStmt(), all)
		default:
			all[c.Ctename] = ""
		}
		if with.Recursive && !limits(c.GetCtequery().GetSelectStmt().GetLimitCount()) {
			all[c.Ctename] = ""
		}
	}
	return all
}

// pickAll asks it of all that is in FROM.
func (j *judge) pickAll(s selection) (why string, many *relation) {
	j.settleFew(&s)
	why = "the rows come from what this migration made, or are few"
	for _, i := range s.items {
		if s.few[i.name] == "" {
			if i.table == nil || i.table.Schemaname == "" && s.isCTE(i.table.Relname) {
				return "", j.manyIn(s)
			}
			return "", j.relation(i.table)
		}
		why = s.few[i.name]
	}
	return why, nil
}

// manyIn is a table of the level, for the message where a subquery is to blame.
func (j *judge) manyIn(s selection) *relation {
	for _, i := range s.items {
		if i.query != nil {
			if _, many := j.pickSelect(i.query, s.ctes); many != nil {
				return many
			}
		}
	}
	return nil
}

func (s selection) isCTE(name string) bool { _, is := s.ctes[name]; return is }

// newSelection takes the joins of FROM apart.
func newSelection(from []*ast.Node, where *ast.Node, ctes map[string]string) selection {
	s := selection{conditions: conjuncts(where), few: map[string]string{}, ctes: ctes}
	for _, n := range from {
		s.add(n)
	}
	return s
}

func (s *selection) add(n *ast.Node) {
	switch f := n.GetNode().(type) {
	case *ast.Node_RangeVar:
		name := f.RangeVar.Relname
		if f.RangeVar.Alias != nil {
			name = f.RangeVar.Alias.Aliasname
		}
		s.items = append(s.items, item{name: name, table: f.RangeVar})
	case *ast.Node_RangeSubselect:
		s.items = append(s.items, item{name: f.RangeSubselect.GetAlias().GetAliasname(),
			query: f.RangeSubselect.Subquery.GetSelectStmt()})
	case *ast.Node_JoinExpr:
		s.add(f.JoinExpr.Larg)
		s.add(f.JoinExpr.Rarg)
		for _, c := range conjuncts(f.JoinExpr.Quals) {
			columns := c.GetAExpr().GetLexpr().GetColumnRef() != nil && c.GetAExpr().GetRexpr().GetColumnRef() != nil
			if f.JoinExpr.Jointype == ast.JoinType_JOIN_INNER || columns {
				s.conditions = append(s.conditions, c)
			}
		}
	case *ast.Node_RangeTableSample:
		s.add(f.RangeTableSample.Relation)
	default:
		s.items = append(s.items, item{name: n.GetRangeFunction().GetAlias().GetAliasname(), others: true})
	}
}

// settleFew finds the items whose rows are few: by themselves, and then by joins
// with those.
func (j *judge) settleFew(s *selection) {
	for found := true; found; {
		found = false
		for _, i := range s.items {
			if s.few[i.name] == "" {
				s.few[i.name] = j.fewOf(i, s)
				found = found || s.few[i.name] != ""
			}
		}
	}
}

// fewOf says why an item's rows are few, and is empty where they may be many.
func (j *judge) fewOf(i item, s *selection) string {
	switch {
	case i.others:
		return "the rows come from a function"
	case i.query != nil:
		why, _ := j.pickSelect(i.query, s.ctes)
		return why
	case !i.target && i.table.Schemaname == "" && s.isCTE(i.table.Relname):
		return s.ctes[i.table.Relname]
	}
	r := j.relation(i.table)
	switch {
	case j.small(r):
		return fmt.Sprintf("%s has fewer than %d rows", r.name, fewRows)
	case j.isNew(r):
		return r.name.String() + " was made by this migration"
	case r.name.Schema == catalogSchema || r.name.Schema == "information_schema":
		return "the rows come from the catalog"
	case r.kind == view && len(r.reads) == 0 && !r.assumed:
		return r.name.String() + " reads no table"
	}
	return j.boundedBy(r, i.name, s.conditions, s.few)
}

// boundedBy says what keeps the number of rows that conditions pick small: a key
// that equals a constant, or lies in a short range. It is empty where nothing does.
func (j *judge) boundedBy(r *relation, alias string, conditions []*ast.Node, few map[string]string) string {
	for r.kind == view && len(r.reads) == 1 {
		r = r.reads[0].of
	}
	few = j.withVariables(few)
	var equal []string
	low, high := map[string]float64{}, map[string]float64{}
	for _, n := range conditions {
		if alternatives := disjuncts(n); len(alternatives) > 1 {
			if len(alternatives) <= manyRows && !slices.ContainsFunc(alternatives,
				func(n *ast.Node) bool { return j.boundedBy(r, alias, conjuncts(n), few) == "" }) {
				return "its key picks the rows"
			}
			continue
		}
		if j.limitedSelf(r, n) {
			return "a subquery with LIMIT picks the rows"
		}
		if column, values := equalTo(n, alias, few); column != "" && values <= manyRows {
			equal = append(equal, column)
		}
		bound(n, alias, low, high)
		if column, side := j.boundByVariable(n, alias); side != "" && j.commits {
			if side == ">" {
				low[column] = 0
			} else {
				high[column] = 0
			}
		}
	}
	if len(equal) > 0 {
		if r.assumed && slices.ContainsFunc(equal, func(c string) bool { return c == "id" || c == "uuid" }) || j.unique(r,
			equal) {
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

// withVariables adds those of the body around the statement, each of which has one
// value, and a row.
func (j *judge) withVariables(few map[string]string) map[string]string {
	if len(j.variables) == 0 {
		return few
	}
	all := maps.Clone(few)
	for _, name := range j.variables {
		all[name], all[variable+name] = "it is a variable", "it is a variable"
	}
	return all
}

// boundByVariable reads a condition that a column lies above or below a variable
// of the body, which then goes through a table piece by piece.
func (j *judge) boundByVariable(n *ast.Node, alias string) (column, side string) {
	e := n.GetAExpr()
	column, ok := columnOf(e.GetLexpr(), alias)
	variables, others := 0, 0
	walk(e.GetRexpr(), func(n *ast.Node) bool {
		if name, is := columnOf(n, ""); is && len(n.GetColumnRef().Fields) == 1 && slices.Contains(j.variables, name) {
			variables++
		} else if n.GetColumnRef() != nil || n.GetSubLink() != nil {
			others++
		}
		return true
	})
	if !ok || len(e.Name) != 1 || variables == 0 || others > 0 {
		return "", ""
	}
	return column, text(e.Name[0])[:1]
}

// variable is before the names of those that are no columns of anything.
const variable = "$"

// limitedSelf reads a condition that picks rows by a query of the same table that
// has a LIMIT.
func (j *judge) limitedSelf(r *relation, n *ast.Node) bool {
	s, query := n.GetSubLink(), n.GetSubLink().GetSubselect().GetSelectStmt()
	return s.GetSubLinkType() == ast.SubLinkType_ANY_SUBLINK && limits(query.GetLimitCount()) &&
		s.Testexpr.GetColumnRef() != nil &&
		len(query.FromClause) == 1 && query.FromClause[0].GetRangeVar() != nil &&
		j.find(nameOfRange(query.FromClause[0].GetRangeVar())) == r
}

// disjuncts takes an expression apart at its top-level ORs.
func disjuncts(n *ast.Node) []*ast.Node {
	if b := n.GetBoolExpr(); b != nil && b.Boolop == ast.BoolExprType_OR_EXPR {
		var all []*ast.Node
		for _, arg := range b.Args {
			all = append(all, disjuncts(arg)...)
		}
		return all
	}
	return []*ast.Node{n}
}

// limits reports whether a LIMIT is one for a single transaction.
func limits(count *ast.Node) bool {
	if count == nil {
		return false
	}
	if c := count.GetAConst(); c != nil {
		n, err := strconv.ParseFloat(text(count), 64)
		return err == nil && n <= manyRows
	}
	return true
}

// aggregates reports whether a query gives one row whatever it reads.
func aggregates(s *ast.SelectStmt) bool {
	if len(s.GroupClause) > 0 || len(s.DistinctClause) > 0 {
		return false
	}
	found := false
	for _, target := range s.TargetList {
		walk(target, func(n *ast.Node) bool {
			if call := n.GetFuncCall(); call != nil && call.Over == nil {
				found = found || slices.Contains(aggregateFunctions, nameOf(texts(call.Funcname)).Object)
			}
			found = found || n.GetJsonArrayAgg() != nil || n.GetJsonObjectAgg() != nil
			return n.GetSubLink() == nil
		})
	}
	return found
}

// aggregateFunctions are those of pg_catalog; a test compares them with a server.
var aggregateFunctions = strings.Fields(
	`any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp
	cume_dist dense_rank every json_agg json_agg_strict json_object_agg json_object_agg_strict json_object_agg_unique
	json_object_agg_unique_strict jsonb_agg jsonb_agg_strict jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique
	jsonb_object_agg_unique_strict max min mode percent_rank percentile_cont percentile_disc range_agg range_intersect_agg rank
	regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp
	string_agg sum var_pop var_samp variance xmlagg`)

// columnOf gives the name of a column that a reference may mean, if it may be one of
// the table of that name.
func columnOf(n *ast.Node, alias string) (column string, ok bool) {
	fields := n.GetColumnRef().GetFields()
	if len(fields) == 0 || fields[len(fields)-1].GetAStar() != nil {
		return "", false
	}
	if len(fields) > 1 && alias != "" && text(fields[len(fields)-2]) != alias {
		return "", false
	}
	return text(fields[len(fields)-1]), true
}

// equalTo reads a condition that a column of a table equals one of a number of
// values, and gives the column and how many there are.
func equalTo(n *ast.Node, alias string, few map[string]string) (string, int) {
	if s := n.GetSubLink(); s != nil {
		if column, ok := columnOf(s.Testexpr, alias); ok && s.SubLinkType == ast.SubLinkType_ANY_SUBLINK &&
			limits(s.Subselect.GetSelectStmt().GetLimitCount()) &&
			(len(s.OperName) == 0 || text(s.OperName[0]) == "=") {
			return column, 1
		}
		return "", 0
	}
	e := n.GetAExpr()
	if e == nil || len(e.Name) != 1 || text(e.Name[0]) != "=" {
		return "", 0
	}
	for _, sides := range [][2]*ast.Node{{e.Lexpr, e.Rexpr}, {e.Rexpr, e.Lexpr}} {
		if column, ok := columnOf(sides[0], alias); ok {
			if n := values(e.Kind, sides[1], alias, few); n > 0 {
				return column, n
			}
		}
	}
	return "", 0
}

// values tells how many values the other side of "=" may have; 0 for any number.
func values(kind ast.A_Expr_Kind, other *ast.Node, alias string, few map[string]string) int {
	sub := other.GetSubLink()
	switch {
	case kind == ast.A_Expr_Kind_AEXPR_OP && (isConstant(other) || sub.GetSubLinkType() == ast.SubLinkType_EXPR_SUBLINK):
		return 1
	case kind == ast.A_Expr_Kind_AEXPR_OP && len(other.GetColumnRef().GetFields()) == 1 &&
		few[variable+text(other.GetColumnRef().Fields[0])] != "":
		return 1
	case kind == ast.A_Expr_Kind_AEXPR_OP && len(other.GetColumnRef().GetFields()) > 1:
		if name := text(other.GetColumnRef().Fields[len(other.GetColumnRef().Fields)-2]); name != alias && few[name] != "" {
			return 1
		}
	case kind == ast.A_Expr_Kind_AEXPR_IN && other.GetList() != nil:
		if items := other.GetList().Items; !slices.ContainsFunc(items,
			func(item *ast.Node) bool { return !isConstant(item) }) {
			return len(items)
		}
	case kind == ast.A_Expr_Kind_AEXPR_OP_ANY && sub.GetSubLinkType() == ast.SubLinkType_ARRAY_SUBLINK:
		if limits(sub.Subselect.GetSelectStmt().GetLimitCount()) {
			return 1
		}
	case kind == ast.A_Expr_Kind_AEXPR_OP_ANY:
		if a := other.GetAArrayExpr(); a != nil {
			return len(a.Elements)
		}
		if isConstant(other) {
			return strings.Count(text(other), ",") + 1
		}
	}
	return 0
}

// bound notes the bounds that a comparison with constants sets.
func bound(n *ast.Node, alias string, low, high map[string]float64) {
	e := n.GetAExpr()
	column, ok := columnOf(e.GetLexpr(), alias)
	if !ok || len(e.Name) != 1 {
		return
	}
	if limits := e.Rexpr.GetList().GetItems(); e.Kind == ast.A_Expr_Kind_AEXPR_BETWEEN && len(limits) == 2 {
		from, low1 := strconv.ParseFloat(text(limits[0]), 64)
		to, high1 := strconv.ParseFloat(text(limits[1]), 64)
		if low1 == nil && high1 == nil {
			low[column], high[column] = from, to
		}
		return
	}
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
