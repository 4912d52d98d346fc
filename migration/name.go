package migration

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxVersionDigits is the length of the largest bigint, in which other tools
// and dashboards keep versions.
const maxVersionDigits = 19

// maxVersionLength is that of a version with several parts.
const maxVersionLength = 50

// exampleVersion is the version that remedies show.
const exampleVersion = "20240115120000"

// ParseName reads a file's name, without its folder: 1 to 19 digits, or several
// such parts as in 1.2.10, then "_" or "-", then the name, then one of the extensions .sql, .js, .mjs, .cjs and
// .ts in any case; or R__ and the name of a repeatable migration, then .sql, which
// is its version without the extension. The error is an *Error of code CodeBadName.
func ParseName(file string) (Version, string, Kind, error) {
	kind, known := kindOf(file)
	stem := strings.TrimSuffix(file, path.Ext(file))
	if known && printable(file) && Version(stem).Repeatable() {
		return repeatableName(file, stem, kind)
	}
	count := numericPrefix(stem)
	switch {
	case !known:
		return "", "", "", badName(file, "is not the name of a migration: its extension must be .sql, .js, .mjs, .cjs or .ts")
	case !printable(file):
		return "", "", "", badName(file, "is not the name of a migration: it holds characters that cannot be printed")
	case count == 0:
		return "", "", "", badName(file, "is not the name of a migration: it must begin with a version number")
	case count > maxVersionDigits && digits(stem) == count:
		return "", "", "", badName(file, fmt.Sprintf("version number too large: it has %d digits, the most are %d", count,
			maxVersionDigits))
	case count > maxVersionLength || digits(stem) > maxVersionDigits:
		return "", "", "", badName(file, "version number too large")
	case count == len(stem):
		return "", "", "", badName(file, "is not the name of a migration: after the version number the name is missing")
	case stem[count] != '_' && stem[count] != '-':
		return "", "", "", badName(file, `is not the name of a migration: after the version number there must be "_"`)
	}
	name := stem[count+1:]
	if strings.TrimSpace(name) == "" {
		return "", "", "", badName(file, "is not the name of a migration: after the version number the name is missing")
	}
	if half := strings.ToLower(path.Ext(name)); kind == SQL && (half == ".up" || half == ".down") {
		return "", "", "", &Error{
			Code: CodeBadName, Path: file,
			Message: "is one half of a pair of files, one for each direction, as golang-migrate has them",
			Remedy: fmt.Sprintf(
				`join the pair in one file %s_%s.sql, its halves below the lines "-- +migrate Up" and "-- +migrate Down"`,
				stem[:count], name[:len(name)-len(half)]),
		}
	}
	return Version(stem[:count]), name, kind, nil
}

// maxRepeatableName is the length of the longest version that a history holds.
const maxRepeatableName = 255

func repeatableName(file, stem string, kind Kind) (Version, string, Kind, error) {
	name := strings.TrimPrefix(stem, repeatablePrefix)
	switch {
	case kind != SQL:
		return "", "", "", &Error{Code: CodeBadName, Path: file, Message: "a repeatable migration is written in SQL",
			Remedy: "give the script a version in place of R__"}
	case strings.TrimSpace(name) == "", strings.ContainsAny(name, " \t,"), len(stem) > maxRepeatableName:
		return "", "", "", &Error{Code: CodeBadName, Path: file,
			Message: "is not the name of a repeatable migration: after R__ there must be a name without blanks and commas",
			Remedy:  "rename it to something like R__active_users.sql"}
	}
	return Version(stem), name, SQL, nil
}

// kindOf tells a migration's kind by its extension. Declarations of types for
// TypeScript (.d.ts) are no migrations.
func kindOf(file string) (Kind, bool) {
	lower := strings.ToLower(file)
	switch path.Ext(lower) {
	case ".sql":
		return SQL, true
	case ".js", ".mjs", ".cjs":
		return Script, true
	case ".ts":
		return Script, !strings.HasSuffix(lower, ".d.ts")
	}
	return "", false
}

func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

func badName(file, message string) *Error {
	extension := strings.ToLower(path.Ext(file))
	if _, known := kindOf(file); !known {
		extension = ".sql"
	}
	stem := strings.TrimSuffix(file, path.Ext(file))
	name := normalise(stem[digits(stem):])
	if name == "" {
		name = "add_users"
	}
	return &Error{
		Code: CodeBadName, Path: file, Message: message,
		Remedy: fmt.Sprintf(`rename it to something like %s_%s%s; a file whose name begins with "_" is left alone`,
			exampleVersion, name, extension),
	}
}
