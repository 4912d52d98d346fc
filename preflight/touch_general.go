package preflight

import "slices"

// general finds tables where they stand in any statement: behind FROM, JOIN,
// INTO, UPDATE, USING, REFERENCES and LIKE.
func (r *reading) general() {
	r.commonTables()
	// What opened each parenthesis: in extract(… FROM …) stands no table.
	var opened []string
	for i := range r.words {
		previous := r.word(i - 1)
		switch w := r.word(i); w {
		case "(":
			opened = append(opened, previous)
		case ")":
			opened = opened[:max(len(opened)-1, 0)]
		case "FROM":
			inCall := len(opened) > 0 && slices.Contains([]string{"EXTRACT", "SUBSTRING", "TRIM", "OVERLAY", "POSITION"},
				opened[len(opened)-1])
			if !inCall && previous != "DISTINCT" {
				r.from(i+1, previous == "DELETE")
			}
		case "JOIN":
			r.relation(i+1, mention{effect: Reads, needs: []need{"SELECT"}})
		case "INTO":
			r.into(i)
		case "UPDATE":
			// Not FOR UPDATE, ON UPDATE, DO UPDATE, nor a trigger's UPDATE OF.
			if !slices.Contains([]string{"FOR", "ON", "DO", "KEY", "THEN", "OR", "BEFORE", "AFTER", "OF"}, previous) &&
				r.word(0) != "CREATE" {
				r.relation(i+1, mention{effect: Rows, needs: []need{"UPDATE"}})
			}
		case "USING":
			if r.word(0) == "DELETE" || r.word(0) == "MERGE" || r.word(0) == "WITH" {
				r.from(i+1, false)
			}
		case "REFERENCES":
			if r.word(0) != "GRANT" && r.word(0) != "REVOKE" {
				r.relation(i+1, mention{effect: Brief, needs: []need{"REFERENCES"}})
			}
		case "LIKE":
			if r.word(0) == "CREATE" && (previous == "(" || previous == ",") {
				r.relation(i+1, mention{effect: Reads, needs: []need{"SELECT"}})
			}
		}
	}
}

// commonTables notes the names that a WITH makes: name [(columns)] AS [NOT
// MATERIALIZED] (.
func (r *reading) commonTables() {
	if !r.has(0, len(r.words), "WITH") {
		return
	}
	for i := range r.words {
		if r.word(i) != "AS" {
			continue
		}
		next := r.skip(i+1, "NOT", "MATERIALIZED")
		if r.word(next) != "(" {
			continue
		}
		before := i - 1
		if r.word(before) == ")" {
			for depth := 0; before >= 0; before-- {
				if r.word(before) == ")" {
					depth++
				} else if r.word(before) == "(" {
					if depth--; depth == 0 {
						before--
						break
					}
				}
			}
		}
		if before >= 0 {
			if _, name, _, ok := r.name(before); ok {
				r.common = append(r.common, name)
			}
		}
	}
}

// from notes the tables of a list behind FROM or USING.
func (r *reading) from(i int, deletes bool) {
	m := mention{effect: Reads, needs: []need{"SELECT"}}
	if deletes {
		m = mention{effect: Rows, needs: []need{"DELETE"}}
	}
	for {
		i = r.relation(i, m)
		m = mention{effect: Reads, needs: []need{"SELECT"}}
		// An alias, perhaps with columns, and then the next one.
		i = r.skip(i, "AS")
		if r.word(i) != "," {
			if _, _, next, ok := r.name(i); ok && !clause(r.word(i)) {
				i = next
			}
		}
		if r.word(i) == "(" {
			i = r.closing(i) + 1
		}
		if r.word(i) != "," {
			return
		}
		i++
	}
}

// clause reports whether a word begins the next part of a query, and so is no alias.
func clause(word string) bool {
	return slices.Contains([]string{
		"WHERE", "JOIN", "LEFT", "RIGHT", "FULL", "INNER", "CROSS", "NATURAL", "ON", "USING", "GROUP", "ORDER",
		"LIMIT", "HAVING", "WINDOW", "UNION", "EXCEPT", "INTERSECT", "FOR", "RETURNING", "SET", "OFFSET", "FETCH",
		"TABLESAMPLE", "WHEN",
	}, word)
}

// closing gives the place of the parenthesis that closes the one at i.
func (r *reading) closing(i int) int {
	depth := 0
	for ; i < len(r.words); i++ {
		switch r.word(i) {
		case "(":
			depth++
		case ")":
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return i
}

// relation notes the table at i, unless a function, a subquery or a name of WITH
// is there, and gives the place behind it.
func (r *reading) relation(i int, m mention) int {
	i = r.skip(i, "LATERAL")
	schema, name, next, ok := r.name(i)
	if !ok || clause(r.word(i)) || slices.Contains([]string{"SELECT", "VALUES", "LATERAL", "ROWS"}, r.word(i)) {
		return i
	}
	if schema == "" && slices.Contains(r.common, name) {
		return next
	}
	call := r.word(next) == "(" && m.effect == Reads
	if !call || r.word(0) == "CREATE" && r.word(i-1) == "LIKE" {
		m.schema, m.name = schema, name
		r.found = append(r.found, m)
	}
	return r.skip(next, "*")
}

// into is INSERT INTO, MERGE INTO, and the INTO of SELECT, which makes a table.
func (r *reading) into(i int) {
	switch r.word(i - 1) {
	case "INSERT":
		m := mention{effect: Rows, needs: []need{"INSERT"}}
		if at := r.find(i, "CONFLICT"); at < len(r.words) && r.has(at, len(r.words), "UPDATE") {
			m.needs = append(m.needs, "UPDATE")
		}
		r.relation(i+1, m)
	case "MERGE":
		m := mention{effect: Rows, needs: []need{"SELECT"}}
		for at := i; at < len(r.words); at++ {
			if w := r.word(at); r.word(at-1) == "THEN" && slices.Contains([]string{"INSERT", "UPDATE", "DELETE"}, w) &&
				!slices.Contains(m.needs, need(w)) {
				m.needs = append(m.needs, need(w))
			}
		}
		r.relation(i+1, m)
	default:
		if r.word(0) == "SELECT" || r.word(0) == "WITH" {
			at := r.skip(i+1, "TEMPORARY", "TEMP", "UNLOGGED", "TABLE")
			r.one(at, mention{effect: Brief, creates: true})
		}
	}
}
