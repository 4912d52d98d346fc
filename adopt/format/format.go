// Package format reads and writes the migration files of other tools: a folder
// of goose, golang-migrate, Flyway and so on becomes migrations that whimbrel
// runs, without another copy of them on disk.
//
// It is pure: it reads from an fs.FS and knows nothing of databases. Everything
// in it may be called concurrently.
//
// A file is translated in memory: marks of the other tool become those of
// whimbrel, in the same lines, so that every place that a message names is a
// place in the file as it lies there. The text that comes out is what a
// migration's checksum is made of, and what converting a folder writes. So the
// translation of a file never changes, neither with the environment nor with
// whimbrel's version; values that the other tool takes from outside stay
// variables.
package format

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Format is a way to keep migrations in files.
type Format struct {
	// Name is what --from, --format and whimbrel.yaml call it: "golang-migrate".
	Name string
	// Tool is what people call it: "Flyway".
	Tool string

	// byName is set where the tool knows a migration by its name, and two may have a number.
	byName bool
	detect func(folder) bool
	read   func(folder, *Project) error
	write  func(migration.Migration) []Written
}

// Own is whimbrel's own format.
const Own = "whimbrel"

// All are the formats that can be read, by name.
func All() []Format {
	return []Format{
		{Name: "atlas", Tool: "Atlas", detect: detectAtlas, read: readAtlas},
		{Name: "db-migrate", Tool: "db-migrate", byName: true, detect: detectDBMigrate, read: readDBMigrate},
		{Name: "dbmate", Tool: "dbmate", detect: detectDbmate, read: readDbmate, write: writeDbmate},
		{Name: "diesel", Tool: "Diesel", detect: detectDiesel, read: readDiesel},
		{Name: "drizzle", Tool: "Drizzle", byName: true, detect: detectDrizzle, read: readDrizzle},
		{Name: "flyway", Tool: "Flyway", detect: detectFlyway, read: readFlyway, write: writeFlyway},
		{Name: "golang-migrate", Tool: "golang-migrate", detect: detectPairs, read: readPairs, write: writePairs},
		{Name: "goose", Tool: "goose", detect: detectGoose, read: readGoose, write: writeGoose},
		{Name: "knex", Tool: "Knex", byName: true, detect: detectKnex, read: readKnex},
		{Name: "node-pg-migrate", Tool: "node-pg-migrate", byName: true, detect: detectNodePGMigrate,
			read: readNodePGMigrate},
		{Name: "plain", Tool: "a plain folder", detect: never, read: readPlain, write: writePlain},
		{Name: "prisma", Tool: "Prisma", byName: true, detect: detectPrisma, read: readPrisma},
		{
			Name: "sql-migrate", Tool: "sql-migrate", byName: true,
			detect: detectSQLMigrate, read: readSQLMigrate, write: writeSQLMigrate,
		},
		{Name: "tern", Tool: "tern", detect: detectTern, read: readTern},
		{Name: Own, Tool: "whimbrel", detect: never, read: readOwn, write: writeOwn},
	}
}

func never(folder) bool { return false }

// Named finds a format by its name.
func Named(name string) (Format, bool) {
	all := All()
	i := slices.IndexFunc(all, func(f Format) bool { return strings.EqualFold(f.Name, name) })
	if i < 0 {
		return Format{}, false
	}
	return all[i], true
}

// Names are the names of all formats that keep returns true for, sorted.
func Names(keep func(Format) bool) (names []string) {
	for _, f := range All() {
		if keep(f) {
			names = append(names, f.Name)
		}
	}
	return names
}

// Writes reports whether files can be written in this format.
func (f Format) Writes() bool { return f.write != nil }

// Project is what a folder holds.
type Project struct {
	Format Format
	Files  []File // in the order of their versions, which are all different
	// Variables are values that the files have themselves for variables that
	// are not given: defaults.
	Variables map[string]string
	// Remarks are what a person should know of the folder, a sentence each.
	Remarks []string
	// PassedOver are the files that by their names are migrations, and that this format
	// does not read: they are of another tool, or misnamed.
	PassedOver []string
}

// File is a migration as another tool sees it.
type File struct {
	Migration migration.Migration
	// Key is what the tool's table calls it: a version or a file's name.
	Key string
	// Checksum is what the tool's table would keep of it; "" where it keeps none.
	Checksum string
	// Checksums are what it would keep of the same file with other line ends.
	Checksums []string
	// Covers is set where the migration stands for all before it, on a database
	// that is empty.
	Covers bool
}

// Keeps reports whether a checksum that the tool's table has is that of the file, whichever
// line ends it had then. One that is unknown is as good as any.
func (f File) Keeps(checksum string) bool {
	return checksum == "" || f.Checksum == "" || checksum == f.Checksum || slices.Contains(f.Checksums, checksum)
}

// Migrations are those of the files.
func (p Project) Migrations() []migration.Migration {
	all := make([]migration.Migration, len(p.Files))
	for i, f := range p.Files {
		all[i] = f.Migration
	}
	return all
}

// Read reads folders. What whimbrel cannot run becomes a migration of the kind
// Opaque, which says why: it may long have been applied.
//
// The error joins a *migration.Error for each file that cannot be read, or whose
// version is not known; then there is no project.
func (f Format) Read(sources ...migration.Source) (Project, error) {
	p := Project{Format: f, Variables: map[string]string{}}
	for _, source := range sources {
		found, err := open(source)
		if err == nil {
			err = f.read(found, &p)
		}
		if err != nil {
			return Project{}, err
		}
		p.remark(found)
	}
	if err := p.order(); err != nil {
		return Project{}, err
	}
	return p, nil
}

// Detect gives the formats that folders may be in; none if nothing tells.
// Whimbrel's own and plain folders, which have no signs, are never among them.
func Detect(sources ...migration.Source) (candidates []Format) {
	for _, source := range sources {
		found, err := open(source)
		if err != nil {
			return nil
		}
		for _, f := range All() {
			if f.detect(found) && !slices.ContainsFunc(candidates, func(other Format) bool { return other.Name == f.Name }) {
				candidates = append(candidates, f)
			}
		}
	}
	return candidates
}

// Signs reports whether a folder has a file that only another tool would put
// there. It is quick, and misses the formats whose files whimbrel's own reader
// refuses.
func Signs(sources ...migration.Source) bool {
	for _, source := range sources {
		for _, sign := range []string{"atlas.sum", "migration_lock.toml", "meta/_journal.json", "sqls", "tern.conf"} {
			if _, err := fs.Stat(source.FS, path.Join(source.Dir, sign)); err == nil {
				return true
			}
		}
	}
	return false
}

// isMigration are names that only a migration has, of whichever tool.
var isMigration = plaintext.Pattern(`^(?:[VUBR]?\d[^/]*|R__[^/]+)\.(?:(?i:sql)|js|mjs|cjs|ts)$`)

// knows reports whether the format has read a name, and has its reasons where it has made
// no migration of the file: a newer baseline of Flyway's replaces it, or it is empty.
func (f Format) knows(name string) bool {
	switch f.Name {
	case "flyway":
		return flywayFile().MatchString(name)
	case "golang-migrate":
		return pairFile().MatchString(name)
	}
	return false
}

// remark says of a folder what SQL in it is not read: nobody would notice.
func (p *Project) remark(f folder) {
	read := map[string]bool{}
	for _, file := range p.Files {
		m := file.Migration
		read[m.Path], read[m.Up.Path], read[m.Down.Path] = true, true, true
	}
	var others, callbacks []string
	for _, name := range f.files {
		switch {
		case read[f.path(name)]:
		case isMigration().MatchString(name) && !p.Format.knows(name):
			p.PassedOver = append(p.PassedOver, f.path(name))
			others = append(others, f.path(name))
		case !strings.EqualFold(path.Ext(name), ".sql"):
		case p.Format.Name == "flyway" && flywayCallback().MatchString(name):
			callbacks = append(callbacks, f.path(name))
		default:
			others = append(others, f.path(name))
		}
	}
	if len(callbacks) > 0 {
		p.Remarks = append(p.Remarks, "Flyway's callbacks are not run; what they do belongs into hooks: "+
			strings.Join(callbacks, ", "))
	}
	if len(others) > 0 {
		p.Remarks = append(p.Remarks, "SQL in the folder that is not read: "+strings.Join(others, ", "))
	}
}

// nameShared gives the files whose tool knows them by their names these for versions, where
// another file has the same number. All others keep the number.
func (p *Project) nameShared() {
	shared := map[migration.Version]int{}
	for _, f := range p.Files {
		shared[f.Migration.Version.Canonical()]++
	}
	for i, f := range p.Files {
		if shared[f.Migration.Version.Canonical()] > 1 {
			p.Files[i].Migration.Version = f.name()
		}
	}
}

// name is what the tool knows a migration by: its file's name, or its folder's.
func (f File) name() migration.Version {
	if f.Migration.Version.Equal(migration.Version(f.Key)) || strings.Trim(f.Key, "0123456789") == "" {
		return migration.Version(stem(path.Base(f.Migration.Path)))
	}
	return migration.Version(f.Key)
}

// order sorts the files, and refuses a version that two of them have.
func (p *Project) order() error {
	if p.Format.byName {
		p.nameShared()
	}
	slices.SortStableFunc(p.Files, func(a, b File) int { return a.Migration.Version.Compare(b.Migration.Version) })
	var problems []error
	for i := 1; i < len(p.Files); i++ {
		one, other := p.Files[i-1].Migration, p.Files[i].Migration
		if one.Version.Equal(other.Version) {
			problems = append(problems, &migration.Error{
				Code: migration.CodeDuplicateVersion, Path: other.Path,
				Message: "it has the same version as " + one.Path,
				Remedy:  "give one of them another version, that of the file which no database has run yet",
			})
		}
	}
	return errors.Join(problems...)
}
