package whimbrel

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
)

// The SQLSTATEs that say something only together with the statement.
const (
	inUse              = "55006"
	invalidTermination = "2D000"
	notSupported       = "0A000"
	noSuchTable        = "42P01"
	noSuchSchema       = "3F000"
)

// concurrently finds the statements that build and drop indexes beside the traffic.
var concurrently = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?is)\b(create|drop)\b.*\bindex\s+concurrently\b`)
})

// ofStatement is what to do about what PostgreSQL refuses in the way whimbrel runs a
// statement, by the SQLSTATE and the statement, since messages come in any language;
// "" where nothing is to be said.
func ofStatement(refused *pgconn.PgError, text string) string {
	switch refused.Code {
	case inUse:
		if strings.Contains(strings.ToUpper(text), "DATABASE") || strings.Contains(strings.ToUpper(text), "REPLICATION") {
			return ""
		}
		return "this transaction has deferred checks of the table to make yet, or reads it: write `SET CONSTRAINTS ALL " +
			"IMMEDIATE;` above the statement " +
			"(and close cursors), or move the statement into a migration of its own"
	case invalidTermination:
		return "COMMIT and ROLLBACK work in a DO block or a procedure only outside of a transaction: say `-- +migrate Up " +
			"notransaction` in the mark, " +
			"with this statement in a file of its own; to change many rows in parts, `-- +migrate Batch` needs no COMMIT"
	case notSupported:
		found := concurrently().FindStringSubmatch(text)
		switch {
		case found == nil || !strings.Contains(strings.ToLower(refused.Message), "parti"):
			return ""
		case strings.EqualFold(found[1], "drop"):
			return "an index of a partitioned table can be dropped only as a whole: write DROP INDEX without CONCURRENTLY, " +
				"which locks the table for a moment"
		}
		return "make the parent's index with CREATE INDEX … ON ONLY the table, those of the partitions with CREATE INDEX " +
			"CONCURRENTLY, and attach each by " +
			"ALTER INDEX … ATTACH PARTITION; where the partitions are small, CREATE INDEX without CONCURRENTLY makes all of them"
	}
	return ""
}

// ofOwnTables is what to do where the file's statements have taken away the tables in
// which they were to be recorded; "" where they have not. Nothing of that stays: they
// are recorded in their own transaction.
func (db *database) ofOwnTables(refused *pgconn.PgError) string {
	own := []string{db.tables.history, db.tables.journal, db.tables.log, db.tables.lock}
	gone := refused.Code == noSuchTable && slices.ContainsFunc(own, func(table string) bool {
		return mentions(strings.ReplaceAll(refused.Message, `"`, ""), strings.ReplaceAll(table, `"`, ""))
	}) || refused.Code == noSuchSchema && mentions(refused.Message, db.tables.schema)
	if !gone {
		return ""
	}
	return "the file takes away whimbrel's own tables, which are in the schema " + db.tables.schema +
		" (as DROP SCHEMA … CASCADE does), so that it could not be recorded, " +
		"and its transaction was rolled back: drop by name what is meant, or keep the history in a schema of its own " +
		"(Config.Table: whimbrel.schema_migrations)"
}
