// Package lint judges migrations: which of their statements would harm a database
// that is in use, and what to write instead.
//
// It reads a statement with PostgreSQL's own grammar and judges it in its context:
// the transaction it is in, the objects that its migration made, and the schema
// that the migrations before it left behind, which it knows by replaying their text
// or from a catalog. Every statement gets a verdict (hazard, safe or unknown) with
// the evidence for it. What only a server knows, package rehearsal finds out by
// running the statements; Merge puts both together.
//
// Apart from the parser, everything here is a function from values to values.
package lint

import (
	"fmt"
	"slices"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Options say how to judge. The zero value is right for most.
type Options struct {
	// Parser is PostgreSQL() unless something else is given.
	Parser Parser
	// Major is the version of the servers; 0 stands for any that is supported, so
	// that what harms one of them is told.
	Major int
	// Severities replace the records' own.
	Severities Severities
	// Catalog is the schema before the first migration that is given; without one
	// the schema is made of the migrations' text alone.
	Catalog *Catalog
	// Judge says which migrations to judge; the others are history. Nil is all.
	Judge func(migration.Migration) bool
	// Direction is the part that is judged. Going down is judged on the schema that
	// all migrations leave, from the last one to the first.
	Down bool
}

// Linter judges migrations. It may be used concurrently.
type Linter struct{ options Options }

// New makes a linter, or says what is wrong with the options.
func New(options Options) (*Linter, error) {
	if options.Parser == nil {
		options.Parser = PostgreSQL()
	}
	if err := options.Severities.Check(); err != nil {
		return nil, err
	}
	return &Linter{options}, nil
}

// Check judges migrations, which are in the order in which they run and, if there
// is a catalog, have not run.
func (l *Linter) Check(migrations []migration.Migration) (Report, error) {
	m := newModel(l.options.Parser)
	if l.options.Catalog != nil {
		if err := m.load(*l.options.Catalog); err != nil {
			return Report{}, err
		}
	}
	report := Report{Files: []File{}}
	for i, migration := range migrations {
		judged := l.options.Judge == nil || l.options.Judge(migration)
		m.now++
		file := l.file(m, migration, migration.Up, later(migrations[i+1:]))
		if judged && !l.options.Down {
			report.Files = append(report.Files, file)
		}
	}
	if !l.options.Down {
		return report, nil
	}
	for _, migration := range slices.Backward(migrations) {
		judged := l.options.Judge == nil || l.options.Judge(migration)
		m.now++
		if file := l.file(m, migration, migration.Down, nil); judged {
			report.Files = append(report.Files, file)
		}
	}
	return report, nil
}

// later gives the statements of migrations that come later.
func later(migrations []migration.Migration) func() []migration.Statement {
	return func() []migration.Statement {
		var all []migration.Statement
		for _, m := range migrations {
			all = append(all, m.Up.Statements...)
		}
		return all
	}
}

// nothingToRun is the judgement on a migration without a statement, which the engine
// refuses: it would be recorded as if something had been done.
func nothingToRun() Judgement {
	at := migration.Position{Line: 1, Column: 1}
	evidence := Evidence{FromText, "no statement in it"}
	return Judgement{
		Start: at, End: at, Step: 1, Malformed: true, Verdict: Dangerous, Evidence: []Evidence{evidence},
		Findings: []Finding{{
			Hazard: statementFails, Severity: Error, Verdict: Dangerous, Evidence: evidence, Start: at, End: at,
			Message: "the up part has no statement, and up refuses it: write one, or SELECT 1 if the version is wanted",
		}},
	}
}

// program judges what is no SQL that can be read.
func program(mig migration.Migration) Judgement {
	at := migration.Position{Line: 1, Column: 1}
	j := Judgement{
		Text: string(mig.Kind) + " migration", Start: at, End: at, Step: 1, Opaque: true, Verdict: Unknown, program: true,
		Evidence: []Evidence{{FromText, "what a program will send to the server cannot be read from its text"}},
	}
	switch unfit := mig.Unfit; {
	case unfit == nil:
	case unfit.Code == migration.CodeUnsupported:
		j.Evidence = []Evidence{{FromText, "it cannot be run: " + unfit.Message}}
	default: // its text is wrong, and nothing would have it
		at = unfit.Position
		at.Line, at.Column = max(at.Line, 1), max(at.Column, 1)
		evidence := Evidence{FromText, unfit.Remedy}
		j.Start, j.End, j.Malformed, j.Verdict, j.Evidence = at, at, true, Dangerous, []Evidence{evidence}
		j.Findings = []Finding{{
			Hazard: statementFails, Severity: Error, Verdict: Dangerous, Evidence: evidence, Start: at, End: at,
			Message: "the file cannot be run: " + unfit.Message,
		}}
	}
	return j
}

// file judges one direction of a migration and applies it to the model.
func (l *Linter) file(m *model, mig migration.Migration, section migration.Section,
	later func() []migration.Statement) File {
	file := File{Path: mig.Path, Version: mig.Version, Text: mig.Text, Statements: []Judgement{}, allows: mig.Allows}
	if mig.Kind != migration.SQL {
		file.Statements = append(file.Statements, program(mig))
		return file
	}
	if mig.Empty() && !l.options.Down {
		file.Statements = append(file.Statements, nothingToRun())
		return file
	}
	j := &judge{model: m, options: l.options, migration: mig, section: section, later: later}
	j.parse()
	path := m.path
	if l.options.Catalog == nil || l.options.Catalog.Path == nil {
		m.path = []string{public}
	} else {
		m.path = slices.Clone(l.options.Catalog.Path)
	}
	j.enter()
	for i := range j.parsed {
		if i == 0 || j.parsed[i].step != j.parsed[i-1].step {
			j.begin()
		}
		file.Statements = append(file.Statements, j.judge(i))
		j.keep()
	}
	m.path = path
	file.Unused = j.unused()
	return file
}

// parsed is a statement with its tree.
type parsed struct {
	statement migration.Statement
	step      int
	alone     bool
	prelude   bool // it is in no transaction of its step
	node      *ast.Node
	err       error
}

// parse reads all statements and says which transaction each is in, as the engine
// will have it.
func (j *judge) parse() {
	for number, step := range j.section.Steps() {
		for i, s := range step.Statements {
			p := parsed{statement: s, step: number + 1, alone: step.Alone, prelude: i < step.Prelude}
			p.node, p.err = single(j.options.Parser.Parse(parameters(s)))
			j.parsed = append(j.parsed, p)
		}
	}
}

// single takes the one tree of one statement.
func single(nodes []*ast.Node, err error) (*ast.Node, error) {
	switch {
	case err != nil:
		return nil, err
	case len(nodes) != 1:
		return nil, fmt.Errorf("%d statements in one", len(nodes))
	}
	return nodes[0], nil
}

// parameters gives a statement's text with the bounds of a batch, which are not
// SQL, written as parameters of the same length.
func parameters(s migration.Statement) string {
	if s.Batch == nil {
		return s.Text
	}
	var out strings.Builder
	previous := ""
	for token := range pgsql.Tokens(s.Text) {
		word := token.Text
		if previous == ":" && (strings.HasPrefix(word, "from") || strings.HasPrefix(word, "to")) {
			text := out.String()
			out.Reset()
			out.WriteString(text[:len(text)-1] + "$1" + strings.Repeat(" ", len(word)-1))
		} else {
			out.WriteString(word)
		}
		previous = word
	}
	return out.String()
}
