package lint

import (
	"fmt"
	"slices"

	ast "github.com/pganalyze/pg_query_go/v6"
)

func (j *judge) viewStatement(s *ast.ViewStmt) {
	for _, u := range j.uses(s.Query) {
		if u.of.kind != view {
			j.lock(u.of, AccessShare)
		}
	}
	if old := j.find(nameOfRange(s.View)); old != nil && old.kind == view && s.Replace && !old.assumed {
		next := &relation{}
		j.takeColumns(next, s.Query)
		for i, c := range old.columns {
			if i >= len(next.columns) || next.columns[i].name != c.name && c.name != "" && next.columns[i].name != "" {
				j.report(Finding{Hazard: statementFails, claim: claim{kind: claimsError}, Evidence: Evidence{j.source(old),
					"its columns are known"},
					Message: fmt.Sprintf("%s has the column %s, which CREATE OR REPLACE VIEW can neither drop nor move: the "+
						"statement fails", old.name, quoted(c.name))})
				break
			}
		}
	}
	j.because("a view holds no rows")
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

func (j *judge) refreshStatement(s *ast.RefreshMatViewStmt) {
	r := j.relation(s.Relation)
	if !s.SkipData {
		for _, u := range r.reads {
			j.lockRead(u.of)
			if !j.few(u.of) {
				j.scan(u.of)
			}
		}
	}
	if !s.Concurrent {
		j.lock(r, AccessExclusive)
		if j.harmless(r) || s.SkipData && j.small(r) {
			return
		}
		if s.SkipData {
			j.report(Finding{Hazard: refreshMatviewNotConcurrent, Evidence: j.wasThere(r),
				Message: fmt.Sprintf("%s loses its rows, and anyone who reads it gets an error until it is computed again",
					r.name)})
			return
		}
		rewrite, why := j.refreshSlowly(r)
		j.report(Finding{Hazard: refreshMatviewNotConcurrent,
			Message: fmt.Sprintf("nobody can read %s until it is computed", r.name),
			Rewrite: rewrite, NotFixed: why, Evidence: Evidence{j.source(r),
				r.name.String() + " was there before this migration"}})
		return
	}
	j.lock(r, Exclusive)
	j.out.kind = dataChange
	for _, i := range j.indexesOf(r) {
		if i.unique && i.where == nil && len(i.expressions) == 0 {
			j.because(fmt.Sprintf("readers go on while %s is computed, thanks to its unique index %s", r.name, i.name))
			return
		}
	}
	if r.assumed {
		j.because("readers go on; whether there is the unique index that this needs is not known")
		return
	}
	j.report(Finding{Hazard: refreshMatviewConcurrentlyNeedsUniqueIndex, claim: claim{kind: claimsError},
		Message: fmt.Sprintf("%s has no unique index over all its rows: the server refuses to refresh it concurrently",
			r.name),
		Evidence: Evidence{j.source(r), "no index of it is unique"}})
}

func (m *model) refresh(s *ast.RefreshMatViewStmt) { m.relation(s.Relation).empty = s.SkipData }

// refreshSlowly is a refresh beside readers, if the view has what that needs.
func (j *judge) refreshSlowly(r *relation) (rewrite, why string) {
	unique := slices.ContainsFunc(j.indexesOf(r), func(i *index) bool {
		return i.unique && i.valid && i.where == nil && len(i.expressions) == 0
	})
	switch {
	case r.empty:
		return "", "it was never computed, and the first time cannot be concurrent"
	case !unique && r.assumed:
		return concurrently(j.out.Text, "VIEW") + ";", "whether it has a unique index is not known"
	case !unique:
		return "", "it has no unique index over all rows"
	}
	return concurrently(j.out.Text, "VIEW") + ";", ""
}
