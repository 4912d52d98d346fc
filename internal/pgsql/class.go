package pgsql

import "strings"

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
