package whimbrel

import (
	"bytes"
	"cmp"
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Frozen is a plan of Up to be kept and handed to a later Up (UpOptions.Frozen),
// with everything that it was made from: which database it was, what its history
// said, and what the files did. It is a value to be written as JSON.
//
// An Up that is given one runs exactly these migrations in this order, or changes
// nothing and says what has moved since, as an *Error of the code CodePlanStale.
// That is held against the history and the files under the lease, so that nothing
// can slip in between. What an earlier run of the same plan has done is not done
// again: after a crash, the same Up goes on.
type Frozen struct {
	Format   int       `json:"format"` // formatOfFrozen
	MadeAt   time.Time `json:"made_at"`
	Tool     string    `json:"tool_version"`
	Database Identity  `json:"database"`
	// The policies that the plan was made with hold for the run as well.
	OutOfOrder   OutOfOrder `json:"out_of_order"`
	AllowMissing bool       `json:"allow_missing,omitempty"`
	Tags         []string   `json:"tags,omitempty"`
	// History are the rows of the history, in the order in which they were applied.
	History []FrozenRow `json:"history"`
	// Migrations are what is to run, in order; Left are pending and not part of it.
	Migrations []FrozenMigration `json:"migrations"`
	Left       []FrozenMigration `json:"left,omitempty"`
	// Hooks are those that run with it.
	Hooks []FrozenHook `json:"hooks,omitempty"`
	// Values proves that variables have the values that they had, and tells nothing of
	// them; nil where no statement asks for one.
	Values *Proof `json:"values,omitempty"`
	// Fingerprint is a hash of everything above.
	Fingerprint string `json:"fingerprint"`
}

// Identity tells databases apart.
type Identity struct {
	Name string `json:"name"`
	OID  uint32 `json:"oid"`
	// System is the cluster's own identifier; empty where the server does not tell.
	System string `json:"system_identifier,omitempty"`
	Table  string `json:"table"` // the history's, with its schema
}

// FrozenRow is a row of the history. Its ID shows that a migration was taken back
// and applied again.
type FrozenRow struct {
	ID       int64             `json:"id"`
	Version  migration.Version `json:"version"`
	Checksum string            `json:"checksum,omitempty"`
}

// FrozenMigration is a migration that was pending. Steps, of those that are to run,
// are hashes of what its steps do: they also change with what a script imports.
type FrozenMigration struct {
	Version  migration.Version `json:"version"`
	Name     string            `json:"name"`
	Path     string            `json:"path,omitempty"`
	Checksum string            `json:"checksum,omitempty"`
	Steps    []string          `json:"steps,omitempty"`
}

// FrozenHook is a hook as it was.
type FrozenHook struct {
	Name     string `json:"name"` // "before_run"
	Path     string `json:"path,omitempty"`
	Checksum string `json:"checksum"`
}

// Proof is a hash of the values of variables. It has a salt and takes long to make, so
// that guessing is no way to the values.
type Proof struct {
	Of   []string `json:"of"` // their names
	Salt []byte   `json:"salt"`
	Hash []byte   `json:"hash"`
}

// Moves are the ways in which a database or the files are not any more what a plan
// was frozen for. It is found with errors.As in an error of the code CodePlanStale.
type Moves []Move

// Move is one of them.
type Move struct {
	Kind    MoveKind          `json:"kind"`
	Version migration.Version `json:"version,omitempty"`
	Path    string            `json:"path,omitempty"`
	Message string            `json:"message"`
}

// MoveKind says what has moved.
type MoveKind string

// The kinds of moves.
const (
	MovedDatabase MoveKind = "database" // it is another one, or another history table
	MovedHistory  MoveKind = "history"  // migrations were applied, taken back or recorded otherwise
	MovedFile     MoveKind = "file"     // a file was edited, or is gone
	MovedPending  MoveKind = "pending"  // a migration is new
	MovedSteps    MoveKind = "steps"    // the same file comes to other steps
	MovedHooks    MoveKind = "hooks"    // a hook was edited, is new, or is gone
	MovedValues   MoveKind = "values"   // a variable has another value
)

// Error gives all moves in one line.
func (m Moves) Error() string {
	var all []string
	for _, move := range m {
		all = append(all, move.Message)
	}
	return strings.Join(all, "; ")
}

// formatOfFrozen is the form of what ParseFrozen reads.
const formatOfFrozen = 1

// Freeze gives what Up would run, as PlanUp does, and the same as a value to keep.
// It only reads. UpOptions.Frozen must not be set.
func (m *Migrator) Freeze(ctx context.Context, options UpOptions) (Plan, Frozen, error) {
	if err := atLeastZero("Steps", options.Steps); err != nil {
		return Plan{}, Frozen{}, err
	}
	var frozen Frozen
	plan, err := m.plan(ctx, andWhichDatabase, func(s state) (Plan, error) {
		plan, err := planUp(s, options)
		frozen = freeze(s, plan)
		return plan, err
	})
	if err != nil {
		return Plan{}, Frozen{}, err
	}
	frozen.MadeAt, frozen.Tool = time.Now().UTC().Truncate(time.Second), m.config.ToolVersion
	frozen.Fingerprint = frozen.fingerprint()
	return plan, frozen, nil
}

// freeze puts down what a plan was made from.
func freeze(s state, plan Plan) Frozen {
	f := Frozen{
		Format: formatOfFrozen, Database: s.identity, OutOfOrder: s.policy, AllowMissing: s.allowMissing,
		Tags: s.tags, History: []FrozenRow{}, Migrations: []FrozenMigration{}, Hooks: s.frozenHooks(), Values: prove(nil,
			s.asksFor(plan), s.variables),
	}
	for _, a := range s.applied {
		f.History = append(f.History, FrozenRow{ID: a.ID, Version: a.Version, Checksum: a.Checksum})
	}
	runs := map[migration.Version]bool{}
	for _, p := range plan.Migrations {
		entry := frozenMigration(p.Migration)
		entry.Steps = p.hashes()
		f.Migrations = append(f.Migrations, entry)
		runs[p.Migration.Version.Canonical()] = true
	}
	for _, m := range s.unapplied() {
		if !runs[m.Version.Canonical()] {
			f.Left = append(f.Left, frozenMigration(m))
		}
	}
	return f
}

func frozenMigration(m migration.Migration) FrozenMigration {
	return FrozenMigration{Version: m.Version, Name: m.Name, Path: m.Path, Checksum: m.Checksum}
}

func (s state) frozenHooks() (all []FrozenHook) {
	for _, hook := range s.hooks.All() {
		all = append(all, FrozenHook{Name: hook.Name, Path: hook.Path, Checksum: hook.Checksum})
	}
	return all
}

// hashes are those of the steps, shortened: they only have to differ.
func (p Planned) hashes() []string {
	var all []string
	for _, s := range p.Steps {
		all = append(all, s.hash()[:16])
	}
	return all
}

// prove makes a proof of the values of variables, with a salt of its own unless one
// is given; nil if there are none.
func prove(salt []byte, names []string, values map[string]string) *Proof {
	if len(names) == 0 {
		return nil
	}
	if salt == nil {
		salt = make([]byte, 16)
		_, _ = rand.Read(salt) // which never fails
	}
	var text strings.Builder
	for _, name := range names {
		fmt.Fprintf(&text, "%q=%q\n", name, values[name])
	}
	hash, err := pbkdf2.Key(sha256.New, text.String(), salt, 200_000, sha256.Size)
	if err != nil {
		panic("whimbrel: no proof can be made: " + err.Error()) // its arguments are fixed
	}
	return &Proof{Of: names, Salt: salt, Hash: hash}
}

// asksFor gives the names of the variables that a plan's files and the hooks ask for.
func (s state) asksFor(p Plan) []string {
	files := s.hooks.All()
	for _, planned := range p.Migrations {
		files = append(files, planned.Migration)
	}
	var names []string
	for _, file := range files {
		for _, v := range file.Variables {
			names = append(names, v.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// unapplied lists the files that the history does not have, oldest first.
func (s state) unapplied() []migration.Migration {
	applied := s.appliedVersions()
	var all []migration.Migration
	for _, m := range s.migrations {
		if _, done := applied[m.Version.Canonical()]; !done {
			all = append(all, m)
		}
	}
	stale, err := s.stale()
	for _, one := range stale {
		if err == nil { // else the plan fails with it
			all = append(all, one.Migration)
		}
	}
	return all
}

// fingerprint is a hash of the plan in its written form.
func (f Frozen) fingerprint() string {
	f.Fingerprint = ""
	text, err := json.Marshal(f)
	if err != nil {
		panic("whimbrel: a frozen plan cannot be written: " + err.Error()) // it is made of texts and numbers
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// ParseFrozen reads what was written as JSON. The text may have more members than
// those of Frozen. Path names it in errors, which have the code CodeMalformed.
func ParseFrozen(path, text string) (Frozen, error) {
	wrong := func(at int64, message string) error {
		place := pgsql.PositionAt(text, int(min(at, int64(len(text)))))
		return &Error{
			Code: CodeMalformed, Path: path, Line: place.Line, Column: place.Column,
			Message: message, Remedy: "make it again with `whimbrel plan --out`, and do not edit it",
		}
	}
	var f Frozen
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	err := decoder.Decode(&f)
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return Frozen{}, wrong(max(syntax.Offset-1, 0), "invalid JSON: "+syntax.Error())
	case errors.As(err, &mismatch):
		return Frozen{}, wrong(mismatch.Offset, fmt.Sprintf("this is not a frozen plan: %s is a %s", mismatch.Field,
			mismatch.Value))
	case err != nil:
		return Frozen{}, wrong(decoder.InputOffset(), "this is not a frozen plan: "+err.Error())
	case f.Format == 0:
		return Frozen{}, wrong(0, "this is not a frozen plan: it has no format")
	case f.Format != formatOfFrozen:
		return Frozen{}, wrong(0, fmt.Sprintf("the plan has format %d, and this version of whimbrel reads format %d",
			f.Format, formatOfFrozen))
	case f.Fingerprint != f.fingerprint():
		return Frozen{}, wrong(0, "the plan was edited or damaged: it does not have its own fingerprint")
	}
	return f, nil
}

// planFrozen plans the rest of a frozen plan, or says what has moved.
func planFrozen(s state, f Frozen) (Plan, error) {
	s.policy, s.allowMissing, s.tags = f.OutOfOrder, f.AllowMissing, f.Tags
	s.objects = nil // what a repeatable migration has lost since is no other plan
	done, moves := f.history(s)
	moves = append(f.place(s.identity), moves...)
	rest := f.Migrations[min(done, len(f.Migrations)):]
	moves = append(moves, f.files(s, rest)...)
	if len(rest) > 0 {
		moves = append(moves, f.hooks(s)...)
		moves = append(moves, f.values(s)...)
	}
	if len(moves) > 0 {
		return Plan{}, moved(moves)
	}
	if len(rest) == 0 {
		return Plan{}, nil
	}
	plan, err := planUp(s, UpOptions{Steps: len(rest)})
	if err != nil {
		return Plan{}, err
	}
	for i, want := range rest {
		p := Planned{}
		if i < len(plan.Migrations) {
			p = plan.Migrations[i]
		}
		if !p.Migration.Version.Equal(want.Version) || !slices.Equal(p.hashes(), want.Steps) {
			moves = append(moves, Move{
				MovedSteps, want.Version, want.Path,
				fmt.Sprintf("%s no longer compiles to the planned steps: a module that it imports was changed, or whimbrel is "+
					"another version than %s", want.label(), f.Tool),
			})
		}
	}
	if len(moves) > 0 {
		return Plan{}, moved(moves)
	}
	return plan, nil
}

// hooks compares the hooks with what they were.
func (f Frozen) hooks(s state) (all Moves) {
	report := func(h FrozenHook, what string) {
		all = append(all, Move{Kind: MovedHooks, Path: h.Path, Message: fmt.Sprintf("the hook %s %s", cmp.Or(h.Path, h.Name),
			what)})
	}
	named := func(name string) func(FrozenHook) bool { return func(h FrozenHook) bool { return h.Name == name } }
	now := s.frozenHooks()
	for _, was := range f.Hooks {
		switch i := slices.IndexFunc(now, named(was.Name)); {
		case i < 0:
			report(was, "is not there any more")
		case now[i].Checksum != was.Checksum:
			report(now[i], "was edited")
		}
	}
	for _, is := range now {
		if !slices.ContainsFunc(f.Hooks, named(is.Name)) {
			report(is, "is there and was not when the plan was made")
		}
	}
	return all
}

// values finds that variables have other values.
func (f Frozen) values(s state) Moves {
	if f.Values == nil {
		return nil
	}
	if now := prove(f.Values.Salt, f.Values.Of, s.variables); now == nil || !bytes.Equal(now.Hash, f.Values.Hash) {
		return Moves{{Kind: MovedValues, Message: "a variable has another value than when the plan was made: one of " +
			strings.Join(f.Values.Of, ", ")}}
	}
	return nil
}

func moved(moves Moves) error {
	var lines []string
	for _, m := range moves {
		lines = append(lines, m.Message)
	}
	return &Error{
		Code: CodePlanStale, Message: "the plan is stale, so nothing was run", Detail: strings.Join(lines,
			"\n"),
		Remedy: "look at what has moved, and make a new plan with `whimbrel plan --out`", Err: moves,
	}
}

// place compares databases. What a server does not tell is not compared.
func (f Frozen) place(now Identity) Moves {
	was := f.Database
	var all Moves
	if was.Name != now.Name || was.OID != now.OID || was.System != "" && now.System != "" && was.System != now.System {
		all = append(all, Move{Kind: MovedDatabase, Message: fmt.Sprintf("this is another database: the plan was made for "+
			"%s, and this is %s", was, now)})
	}
	if was.Table != now.Table {
		all = append(all, Move{Kind: MovedDatabase, Message: fmt.Sprintf("the plan was made for the history in %s, and "+
			"this is %s", was.Table, now.Table)})
	}
	return all
}

// String names the database for people.
func (i Identity) String() string {
	if i.System == "" {
		return fmt.Sprintf("%q (oid %d)", i.Name, i.OID)
	}
	return fmt.Sprintf("%q (oid %d of system %s)", i.Name, i.OID, i.System)
}

// history compares the history with what it was, and counts the plan's migrations
// that it has got since.
func (f Frozen) history(s state) (done int, all Moves) {
	report := func(v migration.Version, format string, arguments ...any) {
		all = append(all, Move{Kind: MovedHistory, Version: v, Message: fmt.Sprintf(format, arguments...)})
	}
	rows := map[int64]Applied{}
	for _, a := range s.applied {
		rows[a.ID] = a
	}
	for _, was := range f.History {
		is, found := rows[was.ID]
		delete(rows, was.ID)
		switch {
		case !found:
			report(was.Version, "%s is not in the history any more as it was: it was taken back", was.Version)
		case !is.Version.Equal(was.Version) || is.Checksum != was.Checksum:
			report(was.Version, "the record of %s was changed", was.Version)
		}
	}
	for _, a := range s.applied {
		if _, isNew := rows[a.ID]; !isNew {
			continue
		}
		next := FrozenMigration{}
		if done < len(f.Migrations) {
			next = f.Migrations[done]
		}
		switch {
		case !a.Version.Equal(next.Version):
			report(a.Version, "%s (%s) was applied since, by itself", a.Version, a.Name)
		case a.Checksum != next.Checksum:
			report(a.Version, "%s was applied since, and not as the plan has it", next.label())
			done++
		default:
			done++
		}
	}
	for done < len(f.Migrations) { // what follows may have run with this content already
		row, found := s.repeatedVersion(f.Migrations[done].Version)
		if !found || row.Checksum != f.Migrations[done].Checksum {
			break
		}
		done++
	}
	return done, all
}

// files compares what is pending with what was, less what is done.
func (f Frozen) files(s state, rest []FrozenMigration) (all Moves) {
	applied := s.appliedVersions()
	for _, was := range rest {
		key := was.Version.Canonical()
		is, found := s.file(was.Version)
		_, done := applied[key]
		switch {
		case !found:
			all = append(all, Move{MovedFile, was.Version, was.Path, fmt.Sprintf("the file of %s is not there any more",
				was.label())})
		case is.Checksum != was.Checksum && !done:
			all = append(all, Move{MovedFile, was.Version, is.Path, fmt.Sprintf("%s was edited", is.Path)})
		}
	}
	known := slices.Concat(f.Migrations, f.Left)
	for _, is := range s.unapplied() {
		if !slices.ContainsFunc(known, func(m FrozenMigration) bool { return m.Version.Equal(is.Version) }) {
			all = append(all, Move{MovedPending, is.Version, is.Path,
				fmt.Sprintf("%s is pending and was not when the plan was made", frozenMigration(is).label())})
		}
	}
	return all
}

// label names the migration for people.
func (m FrozenMigration) label() string {
	if m.Path != "" {
		return m.Path
	}
	return fmt.Sprintf("%s (%s)", m.Version, m.Name)
}

// identify asks which database this is.
func (db *database) identify(ctx context.Context) (Identity, error) {
	i := Identity{Table: db.tables.schema + "." + db.tables.name}
	err := db.conn.QueryRow(ctx, "SELECT datname::text, oid FROM pg_catalog.pg_database WHERE datname = "+
		"pg_catalog.current_database()").Scan(&i.Name, &i.OID)
	if err != nil {
		return i, err
	}
	err = db.conn.QueryRow(ctx, "SELECT system_identifier::text FROM pg_catalog.pg_control_system()").Scan(&i.System)
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return i, nil // some providers keep it to themselves
	}
	return i, err
}
