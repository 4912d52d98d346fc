package lint

import (
	"fmt"
	"slices"

	ast "github.com/pganalyze/pg_query_go/v6"
)

func (j *judge) renameStatement(s *ast.RenameStmt) {
	switch s.RenameType {
	case ast.ObjectType_OBJECT_COLUMN, ast.ObjectType_OBJECT_TABLE, ast.ObjectType_OBJECT_VIEW,
		ast.ObjectType_OBJECT_MATVIEW,
		ast.ObjectType_OBJECT_FOREIGN_TABLE, ast.ObjectType_OBJECT_SEQUENCE, ast.ObjectType_OBJECT_TABCONSTRAINT:
		if i := j.findIndex(nameOfRange(s.Relation)); i != nil && s.RenameType != ast.ObjectType_OBJECT_COLUMN {
			j.because("only the index is locked, for a moment, and no code names it")
			return
		}
		j.renameRelation(s)
	case ast.ObjectType_OBJECT_SCHEMA:
		if j.schemas[s.Subname] && !slices.ContainsFunc(j.sorted(),
			func(r *relation) bool { return r.name.Schema == s.Subname }) {
			j.evidence(FromHistory, "the schema is empty")
			return
		}
		j.report(Finding{Hazard: renameSchema, Message: fmt.Sprintf("code that still names the schema %s fails",
			quoted(s.Subname))})
	case ast.ObjectType_OBJECT_TYPE, ast.ObjectType_OBJECT_DOMAIN:
		n := nameOf(texts(s.Object.GetList().GetItems()))
		if t := j.findType(n); t != nil && t.created == j.now {
			j.because("the type was made by this migration")
			return
		}
		j.report(Finding{Hazard: renameType, Message: fmt.Sprintf("code that still names the type %s, in casts or "+
			"declarations, fails", n)})
	case ast.ObjectType_OBJECT_FUNCTION, ast.ObjectType_OBJECT_PROCEDURE:
		n := j.qualify(nameOf(texts(s.Object.GetObjectWithArgs().GetObjname())))
		if f := j.functions[n]; len(f) > 0 && f[0].created == j.now {
			j.because("the function was made by this migration")
			return
		}
		j.report(Finding{Hazard: dropFunction, Message: fmt.Sprintf("code that still calls %s() fails", n)})
	case ast.ObjectType_OBJECT_INDEX, ast.ObjectType_OBJECT_TRIGGER, ast.ObjectType_OBJECT_POLICY,
		ast.ObjectType_OBJECT_RULE,
		ast.ObjectType_OBJECT_DOMCONSTRAINT, ast.ObjectType_OBJECT_ROLE:
		if s.RenameType == ast.ObjectType_OBJECT_TRIGGER || s.RenameType == ast.ObjectType_OBJECT_POLICY ||
			s.RenameType == ast.ObjectType_OBJECT_RULE {
			j.lock(j.relation(s.Relation), AccessExclusive)
		}
		j.because("no statement of a program names it")
	default:
		j.untold("who uses the old name is not known")
	}
}

func (j *judge) renameRelation(s *ast.RenameStmt) {
	r := j.relation(s.Relation)
	if s.RenameType == ast.ObjectType_OBJECT_COLUMN && j.conditional && !r.assumed && r.column(s.Subname) == nil {
		j.evidence(j.source(r), "no such column, which a condition will have asked")
		return
	}
	if s.RenameType == ast.ObjectType_OBJECT_COLUMN {
		j.lockTree(r, AccessExclusive)
	} else {
		j.lock(r, AccessExclusive)
	}
	if j.harmless(r) || j.forward(r) {
		return
	}
	switch s.RenameType {
	case ast.ObjectType_OBJECT_TABCONSTRAINT:
		j.because("only ON CONFLICT ON CONSTRAINT names constraints")
	case ast.ObjectType_OBJECT_COLUMN:
		if c := r.column(s.Subname); c != nil && c.created == j.now {
			j.because("the column was made by this migration")
			return
		}
		j.report(Finding{Hazard: renameColumn, Evidence: j.wasThere(r),
			Message: fmt.Sprintf("code that still names %s.%s fails from the commit on", r.name, quoted(s.Subname)),
			Rewrite: j.renameSlowly(r, s)})
	default:
		if j.madeAgainAsView(r.name) {
			j.because("the same transaction makes a view of the old name")
			return
		}
		j.report(Finding{Hazard: renameTable, Evidence: j.wasThere(r),
			Message: fmt.Sprintf("code that still names %s fails from the commit on", r.name),
			Rewrite: j.viewInItsPlace(r, Name{r.name.Schema, s.Newname})})
	}
}

// viewInItsPlace keeps the old name of a table, which moves, as that of a view. A view
// has its owner's rights, so that where rows are secured it must be told to have the
// reader's.
func (j *judge) viewInItsPlace(r *relation, to Name) string {
	if r.kind == sequence || j.inner {
		return ""
	}
	options := ""
	if r.rowSecurity {
		if j.options.Major > 0 && j.options.Major < 15 {
			return ""
		}
		options = " WITH (security_invoker = true)"
	}
	old, next := quoted(r.name.Schema)+"."+quoted(r.name.Object), quoted(to.Schema)+"."+quoted(to.Object)
	return fmt.Sprintf("%s;\nCREATE VIEW %s%s AS SELECT * FROM %s; -- in the same transaction\n"+
		"-- and GRANT on the view, in the same file, what roles have on the table",
		j.out.Text, old, options, next)
}

func (j *judge) madeAgainAsView(n Name) bool {
	return slices.ContainsFunc(j.sameStep(), func(p parsed) bool {
		v := p.node.GetViewStmt()
		return v != nil && j.qualify(nameOfRange(v.View)) == n
	})
}

// renameSlowly is a new column that a trigger keeps in step with the old one.
func (j *judge) renameSlowly(r *relation, s *ast.RenameStmt) string {
	p, ok := j.renamed(r, s.Subname, s.Newname)
	if !ok {
		return ""
	}
	return j.inStep(p, false)
}

func (m *model) rename(s *ast.RenameStmt) {
	switch s.RenameType {
	case ast.ObjectType_OBJECT_COLUMN:
		for _, r := range m.relation(s.Relation).tree() {
			m.renameColumn(r, s.Subname, s.Newname)
		}
	case ast.ObjectType_OBJECT_TABLE, ast.ObjectType_OBJECT_VIEW, ast.ObjectType_OBJECT_MATVIEW,
		ast.ObjectType_OBJECT_SEQUENCE, ast.ObjectType_OBJECT_FOREIGN_TABLE:
		if i := m.findIndex(nameOfRange(s.Relation)); i != nil { // ALTER TABLE is allowed for indexes
			m.renameIndex(i, s.Newname)
			return
		}
		r := m.relation(s.Relation)
		m.moveRelation(r, Name{r.name.Schema, s.Newname})
	case ast.ObjectType_OBJECT_INDEX:
		if i := m.findIndex(nameOfRange(s.Relation)); i != nil {
			m.renameIndex(i, s.Newname)
		}
	case ast.ObjectType_OBJECT_TABCONSTRAINT:
		if c := m.relation(s.Relation).constraint(s.Subname); c != nil {
			c.name = s.Newname
			if c.index != nil {
				m.renameIndex(c.index, s.Newname)
			}
		}
	case ast.ObjectType_OBJECT_TRIGGER, ast.ObjectType_OBJECT_POLICY, ast.ObjectType_OBJECT_RULE:
		for _, r := range m.relation(s.Relation).parts() {
			if r.take(s.RenameType, s.Subname) {
				if p, ok := r.policies[s.Subname]; ok {
					r.policies[s.Newname] = p
				}
				r.attach(s.RenameType, s.Newname)
				if t, ok := r.triggers[s.Subname]; ok && s.RenameType == ast.ObjectType_OBJECT_TRIGGER {
					r.triggers[s.Newname] = t
				}
			}
		}
	case ast.ObjectType_OBJECT_FUNCTION, ast.ObjectType_OBJECT_PROCEDURE:
		m.renameFunction(s.Object.GetObjectWithArgs(), s.Newname)
	case ast.ObjectType_OBJECT_SCHEMA:
		m.renameSchema(s.Subname, s.Newname)
	case ast.ObjectType_OBJECT_TYPE, ast.ObjectType_OBJECT_DOMAIN:
		if t := m.findType(nameOf(texts(s.Object.GetList().GetItems()))); t != nil {
			delete(m.types, t.name)
			t.name.Object = s.Newname
			m.types[t.name] = t
		}
	}
}

func (m *model) renameColumn(r *relation, from, to string) {
	if c := r.column(from); c != nil {
		c.name = to
	}
	replace := func(columns []string) []string {
		columns = slices.Clone(columns)
		for i := range columns {
			if columns[i] == from {
				columns[i] = to
			}
		}
		return columns
	}
	rewrite := func(n *ast.Node) {
		walk(n, func(n *ast.Node) bool {
			if ref := n.GetColumnRef(); ref != nil && len(ref.Fields) > 0 {
				if last := ref.Fields[len(ref.Fields)-1].GetString_(); last != nil && last.Sval == from {
					last.Sval = to
				}
			}
			return true
		})
	}
	for _, k := range r.constraints {
		k.columns = replace(k.columns)
		rewrite(k.expr)
	}
	for _, i := range m.indexesOf(r) {
		i.columns, i.include = replace(i.columns), replace(i.include)
		rewrite(i.where)
		for _, e := range i.expressions {
			rewrite(e)
		}
	}
	for _, keys := range m.references(r) {
		for _, k := range keys {
			k.toColumns = replace(k.toColumns)
		}
	}
	for _, v := range m.readers(r, from) {
		for _, u := range v.reads {
			if u.of == r {
				u.columns = replace(u.columns)
			}
		}
	}
	r.partitionKey = replace(r.partitionKey)
}

func (m *model) renameIndex(i *index, name string) {
	delete(m.indexes, i.name)
	i.name.Object = name
	m.indexes[i.name] = i
	if i.constraint != nil {
		i.constraint.name = name
	}
}

func (m *model) renameFunction(o *ast.ObjectWithArgs, to string) {
	f := m.overload(o)
	if f == nil {
		return
	}
	for n, overloads := range m.functions {
		if slices.Contains(overloads, f) {
			m.functions[n] = slices.DeleteFunc(overloads, func(other *function) bool { return other == f })
			m.functions[Name{n.Schema, to}] = append(m.functions[Name{n.Schema, to}], f)
			return
		}
	}
}

func (m *model) renameSchema(from, to string) {
	for _, r := range m.sorted() {
		if r.name.Schema == from {
			m.moveRelation(r, Name{to, r.name.Object})
		}
	}
	for name, t := range m.types {
		if name.Schema == from {
			delete(m.types, name)
			t.name.Schema = to
			m.types[t.name] = t
		}
	}
	delete(m.schemas, from)
	m.schemas[to] = true
}

func (j *judge) setSchemaStatement(s *ast.AlterObjectSchemaStmt) {
	switch s.ObjectType {
	case ast.ObjectType_OBJECT_TABLE, ast.ObjectType_OBJECT_VIEW, ast.ObjectType_OBJECT_MATVIEW,
		ast.ObjectType_OBJECT_SEQUENCE:
		r := j.relation(s.Relation)
		j.lock(r, AccessExclusive)
		if j.harmless(r) {
			return
		}
		if j.madeAgainAsView(r.name) {
			j.because("the same transaction makes a view of the old name")
			return
		}
		j.report(Finding{Hazard: moveTableToSchema, Evidence: j.wasThere(r),
			Message: fmt.Sprintf("code that looks for %s in its old schema fails from the commit on", r.name),
			Rewrite: j.viewInItsPlace(r, Name{s.Newschema, r.name.Object})})
	default:
		j.untold("who looks for it in its old schema is not known")
	}
}

func (m *model) setSchema(s *ast.AlterObjectSchemaStmt) {
	switch s.ObjectType {
	case ast.ObjectType_OBJECT_TABLE, ast.ObjectType_OBJECT_VIEW, ast.ObjectType_OBJECT_MATVIEW,
		ast.ObjectType_OBJECT_SEQUENCE:
		r := m.relation(s.Relation)
		m.moveRelation(r, Name{s.Newschema, r.name.Object})
	}
}

// moveRelation gives a relation another name or schema; indexes move with it.
func (m *model) moveRelation(r *relation, to Name) {
	delete(m.relations, r.name)
	for _, i := range m.indexesOf(r) {
		delete(m.indexes, i.name)
		i.name.Schema = to.Schema
		m.indexes[i.name] = i
	}
	if r.renamed != m.now {
		r.was, r.renamed = r.name, m.now
	}
	r.name = to
	m.relations[to] = r
}
