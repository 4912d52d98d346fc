package trial

import (
	"context"
	"errors"
	"path"

	"github.com/whimbrel-db/whimbrel/internal/git"
)

// choose gives the indexes of the migrations to test, in order.
func choose(ctx context.Context, h history, options Options) ([]int, error) {
	chosen := make([]bool, len(h.migrations))
	for i := range chosen {
		chosen[i] = len(options.Only) == 0
	}
	for _, word := range options.Only {
		if h.repeatable(word) {
			continue // they all run, behind the others
		}
		i, err := h.find(word)
		if err != nil {
			return nil, err
		}
		chosen[i] = true
	}
	if options.From != "" {
		first, err := h.find(options.From)
		if err != nil {
			return nil, err
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
	return wrong("give a version or a name as Migrator.Status shows them", "no migration %q", word)
}

// ChangedFiles gives the names of the files of a repository that differ from a
// revision of git, without their folders: committed or not, and those that git does
// not know yet. folder is anywhere in the repository.
func ChangedFiles(ctx context.Context, folder, revision string) (map[string]bool, error) {
	changed, err := git.ChangedNames(ctx, folder, revision)
	var said *git.Error
	if errors.As(err, &said) {
		return nil, wrong(said.Remedy, "%s", said.Message)
	}
	return changed, err
}
