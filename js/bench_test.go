package js_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/js"
)

const trivial = "export async function up(client: unknown): Promise<void> {}\n"

// BenchmarkStart is what a script costs before it does anything.
func BenchmarkStart(b *testing.B) {
	t := connect(b)
	m := files{"1_it.ts": trivial}.migration("1_it.ts")
	b.Run("compile", func(b *testing.B) {
		for b.Loop() {
			compile(b, js.Options{}, m)
		}
	})
	script := compile(b, js.Options{}, m)
	b.Run("run", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, script.Run(b.Context(), whimbrel.Up, t.session))
		}
	})
}

// BenchmarkQueries is what 10,000 queries, one by one, cost in a script and in Go.
func BenchmarkQueries(b *testing.B) {
	const count, query = 10_000, "SELECT $1::int AS id, $2::text AS name, now() AS at"
	t := connect(b)
	require.NoError(b, t.up("1_it.js", body(""))) // the first script pays for what all share
	script := compile(b, js.Options{}, files{"1_it.js": body("  for (let i = 0; i < 10000; i++) await client.query('" +
		query + "', [i, 'x']);")}.migration("1_it.js"))
	b.Run("script", func(b *testing.B) {
		for b.Loop() {
			t.checked = nil
			require.NoError(b, script.Run(b.Context(), whimbrel.Up, t.session))
		}
	})
	b.Run("go", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, plain(b.Context(), t.session, query, count))
		}
	})
}

func plain(ctx context.Context, s *session, query string, count int) error {
	for range count {
		reader := s.conn.PgConn().ExecParams(ctx, query, [][]byte{[]byte("1"), []byte("x")}, nil, nil, nil)
		if result := reader.Read(); result.Err != nil {
			return result.Err
		}
	}
	return nil
}
