package foreign

import (
	"path"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/migration"
)

// telling is how many digits a version must have so that no other project has it by
// chance: 001 is in every folder, 20240115 is not.
const telling = 8

// NamesOf are the names by which another tool may know a file: its version, its file's or
// its folder's name, and both parts of that, however they are put together.
func NamesOf(version migration.Version, name, file string) []string {
	if version.Repeatable() {
		return nil
	}
	canonical := string(version.Canonical())
	names := []string{"version " + canonical, "name " + stem(file), "name " + canonical + " " + plain(name)}
	if folder := path.Base(path.Dir(file)); stem(file) == "migration" || stem(file) == "up" { // one for each migration
		names = append(names, "name "+stem(folder))
	}
	if len(canonical) >= telling {
		names = append(names, "name "+canonical)
	}
	return names
}

// Known is the one of those names by which a row of a tool knows a file; "" where it can
// be no file's.
func (t Tool) Known(r Record, table Relation) string {
	version := migration.Version(strings.ReplaceAll(r.Key, "-", "")).Canonical()
	switch {
	case t.Identity == Nameless || r.Key == "":
		return ""
	case t.Identity == ByVersion && len(version) < telling && (ofPlatform(table) || t.Guessed(table)):
		return "" // any folder of ours may have such a version
	case t.Identity == ByVersion:
		return "version " + string(version)
	}
	return t.knownByName(r.Key)
}

func (t Tool) knownByName(key string) string {
	if slices.Contains([]string{".xml", ".yaml", ".yml", ".json"}, path.Ext(key)) { // Liquibase's own
		return ""
	}
	whole := stem(key)
	number, name := cutVersion(whole)
	switch {
	case len(number) >= telling:
		return "name " + number
	case number != "" && name != "":
		return "name " + number + " " + plain(name)
	}
	return "name " + whole
}

// cutVersion parts a name into its canonical version and the rest.
func cutVersion(name string) (version, rest string) {
	end := strings.IndexFunc(name, func(r rune) bool { return r < '0' || r > '9' })
	if end <= 0 {
		return "", name
	}
	return string(migration.Version(name[:end]).Canonical()), strings.TrimLeft(name[end:], "_-. ")
}

// stem is a file's name without folders, extension and direction.
func stem(file string) string {
	base := strings.ToLower(path.Base(strings.ReplaceAll(file, `\`, "/")))
	for _, extension := range []string{".sql", ".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".up", ".down", "-up",
		"-down"} {
		base = strings.TrimSuffix(base, extension)
	}
	return base
}

// plain makes names comparable that differ in what is between words.
func plain(name string) string {
	return strings.NewReplacer("-", "_", " ", "_").Replace(strings.ToLower(name))
}

// ofPlatform reports whether a table is one that a platform makes in every database, for
// services of its own.
func ofPlatform(r Relation) bool {
	return slices.Contains([]string{
		"auth.schema_migrations", "storage.migrations", "realtime.schema_migrations", "_realtime.schema_migrations",
		"supabase_functions.migrations", "hdb_catalog.migrations",
	}, r.Schema+"."+r.Name)
}
