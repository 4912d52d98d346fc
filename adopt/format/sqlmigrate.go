package format

import (
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/pattern"
	"github.com/whimbrel-db/whimbrel/migration"
)

// sql-migrate: a file per migration, with lines "-- +migrate …". It is the
// dialect that whimbrel's own is made from. What stands before the first mark
// is not read by sql-migrate, and run by whimbrel.

var (
	sqlFile          = pattern.Of(`^(\d+)[_-]?(.*)\.sql$`)
	anySQL           = pattern.Of(`\.sql$`)
	sqlMigrateMark   = pattern.Of(`(?m)^-- \+migrate (Up|Down)\b`)
	sqlMigrateMarked = pattern.Of(`^-- \+migrate (Up|Down)\b`)
)

func detectSQLMigrate(f folder) bool { return f.all(anySQL(), sqlMigrateMark()) }

func readSQLMigrate(f folder, p *Project) error {
	for _, name := range f.files {
		if !strings.HasSuffix(name, ".sql") {
			continue
		}
		parts := sqlFile().FindStringSubmatch(name)
		if parts == nil {
			return f.badName(name, "it has no number at its beginning, which whimbrel goes by",
				"give it one: in its name, and in the table of sql-migrate where it is applied")
		}
		text, err := f.read(name)
		if err != nil {
			return err
		}
		d := draft{version: migration.Version(parts[1]), name: parts[2], path: f.path(name), key: name, text: text}
		if sqlMigrateMark().MatchString(text) {
			begun := false
			d.text = lines(text, func(line string) string {
				if begun = begun || sqlMigrateMarked().MatchString(line); begun {
					return line
				}
				return silenced(line)
			})
		}
		p.Files = append(p.Files, d.file())
	}
	return nil
}

func writeSQLMigrate(m migration.Migration) []Written {
	up, down := halves(m)
	text := markUp + transaction(m.Up) + "\n" + bracketed(up, "-- +migrate StatementBegin\n", "-- +migrate StatementEnd\n")
	if len(down) > 0 {
		text += "\n" + markDown + transaction(m.Down) + "\n" + bracketed(down, "-- +migrate StatementBegin\n", "-- +migrate StatementEnd\n")
	}
	return []Written{{Name: fileName(m), Text: text}}
}

// transaction is what stands behind the mark of a section.
func transaction(s migration.Section) string {
	if outside(s) {
		return apart
	}
	return ""
}
