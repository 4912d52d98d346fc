package js_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/js"
)

// outside makes a script that runs outside a transaction.
func outside(text string) string { return body(text) + "module.exports.transaction = false;\n" }

func TestAScriptSaysWhetherItRunsInATransaction(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"exports.up = () => {};":                                              true,
		"exports.up = () => {}; exports.transaction = true;":                  true,
		"exports.up = () => {}; exports.transaction = undefined;":             true,
		"exports.up = () => {}; exports.transaction = false;":                 false,
		"module.exports = { up() {}, transaction: false };":                   false,
		"export const transaction = false;\nexport async function up() {}":    false,
		"export const transaction = false;\nexport default { async up() {} }": false,
		"export default { transaction: false, async up() {} }":                false,
		"export default class { transaction = false; async up() {} }":         false,
		"export default class { static transaction = false; async up() {} }":  false,
	} {
		script := compile(t, js.Options{}, files{"1_it.js": text}.migration("1_it.js"))
		require.Equal(t, want, script.Transaction(), text)
		require.False(t, script.HasDown(), text)
	}
}

func TestEveryTextIsCheckedBeforeItIsSent(t *testing.T) {
	b := setup(t)
	b.refuse = func(text string) error {
		if text == "COMMIT" {
			return &whimbrel.Error{Code: whimbrel.CodeMalformed, Message: "COMMIT is not allowed in a migration",
				Remedy: "remove it"}
		}
		return nil
	}
	e := fails(t, b.up("1_it.js", body("  await client.query('SELECT $1::int', [1]);\n  await client.query('COMMIT');\n"+
		"  await client.query('CREATE TABLE t ()');")), whimbrel.CodeMalformed)
	require.Equal(t, "COMMIT is not allowed in a migration", e.Message)
	require.Equal(t, "remove it", e.Remedy)
	require.Equal(t, [2]int{4, 16}, [2]int{e.Line, e.Column})
	require.Equal(t, []string{"SELECT $1::int", "COMMIT"}, b.checked)
	b.prints("  try { await client.query('COMMIT'); } catch (err) { console.log(err.message); }",
		"COMMIT is not allowed in a migration; remove it")
}

func TestAScriptHasTransactionsOfItsOwn(t *testing.T) {
	b := setup(t)
	require.NoError(t, b.up("1_it.js", outside(`
	await client.query('CREATE TABLE t (n int)');
	const n = await client.tx(async (client) => {
		await client.query('INSERT INTO t VALUES (1)');
		const { rows } = await client.query('SELECT n, pg_current_xact_id_if_assigned() IS NOT NULL AS inside FROM t');
		console.log(rows);
		return rows[0].n;
	});
	console.log('returned', n);
	const mine = new Error('mine');
	try {
		await client.tx(async (client) => { await client.query('INSERT INTO t VALUES (2)'); throw mine; });
	} catch (err) { console.log(err === mine); }
	try {
		await client.tx(async (client) => client.query('SELECT nope'));
	} catch (err) { console.log(err.code, err.position); }
	try {
		await client.tx(async (inner) => inner.tx(async () => {}));
	} catch (err) { console.log(err.message); }
	try {
		await client.tx(async () => { await client.tx(async () => {}); });
	} catch (err) { console.log(err.message); }
	try { await client.tx(); } catch (err) { console.log(err.message); }
	await Promise.all([1, 2, 3].map((n) => client.tx(async (client) => {
		await client.query('INSERT INTO t VALUES ($1)', [n * 10]);
		await new Promise((resolve) => setTimeout(resolve, 1));
		await client.query('INSERT INTO t VALUES ($1)', [n * 10 + 1]);
		if (n === 2) throw new Error('not this one');
	}).catch((err) => console.log(err.message))));
	client.tx(async (client) => client.query('INSERT INTO t VALUES (99)'));
`)))
	const within = "was called inside a transaction; call it when the transaction before it is over, on the client that " +
		"up or down was called with"
	require.Equal(t, []string{
		"log: [ { n: 1, inside: true } ]", "log: returned 1", "log: true", "log: 42703 8",
		"log: client.tx " + within, "log: client.tx " + within,
		"log: client.tx needs a function: client.tx(async (client) => …)", "log: not this one",
	}, b.printed)
	require.Equal(t, "1 10 11 30 31 99", b.text("SELECT string_agg(n::text, ' ') FROM t"))
}

func TestAFailedTransactionOfAScriptSaysWhere(t *testing.T) {
	b := setup(t)
	e := fails(t, b.up("1_it.js", outside("\n  await client.tx(async (client) => {\n"+
		"    await client.query('SELECT nope');\n  });")), whimbrel.CodeScript)
	require.Equal(t, [2]int{5, 18}, [2]int{e.Line, e.Column})
	require.Equal(t, "42703", e.SQLState)

	// What is found out only at commit has the place of the call.
	_, err := b.conn.Exec(t.Context(), "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int REFERENCES p "+
		"DEFERRABLE INITIALLY DEFERRED)")
	require.NoError(t, err)
	e = fails(t, b.up("1_it.js", outside("\n  await client.tx(async (client) => {\n"+
		"    await client.query('INSERT INTO c VALUES (1)');\n  });")), whimbrel.CodeScript)
	require.Equal(t, [2]int{4, 16}, [2]int{e.Line, e.Column})
	require.Equal(t, "23503", e.SQLState)
}

func TestTransactionsOfItsOwnNeedAScriptOutsideOne(t *testing.T) {
	b := setup(t)
	for _, call := range []string{"tx(async () => {})", "batch({ table: 't', key: 'id' }, async () => {})"} {
		e := fails(t, b.up("1_it.js", body("  await client."+call+";")), whimbrel.CodeScript)
		require.Contains(t, e.Message, "works only in a script that runs outside a transaction")
		require.Contains(t, e.Remedy, "export const transaction = false")
		require.Equal(t, [2]int{3, 16}, [2]int{e.Line, e.Column})
	}
}

func TestABatchGoesThroughRangesOfKeys(t *testing.T) {
	b := setup(t)
	key := func(text string, oid uint32) whimbrel.KeyValue { return whimbrel.KeyValue{Text: text, Type: oid} }
	b.ranges = []whimbrel.Range{
		{To: []whimbrel.KeyValue{key("10", pgtype.Int4OID)}},
		{From: []whimbrel.KeyValue{key("10", pgtype.Int4OID)}, To: []whimbrel.KeyValue{key("9007199254740993",
			pgtype.Int8OID)}},
		{From: []whimbrel.KeyValue{key("10", pgtype.Int4OID), key("a", pgtype.TextOID)},
			To: []whimbrel.KeyValue{key("11", pgtype.Int4OID), key("b", pgtype.TextOID)}},
		{From: []whimbrel.KeyValue{key("2024-01-01 00:00:00+00", pgtype.TimestamptzOID)}},
	}
	require.NoError(t, b.up("1_it.ts", `
export const transaction = false;
export async function up(client: any) {
	const total = await client.batch({ table: 'Public."User s"', key: ['id', 'Name'], size: 500, pause: 100 }, async (range, client) => {
		console.log(range);
		if (range.from === null) return client.query('SELECT 1 UNION SELECT 2');
		return Array.isArray(range.from) ? 5 : undefined;
	});
	console.log(total);
	await client.batch({ table: 't', key: 'id', pause: '1m30s' }, () => {});
}
`))
	require.Equal(t, []string{
		"log: { from: null, to: 10 }", "log: { from: 10, to: '9007199254740993' }",
		"log: { from: [ 10, 'a' ], to: [ 11, 'b' ] }",
		"log: { from: 2024-01-01T00:00:00.000Z, to: null }", "log: 7",
	}, b.printed)
	require.Equal(t, []int64{2, 0, 5, 0, 0, 0, 0, 0}, b.rows)
	require.Equal(t, []string{"public", "User s"}, b.batches[0].TableName())
	require.Equal(t, []string{"id", "Name"}, b.batches[0].Key)
	require.Equal(t, 500, b.batches[0].Size)
	require.Equal(t, "100ms", b.batches[0].Pause)
	require.Equal(t, 1000, b.batches[1].Size)
	require.Equal(t, "1m30s", b.batches[1].Pause)
}

func TestABatchThatMakesNoSenseIsRefused(t *testing.T) {
	b := setup(t)
	for call, want := range map[string]string{
		"":                          "client.batch needs a function",
		"{ table: 't', key: 'id' }": "client.batch needs a function",
		"null, () => {}":            "client.batch needs a table and its key",
		"{ key: 'id' }, () => {}":   "client.batch needs a table and its key",
		"{ table: 't' }, () => {}":  "client.batch needs a table and its key",
		"{ table: 't', key: 'id', sise: 7 }, () => {}":     "client.batch does not know the option sise",
		"{ table: 't; x', key: 'id' }, () => {}":           "client.batch: ",
		"{ table: 't', key: 'id', size: -1 }, () => {}":    "client.batch: ",
		"{ table: 't', key: 'id', pause: 'x' }, () => {}":  "client.batch: ",
		"{ table: 't\\n', key: 'id' }, () => {}":           "must be on one line",
		"{ table: 't', key: 'id' }, () => { throw 'no'; }": "the script threw 'no'",
	} {
		b.ranges = []whimbrel.Range{{}}
		e := fails(t, b.up("1_it.js", outside("  await client.batch("+call+");")), whimbrel.CodeScript)
		require.Contains(t, e.Message, want, call)
		require.Equal(t, 3, e.Line, call)
	}
}

func TestWhatQueryDoesNotKnowIsRefused(t *testing.T) {
	b := setup(t)
	for call, want := range map[string]string{
		"":                                   "null or undefined query",
		"{}":                                 "a query needs a text",
		"'SELECT 1', () => {}":               "takes no callback",
		"'SELECT 1', [], () => {}":           "takes no callback",
		"{ submit() {} }":                    "does not know the option submit",
		"{ text: 'SELECT 1', types: {} }":    "does not know the option types",
		"'SELECT $1', 'x'":                   "must be an array",
		"'SELECT $1::text', [new Date('x')]": "invalid Date",
		"'SELECT 1; /* x */ COPY t FROM /* y */ stdin'":          "COPY … FROM STDIN cannot be used in a script",
		"'copy t (n) from  STDIN'":                               "COPY … FROM STDIN cannot be used in a script",
		"'SELECT $1::json', [itself]":                            "ircular",
		"'SELECT $1::json', [array]":                             "contains itself",
		"'SELECT $1::json', [{ toPostgres() { return this; } }]": "contains itself",
	} {
		e := fails(t, b.up("1_it.js", body("  const itself = {}; itself.x = itself; const array = []; array.push(array);\n"+
			"  await client.query("+call+");")), whimbrel.CodeScript)
		require.Contains(t, e.Message, want, call)
		require.Equal(t, 4, e.Line, call)
	}
	require.Equal(t, "1", b.text("1"), "the connection is as good as before")
}

func TestTheDatabaseIsAskedOnlyWithinUpAndDown(t *testing.T) {
	t.Parallel()
	_, err := js.New(js.Options{}).Compile(t.Context(),
		files{"1_it.js": "setTimeout(() => {});\nconsole.log('dropped');\n" +
			"module.exports = { get up() { throw new Error('no'); } };"}.migration("1_it.js"))
	e := fails(t, err, whimbrel.CodeMalformed)
	require.Equal(t, "no", e.Message)
}

func TestABrokenConnectionIsNotTheScriptsFault(t *testing.T) {
	b := setup(t)
	err := b.up("1_it.js", body("  try { await client.query('SELECT pg_terminate_backend(pg_backend_pid())'); } catch "+
		"(err) { console.log(err.code); }\n  await client.query('SELECT 1');"))
	require.Error(t, err)
	var e *whimbrel.Error
	require.NotErrorAs(t, err, &e)
	require.ErrorContains(t, err, "running migrations/1_it.js: ")
	require.Equal(t, []string{"log: 57P01"}, b.printed)
}

func TestEscapesAreThoseOfPg(t *testing.T) {
	b := setup(t)
	b.prints(`console.log(client.escapeIdentifier('a"b'), client.escapeLiteral("it's"), client.escapeLiteral('a\\b'));`,
		`"a""b" 'it''s'  E'a\\b'`)
}

func TestATextAboutCopyingIsNoCopy(t *testing.T) {
	b := setup(t)
	b.prints(`
	const { rows } = await client.query("SELECT 'copy t from stdin' AS a");
	await client.query('CREATE TABLE "from" (stdin int)');
	const copied = await client.query('COPY "from" (stdin) TO STDOUT; SELECT stdin FROM "from"');
	console.log(rows[0].a, copied.map((r) => r.command));`, "copy t from stdin [ 'COPY', 'SELECT' ]")
}
