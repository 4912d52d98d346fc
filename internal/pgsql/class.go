package pgsql

import (
	"strings"
	"sync"
)

// commands is the table of PostgreSQL's commands, as of version 19. Where
// several lines fit a statement, the one with the most words decides; words
// that are in no line belong to no command.
//
// What PostgreSQL refuses in a transaction block is said in the Notes of each
// command's page in its documentation.
var commands = sync.OnceValue(func() *command {
	root := &command{}
	for _, c := range []struct {
		class   Class
		pattern string
		decide  decision
	}{
		{TransactionControl, "BEGIN|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE", nil},
		{TransactionControl, "START TRANSACTION", nil},
		{TransactionControl, "COMMIT|ROLLBACK PREPARED", nil},
		{TransactionControl, "ROLLBACK TO", nil},
		{Other, "PREPARE", nil},
		{TransactionControl, "PREPARE TRANSACTION", prepareTransaction},

		{Setting, "SET [LOCAL|SESSION] [ROLE]", nil},
		{Setting, "SET [LOCAL|SESSION] SESSION AUTHORIZATION", nil},
		{Setting, "SET CONSTRAINTS", nil},
		{TransactionControl, "SET [LOCAL|SESSION] TRANSACTION", nil},
		{TransactionControl, "SET SESSION CHARACTERISTICS", nil},
		{Setting, "RESET|DISCARD", nil},
		{Alone, "DISCARD ALL", nil},

		{Query, "SELECT", selectInto},
		{Query, "VALUES|TABLE|SHOW|EXPLAIN|FETCH", nil},
		{Query, "WITH", commonTables},
		{Change, "INSERT|UPDATE|DELETE|MERGE|TRUNCATE", nil},
		{Change, "COPY", copyDirection},

		{Definition, "COMMENT|GRANT|REVOKE", nil},
		{Definition, "SECURITY LABEL", nil},
		{Definition, "IMPORT FOREIGN SCHEMA", nil},
		{Definition, "REASSIGN OWNED", nil},
		{Definition, "REFRESH MATERIALIZED VIEW [CONCURRENTLY]", nil},

		{Definition, "REINDEX", reindexOptions},
		{Definition, "REINDEX INDEX|TABLE", nil},
		{Alone, "REINDEX INDEX|TABLE CONCURRENTLY", nil},
		{Alone, "REINDEX SCHEMA|DATABASE|SYSTEM [CONCURRENTLY]", nil},

		{Definition, "CREATE [OR REPLACE] AGGREGATE|FUNCTION|PROCEDURE|RULE|TRANSFORM|TRIGGER", nil},
		{Definition, "CREATE [OR REPLACE] CONSTRAINT TRIGGER", nil},
		{Definition, "CREATE [OR REPLACE] [TRUSTED] [PROCEDURAL] LANGUAGE", nil},
		{Definition, "CREATE [OR REPLACE] [TEMP|TEMPORARY] [RECURSIVE] VIEW", nil},
		{Definition, "CREATE [GLOBAL|LOCAL] [TEMP|TEMPORARY|UNLOGGED] TABLE|SEQUENCE", nil},
		{Definition, "CREATE [UNLOGGED] MATERIALIZED VIEW", nil},
		{Definition, "CREATE [DEFAULT] CONVERSION", nil},
		{Definition, "CREATE [UNIQUE] INDEX", nil},
		{Alone, "CREATE [UNIQUE] INDEX CONCURRENTLY", nil},

		{Definition, "ALTER|DROP AGGREGATE|CONVERSION|FUNCTION|INDEX|PROCEDURE|ROUTINE|RULE", nil},
		{Definition, "ALTER|DROP SEQUENCE|TABLE|TRANSFORM|TRIGGER|VIEW", nil},
		{Definition, "ALTER|DROP [PROCEDURAL] LANGUAGE", nil},
		{Definition, "ALTER|DROP MATERIALIZED VIEW", nil},
		{Definition, "ALTER TABLE", detachPartition},
		{Definition, "ALTER DEFAULT PRIVILEGES", nil},
		{Definition, "ALTER LARGE OBJECT", nil},
		{Definition, "DROP OWNED", nil},
		{Alone, "DROP INDEX CONCURRENTLY", nil},

		{Definition, "CREATE|ALTER|DROP CAST|COLLATION|DOMAIN|EXTENSION|GROUP|POLICY", nil},
		{Definition, "CREATE|ALTER|DROP PUBLICATION|ROLE|SCHEMA|SERVER|STATISTICS|TYPE", nil},
		{Definition, "CREATE|ALTER|DROP ACCESS METHOD", nil},
		{Definition, "CREATE|ALTER|DROP EVENT TRIGGER", nil},
		{Definition, "CREATE|ALTER|DROP FOREIGN TABLE", nil},
		{Definition, "CREATE|ALTER|DROP FOREIGN DATA WRAPPER", nil},
		{Definition, "CREATE|ALTER|DROP OPERATOR [CLASS|FAMILY]", nil},
		{Definition, "CREATE|ALTER|DROP PROPERTY GRAPH", nil},
		{Definition, "CREATE|ALTER|DROP TEXT SEARCH CONFIGURATION|DICTIONARY|PARSER|TEMPLATE", nil},
		{Definition, "CREATE|ALTER|DROP USER [MAPPING]", nil},

		{Alone, "CREATE|DROP DATABASE|TABLESPACE", nil},
		{Definition, "ALTER TABLESPACE", nil},
		{Definition, "ALTER DATABASE", setTablespace},
		{Alone, "ALTER SYSTEM", nil},
		{Alone, "CREATE SUBSCRIPTION", createSubscription},
		{Definition, "ALTER SUBSCRIPTION", alterSubscription},
		{Alone, "DROP SUBSCRIPTION", nil},

		{Alone, "VACUUM", nil},
		{Other, "CLUSTER|REPACK", wholeDatabase},
		{Other, "ANALYSE|ANALYZE|CALL|CHECKPOINT|CLOSE|DEALLOCATE|DECLARE|DO|EXECUTE", nil},
		{Other, "LISTEN|LOAD|LOCK|MOVE|NOTIFY|UNLISTEN|WAIT", nil},
	} {
		for _, end := range grow([]*command{root}, c.pattern) {
			end.class, end.decide = c.class, c.decide
		}
	}
	// A CREATE, ALTER or DROP of something newer than this table.
	for _, verb := range []string{"CREATE", "ALTER", "DROP", "SECURITY", "IMPORT", "REASSIGN", "REFRESH"} {
		root.next[verb].setDefault(Definition)
	}
	return root
})

// String gives the name of the class in words.
func (c Class) String() string {
	names := [...]string{"other", "transaction control", "alone", "definition", "change", "query", "setting", "mark"}
	if int(c) < len(names) {
		return names[c]
	}
	return "unknown"
}

// classify gives class and command of the statement that a scanner is about
// to read and that ends with the scanner's text.
func classify(scan scanner) (Class, string) {
	words := newReader(scan)
	inParentheses := words.token.is("(")
	for words.token.is("(") {
		words.advance()
	}
	root := commands()
	c := root.follow(&words)
	switch {
	case c != root && c.decide != nil:
		rest := words // a copy, so that only these statements allocate a reader
		return c.decide(c, &rest)
	case c != root:
		return c.class, c.name
	case inParentheses:
		return Query, ""
	case words.token.Kind == Word:
		return Other, strings.ToUpper(words.token.Text)
	}
	return Other, ""
}

// command is a node of the tree of commands: a path of words from its root.
type command struct {
	name   string // the words that lead here
	class  Class
	decide decision // where the class depends on what follows
	next   map[string]*command
}

// decision gives the class and name of a statement whose leading words are
// those of c; words stands behind them.
type decision func(c *command, words *reader) (Class, string)

// longestKeyword bounds the words that are looked up.
const longestKeyword = 20

// child returns the command that a further word leads to, or nil.
func (c *command) child(token Token) *command {
	if token.Kind != Word || len(token.Text) > longestKeyword {
		return nil
	}
	var upper [longestKeyword]byte
	for i := range len(token.Text) {
		upper[i] = token.Text[i]
		if upper[i] >= 'a' && upper[i] <= 'z' {
			upper[i] -= 'a' - 'A'
		}
	}
	return c.next[string(upper[:len(token.Text)])]
}

// follow goes as far as the words lead.
func (c *command) follow(words *reader) *command {
	for {
		next := c.child(words.token)
		if next == nil {
			return c
		}
		c = next
		words.advance()
	}
}

// grow adds the paths of a pattern behind each of the commands and returns
// their ends: "A|B" is either word, "[A B]" may be missing.
func grow(from []*command, pattern string) []*command {
	for pattern != "" {
		if inner, ok := strings.CutPrefix(pattern, "["); ok {
			inner, rest, _ := strings.Cut(inner, "]")
			from = append(from, grow(from, inner)...)
			pattern = strings.TrimPrefix(rest, " ")
			continue
		}
		var words string
		words, pattern, _ = strings.Cut(pattern, " ")
		var ends []*command
		for _, c := range from {
			for word := range strings.SplitSeq(words, "|") {
				ends = append(ends, c.add(word))
			}
		}
		from = ends
	}
	return from
}

// add returns the command one word on, which it makes if need be. It has the
// class of the command before it until it gets its own.
func (c *command) add(word string) *command {
	if next, ok := c.next[word]; ok {
		return next
	}
	if c.next == nil {
		c.next = map[string]*command{}
	}
	next := &command{name: strings.TrimPrefix(c.name+" "+word, " "), class: c.class}
	c.next[word] = next
	return next
}

// setDefault gives a class to all that got none.
func (c *command) setDefault(class Class) {
	if c.class == Other && c.decide == nil {
		c.class = class
	}
	for _, next := range c.next {
		next.setDefault(class)
	}
}

// PREPARE TRANSACTION 'name' prepares a commit, PREPARE transaction AS … a
// statement with an unlucky name.
func prepareTransaction(c *command, words *reader) (Class, string) {
	if words.token.Kind == Word || words.token.is("(") {
		return Other, "PREPARE"
	}
	return c.class, c.name
}

// SELECT … INTO makes a table.
func selectInto(c *command, words *reader) (Class, string) {
	depth := 0
	var previous Token
	for words.more() {
		if depth += words.token.nests(); depth <= 0 && words.token.is("INTO") && !previous.is(".") {
			return Definition, c.name
		}
		previous = words.token
		words.advance()
	}
	return c.class, c.name
}

// WITH is as its main verb is, unless one of its tables changes rows.
func commonTables(c *command, words *reader) (Class, string) {
	depth := 0
	var before, previous Token
	for words.more() {
		token := words.token
		depth += token.nests()
		// A verb begins a table in parentheses or follows the last table;
		// behind WITH, RECURSIVE and commas stand the tables' names.
		beginsTable := previous.is("(") && (before.is("AS") || before.is("MATERIALIZED"))
		beginsMain := depth == 0 && before.Text != "" && !previous.is(",") && !previous.is("RECURSIVE")
		if beginsTable || beginsMain {
			switch {
			case token.is("INSERT"), token.is("UPDATE"), token.is("DELETE"), token.is("MERGE"):
				return Change, c.name
			case beginsMain && token.is("SELECT"):
				words.advance()
				return selectInto(c, words)
			case beginsMain && (token.is("VALUES") || token.is("TABLE")):
				return Query, c.name
			}
		}
		before, previous = previous, token
		words.advance()
	}
	return c.class, c.name
}

// COPY … FROM changes a table, COPY … TO reads.
func copyDirection(c *command, words *reader) (Class, string) {
	depth := 0
	var previous Token
	for words.more() {
		depth += words.token.nests()
		if depth == 0 && !previous.is(".") {
			switch {
			case words.token.is("FROM"):
				return Change, c.name
			case words.token.is("TO"):
				return Query, c.name
			}
		}
		previous = words.token
		words.advance()
	}
	return c.class, c.name
}

// REINDEX (CONCURRENTLY) TABLE is REINDEX TABLE CONCURRENTLY.
func reindexOptions(c *command, words *reader) (Class, string) {
	concurrently := words.options()["concurrently"]
	c = c.follow(words)
	if next := c.next["CONCURRENTLY"]; concurrently && next != nil {
		c = next
	}
	return c.class, c.name
}

// ALTER TABLE … DETACH PARTITION … CONCURRENTLY uses two transactions.
func detachPartition(c *command, words *reader) (Class, string) {
	if words.accept("IF") {
		words.accept("EXISTS")
	}
	words.accept("ONLY")
	words.skipName()
	if words.token.Text == "*" {
		words.advance()
	}
	if words.accept("DETACH") && words.accept("PARTITION") {
		words.skipName()
		if words.accept("CONCURRENTLY") {
			return Alone, c.name
		}
	}
	return c.class, c.name
}

// ALTER DATABASE … SET TABLESPACE moves files.
func setTablespace(c *command, words *reader) (Class, string) {
	words.skipName()
	if words.accept("SET") && words.accept("TABLESPACE") {
		return Alone, c.name
	}
	return c.class, c.name
}

// CREATE SUBSCRIPTION makes a replication slot on another server, unless told
// not to.
func createSubscription(c *command, words *reader) (Class, string) {
	options := words.optionsBehindWith()
	for _, name := range []string{"connect", "create_slot"} {
		if value, ok := options[name]; ok && !value {
			return Definition, c.name
		}
	}
	return c.class, c.name
}

// ALTER SUBSCRIPTION cannot be rolled back where it talks to the publisher.
func alterSubscription(c *command, words *reader) (Class, string) {
	words.skipName()
	if words.accept("REFRESH") {
		return Alone, c.name
	}
	if words.accept("SET") && words.token.is("(") {
		options := words.options()
		for _, name := range []string{"failover", "two_phase"} {
			if _, ok := options[name]; ok {
				return Alone, c.name
			}
		}
		return c.class, c.name
	}
	if words.accept("ADD") || words.accept("DROP") || words.token.is("PUBLICATION") {
		if words.accept("PUBLICATION") {
			if refresh, ok := words.optionsBehindWith()["refresh"]; !ok || refresh {
				return Alone, c.name
			}
		}
	}
	return c.class, c.name
}

// CLUSTER and REPACK without a table use a transaction for each table, and
// REPACK (CONCURRENTLY) and REPACK (ANALYZE) several for one.
func wholeDatabase(c *command, words *reader) (Class, string) {
	options := words.options()
	words.accept("VERBOSE")
	if !words.more() || words.token.is("USING") || options["concurrently"] || options["analyze"] {
		return Alone, c.name
	}
	return c.class, c.name
}

// escapesAfter tells whether '…' knows backslashes after the statement that a
// scanner is about to read: standard_conforming_strings may be set by SET,
// RESET, DISCARD ALL and SELECT set_config(…), with literal values.
func escapesAfter(scan scanner, command string) bool {
	switch command {
	case "DISCARD ALL":
		return false
	case "RESET", "SET", "SET LOCAL", "SET SESSION", "SELECT":
	default:
		return scan.escapes
	}
	words := newReader(scan)
	words.advance()
	switch command {
	case "RESET":
		if words.token.is("ALL") || words.isConformingStrings() {
			return false
		}
	case "SET", "SET LOCAL", "SET SESSION":
		if command != "SET" {
			words.advance()
		}
		if !words.isConformingStrings() {
			break
		}
		words.advance()
		if words.token.is("TO") || words.token.Text == "=" {
			words.advance()
			return isFalse(words.token)
		}
	case "SELECT":
		if Identifier(words.token.Text) == "pg_catalog" {
			words.advance()
			words.accept(".")
		}
		if Identifier(words.token.Text) != "set_config" {
			break
		}
		words.advance()
		if words.accept("(") && words.isConformingStrings() {
			words.advance()
			if words.accept(",") && words.token.Kind == String {
				return isFalse(words.token)
			}
		}
	}
	return scan.escapes
}
