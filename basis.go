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

// Basis is what a plan was made from: which database it was, what its history said, and
// what the files did. It is written as JSON to keep the plan; ParsePlan reads it back.
type Basis struct {
	Format   int       `json:"format"` // formatOfBasis
	MadeAt   time.Time `json:"made_at"`
	Tool     string    `json:"tool_version"`
	Database Identity  `json:"database"`
	// The policies that the plan was made with hold for the run as well.
	OutOfOrder   OutOfOrder `json:"out_of_order"`
	AllowMissing bool       `json:"allow_missing,omitempty"`
	Tags         []string   `json:"tags,omitempty"`
	// History are the rows of the history, in the order in which they were applied.
	History []BasisRow `json:"history"`
	// Migrations are what is to run, in order; Left are pending and not part of it.
	// Goal is that of a plan that does more than to apply what is pending.
	Goal       Goal             `json:"goal,omitzero"`
	Migrations []BasisMigration `json:"migrations"`
	Left       []BasisMigration `json:"left,omitempty"`
	// Hooks are those that run with it.
	Hooks []BasisHook `json:"hooks,omitempty"`
	// Values proves that variables have the values that they had, and tells nothing of
	// them; nil where no statement asks for one.
	Values *BasisValues `json:"values,omitempty"`
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

// BasisRow is a row of the history. Its ID shows that a migration was rolled back
// and applied again.
type BasisRow struct {
	ID       int64             `json:"id"`
	Version  migration.Version `json:"version"`
	Checksum string            `json:"checksum,omitempty"`
}

// BasisMigration is a migration of the plan, or one that was pending. Steps, of those that are to run,
// are hashes of what its steps do: they also change with what a script imports.
type BasisMigration struct {
	// Direction and RecordOnly are given where the Goal is.
	Direction  Direction         `json:"direction,omitempty"`
	RecordOnly bool              `json:"record_only,omitempty"`
	Version    migration.Version `json:"version"`
	Name       string            `json:"name"`
	Path       string            `json:"path,omitempty"`
	Checksum   string            `json:"checksum,omitempty"`
	Steps      []string          `json:"steps,omitempty"`
}

// BasisHook is a hook as it was.
type BasisHook struct {
	Name     string `json:"name"` // "before_run"
	Path     string `json:"path,omitempty"`
	Checksum string `json:"checksum"`
}

// BasisValues is a hash of the values of variables. It has a salt and takes long to make, so
// that guessing is no way to the values.
type BasisValues struct {
	Of   []string `json:"of"` // their names
	Salt []byte   `json:"salt"`
	Hash []byte   `json:"hash"`
}

// PlanChanges are what makes a plan stale. They are found with errors.As in an error of
// the code CodePlanStale.
type PlanChanges []PlanChange

// PlanChange is one thing that has changed since the plan was made.
type PlanChange struct {
	Kind    PlanChangeKind    `json:"kind"`
	Version migration.Version `json:"version,omitempty"`
	Path    string            `json:"path,omitempty"`
	Message string            `json:"message"`
}

// PlanChangeKind says what has changed.
type PlanChangeKind string

// The kinds of changes that make a plan stale.
const (
	ChangedDatabase PlanChangeKind = "database" // it is another one, or another history table
	ChangedHistory  PlanChangeKind = "history"  // migrations were applied, rolled back or recorded otherwise
	ChangedFile     PlanChangeKind = "file"     // a file was edited, or is gone
	ChangedPending  PlanChangeKind = "pending"  // a migration is new
	ChangedSteps    PlanChangeKind = "steps"    // the same file compiles to different steps
	ChangedHooks    PlanChangeKind = "hooks"    // a hook was edited, is new, or is gone
	ChangedValues   PlanChangeKind = "values"   // a variable has another value
)

// Error gives all of them in one line.
func (p PlanChanges) Error() string {
	var all []string
	for _, change := range p {
		all = append(all, change.Message)
	}
	return strings.Join(all, "; ")
}

// formatOfBasis is the form of what ParsePlan reads.
const formatOfBasis = 1

// origin is what a plan was made from and for, as Migrator.Plan leaves it.
type origin struct {
	state state
	aim   aim
	at    time.Time
	tool  string
}

// Goal is what is left of the plan: exactly that is run, or nothing, as Migrator.Run does.
func (p Plan) Goal() Goal {
	if p.basis == nil && p.origin == nil {
		return Goal{wrong: &Error{Code: CodeConfiguration, Message: "the plan was not made by Migrator.Plan",
			Remedy: "make one by Migrator.Plan, or read one with ParsePlan"}}
	}
	basis := p.Basis()
	return Goal{aim: basis.aim(), exactly: &basis}
}

// Basis gives what the plan was made from; the zero value for one that was made neither by
// Migrator.Plan nor by ParsePlan.
func (p Plan) Basis() Basis {
	switch {
	case p.basis != nil:
		return *p.basis
	case p.origin == nil:
		return Basis{}
	}
	s, o := p.origin.state, p.origin
	f := Basis{
		Format: formatOfBasis, MadeAt: o.at, Tool: o.tool, Database: s.identity, OutOfOrder: s.policy,
		AllowMissing: s.allowMissing, Tags: s.tags, History: []BasisRow{}, Migrations: []BasisMigration{},
		Hooks: s.basisHooks(), Values: prove(nil, s.asksFor(p), s.variables),
	}
	onlyUp := o.aim.Command == "up"
	if !onlyUp {
		f.Goal = Goal{aim: o.aim}
	}
	for _, a := range s.applied {
		f.History = append(f.History, BasisRow{ID: a.ID, Version: a.Version, Checksum: a.Checksum})
	}
	runs := map[migration.Version]bool{}
	for _, p := range p.Migrations {
		f.Migrations = append(f.Migrations, p.asBasis(onlyUp))
		runs[p.Migration.Version.Canonical()] = true
	}
	for _, m := range s.unapplied() {
		if !runs[m.Version.Canonical()] {
			f.Left = append(f.Left, basisMigration(m))
		}
	}
	f.Fingerprint = f.fingerprint()
	return f
}

// aim is that of the plan.
func (f Basis) aim() aim {
	if f.Goal.IsZero() {
		return aim{Command: "up"}
	}
	return f.Goal.aim
}

// policies gives the state as the plan takes it.
func (f Basis) policies(s state) state {
	s.policy, s.allowMissing, s.tags = f.OutOfOrder, f.AllowMissing, f.Tags
	return s
}

// asBasis is what is kept of a planned migration.
func (p Planned) asBasis(onlyUp bool) BasisMigration {
	entry := basisMigration(p.Migration)
	entry.Steps = p.hashes()
	if !onlyUp {
		entry.Direction, entry.RecordOnly = p.Direction, p.RecordOnly()
	}
	return entry
}

func basisMigration(m migration.Migration) BasisMigration {
	return BasisMigration{Version: m.Version, Name: m.Name, Path: m.Path, Checksum: m.Checksum}
}

func (s state) basisHooks() (all []BasisHook) {
	for _, hook := range s.hooks.All() {
		all = append(all, BasisHook{Name: hook.Name, Path: hook.Path, Checksum: hook.Checksum})
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
func prove(salt []byte, names []string, values map[string]string) *BasisValues {
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
	return &BasisValues{Of: names, Salt: salt, Hash: hash}
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
func (f Basis) fingerprint() string {
	f.Fingerprint = ""
	text, err := json.Marshal(f)
	if err != nil {
		panic("whimbrel: a plan cannot be written: " + err.Error()) // it is made of texts and numbers
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// ParsePlan reads what was written as JSON. The text may have more members than
// those of a Basis. Path names it in errors, which have the code CodeMalformed.
func ParsePlan(path, text string) (Plan, error) {
	wrong := func(at int64, message string) error {
		place := pgsql.PositionAt(text, int(min(at, int64(len(text)))))
		return &Error{
			Code: CodeMalformed, Path: path, Line: place.Line, Column: place.Column,
			Message: message, Remedy: "make it again with Migrator.Plan, and do not edit it",
		}
	}
	var f Basis
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	err := decoder.Decode(&f)
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return Plan{}, wrong(max(syntax.Offset-1, 0), "invalid JSON: "+syntax.Error())
	case errors.As(err, &mismatch):
		return Plan{}, wrong(mismatch.Offset, fmt.Sprintf("this is not a plan: %s is a %s", mismatch.Field,
			mismatch.Value))
	case err != nil:
		return Plan{}, wrong(decoder.InputOffset(), "this is not a plan: "+err.Error())
	case f.Format == 0:
		return Plan{}, wrong(0, "this is not a plan: it has no format")
	case f.Format != formatOfBasis:
		return Plan{}, wrong(0, fmt.Sprintf("the plan has format %d, and this version of whimbrel reads format %d",
			f.Format, formatOfBasis))
	case f.Fingerprint != f.fingerprint():
		return Plan{}, wrong(0, "the plan was edited or damaged: it does not have its own fingerprint")
	}
	return Plan{basis: &f}, nil
}

// rest plans what is left of the plan, or says why it is stale.
func (f Basis) rest(s state) (Plan, error) {
	s = f.policies(s)
	onlyUp := f.Goal.IsZero()
	changes, rest, left := f.place(s.identity), f.Migrations, f.aim()
	if onlyUp {
		s.objects = nil // what a repeatable migration has lost since is no other plan
		done, since := f.history(s, f.Migrations)
		rest = f.Migrations[min(done, len(f.Migrations)):]
		left.Steps = len(rest)
		changes = append(append(changes, since...), f.files(s, rest)...)
	} else {
		_, since := f.history(s, nil)
		changes = append(changes, since...)
	}
	if len(rest) > 0 {
		changes = append(changes, f.hooks(s)...)
		changes = append(changes, f.values(s)...)
	}
	if len(changes) > 0 {
		return Plan{}, stale(changes)
	}
	if len(rest) == 0 {
		return Plan{}, nil
	}
	plan, err := left.plan(s)
	if err != nil {
		return Plan{}, err
	}
	if changes := f.steps(plan, rest); len(changes) > 0 {
		return Plan{}, stale(changes)
	}
	return plan, nil
}

// steps compares what is planned now with what was.
func (f Basis) steps(plan Plan, rest []BasisMigration) (all PlanChanges) {
	for i, want := range rest {
		is := BasisMigration{}
		if i < len(plan.Migrations) {
			is = plan.Migrations[i].asBasis(f.Goal.IsZero())
		}
		switch {
		case !is.Version.Equal(want.Version) || is.Direction != want.Direction || is.RecordOnly != want.RecordOnly:
			all = append(all, PlanChange{ChangedSteps, want.Version, want.Path,
				fmt.Sprintf("%s is not what would run now in its place", want.label())})
		case !f.Goal.IsZero() && is.Checksum != want.Checksum: // else files has compared them
			all = append(all, PlanChange{ChangedFile, want.Version, is.Path, fmt.Sprintf("%s was edited", is.label())})
		case !slices.Equal(is.Steps, want.Steps):
			all = append(all, PlanChange{ChangedSteps, want.Version, want.Path,
				fmt.Sprintf("%s compiles to different steps than the plan has: a module that it imports was changed, or "+
					"this is a different version of whimbrel than %s", want.label(), f.Tool)})
		}
	}
	if f.Goal.IsZero() || len(plan.Migrations) <= len(rest) {
		return all
	}
	more := plan.Migrations[len(rest)].asBasis(false)
	return append(all, PlanChange{ChangedPending, more.Version, more.Path,
		fmt.Sprintf("%s would run now and is not in the plan", more.label())})
}

// hooks compares the hooks with what they were.
func (f Basis) hooks(s state) (all PlanChanges) {
	report := func(h BasisHook, what string) {
		all = append(all, PlanChange{Kind: ChangedHooks, Path: h.Path,
			Message: fmt.Sprintf("the hook %s %s", cmp.Or(h.Path, h.Name), what)})
	}
	named := func(name string) func(BasisHook) bool { return func(h BasisHook) bool { return h.Name == name } }
	now := s.basisHooks()
	for _, was := range f.Hooks {
		switch i := slices.IndexFunc(now, named(was.Name)); {
		case i < 0:
			report(was, "is gone")
		case now[i].Checksum != was.Checksum:
			report(now[i], "was edited")
		}
	}
	for _, is := range now {
		if !slices.ContainsFunc(f.Hooks, named(is.Name)) {
			report(is, "is new")
		}
	}
	return all
}

// values finds that variables have other values.
func (f Basis) values(s state) PlanChanges {
	if f.Values == nil {
		return nil
	}
	if now := prove(f.Values.Salt, f.Values.Of, s.variables); now == nil || !bytes.Equal(now.Hash, f.Values.Hash) {
		return PlanChanges{{Kind: ChangedValues,
			Message: "a variable has another value than when the plan was made: one of " +
				strings.Join(f.Values.Of, ", ")}}
	}
	return nil
}

func stale(changes PlanChanges) error {
	var lines []string
	for _, c := range changes {
		lines = append(lines, c.Message)
	}
	return &Error{
		Code: CodePlanStale, Message: "the plan is stale, so nothing was run", Detail: strings.Join(lines, "\n"),
		Remedy: "see what has changed, and make a new plan with Migrator.Plan", Err: changes,
	}
}

// place compares databases. What a server does not tell is not compared.
func (f Basis) place(now Identity) PlanChanges {
	was := f.Database
	var all PlanChanges
	if was.Name != now.Name || was.OID != now.OID || was.System != "" && now.System != "" && was.System != now.System {
		all = append(all, PlanChange{Kind: ChangedDatabase,
			Message: fmt.Sprintf("this is another database: the plan was made for %s, and this is %s", was, now)})
	}
	if was.Table != now.Table {
		all = append(all, PlanChange{Kind: ChangedDatabase,
			Message: fmt.Sprintf("the plan was made for the history in %s, and this is %s", was.Table, now.Table)})
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
func (f Basis) history(s state, planned []BasisMigration) (done int, all PlanChanges) {
	report := func(v migration.Version, format string, arguments ...any) {
		all = append(all, PlanChange{Kind: ChangedHistory, Version: v, Message: fmt.Sprintf(format, arguments...)})
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
			report(was.Version, "%s is no longer in the history as it was: it was rolled back", was.Version)
		case !is.Version.Equal(was.Version) || is.Checksum != was.Checksum:
			report(was.Version, "the record of %s was changed", was.Version)
		}
	}
	for _, a := range s.applied {
		if _, isNew := rows[a.ID]; !isNew {
			continue
		}
		next := BasisMigration{}
		if done < len(planned) {
			next = planned[done]
		}
		switch {
		case !a.Version.Equal(next.Version):
			report(a.Version, "%s (%s) was applied since, without the plan", a.Version, a.Name)
		case a.Checksum != next.Checksum:
			report(a.Version, "%s was applied since, with other content than the plan has", next.label())
			done++
		default:
			done++
		}
	}
	for done < len(planned) { // what follows may have run with this content already
		row, found := s.repeatedVersion(planned[done].Version)
		if !found || row.Checksum != planned[done].Checksum {
			break
		}
		done++
	}
	return done, all
}

// files compares what is pending with what was, less what is done.
func (f Basis) files(s state, rest []BasisMigration) (all PlanChanges) {
	applied := s.appliedVersions()
	for _, was := range rest {
		key := was.Version.Canonical()
		is, found := s.file(was.Version)
		_, done := applied[key]
		switch {
		case !found:
			all = append(all, PlanChange{ChangedFile, was.Version, was.Path, fmt.Sprintf("the file of %s is gone",
				was.label())})
		case is.Checksum != was.Checksum && !done:
			all = append(all, PlanChange{ChangedFile, was.Version, is.Path, fmt.Sprintf("%s was edited", is.Path)})
		}
	}
	known := slices.Concat(f.Migrations, f.Left)
	for _, is := range s.unapplied() {
		if !slices.ContainsFunc(known, func(m BasisMigration) bool { return m.Version.Equal(is.Version) }) {
			all = append(all, PlanChange{ChangedPending, is.Version, is.Path,
				fmt.Sprintf("%s is pending and was not when the plan was made", basisMigration(is).label())})
		}
	}
	return all
}

// label names the migration for people.
func (m BasisMigration) label() string {
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
