package lint

import (
	"fmt"
	"slices"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
)

// columnSteps writes an ADD COLUMN whose parts would go through all rows so that each
// part is done beside the traffic, and all of them are there in the end. It says why
// where it cannot.
type columnSteps struct {
	*judge
	table *relation
	added
	base  *ast.ColumnDef // what ADD COLUMN itself still does
	after []string       // statements behind the rows' values
	alone bool           // they must not share a transaction
	taken []string       // names that the steps have given
}

// inSteps gives the steps for a column.
func (j *judge) inSteps(r *relation, a added) (rewrite, why string) {
	s := &columnSteps{judge: j, table: r, added: a}
	s.base = &ast.ColumnDef{Colname: a.def.Colname, TypeName: copied(a.def.TypeName), IsLocal: true,
		Compression: a.def.Compression, StorageName: a.def.StorageName}
	if a.def.CollClause != nil {
		s.base.CollClause = copied(a.def.CollClause)
	}
	if why := s.refused(); why != "" {
		return "", why
	}
	fill, why := s.values()
	if why != "" {
		return "", why
	}
	s.constraints(fill != "")
	text := s.addDefinition(r, s.base)
	if text == "" {
		return "", "the statement cannot be written"
	}
	text = strings.Join(slices.DeleteFunc(append([]string{text, fill}, s.after...),
		func(part string) bool { return part == "" }), "\n")
	if s.alone {
		text = eachAlone + text
	}
	if fill != "" {
		why = s.firedByFill()
	}
	return text, why
}

// firedByFill says what would run for the rows when they get their values, which does not
// where the server rewrites the table.
func (s *columnSteps) firedByFill() string {
	for _, name := range s.table.attached[ast.ObjectType_OBJECT_RULE] {
		return "the rule " + quoted(name) + " would take part when the rows get their values"
	}
	for _, t := range s.table.triggersOn(onUpdate, s.def.Colname) {
		return "the trigger " + quoted(t.GetTrigname()) + " would fire when the rows get their values"
	}
	return ""
}

// refused says what the steps could not carry over.
func (s *columnSteps) refused() string {
	statement := s.current.node.GetAlterTableStmt()
	switch {
	case s.inner || statement == nil:
		return "it is in a function's body"
	case slices.ContainsFunc(statement.Cmds, func(n *ast.Node) bool { return n.GetAlterTableCmd().GetMissingOk() }):
		return "with IF NOT EXISTS it is not known whether the column is new, and the further steps would change one that " +
			"is not"
	case !statement.Relation.Inh:
		return "ONLY leaves out the tables that inherit from it"
	case s.identity != nil:
		return "an identity needs a value in every row before it can be one"
	case s.generated != nil:
		return "the column is generated"
	case s.domain != nil && (s.domain.value != nil || s.domain.notNull || len(s.domain.checks) > 0):
		return "the domain has a default or constraints of its own"
	case s.serial && s.table.unlogged:
		return "the sequence of an unlogged table is unlogged on some servers"
	}
	for _, n := range s.def.Constraints {
		switch c := n.GetConstraint(); c.GetContype() {
		case ast.ConstrType_CONSTR_NOTNULL:
			if c.Conname != "" {
				return "its NOT NULL has a name"
			}
		case ast.ConstrType_CONSTR_PRIMARY, ast.ConstrType_CONSTR_UNIQUE:
			if s.table.partitioned {
				return "a key of a partitioned table cannot be made of an index that is built concurrently"
			}
		case ast.ConstrType_CONSTR_FOREIGN:
			if s.table.partitioned && s.value != nil {
				return "NOT VALID is not possible for a foreign key of a partitioned table before PostgreSQL 18"
			}
		}
	}
	return ""
}

// values gives the rows their values: by ADD COLUMN where that touches none of them, and
// otherwise by a default for rows to come and batches for the others.
func (s *columnSteps) values() (fill, why string) {
	name, table := quoted(s.def.Colname), s.written(s.table)
	constant := s.value != nil && s.volatility(s.value).is == isSteady
	if !s.serial && (s.value == nil || constant) {
		for _, n := range s.def.Constraints {
			switch n.GetConstraint().GetContype() {
			case ast.ConstrType_CONSTR_DEFAULT, ast.ConstrType_CONSTR_NOTNULL, ast.ConstrType_CONSTR_NULL:
				s.base.Constraints = append(s.base.Constraints, copied(n))
			}
		}
		return "", ""
	}
	batch, ok := s.batchOf(s.table)
	if !ok {
		return "", "the table has no key by which its rows can be filled in batches"
	}
	lines := []string{}
	value := expression(s.parser, s.value)
	if s.serial {
		base := serials[s.typ.Name.Object]
		s.base.TypeName.Names = []*ast.Node{stringNode(catalogSchema), stringNode(base)}
		sequence := s.beside(s.table, s.chosen(s.table, s.def.Colname, "seq", s.relationTaken(s.table.name.Schema)))
		lines = append(lines, fmt.Sprintf("CREATE SEQUENCE %s AS %s OWNED BY %s.%s;", sequence, spoken[base], table, name))
		value = "nextval(" + literal(sequence) + ")"
	}
	lines = append(lines, s.alterTo(s.table, fmt.Sprintf("ALTER COLUMN %s SET DEFAULT %s", name, value)), batch.mark(),
		fmt.Sprintf("UPDATE %s SET %s = DEFAULT WHERE %[2]s IS NULL AND %[3]s;", table, name, batch.where("")))
	if s.notNull || s.serial || slices.ContainsFunc(s.def.Constraints,
		func(n *ast.Node) bool { return n.GetConstraint().GetContype() == ast.ConstrType_CONSTR_PRIMARY }) {
		s.after, s.alone = append(s.after, s.notNullSteps(s.table, s.def.Colname)), true
	}
	return strings.Join(lines, "\n"), ""
}

// constraints takes out those that would go through the rows.
func (s *columnSteps) constraints(filled bool) {
	all := s.def.Constraints
	for i, n := range all {
		c := copied(n.GetConstraint())
		attributes := attributesOf(all[i+1:])
		for _, a := range attributes {
			switch a.Contype {
			case ast.ConstrType_CONSTR_ATTR_DEFERRABLE:
				c.Deferrable = true
			case ast.ConstrType_CONSTR_ATTR_DEFERRED:
				c.Deferrable, c.Initdeferred = true, true
			}
		}
		switch c.Contype {
		case ast.ConstrType_CONSTR_CHECK:
			if c.Conname == "" {
				c.Conname = s.checkName(s.table, c.RawExpr, s.taken...)
			}
			s.notValid(c)
		case ast.ConstrType_CONSTR_FOREIGN:
			if s.value == nil || filled { // nothing is looked up for NULL
				s.base.Constraints = append(s.base.Constraints, copied(n))
				for _, a := range attributes {
					s.base.Constraints = append(s.base.Constraints, &ast.Node{Node: &ast.Node_Constraint{Constraint: copied(a)}})
				}
				continue
			}
			c.FkAttrs = []*ast.Node{stringNode(s.def.Colname)}
			if c.Conname == "" {
				c.Conname = s.foreignName(s.table, []string{s.def.Colname}, s.taken...)
			}
			s.notValid(c)
		case ast.ConstrType_CONSTR_PRIMARY, ast.ConstrType_CONSTR_UNIQUE:
			c.Keys = []*ast.Node{stringNode(s.def.Colname)}
			if c.Conname == "" {
				c.Conname = s.keyName(s.table, c, []string{s.def.Colname}, s.taken...)
			}
			s.taken = append(s.taken, c.Conname)
			s.after = append(s.after, s.keyOfIndex(s.table, c))
		}
	}
}

// attributesOf are the words DEFERRABLE and so on that follow a constraint of a column,
// each a constraint of its own in the tree.
func attributesOf(rest []*ast.Node) []*ast.Constraint {
	var all []*ast.Constraint
	for _, n := range rest {
		switch c := n.GetConstraint(); c.GetContype() {
		case ast.ConstrType_CONSTR_ATTR_DEFERRABLE, ast.ConstrType_CONSTR_ATTR_NOT_DEFERRABLE,
			ast.ConstrType_CONSTR_ATTR_DEFERRED, ast.ConstrType_CONSTR_ATTR_IMMEDIATE:
			all = append(all, c)
		default:
			return all
		}
	}
	return all
}

// notValid adds a constraint of the table that is checked afterwards.
func (s *columnSteps) notValid(c *ast.Constraint) {
	s.taken, s.alone = append(s.taken, c.Conname), true
	c.SkipValidation, c.InitiallyValid = true, false
	s.after = append(s.after, s.addConstraintTo(s.table, c), s.alterTo(s.table, "VALIDATE CONSTRAINT "+quoted(c.Conname)))
}

// addConstraintTo writes an ADD CONSTRAINT.
func (j *judge) addConstraintTo(r *relation, c *ast.Constraint) string {
	return j.alterBy(r, &ast.AlterTableCmd{
		Subtype: ast.AlterTableType_AT_AddConstraint, Def: &ast.Node{Node: &ast.Node_Constraint{Constraint: c}},
		Behavior: ast.DropBehavior_DROP_RESTRICT,
	})
}

// addDefinition writes an ADD COLUMN.
func (j *judge) addDefinition(r *relation, def *ast.ColumnDef) string {
	return j.alterBy(r, &ast.AlterTableCmd{
		Subtype: ast.AlterTableType_AT_AddColumn, Def: &ast.Node{Node: &ast.Node_ColumnDef{ColumnDef: def}},
		Behavior: ast.DropBehavior_DROP_RESTRICT,
	})
}

// alterBy writes an ALTER TABLE of one command.
func (j *judge) alterBy(r *relation, cmd *ast.AlterTableCmd) string {
	text, err := j.parser.Write(&ast.Node{Node: &ast.Node_AlterTableStmt{AlterTableStmt: &ast.AlterTableStmt{
		Relation: j.rangeOf(r), Objtype: ast.ObjectType_OBJECT_TABLE,
		Cmds: []*ast.Node{{Node: &ast.Node_AlterTableCmd{AlterTableCmd: cmd}}},
	}}})
	if err != nil {
		return ""
	}
	return text + ";"
}

// rangeOf names a table as written does.
func (j *judge) rangeOf(r *relation) *ast.RangeVar {
	name := &ast.RangeVar{Relname: r.name.Object, Inh: true, Relpersistence: "p"}
	if j.written(r) != quoted(r.name.Object) {
		name.Schemaname = r.name.Schema
	}
	return name
}

// keyOfIndex writes a key whose index is built beside the traffic.
func (j *judge) keyOfIndex(r *relation, c *ast.Constraint) string {
	elements := func(columns []*ast.Node) (all []*ast.Node) {
		for _, name := range texts(columns) {
			all = append(all, &ast.Node{Node: &ast.Node_IndexElem{IndexElem: &ast.IndexElem{
				Name: name, Ordering: ast.SortByDir_SORTBY_DEFAULT, NullsOrdering: ast.SortByNulls_SORTBY_NULLS_DEFAULT,
			}}})
		}
		return all
	}
	index, err := j.parser.Write(&ast.Node{Node: &ast.Node_IndexStmt{IndexStmt: &ast.IndexStmt{
		Idxname: c.Conname, Relation: j.rangeOf(r), Unique: true, Concurrent: true, NullsNotDistinct: c.NullsNotDistinct,
		IndexParams: elements(c.Keys), IndexIncludingParams: elements(c.Including), Options: c.Options,
		TableSpace: c.Indexspace,
	}}})
	if err != nil {
		return ""
	}
	kind := "UNIQUE"
	if c.Contype == ast.ConstrType_CONSTR_PRIMARY {
		kind = "PRIMARY KEY"
	}
	command := fmt.Sprintf("ADD CONSTRAINT %s %s USING INDEX %[1]s", quoted(c.Conname), kind)
	if c.Deferrable {
		command += " DEFERRABLE"
	}
	if c.Initdeferred {
		command += " INITIALLY DEFERRED"
	}
	return index + ";\n" + j.alterTo(r, command)
}
