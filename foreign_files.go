package whimbrel

import (
	"fmt"
	"slices"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Files of another runner may keep its history themselves: each ends with an INSERT of its
// version into schema_migrations. Where that is the name of our history, such a statement can
// only fail, in the middle of a run; so it is said before anything runs.

// keepsHistory refuses a migration with a statement that is another runner's, and that the
// columns of our history refuse: an INSERT without a name, or a CREATE TABLE.
func (s state) keepsHistory(m migration.Migration) error {
	for _, statement := range m.Up.Statements {
		if changesSearchPath(statement) {
			return nil // the names behind it are not those of this session
		}
		if statement.Hook() == nil && s.isForHistory(statement) {
			return malformed(m, statement.Start, CodeForeignTable,
				fmt.Sprintf("%s is where whimbrel keeps its history, and this statement is for another runner's", s.history),
				"keep whimbrel's in another table from the first run on, as in Config.Table: whimbrel_migrations; "+
					"or take the statement out")
		}
	}
	return nil
}

func (s state) isForHistory(statement migration.Statement) bool {
	if statement.Command != "INSERT" && statement.Command != "CREATE TABLE" {
		return false
	}
	words := pgsql.FirstWords(statement.Text, 6)
	if len(words) < 4 || !pgsql.IsAnyOf(words[1], "INTO", "TABLE") || pgsql.IsAnyOf(words[2], "IF") {
		return false
	}
	table := "public." + pgsql.Identifier(words[2])
	columns := 3 // where a list of them begins
	if words[3] == "." && len(words) > 4 {
		table, columns = pgsql.Identifier(words[2])+"."+pgsql.Identifier(words[4]), 5
	}
	switch {
	case table != s.history:
		return false
	case pgsql.IsAnyOf(words[1], "TABLE"):
		return true
	case len(words) <= columns || words[columns] != "(":
		return false
	}
	list := pgsql.FirstWords(statement.Text, 64)[columns:]
	end := slices.Index(list, ")")
	isName := func(word string) bool { return pgsql.Identifier(word) == "name" }
	return end > 0 && !slices.ContainsFunc(list[:end], isName)
}
