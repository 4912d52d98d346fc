// Package rehearsal runs migrations on a throw-away server, against tables that are
// filled with rows, and observes what their statements do: which tables they lock
// and for how long, which they rewrite, of which they read the rows, and which
// statements the server refuses. Where that differs from what package lint read in
// the text, observation wins.
package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/sandbox"
	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Options say how to rehearse. The zero value is right for most.
type Options struct {
	// Lint are those of the judgement by text. Its Catalog and Down are not used.
	Lint lint.Options
	// Server is where to rehearse, in a database of its own; nil starts one.
	Server *devdb.Server
	// Sandbox is what that database has before the first migration.
	Sandbox devdb.Furnishing
	// Major is the version of the server to start; 0 is any.
	Major int
	// Rows is how many rows each table gets; 0, or less, is 200.
	Rows int
	// Scripts runs migrations that are not SQL. Without it, such a migration ends the
	// rehearsal: what comes after is judged by text alone.
	Scripts whimbrel.Runtime
	// Progress is told about work that takes seconds; may be nil.
	Progress func(message string)
	// Timeout is how long one migration may take; 0: as long as it likes. The
	// rehearsal ends early at one that takes longer.
	Timeout time.Duration
}

// Result is what a rehearsal gives.
type Result struct {
	Report       lint.Report        `json:"report"`
	Observations []lint.Observation `json:"observations"`
	// Stopped says why migrations from some point on were not rehearsed; empty if
	// all were.
	Stopped string `json:"stopped,omitempty"`
	// Server is the version on which it was run.
	Server string `json:"server"`
}

// Run is what happened, as lint.Linter.Merge wants it.
func (r Result) Run() lint.Run {
	return lint.Run{Observations: r.Observations, Stopped: r.Stopped}
}

// defaultRows is enough to tell a scan from none.
const defaultRows = 200

// zone is that of the rehearsal's sessions: one in which converting timestamps
// shows, as it would on servers that are not on UTC.
const zone = "America/New_York"

// Run judges migrations by their text and corrects the report by what a rehearsal
// shows. It runs all of them from the first on, those that are not judged
// (Options.Lint.Judge) without a look at what they do.
func Run(ctx context.Context, migrations []migration.Migration, options Options) (Result, error) {
	options.Lint.Catalog, options.Lint.Down = nil, false
	linter, err := lint.New(options.Lint)
	if err != nil {
		return Result{}, err
	}
	server := options.Server
	if server == nil {
		if server, err = start(ctx, options); err != nil {
			return Result{}, fmt.Errorf("starting a server for the rehearsal: %w", err)
		}
		defer func() { _ = server.Stop() }()
	}
	if options.Lint.Major == 0 {
		options.Lint.Major = server.Version().Major
		if linter, err = lint.New(options.Lint); err != nil {
			return Result{}, err
		}
	}
	report, err := linter.Check(migrations)
	if err != nil {
		return Result{}, err
	}
	s, drop, err := open(ctx, server, migrations, options)
	if err != nil {
		return Result{}, err
	}
	defer drop()
	result := Result{Server: server.Version().Version}
	result.Stopped, err = s.all(ctx, migrations)
	if err != nil {
		return Result{}, err
	}
	result.Observations = s.observations
	result.Report = linter.Merge(report, result.Run())
	return result, nil
}

// start starts a server, and meanwhile brings the parser to life: both take about a
// second.
func start(ctx context.Context, options Options) (*devdb.Server, error) {
	parser := options.Lint.Parser
	if parser == nil {
		parser = lint.PostgreSQL()
	}
	var alive sync.WaitGroup
	alive.Go(func() { _, _ = parser.Parse("SELECT 1") }) // what is wrong with it, the judgement says
	defer alive.Wait()
	return devdb.Start(ctx, devdb.Options{Major: options.Major, Progress: options.Progress})
}

// stage is the database in which a rehearsal takes place.
type stage struct {
	options      Options
	server       *devdb.Server
	drops        []func()              // of the databases that were made
	history      []migration.Migration // all that run here
	past         []migration.Migration
	second       bool // it may not be the first database on this server in which the migrations run
	url          string
	conn         *pgx.Conn
	filled       map[uint32]bool   // tables that got rows
	unfilled     map[uint32]string // tables that got none, and why
	invalid      []string          // indexes that are invalid by the migrations themselves
	listening    bool              // notices are kept
	notices      []*pgconn.Notice
	roles        []string // that were made up
	left         []string // statements that were left out, as their world is not here
	extensions   bool     // and extensions are among them
	observations []lint.Observation
}

func open(ctx context.Context, server *devdb.Server, migrations []migration.Migration,
	options Options) (*stage, func(), error) {
	if options.Rows <= 0 {
		options.Rows = defaultRows
	}
	url, drop, err := server.FreshDatabase(ctx)
	if err != nil {
		return nil, nil, err
	}
	s := &stage{
		options: options, server: server, drops: []func(){drop}, url: url,
		filled: map[uint32]bool{}, unfilled: map[uint32]string{}, second: server.Lent(), history: migrations,
	}
	if err := s.furnish(ctx); err != nil {
		drop()
		return nil, nil, err
	}
	if err := s.connect(ctx); err != nil {
		drop()
		return nil, nil, err
	}
	return s, func() { s.close(context.WithoutCancel(ctx)) }, nil
}

// close drops what was made on the server, as far as others do not use it.
func (s *stage) close(ctx context.Context) {
	_ = s.conn.Close(ctx)
	for _, drop := range s.drops {
		drop()
	}
	if len(s.roles) == 0 {
		return
	}
	if conn, err := dial.Connect(ctx, s.server.URL("postgres")); err == nil {
		defer func() { _ = conn.Close(ctx) }()
		for _, role := range s.roles {
			_, _ = conn.Exec(ctx, "DROP ROLE IF EXISTS "+pgx.Identifier{role}.Sanitize())
		}
	}
}

// furnish makes what the first migration is to find.
func (s *stage) furnish(ctx context.Context) error {
	config, err := pgx.ParseConfig(s.url)
	if err != nil {
		return err
	}
	created, err := sandbox.Furnish(ctx, config, sandbox.Program{Furnishing: s.options.Sandbox, Migrations: s.history})
	s.roles = append(s.roles, created...)
	return err
}

func (s *stage) connect(ctx context.Context) error {
	config, err := pgx.ParseConfig(s.url)
	if err != nil {
		return fmt.Errorf("connecting to the rehearsal's server: %w", err)
	}
	config.RuntimeParams["timezone"] = zone
	config.RuntimeParams["application_name"] = "whimbrel rehearsal"
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // which knows any standard_conforming_strings
	config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) {
		if s.listening {
			s.notices = append(s.notices, notice)
		}
	}
	conn, err := dial.Open(ctx, config)
	if err != nil { // the session before this one stays, to be closed
		return fmt.Errorf("connecting to the rehearsal's server: %w", err)
	}
	s.conn = conn
	return nil
}

// all runs migrations up to the first that cannot be, and says which that is.
func (s *stage) all(ctx context.Context, migrations []migration.Migration) (string, error) {
	for _, m := range migrations {
		judged := s.options.Lint.Judge == nil || s.options.Lint.Judge(m)
		err := s.limited(ctx, m, judged)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err != nil {
			said := strings.ReplaceAll(err.Error(), "\n", "; ")
			return fmt.Sprintf("the rehearsal ended early, at %s: %s", m.Path, said), nil
		}
		s.past = append(s.past, m)
	}
	return "", nil
}

// limited rehearses a migration for as long as one may take.
func (s *stage) limited(ctx context.Context, m migration.Migration, judged bool) error {
	if s.options.Timeout <= 0 {
		return s.migration(ctx, m, judged)
	}
	limited, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	err := s.migration(limited, m, judged)
	if err != nil && limited.Err() != nil {
		return fmt.Errorf("it took longer than %v", s.options.Timeout)
	}
	return err
}

func (s *stage) migration(ctx context.Context, m migration.Migration, judged bool) error {
	if m.Kind != migration.SQL {
		return s.script(ctx, m)
	}
	if !judged {
		_, _, err := s.run(ctx, m, 0, false)
		return err
	}
	if err := s.fill(ctx); err != nil {
		return err
	}
	observed, done, err := s.run(ctx, m, 0, true)
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || ctx.Err() != nil {
		s.observations = append(s.observations, observed...)
		return err
	}
	// The invented rows may be to blame: once more without rows, from the step on
	// that failed.
	if err := s.empty(ctx); err != nil {
		s.observations = append(s.observations, observed...)
		return err
	}
	again, _, failure := s.run(ctx, m, done, true)
	var r *refusal
	if errors.As(failure, &r) && ofData(r.err) && ctx.Err() == nil {
		// Without the rows that earlier migrations insert nothing is told by that.
		if again, failure, err = s.onFresh(ctx, m, again, failure); err != nil {
			return err
		}
	}
	s.observations = append(s.observations, withoutRows(observed, again)...)
	return failure
}

// ofData reports whether a refusal may be due to the rows that were there or not.
func ofData(refused *pgconn.PgError) bool {
	return strings.HasPrefix(refused.Code, "22") || strings.HasPrefix(refused.Code, "23")
}

// onFresh runs a migration in a database in which all before it have run and no row
// was invented. Where it succeeds there, the rehearsal goes on in that database. Where
// that database cannot be made, it is said of the failure that nothing follows of it.
func (s *stage) onFresh(ctx context.Context, m migration.Migration, again []lint.Observation,
	failure error) ([]lint.Observation, error, error) {
	url, drop, err := s.server.FreshDatabase(ctx)
	if err != nil {
		return again, failure, err
	}
	s.drops = append(s.drops, drop)
	other := &stage{
		options: s.options, server: s.server, url: url, filled: map[uint32]bool{}, unfilled: map[uint32]string{},
		roles: s.roles, second: true, history: s.history,
	}
	if err := other.furnish(ctx); err != nil {
		return again, failure, err
	}
	if err := other.connect(ctx); err != nil {
		return again, failure, err
	}
	for _, past := range s.past {
		if err = other.migration(ctx, past, false); err != nil {
			break
		}
	}
	if err != nil {
		_ = other.conn.Close(context.WithoutCancel(ctx))
		if last := len(again) - 1; ctx.Err() == nil && last >= 0 && again[last].Failure != nil {
			again[last].Failure.Outside = "the rows that earlier migrations insert were not there; whimbrel test runs it with them"
		}
		return again, failure, ctx.Err()
	}
	observed, _, failed := other.run(ctx, m, 0, true)
	s.conn, other.conn = other.conn, s.conn
	_ = other.conn.Close(context.WithoutCancel(ctx))
	s.url, s.filled, s.unfilled, s.roles, s.left, s.extensions, s.second = url, other.filled, other.unfilled, other.roles, other.left, other.extensions, true
	return observed, failed, nil
}

// script lets the engine run a migration that is not SQL, and removes what the engine
// keeps, which is not there where migrations are judged.
func (s *stage) script(ctx context.Context, m migration.Migration) error {
	if s.options.Scripts == nil {
		return errors.New("only migrations in SQL can be rehearsed here")
	}
	migrator, err := whimbrel.New(whimbrel.Config{
		Target:  whimbrel.Target{DatabaseURL: s.url},
		Project: whimbrel.Project{Migrations: []migration.Migration{m}, Scripts: s.options.Scripts},
	})
	if err != nil {
		return err
	}
	if _, err := migrator.Up(ctx, whimbrel.UpOptions{}); err != nil {
		return err
	}
	_, err = s.conn.Exec(ctx, "DROP TABLE public.schema_migrations, public.migration_lock, "+
		"public.schema_migrations_journal, public.schema_migrations_log")
	return err
}

// withoutRows puts what was observed on empty tables behind what had been observed
// on full ones before a statement failed.
func withoutRows(full, empty []lint.Observation) []lint.Observation {
	all := slices.DeleteFunc(slices.Clone(full), func(o lint.Observation) bool { return o.Failure != nil })
	for _, o := range empty {
		o.Empty = true
		same := func(f lint.Observation) bool { return f.Statement == o.Statement }
		if at := slices.IndexFunc(full, same); at >= 0 {
			o.WithRows = full[at].Failure
		}
		if at := slices.IndexFunc(all, same); at >= 0 && o.Failure != nil {
			all[at] = o
		} else if at < 0 {
			all = append(all, o)
		}
	}
	return all
}

// run runs a migration from one of its steps on, and observes it if that is asked.
// It ends with the first statement that fails, and says how many steps are done.
func (s *stage) run(ctx context.Context, m migration.Migration, from int,
	observe bool) (all []lint.Observation, done int, err error) {
	var before *picture
	if observe {
		if before, err = s.picture(ctx); err != nil {
			return nil, from, err
		}
	}
	sequence := m.Up.Steps()
	defer func() { err = errors.Join(err, s.tidy(ctx)) }()
	if err := s.enter(ctx, m, sequence[:from]); err != nil {
		return nil, from, err
	}
	for i := from; i < len(sequence); i++ {
		observed, err := s.attempt(ctx, m, sequence[i], before)
		all = append(all, observed...)
		if err != nil {
			return all, i, err
		}
	}
	return all, len(sequence), nil
}

// enter makes the session that of a migration of which steps are done: what a file says
// about its session holds to its end, as when the engine runs it.
func (s *stage) enter(ctx context.Context, m migration.Migration, done []migration.Step) error {
	for _, setting := range m.Settings {
		if _, err := s.conn.Exec(ctx, "SELECT set_config($1, $2, false)", pgx.QueryExecModeSimpleProtocol, setting.Name,
			setting.Value); err != nil {
			return err
		}
	}
	for _, step := range done {
		for _, statement := range step.Statements {
			changes, only := pgsql.SettingChanges(statement.Statement)
			if !only || statement.Class == pgsql.Alone || slices.ContainsFunc(changes,
				func(c pgsql.SettingChange) bool { return c.Local }) {
				continue
			}
			if err := s.execute(ctx, statement, &lint.Observation{}); err != nil {
				return err
			}
		}
	}
	return nil
}

// attempt runs a step. What is refused only because this server's world is smaller
// than the real one is made, or else left out, and the step is begun again.
func (s *stage) attempt(ctx context.Context, m migration.Migration, step migration.Step,
	before *picture) ([]lint.Observation, error) {
	left := map[int]*lint.Failure{}
	for {
		begun := before.clone()
		observed, err := s.step(ctx, m, step, begun, left)
		var r *refusal
		if !errors.As(err, &r) || ctx.Err() != nil {
			if before != nil {
				*before = *begun
			}
			return observed, err
		}
		if role := s.provide(ctx, r.err); role != "" {
			s.tell(m, step.Statements[r.statement-step.First], role)
			continue
		}
		why, ends, unclear := s.outside(ctx, r)
		if unclear != nil {
			return observed, unclear
		}
		if why == "" || ends {
			if len(observed) > 0 && why != "" {
				observed[len(observed)-1].Failure.Outside = why
			}
			return observed, err
		}
		left[r.statement] = &lint.Failure{SQLSTATE: r.err.Code, Message: r.err.Message, Outside: why}
	}
}

// step runs the statements of a step, without those that are left out.
func (s *stage) step(ctx context.Context, m migration.Migration, step migration.Step, before *picture,
	left map[int]*lint.Failure) (observed []lint.Observation, err error) {
	defer func() {
		if !s.conn.IsClosed() && s.conn.PgConn().TxStatus() != 'I' {
			_, rollback := s.conn.Exec(ctx, "ROLLBACK")
			err = errors.Join(err, rollback)
		}
	}()
	var held []lint.Lock
	for i, statement := range step.Statements {
		if i == step.Prelude && !step.Alone {
			if _, err := s.conn.Exec(ctx, "BEGIN"); err != nil {
				return observed, err
			}
		}
		o := lint.Observation{Version: m.Version, Statement: step.First + i, Failure: left[step.First+i]}
		if o.Failure == nil {
			err = s.statement(ctx, statement, before, held, &o)
		}
		if o.Rows != nil { // it was looked at
			held = append([]lint.Lock{}, o.Held...)
		}
		if o.Failure != nil || before != nil {
			observed = append(observed, o)
		}
		if err != nil {
			return observed, err
		}
	}
	if !step.Alone {
		if _, err := s.conn.Exec(ctx, "COMMIT"); err != nil {
			return observed, err
		}
	}
	return observed, nil
}

// statement runs one statement, and observes it if there is a picture to hold it
// against.
func (s *stage) statement(ctx context.Context, statement migration.Statement, before *picture, held []lint.Lock,
	o *lint.Observation) error {
	observe := before != nil
	if observe {
		if err := s.lookBefore(ctx, before, held); err != nil {
			return err
		}
	}
	began := time.Now()
	run := func() error { began = time.Now(); return s.execute(ctx, statement, o) }
	var err error
	if observe && len(statement.Text) < longestHeard && calling().MatchString(statement.Command) {
		err = s.listen(ctx, o, run)
	} else {
		err = run()
	}
	o.Milliseconds = float64(time.Since(began).Microseconds()) / 1000
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		o.Failure = &lint.Failure{SQLSTATE: refused.Code, Message: refused.Message}
		return &refusal{o.Statement, statement.Command, statement.Text, refused}
	}
	if err != nil || !observe {
		return err
	}
	return s.look(ctx, before, o, held)
}

// tidy puts the session back as it was when the migration ends.
func (s *stage) tidy(ctx context.Context) error {
	if s.conn.IsClosed() {
		return s.connect(ctx)
	}
	for _, sql := range []string{"RESET SESSION AUTHORIZATION", "RESET ROLE", "RESET ALL", "DISCARD TEMP"} {
		if _, err := s.conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// execute sends a statement as it is in the file. A batch runs once, for all
// keys; an assertion runs, whatever comes of it.
func (s *stage) execute(ctx context.Context, statement migration.Statement, o *lint.Observation) error {
	text := statement.Text
	if statement.Batch != nil {
		var err error
		if text, o.NotRun, err = s.wholeRange(ctx, statement); err != nil || o.NotRun != "" {
			return err
		}
	}
	if statement.Data != nil {
		_, err := s.conn.PgConn().CopyFrom(ctx, reader(*statement.Data), text)
		return err
	}
	_, err := s.conn.PgConn().Exec(ctx, text).ReadAll()
	return err
}

// picture is what there was before a migration.
type picture struct {
	tables  map[uint32]state
	columns map[string]bool
	read    map[uint32]counts // what the transaction had read when it was last looked
}

// state is a table in pg_class.
type state struct {
	name      lint.Name
	file      uint32
	rows      int64
	holdsRows bool // and not only its partitions
}

type counts struct{ read, changed int64 }

// clone is a copy for an attempt that may be rolled back.
func (p *picture) clone() *picture {
	if p == nil {
		return nil
	}
	return &picture{maps.Clone(p.tables), p.columns, maps.Clone(p.read)}
}

func (s *stage) picture(ctx context.Context) (*picture, error) {
	p := &picture{tables: map[uint32]state{}, columns: map[string]bool{}, read: map[uint32]counts{}}
	tables, err := s.tables(ctx)
	if err != nil {
		return nil, err
	}
	p.tables = tables
	p.columns, err = s.columns(ctx)
	return p, err
}

func (s *stage) tables(ctx context.Context) (map[uint32]state, error) {
	rows, err := s.conn.Query(ctx,
		`SELECT c.oid, n.nspname, c.relname, c.relfilenode, c.relkind IN ('r', 'm', 'f'), c.relkind = 'f' FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'`)
	if err != nil {
		return nil, err
	}
	all := map[uint32]state{}
	var oid, file uint32
	var name lint.Name
	var holdsRows, foreign bool
	_, err = pgx.ForEachRow(rows, []any{&oid, &name.Schema, &name.Object, &file, &holdsRows, &foreign}, func() error {
		if foreign {
			s.unfilled[oid] = "a foreign table gets no rows in a rehearsal"
		}
		all[oid] = state{name: name, file: file, holdsRows: holdsRows}
		return nil
	})
	return all, err
}

func (s *stage) columns(ctx context.Context) (map[string]bool, error) {
	rows, err := s.conn.Query(ctx, `SELECT n.nspname, c.relname, a.attname FROM pg_catalog.pg_attribute a
		JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
		  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'`)
	if err != nil {
		return nil, err
	}
	all := map[string]bool{}
	var name lint.Name
	var column string
	_, err = pgx.ForEachRow(rows, []any{&name.Schema, &name.Object, &column}, func() error {
		all[name.String()+"."+column] = true
		return nil
	})
	return all, err
}

// look compares what is there now with what was before, within the transaction.
func (s *stage) look(ctx context.Context, before *picture, o *lint.Observation, held []lint.Lock) error {
	if err := s.lookAtLocks(ctx, before, o, held); err != nil {
		return err
	}
	now, err := s.tables(ctx)
	if err != nil {
		return err
	}
	o.Rows, o.Read, o.Changed, o.Unfilled = map[string]int64{}, map[string]int64{}, map[string]int64{}, map[string]string{}
	o.Unseen = s.conn.PgConn().TxStatus() != 'T'
	names := map[string]bool{}
	for _, t := range now {
		names[t.name.String()] = true
	}
	for oid, was := range before.tables {
		if was.holdsRows {
			o.Rows[was.name.String()] = was.rows
		}
		if why := s.unfilled[oid]; was.holdsRows && was.rows == 0 && why != "" {
			o.Unfilled[was.name.String()] = why
		}
		is, there := now[oid]
		if there && is.file != was.file {
			o.Rewritten = append(o.Rewritten, was.name.String())
			was.file = is.file
			before.tables[oid] = was // so that the next statement is not blamed
		}
		if !names[was.name.String()] {
			o.Lost = append(o.Lost, "table "+was.name.String())
		}
	}
	columns, err := s.columns(ctx)
	if err != nil {
		return err
	}
	for column := range maps.Keys(before.columns) {
		if !columns[column] {
			o.Lost = append(o.Lost, "column "+column)
		}
	}
	return s.lookAtCounts(ctx, before, o)
}
