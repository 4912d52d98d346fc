package lint

import (
	"fmt"
	"slices"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
)

func (j *judge) createPublicationStatement(s *ast.CreatePublicationStmt) {
	j.publicationStatement(s.Pubobjects, s.Options, s.ForAllTables)
}

func (j *judge) alterPublicationStatement(s *ast.AlterPublicationStmt) {
	j.unpublished(s)
	if s.Action != ast.AlterPublicationAction_AP_DropObjects {
		j.publicationStatement(s.Pubobjects, s.Options, false)
	}
}

// publicationStatement finds published tables whose rows a subscriber cannot find.
func (j *judge) publicationStatement(objects, options []*ast.Node, all bool) {
	var p publication
	j.publish(&p, objects)
	tables := p.tables
	for _, r := range tables {
		j.lock(r, ShareUpdateExclusive)
	}
	for _, o := range options {
		if d := o.GetDefElem(); d.GetDefname() == "publish" && !strings.Contains(text(d.Arg), "update") &&
			!strings.Contains(text(d.Arg), "delete") {
			j.because("neither UPDATE nor DELETE is published")
			return
		}
	}
	j.filtered(objects)
	for _, r := range j.sorted() {
		for _, schema := range p.schemas {
			if r.kind == table && r.name.Schema == schema {
				tables = append(tables, r)
			}
		}
		if all && r.kind == table && !r.assumed {
			tables = append(tables, r)
		}
	}
	for _, r := range tables {
		if r.assumed || len(r.primaryKey()) > 0 || r.identity != "d" && r.identity != "n" || j.isNew(r) {
			continue
		}
		j.report(Finding{Hazard: publicationWithoutReplicaIdentity, Evidence: Evidence{j.source(r),
			r.name.String() + " has no primary key"},
			Message: fmt.Sprintf("%s has no primary key and no other replica identity: every UPDATE and DELETE of it fails "+
				"from now on", r.name),
			Rewrite: j.alterTo(r, "REPLICA IDENTITY FULL") + "\n" + j.out.Text + ";"})
	}
	if len(j.out.Findings) == 0 {
		j.because("subscribers can find every row")
	}
}

// filtered finds lists of columns and conditions by which the rows that are changed
// cannot be told: the one must have all columns of the replica identity, the other
// no others. See "Row Filters" and "Column Lists" in PostgreSQL's documentation.
func (j *judge) filtered(objects []*ast.Node) {
	for _, o := range objects {
		t := o.GetPublicationObjSpec().GetPubtable()
		if t == nil || t.WhereClause == nil && len(t.Columns) == 0 {
			continue
		}
		r := j.relation(t.Relation)
		identity := j.identityColumns(r)
		if r.assumed || j.isNew(r) || identity == nil {
			continue
		}
		var wrong []string
		walk(t.WhereClause, func(n *ast.Node) bool {
			if column, ok := columnOf(n, ""); ok && !slices.Contains(identity, column) {
				wrong = append(wrong, column)
			}
			return true
		})
		for _, column := range identity {
			if len(t.Columns) > 0 && !slices.Contains(texts(t.Columns), column) {
				wrong = append(wrong, column)
			}
		}
		if len(wrong) > 0 {
			j.report(Finding{Hazard: publicationWithoutReplicaIdentity, Evidence: Evidence{j.source(r),
				"its replica identity is " + strings.Join(identity, ", ")},
				Message: fmt.Sprintf("%s does not fit the replica identity of %s: every UPDATE and DELETE of it fails from now on",
					strings.Join(wrong, ", "), r.name)})
		}
	}
}

// unpublished finds tables whose changes subscribers no longer get.
func (j *judge) unpublished(s *ast.AlterPublicationStmt) {
	var named publication
	j.publish(&named, s.Pubobjects)
	var gone []string
	switch s.Action {
	case ast.AlterPublicationAction_AP_DropObjects:
		for _, r := range named.tables {
			j.lock(r, ShareUpdateExclusive)
			if !j.isNew(r) {
				gone = append(gone, r.name.String())
			}
		}
		for _, schema := range named.schemas {
			gone = append(gone, "schema "+quoted(schema))
		}
	case ast.AlterPublicationAction_AP_SetObjects:
		if before := j.publications[s.Pubname]; before != nil && len(s.Pubobjects) > 0 {
			for _, r := range before.tables {
				if !slices.Contains(named.tables, r) && !slices.Contains(named.schemas, r.name.Schema) && !j.isNew(r) {
					j.lock(r, ShareUpdateExclusive)
					gone = append(gone, r.name.String())
				}
			}
		}
	}
	if len(gone) > 0 {
		j.report(Finding{Hazard: unpublishTable, Message: fmt.Sprintf("subscribers get no change of %s any more",
			strings.Join(gone, ", "))})
	}
}

// publishes reports whether changes of a table's rows are published.
func (j *judge) publishes(r *relation) bool {
	for _, p := range j.publications {
		if p.updates && (p.all || slices.Contains(p.tables, r) || slices.Contains(p.schemas, r.name.Schema)) {
			return true
		}
	}
	return false
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
