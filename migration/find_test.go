package migration_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/migration"
)

func TestAWordMeansAVersionANameOrAPath(t *testing.T) {
	t.Parallel()
	among := []migration.Named{
		{Version: "001", Name: "users", Path: "db/001_users.sql"}, {Version: "2", Name: "orders", Path: "db/2_orders.js"},
		{Version: "3", Name: "users", Path: "db/3_users.sql"}, {Version: "4", Name: "5"}, {Version: "5", Name: "five"},
		{Version: "6", Name: "pair", Path: "db/6_pair.up.sql"}, {Version: "R__view", Name: "view", Path: "db/R__view.sql"},
		{Version: "7", Name: "old"}, {Version: "7", Name: "new", Path: "db/7_new.sql"},
	}
	among = append(among, migration.Named{Version: "9_a.sql", Name: "a", Path: "db/9_a.sql"},
		migration.Named{Version: "9_b.sql", Name: "b"}, migration.Named{Version: "add.sql", Name: "add"})
	for word, want := range map[string]string{
		"9_a.sql": "9_a.sql", "9_a": "9_a.sql", "db/9_a.sql": "9_a.sql",
		"9_b": "9_b.sql", "db/9_b.sql": "9_b.sql", "add.sql": "add.sql",
		"db/add.sql": "add.sql", "add": "add.sql", "b": "9_b.sql", "9": "", "9_c.sql": "", "09_a.sql": "",
		"1": "001", "0001": "001", "2": "2", "orders": "2", "2_orders.js": "2", "db/2_orders.js": "2",
		"./db/2_orders.js": "2",
		`db\2_orders.js`:   "2", "elsewhere/2_orders.js": "2", "001_users.sql": "001", "1_users.sql": "001",
		"3_users.sql":   "3",
		"6_pair.up.sql": "6", "pair": "6", "view": "R__view", "R__view.sql": "R__view", "R__view": "R__view",
		"1_users": "001", "001_users": "001", "2_orders": "2", "db/2_orders": "2", "7_old": "7", "2_order": "",
		"8_users": "", "2_": "",
		"old": "7", "new": "7", "7_old.sql": "7", "7_new.sql": "7", "five": "5", "4": "4",
		"users": "ambiguous", "5": "ambiguous",
		"8": "", "nothing": "", "2_other.js": "", "user": "", "": "", "db": "", "db/": "", "0": "", "Users": "",
		"8_users.sql": "",
	} {
		version, found, err := migration.Find(word, among)
		if want == "ambiguous" {
			require.ErrorContains(t, err, word+" may mean ", word)
			require.False(t, found)
			continue
		}
		require.NoError(t, err, word)
		require.Equal(t, want != "", found, word)
		require.Equal(t, want, string(version), word)
	}
}

func TestANumberAndAFileNameThatBeginsWithItAreOneMigration(t *testing.T) {
	t.Parallel()
	named := func(version migration.Version, name string) migration.Named {
		return migration.Named{Version: version, Name: name}
	}
	for name, test := range map[string]struct {
		one, other migration.Named
		same       bool
	}{
		"the number and the file's name":     {named("001", "a"), named("001_a.sql", "a"), true},
		"in another spelling of the number":  {named("1", "a"), named("001-a.sql", "a"), true},
		"another file of that number":        {named("001", "a"), named("001_b.sql", "b"), false},
		"another number":                     {named("2", "a"), named("001_a.sql", "a"), false},
		"a row without a name":               {named("001", ""), named("001.sql", ""), false},
		"two files' names":                   {named("1_a.sql", "a"), named("01_a.sql", "a"), false},
		"the number and a folder's name":     {named("1", "a"), named("1_a", "a"), true},
		"one version, whatever the name":     {named("1", "a"), named("01", "b"), true},
		"a name without a number and number": {named("0", "a"), named("a.sql", "a"), false},
	} {
		require.Equal(t, test.same, migration.SameFile(test.one, test.other), name)
		require.Equal(t, test.same, migration.SameFile(test.other, test.one), name)
	}
}
