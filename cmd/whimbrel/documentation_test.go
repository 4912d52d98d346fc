package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/pages"
)

// documentation is the folder of the pages, as the tests of this package see it.
const documentation = "../../docs"

// generated compares a file of the documentation with what it must be, or writes
// it with -update.
func generated(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(documentation, name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	have, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, text, string(have), "bring it up to date with: go test ./cmd/whimbrel -run Documented -update")
}

// readPages gives all pages, README.md of the project included.
func readPages(t *testing.T) []pages.Page {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(documentation, "*.md"))
	require.NoError(t, err)
	var all []pages.Page
	for _, path := range append(paths, "../../README.md") {
		page, err := pages.Read(path)
		require.NoError(t, err)
		all = append(all, page)
	}
	require.Greater(t, len(all), 10)
	return all
}

// readersPath is the PATH of a reader, with a command as readers have it.
func readersPath(t *testing.T) string {
	t.Helper()
	if !raceDetector {
		return os.Getenv("PATH")
	}
	folder, err := plainCommand()
	require.NoError(t, err)
	return folder + string(filepath.ListSeparator) + os.Getenv("PATH")
}

// TestPagesCanBeFollowed does what each page says, as a reader would, in a clean
// folder and with an empty database.
func TestPagesCanBeFollowed(t *testing.T) {
	t.Parallel()
	path := readersPath(t)
	followed := 0
	for _, page := range readPages(t) {
		if !page.Runnable() {
			continue
		}
		followed++
		t.Run(filepath.Base(page.Path), func(t *testing.T) {
			t.Parallel()
			url, drop, err := server.FreshDatabase(t.Context())
			require.NoError(t, err)
			t.Cleanup(drop)
			folder := t.TempDir()
			t.Cleanup(func() { stopDevelopment(filepath.Join(folder, ".whimbrel")) })
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			require.NoError(t, page.Follow(ctx, pages.Place{Folder: folder, Environment: []string{
				"PATH=" + path, "HOME=" + folder, "TZ=UTC", "LC_ALL=C.UTF-8", "USER=reader",
				"DATABASE_URL=" + url,
			}}))
		})
	}
	require.Positive(t, followed)
}

// TestLinksLeadSomewhere follows all links between the pages.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, page := range readPages(t) {
		for _, link := range page.Links {
			if strings.Contains(link.Target, "://") || strings.HasPrefix(link.Target, "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(link.Target, "#")
			target := filepath.Join(filepath.Dir(page.Path), file)
			if file == "" {
				target = page.Path
			}
			_, err := os.Stat(target)
			require.NoError(t, err, "%s:%d", page.Path, link.Line)
			if anchor != "" {
				there, err := pages.Read(target)
				require.NoError(t, err)
				require.Contains(t, there.Anchors(), anchor, "%s:%d", page.Path, link.Line)
			}
		}
	}
}

// TestEveryPageIsInTheIndex keeps the index complete.
func TestEveryPageIsInTheIndex(t *testing.T) {
	t.Parallel()
	index, err := pages.Read(filepath.Join(documentation, "README.md"))
	require.NoError(t, err)
	var linked []string
	for _, link := range index.Links {
		linked = append(linked, link.Target)
	}
	for _, page := range readPages(t) {
		if name := filepath.Base(page.Path); name != "README.md" && !slices.Contains(linked, name) {
			t.Errorf("docs/README.md has no link to %s", name)
		}
	}
}

// TestCommandsAreDocumented keeps docs/commands.md what the commands say.
func TestCommandsAreDocumented(t *testing.T) {
	t.Parallel()
	generated(t, "commands.md", commandsPage())
}

func commandsPage() string {
	root := newRoot(newApp(process(), nil))
	root.InitDefaultCompletionCmd()
	all := commandsBelow(root)
	var b strings.Builder
	b.WriteString("# Commands\n\nThis page is made from the commands themselves: it says what `--help` says.\n\n")
	b.WriteString(markdown(root.Long))
	b.WriteString("\n| command | what it does |\n|---|---|\n")
	for _, c := range all {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s |\n", c.CommandPath(), strings.ReplaceAll(c.CommandPath(), " ", "-"), c.Short)
	}
	b.WriteString("\n## Flags of every command\n\n")
	b.WriteString(block("text", flagUsages(root.PersistentFlags())))
	for _, c := range all {
		b.WriteString(commandSection(c))
	}
	return b.String()
}

// commandsBelow are the commands that a user may type, in the order of their names.
func commandsBelow(parent *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, c := range parent.Commands() {
		if c.Hidden || c.Name() == "help" {
			continue
		}
		all = append(append(all, c), commandsBelow(c)...)
	}
	return all
}

func commandSection(c *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n%s\n", c.CommandPath(), markdown(cmp.Or(c.Long, c.Short)))
	if c.Runnable() {
		fmt.Fprintf(&b, "%s\n", block("text", c.UseLine()))
	}
	if c.Example != "" {
		fmt.Fprintf(&b, "%s\n", block("sh", unindented(c.Example)))
	}
	if flags := flagUsages(c.NonInheritedFlags()); flags != "" {
		b.WriteString(block("text", flags))
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// flagUsages are the flags as the help shows them, without --help itself.
func flagUsages(flags *pflag.FlagSet) string {
	shown := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" {
			shown.AddFlag(f)
		}
	})
	return unindented(shown.FlagUsages())
}

// markdown turns the text of a help into Markdown: what is indented there is
// aligned, and must stay so.
func markdown(text string) string {
	var b strings.Builder
	lines := strings.Split(text, "\n")
	for len(lines) > 0 {
		aligned := strings.HasPrefix(lines[0], " ")
		n := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, " ") != aligned })
		if n < 0 {
			n = len(lines)
		}
		part := strings.Join(lines[:n], "\n")
		lines = lines[n:]
		if aligned {
			part = "\n" + block("text", unindented(part))
		}
		b.WriteString(strings.ReplaceAll(part, "<", "\\<") + "\n")
	}
	return b.String()
}

func block(language, text string) string {
	return "```" + language + "\n" + strings.Trim(text, "\n") + "\n```\n"
}

// unindented is a text without the blanks that all of its lines begin with.
func unindented(text string) string {
	lines := strings.Split(strings.Trim(text, "\n"), "\n")
	margin := len(text)
	for _, line := range lines {
		if line != "" {
			margin = min(margin, len(line)-len(strings.TrimLeft(line, " ")))
		}
	}
	for i, line := range lines {
		lines[i] = line[min(margin, len(line)):]
	}
	return strings.Join(lines, "\n")
}

// TestExitStatusesAreDocumented writes the table of troubleshooting.md, and wants a
// section for each code of an error.
func TestExitStatusesAreDocumented(t *testing.T) {
	t.Parallel()
	path := filepath.Join(documentation, "troubleshooting.md")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), "\n## Exit statuses\n")
	require.True(t, ok)
	_, after, ok := strings.Cut(rest, "\n## ")
	require.True(t, ok)
	generated(t, "troubleshooting.md", before+"\n## Exit statuses\n\n"+exitTableMarkdown()+"\n## "+after)
	page, err := pages.Parse(path, string(text))
	require.NoError(t, err)
	for _, row := range exits {
		for _, code := range row.codes {
			wantHeading(t, page, string(code))
		}
	}
}

// exitTableMarkdown is the table of exit statuses as troubleshooting.md shows it.
func exitTableMarkdown() string {
	var b strings.Builder
	b.WriteString("| status | meaning | what next | codes |\n|---|---|---|---|\n")
	for _, row := range exits {
		var codes []string
		for _, code := range row.codes {
			codes = append(codes, fmt.Sprintf("[`%s`](#%s)", code, code))
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", row.status, row.meaning, row.then, strings.Join(codes, ", "))
	}
	return b.String()
}

func wantHeading(t *testing.T, page pages.Page, heading string) {
	t.Helper()
	if !slices.Contains(page.Headings, heading) {
		t.Errorf("%s has no section about %s", page.Path, heading)
	}
}
