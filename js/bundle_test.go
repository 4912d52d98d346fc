package js_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/js"
	"github.com/whimbrel-db/whimbrel/migration"
)

func TestAScriptSeesItsNeighbours(t *testing.T) {
	t.Parallel()
	for name, folder := range map[string]files{
		"CommonJS": {
			"1_it.js": "const { a } = require('./a'), b = require('./lib/b.cjs'), data = require('./data.json'), sql = " +
				"require('./lib/one.sql');\n" + body("  console.log(a, b(), data.x, (await client.query(sql)).rows[0].n);"),
			"a.js": "exports.a = 1;", "lib/b.cjs": "const { a } = require('../a.js');\nmodule.exports = () => a + 1;",
			"data.json": `{"x": 3}`, "lib/one.sql": "SELECT 4 AS n",
		},
		"ES modules": {
			"1_it.mjs": "import { a } from './a.mjs';\nimport b from './lib';\nimport data from './data.json';\n" +
				"import sql from " +
				"'./lib/one.sql';\nexport async function up(client) { console.log(a, b(), data.x, (await client.query(sql)).rows[0].n); }",
			"a.mjs": "export const a = 1;", "lib/index.js": "import { a } from '../a.mjs';\nexport default () => a + 1;",
			"data.json": `{"x": 3}`, "lib/one.sql": "SELECT 4 AS n",
		},
		"TypeScript": {
			"1_it.ts": "import { a, type A } from './a.js';\nimport * as b from './lib/b';\n" +
				"export async function up(client: any) { const c: A = a; console.log(c, b.f(), ...(await " +
				"import('./rest')).rest); }",
			"a.ts":     "export type A = number;\nexport const a: A = 1;",
			"lib/b.ts": "import { a } from '../a';\nexport const f = (): number => a + 1;",
			"rest.ts":  "export const rest: number[] = [3, 4];",
		},
		"each other's": {
			"1_it.js": "const a = require('./a.mjs');\n" + body("  console.log(a.a, a.default, 3, 4);"),
			"a.mjs":   "import b from './b.cjs';\nexport const a = b.a;\nexport default 2;",
			"b.cjs":   "module.exports = { a: 1 };",
		},
		"names with blanks": {
			"1_it.js":      "const a = require('./a b/c%20d.js');\n" + body("  console.log(...a);"),
			"a b/c%20d.js": "\uFEFFmodule.exports = [1, 2, 3, 4];",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			var main migration.Migration
			for file := range folder {
				if file[0] == '1' {
					main = folder.migration(file)
				}
			}
			script := compile(t, js.Options{}, main)
			require.NoError(t, b.run(script, whimbrel.Up))
			require.Equal(t, []string{"log: 1 2 3 4"}, b.printed)

			// From its source it can be made again, and that as often as one likes.
			for range 2 {
				main.Folder, main.Text = nil, script.Source()
				script = compile(t, js.Options{}, main)
				b.printed = nil
				require.NoError(t, b.run(script, whimbrel.Up))
				require.Equal(t, []string{"log: 1 2 3 4"}, b.printed)
			}
		})
	}
}

func TestAFailureInANeighbourHasItsPlaceThere(t *testing.T) {
	b := setup(t)
	folder := files{
		"1_it.ts": "import { f } from './a b/c';\n\nexport async function up(client: any) {\n  await f(client);\n}\n",
		"a b/c.ts": "interface Client { query(text: string): Promise<unknown> }\n\n" +
			"export async function f(client: Client) {\n  /* é */ await client.query('SELECT nope');\n}\n",
		"unrelated.js": "not even JavaScript",
	}
	main := folder.migration("1_it.ts")
	for range 3 {
		script := compile(t, js.Options{}, main)
		e := fails(t, b.run(script, whimbrel.Up), whimbrel.CodeScript)
		require.Equal(t, "migrations/a b/c.ts", e.Path)
		require.Equal(t, [2]int{4, 24}, [2]int{e.Line, e.Column})
		require.Equal(t, "  /* é */ await client.query('SELECT nope');\n                       ^", e.Statement)
		require.Contains(t, e.Where, "at f migrations/a b/c.ts:4:24\nat up migrations/1_it.ts:4:9")
		main.Folder, main.Text = nil, script.Source()
	}
}

func TestAStoredScriptWithoutItsNeighboursSaysSo(t *testing.T) {
	t.Parallel()
	_, err := js.New(js.Options{}).Compile(t.Context(), migration.Migration{Path: "1_it.js", Text: "require('./a');"})
	e := fails(t, err, whimbrel.CodeScript)
	require.Equal(t, "./a cannot be read: the script is not run from a folder", e.Message)
}

func TestASourceMapOfAnotherToolIsNotLookedFor(t *testing.T) {
	b := setup(t)
	e := fails(t, b.up("1_it.js", body("  throw new Error('x');")+"//# sourceMappingURL=1_it.js.map\n"),
		whimbrel.CodeScript)
	require.Equal(t, 3, e.Line)
}
