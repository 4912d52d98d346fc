package js_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/js"
)

func TestWhatAScriptThrowsIsAnErrorWithItsPlace(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file, text      string
		message, remedy string
		line, column    int
		statement       string
	}{
		"an Error": {
			text:    body("  const s = 'é🐦'; throw new Error('out of birds');"),
			message: "out of birds", line: 3, column: 25,
			statement: "  const s = 'é🐦'; throw new Error('out of birds');\n                        ^",
		},
		"a TypeError": {
			text:    body("  const none = undefined;\n  none.x;"),
			message: "TypeError: Cannot read property 'x' of undefined", line: 4, column: 8,
		},
		"an Error in TypeScript": {
			file: "1_it.ts",
			text: "interface A {\n  a: number;\n}\nenum E { One }\n\n" +
				"export async function up(client: unknown): Promise<void> {\n  const a: A = { a: E.One };\n  helper(a);\n}\n\n" +
				"function helper<T extends A>(a: T): never {\n  throw new RangeError(`a is ${a.a}`);\n}\n",
			message: "RangeError: a is 0", line: 12, column: 9,
			statement: "  throw new RangeError(`a is ${a.a}`);\n        ^",
		},
		"a string": {
			text:    body("  await null;\n  throw 'no birds';"),
			message: "the script threw 'no birds'", remedy: "throw an Error", line: 4, column: 3,
		},
		"null": {
			text:    body("  throw null;"),
			message: "the script threw null", remedy: "throw an Error", line: 3, column: 3,
		},
		"an object": {
			text:    body("  if (client) throw { code: 7, why: ['x'] };"),
			message: "the script threw { code: 7, why: [ 'x' ] }", remedy: "throw an Error", line: 3, column: 15,
		},
		"a promise that nobody awaits": {
			text: body("  const later = async () => { throw new Error('later'); };\n  later();\n" +
				"  await client.query('SELECT 1');"),
			message: "later", remedy: "nobody awaited", line: 3, column: 37,
		},
		"a query that nobody awaits": {
			text:    body("  client.query('SELEKT 1');"),
			message: `syntax error at or near "SELEKT"`, remedy: "nobody awaited", line: 3, column: 10,
		},
		"a timer": {
			text: body("  setTimeout(() => { throw new Error('too late'); }, 1);\n" +
				"  await new Promise((resolve) => setTimeout(resolve, 1000));"),
			message: "too late", line: 3, column: 28,
		},
		"a promise that nothing settles": {
			text:    body("  await new Promise(() => {});"),
			message: "the script waits for a promise that nothing will ever settle", remedy: "new Promise",
		},
		"recursion without end": {
			text:    body("  const f = () => f() + 1;\n  f();"),
			message: "functions call each other more than 10000 deep", remedy: "recursion", line: 3, column: 19,
		},
		"a module that is named at run time": {
			text:    body("  const name = 'pg';\n  require(name);"),
			message: `module "pg" is not available to a migration: whimbrel runs scripts without Node.js, and without a file system or network`,
			remedy:  "use the client", line: 4, column: 3,
		},
		"process.exit": {
			text:    body("  process.exit(1);"),
			message: "a migration cannot end the process: throw an Error, which rolls it back", line: 3, column: 11,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			file := test.file
			if file == "" {
				file = "1_it.js"
			}
			e := fails(t, b.up(file, test.text), whimbrel.CodeScript)
			require.Equal(t, test.message, e.Message)
			require.Contains(t, e.Remedy, test.remedy)
			require.Equal(t, "migrations/"+file, e.Path)
			require.Equal(t, [2]int{test.line, test.column}, [2]int{e.Line, e.Column}, e.Where)
			if test.statement != "" {
				require.Equal(t, test.statement, e.Statement)
			}
		})
	}
}

func TestAnErrorOfTheServerIsOneOfTheScript(t *testing.T) {
	b := setup(t)
	err := b.up("1_it.js", body("  await client.query('CREATE TABLE t (n int CONSTRAINT positive CHECK (n > 0))');\n"+
		"  await this.put(client);\n},\nasync put(client) {\n  await client.query('INSERT INTO t VALUES ($1)', [-1]);"))
	e := fails(t, err, whimbrel.CodeScript)
	require.Equal(t, `new row for relation "t" violates check constraint "positive"`, e.Message)
	require.Equal(t, "23514", e.SQLState)
	require.Equal(t, "positive", e.Constraint)
	require.Equal(t, "Failing row contains (-1).", e.Detail)
	require.Equal(t, [2]int{7, 16}, [2]int{e.Line, e.Column})
	require.Equal(t, "at put migrations/1_it.js:7:16\nat up migrations/1_it.js:4:14", e.Where)
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "positive", refused.ConstraintName)

	e = fails(t, b.up("1_it.js", body("  try {\n    await client.query('SELECT 1,\\n  nope');\n  } catch (err) {\n"+
		"    throw new Error('asking failed', { cause: err });\n  }")), whimbrel.CodeScript)
	require.Equal(t, "asking failed", e.Message)
	require.Equal(t, "42703", e.SQLState)
	require.Equal(t, 6, e.Line)
	require.Contains(t, e.Where, "in the query, at 2:3:\n  nope\n  ^")
}

func TestAScriptThatCannotRunIsMalformed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files           files
		message, remedy string
		path            string
		line, column    int
	}{
		"a syntax error": {
			files:   files{"1_it.js": "module.exports = {\n  async up(client) {\n    é = = 2;\n  },\n};\n"},
			message: `Unexpected "="`, line: 3, column: 9,
		},
		"a syntax error in TypeScript": {
			files:   files{"1_it.ts": "export async function up(client: ) {}\n"},
			message: `Unexpected ")"`, line: 1, column: 34,
		},
		"a syntax error in a neighbour": {
			files:   files{"1_it.js": "require('./lib/a');", "lib/a.js": "\n\n  let let = 1;"},
			message: `Cannot use "let" as an identifier here:`, path: "lib/a.js", line: 3, column: 7,
		},
		"a regular expression that is none": {
			files:   files{"1_it.js": body("  return /(/;")},
			message: "Unterminated group", line: 3, column: 10,
		},
		"a missing neighbour": {
			files:   files{"1_it.js": "const x = require('./nope');\n"},
			message: "no file nope in the folder of the migrations", remedy: "spelling", line: 1, column: 19,
		},
		"a package": {
			files:   files{"1_it.mjs": "\nimport _ from 'lodash';\nexport const up = () => _;"},
			message: `module "lodash" is not available`, remedy: "copy what is needed", line: 2, column: 15,
		},
		"the file system": {
			files:   files{"1_it.js": "const fs = require('node:fs');\n" + body("fs.readFileSync('x')")},
			message: `module "node:fs" is not available`, remedy: "require('./data.json')", line: 1, column: 20,
		},
		"pg": {
			files:   files{"1_it.js": "const { Client } = require('pg');\n" + body("")},
			message: `module "pg" is not available`, remedy: "the client that up and down are called with", line: 1, column: 28,
		},
		"a file above the folder": {
			files:   files{"1_it.js": "require('../../etc/passwd');"},
			message: "../../etc/passwd lies outside the folder of the migrations", remedy: "move it", line: 1, column: 9,
		},
		"a file of the machine": {
			files:   files{"1_it.js": "require('/etc/passwd');"},
			message: `module "/etc/passwd" is not available`, line: 1, column: 9,
		},
		"another encoding": {
			files:   files{"1_it.js": "// \uFFFD\nexports.up = () => {}; // \xe9"},
			message: "the file is not in UTF-8", remedy: "save it", line: 2, column: 27,
		},
		"another encoding in a neighbour": {
			files:   files{"1_it.ts": "import data from './data.json';\nexport const up = () => data;", "data.json": "\"\xe9\""},
			message: "the file is not in UTF-8", path: "data.json", line: 1, column: 2,
		},
		"two module systems": {
			files:   files{"1_it.js": "module.exports.transaction = false;\nexport async function up() {}"},
			message: "the file exports both in the way of CommonJS and in that of ES modules", remedy: "either", line: 1,
			column: 1,
		},
		"await at the top": {
			files:   files{"1_it.mjs": "await 1;\nexport async function up() {}"},
			message: "await works in functions only", remedy: "move it", line: 1, column: 1,
		},
		"no up": {
			files:   files{"1_it.js": "module.exports = { down() {} };"},
			message: "the script exports no function up", remedy: "module.exports = {",
		},
		"an up that is not a function": {
			files:   files{"1_it.js": "module.exports = { up: 'CREATE TABLE t ()' };"},
			message: "the script exports no function up",
		},
		"a down that is not a function": {
			files:   files{"1_it.js": "module.exports = { up() {}, down: 'DROP TABLE t' };"},
			message: "the script exports no function down",
		},
		"nothing": {
			files:   files{"1_it.js": "module.exports = null;"},
			message: "the script exports no function up",
		},
		"a top level that throws": {
			files:   files{"1_it.js": "const config = undefined;\nmodule.exports = config.migration;"},
			message: "TypeError: Cannot read property 'migration' of undefined", line: 2, column: 25,
		},
		"a transaction that is neither": {
			files:   files{"1_it.js": "exports.transaction = 'no'; exports.up = () => {};"},
			message: "transaction is 'no', but must be true or false", remedy: "export const transaction = false",
		},
		"a top level that asks the database": {
			files:   files{"1_it.js": "throw 'x' + 1;"},
			message: "the script threw 'x1'", line: 1, column: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var file string
			for name := range test.files {
				if strings.HasPrefix(name, "1_") {
					file = name
				}
			}
			_, err := js.New(js.Options{}).Compile(t.Context(), test.files.migration(file))
			code := whimbrel.CodeMalformed
			if strings.Contains(test.message, "is not available") || strings.Contains(test.message, "no file") ||
				strings.Contains(test.message, "lies outside") {
				code = whimbrel.CodeScript
			}
			e := fails(t, err, code)
			require.Contains(t, e.Message, test.message)
			require.Contains(t, e.Remedy, test.remedy)
			if test.path == "" {
				test.path = file
			}
			require.Equal(t, "migrations/"+test.path, e.Path)
			require.Equal(t, [2]int{test.line, test.column}, [2]int{e.Line, e.Column})
		})
	}
}

func TestAScriptThatNeverEndsIsStopped(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a loop":               "  for (;;) { Math.random(); }",
		"a loop that catches":  "  for (;;) { try { for (;;) { Math.random(); } } catch {} finally { for (;;) {} } }",
		"microtasks":           "  const again = () => Promise.resolve().then(again);\n  await again();",
		"a loop in a callback": "  setTimeout(() => { for (;;) {} }, 1);\n  await new Promise(() => {});",
	} {
		t.Run("by its limit: "+name, func(t *testing.T) {
			b := setup(t)
			b.options.Compute = 50 * time.Millisecond
			e := fails(t, b.up("1_it.js", body(text)), whimbrel.CodeScript)
			require.Equal(t, "the script has computed for more than 50ms without asking the database anything", e.Message)
			require.Equal(t, 3, e.Line)
		})
	}
	for name, text := range map[string]string{
		"a loop": "  console.log('now');\n  for (;;) {}",
		"a query": "  console.log('now');\n  try { await client.query('SELECT pg_sleep(60)'); } catch {}\n" +
			"  await client.query('CREATE TABLE gone ()');",
		"a timer":           "  console.log('now');\n  await new Promise((resolve) => setTimeout(resolve, 60000));",
		"an interval":       "  setInterval(() => console.log('now'), 1);\n  await new Promise(() => {});",
		"a loop of queries": "  console.log('now');\n  for (;;) { try { await client.query('SELECT 1'); } catch {} }",
	} {
		t.Run("by the caller: "+name, func(t *testing.T) {
			b := setup(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			reason := errors.New("that is enough")
			b.heard = func() { cancel(reason) }
			err := compile(t, js.Options{}, files{"1_it.js": body(text)}.migration("1_it.js")).Run(ctx, whimbrel.Up, b.session)
			require.ErrorIs(t, err, reason)
		})
	}
	t.Run("at the top level", func(t *testing.T) {
		t.Parallel()
		_, err := js.New(js.Options{Compute: 50 * time.Millisecond}).Compile(t.Context(),
			files{"1_it.js": "\nfor (;;) { Math.random(); }"}.migration("1_it.js"))
		e := fails(t, err, whimbrel.CodeMalformed)
		require.Contains(t, e.Message, "has computed for more than 50ms")
		require.Equal(t, 2, e.Line)
	})
}
