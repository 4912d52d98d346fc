package lint

import (
	"fmt"
	"slices"
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

func (j *judge) truncateStatement(s *ast.TruncateStmt) {
	for _, n := range s.Relations {
		r := j.relation(n.GetRangeVar())
		j.lockTree(r, AccessExclusive)
		if s.Behavior == ast.DropBehavior_DROP_CASCADE {
			var others, emptied []string
			for other := range j.references(r) {
				if other != r {
					j.lockTree(other, AccessExclusive)
					emptied = append(emptied, leaves(other)...)
					others = append(others, other.name.String())
				}
			}
			slices.Sort(others)
			message := "every table that references it is emptied as well"
			if len(others) > 0 {
				message = join(others) + " are emptied as well, since they reference it"
			}
			if !j.isNew(r) && (r.assumed || len(others) > 0) {
				j.report(Finding{Hazard: truncateCascade, claim: claim{claimsRewrite, emptied}, Message: message,
					Evidence: j.wasThere(r), Rewrite: j.truncateByName(s)})
			}
		}
		if j.harmless(r) {
			continue
		}
		j.report(Finding{Hazard: truncate, claim: claim{claimsRewrite, leaves(r)}, Evidence: j.wasThere(r),
			Message: fmt.Sprintf("all rows of %s are lost, and nobody can read or write it until the transaction ends", r.name),
			Rewrite: j.deleteSlowly(r)})
	}
}

// truncateByName names the tables that CASCADE would empty.
func (j *judge) truncateByName(s *ast.TruncateStmt) string {
	var all []*relation
	for _, n := range s.Relations {
		r := j.relation(n.GetRangeVar())
		if r.assumed {
			return ""
		}
		all = append(all, r)
	}
	for i := 0; i < len(all); i++ {
		for other := range j.references(all[i]) {
			if !slices.Contains(all, other) {
				all = append(all, other)
			}
		}
	}
	var written []string
	for _, r := range all {
		written = append(written, j.written(r))
	}
	slices.Sort(written)
	return "TRUNCATE " + strings.Join(written, ", ") + ";"
}

func (j *judge) deleteSlowly(r *relation) string {
	b, ok := j.batchOf(r)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s\nDELETE FROM %s WHERE %s;", b.mark(), b.table, b.where(""))
}

// attachCommand finds that the rows of what becomes a partition are read, to see
// whether they belong there, and those of the default partition.
func (j *judge) attachCommand(r *relation, s *ast.PartitionCmd) {
	part := j.relation(s.Name)
	j.lockTree(part, AccessExclusive)
	if d := r.defaultPartition(); d != nil && d != part && !j.isNew(d) && s.Bound != nil && !s.Bound.IsDefault {
		j.lock(d, AccessExclusive)
		j.scan(d)
		switch {
		case j.excluded(d, r, s.Bound):
			j.evidence(j.source(d), fmt.Sprintf("a valid constraint says that %s has no row for the new partition", d.name))
		case !j.small(d):
			j.report(Finding{Hazard: attachPartitionScansDefault, claim: claim{claimsScan, leaves(d)},
				Evidence: Evidence{j.source(d), d.name.String() + " is the default partition"},
				Message:  fmt.Sprintf("nobody can read or write the default partition %s while all its rows are read", d.name),
				Rewrite:  j.excludeFirst(d, r, s.Bound)})
		}
	}
	if j.isNew(part) || s.Bound == nil {
		j.because(part.name.String() + " is new")
		return
	}
	j.scan(part)
	if j.implied(part, r, s.Bound) {
		j.evidence(j.source(part), fmt.Sprintf("a valid constraint of %s says that all its rows belong there, so that none "+
			"is read", part.name))
		return
	}
	if j.small(part) {
		return
	}
	rewrite := ""
	if check := j.boundCheck(r, s.Bound); check != "" && j.cannotStep() == "" {
		name := quoted(j.chosen(part, "", "bounds", j.constraintTaken(part.name.Schema)))
		rewrite = eachAlone + strings.Join([]string{j.alterTo(part, fmt.Sprintf("ADD CONSTRAINT %s CHECK (%s) NOT VALID",
			name, check)),
			j.alterTo(part, "VALIDATE CONSTRAINT "+name), j.out.Text + ";", j.alterTo(part, "DROP CONSTRAINT "+name)}, "\n")
	}
	j.report(Finding{Hazard: attachPartitionScan, claim: claim{claimsScan, leaves(part)}, Evidence: j.wasThere(part),
		Rewrite: rewrite,
		Message: fmt.Sprintf("nobody can read or write %s while all its rows are read", part.name)})
}

func (j *judge) detachCommand(r *relation, s *ast.PartitionCmd) {
	part := j.relation(s.Name)
	d := r.defaultPartition()
	if s.Concurrent {
		j.lock(part, ShareUpdateExclusive)
		if d != nil {
			j.report(Finding{Hazard: detachConcurrentlyWithDefault, claim: claim{kind: claimsError},
				Evidence: Evidence{j.source(d), d.name.String() + " is the default partition"},
				Message:  fmt.Sprintf("%s has a default partition: the server refuses to detach concurrently", r.name),
				Rewrite:  without(j.out.Text, "CONCURRENTLY") + "; -- with a short lock_timeout"})
			return
		}
		j.because("readers and writers go on")
		return
	}
	if j.before14() {
		j.lock(part, ShareUpdateExclusive)
	} else {
		j.lockTree(part, AccessExclusive)
	}
	j.lock(d, AccessExclusive)
	if j.harmless(part) {
		return
	}
	rewrite, why := j.detachSlowly(r, part)
	f := Finding{Hazard: detachPartitionNotConcurrent, NotFixed: why, Evidence: j.wasThere(r),
		Message: fmt.Sprintf("nobody can read or write %s, with all its partitions, until the transaction ends", r.name)}
	if d == nil {
		f.Rewrite = rewrite
	} else {
		f.NotFixed = d.name.String() + " is a default partition, with which a partition cannot be detached concurrently"
	}
	j.report(f)
}

// detachSlowly detaches a partition beside the traffic. The server leaves it a CHECK of
// its bounds then, which a plain DETACH does not.
func (j *judge) detachSlowly(r, part *relation) (rewrite, why string) {
	if why := j.cannotStep(); why != "" {
		return "", why
	}
	rewrite = spotsOf(j.out.Text).append(" CONCURRENTLY") + ";"
	if part.bound == nil || part.assumed || len(r.partitionKey) != 1 || r.partitionKey[0] == "" ||
		r.strategy == ast.PartitionStrategy_PARTITION_STRATEGY_HASH ||
		j.implied(part, r, part.bound) {
		return rewrite, "it leaves the table a constraint of the partition's bounds, whose name is not known"
	}
	name := j.chosen(part, r.partitionKey[0], "check", j.constraintTaken(part.name.Schema))
	return rewrite + "\n" + j.alterTo(part, "DROP CONSTRAINT "+quoted(name)), ""
}
