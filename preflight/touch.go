package preflight

import (
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Effect is what a statement does to a table, as far as its text tells.
type Effect string

// The effects, the heavier the later.
const (
	Reads   Effect = "reads"      // reads rows, or only names the table
	Brief   Effect = "brief lock" // changes the catalog
	Rows    Effect = "rows"       // inserts, updates or deletes rows
	Scan    Effect = "scan"       // reads the whole table under a lock that stops writers or more
	Builds  Effect = "index"      // builds an index
	Rewrite Effect = "rewrite"    // rewrites the table
	Unclear Effect = "unknown"
)

// weight orders effects.
func (e Effect) weight() int {
	return slices.Index([]Effect{Reads, Brief, Rows, Unclear, Scan, Builds, Rewrite}, e)
}

// need is what the role must have for a statement.
type need string

const (
	needOwner    need = "OWNER"
	needMaintain need = "MAINTAIN"
	// The others are PostgreSQL's names of privileges: SELECT, INSERT, …
)

// mention is a name of a relation in a statement.
type mention struct {
	schema, name string // as in the catalog; schema is "" where none is written
	effect       Effect
	// atWorst is set where less may happen than the effect says.
	atWorst bool
	needs   []need
	// creates is set where the statement makes the relation.
	creates bool
	// concurrent is set where writers go on meanwhile.
	concurrent bool
}

func (m mention) String() string {
	if m.schema == "" {
		return m.name
	}
	return m.schema + "." + m.name
}

// mentions finds the relations that a statement names. Opaque says why there may
// be more than that: a function or a DO block whose doings its text does not tell.
//
// It reads tokens, not grammar: a name that it takes for a table's and that is
// none does no harm, since only names that the catalog knows count.
func mentions(s migration.Statement) (found []mention, opaque string) {
	words := significant(s.Text)
	r := reading{words: words}
	first, second := r.word(0), r.word(1)
	switch first {
	case "ALTER":
		r.alter()
	case "CREATE":
		r.create()
	case "DROP":
		r.drop()
	case "INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "SELECT", "VALUES", "TABLE", "EXPLAIN":
		// The general reading below finds what they name.
	case "TRUNCATE":
		r.list(r.skip(1, "TABLE"), mention{effect: Brief, needs: []need{"TRUNCATE"}})
	case "COPY":
		r.copy()
	case "LOCK":
		r.list(r.skip(1, "TABLE"), mention{effect: Brief, needs: []need{"SELECT"}})
	case "VACUUM", "ANALYZE", "ANALYSE", "CLUSTER", "REINDEX":
		r.maintain(first)
	case "REFRESH":
		at := r.skip(1, "MATERIALIZED", "VIEW")
		concurrent := r.word(at) == "CONCURRENTLY"
		r.one(r.skip(at, "CONCURRENTLY"), mention{effect: Rewrite, needs: []need{needMaintain}, concurrent: concurrent})
	case "COMMENT", "SECURITY":
		r.comment()
	case "GRANT", "REVOKE":
		r.grant()
	case "DO", "CALL", "EXECUTE":
		opaque = "what " + strings.TrimSpace(first+" "+opaqueObject(first, second)) + " does"
	}
	r.general()
	if s.Batch != nil {
		for i := range r.found {
			if r.found[i].effect == Rows {
				r.found[i].concurrent = true
			}
		}
	}
	return merge(r.found), opaque
}

func opaqueObject(first, second string) string {
	if first == "DO" {
		return "…"
	}
	return strings.ToLower(second)
}

// merge leaves one mention of each name: the heaviest, with all that it needs.
func merge(found []mention) []mention {
	var out []mention
	for _, m := range found {
		i := slices.IndexFunc(out, func(o mention) bool { return o.schema == m.schema && o.name == m.name })
		if i < 0 {
			out = append(out, m)
			continue
		}
		for _, n := range m.needs {
			if !slices.Contains(out[i].needs, n) {
				out[i].needs = append(out[i].needs, n)
			}
		}
		out[i].creates = out[i].creates || m.creates
		if m.effect.weight() > out[i].effect.weight() {
			out[i].effect, out[i].atWorst, out[i].concurrent = m.effect, m.atWorst, m.concurrent
		}
	}
	return out
}

// reading is a statement's significant tokens and what was found in them.
type reading struct {
	words []pgsql.Token
	found []mention
	// common are the names of WITH: tables of the statement's own.
	common []string
}

// significant are the tokens that are neither white space nor comment.
func significant(text string) []pgsql.Token {
	var out []pgsql.Token
	for token := range pgsql.Tokens(text) {
		if token.Kind > pgsql.BlockComment {
			out = append(out, token)
		}
	}
	return out
}

// word is the token at i in upper case, if it is a word or punctuation; else "".
func (r *reading) word(i int) string {
	if i < 0 || i >= len(r.words) {
		return ""
	}
	if k := r.words[i].Kind; k != pgsql.Word && k != pgsql.Punctuation {
		return ""
	}
	return strings.ToUpper(r.words[i].Text)
}

// skip steps over words that may or may not be there, in that order.
func (r *reading) skip(i int, words ...string) int {
	for _, w := range words {
		if r.word(i) == w {
			i++
		}
	}
	return i
}

// find gives the place of the first such word outside parentheses from i on, or
// the end.
func (r *reading) find(i int, words ...string) int {
	depth := 0
	for ; i < len(r.words); i++ {
		switch w := r.word(i); {
		case w == "(":
			depth++
		case w == ")":
			depth--
		case depth == 0 && slices.Contains(words, w):
			return i
		}
	}
	return i
}

// has reports whether a word stands anywhere between two places.
func (r *reading) has(from, to int, word string) bool {
	for i := from; i < to; i++ {
		if r.word(i) == word {
			return true
		}
	}
	return false
}

// name reads a name with its schema at i; ok is not set where none is there.
func (r *reading) name(i int) (schema, name string, next int, ok bool) {
	i = r.skip(i, "ONLY")
	var parts []string
	for {
		if i >= len(r.words) || r.words[i].Kind != pgsql.Word && r.words[i].Kind != pgsql.QuotedIdentifier {
			return "", "", i, false
		}
		parts = append(parts, pgsql.Identifier(r.words[i].Text))
		i++
		if r.word(i) != "." {
			break
		}
		i++
	}
	if len(parts) > 1 {
		schema = parts[len(parts)-2]
	}
	return schema, parts[len(parts)-1], i, true
}

// one notes the name at i, and gives the place behind it.
func (r *reading) one(i int, m mention) int {
	schema, name, next, ok := r.name(i)
	if !ok {
		return next
	}
	m.schema, m.name = schema, name
	r.found = append(r.found, m)
	return r.skip(next, "*")
}

// list notes names with commas between them.
func (r *reading) list(i int, m mention) {
	for {
		next := r.one(i, m)
		if next == i || r.word(next) != "," {
			return
		}
		i = next + 1
	}
}
