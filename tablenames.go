package whimbrel

import (
	"cmp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Tables gives the tables that whimbrel keeps for itself in a database: history,
// journal, log, lock and the mark of protection, for the history table of
// Config.Table, "" being the default. They have no schema where that has none.
func Tables(history string) []pgx.Identifier {
	place := pgx.Identifier(strings.Split(cmp.Or(history, DefaultTable), "."))
	name := place[len(place)-1]
	journal, log, lock := companions(name)
	var all []pgx.Identifier
	for _, table := range []string{name, journal, log, lock, markTable} {
		all = append(all, append(slices.Clone(place[:len(place)-1]), table))
	}
	return all
}
