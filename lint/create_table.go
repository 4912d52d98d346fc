package lint

import (
	"fmt"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
)

func (j *judge) createTableStatement(s *ast.CreateStmt) {
	n := j.qualify(nameOfRange(s.Relation))
	if found := j.relations[n]; found != nil && !found.assumed {
		if s.IfNotExists {
			j.evidence(j.source(found), "the table is there already: nothing happens")
			return
		}
		if s.Relation.Relpersistence != "t" {
			j.report(Finding{Hazard: createsWhatExists, claim: claim{kind: claimsError}, Evidence: Evidence{j.source(found),
				found.name.String() + " is there"},
				Message: fmt.Sprintf("%s is there already: the statement fails", found.name)})
			return
		}
	}
	for _, parent := range s.InhRelations {
		r := j.relation(parent.GetRangeVar())
		if s.Partbound == nil {
			j.lock(r, ShareUpdateExclusive)
			continue
		}
		j.createPartition(r, s)
	}
	var foreign []*ast.Constraint
	for _, element := range s.TableElts {
		if like := element.GetTableLikeClause(); like != nil {
			j.lock(j.relation(like.Relation), AccessShare)
		}
		if c := element.GetConstraint(); c.GetContype() == ast.ConstrType_CONSTR_FOREIGN {
			foreign = append(foreign, c)
		}
		for _, at := range element.GetColumnDef().GetConstraints() {
			if c := at.GetConstraint(); c.GetContype() == ast.ConstrType_CONSTR_FOREIGN {
				foreign = append(foreign, c)
			}
		}
	}
	for _, c := range foreign {
		if to := j.relation(c.Pktable); to.name != n {
			j.lockTree(to, ShareRowExclusive)
		}
	}
	if len(foreign) > 0 {
		j.because("the tables that it references are locked for a moment; no row is looked up for a new table")
	}
}

func (j *judge) createPartition(parent *relation, s *ast.CreateStmt) {
	j.lock(parent, AccessExclusive)
	for other, keys := range j.references(parent) {
		for range keys {
			j.lock(other, ShareRowExclusive)
		}
	}
	for _, c := range parent.constraints {
		if c.kind == ast.ConstrType_CONSTR_FOREIGN {
			j.lockTree(c.to, ShareRowExclusive)
		}
	}
	d := parent.defaultPartition()
	if d == nil || s.Partbound.IsDefault {
		return
	}
	j.lock(d, AccessExclusive)
	if j.isNew(d) {
		return
	}
	j.scan(d)
	if j.excluded(d, parent, s.Partbound) {
		j.evidence(j.source(d), fmt.Sprintf("a valid constraint says that %s has no row for the new partition, so that "+
			"none is read", d.name))
		return
	}
	if j.small(d) {
		return
	}
	j.report(Finding{Hazard: createPartitionOfScansDefault, claim: claim{claimsScan, leaves(d)},
		Evidence: Evidence{j.source(d), d.name.String() + " is the default partition"},
		Message: fmt.Sprintf("nobody can read or write %s while all rows of its default partition %s are read", parent.name,
			d.name),
		Rewrite: j.excludeFirst(d, parent, s.Partbound)})
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

func (m *model) createForeignTable(s *ast.CreateForeignTableStmt) {
	m.createTable(s.BaseStmt)
	m.relation(s.BaseStmt.Relation).kind = foreignTable
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

func (j *judge) createTableAsStatement(s *ast.CreateTableAsStmt) {
	j.out.kind = reading
	empty := s.GetInto().GetSkipData()
	if empty {
		j.because("it holds no rows until it is refreshed")
	}
	j.reads(s.Query)
	if query := s.Query.GetSelectStmt(); !empty && query != nil {
		j.scansOf(s.Query, query)
	}
	j.because("rows are read alongside reads and writes, and what is made is new")
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

func (m *model) createSchema(s *ast.CreateSchemaStmt) {
	m.schemas[s.Schemaname] = true
	path := m.path
	m.path = append([]string{s.Schemaname}, path...)
	for _, element := range s.SchemaElts {
		m.apply(element)
	}
	m.path = path
}
