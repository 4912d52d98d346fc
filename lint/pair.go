package lint

import (
	"fmt"
	"slices"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
)

// pair is a column and another that is to take its place. While both are there, a
// trigger keeps them the same, whichever of them a program writes. The direction comes
// from the row: from the column that changed. A row in which neither did is left as it
// is, above all one that the backfill has not reached.
type pair struct {
	table      *relation
	old, next  *column
	up, down   func(value string) string // conversion from old to next, and back
	function   string
	trigger    string
	sameValues bool // up and down change nothing
}

// renamed makes the pair for a column's new name, or says that there can be none.
func (j *judge) renamed(r *relation, from, to string) (pair, bool) {
	c := r.column(from)
	if !j.paired(r, c) || r.column(to) != nil {
		return pair{}, false
	}
	next := *c
	next.name = to
	same := func(value string) string { return value }
	return j.name(pair{table: r, old: c, next: &next, up: same, down: same, sameValues: true}), true
}

// retyped makes the pair for a column's new type.
func (j *judge) retyped(r *relation, c *column, def *ast.ColumnDef) (pair, bool) {
	if !j.paired(r, c) {
		return pair{}, false
	}
	next := &column{name: cutTo(c.name, 59) + "_new", typ: typeOf(def.TypeName), def: def, notNull: c.notNull,
		value: c.value}
	if r.column(next.name) != nil || j.guarded(next.typ) {
		return pair{}, false
	}
	p := pair{table: r, old: c, next: next, up: j.cast(c.typ, next.typ, def.TypeName), down: j.cast(next.typ, c.typ,
		c.def.GetTypeName())}
	return j.name(p), p.up != nil && p.down != nil
}

// paired reports whether a column can have another beside it that a trigger fills.
func (j *judge) paired(r *relation, c *column) bool {
	return r.kind == table && c != nil && c.def != nil && !c.generated && c.typ.Name.Object != "" && !j.guarded(c.typ)
}

// guarded reports whether a type has values of its own mind: a domain may have a
// default, which would look like a value that somebody gave, or refuse NULL.
func (j *judge) guarded(t Type) bool {
	found := j.findType(t.Name)
	return found != nil && found.kind == "domain"
}

// cast gives the conversion to a type. Zones are written out: the session's may be
// another for each writer.
func (j *judge) cast(from, to Type, name *ast.TypeName) func(string) string {
	a, b := from.Name, to.Name
	zoned, plain := Name{catalogSchema, "timestamptz"}, Name{catalogSchema, "timestamp"}
	if !from.Array && !to.Array && (a == zoned && b == plain || a == plain && b == zoned) {
		zone := j.tx.settings["timezone"]
		if zone == "" {
			zone = "UTC"
		}
		return func(value string) string { return value + " AT TIME ZONE " + literal(zone) }
	}
	written := j.typeName(name)
	if written == "" {
		return nil
	}
	return func(value string) string { return value + "::" + written }
}

// typeName writes a type so that it is found whatever the search_path is.
func (j *judge) typeName(name *ast.TypeName) string {
	name = copied(name)
	if words := texts(name.Names); len(words) == 1 {
		schema := catalogSchema
		if t := j.findType(nameOf(words)); t != nil {
			schema = t.name.Schema
		} else if base, serial := serials[words[0]]; serial {
			words[0] = base
		} else if !slices.Contains(builtin, words[0]) {
			return "" // whose schema is not known
		}
		name.Names = []*ast.Node{stringNode(schema), stringNode(words[0])}
	}
	cast := &ast.Node{Node: &ast.Node_TypeCast{TypeCast: &ast.TypeCast{TypeName: name,
		Arg: &ast.Node{Node: &ast.Node_ParamRef{ParamRef: &ast.ParamRef{Number: 1}}}}}}
	written, found := strings.CutPrefix(expression(j.parser, cast), "$1::")
	if !found {
		return ""
	}
	return written
}

func stringNode(text string) *ast.Node {
	return &ast.Node{Node: &ast.Node_String_{String_: &ast.String{Sval: text}}}
}

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// name gives function and trigger names that are free. Triggers fire in the order of
// their names, and this one must see what others have made of the row.
func (j *judge) name(p pair) pair {
	taken := func(name string) bool { return len(j.functions[Name{p.table.name.Schema, name}]) > 0 }
	name := j.chosen(p.table, p.old.name, "sync", taken)
	p.function = j.beside(p.table, name)
	p.trigger = quoted("zz_" + cutTo(name, 60))
	return p
}

// differ writes that two values are not the same. Equality of some types is not
// identity, and others have none: their values are compared as they are stored.
func (c *column) differ(a, b string) string {
	exact := []string{"int2", "int4", "int8", "bool", "text", "varchar", "uuid", "date", "timestamp", "timestamptz",
		"time", "bytea", "oid", "inet", "cidr", "macaddr"}
	if c.typ.Name.Schema == catalogSchema && !c.typ.Array && c.collation == "" && slices.Contains(exact,
		c.typ.Name.Object) {
		return a + " IS DISTINCT FROM " + b
	}
	return "ROW(" + a + ")::record OPERATOR(pg_catalog.*<>) ROW(" + b + ")::record"
}

// field writes a column of the row in a trigger's function.
func field(row, column string) string {
	name := quoted(column)
	if slices.Contains(plpgsqlWords, name) {
		name = `"` + name + `"`
	}
	return row + "." + name
}

// plpgsqlWords are reserved in PL/pgSQL and not in SQL.
var plpgsqlWords = []string{"begin", "by", "declare", "execute", "foreach", "if", "loop", "strict", "while"}

// sync writes the function and the trigger that keep the pair the same.
func (p pair) sync(written string) string {
	newOld, newNext := field("NEW", p.old.name), field("NEW", p.next.name)
	toNext := fmt.Sprintf("%s := %s;", newNext, p.up(newOld))
	toOld := fmt.Sprintf("%s := %s;", newOld, p.down(newNext))
	changed := "    " + toOld
	if !p.sameValues { // the backfill must not change what it copies, where a conversion loses something
		changed = fmt.Sprintf("    IF %s THEN\n      %s\n    END IF;", p.next.differ(newNext, p.up(newOld)), toOld)
	}
	body := fmt.Sprintf(`
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF %[1]s IS NOT NULL THEN -- which wins, also over a default of the old column
      %[3]s
    ELSE
      %[4]s
    END IF;
  ELSIF %[5]s THEN
%[6]s
  ELSIF %[7]s THEN
    %[4]s
  END IF;
  RETURN NEW;
END `, newNext, newOld, toOld, toNext, p.next.differ(newNext, field("OLD", p.next.name)), changed, p.old.differ(newOld,
		field("OLD", p.old.name)))
	return p.create(written, "pg_catalog, pg_temp", body)
}

// create writes the function with its body, and its trigger.
func (p pair) create(written, path, body string) string {
	quotes := "$$"
	for strings.Contains(body, quotes) {
		quotes = "$sync" + quotes[1:]
	}
	return fmt.Sprintf(`CREATE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql SET search_path = %s AS %s%s%[3]s;
CREATE TRIGGER %[5]s BEFORE INSERT OR UPDATE ON %[6]s FOR EACH ROW EXECUTE FUNCTION %[1]s();`,
		p.function, path, quotes, body, p.trigger, written)
}

// inStep writes how the pair comes into being beside the traffic, and as comments what
// is left for later. rename gives the next column the old one's name in the end.
func (j *judge) inStep(p pair, rename bool) string {
	b, ok := j.batchOf(p.table)
	add := j.addColumn(p.table, p.next)
	if !ok || add == "" {
		return ""
	}
	table, old, next := j.written(p.table), quoted(p.old.name), quoted(p.next.name)
	differ := p.next.differ(next, p.up(old))
	text := add + "\n" + p.sync(table) + fmt.Sprintf("\n%s\nUPDATE %s SET %s = %s WHERE %s AND %s;\n"+
		"-- +migrate Assert %s and %s are the same in every row\nSELECT NOT EXISTS (SELECT FROM %[2]s WHERE %[6]s);",
		b.mark(), table, next, p.up(old), b.where(""), differ, oneLine(p.old.name), oneLine(p.next.name))
	given := j.chosen(p.table, p.next.name, "given", j.constraintTaken(p.table.name.Schema))
	if p.old.notNull {
		text = eachAlone + text + "\n" + j.alterTo(p.table, fmt.Sprintf("ADD CONSTRAINT %s CHECK (%s IS NOT NULL) NOT VALID",
			quoted(given), next)) +
			"\n" + j.alterTo(p.table, "VALIDATE CONSTRAINT "+quoted(given))
	}
	return text + "\n" + j.retire(p, given, rename)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// retire writes how the old column goes, when no program names it any more.
func (j *judge) retire(p pair, given string, rename bool) string {
	old, next := quoted(p.old.name), quoted(p.next.name)
	when := fmt.Sprintf("when no code names %s any more, in a migration of its own", old)
	allow := []string{"-- +migrate Allow drop-column its values are in " + oneLine(p.next.name)}
	if rename {
		when = fmt.Sprintf("then, in a migration of its own, %s takes the name of %s, so that the code that runs need not "+
			"change", next, old)
		allow = append(allow, "-- +migrate Allow rename-column programs know the name "+oneLine(p.old.name))
	}
	if rest := j.restingOn(p.table, p.old); len(rest) > 0 {
		when = fmt.Sprintf("%s (%s of %s must first have a counterpart on %s)", when, join(rest), old, next)
	}
	lines := slices.Concat(allow, []string{
		fmt.Sprintf("DROP TRIGGER %s ON %s;", p.trigger, j.written(p.table)), fmt.Sprintf("DROP FUNCTION %s();", p.function),
	})
	if p.old.value != nil && !p.old.serial {
		lines = append(lines, j.alterTo(p.table, fmt.Sprintf("ALTER COLUMN %s SET DEFAULT %s", next,
			expression(j.parser, p.old.value))))
	}
	if p.old.notNull {
		lines = append(lines, j.alterTo(p.table, fmt.Sprintf("ALTER COLUMN %s SET NOT NULL", next)),
			j.alterTo(p.table, "DROP CONSTRAINT "+quoted(given)))
	}
	lines = append(lines, j.alterTo(p.table, "DROP COLUMN "+old))
	if rename {
		lines = append(lines, j.alterTo(p.table, fmt.Sprintf("RENAME COLUMN %s TO %s", next, old)))
	}
	return laterOn(when, lines...)
}

// restingOn names what goes with a column, or keeps it from going.
func (j *judge) restingOn(r *relation, c *column) []string {
	var all []string
	if c.serial || c.identity != "" {
		all = append(all, "the sequence")
	}
	for _, i := range j.indexesOf(r) {
		if i.mentions(c.name) {
			all = append(all, "index "+i.name.String())
		}
	}
	for _, k := range r.constraints {
		if k.index == nil && slices.Contains(k.columns, c.name) {
			all = append(all, "constraint "+quoted(k.name))
		}
	}
	for other, keys := range j.references(r) {
		for _, k := range keys {
			if slices.Contains(k.toColumns, c.name) {
				all = append(all, fmt.Sprintf("foreign key %s of %s", quoted(k.name), other.name))
			}
		}
	}
	for _, v := range j.readers(r, c.name) {
		all = append(all, "view "+v.name.String())
	}
	slices.Sort(all)
	return all
}

// addColumn writes an ADD COLUMN of a column's name, type and collation.
func (j *judge) addColumn(r *relation, c *column) string {
	def := &ast.ColumnDef{Colname: c.name, TypeName: copied(c.def.TypeName), IsLocal: true}
	if c.def.CollClause != nil {
		def.CollClause = copied(c.def.CollClause)
	}
	if base, serial := serials[nameOf(texts(def.TypeName.Names)).Object]; serial {
		def.TypeName.Names = []*ast.Node{stringNode(catalogSchema), stringNode(base)}
	}
	return j.addDefinition(r, def)
}
