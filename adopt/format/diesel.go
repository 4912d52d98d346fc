package format

import (
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Diesel: a folder per migration, VERSION_name, with the files up.sql and down.sql, of
// which the second may be missing. The version is what comes before the first "_", without
// its hyphens: "2018-11-03-160713_create_things" is 20181103160713. There are no marks;
// metadata.toml may say that a migration runs outside of a transaction.

var (
	dieselFolder = plaintext.Pattern(`^(\d[\d-]*)_(.*)$`)
	dieselApart  = plaintext.Pattern(`(?m)^\s*run_in_transaction\s*=\s*false\b`)
)

func detectDiesel(f folder) bool {
	return slices.ContainsFunc(f.dirs, func(dir string) bool {
		_, err := f.read(dir + "/up.sql")
		return err == nil && dieselFolder().MatchString(dir)
	})
}

func readDiesel(f folder, p *Project) error {
	for _, dir := range f.dirs {
		parts := dieselFolder().FindStringSubmatch(dir)
		if parts == nil {
			continue
		}
		up, down := dir+"/up.sql", dir+"/down.sql"
		text, err := f.read(up)
		if err != nil {
			return err
		}
		key := strings.ReplaceAll(parts[1], "-", "")
		d := draft{version: migration.Version(key), name: parts[2], path: f.path(up), key: key, text: text, unmarked: true}
		if metadata, err := f.read(dir + "/metadata.toml"); err == nil && dieselApart().MatchString(metadata) {
			d.apart = true
		}
		if text, err := f.read(down); err == nil {
			d.join(text, f.path(down))
			d.hasDown = true
		}
		p.Files = append(p.Files, d.file())
	}
	return nil
}
