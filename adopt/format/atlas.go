package format

import (
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/digest"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Atlas: VERSION_name.sql, and atlas.sum with a checksum of each, in which all
// before it are too. Directives stand in comments above the first blank line.

var (
	atlasFile      = plaintext.Pattern(`^(\d+)(?:_(.*))?\.sql$`)
	atlasDirective = plaintext.Pattern(`^--\s*atlas:(\w+)(?:\s+(.*))?$`)
)

func detectAtlas(f folder) bool { return slices.Contains(f.files, "atlas.sum") }

func readAtlas(f folder, p *Project) error {
	sums, err := f.atlasSums()
	if err != nil {
		return err
	}
	for _, name := range f.files {
		if !strings.HasSuffix(name, ".sql") {
			continue
		}
		parts := atlasFile().FindStringSubmatch(name)
		if parts == nil {
			return f.badName(name, "its version is not a number, by which whimbrel orders files",
				"give it one, and run `atlas migrate hash`")
		}
		text, err := f.read(name)
		if err != nil {
			return err
		}
		d := draft{version: migration.Version(parts[1]), name: parts[2], path: f.path(name), key: parts[1], text: text,
			unmarked: true}
		covers := d.atlasDirectives()
		if covers && len(p.Files) > 0 {
			continue // what it replaces is there, and says the same
		}
		file := d.file()
		file.Checksum, file.Covers = sums[name], covers
		p.Files = append(p.Files, file)
	}
	return nil
}

// atlasDirectives obeys the header, and reports whether the file replaces all
// before it.
func (d *draft) atlasDirectives() (covers bool) {
	header := true
	d.text = lines(d.text, func(line string) string {
		header = header && strings.HasPrefix(line, "--")
		found := atlasDirective().FindStringSubmatch(strings.TrimRight(line, " \t"))
		switch {
		case !header || found == nil:
		case found[1] == "txmode" && found[2] == "none":
			return markUp + apart
		case found[1] == "checkpoint":
			covers = true
		case found[1] == "delimiter", found[1] == "txtar":
			d.unfit = unfit("write the file without it", "whimbrel has nothing like atlas:%s", found[1])
		}
		return line
	})
	if d.unfit == nil && blank(d.text) {
		d.text = nothing
	}
	return covers
}

// atlasSums reads atlas.sum, and holds it against the files.
func (f folder) atlasSums() (map[string]string, error) {
	text, err := f.read("atlas.sum")
	if err != nil {
		return nil, err
	}
	written := map[string]string{}
	for line := range strings.Lines(text) {
		if at := strings.LastIndex(line, " h1:"); at > 0 {
			written[line[:at]] = strings.TrimSpace(line[at+len(" h1:"):])
		}
	}
	var running [4]hash.Hash // of the files as they are, and with each kind of line ends
	for _, name := range f.files {
		if !strings.HasSuffix(name, ".sql") {
			continue
		}
		raw, err := f.raw(name)
		if err != nil {
			return nil, err
		}
		header, _, _ := strings.Cut(plaintext.LF(raw), "\n\n")
		found := false
		for i, text := range plaintext.Variants(raw) {
			if running[i] == nil {
				running[i] = sha256.New()
			}
			digest.Write(running[i], name)
			if !strings.Contains(header, "atlas:sum ignore") {
				digest.Write(running[i], text)
			}
			found = found || written[name] == base64.StdEncoding.EncodeToString(running[i].Sum(nil))
		}
		if !found {
			return nil, &migration.Error{Code: migration.CodeUnsupported, Path: f.path(name),
				Message: "it is not what atlas.sum says that it is",
				Remedy:  "put it, or a file before it, back as it was; or run `atlas migrate hash` if it is meant to be so"}
		}
	}
	return written, nil
}
