package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkStartUp is a whole process from its start to its end. Only the last
// one compiles a script; the others pay for scripts no more than their place in
// the binary.
func BenchmarkStartUp(b *testing.B) {
	const sql, script = "CREATE TABLE a (n int);\n", "exports.up = async (client) => client.query('CREATE TABLE b ()');\n"
	for _, bench := range []struct {
		name  string
		files map[string]string
		args  []string
	}{
		{"version", nil, []string{"version"}},
		{"status of SQL", map[string]string{"1_a.sql": sql}, []string{"status"}},
		{"status of SQL and a script", map[string]string{"1_a.sql": sql, "2_b.js": script}, []string{"status"}},
		{"plan of SQL", map[string]string{"1_a.sql": sql}, []string{"plan"}},
		{"plan of SQL and a script", map[string]string{"1_a.sql": sql, "2_b.js": script}, []string{"plan"}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			url, drop, err := server.FreshDatabase(b.Context())
			require.NoError(b, err)
			defer drop()
			folder := b.TempDir()
			require.NoError(b, os.Mkdir(filepath.Join(folder, "migrations"), 0o755))
			for name, text := range bench.files {
				require.NoError(b, os.WriteFile(filepath.Join(folder, "migrations", name), []byte(text), 0o644))
			}
			for b.Loop() {
				command := exec.CommandContext(b.Context(), "whimbrel", bench.args...)
				command.Dir, command.Env = folder, append(os.Environ(), "DATABASE_URL="+url, "HOME="+folder)
				output, err := command.CombinedOutput()
				require.NoError(b, err, string(output))
			}
		})
	}
}
