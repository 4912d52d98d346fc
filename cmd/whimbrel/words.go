package main

import (
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/migration"
)

// are is "1 migration is", "2 migrations are".
func are(n int, noun string) string {
	if n == 1 {
		return present.Plural(n, noun) + " is"
	}
	return present.Plural(n, noun) + " are"
}

// clock is a time for people, in their own zone.
func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// title names a migration in one line. The version of a repeatable one says it all.
func title(version migration.Version, name string) string {
	if version.Repeatable() {
		return string(version)
	}
	return strings.TrimSpace(string(version) + " " + name)
}

// cells are the two columns in which tables name a migration.
func cells(version migration.Version, name string) []string {
	if version.Repeatable() {
		return []string{strings.TrimSuffix(string(version), name), name}
	}
	return []string{string(version), name}
}
