package format

import (
	"hash/crc32"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Flyway: V<version>__<description>.sql is a migration, U… its down migration,
// R__<description>.sql runs again whenever it changes, and B<version>__… stands,
// on an empty database, for all migrations up to its version. Folders are read
// with those in them. ${name} is a placeholder.

var (
	flywayFile     = plaintext.Pattern(`^(?:([VUB])([0-9][0-9._]*)|(R))__(.*)\.sql$`)
	flywayCallback = plaintext.Pattern(`^(?:before|after|create)[A-Z][A-Za-z]*(?:__.*)?\.sql$`)
	flywayPrograms = plaintext.Pattern(`^(?:([VUB])([0-9][0-9._]*)|(R))__(.*)\.(?:java|class|py|sh|bash|ps1|cmd|bat)$`)
)

func detectFlyway(f folder) bool {
	found, err := f.flyway()
	return err == nil && slices.ContainsFunc(found, func(m match) bool { return m.parts[2] != "" })
}

// script is one of Flyway's files.
type script struct {
	match
	text string
}

func (s script) version() migration.Version {
	return migration.Version(strings.Trim(strings.ReplaceAll(s.parts[2], "_", "."), "."))
}

func (s script) kind() string { return s.parts[1] + s.parts[3] }

// flyway lists Flyway's files in the folder and those below it.
func (f folder) flyway() (found []match, err error) {
	err = fs.WalkDir(f.fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if parts := flywayFile().FindStringSubmatch(path.Base(name)); parts != nil {
			found = append(found, match{name, parts})
		} else if parts := flywayPrograms().FindStringSubmatch(path.Base(name)); parts != nil {
			found = append(found, match{name, parts})
		}
		return nil
	})
	return found, err
}

func readFlyway(f folder, p *Project) error {
	found, err := f.flyway()
	if err != nil {
		return err
	}
	var all []script
	for _, m := range found {
		text, err := f.read(m.file)
		if err != nil {
			return err
		}
		all = append(all, script{m, text})
	}
	for _, s := range all {
		switch s.kind() {
		case "V", "R":
			p.Files = append(p.Files, f.fromFlyway(s, all))
		case "B":
			if !s.superseded(all) {
				file := f.fromFlyway(s, all)
				file.Covers = true
				p.Files = append(p.Files, file)
			}
		}
	}
	return nil
}

// superseded reports whether the migrations that a baseline stands for are
// still there: then they say the same, and databases have run them.
func (s script) superseded(all []script) bool {
	for _, other := range all {
		if other.kind() == "V" && other.version().Compare(s.version()) <= 0 {
			return true
		}
	}
	return false
}

func (f folder) fromFlyway(s script, all []script) File {
	d := draft{version: s.version(), name: s.parts[4], path: f.path(s.file), text: s.text, unmarked: true}
	d.key = string(d.version)
	if s.kind() == "R" {
		d.name = strings.NewReplacer(" ", "_", "\t", "_", ",", "_").Replace(s.parts[4])
		d.version = migration.Version("R__" + d.name)
		d.key = strings.ReplaceAll(s.parts[4], "_", " ")
	}
	switch {
	case !strings.HasSuffix(s.file, ".sql"):
		d.unfit = unfit("run it with Flyway and adopt its history again, or write it in SQL",
			"it is a program, which only Flyway can run")
	case blank(s.text):
		d.text = nothing
	}
	if s.kind() == "V" {
		for _, other := range all {
			if other.kind() == "U" && other.version().Equal(s.version()) {
				d.join(other.text, f.path(other.file))
			}
		}
	}
	if d.unfit == nil {
		d.unfit = f.flywaySettings(s)
	}
	if d.unfit == nil {
		d.placeholders()
	}
	file := d.file()
	if strings.HasSuffix(s.file, ".sql") {
		file.Checksum = strconv.Itoa(int(FlywayChecksum(s.text)))
	}
	return file
}

// flywaySettings refuses a script that has a file of settings beside it which
// ask for something else than whimbrel does. (It finds out by itself what cannot
// be in a transaction.)
func (f folder) flywaySettings(s script) *migration.Error {
	text, err := f.read(s.file + ".conf")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if name != "" && !strings.HasPrefix(name, "#") && name != "executeInTransaction" {
			return unfit("put what is meant into the file itself", "%s.conf sets %s = %s, which whimbrel does not read",
				path.Base(s.file), name, value)
		}
	}
	return nil
}

var flywayPlaceholder = plaintext.Pattern(`\$\{([^}\n]*)\}`)

// placeholders makes variables of placeholders: of characters that the name of
// a variable cannot have, underscores.
func (d *draft) placeholders() {
	var names []string
	d.text = flywayPlaceholder().ReplaceAllStringFunc(d.text, func(reference string) string {
		name := strings.TrimSpace(reference[2 : len(reference)-1])
		if strings.HasPrefix(strings.ToLower(name), "flyway:") {
			d.unfit = unfit("write the value, or a placeholder of your own", "only Flyway has a value for ${%s}", name)
			return reference
		}
		variable := strings.Map(func(r rune) rune {
			if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
				return r
			}
			return '_'
		}, name)
		if !migration.IsVariable(variable) {
			d.unfit = unfit("give it a name that begins with a letter", "${%s} cannot be the name of a variable", name)
			return reference
		}
		names = append(names, variable)
		return "${" + variable + "}"
	})
	d.variables(names)
}

// FlywayChecksum is what Flyway keeps of a file: the CRC-32 of the lines without their ends.
func FlywayChecksum(text string) int32 {
	sum := crc32.NewIEEE()
	for line := range strings.Lines(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")) {
		_, _ = sum.Write([]byte(strings.TrimSuffix(line, "\n")))
	}
	return int32(sum.Sum32()) //nolint:gosec // Flyway keeps it so
}

func writeFlyway(m migration.Migration) []Written {
	up, down := halves(m)
	version := string(m.Version)
	if m.Version.Repeatable() {
		return []Written{{Name: version + ".sql", Text: plainly(up)}}
	}
	written := []Written{{Name: "V" + version + "__" + nameOf(m) + ".sql", Text: plainly(up)}}
	if len(down) > 0 {
		written = append(written, Written{Name: "U" + version + "__" + nameOf(m) + ".sql", Text: plainly(down)})
	}
	if outside(m.Up) {
		written = append(written, Written{Name: written[0].Name + ".conf", Text: "executeInTransaction=false\n"})
	}
	return written
}
