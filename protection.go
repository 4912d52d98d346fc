package whimbrel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/internal/pause"
)

// Protection is what a database says of itself: whether it is one whose data must not
// be changed lightly. The mark is a row of a table of whimbrel's with the identity of
// the database, so it is seen no matter who connects, by whatever name, and whichever
// history they use; a copy of the database has another identity, and is not protected.
type Protection struct {
	State ProtectionState `json:"state"`
	// Name is what the database was marked as: an environment, as a rule.
	Name string `json:"name,omitempty"`
	// Since and By are of the mark.
	Since time.Time `json:"since,omitzero"`
	By    string    `json:"by,omitempty"`
	// Detail says more, where there is more to be said.
	Detail string `json:"detail,omitempty"`
}

// ProtectionState is whether a database is protected.
type ProtectionState string

// The states of protection.
const (
	Unprotected ProtectionState = "off"
	Protected   ProtectionState = "on"
	// CopiedProtection is of a database that was copied or restored from a protected
	// one: the mark in it is the other one's.
	CopiedProtection ProtectionState = "copied"
)

// AllowProtected is a Config.OnProtected that allows every change. What would have
// been refused without it is in the log.
func AllowProtected(context.Context, Protection, Plan) error { return nil }

// Protection tells whether the database is protected. It only reads.
func (m *Migrator) Protection(ctx context.Context) (Protection, error) {
	db, err := m.connect(ctx)
	if err != nil {
		return Protection{}, err
	}
	defer db.close()
	return m.protection(ctx, db)
}

// Protect marks the database as protected, under a name for people, and notes that in
// the log. From then on nothing is taken away from it (see Plan.Loses) unless
// Config.OnProtected allows it.
func (m *Migrator) Protect(ctx context.Context, name string) (Protection, error) {
	db, err := m.connectForMark(ctx)
	if err != nil {
		return Protection{}, err
	}
	defer db.close()
	if err := m.mark(ctx, db, name); err != nil {
		return Protection{}, err
	}
	return m.protection(ctx, db)
}

// Unprotect takes every mark off the database, and notes that in the log. It gives what
// there was before.
func (m *Migrator) Unprotect(ctx context.Context) (Protection, error) {
	db, err := m.connectForMark(ctx)
	if err != nil {
		return Protection{}, err
	}
	defer db.close()
	before, err := m.protection(ctx, db)
	if err != nil || len(db.facts.Marks) == 0 {
		return before, err
	}
	statements := []string{m.markBudget()}
	for _, schema := range db.facts.Marks {
		statements = append(statements, "DELETE FROM "+schema+"."+markTable)
	}
	statements = append(statements, m.logProtection(db, "unprotect", before.Name))
	if err := m.runMark(ctx, db, statements); err != nil {
		return before, m.serverError(ctx, "taking the mark off", err)
	}
	return before, nil
}

// markTable is where the mark is kept, in the schema of a history. Its name does not
// depend on that of the history, so that it is found from every other one.
const markTable = "whimbrel_protection"

// connectForMark connects, and makes sure of our tables: the log is one of them.
func (m *Migrator) connectForMark(ctx context.Context) (*database, error) {
	db, err := m.connect(ctx)
	if err != nil {
		return nil, err
	}
	if _, err = m.read(ctx, db, withoutDownMigrations); err == nil && db.facts.Recovery {
		err = &Error{
			Code: CodeReadOnly, Message: "the server " + m.database() +
				" is a replica, or still recovering: it cannot be marked",
			Remedy: "connect to the primary: its replicas get the mark from it",
		}
	}
	if err == nil {
		err = m.prepare(ctx, db)
	}
	if err != nil {
		db.close()
		return nil, err
	}
	return db, nil
}

// mark writes the mark, in place of an older one in the same schema.
func (m *Migrator) mark(ctx context.Context, db *database, name string) error {
	i, err := db.identify(ctx)
	if err != nil {
		return m.serverError(ctx, "asking which database this is", err)
	}
	table := pgx.Identifier{db.tables.schema, markTable}.Sanitize()
	err = m.runMark(ctx, db, []string{
		m.markBudget(),
		`CREATE TABLE IF NOT EXISTS ` + table + ` (
	id integer PRIMARY KEY DEFAULT 1 CHECK (id = 1),
	name varchar(255) NOT NULL,
	system_identifier text NOT NULL,
	database_oid bigint NOT NULL,
	database_name text NOT NULL,
	protected_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	protected_by varchar(255)
)`,
		// Every role must see it; who may not write to it cannot take it off.
		"GRANT SELECT ON " + table + " TO PUBLIC",
		fmt.Sprintf(
			`INSERT INTO %s AS m (id, name, system_identifier, database_oid, database_name, protected_by) VALUES (1, %s, %s, %d, %s, %s)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, system_identifier = excluded.system_identifier, database_oid = excluded.database_oid,
	database_name = excluded.database_name, protected_at = excluded.protected_at, protected_by = excluded.protected_by`,
			table, quoted(db.conn, clip(name)), quoted(db.conn, i.System), i.OID, quoted(db.conn, i.Name), quoted(db.conn,
				clip(m.identity.String()))),
		m.logProtection(db, "protect", name),
	})
	if err != nil {
		return m.serverError(ctx, "marking the database as protected", err)
	}
	if schema := (pgx.Identifier{db.tables.schema}).Sanitize(); !slices.Contains(db.facts.Marks, schema) {
		db.facts.Marks = append(db.facts.Marks, schema)
	}
	return nil
}

// quoted is a literal that is never NULL.
func quoted(conn *pgx.Conn, text string) string {
	if text == "" {
		return "''"
	}
	return literal(conn, text)
}

// markBudget keeps live traffic from waiting, as where our other tables are made.
func (m *Migrator) markBudget() string {
	return fmt.Sprintf("SELECT pg_catalog.set_config('client_min_messages', 'warning', true), "+
		"pg_catalog.set_config('lock_timeout', '%d', true)",
		m.config.MaxStall.Milliseconds())
}

// runMark runs statements as one transaction. Sessions that make the table at the same
// time collide in the catalog; the one that came late tries again.
func (m *Migrator) runMark(ctx context.Context, db *database, statements []string) error {
	deadline := time.Now().Add(m.config.RetryBudget)
	for attempt := 1; ; attempt++ {
		_, err := db.conn.PgConn().Exec(ctx, strings.Join(statements, separator)).ReadAll()
		var refused *pgconn.PgError
		again := errors.As(err, &refused) && slices.Contains([]string{"23505", "42P07", "40P01", "40001", "55P03", "XX000"},
			refused.Code)
		if !again || time.Now().After(deadline) {
			return err
		}
		if err := pause.For(ctx, pause.Backoff(attempt)); err != nil {
			return err
		}
	}
}

// logProtection is the statement that notes in the log what was done about protection.
func (m *Migrator) logProtection(db *database, action, name string) string {
	who := m.identity
	text := func(value string) string { return quoted(db.conn, clip(value)) }
	return "INSERT INTO " + db.tables.log + " (action, outcome, name, run_by, host, tool_version) VALUES ('" + action +
		"', 'done', " +
		strings.Join([]string{text(name), text(who.String()), text(who.host), text(who.tool)}, ", ") + ")"
}

// protection reads the marks that the first look has found.
func (m *Migrator) protection(ctx context.Context, db *database) (Protection, error) {
	found := Protection{State: Unprotected}
	if len(db.facts.Marks) == 0 {
		return found, nil
	}
	here, err := db.identify(ctx)
	if err != nil {
		return found, m.serverError(ctx, "asking which database this is", err)
	}
	for _, schema := range db.facts.Marks {
		p, err := m.readMark(ctx, db, schema, here)
		if err != nil {
			return found, err
		}
		if p.State == Protected {
			return p, nil
		}
		if p.State == CopiedProtection {
			found = p
		}
	}
	return found, nil
}

// readMark reads one mark. Where this role may not, there is one for all it knows.
func (m *Migrator) readMark(ctx context.Context, db *database, schema string, here Identity) (Protection, error) {
	var p Protection
	var of Identity
	err := db.conn.QueryRow(ctx, "SELECT name, system_identifier, database_oid, database_name, protected_at, "+
		"coalesce(protected_by, '') FROM "+
		schema+"."+markTable+" WHERE id = 1").Scan(&p.Name, &of.System, &of.OID, &of.Name, &p.Since, &p.By)
	var refused *pgconn.PgError
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Protection{State: Unprotected}, nil
	case errors.As(err, &refused) && refused.Code == "42501":
		return Protection{State: Protected, Detail: "this role may not read " + schema + "." + markTable +
			", so the database counts as protected"}, nil
	// dropped this moment, or somebody else's
	case errors.As(err, &refused) && (refused.Code == "42P01" || refused.Code == "42703"):
		return Protection{State: Unprotected}, nil
	case err != nil:
		return p, m.serverError(ctx, "reading whether the database is protected", err)
	}
	p.State = Protected
	if !of.isSame(here) {
		p.State, p.Detail = CopiedProtection, fmt.Sprintf("the mark is of the database %s, which this one was copied or "+
			"restored from", of.Name)
	} else if here.System == "" || of.System == "" {
		p.Detail = "the server keeps its identity from this role, so the database is known by its oid alone"
	}
	return p, nil
}

// isSame reports whether a mark's identity is that of the database at hand. A replica
// that was promoted, or any other physical copy, has the identity of its original.
func (i Identity) isSame(here Identity) bool {
	return i.OID == here.OID && (i.System == here.System || i.System == "" || here.System == "")
}

// String is what a protected database is called in messages.
func (p Protection) String() string {
	if p.Name == "" {
		return "the database"
	}
	return "the database (" + p.Name + ")"
}

// permission is what execute has learnt about a plan on a protected database.
type permission struct {
	Protection
	asked   bool // Config.OnProtected was called, and allowed it
	against bool // it would have been refused by default
}

// Loses says what a plan takes away that is not got back by running it again, as a word
// for what its migrations would be, like "rolled back"; "" where it takes nothing away.
// It decides what is not done to a protected database unless somebody allows it. It is
// known of the plan that Config.OnProtected is asked about, and of no other.
func (p Plan) Loses() string { return p.loses }

// loss finds out what Loses says of a plan on a history with so many migrations.
func (p Plan) loss(recorded int) string {
	for _, one := range p.Migrations {
		switch {
		case one.Action == ActionForget:
			return "taken off the history"
		case one.Direction == Down:
			return "rolled back"
		case one.Action == RecoverRestart || one.Action == RecoverDiscard:
			return "forgotten"
		case one.Action == ActionAccept:
			return "accepted as its file is now"
		case one.Action == ActionBaseline && recorded > 0:
			return "recorded without being run" // and is never run
		}
	}
	return ""
}

// permit decides whether a plan may be run on the database as far as protection goes.
func (r *run) permit(ctx context.Context, plan Plan) (permission, error) {
	var p permission
	var err error
	if p.Protection, err = r.m.protection(ctx, r.db); err != nil {
		return p, err
	}
	known := p.Protection
	if known.State != Protected && r.m.config.Protect != "" {
		known = Protection{State: Protected, Name: r.m.config.Protect}
	}
	if known.State != Protected {
		return p, nil
	}
	plan.loses = plan.loss(r.result.Before)
	p.against = plan.loses != ""
	if r.m.config.OnProtected != nil {
		r.db.close() // anyone who is asked may take long
		p.asked = true
		if err := r.m.config.OnProtected(ctx, known, plan); err != nil {
			return p, &declined{cause: err}
		}
		return p, nil
	}
	if p.against {
		return p, &Error{
			Code: CodeProtected, Message: fmt.Sprintf("%s is protected, so nothing was %s", known, plan.loses),
			Detail: known.Detail,
			Remedy: "if that is what you want, allow it by Config.OnProtected, or take the protection off with " +
				"Migrator.Unprotect",
		}
	}
	return p, nil
}

// declined is a run that Config.OnProtected did not allow. Nobody is told of it: it has
// not begun.
type declined struct{ cause error }

func (d *declined) Error() string { return d.cause.Error() }

// planAgain connects and plans again after somebody was asked.
func (r *run) planAgain(ctx context.Context, goal Goal, answer error) (state, Plan, error) {
	if answer != nil {
		return state{}, Plan{}, answer
	}
	db, s, err := r.m.start(ctx, goal.need())
	if err != nil {
		return s, Plan{}, err
	}
	r.db = db
	planned, err := s.decide(goal.plan)
	return s, planned, err
}

// notePermission writes down, under the lease, what has to be: the mark of a database
// that is known to be protected and does not say so yet, and that a rule was
// overridden.
func (r *run) notePermission(ctx context.Context, p permission) error {
	if p.State == CopiedProtection && r.m.config.Protect == "" {
		r.m.emit(ProtectionNoted{Protection: p.Protection})
	}
	if name := r.m.config.Protect; name != "" && p.State != Protected {
		noted := ProtectionNoted{Protection: Protection{State: Protected, Name: name}}
		if err := r.m.mark(ctx, r.db, name); err != nil { // as a role that may make no table
			if lostConnection(ctx, err) || ctx.Err() != nil {
				return err
			}
			noted.Protection = Protection{State: Unprotected, Name: name, Detail: "the mark could not be written: " +
				asError(err, CodeInternal).Message}
		}
		r.m.emit(noted)
	}
	if !p.asked || !p.against {
		return nil
	}
	if err := r.m.runMark(ctx, r.db, []string{r.m.logProtection(r.db, "override",
		cmp.Or(p.Name, r.m.config.Protect))}); err != nil {
		return r.m.serverError(ctx, "noting that a protected database is changed", err)
	}
	return nil
}
