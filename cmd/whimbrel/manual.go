//go:build manual

// Command whimbrel, built with the tag "manual", is another program: it writes the
// pages of the manual and the completions of the real one, made from its commands,
// into a folder, for internal/release. So the program itself does not carry what
// makes them.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func main() {
	if len(os.Args) != 4 {
		_, _ = fmt.Fprintln(os.Stderr, "usage: go run -tags manual ./cmd/whimbrel FOLDER VERSION DATE")
		os.Exit(exitWrongUse)
	}
	if err := writeManual(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(exitFailed)
	}
}

// writeManual writes man/man1/*.1 and completions/*, the same for the same version
// and date.
func writeManual(folder, version, dated string) error {
	date, err := time.Parse(time.RFC3339, dated)
	if err != nil {
		return err
	}
	pages, completions := filepath.Join(folder, "man", "man1"), filepath.Join(folder, "completions")
	for _, dir := range []string{pages, completions} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	root := newRoot(newApp(process(), nil))
	root.InitDefaultCompletionCmd()
	for shell, write := range map[string]func(string) error{
		"whimbrel.bash": func(name string) error { return root.GenBashCompletionFileV2(name, true) },
		"_whimbrel":     root.GenZshCompletionFile,
		"whimbrel.fish": func(name string) error { return root.GenFishCompletionFile(name, true) },
		"whimbrel.ps1":  root.GenPowerShellCompletionFileWithDesc,
	} {
		if err := write(filepath.Join(completions, shell)); err != nil {
			return err
		}
	}
	forManual(root)
	return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "whimbrel " + version,
		Manual: "whimbrel's manual", Date: &date}, pages)
}

// forManual keeps the shape of what is aligned in the long texts of a command and
// those below it, and leaves out the line that says with what the page was made.
func forManual(c *cobra.Command) {
	c.DisableAutoGenTag = true
	var lines []string
	aligned := false
	for line := range strings.SplitSeq(c.Long, "\n") {
		before := aligned
		if aligned = strings.HasPrefix(line, " "); aligned {
			line = "    " + line // a block of code, to Markdown
		}
		if aligned && !before {
			lines = append(lines, "")
		}
		lines = append(lines, line)
	}
	c.Long = strings.Join(lines, "\n")
	for _, below := range c.Commands() {
		forManual(below)
	}
}
