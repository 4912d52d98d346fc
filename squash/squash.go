// Package squash makes one migration of the oldest part of a history: a baseline
// that is written from the schema itself, and proved to be equal.
//
// Run replays the migrations up to a version on a throw-away server and lets
// pg_dump write down what came out. The baseline that is made of that is run on
// a second server, and both databases are compared, catalog and kept rows, before
// and after the rest of the history. Nothing outside the throw-away servers is
// read or written.
package squash

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/millis"
	"github.com/whimbrel-db/whimbrel/internal/sandbox"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Options say what is squashed.
type Options struct {
	whimbrel.Project // its hooks and tags are not used
	whimbrel.Policy
	// To is the version of the newest migration to be squashed.
	To migration.Version
	// KeepData are tables whose rows belong into the baseline, by their names as SQL
	// writes them. DropData lets the rows of all others go; without it, a table that
	// has rows and is not named is an error.
	KeepData []string
	DropData bool
	// Major is the version of PostgreSQL to work with; 0: the newest at hand.
	Major int
	// Sandbox is what both databases have before the first migration. Nothing of it is in
	// the baseline.
	Sandbox devdb.Furnishing
	// Progress is told about work that takes seconds; may be nil.
	Progress func(message string)
	// Stop is as in whimbrel.Config.
	Stop <-chan struct{}
}

// Baseline is what comes out.
type Baseline struct {
	File       string                `json:"file"` // its name, without a folder
	Version    migration.Version     `json:"version"`
	Text       string                `json:"text"`
	Members    []migration.Migration `json:"-"` // that it replaces, oldest first
	Statements int                   `json:"statements"`
	// Kept are the tables whose rows are in it, Dropped those whose rows are not.
	Kept    []Rows `json:"kept"`
	Dropped []Rows `json:"dropped"`
	// Rest is how many newer migrations were run on both databases for the proof.
	Rest     int           `json:"rest"`
	Server   string        `json:"server"` // PostgreSQL's version
	Duration time.Duration `json:"duration_ms"`
}

// MarshalJSON writes durations in milliseconds.
func (b Baseline) MarshalJSON() ([]byte, error) { return millis.Marshal(&b) }

// UnmarshalJSON reads what MarshalJSON writes.
func (b *Baseline) UnmarshalJSON(text []byte) error { return millis.Unmarshal(text, b) }

// Rows is a table and how many rows it has.
type Rows struct {
	Table string `json:"table"` // with its schema, as SQL writes it
	Count int64  `json:"count"`
}

// Run makes a baseline and proves it. What cannot be squashed is a
// *whimbrel.Error, of the code CodeSquash where the proof failed.
func Run(ctx context.Context, options Options) (Baseline, error) {
	began := time.Now()
	to, err := meant(options.Migrations, options.To)
	if err != nil {
		return Baseline{}, err
	}
	members, rest, err := divide(options.Project, to)
	if err != nil {
		return Baseline{}, err
	}
	w := &work{options: options, members: members, rest: rest}
	defer w.close()
	b, err := w.squash(ctx)
	b.Duration = time.Since(began)
	return b, err
}

// work is one Run. Of its databases, old is made by the migrations and made by
// the baseline.
type work struct {
	options       Options
	members, rest []migration.Migration
	program       dumper
	old, made     *database
}

func (w *work) progress(format string, args ...any) {
	if w.options.Progress != nil {
		w.options.Progress(fmt.Sprintf(format, args...))
	}
}

func (w *work) squash(ctx context.Context) (Baseline, error) {
	var err error
	if w.program, err = findDump(ctx, w.options.Major, w.options.Progress); err != nil {
		return Baseline{}, err
	}
	w.progress("replaying %d migrations", len(w.members))
	if w.old, err = w.open(ctx, w.program.major); err != nil {
		return Baseline{}, err
	}
	if err := w.old.up(ctx, w.members); err != nil {
		return Baseline{}, because("the migrations do not run on an empty server", err)
	}
	b := Baseline{Version: w.last().Version, Members: w.members, Server: w.old.server.Version().Version, Kept: []Rows{},
		Dropped: []Rows{}}
	b.File = string(b.Version) + "_baseline.sql"
	kept, err := w.chooseData(ctx, &b)
	if err != nil {
		return b, err
	}
	w.progress("writing the baseline")
	dump, err := w.program.dump(ctx, w.old, kept)
	if err != nil {
		return b, err
	}
	b.Text, b.Statements = w.write(dump)
	baseline, err := migration.Parse(b.File, b.Text)
	if err != nil {
		return b, because("what pg_dump wrote cannot be a migration", err)
	}
	return b, w.prove(ctx, &b, baseline, kept)
}

func (w *work) last() migration.Migration { return w.members[len(w.members)-1] }

func (w *work) close() {
	for _, d := range []*database{w.old, w.made} {
		if d != nil {
			d.close()
		}
	}
}

// meant gives the version that a caller means, who may name a migration by its name or its
// file as well.
func meant(migrations []migration.Migration, word migration.Version) (migration.Version, error) {
	var all []migration.Named
	for _, m := range migrations {
		all = append(all, m.Named())
	}
	version, found, err := migration.Find(string(word), all)
	if !found && err == nil {
		return word, nil
	}
	return version, err
}

// divide takes the members out of a history, and refuses what no file can stand for.
func divide(project whimbrel.Project, to migration.Version) (members, rest []migration.Migration, err error) {
	for _, m := range project.Migrations {
		if m.Version.Repeatable() || m.Version.Compare(to) > 0 {
			rest = append(rest, m)
		} else {
			members = append(members, m)
		}
	}
	slices.SortFunc(members, func(a, b migration.Migration) int { return a.Version.Compare(b.Version) })
	if len(members) == 0 || !members[len(members)-1].Version.Equal(to) {
		return nil, nil, &whimbrel.Error{Code: whimbrel.CodeUnknownVersion, Version: to, Message: "no migration " +
			string(to),
			Remedy: "name the newest migration that is to be squashed; Migrator.Status lists them"}
	}
	for _, f := range project.Functions {
		if f.Version.Compare(to) <= 0 {
			return nil, nil, &whimbrel.Error{Code: whimbrel.CodeUnsupported, Version: f.Version, Name: f.Name,
				Message: "it is a function of a program, which no file can replace", Remedy: "squash up to a version before it"}
		}
	}
	for _, m := range members {
		if len(m.Variables) > 0 {
			return nil, nil, refuse(m, "squash up to a version before it", "it has variables, and a baseline would have the "+
				"same values for everyone")
		}
	}
	if len(members) < 2 {
		return nil, nil, refuse(members[0], "name a newer version", "it is the oldest migration, so there is nothing to "+
			"squash")
	}
	return members, rest, nil
}

func refuse(m migration.Migration, remedy, message string) error {
	return &whimbrel.Error{Code: whimbrel.CodeUnsupported, Version: m.Version, Name: m.Name, Path: m.Path,
		Message: message, Remedy: remedy}
}

// because says at which point of the work something failed, and keeps the place.
func because(what string, err error) error {
	e := &whimbrel.Error{Err: err, Message: err.Error()}
	remedy := ""
	var own *whimbrel.Error
	if errors.As(err, &own) {
		if own.Code == whimbrel.CodeInterrupted || own.Code == whimbrel.CodeConnection {
			return err
		}
		whole := *own
		e = &whole
		remedy = sandbox.Remedy(own)
	}
	e.Code, e.Message = whimbrel.CodeSquash, what+": "+e.Message
	e.Remedy = cmp.Or(remedy, "squash up to another version, or put that right first") + "; nothing was changed"
	return e
}

// versions are those that the baseline replaces: of a member that replaces
// others itself, those as well.
func (w *work) versions() (all []migration.Version) {
	for _, m := range w.members {
		if len(m.Squashes) == 0 {
			all = append(all, m.Version)
			continue
		}
		all = append(all, m.Squashes...)
	}
	slices.SortFunc(all, migration.Version.Compare)
	return slices.CompactFunc(all, migration.Version.Equal)
}

// head is what is above the statements.
func (w *work) head() string {
	const perLine = 6
	var b strings.Builder
	versions := w.versions()
	fmt.Fprintf(&b, "-- The %d migrations up to %s_%s, as one. Made and proved equal by whimbrel squash.\n",
		len(versions), w.last().Version, w.last().Name)
	b.WriteString("-- A database that has them does not run this file. Do not edit it.\n")
	for line := range slices.Chunk(versions, perLine) {
		b.WriteString("-- +migrate Squashes")
		for _, v := range line {
			b.WriteString(" " + string(v))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "-- +migrate Irreversible it replaces %d migrations\n", len(versions))
	b.WriteString("-- +migrate Set check_function_bodies = off\n\n")
	return b.String()
}
