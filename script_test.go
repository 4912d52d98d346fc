package whimbrel_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/js"
)

func withScripts(c *whimbrel.Config) { c.Scripts = js.New(js.Options{}) }

func TestAScriptIsAMigrationLikeAnyOther(t *testing.T) {
	b := setup(t)
	f := files{
		"1_a.sql": "CREATE TABLE a (n int);\n-- +migrate Down\nDROP TABLE a;",
		"2_b.js": `module.exports = {
  name: 'b',
  rows() { return [1, 2, 3]; },
  async up(client) {
    for (const n of this.rows()) await client.query('INSERT INTO a VALUES ($1)', [n]);
    const { rows } = await client.query('SELECT sum(n) AS sum FROM a');
    console.log('sum', rows[0].sum);
  },
  async down(client) { await client.query('DELETE FROM a'); },
};`,
		"3_c.ts": "const table: string = " +
			"'a';\nexport async function up(client: any): Promise<void> { await client.query(`ALTER TABLE ${table} ADD m " +
			"text`); }\nexport async function down(client: any) { await client.query(`ALTER TABLE ${table} DROP m`); }",
	}
	_, err := b.migrator(f, withScripts).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "1 2 3", b.applied())
	require.Contains(t, b.heard(), "printed")
	require.Equal(t, "script", b.text("SELECT DISTINCT kind FROM schema_migrations WHERE version <> '1'"))
	status, err := b.migrator(f).Status(t.Context())
	require.NoError(t, err)
	require.Empty(t, status.Pending)

	older := files{"1_a.sql": f["1_a.sql"]} // a checkout without the scripts
	_, err = b.migrator(older, withScripts).Down(t.Context(), whimbrel.DownOptions{Steps: 2})
	require.NoError(t, err)
	require.Equal(t, "1", b.applied())
	require.Equal(t, "0", b.text("SELECT count(*) FROM a"))
}

func TestAScriptThatFailsIsRolledBackAndPointsAtItsLine(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text          string
		line          int
		message, code string
	}{
		"the server refuses": {"exports.up = async (client) => {\n  await client.query('CREATE TABLE left_over ()');\n" +
			"  await client.query('SELECT nosuch');\n};", 3, "nosuch", "42703"},
		"it throws": {"exports.up = async (client) => {\n  await client.query('CREATE TABLE left_over ()');\n" +
			"  throw new Error('no row moved');\n};", 3, "no row moved", ""},
		"it ends our own work": {"exports.up = async (client) => {\n  await client.query('COMMIT');\n};", 2,
			"COMMIT is not allowed", ""},
		"a statement apart": {"exports.up = async (client) => {\n  await client.query('VACUUM');\n};", 2,
			"cannot run inside a transaction", ""},
		"it swallows an error": {"exports.up = async (client) => {\n" +
			"  try { await client.query('SELECT 1/0'); } catch (e) {}\n};", 0, "its error was caught", ""},
		"a batch inside": {"exports.up = async (client) => {\n" +
			"  await client.batch({table: 't', key: 'id'}, async () => {});\n};", 2, "outside a transaction", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			_, err := b.migrator(files{"1_a.js": test.text}, withScripts).Up(t.Context(), whimbrel.UpOptions{})
			e := fails(t, err, whimbrel.CodeScript)
			require.Contains(t, e.Message, test.message)
			require.Equal(t, test.code, e.SQLState)
			require.Equal(t, test.line, e.Line)
			require.Equal(t, "migrations/1_a.js", e.Path)
			require.Empty(t, b.applied())
			require.Equal(t, "0", b.text("SELECT count(*) FROM pg_class WHERE relname = 'left_over'"))
		})
	}
}

func TestAScriptMayCatchAnErrorBehindASavepoint(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(files{"1_a.js": `exports.up = async (client) => {
  await client.query('SAVEPOINT before');
  try { await client.query('SELECT 1/0'); } catch (e) { await client.query('ROLLBACK TO before'); }
  await client.query('CREATE TABLE a ()');
};`}, withScripts).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "1", b.applied())
}

func TestAScriptOutsideATransactionGoesOnAtItsBatches(t *testing.T) {
	b := setup(t)
	b.touched(5000)
	const text = `exports.transaction = false;
exports.up = async (client) => {
  await client.query('CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (touched)');
  await client.tx(async (client) => { await client.query('CREATE TABLE IF NOT EXISTS seen ()'); });
  let last = null;
  await client.batch({ table: 't', key: 'id', size: 500 }, async (range, client) => {
    if (last !== null && range.from !== last) throw new Error('a gap');
    last = range.to;
    return client.query('UPDATE t SET touched = touched + 1 WHERE id > $1 AND id <= $2', [range.from, range.to]);
  });
  await client.batch({ table: 't', key: 'id' }, async (range, client) => {
    await client.query('UPDATE t SET touched = touched + 10 WHERE id > $1 AND id <= $2', [range.from, range.to]);
    THEN
  });
};`
	f := files{"1_a.js": strings.Replace(text, "THEN", "if (range.to > 2000) throw new Error('half-way');", 1)}
	patient := func(c *whimbrel.Config) { c.MaxStall = 10 * time.Second } // the index waits for anyone who reads
	_, err := b.migrator(f, withScripts, patient).Up(t.Context(), whimbrel.UpOptions{})
	require.Contains(t, fails(t, err, whimbrel.CodeScript).Message, "half-way")
	require.Equal(t, "11 1", b.text("SELECT string_agg(DISTINCT touched::text, ' ' ORDER BY touched::text DESC) FROM t"))
	f["1_a.js"] = strings.Replace(text, "THEN", "", 1)
	_, err = b.migrator(f, withScripts).Up(t.Context(), whimbrel.UpOptions{})
	_ = fails(t, err, whimbrel.CodeJournal)
	f["1_a.js"] = strings.Replace(text, "THEN", "if (range.to > 2000) throw new Error('half-way');", 1)
	b.exec("DELETE FROM t WHERE id > 2000")
	_, err = b.migrator(f, withScripts).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "11", b.text("SELECT string_agg(DISTINCT touched::text, ' ') FROM t"))
	require.Equal(t, "0", b.text("SELECT count(*) FROM schema_migrations_journal"))
}

func TestAScriptBacksOffForALockAndRunsAgain(t *testing.T) {
	b := setup(t)
	b.exec("CREATE TABLE a (n int)")
	reader, err := b.connect().Begin(t.Context())
	require.NoError(t, err)
	_, err = reader.Exec(t.Context(), "SELECT * FROM a")
	require.NoError(t, err)
	retries := 0
	_, err = b.migrator(files{"1_a.js": "exports.up = async (client) => { await client.query('ALTER TABLE a ADD m " +
		"int'); };"}, withScripts, func(c *whimbrel.Config) {
		c.Listener = func(r whimbrel.Record) {
			if _, ok := r.Event.(whimbrel.Retrying); ok {
				if retries++; retries == 2 {
					require.NoError(t, reader.Rollback(b.Context()))
				}
			}
		}
	}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "1", b.applied())
}
