package trial_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/trial"
)

func TestTheExampleShopPasses(t *testing.T) {
	t.Parallel()
	shop, err := migration.Load(migration.Source{FS: os.DirFS("../examples/shop/migrations"), Label: "migrations"})
	require.NoError(t, err)
	report := run(t, trial.Options{Config: whimbrel.Config{Migrations: shop}, Jobs: 2})
	var text strings.Builder
	require.NoError(t, report.Text(&text, trial.TextOptions{Verbose: true}))
	t.Log(text.String())
	require.True(t, report.OK(), text.String())
	require.Equal(t, len(shop), report.Summary.Passed)
	require.InDelta(t, 100, *report.Summary.SuccessRate, 0)
}
