package lint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// boundCheck writes a partition's bounds as a check; empty where it is not that simple.
func (j *judge) boundCheck(parent *relation, b *ast.PartitionBoundSpec) string {
	if len(parent.partitionKey) != 1 || parent.partitionKey[0] == "" || b.Strategy == "h" {
		return ""
	}
	var terms []string
	if b.Strategy == "l" {
		var values []string
		for _, v := range b.Listdatums {
			values = append(values, expression(j.parser, v))
		}
		key := quoted(parent.partitionKey[0])
		return fmt.Sprintf("%s IS NOT NULL AND %[1]s IN (%s)", key, strings.Join(values, ", "))
	}
	key := quoted(parent.partitionKey[0])
	terms = append(terms, key+" IS NOT NULL")
	if len(b.Lowerdatums) > 0 && !infinite(b.Lowerdatums[0]) {
		terms = append(terms, fmt.Sprintf("%s >= %s", key, expression(j.parser, b.Lowerdatums[0])))
	}
	if len(b.Upperdatums) > 0 && !infinite(b.Upperdatums[0]) {
		terms = append(terms, fmt.Sprintf("%s < %s", key, expression(j.parser, b.Upperdatums[0])))
	}
	return strings.Join(terms, " AND ")
}

// infinite reports whether a bound is MINVALUE or MAXVALUE.
func infinite(n *ast.Node) bool {
	ref := n.GetColumnRef()
	if ref == nil {
		return false
	}
	word := lower(text(ref.Fields[0]))
	return word == "minvalue" || word == "maxvalue"
}

// excludeFirst writes what keeps the default partition from being read.
func (j *judge) excludeFirst(d, parent *relation, b *ast.PartitionBoundSpec) string {
	check := j.boundCheck(parent, b)
	if check == "" || j.inner {
		return ""
	}
	name := quoted(j.chosen(d, "", "excludes", j.constraintTaken(d.name.Schema)))
	return eachAlone + strings.Join([]string{j.alterTo(d, fmt.Sprintf("ADD CONSTRAINT %s CHECK (NOT (%s)) NOT VALID",
		name, check)),
		j.alterTo(d, "VALIDATE CONSTRAINT "+name), j.out.Text + ";"}, "\n")
}

// implied reports whether valid checks of a table say that all its rows belong into
// the partition. The server can prove more; what is asked for here it does prove.
func (j *judge) implied(part, parent *relation, b *ast.PartitionBoundSpec) bool {
	if len(parent.partitionKey) != 1 || parent.partitionKey[0] == "" {
		return false
	}
	key := parent.partitionKey[0]
	var known []*ast.Node
	for _, c := range part.constraints {
		if c.kind == ast.ConstrType_CONSTR_CHECK && c.valid {
			known = append(known, conjuncts(c.expr)...)
		}
	}
	column := part.column(key)
	notNull := column != nil && column.notNull || slices.ContainsFunc(known,
		func(n *ast.Node) bool { return impliesNotNull(n, key) })
	if !notNull {
		return false
	}
	switch b.Strategy {
	case "r":
		return j.above(known, key, b.Lowerdatums) && j.below(known, key, b.Upperdatums)
	case "l":
		return slices.ContainsFunc(known, func(n *ast.Node) bool { return within(n, key, b.Listdatums) })
	}
	return false
}

// above reports whether a conjunct says that the key is not less than a bound.
func (j *judge) above(known []*ast.Node, key string, bound []*ast.Node) bool {
	if len(bound) != 1 || infinite(bound[0]) {
		return len(bound) == 1
	}
	return slices.ContainsFunc(known, func(n *ast.Node) bool {
		op, value, ok := comparison(n, key)
		if !ok {
			return false
		}
		order, comparable := compareConstants(value, bound[0])
		return comparable && (op == ">=" && order >= 0 || op == ">" && order >= 0 || op == "=" && order >= 0)
	})
}

func (j *judge) below(known []*ast.Node, key string, bound []*ast.Node) bool {
	if len(bound) != 1 || infinite(bound[0]) {
		return len(bound) == 1
	}
	return slices.ContainsFunc(known, func(n *ast.Node) bool {
		op, value, ok := comparison(n, key)
		if !ok {
			return false
		}
		order, comparable := compareConstants(value, bound[0])
		return comparable && (op == "<" && order <= 0 || (op == "<=" || op == "=") && order < 0)
	})
}

// comparison reads an expression of the form key operator constant.
func comparison(n *ast.Node, key string) (op string, value *ast.Node, ok bool) {
	e := n.GetAExpr()
	if e == nil || e.Kind != ast.A_Expr_Kind_AEXPR_OP || len(e.Name) != 1 {
		return "", nil, false
	}
	if isColumn(e.Lexpr, key) && isConstant(e.Rexpr) {
		return text(e.Name[0]), e.Rexpr, true
	}
	if isColumn(e.Rexpr, key) && isConstant(e.Lexpr) {
		turned := map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}
		return turned[text(e.Name[0])], e.Lexpr, true
	}
	return "", nil, false
}

func isColumn(n *ast.Node, name string) bool {
	if cast := n.GetTypeCast(); cast != nil {
		n = cast.Arg
	}
	return n.GetColumnRef() != nil && slices.Equal(columnsIn(n), []string{name})
}

func isConstant(n *ast.Node) bool {
	if cast := n.GetTypeCast(); cast != nil {
		n = cast.Arg
	}
	return n.GetAConst() != nil || n.GetParamRef() != nil
}

// What the server writes behind a date: the time, and the zone's offset of sessions
// that set none, in which constants of files are read too.
var (
	offset   = plaintext.Pattern(`( \d\d:\d\d:\d\d(?:\.\d+)?)[+-]\d\d(?::\d\d)?$`)
	midnight = plaintext.Pattern(` 00:00:00$`)
)

// timeless takes both from a constant.
func timeless(constant string) string {
	return midnight().ReplaceAllString(offset().ReplaceAllString(constant, "$1"), "")
}

// compareConstants orders two constants: numbers, or texts of which both are dates
// or times as ISO 8601 writes them.
func compareConstants(a, b *ast.Node) (int, bool) {
	x, y := text(a), text(b)
	if f, err := strconv.ParseFloat(x, 64); err == nil {
		g, err := strconv.ParseFloat(y, 64)
		switch {
		case err != nil:
			return 0, false
		case f < g:
			return -1, true
		case f > g:
			return 1, true
		}
		return 0, true
	}
	x, y = timeless(x), timeless(y)
	if x == y {
		return 0, true
	}
	if len(x) < 10 || len(y) < 10 || x[4] != '-' || y[4] != '-' {
		return 0, false
	}
	return strings.Compare(x, y), true
}

// within reports whether a conjunct says that the key is one of some values.
func within(n *ast.Node, key string, values []*ast.Node) bool {
	allowed := texts(values)
	if op, value, ok := comparison(n, key); ok {
		return op == "=" && slices.Contains(allowed, text(value))
	}
	e := n.GetAExpr()
	if e == nil || !isColumn(e.Lexpr, key) {
		return false
	}
	var said []*ast.Node
	switch e.Kind {
	case ast.A_Expr_Kind_AEXPR_IN:
		if text(e.Name[0]) != "=" {
			return false
		}
		said = e.Rexpr.GetList().GetItems()
	case ast.A_Expr_Kind_AEXPR_OP_ANY:
		said = e.Rexpr.GetAArrayExpr().GetElements()
	}
	return len(said) > 0 && !slices.ContainsFunc(said, func(n *ast.Node) bool {
		return !slices.Contains(allowed,
			text(n))
	})
}

// excluded reports whether a valid check of the default partition says that it has
// no row within the bounds: the negation of the bounds, or a range beside them.
func (j *judge) excluded(d, parent *relation, b *ast.PartitionBoundSpec) bool {
	if len(parent.partitionKey) != 1 || parent.partitionKey[0] == "" {
		return false
	}
	key := parent.partitionKey[0]
	for _, c := range d.constraints {
		if c.kind != ast.ConstrType_CONSTR_CHECK || !c.valid {
			continue
		}
		for _, n := range conjuncts(c.expr) {
			if j.outside(n, key, b) {
				return true
			}
		}
	}
	return false
}

// outside reports whether an expression is false within the bounds.
func (j *judge) outside(n *ast.Node, key string, b *ast.PartitionBoundSpec) bool {
	if not := n.GetBoolExpr(); not != nil && not.Boolop == ast.BoolExprType_NOT_EXPR && len(not.Args) == 1 {
		return j.covers(conjuncts(not.Args[0]), key, b)
	}
	if or := n.GetBoolExpr(); or != nil && or.Boolop == ast.BoolExprType_OR_EXPR {
		return !slices.ContainsFunc(or.Args, func(arg *ast.Node) bool { return !j.outside(arg, key, b) })
	}
	op, value, ok := comparison(n, key)
	if !ok || b.Strategy != "r" || len(b.Lowerdatums) != 1 {
		return false
	}
	low, lowOK := compareConstants(value, b.Lowerdatums[0])
	high, highOK := compareConstants(value, b.Upperdatums[0])
	switch op {
	case "<":
		return lowOK && low <= 0
	case "<=":
		return lowOK && low < 0
	case ">=", ">":
		return highOK && high >= 0
	}
	return false
}

// covers reports whether everything within the bounds fulfils all conjuncts.
func (j *judge) covers(all []*ast.Node, key string, b *ast.PartitionBoundSpec) bool {
	for _, n := range all {
		if impliesNotNull(n, key) {
			continue
		}
		op, value, ok := comparison(n, key)
		switch {
		case b.Strategy == "l" && ok && op == "=":
			if len(b.Listdatums) != 1 || text(b.Listdatums[0]) != text(value) {
				return false
			}
			continue
		case b.Strategy == "l":
			e := n.GetAExpr()
			if e == nil || e.Kind != ast.A_Expr_Kind_AEXPR_IN {
				return false
			}
			for _, v := range b.Listdatums {
				if !slices.Contains(texts(e.Rexpr.GetList().GetItems()), text(v)) {
					return false
				}
			}
			continue
		case !ok || len(b.Lowerdatums) != 1:
			return false
		}
		low, lowOK := compareConstants(b.Lowerdatums[0], value)
		high, highOK := compareConstants(b.Upperdatums[0], value)
		holds := op == ">=" && lowOK && low >= 0 || op == "<" && highOK && high <= 0 || op == "<=" && highOK && high <= 0
		if !holds {
			return false
		}
	}
	return len(all) > 0
}
