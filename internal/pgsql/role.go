package pgsql

import (
	"slices"
	"strings"
)

// RoleName is where a text names a role.
type RoleName struct {
	Name   string // as the catalog has it
	Offset int    // in bytes, from 0
}

// RoleNames are the roles that a text names.
type RoleNames struct {
	// Needed must exist when the text runs: GRANT, REVOKE, OWNER TO, POLICY … TO, ALTER
	// DEFAULT PRIVILEGES FOR, SET ROLE, AUTHORIZATION and similar name them.
	Needed []RoleName
	// Created are those of CREATE ROLE, USER and GROUP, and what one is renamed to.
	Created []RoleName
	// Computed is set where a role is created whose name the text does not have.
	Computed bool
}

// Roles reads which roles a text of SQL names, in the bodies of functions and DO blocks
// as well, and in what these EXECUTE as far as it is written out.
func Roles(text string) RoleNames {
	r := roleReader{}
	r.read(text, 0, false)
	return r.found
}

// roleReader goes through a text token by token, without spaces and comments.
type roleReader struct {
	found  RoleNames
	tokens []Token
	at     int
	base   int // the offset of the text in the whole
	depth  int // in how many quotations
}

// deepest is how many quotations within each other are read.
const deepest = 8

// read reads a text that begins at an offset of the whole. Of the text of an EXECUTE the
// end may be missing, because it is computed.
func (r *roleReader) read(text string, base int, executed bool) {
	inner := roleReader{base: base, depth: r.depth + 1}
	if inner.depth > deepest {
		return
	}
	for token := range Tokens(text) {
		if !token.isSpace() {
			inner.tokens = append(inner.tokens, token)
		}
	}
	inner.all(executed)
	r.found.Needed = append(r.found.Needed, inner.found.Needed...)
	r.found.Created = append(r.found.Created, inner.found.Created...)
	r.found.Computed = r.found.Computed || inner.found.Computed
}

// bodyWords are those behind which a statement begins in a body.
var bodyWords = []string{"BEGIN", "THEN", "ELSE", "LOOP"}

func (r *roleReader) all(executed bool) {
	begins, executes := true, false
	for r.at < len(r.tokens) {
		token := r.tokens[r.at]
		switch {
		case token.Kind == DollarString:
			tag := len(dollarTag(token.Text))
			r.read(token.Text[tag:max(tag, len(token.Text)-tag)], r.base+token.Offset+tag, executed || executes)
		case token.Kind == String && executes:
			open := strings.IndexByte(token.Text, '\'') + 1
			r.read(strings.TrimSuffix(token.Text[open:], "'"), r.base+token.Offset+open, true)
		case begins && r.statement(executed):
			begins = false
			continue
		case token.is("OWNER") && r.next(1).is("TO") && !slices.ContainsFunc(renames, r.previous().is):
			r.at += 2
			r.role()
			continue
		}
		executes = token.is("EXECUTE") || executes && !token.is(";")
		begins = token.is(";") || slices.ContainsFunc(bodyWords, token.is)
		r.at++
	}
}

// renames are words behind which owner is the name of something that gets another one.
var renames = []string{"RENAME", "COLUMN", "CONSTRAINT", "ATTRIBUTE"}

// previous is the token before this one; the zero token at the start.
func (r *roleReader) previous() Token {
	if r.at == 0 {
		return Token{}
	}
	return r.tokens[r.at-1]
}

// next is the token so many places on; the zero token behind the end.
func (r *roleReader) next(n int) Token {
	if r.at+n < len(r.tokens) {
		return r.tokens[r.at+n]
	}
	return Token{}
}

// accept passes these words, if all of them come next.
func (r *roleReader) accept(words ...string) bool {
	for i, word := range words {
		if !r.next(i).is(word) {
			return false
		}
	}
	r.at += len(words)
	return true
}

// skipTo goes to one of these words outside of parentheses, and says whether it comes
// before the statement ends.
func (r *roleReader) skipTo(words ...string) bool {
	depth := 0
	for ; r.at < len(r.tokens); r.at++ {
		token := r.tokens[r.at]
		depth += token.nests()
		switch {
		case depth == 0 && slices.ContainsFunc(words, token.is):
			return true
		case depth <= 0 && token.is(";"):
			return false
		}
	}
	return false
}

// statement reads one that begins here, up to where anything may follow that the walk
// through the tokens reads by itself. False: it names no role that way.
func (r *roleReader) statement(executed bool) bool {
	switch {
	case r.accept("GRANT"), r.accept("REVOKE"):
		r.privileges()
	case r.accept("ALTER", "DEFAULT", "PRIVILEGES"):
		if r.accept("FOR", "ROLE") || r.accept("FOR", "USER") {
			r.list()
		}
		if r.skipTo("GRANT", "REVOKE") {
			r.at++
			r.privileges()
		}
	case r.accept("CREATE", "POLICY"), r.accept("ALTER", "POLICY"):
		if r.skipTo("TO", "RENAME") && r.accept("TO") {
			r.list()
		}
	case r.accept("CREATE", "SCHEMA"):
		if r.skipTo("AUTHORIZATION", "GRANT", "CREATE") && r.accept("AUTHORIZATION") {
			r.role()
		}
	case r.accept("REASSIGN", "OWNED", "BY"):
		if r.list(); r.accept("TO") {
			r.role()
		}
	case r.accept("DROP", "OWNED", "BY"):
		r.list()
	case r.accept("COMMENT", "ON", "ROLE"):
		r.role()
	case r.accept("SET"):
		r.set()
	default:
		return r.account(executed)
	}
	return true
}

// privileges reads what is behind GRANT and REVOKE. What has no ON grants roles.
func (r *roleReader) privileges() {
	from := r.at
	if !r.skipTo("ON", "TO", "FROM") {
		return
	}
	if r.next(0).is("ON") {
		r.skipTo("TO", "FROM")
	} else {
		until := r.at
		r.at = from
		if r.skipTo("FOR") && r.at < until { // ADMIN OPTION FOR
			from = r.at + 1
		}
		r.at = from
		r.list()
		r.skipTo("TO", "FROM")
	}
	r.at++
	r.list()
	if r.skipTo("GRANTED") && r.accept("GRANTED", "BY") {
		r.role()
	}
}

// set reads SET ROLE and SET SESSION AUTHORIZATION, which may be of the transaction.
func (r *roleReader) set() {
	if !r.accept("LOCAL") && !r.next(1).is("AUTHORIZATION") {
		r.accept("SESSION")
	}
	if !r.accept("ROLE") && !r.accept("SESSION", "AUTHORIZATION") {
		return
	}
	if r.next(0).is("TO") || r.next(0).Text == "=" {
		r.at++
	}
	if value := r.next(0); value.Kind == String {
		name := strings.ReplaceAll(strings.Trim(value.Text, "'"), "''", "'")
		r.need(name, value.Offset)
		return
	}
	r.role()
}

// account reads statements about roles themselves.
func (r *roleReader) account(executed bool) bool {
	verb := r.next(0)
	mapping := r.next(1).is("USER") && r.next(2).is("MAPPING")
	isRole := slices.ContainsFunc([]string{"ROLE", "USER", "GROUP"}, r.next(1).is)
	switch {
	case !isRole || !slices.ContainsFunc([]string{"CREATE", "ALTER", "DROP"}, verb.is):
		return false
	case mapping:
		if r.at += 3; r.skipTo("FOR") {
			r.at++
			r.role()
		}
		return true
	}
	r.at += 2
	switch {
	case verb.is("CREATE"):
		if !r.create() {
			r.found.Computed = r.found.Computed || executed
		}
		for r.skipTo("ROLE", "ADMIN", "USER", "GROUP") { // IN ROLE is one of them
			r.at++
			r.list()
		}
	case verb.is("DROP"):
		if !r.accept("IF", "EXISTS") {
			r.list()
		}
	case !r.accept("ALL"):
		r.role()
		switch {
		case r.accept("RENAME", "TO"):
			r.create()
		case r.accept("ADD", "USER"), r.accept("DROP", "USER"):
			r.list()
		}
	}
	return true
}

func (r *roleReader) create() bool {
	token := r.next(0)
	if token.Kind != Word && token.Kind != QuotedIdentifier {
		return false
	}
	r.at++
	r.found.Created = append(r.found.Created, RoleName{Identifier(token.Text), r.base + token.Offset})
	return true
}

// noRoles are the words that stand for roles and name none.
var noRoles = []string{"PUBLIC", "CURRENT_USER", "CURRENT_ROLE", "SESSION_USER", "USER", "NONE", "DEFAULT"}

// list reads names with commas between them.
func (r *roleReader) list() {
	for r.role() && r.accept(",") {
	}
}

// role reads a name.
func (r *roleReader) role() bool {
	if r.next(0).is("GROUP") && (r.next(1).Kind == Word || r.next(1).Kind == QuotedIdentifier) {
		r.at++ // as GRANT may have it
	}
	token := r.next(0)
	if token.Kind != Word && token.Kind != QuotedIdentifier {
		return false
	}
	r.at++
	if !slices.ContainsFunc(noRoles, token.is) {
		r.need(Identifier(token.Text), token.Offset)
	}
	return true
}

// need notes a role. PostgreSQL has those whose names begin with pg_.
func (r *roleReader) need(name string, offset int) {
	if name != "" && !strings.HasPrefix(name, "pg_") && !strings.EqualFold(name, "none") {
		r.found.Needed = append(r.found.Needed, RoleName{name, r.base + offset})
	}
}
