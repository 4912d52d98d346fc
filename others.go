package whimbrel

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/foreign"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/migration"
)

// This file is about the histories of other migration tools in a database that has none
// of ours. What such a tool has applied must not run a second time; and a table that has
// nothing to do with our files must not be in the way.

// OtherHistory is the table of another migration tool, in a database without a history
// of whimbrel's.
type OtherHistory struct {
	Tool  string `json:"tool"`  // as people call it
	Table string `json:"table"` // with its schema
	// Same are pending files that it has as applied, by version or name; of a table that
	// does not tell, those whose objects are there. While there is one, Up refuses.
	Same []Ref `json:"same,omitempty"`
	// Why says of the first of them what makes it the same.
	Why string `json:"why,omitempty"`

	tool foreign.Tool
	// usual is set where the table has the name that its tool gives it.
	usual bool
}

// otherPatience is how long reading the table of another tool waits for a lock.
const otherPatience = time.Second

// settling are the actions in a log that say nothing of whether the question about other
// histories was ever answered.
const settling = "('protect', 'unprotect', 'override', 'create_schema', 'upgrade')"

// findOthers reads the histories of other tools into a state. With a history of our own,
// or nothing pending, it asks nothing; nor where the first look saw no sign of one.
func (db *database) findOthers(ctx context.Context, s *state) error {
	if len(s.applied)+len(s.repeated)+len(s.journal) > 0 || len(s.migrations)+len(s.repeatables) == 0 {
		return nil
	}
	there := db.ready || db.history() != nil
	if !there && !db.facts.Others {
		return nil
	}
	if there {
		if settled, err := db.settled(ctx); err != nil || settled {
			return err
		}
	}
	tables, err := foreign.Tables(ctx, db.conn)
	if err != nil {
		return err
	}
	for _, table := range tables {
		tool, known := foreign.Owner(table.Relation)
		if !known || table.Schema == db.tables.schema && table.Name == db.tables.name {
			continue
		}
		other, err := db.judge(ctx, s, tool, table)
		if err != nil {
			return err
		}
		if len(other.Same) > 0 || !tool.Guessed(table.Relation) {
			s.others = append(s.others, other)
		}
	}
	return nil
}

// judge finds out which of the pending files another tool has applied.
func (db *database) judge(ctx context.Context, s *state, tool foreign.Tool, table foreign.Table) (OtherHistory, error) {
	other := OtherHistory{Tool: tool.Title, Table: table.String(), tool: tool, usual: tool.Calls(table.Relation)}
	records, read := db.records(ctx, tool, table)
	named := map[string]string{}
	for _, r := range records {
		if name := tool.Known(r, table.Relation); name != "" {
			named[name] = r.Key
		}
	}
	if len(named) > 0 || read && len(records) == 0 || tool.Guessed(table.Relation) {
		other.Same, other.Why = s.recordedAs(named)
		return other, nil
	}
	there, err := db.existing(ctx, s.firstCreations())
	for i, c := range there {
		if i == 0 {
			other.Why = fmt.Sprintf(
				"which migrations it has as applied cannot be told, and %s, which this file creates, is there", c.name)
		}
		other.Same = append(other.Same, c.file)
	}
	return other, err
}

// settled reports whether a history without rows is one that somebody has begun: by
// Begin, or by a run whose migrations were all taken back.
func (db *database) settled(ctx context.Context) (settled bool, err error) {
	if !db.ready && db.log() == nil {
		return false, nil
	}
	err = db.conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+db.tables.log+" WHERE action NOT IN "+settling+
		")").Scan(&settled)
	return settled, err
}

// records reads what a tool has applied. What cannot be read, for lack of a right or
// because somebody holds a lock, is not known: that is not a reason to fail.
func (db *database) records(ctx context.Context, tool foreign.Tool,
	table foreign.Table) (records []foreign.Record, read bool) {
	if !table.Readable {
		return nil, false
	}
	records, err := tool.Glance(ctx, db.conn, table, otherPatience)
	return records, err == nil
}

// recordedAs gives the pending files that a tool has as applied, by the names that it may
// have for them, and why it is the first of them.
func (s state) recordedAs(named map[string]string) (same []Ref, why string) {
	for _, m := range s.migrations {
		for _, name := range foreign.NamesOf(m.Version, m.Name, m.Path) {
			key, found := named[name]
			if !found {
				continue
			}
			if len(same) == 0 {
				why = "it has " + key + " as applied"
			}
			same = append(same, pendingRef(m))
			break
		}
	}
	return same, why
}

func pendingRef(m migration.Migration) Ref {
	return Ref{Version: m.Version, Name: m.Name, Path: m.Path, Direction: Up}
}

// creation is an object that a pending file creates.
type creation struct {
	file         Ref
	schema, name string // schema is empty where the file does not say
	isType       bool
}

// firstCreations are, of each pending file, the first thing that it creates and that must
// not be there yet. What an earlier statement may have taken away is none.
func (s state) firstCreations() (all []creation) {
	var others strings.Builder // what the statements before say that create nothing
	for _, m := range s.migrations {
		found := false
		for _, statement := range m.Up.Statements {
			if changesSearchPath(statement) {
				break // the names behind it are not those of this session
			}
			c, creates := createdBy(statement.Text)
			if creates && !found && !strings.Contains(others.String(), strings.ToLower(c.name)) {
				c.file = pendingRef(m)
				all = append(all, c)
			}
			found = found || creates
			if !strings.HasPrefix(statement.Command, "CREATE") {
				others.WriteString(strings.ToLower(statement.Text))
			}
		}
	}
	return all
}

func changesSearchPath(s migration.Statement) bool {
	changes, _ := pgsql.SettingChanges(s.Statement)
	return slices.ContainsFunc(changes, func(c pgsql.SettingChange) bool { return c.Name == "search_path" })
}

// createdBy reads what a statement creates: a relation or a type that is not temporary,
// without IF NOT EXISTS or OR REPLACE.
func createdBy(statement string) (c creation, creates bool) {
	words := pgsql.FirstWords(statement, 8)
	i := 1
	for i < len(words) && pgsql.IsAnyOf(words[i], "UNLOGGED", "FOREIGN", "MATERIALIZED") { // as a table or a view may be
		i++
	}
	if len(words) < i+2 || !pgsql.IsAnyOf(words[0], "CREATE") || pgsql.IsAnyOf(words[i+1], "IF") ||
		!pgsql.IsAnyOf(words[i], "TABLE", "VIEW", "SEQUENCE", "TYPE", "DOMAIN") {
		return c, false
	}
	c.isType = pgsql.IsAnyOf(words[i], "TYPE", "DOMAIN")
	c.name = pgsql.Identifier(words[i+1])
	if len(words) > i+3 && words[i+2] == "." {
		c.schema, c.name = c.name, pgsql.Identifier(words[i+3])
	}
	return c, true
}

// existing keeps the creations whose objects are there already.
func (db *database) existing(ctx context.Context, all []creation) (there []creation, err error) {
	var schemas, names []string
	for _, c := range all {
		schemas, names = append(schemas, c.schema), append(names, c.name)
	}
	rows, err := db.conn.Query(ctx,
		`SELECT w.number, EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relname = w.name AND c.relnamespace = n.oid),
	EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.typname = w.name AND t.typnamespace = n.oid)
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w (schema, name, number)
JOIN pg_catalog.pg_namespace n ON n.nspname = coalesce(nullif(w.schema, ''), pg_catalog.current_schema()::text) ORDER BY w.number`, schemas, names)
	if err != nil {
		return nil, err
	}
	var number int
	var isRelation, isType bool
	_, err = pgx.ForEachRow(rows, []any{&number, &isRelation, &isType}, func() error {
		if c := all[number-1]; c.isType && isType || !c.isType && isRelation {
			there = append(there, c)
		}
		return nil
	})
	return there, err
}

// String says in one line what was found and that it does not matter.
func (o OtherHistory) String() string {
	return fmt.Sprintf("%s is the history of %s, and has none of these files: left alone", o.Table, o.Tool)
}

// mention says of a run's start what other tools have in the database.
func (m *Migrator) mention(s state, plan Plan) {
	if len(plan.Migrations) == 0 {
		return
	}
	for _, o := range s.others {
		if len(o.Same) == 0 {
			m.emit(OtherHistoryFound{o})
		}
	}
}

// taken refuses to run what another tool has applied.
func (s state) taken() *Error {
	for _, o := range s.others {
		if e := o.Refusal(); e != nil {
			return e
		}
	}
	return nil
}

// Refusal is why Up runs nothing beside this history; nil where it does.
func (o OtherHistory) Refusal() *Error {
	if len(o.Same) == 0 {
		return nil
	}
	first, files := o.Same[0], "this file"
	if n := len(o.Same); n > 1 {
		files = fmt.Sprintf("%d pending files, this one first", n)
	}
	take := "take that history over with package adopt"
	if !o.usual {
		take = "take that history over with package adopt (table " + o.Table + ")"
	}
	if !o.tool.Adoptable {
		take = "adopt does not know " + o.Tool + "'s files"
	}
	return &Error{
		Code: CodeForeignHistory, Version: first.Version, Name: first.Name, Path: first.Path,
		Message: fmt.Sprintf("%s, the history of %s, seems to be that of %s: %s, and whimbrel has no history here", o.Table,
			o.Tool, files, o.Why),
		Remedy: take + ", or record what is applied with Migrator.Baseline(VERSION); " +
			"if these files have nothing to do with that table, begin a history of their own with Migrator.Begin",
	}
}
