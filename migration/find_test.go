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
	for word, want := range map[string]string{
		"1": "001", "0001": "001", "2": "2", "orders": "2", "2_orders.js": "2", "db/2_orders.js": "2", "./db/2_orders.js": "2",
		`db\2_orders.js`: "2", "elsewhere/2_orders.js": "2", "001_users.sql": "001", "1_users.sql": "001", "3_users.sql": "3",
		"6_pair.up.sql": "6", "pair": "6", "view": "R__view", "R__view.sql": "R__view", "R__view": "R__view",
		"old": "7", "new": "7", "7_old.sql": "7", "7_new.sql": "7", "five": "5", "4": "4",
		"users": "ambiguous", "5": "ambiguous",
		"8": "", "nothing": "", "2_other.js": "", "user": "", "": "", "db": "", "db/": "", "0": "", "Users": "", "8_users.sql": "",
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
