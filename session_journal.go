package whimbrel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// This file knows what of a session its statements do not tell: settings that a
// function changed, and temporary tables. The journal keeps their names.

// kept is what the journal keeps of the session as a step left it: names, never values.
type kept struct {
	// Changed are settings that something else than a statement about the session changed.
	Changed []string `json:"changed,omitempty"`
	// Temporary are temporary tables and views.
	Temporary []string `json:"temporary,omitempty"`
}

// changedSession is the piece that fails behind a pooler where a function has changed
// the session.
const changedSession = -3

// unlisted are settings that are ours, or that nobody can read.
const unlisted = "'{application_name,lock_timeout,idle_in_transaction_session_timeout,client_connection_check_interval,seed}'"

// snapshot is an expression: what is set in this session, as JSON, with custom settings,
// which the server does not list, by an expression for their names.
func snapshot(custom string) string {
	return "(SELECT pg_catalog.jsonb_object_agg(name, setting) FROM (SELECT name, setting FROM pg_catalog.pg_settings " +
		"WHERE source = 'session' AND name <> ALL (" +
		unlisted + ") UNION ALL SELECT name, nullif(pg_catalog.current_setting(name, true), '') FROM " +
		"pg_catalog.unnest('{role,session_authorization}' || pg_catalog.string_to_array(" +
		custom + ", ',')) AS name) AS settings)::text"
}

// snapshot is that of a chain, with settings of ours that the file says something about.
func (r *run) snapshot(p Planned, ours ...string) string {
	return snapshot(r.quote(strings.Join(slices.Concat(p.mentions.custom, ours), ",")))
}

func (p Planned) customNames() string { return strings.Join(p.mentions.custom, ",") }

// mayChangeSession reports whether a statement can change settings otherwise than a
// statement about the session does.
func mayChangeSession(s migration.Statement) bool {
	_, only := pgsql.SettingChanges(s.Statement)
	return !only && mayTouchSession(s)
}

// observe and observed stand around statements that may change settings. Behind them,
// whimbrel.changed lists those that they have changed and that nothing in the rest of
// the step sets; local ones end with the step.
func (r *run) observe(p Planned, local bool) piece {
	return r.call("whimbrel_look", strconv.FormatBool(local), p.customNames())
}

// looking is the template of observe.
func looking() template {
	return template{
		name: "whimbrel_look", types: []string{"bigint", "boolean", "text"},
		sql: "SELECT pg_catalog.set_config('whimbrel.before', " + snapshot("$3") + ", $2)",
	}
}

func (r *run) observed(p Planned, of, rest []migration.Statement) message {
	var except []string
	for _, s := range of {
		except = append(except, setLocally(s.Text)...)
	}
	for _, s := range rest {
		changes, _ := pgsql.SettingChanges(s.Statement)
		for _, c := range changes {
			except = append(except, c.Name)
		}
	}
	names := fmt.Sprintf("(SELECT pg_catalog.string_agg(key, ',') FROM (SELECT coalesce(b.key, n.key) AS key FROM "+
		"pg_catalog.jsonb_each_text(nullif(pg_catalog.current_setting('whimbrel.before', true), '')::jsonb) b FULL JOIN "+
		"pg_catalog.jsonb_each_text(%s::jsonb) n ON b.key = n.key "+
		"WHERE b.value IS DISTINCT FROM n.value) AS changed WHERE key <> ALL (ARRAY[%s]::text[]))", r.snapshot(p),
		r.quoted(except))
	if r.db.facts.behindPool {
		return message{{text: "SELECT ('changed: ' || " + names + ")::integer", statement: changedSession}}
	}
	return message{{text: "SELECT pg_catalog.set_config('whimbrel.changed', pg_catalog.concat_ws(',', " +
		"nullif(pg_catalog.current_setting('whimbrel.changed', true), ''), " +
		names + "), true)", statement: ours}}
}

func (r *run) quoted(names []string) string {
	var all []string
	for _, name := range names {
		if name != "" {
			all = append(all, r.quote(name))
		}
	}
	return strings.Join(all, ", ")
}

var (
	localConfig  = plaintext.Pattern(`(?s)set_config\s*\(\s*'([^']+)'[^;]*?,\s*true\s*\)`)
	localSetting = plaintext.Pattern(`\bset\s+local\s+([a-z_.]+)`)
)

// setLocally lists what a text, as of a DO block, sets for its transaction.
func setLocally(text string) []string {
	var names []string
	text = strings.ToLower(text)
	for _, found := range append(localConfig().FindAllStringSubmatch(text, -1), localSetting().FindAllStringSubmatch(text,
		-1)...) {
		names = append(names, found[1])
	}
	return names
}

// noteSession prepares what the journal keeps of the session, while it is the file's.
func (r *run) noteSession(p Planned) piece {
	var gone []string
	for _, s := range p.Steps {
		for _, statement := range s.Statements {
			if name, atCommit := pgsql.Temporary(statement.Statement); atCommit {
				gone = append(gone, name)
			}
		}
	}
	return piece{text: fmt.Sprintf("SELECT pg_catalog.set_config('whimbrel.session', "+
		"nullif(pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object("+
		"'changed', pg_catalog.to_jsonb(pg_catalog.string_to_array(nullif(pg_catalog.current_setting('whimbrel.changed', "+
		"true), ''), ',')), "+
		"'temporary', CASE WHEN pg_catalog.pg_my_temp_schema() <> 0 THEN (SELECT pg_catalog.jsonb_agg(relname) FROM "+
		"pg_catalog.pg_class "+
		"WHERE relnamespace = pg_catalog.pg_my_temp_schema() AND relkind IN ('r', 'p', 'v', 'S') AND relname <> ALL "+
		"(ARRAY[%s]::text[])) END))::text, '{}'), true)", r.quoted(gone)), statement: ours}
}

// explained refuses to go on in a new session where that would not be what the steps
// that are done have left: a setting that the file does not tell, or a temporary table.
func (p Planned) explained() error {
	changed := map[string]Step{}
	var last Step
	for _, s := range p.Steps {
		if !s.Done {
			break
		}
		for _, statement := range s.Statements {
			changes, _ := pgsql.SettingChanges(statement.Statement)
			for _, c := range changes {
				if c.Name == "" {
					clear(changed)
				} else if !c.Local {
					delete(changed, c.Name)
				}
			}
		}
		for _, name := range s.kept.Changed {
			changed[name] = s
		}
		last = s
	}
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		s := changed[name]
		return p.lost(s, 0, fmt.Sprintf("step %d changed the setting %q for its session by a function, and that session is "+
			"gone: the steps after it would run under another value", s.Number, name))
	}
	for _, name := range last.kept.Temporary {
		if at, i, needed := p.needs(name, last.Number); needed {
			return p.lost(at, i, fmt.Sprintf("step %d needs %q, which step %d or one before it made for its session, and that "+
				"session is gone", at.Number, name, last.Number))
		}
	}
	return nil
}

// needs finds the first statement behind a step that speaks of what was made for the
// session, unless another makes it again before.
func (p Planned) needs(name string, behind int) (Step, int, bool) {
	for _, s := range p.Steps {
		for i, statement := range s.Statements {
			if s.Number <= behind || !pgsql.Names(statement.Text, name) {
				continue
			}
			made, _ := pgsql.Temporary(statement.Statement)
			return s, i, made != name
		}
	}
	return Step{}, 0, false
}

func (p Planned) lost(s Step, statement int, message string) error {
	return p.at(s, statement, &Error{
		Code: CodeJournal, Message: message, Direction: p.Direction,
		Remedy: "begin again, or take it back: Migrator.Recover shows both; SET as a statement of the file, and an " +
			"ordinary table, would have outlived the session",
	})
}

// at fills in the migration, and the place of a statement in it.
func (p Planned) at(s Step, statement int, e *Error) *Error {
	e = e.of(p)
	if statement < len(s.Statements) {
		e.at(p, s, &failure{statement: statement, offset: -1})
	}
	return e
}

// changedBehindPool explains the failure of a step behind a pooler in which a function
// has changed the session.
func changedBehindPool(err error) *Error {
	var f *failure
	var refused *pgconn.PgError
	if !errors.As(err, &f) || f.statement != changedSession || !errors.As(err, &refused) || refused.Code != "22P02" {
		return nil
	}
	_, names, _ := strings.Cut(strings.TrimSuffix(refused.Message, `"`), "changed: ")
	return &Error{
		Code: CodeUnsupported, Message: "a function in this step changes for its session: " + strings.ReplaceAll(names, ",",
			", ") + "; behind a transaction pooler the steps after it would not see that",
		Remedy: "write SET … as a statement of the file, or run the migration over a direct connection",
	}
}

// promote makes what a hook has set for its transaction hold for the whole chain.
func (r *run) promote(p Planned, hook Step) message {
	var timeouts []string
	for _, statement := range hook.Statements {
		changes, _ := pgsql.SettingChanges(statement.Statement)
		for _, c := range changes {
			if c.Name == "lock_timeout" || c.Name == "idle_in_transaction_session_timeout" {
				timeouts = append(timeouts, c.Name)
			}
		}
	}
	taken := r.snapshot(p, timeouts...)
	m := message{{text: "SELECT pg_catalog.set_config('whimbrel.promoted', " + taken + ", true)", statement: ours}}
	m = append(m, asOurRole(p)...)
	return append(m, adopt(p, "pg_catalog.current_setting('whimbrel.promoted')")...)
}

// adopt makes the settings of a snapshot those of the session.
func adopt(p Planned, snapshot string) message {
	of := func(name string) piece {
		return piece{text: fmt.Sprintf("SELECT pg_catalog.set_config('%s', %s::jsonb ->> '%[1]s', false)", name, snapshot),
			statement: ours}
	}
	m := message{{text: "SELECT pg_catalog.set_config(key, value, false) FROM pg_catalog.jsonb_each_text(" + snapshot +
		"::jsonb) WHERE value IS NOT NULL AND key <> ALL ('{role,session_authorization}')", statement: ours}}
	if p.mentions.authorization {
		m = append(m, of("session_authorization"))
	}
	return append(m, of("role"))
}

// shared reads the session of a chain for the other connections of the same run. Alone
// is set where a step needs a temporary table, which no other connection has.
func (r *run) shared(ctx context.Context, p Planned, s Step) (settings string, alone bool, err error) {
	if !r.keepsSession(p) {
		return "", false, nil
	}
	var timeouts, temporary []string
	if p.mentions.lockTimeout {
		timeouts = append(timeouts, "lock_timeout")
	}
	if p.mentions.idle {
		timeouts = append(timeouts, "idle_in_transaction_session_timeout")
	}
	err = r.db.conn.QueryRow(ctx, "SELECT "+r.snapshot(p, timeouts...)+
		", ARRAY(SELECT relname::text FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema())").Scan(
		&settings, &temporary)
	for _, statement := range s.Body() {
		alone = alone || slices.ContainsFunc(temporary, func(name string) bool { return pgsql.Names(statement.Text, name) })
	}
	return settings, alone, err
}

// share takes over what shared has read.
func (r *run) share(ctx context.Context, p Planned, settings string) error {
	if settings == "" {
		return nil
	}
	_, err := send(ctx, r.db.conn.PgConn(), adopt(p, r.quote(settings)))
	return err
}

// parseKept reads what the journal keeps of a session.
func parseKept(text string) kept {
	var k kept
	_ = json.Unmarshal([]byte(text), &k) // what is there is ours; an older program wrote nothing
	return k
}
