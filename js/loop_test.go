package js_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTimersAndMicrotasksComeInTheirOrder(t *testing.T) {
	b := setup(t)
	b.prints(`
	const said = [];
	const say = (what) => said.push(what);
	setTimeout(say, 20, 'last');
	setTimeout(say, 2, 'second'); setTimeout(say, 2, 'third');
	setImmediate(say, 'first');
	clearTimeout(setTimeout(say, 1, 'never'));
	queueMicrotask(() => say('soon'));
	process.nextTick(say, 'soon too');
	Promise.resolve().then(() => say('then'));
	say('now');
	let n = 0;
	const interval = setInterval(() => { say('tick'); if (++n === 2) clearInterval(interval); }, 4);
	await new Promise((resolve) => setTimeout(resolve, 40));
	setTimeout(() => say('after the end'), 1e9);
	console.log(said.filter((s) => s !== 'tick').join(), said.filter((s) => s === 'tick').length);`,
		"now,soon,soon too,then,first,second,third,last 2")
}

func TestQueriesAreAskedInTheOrderOfTheCalls(t *testing.T) {
	b := setup(t)
	b.prints(`
	await client.query('CREATE TABLE t (id serial, n int)');
	const answers = await Promise.all([3, 1, 2].map(async (n) => {
		await client.query('INSERT INTO t (n) VALUES ($1)', [n]);
		return n;
	}));
	console.log(answers, (await client.query('SELECT array_agg(n ORDER BY id) AS a FROM t')).rows[0].a);
	const settled = await Promise.allSettled([client.query('SAVEPOINT s'), client.query('SELECT nope'), client.query('ROLLBACK TO s'), client.query('SELECT 1')]);
	console.log(settled.map((s) => s.status).join());`,
		"[ 3, 1, 2 ] [ 3, 1, 2 ]", "fulfilled,rejected,fulfilled,fulfilled")
}

func TestWhatUpReturnsMayBeAnyPromise(t *testing.T) {
	b := setup(t)
	require.NoError(t, b.up("1_it.js", "exports.up = (client) => ({ then(resolve) { console.log('awaited'); "+
		"setTimeout(resolve, 1); } });"))
	require.Equal(t, []string{"log: awaited"}, b.printed)
	require.NoError(t, b.up("1_it.js", "exports.up = () => 7;"))
}

func TestWaitingIsNotComputing(t *testing.T) {
	b := setup(t)
	b.options.Compute = 200 * time.Millisecond
	b.prints("  await client.query('SELECT pg_sleep(0.4)');\n"+
		"  await new Promise((resolve) => setTimeout(resolve, 400));\n  console.log('done');", "done")
}

func TestEveryRunBeginsClean(t *testing.T) {
	b := setup(t)
	script := compile(t, b.options, files{"1_it.js": "let n = 0;\n" +
		"exports.up = () => { n++; globalThis.n = (globalThis.n || 0) + 1; Array.prototype.mine = n; console.log(n, " +
		"globalThis.n, [].mine); };"}.migration("1_it.js"))
	for range 2 {
		require.NoError(t, b.run(script, "up"))
	}
	require.Equal(t, []string{"log: 1 1 1", "log: 1 1 1"}, b.printed)
}
