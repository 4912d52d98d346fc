package pages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Place is where a page is followed.
type Place struct {
	// Folder is where the commands run and the files are saved.
	Folder string
	// Environment is that of the commands, as os.Environ has it.
	Environment []string
}

// Follow does what the page says, from its beginning to its end: it saves the
// files, runs the commands in a shell that stops at the first failure, and
// compares what they print. It ends at the first thing that is not as the page
// says; the error names its line. It blocks until all commands have ended.
func (p Page) Follow(ctx context.Context, place Place) error {
	printed, ran := "", false
	for _, block := range p.Blocks {
		var err error
		switch {
		case block.Run:
			printed, err = block.run(ctx, place)
			ran = true
		case block.Output && !ran:
			err = errors.New("output of no command")
		case block.Output:
			err = Compare(block.Text, printed)
		case block.File != "":
			err = block.save(place)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", p.Path, block.Line, err)
		}
	}
	return nil
}

// run gives what the block's commands print, to both of their outputs.
func (b Block) run(ctx context.Context, place Place) (string, error) {
	shell := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", b.Text)
	shell.Dir, shell.Env = place.Folder, place.Environment
	printed, err := shell.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", fmt.Errorf("running the block: %w", err)
	}
	if status := shell.ProcessState.ExitCode(); status != b.Status {
		return "", fmt.Errorf("the block ends in status %d and not %d:\n%s", status, b.Status, printed)
	}
	return string(printed), nil
}

// save writes the block's text to its file.
func (b Block) save(place Place) error {
	path := filepath.Join(place.Folder, filepath.FromSlash(b.File))
	if strings.Contains(b.File, "*") {
		found, err := filepath.Glob(path)
		if err != nil || len(found) != 1 {
			return fmt.Errorf("%s is not one file but %d", b.File, len(found))
		}
		path = found[0]
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("saving the block: %w", err)
	}
	if err := os.WriteFile(path, []byte(b.Text), 0o644); err != nil {
		return fmt.Errorf("saving the block: %w", err)
	}
	return nil
}

// Compare says where what was printed is not what a page shows.
func Compare(shown, printed string) error {
	var pattern strings.Builder
	pattern.WriteString(`^`)
	for _, line := range strings.Split(tidy(shown), "\n") {
		if strings.TrimSpace(line) == "…" {
			pattern.WriteString(`(?:.*\n)*`)
			continue
		}
		pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", `.*`) + `\n`)
	}
	pattern.WriteString(`$`)
	if regexp.MustCompile(pattern.String()).MatchString(tidy(printed) + "\n") {
		return nil
	}
	return fmt.Errorf("the page shows\n%s\nand this is printed\n%s", indent(shown), indent(printed))
}

// tidy is a text without the blanks at the ends of lines and of the whole.
func tidy(text string) string {
	lines := strings.Split(strings.Trim(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \t")
	}
	return strings.Join(lines, "\n")
}

func indent(text string) string { return "  " + strings.ReplaceAll(tidy(text), "\n", "\n  ") }
