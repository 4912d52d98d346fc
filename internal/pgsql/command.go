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

// command is a node of the tree of commands: a path of words from its root.
type command struct {
	name   string // the words that lead here
	class  Class
	decide decision // where the class depends on what follows
	next   map[string]*command
}

// decision gives the class and name of a statement whose leading words are
// those of c; words is behind them.
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
