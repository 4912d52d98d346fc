package lint

import (
	"errors"
	"fmt"
	"strings"

	"github.com/wasilibs/go-pgquery/parser"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// grammarMajor is the version of PostgreSQL whose grammar the parser has.
const grammarMajor = 17

// newerGrammar finds what a newer PostgreSQL can read and the parser cannot: what 18 has
// added.
var newerGrammar = plaintext.Pattern(
	`\bENFORCED\b|\bWITHOUT OVERLAPS\b|\bFOREIGN KEY .*\bPERIOD\b|\bVIRTUAL\b|\bRETURNING WITH\b` +
		`|\bADD (CONSTRAINT \S+ )?NOT NULL\b|, (CONSTRAINT \S+ )?NOT NULL\b|\bNOT NULL NO INHERIT\b` +
		`|\bALTER CONSTRAINT .*\bINHERIT\b|^(VACUUM|ANALYZE)\b.* ONLY\b|^CREATE FOREIGN TABLE .*\bLIKE\b`)

// olderGrammar finds words that an older PostgreSQL takes for names, and the parser does
// not any more.
var olderGrammar = plaintext.Pattern(
	`\b(SYSTEM_USER|MERGE_ACTION|JSON_(SCALAR|SERIALIZE|(ARRAY|OBJECT)(AGG)?|EXISTS|QUERY|TABLE|VALUE))\b`)

// unparsed judges what the parser cannot read: a syntax error, unless a version of
// PostgreSQL whose grammar is another one may read it.
func (j *judge) unparsed() {
	s := j.current.statement
	words := wordsOf(s.Text)
	if strings.HasPrefix(words, "ALTER TABLE") && strings.Contains(words, "NOT ENFORCED") {
		j.notEnforced(s)
	}
	said := strings.TrimPrefix(j.current.err.Error(), "parsing with PostgreSQL's grammar: ")
	if other := j.otherGrammar(words); other != "" {
		j.opaque(fmt.Sprintf("not analysed: %s, by the grammar of PostgreSQL %d; %s", said, grammarMajor, other))
		return
	}
	j.out.Malformed = true
	f := Finding{Hazard: statementFails, claim: claim{kind: claimsError}, Message: "the server refuses: " + said,
		Evidence: Evidence{FromText, "the grammar of PostgreSQL says so"}}
	var at *parser.Error
	if errors.As(j.current.err, &at) && at.Cursorpos > 0 && s.Batch == nil {
		text := []rune(s.Text)
		offset := len(string(text[:min(at.Cursorpos-1, len(text))]))
		f.Start = pgsql.PositionAt(j.migration.Text, s.OffsetInFile(offset))
		f.End = s.End()
	}
	j.report(f)
	j.out.Opaque = true // whatever the configuration makes of the hazard
}

// otherGrammar says which version of PostgreSQL may read a statement that the parser
// cannot read, and what would tell; "" where none can that is judged for.
func (j *judge) otherGrammar(words string) string {
	// From 18 on a generated column without a word behind it is a virtual one.
	bare := strings.Count(words, "GENERATED ALWAYS AS (") > strings.Count(words, " STORED")
	switch major := j.options.Major; {
	case (major == 0 || major > grammarMajor) && (bare || newerGrammar().MatchString(words)):
		return fmt.Sprintf("PostgreSQL %d may read it, which a rehearsal on it tells", max(major, grammarMajor+1))
	case major < grammarMajor && olderGrammar().MatchString(words):
		return "an older PostgreSQL may read it, which a rehearsal on it tells"
	}
	return ""
}

// notEnforced judges a constraint that is not enforced, by the statement without these
// words.
func (j *judge) notEnforced(s migration.Statement) {
	j.report(Finding{Hazard: notEnforcedConstraint, Message: "the constraint is written down and never checked"})
	nodes, err := j.options.Parser.Parse(without(s.Text, "NOT ENFORCED"))
	if err != nil || len(nodes) != 1 || nodes[0].GetAlterTableStmt() == nil {
		return
	}
	for _, cmd := range nodes[0].GetAlterTableStmt().Cmds {
		j.lockTree(j.relation(nodes[0].GetAlterTableStmt().Relation), commandOf(cmd.GetAlterTableCmd()).lock)
	}
}

// wordsOf is a statement in one form: words in capital letters, a blank between tokens,
// and nothing in strings.
func wordsOf(text string) string {
	var words []string
	for token := range pgsql.Tokens(text) {
		switch {
		case token.Kind == pgsql.Word:
			words = append(words, strings.ToUpper(token.Text))
		case token.Kind > pgsql.BlockComment && strings.HasPrefix(token.Text, `"`):
			words = append(words, "NAME")
		case token.Kind > pgsql.BlockComment && len(token.Text) == 1:
			words = append(words, token.Text)
		}
	}
	return strings.Join(words, " ")
}
