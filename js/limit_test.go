package js_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/js"
)

// These tests measure the heap of the process, so they do not run at the same
// time as others.
func TestAScriptThatTakesTooMuchMemoryIsStopped(t *testing.T) {
	for name, text := range map[string]string{
		"an array":           "  const a = [];\n  for (;;) a.push(new Array(1000).fill(1));",
		"a string":           "  let s = 'x';\n  for (;;) s += s;",
		"a map":              "  const m = new Map();\n  for (let i = 0; ; i++) m.set(i, 'value ' + i);",
		"one that catches":   "  const a = [];\n  for (;;) { try { a.push('x'.repeat(1e6) + a.length); } catch {} }",
		"a string at once":   "\n  'x'.repeat(1e10);",
		"padding at once":    "\n  'x'.padEnd(1e10);",
		"an array at once":   "\n  new Array(4e9).fill(1);",
		"a list at once":     "\n  Array.from({ length: 4e9 });",
		"a join at once":     "\n  new Array(4e9).join();",
		"a buffer at once":   "\n  Buffer.alloc(1e12);",
		"bytes at once":      "\n  new Uint8Array(1e12);",
		"more bytes at once": "\n  new ArrayBuffer(1e15);",
		"an answer":          "\n  await client.query(\"SELECT repeat('x', 1000) AS x FROM generate_series(1, 1000000)\");",
		"a recursion": "  const f = (a) => {\n    const b = new Array(1e5).fill(1); return f(b) + b.length; };\n" +
			"  f();",
	} {
		t.Run(name, func(t *testing.T) {
			b := connect(t)
			b.options.Memory, b.options.Compute = 32<<20, time.Hour
			e := fails(t, b.up("1_it.js", body(text)), whimbrel.CodeScript)
			require.Equal(t, "the script needs more than its 32 MB of memory", e.Message)
			require.Equal(t, 4, e.Line)
			require.NoError(t, b.conn.Ping(t.Context()), "the connection is as good as before")
		})
	}
}

func TestGarbageIsNotMemory(t *testing.T) {
	b := connect(t)
	b.options.Memory, b.options.Compute = 32<<20, 10*time.Minute // collecting may take its time
	b.prints("  let n = 0;\n  for (let i = 0; i < 3000; i++) n += 'x'.repeat(100_000).length;\n  console.log(n);",
		"300000000")
	b.prints("  let n = 0;\n  for (let i = 0; i < 10; i++) n += (await client.query(\"SELECT repeat('x', 1000) AS x "+
		"FROM generate_series(1, 5000)\")).rows.length;\n  console.log(n);", "50000")
}

func TestARuntimeMayBeUsedConcurrently(t *testing.T) {
	runtime := js.New(js.Options{})
	migration := files{"1_it.js": "const lib = require('./lib');\n" +
		body("  for (let i = 0; i < 20; i++) console.log(await lib(client, i));"),
		"lib.ts": "module.exports = async (client: any, n: number) => (await client.query('SELECT $1::int AS n', " +
			"[n])).rows[0].n;"}.migration("1_it.js")
	var group sync.WaitGroup
	for range 8 {
		b := connect(t)
		group.Go(func() {
			script, err := runtime.Compile(t.Context(), migration)
			if err == nil {
				err = script.Run(t.Context(), whimbrel.Up, b.session)
			}
			if err != nil {
				t.Error(err)
				return
			}
			if len(b.printed) != 20 || b.printed[19] != "log: 19" {
				t.Error(b.printed)
			}
		})
	}
	group.Wait()
}
