package lint

import (
	"fmt"
	"slices"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
)

func (j *judge) dropStatement(s *ast.DropStmt) {
	switch s.RemoveType {
	case ast.ObjectType_OBJECT_INDEX:
		j.dropIndexes(s)
	case ast.ObjectType_OBJECT_TABLE, ast.ObjectType_OBJECT_VIEW, ast.ObjectType_OBJECT_MATVIEW,
		ast.ObjectType_OBJECT_SEQUENCE,
		ast.ObjectType_OBJECT_FOREIGN_TABLE:
		for _, object := range s.Objects {
			j.dropRelation(s, nameOf(texts(object.GetList().GetItems())))
		}
	case ast.ObjectType_OBJECT_SCHEMA:
		for _, object := range s.Objects {
			j.dropSchema(s, text(object))
		}
	case ast.ObjectType_OBJECT_FUNCTION, ast.ObjectType_OBJECT_PROCEDURE, ast.ObjectType_OBJECT_ROUTINE,
		ast.ObjectType_OBJECT_AGGREGATE:
		j.dropFunction(s)
	case ast.ObjectType_OBJECT_TYPE, ast.ObjectType_OBJECT_DOMAIN:
		j.dropTypes(s)
	case ast.ObjectType_OBJECT_TRIGGER, ast.ObjectType_OBJECT_POLICY, ast.ObjectType_OBJECT_RULE:
		j.dropOnTable(s)
	case ast.ObjectType_OBJECT_EXTENSION:
		j.report(Finding{Hazard: dropExtension, Message: "the functions, types and operators of the extension are gone " +
			"for the code that runs; with CASCADE, columns as well"})
	case ast.ObjectType_OBJECT_PUBLICATION:
		j.report(Finding{Hazard: dropPublication, Message: "subscribers of the publication stop with an error"})
	case ast.ObjectType_OBJECT_STATISTIC_EXT, ast.ObjectType_OBJECT_COLLATION, ast.ObjectType_OBJECT_EVENT_TRIGGER,
		ast.ObjectType_OBJECT_TSCONFIGURATION:
		j.because("no table is locked for long, and no data goes")
	default:
		j.opaque("what depends on what is dropped is not known")
	}
	if s.Behavior == ast.DropBehavior_DROP_CASCADE {
		if s.RemoveType != ast.ObjectType_OBJECT_SCHEMA { // all of which is told to be lost
			j.dropCascade(s)
		}
		switch s.RemoveType {
		case ast.ObjectType_OBJECT_FUNCTION, ast.ObjectType_OBJECT_PROCEDURE, ast.ObjectType_OBJECT_ROUTINE,
			ast.ObjectType_OBJECT_AGGREGATE,
			ast.ObjectType_OBJECT_SEQUENCE, ast.ObjectType_OBJECT_EXTENSION:
			j.untold("which tables lose triggers, defaults, columns or indexes with it is not known")
		}
	}
}

func (j *judge) dropCascade(s *ast.DropStmt) {
	var with []string
	absent := s.MissingOk && j.known() != nil && drops[s.RemoveType] != (ID{})
	for _, object := range s.Objects {
		r := j.find(nameOf(texts(object.GetList().GetItems())))
		if r == nil {
			continue
		}
		absent = false
		for _, v := range j.readers(r, "") {
			with = append(with, "view "+v.name.String())
		}
		for other, keys := range j.references(r) {
			for _, k := range keys {
				with = append(with, fmt.Sprintf("foreign key %s of %s", quoted(k.name), other.name))
			}
		}
		if j.isNew(r) || !r.assumed && len(with) == 0 {
			return
		}
	}
	if absent {
		return // which has been told
	}
	message := "whatever depends on it goes too, unnamed"
	if len(with) > 0 {
		slices.Sort(with)
		message = "with it goes what the statement does not name: " + join(with)
	}
	j.report(Finding{Hazard: dropCascade, Message: message, Rewrite: j.dropByName(s)})
}

// dropByName drops what rests on tables and views before them; empty where that is not
// all known.
func (j *judge) dropByName(s *ast.DropStmt) string {
	var lines []string
	for _, object := range s.Objects {
		r := j.find(nameOf(texts(object.GetList().GetItems())))
		if r == nil || r.assumed || drops[s.RemoveType] == (ID{}) || s.RemoveType == ast.ObjectType_OBJECT_SEQUENCE {
			return ""
		}
		for _, v := range j.readers(r, "") {
			if len(j.readers(v, "")) > 0 || v.kind != view {
				return ""
			}
			lines = append(lines, fmt.Sprintf("DROP VIEW %s;", j.written(v)))
		}
		for other, keys := range j.references(r) {
			for _, k := range keys {
				lines = append(lines, j.alterTo(other, "DROP CONSTRAINT "+quoted(k.name)))
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(append(slices.Compact(lines), strings.TrimSpace(without(j.out.Text, "CASCADE"))+";"), "\n")
}

// drops are the hazards of dropping relations by their kinds.
var drops = map[ast.ObjectType]ID{
	ast.ObjectType_OBJECT_TABLE: dropTable, ast.ObjectType_OBJECT_FOREIGN_TABLE: dropTable,
	ast.ObjectType_OBJECT_VIEW:    dropView,
	ast.ObjectType_OBJECT_MATVIEW: dropView, ast.ObjectType_OBJECT_SEQUENCE: dropSequence,
}

func (j *judge) dropRelation(s *ast.DropStmt, n Name) {
	r := j.find(n)
	if r == nil {
		if s.MissingOk && j.complete {
			j.evidence(FromCatalog, "no "+n.String())
			return
		}
		if s.MissingOk && j.known() != nil {
			j.maybeAbsent = true
			defer func() { j.maybeAbsent = false }()
			j.report(Finding{Hazard: drops[s.RemoveType], Message: fmt.Sprintf("no migration makes %s; if it is there, code "+
				"that still uses it fails and what it holds is lost", n)})
			return
		}
		r = j.assume(n)
	}
	for _, part := range r.tree() {
		j.lock(part, AccessExclusive)
	}
	j.lockForeignKeys(r, s.Behavior == ast.DropBehavior_DROP_CASCADE)
	if s.Behavior == ast.DropBehavior_DROP_CASCADE {
		for _, v := range j.readers(r, "") {
			j.lock(v, AccessExclusive)
		}
	}
	j.lock(r.parent, AccessExclusive)
	if r.parent != nil && r.parent.defaultPartition() != nil && r.parent.defaultPartition() != r {
		j.lock(r.parent.defaultPartition(), AccessExclusive)
	}
	if j.harmless(r) {
		return
	}
	if s.RemoveType != ast.ObjectType_OBJECT_TABLE && j.madeAgain(r.name) {
		if lost := j.lostColumns(r); len(lost) > 0 {
			j.report(Finding{Hazard: drops[s.RemoveType], Evidence: j.wasThere(r),
				Message: fmt.Sprintf("%s is made again without %s: code that reads that fails", r.name, join(lost))})
			return
		}
		j.because("the same transaction makes it again")
		return
	}
	message := fmt.Sprintf("code that still uses %s fails", r.name)
	if s.RemoveType == ast.ObjectType_OBJECT_TABLE {
		message += ", and its rows are lost"
	}
	rewrite := fmt.Sprintf("ALTER TABLE %s RENAME TO %s; -- drop it when nothing has missed it for a while", j.written(r),
		quoted(cutTo(r.name.Object, 56)+"_unused"))
	if s.RemoveType != ast.ObjectType_OBJECT_TABLE {
		rewrite = ""
	}
	j.report(Finding{Hazard: drops[s.RemoveType], Message: message, Evidence: j.wasThere(r), Rewrite: rewrite})
}

// lockForeignKeys locks the other end of foreign keys that go with a table.
func (j *judge) lockForeignKeys(r *relation, cascade bool) {
	for _, c := range r.constraints {
		if c.to != nil && c.to != r {
			j.lockTree(c.to, AccessExclusive)
		}
	}
	for other := range j.references(r) {
		if other != r && cascade {
			j.lockTree(other, AccessExclusive)
		}
	}
}

// lostColumns are those of a view that the one which is made again does not have.
func (j *judge) lostColumns(r *relation) []string {
	next := &relation{}
	for _, p := range j.sameStep() {
		switch s := p.node.GetNode().(type) {
		case *ast.Node_ViewStmt:
			if j.qualify(nameOfRange(s.ViewStmt.View)) == r.name && len(s.ViewStmt.Aliases) == 0 {
				j.takeColumns(next, s.ViewStmt.Query)
			}
		case *ast.Node_CreateTableAsStmt:
			if j.qualify(nameOfRange(s.CreateTableAsStmt.Into.GetRel())) == r.name {
				j.takeColumns(next, s.CreateTableAsStmt.Query)
			}
		}
	}
	var lost []string
	for _, c := range r.columns {
		if c.name != "" && next.column(c.name) == nil && len(next.columns) > 0 {
			lost = append(lost, quoted(c.name))
		}
	}
	return lost
}

// madeAgain reports whether the transaction makes a view or sequence of
// the name further down.
func (j *judge) madeAgain(n Name) bool {
	return slices.ContainsFunc(j.sameStep(), func(p parsed) bool {
		switch s := p.node.GetNode().(type) {
		case *ast.Node_ViewStmt:
			return j.qualify(nameOfRange(s.ViewStmt.View)) == n
		case *ast.Node_CreateTableAsStmt:
			return j.qualify(nameOfRange(s.CreateTableAsStmt.Into.GetRel())) == n
		case *ast.Node_CreateSeqStmt:
			return j.qualify(nameOfRange(s.CreateSeqStmt.Sequence)) == n
		case *ast.Node_RenameStmt:
			return s.RenameStmt.Newname == n.Object
		}
		return false
	})
}

func (j *judge) dropSchema(s *ast.DropStmt, name string) {
	used := false
	for _, r := range j.sorted() {
		if r.name.Schema == name && s.Behavior == ast.DropBehavior_DROP_CASCADE {
			j.lock(r, AccessExclusive)
			j.lockForeignKeys(r, true)
		}
		used = used || r.name.Schema == name && !j.isNew(r)
	}
	if j.schemas[name] && !used && s.Behavior != ast.DropBehavior_DROP_CASCADE {
		j.evidence(FromHistory, "the schema is empty")
		return
	}
	if s.MissingOk && j.complete && !j.schemas[name] && !used {
		j.evidence(FromCatalog, "no such schema")
		return
	}
	if s.MissingOk && !j.schemas[name] && !used && name != public && j.known() != nil {
		j.maybeAbsent = true
		defer func() { j.maybeAbsent = false }()
	}
	j.report(Finding{Hazard: dropSchema, Message: fmt.Sprintf("everything in the schema %s is lost, and code that "+
		"uses it fails", quoted(name)),
		Rewrite: fmt.Sprintf("ALTER SCHEMA %s RENAME TO %s; -- drop it when nothing has missed it for a while", quoted(name),
			quoted(cutTo(name, 56)+"_unused"))})
}

func (j *judge) dropFunction(s *ast.DropStmt) {
	for _, object := range s.Objects {
		n := j.qualify(nameOf(texts(object.GetObjectWithArgs().GetObjname())))
		overloads := j.functions[n]
		if j.functionMadeAgain(object.GetObjectWithArgs()) {
			j.because("the same transaction makes it again")
			continue
		}
		if len(overloads) > 0 && overloads[0].created == j.now {
			j.because("the function was made by this migration")
			continue
		}
		if len(overloads) == 0 && s.MissingOk && j.complete {
			j.evidence(FromCatalog, "no such function")
			continue
		}
		if f := j.overload(object.GetObjectWithArgs()); f != nil && f.returns == "trigger " &&
			s.Behavior != ast.DropBehavior_DROP_CASCADE {
			j.because("only triggers call it, and while one does the server refuses to drop it")
			continue
		}
		j.report(Finding{Hazard: dropFunction, Message: fmt.Sprintf("code that still calls %s() fails", n),
			Evidence: Evidence{FromText, "the function was there before this migration"}})
	}
}

func (j *judge) dropTypes(s *ast.DropStmt) {
	for _, object := range s.Objects {
		n := typeName(object)
		t := j.findType(n)
		if t != nil && t.created == j.now {
			j.because("the type was made by this migration")
			continue
		}
		if t == nil && s.MissingOk && j.complete {
			j.evidence(FromCatalog, "no such type")
			continue
		}
		if s.Behavior == ast.DropBehavior_DROP_CASCADE {
			for _, r := range j.relationsWith(n) {
				j.lockTree(r, AccessExclusive)
				for _, c := range r.columns {
					if j.findType(c.typ.Name) != t {
						continue
					}
					for _, v := range j.readers(r, c.name) {
						j.lock(v, AccessExclusive)
					}
				}
			}
		}
		j.report(Finding{Hazard: dropType, Message: fmt.Sprintf("code that still names the type %s fails; with CASCADE, "+
			"every column of it is dropped with its data", n)})
	}
}

// relationsWith gives the tables that have a column of a type.
func (j *judge) relationsWith(n Name) []*relation {
	t := j.findType(n)
	if t == nil {
		return nil
	}
	return j.withDomain(t)
}

func (j *judge) dropOnTable(s *ast.DropStmt) {
	for _, object := range s.Objects {
		words := texts(object.GetList().GetItems())
		if len(words) < 2 {
			continue
		}
		name := words[len(words)-1]
		r := j.assume(nameOf(words[:len(words)-1]))
		if s.MissingOk && (!r.assumed || j.complete) && !slices.Contains(r.attached[s.RemoveType], name) {
			j.evidence(j.source(r), fmt.Sprintf("no %s on %s: nothing happens, and nothing is locked", quoted(name),
				r.name))
			continue
		}
		if s.RemoveType == ast.ObjectType_OBJECT_TRIGGER && r.rowTriggers {
			j.lockTree(r, AccessExclusive) // each partition has a copy
		}
		j.lock(r, AccessExclusive)
		if j.harmless(r) || s.RemoveType != ast.ObjectType_OBJECT_POLICY {
			continue
		}
		if r.rowSecurity {
			j.hidden(r, name, "with the policy gone, everybody but the owner")
		}
	}
}

func (j *judge) dropIndexes(s *ast.DropStmt) {
	if s.Concurrent && len(s.Objects) > 1 {
		rewrite, why := j.dropConcurrently(s)
		j.report(Finding{Hazard: dropIndexConcurrentlyMultiple, claim: claim{kind: claimsError},
			Message: "the server drops only one index at a time concurrently", Rewrite: rewrite, NotFixed: why})
		return
	}
	for _, object := range s.Objects {
		j.dropIndex(s, nameOf(texts(object.GetList().GetItems())))
	}
}

// dropConcurrently writes a DROP INDEX CONCURRENTLY for each index.
func (j *judge) dropConcurrently(s *ast.DropStmt) (rewrite, why string) {
	if s.Behavior == ast.DropBehavior_DROP_CASCADE {
		return "", "CASCADE is not possible with CONCURRENTLY"
	}
	if len(s.Objects) == 1 && !s.Concurrent {
		return concurrently(j.out.Text, "INDEX") + ";", ""
	}
	exists := ""
	if s.MissingOk {
		exists = "IF EXISTS "
	}
	var lines []string
	for _, object := range s.Objects {
		words := texts(object.GetList().GetItems())
		if i := j.findIndex(nameOf(words)); i != nil && i.table.partitioned {
			return "", "the index " + i.name.String() + " is that of a partitioned table"
		}
		lines = append(lines, "DROP INDEX CONCURRENTLY "+exists+strings.Join(quotedAll(words), ".")+";")
	}
	return strings.Join(lines, "\n"), ""
}

func (j *judge) dropIndex(s *ast.DropStmt, name Name) {
	i := j.findIndex(name)
	switch {
	case i == nil && s.MissingOk && j.complete:
		j.evidence(FromCatalog, "no index "+name.String())
		return
	case i == nil && s.Concurrent:
		j.because("the index goes while reads and writes go on")
		return
	case i == nil && s.MissingOk && j.known() != nil:
		j.report(Finding{Hazard: dropIndexNotConcurrent, Verdict: Unknown,
			Message: fmt.Sprintf(
				"no migration makes %s; if it is there, reads and writes of its table wait while it is dropped", name)})
		return
	case i == nil:
		rewrite, why := j.dropConcurrently(s)
		j.report(Finding{Hazard: dropIndexNotConcurrent, Message: fmt.Sprintf("reads and writes of the table of %s "+
			"wait while the index is dropped", name),
			Rewrite: rewrite, NotFixed: why, Evidence: Evidence{FromText, "the index is older than the migrations"}})
		return
	}
	mode := AccessExclusive
	if s.Concurrent {
		mode = ShareUpdateExclusive
	}
	j.lockTree(i.table, mode)
	if j.harmless(i.table) {
		return
	}
	j.dropKey(i)
	switch {
	case i.constraint != nil:
		j.report(Finding{
			Hazard: dropIndexBackingConstraint, claim: claim{kind: claimsError},
			Message: fmt.Sprintf("index %s belongs to the constraint %s: the server refuses to drop it", i.name,
				quoted(i.constraint.name)),
			Rewrite:  j.alterTo(i.table, "DROP CONSTRAINT "+quoted(i.constraint.name)),
			Evidence: Evidence{j.source(i.table), "the constraint has the index"},
		})
	case s.Concurrent && i.table.partitioned:
		j.report(Finding{
			Hazard: concurrentIndexOnPartitionedParent, claim: claim{kind: claimsError},
			Message:  fmt.Sprintf("%s is partitioned: its index cannot be dropped concurrently", i.table.name),
			Rewrite:  without(j.out.Text, "CONCURRENTLY") + ";",
			NotFixed: "without CONCURRENTLY the table is locked: choose a quiet time",
			Evidence: Evidence{j.source(i.table), i.table.name.String() + " is partitioned"},
		})
	case s.Concurrent:
		j.because("the index goes while reads and writes go on")
	case i.created == j.now && i.step == j.step:
		j.because("the index was made in the same transaction")
	default:
		finding := Finding{
			Hazard: dropIndexNotConcurrent, Message: fmt.Sprintf("reads and writes of %s wait while the index is dropped",
				i.table.name),
			Evidence: Evidence{j.source(i.table), i.name.String() + " is an index of " + i.table.name.String()},
		}
		finding.Rewrite, finding.NotFixed = j.dropConcurrently(s)
		if i.table.partitioned {
			finding.Rewrite, finding.NotFixed = "", "an index of a partitioned table cannot be dropped concurrently"
		}
		j.report(finding)
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

func (m *model) dropFunction(o *ast.ObjectWithArgs) {
	f := m.overload(o)
	for n, overloads := range m.functions {
		if f != nil && slices.Contains(overloads, f) {
			m.functions[n] = slices.DeleteFunc(overloads, func(other *function) bool { return other == f })
		}
	}
}
