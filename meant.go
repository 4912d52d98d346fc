package whimbrel

import (
	"slices"

	"github.com/whimbrel-db/whimbrel/migration"
)

// meant gives the version that a caller means, who may name a migration by its name or
// its file as well; see migration.Find. What means none is given back as it is: the
// history may hold versions that are no numbers.
func (s state) meant(word migration.Version) (migration.Version, error) {
	var all []migration.Named
	for _, m := range slices.Concat(s.migrations, s.repeatables) {
		all = append(all, m.Named())
	}
	for _, a := range slices.Concat(s.applied, s.repeated) {
		all = append(all, migration.Named{Version: a.Version, Name: a.Name})
	}
	return meantAmong(word, all)
}

func meantAmong(word migration.Version, all []migration.Named) (migration.Version, error) {
	version, found, err := migration.Find(string(word), all)
	switch {
	case err != nil:
		return "", asError(err, CodeUnknownVersion)
	case !found:
		return word, nil
	}
	return version, nil
}
