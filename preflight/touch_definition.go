package preflight

import (
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

var owner = []need{needOwner}

// alter reads ALTER of tables and of what belongs to them.
func (r *reading) alter() {
	switch kind := r.word(1); kind {
	case "TABLE", "FOREIGN", "MATERIALIZED", "VIEW", "INDEX", "SEQUENCE":
		at := r.skip(2, "TABLE", "VIEW")
		if r.word(at) == "ALL" {
			return // IN TABLESPACE
		}
		at = r.skip(at, "IF", "EXISTS")
		schema, name, next, ok := r.name(at)
		if !ok {
			return
		}
		next = r.skip(next, "*")
		m := mention{schema: schema, name: name, effect: Brief, needs: owner}
		if kind == "TABLE" {
			r.actions(next, m)
			return
		}
		r.found = append(r.found, m)
	case "POLICY", "TRIGGER", "RULE":
		r.one(r.find(2, "ON")+1, mention{effect: Brief, needs: owner})
	}
}

// actions reads the actions of ALTER TABLE, with commas between them.
func (r *reading) actions(from int, table mention) {
	for from < len(r.words) {
		to := r.find(from, ",")
		m := table
		m.effect, m.atWorst = r.action(from, to)
		r.found = append(r.found, m)
		from = to + 1
	}
}

// action says what one action does to the table. See the notes of ALTER TABLE in
// PostgreSQL's documentation.
func (r *reading) action(from, to int) (e Effect, atWorst bool) {
	first, second := r.word(from), r.word(from+1)
	switch {
	case first == "ADD" && r.constraint(from) && r.has(from, to, "VALID"): // NOT VALID
		return Brief, false
	case first == "ADD" && r.constraint(from) && r.has(from, to, "USING") && r.has(from, to, "INDEX"):
		return Brief, false
	case first == "ADD" && r.constraint(from):
		if r.has(from, to, "UNIQUE") || r.has(from, to, "PRIMARY") || r.has(from, to, "EXCLUDE") {
			return Builds, false
		}
		return Scan, r.has(from, to, "REFERENCES")
	case first == "ADD":
		return r.newColumn(from, to)
	case first == "VALIDATE":
		return Scan, false
	case first == "ALTER" && r.has(from, to, "TYPE"):
		return Rewrite, true
	case first == "ALTER" && r.has(from, to, "NULL") && r.has(from, to, "SET"):
		return Scan, true
	case first == "SET" && slices.Contains([]string{"TABLESPACE", "LOGGED", "UNLOGGED", "ACCESS"}, second):
		return Rewrite, false
	case first == "ATTACH":
		r.one(r.skip(from+1, "PARTITION"), mention{effect: Scan, atWorst: true, needs: owner})
		return Brief, false
	case first == "DETACH":
		r.one(r.skip(from+1, "PARTITION"), mention{effect: Brief, needs: owner})
		return Brief, false
	case first == "INHERIT":
		r.one(from+1, mention{effect: Brief, needs: owner})
		return Brief, false
	}
	return Brief, false
}

// constraint reports whether an ADD adds a constraint and not a column.
func (r *reading) constraint(from int) bool {
	switch r.word(from + 1) {
	case "CONSTRAINT", "CHECK", "FOREIGN", "UNIQUE", "PRIMARY", "EXCLUDE":
		return true
	}
	return false
}

// newColumn says what ADD COLUMN does: nothing to the rows, unless every one of
// them needs a value of its own.
func (r *reading) newColumn(from, to int) (e Effect, atWorst bool) {
	for i := from; i < to; i++ {
		switch r.word(i) {
		case "STORED", "IDENTITY", "SERIAL", "BIGSERIAL", "SMALLSERIAL":
			return Rewrite, false
		case "UNIQUE", "PRIMARY":
			return Builds, false
		case "CHECK":
			return Scan, true
		}
	}
	at := r.find(from, "DEFAULT")
	if at >= to {
		return Brief, false
	}
	if r.has(at, to, "(") && r.word(at+1) != "NOW" && !r.constant(at+1) {
		return Rewrite, true // the function may be volatile
	}
	return Brief, false
}

// constant reports whether a constant is at i, of whatever type.
func (r *reading) constant(i int) bool {
	return i < len(r.words) && (r.words[i].Kind == pgsql.String || r.words[i].Kind == pgsql.Number)
}

// create reads CREATE of tables and of what belongs to them.
func (r *reading) create() {
	at := r.skip(1, "OR", "REPLACE")
	at = r.skip(at, "GLOBAL", "LOCAL")
	temporary := r.word(at) == "TEMP" || r.word(at) == "TEMPORARY"
	at = r.skip(at, "TEMPORARY", "TEMP", "UNLOGGED", "FOREIGN", "RECURSIVE", "CONSTRAINT", "EVENT")
	switch r.word(at) {
	case "TABLE":
		r.createTable(r.skip(at+1, "IF", "NOT", "EXISTS"), temporary)
	case "UNIQUE", "INDEX":
		r.createIndex(r.skip(at, "UNIQUE", "INDEX"))
	case "VIEW", "SEQUENCE", "MATERIALIZED":
		if !temporary {
			r.one(r.skip(at+1, "VIEW", "IF", "NOT", "EXISTS"), mention{effect: Brief, creates: true})
		}
	case "TRIGGER":
		if r.word(1) != "EVENT" {
			r.one(r.find(at, "ON")+1, mention{effect: Brief, needs: []need{"TRIGGER"}})
		}
	case "POLICY":
		r.one(r.find(at, "ON")+1, mention{effect: Brief, needs: owner})
	case "RULE":
		r.one(r.find(at, "TO")+1, mention{effect: Brief, needs: owner})
	case "STATISTICS":
		r.one(r.find(at, "FROM")+1, mention{effect: Brief, needs: owner})
	}
}

func (r *reading) createTable(at int, temporary bool) {
	schema, name, next, ok := r.name(at)
	if !ok || temporary {
		return
	}
	r.found = append(r.found, mention{schema: schema, name: name, effect: Brief, creates: true})
	if r.word(next) == "PARTITION" && r.word(next+1) == "OF" {
		r.one(next+2, mention{effect: Brief, needs: owner})
	}
	if i := r.find(next, "INHERITS"); r.word(i+1) == "(" {
		r.list(i+2, mention{effect: Brief, needs: owner})
	}
}

// createIndex reads what is behind CREATE [UNIQUE] INDEX.
func (r *reading) createIndex(at int) {
	concurrent := r.word(at) == "CONCURRENTLY"
	on := r.find(at, "ON")
	r.one(on+1, mention{effect: Builds, needs: owner, concurrent: concurrent})
}

// drop reads DROP of tables and of what belongs to them.
func (r *reading) drop() {
	switch r.word(1) {
	case "TABLE", "VIEW", "INDEX", "SEQUENCE", "MATERIALIZED", "FOREIGN":
		at := r.skip(2, "VIEW", "TABLE")
		concurrent := r.word(at) == "CONCURRENTLY"
		at = r.skip(at, "CONCURRENTLY", "IF", "EXISTS")
		r.list(at, mention{effect: Brief, needs: owner, concurrent: concurrent})
	case "TRIGGER", "POLICY", "RULE":
		r.one(r.find(2, "ON")+1, mention{effect: Brief, needs: owner})
	}
}

// copy reads COPY table FROM and COPY table TO.
func (r *reading) copy() {
	if r.word(1) == "(" {
		return // a query, which is read as one
	}
	m := mention{effect: Reads, needs: []need{"SELECT"}}
	if r.find(1, "FROM") < len(r.words) {
		m = mention{effect: Rows, needs: []need{"INSERT"}}
	}
	r.one(1, m)
}

// maintain reads VACUUM, ANALYZE, CLUSTER and REINDEX.
func (r *reading) maintain(command string) {
	at, options := 1, 1
	if r.word(at) == "(" {
		at = r.closing(at) + 1
	}
	for slices.Contains([]string{"FULL", "FREEZE", "VERBOSE", "ANALYZE", "ANALYSE", "TABLE", "INDEX", "CONCURRENTLY"},
		r.word(at)) {
		at++
	}
	if w := r.word(at); w == "SCHEMA" || w == "DATABASE" || w == "SYSTEM" {
		return
	}
	m := mention{effect: Scan, needs: []need{needMaintain}, concurrent: true}
	switch {
	case command == "CLUSTER", r.has(options, at, "FULL"):
		m.effect, m.concurrent = Rewrite, false
	case command == "REINDEX":
		m.effect, m.concurrent = Builds, r.has(options, at, "CONCURRENTLY")
	}
	if command == "CLUSTER" {
		r.one(at, m)
		return
	}
	for {
		next := r.one(at, m)
		if r.word(next) == "(" {
			next = r.closing(next) + 1
		}
		if next == at || r.word(next) != "," {
			return
		}
		at = next + 1
	}
}

// comment reads COMMENT ON and SECURITY LABEL … ON.
func (r *reading) comment() {
	on := r.find(1, "ON")
	m := mention{effect: Brief, needs: owner}
	switch r.word(on + 1) {
	case "TABLE", "VIEW", "INDEX", "SEQUENCE":
		r.one(on+2, m)
	case "COLUMN":
		// The last part is the column's name.
		var parts []string
		for i := on + 2; i < len(r.words) && r.word(i) != "IS"; i++ {
			if r.word(i) != "." {
				parts = append(parts, pgsql.Identifier(r.words[i].Text))
			}
		}
		if len(parts) > 1 {
			m.name = parts[len(parts)-2]
			if len(parts) > 2 {
				m.schema = parts[len(parts)-3]
			}
			r.found = append(r.found, m)
		}
	case "CONSTRAINT", "TRIGGER", "POLICY", "RULE":
		r.one(r.find(on+2, "ON")+1, m)
	}
}

// grant reads GRANT and REVOKE on tables. Who may hand on which right is beyond
// what can be seen from here, so nothing is asked of the role.
func (r *reading) grant() {
	on := r.find(1, "ON")
	if on >= len(r.words) {
		return // membership in a role
	}
	kinds := []string{"SCHEMA", "DATABASE", "FUNCTION", "PROCEDURE", "ROUTINE", "TYPE", "DOMAIN", "LANGUAGE", "ALL",
		"FOREIGN", "LARGE", "TABLESPACE", "PARAMETER"}
	if slices.Contains(kinds, r.word(on+1)) {
		return
	}
	r.list(r.skip(on+1, "TABLE", "SEQUENCE"), mention{effect: Brief})
}

// commandIs reports whether a statement's command begins with some words.
func commandIs(command string, beginnings ...string) bool {
	return slices.ContainsFunc(beginnings, func(b string) bool {
		return command == b || strings.HasPrefix(command,
			b+" ")
	})
}
