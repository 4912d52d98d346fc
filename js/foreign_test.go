package js_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/js"
	"github.com/whimbrel-db/whimbrel/migration"
)

// foreign is a script for another tool, in a folder of its own.
func foreign(name, tool, text string) migration.Migration {
	return files{name: migration.WithClient(text, tool)}.migration(name)
}

func TestAMigrationOfKnexRunsInEachLanguageItIsWrittenIn(t *testing.T) {
	t.Parallel()
	const body = `{
  if (await knex.schema.hasTable('users')) throw new Error('it is there');
  await knex.schema.createTable('users', (table) => {
    table.increments();
    table.string('email', 100).notNullable().unique();
    table.timestamps(true, true);
  }).createTable('orders', function () {
    this.increments('id');
    this.integer('user_id').references('users.id').onDelete('CASCADE').index();
  });
  await knex.raw('INSERT INTO users (email) VALUES (?), (?)', ['a@b', 'c@d']);
  const { rows } = await knex.raw('SELECT count(*)::int AS n FROM ??', ['users']);
  if (rows[0].n !== 2 || !(await knex.schema.hasTable('users')) || await knex.schema.hasColumn('users', 'phone')) throw new Error('not so');
}`
	const back = "knex.schema.dropTableIfExists('orders').dropTable('users')"
	for name, text := range map[string]string{
		"1_a.js":  "exports.up = async function (knex) " + body + ";\nexports.down = (knex) => " + back + ";",
		"1_a.mjs": "export async function up(knex) " + body + "\nexport const down = (knex) => " + back + ";",
		"1_a.ts": `import type { Knex } from "knex";
import { Knex as Value } from "knex";
export async function up(knex: Knex): Promise<void> ` + body + `
export async function down(knex: Value): Promise<Value.SchemaBuilder> { return ` + back + `; }`,
		"1_a.cts": "module.exports = { up: async (knex: any) => " + body + ", down: (knex: any) => " + back + " };",
		"1_b.ts":  "export default { async up(knex: any) " + body + ", down(knex: any) { return " + back + "; } };",
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			script := compile(t, js.Options{}, foreign(name, "knex", text))
			require.True(t, script.HasDown())
			require.NoError(t, b.run(script, whimbrel.Up))
			require.Equal(t, "2", b.text("SELECT count(*) FROM users WHERE created_at IS NOT NULL"))
			require.Contains(t, b.checked, `create table "orders" ("id" serial primary key, "user_id" integer)`,
				"every statement is checked beforehand")
			require.NoError(t, b.run(script, whimbrel.Down))
			require.Equal(t, "NULL", b.text("SELECT to_regclass('users')"))
		})
	}
}

func TestAChainOfKnexAsksWhenItIsAwaited(t *testing.T) {
	b := setup(t)
	require.NoError(t, b.run(compile(t, js.Options{}, foreign("1_a.js", "knex", `exports.config = { transaction: false };
exports.up = async (knex) => {
  knex.schema.createTable('never', (t) => t.increments());
  const later = knex.raw('CREATE TABLE later (id int)');
  console.log((await knex.raw("SELECT to_regclass('later') AS there")).rows[0].there);
  await knex.raw('CREATE TABLE sooner (id int)').then(() => later).finally(() => {});
  await knex.schema.dropTable('missing').catch((error) => console.log(error.code));
  const [first, second] = await knex.schema.raw('SELECT 1 AS a').raw('SELECT 2 AS a');
  console.log(first.rows[0].a + second.rows[0].a);
  console.log((await knex.raw("SELECT '{\"a\": 1}'::jsonb \\? 'a' AS yes, '{}'::jsonb ? 'a' AS no")).rows[0]);
};`)), whimbrel.Up))
	require.Equal(t, []string{"log: null", "log: 42P01", "log: 3", "log: { yes: true, no: false }"}, b.printed)
	require.Equal(t, "NULL later sooner", b.text("SELECT coalesce(to_regclass('never')::text, 'NULL') || ' ' || "+
		"to_regclass('later') || ' ' || to_regclass('sooner')"))
}

func TestRowsOfATableAreWrittenAndReadAsByKnex(t *testing.T) {
	b := setup(t)
	require.NoError(t, b.run(compile(t, js.Options{}, foreign("1_a.js", "knex", `exports.up = async (knex) => {
  await knex.schema.createTable('users', (t) => { t.increments(); t.string('name').unique(); t.jsonb('notes'); t.timestamp('at'); });
  const say = (value) => console.log(JSON.stringify(value));
  say(await knex('users').insert([{ name: 'a', notes: { b: [1] } }, { name: 'b', at: new Date(0) }], ['id', 'name']));
  say((await knex('users').insert({ name: 'c', at: knex.fn.now() })).rowCount);
  say(await knex('users').insert([]));
  say((await knex('users').insert({ name: 'a', notes: '[]' }).onConflict('name').merge()).rowCount);
  say((await knex('users').insert({ name: 'a' }).onConflict('name').ignore()).rowCount);
  say(await knex('users').where({ name: 'c' }).update({ at: null }));
  say(await knex('users').where('id', '>', 1).update('notes', '{}').returning('id'));
  say(await knex('users').select('id', 'notes').orderBy('name', 'desc').limit(2));
  say(await knex('users').where('name', 'a').first('name'));
  say((await knex('users').where('name', 'nobody').first()) === undefined);
  say(await knex('users').orderBy('id').pluck('name'));
  say(await knex('users').whereIn('name', ['a', 'b']).whereNotNull('notes').del());
  say((await knex('users')).length);
};`)), whimbrel.Up))
	require.Equal(t, []string{
		`log: [{"id":1,"name":"a"},{"id":2,"name":"b"}]`, `log: 1`, `log: []`, `log: 1`, `log: 0`, `log: 1`,
		`log: [{"id":2},{"id":3}]`,
		`log: [{"id":3,"notes":{}},{"id":2,"notes":{}}]`, `log: {"name":"a"}`, `log: true`, `log: ["a","b","c"]`, `log: 2`,
		`log: 1`,
	}, b.printed)
}

func TestWhatFailsInAMigrationForAnotherToolIsShownAtItsPlace(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		tool, text string
		says       string
		line       int
		column     int
	}{
		"a call of the schema": {"knex",
			"exports.up = async (knex) => {\n  await knex.schema.createView('v', () => {});\n};",
			"whimbrel does not have knex.schema.createView of Knex: write it with knex.raw", 2, 14},
		"a call of a table": {"knex", "exports.up = (knex) => knex.schema\n  .createTable('a', (t) => {\n" +
			"    t.increments();\n    t.hstore('b');\n  });", "whimbrel does not have table.hstore of Knex", 4, 5},
		"a call of a column": {"knex", "exports.up = (knex) => knex.schema.createTable('a', (t) => {\n" +
			"  t.string('b').sparkles();\n});", "whimbrel does not have column.sparkles of Knex", 2, 5},
		"a call on rows": {"knex",
			"exports.up = async (knex) => {\n  await knex('users').where('a', 1).join('b');\n};",
			"whimbrel does not have knex('table').join of Knex", 2, 23},
		"a function as where": {"knex", "exports.up = async (knex) => {\n  await knex('users').where((q) => q);\n};",
			"whimbrel does not have where with a function of Knex", 2, 23},
		"a query without one": {"knex", "exports.up = async (knex) => {\n  await knex({ u: 'users' });\n};",
			"whimbrel does not have a query without the name of a table of Knex", 2, 9},
		"a value is missing": {"knex", "exports.up = async (knex) => {\n" +
			"  await knex('users').where({ id: undefined }).del();\n};", "the value of where for id is undefined", 2, 23},
		"rows that are refused": {"knex", "exports.up = async (knex) => {\n  await knex.raw('SELECT 1');\n" +
			"  await knex('missing').insert({ a: 1 });\n};", `relation "missing" does not exist`, 3, 9},
		"what the server says": {"knex", "exports.up = async (knex) => {\n  await knex.raw('SELECT 1');\n" +
			"  await knex.schema.dropTable('missing');\n};", `table "missing" does not exist`, 3, 14},
		"within a chain": {"knex", "exports.up = (knex) =>\n  knex.raw('SELECT nothing');",
			`column "nothing" does not exist`, 2, 8},
		"too few bindings": {"knex", "exports.up = (knex) =>\n  knex.raw('SELECT ?, ?', [1, 2, 3]);",
			"knex.raw expected 3 bindings, saw 2", 2, 8},
		"pgm's builder": {"node-pg-migrate", "exports.up = (pgm) => {\n  pgm.createTable('a', {});\n};",
			"whimbrel does not have pgm.createTable: write it with pgm.sql", 2, 3},
		"pgm.sql with values": {"node-pg-migrate", "exports.up = (pgm) => {\n  pgm.sql('SELECT {a}', { a: 1 });\n};",
			"whimbrel does not have pgm.sql with values", 2, 7},
		"pgm.sql": {"node-pg-migrate", "exports.up = (pgm) => {\n  pgm.sql('SELECT 1');\n" +
			"  pgm.sql('SELECT nothing');\n};", `column "nothing" does not exist`, 3, 7},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			e := fails(t, b.run(compile(t, js.Options{}, foreign("1_a.js", test.tool, test.text)), whimbrel.Up),
				whimbrel.CodeScript)
			require.Contains(t, e.Message, test.says)
			require.Equal(t, [2]int{test.line, test.column}, [2]int{e.Line, e.Column}, e.Statement)
			require.Equal(t, "migrations/1_a.js", e.Path)
		})
	}
}

func TestAMigrationOfNodePGMigrateRuns(t *testing.T) {
	b := setup(t)
	script := compile(t, js.Options{}, foreign("1_a.ts", "node-pg-migrate",
		`import { ColumnDefinitions, MigrationBuilder } from 'node-pg-migrate';
export const shorthands: ColumnDefinitions | undefined = undefined;
export async function up(pgm: MigrationBuilder): Promise<void> {
  pgm.sql('CREATE TABLE a (id int)');
  pgm.sql("INSERT INTO a VALUES (" + (await pgm.db.query('SELECT 6 AS n')).rows[0].n + ")");
  pgm.sql("INSERT INTO a VALUES (" + (await pgm.db.select('SELECT 7 AS n'))[0].n + ")");
}
export const down = false;
`))
	require.False(t, script.HasDown())
	require.NoError(t, b.run(script, whimbrel.Up))
	require.Equal(t, "13", b.text("SELECT sum(id) FROM a"))
}

// What the history keeps of a script with neighbours still says whom it is for.
func TestAMigrationForAnotherToolRunsFromItsSourceAlone(t *testing.T) {
	b := setup(t)
	folder := files{
		"1_a.ts": migration.WithClient("import { name } from './lib/name';\n"+
			"export const up = (knex) => knex.schema.createTable(name, (t) => t.increments());\n"+
			"export const down = (knex) => knex.schema.dropTable(name);", "knex"),
		"lib/name.ts": "export const name: string = 'users';",
	}
	script := compile(t, js.Options{}, folder.migration("1_a.ts"))
	require.NoError(t, b.run(script, whimbrel.Up))
	require.NotEqual(t, folder["1_a.ts"], script.Source())
	stored := migration.Migration{Kind: migration.Script, Path: "stored down migration of 1_a.ts", Text: script.Source()}
	again := compile(t, js.Options{}, stored)
	require.Equal(t, script.Source(), again.Source())
	require.NoError(t, b.run(again, whimbrel.Down))
	require.Equal(t, "NULL", b.text("SELECT to_regclass('users')"))
}

func TestAMigrationOfKnexMayAskForNoTransaction(t *testing.T) {
	t.Parallel()
	for text, transaction := range map[string]bool{
		"exports.config = { transaction: false }; exports.up = () => {};":          false,
		"export const config = { transaction: true }; export const up = () => {};": true,
		"exports.config = {}; exports.up = () => {};":                              true,
	} {
		require.Equal(t, transaction, compile(t, js.Options{}, foreign("1_a.js", "knex", text)).Transaction(), text)
		require.True(t, compile(t, js.Options{}, foreign("1_a.js", "node-pg-migrate", text)).Transaction(), text)
	}
}

func TestAToolThatIsNotKnownIsRefused(t *testing.T) {
	t.Parallel()
	_, err := js.New(js.Options{}).Compile(t.Context(), foreign("1_a.js", "sequelize", "exports.up = () => {};"))
	e := fails(t, err, whimbrel.CodeMalformed)
	require.Contains(t, e.Message, "for sequelize, which whimbrel cannot stand in for")
	require.Equal(t, "it can for knex and node-pg-migrate", e.Remedy)
	require.Equal(t, migration.WithClient("x", "knex"), migration.WithClient(migration.WithClient("x", "knex"), "knex"))
	require.Empty(t, migration.ClientOf(strings.Replace(migration.WithClient("x", "knex"), "Client knex", "Clients", 1)))
	require.Empty(t, migration.ClientOf(migration.WithClient("x", "knex")+"let y;\n"), "it is the last line or nothing")
}
