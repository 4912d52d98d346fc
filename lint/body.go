package lint

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

// Body is what a PL/pgSQL function may run, as far as its text tells.
type Body struct {
	Statements []Inner // in the order of the text
	// Dynamic is set where a statement is put together when it runs.
	Dynamic bool
	// Commits is set where it ends transactions.
	Commits bool
	// Raises is set where it ends with an error whatever happens.
	Raises bool
	// Assigns are the columns of NEW that it gives values, as a trigger's does.
	Assigns []string
	// Variables are the names that it declares.
	Variables []string
	// Places are those of the statements that are put together.
	Places []Place
}

// Inner is a statement of a body.
type Inner struct {
	Text string
	// Loops are those around it in which no transaction ends.
	Loops []Loop
	// Conditional is set where it may not run at all, or where its failure is caught.
	Conditional bool
	// Guessed is set where the text has the word Anything for what is put in when it
	// runs.
	Guessed bool
	// Place is where it is in the body.
	Place Place
}

// Loop is how often the statements in it run.
type Loop struct {
	// Query is what it goes through the rows of, if it does.
	Query string
	// Few is set where the text tells that it is done a few times.
	Few bool
}

// Anything is in a guessed statement for what its text does not tell.
const Anything = "anything"

// bodyReader walks the tree of PL/pgSQL, in which a node is an object with one
// member, named after the node's kind.
type bodyReader struct {
	parser Parser
	body   Body
	loops  []Loop
	line   int // of the statement at hand
	// caught is how many blocks around the place have handlers.
	caught int
	// conditions are the conditions, loops and handlers around the place.
	conditions int
}

// readBody reads the tree of PL/pgSQL, as the parser writes it in JSON.
func readBody(p Parser, text string) (Body, error) {
	var tree []struct {
		Function struct {
			Datums []map[string]struct{ Refname string } `json:"datums"`
			Action map[string]any                        `json:"action"`
		} `json:"PLpgSQL_function"`
	}
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		return Body{}, fmt.Errorf("reading the tree of PL/pgSQL: %w", err)
	}
	r := bodyReader{parser: p}
	for _, f := range tree {
		for _, datum := range f.Function.Datums {
			for _, d := range datum {
				if d.Refname != "" && !slices.Contains(r.body.Variables, d.Refname) {
					r.body.Variables = append(r.body.Variables, d.Refname)
				}
			}
		}
		r.read(f.Function.Action)
		r.body.Raises = raises(f.Function.Action)
	}
	return r.body, nil
}

// parts is the order in which the text has the parts of a node.
var parts = []string{"cond", "query", "expr", "then_body", "elsif_list", "else_body", "case_when_list", "else_stmts",
	"body", "stmts", "exceptions"}

func (r *bodyReader) read(tree any) {
	switch tree := tree.(type) {
	case []any:
		for _, element := range tree {
			r.read(element)
		}
	case map[string]any:
		members := slices.Sorted(maps.Keys(tree))
		slices.SortStableFunc(members, func(a, b string) int { return slices.Index(parts, a) - slices.Index(parts, b) })
		for _, kind := range members {
			r.node(kind, tree[kind])
		}
	}
}

func (r *bodyReader) node(kind string, node any) {
	if line := lineOf(node); line > 0 {
		outer := r.line
		r.line = line
		defer func() { r.line = outer }()
	}
	switch kind {
	case "PLpgSQL_stmt_execsql":
		r.add(query(node, "sqlstmt"), false)
	case "PLpgSQL_stmt_perform", "PLpgSQL_stmt_call":
		r.add(query(node, "expr"), false)
	case "PLpgSQL_stmt_dynexecute":
		r.dynamic(query(node, "query"))
	case "PLpgSQL_stmt_dynfors":
		r.dynamic(query(node, "query"))
		r.loop(node, Loop{})
	case "PLpgSQL_stmt_fors":
		r.add(query(node, "query"), false)
		r.loop(node, Loop{Query: query(node, "query")})
	case "PLpgSQL_stmt_fori":
		from, err := strconv.Atoi(strings.TrimSpace(query(node, "lower")))
		to, other := strconv.Atoi(strings.TrimSpace(query(node, "upper")))
		r.loop(node, Loop{Few: err == nil && other == nil && to-from <= manyRows})
	case "PLpgSQL_stmt_foreach_a":
		array := strings.ToUpper(strings.TrimSpace(query(node, "expr")))
		r.loop(node, Loop{Few: strings.HasPrefix(array, "ARRAY") && !strings.Contains(array, "SELECT") ||
			strings.HasPrefix(array, "'")})
	case "PLpgSQL_stmt_loop", "PLpgSQL_stmt_while", "PLpgSQL_stmt_forc":
		r.loop(node, Loop{})
	case "PLpgSQL_stmt_commit", "PLpgSQL_stmt_rollback":
		r.body.Commits = true
	case "PLpgSQL_stmt_if", "PLpgSQL_if_elsif":
		r.ask(query(node, "cond"), query(node, "cond"))
		r.maybe(node)
	case "PLpgSQL_stmt_case":
		r.maybe(node)
	case "PLpgSQL_stmt_assign":
		r.assign(query(node, "expr"))
	case "PLpgSQL_stmt_block":
		if block, _ := node.(map[string]any); block["exceptions"] != nil {
			r.caught++
			r.maybe(node)
			r.caught--
			return
		}
		r.read(node)
	default:
		r.read(node)
	}
}

// ask adds an expression that reads tables; written is the whole of which it is a part.
func (r *bodyReader) ask(expression, written string) {
	if strings.Contains(strings.ToUpper(expression), "SELECT") {
		r.addAt("SELECT "+expression, false, r.place(written))
	}
}

// assign reads what gets a value, and how.
func (r *bodyReader) assign(text string) {
	to, value, ok := strings.Cut(text, ":=")
	if !ok {
		to, value, _ = strings.Cut(text, "=")
	}
	if field, isNew := strings.CutPrefix(strings.ToLower(strings.TrimSpace(to)), "new."); isNew {
		r.body.Assigns = append(r.body.Assigns, pgsql.Identifier(field))
	}
	r.ask(value, text)
}

// maybe reads what may not run.
func (r *bodyReader) maybe(node any) {
	r.conditions++
	r.read(node)
	r.conditions--
}

// loop reads what is in a loop.
func (r *bodyReader) loop(node any, l Loop) {
	outer := r.loops
	if !commits(node) {
		r.loops = append(slices.Clone(outer), l)
	}
	r.maybe(node)
	r.loops = outer
}

// commits reports whether a transaction ends in a part of the tree.
func commits(tree any) bool {
	switch tree := tree.(type) {
	case []any:
		return slices.ContainsFunc(tree, commits)
	case map[string]any:
		for kind, node := range tree {
			if kind == "PLpgSQL_stmt_commit" || kind == "PLpgSQL_stmt_rollback" || commits(node) {
				return true
			}
		}
	}
	return false
}

// raises reports whether a block raises an error without any condition.
func raises(action map[string]any) bool {
	block, _ := action["PLpgSQL_stmt_block"].(map[string]any)
	statements, _ := block["body"].([]any)
	for _, s := range statements {
		node, _ := s.(map[string]any)
		if raise, ok := node["PLpgSQL_stmt_raise"].(map[string]any); ok && raise["elog_level"] == float64(errorLevel) {
			return block["exceptions"] == nil
		}
		if inner := node["PLpgSQL_stmt_block"]; inner != nil && raises(node) {
			return true
		}
		if node["PLpgSQL_stmt_return"] != nil {
			return false
		}
	}
	return false
}

// errorLevel is that of RAISE EXCEPTION; see elog.h of PostgreSQL's sources.
const errorLevel = 21

func (r *bodyReader) add(text string, guessed bool) { r.addAt(text, guessed, r.place(text)) }

func (r *bodyReader) addAt(text string, guessed bool, at Place) {
	if text != "" {
		r.body.Statements = append(r.body.Statements, Inner{Text: text, Loops: r.loops, Conditional: r.conditions > 0,
			Guessed: guessed, Place: at})
	}
}

func (r *bodyReader) place(text string) Place {
	return Place{Line: r.line, Text: text, Caught: r.caught > 0}
}

// lineOf gives the line of a node of the tree in the body; 0 if it has none.
func lineOf(node any) int {
	object, _ := node.(map[string]any)
	line, _ := object["lineno"].(float64)
	return int(line)
}

// dynamic takes an EXECUTE of a mere string for the statement in the string. Of
// what is put together it guesses the statement.
func (r *bodyReader) dynamic(expression string) {
	place := r.place(expression)
	unread := func() {
		r.body.Dynamic = true
		r.body.Places = append(r.body.Places, place)
	}
	nodes, err := r.parser.Parse("SELECT " + expression)
	if err != nil || len(nodes) != 1 || len(nodes[0].GetSelectStmt().GetTargetList()) != 1 {
		unread()
		return
	}
	g := guess{}
	text := g.text(nodes[0].GetSelectStmt().TargetList[0].GetResTarget().Val)
	if !g.told {
		unread()
	}
	guessed, err := r.parser.Parse(text)
	if err != nil {
		if g.told {
			unread()
		}
		return
	}
	if g.told && len(guessed) == 1 {
		r.addAt(text, false, place)
		return
	}
	for _, n := range guessed {
		one, err := r.parser.Write(n)
		if err != nil {
			unread()
			continue
		}
		r.addAt(one, !g.told, place)
	}
}

// guess makes a text of an expression.
type guess struct{ told bool }

// text gives what an expression says; told is set where it is that word for word.
func (g *guess) text(n *ast.Node) string {
	whole := true
	var write func(n *ast.Node) string
	write = func(n *ast.Node) string {
		e, call := n.GetAExpr(), n.GetFuncCall()
		switch {
		case n.GetAConst() != nil:
			return text(n)
		case n.GetTypeCast() != nil && n.GetTypeCast().Arg.GetAConst() != nil:
			return text(n)
		case e != nil && len(e.Name) == 1 && text(e.Name[0]) == "||":
			return write(e.Lexpr) + write(e.Rexpr)
		case call != nil && nameOf(texts(call.Funcname)).Object == "format" && len(call.Args) > 0:
			var arguments []string
			for _, a := range call.Args[1:] {
				arguments = append(arguments, write(a))
			}
			return fill(write(call.Args[0]), arguments)
		case call != nil && nameOf(texts(call.Funcname)).Object == "quote_literal":
			whole = false
			return "'" + Anything + "'"
		}
		whole = false
		return Anything
	}
	said := write(n)
	g.told = whole
	return said
}

// fill puts arguments into a text as format() does.
func fill(format string, arguments []string) string {
	var out strings.Builder
	next := 0
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			out.WriteByte(format[i])
			continue
		}
		end := i + 1
		for end < len(format)-1 && strings.IndexByte("0123456789$-*", format[end]) >= 0 {
			end++
		}
		if format[end] == '%' {
			out.WriteByte('%')
			i = end
			continue
		}
		if position, _, ok := strings.Cut(format[i+1:end], "$"); ok {
			if n, err := strconv.Atoi(position); err == nil {
				next = n - 1
			}
		}
		value := Anything
		if next >= 0 && next < len(arguments) {
			value = arguments[next]
		}
		next++
		switch format[end] {
		case 'L':
			value = "'" + strings.ReplaceAll(value, "'", "''") + "'"
		case 'I':
			value = quoted(value)
		}
		out.WriteString(value)
		i = end
	}
	return out.String()
}

func query(node any, member string) string {
	object, _ := node.(map[string]any)
	expression, _ := object[member].(map[string]any)
	inner, _ := expression["PLpgSQL_expr"].(map[string]any)
	text, _ := inner["query"].(string)
	return text
}
