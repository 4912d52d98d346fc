package lint

import (
	"fmt"
	"slices"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
)

func (j *judge) addConstraintCommand(r *relation, cmd *ast.AlterTableCmd) {
	c := cmd.Def.GetConstraint()
	if c.Contype == ast.ConstrType_CONSTR_FOREIGN {
		j.addForeignKey(r, c)
		return
	}
	if j.isNew(r) {
		return
	}
	switch c.Contype {
	case ast.ConstrType_CONSTR_CHECK:
		j.addCheck(r, c)
	case ast.ConstrType_CONSTR_PRIMARY, ast.ConstrType_CONSTR_UNIQUE:
		if c.Indexname != "" {
			j.addKeyUsing(r, c)
			return
		}
		j.addKey(r, c)
	case ast.ConstrType_CONSTR_EXCLUSION:
		j.scan(r)
		if !j.small(r) {
			j.constraintFinding(r, c, Finding{Hazard: addExclusionConstraint, claim: claim{claimsScan, leaves(r)},
				Message: fmt.Sprintf(
					"nobody can read or write %s until the constraint's index is built; there is no concurrent way", r.name),
				Rewrite: j.inNewTable(r, c)})
		}
	default:
		j.opaque("no rule knows this kind of constraint")
	}
}

// inNewTable begins a table with the constraint, which takes the old one's place.
func (j *judge) inNewTable(r *relation, c *ast.Constraint) string {
	next := &relation{name: Name{r.name.Schema, cutTo(r.name.Object, 59) + "_new"}}
	if next.name.Schema != public {
		next.name.Schema = r.name.Schema
	}
	name := j.beside(r, next.name.Object)
	text := j.addConstraintTo(next, c)
	if j.cannotStep() != "" || text == "" {
		return ""
	}
	return fmt.Sprintf("CREATE TABLE %s (LIKE %s INCLUDING ALL);\n%s\n-- then copy in batches, and swap the names", name,
		j.written(r), text)
}

func (j *judge) constraintFinding(r *relation, c *ast.Constraint, f Finding) {
	f.Start, f.End = j.place(c.Location)
	f.Evidence = j.wasThere(r)
	j.report(f)
}

func (j *judge) addCheck(r *relation, c *ast.Constraint) {
	if c.SkipValidation {
		j.because("NOT VALID: rows that are there are not read")
		return
	}
	j.scan(r)
	if j.small(r) {
		return
	}
	rewrite, why := j.notValid(r, c)
	j.constraintFinding(r, c, Finding{Hazard: addCheckWithoutNotValid, claim: claim{claimsScan, leaves(r)},
		Message: fmt.Sprintf("all rows of %s are checked while nobody else can read or write it", r.name),
		Rewrite: rewrite, NotFixed: why})
}

// notValid writes a constraint so that existing rows are checked afterwards. The
// statement stays as it is written, and gets a name where it has none.
func (j *judge) notValid(r *relation, c *ast.Constraint) (rewrite, why string) {
	if why := j.cannotStep(); why != "" {
		return "", why
	}
	text, name := j.out.Text, c.Conname
	if name == "" {
		if name = j.checkName(r, c.RawExpr); c.Contype == ast.ConstrType_CONSTR_FOREIGN {
			name = j.foreignName(r, texts(c.FkAttrs))
		}
		text = text[:c.Location] + "CONSTRAINT " + quoted(name) + " " + text[c.Location:]
	}
	return eachAlone + spotsOf(text).append(" NOT VALID") + ";\n" + j.alterTo(r, "VALIDATE CONSTRAINT "+quoted(name)), ""
}

// cannotStep says that an ALTER TABLE cannot be cut into steps as a whole.
func (j *judge) cannotStep() string {
	s := j.current.node.GetAlterTableStmt()
	switch {
	case j.inner || s == nil:
		return "it is in a function's body"
	case len(s.Cmds) != 1:
		return "the statement has several commands: write one statement for each first"
	case s.MissingOk:
		return "with IF EXISTS the table may not be there"
	}
	return ""
}

func (j *judge) addKey(r *relation, c *ast.Constraint) {
	j.scan(r)
	if j.small(r) {
		return
	}
	hazard, columns := addUniqueWithoutUsingIndex, texts(c.Keys)
	if c.Contype == ast.ConstrType_CONSTR_PRIMARY {
		hazard = addPkWithoutUsingIndex
	}
	rewrite, why := j.keySlowly(r, c, columns)
	j.constraintFinding(r, c, Finding{Hazard: hazard, claim: claim{claimsScan, leaves(r)}, Rewrite: rewrite, NotFixed: why,
		Message: fmt.Sprintf("nobody can read or write %s until its index on (%s) is built", r.name, names(columns))})
}

// keySlowly is a key whose index is built beside the traffic, of columns that are
// proven to be NOT NULL where it must be so.
func (j *judge) keySlowly(r *relation, c *ast.Constraint, columns []string) (rewrite, why string) {
	if why := j.cannotStep(); why != "" {
		return "", why
	}
	if r.partitioned {
		return "", "a key of a partitioned table cannot be made of an index that is built concurrently"
	}
	c = copied(c)
	if c.Conname == "" {
		c.Conname = j.keyName(r, c, columns)
	}
	var lines []string
	if c.Contype == ast.ConstrType_CONSTR_PRIMARY {
		for _, name := range columns {
			if column := r.column(name); column != nil && !column.notNull {
				lines = append(lines, j.notNullSteps(r, name))
			}
		}
	}
	text := strings.Join(append(lines, j.keyOfIndex(r, c)), "\n")
	if len(lines) > 0 {
		text = eachAlone + text
	}
	return text, ""
}

func (j *judge) addKeyUsing(r *relation, c *ast.Constraint) {
	i := j.indexes[Name{r.name.Schema, c.Indexname}]
	if i != nil && !i.valid {
		j.constraintFinding(r, c, Finding{Hazard: constraintUsingInvalidIndex, claim: claim{kind: claimsError},
			Message: fmt.Sprintf("the index %s is invalid: the server refuses to use it", i.name),
			Rewrite: fmt.Sprintf("REINDEX INDEX CONCURRENTLY %s;\n%s;", i.name, j.out.Text)})
		return
	}
	if c.Contype == ast.ConstrType_CONSTR_PRIMARY && i != nil {
		for _, name := range i.columns {
			column := r.column(name)
			if column == nil || column.notNull || j.provenNotNull(r, name) {
				continue
			}
			j.scan(r)
			if !j.small(r) {
				j.constraintFinding(r, c, Finding{Hazard: addPkUsingIndexNullable, claim: claim{claimsScan, leaves(r)},
					Message: fmt.Sprintf("%s allows NULL: all rows of %s are read while nobody else can read or write it",
						quoted(name), r.name),
					Rewrite: eachAlone + j.notNullSteps(r, name) + "\n" + j.out.Text + ";"})
			}
			return
		}
	}
	j.because("the index is there already; only the catalog changes")
}

func (j *judge) provenNotNull(r *relation, column string) bool {
	return slices.ContainsFunc(r.constraints, func(k *constraint) bool {
		return k.kind == ast.ConstrType_CONSTR_CHECK && k.valid && !k.noInherit && impliesNotNull(k.expr, column)
	})
}

func (j *judge) addForeignKey(r *relation, c *ast.Constraint) {
	to := j.relation(c.Pktable)
	j.lockTree(to, ShareRowExclusive)
	if !j.isNew(r) && !j.isNew(to) && r != to {
		j.manyForeignKeys(r, to)
	}
	if j.isNew(r) {
		j.because(fmt.Sprintf("%s is new and has no rows to look up; %s is locked for a moment", r.name, to.name))
		return
	}
	if j.isNew(to) && !c.SkipValidation {
		j.because(fmt.Sprintf("%s is new", to.name))
	}
	j.foreignKeyTypes(r, to, c)
	j.foreignKeyIndex(r, to, c)
	if c.SkipValidation && r.partitioned && (j.options.Major == 0 || j.options.Major < 18) {
		j.constraintFinding(r, c, Finding{Hazard: fkNotValidOnPartitioned, claim: claim{kind: claimsError},
			Message: fmt.Sprintf("%s is partitioned: before PostgreSQL 18 the server refuses NOT VALID for its foreign keys",
				r.name),
			Rewrite: j.keysOfPartitions(r, c)})
		return
	}
	if c.SkipValidation {
		j.because("NOT VALID: rows that are there are not looked up; both tables are locked for a moment")
		return
	}
	j.scan(r)
	j.scan(to)
	if j.small(r) {
		return
	}
	rewrite, why := j.notValid(r, c)
	if r.partitioned {
		rewrite, why = j.keysOfPartitions(r, c), "each partition needs a foreign key of its own first"
	}
	j.constraintFinding(r, c, Finding{Hazard: addFkWithoutNotValid, claim: claim{claimsScan, leaves(r)},
		Rewrite: rewrite, NotFixed: why,
		Message: fmt.Sprintf("writes to %s and %s wait until every row is looked up", r.name, to.name)})
}

// keysOfPartitions writes a foreign key for each partition, and then that of the parent,
// which takes them over and reads nothing.
func (j *judge) keysOfPartitions(r *relation, c *ast.Constraint) string {
	if j.cannotStep() != "" || len(r.partitions) == 0 {
		return ""
	}
	var lines []string
	for _, p := range r.partitions {
		if p.partitioned {
			return ""
		}
		part := copied(c)
		part.Conname = j.foreignName(p, texts(c.FkAttrs))
		part.SkipValidation, part.InitiallyValid = true, false
		lines = append(lines, j.addConstraintTo(p, part), j.alterTo(p, "VALIDATE CONSTRAINT "+quoted(part.Conname)))
	}
	whole := copied(c)
	whole.SkipValidation, whole.InitiallyValid = false, true
	return eachAlone + strings.Join(append(lines, j.addConstraintTo(r, whole)), "\n")
}

func (j *judge) foreignKeyTypes(r, to *relation, c *ast.Constraint) {
	targets := texts(c.PkAttrs)
	if len(targets) == 0 {
		targets = to.primaryKey()
	}
	for i, name := range texts(c.FkAttrs) {
		if i >= len(targets) {
			return
		}
		a, b := r.column(name), to.column(targets[i])
		if a == nil || b == nil || a.typ.Name.Object == "" || b.typ.Name.Object == "" || a.typ.Name == b.typ.Name ||
			kin(a.typ) == kin(b.typ) && kin(a.typ) == "text" {
			continue
		}
		j.constraintFinding(r, c, Finding{Hazard: fkTypeMismatch,
			Message: fmt.Sprintf("%s.%s is %s and %s.%s is %s: values that one can hold the other cannot", r.name, quoted(name),
				a.typ, to.name, quoted(targets[i]), b.typ),
			Rewrite: j.retypeSlowly(r, a, b.def)})
	}
}

// kin is the family of a type, within which comparing needs no conversion.
func kin(t Type) string {
	switch t.Name.Object {
	case "text", "varchar", "bpchar", "citext":
		return "text"
	}
	return t.Name.String()
}

func (j *judge) foreignKeyIndex(r, to *relation, c *ast.Constraint) {
	columns := texts(c.FkAttrs)
	for _, i := range j.indexesOf(r) {
		if len(i.columns) >= len(columns) && i.where == nil && slices.Equal(i.columns[:len(columns)], columns) {
			return
		}
	}
	j.constraintFinding(r, c, Finding{Hazard: fkMissingIndex,
		Message: fmt.Sprintf("each DELETE from %s, and each change of its key, reads all of %s, which has no index on (%s)",
			to.name, r.name, names(columns)),
		Rewrite: fmt.Sprintf("CREATE INDEX CONCURRENTLY ON %s (%s);", j.written(r), names(columns))})
}

// manyForeignKeys finds a transaction that locks many tables at once.
func (j *judge) manyForeignKeys(r, to *relation) {
	j.tx.foreign[r]++
	j.tx.foreign[to]++
	total := 0
	for range j.tx.foreign {
		total++
	}
	if total > 2 && !j.current.alone {
		j.report(Finding{Hazard: multipleForeignKeysInOneMigration,
			Message: fmt.Sprintf("with this foreign key the transaction locks %d tables against writes at once, until it ends",
				total)})
	}
}

func (j *judge) validateCommand(r *relation, cmd *ast.AlterTableCmd) {
	c := r.constraint(cmd.Name)
	if c != nil && c.to != nil {
		j.lockTree(c.to, RowShare)
	}
	if c != nil && c.valid {
		j.evidence(j.source(r), "the constraint is valid already")
		return
	}
	j.scan(r)
	if j.small(r) {
		return
	}
	if c != nil && c.step == j.step && c.created == j.now {
		j.report(Finding{Hazard: notValidThenValidateSameTransaction, claim: claim{claimsScan, leaves(r)},
			Evidence: j.wasThere(r),
			Message: fmt.Sprintf("the strong lock with which %s was added is held until all rows of %s are read",
				quoted(c.name), r.name),
			Rewrite: "-- below a mark with notransaction, or in a migration of its own:\n" + j.alterTo(r,
				"VALIDATE CONSTRAINT "+quoted(cmd.Name)), NotFixed: j.cannotStep()})
		return
	}
	j.because("rows are read alongside reads and writes, under SHARE UPDATE EXCLUSIVE")
}

func (j *judge) dropConstraintCommand(r *relation, cmd *ast.AlterTableCmd) {
	c := r.constraint(cmd.Name)
	switch {
	case c == nil && cmd.MissingOk && !r.assumed && j.complete:
		j.evidence(FromCatalog, "no such constraint")
	case c == nil:
		j.unknownConstraint(r, cmd)
	case c.created == j.now:
		j.because("the constraint was made by this migration")
	case c.kind == ast.ConstrType_CONSTR_FOREIGN:
		j.lockTree(c.to, AccessExclusive)
		if j.isNew(c.to) {
			return
		}
		if j.exchanged(c) {
			j.because("another foreign key takes its place")
			return
		}
		j.report(Finding{Hazard: dropForeignKey, Evidence: Evidence{j.source(r), fmt.Sprintf("%s is a foreign key to %s",
			quoted(c.name), c.to.name)},
			Message: fmt.Sprintf("%s, which the statement does not name, is locked against reads and writes as well as %s",
				c.to.name, r.name),
			Rewrite: fmt.Sprintf("SET LOCAL lock_timeout = '100ms';\nLOCK TABLE %s, %s IN ACCESS EXCLUSIVE MODE;\n"+
				"%s -- in a transaction of its own", j.written(c.to), j.written(r), j.alterTo(r,
				"DROP CONSTRAINT "+quoted(c.name)))})
	case c.index != nil && (c.kind == ast.ConstrType_CONSTR_PRIMARY || c.kind == ast.ConstrType_CONSTR_UNIQUE):
		j.dropKey(c.index)
		j.dropReferences(r, c, cmd)
	default:
		j.because("dropping a check only changes the catalog")
	}
}

// exchanged reports whether the statement puts another foreign key between the same
// tables in a constraint's place, which locks both of them in any case.
func (j *judge) exchanged(c *constraint) bool {
	return slices.ContainsFunc(j.current.node.GetAlterTableStmt().GetCmds(), func(n *ast.Node) bool {
		added := n.GetAlterTableCmd().GetDef().GetConstraint()
		return added.GetContype() == ast.ConstrType_CONSTR_FOREIGN && j.find(nameOfRange(added.GetPktable())) == c.to &&
			slices.Equal(texts(added.GetFkAttrs()), c.columns)
	})
}

func (j *judge) unknownConstraint(r *relation, cmd *ast.AlterTableCmd) {
	name := lower(cmd.Name)
	switch {
	case strings.HasSuffix(name, "_fkey") || strings.HasPrefix(name, "fk_") || strings.HasSuffix(name, "_fk"):
		j.report(Finding{Hazard: dropForeignKey, Evidence: Evidence{FromText, "its name is that of a foreign key"},
			Message: fmt.Sprintf("the table that %s references is locked against reads and writes as well as %s",
				quoted(cmd.Name), r.name)})
	case strings.HasSuffix(name, "_pkey") || strings.HasSuffix(name, "_key") || strings.HasPrefix(name, "uq_") ||
		strings.HasPrefix(name, "unique_"):
		j.report(Finding{Hazard: dropUniqueOrPrimaryKey, Evidence: Evidence{FromText, "its name is that of a key"},
			Message: fmt.Sprintf("%s may hold duplicates from now on, and INSERT … ON CONFLICT of the code that runs fails",
				r.name)})
	default:
		j.opaque("what kind of constraint " + quoted(cmd.Name) + " is, is not known: a foreign key locks two tables, a key " +
			"is relied upon")
	}
}

// dropReferences finds the foreign keys that a CASCADE takes along.
func (j *judge) dropReferences(r *relation, c *constraint, cmd *ast.AlterTableCmd) {
	for other, keys := range j.references(r) {
		for _, k := range keys {
			if !slices.Equal(k.toColumns, c.columns) {
				continue
			}
			if cmd.Behavior == ast.DropBehavior_DROP_CASCADE {
				j.lockTree(other, AccessExclusive)
				j.report(Finding{Hazard: dropCascade, Evidence: j.wasThere(other),
					Message: fmt.Sprintf("the foreign key %s of %s is dropped with it", quoted(k.name), other.name)})
			}
		}
	}
}

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

func (m *model) addConstraintOf(r *relation, cmd *ast.AlterTableCmd) {
	s := cmd.Def.GetConstraint()
	if r.parent == nil || s.Conname == "" || r.constraint(s.Conname) == nil {
		m.addConstraint(r, s, false)
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

func (m *model) validateOf(r *relation, cmd *ast.AlterTableCmd) {
	if c := r.constraint(cmd.Name); c != nil {
		c.valid = true
	}
}

func (m *model) deferOf(r *relation, cmd *ast.AlterTableCmd) {
	r.deferred = r.deferred || cmd.Def.GetConstraint().GetInitdeferred()
}

func (m *model) dropConstraintOf(r *relation, cmd *ast.AlterTableCmd) {
	if c := r.constraint(cmd.Name); c != nil {
		m.dropConstraint(r, c)
	}
}

func (m *model) dropConstraint(r *relation, c *constraint) {
	r.constraints = slices.DeleteFunc(r.constraints, func(other *constraint) bool { return other == c })
	if c.index != nil {
		delete(m.indexes, c.index.name)
	}
}
