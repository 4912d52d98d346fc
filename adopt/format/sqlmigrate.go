package format

import (
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// sql-migrate: a file per migration, with lines "-- +migrate …". It is the
// dialect that whimbrel's own is made from. What is before the first mark
// is not read by sql-migrate, and run by whimbrel.
//
// A file's name is what sql-migrate knows a migration by. Its version is the number that
// the name begins with, so that the same folder in whimbrel's own format is the same; and
// the whole name where it has no number, or shares it with another file. The engine knows
// a migration by either (migration.SameFile), because a second file of a number may come
// when the first is applied.

var (
	sqlFile          = plaintext.Pattern(`^(\d+)[_-]?(.*)\.sql$`)
	anySQL           = plaintext.Pattern(`\.sql$`)
	sqlMigrateMark   = plaintext.Pattern(`(?m)^-- \+migrate (Up|Down)\b`)
	sqlMigrateMarked = plaintext.Pattern(`^-- \+migrate (Up|Down)\b`)
)

func detectSQLMigrate(f folder) bool { return f.all(anySQL(), sqlMigrateMark()) }

// datedFile is a name that begins with a date: what whimbrel would take for the version is the year.
var datedFile = plaintext.Pattern(`^\d{4}-\d{2}-\d{2}`)

// OnlySQLMigrate reports whether folders have nothing but files of sql-migrate that by
// their names cannot be whimbrel's own: these begin with no number, or with a date.
func OnlySQLMigrate(sources ...migration.Source) bool {
	return all(sources, func(f folder) bool {
		own := func(m match) bool { return !datedFile().MatchString(m.file) }
		return detectSQLMigrate(f) && !slices.ContainsFunc(f.matching(sqlFile()), own)
	})
}

// LooksLikeSQLMigrate reports whether folders may be sql-migrate's: all files have the
// marks that it shares with whimbrel.
func LooksLikeSQLMigrate(sources ...migration.Source) bool { return all(sources, detectSQLMigrate) }

func all(sources []migration.Source, is func(folder) bool) bool {
	return !slices.ContainsFunc(sources, func(source migration.Source) bool {
		f, err := open(source)
		return err != nil || !is(f)
	})
}

func readSQLMigrate(f folder, p *Project) error {
	shared := map[migration.Version]int{}
	for _, m := range f.matching(sqlFile()) {
		shared[migration.Version(m.parts[1]).Canonical()]++
	}
	for _, name := range f.files {
		if !strings.HasSuffix(name, ".sql") {
			continue
		}
		text, err := f.read(name)
		if err != nil {
			return err
		}
		d := draft{version: migration.Version(name), name: stem(name), path: f.path(name), key: name, text: text}
		if d.version.Repeatable() {
			return f.badName(name, "it is not repeatable to sql-migrate", "run it with sql-migrate, or omit --format")
		}
		if parts := sqlFile().FindStringSubmatch(name); parts != nil {
			d.name = parts[2]
			if number := migration.Version(parts[1]); shared[number.Canonical()] == 1 {
				d.version = number
			}
		}
		if sqlMigrateMark().MatchString(text) {
			begun := false
			d.text = lines(text, func(line string) string {
				if mark := sqlMigrateMarked().FindStringSubmatch(line); mark != nil {
					begun, d.hasDown = true, d.hasDown || mark[1] == "Down"
				}
				if begun {
					return line
				}
				return silenced(line)
			})
		} else if d.version.IsName() {
			d.unfit = unfit(`write "-- +migrate Up" above its SQL`,
				"it has no line that says where the up section begins, and sql-migrate refuses it")
		}
		p.Files = append(p.Files, d.file())
	}
	return nil
}

func writeSQLMigrate(m migration.Migration) []Written {
	up, down := halves(m)
	text := markUp + transaction(m.Up) + "\n" + bracketed(up, "-- +migrate StatementBegin\n", "-- +migrate StatementEnd\n")
	if len(down) > 0 {
		text += "\n" + markDown + transaction(m.Down) + "\n" + bracketed(down, "-- +migrate StatementBegin\n",
			"-- +migrate StatementEnd\n")
	}
	if m.Version.IsName() {
		return []Written{{Name: stem(string(m.Version)) + ".sql", Text: text}}
	}
	return []Written{{Name: fileName(m), Text: text}}
}

// transaction is what is behind the mark of a section.
func transaction(s migration.Section) string {
	if outside(s) {
		return apart
	}
	return ""
}
