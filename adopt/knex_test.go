package adopt_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/js"
	"github.com/whimbrel-db/whimbrel/migration"
)

// What whimbrel has of Knex' builders gives the same SQL as Knex.
func TestTheBuildersGiveTheSQLThatKnexDoes(t *testing.T) {
	t.Parallel()
	installed, err := node()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), "node", "run.js", "sql")
	command.Dir = installed
	printed, err := command.Output()
	require.NoError(t, err)

	const text = `const sqlOf = (calls, knex) => calls.map((call) => [call(knex).toSQL()].flat().map(({ sql, bindings }) => [sql, bindings]));
exports.up = (knex) => console.log(JSON.stringify(sqlOf(require('./calls'), knex)));`
	m, err := migration.ParseScript("1", "calls", "testdata/node/1_calls.js", migration.WithClient(text, "knex"))
	require.NoError(t, err)
	m.Folder = os.DirFS("testdata/node")
	var ours string
	_, err = fresh(t).migrator([]migration.Migration{m}, func(c *whimbrel.Config) {
		c.Scripts = js.New(js.Options{})
		c.Listener = func(r whimbrel.Record) {
			if line, ok := r.Event.(whimbrel.Printed); ok {
				ours += line.Text
			}
		}
	}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)

	var want, got [][][]any
	require.NoError(t, json.Unmarshal(printed, &want))
	require.NoError(t, json.Unmarshal([]byte(ours), &got))
	require.Greater(t, len(want), 100)
	require.Equal(t, want, got)
}
