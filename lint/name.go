package lint

import (
	"slices"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

// Name is how the catalog knows an object.
type Name struct{ Schema, Object string }

// String writes the name as SQL does; the schema public is left out.
func (n Name) String() string {
	if n.Schema == "" || n.Schema == public {
		return quoted(n.Object)
	}
	return quoted(n.Schema) + "." + quoted(n.Object)
}

// public is the schema of names without one, unless search_path says otherwise.
const public = "public"

// quoted writes an identifier, in quotes where it needs them.
func quoted(name string) string {
	plain := name != "" && !reserved[name] && pgsql.Identifier(name) == name
	for i, r := range name {
		letter := r >= 'a' && r <= 'z' || r == '_'
		plain = plain && (letter || i > 0 && r >= '0' && r <= '9')
	}
	if plain {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// reserved are the key words that cannot be names without quotes; see the
// appendix "SQL Key Words" of PostgreSQL's documentation.
var reserved = func() map[string]bool {
	words := make(map[string]bool)
	for word := range strings.FieldsSeq(`all analyse analyze and any array as asc asymmetric authorization binary both
		case cast check collate collation column concurrently constraint create cross current_catalog current_date
		current_role current_schema current_time current_timestamp current_user default deferrable desc distinct do
		else end except false fetch for foreign freeze from full grant group having ilike in initially inner intersect
		into is isnull join lateral leading left like limit localtime localtimestamp natural not notnull null offset on
		only or order outer overlaps placing primary references returning right select session_user similar some
		symmetric system_user table tablesample then to trailing true union unique user using variadic verbose when
		where window with`) {
		words[word] = true
	}
	return words
}()

// names quotes several identifiers and puts commas between them.
func names(all []string) string {
	var out []string
	for _, name := range all {
		out = append(out, quoted(name))
	}
	return strings.Join(out, ", ")
}

// part gives the words of a qualified name as a Name; the schema is empty where
// none is written.
func nameOf(words []string) Name {
	switch len(words) {
	case 0:
		return Name{}
	case 1:
		return Name{Object: words[0]}
	}
	return Name{Schema: words[len(words)-2], Object: words[len(words)-1]}
}

func nameOfRange(r *ast.RangeVar) Name {
	if r == nil {
		return Name{}
	}
	return Name{Schema: r.Schemaname, Object: r.Relname}
}

// Type is a data type as a column has it.
type Type struct {
	Name  Name  // pg_catalog's types by their short names: integer is int4
	Mods  []int // what is in parentheses: numeric(10,2)
	Array bool
	// Unit is what follows interval, as "DAY TO SECOND".
	Unit string
}

// String writes the type as SQL does.
func (t Type) String() string {
	name := t.Name.String()
	if t.Name.Schema == catalogSchema {
		name = t.Name.Object
		if long, ok := spoken[name]; ok {
			name = long
		}
	}
	if len(t.Mods) > 0 {
		var mods []string
		for _, m := range t.Mods {
			mods = append(mods, number(m))
		}
		name += "(" + strings.Join(mods, ",") + ")"
	}
	if t.Array {
		name += "[]"
	}
	return name
}

const catalogSchema = "pg_catalog"

// spoken are the names under which people know types.
var spoken = map[string]string{
	"int2": "smallint", "int4": "integer", "int8": "bigint", "float4": "real", "float8": "double precision",
	"bool": "boolean", "bpchar": "char", "varbit": "bit varying",
}

// builtin are types of pg_catalog that are written without schema and that the
// grammar does not already qualify.
var builtin = []string{
	"text", "json", "jsonb", "uuid", "bytea", "date", "inet", "cidr", "macaddr", "macaddr8", "int2", "int4", "int8",
	"float4", "float8", "bool", "oid", "xml", "money", "point", "line", "lseg", "box", "path", "polygon", "circle",
	"tsvector", "tsquery", "name", "regclass", "regproc", "regtype", "int4range", "int8range", "numrange", "tsrange",
	"tstzrange", "daterange", "timestamptz", "timestamp", "timetz", "time", "varchar", "bpchar", "numeric", "interval",
	"bit", "varbit", "xid", "xid8", "pg_lsn", "char", "int4multirange", "int8multirange", "nummultirange",
	"tsmultirange", "tstzmultirange", "datemultirange", "trigger", "void", "record",
}

// serials are the pseudo-types that make a sequence.
var serials = map[string]string{
	"serial": "int4", "serial4": "int4", "bigserial": "int8", "serial8": "int8", "smallserial": "int2", "serial2": "int2",
}

func typeOf(t *ast.TypeName) Type {
	if t == nil {
		return Type{}
	}
	words := texts(t.Names)
	typ := Type{Name: nameOf(words), Array: len(t.ArrayBounds) > 0}
	if typ.Name.Schema == "" && slices.Contains(builtin, typ.Name.Object) {
		typ.Name.Schema = catalogSchema
	}
	for _, mod := range t.Typmods {
		if c := mod.GetAConst(); c != nil && c.GetIval() != nil {
			typ.Mods = append(typ.Mods, int(c.GetIval().Ival))
		}
	}
	if typ.Name == (Name{catalogSchema, "bpchar"}) && len(words) == 2 && len(typ.Mods) == 0 && words[1] == "bpchar" {
		return typ
	}
	if typ.Name.Object == "interval" && len(t.Typmods) > 0 {
		// the first is a mask of fields, the second the precision
		if full := 0x7FFF; typ.Mods[0] != full {
			typ.Unit = number(typ.Mods[0])
		}
		typ.Mods = typ.Mods[1:]
	}
	return typ
}

func lower(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// join makes a phrase of several.
func join(all []string) string {
	if len(all) < 2 {
		return strings.Join(all, "")
	}
	return strings.Join(all[:len(all)-1], ", ") + " and " + all[len(all)-1]
}
