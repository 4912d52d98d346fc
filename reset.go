package whimbrel

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// This file keeps the session of a migration. What a file says about its session
// holds to the end of that direction, as in psql, and not beyond:
//
//   - An atomic migration is tidied after in its own transaction.
//   - Between the steps of a chain the session is the file's. Our own statements run
//     under our own role and settings, which SET LOCAL puts in their place: so the
//     file's come back by themselves when the transaction ends, and no value of theirs
//     passes through here. The session is tidied when the chain ends, however it does.
//   - A session that is new, as after a crash, gets the file's own statements again.
//     What cannot be had again (what a function has set, a temporary table) is known by
//     name from the journal, and ends the run.
//   - Behind a transaction pooler no session is ours between two transactions: there
//     each transaction begins with the file's statements, and is tidied after.

// opening begins a transaction of ours, in which no statement of the file's runs: under
// our own role and settings, it sets the stall budget as lock_timeout and proves the
// lease; see begin.
func (r *run) opening(p Planned) message {
	return append(r.asOurselves(p), r.begin(p)...)
}

// stepOpening begins a transaction in which statements of the file run, with its role
// and its settings as the steps before have left them. lock_timeout alone never rises
// above the stall budget but by the annotation Set. It is short, so that anyone who looks
// at pg_stat_activity reads the statement behind it, too.
func (r *run) stepOpening(p Planned) message {
	if !r.keepsSession(p) {
		return r.opening(p)
	}
	var budget, idle, authorization string
	switch {
	case p.setsLockTimeout():
		budget = "0"
	case p.mentions.lockTimeout:
		budget = strconv.FormatInt(r.m.config.MaxStall.Milliseconds(), 10)
	}
	if p.mentions.idle {
		idle = "true"
	}
	if p.mentions.authorization {
		authorization = "true"
	}
	m := append(message{r.call("whimbrel_keep")}, r.opening(p)...)
	return append(m, r.call("whimbrel_back", budget, idle, authorization))
}

// keeping are the templates that keep the file's role and settings for the rest of a
// transaction, and put them back: lock_timeout up to a budget, of which 0 is none, and
// what else is not always the file's, where they are told to.
func keeping() []template {
	var saved []string
	for _, name := range []string{"role", "session_authorization", "search_path", "statement_timeout", "lock_timeout",
		"idle_in_transaction_session_timeout"} {
		saved = append(saved,
			fmt.Sprintf("pg_catalog.set_config('whimbrel.saved_%s', pg_catalog.current_setting('%[1]s'), true)", name))
	}
	value := func(name string) string { return "pg_catalog.current_setting('whimbrel.saved_" + name + "')" }
	back := func(name, value string) string {
		return fmt.Sprintf("pg_catalog.set_config('%s', %s, true)", name, value)
	}
	lock := fmt.Sprintf("CASE WHEN $2 = 0 OR %[1]s::interval > '0' AND %[1]s::interval < $2 * interval '1 ms' THEN "+
		"%[1]s ELSE $2::text END", value("lock_timeout"))
	return []template{
		{name: "whimbrel_keep", types: []string{"bigint"}, sql: "SELECT " + strings.Join(saved, ", ")},
		{name: "whimbrel_back", types: []string{"bigint", "bigint", "boolean", "boolean"},
			sql: "SELECT " + strings.Join([]string{
				back("search_path", value("search_path")), back("statement_timeout", value("statement_timeout")),
				"CASE WHEN $2 IS NOT NULL THEN " + back("lock_timeout", lock) + " END",
				"CASE WHEN $3 THEN " + back("idle_in_transaction_session_timeout", value("idle_in_transaction_session_timeout")) +
					" END",
				// which decides what role may be had
				"CASE WHEN $4 THEN " + back("session_authorization", value("session_authorization")) + " END",
				back("role", value("role")),
			}, ", ")},
	}
}

// ending ends such a transaction: it records what was done, under our own role and
// settings, and with the last step of a migration its session ends.
func (e *execution) ending(earlier time.Duration) message {
	r, p, s := e.run, e.planned, e.step
	var m message
	switch {
	case p.Atomic():
		m = append(r.unprepared(s), r.tidyAfter(s)...)
	case e.last || !r.keepsSession(p):
		m = append(r.unprepared(s), r.tidied(s)...)
	default:
		m = message{r.noteSession(p)}
		if s.hook {
			m = append(m, r.promote(p, s)...)
		}
		m = append(m, r.asOurselves(p)...)
	}
	return append(m, e.recording(earlier)...)
}

// keepsSession reports whether the session is the file's between its steps.
func (r *run) keepsSession(p Planned) bool { return !p.Atomic() && !r.db.facts.behindPool }

// tidyShared ends a transaction behind a pooler, whose session others get next.
func (r *run) tidyShared(p Planned, s Step) message {
	if p.Atomic() || r.keepsSession(p) {
		return nil
	}
	return r.tidied(s)
}

// unprepared throws away what a step has prepared, where its session is others' as well.
func (r *run) unprepared(s Step) (m message) {
	if !r.db.facts.behindPool || slices.ContainsFunc(s.Statements,
		func(s migration.Statement) bool { return strings.HasPrefix(s.Command, "DEALLOCATE") }) {
		return nil
	}
	for _, statement := range s.Statements {
		if name := pgsql.Prepares(statement.Statement); name != "" {
			m = append(m, piece{text: "DEALLOCATE " + pgx.Identifier{name}.Sanitize(), statement: ours})
		}
	}
	return m
}

// tidied is tidy in a transaction of a chain that goes on: what follows waits for its
// locks no longer than the stall budget, which tidy has lifted with everything else.
func (r *run) tidied(s Step) message {
	budget := r.setConfig("lock_timeout", strconv.FormatInt(r.m.config.MaxStall.Milliseconds(), 10), true)
	return append(tidy(s.Statements), piece{text: "SELECT " + budget, statement: ours})
}

// asOurselves puts our own role, and the settings that our statements depend on, in
// force until the transaction ends; nothing where the session is ours anyway.
func (r *run) asOurselves(p Planned) message {
	if !r.keepsSession(p) {
		return nil
	}
	return append(asOurRole(p),
		piece{text: "SET LOCAL search_path TO DEFAULT", statement: ours},
		piece{text: "SET LOCAL statement_timeout TO DEFAULT", statement: ours})
}

func asOurRole(p Planned) message {
	m := message{{text: "SET LOCAL role TO DEFAULT", statement: ours}}
	if p.mentions.authorization {
		m = append(message{{text: "SET LOCAL SESSION AUTHORIZATION DEFAULT", statement: ours}}, m...)
	}
	return m
}

// underOurRole runs work that reads, and needs our own rights for it, between two steps.
func (r *run) underOurRole(ctx context.Context, p Planned, work func() error) error {
	if !r.keepsSession(p) || !p.mentions.roles {
		return work()
	}
	return r.inTransaction(ctx, asOurRole(p), nil, work)
}

// inFilesSession runs work that reads as the file's own statements would, between two
// steps: behind a pooler in a transaction that is rolled back.
func (r *run) inFilesSession(ctx context.Context, p Planned, s Step, work func() error) (err error) {
	var m message
	for _, earlier := range r.repeated(p, s) {
		m = append(m, piece{text: earlier.Text, statement: ours})
	}
	if len(m) == 0 {
		return work()
	}
	conn := r.db.conn.PgConn()
	defer func() { rollback(conn) }()
	for _, setting := range append(message{{text: "BEGIN", statement: ours}}, m...) {
		if _, err := send(ctx, conn, message{setting}); err != nil {
			return err
		}
	}
	return work()
}

// enter makes the session that of a chain that is about to begin, or to go on.
func (r *run) enter(ctx context.Context, p Planned) error {
	if p.Atomic() {
		return nil
	}
	if err := p.explained(); err != nil {
		return err
	}
	if r.db.facts.behindPool {
		return nil
	}
	if settings := asSelect(r.annotations(p, false)); settings != nil {
		if _, err := send(ctx, r.db.conn.PgConn(), settings); err != nil {
			return err
		}
	}
	for _, s := range p.Steps {
		if !s.Done {
			break
		}
		if err := r.again(ctx, p, s); err != nil {
			return r.explain(ctx, p, s, err)
		}
	}
	return nil
}

// again runs what a step that is done said about its session.
func (r *run) again(ctx context.Context, p Planned, s Step) error {
	conn := r.db.conn.PgConn()
	if s.hook {
		return r.inTransaction(ctx, nil, r.promote(p, s), func() error {
			for i, statement := range s.Statements {
				if _, only := pgsql.SettingChanges(statement.Statement); only {
					if _, err := send(ctx, conn, message{{text: statement.Text, statement: i}}); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	for i, statement := range s.Statements {
		if statement.Command == "DISCARD ALL" { // of which our prepared statements need not take notice again
			if _, err := send(ctx, conn, r.cleared()); err != nil {
				return err
			}
		} else if staysInSession(statement) {
			if _, err := send(ctx, conn, message{{text: statement.Text, statement: i}}); err != nil {
				return err
			}
		}
	}
	return nil
}

// cleared is tidy with the name of the session, by which successors know it.
func (r *run) cleared() message {
	return append(tidy(nil), piece{text: "SELECT " + r.setApplicationName(), statement: ours})
}

// staysInSession reports whether a statement only changes settings, and those beyond
// its transaction.
func staysInSession(s migration.Statement) bool {
	changes, only := pgsql.SettingChanges(s.Statement)
	return only && s.Class != pgsql.Alone && slices.ContainsFunc(changes,
		func(c pgsql.SettingChange) bool { return !c.Local })
}

// prelude runs the settings before a step that is no transaction, as psql would.
func (r *run) prelude(ctx context.Context, s Step) error {
	if r.db.facts.behindPool { // then they are part of each transaction
		return nil
	}
	for i, statement := range s.Statements[:s.Prelude] {
		if err := r.lease.held(); err != nil {
			return err
		}
		if _, err := send(ctx, r.db.conn.PgConn(), message{{text: statement.Text, statement: i}}); err != nil {
			return err
		}
	}
	return nil
}

// repeated are the statements with which a transaction behind a pooler begins: what the
// steps before, and the settings before this one, say about the session.
func (r *run) repeated(p Planned, s Step) []migration.Statement {
	if p.Atomic() || !r.db.facts.behindPool {
		return nil
	}
	var all []migration.Statement
	take := func(statements []migration.Statement, hook bool) {
		for _, statement := range statements {
			changes, only := pgsql.SettingChanges(statement.Statement)
			switch {
			case statement.Command == "DISCARD ALL":
				all = p.withoutAnnotations()
			case only && (hook && len(changes) > 0 || staysInSession(statement)):
				all = append(all, statement)
			}
		}
	}
	for _, earlier := range p.Steps {
		if earlier.Number >= s.Number {
			break
		}
		take(earlier.Statements, earlier.hook)
	}
	take(s.Statements[:s.Prelude], false)
	return all
}

// withoutAnnotations takes back what the file sets by annotations, as DISCARD ALL does.
func (p Planned) withoutAnnotations() (all []migration.Statement) {
	for _, s := range p.Migration.Settings {
		if s.Name != "lock_timeout" { // which is the file's budget
			all = append(all, migration.Statement{Statement: pgsql.Statement{
				Text: "RESET " + pgx.Identifier(strings.Split(s.Name, ".")).Sanitize(), Class: pgsql.Setting, Command: "RESET",
			}})
		}
	}
	return all
}

// subjects are what the texts of a chain speak of, as far as it decides how its session
// is kept.
type subjects struct {
	lockTimeout, idle    bool
	roles, authorization bool
	custom               []string // settings that the server does not list
}

var customSetting = plaintext.Pattern(`'([a-z_][a-z0-9_$]*(?:\.[a-z_][a-z0-9_$]*)+)'`)

// mention reads the texts of a chain.
func (p *Planned) mention() {
	if p.Atomic() {
		return
	}
	custom := map[string]bool{}
	for _, s := range p.Steps {
		var source string
		if s.code != nil {
			source = strings.ToLower(s.code.Source())
			p.mentions.lockTimeout, p.mentions.roles = true, true
			p.mentions.authorization = p.mentions.authorization || s.Kind == StepFunc
		}
		for _, statement := range append(slices.Clone(s.Statements),
			migration.Statement{Statement: pgsql.Statement{Text: source}}) {
			text := strings.ToLower(statement.Text)
			p.mentions.lockTimeout = p.mentions.lockTimeout || strings.Contains(text, "lock_timeout")
			p.mentions.idle = p.mentions.idle || strings.Contains(text, "idle_in_transaction_session_timeout")
			p.mentions.authorization = p.mentions.authorization || strings.Contains(text, "authorization")
			p.mentions.roles = p.mentions.roles || strings.Contains(text, "role") || strings.Contains(text, "authorization")
			for _, found := range customSetting().FindAllStringSubmatch(text, -1) {
				custom[found[1]] = true
			}
			changes, _ := pgsql.SettingChanges(statement.Statement)
			for _, c := range changes {
				if strings.Contains(c.Name, ".") {
					custom[c.Name] = true
				}
			}
		}
	}
	for _, s := range p.Migration.Settings {
		p.mentions.lockTimeout = p.mentions.lockTimeout || s.Name == "lock_timeout"
		p.mentions.roles = p.mentions.roles || s.Name == "role" || s.Name == "session_authorization"
		p.mentions.authorization = p.mentions.authorization || s.Name == "session_authorization"
	}
	for name := range custom {
		if !strings.HasPrefix(name, "whimbrel.") {
			p.mentions.custom = append(p.mentions.custom, name)
		}
	}
	slices.Sort(p.mentions.custom)
}

// setsLockTimeout reports whether the file asks for another budget by an annotation.
func (p Planned) setsLockTimeout() bool {
	return slices.ContainsFunc(p.Migration.Settings, func(s migration.Setting) bool { return s.Name == "lock_timeout" })
}

// tidy undoes what a migration may have done to the session, so that nothing
// leaks into the next one, nor, behind a pooler, to other clients. The statements are
// those of the transaction that it ends.
func tidy(statements []migration.Statement) message {
	m := message{{text: "RESET SESSION AUTHORIZATION", statement: ours}, {text: "RESET ROLE", statement: ours}}
	m = append(m, unmask(statements)...)
	return append(m, piece{text: "RESET ALL", statement: ours}, piece{text: "DISCARD TEMP", statement: ours})
}

// unmask resets what RESET ALL leaves out, since it seems not to be set: a setting that
// was set for the session, and then put back to its default for the transaction alone.
func unmask(statements []migration.Statement) (m message) {
	var listed []string
	for _, s := range statements {
		changes, only := pgsql.SettingChanges(s.Statement)
		for _, c := range changes {
			if c.Local && c.Reset && strings.Contains(c.Name, ".") {
				m = append(m, piece{text: "RESET " + pgx.Identifier(strings.Split(c.Name, ".")).Sanitize(), statement: ours})
			} else if c.Local && c.Reset {
				listed = append(listed, c.Name)
			}
		}
		if !only {
			listed = append(listed, setLocally(s.Text)...)
		}
	}
	if len(listed) == 0 {
		return m
	}
	for i, name := range listed {
		listed[i] = "'" + strings.ReplaceAll(name, "'", "''") + "'"
	}
	return append(m, piece{text: "SELECT pg_catalog.set_config(name, reset_val, false) FROM pg_catalog.pg_settings " +
		"WHERE name IN (" + strings.Join(listed, ", ") +
		") AND source <> 'session' AND (context = 'user' OR (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = " +
		"current_user))", statement: ours})
}

// tidyAfter is tidy where a step may have done anything to the session, and
// nothing where it surely has not: tidying costs as much as half a small table.
func (r *run) tidyAfter(s Step) message {
	if s.code == nil && r.db.ready && !r.db.facts.EventTriggers && !slices.ContainsFunc(s.Statements, mayTouchSession) {
		return nil
	}
	return tidy(s.Statements)
}

// mayTouchSession reports whether a statement may leave the session another one. Event
// triggers are not considered here.
func mayTouchSession(s migration.Statement) bool {
	return s.Assert != nil || pgsql.MayTouchSession(s.Statement)
}
