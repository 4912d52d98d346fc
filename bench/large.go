package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// inserts and copied are what a file does that fills a table with so many rows.
func inserts(rows int) string {
	var text strings.Builder
	for i := range rows {
		fmt.Fprintf(&text, "INSERT INTO large (id, note) VALUES (%d, 'note %[1]d');\n", i)
	}
	return text.String()
}

func copied(rows int) string {
	var text strings.Builder
	text.WriteString("COPY large (id, note) FROM stdin;\n")
	for i := range rows {
		fmt.Fprintf(&text, "%d\tthe note of row %[1]d, which is as long as an INSERT of it would be\n", i)
	}
	text.WriteString("\\.\n")
	return text.String()
}

// onLargeFile is the most memory that an up of one large file takes beyond what the
// program takes to print its version, as a multiple of the file's size.
func (l *lab) onLargeFile(rows int, fill func(rows int) string) *side {
	return &side{"whimbrel", func(ctx context.Context) (float64, error) {
		folder, err := os.MkdirTemp(l.folder, "large-")
		if err != nil {
			return 0, err
		}
		text := "CREATE TABLE large (id int, note text);\n" + fill(rows)
		if err := os.WriteFile(filepath.Join(folder, "1_large.sql"), []byte(text), 0o600); err != nil {
			return 0, err
		}
		url, drop, err := l.server.FreshDatabase(ctx)
		if err != nil {
			return 0, err
		}
		defer drop()
		idle, err := l.process(ctx, url, "cmd/whimbrel", "version")
		if err != nil {
			return 0, err
		}
		busy, err := l.process(ctx, url, "cmd/whimbrel", "up", "--dir", folder)
		return (busy.Bytes - idle.Bytes) / float64(len(text)), err
	}}
}
