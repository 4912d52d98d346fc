package project

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/whimbrel-db/whimbrel/adopt/format"
	"github.com/whimbrel-db/whimbrel/internal/files"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/internal/yamlpos"
)

// Setting is a line of whimbrel.yaml.
type Setting struct{ Key, Value string }

func (s Setting) String() string {
	value, err := yaml.Marshal(s.Value)
	if err != nil {
		return s.Key + ": " + s.Value
	}
	return s.Key + ": " + strings.TrimSpace(string(value))
}

// Edit is what became of the lines that whimbrel.yaml is to have.
type Edit struct {
	Path  string   `json:"path"`
	Added []string `json:"added,omitempty"`
	// Differing are those for which the file says something else; it is its
	// author who must decide.
	Differing []string `json:"differing,omitempty"`
}

// Add puts lines into whimbrel.yaml, which is created where there is none.
// What it has already is not touched.
func (c File) Add(wanted []Setting) (Edit, error) {
	out := Edit{Path: c.Path}
	if c.Path == "" {
		out.Path = Name
	}
	path := filepath.Join(c.Place, filepath.Base(out.Path))
	text, err := files.Read(path, files.MostConfig)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return out, files.CannotWrite(out.Path, err)
	}
	added := plaintext.LF(string(text))
	if added != "" && !strings.HasSuffix(added, "\n") {
		added += "\n"
	}
	for _, line := range wanted {
		at := c.at(line.Key)
		switch {
		case at == nil && !isDefault(line):
			added += line.String() + "\n"
			out.Added = append(out.Added, line.String())
		case at != nil && filepath.Clean(yamlpos.Written(at)) != line.Value:
			out.Differing = append(out.Differing, line.String())
		}
	}
	if len(out.Added) == 0 {
		return out, nil
	}
	if _, err := Parse(out.Path, []byte(added), nil); err != nil {
		return Edit{Path: out.Path, Differing: append(out.Added, out.Differing...)}, nil
	}
	if err := files.Overwrite(path, []byte(plaintext.Like(added, string(text)))); err != nil {
		return out, files.CannotWrite(out.Path, err)
	}
	return out, nil
}

// isDefault reports whether a line says what holds without it.
func isDefault(s Setting) bool {
	return s.Key == "migrations" && s.Value == "migrations" || s.Key == "format" && s.Value == format.Own
}
