package lint

import (
	"slices"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
)

// apply makes of the model what a statement makes of a schema. What it does not
// know leaves the model as it is.
func (m *model) apply(n *ast.Node) {
	switch s := n.GetNode().(type) {
	case *ast.Node_CreateStmt:
		m.createTable(s.CreateStmt)
	case *ast.Node_CreateForeignTableStmt:
		m.createTable(s.CreateForeignTableStmt.BaseStmt)
		if r := m.relation(s.CreateForeignTableStmt.BaseStmt.Relation); r != nil {
			r.kind = foreignTable
		}
	case *ast.Node_CreateTableAsStmt:
		m.createTableAs(s.CreateTableAsStmt)
	case *ast.Node_SelectStmt:
		m.selectInto(s.SelectStmt)
	case *ast.Node_ViewStmt:
		m.createView(s.ViewStmt)
	case *ast.Node_IndexStmt:
		m.createIndex(s.IndexStmt)
	case *ast.Node_AlterTableStmt:
		for _, cmd := range s.AlterTableStmt.Cmds {
			m.alterTable(s.AlterTableStmt, cmd.GetAlterTableCmd())
		}
	case *ast.Node_RenameStmt:
		m.rename(s.RenameStmt)
	case *ast.Node_AlterObjectSchemaStmt:
		m.setSchema(s.AlterObjectSchemaStmt)
	case *ast.Node_DropStmt:
		m.drop(s.DropStmt)
	case *ast.Node_CreateSeqStmt:
		m.createSequence(s.CreateSeqStmt)
	case *ast.Node_VariableSetStmt:
		m.set(s.VariableSetStmt)
	case *ast.Node_RefreshMatViewStmt:
		m.relation(s.RefreshMatViewStmt.Relation).empty = s.RefreshMatViewStmt.SkipData
	case *ast.Node_CreateTrigStmt:
		for _, r := range m.relation(s.CreateTrigStmt.Relation).parts() {
			r.attachTrigger(s.CreateTrigStmt)
		}
	default:
		m.applyOther(n)
	}
}

// applyOther is apply for what is not a relation.
func (m *model) applyOther(n *ast.Node) {
	switch s := n.GetNode().(type) {
	case *ast.Node_CreateEnumStmt:
		t := m.createType(nameOf(texts(s.CreateEnumStmt.TypeName)), "enum")
		for _, value := range s.CreateEnumStmt.Vals {
			t.added[text(value)] = 0
		}
	case *ast.Node_AlterEnumStmt:
		m.alterEnum(s.AlterEnumStmt)
	case *ast.Node_CreateDomainStmt:
		m.createDomain(s.CreateDomainStmt)
	case *ast.Node_AlterDomainStmt:
		m.alterDomain(s.AlterDomainStmt)
	case *ast.Node_CompositeTypeStmt:
		m.createType(nameOfRange(s.CompositeTypeStmt.Typevar), "composite")
	case *ast.Node_CreateRangeStmt:
		m.createType(nameOf(texts(s.CreateRangeStmt.TypeName)), "range")
	case *ast.Node_CreateFunctionStmt:
		m.createFunction(s.CreateFunctionStmt)
	case *ast.Node_AlterFunctionStmt:
		m.alterFunction(s.AlterFunctionStmt)
	case *ast.Node_CreateSchemaStmt:
		m.createSchema(s.CreateSchemaStmt)
	case *ast.Node_CreatePolicyStmt:
		m.relation(s.CreatePolicyStmt.Table).attachPolicy(s.CreatePolicyStmt)
	case *ast.Node_RuleStmt:
		m.relation(s.RuleStmt.Relation).attach(ast.ObjectType_OBJECT_RULE, s.RuleStmt.Rulename)
	case *ast.Node_GrantStmt:
		m.grantPublic(s.GrantStmt)
	case *ast.Node_CreatePublicationStmt:
		m.createPublication(s.CreatePublicationStmt)
	case *ast.Node_AlterPublicationStmt:
		m.alterPublication(s.AlterPublicationStmt)
	case *ast.Node_ReindexStmt:
		if i := m.findIndex(nameOfRange(s.ReindexStmt.Relation)); i != nil {
			i.valid = true
		}
	}
}

func (m *model) createTable(s *ast.CreateStmt) {
	if found := m.find(m.qualify(nameOfRange(s.Relation))); found != nil {
		if s.IfNotExists && !found.assumed {
			return
		}
	}
	r := m.create(s.Relation, table)
	r.unlogged = s.Relation.Relpersistence == "u"
	r.method = s.AccessMethod
	if s.Partspec != nil {
		r.partitioned, r.strategy = true, s.Partspec.Strategy
		for _, p := range s.Partspec.PartParams {
			r.partitionKey = append(r.partitionKey, p.GetPartitionElem().GetName())
		}
	}
	for _, parent := range s.InhRelations {
		m.inherit(r, m.relation(parent.GetRangeVar()), s.Partbound)
	}
	for _, element := range s.TableElts {
		switch {
		case element.GetColumnDef() != nil:
			m.addColumn(r, element.GetColumnDef())
		case element.GetConstraint() != nil:
			m.addConstraint(r, element.GetConstraint(), true)
		case element.GetTableLikeClause() != nil:
			m.like(r, element.GetTableLikeClause())
		}
	}
	for _, c := range s.Constraints {
		m.addConstraint(r, c.GetConstraint(), true)
	}
}

func (m *model) create(name *ast.RangeVar, kind relationKind) *relation {
	n := m.qualify(nameOfRange(name))
	r := &relation{
		name: n, kind: kind, created: m.now, createdStep: m.step, rows: -1, identity: "d",
		temporary: name.Relpersistence == "t" || n.Schema == "pg_temp",
	}
	m.relations[n] = r
	return r
}

// inherit makes r a partition of parent, or its heir.
func (m *model) inherit(r, parent *relation, bound *ast.PartitionBoundSpec) {
	for _, c := range parent.columns {
		if r.column(c.name) == nil {
			copied := *c
			r.columns = append(r.columns, &copied)
		}
	}
	r.bound = bound
	if bound == nil {
		parent.heirs = append(parent.heirs, r)
		for _, c := range parent.constraints {
			if c.kind == ast.ConstrType_CONSTR_CHECK && !c.noInherit && r.constraint(c.name) == nil {
				copied := *c
				r.constraints = append(r.constraints, &copied)
			}
		}
		return
	}
	r.parent = parent
	parent.partitioned = true
	parent.partitions = append(parent.partitions, r)
	for _, c := range parent.constraints {
		switch c.kind {
		case ast.ConstrType_CONSTR_PRIMARY, ast.ConstrType_CONSTR_UNIQUE:
			m.key(r, c.kind, "", c.columns)
		case ast.ConstrType_CONSTR_CHECK, ast.ConstrType_CONSTR_FOREIGN:
			if r.constraint(c.name) == nil {
				copied := *c
				r.constraints = append(r.constraints, &copied)
			}
		}
	}
}

// like copies what CREATE TABLE (LIKE …) copies. Checks are copied with INCLUDING
// CONSTRAINTS, keys with INCLUDING INDEXES.
func (m *model) like(r *relation, s *ast.TableLikeClause) {
	const defaults, constraints, indexes = 1 << 3, 1 << 2, 1 << 6
	source := m.relation(s.Relation)
	for _, c := range source.columns {
		copied := *c
		if s.Options&defaults == 0 {
			copied.value = nil
		}
		r.columns = append(r.columns, &copied)
	}
	for _, c := range source.constraints {
		isKey := c.kind == ast.ConstrType_CONSTR_PRIMARY || c.kind == ast.ConstrType_CONSTR_UNIQUE
		switch {
		case c.kind == ast.ConstrType_CONSTR_CHECK && s.Options&constraints != 0:
			copied := *c
			r.constraints = append(r.constraints, &copied)
		case isKey && s.Options&indexes != 0:
			m.key(r, c.kind, "", c.columns)
		}
	}
}

// addColumn adds a column with the constraints that are at it.
func (m *model) addColumn(r *relation, def *ast.ColumnDef) {
	c := &column{name: def.Colname, typ: typeOf(def.TypeName), def: def, created: m.now,
		collation: collationOf(def.CollClause)}
	if base, ok := serials[c.typ.Name.Object]; ok && c.typ.Name.Schema == "" {
		c.typ, c.serial, c.notNull = Type{Name: Name{catalogSchema, base}}, true, true
		c.value = nextval
	}
	if found := r.column(def.Colname); found != nil {
		*found = *c // a partition or heir that names its column again
		c = found
	} else {
		r.columns = append(r.columns, c)
	}
	for _, n := range def.Constraints {
		s := n.GetConstraint()
		switch s.GetContype() {
		case ast.ConstrType_CONSTR_NOTNULL:
			c.notNull = true
		case ast.ConstrType_CONSTR_DEFAULT:
			c.value = s.RawExpr
		case ast.ConstrType_CONSTR_IDENTITY:
			c.identity, c.notNull = s.GeneratedWhen, true
		case ast.ConstrType_CONSTR_GENERATED:
			c.generated = true
		case ast.ConstrType_CONSTR_PRIMARY, ast.ConstrType_CONSTR_UNIQUE:
			m.key(r, s.Contype, s.Conname, []string{c.name})
		case ast.ConstrType_CONSTR_CHECK:
			m.check(r, s)
		case ast.ConstrType_CONSTR_FOREIGN:
			m.foreign(r, s, []string{c.name})
		case ast.ConstrType_CONSTR_ATTR_DEFERRED:
			r.deferred = true
		}
	}
}

func collationOf(c *ast.CollateClause) string {
	if c == nil {
		return ""
	}
	return strings.Join(texts(c.Collname), ".")
}

// nextval replaces the default of a serial column.
var nextval = &ast.Node{Node: &ast.Node_FuncCall{FuncCall: &ast.FuncCall{
	Funcname: []*ast.Node{{Node: &ast.Node_String_{String_: &ast.String{Sval: "nextval"}}}},
}}}

// addConstraint adds a constraint of the table. That of a new table is valid
// whatever is said.
func (m *model) addConstraint(r *relation, s *ast.Constraint, newTable bool) {
	r.deferred = r.deferred || s.Initdeferred
	switch s.Contype {
	case ast.ConstrType_CONSTR_PRIMARY, ast.ConstrType_CONSTR_UNIQUE:
		if s.Indexname != "" {
			m.keyUsing(r, s)
			return
		}
		m.key(r, s.Contype, s.Conname, texts(s.Keys))
	case ast.ConstrType_CONSTR_CHECK:
		c := m.check(r, s)
		c.valid = c.valid || newTable
	case ast.ConstrType_CONSTR_FOREIGN:
		c := m.foreign(r, s, texts(s.FkAttrs))
		c.valid = c.valid || newTable
	case ast.ConstrType_CONSTR_EXCLUSION:
		var columns []string
		for _, e := range s.Exclusions {
			if items := e.GetList().GetItems(); len(items) > 0 {
				columns = append(columns, items[0].GetIndexElem().GetName())
			}
		}
		c := m.constrain(r, s.Contype, s.Conname, "excl", columns)
		c.index = m.index(r, m.unusedIndex(r, c.name), columns)
		c.index.constraint = c
	}
}

func (m *model) constrain(r *relation, kind ast.ConstrType, name, suffix string, columns []string) *constraint {
	if name == "" {
		parts := []string{r.name.Object}
		if kind != ast.ConstrType_CONSTR_PRIMARY {
			parts = append(parts, columns...)
		}
		name = m.unusedConstraint(r, strings.Join(append(parts, suffix), "_"))
	}
	c := &constraint{name: name, kind: kind, columns: columns, valid: true, created: m.now, step: m.step}
	r.constraints = append(r.constraints, c)
	return c
}

func (m *model) unusedConstraint(r *relation, name string) string {
	for n, candidate := 0, name; ; candidate = name + number(n) {
		if r.constraint(candidate) == nil {
			return candidate
		}
		n++
	}
}

func (m *model) check(r *relation, s *ast.Constraint) *constraint {
	columns := columnsIn(s.RawExpr)
	slices.Sort(columns)
	columns = slices.Compact(columns)
	name := s.Conname
	if name == "" {
		name = m.checkName(r, s.RawExpr)
	}
	c := m.constrain(r, ast.ConstrType_CONSTR_CHECK, name, "check", columns)
	c.columns, c.expr, c.valid, c.noInherit = columns, s.RawExpr, !s.SkipValidation, s.IsNoInherit
	return c
}

func (m *model) foreign(r *relation, s *ast.Constraint, columns []string) *constraint {
	c := m.constrain(r, s.Contype, s.Conname, "fkey", columns)
	c.to, c.toColumns, c.valid = m.relation(s.Pktable), texts(s.PkAttrs), !s.SkipValidation
	c.onDelete, c.onUpdate = s.FkDelAction, s.FkUpdAction
	if len(c.toColumns) == 0 {
		c.toColumns = c.to.primaryKey()
	}
	return c
}

// key adds a primary key or unique constraint with an index of its own.
func (m *model) key(r *relation, kind ast.ConstrType, name string, columns []string) {
	suffix := "key"
	if kind == ast.ConstrType_CONSTR_PRIMARY {
		suffix = "pkey"
		for _, name := range columns {
			if c := r.column(name); c != nil {
				c.notNull = true
			}
		}
	}
	c := m.constrain(r, kind, name, suffix, columns)
	c.index = m.index(r, m.unusedIndex(r, c.name), columns)
	c.index.unique, c.index.constraint = true, c
	for _, p := range r.partitions {
		m.key(p, kind, "", columns)
	}
}

// keyUsing adds one that takes over an index, and gives the index its name.
func (m *model) keyUsing(r *relation, s *ast.Constraint) {
	name := s.Conname
	if name == "" {
		name = s.Indexname
	}
	i := m.indexes[Name{r.name.Schema, s.Indexname}]
	c := m.constrain(r, s.Contype, name, "", nil)
	if i == nil {
		return
	}
	delete(m.indexes, i.name)
	i.name.Object, i.constraint = name, c
	m.indexes[i.name] = i
	c.index, c.columns = i, i.columns
	if s.Contype == ast.ConstrType_CONSTR_PRIMARY {
		for _, name := range i.columns {
			if c := r.column(name); c != nil {
				c.notNull = true
			}
		}
	}
}

func (m *model) unusedIndex(r *relation, name string) Name {
	for n, candidate := 0, name; ; candidate = name + number(n) {
		full := Name{r.name.Schema, candidate}
		if m.indexes[full] == nil && m.relations[full] == nil {
			return full
		}
		n++
	}
}

func (m *model) index(r *relation, name Name, columns []string) *index {
	i := &index{name: name, table: r, columns: columns, valid: true, method: "btree", created: m.now, step: m.step}
	m.indexes[name] = i
	return i
}

func (m *model) createIndex(s *ast.IndexStmt) {
	r := m.relation(s.Relation)
	var columns []string
	var expressions []*ast.Node
	words := []string{r.name.Object}
	for _, p := range s.IndexParams {
		e := p.GetIndexElem()
		columns = append(columns, e.GetName())
		word := e.GetName()
		if e.GetExpr() != nil {
			expressions = append(expressions, e.GetExpr())
			word = "expr"
			if f := e.GetExpr().GetFuncCall(); f != nil {
				word = text(f.Funcname[len(f.Funcname)-1])
			}
		}
		words = append(words, word)
	}
	name := Name{r.name.Schema, s.Idxname}
	if s.Idxname == "" {
		name = m.unusedIndex(r, strings.Join(append(words, "idx"), "_"))
	} else if m.indexes[name] != nil && s.IfNotExists {
		return
	}
	i := m.index(r, name, columns)
	i.unique, i.expressions, i.where, i.method, i.only = s.Unique, expressions, s.WhereClause, s.AccessMethod, !s.Relation.Inh
	i.valid = !(i.only && r.partitioned)
	for _, p := range s.IndexIncludingParams {
		i.include = append(i.include, p.GetIndexElem().GetName())
	}
}

func (m *model) createTableAs(s *ast.CreateTableAsStmt) {
	kind := table
	if s.Objtype == ast.ObjectType_OBJECT_MATVIEW {
		kind = materializedView
	}
	if s.IfNotExists && m.find(m.qualify(nameOfRange(s.Into.GetRel()))) != nil {
		return
	}
	r := m.create(s.Into.GetRel(), kind)
	m.takeColumns(r, s.Query)
	if kind == materializedView {
		r.reads, r.empty = m.uses(s.Query), s.Into.GetSkipData()
	}
}

func (m *model) selectInto(s *ast.SelectStmt) {
	if s.IntoClause != nil {
		r := m.create(s.IntoClause.Rel, table)
		m.takeColumns(r, &ast.Node{Node: &ast.Node_SelectStmt{SelectStmt: s}})
		return
	}
	// SELECT set_config('search_path', …, false), as pg_dump writes it
	for _, target := range s.TargetList {
		f := target.GetResTarget().GetVal().GetFuncCall()
		if f != nil && len(f.Args) == 3 && text(f.Funcname[len(f.Funcname)-1]) == "set_config" &&
			text(f.Args[0]) == "search_path" {
			m.setPath(strings.Split(text(f.Args[1]), ","))
		}
	}
}

// takeColumns gives a relation the columns of a query, without their types.
func (m *model) takeColumns(r *relation, query *ast.Node) {
	for _, target := range query.GetSelectStmt().GetTargetList() {
		t := target.GetResTarget()
		name := t.GetName()
		if ref := t.GetVal().GetColumnRef(); name == "" && ref != nil {
			last := ref.Fields[len(ref.Fields)-1]
			if last.GetAStar() != nil {
				for _, u := range m.uses(query) {
					for _, c := range u.of.columns {
						r.columns = append(r.columns, &column{name: c.name, typ: c.typ, created: m.now})
					}
				}
				continue
			}
			name = text(last)
		}
		if name == "" {
			name = figured(t.GetVal())
		}
		c := &column{name: name, created: m.now}
		for _, u := range m.uses(query) {
			if ref := t.GetVal().GetColumnRef(); ref != nil {
				if found := u.of.column(text(ref.Fields[len(ref.Fields)-1])); found != nil {
					c.typ = found.typ
				}
			}
		}
		r.columns = append(r.columns, c)
	}
}

// figured is the name that the server gives a column without one, as far as that is
// simple.
func figured(n *ast.Node) string {
	switch e := n.GetNode().(type) {
	case *ast.Node_FuncCall:
		return nameOf(texts(e.FuncCall.Funcname)).Object
	case *ast.Node_TypeCast:
		if name := figured(e.TypeCast.Arg); name != "" {
			return name
		}
		if ref := e.TypeCast.Arg.GetColumnRef(); ref != nil {
			return text(ref.Fields[len(ref.Fields)-1])
		}
	case *ast.Node_CaseExpr:
		return "case"
	case *ast.Node_CoalesceExpr:
		return "coalesce"
	}
	return ""
}

func (m *model) createView(s *ast.ViewStmt) {
	n := m.qualify(nameOfRange(s.View))
	created := m.now
	if found := m.relations[n]; found != nil && s.Replace {
		created = found.created
	}
	r := m.create(s.View, view)
	r.created = created
	m.takeColumns(r, s.Query)
	for i, alias := range texts(s.Aliases) {
		if i < len(r.columns) {
			r.columns[i].name = alias
		}
	}
	r.reads, r.query = m.uses(s.Query), s
}

// uses gives the relations that a query reads, with the columns of theirs that it
// may mean: a name without table is taken for a column of every one that has it.
func (m *model) uses(query *ast.Node) []*use { return m.usesWithin(query, query) }

// usesWithin gives those of a part of a statement, whose WITH may stand outside of it.
func (m *model) usesWithin(query, whole *ast.Node) []*use {
	local := make(map[string]bool)
	walk(whole, func(n *ast.Node) bool {
		if c := n.GetCommonTableExpr(); c != nil {
			local[c.Ctename] = true
		}
		return true
	})
	columns := columnsIn(query)
	var found []*use
	into := query.GetSelectStmt().GetIntoClause().GetRel()
	walk(query, func(n *ast.Node) bool {
		r := n.GetRangeVar()
		if _, outer := m.ctes[r.GetRelname()]; r == nil || r == into || r.Schemaname == "" && (local[r.Relname] || outer) {
			return true
		}
		of := m.relation(r)
		u := &use{of: of, columns: columns}
		if slices.Contains(columns, "*") && len(of.columns) > 0 {
			for _, c := range of.columns {
				u.columns = append(u.columns, c.name)
			}
			u.columns = slices.DeleteFunc(slices.Clone(u.columns), func(c string) bool { return c == "*" })
		}
		found = append(found, u)
		return true
	})
	return found
}

func (m *model) createSequence(s *ast.CreateSeqStmt) {
	if m.find(m.qualify(nameOfRange(s.Sequence))) == nil {
		m.create(s.Sequence, sequence)
	}
}

func (m *model) createType(n Name, kind string) *userType {
	t := &userType{name: m.qualify(n), kind: kind, created: m.now, step: m.step, added: map[string]int{}}
	m.types[t.name] = t
	return t
}

func (m *model) createDomain(s *ast.CreateDomainStmt) {
	t := m.createType(nameOf(texts(s.Domainname)), "domain")
	t.base = typeOf(s.TypeName)
	for _, n := range s.Constraints {
		m.constrainDomain(t, n.GetConstraint())
	}
}

func (m *model) constrainDomain(t *userType, c *ast.Constraint) {
	switch c.GetContype() {
	case ast.ConstrType_CONSTR_NOTNULL:
		t.notNull = true
	case ast.ConstrType_CONSTR_DEFAULT:
		t.value = c.RawExpr
	case ast.ConstrType_CONSTR_CHECK:
		name := c.Conname
		if name == "" {
			name = t.name.Object + "_check"
		}
		t.checks = append(t.checks, &constraint{name: name, expr: c.RawExpr, valid: !c.SkipValidation, created: m.now,
			step: m.step})
	}
}

func (m *model) alterDomain(s *ast.AlterDomainStmt) {
	t := m.findType(nameOf(texts(s.TypeName)))
	if t == nil {
		return
	}
	switch s.Subtype {
	case "T":
		t.value = s.Def
	case "N":
		t.notNull = false
	case "O":
		t.notNull = true
	case "C":
		m.constrainDomain(t, s.Def.GetConstraint())
	case "X":
		t.checks = slices.DeleteFunc(t.checks, func(c *constraint) bool { return c.name == s.Name })
	case "V":
		for _, c := range t.checks {
			c.valid = c.valid || c.name == s.Name
		}
	}
}

func (m *model) alterEnum(s *ast.AlterEnumStmt) {
	n := nameOf(texts(s.TypeName))
	t := m.findType(n)
	if t == nil {
		t = m.createType(n, "enum")
		t.created, t.step = 0, 0
	}
	if s.OldVal != "" {
		delete(t.added, s.OldVal)
	}
	t.added[s.NewVal] = m.step
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

func (m *model) createSchema(s *ast.CreateSchemaStmt) {
	m.schemas[s.Schemaname] = true
	path := m.path
	m.path = append([]string{s.Schemaname}, path...)
	for _, element := range s.SchemaElts {
		m.apply(element)
	}
	m.path = path
}

// grantPublic notes which tables everybody has rights on, which nobody has by
// default.
func (m *model) grantPublic(s *ast.GrantStmt) {
	if !s.IsGrant || !toPublic(s) {
		return
	}
	for _, o := range s.Objects {
		if r := m.find(nameOfRange(o.GetRangeVar())); o.GetRangeVar() != nil && r != nil {
			r.public = true
		}
	}
}

// toPublic reports whether rights are everybody's and no role's.
func toPublic(s *ast.GrantStmt) bool {
	return len(s.Grantees) > 0 && !slices.ContainsFunc(s.Grantees, func(n *ast.Node) bool {
		return n.GetRoleSpec().GetRoletype() != ast.RoleSpecType_ROLESPEC_PUBLIC
	})
}

func (m *model) createPublication(s *ast.CreatePublicationStmt) {
	p := &publication{all: s.ForAllTables, updates: true}
	for _, o := range s.Options {
		if d := o.GetDefElem(); d.GetDefname() == "publish" {
			p.updates = strings.Contains(text(d.Arg), "update") || strings.Contains(text(d.Arg), "delete")
		}
	}
	m.publish(p, s.Pubobjects)
	m.publications[s.Pubname] = p
}

func (m *model) publish(p *publication, objects []*ast.Node) {
	for _, o := range objects {
		object := o.GetPublicationObjSpec()
		if t := object.GetPubtable(); t != nil {
			p.tables = append(p.tables, m.relation(t.Relation))
		} else if object.GetName() != "" {
			p.schemas = append(p.schemas, object.GetName())
		}
	}
}

func (m *model) alterPublication(s *ast.AlterPublicationStmt) {
	p := m.publications[s.Pubname]
	if p == nil {
		p = &publication{updates: true}
		m.publications[s.Pubname] = p
	}
	switch s.Action {
	case ast.AlterPublicationAction_AP_AddObjects:
		m.publish(p, s.Pubobjects)
	case ast.AlterPublicationAction_AP_SetObjects:
		p.tables, p.schemas = nil, nil
		m.publish(p, s.Pubobjects)
	case ast.AlterPublicationAction_AP_DropObjects:
		var gone publication
		m.publish(&gone, s.Pubobjects)
		p.tables = slices.DeleteFunc(p.tables, func(r *relation) bool { return slices.Contains(gone.tables, r) })
	}
}

// set follows search_path, the one setting that changes what names mean.
func (m *model) set(s *ast.VariableSetStmt) {
	if s.Name != "search_path" {
		return
	}
	if s.Kind == ast.VariableSetKind_VAR_SET_VALUE {
		m.setPath(texts(s.Args))
		return
	}
	m.path = []string{public}
}

func (m *model) setPath(schemas []string) {
	m.path = nil
	for _, s := range schemas {
		s = strings.Trim(strings.TrimSpace(s), `"`)
		if s != "" && s != "$user" {
			m.path = append(m.path, s)
		}
	}
	if len(m.path) == 0 {
		m.path = []string{public}
	}
}
