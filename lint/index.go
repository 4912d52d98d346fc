package lint

import (
	"fmt"
	"slices"
	"strings"
	"time"

	ast "github.com/pganalyze/pg_query_go/v6"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

// See "CREATE INDEX", section "Building Indexes Concurrently", in PostgreSQL's
// documentation.
func (j *judge) createIndexStatement(s *ast.IndexStmt) {
	r := j.relation(s.Relation)
	j.redundant(r, s)
	for _, n := range s.IndexParams {
		if name := n.GetIndexElem().GetName(); name != "" && r.lacks(name) {
			j.report(Finding{Hazard: statementFails, claim: claim{kind: claimsError}, Evidence: Evidence{j.source(r),
				"its columns are known"},
				Message: fmt.Sprintf("%s has no column %s: the statement fails", r.name, quoted(name))})
		}
	}
	for _, n := range append(slices.Clone(s.IndexParams), s.WhereClause) {
		if name := j.mutable(n); name != "" {
			j.report(Finding{Hazard: statementFails, claim: claim{kind: claimsError},
				Message: fmt.Sprintf("what an index is made of must be immutable, and %s is not: the server refuses", name)})
		}
	}
	if s.Concurrent {
		j.createIndexConcurrently(r, s)
		return
	}
	if r.partitioned && !s.Relation.Inh {
		j.lock(r, Share)
		return
	}
	for _, part := range r.parts() { // heirs keep indexes of their own
		j.lock(part, Share)
		j.scanOnly(part)
	}
	if j.harmless(r) || j.small(r) {
		return
	}
	if r.kind == materializedView {
		j.out.kind = reading // for whom a scan under SHARE is no harm
		j.because("while the index is built, only a refresh of " + r.name.String() + " has to wait")
		return
	}
	rewrite, why := j.concurrentIndex(r, s)
	j.report(Finding{
		Hazard: createIndexNotConcurrent, claim: claim{claimsScan, leaves(r)},
		Message: fmt.Sprintf("writes to %s wait until the index is built", r.name),
		Rewrite: rewrite, NotFixed: why,
		Evidence: Evidence{j.source(r), r.name.String() + " was there before this migration"},
	})
}

// concurrentIndex writes the index so that it is built beside the traffic.
func (j *judge) concurrentIndex(r *relation, s *ast.IndexStmt) (rewrite, why string) {
	if !r.partitioned {
		if s.IfNotExists {
			why = "IF NOT EXISTS takes what an aborted concurrent build leaves for the index"
		}
		return concurrently(j.out.Text, "INDEX") + ";", why
	}
	return j.indexOfPartitions(r, s)
}

// indexOfPartitions writes an index of a partitioned table: the parent's, those of the
// partitions, which become parts of it, and the proof that none is missing.
func (j *judge) indexOfPartitions(r *relation, s *ast.IndexStmt) (rewrite, why string) {
	if s.IfNotExists {
		return "", "with IF NOT EXISTS it is not known whether the index is there"
	}
	taken := j.relationTaken(r.name.Schema)
	parent, columns := copied(s), indexColumns(s)
	if columns == nil {
		why = "the names that PostgreSQL gives to the partitions' indexes are not known"
	}
	parent.Concurrent, parent.Relation.Inh = false, false
	if parent.Idxname == "" {
		parent.Idxname = j.chosen(r, several(columns), "idx", taken)
	}
	index := j.beside(r, parent.Idxname)
	lines := []string{j.writeIndex(parent)}
	for _, p := range r.partitions {
		if p.partitioned {
			return "", p.name.String() + " is partitioned too"
		}
		for _, i := range j.indexesOf(p) {
			if slices.Equal(i.columns, columns) {
				why = p.name.String() + " has such an index already"
			}
		}
		part := copied(s)
		part.Concurrent, part.Relation = true, j.rangeOf(p)
		part.Idxname = j.chosen(p, several(columns), "idx",
			func(name string) bool { return taken(name) || name == parent.Idxname })
		lines = append(lines, j.writeIndex(part), fmt.Sprintf("ALTER INDEX %s ATTACH PARTITION %s;", index,
			j.beside(p, part.Idxname)))
	}
	if slices.Contains(lines, "") {
		return "", "the statement cannot be written"
	}
	return strings.Join(append(lines, "-- +migrate Assert every partition has the index",
		fmt.Sprintf("SELECT indisvalid FROM pg_catalog.pg_index WHERE indexrelid = %s::pg_catalog.regclass;",
			literal(index))), "\n"), why
}

func (j *judge) writeIndex(s *ast.IndexStmt) string {
	text, err := j.parser.Write(&ast.Node{Node: &ast.Node_IndexStmt{IndexStmt: s}})
	if err != nil {
		return ""
	}
	return text + ";"
}

// indexColumns gives the names that PostgreSQL makes an index's name of; nil where it
// finds one for an expression.
func indexColumns(s *ast.IndexStmt) []string {
	var all []string
	for _, p := range slices.Concat(s.IndexParams, s.IndexIncludingParams) {
		name := p.GetIndexElem().GetName()
		if name == "" {
			return nil
		}
		all = append(all, name)
	}
	return all
}

func (j *judge) createIndexConcurrently(r *relation, s *ast.IndexStmt) {
	j.lock(r, ShareUpdateExclusive)
	if j.inner {
		j.report(Finding{Hazard: concurrentlyInTransaction, claim: claim{kind: claimsError},
			Message: "a function's body is part of a transaction, in which an index cannot be built concurrently"})
		return
	}
	if r.partitioned && s.Relation.Inh {
		rewrite, why := j.indexOfPartitions(r, s)
		j.report(Finding{
			Hazard: concurrentIndexOnPartitionedParent, claim: claim{kind: claimsError},
			Message: fmt.Sprintf("%s is partitioned: its index cannot be built concurrently as a whole", r.name),
			Rewrite: rewrite, NotFixed: why,
			Evidence: Evidence{j.source(r), r.name.String() + " is partitioned"},
		})
		return
	}
	if j.harmless(r) {
		return
	}
	j.scan(r)
	if s.IfNotExists {
		j.report(Finding{
			Hazard: concurrentIndexIfNotExists,
			Message: fmt.Sprintf("if an earlier build of %s was aborted, its invalid remains count as existing, and the "+
				"statement reports success", quoted(s.Idxname)),
			Rewrite: fmt.Sprintf("DROP INDEX CONCURRENTLY IF EXISTS %s;\n%s;", j.beside(r, s.Idxname),
				without(j.out.Text, "IF NOT EXISTS")),
			NotFixed: "an index that is there and complete would be dropped, whatever it is",
		})
	}
	j.shortTimeout(r)
	if s.Unique {
		j.report(Finding{Hazard: uniqueIndexDataDependent,
			Message: fmt.Sprintf("if rows of %s have the same values, the build fails at its end and leaves an invalid index",
				r.name),
			Rewrite: j.countDuplicates(r, s) + "\n" + j.out.Text + ";"})
	}
	j.because("the index is built alongside reads and writes, under SHARE UPDATE EXCLUSIVE")
}

// countDuplicates asserts what an index needs to be unique.
func (j *judge) countDuplicates(r *relation, s *ast.IndexStmt) string {
	var columns, given []string
	for _, p := range s.IndexParams {
		name := quoted(p.GetIndexElem().GetName())
		if e := p.GetIndexElem().GetExpr(); e != nil {
			name = "(" + expression(j.parser, e) + ")"
		}
		columns = append(columns, name)
		if !s.NullsNotDistinct {
			given = append(given, name+" IS NOT NULL")
		}
	}
	if s.WhereClause != nil {
		given = append(given, "("+expression(j.parser, s.WhereClause)+")")
	}
	where := ""
	if len(given) > 0 {
		where = " WHERE " + strings.Join(given, " AND ")
	}
	return fmt.Sprintf("-- +migrate Assert no two rows are the same to the index\n"+
		"SELECT NOT EXISTS (SELECT FROM %s%s GROUP BY %s HAVING count(*) > 1);",
		j.written(r), where, strings.Join(columns, ", "))
}

// shortTimeout finds a lock_timeout under which a concurrent build cannot wait for
// the transactions that were there before it.
func (j *judge) shortTimeout(r *relation) {
	value, ok := j.tx.settings["lock_timeout"]
	if !ok {
		return
	}
	if limit, ok := milliseconds(value); ok && limit > 0 && limit < time.Minute {
		j.report(Finding{
			Hazard: concurrentIndexShortLockTimeout,
			Message: fmt.Sprintf("with lock_timeout = %s the build gives up as soon as any older transaction in the database "+
				"lives longer, and leaves an invalid index on %s", value, r.name),
			Rewrite: "-- without the Set of lock_timeout; whimbrel chooses the limit by what the statement waits for\n" +
				j.out.Text,
		})
	}
}

// milliseconds reads a duration as settings are written.
func milliseconds(value string) (time.Duration, bool) {
	value = strings.TrimSpace(strings.Trim(value, "'"))
	if value == "" {
		return 0, false
	}
	if d, err := time.ParseDuration(strings.ReplaceAll(strings.ReplaceAll(value, "min", "m"), " ", "")); err == nil {
		return d, true
	}
	n := 0
	for _, digit := range value {
		if digit < '0' || digit > '9' || n > 1<<40 {
			return 0, false
		}
		n = n*10 + int(digit-'0')
	}
	return time.Duration(n) * time.Millisecond, true
}

// redundant finds an index that is there already under another name.
func (j *judge) redundant(r *relation, s *ast.IndexStmt) {
	var columns []string
	for _, p := range s.IndexParams {
		e := p.GetIndexElem()
		if e.GetExpr() != nil || len(e.GetOpclass()) > 0 || e.GetOrdering() > ast.SortByDir_SORTBY_ASC ||
			len(e.GetCollation()) > 0 {
			return
		}
		columns = append(columns, e.GetName())
	}
	if s.WhereClause != nil || len(s.IndexIncludingParams) > 0 {
		return
	}
	for _, i := range j.indexesOf(r) {
		if i.valid && i.where == nil && i.method == s.AccessMethod && len(i.expressions) == 0 && slices.Equal(i.columns,
			columns) &&
			(i.unique || !s.Unique) && i.name.Object != s.Idxname {
			j.report(Finding{
				Hazard:   redundantIndex,
				Message:  fmt.Sprintf("%s already has the index %s on (%s)", r.name, i.name, names(columns)),
				Evidence: Evidence{j.source(r), i.name.String() + " is there"},
			})
			return
		}
	}
}

// dropKey finds that a key goes on which ON CONFLICT clauses of running code rely.
func (j *judge) dropKey(i *index) {
	if !i.unique || i.created == j.now {
		return
	}
	for _, other := range j.indexesOf(i.table) {
		if other != i && other.unique && other.valid && slices.Equal(other.columns, i.columns) &&
			(other.where == nil) == (i.where == nil) {
			return
		}
	}
	message := fmt.Sprintf(
		"%s may hold duplicates from now on, and INSERT … ON CONFLICT (%s) of the code that runs fails", i.table.name,
		names(i.columns))
	if j.publishes(i.table) && i.constraint != nil && i.constraint.kind == ast.ConstrType_CONSTR_PRIMARY &&
		i.table.identity == "d" {
		message += "; UPDATE and DELETE fail, because the table is published and has no replica identity any more"
	}
	j.report(Finding{Hazard: dropUniqueOrPrimaryKey, Message: message,
		Evidence: Evidence{j.source(i.table), i.name.String() + " is the only key on these columns"}})
}

func (j *judge) reindexStatement(s *ast.ReindexStmt) {
	concurrently := hasOption(s.Params, "concurrently")
	var tables []*relation
	switch s.Kind {
	case ast.ReindexObjectType_REINDEX_OBJECT_INDEX:
		if i := j.findIndex(nameOfRange(s.Relation)); i != nil {
			tables = []*relation{i.table}
		}
	case ast.ReindexObjectType_REINDEX_OBJECT_TABLE:
		tables = []*relation{j.relation(s.Relation)}
	default:
		for _, r := range j.sorted() {
			if r.kind == table && (s.Kind != ast.ReindexObjectType_REINDEX_OBJECT_SCHEMA || r.name.Schema == s.Name) {
				tables = append(tables, r)
			}
		}
	}
	mode := Share
	if concurrently {
		mode = ShareUpdateExclusive
	}
	small := len(tables) > 0
	for _, r := range tables {
		j.lockTree(r, mode)
		j.scan(r)
		small = small && (j.harmless(r) || j.small(r))
	}
	switch {
	case concurrently && j.inner:
		j.report(Finding{Hazard: concurrentlyInTransaction, Message: "a function's body is part of a transaction, in " +
			"which nothing can be rebuilt concurrently", claim: claim{kind: claimsError}})
	case concurrently:
		j.because("the index is rebuilt alongside reads and writes")
	case !small:
		rewrite, why := reindexConcurrently(j.out.Text, s), ""
		if slices.ContainsFunc(tables, excludes) {
			rewrite, why = "", "the index of an exclusion constraint cannot be rebuilt concurrently"
		}
		j.report(Finding{Hazard: reindexNotConcurrent, Rewrite: rewrite, NotFixed: why,
			Message: "writes wait until the index is built; so do reads, since planning a query looks at every index of its " +
				"tables"})
	}
}

// excludes reports whether a table has an exclusion constraint.
func excludes(r *relation) bool {
	return slices.ContainsFunc(r.constraints,
		func(c *constraint) bool { return c.kind == ast.ConstrType_CONSTR_EXCLUSION })
}

func reindexConcurrently(text string, s *ast.ReindexStmt) string {
	words := map[ast.ReindexObjectType]string{
		ast.ReindexObjectType_REINDEX_OBJECT_INDEX: "INDEX", ast.ReindexObjectType_REINDEX_OBJECT_TABLE: "TABLE",
		ast.ReindexObjectType_REINDEX_OBJECT_SCHEMA: "SCHEMA", ast.ReindexObjectType_REINDEX_OBJECT_DATABASE: "DATABASE",
	}
	if word := words[s.Kind]; word != "" {
		return concurrently(text, word) + ";"
	}
	return ""
}

// hasOption reports whether an option of the form (NAME [true]) is on.
func hasOption(options []*ast.Node, name string) bool {
	for _, o := range options {
		if d := o.GetDefElem(); d.GetDefname() == name {
			value := strings.ToLower(text(d.Arg))
			return value != "false" && value != "off" && value != "0"
		}
	}
	return false
}

func (j *judge) clusterStatement(s *ast.ClusterStmt) {
	if s.Relation == nil {
		j.report(Finding{Hazard: tableRewriteCommand, Message: "every table that was ever clustered is rewritten, " +
			"while nobody can read it"})
		return
	}
	r := j.relation(s.Relation)
	j.lockTree(r, AccessExclusive)
	j.rewrite(r)
	j.writtenAnew(r, "CLUSTER")
}

func (j *judge) writtenAnew(r *relation, command string) {
	if j.harmless(r) || j.small(r) {
		return
	}
	j.report(Finding{
		Hazard: tableRewriteCommand, Message: fmt.Sprintf("%s rewrites %s, while nobody can read or write it",
			command, r.name),
		claim: claim{claimsRewrite, leaves(r)}, Evidence: Evidence{j.source(r),
			r.name.String() + " was there before this migration"},
		Rewrite: fmt.Sprintf("VACUUM (ANALYZE) %s;", j.written(r)),
	})
}

func (j *judge) vacuumStatement(s *ast.VacuumStmt) {
	full := s.IsVacuumcmd && hasOption(s.Options, "full")
	for _, rel := range s.Rels {
		r := j.relation(rel.GetVacuumRelation().GetRelation())
		if !full {
			j.lockTree(r, ShareUpdateExclusive)
			continue
		}
		j.lockTree(r, AccessExclusive)
		j.rewrite(r)
		j.writtenAnew(r, "VACUUM FULL")
	}
	if len(s.Rels) == 0 && !full && !j.current.alone {
		for _, r := range j.sorted() {
			if r.kind == table || r.kind == materializedView {
				j.lock(r, ShareUpdateExclusive)
			}
		}
	}
	if full && len(s.Rels) == 0 {
		var all []string
		for _, r := range j.sorted() {
			all = append(all, leaves(r)...)
		}
		j.report(Finding{Hazard: tableRewriteCommand, claim: claim{claimsRewrite, all},
			Message: "every table of the database is rewritten, while nobody can read or write it",
			Rewrite: "VACUUM (ANALYZE);"})
	}
	if !full {
		j.because("it runs alongside reads and writes")
	}
}

// concurrently inserts CONCURRENTLY behind the first occurrence of a keyword.
func concurrently(statement, keyword string) string {
	for token := range pgsql.Tokens(statement) {
		if token.Kind == pgsql.Word && strings.EqualFold(token.Text, keyword) {
			at := token.Offset + len(token.Text)
			return statement[:at] + " CONCURRENTLY" + statement[at:]
		}
	}
	return ""
}

// without removes the first occurrence of some keywords in a row.
func without(statement, keywords string) string {
	words := strings.Fields(keywords)
	var tokens []pgsql.Token
	for token := range pgsql.Tokens(statement) {
		if token.Kind > pgsql.BlockComment {
			tokens = append(tokens, token)
		}
	}
	for i := 0; i+len(words) <= len(tokens); i++ {
		found := true
		for k, word := range words {
			found = found && strings.EqualFold(tokens[i+k].Text, word)
		}
		if found {
			end := len(statement)
			if i+len(words) < len(tokens) {
				end = tokens[i+len(words)].Offset
			}
			return statement[:tokens[i].Offset] + statement[end:]
		}
	}
	return statement
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

func (m *model) reindex(s *ast.ReindexStmt) {
	if i := m.findIndex(nameOfRange(s.Relation)); i != nil {
		i.valid = true
	}
}
