package trial_test

import (
	"os"
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
	report := run(t, trial.Options{Project: whimbrel.Project{Migrations: shop}, Jobs: 2})
	text := report.Text(trial.Style{}, true)
	t.Log(text)
	require.True(t, report.OK(), text)
	require.Equal(t, len(shop), report.Summary.Passed)
	require.InDelta(t, 100, *report.Summary.SuccessRate, 0)
}
