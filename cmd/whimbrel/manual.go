//go:build !lean

package main

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newManual writes the pages of the manual and the completions, for a release and for
// those who package the program.
func newManual(a *app) []*cobra.Command {
	return []*cobra.Command{{
		Use:     "manual FOLDER",
		Short:   "Write the manual's pages and the completions into a folder",
		Example: `  whimbrel manual /usr/local/share`,
		Hidden:  true,
		Args:    arguments(1, 1, "FOLDER"),
		RunE: func(_ *cobra.Command, folder []string) error {
			return writeManual(newRoot(newApp(a.environment, nil)), a.absolute(folder[0]), build())
		},
	}}
}

// writeManual writes man/man1/*.1 and completions/*, the same for the same version
// and date.
func writeManual(root *cobra.Command, folder string, from buildInfo) error {
	date, err := time.Parse(time.RFC3339, cmp.Or(from.Date, "1970-01-01T00:00:00Z"))
	if err != nil {
		return err
	}
	pages, completions := filepath.Join(folder, "man", "man1"), filepath.Join(folder, "completions")
	for _, dir := range []string{pages, completions} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
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
	return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "whimbrel " + from.Version,
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
