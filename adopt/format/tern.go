package format

import (
	"bufio"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// tern: NUMBER_name.sql, the up migration above the line "---- create above / drop
// below ----" and the down migration below it. Files are templates; the values are in
// the section [data] of tern.conf. A value that is by itself becomes a
// variable; what is more than that is rendered.

var (
	ternFile      = plaintext.Pattern(`^(\d+)_(.+)\.sql$`)
	ternSeparator = plaintext.Pattern(`(?m)^---- create above / drop below ----\s*$`)
	ternAlone     = plaintext.Pattern(`^---- tern: disable-tx ----\s*$`)
	ternAction    = plaintext.Pattern(`\{\{-?\s*(.*?)\s*-?\}\}`)
	ternValue     = plaintext.Pattern(`\{\{\s*\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}`)
)

// ternMarks turns whimbrel's marks into tern's.
var ternMarks = strings.NewReplacer(
	`below "-- +migrate Up notransaction"`, `below "---- tern: disable-tx ----"`, "-- +migrate Down",
	"---- create above / drop below ----",
)

func detectTern(f folder) bool {
	if slices.Contains(f.files, "tern.conf") && len(f.matching(ternFile())) > 0 {
		return true
	}
	return slices.ContainsFunc(f.wholeFiles(ternFile()), func(m match) bool {
		text, err := f.read(m.file)
		return err == nil && ternSeparator().MatchString(text)
	})
}

func readTern(f folder, p *Project) error {
	data := f.ternData()
	shared := f.ternShared()
	for _, m := range f.matching(ternFile()) {
		text, err := f.read(m.file)
		if err != nil {
			return err
		}
		d := draft{version: migration.Version(m.parts[1]), name: m.parts[2], path: f.path(m.file), key: m.parts[1],
			marks: ternMarks}
		d.tool = "tern"
		names := d.ternTemplate(text, data, shared)
		down := false
		d.text = lines(d.text, func(line string) string {
			switch {
			case ternSeparator().MatchString(line):
				down, d.hasDown = true, !blank(ternSeparator().Split(text, 2)[1])
				return markDown
			case ternAlone().MatchString(line) && down:
				return markDown + apart
			case ternAlone().MatchString(line):
				return markUp + apart
			}
			return line
		})
		if d.unfit == nil && blank(ternSeparator().Split(text, 2)[0]) {
			d.text = nothing + "\n" + d.text
		}
		if d.unfit == nil {
			d.variables(names)
		}
		p.Files = append(p.Files, d.file())
	}
	maps.Copy(p.Variables, data)
	return nil
}

// ternTemplate makes SQL of a template, with variables where it can.
func (d *draft) ternTemplate(text string, data map[string]string, shared map[string]string) (names []string) {
	plain := !slices.ContainsFunc(ternAction().FindAllString(text, -1),
		func(action string) bool { return !ternValue().MatchString(action) })
	if plain && !strings.Contains(text, "${") {
		d.text = ternValue().ReplaceAllStringFunc(text, func(action string) string {
			name := ternValue().FindStringSubmatch(action)[1]
			names = append(names, name)
			return "${" + name + "}"
		})
		return names
	}
	d.text = text
	values := map[string]any{}
	for name, value := range data {
		values[name] = value
	}
	if d.text, d.unfit = render(d.path, text, shared, values); d.unfit != nil {
		d.text = text
	}
	return nil
}

// ternData is the section [data] of tern.conf. A value that is a template, of
// the environment mostly, is left to the variables of whimbrel.yaml.
func (f folder) ternData() map[string]string {
	data := map[string]string{}
	text, err := f.read("tern.conf")
	if err != nil {
		return data
	}
	section := ""
	for scanner := bufio.NewScanner(strings.NewReader(text)); scanner.Scan(); {
		line := strings.TrimSpace(scanner.Text())
		name, value, found := strings.Cut(line, "=")
		switch {
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[] ")
		case section == "data" && found && !strings.HasPrefix(line, "#") && !strings.Contains(value, "{{"):
			data[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return data
}

// ternShared are the templates in the folders below, by their paths.
func (f folder) ternShared() map[string]string {
	shared := map[string]string{}
	for _, dir := range f.dirs {
		_ = fs.WalkDir(f.fsys, dir, func(name string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && path.Ext(name) == ".sql" {
				if text, err := f.read(name); err == nil {
					shared[name] = text
				}
			}
			return nil
		})
	}
	return shared
}
