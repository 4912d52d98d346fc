package lint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
)

// retyping is what a change of a column's type costs.
type retyping int

const (
	free     retyping = iota // the catalog alone
	rewrites                 // every row is rewritten
	byZone                   // free if the session's time zone is UTC
	unclear
)

// retype tells what it costs to give a column another type, and why. Where the old
// type's values are valid values of the new one as they lie on disk, nothing is
// written.
//
// See the notes of "ALTER TABLE" in PostgreSQL's documentation. The tests measure
// what is said here.
func (m *model) retype(from, to Type) (retyping, string) {
	if from.Name.Object == "" {
		return unclear, "the type that the column has is not known"
	}
	if from.Array != to.Array || from.Array && (!m.sameName(from, to) || len(to.Mods) > 0 && !slices.Equal(from.Mods,
		to.Mods)) {
		return rewrites, fmt.Sprintf("%s and %s are stored differently", from, to)
	}
	if t := m.findType(to.Name); t != nil && t.kind == "domain" {
		if len(t.checks) > 0 || t.notNull {
			return rewrites, fmt.Sprintf("the constraints of the domain %s are checked for every row", t.name)
		}
		return m.retype(from, t.base)
	}
	if t := m.findType(from.Name); t != nil && t.kind == "domain" {
		return m.retype(t.base, to)
	}
	if m.sameName(from, to) {
		return sameType(from, to)
	}
	return otherType(from, to)
}

// sameName reports whether two names mean the same type, one of which may be written
// without its schema.
func (m *model) sameName(a, b Type) bool {
	t := m.findType(a.Name)
	return a.Name == b.Name || t != nil && t == m.findType(b.Name)
}

// sameType is for a change of what is in the parentheses.
func sameType(from, to Type) (retyping, string) {
	if slices.Equal(from.Mods, to.Mods) && from.Unit == to.Unit {
		return free, "the type stays"
	}
	switch from.Name.Object {
	case "varchar", "varbit":
		return wider(from, to)
	case "time", "timetz", "timestamp", "timestamptz":
		if len(to.Mods) > 0 && to.Mods[0] >= 6 {
			return free, "there are no more than six digits anyway"
		}
		return wider(from, to)
	case "interval":
		if to.Unit == "" || to.Unit == from.Unit || downToSeconds(to) {
			return wider(from, to)
		}
	case "numeric":
		if len(to.Mods) == 0 {
			return free, "numeric without limits holds every numeric"
		}
		if len(from.Mods) > 0 && scale(from) == scale(to) && from.Mods[0] <= to.Mods[0] {
			return free, "more digits, of which as many behind the point"
		}
		if len(from.Mods) > 0 && scale(to) < scale(from) {
			return rewrites, "digits behind the point are cut off"
		}
	}
	return rewrites, fmt.Sprintf("every value is converted from %s to %s", from, to)
}

// downToSeconds reports whether an interval's fields end with seconds, so that
// nothing is cut off. The fields are a mask, see INTERVAL_MASK in PostgreSQL's source.
func downToSeconds(t Type) bool {
	const second = 1 << 12
	mask, err := strconv.Atoi(t.Unit)
	return err == nil && mask&second != 0
}

func scale(t Type) int {
	if len(t.Mods) > 1 {
		return t.Mods[1]
	}
	return 0
}

func wider(from, to Type) (retyping, string) {
	if len(to.Mods) == 0 {
		return free, fmt.Sprintf("%s holds every %s", to, from)
	}
	if len(from.Mods) > 0 && from.Mods[0] <= to.Mods[0] {
		return free, fmt.Sprintf("%s holds every %s", to, from)
	}
	return rewrites, fmt.Sprintf("every value is checked or cut to fit into %s", to)
}

func otherType(from, to Type) (retyping, string) {
	a, b := from.Name.Object, to.Name.Object
	switch {
	case a == "varchar" && b == "text", a == "text" && b == "varchar" && len(to.Mods) == 0, a == "cidr" && b == "inet",
		a == "xml" && (b == "text" || b == "varchar" && len(to.Mods) == 0),
		a == "text" && b == "citext", a == "varchar" && b == "citext", a == "citext" && b == "text", a == "citext" &&
			b == "varchar" && len(to.Mods) == 0:
		return free, fmt.Sprintf("%s and %s are stored alike", from, to)
	case a == "bit" && b == "varbit" && len(to.Mods) == 0:
		return free, "bit and bit varying are stored alike"
	case a == "int4" && b == "oid", a == "oid" && b == "int4", a == "regclass" && b == "oid", a == "oid" &&
		b == "regclass":
		return free, fmt.Sprintf("%s and %s are stored alike", from, to)
	case a == "timestamp" && b == "timestamptz", a == "timestamptz" && b == "timestamp":
		if len(to.Mods) == 0 || len(from.Mods) > 0 && from.Mods[0] <= to.Mods[0] {
			return byZone, "with the time zone UTC both are stored alike, with any other every value is converted"
		}
	}
	return rewrites, fmt.Sprintf("%s and %s are stored differently", from, to)
}

// narrower reports whether values can be lost, or refused, on the way from one type
// to another.
func narrower(from, to Type) bool {
	rank := map[string]int{"int2": 2, "int4": 4, "int8": 8}
	a, b := from.Name.Object, to.Name.Object
	isText := func(name string) bool { return name == "text" || name == "varchar" || name == "bpchar" }
	switch {
	case rank[a] > 0 && rank[b] > 0:
		return rank[b] < rank[a]
	case a == "float8" && b == "float4", a == "numeric" && rank[b] > 0, a == "timestamptz" && b == "date",
		a == "timestamp" && b == "date":
		return true
	case a == "float8" && rank[b] > 0, a == "float4" && rank[b] > 0, a == "timestamp" && b == "time":
		return true
	case isText(a) && isText(b) && len(to.Mods) > 0:
		return len(from.Mods) == 0 || to.Mods[0] < from.Mods[0]
	case a == "numeric" && b == "numeric" && len(to.Mods) > 0:
		return len(from.Mods) == 0 || scale(to) < scale(from) || to.Mods[0]-scale(to) < from.Mods[0]-scale(from)
	}
	return false
}

// trivial reports whether a USING clause says no more than the server would do.
func (m *model) trivial(using *ast.Node, column string, to Type) bool {
	if using == nil {
		return true
	}
	if cast := using.GetTypeCast(); cast != nil {
		t := typeOf(cast.TypeName)
		if !m.sameName(t, to) || len(t.Mods) > 0 && !slices.Equal(t.Mods, to.Mods) {
			return false
		}
		using = cast.Arg
	}
	return using.GetColumnRef() != nil && slices.Equal(columnsIn(using), []string{column})
}

func (j *judge) alterTypeCommand(r *relation, cmd *ast.AlterTableCmd) {
	def := cmd.Def.GetColumnDef()
	to, c := typeOf(def.TypeName), r.column(cmd.Name)
	var from Type
	if c != nil {
		from = c.typ
	}
	j.retypeDependents(r, cmd.Name)
	if c != nil && from.Name.Object != "" && narrower(from, to) {
		j.report(Finding{Hazard: alterColumnNarrowing, Evidence: j.wasThere(r),
			Message: fmt.Sprintf("values of %s.%s that are %s need not fit into %s: the statement fails, or cuts them", r.name,
				quoted(cmd.Name), from, to),
			Rewrite: j.unfit(r, c, to)})
	}
	cost, why := j.retype(from, to)
	if cost != unclear && !j.trivial(def.RawDefault, cmd.Name, to) {
		cost, why = rewrites, "the expression of USING is computed for every row"
	}
	if zone := j.tx.settings["timezone"]; cost == byZone {
		if isUTC(zone) {
			cost = free
		} else if cost = rewrites; zone == "" {
			why += "; this session's is the server's"
		}
	}
	j.reportRetyping(r, c, to, cost, why, def)
}

func isUTC(zone string) bool {
	return slices.Contains([]string{"utc", "gmt", "etc/utc", "0", "etc/gmt", "uct", "zulu", "universal"}, lower(zone))
}

func (j *judge) reportRetyping(r *relation, c *column, to Type, cost retyping, why string, def *ast.ColumnDef) {
	name := "the column"
	if c != nil {
		name = quoted(c.name)
	}
	switch cost {
	case rewrites:
		j.rewrite(r)
		if j.small(r) {
			return
		}
		j.report(Finding{Hazard: alterColumnTypeRewrite, claim: claim{claimsRewrite, leaves(r)}, Evidence: j.wasThere(r),
			Message: fmt.Sprintf("%s is rewritten, with its indexes, while nobody can read or write it: %s", r.name, why),
			Rewrite: j.retypeSlowly(r, c, def)})
	case unclear:
		j.rewrite(r)
		j.report(Finding{Hazard: alterColumnTypeRewrite, Verdict: Unknown, claim: claim{claimsRewrite, leaves(r)},
			Evidence: Evidence{FromText, why},
			Message: fmt.Sprintf("unless its values stay as they are on disk, %s is rewritten while nobody can read or "+
				"write it", r.name)})
	default:
		j.evidence(j.source(r), why)
		j.recheck(r, c, to, def)
		j.report(Finding{Hazard: alterColumnTypeCachedPlan, Evidence: j.wasThere(r),
			Message: fmt.Sprintf("prepared statements that give out %s fail once in each session", name)})
	}
}

// retypeSlowly is a column of the other type that a trigger keeps in step with the old
// one. There is none where an expression computes the new value, which has no inverse.
func (j *judge) retypeSlowly(r *relation, c *column, def *ast.ColumnDef) string {
	if c == nil || def == nil || !j.trivial(def.RawDefault, c.name, typeOf(def.TypeName)) {
		return ""
	}
	p, ok := j.retyped(r, c, def)
	if !ok {
		return ""
	}
	return j.inStep(p, true)
}

// recheck finds what the server reads all rows for though the values stay as they are.
func (j *judge) recheck(r *relation, c *column, to Type, def *ast.ColumnDef) {
	if c == nil || c.typ.String() == to.String() && def.CollClause == nil {
		return
	}
	var why []string
	for _, k := range r.constraints {
		if k.kind == ast.ConstrType_CONSTR_CHECK && slices.Contains(k.columns, c.name) {
			why = append(why, "the constraint "+quoted(k.name)+" is checked again")
		}
	}
	collation := collationOf(def.CollClause)
	for _, i := range j.indexesOf(r) {
		complex := i.where != nil || len(i.expressions) > 0
		if i.mentions(c.name) && (complex || collation != c.collation || c.typ.Name.Object == "cidr" ||
			to.Name.Object == "citext" || c.typ.Name.Object == "citext") {
			why = append(why, "the index "+i.name.String()+" is built again")
		}
	}
	if len(why) == 0 {
		return
	}
	j.scan(r)
	if !j.small(r) {
		j.report(Finding{Hazard: alterColumnTypeRecheck, claim: claim{claimsScan, leaves(r)}, Evidence: j.wasThere(r),
			Message: fmt.Sprintf("nobody can read or write %s while %s", r.name, join(why))})
	}
}

// unfit asserts that no value is lost in a narrower type.
func (j *judge) unfit(r *relation, c *column, to Type) string {
	name := quoted(c.name)
	lost := fmt.Sprintf("%s IS DISTINCT FROM %[1]s::%s", name, to)
	switch limit := map[string]string{"int2": "32767", "int4": "2147483647",
		"int8": "9223372036854775807"}[to.Name.Object]; {
	case limit != "":
		lost = fmt.Sprintf("%s NOT BETWEEN -%[2]s - 1 AND %[2]s OR %[1]s <> round(%[1]s::numeric)", name, limit)
	case to.Name.Object == "numeric" && len(to.Mods) > 0:
		lost = fmt.Sprintf("abs(%s) >= 1e%d OR %[1]s <> round(%[1]s, %d)", name, to.Mods[0]-scale(to), scale(to))
	}
	return fmt.Sprintf("-- +migrate Assert every value of %s fits into %s\nSELECT NOT EXISTS (SELECT FROM %s WHERE %s);",
		oneLine(c.name), to, j.written(r), lost)
}

// aroundViews makes views again after the statement, in its transaction; unless others
// rest on them, or how they were made is not known.
func (j *judge) aroundViews(views []*relation) string {
	var before, after []string
	for _, v := range views {
		if v.query == nil || len(j.readers(v, "")) > 0 {
			return ""
		}
		text, err := j.parser.Write(&ast.Node{Node: &ast.Node_ViewStmt{ViewStmt: v.query}})
		if err != nil {
			return ""
		}
		before, after = append(before, fmt.Sprintf("DROP VIEW %s;", j.written(v))), append(after, text+";")
	}
	return strings.Join(slices.Concat(before, []string{j.out.Text + ";"}, after, []string{"-- and grant again what " +
		"roles had on them, in the same file"}), "\n")
}

// retypeDependents finds what makes the server refuse.
func (j *judge) retypeDependents(r *relation, column string) {
	for _, v := range j.readers(r, column) {
		j.report(Finding{Hazard: alterColumnTypeDependents, claim: claim{kind: claimsError},
			Evidence: Evidence{j.source(v), v.name.String() + " reads the column"},
			Message: fmt.Sprintf("the view %s reads %s.%s: the server refuses to change its type", v.name, r.name,
				quoted(column)),
			Rewrite: j.aroundViews(j.readers(r, column))})
	}
}

// retype gives a column the type that a command names.
func (c *column) retype(cmd *ast.AlterTableCmd) {
	c.def = cmd.Def.GetColumnDef()
	c.typ, c.collation = typeOf(c.def.GetTypeName()), collationOf(c.def.GetCollClause())
}
