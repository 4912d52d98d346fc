package whimbrel

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/migration"
)

func TestAStepIsKnownWhicheverLineEndsItsFileHad(t *testing.T) {
	t.Parallel()
	const text = "INSERT INTO a VALUES ('one\ntwo');\nCOPY a FROM stdin;\n1\n\\.\n"
	step := func(text string) Step {
		m, err := migration.Parse("1_a.sql", text)
		require.NoError(t, err)
		return Step{Kind: StepSQL, Statements: m.Up.Statements}
	}
	require.True(t, step(strings.ReplaceAll(text, "\n", "\r\n")).isHashed(step(text).hash()))
	require.True(t, step(text).isHashed(step(text).hashAs(StepSQL, "\r\n")), "as an earlier version journalled it")
	require.False(t, step(strings.Replace(text, "two", "three", 1)).isHashed(step(text).hash()))
}
