package lint

import (
	"slices"

	ast "github.com/pganalyze/pg_query_go/v6"
)

// alterTable applies one command of an ALTER TABLE, to the partitions as well
// where the server does so.
func (m *model) alterTable(s *ast.AlterTableStmt, cmd *ast.AlterTableCmd) {
	if s.Objtype == ast.ObjectType_OBJECT_TYPE {
		return
	}
	if s.Objtype == ast.ObjectType_OBJECT_INDEX {
		m.alterIndex(s, cmd)
		return
	}
	r := m.relation(s.Relation)
	if s.Objtype == ast.ObjectType_OBJECT_SEQUENCE || s.Objtype == ast.ObjectType_OBJECT_VIEW {
		return
	}
	targets := []*relation{r}
	if s.Relation.Inh {
		targets = r.tree()
	}
	for _, t := range targets {
		if t != r && relationOnly(cmd.Subtype) {
			continue
		}
		m.alterColumn(t, cmd)
		m.alterConstraint(t, cmd)
	}
	m.alterRelation(r, cmd)
}

// relationOnly reports whether a command is for the table that is named, and not
// for its partitions.
func relationOnly(kind ast.AlterTableType) bool {
	switch kind {
	case ast.AlterTableType_AT_AddConstraint, ast.AlterTableType_AT_AddIndex:
		return false
	case ast.AlterTableType_AT_AttachPartition, ast.AlterTableType_AT_DetachPartition,
		ast.AlterTableType_AT_DetachPartitionFinalize,
		ast.AlterTableType_AT_ReplicaIdentity, ast.AlterTableType_AT_EnableRowSecurity, ast.AlterTableType_AT_DisableRowSecurity,
		ast.AlterTableType_AT_ForceRowSecurity, ast.AlterTableType_AT_NoForceRowSecurity, ast.AlterTableType_AT_ChangeOwner,
		ast.AlterTableType_AT_SetRelOptions, ast.AlterTableType_AT_ResetRelOptions, ast.AlterTableType_AT_SetAccessMethod,
		ast.AlterTableType_AT_ClusterOn, ast.AlterTableType_AT_SetTableSpace,
		ast.AlterTableType_AT_AddInherit, ast.AlterTableType_AT_DropInherit:
		return true
	}
	return false
}

func (m *model) alterColumn(r *relation, cmd *ast.AlterTableCmd) {
	c := r.column(cmd.Name)
	if cmd.Subtype == ast.AlterTableType_AT_AddColumn {
		def := cmd.Def.GetColumnDef()
		if !cmd.MissingOk || r.column(def.GetColname()) == nil {
			m.addColumn(r, def)
		}
		return
	}
	if c == nil {
		return
	}
	switch cmd.Subtype {
	case ast.AlterTableType_AT_DropColumn:
		m.dropColumn(r, c)
	case ast.AlterTableType_AT_ColumnDefault:
		c.value = cmd.Def
	case ast.AlterTableType_AT_SetNotNull:
		c.notNull = true
	case ast.AlterTableType_AT_DropNotNull:
		c.notNull = false
	case ast.AlterTableType_AT_AlterColumnType:
		c.typ, c.def = typeOf(cmd.Def.GetColumnDef().GetTypeName()), cmd.Def.GetColumnDef()
		c.collation = collationOf(cmd.Def.GetColumnDef().GetCollClause())
	case ast.AlterTableType_AT_AddIdentity:
		c.identity = cmd.Def.GetConstraint().GetGeneratedWhen()
	case ast.AlterTableType_AT_DropIdentity:
		c.identity = ""
	case ast.AlterTableType_AT_DropExpression:
		c.generated = false
	}
}

func (m *model) dropColumn(r *relation, c *column) {
	r.columns = slices.DeleteFunc(r.columns, func(other *column) bool { return other == c })
	r.dropped++
	r.constraints = slices.DeleteFunc(r.constraints, func(k *constraint) bool {
		return slices.Contains(k.columns,
			c.name)
	})
	for name, i := range m.indexes {
		if i.table == r && i.mentions(c.name) {
			delete(m.indexes, name)
		}
	}
	for other, keys := range m.references(r) {
		other.constraints = slices.DeleteFunc(other.constraints, func(k *constraint) bool {
			return slices.Contains(keys, k) && slices.Contains(k.toColumns, c.name)
		})
	}
}

// mentions reports whether an index needs a column.
func (i *index) mentions(column string) bool {
	if slices.Contains(i.columns, column) || slices.Contains(i.include, column) || slices.Contains(columnsIn(i.where),
		column) {
		return true
	}
	for _, e := range i.expressions {
		if slices.Contains(columnsIn(e), column) {
			return true
		}
	}
	return false
}

func (m *model) alterConstraint(r *relation, cmd *ast.AlterTableCmd) {
	switch cmd.Subtype {
	case ast.AlterTableType_AT_AddConstraint:
		s := cmd.Def.GetConstraint()
		if r.parent != nil && s.Conname != "" && r.constraint(s.Conname) != nil {
			return
		}
		m.addConstraint(r, s, false)
	case ast.AlterTableType_AT_ValidateConstraint:
		if c := r.constraint(cmd.Name); c != nil {
			c.valid = true
		}
	case ast.AlterTableType_AT_AlterConstraint:
		r.deferred = r.deferred || cmd.Def.GetConstraint().GetInitdeferred()
	case ast.AlterTableType_AT_DropConstraint:
		if c := r.constraint(cmd.Name); c != nil {
			m.dropConstraint(r, c)
		}
	}
}

func (m *model) dropConstraint(r *relation, c *constraint) {
	r.constraints = slices.DeleteFunc(r.constraints, func(other *constraint) bool { return other == c })
	if c.index != nil {
		delete(m.indexes, c.index.name)
	}
}

func (m *model) alterRelation(r *relation, cmd *ast.AlterTableCmd) {
	switch cmd.Subtype {
	case ast.AlterTableType_AT_AttachPartition:
		p := m.relation(cmd.Def.GetPartitionCmd().GetName())
		m.inherit(p, r, cmd.Def.GetPartitionCmd().GetBound())
	case ast.AlterTableType_AT_DetachPartition, ast.AlterTableType_AT_DetachPartitionFinalize:
		p := m.relation(cmd.Def.GetPartitionCmd().GetName())
		m.detach(p)
	case ast.AlterTableType_AT_AddInherit:
		m.inherit(r, m.relation(cmd.Def.GetRangeVar()), nil)
	case ast.AlterTableType_AT_DropInherit:
		parent := m.relation(cmd.Def.GetRangeVar())
		parent.heirs = slices.DeleteFunc(parent.heirs, func(h *relation) bool { return h == r })
	case ast.AlterTableType_AT_EnableRowSecurity:
		r.rowSecurity = true
	case ast.AlterTableType_AT_DisableRowSecurity:
		r.rowSecurity = false
	case ast.AlterTableType_AT_ReplicaIdentity:
		identity := cmd.Def.GetReplicaIdentityStmt()
		r.identity = identity.GetIdentityType()
		if identity.GetName() != "" {
			r.identity = identity.GetName()
		}
	case ast.AlterTableType_AT_SetUnLogged:
		r.unlogged = true
	case ast.AlterTableType_AT_SetLogged:
		r.unlogged = false
	}
}

func (m *model) detach(p *relation) {
	if p.parent == nil {
		return
	}
	p.parent.partitions = slices.DeleteFunc(p.parent.partitions, func(other *relation) bool { return other == p })
	p.parent, p.bound = nil, nil
}

func (m *model) alterIndex(s *ast.AlterTableStmt, cmd *ast.AlterTableCmd) {
	if cmd.Subtype == ast.AlterTableType_AT_AttachPartition {
		// the parent's index is valid once every partition has its part; that the
		// last one came is taken for granted
		if i := m.findIndex(nameOfRange(s.Relation)); i != nil {
			i.valid = true
		}
	}
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

func (m *model) setSchema(s *ast.AlterObjectSchemaStmt) {
	switch s.ObjectType {
	case ast.ObjectType_OBJECT_TABLE, ast.ObjectType_OBJECT_VIEW, ast.ObjectType_OBJECT_MATVIEW,
		ast.ObjectType_OBJECT_SEQUENCE:
		r := m.relation(s.Relation)
		m.moveRelation(r, Name{s.Newschema, r.name.Object})
	}
}

func (m *model) drop(s *ast.DropStmt) {
	for _, object := range s.Objects {
		words := texts(object.GetList().GetItems())
		switch s.RemoveType {
		case ast.ObjectType_OBJECT_TABLE, ast.ObjectType_OBJECT_VIEW, ast.ObjectType_OBJECT_MATVIEW,
			ast.ObjectType_OBJECT_SEQUENCE, ast.ObjectType_OBJECT_FOREIGN_TABLE:
			if r := m.find(nameOf(words)); r != nil {
				m.dropRelation(r)
			}
		case ast.ObjectType_OBJECT_INDEX:
			if i := m.findIndex(nameOf(words)); i != nil {
				delete(m.indexes, i.name)
			}
		case ast.ObjectType_OBJECT_SCHEMA:
			m.dropSchema(text(object))
		case ast.ObjectType_OBJECT_TYPE, ast.ObjectType_OBJECT_DOMAIN:
			if t := m.findType(typeName(object)); t != nil {
				delete(m.types, t.name)
			}
		case ast.ObjectType_OBJECT_FUNCTION, ast.ObjectType_OBJECT_PROCEDURE, ast.ObjectType_OBJECT_ROUTINE:
			m.dropFunction(object.GetObjectWithArgs())
		case ast.ObjectType_OBJECT_TRIGGER, ast.ObjectType_OBJECT_POLICY, ast.ObjectType_OBJECT_RULE:
			if r := m.find(nameOf(words[:max(0, len(words)-1)])); r != nil {
				for _, part := range r.parts() {
					part.take(s.RemoveType, words[len(words)-1])
				}
			}
		case ast.ObjectType_OBJECT_PUBLICATION:
			delete(m.publications, text(object))
		}
	}
}

func typeName(object *ast.Node) Name {
	if t := object.GetTypeName(); t != nil {
		return nameOf(texts(t.Names))
	}
	return nameOf(texts(object.GetList().GetItems()))
}

func (m *model) dropRelation(r *relation) {
	for _, p := range slices.Clone(r.partitions) {
		m.dropRelation(p)
	}
	m.detach(r)
	for _, other := range m.relations {
		other.heirs = slices.DeleteFunc(other.heirs, func(h *relation) bool { return h == r })
	}
	delete(m.relations, r.name)
	for _, i := range m.indexesOf(r) {
		delete(m.indexes, i.name)
	}
	for other, keys := range m.references(r) {
		other.constraints = slices.DeleteFunc(other.constraints, func(c *constraint) bool { return slices.Contains(keys, c) })
	}
}

func (m *model) dropSchema(name string) {
	for _, r := range m.sorted() {
		if r.name.Schema == name {
			m.dropRelation(r)
		}
	}
	for n := range m.types {
		if n.Schema == name {
			delete(m.types, n)
		}
	}
	delete(m.schemas, name)
}
