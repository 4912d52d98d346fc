package migration

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkLoad reads a folder of 1,000 small files from the disk.
func BenchmarkLoad(b *testing.B) {
	folder := b.TempDir()
	for i := range 1000 {
		text := fmt.Sprintf("CREATE TABLE t%d (id bigint PRIMARY KEY, name text NOT NULL);\n-- +migrate Down\n"+
			"DROP TABLE t%d;\n", i, i)
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%06d_t.sql", i+1)), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(Source{FS: Folder(folder)}); err != nil {
			b.Fatal(err)
		}
	}
}
