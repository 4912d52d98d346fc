package format

import (
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// golang-migrate: a pair of files per migration, NUMBER_name.up.sql and
// NUMBER_name.down.sql, of which either may be missing. There are no marks.

var pairFile = plaintext.Pattern(`^([0-9]+)_(.*)\.(down|up)\.(.*)$`)

func detectPairs(f folder) bool {
	return slices.ContainsFunc(f.matching(pairFile()), func(m match) bool { return m.parts[4] == "sql" })
}

func readPairs(f folder, p *Project) error {
	found := f.matching(pairFile())
	done := map[migration.Version]bool{}
	for _, m := range found {
		version := migration.Version(m.parts[1]).Canonical()
		if done[version] {
			continue // it went with the other half
		}
		done[version] = true
		file, err := f.fromPair(slices.DeleteFunc(slices.Clone(found), func(other match) bool {
			return migration.Version(other.parts[1]).Canonical() != version
		}))
		if err != nil {
			return err
		}
		p.Files = append(p.Files, file)
	}
	return nil
}

// fromPair makes one migration of the files of a version.
func (f folder) fromPair(files []match) (File, error) {
	slices.SortStableFunc(files, func(a, b match) int { return strings.Compare(b.parts[3], a.parts[3]) }) // "up" first
	first := files[0]
	d := draft{version: migration.Version(first.parts[1]), name: first.parts[2], path: f.path(first.file), text: nothing,
		unmarked: true}
	d.key = string(d.version.Canonical())
	seen := map[string]string{} // file by direction
	for _, half := range files {
		direction := half.parts[3]
		if other := seen[direction]; other != "" {
			return File{}, &migration.Error{Code: migration.CodeDuplicateVersion, Path: f.path(half.file),
				Message: "it has the same version as " + f.path(other),
				Remedy:  "give one of them another version, that of the file which no database has run yet"}
		}
		seen[direction] = half.file
		text, err := f.read(half.file)
		switch {
		case err != nil:
			return File{}, err
		case half.parts[4] != "sql":
			d.unfit = unfit("write it in SQL", "it is no SQL: its name ends in .%s", half.parts[4])
		case direction == "down":
			d.join(text, f.path(half.file))
			d.hasDown = true
		case !blank(text):
			d.name, d.path, d.text = half.parts[2], f.path(half.file), text
		}
	}
	return d.file(), nil
}

// nothing is the text of a migration that is recorded and does nothing.
const nothing = "SELECT 1;"
