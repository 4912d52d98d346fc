package format

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Written is a file to be written.
type Written struct {
	Name string
	Text string
}

// Write gives the files that hold a migration in this format. What whimbrel
// knows and the other tool does not is an error: it would get lost unsaid.
func (f Format) Write(m migration.Migration) ([]Written, error) {
	if f.write == nil {
		return nil, fmt.Errorf("%s can be read and not written", f.Tool)
	}
	if m.Version.IsName() && f.Name != "sql-migrate" {
		problem := unfit("rename it so that it begins with one, before any database has run it",
			"it has no number of its own, which %s needs", f.Tool)
		problem.Path = m.Path
		return nil, problem
	}
	if f.Name == Own {
		return f.write(m), nil
	}
	if problem := f.lost(m); problem != nil {
		problem.Path = m.Path
		return nil, problem
	}
	return f.write(m), nil
}

// lost is what the format cannot say of a migration.
func (f Format) lost(m migration.Migration) *migration.Error {
	switch {
	case m.Unfit != nil:
		return m.Unfit
	case m.Kind != migration.SQL:
		return unfit("write it in SQL", "a %s cannot be a migration of %s", m.Kind, f.Tool)
	case len(m.Settings) > 0:
		return at(m.Settings[0].Position, "write SET LOCAL in the SQL", "%s has nothing like Set", f.Tool)
	case len(m.Variables) > 0 && f.Name != "flyway":
		return at(m.Variables[0].Position, "write the value", "%s has no variables", f.Tool)
	case m.Version.Repeatable() && f.Name != "flyway":
		return unfit("give it a version", "%s has no repeatable migrations", f.Tool)
	}
	for _, section := range []migration.Section{m.Up, m.Down} {
		if section.Blocks() {
			return at(section.Statements[0].Start, "put each transaction block into a migration of its own",
				"%s has nothing like transaction blocks of a file", f.Tool)
		}
		if s, found := alone(section); found && len(section.Statements) > 1 && (f.Name == "golang-migrate" ||
			f.Name == "dbmate") {
			return at(s.Start, "put it into a migration of its own", "%s sends a file as a whole, in which %s cannot stand "+
				"beside others", f.Tool, s.Command)
		}
	}
	for _, s := range slices.Concat(m.Up.Statements, m.Down.Statements) {
		switch {
		case s.Batch != nil:
			return at(s.Batch.Position, "write the statement without :from and :to", "%s has nothing like Batch", f.Tool)
		case s.Data != nil:
			return at(s.Start, "write INSERT in its place", "%s cannot run COPY … FROM stdin", f.Tool)
		}
	}
	return nil
}

func at(position migration.Position, remedy, format string, args ...any) *migration.Error {
	problem := unfit(remedy, format, args...)
	problem.Position = position
	return problem
}

// alone finds a statement that cannot run in a transaction.
func alone(s migration.Section) (migration.Statement, bool) {
	i := slices.IndexFunc(s.Statements, func(s migration.Statement) bool { return s.Class == pgsql.Alone })
	if i < 0 {
		return migration.Statement{}, false
	}
	return s.Statements[i], true
}

// outside reports whether a section must not be run in a transaction.
func outside(s migration.Section) bool {
	_, found := alone(s)
	return found || s.NoTransaction
}

// halves are the statements of both directions. An assertion is nothing but a
// query elsewhere, and left out.
func halves(m migration.Migration) (up, down []migration.Statement) {
	asserts := func(s migration.Statement) bool { return s.Assert != nil }
	return slices.DeleteFunc(slices.Clone(m.Up.Statements), asserts), slices.DeleteFunc(slices.Clone(m.Down.Statements),
		asserts)
}

// plainly writes statements one below the other.
func plainly(statements []migration.Statement) string { return bracketed(statements, "", "") }

// bracketed writes statements, with marks around those that would be cut in
// their middle by a tool that cuts where a line ends in a semicolon.
func bracketed(statements []migration.Statement, begin, end string) string {
	var b strings.Builder
	for _, s := range statements {
		text := s.Written()
		if whole(text) {
			b.WriteString(text + ";\n")
		} else {
			b.WriteString(begin + text + ";\n" + end)
		}
	}
	return b.String()
}

// whole reports whether no line within a statement looks like its end, and none
// like a mark.
func whole(text string) bool {
	for line := range strings.Lines(text) {
		code, _, _ := strings.Cut(line, "--")
		if strings.HasSuffix(strings.TrimSpace(code), ";") || strings.Contains(line, ";") && strings.Contains(line, "--") {
			return false
		}
	}
	for token := range pgsql.Tokens(text) {
		if token.Kind == pgsql.DollarString {
			return false
		}
	}
	return true
}

var oddInNames = plaintext.Pattern(`[^\pL\pN._-]+`)

// nameOf is a migration's name as it can be in a file's.
func nameOf(m migration.Migration) string {
	name := strings.Trim(oddInNames().ReplaceAllString(m.Name, "_"), "_")
	if name == "" {
		return "migration"
	}
	return name
}

// fileName is a file of a single migration.
func fileName(m migration.Migration) string {
	if m.Version.Repeatable() {
		return string(m.Version) + ".sql"
	}
	return string(m.Version) + "_" + nameOf(m) + ".sql"
}

// writeOwn is the translation as it is in memory: so the history keeps
// knowing the file by its checksum.
func writeOwn(m migration.Migration) []Written {
	name := fileName(m)
	if m.Kind == migration.Script {
		name = m.Path[strings.LastIndexByte(m.Path, '/')+1:]
		if extension := path.Ext(name); extension == ".mts" || extension == ".cts" {
			name = strings.TrimSuffix(name, extension) + ".ts"
		}
	}
	return []Written{{Name: name, Text: m.Text}}
}

func writePairs(m migration.Migration) []Written {
	up, down := halves(m)
	stem := string(m.Version) + "_" + nameOf(m)
	written := []Written{{Name: stem + ".up.sql", Text: plainly(up)}}
	if len(down) > 0 {
		written = append(written, Written{Name: stem + ".down.sql", Text: plainly(down)})
	}
	return written
}

func blank(text string) bool { return strings.TrimSpace(text) == "" }
