package migration

import (
	"fmt"
	"path"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// StoredDown returns the text to keep in the history table, from which
// ParseStored reads the down migration when the file is not there. It is the source
// of the Down sections with their comments, and nothing else if that is all
// there is to know; other runners can then execute it as it is. Otherwise
// annotations are before it, which they read as comments. It is "" when there
// is no down migration in SQL: for scripts and functions always.
func (m Migration) StoredDown() string { return m.storedDown }

// scriptHeader begins the stored down migration of a script. Who takes it for SQL gets
// an error of the server's.
const scriptHeader = "-- +migrate Script "

// storedLabel begins the path of what comes from the history.
const storedLabel = "stored down migration of "

// StoredScript returns the text to keep for a script: its source, as one text
// that needs no neighbour, below a line that names its file.
func (m Migration) StoredScript(source string) string {
	return scriptHeader + strings.TrimPrefix(path.Base(m.Path), storedLabel) + "\n" + source
}

// ParseStored reads what StoredDown returned, or what a home-grown runner kept:
// text without a mark is the way down. The migration that comes back has the
// Down section, or is a script, and no checksum, since nothing is known of the
// file. A script's Path ends in its file's name.
// An empty text is no error; there is then no down migration.
func ParseStored(version Version, name, stored string) (Migration, error) {
	m := Migration{
		Version: version, Name: name, Kind: SQL,
		Path: fmt.Sprintf("%s%s_%s", storedLabel, version, name),
	}
	m.take(stored)
	if header, source, found := strings.Cut(m.Text, "\n"); found && strings.HasPrefix(header, scriptHeader) {
		m.Kind, m.Text = Script, source
		m.Path = storedLabel + strings.TrimPrefix(header, scriptHeader)
		return m, nil
	}
	if function().MatchString(m.Text) {
		return Migration{}, locate(m.Path, []*Error{{
			Code:    CodeStoredScript,
			Message: "it is the source of a JavaScript function, not SQL",
			Remedy:  "check out a version that has the migration's file, and run the same command there",
		}})
	}
	m, problems := read(m, true, &room{foreign: true})
	if len(problems) > 0 {
		return Migration{}, locate(m.Path, problems)
	}
	return m, nil
}

// function is how a function begins that some home-grown runner stored in
// place of SQL. No SQL statement begins like that.
var function = plaintext.Pattern(`^\s*(?:async\b|function\b|down\s*\(|\(?\s*\w*\s*\)?\s*=>)`)

// storedDown builds the text for StoredDown.
func (r *reader) storedDown() string {
	m := &r.migration
	if m.Irreversible {
		return strings.TrimRight("-- +migrate Irreversible "+m.Reason, " ") + "\n"
	}
	if len(m.Down.Statements) == 0 {
		return ""
	}
	var text strings.Builder
	if m.Down.NoTransaction {
		text.WriteString("-- +migrate Down notransaction\n")
	}
	var downs []part
	for _, p := range r.sections {
		if p.down && strings.TrimSpace(m.Text[p.start:p.end]) != "" {
			downs = append(downs, p)
			continue
		}
		for _, setting := range p.settings {
			text.WriteString(setting.annotation())
		}
		for _, v := range p.variables {
			text.WriteString("-- +migrate Variables " + v.Name + "\n")
		}
	}
	for i, p := range downs {
		text.WriteString(strings.TrimLeft(m.Text[p.start:p.end], " \t\r\n\f\v"))
		if i+1 < len(downs) && p.lastEnd > p.start && !terminated(m.Text[p.lastEnd:p.end]) {
			text.WriteString(";\n")
		}
	}
	return text.String()
}
