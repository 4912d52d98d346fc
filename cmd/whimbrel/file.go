package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/files"
)

// writeReport writes a report, free of secrets, where the caller wants it. A pipe or a
// device is written to, as is what /dev/stdout leads to; a link that somebody has put
// there is not followed.
func (a *app) writeReport(name, text string) error {
	path := a.absolute(name)
	info, err := os.Lstat(path)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 && !strings.HasPrefix(filepath.Clean(path), "/dev/") {
		return files.ErrIsLink
	}
	return os.WriteFile(path, []byte(a.redactor.Clean(text)), 0o644)
}
