package format

import (
	"github.com/whimbrel-db/whimbrel/migration"
)

// A plain folder: files of SQL whose names begin with a number, each a
// migration as a whole, without a down migration. Whimbrel's own annotations count.

func readPlain(f folder, p *Project) error {
	for _, m := range f.matching(sqlFile()) {
		text, err := f.read(m.file)
		if err != nil {
			return err
		}
		p.Files = append(p.Files, draft{version: migration.Version(m.parts[1]), name: m.parts[2], path: f.path(m.file),
			key: m.file, text: text, whole: true}.file())
	}
	return nil
}

func writePlain(m migration.Migration) []Written {
	up, _ := halves(m)
	return []Written{{Name: fileName(m), Text: plainly(up)}}
}

// readOwn reads whimbrel's own format by way of what whimbrel reads it with.
func readOwn(f folder, p *Project) error {
	migrations, err := migration.Load(migration.Source{FS: f.fsys, Label: f.label})
	for _, m := range migrations {
		p.Files = append(p.Files, File{Migration: m, Key: string(m.Version)})
	}
	return err
}
