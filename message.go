package whimbrel

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// piece is one statement of a message: the user's (statement is its index in
// the step) or one of ours (ours, fence).
type piece struct {
	text      string
	statement int
	// prepared is set where the piece calls one of our prepared statements. The
	// extended protocol does so without a text; see sql for the other.
	prepared *prepared
	// counted is set where the text depends on how many rows the user's statements
	// before it have changed: it is written when that is known.
	counted func(rows int64) string
}

// prepared is a prepared statement and its arguments as text; nil is NULL.
type prepared struct {
	name      string
	arguments [][]byte
	about     Ref // what the text's comment names; none if empty
	quote     func(argument string) string
}

// sql is what the simple protocol sends.
func (p piece) sql() string {
	if p.prepared == nil {
		return p.text
	}
	call := p.prepared
	literals := make([]string, len(call.arguments))
	for i, argument := range call.arguments {
		literals[i] = call.quote(string(argument))
	}
	return comment(call.about) + "EXECUTE " + call.name + "(" + strings.Join(literals, ", ") + ")"
}

// comment names a migration for anyone who looks at pg_stat_activity and wonders.
func comment(r Ref) string {
	if r == (Ref{}) {
		return ""
	}
	return "/* whimbrel " + uncommented.Replace(fmt.Sprintf("%s %s_%s", r.Direction, r.Version, r.Name)) + " */ "
}

// uncommented takes out what would begin or end a comment.
var uncommented = strings.NewReplacer("*/", "", "/*", "")

// size is about how many bytes the piece has on the wire.
func (p piece) size() int {
	size := len(p.text)
	if p.prepared != nil {
		for _, argument := range p.prepared.arguments {
			size += len(argument)
		}
	}
	return size
}

// What a piece is when it is no statement of the user's.
const (
	ours  = -1 // bookkeeping
	fence = -2 // proves that the lease is still this runner's
)

// separator is between pieces. The line ends keep a trailing comment from
// swallowing what follows, the semicolon ends a statement that lacks one.
const separator = "\n;\n"

// message is one simple-protocol message: several statements that the server,
// without a BEGIN among them, runs as one transaction.
// See "Multiple Statements in a Simple Query" in PostgreSQL's protocol documentation.
type message []piece

// counts reports whether any of its pieces waits for a number of rows.
func (m message) counts() bool {
	return slices.ContainsFunc(m, func(p piece) bool { return p.counted != nil })
}

// count gives the pieces the number of rows that they wait for.
func (m message) count(rows int64) {
	for i := range m {
		if m[i].counted != nil {
			m[i].text = m[i].counted(rows)
		}
	}
}

func (m message) String() string {
	texts := make([]string, len(m))
	for i, p := range m {
		texts[i] = p.sql()
	}
	return strings.Join(texts, separator)
}

// locate says in which piece the server's error position lies, and at which
// byte of it. Positions count the characters of the whole message from 1.
func (m message) locate(position int) (index, offset int, found bool) {
	before := 0
	for i, p := range m {
		text := p.sql()
		characters := utf8.RuneCountInString(text)
		if position <= before+characters {
			return i, pgsql.OffsetOfCharacter(text, position-before), position > before
		}
		before += characters + len(separator)
	}
	return 0, 0, false
}

// last is the user's last statement in the message, or ours where there is
// none. A failure at the end of the transaction is laid at its door.
func (m message) last() int {
	last := ours
	for _, p := range m {
		last = max(last, p.statement)
	}
	return last
}

// failure is what went wrong while a message ran: the cause, the piece, and the
// byte offset in it where the server pointed at one.
type failure struct {
	cause     error
	statement int
	offset    int // -1 where the server named no place
}

func (f *failure) Error() string { return f.cause.Error() }
func (f *failure) Unwrap() error { return f.cause }

// send runs a message and counts the rows that the user's statements changed.
// Nothing of it stays when it fails, unless it commits in its middle, which
// only ours do.
func send(ctx context.Context, conn *pgconn.PgConn, m message) (rows int64, err error) {
	results := conn.Exec(ctx, m.String())
	done := 0
	for results.NextResult() {
		tag, err := results.ResultReader().Close()
		if err != nil {
			break // reported by Close below
		}
		if m[min(done, len(m)-1)].statement >= 0 && changes(tag) {
			rows += tag.RowsAffected()
		}
		done++
	}
	err = results.Close()
	if err == nil {
		return rows, nil
	}
	f := &failure{cause: err, statement: ours, offset: -1}
	if done < len(m) {
		f.statement = m[done].statement
	} else if len(m) > 0 { // refused at the end of the transaction: a deferred constraint
		f.statement = m.last()
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Position > 0 {
		if index, offset, found := m.locate(int(refused.Position)); found {
			f.statement, f.offset = m[index].statement, offset
		}
	}
	return 0, f
}

func changes(tag pgconn.CommandTag) bool {
	return tag.Insert() || tag.Update() || tag.Delete() || strings.HasPrefix(tag.String(), "MERGE") ||
		strings.HasPrefix(tag.String(), "COPY")
}

// literal quotes a text for SQL, so that a file's standard_conforming_strings and
// client_encoding do not matter: what it says may come to hold before the text arrives.
func literal(conn *pgx.Conn, text string) string {
	if text == "" {
		return "NULL"
	}
	escaped := strings.ReplaceAll(text, "'", "''")
	odd := conn.PgConn().ParameterStatus("client_encoding") != "UTF8"
	if !strings.Contains(text, `\`) && !odd {
		return "'" + escaped + "'"
	}
	var b strings.Builder
	for _, c := range escaped {
		switch {
		case c == '\\':
			b.WriteString(`\\`)
		case odd && c >= utf8.RuneSelf:
			fmt.Fprintf(&b, `\U%08x`, c)
		default:
			b.WriteRune(c)
		}
	}
	return "E'" + b.String() + "'"
}

// part is a statement of a step, or a piece of ours among them.
type part struct {
	migration.Statement
	piece piece
}

// parts are the statements of a step from one of them on, each followed by what keeps
// the stall budget, and, in a chain, with what notes which settings functions change.
func (r *run) parts(p Planned, step Step, from int) iter.Seq[part] {
	noting := !p.Atomic() && step.Number < len(p.Steps)
	return func(yield func(part) bool) {
		add := func(m message) bool {
			return !slices.ContainsFunc(m, func(p piece) bool { return !yield(part{piece: p}) })
		}
		for _, s := range r.repeated(p, step) {
			if !yield(part{s, piece{text: s.Text, statement: ours}}) {
				return
			}
		}
		noted := from
		for i := from; i < len(step.Statements); i++ {
			s := step.Statements[i]
			changes := noting && mayChangeSession(s)
			if changes && (i == from || !mayChangeSession(step.Statements[i-1])) {
				noted = i
				if !add(message{r.observe(p, true)}) {
					return
				}
			}
			if !yield(part{s, piece{text: s.Text, statement: i}}) || !add(r.keepBudget(p, s)) {
				return
			}
			if changes && (i == len(step.Statements)-1 || !mayChangeSession(step.Statements[i+1])) &&
				!add(r.observed(p, step.Statements[noted:i+1], step.Statements[i+1:])) {
				return
			}
		}
	}
}

// messageBytes is about how much of one step is on its way at a time: what a file
// takes in memory is then not much more than its text.
const messageBytes = 256 << 10

// fitsOneMessage reports whether statements need no stop between them.
func fitsOneMessage(statements []migration.Statement, needsStop func(migration.Statement) bool) bool {
	size := 0
	return !slices.ContainsFunc(statements, func(s migration.Statement) bool {
		size += len(s.Text)
		return size > messageBytes || needsStop(s)
	})
}

// transaction runs the statements of one step, from one of them on, together with our
// own, as one transaction: in one message where that is possible. Inline COPY data, an
// Assert, a change of how strings are read, a record that has the number of rows in it,
// a savepoint, which wants a block, and very much text need a stop in between, and thus a BEGIN and several messages.
func (r *run) transaction(ctx context.Context, p Planned, step Step, from int, before,
	after message) (rows int64, err error) {
	conn := r.db.conn.PgConn()
	parts, needsStop := r.parts(p, step, from), p.stops()
	fits := fitsOneMessage(r.repeated(p, step), needsStop) && fitsOneMessage(step.Statements[from:], needsStop)
	if fits && !slices.ContainsFunc(step.Statements, controlsTransaction) && !after.counts() {
		whole := slices.Clone(before)
		for p := range parts {
			whole = append(whole, p.piece)
		}
		return send(ctx, conn, append(whole, after...))
	}
	defer func() {
		if err != nil {
			rollback(conn)
		}
	}()
	pending, bytes := append(step.begin(), before...), 0
	flush := func() error {
		if len(pending) == 0 {
			return nil
		}
		if err := r.lease.held(); err != nil {
			return err
		}
		n, err := send(ctx, conn, pending)
		rows, pending, bytes = rows+n, pending[:0], 0
		return err
	}
	for p := range parts {
		if !byItself(p.Statement) {
			pending, bytes = append(pending, p.piece), bytes+p.piece.size()
		}
		if !needsStop(p.Statement) && bytes < messageBytes {
			continue
		}
		if err := flush(); err != nil {
			return 0, err
		}
		n, err := stop(ctx, conn, p.Statement, p.piece.statement)
		if err != nil {
			return 0, err
		}
		rows += n
	}
	if after.counts() { // which what is sent so far decides
		if err := flush(); err != nil {
			return 0, err
		}
		after.count(rows)
	}
	pending = append(append(pending, after...), piece{text: commit, statement: ours})
	return rows, flush()
}

// begin opens the transaction of a step. What a block of the file says of its isolation
// must be before the first query, and so before what proves the lease.
func (s Step) begin() message {
	m := message{{text: "BEGIN", statement: ours}}
	for _, statement := range s.Statements {
		if !controlsTransaction(statement) {
			break
		}
		if strings.HasPrefix(statement.Command, "SET") {
			m = append(m, piece{text: statement.Text, statement: ours})
		}
	}
	return m
}

func controlsTransaction(s migration.Statement) bool { return s.Class == pgsql.TransactionControl }

// keepBudget puts the stall budget back in force behind a statement that may
// have lifted it, as the first lines of a pg_dump do. A file that wants another
// budget says so by an annotation.
func (r *run) keepBudget(p Planned, s migration.Statement) message {
	if s.Class == pgsql.Definition {
		return nil
	}
	mentions := strings.Contains(strings.ToLower(s.Text), "lock_timeout")
	if p.setsLockTimeout() || !mentions && s.Command != "RESET" {
		return nil
	}
	budget := r.m.config.MaxStall.Milliseconds()
	return message{{text: fmt.Sprintf("SELECT pg_catalog.set_config('lock_timeout', '%d', true) FROM "+
		"pg_catalog.pg_settings WHERE name = 'lock_timeout' AND (setting::int = 0 OR setting::int > %d)", budget, budget),
		statement: ours}}
}

// byItself reports whether a statement has a message, or more, of its own.
func byItself(s migration.Statement) bool { return s.Data != nil || s.Assert != nil }

// needsStop reports whether what follows a statement cannot be in its message.
func needsStop(s migration.Statement) bool {
	return byItself(s) || settlesStrings(s) || settlesEncoding(s)
}

// stops gives what needsStop says of the statements of a migration: where one of them
// changes how text is read, what undoes that does so, too.
func (p Planned) stops() func(migration.Statement) bool {
	odd := slices.ContainsFunc(p.Steps, func(s Step) bool {
		return slices.ContainsFunc(s.Statements, func(s migration.Statement) bool {
			return settlesStrings(s) ||
				settlesEncoding(s)
		})
	})
	if !odd {
		return needsStop
	}
	return func(s migration.Statement) bool { return needsStop(s) || settlesAgain(s) }
}

// settlesStrings reports whether a statement changes how the server reads the strings
// behind it. The server reads a whole message before it runs any of it.
func settlesStrings(s migration.Statement) bool {
	if s.Class != pgsql.Setting && s.Class != pgsql.Query {
		return false
	}
	text := strings.ToLower(s.Text)
	return strings.Contains(text, "standard_conforming_strings") &&
		(s.Class == pgsql.Setting || strings.Contains(text, "set_config"))
}

// settlesEncoding reports whether a statement says that the text behind it is not the
// UTF-8 that files are in: then the server reads it so, as it does with psql.
func settlesEncoding(s migration.Statement) bool {
	if s.Class != pgsql.Setting && s.Class != pgsql.Query {
		return false
	}
	changes, _ := pgsql.SettingChanges(s.Statement)
	return slices.ContainsFunc(changes, func(c pgsql.SettingChange) bool {
		return c.Name == "client_encoding" &&
			!c.Reset
	}) && !inUTF8().MatchString(s.Text)
}

var inUTF8 = plaintext.Pattern(`(?i)\b(utf-?8|unicode)\b`)

// settlesAgain reports whether a statement may undo either.
func settlesAgain(s migration.Statement) bool {
	changes, _ := pgsql.SettingChanges(s.Statement)
	return slices.ContainsFunc(changes, func(c pgsql.SettingChange) bool {
		return c.Name == "" ||
			c.Name == "client_encoding"
	})
}

// stop runs a statement that has to be dealt with by itself.
func stop(ctx context.Context, conn *pgconn.PgConn, s migration.Statement, index int) (rows int64, err error) {
	switch {
	case s.Data != nil:
		tag, err := conn.CopyFrom(ctx, strings.NewReader(*s.Data), s.Text)
		if err != nil {
			return 0, &failure{cause: err, statement: index, offset: offsetOf(err, s.Text)}
		}
		return tag.RowsAffected(), nil
	case s.Assert != nil:
		return 0, assert(ctx, conn, s, index)
	}
	return 0, nil
}

// assert runs a query and fails unless it gives a row and every value of the
// first one is true.
func assert(ctx context.Context, conn *pgconn.PgConn, s migration.Statement, index int) error {
	results, err := conn.Exec(ctx, s.Text).ReadAll()
	if err != nil {
		return &failure{cause: err, statement: index, offset: offsetOf(err, s.Text)}
	}
	refuse := func(format string, args ...any) error {
		message := s.Assert.Message
		if message == "" {
			message = "the assertion does not hold"
		}
		return &failure{statement: index, offset: -1, cause: &Error{
			Code: CodeAssertion, Message: message + ": " + fmt.Sprintf(format, args...),
			Remedy: "look at the data with the query itself; the migration was rolled back",
		}}
	}
	if len(results) == 0 || len(results[0].Rows) == 0 {
		return refuse("the query gives no row")
	}
	for i, value := range results[0].Rows[0] {
		if string(value) != "t" {
			shown := string(value)
			if value == nil {
				shown = "NULL"
			}
			return refuse("column %q is %s", results[0].FieldDescriptions[i].Name, shown)
		}
	}
	return nil
}

func offsetOf(err error, text string) int {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Position > 0 {
		return pgsql.OffsetOfCharacter(text, int(refused.Position))
	}
	return -1
}

// rollback ends a failed transaction. Where that does not work the connection
// is of no more use, which the next statement on it will tell.
func rollback(conn *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.Background(), cancelPatience)
	defer cancel()
	_, _ = conn.Exec(ctx, "ROLLBACK").ReadAll()
}
