package lint

import (
	"fmt"
	"slices"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
)

// function is one of those of a name.
type function struct {
	volatility string // volatile, stable, immutable
	language   string
	body       string
	expr       *ast.Node // of a function in SQL that is one expression
	created    int
	text       string   // of its statement
	args       []string // the types that a call gives
	names      []string // of the parameters; "" where there is none
	defaults   int      // how many of args a call can leave out
	returns    string
}

// signature reads the parameters of a function and what it returns.
func (f *function) signature(s *ast.CreateFunctionStmt) {
	var out []string
	for _, n := range s.Parameters {
		p := n.GetFunctionParameter()
		switch p.Mode {
		case ast.FunctionParameterMode_FUNC_PARAM_OUT, ast.FunctionParameterMode_FUNC_PARAM_TABLE:
			out = append(out, p.Name+" "+typeOf(p.ArgType).String())
			continue
		}
		f.args, f.names = append(f.args, typeOf(p.ArgType).plain()), append(f.names, p.Name)
		if p.Defexpr != nil {
			f.defaults++
		}
	}
	f.returns = typeOf(s.ReturnType).plain() + " " + strings.Join(out, ",")
	if s.ReturnType.GetSetof() {
		f.returns = "SETOF " + f.returns
	}
}

// plain writes a type without what a function's signature does not keep.
func (t Type) plain() string { return Type{Name: t.Name, Array: t.Array}.String() }

// takes reports whether a function can be called with so many arguments.
func (f *function) takes(count int) bool {
	return count >= len(f.args)-f.defaults && count <= len(f.args) || strings.Contains(strings.Join(f.args, ","), "[]") &&
		count > len(f.args)
}

// replaces reports whether calls of a function of these arguments find this one.
func (f *function) replaces(args []string) bool {
	return len(args) <= len(f.args) && len(args) >= len(f.args)-f.defaults && slices.Equal(args, f.args[:len(args)])
}

// overload gives the function that DROP or ALTER means, or nil.
func (m *model) overload(o *ast.ObjectWithArgs) *function {
	overloads := lookup(m, m.functions, nameOf(texts(o.GetObjname())))
	if o.GetArgsUnspecified() && len(overloads) == 1 {
		return overloads[0]
	}
	args := argumentsOf(o)
	for _, f := range overloads {
		if slices.Equal(f.args, args) {
			return f
		}
	}
	return nil
}

func argumentsOf(o *ast.ObjectWithArgs) []string {
	var args []string
	for _, n := range o.GetObjargs() {
		args = append(args, typeOf(n.GetTypeName()).plain())
	}
	return args
}

func (m *model) alterFunction(s *ast.AlterFunctionStmt) {
	f := m.overload(s.Func)
	if f == nil {
		return
	}
	for _, n := range s.Actions {
		if d := n.GetDefElem(); d.GetDefname() == "volatility" {
			f.volatility = text(d.Arg)
		}
	}
}

// createFunctionStatement finds that the server refuses to put a function in the
// place of another.
func (j *judge) createFunctionStatement(s *ast.CreateFunctionStmt) {
	n := j.qualify(nameOf(texts(s.Funcname)))
	next := &function{}
	next.signature(s)
	for _, old := range j.functions[n] {
		if !slices.Equal(old.args, next.args) {
			continue
		}
		why := ""
		switch {
		case !s.Replace:
			why = "is there already"
		case old.returns != next.returns:
			why = "returns something else, which CREATE OR REPLACE cannot change"
		case slices.ContainsFunc(old.names, func(name string) bool {
			return name != "" && next.names[slices.Index(old.names, name)] != name
		}):
			why = "has other names for its parameters, which CREATE OR REPLACE cannot change"
		}
		if why != "" {
			j.report(Finding{Hazard: statementFails, claim: claim{kind: claimsError}, Evidence: Evidence{FromHistory,
				"its definition is known"},
				Message: fmt.Sprintf("%s(%s) %s: the statement fails", n, strings.Join(old.args, ", "), why)})
		}
	}
	j.underIndex(n, s)
	j.because("a function is only looked at when it is called")
	j.analysed(s)
}

// underIndex finds that a function changes by which an index is ordered.
func (j *judge) underIndex(n Name, s *ast.CreateFunctionStmt) {
	next := &function{}
	next.signature(s)
	for _, old := range j.functions[n] {
		written, _ := j.parser.Write(&ast.Node{Node: &ast.Node_CreateFunctionStmt{CreateFunctionStmt: s}})
		if !slices.Equal(old.args, next.args) || withoutReplace(written) == withoutReplace(old.text) {
			continue
		}
		for _, i := range j.indexes {
			uses := false
			for _, e := range append(slices.Clone(i.expressions), i.where) {
				walk(e, func(n *ast.Node) bool {
					call := n.GetFuncCall()
					uses = uses || call != nil && slices.Contains(j.overloads(nameOf(texts(call.Funcname)), call), old)
					return true
				})
			}
			if uses && !j.isNew(i.table) {
				j.report(Finding{Hazard: functionOfIndex, Evidence: j.wasThere(i.table),
					Message: fmt.Sprintf("the index %s of %s holds what %s() gave so far: if it gives something else now, rows are "+
						"not found", i.name, i.table.name, n)})
			}
		}
	}
}

// withoutReplace makes the texts of a function's first definition and of the same
// one that replaces it equal.
func withoutReplace(text string) string {
	return strings.Replace(text, "CREATE OR REPLACE", "CREATE", 1)
}

// functionMadeAgain reports whether the transaction makes a function further down
// that the same calls find.
func (j *judge) functionMadeAgain(o *ast.ObjectWithArgs) bool {
	n, args := j.qualify(nameOf(texts(o.GetObjname()))), argumentsOf(o)
	if old := j.overload(o); old != nil {
		args = old.args
	}
	return slices.ContainsFunc(j.sameStep(), func(p parsed) bool {
		s := p.node.GetCreateFunctionStmt()
		if s == nil || j.qualify(nameOf(texts(s.Funcname))) != n {
			return false
		}
		f := &function{}
		f.signature(s)
		return f.replaces(args) || o.GetArgsUnspecified() && j.overload(o) == nil
	})
}

// mutable gives a function in an expression that is not immutable, as those of an
// index must be; empty where all are, as far as is known.
func (m *model) mutable(n *ast.Node) string {
	found := ""
	walk(n, func(n *ast.Node) bool {
		if n.GetSqlvalueFunction() != nil {
			found = "the current time or user"
		}
		call := n.GetFuncCall()
		if call == nil || found != "" {
			return found == ""
		}
		name := nameOf(texts(call.Funcname))
		overloads := m.overloads(name, call)
		for _, f := range overloads {
			inner := ""
			if f.expr != nil {
				inner = m.mutable(f.expr)
			}
			if f.volatility != "immutable" && (f.expr == nil || inner != "") {
				found = name.String() + "()"
			}
		}
		volatile, isBuiltin := catalogFunctions()[name.Object]
		if isBuiltin && len(overloads) == 0 && (volatile || slices.Contains(stableFunctions, name.Object)) {
			found = name.String() + "()"
		}
		return found == ""
	})
	return found
}

// stableFunctions are some of pg_catalog's that are stable in every form.
var stableFunctions = []string{"now", "statement_timestamp", "transaction_timestamp", "current_setting", "txid_current"}

// overloads gives the functions of a name that a call may mean.
func (m *model) overloads(name Name, call *ast.FuncCall) []*function {
	var all []*function
	for _, f := range lookup(m, m.functions, name) {
		if f.takes(len(call.Args)) {
			all = append(all, f)
		}
	}
	return all
}

func (m *model) createFunction(s *ast.CreateFunctionStmt) {
	n := m.qualify(nameOf(texts(s.Funcname)))
	f := &function{volatility: "volatile", language: "sql", created: m.now}
	for _, o := range s.Options {
		d := o.GetDefElem()
		switch d.GetDefname() {
		case "volatility":
			f.volatility = text(d.Arg)
		case "language":
			f.language = strings.ToLower(text(d.Arg))
		case "as":
			if items := d.Arg.GetList().GetItems(); len(items) > 0 {
				f.body = text(items[0])
			}
		}
	}
	f.expr = m.bodyExpression(s, f)
	f.text, _ = m.parser.Write(&ast.Node{Node: &ast.Node_CreateFunctionStmt{CreateFunctionStmt: s}})
	f.signature(s)
	m.functions[n] = slices.DeleteFunc(m.functions[n], func(old *function) bool { return slices.Equal(old.args, f.args) })
	m.functions[n] = append(m.functions[n], f)
}

// bodyExpression gives the expression of a function in SQL that is one SELECT of
// an expression and nothing else: the planner writes that in place of the call.
func (m *model) bodyExpression(s *ast.CreateFunctionStmt, f *function) *ast.Node {
	if f.language != "sql" {
		return nil
	}
	if r := s.SqlBody.GetReturnStmt(); r != nil {
		return r.Returnval
	}
	trees, err := m.parser.Parse(f.body)
	if err != nil || len(trees) != 1 {
		return nil
	}
	q := trees[0].GetSelectStmt()
	if q == nil || len(q.TargetList) != 1 || len(q.FromClause) > 0 || q.WhereClause != nil {
		return nil
	}
	return q.TargetList[0].GetResTarget().GetVal()
}
