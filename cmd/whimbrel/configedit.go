package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/whimbrel-db/whimbrel/adopt/format"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/internal/yamlpos"
)

// setting is a line of whimbrel.yaml.
type setting struct{ Key, Value string }

func (s setting) String() string {
	value, err := yaml.Marshal(s.Value)
	if err != nil {
		return s.Key + ": " + s.Value
	}
	return s.Key + ": " + strings.TrimSpace(string(value))
}

// settled is what became of the lines that whimbrel.yaml is to have.
type settled struct {
	Path  string   `json:"path"`
	Added []string `json:"added,omitempty"`
	// Differing are those for which the file says something else; it is its
	// author who must decide.
	Differing []string `json:"differing,omitempty"`
}

func (s settled) render(p present.Style) string {
	var b strings.Builder
	if len(s.Added) > 0 {
		fmt.Fprintf(&b, "%s %s: %s\n", p.Good("✓"), s.Path, strings.Join(s.Added, ", "))
	}
	if len(s.Differing) > 0 {
		fmt.Fprintf(&b, "%s %s says otherwise, and was left alone; what was adopted needs: %s\n", p.Warning("!"), s.Path,
			strings.Join(s.Differing, ", "))
	}
	return b.String()
}

// settle puts lines into whimbrel.yaml, which is created where there is none.
// What it has already is not touched.
func (a *app) settle(file config, wanted []setting) (settled, error) {
	out := settled{Path: file.path}
	if file.path == "" {
		out.Path = configName
	}
	path := filepath.Join(file.place, filepath.Base(out.Path))
	text, err := readFile(path, mostConfig)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return out, cannotWrite(out.Path, err)
	}
	added := plaintext.LF(string(text))
	if added != "" && !strings.HasSuffix(added, "\n") {
		added += "\n"
	}
	for _, line := range wanted {
		at := file.at(line.Key)
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
	if _, err := parseConfig(out.Path, []byte(added)); err != nil {
		return settled{Path: out.Path, Differing: append(out.Added, out.Differing...)}, nil
	}
	if err := overwrite(path, []byte(plaintext.Like(added, string(text)))); err != nil {
		return out, cannotWrite(out.Path, err)
	}
	return out, nil
}

// isDefault reports whether a line says what holds without it.
func isDefault(s setting) bool {
	return s.Key == "migrations" && s.Value == "migrations" || s.Key == "format" && s.Value == format.Own
}

// besideFile is a folder as whimbrel.yaml has to name it.
func (a *app) besideFile(file config, dir string) string {
	relative, err := filepath.Rel(file.place, a.absolute(dir))
	if err != nil {
		return filepath.ToSlash(dir)
	}
	return filepath.ToSlash(relative)
}
