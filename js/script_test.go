package js_test

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/js"
	"github.com/whimbrel-db/whimbrel/migration"
)

func TestEveryShapeOfAScriptRuns(t *testing.T) {
	t.Parallel()
	const statement = "await client.query('INSERT INTO t VALUES ($1)', [1]);"
	for name, text := range map[string]string{
		"1_object.js": "module.exports = { name: 'x', async up(client) { await this.help(client); }, async " +
			"down(client) {}, async help(client) { " + statement + " } };",
		"1_exports.cjs": "exports.help = async (client) => { " + statement +
			" };\nexports.up = async function (client) { await this.help(client) };\nexports.down = async () => {};",
		"1_default.mjs": "export default { async up(client) { " + statement + " }, async down() {} };",
		"1_named.mjs":   "export async function up(client) { " + statement + " }\nexport async function down() {}",
		"1_default_class.mjs": "export default class { #n = 1; async up(client) { await this.help(client, this.#n); } " +
			"async down() {} async help(client, n) { await client.query('INSERT INTO t VALUES ($1)', [n]); } }",
		"1_class.js": "module.exports = class Users { async up(client) { " + statement + " } async down() {} };",
		"1_instance.js": "class Users { async up(client) { " + statement +
			" } async down() {} }\nmodule.exports = new Users();",
		"1_static_class.js": "module.exports = class { static async up(client) { " + statement +
			" } static async down() {} };",
		"1_typed.ts": "interface Client { query(text: string, values?: unknown[]): Promise<unknown> }\n" +
			"enum E { A = 1 }\nexport async function up(client: Client): Promise<void> { await client.query('INSERT INTO t " +
			"VALUES ($1)', [E.A as number satisfies number]); }\nexport const down = async (): Promise<void> => {};",
		"1_export_equals.ts": "const migration = { async up(client: any) { " + statement +
			" }, async down() {} };\nexport = migration;",
		"1_type_import.ts": "import type { Client } from 'whimbrel';\nimport { Migration } from 'whimbrel';\n" +
			"const m: Migration = { async up(client: Client) { " + statement + " }, async down() {} };\nexport default m;",
		"1_for_await.js": "module.exports = { async up(client) { async function* numbers() { yield 1; } for await " +
			"(const n of numbers()) await client.query('INSERT INTO t VALUES ($1)', [n ** 1]); }, async down() {} };",
		"1_without_a_promise.js": "module.exports = { up(client) { client.query('INSERT INTO t VALUES (1)'); }, down() {} };",
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.text("1")
			_, err := b.conn.Exec(b.Context(), "CREATE TABLE t (n int)")
			require.NoError(t, err)
			script := compile(t, js.Options{}, files{name: text}.migration(name))
			require.True(t, script.Transaction())
			require.True(t, script.HasDown())
			require.Equal(t, text, script.Source())
			require.NoError(t, b.run(script, whimbrel.Up))
			require.NoError(t, b.run(script, whimbrel.Down))
			require.Equal(t, "1", b.text("SELECT string_agg(n::text, ' ') FROM t"))
		})
	}
}

// The server would otherwise end a transaction in which nobody asks anything for as
// long as a lease.
func TestAScriptMayComputeInItsTransactionAsLongAsItsLimitAllows(t *testing.T) {
	b := setup(t)
	const slow = `exports.up = async (client) => {
  await client.query('CREATE TABLE slow ()');
  for (const end = Date.now() + 7500; Date.now() < end;) {}
  await client.query('CREATE TABLE done ()');
};`
	loaded, err := migration.Load(migration.Source{FS: fstest.MapFS{"1_slow.js": &fstest.MapFile{Data: []byte(slow)}}})
	require.NoError(t, err)
	up := func(compute time.Duration) error {
		m, err := whimbrel.New(whimbrel.Config{
			Target:  whimbrel.Target{DatabaseURL: b.url},
			Project: whimbrel.Project{Migrations: loaded, Scripts: js.New(js.Options{Compute: compute})},
			Policy:  whimbrel.Policy{LeaseDuration: 3 * time.Second},
		})
		require.NoError(t, err)
		_, err = m.Up(t.Context(), whimbrel.UpOptions{})
		return err
	}
	e := fails(t, up(3*time.Second), whimbrel.CodeScript)
	require.Contains(t, e.Message, "computed for more than 3s")
	require.Equal(t, "NULL", b.text("SELECT to_regclass('slow')"))
	require.NoError(t, up(time.Minute))
	require.Equal(t, "done", b.text("SELECT to_regclass('done')::text"))
}
