package whimbrel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

// explain turns the failure of a step into an *Error that names the statement,
// its place in the file, what PostgreSQL said, and what to do.
func (r *run) explain(ctx context.Context, p Planned, s Step, err error) *Error {
	var own *Error
	isOwn := errors.As(err, &own)
	if isOwn && own.Code != CodeAssertion && own.Code != CodeScript {
		return own.of(p)
	}
	var f *failure
	located := errors.As(err, &f)
	var refused *pgconn.PgError
	isServer := errors.As(err, &refused)
	if fenced(err) {
		return leaseLost(r.lease.current(), err).of(p)
	}
	if e := changedBehindPool(err); e != nil {
		return p.at(s, s.Prelude, e)
	}
	var e *Error
	switch {
	case isOwn && (own.Code == CodeAssertion || ctx.Err() == nil):
		e = own
	case ctx.Err() != nil && (!isServer || slices.Contains([]string{"57014", "57P01"}, refused.Code)):
		// Ended because the run is over; the context knows why.
		e = r.m.serverError(ctx, "running "+string(p.Migration.Version), err)
		if e.Code != CodeLeaseLost {
			e.Code, e.Remedy = CodeInterrupted, "run the same command again: it goes on where this one stopped"
		}
	case isServer:
		e = &Error{Code: CodeStatement, Message: r.m.redact(refused.Message), Err: err}
		e.fromServer(refused)
		e.Remedy = cmp.Or(e.Remedy, r.remedyOf(p, s, f, refused))
	default:
		e = r.m.serverError(ctx, "running "+string(p.Migration.Version), err)
	}
	r.m.hideValues(e)
	e = e.of(p)
	if located && f.statement >= 0 && f.statement < len(s.Statements) {
		e.at(p, s, f)
	}
	var gaveUp *exhausted
	if errors.As(err, &gaveUp) {
		e.gaveUp(gaveUp)
	}
	var at *inRange
	if errors.As(err, &at) && !slices.Contains([]Code{CodeInterrupted, CodeLeaseLost, CodeConnection}, e.Code) {
		e.Batch = &KeyRange{From: at.From, To: at.To}
		e.Message += r.m.redact(" in the batch of keys " + e.Batch.String())
	}
	return e
}

// remedyOf says what to do about a refusal of which the SQLSTATE alone does not tell.
func (r *run) remedyOf(p Planned, s Step, f *failure, refused *pgconn.PgError) string {
	if f != nil && f.statement >= 0 && f.statement < len(s.Statements) {
		return cmp.Or(ofStatement(refused, s.Statements[f.statement].Text), r.m.definedLater(p, refused))
	}
	return cmp.Or(r.db.ofOwnTables(refused), r.m.definedLater(p, refused))
}

// definedLater says what to do where the server does not know something that a
// repeatable migration defines, which runs behind this one; "" where none does.
func (m *Migrator) definedLater(p Planned, refused *pgconn.PgError) string {
	const undefinedFunction, undefinedTable, undefinedObject, undefinedSchema = "42883", "42P01", "42704", "3F000"
	if !slices.Contains([]string{undefinedFunction, undefinedTable, undefinedObject, undefinedSchema}, refused.Code) {
		return ""
	}
	for _, file := range m.config.Migrations {
		if !file.Version.Repeatable() || file.Version == p.Migration.Version {
			continue
		}
		for _, o := range file.Defines() {
			if !mentions(refused.Message, o.Name) {
				continue
			}
			if p.Migration.Version.Repeatable() {
				return fmt.Sprintf("%s defines the %s %s: say in this file that it comes later, by `-- +migrate After %s`",
					file.Version, o.Kind, o.Name, file.Name)
			}
			return fmt.Sprintf("%s defines the %s %s, and repeatable migrations run after all that have a version: create it "+
				"in this file, above the statement, or in a migration "+
				"before it (where this one is applied already, accept its change with Migrator.Accept(%s)); %[1]s goes "+
				"on replacing it", file.Version, o.Kind, o.Name, p.Migration.Version)
		}
	}
	return ""
}

// mentions reports whether a name is in a message, which may be in any language, and
// is not a part of a longer one.
func mentions(message, name string) bool {
	inName := func(c rune) bool { return c == '_' || c == '$' || unicode.IsLetter(c) || unicode.IsDigit(c) }
	for rest := message; ; {
		i := strings.Index(rest, name)
		if i < 0 {
			return false
		}
		before, _ := utf8.DecodeLastRuneInString(rest[:i])
		behind, _ := utf8.DecodeRuneInString(rest[i+len(name):])
		if !inName(before) && !inName(behind) {
			return true
		}
		rest = rest[i+len(name):]
	}
}

// fenced reports whether a transaction failed because it could not prove the lease.
func fenced(err error) bool {
	var f *failure
	var refused *pgconn.PgError
	return errors.As(err, &f) && f.statement == fence && errors.As(err, &refused) && refused.Code == "22P02"
}

func (e *Error) of(p Planned) *Error {
	e.Version, e.Name, e.Direction = p.Migration.Version, p.Migration.Name, p.Direction
	if e.Path == "" {
		e.Path = p.Migration.Path
	}
	return e
}

// at fills in the place of the failure: where the server pointed, or else the
// statement's beginning.
func (e *Error) at(p Planned, s Step, f *failure) {
	statement := s.Statements[f.statement]
	offset := statement.Start.Offset
	if f.offset >= 0 {
		offset = statement.OffsetInFile(f.offset)
	}
	text := p.Migration.Text
	if statement.Hook() != nil {
		text, e.Path = statement.Hook().Text, statement.Hook().Path
	}
	position := pgsql.PositionAt(text, offset)
	e.Line, e.Column = position.Line, position.Column
	if section := p.section(); section.Path != "" && statement.Hook() == nil {
		e.Path, e.Line = section.Path, position.Line-pgsql.PositionAt(text, section.Start).Line+1
	}
	e.Statement = excerpt(text, position)
	if e.Remedy == "" && e.SQLState == "42601" && strings.HasPrefix(text[position.Offset:], "${") {
		e.Remedy = "if a value belongs there, list its name in the file: -- +migrate Variables NAME"
	}
}

// gaveUp says how long a lock was waited for, and who held it.
func (e *Error) gaveUp(x *exhausted) {
	e.Code = CodeLockTimeout
	e.Message = fmt.Sprintf("%s; tried %d times in %s", e.Message, x.attempts, x.took.Round(time.Second))
	e.Remedy = "run the command again when the table is less busy, or raise Config.RetryBudget"
	if len(x.blockers) > 0 {
		var shown []string
		for _, b := range x.blockers {
			shown = append(shown, b.String())
		}
		e.Remedy += "; blocked by: " + strings.Join(shown, "; ")
	}
}

// String shows a blocker in one line.
func (b Blocker) String() string {
	text := fmt.Sprintf("pid %d", b.PID)
	if b.Application != "" {
		text += " " + b.Application
	}
	return fmt.Sprintf("%s (%s for %s): %s", text, b.State, b.Age.Round(time.Second), b.Query)
}

// widest is how many characters of a line an excerpt shows.
const widest = 100

// excerpt is the line at a position, shortened, and a caret below the place.
func excerpt(text string, at pgsql.Position) string {
	start := strings.LastIndexByte(text[:at.Offset], '\n') + 1
	end := len(text)
	if n := strings.IndexByte(text[at.Offset:], '\n'); n >= 0 {
		end = at.Offset + n
	}
	before, behind := []rune(text[start:at.Offset]), []rune(strings.TrimRight(text[at.Offset:end], "\r"))
	if len(before) > widest*2/3 {
		before = append([]rune("…"), before[len(before)-widest*2/3:]...)
	}
	if room := widest - len(before); len(behind) > room {
		behind = append(behind[:room:room], '…')
	}
	var caret strings.Builder
	for _, c := range before {
		if c == '\t' {
			caret.WriteByte('\t')
		} else {
			caret.WriteByte(' ')
		}
	}
	return string(before) + string(behind) + "\n" + caret.String() + "^"
}

// shorten makes a query fit for one line of output.
func shorten(query string) string {
	query = strings.Join(strings.Fields(query), " ")
	if utf8.RuneCountInString(query) > widest {
		query = string([]rune(query)[:widest]) + "…"
	}
	return query
}
