package whimbrel

import (
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/migration"
)

// tidy undoes what a migration may have done to the session, so that nothing
// leaks into the next one, nor, behind a pooler, to other clients.
func tidy() message {
	return message{
		{text: "RESET SESSION AUTHORIZATION", statement: ours}, {text: "RESET ROLE", statement: ours},
		{text: "RESET ALL", statement: ours}, {text: "DISCARD TEMP", statement: ours},
	}
}

// tidyAfter is tidy where a step may have done anything to the session, and
// nothing where it surely has not: tidying costs as much as half a small table.
func (r *run) tidyAfter(s Step) message {
	if s.code == nil && r.db.ready && !r.db.facts.EventTriggers && !slices.ContainsFunc(s.Statements, mayTouchSession) {
		return nil
	}
	return tidy()
}

// mayTouchSession reports whether a statement can change settings or the role,
// make a temporary object, or run a function that could. Of definitions, only
// those are trusted that run no function of the user's, or, as the building of
// an index, take back what it sets. Event triggers are not considered here.
func mayTouchSession(s migration.Statement) bool {
	trusted := s.Command == "CREATE TABLE" || s.Command == "CREATE INDEX" || s.Command == "CREATE TYPE" ||
		s.Command == "CREATE FUNCTION" || s.Command == "CREATE SEQUENCE" || s.Command == "CREATE TRIGGER" ||
		s.Command == "COMMENT" || s.Command == "GRANT" || s.Command == "REVOKE" ||
		strings.HasPrefix(s.Command, "DROP ")
	if s.Class != pgsql.Definition || !trusted || s.HasData || s.Assert != nil {
		return true
	}
	if s.Command != "CREATE TABLE" && s.Command != "CREATE SEQUENCE" {
		return false
	}
	if strings.Contains(strings.ToLower(s.Text), "pg_temp") {
		return true
	}
	previous := ""
	for token := range pgsql.Tokens(s.Text) {
		switch {
		case isAnyOf(token.Text, "TEMP", "TEMPORARY", "VALUES"),
			isAnyOf(token.Text, "AS") && !isAnyOf(previous, "ALWAYS", "DEFAULT"): // CREATE TABLE … AS
			return true
		}
		if token.Kind > pgsql.BlockComment {
			previous = token.Text
		}
	}
	return false
}

// isAnyOf reports whether a token is one of some keywords, in any case.
func isAnyOf(text string, keywords ...string) bool {
	return slices.ContainsFunc(keywords, func(keyword string) bool { return strings.EqualFold(text, keyword) })
}
