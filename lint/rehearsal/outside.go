package rehearsal

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/migration"
)

// refusal is a statement that the server refused, and what to make of that.
type refusal struct {
	statement int // its index in the section
	command   string
	text      string
	err       *pgconn.PgError
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// missingRole is what the server says of a role that nobody has made.
var missingRole = plaintext.Pattern(`^role "(.+)" does not exist$`)

// provide makes what a statement misses and databases have from elsewhere: a role whose
// name no text has. It gives its name.
func (s *stage) provide(ctx context.Context, refused *pgconn.PgError) string {
	m := missingRole().FindStringSubmatch(refused.Message)
	if refused.Code != "42704" || m == nil || slices.Contains(s.roles, m[1]) {
		return ""
	}
	s.roles = append(s.roles, m[1])
	_, err := s.conn.Exec(ctx, "CREATE ROLE "+pgx.Identifier{m[1]}.Sanitize())
	var there *pgconn.PgError
	if err == nil || errors.As(err, &there) && there.Code == "42710" {
		return m[1]
	}
	return ""
}

// tell says that a statement needs a role that nothing creates.
func (s *stage) tell(m migration.Migration, statement migration.Statement, role string) {
	if s.options.Sandbox.Missing != nil {
		s.options.Sandbox.Missing(devdb.MissingRole{Role: role, Path: m.Path, Line: statement.Start.Line,
			Column: statement.Start.Column})
	}
}

var (
	// foreign are objects that a cluster or an extension has, in the messages about
	// what does not exist.
	foreign = plaintext.Pattern(
		`^(?:role|server|foreign-data wrapper|tablespace|collation|language|access method|operator class|operator family|extension|text search \w+|subscription|user mapping) `)
	// named is the function or type that does not exist.
	named = plaintext.Pattern(`^(?:function|type) "?(?:[\w$]+\.)?([\w$]+)`)
	// absent is the name of what does not exist, without its schema.
	absent = plaintext.Pattern(`^\w+ "?(?:[^\s".(]+\.)?([^\s".(]+)[^\n]* does not exist$`)
	// ofSchema is a schema that does not exist, or that of what does not exist.
	ofSchema = plaintext.Pattern(`^(?:schema "(.+)"|\w+ "?([^\s".]+)"?\..*) does not exist$`)
)

// notMade is why nothing follows of a refusal, where the migrations have made nothing like it.
const notMade = "the migrations do not make it; make it in a migration, or in a file of sandbox.prepare if databases " +
	"have it from elsewhere, or lint --pending on a database that has it"

// undefined are the states of objects that are not there.
var undefined = []string{"42704", "42883", "42P01", "3F000"}

// outside says why a refusal may come from the throw-away server alone, whose world
// is the migrations and nothing else, and what would settle it; empty where any
// server would refuse. Ends is set where the rehearsal cannot go on behind it.
func (s *stage) outside(ctx context.Context, r *refusal) (why string, ends bool, err error) {
	missing, message := slices.Contains(undefined, r.err.Code), r.err.Message
	switch class := r.err.Code[:2]; {
	case strings.HasPrefix(r.err.Code, "57P"):
		return "the connection of the rehearsal was ended; try the migration on a copy", true, nil
	case class == "53" || class == "57" || class == "58" || class == "40" || r.err.Code == "55P03":
		return "the time, the memory or the disk of the rehearsal did not suffice; give it more, or try the migration on a copy", true, nil
	case s.second && r.err.Code == "42710" && strings.HasPrefix(message, "role "):
		why = "the role is there from an earlier try of the rehearsal; lint the migration by itself"
	case strings.HasSuffix(r.command, " EXTENSION") && r.err.Code != "42710" && r.err.Code != "42601":
		why = "the server of the rehearsal does not have the extension; rehearse on one that has"
	case class == "08" || class == "HV":
		why = "the rehearsal reaches no foreign server; try the migration on a copy"
	case r.err.Code == "42501" && strings.HasSuffix(message, ": Permission denied"): // the system's word, not PostgreSQL's
		why = "the server of the rehearsal is kept from programs and files of this machine; try the migration on a copy"
	case r.err.Code == "42501":
		why = "it lacks a privilege that the migrations do not grant; grant it in a migration, or try the migration on a copy"
	case (missing || r.err.Code == "42703") && s.needsLeft(r.err):
		why = "it may need what could not be made on the server of the rehearsal; rehearse where that can be made"
	case missing && foreign().MatchString(message), missing && fromExtension(message):
		why = notMade
	case missing:
		why, err = s.outsideHistory(ctx, message)
	}
	if why != "" {
		s.left = append(s.left, r.text)
		s.extensions = s.extensions || strings.HasSuffix(r.command, " EXTENSION")
	}
	return why, false, err
}

// needsLeft reports whether what is missing would be there if nothing had been left
// out: a statement that was names it, or an extension may have it.
func (s *stage) needsLeft(refused *pgconn.PgError) bool {
	if s.extensions && (refused.Code == "42883" || refused.Code == "42704") {
		return true
	}
	m := absent().FindStringSubmatch(refused.Message)
	if m == nil {
		return false
	}
	word := regexp.MustCompile(`(?i)\b` + regexp.QuoteMeta(m[1]) + `\b`)
	return slices.ContainsFunc(s.left, word.MatchString)
}

func fromExtension(message string) bool {
	m := named().FindStringSubmatch(message)
	return m != nil && lint.FromExtension(m[1])
}

// outsideHistory is for what is not there and may be made elsewhere: in schemas that
// no migration makes, or where migrations have made nothing at all.
func (s *stage) outsideHistory(ctx context.Context, message string) (string, error) {
	schema := "public"
	if m := ofSchema().FindStringSubmatch(message); m != nil {
		schema = m[1] + m[2]
	}
	var made, any bool
	err := s.conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1),
		EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm'))`, schema).Scan(&made,
		&any)
	if err != nil || made && any {
		return "", err
	}
	return notMade, nil
}
