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

// fileName ends a version that is the whole name of a file, as sql-migrate's may be.
const fileName = ".sql"

// IsFileName reports whether a version is the whole name of a file. Such are those of
// sql-migrate's whose names have no number, or share it with another.
func IsFileName(v Version) bool { return strings.HasSuffix(string(v), fileName) }

// SameFile reports whether a history that knows a migration as one knows the same as
// other: they have one version, or one's is the number and the other's is the name of a
// file that begins with it, and the rest of the name is the same.
func SameFile(one, other Named) bool {
	if one.Version.Equal(other.Version) {
		return true
	}
	if IsFileName(one.Version) {
		one, other = other, one
	}
	name := string(other.Version)
	number := Version(name[:digits(name)])
	return one.Version.numeric() && IsFileName(other.Version) && number.Equal(one.Version) &&
		one.Name != "" && one.Name == other.Name
}

// Find gives the version of the migration that a word means: its version, its name, the
// name of its file, or the path of that. found is false where none is meant. The error is
// an *Error of code CodeAmbiguous where several are.
func Find(word string, among []Named) (version Version, found bool, err error) {
	file := path.Base(strings.ReplaceAll(word, `\`, "/"))
	ofFile, name, _, notFile := ParseName(file)
	var meant []Named
	for _, n := range among {
		is := n.Version.Equal(Version(word)) || n.Name != "" && n.Name == word ||
			n.Path != "" && (n.Path == word || path.Base(n.Path) == file) ||
			notFile == nil && n.Version.Equal(ofFile) && n.Name == name ||
			IsFileName(n.Version) && (string(n.Version) == file || string(n.Version) == file+fileName)
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
		Code: CodeAmbiguous, Message: fmt.Sprintf("%s may mean %s", word, strings.Join(all, " or ")), Remedy: "name it by its version",
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
