package migration

import (
	"fmt"
	"path"
	"strings"
)

// Named is a migration as people name it.
type Named struct {
	Version Version
	Name    string
	Path    string // empty where there is no file
}

// Named gives what m is called.
func (m Migration) Named() Named { return Named{m.Version, m.Name, m.Path} }

// IsName reports whether a version is a name, as of a file. Such are those of tools that
// know a migration by its name, where that has no number, or shares it with another.
func (v Version) IsName() bool { return v != "" && !v.numeric() && !v.Repeatable() }

// Number is the number that a version begins with, or is; empty where it has none.
func (v Version) Number() Version { return v[:digits(string(v))] }

// SameFile reports whether a history that knows a migration as one knows the same as
// other: they have one version, or one's is the number and the other's is a name that
// begins with it, and the rest of the name is the same.
func SameFile(one, other Named) bool {
	if one.Version.Equal(other.Version) {
		return true
	}
	if one.Version.IsName() {
		one, other = other, one
	}
	return one.Version.numeric() && other.Version.IsName() && other.Version.Number().Equal(one.Version) &&
		one.Name != "" && one.Name == other.Name
}

// stem is a file's name without the extension of a migration.
func stem(file string) string {
	if _, known := kindOf(file); known {
		return strings.TrimSuffix(file, path.Ext(file))
	}
	return file
}

// Find gives the version of the migration that a word means: its version, its name, the
// name of its file, or the path of that. found is false where none is meant. The error is
// an *Error of code CodeAmbiguous where several are.
func Find(word string, among []Named) (version Version, found bool, err error) {
	file := path.Base(strings.ReplaceAll(word, `\`, "/"))
	ofFile, name, _, notFile := ParseName(file)
	if notFile != nil { // it may lack the extension
		ofFile, name, _, notFile = ParseName(file + ".sql")
	}
	var meant []Named
	for _, n := range among {
		is := n.Version.Equal(Version(word)) || n.Name != "" && n.Name == word ||
			n.Path != "" && (n.Path == word || path.Base(n.Path) == file) ||
			notFile == nil && n.Version.Equal(ofFile) && n.Name == name ||
			n.Version.IsName() && (string(n.Version) == file || stem(string(n.Version)) == stem(file))
		if is && !has(meant, n.Version) {
			meant = append(meant, n)
		}
	}
	switch len(meant) {
	case 0:
		return "", false, nil
	case 1:
		return meant[0].Version, true, nil
	}
	var all []string
	for _, n := range meant {
		all = append(all, fmt.Sprintf("%s (%s)", n.Version, n.Name))
	}
	return "", false, &Error{
		Code: CodeAmbiguous, Message: fmt.Sprintf("%s may mean %s", word, strings.Join(all, " or ")),
		Remedy: "name it by its version",
	}
}

func has(all []Named, version Version) bool {
	for _, n := range all {
		if n.Version.Equal(version) {
			return true
		}
	}
	return false
}
