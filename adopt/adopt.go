package adopt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/adopt/format"
	"github.com/whimbrel-db/whimbrel/migration"
)

// The codes of refusals.
const (
	// CodeContradiction: the other tool's history and the files do not agree.
	CodeContradiction whimbrel.Code = "contradiction"
	// CodeDisagreement: after all was recorded, whimbrel sees it otherwise than
	// the other tool.
	CodeDisagreement whimbrel.Code = "disagreement"
)

// Options say what to do where history and files do not agree.
type Options struct {
	// AllowMissing adopts what is applied and has no file.
	AllowMissing bool
	// AcceptEdited adopts files that were edited since, as they are now.
	AcceptEdited bool
	// Unfinished says what a migration that stopped half-way counts as: Applied,
	// or "pending". Empty: it is a contradiction.
	Unfinished State
	// Wait is how long to wait for the other tool to finish.
	Wait time.Duration
}

// Pending is what an unfinished migration may count as; see Options.
const Pending State = "pending"

// Report is what was found, and what was recorded of it.
type Report struct {
	Finding
	// Result is what was recorded; empty of what was recorded before.
	Result whimbrel.Result
}

// Adopt records in the history of m what a table of another tool says is
// applied: all of it or nothing. m must have the migrations of the project. It
// holds the other tool's lock from before the table is read until whimbrel's
// Status has been found to agree. conn must not be in a transaction.
//
// Where it is refused, the report still has the finding.
func Adopt(ctx context.Context, conn *pgx.Conn, table Table, project format.Project, m *whimbrel.Migrator,
	options Options) (Report, error) {
	var report Report
	err := table.hold(ctx, conn, options.Wait, func() error {
		history, err := table.Read(ctx, conn)
		if err != nil {
			return err
		}
		report.Finding = Compare(project, history)
		adopted, err := report.Adopted(table, options)
		if err != nil {
			return err
		}
		if report.Result, err = m.Adopt(ctx, adopted); err != nil {
			return beside(err)
		}
		status, err := m.Status(ctx)
		if err != nil {
			return err
		}
		return agree(table, adopted, status)
	})
	return report, err
}

// beside says of a connection that m could not have what is in its way behind
// a pooler: the one that holds the lock.
func beside(err error) error {
	var own *whimbrel.Error
	if !errors.As(err, &own) || own.Code != whimbrel.CodeConnection {
		return err
	}
	e := *own
	if e.Remedy != "" {
		e.Remedy += "; "
	}
	e.Remedy += "a pooler must have two connections to the server at once for this, or go to the server directly"
	return &e
}

// Preview gives what Adopt would find. It takes no lock and only reads. Where
// Adopt would refuse, so does Preview, and the report still has the finding.
func Preview(ctx context.Context, conn *pgx.Conn, table Table, project format.Project,
	options Options) (Report, error) {
	history, err := table.Read(ctx, conn)
	if err != nil {
		return Report{}, err
	}
	report := Report{Finding: Compare(project, history)}
	_, err = report.Adopted(table, options)
	return report, err
}

// Adopted is what the history is to have, in order; or the first thing that the
// history and the files contradict each other in. It is pure.
func (f Finding) Adopted(table Table, options Options) ([]whimbrel.Adopted, error) {
	applied := f.Applied
	for _, m := range f.Unfinished {
		switch {
		case options.Unfinished == Applied && m.File.Migration.Version != "":
			applied = append(applied, m)
		case options.Unfinished != Pending:
			return nil, unfinished(table, m)
		}
	}
	if len(f.Unknown) > 0 && !options.AllowMissing {
		return nil, unknown(table, f.Unknown)
	}
	if len(f.Edited) > 0 && !options.AcceptEdited {
		return nil, edited(table, f.Edited)
	}
	var adopted []whimbrel.Adopted
	for _, m := range applied {
		adopted = append(adopted, whimbrel.Adopted{
			Version: m.File.Migration.Version, Name: m.File.Migration.Name, At: m.Record.At,
			Took: m.Record.Took,
		})
	}
	versions := f.versions()
	for _, r := range f.Unknown {
		adopted = append(adopted, whimbrel.Adopted{
			Version: versions(r), Name: r.Name, At: r.At, Took: r.Took,
		})
	}
	return adopted, nil
}

// versions gives the versions of what has no file: the number that a name begins with, or
// the whole name where there is none, or another migration has that number as well.
func (f Finding) versions() func(Record) migration.Version {
	shared := map[migration.Version]int{}
	for _, files := range [][]Matched{f.Applied, f.Unfinished} {
		for _, m := range files {
			shared[numberOf(m.Record.Key).Canonical()]++
		}
	}
	for _, file := range f.Pending {
		shared[numberOf(file.Key).Canonical()]++
	}
	for _, r := range f.Unknown {
		shared[numberOf(r.Key).Canonical()]++
	}
	return func(r Record) migration.Version {
		if number := numberOf(r.Key); shared[number.Canonical()] == 1 {
			return number
		}
		return migration.Version(r.Key)
	}
}

// numberOf is the number in a key, or the key where there is none.
func numberOf(key string) migration.Version {
	if version, _, _, err := migration.ParseName(key); err == nil {
		return version
	}
	return migration.Version(key)
}

func unfinished(table Table, m Matched) error {
	name := strings.TrimSpace(m.Record.Key + " " + m.File.Migration.Name)
	return &whimbrel.Error{
		Code: CodeContradiction, Version: m.File.Migration.Version, Path: m.File.Migration.Path,
		Message: fmt.Sprintf("%s did not finish %s: %s", table.Tool, name, m.Record.Note),
		Remedy: "look at the database for what it has done; then set Options.Unfinished to applied " +
			"if all of it is there, or " +
			"to pending if nothing of it is " +
			"(what is half there must be completed or undone by hand first)",
	}
}

func unknown(table Table, records []Record) error {
	var keys []string
	for _, r := range records {
		keys = append(keys, r.Key)
	}
	return &whimbrel.Error{
		Code: CodeContradiction, Message: fmt.Sprintf("%s has %s as applied, and has no file", table,
			strings.Join(keys, ", ")),
		Remedy: "adopt from a checkout that has the files, or go on without them by Options.AllowMissing",
	}
}

func edited(table Table, files []Matched) error {
	var paths []string
	for _, m := range files {
		paths = append(paths, m.File.Migration.Path)
	}
	return &whimbrel.Error{
		Code: CodeContradiction, Path: files[0].File.Migration.Path,
		Message: fmt.Sprintf("edited after %s applied it: %s", table.Tool, strings.Join(paths, ", ")),
		Remedy:  "put the files back as they were, or adopt them as they are now by Options.AcceptEdited",
	}
}

// agree refuses a history that does not show what the other tool's does. It
// may show more: what whimbrel has applied since an earlier adoption. A repeatable
// migration that is recorded is pending all the same where what it makes is not there.
func agree(table Table, adopted []whimbrel.Adopted, status whimbrel.Status) error {
	recorded := map[migration.Version]bool{}
	for _, a := range status.Applied {
		recorded[a.Version.Canonical()] = true
	}
	byOtherVersion := func(a whimbrel.Adopted) bool {
		return slices.ContainsFunc(status.Applied, func(row whimbrel.Applied) bool {
			is := migration.Named{Version: a.Version, Name: a.Name}
			return migration.SameFile(migration.Named{Version: row.Version, Name: row.Name}, is)
		})
	}
	for _, a := range adopted {
		if !recorded[a.Version.Canonical()] && !byOtherVersion(a) {
			return &whimbrel.Error{
				Code: CodeDisagreement, Version: a.Version,
				Message: fmt.Sprintf("%s is applied by %s, and whimbrel's history does not show it", a.Version, table.Tool),
				Remedy:  "compare both tables, and report this as a fault of whimbrel's",
			}
		}
	}
	for _, p := range status.Pending {
		for _, a := range adopted {
			if a.Version.Equal(p.Version) && !p.Version.Repeatable() {
				return &whimbrel.Error{
					Code: CodeDisagreement, Version: a.Version,
					Message: fmt.Sprintf("%s is applied by %s, and pending by whimbrel's history", a.Version, table.Tool),
					Remedy:  "compare both tables, and report this as a fault of whimbrel's",
				}
			}
		}
	}
	return nil
}
