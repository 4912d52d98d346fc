// Package git asks git what has changed in a repository.
package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"strconv"
	"strings"
)

// Error is what git said, and what to do about it.
type Error struct{ Message, Remedy string }

func (e *Error) Error() string { return e.Message }

// Output runs git in a folder and gives what it printed.
func Output(ctx context.Context, folder string, arguments ...string) (string, error) {
	return answer(ctx, folder, "", arguments...)
}

// answer does as Output does, with a text that git reads.
func answer(ctx context.Context, folder, input string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", arguments...)
	command.Dir, command.Stdin = folder, strings.NewReader(input)
	var output, complaint bytes.Buffer
	command.Stdout, command.Stderr = &output, &complaint
	err := command.Run()
	switch {
	case err == nil:
		return output.String(), nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return "", &Error{"git is not installed", "install git, or name the migrations in another way"}
	}
	first, _, _ := strings.Cut(strings.TrimSpace(complaint.String()), "\n")
	return "", &Error{"git cannot say what has changed: " + first, "name a branch, a tag or a commit of the repository that the migrations are in"}
}

// ChangedNames gives the names of the files of a repository that differ from a
// revision, without their folders: committed or not, and those that git does not know
// yet. folder is anywhere in the repository.
func ChangedNames(ctx context.Context, folder, revision string) (map[string]bool, error) {
	if err := check(revision); err != nil {
		return nil, err
	}
	folder, err := Root(ctx, folder)
	if err != nil {
		return nil, err
	}
	tracked, err := Output(ctx, folder, "diff", "--name-only", "-z", revision, "--")
	if err != nil {
		return nil, err
	}
	unknown, err := Output(ctx, folder, "ls-files", "--others", "--exclude-standard", "-z")
	if err != nil {
		return nil, err
	}
	changed := map[string]bool{}
	for name := range strings.SplitSeq(tracked+unknown, "\x00") {
		if name != "" {
			changed[path.Base(name)] = true
		}
	}
	return changed, nil
}

// Root gives the folder of the repository that a folder lies in, without links in its path.
func Root(ctx context.Context, folder string) (string, error) {
	root, err := Output(ctx, folder, "rev-parse", "--show-toplevel")
	return strings.TrimRight(root, "\r\n"), err
}

// File gives the text that a file had at a revision. Its name is a path from the root,
// with slashes. Links are followed as long as they stay in the repository; what one has
// that leads out of it, the revision does not say, as if it were not there.
func File(ctx context.Context, folder, revision, name string) (text []byte, found bool, err error) {
	if err := check(revision); err != nil {
		return nil, false, err
	}
	if strings.Contains(name, "\n") {
		return nil, false, nil // git would take it for two names
	}
	said, err := answer(ctx, folder, revision+":"+name+"\n", "cat-file", "--batch", "--follow-symlinks")
	if err != nil {
		return nil, false, err
	}
	head, content, _ := strings.Cut(said, "\n")
	fields := strings.Fields(head) // the name of the object, its type, its size
	if len(fields) < 3 || fields[len(fields)-2] != "blob" {
		return nil, false, nil
	}
	size, err := strconv.Atoi(fields[len(fields)-1])
	if err != nil || size > len(content) {
		return nil, false, nil
	}
	return []byte(content[:size]), true, nil
}

// Ignored reports whether a file, by its path, is one that git is told not to know, and
// does not know.
func Ignored(ctx context.Context, folder, name string) (bool, error) {
	known, err := Output(ctx, folder, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", name)
	return known == "", err
}

// MergeBase gives the commit at which the present one branched off from a revision.
func MergeBase(ctx context.Context, folder, revision string) (string, error) {
	if err := check(revision); err != nil {
		return "", err
	}
	commit, err := Output(ctx, folder, "merge-base", revision, "HEAD")
	var said *Error
	if errors.As(err, &said) && strings.HasSuffix(said.Message, ": ") {
		return "", &Error{
			fmt.Sprintf("git knows no commit that %s and HEAD have in common", revision),
			"fetch the whole history, as with fetch-depth: 0 of actions/checkout",
		}
	}
	return strings.TrimSpace(commit), err
}

// Names gives the names of the files that lie in a folder at a revision.
func Names(ctx context.Context, folder, revision string) ([]string, error) {
	if err := check(revision); err != nil {
		return nil, err
	}
	listed, err := Output(ctx, folder, "ls-tree", "--name-only", "-z", revision, "./")
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range strings.SplitSeq(listed, "\x00") {
		if name != "" {
			names = append(names, path.Base(name))
		}
	}
	return names, nil
}

// Change is a file of a folder that is not as it was at a revision.
type Change struct {
	Name    string
	Deleted bool
	Line    int // the first that differs; 0 where it is gone
}

// Changes gives the files that were in a folder at a revision and were changed or
// deleted since, committed or not.
func Changes(ctx context.Context, folder, revision string) ([]Change, error) {
	if err := check(revision); err != nil {
		return nil, err
	}
	listed, err := Output(ctx, folder, "diff", "--name-status", "--no-renames", "--diff-filter=MDT", "--relative", "-z", revision, "--", ".")
	if err != nil {
		return nil, err
	}
	var changes []Change
	fields := strings.Split(listed, "\x00")
	for i := 0; i+1 < len(fields); i += 2 {
		c := Change{Name: fields[i+1], Deleted: fields[i] == "D"}
		if !c.Deleted {
			text, err := Output(ctx, folder, "diff", "--no-color", "--no-ext-diff", "-U0", "--relative", revision, "--", c.Name)
			if err != nil {
				return nil, err
			}
			c.Line = firstLine(text)
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// firstLine reads from a unified diff without context where its first hunk lies in
// the new file.
func firstLine(diff string) int {
	for line := range strings.Lines(diff) {
		if !strings.HasPrefix(line, "@@ ") {
			continue
		}
		_, after, _ := strings.Cut(line, " +")
		digits := strings.FieldsFunc(after, func(r rune) bool { return r < '0' || r > '9' })
		if len(digits) == 0 {
			break
		}
		n, _ := strconv.Atoi(digits[0])
		return max(n, 1)
	}
	return 1
}

// check refuses what git would take for an option.
func check(revision string) error {
	if revision == "" || strings.HasPrefix(revision, "-") {
		return &Error{fmt.Sprintf("%q is no revision", revision), "name a branch, a tag or a commit"}
	}
	return nil
}
