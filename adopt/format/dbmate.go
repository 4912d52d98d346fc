package format

import (
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// dbmate: a file per migration that begins with digits, which are its version,
// with lines "-- migrate:up" and "-- migrate:down".

var (
	dbmateFile = plaintext.Pattern(`^(\d+)_?(.*)\.sql$`)
	dbmateMark = plaintext.Pattern(`^--\s*migrate:(up|down)(?:\s+(.*))?$`)
	dbmateUp   = plaintext.Pattern(`(?m)^--\s*migrate:up\b`)
	dbmateOff  = plaintext.Pattern(`\btransaction:false\b`)
)

// dbmateMarks turns whimbrel's marks into dbmate's.
var dbmateMarks = strings.NewReplacer("-- +migrate Up", "-- migrate:up", "-- +migrate Down", "-- migrate:down",
	"notransaction", "transaction:false")

func detectDbmate(f folder) bool { return f.all(dbmateFile(), dbmateUp()) }

func readDbmate(f folder, p *Project) error {
	for _, m := range f.matching(dbmateFile()) {
		text, err := f.read(m.file)
		if err != nil {
			return err
		}
		d := draft{version: migration.Version(m.parts[1]), name: m.parts[2], path: f.path(m.file), key: m.parts[1],
			marks: dbmateMarks}
		d.tool = "dbmate"
		begun := false
		d.text = lines(text, func(line string) string {
			parts := dbmateMark().FindStringSubmatch(line)
			if parts == nil && !begun {
				return silenced(line)
			} else if parts == nil {
				return line
			}
			begun = true
			mark := markUp
			if parts[1] == "down" {
				mark, d.hasDown = markDown, true
			}
			if dbmateOff().MatchString(parts[2]) {
				mark += apart
			}
			return mark
		})
		if !begun {
			d.unfit = unfit(`write "-- migrate:up" above its SQL`,
				"it has no line that says where the up migration begins, and dbmate refuses it")
		}
		p.Files = append(p.Files, d.file())
	}
	return nil
}

func writeDbmate(m migration.Migration) []Written {
	up, down := halves(m)
	off := func(s migration.Section) string {
		if outside(s) {
			return " transaction:false"
		}
		return ""
	}
	// dbmate refuses a file without a down block, and one that is empty does nothing.
	text := "-- migrate:up" + off(m.Up) + "\n" + plainly(up) + "\n-- migrate:down" + off(m.Down) + "\n" + plainly(down)
	return []Written{{Name: fileName(m), Text: text}}
}
