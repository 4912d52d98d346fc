package trial

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"path"
	"strings"
)

// choose gives the indexes of the migrations to test, in order.
func choose(ctx context.Context, h history, options Options) ([]int, error) {
	chosen := make([]bool, len(h.migrations))
	for i := range chosen {
		chosen[i] = len(options.Only) == 0
	}
	for _, word := range options.Only {
		i, found := h.find(word)
		if !found {
			return nil, unknownMigration(word)
		}
		chosen[i] = true
	}
	if options.From != "" {
		first, found := h.find(options.From)
		if !found {
			return nil, unknownMigration(options.From)
		}
		clear(chosen[:first])
	}
	if options.ChangedSince != "" {
		changed, err := ChangedFiles(ctx, options.Repository, options.ChangedSince)
		if err != nil {
			return nil, err
		}
		for i, m := range h.migrations {
			// By the file's name, which has the version in it: how paths are
			// shown need not be how git knows them.
			chosen[i] = chosen[i] && m.Path != "" && changed[path.Base(m.Path)]
		}
	}
	indexes := []int{}
	for i, wanted := range chosen {
		if wanted {
			indexes = append(indexes, i)
		}
	}
	return indexes, nil
}

func unknownMigration(word string) error {
	return wrong("give a version or a name as `whimbrel status --all` shows them", "there is no migration %q", word)
}

// ChangedFiles asks git for the names of the files of a repository that differ from
// a revision, without their folders: committed or not, and those that git does not
// know yet. folder is anywhere in the repository.
func ChangedFiles(ctx context.Context, folder, revision string) (map[string]bool, error) {
	if strings.HasPrefix(revision, "-") {
		return nil, wrong("name a branch, a tag or a commit", "%q is no revision", revision)
	}
	root, err := git(ctx, folder, "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, err
	}
	folder = strings.TrimRight(root, "\r\n")
	tracked, err := git(ctx, folder, "diff", "--name-only", "-z", revision, "--")
	if err != nil {
		return nil, err
	}
	unknown, err := git(ctx, folder, "ls-files", "--others", "--exclude-standard", "-z")
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

func git(ctx context.Context, folder string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", arguments...)
	command.Dir = folder
	var output, complaint bytes.Buffer
	command.Stdout, command.Stderr = &output, &complaint
	err := command.Run()
	switch {
	case err == nil:
		return output.String(), nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return "", wrong("install git, or choose the migrations by --only or --from", "git is not installed")
	}
	first, _, _ := strings.Cut(strings.TrimSpace(complaint.String()), "\n")
	return "", wrong("name a branch, a tag or a commit of the repository that the migrations are in",
		"git cannot say what has changed: %s", first)
}
